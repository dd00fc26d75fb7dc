/*
 * ldap_login.h - logging in by a password that a directory knows, and the user here that goes with
 * the entry there. Private to src/identity.
 */
#ifndef IDENTITY_LDAP_LOGIN_H
#define IDENTITY_LDAP_LOGIN_H

#include "identity/web.h"

struct ldap_attempt {
	struct span name; /* as typed, lower case */
	struct span password;
	const struct idp_user *known; /* who has that name here; NULL: nobody */
	bool blocked; /* by the counts of the name and the address: as much is asked, in vain */
	/* What came of it. */
	bool right;
	bool locked; /* an entry has failed too often: it was not tried */
	bool away; /* not right, and a directory that might have said yes has said nothing */
	struct idp_user user; /* when it is right */
	struct config_strings counts; /* of failures, one a directory, as those of the name */
};

/* Whether the user's password is that of a directory. */
bool ldap_has_user(const struct idp_user *user);
/*
 * Asks the directories in turn. Takes the same steps whatever is right or wrong, until the right
 * answer. STORE_FAILED: the store is away.
 */
enum store_result ldap_login(struct idp_exchange *x, struct ldap_attempt *attempt,
			     struct err *err);

#endif
