/* Content that is a sequence of items, each checked against itemSchema (OpenAPI 3.2). */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "contract/contract.h"

static const char document[] =
	"openapi: 3.2.0\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    post:\n"
	"      requestBody:\n        content:\n"
	"          application/jsonl: {itemSchema: &s {type: object, required: [a]}}\n"
	"          application/json-seq: {itemSchema: *s}\n"
	"          application/x-ndjson: {}\n"
	"          text/event-stream: {itemSchema: {type: object, required: [data], "
	"properties: "
	"{data: {maxLength: 3}, id: {type: integer}}}}\n";

static struct contract *contract;
static struct contract_check *check;

static int make(void **state)
{
	(void)state;
	contract = contract_load_text(span_cstr(document), SPAN("a.yaml"), NULL, NULL);
	check = contract_check_new(NULL, NULL);
	return contract && check ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	contract_check_free(check);
	contract_unref(contract);
	return 0;
}

/* `expected`: "" for valid, else "keyword item" of the first problem. */
static void gives(const char *type, const char *body, const char *expected)
{
	struct contract_policy policy = {.query = CONTRACT_UNKNOWN_ALLOW,
					 .properties = CONTRACT_UNKNOWN_ALLOW};
	struct http_field field = {SPAN("content-type"), span_cstr(type),
				   HTTP_FIELD_CONTENT_TYPE};
	struct contract_request request = {
		.fields = &field, .field_count = 1, .has_content = true};
	const struct contract_problem *problems;
	struct contract_route route;

	assert_int_equal(contract_match(contract, SPAN("POST"), SPAN("/a"), &route),
			 CONTRACT_FOUND);
	for (size_t step = 1; step < 100; step += 13) {
		struct span rest = span_cstr(body);
		char text[100] = "";

		(void)contract_check_request(check, contract, &route, &request, &policy);
		while (rest.len > 0) {
			(void)contract_check_feed(check, span_slice(rest, 0, step));
			rest = span_slice(rest, step, rest.len);
		}
		if (contract_check_finish(check) != CONTRACT_VALID) {
			assert_true(contract_check_problems(check, &problems) > 0);
			snprintf(text, sizeof(text), "%.*s %.*s", SPAN_ARG(problems[0].keyword),
				 SPAN_ARG(problems[0].name));
		}
		assert_string_equal(text, expected);
	}
}

static void each_line_is_an_item(void **state)
{
	(void)state;
	gives("application/jsonl", "{\"a\":1}\n{\"a\":2}\n", "");
	gives("application/jsonl", "{\"a\":1}\r\n\n{\"a\":2}", "");
	gives("application/jsonl", "{\"a\":1}\n{\"b\":2}\n", "required 1");
	gives("application/jsonl", "{\"a\":1}\n{\"a\":\n2}\n", "syntax 1");
	gives("application/x-ndjson", "1\n[]\n", "");
	gives("application/x-ndjson", "1\n[\n", "syntax 1");
}

static void each_record_is_an_item(void **state)
{
	(void)state;
	gives("application/json-seq", "\x1e{\"a\":1}\n\x1e{\"a\":\n2}\n", "");
	gives("application/json-seq", "\x1e{\"a\":1}\n\x1e{}\n", "required 1");
	gives("application/json-seq", "\x1e{\"a\":1\n\x1e{}\n", "syntax 0");
}

static void each_event_is_an_item(void **state)
{
	(void)state;
	gives("text/event-stream", "data: a\ndata: b\nid: 7\n\n: comment\ndata:c\r\n\r\n", "");
	gives("text/event-stream", "data: ab\ndata: cd\n\n", "maxLength 0");
	gives("text/event-stream", "data: a\n\nid: x\n\n: alive\n\n", "");
	gives("text/event-stream", "data: a\nid: x\n\n", "type 0");
	gives("text/event-stream", "data: longer, but never ended\n", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_is_an_item),
		cmocka_unit_test(each_record_is_an_item),
		cmocka_unit_test(each_event_is_an_item),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
