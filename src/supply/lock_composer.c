/* composer.lock */
#include "base/map.h"
#include "supply/lock_parse.h"

/* "MIT" and "GPL-2.0-only" of a list become "MIT OR GPL-2.0-only", as Composer means it. */
static struct span licence_of(const struct lock_input *in, const struct node *list)
{
	struct span text = SPAN("");

	node_for_each(one, list)
	{
		text = text.len ? inventory_join(in->inv, text, SPAN(" OR "), node_text(one))
				: lock_text(in, node_text(one));
	}
	return text;
}

static void add_packages(const struct lock_input *in, const struct node *packages,
			 enum component_scope scope, struct map *names)
{
	node_for_each(package, packages)
	{
		const struct node *source = node_get(package, SPAN("source"));
		struct span version = node_text_at(package, SPAN("version"));
		struct span name = node_text_at(package, SPAN("name"));
		struct span reference = node_text_at(source, SPAN("reference"));
		struct component *c;
		uint32_t index;

		if (!name.len) {
			inventory_problem(in->inv, in->file, package->line,
					  "a package without a name");
			continue;
		}
		c = lock_add(in, ECOSYSTEM_PACKAGIST, name, version,
			     node_get(package, SPAN("name"))->line, &index);
		if (!c)
			break;
		c->scope = scope;
		c->licence = licence_of(in, node_get(package, SPAN("license")));
		c->local = span_eq(node_text_at(node_get(package, SPAN("dist")), SPAN("type")),
				   SPAN("path"));
		c->published = lock_text(in, node_text_at(package, SPAN("time")));
		if (lock_is_commit(reference))
			c->commit = lock_text(in, reference);
		lock_index_put(in, names, name, index);
	}
}

static void link_packages(const struct lock_input *in, const struct node *packages,
			  const struct map *names)
{
	node_for_each(package, packages)
	{
		uint32_t from = lock_index_get(names, node_text_at(package, SPAN("name")));

		node_for_each(required, node_get(package, SPAN("require")))
			inventory_edge(in->inv, from, lock_index_get(names, required->key));
	}
}

static void mark_direct(const struct lock_input *in, const struct map *names)
{
	static const struct span kinds[] = {SPAN_INIT("require"), SPAN_INIT("require-dev")};
	struct span text =
		in->beside ? in->beside(in->context, SPAN("composer.json")) : SPAN_NONE;
	const struct node *manifest =
		text.ptr ? node_parse_json(in->scratch, text, NULL) : NULL;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		node_for_each(wanted, node_get(manifest, kinds[i]))
		{
			uint32_t index = lock_index_get(names, wanted->key);

			if (index != COMPONENT_NONE)
				in->inv->at[index].relation = RELATION_DIRECT;
		}
	}
}

int lock_composer(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	const struct node *packages = node_get(root, SPAN("packages"));
	const struct node *dev = node_get(root, SPAN("packages-dev"));
	struct map names = MAP_INIT;

	if (!root)
		return -1;
	if (!node_is(packages, NODE_LIST))
		return err_set(err, ERR_INVALID, "line 1: no list of packages");
	add_packages(in, packages, SCOPE_RUNTIME, &names);
	add_packages(in, dev, SCOPE_DEV, &names);
	link_packages(in, packages, &names);
	link_packages(in, dev, &names);
	mark_direct(in, &names);
	map_release(&names);
	return 0;
}
