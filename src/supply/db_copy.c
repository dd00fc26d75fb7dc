/* db_copy.c - the rows of an open database as records again, for building the next one on it. */
#include "base/mem.h"
#include "supply/db_build.h"

struct copier {
	const struct advisory_db *db;
	uint32_t *rows; /* indexes of affected rows, by advisory */
	uint32_t *first; /* of each advisory in `rows`, and the end */
	struct arena arena;
};

static bool group_rows(struct copier *c)
{
	uint64_t advisories = advisory_db_rows(c->db, DB_ADVISORIES);
	uint64_t rows = advisory_db_rows(c->db, DB_AFFECTED);
	uint32_t at = 0;

	c->rows = mem_zalloc(rows + 1, sizeof(*c->rows));
	c->first = mem_zalloc(advisories + 2, sizeof(*c->first));
	if (!c->rows || !c->first)
		return false;
	for (uint64_t i = 0; i < rows; i++) {
		uint32_t advisory = db_affected_at(c->db, i)->advisory;

		if (advisory < advisories)
			c->first[advisory + 1]++;
	}
	for (uint64_t i = 0; i <= advisories; i++) {
		at += c->first[i];
		c->first[i] = at;
	}
	/* Each start moves to its end while it is filled, so fill from the last row down. */
	for (uint64_t i = rows; i > 0; i--) {
		uint32_t advisory = db_affected_at(c->db, i - 1)->advisory;

		if (advisory < advisories)
			c->rows[--c->first[advisory + 1]] = (uint32_t)(i - 1);
	}
	/* first[a + 1] is now where a begins. */
	for (uint64_t i = 0; i < advisories; i++)
		c->first[i] = c->first[i + 1];
	c->first[advisories] = at;
	return true;
}

static void copy_vectors(const struct advisory_db *db, const db_text from[OSV_SEVERITY_TYPES],
			 struct span to[OSV_SEVERITY_TYPES])
{
	for (int i = 0; i < OSV_SEVERITY_TYPES; i++)
		to[i] = db_text_of(db, from[i]);
}

/* `count` is no more than there are rows, so a damaged one cannot ask for more. */
static struct span *copy_texts(struct copier *c, uint32_t first, uint32_t count)
{
	struct span *texts;

	if (count > advisory_db_rows(c->db, DB_TEXTS))
		return NULL;
	texts = arena_array(&c->arena, struct span, (size_t)count + 1);
	for (uint32_t i = 0; texts && i < count; i++)
		texts[i] = db_text_at(c->db, (uint64_t)first + i);
	return texts;
}

static bool copy_range(struct copier *c, const struct db_range *row, struct osv_range *range)
{
	if (!row || row->type > OSV_RANGE_GIT ||
	    row->event_count > advisory_db_rows(c->db, DB_EVENTS))
		return false;
	range->type = (enum osv_range_type)row->type;
	range->repo = db_text_of(c->db, row->repo);
	range->events = arena_array(&c->arena, struct osv_event, (size_t)row->event_count + 1);
	range->event_count = row->event_count;
	for (uint32_t i = 0; range->events && i < row->event_count; i++) {
		const struct db_event *event = db_event_at(c->db, (uint64_t)row->events + i);

		if (!event || event->kind > OSV_LIMIT)
			return false;
		range->events[i].kind = (enum osv_event_kind)event->kind;
		range->events[i].version = db_text_of(c->db, event->version);
	}
	return range->events != NULL;
}

static bool copy_affected(struct copier *c, const struct db_affected *row,
			  struct osv_affected *affected)
{
	if (row->range_count > advisory_db_rows(c->db, DB_RANGES))
		return false;
	affected->version_count = row->version_count;
	affected->versions = copy_texts(c, row->versions, row->version_count);
	affected->range_count = row->range_count;
	affected->ranges =
		arena_array(&c->arena, struct osv_range, (size_t)row->range_count + 1);
	if (!affected->versions || !affected->ranges)
		return false;
	copy_vectors(c->db, row->vectors, affected->vectors);
	for (uint32_t i = 0; i < row->range_count; i++)
		if (!copy_range(c, db_range_at(c->db, (uint64_t)row->ranges + i),
				&affected->ranges[i]))
			return false;
	return true;
}

/* The same ranges and versions, found under a package and under a repository. */
static bool same_source(const struct db_affected *a, const struct db_affected *b)
{
	return a->ranges == b->ranges && a->range_count == b->range_count &&
	       a->versions == b->versions && a->version_count == b->version_count;
}

static bool is_repository(const struct copier *c, const struct db_affected *row)
{
	return span_eq(db_text_of(c->db, row->ecosystem), SPAN("GIT"));
}

/* A row that was made for its repository is left out when another row stands for it. */
static bool is_duplicate(const struct copier *c, uint32_t first, uint32_t end, uint32_t at)
{
	const struct db_affected *row = db_affected_at(c->db, c->rows[at]);

	if (!is_repository(c, row))
		return false;
	for (uint32_t i = first; i < end; i++) {
		const struct db_affected *other = db_affected_at(c->db, c->rows[i]);

		if (i != at && same_source(row, other) && (!is_repository(c, other) || i < at))
			return true;
	}
	return false;
}

static bool copy_advisory(struct copier *c, uint32_t index, struct osv_advisory *advisory)
{
	const struct db_advisory *row = db_advisory_at(c->db, index);
	uint32_t first = c->first[index], end = c->first[index + 1];

	*advisory = (struct osv_advisory){
		.id = db_text_of(c->db, row->id),
		.summary = db_text_of(c->db, row->summary),
		.link = db_text_of(c->db, row->link),
		.word = db_text_of(c->db, row->word),
		.modified_s = row->modified_s,
		.published_s = row->published_s,
		.withdrawn_s = row->withdrawn_s,
		.alias_count = row->alias_count,
		.upstream_count = row->upstream_count,
	};
	copy_vectors(c->db, row->vectors, advisory->vectors);
	advisory->aliases = copy_texts(c, row->aliases, row->alias_count);
	advisory->upstream =
		copy_texts(c, row->aliases + row->alias_count, row->upstream_count);
	advisory->affected =
		arena_array(&c->arena, struct osv_affected, (size_t)(end - first) + 1);
	if (!advisory->aliases || !advisory->upstream || !advisory->affected)
		return false;
	for (uint32_t i = first; i < end; i++) {
		const struct db_affected *from = db_affected_at(c->db, c->rows[i]);
		struct osv_affected *to = &advisory->affected[advisory->affected_count];

		if (is_duplicate(c, first, end, i))
			continue;
		if (!is_repository(c, from)) {
			to->ecosystem = db_text_of(c->db, from->ecosystem);
			to->name = db_text_of(c->db, from->name);
		}
		if (!copy_affected(c, from, to))
			return false;
		advisory->affected_count++;
	}
	return true;
}

static int copy_scores(struct db_builder *b, const struct advisory_db *db, struct err *err)
{
	const struct db_header *header = advisory_db_header(db);

	db_builder_begin_epss(b, header->epss_s);
	for (uint64_t i = 0; i < advisory_db_rows(db, DB_EPSS); i++)
		if (db_builder_put_epss(b, db_epss_at(db, i), err) < 0)
			return -1;
	db_builder_begin_kev(b, header->kev_s);
	for (uint64_t i = 0; i < advisory_db_rows(db, DB_KEV); i++)
		if (db_builder_put_kev(b, db_kev_at(db, i), err) < 0)
			return -1;
	return 0;
}

int db_builder_add_all(struct db_builder *b, const struct advisory_db *db, struct err *err)
{
	struct copier c = {.db = db};
	int result = 0;

	arena_init(&c.arena, (size_t)1 << 30, (size_t)1 << 16);
	if (!group_rows(&c))
		result = err_set(err, ERR_MEMORY, "out of memory");
	for (uint32_t i = 0; result == 0 && i < advisory_db_rows(db, DB_ADVISORIES); i++) {
		struct osv_advisory advisory;

		arena_reset(&c.arena);
		if (!copy_advisory(&c, i, &advisory))
			result = err_set(err, ERR_INVALID,
					 "the database is damaged, or memory ran out");
		else
			result = db_builder_add(b, &advisory, err);
	}
	if (result == 0)
		result = copy_scores(b, db, err);
	arena_release(&c.arena);
	mem_free(c.rows);
	mem_free(c.first);
	return result;
}
