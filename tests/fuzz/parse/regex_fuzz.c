/*
 * The first line is an expression, the rest a text: what is searched with in long texts finds in it
 * what the expression finds, or is too hard.
 */
#include <assert.h>

#include "parse/regex.h"

#define EXPRESSION_MAX_BYTES 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(struct regex *r, struct regex_scratch *s, struct span text)
{
	size_t from[4] = {0}, len[4] = {0};
	int plain = regex_search(r, s, text, 0, 0, REGEX_PAIRS_ALL);
	int watched;

	for (int i = 0; i < plain; i++) {
		struct span pair = regex_pair(s, REGEX_PAIRS_ALL, text, (size_t)i);

		from[i] = pair.ptr ? (size_t)(pair.ptr - text.ptr) : SIZE_MAX;
		len[i] = pair.len;
	}
	watched = regex_search_long(r, s, text, 0, 0, s->all);
	if (plain < REGEX_NONE || (watched < 0 && watched != PCRE2_ERROR_NOMATCH))
		return;
	assert((plain == REGEX_NONE) == (watched == PCRE2_ERROR_NOMATCH));
	assert(plain == REGEX_NONE || watched == 0 || watched == plain);
	for (int i = 0; i < plain; i++) {
		struct span pair = regex_pair(s, REGEX_PAIRS_ALL, text, (size_t)i);

		assert(from[i] == (pair.ptr ? (size_t)(pair.ptr - text.ptr) : SIZE_MAX));
		assert(len[i] == pair.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct regex_limits limits = {.matches = 10000,
						   .depth = 200,
						   .heap_kib = 1024,
						   .jit_stack_bytes = 64 << 10,
						   .pairs = 4,
						   .time_ns = INT64_C(1000000000)};
	struct span text = span_of(data, size), expression = span_cut(&text, '\n');
	struct regex_options options = {.flags = size % 2 ? PCRE2_UTF : PCRE2_DOTALL};
	struct regex_scratch *s;
	struct regex *r;

	if (expression.len > EXPRESSION_MAX_BYTES || text.len > REGEX_SHORT_BYTES)
		return 0;
	r = regex_new(expression, &options, NULL);
	s = regex_scratch_new(&limits);
	if (r && s)
		compare(r, s, text);
	regex_scratch_free(s);
	regex_free(r);
	return 0;
}
