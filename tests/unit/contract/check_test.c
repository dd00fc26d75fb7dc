/* Bodies of requests, and responses. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/contract.h"

static const char document[] =
	"openapi: 3.1.0\n"
	"info: {title: t, version: '1'}\n"
	"components:\n"
	"  schemas:\n"
	"    Order:\n"
	"      type: object\n"
	"      required: [id]\n"
	"      properties:\n"
	"        id: {type: integer, minimum: 1, readOnly: false}\n"
	"        tags: {type: array, items: {type: string, maxLength: 3}}\n"
	"        made: {type: string, readOnly: true}\n"
	"        address: {type: object, properties: {city: {type: string}}}\n"
	"paths:\n"
	"  /json:\n"
	"    post:\n"
	"      operationId: json\n"
	"      x-sallyport-max-body: 200\n"
	"      requestBody:\n"
	"        required: true\n"
	"        content:\n"
	"          application/json: {schema: {$ref: '#/components/schemas/Order'}}\n"
	"          'application/*': {}\n"
	"      responses:\n"
	"        '200':\n"
	"          description: ok\n"
	"          headers: {X-Count: {required: true, schema: {type: integer}}}\n"
	"          content: {application/json: {schema: {$ref: "
	"'#/components/schemas/Order'}}}\n"
	"        '204': {description: none}\n"
	"        4XX: {description: problem, content: {application/problem+json: {}}}\n"
	"  /form:\n"
	"    post:\n"
	"      operationId: form\n"
	"      requestBody:\n"
	"        content:\n"
	"          application/x-www-form-urlencoded:\n"
	"            encoding: {csv: {explode: false}, deep: {style: deepObject}}\n"
	"            schema:\n"
	"              type: object\n"
	"              required: [name]\n"
	"              properties:\n"
	"                name: {type: string, maxLength: 5}\n"
	"                age: {type: integer}\n"
	"                list: {type: array, items: {type: integer}}\n"
	"                csv: {type: array, items: {type: integer}}\n"
	"                deep: {type: object, properties: {a: {type: integer}}}\n"
	"                inner: {type: object, properties: {b: {type: integer}}}\n"
	"                both: {type: object, properties: {p: {type: integer}}}\n"
	"              allOf:\n"
	"              - {properties: {both: {properties: {q: {type: integer}}}}}\n"
	"      responses: {'200': {description: ok}}\n"
	"  /upload:\n"
	"    post:\n"
	"      operationId: upload\n"
	"      requestBody:\n"
	"        required: true\n"
	"        content:\n"
	"          multipart/form-data:\n"
	"            encoding: {photo: {contentType: 'image/png, image/jpeg'}}\n"
	"            schema:\n"
	"              type: object\n"
	"              required: [title, photo]\n"
	"              properties:\n"
	"                title: {type: string, maxLength: 5}\n"
	"                photo: {type: string, format: binary, minLength: 2, maxLength: 10}\n"
	"                order: {$ref: '#/components/schemas/Order'}\n"
	"                orders: {type: array, items: {$ref: '#/components/schemas/Order'}}\n"
	"                files: {type: array, maxItems: 2, items: {type: string, format: "
	"binary}}\n"
	"      responses: {'200': {description: ok}}\n"
	"  /signed:\n"
	"    post:\n"
	"      operationId: signed\n"
	"      requestBody:\n"
	"        content:\n"
	"          multipart/form-data:\n"
	"            encoding: {a: {headers: {X-Rev: {required: true, schema: {type: "
	"integer}}}}}\n"
	"            schema: {type: object, properties: {a: {type: string}}}\n"
	"  /xml: {post: {operationId: xml, requestBody: {content: {text/xml: {}}}}}\n"
	"  /text: {post: {operationId: text, requestBody: {content: {text/plain: {schema: "
	"{type: "
	"string, maxLength: 4}}}}}}\n"
	"  /binary: {post: {operationId: binary, requestBody: {content: {image/png: {schema: "
	"{type: "
	"string, format: binary, maxLength: 4}}, application/pdf: {schema: {minLength: 2, "
	"maxLength: 4}}}}}}\n"
	"  /slow: {post: {operationId: slow, requestBody: {content: "
	"{application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: "
	"string, pattern: '^a*[ab]*[xz]'}, b: {type: string, pattern: '^a+(b|c)'}}}}}}}}\n"
	"  /none: {get: {operationId: none, responses: {'200': {description: ok}}}}\n"
	"  /nested: {post: {operationId: nested, requestBody: {content: {application/json: "
	"{schema: "
	"{type: array, items: {$ref: '#/components/schemas/Order'}}}}}}}\n";

static struct contract *contract;
static struct contract_check *check;

static int make(void **state)
{
	struct err err = {.code = ERR_NONE};

	(void)state;
	contract = contract_load_text(span_cstr(document), SPAN("a.yaml"), NULL, &err);
	if (!contract)
		fail_msg("%s", err.message);
	check = contract_check_new(NULL, &err);
	return check ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	contract_check_free(check);
	contract_unref(contract);
	return 0;
}

static enum contract_result send_to(const char *path, const char *type, struct span body,
				    enum contract_unknown unknown, size_t step)
{
	struct contract_policy policy = {.query = unknown, .properties = unknown};
	struct http_field field = {SPAN("Content-Type"), span_cstr(type),
				   HTTP_FIELD_CONTENT_TYPE};
	struct contract_request request = {
		.fields = &field, .field_count = type ? 1 : 0, .has_content = body.ptr != NULL};
	struct contract_route route;

	assert_int_equal(contract_match(contract, SPAN("POST"), span_cstr(path), &route),
			 CONTRACT_FOUND);
	(void)contract_check_request(check, contract, &route, &request, &policy);
	while (body.len > 0) {
		(void)contract_check_feed(check, span_slice(body, 0, step));
		body = span_slice(body, step, body.len);
	}
	return contract_check_finish(check);
}

/* "valid", or "keyword name pointer" of all problems. */
static const char *describe(enum contract_result result)
{
	static char text[1000];
	const struct contract_problem *problems;
	size_t count = contract_check_problems(check, &problems);
	size_t at = 0;

	if (result == CONTRACT_VALID)
		return "valid";
	text[0] = '\0';
	if (result != CONTRACT_INVALID)
		at = (size_t)snprintf(text, sizeof(text),
				      "%u: ", contract_result_status(result));
	for (size_t i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s %.*s%.*s",
				       i ? ", " : "", SPAN_ARG(problems[i].keyword),
				       SPAN_ARG(problems[i].name),
				       SPAN_ARG(problems[i].pointer));
	return text;
}

static void gives(const char *path, const char *type, const char *body, const char *expected)
{
	for (size_t step = 1; step < 1000; step *= 9) {
		const char *got = describe(
			send_to(path, type, span_cstr(body), CONTRACT_UNKNOWN_REFUSE, step));

		if (strcmp(got, expected) != 0)
			fail_msg("%s %s: \"%s\", not \"%s\"", path, body, got, expected);
	}
}

static void json_bodies_meet_their_schema(void **state)
{
	(void)state;
	gives("/json", "application/json", "{\"id\":1}", "valid");
	gives("/json", "application/json; charset=UTF-8", "{\"id\":1}", "valid");
	gives("/json", "application/json", "{\"id\":0}", "minimum /id");
	gives("/json", "application/json", "{\"id\":1,\"tags\":[\"abc\",\"abcd\"]}",
	      "maxLength /tags/1");
	gives("/json", "application/json", "{}", "required ");
	gives("/json", "application/json", "{\"id\":1,\"x\":2}", "unknownProperty /x");
	gives("/json", "application/json", "{\"id\":1,\"made\":\"now\"}",
	      "unknownProperty /made");
	gives("/json", "application/json", "{\"id\":1,\"id\":1}", "syntax ");
	gives("/json", "application/json", "{\"id\":1", "syntax ");
	gives("/json", "application/json", "", "syntax ");
	gives("/json", "application/json", NULL, "required ");
}

static void content_types_are_a_whitelist(void **state)
{
	(void)state;
	gives("/json", "text/plain", "x", "415: contentType ");
	gives("/json", NULL, "x",
	      "valid"); /* application/octet-stream, which is in application/... */
	gives("/json", "application/json; charset=utf-16", "{}", "415: contentType ");
	gives("/json", "application/json; charset=utf-8; charset=utf-7", "{}",
	      "415: contentType ");
	gives("/xml", NULL, "x", "415: contentType ");
	gives("/json", "application/yaml", "a: b", "valid");
}

static void too_large_bodies_are_told(void **state)
{
	char body[300];

	(void)state;
	memset(body, ' ', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	gives("/json", "application/json", body, "413: limit ");
}

static void forms_meet_their_schema(void **state)
{
	static const char type[] = "application/x-www-form-urlencoded";

	(void)state;
	gives("/form", type, "name=a+b&age=7", "valid");
	gives("/form", type, "name=abcdef", "maxLength /name");
	gives("/form", type, "age=7", "required ");
	gives("/form", type, "name=a&age=x", "type /age");
	gives("/form", type, "name=a&list=1&list=2", "valid");
	gives("/form", type, "name=a&list=1&age=2&list=x", "type /list/1");
	gives("/form", type, "name=a&csv=1,2", "valid");
	gives("/form", type, "name=a&csv=1,x", "type /csv/1");
	gives("/form", type, "name=a&deep[a]=1", "valid");
	gives("/form", type, "name=a&deep%5Ba%5D=x", "type /deep/a");
	gives("/form", type, "name=a&inner=%7B%22b%22:1%7D", "valid");
	gives("/form", type, "name=a&inner=%7B%22b%22:%22x%22%7D", "type /inner/b");
	gives("/form", type, "name=a&name=b", "duplicate name");
	gives("/form", type, "name=a&x=1", "unknownProperty /x");
	gives("/form", type, "name=%4", "encoding ");
	gives("/form", type, "", "valid"); /* the body is not required */
	gives("/form", type, NULL, "valid");
}

#define PART(rest) "--b\r\nContent-Disposition: form-data; name=" rest "\r\n"
#define TITLE PART("title\r\n\r\nabc")
#define PHOTO(bytes) PART("photo; filename=x.png\r\nContent-Type: image/png\r\n\r\n" bytes)
#define FILE_PART PART("files; filename=x\r\nContent-Type: application/pdf\r\n\r\n%PDF")

#define ORDERS(text) PART("orders\r\nContent-Type: application/json\r\n\r\n" text)

static void multipart_bodies_meet_their_schema(void **state)
{
	static const char type[] = "multipart/form-data; boundary=\"b\"";

	(void)state;
	gives("/upload", type, TITLE PHOTO("\x89PNG") "--b--\r\n", "valid");
	gives("/upload", type, TITLE PHOTO("1") "--b--\r\n", "minLength /photo");
	gives("/upload", type, TITLE PHOTO("12345678901") "--b--\r\n", "maxLength photo");
	gives("/upload", type, PHOTO("\x89PNG") "--b--\r\n", "required ");
	gives("/upload", type, PART("title\r\n\r\nabcdef") PHOTO("PNG") "--b--",
	      "maxLength /title");
	gives("/upload", type,
	      TITLE PART("photo; filename=x\r\nContent-Type: text/html\r\n\r\nxx") "--b--",
	      "contentType photo");
	gives("/upload", type, TITLE PHOTO("PNG") FILE_PART FILE_PART "--b--", "valid");
	gives("/upload", type, TITLE PHOTO("PNG") FILE_PART FILE_PART FILE_PART "--b--",
	      "maxItems /files");
	gives("/upload", type, TITLE TITLE PHOTO("PNG") "--b--", "duplicate title");
	gives("/upload", type,
	      TITLE PHOTO("PNG")
		      PART("order\r\nContent-Type: application/json\r\n\r\n{\"id\":0}") "--b--",
	      "minimum /order/id");
	gives("/upload", type, TITLE PHOTO("PNG") PART("order\r\n\r\n{\"id\":2}") "--b--",
	      "valid");
	gives("/upload", type, TITLE PHOTO("PNG") PART("order\r\n\r\n{\"id\"}") "--b--",
	      "syntax order");
	gives("/upload", type, TITLE PHOTO("PNG") PART("x\r\n\r\n1") "--b--",
	      "unknownProperty /x");
	gives("/upload", type, TITLE PHOTO("PNG"), "syntax ");
	gives("/upload", type, "", "syntax ");
	gives("/upload", "multipart/form-data", TITLE, "415: contentType ");
}

static void other_bodies_are_checked_by_kind(void **state)
{
	(void)state;
	gives("/xml", "text/xml", "<a/>", "valid");
	gives("/xml", "text/xml", "<a>", "syntax ");
	gives("/xml", "text/xml", "<!DOCTYPE a><a/>", "syntax ");
	gives("/text", "text/plain", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "valid");
	gives("/text", "text/plain", "abcde", "maxLength ");
	gives("/text", "text/plain", "\xff", "encoding ");
	gives("/binary", "image/png", "\xff\xfe", "valid");
	gives("/binary", "image/png", "12345", "maxLength ");
	gives("/binary", "application/pdf", "\xff\xfe", "valid");
	gives("/binary", "application/pdf", "1", "minLength ");
	gives("/binary", "application/pdf", "12345", "maxLength ");
}

static void lengths_in_bytes_are_told_with_their_schema(void **state)
{
	const struct contract_problem *problems;

	(void)state;
	gives("/binary", "image/png", "12345", "maxLength ");
	assert_int_equal(contract_check_problems(check, &problems), 1);
	assert_true(span_ends_with(problems[0].schema, SPAN("/image~1png/schema")));
	assert_true(span_eq(problems[0].detail, SPAN("at most 4 bytes")));
}

/* What the first field takes is missing for the second one; a short one needs none. */
static void the_values_of_a_request_share_the_time_for_patterns(void **state)
{
	struct contract_policy policy = {.pattern_time_ms = 1};
	struct http_field field = {SPAN("Content-Type"),
				   SPAN("application/x-www-form-urlencoded"),
				   HTTP_FIELD_CONTENT_TYPE};
	struct contract_request request = {
		.fields = &field, .field_count = 1, .has_content = true};
	const struct contract_problem *problems;
	struct contract_route route;
	struct buf body;

	(void)state;
	assert_int_equal(contract_match(contract, SPAN("POST"), SPAN("/slow"), &route),
			 CONTRACT_FOUND);
	for (size_t i = 0; i < 2; i++) {
		buf_init(&body, 200000);
		buf_append_cstr(&body, "a=");
		for (size_t j = 0; j < 45000; j++)
			buf_append_byte(&body, 'a');
		buf_append_cstr(&body, "&b=");
		for (size_t j = 0; j < (i ? 1000 : 10); j++)
			buf_append_byte(&body, 'a');
		buf_append_byte(&body, 'b');
		assert_false(buf_failed(&body));
		(void)contract_check_request(check, contract, &route, &request, &policy);
		(void)contract_check_feed(check, buf_span(&body));
		assert_int_equal(contract_check_finish(check), CONTRACT_INVALID);
		assert_int_equal(contract_check_problems(check, &problems), 1 + i);
		assert_true(span_eq(problems[i].detail, SPAN("too expensive to match")));
		buf_release(&body);
	}
	/* The next request has its own. */
	(void)contract_check_request(check, contract, &route, &request, &policy);
	buf_init(&body, 2000);
	buf_append_cstr(&body, "b=");
	for (size_t j = 0; j < 1000; j++)
		buf_append_byte(&body, 'a');
	buf_append_byte(&body, 'b');
	(void)contract_check_feed(check, buf_span(&body));
	assert_int_equal(contract_check_finish(check), CONTRACT_VALID);
	buf_release(&body);
}

static void content_that_is_not_in_the_contract_is_refused(void **state)
{
	struct contract_policy policy = {.query = CONTRACT_UNKNOWN_ALLOW,
					 .properties = CONTRACT_UNKNOWN_ALLOW};
	struct contract_request request = {.has_content = true};
	struct http_field gzip = {SPAN("content-encoding"), SPAN("gzip"),
				  HTTP_FIELD_CONTENT_ENCODING};
	struct contract_route route;

	(void)state;
	assert_int_equal(contract_match(contract, SPAN("GET"), SPAN("/none"), &route),
			 CONTRACT_FOUND);
	(void)contract_check_request(check, contract, &route, &request, &policy);
	assert_true(contract_check_failed(check));
	assert_string_equal(describe(contract_check_feed(check, SPAN("x"))), "content ");
	assert_int_equal(contract_match(contract, SPAN("POST"), SPAN("/json"), &route),
			 CONTRACT_FOUND);
	request.fields = &gzip;
	request.field_count = 1;
	assert_string_equal(
		describe(contract_check_request(check, contract, &route, &request, &policy)),
		"415: contentEncoding ");
}

static void strips(const char *path, const char *type, const char *body, const char *expected)
{
	struct buf out;
	enum contract_result result =
		send_to(path, type, span_cstr(body), CONTRACT_UNKNOWN_STRIP, 7);

	assert_string_equal(describe(result), "valid");
	assert_int_equal(contract_check_cuts_body(check), strcmp(body, expected) != 0);
	buf_init(&out, 10000);
	assert_int_equal(contract_check_write_body(check, span_cstr(body), &out), 0);
	if (!span_eq(buf_span(&out), span_cstr(expected)))
		fail_msg("%s: %.*s", body, SPAN_ARG(buf_span(&out)));
	buf_release(&out);
}

static void unknown_properties_and_fields_are_stripped(void **state)
{
	static const char form[] = "application/x-www-form-urlencoded";
	static const char parts[] = "multipart/form-data; boundary=b";

	(void)state;
	strips("/json", "application/json", "{\"id\":1}", "{\"id\":1}");
	strips("/json", "application/json", "{ \"x\" : [1], \"id\":1,\"admin\":true}",
	       "{ \"id\":1}");
	strips("/json", "application/json", "{\"id\":1,\"address\":{\"zip\":1,\"city\":\"x\"}}",
	       "{\"id\":1,\"address\":{\"city\":\"x\"}}");
	strips("/nested", "application/json", "[{\"id\":1,\"y\":2},{\"x\":1,\"id\":1}]",
	       "[{\"id\":1},{\"id\":1}]");
	strips("/form", form, "x=1&name=a&y", "name=a");
	strips("/form", form, "name=a&age=1", "name=a&age=1");
	strips("/form", form, "inner=%7B%22x%22:%7B%7D,%22b%22:1%7D&name=a",
	       "inner=%7B%22b%22:1%7D&name=a");
	strips("/form", form, "name=a&inner={\"b\":1,\"%78\":\"+\"}&z=1",
	       "name=a&inner={\"b\":1}");
	strips("/form", form, "name=a&both={\"p\":1,\"q\":2}", "name=a&both={\"p\":1,\"q\":2}");
	strips("/upload", parts,
	       TITLE PART("x\r\n\r\n1") PHOTO("PNG") PART("y\r\n\r\n") "--b--\r\n",
	       TITLE PHOTO("PNG") "--b--\r\n");
	strips("/upload", parts,
	       PART("order\r\n\r\n{\"x\":1,\"id\":2}") TITLE PHOTO("PNG") ORDERS("{\"id\":1}")
		       ORDERS("{\"id\":1,\"y\":\"\\u0000\"}") "--b--\r\n",
	       PART("order\r\n\r\n{\"id\":2}") TITLE PHOTO("PNG") ORDERS("{\"id\":1}")
		       ORDERS("{\"id\":1}") "--b--\r\n");
}

static void headers_of_parts_meet_their_schema(void **state)
{
	static const char type[] = "multipart/form-data; boundary=b";

	(void)state;
	gives("/signed", type, PART("a\r\nX-Rev: 7\r\n\r\n1") "--b--\r\n", "valid");
	gives("/signed", type, PART("a\r\nx-rev: 7\r\nX-Other: 1\r\n\r\n1") "--b--\r\n",
	      "valid");
	gives("/signed", type, PART("a\r\nX-Rev: x\r\n\r\n1") "--b--\r\n", "type X-Rev");
	gives("/signed", type, PART("a\r\n\r\n1") "--b--\r\n", "required X-Rev");
	gives("/signed", type, PART("a\r\nX-Rev: 7\r\nX-Rev: 7\r\n\r\n1") "--b--\r\n",
	      "duplicate X-Rev");
}

static enum contract_result respond(const char *id, unsigned status, const char *type,
				    const char *count, const char *body,
				    enum contract_unknown unknown)
{
	struct contract_policy policy = {.query = unknown, .properties = unknown};
	struct http_field fields[] = {
		{SPAN("content-type"), span_cstr(type), HTTP_FIELD_CONTENT_TYPE},
		{SPAN("x-count"), span_cstr(count), HTTP_FIELD_OTHER},
	};
	struct contract_response response = {
		.status = status, .fields = fields, .field_count = count ? 2 : 1};

	(void)contract_check_response(check, contract,
				      contract_operation_find(contract, span_cstr(id)),
				      &response, &policy);
	(void)contract_check_feed(check, span_cstr(body));
	return contract_check_finish(check);
}

static void responses_meet_status_headers_and_schema(void **state)
{
#define R(status, type, count, body)                                                           \
	describe(respond("json", status, type, count, body, CONTRACT_UNKNOWN_REFUSE))
	(void)state;
	assert_string_equal(R(200, "application/json", "3", "{\"id\":1}"), "valid");
	assert_string_equal(R(200, "application/json", "3", "{\"id\":1,\"made\":\"x\"}"),
			    "valid");
	assert_string_equal(R(200, "application/json", "x", "{\"id\":1}"), "type X-Count");
	assert_string_equal(R(200, "application/json", NULL, "{\"id\":1}"), "required X-Count");
	assert_string_equal(R(200, "application/json", "3", "{\"id\":1,\"secret\":1}"),
			    "unknownProperty /secret");
	assert_string_equal(R(200, "text/html", "3", "<p>"), "contentType ");
	assert_string_equal(R(500, "text/html", "3", "<p>"), "status ");
	assert_string_equal(R(404, "application/problem+json", NULL, "{}"), "valid");
	assert_string_equal(R(404, "application/problem+json", NULL, "{"), "syntax ");
	assert_string_equal(R(204, "x/y", NULL, ""), "valid");
}

static void responses_are_stripped(void **state)
{
	static const char body[] = "{\"secret\":1,\"id\":1}";
	struct buf out;

	(void)state;
	assert_int_equal(
		respond("json", 200, "application/json", "1", body, CONTRACT_UNKNOWN_STRIP),
		CONTRACT_VALID);
	buf_init(&out, 1000);
	assert_int_equal(contract_check_write_body(check, span_cstr(body), &out), 0);
	assert_true(span_eq(buf_span(&out), SPAN("{\"id\":1}")));
	buf_release(&out);
}

static void problems_are_written_without_values(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	(void)send_to("/json", "application/json", SPAN("{\"id\":-12345}"),
		      CONTRACT_UNKNOWN_ALLOW, 100);
	contract_check_problems_json(check, &out);
	assert_true(span_starts_with(buf_span(&out),
				     SPAN("[{\"in\":\"body\",\"pointer\":\"/id\",\"keyword\":"
					  "\"minimum\",\"schema\":\"file:///a.yaml#/components/"
					  "schemas/Order/properties/id")));
	assert_int_equal(span_find(buf_span(&out), SPAN("12345")), out.len);
	buf_release(&out);
}

static void nothing_is_allocated_after_warm_up(void **state)
{
	static const struct {
		const char *path, *type, *body;
	} sent[] = {
		{"/json", "application/json", "{\"id\":1,\"tags\":[\"\\u0041\"],\"y\":1}"},
		{"/form", "application/x-www-form-urlencoded", "name=%41&deep%5Ba%5D=1&z=1"},
		{"/upload", "multipart/form-data; boundary=b",
		 TITLE PHOTO("PNG") PART("order\r\n\r\n{\"id\":1,\"z\":1}") "--b--"},
		{"/text", "text/plain", "abcd"},
	};

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		/* Were there one allocation, it would fail, and the check with it. */
		if (round > 2)
			mem_fail_at(1);
		for (size_t i = 0; i < COUNT_OF(sent); i++)
			assert_int_equal(send_to(sent[i].path, sent[i].type,
						 span_cstr(sent[i].body),
						 CONTRACT_UNKNOWN_STRIP, 5),
					 CONTRACT_VALID);
		assert_false(round > 2 && mem_fail_happened());
		mem_fail_at(0);
	}
}

static void failing_allocations_are_results(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct contract_check *kept = check;
		enum contract_result result;
		bool failed;

		mem_fail_at(n);
		check = contract_check_new(NULL, NULL);
		if (check) {
			result = send_to("/upload", "multipart/form-data; boundary=b",
					 SPAN(TITLE PHOTO("PNG") PART(
						 "order\r\n\r\n{\"id\":1,\"z\":1}") "--b--"),
					 CONTRACT_UNKNOWN_STRIP, 100);
			if (result == CONTRACT_VALID)
				result = send_to("/form", "application/x-www-form-urlencoded",
						 SPAN("name=%41&%64eep%5Ba%5D=1&z=1"),
						 CONTRACT_UNKNOWN_STRIP, 100);
			assert_true(result == CONTRACT_VALID || result == CONTRACT_MEMORY);
			contract_check_free(check);
		}
		failed = mem_fail_happened();
		mem_fail_at(0);
		check = kept;
		if (!failed)
			break;
	}
}

static void cookies_that_no_parameter_reads_are_not_counted(void **state)
{
	struct contract_policy policy = {.query = CONTRACT_UNKNOWN_REFUSE,
					 .properties = CONTRACT_UNKNOWN_REFUSE};
	struct contract_request request = {.field_count = 1};
	struct contract_route route;
	struct http_field field;
	struct buf cookies;

	(void)state;
	buf_init(&cookies, 10000);
	for (int i = 0; i < 100; i++)
		buf_printf(&cookies, "c%d=1; ", i);
	field = (struct http_field){SPAN("cookie"), buf_span(&cookies), HTTP_FIELD_COOKIE};
	request.fields = &field;
	assert_int_equal(contract_match(contract, SPAN("GET"), SPAN("/none"), &route),
			 CONTRACT_FOUND);
	(void)contract_check_request(check, contract, &route, &request, &policy);
	assert_int_equal(contract_check_finish(check), CONTRACT_VALID);
	buf_release(&cookies);
}

static void observe_reads_on_after_problems(void **state)
{
	struct contract_policy policy = {.query = CONTRACT_UNKNOWN_REFUSE,
					 .properties = CONTRACT_UNKNOWN_REFUSE};
	struct http_field field = {SPAN("content-type"), SPAN("application/json"),
				   HTTP_FIELD_CONTENT_TYPE};
	struct contract_request request = {
		.query = SPAN("x=1"), .fields = &field, .field_count = 1, .has_content = true};
	struct contract_route route;

	(void)state;
	assert_int_equal(contract_match(contract, SPAN("POST"), SPAN("/json"), &route),
			 CONTRACT_FOUND);
	assert_int_equal(contract_check_request(check, contract, &route, &request, &policy),
			 CONTRACT_MORE);
	assert_true(contract_check_failed(check));
	assert_int_equal(contract_check_feed(check, SPAN("{\"id\":0}")), CONTRACT_MORE);
	assert_string_equal(describe(contract_check_finish(check)), "unknown x, minimum /id");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_bodies_meet_their_schema),
		cmocka_unit_test(content_types_are_a_whitelist),
		cmocka_unit_test(too_large_bodies_are_told),
		cmocka_unit_test(forms_meet_their_schema),
		cmocka_unit_test(multipart_bodies_meet_their_schema),
		cmocka_unit_test(headers_of_parts_meet_their_schema),
		cmocka_unit_test(other_bodies_are_checked_by_kind),
		cmocka_unit_test(lengths_in_bytes_are_told_with_their_schema),
		cmocka_unit_test(the_values_of_a_request_share_the_time_for_patterns),
		cmocka_unit_test(content_that_is_not_in_the_contract_is_refused),
		cmocka_unit_test(unknown_properties_and_fields_are_stripped),
		cmocka_unit_test(responses_meet_status_headers_and_schema),
		cmocka_unit_test(responses_are_stripped),
		cmocka_unit_test(problems_are_written_without_values),
		cmocka_unit_test(nothing_is_allocated_after_warm_up),
		cmocka_unit_test(failing_allocations_are_results),
		cmocka_unit_test(cookies_that_no_parameter_reads_are_not_counted),
		cmocka_unit_test(observe_reads_on_after_problems),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
