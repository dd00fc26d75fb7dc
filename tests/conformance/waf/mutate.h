/* mutate.h - requests that are like others, but not quite: made from a seed, the same each time. */
#ifndef TESTS_CONFORMANCE_WAF_MUTATE_H
#define TESTS_CONFORMANCE_WAF_MUTATE_H

#include "tests/conformance/waf/cases.h"

/* xorshift64; any seed but 0. */
uint64_t mutate_random(uint64_t *seed);
/* A changed copy at the end of the list; NULL without memory. */
struct request_case *case_mutated(struct case_list *list, const struct request_case *from,
				  uint64_t *seed);

#endif
