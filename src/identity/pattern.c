#include "identity/pattern.h"

/* Claims are short; what needs more than this is a pattern that explodes. */
#define MATCHES_MAX 100000
#define DEPTH_MAX 1000
#define HEAP_MAX_KIB 1024
#define JIT_STACK_MAX_BYTES ((size_t)256 << 10)
#define LONG_TEXT_NS INT64_C(50000000) /* of one */

struct regex *pattern_new(struct span text, struct err *err)
{
	static const struct regex_options options = {
		.flags = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
			 PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY,
	};
	struct err why = {0};
	struct regex *regex = regex_new(text, &options, &why);

	if (!regex && why.code == ERR_MEMORY)
		err_set(err, ERR_MEMORY, "no memory for a pattern");
	else if (!regex)
		err_set(err, ERR_INVALID, "pattern \"%.*s\", %s", SPAN_ARG(text), why.message);
	return regex;
}

struct regex_scratch *pattern_scratch_new(void)
{
	static const struct regex_limits limits = {.matches = MATCHES_MAX,
						   .depth = DEPTH_MAX,
						   .heap_kib = HEAP_MAX_KIB,
						   .jit_stack_bytes = JIT_STACK_MAX_BYTES,
						   .pairs = 1,
						   .time_ns = LONG_TEXT_NS};

	return regex_scratch_new(&limits);
}

bool pattern_match(struct regex *pattern, struct regex_scratch *scratch, struct span text)
{
	regex_scratch_set_left_ns(scratch, LONG_TEXT_NS);
	return regex_search(pattern, scratch, text, 0, 0, REGEX_PAIRS_WHOLE) > 0;
}
