#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/span.h"

/* One a line, in the order of the help. */
/* clang-format off */
const struct command *const commands[] = {
	&cmd_serve,
	&cmd_status,
	&cmd_check,
	&cmd_threats,
	&cmd_contract_check,
	&cmd_contract_learn,
	&cmd_contract_test,
	&cmd_scan,
	&cmd_iast,
	&cmd_lsp,
	&cmd_policy_test,
	&cmd_policy_check,
	&cmd_policy_schema,
	&cmd_waiver_create,
	&cmd_waiver_sign,
	&cmd_waiver_verify,
	&cmd_waiver_list,
	&cmd_waiver_key,
	&cmd_db_update,
	&cmd_db_import,
	&cmd_db_info,
	&cmd_registry_approve,
	&cmd_registry_deny,
	&cmd_registry_forget,
	&cmd_registry_list,
	&cmd_registry_check,
	&cmd_audit_verify,
	&cmd_run_check,
	&cmd_run_start,
	&cmd_run_resume,
	&cmd_run_show,
	&cmd_run_log,
	&cmd_backup_create,
	&cmd_backup_list,
	&cmd_backup_verify,
	&cmd_backup_restore,
	&cmd_ban_list,
	&cmd_ban_add,
	&cmd_ban_lift,
	&cmd_approval_list,
	&cmd_approval_show,
	&cmd_approval_approve,
	&cmd_approval_deny,
	&cmd_approval_link,
	&cmd_webhook_list,
	&cmd_webhook_show,
	&cmd_webhook_retry,
	&cmd_webhook_discard,
	&cmd_webhook_test,
	&cmd_user_create,
	&cmd_user_set,
	&cmd_user_show,
	&cmd_user_list,
	&cmd_user_password,
	&cmd_user_unlock,
	&cmd_user_remove,
	&cmd_user_import,
	&cmd_user_export,
	&cmd_role_set,
	&cmd_role_list,
	&cmd_role_remove,
	&cmd_group_set,
	&cmd_group_list,
	&cmd_group_remove,
	&cmd_client_create,
	&cmd_client_set,
	&cmd_client_list,
	&cmd_client_show,
	&cmd_client_secret,
	&cmd_client_remove,
	&cmd_session_list,
	&cmd_session_end,
	&cmd_key_list,
	&cmd_key_rotate,
	&cmd_mail_test,
	&cmd_sbom,
	&cmd_waf_check,
	&cmd_waf_explain,
	&cmd_waf_tune,
	&cmd_patch_list,
	&cmd_patch_check,
	&cmd_patch_generate,
	&cmd_schema,
	&cmd_help,
	&cmd_version,
	&cmd_man,
	&cmd_completion,
	NULL,
};
/* clang-format on */

/* How many arguments the name takes when argv starts with it, else 0. */
static int words_matched(const struct command *command, int argc, const char *const *argv)
{
	struct span rest = span_cstr(command->name);
	int words = 0;

	while (rest.ptr) {
		struct span word = span_cut(&rest, ' ');

		if (words >= argc || !span_eq(word, span_cstr(argv[words])))
			return 0;
		words++;
	}
	return words;
}

bool command_in_group(const struct command *command, const char *word)
{
	struct span rest = span_cstr(command->name);
	struct span first = span_cut(&rest, ' ');

	return rest.ptr && span_eq(first, span_cstr(word));
}

bool command_is_group(const char *word)
{
	for (size_t i = 0; commands[i]; i++) {
		if (command_in_group(commands[i], word))
			return true;
	}
	return false;
}

static void unknown(const char *given, struct err *err)
{
	const char *names[COUNT_OF(commands)] = {NULL};
	const char *nearest;

	for (size_t i = 0; commands[i]; i++)
		names[i] = commands[i]->name;
	nearest = options_nearest(given, names);
	if (nearest)
		(void)err_set(err, ERR_INVALID, "unknown command \"%s\"; did you mean \"%s\"?",
			      given, nearest);
	else
		(void)err_set(err, ERR_INVALID, "unknown command \"%s\"", given);
}

/* Of a group, which is no command by itself. */
static void incomplete(const char *group, struct err *err)
{
	char words[256] = "";
	size_t used = 0;

	for (size_t i = 0; commands[i]; i++) {
		if (command_in_group(commands[i], group) && used < sizeof(words))
			used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s",
						 used ? ", " : "",
						 commands[i]->name + strlen(group) + 1);
	}
	(void)err_set(err, ERR_INVALID, "\"%s\" needs one more word, of: %s", group, words);
}

const struct command *command_find(int argc, const char *const *argv, int *words,
				   struct err *err)
{
	char given[130];

	for (size_t i = 0; commands[i]; i++) {
		*words = words_matched(commands[i], argc, argv);
		if (*words > 0)
			return commands[i];
	}
	snprintf(given, sizeof(given), "%.64s", argv[0]);
	if (argc > 1 && argv[1][0] != '-' && command_is_group(argv[0]))
		snprintf(given, sizeof(given), "%.64s %.64s", argv[0], argv[1]);
	else if (command_is_group(argv[0])) {
		incomplete(argv[0], err);
		return NULL;
	}
	unknown(given, err);
	return NULL;
}
