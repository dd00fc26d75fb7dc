/* waf check, waf tune */
#include <stdlib.h>

#include "base/mem.h"
#include "cli/input.h"
#include "cli/waf_work.h"
#include "parse/json.h"
#include "parse/json_write.h"

/* ---- check ----------------------------------------------------------------------------------- */

static enum exit_status check(struct waf_work *w, struct err *err)
{
	struct waf_rules_info info;
	struct json_writer json;
	struct span ignored;

	if (waf_work_load(w, true, err) < 0)
		return EXIT_STATUS_FAILED;
	waf_rules_info(w->rules, &info);
	if (w->json) {
		json_writer_init(&json, &w->out);
		json_begin_object(&json);
		json_member_int(&json, SPAN("files"), (int64_t)info.files);
		json_member_int(&json, SPAN("rules"), (int64_t)info.rules);
		json_member_int(&json, SPAN("active"), (int64_t)info.active);
		json_key(&json, SPAN("ignored"));
		json_begin_array(&json);
		for (size_t i = 0; (ignored = waf_rules_ignored(w->rules, i)).ptr; i++)
			json_put_string(&json, ignored);
		json_end_array(&json);
		json_end_object(&json);
		buf_append_byte(&w->out, '\n');
		return EXIT_STATUS_OK;
	}
	buf_printf(&w->out, "%zu files, %zu rules, %zu of them active\n", info.files,
		   info.rules, info.active);
	for (size_t i = 0; (ignored = waf_rules_ignored(w->rules, i)).ptr; i++)
		buf_printf(&w->out, "ignored: %.*s\n", SPAN_ARG(ignored));
	return EXIT_STATUS_OK;
}

/* ---- tune ------------------------------------------------------------------------------------ */

struct proposal {
	struct span exclusion;
	struct span message;
	uint64_t count;
	uint64_t blocked;
};

struct tuning {
	struct waf_work *w;
	struct proposal *at;
	size_t count;
	size_t capacity;
	uint64_t records;
	uint64_t unreadable;
};

static struct proposal *proposal_for(struct tuning *tuning, struct span exclusion)
{
	struct proposal *grown;

	for (size_t i = 0; i < tuning->count; i++)
		if (span_eq(tuning->at[i].exclusion, exclusion))
			return &tuning->at[i];
	if (tuning->count == tuning->capacity) {
		size_t capacity = tuning->capacity ? tuning->capacity * 2 : 64;

		grown = mem_realloc(tuning->at, capacity * sizeof(*grown));
		if (!grown)
			return NULL;
		tuning->at = grown;
		tuning->capacity = capacity;
	}
	tuning->at[tuning->count] = (struct proposal){.exclusion = exclusion};
	return &tuning->at[tuning->count++];
}

/* Rules that only add scores up are no cause: an exclusion of them would silence everything. */
static int take_match(struct tuning *tuning, const struct json *match, bool blocked,
		      struct err *err)
{
	struct span exclusion, message = SPAN("");
	struct proposal *proposal;
	int64_t score = 0;

	json_int(json_get(match, SPAN("score")), &score);
	if (score <= 0 || !json_string(json_get(match, SPAN("exclusion")), &exclusion) ||
	    exclusion.len == 0)
		return 0;
	json_string(json_get(match, SPAN("message")), &message);
	proposal = proposal_for(tuning, exclusion);
	if (!proposal)
		return err_set(err, ERR_MEMORY, "out of memory");
	proposal->message = message;
	proposal->count++;
	proposal->blocked += blocked;
	return 0;
}

static int take_line(struct tuning *tuning, struct span line, struct err *err)
{
	struct err ignored;
	const struct json *record = json_parse(&tuning->w->arena, line, NULL, &ignored);
	const struct json *matches;

	matches = json_get(record, SPAN("matches"));
	if (!matches || matches->type != JSON_ARRAY) {
		tuning->unreadable++;
		return 0;
	}
	tuning->records++;
	for (size_t i = 0; i < matches->array.count; i++)
		if (take_match(tuning, json_at(matches, i),
			       json_is(json_get(record, SPAN("action")), SPAN("blocked")),
			       err) < 0)
			return -1;
	return 0;
}

static int by_count(const void *left, const void *right)
{
	const struct proposal *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return span_compare(a->exclusion, b->exclusion);
}

static void print_proposals(struct tuning *tuning)
{
	uint64_t least = options_number(tuning->w->given, "min");
	struct buf *out = &tuning->w->out;

	if (tuning->count > 1)
		qsort(tuning->at, tuning->count, sizeof(*tuning->at), by_count);
	buf_printf(out,
		   "# %llu records, %llu lines that are none\n"
		   "# Look at each before you take it: an attack has matched too.\n"
		   "waf:\n  exclusions:\n",
		   (unsigned long long)tuning->records, (unsigned long long)tuning->unreadable);
	for (size_t i = 0; i < tuning->count; i++) {
		const struct proposal *proposal = &tuning->at[i];

		if (proposal->count < least)
			break;
		buf_printf(out, "    # %llu times, %llu blocked: %.*s\n    - %.*s\n",
			   (unsigned long long)proposal->count,
			   (unsigned long long)proposal->blocked, SPAN_ARG(proposal->message),
			   SPAN_ARG(proposal->exclusion));
	}
}

static enum exit_status tune(struct waf_work *w, struct err *err)
{
	struct tuning tuning = {.w = w};
	enum exit_status status = EXIT_STATUS_FAILED;
	struct span rest;
	struct buf log;

	buf_init(&log, WAF_INPUT_MAX);
	if (input_read(options_operand(w->given, 0), &log, err) < 0)
		goto out;
	rest = buf_span(&log);
	while (rest.ptr) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		if (line.len && take_line(&tuning, line, err) < 0)
			goto out;
	}
	print_proposals(&tuning);
	status = EXIT_STATUS_OK;
out:
	mem_free(tuning.at);
	buf_release(&log);
	return status;
}

/* ---- the commands ---------------------------------------------------------------------------- */

static enum exit_status run_check(const struct options *given)
{
	return waf_work_run(given, true, check);
}

static enum exit_status run_tune(const struct options *given)
{
	return waf_work_run(given, true, tune);
}

static const struct option_spec check_options[] = {WAF_RULES_OPTIONS, {.name = NULL}};

static const struct option_spec tune_options[] = {
	{.name = "min",
	 .kind = OPTION_NUMBER,
	 .argument = "COUNT",
	 .help = "Leave out what happened less often.",
	 .initial = "1"},
	{.name = "format",
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "YAML for the configuration, which is what `text` is.",
	 .initial = "text",
	 .choices = waf_work_formats},
	{.name = NULL},
};

static const struct operand_spec log_operand[] = {
	{.name = "LOG",
	 .help = "The firewall's log, or the program's; - is standard input.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example tune_examples[] = {
	{"sallyport waf tune --min 20 /var/log/sallyport/waf.log",
	 "Exclusions for what ordinary use has matched."},
	{NULL, NULL},
};

const struct command cmd_waf_check = {
	.name = "waf check",
	.summary = "read the rules of the firewall and say what they are",
	.description =
		"Reads the rules of the configuration, or those that --rules names. What is "
		"not "
		"supported is an error with file and line; directives that are ignored on "
		"purpose are listed.",
	.options = check_options,
	.run = run_check,
};

const struct command cmd_waf_tune = {
	.name = "waf tune",
	.summary = "propose exclusions from the log of the firewall",
	.description =
		"Counts what has matched and prints the exclusions that would silence it, the "
		"most frequent first, as YAML for the configuration. Run the firewall in mode "
		"observe over ordinary use first.",
	.options = tune_options,
	.operands = log_operand,
	.examples = tune_examples,
	.run = run_tune,
};
