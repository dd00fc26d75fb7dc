#include "waf/compile.h"

#include "base/mem.h"
#include "waf/prefilter.h"

static int no_memory(struct compiler *c)
{
	return err_set(c->err, ERR_MEMORY, "no memory for rules");
}

unsigned compile_phase(const struct sec_rule *first)
{
	return first->actions.phase ? first->actions.phase : 2;
}

/* ---- transformations ------------------------------------------------------------------------- */

size_t compile_transforms(const struct compiler *c, const struct sec_rule *rule, unsigned phase,
			  enum transform to[2 * SEC_TRANSFORMS_MAX])
{
	const struct sec_actions *defaults = &c->rules->document.defaults[phase];
	const struct sec_actions *own = &rule->actions;
	size_t count = 0;

	if (!own->no_inherit)
		for (size_t i = 0; i < defaults->transform_count; i++)
			to[count++] = defaults->transforms[i];
	for (size_t i = 0; i < own->transform_count; i++)
		to[count++] = own->transforms[i];
	return count;
}

static int chain_step(struct compiler *c, uint16_t parent, enum transform t, uint16_t *chain)
{
	struct waf_rules *rules = c->rules;

	for (uint32_t i = 1; i < rules->chain_count; i++) {
		if (rules->chains[i].parent == parent && rules->chains[i].transform == t) {
			*chain = (uint16_t)i;
			return 0;
		}
	}
	if (rules->chain_count == CHAINS_MAX)
		return err_set(c->err, ERR_LIMIT, "more than %d chains of transformations",
			       CHAINS_MAX);
	rules->chains[rules->chain_count] = (struct chain){
		.parent = parent,
		.transform = (uint8_t)t,
		.length = (uint8_t)(rules->chains[parent].length + 1),
	};
	*chain = (uint16_t)rules->chain_count++;
	return 0;
}

static int compile_chain(struct compiler *c, const struct sec_rule *rule, unsigned phase,
			 uint16_t *chain)
{
	enum transform transforms[2 * SEC_TRANSFORMS_MAX];
	size_t count = compile_transforms(c, rule, phase, transforms);

	*chain = 0;
	for (size_t i = 0; i < count; i++)
		if (chain_step(c, *chain, transforms[i], chain) != 0)
			return -1;
	return 0;
}

/* ---- actions --------------------------------------------------------------------------------- */

static bool is_score(struct span name, bool *outbound)
{
	size_t at = span_find(name, SPAN("anomaly_score_pl"));

	*outbound = span_starts_with(name, SPAN("outbound"));
	return at + SPAN("anomaly_score_pl").len + 1 == name.len;
}

static int compile_setvar(struct compiler *c, const struct sec_setvar *from, struct setvar *to)
{
	*to = (struct setvar){.variable = (uint16_t)from->variable,
			      .operation = (uint8_t)from->operation,
			      .tx = TX_NO_SLOT};
	if (compile_macro(c, from->name, false, &to->name) != 0 ||
	    compile_macro(c, from->value, false, &to->value) != 0)
		return -1;
	if (from->variable != VAR_TX || !macro_is_constant(&to->name))
		return 0;
	to->tx = compile_tx_slot(c, from->name);
	if (to->tx == TX_NO_SLOT)
		return no_memory(c);
	to->score = from->operation == SEC_ADD &&
		    is_score(c->rules->tx_names[to->tx], &to->outbound);
	return 0;
}

static int compile_setvars(struct compiler *c, const struct sec_actions *actions,
			   struct rule *rule)
{
	struct setvar *all =
		arena_array(&c->rules->arena, struct setvar, actions->setvar_count + 1);

	if (!all)
		return no_memory(c);
	for (size_t i = 0; i < actions->setvar_count; i++)
		if (compile_setvar(c, &actions->setvars[i], &all[i]) != 0)
			return -1;
	rule->setvars = all;
	rule->setvar_count = (uint16_t)actions->setvar_count;
	return 0;
}

static int compile_step(struct compiler *c, struct span file, const struct sec_step *from,
			struct step *to)
{
	uint32_t program;

	*to = (struct step){.kind = (uint8_t)from->kind,
			    .first = from->first,
			    .last = from->last,
			    .value = from->value,
			    .tag = from->text};
	if (compile_macro(c, from->text, true, &to->text) != 0)
		return -1;
	switch (from->kind) {
	case SEC_CTL_REMOVE_TARGET_BY_ID:
	case SEC_CTL_REMOVE_TARGET_BY_TAG:
	case SEC_CTL_REMOVE_TARGET_BY_MSG:
		return compile_selector(c, &from->target, &to->target);
	case SEC_EXPIREVAR:
		to->target.variable = (uint16_t)from->target.variable;
		return compile_macro(c, from->target.key, false, &to->name);
	case SEC_INITCOL: to->target.variable = (uint16_t)from->target.variable; return 0;
	case SEC_SETENV: to->tag = from->target.key; return 0;
	case SEC_EXEC:
		if (compile_program(c, file, from->text, &program, c->err) != 0)
			return err_wrap(c->err, "exec");
		to->value = program;
		return 0;
	case SEC_CTL_RULE_ENGINE:
	case SEC_CTL_BODY_PROCESSOR:
	case SEC_CTL_REQUEST_BODY_ACCESS:
	case SEC_CTL_RESPONSE_BODY_ACCESS:
	case SEC_CTL_REQUEST_BODY_LIMIT:
	case SEC_CTL_RESPONSE_BODY_LIMIT:
	case SEC_CTL_REMOVE_BY_ID:
	case SEC_CTL_REMOVE_BY_TAG:
	case SEC_CTL_REMOVE_BY_MSG:
	case SEC_CTL_REMOVE_BY_SOURCE:
	case SEC_SETSID:
	case SEC_SETUID:
	case SEC_SETRSC: return 0;
	}
	return 0;
}

static int compile_steps(struct compiler *c, const struct sec_actions *actions,
			 struct rule *rule)
{
	struct step *all = arena_array(&c->rules->arena, struct step, actions->step_count + 1);

	if (!all)
		return no_memory(c);
	for (size_t i = 0; i < actions->step_count; i++)
		if (compile_step(c, rule->place.file, &actions->steps[i], &all[i]) != 0)
			return -1;
	rule->steps = all;
	rule->step_count = (uint16_t)actions->step_count;
	return 0;
}

static void compile_disruptive(struct compiler *c, const struct sec_actions *actions,
			       struct rule *rule)
{
	const struct sec_actions *defaults = &c->rules->document.defaults[rule->phase];

	rule->disruptive = (uint8_t)actions->disruptive;
	rule->status = (uint16_t)actions->status;
	if (actions->disruptive == SEC_BLOCK) {
		rule->disruptive = (uint8_t)defaults->disruptive;
		if (!rule->status)
			rule->status = (uint16_t)defaults->status;
	}
}

static int compile_actions(struct compiler *c, const struct sec_rule *from, struct rule *rule)
{
	const struct sec_actions *actions = &from->actions;
	const struct sec_actions *defaults = &c->rules->document.defaults[rule->phase];

	rule->capture = actions->capture;
	rule->observe = from->observe;
	rule->multi_match = actions->multi_match;
	rule->log = actions->log_given ? actions->log : defaults->log;
	rule->severity = (int16_t)actions->severity;
	rule->tags = actions->tags;
	rule->tag_count = actions->tag_count;
	rule->rev = actions->rev;
	rule->ver = actions->ver;
	rule->source_message = actions->msg;
	rule->has_message = actions->msg.ptr != NULL;
	rule->has_data = actions->logdata.ptr != NULL;
	rule->skip = actions->skip;
	compile_disruptive(c, actions, rule);
	if (compile_macro(c, actions->msg, true, &rule->message) != 0 ||
	    compile_macro(c, actions->logdata, true, &rule->data) != 0 ||
	    compile_macro(c, actions->redirect, true, &rule->redirect) != 0)
		return -1;
	if (actions->xmlns_count) {
		c->rules->xmlns = actions->xmlns;
		c->rules->xmlns_count = actions->xmlns_count;
	}
	if (compile_setvars(c, actions, rule) != 0)
		return -1;
	return compile_steps(c, actions, rule);
}

/* ---- variables and operator ------------------------------------------------------------------ */

static int compile_selectors(struct compiler *c, const struct sec_rule *from, struct rule *rule)
{
	size_t count = from->targets.count;
	struct selector *wanted = arena_array(&c->rules->arena, struct selector, count + 1);
	struct selector *excluded = arena_array(&c->rules->arena, struct selector, count + 1);

	if (!wanted || !excluded)
		return no_memory(c);
	if (count > UINT16_MAX)
		return err_set(c->err, ERR_LIMIT, "too many variables");
	rule->selectors = wanted;
	rule->exclusions = excluded;
	for (size_t i = 0; i < count; i++) {
		const struct sec_target *target = &from->targets.at[i];
		struct selector *to = target->exclude ? &excluded[rule->exclusion_count++]
						      : &wanted[rule->selector_count++];

		if (compile_selector(c, target, to) != 0)
			return -1;
	}
	return 0;
}

static int compile_test(struct compiler *c, const struct sec_rule *from, struct rule *rule)
{
	struct span parameter = from->operator_text.parameter;
	struct macro *macro = arena_new(&c->rules->arena, struct macro);
	bool dynamic = false;

	if (!macro)
		return no_memory(c);
	if (operator_takes_macros(from->operator_text.kind)) {
		if (compile_macro(c, parameter, true, macro) != 0)
			return -1;
		dynamic = !macro_is_constant(macro);
	}
	rule->parameter = dynamic ? macro : NULL;
	rule->op = compile_operator(c, &from->operator_text, dynamic, from->place.file, c->err);
	rule->special = operator_is_of_xml(from->operator_text.kind) ||
			operator_is_of_outside(from->operator_text.kind);
	if (!rule->op)
		return -1;
	return compile_keep_operator(c, rule->op);
}

static struct rule *compile_link(struct compiler *c, const struct sec_rule *from,
				 unsigned phase)
{
	struct rule *rule = arena_new(&c->rules->arena, struct rule);

	if (!rule) {
		(void)no_memory(c);
		return NULL;
	}
	rule->id = from->actions.id;
	rule->prefilter = NO_PREFILTER;
	rule->phase = (uint8_t)phase;
	rule->unconditional = from->kind == SEC_ACTION;
	rule->skip_to = NO_SKIP;
	rule->place = from->place;
	if (compile_actions(c, from, rule) != 0 ||
	    compile_chain(c, from, phase, &rule->chain) != 0)
		return NULL;
	if (!rule->unconditional &&
	    (compile_selectors(c, from, rule) != 0 || compile_test(c, from, rule) != 0))
		return NULL;
	return rule;
}

/* A rule with its links. */
static struct rule *compile_rule(struct compiler *c, const struct sec_rule *from,
				 uint32_t number)
{
	unsigned phase = compile_phase(from);
	struct rule *first = NULL;
	struct rule *last = NULL;
	unsigned links = 0;

	for (const struct sec_rule *at = from; at; at = at->link) {
		struct rule *rule;

		if (++links > CHAIN_LINKS_MAX) {
			(void)err_set(c->err, ERR_LIMIT, "more than %d rules in a chain",
				      CHAIN_LINKS_MAX);
			(void)compile_error(c, at->place);
			return NULL;
		}
		rule = compile_link(c, at, phase);
		if (!rule) {
			(void)compile_error(c, at->place);
			return NULL;
		}
		if (last)
			last->link = rule;
		else
			first = rule;
		rule->first = first;
		rule->id = first->id;
		rule->number = number;
		last = rule;
	}
	return first;
}

/* ---- phases and markers ---------------------------------------------------------------------- */

struct pending_skip {
	struct rule *rule;
	size_t item; /* where it stands */
};

/* The index in the phase of the first rule behind the marker that follows item `from`. */
static int find_marker(struct compiler *c, const uint32_t *before, size_t from,
		       struct span marker, uint32_t *index)
{
	bool exists = false;

	for (size_t i = 0; i < c->item_count; i++) {
		if (c->items[i]->kind != SEC_MARKER || !span_eq(c->items[i]->marker, marker))
			continue;
		exists = true;
		if (i > from) {
			*index = before[i];
			return 0;
		}
	}
	if (!exists)
		return err_set(c->err, ERR_NOT_FOUND, "there is no marker %.*s",
			       SPAN_ARG(marker));
	/* It lies behind: the rest of the phase is skipped. */
	*index = before[c->item_count];
	return 0;
}

static int resolve_skips(struct compiler *c, const struct rule *const *at_item,
			 const uint32_t *before, unsigned phase)
{
	for (size_t i = 0; i < c->item_count; i++) {
		const struct sec_rule *item = c->items[i];
		struct rule *rule;

		if (!at_item[i] || at_item[i]->phase != phase ||
		    item->actions.skip_after.len == 0)
			continue;
		/* It was made here a moment ago; only others see it as constant. */
		rule = (struct rule *)(uintptr_t)at_item[i];
		if (find_marker(c, before, i, item->actions.skip_after, &rule->skip_to) != 0)
			return compile_error(c, item->place);
	}
	return 0;
}

static int build_phase(struct compiler *c, const struct rule *const *at_item, uint32_t *before,
		       unsigned phase)
{
	struct phase_rules *list = &c->rules->phases[phase];

	list->at = arena_array(&c->rules->arena, const struct rule *, c->item_count + 1);
	if (!list->at)
		return no_memory(c);
	for (size_t i = 0; i < c->item_count; i++) {
		before[i] = list->count;
		if (at_item[i] && at_item[i]->phase == phase)
			list->at[list->count++] = at_item[i];
	}
	before[c->item_count] = list->count;
	c->rules->info.active += list->count;
	return resolve_skips(c, at_item, before, phase);
}

static int compile_items(struct compiler *c)
{
	struct arena *arena = &c->rules->arena;
	const struct rule **at_item =
		arena_array(arena, const struct rule *, c->item_count + 1);
	uint32_t *before = arena_array(arena, uint32_t, c->item_count + 1);

	if (!at_item || !before)
		return no_memory(c);
	for (size_t i = 0; i < c->item_count; i++) {
		if (c->items[i]->kind == SEC_MARKER)
			continue;
		at_item[i] = compile_rule(c, c->items[i], c->rules->number_count);
		if (!at_item[i])
			return -1;
		c->rules->number_count++;
	}
	for (unsigned phase = 1; phase <= SEC_PHASES; phase++)
		if (build_phase(c, at_item, before, phase) != 0)
			return -1;
	return 0;
}

/* ---- names of TX, once all are known ----------------------------------------------------------- */

static int find_slots(struct compiler *c, struct selector *selector,
		      struct regex_scratch *scratch)
{
	const struct waf_rules *rules = c->rules;
	uint32_t *slots;

	if (selector->variable != VAR_TX || selector->select != SEC_PATTERN)
		return 0;
	slots = arena_array(&c->rules->arena, uint32_t, rules->tx_count + 1);
	if (!slots)
		return no_memory(c);
	for (uint32_t i = 0; i < rules->tx_count; i++)
		if (operator_match(selector->pattern, scratch, SPAN_NONE, rules->tx_names[i],
				   NULL))
			slots[selector->tx_slot_count++] = i;
	selector->tx_slots = slots;
	return 0;
}

static bool starts_some_slot(const struct waf_rules *rules, struct span prefix)
{
	for (uint32_t i = 0; i < rules->tx_count; i++)
		if (span_eq_nocase(span_slice(rules->tx_names[i], 0, prefix.len), prefix))
			return true;
	return false;
}

/* Rules are made by this compiler; they are constant for those that come after it. */
static int finish_names(struct compiler *c, const struct rule *rule,
			struct regex_scratch *scratch)
{
	struct selector *selectors = (struct selector *)(uintptr_t)rule->selectors;
	struct setvar *setvars = (struct setvar *)(uintptr_t)rule->setvars;

	for (unsigned i = 0; i < rule->selector_count; i++)
		if (find_slots(c, &selectors[i], scratch) != 0)
			return -1;
	for (unsigned i = 0; i < rule->setvar_count; i++) {
		const struct macro *name = &setvars[i].name;

		setvars[i].never_slot = setvars[i].variable == VAR_TX &&
					!macro_is_constant(name) &&
					name->pieces[0].variable == VAR_NONE &&
					!starts_some_slot(c->rules, name->pieces[0].text);
	}
	return 0;
}

static int finish_all_names(struct compiler *c)
{
	struct operator_limits limits = OPERATOR_LIMITS_DEFAULT;
	struct regex_scratch *scratch = operator_scratch_new(&limits, c->err);
	int result = scratch ? 0 : -1;

	for (unsigned phase = 1; phase <= SEC_PHASES; phase++)
		for (uint32_t i = 0; i < c->rules->phases[phase].count; i++)
			for (const struct rule *rule = c->rules->phases[phase].at[i];
			     rule && result == 0; rule = rule->link)
				result = finish_names(c, rule, scratch);
	regex_scratch_free(scratch);
	return result;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int check_ids(struct compiler *c)
{
	struct map ids = MAP_INIT;
	int result = 0;

	for (struct sec_rule *rule = c->rules->document.rules; rule && result == 0;
	     rule = rule->next) {
		struct span key = span_of(&rule->actions.id, sizeof(rule->actions.id));
		const struct sec_rule *other;

		if (rule->kind == SEC_MARKER)
			continue;
		other = map_get(&ids, key);
		if (other) {
			(void)err_set(c->err, ERR_INVALID, "the id %u is that of %.*s:%u too",
				      rule->actions.id, SPAN_ARG(other->place.file),
				      other->place.line);
			result = compile_error(c, rule->place);
		} else if (map_put(&ids, key, rule) != 0) {
			result = no_memory(c);
		}
	}
	map_release(&ids);
	return result;
}

static int reserve_captures(struct compiler *c)
{
	static const char digits[] = "0123456789";

	for (uint32_t i = 0; i < TX_CAPTURES; i++)
		if (compile_tx_slot(c, span_of(digits + i, 1)) != i)
			return no_memory(c);
	return 0;
}

static int load_unicode_map(struct compiler *c)
{
	const struct sec_settings *settings = &c->rules->document.settings;
	struct span text;

	if (settings->unicode_map.len == 0)
		return 0;
	c->rules->unicode_map = mem_zalloc(1, sizeof(*c->rules->unicode_map));
	if (!c->rules->unicode_map)
		return no_memory(c);
	if (sec_load_file(&c->rules->arena, settings->unicode_map, &text, c->err) != 0)
		return -1;
	return unicode_map_parse(c->rules->unicode_map, text, settings->unicode_code_page,
				 c->err);
}

/* Rules that only score or correlate what the phases before have found need no response. */
static bool looks_at_responses(const struct waf_rules *rules)
{
	static const enum variable variables[] = {
		VAR_RESPONSE_BODY,
		VAR_RESPONSE_CONTENT_LENGTH,
		VAR_RESPONSE_CONTENT_TYPE,
		VAR_RESPONSE_HEADERS,
		VAR_RESPONSE_HEADERS_NAMES,
		VAR_RESPONSE_PROTOCOL,
		VAR_RESPONSE_STATUS,
		VAR_STATUS,
		VAR_STATUS_LINE,
		VAR_OUTBOUND_DATA_ERROR,
	};

	for (size_t i = 0; i < COUNT_OF(variables); i++)
		if (rules->uses[variables[i]])
			return true;
	/* Without such a variable a rule of these phases may still ask for a response. */
	return rules->phases[3].count > 0 || rules->phases[4].count > 0;
}

static int compile_all(struct compiler *c)
{
	struct waf_rules *rules = c->rules;

	rules->chains = arena_array(&rules->arena, struct chain, CHAINS_MAX);
	if (!rules->chains)
		return no_memory(c);
	rules->chain_count = 1;
	if (reserve_captures(c) != 0 || check_ids(c) != 0 || load_unicode_map(c) != 0 ||
	    compile_changes(c) != 0 || compile_fold(c) != 0 || compile_items(c) != 0 ||
	    finish_all_names(c) != 0)
		return -1;
	rules->list_count = VAR_COUNT + rules->xpath_count;
	rules->tx_inbound_threshold =
		rules_tx_slot(rules, SPAN("inbound_anomaly_score_threshold"));
	rules->tx_outbound_threshold =
		rules_tx_slot(rules, SPAN("outbound_anomaly_score_threshold"));
	rules->wants_response = looks_at_responses(rules);
	rules->wants_response_body =
		rules->document.settings.response_body && rules->phases[4].count > 0;
	return 0;
}

int compile_rules(struct waf_rules *rules, const struct waf_sources *sources, struct err *err)
{
	struct err why = {.code = ERR_NONE};
	struct compiler c = {.rules = rules, .sources = sources, .err = &why};
	int result = compile_all(&c);

	map_release(&c.tx_slots);
	if (result == 0 && !sources->check_only && !sources->no_prefilter)
		result = prefilter_build(rules, sources, &why);
	if (result != 0)
		return err_set(err, why.code, "%s", why.message);
	return 0;
}
