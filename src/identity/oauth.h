/* oauth.h - what the OAuth 2.0 / OpenID Connect endpoints share. Private to src/identity. */
#ifndef IDENTITY_OAUTH_H
#define IDENTITY_OAUTH_H

#include "identity/web.h"

struct jwk_set;

#define GRANT_CODE "authorization_code"
#define GRANT_REFRESH "refresh_token"
#define GRANT_CLIENT "client_credentials"
#define GRANT_DEVICE "urn:ietf:params:oauth:grant-type:device_code"
#define GRANT_PASSWORD "password"
#define GRANT_IMPLICIT "implicit"
#define GRANT_EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"
#define TOKEN_TYPE_ACCESS "urn:ietf:params:oauth:token-type:access_token"

/*
 * What a client was allowed, by whom: everything that is issued from it names it, and ends with it.
 */
struct oauth_grant {
	struct span id;
	struct span client;
	struct span user; /* empty: the client itself */
	struct span session; /* digest; empty: it outlives the session (offline_access) */
	struct span scope;
	struct span resource; /* space-separated; empty: the issuer */
	struct span nonce;
	/*
	 * What a public client's refresh tokens are bound to: its key, or its certificate, as
	 * base64url; empty: to none.
	 */
	struct span jkt;
	struct span x5t;
	struct config_strings methods;
	int64_t authenticated_unix_s;
	int64_t created_unix_s;
	uint64_t version;
	/* Of one token, and not kept. */
	struct span subject; /* `sub`, where it is neither the user nor the client */
	struct span act; /* who acts for the user (RFC 8693 section 4.1), JSON; empty: nobody */
	int64_t until_unix_s; /* the token ends then at the latest; 0: as usual */
};

/*
 * The body as parameters, without those that have no value, which count as absent (RFC 6749 sections
 * 3.1 and 3.2). False: the request was answered.
 */
bool oauth_form(struct idp_exchange *x, struct form *form);
void oauth_drop_empty(struct form *form);

/* Parameters that are there twice are an error (RFC 6749 section 3.1), but for `resource`. */
bool oauth_is_repeated(const struct form *form);
/* The values of `resource` that the client may have; false: invalid_target (RFC 8707). */
bool oauth_resources(const struct idp_exchange *x, const struct form *form,
		     const struct idp_client *client, struct span *joined);
/* The asked scopes, or those of the client when none is asked; false: one is not the client's. */
bool oauth_scopes(const struct idp_exchange *x, struct span asked,
		  const struct idp_client *client, struct span *granted);
bool oauth_has_scope(struct span scopes, struct span scope);

/*
 * Client authentication (RFC 6749 section 2.3, client_auth.c): client_secret_basic and _post,
 * private_key_jwt (RFC 7523), certificates (RFC 8705), or a public client's id. False: the request
 * was answered.
 */
bool oauth_client(struct idp_exchange *x, const struct form *form, bool need_secret,
		  struct idp_client *client);
/* The client's public keys, from itself or its URL; NULL with *err. The caller frees them. */
struct jwk_set *oauth_client_keys(struct idp_exchange *x, const struct idp_client *client,
				  bool fresh, struct err *err);
/* The id and the secret that the request shows in one way; false: none, or not in one way. */
bool oauth_credentials(struct idp_exchange *x, const struct form *form, struct span *id,
		       struct span *secret);
bool oauth_has_secret(const struct idp_client *client, struct span secret);
/*
 * What tokens for the client will be bound to: sets x->token_jkt and x->token_x5t (oauth_bind.c).
 * False: the proof is missing or bad, and the request was answered.
 */
bool oauth_bind(struct idp_exchange *x, const struct idp_client *client);
/*
 * The claims of the access token that the request shows, whose proofs of possession have been
 * checked; NULL: the request was answered.
 */
const struct json *oauth_shown_token(struct idp_exchange *x);

/* A public client's refresh tokens are bound to what this request has shown (RFC 9449 section 5). */
void oauth_grant_bind(const struct idp_exchange *x, const struct idp_client *client,
		      struct oauth_grant *grant);
enum store_result oauth_grant_put(struct idp_exchange *x, struct oauth_grant *grant,
				  struct err *err);
/* When a grant ends at the latest. */
int64_t oauth_grant_end_ms(const struct idp_exchange *x, const struct oauth_grant *grant);
enum store_result oauth_grant_get(struct idp_exchange *x, struct span id,
				  struct oauth_grant *grant, struct err *err);
/* With all that came from it; for tokens that are out too. */
enum store_result oauth_grant_end(struct idp_exchange *x, struct span id, struct err *err);
/* Members of an object; buf_failed tells whether there was room. */
void oauth_grant_write(struct json_writer *w, const struct oauth_grant *grant);
int oauth_grant_read(const struct json *object, struct oauth_grant *grant, struct arena *arena,
		     struct err *err);

/*
 * Answers with an access token, a refresh token where the client may have one, and an ID token with
 * scope openid. `scope` may be narrower than the grant's.
 */
void oauth_issue(struct idp_exchange *x, const struct idp_client *client,
		 const struct oauth_grant *grant, struct span scope);

/* The parts of it, for answers that are made elsewhere. The buffers are initialised. */
struct oauth_tokens {
	struct buf access;
	struct buf id;
	struct span refresh;
};
enum oauth_want { OAUTH_WANT_ACCESS = 1, OAUTH_WANT_ID = 2, OAUTH_WANT_REFRESH = 4 };
/* STORE_ABSENT: the user cannot log in any more. */
enum store_result oauth_make_tokens(struct idp_exchange *x, const struct idp_client *client,
				    const struct oauth_grant *grant, struct span scope,
				    unsigned want, struct oauth_tokens *out, struct err *err);
/* Seconds that an access token of the grant lives. */
int64_t oauth_access_life_s(const struct idp_exchange *x, const struct oauth_grant *grant);

/* The claims of the scopes profile and email (OpenID Connect Core section 5.4). */
void oauth_put_claims(struct json_writer *w, const struct idp_user *user, struct span scope);

/* The claims of an access token of ours that is good now; NULL: it is not. */
const struct json *oauth_access_claims(struct idp_exchange *x, struct span token);

/* The same of claims whose origin is known: not over, of this issuer, not taken back. */
bool oauth_are_good(const struct idp_exchange *x, const struct json *claims);
/* A client is told of its own tokens, and of those that are for it to accept. */
bool oauth_may_know(const struct idp_client *client, const struct json *claims);
/* RFC 7662 section 2.2: what is said of a token that is active. -1 without memory. */
int oauth_write_active(const struct json *claims, struct arena *arena,
		       struct span *answer) MUST_CHECK;

/* PKCE with S256 (RFC 7636 section 4.6). */
bool oauth_verifier_fits(struct span verifier, struct span challenge);

/* The password and the implicit grant are off unless the configuration wants them. */
bool oauth_is_on(const struct idp_exchange *x, struct span grant);

/*
 * Pushed authorization requests (RFC 9126, oauth_par.c): `form` becomes what was pushed under its
 * request_uri. STORE_OK; STORE_ABSENT: there is none for this client, or it is over.
 */
struct oauth_pushed {
	struct span key; /* empty: nothing was pushed */
	int64_t started_unix_s; /* when the browser came with it first */
};
bool oauth_is_pushed(const struct form *form);
enum store_result oauth_pushed_get(struct idp_exchange *x, struct form *form,
				   struct oauth_pushed *pushed, struct err *err);
/* It has been used: STORE_CONFLICT when it was before. */
enum store_result oauth_pushed_end(struct idp_exchange *x, const struct oauth_pushed *pushed,
				   struct err *err);
/* What a request says that cannot be; NULL: it may go on. *why may be set (oauth_authorize.c). */
const char *oauth_check_pushed(struct idp_exchange *x, const struct idp_client *client,
			       const struct form *form, const char **why);

void oauth_password(struct idp_exchange *x, const struct form *form,
		    const struct idp_client *client);
void oauth_exchange(struct idp_exchange *x, const struct form *form,
		    const struct idp_client *client);
void oauth_refresh(struct idp_exchange *x, const struct form *form,
		   const struct idp_client *client);
void oauth_device_token(struct idp_exchange *x, const struct form *form,
			const struct idp_client *client);

/* What the client wants, in words for its user; and the buttons of the form that follows. */
void oauth_put_wish(struct page *page, const struct idp_client *client, struct span scope,
		    const struct idp_user *user);
void oauth_put_decision(struct page *page);

#endif
