#include "supply/component.h"

#include <assert.h>
#include <stdarg.h>

#include "base/map.h"
#include "base/mem.h"
#include "supply/purl.h"

#define ARENA_CHUNK_BYTES ((size_t)64 * 1024)
#define PROBLEM_BYTES_MAX 512
#define COMPONENTS_MAX (COMPONENT_NONE / 2)

void inventory_init(struct inventory *inv, size_t max_bytes)
{
	*inv = (struct inventory){0};
	arena_init(&inv->arena, max_bytes, ARENA_CHUNK_BYTES);
}

void inventory_release(struct inventory *inv)
{
	arena_release(&inv->arena);
	mem_free(inv->at);
	mem_free(inv->edges);
	mem_free(inv->problems);
	mem_free(inv->layers);
	*inv = (struct inventory){0};
}

/* Room for one more; the new array, or NULL and the old one stays. */
static void *grown(void *at, size_t count, size_t *capacity, size_t size)
{
	size_t more = *capacity ? *capacity * 2 : 64;
	void *bigger;

	if (count < *capacity)
		return at;
	bigger = mem_realloc(at, more * size);
	if (bigger)
		*capacity = more;
	return bigger;
}

uint32_t inventory_add(struct inventory *inv, const struct component *c)
{
	size_t capacity = inv->capacity;
	struct component *at;

	assert(!inv->finished);
	at = inv->count < COMPONENTS_MAX
		     ? grown(inv->at, inv->count, &capacity, sizeof(*inv->at))
		     : NULL;
	if (!at) {
		inv->failed = true;
		return COMPONENT_NONE;
	}
	inv->at = at;
	inv->capacity = (uint32_t)capacity;
	inv->at[inv->count] = *c;
	return inv->count++;
}

struct span inventory_text(struct inventory *inv, struct span text)
{
	struct span copy;

	if (text.len == 0)
		return SPAN("");
	copy = arena_dup(&inv->arena, text);
	if (!copy.ptr) {
		inv->failed = true;
		return SPAN("");
	}
	return copy;
}

PRINTF_LIKE(2, 0)
static struct span formatted(struct inventory *inv, const char *format, va_list args)
{
	char text[PROBLEM_BYTES_MAX];
	int length = vsnprintf(text, sizeof(text), format, args);

	if (length < 0)
		return SPAN("");
	if ((size_t)length >= sizeof(text))
		length = (int)sizeof(text) - 1;
	return inventory_text(inv, span_of(text, (size_t)length));
}

struct span inventory_printf(struct inventory *inv, const char *format, ...)
{
	struct span text;
	va_list args;

	va_start(args, format);
	text = formatted(inv, format, args);
	va_end(args);
	return text;
}

struct span inventory_join(struct inventory *inv, struct span a, struct span b, struct span c)
{
	size_t length = a.len + b.len + c.len;
	char *text = arena_alloc(&inv->arena, length + 1);

	if (!text) {
		inv->failed = true;
		return SPAN("");
	}
	if (a.len)
		memcpy(text, a.ptr, a.len);
	if (b.len)
		memcpy(text + a.len, b.ptr, b.len);
	if (c.len)
		memcpy(text + a.len + b.len, c.ptr, c.len);
	text[length] = '\0';
	return span_of(text, length);
}

void inventory_edge(struct inventory *inv, uint32_t from, uint32_t to)
{
	struct inventory_edge *at;

	if (from == COMPONENT_NONE || to == COMPONENT_NONE)
		return;
	at = grown(inv->edges, inv->edge_count, &inv->edge_capacity, sizeof(*at));
	if (!at) {
		inv->failed = true;
		return;
	}
	inv->edges = at;
	inv->edges[inv->edge_count++] = (struct inventory_edge){from, to};
}

void inventory_problem(struct inventory *inv, struct span file, uint32_t line,
		       const char *format, ...)
{
	struct inventory_problem *at;
	struct span message;
	va_list args;

	va_start(args, format);
	message = formatted(inv, format, args);
	va_end(args);
	at = grown(inv->problems, inv->problem_count, &inv->problem_capacity, sizeof(*at));
	if (!at) {
		inv->failed = true;
		return;
	}
	inv->problems = at;
	inv->problems[inv->problem_count++] =
		(struct inventory_problem){inventory_text(inv, file), line, message};
}

/* --- Finishing. */

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The edges' other ends, sorted by one end: of `i` they are to[start[i]] .. to[start[i + 1]]. */
struct adjacency {
	uint32_t *start;
	uint32_t *to;
};

static bool adjacency_make(struct inventory *inv, bool backwards, struct adjacency *made)
{
	size_t n = inv->count;
	uint32_t *start = arena_array(&inv->arena, uint32_t, n + 2);
	uint32_t *to = arena_array(&inv->arena, uint32_t, inv->edge_count + 1);

	if (!start || !to)
		return false;
	for (size_t i = 0; i < inv->edge_count; i++)
		start[(backwards ? inv->edges[i].to : inv->edges[i].from) + 2]++;
	for (size_t i = 2; i < n + 2; i++)
		start[i] += start[i - 1];
	for (size_t i = 0; i < inv->edge_count; i++) {
		const struct inventory_edge *e = &inv->edges[i];

		to[start[(backwards ? e->to : e->from) + 1]++] = backwards ? e->from : e->to;
	}
	*made = (struct adjacency){start, to};
	return true;
}

/* Sorts, drops duplicates and itself; returns how many are left. */
static uint32_t tidied(uint32_t *at, uint32_t count, uint32_t self)
{
	uint32_t kept = 0;

	qsort(at, count, sizeof(*at), compare_u32);
	for (uint32_t i = 0; i < count; i++) {
		if (at[i] != self && (kept == 0 || at[kept - 1] != at[i]))
			at[kept++] = at[i];
	}
	return kept;
}

static bool link_all(struct inventory *inv)
{
	struct adjacency forth, back;

	if (inv->edge_count == 0 || inv->edge_count > UINT32_MAX - 1)
		return inv->edge_count == 0;
	if (!adjacency_make(inv, false, &forth) || !adjacency_make(inv, true, &back))
		return false;
	for (uint32_t i = 0; i < inv->count; i++) {
		struct component *c = &inv->at[i];

		c->requires = forth.to + forth.start[i];
		c->requires_count = tidied(forth.to + forth.start[i],
					   forth.start[i + 1] - forth.start[i], i);
		c->required_by = back.to + back.start[i];
		c->required_by_count =
			tidied(back.to + back.start[i], back.start[i + 1] - back.start[i], i);
	}
	return true;
}

/* What is not said to be direct, in files that say so of some, and is required, is transitive. */
static void mark_transitive(struct inventory *inv)
{
	uint32_t start = 0;

	while (start < inv->count) {
		uint32_t end = start;
		bool tells = false;

		while (end < inv->count && inv->at[end].file.ptr == inv->at[start].file.ptr) {
			tells = tells || inv->at[end].relation == RELATION_DIRECT;
			end++;
		}
		for (uint32_t i = start; tells && i < end; i++) {
			if (inv->at[i].relation == RELATION_UNKNOWN &&
			    inv->at[i].required_by_count > 0)
				inv->at[i].relation = RELATION_TRANSITIVE;
		}
		start = end;
	}
}

/* --- One component for what a file lists several times. */

static void merge(struct component *into, const struct component *c)
{
	if (c->scope < into->scope)
		into->scope = c->scope;
	if (c->relation == RELATION_DIRECT || into->relation == RELATION_UNKNOWN)
		into->relation = c->relation;
	into->local = into->local && c->local;
	if (!into->licence.len)
		into->licence = c->licence;
	if (!into->digest.len) {
		into->digest_algorithm = c->digest_algorithm;
		into->digest = c->digest;
	}
}

/* Moves components of [start, end) down to *kept; `to` says where each has gone. */
static bool merge_file(struct inventory *inv, uint32_t start, uint32_t end, uint32_t *to,
		       uint32_t *kept)
{
	struct map purls = MAP_INIT;
	bool good = true;

	for (uint32_t i = start; good && i < end; i++) {
		const struct component *c = &inv->at[i];
		uintptr_t known = (uintptr_t)map_get(&purls, c->purl);

		/* Purls fold letters that names keep apart. */
		if (known && span_eq(inv->at[known - 1].name, c->name)) {
			merge(&inv->at[known - 1], c);
			to[i] = (uint32_t)(known - 1);
			continue;
		}
		inv->at[*kept] = *c;
		to[i] = (*kept)++;
		if (!known)
			good = map_put(&purls, inv->at[to[i]].purl,
				       (void *)((uintptr_t)to[i] + 1)) == 0;
	}
	map_release(&purls);
	return good;
}

static bool merge_same(struct inventory *inv)
{
	uint32_t *to = mem_zalloc((size_t)inv->count + 1, sizeof(*to));
	uint32_t start = 0, kept = 0;
	bool good = to != NULL;

	while (good && start < inv->count) {
		uint32_t end = start;

		while (end < inv->count && inv->at[end].file.ptr == inv->at[start].file.ptr)
			end++;
		good = merge_file(inv, start, end, to, &kept);
		start = end;
	}
	if (good) {
		inv->count = kept;
		for (size_t i = 0; i < inv->edge_count; i++) {
			inv->edges[i].from = to[inv->edges[i].from];
			inv->edges[i].to = to[inv->edges[i].to];
		}
		for (uint32_t i = 0; i < kept; i++) {
			if (inv->at[i].owner != COMPONENT_NONE)
				inv->at[i].owner = to[inv->at[i].owner];
		}
	}
	mem_free(to);
	return good;
}

int inventory_finish(struct inventory *inv, struct err *err)
{
	assert(!inv->finished);
	for (uint32_t i = 0; i < inv->count; i++) {
		struct component *c = &inv->at[i];

		if (c->purl.len == 0)
			c->purl = purl_make(&inv->arena, c);
		if (c->purl.len == 0)
			inv->failed = true;
		if (c->namespace.len == 0) {
			struct span name;

			purl_split(c, &c->namespace, &name);
		}
	}
	if (inv->failed || !merge_same(inv) || !link_all(inv))
		inv->failed = true;
	mark_transitive(inv);
	inv->finished = true;
	if (inv->failed)
		return err_set(err, ERR_MEMORY, "the inventory does not fit into memory");
	return 0;
}

size_t inventory_path(const struct inventory *inv, uint32_t index, uint32_t *path, size_t max)
{
	uint32_t *next, *queue;
	size_t length = 0, head = 0, tail = 0;

	assert(inv->finished && index < inv->count);
	next = mem_alloc((size_t)inv->count * sizeof(*next));
	queue = mem_alloc((size_t)inv->count * sizeof(*queue));
	if (!next || !queue)
		goto out;
	for (uint32_t i = 0; i < inv->count; i++)
		next[i] = COMPONENT_NONE;
	next[index] = index;
	queue[tail++] = index;
	while (head < tail) {
		uint32_t at = queue[head++];
		const struct component *c = &inv->at[at];

		if (c->relation == RELATION_DIRECT || c->required_by_count == 0) {
			while (length < max && at != index) {
				path[length++] = at;
				at = next[at];
			}
			length = length < max ? length + 1 : 0;
			if (length)
				path[length - 1] = index;
			break;
		}
		for (uint32_t i = 0; i < c->required_by_count; i++) {
			uint32_t parent = c->required_by[i];

			if (next[parent] == COMPONENT_NONE) {
				next[parent] = at;
				queue[tail++] = parent;
			}
		}
	}
out:
	mem_free(next);
	mem_free(queue);
	return length;
}

/* --- Ecosystems. */

static const struct {
	struct span purl_type;
	struct span osv;
} ecosystems[ECOSYSTEM_COUNT] = {
	[ECOSYSTEM_OTHER] = {SPAN_INIT("generic"), SPAN_INIT("")},
	[ECOSYSTEM_DPKG] = {SPAN_INIT("deb"), SPAN_INIT("Debian")},
	[ECOSYSTEM_APK] = {SPAN_INIT("apk"), SPAN_INIT("Alpine")},
	[ECOSYSTEM_RPM] = {SPAN_INIT("rpm"), SPAN_INIT("")},
	[ECOSYSTEM_NPM] = {SPAN_INIT("npm"), SPAN_INIT("npm")},
	[ECOSYSTEM_PYPI] = {SPAN_INIT("pypi"), SPAN_INIT("PyPI")},
	[ECOSYSTEM_GO] = {SPAN_INIT("golang"), SPAN_INIT("Go")},
	[ECOSYSTEM_CARGO] = {SPAN_INIT("cargo"), SPAN_INIT("crates"
							   ".io")},
	[ECOSYSTEM_MAVEN] = {SPAN_INIT("maven"), SPAN_INIT("Maven")},
	[ECOSYSTEM_RUBYGEMS] = {SPAN_INIT("gem"), SPAN_INIT("RubyGems")},
	[ECOSYSTEM_PACKAGIST] = {SPAN_INIT("composer"), SPAN_INIT("Packagist")},
	[ECOSYSTEM_NUGET] = {SPAN_INIT("nuget"), SPAN_INIT("NuGet")},
	[ECOSYSTEM_CONAN] = {SPAN_INIT("conan"), SPAN_INIT("ConanCenter")},
	[ECOSYSTEM_HEX] = {SPAN_INIT("hex"), SPAN_INIT("Hex")},
	[ECOSYSTEM_PUB] = {SPAN_INIT("pub"), SPAN_INIT("Pub")},
	[ECOSYSTEM_SWIFT] = {SPAN_INIT("swift"), SPAN_INIT("SwiftURL")},
	[ECOSYSTEM_CRAN] = {SPAN_INIT("cran"), SPAN_INIT("CRAN")},
	[ECOSYSTEM_BIOCONDUCTOR] = {SPAN_INIT("bioconductor"), SPAN_INIT("Bioconductor")},
	[ECOSYSTEM_HACKAGE] = {SPAN_INIT("hackage"), SPAN_INIT("Hackage")},
	[ECOSYSTEM_ACTIONS] = {SPAN_INIT("github"), SPAN_INIT("GitHub Actions")},
	[ECOSYSTEM_OCI] = {SPAN_INIT("docker"), SPAN_INIT("")},
};

struct span ecosystem_purl_type(enum ecosystem e)
{
	return ecosystems[e].purl_type;
}

struct span ecosystem_osv_name(const struct component *c)
{
	static const struct {
		struct span distro;
		struct span osv;
	} distros[] = {
		{SPAN_INIT("debian"), SPAN_INIT("Debian")},
		{SPAN_INIT("ubuntu"), SPAN_INIT("Ubuntu")},
		{SPAN_INIT("alpine"), SPAN_INIT("Alpine")},
		{SPAN_INIT("wolfi"), SPAN_INIT("Wolfi")},
		{SPAN_INIT("chainguard"), SPAN_INIT("Chainguard")},
		{SPAN_INIT("rocky"), SPAN_INIT("Rocky Linux")},
		{SPAN_INIT("almalinux"), SPAN_INIT("AlmaLinux")},
		{SPAN_INIT("rhel"), SPAN_INIT("Red Hat")},
		{SPAN_INIT("sles"), SPAN_INIT("SUSE")},
		{SPAN_INIT("opensuse-leap"), SPAN_INIT("openSUSE")},
		{SPAN_INIT("opensuse-tumbleweed"), SPAN_INIT("openSUSE")},
		{SPAN_INIT("mageia"), SPAN_INIT("Mageia")},
		{SPAN_INIT("photon"), SPAN_INIT("Photon OS")},
	};

	for (size_t i = 0; c->distro.len && i < COUNT_OF(distros); i++) {
		if (span_eq(c->distro, distros[i].distro))
			return distros[i].osv;
	}
	return ecosystems[c->ecosystem].osv;
}
