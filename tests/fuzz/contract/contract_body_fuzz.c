/*
 * contract_body_fuzz.c - the first byte chooses what kind of body the rest is: JSON, a form,
 * multipart content, XML, text, lines, events. The result is the same whatever the pieces are, and
 * a stripped body is one that has nothing more to strip.
 */
#include <stdint.h>

#include "contract/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
	"openapi: 3.2.0\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    post:\n"
	"      requestBody:\n        required: true\n        content:\n"
	"          application/json: {schema: &s {type: object, required: [a], properties: {a: "
	"{type: "
	"integer}, b: {type: array, items: {type: string, maxLength: 4}}, c: {type: object, "
	"properties: {d: {}}}, e: {type: object, properties: {d: {}}}}}}\n"
	"          application/x-www-form-urlencoded: {schema: *s, encoding: {b: {explode: "
	"false}, c: "
	"{style: deepObject}}}\n"
	"          multipart/form-data: {encoding: {a: {headers: {x: {schema: {type: "
	"integer}}}}}, schema: {type: object, properties: {a: {type: "
	"integer}, f: "
	"{type: string, format: binary, maxLength: 9}, c: {type: object, properties: {d: "
	"{}}}}}}\n"
	"          text/xml: {}\n"
	"          text/plain: {schema: {type: string, maxLength: 9}}\n"
	"          application/jsonl: {itemSchema: *s}\n"
	"          application/json-seq: {itemSchema: *s}\n"
	"          text/event-stream: {itemSchema: {type: object, properties: {data: "
	"{maxLength: "
	"9}}}}\n";

static const char *const types[] = {"application/json",
				    "application/x-www-form-urlencoded",
				    "multipart/form-data; boundary=b",
				    "text/xml",
				    "text/plain",
				    "application/jsonl",
				    "application/json-seq",
				    "text/event-stream"};

static struct contract *c;
static struct contract_check *check;

static enum contract_result run(const char *type, struct span body, size_t step)
{
	struct contract_policy policy = {.query = CONTRACT_UNKNOWN_STRIP,
					 .properties = CONTRACT_UNKNOWN_STRIP};
	struct http_field field = {SPAN("content-type"), span_cstr(type),
				   HTTP_FIELD_CONTENT_TYPE};
	struct contract_request request = {
		.fields = &field, .field_count = 1, .has_content = true};
	struct contract_route route;

	if (contract_match(c, SPAN("POST"), SPAN("/a"), &route) != CONTRACT_FOUND)
		abort();
	(void)contract_check_request(check, c, &route, &request, &policy);
	while (body.len > 0) {
		(void)contract_check_feed(check, span_slice(body, 0, step));
		body = span_slice(body, step, body.len);
	}
	return contract_check_finish(check);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *type;
	struct span body;
	enum contract_result whole, cut;
	struct buf kept;

	if (!c) {
		c = contract_load_text(span_cstr(document), SPAN("a.yaml"), NULL, NULL);
		check = contract_check_new(NULL, NULL);
		if (!c || !check)
			abort();
	}
	if (size < 1)
		return 0;
	type = types[data[0] % COUNT_OF(types)];
	body = span_of(data + 1, size - 1);
	cut = run(type, body, 1 + data[0] / COUNT_OF(types) % 7);
	whole = run(type, body, size);
	if (cut != whole)
		abort();
	if (whole != CONTRACT_VALID)
		return 0;
	buf_init(&kept, 1 << 20);
	if (contract_check_write_body(check, body, &kept) < 0)
		abort();
	/* Nothing of a form may be left, and multipart content without parts is none. */
	if (kept.len > 0 && !span_starts_with(buf_span(&kept), SPAN("--b--"))) {
		if (run(type, buf_span(&kept), kept.len) != CONTRACT_VALID ||
		    contract_check_cuts_body(check))
			abort();
	}
	buf_release(&kept);
	return 0;
}
