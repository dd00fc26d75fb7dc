/*
 * patch.h - virtual patches: what requests that exploit known vulnerabilities look like, as templates
 * from which rules are written. A template says nothing of a service being vulnerable: who uses it
 * does.
 */
#ifndef WAF_PATCH_H
#define WAF_PATCH_H

#include "base/buf.h"
#include "base/span.h"

/* One of the conditions of a rule, all of which must hold. */
struct waf_patch_condition {
	const char *targets; /* variables, as in SecRule */
	const char *transforms; /* "t:lowercase"; NULL: none */
	const char *op; /* operator with its argument, without quotes around it */
};

#define WAF_PATCH_CONDITIONS 2
#define WAF_PATCH_RULES 3

struct waf_patch_template {
	const char *ids; /* CVE and GHSA ids, with a space between */
	const char *name; /* a short word for it */
	const char *title; /* what is attacked, and how */
	/* The first condition of the last one has no targets. */
	struct waf_patch_condition rules[WAF_PATCH_RULES + 1][WAF_PATCH_CONDITIONS + 1];
};

/* All there are; *count of them. */
const struct waf_patch_template *waf_patch_templates(size_t *count);
/* By one of its ids or its name, in any case; NULL: none. */
const struct waf_patch_template *waf_patch_template_find(struct span id);
/* Rules in SecLang with ids from `first_id` on; returns how many. Look at `to` for its failure. */
uint32_t waf_patch_template_write(const struct waf_patch_template *template, uint32_t first_id,
				  struct buf *to);

#endif
