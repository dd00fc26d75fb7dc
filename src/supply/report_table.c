/* For terminals: by component, then by kind and file. */
#include "base/mem.h"
#include "supply/report.h"

static const char *const colours[FINDING_SEVERITIES] = {
	[FINDING_INFO] = "\x1b[2m",	   [FINDING_LOW] = "\x1b[36m",
	[FINDING_MEDIUM] = "\x1b[33m",	   [FINDING_HIGH] = "\x1b[31m",
	[FINDING_CRITICAL] = "\x1b[1;31m",
};

/* Text of foreign files must not steer the terminal: C0, DEL, and C1 as UTF-8 writes it. */
static void put_text(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool is_c1 =
			c == 0xc2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xa0;

		buf_append_byte(to, c < 0x20 || c == 0x7f || is_c1 ? '?' : text.ptr[i]);
		i += is_c1;
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

static void put_style(const struct report *r, struct buf *to, const char *style)
{
	if (r->coloured)
		buf_append_cstr(to, style);
}

static void put_severity(const struct report *r, const struct result *result, struct buf *to)
{
	put_style(r, to, colours[result->finding.severity]);
	buf_printf(to, "%-8s", report_severity_word(result));
	put_style(r, to, "\x1b[0m");
}

static void put_bold(const struct report *r, struct buf *to, struct span text)
{
	put_style(r, to, "\x1b[1m");
	put_text(to, text);
	put_style(r, to, "\x1b[0m");
}

static void put_place(struct buf *to, const struct finding_place *place)
{
	put_text(to, place->file);
	if (place->line)
		buf_printf(to, ":%u", place->line);
}

/* ---- vulnerabilities ------------------------------------------------------------------------- */

static void put_ids(const struct vulnerability *v, struct buf *to)
{
	struct span cve = report_cve(v);

	put_text(to, v->id);
	if (cve.len && !span_eq(cve, v->id)) {
		buf_append_byte(to, ' ');
		put_text(to, cve);
	}
}

static void put_line(const struct report *r, const struct result *result, struct buf *to)
{
	const struct vulnerability *v = result->vulnerability;

	buf_append_cstr(to, "  ");
	put_severity(r, result, to);
	if (v->score_tenths)
		buf_printf(to, " %2u.%u ", v->score_tenths / 10, v->score_tenths % 10);
	else
		buf_append_cstr(to, "    - ");
	put_ids(v, to);
	if (v->epss_ppm)
		buf_printf(to, "  EPSS %u.%u%%", v->epss_ppm / 10000, v->epss_ppm / 1000 % 10);
	if (v->kev)
		put_bold(r, to, SPAN("  EXPLOITED"));
	if (v->exposure == EXPOSURE_PUBLIC)
		put_bold(r, to, SPAN("  EXPOSED to everybody"));
	else if (v->exposure == EXPOSURE_AUTHENTICATED)
		put_bold(r, to, SPAN("  EXPOSED"));
	if (v->route.len) {
		buf_append_cstr(to, " at ");
		put_text(to, v->route);
	}
	if (v->fix.len) {
		buf_append_cstr(to, "  fixed in ");
		put_text(to, v->fix);
	} else {
		buf_append_cstr(to, "  no fix known");
	}
	if (!result->fails)
		buf_append_cstr(to, "  (warning)");
	if (v->summary.len) {
		buf_append_cstr(to, "\n                 ");
		put_short(to, v->summary, 90);
	}
	buf_append_byte(to, '\n');
}

#define STEPS_MAX 8

/* Who brought it in: the way from a direct component. */
static void put_way(const struct report *r, uint32_t component, struct buf *to)
{
	uint32_t path[STEPS_MAX];
	size_t steps = inventory_path(r->inventory, component, path, STEPS_MAX);

	if (steps < 2)
		return;
	buf_append_cstr(to, "  by way of ");
	for (size_t i = 0; i + 1 < steps; i++) {
		if (i)
			buf_append_cstr(to, " > ");
		put_text(to, r->inventory->at[path[i]].name);
	}
	buf_append_byte(to, '\n');
}

static void put_heading(const struct report *r, const struct result *result, struct buf *to)
{
	const struct component *c = &r->inventory->at[result->component];

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
	if (result->service.len) {
		buf_append_cstr(to, "  service ");
		put_text(to, result->service);
	}
	if (c->file.len) {
		buf_append_cstr(to, "  ");
		put_place(to, &result->finding.place);
	}
	buf_append_byte(to, '\n');
	put_way(r, result->component, to);
}

static bool is_vulnerability(const struct result *r)
{
	return r->vulnerability && result_counts(r);
}

/* All of a component's at the place of its most urgent one. */
static void put_vulnerabilities(const struct report *r, struct buf *to)
{
	const struct result_list *list = r->results;
	unsigned char *seen = mem_zalloc(r->inventory->count + 1, 1);

	if (!seen) {
		to->failed = true;
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct result *first = &list->at[i];

		if (!is_vulnerability(first) || seen[first->component])
			continue;
		seen[first->component] = 1;
		put_heading(r, first, to);
		for (size_t j = i; j < list->count; j++)
			if (is_vulnerability(&list->at[j]) &&
			    list->at[j].component == first->component)
				put_line(r, &list->at[j], to);
	}
	mem_free(seen);
}

/* ---- all else -------------------------------------------------------------------------------- */

static const char *const headings[RESULT_KINDS] = {
	[RESULT_MISCONFIGURATION] = "Misconfigurations",
	[RESULT_SECRET] = "Secrets",
	[RESULT_LICENCE] = "Licences",
	[RESULT_POLICY] = "Policy",
	[RESULT_IMPORTED] = "Other tools",
};

static void put_finding(const struct report *r, const struct result *result, struct buf *to)
{
	const struct finding *f = &result->finding;

	buf_append_cstr(to, "  ");
	put_severity(r, result, to);
	buf_append_byte(to, ' ');
	if (f->place.file.len) {
		put_place(to, &f->place);
		buf_append_cstr(to, "  ");
	}
	put_text(to, f->rule);
	if (result->tool.len) {
		buf_append_cstr(to, "  of ");
		put_text(to, result->tool);
	}
	if (!result->fails)
		buf_append_cstr(to, "  (warning)");
	buf_append_cstr(to, "\n           ");
	put_text(to, f->message);
	buf_append_byte(to, '\n');
	if (f->advice.len) {
		buf_append_cstr(to, "           ");
		put_text(to, f->advice);
		buf_append_byte(to, '\n');
	}
}

static void put_findings(const struct report *r, struct buf *to)
{
	enum result_kind last = RESULT_VULNERABILITY;

	for (size_t i = 0; i < r->results->count; i++) {
		const struct result *result = &r->results->at[i];

		if (!result_counts(result) || result->vulnerability)
			continue;
		if (result->kind != last) {
			buf_append_byte(to, '\n');
			put_bold(r, to, span_cstr(headings[result->kind]));
			buf_append_byte(to, '\n');
		}
		last = result->kind;
		put_finding(r, result, to);
	}
}

/* What somebody has decided is said, so that nobody has to guess where it went. */
static void put_silenced(const struct report *r, struct buf *to)
{
	bool begun = false;

	for (size_t i = 0; i < r->results->count; i++) {
		const struct result *result = &r->results->at[i];

		if (result->silence != RESULT_WAIVED && result->silence != RESULT_NOT_AFFECTED)
			continue;
		if (!begun)
			buf_append_cstr(to, "\nNot counted\n");
		begun = true;
		buf_append_cstr(to, "  ");
		put_text(to, result->finding.rule);
		buf_append_cstr(to, "  ");
		put_text(to, result->finding.subject.len ? result->finding.subject
							 : result->finding.place.file);
		buf_append_cstr(to, "\n           ");
		put_short(to, result->why, 200);
		buf_append_byte(to, '\n');
	}
}

static void put_problems(const struct report *r, struct buf *to)
{
	for (size_t i = 0; i < r->inventory->problem_count; i++) {
		const struct inventory_problem *p = &r->inventory->problems[i];
		struct finding_place place = {.file = p->file, .line = p->line};

		buf_append_cstr(to, i == 0 ? "\nNot read\n  " : "  ");
		put_place(to, &place);
		buf_append_cstr(to, ": ");
		put_text(to, p->message);
		buf_append_byte(to, '\n');
	}
}

static void put_summary(const struct report *r, struct buf *to)
{
	static const char *const words[RESULT_SILENCES] = {
		[RESULT_WAIVED] = "waived",
		[RESULT_EXCEPTED] = "excepted by the policy",
		[RESULT_NOT_AFFECTED] = "not affected by VEX",
		[RESULT_KNOWN] = "known before",
		[RESULT_UNFIXED] = "without a fix not shown",
	};
	struct report_counts c = report_count(r);

	buf_printf(to, "\n%u components", r->inventory->count);
	for (int i = FINDING_SEVERITIES - 1; i >= 0; i--)
		if (c.by_severity[i])
			buf_printf(to, ", %zu %s", c.by_severity[i],
				   finding_severity_name((enum finding_severity)i));
	if (c.fails + c.warns == 0)
		buf_append_cstr(to, ", nothing found");
	for (int i = RESULT_COUNTS + 1; i < RESULT_SILENCES; i++)
		if (c.by_silence[i])
			buf_printf(to, ", %zu %s", c.by_silence[i], words[i]);
	if (c.warns && c.fails)
		buf_printf(to, "; %zu fail, %zu only warn", c.fails, c.warns);
	else if (c.warns)
		buf_append_cstr(to, "; all of it only warns");
	buf_append_byte(to, '\n');
	report_put_age(r, to);
}

void report_table(const struct report *r, struct buf *to)
{
	put_vulnerabilities(r, to);
	put_findings(r, to);
	put_silenced(r, to);
	put_problems(r, to);
	put_summary(r, to);
}
