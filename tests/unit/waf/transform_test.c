
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "waf/transform.h"

struct example {
	enum transform transform;
	struct span value;
	struct span result;
};

#define E(name, value, result)                                                                 \
	{                                                                                      \
		TRANSFORM_##name, SPAN_INIT(value), SPAN_INIT(result)                          \
	}

static const struct example examples[] = {
	E(NONE, "A", "A"),
	E(BASE64_DECODE, "VGVzdA==", "Test"),
	E(BASE64_DECODE, "VGVz\r\ndA==\n", "Test"),
	E(BASE64_DECODE, "VGVz dA==", ""),
	E(BASE64_DECODE_EXT, "V.G.V.z.d.A==", "Test"),
	E(BASE64_DECODE_EXT, "VGVz9", ""),
	E(BASE64_ENCODE, "Test", "VGVzdA=="),
	E(CMD_LINE, "C^OMMAND  /C \"x\";,y (z", "command/c x y(z"),
	E(COMPRESS_WHITESPACE, "a \t\r\n\v\fb\tc", "a b c"),
	E(CSS_DECODE, "ja\\vascript", "javascript"),
	E(CSS_DECODE, "\\61\\062 \\uff41\\00ff41c", "abuff41ac"),
	E(CSS_DECODE, "a\\0 b", "a"),
	E(CSS_DECODE, "a\\", "a"),
	E(ESCAPE_SEQ_DECODE, "\\a\\n\\x41\\102\\q\\", "\a\nABq\\"),
	E(HEX_DECODE, "4142434", "ABC"),
	E(HEX_ENCODE, "\x01z", "017a"),
	E(HTML_ENTITY_DECODE, "&lt;&GT;&quot;&amp;&nbsp;&#65;&#x42&bogus;&",
	  "<>\"&\xa0"
	  "AB&bogus;&"),
	E(HTML_ENTITY_DECODE, "&#x141;&#&#x&#xg;", "A&#&#x&#xg;"),
	E(JS_DECODE, "\\u0041\\uff42\\x43\\104\\777\\n\\q\\",
	  "Ab\x43"
	  "D?7\nq\\"),
	E(LENGTH, "", "0"),
	E(LENGTH, "0123456789", "10"),
	E(LOWERCASE, "AZ@[az\xc0", "az@[az\xc0"),
	E(MD5, "", "\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e"),
	E(NORMALISE_PATH, "/a/./b/../../c//d/", "/c/d/"),
	E(NORMALISE_PATH, "/../../etc/passwd", "/etc/passwd"),
	E(NORMALISE_PATH, "../x/..", ".."),
	E(NORMALISE_PATH_WIN, "\\a\\..\\b", "/b"),
	E(PARITY_EVEN_7BIT, "ac",
	  "\xe1"
	  "c"),
	E(PARITY_ODD_7BIT, "ac", "a\xe3"),
	E(PARITY_ZERO_7BIT,
	  "\xe1"
	  "c",
	  "ac"),
	E(REMOVE_COMMENTS, "a/* b */c<!-- d -->e-- f", "ace"),
	E(REMOVE_COMMENTS, "a/*b*/", "a\0"),
	E(REMOVE_COMMENTS, "a/*b", "a "),
	E(REMOVE_COMMENTS_CHAR, "/*a*/<!--b-->c--#d", "abcd"),
	E(REMOVE_NULLS, "a\0b\0", "ab"),
	E(REMOVE_WHITESPACE, "a \tb\xc2\xa0", "ab"),
	E(REPLACE_COMMENTS, "a/* b */c/* d", "a c "),
	E(REPLACE_NULLS, "a\0b", "a b"),
	E(SHA1, "abc",
	  "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d"),
	E(TRIM, " \ta b\n", "a b"),
	E(TRIM_LEFT, " \ta b\n", "a b\n"),
	E(TRIM_RIGHT, " \ta b\n", " \ta b"),
	E(UPPERCASE, "az`{AZ", "AZ`{AZ"),
	E(URL_DECODE, "%41+%4%zz%", "A %4%zz%"),
	E(URL_DECODE_UNI, "%u0041%uFF42%41+%u00%%uzzzz",
	  "Ab"
	  "A %u00%%uzzzz"),
	E(URL_ENCODE, "a *-\xff", "a+*%2d%ff"),
	E(UTF8_TO_UNICODE, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xa9", "a%u00e9%u20ac%u1f4a9"),
	E(UTF8_TO_UNICODE, "\xc0\xaf\xe2x\xff", "%u002f\xc0x\xff"),
};

static bool apply(enum transform t, struct span value, struct span *result)
{
	static char room[1024];

	assert_true(transform_bound(t, value.len) <= sizeof(room));
	return transform_apply(t, NULL, value, room, result);
}

static void each_transformation_does_as_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		const struct example *e = &examples[i];
		struct span result;

		apply(e->transform, e->value, &result);
		if (!span_eq(result, e->result))
			fail_msg("%s(%.*s) gives %.*s", transform_name(e->transform),
				 SPAN_ARG(e->value), SPAN_ARG(result));
	}
}

static void harmless_values_stay_as_they_are(void **state)
{
	struct span values[] = {SPAN("word"), SPAN("two words and more of them"),
				SPAN("orders/17/items"), SPAN("a.b@c.example"),
				SPAN("2024-05-01")};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		enum transform none[] = {
			TRANSFORM_CMD_LINE,	  TRANSFORM_COMPRESS_WHITESPACE,
			TRANSFORM_CSS_DECODE,	  TRANSFORM_HTML_ENTITY_DECODE,
			TRANSFORM_JS_DECODE,	  TRANSFORM_LOWERCASE,
			TRANSFORM_NORMALISE_PATH, TRANSFORM_NORMALISE_PATH_WIN,
			TRANSFORM_REMOVE_NULLS,	  TRANSFORM_REPLACE_COMMENTS,
			TRANSFORM_TRIM,		  TRANSFORM_URL_DECODE_UNI,
			TRANSFORM_UTF8_TO_UNICODE};

		for (size_t n = 0; n < COUNT_OF(none); n++) {
			struct span result;

			assert_false(apply(none[n], values[i], &result));
			assert_ptr_equal(result.ptr, values[i].ptr);
			assert_int_equal(result.len, values[i].len);
		}
	}
}

static void classes_see_a_byte_wherever_it_stands(void **state)
{
	char value[70];

	(void)state;
	for (size_t len = 1; len <= sizeof(value); len++) {
		for (size_t at = 0; at < len; at++) {
			memset(value, 'a', len);
			value[at] = '%';
			assert_true(transform_may_change(
				TRANSFORM_URL_DECODE, transform_classes(span_of(value, len))));
		}
		memset(value, 'a', len);
		assert_false(transform_may_change(TRANSFORM_URL_DECODE,
						  transform_classes(span_of(value, len))));
	}
}

static void no_class_hides_a_byte_that_changes(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		for (unsigned second = 0; second < 256; second++) {
			char value[] = {(char)first, (char)second, 'a'};
			struct span in = span_of(value, 3);
			uint32_t classes = transform_classes(in);

			for (unsigned t = 0; t < TRANSFORM_COUNT; t++) {
				struct span result;

				if (transform_may_change((enum transform)t, classes))
					continue;
				apply((enum transform)t, in, &result);
				assert_true(span_eq(result, in));
			}
		}
	}
}

static void names_are_found_in_any_case(void **state)
{
	enum transform t;

	(void)state;
	for (unsigned i = 0; i < TRANSFORM_COUNT; i++) {
		assert_true(transform_find(span_cstr(transform_name((enum transform)i)), &t));
		assert_int_equal(t, i);
	}
	assert_true(transform_find(SPAN("NORMALIZEpath"), &t));
	assert_int_equal(t, TRANSFORM_NORMALISE_PATH);
	assert_true(transform_find(SPAN("normalizePathWin"), &t));
	assert_int_equal(t, TRANSFORM_NORMALISE_PATH_WIN);
	assert_false(transform_find(SPAN("rot13"), &t));
	assert_false(transform_find(SPAN(""), &t));
}

static void code_pages_map_unicode_escapes(void **state)
{
	struct unicode_map *map = mem_alloc(sizeof(*map));
	struct span text = SPAN("1250 (x)\n00c0:41\n\n20127 (US-ASCII)\n00c0:42 2032:27\n\n"
				"20261 (y)\n00c0:43\n");
	struct span result;
	struct err err;
	char room[32];

	(void)state;
	assert_non_null(map);
	assert_int_equal(unicode_map_parse(map, text, 20127, &err), 0);
	assert_true(transform_apply(TRANSFORM_URL_DECODE_UNI, map, SPAN("%u00c0%u2032%uff41"),
				    room, &result));
	assert_true(span_eq(result, SPAN("B'a")));
	assert_int_equal(unicode_map_parse(map, text, 437, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(unicode_map_parse(map, SPAN("1 x\n00c0:4z\n"), 1, &err), -1);
	assert_int_equal(err.code, ERR_SYNTAX);
	mem_free(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_transformation_does_as_documented),
		cmocka_unit_test(harmless_values_stay_as_they_are),
		cmocka_unit_test(classes_see_a_byte_wherever_it_stands),
		cmocka_unit_test(no_class_hides_a_byte_that_changes),
		cmocka_unit_test(names_are_found_in_any_case),
		cmocka_unit_test(code_pages_map_unicode_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
