/* What a policy finds by itself, and which results fail. */
#include "supply/osv.h"
#include "supply/pattern.h"
#include "supply/policy.h"

#define DAY_S 86400

struct finder {
	const struct policy *policy;
	const struct advisory_db *db;
	int64_t now_s;
	struct result_list *results;
};

static enum finding_severity severity_of(enum policy_action action)
{
	return action == POLICY_FAIL ? FINDING_HIGH : FINDING_LOW;
}

/* The message, and the advice if there is one, are in the list's arena. */
static int add(const struct finder *f, uint32_t component, enum result_kind kind,
	       struct finding *finding, enum policy_action action)
{
	const struct inventory *inv = f->results->inventory;
	struct result r = {
		.kind = kind, .component = component, .fails = action == POLICY_FAIL};

	if (!finding->message.ptr)
		return -1;
	finding->severity = severity_of(action);
	if (component != COMPONENT_NONE) {
		finding->subject = inv->at[component].purl;
		finding->place = (struct finding_place){.file = inv->at[component].file,
							.line = inv->at[component].line};
	}
	r.finding = *finding;
	return result_add(f->results, &r);
}

/* ---- licences -------------------------------------------------------------------------------- */

static int find_licence(const struct finder *f, uint32_t index)
{
	const struct policy_licences *licences = &f->policy->licences;
	const struct component *c = &f->results->inventory->at[index];
	struct arena *a = &f->results->arena;
	struct finding finding = {0};

	if (c->local || (c->scope == SCOPE_DEV && !licences->development))
		return 0;
	switch (policy_licence(licences, c->licence)) {
	case LICENCE_ALLOWED: return 0;
	case LICENCE_UNKNOWN:
		if (licences->unknown == POLICY_IGNORE)
			return 0;
		finding.rule = SPAN("licence-unknown");
		finding.message =
			c->licence.len
				? arena_printf(a, "%.*s %.*s: \"%.*s\" is no SPDX expression",
					       SPAN_ARG(c->name), SPAN_ARG(c->version),
					       SPAN_ARG(c->licence))
				: arena_printf(a, "%.*s %.*s: no licence is known",
					       SPAN_ARG(c->name), SPAN_ARG(c->version));
		return add(f, index, RESULT_LICENCE, &finding, licences->unknown);
	case LICENCE_DENIED: break;
	}
	if (licences->denied == POLICY_IGNORE)
		return 0;
	finding.rule = SPAN("licence-denied");
	finding.message =
		arena_printf(a, "%.*s %.*s: the licence %.*s may not be used",
			     SPAN_ARG(c->name), SPAN_ARG(c->version), SPAN_ARG(c->licence));
	return add(f, index, RESULT_LICENCE, &finding, licences->denied);
}

/* ---- components ------------------------------------------------------------------------------ */

static int find_denied(const struct finder *f, uint32_t index)
{
	const struct component *c = &f->results->inventory->at[index];
	struct arena *a = &f->results->arena;

	for (size_t i = 0; i < f->policy->components.deny.count; i++) {
		const struct policy_denied *d = &f->policy->components.deny.at[i];
		struct finding finding = {.rule = SPAN("component-denied")};

		if (d->action == POLICY_IGNORE || !pattern_purl(d->purl, c->purl) ||
		    (d->versions.len && !pattern_versions(d->versions, c)))
			continue;
		finding.message = arena_printf(a, "%.*s %.*s may not be used%s%.*s",
					       SPAN_ARG(c->name), SPAN_ARG(c->version),
					       d->reason.len ? ": " : "", SPAN_ARG(d->reason));
		if (d->instead.len) {
			finding.advice = arena_printf(a, "Use %.*s.", SPAN_ARG(d->instead));
			if (!finding.advice.ptr)
				return -1;
		}
		return add(f, index, RESULT_POLICY, &finding, d->action);
	}
	return 0;
}

static int find_age(const struct finder *f, uint32_t index)
{
	const struct policy_components *p = &f->policy->components;
	const struct component *c = &f->results->inventory->at[index];
	int64_t published_s = osv_time_s(c->published);
	int64_t age_ms = (f->now_s - published_s) * 1000;
	struct finding finding = {0};

	if (published_s <= 0 || p->age == POLICY_IGNORE)
		return 0;
	if (p->min_age_ms && age_ms < (int64_t)p->min_age_ms)
		finding.rule = SPAN("component-too-young");
	else if (p->max_age_ms && age_ms > (int64_t)p->max_age_ms)
		finding.rule = SPAN("component-too-old");
	else
		return 0;
	finding.message = arena_printf(&f->results->arena, "%.*s %.*s was released on %.*s",
				       SPAN_ARG(c->name), SPAN_ARG(c->version),
				       SPAN_ARG(span_slice(c->published, 0, 10)));
	return add(f, index, RESULT_POLICY, &finding, p->age);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool has_label(struct span labels, struct span name)
{
	while (labels.len) {
		struct span line = span_cut(&labels, '\n');
		struct span key = span_cut(&line, '=');

		if (span_eq(key, name))
			return line.len > 0;
	}
	return false;
}

static int find_labels(const struct finder *f)
{
	const struct policy_labels *labels = &f->policy->labels;
	const struct inventory *inv = f->results->inventory;

	if (inv->layer_count == 0 || labels->missing == POLICY_IGNORE)
		return 0; /* no image */
	for (size_t i = 0; i < labels->required.count; i++) {
		struct finding finding = {.rule = SPAN("label-missing"),
					  .subject = labels->required.at[i]};

		if (has_label(inv->labels, labels->required.at[i]))
			continue;
		finding.message =
			arena_printf(&f->results->arena, "the image has no label %.*s",
				     SPAN_ARG(labels->required.at[i]));
		if (add(f, COMPONENT_NONE, RESULT_POLICY, &finding, labels->missing) < 0)
			return -1;
	}
	return 0;
}

static int find_stale(const struct finder *f)
{
	const struct policy_database *p = &f->policy->database;
	struct finding finding = {.rule = SPAN("database-stale")};
	int64_t age_s;

	if (!f->db || p->stale == POLICY_IGNORE)
		return 0;
	age_s = f->now_s - advisory_db_header(f->db)->built_s;
	if (age_s * 1000 <= (int64_t)p->max_age_ms)
		return 0;
	finding.message =
		arena_printf(&f->results->arena, "the advisory database is %lld days old",
			     (long long)(age_s / 86400));
	finding.advice = SPAN("Run sallyport db update.");
	return add(f, COMPONENT_NONE, RESULT_POLICY, &finding, p->stale);
}

int policy_find(const struct policy *policy, const struct advisory_db *db, int64_t now_s,
		struct result_list *results)
{
	struct finder f = {policy, db, now_s, results};
	bool licences = policy->licences.allow.count || policy->licences.deny.count ||
			policy->licences.unknown != POLICY_IGNORE;

	for (uint32_t i = 0; i < results->inventory->count; i++)
		if ((licences && find_licence(&f, i) < 0) || find_denied(&f, i) < 0 ||
		    find_age(&f, i) < 0)
			return -1;
	return find_labels(&f) < 0 || find_stale(&f) < 0 ? -1 : 0;
}

/* ---- judging --------------------------------------------------------------------------------- */

static enum policy_action by_levels(const struct policy_levels *levels, unsigned severity)
{
	if (severity >= levels->fail)
		return POLICY_FAIL;
	return severity >= levels->warn ? POLICY_WARN : POLICY_IGNORE;
}

static enum policy_action at_most(enum policy_action action, enum policy_action most)
{
	return action < most ? action : most;
}

static int64_t published_s(const struct advisory_db *db, const struct vulnerability *v)
{
	const struct db_advisory *a = db ? db_advisory_at(db, v->match.advisory) : NULL;

	return a ? a->published_s : 0;
}

struct judge {
	const struct policy *policy;
	const struct advisory_db *db;
	int64_t now_s;
	const struct inventory *inv;
};

static enum policy_action judge_vulnerability(const struct judge *j, const struct result *r)
{
	const struct policy_vulnerabilities *p = &j->policy->vulnerabilities;
	const struct vulnerability *v = r->vulnerability;
	enum policy_action action = by_levels(&p->levels, v->severity);
	int64_t released_s = published_s(j->db, v);
	int64_t age_ms = released_s > 0 ? (j->now_s - released_s) * 1000 : INT64_MAX;

	/* Nobody fixes an attack, and it is young for as long as it does harm. */
	if (v->malicious)
		return POLICY_FAIL;
	if (p->epss_percent && v->epss_ppm >= p->epss_percent * 10000)
		action = POLICY_FAIL;
	if (p->overdue_ms && v->fix.len && released_s > 0 && age_ms > (int64_t)p->overdue_ms)
		action = POLICY_FAIL;
	if (age_ms < (int64_t)p->grace_ms)
		action = at_most(action, POLICY_WARN);
	if (v->kev && p->exploited > action)
		action = p->exploited;
	if (v->exposure == EXPOSURE_NONE)
		action = at_most(action, p->unexposed);
	if (j->inv->at[v->component].scope == SCOPE_DEV)
		action = at_most(action, p->development);
	return v->fix.len ? action : at_most(action, p->unfixed);
}

static enum policy_action judge_one(const struct judge *j, const struct result *r)
{
	unsigned severity = r->finding.severity;

	switch (r->kind) {
	case RESULT_VULNERABILITY: return judge_vulnerability(j, r);
	case RESULT_MISCONFIGURATION: return by_levels(&j->policy->misconfigurations, severity);
	case RESULT_SECRET: return by_levels(&j->policy->secrets, severity);
	case RESULT_IMPORTED: return by_levels(&j->policy->imported, severity);
	case RESULT_LICENCE:
	case RESULT_POLICY: break;
	}
	return r->fails ? POLICY_FAIL : POLICY_WARN; /* as it was found */
}

static const struct policy_exception *exception_of(const struct judge *j,
						   const struct result *r)
{
	for (size_t i = 0; i < j->policy->exceptions.count; i++) {
		const struct policy_exception *e = &j->policy->exceptions.at[i];

		if (e->until.len && j->now_s >= osv_time_s(e->until) + DAY_S)
			continue;
		if (result_has_id(r, e->id) && policy_scope_holds(&e->scope, j->inv, r))
			return e;
	}
	return NULL;
}

void policy_judge(const struct policy *policy, const struct advisory_db *db, int64_t now_s,
		  struct result_list *results)
{
	struct judge j = {policy, db, now_s, results->inventory};

	for (size_t i = 0; i < results->count; i++) {
		struct result *r = &results->at[i];
		const struct policy_exception *e = exception_of(&j, r);
		enum policy_action action = judge_one(&j, r);

		r->fails = action == POLICY_FAIL;
		if (e)
			result_silence(r, RESULT_EXCEPTED, e->reason);
		else if (action == POLICY_IGNORE)
			result_silence(r, RESULT_EXCEPTED,
				       SPAN("the policy does not ask for it"));
	}
}
