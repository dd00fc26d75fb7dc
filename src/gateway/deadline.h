/*
 * deadline.h - how much time a request has, as its sender says (grpc-timeout; the service's
 * `deadline_field`, in milliseconds) and as the service is told: what is left when it is asked.
 * Private to src/gateway.
 */
#ifndef GATEWAY_DEADLINE_H
#define GATEWAY_DEADLINE_H

#include "gateway/exchange.h"
#include "http/client.h"

/*
 * Shortens e->deadline_ms to what the request's fields say; what they say wrongly is ignored. True when
 * that is less than it was.
 */
bool deadline_read(struct exchange *e, const struct config_service *service);
/*
 * Puts what is left into the head for the service, in the place of what the client said: grpc-timeout
 * for calls of gRPC, and the configured field. Nothing where there is no deadline. False: no memory.
 */
bool deadline_write(struct exchange *e, const struct config_service *service,
		    struct http_request_head *head);

#endif
