#include "parse/cbor.h"

#define DEPTH_MAX 8

/* Major type and argument (RFC 8949 section 3); *len is how long they are. */
static bool read_head(struct span bytes, struct cbor_item *item, size_t *len)
{
	unsigned first, extra;

	if (bytes.len == 0)
		return false;
	first = (unsigned char)bytes.ptr[0];
	item->type = (enum cbor_type)(first >> 5);
	first &= 31;
	if (first < 24) {
		item->number = first;
		*len = 1;
		return true;
	}
	if (first > 27)
		return false;
	extra = 1U << (first - 24);
	if (bytes.len < 1 + (size_t)extra)
		return false;
	item->number = 0;
	for (size_t i = 1; i <= extra; i++)
		item->number = item->number << 8 | (unsigned char)bytes.ptr[i];
	*len = 1 + (size_t)extra;
	return true;
}

static bool read_item(struct span bytes, struct cbor_item *item, unsigned depth)
{
	uint64_t items = 0;
	struct cbor_item inner;
	size_t len;

	if (depth > DEPTH_MAX || !read_head(bytes, item, &len))
		return false;
	switch (item->type) {
	case CBOR_UNSIGNED:
	case CBOR_NEGATIVE:
	case CBOR_OTHER: break;
	case CBOR_BYTES:
	case CBOR_TEXT:
		if (item->number > bytes.len - len)
			return false;
		item->content = span_slice(bytes, len, len + (size_t)item->number);
		item->size = len + (size_t)item->number;
		return true;
	case CBOR_ARRAY: items = item->number; break;
	case CBOR_MAP:
		if (item->number > bytes.len)
			return false;
		items = item->number * 2;
		break;
	case CBOR_TAG: items = 1; break;
	}
	/* Each item has a byte at least. */
	if (items > bytes.len - len)
		return false;
	item->size = len;
	for (uint64_t i = 0; i < items; i++) {
		if (!read_item(span_slice(bytes, item->size, bytes.len), &inner, depth + 1))
			return false;
		item->size += inner.size;
	}
	item->content = span_slice(bytes, len, item->size);
	return true;
}

bool cbor_read(struct span bytes, struct cbor_item *item)
{
	*item = (struct cbor_item){.size = 0};
	return read_item(bytes, item, 0);
}

bool cbor_map_get(struct span bytes, struct span key, struct cbor_item *value)
{
	struct cbor_item map, name, item;
	bool found = false;
	struct span rest;

	if (!cbor_read(bytes, &map) || map.type != CBOR_MAP || map.size != bytes.len)
		return false;
	rest = map.content;
	for (uint64_t i = 0; i < map.number; i++) {
		if (!cbor_read(rest, &name))
			return false;
		rest = span_slice(rest, name.size, rest.len);
		if (!cbor_read(rest, &item))
			return false;
		rest = span_slice(rest, item.size, rest.len);
		if (name.type != CBOR_TEXT || !span_eq(name.content, key))
			continue;
		if (found)
			return false;
		found = true;
		*value = item;
	}
	return found;
}
