/* yarn.lock, of version 1 and of berry (2 and later): both are read a line at a time. */
#include "base/map.h"
#include "supply/lock_parse.h"

struct entry {
	struct span version;
	struct span resolved; /* version 1: "resolved"; berry: "resolution" */
	struct span integrity;
	uint32_t line;
	bool linked; /* berry: "linkType: soft" */
};

/* A requirement, kept until all descriptors are known. */
struct wish {
	struct wish *next;
	struct span name;
	struct span range;
	uint32_t from;
	bool optional;
};

struct reader {
	const struct lock_input *in;
	struct map descriptors; /* "name@range" -> component */
	struct wish *wishes;
	struct wish *entry_wishes; /* of the entry that is being read */
	struct span header;
	struct entry entry;
	struct span block; /* the key above indented lines */
	bool open;
	bool berry;
};

static struct span unquoted(struct span s)
{
	s = span_trim(s);
	if (s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0])
		return span_slice(s, 1, s.len - 1);
	return s;
}

/* "@scope/name@range" -> both; a missing '@' gives an empty range. */
static void split_descriptor(struct span d, struct span *name, struct span *range)
{
	size_t at = d.len ? 1 + span_find_byte(span_slice(d, 1, d.len), '@') : 0;

	*name = span_slice(d, 0, at);
	*range = span_slice(d, at + 1, d.len);
}

/* The next descriptor of a header: version 1 quotes each, berry all of them together. */
static bool next_descriptor(struct span *rest, struct span *descriptor)
{
	size_t end;

	*rest = span_trim(*rest);
	if (rest->len == 0)
		return false;
	if (rest->ptr[0] == '"') {
		end = 1 + span_find_byte(span_slice(*rest, 1, rest->len), '"');
		*descriptor = span_slice(*rest, 1, end);
		*rest = span_slice(*rest, end + 1, rest->len);
		if (rest->len && rest->ptr[0] == ',')
			*rest = span_slice(*rest, 1, rest->len);
		return true;
	}
	end = span_find(*rest, SPAN(", "));
	*descriptor = span_slice(*rest, 0, end);
	*rest = span_slice(*rest, end + 2, rest->len);
	return true;
}

/* What "alias@npm:real@range" stands for. */
static struct span real_name(struct span name, struct span range)
{
	struct span real, rest;

	if (!span_starts_with(range, SPAN("npm:")))
		return name;
	split_descriptor(span_slice(range, 4, range.len), &real, &rest);
	/* "npm:^1.0.0" names no other package. */
	return rest.len || (real.len && real.ptr[0] == '@') ? real : name;
}

static bool is_local(struct span range)
{
	static const struct span kinds[] = {SPAN_INIT("file:"), SPAN_INIT("link:"),
					    SPAN_INIT("portal:"), SPAN_INIT("workspace:")};

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (span_starts_with(range, kinds[i]))
			return true;
	}
	return false;
}

/* ".../tar.gz/0123..." of GitHub's archives, or "...#0123..." */
static void find_commit(const struct lock_input *in, struct component *c, struct span address)
{
	size_t cut = span_find(address, SPAN("/tar.gz/"));
	struct span commit = span_slice(address, cut + 8, address.len);

	if (cut < address.len && lock_is_commit(commit)) {
		c->commit = lock_text(in, commit);
		c->vcs_url = lock_text(in, span_slice(address, 0, cut));
	} else if (span_starts_with(address, SPAN("git")) ||
		   span_find(address, SPAN("commit")) < address.len ||
		   span_find(address, SPAN(".git#")) < address.len) {
		char text[1024];
		size_t at = span_find(address, SPAN("#commit:"));

		/* "#commit:0123" of early berry is "#commit=0123". */
		if (at < address.len && address.len < sizeof(text)) {
			memcpy(text, address.ptr, address.len);
			text[at + 7] = '=';
			address = span_of(text, address.len);
		}
		(void)lock_vcs(in, c, address);
	}
}

static void set_checksum(const struct lock_input *in, struct component *c, struct span value)
{
	/* Berry's checksum is of its own archive of the package, which nobody else has. */
	if (!lock_is_commit(span_slice(value, 0, 8)))
		lock_digest(in, c, value);
}

/* Adds the entry that was read, and files it under all of its descriptors. */
static void finish_entry(struct reader *r)
{
	struct span rest = r->header, descriptor, name, range;
	struct span resolution_name, resolution_range = SPAN("");
	struct component *c;
	uint32_t index;

	if (!r->open)
		return;
	r->open = false;
	if (r->berry)
		rest = unquoted(rest);
	if (!next_descriptor(&rest, &descriptor))
		return;
	split_descriptor(descriptor, &name, &range);
	if (r->berry && r->entry.resolved.len) {
		split_descriptor(r->entry.resolved, &resolution_name, &resolution_range);
		name = resolution_name;
		range = resolution_range;
	} else {
		name = real_name(name, range);
	}
	if (!r->entry.version.len)
		inventory_problem(r->in->inv, r->in->file, r->entry.line,
				  "an entry without a version");
	c = lock_add(r->in, ECOSYSTEM_NPM, name, r->entry.version, r->entry.line, &index);
	if (!c)
		return;
	c->local = r->entry.linked || is_local(range);
	if (r->entry.integrity.len)
		set_checksum(r->in, c, r->entry.integrity);
	find_commit(r->in, c, r->berry ? range : r->entry.resolved);
	do
		lock_index_put(r->in, &r->descriptors, descriptor, index);
	while (next_descriptor(&rest, &descriptor));
	while (r->entry_wishes) {
		struct wish *w = r->entry_wishes;

		r->entry_wishes = w->next;
		w->from = index;
		w->next = r->wishes;
		r->wishes = w;
	}
}

/* `key value`, `"key" "value"`, `key: value` */
static void split_pair(struct span line, struct span *key, struct span *value)
{
	size_t cut;

	line = span_trim(line);
	if (line.len && line.ptr[0] == '"') {
		cut = 1 + span_find_byte(span_slice(line, 1, line.len), '"');
		*key = span_slice(line, 1, cut);
		line = span_trim(span_slice(line, cut + 1, line.len));
		if (line.len && line.ptr[0] == ':')
			line = span_slice(line, 1, line.len);
		*value = unquoted(line);
		return;
	}
	cut = span_find_byte(line, ' ');
	*key = span_slice(line, 0, cut);
	*value = unquoted(span_slice(line, cut, line.len));
	if (key->len && key->ptr[key->len - 1] == ':')
		key->len--;
}

static int take_header(struct reader *r, struct span line, uint32_t number, struct err *err)
{
	finish_entry(r);
	r->block = SPAN("");
	r->entry_wishes = NULL;
	/* A long key of YAML: "? key", and ':' alone on the next line. */
	if (span_eq(line, SPAN(":")))
		return 0;
	if (span_starts_with(line, SPAN("? "))) {
		line = span_slice(line, 2, line.len);
	} else {
		if (line.len == 0 || line.ptr[line.len - 1] != ':')
			return err_set(err, ERR_SYNTAX, "line %u: not a yarn lock file",
				       number);
		line.len--;
	}
	r->header = line;
	r->entry = (struct entry){.line = number};
	r->open = !span_eq(line, SPAN("__metadata"));
	if (!r->open)
		r->berry = true;
	return 0;
}

static void take_property(struct reader *r, struct span line)
{
	struct span key, value;

	split_pair(line, &key, &value);
	r->block = value.len ? SPAN("") : key;
	if (span_eq(key, SPAN("version")))
		r->entry.version = value;
	else if (span_eq(key, SPAN("resolved")) || span_eq(key, SPAN("resolution")))
		r->entry.resolved = value;
	else if (span_eq(key, SPAN("integrity")) || span_eq(key, SPAN("checksum")))
		r->entry.integrity = value;
	else if (span_eq(key, SPAN("linkType")))
		r->entry.linked = span_eq(value, SPAN("soft"));
}

static void take_requirement(struct reader *r, struct span line)
{
	bool optional = span_eq(r->block, SPAN("optionalDependencies"));
	struct wish *w;

	if (!optional && !span_eq(r->block, SPAN("dependencies")))
		return;
	w = arena_new(r->in->scratch, struct wish);
	if (!w) {
		r->in->inv->failed = true;
		return;
	}
	split_pair(line, &w->name, &w->range);
	w->optional = optional;
	w->next = r->entry_wishes;
	r->entry_wishes = w;
}

static uint32_t find_wish(struct reader *r, struct span name, struct span range)
{
	struct span text =
		arena_printf(r->in->scratch, "%.*s@%.*s", SPAN_ARG(name), SPAN_ARG(range));
	uint32_t index = lock_index_get(&r->descriptors, text);

	if (index != COMPONENT_NONE || !r->berry)
		return index;
	text = arena_printf(r->in->scratch, "%.*s@npm:%.*s", SPAN_ARG(name), SPAN_ARG(range));
	return lock_index_get(&r->descriptors, text);
}

static void link_wishes(struct reader *r)
{
	struct inventory *inv = r->in->inv;

	for (const struct wish *w = r->wishes; w; w = w->next) {
		uint32_t to = find_wish(r, w->name, w->range);

		inventory_edge(inv, w->from, to);
		if (to != COMPONENT_NONE && r->berry && inv->at[w->from].local)
			inv->at[to].relation = RELATION_DIRECT;
	}
}

/* Version 1 knows nothing of the project; package.json beside it does. */
static void mark_direct(struct reader *r)
{
	static const struct {
		struct span key;
		enum component_scope scope;
	} kinds[] = {{SPAN_INIT("devDependencies"), SCOPE_DEV},
		     {SPAN_INIT("optionalDependencies"), SCOPE_OPTIONAL},
		     {SPAN_INIT("dependencies"), SCOPE_RUNTIME}};
	const struct lock_input *in = r->in;
	struct span text =
		in->beside ? in->beside(in->context, SPAN("package.json")) : SPAN_NONE;
	const struct node *manifest;

	manifest = text.ptr ? node_parse_json(in->scratch, text, NULL) : NULL;
	for (size_t i = 0; manifest && i < COUNT_OF(kinds); i++) {
		node_for_each(wanted, node_get(manifest, kinds[i].key))
		{
			uint32_t index = find_wish(r, wanted->key, node_text(wanted));

			if (index == COMPONENT_NONE)
				continue;
			in->inv->at[index].relation = RELATION_DIRECT;
			in->inv->at[index].scope = kinds[i].scope;
		}
	}
}

int lock_yarn(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .descriptors = MAP_INIT};
	uint32_t first = in->inv->count;
	size_t first_edge = in->inv->edge_count;
	struct lock_lines lines;
	struct span line;
	int result = 0;

	lock_lines_init(&lines, in->text);
	while (result == 0 && lock_lines_next(&lines, &line)) {
		size_t indent = lock_indent(line);

		if (indent == line.len || line.ptr[indent] == '#')
			continue;
		if (indent == 0)
			result = take_header(&r, line, lines.number, err);
		else if (indent <= 2)
			take_property(&r, line);
		else
			take_requirement(&r, line);
	}
	finish_entry(&r);
	link_wishes(&r);
	mark_direct(&r);
	lock_spread_scopes(in, first, first_edge);
	map_release(&r.descriptors);
	return result;
}
