#include "waf/operator_geo.h"
#include "waf/transaction.h"

static void trace(struct waf_transaction *t, const struct rule *rule, struct span variable,
		  struct span value, bool matched, const char *note)
{
	struct waf_step step = {
		.phase = rule->phase,
		.rule_id = rule->id,
		.file = rule->place.file,
		.line = rule->place.line,
		.variable = variable,
		.value = value,
		.matched = matched,
		.note = note,
	};

	t->trace(t->trace_context, &step);
}

/* ---- what has matched ------------------------------------------------------------------------ */

static void add_matched(struct waf_transaction *t, const struct selector *selector,
			struct span key, struct span text)
{
	if (t->matched_count == t->matched_cap) {
		uint32_t cap = t->matched_cap ? 2 * t->matched_cap : 8;
		struct matched *grown = arena_alloc(&t->arena, cap * sizeof(*grown));

		if (!grown) {
			t->failed = true;
			return;
		}
		if (t->matched_count)
			memcpy(grown, t->matched, t->matched_count * sizeof(*grown));
		t->matched = grown;
		t->matched_cap = cap;
	}
	t->matched[t->matched_count++] = (struct matched){selector->variable, key, text};
}

/* Captures point into values or into the worker's memory: fingerprints are copied. */
static void store_captures(struct waf_transaction *t, const struct operator_match *match)
{
	for (size_t i = 0; i < match->capture_count; i++) {
		struct span text = match->captures[i].text;
		uint32_t number = match->captures[i].number;

		if (text.ptr == match->fingerprint)
			text = value_copy(t, text);
		if (number < TX_CAPTURES)
			tx_set(t, number, t->rules->tx_names[number], text);
		else
			tx_set(t, TX_NO_SLOT, value_number(t, number), text);
	}
}

/* PCRE2 has given up on a value: the rules see it as libmodsecurity's users know it. */
static void note_limit(struct waf_transaction *t, const struct operator_match *match)
{
	if (match->error == OPERATOR_ERROR_MEMORY) {
		t->failed = true;
		return;
	}
	value_set(t, VAR_MSC_PCRE_ERROR, SPAN("1"));
	if (match->error != OPERATOR_ERROR_LIMIT)
		return;
	value_set(t, VAR_MSC_PCRE_LIMITS_EXCEEDED, SPAN("1"));
	tx_set(t, TX_NO_SLOT, SPAN("MSC_PCRE_LIMITS_EXCEEDED"), SPAN("1"));
}

/* geoLookup: what the database says of the address becomes GEO. */
static void set_geo(struct waf_transaction *t, struct span address)
{
	struct geo_record record;
	struct value_list *list = &t->lists[VAR_GEO];

	list->count = 0;
	if (!geo_lookup(t->rules->geo, address, &record))
		return;
	list_add(t, list, SPAN("COUNTRY_CODE"), record.country_code);
	list_add(t, list, SPAN("COUNTRY_NAME"), record.country_name);
	list_add(t, list, SPAN("COUNTRY_CONTINENT"), record.country_continent);
	list_add(t, list, SPAN("CITY"), record.city);
	list_add(t, list, SPAN("POSTAL_CODE"), record.postal_code);
	list_add(t, list, SPAN("LATITUDE"), value_copy(t, record.latitude));
	list_add(t, list, SPAN("LONGITUDE"), value_copy(t, record.longitude));
}

static void on_match(struct waf_transaction *t, const struct rule *rule,
		     const struct selector *selector, struct span key, struct span text)
{
	const struct operator_match *match = &t->worker->match;

	if (rule == rule->first || !t->seen.variable) {
		t->seen = (struct matched){selector->variable, key, text};
		t->piece = match->capture_count ? match->captures[0].text : text;
		if (t->piece.ptr == match->fingerprint)
			t->piece = text;
	}
	if (rule->capture)
		store_captures(t, match);
	if (operator_kind_of(rule->op) == OPERATOR_GEO_LOOKUP)
		set_geo(t, text);
	add_matched(t, selector, key, text);
	actions_on_match(t, rule);
	if (rule->multi_match && rule->log && rule == rule->first)
		match_add(t, rule);
}

/* ---- one value ------------------------------------------------------------------------------- */

/* Operators that do not look at the value alone. */
static bool test_special(struct waf_transaction *t, const struct rule *rule,
			 const struct selector *selector, struct span text, const char **note)
{
	if (operator_is_of_xml(operator_kind_of(rule->op)))
		return operator_match_xml(rule->op, t->xml);
	return outside_test(t, rule, selector, text, note);
}

static bool test(struct waf_transaction *t, const struct rule *rule,
		 const struct selector *selector, struct span parameter, struct span key,
		 struct span text)
{
	struct operator_match *match = &t->worker->match;
	const char *note = NULL;
	bool matched;

	match->capture_count = 0;
	match->error = OPERATOR_OK;
	matched = UNLIKELY(rule->special)
			  ? test_special(t, rule, selector, text, &note)
			  : operator_evaluate(t, rule->op, parameter, text, match);
	if (match->error != OPERATOR_OK)
		note_limit(t, match);
	if (t->trace)
		trace(t, rule, variable_full_name(t, (enum variable)selector->variable, key),
		      text, matched, note);
	if (!matched)
		return false;
	on_match(t, rule, selector, key, text);
	return true;
}

static bool is_excluded(struct waf_transaction *t, const struct rule *rule,
			const struct selector *selector, struct span key)
{
	for (unsigned i = 0; i < rule->exclusion_count; i++)
		if (rule->exclusions[i].variable == selector->variable &&
		    selector_accepts(t, &rule->exclusions[i], key))
			return true;
	if (!t->removed_targets || rule != rule->first)
		return false;
	for (const struct removed_target *at = t->removed_targets[rule->number]; at;
	     at = at->next)
		if (at->selector->variable == selector->variable &&
		    selector_accepts(t, at->selector, key))
			return true;
	return false;
}

/* multiMatch: the value as it came, and after each transformation that changes it. */
static bool test_each_step(struct waf_transaction *t, const struct rule *rule,
			   const struct selector *selector, struct span parameter,
			   struct value *value)
{
	uint16_t path[UINT8_MAX];
	unsigned depth = 0;
	uint8_t last = 0;
	bool matched;

	for (uint16_t chain = rule->chain; chain != 0; chain = t->rules->chains[chain].parent)
		path[depth++] = chain;
	matched = test(t, rule, selector, parameter, value->key, value->text);
	while (depth > 0) {
		uint8_t number;
		struct span text = value_text(t, value, path[--depth], &number);

		if (number == last)
			continue;
		last = number;
		matched |= test(t, rule, selector, parameter, value->key, text);
	}
	return matched;
}

static bool test_value(struct waf_transaction *t, const struct rule *rule,
		       const struct selector *selector, struct span parameter,
		       struct value *value)
{
	if (!selector_accepts(t, selector, value->key))
		return false;
	if ((rule->exclusion_count || t->removed_targets) &&
	    is_excluded(t, rule, selector, value->key))
		return false;
	if (rule->multi_match)
		return test_each_step(t, rule, selector, parameter, value);
	return test(t, rule, selector, parameter, value->key,
		    value_text(t, value, rule->chain, NULL));
}

/* ---- one rule -------------------------------------------------------------------------------- */

static bool test_count(struct waf_transaction *t, const struct rule *rule,
		       const struct selector *selector, struct span parameter)
{
	struct view view = resolve_view(t, rule, selector);
	struct value value = {.key = SPAN_NONE};
	uint32_t count = 0;

	for (uint32_t i = 0; i < view.count; i++)
		if (selector_accepts(t, selector, view.at[i].key) &&
		    !is_excluded(t, rule, selector, view.at[i].key))
			count++;
	if (selector->select == SEC_KEY)
		value.key = selector->key;
	value.text = count < 2 ? (count ? SPAN("1") : SPAN("0")) : value_number(t, count);
	if (rule->multi_match)
		return test_each_step(t, rule, selector, parameter, &value);
	return test(t, rule, selector, parameter, value.key,
		    value_text(t, &value, rule->chain, NULL));
}

static bool test_view(struct waf_transaction *t, const struct rule *rule,
		      const struct selector *selector, struct span parameter)
{
	struct view view;
	bool matched = false;

	if (selector->count)
		return test_count(t, rule, selector, parameter);
	view = resolve_view(t, rule, selector);
	/* Rules that run may add to TX, never to a list that is walked. */
	for (uint32_t i = 0; i < view.count; i++)
		matched |= test_value(t, rule, selector, parameter, &view.at[i]);
	return matched;
}

/* Whether the value of the hit is among those that the selector means. */
static bool in_view(const struct waf_transaction *t, const struct selector *selector,
		    const struct hit *hit)
{
	enum variable variable = (enum variable)selector->variable;

	if (selector->list != hit->list)
		return false;
	if (variable == VAR_ARGS_GET || variable == VAR_ARGS_GET_NAMES)
		return hit->index < t->query_arguments;
	if (variable == VAR_ARGS_POST || variable == VAR_ARGS_POST_NAMES)
		return hit->index >= t->query_arguments;
	return true;
}

static bool test_hits(struct waf_transaction *t, const struct rule *rule,
		      const struct selector *selector, struct span parameter)
{
	bool matched = false;

	for (const struct hit *hit = t->hits[rule->prefilter].first; hit; hit = hit->next)
		if (in_view(t, selector, hit))
			matched |= test_value(t, rule, selector, parameter,
					      &t->lists[hit->list].at[hit->index]);
	return matched;
}

static bool test_rule(struct waf_transaction *t, const struct rule *rule)
{
	bool prefiltered = t->hits && rule->prefilter != NO_PREFILTER;
	struct span parameter = SPAN_NONE;
	bool matched = false;

	if (rule->parameter)
		parameter = macro_expand(t, rule, rule->parameter);
	for (unsigned i = 0; i < rule->selector_count; i++) {
		const struct selector *selector = &rule->selectors[i];

		matched |= prefiltered ? test_hits(t, rule, selector, parameter)
				       : test_view(t, rule, selector, parameter);
	}
	return matched;
}

static bool run_link(struct waf_transaction *t, const struct rule *rule)
{
	if (rule->unconditional) {
		actions_on_match(t, rule);
	} else if (!test_rule(t, rule)) {
		t->matched_count = 0;
		return false;
	}
	/* As deep as chains are long, which is limited. */
	if (rule->link && !run_link(t, rule->link)) /* NOLINT(misc-no-recursion) */
		return false;
	actions_after_match(t, rule);
	return true;
}

static bool is_removed(const struct waf_transaction *t, const struct rule *rule)
{
	return t->removed && (t->removed[rule->number / 8] >> (rule->number % 8) & 1);
}

static bool run_rule(struct waf_transaction *t, const struct rule *rule)
{
	if (is_removed(t, rule)) {
		if (t->trace)
			trace(t, rule, SPAN_NONE, SPAN_NONE, false, "excluded");
		return false;
	}
	t->score_rule = 0;
	t->seen.variable = VAR_NONE;
	t->piece = SPAN("");
	if (!run_link(t, rule)) {
		if (t->trace)
			trace(t, rule, SPAN_NONE, SPAN_NONE, false, NULL);
		return false;
	}
	if (t->trace && rule->unconditional)
		trace(t, rule, SPAN_NONE, SPAN_NONE, true, NULL);
	if (rule->log && !rule->multi_match)
		match_add(t, rule);
	return true;
}

/* ---- a phase --------------------------------------------------------------------------------- */

static bool is_allowed(struct waf_transaction *t, unsigned phase)
{
	if (t->allow == SEC_ALLOW && phase != 5)
		return true;
	if (t->allow == SEC_ALLOW_REQUEST && phase <= 2)
		return true;
	t->allow = SEC_NOT_DISRUPTIVE;
	return false;
}

void engine_run(struct waf_transaction *t, unsigned phase)
{
	const struct phase_rules *rules = &t->rules->phases[phase];
	uint32_t i = 0;

	t->phase = phase;
	if (t->engine == SEC_ENGINE_OFF || is_allowed(t, phase))
		return;
	if (t->hits)
		prefilter_scan(t, phase);
	while (i < rules->count && !t->failed) {
		const struct rule *rule = rules->at[i++];

		if (t->hits && rule->prefilter != NO_PREFILTER &&
		    !t->hits[rule->prefilter].first) {
			t->matched_count = 0;
			continue;
		}
		if (!run_rule(t, rule))
			continue;
		if ((t->decided && phase < 5) || t->allow != SEC_NOT_DISRUPTIVE ||
		    t->engine == SEC_ENGINE_OFF)
			return;
		if (rule->skip_to != NO_SKIP)
			i = rule->skip_to;
		else if (rule->skip)
			i += rule->skip;
	}
}
