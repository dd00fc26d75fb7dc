#include "gateway/spool.h"

#include "base/secret.h"
#include "gateway/validate.h"

/* The buffer of a body without a length starts with this. */
#define FIRST_BYTES ((size_t)16 * 1024)

bool spool_count(struct exchange *e, uint64_t bytes)
{
	_Atomic uint64_t *held = &e->worker->shared->spooled_bytes;
	uint64_t most = e->snapshot->config->limits.body_buffers_bytes;
	uint64_t more = bytes - e->spool.counted_bytes;

	if (bytes <= e->spool.counted_bytes)
		return true;
	if (atomic_fetch_add_explicit(held, more, memory_order_relaxed) + more > most) {
		atomic_fetch_sub_explicit(held, more, memory_order_relaxed);
		return false;
	}
	e->spool.counted_bytes = bytes;
	return true;
}

/* Room in the spool's own buffer for `piece`, and for what is known to follow. */
static bool make_room(struct exchange *e, size_t piece_bytes, uint64_t max_bytes)
{
	const struct http1_head *request = &e->x->request;
	struct buf *owned = &e->spool.owned;
	size_t need = owned->len + piece_bytes;
	size_t cap = owned->cap ? owned->cap : FIRST_BYTES;

	if (need <= owned->cap)
		return true;
	while (cap < need)
		cap *= 2;
	if (request->framing == HTTP1_LENGTH && request->content_length <= max_bytes &&
	    request->content_length >= need)
		cap = (size_t)request->content_length;
	if (!spool_count(e, cap))
		return false;
	if (!owned->max)
		buf_init(owned, SIZE_MAX / 4);
	return buf_reserve(owned, cap - owned->len) == 0;
}

/* The first piece is often the whole body, and can stay where the connection has read it. */
static enum spool_result take_piece(struct exchange *e, struct span piece, uint64_t max_bytes)
{
	struct spool *spool = &e->spool;

	if (spool->held.len == 0 && e->x->body_ended) {
		spool->held = piece;
		return SPOOL_COMPLETE;
	}
	if (!make_room(e, piece.len, max_bytes) || buf_append(&spool->owned, piece) < 0)
		return SPOOL_BUSY;
	spool->held = buf_span(&spool->owned);
	return e->x->body_ended ? SPOOL_COMPLETE : SPOOL_FULL;
}

enum spool_result spool_read(struct exchange *e, uint64_t max_bytes, uint64_t idle_ms,
			     enum io_result *why)
{
	struct spool *spool = &e->spool;
	enum spool_result result = SPOOL_FULL;

	spool->used = true;
	if (spool->complete || e->x->body_ended) {
		spool->complete = true;
		return SPOOL_COMPLETE;
	}
	while (result == SPOOL_FULL && spool->held.len <= max_bytes) {
		struct span piece;

		*why = validate_read_body(e, &piece, exchange_step_deadline_ms(e, idle_ms));
		if (*why != IO_OK && *why != IO_EOF)
			return SPOOL_FAILED;
		result = *why == IO_EOF ? SPOOL_COMPLETE : take_piece(e, piece, max_bytes);
	}
	spool->complete = result == SPOOL_COMPLETE;
	return result;
}

bool spool_cannot_hold(const struct exchange *e)
{
	return !e->spool.complete && e->x->request.framing == HTTP1_LENGTH &&
	       e->x->request.content_length > e->snapshot->config->limits.body_buffer_bytes;
}

enum phase_result spool_hold(struct exchange *e, bool *whole)
{
	enum io_result why = IO_OK;

	switch (spool_read(e, e->snapshot->config->limits.body_buffer_bytes,
			   e->route->timeout->idle_ms, &why)) {
	case SPOOL_COMPLETE: *whole = true; return PHASE_NEXT;
	case SPOOL_FULL: *whole = false; return PHASE_NEXT;
	case SPOOL_BUSY:
		e->reason = "body_buffers_full";
		return answer_problem(e, 503, "unavailable", NULL);
	case SPOOL_FAILED: break;
	}
	return answer_bad_body(e, why);
}

void spool_replace(struct exchange *e, struct buf *body)
{
	buf_release(&e->spool.owned);
	e->spool.owned = *body;
	e->spool.held = buf_span(&e->spool.owned);
	*body = (struct buf){0};
}

HOT void spool_release(struct exchange *e)
{
	if (e->spool.secret && e->spool.owned.ptr)
		secret_wipe(e->spool.owned.ptr, e->spool.owned.len);
	buf_release(&e->spool.owned);
	if (e->spool.counted_bytes)
		atomic_fetch_sub_explicit(&e->worker->shared->spooled_bytes,
					  e->spool.counted_bytes, memory_order_relaxed);
	e->spool.counted_bytes = 0;
}

enum phase_result answer_bad_body(struct exchange *e, enum io_result why)
{
	if (e->contract_broken)
		return validate_answer_broken(e);
	if (e->x->client_gone || why == IO_CLOSED || why == IO_CANCELLED)
		return PHASE_GONE;
	if (e->x->body_too_large)
		return answer_problem(e, 413, "body-too-large", NULL);
	if (why == IO_TIMEOUT)
		return answer_problem(e, 408, "body-too-slow", NULL);
	return answer_problem(e, 400, "malformed-body", NULL);
}
