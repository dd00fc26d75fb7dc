/* Cargo.lock, versions 1 to 4. */
#include "base/map.h"
#include "parse/toml.h"
#include "supply/lock_parse.h"

struct reader {
	const struct lock_input *in;
	struct map names; /* "name" (the first) and "name version" -> component */
};

static uint32_t add(struct reader *r, const struct node *package)
{
	const struct lock_input *in = r->in;
	struct span source = node_text_at(package, SPAN("source"));
	struct span name = node_text_at(package, SPAN("name"));
	struct span version = node_text_at(package, SPAN("version"));
	struct span key;
	struct component *c;
	uint32_t index;

	c = lock_add(in, ECOSYSTEM_CARGO, name, version, package->line, &index);
	if (!c)
		return COMPONENT_NONE;
	if (!name.len || !version.len)
		inventory_problem(in->inv, in->file, package->line,
				  "a package without name or version");
	/* Members of the workspace have no source, nor have path dependencies. */
	c->local = source.len == 0;
	if (span_starts_with(source, SPAN("git+")))
		(void)lock_vcs(in, c, span_slice(source, 4, source.len));
	if (node_text_at(package, SPAN("checksum")).len == 64) {
		c->digest_algorithm = SPAN("sha256");
		c->digest = lock_text(in, node_text_at(package, SPAN("checksum")));
	}
	key = arena_printf(in->scratch, "%.*s %.*s", SPAN_ARG(name), SPAN_ARG(version));
	if (!key.ptr)
		in->inv->failed = true;
	else
		lock_index_put(in, &r->names, key, index);
	lock_index_put(in, &r->names, name.len ? name : SPAN(" "), index);
	return index;
}

/* "name", "name 1.2.3", "name 1.2.3 (source)" */
static uint32_t find(struct reader *r, struct span wanted)
{
	return lock_index_get(&r->names, span_slice(wanted, 0, span_find(wanted, SPAN(" ("))));
}

int lock_cargo(const struct lock_input *in, struct err *err)
{
	const struct node *root = toml_parse(in->scratch, in->text, err);
	const struct node *packages = node_get(root, SPAN("package"));
	struct reader r = {.in = in, .names = MAP_INIT};
	uint32_t index = in->inv->count;

	if (!root)
		return -1;
	if (packages && packages->kind != NODE_LIST)
		return err_set(err, ERR_INVALID, "line %u: package is no list", packages->line);
	node_for_each(package, packages)
	{
		if (add(&r, package) == COMPONENT_NONE)
			break;
	}
	node_for_each(package, packages)
	{
		if (index >= in->inv->count)
			break;
		node_for_each(required, node_get(package, SPAN("dependencies")))
		{
			uint32_t to = find(&r, node_text(required));

			inventory_edge(in->inv, index, to);
			if (to != COMPONENT_NONE && in->inv->at[index].local)
				in->inv->at[to].relation = RELATION_DIRECT;
		}
		index++;
	}
	map_release(&r.names);
	return 0;
}
