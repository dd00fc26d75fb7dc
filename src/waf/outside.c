/*
 * outside.c - what rules ask of the world outside: block lists (rbl) and programs (inspectFile,
 * exec), through the worker's hooks, and the environment that programs get (setenv). A hook that
 * waits lets other transactions of the worker run: what the worker lends to one match is filled in
 * after it.
 */
#include "waf/transaction.h"

#define ENVIRONMENT_MAX ((size_t)64 << 10)
#define OUTPUT_SHOWN 256

/* ---- block lists ----------------------------------------------------------------------------- */

static bool is_listed(struct waf_transaction *t, const struct rule *rule, struct span value,
		      const char **note)
{
	const struct waf_hooks *hooks = &t->worker->hooks;
	struct operator_match *match = &t->worker->match;
	char name[RBL_NAME_MAX + 1];
	size_t len = operator_rbl_name(rule->op, value, name);
	enum waf_lookup found;
	uint32_t address = 0;

	if (len == 0) {
		*note = "neither an address nor a name: the block list is not asked";
		return false;
	}
	found = hooks->lookup(hooks->context, span_of(name, len), &address);
	if (found == WAF_LOOKUP_FAILED)
		*note = "the block list does not answer";
	if (found != WAF_LOOKUP_FOUND)
		return false;
	if (!operator_rbl_is_listed(rule->op, address)) {
		*note = "the block list says that it does not serve us";
		if (hooks->no_list)
			hooks->no_list(hooks->context, operator_parameter(rule->op), address);
		return false;
	}
	match->captures[0] = (struct operator_capture){0, value};
	match->capture_count = 1;
	return true;
}

/* ---- the environment of programs --------------------------------------------------------------- */

/* That setenv has set, or unset; NULL: none of this name. */
static struct value *find_variable(const struct waf_transaction *t, struct span name)
{
	for (uint32_t i = 0; i < t->environment.count; i++)
		if (span_eq(t->environment.at[i].key, name))
			return &t->environment.at[i];
	return NULL;
}

void outside_set_environment(struct waf_transaction *t, const struct rule *rule,
			     const struct step *step)
{
	struct span value = macro_expand(t, rule, &step->text);
	struct value *variable;

	/* Nothing after a NUL would be seen. */
	value = span_slice(value, 0, span_find_byte(value, '\0'));
	if (step->value == SEC_UNSET)
		value = SPAN_NONE;
	else if (!value.ptr)
		value = SPAN("");
	t->lists[VAR_ENV].count = 0; /* made anew when it is asked for */
	variable = find_variable(t, step->tag);
	if (variable)
		variable->text = value;
	else
		list_add(t, &t->environment, step->tag, value);
}

static void put(struct buf *to, struct span name, struct span value)
{
	value = span_slice(value, 0, span_find_byte(value, '\0'));
	buf_append(to, name);
	buf_append_byte(to, '=');
	buf_append(to, value);
	buf_append_byte(to, '\0');
}

static struct span first_value(const struct waf_transaction *t, enum variable variable)
{
	return t->lists[variable].count ? t->lists[variable].at[0].text : SPAN("");
}

bool outside_has_variable(const struct waf_transaction *t, struct span name)
{
	return find_variable(t, name) != NULL;
}

/* What CGI tells of a request (RFC 3875 section 4.1), without header fields, and setenv. */
static bool fill_environment(const struct waf_transaction *t, uint32_t rule_id, struct buf *to)
{
	static const struct {
		struct span name;
		enum variable variable;
	} told[] = {
		{SPAN_INIT("REQUEST_METHOD"), VAR_REQUEST_METHOD},
		{SPAN_INIT("REQUEST_URI"), VAR_REQUEST_URI_RAW},
		{SPAN_INIT("QUERY_STRING"), VAR_QUERY_STRING},
		{SPAN_INIT("SERVER_PROTOCOL"), VAR_REQUEST_PROTOCOL},
		{SPAN_INIT("SERVER_NAME"), VAR_SERVER_NAME},
		{SPAN_INIT("SERVER_PORT"), VAR_SERVER_PORT},
		{SPAN_INIT("REMOTE_ADDR"), VAR_REMOTE_ADDR},
		{SPAN_INIT("REMOTE_PORT"), VAR_REMOTE_PORT},
		{SPAN_INIT("UNIQUE_ID"), VAR_UNIQUE_ID},
		{SPAN_INIT("RESPONSE_STATUS"), VAR_RESPONSE_STATUS},
	};
	char digits[BUF_U64_DIGITS];

	for (size_t i = 0; i < COUNT_OF(told); i++)
		if (t->lists[told[i].variable].count && !outside_has_variable(t, told[i].name))
			put(to, told[i].name, first_value(t, told[i].variable));
	if (!outside_has_variable(t, SPAN("CONTENT_TYPE")))
		put(to, SPAN("CONTENT_TYPE"), t->content_type);
	if (!outside_has_variable(t, SPAN("RULE_ID")))
		put(to, SPAN("RULE_ID"), buf_u64_digits(digits, rule_id));
	for (uint32_t i = 0; i < t->environment.count; i++)
		if (t->environment.at[i].text.ptr)
			put(to, t->environment.at[i].key, t->environment.at[i].text);
	return !buf_failed(to);
}

/* ---- programs that approve --------------------------------------------------------------------- */

/* The content of the file that stands in FILES_TMPNAMES under this name. */
static bool find_file(const struct waf_transaction *t, struct span name, struct span *content)
{
	for (uint32_t i = 0; i < t->uploads.count; i++) {
		if (span_eq_nocase(t->uploads.at[i].key, name)) {
			*content = t->uploads.at[i].text;
			return true;
		}
	}
	return false;
}

/* Uploads and bodies are given as files, other values as arguments. */
static bool describe_content(const struct waf_transaction *t, const struct selector *selector,
			     struct span text, struct waf_program_call *call)
{
	call->content = text.ptr ? text : SPAN("");
	switch ((int)selector->variable) {
	case VAR_FILES_TMPNAMES:
		call->file_name = text;
		return !selector->count && find_file(t, text, &call->content);
	case VAR_FILES_TMP_CONTENT:
	case VAR_FULL_REQUEST:
	case VAR_REQUEST_BODY:
	case VAR_RESPONSE_BODY: call->file_name = SPAN("content"); return true;
	default: return true;
	}
}

static int inspect(struct waf_transaction *t, const struct rule *rule,
		   const struct selector *selector, struct span text, char *output, size_t *len,
		   struct err *err)
{
	const struct waf_hooks *hooks = &t->worker->hooks;
	struct waf_program_call call = {.program = operator_program(rule->op),
					.rule_id = rule->id};
	struct buf environment;
	int result = -1;

	if (!describe_content(t, selector, text, &call))
		return err_set(err, ERR_INVALID, "there is no upload of this name");
	buf_init(&environment, ENVIRONMENT_MAX);
	if (fill_environment(t, rule->id, &environment)) {
		call.environment = buf_span(&environment);
		result = hooks->inspect(hooks->context, &call, output, OUTPUT_SHOWN, len, err);
	} else {
		err_set(err, ERR_LIMIT, "the environment of the program is too long");
	}
	buf_release(&environment);
	if (result == 0 && *len == 0)
		return err_set(err, ERR_INVALID, "it has said nothing");
	return result;
}

static void fail(struct waf_transaction *t, const struct rule *rule, const struct err *err)
{
	struct err placed;

	err_set(&placed, err->code, "%.*s:%u: %.*s: %s", SPAN_ARG(rule->place.file),
		rule->place.line, SPAN_ARG(operator_parameter(rule->op)), err->message);
	transaction_fail(t, &placed);
}

/* Approved is what the program answers with a "1"; without an answer nobody knows. */
static bool is_rejected(struct waf_transaction *t, const struct rule *rule,
			const struct selector *selector, struct span text, const char **note)
{
	struct operator_match *match = &t->worker->match;
	char output[OUTPUT_SHOWN];
	struct span line;
	size_t len = 0;
	struct err err = {.code = ERR_NONE};

	if (inspect(t, rule, selector, text, output, &len, &err) != 0) {
		*note = "the program has not answered";
		fail(t, rule, &err);
		return false;
	}
	if (output[0] == '1')
		return false;
	line = span_of(output, len);
	line = value_copy(t, span_slice(line, 0, span_find_byte(line, '\n')));
	match->captures[0] = (struct operator_capture){0, line};
	match->capture_count = 1;
	return true;
}

bool outside_test(struct waf_transaction *t, const struct rule *rule,
		  const struct selector *selector, struct span text, const char **note)
{
	const struct waf_hooks *hooks = &t->worker->hooks;
	bool is_list = operator_kind_of(rule->op) == OPERATOR_RBL;
	bool matched;

	t->worker->match.capture_count = 0;
	if (is_list ? !hooks->lookup : !hooks->inspect) {
		*note = is_list ? "the block list is not asked here"
				: "the program is not run here";
		return false;
	}
	matched = is_list ? is_listed(t, rule, text, note)
			  : is_rejected(t, rule, selector, text, note);
	/* Of this match, and not of those that went on meanwhile. */
	t->worker->match.error = OPERATOR_OK;
	if (!matched)
		t->worker->match.capture_count = 0;
	return !t->failed && matched != operator_negated(rule->op);
}

/* ---- programs that are told -------------------------------------------------------------------- */

static void note_not_run(struct waf_transaction *t, const struct rule *rule,
			 const struct step *step)
{
	struct waf_step one = {.phase = rule->phase,
			       .rule_id = rule->id,
			       .file = rule->place.file,
			       .line = rule->place.line,
			       .value = step->tag,
			       .matched = true,
			       .note = "the program of exec is not run here"};

	t->trace(t->trace_context, &one);
}

void outside_execute(struct waf_transaction *t, const struct rule *rule,
		     const struct step *step)
{
	const struct waf_hooks *hooks = &t->worker->hooks;
	struct waf_program_call call = {.program = (uint32_t)step->value, .rule_id = rule->id};
	struct buf environment;

	if (!hooks->execute) {
		if (t->trace)
			note_not_run(t, rule, step);
		return;
	}
	buf_init(&environment, ENVIRONMENT_MAX);
	if (fill_environment(t, rule->id, &environment)) {
		call.environment = buf_span(&environment);
		hooks->execute(hooks->context, &call);
	} else {
		t->failed = true;
	}
	buf_release(&environment);
}
