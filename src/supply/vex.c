#include "supply/vex.h"

#include "base/clock.h"
#include "base/hash.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "supply/osv.h"
#include "supply/pattern.h"

#define VEX_MAX_BYTES ((size_t)256 << 20)
#define IDS_MAX 256

static const struct span status_names[] = {
	[VEX_UNDER_INVESTIGATION] = SPAN_INIT("under_investigation"),
	[VEX_AFFECTED] = SPAN_INIT("affected"),
	[VEX_FIXED] = SPAN_INIT("fixed"),
	[VEX_NOT_AFFECTED] = SPAN_INIT("not_affected"),
};

static const struct span justifications[] = {
	SPAN_INIT("component_not_present"),
	SPAN_INIT("vulnerable_code_not_present"),
	SPAN_INIT("vulnerable_code_not_in_execute_path"),
	SPAN_INIT("vulnerable_code_cannot_be_controlled_by_adversary"),
	SPAN_INIT("inline_mitigations_already_exist"),
};

void vex_init(struct vex *vex)
{
	*vex = (struct vex){0};
	arena_init(&vex->arena, VEX_MAX_BYTES, (size_t)1 << 16);
}

void vex_release(struct vex *vex)
{
	arena_release(&vex->arena);
	*vex = (struct vex){0};
}

static struct span text_of(const struct json *object, struct span key)
{
	struct span text = SPAN_NONE;

	(void)json_string(json_get(object, key), &text);
	return text;
}

static int problem(struct vex *vex, struct span name, size_t index, const char *what)
{
	struct span *at =
		arena_grow(&vex->arena, vex->problems, vex->problem_count, sizeof(struct span));

	if (!at)
		return -1;
	vex->problems = at;
	at[vex->problem_count] =
		arena_printf(&vex->arena, "%.*s: statement %zu does not count: %s",
			     SPAN_ARG(name), index + 1, what);
	return at[vex->problem_count++].ptr ? 0 : -1;
}

static void add_id(struct vex_statement *s, struct span id)
{
	if (id.len && s->id_count < IDS_MAX)
		s->ids[s->id_count++] = id;
}

/* Identifiers may be URLs that end in the id. */
static struct span last_part(struct span text)
{
	size_t at = text.len;

	while (at > 0 && text.ptr[at - 1] != '/' && text.ptr[at - 1] != '#')
		at--;
	return span_slice(text, at, text.len);
}

static int read_ids(struct vex *vex, const struct json *vulnerability, struct vex_statement *s)
{
	const struct json *aliases = json_get(vulnerability, SPAN("aliases"));
	struct span id;

	s->ids = arena_array(&vex->arena, struct span, IDS_MAX);
	if (!s->ids)
		return -1;
	if (json_string(vulnerability, &id)) {
		add_id(s, id);
		return 0;
	}
	add_id(s, text_of(vulnerability, SPAN("name")));
	add_id(s, last_part(text_of(vulnerability, SPAN("@id"))));
	for (size_t i = 0; json_at(aliases, i); i++)
		if (json_string(json_at(aliases, i), &id))
			add_id(s, id);
	return 0;
}

static bool read_status(const struct json *object, enum vex_status *status)
{
	for (size_t i = 0; i < COUNT_OF(status_names); i++)
		if (json_is(json_get(object, SPAN("status")), status_names[i])) {
			*status = (enum vex_status)i;
			return true;
		}
	return false;
}

static const char *why_not(const struct vex_statement *s)
{
	bool known = s->justification.len == 0;

	for (size_t i = 0; i < COUNT_OF(justifications); i++)
		known = known || span_eq(s->justification, justifications[i]);
	if (s->id_count == 0)
		return "it names no vulnerability";
	if (!json_at(s->products, 0))
		return "it names no product";
	if (!known)
		return "its justification is none of the specification's";
	if (s->status == VEX_NOT_AFFECTED && s->justification.len == 0 && s->impact.len == 0)
		return "\"not_affected\" needs a justification or an impact statement";
	return NULL;
}

static int read_statement(struct vex *vex, struct span name, const struct json *object,
			  size_t index, int64_t document_s)
{
	struct vex_statement s = {
		.products = json_get(object, SPAN("products")),
		.subcomponents = json_get(object, SPAN("subcomponents")),
		.justification = text_of(object, SPAN("justification")),
		.impact = text_of(object, SPAN("impact_statement")),
		.time_s = osv_time_s(text_of(object, SPAN("timestamp"))),
	};
	int64_t updated_s = osv_time_s(text_of(object, SPAN("last_updated")));
	struct vex_statement *at;
	const char *why;

	if (updated_s > s.time_s)
		s.time_s = updated_s;
	if (s.time_s == 0)
		s.time_s = document_s;
	if (read_ids(vex, json_get(object, SPAN("vulnerability")), &s) < 0)
		return -1;
	why = read_status(object, &s.status) ? why_not(&s)
					     : "its status is none of the specification's";
	if (why)
		return problem(vex, name, index, why);
	at = arena_grow(&vex->arena, vex->at, vex->count, sizeof(struct vex_statement));
	if (!at)
		return -1;
	vex->at = at;
	at[vex->count++] = s;
	return 0;
}

int vex_read(struct vex *vex, struct span name, struct span text, struct err *err)
{
	struct span copy = arena_dup(&vex->arena, text);
	const struct json *root, *statements;
	int64_t time_s;

	if (!copy.ptr)
		return err_set(err, ERR_MEMORY, "out of memory");
	root = json_parse(&vex->arena, copy, NULL, err);
	if (!root)
		return err_wrap(err, "%.*s", SPAN_ARG(name));
	statements = json_get(root, SPAN("statements"));
	if (span_find(text_of(root, SPAN("@context")), SPAN("openvex")) ==
		    text_of(root, SPAN("@context")).len ||
	    !statements || statements->type != JSON_ARRAY)
		return err_set(err, ERR_INVALID, "%.*s: no OpenVEX document", SPAN_ARG(name));
	time_s = osv_time_s(text_of(root, SPAN("last_updated")));
	if (time_s == 0)
		time_s = osv_time_s(text_of(root, SPAN("timestamp")));
	for (size_t i = 0; json_at(statements, i); i++)
		if (read_statement(vex, name, json_at(statements, i), i, time_s) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	return 0;
}

/* ---- applying -------------------------------------------------------------------------------- */

/* A product or component: a text, or an object with "@id" or identifiers. */
static bool names_purl(const struct json *thing, struct span purl)
{
	struct span text;

	if (purl.len == 0)
		return false;
	if (json_string(thing, &text))
		return pattern_purl(text, purl);
	return pattern_purl(text_of(json_get(thing, SPAN("identifiers")), SPAN("purl")),
			    purl) ||
	       pattern_purl(text_of(thing, SPAN("@id")), purl);
}

static bool is_any(const struct json *things, struct span purl)
{
	for (size_t i = 0; json_at(things, i); i++)
		if (names_purl(json_at(things, i), purl))
			return true;
	return false;
}

static bool is_about(const struct vex_statement *s, const struct result *r, struct span product)
{
	bool named = false;

	for (size_t i = 0; i < s->id_count && !named; i++)
		named = result_has_id(r, s->ids[i]);
	if (!named)
		return false;
	for (size_t i = 0; json_at(s->products, i); i++) {
		const struct json *item = json_at(s->products, i);
		const struct json *parts = json_get(item, SPAN("subcomponents"));

		if (!json_at(parts, 0))
			parts = s->subcomponents;
		if (!json_at(parts, 0) && names_purl(item, r->finding.subject))
			return true;
		if (names_purl(item, product) &&
		    (!json_at(parts, 0) || is_any(parts, r->finding.subject)))
			return true;
	}
	return false;
}

int vex_apply(struct vex *vex, struct span product, struct result_list *results)
{
	for (size_t i = 0; i < results->count; i++) {
		struct result *r = &results->at[i];
		const struct vex_statement *last = NULL;
		struct span why;

		for (size_t k = 0; k < vex->count && r->vulnerability; k++)
			if ((!last || vex->at[k].time_s >= last->time_s) &&
			    is_about(&vex->at[k], r, product))
				last = &vex->at[k];
		if (!last || !result_counts(r) || last->status < VEX_FIXED)
			continue;
		why = arena_printf(&results->arena, "%.*s%s%.*s%s%.*s",
				   SPAN_ARG(status_names[last->status]),
				   last->justification.len ? ": " : "",
				   SPAN_ARG(last->justification), last->impact.len ? ": " : "",
				   SPAN_ARG(last->impact));
		if (!why.ptr)
			return -1;
		result_silence(r, RESULT_NOT_AFFECTED, why);
		r->vex_status = status_names[last->status];
		r->vex_justification = last->justification;
		r->vex_impact = last->impact;
	}
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_id(struct json_writer *w, struct span id)
{
	json_begin_object(w);
	json_member_string(w, SPAN("@id"), id);
	json_end_object(w);
}

static void put_product(struct json_writer *w, const struct vex_author *author,
			struct span component)
{
	json_key(w, SPAN("products"));
	json_begin_array(w);
	if (author->product.len == 0) {
		put_id(w, component);
	} else {
		json_begin_object(w);
		json_member_string(w, SPAN("@id"), author->product);
		json_key(w, SPAN("subcomponents"));
		json_begin_array(w);
		put_id(w, component);
		json_end_array(w);
		json_end_object(w);
	}
	json_end_array(w);
}

static void put_status(struct json_writer *w, const struct result *r)
{
	if (r->silence == RESULT_NOT_AFFECTED) {
		json_member_string(w, SPAN("status"), r->vex_status);
		if (r->vex_justification.len)
			json_member_string(w, SPAN("justification"), r->vex_justification);
		if (r->vex_impact.len)
			json_member_string(w, SPAN("impact_statement"), r->vex_impact);
	} else if (r->silence == RESULT_WAIVED || r->silence == RESULT_EXCEPTED) {
		json_member_string(w, SPAN("status"), SPAN("affected"));
		json_member_string(w, SPAN("action_statement"), r->why);
	} else {
		json_member_string(w, SPAN("status"), SPAN("under_investigation"));
	}
}

static void put_statement(struct json_writer *w, const struct vex_author *author,
			  const struct result *r)
{
	const struct vulnerability *v = r->vulnerability;

	json_begin_object(w);
	json_key(w, SPAN("vulnerability"));
	json_begin_object(w);
	json_member_string(w, SPAN("name"), v->id);
	if (v->other_count) {
		json_key(w, SPAN("aliases"));
		json_begin_array(w);
		for (uint32_t i = 0; i < v->other_count; i++)
			json_put_string(w, v->others[i]);
		json_end_array(w);
	}
	json_end_object(w);
	put_product(w, author, r->finding.subject);
	put_status(w, r);
	json_end_object(w);
}

void vex_write(const struct result_list *results, const struct vex_author *author,
	       struct buf *to)
{
	char time[CLOCK_RFC3339_SIZE], id[64];
	uint64_t hash = hash_siphash13(author->product, 1, 2);
	struct json_writer w;

	for (size_t i = 0; i < results->count; i++)
		hash = hash_siphash13(results->at[i].fingerprint, hash, 3);
	snprintf(id, sizeof(id), "urn:sallyport:vex:%016llx", (unsigned long long)hash);
	clock_rfc3339(time, author->now_s * 1000);
	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("@context"), SPAN("https://openvex.dev/ns/v0.2.0"));
	json_member_string(&w, SPAN("@id"), span_cstr(id));
	json_member_string(&w, SPAN("author"), author->name);
	json_member_string(&w, SPAN("timestamp"), span_cstr(time));
	json_member_int(&w, SPAN("version"), 1);
	json_member_string(&w, SPAN("tooling"), SPAN("sallyport"));
	json_key(&w, SPAN("statements"));
	json_begin_array(&w);
	for (size_t i = 0; i < results->count; i++)
		if (results->at[i].vulnerability && results->at[i].silence != RESULT_KNOWN)
			put_statement(&w, author, &results->at[i]);
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(to, '\n');
}
