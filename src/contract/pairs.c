#include "contract/pairs.h"

#include "base/mem.h"
#include "parse/uri.h"

int pairs_init(struct pairs *pairs, size_t max_pairs, size_t max_bytes)
{
	*pairs = (struct pairs){.max = max_pairs};
	buf_init(&pairs->names, max_bytes);
	pairs->at = mem_zalloc(max_pairs ? max_pairs : 1, sizeof(*pairs->at));
	return pairs->at ? 0 : -1;
}

void pairs_release(struct pairs *pairs)
{
	mem_free(pairs->at);
	buf_release(&pairs->names);
	*pairs = (struct pairs){.max = 0};
}

static bool is_encoded(struct span s)
{
	return s.len && (memchr(s.ptr, '%', s.len) || memchr(s.ptr, '+', s.len));
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

/* Values are decoded only when a parameter takes them, but none may be malformed. */
static bool well_escaped(struct span s)
{
	const char *at = s.len ? memchr(s.ptr, '%', s.len) : NULL;

	while (at) {
		size_t left = (size_t)(s.ptr + s.len - at);

		if (left < 3 || !is_hex(at[1]) || !is_hex(at[2]))
			return false;
		at = memchr(at + 3, '%', left - 3);
	}
	return true;
}

static enum pairs_result decode_name(struct pairs *pairs, struct span text, struct span *name)
{
	char *to;
	size_t len;

	if (!is_encoded(*name))
		return PAIRS_OK;
	/* All names together are no longer than the text: what is decoded stays where it is. */
	if (pairs->names.len == 0 && buf_reserve(&pairs->names, text.len) < 0)
		return PAIRS_MEMORY;
	to = pairs->names.ptr + pairs->names.len;
	if (uri_decode(*name, true, to, &len) != URI_OK)
		return PAIRS_BAD_ESCAPE;
	pairs->names.len += len;
	*name = span_of(to, len);
	return PAIRS_OK;
}

enum pairs_result pairs_parse(struct pairs *pairs, struct span text)
{
	struct span rest = text;
	struct span name, value;

	pairs->count = 0;
	buf_clear(&pairs->names);
	while (uri_query_next(&rest, &name, &value)) {
		struct pair *pair;
		const char *end = value.ptr ? value.ptr + value.len : name.ptr + name.len;
		struct span raw = span_of(name.ptr, (size_t)(end - name.ptr));
		enum pairs_result result;

		if (pairs->count == pairs->max)
			return PAIRS_TOO_MANY;
		if (!well_escaped(value))
			return PAIRS_BAD_ESCAPE;
		result = decode_name(pairs, text, &name);
		if (result != PAIRS_OK)
			return result;
		pair = &pairs->at[pairs->count++];
		*pair = (struct pair){.name = name, .value = value, .raw = raw};
	}
	return PAIRS_OK;
}

bool pairs_is_cut(const struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
		if (pairs->at[i].cut || pairs->at[i].squeezed)
			return true;
	return false;
}

int pairs_write(const struct pairs *pairs, struct buf *to)
{
	bool first = true;

	for (size_t i = 0; i < pairs->count; i++) {
		if (pairs->at[i].cut)
			continue;
		if (!first)
			buf_append_byte(to, '&');
		buf_append(to, pairs->at[i].raw);
		first = false;
	}
	return buf_failed(to) ? -1 : 0;
}
