/*
 * The transformations against those of libmodsecurity, byte for byte, for random values made of
 * what they look for, and for the realistic values of the test data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "base/hex.h"
#include "base/mem.h"
#include "oracle.h"
#include "waf/transform.h"
#include "waf_data.h"

#define VALUE_MAX 512
#define ID_BASE 1000

static struct oracle *oracle;
static struct unicode_map *map;
static char map_path[] = "/tmp/sallyport-unicode-XXXXXX";
static const char map_text[] = "20127 (US-ASCII)\n\n20126 (other)\n0041:62\n\n"
			       "20127 (US-ASCII)\n00c0:41 2032:27 ff07:27 0100:00\n";

struct answer {
	char hex[TRANSFORM_COUNT][40];
	bool told[TRANSFORM_COUNT];
};

static void on_match(void *context, unsigned rule_id, struct span data)
{
	struct answer *answer = context;
	unsigned t = rule_id - ID_BASE;

	assert_true(t < TRANSFORM_COUNT && data.len == 40);
	memcpy(answer->hex[t], data.ptr, 40);
	answer->told[t] = true;
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

static void print_value(const char *what, struct span value)
{
	print_message("%s (%zu): ", what, value.len);
	for (size_t i = 0; i < value.len; i++)
		print_message(value.ptr[i] >= 32 && value.ptr[i] < 127 ? "%c" : "\\x%02x",
			      (unsigned char)value.ptr[i]);
	print_message("\n");
}

/* The result by copy, and the same in place where that is allowed. */
static struct span transformed(enum transform t, struct span value, char *room, char *again)
{
	struct span result, second, copy;
	bool changed = transform_apply(t, map, value, room, &result);

	if (!changed)
		assert_true(span_eq(result, value));
	if (!transform_may_change(t, transform_classes(value)))
		assert_true(span_eq(result, value));
	if (transform_in_place(t)) {
		memcpy(again, value.ptr, value.len);
		copy = span_of(again, value.len);
		(void)transform_apply(t, map, copy, again, &second);
		assert_true(span_eq(result, second));
	}
	return result;
}

static void check(struct span value)
{
	struct answer answer = {0};
	char *room = mem_alloc(4 * value.len + 20), *again = mem_alloc(value.len + 1);
	unsigned wrong = 0;

	assert_true(room && again);
	oracle_header(oracle, value, on_match, &answer);
	for (unsigned i = 0; i < TRANSFORM_COUNT; i++) {
		struct span result = transformed((enum transform)i, value, room, again);
		char hex[40];

		digest_hex(result, hex);
		if (answer.told[i] && memcmp(hex, answer.hex[i], 40) == 0)
			continue;
		wrong++;
		print_message("t:%s%s\n", transform_name((enum transform)i),
			      answer.told[i] ? "" : " is not told");
		print_value("  value", value);
		print_value("  result", result);
	}
	mem_free(room);
	mem_free(again);
	assert_int_equal(wrong, 0);
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
	P("%"),
	P("%u"),
	P("%U"),
	P("%41"),
	P("%u0041"),
	P("%uff07"),
	P("%uFF41"),
	P("+"),
	P("&"),
	P("&#"),
	P("&#x"),
	P("&lt;"),
	P("&LT"),
	P("quot"),
	P("&nbsp;"),
	P("&#65;"),
	P("&#x4a"),
	P("#"),
	P("\\"),
	P("\\u"),
	P("\\uff41"),
	P("\\x"),
	P("\\x41"),
	P("\\101"),
	P("\\777"),
	P("\\0"),
	P("0x"),
	P("0X41"),
	P("4142"),
	P("A"),
	P("a"),
	P("Z"),
	P("9"),
	P("7"),
	P("="),
	P("=="),
	P(" "),
	P("  "),
	P("\t"),
	P("\n"),
	P("\r\n"),
	P("\v"),
	P("\f"),
	P("\0"),
	P("/"),
	P("//"),
	P("."),
	P(".."),
	P("/./"),
	P("/../"),
	P("\\..\\"),
	P("/*"),
	P("*/"),
	P("<!--"),
	P("-->"),
	P("--"),
	P("-"),
	P("*"),
	P("\""),
	P("'"),
	P("^"),
	P(","),
	P(";"),
	P("("),
	P("\xc3\xa9"),
	P("\xc0\x80"),
	P("\xe2\x80\xb2"),
	P("\xed\xa0\x80"),
	P("\xf0\x9f\x92\xa9"),
	P("\xf5\x80\x80\x80"),
	P("\xc2\xa0"),
	P("\xe2"),
	P("\xff"),
	P("\x80"),
	P("\xf4"),
	P("\xe0\x80\x80"),
	P("\xf0\x80\x80\x80"),
	P("f"),
	P("00"),
	P("word"),
	P("TWFuTWFu"),
	P("\\f"),
	P("\\00"),
	P("\\10ffff "),
	P("&#999999999999999999999"),
#undef P
};

/* Random values of pieces that some transformation looks for. */
static struct span random_value(char *to)
{
	unsigned count = next_random(14);
	size_t len = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct span *piece =
			&pieces[next_random(sizeof(pieces) / sizeof(pieces[0]))];

		memcpy(to + len, piece->ptr, piece->len);
		len += piece->len;
	}
	return span_of(to, len);
}

static void transformations_give_what_libmodsecurity_gives(void **state)
{
	char value[VALUE_MAX];

	(void)state;
	for (unsigned i = 0; i < 1500; i++)
		check(random_value(value));
	for (unsigned i = 0; i < 300; i++) {
		unsigned len = next_random(40);

		for (unsigned n = 0; n < len; n++)
			value[n] = (char)next_random(256);
		check(span_of(value, len));
	}
}

static void realistic_values_too(void **state)
{
	struct waf_data data;
	struct span value;
	unsigned count = 0;

	(void)state;
	if (!waf_data_open(&data))
		skip();
	/* One of 25. */
	while (waf_data_next(&data, &value, NULL))
		if (count++ % 25 == 0)
			check(value);
	waf_data_close(&data);
	assert_true(count > 10000);
}

static int set_up(void **state)
{
	struct buf rules;
	int fd = mkstemp(map_path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	(void)state;
	assert_non_null(file);
	assert_true(fputs(map_text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	map = mem_alloc(sizeof(*map));
	assert_non_null(map);
	assert_int_equal(unicode_map_parse(map, span_cstr(map_text), 20127, NULL), 0);
	buf_init(&rules, 1 << 20);
	buf_printf(&rules, "SecRuleEngine On\nSecUnicodeMapFile %s 20127\n", map_path);
	for (unsigned i = 0; i < TRANSFORM_COUNT; i++)
		buf_printf(&rules,
			   "SecRule REQUEST_HEADERS:x \"@unconditionalMatch\" \"id:%u,phase:1,"
			   "pass,log,t:none,t:%s,t:sha1,t:hexEncode,"
			   "logdata:'%%{MATCHED_VAR}',msg:'m'\"\n",
			   ID_BASE + i, transform_name((enum transform)i));
	oracle = oracle_new(buf_cstr(&rules));
	buf_release(&rules);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	oracle_free(oracle);
	mem_free(map);
	(void)remove(map_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transformations_give_what_libmodsecurity_gives),
		cmocka_unit_test(realistic_values_too),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
