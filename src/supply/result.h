/*
 * result.h - all that a scan has to say, as one kind of thing: vulnerabilities, misconfigurations,
 * secrets, licences, what a policy denies, what other tools have found. Policies, exceptions,
 * waivers, VEX statements and earlier reports mark them; reports show them; none is taken out.
 */
#ifndef SUPPLY_RESULT_H
#define SUPPLY_RESULT_H

#include "supply/rank.h"

enum result_kind {
	RESULT_VULNERABILITY,
	RESULT_MISCONFIGURATION,
	RESULT_SECRET,
	RESULT_LICENCE,
	RESULT_POLICY, /* components, labels and ages that the policy does not take */
	RESULT_IMPORTED, /* of another tool */
};
#define RESULT_KINDS 6

/* Why a result does not count; `why` says more. */
enum result_silence {
	RESULT_COUNTS,
	RESULT_WAIVED, /* signed by a champion */
	RESULT_EXCEPTED, /* by the policy */
	RESULT_NOT_AFFECTED, /* a VEX statement says so, or that it is fixed */
	RESULT_KNOWN, /* it was there before the change that is looked at */
	RESULT_UNFIXED, /* there is no fix, and that is not asked for */
};
#define RESULT_SILENCES 6

struct result {
	enum result_kind kind;
	enum result_silence silence;
	struct span why;
	bool fails; /* it makes the scan fail, if it counts; else it is a warning */
	struct finding finding;
	/* Of vulnerabilities, else NULL: what more is known of it. */
	struct vulnerability *vulnerability;
	uint32_t component; /* which it is about, or COMPONENT_NONE */
	struct span service; /* which it belongs to; empty: not known */
	/* RESULT_NOT_AFFECTED: the statement's words, "fixed", "component_not_present". */
	struct span vex_status;
	struct span vex_justification;
	struct span vex_impact;
	struct span tool; /* RESULT_IMPORTED: whose it is */
	/* The same as long as it is the same: whatever its line. 16 hex digits. */
	struct span fingerprint;
};

struct result_list {
	struct arena arena;
	struct result *at;
	size_t count;
	const struct inventory *inventory;
};

void result_list_init(struct result_list *list, const struct inventory *inv);
/* A zeroed list is allowed. */
void result_list_release(struct result_list *list);
/*
 * Appends. The finding's text is not copied; its kind is told by the rule for findings of checks
 * ("secret-..."). -1 when memory ran out.
 */
int result_add_vulnerability(struct result_list *list, struct vulnerability *v) MUST_CHECK;
int result_add_finding(struct result_list *list, const struct finding *f) MUST_CHECK;
/* With kind, finding and component given. */
int result_add(struct result_list *list, const struct result *r) MUST_CHECK;
/*
 * Once, when all are there: what counts first, then by kind, urgency of vulnerabilities, severity
 * and place.
 */
void result_list_sort(struct result_list *list);
/* Marks one that counts still; `why` must live as long as the list. */
void result_silence(struct result *r, enum result_silence silence, struct span why);

static inline bool result_counts(const struct result *r)
{
	return r->silence == RESULT_COUNTS;
}
/* How many count and fail. */
size_t result_failures(const struct result_list *list);
/* "vulnerability", "misconfiguration", ... */
const char *result_kind_name(enum result_kind kind);
/* "waived", "excepted", ...; "open" for RESULT_COUNTS. */
const char *result_silence_name(enum result_silence silence);
/* Is it this id, or, of a vulnerability, one of its aliases? */
bool result_has_id(const struct result *r, struct span id);

#endif
