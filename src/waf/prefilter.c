#include "waf/prefilter.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "waf/prefilter_internal.h"

#define PREFILTER_ARENA_MAX ((size_t)256 << 20)

/* Groups go into one database when they share at least half of the rules of both. */
#define SHARED_NUMERATOR 1
#define SHARED_DENOMINATOR 2

struct builder {
	struct waf_rules *rules;
	struct prefilter *p;
	struct err *err;
	size_t bits_size;
};

static int no_memory(struct builder *b)
{
	return err_set(b->err, ERR_MEMORY, "no memory for pattern databases");
}

/* ---- which rules ----------------------------------------------------------------------------- */

static bool can_be_prefiltered(const struct rule *rule)
{
	if (rule->unconditional || rule->parameter || rule->selector_count == 0 ||
	    operator_negated(rule->op))
		return false;
	for (unsigned i = 0; i < rule->selector_count; i++)
		if (rule->selectors[i].count ||
		    !variable_is_input((enum variable)rule->selectors[i].variable))
			return false;
	return true;
}

static int number_rules(struct builder *b)
{
	struct prefilter *p = b->p;

	p->rules = arena_array(&p->arena, struct prefilter_rule, b->rules->number_count + 1);
	if (!p->rules)
		return no_memory(b);
	for (unsigned phase = 1; phase <= SEC_PHASES; phase++) {
		const struct phase_rules *list = &b->rules->phases[phase];

		for (uint32_t i = 0; i < list->count; i++) {
			/* Made by the compiler that called us; constant only for others. */
			struct rule *rule = (struct rule *)(uintptr_t)list->at[i];
			int added;

			if (!can_be_prefiltered(rule))
				continue;
			added = prefilter_add_patterns(p, rule, p->rule_count);
			if (added < 0)
				return no_memory(b);
			if (added)
				rule->prefilter = p->rule_count++;
		}
	}
	b->bits_size = p->rule_count / 8 + 1;
	return 0;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static struct prefilter_list *list_of(struct prefilter *p, uint16_t number)
{
	for (uint32_t i = 0; i < p->list_count; i++)
		if (p->lists[i].list == number)
			return &p->lists[i];
	p->lists[p->list_count] = (struct prefilter_list){.list = number, .group = NO_GROUP};
	return &p->lists[p->list_count++];
}

static uint16_t new_group(struct builder *b)
{
	struct prefilter *p = b->p;
	uint8_t *bits = arena_zalloc(&p->arena, 1, b->bits_size);

	if (!bits || p->group_count == NO_GROUP)
		return NO_GROUP;
	p->groups[p->group_count] = (struct prefilter_group){.rules = bits};
	return (uint16_t)p->group_count++;
}

static int add_key(struct builder *b, struct prefilter_list *list, struct span key)
{
	struct prefilter_key *grown;

	for (uint32_t i = 0; i < list->key_count; i++)
		if (span_eq_nocase(list->keys[i].key, key))
			return 0;
	grown = arena_array(&b->p->arena, struct prefilter_key, list->key_count + 1);
	if (!grown)
		return no_memory(b);
	for (uint32_t i = 0; i < list->key_count; i++)
		grown[i] = list->keys[i];
	grown[list->key_count] = (struct prefilter_key){key, new_group(b)};
	if (grown[list->key_count].group == NO_GROUP)
		return no_memory(b);
	list->keys = grown;
	list->key_count++;
	return 0;
}

/* First all lists and keys, so that it is known which groups there are. */
static int make_groups(struct builder *b)
{
	struct prefilter *p = b->p;
	size_t selectors = 0;

	for (uint32_t i = 0; i < p->rule_count; i++)
		selectors += p->rules[i].rule->selector_count;
	p->lists = arena_array(&p->arena, struct prefilter_list, selectors + 1);
	p->groups = arena_array(&p->arena, struct prefilter_group, 2 * selectors + 1);
	if (!p->lists || !p->groups)
		return no_memory(b);
	for (uint32_t i = 0; i < p->rule_count; i++) {
		const struct rule *rule = p->rules[i].rule;

		for (unsigned k = 0; k < rule->selector_count; k++) {
			const struct selector *selector = &rule->selectors[k];
			struct prefilter_list *list = list_of(p, selector->list);

			list->phases |= (uint8_t)(1 << rule->phase);
			if (selector->select == SEC_KEY) {
				if (add_key(b, list, selector->key) != 0)
					return -1;
			} else if (list->group == NO_GROUP) {
				list->group = new_group(b);
				if (list->group == NO_GROUP)
					return no_memory(b);
			}
		}
	}
	return 0;
}

static void join_group(struct prefilter *p, uint16_t group, uint32_t number)
{
	if (group == NO_GROUP || bit_get(p->groups[group].rules, number))
		return;
	bit_set(p->groups[group].rules, number);
	p->groups[group].rule_count++;
}

/* A rule for all values of a list is one for each of its keys too. */
static void join_groups(struct prefilter *p, uint32_t number)
{
	const struct rule *rule = p->rules[number].rule;

	for (unsigned k = 0; k < rule->selector_count; k++) {
		const struct selector *selector = &rule->selectors[k];
		const struct prefilter_list *list = list_of(p, selector->list);

		if (selector->select != SEC_KEY)
			join_group(p, list->group, number);
		for (uint32_t i = 0; i < list->key_count; i++)
			if (selector->select != SEC_KEY ||
			    span_eq_nocase(list->keys[i].key, selector->key))
				join_group(p, list->keys[i].group, number);
	}
}

/* The chains of the group's rules and which of them match nothing at all. */
static int finish_group(struct builder *b, struct prefilter_group *group)
{
	struct prefilter *p = b->p;
	const struct chain *chains = b->rules->chains;
	uint8_t *wanted = arena_zalloc(&p->arena, 1, b->rules->chain_count / 8 + 1);

	group->chains = arena_array(&p->arena, uint16_t, b->rules->chain_count + 1);
	group->nullable = arena_array(&p->arena, uint32_t, group->rule_count + 1);
	group->direct = arena_array(&p->arena, uint32_t, group->rule_count + 1);
	if (!wanted || !group->chains || !group->nullable || !group->direct)
		return no_memory(b);
	for (uint32_t i = 0; i < p->rule_count; i++) {
		const struct rule *rule = p->rules[i].rule;

		if (!bit_get(group->rules, i))
			continue;
		bit_set(wanted, rule->chain);
		for (uint16_t at = rule->chain; rule->multi_match && at != 0;) {
			at = chains[at].parent;
			bit_set(wanted, at);
		}
		if (p->rules[i].nullable)
			group->nullable[group->nullable_count++] = i;
		if (p->rules[i].direct)
			group->direct[group->direct_count++] = i;
	}
	for (uint32_t i = 0; i < b->rules->chain_count; i++)
		if (bit_get(wanted, i))
			group->chains[group->chain_count++] = (uint16_t)i;
	return 0;
}

/* ---- databases ------------------------------------------------------------------------------- */

static uint32_t count_common(const struct builder *b, const uint8_t *x, const uint8_t *y)
{
	uint32_t count = 0;

	for (size_t i = 0; i < b->bits_size; i++)
		count += (uint32_t)__builtin_popcount(x[i] & y[i]);
	return count;
}

static void merge(struct builder *b, struct prefilter_database *database,
		  const struct prefilter_group *group)
{
	database->rule_count = 0;
	for (size_t i = 0; i < b->bits_size; i++) {
		database->rules[i] |= group->rules[i];
		database->rule_count += (uint32_t)__builtin_popcount(database->rules[i]);
	}
}

static int assign_group(struct builder *b, struct prefilter_group *group)
{
	struct prefilter *p = b->p;
	struct prefilter_database *database;

	for (uint32_t i = 0; i < p->database_count; i++) {
		uint32_t common = count_common(b, p->databases[i].rules, group->rules);
		uint32_t all = p->databases[i].rule_count + group->rule_count - common;

		if (common * SHARED_DENOMINATOR < all * SHARED_NUMERATOR)
			continue;
		group->database = i;
		merge(b, &p->databases[i], group);
		return 0;
	}
	database = &p->databases[p->database_count];
	database->rules = arena_zalloc(&p->arena, 1, b->bits_size);
	if (!database->rules)
		return no_memory(b);
	group->database = p->database_count++;
	merge(b, database, group);
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const struct prefilter_group *x = *(struct prefilter_group *const *)a;
	const struct prefilter_group *y = *(struct prefilter_group *const *)b;

	if (x->rule_count != y->rule_count)
		return x->rule_count < y->rule_count ? 1 : -1;
	return x < y ? -1 : x > y;
}

static int assign_groups(struct builder *b)
{
	struct prefilter *p = b->p;
	struct prefilter_group **order =
		arena_array(&p->arena, struct prefilter_group *, p->group_count + 1);

	p->databases = arena_array(&p->arena, struct prefilter_database, p->group_count + 1);
	if (!order || !p->databases)
		return no_memory(b);
	for (uint32_t i = 0; i < p->group_count; i++)
		order[i] = &p->groups[i];
	if (p->group_count)
		qsort(order, p->group_count, sizeof(struct prefilter_group *), by_size);
	for (uint32_t i = 0; i < p->group_count; i++)
		if (assign_group(b, order[i]) != 0)
			return -1;
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int build(struct builder *b, const struct waf_sources *sources)
{
	struct prefilter *p = b->p;

	prefilter_answers_read(p, b->rules, sources);
	if (number_rules(b) != 0 || make_groups(b) != 0)
		return -1;
	prefilter_answers_write(p, b->rules, sources);
	for (uint32_t i = 0; i < p->rule_count; i++)
		join_groups(p, i);
	for (uint32_t i = 0; i < p->group_count; i++)
		if (finish_group(b, &p->groups[i]) != 0)
			return -1;
	if (assign_groups(b) != 0)
		return -1;
	for (uint32_t i = 0; i < p->database_count; i++)
		if (prefilter_compile(p, &p->databases[i], sources, &b->rules->info, b->err) !=
		    0)
			return -1;
	b->rules->info.databases = p->database_count;
	b->rules->info.patterns = p->pattern_count;
	mem_free(p->patterns);
	p->patterns = NULL;
	return 0;
}

int prefilter_build(struct waf_rules *rules, const struct waf_sources *sources, struct err *err)
{
	static atomic_ullong serials;
	struct builder b = {.rules = rules, .err = err};

	/* Without SSSE3 Hyperscan does not run: every rule is then tried in turn. */
	if (hs_valid_platform() != HS_SUCCESS)
		return 0;
	b.p = mem_zalloc(1, sizeof(*b.p));
	if (!b.p)
		return no_memory(&b);
	buf_init(&b.p->answers, (size_t)1 << 20);
	b.p->serial = atomic_fetch_add(&serials, 1) + 1;
	arena_init(&b.p->arena, PREFILTER_ARENA_MAX, (size_t)256 << 10);
	if (build(&b, sources) != 0) {
		prefilter_free(b.p);
		return -1;
	}
	rules->prefilter = b.p;
	return 0;
}

void prefilter_free(struct prefilter *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->database_count; i++)
		(void)hs_free_database(p->databases[i].database);
	mem_free(p->patterns);
	buf_release(&p->answers);
	arena_release(&p->arena);
	mem_free(p);
}

uint32_t prefilter_rules(const struct prefilter *prefilter)
{
	return prefilter->rule_count;
}
