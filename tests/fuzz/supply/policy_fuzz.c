/* A policy, and waivers: what is read is used, and what is written of a waiver says the same. */
#include <assert.h>

#include "supply/waiver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_policy(struct policy *policy)
{
	struct component c = {.ecosystem = ECOSYSTEM_NPM,
			      .name = SPAN("a"),
			      .version = SPAN("1.0.0"),
			      .purl = SPAN("pkg:npm/%40s/a@1.0.0"),
			      .licence = SPAN("MIT OR (GPL-2.0-only WITH a AND ISC)"),
			      .file = SPAN("services/a/package-lock.json")};
	struct inventory inv = {.at = &c, .count = 1};
	struct vulnerability v = {.id = SPAN("GHSA-1"), .severity = FINDING_HIGH};
	struct result_list results;

	result_list_init(&results, &inv);
	assert(result_add_vulnerability(&results, &v) == 0);
	assert(policy_find(policy, NULL, 1767225600, &results) == 0);
	policy_find_services(policy, &results);
	policy_judge(policy, NULL, 1767225600, &results);
	result_list_sort(&results);
	assert(result_failures(&results) <= results.count);
	result_list_release(&results);
}

static void write_again(const struct waiver *w)
{
	struct config_problems problems = {0};
	struct waiver_list again;
	struct buf text, one, two;

	buf_init(&text, 1 << 20);
	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	waiver_write(w, &text);
	assert(waiver_list_load_text(&again, buf_span(&text), "again", &problems) == 0);
	assert(again.all.count == 1);
	waiver_text(w, &one);
	waiver_text(&again.all.at[0], &two);
	assert(span_eq(buf_span(&one), buf_span(&two)));
	waiver_list_release(&again);
	buf_release(&text);
	buf_release(&one);
	buf_release(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_problems problems = {0}, waiver_problems = {0};
	struct policy policy, none = {0};
	struct waiver_list list;

	if (size > 4096)
		return 0;
	if (policy_load_text(&policy, span_of(data, size), "p", &problems) == 0)
		use_policy(&policy);
	else
		assert(problems.errors > 0);
	policy_release(&policy);
	if (waiver_list_load_text(&list, span_of(data, size), "w", &waiver_problems) == 0) {
		assert(waiver_list_verify(&list, &none, 0) == list.all.count);
		for (size_t i = 0; i < list.all.count; i++)
			write_again(&list.all.at[i]);
	}
	waiver_list_release(&list);
	return 0;
}
