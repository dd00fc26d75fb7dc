#include "cli/waf_work.h"

const char *const waf_work_formats[] = {"text", "json", NULL};

int waf_work_load_configured(struct waf_work *w, bool check_only, struct err *err)
{
	struct waf_sources sources = {.check_only = check_only, .no_prefilter = !check_only};

	w->cfg = admin_load(w->given, err);
	if (!w->cfg)
		return -1;
	if (!w->cfg->waf)
		return err_set(err, ERR_INVALID, "the configuration has no 'waf'");
	if (patches_load(&w->patches, w->cfg, NULL, err) < 0)
		return -1;
	sources.paths = w->cfg->waf->rules.at;
	sources.path_count = w->cfg->waf->rules.count;
	sources.paranoia = w->cfg->waf->paranoia;
	sources.programs = w->cfg->waf->programs.allow.at;
	sources.program_count = w->cfg->waf->programs.allow.count;
	sources.texts = w->patches.texts;
	sources.text_count = w->patches.text_count;
	w->rules = waf_rules_load(&sources, err);
	return w->rules ? 0 : -1;
}

int waf_work_load(struct waf_work *w, bool check_only, struct err *err)
{
	const char *named = options_text(w->given, "rules");
	struct span one = span_cstr(named);
	struct waf_sources sources = {.check_only = check_only,
				      .no_prefilter = !check_only,
				      .any_program = true,
				      .paths = &one,
				      .path_count = 1,
				      .paranoia =
					      (unsigned)options_number(w->given, "paranoia")};

	if (!named)
		return waf_work_load_configured(w, check_only, err);
	w->rules = waf_rules_load(&sources, err);
	return w->rules ? 0 : -1;
}

enum exit_status waf_work_run(const struct options *given, bool formatted,
			      enum exit_status (*work)(struct waf_work *w, struct err *err))
{
	struct waf_work w = {.given = given};
	struct err err = {.code = ERR_NONE};
	enum exit_status status;

	arena_init(&w.arena, WAF_INPUT_MAX, 65536);
	buf_init(&w.out, OUTPUT_MAX_BYTES);
	w.json = formatted && span_eq(span_cstr(options_text(given, "format")), SPAN("json"));
	status = work(&w, &err);
	if (err.code != ERR_NONE)
		output_error(given, &err);
	if (w.out.len && output_text(&w.out) != EXIT_STATUS_OK)
		status = EXIT_STATUS_FAILED;
	buf_release(&w.out);
	if (w.rules)
		waf_rules_unref(w.rules);
	patches_release(&w.patches);
	config_unref(w.cfg);
	arena_release(&w.arena);
	return status;
}
