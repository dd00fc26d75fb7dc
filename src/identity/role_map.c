#include "identity/role_map.h"

int role_map_apply(const struct config_role_map *maps, size_t count, role_map_says *says,
		   const void *context, struct config_strings *roles, bool *changed,
		   struct arena *arena)
{
	struct config_strings given = {NULL, 0}, mapped = {NULL, 0}, next = {NULL, 0};

	for (size_t i = 0; i < count; i++) {
		bool said = says(context, maps[i].value);

		for (size_t j = 0; j < maps[i].roles.count; j++)
			if (texts_add(&mapped, maps[i].roles.at[j], arena) < 0 ||
			    (said && texts_add(&given, maps[i].roles.at[j], arena) < 0))
				return -1;
	}
	for (size_t i = 0; i < roles->count; i++) {
		bool stays =
			!texts_have(&mapped, roles->at[i]) || texts_have(&given, roles->at[i]);

		*changed = *changed || !stays;
		if (stays && texts_add(&next, roles->at[i], arena) < 0)
			return -1;
	}
	for (size_t i = 0; i < given.count; i++) {
		*changed = *changed || !texts_have(&next, given.at[i]);
		if (texts_add(&next, given.at[i], arena) < 0)
			return -1;
	}
	*roles = next;
	return 0;
}
