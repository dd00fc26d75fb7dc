/* traceparent.c - W3C Trace Context. */
#include "parse/traceparent.h"

#include "base/compiler.h"
#include "base/hex.h"

#define TRACESTATE_MAX_BYTES 512
#define TRACESTATE_MAX_MEMBERS 32

/* Lower-case only: section 3.2.2 forbids the other. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, unsigned char *to, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int high = hex_value(text[2 * i]);
		int low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* `count` is a multiple of eight. */
static inline bool all_zero(const unsigned char *bytes, size_t count)
{
	uint64_t seen = 0, word;

	for (size_t i = 0; i < count; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		seen |= word;
	}
	return seen == 0;
}

bool traceparent_parse(struct span value, struct traceparent *trace)
{
	const char *p = value.ptr;
	struct traceparent read;
	unsigned char version;

	if (value.len < TRACEPARENT_LEN || !read_hex(p, &version, 1) || version == 0xff)
		return false;
	if (value.len > TRACEPARENT_LEN && (version == 0 || p[TRACEPARENT_LEN] != '-'))
		return false;
	if (p[2] != '-' || p[35] != '-' || p[52] != '-')
		return false;
	if (!read_hex(p + 3, read.trace_id, 16) || !read_hex(p + 36, read.parent_id, 8) ||
	    !read_hex(p + 53, &read.flags, 1))
		return false;
	if (all_zero(read.trace_id, 16) || all_zero(read.parent_id, 8))
		return false;
	*trace = read;
	return true;
}

HOT void traceparent_format(const struct traceparent *trace, char to[TRACEPARENT_LEN])
{
	static const char digits[] = "0123456789abcdef";

	to[0] = to[1] = '0';
	to[2] = '-';
	hex_encode8(to + 3, trace->trace_id);
	hex_encode8(to + 19, trace->trace_id + 8);
	to[35] = '-';
	hex_encode8(to + 36, trace->parent_id);
	to[52] = '-';
	to[53] = digits[trace->flags >> 4];
	to[54] = digits[trace->flags & 15];
}

/* All zero is no id; that random bytes are so is no reason to fail. */
static inline void set_parent(struct traceparent *trace, const unsigned char random[8])
{
	memcpy(trace->parent_id, random, sizeof(trace->parent_id));
	if (UNLIKELY(all_zero(random, sizeof(trace->parent_id))))
		trace->parent_id[7] = 1;
}

HOT void traceparent_start(struct traceparent *trace, const unsigned char random[24],
			   bool sampled)
{
	memcpy(trace->trace_id, random, sizeof(trace->trace_id));
	if (UNLIKELY(all_zero(random, sizeof(trace->trace_id))))
		trace->trace_id[15] = 1;
	set_parent(trace, random + 16);
	trace->flags = sampled ? TRACEPARENT_FLAG_SAMPLED : 0;
}

void traceparent_continue(struct traceparent *trace, const unsigned char random[8])
{
	set_parent(trace, random);
	trace->flags &=
		TRACEPARENT_FLAG_SAMPLED; /* section 3.2.2.5.2: the others are unknown to us */
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_key_char(char c)
{
	return is_lower(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' ||
	       c == '/';
}

static bool is_key_part(struct span s, size_t max, bool digit_first)
{
	if (s.len == 0 || s.len > max)
		return false;
	if (!is_lower(s.ptr[0]) && !(digit_first && s.ptr[0] >= '0' && s.ptr[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_key_char(s.ptr[i]))
			return false;
	}
	return true;
}

/* A simple key, or tenant@system (section 3.3.1.3.1). */
static bool is_key(struct span key)
{
	struct span system = key;
	struct span tenant = span_cut(&system, '@');

	if (!system.ptr)
		return is_key_part(key, 256, false);
	return is_key_part(tenant, 241, true) && is_key_part(system, 14, false);
}

static bool is_state_value(struct span value)
{
	if (value.len == 0 || value.len > 256 || value.ptr[value.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (c < 0x20 || c > 0x7e || c == ',' || c == '=')
			return false;
	}
	return true;
}

bool tracestate_is_valid(struct span value)
{
	struct span keys[TRACESTATE_MAX_MEMBERS];
	struct span rest = value;
	size_t count = 0;

	if (value.len > TRACESTATE_MAX_BYTES)
		return false;
	while (rest.ptr) {
		struct span member = span_cut(&rest, ',');
		struct span key;

		while (member.len > 0 && (member.ptr[0] == ' ' || member.ptr[0] == '\t'))
			member = span_slice(member, 1, member.len);
		while (member.len > 0 && (member.ptr[member.len - 1] == ' ' ||
					  member.ptr[member.len - 1] == '\t'))
			member.len--;
		if (member.len == 0)
			continue; /* empty members are allowed */
		key = span_cut(&member, '=');
		if (count == TRACESTATE_MAX_MEMBERS || !is_key(key) || !is_state_value(member))
			return false;
		for (size_t i = 0; i < count; i++) {
			if (span_eq(keys[i], key))
				return false;
		}
		keys[count++] = key;
	}
	return count > 0;
}
