/*
 * node.h - documents of other people's tools (JSON, TOML, YAML) as one kind of tree in an arena, in
 * which each node knows its line. Text may point into the document, which must live as long.
 */
#ifndef PARSE_NODE_H
#define PARSE_NODE_H

#include "base/arena.h"
#include "base/err.h"

enum node_kind {
	NODE_NULL,
	NODE_BOOL,
	NODE_NUMBER, /* text: as written */
	NODE_STRING, /* text: decoded; TOML's dates and times as written */
	NODE_LIST,
	NODE_MAP,
};

struct node {
	enum node_kind kind;
	bool boolean;
	uint8_t flags; /* the reader's, while it reads */
	uint32_t line; /* of the key in a map, else of the value; from 1 */
	uint32_t count; /* of children */
	struct span key; /* in a map */
	union {
		struct span text;
		struct {
			struct node *first;
			struct node *last;
		};
	};
	struct node *next; /* in the same list or map */
};

/* for each child, in the order of the document; nothing when `parent` is NULL or a scalar. */
#define node_for_each(child, parent)                                                           \
	for (const struct node *child = node_first(parent); child; child = child->next)

/* The first child; NULL when there is none, or `parent` is NULL or a scalar. */
static inline const struct node *node_first(const struct node *parent)
{
	return parent && (parent->kind == NODE_LIST || parent->kind == NODE_MAP) ? parent->first
										 : NULL;
}

/* The first value of the key, found in linear time; NULL when absent or `map` is no map. */
const struct node *node_get(const struct node *map, struct span key);
/* The text of a string or number; empty (never NULL bytes) for anything else, or NULL. */
struct span node_text(const struct node *n);
/* node_text(node_get(map, key)) */
struct span node_text_at(const struct node *map, struct span key);
/* True for the boolean true only. */
bool node_true(const struct node *n);
bool node_is(const struct node *n, enum node_kind kind);

/* For readers: adds a zeroed child at the end; NULL when memory ran out. */
struct node *node_add(struct arena *a, struct node *parent, enum node_kind kind,
		      struct span key, uint32_t line);

#define NODE_DEPTH_MAX 128

/*
 * A JSON document as strict as json_token.h, but for a byte order mark, which is skipped, and keys
 * that come twice, of which both are kept. NULL with "line 3: ..." in *err (ERR_SYNTAX, ERR_LIMIT
 * or ERR_MEMORY).
 */
struct node *node_parse_json(struct arena *a, struct span text, struct err *err);
/*
 * The same with comments and commas before a closing bracket, as some tools write. `text` is
 * copied into the arena.
 */
struct node *node_parse_jsonc(struct arena *a, struct span text, struct err *err);

#endif
