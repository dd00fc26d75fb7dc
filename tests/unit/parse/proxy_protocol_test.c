/* proxy_protocol_test.c - the PROXY protocol, versions 1 and 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4_BODY "\300\000\002\001\306\063\144\002\334\004\001\273"
#define IPV6_BODY                                                                              \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                           \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"                                           \
	"\334\004\001\273"

static struct proxy_protocol header;

/* A copy of exactly this size, so that a byte read beyond it is noticed by ASan. */
static enum proxy_protocol_result parse(struct span text, size_t *consumed)
{
	char *copy = mem_alloc(text.len ? text.len : 1);
	enum proxy_protocol_result result;

	assert_non_null(copy);
	memcpy(copy, text.ptr, text.len);
	result = proxy_protocol_parse(&header, span_of(copy, text.len), consumed);
	mem_free(copy);
	return result;
}

/* Every start of it asks for more; with bytes behind it, those are left. */
static void assert_good(struct span text)
{
	char longer[PROXY_PROTOCOL_MAX_BYTES + 4];
	size_t consumed;

	for (size_t len = 0; len < text.len; len++) {
		assert_int_equal(parse(span_of(text.ptr, len), &consumed), PROXY_PROTOCOL_MORE);
		assert_int_equal(consumed, 0);
	}
	assert_true(text.len <= PROXY_PROTOCOL_MAX_BYTES);
	memcpy(longer, text.ptr, text.len);
	memcpy(longer + text.len, "GET ", 4);
	assert_int_equal(parse(span_of(longer, text.len + 4), &consumed), PROXY_PROTOCOL_DONE);
	assert_int_equal(consumed, text.len);
}

static void assert_bad(struct span text)
{
	size_t consumed;

	if (parse(text, &consumed) != PROXY_PROTOCOL_BAD)
		fail_msg("not refused: \"%.*s\"", SPAN_ARG(text));
}

static void assert_addresses(const char *source, const char *destination)
{
	char text[ADDRESS_TEXT_SIZE];

	assert_true(header.has_addresses);
	address_format(&header.source, text);
	assert_string_equal(text, source);
	address_format(&header.destination, text);
	assert_string_equal(text, destination);
	assert_int_equal(header.source_port, 56324);
	assert_int_equal(header.destination_port, 443);
}

static void version_1_gives_addresses(void **state)
{
	(void)state;
	assert_good(SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"));
	assert_addresses("192.0.2.1", "198.51.100.2");
	assert_int_equal(header.version, 1);
	assert_good(SPAN("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"));
	assert_addresses("2001:db8::1", "2001:db8::2");
	assert_good(SPAN("PROXY UNKNOWN\r\n"));
	assert_false(header.has_addresses);
	assert_good(SPAN("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"));
	assert_false(header.has_addresses);
}

static void malformed_version_1_is_refused(void **state)
{
	static const char *const lines[] = {
		"GET / HTTP/1.1\r\n",
		"PROXY\r\n",
		"PROXY \r\n",
		"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
		"PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n",
		"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
		"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
		"PROXY TCP4 host 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 65iii 2\r\n",
		"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY UNKNOWNX\r\n",
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		assert_bad(span_cstr(lines[i]));
	memset(text, 'x', sizeof(text));
	memcpy(text, "PROXY UNKNOWN ", 14);
	memcpy(text + 105, "\r\n", 2);
	assert_good(span_of(text, 107));
	memset(text + 105, 'x', 2);
	memcpy(text + 106, "\r\n", 2);
	assert_bad(span_of(text, 108));
	assert_bad(span_of(text, 107)); /* no end within what is allowed */
}

static void version_2_gives_addresses(void **state)
{
	(void)state;
	assert_good(SPAN(SIGNATURE "\x21\x11\x00\x0c" IPV4_BODY));
	assert_addresses("192.0.2.1", "198.51.100.2");
	assert_int_equal(header.version, 2);
	assert_good(SPAN(SIGNATURE "\x21\x21\x00\x24" IPV6_BODY));
	assert_addresses("2001:db8::1", "2001:db8::2");
}

static void version_2_without_addresses_keeps_the_connections(void **state)
{
	char text[16 + 216];

	(void)state;
	assert_good(SPAN(SIGNATURE "\x20\x00\x00\x00"));
	assert_true(header.local);
	assert_false(header.has_addresses);
	assert_good(SPAN(SIGNATURE "\x20\x11\x00\x0c" IPV4_BODY));
	assert_false(header.has_addresses);
	assert_good(SPAN(SIGNATURE "\x21\x00\x00\x00"));
	assert_false(header.local || header.has_addresses);
	memset(text, 0, sizeof(text));
	memcpy(text, SIGNATURE "\x21\x31\x00\xd8", 16);
	assert_good(span_of(text, sizeof(text)));
	assert_false(header.has_addresses);
}

static void extensions_are_skipped_when_they_fit(void **state)
{
	(void)state;
	assert_good(SPAN(SIGNATURE "\x21\x11\x00\x17" IPV4_BODY "\x04\x00\x00"
				   "\x02\x00\x05"
				   "hello"));
	assert_addresses("192.0.2.1", "198.51.100.2");
	assert_bad(SPAN(SIGNATURE "\x21\x11\x00\x0e" IPV4_BODY "\x04\x00"));
	assert_bad(SPAN(SIGNATURE "\x21\x11\x00\x10" IPV4_BODY "\x04\x00\x02x"));
	/* A LOCAL command's content is not looked at. */
	assert_good(SPAN(SIGNATURE "\x20\x00\x00\x02zz"));
}

/* The same sum by the textbook definition, a bit at a time over the message polynomial. */
static uint32_t reference_crc32c(const unsigned char *bytes, size_t len)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len * 8; i++) {
		uint32_t bit = (bytes[i / 8] >> (i % 8)) & 1;

		crc = (crc & 1) != bit ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static void a_checksum_must_be_right(void **state)
{
	unsigned char text[16 + 12 + 7];
	uint32_t sum;

	(void)state;
	/* The well-known check value of CRC-32C. */
	assert_int_equal(reference_crc32c((const unsigned char *)"123456789", 9), 0xe3069283);
	memcpy(text, SIGNATURE "\x21\x11\x00\x13" IPV4_BODY "\x03\x00\x04\0\0\0\0",
	       sizeof(text));
	sum = reference_crc32c(text, sizeof(text));
	for (int i = 0; i < 4; i++)
		text[31 + i] = (unsigned char)(sum >> (24 - 8 * i));
	assert_good(span_of(text, sizeof(text)));
	assert_addresses("192.0.2.1", "198.51.100.2");
	text[16] ^= 1;
	assert_bad(span_of(text, sizeof(text)));
}

static void malformed_version_2_is_refused(void **state)
{
	char text[16];

	(void)state;
	assert_bad(SPAN(SIGNATURE "\x11\x11\x00\x0c" IPV4_BODY)); /* version 1 in binary */
	assert_bad(SPAN(SIGNATURE "\x22\x11\x00\x0c" IPV4_BODY)); /* no such command */
	assert_bad(SPAN(SIGNATURE "\x21\x12\x00\x0c" IPV4_BODY)); /* datagrams */
	assert_bad(SPAN(SIGNATURE "\x21\x41\x00\x0c" IPV4_BODY)); /* no such family */
	assert_bad(SPAN(SIGNATURE "\x21\x10\x00\x0c" IPV4_BODY));
	assert_bad(SPAN(SIGNATURE "\x21\x21\x00\x0c" IPV4_BODY)); /* too short for IPv6 */
	assert_bad(SPAN(SIGNATURE "\x21\x11\x00\x0b" IPV4_BODY));
	assert_bad(SPAN("\r\n\r\nGET /"));
	assert_bad(SPAN("\r\n\r\n\0\r\nQUIT\r"));
	/* The head alone shows that it would be too long. */
	memcpy(text, SIGNATURE "\x21\x11\x08\x00", 16);
	assert_bad(span_of(text, sizeof(text)));
}

static void the_longest_header_is_taken(void **state)
{
	char text[PROXY_PROTOCOL_MAX_BYTES];
	size_t consumed;

	(void)state;
	memset(text, 0, sizeof(text));
	memcpy(text, SIGNATURE "\x21\x11\x07\xf0" IPV4_BODY "\x04\x07\xe1", 31);
	assert_int_equal(parse(span_of(text, sizeof(text)), &consumed), PROXY_PROTOCOL_DONE);
	assert_int_equal(consumed, sizeof(text));
	assert_int_equal(parse(span_of(text, sizeof(text) - 1), &consumed),
			 PROXY_PROTOCOL_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_gives_addresses),
		cmocka_unit_test(malformed_version_1_is_refused),
		cmocka_unit_test(version_2_gives_addresses),
		cmocka_unit_test(version_2_without_addresses_keeps_the_connections),
		cmocka_unit_test(extensions_are_skipped_when_they_fit),
		cmocka_unit_test(a_checksum_must_be_right),
		cmocka_unit_test(malformed_version_2_is_refused),
		cmocka_unit_test(the_longest_header_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
