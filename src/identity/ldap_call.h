/*
 * ldap_call.h - one login asked of a directory (RFC 4511, 4513): who has the name, and is this the
 * password. By libldap; blocks, for at most the directory's timeout. No referrals are followed.
 * Private to src/identity.
 */
#ifndef IDENTITY_LDAP_CALL_H
#define IDENTITY_LDAP_CALL_H

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"

/* What a directory says of a user; in the arena. */
struct ldap_person {
	struct span id; /* never another's */
	struct span username;
	struct span name;
	struct span email;
	struct config_strings groups; /* as they are written there, and short names */
	struct config_strings short_groups;
	bool off; /* the entry says so by one of the attributes that directories have for it */
};

struct ldap_call;

/*
 * Looks for the entry. NULL: the directory cannot be asked, or its answer is not what it should
 * be. Without a search (`user_dn`) an entry is always taken to be there.
 */
struct ldap_call *ldap_call_new(const struct config_ldap *config, struct span name,
				struct arena *arena, struct err *err) MUST_CHECK;
/* There is just one such entry. */
bool ldap_call_found(const struct ldap_call *call);
/* Of the entry; empty where that is not known before its password was shown. */
struct span ldap_call_id(const struct ldap_call *call);
/*
 * Is it the password? With `dry` as much is asked, of nobody, and the answer is no. An empty
 * password is nobody's, although directories let it pass (RFC 4513 section 5.1.2). -1: the
 * directory has not said.
 */
int ldap_call_try(struct ldap_call *call, struct span password, bool dry, bool *right,
		  struct err *err) MUST_CHECK;
/* After the right password. */
int ldap_call_person(struct ldap_call *call, struct ldap_person *person,
		     struct err *err) MUST_CHECK;
/* Is there a way to look an entry up without its password? */
bool ldap_can_look(const struct config_ldap *config);
/*
 * Without the password: who has the name now. -1: the directory has not said; *found is only false
 * when it has answered that there is nobody.
 */
int ldap_call_look(struct ldap_call *call, struct ldap_person *person, bool *found,
		   struct err *err) MUST_CHECK;
/* NULL is allowed. */
void ldap_call_free(struct ldap_call *call);

/* For tests: the template with `{name}` and `{dn}` replaced, escaped by RFC 4515, or for a DN by
   RFC 4514. ptr NULL without memory. */
struct span ldap_fill_filter(struct span pattern, struct span name, struct span dn,
			     struct arena *arena) MUST_CHECK;
struct span ldap_fill_dn(struct span pattern, struct span name, struct arena *arena) MUST_CHECK;

#endif
