#include "supply/policy.h"

#include "supply/pattern.h"

/* The memory is a field of what is read, and must not be zeroed by it. */
int policy_load(struct policy *policy, const char *path, struct config_problems *problems)
{
	*policy = (struct policy){0};
	return table_load(&policy_schema, path, policy, &policy->memory, problems);
}

int policy_load_text(struct policy *policy, struct span text, const char *name,
		     struct config_problems *problems)
{
	*policy = (struct policy){0};
	return table_load_text(&policy_schema, text, name, policy, &policy->memory, problems);
}

int policy_load_default(struct policy *policy, struct config_problems *problems)
{
	return policy_load_text(policy, SPAN("{}"), "(built in)", problems);
}

void policy_release(struct policy *policy)
{
	table_release(&policy->memory);
	*policy = (struct policy){0};
}

static bool is_one(const struct config_strings *patterns, struct span text)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (pattern_path(patterns->at[i], text))
			return true;
	return false;
}

struct span policy_service_of(const struct policy *policy, const struct inventory *inv,
			      struct span file)
{
	for (size_t i = 0; i < policy->services.count; i++) {
		const struct policy_service *service = &policy->services.at[i];

		if ((file.len && is_one(&service->paths, file)) ||
		    (inv->subject_name.len && is_one(&service->images, inv->subject_name)))
			return service->name;
	}
	return SPAN_NONE;
}

void policy_find_services(const struct policy *policy, struct result_list *results)
{
	for (size_t i = 0; i < results->count; i++) {
		struct result *r = &results->at[i];

		if (r->service.len == 0)
			r->service = policy_service_of(policy, results->inventory,
						       r->finding.place.file);
	}
}

bool policy_scope_holds(const struct policy_scope *scope, const struct inventory *inv,
			const struct result *r)
{
	const struct component *c =
		r->component == COMPONENT_NONE ? NULL : &inv->at[r->component];
	struct span purl = c ? c->purl : r->finding.subject;

	if (scope->component.len && !pattern_purl(scope->component, purl))
		return false;
	if (scope->versions.len && !(c && pattern_versions(scope->versions, c)))
		return false;
	if (scope->path.len && !pattern_path(scope->path, r->finding.place.file))
		return false;
	return scope->service.len == 0 || span_eq(scope->service, r->service);
}

/* ---- licences -------------------------------------------------------------------------------- */

static bool licence_fits(struct span pattern, struct span licence)
{
	if (span_ends_with(pattern, SPAN("*")))
		return licence.len >= pattern.len - 1 &&
		       span_eq_nocase(span_slice(pattern, 0, pattern.len - 1),
				      span_slice(licence, 0, pattern.len - 1));
	return span_eq_nocase(pattern, licence);
}

static bool is_listed(const struct config_strings *list, struct span licence)
{
	size_t with = span_find(licence, SPAN(" "));

	for (size_t i = 0; i < list->count; i++)
		if (licence_fits(list->at[i], licence))
			return true;
	if (with < licence.len)
		return false;
	return span_ends_with(licence, SPAN("+")) &&
	       is_listed(list, span_slice(licence, 0, licence.len - 1));
}

/* The licence of "A WITH B" alone: the exception gives more rights. */
static struct span without_exception(struct span licence)
{
	return span_slice(licence, 0, span_find_byte(licence, ' '));
}

static enum licence_verdict judge_one(void *context, struct span licence)
{
	const struct policy_licences *licences = context;
	struct span alone = without_exception(licence);
	bool has_exception = alone.len < licence.len;

	if (is_listed(&licences->deny, licence))
		return LICENCE_DENIED;
	if (licences->allow.count && is_listed(&licences->allow, licence))
		return LICENCE_ALLOWED;
	if (has_exception && is_listed(&licences->deny, alone))
		return LICENCE_DENIED;
	if (licences->allow.count == 0 || (has_exception && is_listed(&licences->allow, alone)))
		return LICENCE_ALLOWED;
	return LICENCE_DENIED;
}

enum licence_verdict policy_licence(const struct policy_licences *licences,
				    struct span expression)
{
	enum licence_verdict verdict;

	if (expression.len == 0 || span_eq(expression, SPAN("NOASSERTION")))
		return LICENCE_UNKNOWN;
	verdict = licence_judge(expression, judge_one, (void *)(uintptr_t)licences);
	/* A sentence is no expression, but it may be just the text that somebody has listed. */
	if (verdict == LICENCE_UNKNOWN && is_listed(&licences->deny, expression))
		return LICENCE_DENIED;
	if (verdict == LICENCE_UNKNOWN && is_listed(&licences->allow, expression))
		return LICENCE_ALLOWED;
	return verdict;
}
