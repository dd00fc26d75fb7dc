/*
 * idp.h - the identity server: users, roles, sessions, and an OAuth 2.0 / OpenID Connect server, on
 * a store. One a process, for all threads; it outlives reloads of the configuration.
 *
 * Everything that looks into the store or hashes a password blocks, and belongs to an offload
 * thread or a command line. What a worker asks at each request (idp_is_revoked, idp_session_peek)
 * does not: it looks into memory.
 */
#ifndef IDENTITY_IDP_H
#define IDENTITY_IDP_H

#include "identity/identity.h"
#include "store/store.h"

struct idp;
struct idp_access;

struct idp_options {
	struct config *config; /* a reference is taken; for the store and the key file */
	/*
	 * Told of everything that matters to security; `members` is further JSON, as
	 * audit_event takes it. Any thread. NULL: nobody listens.
	 */
	void (*audit)(void *context, const char *event, struct span members);
	void *audit_context;
};

/* Does the configuration ask for one? */
bool idp_is_wanted(const struct config *cfg);
/* The file that seals secrets: as configured, or beside the SQLite file. Empty: out of memory. */
struct span idp_key_file(const struct config *cfg, struct arena *arena);
/*
 * Opens the store and the key file. With `serve` also makes what a server needs where it is
 * missing: signing keys, and the first administrator, whose one-time password is then in
 * idp_first_password until the server ends. Blocks.
 */
struct idp *idp_open(const struct idp_options *options, bool serve, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void idp_close(struct idp *idp);
/* Empty unless this process has made the administrator. */
struct span idp_first_password(const struct idp *idp);

/* ---- keys ------------------------------------------------------------------------------------ */

/*
 * Reads keys and revocations of other replicas, rotates keys that are due, sweeps the store. Every
 * second or so; blocks. *keys_changed: give the authenticator idp_jwks anew. -1: the store is
 * away; what is known stays in use.
 */
int idp_maintain(struct idp *idp, const struct config *cfg, bool *keys_changed,
		 struct err *err) MUST_CHECK;
/*
 * Tells clients of sessions that are over. Every second or so; blocks for as long as a client may
 * take to answer. -1: the store is away.
 */
int idp_tell_clients(struct idp *idp, const struct config *cfg, struct err *err) MUST_CHECK;
/*
 * Looks users of directories up again, some seconds of them at a time, and logs out who is not there
 * any more. Every half second or so; blocks for as long as a directory may take. -1: the store is
 * away; a directory that is away is no error.
 */
int idp_recheck(struct idp *idp, const struct config *cfg, struct err *err) MUST_CHECK;
/* The public keys as a JSON Web Key set. */
int idp_jwks(struct idp *idp, struct buf *to) MUST_CHECK;

/* ---- at each request ------------------------------------------------------------------------- */

/* Was the access token, its grant or its session taken back? Never blocks. */
bool idp_is_revoked(struct idp *idp, const struct identity *identity);

#define IDP_SESSION_COOKIE "__Host-sallyport"

/*
 * Lets the authenticator open the server's opaque tokens, for as long as the server is there. Before
 * workers use the authenticator.
 */
void authenticator_use_idp(struct authenticator *authenticator, const struct idp *idp);

/* A login, as the pipeline sees it. */
struct idp_login {
	struct span user; /* id */
	struct span name;
	struct config_strings roles;
	struct config_strings permissions;
	struct config_strings methods; /* see acr.h */
	int64_t authenticated_unix_s;
	int64_t expires_unix_s;
};
/* Looks the cookie's value up. STORE_OK, STORE_ABSENT or STORE_FAILED; blocks. */
enum store_result idp_login_find(struct idp *idp, const struct config *cfg, struct span cookie,
				 struct arena *arena, struct idp_login *login, struct err *err);

/*
 * The login as an identity for the calling worker, with one reference; NULL without memory. Does
 * not block. Like an access token it has the claims `acr`, `amr` and `auth_time`.
 */
struct identity *idp_login_identity(const struct idp_login *login,
				    const struct authenticator *authenticator) MUST_CHECK;

/* ---- figures ---- */

enum idp_counter {
	IDP_LOGINS_SUCCEEDED,
	IDP_LOGINS_FAILED,
	IDP_LOGINS_LOCKED, /* refused because of earlier failures */
	IDP_LOGINS_UNAVAILABLE, /* refused because a directory could not be asked */
	IDP_FACTORS_FAILED,
	IDP_FEDERATIONS_FAILED, /* back from another provider, and not let in */
	IDP_LOOKS_THERE, /* users of directories that were looked up again: they are there, */
	IDP_LOOKS_GONE, /* or not, and were logged out, */
	IDP_LOOKS_AWAY, /* or the directory has not said */
	IDP_COUNTERS,
};
/* In the form of Prometheus; any thread, does not block for long. */
void idp_metrics(struct idp *idp, struct buf *out);

/* ---- requests -------------------------------------------------------------------------------- */

#define IDP_FIELDS_MAX 16

/* The certificate of the client's connection. */
struct idp_certificate {
	bool verified; /* else nobody vouches for its names */
	struct span subject; /* RFC 4514 */
	struct config_strings dns_names;
	struct config_strings uris;
	struct span thumbprint; /* SHA-256 as base64url */
};

/* A request to the server and its answer; everything lives in the arena. */
struct idp_exchange {
	struct idp *idp;
	struct config *config;
	struct arena *arena;
	/* The request; absent fields are empty. */
	enum http_method method;
	struct span path; /* normalised */
	struct span query;
	struct span body;
	struct span cookie;
	struct span authorization;
	struct span content_type;
	struct span origin;
	struct span fetch_site;
	struct span user_agent;
	struct span if_match;
	/* Who asks for administration (idp_admin_area), and may what: bits of IDP_ADMIN_*. */
	struct span actor; /* empty: nobody */
	unsigned may_read;
	unsigned may_write;
	struct span address; /* of the client, as text; an IPv6 network of 64 bits */
	struct span dpop; /* RFC 9449; empty: none */
	bool dpop_repeated; /* and that is not allowed */
	const struct idp_certificate *certificate; /* NULL: none */
	/* What the tokens of the answer are bound to: keys as base64url; empty: to none. */
	struct span token_jkt;
	struct span token_x5t;
	const struct idp_access *own_access; /* of the client, where it is known; else NULL */
	/* The answer. */
	unsigned status;
	struct http_field fields[IDP_FIELDS_MAX];
	size_t field_count;
	struct span content;
	const char *reason; /* why it was refused, a stable word; NULL: it was not */
	bool unavailable; /* something is missing in the answer: it will be 503 */
	/*
	 * When the answer is to be sent, of clock_ms, so that its time tells nothing; 0: now. Takes
	 * `begun_ms`, when the request came.
	 */
	int64_t begun_ms;
	int64_t not_before_ms;
	/* What waits for other servers is left to idp_serve_rest; NULL: nothing is. */
	void (*rest)(struct idp_exchange *x);
	void *rest_of;
};

/*
 * Answers a token request by client credentials, an introspection, or what asks for a public
 * document (metadata, keys), when all that it takes is in memory: true. Otherwise false, and idp_serve has to. Does not block; fields may point into the
 * exchange, not into what the server keeps.
 */
bool idp_serve_now(struct idp_exchange *x) MUST_CHECK;
/* Logins at other providers are below this path. */
#define IDP_FEDERATION_PATH "/identity/federation/"
/* Below this path is the admin API (admin_api.c). */
#define IDP_ADMIN_PATH "/identity/admin/"
/* What it looks after. Permissions are "identity:read:AREA" and "identity:write:AREA". */
enum idp_admin_area {
	IDP_ADMIN_USERS,
	IDP_ADMIN_ROLES,
	IDP_ADMIN_GROUPS,
	IDP_ADMIN_CLIENTS,
	IDP_ADMIN_SESSIONS,
	IDP_ADMIN_KEYS,
	IDP_ADMIN_AREAS,
};
/* "users", ... */
const char *idp_admin_area_name(enum idp_admin_area area);

/* Gives an answer, or sets x->rest. Blocks. */
void idp_serve(struct idp_exchange *x);
/*
 * After idp_serve has set x->rest, in a thread that may wait for other servers. Always gives an
 * answer.
 */
void idp_serve_rest(struct idp_exchange *x);
/* Does the answer depend on other servers, so that idp_serve itself waits for them? */
bool idp_waits_for_others(const struct config *cfg, struct span path, struct span body);

#endif
