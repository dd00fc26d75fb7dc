/* http1_test.c - heads of requests, and what their ends look like. */
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
	result = http1_parse_request(&head, span_of(copy, text.len), &limits, consumed);
	mem_free(copy);
	return result;
}

static enum http1_result request(const char *text)
{
	size_t consumed;
	enum http1_result result =
		http1_parse_request(&head, span_cstr(text), &limits, &consumed);

	if (result == HTTP1_DONE)
		assert_int_equal(consumed, strlen(text));
	return result;
}

#define ASSERT_SPAN(span, literal) assert_true(span_eq(span, SPAN(literal)))

/* One field after a good POST request with Host. */
static enum http1_result with_field(const char *line)
{
	static const char start[] = "POST /x HTTP/1.1\r\nHost: a\r\n";
	char text[512];
	int len = snprintf(text, sizeof(text), "%s%s\r\n\r\n", start, line);

	assert_true(len > 0 && (size_t)len < sizeof(text));
	return request(text);
}

static void a_request_is_taken_apart(void **state)
{
	(void)state;
	assert_int_equal(request("GET /a/b?c=d HTTP/1.1\r\n"
				 "Host: example.com:8080\r\n"
				 "Accept:*/*\r\n"
				 "X-Empty:\r\n"
				 "X-Blank: \t \r\n"
				 "accept: \t text/html;q=\"x y\" \t\r\n"
				 "\r\n"),
			 HTTP1_DONE);
	assert_int_equal(head.method, HTTP_METHOD_GET);
	ASSERT_SPAN(head.method_name, "GET");
	assert_int_equal(head.form, HTTP1_ORIGIN);
	ASSERT_SPAN(head.target, "/a/b?c=d");
	ASSERT_SPAN(head.authority, "example.com:8080");
	assert_int_equal(head.minor_version, 1);
	assert_int_equal(head.field_count, 5);
	ASSERT_SPAN(fields[0].name, "Host");
	assert_int_equal(fields[0].id, HTTP_FIELD_HOST);
	assert_int_equal(fields[2].value.len, 0);
	assert_non_null(fields[2].value.ptr);
	assert_int_equal(fields[3].value.len, 0);
	ASSERT_SPAN(fields[4].value, "text/html;q=\"x y\"");
	ASSERT_SPAN(http1_field(&head, HTTP_FIELD_ACCEPT), "*/*");
	assert_null(http1_field(&head, HTTP_FIELD_COOKIE).ptr);
	assert_int_equal(head.framing, HTTP1_NO_BODY);
	assert_true(head.keep_alive);
	assert_false(head.expect_continue || head.upgrade);
}

/* Every start of a good message asks for more and never for anything beyond it. */
static void every_prefix_asks_for_more(void **state)
{
	static const char *const texts[] = {
		("GET /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nAccept: */*\r\n"
		 "X_Custom.Name: a value with \xc3\xa9 \t\r\n"
		 "Connection: keep-alive, upgrade\r\n\r\n"),
		("POST http://example.com/x HTTP/1.1\r\nhost: example.com\r\n"
		 "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n"),
		"OPTIONS * HTTP/1.0\r\n\r\n",
		"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct span text = span_cstr(texts[i]);
		size_t consumed;

		for (size_t len = 0; len < text.len; len++) {
			assert_int_equal(parse_copy(span_of(text.ptr, len), &consumed),
					 HTTP1_MORE);
			assert_int_equal(consumed, 0);
		}
		assert_int_equal(parse_copy(text, &consumed), HTTP1_DONE);
		assert_int_equal(consumed, text.len);
	}
}

static void what_follows_the_head_is_left(void **state)
{
	static const struct span text =
		SPAN_INIT("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
	size_t consumed;

	(void)state;
	assert_int_equal(http1_parse_request(&head, text, &limits, &consumed), HTTP1_DONE);
	assert_int_equal(consumed, text.len - 5);
	assert_int_equal(head.framing, HTTP1_LENGTH);
	assert_int_equal(head.content_length, 5);
}

static void only_the_very_authority_that_was_checked_before_is_not_checked_again(void **state)
{
	static const struct {
		const char *target, *host;
		enum http1_result expected;
	} cases[] = {
		{"/", "Host: a.test:80\r\n", HTTP1_DONE},
		{"/", "Host: b.test:80\r\n", HTTP1_DONE},
		{"/", "Host: a.test\r\n", HTTP1_DONE},
		{"/", "Host: a test:80\r\n", HTTP1_BAD_HOST},
		{"/", "Host: a.test:800000\r\n", HTTP1_BAD_HOST},
		{"/", "Host: \r\n", HTTP1_BAD_HOST},
		{"/", "", HTTP1_BAD_HOST},
		{"/", "Host: a.test:80\r\nHost: a.test:80\r\n", HTTP1_BAD_HOST},
		{"http://a.test:80/", "Host: a.test:80\r\n", HTTP1_DONE},
		{"http://b.test:80/", "Host: a.test:80\r\n", HTTP1_BAD_HOST},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[256];
		int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n%s\r\n",
				   cases[i].target, cases[i].host);
		size_t consumed;

		assert_true(len > 0 && (size_t)len < sizeof(text));
		assert_int_equal(http1_parse_next_request(&head, span_of(text, (size_t)len),
							  &limits, SPAN("a.test:80"),
							  &consumed),
				 cases[i].expected);
		if (cases[i].expected == HTTP1_DONE)
			assert_true(
				span_eq(head.authority, http1_field(&head, HTTP_FIELD_HOST)));
	}
}

static void malformed_request_lines_are_refused(void **state)
{
	static const struct {
		const char *line;
		enum http1_result result;
	} cases[] = {
		{"", HTTP1_BAD_LINE},
		{" GET / HTTP/1.1", HTTP1_BAD_METHOD},
		{"G:T / HTTP/1.1", HTTP1_BAD_METHOD},
		{"G\x80T / HTTP/1.1", HTTP1_BAD_METHOD},
		{"GET\t/ HTTP/1.1", HTTP1_BAD_METHOD},
		{"GET", HTTP1_BAD_METHOD},
		{"GET  / HTTP/1.1", HTTP1_BAD_TARGET},
		{"GET /", HTTP1_BAD_LINE},
		{"GET /\tHTTP/1.1", HTTP1_BAD_TARGET},
		{"GET /\x7f HTTP/1.1", HTTP1_BAD_TARGET},
		{"GET /\xc3\xa9 HTTP/1.1", HTTP1_BAD_TARGET},
		{"GET /\001 HTTP/1.1", HTTP1_BAD_TARGET},
		{"GET / HTTP/1.1 ", HTTP1_BAD_LINE},
		{"GET / HTTP/1.11", HTTP1_BAD_LINE},
		{"GET /  HTTP/1.1", HTTP1_BAD_LINE},
		{"GET / a HTTP/1.1", HTTP1_BAD_LINE},
		{"GET / http/1.1", HTTP1_BAD_LINE},
		{"GET / HTTP/1.x", HTTP1_BAD_VERSION},
		{"GET / HTTP/0.9", HTTP1_BAD_VERSION},
		{"GET / HTTP/2", HTTP1_BAD_VERSION},
		{"GET / HTTP/2.0", HTTP1_BAD_VERSION},
		{"GET / HTTP/11", HTTP1_BAD_VERSION},
		{"PRI * HTTP/2.0", HTTP1_BAD_VERSION},
		{"GET / HTTP/1.1\r", HTTP1_BAD_LINE},
		{"GET / HTTP/1.1\n", HTTP1_BAD_LINE},
		{"GET /\nHTTP/1.1", HTTP1_BAD_TARGET},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), "%s\r\nHost: a\r\n\r\n", cases[i].line);
		if (request(text) != cases[i].result)
			fail_msg("\"%s\" gave %d", cases[i].line, (int)request(text));
	}
}

static void nul_is_refused_everywhere(void **state)
{
	static const struct span text =
		SPAN_INIT("GET /abc HTTP/1.1\r\nHost: abc\r\nX-Name: a value\r\n\r\n");
	char bytes[64];
	size_t consumed;

	(void)state;
	assert_true(text.len <= sizeof(bytes));
	for (size_t i = 0; i < text.len; i++) {
		enum http1_result result;

		memcpy(bytes, text.ptr, text.len);
		bytes[i] = '\0';
		result = http1_parse_request(&head, span_of(bytes, text.len), &limits,
					     &consumed);
		assert_int_not_equal(result, HTTP1_DONE);
		assert_int_not_equal(result, HTTP1_MORE);
	}
}

static void a_later_minor_version_is_read_as_1_1(void **state)
{
	(void)state;
	assert_int_equal(request("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), HTTP1_DONE);
	assert_int_equal(head.minor_version, 1);
	assert_int_equal(request("GET / HTTP/1.0\r\n\r\n"), HTTP1_DONE);
	assert_int_equal(head.minor_version, 0);
	assert_false(head.keep_alive);
}

static void line_ends_other_than_crlf_are_refused(void **state)
{
	(void)state;
	assert_int_equal(request("GET / HTTP/1.1\nHost: a\n\n"), HTTP1_BAD_LINE);
	assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\n\r\n"), HTTP1_BAD_FIELD);
	assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\r\n\n"), HTTP1_BAD_FIELD);
	assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), HTTP1_BAD_FIELD);
	assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"), HTTP1_BAD_FIELD);
	assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\r\n\rX"), HTTP1_BAD_FIELD);
}

static void malformed_fields_are_refused(void **state)
{
	static const char *const lines[] = {
		"Name : value",
		"Name\t: value",
		": value",
		"Name",
		"Na me: value",
		"Na\001me: value",
		"N\xc3\xa4me: value",
		"Name: a\001b",
		"Name: a\177b",
		"Name: a\r\n folded",
		"Name: a\r\n\tfolded",
		" Name: value",
		"\tName: value",
		"\"Name\": value",
		"Na(me: x",
		"Name: \x0b",
		"Name: a\r\n : b",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		if (with_field(lines[i]) != HTTP1_BAD_FIELD)
			fail_msg("\"%s\" is not refused", lines[i]);
	}
}

static void unusual_but_clear_fields_are_taken(void **state)
{
	static const char *const lines[] = {
		"My_Custom_Header: value",
		"!#$%&'*+-.^_`|~0123456789: value",
		"X:\xff\x80",
		"X: a\tb",
		"X:::",
		"Accept: a\r\nAccept: b",
		"X-Hostess: a",
		"Hosts: a",
		"Transfer-Encodings: x",
		"X-Content-Length: 5",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		if (with_field(lines[i]) != HTTP1_DONE)
			fail_msg("\"%s\" is refused", lines[i]);
	}
}

static void names_that_others_may_take_for_known_ones_are_refused(void **state)
{
	static const char *const names[] = {
		"Transfer_Encoding",
		"Transfer-Encoding_",
		"Transfer--Encoding",
		"TransferEncoding",
		"Transfer.Encoding",
		"_Transfer-Encoding",
		"-Transfer-Encoding",
		"Content_Length",
		"ContentLength",
		"Content-Length-",
		"Content---Length",
		"content|length",
		"H-ost",
		"Host_",
		"_host",
		"T-E",
		"te.",
		"Con-nection",
		"connection-",
		"up-grade",
		"Ex-pect",
		"Content_Type",
		"X_Forwarded_For",
		"x.real.ip",
		"X-Forwarded_Proto",
		"User_Agent",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s: 5", names[i]);
		if (with_field(line) != HTTP1_BAD_FIELD)
			fail_msg("\"%s\" is not refused", names[i]);
	}
}

static void fields_that_must_be_single_are_refused_when_repeated(void **state)
{
	(void)state;
	assert_int_equal(with_field("Content-Type: a/b\r\ncontent-type: a/b"), HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Authorization: a\r\nAuthorization: b"), HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Expect: 100-continue\r\nExpect: 100-continue"),
			 HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Content-Length: 5\r\nContent-Length: 5"),
			 HTTP1_BAD_LENGTH);
	assert_int_equal(with_field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
			 HTTP1_BAD_ENCODING);
	assert_int_equal(with_field("Host: a"), HTTP1_BAD_HOST);
}

static void host_is_there_once_and_well_formed(void **state)
{
	static const struct {
		const char *host;
		enum http1_result result;
	} cases[] = {
		{"example.com", HTTP1_DONE},
		{"EXAMPLE.com:80", HTTP1_DONE},
		{"[::1]", HTTP1_DONE},
		{"[2001:db8::1]:8443", HTTP1_DONE},
		{"127.0.0.1:1", HTTP1_DONE},
		{"a_b-c.d~", HTTP1_DONE},
		{"", HTTP1_BAD_HOST},
		{"a b", HTTP1_BAD_HOST},
		{"a,b", HTTP1_BAD_HOST},
		{"a/b", HTTP1_BAD_HOST},
		{"user@a", HTTP1_BAD_HOST},
		{"a:", HTTP1_BAD_HOST},
		{":80", HTTP1_BAD_HOST},
		{"a:0", HTTP1_BAD_HOST},
		{"a:080", HTTP1_BAD_HOST},
		{"a:65536", HTTP1_BAD_HOST},
		{"a:80x", HTTP1_BAD_HOST},
		{"a:80:80", HTTP1_BAD_HOST},
		{"::1", HTTP1_BAD_HOST},
		{"[::1", HTTP1_BAD_HOST},
		{"[::1]x", HTTP1_BAD_HOST},
		{"[fe80::1%25eth0]", HTTP1_BAD_HOST},
		{"[v1.x]", HTTP1_BAD_HOST},
		{"a%2eb", HTTP1_BAD_HOST},
		{"\xc3\xa4.example", HTTP1_BAD_HOST},
		{"a\\b", HTTP1_BAD_HOST},
		{"http://a", HTTP1_BAD_HOST},
		{"a#b", HTTP1_BAD_HOST},
		{"a?b", HTTP1_BAD_HOST},
		{"<a>", HTTP1_BAD_HOST},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
			 cases[i].host);
		if (request(text) != cases[i].result)
			fail_msg("Host \"%s\" gave %d", cases[i].host, (int)request(text));
	}
	assert_int_equal(request("GET / HTTP/1.1\r\n\r\n"), HTTP1_BAD_HOST);
	assert_int_equal(request("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), HTTP1_BAD_HOST);
	assert_int_equal(request("GET / HTTP/1.0\r\n\r\n"), HTTP1_DONE);
	assert_null(head.authority.ptr);
}

static void each_method_takes_its_forms_of_target(void **state)
{
	static const struct {
		const char *line, *host;
		enum http1_result result;
		enum http1_target_form form;
		const char *target;
	} cases[] = {
		{"OPTIONS *", "a", HTTP1_DONE, HTTP1_ASTERISK, "*"},
		{"GET *", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"OPTIONS **", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"CONNECT a:443", "a:443", HTTP1_DONE, HTTP1_AUTHORITY, "a:443"},
		{"CONNECT a", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"CONNECT a:443", "b:443", HTTP1_BAD_HOST, 0, NULL},
		{"CONNECT a:443", "a", HTTP1_BAD_HOST, 0, NULL},
		{"CONNECT /", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"CONNECT u@a:443", "a:443", HTTP1_BAD_TARGET, 0, NULL},
		{"GET a:443", "a:443", HTTP1_BAD_TARGET, 0, NULL},
		{"GET foo/bar", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"GET http://a/b?c", "a", HTTP1_DONE, HTTP1_ABSOLUTE, "/b?c"},
		{"GET HTTPS://a", "A", HTTP1_DONE, HTTP1_ABSOLUTE, "/"},
		{"GET http://a:80/", "a", HTTP1_DONE, HTTP1_ABSOLUTE, "/"},
		{"GET https://a/", "a:443", HTTP1_DONE, HTTP1_ABSOLUTE, "/"},
		{"GET https://a/", "a:80", HTTP1_BAD_HOST, 0, NULL},
		{"GET http://a/", "b", HTTP1_BAD_HOST, 0, NULL},
		{"GET http://a:81/", "a", HTTP1_BAD_HOST, 0, NULL},
		{"GET http://a?b", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"GET http://a#b", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"GET http:///b", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"GET http:a", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"GET http://u:p@a/", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"GET ftp://a/", "a", HTTP1_BAD_TARGET, 0, NULL},
		{"OPTIONS http://a", "a", HTTP1_DONE, HTTP1_ASTERISK, "*"},
		{"OPTIONS http://a/", "a", HTTP1_DONE, HTTP1_ABSOLUTE, "/"},
		{"BREW /pot", "a", HTTP1_DONE, HTTP1_ORIGIN, "/pot"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].line,
			 cases[i].host);
		if (request(text) != cases[i].result)
			fail_msg("%s with Host %s gave %d", cases[i].line, cases[i].host,
				 (int)request(text));
		if (cases[i].result != HTTP1_DONE)
			continue;
		assert_int_equal(head.form, cases[i].form);
		assert_true(span_eq(head.target, span_cstr(cases[i].target)));
		assert_true(span_eq(head.authority, span_cstr(cases[i].host)));
	}
	assert_int_equal(request("GET http://a/b HTTP/1.0\r\n\r\n"), HTTP1_DONE);
	ASSERT_SPAN(head.authority, "a");
	ASSERT_SPAN(head.scheme, "http");
}

static void only_plain_numbers_are_lengths(void **state)
{
	static const char *const bad[] = {
		"",
		"+1",
		"-1",
		"1,1",
		"1, 1",
		"1 1",
		"0x10",
		"01",
		"00",
		"1.0",
		"1e3",
		"a",
		"1a",
		"18446744073709551616",
		"99999999999999999999999",
		"\2401",
		"1\xa0",
		"\"1\"",
		"1;",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char line[64];

		snprintf(line, sizeof(line), "Content-Length: %s", bad[i]);
		if (with_field(line) != HTTP1_BAD_LENGTH)
			fail_msg("\"%s\" is not refused", bad[i]);
	}
	assert_int_equal(with_field("Content-Length:0"), HTTP1_DONE);
	assert_int_equal(head.framing, HTTP1_LENGTH);
	assert_int_equal(head.content_length, 0);
	assert_int_equal(with_field("CONTENT-LENGTH: \t18446744073709551615 "), HTTP1_DONE);
	assert_true(head.content_length == UINT64_MAX);
}

static void only_chunked_is_an_encoding(void **state)
{
	static const char *const bad[] = {
		"",
		"gzip",
		"identity",
		"gzip, chunked",
		"chunked, gzip",
		"chunked, chunked",
		"chunked;a=b",
		"chunked;",
		"xchunked",
		"chunke",
		",chunked",
		"chunked,",
		"\"chunked\"",
		"chunked\xa0",
		"\240chunked",
		"chun\tked",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char line[64];

		snprintf(line, sizeof(line), "Transfer-Encoding: %s", bad[i]);
		if (with_field(line) != HTTP1_BAD_ENCODING)
			fail_msg("\"%s\" is not refused", bad[i]);
	}
	assert_int_equal(with_field("Transfer-Encoding: \tChunkeD "), HTTP1_DONE);
	assert_int_equal(head.framing, HTTP1_CHUNKED);
	assert_int_equal(with_field("Transfer-Encoding: chunked\r\nContent-Length: 5"),
			 HTTP1_BAD_FRAMING);
	assert_int_equal(with_field("Content-Length: 0\r\nTransfer-Encoding: chunked"),
			 HTTP1_BAD_FRAMING);
	assert_int_equal(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
			 HTTP1_BAD_FRAMING);
}

static void content_is_refused_where_it_has_no_meaning(void **state)
{
	static const char *const methods[] = {"GET /", "HEAD /", "TRACE /", "CONNECT a:1"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		char text[128];
		const char *host = methods[i][0] == 'C' ? "a:1" : "a";

		snprintf(text, sizeof(text),
			 "%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\n\r\n", methods[i],
			 host);
		assert_int_equal(request(text), HTTP1_BAD_FRAMING);
		snprintf(text, sizeof(text),
			 "%s HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
			 methods[i], host);
		assert_int_equal(request(text), HTTP1_BAD_FRAMING);
		snprintf(text, sizeof(text),
			 "%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", methods[i],
			 host);
		assert_int_equal(request(text), HTTP1_DONE);
	}
	assert_int_equal(request("DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"),
			 HTTP1_DONE);
}

static void connection_options_decide_what_stays_open(void **state)
{
	static const struct {
		const char *version, *fields;
		bool keep_alive, upgrade, names;
	} cases[] = {
		{"1.1", "", true, false, false},
		{"1.1", "Connection: keep-alive\r\n", true, false, false},
		{"1.1", "Connection: Close\r\n", false, false, false},
		{"1.1", "Connection: keep-alive, close\r\n", false, false, false},
		{"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false, false, false},
		{"1.1", "Connection: close\r\nConnection: keep-alive\r\n", false, false, false},
		{"1.0", "", false, false, false},
		{"1.0", "Connection: Keep-Alive\r\n", true, false, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true, true, false},
		{"1.1", "Upgrade: websocket\r\nConnection: , keep-alive,upgrade\r\n", true,
		 true, false},
		{"1.1", "Upgrade: websocket\r\n", true, false, false},
		{"1.1", "Connection: upgrade\r\n", true, false, false},
		{"1.1", "Connection: x-hop\r\n", true, false, true},
		{"1.1", "Connection: close, x-hop\r\nX-Hop: 1\r\n", false, false, true},
		{"1.1", "Connection: x-hop\r\nConnection: keep-alive\r\n", true, false, true},
		{"1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[160];

		snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\n%s\r\n",
			 cases[i].version, cases[i].fields);
		assert_int_equal(request(text), HTTP1_DONE);
		if (head.keep_alive != cases[i].keep_alive ||
		    head.upgrade != cases[i].upgrade || head.connection_names != cases[i].names)
			fail_msg("case %zu", i);
	}
	assert_int_equal(with_field("Connection: a b"), HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Connection: close, Host"), HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Connection: content-length"), HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Connection: authorization"), HTTP1_BAD_FIELD);
}

static void expectations_other_than_100_continue_are_refused(void **state)
{
	(void)state;
	assert_int_equal(with_field("Expect: 100-Continue\r\nContent-Length: 5"), HTTP1_DONE);
	assert_true(head.expect_continue);
	assert_int_equal(with_field("Expect: 100-continue"), HTTP1_DONE);
	assert_false(head.expect_continue);
	assert_int_equal(request("POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
				 "Content-Length: 5\r\n\r\n"),
			 HTTP1_DONE);
	assert_false(head.expect_continue);
	assert_int_equal(with_field("Expect: y 100-continue"), HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Expect: 100-continue, x"), HTTP1_BAD_FIELD);
	assert_int_equal(with_field("Expect:"), HTTP1_BAD_FIELD);
}

/* A request whose request line has `line_bytes` bytes and whose head `head_bytes`. */
static enum http1_result sized(size_t line_bytes, size_t head_bytes)
{
	static const char start[] = "GET /", version[] = " HTTP/1.1\r\n",
			  rest[] = "Host: a\r\nX: ";
	char text[1200];
	size_t at = 0, consumed;

	memset(text, 'x', sizeof(text));
	memcpy(text, start, sizeof(start) - 1);
	at = line_bytes + 2 - (sizeof(version) - 1);
	memcpy(text + at, version, sizeof(version) - 1);
	at += sizeof(version) - 1;
	memcpy(text + at, rest, sizeof(rest) - 1);
	memcpy(text + head_bytes - 4, "\r\n\r\n", 4);
	return http1_parse_request(&head, span_of(text, head_bytes), &limits, &consumed);
}

/* However short the request line is; complete, and without an end in sight. */
static void field_lines_have_a_limit_of_their_own(void)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: 1234567890\r\n\r\n";
	const size_t line_bytes = sizeof("GET / HTTP/1.1\r\n") - 1;
	const size_t all = sizeof(text) - 1;
	struct http1_limits own = limits;
	size_t consumed;

	own.fields_bytes = all - line_bytes;
	assert_int_equal(http1_parse_request(&head, span_of(text, all), &own, &consumed),
			 HTTP1_DONE);
	assert_int_equal(http1_parse_request(&head, span_of(text, all - 1), &own, &consumed),
			 HTTP1_MORE);
	own.fields_bytes--;
	assert_int_equal(http1_parse_request(&head, span_of(text, all), &own, &consumed),
			 HTTP1_TOO_LARGE_HEAD);
	assert_int_equal(http1_parse_request(&head, span_of(text, all - 1), &own, &consumed),
			 HTTP1_TOO_LARGE_HEAD);
	assert_int_equal(http1_parse_request(&head, span_of(text, all - 2), &own, &consumed),
			 HTTP1_MORE);
}

static void sizes_up_to_the_limit_are_taken_and_no_more(void **state)
{
	char text[1200];
	size_t len, consumed;

	(void)state;
	assert_int_equal(sized(limits.line_bytes, 512), HTTP1_DONE);
	assert_int_equal(sized(limits.line_bytes + 1, 512), HTTP1_TOO_LONG_LINE);
	assert_int_equal(sized(64, limits.head_bytes), HTTP1_DONE);
	assert_int_equal(sized(64, limits.head_bytes + 1), HTTP1_TOO_LARGE_HEAD);

	/* Without an end in sight. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET /", 5);
	assert_int_equal(http1_parse_request(&head, span_of(text, limits.line_bytes), &limits,
					     &consumed),
			 HTTP1_MORE);
	assert_int_equal(http1_parse_request(&head, span_of(text, limits.line_bytes + 2),
					     &limits, &consumed),
			 HTTP1_TOO_LONG_LINE);
	memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
	assert_int_equal(http1_parse_request(&head, span_of(text, limits.head_bytes - 1),
					     &limits, &consumed),
			 HTTP1_MORE);
	assert_int_equal(http1_parse_request(&head, span_of(text, limits.head_bytes), &limits,
					     &consumed),
			 HTTP1_TOO_LARGE_HEAD);

	field_lines_have_a_limit_of_their_own();

	/* One field too many. */
	for (int more = 0; more < 2; more++) {
		len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n");
		for (size_t i = 0; i < FIELDS_MAX + (size_t)more; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "X: y\r\n");
		snprintf(text + len, sizeof(text) - len, "\r\n");
		assert_int_equal(request(text), more ? HTTP1_TOO_LARGE_HEAD : HTTP1_DONE);
	}
}

/* In pieces of every size: found in the very call that brings the last byte. */
static void the_end_of_a_head_is_found_in_pieces(void **state)
{
	static const struct {
		const char *text;
		size_t complete; /* bytes after which it is there; 0: never */
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27},
		{"GET / HTTP/1.1\nHost: a\n\n", 24},
		{"A\n\r\n", 4},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r", 0},
		{"A\r\n\rB\r\r\n\rC\n\r", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t total = strlen(cases[i].text);

		for (size_t step = 1; step <= total; step++) {
			size_t resume = 0, len = 0;
			bool found = false;

			while (!found && len < total) {
				len = len + step < total ? len + step : total;
				found = http1_head_complete(span_of(cases[i].text, len),
							    &resume);
				assert_int_equal(found,
						 cases[i].complete && len >= cases[i].complete);
				assert_true(found || resume <= len);
			}
		}
	}
}

static void each_result_has_a_status_and_a_text(void **state)
{
	(void)state;
	for (enum http1_result r = HTTP1_DONE; r <= HTTP1_TOO_LARGE_HEAD; r++) {
		assert_in_range(http1_result_status(r), 400, 505);
		assert_string_not_equal(http1_result_text(r), "unknown");
	}
	assert_int_equal(http1_result_status(HTTP1_BAD_FIELD), 400);
	assert_int_equal(http1_result_status(HTTP1_BAD_VERSION), 505);
	assert_int_equal(http1_result_status(HTTP1_BAD_ENCODING), 501);
	assert_int_equal(http1_result_status(HTTP1_TOO_LONG_LINE), 414);
	assert_int_equal(http1_result_status(HTTP1_TOO_LARGE_HEAD), 431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(every_prefix_asks_for_more),
		cmocka_unit_test(what_follows_the_head_is_left),
		cmocka_unit_test(
			only_the_very_authority_that_was_checked_before_is_not_checked_again),
		cmocka_unit_test(malformed_request_lines_are_refused),
		cmocka_unit_test(nul_is_refused_everywhere),
		cmocka_unit_test(a_later_minor_version_is_read_as_1_1),
		cmocka_unit_test(line_ends_other_than_crlf_are_refused),
		cmocka_unit_test(malformed_fields_are_refused),
		cmocka_unit_test(unusual_but_clear_fields_are_taken),
		cmocka_unit_test(names_that_others_may_take_for_known_ones_are_refused),
		cmocka_unit_test(fields_that_must_be_single_are_refused_when_repeated),
		cmocka_unit_test(host_is_there_once_and_well_formed),
		cmocka_unit_test(each_method_takes_its_forms_of_target),
		cmocka_unit_test(only_plain_numbers_are_lengths),
		cmocka_unit_test(only_chunked_is_an_encoding),
		cmocka_unit_test(content_is_refused_where_it_has_no_meaning),
		cmocka_unit_test(connection_options_decide_what_stays_open),
		cmocka_unit_test(expectations_other_than_100_continue_are_refused),
		cmocka_unit_test(sizes_up_to_the_limit_are_taken_and_no_more),
		cmocka_unit_test(the_end_of_a_head_is_found_in_pieces),
		cmocka_unit_test(each_result_has_a_status_and_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
