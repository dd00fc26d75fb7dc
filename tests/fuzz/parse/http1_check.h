/* http1_check.h - what holds for every head that the parser accepts. */
#ifndef FUZZ_HTTP1_CHECK_H
#define FUZZ_HTTP1_CHECK_H

#include <assert.h>

#include "base/span.h"
#include "parse/http1.h"

#define FUZZ_FIELDS_MAX 32

static const struct http1_limits fuzz_limits = {
	.line_bytes = 512, .head_bytes = 4096, .field_count = FUZZ_FIELDS_MAX};

static inline bool span_within(struct span inner, struct span outer)
{
	return inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len;
}

/* Fields lie within the head, are what the grammar says, and are indexed rightly. */
static inline void check_fields(const struct http_field *fields, size_t count, struct span head)
{
	assert(count <= FUZZ_FIELDS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct span name = fields[i].name, value = fields[i].value;

		assert(span_within(name, head) && span_within(value, head));
		assert(http_is_token(name) && http_is_field_value(value));
		assert(name.ptr + name.len < value.ptr && name.ptr[name.len] == ':');
		assert(span_eq(span_trim(value), value));
		assert(fields[i].id == http_field_lookup(name));
	}
}

static inline size_t count_id(const struct http1_head *head, enum http_field_id id,
			      size_t *first)
{
	size_t count = 0;

	for (size_t i = head->field_count; i-- > 0;) {
		if (head->fields[i].id == id) {
			*first = i + 1;
			count++;
		}
	}
	return count;
}

/* No CR or LF but as CRLF, no NUL, and the empty line only at the end. */
static inline void check_lines(struct span head)
{
	assert(head.len >= 4 && memcmp(head.ptr + head.len - 4, "\r\n\r\n", 4) == 0);
	for (size_t i = 0; i < head.len; i++) {
		assert(head.ptr[i] != '\0');
		assert((head.ptr[i] == '\n') == (i > 0 && head.ptr[i - 1] == '\r'));
	}
	assert(span_find(head, SPAN("\r\n\r\n")) == head.len - 4);
}

/* `consumed` is the accepted head. */
static inline void check_head(const struct http1_head *head, struct span consumed)
{
	size_t resume = 0;

	check_lines(consumed);
	check_fields(head->fields, head->field_count, consumed);
	for (enum http_field_id id = HTTP_FIELD_OTHER + 1; id < HTTP_FIELD_COUNT; id++) {
		size_t first = 0;

		count_id(head, id, &first);
		assert(head->first[id] == first);
	}
	assert(!head->first[HTTP_FIELD_CONTENT_LENGTH] ||
	       !head->first[HTTP_FIELD_TRANSFER_ENCODING]);
	assert(head->minor_version <= 1);
	assert(head->framing != HTTP1_CHUNKED || head->minor_version == 1);
	assert(http1_head_complete(consumed, &resume));
}

#endif
