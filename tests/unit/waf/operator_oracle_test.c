/*
 * The operators against those of libmodsecurity: whether they match, and what they capture, for
 * random values made of what they look for, and for the realistic values of the test data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#ifdef HAVE_FUZZY
#include <fuzzy.h>
#endif
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/hex.h"
#include "base/mem.h"
#include "oracle.h"
#include "waf/operator.h"
#include "waf_data.h"

/* Rule 1 is the operator; rules 100 + n tell the digest of TX.n. */
#define CAPTURES 4

static struct libinjection *libinjection;
static struct regex_scratch *scratch;

static const char phrase_file[] =
	"# comment\nselect\nUnion All\n\n  # more\nsleep(\n/etc/\n\xc3\xa9x\n"
	"ABCD\nbcx\ncxy\nAbc d\nscript>\n";
static const char address_file[] = "10.0.0.0/8 # inside\n192.168.1.77\n\n2001:db8::/32,::1\n";

static const char *const operators[] = {
	"@rx a(b)?(c)",
	"@rx (?i)^(union|select)\\b.*$",
	"@rx .",
	"@rx ^$",
	"!@rx ^[a-z]*$",
	"@rx (a)|(b)|(c)|(d)",
	"@rx (?:(\\d+)[-/])+x",
	"@rxGlobal [0-9]+(x?)",
	"@rxGlobal b*",
	"(?=c)",
	"!^a",
	"@pm abcd bcx cxy ab/ UNION select",
	"!@pm abc",
	"@pm foo\\;bar |AA BB| x",
	"@pm bad\\escape abc",
	"@pm \xffr q\xff \xc3\xa9x",
	"@pm he she his hers ushe",
	"@pm aab aaab ab",
	"@beginsWith abc",
	"@beginsWith /",
	"@endsWith xy",
	"@contains bc",
	"@containsWord abc",
	"@containsWord a",
	"@streq abc",
	"@strmatch cx",
	"@within abc,def,GET,POST",
	"@eq 1",
	"@eq 0",
	"@eq -5",
	"@ge 10",
	"@gt 10",
	"@le 10",
	"@lt 10",
	"!@lt 0",
	"@gt 9223372036854775807",
	"@ipMatch 10.0.0.0/8,192.168.1.1,2001:db8::/32",
	"@ipMatch 127.0.0.1/24",
	"@detectSQLi",
	"@detectXSS",
	"@validateByteRange 10, 13, 32-126",
	"@validateByteRange 38,44-46,48-58,61,65-90,95,97-122",
	"@validateUrlEncoding",
	"@validateUtf8Encoding",
	"@verifyCC (?:^|[^\\d])(\\d{13,16})(?:[^\\d]|$)",
	"@verifyCC \\d{13,16}",
	"@verifyCPF ([0-9]{3}\\.?){3}-?[0-9]{2}",
	"@verifySSN \\d{3}-?\\d{2}-?\\d{4}",
	"@verifySVNR ([0-9]{10})",
	"@unconditionalMatch",
	"!@unconditionalMatch",
	"@pmFromFile FILE",
	"@pmf FILE",
	"@ipMatchFromFile FILE",
};

struct answer {
	bool matched;
	char capture[CAPTURES][40];
	bool captured[CAPTURES];
};

static void on_match(void *context, unsigned rule_id, struct span data)
{
	struct answer *answer = context;

	if (rule_id == 1) {
		answer->matched = true;
		return;
	}
	assert_true(rule_id >= 100 && rule_id < 100 + CAPTURES && data.len == 40);
	answer->captured[rule_id - 100] = true;
	memcpy(answer->capture[rule_id - 100], data.ptr, 40);
}

static void digest_hex(struct span value, char hex[40])
{
	unsigned char sum[20];
	unsigned size;

	assert_int_equal(
		EVP_Digest(value.ptr ? value.ptr : "", value.len, sum, &size, EVP_sha1(), NULL),
		1);
	hex_encode(hex, sum, 20);
}

static struct span text_of_file(struct span name)
{
	return span_find(name, SPAN("phrase")) < name.len ? span_cstr(phrase_file)
							  : span_cstr(address_file);
}

static int load(void *context, struct span name, struct buf *to, struct err *err)
{
	(void)context;
	(void)err;
	return buf_append(to, text_of_file(name));
}

static void print_value(struct span value)
{
	for (size_t i = 0; i < value.len; i++)
		print_message(value.ptr[i] >= 32 && value.ptr[i] < 127 ? "%c" : "\\x%02x",
			      (unsigned char)value.ptr[i]);
	print_message("\n");
}

static bool same_capture(const struct answer *answer, const struct operator_match *match,
			 unsigned number)
{
	/* The later of two with one number counts, as it replaces the other. */
	for (size_t i = match->capture_count; i-- > 0;) {
		char hex[40];

		if (match->captures[i].number != number)
			continue;
		digest_hex(match->captures[i].text, hex);
		return answer->captured[number] &&
		       memcmp(hex, answer->capture[number], 40) == 0;
	}
	return !answer->captured[number];
}

static unsigned check(struct oracle *oracle, const struct operator* op, struct span value)
{
	struct answer answer = {0};
	struct operator_match match;
	bool matched, same;

	oracle_header(oracle, value, on_match, &answer);
	matched = operator_match(op, scratch, SPAN_NONE, value, &match);
	assert_int_equal(match.error, OPERATOR_OK);
	assert_int_equal(matched, operator_match(op, scratch, SPAN_NONE, value, NULL));
	assert_true(match.piece.len <= value.len);
	same = matched == answer.matched;
	for (unsigned i = 0; i < CAPTURES; i++)
		same = same && same_capture(&answer, &match, i);
	if (same)
		return 0;
	print_message(
		"%s%s \"%.*s\" %s here and %s there, with %zu captures, the first \"%.*s\": ",
		operator_negated(op) ? "!@" : "@", operator_name(operator_kind_of(op)),
		SPAN_ARG(operator_parameter(op)), matched ? "matches" : "does not match",
		answer.matched ? "does" : "does not", match.capture_count,
		SPAN_ARG(match.capture_count ? match.captures[0].text : SPAN("")));
	print_value(value);
	return 1;
}

static uint64_t seed = 88172645463325252u;

static unsigned next_random(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 32) % below;
}

static const struct span pieces[] = {
#define P(literal) SPAN_INIT(literal)
	P("a"),
	P("b"),
	P("c"),
	P("d"),
	P("x"),
	P("y"),
	P("abc"),
	P("ABCD"),
	P("bcx"),
	P("abcxy"),
	P("union"),
	P("UNION ALL"),
	P("select"),
	P(" "),
	P("\n"),
	P("\0"),
	P("/etc/"),
	P("sleep("),
	P("\xc3\xa9x"),
	P("\xed\xa0\x80"),
	P("\xc0\xaf"),
	P("\xf4\x90\x80\x80"),
	P("\xf5\x80\x80\x80"),
	P("\xf0\x9f\x92\xa9"),
	P("\xff"),
	P("%41"),
	P("%4"),
	P("%"),
	P("%zz"),
	P("1"),
	P("10"),
	P("11"),
	P("-5"),
	P("+"),
	P("0x10"),
	P("2147483648"),
	P("99999999999999999999"),
	P("-"),
	P("/"),
	P("."),
	P("'"),
	P("\""),
	P("1' OR '1'='1"),
	P("<script>"),
	P("onerror="),
	P("--"),
	P("10-x"),
	P("7/8/x"),
	P("10.1.2.3"),
	P("192.168.1.77"),
	P("127.0.0.9"),
	P("2001:db8::5"),
	P("::1"),
	P("4111111111111111"),
	P("378282246310005"),
	P("4111111111111112"),
	P("529.982.247-25"),
	P("52998224725"),
	P("11111111111"),
	P("01234567890"),
	P("123-45-6789"),
	P("078051120"),
	P("666-12-3456"),
	P("111111111"),
	P("1237010180"),
	P("8888888888"),
	P("1234567890"),
	P("quoted"),
	P("foo;barr"),
	P("foo;bar"),
	P("\xaa\xbb"),
	P("he"),
	P("she"),
	P("ushers"),
	P("his"),
	P("aa"),
	P("GET"),
	P("def"),
	P("bad\\escape"),
	P("script>"),
	P(","),
	P("\t"),
	P("aaab"),
#undef P
};

static struct span random_value(char *to)
{
	unsigned count = next_random(3) ? next_random(6) : 1;
	size_t len = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct span *piece = &pieces[next_random(COUNT_OF(pieces))];

		memcpy(to + len, piece->ptr, piece->len);
		len += piece->len;
	}
	return span_of(to, len);
}

/* libmodsecurity throws out of these for the empty value. */
static bool is_unsafe_there(const struct operator* op, struct span value)
{
	enum operator_kind kind = operator_kind_of(op);

	return value.len == 0 && (kind == OPERATOR_VERIFY_CPF || kind == OPERATOR_VERIFY_SSN ||
				  kind == OPERATOR_VERIFY_SVNR);
}

/* "FILE" in an operator stands for a file, which libmodsecurity reads itself. */
static struct oracle *make_oracle(const char *text, char *path, size_t size)
{
	struct buf rules;
	struct oracle *oracle;
	const char *file = strstr(text, "FILE");
	bool phrases = strstr(text, "@pm") != NULL;

	buf_init(&rules, 65536);
	buf_printf(&rules, "SecRuleEngine On\nSecRule REQUEST_HEADERS:x \"");
	path[0] = 0;
	if (file) {
		struct span content = span_cstr(phrases ? phrase_file : address_file);
		FILE *f;
		int fd;

		snprintf(path, size, "/tmp/sallyport-%s-XXXXXX",
			 phrases ? "phrase" : "address");
		fd = mkstemp(path);
		f = fd < 0 ? NULL : fdopen(fd, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(content.ptr, 1, content.len, f), content.len);
		assert_int_equal(fclose(f), 0);
		buf_append_bytes(&rules, text, (size_t)(file - text));
		buf_append_cstr(&rules, path);
	} else {
		buf_append_cstr(&rules, text);
	}
	buf_printf(&rules, "\" \"id:1,phase:1,pass,log,t:none,capture,msg:'m',logdata:'x'\"\n");
	for (unsigned i = 0; i < CAPTURES; i++)
		buf_printf(
			&rules,
			"SecRule TX:%u \"@unconditionalMatch\" \"id:%u,phase:1,pass,log,t:none,"
			"t:sha1,t:hexEncode,msg:'m',logdata:'%%{MATCHED_VAR}'\"\n",
			i, 100 + i);
	oracle = oracle_try(buf_cstr(&rules));
	buf_release(&rules);
	return oracle;
}

static struct operator* make_operator(const char *text, const char *path)
{
	struct operator_options options = {.load = load, .libinjection = libinjection};
	struct operator_text parts;
	struct operator* op;
	struct err err = {0};

	assert_int_equal(operator_text_parse(span_cstr(text), &parts, &err), 0);
	if (path[0])
		parts.parameter = span_cstr(path);
	op = operator_new(&parts, &options, &err);
	if (!op)
		fail_msg("%s: %s", text, err.message);
	return op;
}

static void operators_answer_as_those_of_libmodsecurity(void **state)
{
	unsigned wrong = 0;
	char value[1024], path[64];

	(void)state;
	for (size_t n = 0; n < COUNT_OF(operators); n++) {
		struct oracle *oracle;
		struct operator* op;
		unsigned matched = 0;

		oracle = make_oracle(operators[n], path, sizeof(path));
		assert_non_null(oracle);
		op = make_operator(operators[n], path);
		for (unsigned i = 0; i < 300 && wrong < 20; i++) {
			struct span v = random_value(value);

			if (!is_unsafe_there(op, v))
				wrong += check(oracle, op, v);
			matched += operator_match(op, scratch, SPAN_NONE, v, NULL);
		}
		operator_free(op);
		oracle_free(oracle);
		if (path[0])
			(void)remove(path);
		if (matched == 0 && !strstr(operators[n], "!@unconditional") &&
		    !strstr(operators[n], "9223372036854775807"))
			fail_msg("%s matches no value", operators[n]);
	}
	assert_int_equal(wrong, 0);
}

#ifdef HAVE_FUZZY
#define FUZZY_TEXT 20000

/* Text that is like `base` but in one of `every` places. */
static void vary(char *to, const char *base, unsigned every)
{
	memcpy(to, base, FUZZY_TEXT);
	for (size_t i = 0; every && i < FUZZY_TEXT; i++)
		if (next_random(every) == 0)
			to[i] = (char)('a' + next_random(26));
}

/* A file of hashes as ssdeep writes it, and one rule for each score. */
static struct oracle *fuzzy_oracle(const char *base, const char *path, const unsigned *scores,
				   size_t count)
{
	struct oracle *oracle;
	char hash[FUZZY_MAX_RESULT];
	FILE *file = fopen(path, "w");
	struct buf rules;

	assert_non_null(file);
	assert_int_equal(fuzzy_hash_buf((const unsigned char *)base, FUZZY_TEXT, hash), 0);
	assert_true(fprintf(file,
			    "ssdeep,1.1--blocksize:hash:hash,filename\n"
			    "3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C,\"other\"\n%s,\"x\"\n",
			    hash) > 0);
	assert_int_equal(fclose(file), 0);
	buf_init(&rules, 65536);
	buf_append_cstr(&rules, "SecRuleEngine On\n");
	for (size_t i = 0; i < count; i++)
		buf_printf(&rules,
			   "SecRule REQUEST_HEADERS:x \"@fuzzyHash %s %u\" "
			   "\"id:%zu,phase:1,pass,log,t:none,msg:'m',logdata:'x'\"\n",
			   path, scores[i], i + 1);
	oracle = oracle_new(buf_cstr(&rules));
	buf_release(&rules);
	return oracle;
}

static void count_rules(void *context, unsigned rule_id, struct span data)
{
	bool *matched = context;

	(void)data;
	matched[rule_id - 1] = true;
}

static int load_path(void *context, struct span name, struct buf *to, struct err *err)
{
	char bytes[4096];
	char path[128];
	FILE *file;
	size_t got;

	(void)context;
	(void)err;
	(void)snprintf(path, sizeof(path), "%.*s", SPAN_ARG(name));
	file = fopen(path, "r");
	assert_non_null(file);
	got = fread(bytes, 1, sizeof(bytes), file);
	assert_int_equal(fclose(file), 0);
	return buf_append_bytes(to, bytes, got);
}

static void likeness_is_measured_as_by_libmodsecurity(void **state)
{
	static const unsigned scores[] = {1, 30, 60, 90, 100};
	static const unsigned variants[] = {0, 5000, 1000, 200, 50, 2};
	static char base[FUZZY_TEXT], value[FUZZY_TEXT];
	struct operator* ops[COUNT_OF(scores)];
	unsigned seen[2] = {0, 0};
	char path[] = "/tmp/sallyport-hashes-XXXXXX";
	int fd = mkstemp(path);
	struct oracle *oracle;

	(void)state;
	assert_true(fd >= 0 && close(fd) == 0);
	for (size_t i = 0; i < FUZZY_TEXT; i++)
		base[i] = (char)('a' + next_random(26));
	oracle = fuzzy_oracle(base, path, scores, COUNT_OF(scores));
	for (size_t i = 0; i < COUNT_OF(scores); i++) {
		struct operator_options options = {.load = load_path};
		struct operator_text parts = {.kind = OPERATOR_FUZZY_HASH};
		char parameter[128];
		struct err err = {0};

		(void)snprintf(parameter, sizeof(parameter), "%s %u", path, scores[i]);
		parts.parameter = span_cstr(parameter);
		ops[i] = operator_new(&parts, &options, &err);
		if (!ops[i])
			fail_msg("%s", err.message);
	}
	for (size_t v = 0; v < COUNT_OF(variants); v++) {
		bool there[COUNT_OF(scores)] = {false};

		vary(value, base, variants[v]);
		oracle_header(oracle, span_of(value, FUZZY_TEXT), count_rules, there);
		for (size_t i = 0; i < COUNT_OF(scores); i++) {
			bool here = operator_match(ops[i], scratch, SPAN_NONE,
						   span_of(value, FUZZY_TEXT), NULL);

			if (here != there[i])
				fail_msg("one of %u changed, score %u: %s here", variants[v],
					 scores[i], here ? "like" : "not like");
			seen[here]++;
		}
	}
	assert_true(seen[0] > 0 && seen[1] > 0);
	for (size_t i = 0; i < COUNT_OF(scores); i++)
		operator_free(ops[i]);
	oracle_free(oracle);
	(void)remove(path);
}
#endif

/* What docs/waf.md says that ModSecurity 3 does not have. */
static void what_is_refused_here_is_refused_there(void **state)
{
	static const char *const rules[] = {
		"SecRule ARGS \"@rsub s/a/b/\" \"id:1,phase:2,pass\"\n",
		"SecRule ARGS \"@gsbLookup a\" \"id:1,phase:2,pass\"\n",
		"SecRule ARGS \"@validateHash a\" \"id:1,phase:2,pass\"\n",
		"SecAction \"id:1,phase:2,pass,append:a\"\n",
		"SecAction \"id:1,phase:2,pass,prepend:a\"\n",
		"SecAction \"id:1,phase:2,pass,proxy:http://a/\"\n",
		"SecAction \"id:1,phase:2,pass,pause:1\"\n",
		"SecAction \"id:1,phase:2,pass,deprecatevar:ip.x=1/2\"\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct oracle *oracle = oracle_try(rules[i]);

		if (oracle)
			fail_msg("libmodsecurity takes %s", rules[i]);
	}
}

static void on_rule_one(void *context, unsigned rule_id, struct span data)
{
	bool *told = context;

	(void)data;
	*told = *told || rule_id == 1;
}

/* A chain sets 0 when it matches, the change 7: rule 1 tells whether that was made. */
static bool is_change_made(const char *change)
{
	struct oracle *oracle;
	bool told = false;
	char rules[600];

	(void)snprintf(rules, sizeof(rules),
		       "SecRuleEngine On\n"
		       "SecRule REQUEST_HEADERS:x \"@contains a\" "
		       "\"id:3,phase:1,pass,setvar:tx.z=0,chain\"\n"
		       "SecRule REQUEST_HEADERS:x \"@contains b\" \"t:none\"\n"
		       "SecRule TX:z \"@eq 7\" \"id:1,phase:1,pass,log,msg:'m',logdata:'x'\"\n"
		       "%s\n",
		       change);
	oracle = oracle_new(rules);
	oracle_header(oracle, SPAN("ab"), on_rule_one, &told);
	oracle_free(oracle);
	return told;
}

/* Why a single link of a chain is refused here: there it is the same as the whole rule. */
static void what_stands_behind_the_colon_of_a_rule_is_not_read_there(void **state)
{
	(void)state;
	assert_false(is_change_made(""));
	assert_true(is_change_made("SecRuleUpdateActionById 3 \"setvar:tx.z=7\""));
	assert_true(is_change_made("SecRuleUpdateActionById 3:1 \"setvar:tx.z=7\""));
	assert_true(is_change_made("SecRuleUpdateActionById 3:9 \"setvar:tx.z=7\""));
	assert_true(is_change_made("SecRuleUpdateActionById 3:x \"setvar:tx.z=7\""));
}

/* The first byte of what the program of inspectFile writes says whether the rule matches. */
static void programs_approve_there_as_here(void **state)
{
	static const struct {
		const char *value;
		bool matches;
	} cases[] = {{"'1'", false}, {"'1 clean'", false}, {"'0 bad'", true}, {"'no'", true}};
	char path[] = "/tmp/sallyport-program-XXXXXX";
	static const char script[] = "#!/bin/sh\necho \"$1\"\n";
	int fd = mkstemp(path);
	struct oracle *oracle;
	char rule[256];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, script, sizeof(script) - 1), sizeof(script) - 1);
	assert_true(fchmod(fd, 0700) == 0 && close(fd) == 0);
	(void)snprintf(rule, sizeof(rule),
		       "SecRuleEngine On\nSecRule REQUEST_HEADERS:x \"@inspectFile %s\" "
		       "\"id:1,phase:1,pass,log,t:none,msg:'m',logdata:'x'\"\n",
		       path);
	oracle = oracle_new(rule);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct answer answer = {0};

		oracle_header(oracle, span_cstr(cases[i].value), on_match, &answer);
		assert_int_equal(answer.matched, cases[i].matches);
	}
	oracle_free(oracle);
	(void)unlink(path);
}

static void realistic_values_too(void **state)
{
	static const char *const some[] = {
		"@detectSQLi",		"@detectXSS",
		"@pmFromFile FILE",	"@rx (?i)(select|union)\\W+(\\w+)",
		"@validateUrlEncoding", "@containsWord or"};
	unsigned wrong = 0;

	(void)state;
	for (size_t n = 0; n < COUNT_OF(some); n++) {
		struct waf_data data;
		struct span value;
		struct oracle *oracle;
		struct operator* op;
		unsigned count = 0;
		char path[64];

		if (!waf_data_open(&data))
			skip();
		oracle = make_oracle(some[n], path, sizeof(path));
		assert_non_null(oracle);
		op = make_operator(some[n], path);
		while (waf_data_next(&data, &value, NULL))
			if (count++ % 25 == 0 && wrong < 20)
				wrong += check(oracle, op, value);
		operator_free(op);
		oracle_free(oracle);
		waf_data_close(&data);
		if (path[0])
			(void)remove(path);
	}
	assert_int_equal(wrong, 0);
}

static int set_up(void **state)
{
	struct err err = {0};

	(void)state;
	libinjection = libinjection_open(NULL, &err);
	scratch = operator_scratch_new(&OPERATOR_LIMITS_DEFAULT, &err);
	return libinjection && scratch ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	regex_scratch_free(scratch);
	libinjection_close(libinjection);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operators_answer_as_those_of_libmodsecurity),
		cmocka_unit_test(what_is_refused_here_is_refused_there),
		cmocka_unit_test(what_stands_behind_the_colon_of_a_rule_is_not_read_there),
		cmocka_unit_test(programs_approve_there_as_here),
#ifdef HAVE_FUZZY
		cmocka_unit_test(likeness_is_measured_as_by_libmodsecurity),
#endif
		cmocka_unit_test(realistic_values_too),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
