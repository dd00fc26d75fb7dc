/* internal.h - what the files of src/identity share. Private to the folder. */
#ifndef IDENTITY_INTERNAL_H
#define IDENTITY_INTERNAL_H

#include "identity/claims.h"
#include "identity/identity.h"
#include "identity/names.h"
#include "identity/roles.h"

#define SHA256_BYTES 32

/* Most scopes, roles and permissions that one token may give. */
#define IDENTITY_NAMES_MAX 1024

struct identity_private {
	struct identity public;
	unsigned references; /* of one thread */
	bool shared; /* lives as long as its owner: not counted, may be used by all threads */
	struct arena arena; /* everything that the identity points to */
	struct role_table *table; /* a reference, once finished */
	const struct permission_set **permissions;
	size_t permission_set_count;
	struct names scopes;
	struct names roles;
	const struct json *claims; /* NULL: none */
	/* The token may only be used together with this certificate (RFC 8705 section 3). */
	bool bound;
	uint8_t thumbprint[SHA256_BYTES];
	/* And only with a proof by the key with this thumbprint (RFC 9449); empty: without. */
	struct span jkt;
};

/* Spans that are borrowed until identity_finish has returned, except claims, which are kept. */
struct identity_draft {
	enum identity_kind kind;
	struct span subject;
	struct span client;
	struct span provider;
	struct span issuer;
	struct config_strings scopes;
	struct config_strings roles;
	struct config_strings permissions;
	const struct json *claims; /* in the identity's arena */
	const uint8_t *thumbprint; /* NULL: not bound */
	struct span jkt; /* empty: not bound */
	const uint8_t *api_key; /* its SHA-256; NULL: none */
	int64_t expires_unix_s;
};

/* An identity that only has its arena yet; NULL when out of memory. */
struct identity_private *identity_begin(void) MUST_CHECK;
/* Completes it: one reference. -1 when out of memory: the caller then discards it. */
int identity_finish(struct identity_private *p, const struct identity_draft *draft,
		    struct role_table *table) MUST_CHECK;
/* Frees one that is shared or has not been finished. */
void identity_discard(struct identity_private *p);

/* The rule's scopes, for challenges. */
const struct config_strings *access_rule_scopes(const struct access_rule *rule);

/* With the worker's own match state; what cannot be decided within its limits is no match. */
struct regex;
bool auth_worker_match(struct auth_worker *worker, struct regex *pattern, struct span text);

/*
 * Signed tokens that a worker keeps for identity/pass.c: the text for (identity, signer), or empty
 * when there is none that is fresh at `now_unix_s`. Valid until the next put.
 */
struct span auth_worker_passed_get(struct auth_worker *worker, uint64_t identity_serial,
				   uint64_t signer_serial, int64_t now_unix_s);
/* Keeps a copy until fresh_until; without memory nothing is kept. */
void auth_worker_passed_put(struct auth_worker *worker, uint64_t identity_serial,
			    uint64_t signer_serial, struct span token,
			    int64_t fresh_until_unix_s);
bool identity_implies(const struct identity *identity, const struct permission *wanted);
struct jws_context;
struct jws_context *auth_worker_jws(struct auth_worker *worker);
int64_t auth_worker_now_unix_s(const struct auth_worker *worker);

/* Unique in the process, never 0. */
uint64_t identity_next_serial(void);

#endif
