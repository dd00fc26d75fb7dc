/* learn_internal.h - what the parts of learning share. Used by learn*.c only. */
#ifndef CONTRACT_LEARN_INTERNAL_H
#define CONTRACT_LEARN_INTERNAL_H

#include "contract/learn.h"
#include "parse/json.h"

#define LEARN_WORDS_MAX 8
#define LEARN_MEMBERS_MAX 200
#define LEARN_DEPTH_MAX 32

enum learn_type {
	LEARN_NULL = 1,
	LEARN_BOOL = 2,
	LEARN_INTEGER = 4,
	LEARN_NUMBER = 8,
	LEARN_STRING = 16,
	LEARN_ARRAY = 32,
	LEARN_OBJECT = 64,
};

enum learn_format {
	LEARN_DATE = 1,
	LEARN_DATE_TIME = 2,
	LEARN_UUID = 4,
	LEARN_EMAIL = 8,
	LEARN_IPV4 = 16,
	LEARN_URI = 32,
};
#define LEARN_ANY_FORMAT 63

struct shape;

struct shape_member {
	struct span name;
	struct shape *shape;
	struct shape_member *next;
};

/* What the values in one place had in common. */
struct shape {
	uint64_t count;
	unsigned types; /* enum learn_type bits */
	uint64_t objects; /* of count */
	uint64_t strings;
	unsigned formats; /* enum learn_format bits that fit all strings */
	size_t longest;
	int64_t least, most; /* of integers */
	struct span words[LEARN_WORDS_MAX];
	size_t word_count; /* above LEARN_WORDS_MAX: too many, or not words */
	size_t most_items;
	struct shape *items;
	struct shape_member *members; /* in the order of their first coming */
	size_t member_count; /* above LEARN_MEMBERS_MAX: names are data, not a schema */
	struct shape *others; /* then: of all members */
};

struct content_shape {
	struct span type;
	struct shape *shape;
	struct content_shape *next;
};

struct answer {
	unsigned status;
	uint64_t count;
	struct content_shape *content;
	struct answer *next;
};

struct seen_parameter {
	struct span name;
	uint64_t count;
	bool repeated;
	struct shape *shape;
	struct seen_parameter *next;
};

struct learned {
	struct span method;
	uint64_t count;
	uint64_t with_body;
	struct seen_parameter *query;
	struct content_shape *bodies;
	struct answer *answers;
	struct learned *next;
};

/* A place in the tree of paths. */
struct place {
	struct span text; /* of a static segment */
	bool is_parameter;
	unsigned formats; /* of a parameter's values */
	bool integers;
	struct place *children;
	size_t child_count;
	struct place *next;
	struct learned *operations;
	struct shape *shape; /* of a parameter's values */
};

struct learner {
	struct arena arena; /* what is learned */
	struct arena line; /* of one exchange */
	struct learn_options options;
	struct place root;
	size_t operation_count;
	uint64_t taken, skipped;
};

/* False when there is no memory. */
bool shape_take(struct arena *a, struct shape *shape, const struct json *value, unsigned depth);
/* A text that may stand for a number or a boolean. */
bool shape_take_text(struct arena *a, struct shape *shape, struct span text);
unsigned learn_formats_of(struct span text);
/* YAML of a schema, members of a mapping indented by `indent`. */
void shape_write(struct buf *to, const struct shape *shape, unsigned indent, bool bounds);
void learn_put_key(struct buf *to, unsigned indent, struct span key);
void learn_put_string(struct buf *to, struct span text);

#endif
