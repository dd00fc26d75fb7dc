/* stale_test.c - keeping and finding answers: keys, Vary, age, bounds, and threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "guard/stale.h"

#define NOW_MS 1000

static struct stale_cache *make(uint64_t bytes, uint64_t answer_bytes)
{
	struct stale_options options = {.bytes = bytes, .answer_bytes = answer_bytes};
	struct stale_cache *cache = stale_new(&options, NULL);

	assert_non_null(cache);
	return cache;
}

/* A request is one value of one field, "accept-language". */
static struct span value_of(const void *request, struct span name)
{
	const struct span *value = request;

	return span_eq_nocase(name, SPAN("accept-language")) ? *value : SPAN_NONE;
}

static bool put(struct stale_cache *cache, struct span key, struct span language,
		struct span body)
{
	struct stale_pair vary = {SPAN("Accept-Language"), language};
	struct stale_pair field = {SPAN("content-type"), SPAN("text/plain")};
	struct stale_answer answer = {.key = key,
				      .vary = &vary,
				      .vary_count = language.ptr ? 1 : 0,
				      .status = 200,
				      .fields = &field,
				      .field_count = 1,
				      .body = body,
				      .stored_ms = NOW_MS,
				      .until_ms = NOW_MS + 1000};

	return stale_put(cache, &answer);
}

static void expect(struct stale_cache *cache, struct span key, struct span language,
		   int64_t now_ms, struct span body)
{
	const struct stale_answer *answer = stale_get(cache, key, value_of, &language, now_ms);

	if (!body.ptr) {
		assert_null(answer);
		return;
	}
	assert_non_null(answer);
	assert_int_equal(answer->status, 200);
	assert_true(span_eq(answer->body, body));
	assert_int_equal(answer->field_count, 1);
	assert_true(span_eq(answer->fields[0].value, SPAN("text/plain")));
	stale_release(answer);
}

static void answers_are_found_by_their_key_until_their_time_is_over(void **state)
{
	struct stale_cache *cache = make(1 << 20, 1 << 16);

	(void)state;
	assert_true(put(cache, SPAN("a /1"), SPAN_NONE, SPAN("one")));
	assert_true(put(cache, SPAN("a /2"), SPAN_NONE, SPAN("two")));
	expect(cache, SPAN("a /1"), SPAN_NONE, NOW_MS, SPAN("one"));
	expect(cache, SPAN("a /2"), SPAN_NONE, NOW_MS + 999, SPAN("two"));
	expect(cache, SPAN("a /3"), SPAN_NONE, NOW_MS, SPAN_NONE);
	assert_true(put(cache, SPAN("a /1"), SPAN_NONE, SPAN("newer")));
	expect(cache, SPAN("a /1"), SPAN_NONE, NOW_MS, SPAN("newer"));
	expect(cache, SPAN("a /1"), SPAN_NONE, NOW_MS + 1000, SPAN_NONE);
	stale_unref(cache);
}

static void variants_are_told_apart(void **state)
{
	struct stale_cache *cache = make(1 << 20, 1 << 16);

	(void)state;
	assert_true(put(cache, SPAN("k"), SPAN("de"), SPAN("hallo")));
	assert_true(put(cache, SPAN("k"), SPAN("en"), SPAN("hello")));
	expect(cache, SPAN("k"), SPAN("de"), NOW_MS, SPAN("hallo"));
	expect(cache, SPAN("k"), SPAN("en"), NOW_MS, SPAN("hello"));
	expect(cache, SPAN("k"), SPAN("fr"), NOW_MS, SPAN_NONE);
	expect(cache, SPAN("k"), SPAN_NONE, NOW_MS, SPAN_NONE);
	stale_unref(cache);
}

static void memory_is_bounded_and_the_least_used_goes(void **state)
{
	static char body[1000];
	struct stale_cache *cache = make(10000, 1000);
	struct stale_figures figures;
	char key[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		int len = snprintf(key, sizeof(key), "%d", i);

		assert_true(put(cache, span_of(key, (size_t)len), SPAN_NONE,
				span_of(body, sizeof(body))));
		expect(cache, SPAN("0"), SPAN_NONE, NOW_MS, span_of(body, sizeof(body)));
		stale_read(cache, &figures);
		assert_true(figures.bytes <= 10000);
	}
	assert_in_range(figures.answers, 5, 9);
	assert_int_equal(figures.evicted + figures.answers, 100);
	expect(cache, SPAN("1"), SPAN_NONE, NOW_MS, SPAN_NONE);
	stale_unref(cache);
}

static void what_is_too_large_takes_the_older_answer_with_it(void **state)
{
	static char body[2000];
	struct stale_cache *cache = make(100000, 1000);
	struct stale_figures figures;

	(void)state;
	assert_true(put(cache, SPAN("k"), SPAN_NONE, SPAN("small")));
	assert_false(put(cache, SPAN("k"), SPAN_NONE, span_of(body, sizeof(body))));
	expect(cache, SPAN("k"), SPAN_NONE, NOW_MS, SPAN_NONE);
	stale_read(cache, &figures);
	assert_int_equal(figures.bytes, 0);
	stale_unref(cache);
}

static void an_answer_that_is_held_outlives_the_cache(void **state)
{
	struct stale_cache *cache = make(1 << 20, 1 << 16);
	const struct stale_answer *answer;
	struct span none = SPAN_NONE;

	(void)state;
	assert_true(put(cache, SPAN("k"), SPAN_NONE, SPAN("body")));
	answer = stale_get(cache, SPAN("k"), value_of, &none, NOW_MS);
	stale_unref(cache);
	assert_true(span_eq(answer->body, SPAN("body")));
	stale_release(answer);
}

static void failing_allocations_keep_nothing(void **state)
{
	struct stale_options options = {.bytes = 1000, .answer_bytes = 10};
	struct stale_cache *cache;

	(void)state;
	mem_fail_at(1);
	cache = stale_new(&options, NULL);
	mem_fail_at(0);
#ifdef SALLYPORT_FAULTS
	assert_null(cache);
#endif
	stale_unref(cache);
	cache = make(1 << 20, 100);
	assert_true(put(cache, SPAN("k"), SPAN_NONE, SPAN("old")));
	mem_fail_at(1);
	(void)put(cache, SPAN("k"), SPAN_NONE, SPAN("new"));
	mem_fail_at(0);
#ifdef SALLYPORT_FAULTS
	expect(cache, SPAN("k"), SPAN_NONE, NOW_MS, SPAN_NONE);
#endif
	stale_unref(cache);
}

static void *use_main(void *arg)
{
	struct stale_cache *cache = arg;
	struct span none = SPAN_NONE;
	char key[16];

	for (int i = 0; i < 2000; i++) {
		struct span k = span_of(key, (size_t)snprintf(key, sizeof(key), "%d", i % 20));
		const struct stale_answer *answer;

		(void)put(cache, k, SPAN_NONE, k);
		answer = stale_get(cache, k, value_of, &none, NOW_MS);
		if (answer)
			assert_true(span_eq(answer->body, k));
		stale_release(answer);
	}
	return NULL;
}

static void threads_share_it(void **state)
{
	struct stale_cache *cache = make(4000, 1000);
	pthread_t threads[8];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_main, cache), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	stale_unref(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_found_by_their_key_until_their_time_is_over),
		cmocka_unit_test(variants_are_told_apart),
		cmocka_unit_test(memory_is_bounded_and_the_least_used_goes),
		cmocka_unit_test(what_is_too_large_takes_the_older_answer_with_it),
		cmocka_unit_test(an_answer_that_is_held_outlives_the_cache),
		cmocka_unit_test(failing_allocations_keep_nothing),
		cmocka_unit_test(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
