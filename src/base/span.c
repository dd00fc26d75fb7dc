#include "base/span.h"

#include "base/compiler.h"

HOT bool span_eq_nocase(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	return true;
}

int span_compare(struct span a, struct span b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.ptr, b.ptr, common) : 0;

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

bool span_starts_with(struct span s, struct span prefix)
{
	return s.len >= prefix.len && span_eq(span_of(s.ptr, prefix.len), prefix);
}

bool span_ends_with(struct span s, struct span suffix)
{
	return s.len >= suffix.len && (suffix.len == 0 || memcmp(s.ptr + (s.len - suffix.len),
								 suffix.ptr, suffix.len) == 0);
}

bool span_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}

size_t span_find_byte(struct span s, char byte)
{
	const char *at = s.len ? memchr(s.ptr, byte, s.len) : NULL;

	return at ? (size_t)(at - s.ptr) : s.len;
}

size_t span_find(struct span s, struct span needle)
{
	const char *at;

	if (needle.len == 0)
		return 0;
	if (s.len < needle.len)
		return s.len;
	at = memmem(s.ptr, s.len, needle.ptr, needle.len);
	return at ? (size_t)(at - s.ptr) : s.len;
}

struct span span_slice(struct span s, size_t from, size_t to)
{
	if (to > s.len)
		to = s.len;
	if (from > to)
		from = to;
	return span_of(s.ptr ? s.ptr + from : NULL, to - from);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
	while (s.len && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct span span_cut(struct span *rest, char separator)
{
	size_t at = span_find_byte(*rest, separator);
	struct span part = span_of(rest->ptr, at);

	if (at == rest->len) {
		*rest = SPAN_NONE;
	} else {
		rest->ptr += at + 1;
		rest->len -= at + 1;
	}
	return part;
}

HOT bool span_to_u64(struct span s, uint64_t *value)
{
	uint64_t n = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(s.ptr[i] - '0'), &n))
			return false;
	}
	*value = n;
	return true;
}

bool span_to_i64(struct span s, int64_t *value)
{
	bool negative = s.len && s.ptr[0] == '-';
	uint64_t n;

	if (!span_to_u64(negative ? span_of(s.ptr + 1, s.len - 1) : s, &n))
		return false;
	if (n > (uint64_t)INT64_MAX + (negative ? 1u : 0u))
		return false;
	*value = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

unsigned span_distance(struct span a, struct span b)
{
	unsigned row[65];

	if (a.len > 64 || b.len > 64)
		return 65;
	for (unsigned j = 0; j <= b.len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			unsigned above = row[j];
			unsigned best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[b.len];
}
