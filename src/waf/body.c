/* body.c - query strings, urlencoded bodies and cookies, and what all bodies share. */
#include "waf/body.h"

#include <stdarg.h>

#include "waf/body_internal.h"
#include "waf/transform.h"

int body_pairs_add(struct body_pairs *pairs, struct arena *arena, struct span name,
		   struct span value)
{
	if (pairs->count == pairs->cap) {
		size_t cap = pairs->cap ? 2 * pairs->cap : 16;
		struct body_pair *items = arena_array(arena, struct body_pair, cap);

		if (!items)
			return -1;
		if (pairs->count > 0)
			memcpy(items, pairs->items, pairs->count * sizeof(*items));
		pairs->items = items;
		pairs->cap = cap;
	}
	pairs->items[pairs->count++] = (struct body_pair){name, value};
	return 0;
}

int body_fail(struct arena *arena, struct body_error *error, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error->failed = true;
	error->message = arena_dup(arena, span_cstr(text));
	return error->message.ptr ? 0 : -1;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

static bool has_broken_escape(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		i += span_find_byte(span_slice(text, i, text.len), '%');
		if (i < text.len &&
		    (i + 2 >= text.len || !is_hex(text.ptr[i + 1]) || !is_hex(text.ptr[i + 2])))
			return true;
	}
	return false;
}

/* A copy is made only of what has something to decode. */
static int decode(struct arena *arena, struct span *text, bool *invalid)
{
	uint32_t classes = transform_classes(*text);
	char *room;

	if (!transform_may_change(TRANSFORM_URL_DECODE, classes))
		return 0;
	if (has_broken_escape(*text))
		*invalid = true;
	room = arena_alloc(arena, text->len);
	if (!room)
		return -1;
	(void)transform_apply(TRANSFORM_URL_DECODE, NULL, *text, room, text);
	return 0;
}

int body_query(struct arena *arena, struct span text, char separator,
	       const struct body_limits *limits, struct body_pairs *pairs, bool *invalid,
	       struct body_error *error)
{
	size_t first = pairs->count;

	while (text.ptr && text.len > 0) {
		struct span part = span_cut(&text, separator), value = part;
		struct span name = span_cut(&value, '=');

		if (pairs->count - first >= limits->max_arguments) {
			error->arguments_exceeded = true;
			break;
		}
		if (!value.ptr)
			value = span_of(part.ptr + part.len, 0);
		if (decode(arena, &name, invalid) < 0 || decode(arena, &value, invalid) < 0 ||
		    body_pairs_add(pairs, arena, name, value) < 0)
			return -1;
	}
	return 0;
}

int body_urlencoded(struct arena *arena, struct span body, char separator,
		    const struct body_limits *limits, struct body_pairs *pairs, bool *invalid,
		    struct body_error *error)
{
	if (body.len > limits->max_no_files_bytes) {
		error->no_files_exceeded = true;
		return body_fail(arena, error, "Request body is longer than %zu bytes",
				 limits->max_no_files_bytes);
	}
	return body_query(arena, body, separator, limits, pairs, invalid, error);
}

int body_cookies(struct arena *arena, struct span text, struct body_pairs *pairs)
{
	while (text.ptr && text.len > 0) {
		struct span part = span_cut(&text, ';'), name, value;

		/* The last part has its end trimmed, if need be until it is empty. */
		if (!text.ptr || text.len == 0)
			while (part.len > 0 && body_is_space(part.ptr[part.len - 1]))
				part.len--;
		value = part;
		name = span_cut(&value, '=');
		if (!value.ptr)
			value = span_of(part.ptr + part.len, 0);
		while (name.len > 0 && body_is_space(name.ptr[0]))
			name = span_slice(name, 1, name.len);
		if (name.len > 0 && body_pairs_add(pairs, arena, name, value) < 0)
			return -1;
	}
	return 0;
}
