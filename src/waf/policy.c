#include "waf/policy.h"

#include "base/mem.h"
#include "waf/compile.h"
#include "waf/transaction.h"

#define POLICY_ARENA_MAX ((size_t)16 << 20)

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for a policy");
}

static int add_pattern(struct waf_policy *policy, struct selector *selector, struct err *err)
{
	struct operator_text text = {.kind = OPERATOR_RX};
	struct operator_options options = {.load = NULL};
	struct operator** grown = mem_realloc(
		policy->operators, (policy->operator_count + 1) * sizeof(*policy->operators));

	if (!grown)
		return no_memory(err);
	policy->operators = grown;
	text.parameter = arena_printf(&policy->arena, "(?i)%.*s", SPAN_ARG(selector->key));
	if (!text.parameter.ptr)
		return no_memory(err);
	selector->pattern = operator_new(&text, &options, err);
	if (!selector->pattern)
		return -1;
	policy->operators[policy->operator_count++] = selector->pattern;
	return selector_simplify(&policy->arena, selector) == 0 ? 0 : no_memory(err);
}

static int add_target(struct waf_policy *policy, struct span text, struct selector *selector,
		      struct err *err)
{
	struct span kept = arena_dup(&policy->arena, text);
	struct sec_targets targets;
	const struct sec_target *target;

	if (!kept.ptr)
		return no_memory(err);
	if (sec_targets_parse(&policy->arena, kept, &targets, err) != 0)
		return -1;
	target = &targets.at[0];
	if (targets.count != 1 || target->count || target->exclude)
		return err_set(err, ERR_INVALID, "not one variable: %.*s", SPAN_ARG(text));
	*selector = (struct selector){
		.variable = (uint16_t)target->variable,
		.list = variable_list(target->variable),
		.select = (uint8_t)target->select,
		.tx = TX_NO_SLOT,
		.key = target->key,
	};
	return target->select == SEC_PATTERN ? add_pattern(policy, selector, err) : 0;
}

static int add_exclusion(struct waf_policy *policy, const struct waf_exclusion *from,
			 struct policy_exclusion *to, struct err *err)
{
	bool by_tag = from->tag.len > 0;
	bool prefix = from->path.len > 0 && from->path.ptr[from->path.len - 1] == '*';

	if (from->source.len) {
		to->step.kind = SEC_CTL_REMOVE_BY_SOURCE;
		to->step.tag = arena_dup(&policy->arena, from->source);
		return to->step.tag.ptr ? 0 : no_memory(err);
	}
	if (from->rule_first && by_tag)
		return err_set(err, ERR_INVALID, "an exclusion is by rule or by tag, not both");
	if (!from->rule_first && !by_tag && !from->target.len)
		return err_set(err, ERR_INVALID, "an exclusion that names nothing");
	to->step.first = from->rule_first;
	to->step.last = from->rule_last;
	if (!from->rule_first)
		to->step.last = UINT32_MAX;
	else if (!from->rule_last)
		to->step.last = from->rule_first;
	to->prefix = prefix;
	to->path =
		arena_dup(&policy->arena, span_slice(from->path, 0, from->path.len - prefix));
	to->step.tag = arena_dup(&policy->arena, from->tag);
	if (!to->path.ptr || !to->step.tag.ptr)
		return no_memory(err);
	/* "*" alone is every path. */
	if (!from->target.len) {
		to->step.kind = by_tag ? SEC_CTL_REMOVE_BY_TAG : SEC_CTL_REMOVE_BY_ID;
		return 0;
	}
	to->step.kind = by_tag ? SEC_CTL_REMOVE_TARGET_BY_TAG : SEC_CTL_REMOVE_TARGET_BY_ID;
	return add_target(policy, from->target, &to->step.target, err);
}

static int add_exclusions(struct waf_policy *policy, const struct waf_settings *settings,
			  struct err *err)
{
	policy->exclusions = arena_array(&policy->arena, struct policy_exclusion,
					 settings->exclusion_count + 1);
	if (!policy->exclusions)
		return no_memory(err);
	for (size_t i = 0; i < settings->exclusion_count; i++) {
		if (add_exclusion(policy, &settings->exclusions[i], &policy->exclusions[i],
				  err) != 0)
			return err_wrap(err, "exclusion %zu", i + 1);
		policy->exclusion_count++;
	}
	return 0;
}

/* What holds for every path is applied once, to a transaction that never runs. */
static int apply_everywhere(struct waf_policy *policy, struct err *err)
{
	struct waf_transaction t = {.policy = policy, .rules = policy->rules};

	arena_init(&t.arena, POLICY_ARENA_MAX, (size_t)16 << 10);
	for (size_t i = 0; i < policy->exclusion_count; i++) {
		const struct policy_exclusion *exclusion = &policy->exclusions[i];

		if (exclusion->path.len)
			continue;
		if (exclusion->step.kind == SEC_CTL_REMOVE_BY_ID ||
		    exclusion->step.kind == SEC_CTL_REMOVE_BY_TAG ||
		    exclusion->step.kind == SEC_CTL_REMOVE_BY_SOURCE)
			remove_rules(&t, &exclusion->step);
		else
			remove_targets(&t, &exclusion->step);
	}
	policy->removed = t.removed;
	policy->removed_targets = t.removed_targets;
	policy->applied = t.arena;
	return t.failed ? no_memory(err) : 0;
}

static int set_threshold(struct waf_policy *policy, uint32_t value, struct span *text,
			 struct err *err)
{
	if (value == 0)
		return 0;
	*text = arena_printf(&policy->arena, "%u", value);
	return text->ptr ? 0 : no_memory(err);
}

/* Types are compared without parameters; an empty one stands for responses without a type. */
static int set_responses(struct waf_policy *policy, const struct waf_settings *settings,
			 struct err *err)
{
	const struct waf_rules *rules = policy->rules;
	const struct sec_settings *own = &rules->document.settings;
	size_t count = settings->response_type_count;
	const struct span *types = settings->response_types;

	policy->responses = !settings->no_responses && rules->wants_response;
	policy->response_bodies = policy->responses && rules->wants_response_body;
	policy->refuse_large_responses =
		settings->large_responses == WAF_LARGE_REFUSE ||
		(settings->large_responses == WAF_LARGE_RULES && own->reject_large_response);
	if (count == 0) {
		policy->response_types = own->mime_types;
		policy->response_type_count = own->mime_type_count;
		return 0;
	}
	policy->response_types = arena_array(&policy->arena, struct span, count);
	if (!policy->response_types)
		return no_memory(err);
	for (size_t i = 0; i < count; i++) {
		policy->response_types[i] = arena_dup(&policy->arena, types[i]);
		if (!policy->response_types[i].ptr)
			return no_memory(err);
	}
	policy->response_type_count = count;
	return 0;
}

bool waf_policy_inspects_responses(const struct waf_policy *policy)
{
	return policy->responses && policy->mode != WAF_OFF;
}

bool waf_policy_inspects_response_bodies(const struct waf_policy *policy)
{
	return policy->response_bodies && policy->mode != WAF_OFF;
}

static void policy_free(struct waf_policy *policy)
{
	for (size_t i = 0; i < policy->operator_count; i++)
		operator_free(policy->operators[i]);
	mem_free(policy->operators);
	arena_release(&policy->applied);
	arena_release(&policy->arena);
	waf_rules_unref(policy->rules);
	mem_free(policy);
}

struct waf_policy *waf_policy_new(struct waf_rules *rules, const struct waf_settings *settings,
				  struct err *err)
{
	struct waf_policy *policy = mem_zalloc(1, sizeof(*policy));

	if (!policy) {
		(void)no_memory(err);
		return NULL;
	}
	atomic_init(&policy->references, 1);
	policy->rules = waf_rules_ref(rules);
	policy->mode = settings->mode;
	policy->limits = settings->limits;
	arena_init(&policy->arena, POLICY_ARENA_MAX, (size_t)4 << 10);
	arena_init(&policy->applied, POLICY_ARENA_MAX, (size_t)4 << 10);
	if (set_threshold(policy, settings->inbound_threshold, &policy->inbound_threshold,
			  err) != 0 ||
	    set_threshold(policy, settings->outbound_threshold, &policy->outbound_threshold,
			  err) != 0 ||
	    set_responses(policy, settings, err) != 0 ||
	    add_exclusions(policy, settings, err) != 0 || apply_everywhere(policy, err) != 0) {
		policy_free(policy);
		return NULL;
	}
	return policy;
}

struct waf_policy *waf_policy_ref(struct waf_policy *policy)
{
	atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
	return policy;
}

void waf_policy_unref(struct waf_policy *policy)
{
	if (policy &&
	    atomic_fetch_sub_explicit(&policy->references, 1, memory_order_acq_rel) == 1)
		policy_free(policy);
}
