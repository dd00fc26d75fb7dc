/*
 * roles.h - roles with what they include and permit, expanded once. Immutable and shared by
 * threads; identities keep the table that they were made with. Private to src/identity.
 */
#ifndef IDENTITY_ROLES_H
#define IDENTITY_ROLES_H

#include "config/config.h"
#include "identity/permission.h"

struct role_table;

/* A role and those that it includes, itself first, each once. */
struct role {
	struct span name;
	struct permission_set permissions; /* its own only */
	const struct role **closure;
	size_t closure_count;
};

/* Copies what it needs. ERR_INVALID for a malformed permission or an unknown included role. */
struct role_table *role_table_new(const struct config *cfg, struct err *err) MUST_CHECK;
struct role_table *role_table_ref(struct role_table *table);
/* NULL is allowed. */
void role_table_unref(struct role_table *table);
/* NULL when there is none of that name. */
const struct role *role_table_find(const struct role_table *table, struct span name);

#endif
