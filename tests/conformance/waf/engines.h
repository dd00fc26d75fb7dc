/*
 * engines.h - one request through our rules, and through libmodsecurity with the same rules, which
 * is the measure: the ids of the rules that each has logged.
 */
#ifndef TESTS_CONFORMANCE_WAF_ENGINES_H
#define TESTS_CONFORMANCE_WAF_ENGINES_H

#include "tests/conformance/waf/cases.h"
#include "waf/waf.h"

#define IDS_MAX 256

/* In ascending order, each once. */
struct ids {
	uint32_t at[IDS_MAX];
	size_t count;
	bool blocked; /* would be, or is */
};

bool ids_have(const struct ids *ids, uint32_t id);
bool ids_equal(const struct ids *a, const struct ids *b);

/* ---- ours ------------------------------------------------------------------------------------ */

struct subject {
	struct waf_rules *rules;
	struct waf_policy *policy;
	struct waf_worker *worker;
};

/* The Core Rule Set at a level, in mode observe. `folder` NULL: Debian's. */
int subject_init(struct subject *s, const struct waf_sources *sources, enum waf_mode mode,
		 struct err *err);
void subject_release(struct subject *s);
int subject_run(struct subject *s, const struct request_case *c, struct ids *ids,
		struct err *err);

/* ---- libmodsecurity -------------------------------------------------------------------------- */

struct oracle;

/* Debian's Core Rule Set at the level behind `setup` (text), detection only or blocking. */
struct oracle *oracle_new(struct span setup, unsigned paranoia, bool blocking, struct err *err);
void oracle_free(struct oracle *o);
void oracle_run(struct oracle *o, const struct request_case *c, struct ids *ids);

#endif
