/*
 * A chain of transformations, one a byte up to the first 0xff, over the rest: none writes beyond its
 * bound, in place gives the same as by copy, what is said to stay does stay, and results have the
 * properties that the names promise.
 */
#include <assert.h>

#include "base/mem.h"
#include "waf/transform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHAIN_MAX 8

/* The result in memory of its own, of exactly the bound, so that the sanitizer sees a byte more. */
static struct span apply(enum transform t, struct span value, char **memory, bool *changed)
{
	size_t bound = transform_bound(t, value.len);
	char *room = mem_alloc(bound ? bound : 1);
	struct span result;

	assert(room);
	*changed = transform_apply(t, NULL, value, room, &result);
	assert(result.len <= (bound > value.len ? bound : value.len));
	assert(*changed || span_eq(result, value));
	*memory = room;
	return result;
}

static void check_in_place(enum transform t, struct span value, struct span expected)
{
	char *copy = mem_alloc(value.len + 1);
	struct span result;

	assert(copy && transform_bound(t, value.len) <= value.len);
	if (value.len > 0)
		memcpy(copy, value.ptr, value.len);
	transform_apply(t, NULL, span_of(copy, value.len), copy, &result);
	assert(span_eq(result, expected));
	mem_free(copy);
}

static bool is_idempotent(enum transform t)
{
	return t == TRANSFORM_LOWERCASE || t == TRANSFORM_UPPERCASE ||
	       t == TRANSFORM_REMOVE_NULLS || t == TRANSFORM_REPLACE_NULLS ||
	       t == TRANSFORM_REMOVE_WHITESPACE || t == TRANSFORM_COMPRESS_WHITESPACE ||
	       t == TRANSFORM_TRIM || t == TRANSFORM_TRIM_LEFT || t == TRANSFORM_TRIM_RIGHT ||
	       t == TRANSFORM_PARITY_ZERO_7BIT || t == TRANSFORM_REPLACE_COMMENTS ||
	       t == TRANSFORM_NONE;
}

/* decode(encode(x)) is x. */
static void check_inverse(enum transform encode, enum transform decode, struct span value)
{
	char *first, *second;
	bool changed;
	struct span coded = apply(encode, value, &first, &changed);
	struct span back = apply(decode, coded, &second, &changed);

	assert(span_eq(back, value));
	mem_free(first);
	mem_free(second);
}

static void check_result(enum transform t, struct span result)
{
	if (is_idempotent(t)) {
		char *room;
		bool changed;
		struct span again = apply(t, result, &room, &changed);

		assert(span_eq(again, result));
		mem_free(room);
	}
	if (t == TRANSFORM_REMOVE_NULLS || t == TRANSFORM_CSS_DECODE)
		assert(span_find_byte(result, '\0') == result.len);
	if (t == TRANSFORM_REPLACE_COMMENTS)
		assert(span_find(result, SPAN("/*")) == result.len);
	if (t == TRANSFORM_UTF8_TO_UNICODE)
		assert(span_find_byte(result, '\0') == result.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *memory[CHAIN_MAX];
	struct span value;
	size_t steps = 0, count = 0;

	while (steps < size && steps < CHAIN_MAX && data[steps] != 0xff)
		steps++;
	value = span_of(data + steps, size - steps);
	check_inverse(TRANSFORM_HEX_ENCODE, TRANSFORM_HEX_DECODE, value);
	check_inverse(TRANSFORM_URL_ENCODE, TRANSFORM_URL_DECODE, value);
	check_inverse(TRANSFORM_BASE64_ENCODE, TRANSFORM_BASE64_DECODE, value);
	for (size_t i = 0; i < steps && value.len < 65536; i++) {
		enum transform t = (enum transform)(data[i] % TRANSFORM_COUNT);
		bool may_change = transform_may_change(t, transform_classes(value)), changed;
		struct span result = apply(t, value, &memory[count++], &changed);

		assert(may_change || span_eq(result, value));
		if (transform_in_place(t))
			check_in_place(t, value, result);
		check_result(t, result);
		value = result;
	}
	while (count > 0)
		mem_free(memory[--count]);
	return 0;
}
