/*
 * A response head that is accepted is well-formed by a second look and has the body that RFC 9112
 * section 6.3 gives it. The first byte says what was asked.
 */
#include "http1_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(const struct http1_head *head, bool to_head, bool to_connect)
{
	bool framed = head->first[HTTP_FIELD_CONTENT_LENGTH] ||
		      head->first[HTTP_FIELD_TRANSFER_ENCODING];
	bool none = to_head || head->status < 200 || head->status == 204 ||
		    head->status == 304 || (to_connect && head->status < 300);

	assert(head->status >= 100 && head->status <= 599);
	assert(http_is_field_value(head->reason));
	assert((head->framing == HTTP1_NO_BODY) == none);
	assert((head->framing == HTTP1_UNTIL_CLOSE) == (!none && !framed));
	assert(head->framing != HTTP1_UNTIL_CLOSE || !head->keep_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_field fields[FUZZ_FIELDS_MAX], other_fields[FUZZ_FIELDS_MAX];
	struct http1_head head = {.fields = fields}, other = {.fields = other_fields};
	bool to_head, to_connect;
	size_t consumed, shorter;
	enum http1_result result;
	struct span input;

	if (size == 0)
		return 0;
	to_head = data[0] & 1;
	to_connect = data[0] & 2;
	input = span_of(data + 1, size - 1);
	result = http1_parse_response(&head, input, &fuzz_limits, to_head, to_connect,
				      &consumed);
	if (result != HTTP1_DONE)
		return 0;
	assert(consumed <= input.len && consumed <= fuzz_limits.head_bytes);
	check_head(&head, span_of(input.ptr, consumed));
	check_body(&head, to_head, to_connect);
	for (size_t len = consumed > 64 ? consumed - 64 : 0; len < consumed; len++) {
		assert(http1_parse_response(&other, span_of(input.ptr, len), &fuzz_limits,
					    to_head, to_connect, &shorter) == HTTP1_MORE);
	}
	return 0;
}
