/*
 * json_token.h - a streaming JSON tokenizer (RFC 8259), strict: no byte order mark, no leading
 * zeros, no NaN, no control characters, strings are valid UTF-8 without lone surrogates. The text
 * comes in pieces of any size, and the same text gives the same tokens however it is cut. Memory
 * is constant but for the scratch buffer, which holds one string at most.
 *
 *	json_tokens_init(&t, &limits, &scratch);
 *	json_tokens_feed(&t, piece);                    // again after each JSON_TOKEN_MORE
 *	json_tokens_finish(&t);                         // instead, when there is no more
 *	while ((token = json_tokens_next(&t)) >= JSON_TOKEN_OBJECT_BEGIN)
 *		consume(token, t.text);
 */
#ifndef PARSE_JSON_TOKEN_H
#define PARSE_JSON_TOKEN_H

#include "base/buf.h"

/* No limit on nesting may be higher. */
#define JSON_DEPTH_MAX 512

struct json_limits {
	unsigned max_depth; /* open arrays and objects, at most JSON_DEPTH_MAX */
	size_t max_string_bytes; /* decoded, of a string or key */
	size_t max_number_bytes;
	/*
	 * With a value above 0, a key that is twice in one object is an error, found when the
	 * object ends, and this is the most keys that all open objects may have together (each
	 * takes 8 bytes). Keys are compared by a keyed 64-bit hash.
	 */
	size_t max_open_keys;
};

/* 64 levels, strings of 1 MiB, numbers of 128 bytes, duplicate keys not looked for. */
#define JSON_LIMITS_DEFAULT                                                                    \
	((struct json_limits){.max_depth = 64,                                                 \
			      .max_string_bytes = 1 << 20,                                     \
			      .max_number_bytes = 128,                                         \
			      .max_open_keys = 0})

enum json_token {
	JSON_TOKEN_MORE, /* the piece is used up: feed the next one, or finish */
	JSON_TOKEN_END, /* after json_tokens_finish: one whole value was read */
	JSON_TOKEN_ERROR, /* t->error says why; comes again on every further call */
	JSON_TOKEN_OBJECT_BEGIN,
	JSON_TOKEN_OBJECT_END,
	JSON_TOKEN_ARRAY_BEGIN,
	JSON_TOKEN_ARRAY_END,
	JSON_TOKEN_KEY, /* t->text: the key, decoded */
	JSON_TOKEN_STRING, /* t->text: the string, decoded; may hold NUL */
	JSON_TOKEN_NUMBER, /* t->text: as written */
	JSON_TOKEN_TRUE,
	JSON_TOKEN_FALSE,
	JSON_TOKEN_NULL,
};

enum json_error {
	JSON_OK,
	JSON_ERROR_SYNTAX, /* a byte that cannot stand here */
	JSON_ERROR_TRUNCATED, /* the text ends in the middle */
	JSON_ERROR_CONTROL, /* a control character in a string */
	JSON_ERROR_ESCAPE, /* an unknown or broken escape */
	JSON_ERROR_SURROGATE, /* half of a surrogate pair */
	JSON_ERROR_UTF8,
	JSON_ERROR_NUMBER, /* a number that does not follow the grammar */
	JSON_ERROR_DEPTH, /* limits from here on */
	JSON_ERROR_STRING_LONG,
	JSON_ERROR_NUMBER_LONG,
	JSON_ERROR_MANY_KEYS,
	JSON_ERROR_DUPLICATE_KEY, /* an object, ending here, has a key twice */
	JSON_ERROR_MEMORY,
};

/* What the grammar allows next. */
enum json_expect {
	JSON_EXPECT_VALUE,
	JSON_EXPECT_VALUE_OR_END, /* after "[" */
	JSON_EXPECT_KEY_OR_END, /* after "{" */
	JSON_EXPECT_KEY, /* after "," in an object */
	JSON_EXPECT_COLON,
	JSON_EXPECT_COMMA_OR_END,
	JSON_EXPECT_NOTHING, /* the value is complete */
};

/*
 * Only `text`, `error`, `depth` and the offsets are for reading; all else is the tokenizer's. But
 * a reader that knows what comes may read whole tokens itself between two calls, while `lexeme` is
 * 0 and max_open_keys too: it moves `at`, and keeps `expect`, `depth` and `is_object` as they would
 * be.
 */
struct json_tokens {
	/* Of the last token; valid until the next call. Points into the piece where it can. */
	struct span text;
	enum json_error error;
	unsigned depth; /* open arrays and objects */
	uint64_t token_offset; /* of the last token's first byte, from the start of the text */
	uint64_t error_offset;

	const char *at;
	const char *end;
	const char *piece;
	uint64_t piece_offset;
	struct buf *scratch;
	struct json_limits limits;
	bool finished;
	unsigned char expect; /* enum json_expect */
	unsigned char lexeme; /* the token that a piece's end has cut; 0: none */
	unsigned char step; /* how far in it */
	bool is_key;
	bool has_high; /* the string has bytes above 0x7f */
	uint16_t unit; /* of a \u escape, so far */
	uint16_t high_surrogate;
	uint64_t is_object[JSON_DEPTH_MAX / 64]; /* a bit a level */
	struct buf keys; /* hashes, for the duplicates */
	size_t object_start; /* in keys */
};

/*
 * `scratch` (the caller's, from buf_init) is used for strings with escapes and for tokens that
 * lie in two pieces; its maximum should be at least that of strings and numbers.
 */
void json_tokens_init(struct json_tokens *t, const struct json_limits *limits,
		      struct buf *scratch);
/* Gives back what the duplicate check holds; needed only with max_open_keys. */
void json_tokens_release(struct json_tokens *t);
/* The next piece, to live until it is used up. Only before the first, and after MORE. */
void json_tokens_feed(struct json_tokens *t, struct span piece);
/* There is no more; only before the first piece or after MORE. */
void json_tokens_finish(struct json_tokens *t);
enum json_token json_tokens_next(struct json_tokens *t);
/* Bytes of the text that are used up: after a token, the offset of the first byte behind it. */
static inline uint64_t json_tokens_offset(const struct json_tokens *t)
{
	return t->piece_offset + (uint64_t)(t->at - t->piece);
}
/* True when the bytes so far are one whole value, but for a number at the top level. */
bool json_tokens_done(const struct json_tokens *t);
/* A few words, for a message. */
const char *json_error_text(enum json_error error);

/* The length of s up to the first quote, backslash or control character; *high is set to true if
   there are bytes above 0x7f before it, else left alone. */
size_t json_plain_length(struct span s, bool *high);

#endif
