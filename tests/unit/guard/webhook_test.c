#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "guard/webhook.h"

#define NOW ((int64_t)1800000000000)
#define MINUTE ((int64_t)60 * 1000)

static const struct webhook_policy policy = {
	.backoff_ms = 1000, .max_backoff_ms = 60000, .max_age_ms = 600000};

struct setup {
	char folder[64];
	char url[128];
	struct store *store;
	struct arena arena;
};

static int set_up(void **state)
{
	struct setup *s = calloc(1, sizeof(*s));
	struct store_options options = {0};
	struct err err;

	snprintf(s->folder, sizeof(s->folder), "/tmp/sallyport-webhook.XXXXXX");
	if (!mkdtemp(s->folder))
		return -1;
	snprintf(s->url, sizeof(s->url), "sqlite:%s/store.db", s->folder);
	options.url = span_cstr(s->url);
	s->store = store_open(&options, &err);
	arena_init(&s->arena, (size_t)64 << 20, 65536);
	*state = s;
	return s->store ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct setup *s = *state;
	char path[160];

	store_close(s->store);
	arena_release(&s->arena);
	for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
		snprintf(path, sizeof(path), "%s/store.db%s", s->folder, suffixes[i]);
		unlink(path);
	}
	rmdir(s->folder);
	free(s);
	return 0;
}

static struct span put(struct setup *s, const char *hook, int64_t now)
{
	char id[WEBHOOK_ID_BYTES];
	struct err err;
	struct span copy;

	assert_int_equal(webhook_put(s->store, span_cstr(hook), SPAN("approval.requested"),
				     SPAN("{\"n\":1}"), now, id, &err),
			 0);
	copy = arena_dup(&s->arena, span_of(id, sizeof(id)));
	assert_non_null(copy.ptr);
	return copy;
}

static enum store_result take(struct setup *s, const char *hook, int64_t now,
			      struct webhook_delivery *d, int64_t *next)
{
	size_t waiting;
	struct err err;

	return webhook_take(s->store, span_cstr(hook), now, MINUTE, &s->arena, d, next,
			    &waiting, &err);
}

static enum store_result settle(struct setup *s, struct webhook_delivery *d,
				enum webhook_outcome outcome, int64_t now)
{
	struct err err;

	return webhook_settle(s->store, d, outcome, SPAN("answered 500"), &policy, now, 0,
			      &err);
}

static size_t count_of(struct setup *s, enum webhook_state state)
{
	struct webhook_list list;
	struct err err;

	assert_int_equal(webhook_list(s->store, state, SPAN(""), 1000, &s->arena, &list, &err),
			 0);
	return list.count;
}

/* The example of the Standard Webhooks specification's reference implementation. */
static void the_signature_is_that_of_standard_webhooks(void **state)
{
	char signature[WEBHOOK_SIGNATURE_BYTES];
	struct err err;

	(void)state;
	assert_int_equal(webhook_sign(SPAN("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
				      SPAN("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330,
				      SPAN("{\"test\": 2432232314}"), signature, &err),
			 0);
	assert_memory_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			    WEBHOOK_SIGNATURE_BYTES);
	assert_int_equal(
		webhook_sign(SPAN("whsec_*"), SPAN("a"), 1, SPAN("b"), signature, &err), -1);
	assert_int_equal(webhook_sign(SPAN("plain words as key"), SPAN("a"), 1, SPAN("b"),
				      signature, &err),
			 0);
}

static void waits_double_up_to_a_bound_and_are_drawn_from_the_upper_half(void **state)
{
	(void)state;
	assert_int_equal(webhook_backoff_ms(&policy, 1, 0), 1000);
	assert_int_equal(webhook_backoff_ms(&policy, 2, 0), 2000);
	assert_int_equal(webhook_backoff_ms(&policy, 7, 0), 60000);
	assert_int_equal(webhook_backoff_ms(&policy, 4000000000u, 0), 60000);
	for (uint64_t random = 0; random < 5000; random++) {
		uint64_t wait = webhook_backoff_ms(&policy, 3, random);

		assert_in_range(wait, 2000, 4000);
	}
}

static void an_event_is_taken_once_and_carries_its_data(void **state)
{
	struct setup *s = *state;
	struct webhook_delivery d, other;
	struct span id = put(s, "ops", NOW);
	int64_t next;

	assert_int_equal(take(s, "other", NOW, &d, &next), STORE_ABSENT);
	assert_int_equal(next, INT64_MAX);
	assert_int_equal(take(s, "ops", NOW, &d, &next), STORE_OK);
	assert_true(span_eq(d.id, id));
	assert_int_equal(d.attempts, 1);
	assert_true(span_find(d.body, SPAN("\"type\":\"approval.requested\"")) < d.body.len);
	assert_true(span_find(d.body, SPAN("\"data\":{\"n\":1}")) < d.body.len);
	assert_int_equal(take(s, "ops", NOW + 1, &other, &next), STORE_ABSENT);
	assert_int_equal(next, NOW + MINUTE);
	assert_int_equal(settle(s, &d, WEBHOOK_TAKEN_OVER, NOW + 5), STORE_OK);
	assert_int_equal(take(s, "ops", NOW + 10 * MINUTE, &other, &next), STORE_ABSENT);
	assert_int_equal(count_of(s, WEBHOOK_DELIVERED), 1);
	assert_int_equal(count_of(s, WEBHOOK_PENDING), 0);
}

static void a_sender_that_ends_in_between_does_not_lose_it(void **state)
{
	struct setup *s = *state;
	struct webhook_delivery lost, again;
	int64_t next;

	put(s, "ops", NOW);
	assert_int_equal(take(s, "ops", NOW, &lost, &next), STORE_OK);
	assert_int_equal(take(s, "ops", NOW + MINUTE, &again, &next), STORE_OK);
	assert_true(span_eq(lost.id, again.id));
	assert_int_equal(again.attempts, 2);
	/* The first comes back to life: what it says does not count any more. */
	assert_int_equal(settle(s, &lost, WEBHOOK_FAILED, NOW + MINUTE + 1), STORE_CONFLICT);
	assert_int_equal(settle(s, &again, WEBHOOK_TAKEN_OVER, NOW + MINUTE + 2), STORE_OK);
}

static void what_fails_is_tried_again_until_it_is_too_old(void **state)
{
	struct setup *s = *state;
	struct webhook_delivery d;
	int64_t now = NOW, next;
	unsigned tries = 0;

	put(s, "ops", NOW);
	for (;;) {
		enum store_result result = take(s, "ops", now, &d, &next);

		if (result == STORE_ABSENT && next == INT64_MAX)
			break;
		if (result == STORE_ABSENT) {
			now = next;
			continue;
		}
		assert_int_equal(settle(s, &d, WEBHOOK_FAILED, now), STORE_OK);
		tries++;
	}
	/* 1 + 2 + 4 + 8 + 16 + 32 + 60 s ...: up to ten minutes. */
	assert_in_range(tries, 10, 20);
	assert_true(now - NOW <= (int64_t)policy.max_age_ms);
	assert_int_equal(count_of(s, WEBHOOK_DEAD), 1);
	assert_true(span_eq(d.problem, SPAN("answered 500")));
}

static void a_dead_letter_can_be_sent_again_and_a_refused_one_is_dead_at_once(void **state)
{
	struct setup *s = *state;
	struct webhook_delivery d;
	int64_t next, later = NOW + 60 * MINUTE;
	struct span id = put(s, "ops", NOW);
	struct err err;

	assert_int_equal(take(s, "ops", NOW, &d, &next), STORE_OK);
	assert_int_equal(settle(s, &d, WEBHOOK_REFUSED, NOW), STORE_OK);
	assert_int_equal(count_of(s, WEBHOOK_DEAD), 1);
	assert_int_equal(webhook_retry(s->store, id, later, &s->arena, &d, &err), STORE_OK);
	assert_int_equal(take(s, "ops", later, &d, &next), STORE_OK);
	assert_int_equal(d.attempts, 1);
	assert_int_equal(settle(s, &d, WEBHOOK_FAILED, later), STORE_OK);
	assert_int_equal(d.state, WEBHOOK_PENDING);
	assert_int_equal(take(s, "ops", later + MINUTE, &d, &next), STORE_OK);
	assert_int_equal(settle(s, &d, WEBHOOK_TAKEN_OVER, later + MINUTE), STORE_OK);
	assert_int_equal(webhook_retry(s->store, id, later, &s->arena, &d, &err), STORE_ABSENT);
	assert_int_equal(webhook_discard(s->store, id, &s->arena, &err), STORE_OK);
	assert_int_equal(webhook_discard(s->store, id, &s->arena, &err), STORE_ABSENT);
}

static void more_than_a_page_waits_and_the_oldest_goes_first(void **state)
{
	struct setup *s = *state;
	struct webhook_delivery d;
	struct span first = SPAN_NONE;
	int64_t next;
	size_t waiting;
	struct err err;

	for (int i = 0; i < 130; i++) {
		struct span id = put(s, "ops", NOW + i);

		if (i == 0)
			first = id;
	}
	assert_int_equal(webhook_take(s->store, SPAN("ops"), NOW + 1000, MINUTE, &s->arena, &d,
				      &next, &waiting, &err),
			 STORE_OK);
	assert_true(span_eq(d.id, first));
	assert_int_equal(waiting, 130);
	for (int i = 1; i < 130; i++)
		assert_int_equal(take(s, "ops", NOW + 1000, &d, &next), STORE_OK);
	assert_int_equal(take(s, "ops", NOW + 1000, &d, &next), STORE_ABSENT);
}

struct racers {
	struct setup *s;
	_Atomic unsigned taken;
};

static void *race(void *arg)
{
	struct racers *racers = arg;
	struct arena arena;
	int64_t next;
	bool done = false;
	size_t waiting;
	struct err err;

	arena_init(&arena, (size_t)64 << 20, 65536);
	while (!done) {
		struct webhook_delivery d;

		switch (webhook_take(racers->s->store, SPAN("ops"), NOW, MINUTE, &arena, &d,
				     &next, &waiting, &err)) {
		case STORE_OK: atomic_fetch_add(&racers->taken, 1); break;
		case STORE_ABSENT: done = next == NOW + MINUTE; break;
		case STORE_CONFLICT:
		case STORE_FAILED: fail_msg("%s", err.message);
		}
	}
	arena_release(&arena);
	return NULL;
}

static void of_many_senders_one_gets_each(void **state)
{
	struct racers racers = {.s = *state};
	pthread_t threads[4];

	for (int i = 0; i < 20; i++)
		put(racers.s, "ops", NOW);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(racers.taken, 20);
}

static void nothing_is_half_done_when_memory_runs_out(void **state)
{
	struct setup *s = *state;
	unsigned long n = 0;
	int result;

	do {
		char id[WEBHOOK_ID_BYTES];
		struct err err;

		mem_fail_at(++n);
		result = webhook_put(s->store, SPAN("ops"), SPAN("e"), SPAN("{}"), NOW, id,
				     &err);
		if (!mem_fail_happened())
			break;
		mem_fail_at(0);
		if (result < 0)
			assert_int_equal(count_of(s, WEBHOOK_PENDING), 0);
	} while (result < 0);
	mem_fail_at(0);
	assert_int_equal(count_of(s, WEBHOOK_PENDING), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_signature_is_that_of_standard_webhooks),
		cmocka_unit_test(waits_double_up_to_a_bound_and_are_drawn_from_the_upper_half),
		TEST(an_event_is_taken_once_and_carries_its_data),
		TEST(a_sender_that_ends_in_between_does_not_lose_it),
		TEST(what_fails_is_tried_again_until_it_is_too_old),
		TEST(a_dead_letter_can_be_sent_again_and_a_refused_one_is_dead_at_once),
		TEST(more_than_a_page_waits_and_the_oldest_goes_first),
		TEST(of_many_senders_one_gets_each),
		TEST(nothing_is_half_done_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
