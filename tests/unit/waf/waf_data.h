/* waf_data.h - the realistic values of the test data: attacks and harmless input, one a line. */
#ifndef TESTS_WAF_DATA_H
#define TESTS_WAF_DATA_H

#include "base/buf.h"
#include "base/span.h"

struct waf_data {
	struct buf text;
	struct span rest;
	struct buf value;
};

/* False, saying so, when there is no test data. */
bool waf_data_open(struct waf_data *data);
void waf_data_close(struct waf_data *data);
/* The next value, until the next call; attack may be NULL. False at the end. */
bool waf_data_next(struct waf_data *data, struct span *value, bool *attack);

#endif
