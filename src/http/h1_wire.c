#include "http/h1_wire.h"

#include "base/buf.h"
#include "base/mem.h"
#include "http/block.h"

/* Behind a head with less room than this, the body gets a block of its own. */
#define BODY_ROOM_MIN 4096
/* Pieces up to this size are copied next to the head, so that both leave in one write. */
#define GATHER_MAX (HTTP_BLOCK_BYTES / 2)
/* "ffffffffffffffff\r\n" and "\r\n0\r\n\r\n" */
#define CHUNK_OVERHEAD 32

HOT static void free_buffer(char *ptr, size_t cap)
{
	if (cap == HTTP_BLOCK_BYTES)
		block_give(ptr);
	else
		mem_free(ptr);
}

HOT bool h1_input_ready(struct h1_input *in)
{
	if (in->ptr)
		return true;
	in->ptr = block_take();
	if (!in->ptr)
		return false;
	in->cap = HTTP_BLOCK_BYTES;
	in->start = in->end = in->base = 0;
	return true;
}

HOT void h1_input_release(struct h1_input *in)
{
	if (in->ptr)
		free_buffer(in->ptr, in->cap);
	block_give(in->body_block);
	in->ptr = NULL;
	in->body_block = NULL;
	in->cap = in->start = in->end = in->base = 0;
}

/* Makes the buffer larger and moves the unread bytes to its front. */
static bool grow_input(struct h1_input *in, size_t max_bytes)
{
	size_t cap = max_bytes > HTTP_BLOCK_BYTES ? max_bytes : HTTP_BLOCK_BYTES + 1;
	char *grown;

	if (in->cap >= cap)
		return false;
	grown = mem_alloc(cap);
	if (!grown)
		return false;
	memcpy(grown, in->ptr + in->start, in->end - in->start);
	free_buffer(in->ptr, in->cap);
	in->end -= in->start;
	in->start = in->base = 0;
	in->ptr = grown;
	in->cap = cap;
	return true;
}

/* The buffer is full behind the unread bytes. */
static NOINLINE bool make_input_room(struct h1_input *in, size_t max_bytes)
{
	if (in->start == in->base)
		return in->base == 0 && grow_input(in, max_bytes);
	memmove(in->ptr + in->base, in->ptr + in->start, in->end - in->start);
	in->end -= in->start - in->base;
	in->start = in->base;
	return true;
}

HOT enum io_result h1_input_fill(struct h1_input *in, struct stream *stream, size_t max_bytes,
				 int64_t deadline_ms)
{
	enum io_result result;
	size_t got;

	if (UNLIKELY(in->end == in->cap) && !make_input_room(in, max_bytes))
		return IO_FAILED;
	result = stream_read(stream, in->ptr + in->end, in->cap - in->end, &got, deadline_ms);
	if (result == IO_OK)
		in->end += got;
	return result;
}

HOT void h1_input_begin_body(struct h1_input *in, size_t head_bytes,
			     const struct http1_head *head)
{
	in->start += head_bytes;
	in->base = in->start;
	in->framing = head->framing;
	in->left = head->framing == HTTP1_LENGTH ? head->content_length : 0;
	in->chunked = (struct http1_chunked){0};
	in->in_trailers = false;
	in->trailers_resume = 0;
	in->trailer_count = 0;
	in->trailers = NULL;
	in->ended = head->framing == HTTP1_NO_BODY ||
		    (head->framing == HTTP1_LENGTH && head->content_length == 0);
}

HOT void h1_input_next_message(struct h1_input *in)
{
	if (in->body_block) {
		free_buffer(in->ptr, in->cap);
		in->ptr = in->body_block;
		in->cap = HTTP_BLOCK_BYTES;
		in->body_block = NULL;
	}
	in->base = 0;
	in->framing = HTTP1_NO_BODY;
	in->ended = true;
	if (in->start == in->end)
		in->start = in->end = 0;
}

/* Room for the body; fields of the head keep pointing into the old buffer, which stays. */
static bool make_body_room(struct h1_input *in, char **region, size_t *region_cap)
{
	if (!in->body_block && in->cap - in->base < BODY_ROOM_MIN &&
	    in->end - in->start < HTTP_BLOCK_BYTES) {
		in->body_block = block_take();
		if (!in->body_block)
			return false;
		memcpy(in->body_block, in->ptr + in->start, in->end - in->start);
		in->end -= in->start;
		in->start = 0;
	}
	*region = in->body_block ? in->body_block : in->ptr;
	*region_cap = in->body_block ? HTTP_BLOCK_BYTES : in->cap;
	return true;
}

/* Reads more of the body behind the unread bytes, which are moved to the front of the region. */
static enum io_result fill_body(struct h1_input *in, struct stream *stream, int64_t deadline_ms)
{
	enum io_result result;
	size_t got, front, cap;
	char *region;

	if (!make_body_room(in, &region, &cap))
		return IO_FAILED;
	front = in->body_block ? 0 : in->base;
	if (in->start > front) {
		memmove(region + front, region + in->start, in->end - in->start);
		in->end -= in->start - front;
		in->start = front;
	}
	if (in->end == cap)
		return IO_FAILED;
	result = stream_read(stream, region + in->end, cap - in->end, &got, deadline_ms);
	if (result == IO_OK)
		in->end += got;
	return result;
}

static struct span unread_body(const struct h1_input *in)
{
	const char *region = in->body_block ? in->body_block : in->ptr;

	return span_of(region + in->start, in->end - in->start);
}

/* IO_AGAIN: more bytes are needed. */
HOT static enum io_result take_length(struct h1_input *in, struct span *piece)
{
	struct span unread = unread_body(in);

	if (in->framing == HTTP1_LENGTH && unread.len > in->left)
		unread.len = (size_t)in->left;
	if (unread.len == 0)
		return IO_AGAIN;
	*piece = unread;
	in->start += unread.len;
	in->left -= in->framing == HTTP1_LENGTH ? unread.len : 0;
	in->ended = in->framing == HTTP1_LENGTH && in->left == 0;
	return IO_OK;
}

static enum io_result copy_trailers(struct h1_input *in, struct arena *arena,
				    const struct http_field *fields, size_t count)
{
	in->trailers = arena_array(arena, struct http_field, count);
	if (!in->trailers)
		return IO_FAILED;
	for (size_t i = 0; i < count; i++) {
		in->trailers[i].id = fields[i].id;
		in->trailers[i].name = arena_dup(arena, fields[i].name);
		in->trailers[i].value = arena_dup(arena, fields[i].value);
		if (!in->trailers[i].name.ptr || !in->trailers[i].value.ptr)
			return IO_FAILED;
	}
	in->trailer_count = count;
	return IO_OK;
}

static enum io_result take_trailers(struct h1_input *in, const struct http1_limits *limits,
				    struct arena *arena)
{
	struct span unread = unread_body(in);
	struct http_field *fields;
	size_t count = 0, consumed;
	enum http1_result parsed;
	enum io_result result = IO_OK;

	if (unread.len >= 2 && memcmp(unread.ptr, "\r\n", 2) == 0) {
		in->start += 2;
		in->ended = true;
		return IO_EOF;
	}
	/* Trailers that arrive in pieces are parsed once, when they are all there. */
	if (!http1_head_complete(unread, &in->trailers_resume) &&
	    unread.len <= limits->head_bytes)
		return IO_AGAIN;
	fields = arena_alloc(arena, limits->field_count * sizeof(*fields));
	if (!fields)
		return IO_FAILED;
	parsed = http1_parse_trailers(fields, &count, unread, limits, &consumed);
	if (parsed != HTTP1_DONE)
		return IO_FAILED;
	if (count)
		result = copy_trailers(in, arena, fields, count);
	in->start += consumed;
	in->ended = true;
	return result == IO_OK ? IO_EOF : result;
}

HOT static enum io_result take_chunked(struct h1_input *in, const struct http1_limits *limits,
				       struct arena *arena, struct span *piece)
{
	while (!in->in_trailers) {
		struct span unread = unread_body(in);
		enum http1_result parsed;
		size_t consumed = 0;

		if (unread.len == 0)
			return IO_AGAIN;
		parsed = http1_chunked_next(&in->chunked, unread, &consumed, piece);
		in->start += consumed;
		if (parsed != HTTP1_MORE && parsed != HTTP1_DONE)
			return IO_FAILED;
		in->in_trailers = parsed == HTTP1_DONE;
		if (piece->len)
			return IO_OK;
		if (consumed == 0 && !in->in_trailers)
			return IO_AGAIN;
	}
	return take_trailers(in, limits, arena);
}

HOT enum io_result h1_input_body(struct h1_input *in, struct stream *stream,
				 const struct http1_limits *limits, struct arena *arena,
				 struct span *piece, int64_t deadline_ms)
{
	for (;;) {
		enum io_result result;

		*piece = SPAN_NONE;
		if (in->ended)
			return IO_EOF;
		result = in->framing == HTTP1_CHUNKED ? take_chunked(in, limits, arena, piece)
						      : take_length(in, piece);
		if (result != IO_AGAIN)
			return result;
		result = fill_body(in, stream, deadline_ms);
		if (result == IO_EOF && in->framing == HTTP1_UNTIL_CLOSE) {
			in->ended = true;
			return IO_EOF;
		}
		if (result != IO_OK)
			return result == IO_EOF ? IO_CLOSED : result;
	}
}

enum io_result h1_input_raw(struct h1_input *in, struct stream *stream, struct span *piece,
			    int64_t deadline_ms)
{
	enum io_result result;

	*piece = unread_body(in);
	if (piece->len == 0) {
		result = fill_body(in, stream, deadline_ms);
		if (result != IO_OK)
			return result;
		*piece = unread_body(in);
	}
	in->start += piece->len;
	return IO_OK;
}

/* What is unread may be framing alone, such as the end of the last chunk. */
static bool has_more_chunks(const struct h1_input *in)
{
	struct http1_chunked ahead = in->chunked;
	struct span unread = unread_body(in);
	struct span data;
	size_t consumed;

	if (http1_chunked_next(&ahead, unread, &consumed, &data) == HTTP1_DONE)
		return span_starts_with(span_slice(unread, consumed, unread.len), SPAN("\r\n"));
	return data.len > 0;
}

HOT bool h1_input_has_more(const struct h1_input *in)
{
	if (in->ended || in->start == in->end)
		return in->ended;
	return in->framing != HTTP1_CHUNKED || has_more_chunks(in);
}

HOT void h1_output_release(struct h1_output *out)
{
	if (out->ptr)
		free_buffer(out->ptr, out->cap);
	out->ptr = NULL;
	out->len = out->cap = 0;
}

HOT void h1_output_idle(struct h1_output *out)
{
	if (out->len == 0)
		h1_output_release(out);
}

static NOINLINE char *grow_output(struct h1_output *out, size_t more)
{
	size_t cap = out->len + more + HTTP_BLOCK_BYTES;
	char *grown = mem_alloc(cap);

	if (!grown)
		return NULL;
	if (out->ptr) {
		memcpy(grown, out->ptr, out->len);
		free_buffer(out->ptr, out->cap);
	}
	out->ptr = grown;
	out->cap = cap;
	return out->ptr + out->len;
}

HOT char *h1_output_grow(struct h1_output *out, size_t more)
{
	if (out->ptr || UNLIKELY(more > HTTP_BLOCK_BYTES))
		return grow_output(out, more);
	out->ptr = block_take();
	if (!out->ptr)
		return NULL;
	out->cap = HTTP_BLOCK_BYTES;
	return out->ptr;
}

HOT char *h1_put_u64(char *to, uint64_t value)
{
	char digits[BUF_U64_DIGITS];

	return h1_put(to, buf_u64_digits(digits, value));
}

static char *put_chunk_size(char *to, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	char digits[18];
	size_t at = sizeof(digits) - 2;

	memcpy(digits + at, "\r\n", 2);
	do {
		digits[--at] = hex[size & 15];
		size >>= 4;
	} while (size);
	return h1_put(to, span_of(digits + at, sizeof(digits) - at));
}

/* The last chunk and an empty trailer section, or the check that the promised length was sent. */
static enum io_result put_body_end(struct h1_output *out)
{
	char *to;

	if (!out->chunked)
		return out->length_known && out->left ? IO_FAILED : IO_OK;
	to = h1_output_room(out, 5);
	if (!to)
		return IO_FAILED;
	memcpy(to, "0\r\n\r\n", 5);
	out->len += 5;
	return IO_OK;
}

HOT static enum io_result put_small(struct h1_output *out, struct span piece)
{
	char *to = h1_output_room(out, piece.len + CHUNK_OVERHEAD);
	char *from = to;

	if (!to)
		return IO_FAILED;
	if (out->chunked)
		to = put_chunk_size(to, piece.len);
	to = h1_put(to, piece);
	if (out->chunked)
		to = h1_put(to, SPAN("\r\n"));
	out->len += (size_t)(to - from);
	return IO_OK;
}

static enum io_result write_large(struct h1_output *out, struct stream *stream,
				  struct span piece, int64_t deadline_ms)
{
	struct iovec iov[3];
	int count = 0;
	char *to = h1_output_room(out, CHUNK_OVERHEAD);

	if (!to)
		return IO_FAILED;
	if (out->chunked)
		out->len += (size_t)(put_chunk_size(to, piece.len) - to);
	if (out->len)
		iov[count++] = (struct iovec){out->ptr, out->len};
	iov[count++] = (struct iovec){(void *)(uintptr_t)piece.ptr, piece.len};
	if (out->chunked)
		iov[count++] = (struct iovec){(void *)(uintptr_t) "\r\n", 2};
	out->len = 0;
	return stream_writev(stream, iov, count, deadline_ms);
}

HOT enum io_result h1_output_body(struct h1_output *out, struct stream *stream,
				  struct span piece, int flags, int64_t deadline_ms)
{
	enum io_result result = IO_OK;

	if (piece.len) {
		if (out->length_known && piece.len > out->left)
			return IO_FAILED;
		out->left -= out->length_known ? piece.len : 0;
		result = piece.len <= GATHER_MAX ? put_small(out, piece)
						 : write_large(out, stream, piece, deadline_ms);
	}
	if (result == IO_OK && flags & HTTP_SEND_END)
		result = put_body_end(out);
	if (result != IO_OK)
		return result;
	if (flags & HTTP_SEND_MORE && out->len < HTTP_BLOCK_BYTES - GATHER_MAX)
		return IO_OK;
	return h1_output_flush(out, stream, deadline_ms);
}

enum io_result h1_output_trailers(struct h1_output *out, struct stream *stream,
				  const struct http_field *fields, size_t count,
				  int64_t deadline_ms)
{
	size_t need = h1_fields_bytes(fields, count) + CHUNK_OVERHEAD;
	char *to, *from;

	if (!out->chunked)
		return h1_output_body(out, stream, SPAN_NONE, HTTP_SEND_END, deadline_ms);
	from = to = h1_output_room(out, need);
	if (!to)
		return IO_FAILED;
	to = h1_put(to, SPAN("0\r\n"));
	to = h1_put_fields(to, fields, count);
	to = h1_put(to, SPAN("\r\n"));
	out->len += (size_t)(to - from);
	return h1_output_flush(out, stream, deadline_ms);
}

HOT size_t h1_fields_bytes(const struct http_field *fields, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += fields[i].name.len + fields[i].value.len + 4;
	return bytes;
}

/* Name and value stand as in a message: "name: value" in one piece. */
static inline bool is_line(const struct http_field *field)
{
	const char *end = field->name.ptr + field->name.len;

	return field->value.ptr == end + 2 && end[0] == ':' && end[1] == ' ';
}

/* The next field stands right behind this one, as in a message. What is between them is looked at. */
static inline bool is_followed(const struct http_field *field)
{
	const char *end = field->value.ptr + field->value.len;

	return field[1].name.ptr == end + 2 && end[0] == '\r' && end[1] == '\n';
}

/* Lines of a message that stayed together, as most do that are passed on, are copied together. */
HOT char *h1_put_fields(char *to, const struct http_field *fields, size_t count)
{
	for (const struct http_field *f = fields; f != fields + count; f++) {
		if (is_line(f)) {
			const char *from = f->name.ptr;

			while (f + 1 != fields + count && is_followed(f) && is_line(f + 1))
				f++;
			to = h1_put_inline(to, span_of(from, (size_t)(f->value.ptr +
								      f->value.len - from)));
		} else {
			to = h1_put_inline(to, f->name);
			*to++ = ':';
			*to++ = ' ';
			to = h1_put_inline(to, f->value);
		}
		*to++ = '\r';
		*to++ = '\n';
	}
	return to;
}
