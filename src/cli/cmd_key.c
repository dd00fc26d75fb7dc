#include "cli/admin_work.h"

static int list(struct admin_work *w, struct err *err)
{
	return signing_list(w->idp, &w->out, err) == STORE_OK ? 0 : -1;
}

static int rotate(struct admin_work *w, struct err *err)
{
	if (signing_rotate(w->idp, w->cfg, err) != STORE_OK)
		return -1;
	return list(w, err);
}

static enum exit_status run_list(const struct options *given)
{
	return admin_run(given, list);
}

static enum exit_status run_rotate(const struct options *given)
{
	return admin_run(given, rotate);
}

const struct command cmd_key_list = {.name = "key list",
				     .summary = "print the keys that sign tokens, one a line",
				     .description = "JSON, newest first; no private parts.",
				     .options = admin_options,
				     .run = run_list};

const struct command cmd_key_rotate = {
	.name = "key rotate",
	.summary = "make a new key for signing tokens now",
	.description = "It is published at once and signs after ten minutes; older keys stay "
		       "valid for what they have signed.",
	.options = admin_options,
	.run = run_rotate};
