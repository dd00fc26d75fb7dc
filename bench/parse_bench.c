/*
 * parse_bench.c - nanoseconds a call of the parsers on the hot path. Prints a line a case: the
 * best of many short rounds, which is what the code costs when nothing disturbs it.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/compiler.h"
#include "parse/http1.h"
#include "parse/uri.h"

#define ROUNDS 3000 /* short ones: some fall between the interruptions */
#define CALLS 1000
#define FIELDS_MAX 64

static const char hot_request[] =
	"GET /orders/12345/items?limit=20&offset=40 HTTP/1.1\r\n"
	"Host: shop.example.com:8443\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101\r\n"
	"Accept: application/json\r\n"
	"Accept-Language: en-GB,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Referer: https://shop.example.com/\r\n"
	"Cookie: session=0123456789abcdef\r\n"
	"Connection: keep-alive\r\n"
	"\r\n";
static const char small_request[] = "GET /orders/12345 HTTP/1.1\r\n"
				    "Host: 127.0.0.1:8080\r\n"
				    "User-Agent: wrk\r\n"
				    "Accept: */*\r\n"
				    "\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\n"
			       "Server: nginx/1.22.1\r\n"
			       "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
			       "Content-Type: application/json\r\n"
			       "Content-Length: 612\r\n"
			       "Connection: keep-alive\r\n"
			       "\r\n";
static const char chunked[] = "400\r\n";

static const struct http1_limits limits = {
	.line_bytes = 8192, .head_bytes = 32768, .field_count = FIELDS_MAX};
static struct http_field fields[FIELDS_MAX];
static struct http1_head head = {.fields = fields};
static char scratch[4096];
static char chunk[1024 + 16];

/* The input is reached through a pointer that the compiler must take to have changed. */
static struct span opaque(const char *text, size_t len)
{
	__asm__ volatile("" : "+r"(text) : : "memory");
	return span_of(text, len);
}

static bool run_hot(void)
{
	size_t consumed;

	return http1_parse_request(&head, opaque(hot_request, sizeof(hot_request) - 1), &limits,
				   &consumed) == HTTP1_DONE;
}

static bool run_small(void)
{
	size_t consumed;

	return http1_parse_request(&head, opaque(small_request, sizeof(small_request) - 1),
				   &limits, &consumed) == HTTP1_DONE;
}

static bool run_response(void)
{
	size_t consumed;

	return http1_parse_response(&head, opaque(response, sizeof(response) - 1), &limits,
				    false, false, &consumed) == HTTP1_DONE;
}

static bool run_complete(void)
{
	size_t resume = 0;

	return http1_head_complete(opaque(hot_request, sizeof(hot_request) - 1), &resume);
}

static bool run_complete_with_body(void)
{
	size_t resume = 0;

	/* One byte short of the end: the whole text is searched. */
	return !http1_head_complete(opaque(hot_request, sizeof(hot_request) - 2), &resume);
}

static bool run_chunk(void)
{
	struct http1_chunked decoder = {0};
	struct span data, input = opaque(chunk, sizeof(chunked) - 1 + 1024 + 2);
	size_t consumed;

	if (http1_chunked_next(&decoder, input, &consumed, &data) != HTTP1_MORE)
		return false;
	input = span_slice(input, consumed, input.len);
	return http1_chunked_next(&decoder, input, &consumed, &data) == HTTP1_MORE;
}

static bool normalize(const char *target, size_t len)
{
	struct span path, query;

	return uri_normalize(opaque(target, len), scratch, sizeof(scratch), &path, &query) ==
	       URI_OK;
}

static bool run_uri(void)
{
	static const char target[] = "/orders/12345/items?limit=20&offset=40";

	return normalize(target, sizeof(target) - 1);
}

static bool run_uri_long(void)
{
	static const char target[] =
		"/a-rather-long-path/with_several/segments/0123456789/0123456789/abcdefghijkl"
		"/that-are/all-in-normal-form/and/end/in-a-name.json";

	return normalize(target, sizeof(target) - 1);
}

static bool run_uri_rewrite(void)
{
	static const char target[] =
		"/orders/./12345/%7euser/../items%c3%a9?limit=20&offset=40";

	return normalize(target, sizeof(target) - 1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int measure(const char *name, size_t bytes, bool (*run)(void))
{
	uint64_t best = UINT64_MAX;

	if (!run()) {
		fprintf(stderr, "%s: not parsed as expected\n", name);
		return 1;
	}
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = now_ns(), took;

		for (int i = 0; i < CALLS; i++)
			run();
		took = now_ns() - start;
		if (took < best)
			best = took;
	}
	printf("%-28s %7.1f ns %6zu bytes %6.2f ns/byte\n", name, (double)best / CALLS, bytes,
	       (double)best / CALLS / (double)bytes);
	return 0;
}

int main(void)
{
	int failed = 0;

	memcpy(chunk, chunked, sizeof(chunked) - 1);
	memset(chunk + sizeof(chunked) - 1, 'x', 1024);
	memcpy(chunk + sizeof(chunked) - 1 + 1024, "\r\n", 2);

	failed |= measure("request, 8 fields", sizeof(hot_request) - 1, run_hot);
	failed |= measure("request, 3 fields", sizeof(small_request) - 1, run_small);
	failed |= measure("response, 5 fields", sizeof(response) - 1, run_response);
	failed |= measure("head complete", sizeof(hot_request) - 1, run_complete);
	failed |= measure("head complete, searched", sizeof(hot_request) - 2,
			  run_complete_with_body);
	failed |= measure("chunk of 1 KiB", 1024, run_chunk);
	failed |= measure("uri, normal", 38, run_uri);
	failed |= measure("uri, normal and long", 127, run_uri_long);
	failed |= measure("uri, rewritten", 57, run_uri_rewrite);
	return failed;
}
