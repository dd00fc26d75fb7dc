/* pom.xml with properties, parents and managed versions, as far as files at hand tell. */
#include "base/buf.h"
#include "base/map.h"
#include "supply/lock_parse.h"

#define PARENTS_MAX 16
#define NESTING_MAX 16
#define VALUE_BYTES_MAX 4096

struct pom {
	const struct node *root;
	const struct pom *parent; /* NULL: none, or not at hand */
	struct span folder; /* relative to the first one's: "", "../", "../../" */
};

struct managed {
	const struct node *entry;
	bool used;
};

struct reader {
	const struct lock_input *in;
	struct pom poms[PARENTS_MAX];
	size_t pom_count;
	struct map managed; /* "group:artifact" -> struct managed */
};

static struct span own_or_inherited(const struct pom *pom, struct span key)
{
	struct span value = node_text_at(pom->root, key);

	return value.len ? value : node_text_at(node_get(pom->root, SPAN("parent")), key);
}

/* A property's raw value; empty when it is not known. */
static struct span property(const struct pom *pom, struct span name)
{
	static const struct span own[] = {SPAN_INIT("version"), SPAN_INIT("groupId"),
					  SPAN_INIT("artifactId")};
	struct span key = name;

	for (const struct pom *p = pom; p; p = p->parent) {
		struct span value = node_text_at(node_get(p->root, SPAN("properties")), name);

		if (value.len)
			return value;
	}
	if (span_starts_with(key, SPAN("project.")))
		key = span_slice(key, 8, key.len);
	else if (span_starts_with(key, SPAN("pom.")))
		key = span_slice(key, 4, key.len);
	if (span_starts_with(key, SPAN("parent.")))
		return node_text_at(node_get(pom->root, SPAN("parent")),
				    span_slice(key, 7, key.len));
	for (size_t i = 0; i < COUNT_OF(own); i++) {
		if (span_eq(key, own[i]))
			return own_or_inherited(pom, key);
	}
	return SPAN("");
}

static void put_resolved(struct reader *r, struct buf *to, struct span text, unsigned depth)
{
	while (text.len) {
		size_t start = span_find(text, SPAN("${"));
		size_t end = start + span_find_byte(span_slice(text, start, text.len), '}');
		struct span name, value;

		buf_append(to, span_slice(text, 0, start));
		if (end >= text.len) {
			buf_append(to, span_slice(text, start, text.len));
			return;
		}
		name = span_slice(text, start + 2, end);
		value = property(&r->poms[0], name);
		if (value.len && depth < NESTING_MAX)
			put_resolved(r, to, value, depth + 1);
		else
			buf_append(to, span_slice(text, start, end + 1));
		if (buf_failed(to))
			return;
		text = span_slice(text, end + 1, text.len);
	}
}

/* With all properties filled in that are known; in the scratch arena. */
static struct span resolved(struct reader *r, struct span text)
{
	struct span result = text;
	struct buf b;

	if (span_find(text, SPAN("${")) == text.len)
		return text;
	buf_init(&b, VALUE_BYTES_MAX);
	put_resolved(r, &b, text, 0);
	if (!buf_failed(&b))
		result = b.len ? arena_dup(r->in->scratch, buf_span(&b)) : SPAN("");
	buf_release(&b);
	if (!result.ptr) {
		r->in->inv->failed = true;
		return SPAN("");
	}
	return result;
}

/* "[1.2]" is 1.2; of a range, its lower end; nothing for what could not be resolved. */
static struct span plain_version(struct reader *r, struct span version, uint32_t line)
{
	version = span_trim(resolved(r, version));
	if (span_find(version, SPAN("${")) < version.len) {
		inventory_problem(r->in->inv, r->in->file, line,
				  "the version %.*s is not known here", SPAN_ARG(version));
		return SPAN("");
	}
	if (version.len && (version.ptr[0] == '[' || version.ptr[0] == '(')) {
		version = span_slice(version, 1, version.len);
		version = span_slice(version, 0, span_find_byte(version, ','));
		version = span_slice(version, 0, span_find_byte(version, ']'));
		version = span_trim(span_slice(version, 0, span_find_byte(version, ')')));
	}
	return version;
}

/* "group:artifact"; empty when either is missing. */
static struct span name_of(struct reader *r, const struct node *dependency)
{
	struct span group = resolved(r, node_text_at(dependency, SPAN("groupId")));
	struct span artifact = resolved(r, node_text_at(dependency, SPAN("artifactId")));
	struct span name;

	if (!group.len || !artifact.len)
		return SPAN("");
	name = arena_printf(r->in->scratch, "%.*s:%.*s", SPAN_ARG(group), SPAN_ARG(artifact));
	if (!name.ptr) {
		r->in->inv->failed = true;
		return SPAN("");
	}
	return name;
}

/* --- Parents. */

static struct span folder_of(struct span path)
{
	size_t cut = path.len;

	while (cut > 0 && path.ptr[cut - 1] != '/')
		cut--;
	return span_slice(path, 0, cut);
}

static bool is_the_parent(const struct node *candidate, const struct node *parent)
{
	return span_eq(node_text_at(candidate, SPAN("artifactId")),
		       node_text_at(parent, SPAN("artifactId")));
}

static void read_parents(struct reader *r)
{
	const struct lock_input *in = r->in;

	while (r->pom_count < PARENTS_MAX) {
		struct pom *child = &r->poms[r->pom_count - 1];
		const struct node *parent = node_get(child->root, SPAN("parent"));
		const struct node *relative = node_get(parent, SPAN("relativePath"));
		struct span path = node_text(relative), text = SPAN_NONE;
		const struct node *root;

		/* An empty <relativePath/> says that it is not in the tree. */
		if (!parent || (relative && !path.len) || !in->beside)
			return;
		if (!path.len)
			path = SPAN("../pom.xml");
		if (!span_ends_with(path, SPAN(".xml")))
			path = arena_printf(in->scratch, "%.*s/pom.xml", SPAN_ARG(path));
		path = arena_printf(in->scratch, "%.*s%.*s", SPAN_ARG(child->folder),
				    SPAN_ARG(path));
		if (path.ptr)
			text = in->beside(in->context, path);
		root = text.ptr ? lock_parse_xml(in->scratch, text, NULL) : NULL;
		if (!root || !is_the_parent(root, parent))
			return;
		child->parent = &r->poms[r->pom_count];
		r->poms[r->pom_count++] = (struct pom){root, NULL, folder_of(path)};
	}
}

static void read_managed(struct reader *r, const struct node *root)
{
	const struct node *management = node_get(root, SPAN("dependencyManagement"));

	node_for_each(entry, node_get(management, SPAN("dependencies")))
	{
		struct span name = name_of(r, entry);
		struct managed *m;

		/* Imported lists of versions are not in the tree. */
		if (!name.len || span_eq(node_text_at(entry, SPAN("scope")), SPAN("import")) ||
		    map_get(&r->managed, name))
			continue;
		m = arena_new(r->in->scratch, struct managed);
		if (!m || map_put(&r->managed, name, m) < 0) {
			r->in->inv->failed = true;
			return;
		}
		m->entry = entry;
	}
}

/* --- Dependencies. */

static enum component_scope scope_of(const struct node *dependency, const struct managed *m)
{
	struct span scope = node_text_at(dependency, SPAN("scope"));

	if (!scope.len && m)
		scope = node_text_at(m->entry, SPAN("scope"));
	if (span_eq(scope, SPAN("test")))
		return SCOPE_DEV;
	if (span_eq(node_text_at(dependency, SPAN("optional")), SPAN("true")) ||
	    span_eq(scope, SPAN("provided")))
		return SCOPE_OPTIONAL;
	return SCOPE_RUNTIME;
}

static void add_dependency(struct reader *r, const struct node *dependency, bool inherited)
{
	struct span name = name_of(r, dependency);
	struct span version = node_text_at(dependency, SPAN("version"));
	struct managed *m = map_get(&r->managed, name);
	struct component *c;

	if (!name.len) {
		inventory_problem(r->in->inv, r->in->file, dependency->line,
				  "a dependency without groupId and artifactId");
		return;
	}
	if (!version.len && m)
		version = node_text_at(m->entry, SPAN("version"));
	if (m)
		m->used = true;
	c = lock_add(r->in, ECOSYSTEM_MAVEN, name, plain_version(r, version, dependency->line),
		     inherited ? 0 : dependency->line, NULL);
	if (!c)
		return;
	c->relation = RELATION_DIRECT;
	c->scope = scope_of(dependency, m);
}

/* What is only managed counts when something else requires it: its version is told, as optional. */
static void add_managed(struct reader *r)
{
	const struct node *management = node_get(r->poms[0].root, SPAN("dependencyManagement"));

	node_for_each(entry, node_get(management, SPAN("dependencies")))
	{
		struct span name = name_of(r, entry);
		struct managed *m = map_get(&r->managed, name);
		struct component *c;

		if (!m || m->used || m->entry != entry)
			continue;
		c = lock_add(
			r->in, ECOSYSTEM_MAVEN, name,
			plain_version(r, node_text_at(entry, SPAN("version")), entry->line),
			entry->line, NULL);
		if (!c)
			return;
		c->scope = SCOPE_OPTIONAL;
		c->relation = RELATION_TRANSITIVE;
	}
}

int lock_maven(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .managed = MAP_INIT, .pom_count = 1};

	r.poms[0] = (struct pom){lock_parse_xml(in->scratch, in->text, err), NULL, SPAN("")};
	if (!r.poms[0].root)
		return -1;
	if (!span_eq(r.poms[0].root->key, SPAN("project")))
		return err_set(err, ERR_INVALID, "line %u: the root element is no project",
			       r.poms[0].root->line);
	read_parents(&r);
	for (size_t i = 0; i < r.pom_count; i++)
		read_managed(&r, r.poms[i].root);
	for (size_t i = 0; i < r.pom_count; i++) {
		node_for_each(d, node_get(r.poms[i].root, SPAN("dependencies")))
			add_dependency(&r, d, i > 0);
	}
	add_managed(&r);
	map_release(&r.managed);
	return 0;
}
