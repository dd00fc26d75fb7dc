/* licence.h - SPDX licence expressions (SPDX 2.3, annex D), as far as writing them needs. */
#ifndef SUPPLY_LICENCE_H
#define SUPPLY_LICENCE_H

#include "base/span.h"

/*
 * The canonical form of an identifier of the SPDX list, for one in any letter case or one of the
 * names that packages use ("Apache License 2.0", "BSD"); empty when it is not known.
 */
struct span licence_id(struct span text);
/* Is it an expression of known identifiers (in their canonical form) with AND, OR, WITH? */
bool licence_is_expression(struct span text);

enum licence_verdict {
	LICENCE_ALLOWED,
	LICENCE_UNKNOWN, /* not an expression */
	LICENCE_DENIED,
};

/*
 * May something under this expression be used? Of alternatives (OR) the best counts, of what holds
 * together (AND) the worst. `one` is asked for each licence, and for "A WITH B" as a whole first.
 */
enum licence_verdict
licence_judge(struct span expression,
	      enum licence_verdict (*one)(void *context, struct span licence), void *context);

#endif
