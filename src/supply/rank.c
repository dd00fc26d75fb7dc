#include "supply/rank.h"

#include "supply/cvss.h"

/* Matches of one component whose advisories name each other. */
struct group {
	const struct advisory_db *db;
	const struct match_list *matches;
	unsigned char *taken;
};

/* Debian and Alpine name releases by their first numbers: "12", "v3.18". */
static struct span release_of(struct span ecosystem, struct span version)
{
	bool is_alpine = span_eq(ecosystem, SPAN("Alpine"));
	unsigned dots = 0;

	if (span_eq(ecosystem, SPAN("Wolfi")) || span_eq(ecosystem, SPAN("Chainguard")))
		return SPAN_NONE;
	for (size_t i = 0; i < version.len; i++)
		if (version.ptr[i] == '.' &&
		    (++dots > 1 || (!is_alpine && !span_eq(ecosystem, SPAN("Ubuntu")))))
			return span_slice(version, 0, i);
	return version;
}

struct span rank_ecosystem(const struct component *c, char to[DB_NAME_MAX])
{
	struct span ecosystem = ecosystem_osv_name(c);
	struct span release =
		c->distro.len ? release_of(ecosystem, c->distro_version) : SPAN_NONE;
	int len;

	if (ecosystem.len == 0 || release.len == 0)
		return ecosystem;
	len = snprintf(to, DB_NAME_MAX, "%.*s:%s%.*s", SPAN_ARG(ecosystem),
		       span_eq(ecosystem, SPAN("Alpine")) ? "v" : "", SPAN_ARG(release));
	return len > 0 && len < DB_NAME_MAX ? span_of(to, (size_t)len) : ecosystem;
}

static bool names(const struct advisory_db *db, const struct db_advisory *a, struct span id)
{
	for (uint32_t i = 0; i < a->alias_count + a->upstream_count; i++) {
		struct span alias = db_text_at(db, (uint64_t)a->aliases + i);

		if (alias.len == 0)
			break; /* damaged counts end here */
		if (span_eq(alias, id))
			return true;
	}
	return false;
}

/* Are two advisories about the same vulnerability? One names the other, or both name a third. */
static bool are_aliases(const struct advisory_db *db, const struct db_advisory *a,
			const struct db_advisory *b)
{
	if (names(db, a, db_text_of(db, b->id)) || names(db, b, db_text_of(db, a->id)))
		return true;
	for (uint32_t i = 0; i < a->alias_count; i++) {
		struct span alias = db_text_at(db, (uint64_t)a->aliases + i);

		if (alias.len == 0)
			break;
		if (names(db, b, alias))
			return true;
	}
	return false;
}

/* Prefers reviewed records with a severity; the smaller is the better. */
static unsigned quality(const struct advisory_db *db, const struct db_advisory *a)
{
	struct span id = db_text_of(db, a->id);
	unsigned rank = a->vectors[OSV_CVSS_V4] || a->vectors[OSV_CVSS_V3] ? 0 : 4;

	if (span_starts_with(id, SPAN("GHSA-")))
		return rank;
	return rank + (span_starts_with(id, SPAN("CVE-")) ? 2 : 1);
}

static void score(struct vulnerability *v, struct span vector)
{
	struct cvss cvss;

	if (vector.len == 0 || cvss_read(vector, &cvss) != CVSS_OK)
		return;
	v->vector = vector;
	v->score_tenths = cvss.score_tenths;
	v->severity = cvss_severity(cvss.score_tenths);
	v->severity_known = true;
}

/* The newest version of CVSS counts; what is said of the package before what is said of all. */
static void score_advisory(const struct advisory_db *db, const struct db_advisory *a,
			   const struct db_affected *row, struct vulnerability *v)
{
	for (int type = OSV_SEVERITY_TYPES - 1; type >= 0 && !v->severity_known; type--)
		score(v, db_text_of(db, row->vectors[type]));
	for (int type = OSV_SEVERITY_TYPES - 1; type >= 0 && !v->severity_known; type--)
		score(v, db_text_of(db, a->vectors[type]));
}

static bool severity_of_word(struct span word, enum finding_severity *severity)
{
	static const struct {
		struct span word;
		enum finding_severity severity;
	} words[] = {
		{SPAN_INIT("CRITICAL"), FINDING_CRITICAL},
		{SPAN_INIT("HIGH"), FINDING_HIGH},
		{SPAN_INIT("IMPORTANT"), FINDING_HIGH},
		{SPAN_INIT("MODERATE"), FINDING_MEDIUM},
		{SPAN_INIT("MEDIUM"), FINDING_MEDIUM},
		{SPAN_INIT("LOW"), FINDING_LOW},
		{SPAN_INIT("NEGLIGIBLE"), FINDING_LOW},
		{SPAN_INIT("UNMAINTAINED"), FINDING_LOW},
		{SPAN_INIT("NOTICE"), FINDING_INFO},
		{SPAN_INIT("UNSOUND"), FINDING_LOW},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq_nocase(word, words[i].word)) {
			*severity = words[i].severity;
			return true;
		}
	return false;
}

static void take_cve(const struct advisory_db *db, struct span id, struct vulnerability *v)
{
	uint64_t cve = db_cve(id);
	const struct db_epss *epss = cve ? advisory_db_epss(db, cve) : NULL;
	const struct db_kev *kev = cve ? advisory_db_kev(db, cve) : NULL;

	if (epss && epss->probability_ppm >= v->epss_ppm) {
		v->epss_ppm = epss->probability_ppm;
		v->epss_percentile_ppm = epss->percentile_ppm;
	}
	if (kev)
		v->kev = kev;
}

static int add_other(struct vulnerability *v, struct span id, uint32_t capacity)
{
	if (id.len == 0 || span_eq(id, v->id))
		return 0;
	for (uint32_t i = 0; i < v->other_count; i++)
		if (span_eq(v->others[i], id))
			return 0;
	if (v->other_count == capacity)
		return -1;
	v->others[v->other_count++] = id;
	return 0;
}

/* What one advisory of the group adds. */
static void add_advisory(const struct advisory_db *db, const struct match *m,
			 struct vulnerability *v, uint32_t capacity)
{
	const struct db_advisory *a = db_advisory_at(db, m->advisory);
	struct span id = db_text_of(db, a->id);
	enum finding_severity severity;

	(void)add_other(v, id, capacity);
	take_cve(db, id, v);
	for (uint32_t i = 0; i < a->alias_count + a->upstream_count; i++) {
		struct span alias = db_text_at(db, (uint64_t)a->aliases + i);

		if (alias.len == 0 || add_other(v, alias, capacity) < 0)
			break;
		take_cve(db, alias, v);
	}
	if (!v->severity_known)
		score_advisory(db, a, db_affected_at(db, m->affected), v);
	if (!v->severity_known && severity_of_word(db_text_of(db, a->word), &severity)) {
		v->severity = severity;
		v->severity_known = true;
	}
	if (span_starts_with(id, SPAN("MAL-"))) {
		v->malicious = true;
		v->severity = FINDING_CRITICAL;
		v->severity_known = true;
	}
	if (v->summary.len == 0)
		v->summary = db_text_of(db, a->summary);
	if (v->link.len == 0)
		v->link = db_text_of(db, a->link);
	if (v->fix.len == 0)
		v->fix = m->fix;
}

unsigned rank_priority(const struct vulnerability *v, const struct component *c)
{
	static const unsigned by_severity[FINDING_SEVERITIES] = {0, 20, 50, 75, 95};
	unsigned tenths = v->score_tenths ? v->score_tenths : by_severity[v->severity];
	unsigned priority = tenths * 4 + v->epss_percentile_ppm / 4000;

	if (v->kev)
		priority += 200;
	if (v->exposure == EXPOSURE_PUBLIC)
		priority += 100;
	else if (v->exposure == EXPOSURE_AUTHENTICATED)
		priority += 60;
	if (c->relation == RELATION_DIRECT)
		priority += 50;
	return c->scope == SCOPE_DEV ? priority / 2 : priority;
}

const char *exposure_name(enum exposure exposure)
{
	switch (exposure) {
	case EXPOSURE_NONE: return "none";
	case EXPOSURE_AUTHENTICATED: return "authenticated";
	case EXPOSURE_PUBLIC: return "public";
	case EXPOSURE_UNKNOWN: break;
	}
	return "unknown";
}

static struct vulnerability *append(struct vulnerability_list *list)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;
		struct vulnerability *at =
			arena_array(list->arena, struct vulnerability, capacity);

		if (!at)
			return NULL;
		if (list->count)
			memcpy(at, list->at, list->count * sizeof(*at));
		list->at = at;
		list->capacity = capacity;
	}
	list->at[list->count] = (struct vulnerability){.severity = FINDING_MEDIUM};
	return &list->at[list->count++];
}

/* Marks what belongs to `first`, over any number of steps, with `mark`; returns the best. */
static size_t collect(const struct group *g, size_t first, unsigned char mark)
{
	size_t best = first;
	bool grown = true;

	g->taken[first] = mark;
	while (grown) {
		grown = false;
		for (size_t i = 0; i < g->matches->count; i++) {
			if (g->taken[i])
				continue;
			for (size_t j = 0; j < g->matches->count && !g->taken[i]; j++)
				if (g->taken[j] == mark &&
				    are_aliases(
					    g->db,
					    db_advisory_at(g->db, g->matches->at[i].advisory),
					    db_advisory_at(g->db,
							   g->matches->at[j].advisory))) {
					g->taken[i] = mark;
					grown = true;
				}
		}
	}
	for (size_t i = 0; i < g->matches->count; i++)
		if (g->taken[i] == mark &&
		    quality(g->db, db_advisory_at(g->db, g->matches->at[i].advisory)) <
			    quality(g->db,
				    db_advisory_at(g->db, g->matches->at[best].advisory)))
			best = i;
	return best;
}

static int add_group(const struct group *g, size_t first, uint32_t component,
		     struct vulnerability_list *list)
{
	size_t best = collect(g, first, 1);
	struct vulnerability *v = append(list);
	uint32_t capacity = 0;

	if (!v)
		return -1;
	v->component = component;
	v->match = g->matches->at[best];
	v->id = db_text_of(g->db, db_advisory_at(g->db, v->match.advisory)->id);
	for (size_t i = 0; i < g->matches->count; i++) {
		const struct db_advisory *a = db_advisory_at(g->db, g->matches->at[i].advisory);

		if (g->taken[i] != 1)
			continue;
		if (a->alias_count > UINT16_MAX || a->upstream_count > UINT16_MAX)
			continue; /* damaged */
		capacity += 1 + a->alias_count + a->upstream_count;
	}
	v->others = arena_array(list->arena, struct span, capacity + 1);
	if (!v->others)
		return -1;
	add_advisory(g->db, &v->match, v, capacity);
	for (size_t i = 0; i < g->matches->count; i++) {
		if (g->taken[i] != 1)
			continue;
		if (i != best)
			add_advisory(g->db, &g->matches->at[i], v, capacity);
		g->taken[i] = 2;
	}
	return 0;
}

static int add_component(const struct advisory_db *db, const struct component *c,
			 uint32_t index, struct match_list *matches,
			 struct vulnerability_list *list)
{
	char bytes[DB_NAME_MAX];
	struct span ecosystem = rank_ecosystem(c, bytes);
	struct span name = c->source_name.len ? c->source_name : c->name;
	struct span version =
		c->source_name.len && c->source_version.len ? c->source_version : c->version;
	struct group g = {.db = db, .matches = matches};

	matches->count = 0;
	if (ecosystem.len == 0 || name.len == 0 || version.len == 0)
		return 0;
	if (match_package(db, ecosystem, name, version, matches) < 0)
		return -1;
	if (matches->count == 0)
		return 0;
	g.taken = arena_zalloc(list->arena, matches->count, 1);
	if (!g.taken)
		return -1;
	for (size_t i = 0; i < matches->count; i++)
		if (!g.taken[i] && add_group(&g, i, index, list) < 0)
			return -1;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct vulnerability *a = left, *b = right;

	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	if (a->component != b->component)
		return a->component < b->component ? -1 : 1;
	return span_compare(a->id, b->id);
}

int rank_inventory(const struct advisory_db *db, const struct inventory *inv,
		   const struct rank_options *options, struct vulnerability_list *list,
		   struct err *err)
{
	struct match_list matches = {.arena = list->arena};

	for (uint32_t i = 0; i < inv->count; i++) {
		const struct component *c = &inv->at[i];
		size_t first = list->count;

		if (c->owner != COMPONENT_NONE && !options->include_owned)
			continue;
		if (add_component(db, c, i, &matches, list) < 0)
			return err_set(err, ERR_MEMORY, "out of memory while matching");
		for (size_t j = first; j < list->count; j++) {
			struct vulnerability *v = &list->at[j];

			if (options->exposure_of)
				v->exposure =
					options->exposure_of(options->context, c, &v->route);
			v->priority = rank_priority(v, c);
		}
	}
	if (list->count > 1)
		qsort(list->at, list->count, sizeof(*list->at), compare);
	return 0;
}
