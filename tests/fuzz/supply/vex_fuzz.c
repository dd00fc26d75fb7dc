/*
 * Documents of others: OpenVEX, SARIF, earlier reports. What is taken from them must be written in
 * each form, and a report that was written is a baseline in which everything is known.
 */
#include <assert.h>

#include "supply/report.h"
#include "supply/report_import.h"
#include "supply/vex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_all(const struct report *r, struct result_list *results)
{
	static void (*const forms[])(const struct report *r, struct buf *to) = {
		report_table,  report_markdown,	      report_junit, report_html,
		report_gitlab, report_gitlab_quality, report_json};
	const struct vex_author author = {.name = SPAN("a")};
	struct baseline base;
	struct buf out;

	buf_init(&out, (size_t)64 << 20);
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		buf_clear(&out);
		forms[i](r, &out);
		assert(!buf_failed(&out));
	}
	baseline_init(&base);
	assert(baseline_read(&base, SPAN("r"), buf_span(&out), NULL) == 0);
	assert(baseline_apply(&base, results) == 0);
	for (size_t i = 0; i < results->count; i++)
		assert(!result_counts(&results->at[i]));
	baseline_release(&base);
	buf_clear(&out);
	assert(report_sarif(r, &out) == 0);
	vex_write(results, &author, &out);
	assert(!buf_failed(&out));
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct component c = {.ecosystem = ECOSYSTEM_NPM,
			      .name = SPAN("a"),
			      .version = SPAN("1.0.0"),
			      .purl = SPAN("pkg:npm/a@1.0.0"),
			      .file = SPAN("package-lock.json")};
	struct inventory inv = {.at = &c, .count = 1, .finished = true};
	struct vulnerability v = {.id = SPAN("CVE-2020-1"), .severity = FINDING_HIGH};
	struct report report = {.inventory = &inv, .version = SPAN("0"), .target = SPAN("t")};
	struct result_list results;
	struct baseline base;
	struct vex vex;

	if (size > 16384)
		return 0;
	result_list_init(&results, &inv);
	assert(result_add_vulnerability(&results, &v) == 0);
	vex_init(&vex);
	if (vex_read(&vex, SPAN("v"), span_of(data, size), NULL) == 0)
		assert(vex_apply(&vex, SPAN("pkg:oci/shop@1"), &results) == 0);
	baseline_init(&base);
	if (baseline_read(&base, SPAN("b"), span_of(data, size), NULL) == 0)
		assert(baseline_apply(&base, &results) == 0);
	baseline_release(&base);
	(void)!report_import_sarif(&results, SPAN("s"), span_of(data, size), NULL);
	for (size_t i = 0; i < results.count; i++)
		if (results.at[i].silence == RESULT_KNOWN)
			results.at[i].silence = RESULT_COUNTS;
	result_list_sort(&results);
	report.results = &results;
	write_all(&report, &results);
	vex_release(&vex);
	result_list_release(&results);
	return 0;
}
