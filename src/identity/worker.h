/* worker.h - the inside of struct auth_worker. Private to src/identity. */
#ifndef IDENTITY_WORKER_H
#define IDENTITY_WORKER_H

#include <stdatomic.h>

#include "identity/authenticator.h"
#include "identity/pass_cache.h"
#include "identity/pattern.h"
#include "identity/token_cache.h"
#include "parse/jws.h"

struct auth_worker {
	struct token_cache tokens;
	struct pass_cache passed;
	struct key_view keys;
	struct jws_context *jws;
	struct regex_scratch *patterns;
	struct dns *dns;
	int64_t (*now_unix_s)(void);
	struct list introspectors; /* struct introspector: clients of endpoints */
	struct list introspections; /* struct introspection: under way */
	size_t introspection_count;
	/* Only the worker writes. */
	_Atomic uint64_t hits, misses, asked; /* asked: introspection endpoints */
};

/* Without an atomic addition, as nobody else adds. */
static inline void auth_worker_count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static inline struct token_now auth_worker_now(const struct auth_worker *worker)
{
	return (struct token_now){.ms = loop_now_ms(), .unix_s = worker->now_unix_s()};
}

/* What was found out about a token, with one reference on the identity. */
struct verdict {
	enum auth_status status;
	enum auth_reason reason;
	struct identity_private *identity; /* with AUTH_OK */
	bool keep; /* worth remembering, */
	int64_t max_age_ms; /* but not longer than this; 0: as usual */
};

static inline struct verdict verdict_refused(enum auth_reason reason, bool keep)
{
	return (struct verdict){.status = AUTH_INVALID_TOKEN, .reason = reason, .keep = keep};
}

static inline struct verdict verdict_unavailable(enum auth_reason reason)
{
	return (struct verdict){.status = AUTH_UNAVAILABLE, .reason = reason};
}

static inline struct verdict verdict_cancelled(void)
{
	return (struct verdict){.status = AUTH_CANCELLED, .reason = AUTH_REASON_CANCELLED};
}

/* jwt.c: a token with two dots, from its own keys. */
struct verdict jwt_verify(struct auth_worker *worker, struct authenticator *authenticator,
			  struct span token, struct hash_tag tag, int64_t deadline_ms);

/* introspect.c: asks the provider; parks. */
struct verdict introspect(struct auth_worker *worker, struct authenticator *authenticator,
			  struct provider *provider, struct span token, struct hash_tag tag,
			  int64_t deadline_ms);
/* Closes clients that are not in use. */
void introspect_flush(struct auth_worker *worker);

/*
 * token.c: claims of a token, whose origin has been verified, into an identity. `p` is begun, its
 * arena holds the claims; it is finished on success and discarded otherwise. Checks iss, exp, nbf,
 * iat, aud, cnf. With IDENTITY_OPAQUE iss, exp and aud may be missing (RFC 7662 section 2.2).
 */
struct verdict token_identity(const struct auth_worker *worker,
			      const struct authenticator *authenticator,
			      const struct provider *provider, enum identity_kind kind,
			      const struct json *claims, struct identity_private *p);

#endif
