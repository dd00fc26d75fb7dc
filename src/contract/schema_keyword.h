/* schema_keyword.h - the keywords of all dialects, and where schemas are in their values. */
#ifndef CONTRACT_SCHEMA_KEYWORD_H
#define CONTRACT_SCHEMA_KEYWORD_H

#include "contract/schema.h"

enum schema_keyword {
	KW_ANCHOR,
	KW_DEFS,
	KW_DYNAMIC_ANCHOR,
	KW_DYNAMIC_REF,
	KW_ID,
	KW_RECURSIVE_ANCHOR,
	KW_RECURSIVE_REF,
	KW_REF,
	KW_SCHEMA,
	KW_ADDITIONAL_ITEMS,
	KW_ADDITIONAL_PROPERTIES,
	KW_ALL_OF,
	KW_ANY_OF,
	KW_CONST,
	KW_CONTAINS,
	KW_CONTENT_SCHEMA,
	KW_DEFINITIONS,
	KW_DEPENDENCIES,
	KW_DEPENDENT_REQUIRED,
	KW_DEPENDENT_SCHEMAS,
	KW_ELSE,
	KW_ENUM,
	KW_EXCLUSIVE_MAXIMUM,
	KW_EXCLUSIVE_MINIMUM,
	KW_FORMAT,
	KW_ID_OLD,
	KW_IF,
	KW_ITEMS,
	KW_MAX_CONTAINS,
	KW_MAX_ITEMS,
	KW_MAX_LENGTH,
	KW_MAX_PROPERTIES,
	KW_MAXIMUM,
	KW_MIN_CONTAINS,
	KW_MIN_ITEMS,
	KW_MIN_LENGTH,
	KW_MIN_PROPERTIES,
	KW_MINIMUM,
	KW_MULTIPLE_OF,
	KW_NOT,
	KW_NULLABLE,
	KW_ONE_OF,
	KW_PATTERN,
	KW_PATTERN_PROPERTIES,
	KW_PREFIX_ITEMS,
	KW_PROPERTIES,
	KW_PROPERTY_NAMES,
	KW_READ_ONLY,
	KW_REQUIRED,
	KW_THEN,
	KW_TYPE,
	KW_UNEVALUATED_ITEMS,
	KW_UNEVALUATED_PROPERTIES,
	KW_UNIQUE_ITEMS,
	KW_WRITE_ONLY,
	KW_COUNT,
};

enum schema_holds {
	HOLDS_NONE,
	HOLDS_ONE, /* a schema */
	HOLDS_LIST,
	HOLDS_MAP,
	HOLDS_ONE_OR_LIST,
	HOLDS_MIXED_MAP, /* schemas and arrays of names */
};

struct schema_keyword_info {
	const char *name;
	enum schema_holds holds;
	unsigned dialects; /* a bit for each schema_dialect */
	bool validation; /* of the vocabulary "validation" */
};

/* False when the dialect has no such keyword. */
bool schema_keyword_find(struct span name, enum schema_dialect dialect,
			 enum schema_keyword *keyword);
const struct schema_keyword_info *schema_keyword_info(enum schema_keyword keyword);

#endif
