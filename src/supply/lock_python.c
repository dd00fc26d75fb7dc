/* poetry.lock, uv.lock, pdm.lock, pylock.toml (PEP 751) and Pipfile.lock. */
#include "base/map.h"
#include "parse/toml.h"
#include "supply/lock_parse.h"

struct reader {
	const struct lock_input *in;
	struct map names; /* normalised -> component */
	const struct node *packages;
	uint32_t first;
	size_t first_edge;
};

/* The part of "name[extra]>=1; marker" that is a name. */
static struct span name_of(struct span requirement)
{
	size_t end = 0;

	requirement = span_trim(requirement);
	while (end < requirement.len &&
	       span_find_byte(SPAN(" <>=!~;[(@,\t"), requirement.ptr[end]) == 12)
		end++;
	return span_slice(requirement, 0, end);
}

static uint32_t find(struct reader *r, struct span name)
{
	return lock_index_get(&r->names, lock_python_name(r->in, name));
}

static int open_packages(struct reader *r, struct span key, struct err *err)
{
	const struct node *root = toml_parse(r->in->scratch, r->in->text, err);

	if (!root)
		return -1;
	r->packages = node_get(root, key);
	r->first = r->in->inv->count;
	r->first_edge = r->in->inv->edge_count;
	if (r->packages && r->packages->kind != NODE_LIST)
		return err_set(err, ERR_INVALID, "line %u: %.*s is no list", r->packages->line,
			       SPAN_ARG(key));
	return 0;
}

/* Adds every package; the n-th of the list is component first + n. */
static struct component *add(struct reader *r, const struct node *package)
{
	struct span name = lock_python_name(r->in, node_text_at(package, SPAN("name")));
	struct component *c;
	uint32_t index;

	if (!name.len)
		inventory_problem(r->in->inv, r->in->file, package->line,
				  "a package without a name");
	c = lock_add(r->in, ECOSYSTEM_PYPI, name, node_text_at(package, SPAN("version")),
		     package->line, &index);
	if (c)
		lock_index_put(r->in, &r->names, c->name, index);
	return c;
}

static bool list_has(const struct node *list, struct span text)
{
	node_for_each(item, list)
	{
		if (span_eq(node_text(item), text))
			return true;
	}
	return false;
}

static void set_commit(const struct lock_input *in, struct component *c, struct span commit,
		       struct span url)
{
	if (!lock_is_commit(commit))
		return;
	c->commit = lock_text(in, commit);
	c->vcs_url = lock_text(in, url);
}

/* --- What pyproject.toml asks for. */

static void want(struct reader *r, struct span name, enum component_scope scope)
{
	uint32_t index = find(r, name);
	struct component *c;

	if (index == COMPONENT_NONE)
		return;
	c = &r->in->inv->at[index];
	if (c->relation != RELATION_DIRECT || scope < c->scope)
		c->scope = scope;
	c->relation = RELATION_DIRECT;
}

static void want_keys(struct reader *r, const struct node *table, enum component_scope scope)
{
	node_for_each(entry, table) want(r, entry->key, scope);
}

static void want_list(struct reader *r, const struct node *list, enum component_scope scope)
{
	node_for_each(entry, list)
	{
		struct span name = name_of(node_text(entry));

		if (name.len)
			want(r, name, scope);
	}
}

static void read_project(struct reader *r)
{
	const struct lock_input *in = r->in;
	struct span text =
		in->beside ? in->beside(in->context, SPAN("pyproject.toml")) : SPAN_NONE;
	const struct node *root = text.ptr ? toml_parse(in->scratch, text, NULL) : NULL;
	const struct node *project = node_get(root, SPAN("project"));
	const struct node *tool = node_get(root, SPAN("tool"));
	const struct node *poetry = node_get(tool, SPAN("poetry"));

	if (!root)
		return;
	want_list(r, node_get(project, SPAN("dependencies")), SCOPE_RUNTIME);
	node_for_each(extra, node_get(project, SPAN("optional-dependencies")))
		want_list(r, extra, SCOPE_OPTIONAL);
	node_for_each(group, node_get(root, SPAN("dependency-groups")))
		want_list(r, group, SCOPE_DEV);
	node_for_each(group, node_get(node_get(tool, SPAN("pdm")), SPAN("dev-dependencies")))
		want_list(r, group, SCOPE_DEV);
	want_keys(r, node_get(poetry, SPAN("dependencies")), SCOPE_RUNTIME);
	want_keys(r, node_get(poetry, SPAN("dev-dependencies")), SCOPE_DEV);
	node_for_each(group, node_get(poetry, SPAN("group")))
		want_keys(r, node_get(group, SPAN("dependencies")), SCOPE_DEV);
	lock_spread_scopes(in, r->first, r->first_edge);
}

/* --- Poetry. */

static enum component_scope poetry_scope(const struct node *package)
{
	const struct node *groups = node_get(package, SPAN("groups"));

	if (node_true(node_get(package, SPAN("optional"))))
		return SCOPE_OPTIONAL;
	if (span_eq(node_text_at(package, SPAN("category")), SPAN("dev")))
		return SCOPE_DEV;
	if (groups && groups->count && !list_has(groups, SPAN("main")))
		return SCOPE_DEV;
	return SCOPE_RUNTIME;
}

int lock_poetry(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	uint32_t index;

	if (open_packages(&r, SPAN("package"), err) < 0)
		return -1;
	node_for_each(package, r.packages)
	{
		const struct node *source = node_get(package, SPAN("source"));
		struct span type = node_text_at(source, SPAN("type"));
		struct component *c = add(&r, package);

		if (!c)
			break;
		c->scope = poetry_scope(package);
		c->local = span_eq(type, SPAN("directory")) || span_eq(type, SPAN("file"));
		if (span_eq(type, SPAN("git")))
			set_commit(in, c, node_text_at(source, SPAN("resolved_reference")),
				   node_text_at(source, SPAN("url")));
	}
	index = r.first;
	node_for_each(package, r.packages)
	{
		node_for_each(required, node_get(package, SPAN("dependencies")))
			inventory_edge(in->inv, index, find(&r, required->key));
		index++;
	}
	read_project(&r);
	map_release(&r.names);
	return 0;
}

/* --- uv. */

static void uv_links(struct reader *r, const struct node *list, uint32_t from, bool root,
		     enum component_scope scope)
{
	node_for_each(required, list)
	{
		struct span name = node_text_at(required, SPAN("name"));
		struct span version = node_text_at(required, SPAN("version"));
		uint32_t to = find(r, name);

		/* Of several versions, the one that is named. */
		for (uint32_t i = to; version.len && i < r->in->inv->count; i++) {
			if (span_eq(r->in->inv->at[i].version, version) &&
			    span_eq(r->in->inv->at[i].name, lock_python_name(r->in, name))) {
				to = i;
				break;
			}
		}
		inventory_edge(r->in->inv, from, to);
		if (to == COMPONENT_NONE || !root)
			continue;
		if (r->in->inv->at[to].relation != RELATION_DIRECT ||
		    scope < r->in->inv->at[to].scope)
			r->in->inv->at[to].scope = scope;
		r->in->inv->at[to].relation = RELATION_DIRECT;
	}
}

/* When the last of its files was uploaded; RFC 3339 in UTC, so that bytes are in order. */
static struct span uv_time(const struct node *package)
{
	struct span last = node_text_at(node_get(package, SPAN("sdist")), SPAN("upload-time"));

	node_for_each(wheel, node_get(package, SPAN("wheels")))
	{
		struct span time = node_text_at(wheel, SPAN("upload-time"));

		if (span_compare(time, last) > 0)
			last = time;
	}
	return last;
}

int lock_uv(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	uint32_t index;

	if (open_packages(&r, SPAN("package"), err) < 0)
		return -1;
	node_for_each(package, r.packages)
	{
		const struct node *source = node_get(package, SPAN("source"));
		struct span git = node_text_at(source, SPAN("git"));
		struct component *c = add(&r, package);

		if (!c)
			break;
		c->local = node_get(source, SPAN("virtual")) ||
			   node_get(source, SPAN("editable")) ||
			   node_get(source, SPAN("directory")) ||
			   node_get(source, SPAN("path"));
		c->published = lock_text(in, uv_time(package));
		if (git.len)
			(void)lock_vcs(in, c, git);
	}
	index = r.first;
	node_for_each(package, r.packages)
	{
		bool root = index < in->inv->count && in->inv->at[index].local;

		uv_links(&r, node_get(package, SPAN("dependencies")), index, root,
			 SCOPE_RUNTIME);
		node_for_each(extra, node_get(package, SPAN("optional-dependencies")))
			uv_links(&r, extra, index, root, SCOPE_OPTIONAL);
		node_for_each(group, node_get(package, SPAN("dev-dependencies")))
			uv_links(&r, group, index, root, SCOPE_DEV);
		index++;
	}
	lock_spread_scopes(in, r.first, r.first_edge);
	map_release(&r.names);
	return 0;
}

/* --- PDM. */

static enum component_scope pdm_scope(const struct node *package)
{
	const struct node *groups = node_get(package, SPAN("groups"));

	if (!groups || !groups->count || list_has(groups, SPAN("default")))
		return SCOPE_RUNTIME;
	/* The lock file does not tell optional groups from those for development. */
	return list_has(groups, SPAN("dev")) || list_has(groups, SPAN("test")) ||
			       list_has(groups, SPAN("lint"))
		       ? SCOPE_DEV
		       : SCOPE_OPTIONAL;
}

int lock_pdm(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	uint32_t index;

	if (open_packages(&r, SPAN("package"), err) < 0)
		return -1;
	node_for_each(package, r.packages)
	{
		struct component *c = add(&r, package);

		if (!c)
			break;
		c->scope = pdm_scope(package);
		c->local = node_text_at(package, SPAN("path")).len > 0;
		set_commit(in, c, node_text_at(package, SPAN("revision")),
			   node_text_at(package, SPAN("git")));
	}
	index = r.first;
	node_for_each(package, r.packages)
	{
		node_for_each(required, node_get(package, SPAN("dependencies")))
		{
			struct span name = name_of(node_text(required));

			if (name.len)
				inventory_edge(in->inv, index, find(&r, name));
		}
		index++;
	}
	read_project(&r);
	map_release(&r.names);
	return 0;
}

/* --- pylock.toml. */

int lock_pylock(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	uint32_t index;

	if (open_packages(&r, SPAN("packages"), err) < 0)
		return -1;
	node_for_each(package, r.packages)
	{
		const struct node *vcs = node_get(package, SPAN("vcs"));
		struct component *c = add(&r, package);

		if (!c)
			break;
		c->local = node_get(package, SPAN("directory")) != NULL;
		set_commit(in, c, node_text_at(vcs, SPAN("commit-id")),
			   node_text_at(vcs, SPAN("url")));
	}
	index = r.first;
	node_for_each(package, r.packages)
	{
		node_for_each(required, node_get(package, SPAN("dependencies"))) inventory_edge(
			in->inv, index, find(&r, node_text_at(required, SPAN("name"))));
		index++;
	}
	map_release(&r.names);
	return 0;
}

/* --- Pipenv. */

static void add_pipfile(const struct lock_input *in, const struct node *entry,
			enum component_scope scope)
{
	struct span version = node_text_at(entry, SPAN("version"));
	struct component *c;

	if (span_starts_with(version, SPAN("==")))
		version = span_trim(span_slice(
			version, span_starts_with(version, SPAN("===")) ? 3 : 2, version.len));
	c = lock_add(in, ECOSYSTEM_PYPI, lock_python_name(in, entry->key), version, entry->line,
		     NULL);
	if (!c)
		return;
	c->scope = scope;
	c->local = node_get(entry, SPAN("path")) != NULL;
	set_commit(in, c, node_text_at(entry, SPAN("ref")), node_text_at(entry, SPAN("git")));
}

/* The lock file lists all alike; Pipfile beside it has what the project asks for. */
static void mark_pipfile(const struct lock_input *in, uint32_t first)
{
	static const struct span groups[] = {SPAN_INIT("packages"), SPAN_INIT("dev-packages")};
	struct span text = in->beside ? in->beside(in->context, SPAN("Pipfile")) : SPAN_NONE;
	const struct node *root = text.ptr ? toml_parse(in->scratch, text, NULL) : NULL;
	struct map wanted = MAP_INIT;

	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		node_for_each(entry, node_get(root, groups[i]))
			lock_index_put(in, &wanted, lock_python_name(in, entry->key), 0);
	}
	for (uint32_t i = first; root && i < in->inv->count; i++) {
		struct component *c = &in->inv->at[i];

		c->relation = lock_index_get(&wanted, c->name) == COMPONENT_NONE
				      ? RELATION_TRANSITIVE
				      : RELATION_DIRECT;
	}
	map_release(&wanted);
}

int lock_pipfile(const struct lock_input *in, struct err *err)
{
	const struct node *root = node_parse_json(in->scratch, in->text, err);
	uint32_t first = in->inv->count;

	if (!root)
		return -1;
	if (root->kind != NODE_MAP || !node_get(root, SPAN("_meta")))
		return err_set(err, ERR_INVALID,
			       "line 1: not a Pipfile.lock: _meta is missing");
	node_for_each(group, root)
	{
		enum component_scope scope =
			span_eq(group->key, SPAN("develop")) ? SCOPE_DEV : SCOPE_RUNTIME;

		if (span_eq(group->key, SPAN("_meta")))
			continue;
		node_for_each(entry, group) add_pipfile(in, entry, scope);
	}
	mark_pipfile(in, first);
	return 0;
}
