#include "gateway/internal_service.h"

#include "base/secret.h"

#define BODY_TIMEOUT_MS 30000
#define ANSWER_TIMEOUT_MS 30000

enum phase_result internal_service_serve(struct exchange *e)
{
	const struct internal_service *service =
		e->worker->shared->internal[e->route->config->internal];

	if (!service)
		return answer_problem(e, 503, "unavailable", NULL);
	return service->serve(e, service->context);
}

static enum phase_result refuse_body(struct exchange *e, enum io_result result)
{
	if (e->x->client_gone || result == IO_CLOSED || result == IO_CANCELLED)
		return PHASE_GONE;
	if (e->x->body_too_large)
		return answer_problem(e, 413, "body-too-large", NULL);
	if (result == IO_TIMEOUT)
		return answer_problem(e, 408, "body-too-slow", NULL);
	return answer_problem(e, 400, "malformed-body", NULL);
}

enum phase_result internal_read_body(struct exchange *e, size_t max_bytes, struct span *body)
{
	int64_t deadline_ms = loop_deadline_ms(BODY_TIMEOUT_MS);
	enum io_result result;
	struct span piece;
	struct buf whole;

	*body = SPAN("");
	if (e->x->request.framing == HTTP1_NO_BODY)
		return PHASE_NEXT;
	if (e->x->body_limit_bytes > max_bytes)
		e->x->body_limit_bytes = max_bytes;
	buf_init(&whole, max_bytes);
	while ((result = http_read_body(e->x, &piece, deadline_ms)) == IO_OK)
		buf_append(&whole, piece);
	if (result == IO_EOF && !buf_failed(&whole) && whole.len)
		*body = arena_dup(&e->x->arena, buf_span(&whole));
	if (whole.ptr)
		secret_wipe(whole.ptr, whole.len);
	if (buf_failed(&whole) || !body->ptr) {
		buf_release(&whole);
		return answer_problem(e, 503, "out-of-memory", NULL);
	}
	buf_release(&whole);
	return result == IO_EOF ? PHASE_NEXT : refuse_body(e, result);
}

enum phase_result internal_respond(struct exchange *e, const struct http_response *response,
				   struct span body)
{
	int64_t deadline_ms = loop_deadline_ms(ANSWER_TIMEOUT_MS);
	struct http_response head = *response;
	enum io_result result;

	if (e->x->client_gone)
		return PHASE_GONE;
	head.content_length = (int64_t)body.len;
	result = respond_head(e, &head, body.len ? HTTP_SEND_MORE : HTTP_SEND_END, deadline_ms);
	if (result == IO_OK && body.len)
		result = http_send_body(e->x, body, HTTP_SEND_END, deadline_ms);
	return result == IO_OK ? PHASE_ANSWERED : PHASE_GONE;
}
