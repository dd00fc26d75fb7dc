/* Markdown and JUnit. */
#include "supply/report.h"

/* A cell of a table: "|" would end it, and nothing may become markup. */
static void put_cell(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c && strchr("|\\`*_{}[]<>()#!~@&:", c))
			buf_append_byte(to, '\\');
		buf_append_byte(to, c < 0x20 || c == 0x7f ? ' ' : text.ptr[i]);
	}
	buf_append_cstr(to, " | ");
}

static void put_place(struct buf *to, const struct finding_place *place)
{
	char line[24] = "";
	struct buf text;

	if (place->line)
		snprintf(line, sizeof(line), ":%u", place->line);
	buf_init(&text, place->file.len + sizeof(line));
	buf_append(&text, place->file);
	buf_append_cstr(&text, line);
	put_cell(to, buf_span(&text));
	if (buf_failed(&text))
		to->failed = true;
	buf_release(&text);
}

static void put_vulnerability(const struct report *r, const struct result *result,
			      struct buf *to)
{
	const struct vulnerability *v = result->vulnerability;
	const struct component *c = &r->inventory->at[result->component];

	buf_append_cstr(to, result->fails ? "| fails | " : "| warns | ");
	put_cell(to, span_cstr(report_severity_word(result)));
	put_cell(to, c->name);
	put_cell(to, c->version);
	put_cell(to, v->id);
	put_cell(to, v->fix.len ? v->fix : SPAN("-"));
	put_cell(to, v->summary);
	buf_append_byte(to, '\n');
}

static void put_finding(const struct result *result, struct buf *to)
{
	const struct finding *f = &result->finding;

	buf_append_cstr(to, result->fails ? "| fails | " : "| warns | ");
	put_cell(to, span_cstr(report_severity_word(result)));
	put_cell(to, span_cstr(result_kind_name(result->kind)));
	put_place(to, &f->place);
	put_cell(to, f->rule);
	put_cell(to, f->message);
	buf_append_byte(to, '\n');
}

static void put_summary(const struct report *r, struct buf *to)
{
	struct report_counts c = report_count(r);

	buf_printf(to, "## Sallyport\n\n%u components, %zu findings that fail, %zu that warn",
		   r->inventory->count, c.fails, c.warns);
	for (int i = RESULT_COUNTS + 1; i < RESULT_SILENCES; i++)
		if (c.by_silence[i] && i != RESULT_UNFIXED)
			buf_printf(to, ", %zu %s", c.by_silence[i],
				   i == RESULT_NOT_AFFECTED
					   ? "not affected"
					   : result_silence_name((enum result_silence)i));
	buf_append_byte(to, '\n');
	if (r->db)
		buf_append_byte(to, '\n');
	report_put_age(r, to);
}

void report_markdown(const struct report *r, struct buf *to)
{
	bool begun = false;

	put_summary(r, to);
	for (size_t i = 0; i < r->results->count; i++) {
		if (!r->results->at[i].vulnerability || !result_counts(&r->results->at[i]))
			continue;
		if (!begun)
			buf_append_cstr(to, "\n|  | severity | component | version | id | fix "
					    "| what |\n|---|---|---|---|---|---|---|\n");
		begun = true;
		put_vulnerability(r, &r->results->at[i], to);
	}
	begun = false;
	for (size_t i = 0; i < r->results->count; i++) {
		if (r->results->at[i].vulnerability || !result_counts(&r->results->at[i]))
			continue;
		if (!begun)
			buf_append_cstr(to, "\n|  | severity | kind | place | rule | what |\n"
					    "|---|---|---|---|---|---|\n");
		begun = true;
		put_finding(&r->results->at[i], to);
	}
}

static void put_xml(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		switch (c) {
		case '<': buf_append_cstr(to, "&lt;"); break;
		case '>': buf_append_cstr(to, "&gt;"); break;
		case '&': buf_append_cstr(to, "&amp;"); break;
		case '"': buf_append_cstr(to, "&quot;"); break;
		default: buf_append_byte(to, (unsigned char)c < 0x20 ? ' ' : c);
		}
	}
}

static void put_case(const struct result *r, struct buf *to)
{
	const struct finding *f = &r->finding;
	struct span group = r->vulnerability ? f->subject : f->place.file;

	buf_append_cstr(to, "  <testcase classname=\"");
	put_xml(to, group.len ? group : span_cstr(result_kind_name(r->kind)));
	buf_append_cstr(to, "\" name=\"");
	put_xml(to, f->rule);
	if (f->place.file.len) {
		buf_append_cstr(to, "\" file=\"");
		put_xml(to, f->place.file);
	}
	if (f->place.line)
		buf_printf(to, "\" line=\"%u", f->place.line);
	if (!result_counts(r)) {
		buf_append_cstr(to, "\"><skipped message=\"");
		put_xml(to, r->why);
		buf_append_cstr(to, "\"/></testcase>\n");
	} else if (r->fails) {
		buf_printf(to, "\"><failure type=\"%s\" message=\"", report_severity_word(r));
		put_xml(to, f->message);
		buf_append_cstr(to, "\">");
		put_xml(to, f->advice);
		buf_append_cstr(to, "</failure></testcase>\n");
	} else {
		buf_append_cstr(to, "\"><system-out>");
		put_xml(to, f->message);
		buf_append_cstr(to, "</system-out></testcase>\n");
	}
}

void report_junit(const struct report *r, struct buf *to)
{
	struct report_counts c = report_count(r);
	size_t skipped = c.by_silence[RESULT_WAIVED] + c.by_silence[RESULT_EXCEPTED] +
			 c.by_silence[RESULT_NOT_AFFECTED];

	buf_printf(to,
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<testsuites>\n<testsuite name=\"sallyport\" tests=\"%zu\" "
		   "failures=\"%zu\" errors=\"0\" skipped=\"%zu\">\n",
		   c.fails + c.warns + skipped, c.fails, skipped);
	for (size_t i = 0; i < r->results->count; i++)
		if (r->results->at[i].silence != RESULT_KNOWN &&
		    r->results->at[i].silence != RESULT_UNFIXED)
			put_case(&r->results->at[i], to);
	buf_append_cstr(to, "</testsuite>\n</testsuites>\n");
}
