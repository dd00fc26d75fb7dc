/* http1_response_test.c - heads of responses and the framing of their bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/http1.h"

#define FIELDS_MAX 16

static const struct http1_limits limits = {
	.line_bytes = 256, .head_bytes = 1024, .field_count = FIELDS_MAX};
static struct http_field fields[FIELDS_MAX];
static struct http1_head head = {.fields = fields};

/* Parses a copy of exactly this size, so that a byte read beyond it is noticed by ASan. */
static enum http1_result parse_copy(struct span text, size_t *consumed)
{
	char *copy = mem_alloc(text.len ? text.len : 1);
	enum http1_result result;

	assert_non_null(copy);
	memcpy(copy, text.ptr, text.len);
	result = http1_parse_response(&head, span_of(copy, text.len), &limits, false, false,
				      consumed);
	mem_free(copy);
	return result;
}

static enum http1_result response_to(const char *text, bool to_head, bool to_connect)
{
	size_t consumed;
	enum http1_result result = http1_parse_response(&head, span_cstr(text), &limits,
							to_head, to_connect, &consumed);

	if (result == HTTP1_DONE)
		assert_int_equal(consumed, strlen(text));
	return result;
}

static enum http1_result response(const char *text)
{
	return response_to(text, false, false);
}

#define ASSERT_SPAN(span, literal) assert_true(span_eq(span, SPAN(literal)))

static void every_response_prefix_asks_for_more(void **state)
{
	static const struct span text =
		SPAN_INIT("HTTP/1.1 200 Alles gut\r\nServer: x\r\nContent-Length: 612\r\n"
			  "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n");
	size_t consumed;

	(void)state;
	for (size_t len = 0; len < text.len; len++)
		assert_int_equal(parse_copy(span_of(text.ptr, len), &consumed), HTTP1_MORE);
	assert_int_equal(parse_copy(text, &consumed), HTTP1_DONE);
	assert_int_equal(consumed, text.len);
}

static void a_response_is_taken_apart(void **state)
{
	(void)state;
	assert_int_equal(response("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n"),
			 HTTP1_DONE);
	assert_int_equal(head.status, 404);
	ASSERT_SPAN(head.reason, "Not Found");
	assert_int_equal(head.framing, HTTP1_LENGTH);
	assert_int_equal(head.content_length, 7);
	assert_true(head.keep_alive);
	assert_int_equal(response("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), HTTP1_DONE);
	assert_int_equal(response("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), HTTP1_DONE);
	assert_int_equal(head.reason.len, 0);
}

static void malformed_status_lines_are_refused(void **state)
{
	static const struct {
		const char *line;
		enum http1_result result;
	} cases[] = {
		{"HTTP/1.1 099 x", HTTP1_BAD_LINE},
		{"HTTP/1.1 600 x", HTTP1_BAD_LINE},
		{"HTTP/1.1 20 x", HTTP1_BAD_LINE},
		{"HTTP/1.1 2000 x", HTTP1_BAD_LINE},
		{"HTTP/1.1  200 x", HTTP1_BAD_LINE},
		{"HTTP/1.1 2x0 x", HTTP1_BAD_LINE},
		{"HTTP/1.1 200 a\001b", HTTP1_BAD_LINE},
		{"HTTP/1.1 200 a\rb", HTTP1_BAD_LINE},
		{"HTTP/1.1\t200 x", HTTP1_BAD_LINE},
		{"HTTP/2 200", HTTP1_BAD_VERSION},
		{"HTTP/0.9 200 x", HTTP1_BAD_VERSION},
		{"ICY 200 OK", HTTP1_BAD_LINE},
		{"<html>", HTTP1_BAD_LINE},
		{"HTTP/1.1 200 x\n", HTTP1_BAD_LINE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), "%s\r\nContent-Length: 0\r\n\r\n", cases[i].line);
		if (response(text) != cases[i].result)
			fail_msg("\"%s\" gave %d", cases[i].line, (int)response(text));
	}
}

static void the_body_of_a_response_is_framed_by_rfc_9112(void **state)
{
	static const struct {
		const char *head;
		bool to_head, to_connect;
		enum http1_result result;
		enum http1_framing framing;
	} cases[] = {
		{"1.1 200 x\r\n", false, false, HTTP1_DONE, HTTP1_UNTIL_CLOSE},
		{"1.1 200 x\r\nContent-Length: 5\r\n", false, false, HTTP1_DONE, HTTP1_LENGTH},
		{"1.1 200 x\r\nTransfer-Encoding: chunked\r\n", false, false, HTTP1_DONE,
		 HTTP1_CHUNKED},
		{"1.1 200 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", false,
		 false, HTTP1_BAD_FRAMING, 0},
		{"1.1 200 x\r\nContent-Length: 5\r\nContent-Length: 5\r\n", false, false,
		 HTTP1_BAD_LENGTH, 0},
		{"1.1 200 x\r\nContent-Length: 5,5\r\n", false, false, HTTP1_BAD_LENGTH, 0},
		{"1.1 200 x\r\nTransfer-Encoding: gzip, chunked\r\n", false, false,
		 HTTP1_BAD_ENCODING, 0},
		{"1.0 200 x\r\nTransfer-Encoding: chunked\r\n", false, false, HTTP1_BAD_FRAMING,
		 0},
		{"1.1 200 x\r\nContent_Length: 5\r\n", false, false, HTTP1_BAD_FIELD, 0},
		{"1.1 200 x\r\nX_Frame_Options: a\r\n", false, false, HTTP1_DONE,
		 HTTP1_UNTIL_CLOSE},
		{"1.1 100 x\r\n", false, false, HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", false, false,
		 HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 103 x\r\nContent-Length: 5\r\n", false, false, HTTP1_BAD_FRAMING, 0},
		{"1.1 204 x\r\n", false, false, HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 204 x\r\nContent-Length: 0\r\n", false, false, HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 204 x\r\nContent-Length: 5\r\n", false, false, HTTP1_BAD_FRAMING, 0},
		{"1.1 204 x\r\nTransfer-Encoding: chunked\r\n", false, false, HTTP1_BAD_FRAMING,
		 0},
		{"1.1 304 x\r\nContent-Length: 5\r\n", false, false, HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 304 x\r\nTransfer-Encoding: chunked\r\n", false, false, HTTP1_DONE,
		 HTTP1_NO_BODY},
		{"1.1 200 x\r\nContent-Length: 5\r\n", true, false, HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 200 x\r\n", true, false, HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 200 x\r\n", false, true, HTTP1_DONE, HTTP1_NO_BODY},
		{"1.1 200 x\r\nContent-Length: 5\r\n", false, true, HTTP1_BAD_FRAMING, 0},
		{"1.1 403 x\r\nContent-Length: 5\r\n", false, true, HTTP1_DONE, HTTP1_LENGTH},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[160];
		enum http1_result result;

		snprintf(text, sizeof(text), "HTTP/%s\r\n", cases[i].head);
		result = response_to(text, cases[i].to_head, cases[i].to_connect);
		if (result != cases[i].result ||
		    (result == HTTP1_DONE && head.framing != cases[i].framing))
			fail_msg("\"%s\" gave %d, framing %d", cases[i].head, (int)result,
				 (int)head.framing);
	}
	assert_int_equal(response("HTTP/1.1 200 x\r\n\r\n"), HTTP1_DONE);
	assert_false(head.keep_alive);
	assert_int_equal(
		response_to("HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n", true, false),
		HTTP1_DONE);
	assert_int_equal(head.content_length, 5);
	assert_true(head.keep_alive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_response_prefix_asks_for_more),
		cmocka_unit_test(a_response_is_taken_apart),
		cmocka_unit_test(malformed_status_lines_are_refused),
		cmocka_unit_test(the_body_of_a_response_is_framed_by_rfc_9112),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
