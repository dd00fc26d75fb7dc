/*
 * identity.h - who is calling, and what they may do: the library behind the gateway's phases
 * `authenticate` and `authorize`.
 *
 *	struct identity        who is calling; immutable; belongs to one worker thread
 *	struct authenticator   what `identity:` of the configuration says, with live key sets;
 *	                       one a snapshot, shared by all threads
 *	struct auth_worker     a worker thread's caches and clients; outlives reloads
 *	struct access_rule     what one route asks of an identity; shared by all threads
 *
 *	auth_request(worker, authenticator, &input, deadline_ms, &outcome);    authenticate
 *	access_check(rule, worker, identity)                                   authorize
 *
 * Passing the identity on to services is in identity/pass.h.
 */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include "base/arena.h"
#include "config/config.h"
#include "io/dns.h"
#include "io/tls.h"
#include "parse/http1.h"

/* ---- identity -------------------------------------------------------------------------------- */

enum identity_kind {
	IDENTITY_ANONYMOUS,
	IDENTITY_JWT, /* a bearer token that is a signed JWT (RFC 7519, RFC 9068) */
	IDENTITY_OPAQUE, /* a bearer token that its issuer was asked about (RFC 7662) */
	IDENTITY_API_KEY,
	IDENTITY_CERTIFICATE,
	IDENTITY_SESSION, /* a login of the built-in server */
};

struct identity_private;

/* Every span is followed by a NUL in memory; what is absent has len 0. */
struct identity {
	enum identity_kind kind;
	struct span subject; /* the user; for keys and certificates whom they stand for */
	struct span client; /* OAuth client id; for keys and certificates as subject */
	struct span provider; /* configured name of the provider; else "" */
	struct span issuer; /* of the token; else "" */
	const struct span *scopes;
	size_t scope_count;
	const struct span *roles; /* with those that they include */
	size_t role_count;
	int64_t expires_unix_s; /* INT64_MAX: never */
	/*
	 * Keys for limiters; 0 where there is none. Users of different providers differ, and
	 * user, client and key hashes never coincide for equal names. Valid in this process only.
	 */
	uint64_t user_hash;
	uint64_t client_hash;
	uint64_t key_hash; /* API keys only */
	uint64_t serial; /* unique in the process; 0 for the anonymous identity */
	struct identity_private *priv;
};

/* The one and only; references are not counted. Never NULL. */
struct identity *identity_anonymous(void);
/*
 * References are plain counters: only the thread of the auth_worker that gave the identity out may
 * use these. Both take NULL.
 */
struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity);

/*
 * The same caller with no more than these scopes and roles, and no permissions: what a degraded
 * operation gets to know. The anonymous identity stays as it is. One reference; NULL without memory.
 */
struct identity *identity_reduce(const struct identity *identity,
				 const struct config_strings *scopes,
				 const struct config_strings *roles) MUST_CHECK;

bool identity_has_scope(const struct identity *identity, struct span scope);
bool identity_has_role(const struct identity *identity, struct span role);
/*
 * True when one of the identity's permissions implies `permission`. Both are parts separated by
 * ':', each part a comma-separated set, as in Apache Shiro's WildcardPermission: "*" in a held part
 * stands for everything; parts missing at the end of the held one too ("orders" implies
 * "orders:read:7"); parts that it has more must be "*". Case matters. A malformed `permission`
 * (an empty part, more than 8 parts) is implied by nothing.
 */
bool identity_has_permission(const struct identity *identity, struct span permission);

/* "anonymous", "jwt", "opaque", "api_key", "certificate", "session": for logs and metrics. */
const char *identity_kind_name(enum identity_kind kind);

/* ---- authenticator --------------------------------------------------------------------------- */

struct authenticator;

/*
 * Reads key set files, CA bundles; blocks on them, so call it at start or in an offload thread. Key
 * sets behind a URL are empty until authenticator_refresh_main has fetched them (or
 * authenticator_adopt took them over): tokens that need them wait, and get AUTH_UNAVAILABLE at
 * their deadline. Takes a reference on cfg. NULL with *err naming file and reason.
 */
struct authenticator *authenticator_new(struct config *cfg, struct err *err) MUST_CHECK;
/*
 * Takes over from the authenticator that `next` replaces the key sets of providers with the same
 * issuer and URL, so that a reload never leaves them empty. Before `next` is in use.
 */
void authenticator_adopt(struct authenticator *next, struct authenticator *previous);
/* Any thread. NULL is allowed. */
struct authenticator *authenticator_ref(struct authenticator *authenticator);
void authenticator_unref(struct authenticator *authenticator);
/* Every provider with a key set has at least one key: for /readyz. Any thread. */
bool authenticator_is_ready(struct authenticator *authenticator);

/*
 * The key set of the built-in identity server, whose keys do not come from a file or URL. Nothing
 * without such a provider. Any thread.
 */
int authenticator_use_jwks(struct authenticator *authenticator, struct span jwks,
			   struct err *err) MUST_CHECK;

struct authenticator_stats {
	uint64_t refreshes; /* key sets read or fetched without error */
	uint64_t refresh_errors;
	uint64_t unknown_kid_refetches;
	uint64_t rotations; /* key sets that differed from what was there */
};
/* Any thread. */
void authenticator_read_stats(struct authenticator *authenticator,
			      struct authenticator_stats *stats);

struct authenticator_refresh {
	struct authenticator *authenticator;
	struct dns *dns; /* of the loop in which the fiber runs */
};
/*
 * A fiber function that keeps the key sets fresh; `arg` is a struct authenticator_refresh that
 * stays valid until it returns, which it does when the fiber is cancelled. One an authenticator, in
 * any one loop: after a reload cancel the old one's and start the new one's. On errors the keys
 * that are there stay in use, and it tries again after 1 s, 2 s, 4 s ... up to jwks.refresh.
 */
void authenticator_refresh_main(void *arg);

/* ---- worker ---------------------------------------------------------------------------------- */

struct auth_worker;

struct auth_worker_options {
	size_t cache_entries; /* verified tokens remembered by this worker; 0: none */
	struct dns *dns; /* of the thread's loop; for introspection */
	int64_t (*now_unix_s)(void); /* NULL: loop_unix_s; for tests */
};

/* For the calling thread, which must have a loop. */
struct auth_worker *auth_worker_new(const struct auth_worker_options *options,
				    struct err *err) MUST_CHECK;
/* No call may be under way. NULL is allowed. Identities given out before stay valid. */
void auth_worker_free(struct auth_worker *worker);
/*
 * Forgets all tokens and closes idle connections to introspection endpoints. Not needed for
 * correctness after a reload (entries of another authenticator never match), only to free memory
 * early.
 */
void auth_worker_flush(struct auth_worker *worker);

struct auth_worker_stats {
	uint64_t hits;
	uint64_t misses;
	uint64_t evictions; /* of tokens that were still good, to make room */
	uint64_t introspections;
	size_t entries;
	size_t capacity;
};
/* Any thread. */
void auth_worker_read_stats(const struct auth_worker *worker, struct auth_worker_stats *stats);

/* ---- authenticate ---------------------------------------------------------------------------- */

enum auth_status {
	AUTH_OK,
	AUTH_NONE, /* no credentials: an anonymous request */
	AUTH_INVALID_REQUEST, /* 400, RFC 6750 invalid_request */
	AUTH_INVALID_TOKEN, /* 401, RFC 6750 invalid_token */
	AUTH_UNAVAILABLE, /* 503: keys or introspection endpoint cannot be reached; no memory */
	AUTH_CANCELLED, /* the fiber was cancelled while waiting: nobody wants an answer */
};

/* Why, in one stable word for logs and metrics (auth_reason_word) and one sentence for people. */
enum auth_reason {
	AUTH_REASON_NONE,
	AUTH_REASON_NO_CREDENTIALS,
	AUTH_REASON_REPEATED, /* more than one Authorization or API key field */
	AUTH_REASON_MIXED, /* both a bearer token and an API key */
	AUTH_REASON_MALFORMED, /* not `Bearer` and a b64token */
	AUTH_REASON_TOO_LONG,
	AUTH_REASON_NOT_A_JWT, /* and nobody to ask about opaque tokens */
	AUTH_REASON_BAD_HEADER, /* JOSE header or claims that do not parse or are not allowed */
	AUTH_REASON_UNKNOWN_ISSUER,
	AUTH_REASON_BAD_ALGORITHM,
	AUTH_REASON_BAD_TYPE,
	AUTH_REASON_UNKNOWN_KEY,
	AUTH_REASON_BAD_SIGNATURE,
	AUTH_REASON_BAD_CLAIMS, /* a claim is missing or of the wrong type */
	AUTH_REASON_EXPIRED,
	AUTH_REASON_NOT_YET_VALID,
	AUTH_REASON_BAD_AUDIENCE,
	AUTH_REASON_NOT_ACTIVE, /* introspection says so */
	AUTH_REASON_NOT_BOUND, /* bound to another certificate or key (RFC 8705, RFC 9449) */
	AUTH_REASON_BAD_PROOF, /* a DPoP proof is missing, malformed or for something else */
	AUTH_REASON_UNKNOWN_API_KEY,
	AUTH_REASON_UNKNOWN_CERTIFICATE, /* verified, but mapped to nobody */
	AUTH_REASON_UNUSABLE_CERTIFICATE, /* TLS_PEER_UNUSABLE: never set here, for callers */
	AUTH_REASON_NO_KEYS, /* no key set could be fetched yet */
	AUTH_REASON_INTROSPECTION_FAILED,
	AUTH_REASON_TIMEOUT,
	AUTH_REASON_NO_MEMORY,
	AUTH_REASON_CANCELLED,
	AUTH_REASON_COUNT,
};
const char *auth_reason_word(enum auth_reason reason);
/* For error_description and problem details: no secrets, only characters of RFC 6750 section 3. */
const char *auth_reason_text(enum auth_reason reason);
/* 0 for AUTH_OK, AUTH_NONE and AUTH_CANCELLED; else the status to answer with. */
unsigned auth_status_code(enum auth_status status);

struct auth_outcome {
	enum auth_status status;
	enum auth_reason reason;
	/* AUTH_OK: one reference, the caller's. AUTH_NONE: anonymous. Otherwise NULL. */
	struct identity *identity;
	bool cached; /* nothing had to be verified */
	bool dpop; /* the request used the scheme DPoP (RFC 9449) */
};

/* What a request brings. */
struct auth_input {
	const struct http1_head *head;
	/*
	 * The client certificate's identity, or NULL. Used when there is no bearer token or API key,
	 * and for tokens that are bound to a certificate (RFC 8705).
	 */
	const struct tls_identity *certificate;
	/* Nobody vouches for its names: only bound tokens can use it. */
	bool certificate_is_unverified;
	/* The request as its sender knows it, for proofs (RFC 9449): method, and URL without query. */
	struct span method;
	struct span url;
	/*
	 * What an earlier call gave for this certificate with the same authenticator, kept with
	 * the connection to save the look-up; or NULL. Borrowed.
	 */
	struct identity *certificate_identity;
};

/*
 * Looks at Authorization, the API key field and the certificate, in this order; the first one that
 * is there decides: a bad token is refused even if the certificate would do. Schemes other than
 * Bearer and DPoP are no credentials to us. A bearer token together with an API key is refused. May park
 * when the token is not in the cache: for unknown keys and opaque tokens, never beyond deadline_ms
 * (loop_now_ms time). The authenticator must be referenced by the caller while it runs.
 */
void auth_request(struct auth_worker *worker, struct authenticator *authenticator,
		  const struct auth_input *input, int64_t deadline_ms,
		  struct auth_outcome *outcome);

/* The parts of it. `token` without "Bearer "; `certificate` may be NULL. */
void auth_bearer(struct auth_worker *worker, struct authenticator *authenticator,
		 struct span token, const struct tls_identity *certificate, int64_t deadline_ms,
		 struct auth_outcome *outcome);
void auth_api_key(struct auth_worker *worker, struct authenticator *authenticator,
		  struct span key, struct auth_outcome *outcome);
void auth_certificate(struct auth_worker *worker, struct authenticator *authenticator,
		      const struct tls_identity *certificate, struct auth_outcome *outcome);

/* ---- authorize ------------------------------------------------------------------------------- */

struct access_rule;

/* Borrows the route, whose configuration must outlive it. ERR_INVALID: a pattern, a permission. */
struct access_rule *access_rule_new(const struct config_route *route,
				    struct err *err) MUST_CHECK;
/* NULL is allowed. */
void access_rule_free(struct access_rule *rule);
/* False with `auth: none`: the phase authenticate has nothing to do. */
bool access_rule_wants_identity(const struct access_rule *rule);

enum access_result {
	ACCESS_GRANTED,
	ACCESS_UNAUTHENTICATED, /* 401 */
	ACCESS_INSUFFICIENT_SCOPE, /* 403, RFC 6750 insufficient_scope */
	ACCESS_FORBIDDEN, /* 403: roles, permissions or claims */
};

/*
 * `auth: required` asks for an identity; scopes, roles, permissions and claims ask for it with
 * every `auth` but none. Whatever cannot be decided (a pattern over its match limit) is refused.
 * Neither parks nor allocates.
 */
enum access_result access_check(const struct access_rule *rule, struct auth_worker *worker,
				const struct identity *identity);
/* "granted", "unauthenticated", "insufficient_scope", "forbidden". */
const char *access_result_word(enum access_result result);
/*
 * Whether the user has logged in well enough for a sensitive operation (RFC 9470): the token's `acr`
 * is one of these (none: any; of pwd, mfa and phr a later one will do for
 * an earlier), and its `auth_time` not longer ago than max_age_s (0: any time). What
 * the token does not say does not hold.
 */
bool access_is_strong(const struct identity *identity, const struct config_strings *acr,
		      int64_t max_age_s, int64_t now_unix_s);

/* ---- WWW-Authenticate (RFC 6750 section 3, RFC 9110 section 11.6.1) -------------------------- */

/* The field's value; ptr NULL when the arena is full. For AUTH_NONE, _REQUEST and _TOKEN. */
struct span auth_challenge(const struct authenticator *authenticator,
			   const struct auth_outcome *outcome, struct arena *arena) MUST_CHECK;
/* For a refusal by access_check; with the scopes that the route needs. */
struct span access_challenge(const struct authenticator *authenticator,
			     const struct access_rule *rule, enum access_result result,
			     struct arena *arena) MUST_CHECK;

#endif
