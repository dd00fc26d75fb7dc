#include "cli/admin_work.h"

#include <stdio.h>

#include "base/clock.h"
#include "gateway/audit.h"

const struct option_spec admin_options[] = {OPTION_CONFIG, {.name = NULL}};

struct config *admin_load(const struct options *given, struct err *err)
{
	struct config_problems problems = {0};
	struct config *cfg = NULL;

	if (config_load(options_text(given, "config"), &cfg, &problems) < 0)
		(void)config_problems_to_err(&problems, err);
	if (problems.errors > 1)
		(void)err_wrap(err, "the first of %zu errors (see sallyport check)",
			       problems.errors);
	return cfg;
}

static void on_audit(void *context, const char *event, struct span members)
{
	audit_event(context, event, members);
}

static int open_audit(const struct config *cfg, struct audit_log **log, struct err *err)
{
	if (!cfg->log.audit_path.len)
		return 0;
	*log = audit_open(cfg->log.audit_path.ptr, err);
	return *log ? 0 : -1;
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
	if (open_audit(w->cfg, &w->audit_log, err) < 0)
		return -1;
	if (w->audit_log) {
		options.audit = on_audit;
		options.audit_context = w->audit_log;
	}
	options.config = w->cfg;
	w->idp = idp_open(&options, false, err);
	return w->idp ? 0 : -1;
}

static int open_store(struct store_work *w, bool shared, struct err *err)
{
	struct store_options options = {.connections_max = 1};

	w->cfg = admin_load(w->given, err);
	if (!w->cfg)
		return -1;
	if (shared)
		options.url = secret_span(&w->cfg->store.shared);
	if (options.url.len == 0)
		options.url = secret_span(&w->cfg->store.url);
	if (options.url.len == 0)
		return err_set(err, ERR_INVALID, "the configuration has no 'store'");
	if (open_audit(w->cfg, &w->audit_log, err) < 0)
		return -1;
	w->store = store_open(&options, err);
	return w->store ? 0 : -1;
}

/* Prints what was done, or why it was not. */
static enum exit_status conclude(const struct options *given, int result, struct buf *out,
				 const struct err *err)
{
	if (result == 0)
		return output_text(out);
	output_error(given, err);
	buf_release(out);
	return EXIT_STATUS_FAILED;
}

enum exit_status store_work_run(const struct options *given, bool shared,
				int (*work)(struct store_work *w, struct err *err))
{
	struct store_work w = {.given = given, .now_unix_ms = clock_unix_ms()};
	struct err err = {.code = ERR_NONE};
	enum exit_status status;

	arena_init(&w.arena, OUTPUT_MAX_BYTES, 65536);
	buf_init(&w.out, OUTPUT_MAX_BYTES);
	status = conclude(given, open_store(&w, shared, &err) < 0 ? -1 : work(&w, &err), &w.out,
			  &err);
	store_close(w.store);
	audit_close(w.audit_log);
	arena_release(&w.arena);
	config_unref(w.cfg);
	return status;
}

enum exit_status admin_run(const struct options *given,
			   int (*work)(struct admin_work *w, struct err *err))
{
	struct admin_work w = {.given = given};
	struct err err = {.code = ERR_NONE};
	enum exit_status status;

	arena_init(&w.arena, OUTPUT_MAX_BYTES, 65536);
	buf_init(&w.out, OUTPUT_MAX_BYTES);
	status = conclude(given, open_all(&w, &err) < 0 ? -1 : work(&w, &err), &w.out, &err);
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
