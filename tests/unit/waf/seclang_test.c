/* seclang_test.c - the reader of the rule language: what it takes, and what it refuses with a place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "waf/seclang.h"
#include "waf/waf.h"

static int read_text(struct sec_document *document, const char *text, struct err *err)
{
	sec_document_init(document, WAF_MODSECURITY_3);
	if (sec_read_text(document, SPAN("rules"), span_cstr(text), err) != 0)
		return -1;
	return sec_finish(document, err);
}

static void refuses(const char *text, const char *message)
{
	struct sec_document document;
	struct err err = {0};

	assert_int_equal(read_text(&document, text, &err), -1);
	assert_string_equal(err.message, message);
	sec_document_release(&document);
}

static void reads(struct sec_document *document, const char *text)
{
	struct err err = {0};

	if (read_text(document, text, &err) != 0)
		fail_msg("%s", err.message);
}

static void assert_text(struct span text, const char *expected)
{
	if (!span_eq(text, span_cstr(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", SPAN_ARG(text), expected);
}

static void takes_a_rule_apart(void **state)
{
	struct sec_document d;
	const struct sec_rule *rule;

	(void)state;
	reads(&d,
	      "SecRule ARGS|!ARGS:pass|&TX:n|REQUEST_HEADERS:/^x-/|XML:/* \"!@rx a\\\"b\" \\\n"
	      "  \"id:7,phase:1,deny,status:406,t:none,t:lowercase,\\\n"
	      "   msg:'It\\'s, it',tag:one,tag:'two',severity:CRITICAL,\\\n"
	      "   setvar:'tx.a=+%{tx.b}',setvar:!tx.c,capture\"\n");
	rule = d.rules;
	assert_non_null(rule);
	assert_null(rule->next);
	assert_int_equal(rule->place.line, 1);
	assert_int_equal(rule->targets.count, 5);
	assert_int_equal(rule->targets.at[0].variable, VAR_ARGS);
	assert_true(rule->targets.at[1].exclude);
	assert_text(rule->targets.at[1].key, "pass");
	assert_true(rule->targets.at[2].count);
	assert_int_equal(rule->targets.at[3].select, SEC_PATTERN);
	assert_text(rule->targets.at[3].key, "^x-");
	assert_int_equal(rule->targets.at[4].select, SEC_XPATH);
	assert_true(rule->operator_text.negated);
	assert_text(rule->operator_text.parameter, "a\"b");
	assert_int_equal(rule->actions.id, 7);
	assert_int_equal(rule->actions.phase, 1);
	assert_int_equal(rule->actions.status, 406);
	assert_int_equal(rule->actions.disruptive, SEC_DENY);
	assert_int_equal(rule->actions.severity, 2);
	assert_text(rule->actions.msg, "It's, it");
	assert_int_equal(rule->actions.tag_count, 2);
	assert_int_equal(rule->actions.transform_count, 1);
	assert_int_equal(rule->actions.transforms[0], TRANSFORM_LOWERCASE);
	assert_int_equal(rule->actions.setvar_count, 2);
	assert_int_equal(rule->actions.setvars[0].operation, SEC_ADD);
	assert_text(rule->actions.setvars[0].value, "%{tx.b}");
	assert_int_equal(rule->actions.setvars[1].operation, SEC_UNSET);
	assert_true(rule->actions.capture);
	sec_document_release(&d);
}

static void hangs_the_links_of_a_chain_on_the_first(void **state)
{
	struct sec_document d;

	(void)state;
	reads(&d, "SecRule ARGS \"@rx a\" \"id:1,chain\"\n"
		  "SecRule ARGS \"@rx b\" \"chain\"\n"
		  "SecRule ARGS \"@rx c\" \"setvar:tx.x=1\"\n"
		  "SecMarker END\n");
	assert_int_equal(d.rule_count, 4);
	assert_non_null(d.rules->link);
	assert_non_null(d.rules->link->link);
	assert_null(d.rules->link->link->link);
	assert_int_equal(d.rules->next->kind, SEC_MARKER);
	assert_text(d.rules->next->marker, "END");
	sec_document_release(&d);
}

static void joins_backslashes_only_in_the_dialect_of_modsecurity_2(void **state)
{
	static const char text[] = "SecRule ARGS \"@rx a\\\\\\\\b\" \"id:1\"\n";
	struct sec_document d;

	(void)state;
	reads(&d, text);
	assert_text(d.rules->operator_text.parameter, "a\\\\\\\\b");
	sec_document_release(&d);
	sec_document_init(&d, WAF_MODSECURITY_2);
	assert_int_equal(sec_read_text(&d, SPAN("rules"), span_cstr(text), NULL), 0);
	assert_text(d.rules->operator_text.parameter, "a\\\\b");
	sec_document_release(&d);
}

static void refuses_what_it_does_not_know_with_its_place(void **state)
{
	(void)state;
	refuses("# a comment\n\nSecRulez ARGS x\n", "rules:3: there is no directive SecRulez");
	refuses("SecRule ARGZ \"@rx a\" id:1\n", "rules:1: there is no variable \"ARGZ\"");
	refuses("SecRule PERF_ALL \"@rx a\" id:1\n",
		"rules:1: the variable PERF_ALL is not supported: there are no performance "
		"counters");
	refuses("SecRule ARGS \"@rx a\" \"id:1,fly\"\n", "rules:1: there is no action \"fly\"");
	refuses("SecRule ARGS \"@rx a\" \"id:1,append:x\"\n",
		"rules:1: the action append is not supported: ModSecurity 3 does not have it "
		"either: responses are not written to");
	refuses("SecRule ARGS \"@rx a\" \"id:1,t:rot13\"\n",
		"rules:1: there is no transformation rot13");
	refuses("SecRule ARGS \"@rx a\" \"id:1,ctl:hashEngine=On\"\n",
		"rules:1: ctl:hashEngine is not supported");
	refuses("SecRule ARGS \"@rx a\" \"deny\"\n", "rules:1: the rule has no id");
	refuses("SecRule ARGS \"@rx a\" \"id:1,setvar:args.x=1\"\n",
		"rules:1: ARGS cannot be written to");
	refuses("SecRuleUpdateActionById 3:1 \"pass\"\n",
		"rules:1: a single link of a chain cannot be changed: ModSecurity 3 does not "
		"read "
		"what stands behind the colon, and takes the id alone");
	refuses("SecRuleScript x.lua\n",
		"rules:1: SecRuleScript is not supported: Lua is not run");
	refuses("SecRule ARGS \"@rx a\n", "rules:1: a quote (\") that is not closed");
	refuses("SecRule ARGS \"@rx a\" \"id:1,msg:'x\"\n",
		"rules:1: a quote (') that is not closed");
	refuses("SecRule ARGS \"@rx a\" \"id:1,chain\"\n",
		"rules:1: the chain is not finished");
	refuses("SecRule ARGS \"@rx a\" \"id:1,chain\"\nSecMarker X\n",
		"rules:2: a marker inside of a chain");
}

static void keeps_why_a_directive_is_ignored(void **state)
{
	struct sec_document d;

	(void)state;
	reads(&d, "SecAuditLog /var/log/x\n");
	assert_non_null(d.ignored);
	assert_text(d.ignored->text,
		    "rules:1: SecAuditLog: log and audit log are the gateway's own");
	sec_document_release(&d);
}

static void reads_settings(void **state)
{
	struct sec_document d;

	(void)state;
	reads(&d, "SecRuleEngine DetectionOnly\nSecRequestBodyLimit 1000\n"
		  "SecResponseBodyMimeType text/plain text/html\nSecArgumentSeparator ;\n"
		  "SecRequestBodyLimitAction ProcessPartial\nSecCollectionTimeout 60\n");
	assert_int_equal(d.settings.engine, SEC_ENGINE_DETECT);
	assert_int_equal(d.settings.request_body_limit, 1000);
	assert_int_equal(d.settings.mime_type_count, 2);
	assert_int_equal(d.settings.argument_separator, ';');
	assert_false(d.settings.reject_large_request);
	assert_int_equal(d.settings.collection_timeout_s, 60);
	sec_document_release(&d);
}

static void survives_each_allocation_failing(void **state)
{
	static const char text[] =
		"SecRule ARGS \"@rx a\" \"id:1,phase:1,msg:'x',tag:a,tag:b\"\n"
		"SecAction \"id:2,setvar:tx.a=1\"\n";

	(void)state;
	for (unsigned long n = 1; n < 100; n++) {
		struct sec_document d;
		struct err err = {0};
		int result;

		sec_document_init(&d, WAF_MODSECURITY_3);
		mem_fail_at(n);
		result = sec_read_text(&d, SPAN("rules"), span_cstr(text), &err);
		if (!mem_fail_happened()) {
			mem_fail_at(0);
			assert_int_equal(result, 0);
			sec_document_release(&d);
			return;
		}
		mem_fail_at(0);
		assert_int_equal(result, -1);
		assert_int_equal(err.code, ERR_MEMORY);
		sec_document_release(&d);
	}
	fail_msg("allocations never end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_rule_apart),
		cmocka_unit_test(hangs_the_links_of_a_chain_on_the_first),
		cmocka_unit_test(joins_backslashes_only_in_the_dialect_of_modsecurity_2),
		cmocka_unit_test(refuses_what_it_does_not_know_with_its_place),
		cmocka_unit_test(keeps_why_a_directive_is_ignored),
		cmocka_unit_test(reads_settings),
		cmocka_unit_test(survives_each_allocation_failing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
