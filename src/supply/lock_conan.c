/* conan.lock: version 1 with a graph, version 2 with lists. */
#include "base/map.h"
#include "supply/lock_parse.h"

struct reference {
	struct span name;
	struct span version;
	struct span user;
	struct span channel;
};

/* "name/1.2.3@user/channel#revision:package%time" */
static struct reference split(struct span text)
{
	struct reference r = {SPAN(""), SPAN(""), SPAN(""), SPAN("")};
	size_t slash, at;

	text = span_slice(text, 0, span_find_byte(text, '#'));
	text = span_slice(text, 0, span_find_byte(text, '%'));
	text = span_slice(text, 0, span_find_byte(text, ':'));
	at = span_find_byte(text, '@');
	r.user = span_slice(text, at + 1, text.len);
	text = span_slice(text, 0, at);
	slash = span_find_byte(text, '/');
	r.name = span_slice(text, 0, slash);
	r.version = span_slice(text, slash + 1, text.len);
	if (slash == text.len) {
		/* Only a version: a consumer or package that has no name. */
		r.version = r.name;
		r.name = SPAN("");
	}
	slash = span_find_byte(r.user, '/');
	r.channel = span_slice(r.user, slash + 1, r.user.len);
	r.user = span_slice(r.user, 0, slash);
	return r;
}

static uint32_t add(const struct lock_input *in, struct span text, uint32_t line,
		    enum component_scope scope)
{
	struct reference ref = split(text);
	struct component *c;
	uint32_t index;

	if (!ref.name.len) {
		inventory_problem(in->inv, in->file, line, "a reference without a name: %.*s",
				  SPAN_ARG(text));
		return COMPONENT_NONE;
	}
	c = lock_add(in, ECOSYSTEM_CONAN, ref.name, ref.version, line, &index);
	if (!c)
		return COMPONENT_NONE;
	c->scope = scope;
	if (ref.user.len && !span_eq(ref.user, SPAN("_")))
		c->namespace = lock_text(in, ref.user);
	return index;
}

/* Version 1: "nodes"; the one with a path is the project itself. */

static void link_node(const struct lock_input *in, const struct map *nodes,
		      const struct node *entry, const struct node *list, bool dev)
{
	uint32_t from = lock_index_get(nodes, entry->key);
	bool root = node_text_at(entry, SPAN("path")).len > 0 ||
		    node_is(node_get(entry, SPAN("pref")), NODE_NULL);

	node_for_each(required, list)
	{
		uint32_t to = lock_index_get(nodes, node_text(required));

		inventory_edge(in->inv, from, to);
		if (to == COMPONENT_NONE)
			continue;
		if (root)
			in->inv->at[to].relation = RELATION_DIRECT;
		if (dev)
			in->inv->at[to].scope = SCOPE_DEV;
	}
}

static void take_graph(const struct lock_input *in, const struct node *list)
{
	struct map nodes = MAP_INIT;

	node_for_each(entry, list)
	{
		const struct node *reference = node_get(entry, SPAN("ref"));
		uint32_t index;

		if (!reference)
			reference = node_get(entry, SPAN("pref"));
		if (!node_text(reference).len)
			continue;
		/* The project itself: it has a path, and its name is not of the registry. */
		if (node_text_at(entry, SPAN("path")).len)
			continue;
		index = add(in, node_text(reference), entry->line,
			    span_eq(node_text_at(entry, SPAN("context")), SPAN("build"))
				    ? SCOPE_DEV
				    : SCOPE_RUNTIME);
		lock_index_put(in, &nodes, entry->key, index);
	}
	node_for_each(entry, list)
	{
		link_node(in, &nodes, entry, node_get(entry, SPAN("requires")), false);
		link_node(in, &nodes, entry, node_get(entry, SPAN("build_requires")), true);
	}
	map_release(&nodes);
}

int lock_conan(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	const struct node *graph = node_get(root, SPAN("graph_lock"));
	static const struct {
		struct span key;
		enum component_scope scope;
	} lists[] = {{SPAN_INIT("requires"), SCOPE_RUNTIME},
		     {SPAN_INIT("build_requires"), SCOPE_DEV},
		     {SPAN_INIT("python_requires"), SCOPE_DEV}};

	uint32_t first = in->inv->count;

	if (!root)
		return -1;
	if (root->kind != NODE_MAP || (!node_is(graph, NODE_MAP) &&
				       !node_is(node_get(root, SPAN("requires")), NODE_LIST)))
		return err_set(err, ERR_INVALID, "line 1: not a Conan lock file");
	take_graph(in, node_get(graph, SPAN("nodes")));
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		node_for_each(entry, node_get(root, lists[i].key))(void)
			add(in, node_text(entry), entry->line, lists[i].scope);
	}
	/* Version 2 has no graph; what the project asks for stands in its manifest. */
	if (!graph) {
		lock_mark_named(in, SPAN("conanfile.txt"), first, "\n", "/");
		lock_mark_named(in, SPAN("conanfile.py"), first, "\"", "/");
		lock_mark_named(in, SPAN("conanfile.py"), first, "'", "/");
	}
	return 0;
}
