/*
 * schema.h - JSON Schema compiled into immutable programs, and runs that check JSON against them
 * while it streams in. Draft 4, draft 4 as OpenAPI 3.0 bends it, drafts 6 and 7, 2019-09 and
 * 2020-12 (also as OpenAPI 3.1 uses it).
 *
 * Compile time. A set owns documents (JSON trees with a URI) and the programs made from them:
 *
 *	set = schema_set_new(&options, &err);
 *	document = schema_set_add(set, SPAN("file:///orders.json"), tree, &as, &err);
 *	schema = schema_set_compile(set, document, SPAN("/components/schemas/Order"),
 *				    SCHEMA_REQUEST, &err);
 *
 * The trees are borrowed and must outlive the set, as must their texts. While it is built, a set
 * belongs to one thread; afterwards schemas may be read by any number of threads. Programs die
 * with the set. Whatever can be wrong with a schema is an error of compilation: a reference to
 * nothing, references that only lead to each other, a keyword with a value of the wrong type, a
 * regular expression that cannot be used. The error names document and JSON Pointer, and
 * schema_set_fault() gives them apart.
 *
 * Run time. A run holds the state of one check. It is reused: after some checks it allocates
 * nothing any more. It belongs to one thread at a time.
 *
 *	run = schema_run_new(&limits, &err);
 *	schema_run_start(run, schema, &options);
 *	while ((piece = read_more()).len)                      // pieces of any size
 *		if (schema_run_feed(run, piece) != SCHEMA_MORE)
 *			break;
 *	result = schema_run_finish(run);
 *
 * Memory of a run grows with depth, with the number of schemas that are tried at once (oneOf and
 * the like run side by side over the same tokens), with 8 to 64 bytes for an item of an array with
 * uniqueItems and for a key that no schema names in an open object, and never with the length of
 * arrays or of the text. What cannot be decided within the limits is not valid.
 *
 * Values are compared by SipHash with the process's key where one of them is an array or object
 * (const, enum, uniqueItems) and, for uniqueItems, always.
 */
#ifndef CONTRACT_SCHEMA_H
#define CONTRACT_SCHEMA_H

#include "parse/json.h"

enum schema_dialect {
	SCHEMA_AUTO, /* by `$schema`; without one, 2020-12 */
	SCHEMA_DRAFT4,
	/*
	 * OpenAPI 3.0: draft 4 with nullable, readOnly, writeOnly; discriminator is ignored,
	 * because oneOf and anyOf say the same; a `$ref` hides what stands beside it; there are no
	 * ids, and `$schema` is ignored.
	 */
	SCHEMA_OPENAPI30,
	SCHEMA_DRAFT7, /* also for draft 6 */
	SCHEMA_2019_09,
	SCHEMA_2020_12, /* also for OpenAPI 3.1 and 3.2 */
};

/*
 * Which way the values go. In a request a property whose schema is readOnly counts as not in the
 * contract and is never required, in a response one that is writeOnly (OpenAPI 3.0.3 section
 * 4.7.24.1). Outside of OpenAPI use SCHEMA_EITHER.
 */
enum schema_direction { SCHEMA_EITHER, SCHEMA_REQUEST, SCHEMA_RESPONSE };

/* -- sets -- */

struct schema_set;
struct schema_document;
struct schema; /* a compiled program; immutable; lives as long as its set */

/* How a document is to be read. */
struct schema_source {
	/* Of all in it that has no `$schema` of its own. */
	enum schema_dialect dialect;
	/*
	 * The root is a schema: its `$id`, `$anchor` and those below it are known from the start.
	 * Otherwise (an OpenAPI document) schemas become known by schema_set_index(), by being
	 * compiled and by being referred to.
	 */
	bool is_schema;
};

struct schema_set_options {
	/* `format` is checked; otherwise it says nothing, as 2019-09 and later have it. Formats
	   of numbers (int32, int64, float, double) are always checked. */
	bool assert_formats;
	/* Programs of all compiled schemas together, in bytes; 0: 64 MiB. */
	size_t max_bytes;
	/* Places in schemas, counted again for each way that dynamic references make them differ;
	   0: 200,000. */
	size_t max_nodes;
	/* Schemas that one schema applies to the same value (allOf, anyOf, $ref ...), all told;
	   0: 10,000. */
	size_t max_width;
	size_t max_regex_bytes; /* of one regular expression; 0: 4096 */
	/*
	 * Called when a reference leads to a document that the set does not have: adds it with
	 * schema_set_add() under just this URI and returns 0, or returns -1 with an error. Not
	 * called again for a URI that failed. NULL: only documents of the set may be referred to.
	 */
	int (*load)(void *context, struct schema_set *set, struct span uri, struct err *err);
	void *load_context;
};

/* NULL options mean all defaults. */
struct schema_set *schema_set_new(const struct schema_set_options *options, struct err *err);
void schema_set_free(struct schema_set *set);
/*
 * Adds a document. `uri` is absolute (any scheme) and without a fragment; it is copied. `source`
 * NULL means a JSON Schema by `$schema`. NULL with an error when the URI is taken, or an `$id` or
 * anchor in it is malformed or there twice. The meta-schemas of the dialects are there already.
 */
struct schema_document *schema_set_add(struct schema_set *set, struct span uri,
				       const struct json *root,
				       const struct schema_source *source, struct err *err);
/* The document added under this URI, or NULL. */
struct schema_document *schema_set_find(const struct schema_set *set, struct span uri);
/* Makes the ids and anchors of the schema at `pointer` known (RFC 6901; "" is the root). */
int schema_set_index(struct schema_set *set, struct schema_document *document,
		     struct span pointer, struct err *err);
/* The program for the schema at `pointer`. The same place gives the same program again. */
const struct schema *schema_set_compile(struct schema_set *set,
					struct schema_document *document, struct span pointer,
					enum schema_direction direction, struct err *err);
/* A schema that every value meets; for what a contract leaves open. Static. */
const struct schema *schema_anything(void);

/* Where the last error of this set was found. */
struct schema_fault {
	struct span uri; /* of the document */
	struct span pointer; /* in it */
	const struct json *value; /* there; for the line of it. NULL when there is nothing */
};
/* False when the last error had no place (out of memory). Valid until the next call. */
bool schema_set_fault(const struct schema_set *set, struct schema_fault *fault);

/* -- what a schema looks like, for decoders of parameters and forms -- */

enum schema_type {
	SCHEMA_NULL = 1,
	SCHEMA_BOOLEAN = 2,
	SCHEMA_INTEGER = 4,
	SCHEMA_NUMBER = 8, /* numbers that are not integers */
	SCHEMA_STRING = 16,
	SCHEMA_ARRAY = 32,
	SCHEMA_OBJECT = 64,
};
#define SCHEMA_ANY_TYPE 127

/*
 * The enum schema_type bits of values that may meet the schema as far as `type`, `const` and `enum`
 * say, looking through $ref, allOf, anyOf, oneOf and if.
 */
unsigned schema_types(const struct schema *schema);
/*
 * What a member of that name, or an item, must meet: the first place that says so, looking through
 * $ref and what allOf, anyOf and oneOf hold. NULL when nothing is said. Good for telling how to
 * decode; a whole check considers all places.
 */
const struct schema *schema_property(const struct schema *schema, struct span name);
const struct schema *schema_items(const struct schema *schema);
/* Of the item at a position, and how many positions prefixItems says something of. */
const struct schema *schema_item(const struct schema *schema, size_t index);
size_t schema_prefix_count(const struct schema *schema);
/* As schema_property() and schema_items() where one place alone says something; else NULL. */
const struct schema *schema_only_property(const struct schema *schema, struct span name);
const struct schema *schema_only_items(const struct schema *schema);
/* The schema for members that are not named; NULL when nothing is said. */
const struct schema *schema_additional(const struct schema *schema);
/*
 * The names in `properties` of the schema and of what it refers to, one a call; *cursor starts at
 * 0. False at the end. A name may come twice.
 */
bool schema_property_next(const struct schema *schema, size_t *cursor, struct span *name);
/* Where it stands: "URI#pointer". */
struct span schema_location(const struct schema *schema);

/* -- runs -- */

struct schema_run;

/* 0 means the default in each. */
struct schema_run_limits {
	unsigned max_depth; /* of the text: 64, at most JSON_DEPTH_MAX */
	size_t max_string_bytes; /* of a string or key, decoded: 1 MiB */
	size_t max_number_bytes; /* 128 */
	size_t max_keys; /* of all open objects together: 10,000 */
	size_t max_unique_items; /* of all open arrays with uniqueItems together: 100,000 */
	size_t max_evaluations; /* schemas at work at once, over all levels: 10,000 */
	uint64_t max_steps; /* schemas applied to values, all told: 100 million */
	unsigned max_problems; /* told about: 32 */
	unsigned max_unknown; /* unknown properties told about: 1,000 */
	uint32_t regex_match_limit; /* PCRE2's: 100,000 */
	uint32_t regex_depth_limit; /* PCRE2's: 1,000 */
	uint32_t regex_time_ms; /* of processor, for texts over 512 bytes: 100 */
};

enum schema_unknown {
	SCHEMA_UNKNOWN_ALLOW, /* not looked for */
	/*
	 * Properties that no schema names, by the rule below, are problems with the keyword
	 * "unknownProperty".
	 */
	SCHEMA_UNKNOWN_REFUSE,
	/*
	 * They are told by schema_run_cuts(), so that the caller removes them, and are no problem;
	 * neither are those that additionalProperties or unevaluatedProperties `false` refuses.
	 */
	SCHEMA_UNKNOWN_STRIP,
};
/*
 * A property is known when a schema that holds for its object names it: in `properties` (and it
 * may go this direction), by patternProperties, or because additionalProperties or
 * unevaluatedProperties are there and not `false`. In an object for which no schema that holds has
 * any of these keywords, all are known. Schemas in branches (oneOf ...) hold when they and all
 * around them up to the root are met.
 */

struct schema_run_options {
	enum schema_unknown unknown;
	/* Keys may be there twice; otherwise an object with one key twice is malformed. */
	bool allow_duplicate_keys;
};

enum schema_result {
	SCHEMA_MORE, /* so far nothing is wrong: feed more, or finish */
	SCHEMA_VALID,
	SCHEMA_INVALID, /* schema_run_problems() says why */
	SCHEMA_MALFORMED, /* no JSON: schema_run_json_error() */
	SCHEMA_LIMIT, /* over a limit of the run: schema_run_limit() names it */
	SCHEMA_MEMORY, /* an allocation failed */
};

/* NULL limits mean all defaults. */
struct schema_run *schema_run_new(const struct schema_run_limits *limits, struct err *err);
void schema_run_free(struct schema_run *run);

/*
 * From now on, and until this is called again, all checks of the run together have this time for
 * patterns in texts over 512 bytes, and not each of them; 0 means 100 ms.
 */
void schema_run_limit_patterns(struct schema_run *run, uint32_t time_ms);
/* Begins a check; what was told about the last one is gone. NULL options mean zeros. */
void schema_run_start(struct schema_run *run, const struct schema *schema,
		      const struct schema_run_options *options);
/*
 * The next piece of the text, which is not needed afterwards. SCHEMA_MORE: go on, also when
 * problems have been found but there may be more of them. Any other result is final and comes again
 * on each further call.
 */
enum schema_result schema_run_feed(struct schema_run *run, struct span piece);
/* The text is at its end: the final result. */
enum schema_result schema_run_finish(struct schema_run *run);
/* Ends the check here when a problem was found (SCHEMA_INVALID); else changes nothing. */
enum schema_result schema_run_stop(struct schema_run *run);
/* start, feed and finish in one. */
enum schema_result schema_run_whole(struct schema_run *run, const struct schema *schema,
				    const struct schema_run_options *options, struct span text);

/*
 * Instead of feeding text, for what is no JSON (forms, parameters): the tokens of one value in
 * order, then schema_run_finish(). `text` is that of keys and strings (decoded, valid UTF-8) and
 * numbers (as JSON writes them), and is needed only during the call. JSON_TOKEN_MORE, END and ERROR
 * may not be given. Offsets are 0.
 */
enum schema_result schema_run_token(struct schema_run *run, enum json_token token,
				    struct span text);
/*
 * A scalar given as text where a value is due. It is what the schemas that apply there allow: a
 * number if they allow numbers and it is one as JSON writes them, true or false, null for the
 * empty text, otherwise a string. Text that is not UTF-8 is a problem ("encoding").
 */
enum schema_result schema_run_text(struct schema_run *run, struct span text);
/* A whole check of one such scalar: start, text, finish. */
enum schema_result schema_run_scalar(struct schema_run *run, const struct schema *schema,
				     struct span text);
/* A whole check of a tree. */
enum schema_result schema_run_tree(struct schema_run *run, const struct schema *schema,
				   const struct schema_run_options *options,
				   const struct json *value);

/*
 * Says what was wrong and where, never with the value itself. Keys of the instance are in its
 * pointer, though: they are the peer's text.
 */
struct schema_problem {
	struct span instance; /* JSON Pointer to the value; "" is the whole */
	struct span keyword; /* "minimum"; "false" for the schema `false` */
	struct span schema; /* "URI#pointer" of the schema that holds the keyword */
	struct span
		detail; /* what was expected, "at most 5", or the name that is missing; may be
			       empty */
	uint64_t
		offset; /* of the value's first byte in the text; of a container's last where it
			    shows only there */
};
/*
 * In the order in which they were found; valid until the next start. Failures inside of a branch
 * (anyOf, oneOf, not, if) are told as one problem of the keyword with the branches.
 */
size_t schema_run_problems(const struct schema_run *run,
			   const struct schema_problem **problems);
/* True when there were more problems than max_problems: then the check ended early. */
bool schema_run_truncated(const struct schema_run *run);

/* After SCHEMA_MALFORMED. */
enum json_error schema_run_json_error(const struct schema_run *run, uint64_t *offset);
/* After SCHEMA_LIMIT: "depth", "steps", ...: the name of a member of the limits, without max_. */
struct span schema_run_limit(const struct schema_run *run);

/* Bytes [start, end) of the text. */
struct schema_cut {
	uint64_t start;
	uint64_t end;
};
/*
 * After SCHEMA_VALID with SCHEMA_UNKNOWN_STRIP: what to leave out, ascending and apart, commas
 * included, so that the rest is JSON. Valid until the next start. A text with more unknown
 * properties than max_unknown ends with SCHEMA_LIMIT.
 */
size_t schema_run_cuts(struct schema_run *run, const struct schema_cut **cuts);
/* Bytes that the run holds now. */
size_t schema_run_bytes(const struct schema_run *run);

#endif
