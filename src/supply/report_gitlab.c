/*
 * GitLab's security reports (schemas 15, types dependency_scanning and container_scanning) and its
 * code quality report.
 */
#include "base/clock.h"
#include "base/map.h"
#include "parse/json_write.h"
#include "supply/report.h"

#define SCHEMA_VERSION SPAN("15.0.7")

static void put_tool(struct json_writer *w, const struct report *r, struct span key)
{
	json_key(w, key);
	json_begin_object(w);
	json_member_string(w, SPAN("id"), SPAN("sallyport"));
	json_member_string(w, SPAN("name"), SPAN("Sallyport"));
	json_member_string(w, SPAN("version"), r->version);
	json_key(w, SPAN("vendor"));
	json_begin_object(w);
	json_member_string(w, SPAN("name"), SPAN("Sallyport"));
	json_end_object(w);
	json_end_object(w);
}

static void put_scan(struct json_writer *w, const struct report *r, bool image)
{
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(time, r->now_s * 1000);
	json_key(w, SPAN("scan"));
	json_begin_object(w);
	put_tool(w, r, SPAN("analyzer"));
	put_tool(w, r, SPAN("scanner"));
	json_member_string(w, SPAN("type"),
			   image ? SPAN("container_scanning") : SPAN("dependency_scanning"));
	/* Without fraction and zone, as the schema wants it. */
	json_member_string(w, SPAN("start_time"), span_of(time, 19));
	json_member_string(w, SPAN("end_time"), span_of(time, 19));
	json_member_string(w, SPAN("status"), SPAN("success"));
	json_end_object(w);
}

static struct span severity_of(const struct vulnerability *v)
{
	if (!v->severity_known)
		return SPAN("Unknown");
	switch (v->severity) {
	case FINDING_INFO: return SPAN("Info");
	case FINDING_LOW: return SPAN("Low");
	case FINDING_MEDIUM: return SPAN("Medium");
	case FINDING_HIGH: return SPAN("High");
	case FINDING_CRITICAL: return SPAN("Critical");
	}
	return SPAN("Unknown");
}

/* "cve", "ghsa", ...: what an id begins with. */
static void put_identifier(struct json_writer *w, struct span id, struct span link)
{
	struct span kind = span_slice(id, 0, span_find_byte(id, '-'));
	char lower[32];
	size_t len = 0;

	for (size_t i = 0; i < kind.len && i < sizeof(lower); i++)
		lower[len++] = ascii_lower(kind.ptr[i]);
	json_begin_object(w);
	json_member_string(w, SPAN("type"), span_of(lower, len));
	json_member_string(w, SPAN("name"), id);
	json_member_string(w, SPAN("value"), id);
	if (span_starts_with(link, SPAN("https://")))
		json_member_string(w, SPAN("url"), link);
	json_end_object(w);
}

static void put_dependency(struct json_writer *w, const struct component *c)
{
	json_key(w, SPAN("dependency"));
	json_begin_object(w);
	json_key(w, SPAN("package"));
	json_begin_object(w);
	json_member_string(w, SPAN("name"), c->name);
	json_end_object(w);
	json_member_string(w, SPAN("version"), c->version);
	json_end_object(w);
}

/* A name with a tag, which the schema demands. */
static void put_image(struct json_writer *w, const struct report *r)
{
	const struct inventory *inv = r->inventory;
	struct span name = inv->subject_name.len ? inv->subject_name : SPAN("image");
	struct buf text;

	buf_init(&text, 4096);
	buf_append(&text, name);
	buf_append_byte(&text, ':');
	buf_append(&text, inv->subject_version.len ? inv->subject_version : SPAN("latest"));
	if (buf_failed(&text))
		w->to->failed = true;
	json_member_string(w, SPAN("image"), buf_span(&text));
	buf_clear(&text);
	buf_printf(&text, "%.*s %.*s", SPAN_ARG(inv->distro), SPAN_ARG(inv->distro_version));
	json_member_string(w, SPAN("operating_system"),
			   inv->distro.len ? buf_span(&text) : SPAN("unknown"));
	buf_release(&text);
}

static void put_path(struct json_writer *w, struct span key, const struct report *r,
		     struct span file)
{
	struct arena arena;

	arena_init(&arena, (size_t)1 << 20, 4096);
	file = report_path(r, file, &arena);
	if (file.ptr)
		json_member_string(w, key, file);
	else
		w->to->failed = true;
	arena_release(&arena);
}

static void put_location(struct json_writer *w, const struct report *r,
			 const struct component *c, bool image)
{
	json_key(w, SPAN("location"));
	json_begin_object(w);
	put_dependency(w, c);
	if (image)
		put_image(w, r);
	else
		put_path(w, SPAN("file"), r, c->file);
	json_end_object(w);
}

static void put_vulnerability(struct json_writer *w, const struct report *r,
			      const struct result *result, bool image)
{
	const struct vulnerability *v = result->vulnerability;
	struct span summary = v->summary.len ? v->summary : v->id;

	json_begin_object(w);
	json_member_string(w, SPAN("id"), result->fingerprint);
	/* The schema's longest name. */
	json_member_string(w, SPAN("name"), span_slice(summary, 0, 255));
	json_member_string(w, SPAN("description"), result->finding.message);
	json_member_string(w, SPAN("severity"), severity_of(v));
	if (result->finding.advice.len)
		json_member_string(w, SPAN("solution"), result->finding.advice);
	json_key(w, SPAN("identifiers"));
	json_begin_array(w);
	put_identifier(w, v->id, v->link);
	for (uint32_t i = 0; i < v->other_count && i < 19; i++)
		put_identifier(w, v->others[i], SPAN_NONE);
	json_end_array(w);
	json_key(w, SPAN("links"));
	json_begin_array(w);
	if (span_starts_with(v->link, SPAN("https://"))) {
		json_begin_object(w);
		json_member_string(w, SPAN("url"), v->link);
		json_end_object(w);
	}
	json_end_array(w);
	put_location(w, r, &r->inventory->at[result->component], image);
	json_end_object(w);
}

static struct span manager_of(const struct component *c)
{
	return ecosystem_purl_type(c->ecosystem);
}

/* Components of a file stand together in the inventory. */
static void put_files(struct json_writer *w, const struct report *r)
{
	const struct inventory *inv = r->inventory;

	json_key(w, SPAN("dependency_files"));
	json_begin_array(w);
	for (uint32_t i = 0; i < inv->count;) {
		struct span file = inv->at[i].file;
		enum ecosystem ecosystem = inv->at[i].ecosystem;

		json_begin_object(w);
		put_path(w, SPAN("path"), r, file);
		json_member_string(w, SPAN("package_manager"), manager_of(&inv->at[i]));
		json_key(w, SPAN("dependencies"));
		json_begin_array(w);
		for (; i < inv->count && span_eq(inv->at[i].file, file) &&
		       inv->at[i].ecosystem == ecosystem;
		     i++) {
			json_begin_object(w);
			json_key(w, SPAN("package"));
			json_begin_object(w);
			json_member_string(w, SPAN("name"), inv->at[i].name);
			json_end_object(w);
			json_member_string(w, SPAN("version"), inv->at[i].version);
			json_end_object(w);
		}
		json_end_array(w);
		json_end_object(w);
	}
	json_end_array(w);
}

void report_gitlab(const struct report *r, struct buf *to)
{
	bool image = r->inventory->layer_count > 0;
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("version"), SCHEMA_VERSION);
	put_scan(&w, r, image);
	json_key(&w, SPAN("vulnerabilities"));
	json_begin_array(&w);
	for (size_t i = 0; i < r->results->count; i++)
		if (r->results->at[i].vulnerability && result_counts(&r->results->at[i]))
			put_vulnerability(&w, r, &r->results->at[i], image);
	json_end_array(&w);
	json_key(&w, SPAN("remediations"));
	json_begin_array(&w);
	json_end_array(&w);
	if (!image)
		put_files(&w, r);
	json_end_object(&w);
	buf_append_byte(to, '\n');
}

static struct span quality_of(enum finding_severity severity)
{
	switch (severity) {
	case FINDING_INFO: return SPAN("info");
	case FINDING_LOW: return SPAN("minor");
	case FINDING_MEDIUM: return SPAN("major");
	case FINDING_HIGH: return SPAN("critical");
	case FINDING_CRITICAL: return SPAN("blocker");
	}
	return SPAN("info");
}

/* `same`: how many of this fingerprint were before it, as the form wants each only once. */
static void put_issue(struct json_writer *w, const struct report *r,
		      const struct result *result, unsigned same)
{
	const struct finding *f = &result->finding;
	char fingerprint[48];

	snprintf(fingerprint, sizeof(fingerprint), "%.*s-%u", SPAN_ARG(result->fingerprint),
		 same);
	json_begin_object(w);
	json_member_string(w, SPAN("description"), f->message.len ? f->message : f->rule);
	json_member_string(w, SPAN("check_name"), f->rule);
	json_member_string(w, SPAN("fingerprint"), span_cstr(fingerprint));
	json_member_string(w, SPAN("severity"), quality_of(f->severity));
	json_key(w, SPAN("location"));
	json_begin_object(w);
	if (result->tool.len || !f->place.file.len)
		json_member_string(w, SPAN("path"),
				   f->place.file.len ? f->place.file : r->target);
	else
		put_path(w, SPAN("path"), r, f->place.file);
	json_key(w, SPAN("lines"));
	json_begin_object(w);
	json_member_int(w, SPAN("begin"), f->place.line ? f->place.line : 1);
	json_end_object(w);
	json_end_object(w);
	json_end_object(w);
}

void report_gitlab_quality(const struct report *r, struct buf *to)
{
	struct map seen = MAP_INIT; /* how often, by fingerprint */
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_array(&w);
	for (size_t i = 0; i < r->results->count; i++) {
		const struct result *result = &r->results->at[i];
		uintptr_t same;

		if (!result_counts(result))
			continue;
		same = (uintptr_t)map_get(&seen, result->fingerprint);
		if (map_put(&seen, result->fingerprint, (void *)(same + 1)) < 0)
			to->failed = true;
		put_issue(&w, r, result, (unsigned)same);
	}
	json_end_array(&w);
	buf_append_byte(to, '\n');
	map_release(&seen);
}
