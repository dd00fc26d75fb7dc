#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "waf/body.h"

static struct arena arena;
static struct body_limits limits;
static struct body_error error;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 22, 4096);
	limits = BODY_LIMITS_DEFAULT;
	error = (struct body_error){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static void assert_pair(const struct body_pairs *pairs, size_t i, const char *name,
			const char *value)
{
	assert_true(i < pairs->count);
	if (!span_eq(pairs->items[i].name, span_cstr(name)) ||
	    !span_eq(pairs->items[i].value, span_cstr(value)))
		fail_msg("%.*s=%.*s instead of %s=%s", SPAN_ARG(pairs->items[i].name),
			 SPAN_ARG(pairs->items[i].value), name, value);
}

static void queries_become_arguments(void **state)
{
	struct body_pairs p = {0};
	bool invalid = false;

	(void)state;
	assert_int_equal(body_query(&arena, SPAN("a=1&b&&c=x%3Dy+z=&"), '&', &limits, &p,
				    &invalid, &error),
			 0);
	assert_int_equal(p.count, 4);
	assert_pair(&p, 0, "a", "1");
	assert_pair(&p, 1, "b", "");
	assert_pair(&p, 2, "", "");
	assert_pair(&p, 3, "c", "x=y z=");
	assert_false(invalid);
	assert_int_equal(body_query(&arena, SPAN("d=%4"), ';', &limits, &p, &invalid, &error),
			 0);
	assert_pair(&p, 4, "d", "%4");
	assert_true(invalid);
}

static void what_needs_no_decoding_is_not_copied(void **state)
{
	struct span text = SPAN("name=value");
	struct body_pairs p = {0};
	bool invalid = false;

	(void)state;
	assert_int_equal(body_query(&arena, text, '&', &limits, &p, &invalid, &error), 0);
	assert_ptr_equal(p.items[0].name.ptr, text.ptr);
	assert_ptr_equal(p.items[0].value.ptr, text.ptr + 5);
}

static void arguments_beyond_the_limit_are_dropped(void **state)
{
	struct body_pairs p = {0};
	bool invalid = false;

	(void)state;
	limits.max_arguments = 2;
	assert_int_equal(body_query(&arena, SPAN("a&b&c"), '&', &limits, &p, &invalid, &error),
			 0);
	assert_int_equal(p.count, 2);
	assert_true(error.arguments_exceeded && !error.failed);
	assert_int_equal(body_json(&arena, SPAN("[1,2,3]"), &limits, &p, &error), 0);
	assert_int_equal(p.count, 4);
	assert_true(error.failed);
}

static void bodies_over_the_limit_are_in_error(void **state)
{
	struct body_pairs p = {0};
	struct body_xml *xml;
	bool invalid = false;

	(void)state;
	limits.max_no_files_bytes = 3;
	assert_int_equal(
		body_urlencoded(&arena, SPAN("a=12"), '&', &limits, &p, &invalid, &error), 0);
	assert_true(error.failed && error.no_files_exceeded);
	assert_int_equal(p.count, 0);
	error = (struct body_error){0};
	assert_int_equal(body_json(&arena, SPAN("1234"), &limits, &p, &error), 0);
	assert_true(error.failed && error.no_files_exceeded);
	error = (struct body_error){0};
	assert_int_equal(body_xml_parse(&arena, SPAN("<a/>"), &limits, &xml, &error), 0);
	assert_true(error.failed && error.no_files_exceeded);
	assert_null(xml);
}

static void cookies_are_cut_at_semicolons(void **state)
{
	struct body_pairs p = {0};

	(void)state;
	assert_int_equal(body_cookies(&arena, SPAN("a=1; b = 2;;=x; c; d=e=f \t"), &p), 0);
	assert_int_equal(p.count, 4);
	assert_pair(&p, 0, "a", "1");
	assert_pair(&p, 1, "b ", " 2");
	assert_pair(&p, 2, "c", "");
	assert_pair(&p, 3, "d", "e=f");
}

static void json_scalars_have_paths(void **state)
{
	struct body_pairs p = {0};

	(void)state;
	assert_int_equal(
		body_json(&arena,
			  SPAN("{\"a\":{\"b\":1,\"\":null},\"c\":[true,[2],{\"d\":\"x\\n\"}],"
			       "\"e\":[]}"),
			  &limits, &p, &error),
		0);
	assert_false(error.failed);
	assert_int_equal(p.count, 5);
	assert_pair(&p, 0, "json.a.b", "1");
	assert_pair(&p, 1, "json.a.empty-key", "");
	assert_pair(&p, 2, "json.c.array_0", "true");
	assert_pair(&p, 3, "json.c.array_1.array_0", "2");
	assert_pair(&p, 4, "json.c.array_2.d", "x\n");
	assert_int_equal(body_json(&arena, SPAN("5"), &limits, &p, &error), 0);
	assert_pair(&p, 5, "json", "5");
}

static void broken_and_deep_json_is_in_error(void **state)
{
	struct body_pairs p = {0};

	(void)state;
	assert_int_equal(body_json(&arena, SPAN("{\"a\":1,"), &limits, &p, &error), 0);
	assert_true(error.failed && !error.no_files_exceeded);
	assert_true(span_starts_with(error.message, SPAN("JSON parsing error: ")));
	assert_pair(&p, 0, "json.a", "1");
	error = (struct body_error){0};
	limits.max_depth = 2;
	assert_int_equal(body_json(&arena, SPAN("[[1]]"), &limits, &p, &error), 0);
	assert_false(error.failed);
	assert_int_equal(body_json(&arena, SPAN("[[[1]]]"), &limits, &p, &error), 0);
	assert_true(error.failed);
	error = (struct body_error){0};
	assert_int_equal(body_json(&arena, SPAN(""), &limits, &p, &error), 0);
	assert_false(error.failed);
}

#define TYPE SPAN("multipart/form-data; boundary=B")

static void parts_become_arguments_and_files(void **state)
{
	struct body_multipart m;

	(void)state;
	assert_int_equal(
		body_multipart(&arena, TYPE,
			       SPAN("--B\r\nContent-Disposition: form-data; "
				    "name=\"a\"\r\n\r\n1\r\n2\r\n"
				    "--B\r\nContent-Disposition: form-data; name=\"f\"; "
				    "filename=\"x\\\"y\"\r\nContent-Type: "
				    "text/plain\r\n\r\nabc\r\nd\r\n"
				    "--B--\r\n"),
			       true, &limits, &m, &error),
		0);
	assert_false(error.failed);
	assert_int_equal(m.arguments.count, 1);
	assert_pair(&m.arguments, 0, "a", "12");
	assert_int_equal(m.file_count, 1);
	assert_true(span_eq(m.files[0].name, SPAN("f")));
	assert_true(span_eq(m.files[0].filename, SPAN("x\"y")));
	assert_true(span_eq(m.files[0].content, SPAN("abcd")));
	assert_int_equal(m.files[0].size, 6);
	assert_int_equal(m.files_combined_size, 6);
	assert_int_equal(m.part_headers.count, 3);
	assert_pair(&m.part_headers, 2, "f", "Content-Type: text/plain\r\n");
	assert_int_equal(m.flags.strict_error, 0);
	/* The boundary came again, as in any body of two parts. */
	assert_int_equal(m.flags.unmatched_boundary, 2);
}

struct flag_example {
	const char *type;
	const char *body;
	size_t flag; /* its place in the flags */
};

#define FLAG(name) offsetof(struct body_multipart_flags, name)
#define HEAD "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
#define WHOLE HEAD "1\r\n--B--\r\n"

static void each_flag_has_its_cause(void **state)
{
	static const struct flag_example examples[] = {
		{"multipart/form-data; boundary=\"B\"", WHOLE, FLAG(boundary_quoted)},
		{"multipart/form-data; boundary =B", WHOLE, FLAG(boundary_whitespace)},
		{"multipart/form-data boundary=B", WHOLE, FLAG(missing_semicolon)},
		{"", "x\r\n" WHOLE, FLAG(data_before)},
		{"", WHOLE "x\r\n", FLAG(data_after)},
		{"",
		 "--B\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n--B--\r\n",
		 FLAG(header_folding)},
		{"",
		 "--B\r\nContent-Disposition: form-data;\r\n\vname=\"a\"\r\n\r\n1\r\n--B--\r\n",
		 FLAG(invalid_header_folding)},
		{"", "--B\nContent-Disposition: form-data; name=\"a\"\n\n1\n--B--\n",
		 FLAG(lf_line)},
		{"", "--B\r\nContent-Disposition: form-data; name=\"a\"\n\r\n1\r\n--B--\r\n",
		 FLAG(crlf_lf_lines)},
		{"", "--B\r\nContent-Disposition: form-data; name='a'\r\n\r\n1\r\n--B--\r\n",
		 FLAG(invalid_quoting)},
		{"", HEAD "--B--\r\n", FLAG(invalid_part)},
		{"", HEAD "1\r\n--C\r\n--B--\r\n", FLAG(unmatched_boundary)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		struct span type = examples[i].type[0] ? span_cstr(examples[i].type) : TYPE;
		struct body_multipart m;
		unsigned char value;

		error = (struct body_error){0};
		assert_int_equal(body_multipart(&arena, type, span_cstr(examples[i].body),
						false, &limits, &m, &error),
				 0);
		memcpy(&value, (const char *)&m.flags + examples[i].flag, 1);
		if (!value)
			fail_msg("example %zu does not set its flag", i);
		if (examples[i].flag != FLAG(unmatched_boundary))
			assert_int_equal(m.flags.strict_error, 1);
	}
}

static void broken_multipart_bodies_are_in_error(void **state)
{
	static const struct {
		const char *type;
		const char *body;
		const char *reason;
	} examples[] = {
		{"multipart/form-data", WHOLE, "Boundary not found"},
		{"multipart/form-data; boundary=B; boundary=C", WHOLE, "Multiple boundary"},
		{"multipart/form-data; boundary=B@", WHOLE, "characters"},
		{"multipart/form-data; boundary=B", HEAD "1\r\n", "Final boundary missing"},
		{"multipart/form-data; boundary=B", "x\r\n", "No boundaries"},
		{"multipart/form-data; boundary=B", "--B\r\nX: y\r\n\r\n1\r\n--B--\r\n",
		 "missing"},
		{"multipart/form-data; boundary=B",
		 "--B\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n1\r\n--B--",
		 "missing"},
		{"multipart/form-data; boundary=B", HEAD "1\r\n--B x\r\n", "missing"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		struct body_multipart m;

		error = (struct body_error){0};
		assert_int_equal(body_multipart(&arena, span_cstr(examples[i].type),
						span_cstr(examples[i].body), false, &limits, &m,
						&error),
				 0);
		assert_true(error.failed);
		if (span_find(error.message, span_cstr(examples[i].reason)) ==
		    error.message.len)
			fail_msg("example %zu: %.*s", i, SPAN_ARG(error.message));
	}
}

static void put_part(struct buf *body, unsigned number, bool file)
{
	buf_printf(body, "--B\r\nContent-Disposition: form-data; name=\"n%u\"%s\r\n\r\nx\r\n",
		   number, file ? "; filename=\"f\"" : "");
}

static void parts_and_files_are_limited(void **state)
{
	struct body_multipart m;
	struct buf body;

	(void)state;
	buf_init(&body, 65536);
	for (unsigned i = 0; i < 4; i++)
		put_part(&body, i, true);
	buf_append_cstr(&body, "--B--\r\n");
	limits.max_files = 3;
	assert_int_equal(
		body_multipart(&arena, TYPE, buf_span(&body), true, &limits, &m, &error), 0);
	assert_true(error.failed);
	assert_int_equal(m.flags.file_limit_exceeded, 1);
	assert_int_equal(m.file_count, 4);
	assert_int_equal(m.files[2].content.len, 1);
	assert_int_equal(m.files[3].content.len, 0);
	error = (struct body_error){0};
	limits.max_parts = 2;
	assert_int_equal(
		body_multipart(&arena, TYPE, buf_span(&body), false, &limits, &m, &error), 0);
	assert_true(error.failed);
	assert_int_equal(m.file_count, 0);
	error = (struct body_error){0};
	limits = BODY_LIMITS_DEFAULT;
	limits.max_no_files_bytes = 100;
	assert_int_equal(
		body_multipart(&arena, TYPE, buf_span(&body), false, &limits, &m, &error), 0);
	assert_true(error.failed && error.no_files_exceeded);
	buf_release(&body);
}

static size_t select_texts(struct span body, const char *xpath, struct span **texts)
{
	struct body_xml *xml;
	size_t count;

	assert_int_equal(body_xml_parse(&arena, body, &limits, &xml, &error), 0);
	assert_int_equal(body_xml_select(&arena, xml, xpath, NULL, 0, &limits, texts, &count),
			 0);
	body_xml_free(xml);
	return count;
}

static void xml_texts_and_attributes_are_selected(void **state)
{
	struct span body = SPAN("<a x=\"1\"><b y='2'>t&lt;</b><![CDATA[<u>]]></a>");
	struct span *texts;

	(void)state;
	assert_int_equal(select_texts(body, "/*", &texts), 1);
	assert_true(span_eq(texts[0], SPAN("t<<u>")));
	assert_int_equal(select_texts(body, "//@*", &texts), 2);
	assert_true(span_eq(texts[0], SPAN("1")) && span_eq(texts[1], SPAN("2")));
	assert_false(error.failed);
	limits.max_arguments = 1;
	assert_int_equal(select_texts(body, "//@*", &texts), 1);
}

static void xml_namespaces_are_the_expressions_own(void **state)
{
	struct body_xml_namespace spaces[] = {{"p", "urn:one"}};
	struct span *texts;
	struct body_xml *xml;
	size_t count;

	(void)state;
	assert_int_equal(body_xml_parse(&arena, SPAN("<q:a xmlns:q=\"urn:one\">t</q:a>"),
					&limits, &xml, &error),
			 0);
	assert_int_equal(
		body_xml_select(&arena, xml, "/p:a", spaces, 1, &limits, &texts, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(body_xml_select(&arena, xml, "/p:a", NULL, 0, &limits, &texts, &count),
			 -1);
	body_xml_free(xml);
	assert_true(body_xpath_valid("//a[@b='c']"));
	assert_false(body_xpath_valid("//["));
}

static void dangerous_xml_is_in_error(void **state)
{
	static const char *const bodies[] = {
		"",
		"<a>",
		"<a></b>",
		"<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
		"<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>",
		"<!DOCTYPE a [<!ENTITY % e SYSTEM \"http://x.test/\"> %e;]><a/>",
		"<a><b><c><d/></c></b></a>",
	};

	(void)state;
	limits.max_depth = 3;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct body_xml *xml;

		error = (struct body_error){0};
		assert_int_equal(
			body_xml_parse(&arena, span_cstr(bodies[i]), &limits, &xml, &error), 0);
		if (!error.failed)
			fail_msg("%s is taken", bodies[i]);
		body_xml_free(xml);
	}
}

static void a_full_arena_is_told(void **state)
{
	struct body_pairs p = {0};
	struct body_multipart m;
	struct arena small;
	bool invalid = false;

	(void)state;
	arena_init(&small, 64, 64);
	assert_int_equal(
		body_query(&small, SPAN("a=1&b=2"), '&', &limits, &p, &invalid, &error), -1);
	assert_int_equal(body_json(&small, SPAN("{\"a\":[1,2,3]}"), &limits, &p, &error), -1);
	assert_int_equal(body_multipart(&small, TYPE, SPAN(WHOLE), false, &limits, &m, &error),
			 -1);
	arena_release(&small);
}

static void failing_allocations_are_told(void **state)
{
	struct span body = SPAN("{\"a\":[\"x\\n\",2,{\"b\":3}]}");

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct body_pairs p = {0};
		struct arena small;
		int result;

		arena_init(&small, 1 << 16, 512);
		mem_fail_at(n);
		result = body_json(&small, body, &limits, &p, &error);
		arena_release(&small);
		if (!mem_fail_happened()) {
			mem_fail_at(0);
			assert_int_equal(result, 0);
			assert_int_equal(p.count, 3);
			break;
		}
		assert_true(result == -1 || error.failed);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(queries_become_arguments),
		TEST(what_needs_no_decoding_is_not_copied),
		TEST(arguments_beyond_the_limit_are_dropped),
		TEST(bodies_over_the_limit_are_in_error),
		TEST(cookies_are_cut_at_semicolons),
		TEST(json_scalars_have_paths),
		TEST(broken_and_deep_json_is_in_error),
		TEST(parts_become_arguments_and_files),
		TEST(each_flag_has_its_cause),
		TEST(broken_multipart_bodies_are_in_error),
		TEST(parts_and_files_are_limited),
		TEST(xml_texts_and_attributes_are_selected),
		TEST(xml_namespaces_are_the_expressions_own),
		TEST(dangerous_xml_is_in_error),
		TEST(a_full_arena_is_told),
		TEST(failing_allocations_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
