/* package-lock.json and npm-shrinkwrap.json, lockfileVersion 1 to 3; package.json as installed. */
#include "base/buf.h"
#include "base/map.h"
#include "supply/lock_parse.h"

#define MODULES "node_modules/"
#define NESTING_MAX 64

/* "git+ssh://…", "github:org/name#…", "https://…": where it is, not a version. */
static bool is_address(struct span version)
{
	return span_find_byte(version, ':') < version.len;
}

static void fill(const struct lock_input *in, struct component *c, const struct node *entry)
{
	struct span resolved = node_text_at(entry, SPAN("resolved"));
	const struct node *licence = node_get(entry, SPAN("license"));

	lock_digest(in, c, node_text_at(entry, SPAN("integrity")));
	if (!node_true(node_get(entry, SPAN("dev"))) &&
	    (node_true(node_get(entry, SPAN("optional"))) ||
	     node_true(node_get(entry, SPAN("devOptional")))))
		c->scope = SCOPE_OPTIONAL;
	else if (node_true(node_get(entry, SPAN("dev"))))
		c->scope = SCOPE_DEV;
	if (node_text(licence).len)
		c->licence = lock_text(in, node_text(licence));
	else if (node_is(licence, NODE_MAP))
		c->licence = lock_text(in, node_text_at(licence, SPAN("type")));
	if (span_starts_with(resolved, SPAN("git")))
		(void)lock_vcs(in, c, resolved);
}

/* --- Version 1: a tree of "dependencies". */

struct level {
	const struct level *parent;
	struct map names; /* at this level */
};

static uint32_t find_up(const struct level *level, struct span name)
{
	for (; level; level = level->parent) {
		uint32_t index = lock_index_get(&level->names, name);

		if (index != COMPONENT_NONE)
			return index;
	}
	return COMPONENT_NONE;
}

static uint32_t add_v1(const struct lock_input *in, const struct node *entry)
{
	struct span version = node_text_at(entry, SPAN("version"));
	struct span name = entry->key;
	struct component *c;
	uint32_t index;

	if (span_starts_with(version, SPAN("npm:"))) {
		size_t at = version.len;

		while (at > 5 && version.ptr[at - 1] != '@')
			at--;
		name = span_slice(version, 4, at > 5 ? at - 1 : version.len);
		version = at > 5 ? span_slice(version, at, version.len) : SPAN("");
	}
	c = lock_add(in, ECOSYSTEM_NPM, name,
		     is_address(version) || span_starts_with(version, SPAN("file:")) ? SPAN("")
										     : version,
		     entry->line, &index);
	if (!c)
		return COMPONENT_NONE;
	fill(in, c, entry);
	c->local = span_starts_with(version, SPAN("file:"));
	if (is_address(version))
		(void)lock_vcs(in, c, version);
	return index;
}

/* Adds a level, then what is below it, whose requirements are looked for from there upwards. */
static int walk_v1(const struct lock_input *in, const struct node *dependencies,
		   const struct level *parent, unsigned depth, struct err *err)
{
	struct level level = {parent, MAP_INIT};
	int result = 0;

	if (depth == NESTING_MAX)
		return err_set(err, ERR_LIMIT, "line %u: nested too deeply",
			       dependencies->line);
	node_for_each(entry, dependencies)
	{
		if (node_is(entry, NODE_MAP))
			lock_index_put(in, &level.names, entry->key, add_v1(in, entry));
		else
			inventory_problem(in->inv, in->file, entry->line,
					  "a dependency that is no object");
	}
	node_for_each(entry, dependencies)
	{
		uint32_t from = lock_index_get(&level.names, entry->key);
		const struct node *below = node_get(entry, SPAN("dependencies"));
		struct level inner = {&level, MAP_INIT};

		/* Names inside are known only after walking; requirements come first to them. */
		if (node_is(below, NODE_MAP)) {
			uint32_t first = in->inv->count;

			result = walk_v1(in, below, &level, depth + 1, err);
			if (result < 0)
				break;
			node_for_each(child, below)
			{
				if (first == COMPONENT_NONE || first >= in->inv->count)
					break;
				if (node_is(child, NODE_MAP))
					lock_index_put(in, &inner.names, child->key, first++);
			}
		}
		node_for_each(required, node_get(entry, SPAN("requires")))
			inventory_edge(in->inv, from, find_up(&inner, required->key));
		map_release(&inner.names);
	}
	map_release(&level.names);
	return result;
}

/* --- Versions 2 and 3: paths of "packages". */

struct paths {
	const struct lock_input *in;
	struct map map;
	struct buf scratch;
};

/* Looks for node_modules/NAME from the folder `from` upwards, as Node.js does. */
static uint32_t resolve(struct paths *p, struct span from, struct span name)
{
	for (;;) {
		uint32_t index;

		buf_clear(&p->scratch);
		buf_append(&p->scratch, from);
		if (from.len)
			buf_append_byte(&p->scratch, '/');
		buf_append_cstr(&p->scratch, MODULES);
		if (buf_append(&p->scratch, name) < 0)
			return COMPONENT_NONE;
		index = lock_index_get(&p->map, buf_span(&p->scratch));
		if (index != COMPONENT_NONE || from.len == 0)
			return index;
		/* Up: without the last "node_modules/x", or folder. */
		while (from.len && from.ptr[from.len - 1] != '/')
			from.len--;
		while (from.len && from.ptr[from.len - 1] == '/')
			from.len--;
		if (span_ends_with(from, SPAN("/node_modules")))
			from.len -= sizeof("/node_modules") - 1;
		else if (span_eq(from, SPAN("node_modules")))
			from.len = 0;
	}
}

static struct span name_of_path(struct span path)
{
	size_t at = path.len;

	while (at >= sizeof(MODULES) - 1) {
		if (memcmp(path.ptr + at - (sizeof(MODULES) - 1), MODULES,
			   sizeof(MODULES) - 1) == 0)
			return span_slice(path, at, path.len);
		at--;
	}
	for (at = path.len; at > 0 && path.ptr[at - 1] != '/'; at--)
		;
	return span_slice(path, at, path.len);
}

static uint32_t add_v2(const struct lock_input *in, const struct node *entry)
{
	struct span version = node_text_at(entry, SPAN("version"));
	struct span name = node_text_at(entry, SPAN("name"));
	struct span resolved = node_text_at(entry, SPAN("resolved"));
	bool linked = node_true(node_get(entry, SPAN("link")));
	struct component *c;
	uint32_t index;

	c = lock_add(in, ECOSYSTEM_NPM, name.len ? name : name_of_path(entry->key), version,
		     entry->line, &index);
	if (!c)
		return COMPONENT_NONE;
	fill(in, c, entry);
	c->local = linked || span_find(entry->key, SPAN(MODULES)) == entry->key.len ||
		   span_starts_with(resolved, SPAN("file:"));
	return index;
}

static const struct {
	struct span key;
	enum component_scope scope;
} kinds[] = {
	{SPAN_INIT("dependencies"), SCOPE_RUNTIME},
	{SPAN_INIT("optionalDependencies"), SCOPE_OPTIONAL},
	{SPAN_INIT("peerDependencies"), SCOPE_RUNTIME},
	{SPAN_INIT("devDependencies"), SCOPE_DEV},
};

static void link_v2(struct paths *p, const struct node *entry)
{
	struct inventory *inv = p->in->inv;
	uint32_t from = lock_index_get(&p->map, entry->key);
	bool root = entry->key.len == 0 || (from != COMPONENT_NONE && inv->at[from].local);

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		/* Those of an installed package for its own development are not installed. */
		if (kinds[i].scope == SCOPE_DEV && !root)
			continue;
		node_for_each(required, node_get(entry, kinds[i].key))
		{
			uint32_t to = resolve(p, entry->key, required->key);

			if (to == COMPONENT_NONE)
				continue;
			inventory_edge(inv, from, to);
			if (root)
				inv->at[to].relation = RELATION_DIRECT;
		}
	}
}

static void walk_v2(const struct lock_input *in, const struct node *packages)
{
	struct paths p = {.in = in, .map = MAP_INIT};

	buf_init(&p.scratch, 1 << 20);
	node_for_each(entry, packages)
	{
		if (entry->key.len == 0)
			continue;
		if (!node_is(entry, NODE_MAP)) {
			inventory_problem(in->inv, in->file, entry->line,
					  "a package that is no object");
			continue;
		}
		/* A link stands for the folder that it names, which is listed too. */
		if (!node_true(node_get(entry, SPAN("link"))))
			lock_index_put(in, &p.map, entry->key, add_v2(in, entry));
	}
	node_for_each(entry, packages)
	{
		uint32_t target;

		if (!node_true(node_get(entry, SPAN("link"))))
			continue;
		target = lock_index_get(&p.map, node_text_at(entry, SPAN("resolved")));
		if (target == COMPONENT_NONE)
			target = add_v2(in, entry);
		lock_index_put(in, &p.map, entry->key, target);
	}
	node_for_each(entry, packages) link_v2(&p, entry);
	buf_release(&p.scratch);
	map_release(&p.map);
}

static void name_subject(const struct lock_input *in, const struct node *root)
{
	if (in->inv->subject_name.len)
		return;
	in->inv->subject_name = lock_text(in, node_text_at(root, SPAN("name")));
	in->inv->subject_version = lock_text(in, node_text_at(root, SPAN("version")));
}

/* Version 1 does not tell direct ones; package.json beside it does. */
static void mark_direct_v1(const struct lock_input *in, const struct node *dependencies,
			   uint32_t first)
{
	struct span text =
		in->beside ? in->beside(in->context, SPAN("package.json")) : SPAN_NONE;
	const struct node *manifest;
	struct map names = MAP_INIT;

	manifest = text.ptr ? node_parse_json(in->scratch, text, NULL) : NULL;
	if (!manifest)
		return;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		node_for_each(required, node_get(manifest, kinds[i].key))
			lock_index_put(in, &names, required->key, 0);
	}
	/* The top level was added first, in its order. */
	node_for_each(entry, dependencies)
	{
		if (!node_is(entry, NODE_MAP))
			continue;
		if (first >= in->inv->count)
			break;
		if (lock_index_get(&names, entry->key) != COMPONENT_NONE)
			in->inv->at[first].relation = RELATION_DIRECT;
		first++;
	}
	map_release(&names);
}

int lock_npm(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	const struct node *packages = node_get(root, SPAN("packages"));
	const struct node *dependencies = node_get(root, SPAN("dependencies"));
	uint32_t first = in->inv->count;

	if (!root)
		return -1;
	if (!node_is(root, NODE_MAP) || (packages && !node_is(packages, NODE_MAP)) ||
	    (dependencies && !node_is(dependencies, NODE_MAP)))
		return err_set(err, ERR_INVALID, "line 1: not an npm lock file");
	name_subject(in, root);
	if (packages) {
		walk_v2(in, packages);
	} else if (dependencies) {
		if (walk_v1(in, dependencies, NULL, 0, err) < 0)
			return -1;
		mark_direct_v1(in, dependencies, first);
	}
	return 0;
}

int lock_package_json(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	struct span name = node_text_at(root, SPAN("name"));
	struct span version = node_text_at(root, SPAN("version"));
	struct component *c;
	uint32_t index;

	if (!root)
		return -1;
	/* Folders inside of packages have files of this name that say only "type": "module". */
	if (!name.len || !version.len)
		return 0;
	c = lock_add(in, ECOSYSTEM_NPM, name, version, 1, &index);
	if (!c)
		return 0;
	fill(in, c, root);
	/* devDependencies of what is installed are not. */
	for (size_t i = 0; in->requires && i < COUNT_OF(kinds); i++) {
		if (kinds[i].scope == SCOPE_DEV)
			continue;
		node_for_each(required, node_get(root, kinds[i].key))
			in->requires(in->context, index, required->key);
	}
	return 0;
}
