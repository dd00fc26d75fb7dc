#include "base/compiler.h"
#include "waf/collection.h"
#include "waf/seclang.h"

/* Lists of actions grow by doubling inside the arena; rules have few. */
#define LIST_ADD(arena, list, count, item)                                                     \
	list_add((arena), (void **)&(list), &(count), &(item), sizeof(item))

static int list_add(struct arena *arena, void **list, size_t *count, const void *item,
		    size_t size)
{
	/* Room for 1, 2, 4, 8, ...: full when the count is a power of two. */
	if ((*count & (*count - 1)) == 0) {
		char *grown = arena_alloc(arena, (*count ? 2 * *count : 1) * size);

		if (!grown)
			return -1;
		if (*count)
			memcpy(grown, *list, *count * size);
		*list = grown;
	}
	memcpy((char *)*list + *count * size, item, size);
	(*count)++;
	return 0;
}

void sec_actions_init(struct sec_actions *actions)
{
	*actions = (struct sec_actions){.severity = -1, .log = true};
}

bool sec_id_range(struct span text, uint32_t *first, uint32_t *last)
{
	size_t dash = span_find_byte(text, '-');
	uint64_t from;
	uint64_t to;

	if (!span_to_u64(span_trim(span_slice(text, 0, dash)), &from))
		return false;
	to = from;
	if (dash < text.len &&
	    !span_to_u64(span_trim(span_slice(text, dash + 1, text.len)), &to))
		return false;
	if (from > UINT32_MAX || to > UINT32_MAX || from > to)
		return false;
	*first = (uint32_t)from;
	*last = (uint32_t)to;
	return true;
}

/* ---- single actions -------------------------------------------------------------------------- */

struct context {
	struct arena *arena;
	struct sec_actions *actions;
	struct err *err;
};

static int no_memory(struct context *c)
{
	return err_set(c->err, ERR_MEMORY, "no memory for actions");
}

static int set_id(struct context *c, struct span value)
{
	uint64_t id;

	if (!span_to_u64(value, &id) || id == 0 || id > UINT32_MAX)
		return err_set(c->err, ERR_SYNTAX, "not an id: %.*s", SPAN_ARG(value));
	c->actions->id = (uint32_t)id;
	return 0;
}

static int set_phase(struct context *c, struct span value)
{
	uint64_t phase;

	if (span_eq_nocase(value, SPAN("request")))
		phase = 2;
	else if (span_eq_nocase(value, SPAN("response")))
		phase = 4;
	else if (span_eq_nocase(value, SPAN("logging")))
		phase = 5;
	else if (!span_to_u64(value, &phase) || phase < 1 || phase > SEC_PHASES)
		return err_set(c->err, ERR_SYNTAX, "not a phase: %.*s", SPAN_ARG(value));
	c->actions->phase = (unsigned)phase;
	return 0;
}

static int set_severity(struct context *c, struct span value)
{
	static const struct span names[] = {
		SPAN_INIT("EMERGENCY"), SPAN_INIT("ALERT"),   SPAN_INIT("CRITICAL"),
		SPAN_INIT("ERROR"),	SPAN_INIT("WARNING"), SPAN_INIT("NOTICE"),
		SPAN_INIT("INFO"),	SPAN_INIT("DEBUG"),
	};
	uint64_t number;

	for (unsigned i = 0; i < COUNT_OF(names); i++) {
		if (span_eq_nocase(value, names[i])) {
			c->actions->severity = (int)i;
			return 0;
		}
	}
	if (!span_to_u64(value, &number) || number > 7)
		return err_set(c->err, ERR_SYNTAX, "not a severity: %.*s", SPAN_ARG(value));
	c->actions->severity = (int)number;
	return 0;
}

static int set_status(struct context *c, struct span value)
{
	uint64_t status;

	if (!span_to_u64(value, &status) || status < 100 || status > 599)
		return err_set(c->err, ERR_SYNTAX, "not a status: %.*s", SPAN_ARG(value));
	c->actions->status = (unsigned)status;
	return 0;
}

static int add_transform(struct context *c, struct span value)
{
	enum transform t;

	if (!transform_find(value, &t))
		return err_set(c->err, ERR_INVALID, "there is no transformation %.*s",
			       SPAN_ARG(value));
	if (t == TRANSFORM_NONE) {
		c->actions->no_inherit = true;
		c->actions->transform_count = 0;
		return 0;
	}
	if (c->actions->transform_count == SEC_TRANSFORMS_MAX)
		return err_set(c->err, ERR_LIMIT, "more than %d transformations",
			       SEC_TRANSFORMS_MAX);
	c->actions->transforms[c->actions->transform_count++] = t;
	return 0;
}

static bool is_stored(enum variable variable)
{
	return variable == VAR_IP || variable == VAR_SESSION || variable == VAR_USER ||
	       variable == VAR_GLOBAL || variable == VAR_RESOURCE;
}

/* "tx.name" into collection and name. */
static int split_name(struct context *c, struct span text, enum variable *variable,
		      struct span *name)
{
	size_t end = 0;

	while (end < text.len && text.ptr[end] != '.' && text.ptr[end] != ':')
		end++;
	if (end + 1 >= text.len)
		return err_set(c->err, ERR_SYNTAX, "not COLLECTION.name: %.*s", SPAN_ARG(text));
	if (!variable_find(span_slice(text, 0, end), variable, c->err))
		return -1;
	if (*variable != VAR_TX && !is_stored(*variable))
		return err_set(c->err, ERR_INVALID, "%.*s cannot be written to",
			       SPAN_ARG(variable_name(*variable)));
	*name = span_slice(text, end + 1, text.len);
	return 0;
}

/* The "=" that separates name and value; one inside of a macro does not. */
static size_t find_equals(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '=')
			return i;
		if (text.ptr[i] == '%' && i + 1 < text.len && text.ptr[i + 1] == '{')
			while (i < text.len && text.ptr[i] != '}')
				i++;
	}
	return text.len;
}

static int add_setvar(struct context *c, struct span value)
{
	struct sec_setvar set = {.operation = SEC_SET, .value = SPAN("1")};
	size_t equals = find_equals(value);
	struct span name = span_slice(value, 0, equals);

	if (name.len > 0 && name.ptr[0] == '!') {
		set.operation = SEC_UNSET;
		name = span_slice(name, 1, name.len);
	}
	if (split_name(c, name, &set.variable, &set.name) != 0)
		return -1;
	if (equals < value.len) {
		set.value = span_slice(value, equals + 1, value.len);
		if (set.value.len > 0 && (set.value.ptr[0] == '+' || set.value.ptr[0] == '-')) {
			set.operation = set.value.ptr[0] == '+' ? SEC_ADD : SEC_SUBTRACT;
			set.value = span_slice(set.value, 1, set.value.len);
		}
	}
	if (LIST_ADD(c->arena, c->actions->setvars, c->actions->setvar_count, set) != 0)
		return no_memory(c);
	return 0;
}

static int add_step(struct context *c, const struct sec_step *step)
{
	if (LIST_ADD(c->arena, c->actions->steps, c->actions->step_count, *step) != 0)
		return no_memory(c);
	return 0;
}

static int add_expirevar(struct context *c, struct span value)
{
	struct sec_step step = {.kind = SEC_EXPIREVAR};
	size_t equals = find_equals(value);

	if (equals >= value.len)
		return err_set(c->err, ERR_SYNTAX, "expirevar needs COLLECTION.name=seconds");
	if (split_name(c, span_slice(value, 0, equals), &step.target.variable,
		       &step.target.key) != 0)
		return -1;
	if (!is_stored(step.target.variable))
		return err_set(c->err, ERR_INVALID, "variables of TX do not expire");
	step.text = span_slice(value, equals + 1, value.len);
	return add_step(c, &step);
}

static int add_initcol(struct context *c, struct span value)
{
	struct sec_step step = {.kind = SEC_INITCOL};
	size_t equals = find_equals(value);

	if (equals >= value.len)
		return err_set(c->err, ERR_SYNTAX, "initcol needs collection=key");
	if (!variable_find(span_slice(value, 0, equals), &step.target.variable, c->err))
		return -1;
	if (!is_stored(step.target.variable))
		return err_set(c->err, ERR_INVALID, "initcol knows no collection %.*s",
			       SPAN_ARG(span_slice(value, 0, equals)));
	step.text = span_slice(value, equals + 1, value.len);
	return add_step(c, &step);
}

static int add_text_step(struct context *c, enum sec_step_kind kind, struct span value)
{
	struct sec_step step = {.kind = kind, .text = value};

	return add_step(c, &step);
}

/*
 * setenv:NAME=value, or setenv:!NAME. The name is part of what programs are run with: it is not for
 * clients to say.
 */
static int add_setenv(struct context *c, struct span value)
{
	struct sec_step step = {.kind = SEC_SETENV, .value = SEC_SET};
	size_t equals = find_equals(value);

	step.target.key = span_trim(span_slice(value, 0, equals));
	step.text = span_slice(value, equals + 1, value.len);
	if (span_starts_with(step.target.key, SPAN("!"))) {
		step.value = SEC_UNSET;
		step.target.key = span_slice(step.target.key, 1, step.target.key.len);
	}
	if (step.target.key.len == 0 || (equals >= value.len) != (step.value == SEC_UNSET))
		return err_set(c->err, ERR_SYNTAX, "setenv needs NAME=value, or !NAME");
	for (size_t i = 0; i < step.target.key.len; i++) {
		char one = step.target.key.ptr[i];

		if (!((ascii_lower(one) >= 'a' && ascii_lower(one) <= 'z') || one == '_' ||
		      (i > 0 && one >= '0' && one <= '9')))
			return err_set(c->err, ERR_SYNTAX,
				       "not the name of a variable of the environment: %.*s",
				       SPAN_ARG(step.target.key));
	}
	if (span_starts_with(step.target.key, SPAN("LD_")) ||
	    span_eq(step.target.key, SPAN("PATH")))
		return err_set(c->err, ERR_INVALID,
			       "setenv cannot change what programs are made of: %.*s",
			       SPAN_ARG(step.target.key));
	return add_step(c, &step);
}

static int add_exec(struct context *c, struct span value)
{
	if (value.len == 0)
		return err_set(c->err, ERR_SYNTAX, "exec needs a program");
	return add_text_step(c, SEC_EXEC, value);
}

/* ---- ctl ------------------------------------------------------------------------------------- */

static int ctl_switch(struct context *c, enum sec_step_kind kind, struct span value)
{
	struct sec_step step = {.kind = kind};

	if (span_eq_nocase(value, SPAN("on")))
		step.value = SEC_ENGINE_ON;
	else if (span_eq_nocase(value, SPAN("off")))
		step.value = SEC_ENGINE_OFF;
	else if (kind == SEC_CTL_RULE_ENGINE && span_eq_nocase(value, SPAN("detectiononly")))
		step.value = SEC_ENGINE_DETECT;
	else
		return err_set(c->err, ERR_SYNTAX, "neither On nor Off: %.*s", SPAN_ARG(value));
	return add_step(c, &step);
}

static int ctl_bytes(struct context *c, enum sec_step_kind kind, struct span value)
{
	struct sec_step step = {.kind = kind};

	if (!span_to_u64(value, &step.value))
		return err_set(c->err, ERR_SYNTAX, "not a number of bytes: %.*s",
			       SPAN_ARG(value));
	return add_step(c, &step);
}

static int ctl_processor(struct context *c, struct span value)
{
	static const struct span known[] = {SPAN_INIT("JSON"), SPAN_INIT("XML"),
					    SPAN_INIT("URLENCODED"), SPAN_INIT("MULTIPART")};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (span_eq_nocase(value, known[i]))
			return add_text_step(c, SEC_CTL_BODY_PROCESSOR, known[i]);
	return err_set(c->err, ERR_INVALID, "there is no body processor %.*s", SPAN_ARG(value));
}

static int ctl_remove_by_id(struct context *c, struct span value)
{
	/* libmodsecurity takes several, with spaces between them. */
	while (value.len > 0) {
		struct sec_step step = {.kind = SEC_CTL_REMOVE_BY_ID};
		size_t end = 0;

		while (end < value.len && value.ptr[end] != ' ' && value.ptr[end] != ',')
			end++;
		if (!sec_id_range(span_slice(value, 0, end), &step.first, &step.last))
			return err_set(c->err, ERR_SYNTAX, "not a rule id: %.*s",
				       SPAN_ARG(value));
		if (add_step(c, &step) != 0)
			return -1;
		value = span_slice(value, end + 1, value.len);
	}
	return 0;
}

static int ctl_remove_target(struct context *c, enum sec_step_kind kind, struct span value)
{
	size_t semicolon = span_find_byte(value, ';');
	struct sec_targets targets;

	if (semicolon >= value.len)
		return err_set(c->err, ERR_SYNTAX, "needs what;VARIABLE: %.*s",
			       SPAN_ARG(value));
	if (sec_targets_parse(c->arena, span_slice(value, semicolon + 1, value.len), &targets,
			      c->err) != 0)
		return -1;
	for (size_t i = 0; i < targets.count; i++) {
		struct sec_step step = {.kind = kind,
					.text = span_slice(value, 0, semicolon),
					.target = targets.at[i]};

		if (kind == SEC_CTL_REMOVE_TARGET_BY_ID &&
		    !sec_id_range(step.text, &step.first, &step.last))
			return err_set(c->err, ERR_SYNTAX, "not a rule id: %.*s",
				       SPAN_ARG(step.text));
		if (add_step(c, &step) != 0)
			return -1;
	}
	return 0;
}

static int add_ctl(struct context *c, struct span value)
{
	size_t equals = find_equals(value);
	struct span name = span_trim(span_slice(value, 0, equals));
	struct span to = span_trim(span_slice(value, equals + 1, value.len));

	if (equals >= value.len)
		return err_set(c->err, ERR_SYNTAX, "ctl needs name=value");
	if (span_eq_nocase(name, SPAN("ruleEngine")))
		return ctl_switch(c, SEC_CTL_RULE_ENGINE, to);
	if (span_eq_nocase(name, SPAN("requestBodyProcessor")))
		return ctl_processor(c, to);
	if (span_eq_nocase(name, SPAN("requestBodyAccess")))
		return ctl_switch(c, SEC_CTL_REQUEST_BODY_ACCESS, to);
	if (span_eq_nocase(name, SPAN("responseBodyAccess")))
		return ctl_switch(c, SEC_CTL_RESPONSE_BODY_ACCESS, to);
	if (span_eq_nocase(name, SPAN("requestBodyLimit")))
		return ctl_bytes(c, SEC_CTL_REQUEST_BODY_LIMIT, to);
	if (span_eq_nocase(name, SPAN("responseBodyLimit")))
		return ctl_bytes(c, SEC_CTL_RESPONSE_BODY_LIMIT, to);
	if (span_eq_nocase(name, SPAN("ruleRemoveById")))
		return ctl_remove_by_id(c, to);
	if (span_eq_nocase(name, SPAN("ruleRemoveByTag")))
		return add_text_step(c, SEC_CTL_REMOVE_BY_TAG, to);
	if (span_eq_nocase(name, SPAN("ruleRemoveByMsg")))
		return add_text_step(c, SEC_CTL_REMOVE_BY_MSG, to);
	if (span_eq_nocase(name, SPAN("ruleRemoveTargetById")))
		return ctl_remove_target(c, SEC_CTL_REMOVE_TARGET_BY_ID, to);
	if (span_eq_nocase(name, SPAN("ruleRemoveTargetByTag")))
		return ctl_remove_target(c, SEC_CTL_REMOVE_TARGET_BY_TAG, to);
	if (span_eq_nocase(name, SPAN("ruleRemoveTargetByMsg")))
		return ctl_remove_target(c, SEC_CTL_REMOVE_TARGET_BY_MSG, to);
	/* The audit log is the gateway's own; REQUEST_BODY is always there. */
	if (span_eq_nocase(name, SPAN("auditEngine")) ||
	    span_eq_nocase(name, SPAN("auditLogParts")) ||
	    span_eq_nocase(name, SPAN("debugLogLevel")) ||
	    span_eq_nocase(name, SPAN("forceRequestBodyVariable")))
		return 0;
	return err_set(c->err, ERR_INVALID, "ctl:%.*s is not supported", SPAN_ARG(name));
}

/* ---- all ------------------------------------------------------------------------------------- */

static int add_xmlns(struct context *c, struct span value)
{
	struct sec_xmlns ns;
	size_t equals = span_find_byte(value, '=');

	if (equals >= value.len)
		return err_set(c->err, ERR_SYNTAX, "xmlns needs prefix=address");
	ns.prefix = arena_dup(c->arena, span_slice(value, 0, equals));
	ns.href = arena_dup(c->arena, span_slice(value, equals + 1, value.len));
	if (!ns.prefix.ptr || !ns.href.ptr ||
	    LIST_ADD(c->arena, c->actions->xmlns, c->actions->xmlns_count, ns) != 0)
		return no_memory(c);
	return 0;
}

static int add_tag(struct context *c, struct span value)
{
	if (LIST_ADD(c->arena, c->actions->tags, c->actions->tag_count, value) != 0)
		return no_memory(c);
	return 0;
}

static int set_skip(struct context *c, struct span value)
{
	uint64_t skip;

	if (!span_to_u64(value, &skip) || skip > UINT32_MAX)
		return err_set(c->err, ERR_SYNTAX, "not a number of rules: %.*s",
			       SPAN_ARG(value));
	c->actions->skip = (uint32_t)skip;
	return 0;
}

static int set_allow(struct context *c, struct span value)
{
	if (value.len == 0)
		c->actions->disruptive = SEC_ALLOW;
	else if (span_eq_nocase(value, SPAN("phase")))
		c->actions->disruptive = SEC_ALLOW_PHASE;
	else if (span_eq_nocase(value, SPAN("request")))
		c->actions->disruptive = SEC_ALLOW_REQUEST;
	else
		return err_set(c->err, ERR_SYNTAX, "allow knows phase and request, not %.*s",
			       SPAN_ARG(value));
	return 0;
}

enum action {
	ACTION_ALLOW,
	ACTION_BLOCK,
	ACTION_CAPTURE,
	ACTION_CHAIN,
	ACTION_CTL,
	ACTION_DENY,
	ACTION_DROP,
	ACTION_EXEC,
	ACTION_EXPIREVAR,
	ACTION_ID,
	ACTION_IGNORED,
	ACTION_INITCOL,
	ACTION_LOG,
	ACTION_LOGDATA,
	ACTION_MSG,
	ACTION_MULTI_MATCH,
	ACTION_NOLOG,
	ACTION_PASS,
	ACTION_PHASE,
	ACTION_REDIRECT,
	ACTION_REFUSED,
	ACTION_REV,
	ACTION_SETENV,
	ACTION_SETRSC,
	ACTION_SETSID,
	ACTION_SETUID,
	ACTION_SETVAR,
	ACTION_SEVERITY,
	ACTION_SKIP,
	ACTION_SKIP_AFTER,
	ACTION_STATUS,
	ACTION_TAG,
	ACTION_TRANSFORM,
	ACTION_VER,
	ACTION_XMLNS,
};

struct action_name {
	struct span name;
	enum action action;
	bool takes_value;
	const char *why; /* of what is refused */
};

#define NOT_IN_3 "ModSecurity 3 does not have it either: "

static const struct action_name action_names[] = {
	{SPAN_INIT("accuracy"), ACTION_IGNORED, true, NULL}, /* for people */
	{SPAN_INIT("allow"), ACTION_ALLOW, false, NULL},
	{SPAN_INIT("append"), ACTION_REFUSED, true, NOT_IN_3 "responses are not written to"},
	{SPAN_INIT("auditlog"), ACTION_IGNORED, false,
	 NULL}, /* the audit log is the gateway's */
	{SPAN_INIT("block"), ACTION_BLOCK, false, NULL},
	{SPAN_INIT("capture"), ACTION_CAPTURE, false, NULL},
	{SPAN_INIT("chain"), ACTION_CHAIN, false, NULL},
	{SPAN_INIT("ctl"), ACTION_CTL, true, NULL},
	{SPAN_INIT("deny"), ACTION_DENY, false, NULL},
	{SPAN_INIT("deprecatevar"), ACTION_REFUSED, true, NOT_IN_3 "use expirevar"},
	{SPAN_INIT("drop"), ACTION_DROP, false, NULL},
	{SPAN_INIT("exec"), ACTION_EXEC, true, NULL},
	{SPAN_INIT("expirevar"), ACTION_EXPIREVAR, true, NULL},
	{SPAN_INIT("id"), ACTION_ID, true, NULL},
	{SPAN_INIT("initcol"), ACTION_INITCOL, true, NULL},
	{SPAN_INIT("log"), ACTION_LOG, false, NULL},
	{SPAN_INIT("logdata"), ACTION_LOGDATA, true, NULL},
	{SPAN_INIT("maturity"), ACTION_IGNORED, true, NULL},
	{SPAN_INIT("msg"), ACTION_MSG, true, NULL},
	{SPAN_INIT("multiMatch"), ACTION_MULTI_MATCH, false, NULL},
	{SPAN_INIT("noauditlog"), ACTION_NOLOG, false, NULL},
	{SPAN_INIT("nolog"), ACTION_NOLOG, false, NULL},
	{SPAN_INIT("pass"), ACTION_PASS, false, NULL},
	{SPAN_INIT("pause"), ACTION_REFUSED, true, NOT_IN_3 "use the limits of routes"},
	{SPAN_INIT("phase"), ACTION_PHASE, true, NULL},
	{SPAN_INIT("prepend"), ACTION_REFUSED, true, NOT_IN_3 "responses are not written to"},
	{SPAN_INIT("proxy"), ACTION_REFUSED, true, NOT_IN_3 "routes say where requests go"},
	{SPAN_INIT("redirect"), ACTION_REDIRECT, true, NULL},
	{SPAN_INIT("rev"), ACTION_REV, true, NULL},
	/* What is logged is masked always. */
	{SPAN_INIT("sanitiseArg"), ACTION_IGNORED, true, NULL},
	{SPAN_INIT("sanitiseMatched"), ACTION_IGNORED, false, NULL},
	{SPAN_INIT("sanitiseMatchedBytes"), ACTION_IGNORED, false, NULL},
	{SPAN_INIT("sanitiseRequestHeader"), ACTION_IGNORED, true, NULL},
	{SPAN_INIT("sanitiseResponseHeader"), ACTION_IGNORED, true, NULL},
	{SPAN_INIT("setenv"), ACTION_SETENV, true, NULL},
	{SPAN_INIT("setrsc"), ACTION_SETRSC, true, NULL},
	{SPAN_INIT("setsid"), ACTION_SETSID, true, NULL},
	{SPAN_INIT("setuid"), ACTION_SETUID, true, NULL},
	{SPAN_INIT("setvar"), ACTION_SETVAR, true, NULL},
	{SPAN_INIT("severity"), ACTION_SEVERITY, true, NULL},
	{SPAN_INIT("skip"), ACTION_SKIP, true, NULL},
	{SPAN_INIT("skipAfter"), ACTION_SKIP_AFTER, true, NULL},
	{SPAN_INIT("status"), ACTION_STATUS, true, NULL},
	{SPAN_INIT("t"), ACTION_TRANSFORM, true, NULL},
	{SPAN_INIT("tag"), ACTION_TAG, true, NULL},
	{SPAN_INIT("ver"), ACTION_VER, true, NULL},
	{SPAN_INIT("xmlns"), ACTION_XMLNS, true, NULL},
};

static int apply(struct context *c, const struct action_name *name, struct span value)
{
	struct sec_actions *a = c->actions;

	switch (name->action) {
	case ACTION_ALLOW: return set_allow(c, value);
	case ACTION_BLOCK: a->disruptive = SEC_BLOCK; return 0;
	case ACTION_CAPTURE: a->capture = true; return 0;
	case ACTION_CHAIN: a->chain = true; return 0;
	case ACTION_CTL: return add_ctl(c, value);
	case ACTION_DENY: a->disruptive = SEC_DENY; return 0;
	case ACTION_DROP: a->disruptive = SEC_DROP; return 0;
	case ACTION_EXPIREVAR: return add_expirevar(c, value);
	case ACTION_EXEC: return add_exec(c, value);
	case ACTION_ID: return set_id(c, value);
	case ACTION_IGNORED: return 0;
	case ACTION_INITCOL: return add_initcol(c, value);
	case ACTION_LOG:
	case ACTION_NOLOG:
		a->log_given = true;
		a->log = name->action == ACTION_LOG;
		return 0;
	case ACTION_LOGDATA: a->logdata = value; return 0;
	case ACTION_MSG: a->msg = value; return 0;
	case ACTION_MULTI_MATCH: a->multi_match = true; return 0;
	case ACTION_PASS: a->disruptive = SEC_PASS; return 0;
	case ACTION_PHASE: return set_phase(c, value);
	case ACTION_REDIRECT:
		a->disruptive = SEC_REDIRECT;
		a->redirect = value;
		return 0;
	case ACTION_REFUSED:
		return err_set(c->err, ERR_INVALID, "the action %.*s is not supported: %s",
			       SPAN_ARG(name->name), name->why);
	case ACTION_REV: a->rev = value; return 0;
	case ACTION_SETENV: return add_setenv(c, value);
	case ACTION_SETRSC: return add_text_step(c, SEC_SETRSC, value);
	case ACTION_SETSID: return add_text_step(c, SEC_SETSID, value);
	case ACTION_SETUID: return add_text_step(c, SEC_SETUID, value);
	case ACTION_SETVAR: return add_setvar(c, value);
	case ACTION_SEVERITY: return set_severity(c, value);
	case ACTION_SKIP: return set_skip(c, value);
	case ACTION_SKIP_AFTER: a->skip_after = value; return 0;
	case ACTION_STATUS: return set_status(c, value);
	case ACTION_TAG: return add_tag(c, value);
	case ACTION_TRANSFORM: return add_transform(c, value);
	case ACTION_VER: a->ver = value; return 0;
	case ACTION_XMLNS: return add_xmlns(c, value);
	}
	return err_set(c->err, ERR_INTERNAL, "an action without a meaning");
}

/*
 * Cuts the first action off: its name, and its value without quotes and with \' as '. In a value
 * without quotes a comma ends it.
 */
static int cut_action(struct arena *arena, struct span *rest, struct span *name,
		      struct span *value, bool *has_value, struct err *err)
{
	struct span text = *rest;
	size_t i = 0;
	char *out;
	size_t len = 0;

	while (i < text.len && text.ptr[i] != ':' && text.ptr[i] != ',')
		i++;
	*name = span_trim(span_slice(text, 0, i));
	*has_value = i < text.len && text.ptr[i] == ':';
	*value = SPAN("");
	if (!*has_value) {
		*rest = i < text.len ? span_slice(text, i + 1, text.len) : SPAN_NONE;
		return 0;
	}
	for (i++; i < text.len && (text.ptr[i] == ' ' || text.ptr[i] == '\t');)
		i++;
	if (i < text.len && text.ptr[i] == '\'') {
		out = arena_alloc(arena, text.len - i);
		if (!out)
			return err_set(err, ERR_MEMORY, "no memory for actions");
		for (i++; i < text.len && text.ptr[i] != '\''; i++) {
			if (text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == '\'')
				i++;
			out[len++] = text.ptr[i];
		}
		if (i >= text.len)
			return err_set(err, ERR_SYNTAX, "a quote (') that is not closed");
		*value = span_of(out, len);
		i++;
		while (i < text.len && (text.ptr[i] == ' ' || text.ptr[i] == '\t'))
			i++;
		if (i < text.len && text.ptr[i] != ',')
			return err_set(err, ERR_SYNTAX, "something after the quote of %.*s",
				       SPAN_ARG(*name));
	} else {
		size_t start = i;

		while (i < text.len && text.ptr[i] != ',')
			i++;
		*value = span_trim(span_slice(text, start, i));
	}
	*rest = i < text.len ? span_slice(text, i + 1, text.len) : SPAN_NONE;
	return 0;
}

static const struct action_name *find_action(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(action_names); i++)
		if (span_eq_nocase(action_names[i].name, name))
			return &action_names[i];
	return NULL;
}

int sec_actions_parse(struct arena *arena, struct span text, struct sec_actions *actions,
		      struct err *err)
{
	struct context c = {arena, actions, err};
	struct span rest = span_trim(text);

	while (rest.ptr && rest.len > 0) {
		const struct action_name *known;
		struct span name;
		struct span value;
		bool has_value;

		if (cut_action(arena, &rest, &name, &value, &has_value, err) != 0)
			return -1;
		if (name.len == 0 && !has_value)
			continue;
		known = find_action(name);
		if (!known)
			return err_set(err, ERR_INVALID, "there is no action \"%.*s\"",
				       SPAN_ARG(name));
		if (known->takes_value && !has_value && known->action != ACTION_REFUSED)
			return err_set(err, ERR_SYNTAX, "%.*s needs a value", SPAN_ARG(name));
		if (apply(&c, known, value) != 0)
			return -1;
	}
	return 0;
}
