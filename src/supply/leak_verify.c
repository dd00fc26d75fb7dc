/* Is it a secret? What can be told of a value alone. */
#include <math.h>
#include <zlib.h>

#include "base/compiler.h"
#include "parse/base64.h"
#include "parse/json.h"
#include "supply/leak.h"
#include "supply/leak_internal.h"

#define VALUE_MAX_BYTES ((size_t)8192)

double leak_entropy(struct span value)
{
	unsigned counts[256] = {0};
	double bits = 0;

	for (size_t i = 0; i < value.len; i++)
		counts[(unsigned char)value.ptr[i]]++;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		double share = (double)counts[i] / (double)value.len;

		if (counts[i])
			bits -= share * log2(share);
	}
	return bits;
}

/* --- Checksums and forms. */

void leak_crc_digits(struct span body, char to[LEAK_CRC_DIGITS])
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned long crc = crc32(0, (const unsigned char *)body.ptr, (unsigned)body.len);

	for (size_t i = LEAK_CRC_DIGITS; i > 0; i--) {
		to[i - 1] = digits[crc % 62];
		crc /= 62;
	}
}

static bool holds_crc(struct span value)
{
	size_t cut = value.len - LEAK_CRC_DIGITS;
	char digits[LEAK_CRC_DIGITS];

	if (value.len < LEAK_CRC_BODY + LEAK_CRC_DIGITS)
		return false;
	leak_crc_digits(span_slice(value, cut - LEAK_CRC_BODY, cut), digits);
	return memcmp(digits, value.ptr + cut, LEAK_CRC_DIGITS) == 0;
}

static bool holds_jwt(struct span value)
{
	struct span head = span_slice(value, 0, span_find_byte(value, '.'));
	char text[VALUE_MAX_BYTES + 2];
	const struct json *document;
	struct arena arena;
	size_t length;
	bool holds;

	if (head.len > VALUE_MAX_BYTES || !base64url_decode(text, &length, head))
		return false;
	arena_init(&arena, (size_t)1 << 20, 4096);
	document = json_parse(&arena, span_of(text, length), NULL, NULL);
	holds = json_get(document, SPAN("alg")) != NULL;
	arena_release(&arena);
	return holds;
}

static bool holds_basic(struct span value)
{
	char text[VALUE_MAX_BYTES + 2];
	struct span decoded;
	size_t length, colon;

	if (value.len > VALUE_MAX_BYTES || !base64_decode(text, &length, value))
		return false;
	decoded = span_of(text, length);
	colon = span_find_byte(decoded, ':');
	for (size_t i = 0; i < decoded.len; i++)
		if ((unsigned char)decoded.ptr[i] < ' ')
			return false;
	return colon > 0 && colon + 1 < decoded.len &&
	       !leak_is_placeholder(span_slice(decoded, colon + 1, decoded.len), true);
}

static bool holds_base64(struct span value)
{
	char text[VALUE_MAX_BYTES + 2];
	size_t length;

	return value.len <= VALUE_MAX_BYTES &&
	       (base64_decode(text, &length, value) || base64url_decode(text, &length, value));
}

bool leak_holds(enum leak_verify verify, struct span value)
{
	switch (verify) {
	case LEAK_VERIFY_NONE: break;
	case LEAK_VERIFY_CRC32: return holds_crc(value);
	case LEAK_VERIFY_JWT: return holds_jwt(value);
	case LEAK_VERIFY_BASIC: return holds_basic(value);
	case LEAK_VERIFY_BASE64: return holds_base64(value);
	}
	return true;
}

bool leak_verify_parse(struct span word, enum leak_verify *verify)
{
	static const struct span words[] = {SPAN_INIT(""), SPAN_INIT("crc32"), SPAN_INIT("jwt"),
					    SPAN_INIT("basic"), SPAN_INIT("base64")};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(word, words[i])) {
			*verify = (enum leak_verify)i;
			return true;
		}
	return false;
}

/* --- Placeholders. */

/* In lower case; found anywhere. */
static const struct span anywhere[] = {
	SPAN_INIT("example"),  SPAN_INIT("xxxx"),	 SPAN_INIT("****"),
	SPAN_INIT("...."),     SPAN_INIT("placeholder"), SPAN_INIT("redacted"),
	SPAN_INIT("${"),       SPAN_INIT("$("),		 SPAN_INIT("{{"),
	SPAN_INIT("}}"),       SPAN_INIT("<%"),		 SPAN_INIT("#{"),
	SPAN_INIT("12345678"), SPAN_INIT("01234567"),	 SPAN_INIT("abcdefgh"),
	SPAN_INIT("changeme"), SPAN_INIT("deadbeef"),	 SPAN_INIT("dummy"),
};

/* Of values that only their surroundings call secrets. */
static const struct span words[] = {
	SPAN_INIT("change_me"), SPAN_INIT("change-me"),	     SPAN_INIT("change this"),
	SPAN_INIT("changeit"),	SPAN_INIT("your"),	     SPAN_INIT("sample"),
	SPAN_INIT("fake"),	SPAN_INIT("foobar"),	     SPAN_INIT("not-a-"),
	SPAN_INIT("not_a_"),	SPAN_INIT("insert"),	     SPAN_INIT("replace"),
	SPAN_INIT("todo"),	SPAN_INIT("fixme"),	     SPAN_INIT("test"),
	SPAN_INIT("mock"),	SPAN_INIT("password"),	     SPAN_INIT("passwd"),
	SPAN_INIT("secret"),	SPAN_INIT("token"),	     SPAN_INIT("apikey"),
	SPAN_INIT("api_key"),	SPAN_INIT("getenv"),	     SPAN_INIT("process.env"),
	SPAN_INIT("environ"),	SPAN_INIT("os.env"),	     SPAN_INIT("config."),
	SPAN_INIT("settings."), SPAN_INIT("vault"),	     SPAN_INIT("%("),
	SPAN_INIT("%s"),	SPAN_INIT("admin"),	     SPAN_INIT("username"),
	SPAN_INIT("undefined"), SPAN_INIT("required"),	     SPAN_INIT("optional"),
	SPAN_INIT("string"),	SPAN_INIT("function"),	     SPAN_INIT("return"),
	SPAN_INIT("arn:aws"),	SPAN_INIT("secretsmanager"), SPAN_INIT("://"),
};

static bool holds_any(struct span lower, const struct span *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_find(lower, list[i]) < lower.len)
			return true;
	return false;
}

/* Six times the same character. */
static bool has_run(struct span value)
{
	size_t run = 1;

	for (size_t i = 1; i < value.len; i++) {
		run = value.ptr[i] == value.ptr[i - 1] ? run + 1 : 1;
		if (run == 6)
			return true;
	}
	return false;
}

bool leak_is_placeholder(struct span value, bool generic)
{
	char lower[512];
	struct span text =
		span_of(lower, value.len < sizeof(lower) ? value.len : sizeof(lower));

	if (value.len == 0)
		return true;
	for (size_t i = 0; i < text.len; i++)
		lower[i] = ascii_lower(value.ptr[i]);
	if (has_run(text) || holds_any(text, anywhere, COUNT_OF(anywhere)))
		return true;
	if (!generic)
		return false;
	/* <secret>, $SECRET, %SECRET%, @secret@, [secret] */
	if (strchr("<$%@[&", value.ptr[0]) ||
	    (value.ptr[0] == '!' && span_starts_with(text, SPAN("!re"))))
		return true;
	return holds_any(text, words, COUNT_OF(words));
}
