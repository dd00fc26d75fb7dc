/*
 * epss.h - the Exploit Prediction Scoring System's daily file: a comment with the day, a heading,
 * and a line "CVE-2024-3094,0.86122,0.99234" (probability, percentile) a vulnerability.
 */
#ifndef SUPPLY_EPSS_H
#define SUPPLY_EPSS_H

#include "supply/db_format.h"

enum epss_line {
	EPSS_SCORE,
	EPSS_OTHER, /* a comment, the heading, an empty line */
	EPSS_BAD,
};

/* Reads one line without its end. With EPSS_OTHER, *day_s is set where the line names the day. */
enum epss_line epss_read(struct span line, struct db_epss *score, int64_t *day_s);

#endif
