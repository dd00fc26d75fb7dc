#include "base/clock.h"
#include "cli/admin_work.h"
#include "gateway/audit.h"
#include "guard/ban_store.h"
#include "guard/ban_who.h"
#include "parse/json_write.h"

static void put_time(struct json_writer *out, struct span key, int64_t unix_ms)
{
	char time[CLOCK_RFC3339_SIZE];

	json_key(out, key);
	if (unix_ms == BAN_FOREVER) {
		json_put_null(out);
		return;
	}
	clock_rfc3339(time, unix_ms);
	json_put_string(out, span_cstr(time));
}

static void put_ban(struct json_writer *out, const struct ban *ban)
{
	json_member_string(out, SPAN("client"), span_cstr(ban->who));
	json_member_string(out, SPAN("kind"), span_cstr(ban_kind_name(ban->kind)));
	put_time(out, SPAN("since"), ban->since_unix_ms);
	put_time(out, SPAN("until"), ban->until_unix_ms);
	json_member_int(out, SPAN("offences"), ban->offences);
}

static void print_ban(void *context, const struct ban *ban)
{
	struct store_work *w = context;
	struct json_writer out;

	if (ban->until_unix_ms <= w->now_unix_ms)
		return;
	json_writer_init(&out, &w->out);
	json_begin_object(&out);
	put_ban(&out, ban);
	json_end_object(&out);
	buf_append_byte(&w->out, '\n');
}

static int list(struct store_work *w, struct err *err)
{
	return ban_store_each(w->store, print_ban, w, err);
}

/* The operand as it is kept. */
static int read_client(const struct store_work *w, struct ban *ban, struct err *err)
{
	struct span text = span_cstr(options_operand(w->given, 0));

	*ban = (struct ban){.kind = BAN_MANUAL, .offences = 1};
	if (!ban_who_parse(text, ban))
		return err_set(err, ERR_INVALID,
			       "\"%.*s\" is no client: expected an address, a network, "
			       "user:PROVIDER/SUBJECT, client:PROVIDER/CLIENT or "
			       "fingerprint:JA4",
			       SPAN_ARG(text));
	return 0;
}

static void audit(struct store_work *w, const char *event, const struct ban *ban, bool whole)
{
	struct buf members;
	struct json_writer out;

	if (!w->audit_log)
		return;
	buf_init(&members, 4096);
	json_writer_init(&out, &members);
	out.need_comma = true;
	if (whole)
		put_ban(&out, ban);
	else
		json_member_string(&out, SPAN("client"), span_cstr(ban->who));
	json_member_string(&out, SPAN("detail"), SPAN("by command"));
	audit_event(w->audit_log, event, buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
}

static int add(struct store_work *w, struct err *err)
{
	uint64_t memory_ms = w->cfg->ips ? w->cfg->ips->memory_ms : 0;
	uint64_t minutes;
	struct ban ban;

	if (read_client(w, &ban, err) < 0)
		return -1;
	minutes = options_number(w->given, "minutes");
	ban.since_unix_ms = w->now_unix_ms;
	ban.until_unix_ms = BAN_FOREVER;
	if (minutes > 0 && minutes < 100000000)
		ban.until_unix_ms = w->now_unix_ms + (int64_t)minutes * 60000;
	if (ban_store_put(w->store, &ban, memory_ms, err) < 0)
		return -1;
	audit(w, "ban.added", &ban, true);
	print_ban(w, &ban);
	return 0;
}

static int lift(struct store_work *w, struct err *err)
{
	struct ban ban;

	if (read_client(w, &ban, err) < 0 ||
	    admin_result(ban_store_remove(w->store, span_cstr(ban.who), err), "ban", err) < 0)
		return -1;
	audit(w, "ban.lifted", &ban, false);
	buf_append_cstr(&w->out, "{\"lifted\":true}\n");
	return 0;
}

static enum exit_status run_list(const struct options *given)
{
	return store_work_run(given, true, list);
}

static enum exit_status run_add(const struct options *given)
{
	return store_work_run(given, true, add);
}

static enum exit_status run_lift(const struct options *given)
{
	return store_work_run(given, true, lift);
}

static const struct option_spec add_options[] = {OPTION_CONFIG,
						 {.name = "minutes",
						  .kind = OPTION_NUMBER,
						  .argument = "N",
						  .help = "How long; 0: until it is lifted.",
						  .initial = "0"},
						 {.name = NULL}};

static const struct operand_spec client_operand[] = {
	{.name = "CLIENT",
	 .help = "An IPv4 address, an IPv6 address (its /64 is meant), a network "
		 "(203.0.113.0/24), user:PROVIDER/SUBJECT, client:PROVIDER/CLIENT, or "
		 "fingerprint:JA4 of a TLS client.",
	 .required = true},
	{.name = NULL}};

const struct command cmd_ban_list = {
	.name = "ban list",
	.summary = "print who is banned as JSON, one a line",
	.description = "Reads the store: bans of a gateway without one are shown by its admin "
		       "listener (GET /bans).",
	.options = admin_options,
	.run = run_list};

const struct command cmd_ban_add = {
	.name = "ban add",
	.summary = "ban a client",
	.description = "Gateways that use the store, and have a section \"ips\" in their "
		       "configuration, heed it within two seconds.",
	.options = add_options,
	.operands = client_operand,
	.run = run_add};

const struct command cmd_ban_lift = {
	.name = "ban lift",
	.summary = "lift the ban of a client",
	.description = "It is also forgotten that the client was banned: its next ban is as "
		       "short as a first one.",
	.options = admin_options,
	.operands = client_operand,
	.run = run_lift};
