/* .NET: packages.lock.json, *.deps.json, packages.config. */
#include "base/map.h"
#include "supply/lock_parse.h"

/* --- packages.lock.json: a list of packages a framework. */

static void take_framework(const struct lock_input *in, const struct node *framework)
{
	struct map names = MAP_INIT;

	node_for_each(entry, framework)
	{
		struct span type = node_text_at(entry, SPAN("type"));
		struct component *c;
		uint32_t index;

		c = lock_add(in, ECOSYSTEM_NUGET, entry->key,
			     node_text_at(entry, SPAN("resolved")), entry->line, &index);
		if (!c)
			break;
		if (span_eq(type, SPAN("Direct")))
			c->relation = RELATION_DIRECT;
		else if (span_ends_with(type, SPAN("Transitive")))
			c->relation = RELATION_TRANSITIVE;
		c->local = span_eq(type, SPAN("Project"));
		lock_index_put(in, &names, entry->key, index);
	}
	node_for_each(entry, framework)
	{
		uint32_t from = lock_index_get(&names, entry->key);

		node_for_each(required, node_get(entry, SPAN("dependencies")))
			inventory_edge(in->inv, from, lock_index_get(&names, required->key));
	}
	map_release(&names);
}

int lock_nuget(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	const struct node *frameworks = node_get(root, SPAN("dependencies"));

	if (!root)
		return -1;
	if (!node_get(root, SPAN("version")) || (frameworks && frameworks->kind != NODE_MAP))
		return err_set(err, ERR_INVALID, "line 1: not a NuGet lock file");
	node_for_each(framework, frameworks) take_framework(in, framework);
	return 0;
}

/* --- deps.json: "libraries", and what they require by target. */

int lock_dotnet_deps(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	const struct node *libraries = node_get(root, SPAN("libraries"));
	struct map names = MAP_INIT; /* "Name/1.2.3" */

	if (!root)
		return -1;
	if (!node_is(libraries, NODE_MAP))
		return err_set(err, ERR_INVALID, "line 1: no list of libraries");
	node_for_each(entry, libraries)
	{
		size_t slash = span_find_byte(entry->key, '/');
		struct component *c;
		uint32_t index;

		c = lock_add(in, ECOSYSTEM_NUGET, span_slice(entry->key, 0, slash),
			     span_slice(entry->key, slash + 1, entry->key.len), entry->line,
			     &index);
		if (!c)
			break;
		c->local = !span_eq(node_text_at(entry, SPAN("type")), SPAN("package"));
		lock_digest(in, c, node_text_at(entry, SPAN("sha512")));
		lock_index_put(in, &names, entry->key, index);
	}
	node_for_each(target, node_get(root, SPAN("targets")))
	{
		node_for_each(entry, target)
		{
			uint32_t from = lock_index_get(&names, entry->key);

			node_for_each(required, node_get(entry, SPAN("dependencies")))
			{
				struct span key = arena_printf(in->scratch, "%.*s/%.*s",
							       SPAN_ARG(required->key),
							       SPAN_ARG(node_text(required)));
				uint32_t to = lock_index_get(&names, key);

				inventory_edge(in->inv, from, to);
				if (from != COMPONENT_NONE && to != COMPONENT_NONE &&
				    in->inv->at[from].local)
					in->inv->at[to].relation = RELATION_DIRECT;
			}
		}
	}
	map_release(&names);
	return 0;
}

int lock_nuget_config(const struct lock_input *in, struct err *err)
{
	const struct node *root = lock_parse_xml(in->scratch, in->text, err);

	if (!root)
		return -1;
	if (!span_eq(root->key, SPAN("packages")))
		return err_set(err, ERR_INVALID, "line %u: the root element is no packages",
			       root->line);
	node_for_each(entry, root)
	{
		struct component *c;

		if (!span_eq(entry->key, SPAN("package")))
			continue;
		c = lock_add(in, ECOSYSTEM_NUGET, node_text_at(entry, SPAN("@id")),
			     node_text_at(entry, SPAN("@version")), entry->line, NULL);
		if (c &&
		    span_eq(node_text_at(entry, SPAN("@developmentDependency")), SPAN("true")))
			c->scope = SCOPE_DEV;
	}
	return 0;
}
