#include "supply/cvss_internal.h"

static enum cvss_result read_metric(struct span field, const struct cvss_metric *table,
				    size_t count, struct cvss_values *values)
{
	struct span value = field, name = span_cut(&value, ':');

	if (!value.ptr || value.len == 0)
		return CVSS_BAD_METRIC;
	for (size_t i = 0; i < count; i++) {
		struct span words = table[i].values;

		if (!span_eq(table[i].name, name))
			continue;
		if (values->at[i] != CVSS_ABSENT)
			return CVSS_TWICE;
		for (unsigned char index = 0; words.ptr; index++)
			if (span_eq(span_cut(&words, ' '), value)) {
				values->at[i] = index;
				return CVSS_OK;
			}
		return CVSS_BAD_VALUE;
	}
	return CVSS_BAD_METRIC;
}

enum cvss_result cvss_metrics_read(struct span text, const struct cvss_metric *table,
				   size_t count, struct cvss_values *values)
{
	memset(values->at, CVSS_ABSENT, sizeof(values->at));
	while (text.ptr) {
		enum cvss_result result =
			read_metric(span_cut(&text, '/'), table, count, values);

		if (result != CVSS_OK)
			return result;
	}
	for (size_t i = 0; i < count; i++)
		if (table[i].required && values->at[i] == CVSS_ABSENT)
			return CVSS_MISSING;
	return CVSS_OK;
}

enum cvss_result cvss_read(struct span vector, struct cvss *cvss)
{
	static const struct {
		struct span prefix;
		enum cvss_version version;
		enum cvss_result (*read)(struct span, struct cvss *);
	} versions[] = {
		{SPAN_INIT("CVSS:3.1/"), CVSS_3_1, cvss3_read},
		{SPAN_INIT("CVSS:3.0/"), CVSS_3_0, cvss3_read},
		{SPAN_INIT("CVSS:4.0/"), CVSS_4_0, cvss4_read},
	};
	struct span text = span_trim(vector);

	for (size_t i = 0; i < COUNT_OF(versions); i++)
		if (span_starts_with(text, versions[i].prefix)) {
			cvss->version = versions[i].version;
			return versions[i].read(
				span_slice(text, versions[i].prefix.len, text.len), cvss);
		}
	if (span_starts_with(text, SPAN("CVSS:")))
		return CVSS_BAD_VERSION;
	if (span_starts_with(text, SPAN("(")) && span_ends_with(text, SPAN(")")))
		text = span_slice(text, 1, text.len - 1);
	cvss->version = CVSS_2_0;
	return cvss2_read(text, cvss);
}

const char *cvss_result_text(enum cvss_result result)
{
	static const char *const texts[] = {
		[CVSS_OK] = "is fine",
		[CVSS_BAD_VERSION] = "is of an unknown version",
		[CVSS_BAD_METRIC] = "has a metric that its version does not have",
		[CVSS_BAD_VALUE] = "has a value that its metric does not have",
		[CVSS_TWICE] = "has a metric twice",
		[CVSS_MISSING] = "lacks a base metric",
	};

	return texts[result];
}

enum finding_severity cvss_severity(unsigned tenths)
{
	if (tenths >= 90)
		return FINDING_CRITICAL;
	if (tenths >= 70)
		return FINDING_HIGH;
	if (tenths >= 40)
		return FINDING_MEDIUM;
	return tenths ? FINDING_LOW : FINDING_INFO;
}
