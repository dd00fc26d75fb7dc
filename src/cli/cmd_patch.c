/* patch list, patch check, patch generate */
#include "base/clock.h"
#include "base/mem.h"
#include "cli/input.h"
#include "cli/waf_work.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "waf/patch.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

/* ---- list ------------------------------------------------------------------------------------ */

static void put_words(struct json_writer *json, struct span key, struct span words)
{
	json_key(json, key);
	json_begin_array(json);
	while (words.ptr)
		json_put_string(json, span_cut(&words, ' '));
	json_end_array(json);
}

static void list_templates(struct waf_work *w)
{
	size_t count;
	const struct waf_patch_template *all = waf_patch_templates(&count);
	struct json_writer json;

	json_writer_init(&json, &w->out);
	if (w->json)
		json_begin_array(&json);
	for (size_t i = 0; i < count; i++) {
		if (!w->json) {
			buf_printf(&w->out, "%-26s %s\n%27s%s\n", all[i].name, all[i].title, "",
				   all[i].ids);
			continue;
		}
		json_begin_object(&json);
		json_member_string(&json, SPAN("name"), span_cstr(all[i].name));
		json_member_string(&json, SPAN("title"), span_cstr(all[i].title));
		put_words(&json, SPAN("vulnerabilities"), span_cstr(all[i].ids));
		json_end_object(&json);
	}
	if (w->json) {
		json_end_array(&json);
		buf_append_byte(&w->out, '\n');
	}
}

static struct span joined(struct waf_work *w, const struct config_strings *list)
{
	struct span all = SPAN("");

	for (size_t i = 0; i < list->count; i++)
		all = arena_printf(&w->arena, "%.*s%s%.*s", SPAN_ARG(all), i ? " " : "",
				   SPAN_ARG(list->at[i]));
	return all;
}

static const char *state_of(const struct config_patch *patch)
{
	if (patch_is_expired(patch, clock_unix_ms()))
		return "expired";
	return patch->mode == CONFIG_WAF_MODE_BLOCK ? "block" : "observe";
}

static void list_patch(struct waf_work *w, struct json_writer *json,
		       const struct config_patch *patch)
{
	struct span services = joined(w, &patch->services);
	struct span operations = joined(w, &patch->operations);

	if (!w->json) {
		buf_printf(&w->out, "%-26.*s %-8s %s%-10.*s %.*s%s%.*s (%.*s)\n",
			   SPAN_ARG(patch->name), state_of(patch),
			   patch->expires.len ? "until " : "      ", SPAN_ARG(patch->expires),
			   SPAN_ARG(services.len ? services : SPAN("all services")),
			   operations.len ? " " : "", SPAN_ARG(operations),
			   SPAN_ARG(joined(w, &patch->vulnerabilities)));
		return;
	}
	json_begin_object(json);
	json_member_string(json, SPAN("name"), patch->name);
	json_member_string(json, SPAN("state"), span_cstr(state_of(patch)));
	put_words(json, SPAN("vulnerabilities"), joined(w, &patch->vulnerabilities));
	put_words(json, SPAN("services"), services);
	put_words(json, SPAN("operations"), operations);
	json_member_string(json, SPAN("rules"),
			   patch->rules.len  ? patch->rules
			   : patch->text.len ? patch->text
					     : patch->template);
	if (patch->expires.len)
		json_member_string(json, SPAN("expires"), patch->expires);
	json_end_object(json);
}

static enum exit_status list(struct waf_work *w, struct err *err)
{
	struct json_writer json;

	if (options_flag(w->given, "templates")) {
		list_templates(w);
		return EXIT_STATUS_OK;
	}
	w->cfg = admin_load(w->given, err);
	if (!w->cfg)
		return EXIT_STATUS_USAGE;
	json_writer_init(&json, &w->out);
	if (w->json)
		json_begin_array(&json);
	for (size_t i = 0; i < w->cfg->patches.count; i++)
		list_patch(w, &json, &w->cfg->patches.at[i]);
	if (w->json) {
		json_end_array(&json);
		buf_append_byte(&w->out, '\n');
	}
	return EXIT_STATUS_OK;
}

/* ---- check ----------------------------------------------------------------------------------- */

static bool is_used(const struct config *cfg, const struct config_patch *patch)
{
	for (size_t i = 0; i < cfg->routes.count; i++) {
		const struct config_route *route = &cfg->routes.at[i];

		if (route->waf == CONFIG_WAF_MODE_OFF)
			continue;
		if (patch->services.count == 0)
			return true;
		for (size_t k = 0; route->service && k < patch->services.count; k++)
			if (span_eq(patch->services.at[k], route->service->name))
				return true;
	}
	return false;
}

static enum exit_status check(struct waf_work *w, struct err *err)
{
	enum exit_status status = EXIT_STATUS_OK;

	if (waf_work_load_configured(w, true, err) < 0)
		return EXIT_STATUS_FAILED;
	for (size_t i = 0; i < w->cfg->patches.count; i++) {
		const struct config_patch *patch = &w->cfg->patches.at[i];
		const char *problem = NULL;

		if (patch_is_expired(patch, clock_unix_ms()))
			problem = "it has expired and is off";
		else if (!is_used(w->cfg, patch))
			problem = "no inspected route leads to its services";
		if (!problem)
			continue;
		buf_printf(&w->out, "%s:%u: %.*s: %s\n", patch->where.file, patch->where.line,
			   SPAN_ARG(patch->name), problem);
		status = EXIT_STATUS_FAILED;
	}
	buf_printf(&w->out, "%zu patches, %zu of them in force\n", w->cfg->patches.count,
		   w->patches.text_count);
	return status;
}

/* ---- generate -------------------------------------------------------------------------------- */

struct generation {
	struct waf_work *w;
	const struct waf_patch_template **made; /* no template twice */
	size_t made_count;
	size_t without; /* vulnerabilities that have no template */
};

/* Of what stands in the file only what an id, or a name of a package, may be made of. */
static struct span plain(struct waf_work *w, struct span text)
{
	char *copy = arena_alloc(&w->arena, text.len + 1);

	if (!copy)
		return SPAN("?");
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool good = (c >= '0' && c <= '9') ||
			    (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' ||
			    c == '_' || c == '.' || c == ':' || c == '/' || c == '@' ||
			    c == '+';

		copy[i] = good ? c : '?';
	}
	return span_of(copy, text.len);
}

static const struct waf_patch_template *template_of(const struct json *found)
{
	const struct json *aliases = json_get(found, SPAN("aliases"));
	const struct waf_patch_template *template = NULL;
	struct span id;

	if (json_string(json_get(found, SPAN("id")), &id))
		template = waf_patch_template_find(id);
	for (size_t i = 0;
	     !template && aliases && aliases->type == JSON_ARRAY && i < aliases->array.count;
	     i++)
		if (json_string(json_at(aliases, i), &id))
			template = waf_patch_template_find(id);
	return template;
}

static void put_expiry(struct waf_work *w)
{
	uint64_t days = options_number(w->given, "days");
	char time[CLOCK_RFC3339_SIZE];

	if (days == 0)
		return;
	clock_rfc3339(time, clock_unix_ms() + (int64_t)days * DAY_MS);
	buf_printf(&w->out, "    expires: %.10s\n", time);
}

static void put_patch(struct waf_work *w, const struct waf_patch_template *template,
		      struct span id, const struct json *component)
{
	const char *service = options_text(w->given, "service");
	const char *operation = options_text(w->given, "operation");
	struct span name = SPAN("?"), version = SPAN("");

	json_string(json_get(component, SPAN("name")), &name);
	json_string(json_get(component, SPAN("version")), &version);
	buf_printf(&w->out, "  # %s\n  # found: %.*s in %.*s %.*s\n  %s%s%s:\n",
		   template->title, SPAN_ARG(plain(w, id)), SPAN_ARG(plain(w, name)),
		   SPAN_ARG(plain(w, version)), template->name, service ? "-" : "",
		   service ? service : "");
	buf_append_cstr(&w->out, "    vulnerability: [");
	for (struct span ids = span_cstr(template->ids); ids.ptr;) {
		struct span one = span_cut(&ids, ' ');

		buf_printf(&w->out, "%.*s%s", SPAN_ARG(one), ids.ptr ? ", " : "]\n");
	}
	if (service)
		buf_printf(&w->out, "    service: %s\n", service);
	if (operation)
		buf_printf(&w->out, "    operation: %s\n", operation);
	buf_printf(&w->out, "    template: %s\n    mode: %s\n", template->name,
		   options_text(w->given, "mode"));
	put_expiry(w);
}

static int take(struct generation *g, const struct json *found, struct err *err)
{
	const struct waf_patch_template *template = template_of(found);
	const struct waf_patch_template **grown;
	struct span id = SPAN("?");

	json_string(json_get(found, SPAN("id")), &id);
	if (!template) {
		g->without++;
		return 0;
	}
	for (size_t i = 0; i < g->made_count; i++)
		if (g->made[i] == template)
			return 0;
	grown = mem_realloc(g->made,
			    (g->made_count + 1) * sizeof(const struct waf_patch_template *));
	if (!grown)
		return err_set(err, ERR_MEMORY, "out of memory");
	g->made = grown;
	g->made[g->made_count++] = template;
	put_patch(g->w, template, id, json_get(found, SPAN("component")));
	return 0;
}

static int generate_from(struct generation *g, struct span text, struct err *err)
{
	const struct json *report = json_parse(&g->w->arena, text, NULL, err);
	const struct json *list = report ? json_get(report, SPAN("vulnerabilities")) : NULL;

	if (!report)
		return -1;
	if (!list || list->type != JSON_ARRAY)
		return err_set(err, ERR_SYNTAX,
			       "this is no report of 'sallyport scan --format json'");
	buf_append_cstr(&g->w->out,
			"# Virtual patches from a scan. Read them, put the file into a folder\n"
			"# beside the configuration, and name that there: include: patches/\n"
			"patches:\n");
	for (size_t i = 0; i < list->array.count; i++)
		if (take(g, json_at(list, i), err) < 0)
			return -1;
	buf_printf(&g->w->out, "# %zu vulnerabilities have no template.\n", g->without);
	return 0;
}

static bool is_name(const char *name)
{
	struct span text = span_cstr(name);

	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_lower(text.ptr[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' &&
		    c != '.')
			return false;
	}
	return text.len > 0;
}

static enum exit_status generate(struct waf_work *w, struct err *err)
{
	const char *service = options_text(w->given, "service");
	const char *operation = options_text(w->given, "operation");
	struct generation g = {.w = w};
	enum exit_status status = EXIT_STATUS_USAGE;
	struct buf text;

	if ((service && !is_name(service)) || (operation && !is_name(operation))) {
		err_set(err, ERR_INVALID, "a service or operation has no such name");
		return EXIT_STATUS_USAGE;
	}
	buf_init(&text, WAF_INPUT_MAX);
	if (input_read(options_operand(w->given, 0), &text, err) == 0 &&
	    generate_from(&g, buf_span(&text), err) == 0)
		status = EXIT_STATUS_OK;
	else
		buf_clear(&w->out);
	if (status == EXIT_STATUS_OK && g.made_count == 0) {
		buf_clear(&w->out);
		buf_printf(&w->out, "# %zu vulnerabilities, none of which has a template.\n",
			   g.without);
	}
	mem_free(g.made);
	buf_release(&text);
	return status;
}

/* ---- the commands ---------------------------------------------------------------------------- */

static enum exit_status run_list(const struct options *given)
{
	return waf_work_run(given, true, list);
}

static enum exit_status run_check(const struct options *given)
{
	return waf_work_run(given, false, check);
}

static enum exit_status run_generate(const struct options *given)
{
	return waf_work_run(given, false, generate);
}

static const char *const modes[] = {"observe", "block", NULL};

#define FORMAT_OPTION                                                                          \
	{                                                                                      \
		.name = "format", .kind = OPTION_CHOICE, .argument = "FORM",                   \
		.help = "How to print the result: text or json.", .initial = "text",           \
		.choices = waf_work_formats                                                    \
	}

static const struct option_spec list_options[] = {
	OPTION_CONFIG,
	{.name = "templates", .help = "List the library instead of the configuration's."},
	FORMAT_OPTION,
	{.name = NULL},
};

static const struct option_spec check_options[] = {
	OPTION_CONFIG,
	{.name = NULL},
};

static const struct option_spec generate_options[] = {
	{.name = "service",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "The service that was scanned; without, patches are for all."},
	{.name = "operation",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Only this operation of it."},
	{.name = "mode",
	 .kind = OPTION_CHOICE,
	 .argument = "MODE",
	 .help = "observe or block.",
	 .initial = "block",
	 .choices = modes},
	{.name = "days",
	 .kind = OPTION_NUMBER,
	 .argument = "N",
	 .help = "They expire after so many days: by then the component is to be "
		 "replaced; 0: never.",
	 .initial = "90"},
	{.name = NULL},
};

static const struct operand_spec findings_operand[] = {
	{.name = "FINDINGS",
	 .help = "The report of a scan as JSON; - is standard input.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example list_examples[] = {
	{"sallyport patch list --templates", "Which vulnerabilities have a template?"},
	{NULL, NULL},
};

static const struct command_example generate_examples[] = {
	{"sallyport scan --format json orders/ | sallyport patch generate --service orders "
	 "- "
	 "> patches.yaml",
	 "Patches for what is known to be vulnerable."},
	{NULL, NULL},
};

const struct command cmd_patch_list = {
	.name = "patch list",
	.summary = "print the virtual patches, or the templates that there are",
	.description = "Prints the patches of the configuration with what they protect, where, "
		       "and until when. How often each has matched, the admin listener says "
		       "(GET /patches).",
	.options = list_options,
	.examples = list_examples,
	.run = run_list,
};

const struct command cmd_patch_check = {
	.name = "patch check",
	.summary = "read the rules of all virtual patches",
	.description =
		"What cannot be read is an error with file and line. Patches that have "
		"expired, "
		"or that no inspected route leads to, are told, and the exit status is then 1.",
	.options = check_options,
	.run = run_check,
};

const struct command cmd_patch_generate = {
	.name = "patch generate",
	.summary = "write virtual patches for what a scan has found",
	.description =
		"Reads a report of `sallyport scan --format json` and prints, as YAML for the "
		"configuration, a patch for each vulnerability that has a template. A patch "
		"hides a hole from known requests; it does not close it.",
	.options = generate_options,
	.operands = findings_operand,
	.examples = generate_examples,
	.run = run_generate,
};
