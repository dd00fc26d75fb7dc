/* token_cache_test.c - bounds, ages and eviction of verified tokens. */
#include "support.h"

#include "base/mem.h"
#include "identity/token_cache.h"

static const struct token_now start = {.ms = 1000, .unix_s = 1700000000};

static struct identity_private *identity_new(void)
{
	struct identity_private *p = identity_begin();

	assert_non_null(p);
	p->references = 1;
	return p;
}

static struct token_entry entry_of(uint32_t number, struct identity *identity)
{
	struct token_entry entry = {
		.tag = hash_tag_of(span_of(&number, sizeof(number))),
		.generation = 1,
		.identity = identity,
		.until_ms = start.ms + 100,
		.until_unix_s = start.unix_s + 10,
		.status = identity ? AUTH_OK : AUTH_INVALID_TOKEN,
	};

	return entry;
}

static bool has(struct token_cache *cache, uint32_t number, uint64_t generation,
		struct token_now now)
{
	struct token_entry entry = entry_of(number, NULL);

	return token_cache_find(cache, entry.tag, generation, now) != NULL;
}

static void an_entry_is_found_until_it_is_too_old(void **state)
{
	struct identity_private *p = identity_new();
	struct token_entry entry = entry_of(7, &p->public);
	struct token_cache cache;

	(void)state;
	assert_int_equal(token_cache_init(&cache, 64), 0);
	token_cache_put(&cache, &entry, start);
	assert_int_equal(p->references, 2);
	assert_true(has(&cache, 7, 1, start));
	assert_false(has(&cache, 8, 1, start));
	/* Another generation does not see it, and does not remove it either. */
	assert_false(has(&cache, 7, 2, start));
	assert_true(has(&cache, 7, 1, start));
	assert_true(has(&cache, 7, 1, (struct token_now){start.ms + 99, start.unix_s + 9}));
	assert_false(has(&cache, 7, 1, (struct token_now){start.ms + 100, start.unix_s}));
	assert_int_equal(p->references, 1);
	assert_int_equal(cache.live, 0);
	token_cache_put(&cache, &entry, start);
	assert_false(has(&cache, 7, 1, (struct token_now){start.ms, start.unix_s + 10}));
	assert_int_equal(p->references, 1);
	token_cache_release(&cache);
	identity_unref(&p->public);
}

static void what_is_too_old_already_is_not_kept(void **state)
{
	struct identity_private *p = identity_new();
	struct token_entry entry = entry_of(7, &p->public);
	struct token_cache cache;

	(void)state;
	assert_int_equal(token_cache_init(&cache, 64), 0);
	entry.until_unix_s = start.unix_s;
	token_cache_put(&cache, &entry, start);
	entry.until_unix_s++;
	entry.until_ms = start.ms;
	token_cache_put(&cache, &entry, start);
	assert_int_equal(cache.live, 0);
	assert_int_equal(p->references, 1);
	token_cache_release(&cache);
	identity_unref(&p->public);
}

static void it_never_holds_more_than_it_may(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 100, 1000};
	struct identity_private *p = identity_new();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct token_cache cache;

		assert_int_equal(token_cache_init(&cache, sizes[i]), 0);
		for (uint32_t n = 0; n < 5000; n++) {
			struct token_entry entry = entry_of(n, &p->public);

			token_cache_put(&cache, &entry, start);
			assert_true(cache.live <= sizes[i]);
			assert_int_equal(has(&cache, n, 1, start), sizes[i] > 0);
		}
		assert_int_equal(p->references, 1 + cache.live);
		/* It is used well, too. */
		assert_true(cache.live >= sizes[i] - sizes[i] % 8);
		token_cache_release(&cache);
		assert_int_equal(p->references, 1);
	}
	identity_unref(&p->public);
}

static void refusals_push_out_one_entry_of_a_set_at_most(void **state)
{
	struct identity_private *p = identity_new();
	struct token_cache cache;
	unsigned left = 0;

	(void)state;
	assert_int_equal(token_cache_init(&cache, 8), 0);
	for (uint32_t n = 0; n < 8; n++) {
		struct token_entry entry = entry_of(n, &p->public);

		token_cache_put(&cache, &entry, start);
	}
	for (uint32_t n = 100; n < 1100; n++) {
		struct token_entry entry = entry_of(n, NULL);

		token_cache_put(&cache, &entry, start);
		assert_true(has(&cache, n, 1, start));
	}
	for (uint32_t n = 0; n < 8; n++)
		left += has(&cache, n, 1, start);
	assert_int_equal(left, 7);
	token_cache_release(&cache);
	identity_unref(&p->public);
}

static void the_entry_that_was_found_longest_ago_goes_first(void **state)
{
	struct identity_private *p = identity_new();
	struct token_entry entry;
	struct token_cache cache;

	(void)state;
	assert_int_equal(token_cache_init(&cache, 8), 0);
	for (uint32_t n = 0; n < 8; n++) {
		entry = entry_of(n, &p->public);
		token_cache_put(&cache, &entry, start);
	}
	for (uint32_t n = 0; n < 8; n++) {
		if (n != 3)
			assert_true(has(&cache, n, 1, start));
	}
	entry = entry_of(50, &p->public);
	token_cache_put(&cache, &entry, start);
	for (uint32_t n = 0; n < 8; n++)
		assert_int_equal(has(&cache, n, 1, start), n != 3);
	token_cache_release(&cache);
	identity_unref(&p->public);
}

static void the_same_token_again_replaces_its_entry(void **state)
{
	struct identity_private *p = identity_new();
	struct identity_private *q = identity_new();
	struct token_entry entry = entry_of(7, &p->public);
	struct token_cache cache;

	(void)state;
	assert_int_equal(token_cache_init(&cache, 64), 0);
	token_cache_put(&cache, &entry, start);
	entry.identity = &q->public;
	entry.generation = 2;
	token_cache_put(&cache, &entry, start);
	assert_int_equal(cache.live, 1);
	assert_int_equal(p->references, 1);
	assert_int_equal(q->references, 2);
	assert_false(has(&cache, 7, 1, start));
	assert_true(has(&cache, 7, 2, start));
	token_cache_flush(&cache);
	assert_int_equal(cache.live, 0);
	assert_int_equal(q->references, 1);
	token_cache_release(&cache);
	identity_unref(&p->public);
	identity_unref(&q->public);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_found_until_it_is_too_old),
		cmocka_unit_test(what_is_too_old_already_is_not_kept),
		cmocka_unit_test(it_never_holds_more_than_it_may),
		cmocka_unit_test(refusals_push_out_one_entry_of_a_set_at_most),
		cmocka_unit_test(the_entry_that_was_found_longest_ago_goes_first),
		cmocka_unit_test(the_same_token_again_replaces_its_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
