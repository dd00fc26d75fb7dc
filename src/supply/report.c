#include "supply/report.h"

#include "base/clock.h"
#include "parse/json_write.h"

struct span report_path(const struct report *r, struct span file, struct arena *a)
{
	if (!r->folder.len || !file.len || (r->only.len && !span_eq(r->only, file)))
		return file.ptr ? file : SPAN("");
	return arena_printf(a, "%.*s%.*s", SPAN_ARG(r->folder), SPAN_ARG(file));
}

void report_put_age(const struct report *r, struct buf *to)
{
	char time[CLOCK_RFC3339_SIZE];
	int64_t built_s, days;

	if (!r->db)
		return;
	built_s = advisory_db_header(r->db)->built_s;
	days = (r->now_s - built_s) / 86400;
	clock_rfc3339(time, built_s * 1000);
	buf_printf(to, "advisories of %.10s", time);
	if (days > 0)
		buf_printf(to, ", %lld day%s old", (long long)days, days > 1 ? "s" : "");
	buf_append_byte(to, '\n');
}

struct report_counts report_count(const struct report *r)
{
	struct report_counts c = {0};

	for (size_t i = 0; i < r->results->count; i++) {
		const struct result *result = &r->results->at[i];

		c.by_silence[result->silence]++;
		if (!result_counts(result))
			continue;
		c.by_severity[result->finding.severity]++;
		if (result->fails)
			c.fails++;
		else
			c.warns++;
	}
	return c;
}

const char *report_severity_word(const struct result *r)
{
	static const char *const words[FINDING_SEVERITIES] = {
		[FINDING_INFO] = "INFO",	 [FINDING_LOW] = "LOW",
		[FINDING_MEDIUM] = "MEDIUM",	 [FINDING_HIGH] = "HIGH",
		[FINDING_CRITICAL] = "CRITICAL",
	};

	if (r->vulnerability && !r->vulnerability->severity_known)
		return "UNKNOWN";
	return words[r->finding.severity];
}

struct span report_cve(const struct vulnerability *v)
{
	if (span_starts_with(v->id, SPAN("CVE-")))
		return v->id;
	for (uint32_t i = 0; i < v->other_count; i++)
		if (span_starts_with(v->others[i], SPAN("CVE-")))
			return v->others[i];
	return SPAN_NONE;
}

static void put_strings(struct json_writer *w, struct span key, const struct span *texts,
			uint32_t count)
{
	json_key(w, key);
	json_begin_array(w);
	for (uint32_t i = 0; i < count; i++)
		json_put_string(w, texts[i]);
	json_end_array(w);
}

static void put_optional(struct json_writer *w, struct span key, struct span text)
{
	if (text.len)
		json_member_string(w, key, text);
}

static struct span relation_word(enum component_relation relation)
{
	switch (relation) {
	case RELATION_DIRECT: return SPAN("direct");
	case RELATION_TRANSITIVE: return SPAN("transitive");
	case RELATION_UNKNOWN: break;
	}
	return SPAN("unknown");
}

/* The way from a direct component, as purls. */
#define PATH_MAX_STEPS 64

static void put_path(struct json_writer *w, const struct report *r, uint32_t component)
{
	uint32_t path[PATH_MAX_STEPS];
	size_t steps = inventory_path(r->inventory, component, path, PATH_MAX_STEPS);

	if (steps < 2)
		return;
	json_key(w, SPAN("path"));
	json_begin_array(w);
	for (size_t i = 0; i < steps; i++)
		json_put_string(w, r->inventory->at[path[i]].purl);
	json_end_array(w);
}

static void put_component(struct json_writer *w, const struct report *r, uint32_t index)
{
	const struct component *c = &r->inventory->at[index];

	json_key(w, SPAN("component"));
	json_begin_object(w);
	json_member_string(w, SPAN("name"), c->name);
	json_member_string(w, SPAN("version"), c->version);
	json_member_string(w, SPAN("purl"), c->purl);
	put_optional(w, SPAN("source"), c->source_name);
	json_member_string(w, SPAN("relation"), relation_word(c->relation));
	put_path(w, r, index);
	put_optional(w, SPAN("file"), c->file);
	if (c->line)
		json_member_int(w, SPAN("line"), c->line);
	if (c->layer != COMPONENT_NONE && c->layer < r->inventory->layer_count)
		put_optional(w, SPAN("layer"), r->inventory->layers[c->layer].digest);
	json_end_object(w);
}

static void put_reason(struct json_writer *w, const struct match *m)
{
	json_key(w, SPAN("matched"));
	json_begin_object(w);
	if (m->reason == MATCH_VERSION) {
		json_member_string(w, SPAN("by"), SPAN("version"));
	} else {
		json_member_string(w, SPAN("by"), SPAN("range"));
		json_member_string(w, SPAN("introduced"), m->introduced);
		put_optional(w, m->end_included ? SPAN("last_affected") : SPAN("before"),
			     m->end);
	}
	json_end_object(w);
}

/* What all results have. */
static void put_state(struct json_writer *w, const struct result *r)
{
	json_member_string(w, SPAN("state"), span_cstr(result_silence_name(r->silence)));
	put_optional(w, SPAN("why"), r->why);
	json_member_bool(w, SPAN("fails"), result_counts(r) && r->fails);
	json_member_string(w, SPAN("fingerprint"), r->fingerprint);
	put_optional(w, SPAN("service"), r->service);
	put_optional(w, SPAN("tool"), r->tool);
}

static void put_vulnerability(struct json_writer *w, const struct report *r,
			      const struct result *result)
{
	const struct vulnerability *v = result->vulnerability;

	json_begin_object(w);
	json_member_string(w, SPAN("id"), v->id);
	put_strings(w, SPAN("aliases"), v->others, v->other_count);
	json_member_string(w, SPAN("severity"),
			   v->severity_known ? span_cstr(finding_severity_name(v->severity))
					     : SPAN("unknown"));
	if (v->vector.len) {
		json_key(w, SPAN("cvss"));
		json_put_double(w, v->score_tenths / 10.0);
		json_member_string(w, SPAN("vector"), v->vector);
	}
	if (v->epss_ppm) {
		json_key(w, SPAN("epss"));
		json_put_double(w, v->epss_ppm / 1e6);
		json_key(w, SPAN("epss_percentile"));
		json_put_double(w, v->epss_percentile_ppm / 1e6);
	}
	json_member_bool(w, SPAN("known_exploited"), v->kev != NULL);
	json_member_string(w, SPAN("exposure"), span_cstr(exposure_name(v->exposure)));
	put_optional(w, SPAN("route"), v->route);
	json_member_int(w, SPAN("priority"), v->priority);
	put_optional(w, SPAN("summary"), v->summary);
	put_optional(w, SPAN("link"), v->link);
	put_optional(w, SPAN("fix"), v->fix);
	put_reason(w, &v->match);
	put_state(w, result);
	put_component(w, r, v->component);
	json_end_object(w);
}

static void put_standards(struct json_writer *w, struct span rest)
{
	if (!rest.len)
		return;
	json_key(w, SPAN("standards"));
	json_begin_array(w);
	while (rest.ptr)
		json_put_string(w, span_trim(span_cut(&rest, ',')));
	json_end_array(w);
}

static void put_finding(struct json_writer *w, const struct result *r)
{
	const struct finding *f = &r->finding;

	json_begin_object(w);
	json_member_string(w, SPAN("kind"), span_cstr(result_kind_name(r->kind)));
	json_member_string(w, SPAN("rule"), f->rule);
	json_member_string(w, SPAN("severity"), span_cstr(finding_severity_name(f->severity)));
	json_member_string(w, SPAN("message"), f->message);
	put_optional(w, SPAN("advice"), f->advice);
	put_optional(w, SPAN("link"), f->link);
	put_standards(w, f->standards);
	put_optional(w, SPAN("subject"), f->subject);
	json_member_string(w, SPAN("file"), f->place.file);
	json_member_int(w, SPAN("line"), f->place.line);
	if (f->place.column)
		json_member_int(w, SPAN("column"), f->place.column);
	put_state(w, r);
	json_end_object(w);
}

static void put_database(struct json_writer *w, const struct report *r)
{
	const struct db_header *header = r->db ? advisory_db_header(r->db) : NULL;
	char time[CLOCK_RFC3339_SIZE];

	if (!header)
		return;
	json_key(w, SPAN("database"));
	json_begin_object(w);
	clock_rfc3339(time, header->built_s * 1000);
	json_member_string(w, SPAN("built"), span_cstr(time));
	clock_rfc3339(time, header->newest_s * 1000);
	json_member_string(w, SPAN("newest"), span_cstr(time));
	json_member_int(w, SPAN("advisories"), (int64_t)advisory_db_rows(r->db, DB_ADVISORIES));
	json_end_object(w);
}

static void put_counts(struct json_writer *w, const struct report *r)
{
	struct report_counts c = report_count(r);

	json_key(w, SPAN("counts"));
	json_begin_object(w);
	json_member_int(w, SPAN("fail"), (int64_t)c.fails);
	json_member_int(w, SPAN("warn"), (int64_t)c.warns);
	for (int i = FINDING_SEVERITIES - 1; i >= 0; i--)
		json_member_int(w, span_cstr(finding_severity_name((enum finding_severity)i)),
				(int64_t)c.by_severity[i]);
	for (int i = RESULT_COUNTS + 1; i < RESULT_SILENCES; i++)
		json_member_int(w, span_cstr(result_silence_name((enum result_silence)i)),
				(int64_t)c.by_silence[i]);
	json_end_object(w);
}

static void put_results(struct json_writer *w, const struct report *r, bool vulnerabilities)
{
	json_begin_array(w);
	for (size_t i = 0; i < r->results->count; i++) {
		const struct result *result = &r->results->at[i];

		if (result->silence == RESULT_KNOWN ||
		    vulnerabilities != (result->vulnerability != NULL))
			continue;
		if (vulnerabilities)
			put_vulnerability(w, r, result);
		else
			put_finding(w, result);
	}
	json_end_array(w);
}

static void put_problems(struct json_writer *w, const struct report *r)
{
	json_key(w, SPAN("problems"));
	json_begin_array(w);
	for (size_t i = 0; i < r->inventory->problem_count; i++) {
		const struct inventory_problem *p = &r->inventory->problems[i];

		json_begin_object(w);
		json_member_string(w, SPAN("file"), p->file);
		json_member_int(w, SPAN("line"), p->line);
		json_member_string(w, SPAN("message"), p->message);
		json_end_object(w);
	}
	json_end_array(w);
}

void report_json(const struct report *r, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_int(&w, SPAN("schema"), 1);
	json_member_string(&w, SPAN("tool"), SPAN("sallyport"));
	json_member_string(&w, SPAN("version"), r->version);
	json_member_string(&w, SPAN("target"), r->target);
	put_database(&w, r);
	json_member_int(&w, SPAN("components"), r->inventory->count);
	put_counts(&w, r);
	json_key(&w, SPAN("vulnerabilities"));
	put_results(&w, r, true);
	json_key(&w, SPAN("findings"));
	put_results(&w, r, false);
	put_problems(&w, r);
	json_end_object(&w);
	buf_append_byte(to, '\n');
}
