#include "cli/admin_work.h"
#include "gateway/audit.h"
#include "guard/webhook.h"
#include "parse/json_write.h"

static const char *const states[] = {"pending", "delivered", "dead", NULL};

static const struct operand_spec id_operand[] = {
	{.name = "ID", .help = "The delivery, as the list shows it.", .required = true},
	{.name = NULL},
};

static void print(struct store_work *w, const struct webhook_delivery *delivery)
{
	webhook_write(delivery, &w->out);
	buf_append_byte(&w->out, '\n');
}

static void audit(struct store_work *w, const char *event, struct span id)
{
	struct json_writer members;
	struct buf text;

	if (!w->audit_log)
		return;
	buf_init(&text, 4096);
	json_writer_init(&members, &text);
	members.need_comma = true;
	json_member_string(&members, SPAN("delivery"), id);
	json_member_string(&members, SPAN("through"), SPAN("command line"));
	audit_event(w->audit_log, event, buf_failed(&text) ? SPAN_NONE : buf_span(&text));
	buf_release(&text);
}

static struct span operand(const struct store_work *w)
{
	return span_cstr(options_operand(w->given, 0));
}

static int list(struct store_work *w, struct err *err)
{
	enum webhook_state state = WEBHOOK_DEAD;
	struct webhook_list page = {.more = true};
	struct span after = SPAN("");

	if (!webhook_state_parse(span_cstr(options_text(w->given, "state")), &state))
		return err_set(err, ERR_INVALID, "there is no such state");
	while (page.more) {
		if (webhook_list(w->store, state, after, 100, &w->arena, &page, err) < 0)
			return -1;
		for (size_t i = 0; i < page.count; i++)
			print(w, &page.at[i]);
		if (page.count)
			after = page.at[page.count - 1].id;
	}
	return 0;
}

static int show(struct store_work *w, struct err *err)
{
	struct webhook_delivery delivery;

	if (admin_result(webhook_get(w->store, operand(w), &w->arena, &delivery, err),
			 "delivery", err) < 0)
		return -1;
	print(w, &delivery);
	return 0;
}

static int retry(struct store_work *w, struct err *err)
{
	struct webhook_delivery delivery;

	if (admin_result(webhook_retry(w->store, operand(w), w->now_unix_ms, &w->arena,
				       &delivery, err),
			 "delivery that has not arrived", err) < 0)
		return -1;
	audit(w, "webhook.retried", delivery.id);
	print(w, &delivery);
	return 0;
}

static int discard(struct store_work *w, struct err *err)
{
	if (admin_result(webhook_discard(w->store, operand(w), &w->arena, err), "delivery",
			 err) < 0)
		return -1;
	audit(w, "webhook.discarded", operand(w));
	return 0;
}

static int test(struct store_work *w, struct err *err)
{
	struct span hook = operand(w);
	char id[WEBHOOK_ID_BYTES];

	for (size_t i = 0; i < w->cfg->webhooks.count; i++) {
		if (!span_eq(w->cfg->webhooks.at[i].name, hook))
			continue;
		if (webhook_put(w->store, hook, SPAN("test"), SPAN("{\"test\":true}"),
				w->now_unix_ms, id, err) < 0)
			return -1;
		buf_printf(&w->out, "%.*s\n", WEBHOOK_ID_BYTES, id);
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "the configuration has no webhook '%.*s'",
		       SPAN_ARG(hook));
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

static enum exit_status run_retry(const struct options *given)
{
	return store_work_run(given, false, retry);
}

static enum exit_status run_discard(const struct options *given)
{
	return store_work_run(given, false, discard);
}

static enum exit_status run_test(const struct options *given)
{
	return store_work_run(given, false, test);
}

static const struct option_spec list_options[] = {
	OPTION_CONFIG,
	{.name = "state",
	 .kind = OPTION_CHOICE,
	 .argument = "STATE",
	 .help = "Which ones: pending, delivered (of the last day) or dead.",
	 .initial = "dead",
	 .choices = states},
	{.name = NULL},
};

static const struct command_example list_examples[] = {
	{"sallyport webhook list", "What has been given up."},
	{"sallyport webhook list --state pending", "What waits to be sent."},
	{NULL, NULL},
};

static const struct command_example retry_examples[] = {
	{"sallyport webhook retry wh_01932f6c2a7b4f1e0c9d8a3b5e6f",
	 "A running server sends it within seconds."},
	{NULL, NULL},
};

static const struct operand_spec hook_operand[] = {
	{.name = "NAME", .help = "A webhook of the configuration.", .required = true},
	{.name = NULL},
};

const struct command cmd_webhook_list = {
	.name = "webhook list",
	.summary = "list events for other systems",
	.description =
		"Prints deliveries of webhooks, one JSON object a line: the dead letters "
		"unless another state is asked for.",
	.options = list_options,
	.examples = list_examples,
	.run = run_list,
};

const struct command cmd_webhook_show = {
	.name = "webhook show",
	.summary = "show one delivery",
	.description = "Prints a delivery with its body and its last problem.",
	.options = admin_options,
	.operands = id_operand,
	.run = run_show,
};

const struct command cmd_webhook_retry = {
	.name = "webhook retry",
	.summary = "send a dead letter again",
	.description =
		"A delivery that is dead, or waits, is due at once, and as young as a new "
		"one. It keeps its id, by which whoever receives it tells repetitions.",
	.options = admin_options,
	.operands = id_operand,
	.examples = retry_examples,
	.run = run_retry,
};

const struct command cmd_webhook_discard = {
	.name = "webhook discard",
	.summary = "remove a delivery",
	.description = "It is not sent any more.",
	.options = admin_options,
	.operands = id_operand,
	.run = run_discard,
};

const struct command cmd_webhook_test = {
	.name = "webhook test",
	.summary = "queue a test event",
	.description =
		"Queues an event of type \"test\" for a webhook and prints its id; a running "
		"server sends it.",
	.options = admin_options,
	.operands = hook_operand,
	.run = run_test,
};
