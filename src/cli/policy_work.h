/* policy_work.h - policies and waivers, as commands that judge results use them. */
#ifndef CLI_POLICY_WORK_H
#define CLI_POLICY_WORK_H

#include "supply/waiver.h"

/* A file, or with NULL what holds without one. -1: ERR_INVALID; release the policy either way. */
int policy_work_load(struct policy *policy, const char *path, struct err *err) MUST_CHECK;
/*
 * Silences results by a file of waivers; those that do not count are told on standard error. -1:
 * ERR_INVALID, ERR_MEMORY.
 */
int policy_work_waive(const struct policy *policy, const char *path, int64_t now_s,
		      struct result_list *results, struct err *err) MUST_CHECK;
/* By all the files that the policy names. */
int policy_work_waive_all(const struct policy *policy, int64_t now_s,
			  struct result_list *results, struct err *err) MUST_CHECK;
/*
 * For findings that come with no components: adds them to the results, judges and waives them, and
 * sorts. -1: ERR_INVALID, ERR_MEMORY.
 */
int policy_work_judge(const struct policy *policy, const struct finding_list *findings,
		      int64_t now_s, struct result_list *results, struct err *err) MUST_CHECK;

#endif
