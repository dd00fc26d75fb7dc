/*
 * cvss.h - scores computed from CVSS vectors: 2.0, 3.0, 3.1 (base, temporal, environmental) and
 * 4.0, by the specifications of FIRST. Scores are in tenths, 0 to 100, so that they compare
 * exactly.
 */
#ifndef SUPPLY_CVSS_H
#define SUPPLY_CVSS_H

#include "base/finding.h"

enum cvss_version { CVSS_2_0, CVSS_3_0, CVSS_3_1, CVSS_4_0 };

struct cvss {
	enum cvss_version version;
	unsigned base_tenths;
	/*
	 * Of all that the vector says: environmental where it has environmental metrics, else
	 * temporal, else base. 4.0 has only this one.
	 */
	unsigned score_tenths;
};

enum cvss_result {
	CVSS_OK,
	CVSS_BAD_VERSION, /* "CVSS:" and none of the versions */
	CVSS_BAD_METRIC, /* one that the version does not have, or without a value */
	CVSS_BAD_VALUE,
	CVSS_TWICE, /* a metric */
	CVSS_MISSING, /* a base metric */
};

/* A vector, "CVSS:3.1/AV:N/...", of 2.0 without prefix, maybe in parentheses. */
enum cvss_result cvss_read(struct span vector, struct cvss *cvss);
/* A few words, for a message. */
const char *cvss_result_text(enum cvss_result result);
/*
 * The qualitative scale of 3.0 and later: 0 is info, below 4.0 low, below 7.0 medium, below 9.0
 * high, else critical.
 */
enum finding_severity cvss_severity(unsigned tenths);

#endif
