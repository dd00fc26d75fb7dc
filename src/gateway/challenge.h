/*
 * challenge.h - browsers show that they are more than a loop that sends requests: they keep a cookie,
 * or compute for a moment. Routes say when (config_route.challenge). Private to src/gateway.
 */
#ifndef GATEWAY_CHALLENGE_H
#define GATEWAY_CHALLENGE_H

#include "gateway/exchange.h"

struct challenge_maker;

/* With a key of its own, for configurations without one. NULL with *err. */
struct challenge_maker *challenge_maker_new(struct err *err) MUST_CHECK;
/* NULL is allowed. */
void challenge_maker_free(struct challenge_maker *maker);

/*
 * PHASE_NEXT for a client that has passed, or need not. Otherwise the challenge is the answer: to a
 * browser a page or a redirection to the same place, to anybody else 403 with type `challenge`.
 */
enum phase_result challenge_enter(struct exchange *e);

#endif
