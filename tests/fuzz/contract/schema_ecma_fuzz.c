/*
 * An expression, a line with "--", and a subject: nothing may crash, what is compiled is accepted by
 * the check of syntax alone too, and matching ends, with the same result
 * whether PCRE2 does it or not. Formats are asked about the subject as well.
 */
#include <stddef.h>
#include <stdint.h>

#include "contract/ecma.h"
#include "contract/format.h"
#include "parse/utf8.h"

/* What is run in one pass matches as by PCRE2. */
static void compare(struct ecma_matcher *m, const struct ecma *e, struct span expression,
		    struct span subject)
{
	struct ecma *general = ecma_compile_general(expression, 300, NULL);
	enum ecma_result result = ecma_match(m, e, subject);

	/* It is larger there, and may be too large. */
	if (!general)
		return;
	if (result != ecma_match(m, general, subject) &&
	    ecma_match(m, general, subject) != ECMA_TOO_HARD)
		__builtin_trap();
	ecma_free(general);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_of(data, size);
	size_t split = span_find(input, SPAN("\n--\n"));
	struct span expression = span_slice(input, 0, split);
	struct span subject = span_slice(input, split + 4, size);
	struct ecma *e = ecma_compile(expression, 300, NULL);
	struct ecma_matcher *m = ecma_matcher_new(10000, 200);

	if (!utf8_valid(subject))
		subject = SPAN("");
	if (e && ecma_translate(expression, NULL, NULL) != 0)
		__builtin_trap();
	if (e && m)
		compare(m, e, expression, subject);
	for (unsigned i = 0; i < FORMAT_COUNT; i++)
		format_check((enum format)i, subject);
	ecma_matcher_free(m);
	ecma_free(e);
	return 0;
}
