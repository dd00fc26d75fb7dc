#include "base/mem.h"
#include "waf/prefilter_internal.h"
#include "waf/transaction.h"

/* Scratch space fits all databases that it was made for; a worker may meet those of two reloads. */
#define SERIALS_KEPT 16

/*
 * What a worker has looked at a moment ago, it need not look at again: names of fields and
 * arguments, and values such as User-Agent, come with nearly every request. Values are compared as
 * a whole, so nothing passes that was not looked at. Values for which many rules are to be asked
 * are not kept.
 */
#define SEEN_COUNT 2048
#define SEEN_BYTES 128
#define SEEN_RULES 8

struct seen {
	uint64_t serial; /* of the prefilter */
	uint16_t group;
	uint16_t len;
	uint16_t rules[SEEN_RULES]; /* that may match */
	uint16_t rule_count;
	char text[SEEN_BYTES];
};

/* Which chains of a group may change a value with bytes of these classes. */
#define CHANGES_COUNT 512

struct changes {
	uint64_t serial;
	uint32_t classes;
	uint16_t group;
	uint64_t chains; /* bits by index; those from the 63rd on share one */
};

struct prefilter_scratch {
	hs_scratch_t *space;
	uint64_t serials[SERIALS_KEPT];
	unsigned next;
	struct changes changes[CHANGES_COUNT];
	struct seen seen[SEEN_COUNT];
};

void prefilter_scratch_free(struct prefilter_scratch *scratch)
{
	if (!scratch)
		return;
	(void)hs_free_scratch(scratch->space);
	mem_free(scratch);
}

static bool is_prepared(const struct prefilter_scratch *scratch, uint64_t serial)
{
	for (unsigned i = 0; i < SERIALS_KEPT; i++)
		if (scratch->serials[i] == serial)
			return true;
	return false;
}

static bool prepare(struct waf_worker *worker, const struct prefilter *p)
{
	struct prefilter_scratch *scratch = worker->prefilter_scratch;

	if (!scratch) {
		scratch = mem_zalloc(1, sizeof(*scratch));
		if (!scratch)
			return false;
		worker->prefilter_scratch = scratch;
	}
	if (is_prepared(scratch, p->serial))
		return true;
	for (uint32_t i = 0; i < p->database_count; i++)
		if (hs_alloc_scratch(p->databases[i].database, &scratch->space) != HS_SUCCESS)
			return false;
	scratch->serials[scratch->next] = p->serial;
	scratch->next = (scratch->next + 1) % SERIALS_KEPT;
	return true;
}

/* ---- values seen before ---------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static struct seen *seen_slot(struct prefilter_scratch *scratch, uint16_t group,
			      struct span text)
{
	uint64_t hash = mix(text.len, group);
	size_t i = 0;
	uint64_t word;

	for (; i + sizeof(word) <= text.len; i += sizeof(word)) {
		memcpy(&word, text.ptr + i, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, text.ptr + i, text.len - i);
	hash = mix(hash, word);
	return &scratch->seen[hash % SEEN_COUNT];
}

static bool is_seen(const struct seen *seen, uint64_t serial, uint16_t group, struct span text)
{
	return seen->serial == serial && seen->group == group && seen->len == text.len &&
	       memcmp(seen->text, text.ptr, text.len) == 0;
}

/* ---- one value ------------------------------------------------------------------------------- */

struct scan {
	struct waf_transaction *t;
	const struct prefilter *p;
	const struct prefilter_group *group;
	uint16_t group_number;
	uint16_t rules[SEEN_RULES]; /* that may match the value, if not too many */
	uint32_t rule_count;
	const uint8_t
		*numbers; /* of texts, by chain; NULL: all chains leave the value as it is */
	uint8_t number; /* of the text that is scanned */
	uint32_t list;
	uint32_t index;
};

static void note_rule(struct scan *s, uint32_t rule)
{
	for (unsigned i = 0; i < s->rule_count && i < SEEN_RULES; i++)
		if (s->rules[i] == rule)
			return;
	if (s->rule_count < SEEN_RULES)
		s->rules[s->rule_count] = (uint16_t)rule;
	s->rule_count++;
}

static void add_hit(struct scan *s, uint32_t rule)
{
	struct hits *hits = &s->t->hits[rule];
	struct hit *hit;

	note_rule(s, rule);
	/* A variable may be scanned again in a later phase with another value. */
	for (hit = hits->first; hit; hit = hit->next)
		if (hit->list == s->list && hit->index == s->index)
			return;
	hit = arena_alloc(&s->t->arena, sizeof(*hit));
	if (!hit) {
		s->t->failed = true;
		return;
	}
	*hit = (struct hit){NULL, s->list, s->index};
	if (hits->last)
		hits->last->next = hit;
	else
		hits->first = hit;
	hits->last = hit;
}

static void remember(const struct scan *s, struct seen *seen, struct span text)
{
	if (s->rule_count > SEEN_RULES || s->p->rule_count > UINT16_MAX)
		return;
	seen->serial = s->p->serial;
	seen->group = s->group_number;
	seen->len = (uint16_t)text.len;
	seen->rule_count = (uint16_t)s->rule_count;
	memcpy(seen->rules, s->rules, s->rule_count * sizeof(seen->rules[0]));
	memcpy(seen->text, text.ptr, text.len);
}

/* Whether the text is one that the rule looks at. */
static bool looks_at(const struct scan *s, const struct rule *rule)
{
	uint16_t chain = rule->chain;

	if (!s->numbers || s->numbers[chain] == s->number)
		return true;
	while (rule->multi_match && chain != 0) {
		chain = s->t->rules->chains[chain].parent;
		if (s->numbers[chain] == s->number)
			return true;
	}
	return false;
}

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
		    void *context)
{
	struct scan *s = context;

	(void)from;
	(void)to;
	(void)flags;
	if (bit_get(s->group->rules, id) && looks_at(s, s->p->rules[id].rule))
		add_hit(s, id);
	return 0;
}

static void scan_text(struct scan *s, struct span text)
{
	const struct waf_worker *worker = s->t->worker;
	const struct prefilter_group *group = s->group;
	const hs_database_t *database = s->p->databases[group->database].database;

	for (uint32_t i = 0; i < group->direct_count; i++) {
		const struct rule *rule = s->p->rules[group->direct[i]].rule;

		if (looks_at(s, rule) &&
		    operator_evaluate(s->t, rule->op, SPAN_NONE, text, NULL))
			add_hit(s, group->direct[i]);
	}
	if (text.len == 0) {
		for (uint32_t i = 0; i < group->nullable_count; i++)
			if (looks_at(s, s->p->rules[group->nullable[i]].rule))
				add_hit(s, group->nullable[i]);
		return;
	}
	if (!database)
		return;
	if (text.len > UINT32_MAX ||
	    hs_scan(database, text.ptr, (unsigned)text.len, 0, worker->prefilter_scratch->space,
		    on_match, s) != HS_SUCCESS)
		s->t->failed = true;
}

static unsigned change_bit(unsigned chain_index)
{
	return chain_index < 63 ? chain_index : 63;
}

static bool may_change(const struct waf_rules *rules, uint16_t chain, uint32_t classes)
{
	for (; chain != 0; chain = rules->chains[chain].parent)
		if (transform_may_change((enum transform)rules->chains[chain].transform,
					 classes))
			return true;
	return false;
}

static uint64_t changing_chains(struct scan *s, uint32_t classes)
{
	uint64_t hash = mix(classes, s->group_number);
	struct changes *known = &s->t->worker->prefilter_scratch->changes[hash % CHANGES_COUNT];

	if (known->serial == s->p->serial && known->classes == classes &&
	    known->group == s->group_number)
		return known->chains;
	*known = (struct changes){
		.serial = s->p->serial, .classes = classes, .group = s->group_number};
	for (unsigned i = 0; i < s->group->chain_count; i++)
		if (may_change(s->t->rules, s->group->chains[i], classes))
			known->chains |= UINT64_C(1) << change_bit(i);
	return known->chains;
}

/* The texts that the chains of the group make of the value, each once. */
static void scan_texts(struct scan *s, struct value *value, uint64_t changing)
{
	const struct prefilter_group *group = s->group;
	uint8_t wanted[(TEXTS_MAX + 8) / 8] = {0};
	uint8_t number;

	(void)value_text(s->t, value, 0, &number);
	if (!value->cache)
		return; /* memory has run out */
	/* All texts first: then the numbers of all chains are known. */
	for (unsigned i = 0; i < group->chain_count; i++) {
		number = 0;
		if (changing >> change_bit(i) & 1)
			(void)value_text(s->t, value, group->chains[i], &number);
		else
			value->cache->ids[group->chains[i]] = 0;
		bit_set(wanted, number);
	}
	s->numbers = value->cache->ids;
	for (unsigned i = 0; i < value->cache->count; i++) {
		if (!bit_get(wanted, i))
			continue;
		s->number = (uint8_t)i;
		scan_text(s, value->cache->texts[i]);
	}
}

static void scan_value(struct scan *s, struct value *value)
{
	struct prefilter_scratch *scratch = s->t->worker->prefilter_scratch;
	struct seen *seen = NULL;
	uint64_t changing;

	if (value->text.len > 0 && value->text.len <= SEEN_BYTES) {
		seen = seen_slot(scratch, s->group_number, value->text);
		if (is_seen(seen, s->p->serial, s->group_number, value->text)) {
			for (unsigned i = 0; i < seen->rule_count; i++)
				add_hit(s, seen->rules[i]);
			return;
		}
	}
	s->rule_count = 0;
	s->numbers = NULL;
	s->number = 0;
	changing = changing_chains(s, transform_classes(value->text));
	if (changing)
		scan_texts(s, value, changing);
	else
		scan_text(s, value->text);
	if (seen && !s->t->failed)
		remember(s, seen, value->text);
}

/* ---- a phase --------------------------------------------------------------------------------- */

static uint16_t group_of(const struct prefilter_list *list, struct span key)
{
	for (uint32_t i = 0; i < list->key_count; i++)
		if (span_eq_nocase(list->keys[i].key, key))
			return list->keys[i].group;
	return list->group;
}

static void scan_list(struct scan *s, const struct prefilter_list *list)
{
	struct value_list *values = &s->t->lists[list->list];

	/* A single variable that nothing has set is an empty value. */
	if (values->count == 0 && list->list < VAR_COUNT &&
	    !variable_is_collection((enum variable)list->list))
		value_set(s->t, (enum variable)list->list, SPAN(""));
	s->list = list->list;
	for (uint32_t i = values->scanned; i < values->count; i++) {
		uint16_t group = group_of(list, values->at[i].key);

		if (group == NO_GROUP)
			continue;
		s->group = &s->p->groups[group];
		s->group_number = group;
		s->index = i;
		scan_value(s, &values->at[i]);
	}
	values->scanned = values->count;
}

void prefilter_scan(struct waf_transaction *t, unsigned phase)
{
	const struct prefilter *p = t->rules->prefilter;
	struct scan scan = {.t = t, .p = p};

	if (!prepare(t->worker, p)) {
		t->failed = true;
		return;
	}
	for (uint32_t i = 0; i < p->list_count; i++)
		if (p->lists[i].phases >> phase & 1)
			scan_list(&scan, &p->lists[i]);
}
