/*
 * schema_build.h - the compile-time side of the schema engine: documents, resources, anchors and
 * references; for the files of the engine only.
 */
#ifndef CONTRACT_SCHEMA_BUILD_H
#define CONTRACT_SCHEMA_BUILD_H

#include "base/map.h"
#include "contract/schema_keyword.h"
#include "contract/schema_program.h"

struct schema_place;

/* A name for a place, unique in its resource. */
struct schema_anchor {
	struct schema_anchor *next; /* of the resource's dynamic ones */
	struct span name;
	struct schema_place *place;
	bool dynamic;
};

/* A document, or a schema in it with an identifier of its own. */
struct schema_resource {
	struct span uri;
	const struct json *root;
	struct schema_document *document;
	struct span pointer; /* to the root, in the document */
	enum schema_dialect dialect; /* never SCHEMA_AUTO */
	bool validation; /* the vocabulary is in use */
	bool assert_formats;
	bool recursive_anchor; /* 2019-09 */
	struct schema_place *place; /* of the root; NULL when it is no schema */
	struct schema_anchor *dynamic;
};

/* A schema (or `true`, `false`) that is known as one. */
struct schema_place {
	const struct json *json; /* these bytes are the key of the place in the set's map */
	struct schema_resource *resource;
	struct span pointer; /* in the document */
};

struct schema_document {
	struct span uri;
	const struct json *root;
	struct schema_source source;
	struct schema_resource *resource;
};

struct schema_binding {
	struct span name; /* empty for $recursiveAnchor */
	struct schema_place *place;
};

/* Which schemas dynamic anchors stand for, by the resources gone through to get here. */
struct schema_context {
	struct schema_context *next;
	const struct schema_binding *bindings; /* in the order of binding */
	size_t count;
};

/* A schema whose program is still to be written. */
struct schema_job {
	struct schema_place *place;
	const struct schema_context *context;
	enum schema_direction direction;
	struct schema *schema;
};

struct schema_memo_key {
	const struct json *json;
	const struct schema_context *context;
	uint64_t direction;
};

struct schema_memo {
	struct schema_memo_key key;
	struct schema *schema;
};

struct schema_regex {
	struct schema_regex *next;
	struct span expression;
	struct ecma *ecma;
};

struct schema_set {
	struct schema_set_options options;
	struct arena arena;
	struct map documents;
	struct map resources; /* by URI */
	struct map anchors; /* by "URI#name" */
	struct map places; /* by address of the JSON */
	struct map memos; /* by struct schema_memo_key */
	struct map regexes; /* by expression */
	struct map missing; /* URIs that could not be loaded */
	struct schema_context *contexts;
	struct schema_regex *regex_list;
	struct schema_job *jobs;
	size_t job_count;
	size_t job_cap;
	size_t nodes;
	size_t regex_bytes;
	size_t joined_bytes; /* roughly, of what schema_join() has made */
	struct schema **fresh; /* made by the compilation that goes on */
	size_t fresh_count;
	size_t fresh_cap;
	struct schema_fault fault;
	bool has_fault;
};

/* All return -1; the fault and the error name the place. `pointer` may be in any memory. */
int schema_fail_at(struct schema_set *set, const struct schema_document *document,
		   struct span pointer, const struct json *value, struct err *err,
		   const char *format, ...) PRINTF_LIKE(6, 7);
int schema_fail(struct schema_set *set, const struct schema_place *place, const char *keyword,
		struct err *err, const char *format, ...) PRINTF_LIKE(5, 6);
int schema_no_memory(struct schema_set *set, struct err *err);

/* `pointer` with one more step. ptr NULL when out of memory. */
struct span schema_pointer_add(struct schema_set *set, struct span pointer, struct span key);
struct span schema_pointer_add_index(struct schema_set *set, struct span pointer, size_t index);

/* The place of a schema that is known, or NULL. */
struct schema_place *schema_place_find(const struct schema_set *set, const struct json *json);
/* Makes the schema and those in it known. NULL with an error. */
struct schema_place *schema_index(struct schema_set *set, const struct json *json,
				  struct schema_resource *resource, struct span pointer,
				  struct err *err);
/* The dialect that a `$schema` names, with its vocabularies, into the resource. */
int schema_dialect_use(struct schema_set *set, struct schema_resource *resource,
		       struct span uri, struct err *err);
/* By pointer from the root of a resource; indexes it when it is not known. NULL with an error. */
struct schema_place *schema_place_at(struct schema_set *set, struct schema_resource *resource,
				     struct span pointer, struct err *err);
/*
 * The schema that the text of a reference leads to, standing in `from`. *anchor is the dynamic
 * anchor that it names, or NULL.
 */
struct schema_place *schema_resolve(struct schema_set *set, const struct schema_place *from,
				    const char *keyword, struct span reference,
				    const struct schema_anchor **anchor, struct err *err);
/* The resource with this URI, which may have to be loaded; NULL without an error when there is
   none. */
struct schema_resource *schema_resource_find(struct schema_set *set, struct span uri,
					     struct err *err);

/* schema_compile.c: writes the program of one schema; children become jobs. */
int schema_compile_job(struct schema_set *set, const struct schema_job *job, struct err *err);
/* The program for a place, perhaps still to be written. NULL with an error. */
const struct schema *schema_program(struct schema_set *set, struct schema_place *place,
				    const struct schema_context *context,
				    enum schema_direction direction, struct err *err);
/* Bounds what schemas apply to one value, and sets what follows from that; after all jobs. */
int schema_measure(struct schema_set *set, struct schema *root, struct err *err);
/* schema_parts.c: the name with quotes and colon; its length, 0 when it has no such form. */
unsigned char schema_write_lexeme(struct span name, char to[SCHEMA_LEXEME_MAX]);
/* schema_pick.c: looks for what tells the branches of a measured schema apart. */
int schema_pick_find(struct schema_set *set, struct schema *schema, struct err *err);
/* schema_join.c: makes the schema without branches for it, where there is one and memory for it. */
void schema_join(struct schema_set *set, struct schema *schema);

#endif
