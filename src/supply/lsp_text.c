#include "supply/lsp_text.h"

#define HEAD_BYTES_MAX 4096

/* Of one field: true when it says the length. False in *good for a length that is none. */
static bool read_field(struct span line, uint64_t *length, bool *good)
{
	size_t colon = span_find_byte(line, ':');

	if (!span_eq_nocase(span_trim(span_slice(line, 0, colon)), SPAN("content-length")))
		return false;
	*good = span_to_u64(span_trim(span_slice(line, colon + 1, line.len)), length);
	return true;
}

enum lsp_frame lsp_frame(struct span bytes, size_t max_bytes, struct span *content,
			 size_t *taken)
{
	size_t end = span_find(span_slice(bytes, 0, HEAD_BYTES_MAX), SPAN("\r\n\r\n"));
	struct span head = span_slice(bytes, 0, end);
	uint64_t length = 0;
	bool known = false;

	if (end == (bytes.len < HEAD_BYTES_MAX ? bytes.len : HEAD_BYTES_MAX))
		return bytes.len < HEAD_BYTES_MAX ? LSP_FRAME_MORE : LSP_FRAME_BAD;
	while (head.ptr) {
		bool good = true;

		if (read_field(span_trim(span_cut(&head, '\n')), &length, &good)) {
			if (!good || known)
				return LSP_FRAME_BAD;
			known = true;
		}
	}
	if (!known)
		return LSP_FRAME_BAD;
	if (length > max_bytes)
		return LSP_FRAME_LARGE;
	if (bytes.len - end - 4 < length)
		return LSP_FRAME_MORE;
	*content = span_slice(bytes, end + 4, end + 4 + (size_t)length);
	*taken = end + 4 + (size_t)length;
	return LSP_FRAME_MESSAGE;
}

/* --- Places. Lines end with LF, CRLF or CR. */

static size_t line_length(struct span rest)
{
	size_t n = 0;

	while (n < rest.len && rest.ptr[n] != '\n' && rest.ptr[n] != '\r')
		n++;
	return n;
}

static size_t end_length(struct span rest)
{
	if (rest.len == 0)
		return 0;
	return rest.ptr[0] == '\r' && rest.len > 1 && rest.ptr[1] == '\n' ? 2 : 1;
}

static bool find_line(struct span text, uint32_t line, size_t *start, size_t *length)
{
	size_t at = 0;

	for (;;) {
		struct span rest = span_slice(text, at, text.len);
		size_t n = line_length(rest);

		if (line == 0) {
			*start = at;
			*length = n;
			return true;
		}
		if (n == rest.len)
			return false;
		at += n + end_length(span_slice(rest, n, rest.len));
		line--;
	}
}

/* Bytes of the character that begins here, and how many UTF-16 units it is. */
static size_t character(struct span rest, uint32_t *units)
{
	unsigned char c = (unsigned char)rest.ptr[0];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

	*units = n == 4 ? 2 : 1;
	return n < rest.len ? n : rest.len;
}

size_t lsp_offset(struct span text, struct lsp_position at, bool utf8)
{
	size_t start, length, n = 0;
	uint32_t units = 0, one;

	if (!find_line(text, at.line, &start, &length))
		return text.len;
	if (utf8)
		return start + (at.character < length ? at.character : length);
	while (n < length && units < at.character) {
		n += character(span_slice(text, start + n, start + length), &one);
		units += one;
	}
	return start + n;
}

/* How far an offset is from the beginning of its line. */
static uint32_t units_between(struct span text, size_t start, size_t offset, bool utf8)
{
	uint32_t count = 0;

	if (utf8)
		return (uint32_t)(offset - start);
	while (start < offset) {
		uint32_t units;

		start += character(span_slice(text, start, offset), &units);
		count += units;
	}
	return count;
}

struct lsp_position lsp_position(struct span text, size_t offset, bool utf8)
{
	struct lsp_position at = {0, 0};
	size_t start = 0;

	if (offset > text.len)
		offset = text.len;
	for (;;) {
		struct span rest = span_slice(text, start, text.len);
		size_t n = line_length(rest);
		size_t next = start + n + end_length(span_slice(rest, n, rest.len));

		if (n == rest.len || offset < next)
			break;
		start = next;
		at.line++;
	}
	at.character = units_between(text, start, offset, utf8);
	return at;
}

bool lsp_lines_make(struct lsp_lines *lines, struct arena *a, struct span text)
{
	size_t count = 1, at = 0;

	*lines = (struct lsp_lines){NULL, 0};
	if (text.len >= UINT32_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		count += text.ptr[i] == '\n' || text.ptr[i] == '\r';
	lines->at = arena_alloc(a, count * sizeof(*lines->at));
	if (!lines->at)
		return false;
	for (;;) {
		struct span rest = span_slice(text, at, text.len);
		size_t n = line_length(rest);

		lines->at[lines->count++] = (uint32_t)at;
		if (n == rest.len)
			return true;
		at += n + end_length(span_slice(rest, n, rest.len));
	}
}

bool lsp_lines_get(const struct lsp_lines *lines, struct span text, uint32_t line,
		   size_t *start, size_t *length)
{
	if (line >= lines->count)
		return false;
	*start = lines->at[line];
	*length = line_length(span_slice(text, *start, text.len));
	return true;
}

struct lsp_position lsp_lines_position(const struct lsp_lines *lines, struct span text,
				       size_t offset, bool utf8)
{
	uint32_t low = 0, high = lines->count;

	if (offset > text.len)
		offset = text.len;
	if (high == 0)
		return (struct lsp_position){0, 0};
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (lines->at[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return (struct lsp_position){low, units_between(text, lines->at[low], offset, utf8)};
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool lsp_uri_path(struct span uri, struct buf *to)
{
	struct span rest = span_slice(uri, 7, uri.len);

	buf_clear(to);
	if (!span_starts_with(uri, SPAN("file://")))
		return false;
	/* A host: nobody's editor has one but "localhost". */
	rest = span_slice(rest, span_find_byte(rest, '/'), rest.len);
	while (rest.len) {
		int high = -1, low = -1;

		if (rest.ptr[0] == '%' && rest.len > 2) {
			high = hex_digit(rest.ptr[1]);
			low = hex_digit(rest.ptr[2]);
		}
		if (high >= 0 && low >= 0) {
			buf_append_byte(to, (char)(high * 16 + low));
			rest = span_slice(rest, 3, rest.len);
		} else {
			buf_append_byte(to, rest.ptr[0]);
			rest = span_slice(rest, 1, rest.len);
		}
	}
	return !buf_failed(to) && to->len > 0;
}
