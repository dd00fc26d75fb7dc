/*
 * authenticator.h - the inside of struct authenticator. Private to src/identity.
 *
 * Key sets change while workers use them. Each provider's current set is behind the
 * authenticator's lock; `generation` changes with every exchange of a set. A worker keeps its own
 * references (struct key_view) and looks at the lock again only when the generation has changed.
 * Generations are unique in the process, so one number also tells two authenticators apart.
 */
#ifndef IDENTITY_AUTHENTICATOR_H
#define IDENTITY_AUTHENTICATOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "identity/internal.h"
#include "identity/keys.h"

struct key_refresher;

struct provider {
	const struct config_provider *config;
	struct tls_context *jwks_tls; /* NULL unless the URL is https */
	struct tls_context *introspection_tls;
	struct secret introspection_auth; /* the value of Authorization */
	/* Behind the authenticator's lock. */
	struct key_set *keys; /* NULL: none yet */
	struct key_refresher *refresher; /* NULL: nobody keeps it fresh */
	struct list waiters; /* struct key_waiter */
	size_t waiter_count;
	int64_t refetched_ms; /* because of an unknown kid; clock_ms */
	bool refetched_once;
};

struct authenticator {
	atomic_uint references;
	atomic_uint_least64_t generation;
	struct config *config;
	struct role_table *roles;
	struct provider *providers; /* config->identity.providers.count */
	struct provider *introspecting; /* the one to ask about opaque tokens, or NULL */
	struct map by_issuer; /* struct provider */
	const struct vault *vault; /* of the built-in server; NULL: there is none */
	struct identity_private **api_keys; /* config->identity.api_keys->keys.count */
	struct map by_api_key; /* SHA-256 to struct identity_private */
	struct arena arena;
	pthread_mutex_t lock;
	atomic_uint_least64_t refreshes;
	atomic_uint_least64_t refresh_errors;
	atomic_uint_least64_t refetches;
	atomic_uint_least64_t rotations;
};

/* The built-in server as a provider; NULL: there is none (login.c). */
const struct provider *authenticator_own_provider(const struct authenticator *authenticator);

static inline size_t authenticator_provider_count(const struct authenticator *authenticator)
{
	return authenticator->config->identity.providers.count;
}

/* Signatures of its tokens are verified here; otherwise it is asked about them. */
static inline bool provider_has_keys(const struct provider *provider)
{
	return provider->config->jwks_file.len || provider->config->jwks_url.len ||
	       provider->config->built_in;
}

static inline uint64_t authenticator_generation(struct authenticator *authenticator)
{
	return atomic_load_explicit(&authenticator->generation, memory_order_acquire);
}

/* Puts a set in place, taking the reference; the same keys as before change nothing. */
void authenticator_set_keys(struct authenticator *authenticator, struct provider *provider,
			    struct key_set *keys);
/* Reads the provider's file into a set; NULL with *err. */
struct key_set *authenticator_read_key_file(const struct config_provider *provider,
					    struct err *err) MUST_CHECK;

/* A worker's references to the key sets of one authenticator at one generation. */
struct key_view {
	struct key_set **sets; /* NULL elements: no keys yet */
	size_t count;
	uint64_t generation; /* 0: empty */
};
/* Brings the view up to date. -1 when out of memory: it is empty then. */
int key_view_update(struct key_view *view, struct authenticator *authenticator) MUST_CHECK;
void key_view_release(struct key_view *view);

enum key_wait {
	KEY_WAIT_DONE, /* a fetch has ended since: look again */
	KEY_WAIT_REFUSED, /* no fetch is due */
	KEY_WAIT_TIMEOUT,
	KEY_WAIT_CANCELLED,
	KEY_WAIT_NO_MEMORY,
};
/*
 * Parks until the provider's keys have been fetched again. With `unknown_kid` a fetch is asked for,
 * unless one was within jwks_min_refetch_ms for that reason; without (there are no keys at all)
 * it waits for the next regular attempt.
 */
enum key_wait provider_wait_keys(struct authenticator *authenticator, struct provider *provider,
				 bool unknown_kid, int64_t deadline_ms);

#endif
