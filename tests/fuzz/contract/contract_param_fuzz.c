/*
 * contract_param_fuzz.c - any bytes as parameters of all styles: lines of path, query, header,
 * cookie. What is left of a query when the unknown was stripped has nothing unknown.
 */
#include <stdint.h>

#include "contract/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
	"openapi: 3.2.0\ninfo: {title: t, version: '1'}\npaths:\n"
	"  /a/{m}/{l}/{s}/{o}:\n    get:\n      parameters:\n"
	"        - {name: m, in: path, required: true, style: matrix, explode: true, schema: "
	"{type: "
	"array, items: {type: integer}}}\n"
	"        - {name: l, in: path, required: true, style: label, explode: true, schema: "
	"{type: "
	"object}}\n"
	"        - {name: s, in: path, required: true, schema: {type: [integer, string]}}\n"
	"        - {name: o, in: path, required: true, style: matrix, schema: {type: object}}\n"
	"        - {name: f, in: query, schema: {type: array, items: {type: number}}}\n"
	"        - {name: c, in: query, explode: false, schema: {type: object}}\n"
	"        - {name: p, in: query, style: pipeDelimited, schema: {type: array}}\n"
	"        - {name: w, in: query, style: spaceDelimited, schema: {type: array}}\n"
	"        - {name: d, in: query, style: deepObject, schema: {type: object, properties: "
	"{a: "
	"{type: array}}}}\n"
	"        - {name: e, in: query, schema: {type: object, properties: {x: {type: "
	"integer}, y: "
	"{type: array}}}}\n"
	"        - {name: j, in: query, content: {application/json: {schema: {type: "
	"object}}}}\n"
	"        - {name: X-H, in: header, schema: {type: array}}\n"
	"        - {name: k, in: cookie, schema: {type: integer}}\n"
	"        - {name: q, in: cookie, style: cookie, schema: {type: object, properties: {z: "
	"{}}}}\n";

static enum contract_result run(struct contract_check *check, const struct contract *c,
				const struct contract_route *route, struct span query,
				struct http_field *fields, enum contract_unknown unknown)
{
	struct contract_policy policy = {.query = unknown, .properties = unknown};
	struct contract_request request = {.query = query, .fields = fields, .field_count = 2};

	(void)contract_check_request(check, c, route, &request, &policy);
	return contract_check_finish(check);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct contract *c;
	static struct contract_check *check;
	struct http_field fields[2] = {{SPAN("x-h"), SPAN_NONE, HTTP_FIELD_OTHER},
				       {SPAN("cookie"), SPAN_NONE, HTTP_FIELD_COOKIE}};
	struct span rest = span_of(data, size), path, query;
	struct contract_route route;
	const struct contract_problem *problems;
	struct buf kept, out;

	if (!c) {
		c = contract_load_text(span_cstr(document), SPAN("a.yaml"), NULL, NULL);
		check = contract_check_new(NULL, NULL);
		if (!c || !check)
			abort();
	}
	path = span_cut(&rest, '\n');
	query = span_cut(&rest, '\n');
	fields[0].value = span_cut(&rest, '\n');
	fields[1].value = rest;
	if (contract_match(c, SPAN("GET"), path, &route) != CONTRACT_FOUND &&
	    contract_match(c, SPAN("GET"), SPAN("/a/;m=1/.a=1/x/;o=a,1"), &route) !=
		    CONTRACT_FOUND)
		abort();
	buf_init(&kept, 1 << 20);
	buf_init(&out, 1 << 20);
	if (run(check, c, &route, query, fields, CONTRACT_UNKNOWN_STRIP) == CONTRACT_VALID) {
		if (contract_check_write_query(check, &kept) < 0)
			abort();
		if (run(check, c, &route, buf_span(&kept), fields, CONTRACT_UNKNOWN_STRIP) !=
			    CONTRACT_VALID ||
		    contract_check_cuts_query(check))
			abort();
	} else if (contract_check_problems(check, &problems) == 0) {
		abort();
	}
	contract_check_problems_json(check, &out);
	if (buf_failed(&out))
		abort();
	buf_release(&kept);
	buf_release(&out);
	return 0;
}
