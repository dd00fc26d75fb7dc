/*
 * admin_call.h - a call of the admin API, as the files that serve its areas share it. An area's
 * function answers the call in every case. Private to src/identity.
 */
#ifndef IDENTITY_ADMIN_CALL_H
#define IDENTITY_ADMIN_CALL_H

#include "identity/web.h"

/* Of a list, when the caller names no number. */
#define ADMIN_LIST_DEFAULT 100

struct admin_call {
	struct idp_exchange *x;
	struct span name; /* after the area; empty: all */
	struct span action; /* after the name; empty: none */
	const struct json *body; /* NULL: none */
	struct form query;
	struct err err;
	struct json_writer w;
	struct buf out;
};

/* ---- answers (admin_api.c) ---- */

/* RFC 9457. `detail` may be NULL. */
void admin_problem(struct idp_exchange *x, unsigned status, const char *type, const char *title,
		   const char *detail);
/* Why it was not done: by the result, and by c->err when that is STORE_FAILED. */
void admin_refuse(struct admin_call *c, enum store_result result);
void admin_not_allowed(struct admin_call *c, const char *allow);
/* What is written is answered with admin_answer; a version other than 0 becomes the ETag. */
struct json_writer *admin_begin(struct admin_call *c);
void admin_answer(struct admin_call *c, unsigned status, uint64_t version);
/* 200 with an empty object. */
void admin_done(struct admin_call *c);
/* False: If-Match names another version, and the call was answered. */
bool admin_matches(struct admin_call *c, uint64_t version);
/* False: there is no body, and the call was answered. */
bool admin_need_body(struct admin_call *c);
/* With who made the call. `what` NULL: the event says it all. */
void admin_audit(struct admin_call *c, const char *event, const char *what, struct span which);

/* ---- areas ---- */

void admin_users(struct admin_call *c);
void admin_roles(struct admin_call *c);
void admin_groups(struct admin_call *c);
void admin_clients(struct admin_call *c);
void admin_sessions(struct admin_call *c);
void admin_keys(struct admin_call *c);

#endif
