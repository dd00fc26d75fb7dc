/*
 * sent_code.h - one-time codes by mail and SMS: eight digits, kept as a MAC, good for a time and a
 * number of attempts, and so many an hour. Private to src/identity.
 */
#ifndef IDENTITY_SENT_CODE_H
#define IDENTITY_SENT_CODE_H

#include "identity/web.h"

enum sent_code_result {
	SENT_CODE_OK,
	SENT_CODE_TOO_MANY, /* this hour */
	SENT_CODE_FAILED, /* *err */
};

/*
 * May the user be sent one more message of this kind? Counts it. What strangers can ask for has a
 * count of its own, so that they cannot use up the codes of a login.
 */
enum sent_code_result sent_code_allow(struct idp_exchange *x, const char *kind,
				      const struct idp_user *user, struct err *err);
/*
 * Sends a code to the address or number by the channel ("email", "sms"). It replaces one that was
 * sent for the same purpose; `purpose` and `who` name it.
 */
enum sent_code_result sent_code_send(struct idp_exchange *x, const struct idp_user *user,
				     const char *purpose, struct span who, struct span channel,
				     struct span to, struct err *err);
/*
 * STORE_OK: it is right, and used up; *channel and *to (may be NULL) say how it was sent.
 * STORE_ABSENT: wrong, late, or tried too often. The attempt is counted before it is looked at.
 */
enum store_result sent_code_check(struct idp_exchange *x, const char *purpose, struct span who,
				  struct span code, struct span *channel, struct span *to,
				  struct err *err);
/* May the channel be used now, by the configuration and what is known of the user? */
bool sent_code_offers(const struct idp_exchange *x, const struct idp_user *user,
		      struct span channel);
/* "+" and 7 to 15 digits (E.164); ptr NULL: no number. Spaces, dashes and brackets are left out. */
struct span phone_normal(struct span phone, struct arena *arena) MUST_CHECK;

#endif
