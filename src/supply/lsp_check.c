#include "supply/lsp_check.h"

#include "base/buf.h"
#include "parse/version.h"
#include "supply/detect.h"
#include "supply/rank.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define DETAIL_BYTES_MAX ((size_t)1 << 16)
#define EDIT_LINES 8 /* how far below its name a component's version stands */
#define LISTED_MAX 20

struct check {
	struct lsp_problems *list;
	const struct advisory_db *db;
	struct checker *checker;
	struct span path;
	struct span text;
};

static struct lsp_problem *add(struct lsp_problems *list)
{
	struct lsp_problem *grown =
		arena_grow(list->arena, list->at, list->count, sizeof(*list->at));

	if (!grown) {
		list->failed = true;
		return NULL;
	}
	list->at = grown;
	list->at[list->count] = (struct lsp_problem){0};
	return &list->at[list->count++];
}

static struct span keep(struct lsp_problems *list, struct span text)
{
	struct span copy = text.len ? arena_dup(list->arena, text) : SPAN("");

	if (!copy.ptr) {
		list->failed = true;
		return SPAN("");
	}
	return copy;
}

/* The line (from 1; 0 is the first) without the space around it. */
static void place_line(const struct check *c, uint32_t line, struct lsp_problem *p)
{
	size_t start, length;
	struct span text, trimmed;

	if (!lsp_lines_get(&c->list->lines, c->text, line ? line - 1 : 0, &start, &length))
		return;
	text = span_slice(c->text, start, start + length);
	trimmed = span_trim(text);
	p->start = trimmed.len ? (size_t)(trimmed.ptr - c->text.ptr) : start;
	p->end = p->start + trimmed.len;
}

/* --- Findings of rules. */

static const struct check_rule *rule_of(const struct check *c, struct span id)
{
	for (size_t i = 0; i < checker_rule_count(c->checker); i++)
		if (span_eq(checker_rule(c->checker, i)->id, id))
			return checker_rule(c->checker, i);
	return NULL;
}

/* A secret goes up to a space or quote behind its beginning. */
static size_t secret_end(struct span text, size_t at)
{
	while (at < text.len && !strchr(" \t\r\n\"'`<>,;", text.ptr[at]))
		at++;
	return at;
}

static void add_finding(const struct check *c, const struct finding *f)
{
	const struct check_rule *rule = rule_of(c, f->rule);
	struct lsp_problem *p = add(c->list);
	struct span detail;

	if (!p)
		return;
	place_line(c, f->place.line, p);
	if (f->place.column) {
		size_t start, length;

		if (lsp_lines_get(&c->list->lines, c->text, f->place.line - 1, &start,
				  &length)) {
			p->start = start + f->place.column - 1;
			p->end = secret_end(c->text, p->start);
		}
	}
	p->severity = f->severity;
	p->code = keep(c->list, f->rule);
	p->message = keep(c->list, f->message);
	p->link = keep(c->list, f->link);
	detail = arena_printf(
		c->list->arena, "**%.*s** (%s)\n\n%.*s.\n\n%.*s\n\nFix: %.*s%s%.*s",
		SPAN_ARG(f->rule), finding_severity_name(f->severity), SPAN_ARG(f->message),
		SPAN_ARG(rule ? rule->why : SPAN("")), SPAN_ARG(f->advice),
		f->standards.len ? "\n\n" : "", SPAN_ARG(f->standards));
	p->detail = detail.ptr ? detail : SPAN("");
}

static void add_broken(const struct check *c, const struct err *err)
{
	struct span message = span_cstr(err->message);
	size_t at = span_find(message, SPAN("line "));
	struct span number = span_slice(message, at + 5, message.len);
	struct lsp_problem *p = add(c->list);
	uint64_t line = 0;

	if (!p)
		return;
	number.len = number.len ? span_find_byte(number, ':') : 0;
	if (!span_to_u64(number, &line) || line > UINT32_MAX)
		line = 0;
	place_line(c, (uint32_t)line, p);
	p->severity = FINDING_LOW;
	p->code = SPAN("unreadable");
	p->message = keep(c->list, message);
	p->detail = p->message;
}

static void check_rules(const struct check *c)
{
	enum check_kind kind = check_kind_of(c->path, c->text);
	const struct leak_text leak = {.path = c->path, .text = c->text};
	struct finding_list found;
	struct err err = {0};

	finding_list_init(&found, c->list->arena);
	if (kind != CHECK_NONE &&
	    check_file(c->checker, kind, c->path, c->text, &found, &err) < 0 &&
	    err.code == ERR_SYNTAX)
		add_broken(c, &err);
	if (leak_wants(c->path) && leak_is_text(c->text) &&
	    check_secrets(c->checker, &leak, &found, NULL) < 0)
		found.failed = found.failed || found.count == 0;
	finding_list_sort(&found);
	for (size_t i = 0; i < found.count; i++)
		add_finding(c, &found.at[i]);
}

/* --- Vulnerabilities. */

static bool is_version_byte(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '_';
}

/* The version as a whole, not as a part of another; a "v" before it is no part of it. */
static bool stands_alone(struct span text, size_t at, size_t length)
{
	char before = at ? text.ptr[at - 1] : ' ';
	char after = at + length < text.len ? text.ptr[at + length] : ' ';

	if (before == 'v' && at > 1)
		before = text.ptr[at - 2];
	if (is_version_byte(before) || before == '.' || before == '-')
		return false;
	return !is_version_byte(after) && !(after == '.' && at + length + 1 < text.len &&
					    is_version_byte(text.ptr[at + length + 1]));
}

/* Where the version stands: in the component's line or a little below. */
static bool find_version(const struct check *c, const struct component *part, size_t *at)
{
	size_t start, length, end, last, last_length;
	uint32_t line = part->line ? part->line - 1 : 0;

	if (!part->version.len ||
	    !lsp_lines_get(&c->list->lines, c->text, line, &start, &length))
		return false;
	end = start + length;
	for (uint32_t i = 1; i < EDIT_LINES; i++)
		if (lsp_lines_get(&c->list->lines, c->text, line + i, &last, &last_length))
			end = last + last_length;
	for (size_t i = start; i < end;) {
		struct span rest = span_slice(c->text, i, end);
		size_t found = span_find(rest, part->version);

		if (found == rest.len)
			return false;
		if (stands_alone(c->text, i + found, part->version.len)) {
			*at = i + found;
			return true;
		}
		i += found + 1;
	}
	return false;
}

struct group {
	const struct component *part;
	const struct vulnerability *worst;
	struct span fix; /* which ends all that have one */
	unsigned count;
	unsigned unfixed;
	struct buf detail;
};

static void describe(struct group *g, const struct vulnerability *v)
{
	if (g->count > LISTED_MAX)
		return;
	buf_printf(&g->detail, "\n- **%.*s** (%s): %.*s", SPAN_ARG(v->id),
		   v->severity_known ? finding_severity_name(v->severity) : "severity unknown",
		   SPAN_ARG(v->summary.len ? v->summary : SPAN("no summary")));
	if (v->fix.len)
		buf_printf(&g->detail, "; fixed in %.*s", SPAN_ARG(v->fix));
	else
		buf_append_cstr(&g->detail, "; no fix is known");
	if (v->kev)
		buf_append_cstr(&g->detail, "; known to be exploited");
	if (v->link.len)
		buf_printf(&g->detail, " ([more](%.*s))", SPAN_ARG(v->link));
}

static void gather(struct group *g, const struct vulnerability_list *all, uint32_t index)
{
	enum version_order order = version_order_of_ecosystem(ecosystem_osv_name(g->part));

	for (size_t i = 0; i < all->count; i++) {
		const struct vulnerability *v = &all->at[i];

		if (v->component != index)
			continue;
		g->count++;
		if (!g->worst || v->severity > g->worst->severity)
			g->worst = v;
		if (!v->fix.len)
			g->unfixed++;
		else if (!g->fix.len || version_compare(order, v->fix, g->fix) > 0)
			g->fix = v->fix;
		describe(g, v);
	}
}

/* Texts of a fix: "v1.2.4" where the text has "v1.2.3" as its version. */
static void add_edit(const struct check *c, const struct group *g, struct lsp_problem *p)
{
	const struct component *part = g->part;
	struct span title, fix = g->fix;
	size_t at;

	if (!fix.len || !find_version(c, part, &at))
		return;
	if (part->version.ptr[0] == 'v' && fix.ptr[0] != 'v') {
		fix = arena_printf(c->list->arena, "v%.*s", SPAN_ARG(g->fix));
	} else {
		fix = keep(c->list, fix);
	}
	title = arena_printf(c->list->arena, "Upgrade %.*s from %.*s to %.*s",
			     SPAN_ARG(part->name), SPAN_ARG(part->version), SPAN_ARG(fix));
	if (!fix.ptr || !title.ptr) {
		c->list->failed = true;
		return;
	}
	p->has_edit = true;
	p->edit = (struct lsp_edit){at, at + part->version.len, fix, title};
}

static void add_group(const struct check *c, const struct group *g)
{
	const struct component *part = g->part;
	struct lsp_problem *p = add(c->list);
	struct span head;

	if (!p)
		return;
	place_line(c, part->line, p);
	p->severity = g->worst->severity;
	p->code = keep(c->list, g->worst->id);
	p->link = keep(c->list, g->worst->link);
	add_edit(c, g, p);
	p->message =
		arena_printf(c->list->arena, "%.*s %.*s: %u known %s, the worst %s; %s%.*s",
			     SPAN_ARG(part->name), SPAN_ARG(part->version), g->count,
			     g->count == 1 ? "vulnerability" : "vulnerabilities",
			     finding_severity_name(g->worst->severity),
			     g->fix.len ? (g->unfixed ? "some are fixed in " : "fixed in ")
					: "no fix is known",
			     SPAN_ARG(g->fix));
	head = arena_printf(c->list->arena, "%.*s\n%.*s", SPAN_ARG(p->message),
			    SPAN_ARG(buf_span(&g->detail)));
	p->detail = head.ptr ? head : SPAN("");
	if (!p->message.ptr) {
		p->message = SPAN("known vulnerabilities");
		c->list->failed = true;
	}
}

static void check_components(const struct check *c, const struct inventory *inv)
{
	const struct rank_options how = {.include_owned = true};
	struct vulnerability_list all = {.arena = c->list->arena};

	if (rank_inventory(c->db, inv, &how, &all, NULL) < 0) {
		c->list->failed = true;
		return;
	}
	for (uint32_t i = 0; i < inv->count; i++) {
		struct group g = {.part = &inv->at[i]};

		buf_init(&g.detail, DETAIL_BYTES_MAX);
		gather(&g, &all, i);
		if (g.count)
			add_group(c, &g);
		buf_release(&g.detail);
	}
}

static void check_inventory(const struct check *c)
{
	const struct detector *d = detect_file(c->path, false);
	bool locked = d && d->parse && (d->kind == DETECT_FILE || d->kind == DETECT_GO_SUM);
	struct arena scratch;
	struct inventory inv;
	struct err err = {0};
	struct lock_input in;

	arena_init(&scratch, TEXT_BYTES_MAX * 8, (size_t)1 << 16);
	inventory_init(&inv, TEXT_BYTES_MAX);
	in = (struct lock_input){.inv = &inv,
				 .scratch = &scratch,
				 .file = inventory_text(&inv, c->path),
				 .text = c->text,
				 .layer = COMPONENT_NONE};
	if (locked && d->parse(&in, &err) < 0)
		add_broken(c, &err);
	else if (!locked)
		(void)lsp_manifest(&in);
	if (inv.count && c->db && inventory_finish(&inv, NULL) == 0)
		check_components(c, &inv);
	inventory_release(&inv);
	arena_release(&scratch);
}

void lsp_check(struct lsp_problems *list, const struct advisory_db *db, struct checker *checker,
	       struct span path, struct span text)
{
	const struct check c = {list, db, checker, path, text};

	if (text.len > TEXT_BYTES_MAX || text.len == 0)
		return;
	if (!lsp_lines_make(&list->lines, list->arena, text)) {
		list->failed = true;
		return;
	}
	check_inventory(&c);
	check_rules(&c);
}
