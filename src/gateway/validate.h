/*
 * validate.h - requests and responses held against the service's contract. Private to src/gateway.
 *
 * The operation is found with the route, so that authorize, limit and approve know it; the content
 * of a request is checked in the phase validate, or while it passes; that of a response by forward.
 */
#ifndef GATEWAY_VALIDATE_H
#define GATEWAY_VALIDATE_H

#include "gateway/contract_plan.h"
#include "gateway/exchange.h"
#include "http/client.h"

/* The last step of route: is it an operation of the contract? PHASE_NEXT, or answered 404 or 405. */
enum phase_result validate_route(struct exchange *e);
/* A step of authorize: the security requirements of the operation. PHASE_NEXT, or answered. */
enum phase_result validate_security(struct exchange *e);
/* Who must approve the request; NULL: nobody. */
const struct config_sensitive *validate_sensitive(const struct exchange *e);
/*
 * http_read_body, and what came is held against the contract. IO_FAILED with e->contract_broken
 * when it breaks it and that is to be enforced; the piece is then not to be passed on.
 */
enum io_result validate_read_body(struct exchange *e, struct span *piece, int64_t deadline_ms);
/* The answer to a request that breaks the contract; after validate_read_body has said so. */
enum phase_result validate_answer_broken(struct exchange *e);
/* At the end of every exchange: notes what is still to be noted, gives the check back. */
void validate_finish(struct exchange *e);
/* Frees the checks that a worker keeps. */
void validate_release_checks(struct worker *worker);

/* Does the response's content have to be readable (without a content coding)? */
bool validate_wants_plain_response(const struct exchange *e);

/* The check of one response. */
struct response_check {
	struct contract_check *check; /* NULL: nothing is checked */
	bool enforce;
	bool has_length;
	uint64_t left_bytes; /* of the length announced */
	enum contract_result result;
};
/* With the head of the response; `rc` is zeroed when responses are not checked. */
void response_check_begin(struct response_check *rc, struct exchange *e,
			  const struct http1_head *head, bool no_content);
/* False: it is broken, and that is to be enforced. */
bool response_check_feed(struct response_check *rc, struct span piece);
bool response_check_end(struct response_check *rc);
/* Notes the result and gives the check back; harmless when nothing was checked. */
void response_check_release(struct response_check *rc, struct exchange *e);

#endif
