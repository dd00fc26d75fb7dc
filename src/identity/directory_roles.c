/* Roles and groups, and what they add up to. */
#include "identity/idp_internal.h"

#define RECORD_BYTES ((size_t)256 * 1024)
#define ROLES_MAX 1024

static enum store_result read_role(struct span name, const struct store_record *record,
				   struct arena *arena, struct idp_role *role, struct err *err)
{
	const struct json *object = idp_parse(record->value, arena, err);

	if (!object)
		return STORE_FAILED;
	role->name = name;
	role->version = record->version;
	if (json_texts(object, "permissions", arena, &role->permissions) < 0 ||
	    json_texts(object, "includes", arena, &role->includes) < 0)
		return idp_no_memory(err);
	return STORE_OK;
}

enum store_result role_get(struct idp *idp, struct span name, struct arena *arena,
			   struct idp_role *role, struct err *err)
{
	struct store_record record;
	enum store_result result =
		store_get(idp->store, SPAN("role"), name, arena, &record, err);

	return result == STORE_OK ? read_role(name, &record, arena, role, err) : result;
}

/* The names and all that they include, each once. Roles that are not stored have only a name. */
static enum store_result close_roles(struct idp *idp, struct config_strings *names,
				     struct config_strings *permissions, struct arena *arena,
				     struct err *err)
{
	struct span *all = arena_array(arena, struct span, ROLES_MAX);
	struct span *held = arena_array(arena, struct span, ROLES_MAX);

	if (!all || !held)
		return idp_no_memory(err);
	if (names->count > ROLES_MAX)
		names->count = ROLES_MAX;
	if (names->count)
		memcpy(all, names->at, names->count * sizeof(*all));
	names->at = all;
	permissions->at = held;
	permissions->count = 0;
	for (size_t i = 0; i < names->count; i++) {
		struct idp_role role = {.includes = {.count = 0}};

		if (role_get(idp, all[i], arena, &role, err) == STORE_FAILED)
			return STORE_FAILED;
		for (size_t j = 0; j < role.includes.count && names->count < ROLES_MAX; j++)
			if (!texts_have(names, role.includes.at[j]))
				all[names->count++] = role.includes.at[j];
		for (size_t j = 0; j < role.permissions.count && permissions->count < ROLES_MAX;
		     j++)
			if (!texts_have(permissions, role.permissions.at[j]))
				held[permissions->count++] = role.permissions.at[j];
	}
	return STORE_OK;
}

enum store_result role_put(struct idp *idp, const struct idp_role *role, struct arena *arena,
			   struct err *err)
{
	struct config_strings below = role->includes, permissions;
	struct store_change change = {.kind = SPAN("role"),
				      .key = role->name,
				      .expect = role->version ? STORE_EXPECT_VERSION
							      : STORE_EXPECT_ANY,
				      .version = role->version};
	struct json_writer w;
	struct buf value;

	if (!permissions_valid(&role->permissions, arena)) {
		(void)err_set(err, ERR_INVALID, "a permission is malformed");
		return STORE_FAILED;
	}
	if (close_roles(idp, &below, &permissions, arena, err) != STORE_OK)
		return STORE_FAILED;
	if (texts_have(&below, role->name)) {
		(void)err_set(err, ERR_INVALID, "the role would include itself");
		return STORE_FAILED;
	}
	buf_init(&value, RECORD_BYTES);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_put_texts(&w, "permissions", &role->permissions);
	json_put_texts(&w, "includes", &role->includes);
	json_end_object(&w);
	return idp_commit(idp->store, &change, 1, &value, err);
}

enum store_result role_remove(struct idp *idp, struct span name, struct err *err)
{
	const struct store_change change = {.kind = SPAN("role"), .key = name, .remove = true};

	return store_commit(idp->store, &change, 1, err);
}

enum store_result role_list(struct idp *idp, struct arena *arena, struct idp_role **roles,
			    size_t *count, struct err *err)
{
	struct store_page page;

	if (store_list(idp->store, SPAN("role"), SPAN_NONE, SPAN_NONE, STORE_PAGE_MAX, arena,
		       &page, err) != STORE_OK)
		return STORE_FAILED;
	*roles = arena_array(arena, struct idp_role, page.count + 1);
	if (!*roles)
		return idp_no_memory(err);
	for (size_t i = 0; i < page.count; i++)
		if (read_role(page.records[i].key, &page.records[i], arena, &(*roles)[i],
			      err) != STORE_OK)
			return STORE_FAILED;
	*count = page.count;
	return STORE_OK;
}

static enum store_result read_group(struct span name, const struct store_record *record,
				    struct arena *arena, struct idp_group *group,
				    struct err *err)
{
	const struct json *object = idp_parse(record->value, arena, err);

	if (!object)
		return STORE_FAILED;
	*group = (struct idp_group){.name = name, .version = record->version};
	return json_texts(object, "roles", arena, &group->roles) < 0 ? idp_no_memory(err)
								     : STORE_OK;
}

enum store_result group_find(struct idp *idp, struct span name, struct arena *arena,
			     struct idp_group *group, struct err *err)
{
	struct store_record record;
	enum store_result result =
		store_get(idp->store, SPAN("group"), name, arena, &record, err);

	return result == STORE_OK ? read_group(name, &record, arena, group, err) : result;
}

enum store_result group_get(struct idp *idp, struct span name, struct arena *arena,
			    struct config_strings *roles, struct err *err)
{
	struct idp_group group;
	enum store_result result = group_find(idp, name, arena, &group, err);

	if (result == STORE_OK)
		*roles = group.roles;
	return result;
}

enum store_result group_store(struct idp *idp, const struct idp_group *group, struct err *err)
{
	struct store_change change = {.kind = SPAN("group"),
				      .key = group->name,
				      .expect = group->version ? STORE_EXPECT_VERSION
							       : STORE_EXPECT_ANY,
				      .version = group->version};
	struct json_writer w;
	struct buf value;

	buf_init(&value, RECORD_BYTES);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_put_texts(&w, "roles", &group->roles);
	json_end_object(&w);
	return idp_commit(idp->store, &change, 1, &value, err);
}

enum store_result group_put(struct idp *idp, struct span name,
			    const struct config_strings *roles, struct err *err)
{
	return group_store(idp, &(struct idp_group){.name = name, .roles = *roles}, err);
}

enum store_result group_remove(struct idp *idp, struct span name, struct err *err)
{
	const struct store_change change = {.kind = SPAN("group"), .key = name, .remove = true};

	return store_commit(idp->store, &change, 1, err);
}

enum store_result group_list(struct idp *idp, struct arena *arena, struct idp_group **groups,
			     size_t *count, struct err *err)
{
	struct store_page page;

	if (store_list(idp->store, SPAN("group"), SPAN_NONE, SPAN_NONE, STORE_PAGE_MAX, arena,
		       &page, err) != STORE_OK)
		return STORE_FAILED;
	*groups = arena_array(arena, struct idp_group, page.count + 1);
	if (!*groups)
		return idp_no_memory(err);
	for (size_t i = 0; i < page.count; i++)
		if (read_group(page.records[i].key, &page.records[i], arena, &(*groups)[i],
			       err) != STORE_OK)
			return STORE_FAILED;
	*count = page.count;
	return STORE_OK;
}

void group_write(struct json_writer *w, struct span name, const struct config_strings *roles)
{
	json_begin_object(w);
	json_member_string(w, SPAN("name"), name);
	json_put_texts(w, "roles", roles);
	json_end_object(w);
}

void role_write(struct json_writer *w, const struct idp_role *role)
{
	json_begin_object(w);
	json_member_string(w, SPAN("name"), role->name);
	json_put_texts(w, "permissions", &role->permissions);
	json_put_texts(w, "includes", &role->includes);
	json_end_object(w);
}

enum store_result user_access(struct idp *idp, const struct idp_user *user, struct arena *arena,
			      struct idp_access *access, struct err *err)
{
	struct span *names = arena_array(arena, struct span, ROLES_MAX);
	size_t count = 0;

	if (!names)
		return idp_no_memory(err);
	for (size_t i = 0; i < user->roles.count && count < ROLES_MAX; i++)
		names[count++] = user->roles.at[i];
	for (size_t i = 0; i < user->groups.count; i++) {
		struct config_strings roles = {.count = 0};

		if (group_get(idp, user->groups.at[i], arena, &roles, err) == STORE_FAILED)
			return STORE_FAILED;
		for (size_t j = 0; j < roles.count && count < ROLES_MAX; j++) {
			const struct config_strings so_far = {names, count};

			if (!texts_have(&so_far, roles.at[j]))
				names[count++] = roles.at[j];
		}
	}
	access->roles = (struct config_strings){names, count};
	if (close_roles(idp, &access->roles, &access->permissions, arena, err) != STORE_OK)
		return STORE_FAILED;
	for (size_t i = 0; i < user->permissions.count && access->permissions.count < ROLES_MAX;
	     i++)
		if (!texts_have(&access->permissions, user->permissions.at[i]))
			access->permissions.at[access->permissions.count++] =
				user->permissions.at[i];
	return STORE_OK;
}
