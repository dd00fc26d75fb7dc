/* idp_internal.h - what the files of the identity server share. Private to src/identity. */
#ifndef IDENTITY_IDP_INTERNAL_H
#define IDENTITY_IDP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "identity/acr.h"
#include "identity/idp_admin.h"
#include "identity/outbox.h"
#include "identity/vault.h"

struct signing_ring;
struct idp_memory;
struct federation_cache;

struct idp {
	struct store *store; /* users, clients, grants, keys */
	struct store
		*shared; /* sessions, revocations, counters; the same when there is no other */
	struct vault *vault;
	void (*audit)(void *context, const char *event, struct span members);
	void *audit_context;
	struct secret first_password;
	pthread_rwlock_t lock;
	/* Behind the lock. */
	struct signing_ring *ring; /* reference-counted */
	struct map revoked; /* id -> struct revoked */
	atomic_uint_least64_t revoked_count;
	struct idp_memory *memory;
	struct federation_cache *federation; /* what is known of other providers */
	struct tls_context *client_tls; /* for calls of ours; made when it is first needed */
	struct outbox *outbox; /* NULL: a command line */
	/* Of clock_ms; a directory that has failed is not asked again until then. By its place. */
	atomic_int_least64_t ldap_rests_until_ms[CONFIG_LDAP_MAX];
	atomic_uint_least64_t counters[IDP_COUNTERS];
	int64_t swept_unix_s; /* idp_maintain only, as the next */
	int64_t keys_loaded_unix_s;
	bool warned_of_password; /* that the grant is on, as the next */
	bool warned_of_implicit;
	int64_t look_next_ms; /* idp_recheck only, as the next */
	char looked_at[STORE_KEY_BYTES_MAX]; /* the last record of a round that is not over */
	size_t looked_at_len;
};

/* For calls of ours to clients: borrowed, until the server ends; NULL with *err. */
struct tls_context *idp_client_tls(struct idp *idp, const struct config *cfg, struct err *err);

#define SCRATCH_BYTES ((size_t)16 * 1024 * 1024)

/* ---- small things ---- */

void idp_count(struct idp *idp, enum idp_counter counter);

/* 128 random bits in hexadecimal, after a letter that says what it names. */
struct span idp_new_id(struct arena *arena, char letter) MUST_CHECK;
/* 256 random bits in base64url: a secret. */
struct span idp_new_secret(struct arena *arena) MUST_CHECK;
enum store_result idp_no_memory(struct err *err);
/* All of the changes, with what was written as the value of the first; wipes and releases it. */
enum store_result idp_commit(struct store *store, struct store_change *changes, size_t count,
			     struct buf *value, struct err *err);
/* The record's value as a tree; NULL with ERR_INTERNAL. */
const struct json *idp_parse(struct span value, struct arena *arena, struct err *err);
struct span json_text(const struct json *object, const char *name); /* else empty */
int64_t json_number(const struct json *object, const char *name); /* else 0 */
bool json_flag(const struct json *object, const char *name); /* else false */
/* An array of strings; -1 without memory. What is no string is passed over. */
int json_texts(const struct json *object, const char *name, struct arena *arena,
	       struct config_strings *to) MUST_CHECK;
void json_put_texts(struct json_writer *w, const char *name, const struct config_strings *list);
bool permissions_valid(const struct config_strings *list, struct arena *arena);
/* A name for people, as others say it: short, and without control characters. */
#define DISPLAY_BYTES_MAX 200
bool text_displayable(struct span text);
/* A copy with ASCII letters in lower case; ptr NULL without memory. */
struct span text_lower(struct span text, struct arena *arena) MUST_CHECK;
/* Adds it unless it is there, in a copy of the list. */
int texts_add(struct config_strings *list, struct span text, struct arena *arena) MUST_CHECK;
/* Takes it out of a copy of the list. */
int texts_remove(struct config_strings *list, struct span text, struct arena *arena) MUST_CHECK;
bool texts_have(const struct config_strings *list, struct span text);
struct span texts_join(const struct config_strings *list, char separator, struct arena *arena);

/* ---- brute force (throttle.c) ---- */

/* *wait_ms is 0 when an attempt may be made. */
enum store_result throttle_check(struct idp *idp, enum throttle_kind kind, struct span who,
				 int64_t *wait_ms, struct err *err);
/* Counts a failure; from config->failures on each is followed by a wait, twice as long as the
   last. Addresses, which many share, may fail ten times as often. */
enum store_result throttle_fail(struct idp *idp, const struct config_lockout *config,
				enum throttle_kind kind, struct span who, int64_t *wait_ms,
				struct err *err);
/* ---- sessions (session.c) ---- */

/* Ends the oldest of the user's sessions where there are too many. *cookie: what the browser
   gets. */
enum store_result session_start(struct idp *idp, const struct config_session *config,
				struct idp_session *session, struct arena *arena,
				struct span *cookie, struct err *err);
/* By the cookie's value; remembers that it was used. */
enum store_result session_find(struct idp *idp, const struct config_session *config,
			       struct span cookie, struct arena *arena,
			       struct idp_session *session, struct err *err);
/* Writes down which clients are to be told (oauth_logout.c). */
enum store_result oauth_session_ended(struct idp *idp, struct span session, struct err *err);
/* Of records of users of directories, by id (ldap_recheck.c). */
#define LDAP_KNOWN_KIND "directory-user"
/* All that clients were allowed by the user, with the tokens that they got (oauth.c). */
enum store_result oauth_grants_end_all(struct idp *idp, struct span user, struct arena *arena,
				       struct err *err);
/* The same login under a new id, with these methods: the old id opens nothing any more. */
enum store_result session_rotate(struct idp *idp, const struct config_session *config,
				 struct idp_session *session, struct arena *arena,
				 struct span *cookie, struct err *err);
/* What was shown in the session besides; session_rotate stores it. */
int session_add_method(struct idp_session *session, const char *method,
		       struct arena *arena) MUST_CHECK;
/* ---- staying logged in (remember.c) ---- */

/* Ends tokens by "user" or "family". */
enum store_result remember_end_all(struct idp *idp, const char *index, struct span value,
				   struct arena *arena, struct err *err);
/* ---- one-time passwords (totp.c) ---- */

/* Base32, for people and programs; ptr NULL without memory. */
struct span totp_new_secret(struct arena *arena) MUST_CHECK;
/* The step that the code is of, from now - 1 to now + 1 and after `last`; 0: the code is wrong. */
int64_t totp_check(struct span secret_base32, struct span code, int64_t last,
		   int64_t now_unix_s);
#define TOTP_RECOVERY_CODES 10
/* Codes for people, and what is kept of them. */
int totp_recovery(struct arena *arena, struct config_strings *codes,
		  struct config_strings *digests) MUST_CHECK;
/* Takes the code out of the list; false when it is not in it. */
bool totp_recovery_use(struct config_strings *digests, struct span code);

/* ---- revocation (revoke.c) ---- */

/* At once here, within a second on other replicas, until the time. */
enum store_result idp_revoke(struct idp *idp, struct span id, int64_t until_unix_ms,
			     struct err *err);
bool idp_is_revoked_id(struct idp *idp, struct span id);
enum store_result revoke_load(struct idp *idp, struct err *err);
void revoke_release(struct idp *idp);

/* ---- signing keys (signing.c) ---- */

enum store_result signing_load(struct idp *idp, const struct config *cfg, bool make,
			       bool *changed, struct err *err);
/* A JWT with the newest key. `typ` "at+jwt", "JWT" ... */
int signing_sign(struct idp *idp, struct span typ, struct span payload, struct buf *to,
		 struct err *err) MUST_CHECK;
/* The payload of a JWT of ours, of whatever age; ptr NULL: it is none. */
struct span signing_verify(struct idp *idp, struct span typ, struct span token,
			   struct arena *arena);
void signing_release(struct idp *idp);
#endif
