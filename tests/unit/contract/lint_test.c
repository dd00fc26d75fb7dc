#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/lint.h"

#define HEAD "openapi: 3.1.0\ninfo: {title: t, version: '1'}\n"
#define SAFE                                                                                   \
	"security: [{k: []}]\ncomponents: {securitySchemes: {k: {type: http, scheme: "         \
	"bearer}}}\n"

/* "rule:line rule:line ..." in the order of lines, or "". */
static const char *lint(const char *text)
{
	static char out[4000];
	struct err err = {.code = ERR_NONE};
	struct contract *c = contract_load_text(span_cstr(text), SPAN("a.yaml"), NULL, &err);
	struct finding_list list;
	struct arena arena;
	size_t at = 0;

	if (!c)
		fail_msg("%s", err.message);
	arena_init(&arena, 1 << 22, 1 << 14);
	finding_list_init(&list, &arena);
	assert_int_equal(contract_lint(c, &list, &err), 0);
	out[0] = '\0';
	for (size_t i = 0; i < list.count; i++) {
		assert_true(span_starts_with(list.at[i].rule, SPAN("openapi-")));
		assert_true(span_eq(list.at[i].place.file, SPAN("a.yaml")));
		assert_true(list.at[i].message.len > 0 && list.at[i].advice.len > 0);
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%.*s:%u", i ? " " : "",
				       SPAN_ARG(span_slice(list.at[i].rule, 8, 100)),
				       list.at[i].place.line);
	}
	arena_release(&arena);
	contract_unref(c);
	return out;
}

static void a_tight_document_has_no_findings(void **state)
{
	(void)state;
	assert_string_equal(
		lint(HEAD SAFE
		     "servers: [{url: 'https://x.test'}, {url: "
		     "'http://localhost:1'}]\npaths:\n  /a:\n"
		     "    post:\n      parameters: [{name: q, in: query, schema: {type: "
		     "integer, "
		     "format: int32}}]\n      requestBody:\n        content:\n          "
		     "application/json:\n            schema:\n              type: object\n     "
		     "         "
		     "additionalProperties: false\n              properties:\n                "
		     "s: {type: "
		     "string, maxLength: 3}\n                d: {type: string, format: date}\n "
		     "             "
		     "  e: {type: string, enum: [a]}\n                l: {type: array, "
		     "maxItems: 2, "
		     "items: {type: boolean}}\n                r: {type: string, readOnly: "
		     "true}\n"),
		"");
}

static void operations_for_anybody_are_found(void **state)
{
	(void)state;
	assert_string_equal(lint(HEAD "paths:\n  /a: {get: {}}\n"),
			    "operation-without-security:4");
	assert_string_equal(lint(HEAD SAFE "paths:\n  /a: {get: {security: []}}\n"),
			    "operation-public:6");
	assert_string_equal(lint(HEAD SAFE "paths:\n  /a: {get: {security: [{k: []}, {}]}}\n"),
			    "operation-public:6");
	assert_string_equal(lint(HEAD "paths:\n  /a: {get: {security: [{x: []}]}}\n"),
			    "unknown-security-scheme:4");
	assert_string_equal(
		lint(HEAD
		     "components: {securitySchemes: {q: {type: apiKey, in: query, name: k}, b: "
		     "{type: http, scheme: basic}}}\npaths:\n  /a: {get: {security: [{q: [], "
		     "b: "
		     "[]}]}}\n"),
		"api-key-in-query:5 basic-authentication:5");
}

static void values_without_bounds_are_found(void **state)
{
	(void)state;
	assert_string_equal(lint(HEAD SAFE
				 "paths:\n  /a:\n    post:\n      parameters:\n"
				 "        - {name: q, in: query, schema: {type: integer}}\n"
				 "        - {name: r, in: query}\n"
				 "      requestBody:\n        content:\n"
				 "          application/json:\n"
				 "            schema:\n"
				 "              properties:\n"
				 "                s: {type: string}\n"
				 "                l: {type: array}\n"
				 "          text/plain: {}\n"
				 "          multipart/form-data: {}\n"
				 "      responses: {200: {content: {application/json: {}}}}\n"),
			    "integer-unbounded:9 parameter-without-schema:10 object-open:14 "
			    "string-unbounded:16 array-unbounded:17 media-without-schema:19 "
			    "body-unbounded:18 "
			    "response-without-schema:20");
}

static void recursive_schemas_are_looked_at_once(void **state)
{
	(void)state;
	assert_string_equal(
		lint(HEAD
		     "security: [{k: []}]\ncomponents:\n  securitySchemes: {k: {type: http, "
		     "scheme: bearer}}\n  schemas:\n    T: {type: array, items: {$ref: "
		     "'#/components/schemas/T'}}\npaths:\n  /a: {post: {requestBody: {content: "
		     "{application/json: {schema: {$ref: '#/components/schemas/T'}}}}}}\n"),
		"array-unbounded:7");
}

static void servers_fields_and_secrets_are_looked_at(void **state)
{
	(void)state;
	assert_string_equal(
		lint(HEAD SAFE "servers:\n  - url: http://x.test\n"
			       "paths:\n  /a:\n    get:\n      paramters: []\n      x-mine: 1\n"
			       "      responses:\n        200:\n          content:\n"
			       "            application/json:\n              schema: {}\n"
			       "              example:\n"
			       "                password: 4f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c\n"
			       "                name: hello\n"
			       "                key: AKIA1234567890ABCDEF\n"
			       "                shown: AKIAIOSFODNN7EXAMPLE\n"),
		"http-server:6 unknown-field:10 secret-in-example:18 secret-in-example:20");
}

static void broken_schemas_that_nothing_uses_are_found(void **state)
{
	(void)state;
	assert_string_equal(lint(HEAD "components:\n  schemas:\n    A: {type: strong}\n"),
			    "broken-schema:5");
}

static void encodings_by_position_are_looked_into(void **state)
{
	(void)state;
	assert_string_equal(lint(HEAD SAFE
				 "paths:\n  /a:\n    get:\n      responses:\n        200:\n"
				 "          content:\n            multipart/mixed:\n"
				 "              schema: {type: array, maxItems: 2}\n"
				 "              prefixEncoding:\n"
				 "                - {contentTyp: text/plain}\n"
				 "              itemEncoding: {header: {}}\n"),
			    "unknown-field:14 unknown-field:15");
}

static void an_unknown_field_is_told_its_neighbour(void **state)
{
	struct contract *c =
		contract_load_text(SPAN(HEAD SAFE "paths:\n  /a: {get: {sumary: x}}\n"),
				   SPAN("a.yaml"), NULL, NULL);
	struct finding_list list;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20, 1 << 14);
	finding_list_init(&list, &arena);
	assert_int_equal(contract_lint(c, &list, NULL), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(
		list.at[0].message.ptr,
		"\"sumary\" means nothing in an operation; did you mean \"summary\"?");
	arena_release(&arena);
	contract_unref(c);
}

static void failing_allocations_are_errors(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct contract *c = contract_load_text(
			SPAN(HEAD
			     "paths:\n  /a: {get: {x: 1, parameters: [{name: q, in: query, "
			     "schema: {type: string}}]}}\n"),
			SPAN("a.yaml"), NULL, NULL);
		struct err err = {.code = ERR_NONE};
		struct finding_list list;
		struct arena arena;
		bool failed;
		int result;

		assert_non_null(c);
		arena_init(&arena, 1 << 20, 1 << 14);
		finding_list_init(&list, &arena);
		mem_fail_at(n);
		result = contract_lint(c, &list, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_true(failed ? result < 0 && err.code == ERR_MEMORY : result == 0);
		arena_release(&arena);
		contract_unref(c);
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tight_document_has_no_findings),
		cmocka_unit_test(operations_for_anybody_are_found),
		cmocka_unit_test(values_without_bounds_are_found),
		cmocka_unit_test(recursive_schemas_are_looked_at_once),
		cmocka_unit_test(servers_fields_and_secrets_are_looked_at),
		cmocka_unit_test(broken_schemas_that_nothing_uses_are_found),
		cmocka_unit_test(encodings_by_position_are_looked_into),
		cmocka_unit_test(an_unknown_field_is_told_its_neighbour),
		cmocka_unit_test(failing_allocations_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
