/*
 * What is the same for every transaction is done once, here. The set-up file and the first rules
 * of the Core Rule Set are a program of constants: thresholds, lists, levels, and rules that skip
 * what lies above the level. The compiler walks through all phases in order and knows of each
 * variable of TX what its value is at that point: not set, set to this, or unknown. A rule that
 * depends on known values only
 * - and does not match is dropped;
 * - and matches is dropped too when all it does is to set TX, whose values then are there from the
 *   start, or to skip, and then what it skips is dropped.
 *
 * Being there from the start is earlier than by the rule. So a rule is only dropped for its values
 * when no rule before it, of those that are kept, reads or writes them.
 */
#include "waf/compile.h"

#include "base/mem.h"

enum knowledge { NOT_SET, KNOWN, UNKNOWN };

struct slot {
	enum knowledge knowledge;
	struct span value; /* when KNOWN */
	bool pinned; /* a kept rule reads or writes it */
	bool initial; /* set by a rule that was dropped */
};

enum outcome { NEVER, ALWAYS, SOMETIMES };

struct folder {
	struct compiler *c;
	struct slot *slots; /* grows with the names */
	size_t cap;
	struct regex_scratch *scratch;
	bool all_unknown; /* a name that is made at run time may be any */
};

static int no_memory(struct folder *f)
{
	return err_set(f->c->err, ERR_MEMORY, "no memory for constants");
}

static struct slot *slot_of(struct folder *f, struct span name)
{
	uint32_t number = compile_tx_slot(f->c, name);

	if (number == TX_NO_SLOT)
		return NULL;
	if (number >= f->cap) {
		size_t cap = f->cap ? f->cap : 256;
		struct slot *grown;

		while (cap <= number)
			cap *= 2;
		grown = mem_realloc(f->slots, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + f->cap, 0, (cap - f->cap) * sizeof(*grown));
		f->slots = grown;
		f->cap = cap;
	}
	return &f->slots[number];
}

/* ---- what is known --------------------------------------------------------------------------- */

/* Whether the text can be expanded now; *value then is what it says. */
static int expand(struct folder *f, struct span text, bool *known, struct span *value)
{
	struct macro macro;
	struct span joined = SPAN("");

	if (compile_macro(f->c, text, true, &macro) != 0)
		return -1;
	*known = true;
	for (uint32_t i = 0; i < macro.count; i++) {
		const struct macro_piece *piece = &macro.pieces[i];
		struct span part = piece->text;

		if (piece->variable == VAR_TX) {
			const struct slot *slot = slot_of(f, piece->key);

			if (!slot)
				return no_memory(f);
			if (slot->knowledge == UNKNOWN || f->all_unknown)
				*known = false;
			part = slot->knowledge == KNOWN ? slot->value : SPAN("");
		} else if (piece->variable != VAR_NONE) {
			*known = false;
		}
		joined = arena_printf(&f->c->rules->arena, "%.*s%.*s", SPAN_ARG(joined),
				      SPAN_ARG(part));
		if (!joined.ptr)
			return no_memory(f);
	}
	*value = joined;
	return 0;
}

/* The value of TX:name or of &TX:name; *present is false when there is none to test. */
static int target_value(struct folder *f, const struct sec_target *target, bool *known,
			bool *present, struct span *value)
{
	const struct slot *slot = NULL;

	*known = target->variable == VAR_TX && target->select == SEC_KEY && !target->exclude &&
		 !f->all_unknown;
	if (!*known)
		return 0;
	slot = slot_of(f, target->key);
	if (!slot)
		return no_memory(f);
	if (slot->knowledge == UNKNOWN) {
		*known = false;
		return 0;
	}
	*present = slot->knowledge == KNOWN || target->count;
	*value = slot->value;
	if (target->count)
		*value = slot->knowledge == KNOWN ? SPAN("1") : SPAN("0");
	return 0;
}

static int transform_value(struct folder *f, const struct sec_rule *rule, unsigned phase,
			   struct span *value)
{
	enum transform transforms[2 * SEC_TRANSFORMS_MAX];
	size_t count = compile_transforms(f->c, rule, phase, transforms);

	for (size_t i = 0; i < count; i++) {
		char *room = arena_alloc(&f->c->rules->arena,
					 transform_bound(transforms[i], value->len) + 1);

		if (!room)
			return no_memory(f);
		(void)transform_apply(transforms[i], NULL, *value, room, value);
	}
	return 0;
}

/* ---- one rule -------------------------------------------------------------------------------- */

static bool can_be_asked(const struct sec_rule *rule)
{
	enum operator_kind kind = rule->operator_text.kind;

	return operator_is_pure(kind) && kind != OPERATOR_DETECT_SQLI &&
	       kind != OPERATOR_DETECT_XSS && !rule->actions.capture &&
	       !rule->actions.multi_match;
}

static int test_values(struct folder *f, const struct sec_rule *rule, unsigned phase,
		       struct operator* op, struct span parameter, enum outcome *outcome)
{
	*outcome = NEVER;
	for (size_t i = 0; i < rule->targets.count; i++) {
		bool known = false;
		bool present = false;
		struct span value;

		if (target_value(f, &rule->targets.at[i], &known, &present, &value) != 0)
			return -1;
		if (!known) {
			*outcome = SOMETIMES;
			return 0;
		}
		if (!present)
			continue;
		if (transform_value(f, rule, phase, &value) != 0)
			return -1;
		/* Several that match run the actions several times: left to the engine. */
		if (operator_match(op, f->scratch, parameter, value, NULL))
			*outcome = *outcome == NEVER ? ALWAYS : SOMETIMES;
	}
	return 0;
}

static int test_link(struct folder *f, const struct sec_rule *rule, unsigned phase,
		     enum outcome *outcome)
{
	struct operator_text text = rule->operator_text;
	struct operator* op;
	bool known = true;
	bool any = false;
	int result;

	*outcome = rule->kind == SEC_ACTION ? ALWAYS : SOMETIMES;
	if (rule->kind == SEC_ACTION)
		return 0;
	/* Without any value, whatever the operator, there is no match. */
	for (size_t i = 0; i < rule->targets.count; i++) {
		bool present = true;
		struct span value;

		if (target_value(f, &rule->targets.at[i], &known, &present, &value) != 0)
			return -1;
		if (!known)
			return 0;
		any |= present;
	}
	if (!any) {
		*outcome = NEVER;
		return 0;
	}
	if (!can_be_asked(rule))
		return 0;
	if (operator_takes_macros(text.kind) &&
	    expand(f, text.parameter, &known, &text.parameter))
		return -1;
	if (!known)
		return 0;
	op = compile_operator(f->c, &text, false, rule->place.file, f->c->err);
	if (!op)
		return compile_error(f->c, rule->place);
	result = test_values(f, rule, phase, op, SPAN_NONE, outcome);
	operator_free(op);
	return result;
}

/* Whether matching leaves something that a later link's failure does not take back. */
static bool leaves_traces(const struct sec_rule *rule)
{
	return rule->actions.setvar_count > 0 || rule->actions.capture;
}

static int test_rule(struct folder *f, const struct sec_rule *first, unsigned phase,
		     enum outcome *outcome)
{
	bool traces = false;

	*outcome = ALWAYS;
	for (const struct sec_rule *rule = first; rule; rule = rule->link) {
		enum outcome one;

		if (test_link(f, rule, phase, &one) != 0)
			return -1;
		if (one == NEVER && !traces) {
			*outcome = NEVER;
			return 0;
		}
		if (one != ALWAYS) {
			*outcome = SOMETIMES;
			/* A later link that never matches is enough, if nothing is left behind. */
			traces |= leaves_traces(rule);
			continue;
		}
		traces |= leaves_traces(rule);
	}
	return 0;
}

/* ---- what a rule that is kept does to the knowledge -------------------------------------------- */

static int pin(struct folder *f, struct span name, bool write)
{
	struct slot *slot = slot_of(f, name);

	if (!slot)
		return no_memory(f);
	slot->pinned = true;
	if (write)
		slot->knowledge = UNKNOWN;
	return 0;
}

static int pin_macro(struct folder *f, struct span text)
{
	struct macro macro;

	if (!text.ptr)
		return 0;
	if (compile_macro(f->c, text, true, &macro) != 0)
		return -1;
	for (uint32_t i = 0; i < macro.count; i++)
		if (macro.pieces[i].variable == VAR_TX &&
		    pin(f, macro.pieces[i].key, false) != 0)
			return -1;
	return 0;
}

/* All names that start so; those that come later too, if it is every name. */
static void pin_prefix(struct folder *f, struct span prefix)
{
	for (uint32_t i = 0; i < f->c->rules->tx_count && i < f->cap; i++) {
		struct span name = f->c->rules->tx_names[i];

		if (span_eq_nocase(span_slice(name, 0, prefix.len), prefix)) {
			f->slots[i].pinned = true;
			f->slots[i].knowledge = UNKNOWN;
		}
	}
	if (prefix.len == 0)
		f->all_unknown = true;
}

static int pin_setvar(struct folder *f, const struct sec_setvar *set)
{
	struct macro name;

	if (pin_macro(f, set->value) != 0 || pin_macro(f, set->name) != 0)
		return -1;
	if (set->variable != VAR_TX)
		return 0;
	if (compile_macro(f->c, set->name, true, &name) != 0)
		return -1;
	if (macro_is_constant(&name))
		return pin(f, set->name, true);
	pin_prefix(f, name.pieces[0].variable == VAR_NONE ? name.pieces[0].text : SPAN(""));
	return 0;
}

static int pin_targets(struct folder *f, const struct sec_rule *rule)
{
	for (size_t i = 0; i < rule->targets.count; i++) {
		const struct sec_target *target = &rule->targets.at[i];

		if (target->variable == VAR_TX && target->select == SEC_KEY &&
		    pin(f, target->key, false) != 0)
			return -1;
	}
	if (rule->kind == SEC_RULE && operator_takes_macros(rule->operator_text.kind))
		return pin_macro(f, rule->operator_text.parameter);
	return 0;
}

static int pin_rule(struct folder *f, const struct sec_rule *first)
{
	for (const struct sec_rule *rule = first; rule; rule = rule->link) {
		const struct sec_actions *actions = &rule->actions;

		if (pin_targets(f, rule) != 0 || pin_macro(f, actions->msg) != 0 ||
		    pin_macro(f, actions->logdata) != 0 || pin_macro(f, actions->redirect) != 0)
			return -1;
		for (size_t i = 0; i < actions->setvar_count; i++)
			if (pin_setvar(f, &actions->setvars[i]) != 0)
				return -1;
		for (size_t i = 0; i < actions->step_count; i++)
			if (pin_macro(f, actions->steps[i].text) != 0)
				return -1;
		if (actions->capture)
			for (uint32_t i = 0; i < TX_CAPTURES; i++)
				if (pin(f, f->c->rules->tx_names[i], true) != 0)
					return -1;
	}
	return 0;
}

/* ---- dropping -------------------------------------------------------------------------------- */

static int64_t number_of(struct span text)
{
	return operator_to_int(text);
}

/* Whether all that the rule does is known now and may be done before everything else. */
static int is_foldable(struct folder *f, const struct sec_rule *first, unsigned phase,
		       bool *foldable)
{
	*foldable = false;
	for (const struct sec_rule *rule = first; rule; rule = rule->link) {
		const struct sec_actions *a = &rule->actions;

		if (a->step_count || a->skip || a->capture || a->status ||
		    (a->disruptive != SEC_NOT_DISRUPTIVE && a->disruptive != SEC_PASS))
			return 0;
		for (size_t i = 0; i < a->setvar_count; i++) {
			const struct sec_setvar *set = &a->setvars[i];
			const struct slot *slot;
			struct span value;
			bool known;

			if (set->variable != VAR_TX ||
			    span_find(set->name, SPAN("%{")) < set->name.len)
				return 0;
			slot = slot_of(f, set->name);
			if (!slot)
				return no_memory(f);
			if (expand(f, set->value, &known, &value) != 0)
				return -1;
			if (!known || slot->pinned || slot->knowledge == UNKNOWN)
				return 0;
		}
	}
	/* A rule that is logged must be there to be logged. */
	*foldable = first->actions.log_given ? !first->actions.log
					     : !f->c->rules->document.defaults[phase].log;
	return 0;
}

static int apply_setvar(struct folder *f, const struct sec_setvar *set)
{
	struct slot *slot;
	struct span value;
	bool known;

	if (expand(f, set->value, &known, &value) != 0)
		return -1;
	slot = slot_of(f, set->name);
	if (!slot)
		return no_memory(f);
	if (set->operation == SEC_UNSET) {
		slot->knowledge = NOT_SET;
		slot->initial = false;
		return 0;
	}
	if (set->operation != SEC_SET) {
		int64_t before = slot->knowledge == KNOWN ? number_of(slot->value) : 0;
		int64_t change = number_of(value);

		value = arena_printf(&f->c->rules->arena, "%lld",
				     (long long)(set->operation == SEC_ADD ? before + change
									   : before - change));
		if (!value.ptr)
			return no_memory(f);
	}
	slot->knowledge = KNOWN;
	slot->value = value;
	slot->initial = true;
	return 0;
}

static int apply_rule(struct folder *f, const struct sec_rule *first)
{
	for (const struct sec_rule *rule = first; rule; rule = rule->link)
		for (size_t i = 0; i < rule->actions.setvar_count; i++)
			if (apply_setvar(f, &rule->actions.setvars[i]) != 0)
				return -1;
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

struct walk {
	struct folder *f;
	bool *dropped; /* by item */
	unsigned phase;
	struct span skipping; /* to this marker, always: what lies before it is dropped */
	/*
	 * Some rule may skip to the markers named here, or a number of rules: what follows does
	 * not run every time, so nothing is dropped for what it sets.
	 */
	struct span maybe[16];
	size_t maybe_count;
	bool maybe_always;
};

static void marker_passed(struct walk *w, struct span marker)
{
	if (w->skipping.ptr && span_eq(w->skipping, marker))
		w->skipping = SPAN_NONE;
	for (size_t i = 0; i < w->maybe_count;) {
		if (span_eq(w->maybe[i], marker))
			w->maybe[i] = w->maybe[--w->maybe_count];
		else
			i++;
	}
}

static void note_skip(struct walk *w, const struct sec_rule *rule)
{
	if (rule->actions.skip)
		w->maybe_always = true;
	if (!rule->actions.skip_after.len)
		return;
	if (w->maybe_count == COUNT_OF(w->maybe))
		w->maybe_always = true;
	else
		w->maybe[w->maybe_count++] = rule->actions.skip_after;
}

static int keep_rule(struct walk *w, const struct sec_rule *rule)
{
	note_skip(w, rule);
	return pin_rule(w->f, rule);
}

static int walk_rule(struct walk *w, const struct sec_rule *rule, bool *dropped)
{
	bool sure = w->maybe_count == 0 && !w->maybe_always;
	enum outcome outcome;
	bool foldable;

	if (test_rule(w->f, rule, w->phase, &outcome) != 0)
		return -1;
	if (outcome == NEVER) {
		*dropped = true;
		return 0;
	}
	if (outcome == SOMETIMES || is_foldable(w->f, rule, w->phase, &foldable) != 0)
		return outcome == SOMETIMES ? keep_rule(w, rule) : -1;
	/* One that only skips may be dropped with what it skips wherever it stands. */
	if (!foldable || (!sure && rule->actions.setvar_count > 0))
		return keep_rule(w, rule);
	*dropped = true;
	if (rule->actions.skip_after.len)
		w->skipping = rule->actions.skip_after;
	return apply_rule(w->f, rule);
}

static int walk_phase(struct walk *w)
{
	struct compiler *c = w->f->c;

	w->skipping = SPAN_NONE;
	w->maybe_count = 0;
	w->maybe_always = false;
	for (size_t i = 0; i < c->item_count; i++) {
		struct sec_rule *item = c->items[i];

		if (item->kind == SEC_MARKER) {
			marker_passed(w, item->marker);
			continue;
		}
		if (compile_phase(item) != w->phase)
			continue;
		if (w->skipping.ptr)
			w->dropped[i] = true;
		else if (walk_rule(w, item, &w->dropped[i]) != 0)
			return -1;
	}
	return 0;
}

static int take_initial(struct folder *f)
{
	struct waf_rules *rules = f->c->rules;

	rules->tx_initial = arena_array(&rules->arena, struct tx_initial, f->cap + 1);
	if (!rules->tx_initial)
		return no_memory(f);
	for (uint32_t i = 0; i < f->cap; i++) {
		const struct slot *slot = &f->slots[i];

		if (slot->initial)
			rules->tx_initial[rules->tx_initial_count++] =
				(struct tx_initial){i, slot->value};
	}
	return 0;
}

static void remove_dropped(struct compiler *c, const bool *dropped)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->item_count; i++)
		if (!dropped[i])
			c->items[kept++] = c->items[i];
	c->item_count = kept;
}

static int fold(struct folder *f)
{
	struct compiler *c = f->c;
	struct walk walk = {.f = f};

	walk.dropped = arena_array(&c->rules->arena, bool, c->item_count + 1);
	if (!walk.dropped)
		return no_memory(f);
	for (walk.phase = 1; walk.phase <= SEC_PHASES; walk.phase++)
		if (walk_phase(&walk) != 0)
			return -1;
	if (take_initial(f) != 0)
		return -1;
	remove_dropped(c, walk.dropped);
	return 0;
}

int compile_fold(struct compiler *c)
{
	struct operator_limits limits = OPERATOR_LIMITS_DEFAULT;
	struct folder folder = {.c = c};
	int result;

	folder.scratch = operator_scratch_new(&limits, c->err);
	if (!folder.scratch)
		return -1;
	result = fold(&folder);
	regex_scratch_free(folder.scratch);
	mem_free(folder.slots);
	return result;
}
