/*
 * idp_admin.h - what administrators do: users, roles, groups, clients, sessions, keys. For command
 * lines and the admin API; all of it blocks. See idp.h.
 */
#ifndef IDENTITY_IDP_ADMIN_H
#define IDENTITY_IDP_ADMIN_H

#include "identity/acr.h"
#include "identity/idp.h"
#include "parse/json.h"
#include "parse/json_write.h"

/* ---- users, groups, roles (directory.c) ---- */

#define USER_PASSKEYS_MAX 20
#define USER_LINKS_MAX 6

/* A WebAuthn credential (passkey.h). */
struct idp_passkey {
	struct span id; /* base64url */
	struct span name; /* for its owner */
	struct span key; /* COSE public key as libfido2 keeps it, base64url */
	int64_t algorithm; /* COSE: -7, -8, -257 */
	int64_t counter;
	int64_t created_unix_s;
	int64_t used_unix_s;
};

struct idp_user {
	struct span id; /* "u..." and never again another's: the `sub` of tokens */
	struct span name; /* what is typed in: lower case, unique */
	struct span display;
	struct span email;
	bool email_verified;
	bool disabled;
	bool must_change; /* the password is used once */
	struct span password; /* hash; empty: none */
	struct span totp; /* sealed; empty: none */
	int64_t totp_step; /* the last one that was used */
	struct span phone; /* E.164, with "+"; empty: none */
	struct config_strings
		channels; /* that codes are sent by as second factor: "email", "sms" */
	struct config_strings links; /* "ISSUER SUBJECT" of other identity providers */
	struct idp_passkey *passkeys;
	size_t passkey_count;
	struct config_strings recovery; /* SHA-256 of codes that are left, in hexadecimal */
	struct config_strings roles;
	struct config_strings groups;
	struct config_strings permissions;
	int64_t created_unix_s;
	uint64_t version; /* 0: not stored yet */
};

/* Lower case, 1 to 128 bytes of UTF-8 without spaces and control characters; ptr NULL: no name. */
struct span user_name_normal(struct span name, struct arena *arena) MUST_CHECK;
enum store_result user_get(struct idp *idp, struct span id, struct arena *arena,
			   struct idp_user *user, struct err *err);
enum store_result user_find(struct idp *idp, struct span name, struct arena *arena,
			    struct idp_user *user, struct err *err);
/* By address; STORE_CONFLICT: several have it. Addresses are kept in lower case. */
enum store_result user_find_email(struct idp *idp, struct span email, struct arena *arena,
				  struct idp_user *user, struct err *err);
/* By "ISSUER SUBJECT". */
enum store_result user_find_link(struct idp *idp, struct span link, struct arena *arena,
				 struct idp_user *user, struct err *err);
/* STORE_CONFLICT: the name is taken, or somebody else has changed the user. */
enum store_result user_put(struct idp *idp, struct idp_user *user, struct arena *arena,
			   struct err *err);
/* With all sessions and grants of the user. */
enum store_result user_remove(struct idp *idp, const struct idp_user *user, struct arena *arena,
			      struct err *err);
enum store_result user_list(struct idp *idp, struct span after, size_t limit,
			    struct arena *arena, struct idp_user **users, size_t *count,
			    bool *more, struct err *err);
/* For people and exports; the hash of the password only with `secrets`. */
void user_write(struct json_writer *w, const struct idp_user *user, bool secrets);
/*
 * The members that administrators may change, those that are there (RFC 7396); null empties.
 * ERR_INVALID names a member that is unknown, or of the wrong kind.
 */
int user_patch(const struct json *object, struct idp_user *user, struct arena *arena,
	       struct err *err) MUST_CHECK;
/* From such a line; ERR_INVALID names the member. `user` holds defaults. */
int user_read(const struct json *object, struct idp_user *user, struct arena *arena,
	      struct err *err) MUST_CHECK;

/*
 * A line of an export: *made, or changed who has the name already; secrets that it does not have are
 * kept. ERR_INVALID names the member that is wrong.
 */
enum store_result user_import(struct idp *idp, const struct json *object, struct arena *arena,
			      bool *made, struct err *err);

struct idp_role {
	struct span name;
	struct config_strings permissions;
	struct config_strings includes;
	uint64_t version; /* of what was read; 0: role_put replaces whatever is there */
};
enum store_result role_get(struct idp *idp, struct span name, struct arena *arena,
			   struct idp_role *role, struct err *err);
/* ERR_INVALID: a malformed permission, or a cycle. */
enum store_result role_put(struct idp *idp, const struct idp_role *role, struct arena *arena,
			   struct err *err);
enum store_result role_remove(struct idp *idp, struct span name, struct err *err);
enum store_result role_list(struct idp *idp, struct arena *arena, struct idp_role **roles,
			    size_t *count, struct err *err);
/* Roles that a group's members have. */
enum store_result group_get(struct idp *idp, struct span name, struct arena *arena,
			    struct config_strings *roles, struct err *err);
enum store_result group_put(struct idp *idp, struct span name,
			    const struct config_strings *roles, struct err *err);
enum store_result group_remove(struct idp *idp, struct span name, struct err *err);
struct idp_group {
	struct span name;
	struct config_strings roles;
	uint64_t version; /* as of a role */
};
enum store_result group_find(struct idp *idp, struct span name, struct arena *arena,
			     struct idp_group *group, struct err *err);
enum store_result group_store(struct idp *idp, const struct idp_group *group, struct err *err);
enum store_result group_list(struct idp *idp, struct arena *arena, struct idp_group **groups,
			     size_t *count, struct err *err);
void group_write(struct json_writer *w, struct span name, const struct config_strings *roles);
void role_write(struct json_writer *w, const struct idp_role *role);

/* The highest class that the user's factors reach (acr.h). */
enum idp_acr user_acr_most(const struct idp_user *user);
/* Has a second factor of any kind: a password alone opens nothing. */
bool user_has_second_factor(const struct idp_user *user);

/* What the user may do now: roles by way of groups and of roles, and the roles' permissions. */
struct idp_access {
	struct config_strings roles;
	struct config_strings permissions;
};
enum store_result user_access(struct idp *idp, const struct idp_user *user, struct arena *arena,
			      struct idp_access *access, struct err *err);

/* ---- brute force (throttle.c) ---- */

enum throttle_kind { THROTTLE_ACCOUNT, THROTTLE_ADDRESS, THROTTLE_FACTOR, THROTTLE_CLIENT };

/* Forgets failures and ends the wait. */
enum store_result throttle_clear(struct idp *idp, enum throttle_kind kind, struct span who,
				 struct err *err);

/* All of that for a user: by name, by entry of a directory, on known devices, and for codes. */
enum store_result user_unlock(struct idp *idp, const struct idp_user *user, struct arena *arena,
			      struct err *err);

/* ---- sessions (session.c) ---- */

struct idp_session {
	struct span id; /* the SHA-256 of the cookie, in hexadecimal */
	struct span user;
	struct span address;
	struct span agent;
	struct config_strings methods; /* amr: "pwd", "otp" */
	int64_t authenticated_unix_s;
	int64_t created_unix_s;
	int64_t seen_unix_s;
	int64_t expires_unix_s; /* at the latest */
	uint64_t version;
};
enum store_result session_list(struct idp *idp, struct span user, struct arena *arena,
			       struct idp_session **sessions, size_t *count, struct err *err);
/* Ends it; tokens that were given out in it are revoked. STORE_ABSENT: there is none. */
enum store_result session_end(struct idp *idp, struct span id, struct err *err);
enum store_result session_end_all(struct idp *idp, struct span user, struct span but,
				  struct arena *arena, struct err *err);

/* ---- OAuth clients (client.c) ---- */

struct idp_client {
	struct span id;
	struct span name; /* for people */
	struct span secret; /* its SHA-256 in hexadecimal; empty: a public client */
	struct config_strings redirects; /* compared byte by byte */
	struct config_strings logout_redirects;
	struct config_strings grants; /* "authorization_code", "refresh_token", ... */
	struct config_strings scopes; /* that it may ask for */
	struct config_strings resources; /* besides the issuer: values of `aud` (RFC 8707) */
	struct config_strings roles; /* of its own tokens (client_credentials) */
	/*
	 * How it authenticates (RFC 7591 section 2): empty for its secret, or as a public client;
	 * "private_key_jwt", "tls_client_auth" or "self_signed_tls_client_auth".
	 */
	struct span auth_method;
	struct span jwks; /* its public keys, a JSON Web Key set; empty: none, or */
	struct span jwks_uri; /* where they are */
	struct span tls_subject; /* RFC 8705 section 2.1.2: one of these */
	struct span tls_dns;
	struct span tls_uri;
	bool bound_tokens; /* its tokens are bound to its certificate (RFC 8705 section 3) */
	bool dpop; /* its tokens are bound to a key (RFC 9449) */
	bool require_par; /* RFC 9126 */
	bool opaque; /* its access tokens are no JWTs */
	bool registered; /* it has registered itself (RFC 7591) */
	struct config_strings exchange; /* clients whose tokens it may exchange; "*": all */
	struct span logout_uri; /* told of logouts (OpenID Connect Back-Channel Logout) */
	bool consent; /* its users are asked */
	bool disabled;
	int64_t created_unix_s;
	uint64_t version;
};

/*
 * Is it one of its redirect URIs, byte by byte? But for the port of a program on the user's own machine
 * (a public client, http://127.0.0.1 or http://[::1]), which it cannot choose: RFC 8252 section 7.3.
 */
bool client_may_send_to(const struct idp_client *client, struct span uri);
/* It has something to show: a secret, a key or a certificate. */
bool client_is_confidential(const struct idp_client *client);
enum store_result client_get(struct idp *idp, struct span id, struct arena *arena,
			     struct idp_client *client, struct err *err);
/* A copy whose texts are in the arena; -1 without memory. */
int client_copy(struct idp_client *to, const struct idp_client *from,
		struct arena *arena) MUST_CHECK;
/* ERR_INVALID: a redirect URI, a grant or a scope that there cannot be. */
enum store_result client_put(struct idp *idp, const struct idp_client *client, struct err *err);
enum store_result client_remove(struct idp *idp, struct span id, struct err *err);
enum store_result client_list(struct idp *idp, struct span after, size_t limit,
			      struct arena *arena, struct idp_client **clients, size_t *count,
			      bool *more, struct err *err);
/* What client_write has written, and clients are kept as; `client` holds what that does not say. */
int client_read(const struct json *object, struct idp_client *client,
		struct arena *arena) MUST_CHECK;
void client_write(struct json_writer *w, const struct idp_client *client, bool secrets);
/* A new secret, of which the client keeps the digest. */
int client_new_secret(struct idp_client *client, struct arena *arena,
		      struct span *secret) MUST_CHECK;

/* ---- signing keys (signing.c) ---- */

/* A new key now; older ones stay for verification. */
enum store_result signing_rotate(struct idp *idp, const struct config *cfg, struct err *err);
/* One line of JSON a key. */
enum store_result signing_list(struct idp *idp, struct buf *to, struct err *err);

/* ---- for callers ---- */

/* The words of a separated list, each once; they point into the text. */
int texts_split(struct span text, char separator, struct arena *arena,
		struct config_strings *to) MUST_CHECK;
/* The name by which failures are counted for a known device of the user (flow_device_key). */
struct span throttle_device_name(struct span name, struct span device,
				 struct arena *arena) MUST_CHECK;
/* See idp_options.audit; `name` and `second` may be NULL. */
void idp_audit(struct idp *idp, const char *event, const char *name, struct span value,
	       const char *second, struct span second_value);
/* A password that is used once, for the user; the new one in *password (wipe it). */
enum store_result user_reset_password(struct idp *idp, const struct config *cfg,
				      struct idp_user *user, struct arena *arena,
				      struct span *password, struct err *err);

#endif
