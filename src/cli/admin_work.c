#include "cli/admin_work.h"

#include "gateway/audit.h"

const struct option_spec admin_options[] = {ADMIN_CONFIG_OPTION, {.name = NULL}};

struct config *admin_load(const struct options *given, struct err *err)
{
	struct config_problems problems = {0};
	struct config *cfg = NULL;

	if (config_load(options_text(given, "config"), &cfg, &problems) == 0)
		return cfg;
	err_set(err, ERR_INVALID, "the configuration has errors");
	for (size_t i = 0; i < problems.count; i++) {
		const struct config_problem *problem = &problems.at[i];

		if (problem->severity != CONFIG_ERROR)
			continue;
		err_set(err, ERR_INVALID, "%s:%u: %s", problem->file, problem->line,
			problem->message);
		break;
	}
	return NULL;
}

static void on_audit(void *context, const char *event, struct span members)
{
	audit_event(context, event, members);
}

static int open_all(struct admin_work *w, struct err *err)
{
	struct idp_options options = {.audit = NULL};

	w->cfg = admin_load(w->given, err);
	if (!w->cfg)
		return -1;
	if (!idp_is_wanted(w->cfg))
		return err_set(
			err, ERR_INVALID,
			"the configuration has no identity server: 'identity.issuer' and "
			"'store' are needed");
	if (w->cfg->log.audit_path.len) {
		w->audit_log = audit_open(w->cfg->log.audit_path.ptr, err);
		if (!w->audit_log)
			return -1;
		options.audit = on_audit;
		options.audit_context = w->audit_log;
	}
	options.config = w->cfg;
	w->idp = idp_open(&options, false, err);
	return w->idp ? 0 : -1;
}

enum exit_status admin_run(const struct options *given,
			   int (*work)(struct admin_work *w, struct err *err))
{
	struct admin_work w = {.given = given};
	enum exit_status status = EXIT_STATUS_FAILED;
	struct err err = {.code = ERR_NONE};

	arena_init(&w.arena, OUTPUT_MAX_BYTES, 65536);
	buf_init(&w.out, OUTPUT_MAX_BYTES);
	if (open_all(&w, &err) == 0 && work(&w, &err) == 0) {
		status = output_text(&w.out);
	} else {
		output_error(given, &err);
		buf_release(&w.out);
	}
	idp_close(w.idp);
	audit_close(w.audit_log);
	arena_release(&w.arena);
	config_unref(w.cfg);
	return status;
}

int admin_result(enum store_result result, const char *what, struct err *err)
{
	switch (result) {
	case STORE_OK: return 0;
	case STORE_ABSENT: return err_set(err, ERR_NOT_FOUND, "there is no such %s", what);
	case STORE_CONFLICT:
		return err_set(err, ERR_INVALID,
			       "there is such a %s already, or somebody else has changed it",
			       what);
	case STORE_FAILED: break;
	}
	return -1;
}

void admin_line(struct admin_work *w)
{
	buf_append_byte(&w->out, '\n');
}

int admin_list(struct admin_work *w, const char *option, struct config_strings *to, bool *given,
	       struct err *err)
{
	const char *text = options_text(w->given, option);

	*given = text != NULL;
	if (text && texts_split(span_cstr(text), ',', &w->arena, to) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	return 0;
}

struct span admin_text(const struct admin_work *w, const char *option)
{
	const char *text = options_text(w->given, option);

	return text ? span_cstr(text) : SPAN("");
}

struct span admin_operand(const struct admin_work *w, size_t n)
{
	return span_cstr(options_operand(w->given, n));
}
