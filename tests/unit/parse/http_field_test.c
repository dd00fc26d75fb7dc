/* http_field_test.c - methods, field names, tokens, lists, phrases; the wide scans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/http_field.h"
#include "parse/http_scan.h"

static void every_method_is_found_by_its_name(void **state)
{
	(void)state;
	for (enum http_method m = HTTP_METHOD_GET; m < HTTP_METHOD_COUNT; m++) {
		struct span name = http_method_name(m);

		assert_true(name.len > 0);
		assert_int_equal(http_method_lookup(name), m);
	}
	assert_int_equal(http_method_lookup(SPAN("get")), HTTP_METHOD_OTHER);
	assert_int_equal(http_method_lookup(SPAN("GETX")), HTTP_METHOD_OTHER);
	assert_int_equal(http_method_lookup(SPAN("")), HTTP_METHOD_OTHER);
	assert_int_equal(http_method_lookup(SPAN_NONE), HTTP_METHOD_OTHER);
	assert_int_equal(http_method_name(HTTP_METHOD_OTHER).len, 0);
}

static void safe_and_idempotent_follow_rfc_9110(void **state)
{
	(void)state;
	assert_true(http_method_is_safe(HTTP_METHOD_GET));
	assert_true(http_method_is_safe(HTTP_METHOD_QUERY));
	assert_false(http_method_is_safe(HTTP_METHOD_DELETE));
	assert_false(http_method_is_safe(HTTP_METHOD_OTHER));
	assert_true(http_method_is_idempotent(HTTP_METHOD_PUT));
	assert_true(http_method_is_idempotent(HTTP_METHOD_DELETE));
	assert_true(http_method_is_idempotent(HTTP_METHOD_HEAD));
	assert_false(http_method_is_idempotent(HTTP_METHOD_POST));
	assert_false(http_method_is_idempotent(HTTP_METHOD_PATCH));
	assert_false(http_method_is_idempotent(HTTP_METHOD_CONNECT));
}

/* A copy in a block of its own, so that a byte read beyond it is noticed by ASan. */
static struct span exact_copy(struct span s)
{
	char *copy = mem_alloc(s.len ? s.len : 1);

	assert_non_null(copy);
	memcpy(copy, s.ptr, s.len);
	return span_of(copy, s.len);
}

static void free_copy(struct span s)
{
	union {
		const char *in;
		void *out;
	} ptr = {.in = s.ptr};

	mem_free(ptr.out);
}

static void every_field_is_found_in_any_case_and_nothing_like_it(void **state)
{
	(void)state;
	for (enum http_field_id id = HTTP_FIELD_OTHER + 1; id < HTTP_FIELD_COUNT; id++) {
		struct span name = http_field_name(id);
		char text[32];

		assert_true(name.len > 1 && name.len < sizeof(text));
		assert_int_equal(http_field_lookup(name), id);
		for (size_t i = 0; i < name.len; i++) {
			struct span copy;

			/* One letter in upper case; then every other byte in its place. */
			memcpy(text, name.ptr, name.len);
			if (text[i] >= 'a' && text[i] <= 'z')
				text[i] = (char)(text[i] - 0x20);
			copy = exact_copy(span_of(text, name.len));
			assert_int_equal(http_field_lookup(copy), id);
			free_copy(copy);
			for (int byte = 0; byte < 256; byte++) {
				if (ascii_lower((char)byte) == name.ptr[i])
					continue;
				text[i] = (char)byte;
				assert_int_not_equal(http_field_lookup(span_of(text, name.len)),
						     id);
			}
		}
		memcpy(text, name.ptr, name.len);
		text[name.len] = 'x';
		assert_int_not_equal(http_field_lookup(span_of(text, name.len + 1)), id);
		assert_int_not_equal(http_field_lookup(span_of(text, name.len - 1)), id);
	}
	assert_int_equal(http_field_lookup(SPAN("")), HTTP_FIELD_OTHER);
	assert_int_equal(http_field_lookup(SPAN_NONE), HTTP_FIELD_OTHER);
	assert_int_equal(http_field_lookup(SPAN("x")), HTTP_FIELD_OTHER);
	assert_int_equal(http_field_name(HTTP_FIELD_OTHER).len, 0);
}

static void hop_by_hop_fields_are_told(void **state)
{
	(void)state;
	assert_true(http_field_is_hop_by_hop(HTTP_FIELD_CONNECTION));
	assert_true(http_field_is_hop_by_hop(HTTP_FIELD_TRANSFER_ENCODING));
	assert_true(http_field_is_hop_by_hop(HTTP_FIELD_HTTP2_SETTINGS));
	assert_true(http_field_is_hop_by_hop(HTTP_FIELD_TE));
	assert_false(http_field_is_hop_by_hop(HTTP_FIELD_CONTENT_LENGTH));
	assert_false(http_field_is_hop_by_hop(HTTP_FIELD_AUTHORIZATION));
	assert_false(http_field_is_hop_by_hop(HTTP_FIELD_OTHER));
}

static bool reference_is_token(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != 0 && memchr("!#$%&'*+-.^_`|~", c, 15));
}

static void each_byte_is_judged_as_the_grammar_says(void **state)
{
	(void)state;
	for (int i = 0; i < 256; i++) {
		unsigned char c = (unsigned char)i;
		struct span s = span_of(&c, 1);

		assert_int_equal(http_is_token(s), reference_is_token(c));
		assert_int_equal(http_is_field_value(s), c == '\t' || (c >= 0x20 && c != 0x7f));
	}
	assert_false(http_is_token(SPAN("")));
	assert_true(http_is_field_value(SPAN("")));
	assert_true(http_is_field_value(SPAN_NONE));
	assert_false(http_is_field_value(SPAN("a long value with a control byte \001 in it")));
}

static size_t scalar(const char *p, size_t len, bool (*in_set)(unsigned char))
{
	size_t i = 0;

	while (i < len && in_set((unsigned char)p[i]))
		i++;
	return i;
}

/* Every length and every place of every byte: the wide scans stop where the simple loop does. */
static void wide_scans_agree_with_a_simple_loop(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 40; len++) {
		char *bytes = mem_alloc(len ? len : 1);

		assert_non_null(bytes);
		for (size_t place = 0; place < len; place++) {
			for (int byte = 0; byte < 256; byte++) {
				const char *end = bytes + len;

				memset(bytes, 'a', len);
				bytes[place] = (char)byte;
				for (size_t from = 0; from <= place; from += 7) {
					const char *at = bytes + from;

					assert_int_equal(http_scan_name(bytes, at, end) - at,
							 scalar(at, len - from,
								http_byte_is_plain_name));
					assert_int_equal(http_scan_host(bytes, at, end) - at,
							 scalar(at, len - from,
								http_byte_is_plain_host));
					assert_int_equal(
						http_scan_value(bytes, at, end) - at,
						scalar(at, len - from, http_byte_is_value));
					assert_int_equal(
						http_scan_visible(bytes, at, end) - at,
						scalar(at, len - from, http_byte_is_visible));
				}
			}
		}
		mem_free(bytes);
	}
}

/* Bytes that a value may have and that are rare: what comes behind them is looked at, too. */
static void values_of_rare_bytes_end_where_they_should(void **state)
{
	static const char rare[] = {'\t', '\xe9'};
	char bytes[40];

	(void)state;
	for (size_t place = 0; place < sizeof(bytes); place++) {
		for (int byte = 0; byte < 256; byte++) {
			bool ends = !http_byte_is_value((unsigned char)byte);

			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = i % 3 ? rare[i % 2] : 'a';
			bytes[place] = (char)byte;
			assert_int_equal(http_scan_value(bytes, bytes, bytes + sizeof(bytes)) -
						 bytes,
					 ends ? place : sizeof(bytes));
		}
	}
}

static void a_colon_is_found_where_sixteen_bytes_can_be_looked_at(void **state)
{
	char bytes[40];

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		for (size_t place = 0; place < len; place++) {
			const char *found;

			memset(bytes, 'a', sizeof(bytes));
			memset(bytes + place, ':', sizeof(bytes) - place);
			found = http_scan_colon(bytes, bytes + len);
			/* Elsewhere it may be left to those who look at each byte. */
			assert_true(!found || found == bytes + place);
			assert_true(!found || (len >= 16 && place < 16));
#ifdef HTTP_SCAN_BLOCKS
			assert_int_equal(found != NULL, len >= 16 && place < 16);
#endif
		}
	}
}

static void lists_are_searched_by_whole_members(void **state)
{
	(void)state;
	assert_true(http_list_has(SPAN("close"), SPAN("close")));
	assert_true(http_list_has(SPAN("a, \tClose ,b"), SPAN("close")));
	assert_true(http_list_has(SPAN(",,close"), SPAN("close")));
	assert_false(http_list_has(SPAN("closed, xclose, clo se"), SPAN("close")));
	assert_false(http_list_has(SPAN(""), SPAN("close")));
	assert_false(http_list_has(SPAN_NONE, SPAN("close")));
	assert_false(http_list_has(SPAN("\nclose"), SPAN("close")));
}

static void phrases_are_the_registered_ones(void **state)
{
	(void)state;
	assert_true(span_eq(http_reason_phrase(100), SPAN("Continue")));
	assert_true(span_eq(http_reason_phrase(200), SPAN("OK")));
	assert_true(span_eq(http_reason_phrase(404), SPAN("Not Found")));
	assert_true(span_eq(http_reason_phrase(431), SPAN("Request Header Fields Too Large")));
	assert_true(span_eq(http_reason_phrase(511), SPAN("Network Authentication Required")));
	assert_true(span_eq(http_reason_phrase(299), SPAN("Unknown")));
	assert_true(span_eq(http_reason_phrase(0), SPAN("Unknown")));
	assert_true(span_eq(http_reason_phrase(999), SPAN("Unknown")));
	/* Ascending order, which the search needs: each is found. */
	for (unsigned status = 100; status < 600; status++) {
		struct span phrase = http_reason_phrase(status);

		assert_true(phrase.len > 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method_is_found_by_its_name),
		cmocka_unit_test(safe_and_idempotent_follow_rfc_9110),
		cmocka_unit_test(every_field_is_found_in_any_case_and_nothing_like_it),
		cmocka_unit_test(hop_by_hop_fields_are_told),
		cmocka_unit_test(each_byte_is_judged_as_the_grammar_says),
		cmocka_unit_test(wide_scans_agree_with_a_simple_loop),
		cmocka_unit_test(values_of_rare_bytes_end_where_they_should),
		cmocka_unit_test(a_colon_is_found_where_sixteen_bytes_can_be_looked_at),
		cmocka_unit_test(lists_are_searched_by_whole_members),
		cmocka_unit_test(phrases_are_the_registered_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
