/*
 * json.h - whole JSON documents as an immutable tree in an arena: for tokens, key sets and files
 * of our own. Request bodies use json_token.h. As strict as that, and an object with a duplicate
 * key is refused.
 */
#ifndef PARSE_JSON_H
#define PARSE_JSON_H

#include "base/arena.h"
#include "base/err.h"
#include "parse/json_token.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_member;

struct json {
	enum json_type type;
	union {
		bool boolean;
		struct span text; /* of a string, decoded; of a number, as written */
		struct {
			const struct json *items;
			size_t count;
		} array;
		struct {
			const struct json_member *members; /* in the order of the text */
			size_t count;
		} object;
	};
};

struct json_member {
	struct span key;
	struct json value;
};

/* Where and why a text does not parse. Lines and columns (in bytes) count from 1. */
struct json_problem {
	enum json_error error;
	uint64_t offset;
	unsigned line;
	unsigned column;
};

/*
 * The tree of the whole text, or NULL. It lives in the arena, but strings may point into `text`,
 * which must live as long. `limits` NULL means JSON_LIMITS_DEFAULT; max_open_keys is ignored.
 * `problem` may be NULL.
 */
const struct json *json_parse_problem(struct arena *a, struct span text,
				      const struct json_limits *limits,
				      struct json_problem *problem);
/* The same with a message, "line 3, column 7: unexpected character". */
const struct json *json_parse(struct arena *a, struct span text,
			      const struct json_limits *limits, struct err *err);

/* The member's value; NULL when there is none, or `object` is NULL or no object. */
const struct json *json_get(const struct json *object, struct span key);
/* The item; NULL past the end, or when `array` is NULL or no array. */
const struct json *json_at(const struct json *array, size_t index);
/*
 * RFC 6901: "" is the root, "/a/0/b~1c" goes down. NULL when nothing is there, or the pointer is
 * malformed.
 */
const struct json *json_pointer(const struct json *root, struct span pointer);
/* False when `value` is NULL or of another type; then the result is untouched. */
bool json_string(const struct json *value, struct span *string);
bool json_bool(const struct json *value, bool *boolean);
/* An integer without fraction and exponent that fits. */
bool json_int(const struct json *value, int64_t *integer);
/* Any number that a double can hold (not infinite), rounded. */
bool json_double(const struct json *value, double *number);
/* True for a string value that equals `text`. */
bool json_is(const struct json *value, struct span text);

#endif
