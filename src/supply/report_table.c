/* Texts for people: terminal, Markdown, JUnit. */
#include "supply/report.h"

static const char *const colours[FINDING_SEVERITIES] = {
	[FINDING_INFO] = "\x1b[2m",	   [FINDING_LOW] = "\x1b[36m",
	[FINDING_MEDIUM] = "\x1b[33m",	   [FINDING_HIGH] = "\x1b[31m",
	[FINDING_CRITICAL] = "\x1b[1;31m",
};

static const char *const words[FINDING_SEVERITIES] = {
	[FINDING_INFO] = "INFO", [FINDING_LOW] = "LOW",		  [FINDING_MEDIUM] = "MEDIUM",
	[FINDING_HIGH] = "HIGH", [FINDING_CRITICAL] = "CRITICAL",
};

/* Text of foreign files must not steer the terminal. */
static void put_text(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		buf_append_byte(to, c < 0x20 || c == 0x7f ? '?' : text.ptr[i]);
	}
}

/* As put_text, of at most so many characters. */
static void put_short(struct buf *to, struct span text, size_t characters)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		if (((unsigned char)text.ptr[i] & 0xc0) != 0x80 && ++n > characters) {
			put_text(to, span_slice(text, 0, i));
			buf_append_cstr(to, "...");
			return;
		}
	put_text(to, text);
}

static void put_severity(const struct report *r, enum finding_severity severity, bool known,
			 struct buf *to)
{
	const char *word = known ? words[severity] : "UNKNOWN";

	if (r->coloured)
		buf_append_cstr(to, colours[severity]);
	buf_printf(to, "%-8s", word);
	if (r->coloured)
		buf_append_cstr(to, "\x1b[0m");
}

static void put_bold(const struct report *r, struct buf *to, struct span text)
{
	if (r->coloured)
		buf_append_cstr(to, "\x1b[1m");
	put_text(to, text);
	if (r->coloured)
		buf_append_cstr(to, "\x1b[0m");
}

static struct span cve_of(const struct vulnerability *v)
{
	for (uint32_t i = 0; i < v->other_count; i++)
		if (span_starts_with(v->others[i], SPAN("CVE-")))
			return v->others[i];
	return SPAN_NONE;
}

static void put_line(const struct report *r, const struct vulnerability *v, struct buf *to)
{
	struct span cve = cve_of(v);

	buf_append_cstr(to, "  ");
	put_severity(r, v->severity, v->severity_known, to);
	if (v->score_tenths)
		buf_printf(to, " %2u.%u ", v->score_tenths / 10, v->score_tenths % 10);
	else
		buf_append_cstr(to, "    - ");
	put_text(to, v->id);
	if (cve.len) {
		buf_append_byte(to, ' ');
		put_text(to, cve);
	}
	if (v->epss_ppm)
		buf_printf(to, "  EPSS %u.%u%%", v->epss_ppm / 10000, v->epss_ppm / 1000 % 10);
	if (v->kev)
		put_bold(r, to, SPAN("  EXPLOITED"));
	if (v->exposed)
		put_bold(r, to, SPAN("  EXPOSED"));
	if (v->fix.len) {
		buf_append_cstr(to, "  fixed in ");
		put_text(to, v->fix);
	} else {
		buf_append_cstr(to, "  no fix known");
	}
	if (v->summary.len) {
		buf_append_cstr(to, "\n                 ");
		put_short(to, v->summary, 90);
	}
	buf_append_byte(to, '\n');
}

static void put_heading(const struct report *r, const struct vulnerability *v, struct buf *to)
{
	const struct component *c = &r->inventory->at[v->component];

	buf_append_byte(to, '\n');
	put_bold(r, to, c->name);
	buf_append_byte(to, ' ');
	put_bold(r, to, c->version);
	if (c->relation == RELATION_DIRECT)
		buf_append_cstr(to, "  direct");
	else if (c->relation == RELATION_TRANSITIVE)
		buf_append_cstr(to, "  transitive");
	if (c->scope == SCOPE_DEV)
		buf_append_cstr(to, "  development");
	if (c->file.len) {
		buf_append_cstr(to, "  ");
		put_text(to, c->file);
		if (c->line)
			buf_printf(to, ":%u", c->line);
	}
	buf_append_byte(to, '\n');
}

/* All of a component's at the place of its most urgent one. */
static void put_vulnerabilities(const struct report *r, struct buf *to)
{
	const struct vulnerability_list *list = r->vulnerabilities;

	for (size_t i = 0; i < list->count; i++) {
		bool is_first = report_counts(r, &list->at[i]);

		for (size_t j = 0; j < i && is_first; j++)
			is_first = list->at[j].component != list->at[i].component ||
				   !report_counts(r, &list->at[j]);
		if (!is_first)
			continue;
		put_heading(r, &list->at[i], to);
		for (size_t j = i; j < list->count; j++)
			if (list->at[j].component == list->at[i].component &&
			    report_counts(r, &list->at[j]))
				put_line(r, &list->at[j], to);
	}
}

static void put_findings(const struct report *r, struct buf *to)
{
	for (size_t i = 0; i < r->finding_count; i++) {
		const struct finding *f = &r->findings[i];

		if (i == 0)
			buf_append_cstr(to, "\nMisconfigurations\n");
		buf_append_cstr(to, "  ");
		put_severity(r, f->severity, true, to);
		buf_append_byte(to, ' ');
		put_text(to, f->place.file);
		if (f->place.line)
			buf_printf(to, ":%u", f->place.line);
		buf_append_cstr(to, "  ");
		put_text(to, f->rule);
		buf_append_cstr(to, "\n           ");
		put_text(to, f->message);
		buf_append_byte(to, '\n');
		if (f->advice.len) {
			buf_append_cstr(to, "           ");
			put_text(to, f->advice);
			buf_append_byte(to, '\n');
		}
	}
}

struct counts {
	unsigned by_severity[FINDING_SEVERITIES];
	unsigned waived;
	unsigned unfixed;
};

static struct counts count(const struct report *r)
{
	struct counts c = {0};

	for (size_t i = 0; i < r->vulnerabilities->count; i++) {
		const struct vulnerability *v = &r->vulnerabilities->at[i];

		if (report_counts(r, v))
			c.by_severity[v->severity]++;
		else if (v->waiver.len)
			c.waived++;
		else
			c.unfixed++;
	}
	for (size_t i = 0; i < r->finding_count; i++)
		c.by_severity[r->findings[i].severity]++;
	return c;
}

static void put_summary(const struct report *r, struct buf *to)
{
	struct counts c = count(r);
	bool any = false;

	buf_printf(to, "\n%u components", r->inventory->count);
	for (int i = FINDING_SEVERITIES - 1; i >= 0; i--)
		if (c.by_severity[i]) {
			buf_printf(to, ", %u %s", c.by_severity[i],
				   finding_severity_name((enum finding_severity)i));
			any = true;
		}
	if (!any)
		buf_append_cstr(to, ", nothing found");
	if (c.waived)
		buf_printf(to, ", %u waived", c.waived);
	if (c.unfixed)
		buf_printf(to, ", %u without a fix not shown", c.unfixed);
	buf_append_byte(to, '\n');
}

void report_table(const struct report *r, struct buf *to)
{
	put_vulnerabilities(r, to);
	put_findings(r, to);
	for (size_t i = 0; i < r->inventory->problem_count; i++) {
		const struct inventory_problem *p = &r->inventory->problems[i];

		buf_append_cstr(to, i == 0 ? "\nNot read\n  " : "  ");
		put_text(to, p->file);
		if (p->line)
			buf_printf(to, ":%u", p->line);
		buf_append_cstr(to, ": ");
		put_text(to, p->message);
		buf_append_byte(to, '\n');
	}
	put_summary(r, to);
}

/* A cell of a table: "|" would end it, and nothing may become markup. */
static void put_cell(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (strchr("|\\`*_{}[]<>()#!", c) && c)
			buf_append_byte(to, '\\');
		buf_append_byte(to, c < 0x20 || c == 0x7f ? ' ' : text.ptr[i]);
	}
	buf_append_cstr(to, " | ");
}

void report_markdown(const struct report *r, struct buf *to)
{
	bool begun = false;

	buf_append_cstr(to, "## Sallyport\n");
	put_summary(r, to);
	for (size_t i = 0; i < r->vulnerabilities->count; i++) {
		const struct vulnerability *v = &r->vulnerabilities->at[i];
		const struct component *c = &r->inventory->at[v->component];

		if (!report_counts(r, v))
			continue;
		if (!begun)
			buf_append_cstr(to, "\n| severity | component | version | id | fix | "
					    "what |\n|---|---|---|---|---|---|\n");
		begun = true;
		buf_append_cstr(to, "| ");
		put_cell(to, span_cstr(v->severity_known ? words[v->severity] : "UNKNOWN"));
		put_cell(to, c->name);
		put_cell(to, c->version);
		put_cell(to, v->id);
		put_cell(to, v->fix.len ? v->fix : SPAN("-"));
		put_cell(to, v->summary);
		buf_append_byte(to, '\n');
	}
	for (size_t i = 0; i < r->finding_count; i++) {
		const struct finding *f = &r->findings[i];

		if (i == 0)
			buf_append_cstr(to, "\n| severity | place | rule | what |\n"
					    "|---|---|---|---|\n");
		buf_append_cstr(to, "| ");
		put_cell(to, span_cstr(words[f->severity]));
		put_cell(to, f->place.file);
		put_cell(to, f->rule);
		put_cell(to, f->message);
		buf_append_byte(to, '\n');
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

static void put_case(struct buf *to, struct span group, struct span name, const char *severity,
		     struct span message)
{
	buf_append_cstr(to, "  <testcase classname=\"");
	put_xml(to, group);
	buf_append_cstr(to, "\" name=\"");
	put_xml(to, name);
	buf_printf(to, "\"><failure type=\"%s\" message=\"", severity);
	put_xml(to, message);
	buf_append_cstr(to, "\"/></testcase>\n");
}

void report_junit(const struct report *r, struct buf *to)
{
	struct counts c = count(r);
	unsigned total = 0;

	for (int i = 0; i < FINDING_SEVERITIES; i++)
		total += c.by_severity[i];
	buf_printf(to,
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<testsuite name=\"sallyport\" tests=\"%u\" failures=\"%u\">\n",
		   total, total);
	for (size_t i = 0; i < r->vulnerabilities->count; i++) {
		const struct vulnerability *v = &r->vulnerabilities->at[i];

		if (report_counts(r, v))
			put_case(to, r->inventory->at[v->component].purl, v->id,
				 words[v->severity], v->summary);
	}
	for (size_t i = 0; i < r->finding_count; i++)
		put_case(to, r->findings[i].place.file, r->findings[i].rule,
			 words[r->findings[i].severity], r->findings[i].message);
	buf_append_cstr(to, "</testsuite>\n");
}
