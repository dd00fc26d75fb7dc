#include "identity/roles.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/mem.h"

#define ARENA_CAP_BYTES ((size_t)256 * 1024 * 1024)
#define ARENA_CHUNK_BYTES ((size_t)16 * 1024)

struct role_table {
	atomic_uint references;
	struct arena arena;
	struct map by_name; /* struct role */
	struct role *roles;
	size_t count;
};

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for the roles");
}

static int read_permissions(struct role_table *table, struct role *role,
			    const struct config_role *from, struct err *err)
{
	struct permission *all =
		arena_array(&table->arena, struct permission, from->permissions.count + 1);

	if (!all)
		return no_memory(err);
	for (size_t i = 0; i < from->permissions.count; i++) {
		struct span text = arena_dup(&table->arena, from->permissions.at[i]);

		if (!text.ptr)
			return no_memory(err);
		switch (permission_parse(&all[i], text, &table->arena)) {
		case PERMISSION_OK: break;
		case PERMISSION_MALFORMED:
			return err_set(err, ERR_INVALID,
				       "%s:%u: role \"%.*s\": malformed permission \"%.*s\"",
				       from->where.file, from->where.line, SPAN_ARG(from->name),
				       SPAN_ARG(text));
		case PERMISSION_NO_MEMORY: return no_memory(err);
		}
	}
	role->permissions = (struct permission_set){all, from->permissions.count};
	return 0;
}

static int read_roles(struct role_table *table, const struct config *cfg, struct err *err)
{
	table->count = cfg->identity.roles.count;
	table->roles = arena_array(&table->arena, struct role, table->count + 1);
	if (!table->roles)
		return no_memory(err);
	for (size_t i = 0; i < table->count; i++) {
		const struct config_role *from = &cfg->identity.roles.at[i];
		struct role *role = &table->roles[i];

		role->name = arena_dup(&table->arena, from->name);
		if (!role->name.ptr || map_put(&table->by_name, role->name, role) < 0)
			return no_memory(err);
		if (read_permissions(table, role, from, err) < 0)
			return -1;
	}
	return 0;
}

static bool closure_has(const struct role *role, const struct role *other)
{
	for (size_t i = 0; i < role->closure_count; i++) {
		if (role->closure[i] == other)
			return true;
	}
	return false;
}

/* Breadth first: the closure is its own queue. */
static int expand(struct role_table *table, const struct config *cfg, struct role *role,
		  struct err *err)
{
	role->closure = arena_array(&table->arena, const struct role *, table->count);
	if (!role->closure)
		return no_memory(err);
	role->closure[role->closure_count++] = role;
	for (size_t at = 0; at < role->closure_count; at++) {
		size_t index = (size_t)(role->closure[at] - table->roles);
		const struct config_role *from = &cfg->identity.roles.at[index];

		for (size_t i = 0; i < from->includes.count; i++) {
			const struct role *more =
				map_get(&table->by_name, from->includes.at[i]);

			if (!more)
				return err_set(err, ERR_INVALID,
					       "%s:%u: role \"%.*s\" includes \"%.*s\", which "
					       "does not exist",
					       from->where.file, from->where.line,
					       SPAN_ARG(from->name),
					       SPAN_ARG(from->includes.at[i]));
			if (!closure_has(role, more))
				role->closure[role->closure_count++] = more;
		}
	}
	return 0;
}

struct role_table *role_table_new(const struct config *cfg, struct err *err)
{
	struct role_table *table = mem_zalloc(1, sizeof(*table));

	if (!table) {
		no_memory(err);
		return NULL;
	}
	atomic_init(&table->references, 1);
	arena_init(&table->arena, ARENA_CAP_BYTES, ARENA_CHUNK_BYTES);
	if (read_roles(table, cfg, err) < 0)
		goto fail;
	for (size_t i = 0; i < table->count; i++) {
		if (expand(table, cfg, &table->roles[i], err) < 0)
			goto fail;
	}
	return table;
fail:
	role_table_unref(table);
	return NULL;
}

struct role_table *role_table_ref(struct role_table *table)
{
	atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
	return table;
}

void role_table_unref(struct role_table *table)
{
	if (!table ||
	    atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1)
		return;
	map_release(&table->by_name);
	arena_release(&table->arena);
	mem_free(table);
}

const struct role *role_table_find(const struct role_table *table, struct span name)
{
	return map_get(&table->by_name, name);
}
