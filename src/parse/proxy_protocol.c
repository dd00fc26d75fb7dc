/* proxy_protocol.c - the PROXY protocol, versions 1 and 2. */
#include "parse/proxy_protocol.h"

#include "base/compiler.h"

#define V1_MAX_BYTES 107 /* with CRLF, says the specification */
#define V2_HEAD_BYTES 16

#define V2_COMMAND_LOCAL 0
#define V2_COMMAND_PROXY 1
#define V2_FAMILY_UNSPEC 0
#define V2_FAMILY_IPV4 1
#define V2_FAMILY_IPV6 2
#define V2_FAMILY_UNIX 3
#define V2_TRANSPORT_UNSPEC 0
#define V2_TRANSPORT_STREAM 1
#define V2_TLV_CRC32C 3

static const struct span v1_prefix = SPAN_INIT("PROXY ");
static const struct span v2_signature = SPAN_INIT("\r\n\r\n\0\r\nQUIT\n");

/* The next word, which one space or the end must follow. */
static bool next_word(struct span *rest, struct span *word)
{
	if (!rest->ptr)
		return false;
	*word = span_cut(rest, ' ');
	return word->len > 0;
}

/* An address of that family and no other spelling of it. */
static bool v1_address(struct span *rest, bool ipv4, struct address *address)
{
	struct span word;

	if (!next_word(rest, &word) || !address_parse(word, address))
		return false;
	/* A mapped address in IPv6 spelling is taken as what it stands for. */
	return (span_find_byte(word, ':') == word.len) == ipv4;
}

static bool v1_port(struct span *rest, uint16_t *port)
{
	struct span word;
	uint64_t value;

	if (!next_word(rest, &word) || word.len > 5 || (word.len > 1 && word.ptr[0] == '0') ||
	    !span_to_u64(word, &value) || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* `rest` is the line behind "PROXY ", without CRLF. */
static bool v1_line(struct proxy_protocol *header, struct span rest)
{
	struct span family;
	bool ipv4;

	if (!next_word(&rest, &family))
		return false;
	if (span_eq(family, SPAN("UNKNOWN")))
		return true; /* whatever follows must be ignored */
	ipv4 = span_eq(family, SPAN("TCP4"));
	if (!ipv4 && !span_eq(family, SPAN("TCP6")))
		return false;
	header->has_addresses = true;
	return v1_address(&rest, ipv4, &header->source) &&
	       v1_address(&rest, ipv4, &header->destination) &&
	       v1_port(&rest, &header->source_port) &&
	       v1_port(&rest, &header->destination_port) && !rest.ptr;
}

static enum proxy_protocol_result v1_parse(struct proxy_protocol *header, struct span input,
					   size_t *consumed)
{
	struct span line = span_slice(input, 0, V1_MAX_BYTES);
	size_t end = span_find_byte(line, '\n');

	for (size_t i = v1_prefix.len; i < end; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		if ((c < 0x20 || c > 0x7e) && !(c == '\r' && i + 1 == end))
			return PROXY_PROTOCOL_BAD;
	}
	if (end == line.len)
		return line.len == V1_MAX_BYTES ? PROXY_PROTOCOL_BAD : PROXY_PROTOCOL_MORE;
	if (line.ptr[end - 1] != '\r' ||
	    !v1_line(header, span_slice(line, v1_prefix.len, end - 1)))
		return PROXY_PROTOCOL_BAD;
	header->version = 1;
	*consumed = end + 1;
	return PROXY_PROTOCOL_DONE;
}

static unsigned byte_at(struct span s, size_t i)
{
	return (unsigned char)s.ptr[i];
}

static unsigned u16_at(struct span s, size_t i)
{
	return byte_at(s, i) << 8 | byte_at(s, i + 1);
}

/* Castagnoli's polynomial, reflected; `skip` to skip + 4 count as zeros. A header is short. */
static uint32_t crc32c(struct span s, size_t skip)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < s.len; i++) {
		crc ^= i >= skip && i < skip + 4 ? 0 : byte_at(s, i);
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* The extensions from `at` to the end of the header: type, length, value. */
static bool v2_extensions(struct span header, size_t at)
{
	bool checked = false;

	while (at < header.len) {
		size_t value = at + 3, len;

		if (header.len - at < 3)
			return false;
		len = u16_at(header, at + 1);
		if (len > header.len - value)
			return false;
		if (byte_at(header, at) == V2_TLV_CRC32C) {
			uint32_t sum;

			if (len != 4 || checked)
				return false;
			sum = (uint32_t)u16_at(header, value) << 16 | u16_at(header, value + 2);
			if (crc32c(header, value) != sum)
				return false;
			checked = true;
		}
		at = value + len;
	}
	return true;
}

/* Addresses and ports of a PROXY command; returns where the extensions begin, or 0. */
static size_t v2_addresses(struct proxy_protocol *header, struct span input)
{
	static const size_t sizes[] = {
		[V2_FAMILY_UNSPEC] = 0,
		[V2_FAMILY_IPV4] = 12,
		[V2_FAMILY_IPV6] = 36,
		[V2_FAMILY_UNIX] = 216,
	};
	unsigned family = byte_at(input, 13) >> 4;
	unsigned transport = byte_at(input, 13) & 15;
	const char *p = input.ptr + V2_HEAD_BYTES;
	size_t ports;

	if (family >= COUNT_OF(sizes) || input.len - V2_HEAD_BYTES < sizes[family])
		return 0;
	if (transport != V2_TRANSPORT_STREAM &&
	    !(family == V2_FAMILY_UNSPEC && transport == V2_TRANSPORT_UNSPEC))
		return 0;
	if (family == V2_FAMILY_IPV4) {
		header->source = address_from_ipv4(p);
		header->destination = address_from_ipv4(p + 4);
		ports = V2_HEAD_BYTES + 8;
	} else if (family == V2_FAMILY_IPV6) {
		header->source = address_from_ipv6(p);
		header->destination = address_from_ipv6(p + 16);
		ports = V2_HEAD_BYTES + 32;
	} else {
		return V2_HEAD_BYTES + sizes[family];
	}
	header->has_addresses = true;
	header->source_port = (uint16_t)u16_at(input, ports);
	header->destination_port = (uint16_t)u16_at(input, ports + 2);
	return V2_HEAD_BYTES + sizes[family];
}

static enum proxy_protocol_result v2_parse(struct proxy_protocol *header, struct span input,
					   size_t *consumed)
{
	unsigned command;
	size_t len, extensions;

	if (input.len > 12) {
		command = byte_at(input, 12);
		if (command != (0x20 | V2_COMMAND_LOCAL) &&
		    command != (0x20 | V2_COMMAND_PROXY))
			return PROXY_PROTOCOL_BAD;
		header->local = command == (0x20 | V2_COMMAND_LOCAL);
	}
	if (input.len < V2_HEAD_BYTES)
		return PROXY_PROTOCOL_MORE;
	len = V2_HEAD_BYTES + u16_at(input, 14);
	if (len > PROXY_PROTOCOL_MAX_BYTES)
		return PROXY_PROTOCOL_BAD;
	if (input.len < len)
		return PROXY_PROTOCOL_MORE;
	header->version = 2;
	*consumed = len;
	if (header->local)
		return PROXY_PROTOCOL_DONE; /* the rest must be ignored */
	input = span_slice(input, 0, len);
	extensions = v2_addresses(header, input);
	if (extensions == 0 || !v2_extensions(input, extensions))
		return PROXY_PROTOCOL_BAD;
	return PROXY_PROTOCOL_DONE;
}

/* The input agrees with `literal` as far as both go. */
static bool may_start_with(struct span input, struct span literal)
{
	size_t len = input.len < literal.len ? input.len : literal.len;

	return memcmp(input.ptr, literal.ptr, len) == 0;
}

enum proxy_protocol_result proxy_protocol_parse(struct proxy_protocol *header,
						struct span input, size_t *consumed)
{
	*header = (struct proxy_protocol){0};
	*consumed = 0;
	if (input.len == 0)
		return PROXY_PROTOCOL_MORE;
	if (may_start_with(input, v2_signature))
		return input.len < v2_signature.len ? PROXY_PROTOCOL_MORE
						    : v2_parse(header, input, consumed);
	if (may_start_with(input, v1_prefix))
		return input.len < v1_prefix.len ? PROXY_PROTOCOL_MORE
						 : v1_parse(header, input, consumed);
	return PROXY_PROTOCOL_BAD;
}
