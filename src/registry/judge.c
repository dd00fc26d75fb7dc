#include "registry/judge.h"

#include <pthread.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mem.h"
#include "supply/purl.h"
#include "supply/waiver.h"

#define DAY_S 86400
#define RESULTS_TEXT_BYTES ((size_t)64 << 20)
#define REASONS_SHOWN 3

struct judge {
	char *database_path;
	char *policy_path; /* NULL: none */
	struct advisory_db *db;
	struct policy policy;
	struct waiver_list *waivers; /* one a file of the policy */
	size_t waiver_count;
	/* Applying a waiver counts its use, and whether it counts changes with the day. */
	pthread_mutex_t lock;
	int64_t verified_day;
};

void judge_close(struct judge *judge)
{
	if (!judge)
		return;
	for (size_t i = 0; i < judge->waiver_count; i++)
		waiver_list_release(&judge->waivers[i]);
	mem_free(judge->waivers);
	advisory_db_close(judge->db);
	policy_release(&judge->policy);
	pthread_mutex_destroy(&judge->lock);
	mem_free(judge->database_path);
	mem_free(judge->policy_path);
	mem_free(judge);
}

static int open_policy(struct judge *judge, struct err *err)
{
	struct config_problems problems = {0};
	int result = judge->policy_path
			     ? policy_load(&judge->policy, judge->policy_path, &problems)
			     : policy_load_default(&judge->policy, &problems);

	if (result < 0)
		return config_problems_to_err(&problems, err);
	judge->waivers = mem_zalloc(judge->policy.waivers.count + 1, sizeof(judge->waivers[0]));
	if (!judge->waivers)
		return err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < judge->policy.waivers.count; i++)
		if (waiver_list_load(&judge->waivers[judge->waiver_count++],
				     judge->policy.waivers.at[i].file.ptr, &problems) < 0)
			return config_problems_to_err(&problems, err);
	return 0;
}

struct judge *judge_open(const struct judge_files *files, struct err *err)
{
	struct judge *judge = mem_zalloc(1, sizeof(*judge));

	if (!judge || pthread_mutex_init(&judge->lock, NULL) != 0) {
		mem_free(judge);
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	judge->verified_day = -1;
	judge->database_path = mem_strdup(span_cstr(files->database));
	judge->policy_path = files->policy ? mem_strdup(span_cstr(files->policy)) : NULL;
	if (!judge->database_path || (files->policy && !judge->policy_path)) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		goto fail;
	}
	judge->db = advisory_db_open(files->database, err);
	if (!judge->db || open_policy(judge, err) < 0)
		goto fail;
	return judge;
fail:
	judge_close(judge);
	return NULL;
}

static uint64_t file_state(const char *path)
{
	struct stat st = {0};
	const struct span bytes = span_of(&st, sizeof(st));

	if (stat(path, &st) < 0)
		return 1;
	/* Being read is no change. */
	st.st_atim = (struct timespec){0};
	return hash_span(bytes);
}

uint64_t judge_files_state(const struct judge *judge)
{
	uint64_t state = file_state(judge->database_path);

	if (judge->policy_path)
		state = hash_mix(state, file_state(judge->policy_path));
	for (size_t i = 0; i < judge->policy.waivers.count; i++)
		state = hash_mix(state, file_state(judge->policy.waivers.at[i].file.ptr));
	return state;
}

/* ---- judging --------------------------------------------------------------------------------- */

static int list_releases(struct inventory *inv, enum ecosystem ecosystem, struct span name,
			 const struct release *releases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct component c = {.ecosystem = ecosystem,
				      .name = name,
				      .version = releases[i].version,
				      .licence = releases[i].licence,
				      .published = releases[i].published};

		c.purl = purl_make(&inv->arena, &c);
		if (!c.purl.len || inventory_add(inv, &c) == COMPONENT_NONE)
			return -1;
	}
	return 0;
}

static int apply_waivers(struct judge *judge, int64_t now_s, struct result_list *results)
{
	int result = 0;

	pthread_mutex_lock(&judge->lock);
	for (size_t i = 0; i < judge->waiver_count; i++)
		if (judge->verified_day != now_s / DAY_S)
			(void)waiver_list_verify(&judge->waivers[i], &judge->policy, now_s);
	judge->verified_day = now_s / DAY_S;
	for (size_t i = 0; i < judge->waiver_count && result == 0; i++)
		result = waiver_apply(&judge->waivers[i], results);
	pthread_mutex_unlock(&judge->lock);
	return result;
}

/* Everything that a scan says of the releases. */
static int find(struct judge *judge, struct result_list *results,
		struct vulnerability_list *vulnerabilities, int64_t now_s, struct err *err)
{
	const struct rank_options rank = {.include_owned = true};

	if (rank_inventory(judge->db, results->inventory, &rank, vulnerabilities, err) < 0)
		return -1;
	for (size_t i = 0; i < vulnerabilities->count; i++)
		if (result_add_vulnerability(results, &vulnerabilities->at[i]) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	if (policy_find(&judge->policy, judge->db, now_s, results) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	policy_judge(&judge->policy, judge->db, now_s, results);
	if (apply_waivers(judge, now_s, results) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	return 0;
}

static struct span append_reason(struct arena *arena, struct span why, const struct result *r)
{
	const struct vulnerability *v = r->vulnerability;
	const char *separator = why.len ? "; " : "";
	struct span what = r->finding.message;

	if (!v)
		return arena_printf(arena, "%.*s%s%.*s", SPAN_ARG(why), separator,
				    SPAN_ARG(what));
	what = v->summary.len ? v->summary : SPAN("no summary");
	if (v->malicious)
		return arena_printf(arena, "%.*s%smalicious, %.*s: %.*s", SPAN_ARG(why),
				    separator, SPAN_ARG(v->id), SPAN_ARG(what));
	return arena_printf(arena, "%.*s%s%.*s (%s): %.*s%s%.*s", SPAN_ARG(why), separator,
			    SPAN_ARG(v->id), finding_severity_name(v->severity), SPAN_ARG(what),
			    v->fix.len ? ", fixed in " : "", SPAN_ARG(v->fix));
}

static int take(const struct result *r, struct arena *arena, struct judgement *j,
		unsigned *reasons)
{
	j->refused = true;
	j->malicious = j->malicious || (r->vulnerability && r->vulnerability->malicious);
	if (r->finding.severity > j->severity)
		j->severity = r->finding.severity;
	if (span_eq(r->finding.rule, SPAN("component-denied")) && r->finding.advice.len)
		j->instead = arena_dup(arena, r->finding.advice);
	++*reasons;
	if (*reasons <= REASONS_SHOWN)
		j->why = append_reason(arena, j->why, r);
	else if (*reasons == REASONS_SHOWN + 1)
		j->why = arena_printf(arena, "%.*s; and more", SPAN_ARG(j->why));
	return j->why.ptr ? 0 : -1;
}

/* Results that count and fail, the gravest first. */
static int conclude(struct result_list *results, struct arena *arena,
		    struct judgement *judgements, struct err *err)
{
	unsigned *reasons =
		arena_array(&results->arena, unsigned, (size_t)results->inventory->count + 1);

	if (!reasons)
		return err_set(err, ERR_MEMORY, "out of memory");
	result_list_sort(results);
	for (size_t i = 0; i < results->count; i++) {
		const struct result *r = &results->at[i];

		if (!r->fails || !result_counts(r))
			continue;
		if (r->component == COMPONENT_NONE)
			return err_set(err, ERR_UNAVAILABLE, "%.*s",
				       SPAN_ARG(r->finding.message));
		if (take(r, arena, &judgements[r->component], &reasons[r->component]) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	}
	return 0;
}

int judge_releases(struct judge *judge, enum ecosystem ecosystem, struct span name,
		   const struct release *releases, size_t count, int64_t now_s,
		   struct arena *arena, struct judgement *judgements, struct err *err)
{
	struct vulnerability_list vulnerabilities = {0};
	struct result_list results;
	struct inventory inv;
	int result;

	memset(judgements, 0, count * sizeof(*judgements));
	inventory_init(&inv, RESULTS_TEXT_BYTES);
	result_list_init(&results, &inv);
	vulnerabilities.arena = &results.arena;
	result = list_releases(&inv, ecosystem, name, releases, count) < 0
			 ? err_set(err, ERR_MEMORY, "out of memory")
			 : find(judge, &results, &vulnerabilities, now_s, err);
	if (result == 0)
		result = conclude(&results, arena, judgements, err);
	result_list_release(&results);
	inventory_release(&inv);
	return result;
}

/* ---- what to use instead --------------------------------------------------------------------- */

/* Not final: "2.0.0-rc.1", "1.0rc1", "1.0.dev3"; build metadata and Maven's ".Final" are no matter. */
static bool is_before_final(enum ecosystem ecosystem, struct span version)
{
	struct span rest = span_slice(version, 0, span_find_byte(version, '+'));

	if (ecosystem == ECOSYSTEM_NPM || ecosystem == ECOSYSTEM_CARGO ||
	    ecosystem == ECOSYSTEM_GO || ecosystem == ECOSYSTEM_NUGET)
		return span_find_byte(rest, '-') < rest.len;
	for (size_t i = 0; i + 1 < rest.len; i++) {
		char c = ascii_lower(rest.ptr[i]);
		struct span word = span_slice(rest, i, rest.len);

		if ((c == 'a' || c == 'b') && rest.ptr[i + 1] >= '0' && rest.ptr[i + 1] <= '9')
			return true;
		if (span_starts_with(word, SPAN("rc")) || span_starts_with(word, SPAN("dev")) ||
		    span_starts_with(word, SPAN("alpha")) ||
		    span_starts_with(word, SPAN("beta")) ||
		    span_starts_with(word, SPAN("pre")) ||
		    span_starts_with(word, SPAN("SNAPSHOT")))
			return true;
	}
	return false;
}

struct choice {
	enum version_order order;
	enum ecosystem ecosystem;
	const struct release *releases;
	const struct judgement *judgements;
	size_t count;
};

static struct choice choice_of(enum ecosystem ecosystem, const struct release *releases,
			       const struct judgement *judgements, size_t count)
{
	const struct component c = {.ecosystem = ecosystem};

	return (struct choice){version_order_of_ecosystem(ecosystem_osv_name(&c)), ecosystem,
			       releases, judgements, count};
}

/* The newest allowed of those above `above` that share its major version; NULL: of all. */
static size_t newest(const struct choice *c, const struct span *above, bool before_final)
{
	size_t best = c->count;

	for (size_t i = 0; i < c->count; i++) {
		struct span version = c->releases[i].version;

		if ((c->judgements && c->judgements[i].refused) ||
		    (!before_final && is_before_final(c->ecosystem, version)))
			continue;
		if (above && (version_compare(c->order, version, *above) <= 0 ||
			      version_shared_numbers(version, *above) == 0))
			continue;
		if (best == c->count ||
		    version_compare(c->order, version, c->releases[best].version) > 0)
			best = i;
	}
	return best;
}

size_t judge_newest(enum ecosystem ecosystem, const struct release *releases,
		    const struct judgement *judgements, size_t count)
{
	struct choice c = choice_of(ecosystem, releases, judgements, count);
	size_t best = newest(&c, NULL, false);

	return best < count ? best : newest(&c, NULL, true);
}

size_t judge_instead(enum ecosystem ecosystem, const struct release *releases,
		     const struct judgement *judgements, size_t count, size_t at)
{
	struct choice c = choice_of(ecosystem, releases, judgements, count);
	bool before_final = is_before_final(ecosystem, releases[at].version);
	size_t best = newest(&c, &releases[at].version, before_final);

	return best < count ? best : newest(&c, NULL, before_final);
}
