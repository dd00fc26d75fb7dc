/*
 * tree.h - a YAML document as a tree in which every node knows its file, line and column. Used
 * inside config, and by tables of other parts (table.h).
 *
 * Accepted is one document of YAML as libyaml reads it, with these refused: duplicate keys, keys
 * that are not plain text, tags, aliases to something unfinished (cycles), more nesting than
 * TREE_DEPTH_MAX, and more nodes than TREE_NODES_MAX when every alias is written out.
 *
 * `${NAME}` in a value stands for the environment variable, `${NAME:-text}` for `text` where the
 * variable is unset or empty, and `$${` for `${`. What a variable holds is never looked at again.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "base/arena.h"
#include "config/config.h"

#define TREE_BYTES_MAX ((size_t)8 << 20)
#define TREE_DEPTH_MAX 32
#define TREE_NODES_MAX 1000000

enum tree_kind { TREE_SCALAR, TREE_LIST, TREE_MAP };

struct tree_node;

struct tree_pair {
	struct span key;
	struct config_where where;
	struct tree_node *value;
};

struct tree_node {
	enum tree_kind kind;
	bool quoted; /* scalars: in quotes or as a block */
	bool tainted; /* scalars: holds text from the environment */
	bool broken; /* a problem was reported: do not report another for the same node */
	struct config_where where;
	struct span text; /* scalars; NUL follows */
	struct tree_node **items; /* lists */
	struct tree_pair *pairs; /* maps, in the order of the file */
	size_t count;
	size_t weight; /* nodes in it, aliases written out */
};

/*
 * The document's root, or NULL when it cannot be read; why is in *problems. A tree with broken
 * nodes is returned: problems->errors says so. Nodes live in `arena`; `file` must outlive what
 * keeps their `where`.
 */
struct tree_node *tree_parse(struct span text, const char *file,
			     const struct config_source *source, struct arena *arena,
			     struct config_problems *problems);

/* The value of a key, or NULL. */
struct tree_node *tree_get(const struct tree_node *map, const char *key);
/* Nothing, "~" or "null", written plainly. */
bool tree_is_null(const struct tree_node *node);

#endif
