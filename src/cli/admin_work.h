/*
 * admin_work.h - what the commands about users, roles, clients, sessions and keys share: the
 * configuration, the store, and JSON output, one object a line.
 */
#ifndef CLI_ADMIN_WORK_H
#define CLI_ADMIN_WORK_H

#include "cli/command.h"
#include "cli/output.h"
#include "identity/idp_admin.h"

struct audit_log;

struct store_work {
	const struct options *given;
	struct config *cfg;
	struct store *store;
	struct audit_log *audit_log; /* NULL: none is configured */
	struct arena arena;
	struct buf out;
	int64_t now_unix_ms; /* when it began */
};

/*
 * The same with the store alone, for what needs no identity server. `shared`: the shared store, where
 * there is one.
 */
enum exit_status store_work_run(const struct options *given, bool shared,
				int (*work)(struct store_work *w, struct err *err));

struct admin_work {
	const struct options *given;
	struct config *cfg;
	struct idp *idp;
	struct arena arena;
	struct buf out;
	struct audit_log *audit_log; /* NULL: none is configured */
};

/* The configuration that --config names; NULL with its first error. */
struct config *admin_load(const struct options *given, struct err *err) MUST_CHECK;
/* Runs it with the store open, prints what it has put into `out`, or why it failed. */
enum exit_status admin_run(const struct options *given,
			   int (*work)(struct admin_work *w, struct err *err));
/* 0 for STORE_OK; else -1 with *err: `what` is missing, or was changed by somebody else. */
int admin_result(enum store_result result, const char *what, struct err *err) MUST_CHECK;
/* Ends a line of the output. */
void admin_line(struct admin_work *w);
/* An option's comma-separated words; *given is false when it is absent. */
int admin_list(struct admin_work *w, const char *option, struct config_strings *to, bool *given,
	       struct err *err) MUST_CHECK;
/* An option's text; empty when it is absent. */
struct span admin_text(const struct admin_work *w, const char *option);
struct span admin_operand(const struct admin_work *w, size_t n);

extern const struct option_spec admin_options[]; /* only --config */

#endif
