/* Header fields on their way to nghttp2 (RFC 9113 section 8.2). */
#include "http/h2_wire.h"

HOT nghttp2_nv h2_field(struct span name, struct span value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name.ptr,
		.namelen = name.len,
		.value = (uint8_t *)(uintptr_t)(value.ptr ? value.ptr : ""),
		.valuelen = value.len,
		.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
	};
}

/* Fields of HTTP/1 connections, and what is sent as pseudo-header (RFC 9113 section 8.2.2). */
HOT static bool is_forbidden(const struct http_field *field)
{
	switch (field->id) {
	case HTTP_FIELD_CONNECTION:
	case HTTP_FIELD_HOST:
	case HTTP_FIELD_HTTP2_SETTINGS:
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_TRANSFER_ENCODING:
	case HTTP_FIELD_UPGRADE: return true;
	case HTTP_FIELD_TE: return !span_eq_nocase(field->value, SPAN("trailers"));
	default: return false;
	}
}

/*
 * What is secret must not be guessable by its compression, and what is different each time would
 * only drive useful entries out of the table (RFC 7541 section 7.1).
 */
HOT static bool is_unindexed(enum http_field_id id)
{
	switch (id) {
	case HTTP_FIELD_AUTHORIZATION:
	case HTTP_FIELD_COOKIE:
	case HTTP_FIELD_DPOP:
	case HTTP_FIELD_PROXY_AUTHORIZATION:
	case HTTP_FIELD_SET_COOKIE:
	case HTTP_FIELD_TRACEPARENT:
	case HTTP_FIELD_X_REQUEST_ID: return true;
	default: return false;
	}
}

HOT static struct span lower_name(const struct http_field *field, struct arena *arena)
{
	struct span known = http_field_name(field->id);
	char *copy = NULL;

	if (known.len)
		return known;
	for (size_t i = 0; i < field->name.len; i++) {
		if (field->name.ptr[i] == ascii_lower(field->name.ptr[i]))
			continue;
		copy = arena_alloc(arena, field->name.len);
		if (!copy)
			return SPAN_NONE;
		break;
	}
	if (!copy)
		return field->name;
	for (size_t i = 0; i < field->name.len; i++)
		copy[i] = ascii_lower(field->name.ptr[i]);
	return span_of(copy, field->name.len);
}

HOT size_t h2_fields(nghttp2_nv *to, const struct http_field *fields, size_t count,
		     struct arena *arena)
{
	size_t made = 0;

	for (size_t i = 0; i < count; i++) {
		struct span name;

		if (is_forbidden(&fields[i]))
			continue;
		name = lower_name(&fields[i], arena);
		if (!name.ptr)
			return SIZE_MAX;
		to[made] = h2_field(name, fields[i].value);
		if (is_unindexed(fields[i].id))
			to[made].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
		made++;
	}
	return made;
}
