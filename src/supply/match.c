#include "supply/match.h"

struct query {
	const struct advisory_db *db;
	struct span ecosystem;
	struct span version;
	enum version_order order;
};

static struct span suffix_of(struct span ecosystem)
{
	size_t colon = span_find_byte(ecosystem, ':');

	return span_slice(ecosystem, colon + 1, ecosystem.len);
}

/*
 * Ubuntu's support tiers are suffixes of their own: "22.04:LTS" is the plain release, while
 * "Pro:22.04:LTS" is fixed for subscribers only.
 */
static struct span without_lts(struct span suffix)
{
	if (span_ends_with(suffix, SPAN(":LTS")))
		suffix.len -= 4;
	return suffix;
}

bool match_ecosystem(struct span recorded, struct span asked)
{
	struct span r = suffix_of(recorded), a = suffix_of(asked);
	struct span r_base = span_slice(recorded, 0, span_find_byte(recorded, ':'));
	struct span a_base = span_slice(asked, 0, span_find_byte(asked, ':'));

	if (!span_eq_nocase(r_base, a_base))
		return false;
	if (r.len == 0 || a.len == 0 || span_eq(r, a))
		return true;
	return span_eq_nocase(a_base, SPAN("Ubuntu")) &&
	       span_eq(without_lts(r), without_lts(a));
}

static enum version_order range_order(const struct query *q, const struct db_range *range)
{
	return q->order == VERSION_ORDER_BYTES && range->type == OSV_RANGE_SEMVER
		       ? VERSION_ORDER_SEMVER
		       : q->order;
}

/* <0, 0, >0 like version_compare; "0" as an introduction is before all. */
static int compare_to_event(enum version_order order, struct span version,
			    const struct db_event *event, struct span at)
{
	if (event->kind == OSV_INTRODUCED && span_eq(at, SPAN("0")))
		return 1;
	return version_compare(order, version, at);
}

/* Without an order only "all versions" can be told. */
static bool is_comparable(const struct query *q, const struct db_range *range)
{
	if (range_order(q, range) != VERSION_ORDER_BYTES)
		return true;
	for (uint32_t i = 0; i < range->event_count; i++) {
		const struct db_event *event = db_event_at(q->db, (uint64_t)range->events + i);

		if (!event || event->kind != OSV_INTRODUCED ||
		    !span_eq(db_text_of(q->db, event->version), SPAN("0")))
			return false;
	}
	return true;
}

static bool before_limits(const struct query *q, const struct db_range *range,
			  struct span version)
{
	bool limited = false;

	for (uint32_t i = 0; i < range->event_count; i++) {
		const struct db_event *event = db_event_at(q->db, (uint64_t)range->events + i);

		if (!event)
			break;
		if (event->kind != OSV_LIMIT)
			continue;
		limited = true;
		if (span_eq(db_text_of(q->db, event->version), SPAN("*")) ||
		    version_compare(range_order(q, range), version,
				    db_text_of(q->db, event->version)) < 0)
			return true;
	}
	return !limited;
}

/* Events are in ascending order: the last one at or before the version decides. */
static bool in_range(const struct query *q, const struct db_range *range, struct span version,
		     struct match *match)
{
	enum version_order order = range_order(q, range);
	bool vulnerable = false;

	if (range->type == OSV_RANGE_GIT || range->type > OSV_RANGE_GIT ||
	    !is_comparable(q, range) || !before_limits(q, range, version))
		return false;
	for (uint32_t i = 0; i < range->event_count; i++) {
		const struct db_event *event = db_event_at(q->db, (uint64_t)range->events + i);
		struct span at;
		int place;

		if (!event)
			return false;
		at = db_text_of(q->db, event->version);
		place = compare_to_event(order, version, event, at);
		if (event->kind == OSV_INTRODUCED && place >= 0) {
			vulnerable = true;
			match->introduced = at;
			match->end = SPAN_NONE;
		} else if (event->kind == OSV_FIXED && place >= 0) {
			vulnerable = false;
		} else if (event->kind == OSV_LAST_AFFECTED && place > 0) {
			vulnerable = false;
		} else if (vulnerable && event->kind != OSV_INTRODUCED && match->end.len == 0) {
			match->end = at;
			match->end_included = event->kind == OSV_LAST_AFFECTED;
		}
	}
	return vulnerable;
}

/* Versions are in ascending order: half the distance a step. */
static bool is_listed(const struct query *q, const struct db_affected *row, struct span version)
{
	uint64_t low = row->versions, high = low + row->version_count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int order = version_compare(q->order, db_text_at(q->db, middle), version);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool is_affected(const struct query *q, const struct db_affected *row,
			struct span version, struct match *match)
{
	for (uint32_t i = 0; i < row->range_count; i++) {
		const struct db_range *range = db_range_at(q->db, (uint64_t)row->ranges + i);

		if (!range)
			break;
		if (in_range(q, range, version, match)) {
			match->reason = MATCH_RANGE;
			return true;
		}
	}
	match->reason = MATCH_VERSION;
	return is_listed(q, row, version);
}

/* Is `a` to be preferred to `b` as the version to go to? */
static bool is_closer(const struct query *q, enum version_order order, struct span a,
		      struct span b)
{
	bool a_near = version_shared_numbers(a, q->version) > 0;
	bool b_near = version_shared_numbers(b, q->version) > 0;

	if (b.len == 0)
		return true;
	if (a_near != b_near)
		return a_near;
	return version_compare(order, a, b) < 0;
}

/*
 * All rows of the advisory for this package count, as one may affect what another one calls fixed;
 * they stand together.
 */
static bool is_fix(const struct query *q, uint64_t index, struct span version)
{
	uint32_t advisory = db_affected_at(q->db, index)->advisory;
	const struct db_affected *row;
	struct match unused;

	while (index > 0 && db_affected_at(q->db, index - 1)->advisory == advisory)
		index--;
	for (; (row = db_affected_at(q->db, index)) && row->advisory == advisory; index++)
		if (match_ecosystem(db_text_of(q->db, row->ecosystem), q->ecosystem) &&
		    is_affected(q, row, version, &unused))
			return false;
	return true;
}

static void find_fix(const struct query *q, struct match *match)
{
	const struct db_affected *row = db_affected_at(q->db, match->affected);

	for (uint32_t i = 0; i < row->range_count; i++) {
		const struct db_range *range = db_range_at(q->db, (uint64_t)row->ranges + i);

		if (!range)
			break;
		for (uint32_t j = 0; j < range->event_count; j++) {
			const struct db_event *event =
				db_event_at(q->db, (uint64_t)range->events + j);
			enum version_order order = range_order(q, range);
			struct span at;

			if (!event)
				break;
			if (event->kind != OSV_FIXED || range->type == OSV_RANGE_GIT)
				continue;
			at = db_text_of(q->db, event->version);
			if (version_compare(order, at, q->version) > 0 &&
			    is_closer(q, order, at, match->fix) &&
			    is_fix(q, match->affected, at))
				match->fix = at;
		}
	}
}

static int append(struct match_list *list, const struct match *match)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		struct match *at = arena_array(list->arena, struct match, capacity);

		if (!at)
			return -1;
		if (list->count)
			memcpy(at, list->at, list->count * sizeof(*at));
		list->at = at;
		list->capacity = capacity;
	}
	list->at[list->count++] = *match;
	return 0;
}

static int compare_matches(const void *left, const void *right)
{
	const struct match *a = left, *b = right;

	return (a->advisory > b->advisory) - (a->advisory < b->advisory);
}

/* Rows of one advisory stand together in a package, as they were added together. */
static bool is_known(const struct match_list *list, size_t first, uint32_t advisory)
{
	return list->count > first && list->at[list->count - 1].advisory == advisory;
}

int match_package(const struct advisory_db *db, struct span ecosystem, struct span name,
		  struct span version, struct match_list *list)
{
	struct query q = {.db = db,
			  .ecosystem = ecosystem,
			  .version = version,
			  .order = version_order_of_ecosystem(ecosystem)};
	const struct db_package *package = advisory_db_package(db, ecosystem, name);
	size_t first = list->count;

	if (!package || version.len == 0)
		return 0;
	for (uint32_t i = 0; i < package->affected_count; i++) {
		uint64_t index = (uint64_t)package->affected + i;
		const struct db_affected *row = db_affected_at(db, index);
		const struct db_advisory *advisory;
		struct match match = {.affected = (uint32_t)index};

		if (!row)
			break;
		advisory = db_advisory_at(db, row->advisory);
		if (!advisory || advisory->withdrawn_s ||
		    is_known(list, first, row->advisory) ||
		    !match_ecosystem(db_text_of(db, row->ecosystem), ecosystem) ||
		    !is_affected(&q, row, version, &match))
			continue;
		match.advisory = row->advisory;
		find_fix(&q, &match);
		if (append(list, &match) < 0)
			return -1;
	}
	if (list->count - first > 1)
		qsort(list->at + first, list->count - first, sizeof(*list->at),
		      compare_matches);
	return 0;
}
