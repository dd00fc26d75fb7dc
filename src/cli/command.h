/* command.h - the commands that there are, a file each: cmd_NAME.c. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/options.h"

extern const struct command cmd_approval_list;
extern const struct command cmd_approval_show;
extern const struct command cmd_approval_approve;
extern const struct command cmd_approval_deny;
extern const struct command cmd_approval_link;
extern const struct command cmd_audit_verify;
extern const struct command cmd_backup_create;
extern const struct command cmd_backup_list;
extern const struct command cmd_backup_restore;
extern const struct command cmd_backup_verify;
extern const struct command cmd_ban_add;
extern const struct command cmd_ban_lift;
extern const struct command cmd_ban_list;
extern const struct command cmd_check;
extern const struct command cmd_completion;
extern const struct command cmd_contract_check;
extern const struct command cmd_contract_learn;
extern const struct command cmd_contract_test;
extern const struct command cmd_db_import;
extern const struct command cmd_db_info;
extern const struct command cmd_db_update;
extern const struct command cmd_help;
extern const struct command cmd_lsp;
extern const struct command cmd_man;
extern const struct command cmd_run_check;
extern const struct command cmd_run_log;
extern const struct command cmd_run_resume;
extern const struct command cmd_run_show;
extern const struct command cmd_run_start;
extern const struct command cmd_sbom;
extern const struct command cmd_policy_check;
extern const struct command cmd_policy_schema;
extern const struct command cmd_policy_test;
extern const struct command cmd_scan;
extern const struct command cmd_schema;
extern const struct command cmd_serve;
extern const struct command cmd_status;
extern const struct command cmd_user_create;
extern const struct command cmd_user_set;
extern const struct command cmd_user_show;
extern const struct command cmd_user_list;
extern const struct command cmd_user_password;
extern const struct command cmd_user_unlock;
extern const struct command cmd_user_remove;
extern const struct command cmd_user_import;
extern const struct command cmd_user_export;
extern const struct command cmd_registry_approve;
extern const struct command cmd_registry_check;
extern const struct command cmd_registry_deny;
extern const struct command cmd_registry_forget;
extern const struct command cmd_registry_list;
extern const struct command cmd_role_set;
extern const struct command cmd_role_list;
extern const struct command cmd_role_remove;
extern const struct command cmd_group_list;
extern const struct command cmd_group_remove;
extern const struct command cmd_group_set;
extern const struct command cmd_client_create;
extern const struct command cmd_client_set;
extern const struct command cmd_client_list;
extern const struct command cmd_client_show;
extern const struct command cmd_client_secret;
extern const struct command cmd_client_remove;
extern const struct command cmd_session_list;
extern const struct command cmd_session_end;
extern const struct command cmd_iast;
extern const struct command cmd_key_list;
extern const struct command cmd_key_rotate;
extern const struct command cmd_mail_test;
extern const struct command cmd_threats;
extern const struct command cmd_version;
extern const struct command cmd_waf_check;
extern const struct command cmd_waiver_create;
extern const struct command cmd_waiver_key;
extern const struct command cmd_waiver_list;
extern const struct command cmd_waiver_sign;
extern const struct command cmd_waiver_verify;
extern const struct command cmd_waf_explain;
extern const struct command cmd_patch_list;
extern const struct command cmd_patch_check;
extern const struct command cmd_patch_generate;
extern const struct command cmd_waf_tune;
extern const struct command cmd_webhook_list;
extern const struct command cmd_webhook_show;
extern const struct command cmd_webhook_retry;
extern const struct command cmd_webhook_discard;
extern const struct command cmd_webhook_test;

/* All of them, in the order in which the help lists them; NULL ends. */
extern const struct command *const commands[];

/*
 * The command whose name `argv` starts with, and in *words how many arguments its name takes; NULL
 * with a message fit for the user (ERR_INVALID), with the nearest name, when there is none.
 */
const struct command *command_find(int argc, const char *const *argv, int *words,
				   struct err *err);

/* Whether `word` is what the names of several commands begin with, as "waf" of "waf check". */
bool command_is_group(const char *word);
/* Whether `command` is one of those of the group `word`. */
bool command_in_group(const struct command *command, const char *word);

#endif
