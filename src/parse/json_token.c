#include "parse/json_token.h"

#include <assert.h>

#include "base/hash.h"
#include "parse/json_plain.h"
#include "parse/utf8.h"

enum lexeme {
	LEXEME_NONE,
	LEXEME_STRING,
	LEXEME_ESCAPE, /* after the backslash */
	LEXEME_UNICODE, /* after \u and `step` digits */
	LEXEME_NUMBER,
	LEXEME_TRUE,
	LEXEME_FALSE,
	LEXEME_NULL,
};

/* Steps in a number (RFC 8259 section 6). */
enum number_step {
	NUMBER_START,
	NUMBER_MINUS,
	NUMBER_ZERO,
	NUMBER_INTEGER,
	NUMBER_POINT,
	NUMBER_FRACTION,
	NUMBER_E,
	NUMBER_SIGN,
	NUMBER_EXPONENT,
	NUMBER_BROKEN,
};

void json_tokens_init(struct json_tokens *t, const struct json_limits *limits,
		      struct buf *scratch)
{
	assert(limits->max_depth <= JSON_DEPTH_MAX);
	/* Field by field: a tokenizer is set up for each request, and is large. */
	t->text = SPAN_NONE;
	t->error = JSON_OK;
	t->depth = 0;
	t->token_offset = 0;
	t->error_offset = 0;
	t->at = t->end = t->piece = "";
	t->piece_offset = 0;
	t->scratch = scratch;
	t->limits = *limits;
	t->finished = false;
	t->expect = JSON_EXPECT_VALUE;
	t->lexeme = LEXEME_NONE;
	t->step = 0;
	t->is_key = false;
	t->has_high = false;
	t->unit = 0;
	t->high_surrogate = 0;
	t->object_start = 0;
	buf_init(&t->keys, 0);
	/* Two numbers an open object beside the keys: see open_keys(). */
	if (limits->max_open_keys)
		t->keys.max = (limits->max_open_keys + JSON_DEPTH_MAX) * sizeof(uint64_t);
}

void json_tokens_release(struct json_tokens *t)
{
	buf_release(&t->keys);
}

static uint64_t offset_of(const struct json_tokens *t, const char *at)
{
	return t->piece_offset + (uint64_t)(at - t->piece);
}

void json_tokens_feed(struct json_tokens *t, struct span piece)
{
	assert(t->at == t->end && !t->finished);
	t->piece_offset += (uint64_t)(t->end - t->piece);
	t->piece = t->at = piece.ptr ? piece.ptr : "";
	t->end = t->at + piece.len;
}

void json_tokens_finish(struct json_tokens *t)
{
	assert(t->at == t->end);
	t->finished = true;
}

bool json_tokens_done(const struct json_tokens *t)
{
	return t->expect == JSON_EXPECT_NOTHING && t->lexeme == LEXEME_NONE &&
	       t->error == JSON_OK;
}

static enum json_token fail_at(struct json_tokens *t, enum json_error error, uint64_t offset)
{
	t->error = error;
	t->error_offset = offset;
	t->text = SPAN_NONE;
	return JSON_TOKEN_ERROR;
}

static enum json_token fail(struct json_tokens *t, enum json_error error)
{
	return fail_at(t, error, offset_of(t, t->at));
}

/* -- duplicate keys: the hashes of all open objects in one stack -- */

/* An object's hashes start after a word that tells where those of the object around it start. */
static bool open_keys(struct json_tokens *t)
{
	uint64_t outer = t->object_start;

	if (buf_append_bytes(&t->keys, &outer, sizeof(outer)) < 0)
		return false;
	t->object_start = t->keys.len;
	return true;
}

static bool add_key(struct json_tokens *t)
{
	uint64_t hash = hash_span(t->text);

	return buf_append_bytes(&t->keys, &hash, sizeof(hash)) == 0;
}

static enum json_error keys_failure(const struct json_tokens *t)
{
	return t->keys.max - t->keys.len < sizeof(uint64_t) ? JSON_ERROR_MANY_KEYS
							    : JSON_ERROR_MEMORY;
}

static int compare_hashes(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* Drops the object's hashes; false when two were equal. */
static bool close_keys(struct json_tokens *t)
{
	uint64_t *hashes = (uint64_t *)(void *)(t->keys.ptr + t->object_start);
	size_t count = (t->keys.len - t->object_start) / sizeof(*hashes);
	bool unique = true;

	if (count > 1)
		qsort(hashes, count, sizeof(*hashes), compare_hashes);
	for (size_t i = 1; i < count; i++)
		unique = unique && hashes[i] != hashes[i - 1];
	t->keys.len = t->object_start - sizeof(uint64_t);
	t->object_start = (size_t)hashes[-1];
	return unique;
}

/* -- nesting -- */

static bool in_object(const struct json_tokens *t)
{
	unsigned level = t->depth - 1;

	return t->is_object[level / 64] >> (level % 64) & 1;
}

static void value_read(struct json_tokens *t)
{
	t->expect = t->depth ? JSON_EXPECT_COMMA_OR_END : JSON_EXPECT_NOTHING;
}

static enum json_token open(struct json_tokens *t, bool object)
{
	uint64_t bit = UINT64_C(1) << (t->depth % 64);

	if (t->depth >= t->limits.max_depth)
		return fail(t, JSON_ERROR_DEPTH);
	if (object && t->limits.max_open_keys && !open_keys(t))
		return fail(t, keys_failure(t));
	if (object)
		t->is_object[t->depth / 64] |= bit;
	else
		t->is_object[t->depth / 64] &= ~bit;
	t->depth++;
	t->at++;
	t->expect = object ? JSON_EXPECT_KEY_OR_END : JSON_EXPECT_VALUE_OR_END;
	return object ? JSON_TOKEN_OBJECT_BEGIN : JSON_TOKEN_ARRAY_BEGIN;
}

static enum json_token close(struct json_tokens *t, bool object)
{
	if (in_object(t) != object)
		return fail(t, JSON_ERROR_SYNTAX);
	if (object && t->limits.max_open_keys && !close_keys(t))
		return fail(t, JSON_ERROR_DUPLICATE_KEY);
	t->depth--;
	t->at++;
	value_read(t);
	return object ? JSON_TOKEN_OBJECT_END : JSON_TOKEN_ARRAY_END;
}

/* -- strings -- */

size_t json_plain_length(struct span s, bool *high)
{
	return (size_t)(json_skip_plain(s.ptr, s.ptr + s.len, high) - s.ptr);
}

/* False with t->error set. */
static bool keep(struct json_tokens *t, const char *bytes, size_t len)
{
	if (len > t->limits.max_string_bytes - t->scratch->len) {
		fail_at(t, JSON_ERROR_STRING_LONG, t->token_offset);
		return false;
	}
	if (buf_append_bytes(t->scratch, bytes, len) < 0) {
		fail_at(t, JSON_ERROR_MEMORY, t->token_offset);
		return false;
	}
	return true;
}

static enum json_token string_read(struct json_tokens *t, struct span text)
{
	if (text.len > t->limits.max_string_bytes)
		return fail_at(t, JSON_ERROR_STRING_LONG, t->token_offset);
	if (t->has_high && !utf8_valid(text))
		return fail_at(t, JSON_ERROR_UTF8, t->token_offset);
	t->text = text;
	t->lexeme = LEXEME_NONE;
	if (!t->is_key) {
		value_read(t);
		return JSON_TOKEN_STRING;
	}
	if (t->limits.max_open_keys && !add_key(t))
		return fail_at(t, keys_failure(t), t->token_offset);
	t->expect = JSON_EXPECT_COLON;
	return JSON_TOKEN_KEY;
}

static enum json_token fail_in_string(struct json_tokens *t)
{
	return fail(t, t->high_surrogate ? JSON_ERROR_SURROGATE : JSON_ERROR_CONTROL);
}

static int hex_value(char c)
{
	char lower = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* A \u escape is complete. */
static bool unit_read(struct json_tokens *t)
{
	uint32_t code_point = t->unit;
	char utf8[4];

	if ((t->unit & 0xfc00) == 0xdc00) {
		if (!t->high_surrogate) {
			fail(t, JSON_ERROR_SURROGATE);
			return false;
		}
		code_point = 0x10000 + ((uint32_t)(t->high_surrogate & 0x3ff) << 10) +
			     (t->unit & 0x3ff);
		t->high_surrogate = 0;
	} else if (t->high_surrogate) {
		fail(t, JSON_ERROR_SURROGATE);
		return false;
	}
	t->lexeme = LEXEME_STRING;
	if ((t->unit & 0xfc00) == 0xd800) {
		t->high_surrogate = t->unit;
		return true;
	}
	return keep(t, utf8, utf8_encode(utf8, code_point));
}

static bool unicode_step(struct json_tokens *t)
{
	while (t->at < t->end) {
		int value = hex_value(*t->at);

		if (value < 0) {
			fail(t, JSON_ERROR_ESCAPE);
			return false;
		}
		t->at++;
		t->unit = (uint16_t)(t->unit << 4 | value);
		if (++t->step == 4)
			return unit_read(t);
	}
	return true;
}

static bool escape_step(struct json_tokens *t)
{
	static const char plain[128] = {
		['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
		['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
	};
	unsigned char c = (unsigned char)*t->at;

	if (c == 'u') {
		t->at++;
		t->lexeme = LEXEME_UNICODE;
		t->step = 0;
		t->unit = 0;
		return true;
	}
	if (t->high_surrogate || c >= 128 || !plain[c]) {
		fail(t, t->high_surrogate ? JSON_ERROR_SURROGATE : JSON_ERROR_ESCAPE);
		return false;
	}
	t->at++;
	t->lexeme = LEXEME_STRING;
	return keep(t, &plain[c], 1);
}

/* Goes on with a string whose beginning is in the scratch buffer. */
static enum json_token string_on(struct json_tokens *t)
{
	while (t->at < t->end) {
		const char *start = t->at;

		if (t->lexeme == LEXEME_UNICODE) {
			if (!unicode_step(t))
				return JSON_TOKEN_ERROR;
			continue;
		}
		if (t->lexeme == LEXEME_ESCAPE) {
			if (!escape_step(t))
				return JSON_TOKEN_ERROR;
			continue;
		}
		if (t->high_surrogate && *t->at != '\\')
			return fail_in_string(t);
		t->at = json_skip_plain(start, t->end, &t->has_high);
		if (!keep(t, start, (size_t)(t->at - start)))
			return JSON_TOKEN_ERROR;
		if (t->at == t->end)
			break;
		if (*t->at == '\\') {
			t->at++;
			t->lexeme = LEXEME_ESCAPE;
		} else if (*t->at == '"') {
			t->at++;
			return string_read(t, buf_span(t->scratch));
		} else {
			return fail_in_string(t);
		}
	}
	return JSON_TOKEN_MORE;
}

static enum json_token string_begin(struct json_tokens *t, bool is_key)
{
	const char *start = ++t->at;

	t->is_key = is_key;
	t->has_high = false;
	t->high_surrogate = 0;
	t->at = json_skip_plain(start, t->end, &t->has_high);
	if (LIKELY(t->at < t->end && *t->at == '"'))
		return string_read(t, span_of(start, (size_t)(t->at++ - start)));
	/* Cut by the piece's end, an escape, or an error: string_on() sees to it. */
	buf_clear(t->scratch);
	t->lexeme = LEXEME_STRING;
	if (!keep(t, start, (size_t)(t->at - start)))
		return JSON_TOKEN_ERROR;
	return string_on(t);
}

/* -- numbers -- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static enum number_step number_next(enum number_step step, char c)
{
	bool digit = is_digit(c);
	bool is_e = c == 'e' || c == 'E';

	switch (step) {
	case NUMBER_START:
	case NUMBER_MINUS:
		if (c == '-' && step == NUMBER_START)
			return NUMBER_MINUS;
		if (c == '0')
			return NUMBER_ZERO;
		return digit ? NUMBER_INTEGER : NUMBER_BROKEN;
	case NUMBER_ZERO:
	case NUMBER_INTEGER:
		if (digit && step == NUMBER_INTEGER)
			return NUMBER_INTEGER;
		if (c == '.')
			return NUMBER_POINT;
		return is_e ? NUMBER_E : NUMBER_BROKEN;
	case NUMBER_POINT: return digit ? NUMBER_FRACTION : NUMBER_BROKEN;
	case NUMBER_FRACTION:
		if (digit)
			return NUMBER_FRACTION;
		return is_e ? NUMBER_E : NUMBER_BROKEN;
	case NUMBER_E:
		if (c == '+' || c == '-')
			return NUMBER_SIGN;
		return digit ? NUMBER_EXPONENT : NUMBER_BROKEN;
	case NUMBER_SIGN:
	case NUMBER_EXPONENT: return digit ? NUMBER_EXPONENT : NUMBER_BROKEN;
	case NUMBER_BROKEN: break;
	}
	return NUMBER_BROKEN;
}

static bool number_complete(enum number_step step)
{
	return step == NUMBER_ZERO || step == NUMBER_INTEGER || step == NUMBER_FRACTION ||
	       step == NUMBER_EXPONENT;
}

static bool number_char(char c)
{
	return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

static enum json_token number_read(struct json_tokens *t, struct span text)
{
	if (!number_complete(t->step))
		return fail(t, JSON_ERROR_NUMBER);
	t->lexeme = LEXEME_NONE;
	t->text = text;
	value_read(t);
	return JSON_TOKEN_NUMBER;
}

/* The first `kept` bytes of the number are in the scratch buffer, the next is at t->at. */
static enum json_token number_on(struct json_tokens *t, size_t kept)
{
	const char *start = t->at;
	size_t len;

	while (t->at < t->end && number_char(*t->at)) {
		enum number_step next = number_next(t->step, *t->at);

		if (next == NUMBER_BROKEN)
			return fail(t, JSON_ERROR_NUMBER);
		t->step = (unsigned char)next;
		t->at++;
		/* More digits change nothing in these steps. */
		if (next == NUMBER_INTEGER || next == NUMBER_FRACTION ||
		    next == NUMBER_EXPONENT)
			while (t->at < t->end && is_digit(*t->at))
				t->at++;
		if (kept + (size_t)(t->at - start) > t->limits.max_number_bytes)
			return fail_at(t, JSON_ERROR_NUMBER_LONG, t->token_offset);
	}
	len = (size_t)(t->at - start);
	if (t->at < t->end && kept == 0)
		return number_read(t, span_of(start, len));
	if (kept == 0)
		buf_clear(t->scratch);
	if (buf_append_bytes(t->scratch, start, len) < 0)
		return fail_at(t, JSON_ERROR_MEMORY, t->token_offset);
	if (t->at < t->end)
		return number_read(t, buf_span(t->scratch));
	t->lexeme = LEXEME_NUMBER;
	return JSON_TOKEN_MORE;
}

static enum json_token number_begin(struct json_tokens *t)
{
	t->step = NUMBER_START;
	return number_on(t, 0);
}

/* -- everything else -- */

static enum json_token literal_on(struct json_tokens *t)
{
	static const struct {
		char text[6];
		unsigned char len;
		enum json_token token;
	} literals[] = {
		[LEXEME_TRUE] = {"true", 4, JSON_TOKEN_TRUE},
		[LEXEME_FALSE] = {"false", 5, JSON_TOKEN_FALSE},
		[LEXEME_NULL] = {"null", 4, JSON_TOKEN_NULL},
	};
	unsigned which = t->lexeme;

	while (t->at < t->end) {
		if (*t->at != literals[which].text[t->step])
			return fail(t, JSON_ERROR_SYNTAX);
		t->at++;
		if (++t->step == literals[which].len) {
			t->lexeme = LEXEME_NONE;
			value_read(t);
			return literals[which].token;
		}
	}
	return JSON_TOKEN_MORE;
}

static enum json_token literal_begin(struct json_tokens *t, enum lexeme which)
{
	t->lexeme = (unsigned char)which;
	t->step = 0;
	return literal_on(t);
}

static enum json_token value_begin(struct json_tokens *t)
{
	switch (*t->at) {
	case '"': return string_begin(t, false);
	case '{': return open(t, true);
	case '[': return open(t, false);
	case 't': return literal_begin(t, LEXEME_TRUE);
	case 'f': return literal_begin(t, LEXEME_FALSE);
	case 'n': return literal_begin(t, LEXEME_NULL);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9': return number_begin(t);
	default: return fail(t, JSON_ERROR_SYNTAX);
	}
}

/* The piece, or the whole text, has ended outside of a token or in one. */
static enum json_token at_end(struct json_tokens *t)
{
	if (!t->finished)
		return JSON_TOKEN_MORE;
	/* Only the end of the text tells that a number at the top level is complete. */
	if (t->lexeme == LEXEME_NUMBER && t->depth == 0)
		return number_read(t, buf_span(t->scratch));
	if (t->lexeme == LEXEME_NONE && t->expect == JSON_EXPECT_NOTHING)
		return JSON_TOKEN_END;
	return fail(t, JSON_ERROR_TRUNCATED);
}

static enum json_token resume(struct json_tokens *t)
{
	switch ((enum lexeme)t->lexeme) {
	case LEXEME_STRING:
	case LEXEME_ESCAPE:
	case LEXEME_UNICODE: return string_on(t);
	case LEXEME_NUMBER: return number_on(t, t->scratch->len);
	case LEXEME_TRUE:
	case LEXEME_FALSE:
	case LEXEME_NULL: return literal_on(t);
	case LEXEME_NONE: break;
	}
	return fail(t, JSON_ERROR_SYNTAX);
}

static inline void skip_space(struct json_tokens *t)
{
	while (t->at < t->end &&
	       (*t->at == ' ' || *t->at == '\n' || *t->at == '\r' || *t->at == '\t'))
		t->at++;
}

enum json_token json_tokens_next(struct json_tokens *t)
{
	if (UNLIKELY(t->error != JSON_OK))
		return JSON_TOKEN_ERROR;
	if (UNLIKELY(t->lexeme != LEXEME_NONE))
		return t->at == t->end ? at_end(t) : resume(t);
	for (;;) {
		skip_space(t);
		if (t->at == t->end)
			return at_end(t);
		t->token_offset = offset_of(t, t->at);
		switch ((enum json_expect)t->expect) {
		case JSON_EXPECT_VALUE: return value_begin(t);
		case JSON_EXPECT_VALUE_OR_END:
			return *t->at == ']' ? close(t, false) : value_begin(t);
		case JSON_EXPECT_KEY_OR_END:
			if (*t->at == '}')
				return close(t, true);
			/* fall through */
		case JSON_EXPECT_KEY:
			if (*t->at != '"')
				return fail(t, JSON_ERROR_SYNTAX);
			return string_begin(t, true);
		case JSON_EXPECT_COLON:
			if (*t->at != ':')
				return fail(t, JSON_ERROR_SYNTAX);
			t->at++;
			t->expect = JSON_EXPECT_VALUE;
			break;
		case JSON_EXPECT_COMMA_OR_END:
			if (*t->at == '}' || *t->at == ']')
				return close(t, *t->at == '}');
			if (*t->at != ',')
				return fail(t, JSON_ERROR_SYNTAX);
			t->at++;
			t->expect = in_object(t) ? JSON_EXPECT_KEY : JSON_EXPECT_VALUE;
			break;
		case JSON_EXPECT_NOTHING: return fail(t, JSON_ERROR_SYNTAX);
		}
	}
}

const char *json_error_text(enum json_error error)
{
	static const char *const texts[] = {
		[JSON_OK] = "no error",
		[JSON_ERROR_SYNTAX] = "unexpected character",
		[JSON_ERROR_TRUNCATED] = "the text ends too early",
		[JSON_ERROR_CONTROL] = "control character in a string",
		[JSON_ERROR_ESCAPE] = "invalid escape",
		[JSON_ERROR_SURROGATE] = "half of a surrogate pair",
		[JSON_ERROR_UTF8] = "invalid UTF-8 in a string",
		[JSON_ERROR_NUMBER] = "malformed number",
		[JSON_ERROR_DEPTH] = "nested too deep",
		[JSON_ERROR_STRING_LONG] = "string too long",
		[JSON_ERROR_NUMBER_LONG] = "number too long",
		[JSON_ERROR_MANY_KEYS] = "too many keys",
		[JSON_ERROR_DUPLICATE_KEY] = "duplicate key",
		[JSON_ERROR_MEMORY] = "out of memory",
	};

	return texts[error];
}
