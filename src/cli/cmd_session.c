#include "cli/admin_work.h"

static void print_session(struct admin_work *w, const struct idp_session *session)
{
	struct json_writer out;

	json_writer_init(&out, &w->out);
	json_begin_object(&out);
	json_member_string(&out, SPAN("id"), session->id);
	json_member_string(&out, SPAN("user"), session->user);
	json_member_string(&out, SPAN("address"), session->address);
	json_member_string(&out, SPAN("agent"), session->agent);
	json_member_int(&out, SPAN("created"), session->created_unix_s);
	json_member_int(&out, SPAN("seen"), session->seen_unix_s);
	json_member_int(&out, SPAN("expires"), session->expires_unix_s);
	json_end_object(&out);
	admin_line(w);
}

static int list(struct admin_work *w, struct err *err)
{
	struct idp_session *sessions;
	struct span user = SPAN("");
	struct idp_user found;
	size_t count;

	if (options_text(w->given, "user")) {
		if (admin_result(
			    user_find(w->idp, admin_text(w, "user"), &w->arena, &found, err),
			    "user", err) < 0)
			return -1;
		user = found.id;
	}
	if (session_list(w->idp, user, &w->arena, &sessions, &count, err) != STORE_OK)
		return -1;
	for (size_t i = 0; i < count; i++)
		print_session(w, &sessions[i]);
	return 0;
}

static int end(struct admin_work *w, struct err *err)
{
	if (admin_result(session_end(w->idp, admin_operand(w, 0), err), "session", err) < 0)
		return -1;
	idp_audit(w->idp, "session.ended", "session", admin_operand(w, 0), NULL, SPAN_NONE);
	buf_append_cstr(&w->out, "{\"ended\":true}\n");
	return 0;
}

static enum exit_status run_list(const struct options *given)
{
	return admin_run(given, list);
}

static enum exit_status run_end(const struct options *given)
{
	return admin_run(given, end);
}

static const struct option_spec list_options[] = {
	OPTION_CONFIG,
	{.name = "user", .kind = OPTION_TEXT, .argument = "NAME", .help = "Only this user's."},
	{.name = NULL}};

static const struct operand_spec id_operand[] = {
	{.name = "ID", .help = "The id that \"session list\" shows.", .required = true},
	{.name = NULL}};

const struct command cmd_session_list = {
	.name = "session list",
	.summary = "print sessions as JSON, one a line",
	.description = "At most 1000. The ids open nothing: they are hashes of the cookies.",
	.options = list_options,
	.run = run_list};

const struct command cmd_session_end = {
	.name = "session end",
	.summary = "end a session",
	.description =
		"Tokens that were given out in it are revoked; every replica knows within "
		"a second.",
	.options = admin_options,
	.operands = id_operand,
	.run = run_end};
