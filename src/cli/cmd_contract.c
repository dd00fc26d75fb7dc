/* contract check, contract learn */
#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "contract/learn.h"
#include "contract/lint.h"
#include "parse/json_write.h"
#include "parse/sarif.h"

#define FINDINGS_MAX_BYTES ((size_t)256 << 20)
#define INPUT_MAX_BYTES ((size_t)512 << 20)

/* ---- contract check -------------------------------------------------------------------------- */

static void put_text(struct buf *out, const struct finding *f)
{
	buf_printf(out, "%.*s:%u:%u: %s: %.*s [%.*s]", SPAN_ARG(f->place.file), f->place.line,
		   f->place.column, finding_severity_name(f->severity), SPAN_ARG(f->message),
		   SPAN_ARG(f->rule));
	if (f->subject.len)
		buf_printf(out, " (%.*s)", SPAN_ARG(f->subject));
	buf_append_byte(out, '\n');
}

static void put_json(struct json_writer *w, const struct finding *f)
{
	json_begin_object(w);
	json_member_string(w, SPAN("rule"), f->rule);
	json_member_string(w, SPAN("severity"), span_cstr(finding_severity_name(f->severity)));
	json_member_string(w, SPAN("message"), f->message);
	json_member_string(w, SPAN("advice"), f->advice);
	json_member_string(w, SPAN("subject"), f->subject);
	json_member_string(w, SPAN("file"), f->place.file);
	json_member_int(w, SPAN("line"), f->place.line);
	json_member_int(w, SPAN("column"), f->place.column);
	json_end_object(w);
}

static enum exit_status print_findings(const struct options *given,
				       const struct finding_list *list)
{
	struct span format = span_cstr(options_text(given, "format"));
	struct sarif_tool tool = {.name = SPAN("sallyport"),
				  .version = SPAN(SALLYPORT_VERSION)};
	struct json_writer w;
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (span_eq(format, SPAN("sarif"))) {
		sarif_write(&out, &tool, list->at, list->count);
	} else if (span_eq(format, SPAN("json"))) {
		json_writer_init(&w, &out);
		json_begin_array(&w);
		for (size_t i = 0; i < list->count; i++)
			put_json(&w, &list->at[i]);
		json_end_array(&w);
		buf_append_byte(&out, '\n');
	} else {
		for (size_t i = 0; i < list->count; i++)
			put_text(&out, &list->at[i]);
	}
	return output_text(&out);
}

/* A document that cannot be used is a finding too: what checks a change wants to read one report. */
static int check_file(const struct options *given, const char *path, struct finding_list *list,
		      size_t *operations, struct err *err)
{
	struct contract_options options = {.assert_formats = options_flag(given, "formats")};
	struct document_limits documents;
	struct contract *contract;
	int result;

	contract_options_memory(&options, &documents, options_number(given, "memory") << 20);
	contract = contract_load(path, &options, err);
	if (!contract)
		return -1;
	*operations += contract_operation_count(contract);
	result = contract_lint(contract, list, err);
	contract_unref(contract);
	return result;
}

static enum exit_status verdict(const struct options *given, const struct finding_list *list)
{
	enum finding_severity least;

	/* "never" is no severity. */
	if (!finding_severity_parse(span_cstr(options_text(given, "fail-on")), &least))
		return EXIT_STATUS_OK;
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].severity >= least)
			return EXIT_STATUS_FAILED;
	return EXIT_STATUS_OK;
}

static enum exit_status run_check(const struct options *given)
{
	struct finding_list list;
	struct arena arena;
	size_t operations = 0;
	enum exit_status status = EXIT_STATUS_OK;

	arena_init(&arena, FINDINGS_MAX_BYTES, (size_t)64 << 10);
	finding_list_init(&list, &arena);
	for (size_t i = 0; options_operand(given, i); i++) {
		struct err err = {.code = ERR_NONE};

		if (check_file(given, options_operand(given, i), &list, &operations, &err) == 0)
			continue;
		output_error(given, &err);
		status = EXIT_STATUS_USAGE;
	}
	finding_list_sort(&list);
	if (print_findings(given, &list) != EXIT_STATUS_OK)
		status = EXIT_STATUS_USAGE;
	if (status == EXIT_STATUS_OK) {
		status = verdict(given, &list);
		fprintf(stderr, "%zu operations, %zu findings\n", operations, list.count);
	}
	arena_release(&arena);
	return status;
}

static const char *const check_formats[] = {"text", "json", "sarif", NULL};
static const char *const severities[] = {"info",     "low",   "medium", "high",
					 "critical", "never", NULL};

static const struct option_spec check_options[] = {
	{.name = "format",
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print the findings: text, json or sarif.",
	 .initial = "text",
	 .choices = check_formats},
	{.name = "fail-on",
	 .kind = OPTION_CHOICE,
	 .argument = "SEVERITY",
	 .help = "The exit status is 1 when there is a finding this severe, or more so.",
	 .initial = "medium",
	 .choices = severities},
	{.name = "formats", .help = "Compile \"format\" as an assertion, as the gateway may."},
	{.name = "memory",
	 .kind = OPTION_NUMBER,
	 .argument = "MIB",
	 .help = "For compiled schemas, at most; for documents twice as much.",
	 .initial = "256"},
	{.name = NULL},
};

static const struct operand_spec check_operands[] = {
	{.name = "FILE", .help = "An OpenAPI document.", .required = true, .is_file = true},
	{.name = "FILE", .help = "Another one.", .is_file = true},
	{.name = "FILE", .help = "And so on, up to eight.", .is_file = true},
	{.name = "FILE", .is_file = true, .help = "..."},
	{.name = NULL},
};

static const struct command_example check_examples[] = {
	{"sallyport contract check orders.openapi.yaml",
	 "Say what is wrong with a document, and what is unsafe."},
	{"sallyport contract check --format sarif --fail-on high api.yaml > contract.sarif",
	 "For a code host; fail only for what is severe."},
	{NULL, NULL},
};

const struct command cmd_contract_check = {
	.name = "contract check",
	.summary = "check an OpenAPI document and find what is unsafe in it",
	.description = "Reads OpenAPI 3.0, 3.1 or 3.2 with all files that it refers to, "
		       "compiles it as "
		       "the gateway does, and reports what is unsafe: operations that anybody "
		       "may call, "
		       "strings, arrays, integers and bodies without bounds, servers without "
		       "TLS, secrets "
		       "in examples, words that mean nothing.\n\n"
		       "The exit status is 0 when there is nothing, 1 when there are findings "
		       "at or above "
		       "--fail-on, and 2 when a document cannot be read.",
	.options = check_options,
	.operands = check_operands,
	.examples = check_examples,
	.run = run_check,
};

/* ---- contract learn -------------------------------------------------------------------------- */

static int each_line(struct learner *l, struct span text,
		     int (*take)(struct learner *l, struct span line, struct err *err),
		     struct err *err)
{
	struct span rest = text;

	while (rest.ptr) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		if (line.len && take(l, line, err) < 0)
			return -1;
	}
	return 0;
}

static int learn(const struct options *given, struct span text, struct buf *out,
		 struct err *err)
{
	struct learn_options options = {.title = span_cstr(options_text(given, "title"))};
	struct learner *l = learner_new(&options, err);
	uint64_t taken, skipped;
	int result = -1;

	if (!l)
		return -1;
	if (each_line(l, text, learner_path, err) == 0) {
		learner_settle(l);
		result = each_line(l, text, learner_exchange, err);
	}
	if (result == 0) {
		learner_counts(l, &taken, &skipped);
		fprintf(stderr, "%llu exchanges, %llu lines skipped\n",
			(unsigned long long)taken, (unsigned long long)skipped);
		if (taken)
			learner_write(l, out);
		else
			result =
				err_set(err, ERR_INVALID, "there is no exchange to learn from");
	}
	learner_free(l);
	return result;
}

static enum exit_status run_learn(const struct options *given)
{
	struct err err = {.code = ERR_NONE};
	enum exit_status status = EXIT_STATUS_FAILED;
	struct buf text, out;

	buf_init(&text, INPUT_MAX_BYTES);
	buf_init(&out, OUTPUT_MAX_BYTES);
	if (input_read(options_operand(given, 0), &text, &err) == 0 &&
	    learn(given, buf_span(&text), &out, &err) == 0) {
		status = output_text(&out);
	} else {
		output_error(given, &err);
		buf_release(&out);
	}
	buf_release(&text);
	return status;
}

static const struct option_spec learn_options[] = {
	{.name = "title",
	 .kind = OPTION_TEXT,
	 .argument = "TEXT",
	 .help = "The title of the document.",
	 .initial = "Learned"},
	{.name = NULL},
};

static const struct operand_spec learn_operands[] = {
	{.name = "FILE",
	 .help = "Exchanges, a JSON object a line, or the gateway's access log; \"-\" for "
		 "standard input.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example learn_examples[] = {
	{"sallyport contract learn /var/log/sallyport/access.log > orders.openapi.yaml",
	 "Propose the paths of a service that has no document."},
	{NULL, NULL},
};

const struct command cmd_contract_learn = {
	.name = "contract learn",
	.summary = "propose an OpenAPI document from traffic that was seen",
	.description =
		"Reads exchanges, a JSON object a line, with the members method, path, query, "
		"content_type, body, status, response_type and response_body, of which only "
		"method "
		"and path must be there, and prints an OpenAPI 3.1 document: paths with their "
		"parameters, types, formats, bounds, and what is required. It is a proposal: "
		"read "
		"it, add security, and correct it.",
	.options = learn_options,
	.operands = learn_operands,
	.examples = learn_examples,
	.run = run_learn,
};
