/*
 * ldap_login.h - logging in by a password that a directory knows, the user here that goes with the
 * entry there, and whether it is there still. Private to src/identity.
 */
#ifndef IDENTITY_LDAP_LOGIN_H
#define IDENTITY_LDAP_LOGIN_H

#include "identity/ldap_call.h"
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

/* ---- what logins and later looks share (ldap_login.c) ---- */

/* "directory:NAME ID", as links to providers are "ISSUER SUBJECT"; ptr NULL without memory. */
struct span ldap_link(const struct config_ldap *config, struct span id, struct arena *arena);
/* The directory has the say in all that it says. */
int ldap_take_person(const struct config_ldap *config, const struct ldap_person *person,
		     struct idp_user *user, bool *changed, struct arena *arena) MUST_CHECK;
/* A directory that has failed is left alone for a while. By its place. */
bool ldap_rests(struct idp *idp, size_t place);
void ldap_note_away(struct idp *idp, size_t place, const struct err *err);

/* ---- is the user there still? (ldap_recheck.c; idp_recheck asks) ---- */

/* `name`, as it was typed, is how the entry is found again. */
enum store_result ldap_note_login(struct idp_exchange *x, const struct idp_user *user,
				  const struct config_ldap *config, struct span link,
				  struct span name, struct err *err);
/*
 * Before anything is given to a user on the word of an earlier login. STORE_FAILED with
 * ERR_UNAVAILABLE: the directory could not be asked about the user for longer than is allowed.
 */
enum store_result ldap_check_known(struct idp *idp, const struct config *cfg,
				   const struct idp_user *user, struct arena *arena,
				   struct err *err);
/*
 * The same for who logs in without the directory's password (by a passkey, or elsewhere): asks it
 * where that was not done lately, and takes as long as that takes. STORE_ABSENT: the user has gone
 * from it, and was logged out everywhere.
 */
enum store_result ldap_confirm(struct idp *idp, const struct config *cfg,
			       const struct idp_user *user, struct arena *arena,
			       struct err *err);

#endif
