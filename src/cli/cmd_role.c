#include "cli/admin_work.h"

static const struct operand_spec name_operand[] = {
	{.name = "NAME", .help = "The name.", .required = true}, {.name = NULL}};

static void print_role(struct admin_work *w, const struct idp_role *role)
{
	struct json_writer out;

	json_writer_init(&out, &w->out);
	role_write(&out, role);
	admin_line(w);
}

static int set(struct admin_work *w, struct err *err)
{
	struct idp_role role = {.includes = {.count = 0}};
	bool given;

	if (role_get(w->idp, admin_operand(w, 0), &w->arena, &role, err) == STORE_FAILED)
		return -1;
	role.name = admin_operand(w, 0);
	if (admin_list(w, "permissions", &role.permissions, &given, err) < 0 ||
	    admin_list(w, "includes", &role.includes, &given, err) < 0 ||
	    admin_result(role_put(w->idp, &role, &w->arena, err), "role", err) < 0)
		return -1;
	idp_audit(w->idp, "role.changed", "role", role.name, NULL, SPAN_NONE);
	print_role(w, &role);
	return 0;
}

static int list(struct admin_work *w, struct err *err)
{
	struct idp_role *roles;
	size_t count;

	if (role_list(w->idp, &w->arena, &roles, &count, err) != STORE_OK)
		return -1;
	for (size_t i = 0; i < count; i++)
		print_role(w, &roles[i]);
	return 0;
}

static int remove_role(struct admin_work *w, struct err *err)
{
	struct idp_role role;

	if (admin_result(role_get(w->idp, admin_operand(w, 0), &w->arena, &role, err), "role",
			 err) < 0 ||
	    admin_result(role_remove(w->idp, role.name, err), "role", err) < 0)
		return -1;
	idp_audit(w->idp, "role.removed", "role", role.name, NULL, SPAN_NONE);
	print_role(w, &role);
	return 0;
}

static int set_group(struct admin_work *w, struct err *err)
{
	struct config_strings roles = {.count = 0};
	struct json_writer out;
	bool given;

	if (admin_list(w, "roles", &roles, &given, err) < 0 ||
	    admin_result(group_put(w->idp, admin_operand(w, 0), &roles, err), "group", err) < 0)
		return -1;
	idp_audit(w->idp, "group.changed", "group", admin_operand(w, 0), NULL, SPAN_NONE);
	json_writer_init(&out, &w->out);
	group_write(&out, admin_operand(w, 0), &roles);
	admin_line(w);
	return 0;
}

static int list_groups(struct admin_work *w, struct err *err)
{
	struct idp_group *groups;
	size_t count;

	if (group_list(w->idp, &w->arena, &groups, &count, err) != STORE_OK)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct json_writer out;

		json_writer_init(&out, &w->out);
		group_write(&out, groups[i].name, &groups[i].roles);
		admin_line(w);
	}
	return 0;
}

static int remove_group(struct admin_work *w, struct err *err)
{
	struct config_strings roles = {.count = 0};
	struct span name = admin_operand(w, 0);
	struct json_writer out;

	if (admin_result(group_get(w->idp, name, &w->arena, &roles, err), "group", err) < 0 ||
	    admin_result(group_remove(w->idp, name, err), "group", err) < 0)
		return -1;
	idp_audit(w->idp, "group.removed", "group", name, NULL, SPAN_NONE);
	json_writer_init(&out, &w->out);
	group_write(&out, name, &roles);
	admin_line(w);
	return 0;
}

static enum exit_status run_group_list(const struct options *given)
{
	return admin_run(given, list_groups);
}

static enum exit_status run_group_remove(const struct options *given)
{
	return admin_run(given, remove_group);
}

static enum exit_status run_set(const struct options *given)
{
	return admin_run(given, set);
}

static enum exit_status run_list(const struct options *given)
{
	return admin_run(given, list);
}

static enum exit_status run_remove(const struct options *given)
{
	return admin_run(given, remove_role);
}

static enum exit_status run_group(const struct options *given)
{
	return admin_run(given, set_group);
}

static const struct option_spec set_options[] = {
	OPTION_CONFIG,
	{.name = "permissions",
	 .kind = OPTION_TEXT,
	 .argument = "LIST",
	 .help = "Permissions such as orders:read or orders:*:7, with commas between."},
	{.name = "includes",
	 .kind = OPTION_TEXT,
	 .argument = "LIST",
	 .help = "Roles whose permissions it has too, with commas between."},
	{.name = NULL}};

static const struct option_spec group_options[] = {
	OPTION_CONFIG,
	{.name = "roles",
	 .kind = OPTION_TEXT,
	 .argument = "LIST",
	 .help = "Roles that its members have, with commas between."},
	{.name = NULL}};

static const struct command_example set_examples[] = {
	{"sallyport role set clerk --permissions orders:read,orders:write --includes reader",
	 "Make or change a role."},
	{NULL, NULL}};

const struct command cmd_role_set = {
	.name = "role set",
	.summary = "make or change a role",
	.description = "Lists replace what was there. New tokens and sessions see the change.",
	.options = set_options,
	.operands = name_operand,
	.examples = set_examples,
	.run = run_set};

const struct command cmd_role_list = {.name = "role list",
				      .summary = "print all roles of the store as JSON",
				      .description = "Prints a JSON object a line.",
				      .options = admin_options,
				      .run = run_list};

const struct command cmd_role_remove = {
	.name = "role remove",
	.summary = "remove a role",
	.description =
		"Users and groups that name it keep the name, which then permits nothing.",
	.options = admin_options,
	.operands = name_operand,
	.run = run_remove};

const struct command cmd_group_set = {.name = "group set",
				      .summary = "make or change a group",
				      .description = "A group gives its members roles.",
				      .options = group_options,
				      .operands = name_operand,
				      .run = run_group};

const struct command cmd_group_list = {.name = "group list",
				       .summary = "print all groups as JSON",
				       .description = "Prints a JSON object a line.",
				       .options = admin_options,
				       .run = run_group_list};

const struct command cmd_group_remove = {
	.name = "group remove",
	.summary = "remove a group",
	.description = "Users that name it keep the name, which then gives no roles.",
	.options = admin_options,
	.operands = name_operand,
	.run = run_group_remove};
