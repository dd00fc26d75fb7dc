#include "waf/transaction.h"

static struct tx_value *find_more(const struct waf_transaction *t, struct span name)
{
	for (uint32_t i = 0; i < t->tx_more_count; i++)
		if (span_eq_nocase(t->tx_more[i].name, name))
			return &t->tx_more[i];
	return NULL;
}

/* Names that rules make may be those of slots too. */
static struct tx_value *find(const struct waf_transaction *t, uint32_t slot, struct span name)
{
	if (slot == TX_NO_SLOT)
		slot = rules_tx_slot(t->rules, name);
	return slot != TX_NO_SLOT ? &t->tx[slot] : find_more(t, name);
}

struct span tx_get(const struct waf_transaction *t, uint32_t slot, struct span name)
{
	const struct tx_value *found = find(t, slot, name);

	return found ? found->value : SPAN_NONE;
}

static struct tx_value *add_more(struct waf_transaction *t, struct span name)
{
	if (t->tx_more_count == t->tx_more_cap) {
		uint32_t cap = t->tx_more_cap ? 2 * t->tx_more_cap : 8;
		struct tx_value *grown = arena_alloc(&t->arena, cap * sizeof(*grown));

		if (!grown) {
			t->failed = true;
			return NULL;
		}
		if (t->tx_more_count)
			memcpy(grown, t->tx_more, t->tx_more_count * sizeof(*grown));
		t->tx_more = grown;
		t->tx_more_cap = cap;
	}
	t->tx_more[t->tx_more_count] = (struct tx_value){SPAN_NONE, name};
	return &t->tx_more[t->tx_more_count++];
}

static void store(struct waf_transaction *t, struct tx_value *to, struct span name,
		  struct span value)
{

	if (!to)
		to = add_more(t, name);
	if (!to)
		return;
	if (!to->value.ptr && name.ptr)
		to->name = name;
	to->value = value.ptr ? value : SPAN("");
}

void tx_set_more(struct waf_transaction *t, struct span name, struct span value)
{
	store(t, find_more(t, name), name, value);
}

void tx_set(struct waf_transaction *t, uint32_t slot, struct span name, struct span value)
{
	store(t, find(t, slot, name), name, value);
}

void tx_unset(struct waf_transaction *t, uint32_t slot, struct span name)
{
	struct tx_value *to = find(t, slot, name);

	if (to)
		to->value = SPAN_NONE;
}

static struct span name_of(const struct waf_transaction *t, uint32_t slot)
{
	return t->tx[slot].name.ptr ? t->tx[slot].name : t->rules->tx_names[slot];
}

struct view tx_some(struct waf_transaction *t, const struct selector *selector)
{
	struct value_list list = {NULL, 0, 0, 0};
	bool all = selector->select == SEC_ALL;
	uint32_t count = all ? t->rules->tx_count : selector->tx_slot_count;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = all ? i : selector->tx_slots[i];

		if (t->tx[slot].value.ptr)
			list_add(t, &list, name_of(t, slot), t->tx[slot].value);
	}
	for (uint32_t i = 0; i < t->tx_more_count; i++)
		if (t->tx_more[i].value.ptr &&
		    selector_accepts(t, selector, t->tx_more[i].name))
			list_add(t, &list, t->tx_more[i].name, t->tx_more[i].value);
	return (struct view){list.at, list.count};
}
