/*
 * internal_service.h - services that the program itself answers (identity, console, registry),
 * behind the same phases as any other: a route names them as it names others (`service:
 * identity`), and the phase forward hands the exchange to serve() instead of an endpoint.
 *
 * serve() runs in the exchange's fiber and may park. It finds the request's head in e->x->request,
 * path and query in e->path and e->query, who asks in e->identity and e->client; it reads the body
 * with http_read_body (streamed, e->x->body_limit_bytes holds) or internal_read_body (whole), and
 * answers with respond_head and http_send_body, or internal_respond. What takes long belongs to an
 * offload thread. It returns as a phase does.
 */
#ifndef GATEWAY_INTERNAL_SERVICE_H
#define GATEWAY_INTERNAL_SERVICE_H

#include "gateway/exchange.h"

struct internal_service {
	enum phase_result (*serve)(struct exchange *e, void *context);
	void *context; /* for all threads; outlives the workers */
};

/* Answers the exchange of a route that has one; 503 when it is not there in this process. */
enum phase_result internal_service_serve(struct exchange *e);

/*
 * The whole body, valid as long as the exchange: PHASE_NEXT. Otherwise the request was answered (413,
 * 408, 400, 503) or the client is gone.
 */
enum phase_result internal_read_body(struct exchange *e, size_t max_bytes, struct span *body);
/* Head and body at once. */
enum phase_result internal_respond(struct exchange *e, const struct http_response *response,
				   struct span body);

#endif
