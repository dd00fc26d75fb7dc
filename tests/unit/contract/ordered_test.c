/* Multipart content whose parts are told by their position (OpenAPI 3.2). */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/contract.h"

#define HEAD "openapi: 3.2.0\ninfo: {title: t, version: '1'}\npaths:\n"
#define TYPES(path)                                                                            \
	"  " path ":\n    post:\n      requestBody:\n        content:\n          multipart/"

static const char document[] = HEAD TYPES(
	"/items") "mixed:\n"
		  "            itemSchema: {type: object, required: [a], properties: {a: "
		  "{type: integer}}}\n"
		  "            itemEncoding: {contentType: application/json}\n" TYPES(
			  "/prefix") "related:\n"
				     "            schema: {type: array, minItems: 2, maxItems: "
				     "3,\n"
				     "              prefixItems: [{type: object, required: "
				     "[a], properties: {a: {}}},\n"
				     "                {type: integer}], items: {type: string, "
				     "format: binary, minLength: 2,\n"
				     "                maxLength: 4}}\n"
				     "            prefixEncoding:\n"
				     "            - {contentType: application/json}\n"
				     "            - {headers: {X-Rev: {required: true, schema: "
				     "{type: integer}}}}\n"
				     "            itemEncoding: {contentType: "
				     "'image/*'}\n" TYPES(
					     "/both") "mixed:\n"
						      "            schema: {type: array, "
						      "maxItems: 2}\n"
						      "            itemSchema: {type: "
						      "integer}\n" TYPES(
							      "/array") "mixed:\n"
									"            schema: "
									"{type: array, items: "
									"{type: "
									"integer}}\n" TYPES(
										"/form") "form-"
											 "data:"
											 "\n"
											 "     "
											 "     "
											 "  "
											 "itemS"
											 "chema"
											 ": "
											 "{type"
											 ": "
											 "strin"
											 "g, "
											 "maxLe"
											 "ngth:"
											 " 3}"
											 "\n" TYPES(
												 "/any") "*:\n"
													 "            prefixEncoding: [{contentType: text/plain}]\n" TYPES(
														 "/names") "form-data:\n"
															   "            schema: {type: object, properties: {a: {type: integer}}}\n";

static struct contract *contract;
static struct contract_check *check;
static enum contract_unknown unknown = CONTRACT_UNKNOWN_ALLOW;

static int make(void **state)
{
	struct err err = {.code = ERR_NONE};

	(void)state;
	contract = contract_load_text(span_cstr(document), SPAN("a.yaml"), NULL, &err);
	if (!contract)
		print_error("%s\n", err.message);
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

static enum contract_result send_to(const char *path, const char *type, const char *body,
				    size_t step)
{
	struct contract_policy policy = {.query = unknown, .properties = unknown};
	struct http_field field = {SPAN("content-type"), span_cstr(type),
				   HTTP_FIELD_CONTENT_TYPE};
	struct contract_request request = {
		.fields = &field, .field_count = 1, .has_content = true};
	struct contract_route route;
	struct span rest = span_cstr(body);

	assert_int_equal(contract_match(contract, SPAN("POST"), span_cstr(path), &route),
			 CONTRACT_FOUND);
	(void)contract_check_request(check, contract, &route, &request, &policy);
	while (rest.len > 0) {
		(void)contract_check_feed(check, span_slice(rest, 0, step));
		rest = span_slice(rest, step, rest.len);
	}
	return contract_check_finish(check);
}

/* `expected`: "" for valid, else "keyword name pointer" of the first problem. */
static void gives(const char *path, const char *type, const char *body, const char *expected)
{
	const struct contract_problem *problems;

	for (size_t step = 1; step < 100; step += 13) {
		char text[200] = "";

		if (send_to(path, type, body, step) != CONTRACT_VALID) {
			assert_true(contract_check_problems(check, &problems) > 0);
			snprintf(text, sizeof(text), "%.*s %.*s %.*s",
				 SPAN_ARG(problems[0].keyword), SPAN_ARG(problems[0].name),
				 SPAN_ARG(problems[0].pointer));
		}
		assert_string_equal(text, expected);
	}
}

#define PART(header, text) "--b\r\n" header "\r\n" text "\r\n"
#define JSON(text) PART("Content-Type: application/json\r\n", text)
#define REV(text) PART("X-Rev: 1\r\n", text)
#define IMAGE(text) PART("Content-Type: image/png\r\n", text)
#define END "--b--\r\n"

static const char mixed[] = "multipart/mixed; boundary=b";
static const char related[] = "multipart/related; boundary=b";

static void each_part_meets_the_schema_of_items(void **state)
{
	(void)state;
	gives("/items", mixed, JSON("{\"a\":1}") JSON("{\"a\":2}") END, "");
	gives("/items", mixed, JSON("{\"a\":1}") JSON("{}") END, "required 1 ");
	gives("/items", mixed, JSON("{\"a\":1}") JSON("{\"a\":\"x\"}") END, "type 1 /a");
	gives("/items", mixed, JSON("{\"a\":1}") JSON("{\"a\":") END, "syntax 1 ");
	gives("/items", mixed, JSON("{\"a\":1}") PART("", "{\"a\":1}") END, "contentType 1 ");
	gives("/both", mixed, PART("", "1") PART("", "2") END, "");
	gives("/both", mixed, PART("", "1") PART("", "x") END, "type 1 ");
	gives("/both", mixed, PART("", "1") PART("", "2") PART("", "3") END, "maxItems  ");
}

static void parts_are_the_items_of_an_array(void **state)
{
	(void)state;
	gives("/prefix", related, JSON("{\"a\":1}") REV("7") IMAGE("\x89P\n") END, "");
	gives("/prefix", related, JSON("{\"a\":1}") REV("7") END, "");
	gives("/prefix", related, JSON("{\"b\":1}") REV("7") END, "required  /0");
	gives("/prefix", related, JSON("{\"a\":1}") REV("x") END, "type  /1");
	gives("/prefix", related, JSON("{\"a\":1}") END, "minItems  ");
	gives("/prefix", related, JSON("{\"a\":1}") REV("7") IMAGE("PNG") IMAGE("PNG") END,
	      "maxItems  ");
	gives("/array", mixed, PART("", "1") PART("", "2") END, "");
	gives("/array", mixed, PART("", "1") PART("", "x") END, "type  /1");
}

static void encodings_are_those_of_the_position(void **state)
{
	(void)state;
	gives("/prefix", related, PART("", "{\"a\":1}") REV("7") END, "contentType 0 ");
	gives("/prefix", related, JSON("{\"a\":1}") PART("", "7") END, "required X-Rev ");
	gives("/prefix", related, JSON("{\"a\":1}") REV("7") JSON("12") END, "contentType 2 ");
	gives("/any", mixed, PART("", "x") JSON("1") END, "");
	gives("/any", mixed, JSON("1") PART("", "x") END, "contentType 0 ");
}

static void bytes_of_binary_parts_are_counted(void **state)
{
	(void)state;
	gives("/prefix", related, JSON("{\"a\":1}") REV("7") IMAGE("\xff\xfe\xfd\xfc") END, "");
	gives("/prefix", related, JSON("{\"a\":1}") REV("7") IMAGE("1") END, "minLength  /2");
	gives("/prefix", related, JSON("{\"a\":1}") REV("7") IMAGE("12345") END,
	      "maxLength 2 ");
}

static void names_are_needed_by_form_data_only(void **state)
{
	static const char form[] = "multipart/form-data; boundary=b";
#define DISPOSITION "Content-Disposition: "

	(void)state;
	gives("/both", mixed, PART(DISPOSITION "inline\r\n", "1") END, "");
	gives("/both", mixed, PART(DISPOSITION "attachment; filename=\"../a\"\r\n", "1") END,
	      "syntax  ");
	gives("/form", form, PART(DISPOSITION "form-data; name=\"a\"\r\n", "abc") END, "");
	gives("/form", form, PART(DISPOSITION "form-data; name=\"a\"\r\n", "abcd") END,
	      "maxLength 0 ");
	gives("/form", form, PART("", "abc") END, "syntax  ");
	gives("/names", form, PART(DISPOSITION "form-data; name=\"a\"\r\n", "x") END,
	      "type  /a");
}

static void unknown_properties_of_parts_are_refused_or_left(void **state)
{
	(void)state;
	gives("/items", mixed, JSON("{\"a\":1}") JSON("{\"a\":1,\"z\":1}") END, "");
	unknown = CONTRACT_UNKNOWN_REFUSE;
	gives("/items", mixed, JSON("{\"a\":1}") JSON("{\"a\":1,\"z\":1}") END,
	      "unknownProperty 1 /z");
	gives("/prefix", related, JSON("{\"a\":1,\"z\":1}") REV("7") END,
	      "unknownProperty  /0/z");
	unknown = CONTRACT_UNKNOWN_STRIP;
	gives("/items", mixed, JSON("{\"a\":1,\"z\":1}") END, "");
	assert_false(contract_check_cuts_body(check));
	unknown = CONTRACT_UNKNOWN_ALLOW;
}

static void parts_are_limited_in_number_and_size(void **state)
{
	struct contract_check_limits limits = {.max_parts = 2, .max_buffered_bytes = 60};
	struct contract_check *kept_check = check;

	(void)state;
	check = contract_check_new(&limits, NULL);
	assert_non_null(check);
	gives("/items", mixed, JSON("{\"a\":1}") JSON("{\"a\":2}") JSON("{\"a\":3}") END,
	      "limit  ");
	gives("/items", mixed, JSON("{\"a\":1, \"b\": \"000000000000000000000000000000\"}") END,
	      "limit  ");
	assert_int_equal(
		send_to("/items", mixed,
			JSON("{\"a\":1, \"b\": \"00000000000000000000000000000\"}") END, 100),
		CONTRACT_TOO_LARGE);
	contract_check_free(check);
	check = kept_check;
}

static void what_cannot_be_is_an_error(void **state)
{
	static const struct {
		const char *media, *error;
	} cases[] = {
		{"{prefixEncoding: {}}", "a.yaml:8:29: prefixEncoding must be an array"},
		{"{itemEncoding: []}", "a.yaml:8:29: itemEncoding must be an object"},
		{"{prefixEncoding: [1]}", "a.yaml:8:46: an encoding must be an object"},
		{"{itemEncoding: {contentType: 1}}",
		 "a.yaml:8:44: contentType must be a string"},
		{"{prefixEncoding: [{style: none}]}",
		 "a.yaml:8:46: unknown style of an encoding"},
		{"{encoding: {}, prefixEncoding: []}",
		 "a.yaml:8:29: encoding names parts, but prefixEncoding has them by position"},
		{"{encoding: {}, itemEncoding: {}}",
		 "a.yaml:8:29: encoding names parts, but itemEncoding has them by position"},
		{"{encoding: {}, itemSchema: {}}",
		 "a.yaml:8:29: encoding names parts, but itemSchema has them by position"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct err err = {.code = ERR_NONE};
		char text[400];

		snprintf(text, sizeof(text), HEAD TYPES("/a") "mixed: %s\n", cases[i].media);
		assert_null(contract_load_text(span_cstr(text), SPAN("a.yaml"), NULL, &err));
		if (!span_starts_with(span_cstr(err.message), span_cstr(cases[i].error)))
			fail_msg("%s: %s", cases[i].media, err.message);
	}
}

static void what_is_not_of_its_place_changes_nothing(void **state)
{
	static const char *const texts[] = {
		/* Before 3.2 the words meant nothing. */
		"openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n" TYPES(
			"/a") "form-data: {encoding: {}, prefixEncoding: 1, itemEncoding: 1}\n",
		/* Forms have encoding, other content items. */
		HEAD "  /a:\n    post:\n      requestBody:\n        content:\n"
		     "          '*/*': {encoding: {}, itemSchema: {type: integer}}\n",
	};
	struct contract *kept_contract = contract;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		contract = contract_load_text(span_cstr(texts[i]), SPAN("a.yaml"), NULL, NULL);
		assert_non_null(contract);
		gives("/a", "multipart/form-data; boundary=b",
		      PART(DISPOSITION "form-data; name=\"a\"\r\n", "x") END, "");
		contract_unref(contract);
	}
	contract = kept_contract;
}

static void failing_allocations_are_results(void **state)
{
	struct contract *kept_contract = contract;
	struct contract_check *kept_check = check;
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		mem_fail_at(n);
		contract = contract_load_text(span_cstr(document), SPAN("a.yaml"), NULL, NULL);
		check = contract ? contract_check_new(NULL, NULL) : NULL;
		if (check) {
			enum contract_result result =
				send_to("/prefix", related,
					JSON("{\"a\":1}") REV("7") IMAGE("PNG") END, 100);

			if (result == CONTRACT_VALID)
				result = send_to("/items", mixed, JSON("{\"a\":1}") END, 100);
			assert_true(result == CONTRACT_VALID || result == CONTRACT_MEMORY);
		}
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_true(failed || check);
		contract_check_free(check);
		contract_unref(contract);
	}
	contract = kept_contract;
	check = kept_check;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_part_meets_the_schema_of_items),
		cmocka_unit_test(parts_are_the_items_of_an_array),
		cmocka_unit_test(encodings_are_those_of_the_position),
		cmocka_unit_test(bytes_of_binary_parts_are_counted),
		cmocka_unit_test(names_are_needed_by_form_data_only),
		cmocka_unit_test(unknown_properties_of_parts_are_refused_or_left),
		cmocka_unit_test(parts_are_limited_in_number_and_size),
		cmocka_unit_test(what_cannot_be_is_an_error),
		cmocka_unit_test(what_is_not_of_its_place_changes_nothing),
		cmocka_unit_test(failing_allocations_are_results),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
