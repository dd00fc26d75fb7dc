/*
 * A target that is accepted gives a path in normal form by a second look, which stays as it is
 * when it is normalised again; queries, authorities and absolute URIs are cut within their bytes.
 */
#include <assert.h>

#include "base/mem.h"
#include "parse/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_upper_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

static bool is_unreserved(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* Escapes are whole, in upper case and needed; segments are neither empty nor dots. */
static void check_path(struct span path)
{
	char *decoded = mem_alloc(path.len + 1);
	struct span rest = span_slice(path, 1, path.len);
	size_t len;

	assert(decoded && path.len > 0 && path.ptr[0] == '/');
	for (size_t i = 0; i < path.len; i++) {
		assert(path.ptr[i] > ' ' && path.ptr[i] < 0x7f &&
		       !strchr("\\#?\"<>", path.ptr[i]));
		if (path.ptr[i] != '%')
			continue;
		assert(i + 2 < path.len);
		assert(is_upper_hex(path.ptr[i + 1]) && is_upper_hex(path.ptr[i + 2]));
		assert(uri_decode(span_of(path.ptr + i, 3), false, decoded, &len) == URI_OK);
		assert(len == 1 && !is_unreserved(decoded[0]) && decoded[0] != '/');
		assert(decoded[0] != '\\' && decoded[0] != 0x7f &&
		       (unsigned char)decoded[0] >= ' ');
	}
	while (rest.ptr) {
		struct span segment = span_cut(&rest, '/');

		assert(segment.len > 0 || !rest.ptr);
		assert(!span_eq(segment, SPAN(".")) && !span_eq(segment, SPAN("..")));
		assert(!span_starts_with(segment, SPAN("..;")));
	}
	assert(uri_decode(path, false, decoded, &len) == URI_OK && len <= path.len);
	mem_free(decoded);
}

static void check_query(struct span query)
{
	struct span rest = query, name, value;
	size_t bytes = 0;

	while (uri_query_next(&rest, &name, &value)) {
		assert(name.ptr >= query.ptr && name.ptr + name.len <= query.ptr + query.len);
		assert(!value.ptr || value.ptr + value.len <= query.ptr + query.len);
		bytes += name.len + value.len;
	}
	assert(bytes <= query.len);
}

static void check_target(struct span target)
{
	char *scratch = mem_alloc(target.len + 1), *again = mem_alloc(target.len + 1);
	struct span path, query, path2, query2;

	assert(scratch && again);
	if (uri_normalize(target, scratch, target.len, &path, &query) == URI_OK) {
		assert(path.len + query.len <= target.len);
		assert(path.ptr == target.ptr || path.ptr == scratch);
		check_path(path);
		assert(uri_normalize(path, again, path.len, &path2, &query2) == URI_OK);
		assert(span_eq(path, path2) && !query2.ptr);
		if (query.ptr)
			check_query(query);
	}
	mem_free(scratch);
	mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size), host;
	struct uri_parts parts;
	unsigned port;

	check_target(text);
	check_query(text);
	if (uri_split_authority(text, &host, &port)) {
		assert(host.ptr == text.ptr && host.len > 0 && host.len <= text.len);
		assert(port <= 65535 && (port == 0) == (host.len == text.len));
	}
	if (uri_parse_absolute(text, &parts)) {
		assert(parts.host.len > 0 && parts.port >= 1 && parts.port <= 65535);
		assert(parts.path.ptr[0] == '/');
	}
	return 0;
}
