/* policy.h - a policy from the inside. */
#ifndef WAF_POLICY_H
#define WAF_POLICY_H

#include "waf/rules.h"

/* An exclusion as a step that a rule could have done, and where it holds. */
struct policy_exclusion {
	struct step step;
	struct span path; /* empty: everywhere */
	bool prefix; /* all paths that start so */
};

struct removed_target;

struct waf_policy {
	atomic_uint references;
	struct waf_rules *rules;
	struct arena arena;
	enum waf_mode mode;
	struct span inbound_threshold; /* empty: as the rules say */
	struct span outbound_threshold;
	struct waf_limits limits;
	bool responses; /* phases 3 to 5 have to wait for a response */
	bool response_bodies;
	bool refuse_large_responses;
	struct span *response_types; /* NULL with a count of 0: all */
	size_t response_type_count;
	struct policy_exclusion *exclusions;
	size_t exclusion_count;
	struct operator** operators;
	size_t operator_count;
	/* What holds everywhere, by rule number: transactions start with these; NULL: none. */
	const uint8_t *removed;
	struct removed_target **removed_targets;
	struct arena applied; /* where the two are */
};

/* Whether the step (of the kinds SEC_CTL_REMOVE_...) means this rule. */
bool step_means_rule(const struct step *step, const struct rule *rule);

#endif
