#include "cli/admin_work.h"

#define PAGE 200

static const struct operand_spec name_operand[] = {
	{.name = "NAME", .help = "The name that the user logs in with.", .required = true},
	{.name = NULL},
};

static int find(struct admin_work *w, struct idp_user *user, struct err *err)
{
	return admin_result(user_find(w->idp, admin_operand(w, 0), &w->arena, user, err),
			    "user", err);
}

static void print_user(struct admin_work *w, const struct idp_user *user, bool secrets)
{
	struct json_writer out;

	json_writer_init(&out, &w->out);
	user_write(&out, user, secrets);
	admin_line(w);
}

/* ---- create, set ---- */

static int apply(struct admin_work *w, struct idp_user *user, struct err *err)
{
	bool given;

	if (admin_list(w, "roles", &user->roles, &given, err) < 0 ||
	    admin_list(w, "groups", &user->groups, &given, err) < 0 ||
	    admin_list(w, "permissions", &user->permissions, &given, err) < 0)
		return -1;
	if (options_text(w->given, "email")) {
		user->email = admin_text(w, "email");
		user->email_verified = false;
	}
	if (options_flag(w->given, "email-verified"))
		user->email_verified = true;
	if (options_text(w->given, "phone"))
		user->phone = admin_text(w, "phone");
	if (options_text(w->given, "display"))
		user->display = admin_text(w, "display");
	return 0;
}

static void print_once(struct admin_work *w, const struct idp_user *user, struct span password)
{
	struct json_writer out;

	json_writer_init(&out, &w->out);
	json_begin_object(&out);
	json_member_string(&out, SPAN("id"), user->id);
	json_member_string(&out, SPAN("name"), user->name);
	json_member_string(&out, SPAN("one_time_password"), password);
	json_end_object(&out);
	admin_line(w);
}

static int create(struct admin_work *w, struct err *err)
{
	struct idp_user user = {.version = 0};
	struct span password;

	user.name = user_name_normal(admin_operand(w, 0), &w->arena);
	if (!user.name.ptr)
		return err_set(err, ERR_INVALID, "this cannot be the name of a user");
	if (apply(w, &user, err) < 0)
		return -1;
	if (admin_result(user_reset_password(w->idp, w->cfg, &user, &w->arena, &password, err),
			 "user", err) < 0)
		return -1;
	idp_audit(w->idp, "user.created", "user", user.id, "name", user.name);
	print_once(w, &user, password);
	return 0;
}

static int set(struct admin_work *w, struct err *err)
{
	struct idp_user user;

	if (find(w, &user, err) < 0 || apply(w, &user, err) < 0)
		return -1;
	if (options_flag(w->given, "disable") && options_flag(w->given, "enable"))
		return err_set(err, ERR_INVALID, "either --disable or --enable");
	if (options_flag(w->given, "disable"))
		user.disabled = true;
	if (options_flag(w->given, "enable"))
		user.disabled = false;
	if (options_flag(w->given, "no-totp")) {
		user.totp = SPAN("");
		user.recovery.count = 0;
	}
	if (options_flag(w->given, "no-passkeys"))
		user.passkey_count = 0;
	if (options_flag(w->given, "no-codes"))
		user.channels.count = 0;
	if (admin_result(user_put(w->idp, &user, &w->arena, err), "user", err) < 0)
		return -1;
	/* What the user may do has changed: it must not wait for the end of sessions. */
	if (admin_result(session_end_all(w->idp, user.id, SPAN_NONE, &w->arena, err), "session",
			 err) < 0)
		return -1;
	idp_audit(w->idp, "user.changed", "user", user.id, "name", user.name);
	print_user(w, &user, false);
	return 0;
}

static enum exit_status run_create(const struct options *given)
{
	return admin_run(given, create);
}

static enum exit_status run_set(const struct options *given)
{
	return admin_run(given, set);
}

#define USER_OPTIONS                                                                           \
	{.name = "roles",                                                                      \
	 .kind = OPTION_TEXT,                                                                  \
	 .argument = "LIST",                                                                   \
	 .help = "Roles, with commas between."},                                               \
		{.name = "groups",                                                             \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "LIST",                                                           \
		 .help = "Groups, with commas between."},                                      \
		{.name = "permissions",                                                        \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "LIST",                                                           \
		 .help = "Permissions such as orders:read, with commas between."},             \
		{.name = "email",                                                              \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "ADDRESS",                                                        \
		 .help = "E-mail address."},                                                   \
		{.name = "email-verified", .help = "The address is known to be the user's."},  \
		{.name = "phone",                                                              \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "NUMBER",                                                         \
		 .help = "Phone number, with + and the country."},                             \
	{                                                                                      \
		.name = "display", .kind = OPTION_TEXT, .argument = "NAME",                    \
		.help = "Name for people."                                                     \
	}

static const struct option_spec create_options[] = {
	OPTION_CONFIG, USER_OPTIONS, {.name = NULL}};

static const struct option_spec set_options[] = {
	OPTION_CONFIG,
	USER_OPTIONS,
	{.name = "disable", .help = "The user cannot log in any more."},
	{.name = "enable", .help = "The user can log in again."},
	{.name = "no-totp", .help = "Remove the authenticator app and its recovery codes."},
	{.name = "no-passkeys", .help = "Remove all passkeys."},
	{.name = "no-codes", .help = "No codes by mail or SMS any more."},
	{.name = NULL}};

static const struct command_example create_examples[] = {
	{"sallyport user create alice --roles clerk --email alice@example.test",
	 "Make a user, and print a password that is used once."},
	{NULL, NULL},
};

const struct command cmd_user_create = {
	.name = "user create",
	.summary = "make a user with a one-time password",
	.description = "Prints a JSON object with the user's id and a password that must be "
		       "changed at the first login. It is not kept anywhere else.",
	.options = create_options,
	.operands = name_operand,
	.examples = create_examples,
	.run = run_create,
};

const struct command cmd_user_set = {
	.name = "user set",
	.summary = "change a user and end all sessions of the user",
	.description = "Lists replace what was there. All sessions of the user end, and tokens "
		       "that were given out in them are revoked.",
	.options = set_options,
	.operands = name_operand,
	.run = run_set,
};

/* ---- show, list, export ---- */

static int show(struct admin_work *w, struct err *err)
{
	struct idp_user user;

	if (find(w, &user, err) < 0)
		return -1;
	print_user(w, &user, false);
	return 0;
}

static int print_all(struct admin_work *w, bool secrets, struct err *err)
{
	struct span after = SPAN_NONE;
	struct idp_user *users;
	size_t count;
	bool more;

	do {
		if (user_list(w->idp, after, PAGE, &w->arena, &users, &count, &more, err) !=
		    STORE_OK)
			return -1;
		for (size_t i = 0; i < count; i++)
			print_user(w, &users[i], secrets);
		if (count)
			after = users[count - 1].id;
	} while (more);
	return 0;
}

static int list(struct admin_work *w, struct err *err)
{
	return print_all(w, false, err);
}

static int export_all(struct admin_work *w, struct err *err)
{
	idp_audit(w->idp, "user.exported", NULL, SPAN_NONE, NULL, SPAN_NONE);
	return print_all(w, options_flag(w->given, "secrets"), err);
}

static enum exit_status run_show(const struct options *given)
{
	return admin_run(given, show);
}

static enum exit_status run_list(const struct options *given)
{
	return admin_run(given, list);
}

static enum exit_status run_export(const struct options *given)
{
	return admin_run(given, export_all);
}

const struct command cmd_user_show = {.name = "user show",
				      .summary = "print a user as JSON",
				      .description = "Prints one JSON object.",
				      .options = admin_options,
				      .operands = name_operand,
				      .run = run_show};

const struct command cmd_user_list = {
	.name = "user list",
	.summary = "print all users as JSON, one a line",
	.description = "Prints a JSON object a line, in the order of ids.",
	.options = admin_options,
	.run = run_list};

static const struct option_spec export_options[] = {
	OPTION_CONFIG,
	{.name = "secrets",
	 .help = "With the hashes of passwords, and what is sealed of second factors."},
	{.name = NULL}};

const struct command cmd_user_export = {
	.name = "user export",
	.summary = "print all users for another store",
	.description =
		"Prints a JSON object a line, which \"user import\" reads. With --secrets "
		"keep the output as safe as the store.",
	.options = export_options,
	.run = run_export};

/* ---- import ---- */

static int import_line(struct admin_work *w, struct span line, bool *made, struct err *err)
{
	const struct json *object = json_parse(&w->arena, line, NULL, err);

	return object ? admin_result(user_import(w->idp, object, &w->arena, made, err), "user",
				     err)
		      : -1;
}

static int import(struct admin_work *w, struct err *err)
{
	size_t created = 0, changed = 0, number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int result = 0;

	while (result == 0 && (len = getline(&line, &size, stdin)) > 0) {
		struct span text = span_trim(span_of(line, (size_t)len));
		bool made;

		number++;
		if (text.len && text.ptr[text.len - 1] == '\n')
			text.len--;
		text = arena_dup(&w->arena, span_trim(text));
		if (!text.ptr)
			result = err_set(err, ERR_MEMORY, "out of memory");
		else if (text.len && import_line(w, text, &made, err) < 0)
			result = err_wrap(err, "line %zu", number);
		else if (text.len && made)
			created++;
		else if (text.len)
			changed++;
	}
	if (line)
		secret_wipe(line, size);
	free(line);
	if (result < 0)
		return result;
	idp_audit(w->idp, "user.imported", NULL, SPAN_NONE, NULL, SPAN_NONE);
	buf_printf(&w->out, "{\"created\":%zu,\"changed\":%zu}\n", created, changed);
	return 0;
}

static enum exit_status run_import(const struct options *given)
{
	return admin_run(given, import);
}

const struct command cmd_user_import = {
	.name = "user import",
	.summary = "read users from standard input, one JSON object a line",
	.description =
		"Users are told apart by name: who is there already is changed. Stops at "
		"the first line that is wrong, and names it; lines before it have been "
		"taken.",
	.options = admin_options,
	.run = run_import};

/* ---- password, unlock, remove ---- */

static int reset_password(struct admin_work *w, struct err *err)
{
	struct idp_user user;
	struct span password;

	if (find(w, &user, err) < 0 ||
	    admin_result(user_reset_password(w->idp, w->cfg, &user, &w->arena, &password, err),
			 "user", err) < 0 ||
	    admin_result(session_end_all(w->idp, user.id, SPAN_NONE, &w->arena, err), "session",
			 err) < 0)
		return -1;
	idp_audit(w->idp, "user.password_reset", "user", user.id, "name", user.name);
	print_once(w, &user, password);
	return 0;
}

static int unlock(struct admin_work *w, struct err *err)
{
	struct idp_user user;

	if (find(w, &user, err) < 0 || user_unlock(w->idp, &user, &w->arena, err) != STORE_OK)
		return -1;
	idp_audit(w->idp, "user.unlocked", "user", user.id, "name", user.name);
	print_user(w, &user, false);
	return 0;
}

static int remove_user(struct admin_work *w, struct err *err)
{
	struct idp_user user;

	if (find(w, &user, err) < 0 ||
	    admin_result(user_remove(w->idp, &user, &w->arena, err), "user", err) < 0)
		return -1;
	idp_audit(w->idp, "user.removed", "user", user.id, "name", user.name);
	print_user(w, &user, false);
	return 0;
}

static enum exit_status run_password(const struct options *given)
{
	return admin_run(given, reset_password);
}

static enum exit_status run_unlock(const struct options *given)
{
	return admin_run(given, unlock);
}

static enum exit_status run_remove(const struct options *given)
{
	return admin_run(given, remove_user);
}

const struct command cmd_user_password = {
	.name = "user password",
	.summary = "give a user a new one-time password and end all sessions",
	.description = "Prints a JSON object with a password that must be changed at the next "
		       "login.",
	.options = admin_options,
	.operands = name_operand,
	.run = run_password};

const struct command cmd_user_unlock = {
	.name = "user unlock",
	.summary = "forget failed logins of a user",
	.description = "The waits after failed passwords and one-time codes end at once.",
	.options = admin_options,
	.operands = name_operand,
	.run = run_unlock};

const struct command cmd_user_remove = {.name = "user remove",
					.summary = "remove a user, with all sessions",
					.description = "Prints what the user was, as JSON.",
					.options = admin_options,
					.operands = name_operand,
					.run = run_remove};
