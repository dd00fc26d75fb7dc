/*
 * schema_program.h - what a schema is compiled into; for the files of the engine only. All of it is
 * in the set's arena and immutable once the compilation that made it has ended.
 */
#ifndef CONTRACT_SCHEMA_PROGRAM_H
#define CONTRACT_SCHEMA_PROGRAM_H

#include "contract/decimal.h"
#include "contract/ecma.h"
#include "contract/format.h"
#include "contract/schema.h"
#include "contract/schema_names.h"

/* Places a schema may lead to on the same value, one below the other. */
#define SCHEMA_INPLACE_DEPTH_MAX 48

/* How a schema applies another one to the same value. */
enum schema_apply {
	SCHEMA_APPLY_ALL, /* allOf, $ref: as if it stood here */
	SCHEMA_APPLY_ANY,
	SCHEMA_APPLY_ONE,
	SCHEMA_APPLY_NOT,
	SCHEMA_APPLY_IF,
	SCHEMA_APPLY_THEN,
	SCHEMA_APPLY_ELSE,
	SCHEMA_APPLY_DEPENDENT, /* when the property `name` is there */
};

struct schema_branch {
	const struct schema *schema;
	enum schema_apply apply;
	uint32_t name; /* index in the object's names */
};

/* Longer names are looked up. */
#define SCHEMA_LEXEME_MAX 24

/* What is said of a name in names.entries of the same index. */
struct schema_member {
	const struct schema *schema; /* NULL: nothing in `properties` */
	bool hidden; /* may not go this direction */
	bool plain_name; /* stands in JSON as it is, without escapes */
	/* Then, and where it fits: the name with quotes and colon. */
	unsigned char lexeme_len;
	char lexeme[SCHEMA_LEXEME_MAX];
};

/*
 * A property that tells the branches of a oneOf or anyOf apart, where it is there: each allows
 * other strings for it. For objects; branches that are for other types only are not in it.
 */
struct schema_pick {
	enum schema_apply apply; /* SCHEMA_APPLY_ONE or _ANY: of these branches */
	struct span name;
	struct schema_names values;
	const struct schema *const *schemas; /* of the branch for each value */
	/* For each value all that an object must meet (schema_join.c), or NULL; NULL: none. */
	const struct schema *const *joined;
	/* The name with quotes and colon, as it mostly stands there; 0: it is too long, or escaped. */
	unsigned char lexeme_len;
	char lexeme[SCHEMA_LEXEME_MAX];
};

struct schema_pattern {
	const struct ecma *expression;
	const struct schema *schema;
};

/* Words of a set of names. */
#define SCHEMA_WORDS(count) (((count) + 63) / 64)

struct schema_dependency {
	uint32_t name;
	const uint64_t *needs; /* a set of names */
};

struct schema_object {
	struct schema_names names; /* all that any keyword names */
	const struct schema_member *members;
	const uint64_t *required; /* a set of names; NULL: none */
	const struct schema_pattern *patterns;
	size_t pattern_count;
	const struct schema *additional; /* NULL where nothing is said, in all of these */
	const struct schema *unevaluated;
	const struct schema *property_names;
	const struct schema_dependency *dependencies;
	size_t dependency_count;
	uint64_t min;
	uint64_t max;
	bool says_names; /* see SCHEMA_UNKNOWN_STRIP */
};

struct schema_array {
	const struct schema *const *prefix;
	size_t prefix_count;
	const struct schema *items; /* after the prefix */
	const struct schema *contains;
	uint64_t min_contains;
	uint64_t max_contains;
	const struct schema *unevaluated;
	uint64_t min;
	uint64_t max;
	bool unique;
	bool contains_evaluates; /* 2020-12 */
	const char *items_keyword; /* "items" or "additionalItems" */
};

struct schema_string {
	uint64_t min; /* code points */
	uint64_t max;
	const struct ecma *pattern;
	bool has_format;
	enum format format;
};

struct schema_bound {
	bool there;
	bool exclusive;
	struct decimal value;
	struct span text; /* as it stands in the schema; the name of a format */
	const char *keyword;
};

struct schema_number {
	/* The integers that the bounds leave; empty when low > high. */
	int64_t low;
	int64_t high;
	struct schema_bound min[2]; /* minimum, exclusiveMinimum */
	struct schema_bound max[2];
	bool has_divisor;
	bool plain_divisor; /* it is divisor_integer */
	int64_t divisor_integer;
	struct decimal_divisor divisor;
	/* The divisor as an integer, once it and what it divides were multiplied by 10^places. */
	bool scaled;
	unsigned places;
	uint64_t divisor_scaled;
	struct schema_bound format_min;
	struct schema_bound format_max;
};

/* The values of enum or const. */
struct schema_values {
	const char *keyword;
	struct schema_names strings;
	const struct decimal *numbers;
	size_t number_count;
	const int64_t *integers; /* those of them that are, ascending */
	size_t integer_count;
	const uint64_t
		*integer_bits; /* the same, from the least on; NULL: they are too far apart */
	uint64_t integer_range; /* of the greatest, less the least */
	const uint64_t *hashes; /* of arrays and objects */
	size_t hash_count;
	bool has_true;
	bool has_false;
	bool has_null;
};

/* schema_scalar.c: is the integer listed? */
bool schema_values_have(const struct schema_values *values, int64_t integer);

struct schema {
	unsigned char types; /* SCHEMA_* allowed */
	unsigned char reach; /* as schema_types() tells */
	bool always; /* met by every value */
	bool never;
	bool strict_integers; /* draft 4: 1.0 is none */
	bool unevaluated; /* has unevaluatedProperties or unevaluatedItems */
	bool needs_hash; /* compares arrays or objects */
	bool plain_scalar; /* of scalars only types, `string` and `number` say something */
	bool plain_members; /* `object` and `array` hold only what schema_scan.c knows */
	bool plain_container; /* and of arrays and objects nothing else is said */
	bool measuring; /* for the search of loops */
	unsigned char height; /* of the schemas applied to the same value; 0: not measured */
	const struct schema_object *object;
	const struct schema_array *array;
	const struct schema_string *string;
	const struct schema_number *number;
	const struct schema_values *values[2]; /* enum, const */
	const struct schema_branch *branches;
	const struct schema_pick *pick; /* NULL: none */
	const struct schema *joined; /* all that an object must meet (schema_join.c), or NULL */
	uint32_t branch_count;
	bool has_any;
	bool has_one;
	uint32_t width; /* schemas applied to the same value, this one included */
	struct span location;
};

/*
 * The hash of a value. Equal values (numbers by value, objects without order) have equal hashes.
 * Those of containers are made of those of their parts.
 */
uint64_t schema_hash_scalar(enum json_type type, bool boolean, struct span text);
static inline uint64_t schema_hash_pair(uint64_t a, uint64_t b);
/* For the sum of an object's members or the chain of an array's items. */
uint64_t schema_hash_container(bool object, uint64_t inner, uint64_t count);
uint64_t schema_hash_key(struct span key);
uint64_t schema_hash_words(uint64_t a, uint64_t b, uint64_t c);

static inline uint64_t schema_hash_pair(uint64_t a, uint64_t b)
{
	return schema_hash_words(a, b, 3);
}

/* The built-in document with this URI (without fragment), or NULL. */
const char *schema_meta_find(struct span uri);

#endif
