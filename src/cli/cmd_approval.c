#include "cli/admin_work.h"
#include "gateway/audit.h"
#include "guard/approval.h"
#include "parse/json_write.h"

static const char *const states[] = {"pending", "approved", "denied", "used", NULL};

static const struct operand_spec id_operand[] = {
	{.name = "ID", .help = "The approval, as the list shows it.", .required = true},
	{.name = NULL},
};

static int failed(enum approval_result result, struct err *err)
{
	if (result == APPROVAL_FAILED)
		return -1;
	return err_set(err, result == APPROVAL_ABSENT ? ERR_NOT_FOUND : ERR_INVALID, "%s",
		       approval_result_text(result));
}

static void print(struct store_work *w, const struct approval *approval)
{
	approval_write(approval, &w->out);
	buf_append_byte(&w->out, '\n');
}

/* ---- list, show ------------------------------------------------------------------------------ */

static int list(struct store_work *w, struct err *err)
{
	struct approval_list page = {.more = true};
	const char *given_after = options_text(w->given, "after");
	struct span after = span_cstr(given_after ? given_after : "");
	uint64_t limit = options_number(w->given, "limit"), shown = 0;
	enum approval_state state = APPROVAL_PENDING;

	if (!approval_state_parse(span_cstr(options_text(w->given, "state")), &state))
		return err_set(err, ERR_INVALID, "there is no such state");
	while (page.more && (limit == 0 || shown < limit)) {
		if (approval_list(w->store, state, after, STORE_PAGE_MAX, w->now_unix_ms,
				  &w->arena, &page, err) < 0)
			return -1;
		for (size_t i = 0; i < page.count; i++)
			if (page.at[i].state == state && (limit == 0 || shown++ < limit))
				print(w, &page.at[i]);
		if (page.count)
			after = page.at[page.count - 1].id;
	}
	return 0;
}

static int show(struct store_work *w, struct err *err)
{
	struct approval approval;
	enum approval_result result =
		approval_get(w->store, span_cstr(options_operand(w->given, 0)), w->now_unix_ms,
			     &w->arena, &approval, err);

	if (result != APPROVAL_OK)
		return failed(result, err);
	print(w, &approval);
	return 0;
}

/* ---- approve, deny --------------------------------------------------------------------------- */

static void audit(struct store_work *w, const struct approval *approval,
		  const struct approval_vote *vote)
{
	struct json_writer members;
	struct buf text;

	if (!w->audit_log)
		return;
	buf_init(&text, 16384);
	json_writer_init(&members, &text);
	members.need_comma = true;
	json_member_string(&members, SPAN("approval"), approval->id);
	json_member_string(&members, SPAN("operation"), approval->operation);
	json_member_string(&members, SPAN("requester"), approval->requester);
	json_member_string(&members, SPAN("sha256"), approval->digest);
	json_member_string(&members, SPAN("by"), vote->by);
	json_member_string(&members, SPAN("reason"), vote->reason);
	json_member_string(&members, SPAN("through"), SPAN("command line"));
	audit_event(w->audit_log, vote->approves ? "approval.approved" : "approval.denied",
		    buf_failed(&text) ? SPAN_NONE : buf_span(&text));
	buf_release(&text);
}

static int decide(struct store_work *w, bool approves, struct err *err)
{
	const char *reason = options_text(w->given, "reason");
	struct approval_vote vote = {.by = span_cstr(options_text(w->given, "as")),
				     .reason = span_cstr(reason ? reason : ""),
				     .unix_ms = w->now_unix_ms,
				     .approves = approves};
	struct approval approval;
	enum approval_result result;

	if (vote.by.len == 0)
		return err_set(err, ERR_INVALID, "--as NAME: who decides?");
	if (vote.reason.len > APPROVAL_REASON_BYTES_MAX)
		return err_set(err, ERR_INVALID, "a reason has at most %d bytes",
			       APPROVAL_REASON_BYTES_MAX);
	result = approval_decide(w->store, span_cstr(options_operand(w->given, 0)), &vote,
				 &w->arena, &approval, err);
	if (result != APPROVAL_OK)
		return failed(result, err);
	audit(w, &approval, &vote);
	print(w, &approval);
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

/* ---- link ------------------------------------------------------------------------------------ */

static int make_link(struct store_work *w, struct err *err)
{
	struct span id = span_cstr(options_operand(w->given, 0));
	const char *approver = options_text(w->given, "for");
	const char *base = options_text(w->given, "url");
	struct approval approval;
	enum approval_result result;
	struct span token;

	if (!approver || !base)
		return err_set(err, ERR_INVALID, "--for NAME and --url URL are needed");
	result = approval_get(w->store, id, w->now_unix_ms, &w->arena, &approval, err);
	if (result != APPROVAL_OK)
		return failed(result, err);
	if (approval_link_make(w->store, id, span_cstr(approver), &w->arena, &token, err) < 0)
		return -1;
	buf_printf(&w->out, "%s/link?t=%.*s\n", base, SPAN_ARG(token));
	return 0;
}

/* ---- the commands ---------------------------------------------------------------------------- */

static enum exit_status run_list(const struct options *given)
{
	return store_work_run(given, false, list);
}

static enum exit_status run_show(const struct options *given)
{
	return store_work_run(given, false, show);
}

static enum exit_status run_approve(const struct options *given)
{
	return store_work_run(given, false, approve);
}

static enum exit_status run_deny(const struct options *given)
{
	return store_work_run(given, false, deny);
}

static enum exit_status run_link(const struct options *given)
{
	return store_work_run(given, false, make_link);
}

static const struct option_spec list_options[] = {
	OPTION_CONFIG,
	{.name = "state",
	 .kind = OPTION_CHOICE,
	 .argument = "STATE",
	 .help = "Which ones: pending, approved, denied or used.",
	 .initial = "pending",
	 .choices = states},
	{.name = "limit",
	 .kind = OPTION_NUMBER,
	 .argument = "N",
	 .help = "How many at most; 0: all.",
	 .initial = "0"},
	{.name = "after",
	 .kind = OPTION_TEXT,
	 .argument = "ID",
	 .help = "Those that come after this one in the list."},
	{.name = NULL},
};

static const struct option_spec decide_options[] = {
	OPTION_CONFIG,
	{.name = "as",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Who decides; not who has asked."},
	{.name = "reason", .kind = OPTION_TEXT, .argument = "TEXT", .help = "Why."},
	{.name = NULL},
};

static const struct option_spec link_options[] = {
	OPTION_CONFIG,
	{.name = "for",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "In whose name the link decides."},
	{.name = "url",
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "Where the route of the approvals is, without a slash at the end."},
	{.name = NULL},
};

static const struct command_example list_examples[] = {
	{"sallyport approval list", "What waits for a decision, a JSON object a line."},
	{"sallyport approval list --state used", "What was approved and done."},
	{NULL, NULL},
};

static const struct command_example approve_examples[] = {
	{"sallyport approval approve a_2f... --as eve --reason 'ticket 4711'",
	 "Let the request be made, once."},
	{NULL, NULL},
};

static const struct command_example link_examples[] = {
	{"sallyport approval link a_2f... --for eve --url https://shop.example/approvals",
	 "A link to send to eve."},
	{NULL, NULL},
};

const struct command cmd_approval_list = {
	.name = "approval list",
	.summary = "list requests that wait for approval",
	.description = "Prints approvals of sensitive operations, one JSON object a line.",
	.options = list_options,
	.examples = list_examples,
	.run = run_list,
};

const struct command cmd_approval_show = {
	.name = "approval show",
	.summary = "show one approval",
	.description = "Prints an approval with its votes as a JSON object.",
	.options = admin_options,
	.operands = id_operand,
	.run = run_show,
};

const struct command cmd_approval_approve = {
	.name = "approval approve",
	.summary = "approve a sensitive request",
	.description =
		"Adds an approval. With enough of them, who asked may make exactly that "
		"request, once, until it expires. Whoever can run this command can read the "
		"store: the name that --as gives is taken on trust, and audited.",
	.options = decide_options,
	.operands = id_operand,
	.examples = approve_examples,
	.run = run_approve,
};

const struct command cmd_approval_deny = {
	.name = "approval deny",
	.summary = "deny a sensitive request",
	.description = "One denial closes it.",
	.options = decide_options,
	.operands = id_operand,
	.run = run_deny,
};

const struct command cmd_approval_link = {
	.name = "approval link",
	.summary = "make a signed link to decide on a request",
	.description =
		"Whoever has the link may approve or deny in the name that --for gives, until "
		"the approval expires. Opening it decides nothing: it shows a page that asks.",
	.options = link_options,
	.operands = id_operand,
	.examples = link_examples,
	.run = run_link,
};
