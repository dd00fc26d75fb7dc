#include "parse/sarif.h"

#include "base/hash.h"
#include "base/map.h"
#include "parse/json_write.h"

/* Section 3.27.10. */
static struct span level_of(enum finding_severity severity)
{
	switch (severity) {
	case FINDING_CRITICAL:
	case FINDING_HIGH: return SPAN("error");
	case FINDING_MEDIUM: return SPAN("warning");
	case FINDING_LOW:
	case FINDING_INFO: return SPAN("note");
	}
	return SPAN("none");
}

/* Code hosts sort by this property, a number as CVSS has them: the middle of each class. */
static struct span security_severity(enum finding_severity severity)
{
	switch (severity) {
	case FINDING_CRITICAL: return SPAN("9.5");
	case FINDING_HIGH: return SPAN("8.0");
	case FINDING_MEDIUM: return SPAN("5.5");
	case FINDING_LOW: return SPAN("2.0");
	case FINDING_INFO: return SPAN("0.0");
	}
	return SPAN("0.0");
}

static void put_message(struct json_writer *w, struct span key, struct span text)
{
	json_key(w, key);
	json_begin_object(w);
	json_member_string(w, SPAN("text"), text);
	json_end_object(w);
}

static void put_rule(struct json_writer *w, const struct finding *f)
{
	json_begin_object(w);
	json_member_string(w, SPAN("id"), f->rule);
	put_message(w, SPAN("shortDescription"), f->message.len ? f->message : f->rule);
	if (f->advice.len)
		put_message(w, SPAN("help"), f->advice);
	if (f->link.len)
		json_member_string(w, SPAN("helpUri"), f->link);
	json_key(w, SPAN("defaultConfiguration"));
	json_begin_object(w);
	json_member_string(w, SPAN("level"), level_of(f->severity));
	json_end_object(w);
	json_key(w, SPAN("properties"));
	json_begin_object(w);
	json_member_string(w, SPAN("security-severity"), security_severity(f->severity));
	if (f->standards.len) {
		struct span rest = f->standards;

		json_key(w, SPAN("tags"));
		json_begin_array(w);
		while (rest.ptr)
			json_put_string(w, span_trim(span_cut(&rest, ',')));
		json_end_array(w);
	}
	json_end_object(w);
	json_end_object(w);
}

static bool is_unreserved(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       (c && strchr("-._~/!$&'()*+,;=:@", c));
}

/* A path as a URI reference, RFC 3986. */
static void put_uri(struct json_writer *w, struct span path)
{
	static const char digits[] = "0123456789ABCDEF";
	struct buf uri;

	buf_init(&uri, path.len * 3 + 16);
	if (span_starts_with(path, SPAN("./")))
		path = span_slice(path, 2, path.len);
	if (span_starts_with(path, SPAN("/")))
		buf_append_cstr(&uri, "file://");
	else if (span_find_byte(path, ':') < span_find_byte(path, '/'))
		buf_append_cstr(&uri, "./"); /* or it would read as a scheme */
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.ptr[i];

		if (is_unreserved(path.ptr[i])) {
			buf_append_byte(&uri, path.ptr[i]);
		} else {
			buf_append_byte(&uri, '%');
			buf_append_byte(&uri, digits[c >> 4]);
			buf_append_byte(&uri, digits[c & 15]);
		}
	}
	if (buf_failed(&uri))
		w->to->failed = true;
	json_member_string(w, SPAN("uri"), buf_span(&uri));
	buf_release(&uri);
}

static void put_location(struct json_writer *w, const struct finding_place *place)
{
	json_key(w, SPAN("locations"));
	json_begin_array(w);
	if (place->file.len) {
		json_begin_object(w);
		json_key(w, SPAN("physicalLocation"));
		json_begin_object(w);
		json_key(w, SPAN("artifactLocation"));
		json_begin_object(w);
		put_uri(w, place->file);
		json_end_object(w);
		if (place->line) {
			json_key(w, SPAN("region"));
			json_begin_object(w);
			json_member_int(w, SPAN("startLine"), place->line);
			if (place->column)
				json_member_int(w, SPAN("startColumn"), place->column);
			if (place->end_line >= place->line)
				json_member_int(w, SPAN("endLine"), place->end_line);
			json_end_object(w);
		}
		json_end_object(w);
		json_end_object(w);
	}
	json_end_array(w);
}

/* The same finding in another version of the file, whatever its line. */
static void put_fingerprint(struct json_writer *w, const struct sarif_run *run, size_t i)
{
	const struct finding *f = &run->findings[i];
	uint64_t hash = hash_siphash13(f->rule, 1, 2);
	char hex[17];

	if (run->fingerprints) {
		json_key(w, SPAN("partialFingerprints"));
		json_begin_object(w);
		json_member_string(w, SPAN("sallyport/v1"), run->fingerprints[i]);
		json_end_object(w);
		return;
	}
	hash = hash_siphash13(f->subject, hash, 3);
	hash = hash_siphash13(f->place.file, hash, 4);
	snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)hash);
	json_key(w, SPAN("partialFingerprints"));
	json_begin_object(w);
	json_member_string(w, SPAN("ruleSubjectFile/v1"), span_cstr(hex));
	json_end_object(w);
}

static void put_suppression(struct json_writer *w, struct span why)
{
	json_key(w, SPAN("suppressions"));
	json_begin_array(w);
	json_begin_object(w);
	json_member_string(w, SPAN("kind"), SPAN("external"));
	json_member_string(w, SPAN("status"), SPAN("accepted"));
	json_member_string(w, SPAN("justification"), why);
	json_end_object(w);
	json_end_array(w);
}

static void put_result(struct json_writer *w, const struct sarif_run *run, size_t i,
		       size_t rule)
{
	const struct finding *f = &run->findings[i];

	json_begin_object(w);
	json_member_string(w, SPAN("ruleId"), f->rule);
	json_member_int(w, SPAN("ruleIndex"), (int64_t)rule);
	json_member_string(w, SPAN("level"), level_of(f->severity));
	put_message(w, SPAN("message"), f->message.len ? f->message : f->rule);
	put_location(w, &f->place);
	put_fingerprint(w, run, i);
	if (run->suppressions && run->suppressions[i].len)
		put_suppression(w, run->suppressions[i]);
	json_key(w, SPAN("properties"));
	json_begin_object(w);
	json_member_string(w, SPAN("severity"), span_cstr(finding_severity_name(f->severity)));
	if (f->subject.len)
		json_member_string(w, SPAN("subject"), f->subject);
	json_end_object(w);
	json_end_object(w);
}

static void put_tool(struct json_writer *w, const struct sarif_tool *tool,
		     const struct finding *findings, size_t count, struct map *rules)
{
	json_key(w, SPAN("tool"));
	json_begin_object(w);
	json_key(w, SPAN("driver"));
	json_begin_object(w);
	json_member_string(w, SPAN("name"), tool->name);
	if (tool->version.len)
		json_member_string(w, SPAN("version"), tool->version);
	if (tool->uri.len)
		json_member_string(w, SPAN("informationUri"), tool->uri);
	json_key(w, SPAN("rules"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++) {
		if (map_get(rules, findings[i].rule))
			continue;
		/* Numbers from 1: NULL means that there is none. */
		if (map_put(rules, findings[i].rule, (void *)(uintptr_t)(rules->live + 1)) < 0)
			w->to->failed = true;
		put_rule(w, &findings[i]);
	}
	json_end_array(w);
	json_end_object(w);
	json_end_object(w);
}

static void put_run(struct json_writer *w, const struct sarif_run *run)
{
	struct map rules = MAP_INIT;

	json_begin_object(w);
	put_tool(w, &run->tool, run->findings, run->count, &rules);
	json_member_string(w, SPAN("columnKind"), SPAN("unicodeCodePoints"));
	json_key(w, SPAN("results"));
	json_begin_array(w);
	for (size_t i = 0; i < run->count; i++) {
		uintptr_t rule = (uintptr_t)map_get(&rules, run->findings[i].rule);

		put_result(w, run, i, rule ? rule - 1 : 0);
	}
	json_end_array(w);
	json_end_object(w);
	map_release(&rules);
}

void sarif_write_runs(struct buf *to, const struct sarif_run *runs, size_t count)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("$schema"),
			   SPAN("https://json.schemastore.org/sarif-2.1.0.json"));
	json_member_string(&w, SPAN("version"), SPAN("2.1.0"));
	json_key(&w, SPAN("runs"));
	json_begin_array(&w);
	for (size_t i = 0; i < count; i++)
		put_run(&w, &runs[i]);
	json_end_array(&w);
	json_end_object(&w);
}

void sarif_write(struct buf *to, const struct sarif_tool *tool, const struct finding *findings,
		 size_t count)
{
	struct sarif_run run = {.tool = *tool, .findings = findings, .count = count};

	sarif_write_runs(to, &run, 1);
}
