/*
 * bun.lockb, the binary lock file of bun before 1.2: a header, the packages as one array a field, then
 * arrays of trees, hoisted packages, resolutions, dependencies, texts and the bytes of texts. All
 * numbers are little-endian. The places of arrays stand before them, so that what is not needed is
 * passed over; formats 2 (versions of 32 bits) and 3 (of 64 bits) are read.
 */
#include "base/hex.h"
#include "supply/lock_parse.h"

#define HEADER "#!/usr/bin/env bun\nbun-lockfile-format-v0\n"
#define HASH_BYTES 32
#define PACKAGES_MAX 1000000
#define NAME_BYTES 8
#define SLICE_BYTES 8
#define META_BYTES 88
#define INTEGRITY_AT 20
#define DEPENDENCY_BYTES 26
#define BEHAVIOUR_AT 16

/* Of a package's resolution. */
enum {
	TAG_ROOT = 1,
	TAG_NPM = 2,
	TAG_GITHUB = 16,
	TAG_GIT = 32,
	TAG_FOLDER = 4,
	TAG_LOCAL_TARBALL = 8,
	TAG_SYMLINK = 64,
	TAG_WORKSPACE = 72,
};

enum {
	BEHAVIOUR_OPTIONAL = 4,
	BEHAVIOUR_DEV = 8,
};

struct reader {
	const struct lock_input *in;
	struct span text;
	uint64_t at;
	unsigned number_bytes; /* of major, minor and patch */
	uint64_t count; /* of packages */
	/* A row a package. */
	struct span names;
	struct span origins;
	struct span dependency_slices;
	struct span resolution_slices;
	struct span metas;
	size_t origin_bytes;
	/* What slices point into. */
	struct span resolutions;
	struct span dependencies;
	struct span strings;
	uint32_t *components; /* by package; COMPONENT_NONE for the root */
};

/* 0 outside of the bytes. */
static uint64_t number(struct span bytes, uint64_t at, unsigned size)
{
	uint64_t value = 0;

	if (at > bytes.len || bytes.len - at < size)
		return 0;
	for (unsigned i = size; i > 0; i--)
		value = value << 8 | (unsigned char)bytes.ptr[at + i - 1];
	return value;
}

static uint64_t next(struct reader *r)
{
	uint64_t value = number(r->text, r->at, 8);

	r->at += 8;
	return value;
}

/* Short texts lie in their eight bytes; of others those are the place and length. */
static struct span string_at(const struct reader *r, struct span row, uint64_t at)
{
	struct span bytes = span_slice(row, at, at + 8);
	uint64_t value = number(row, at, 8), offset = value & UINT32_MAX;
	uint64_t length = value >> 32 & INT32_MAX;

	if (!(value >> 63))
		return span_slice(bytes, 0, span_find_byte(bytes, '\0'));
	if (offset > r->strings.len || length > r->strings.len - offset)
		return SPAN("");
	return span_slice(r->strings, offset, offset + length);
}

static struct span row_at(struct span rows, uint64_t index, size_t bytes)
{
	return span_slice(rows, index * bytes, (index + 1) * bytes);
}

/* The next column of the packages, of `bytes` a package. */
static bool take_column(struct reader *r, uint64_t end, size_t bytes, struct span *column)
{
	uint64_t size = r->count * bytes;

	if (r->at > end || end - r->at < size)
		return false;
	*column = span_slice(r->text, r->at, r->at + size);
	r->at += size;
	return true;
}

static bool take_packages(struct reader *r)
{
	struct span hashes;
	uint64_t begin, end;

	r->count = next(r);
	(void)next(r); /* how it was aligned */
	(void)next(r); /* fields; the last one is younger than the format */
	begin = next(r);
	end = next(r);
	if (r->count > PACKAGES_MAX || begin < r->at || begin > end || end > r->text.len)
		return false;
	r->at = begin;
	if (!take_column(r, end, NAME_BYTES, &r->names) || !take_column(r, end, 8, &hashes) ||
	    !take_column(r, end, r->origin_bytes, &r->origins) ||
	    !take_column(r, end, SLICE_BYTES, &r->dependency_slices) ||
	    !take_column(r, end, SLICE_BYTES, &r->resolution_slices) ||
	    !take_column(r, end, META_BYTES, &r->metas))
		return false;
	r->at = end;
	return true;
}

static bool take_array(struct reader *r, struct span *array)
{
	uint64_t begin = next(r), end = next(r);

	if (begin < r->at || begin > end || end > r->text.len)
		return false;
	*array = span_slice(r->text, begin, end);
	r->at = end;
	return true;
}

static bool take_arrays(struct reader *r)
{
	struct span trees, hoisted, texts;
	struct span *const arrays[] = {&trees,		 &hoisted, &r->resolutions,
				       &r->dependencies, &texts,   &r->strings};

	for (size_t i = 0; i < COUNT_OF(arrays); i++)
		if (!take_array(r, arrays[i]))
			return false;
	return true;
}

/* "1.2.3-rc.1+build" from its parts; the address stands before them. */
static struct span version_of(const struct reader *r, struct span origin)
{
	unsigned size = r->number_bytes, behind = size == 4 ? 24 : 32;
	struct span pre, build;

	origin = span_slice(origin, 8, origin.len); /* behind the tag */
	/* Three numbers, padded to eight bytes, then pre-release and build with their hashes. */
	pre = string_at(r, origin, behind);
	build = string_at(r, origin, behind + 16);
	return arena_printf(r->in->scratch, "%llu.%llu.%llu%s%.*s%s%.*s",
			    (unsigned long long)number(origin, 8, size),
			    (unsigned long long)number(origin, 8 + size, size),
			    (unsigned long long)number(origin, 8 + 2 * size, size),
			    pre.len ? "-" : "", SPAN_ARG(pre), build.len ? "+" : "",
			    SPAN_ARG(build));
}

static void set_digest(const struct reader *r, struct component *c, struct span meta)
{
	static const struct {
		struct span name;
		size_t bytes;
	} kinds[] = {{SPAN_INIT(""), 0},
		     {SPAN_INIT("sha1"), 20},
		     {SPAN_INIT("sha256"), 32},
		     {SPAN_INIT("sha384"), 48},
		     {SPAN_INIT("sha512"), 64}};
	uint64_t kind = number(meta, INTEGRITY_AT, 1);
	char digits[128];

	if (kind == 0 || kind >= COUNT_OF(kinds))
		return;
	hex_encode(digits, meta.ptr + INTEGRITY_AT + 1, kinds[kind].bytes);
	c->digest_algorithm = kinds[kind].name;
	c->digest = lock_text(r->in, span_of(digits, 2 * kinds[kind].bytes));
}

/* Owner, name, branch and what it was resolved to, a text each. */
static void set_repository(const struct reader *r, struct component *c, struct span origin,
			   uint64_t tag)
{
	struct span owner = string_at(r, origin, 8), repository = string_at(r, origin, 16);
	struct span resolved = string_at(r, origin, 32);
	size_t cut = resolved.len;

	/* "owner-repository-0123abc" of a download from there. */
	while (tag == TAG_GITHUB && cut > 0 && resolved.ptr[cut - 1] != '-')
		cut--;
	if (tag == TAG_GITHUB)
		resolved = span_slice(resolved, cut, resolved.len);
	if (!lock_is_commit(resolved))
		return;
	c->commit = lock_text(r->in, resolved);
	if (tag == TAG_GITHUB)
		c->vcs_url = inventory_printf(r->in->inv, "https://github.com/%.*s/%.*s.git",
					      SPAN_ARG(owner), SPAN_ARG(repository));
	else
		c->vcs_url = lock_text(r->in, repository);
}

static uint32_t add_package(const struct reader *r, uint64_t index)
{
	struct span origin = row_at(r->origins, index, r->origin_bytes);
	struct span name = string_at(r, row_at(r->names, index, NAME_BYTES), 0);
	uint64_t tag = number(origin, 0, 1);
	struct component *c;
	uint32_t at;

	if (tag == TAG_ROOT || tag == 0)
		return COMPONENT_NONE;
	if (!name.len) {
		inventory_problem(r->in->inv, r->in->file, 0, "a package without a name");
		return COMPONENT_NONE;
	}
	c = lock_add(r->in, ECOSYSTEM_NPM, name,
		     tag == TAG_NPM ? version_of(r, origin) : SPAN(""), 0, &at);
	if (!c)
		return COMPONENT_NONE;
	c->local = tag == TAG_FOLDER || tag == TAG_LOCAL_TARBALL || tag == TAG_SYMLINK ||
		   tag == TAG_WORKSPACE;
	if (tag == TAG_GIT || tag == TAG_GITHUB)
		set_repository(r, c, origin, tag);
	set_digest(r, c, row_at(r->metas, index, META_BYTES));
	return at;
}

static void want(const struct reader *r, uint32_t at, uint64_t behaviour)
{
	struct component *c = &r->in->inv->at[at];
	enum component_scope scope = behaviour & BEHAVIOUR_DEV	      ? SCOPE_DEV
				     : behaviour & BEHAVIOUR_OPTIONAL ? SCOPE_OPTIONAL
								      : SCOPE_RUNTIME;

	if (c->relation != RELATION_DIRECT || scope < c->scope)
		c->scope = scope;
	c->relation = RELATION_DIRECT;
}

/* What a package requires, and which packages those are, lie side by side. */
static bool link_package(const struct reader *r, uint64_t index)
{
	struct span wanted = row_at(r->dependency_slices, index, SLICE_BYTES);
	struct span found = row_at(r->resolution_slices, index, SLICE_BYTES);
	uint64_t tag = number(row_at(r->origins, index, r->origin_bytes), 0, 1);
	uint64_t first = number(wanted, 0, 4), count = number(wanted, 4, 4);
	uint64_t first_found = number(found, 0, 4);

	if (count != number(found, 4, 4) ||
	    (first + count) * DEPENDENCY_BYTES > r->dependencies.len ||
	    (first_found + count) * 4 > r->resolutions.len)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct span dependency = row_at(r->dependencies, first + i, DEPENDENCY_BYTES);
		uint64_t to = number(r->resolutions, (first_found + i) * 4, 4);

		/* Optional ones of other platforms have no package. */
		if (to >= r->count || r->components[to] == COMPONENT_NONE)
			continue;
		inventory_edge(r->in->inv, r->components[index], r->components[to]);
		if (tag == TAG_ROOT || tag == TAG_WORKSPACE)
			want(r, r->components[to], number(dependency, BEHAVIOUR_AT, 1));
	}
	return true;
}

static bool take_graph(struct reader *r)
{
	uint32_t first = r->in->inv->count;
	size_t first_edge = r->in->inv->edge_count;
	bool good = true;

	r->components = arena_array(r->in->scratch, uint32_t, r->count + 1);
	if (!r->components) {
		r->in->inv->failed = true;
		return true;
	}
	for (uint64_t i = 0; i < r->count; i++)
		r->components[i] = add_package(r, i);
	for (uint64_t i = 0; i < r->count && good; i++)
		good = link_package(r, i);
	lock_spread_scopes(r->in, first, first_edge);
	return good;
}

int lock_bun_binary(const struct lock_input *in, struct err *err)
{
	static const struct span header = SPAN_INIT(HEADER);
	struct reader r = {.in = in, .text = in->text, .at = header.len};
	uint64_t format;

	if (!span_starts_with(in->text, header))
		return err_set(err, ERR_SYNTAX, "line 1: not a binary lock file of bun");
	format = number(in->text, r.at, 4);
	if (format != 2 && format != 3)
		return err_set(err, ERR_INVALID,
			       "line 1: format %llu of bun's binary lock file is not read: let "
			       "bun write bun.lock (\"bun install --save-text-lockfile\")",
			       (unsigned long long)format);
	r.number_bytes = format == 2 ? 4 : 8;
	r.origin_bytes = format == 2 ? 64 : 72;
	r.at += 4 + HASH_BYTES;
	if (next(&r) > in->text.len || !take_packages(&r) || !take_arrays(&r) ||
	    !take_graph(&r))
		return err_set(err, ERR_SYNTAX, "line 1: a broken binary lock file of bun");
	return 0;
}
