/* prelude.h - the rules of our own that are read before all others. */
#ifndef WAF_PRELUDE_H
#define WAF_PRELUDE_H

#include "base/span.h"

/* As text; comparisons with other engines give it to them too. */
struct span waf_prelude(void);

#endif
