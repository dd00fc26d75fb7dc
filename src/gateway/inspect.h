/*
 * inspect.h - the web application firewall in the pipeline: what a snapshot, a worker and an
 * exchange hold for it. Private to src/gateway.
 *
 * The phase `inspect` shows the request to the rules. Where rules look at responses, the transaction
 * stays open: the phase `forward` shows it the service's answer, and inspect_end runs phase 5.
 */
#ifndef GATEWAY_INSPECT_H
#define GATEWAY_INSPECT_H

#include "gateway/exchange.h"
#include "parse/coding.h"
#include "waf/waf.h"

/* A transaction that waits for its response; in the exchange's arena. */
struct inspection {
	struct exchange *e;
	struct waf_transaction *t;
	struct waf_verdict verdict; /* of the last phase that ran */
	int request_score;
	bool block; /* the mode */
	bool failed; /* the rules could not be run to their end */
	bool of_response; /* the verdict is on the response */
	bool unreadable; /* the response's coding, or what is in it */
	struct buf decoded; /* the response's body, where it was coded */
	enum coding coding;
	struct err err;
};

/* Nothing more is to be run: blocked, or failed. */
static inline bool inspection_is_decided(const struct inspection *in)
{
	return in->failed || in->verdict.action != WAF_PASS;
}

/* Writes the transaction's record, if it has something to say. */
void inspect_record(struct inspection *in);

/*
 * Phase 5, the record, the counters; gives the transaction back. For every exchange with
 * e->inspection, once, at the latest at its end.
 */
void inspect_end(struct exchange *e);

/* ---- responses ------------------------------------------------------------------------------- */

/*
 * The codings in which the service may answer, of those that the client accepts in this field:
 * what the rules can read. ptr NULL: none, leave the field out.
 */
struct span inspect_accept_encoding(const struct exchange *e, struct span accepted);
/*
 * Phase 3, with the head of the response. False: it must not pass; see inspect_refuse_response.
 * *hold_bytes: so much of the body is to be held for inspect_response_body, 0: nothing, it is of no
 * interest. Without e->inspection there is nothing to do.
 */
bool inspect_response_head(struct exchange *e, const struct http1_head *head, bool no_content,
			   uint64_t *hold_bytes);
/*
 * Phase 4, with what was held of the body, which must last until inspect_end. False: it must not
 * pass.
 */
bool inspect_response_body(struct exchange *e, struct span held, bool whole);
/* The answer in place of the service's, which has been given back. */
enum phase_result inspect_refuse_response(struct exchange *e);

/* ---- snapshot, worker ------------------------------------------------------------------------ */

/*
 * Compiles the rules (blocking, seconds without a warm cache) and makes the policies that routes
 * need; patches take their counters over from `previous`, which may be NULL. 0 or -1; what was built is released with the snapshot.
 */
int inspect_load(struct snapshot *snapshot, const struct snapshot *previous,
		 struct err *err) MUST_CHECK;
void inspect_release(struct snapshot *snapshot);
/* Frees what a worker keeps for it. */
void inspect_release_worker(struct worker *worker);

#endif
