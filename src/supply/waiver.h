/*
 * waiver.h - findings that somebody answers for, for a time. A waiver counts only when a security
 * champion has signed it; champions are listed in a file of their own, which those who write waivers
 * should not be able to change.
 *
 *	# waivers                                   # champions
 *	- id: CVE-2024-1234                         - name: alice
 *	  subject: pkg:npm/lodash                     key: <32 bytes of Ed25519, base64>
 *	  file: deploy/
 *	  reason: not reachable, see ticket 12
 *	  owner: bob
 *	  expires: 2026-12-31
 *	  champion: alice
 *	  signature: <64 bytes, base64>
 *
 * `id` is an advisory's id, one of its aliases, or a rule's; `subject` and `file` are prefixes of
 * the purl and of the place, and may be left out. The signature is over waiver_text().
 */
#ifndef SUPPLY_WAIVER_H
#define SUPPLY_WAIVER_H

#include "base/buf.h"
#include "parse/node.h"
#include "supply/rank.h"

struct waiver {
	struct span id;
	struct span subject;
	struct span file;
	struct span reason;
	struct span owner;
	struct span expires; /* YYYY-MM-DD, the last day on which it counts */
	struct span champion;
	struct span signature;
	uint32_t line;
	bool good; /* signed by a champion */
};

struct waiver_list {
	struct arena arena;
	struct waiver *at;
	size_t count;
	struct span *problems; /* what does not count, and why: of those that were read */
	size_t problem_count;
	size_t problem_capacity;
};

void waiver_list_init(struct waiver_list *list);
/* A zeroed list is allowed. */
void waiver_list_release(struct waiver_list *list);
/*
 * Reads waivers and checks their signatures with the champions' keys. -1: ERR_IO, ERR_SYNTAX,
 * ERR_INVALID (a waiver without id, reason, owner or day), ERR_MEMORY. A signature that is missing
 * or wrong is a problem of the list, not a failure.
 */
int waiver_list_read(struct waiver_list *list, const char *path, const char *champions_path,
		     struct err *err) MUST_CHECK;
/*
 * Marks vulnerabilities as waived and removes findings that are. What has expired by `now_s` does
 * not count and becomes a problem.
 */
void waiver_apply(struct waiver_list *list, const struct inventory *inv,
		  struct vulnerability_list *vulnerabilities, struct finding_list *findings,
		  int64_t now_s);

/*
 * What is signed: "sallyport waiver 1", then id, subject, file, reason, owner, expires, champion, a
 * line each as JSON strings. Appended to `to`.
 */
void waiver_text(const struct waiver *w, struct buf *to);
/* Prints the signature of every waiver of a file that names this champion, by a PEM private key. */
int waiver_sign(const char *path, const char *champion, const char *key_path, struct buf *to,
		struct err *err) MUST_CHECK;

#endif
