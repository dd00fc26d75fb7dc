/* role_map.h - what other providers and directories say of a user, as roles here. Private to
 * src/identity. */
#ifndef IDENTITY_ROLE_MAP_H
#define IDENTITY_ROLE_MAP_H

#include "config/config.h"
#include "identity/idp_internal.h"

typedef bool role_map_says(const void *context, struct span value);

/*
 * Roles whose value is said are in *roles afterwards, those that the map might give otherwise are
 * not, and all others stay. *changed is set when that changes something. -1 without memory.
 */
int role_map_apply(const struct config_role_map *maps, size_t count, role_map_says *says,
		   const void *context, struct config_strings *roles, bool *changed,
		   struct arena *arena) MUST_CHECK;

#endif
