/*
 * federation.h - users of other OpenID Connect providers: what we ask a provider, and what of its
 * answers we believe (OpenID Connect Core section 3.1, Discovery, RFC 7636, RFC 9207). All of it
 * blocks for at most the provider's timeout. Private to src/identity.
 */
#ifndef IDENTITY_FEDERATION_H
#define IDENTITY_FEDERATION_H

#include "identity/web.h"

/* What is remembered of providers; any thread. NULL without memory. */
struct federation_cache *federation_cache_new(void) MUST_CHECK;
/* NULL is allowed. */
void federation_cache_free(struct federation_cache *cache);

/* One login under way; its record is the browser's (web_federation.c). */
struct federation_state {
	struct span provider; /* name */
	struct span issuer; /* that it had when the login began */
	struct span state;
	struct span nonce;
	struct span verifier;
	struct span back;
	/* The login is to be joined to this user, in this session; empty: it is to log in. */
	struct span user;
	struct span session;
	bool again; /* the user shows anew who it is */
	int64_t begun_unix_s;
};

struct federation_user {
	struct span subject;
	struct span email;
	bool email_verified;
	struct span name; /* for people */
	struct span username;
	const struct json *claims; /* of the ID token */
};

/* Where to send the browser; fills in state, nonce and verifier. ERR_UNAVAILABLE: not now. */
int federation_begin(struct idp_exchange *x, const struct config_federation *provider,
		     struct federation_state *state, struct span *url,
		     struct err *err) MUST_CHECK;
/*
 * Who has come back with this query, whose `state` has been checked. ERR_DENIED: something that we
 * do not believe; else a failure of the provider, or of the way to it.
 */
int federation_end(struct idp_exchange *x, const struct config_federation *provider,
		   const struct federation_state *state, const struct form *query,
		   struct federation_user *user, struct err *err) MUST_CHECK;
/* What the claims give is in *roles afterwards, and what they might give, is not. */
int federation_map_roles(const struct config_federation *provider,
			 const struct federation_user *from, struct config_strings *roles,
			 bool *changed, struct arena *arena) MUST_CHECK;

/*
 * Remembers the login in the browser, and says where it is to go; true. False: the request was
 * answered (web_federation.c).
 */
bool federation_start(struct idp_exchange *x, const struct config_federation *provider,
		      struct federation_state *state, struct span *url) MUST_CHECK;

/* ---- users join logins to their accounts (web_links.c) ---- */

/* The link to the provider that the user has; ptr NULL: none. */
struct span federation_link_to(const struct idp_user *user,
			       const struct config_federation *provider);
/* What people know the provider by. */
void federation_put_title(struct page *page, const struct config_federation *provider);
void federation_put_links(struct page *page, const struct idp_user *user);
void federation_link(struct idp_exchange *x, const struct config_federation *provider);
void federation_unlink(struct idp_exchange *x, const struct config_federation *provider);
/* Who has come back for that. */
void federation_join(struct idp_exchange *x, const struct config_federation *provider,
		     const struct federation_user *from, const struct federation_state *state);

/* A link for each provider, on the login page. */
void federation_put_buttons(struct page *page, struct span back);

#endif
