#include "supply/report.h"

#include "base/clock.h"
#include "parse/json_write.h"
#include "parse/sarif.h"

bool report_counts(const struct report *r, const struct vulnerability *v)
{
	return v->waiver.len == 0 && !(r->hide_unfixed && v->fix.len == 0);
}

bool report_worst(const struct report *r, enum finding_severity *worst)
{
	bool found = false;

	*worst = FINDING_INFO;
	for (size_t i = 0; i < r->vulnerabilities->count; i++) {
		const struct vulnerability *v = &r->vulnerabilities->at[i];

		if (!report_counts(r, v))
			continue;
		found = true;
		if (v->severity > *worst)
			*worst = v->severity;
	}
	for (size_t i = 0; i < r->finding_count; i++) {
		found = true;
		if (r->findings[i].severity > *worst)
			*worst = r->findings[i].severity;
	}
	return found;
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

static void put_vulnerability(struct json_writer *w, const struct report *r,
			      const struct vulnerability *v)
{
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
	json_member_bool(w, SPAN("exposed"), v->exposed);
	json_member_int(w, SPAN("priority"), v->priority);
	put_optional(w, SPAN("summary"), v->summary);
	put_optional(w, SPAN("link"), v->link);
	put_optional(w, SPAN("fix"), v->fix);
	put_reason(w, &v->match);
	put_optional(w, SPAN("waived"), v->waiver);
	put_component(w, r, v->component);
	json_end_object(w);
}

static void put_finding(struct json_writer *w, const struct finding *f)
{
	json_begin_object(w);
	json_member_string(w, SPAN("rule"), f->rule);
	json_member_string(w, SPAN("severity"), span_cstr(finding_severity_name(f->severity)));
	json_member_string(w, SPAN("message"), f->message);
	put_optional(w, SPAN("advice"), f->advice);
	put_optional(w, SPAN("link"), f->link);
	put_optional(w, SPAN("subject"), f->subject);
	json_member_string(w, SPAN("file"), f->place.file);
	json_member_int(w, SPAN("line"), f->place.line);
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

void report_json(const struct report *r, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_int(&w, SPAN("schema"), 1);
	json_member_string(&w, SPAN("tool"), SPAN("sallyport"));
	json_member_string(&w, SPAN("version"), r->version);
	put_database(&w, r);
	json_member_int(&w, SPAN("components"), r->inventory->count);
	json_key(&w, SPAN("vulnerabilities"));
	json_begin_array(&w);
	for (size_t i = 0; i < r->vulnerabilities->count; i++) {
		const struct vulnerability *v = &r->vulnerabilities->at[i];

		if (report_counts(r, v) || v->waiver.len)
			put_vulnerability(&w, r, v);
	}
	json_end_array(&w);
	json_key(&w, SPAN("findings"));
	json_begin_array(&w);
	for (size_t i = 0; i < r->finding_count; i++)
		put_finding(&w, &r->findings[i]);
	json_end_array(&w);
	json_key(&w, SPAN("problems"));
	json_begin_array(&w);
	for (size_t i = 0; i < r->inventory->problem_count; i++) {
		const struct inventory_problem *p = &r->inventory->problems[i];

		json_begin_object(&w);
		json_member_string(&w, SPAN("file"), p->file);
		json_member_int(&w, SPAN("line"), p->line);
		json_member_string(&w, SPAN("message"), p->message);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(to, '\n');
}

/* Components of a folder are named as it names them; of an image, "file" lies in the image. */
static int to_finding(const struct report *r, const struct vulnerability *v, struct arena *a,
		      struct finding_list *list)
{
	const struct component *c = &r->inventory->at[v->component];
	struct span advice = SPAN_NONE;
	struct finding f = {
		.rule = v->id,
		.severity = v->severity,
		.link = v->link,
		.subject = c->purl,
		.place = {.file = c->file, .line = c->line},
	};

	f.message = arena_printf(a, "%.*s %.*s: %.*s", SPAN_ARG(c->name), SPAN_ARG(c->version),
				 SPAN_ARG(v->summary.len ? v->summary : v->id));
	if (v->fix.len)
		advice = arena_printf(a, "Upgrade %.*s to %.*s.", SPAN_ARG(c->name),
				      SPAN_ARG(v->fix));
	f.advice = advice;
	return f.message.ptr ? finding_list_add(list, &f) : -1;
}

int report_sarif(const struct report *r, struct buf *to)
{
	struct sarif_tool tool = {SPAN("sallyport"), r->version, SPAN_NONE};
	struct finding_list list;
	struct arena arena;
	int result = 0;

	arena_init(&arena, (size_t)1 << 30, (size_t)1 << 16);
	finding_list_init(&list, &arena);
	for (size_t i = 0; i < r->vulnerabilities->count && result == 0; i++)
		if (report_counts(r, &r->vulnerabilities->at[i]))
			result = to_finding(r, &r->vulnerabilities->at[i], &arena, &list);
	for (size_t i = 0; i < r->finding_count && result == 0; i++)
		result = finding_list_add(&list, &r->findings[i]);
	if (result == 0) {
		finding_list_sort(&list);
		sarif_write(to, &tool, list.at, list.count);
		buf_append_byte(to, '\n');
	}
	arena_release(&arena);
	return result;
}
