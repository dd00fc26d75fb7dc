/*
 * reader.h - from a tree to structures, as the schema says. Used inside config and by
 * tables of other parts (table.h).
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "base/arena.h"
#include "config/problem.h"
#include "config/schema.h"
#include "config/tree.h"

/* Something to wipe, or not to show; both in lists that only grow. */
struct config_mark {
	struct config_mark *next;
	struct secret *secret;
	const char *text;
	size_t len;
};

struct config_private {
	unsigned references;
	struct arena arena;
	struct config_mark *secrets; /* to be released */
	struct config_mark *tainted; /* texts that came from the environment */
};

/* The key that is being read, for messages: the chain upwards to the root. */
struct reader_path {
	const struct reader_path *up; /* NULL: this is the root, which has no name */
	struct span name; /* empty: an element of a list */
	size_t index;
};

struct reader {
	struct config_private *priv;
	const struct config_source *source;
	struct config_problems *problems;
	struct arena *trees; /* of what is parsed; gone when loading ends */
	const struct reader_path *path;
	struct config_mark *wipe; /* texts of the trees to be wiped */
	bool out_of_memory;
};

/*
 * Reads the mapping `node` into `object` (zeroed, of schema->size bytes) and fills in defaults.
 * What is wrong goes to reader->problems.
 */
void reader_object(struct reader *reader, const struct schema_object *schema,
		   const struct tree_node *node, void *object);
/* Reads a list of mappings into the CONFIG_LIST at `list`. */
void reader_list(struct reader *reader, const struct schema_object *schema,
		 const struct tree_node *node, bool one_or_list, void *list);

/* A problem with the key being read: "services.orders.pool: <message>". */
void reader_error(struct reader *reader, struct config_where where, const char *format, ...)
	PRINTF_LIKE(3, 4);
void reader_warn(struct reader *reader, struct config_where where, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Zeroed memory that lives as long as the configuration, or NULL with out_of_memory set. */
void *reader_alloc(struct reader *reader, size_t count, size_t size) MUST_CHECK;
/* A copy of the text, marked when it came from the environment; ptr NULL when out of memory. */
struct span reader_text(struct reader *reader, const struct tree_node *node) MUST_CHECK;
/* The file name resolved against the folder of the file that the node is in. */
struct span reader_resolve(struct reader *reader, const struct tree_node *node,
			   struct span path) MUST_CHECK;
/* A copy with ASCII letters in lower case; ptr NULL when out of memory. */
struct span reader_lower(struct reader *reader, struct span text) MUST_CHECK;
/* Adds the secret to what is released with the configuration. False when out of memory. */
bool reader_own_secret(struct reader *reader, struct secret *secret) MUST_CHECK;

#define reader_array(reader, type, count)                                                      \
	((type *)reader_alloc((reader), (count), sizeof(type)))

#endif
