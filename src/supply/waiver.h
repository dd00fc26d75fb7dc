/*
 * waiver.h - findings that somebody answers for, for a time. A waiver counts only with the signature
 * (Ed25519) of a security champion whom the policy lists; so who may write this file need not be
 * who may decide.
 *
 *	- id: CVE-2024-1234            # of an advisory, one of its aliases, or a rule
 *	  component: pkg:npm/lodash    # what is left out does not restrict
 *	  versions: <4.17.21
 *	  path: deploy/
 *	  service: orders
 *	  reason: not reachable, see ticket 12
 *	  owner: bob
 *	  expires: 2026-12-31          # the last day
 *	  champion: alice
 *	  signature: <64 bytes, base64>
 */
#ifndef SUPPLY_WAIVER_H
#define SUPPLY_WAIVER_H

#include "supply/policy.h"

enum waiver_state {
	WAIVER_GOOD,
	WAIVER_UNSIGNED,
	WAIVER_STRANGER, /* its champion is not listed */
	WAIVER_ALTERED, /* the signature is not of what it says, or not the champion's */
	WAIVER_EXPIRED,
};

struct waiver {
	struct config_where where;
	struct span id;
	struct policy_scope scope;
	struct span reason;
	struct span owner;
	struct span expires; /* YYYY-MM-DD, the last day on which it counts */
	struct span champion;
	struct span signature;
	enum waiver_state state; /* by waiver_list_verify */
	size_t used; /* results that it silences */
};

struct waiver_list {
	CONFIG_LIST(struct waiver) all;
	struct table_memory memory;
};

/* Of one element. */
extern const struct schema_object waiver_schema;

/* As policy_load. */
int waiver_list_load(struct waiver_list *list, const char *path,
		     struct config_problems *problems) MUST_CHECK;
int waiver_list_load_text(struct waiver_list *list, struct span text, const char *name,
			  struct config_problems *problems) MUST_CHECK;
/* A zeroed list is allowed. */
void waiver_list_release(struct waiver_list *list);
/* Sets the states by the policy's champions. Returns how many do not count. */
size_t waiver_list_verify(struct waiver_list *list, const struct policy *policy, int64_t now_s);
/* Silences results by those that are good; their reasons live in the results' arena. */
int waiver_apply(struct waiver_list *list, struct result_list *results) MUST_CHECK;
/* A few words: "it has expired". */
const char *waiver_state_text(enum waiver_state state);

/*
 * What is signed: "sallyport waiver 1", then id, component, versions, path, service, reason, owner,
 * expires, champion, a line each, always all of them, as JSON strings. Appended to `to`.
 */
void waiver_text(const struct waiver *w, struct buf *to);
/* As an element of a file. */
void waiver_write(const struct waiver *w, struct buf *to);

struct waiver_signer {
	struct span champion;
	const char *key_path; /* Ed25519, PEM */
	struct span id; /* only of this id; empty: all that name the champion, or nobody */
};

/*
 * Appends the text of a file of waivers with those signed that are not yet, and leaves all else of
 * it as it was. Returns how many were signed, or -1: ERR_IO, ERR_INVALID.
 */
int waiver_sign(struct span text, const char *name, const struct waiver_signer *signer,
		struct buf *to, struct err *err) MUST_CHECK;

/*
 * The public key, as policies list it, of a private one in a PEM file. With `make` that file is made
 * first, readable by its owner only; it must not be there.
 */
int waiver_public_key(const char *key_path, bool make, struct buf *to,
		      struct err *err) MUST_CHECK;

#endif
