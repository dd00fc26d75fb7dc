/* cmd_registry.c - registry approve, deny, forget, list, check. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/admin_work.h"
#include "gateway/audit.h"
#include "parse/json_write.h"
#include "registry/decision.h"
#include "supply/osv.h"
#include "supply/purl.h"

#define DAY_MS ((int64_t)86400 * 1000)

static struct span text_of(const struct store_work *w, const char *option)
{
	const char *text = options_text(w->given, option);

	return text ? span_cstr(text) : SPAN("");
}

static void put_time(struct json_writer *out, struct span key, int64_t unix_ms)
{
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(time, unix_ms);
	json_member_string(out, key, span_cstr(time));
}

static void put_decision(struct json_writer *out, const struct decision *d)
{
	json_member_string(out, SPAN("purl"), d->purl);
	json_member_string(out, SPAN("decision"),
			   d->approved ? SPAN("approved") : SPAN("denied"));
	json_member_string(out, SPAN("by"), d->by);
	put_time(out, SPAN("made"), d->made_unix_ms);
	if (d->until_unix_ms)
		put_time(out, SPAN("until"), d->until_unix_ms);
	if (d->reason.len)
		json_member_string(out, SPAN("reason"), d->reason);
	if (d->instead.len)
		json_member_string(out, SPAN("instead"), d->instead);
}

static void print_decision(struct store_work *w, const struct decision *d)
{
	struct json_writer out;

	json_writer_init(&out, &w->out);
	json_begin_object(&out);
	put_decision(&out, d);
	json_end_object(&out);
	buf_append_byte(&w->out, '\n');
}

static void audit(struct store_work *w, const char *event, const struct decision *d)
{
	struct buf members;
	struct json_writer out;

	if (!w->audit_log)
		return;
	buf_init(&members, (size_t)32 * 1024);
	json_writer_init(&out, &members);
	out.need_comma = true;
	put_decision(&out, d);
	audit_event(w->audit_log, event, buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
	audit_acknowledge(w->audit_log, "registry.audit");
}

/* ---- approve, deny, forget ------------------------------------------------------------------- */

/* The end of a day, or 0 for good. */
static int read_until(const struct store_work *w, int64_t *until_unix_ms, struct err *err)
{
	struct span until = text_of(w, "until");
	int64_t day_s = until.len == 10 ? osv_time_s(until) : 0;

	*until_unix_ms = 0;
	if (!until.len)
		return 0;
	if (day_s <= 0)
		return err_set(err, ERR_INVALID, "'%.*s' is no day such as 2027-12-31",
			       SPAN_ARG(until));
	*until_unix_ms = day_s * 1000 + DAY_MS;
	if (*until_unix_ms <= w->now_unix_ms)
		return err_set(err, ERR_INVALID, "%.*s is over", SPAN_ARG(until));
	return 0;
}

static int decide(struct store_work *w, bool approved, struct err *err)
{
	struct decision d = {.purl = span_cstr(options_operand(w->given, 0)),
			     .approved = approved,
			     .by = text_of(w, "by"),
			     .reason = text_of(w, "reason"),
			     .instead = approved ? SPAN("") : text_of(w, "instead"),
			     .made_unix_ms = w->now_unix_ms};

	if (!d.by.len)
		return err_set(err, ERR_INVALID, "say who decides: --by NAME");
	if (read_until(w, &d.until_unix_ms, err) < 0 || decision_put(w->store, &d, err) < 0)
		return -1;
	audit(w, approved ? "registry.approved" : "registry.denied", &d);
	print_decision(w, &d);
	return 0;
}

static int approve(struct store_work *w, struct err *err)
{
	return decide(w, true, err);
}

static int deny(struct store_work *w, struct err *err)
{
	return decide(w, false, err);
}

static int forget(struct store_work *w, struct err *err)
{
	struct decision d = {.purl = span_cstr(options_operand(w->given, 0)),
			     .by = text_of(w, "by"),
			     .made_unix_ms = w->now_unix_ms};
	int removed = decision_remove(w->store, d.purl, &w->arena, err);

	if (removed < 0)
		return -1;
	if (removed == 0)
		return err_set(err, ERR_NOT_FOUND, "nothing was decided on %.*s",
			       SPAN_ARG(d.purl));
	audit(w, "registry.forgotten", &d);
	buf_append_cstr(&w->out, "{\"forgotten\":true}\n");
	return 0;
}

static int list(struct store_work *w, struct err *err)
{
	const char *prefix = options_operand(w->given, 0);
	struct decision_list decisions;

	if (decision_list(w->store, prefix ? span_cstr(prefix) : SPAN("pkg:"), &w->arena,
			  &decisions, err) < 0)
		return -1;
	for (size_t i = 0; i < decisions.count; i++)
		print_decision(w, &decisions.at[i]);
	return 0;
}

/* ---- check ----------------------------------------------------------------------------------- */

struct check {
	const struct options *given;
	struct config *cfg;
	struct judge *judge;
	struct store *store; /* NULL: there are no decisions */
	struct arena arena;
	struct buf out;
	bool refused;
};

static int judge_one(struct check *c, struct span text, struct judgement *j, struct err *err)
{
	const struct config_registry *config = c->cfg->registry;
	struct component component = {0};
	struct decision_list decisions = {.at = NULL};
	struct release release;
	struct span canonical;
	struct purl p;

	if (purl_parse(&c->arena, text, &p) != PURL_OK ||
	    !purl_to_component(&c->arena, &p, &component) || !component.version.len)
		return err_set(err, ERR_INVALID,
			       "'%.*s' is no package URL with a version, such as "
			       "pkg:npm/lodash@4.17.21",
			       SPAN_ARG(text));
	release = (struct release){component.version, SPAN(""), SPAN("")};
	if (judge_releases(c->judge, component.ecosystem, component.name, &release, 1,
			   clock_unix_s(), &c->arena, j, err) < 0)
		return -1;
	canonical = purl_write(&c->arena, &p);
	if (c->store && decision_list(c->store, SPAN("pkg:"), &c->arena, &decisions, err) < 0)
		return -1;
	if (!canonical.len ||
	    decision_apply(&decisions, canonical, config->mode == CONFIG_REGISTRY_APPROVED,
			   &c->arena, j) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	return 0;
}

static void print_judgement(struct check *c, struct span purl, const struct judgement *j)
{
	struct json_writer out;

	if (strcmp(options_text(c->given, "format"), "json") != 0) {
		buf_printf(&c->out, "%.*s: %s%s%.*s%s%.*s\n", SPAN_ARG(purl),
			   j->refused ? "refused" : "allowed", j->refused ? ": " : "",
			   SPAN_ARG(j->why), j->instead.len ? ". " : "", SPAN_ARG(j->instead));
		return;
	}
	json_writer_init(&out, &c->out);
	json_begin_object(&out);
	json_member_string(&out, SPAN("purl"), purl);
	json_member_bool(&out, SPAN("refused"), j->refused);
	if (j->refused) {
		json_member_bool(&out, SPAN("malicious"), j->malicious);
		json_member_string(&out, SPAN("why"), j->why);
	}
	if (j->instead.len)
		json_member_string(&out, SPAN("instead"), j->instead);
	json_end_object(&out);
	buf_append_byte(&c->out, '\n');
}

static int open_check(struct check *c, struct err *err)
{
	const struct config_registry *config;
	struct store_options store = {0};
	struct judge_files files;

	c->cfg = admin_load(c->given, err);
	if (!c->cfg)
		return -1;
	config = c->cfg->registry;
	if (!config)
		return err_set(err, ERR_INVALID, "the configuration has no 'registry'");
	files = (struct judge_files){config->database.ptr,
				     config->policy.len ? config->policy.ptr : NULL};
	c->judge = judge_open(&files, err);
	if (!c->judge)
		return -1;
	store.url = secret_span(&c->cfg->store.url);
	if (!store.url.len)
		return 0;
	c->store = store_open(&store, err);
	return c->store ? 0 : -1;
}

static int check_all(struct check *c, struct err *err)
{
	if (open_check(c, err) < 0)
		return -1;
	for (size_t i = 0; i < c->given->operand_count; i++) {
		struct span purl = span_cstr(options_operand(c->given, i));
		struct judgement j;

		if (judge_one(c, purl, &j, err) < 0)
			return -1;
		c->refused = c->refused || j.refused;
		print_judgement(c, purl, &j);
	}
	return 0;
}

static enum exit_status run_check(const struct options *given)
{
	struct check c = {.given = given};
	enum exit_status status = EXIT_STATUS_FAILED;
	struct err err = {.code = ERR_NONE};

	arena_init(&c.arena, (size_t)256 << 20, 65536);
	buf_init(&c.out, (size_t)16 << 20);
	if (check_all(&c, &err) < 0)
		output_error(given, &err);
	else
		status = output_text(&c.out);
	if (status == EXIT_STATUS_OK && c.refused)
		status = EXIT_STATUS_FAILED;
	judge_close(c.judge);
	store_close(c.store);
	config_unref(c.cfg);
	buf_release(&c.out);
	arena_release(&c.arena);
	return status;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static enum exit_status run_approve(const struct options *given)
{
	return store_work_run(given, false, approve);
}

static enum exit_status run_deny(const struct options *given)
{
	return store_work_run(given, false, deny);
}

static enum exit_status run_forget(const struct options *given)
{
	return store_work_run(given, false, forget);
}

static enum exit_status run_list(const struct options *given)
{
	return store_work_run(given, false, list);
}

#define BY_OPTION                                                                              \
	{                                                                                      \
		.name = "by", .kind = OPTION_TEXT, .argument = "NAME", .help = "Who decides.", \
		.environment = "USER"                                                          \
	}
#define REASON_OPTION                                                                          \
	{                                                                                      \
		.name = "reason", .kind = OPTION_TEXT, .argument = "TEXT", .help = "Why."      \
	}
#define UNTIL_OPTION                                                                           \
	{                                                                                      \
		.name = "until", .kind = OPTION_TEXT, .argument = "DAY",                       \
		.help = "The last day on which it counts, as 2027-12-31; without, it counts "  \
			"until it is forgotten."                                               \
	}

static const struct option_spec approve_options[] = {
	OPTION_CONFIG, BY_OPTION, REASON_OPTION, UNTIL_OPTION, {.name = NULL}};
static const struct option_spec deny_options[] = {
	OPTION_CONFIG,
	BY_OPTION,
	REASON_OPTION,
	{.name = "instead",
	 .kind = OPTION_TEXT,
	 .argument = "TEXT",
	 .help = "What to use in its place; clients are told."},
	UNTIL_OPTION,
	{.name = NULL}};
static const struct option_spec forget_options[] = {OPTION_CONFIG, BY_OPTION, {.name = NULL}};
static const char *const formats[] = {"text", "json", NULL};
static const struct option_spec check_options[] = {
	OPTION_CONFIG,
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print: text, or json, an object a line.",
	 .initial = "text",
	 .choices = formats},
	{.name = NULL}};

static const struct operand_spec purl_operand[] = {
	{.name = "PURL",
	 .help = "pkg:npm/lodash@4.17.21, or pkg:npm/lodash for all releases.",
	 .required = true},
	{.name = NULL}};
static const struct operand_spec check_operands[] = {
	{.name = "PURL",
	 .help = "Releases, as pkg:npm/lodash@4.17.21.",
	 .required = true,
	 .many = true},
	{.name = NULL}};
static const struct operand_spec list_operands[] = {
	{.name = "PREFIX", .help = "Only those that start so, as pkg:npm/."}, {.name = NULL}};

static const struct command_example approve_examples[] = {
	{"sallyport registry approve pkg:npm/lodash@4.17.21 --reason 'read, ticket 12'",
	 "Let one release through where approvals are needed."},
	{"sallyport registry approve pkg:npm/lodash --until 2027-12-31",
	 "All releases of a package, for a time."},
	{NULL, NULL}};
static const struct command_example deny_examples[] = {
	{"sallyport registry deny pkg:npm/left-pad --instead String.prototype.padStart",
	 "Refuse a package, and say what to use."},
	{NULL, NULL}};
static const struct command_example check_examples[] = {
	{"sallyport registry check pkg:npm/lodash@4.17.20",
	 "What the firewall would say of a release."},
	{NULL, NULL}};

const struct command cmd_registry_approve = {
	.name = "registry approve",
	.summary = "approve a component for those who install through the registry",
	.description =
		"With registry.mode: approved only components that somebody has approved are "
		"let "
		"through. What the policy refuses stays refused: that takes an exception of "
		"the "
		"policy, or a waiver that a security champion has signed.\n\n"
		"Decisions are kept in the store and count at once. The one on a release goes "
		"before that on its package.",
	.options = approve_options,
	.operands = purl_operand,
	.examples = approve_examples,
	.run = run_approve};

const struct command cmd_registry_deny = {
	.name = "registry deny",
	.summary = "refuse a component, whatever else is known of it",
	.description = "Counts at once, in every mode of the registry.",
	.options = deny_options,
	.operands = purl_operand,
	.examples = deny_examples,
	.run = run_deny};

const struct command cmd_registry_forget = {
	.name = "registry forget",
	.summary = "take back what was decided on a component",
	.description = "As if nobody had decided. Counts at once.",
	.options = forget_options,
	.operands = purl_operand,
	.run = run_forget};

const struct command cmd_registry_list = {.name = "registry list",
					  .summary = "print decisions on components as JSON",
					  .description = "Prints a JSON object a line.",
					  .options = admin_options,
					  .operands = list_operands,
					  .run = run_list};

const struct command cmd_registry_check = {
	.name = "registry check",
	.summary = "say what the registry would say of releases",
	.description =
		"Judges by the advisories, the policy with its exceptions and waivers, and "
		"the decisions. What only an index tells, the age and the licence of a "
		"release, is not looked at. Fails when one of them is refused.",
	.options = check_options,
	.operands = check_operands,
	.examples = check_examples,
	.run = run_check};
