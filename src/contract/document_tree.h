/*
 * document_tree.h - what the readers of YAML and JSON share: a stack on which a tree is built, and
 * the places of its nodes. Used by document*.c only.
 */
#ifndef CONTRACT_DOCUMENT_TREE_H
#define CONTRACT_DOCUMENT_TREE_H

#include "contract/document.h"

struct tree_place {
	uint32_t line;
	uint32_t column;
};

/* The places of the nodes of one array or object, which lie side by side in memory. */
struct tree_region {
	const char *first;
	const struct document *document;
	const struct tree_place *places;
	uint32_t count;
	uint32_t stride_bytes;
};

struct tree_regions {
	struct tree_region *at;
	size_t count;
	size_t cap;
	bool sorted;
};

/* A node on the stack, before the container around it ends. */
struct tree_slot {
	struct span key;
	struct json value;
	struct tree_place place;
	size_t weight; /* nodes in it, aliases written out */
	unsigned height; /* containers in it, one in the other */
	bool merge; /* the key is a plain "<<" */
};

struct tree_level {
	size_t start; /* in slots */
	struct tree_slot own; /* what the container will be in the one around it */
	struct span anchor;
	bool is_object;
	bool has_key;
};

struct tree_builder {
	struct arena *arena;
	struct tree_regions *regions;
	const struct document_limits *limits;
	const struct document *document;
	size_t *nodes; /* of the whole set */
	struct err *err;
	struct tree_slot *slots;
	size_t count;
	size_t cap;
	struct tree_level *levels; /* limits->max_depth of them */
	unsigned depth;
	/* For the next value; in an object once its key was read. */
	struct tree_slot next;
};

/* All return 0, or -1 with the builder's error set, "file:line:column: text". */
int tree_builder_init(struct tree_builder *b) MUST_CHECK;
void tree_builder_release(struct tree_builder *b);
int tree_open(struct tree_builder *b, bool is_object, struct tree_place place,
	      struct span anchor) MUST_CHECK;
int tree_key(struct tree_builder *b, struct span key, struct tree_place place,
	     bool merge) MUST_CHECK;
/* A finished value, alone or (an alias) with what is in it. */
int tree_value(struct tree_builder *b, const struct json *value, struct tree_place place,
	       size_t weight, unsigned height) MUST_CHECK;
/* Ends the innermost container; its slot, as it now stands on the stack, or NULL. */
const struct tree_slot *tree_close(struct tree_builder *b) MUST_CHECK;
/* The root, once everything is closed. NULL when there is nothing. */
const struct json *tree_finish(struct tree_builder *b) MUST_CHECK;
/* True when the next thing must be a key. */
bool tree_wants_key(const struct tree_builder *b);

/* An allocation failed: by the limit of memory, or there is none. */
int tree_no_memory(struct tree_builder *b, struct tree_place place);
/* "no memory for the document", or which limit is reached; *code likewise. */
#define TREE_MEMORY_WORDS 128
void tree_memory_words(const struct arena *arena, char words[TREE_MEMORY_WORDS],
		       enum err_code *code);
int tree_error(struct tree_builder *b, struct tree_place place, enum err_code code,
	       const char *format, ...) PRINTF_LIKE(4, 5);

const struct tree_region *tree_regions_find(struct tree_regions *regions, const void *node);

/* The readers; `text` lives as long as the arena. */
const struct json *document_read_json(struct tree_builder *b, struct span text);
const struct json *document_read_yaml(struct tree_builder *b, struct span text);

#endif
