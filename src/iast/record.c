#include "iast/record.h"

#include <stdio.h>

#define MAGIC SPAN("iast1")

static size_t put(char *to, size_t len, struct span text, size_t most)
{
	for (size_t i = 0; i < text.len && i < most && len < IAST_RECORD_BYTES - 1; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		to[len++] = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	to[len++] = '\n';
	return len;
}

size_t iast_record_write(const struct iast_record *r, char to[IAST_RECORD_BYTES])
{
	char numbers[96];
	size_t len = put(to, 0, MAGIC, MAGIC.len);
	int n = snprintf(numbers, sizeof(numbers), "%u %u %u %llu %llu", (unsigned)r->sink,
			 (unsigned)r->taint, (unsigned)r->origin, (unsigned long long)r->shape,
			 (unsigned long long)r->value);

	len = put(to, len, span_of(numbers, (size_t)n), sizeof(numbers));
	len = put(to, len, r->parameter, 128);
	len = put(to, len, r->method, 16);
	len = put(to, len, r->path, 512);
	len = put(to, len, r->program, 128);
	return put(to, len, r->detail, 2048);
}

static bool take_number(struct span *rest, uint64_t most, uint64_t *number)
{
	return rest->ptr && span_to_u64(span_cut(rest, ' '), number) && *number <= most;
}

bool iast_record_read(struct iast_record *r, struct span text)
{
	uint64_t sink, taint, origin;
	struct span numbers;

	if (!span_eq(span_cut(&text, '\n'), MAGIC) || !text.ptr)
		return false;
	numbers = span_cut(&text, '\n');
	if (!take_number(&numbers, IAST_PAGE, &sink) ||
	    !take_number(&numbers, TAINT_BROKEN, &taint) || taint == TAINT_NONE ||
	    !take_number(&numbers, IAST_HEADER, &origin) ||
	    !take_number(&numbers, UINT64_MAX, &r->shape) ||
	    !take_number(&numbers, UINT64_MAX, &r->value) || numbers.ptr)
		return false;
	r->sink = (enum iast_sink)sink;
	r->taint = (enum taint)taint;
	r->origin = (enum iast_origin)origin;
	r->parameter = span_cut(&text, '\n');
	r->method = span_cut(&text, '\n');
	r->path = span_cut(&text, '\n');
	r->program = span_cut(&text, '\n');
	r->detail = span_cut(&text, '\n');
	return text.ptr && text.len == 0 && r->detail.ptr;
}
