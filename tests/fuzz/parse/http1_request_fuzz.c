/*
 * A request head that is accepted is well-formed by a second look, is found complete, needs each
 * of its bytes and nothing behind them, and written anew parses to the same. What was accepted before
 * on the connection makes no difference.
 */
#include "base/buf.h"
#include "http1_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const struct http1_head *head, struct span consumed)
{
	size_t first = 0;

	assert(http_is_token(head->method_name));
	assert(head->target.len > 0);
	if (head->minor_version == 1)
		assert(count_id(head, HTTP_FIELD_HOST, &first) == 1 && head->authority.len > 0);
	assert(head->framing != HTTP1_UNTIL_CLOSE);
	switch (head->form) {
	case HTTP1_ORIGIN:
		assert(head->target.ptr[0] == '/' && span_within(head->target, consumed));
		break;
	case HTTP1_ABSOLUTE:
		assert(head->target.ptr[0] == '/' && span_within(head->scheme, consumed));
		break;
	case HTTP1_AUTHORITY: assert(head->method == HTTP_METHOD_CONNECT); break;
	case HTTP1_ASTERISK:
		assert(head->method == HTTP_METHOD_OPTIONS && span_eq(head->target, SPAN("*")));
		break;
	}
}

/* The head written anew, in origin form. */
static void check_again(const struct http1_head *head)
{
	struct http_field fields[FUZZ_FIELDS_MAX];
	struct http1_head again = {.fields = fields};
	struct buf text;
	size_t consumed;

	buf_init(&text, 16384);
	buf_append(&text, head->method_name);
	buf_append_byte(&text, ' ');
	buf_append(&text, head->target);
	buf_printf(&text, " HTTP/1.%u\r\n", head->minor_version);
	for (size_t i = 0; i < head->field_count; i++) {
		buf_append(&text, head->fields[i].name);
		buf_append(&text, SPAN(": "));
		buf_append(&text, head->fields[i].value);
		buf_append(&text, SPAN("\r\n"));
	}
	buf_append(&text, SPAN("\r\n"));
	assert(!buf_failed(&text));
	if (text.len <= fuzz_limits.head_bytes) {
		assert(http1_parse_request(&again, buf_span(&text), &fuzz_limits, &consumed) ==
		       HTTP1_DONE);
		assert(consumed == text.len);
		assert(again.field_count == head->field_count);
		assert(again.framing == head->framing);
		assert(again.content_length == head->content_length);
		assert(again.keep_alive == head->keep_alive);
		assert(again.upgrade == head->upgrade);
		assert(memcmp(again.first, head->first, sizeof(head->first)) == 0);
	}
	buf_release(&text);
}

/* With an authority that is known, here one that many inputs of the corpus have, or their own. */
static void check_known(struct span input, enum http1_result expected, struct span authority)
{
	static const struct span others[] = {SPAN_INIT("a"), SPAN_INIT("example.com")};

	for (size_t i = 0; i <= COUNT_OF(others); i++) {
		struct http_field fields[FUZZ_FIELDS_MAX];
		struct http1_head head = {.fields = fields};
		size_t consumed;

		assert(http1_parse_next_request(&head, input, &fuzz_limits,
						i < COUNT_OF(others) ? others[i] : authority,
						&consumed) == expected);
		if (expected == HTTP1_DONE)
			assert(span_eq(head.authority, authority));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_field fields[FUZZ_FIELDS_MAX], other_fields[FUZZ_FIELDS_MAX];
	struct http1_head head = {.fields = fields}, other = {.fields = other_fields};
	struct span input = span_of(data, size);
	size_t consumed, shorter;
	enum http1_result result = http1_parse_request(&head, input, &fuzz_limits, &consumed);

	assert(http1_result_text(result)[0]);
	if (result == HTTP1_MORE)
		assert(size < fuzz_limits.head_bytes);
	check_known(input, result, result == HTTP1_DONE ? head.authority : SPAN_NONE);
	if (result != HTTP1_DONE)
		return 0;
	assert(consumed <= size && consumed <= fuzz_limits.head_bytes);
	check_head(&head, span_of(data, consumed));
	check_request(&head, span_of(data, consumed));
	for (size_t len = consumed > 64 ? consumed - 64 : 0; len < consumed; len++) {
		assert(http1_parse_request(&other, span_of(data, len), &fuzz_limits,
					   &shorter) == HTTP1_MORE);
	}
	assert(http1_parse_request(&other, span_of(data, consumed), &fuzz_limits, &shorter) ==
	       HTTP1_DONE);
	assert(shorter == consumed);
	check_again(&head);
	return 0;
}
