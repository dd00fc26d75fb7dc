/* cvss_internal.h - the metrics of a vector, as the files of the versions share them. */
#ifndef SUPPLY_CVSS_INTERNAL_H
#define SUPPLY_CVSS_INTERNAL_H

#include "supply/cvss.h"

#define CVSS_METRICS_MAX 32

struct cvss_metric {
	struct span name;
	/* Words between spaces; a metric's value is the index of its word. */
	struct span values;
	bool required;
};

/* The values of a version's metrics, in the order of its table; CVSS_ABSENT where not given. */
#define CVSS_ABSENT 0xff
struct cvss_values {
	unsigned char at[CVSS_METRICS_MAX];
};

enum cvss_result cvss_metrics_read(struct span text, const struct cvss_metric *table,
				   size_t count, struct cvss_values *values);

enum cvss_result cvss2_read(struct span metrics, struct cvss *cvss);
enum cvss_result cvss3_read(struct span metrics, struct cvss *cvss);
enum cvss_result cvss4_read(struct span metrics, struct cvss *cvss);

#endif
