/* threat_print.c - the threat model as text, JSON and Markdown, and as findings. */
#include "config/threat.h"

#include "parse/json_write.h"

#define RED "\x1b[31m"
#define YELLOW "\x1b[33m"
#define GREEN "\x1b[32m"
#define BOLD "\x1b[1m"
#define PLAIN "\x1b[0m"

const char *threat_category_name(enum threat_category category)
{
	switch (category) {
	case THREAT_SPOOFING: return "spoofing";
	case THREAT_TAMPERING: return "tampering";
	case THREAT_REPUDIATION: return "repudiation";
	case THREAT_DISCLOSURE: return "information disclosure";
	case THREAT_DENIAL: return "denial of service";
	case THREAT_ELEVATION: return "elevation of privilege";
	}
	return "";
}

const char *threat_state_name(enum threat_state state)
{
	switch (state) {
	case THREAT_MITIGATED: return "mitigated";
	case THREAT_PARTLY: return "partly";
	case THREAT_OPEN: return "open";
	}
	return "";
}

enum finding_severity threat_severity(const struct threat *threat)
{
	enum finding_severity severity = threat->kind->severity;

	switch (threat->state) {
	case THREAT_MITIGATED: return FINDING_INFO;
	case THREAT_PARTLY:
		return severity == FINDING_INFO ? severity
						: (enum finding_severity)(severity - 1);
	case THREAT_OPEN: return severity;
	}
	return severity;
}

int threat_to_findings(const struct threat_list *list, struct finding_list *findings)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct threat *t = &list->at[i];
		struct finding f = {
			.rule = span_cstr(t->kind->id),
			.severity = threat_severity(t),
			.message = arena_printf(findings->arena, "%.*s: %s (%.*s)",
						SPAN_ARG(t->element), t->kind->title,
						SPAN_ARG(t->because)),
			.advice = span_cstr(t->kind->advice),
			.standards = span_cstr(t->kind->standards),
			.subject = t->element,
			.place = {.file = span_cstr(t->where.file ? t->where.file : ""),
				  .line = t->where.line,
				  .column = t->where.column},
		};

		if (t->state == THREAT_MITIGATED)
			continue;
		if (!f.message.ptr || finding_list_add(findings, &f) < 0)
			return -1;
	}
	return 0;
}

/* ---- text ------------------------------------------------------------------------------------ */

static const char *colour_of(enum threat_state state)
{
	switch (state) {
	case THREAT_MITIGATED: return GREEN;
	case THREAT_PARTLY: return YELLOW;
	case THREAT_OPEN: return RED;
	}
	return "";
}

static void count(const struct threat_list *list, size_t counts[THREAT_STATES])
{
	for (size_t i = 0; i < list->count; i++)
		counts[list->at[i].state]++;
}

static void text_threat(const struct threat *t, bool coloured, struct buf *out)
{
	buf_printf(out, "  %s%-9s%s  %-22s  %.*s", coloured ? colour_of(t->state) : "",
		   threat_state_name(t->state), coloured ? PLAIN : "",
		   threat_category_name(t->kind->category), SPAN_ARG(t->because));
	if (t->state == THREAT_MITIGATED) {
		buf_append_byte(out, '\n');
		return;
	}
	buf_printf(out, " [%s, %s]\n             %s\n             %s\n", t->kind->id,
		   finding_severity_name(threat_severity(t)), t->kind->title, t->kind->advice);
}

void threat_text(const struct threat_list *list, bool detailed, bool coloured, struct buf *out)
{
	size_t counts[THREAT_STATES] = {0};
	struct span told = SPAN_NONE;

	count(list, counts);
	for (size_t i = 0; i < list->count; i++) {
		const struct threat *t = &list->at[i];

		if (!detailed && t->state == THREAT_MITIGATED)
			continue;
		if (told.ptr != t->element.ptr) {
			buf_printf(out, "%s%.*s%s", coloured ? BOLD : "", SPAN_ARG(t->element),
				   coloured ? PLAIN : "");
			if (t->where.file)
				buf_printf(out, "  %s:%u", t->where.file, t->where.line);
			buf_append_byte(out, '\n');
		}
		told = t->element;
		text_threat(t, coloured, out);
	}
	buf_printf(out, "%zu threats: %zu open, %zu partly mitigated, %zu mitigated\n",
		   list->count, counts[THREAT_OPEN], counts[THREAT_PARTLY],
		   counts[THREAT_MITIGATED]);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_threat(struct json_writer *w, const struct threat *t)
{
	json_begin_object(w);
	json_member_string(w, SPAN("id"), span_cstr(t->kind->id));
	json_member_string(w, SPAN("category"),
			   span_cstr(threat_category_name(t->kind->category)));
	json_member_string(w, SPAN("state"), span_cstr(threat_state_name(t->state)));
	json_member_string(w, SPAN("severity"),
			   span_cstr(finding_severity_name(t->kind->severity)));
	json_member_string(w, SPAN("element"), t->element);
	json_member_string(w, SPAN("title"), span_cstr(t->kind->title));
	json_member_string(w, SPAN("because"), t->because);
	json_member_string(w, SPAN("advice"), span_cstr(t->kind->advice));
	json_member_string(w, SPAN("standards"), span_cstr(t->kind->standards));
	if (t->where.file) {
		json_member_string(w, SPAN("file"), span_cstr(t->where.file));
		json_member_int(w, SPAN("line"), t->where.line);
	}
	json_end_object(w);
}

/* What passes a boundary: from whom, to whom, and by which operations. */
static void json_flow(struct json_writer *w, const struct config_route *route)
{
	json_begin_object(w);
	json_member_string(w, SPAN("from"), SPAN("gateway"));
	json_member_string(w, SPAN("to"), route->service->name);
	json_member_string(w, SPAN("operation"), route->operation);
	json_end_object(w);
}

void threat_json(const struct config *cfg, const struct threat_list *list, struct buf *out)
{
	size_t counts[THREAT_STATES] = {0};
	struct json_writer w;

	count(list, counts);
	json_writer_init(&w, out);
	json_begin_object(&w);
	json_member_int(&w, SPAN("threats"), (int64_t)list->count);
	json_member_int(&w, SPAN("open"), (int64_t)counts[THREAT_OPEN]);
	json_member_int(&w, SPAN("partly"), (int64_t)counts[THREAT_PARTLY]);
	json_member_int(&w, SPAN("mitigated"), (int64_t)counts[THREAT_MITIGATED]);
	json_key(&w, SPAN("flows"));
	json_begin_array(&w);
	for (size_t i = 0; i < cfg->routes.count; i++)
		if (cfg->routes.at[i].service)
			json_flow(&w, &cfg->routes.at[i]);
	json_end_array(&w);
	json_key(&w, SPAN("model"));
	json_begin_array(&w);
	for (size_t i = 0; i < list->count; i++)
		json_threat(&w, &list->at[i]);
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(out, '\n');
}

/* ---- Markdown -------------------------------------------------------------------------------- */

/* For cells and labels: what has a meaning in tables or in Mermaid is written as an entity. */
static void put_escaped(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c < 0x20)
			buf_append_byte(out, ' ');
		else if (strchr("|<>&\"`#[]*_\\", c))
			buf_printf(out, "&#%u;", c);
		else
			buf_append_byte(out, (char)c);
	}
}

static void diagram_service(const struct config *cfg, const struct config_service *service,
			    struct buf *out)
{
	size_t operations = 0;

	for (size_t i = 0; i < cfg->routes.count; i++)
		operations += cfg->routes.at[i].service == service;
	buf_printf(out, "    gateway -->|\"%zu operation%s\"| s%u[\"", operations,
		   operations == 1 ? "" : "s", service->index);
	put_escaped(out, service->name);
	buf_append_cstr(out, "\"]\n");
}

static void diagram(const struct config *cfg, struct buf *out)
{
	buf_append_cstr(out, "```mermaid\nflowchart LR\n    clients((\"clients\"))\n"
			     "    subgraph here [\"trust boundary: this machine\"]\n"
			     "    gateway[\"gateway\"]\n    end\n");
	for (size_t i = 0; i < cfg->listen.count; i++) {
		buf_printf(out, "    clients -->|\"%s ",
			   cfg->listen.at[i].tls ? "TLS" : "plain");
		put_escaped(out, cfg->listen.at[i].address.text);
		buf_append_cstr(out, "\"| gateway\n");
	}
	for (size_t i = 0; i < cfg->services.count; i++)
		diagram_service(cfg, &cfg->services.at[i], out);
	buf_append_cstr(out, "```\n");
}

static void table_row(const struct threat *t, struct buf *out)
{
	buf_printf(out, "| %s | %s | %s | ", threat_state_name(t->state),
		   t->state == THREAT_MITIGATED ? ""
						: finding_severity_name(threat_severity(t)),
		   threat_category_name(t->kind->category));
	put_escaped(out, span_cstr(t->kind->title));
	buf_append_cstr(out, " | ");
	put_escaped(out, t->because);
	buf_append_cstr(out, " | ");
	if (t->state != THREAT_MITIGATED)
		put_escaped(out, span_cstr(t->kind->advice));
	buf_append_cstr(out, " |\n");
}

void threat_markdown(const struct config *cfg, const struct threat_list *list, struct buf *out)
{
	size_t counts[THREAT_STATES] = {0};
	struct span told = SPAN_NONE;

	count(list, counts);
	buf_printf(out,
		   "# Threat model\n\n%zu threats: %zu open, %zu partly mitigated, %zu "
		   "mitigated.\n\n",
		   list->count, counts[THREAT_OPEN], counts[THREAT_PARTLY],
		   counts[THREAT_MITIGATED]);
	diagram(cfg, out);
	for (size_t i = 0; i < list->count; i++) {
		const struct threat *t = &list->at[i];

		if (told.ptr != t->element.ptr) {
			buf_append_cstr(out, "\n## ");
			put_escaped(out, t->element);
			buf_append_cstr(out,
					"\n\n| state | severity | category | threat | because "
					"| what to do |\n|---|---|---|---|---|---|\n");
		}
		told = t->element;
		table_row(t, out);
	}
}
