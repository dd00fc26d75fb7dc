/* bun.lock, the textual lock file of bun: JSON with trailing commas. */
#include "base/map.h"
#include "supply/lock_parse.h"

/* "name@1.2.3", "name@workspace:dir", "name@git+ssh://...#commit" */
static void split(struct span id, struct span *name, struct span *version)
{
	size_t at = id.len ? 1 + span_find_byte(span_slice(id, 1, id.len), '@') : 0;

	*name = span_slice(id, 0, at);
	*version = span_slice(id, at + 1, id.len);
}

static uint32_t add_package(const struct lock_input *in, const struct node *entry)
{
	struct span id = node_text(node_first(entry));
	struct span name, version;
	struct component *c;
	uint32_t index;
	bool local, address;

	if (!id.len) {
		inventory_problem(in->inv, in->file, entry->line,
				  "a package without its name and version");
		return COMPONENT_NONE;
	}
	split(id, &name, &version);
	local = span_starts_with(version, SPAN("workspace:")) ||
		span_starts_with(version, SPAN("file:")) ||
		span_starts_with(version, SPAN("link:"));
	address = span_find_byte(version, ':') < version.len;
	c = lock_add(in, ECOSYSTEM_NPM, name, address ? SPAN("") : version, entry->line,
		     &index);
	if (!c)
		return COMPONENT_NONE;
	c->local = local;
	if (address && !local)
		(void)lock_vcs(in, c, version);
	node_for_each(part, entry)
	{
		if (node_is(part, NODE_STRING) && part != node_first(entry))
			lock_digest(in, c, part->text);
	}
	return index;
}

/* "a/b" looks for what it requires at "a/b/x", then "a/x", then "x". */
static uint32_t resolve(const struct lock_input *in, const struct map *keys, struct span from,
			struct span name)
{
	for (;;) {
		struct span key = from.len ? arena_printf(in->scratch, "%.*s/%.*s",
							  SPAN_ARG(from), SPAN_ARG(name))
					   : name;
		uint32_t index = lock_index_get(keys, key);

		if (index != COMPONENT_NONE || !from.len)
			return index;
		while (from.len && from.ptr[from.len - 1] != '/')
			from.len--;
		from.len -= from.len > 0;
	}
}

static const struct {
	struct span key;
	enum component_scope scope;
} kinds[] = {
	{SPAN_INIT("devDependencies"), SCOPE_DEV},
	{SPAN_INIT("optionalDependencies"), SCOPE_OPTIONAL},
	{SPAN_INIT("peerDependencies"), SCOPE_RUNTIME},
	{SPAN_INIT("dependencies"), SCOPE_RUNTIME},
};

int lock_bun(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_jsonc(in->scratch, in->text, err);
	const struct node *packages = node_get(root, SPAN("packages"));
	uint32_t first = in->inv->count;
	size_t first_edge = in->inv->edge_count;
	struct map keys = MAP_INIT;

	if (!root)
		return -1;
	if (!node_get(root, SPAN("lockfileVersion")) ||
	    (packages && packages->kind != NODE_MAP))
		return err_set(err, ERR_INVALID, "line 1: not a bun lock file");
	node_for_each(entry, packages)
		lock_index_put(in, &keys, entry->key, add_package(in, entry));
	node_for_each(entry, packages)
	{
		uint32_t from = lock_index_get(&keys, entry->key);

		node_for_each(part, entry)
		{
			for (size_t i = 1; i < COUNT_OF(kinds); i++) {
				node_for_each(required, node_get(part, kinds[i].key))
					inventory_edge(
						in->inv, from,
						resolve(in, &keys, entry->key, required->key));
			}
		}
	}
	node_for_each(project, node_get(root, SPAN("workspaces")))
	{
		for (size_t i = 0; i < COUNT_OF(kinds); i++) {
			node_for_each(wanted, node_get(project, kinds[i].key))
			{
				uint32_t index =
					resolve(in, &keys, node_text_at(project, SPAN("name")),
						wanted->key);

				if (index == COMPONENT_NONE)
					continue;
				in->inv->at[index].relation = RELATION_DIRECT;
				in->inv->at[index].scope = kinds[i].scope;
			}
		}
	}
	lock_spread_scopes(in, first, first_edge);
	map_release(&keys);
	return 0;
}
