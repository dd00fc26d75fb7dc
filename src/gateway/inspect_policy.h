/* inspect_policy.h - from the configuration's `waf` to a policy for the rules. */
#ifndef GATEWAY_INSPECT_POLICY_H
#define GATEWAY_INSPECT_POLICY_H

#include "config/config.h"
#include "waf/waf.h"

/*
 * NULL with *err. `cfg` may be NULL or have no `waf`: then it is the rules' own policy. Rules of the
 * sources `without` do not run.
 */
struct waf_policy *inspect_policy_new(struct waf_rules *rules, const struct config *cfg,
				      enum waf_mode mode, const struct span *without,
				      size_t without_count, struct err *err) MUST_CHECK;

#endif
