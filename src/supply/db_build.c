#include "supply/db_build.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "parse/version.h"
#include "supply/db_pool.h"
#include "supply/db_write.h"

struct db_builder {
	struct db_pool pool;
	struct db_column packages; /* struct db_package */
	struct db_column affected; /* struct db_affected */
	struct db_column affected_package; /* uint32_t, beside `affected` */
	struct db_column ranges;
	struct db_column events;
	struct db_column texts;
	struct db_column advisories; /* replaced ones have no id */
	struct db_column epss;
	struct db_column kev;
	struct db_index package_index;
	struct db_index id_index;
	uint32_t replaced;
	int64_t epss_s;
	int64_t kev_s;
	int64_t newest_s;
};

static int full(struct err *err)
{
	return err_set(err, ERR_MEMORY,
		       "out of memory, or more than 32-bit indexes and 4 GiB of text");
}

struct db_builder *db_builder_new(void)
{
	struct db_builder *b = mem_zalloc(1, sizeof(*b));

	if (!b)
		return NULL;
	db_column_init(&b->packages, sizeof(struct db_package));
	db_column_init(&b->affected, sizeof(struct db_affected));
	db_column_init(&b->affected_package, sizeof(uint32_t));
	db_column_init(&b->ranges, sizeof(struct db_range));
	db_column_init(&b->events, sizeof(struct db_event));
	db_column_init(&b->texts, sizeof(db_text));
	db_column_init(&b->advisories, sizeof(struct db_advisory));
	db_column_init(&b->epss, sizeof(struct db_epss));
	db_column_init(&b->kev, sizeof(struct db_kev));
	if (db_pool_init(&b->pool) < 0) {
		db_builder_free(b);
		return NULL;
	}
	return b;
}

void db_builder_free(struct db_builder *b)
{
	if (!b)
		return;
	db_pool_release(&b->pool);
	db_column_release(&b->packages);
	db_column_release(&b->affected);
	db_column_release(&b->affected_package);
	db_column_release(&b->ranges);
	db_column_release(&b->events);
	db_column_release(&b->texts);
	db_column_release(&b->advisories);
	db_column_release(&b->epss);
	db_column_release(&b->kev);
	db_index_release(&b->package_index);
	db_index_release(&b->id_index);
	mem_free(b);
}

uint32_t db_builder_count(const struct db_builder *b)
{
	return (uint32_t)b->advisories.count - b->replaced;
}

static int put_text(struct db_builder *b, struct span text, db_text *ref)
{
	return db_pool_put(&b->pool, text, ref);
}

static int put_vectors(struct db_builder *b, const struct span from[OSV_SEVERITY_TYPES],
		       db_text to[OSV_SEVERITY_TYPES])
{
	for (int i = 0; i < OSV_SEVERITY_TYPES; i++)
		if (put_text(b, from[i], &to[i]) < 0)
			return -1;
	return 0;
}

static int put_texts(struct db_builder *b, const struct span *texts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		db_text ref;

		if (put_text(b, texts[i], &ref) < 0 || db_column_append(&b->texts, &ref, 1) < 0)
			return -1;
	}
	return 0;
}

/* The index of the package's row, made when it is new. -1: memory; 1: a name that is too long. */
static int put_package(struct db_builder *b, struct span ecosystem, struct span name,
		       uint32_t *index)
{
	char ecosystem_bytes[DB_NAME_MAX], name_bytes[DB_NAME_MAX];
	struct db_package row = {0};
	struct span e, n;
	size_t cursor = 0;

	if (!db_normal_ecosystem(ecosystem, ecosystem_bytes, &e) ||
	    !db_normal_name(e, name, name_bytes, &n))
		return 1;
	row.hash = db_package_hash(e, n);
	if (put_text(b, e, &row.ecosystem) < 0 || put_text(b, n, &row.name) < 0)
		return -1;
	while (db_index_next(&b->package_index, row.hash, &cursor, index)) {
		const struct db_package *there = (const void *)b->packages.at;

		if (there[*index].name == row.name && there[*index].ecosystem == row.ecosystem)
			return 0;
	}
	*index = (uint32_t)b->packages.count;
	if (db_column_append(&b->packages, &row, 1) < 0)
		return -1;
	return db_index_add(&b->package_index, row.hash, *index);
}

static int compare_versions(const void *left, const void *right, void *context)
{
	const struct span *a = left, *b = right;
	int order = version_compare(*(enum version_order *)context, *a, *b);

	return order ? order : span_compare(*a, *b);
}

static bool is_start(const struct osv_event *e)
{
	return e->kind == OSV_INTRODUCED && span_eq(e->version, SPAN("0"));
}

static int compare_events(const void *left, const void *right, void *context)
{
	const struct osv_event *a = left, *b = right;
	int order = 0;

	if (is_start(a) || is_start(b))
		order = (int)is_start(b) - (int)is_start(a);
	if (order == 0)
		order = version_compare(*(enum version_order *)context, a->version, b->version);
	return order ? order : (int)a->kind - (int)b->kind;
}

static enum version_order order_of(struct span ecosystem, enum osv_range_type type)
{
	enum version_order order = version_order_of_ecosystem(ecosystem);

	return order == VERSION_ORDER_BYTES && type == OSV_RANGE_SEMVER ? VERSION_ORDER_SEMVER
									: order;
}

static int put_range(struct db_builder *b, struct span ecosystem, const struct osv_range *range)
{
	enum version_order order = order_of(ecosystem, range->type);
	struct db_range row = {.type = range->type,
			       .events = (uint32_t)b->events.count,
			       .event_count = range->event_count};

	if (range->type != OSV_RANGE_GIT && range->event_count > 1)
		qsort_r(range->events, range->event_count, sizeof(*range->events),
			compare_events, &order);
	for (uint32_t i = 0; i < range->event_count; i++) {
		struct db_event event = {.kind = range->events[i].kind};

		if (put_text(b, range->events[i].version, &event.version) < 0 ||
		    db_column_append(&b->events, &event, 1) < 0)
			return -1;
	}
	if (put_text(b, range->repo, &row.repo) < 0)
		return -1;
	return db_column_append(&b->ranges, &row, 1);
}

/* Under a package; several rows may share the ranges and versions of one. */
static int put_row(struct db_builder *b, const struct db_affected *row, struct span ecosystem,
		   struct span name)
{
	struct db_affected copy = *row;
	uint32_t package;
	int put = put_package(b, ecosystem, name, &package);

	if (put != 0)
		return put < 0 ? -1 : 0; /* no package manager has such a name */
	if (put_text(b, ecosystem, &copy.ecosystem) < 0 || put_text(b, name, &copy.name) < 0 ||
	    db_column_append(&b->affected, &copy, 1) < 0)
		return -1;
	if (db_column_append(&b->affected_package, &package, 1) < 0) {
		b->affected.count--;
		return -1;
	}
	return 0;
}

static int put_affected(struct db_builder *b, const struct osv_affected *affected,
			uint32_t advisory)
{
	enum version_order order = version_order_of_ecosystem(affected->ecosystem);
	struct db_affected row = {.advisory = advisory,
				  .ranges = (uint32_t)b->ranges.count,
				  .range_count = affected->range_count,
				  .versions = (uint32_t)b->texts.count,
				  .version_count = affected->version_count};

	if (affected->version_count > 1)
		qsort_r(affected->versions, affected->version_count,
			sizeof(*affected->versions), compare_versions, &order);
	if (put_texts(b, affected->versions, affected->version_count) < 0 ||
	    put_vectors(b, affected->vectors, row.vectors) < 0)
		return -1;
	for (uint32_t i = 0; i < affected->range_count; i++)
		if (put_range(b, affected->ecosystem, &affected->ranges[i]) < 0)
			return -1;
	if (affected->name.len && affected->ecosystem.len &&
	    put_row(b, &row, affected->ecosystem, affected->name) < 0)
		return -1;
	/* What is known by its repository is found under that, too. */
	for (uint32_t i = 0; i < affected->range_count; i++)
		if (affected->ranges[i].type == OSV_RANGE_GIT && affected->ranges[i].repo.len &&
		    put_row(b, &row, SPAN("GIT"), affected->ranges[i].repo) < 0)
			return -1;
	return 0;
}

static struct db_advisory *advisory_at(const struct db_builder *b, size_t index)
{
	return (struct db_advisory *)(void *)b->advisories.at + index;
}

/* True when the one that is there stays; else it is taken out. */
static bool keep_old(struct db_builder *b, db_text id, uint64_t hash, int64_t modified_s)
{
	size_t cursor = 0;
	uint32_t index;

	while (db_index_next(&b->id_index, hash, &cursor, &index)) {
		struct db_advisory *there = advisory_at(b, index);

		if (there->id != id)
			continue;
		if (there->modified_s > modified_s)
			return true;
		there->id = 0;
		b->replaced++;
		return false;
	}
	return false;
}

int db_builder_add(struct db_builder *b, const struct osv_advisory *advisory, struct err *err)
{
	uint32_t index = (uint32_t)b->advisories.count;
	uint64_t hash = db_hash(advisory->id);
	struct db_advisory row = {.modified_s = advisory->modified_s,
				  .published_s = advisory->published_s,
				  .withdrawn_s = advisory->withdrawn_s,
				  .alias_count = advisory->alias_count,
				  .upstream_count = advisory->upstream_count};

	if (put_text(b, advisory->id, &row.id) < 0)
		return full(err);
	if (keep_old(b, row.id, hash, row.modified_s))
		return 0;
	row.aliases = (uint32_t)b->texts.count;
	if (put_texts(b, advisory->aliases, advisory->alias_count) < 0 ||
	    put_texts(b, advisory->upstream, advisory->upstream_count) < 0 ||
	    put_text(b, advisory->summary, &row.summary) < 0 ||
	    put_text(b, advisory->link, &row.link) < 0 ||
	    put_text(b, advisory->word, &row.word) < 0 ||
	    put_vectors(b, advisory->vectors, row.vectors) < 0 ||
	    db_column_append(&b->advisories, &row, 1) < 0 ||
	    db_index_add(&b->id_index, hash, index) < 0)
		return full(err);
	for (uint32_t i = 0; i < advisory->affected_count; i++)
		if (put_affected(b, &advisory->affected[i], index) < 0)
			return full(err);
	if (row.modified_s > b->newest_s)
		b->newest_s = row.modified_s;
	return 0;
}

void db_builder_begin_epss(struct db_builder *b, int64_t day_s)
{
	b->epss.count = 0;
	b->epss_s = day_s;
}

int db_builder_put_epss(struct db_builder *b, const struct db_epss *score, struct err *err)
{
	return db_column_append(&b->epss, score, 1) < 0 ? full(err) : 0;
}

void db_builder_begin_kev(struct db_builder *b, int64_t day_s)
{
	b->kev.count = 0;
	b->kev_s = day_s;
}

int db_builder_put_kev(struct db_builder *b, const struct db_kev *entry, struct err *err)
{
	return db_column_append(&b->kev, entry, 1) < 0 ? full(err) : 0;
}

static int compare_ids(const void *left, const void *right, void *context)
{
	const struct db_advisory *a = advisory_at(context, *(const uint32_t *)left);
	const struct db_advisory *b = advisory_at(context, *(const uint32_t *)right);
	const struct db_builder *builder = context;

	return span_compare(db_pool_text(&builder->pool, a->id),
			    db_pool_text(&builder->pool, b->id));
}

/* Sorts by id without the replaced ones; places[old] is the new index, or UINT32_MAX. */
static int sort_advisories(struct db_builder *b, uint32_t *places)
{
	uint32_t count = 0, total = (uint32_t)b->advisories.count;
	uint32_t *order = mem_zalloc((size_t)total + 1, sizeof(*order));
	struct db_column sorted;
	int result = 0;

	if (!order)
		return -1;
	db_column_init(&sorted, sizeof(struct db_advisory));
	for (uint32_t i = 0; i < total; i++) {
		places[i] = UINT32_MAX;
		if (advisory_at(b, i)->id)
			order[count++] = i;
	}
	if (count > 1)
		qsort_r(order, count, sizeof(*order), compare_ids, b);
	for (uint32_t i = 0; i < count && result == 0; i++) {
		places[order[i]] = i;
		result = db_column_append(&sorted, advisory_at(b, order[i]), 1);
	}
	mem_free(order);
	if (result < 0) {
		db_column_release(&sorted);
		return -1;
	}
	db_column_release(&b->advisories);
	b->advisories = sorted;
	return 0;
}

/* Brings the rows of each package together, and points from packages and to advisories. */
static int group_affected(struct db_builder *b, const uint32_t *places)
{
	struct db_package *packages = (void *)b->packages.at;
	struct db_affected *rows = (void *)b->affected.at;
	const uint32_t *package_of = (const void *)b->affected_package.at;
	struct db_affected *grouped = mem_zalloc(b->affected.count + 1, sizeof(*grouped));
	uint32_t at = 0;

	if (!grouped)
		return -1;
	for (size_t i = 0; i < b->affected.count; i++)
		if (places[rows[i].advisory] != UINT32_MAX)
			packages[package_of[i]].affected_count++;
	for (size_t i = 0; i < b->packages.count; i++) {
		packages[i].affected = at;
		at += packages[i].affected_count;
		packages[i].affected_count = 0;
	}
	for (size_t i = 0; i < b->affected.count; i++) {
		struct db_package *p = &packages[package_of[i]];

		if (places[rows[i].advisory] == UINT32_MAX)
			continue;
		rows[i].advisory = places[rows[i].advisory];
		grouped[p->affected + p->affected_count++] = rows[i];
	}
	if (at)
		memcpy(rows, grouped, at * sizeof(*rows));
	b->affected.count = at;
	mem_free(grouped);
	return 0;
}

static int make_slots(const struct db_builder *b, struct db_column *slots)
{
	const struct db_package *packages = (const void *)b->packages.at;
	size_t count = 16;
	uint32_t *at;

	while (count < b->packages.count * 2)
		count *= 2;
	at = mem_zalloc(count, sizeof(*at));
	if (!at)
		return -1;
	*slots = (struct db_column){(char *)at, sizeof(*at), count, count};
	for (size_t i = 0; i < b->packages.count; i++) {
		size_t slot = packages[i].hash & (count - 1);

		while (at[slot])
			slot = (slot + 1) & (count - 1);
		at[slot] = (uint32_t)i + 1;
	}
	return 0;
}

static int compare_cves(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

int db_builder_write_to(struct db_builder *b, int fd, struct err *err)
{
	uint32_t *places = mem_zalloc(b->advisories.count + 1, sizeof(*places));
	struct db_column slots = {0};
	struct db_header header = {.built_s = clock_unix_s(),
				   .newest_s = b->newest_s,
				   .epss_s = b->epss_s,
				   .kev_s = b->kev_s};
	const struct db_column *sections[DB_SECTIONS] = {
		[DB_STRINGS] = &b->pool.bytes, [DB_SLOTS] = &slots,
		[DB_PACKAGES] = &b->packages,  [DB_AFFECTED] = &b->affected,
		[DB_RANGES] = &b->ranges,      [DB_EVENTS] = &b->events,
		[DB_TEXTS] = &b->texts,	       [DB_ADVISORIES] = &b->advisories,
		[DB_EPSS] = &b->epss,	       [DB_KEV] = &b->kev,
	};
	int result = -1;

	if (!places || sort_advisories(b, places) < 0 || group_affected(b, places) < 0 ||
	    make_slots(b, &slots) < 0) {
		(void)full(err);
		goto out;
	}
	if (b->epss.count > 1)
		qsort(b->epss.at, b->epss.count, b->epss.row_bytes, compare_cves);
	if (b->kev.count > 1)
		qsort(b->kev.at, b->kev.count, b->kev.row_bytes, compare_cves);
	result = db_write_fill(fd, &header, sections, err);
out:
	mem_free(places);
	mem_free(slots.at);
	return result;
}

int db_builder_write(struct db_builder *b, const char *path, struct err *err)
{
	int fd = db_write_begin(path, err);

	if (fd < 0)
		return -1;
	if (db_builder_write_to(b, fd, err) < 0)
		return db_write_abort(path, fd);
	return db_write_commit(path, fd, err);
}
