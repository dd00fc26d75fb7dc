/*
 * What installed packages say that they require, each in a file of its own: resolved when all of them
 * are known, among those of the same place. Python looks in one folder of packages, Ruby likewise,
 * and Node.js in node_modules of each folder upwards.
 */
#include "base/buf.h"
#include "supply/inventory_scan.h"

#define MODULES "node_modules/"

struct scan_wish {
	struct scan_wish *next;
	uint32_t from;
	struct span name;
};

void scan_wish(void *context, uint32_t component, struct span name)
{
	struct scan *s = context;
	struct scan_wish *w;

	if (component == COMPONENT_NONE || !name.len)
		return;
	w = arena_new(&s->keep, struct scan_wish);
	if (!w) {
		s->inv->failed = true;
		return;
	}
	*w = (struct scan_wish){s->wishes, component, arena_dup(&s->keep, name)};
	if (!w->name.ptr) {
		s->inv->failed = true;
		return;
	}
	s->wishes = w;
}

/* "a/b/c" -> "a/b/", "a/b/" -> "a/" */
static struct span parent(struct span path)
{
	size_t cut = path.len;

	if (cut > 0 && path.ptr[cut - 1] == '/')
		cut--;
	while (cut > 0 && path.ptr[cut - 1] != '/')
		cut--;
	return span_slice(path, 0, cut);
}

/* The place of packages that see each other; its own folder for a package of Node.js. */
static struct span place_of(const struct component *c)
{
	struct span folder = parent(c->file);

	return c->ecosystem == ECOSYSTEM_PYPI && !span_ends_with(c->file, SPAN(".egg-info"))
		       ? parent(folder)
		       : folder;
}

static bool is_installed(const struct component *c)
{
	return (c->ecosystem == ECOSYSTEM_NPM &&
		span_ends_with(c->file, SPAN("/package.json"))) ||
	       (c->ecosystem == ECOSYSTEM_RUBYGEMS &&
		span_ends_with(c->file, SPAN(".gemspec"))) ||
	       (c->ecosystem == ECOSYSTEM_PYPI && (span_ends_with(c->file, SPAN("/METADATA")) ||
						   span_ends_with(c->file, SPAN("/PKG-INFO")) ||
						   span_ends_with(c->file, SPAN(".egg-info"))));
}

struct places {
	struct scan *scan;
	struct map known; /* "usr/lib/python3/six", "app/node_modules/a/" -> component */
	struct buf key;
};

static struct span key_of(struct places *p, struct span place, struct span name)
{
	buf_clear(&p->key);
	buf_append(&p->key, place);
	buf_append(&p->key, name);
	return buf_failed(&p->key) ? SPAN("") : buf_span(&p->key);
}

static void know(struct places *p, uint32_t index)
{
	struct scan *s = p->scan;
	const struct component *c = &s->inv->at[index];
	const struct lock_input in = {.inv = s->inv};
	struct span key =
		key_of(p, place_of(c), c->ecosystem == ECOSYSTEM_NPM ? SPAN("") : c->name);

	key = key.len ? arena_dup(&s->keep, key) : SPAN_NONE;
	if (!key.ptr)
		s->inv->failed = true;
	else
		lock_index_put(&in, &p->known, key, index);
}

/* FOLDER/node_modules/NAME/, from the package's own folder upwards. */
static uint32_t find_module(struct places *p, struct span folder, struct span name)
{
	for (;;) {
		uint32_t index;

		buf_clear(&p->key);
		buf_append(&p->key, folder);
		buf_append_cstr(&p->key, MODULES);
		buf_append(&p->key, name);
		buf_append_byte(&p->key, '/');
		if (buf_failed(&p->key))
			return COMPONENT_NONE;
		index = lock_index_get(&p->known, buf_span(&p->key));
		if (index != COMPONENT_NONE || !folder.len)
			return index;
		folder = parent(folder);
		if (span_ends_with(folder, SPAN("/" MODULES)) || span_eq(folder, SPAN(MODULES)))
			folder = parent(folder);
	}
}

static uint32_t find(struct places *p, const struct scan_wish *w)
{
	const struct component *c = &p->scan->inv->at[w->from];

	if (c->ecosystem == ECOSYSTEM_NPM)
		return find_module(p, parent(c->file), w->name);
	return lock_index_get(&p->known, key_of(p, place_of(c), w->name));
}

void scan_link(struct scan *s)
{
	struct places p = {.scan = s, .known = MAP_INIT};

	if (!s->wishes)
		return;
	buf_init(&p.key, 65536);
	for (uint32_t i = 0; i < s->inv->count; i++) {
		if (is_installed(&s->inv->at[i]))
			know(&p, i);
	}
	for (const struct scan_wish *w = s->wishes; w; w = w->next) {
		uint32_t to = find(&p, w);

		if (to == COMPONENT_NONE || to == w->from)
			continue;
		inventory_edge(s->inv, w->from, to);
		s->inv->at[to].relation = RELATION_TRANSITIVE;
	}
	/* What nobody there requires, somebody has asked for. */
	for (uint32_t i = 0; i < s->inv->count; i++) {
		struct component *c = &s->inv->at[i];

		if (is_installed(c) && c->relation == RELATION_UNKNOWN)
			c->relation = RELATION_DIRECT;
	}
	s->wishes = NULL;
	buf_release(&p.key);
	map_release(&p.known);
}
