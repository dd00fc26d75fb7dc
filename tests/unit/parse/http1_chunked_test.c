/* http1_chunked_test.c - the chunked transfer coding and trailer sections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "parse/http1.h"

#define FIELDS_MAX 8

static const struct http1_limits limits = {
	.line_bytes = 64, .head_bytes = 256, .field_count = FIELDS_MAX};

/*
 * Feeds the body in pieces of these sizes (cut[0], cut[1], the rest), each a copy of exactly its
 * size. Returns what the decoder ended with; `data` gets the body and *used the bytes taken.
 */
static enum http1_result decode(struct span body, size_t first, size_t second, struct buf *data,
				size_t *used)
{
	struct http1_chunked decoder = {0};
	size_t ends[] = {first, first + second, body.len};
	size_t at = 0;

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		while (at < ends[i]) {
			size_t len = ends[i] - at, consumed;
			char *copy = mem_alloc(len);
			enum http1_result result;
			struct span piece;

			assert_non_null(copy);
			memcpy(copy, body.ptr + at, len);
			result = http1_chunked_next(&decoder, span_of(copy, len), &consumed,
						    &piece);
			assert_true(consumed <= len);
			if (piece.len) {
				assert_true(piece.ptr >= copy &&
					    piece.ptr + piece.len <= copy + consumed);
				assert_int_equal(buf_append(data, piece), 0);
			}
			mem_free(copy);
			at += consumed;
			*used = at;
			if (result != HTTP1_MORE)
				return result;
			assert_true(consumed > 0);
		}
	}
	return HTTP1_MORE;
}

static enum http1_result decode_whole(const char *text)
{
	enum http1_result result;
	struct buf data;
	size_t used;

	buf_init(&data, 4096);
	result = decode(span_cstr(text), strlen(text), 0, &data, &used);
	buf_release(&data);
	return result;
}

static void every_split_gives_the_same_body(void **state)
{
	static const struct span body = SPAN_INIT(
		"5\r\nhello\r\n0006;a; b=c;d=\"e;\\\"\t f\"\r\n world\r\nA\r\n0123456789"
		"\r\n000;x\r\n\r\n");

	(void)state;
	for (size_t first = 0; first <= body.len; first++) {
		for (size_t second = 0; second <= body.len - first; second++) {
			struct buf data;
			size_t used = 0;

			buf_init(&data, 64);
			assert_int_equal(decode(body, first, second, &data, &used), HTTP1_DONE);
			assert_int_equal(used, body.len - 2);
			assert_true(span_eq(buf_span(&data), SPAN("hello world0123456789")));
			buf_release(&data);
		}
	}
}

static void every_prefix_asks_for_more(void **state)
{
	static const struct span body = SPAN_INIT("5;a=\"b\"\r\nhello\r\n1\r\nx\r\n0\r\n");

	(void)state;
	for (size_t len = 0; len <= body.len; len++) {
		struct buf data;
		size_t used = 0;

		buf_init(&data, 64);
		assert_int_equal(decode(span_of(body.ptr, len), len, 0, &data, &used),
				 len == body.len ? HTTP1_DONE : HTTP1_MORE);
		buf_release(&data);
	}
}

static void bad_sizes_are_refused(void **state)
{
	static const char *const bodies[] = {
		"\r\n",
		"0x5\r\nhello\r\n",
		"+5\r\nhello\r\n",
		"-5\r\nhello\r\n",
		" 5\r\nhello\r\n",
		"5 \r\nhello\r\n",
		"5\t\r\nhello\r\n",
		"5_0\r\n",
		"g\r\n",
		"5.\r\n",
		"5\nhello\r\n",
		"5\rhello\r\n",
		"5\r\rhello",
		";a\r\n",
		"10000000000000000\r\n",
		"fffffffffffffffff\r\n",
		"0 \r\n\r\n",
		"5\r\nhello0\r\n",
		"5\r\nhelloo\r\n0\r\n",
		"5\r\nhello\n0\r\n",
		"5\r\nhello\r0\r\n",
		"5\r\nhello\r\n\r\n",
		"5 ;a\r\nhello\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		if (decode_whole(bodies[i]) != HTTP1_BAD_CHUNK)
			fail_msg("\"%s\" is not refused", bodies[i]);
	}
	/* The largest size is taken; nobody sends so much. */
	assert_int_equal(decode_whole("ffffffffffffffff\r\nx"), HTTP1_MORE);
	assert_int_equal(decode_whole("0000000000000000000000005\r\nhello\r\n0\r\n"),
			 HTTP1_DONE);
}

static void bad_extensions_are_refused(void **state)
{
	static const char *const lines[] = {
		";",	 "; ",	    ";;a",	    ";=b",	     ";a=",
		";a=;b", ";a=\"b",  ";a=\"b\"c",    ";a b",	     ";a =b",
		";a= b", ";a\x01",  ";a=\"\x01\"",  ";a=\"\\\x01\"", ";a=\xc3\xa9",
		";a\n",	 ";a=b\rc", ";a=\"b\r\n\"", ";(a)",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		char text[64];

		snprintf(text, sizeof(text), "5%s\r\nhello\r\n0\r\n", lines[i]);
		if (decode_whole(text) != HTTP1_BAD_CHUNK)
			fail_msg("\"%s\" is not refused", lines[i]);
	}
	assert_int_equal(decode_whole("5;a=\"\"\r\nhello\r\n0;b=c;d\r\n"), HTTP1_DONE);
	assert_int_equal(decode_whole("5; \ta;b=\"c \\\" \xff\"\r\nhello\r\n0\r\n"),
			 HTTP1_DONE);
}

static void long_size_lines_are_refused(void **state)
{
	char text[512];

	(void)state;
	memset(text, '0', sizeof(text));
	memcpy(text + 254, "\r\n", 3);
	assert_int_equal(decode_whole(text), HTTP1_DONE);
	memset(text, '0', sizeof(text));
	memcpy(text + 255, "\r\n", 3);
	assert_int_equal(decode_whole(text), HTTP1_BAD_CHUNK);
	memset(text, 'a', sizeof(text));
	memcpy(text, "5;", 2);
	text[511] = '\0';
	assert_int_equal(decode_whole(text), HTTP1_BAD_CHUNK);
}

static enum http1_result many_chunks(const char *chunk, size_t count)
{
	struct http1_chunked decoder = {0};

	for (size_t i = 0; i < count; i++) {
		struct span rest = span_cstr(chunk);

		while (rest.len) {
			struct span data;
			size_t consumed;
			enum http1_result result =
				http1_chunked_next(&decoder, rest, &consumed, &data);

			if (result != HTTP1_MORE)
				return result;
			rest = span_slice(rest, consumed, rest.len);
		}
	}
	return HTTP1_MORE;
}

static void many_tiny_chunks_are_fine_but_not_with_long_lines(void **state)
{
	(void)state;
	assert_int_equal(many_chunks("1\r\nx\r\n", 100000), HTTP1_MORE);
	assert_int_equal(many_chunks("1;sig=abcdef0123456789abcdef0123456789\r\nx\r\n", 100),
			 HTTP1_MORE);
	assert_int_equal(many_chunks("1;sig=abcdef0123456789abcdef0123456789\r\nx\r\n", 100000),
			 HTTP1_BAD_CHUNK);
}

static void a_failed_or_finished_decoder_stays_so(void **state)
{
	struct http1_chunked decoder = {0};
	struct span data;
	size_t consumed;

	(void)state;
	assert_int_equal(http1_chunked_next(&decoder, SPAN("x"), &consumed, &data),
			 HTTP1_BAD_CHUNK);
	assert_int_equal(http1_chunked_next(&decoder, SPAN("0\r\n"), &consumed, &data),
			 HTTP1_BAD_CHUNK);
	decoder = (struct http1_chunked){0};
	assert_int_equal(http1_chunked_next(&decoder, SPAN("0\r\n\r\n"), &consumed, &data),
			 HTTP1_DONE);
	assert_int_equal(consumed, 3);
	assert_int_equal(http1_chunked_next(&decoder, SPAN("\r\n"), &consumed, &data),
			 HTTP1_DONE);
	assert_int_equal(consumed, 0);
}

static enum http1_result trailers(struct span text, size_t *count, size_t *consumed)
{
	struct http_field fields[FIELDS_MAX];
	char *copy = mem_alloc(text.len ? text.len : 1);
	enum http1_result result;

	assert_non_null(copy);
	memcpy(copy, text.ptr, text.len);
	result =
		http1_parse_trailers(fields, count, span_of(copy, text.len), &limits, consumed);
	mem_free(copy);
	return result;
}

static void trailers_end_with_an_empty_line(void **state)
{
	static const struct span text =
		SPAN_INIT("Grpc-Status: 0\r\nETag: \"x\"\r\nX-Sum: abc\r\n\r\n");
	size_t count, consumed;

	(void)state;
	for (size_t len = 0; len < text.len; len++) {
		assert_int_equal(trailers(span_of(text.ptr, len), &count, &consumed),
				 HTTP1_MORE);
		assert_int_equal(consumed, 0);
	}
	assert_int_equal(trailers(text, &count, &consumed), HTTP1_DONE);
	assert_int_equal(count, 3);
	assert_int_equal(consumed, text.len);
	assert_int_equal(trailers(SPAN("\r\nGET / HTTP/1.1\r\n"), &count, &consumed),
			 HTTP1_DONE);
	assert_int_equal(count, 0);
	assert_int_equal(consumed, 2);
}

static void fields_that_act_before_the_body_are_no_trailers(void **state)
{
	static const char *const names[] = {
		"Content-Length", "transfer-encoding",
		"Host",		  "Authorization",
		"Cookie",	  "TE",
		"Content-Type",	  "Content-Encoding",
		"Content-Range",  "Set-Cookie",
		"Trailer",	  "Connection",
		"If-Match",	  "if-none-match",
		"Range",	  "Max-Forwards",
		"Expect",	  "X-Forwarded-For",
		"Forwarded",	  "Cache-Control",
		"Location",	  "Upgrade",
	};
	size_t count, consumed;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char text[64];

		snprintf(text, sizeof(text), "X: y\r\n%s: a\r\n\r\n", names[i]);
		if (trailers(span_cstr(text), &count, &consumed) != HTTP1_BAD_FIELD)
			fail_msg("%s is not refused", names[i]);
	}
	assert_int_equal(trailers(SPAN("Content_Length: 5\r\n\r\n"), &count, &consumed),
			 HTTP1_BAD_FIELD);
	assert_int_equal(trailers(SPAN("X : 5\r\n\r\n"), &count, &consumed), HTTP1_BAD_FIELD);
	assert_int_equal(trailers(SPAN("\n"), &count, &consumed), HTTP1_BAD_FIELD);
	assert_int_equal(trailers(SPAN("\r\r"), &count, &consumed), HTTP1_BAD_FIELD);
}

static void trailers_have_the_limits_of_heads(void **state)
{
	char text[320];
	size_t count, consumed;

	(void)state;
	assert_int_equal(
		trailers(SPAN("a:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\n"
			      "\r\n"),
			 &count, &consumed),
		HTTP1_DONE);
	assert_int_equal(count, FIELDS_MAX);
	assert_int_equal(
		trailers(SPAN("a:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\na:b\r\n"
			      "a:b\r\n\r\n"),
			 &count, &consumed),
		HTTP1_TOO_LARGE_HEAD);
	memset(text, 'x', sizeof(text));
	text[1] = ':';
	assert_int_equal(trailers(span_of(text, 255), &count, &consumed), HTTP1_MORE);
	assert_int_equal(trailers(span_of(text, 256), &count, &consumed), HTTP1_TOO_LARGE_HEAD);
	memcpy(text + 253, "\r\n\r\n", 4);
	assert_int_equal(trailers(span_of(text, 257), &count, &consumed), HTTP1_TOO_LARGE_HEAD);
	memcpy(text + 252, "\r\n\r\n", 4);
	assert_int_equal(trailers(span_of(text, 256), &count, &consumed), HTTP1_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split_gives_the_same_body),
		cmocka_unit_test(every_prefix_asks_for_more),
		cmocka_unit_test(bad_sizes_are_refused),
		cmocka_unit_test(bad_extensions_are_refused),
		cmocka_unit_test(long_size_lines_are_refused),
		cmocka_unit_test(many_tiny_chunks_are_fine_but_not_with_long_lines),
		cmocka_unit_test(a_failed_or_finished_decoder_stays_so),
		cmocka_unit_test(trailers_end_with_an_empty_line),
		cmocka_unit_test(fields_that_act_before_the_body_are_no_trailers),
		cmocka_unit_test(trailers_have_the_limits_of_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
