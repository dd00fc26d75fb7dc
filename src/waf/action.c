#include "base/clock.h"
#include "waf/transaction.h"

/* ---- setvar ---------------------------------------------------------------------------------- */

static struct span sum(struct waf_transaction *t, struct span before, struct span by,
		       enum sec_operation operation, struct span *delta)
{
	int64_t value = operator_to_int(before);
	int64_t change = operator_to_int(by);

	if (operation == SEC_SUBTRACT)
		change = -change;
	*delta = by;
	/* Numbers are those of an int, as they are where rules come from. */
	return value_number(t, (int64_t)(int32_t)(uint32_t)(uint64_t)(value + change));
}

static void set_tx(struct waf_transaction *t, const struct setvar *set, struct span name,
		   struct span value)
{
	struct span delta;

	switch ((enum sec_operation)set->operation) {
	case SEC_UNSET: tx_unset(t, set->tx, name); return;
	case SEC_SET:
		if (set->never_slot)
			tx_set_more(t, name, value);
		else
			tx_set(t, set->tx, name, value);
		return;
	case SEC_ADD:
	case SEC_SUBTRACT:
		tx_set(t, set->tx, name,
		       sum(t, tx_get(t, set->tx, name), value,
			   (enum sec_operation)set->operation, &delta));
		if (set->score) {
			int points = operator_to_int(delta);

			t->score_rule += points;
			if (set->outbound)
				t->score_out += points;
			else
				t->score_in += points;
		}
		return;
	}
}

static struct span stored_value(const struct value_list *values, struct span name)
{
	for (uint32_t i = 0; i < values->count; i++)
		if (span_eq_nocase(values->at[i].key, name))
			return values->at[i].text;
	return SPAN_NONE;
}

static void store_value(struct waf_transaction *t, struct value_list *values, struct span name,
			struct span value)
{
	for (uint32_t i = 0; i < values->count; i++) {
		if (span_eq_nocase(values->at[i].key, name)) {
			values->at[i] = (struct value){values->at[i].key, value, NULL};
			return;
		}
	}
	list_add(t, values, name, value);
}

static void unstore_value(struct value_list *values, struct span name)
{
	for (uint32_t i = 0; i < values->count; i++) {
		if (span_eq_nocase(values->at[i].key, name)) {
			values->at[i] = values->at[--values->count];
			return;
		}
	}
}

/* Others count at the same time: what counts is what is stored now, not what was read before. */
static bool add_stored(struct waf_transaction *t, const struct setvar *set,
		       enum collection_kind kind, struct span name, struct span by)
{
	struct collection_state *state = &t->collections[kind];
	int64_t change = operator_to_int(by);
	int64_t now;

	if (!collection_add(t->worker->collections, kind, state->key, name,
			    set->operation == SEC_SUBTRACT ? -change : change,
			    t->rules->document.settings.collection_timeout_s, clock_unix_ms(),
			    &now))
		return false;
	store_value(t, &state->values, name, value_number(t, now));
	return true;
}

static void set_stored(struct waf_transaction *t, const struct rule *rule,
		       const struct setvar *set, struct span name, struct span value)
{
	enum variable variable = (enum variable)set->variable;
	int kind = collection_kind_of(variable_name(variable));
	struct collection_state *state = &t->collections[kind];
	struct selector all = {
		.variable = set->variable, .list = variable_list(variable), .select = SEC_ALL};
	struct span delta;

	if (!state->open)
		return;
	/* What was stored is read first, so that both copies agree. */
	(void)resolve_view(t, rule, &all);
	if (set->operation == SEC_UNSET) {
		unstore_value(&state->values, name);
		collection_remove(t->worker->collections, (enum collection_kind)kind,
				  state->key, name);
		return;
	}
	if (set->operation != SEC_SET) {
		if (add_stored(t, set, (enum collection_kind)kind, name, value))
			return;
		value = sum(t, stored_value(&state->values, name), value,
			    (enum sec_operation)set->operation, &delta);
	}
	store_value(t, &state->values, name, value);
	collection_set(t->worker->collections, (enum collection_kind)kind, state->key,
		       (struct collection_variable){name, value},
		       t->rules->document.settings.collection_timeout_s, clock_unix_ms());
}

/* ---- rules that are switched off ------------------------------------------------------------- */

bool step_means_rule(const struct step *step, const struct rule *rule)
{
	switch ((enum sec_step_kind)step->kind) {
	case SEC_CTL_REMOVE_BY_ID:
	case SEC_CTL_REMOVE_TARGET_BY_ID:
		return rule->id >= step->first && rule->id <= step->last;
	case SEC_CTL_REMOVE_BY_TAG:
	case SEC_CTL_REMOVE_TARGET_BY_TAG:
		for (size_t i = 0; i < rule->tag_count; i++)
			if (span_eq(rule->tags[i], step->tag))
				return true;
		return false;
	case SEC_CTL_REMOVE_BY_SOURCE: return span_eq(rule->place.file, step->tag);
	case SEC_CTL_REMOVE_BY_MSG:
	case SEC_CTL_REMOVE_TARGET_BY_MSG:
		return rule->has_message && span_eq(rule->source_message, step->tag);
	case SEC_CTL_RULE_ENGINE:
	case SEC_CTL_BODY_PROCESSOR:
	case SEC_CTL_REQUEST_BODY_ACCESS:
	case SEC_CTL_RESPONSE_BODY_ACCESS:
	case SEC_CTL_REQUEST_BODY_LIMIT:
	case SEC_CTL_RESPONSE_BODY_LIMIT:
	case SEC_INITCOL:
	case SEC_EXPIREVAR:
	case SEC_SETSID:
	case SEC_SETUID:
	case SEC_SETRSC:
	case SEC_SETENV:
	case SEC_EXEC: return false;
	}
	return false;
}

void remove_rules(struct waf_transaction *t, const struct step *step)
{
	const struct waf_rules *rules = t->rules;
	size_t size = (rules->number_count + 7) / 8;
	uint8_t *bits = arena_zalloc(&t->arena, 1, size + 1);

	if (!bits) {
		t->failed = true;
		return;
	}
	if (t->removed)
		memcpy(bits, t->removed, size);
	for (unsigned phase = 1; phase <= SEC_PHASES; phase++) {
		for (uint32_t i = 0; i < rules->phases[phase].count; i++) {
			const struct rule *rule = rules->phases[phase].at[i];

			if (step_means_rule(step, rule))
				bits[rule->number / 8] |= (uint8_t)(1 << (rule->number % 8));
		}
	}
	t->removed = bits;
}

void remove_targets(struct waf_transaction *t, const struct step *step)
{
	const struct waf_rules *rules = t->rules;

	if (!t->removed_targets_are_own) {
		struct removed_target **all = arena_array(&t->arena, struct removed_target *,
							  rules->number_count + 1);

		if (!all) {
			t->failed = true;
			return;
		}
		if (t->removed_targets)
			memcpy(all, t->removed_targets, rules->number_count * sizeof(*all));
		t->removed_targets = all;
		t->removed_targets_are_own = true;
	}
	for (unsigned phase = 1; phase <= SEC_PHASES; phase++) {
		for (uint32_t i = 0; i < rules->phases[phase].count; i++) {
			const struct rule *rule = rules->phases[phase].at[i];
			struct removed_target *one;

			if (!step_means_rule(step, rule))
				continue;
			one = arena_new(&t->arena, struct removed_target);
			if (!one) {
				t->failed = true;
				return;
			}
			one->selector = &step->target;
			one->next = t->removed_targets[rule->number];
			t->removed_targets[rule->number] = one;
		}
	}
}

void waf_remove_source(struct waf_transaction *t, struct span source)
{
	struct step step = {.kind = SEC_CTL_REMOVE_BY_SOURCE, .tag = source};

	remove_rules(t, &step);
}

/* ---- the other actions ----------------------------------------------------------------------- */

static void open_collection(struct waf_transaction *t, enum variable variable, struct span key)
{
	int kind = collection_kind_of(variable_name(variable));

	t->collections[kind] = (struct collection_state){.open = true, .key = key};
}

static void expire(struct waf_transaction *t, const struct rule *rule, const struct step *step)
{
	int kind = collection_kind_of(variable_name((enum variable)step->target.variable));
	int64_t seconds = operator_to_int(macro_expand(t, rule, &step->text));

	if (t->collections[kind].open)
		collection_expire(t->worker->collections, (enum collection_kind)kind,
				  t->collections[kind].key, macro_expand(t, rule, &step->name),
				  clock_unix_ms() + seconds * 1000);
}

/* The configuration's mode is the most that ctl:ruleEngine can ask for. */
static void set_engine(struct waf_transaction *t, enum sec_engine engine)
{
	if (engine == SEC_ENGINE_ON && t->policy->mode != WAF_BLOCK)
		engine = SEC_ENGINE_DETECT;
	t->engine = engine;
}

static void do_step(struct waf_transaction *t, const struct rule *rule, const struct step *step)
{
	switch ((enum sec_step_kind)step->kind) {
	case SEC_CTL_RULE_ENGINE: set_engine(t, (enum sec_engine)step->value); return;
	case SEC_CTL_BODY_PROCESSOR:
		t->processor = step->tag;
		value_set(t, VAR_REQBODY_PROCESSOR, step->tag);
		return;
	case SEC_CTL_REQUEST_BODY_ACCESS: t->body_wanted = step->value != 0; return;
	case SEC_CTL_RESPONSE_BODY_ACCESS: t->response_body_wanted = step->value != 0; return;
	case SEC_CTL_REQUEST_BODY_LIMIT:
		if (step->value < t->body_limit)
			t->body_limit = step->value;
		return;
	case SEC_CTL_RESPONSE_BODY_LIMIT:
		if (step->value < t->response_limit)
			t->response_limit = step->value;
		return;
	case SEC_CTL_REMOVE_BY_ID:
	case SEC_CTL_REMOVE_BY_TAG:
	case SEC_CTL_REMOVE_BY_MSG:
	case SEC_CTL_REMOVE_BY_SOURCE: remove_rules(t, step); return;
	case SEC_CTL_REMOVE_TARGET_BY_ID:
	case SEC_CTL_REMOVE_TARGET_BY_TAG:
	case SEC_CTL_REMOVE_TARGET_BY_MSG: remove_targets(t, step); return;
	case SEC_INITCOL:
		open_collection(t, (enum variable)step->target.variable,
				macro_expand(t, rule, &step->text));
		return;
	case SEC_EXPIREVAR: expire(t, rule, step); return;
	case SEC_SETSID:
		value_set(t, VAR_SESSIONID, macro_expand(t, rule, &step->text));
		open_collection(t, VAR_SESSION, t->lists[VAR_SESSIONID].at[0].text);
		return;
	case SEC_SETUID:
		value_set(t, VAR_USERID, macro_expand(t, rule, &step->text));
		open_collection(t, VAR_USER, t->lists[VAR_USERID].at[0].text);
		return;
	case SEC_SETRSC:
		open_collection(t, VAR_RESOURCE, macro_expand(t, rule, &step->text));
		return;
	case SEC_SETENV: outside_set_environment(t, rule, step); return;
	case SEC_EXEC: outside_execute(t, rule, step); return;
	}
}

static bool opens_collection(const struct step *step)
{
	return step->kind == SEC_INITCOL || step->kind == SEC_SETSID ||
	       step->kind == SEC_SETUID || step->kind == SEC_SETRSC;
}

void actions_on_match(struct waf_transaction *t, const struct rule *rule)
{
	/* Collections first: the same rule may write to them. */
	for (unsigned i = 0; i < rule->step_count; i++)
		if (opens_collection(&rule->steps[i]))
			do_step(t, rule, &rule->steps[i]);
	for (unsigned i = 0; i < rule->setvar_count; i++) {
		const struct setvar *set = &rule->setvars[i];
		struct span name = macro_expand(t, rule, &set->name);
		struct span value = macro_expand(t, rule, &set->value);

		if (set->variable == VAR_TX)
			set_tx(t, set, name, value);
		else
			set_stored(t, rule, set, name, value);
	}
}

static struct waf_verdict make_verdict(struct waf_transaction *t, const struct rule *rule)
{
	struct waf_verdict verdict = {
		.action = WAF_BLOCKED,
		.status = t->status != 200 ? t->status : 403,
		.rule_id = rule->id,
	};

	if (rule->disruptive == SEC_DROP) {
		verdict.action = WAF_DROP;
	} else if (rule->disruptive == SEC_REDIRECT) {
		verdict.redirect = macro_expand(t, rule, &rule->redirect);
		if (t->status < 300 || t->status > 399)
			verdict.status = 302;
	}
	return verdict;
}

static void disrupt(struct waf_transaction *t, const struct rule *rule)
{
	switch ((enum sec_disruptive)rule->disruptive) {
	case SEC_NOT_DISRUPTIVE:
	case SEC_PASS:
	case SEC_BLOCK: return;
	case SEC_ALLOW:
	case SEC_ALLOW_PHASE:
	case SEC_ALLOW_REQUEST:
		if (t->engine == SEC_ENGINE_ON && !rule->observe)
			t->allow = (enum sec_disruptive)rule->disruptive;
		return;
	case SEC_DENY:
	case SEC_DROP:
	case SEC_REDIRECT: break;
	}
	if (t->engine == SEC_ENGINE_ON && t->phase < 5 && !rule->observe) {
		t->verdict = make_verdict(t, rule);
		t->decided = true;
	} else if (!t->would_decide && t->phase < 5) {
		t->would = make_verdict(t, rule);
		t->would_decide = true;
	}
}

void actions_after_match(struct waf_transaction *t, const struct rule *rule)
{
	if (rule->severity >= 0 && rule->severity < t->highest_severity)
		t->highest_severity = rule->severity;
	if (rule->status)
		t->status = rule->status;
	for (unsigned i = 0; i < rule->step_count; i++)
		if (!opens_collection(&rule->steps[i]))
			do_step(t, rule, &rule->steps[i]);
	disrupt(t, rule);
}
