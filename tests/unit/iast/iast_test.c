#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "iast/collect.h"

/* ---- requests -------------------------------------------------------------------------------- */

static void expect_seen(const struct iast_request *r, enum iast_origin origin, const char *name,
			const char *text)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->values[i].origin == origin &&
		    span_eq(r->values[i].name, span_cstr(name)) &&
		    span_eq(r->values[i].text, span_cstr(text)))
			return;
	fail_msg("no %s %s=%s", iast_origin_name(origin), name, text);
}

static void every_value_of_a_request_is_seen_as_the_service_sees_it(void **state)
{
	static struct iast_request r;

	(void)state;
	assert_true(iast_request_read(
		&r, SPAN("POST /a%20b/17?q=x%27+y&empty=&flag HTTP/1.1\r\nHost: h\r\n"
			 "X-Who: me\r\nCookie: sid=1a; theme=%64ark\r\n"
			 "Content-Type: application/json; charset=utf-8\r\n\r\n"
			 "{\"name\": \"O\\u0027Neil\\n\", \"list\": [\"a\\\"b\", -1.5e3], "
			 "\"deep\": {\"k\": \"v\"}}")));
	assert_true(span_eq(r.method, SPAN("POST")) && span_eq(r.path, SPAN("/a%20b/17")));
	expect_seen(&r, IAST_PATH, "segment", "a b");
	expect_seen(&r, IAST_PATH, "segment", "17");
	expect_seen(&r, IAST_QUERY, "q", "x' y");
	expect_seen(&r, IAST_HEADER, "X-Who", "me");
	expect_seen(&r, IAST_COOKIE, "sid", "1a");
	expect_seen(&r, IAST_COOKIE, "theme", "dark");
	expect_seen(&r, IAST_JSON, "name", "O'Neil\n");
	expect_seen(&r, IAST_JSON, "list", "a\"b");
	expect_seen(&r, IAST_JSON, "list", "-1.5e3");
	expect_seen(&r, IAST_JSON, "k", "v");
	assert_int_equal(r.count, 10);
	assert_true(iast_request_read(
		&r, SPAN("POST /f HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
			 "\r\n\r\nname=a+b&x=%3Cb%3E&bad=%4")));
	expect_seen(&r, IAST_FORM, "name", "a b");
	expect_seen(&r, IAST_FORM, "x", "<b>");
	expect_seen(&r, IAST_FORM, "bad", "%4");
}

static void what_is_no_request_is_none(void **state)
{
	static struct iast_request r;

	(void)state;
	assert_false(iast_request_read(&r, SPAN("")));
	assert_false(iast_request_read(&r, SPAN("GET / HTTP/1.1\r\nHost: h\r\n")));
	assert_false(iast_request_read(&r, SPAN("HTTP/1.1 200 OK\r\n\r\n")));
	assert_false(iast_request_read(&r, SPAN("GET /\r\n\r\n")));
	assert_false(iast_request_starts(SPAN("GE")));
	assert_true(iast_request_starts(SPAN("GET")) && iast_request_starts(SPAN("PATCH /")));
	assert_false(iast_request_starts(SPAN("\x16\x03\x01")));
}

/* ---- statements ------------------------------------------------------------------------------ */

static void expect_sql(const char *statement, const char *value, enum taint taint)
{
	struct taint_result result = taint_sql(span_cstr(statement), span_cstr(value));

	if (result.taint != taint)
		fail_msg("%s in %s: %d", value, statement, (int)result.taint);
}

static void a_value_that_leaves_its_literal_breaks_the_statement(void **state)
{
	(void)state;
	expect_sql("SELECT * FROM t WHERE a = '' OR '1'='1'", "' OR '1'='1", TAINT_BROKEN);
	expect_sql("SELECT * FROM t WHERE a = 'x' --'", "x' --", TAINT_BROKEN);
	expect_sql("SELECT * FROM t WHERE a = 'x'; DROP TABLE t", "x'; DROP TABLE t",
		   TAINT_BROKEN);
	expect_sql("SELECT * FROM t WHERE id = 1 OR 1=1", "1 OR 1=1", TAINT_BROKEN);
	expect_sql("SELECT * FROM t WHERE id = 1 UNION SELECT 2", "1 UNION SELECT 2",
		   TAINT_BROKEN);
	expect_sql("SELECT * FROM t WHERE id = (SELECT 1)", "(SELECT 1)", TAINT_BROKEN);
	expect_sql("SELECT * FROM t ORDER BY a, (CASE WHEN 1=1 THEN a END)",
		   "a, (CASE WHEN 1=1 THEN a END)", TAINT_BROKEN);
}

static void a_value_within_a_literal_or_a_word_is_joined_into_the_text(void **state)
{
	(void)state;
	expect_sql("SELECT * FROM t WHERE a = 'lamp'", "lamp", TAINT_INSIDE);
	expect_sql("SELECT * FROM t WHERE a LIKE '%lamp%'", "lamp", TAINT_INSIDE);
	expect_sql("SELECT * FROM t WHERE a = 'O''Neil''s'", "O''Neil''s", TAINT_INSIDE);
	expect_sql("SELECT * FROM t WHERE id = 1234", "1234", TAINT_INSIDE);
	expect_sql("SELECT * FROM t ORDER BY price", "price", TAINT_INSIDE);
}

static void a_bound_or_escaped_value_is_not_in_the_statement(void **state)
{
	(void)state;
	expect_sql("SELECT * FROM t WHERE a = ?", "lamp", TAINT_NONE);
	expect_sql("SELECT * FROM t WHERE a = 'O''Neil'", "O'Neil", TAINT_NONE);
	expect_sql("SELECT id FROM t WHERE a = ?", "id", TAINT_NONE);
	expect_sql("SELECT a FROM users WHERE a = ?", "FROM users", TAINT_NONE);
	expect_sql("", "lamp", TAINT_NONE);
}

static uint64_t shape(const char *statement, const char *value)
{
	return taint_sql(span_cstr(statement), span_cstr(value)).shape;
}

static void a_statement_with_other_literals_has_the_same_shape(void **state)
{
	uint64_t lamp = shape("SELECT * FROM t WHERE a = 'lamp' AND n = 17", "lamp");

	(void)state;
	assert_true(lamp == shape("SELECT *  FROM t WHERE a = 'oak''s' AND n = 4", "oak''s"));
	assert_true(lamp != shape("SELECT * FROM t WHERE b = 'lamp' AND n = 17", "lamp"));
	assert_true(lamp != shape("SELECT * FROM t WHERE a = 'other' AND n = 170", "170"));
}

static void literals_are_not_shown(void **state)
{
	char to[128];
	size_t len =
		taint_sql_masked(SPAN("SELECT a FROM \"t\" WHERE b = 'my  ''name'  AND c=4.5 "
				      "AND d=1e9"),
				 to, sizeof(to));

	(void)state;
	assert_true(span_eq(span_of(to, len),
			    SPAN("SELECT a FROM \"t\" WHERE b = ? AND c=? AND d=?")));
	assert_int_equal(taint_sql_masked(SPAN("SELECT"), to, 3), 3);
}

static void expect_shell(const char *line, const char *value, enum taint taint)
{
	struct taint_result result = taint_shell(span_cstr(line), span_cstr(value));

	if (result.taint != taint)
		fail_msg("%s in %s: %d", value, line, (int)result.taint);
}

static void quotes_decide_what_a_value_may_do_in_a_line_of_shell(void **state)
{
	(void)state;
	expect_shell("getent hosts alpha", "alpha", TAINT_INSIDE);
	expect_shell("getent hosts alpha;id", "alpha;id", TAINT_BROKEN);
	expect_shell("getent hosts $(id)", "$(id)", TAINT_BROKEN);
	expect_shell("getent hosts 'alpha'", "alpha", TAINT_NONE);
	expect_shell("getent hosts 'alpha;id'", "alpha;id", TAINT_NONE);
	expect_shell("getent hosts 'x';id;''", "x';id;'", TAINT_BROKEN);
	expect_shell("getent hosts \"alpha;id\"", "alpha;id", TAINT_NONE);
	expect_shell("getent hosts \"$(id)\"", "$(id)", TAINT_BROKEN);
	expect_shell("echo \\' alpha", "alpha", TAINT_INSIDE);
	expect_shell("getent hosts beta", "alpha", TAINT_NONE);
}

static void paths_hosts_and_pages_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(
		taint_path(SPAN("/srv/../../etc/passwd"), SPAN("../../etc/passwd")).taint,
		TAINT_BROKEN);
	assert_int_equal(taint_path(SPAN("/etc/passwd"), SPAN("/etc/passwd")).taint,
			 TAINT_BROKEN);
	assert_int_equal(taint_path(SPAN("/srv/manual.txt"), SPAN("manual.txt")).taint,
			 TAINT_NONE);
	assert_int_equal(taint_path(SPAN("/srv/etc/passwd"), SPAN("../etc/passwd")).taint,
			 TAINT_NONE);
	assert_int_equal(taint_host(SPAN("db.test"), SPAN("http://DB.test:80/x")).taint,
			 TAINT_INSIDE);
	assert_int_equal(taint_host(SPAN("db.test"), SPAN("db.test.other")).taint, TAINT_NONE);
	assert_int_equal(taint_html(SPAN("<p><b>hi</b>"), SPAN("<b>hi</b>")).taint,
			 TAINT_BROKEN);
	assert_int_equal(taint_html(SPAN("<p>&lt;b>hi"), SPAN("<b>hi")).taint, TAINT_NONE);
	assert_int_equal(taint_html(SPAN("1 < 2"), SPAN("1 < 2")).taint, TAINT_NONE);
}

/* ---- records and findings -------------------------------------------------------------------- */

static struct iast_record record(enum taint taint, const char *path, const char *value)
{
	return (struct iast_record){.sink = IAST_SQL,
				    .taint = taint,
				    .shape = 7,
				    .value = taint_hash(span_cstr(value), 0),
				    .origin = IAST_QUERY,
				    .parameter = SPAN("q"),
				    .method = SPAN("GET"),
				    .path = span_cstr(path),
				    .detail = SPAN("SELECT ?"),
				    .program = SPAN("app")};
}

static void a_record_comes_back_as_it_was_written(void **state)
{
	struct iast_record r = record(TAINT_BROKEN, "/a\nb", "v"), again;
	char text[IAST_RECORD_BYTES];
	size_t len = iast_record_write(&r, text);

	(void)state;
	assert_true(iast_record_read(&again, span_of(text, len)));
	assert_int_equal(again.taint, TAINT_BROKEN);
	assert_int_equal(again.origin, IAST_QUERY);
	assert_true(again.value == r.value && again.shape == 7);
	assert_true(span_eq(again.path, SPAN("/a?b")) && span_eq(again.detail, r.detail));
	for (size_t i = 0; i < len; i++)
		assert_false(iast_record_read(&again, span_of(text, i)));
	assert_false(iast_record_read(&again, SPAN("iast1\n9 1 1 1 1\na\nb\nc\nd\ne\n")));
	assert_false(iast_record_read(&again, SPAN("iast1\n0 0 1 1 1\na\nb\nc\nd\ne\n")));
}

static void put(struct iast_collection *c, const struct iast_record *r)
{
	char text[IAST_RECORD_BYTES];

	assert_int_equal(iast_collection_add(c, span_of(text, iast_record_write(r, text))), 0);
}

static void expect_findings(const struct iast_record *records, size_t count,
			    const char *const *rules)
{
	struct iast_collection c;
	struct finding_list findings;
	struct arena arena;
	size_t i = 0;

	arena_init(&arena, 1 << 20, 4096);
	iast_collection_init(&c, &arena);
	finding_list_init(&findings, &arena);
	for (size_t at = 0; at < count; at++)
		put(&c, &records[at]);
	assert_int_equal(iast_collection_find(&c, &findings), 0);
	for (; rules[i]; i++) {
		assert_true(i < findings.count);
		assert_true(span_eq(findings.at[i].rule, span_cstr(rules[i])));
	}
	assert_int_equal(findings.count, i);
	arena_release(&arena);
}

#define RULES(...)                                                                             \
	(const char *const[])                                                                  \
	{                                                                                      \
		__VA_ARGS__, NULL                                                              \
	}

static void one_value_may_be_chance_two_are_not(void **state)
{
	struct iast_record r[] = {
		record(TAINT_INSIDE, "/p", "a"),
		record(TAINT_INSIDE, "/p", "a"),
		record(TAINT_INSIDE, "/p", "b"),
	};

	(void)state;
	expect_findings(r, 2, RULES(NULL));
	expect_findings(r, 3, RULES("iast-sql-concatenation"));
	r[2].shape = 8;
	expect_findings(r, 3, RULES(NULL));
}

static void a_parameter_is_told_once_by_the_worst_that_was_seen(void **state)
{
	struct iast_record r[] = {
		record(TAINT_INSIDE, "/p/17", "a"),   record(TAINT_INSIDE, "/p/23", "b"),
		record(TAINT_BROKEN, "/p/99", "c'"),  record(TAINT_BROKEN, "/p/98", "d'"),
		record(TAINT_BROKEN, "/other", "c'"),
	};

	(void)state;
	r[3].shape = 9;
	expect_findings(r, 5, RULES("iast-sql-injection", "iast-sql-injection"));
}

static void what_is_no_record_is_counted(void **state)
{
	struct iast_collection c;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	iast_collection_init(&c, &arena);
	assert_int_equal(iast_collection_add(&c, SPAN("hello")), 0);
	assert_int_equal(c.unreadable, 1);
	assert_int_equal(c.count, 0);
	arena_release(&arena);
}

static void without_memory_collecting_fails(void **state)
{
	struct iast_record r = record(TAINT_BROKEN, "/p/17", "a");
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		struct finding_list findings;
		struct iast_collection c;
		struct arena arena;
		char text[IAST_RECORD_BYTES];
		size_t len = iast_record_write(&r, text);
		int result;

		arena_init(&arena, 1 << 20, 64);
		iast_collection_init(&c, &arena);
		finding_list_init(&findings, &arena);
		mem_fail_at(n);
		result = iast_collection_add(&c, span_of(text, len));
		if (result == 0)
			result = iast_collection_find(&c, &findings);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_int_equal(result, failed ? -1 : 0);
		arena_release(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_of_a_request_is_seen_as_the_service_sees_it),
		cmocka_unit_test(what_is_no_request_is_none),
		cmocka_unit_test(a_value_that_leaves_its_literal_breaks_the_statement),
		cmocka_unit_test(a_value_within_a_literal_or_a_word_is_joined_into_the_text),
		cmocka_unit_test(a_bound_or_escaped_value_is_not_in_the_statement),
		cmocka_unit_test(a_statement_with_other_literals_has_the_same_shape),
		cmocka_unit_test(literals_are_not_shown),
		cmocka_unit_test(quotes_decide_what_a_value_may_do_in_a_line_of_shell),
		cmocka_unit_test(paths_hosts_and_pages_are_told_apart),
		cmocka_unit_test(a_record_comes_back_as_it_was_written),
		cmocka_unit_test(one_value_may_be_chance_two_are_not),
		cmocka_unit_test(a_parameter_is_told_once_by_the_worst_that_was_seen),
		cmocka_unit_test(what_is_no_record_is_counted),
		cmocka_unit_test(without_memory_collecting_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
