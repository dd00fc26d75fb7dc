#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "waf/transaction.h"

/* ---- names ----------------------------------------------------------------------------------- */

struct span variable_full_name(struct waf_transaction *t, enum variable variable,
			       struct span key)
{
	struct span name = variable_name(variable);
	struct span full;

	if (!key.ptr || !variable_is_collection(variable))
		return name;
	full = arena_printf(&t->arena, "%.*s:%.*s", SPAN_ARG(name), SPAN_ARG(key));
	if (!full.ptr) {
		t->failed = true;
		return name;
	}
	return full;
}

/* ---- values that are made when they are asked for --------------------------------------------- */

static void time_values(struct waf_transaction *t, enum variable variable)
{
	time_t now = (time_t)clock_unix_coarse_s();
	struct tm local;
	struct span text;

	if (!localtime_r(&now, &local))
		return;
	if (variable == VAR_TIME) {
		text = arena_printf(&t->arena, "%02d:%02d:%02d", local.tm_hour, local.tm_min,
				    local.tm_sec);
		t->failed |= !text.ptr;
		value_set(t, variable, text.ptr ? text : SPAN(""));
		return;
	}
	if (variable == VAR_TIME_EPOCH)
		value_set_number(t, variable, (uint64_t)now);
	else if (variable == VAR_TIME_DAY)
		value_set_number(t, variable, (uint64_t)local.tm_mday);
	else if (variable == VAR_TIME_HOUR)
		value_set_number(t, variable, (uint64_t)local.tm_hour);
	else if (variable == VAR_TIME_MIN)
		value_set_number(t, variable, (uint64_t)local.tm_min);
	else if (variable == VAR_TIME_MON)
		value_set_number(t, variable, (uint64_t)local.tm_mon);
	else if (variable == VAR_TIME_SEC)
		value_set_number(t, variable, (uint64_t)local.tm_sec);
	else if (variable == VAR_TIME_WDAY)
		value_set_number(t, variable, (uint64_t)local.tm_wday);
	else
		value_set_number(t, variable, (uint64_t)local.tm_year + 1900);
}

static void matched_values(struct waf_transaction *t, enum variable variable)
{
	struct value_list *list = &t->lists[variable];
	const struct matched *last =
		t->matched_count ? &t->matched[t->matched_count - 1] : NULL;

	list->count = 0;
	if (!last)
		return;
	if (variable == VAR_MATCHED_VAR) {
		list_add(t, list, SPAN_NONE, last->value);
	} else if (variable == VAR_MATCHED_VAR_NAME) {
		list_add(t, list, SPAN_NONE,
			 variable_full_name(t, (enum variable)last->variable, last->key));
	} else {
		for (uint32_t i = 0; i < t->matched_count; i++) {
			const struct matched *m = &t->matched[i];
			struct span name =
				variable_full_name(t, (enum variable)m->variable, m->key);

			list_add(t, list, name, variable == VAR_MATCHED_VARS ? m->value : name);
		}
	}
}

static void rule_values(struct waf_transaction *t, const struct rule *rule)
{
	struct value_list *list = &t->lists[VAR_RULE];
	const struct rule *first;

	list->count = 0;
	if (!rule)
		return;
	first = rule->first;
	list_add(t, list, SPAN("id"), value_number(t, rule->id));
	if (rule->rev.ptr || first->rev.ptr)
		list_add(t, list, SPAN("rev"), rule->rev.ptr ? rule->rev : first->rev);
	if (rule->severity >= 0 || first->severity >= 0)
		list_add(t, list, SPAN("severity"),
			 value_number(t,
				      rule->severity >= 0 ? rule->severity : first->severity));
	if (rule->source_message.ptr || first->source_message.ptr)
		list_add(t, list, SPAN("msg"),
			 macro_expand(t, rule,
				      rule->has_message ? &rule->message : &first->message));
}

static void environment_values(struct waf_transaction *t)
{
	struct value_list *list = &t->lists[VAR_ENV];

	if (list->count)
		return;
	for (char **at = environ; at && *at; at++) {
		struct span whole = span_cstr(*at);
		size_t equals = span_find_byte(whole, '=');
		struct span name = span_slice(whole, 0, equals);

		if (!outside_has_variable(t, name))
			list_add(t, list, name, span_slice(whole, equals + 1, whole.len));
	}
	for (uint32_t i = 0; i < t->environment.count; i++)
		if (t->environment.at[i].text.ptr)
			list_add(t, list, t->environment.at[i].key, t->environment.at[i].text);
}

static void full_request(struct waf_transaction *t)
{
	const struct value_list *headers = &t->lists[VAR_REQUEST_HEADERS];
	struct span body = t->lists[VAR_REQUEST_BODY].count
				   ? t->lists[VAR_REQUEST_BODY].at[0].text
				   : SPAN("");
	size_t size = body.len + 2;
	size_t len = 0;
	char *bytes;

	if (t->lists[VAR_FULL_REQUEST].count)
		return;
	for (uint32_t i = 0; i < headers->count; i++)
		size += headers->at[i].key.len + headers->at[i].text.len + 3;
	bytes = arena_alloc(&t->arena, size);
	if (!bytes) {
		t->failed = true;
		return;
	}
	for (uint32_t i = 0; i < headers->count; i++) {
		struct span parts[4] = {headers->at[i].key, SPAN(": "), headers->at[i].text,
					SPAN("\n")};

		for (int k = 0; k < 4; k++) {
			if (parts[k].len)
				memcpy(bytes + len, parts[k].ptr, parts[k].len);
			len += parts[k].len;
		}
	}
	bytes[len++] = '\n';
	bytes[len++] = '\n';
	if (body.len)
		memcpy(bytes + len, body.ptr, body.len);
	value_set(t, VAR_FULL_REQUEST, span_of(bytes, size));
	value_set_number(t, VAR_FULL_REQUEST_LENGTH, size);
}

static struct view collection_view(struct waf_transaction *t, enum collection_kind kind)
{
	struct collection_state *state = &t->collections[kind];
	struct collection_variable *variables;
	size_t count;

	if (!state->open)
		return (struct view){NULL, 0};
	if (!state->loaded) {
		state->loaded = true;
		if (collection_read(t->worker->collections, kind, state->key, clock_unix_ms(),
				    &t->arena, &variables, &count) != 0) {
			t->failed = true;
			return (struct view){NULL, 0};
		}
		for (size_t i = 0; i < count; i++)
			list_add(t, &state->values, variables[i].name, variables[i].value);
	}
	return (struct view){state->values.at, state->values.count};
}

/* Makes what is not there yet; most variables are set when the request comes. */
static void make_values(struct waf_transaction *t, const struct rule *rule,
			enum variable variable)
{
	switch ((int)variable) {
	case VAR_MATCHED_VAR:
	case VAR_MATCHED_VAR_NAME:
	case VAR_MATCHED_VARS:
	case VAR_MATCHED_VARS_NAMES: matched_values(t, variable); break;
	case VAR_TIME:
	case VAR_TIME_DAY:
	case VAR_TIME_EPOCH:
	case VAR_TIME_HOUR:
	case VAR_TIME_MIN:
	case VAR_TIME_MON:
	case VAR_TIME_SEC:
	case VAR_TIME_WDAY:
	case VAR_TIME_YEAR: time_values(t, variable); break;
	case VAR_DURATION:
		value_set_number(t, variable, (uint64_t)(clock_ns() - t->started_ns) / 1000);
		break;
	case VAR_HIGHEST_SEVERITY:
		value_set_number(t, variable, (uint64_t)t->highest_severity);
		break;
	case VAR_RULE: rule_values(t, rule); break;
	case VAR_ENV: environment_values(t); break;
	case VAR_FULL_REQUEST:
	case VAR_FULL_REQUEST_LENGTH: full_request(t); break;
	case VAR_MODSEC_BUILD: value_set(t, variable, SPAN("030000900")); break;
	case VAR_WEBAPPID:
		value_set(t, variable, t->rules->document.settings.web_app_id);
		break;
	default: break;
	}
}

static struct view tx_view(struct waf_transaction *t, const struct selector *selector)
{
	struct value_list list = {NULL, 0, 0, 0};
	struct span value;

	if (selector->select != SEC_KEY)
		return tx_some(t, selector);
	value = tx_get(t, selector->tx, selector->key);
	if (!value.ptr)
		return (struct view){NULL, 0};
	list_add(t, &list, selector->key, value);
	return (struct view){list.at, list.count};
}

struct view resolve_view(struct waf_transaction *t, const struct rule *rule,
			 const struct selector *selector)
{
	enum variable variable = (enum variable)selector->variable;
	struct value_list *list = &t->lists[selector->list];
	uint32_t from_query = t->query_arguments;
	int kind;

	switch ((int)variable) {
	case VAR_TX: return tx_view(t, selector);
	case VAR_ARGS_GET:
	case VAR_ARGS_GET_NAMES: return (struct view){list->at, from_query};
	case VAR_ARGS_POST:
	case VAR_ARGS_POST_NAMES:
		if (!list->at)
			return (struct view){NULL, 0};
		return (struct view){list->at + from_query, list->count - from_query};
	case VAR_IP:
	case VAR_SESSION:
	case VAR_USER:
	case VAR_GLOBAL:
	case VAR_RESOURCE:
		kind = collection_kind_of(variable_name(variable));
		return collection_view(t, (enum collection_kind)kind);
	case VAR_XML:
		/* Without an expression it is the document, which is no text. */
		if (selector->select == SEC_ALL)
			value_set(t, variable, SPAN("[XML document tree]"));
		break;
	default: break;
	}
	make_values(t, rule, variable);
	/* Variables that are not collections always have a value, if an empty one. */
	if (list->count == 0 && !variable_is_collection(variable))
		value_set(t, variable, SPAN(""));
	return (struct view){list->at, list->count};
}

/* Whether the key has the literal (in lower case) at this place. */
static bool has_at(struct span key, size_t at, struct span literal)
{
	for (size_t i = 0; i < literal.len; i++)
		if (ascii_lower(key.ptr[at + i]) != literal.ptr[i])
			return false;
	return true;
}

bool operator_evaluate(struct waf_transaction *t, const struct operator* op,
		       struct span parameter, struct span value, struct operator_match *match)
{
	struct regex_scratch *scratch = t->worker->operator_scratch;
	bool matched;

	regex_scratch_set_left_ns(scratch, t->pattern_left_ns);
	matched = operator_match(op, scratch, parameter, value, match);
	t->pattern_left_ns = regex_scratch_left_ns(scratch);
	if (UNLIKELY(t->pattern_left_ns <= 0) && t->engine == SEC_ENGINE_ON && !t->failed) {
		struct err err;

		err_set(&err, ERR_LIMIT, "patterns take too long on what was sent");
		transaction_fail(t, &err);
	}
	return matched;
}

static bool pattern_accepts(struct waf_transaction *t, const struct selector *selector,
			    struct span key)
{
	struct span literal = selector->literal;

	if (selector->pattern_kind == PATTERN_ANY)
		return operator_evaluate(t, selector->pattern, SPAN_NONE, key, NULL);
	if (key.len < literal.len)
		return false;
	if (selector->pattern_kind == PATTERN_PREFIX && has_at(key, 0, literal))
		return true;
	/* "^" holds behind a line end too. */
	for (size_t at = 1; at + literal.len <= key.len; at++)
		if ((selector->pattern_kind == PATTERN_SUBSTRING || key.ptr[at - 1] == '\n') &&
		    has_at(key, at, literal))
			return true;
	return selector->pattern_kind == PATTERN_SUBSTRING && has_at(key, 0, literal);
}

bool selector_accepts(struct waf_transaction *t, const struct selector *selector,
		      struct span key)
{
	switch ((enum sec_select)selector->select) {
	case SEC_ALL:
	case SEC_XPATH: return true;
	case SEC_KEY: return span_eq_nocase(selector->key, key);
	case SEC_PATTERN: return pattern_accepts(t, selector, key);
	}
	return false;
}

/* ---- macros ---------------------------------------------------------------------------------- */

static struct span piece_value(struct waf_transaction *t, const struct rule *rule,
			       const struct macro_piece *piece)
{
	struct selector selector = {
		.variable = (uint16_t)piece->variable,
		.list = variable_list(piece->variable),
		.select = piece->key.len ? SEC_KEY : SEC_ALL,
		.tx = piece->tx,
		.key = piece->key,
	};
	struct view view;

	if (piece->variable == VAR_NONE)
		return piece->text;
	if (piece->variable == VAR_TX)
		return tx_get(t, piece->tx, piece->key);
	view = resolve_view(t, rule, &selector);
	for (uint32_t i = 0; i < view.count; i++)
		if (selector_accepts(t, &selector, view.at[i].key))
			return view.at[i].text;
	return SPAN("");
}

struct span macro_expand(struct waf_transaction *t, const struct rule *rule,
			 const struct macro *macro)
{
	struct span parts[16];
	struct span rest = SPAN("");
	size_t total = 0;
	size_t len = 0;
	char *bytes;

	if (macro_is_constant(macro))
		return macro_text(macro);
	if (macro->count == 1) {
		struct span only = piece_value(t, rule, &macro->pieces[0]);

		return only.ptr ? only : SPAN("");
	}
	if (macro->count > COUNT_OF(parts)) {
		/* Long messages: the first pieces, then the rest by itself. */
		struct macro tail = {macro->pieces + COUNT_OF(parts),
				     macro->count - (uint32_t)COUNT_OF(parts)};

		rest = macro_expand(t, rule, &tail);
	}
	for (uint32_t i = 0; i < macro->count && i < COUNT_OF(parts); i++) {
		parts[i] = piece_value(t, rule, &macro->pieces[i]);
		total += parts[i].len;
	}
	bytes = arena_alloc(&t->arena, total + rest.len + 1);
	if (!bytes) {
		t->failed = true;
		return SPAN("");
	}
	for (uint32_t i = 0; i < macro->count && i < COUNT_OF(parts); i++) {
		if (parts[i].len)
			memcpy(bytes + len, parts[i].ptr, parts[i].len);
		len += parts[i].len;
	}
	if (rest.len)
		memcpy(bytes + len, rest.ptr, rest.len);
	return span_of(bytes, len + rest.len);
}
