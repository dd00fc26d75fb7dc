/*
 * approval.h - sensitive operations wait for people. A request to one is written down, with a
 * digest of all that matters of it; people with the required role approve or deny it; then exactly
 * that request may be made, once, by who asked for it, until it expires.
 *
 * Everything is in the store: what was acknowledged survives the end of the process, and each step
 * is one commit that expects the version it has read, so that of two at once one fails. The step
 * to APPROVAL_USED comes before the request is forwarded: a crash between them loses the approval,
 * and never forwards twice.
 *
 * All functions block (store.h) and may be called by any thread.
 */
#ifndef GUARD_APPROVAL_H
#define GUARD_APPROVAL_H

#include "base/buf.h"
#include "store/store.h"

#define APPROVAL_ID_BYTES 26 /* "a_" and 24 hexadecimal digits */
#define APPROVAL_DIGEST_BYTES 64 /* SHA-256 in hexadecimal digits */
#define APPROVAL_VOTES_MAX 16
#define APPROVAL_REASON_BYTES_MAX 1000

enum approval_state {
	APPROVAL_PENDING,
	APPROVAL_APPROVED,
	APPROVAL_DENIED,
	APPROVAL_USED,
	APPROVAL_EXPIRED, /* seen from the clock; the record may say pending or approved */
};

struct approval_vote {
	struct span by;
	struct span reason; /* may be empty */
	int64_t unix_ms;
	bool approves;
};

/* One request that asks for approval; everything lives in the arena it was read into. */
struct approval {
	struct span id;
	struct span operation;
	struct span requester; /* who may use it */
	struct span method;
	struct span target; /* path and query, for people to read */
	struct span digest; /* of the request: APPROVAL_DIGEST_BYTES */
	struct span role; /* that approvers must have */
	uint32_t needed; /* approvals */
	int64_t created_unix_ms;
	int64_t expires_unix_ms;
	int64_t used_unix_ms; /* 0: not yet */
	enum approval_state state;
	struct approval_vote votes[APPROVAL_VOTES_MAX];
	size_t vote_count;
	uint64_t version; /* of the record */
};

/* What is asked for. */
struct approval_request {
	struct span operation;
	struct span requester;
	struct span method;
	struct span target;
	struct span digest;
	struct span role;
	uint32_t needed; /* 1 to APPROVAL_VOTES_MAX */
	uint32_t pending_max; /* of this requester; 0: any number */
	int64_t now_unix_ms;
	int64_t expires_unix_ms;
};

enum approval_result {
	APPROVAL_OK,
	APPROVAL_ABSENT, /* there is no such approval */
	APPROVAL_OWN, /* who asks may not decide */
	APPROVAL_TWICE, /* has decided already */
	APPROVAL_CLOSED, /* denied, used or expired: see the state */
	APPROVAL_WAITING, /* not approved yet */
	APPROVAL_TOO_MANY, /* of this requester wait already */
	APPROVAL_OTHER, /* it is for another request, or another requester */
	APPROVAL_FAILED, /* the store failed: *err says why; what was asked may have happened */
};

/*
 * The SHA-256, in hexadecimal digits, of a request: method, target, content type and body, each
 * with its length, so that no two requests have the same text. -1: out of memory.
 */
int approval_digest(struct span method, struct span target, struct span content_type,
		    struct span body, char digest[APPROVAL_DIGEST_BYTES],
		    struct err *err) MUST_CHECK;
/*
 * The approval of this request: one that is pending or approved, or a new one. The same requester
 * asking for the same gets the same, however often it is asked. APPROVAL_OK, APPROVAL_TOO_MANY (of
 * two that ask at once both may be let in) or APPROVAL_FAILED.
 */
enum approval_result approval_ask(struct store *store, const struct approval_request *request,
				  struct arena *arena, struct approval *approval,
				  struct err *err);
/* APPROVAL_OK, APPROVAL_ABSENT or APPROVAL_FAILED. */
enum approval_result approval_get(struct store *store, struct span id, int64_t now_unix_ms,
				  struct arena *arena, struct approval *approval,
				  struct err *err);
/*
 * A decision. One denial closes it; `needed` approvals of different people open it. The caller has
 * checked that who decides has the role. *approval is how it then is, also after APPROVAL_CLOSED
 * and APPROVAL_TWICE.
 */
enum approval_result approval_decide(struct store *store, struct span id,
				     const struct approval_vote *vote, struct arena *arena,
				     struct approval *approval, struct err *err);
/* Takes the approval for the one request that it is for. After APPROVAL_OK it may be made. */
enum approval_result approval_use(struct store *store, struct span id, struct span requester,
				  struct span digest, int64_t now_unix_ms, struct arena *arena,
				  struct approval *approval, struct err *err);

struct approval_list {
	struct approval *at;
	size_t count;
	bool more; /* ask again, after the last id */
};
/*
 * Those in a state as the store has it (APPROVAL_EXPIRED is none), by id; at most `limit`. 0 or
 * -1.
 */
int approval_list(struct store *store, enum approval_state state, struct span after,
		  size_t limit, int64_t now_unix_ms, struct arena *arena,
		  struct approval_list *list, struct err *err) MUST_CHECK;

/* "pending", "approved", "denied", "used", "expired". */
const char *approval_state_name(enum approval_state state);
bool approval_state_parse(struct span word, enum approval_state *state);
/* A sentence for people. */
const char *approval_result_text(enum approval_result result);

/* The approval as a JSON object: what the store keeps, the admin API and commands print. */
void approval_write(const struct approval *approval, struct buf *to);

/*
 * Signed links: whoever has one may decide in the name of `approver`, once, until the approval
 * expires. The key is made at first use and kept in the store.
 *
 * The token is "ID.APPROVER.SIGNATURE" with the approver in base64url and an HMAC-SHA256 over what
 * precedes; it is put into the arena. 0 or -1.
 */
int approval_link_make(struct store *store, struct span id, struct span approver,
		       struct arena *arena, struct span *token, struct err *err) MUST_CHECK;
/* APPROVAL_OK with *id and *approver, APPROVAL_ABSENT for a token that is not ours, or FAILED. */
enum approval_result approval_link_read(struct store *store, struct span token,
					struct arena *arena, struct span *id,
					struct span *approver, struct err *err);

#endif
