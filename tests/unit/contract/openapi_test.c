/* Loading documents: what is read, what is refused, and how paths are matched. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/contract.h"

#define HEAD "openapi: 3.0.3\ninfo: {title: t, version: '1'}\n"
#define OK "responses: {'200': {description: ok}}"

static const char *data_folder(void)
{
	const char *folder = getenv("SALLYPORT_TEST_DATA");

	return folder ? folder : SOURCE_ROOT "/../shared/data";
}

static struct contract *load(const char *text, const struct contract_options *options)
{
	struct err err = {.code = ERR_NONE};
	struct contract *c = contract_load_text(span_cstr(text), SPAN("a.yaml"), options, &err);

	if (!c)
		fail_msg("%s", err.message);
	return c;
}

static void refused(const char *text, const char *message)
{
	struct err err = {.code = ERR_NONE};

	assert_null(contract_load_text(span_cstr(text), SPAN("a.yaml"), NULL, &err));
	assert_string_equal(err.message, message);
}

static void all_real_documents_load(void **state)
{
	static const struct {
		const char *name;
		size_t operations;
	} files[] = {
		{"api-with-examples.yaml", 2},
		{"callback-example.yaml", 1},
		{"link-example.yaml", 6},
		{"ory-kratos/spec/api.json", 60},
		{"petstore-expanded.yaml", 4},
		{"petstore.yaml", 3},
		{"uspto.yaml", 3},
		{"vampi/openapi_specs/openapi3.yml", 14},
	};
	char path[1024];

	(void)state;
	snprintf(path, sizeof(path), "%s/openapi/petstore.yaml", data_folder());
	FILE *file = fopen(path, "r");

	if (!file) {
		print_message("skipped: there is no %s\n", path);
		skip();
	}
	fclose(file);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct err err = {.code = ERR_NONE};
		struct contract *c;

		snprintf(path, sizeof(path), "%s/openapi/%s", data_folder(), files[i].name);
		c = contract_load(path, NULL, &err);
		if (!c)
			fail_msg("%s: %s", files[i].name, err.message);
		assert_int_equal(contract_operation_count(c), files[i].operations);
		contract_unref(c);
	}
}

static void broken_documents_name_file_line_and_column(void **state)
{
	(void)state;
	refused("a: 1\n", "a.yaml:1:1: not an OpenAPI document: there is no \"openapi\"");
	refused("swagger: '2.0'\n",
		"a.yaml:1:1: Swagger 2.0 is not read; convert it to OpenAPI 3");
	refused("openapi: 4.0.0\n",
		"a.yaml:1:1: OpenAPI \"4.0.0\" is not one of 3.0, 3.1 and 3.2");
	refused("openapi: 3.0.0\npaths: {}\n", "a.yaml:1:1: the document must have \"info\"");
	refused(HEAD, "a.yaml:1:1: the document must have \"paths\"");
	refused(HEAD "paths:\n  a: {}\n", "a.yaml:4:3: a path must begin with '/'");
	refused(HEAD "paths:\n  /a: {get: {}}\n",
		"a.yaml:4:8: an operation must have \"responses\"");
	refused(HEAD "paths:\n  /{a}: {get: {" OK "}}\n",
		"a.yaml:4:10: the path's \"{a}\" has no parameter");
	refused(HEAD
		"paths:\n  /a:\n    get:\n      parameters: [{name: b, in: path, required: "
		"true}]\n      " OK "\n",
		"a.yaml:6:20: the path \"/a\" has no place for \"b\"");
	refused(HEAD "paths:\n  /a:\n    get:\n      parameters: [{name: b, in: body}]\n",
		"a.yaml:6:20: a parameter must be \"in\" path, query, header or cookie");
	refused(HEAD "paths:\n  /a:\n    get:\n      parameters: [{name: b, in: query, style: "
		     "simple}]\n",
		"a.yaml:6:20: there is no style \"simple\" for a parameter in such a place");
	refused(HEAD "paths:\n  /a:\n    get: {operationId: x, " OK
		     "}\n    put: {operationId: x, " OK "}\n",
		"a.yaml:6:5: the operationId \"x\" is there twice");
	refused(HEAD "paths:\n  /{a}/x: {}\n  /{b}/x: {}\n",
		"a.yaml:5:3: the path is the same as \"/{a}/x\": names do not tell them apart");
	refused(HEAD "paths:\n  /a:\n    get:\n      parameters: [{$ref: '#/none'}]\n",
		"a.yaml:6:21: '#/none' points to nothing");
	refused(HEAD "x: {$ref: '#/x'}\npaths:\n  /a:\n    $ref: '#/x'\n",
		"a.yaml:3:5: references lead to each other");
	refused(HEAD "paths:\n  /a:\n    get:\n      x-sallyport-limits: 3/s\n",
		"a.yaml:6:7: there is no extension \"x-sallyport-limits\" (but -limit, "
		"-sensitive, -timeout, -max-body)");
	refused(HEAD
		"paths:\n  /a:\n    get:\n      x-sallyport-sensitive: {by: boss, arc: mfa}\n",
		"a.yaml:6:7: x-sallyport-sensitive must be an object of \"approvals\", \"by\", "
		"\"expires\", \"acr\" and \"max_age\"");
	refused(HEAD "paths:\n  /a:\n    get:\n      x-sallyport-sensitive: {acr: []}\n",
		"a.yaml:6:7: x-sallyport-sensitive must be an object whose \"acr\" is not "
		"empty");
	refused(HEAD "paths:\n  /a:\n    get:\n      x-sallyport-sensitive: {max_age: 5ms}\n",
		"a.yaml:6:7: x-sallyport-sensitive must be an object whose \"max_age\" is like "
		"\"5m\", 1 s at least");
	refused(HEAD "paths:\n  /a:\n    get:\n      x-sallyport-limit: 3\n",
		"a.yaml:6:7: x-sallyport-limit must be a rate or an object with \"rate\"");
	refused(HEAD "paths:\n  /a:\n    get:\n      responses: {20x: {}}\n",
		"a.yaml:6:19: \"20x\" is neither a status nor \"default\"");
	refused("openapi: 3.0.0\ninfo: [\n",
		"a.yaml:3:1: did not find expected node content (while parsing a flow node)");
}

static void broken_schemas_name_their_line(void **state)
{
	struct err err = {.code = ERR_NONE};

	(void)state;
	assert_null(contract_load_text(
		SPAN(HEAD
		     "paths:\n  /a:\n    get:\n      parameters:\n        - name: b\n          "
		     "in: query\n          schema:\n            minimum: x\n      " OK "\n"),
		SPAN("a.yaml"), NULL, &err));
	assert_true(span_starts_with(span_cstr(err.message), SPAN("a.yaml:10:")));
	assert_null(contract_load_text(
		SPAN(HEAD
		     "paths:\n  /a:\n    get:\n      parameters:\n        - name: b\n          "
		     "in: query\n          schema: {$ref: '#/nothing'}\n      " OK "\n"),
		SPAN("a.yaml"), NULL, &err));
	assert_true(span_starts_with(span_cstr(err.message), SPAN("a.yaml:9:")));
}

static enum contract_match match(const struct contract *c, const char *method, const char *path,
				 struct contract_route *route)
{
	return contract_match(c, span_cstr(method), span_cstr(path), route);
}

static void paths_are_matched_static_segments_first(void **state)
{
#define ID "parameters: [{name: id, in: path, required: true}]"
#define AB                                                                                     \
	"parameters: [{name: a, in: path, required: true}, {name: b, in: path, required: "     \
	"true}]"
	struct contract *c = load(
		HEAD
		"servers: [{url: 'https://x.test/v1/'}, {url: '/{v}', variables: {v: {default: "
		"v2, enum: [v2, v3]}}}]\n"
		"paths:\n"
		"  /: {get: {operationId: root, " OK "}}\n"
		"  /pets: {get: {operationId: list, " OK "}, post: {operationId: add, " OK
		"}}\n"
		"  /pets/mine: {get: {operationId: mine, " OK "}}\n"
		"  /pets/{id}: {" ID ", get: {operationId: one, " OK
		"}, delete: {operationId: drop, " OK "}}\n"
		"  /pets/{id}/toys: {" ID ", get: {operationId: toys, " OK "}}\n"
		"  /pets/{a}.{b}: {" AB ", get: {operationId: dotted, " OK "}}\n"
		"  /a b/caf\xc3\xa9: {get: {operationId: odd, " OK "}}\n",
		NULL);
	static const struct {
		const char *method, *path, *id;
		enum contract_match result;
	} cases[] = {
		{"GET", "/v1/pets", "list", CONTRACT_FOUND},
		{"POST", "/v1/pets", "add", CONTRACT_FOUND},
		{"GET", "/v2/pets", "list", CONTRACT_FOUND},
		{"GET", "/v3/pets", "list", CONTRACT_FOUND},
		{"GET", "/v4/pets", NULL, CONTRACT_NO_PATH},
		{"GET", "/pets", NULL, CONTRACT_NO_PATH},
		{"GET", "/v1/pets/", NULL, CONTRACT_NO_PATH},
		{"GET", "/v1/", "root", CONTRACT_FOUND},
		{"GET", "/v1", NULL, CONTRACT_NO_PATH},
		{"GET", "/v1/pets/mine", "mine", CONTRACT_FOUND},
		{"GET", "/v1/pets/mine2", "one", CONTRACT_FOUND},
		{"GET", "/v1/pets/mine/toys", "toys", CONTRACT_FOUND},
		{"GET", "/v1/pets/7.png", "dotted", CONTRACT_FOUND},
		{"GET", "/v1/pets/7.", "one", CONTRACT_FOUND},
		{"DELETE", "/v1/pets/7", "drop", CONTRACT_FOUND},
		{"PUT", "/v1/pets/7", NULL, CONTRACT_NO_METHOD},
		{"HEAD", "/v1/pets", NULL, CONTRACT_NO_METHOD},
		{"get", "/v1/pets", NULL, CONTRACT_NO_METHOD},
		{"GET", "/v1/a%20b/caf%C3%A9", "odd", CONTRACT_FOUND},
		{"GET", "v1/pets", NULL, CONTRACT_NO_PATH},
		{"GET", "", NULL, CONTRACT_NO_PATH},
	};
	struct contract_route route;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum contract_match got = match(c, cases[i].method, cases[i].path, &route);

		if (got != cases[i].result)
			fail_msg("%s %s: %d", cases[i].method, cases[i].path, got);
		if (cases[i].id)
			assert_true(span_eq(route.operation->id, span_cstr(cases[i].id)));
	}
	assert_int_equal(match(c, "PUT", "/v1/pets/7", &route), CONTRACT_NO_METHOD);
	assert_true(span_eq(route.allow, SPAN("GET, DELETE")));
	assert_int_equal(match(c, "GET", "/v1/pets/a.b.c", &route), CONTRACT_FOUND);
	assert_int_equal(route.value_count, 2);
	assert_true(span_eq(route.values[0], SPAN("a")));
	assert_true(span_eq(route.values[1], SPAN("b.c")));
	contract_unref(c);
}

static void a_base_path_and_head_are_by_option(void **state)
{
	static const char text[] =
		HEAD "servers: [{url: '/x'}]\npaths:\n  /a: {get: {" OK "}}\n";
	struct contract_options options = {.base_path = SPAN_INIT("/y"), .head_as_get = true};
	struct contract *c = load(text, &options);
	struct contract_route route;

	(void)state;
	assert_int_equal(match(c, "GET", "/y/a", &route), CONTRACT_FOUND);
	assert_true(span_eq(route.operation->id, SPAN("GET /a")));
	assert_int_equal(match(c, "HEAD", "/y/a", &route), CONTRACT_FOUND);
	assert_int_equal(match(c, "GET", "/x/a", &route), CONTRACT_NO_PATH);
	contract_unref(c);
	options.base_path = SPAN("");
	c = load(text, &options);
	assert_int_equal(match(c, "GET", "/a", &route), CONTRACT_FOUND);
	contract_unref(c);
}

static void security_and_extensions_are_told(void **state)
{
	struct contract *c = load(
		HEAD
		"security: [{oauth: [read]}, {key: [], basic: []}]\n"
		"x-sallyport-timeout: 3s\n"
		"components:\n  securitySchemes:\n"
		"    oauth: {type: oauth2, flows: {}}\n"
		"    key: {type: apiKey, name: k, in: query}\n"
		"    basic: {type: http, scheme: basic}\n"
		"paths:\n  /a:\n    x-sallyport-limit: {rate: 10/s, burst: 20, per: user}\n"
		"    get: {operationId: g, deprecated: true, " OK "}\n"
		"    delete:\n      operationId: d\n      security: []\n"
		"      x-sallyport-sensitive: {approvals: 2, by: boss, expires: 10m, acr: mfa, "
		"max_age: 5m}\n"
		"      x-sallyport-max-body: 1k\n      x-sallyport-limit: 1/m\n      " OK "\n",
		NULL);
	const struct contract_operation *g = contract_operation_find(c, SPAN("g"));
	const struct contract_operation *d = contract_operation_find(c, SPAN("d"));

	(void)state;
	assert_int_equal(g->security_count, 2);
	assert_int_equal(g->security[0].demand_count, 1);
	assert_int_equal(g->security[0].demands[0].scheme->kind, CONTRACT_SCHEME_OAUTH2);
	assert_true(span_eq(g->security[0].demands[0].scopes[0], SPAN("read")));
	assert_int_equal(g->security[1].demand_count, 2);
	assert_int_equal(g->security[1].demands[1].scheme->kind, CONTRACT_SCHEME_BASIC);
	assert_true(g->deprecated);
	assert_int_equal(g->extensions.timeout_ms, 3000);
	assert_int_equal(g->extensions.limit_count, 10);
	assert_int_equal(g->extensions.limit_burst, 20);
	assert_true(span_eq(g->extensions.limit_per, SPAN("user")));
	assert_false(g->extensions.sensitive);
	assert_int_equal(d->security_count, 0);
	assert_true(d->extensions.sensitive);
	assert_int_equal(d->extensions.approvals, 2);
	assert_true(span_eq(d->extensions.approved_by, SPAN("boss")));
	assert_int_equal(d->extensions.approval_expires_ms, 600000);
	assert_int_equal(d->extensions.acr_count, 1);
	assert_true(span_eq(d->extensions.acr[0], SPAN("mfa")));
	assert_int_equal(d->extensions.max_age_ms, 300000);
	assert_int_equal(d->extensions.max_body_bytes, 1024);
	assert_int_equal(d->extensions.limit_count, 1);
	assert_int_equal(d->extensions.limit_per_ms, 60000);
	assert_int_equal(d->extensions.limit_per.len, 0);
	assert_int_equal(d->place.line, 14);
	contract_unref(c);
}

static void a_scheme_that_is_not_there_can_be_met_by_nobody(void **state)
{
	struct contract *c =
		load(HEAD "paths:\n  /a:\n    get:\n      security: [{k: []}]\n      " OK "\n",
		     NULL);
	const struct contract_operation *o = contract_operation_at(c, 0);

	(void)state;
	assert_int_equal(o->security_count, 1);
	assert_int_equal(o->security[0].demands[0].scheme->kind, CONTRACT_SCHEME_UNKNOWN);
	assert_true(span_eq(o->security[0].demands[0].scheme->name, SPAN("k")));
	contract_unref(c);
}

static void version_3_2_has_more_methods(void **state)
{
	static const char rest[] = "info: {title: t, version: '1'}\npaths:\n  /a:\n"
				   "    query: {operationId: q}\n"
				   "    additionalOperations: {PURGE: {operationId: p}}\n";
	struct contract_route route;
	struct contract *c;
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), "openapi: 3.2.0\n%s", rest);
	c = load(text, NULL);
	assert_int_equal(match(c, "QUERY", "/a", &route), CONTRACT_FOUND);
	assert_int_equal(match(c, "PURGE", "/a", &route), CONTRACT_FOUND);
	contract_unref(c);
	snprintf(text, sizeof(text), "openapi: 3.1.0\n%s", rest);
	c = load(text, NULL);
	assert_int_equal(match(c, "QUERY", "/a", &route), CONTRACT_NO_PATH);
	contract_unref(c);
}

/* ---- several files --------------------------------------------------------------------------- */

static int read_text(void *context, const char *name, struct buf *to, struct err *err)
{
	static const char *const files[][2] = {
		{"api.yaml", "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n"
			     "  /a: {$ref: 'paths/a.yaml'}\n"},
		{"paths/a.yaml", "get:\n  operationId: a\n  parameters:\n"
				 "    - {$ref: '../common.yaml#/parameters/Limit'}\n"},
		{"common.yaml",
		 "parameters:\n  Limit:\n    name: limit\n    in: query\n    schema: "
		 "{$ref: '#/schemas/Small'}\nschemas:\n  Small: {$ref: "
		 "'types/small.yaml'}\n"},
		{"types/small.yaml", "type: integer\nmaximum: 9\n"},
	};

	(void)context;
	for (size_t i = 0; i < COUNT_OF(files); i++)
		if (strcmp(files[i][0], name) == 0)
			return buf_append_cstr(to, files[i][1]);
	return err_set(err, ERR_NOT_FOUND, "no %s", name);
}

static void references_lead_through_files(void **state)
{
	struct contract_options options = {.read = read_text};
	struct err err = {.code = ERR_NONE};
	struct contract *c = contract_load("some/folder/api.yaml", &options, &err);

	(void)state;
	if (!c)
		fail_msg("%s", err.message);
	assert_non_null(contract_operation_find(c, SPAN("a")));
	assert_int_equal(contract_operation_at(c, 0)->place.line, 1);
	assert_true(
		span_eq(contract_operation_at(c, 0)->place.file,
			SPAN("some/folder/api.yaml")) ||
		span_ends_with(contract_operation_at(c, 0)->place.file, SPAN("paths/a.yaml")));
	contract_unref(c);
}

static void schemas_are_found_by_the_name_of_their_document(void **state)
{
	static const char text[] =
		"openapi: 3.2.0\n$self: https://api.test/defs/root.yaml\n"
		"info: {title: t, version: '1'}\npaths:\n  /t:\n    post:\n      requestBody:\n"
		"        content:\n          application/json:\n            schema: {$ref: "
		"'https://api.test/defs/root.yaml#/components/schemas/T'}\n"
		"      responses: {'200': {description: ok}}\n"
		"components: {schemas: {T: {type: object, properties: {next: {$ref: "
		"'#/components/schemas/T'}}}}}\n";
	struct contract *c = load(text, NULL);

	(void)state;
	assert_int_equal(contract_operation_count(c), 1);
	contract_unref(c);
	refused("openapi: 3.2.0\n$self: https://api.test/defs/root.yaml\n"
		"info: {title: t, version: '1'}\npaths: {/t: {get: {responses: {'200': "
		"{description: ok, content: {application/json: {schema: {$ref: "
		"'https://other.test/x.yaml#/T'}}}}}}}}\n",
		"a.yaml:4:95: file:///a.yaml#/paths/~1t/get/responses/200/content/"
		"application~1json/schema/$ref: \"https://other.test/x.yaml#/T\": "
		"'https://other.test/x.yaml' is not a file; nothing is fetched from elsewhere");
}

/* 1,000 operations with 22,000 patterns, no two of which are the same: 10 MB. */
static void write_large(struct buf *to)
{
	static const char words[] =
		"\"description\":\"What it is for, in as many words as such "
		"documents mostly take for it, and a few more of them, so "
		"that the whole of it becomes as long as it should be: well "
		"above what is common.\"";

	buf_append_cstr(to,
			"{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"t\",\"version\":\"1\"},"
			"\"paths\":{");
	for (unsigned o = 0; o < 1000; o++) {
		buf_printf(to,
			   "%s\"/things%u\":{\"post\":{\"requestBody\":{\"content\":{"
			   "\"application/"
			   "json\":{\"schema\":{\"type\":\"object\",\"properties\":{",
			   o ? "," : "", o);
		for (unsigned i = 0; i < 44; i++)
			buf_printf(to,
				   i % 2 ? "%s\"field%u\":{%s,\"minimum\":%u}"
					 : "%s\"field%u\":{%s,\"pattern\":\"^(a|b)+%u$\"}",
				   i ? "," : "", i, words, o * 44 + i);
		buf_append_cstr(to, "}}}}},\"responses\":{\"200\":{\"description\":\"ok\"}}}}");
	}
	buf_append_cstr(to, "}}");
}

static void a_document_of_ten_megabytes_loads_in_bounded_memory(void **state)
{
	struct contract_options options = {.head_as_get = true};
	struct document_limits documents;
	struct contract *c;
	struct err err = {.code = ERR_NONE};
	struct buf text;

	(void)state;
	buf_init(&text, (size_t)32 << 20);
	write_large(&text);
	assert_false(buf_failed(&text));
	assert_true(text.len > 10000000);
	contract_options_memory(&options, &documents, (uint64_t)64 << 20);
	c = contract_load_text(buf_span(&text), SPAN("large.json"), &options, &err);
	if (!c)
		fail_msg("%s", err.message);
	assert_int_equal(contract_operation_count(c), 1000);
	contract_unref(c);
	/* What it is that does not suffice, where it did not, and what to do. */
	options.max_schema_bytes = (size_t)4 << 20;
	assert_null(contract_load_text(buf_span(&text), SPAN("large.json"), &options, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.message, "large.json:1:"));
	assert_non_null(strstr(err.message, "schemas take more than 4 MiB once compiled: raise "
					    "'memory' of the contract"));
	documents.max_memory_bytes = (size_t)16 << 20;
	assert_null(contract_load_text(buf_span(&text), SPAN("large.json"), &options, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.message,
			       "documents take more than 16 MiB: raise 'memory' of "
			       "the contract"));
	buf_release(&text);
}

static void failing_allocations_are_errors(void **state)
{
	static const char text[] = HEAD
		"servers: [{url: '/{v}', variables: {v: {default: v2}}}]\n"
		"security: [{k: []}]\ncomponents:\n  securitySchemes: {k: {type: apiKey, name: "
		"k, in: header}}\n"
		"paths:\n  /a/{id}:\n    " ID "\n    post:\n      requestBody: {content: "
		"{application/x-www-form-urlencoded: {schema: {type: object, properties: {f: "
		"{type: string, format: binary}}}}}}\n      " OK "\n";
	bool failed = true;
	unsigned long n;

	(void)state;
	for (n = 1; failed; n++) {
		struct err err = {.code = ERR_NONE};
		struct contract *c;

		mem_fail_at(n);
		c = contract_load_text(span_cstr(text), SPAN("a.yaml"), NULL, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_true(c ? !failed : failed && err.code != ERR_NONE);
		contract_unref(c);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_real_documents_load),
		cmocka_unit_test(broken_documents_name_file_line_and_column),
		cmocka_unit_test(broken_schemas_name_their_line),
		cmocka_unit_test(paths_are_matched_static_segments_first),
		cmocka_unit_test(a_base_path_and_head_are_by_option),
		cmocka_unit_test(security_and_extensions_are_told),
		cmocka_unit_test(a_scheme_that_is_not_there_can_be_met_by_nobody),
		cmocka_unit_test(version_3_2_has_more_methods),
		cmocka_unit_test(references_lead_through_files),
		cmocka_unit_test(schemas_are_found_by_the_name_of_their_document),
		cmocka_unit_test(a_document_of_ten_megabytes_loads_in_bounded_memory),
		cmocka_unit_test(failing_allocations_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
