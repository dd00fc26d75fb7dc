/*
 * The first byte is the kind of body, for multipart the first line its type, the rest the body:
 * limits hold, errors have a message, and what is given out adds up to what was there.
 */
#include <assert.h>

#include "base/mem.h"
#include "waf/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct body_limits limits = {.max_arguments = 50,
					  .max_parts = 20,
					  .max_files = 3,
					  .max_depth = 10,
					  .max_string_bytes = 1024,
					  .max_no_files_bytes = 8192};

static void check_error(const struct body_error *error)
{
	assert(error->failed == (error->message.ptr != NULL));
	assert(error->failed || !error->no_files_exceeded);
}

/* Reads each byte, so that the sanitizer sees where they lie. */
static size_t total_bytes(const struct body_pairs *pairs)
{
	size_t bytes = 0;
	unsigned sum = 0;

	for (size_t i = 0; i < pairs->count; i++) {
		struct span name = pairs->items[i].name, value = pairs->items[i].value;

		for (size_t n = 0; n < name.len; n++)
			sum += (unsigned char)name.ptr[n];
		for (size_t n = 0; n < value.len; n++)
			sum += (unsigned char)value.ptr[n];
		bytes += name.len + value.len;
	}
	assert(sum <= 255 * bytes);
	return bytes;
}

static void check_urlencoded(struct arena *arena, struct span body)
{
	struct body_pairs pairs = {0}, cookies = {0};
	struct body_error error = {0};
	bool invalid = false;

	if (body_urlencoded(arena, body, '&', &limits, &pairs, &invalid, &error) == 0) {
		check_error(&error);
		assert(pairs.count <= limits.max_arguments);
		assert(total_bytes(&pairs) <= body.len);
		assert(!invalid || span_find_byte(body, '%') < body.len);
	}
	if (body_cookies(arena, body, &cookies) == 0) {
		assert(total_bytes(&cookies) <= body.len);
		for (size_t i = 0; i < cookies.count; i++)
			assert(cookies.items[i].name.len > 0);
	}
}

static void check_json(struct arena *arena, struct span body)
{
	struct body_pairs pairs = {0};
	struct body_error error = {0};

	if (body_json(arena, body, &limits, &pairs, &error) < 0)
		return;
	check_error(&error);
	total_bytes(&pairs);
	assert(pairs.count <= limits.max_arguments);
	for (size_t i = 0; i < pairs.count; i++)
		assert(span_starts_with(pairs.items[i].name, SPAN("json")));
}

static void check_xml(struct arena *arena, struct span body)
{
	struct body_error error = {0};
	struct body_xml *xml;
	struct span *texts;
	size_t count;

	if (body_xml_parse(arena, body, &limits, &xml, &error) == 0)
		check_error(&error);
	if (body_xml_select(arena, xml, "/*", NULL, 0, &limits, &texts, &count) == 0)
		assert(count <= 1);
	if (body_xml_select(arena, xml, "//@*", NULL, 0, &limits, &texts, &count) == 0)
		assert(count <= limits.max_arguments);
	body_xml_free(xml);
}

static void check_multipart(struct arena *arena, struct span body)
{
	struct span type = span_cut(&body, '\n');
	struct body_error error = {0};
	struct body_multipart m;
	size_t bytes, kept = 0, combined = 0;

	if (!body.ptr)
		body = SPAN("");
	if (body_multipart(arena, type, body, type.len % 2, &limits, &m, &error) < 0)
		return;
	check_error(&error);
	/* Names are given to each part's headers too, so only values are parts of the body. */
	bytes = total_bytes(&m.arguments);
	total_bytes(&m.part_headers);
	total_bytes(&m.names);
	total_bytes(&m.filenames);
	assert(m.arguments.count + m.file_count <= limits.max_parts && bytes <= body.len);
	for (size_t i = 0; i < m.file_count; i++) {
		assert(m.files[i].filename.len > 0 && m.files[i].name.len > 0);
		assert(m.files[i].content.len <= m.files[i].size);
		kept += m.files[i].content.len > 0;
		combined += m.files[i].size;
	}
	assert(kept <= limits.max_files && combined == m.files_combined_size);
	assert(combined <= body.len);
	assert(m.flags.unmatched_boundary <= 2 && m.flags.strict_error <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body = span_of(data + 1, size - 1);
	struct arena arena;

	if (size == 0)
		return 0;
	arena_init(&arena, 1 << 20, 4096);
	switch (data[0] % 4) {
	case 0: check_urlencoded(&arena, body); break;
	case 1: check_json(&arena, body); break;
	case 2: check_xml(&arena, body); break;
	default: check_multipart(&arena, body); break;
	}
	arena_release(&arena);
	return 0;
}
