#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/generate.h"

static const char document[] =
	"openapi: 3.1.0\ninfo: {title: t, version: '1'}\nservers: [{url: /v1}]\npaths:\n"
	"  /pets/{id}:\n"
	"    parameters: [{name: id, in: path, required: true, schema: {type: integer, "
	"minimum: 5}}]\n"
	"    put:\n"
	"      operationId: put\n"
	"      parameters:\n"
	"        - {name: kind, in: query, required: true, schema: {enum: [cat, dog]}}\n"
	"        - {name: X-Id, in: header, required: true, schema: {type: string, format: "
	"uuid}}\n"
	"        - {name: c, in: cookie, schema: {type: string}}\n"
	"      requestBody:\n"
	"        required: true\n"
	"        content:\n"
	"          application/json:\n"
	"            schema:\n"
	"              type: object\n"
	"              required: [name]\n"
	"              additionalProperties: false\n"
	"              properties:\n"
	"                name: {type: string, maxLength: 5}\n"
	"                age: {type: integer, maximum: 30}\n"
	"                hidden: {type: string, readOnly: true}\n"
	"  /odd: {post: {operationId: odd, requestBody: {required: true, content: "
	"{application/json: "
	"{schema: {type: string, pattern: '^x{3}[0-9]+$'}}}}}}\n";

struct seen {
	struct buf text;
	size_t valid, invalid;
};

static int each(void *context, const struct generated *g)
{
	struct seen *seen = context;

	seen->valid += g->valid;
	seen->invalid += !g->valid;
	buf_printf(&seen->text, "%s|%.*s|%.*s %.*s?%.*s|%.*s\n", g->valid ? "+" : "-",
		   SPAN_ARG(g->what), SPAN_ARG(g->method), SPAN_ARG(g->path),
		   SPAN_ARG(g->query), SPAN_ARG(g->body));
	return 0;
}

static struct contract *contract;

static int make(void **state)
{
	struct err err = {.code = ERR_NONE};

	(void)state;
	contract = contract_load_text(span_cstr(document), SPAN("a.yaml"), NULL, &err);
	return contract ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	contract_unref(contract);
	return 0;
}

static void has(struct seen *seen, const char *text)
{
	if (span_find(buf_span(&seen->text), span_cstr(text)) == seen->text.len)
		fail_msg("no \"%s\" in\n%s", text, buf_cstr(&seen->text));
}

static void one_valid_request_and_many_wrong_ones_are_made(void **state)
{
	struct seen seen = {.valid = 0};

	(void)state;
	buf_init(&seen.text, 1 << 20);
	assert_int_equal(contract_generate(contract,
					   contract_operation_find(contract, SPAN("put")), each,
					   &seen, NULL),
			 0);
	assert_int_equal(seen.valid, 1);
	has(&seen,
	    "+|as the contract says|PUT /v1/pets/5?kind=cat|{\"name\":\"a\",\"age\":1}\n");
	has(&seen, "-|without the parameter: kind|PUT /v1/pets/5?|");
	has(&seen, "-|without the parameter: X-Id|");
	has(&seen, "-|a parameter too small: id|PUT /v1/pets/4?kind=cat|");
	has(&seen,
	    "-|a parameter not one of the enum: kind|PUT /v1/pets/5?kind=sallyport-none|");
	has(&seen, "-|without a body|");
	has(&seen, "-|a body that is cut off|");
	has(&seen, "-|a content type that the contract does not have|");
	has(&seen, "-|a body with an unknown property|");
	has(&seen, "-|a body without the property: name|");
	has(&seen, "-|a property too long: name|PUT /v1/pets/5?kind=cat|{\"name\":\"aaaaaa\"");
	has(&seen,
	    "-|a property too large: age|PUT /v1/pets/5?kind=cat|{\"name\":\"a\",\"age\":31}");
	has(&seen, "-|a property of another type: name|");
	has(&seen, "-|a method that the contract does not have: PATCH|PATCH /v1/pets/5?");
	buf_release(&seen.text);
}

static void what_cannot_be_made_right_is_passed_over(void **state)
{
	struct seen seen = {.valid = 0};

	(void)state;
	buf_init(&seen.text, 1 << 20);
	assert_int_equal(contract_generate(contract,
					   contract_operation_find(contract, SPAN("odd")), each,
					   &seen, NULL),
			 0);
	assert_int_equal(seen.valid + seen.invalid, 0);
	buf_release(&seen.text);
}

static int stop(void *context, const struct generated *g)
{
	(void)g;
	++*(unsigned *)context;
	return 7;
}

static void the_caller_can_end_it(void **state)
{
	unsigned calls = 0;

	(void)state;
	assert_int_equal(contract_generate(contract, contract_operation_at(contract, 0), stop,
					   &calls, NULL),
			 7);
	assert_int_equal(calls, 1);
}

static void failing_allocations_make_no_false_requests(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct seen seen = {.valid = 0};
		struct err err = {.code = ERR_NONE};
		bool failed;
		int result;

		buf_init(&seen.text, 1 << 20);
		mem_fail_at(n);
		result = contract_generate(contract,
					   contract_operation_find(contract, SPAN("put")), each,
					   &seen, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_true(result == 0 || (failed && err.code == ERR_MEMORY));
		buf_release(&seen.text);
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_valid_request_and_many_wrong_ones_are_made),
		cmocka_unit_test(what_cannot_be_made_right_is_passed_over),
		cmocka_unit_test(the_caller_can_end_it),
		cmocka_unit_test(failing_allocations_make_no_false_requests),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
