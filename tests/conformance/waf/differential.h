/*
 * differential.h - the same requests through our rules and through libmodsecurity: the sets of
 * matched rule ids must be equal. Requests are the regression tests of the Core Rule Set, changed
 * copies of them, and labelled values in query, form, JSON, header and cookie.
 */
#ifndef TESTS_CONFORMANCE_WAF_DIFFERENTIAL_H
#define TESTS_CONFORMANCE_WAF_DIFFERENTIAL_H

#include <stdio.h>

#include "tests/conformance/waf/engines.h"

struct differential {
	const char *data_folder;
	const char *cache_folder; /* NULL: none */
	size_t requests;
	uint64_t seed;
	unsigned paranoia;
};

struct differential_result {
	size_t requests;
	size_t equal;
	size_t explained;
};

/* Prints each difference with its class to `out`. -1 and err when it cannot run. */
int differential_run(const struct differential *d, FILE *out,
		     struct differential_result *result, struct err *err);

#endif
