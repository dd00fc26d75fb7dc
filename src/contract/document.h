/*
 * document.h - YAML and JSON files as trees of parse/json.h in which every node's place (file,
 * line, column) is known, and references between them. For OpenAPI documents and what they refer
 * to; read when a configuration is loaded, never while requests are served.
 *
 * YAML is read by the core schema of YAML 1.2: `yes`, `0o17` and dates mean what they say there
 * (a string, 15, a string); keys are text, whatever they look like (`200:`); "<<" merges. Refused
 * are duplicate keys, keys that are no scalars, tags but those of the core schema, aliases to
 * something unfinished (cycles), numbers that JSON cannot write (.inf, .nan), a second document,
 * and more nesting, nodes (every alias written out), files or bytes than the limits allow.
 *
 * A reference is a URI reference (RFC 3986 section 4.1): a JSON Pointer or a file relative to the
 * one it stands in, with a pointer as fragment. Files lie in the root folder or below; ".." and
 * symbolic links cannot leave it, and nothing is ever fetched from a network.
 */
#ifndef CONTRACT_DOCUMENT_H
#define CONTRACT_DOCUMENT_H

#include "parse/json.h"

struct document_limits {
	size_t max_file_bytes;
	size_t max_files;
	size_t max_memory_bytes; /* of all trees together */
	size_t max_nodes; /* of all files together, aliases written out */
	unsigned max_depth;
};

/* 32 MiB a file, 256 files, 512 MiB of memory, 8 million nodes, 128 levels. */
#define DOCUMENT_LIMITS_DEFAULT                                                                \
	((struct document_limits){.max_file_bytes = (size_t)32 << 20,                          \
				  .max_files = 256,                                            \
				  .max_memory_bytes = (size_t)512 << 20,                       \
				  .max_nodes = 8000000,                                        \
				  .max_depth = 128})

/* Lines and columns (in bytes) count from 1; 0: not known. */
struct document_place {
	struct span file; /* as it was named */
	uint32_t line;
	uint32_t column;
};

/* One file. */
struct document {
	struct span
		name; /* relative to the root folder, normal: "api.yaml", "common/types.yaml" */
	struct span display; /* for messages: as the user named the folder, then `name` */
	const struct json *root;
};

struct document_set;

/*
 * Reads the file `name` (relative to the root folder, no "..", NUL-terminated) into `to`, whose
 * maximum is that of the limits. 0, or -1 with *err.
 */
typedef int document_read_function(void *context, const char *name, struct buf *to,
				   struct err *err);

/*
 * An empty set. `root` is the folder that references may not leave; NULL: no files, texts only.
 * `read` NULL reads files; otherwise it is asked, and `root` serves messages alone. limits NULL:
 * the default. NULL with ERR_MEMORY.
 */
struct document_set *document_set_new(const char *root, document_read_function *read,
				      void *context, const struct document_limits *limits,
				      struct err *err) MUST_CHECK;
/* Frees all trees. NULL is allowed. */
void document_set_free(struct document_set *set);

/*
 * The file's tree, read at the first call. NULL with *err, whose message starts with file:line:column
 * where there is one: ERR_NOT_FOUND, ERR_DENIED (out of the folder), ERR_IO, ERR_SYNTAX,
 * ERR_INVALID, ERR_LIMIT, ERR_MEMORY.
 */
const struct document *document_load(struct document_set *set, struct span name,
				     struct err *err) MUST_CHECK;
/* As if the file `name` held `text`, which is copied. */
const struct document *document_load_text(struct document_set *set, struct span name,
					  struct span text, struct err *err) MUST_CHECK;

/* How many, and the n-th in the order of loading. */
size_t document_count(const struct document_set *set);
const struct document *document_at(const struct document_set *set, size_t index);

/* One that names itself by this absolute URI: `$self` of OpenAPI 3.2, `$id` of a schema; or NULL. */
const struct document *document_named(const struct document_set *set, struct span uri);

/*
 * Where a node stands: for a member's value, the place of its key. False for a node that is in no
 * file of the set; `place` is then zeroed.
 */
bool document_place_of(struct document_set *set, const struct json *node,
		       struct document_place *place);
/* The file that holds the node; NULL when there is none. */
const struct document *document_of(struct document_set *set, const struct json *node);

/*
 * What a reference that stands in `from` points to, loading files as it must; follows no further
 * reference. NULL with *err as above, or ERR_NOT_FOUND for a pointer to nothing, ERR_DENIED for a
 * reference to another host. `found_in` (may be NULL) receives the file.
 */
const struct json *document_resolve(struct document_set *set, const struct document *from,
				    struct span reference, const struct document **found_in,
				    struct err *err) MUST_CHECK;

/* As err_set, with "file:line:column: " of the node before the text. Returns -1. */
int document_error(struct document_set *set, const struct json *node, struct err *err,
		   enum err_code code, const char *format, ...) PRINTF_LIKE(5, 6);

#endif
