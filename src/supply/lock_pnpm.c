/* pnpm-lock.yaml, lockfileVersion 5 to 9. */
#include "base/map.h"
#include "supply/lock_parse.h"

struct reader {
	const struct lock_input *in;
	struct map keys; /* of "packages", without "(peers)" -> component */
	bool by_slash; /* version 5: "/name/1.2.3_peers" */
};

/* "name@1.2.3(react@18.0.0)" -> "name@1.2.3" */
static struct span without_peers(struct span key)
{
	return span_slice(key, 0, span_find_byte(key, '('));
}

static bool is_digit(struct span s)
{
	return s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9';
}

/* "name@version", also of a scope; the version may hold more '@'. */
static bool split_at(struct span key, struct span *name, struct span *version)
{
	size_t at = key.len ? 1 + span_find_byte(span_slice(key, 1, key.len), '@') : 0;

	if (at >= key.len)
		return false;
	*name = span_slice(key, 0, at);
	*version = span_slice(key, at + 1, key.len);
	return name->len > 0;
}

/* "/name/1.2.3_peers" and "host/name/1.2.3" of version 5. */
static bool split_slash(struct span key, struct span *name, struct span *version)
{
	size_t cut;

	if (key.ptr && key.len && key.ptr[0] != '/')
		key = span_slice(key, span_find_byte(key, '/'), key.len);
	key = span_slice(key, 1, key.len);
	/* Peers hold no '/' ("_@types+babel__core@7.1.14"), so the last one is before the version. */
	for (cut = key.len; cut > 0 && key.ptr[cut - 1] != '/'; cut--)
		;
	if (cut == 0)
		return false;
	*name = span_slice(key, 0, cut - 1);
	*version = span_slice(key, cut, key.len);
	*version = span_slice(*version, 0, span_find_byte(*version, '_'));
	return name->len > 0 && is_digit(*version);
}

static bool split_key(const struct reader *r, struct span key, struct span *name,
		      struct span *version)
{
	if (r->by_slash && split_slash(key, name, version))
		return true;
	key = without_peers(key);
	if (key.len && key.ptr[0] == '/')
		key = span_slice(key, 1, key.len);
	return split_at(key, name, version) && (!r->by_slash || is_digit(*version));
}

static void find_commit(const struct lock_input *in, struct component *c,
			const struct node *resolution)
{
	struct span commit = node_text_at(resolution, SPAN("commit"));
	struct span tarball = node_text_at(resolution, SPAN("tarball"));
	size_t cut = span_find(tarball, SPAN("/tar.gz/"));

	if (lock_is_commit(commit)) {
		c->commit = lock_text(in, commit);
		c->vcs_url = lock_text(in, node_text_at(resolution, SPAN("repo")));
		return;
	}
	commit = span_slice(tarball, cut + 8, tarball.len);
	if (cut < tarball.len && lock_is_commit(commit)) {
		c->commit = lock_text(in, commit);
		c->vcs_url = lock_text(in, span_slice(tarball, 0, cut));
	}
}

static uint32_t add_package(struct reader *r, const struct node *entry)
{
	const struct lock_input *in = r->in;
	const struct node *resolution = node_get(entry, SPAN("resolution"));
	struct span name = SPAN(""), version = SPAN("");
	struct component *c;
	uint32_t index;
	bool understood = split_key(r, entry->key, &name, &version);

	if (node_text_at(entry, SPAN("name")).len) {
		name = node_text_at(entry, SPAN("name"));
		understood = true;
	}
	if (node_text_at(entry, SPAN("version")).len)
		version = node_text_at(entry, SPAN("version"));
	if (!understood) {
		inventory_problem(in->inv, in->file, entry->line,
				  "a package of unknown name: %.*s", SPAN_ARG(entry->key));
		return COMPONENT_NONE;
	}
	c = lock_add(in, ECOSYSTEM_NPM, name, version, entry->line, &index);
	if (!c)
		return COMPONENT_NONE;
	lock_digest(in, c, node_text_at(resolution, SPAN("integrity")));
	find_commit(in, c, resolution);
	c->local = span_find(entry->key, SPAN("file:")) < entry->key.len ||
		   span_find(entry->key, SPAN("link:")) < entry->key.len;
	if (node_true(node_get(entry, SPAN("dev"))))
		c->scope = SCOPE_DEV;
	else if (node_true(node_get(entry, SPAN("optional"))))
		c->scope = SCOPE_OPTIONAL;
	return index;
}

/* The component of a requirement: its version is a key, or part of one. */
static uint32_t find(struct reader *r, struct span name, struct span version)
{
	struct span key = without_peers(version);
	uint32_t index;

	if (!version.len)
		return COMPONENT_NONE;
	index = lock_index_get(&r->keys, key);
	for (unsigned form = 0; form < 3 && index == COMPONENT_NONE; form++) {
		struct span text =
			arena_printf(r->in->scratch, "%s%.*s%c%.*s", form < 2 ? "/" : "",
				     SPAN_ARG(name), form == 0 ? '/' : '@', SPAN_ARG(key));

		index = lock_index_get(&r->keys, text);
	}
	return index;
}

static const struct {
	struct span key;
	enum component_scope scope;
} kinds[] = {
	{SPAN_INIT("devDependencies"), SCOPE_DEV},
	{SPAN_INIT("optionalDependencies"), SCOPE_OPTIONAL},
	{SPAN_INIT("dependencies"), SCOPE_RUNTIME},
};

static void link_package(struct reader *r, const struct node *entry)
{
	uint32_t from = lock_index_get(&r->keys, without_peers(entry->key));

	for (size_t i = 1; i < COUNT_OF(kinds); i++) {
		node_for_each(required, node_get(entry, kinds[i].key)) inventory_edge(
			r->in->inv, from, find(r, required->key, node_text(required)));
	}
	if (from != COMPONENT_NONE && node_true(node_get(entry, SPAN("optional"))) &&
	    r->in->inv->at[from].scope == SCOPE_RUNTIME)
		r->in->inv->at[from].scope = SCOPE_OPTIONAL;
}

static void mark_direct(struct reader *r, const struct node *project)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		node_for_each(wanted, node_get(project, kinds[i].key))
		{
			/* Since version 6 the version stands beside the specifier. */
			struct span version = node_is(wanted, NODE_MAP)
						      ? node_text_at(wanted, SPAN("version"))
						      : node_text(wanted);
			uint32_t index = find(r, wanted->key, version);

			if (index == COMPONENT_NONE)
				continue;
			r->in->inv->at[index].relation = RELATION_DIRECT;
			r->in->inv->at[index].scope = kinds[i].scope;
		}
	}
}

/* With resolution-mode=time-based it is written down when each release was made. */
static void set_times(struct reader *r, const struct node *times)
{
	node_for_each(time, times)
	{
		uint32_t index = lock_index_get(&r->keys, time->key);

		if (index != COMPONENT_NONE)
			r->in->inv->at[index].published = lock_text(r->in, node_text(time));
	}
}

int lock_pnpm(const struct lock_input *in, struct err *err)
{
	const struct node *root = lock_parse_yaml(in->scratch, in->text, err);
	struct reader r = {.in = in, .keys = MAP_INIT};
	const struct node *packages = node_get(root, SPAN("packages"));
	const struct node *snapshots = node_get(root, SPAN("snapshots"));
	struct span version = node_text_at(root, SPAN("lockfileVersion"));
	uint32_t first = in->inv->count;
	size_t first_edge = in->inv->edge_count;

	if (!root)
		return -1;
	if (root->kind == NODE_NULL)
		return 0;
	if (root->kind != NODE_MAP || !version.len)
		return err_set(err, ERR_INVALID,
			       "line 1: not a pnpm lock file: lockfileVersion is missing");
	r.by_slash = version.ptr[0] < '6' && span_slice(version, 1, version.len).len > 0 &&
		     version.ptr[1] == '.';
	node_for_each(entry, packages)
		lock_index_put(in, &r.keys, without_peers(entry->key), add_package(&r, entry));
	node_for_each(entry, packages) link_package(&r, entry);
	node_for_each(entry, snapshots) link_package(&r, entry);
	set_times(&r, node_get(root, SPAN("time")));
	mark_direct(&r, root);
	node_for_each(project, node_get(root, SPAN("importers"))) mark_direct(&r, project);
	if (snapshots)
		lock_spread_scopes(in, first, first_edge);
	map_release(&r.keys);
	return 0;
}
