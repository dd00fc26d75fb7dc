#include "waf/compile.h"

static int no_memory(struct compiler *c)
{
	return err_set(c->err, ERR_MEMORY, "no memory for rules");
}

static bool has_tag(const struct sec_actions *actions, struct span tag)
{
	for (size_t i = 0; i < actions->tag_count; i++)
		if (span_eq(actions->tags[i], tag))
			return true;
	return false;
}

static bool change_meets(const struct sec_change *change, const struct sec_rule *rule)
{
	const struct sec_actions *actions = &rule->actions;

	if (rule->kind == SEC_MARKER)
		return false;
	switch (change->criterion) {
	case SEC_BY_ID: return actions->id >= change->first && actions->id <= change->last;
	case SEC_BY_TAG: return has_tag(actions, change->text);
	case SEC_BY_MSG: return actions->msg.ptr && span_eq(actions->msg, change->text);
	}
	return false;
}

static int add_targets(struct compiler *c, struct sec_rule *rule,
		       const struct sec_targets *more)
{
	size_t count = rule->targets.count + more->count;
	struct sec_target *all = arena_array(&c->rules->arena, struct sec_target, count);

	if (!all)
		return no_memory(c);
	for (size_t i = 0; i < rule->targets.count; i++)
		all[i] = rule->targets.at[i];
	for (size_t i = 0; i < more->count; i++)
		all[rule->targets.count + i] = more->at[i];
	rule->targets = (struct sec_targets){all, count};
	return 0;
}

/* One array after the other, in the arena; NULL without memory. */
static void *joined(struct arena *arena, const void *a, size_t a_count, const void *b,
		    size_t b_count, size_t size)
{
	char *all = arena_alloc(arena, (a_count + b_count + 1) * size);

	if (!all)
		return NULL;
	if (a_count)
		memcpy(all, a, a_count * size);
	if (b_count)
		memcpy(all + a_count * size, b, b_count * size);
	return all;
}

#define JOIN(c, list, list_count, more, more_count)                                            \
	((list) = joined(&(c)->rules->arena, (list), (list_count), (more), (more_count),       \
			 sizeof(*(list))),                                                     \
	 (list_count) += (more_count), (list) != NULL)

static void change_transforms(struct sec_actions *to, const struct sec_actions *from)
{
	if (from->no_inherit) {
		to->no_inherit = true;
		to->transform_count = 0;
	}
	for (size_t i = 0; i < from->transform_count; i++)
		if (to->transform_count < SEC_TRANSFORMS_MAX)
			to->transforms[to->transform_count++] = from->transforms[i];
}

static int change_actions(struct compiler *c, struct sec_actions *to,
			  const struct sec_actions *from)
{
	to->capture |= from->capture;
	to->multi_match |= from->multi_match;
	if (from->log_given) {
		to->log_given = true;
		to->log = from->log;
	}
	if (from->disruptive != SEC_NOT_DISRUPTIVE) {
		to->disruptive = from->disruptive;
		to->redirect = from->redirect;
	}
	if (from->status)
		to->status = from->status;
	if (from->skip)
		to->skip = from->skip;
	if (from->skip_after.len)
		to->skip_after = from->skip_after;
	if (from->msg.ptr)
		to->msg = from->msg;
	if (from->logdata.ptr)
		to->logdata = from->logdata;
	if (from->severity >= 0)
		to->severity = from->severity;
	change_transforms(to, from);
	if (!JOIN(c, to->tags, to->tag_count, from->tags, from->tag_count) ||
	    !JOIN(c, to->setvars, to->setvar_count, from->setvars, from->setvar_count) ||
	    !JOIN(c, to->steps, to->step_count, from->steps, from->step_count))
		return no_memory(c);
	return 0;
}

static int change_rule(struct compiler *c, const struct sec_change *change,
		       struct sec_rule *rule)
{
	switch (change->kind) {
	case SEC_REMOVE: return 0;
	case SEC_UPDATE_TARGETS:
		if (rule->kind != SEC_RULE)
			return 0;
		return add_targets(c, rule, &change->targets);
	case SEC_UPDATE_ACTIONS: return change_actions(c, &rule->actions, &change->actions);
	}
	return 0;
}

static bool is_removed(const struct compiler *c, const struct sec_rule *rule)
{
	for (const struct sec_change *change = c->rules->document.changes; change;
	     change = change->next)
		if (change->kind == SEC_REMOVE && change_meets(change, rule))
			return true;
	return false;
}

int compile_changes(struct compiler *c)
{
	struct sec_document *document = &c->rules->document;
	size_t count = 0;

	for (const struct sec_rule *rule = document->rules; rule; rule = rule->next)
		count++;
	c->items = arena_array(&c->rules->arena, struct sec_rule *, count + 1);
	if (!c->items)
		return no_memory(c);
	for (struct sec_rule *rule = document->rules; rule; rule = rule->next) {
		if (is_removed(c, rule))
			continue;
		c->items[c->item_count++] = rule;
		for (const struct sec_change *change = document->changes; change;
		     change = change->next)
			if (change->kind != SEC_REMOVE && change_meets(change, rule) &&
			    change_rule(c, change, rule) != 0)
				return compile_error(c, change->place);
	}
	return 0;
}
