#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/contract.h"
#include "contract/learn.h"

/* Learns from the lines, in two passes; NULL when memory runs out. */
static bool learn(const struct buf *lines, struct buf *out)
{
	struct learner *l = learner_new(NULL, NULL);
	bool ok = l != NULL;

	for (int pass = 0; pass < 2 && ok; pass++) {
		struct span rest = buf_span(lines);

		while (rest.ptr && ok) {
			struct span line = span_cut(&rest, '\n');

			ok = (pass ? learner_exchange(l, line, NULL)
				   : learner_path(l, line, NULL)) == 0;
		}
		if (ok && !pass)
			learner_settle(l);
	}
	if (ok)
		learner_write(l, out);
	learner_free(l);
	return ok && !buf_failed(out);
}

static void has(struct buf *out, const char *text)
{
	if (span_find(buf_span(out), span_cstr(text)) == out->len)
		fail_msg("no \"%s\" in\n%s", text, buf_cstr(out));
}

static void has_not(struct buf *out, const char *text)
{
	if (span_find(buf_span(out), span_cstr(text)) < out->len)
		fail_msg("\"%s\" in\n%s", text, buf_cstr(out));
}

static struct buf lines, out;

static int make(void **state)
{
	(void)state;
	buf_init(&lines, 1 << 20);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < 60; i++) {
		buf_printf(
			&lines,
			"{\"method\":\"GET\",\"path\":\"/orders/%d\",\"query\":\"verbose=%s\","
			"\"status\":200,\"response_body\":{\"id\":%d,\"secret\":\"S%dx\"}}\n",
			i * 7, i % 2 ? "true" : "false", i, i);
		buf_printf(
			&lines,
			"{\"method\":\"POST\",\"path\":\"/orders\",\"content_type\":"
			"\"application/json\",\"body\":{\"state\":\"%s\",\"count\":%d,\"made\":"
			"\"2024-01-0%dT10:00:00Z\"%s},\"status\":201}\n",
			i % 2 ? "open" : "closed", i, i % 9 + 1,
			i % 3 ? ",\"tags\":[\"a b\"]" : "");
		buf_printf(&lines,
			   "{\"method\":\"GET\",\"path\":\"/users/name%c%c/items\","
			   "\"status\":200}\n",
			   'a' + i % 26, 'a' + i / 26);
	}
	buf_append_cstr(&lines,
			"{\"method\":\"GET\",\"path\":\"/v1/health\",\"status\":200}\n"
			"{\"method\":\"GET\",\"path\":\"/wp-admin\",\"status\":404}\n"
			"no json\n{\"dropped\":3}\n"
			"{\"method\":\"POST\",\"path\":\"/login\",\"content_type\":"
			"\"application/x-www-form-urlencoded\",\"body\":\"user=x&pass=y%20z\","
			"\"status\":200}\n"
			"{\"method\":\"GET\",\"path\":\"/files/"
			"3fa85f64-5717-4562-b3fc-2c963f66afa6?tag=a&tag=b\",\"status\":200}\n");
	assert_true(learn(&lines, &out));
	return 0;
}

static int drop(void **state)
{
	(void)state;
	buf_release(&lines);
	buf_release(&out);
	return 0;
}

static void paths_become_templates(void **state)
{
	(void)state;
	has(&out, "  \"/orders/{orderId}\":\n");
	has(&out, "  \"/orders\":\n");
	has(&out, "  \"/users/{userId}/items\":\n"); /* more than 20 different names */
	has(&out, "  \"/v1/health\":\n");
	has(&out, "  \"/files/{fileId}\":\n");
	has_not(&out, "wp-admin");
}

static void values_become_types_formats_and_bounds(void **state)
{
	(void)state;
	has(&out, "enum: [\"closed\", \"open\"]");
	has(&out, "format: date-time");
	has(&out, "required: [\"state\", \"count\", \"made\"]");
	has(&out, "format: uuid");
	has(&out, "type: boolean");
	has(&out, "maxItems: 128");
	has(&out, "required: true");
	has(&out, "\"application/x-www-form-urlencoded\":");
}

static void no_value_is_written_down(void **state)
{
	(void)state;
	has_not(&out, "S1x");
	has_not(&out, "y z");
	has_not(&out, "a b");
}

static void the_proposal_is_a_contract_that_the_traffic_keeps(void **state)
{
	struct contract_policy policy = {.query = CONTRACT_UNKNOWN_REFUSE,
					 .properties = CONTRACT_UNKNOWN_REFUSE};
	struct http_field field = {SPAN("content-type"), SPAN("application/json"),
				   HTTP_FIELD_CONTENT_TYPE};
	struct contract_request request = {.query = SPAN("verbose=true")};
	struct contract_check *check = contract_check_new(NULL, NULL);
	struct err err = {.code = ERR_NONE};
	struct contract *c =
		contract_load_text(buf_span(&out), SPAN("learned.yaml"), NULL, &err);
	struct contract_route route;

	(void)state;
	if (!c)
		fail_msg("%s\n%s", err.message, buf_cstr(&out));
	assert_int_equal(contract_match(c, SPAN("GET"), SPAN("/orders/12345"), &route),
			 CONTRACT_FOUND);
	(void)contract_check_request(check, c, &route, &request, &policy);
	assert_int_equal(contract_check_finish(check), CONTRACT_VALID);
	assert_int_equal(contract_match(c, SPAN("POST"), SPAN("/orders"), &route),
			 CONTRACT_FOUND);
	request = (struct contract_request){
		.fields = &field, .field_count = 1, .has_content = true};
	(void)contract_check_request(check, c, &route, &request, &policy);
	(void)contract_check_feed(
		check,
		SPAN("{\"state\":\"open\",\"count\":3,\"made\":\"2024-01-01T10:00:00Z\"}"));
	assert_int_equal(contract_check_finish(check), CONTRACT_VALID);
	(void)contract_check_request(check, c, &route, &request, &policy);
	(void)contract_check_feed(check,
				  SPAN("{\"state\":\"lost\",\"count\":3,\"made\":\"x\"}"));
	assert_int_equal(contract_check_finish(check), CONTRACT_INVALID);
	contract_check_free(check);
	contract_unref(c);
}

static void failing_allocations_are_errors(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct buf again;
		bool ok, failed;

		buf_init(&again, 1 << 20);
		mem_fail_at(n);
		ok = learn(&lines, &again);
		failed = mem_fail_happened();
		mem_fail_at(0);
		/* A line that finds no memory to be read is passed over like one that is no JSON. */
		assert_true(ok || failed);
		buf_release(&again);
		if (!failed || n > 60)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_become_templates),
		cmocka_unit_test(values_become_types_formats_and_bounds),
		cmocka_unit_test(no_value_is_written_down),
		cmocka_unit_test(the_proposal_is_a_contract_that_the_traffic_keeps),
		cmocka_unit_test(failing_allocations_are_errors),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
