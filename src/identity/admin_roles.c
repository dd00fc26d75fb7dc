/* Roles and groups in the admin API. */
#include "identity/admin_call.h"

static bool is_name(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] >= 0x7f)
			return false;
	return name.len > 0 && name.len <= 128;
}

static void list_roles(struct admin_call *c)
{
	struct idp_role *all;
	struct json_writer *w;
	size_t count;

	if (role_list(c->x->idp, c->x->arena, &all, &count, &c->err) != STORE_OK) {
		admin_refuse(c, STORE_FAILED);
		return;
	}
	w = admin_begin(c);
	json_begin_object(w);
	json_key(w, SPAN("roles"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		role_write(w, &all[i]);
	json_end_array(w);
	json_end_object(w);
	admin_answer(c, 200, 0);
}

static void show_role(struct admin_call *c)
{
	struct idp_role role;
	enum store_result result = role_get(c->x->idp, c->name, c->x->arena, &role, &c->err);

	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	role_write(admin_begin(c), &role);
	admin_answer(c, 200, role.version);
}

static void put_role(struct admin_call *c)
{
	struct idp_role role = {.name = c->name};
	enum store_result result = role_get(c->x->idp, c->name, c->x->arena, &role, &c->err);

	if (result == STORE_FAILED) {
		admin_refuse(c, result);
		return;
	}
	if (!admin_need_body(c) || !admin_matches(c, role.version))
		return;
	if (json_texts(c->body, "permissions", c->x->arena, &role.permissions) < 0 ||
	    json_texts(c->body, "includes", c->x->arena, &role.includes) < 0)
		result = idp_no_memory(&c->err);
	else
		result = role_put(c->x->idp, &role, c->x->arena, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, "role.changed", "role", role.name);
	show_role(c);
}

void admin_roles(struct admin_call *c)
{
	enum store_result result;
	struct idp_role role;

	if (!c->name.len && c->x->method == HTTP_METHOD_GET) {
		list_roles(c);
	} else if (!is_name(c->name)) {
		admin_not_allowed(c, "GET");
	} else if (c->x->method == HTTP_METHOD_GET) {
		show_role(c);
	} else if (c->x->method == HTTP_METHOD_PUT) {
		put_role(c);
	} else if (c->x->method == HTTP_METHOD_DELETE) {
		result = role_get(c->x->idp, c->name, c->x->arena, &role, &c->err);
		if (result == STORE_OK && !admin_matches(c, role.version))
			return;
		if (result == STORE_OK)
			result = role_remove(c->x->idp, c->name, &c->err);
		if (result != STORE_OK) {
			admin_refuse(c, result);
			return;
		}
		admin_audit(c, "role.removed", "role", c->name);
		admin_done(c);
	} else {
		admin_not_allowed(c, "GET, PUT, DELETE");
	}
}

static void list_groups(struct admin_call *c)
{
	struct idp_group *all;
	struct json_writer *w;
	size_t count;

	if (group_list(c->x->idp, c->x->arena, &all, &count, &c->err) != STORE_OK) {
		admin_refuse(c, STORE_FAILED);
		return;
	}
	w = admin_begin(c);
	json_begin_object(w);
	json_key(w, SPAN("groups"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		group_write(w, all[i].name, &all[i].roles);
	json_end_array(w);
	json_end_object(w);
	admin_answer(c, 200, 0);
}

static void show_group(struct admin_call *c)
{
	struct idp_group group;
	enum store_result result = group_find(c->x->idp, c->name, c->x->arena, &group, &c->err);

	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	group_write(admin_begin(c), group.name, &group.roles);
	admin_answer(c, 200, group.version);
}

static void change_group(struct admin_call *c)
{
	struct idp_group group = {.name = c->name};
	enum store_result result = group_find(c->x->idp, c->name, c->x->arena, &group, &c->err);
	bool remove = c->x->method == HTTP_METHOD_DELETE;

	if (result == STORE_FAILED || (remove && result != STORE_OK)) {
		admin_refuse(c, result);
		return;
	}
	if ((!remove && !admin_need_body(c)) || !admin_matches(c, group.version))
		return;
	if (remove)
		result = group_remove(c->x->idp, c->name, &c->err);
	else if (json_texts(c->body, "roles", c->x->arena, &group.roles) < 0)
		result = idp_no_memory(&c->err);
	else
		result = group_store(c->x->idp, &group, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, remove ? "group.removed" : "group.changed", "group", c->name);
	if (remove)
		admin_done(c);
	else
		show_group(c);
}

void admin_groups(struct admin_call *c)
{
	if (!c->name.len && c->x->method == HTTP_METHOD_GET)
		list_groups(c);
	else if (!is_name(c->name))
		admin_not_allowed(c, "GET");
	else if (c->x->method == HTTP_METHOD_GET)
		show_group(c);
	else if (c->x->method == HTTP_METHOD_PUT || c->x->method == HTTP_METHOD_DELETE)
		change_group(c);
	else
		admin_not_allowed(c, "GET, PUT, DELETE");
}
