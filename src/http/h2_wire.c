#include "http/h2_wire.h"

#include <assert.h>

#include "base/mem.h"
#include "http/block.h"

/* Blocks read in one turn, so that one connection does not hold up the others. */
#define READ_TURNS 4
#define FRAME_HEAD_BYTES 9

/* A block of block_take. Bytes in use are [start, end). */
struct h2_block {
	struct h2_block *next;
	uint32_t start;
	uint32_t end;
	char bytes[];
};

#define BLOCK_ROOM (HTTP_BLOCK_BYTES - sizeof(struct h2_block))

/*
 * --- nghttp2's memory ---
 *
 * Each session's is in a list and freed by that, never by nghttp2_session_del: when an allocation
 * has failed in the middle of something, nghttp2 1.52 frees some objects twice at the end.
 */

struct h2_memory {
	struct list node;
	char bytes[];
};

HOT static void *link_memory(struct h2_memory *memory, struct list *all)
{
	if (!memory)
		return NULL;
	list_push_back(all, &memory->node);
	return memory->bytes;
}

HOT static struct h2_memory *unlink_memory(void *ptr)
{
	struct h2_memory *memory = CONTAINER_OF(ptr, struct h2_memory, bytes);

	list_remove(&memory->node);
	return memory;
}

HOT static void *session_malloc(size_t size, void *all)
{
	return link_memory(mem_alloc(sizeof(struct h2_memory) + size), all);
}

HOT static void session_free(void *ptr, void *all)
{
	(void)all;
	if (ptr)
		mem_free(unlink_memory(ptr));
}

static void *session_calloc(size_t count, size_t size, void *all)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return link_memory(mem_zalloc(1, sizeof(struct h2_memory) + bytes), all);
}

static void *session_realloc(void *ptr, size_t size, void *all)
{
	struct h2_memory *memory, *moved;

	if (!ptr)
		return session_malloc(size, all);
	memory = unlink_memory(ptr);
	moved = mem_realloc(memory, sizeof(*memory) + size);
	if (!moved)
		list_push_back(all, &memory->node);
	return link_memory(moved, all);
}

nghttp2_mem h2_wire_memory(struct h2_wire *wire)
{
	return (nghttp2_mem){
		.mem_user_data = &wire->memory,
		.malloc = session_malloc,
		.free = session_free,
		.calloc = session_calloc,
		.realloc = session_realloc,
	};
}

static void free_session(struct h2_wire *wire)
{
	struct list *node;

	wire->session = NULL;
	while ((node = list_pop_front(&wire->memory)))
		mem_free(list_entry(node, struct h2_memory, node));
}

/* --- blocks --- */

static struct h2_block *block_new(void)
{
	struct h2_block *block = (struct h2_block *)(void *)block_take();

	if (block)
		*block = (struct h2_block){NULL, 0, 0};
	return block;
}

static void free_blocks(struct h2_block *block)
{
	while (block) {
		struct h2_block *next = block->next;

		block_give((char *)block);
		block = next;
	}
}

/* Copies to the end of a queue; false when out of memory, the queue is then short of a part. */
HOT static bool append(struct h2_block **first, struct h2_block **last, const void *bytes,
		       size_t len)
{
	const char *from = bytes;

	while (len) {
		struct h2_block *block = *last;
		size_t part;

		if (!block || block->end == BLOCK_ROOM) {
			block = block_new();
			if (!block)
				return false;
			if (*last)
				(*last)->next = block;
			else
				*first = block;
			*last = block;
		}
		part = BLOCK_ROOM - block->end;
		if (part > len)
			part = len;
		memcpy(block->bytes + block->end, from, part);
		block->end += (uint32_t)part;
		from += part;
		len -= part;
	}
	return true;
}

/* Removes the first block, which is used up. */
HOT static void drop_first(struct h2_block **first, struct h2_block **last)
{
	struct h2_block *block = *first;

	*first = block->next;
	if (!*first)
		*last = NULL;
	block_give((char *)block);
}

/* --- output --- */

HOT static bool put(struct h2_wire *wire, const void *bytes, size_t len)
{
	if (!append(&wire->out_first, &wire->out_last, bytes, len)) {
		h2_wire_break(wire, NGHTTP2_INTERNAL_ERROR);
		return false;
	}
	wire->out_bytes += len;
	return true;
}

void h2_wire_break(struct h2_wire *wire, uint32_t code)
{
	if (wire->broken)
		return;
	wire->broken = true;
	wire->broken_code = code;
	h2_wire_touch(wire);
}

static uint32_t code_of_error(ssize_t error)
{
	switch ((int)error) {
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
	case NGHTTP2_ERR_PROTO: return NGHTTP2_PROTOCOL_ERROR;
	case NGHTTP2_ERR_FLOODED:
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS: return NGHTTP2_ENHANCE_YOUR_CALM;
	default: return NGHTTP2_INTERNAL_ERROR;
	}
}

/* One frame from nghttp2 to the queue (or several of DATA); false when there is none. */
HOT static bool serialise_one(struct h2_wire *wire)
{
	const uint8_t *bytes;
	ssize_t len;

	if (wire->broken)
		return false;
	len = nghttp2_session_mem_send(wire->session, &bytes);
	if (len < 0) {
		h2_wire_break(wire, code_of_error(len));
		return false;
	}
	return len > 0 && put(wire, bytes, (size_t)len);
}

HOT static void serialise(struct h2_wire *wire)
{
	while (wire->out_bytes < H2_OUT_BYTES && serialise_one(wire))
		;
	h2_wire_touch(wire);
}

HOT static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
			    size_t len, nghttp2_data_source *source, void *user_data)
{
	struct h2_wire *wire = user_data;
	struct h2_stream *st = source->ptr;

	(void)session;
	(void)frame;
	if (!put(wire, head, FRAME_HEAD_BYTES) || !put(wire, st->out.ptr, len))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	wire->data_frames_sent++;
	st->out = span_slice(st->out, len, st->out.len);
	if (!st->out.len && st->writer)
		fiber_wake(st->writer);
	return wire->out_bytes < H2_OUT_BYTES ? 0 : NGHTTP2_ERR_PAUSE;
}

HOT static ssize_t on_data_source(nghttp2_session *session, int32_t id, uint8_t *to, size_t max,
				  uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
	struct h2_stream *st = source->ptr;
	size_t len = st->out.len < max ? st->out.len : max;

	(void)to;
	(void)user_data;
	if (!st->out.len && !st->out_end) {
		st->out_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (len < st->out.len || !st->out_end)
		return (ssize_t)len;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (st->trailers) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(session, id, st->trailers, st->trailer_count) < 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return (ssize_t)len;
}

nghttp2_data_provider h2_stream_source(struct h2_stream *st)
{
	return (nghttp2_data_provider){.source.ptr = st, .read_callback = on_data_source};
}

HOT static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame,
			     void *user_data)
{
	struct h2_stream *st;

	(void)user_data;
	if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!st)
		return 0;
	st->head_pushed = true;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		st->end_pushed = true;
		if (st->writer)
			fiber_wake(st->writer);
	}
	return 0;
}

HOT static void write_out(struct h2_wire *wire)
{
	while (wire->out_first) {
		struct h2_block *block = wire->out_first;
		size_t gone = 0;
		enum io_result result =
			stream_try_write(wire->stream, block->bytes + block->start,
					 block->end - block->start, &gone);

		if (result == IO_AGAIN)
			return;
		if (result != IO_OK) {
			wire->peer_gone = true;
			wire->broken = true;
			return;
		}
		wire->progress_ms = loop_now_ms();
		wire->out_bytes -= gone;
		block->start += (uint32_t)gone;
		if (block->start == block->end)
			drop_first(&wire->out_first, &wire->out_last);
	}
}

HOT static void wake_room_waiters(struct h2_wire *wire)
{
	struct list *node;

	while ((node = list_pop_front(&wire->room_waiters))) {
		struct h2_stream *st = list_entry(node, struct h2_stream, room_node);

		if (st->writer)
			fiber_wake(st->writer);
	}
}

HOT bool h2_wire_done(const struct h2_wire *wire)
{
	return !wire->out_first && !nghttp2_session_want_read(wire->session) &&
	       !nghttp2_session_want_write(wire->session);
}

HOT static void flush(struct deferred *deferred)
{
	struct h2_wire *wire = CONTAINER_OF(deferred, struct h2_wire, flush);
	size_t before;

	if (!wire->out_first)
		wire->progress_ms = loop_now_ms();
	do {
		while (wire->out_bytes < H2_OUT_BYTES && serialise_one(wire))
			;
		before = wire->out_bytes;
		write_out(wire);
		/* Where the cap has held frames back, there may be more of them. */
	} while (!wire->broken && !wire->out_first && before >= H2_OUT_BYTES);
	if (wire->broken || wire->out_bytes < H2_OUT_BYTES)
		wake_room_waiters(wire);
	if (wire->broken || h2_wire_done(wire))
		wire->update(wire);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t h2_wire_keep_alive(struct h2_wire *wire, int64_t interval_ms, int64_t timeout_ms)
{
	int64_t now_ms = loop_now_ms();
	int64_t last_ms =
		wire->input_ms > wire->progress_ms ? wire->input_ms : wire->progress_ms;

	if (!interval_ms || wire->broken)
		return FIBER_FOREVER;
	if (wire->out_first)
		return loop_deadline_ms(interval_ms);
	if (wire->ping_ms && wire->input_ms >= wire->ping_ms)
		wire->ping_ms = 0;
	if (wire->ping_ms && now_ms - wire->ping_ms >= timeout_ms) {
		wire->peer_gone = true;
		h2_wire_break(wire, NGHTTP2_NO_ERROR);
		return FIBER_FOREVER;
	}
	if (wire->ping_ms)
		return earlier(wire->ping_ms + timeout_ms, now_ms + interval_ms);
	if (now_ms - last_ms < interval_ms)
		return last_ms + interval_ms;
	wire->ping_ms = now_ms;
	if (nghttp2_submit_ping(wire->session, NGHTTP2_FLAG_NONE, NULL) < 0)
		h2_wire_break(wire, NGHTTP2_INTERNAL_ERROR);
	h2_wire_touch(wire);
	return now_ms + earlier(timeout_ms, interval_ms);
}

void h2_wire_say_goodbye(struct h2_wire *wire, int32_t last_stream_id)
{
	const uint32_t last = (uint32_t)last_stream_id;
	const uint32_t code = wire->broken_code;
	const unsigned char frame[FRAME_HEAD_BYTES + 8] = {
		0,
		0,
		8,
		NGHTTP2_GOAWAY,
		0,
		0,
		0,
		0,
		0,
		(unsigned char)(last >> 24),
		(unsigned char)(last >> 16),
		(unsigned char)(last >> 8),
		(unsigned char)last,
		(unsigned char)(code >> 24),
		(unsigned char)(code >> 16),
		(unsigned char)(code >> 8),
		(unsigned char)code,
	};

	if (!wire->peer_gone && put(wire, frame, sizeof(frame)))
		write_out(wire);
}

/* --- input --- */

HOT void h2_wire_feed(struct h2_wire *wire, const char *bytes, size_t len)
{
	ssize_t used;

	if (wire->broken)
		return;
	wire->input_ms = loop_now_ms();
	used = nghttp2_session_mem_recv(wire->session, (const uint8_t *)bytes, len);
	if (used < 0)
		h2_wire_break(wire, code_of_error(used));
}

HOT void h2_wire_read(struct h2_wire *wire)
{
	char *block = block_take();
	enum io_result result = IO_OK;
	size_t got;

	if (!block) {
		h2_wire_break(wire, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	for (int turn = 0; turn < READ_TURNS && !wire->broken && result == IO_OK; turn++) {
		result = stream_try_read(wire->stream, block, HTTP_BLOCK_BYTES, &got);
		if (result == IO_OK)
			h2_wire_feed(wire, block, got);
		if (result == IO_OK && !stream_maybe_readable(wire->stream))
			result = IO_AGAIN;
	}
	block_give(block);
	if (result == IO_OK)
		loop_defer_next(&wire->again);
	else if (result != IO_AGAIN) {
		wire->peer_gone = true;
		wire->broken = true;
	}
	h2_wire_touch(wire);
}

static void read_again(struct deferred *deferred)
{
	h2_wire_read(CONTAINER_OF(deferred, struct h2_wire, again));
}

HOT void h2_wire_event(struct h2_wire *wire, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h2_wire_read(wire);
	else if (wire->out_first)
		h2_wire_touch(wire);
}

HOT static int on_data(nghttp2_session *session, uint8_t flags, int32_t id,
		       const uint8_t *bytes, size_t len, void *user_data)
{
	struct h2_wire *wire = user_data;
	struct h2_stream *st = nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	if (!st)
		return nghttp2_session_consume(session, id, len) < 0
			       ? NGHTTP2_ERR_CALLBACK_FAILURE
			       : 0;
	if (!append(&st->in_first, &st->in_last, bytes, len)) {
		h2_wire_break(wire, NGHTTP2_INTERNAL_ERROR);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	st->in_bytes += len;
	if (st->reader)
		fiber_wake(st->reader);
	return 0;
}

/* --- the session --- */

HOT static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
			 nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
			 void *user_data)
{
	struct h2_wire *wire = user_data;

	(void)session;
	(void)frame;
	(void)flags;
	if (wire->head_of)
		h2_head_add(&wire->head, name, value);
	return 0;
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
			     nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
			     void *user_data)
{
	struct h2_wire *wire = user_data;

	(void)session;
	(void)frame;
	(void)name;
	(void)value;
	(void)flags;
	if (wire->head_of)
		h2_head_add_invalid(&wire->head);
	return 0;
}

nghttp2_session_callbacks *h2_wire_callbacks_new(void)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&callbacks) < 0)
		return NULL;
	nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	return callbacks;
}

nghttp2_option *h2_wire_option_new(void)
{
	nghttp2_option *option;

	if (nghttp2_option_new(&option) < 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_outbound_ack(option, 256);
	nghttp2_option_set_max_settings(option, 32);
	return option;
}

void h2_wire_init(struct h2_wire *wire, struct stream *stream,
		  void (*update)(struct h2_wire *wire))
{
	*wire = (struct h2_wire){.stream = stream, .update = update};
	deferred_init(&wire->flush, flush);
	deferred_init(&wire->again, read_again);
	list_init(&wire->memory);
	list_init(&wire->room_waiters);
	wire->progress_ms = loop_now_ms();
	wire->input_ms = loop_now_ms();
}

void h2_wire_release(struct h2_wire *wire)
{
	loop_undefer(&wire->flush);
	loop_undefer(&wire->again);
	h2_head_release(&wire->head); /* it holds the session's memory */
	wire->head_of = NULL;
	free_session(wire);
	wire->broken = true;
	free_blocks(wire->out_first);
	wire->out_first = wire->out_last = NULL;
	wire->out_bytes = 0;
}

/* --- streams --- */

HOT void h2_stream_init(struct h2_stream *st, struct h2_wire *wire, int32_t id)
{
	*st = (struct h2_stream){.wire = wire, .id = id};
	list_init(&st->room_node);
}

/* Opens the windows by what will not be looked at again. */
HOT static void consume(struct h2_stream *st, size_t len)
{
	struct h2_wire *wire = st->wire;
	int error;

	st->in_bytes -= len;
	if (!wire->session || !len)
		return;
	error = st->closed ? nghttp2_session_consume_connection(wire->session, len)
			   : nghttp2_session_consume(wire->session, st->id, len);
	if (error < 0)
		h2_wire_break(wire, NGHTTP2_INTERNAL_ERROR);
	else if (nghttp2_session_want_write(wire->session))
		h2_wire_touch(wire);
}

HOT void h2_stream_release(struct h2_stream *st)
{
	consume(st, st->in_bytes);
	free_blocks(st->in_first);
	st->in_first = st->in_last = NULL;
	list_remove(&st->room_node);
}

HOT void h2_stream_close(struct h2_stream *st, uint32_t error_code)
{
	if (st->closed)
		return;
	st->closed = true;
	st->error_code = error_code;
	if (st->reader)
		fiber_wake(st->reader);
	if (st->writer)
		fiber_wake(st->writer);
}

void h2_stream_reset(struct h2_stream *st, uint32_t code)
{
	struct h2_wire *wire = st->wire;

	if (st->closed || wire->broken)
		return;
	if (nghttp2_submit_rst_stream(wire->session, NGHTTP2_FLAG_NONE, st->id, code) < 0)
		h2_wire_break(wire, NGHTTP2_INTERNAL_ERROR);
	h2_wire_touch(wire);
}

enum io_result h2_stream_park(struct fiber **waiter, int64_t deadline_ms)
{
	enum fiber_wake wake;

	assert(!*waiter);
	*waiter = fiber_self();
	wake = fiber_park(deadline_ms);
	*waiter = NULL;
	switch (wake) {
	case FIBER_EVENT: return IO_OK;
	case FIBER_TIMEOUT: return IO_TIMEOUT;
	case FIBER_CANCELLED: return IO_CANCELLED;
	}
	return IO_FAILED;
}

static bool is_gone(const struct h2_stream *st)
{
	return st->closed || st->wire->broken;
}

HOT enum io_result h2_stream_wait_room(struct h2_stream *st, int64_t deadline_ms)
{
	struct h2_wire *wire = st->wire;
	enum io_result result = IO_OK;

	while (result == IO_OK && !is_gone(st) && wire->out_bytes >= H2_OUT_BYTES) {
		list_push_back(&wire->room_waiters, &st->room_node);
		result = h2_stream_park(&st->writer, deadline_ms);
		list_remove(&st->room_node);
	}
	return result == IO_OK && is_gone(st) ? IO_CLOSED : result;
}

HOT enum io_result h2_stream_push_head(struct h2_stream *st)
{
	st->head_pushed = false;
	while (!st->head_pushed && serialise_one(st->wire))
		;
	h2_wire_touch(st->wire);
	return st->head_pushed && !st->wire->broken ? IO_OK : IO_CLOSED;
}

static bool is_sent(const struct h2_stream *st)
{
	return !st->out.len && (!st->out_end || st->end_pushed);
}

HOT static enum io_result send_out(struct h2_stream *st, int64_t deadline_ms)
{
	struct h2_wire *wire = st->wire;
	enum io_result result = h2_stream_wait_room(st, deadline_ms);

	if (result == IO_OK && st->out_deferred) {
		st->out_deferred = false;
		if (nghttp2_session_resume_data(wire->session, st->id) < 0)
			result = IO_CLOSED;
	}
	if (result == IO_OK)
		serialise(wire);
	while (result == IO_OK && !is_sent(st)) {
		if (is_gone(st))
			result = IO_CLOSED;
		else
			result = h2_stream_park(&st->writer, deadline_ms);
	}
	/* The piece is the caller's again. */
	st->out = SPAN_NONE;
	st->out_end = false;
	st->trailers = NULL;
	return result;
}

HOT enum io_result h2_stream_send(struct h2_stream *st, struct span piece, bool end,
				  int64_t deadline_ms)
{
	if (!piece.len && !end)
		return is_gone(st) ? IO_CLOSED : IO_OK;
	st->out = piece;
	st->out_end = end;
	return send_out(st, deadline_ms);
}

enum io_result h2_stream_send_trailers(struct h2_stream *st, const nghttp2_nv *trailers,
				       size_t count, int64_t deadline_ms)
{
	st->out_end = true;
	st->trailers = count ? trailers : NULL;
	st->trailer_count = count;
	return send_out(st, deadline_ms);
}

/* Leaves behind what the last read has handed out: always the start of the first block. */
static void advance(struct h2_stream *st)
{
	size_t given = st->in_given_bytes;

	if (!given)
		return;
	st->in_given_bytes = 0;
	st->in_first->start += (uint32_t)given;
	if (st->in_first->start == st->in_first->end)
		drop_first(&st->in_first, &st->in_last);
	consume(st, given);
}

enum io_result h2_stream_read(struct h2_stream *st, struct span *piece, int64_t deadline_ms)
{
	advance(st);
	while (!st->in_first) {
		enum io_result result;

		if (st->remote_ended)
			return IO_EOF;
		if (is_gone(st))
			return IO_CLOSED;
		result = h2_stream_park(&st->reader, deadline_ms);
		if (result != IO_OK)
			return result;
	}
	*piece = span_of(st->in_first->bytes + st->in_first->start,
			 st->in_first->end - st->in_first->start);
	st->in_given_bytes = piece->len;
	return IO_OK;
}
