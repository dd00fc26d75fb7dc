/* uri_test.c - request targets, queries and authorities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/uri.h"

struct normal_case {
	const char *target;
	enum uri_result result;
	const char *path, *query; /* NULL: none */
};

static void check(const struct normal_case *c)
{
	char scratch[128], again[128];
	struct span path, query, path2, query2;
	size_t len = strlen(c->target);
	char *copy = mem_alloc(len ? len : 1); /* of exactly this size: ASan watches its end */
	enum uri_result result;

	assert_non_null(copy);
	assert_true(len <= sizeof(scratch));
	memcpy(copy, c->target, len);
	result = uri_normalize(span_of(copy, len), scratch, len, &path, &query);
	if (result != c->result)
		fail_msg("\"%s\" gave %s", c->target, uri_result_text(result));
	if (result == URI_OK) {
		if (!span_eq(path, span_cstr(c->path)))
			fail_msg("\"%s\" gave path \"%.*s\"", c->target, SPAN_ARG(path));
		assert_int_equal(query.ptr != NULL, c->query != NULL);
		assert_true(span_eq(query, span_cstr(c->query)));
		/* What is normal stays as it is. */
		assert_int_equal(uri_normalize(path, again, sizeof(again), &path2, &query2),
				 URI_OK);
		assert_true(span_eq(path, path2));
	}
	mem_free(copy);
}

static void normal_paths_are_returned_without_a_copy(void **state)
{
	static const char *const targets[] = {
		"/", "/a", "/a/b/", "/a.b/c..d/e.", "/a;b=c/d", "/-_~!$&'()*+,;=:@", "/a?b"};
	struct span path, query;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		struct span target = span_cstr(targets[i]);

		assert_int_equal(uri_normalize(target, NULL, 0, &path, &query), URI_OK);
		assert_ptr_equal(path.ptr, target.ptr);
	}
}

static void paths_are_normalised(void **state)
{
	static const struct normal_case cases[] = {
		{"/%61%7E%2D%5F%2e5", URI_OK, "/a~-_.5", NULL},
		{"/%c3%a9/%20%25", URI_OK, "/%C3%A9/%20%25", NULL},
		{"/%2541", URI_OK, "/%2541", NULL},
		{"/%21%3b%3D", URI_OK, "/%21%3B%3D", NULL},
		{"/a/./b/../c", URI_OK, "/a/c", NULL},
		{"/a/%2e/b/%2E%2e/c", URI_OK, "/a/c", NULL},
		{"/a/.%2e/c", URI_OK, "/c", NULL},
		{"/.", URI_OK, "/", NULL},
		{"/a/..", URI_OK, "/", NULL},
		{"/a/b/..", URI_OK, "/a/", NULL},
		{"/a/b/.", URI_OK, "/a/b/", NULL},
		{"/a/b/../", URI_OK, "/a/", NULL},
		{"//", URI_OK, "/", NULL},
		{"//a///b//", URI_OK, "/a/b/", NULL},
		{"/a//../b", URI_OK, "/b", NULL},
		{"/...", URI_OK, "/...", NULL},
		{"/.a/..b/c./d..", URI_OK, "/.a/..b/c./d..", NULL},
		{"/.well-known/x?y", URI_OK, "/.well-known/x", "y"},
		{"/a/../b?../c//%2e", URI_OK, "/b", "../c//%2e"},
		{"/a?", URI_OK, "/a", ""},
		{"/a?b?c", URI_OK, "/a", "b?c"},
		{"/a;b/..;c=d/e", URI_BAD_BYTE, NULL, NULL},
		{"/a/.;/b", URI_BAD_BYTE, NULL, NULL},
		{"/a/..%3b/b", URI_BAD_BYTE, NULL, NULL},
		{"/a/%2e%2e;", URI_BAD_BYTE, NULL, NULL},
		{"/a..;/b", URI_OK, "/a..;/b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check(&cases[i]);
}

static void bad_paths_are_refused(void **state)
{
	static const struct normal_case cases[] = {
		{"", URI_BAD_BYTE, NULL, NULL},
		{"a", URI_BAD_BYTE, NULL, NULL},
		{"*", URI_BAD_BYTE, NULL, NULL},
		{"?a", URI_BAD_BYTE, NULL, NULL},
		{"/a b", URI_BAD_BYTE, NULL, NULL},
		{"/a#b", URI_BAD_BYTE, NULL, NULL},
		{"/a\"", URI_BAD_BYTE, NULL, NULL},
		{"/<a>", URI_BAD_BYTE, NULL, NULL},
		{"/[a]", URI_BAD_BYTE, NULL, NULL},
		{"/a|b", URI_BAD_BYTE, NULL, NULL},
		{"/\xc3\xa9", URI_BAD_BYTE, NULL, NULL},
		{"/a\x7f", URI_BAD_BYTE, NULL, NULL},
		{"/a\\b", URI_BACKSLASH, NULL, NULL},
		{"/%", URI_BAD_ESCAPE, NULL, NULL},
		{"/%4", URI_BAD_ESCAPE, NULL, NULL},
		{"/%4g", URI_BAD_ESCAPE, NULL, NULL},
		{"/%g4", URI_BAD_ESCAPE, NULL, NULL},
		{"/%u0041", URI_BAD_ESCAPE, NULL, NULL},
		{"/%%41", URI_BAD_ESCAPE, NULL, NULL},
		{"/a%2fb", URI_ENCODED_SLASH, NULL, NULL},
		{"/a%2Fb", URI_ENCODED_SLASH, NULL, NULL},
		{"/a%5cb", URI_ENCODED_SLASH, NULL, NULL},
		{"/a%00b", URI_NUL, NULL, NULL},
		{"/a%0d%0ab", URI_CONTROL, NULL, NULL},
		{"/a%09", URI_CONTROL, NULL, NULL},
		{"/a%7F", URI_CONTROL, NULL, NULL},
		{"/..", URI_ABOVE_ROOT, NULL, NULL},
		{"/../a", URI_ABOVE_ROOT, NULL, NULL},
		{"/a/../../b", URI_ABOVE_ROOT, NULL, NULL},
		{"/%2e%2e/a", URI_ABOVE_ROOT, NULL, NULL},
		{"/./..", URI_ABOVE_ROOT, NULL, NULL},
		{"/%c0%af", URI_BAD_UTF8, NULL, NULL},
		{"/%c3", URI_BAD_UTF8, NULL, NULL},
		{"/%c3/", URI_BAD_UTF8, NULL, NULL},
		{"/%c3a", URI_BAD_UTF8, NULL, NULL},
		{"/%c3%41", URI_BAD_UTF8, NULL, NULL},
		{"/%c3?a", URI_BAD_UTF8, NULL, NULL},
		{"/%a9", URI_BAD_UTF8, NULL, NULL},
		{"/%e0%80%af", URI_BAD_UTF8, NULL, NULL},
		{"/%ed%a0%80", URI_BAD_UTF8, NULL, NULL},
		{"/%f4%90%80%80", URI_BAD_UTF8, NULL, NULL},
		{"/%f0%80%80%af", URI_BAD_UTF8, NULL, NULL},
		{"/%ff", URI_BAD_UTF8, NULL, NULL},
		{"/%f0%9f%90%98", URI_OK, "/%F0%9F%90%98", NULL},
		{"/%ef%bf%bd", URI_OK, "/%EF%BF%BD", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check(&cases[i]);
}

static void queries_are_checked_and_kept(void **state)
{
	static const struct normal_case cases[] = {
		{"/?a=%2F%5c%0a%c0&b[]={x|y}^`", URI_OK, "/", "a=%2F%5c%0a%c0&b[]={x|y}^`"},
		{"/?a=b/c?d:@!$'()*+,;=-._~", URI_OK, "/", "a=b/c?d:@!$'()*+,;=-._~"},
		{"/?a=%00", URI_NUL, NULL, NULL},
		{"/?a=%", URI_BAD_ESCAPE, NULL, NULL},
		{"/?a=%zz", URI_BAD_ESCAPE, NULL, NULL},
		{"/?a=100%&b=c", URI_BAD_ESCAPE, NULL, NULL},
		{"/?a b", URI_BAD_BYTE, NULL, NULL},
		{"/?a#b", URI_BAD_BYTE, NULL, NULL},
		{"/?a=\"b\"", URI_BAD_BYTE, NULL, NULL},
		{"/?<a>", URI_BAD_BYTE, NULL, NULL},
		{"/?\xc3\xa9", URI_BAD_BYTE, NULL, NULL},
		{"/?a\\b", URI_BACKSLASH, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check(&cases[i]);
}

static void too_little_scratch_is_told(void **state)
{
	struct span path, query;
	char scratch[8];

	(void)state;
	assert_int_equal(
		uri_normalize(SPAN("//1234567"), scratch, sizeof(scratch), &path, &query),
		URI_TOO_LONG);
	assert_int_equal(
		uri_normalize(SPAN("//123456"), scratch, sizeof(scratch), &path, &query),
		URI_OK);
}

static void decoding_takes_every_escape(void **state)
{
	char to[32];
	size_t len;

	(void)state;
	assert_int_equal(uri_decode(SPAN("a%20b+c%2F%00"), false, to, &len), URI_OK);
	assert_true(span_eq(span_of(to, len), SPAN("a b+c/\0")));
	assert_int_equal(uri_decode(SPAN("a%2Bb+c"), true, to, &len), URI_OK);
	assert_true(span_eq(span_of(to, len), SPAN("a+b c")));
	assert_int_equal(uri_decode(SPAN(""), true, to, &len), URI_OK);
	assert_int_equal(len, 0);
	assert_int_equal(uri_decode(SPAN_NONE, true, to, &len), URI_OK);
	assert_int_equal(len, 0);
	assert_int_equal(uri_decode(SPAN("a%2"), true, to, &len), URI_BAD_ESCAPE);
	assert_int_equal(uri_decode(SPAN("%x0"), true, to, &len), URI_BAD_ESCAPE);
}

static void queries_are_walked_pair_by_pair(void **state)
{
	struct span rest = SPAN("a=b&&c&=d&e=f=g&");
	struct span name, value;

	(void)state;
	assert_true(uri_query_next(&rest, &name, &value));
	assert_true(span_eq(name, SPAN("a")) && span_eq(value, SPAN("b")));
	assert_true(uri_query_next(&rest, &name, &value));
	assert_true(span_eq(name, SPAN("c")) && value.ptr == NULL);
	assert_true(uri_query_next(&rest, &name, &value));
	assert_true(name.len == 0 && span_eq(value, SPAN("d")));
	assert_true(uri_query_next(&rest, &name, &value));
	assert_true(span_eq(name, SPAN("e")) && span_eq(value, SPAN("f=g")));
	assert_false(uri_query_next(&rest, &name, &value));
	assert_false(uri_query_next(&rest, &name, &value));
}

static void authorities_are_split(void **state)
{
	struct span host;
	unsigned port;
	char longest[260];

	(void)state;
	assert_true(uri_split_authority(SPAN("a.example:8080"), &host, &port));
	assert_true(span_eq(host, SPAN("a.example")) && port == 8080);
	assert_true(uri_split_authority(SPAN("[2001:db8::1]"), &host, &port));
	assert_true(span_eq(host, SPAN("[2001:db8::1]")) && port == 0);
	assert_true(uri_split_authority(SPAN("[::ffff:1.2.3.4]:65535"), &host, &port));
	assert_int_equal(port, 65535);
	assert_false(uri_split_authority(SPAN(""), &host, &port));
	assert_false(uri_split_authority(SPAN_NONE, &host, &port));
	assert_false(uri_split_authority(SPAN("[]"), &host, &port));
	assert_false(uri_split_authority(SPAN("[::g]"), &host, &port));
	assert_false(uri_split_authority(SPAN("[::1\0]"), &host, &port));
	assert_false(uri_split_authority(SPAN("[1:2:3:4:5:6:7:8:9]"), &host, &port));
	assert_false(uri_split_authority(
		SPAN("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), &host, &port));
	memset(longest, 'a', sizeof(longest));
	assert_true(uri_split_authority(span_of(longest, 255), &host, &port));
	assert_false(uri_split_authority(span_of(longest, 256), &host, &port));
}

static void absolute_uris_of_a_configuration_are_split(void **state)
{
	struct uri_parts parts;

	(void)state;
	assert_true(uri_parse_absolute(SPAN("https://a.example"), &parts));
	assert_true(span_eq(parts.scheme, SPAN("https")) && parts.port == 443);
	assert_true(span_eq(parts.host, SPAN("a.example")));
	assert_true(span_eq(parts.path, SPAN("/")) && parts.query.ptr == NULL);
	assert_true(uri_parse_absolute(SPAN("HTTP://[::1]:8080/a/b%20?c=d"), &parts));
	assert_true(span_eq(parts.host, SPAN("::1")) && parts.port == 8080);
	assert_true(span_eq(parts.path, SPAN("/a/b%20")) && span_eq(parts.query, SPAN("c=d")));
	assert_true(uri_parse_absolute(SPAN("http://a?b"), &parts));
	assert_true(span_eq(parts.path, SPAN("/")) && span_eq(parts.query, SPAN("b")));
	assert_int_equal(parts.port, 80);
	assert_false(uri_parse_absolute(SPAN(""), &parts));
	assert_false(uri_parse_absolute(SPAN_NONE, &parts));
	assert_false(uri_parse_absolute(SPAN("a.example"), &parts));
	assert_false(uri_parse_absolute(SPAN("ftp://a"), &parts));
	assert_false(uri_parse_absolute(SPAN("http:a"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://u@a/"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://a:99999/"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://a/b c"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://a/b%2"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://a/b#c"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://a/b?c#d"), &parts));
	assert_false(uri_parse_absolute(SPAN("http://a#c"), &parts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal_paths_are_returned_without_a_copy),
		cmocka_unit_test(paths_are_normalised),
		cmocka_unit_test(bad_paths_are_refused),
		cmocka_unit_test(queries_are_checked_and_kept),
		cmocka_unit_test(too_little_scratch_is_told),
		cmocka_unit_test(decoding_takes_every_escape),
		cmocka_unit_test(queries_are_walked_pair_by_pair),
		cmocka_unit_test(authorities_are_split),
		cmocka_unit_test(absolute_uris_of_a_configuration_are_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
