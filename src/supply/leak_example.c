/* Examples of rules: texts with instructions how to make secrets, so that none is in our files. */
#include "base/compiler.h"
#include "parse/base64.h"
#include "supply/leak.h"
#include "supply/leak_internal.h"

#define EXAMPLE_MAX_BYTES ((size_t)1 << 16)
#define CHARACTERS_MAX 4096

static const struct {
	struct span name;
	const char *characters;
} classes[] = {
	{SPAN_INIT("alnum"), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"},
	{SPAN_INIT("alpha"), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"},
	{SPAN_INIT("lower"), "abcdefghijklmnopqrstuvwxyz0123456789"},
	{SPAN_INIT("upper"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"},
	{SPAN_INIT("digit"), "0123456789"},
	{SPAN_INIT("hex"), "0123456789abcdef"},
	{SPAN_INIT("HEX"), "0123456789ABCDEF"},
	{SPAN_INIT("base32"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"},
	{SPAN_INIT("bech32"), "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"},
	{SPAN_INIT("base64"),
	 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
	{SPAN_INIT("base64url"),
	 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
};

struct maker {
	struct buf to;
	uint64_t state;
};

/* The same on every machine and in every run, unlike base/rand.h. */
static uint32_t next(struct maker *m)
{
	m->state = m->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->state >> 33);
}

static bool make_characters(struct maker *m, struct span name, struct span count)
{
	uint64_t n;

	if (!span_to_u64(count, &n) || n > CHARACTERS_MAX)
		return false;
	for (size_t i = 0; i < COUNT_OF(classes); i++) {
		size_t size;

		if (!span_eq(name, classes[i].name))
			continue;
		size = strlen(classes[i].characters);
		for (; n > 0; n--)
			buf_append_byte(&m->to, classes[i].characters[next(m) % size]);
		return true;
	}
	return false;
}

static void make_base64(struct maker *m, struct span text, bool url)
{
	char encoded[2048];
	size_t length;

	if (text.len > 1024) {
		m->to.failed = true;
		return;
	}
	length = url ? base64url_encode(encoded, text) : base64_encode(encoded, text);
	buf_append_bytes(&m->to, encoded, length);
}

/* False for what is no instruction: templates of other tools have braces too. */
static bool make(struct maker *m, struct span what)
{
	size_t colon = span_find_byte(what, ':');
	struct span name = span_slice(what, 0, colon);
	struct span rest = span_slice(what, colon + 1, what.len);
	char digits[LEAK_CRC_DIGITS];

	if (span_eq(what, SPAN("crc32"))) {
		if (m->to.len < LEAK_CRC_BODY)
			return false;
		leak_crc_digits(
			span_slice(buf_span(&m->to), m->to.len - LEAK_CRC_BODY, m->to.len),
			digits);
		buf_append_bytes(&m->to, digits, sizeof(digits));
		return true;
	}
	if (span_eq(name, SPAN("b64")) || span_eq(name, SPAN("b64url"))) {
		make_base64(m, rest, span_eq(name, SPAN("b64url")));
		return true;
	}
	return colon < what.len && make_characters(m, name, rest);
}

struct span leak_example(struct arena *a, struct span text, struct span seed)
{
	struct maker m = {.state = 0x9e3779b97f4a7c15u};
	struct span made;

	for (size_t i = 0; i < seed.len; i++) {
		m.state ^= (unsigned char)seed.ptr[i];
		(void)next(&m);
	}
	buf_init(&m.to, EXAMPLE_MAX_BYTES);
	while (text.len) {
		size_t open = span_find(text, SPAN("{{")), close;
		struct span inner = span_slice(text, open + 2, text.len);

		close = span_find(inner, SPAN("}}"));
		buf_append(&m.to, span_slice(text, 0, open));
		if (open == text.len)
			break;
		if (close < inner.len && make(&m, span_slice(inner, 0, close))) {
			text = span_slice(inner, close + 2, inner.len);
		} else {
			buf_append_cstr(&m.to, "{{");
			text = inner;
		}
	}
	made = buf_failed(&m.to) ? SPAN_NONE : arena_dup(a, buf_span(&m.to));
	buf_release(&m.to);
	return made;
}
