#include "contract/schema_keyword.h"

#define D4 (1u << SCHEMA_DRAFT4)
#define O30 (1u << SCHEMA_OPENAPI30)
#define D7 (1u << SCHEMA_DRAFT7)
#define D19 (1u << SCHEMA_2019_09)
#define D20 (1u << SCHEMA_2020_12)
#define ALL (D4 | O30 | D7 | D19 | D20)
#define SINCE7 (D7 | D19 | D20)
#define SINCE19 (D19 | D20)

/* In byte order of the names, as the enum is. */
static const struct schema_keyword_info keywords[KW_COUNT] = {
	[KW_ANCHOR] = {"$anchor", HOLDS_NONE, SINCE19, false},
	[KW_DEFS] = {"$defs", HOLDS_MAP, SINCE19, false},
	[KW_DYNAMIC_ANCHOR] = {"$dynamicAnchor", HOLDS_NONE, D20, false},
	[KW_DYNAMIC_REF] = {"$dynamicRef", HOLDS_NONE, D20, false},
	[KW_ID] = {"$id", HOLDS_NONE, SINCE7, false},
	[KW_RECURSIVE_ANCHOR] = {"$recursiveAnchor", HOLDS_NONE, D19, false},
	[KW_RECURSIVE_REF] = {"$recursiveRef", HOLDS_NONE, D19, false},
	[KW_REF] = {"$ref", HOLDS_NONE, ALL, false},
	[KW_SCHEMA] = {"$schema", HOLDS_NONE, D4 | SINCE7, false},
	[KW_ADDITIONAL_ITEMS] = {"additionalItems", HOLDS_ONE, D4 | D7 | D19, false},
	[KW_ADDITIONAL_PROPERTIES] = {"additionalProperties", HOLDS_ONE, ALL, false},
	[KW_ALL_OF] = {"allOf", HOLDS_LIST, ALL, false},
	[KW_ANY_OF] = {"anyOf", HOLDS_LIST, ALL, false},
	[KW_CONST] = {"const", HOLDS_NONE, SINCE7, true},
	[KW_CONTAINS] = {"contains", HOLDS_ONE, SINCE7, false},
	[KW_CONTENT_SCHEMA] = {"contentSchema", HOLDS_ONE, SINCE19, false},
	[KW_DEFINITIONS] = {"definitions", HOLDS_MAP, ALL, false},
	[KW_DEPENDENCIES] = {"dependencies", HOLDS_MIXED_MAP, D4 | SINCE7, false},
	[KW_DEPENDENT_REQUIRED] = {"dependentRequired", HOLDS_NONE, SINCE19, true},
	[KW_DEPENDENT_SCHEMAS] = {"dependentSchemas", HOLDS_MAP, SINCE19, false},
	[KW_ELSE] = {"else", HOLDS_ONE, SINCE7, false},
	[KW_ENUM] = {"enum", HOLDS_NONE, ALL, true},
	[KW_EXCLUSIVE_MAXIMUM] = {"exclusiveMaximum", HOLDS_NONE, ALL, true},
	[KW_EXCLUSIVE_MINIMUM] = {"exclusiveMinimum", HOLDS_NONE, ALL, true},
	[KW_FORMAT] = {"format", HOLDS_NONE, ALL, false},
	[KW_ID_OLD] = {"id", HOLDS_NONE, D4, false},
	[KW_IF] = {"if", HOLDS_ONE, SINCE7, false},
	[KW_ITEMS] = {"items", HOLDS_ONE_OR_LIST, ALL, false},
	[KW_MAX_CONTAINS] = {"maxContains", HOLDS_NONE, SINCE19, true},
	[KW_MAX_ITEMS] = {"maxItems", HOLDS_NONE, ALL, true},
	[KW_MAX_LENGTH] = {"maxLength", HOLDS_NONE, ALL, true},
	[KW_MAX_PROPERTIES] = {"maxProperties", HOLDS_NONE, ALL, true},
	[KW_MAXIMUM] = {"maximum", HOLDS_NONE, ALL, true},
	[KW_MIN_CONTAINS] = {"minContains", HOLDS_NONE, SINCE19, true},
	[KW_MIN_ITEMS] = {"minItems", HOLDS_NONE, ALL, true},
	[KW_MIN_LENGTH] = {"minLength", HOLDS_NONE, ALL, true},
	[KW_MIN_PROPERTIES] = {"minProperties", HOLDS_NONE, ALL, true},
	[KW_MINIMUM] = {"minimum", HOLDS_NONE, ALL, true},
	[KW_MULTIPLE_OF] = {"multipleOf", HOLDS_NONE, ALL, true},
	[KW_NOT] = {"not", HOLDS_ONE, ALL, false},
	[KW_NULLABLE] = {"nullable", HOLDS_NONE, O30, false},
	[KW_ONE_OF] = {"oneOf", HOLDS_LIST, ALL, false},
	[KW_PATTERN] = {"pattern", HOLDS_NONE, ALL, true},
	[KW_PATTERN_PROPERTIES] = {"patternProperties", HOLDS_MAP, ALL, false},
	[KW_PREFIX_ITEMS] = {"prefixItems", HOLDS_LIST, D20, false},
	[KW_PROPERTIES] = {"properties", HOLDS_MAP, ALL, false},
	[KW_PROPERTY_NAMES] = {"propertyNames", HOLDS_ONE, SINCE7, false},
	[KW_READ_ONLY] = {"readOnly", HOLDS_NONE, ALL, false},
	[KW_REQUIRED] = {"required", HOLDS_NONE, ALL, true},
	[KW_THEN] = {"then", HOLDS_ONE, SINCE7, false},
	[KW_TYPE] = {"type", HOLDS_NONE, ALL, true},
	[KW_UNEVALUATED_ITEMS] = {"unevaluatedItems", HOLDS_ONE, SINCE19, false},
	[KW_UNEVALUATED_PROPERTIES] = {"unevaluatedProperties", HOLDS_ONE, SINCE19, false},
	[KW_UNIQUE_ITEMS] = {"uniqueItems", HOLDS_NONE, ALL, true},
	[KW_WRITE_ONLY] = {"writeOnly", HOLDS_NONE, ALL, false},
};

const struct schema_keyword_info *schema_keyword_info(enum schema_keyword keyword)
{
	return &keywords[keyword];
}

bool schema_keyword_find(struct span name, enum schema_dialect dialect,
			 enum schema_keyword *keyword)
{
	size_t low = 0;
	size_t high = KW_COUNT;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = span_compare(name, span_cstr(keywords[middle].name));

		if (order == 0) {
			*keyword = (enum schema_keyword)middle;
			return keywords[middle].dialects >> dialect & 1;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}
