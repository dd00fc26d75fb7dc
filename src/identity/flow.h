/*
 * flow.h - how far a browser is on its way in: who it has shown to be by which methods, and where
 * it goes afterwards. Between the steps the browser holds a cookie of a record. Private to
 * src/identity.
 */
#ifndef IDENTITY_FLOW_H
#define IDENTITY_FLOW_H

#include "identity/web.h"

struct flow {
	struct span id; /* digest of the cookie; empty: nothing is stored yet */
	struct idp_user user;
	struct config_strings methods; /* see acr.h */
	struct span back; /* where to go afterwards */
	bool remember; /* "keep me logged in" was ticked */
	int64_t authenticated_unix_s; /* 0: at the end of the flow */
};

enum store_result flow_get(struct idp_exchange *x, struct flow *flow, struct err *err);
/* A method more. */
int flow_add_method(struct idp_exchange *x, struct flow *flow, const char *method) MUST_CHECK;
/* Answers: with the page of what is missing, or with a session and the way back. */
void flow_go_on(struct idp_exchange *x, const struct flow *flow);
/* The step was missed, or took too long. */
void flow_start_over(struct idp_exchange *x, enum store_result result, const struct err *err);
/* "USER/DIGEST" of the browser's device cookie; STORE_ABSENT: it has none. */
enum store_result flow_device_key(struct idp_exchange *x, const struct idp_user *user,
				  struct span *key, struct err *err);
/* A form whose last redirect leads to a client needs that client's origin in form-action. */
struct span flow_client_origin(struct idp_exchange *x, struct span back);
/* The login page, with the name that was typed before (web_login.c). */
void login_show(struct idp_exchange *x, struct span back, struct span name, const char *alert,
		unsigned status);
/* What `back` asks for by acr_values. */
enum idp_acr flow_wanted(struct idp_exchange *x, struct span back);

/* ---- second factors (web_factor.c) ---- */

/* The flow of a user who has a second factor; false: the request was answered. */
bool factor_flow(struct idp_exchange *x, struct flow *flow);
/* The factor was right: the way goes on. */
void factor_passed(struct idp_exchange *x, struct flow *flow);
/* It was not; `blocked`: it was not even looked at, and does not count. Answers. */
void factor_failed(struct idp_exchange *x, const struct flow *flow, bool blocked);
/* A code of the user's app, or a recovery code, which is used up; written before it counts. */
enum store_result factor_use_code(struct idp_exchange *x, struct idp_user *user,
				  struct span code, bool *right, struct err *err);

/* ---- staying logged in (remember.c) ---- */

/* A token for the browser; `old_family` empty: it begins anew. */
enum store_result remember_start(struct idp_exchange *x, const struct flow *flow,
				 struct err *err);
/*
 * A session from the browser's token, which is renewed. STORE_ABSENT: none, or not any more.
 */
enum store_result remember_use(struct idp_exchange *x, struct idp_session *session,
			       struct idp_user *user, struct err *err);
/* Logging out: the token and its family end. */
enum store_result remember_end(struct idp_exchange *x, struct err *err);

#endif
