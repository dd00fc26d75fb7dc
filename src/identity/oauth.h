/* oauth.h - what the OAuth 2.0 / OpenID Connect endpoints share. Private to src/identity. */
#ifndef IDENTITY_OAUTH_H
#define IDENTITY_OAUTH_H

#include "identity/web.h"

#define GRANT_CODE "authorization_code"
#define GRANT_REFRESH "refresh_token"
#define GRANT_CLIENT "client_credentials"
#define GRANT_DEVICE "urn:ietf:params:oauth:grant-type:device_code"

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
	struct config_strings methods;
	int64_t authenticated_unix_s;
	int64_t created_unix_s;
	uint64_t version;
};

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
 * Client authentication (RFC 6749 section 2.3): client_secret_basic, client_secret_post, or a
 * public client's id. False: the request was answered.
 */
bool oauth_client(struct idp_exchange *x, const struct form *form, bool need_secret,
		  struct idp_client *client);

enum store_result oauth_grant_put(struct idp_exchange *x, struct oauth_grant *grant,
				  struct err *err);
enum store_result oauth_grant_get(struct idp_exchange *x, struct span id,
				  struct oauth_grant *grant, struct err *err);
/* With all that came from it; for tokens that are out too. */
enum store_result oauth_grant_end(struct idp_exchange *x, struct span id, struct err *err);
int oauth_grant_write(struct json_writer *w, const struct oauth_grant *grant);
int oauth_grant_read(const struct json *object, struct oauth_grant *grant, struct arena *arena,
		     struct err *err);

/*
 * Answers with an access token, a refresh token where the client may have one, and an ID token with
 * scope openid. `scope` may be narrower than the grant's.
 */
void oauth_issue(struct idp_exchange *x, const struct idp_client *client,
		 const struct oauth_grant *grant, struct span scope);

/* The claims of an access token of ours that is good now; NULL: it is not. */
const struct json *oauth_access_claims(struct idp_exchange *x, struct span token);

/* PKCE with S256 (RFC 7636 section 4.6). */
bool oauth_verifier_fits(struct span verifier, struct span challenge);

void oauth_refresh(struct idp_exchange *x, const struct form *form,
		   const struct idp_client *client);
void oauth_device_token(struct idp_exchange *x, const struct form *form,
			const struct idp_client *client);

#endif
