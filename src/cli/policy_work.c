#include "cli/policy_work.h"

#include <stdio.h>

int policy_work_load(struct policy *policy, const char *path, struct err *err)
{
	struct config_problems problems = {0};
	int result = path ? policy_load(policy, path, &problems)
			  : policy_load_default(policy, &problems);

	return result < 0 ? config_problems_to_err(&problems, err) : 0;
}

int policy_work_waive(const struct policy *policy, const char *path, int64_t now_s,
		      struct result_list *results, struct err *err)
{
	struct config_problems problems = {0};
	struct waiver_list list;
	int result = 0;

	if (waiver_list_load(&list, path, &problems) < 0)
		result = config_problems_to_err(&problems, err);
	else
		(void)waiver_list_verify(&list, policy, now_s);
	if (result == 0 && waiver_apply(&list, results) < 0)
		result = err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < list.all.count && result == 0; i++) {
		const struct waiver *w = &list.all.at[i];

		if (w->state != WAIVER_GOOD)
			fprintf(stderr,
				"sallyport: warning: %s:%u: the waiver of %.*s does not count: "
				"%s\n",
				path, w->where.line, SPAN_ARG(w->id),
				waiver_state_text(w->state));
	}
	waiver_list_release(&list);
	return result;
}

int policy_work_waive_all(const struct policy *policy, int64_t now_s,
			  struct result_list *results, struct err *err)
{
	for (size_t i = 0; i < policy->waivers.count; i++)
		if (policy_work_waive(policy, policy->waivers.at[i].file.ptr, now_s, results,
				      err) < 0)
			return -1;
	return 0;
}

int policy_work_judge(const struct policy *policy, const struct finding_list *findings,
		      int64_t now_s, struct result_list *results, struct err *err)
{
	for (size_t i = 0; i < findings->count; i++)
		if (result_add_finding(results, &findings->at[i]) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	policy_find_services(policy, results);
	policy_judge(policy, NULL, now_s, results);
	if (policy_work_waive_all(policy, now_s, results, err) < 0)
		return -1;
	result_list_sort(results);
	return 0;
}
