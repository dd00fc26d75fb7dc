/*
 * The meta-schemas of the dialects, so that schemas can refer to them: what each keyword may hold.
 * The parts that 2019-09 and 2020-12 have in files of their own are one here.
 */
#include "contract/schema_program.h"

static const char draft4[] =
	"{\"id\":\"http://json-schema.org/draft-04/schema#\","
	"\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"type\":\"object\","
	"\"dependencies\":{\"exclusiveMaximum\":[\"maximum\"],"
	"\"exclusiveMinimum\":[\"minimum\"]},\"properties\":{\"id\":{\"type\":\"string\"},"
	"\"$schema\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"description\":{"
	"\"type\":\"string\"},\"multipleOf\":{\"type\":\"number\",\"minimum\":0,"
	"\"exclusiveMinimum\":true},\"minimum\":{\"type\":\"number\"},\"maximum\":{"
	"\"type\":\"number\"},\"exclusiveMinimum\":{\"type\":\"boolean\"},"
	"\"exclusiveMaximum\":{\"type\":\"boolean\"},\"maxLength\":{"
	"\"$ref\":\"#/definitions/count\"},\"minLength\":{"
	"\"$ref\":\"#/definitions/count\"},\"maxItems\":{"
	"\"$ref\":\"#/definitions/count\"},\"minItems\":{"
	"\"$ref\":\"#/definitions/count\"},\"maxProperties\":{"
	"\"$ref\":\"#/definitions/count\"},\"minProperties\":{"
	"\"$ref\":\"#/definitions/count\"},\"pattern\":{\"type\":\"string\","
	"\"format\":\"regex\"},\"format\":{\"type\":\"string\"},\"uniqueItems\":{"
	"\"type\":\"boolean\"},\"additionalItems\":{\"anyOf\":[{\"type\":\"boolean\"},{"
	"\"$ref\":\"#\"}]},\"additionalProperties\":{\"anyOf\":[{\"type\":\"boolean\"},{"
	"\"$ref\":\"#\"}]},\"enum\":{\"type\":\"array\",\"minItems\":1,\"uniqueItems\":true},"
	"\"items\":{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#/definitions/schemas\"}]},"
	"\"required\":{\"$ref\":\"#/definitions/names\"},\"definitions\":{"
	"\"$ref\":\"#/definitions/map\"},\"properties\":{\"$ref\":\"#/definitions/map\"},"
	"\"patternProperties\":{\"type\":\"object\",\"additionalProperties\":{"
	"\"$ref\":\"#\"}},\"dependencies\":{\"type\":\"object\",\"additionalProperties\":{"
	"\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#/definitions/names\"}]}},\"type\":{"
	"\"anyOf\":[{\"$ref\":\"#/definitions/type\"},{\"type\":\"array\",\"items\":{"
	"\"$ref\":\"#/definitions/type\"},\"minItems\":1,\"uniqueItems\":true}]},"
	"\"allOf\":{\"$ref\":\"#/definitions/schemas\"},\"anyOf\":{"
	"\"$ref\":\"#/definitions/schemas\"},\"oneOf\":{"
	"\"$ref\":\"#/definitions/schemas\"},\"not\":{\"$ref\":\"#\"}},\"definitions\":{"
	"\"count\":{\"type\":\"integer\",\"minimum\":0},\"schemas\":{\"type\":\"array\","
	"\"minItems\":1,\"items\":{\"$ref\":\"#\"}},\"names\":{\"type\":\"array\",\"items\":{"
	"\"type\":\"string\"},\"uniqueItems\":true,\"minItems\":1},\"map\":{"
	"\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#\"}},\"type\":{"
	"\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\","
	"\"string\"]}}}";

/* The two differ in nothing else that is looked at here. */
#define DRAFT_6_OR_7(version)                                                                  \
	"{\"$id\":\"http://json-schema.org/draft-" version "/schema#\","                       \
	"\"$schema\":\"http://json-schema.org/draft-" version                                  \
	"/schema#\",\"type\":[\"object\","                                                     \
	"\"boolean\"],\"properties\":{\"$id\":{\"type\":\"string\","                           \
	"\"format\":\"uri-reference\"},\"$schema\":{\"type\":\"string\",\"format\":\"uri\"},"  \
	"\"$ref\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"$comment\":{"           \
	"\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"description\":{"               \
	"\"type\":\"string\"},\"readOnly\":{\"type\":\"boolean\"},\"writeOnly\":{"             \
	"\"type\":\"boolean\"},\"examples\":{\"type\":\"array\"},\"contains\":{\"$ref\":\"#"   \
	"\"},"                                                                                 \
	"\"propertyNames\":{\"$ref\":\"#\"},\"if\":{\"$ref\":\"#\"},\"then\":{\"$ref\":\"#\"}" \
	","                                                                                    \
	"\"else\":{\"$ref\":\"#\"},\"contentMediaType\":{\"type\":\"string\"},"                \
	"\"contentEncoding\":{\"type\":\"string\"},\"multipleOf\":{\"type\":\"number\","       \
	"\"exclusiveMinimum\":0},\"minimum\":{\"type\":\"number\"},\"maximum\":{"              \
	"\"type\":\"number\"},\"exclusiveMinimum\":{\"type\":\"number\"},"                     \
	"\"exclusiveMaximum\":{\"type\":\"number\"},\"maxLength\":{"                           \
	"\"$ref\":\"#/definitions/count\"},\"minLength\":{"                                    \
	"\"$ref\":\"#/definitions/count\"},\"maxItems\":{"                                     \
	"\"$ref\":\"#/definitions/count\"},\"minItems\":{"                                     \
	"\"$ref\":\"#/definitions/count\"},\"maxProperties\":{"                                \
	"\"$ref\":\"#/definitions/count\"},\"minProperties\":{"                                \
	"\"$ref\":\"#/definitions/count\"},\"pattern\":{\"type\":\"string\","                  \
	"\"format\":\"regex\"},\"format\":{\"type\":\"string\"},\"uniqueItems\":{"             \
	"\"type\":\"boolean\"},\"additionalProperties\":{\"$ref\":\"#\"},\"enum\":{"           \
	"\"type\":\"array\"},\"additionalItems\":{\"$ref\":\"#\"},\"items\":{\"anyOf\":[{"     \
	"\"$ref\":\"#\"},{\"$ref\":\"#/definitions/schemas\"}]},\"required\":{"                \
	"\"$ref\":\"#/definitions/names\"},\"definitions\":{"                                  \
	"\"$ref\":\"#/definitions/map\"},\"properties\":{\"$ref\":\"#/definitions/map\"},"     \
	"\"patternProperties\":{\"type\":\"object\",\"additionalProperties\":{"                \
	"\"$ref\":\"#\"},\"propertyNames\":{\"format\":\"regex\"}},\"dependencies\":{"         \
	"\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[{\"$ref\":\"#\"},{"          \
	"\"$ref\":\"#/definitions/names\"}]}},\"type\":{\"anyOf\":[{"                          \
	"\"$ref\":\"#/definitions/type\"},{\"type\":\"array\",\"items\":{"                     \
	"\"$ref\":\"#/definitions/type\"},\"minItems\":1,\"uniqueItems\":true}]},"             \
	"\"allOf\":{\"$ref\":\"#/definitions/schemas\"},\"anyOf\":{"                           \
	"\"$ref\":\"#/definitions/schemas\"},\"oneOf\":{"                                      \
	"\"$ref\":\"#/definitions/schemas\"},\"not\":{\"$ref\":\"#\"}},\"definitions\":{"      \
	"\"count\":{\"type\":\"integer\",\"minimum\":0},\"schemas\":{\"type\":\"array\","      \
	"\"minItems\":1,\"items\":{\"$ref\":\"#\"}},\"names\":{\"type\":\"array\",\"items\":{" \
	"\"type\":\"string\"},\"uniqueItems\":true},\"map\":{\"type\":\"object\","             \
	"\"additionalProperties\":{\"$ref\":\"#\"}},\"type\":{\"enum\":[\"array\","            \
	"\"boolean\",\"integer\",\"null\",\"number\",\"object\",\"string\"]}}}"

static const char draft6[] = DRAFT_6_OR_7("06");
static const char draft7[] = DRAFT_6_OR_7("07");

static const char draft2019[] =
	"{\"$id\":\"https://json-schema.org/draft/2019-09/schema\","
	"\"$schema\":\"https://json-schema.org/draft/2019-09/schema\","
	"\"type\":[\"object\",\"boolean\"],\"$recursiveAnchor\":true,\"$vocabulary\":{"
	"\"https://json-schema.org/draft/2019-09/vocab/core\":true,"
	"\"https://json-schema.org/draft/2019-09/vocab/applicator\":true,"
	"\"https://json-schema.org/draft/2019-09/vocab/validation\":true,"
	"\"https://json-schema.org/draft/2019-09/vocab/meta-data\":true,"
	"\"https://json-schema.org/draft/2019-09/vocab/content\":true,"
	"\"https://json-schema.org/draft/2019-09/vocab/format\":false},"
	"\"properties\":{\"$id\":{\"type\":\"string\",\"format\":\"uri-reference\","
	"\"pattern\":\"^[^#]*#?$\"},\"$schema\":{\"type\":\"string\",\"format\":\"uri\"},"
	"\"$ref\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"$comment\":{"
	"\"type\":\"string\"},\"$anchor\":{\"type\":\"string\","
	"\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"},\"$defs\":{"
	"\"$ref\":\"#/$defs/map\"},\"$vocabulary\":{\"type\":\"object\",\"propertyNames\":{"
	"\"type\":\"string\",\"format\":\"uri\"},\"additionalProperties\":{"
	"\"type\":\"boolean\"}},\"$recursiveRef\":{\"type\":\"string\","
	"\"format\":\"uri-reference\"},\"$recursiveAnchor\":{\"type\":\"boolean\"},"
	"\"additionalItems\":{\"$recursiveRef\":\"#\"},\"unevaluatedItems\":{"
	"\"$recursiveRef\":\"#\"},\"unevaluatedProperties\":{\"$recursiveRef\":\"#\"},"
	"\"dependentSchemas\":{\"$ref\":\"#/$defs/map\"},\"dependentRequired\":{"
	"\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#/$defs/names\"}},"
	"\"minContains\":{\"$ref\":\"#/$defs/count\"},\"maxContains\":{"
	"\"$ref\":\"#/$defs/count\"},\"contentSchema\":{\"$recursiveRef\":\"#\"},"
	"\"deprecated\":{\"type\":\"boolean\"},\"title\":{\"type\":\"string\"},"
	"\"description\":{\"type\":\"string\"},\"readOnly\":{\"type\":\"boolean\"},"
	"\"writeOnly\":{\"type\":\"boolean\"},\"examples\":{\"type\":\"array\"},"
	"\"contains\":{\"$recursiveRef\":\"#\"},\"propertyNames\":{"
	"\"$recursiveRef\":\"#\"},\"if\":{\"$recursiveRef\":\"#\"},\"then\":{"
	"\"$recursiveRef\":\"#\"},\"else\":{\"$recursiveRef\":\"#\"},\"contentMediaType\":{"
	"\"type\":\"string\"},\"contentEncoding\":{\"type\":\"string\"},\"multipleOf\":{"
	"\"type\":\"number\",\"exclusiveMinimum\":0},\"minimum\":{\"type\":\"number\"},"
	"\"maximum\":{\"type\":\"number\"},\"exclusiveMinimum\":{\"type\":\"number\"},"
	"\"exclusiveMaximum\":{\"type\":\"number\"},\"maxLength\":{"
	"\"$ref\":\"#/$defs/count\"},\"minLength\":{\"$ref\":\"#/$defs/count\"},"
	"\"maxItems\":{\"$ref\":\"#/$defs/count\"},\"minItems\":{"
	"\"$ref\":\"#/$defs/count\"},\"maxProperties\":{\"$ref\":\"#/$defs/count\"},"
	"\"minProperties\":{\"$ref\":\"#/$defs/count\"},\"pattern\":{\"type\":\"string\","
	"\"format\":\"regex\"},\"format\":{\"type\":\"string\"},\"uniqueItems\":{"
	"\"type\":\"boolean\"},\"additionalProperties\":{\"$recursiveRef\":\"#\"},"
	"\"enum\":{\"type\":\"array\"},\"items\":{\"anyOf\":[{\"$recursiveRef\":\"#\"},{"
	"\"$ref\":\"#/$defs/schemas\"}]},\"required\":{\"$ref\":\"#/$defs/names\"},"
	"\"definitions\":{\"$ref\":\"#/$defs/map\"},\"properties\":{"
	"\"$ref\":\"#/$defs/map\"},\"patternProperties\":{\"type\":\"object\","
	"\"additionalProperties\":{\"$recursiveRef\":\"#\"},\"propertyNames\":{"
	"\"format\":\"regex\"}},\"dependencies\":{\"type\":\"object\","
	"\"additionalProperties\":{\"anyOf\":[{\"$recursiveRef\":\"#\"},{"
	"\"$ref\":\"#/$defs/names\"}]}},\"type\":{\"anyOf\":[{\"$ref\":\"#/$defs/type\"},{"
	"\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/type\"},\"minItems\":1,"
	"\"uniqueItems\":true}]},\"allOf\":{\"$ref\":\"#/$defs/schemas\"},\"anyOf\":{"
	"\"$ref\":\"#/$defs/schemas\"},\"oneOf\":{\"$ref\":\"#/$defs/schemas\"},\"not\":{"
	"\"$recursiveRef\":\"#\"}},\"$defs\":{\"count\":{\"type\":\"integer\",\"minimum\":0},"
	"\"schemas\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"$recursiveRef\":\"#\"}},"
	"\"names\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true},"
	"\"map\":{\"type\":\"object\",\"additionalProperties\":{\"$recursiveRef\":\"#\"}},"
	"\"type\":{\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\","
	"\"string\"]}}}";

static const char draft2020[] =
	"{\"$id\":\"https://json-schema.org/draft/2020-12/schema\","
	"\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
	"\"type\":[\"object\",\"boolean\"],\"$dynamicAnchor\":\"meta\",\"$vocabulary\":{"
	"\"https://json-schema.org/draft/2020-12/vocab/core\":true,"
	"\"https://json-schema.org/draft/2020-12/vocab/applicator\":true,"
	"\"https://json-schema.org/draft/2020-12/vocab/validation\":true,"
	"\"https://json-schema.org/draft/2020-12/vocab/meta-data\":true,"
	"\"https://json-schema.org/draft/2020-12/vocab/content\":true,"
	"\"https://json-schema.org/draft/2020-12/vocab/unevaluated\":true,"
	"\"https://json-schema.org/draft/2020-12/vocab/format-annotation\":true},"
	"\"properties\":{\"$id\":{\"type\":\"string\",\"format\":\"uri-reference\","
	"\"pattern\":\"^[^#]*#?$\"},\"$schema\":{\"type\":\"string\",\"format\":\"uri\"},"
	"\"$ref\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"$comment\":{"
	"\"type\":\"string\"},\"$anchor\":{\"type\":\"string\","
	"\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"},\"$defs\":{"
	"\"$ref\":\"#/$defs/map\"},\"$vocabulary\":{\"type\":\"object\",\"propertyNames\":{"
	"\"type\":\"string\",\"format\":\"uri\"},\"additionalProperties\":{"
	"\"type\":\"boolean\"}},\"$dynamicAnchor\":{\"type\":\"string\","
	"\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"},\"$dynamicRef\":{"
	"\"type\":\"string\",\"format\":\"uri-reference\"},\"prefixItems\":{"
	"\"$ref\":\"#/$defs/schemas\"},\"unevaluatedItems\":{\"$dynamicRef\":\"#meta\"},"
	"\"unevaluatedProperties\":{\"$dynamicRef\":\"#meta\"},\"dependentSchemas\":{"
	"\"$ref\":\"#/$defs/map\"},\"dependentRequired\":{\"type\":\"object\","
	"\"additionalProperties\":{\"$ref\":\"#/$defs/names\"}},\"minContains\":{"
	"\"$ref\":\"#/$defs/count\"},\"maxContains\":{\"$ref\":\"#/$defs/count\"},"
	"\"contentSchema\":{\"$dynamicRef\":\"#meta\"},\"deprecated\":{"
	"\"type\":\"boolean\"},\"title\":{\"type\":\"string\"},\"description\":{"
	"\"type\":\"string\"},\"readOnly\":{\"type\":\"boolean\"},\"writeOnly\":{"
	"\"type\":\"boolean\"},\"examples\":{\"type\":\"array\"},\"contains\":{"
	"\"$dynamicRef\":\"#meta\"},\"propertyNames\":{\"$dynamicRef\":\"#meta\"},\"if\":{"
	"\"$dynamicRef\":\"#meta\"},\"then\":{\"$dynamicRef\":\"#meta\"},\"else\":{"
	"\"$dynamicRef\":\"#meta\"},\"contentMediaType\":{\"type\":\"string\"},"
	"\"contentEncoding\":{\"type\":\"string\"},\"multipleOf\":{\"type\":\"number\","
	"\"exclusiveMinimum\":0},\"minimum\":{\"type\":\"number\"},\"maximum\":{"
	"\"type\":\"number\"},\"exclusiveMinimum\":{\"type\":\"number\"},"
	"\"exclusiveMaximum\":{\"type\":\"number\"},\"maxLength\":{"
	"\"$ref\":\"#/$defs/count\"},\"minLength\":{\"$ref\":\"#/$defs/count\"},"
	"\"maxItems\":{\"$ref\":\"#/$defs/count\"},\"minItems\":{"
	"\"$ref\":\"#/$defs/count\"},\"maxProperties\":{\"$ref\":\"#/$defs/count\"},"
	"\"minProperties\":{\"$ref\":\"#/$defs/count\"},\"pattern\":{\"type\":\"string\","
	"\"format\":\"regex\"},\"format\":{\"type\":\"string\"},\"uniqueItems\":{"
	"\"type\":\"boolean\"},\"additionalProperties\":{\"$dynamicRef\":\"#meta\"},"
	"\"enum\":{\"type\":\"array\"},\"items\":{\"$dynamicRef\":\"#meta\"},\"required\":{"
	"\"$ref\":\"#/$defs/names\"},\"definitions\":{\"$ref\":\"#/$defs/map\"},"
	"\"properties\":{\"$ref\":\"#/$defs/map\"},\"patternProperties\":{"
	"\"type\":\"object\",\"additionalProperties\":{\"$dynamicRef\":\"#meta\"},"
	"\"propertyNames\":{\"format\":\"regex\"}},\"dependencies\":{\"type\":\"object\","
	"\"additionalProperties\":{\"anyOf\":[{\"$dynamicRef\":\"#meta\"},{"
	"\"$ref\":\"#/$defs/names\"}]}},\"type\":{\"anyOf\":[{\"$ref\":\"#/$defs/type\"},{"
	"\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/type\"},\"minItems\":1,"
	"\"uniqueItems\":true}]},\"allOf\":{\"$ref\":\"#/$defs/schemas\"},\"anyOf\":{"
	"\"$ref\":\"#/$defs/schemas\"},\"oneOf\":{\"$ref\":\"#/$defs/schemas\"},\"not\":{"
	"\"$dynamicRef\":\"#meta\"}},\"$defs\":{\"count\":{\"type\":\"integer\","
	"\"minimum\":0},\"schemas\":{\"type\":\"array\",\"minItems\":1,\"items\":{"
	"\"$dynamicRef\":\"#meta\"}},\"names\":{\"type\":\"array\",\"items\":{"
	"\"type\":\"string\"},\"uniqueItems\":true},\"map\":{\"type\":\"object\","
	"\"additionalProperties\":{\"$dynamicRef\":\"#meta\"}},\"type\":{"
	"\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\","
	"\"string\"]}}}";

const char *schema_meta_find(struct span uri)
{
	static const struct {
		const char *uri;
		const char *text;
	} known[] = {
		{"http://json-schema.org/draft-04/schema", draft4},
		{"http://json-schema.org/draft-06/schema", draft6},
		{"http://json-schema.org/draft-07/schema", draft7},
		{"https://json-schema.org/draft/2019-09/schema", draft2019},
		{"https://json-schema.org/draft/2020-12/schema", draft2020},
	};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (span_eq(uri, span_cstr(known[i].uri)))
			return known[i].text;
	return NULL;
}
