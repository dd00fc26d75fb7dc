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
#include "guard/approval.h"

#define NOW ((int64_t)1800000000000)
#define MINUTE ((int64_t)60 * 1000)

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

	snprintf(s->folder, sizeof(s->folder), "/tmp/sallyport-approval.XXXXXX");
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

static struct approval_request request_by(const char *requester, const char *digest)
{
	return (struct approval_request){.operation = SPAN("deleteOrder"),
					 .requester = span_cstr(requester),
					 .method = SPAN("DELETE"),
					 .target = SPAN("/orders/7"),
					 .digest = span_cstr(digest),
					 .role = SPAN("supervisor"),
					 .needed = 1,
					 .now_unix_ms = NOW,
					 .expires_unix_ms = NOW + 10 * MINUTE};
}

static struct approval asked(struct setup *s, const struct approval_request *request)
{
	struct approval approval;
	struct err err = {0};

	assert_int_equal(approval_ask(s->store, request, &s->arena, &approval, &err),
			 APPROVAL_OK);
	return approval;
}

static enum approval_result decide(struct setup *s, struct span id, const char *by,
				   bool approves, struct approval *approval)
{
	struct approval_vote vote = {
		.by = span_cstr(by), .unix_ms = NOW + MINUTE, .approves = approves};
	struct err err = {0};

	return approval_decide(s->store, id, &vote, &s->arena, approval, &err);
}

static enum approval_result use(struct setup *s, struct span id, const char *requester,
				const char *digest, int64_t now)
{
	struct approval approval;
	struct err err = {0};

	return approval_use(s->store, id, span_cstr(requester), span_cstr(digest), now,
			    &s->arena, &approval, &err);
}

static void asking_again_for_the_same_gives_the_same(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval_request other = request_by("bob", "d1");
	struct approval first = asked(s, &request);

	assert_int_equal(first.state, APPROVAL_PENDING);
	assert_int_equal(first.id.len, APPROVAL_ID_BYTES);
	assert_true(span_eq(asked(s, &request).id, first.id));
	assert_false(span_eq(asked(s, &other).id, first.id));
	other = request_by("ann", "d2");
	assert_false(span_eq(asked(s, &other).id, first.id));
}

static void asking_where_more_must_approve_by_now_asks_anew(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval approval = asked(s, &request);
	struct approval again;

	assert_int_equal(decide(s, approval.id, "eve", true, &approval), APPROVAL_OK);
	request.needed = 2;
	again = asked(s, &request);
	assert_false(span_eq(again.id, approval.id));
	assert_int_equal(again.state, APPROVAL_PENDING);
	assert_int_equal(again.needed, 2);
}

static void an_approved_request_may_be_made_once(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval approval = asked(s, &request);

	assert_int_equal(use(s, approval.id, "ann", "d1", NOW + MINUTE), APPROVAL_WAITING);
	assert_int_equal(decide(s, approval.id, "eve", true, &approval), APPROVAL_OK);
	assert_int_equal(approval.state, APPROVAL_APPROVED);
	assert_int_equal(use(s, approval.id, "ann", "d1", NOW + MINUTE), APPROVAL_OK);
	assert_int_equal(use(s, approval.id, "ann", "d1", NOW + MINUTE), APPROVAL_CLOSED);
	/* The next one needs an approval of its own. */
	assert_false(span_eq(asked(s, &request).id, approval.id));
}

static void an_approval_is_for_its_requester_and_request_only(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval approval = asked(s, &request);

	assert_int_equal(decide(s, approval.id, "eve", true, &approval), APPROVAL_OK);
	assert_int_equal(use(s, approval.id, "bob", "d1", NOW), APPROVAL_OTHER);
	assert_int_equal(use(s, approval.id, "ann", "d2", NOW), APPROVAL_OTHER);
	assert_int_equal(use(s, SPAN("a_000000000000000000000000"), "ann", "d1", NOW),
			 APPROVAL_ABSENT);
	assert_int_equal(use(s, SPAN("short"), "ann", "d1", NOW), APPROVAL_ABSENT);
}

static void who_asks_does_not_decide_and_nobody_decides_twice(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval approval;

	request.needed = 2;
	approval = asked(s, &request);
	assert_int_equal(decide(s, approval.id, "ann", true, &approval), APPROVAL_OWN);
	assert_int_equal(decide(s, approval.id, "eve", true, &approval), APPROVAL_OK);
	assert_int_equal(approval.state, APPROVAL_PENDING);
	assert_int_equal(decide(s, approval.id, "eve", true, &approval), APPROVAL_TWICE);
	assert_int_equal(decide(s, approval.id, "joe", true, &approval), APPROVAL_OK);
	assert_int_equal(approval.state, APPROVAL_APPROVED);
	assert_int_equal(approval.vote_count, 2);
}

static void one_denial_closes_it(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval approval = asked(s, &request);

	assert_int_equal(decide(s, approval.id, "eve", false, &approval), APPROVAL_OK);
	assert_int_equal(approval.state, APPROVAL_DENIED);
	assert_int_equal(decide(s, approval.id, "joe", true, &approval), APPROVAL_CLOSED);
	assert_int_equal(use(s, approval.id, "ann", "d1", NOW), APPROVAL_CLOSED);
}

static void it_expires_pending_or_approved(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval approval = asked(s, &request);
	struct approval_vote late = {
		.by = SPAN("eve"), .unix_ms = NOW + 10 * MINUTE, .approves = true};
	struct err err = {0};

	assert_int_equal(
		approval_decide(s->store, approval.id, &late, &s->arena, &approval, &err),
		APPROVAL_CLOSED);
	assert_int_equal(approval.state, APPROVAL_EXPIRED);
	assert_int_equal(decide(s, approval.id, "eve", true, &approval), APPROVAL_OK);
	assert_int_equal(use(s, approval.id, "ann", "d1", NOW + 10 * MINUTE), APPROVAL_CLOSED);
	assert_int_equal(use(s, approval.id, "ann", "d1", NOW + 10 * MINUTE - 1), APPROVAL_OK);
}

static void lists_hold_one_state_and_go_on_after_an_id(void **state)
{
	struct setup *s = *state;
	struct approval_request requests[] = {request_by("ann", "d1"), request_by("ann", "d2"),
					      request_by("ann", "d3")};
	struct approval approval;
	struct approval_list list;
	struct err err = {0};
	struct span after;

	for (size_t i = 0; i < 3; i++)
		approval = asked(s, &requests[i]);
	assert_int_equal(decide(s, approval.id, "eve", true, &approval), APPROVAL_OK);
	assert_int_equal(approval_list(s->store, APPROVAL_PENDING, SPAN(""), 1, NOW, &s->arena,
				       &list, &err),
			 0);
	assert_int_equal(list.count, 1);
	assert_true(list.more);
	after = list.at[0].id;
	assert_int_equal(approval_list(s->store, APPROVAL_PENDING, after, 10, NOW, &s->arena,
				       &list, &err),
			 0);
	assert_int_equal(list.count, 1);
	assert_false(list.more);
	assert_int_equal(approval_list(s->store, APPROVAL_APPROVED, SPAN(""), 10, NOW,
				       &s->arena, &list, &err),
			 0);
	assert_int_equal(list.count, 1);
	assert_true(span_eq(list.at[0].votes[0].by, SPAN("eve")));
}

static void digests_tell_every_part_apart(void **state)
{
	char digests[4][APPROVAL_DIGEST_BYTES];
	struct err err = {0};

	(void)state;
	assert_int_equal(approval_digest(SPAN("PUT"), SPAN("/a"), SPAN("x"), SPAN("bc"),
					 digests[0], &err),
			 0);
	assert_int_equal(approval_digest(SPAN("PUT"), SPAN("/a"), SPAN("xb"), SPAN("c"),
					 digests[1], &err),
			 0);
	assert_int_equal(approval_digest(SPAN("PUT"), SPAN("/ax"), SPAN(""), SPAN("bc"),
					 digests[2], &err),
			 0);
	assert_int_equal(approval_digest(SPAN("PUT"), SPAN("/a"), SPAN("x"), SPAN("bc"),
					 digests[3], &err),
			 0);
	assert_memory_not_equal(digests[0], digests[1], APPROVAL_DIGEST_BYTES);
	assert_memory_not_equal(digests[0], digests[2], APPROVAL_DIGEST_BYTES);
	assert_memory_equal(digests[0], digests[3], APPROVAL_DIGEST_BYTES);
}

static void a_link_names_its_approver_and_cannot_be_changed(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct approval approval = asked(s, &request);
	struct span token, id, approver;
	struct err err = {0};

	assert_int_equal(approval_link_make(s->store, approval.id, SPAN("eve@shop.example"),
					    &s->arena, &token, &err),
			 0);
	assert_int_equal(approval_link_read(s->store, token, &s->arena, &id, &approver, &err),
			 APPROVAL_OK);
	assert_true(span_eq(id, approval.id));
	assert_true(span_eq(approver, SPAN("eve@shop.example")));
	for (size_t i = 0; i < token.len; i++) {
		struct span copy = arena_dup(&s->arena, token);
		char *text = (char *)(uintptr_t)copy.ptr;

		text[i] = text[i] == 'A' ? 'B' : 'A';
		assert_int_equal(
			approval_link_read(s->store, copy, &s->arena, &id, &approver, &err),
			APPROVAL_ABSENT);
	}
	for (size_t len = 0; len < token.len; len++)
		assert_int_equal(approval_link_read(s->store, span_slice(token, 0, len),
						    &s->arena, &id, &approver, &err),
				 APPROVAL_ABSENT);
}

/* ---- many at once ---------------------------------------------------------------------------- */

#define THREADS 8

struct racer {
	struct setup *s;
	struct span id;
	char name[16];
	pthread_t thread;
};

static _Atomic unsigned votes_counted, uses_granted;

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct approval_vote vote = {
		.by = span_cstr(racer->name), .unix_ms = NOW, .approves = true};
	struct approval approval;
	struct arena arena;
	struct err err = {0};

	arena_init(&arena, (size_t)16 << 20, 4096);
	if (approval_decide(racer->s->store, racer->id, &vote, &arena, &approval, &err) ==
	    APPROVAL_OK)
		atomic_fetch_add(&votes_counted, 1);
	for (int i = 0; i < 20; i++)
		if (approval_use(racer->s->store, racer->id, SPAN("ann"), SPAN("d1"), NOW,
				 &arena, &approval, &err) == APPROVAL_OK)
			atomic_fetch_add(&uses_granted, 1);
	arena_release(&arena);
	return NULL;
}

static void of_many_at_once_one_uses_it(void **state)
{
	struct setup *s = *state;
	struct approval_request request = request_by("ann", "d1");
	struct racer racers[THREADS];
	struct approval approval;

	request.needed = 4;
	approval = asked(s, &request);
	votes_counted = uses_granted = 0;
	for (int i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){.s = s, .id = approval.id};
		snprintf(racers[i].name, sizeof(racers[i].name), "approver%d", i);
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(racers[i].thread, NULL);
	assert_int_equal(votes_counted, 4);
	assert_int_equal(uses_granted, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(asking_again_for_the_same_gives_the_same),
		TEST(asking_where_more_must_approve_by_now_asks_anew),
		TEST(an_approved_request_may_be_made_once),
		TEST(an_approval_is_for_its_requester_and_request_only),
		TEST(who_asks_does_not_decide_and_nobody_decides_twice),
		TEST(one_denial_closes_it),
		TEST(it_expires_pending_or_approved),
		TEST(lists_hold_one_state_and_go_on_after_an_id),
		TEST(digests_tell_every_part_apart),
		TEST(a_link_names_its_approver_and_cannot_be_changed),
		TEST(of_many_at_once_one_uses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
