/*
 * names_test.c - every directive, variable, operator, transformation, action and ctl that ModSecurity 3
 * documents is known, or refused with its place; and so is what nobody documents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "waf/waf.h"

static struct waf_rules *load(const char *text, struct err *err)
{
	struct waf_text one = {.name = SPAN("rules"), .text = span_cstr(text)};
	struct waf_sources sources = {
		.texts = &one, .text_count = 1, .no_prefilter = true, .any_program = true};

	err->code = ERR_NONE;
	return waf_rules_load(&sources, err);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void every_documented_operator_is_known_or_refused_with_its_place(void **state)
{
	static const char *const known[] = {
		"beginsWith a",
		"contains a",
		"containsWord a",
		"detectSQLi",
		"detectXSS",
		"endsWith a",
		"eq 1",
		"inspectFile /bin/sh",
		"rbl a.example",
		"ge 1",
		"gt 1",
		"le 1",
		"lt 1",
		"ipMatch 192.0.2.0/24,2001:db8::/32",
		"ipMatchF @FILE@",
		"ipMatchFromFile @FILE@",
		"noMatch",
		"pm a b",
		"pmf @FILE@",
		"pmFromFile @FILE@",
		"rx ^a",
		"rxGlobal a",
		"streq a",
		"strmatch a",
		"unconditionalMatch",
		"validateByteRange 1-255",
		"validateUrlEncoding",
		"validateUtf8Encoding",
		"verifyCC \\d{13,16}",
		"verifyCPF \\d{11}",
		"verifySSN \\d{3}-?\\d{2}-?\\d{4}",
		"verifySVNR \\d{10}",
		"within a b",
	};
	static const char *const refused[] = {
		"gsbLookup a",	"inspectFile a.lua",	"inspectFile /nowhere",
		"rbl a b",	"fuzzyHash /nowhere 1", "rsub s/a/b/",
		"validateHash", "notThere a",
	};
	char file[] = "/tmp/sallyport-waf-XXXXXX";
	char text[512], op[128];
	int fd = mkstemp(file);
	struct waf_rules *rules;
	struct err err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "192.0.2.1\n", 10), 10);
	close(fd);
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		const char *at = strstr(known[i], "@FILE@");
		int len = at ? (int)(at - known[i]) : (int)strlen(known[i]);

		(void)snprintf(op, sizeof(op), "%.*s%s", len, known[i], at ? file : "");
		(void)snprintf(text, sizeof(text),
			       "SecRule ARGS|REMOTE_ADDR \"@%s\" \"id:1,phase:2,pass\"\n", op);
		rules = load(text, &err);
		if (!rules)
			fail_msg("@%s: %s", op, err.message);
		waf_rules_unref(rules);
	}
	unlink(file);
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		(void)snprintf(text, sizeof(text),
			       "\nSecRule ARGS \"@%s\" \"id:1,phase:2,pass\"\n", refused[i]);
		rules = load(text, &err);
		if (rules || !strstr(err.message, "rules:2"))
			fail_msg("@%s: %s", refused[i], rules ? "taken" : err.message);
	}
}

static void every_documented_transformation_is_known(void **state)
{
	static const char *const names[] = {
		"base64Decode",
		"sqlHexDecode",
		"base64DecodeExt",
		"base64Encode",
		"cmdLine",
		"compressWhitespace",
		"cssDecode",
		"escapeSeqDecode",
		"hexDecode",
		"hexEncode",
		"htmlEntityDecode",
		"jsDecode",
		"length",
		"lowercase",
		"md5",
		"none",
		"normalisePath",
		"normalizePath",
		"normalisePathWin",
		"normalizePathWin",
		"parityEven7bit",
		"parityOdd7bit",
		"parityZero7bit",
		"removeNulls",
		"removeWhitespace",
		"replaceComments",
		"removeCommentsChar",
		"removeComments",
		"replaceNulls",
		"urlDecode",
		"uppercase",
		"urlDecodeUni",
		"urlEncode",
		"utf8toUnicode",
		"sha1",
		"trimLeft",
		"trimRight",
		"trim",
	};
	char text[256];
	struct waf_rules *rules;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(text, sizeof(text),
			       "SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,t:%s\"\n", names[i]);
		rules = load(text, &err);
		if (!rules)
			fail_msg("t:%s: %s", names[i], err.message);
		waf_rules_unref(rules);
	}
	assert_null(load("SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,t:rot13\"\n", &err));
	assert_non_null(strstr(err.message, "rules:1"));
}

static void every_documented_variable_is_known(void **state)
{
	static const char names[] =
		"ARGS ARGS_COMBINED_SIZE ARGS_GET ARGS_GET_NAMES ARGS_NAMES ARGS_POST "
		"ARGS_POST_NAMES AUTH_TYPE DURATION ENV:PATH FILES FILES_COMBINED_SIZE "
		"FILES_NAMES FILES_SIZES FILES_TMPNAMES FILES_TMP_CONTENT FULL_REQUEST "
		"FULL_REQUEST_LENGTH GEO:COUNTRY_CODE GLOBAL:x HIGHEST_SEVERITY "
		"INBOUND_DATA_ERROR IP:x MATCHED_VAR MATCHED_VARS MATCHED_VAR_NAME "
		"MATCHED_VARS_NAMES MODSEC_BUILD MSC_PCRE_ERROR MSC_PCRE_LIMITS_EXCEEDED "
		"MULTIPART_BOUNDARY_QUOTED MULTIPART_BOUNDARY_WHITESPACE "
		"MULTIPART_CRLF_LF_LINES MULTIPART_DATA_AFTER MULTIPART_DATA_BEFORE "
		"MULTIPART_FILENAME MULTIPART_FILE_LIMIT_EXCEEDED MULTIPART_HEADER_FOLDING "
		"MULTIPART_INVALID_HEADER_FOLDING MULTIPART_INVALID_PART "
		"MULTIPART_INVALID_QUOTING MULTIPART_LF_LINE MULTIPART_MISSING_SEMICOLON "
		"MULTIPART_NAME MULTIPART_PART_HEADERS MULTIPART_SEMICOLON_MISSING "
		"MULTIPART_STRICT_ERROR MULTIPART_UNMATCHED_BOUNDARY OUTBOUND_DATA_ERROR "
		"PATH_INFO QUERY_STRING REMOTE_ADDR REMOTE_HOST REMOTE_PORT REMOTE_USER "
		"REQBODY_ERROR REQBODY_ERROR_MSG REQBODY_PROCESSOR REQBODY_PROCESSOR_ERROR "
		"REQBODY_PROCESSOR_ERROR_MSG REQUEST_BASENAME REQUEST_BODY "
		"REQUEST_BODY_LENGTH REQUEST_COOKIES REQUEST_COOKIES_NAMES "
		"REQUEST_FILENAME REQUEST_HEADERS REQUEST_HEADERS_NAMES REQUEST_LINE "
		"REQUEST_METHOD REQUEST_PROTOCOL REQUEST_URI REQUEST_URI_RAW RESOURCE:x "
		"RESPONSE_BODY RESPONSE_CONTENT_LENGTH RESPONSE_CONTENT_TYPE "
		"RESPONSE_HEADERS RESPONSE_HEADERS_NAMES RESPONSE_PROTOCOL RESPONSE_STATUS "
		"RULE:id SERVER_ADDR SERVER_NAME SERVER_PORT SESSION:x SESSIONID STATUS "
		"STATUS_LINE TIME TIME_DAY TIME_EPOCH TIME_HOUR TIME_MIN TIME_MON TIME_SEC "
		"TIME_WDAY TIME_YEAR TX:x UNIQUE_ID URLENCODED_ERROR USER:x USERID WEBAPPID "
		"WEBSERVER_ERROR_LOG XML XML:/* &ARGS ARGS|!ARGS:x ARGS:/^x/";

	struct err err;

	(void)state;
	for (struct span rest = span_cstr(names); rest.ptr;) {
		struct span name = span_cut(&rest, ' ');
		struct waf_rules *rules;
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "SecRule %.*s \"@rx a\" \"id:1,phase:5,pass,nolog\"\n",
			       SPAN_ARG(name));
		rules = load(text, &err);
		if (!rules)
			fail_msg("%.*s: %s", SPAN_ARG(name), err.message);
		waf_rules_unref(rules);
	}
	assert_null(load("SecRule NOT_THERE \"@rx a\" \"id:1,phase:5,pass\"\n", &err));
}

static void each_action_is_taken_or_refused(const char *const *actions, size_t count,
					    bool taken)
{
	for (size_t i = 0; i < count; i++) {
		struct waf_rules *rules;
		struct err err;
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "# first\nSecRule ARGS \"@rx a\" \"id:1,phase:2,%s\"\n"
			       "SecRule ARGS b \"id:2,pass,t:none\"\nSecMarker end\n",
			       actions[i]);
		rules = load(text, &err);
		if (taken && !rules)
			fail_msg("%s: %s", actions[i], err.message);
		if (!taken && (rules || !strstr(err.message, "rules:2")))
			fail_msg("%s: %s", actions[i], rules ? "taken" : err.message);
		waf_rules_unref(rules);
	}
}

static const char *const actions_taken[] = {
	"accuracy:5",
	"allow",
	"allow:phase",
	"allow:request",
	"auditlog",
	"block",
	"capture",
	"chain",
	"deny",
	"drop",
	"exec:/bin/sh",
	"expirevar:ip.x=60",
	"initcol:ip=%{REMOTE_ADDR}",
	"log",
	"logdata:'%{MATCHED_VAR}'",
	"maturity:9",
	"msg:'a'",
	"multiMatch",
	"noauditlog",
	"nolog",
	"pass",
	"phase:request",
	"redirect:'https://a.example/'",
	"rev:'1'",
	"sanitiseArg:a",
	"sanitiseMatched",
	"sanitiseMatchedBytes",
	"sanitiseRequestHeader:a",
	"sanitiseResponseHeader:a",
	"setenv:A=%{MATCHED_VAR}",
	"setrsc:a",
	"setsid:a",
	"setuid:a",
	"setvar:tx.a=+1",
	"setvar:!tx.a",
	"setvar:'tx.%{MATCHED_VAR_NAME}=%{tx.0}'",
	"severity:CRITICAL",
	"severity:2",
	"skip:1",
	"skipAfter:end",
	"status:418",
	"t:none",
	"tag:'a'",
	"ver:'1'",
	"xmlns:a=https://a.example/",
	"ctl:auditEngine=Off",
	"ctl:auditLogParts=+E",
	"ctl:debugLogLevel=3",
	"ctl:forceRequestBodyVariable=On",
	"ctl:requestBodyAccess=Off",
	"ctl:requestBodyLimit=100",
	"ctl:requestBodyProcessor=JSON",
	"ctl:requestBodyProcessor=MULTIPART",
	"ctl:requestBodyProcessor=URLENCODED",
	"ctl:requestBodyProcessor=XML",
	"ctl:responseBodyAccess=On",
	"ctl:responseBodyLimit=100",
	"ctl:ruleEngine=DetectionOnly",
	"ctl:ruleEngine=Off",
	"ctl:ruleEngine=On",
	"ctl:ruleRemoveById=5",
	"ctl:ruleRemoveById=5-9",
	"ctl:ruleRemoveByMsg=a",
	"ctl:ruleRemoveByTag=a",
	"ctl:ruleRemoveTargetById=5;ARGS:a",
	"ctl:ruleRemoveTargetById=5-9;ARGS:/^a/",
	"ctl:ruleRemoveTargetByMsg=a;ARGS",
	"ctl:ruleRemoveTargetByTag=a;REQUEST_COOKIES:a",
};

static const char *const actions_refused[] = {
	"append:a",
	"deprecatevar:ip.x=1/2",
	"exec:a.lua",
	"pause:1",
	"prepend:a",
	"proxy:http://a",
	"setenv:a",
	"notThere",
	"notThere:1",
	"phase:7",
	"severity:9",
	"status:1000",
	"t:notThere",
	"setvar:args.a=1",
	"expirevar:tx.a=1",
	"initcol:tx=a",
	"skipAfter:nowhere",
	"ctl:notThere=1",
	"ctl:ruleEngine",
	"ctl:ruleEngine=Perhaps",
	"ctl:requestBodyProcessor=YAML",
	"ctl:requestBodyLimit=much",
	"ctl:ruleRemoveById=x",
	"ctl:ruleRemoveTargetById=5",
	"ctl:ruleRemoveTargetById=5;NOT_THERE",
	"ctl:hashEngine=On",
	"ctl:hashEnforcement=On",
};

static void every_documented_action_is_known_or_refused_with_its_place(void **state)
{
	(void)state;
	each_action_is_taken_or_refused(actions_taken, COUNT_OF(actions_taken), true);
	each_action_is_taken_or_refused(actions_refused, COUNT_OF(actions_refused), false);
}

static const char *const directives_taken[] = {
	"SecAction \"id:9,pass\"",
	"SecArgumentSeparator ;",
	"SecArgumentsLimit 100",
	"SecAuditEngine RelevantOnly",
	"SecAuditLog /dev/null",
	"SecAuditLog2 /dev/null",
	"SecAuditLogDirMode 0700",
	"SecAuditLogFileMode 0600",
	"SecAuditLogFormat JSON",
	"SecAuditLogParts ABZ",
	"SecAuditLogRelevantStatus ^5",
	"SecAuditLogStorageDir /tmp",
	"SecAuditLogType Serial",
	"SecCacheTransformations On",
	"SecCollectionTimeout 60",
	"SecComponentSignature a",
	"SecCookieFormat 0",
	"SecDataDir /tmp",
	"SecDebugLog /dev/null",
	"SecDebugLogLevel 0",
	"SecDefaultAction \"phase:1,log,pass\"",
	"SecHttpBlKey abcdefghijkl",
	"SecMarker here",
	"SecPcreMatchLimit 1000",
	"SecPcreMatchLimitRecursion 1000",
	"SecRequestBodyAccess On",
	"SecRequestBodyInMemoryLimit 1000",
	"SecRequestBodyJsonDepthLimit 10",
	"SecRequestBodyLimit 1000",
	"SecRequestBodyLimitAction Reject",
	"SecRequestBodyNoFilesLimit 1000",
	"SecResponseBodyAccess Off",
	"SecResponseBodyLimit 1000",
	"SecResponseBodyLimitAction ProcessPartial",
	"SecResponseBodyMimeType text/html",
	"SecResponseBodyMimeTypesClear",
	"SecRule ARGS a \"id:9,pass\"",
	"SecRuleEngine DetectionOnly",
	"SecRuleRemoveById 1",
	"SecRuleRemoveByMsg a",
	"SecRuleRemoveByTag a",
	"SecRuleUpdateActionById 1 \"status:418\"",
	"SecRuleUpdateTargetById 1 \"!ARGS:a\"",
	"SecRuleUpdateTargetByMsg a \"!ARGS:a\"",
	"SecRuleUpdateTargetByTag a \"!ARGS:a\"",
	"SecSensorId a",
	"SecServerSignature a",
	"SecStatusEngine Off",
	"SecTmpDir /tmp",
	"SecTmpSaveUploadedFiles On",
	"SecUploadDir /tmp",
	"SecUploadFileLimit 10",
	"SecUploadFileMode 0600",
	"SecUploadKeepFiles Off",
	"SecWebAppId a",
	"SecXmlExternalEntity Off",
	"IncludeOptional /nowhere/*.conf",
};

static const char *const directives_refused[] = {
	"SecChrootDir /tmp",
	"SecConnEngine On",
	"SecConnReadStateLimit 1",
	"SecConnWriteStateLimit 1",
	"SecContentInjection On",
	"SecCookieV0Separator ,",
	"SecDisableBackendCompression On",
	"SecGsbLookupDb a",
	"SecGuardianLog a",
	"SecHashEngine On",
	"SecHashKey a KeyOnly",
	"SecHashMethodPm HashHref a",
	"SecHashMethodRx HashHref a",
	"SecHashParam a",
	"SecInterceptOnError On",
	"SecRemoteRules a https://a.example/",
	"SecRemoteRulesFailAction Abort",
	"SecRuleInheritance On",
	"SecRulePerfTime 1",
	"SecRuleScript a.lua",
	"SecStreamInBodyInspection On",
	"SecStreamOutBodyInspection On",
	"SecNotThere On",
	"Include /nowhere.conf",
	"SecRuleEngine Perhaps",
	"SecRequestBodyLimit much",
	"<IfModule a>",
	"not a directive",
};

static void every_documented_directive_is_known_or_refused_with_its_place(void **state)
{
	struct waf_rules *rules;
	struct err err;
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(directives_taken); i++) {
		(void)snprintf(text, sizeof(text),
			       "SecRule ARGS a \"id:1,phase:2,pass,msg:'a',tag:'a'\"\n%s\n",
			       directives_taken[i]);
		rules = load(text, &err);
		if (!rules)
			fail_msg("%s: %s", directives_taken[i], err.message);
		waf_rules_unref(rules);
	}
	for (size_t i = 0; i < COUNT_OF(directives_refused); i++) {
		(void)snprintf(text, sizeof(text), "# first\n\n%s\n", directives_refused[i]);
		rules = load(text, &err);
		if (rules || !strstr(err.message, "rules:3"))
			fail_msg("%s: %s", directives_refused[i],
				 rules ? "taken" : err.message);
	}
}

/* ---- what is not understood ------------------------------------------------------------------ */

/* Each is one line, has words that may be wrong, and is right as it stands. */
static const char *const good_lines[] = {
	"SecRule ARGS|REQUEST_HEADERS:x \"@rx ^a\" \"id:%u,phase:2,pass,t:lowercase,log\"",
	"SecRule &REQUEST_COOKIES \"@gt 5\" \"id:%u,phase:1,deny,status:403,msg:'a'\"",
	"SecRule REQUEST_METHOD \"!@within GET POST\" \"id:%u,phase:1,block,setvar:tx.a=+5\"",
	("SecAction "
	 "\"id:%u,phase:1,nolog,pass,ctl:ruleRemoveById=7,initcol:ip=%%{REMOTE_ADDR}\""),
	"SecRule XML:/* \"@pm a b\" \"id:%u,phase:2,pass,capture,t:none,t:urlDecodeUni\"",
	"# %u",
	"SecDefaultAction \"phase:%u,log,pass\"",
};

static const char *const bad_lines[] = {
	"SecRule ARGZ \"@rx ^a\" \"id:%u,phase:2,pass\"",
	"SecRule ARGS|ARGZ \"@rx ^a\" \"id:%u,phase:2,pass\"",
	"SecRule ARGS \"@rxx ^a\" \"id:%u,phase:2,pass\"",
	"SecRule ARGS \"@rx (\" \"id:%u,phase:2,pass\"",
	"SecRule ARGS \"@rx a\" \"id:%u,phase:2,pas\"",
	"SecRule ARGS \"@rx a\" \"id:%u,phase:2,pass,t:lowercas\"",
	"SecRule ARGS \"@rx a\" \"id:%u,phase:2,pass,ctl:ruleRemove=7\"",
	"SecRule ARGS \"@rx a\" \"id:%u,phase:9,pass\"",
	"SecRule ARGS \"@rx a\" \"id:%u,phase:2,pass,exec:a\"",
	"SecRule ARGS \"@ipMatch 192.0.2.300\" \"id:%u,phase:2,pass\"",
	"SecRule ARGS \"@validateByteRange 1-300\" \"id:%u,phase:2,pass\"",
	"SecRule XML:/[ \"@rx a\" \"id:%u,phase:2,pass\"",
	"SecRule ARGS \"@pmFromFile /nowhere.data\" \"id:%u,phase:2,pass\"",
	"SecRule ARGS \"@rx a \"id:%u,phase:2,pass\"",
	"SecRule ARGS",
	"SecRul ARGS \"@rx a\" \"id:%u,phase:2,pass\"",
	"SecGuardianLog %u",
};

static void put_line(struct buf *to, const char *format, unsigned number)
{
	struct span before = span_cstr(format);
	size_t at = span_find(before, SPAN("%u"));
	struct span after = span_slice(before, at + 2, before.len);

	before = span_slice(before, 0, at);
	for (struct span *part = &before;; part = &after) {
		for (size_t i = 0; i < part->len; i++) {
			/* "%%" is one, as for printf. */
			i += part->ptr[i] == '%' && i + 1 < part->len &&
			     part->ptr[i + 1] == '%';
			buf_append_byte(to, part->ptr[i]);
		}
		if (part == &after)
			break;
		if (at < span_cstr(format).len)
			buf_printf(to, "%u", number);
	}
	buf_append_byte(to, '\n');
}

/* SecDefaultAction takes a phase, all others an id. */
static void put_good(struct buf *to, unsigned line, uint64_t random)
{
	const char *format = good_lines[random % COUNT_OF(good_lines)];
	bool of_phase = strstr(format, "SecDefaultAction") != NULL;

	put_line(to, format, of_phase ? 1 + (unsigned)(random >> 32) % 5 : 1000 + line);
}

static void what_is_not_understood_is_an_error_at_its_line_wherever_it_is(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : rand_u64();
	struct buf text;

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	for (unsigned round = 0; round < 400; round++) {
		unsigned lines = 1 + (unsigned)(seed >> 33) % 20;
		unsigned bad = 1 + (unsigned)(seed >> 17) % lines;
		const char *wrong = bad_lines[round % COUNT_OF(bad_lines)];
		struct waf_rules *rules;
		struct err err;
		char place[32];

		buf_init(&text, 65536);
		for (unsigned line = 1; line <= lines; line++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			if (line == bad)
				put_line(&text, wrong, 1000 + line);
			else
				put_good(&text, line, seed);
		}
		buf_append_byte(&text, '\0');
		rules = load(text.ptr, &err);
		(void)snprintf(place, sizeof(place), "rules:%u:", bad);
		if (rules || !strstr(err.message, place))
			fail_msg("line %u of:\n%s\n%s", bad, text.ptr,
				 rules ? "taken" : err.message);
		buf_release(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_documented_operator_is_known_or_refused_with_its_place),
		cmocka_unit_test(every_documented_transformation_is_known),
		cmocka_unit_test(every_documented_variable_is_known),
		cmocka_unit_test(every_documented_action_is_known_or_refused_with_its_place),
		cmocka_unit_test(every_documented_directive_is_known_or_refused_with_its_place),
		cmocka_unit_test(what_is_not_understood_is_an_error_at_its_line_wherever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
