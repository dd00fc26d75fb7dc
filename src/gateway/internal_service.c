#include "gateway/internal_service.h"

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

enum phase_result internal_read_body(struct exchange *e, size_t max_bytes, struct span *body)
{
	enum io_result why = IO_OK;

	if (e->x->body_limit_bytes > max_bytes)
		e->x->body_limit_bytes = max_bytes;
	e->spool.secret = true; /* passwords come this way */
	switch (spool_read(e, max_bytes, BODY_TIMEOUT_MS, &why)) {
	case SPOOL_COMPLETE: *body = e->spool.held.len ? e->spool.held : SPAN(""); break;
	case SPOOL_FULL: return answer_problem(e, 413, "body-too-large", NULL);
	case SPOOL_BUSY: return answer_problem(e, 503, "out-of-memory", NULL);
	case SPOOL_FAILED: return answer_bad_body(e, why);
	}
	return PHASE_NEXT;
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
