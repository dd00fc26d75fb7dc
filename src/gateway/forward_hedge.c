/* Hedging: a second attempt at another endpoint, when the first takes too long. */
#include "base/clock.h"
#include "gateway/forward_internal.h"
#include "gateway/metrics.h"

/* No sooner than this, whatever was measured. */
#define LEAST_US 1000

struct hedge {
	struct timer timer;
	struct forward *first;
	struct fiber *main;
	struct fiber *fiber; /* of the second attempt; NULL: not started, or ended */
	struct forward second;
	struct err err;
	enum io_result result; /* of the second attempt */
	bool asked; /* the second attempt has been made */
	bool racing; /* the first attempt is under way */
	bool won; /* the first was broken off for the second */
	bool waiting; /* the first has ended, and waits for the second */
};

/*
 * The percentile of what latencies come in, without remembering them: up by a share of the way when
 * one was longer, down by the rest when it was not (a stochastic approximation of the quantile).
 */
static void learn(struct view_service *service, const struct config_retry *retry, int64_t us)
{
	uint32_t estimate =
		service->hedge_us ? service->hedge_us : (uint32_t)retry->hedge_ms * 1000;
	uint32_t step = estimate / 16 + 50;

	if (!retry->hedge_percentile)
		return;
	if (us > estimate)
		estimate += step * retry->hedge_percentile / 100;
	else
		estimate -= step * (100 - retry->hedge_percentile) / 100;
	service->hedge_us = estimate < LEAST_US ? LEAST_US : estimate;
}

static int64_t delay_ms(const struct forward *f)
{
	const struct config_retry *retry = &f->config->retry;
	uint64_t measured_ms = retry->hedge_percentile ? f->service->hedge_us / 1000 : 0;

	return (int64_t)(measured_ms > retry->hedge_ms ? measured_ms : retry->hedge_ms);
}

static bool is_good(enum io_result result, const struct forward *f)
{
	return result == IO_OK && !f->fault;
}

static void second_main(void *arg)
{
	struct hedge *hedge = arg;
	struct forward *second = &hedge->second;

	hedge->result = forward_call(second);
	hedge->fiber = NULL;
	if (hedge->racing && is_good(hedge->result, second)) {
		hedge->won = true;
		fiber_cancel(hedge->main);
	} else if (hedge->waiting) {
		fiber_wake(hedge->main);
	}
}

/* Prepares the second attempt: another endpoint, if there is one that may be asked. */
static bool choose_second(struct hedge *hedge)
{
	struct forward *second = &hedge->second;

	*second = *hedge->first;
	second->call = NULL;
	second->permit = (struct breaker_permit){0};
	second->pump = (struct pump){0};
	second->second = true;
	second->err = &hedge->err;
	if (!forward_choose(second))
		return false;
	if (second->index != hedge->first->index && forward_take_budget(second))
		return true;
	second->judged = false;
	forward_judge_endpoint(second);
	return false;
}

static void on_timer(struct timer *timer)
{
	struct hedge *hedge = CONTAINER_OF(timer, struct hedge, timer);
	struct err err;

	if (!choose_second(hedge))
		return;
	hedge->fiber = fiber_start(second_main, hedge, &err);
	hedge->asked = hedge->fiber != NULL;
	if (hedge->asked) {
		hedge->first->e->attempts++;
		hedge->first->tried |= hedge->second.tried;
	} else {
		hedge->second.judged = false;
		forward_judge_endpoint(&hedge->second);
	}
}

/* Until the second attempt has ended, whoever is cancelled meanwhile. */
static void await_second(struct hedge *hedge)
{
	bool cancelled = false;

	hedge->waiting = true;
	while (hedge->fiber) {
		if (fiber_park(FIBER_FOREVER) != FIBER_CANCELLED)
			continue;
		cancelled = true;
		fiber_uncancel();
		if (hedge->fiber)
			fiber_cancel(hedge->fiber);
	}
	hedge->waiting = false;
	if (cancelled)
		fiber_cancel(fiber_self());
}

static void drop_second(struct hedge *hedge)
{
	if (hedge->fiber)
		fiber_cancel(hedge->fiber);
	await_second(hedge);
	if (!hedge->asked)
		return;
	counter_add(&hedge->first->e->worker->metrics->upstream_hedges[0], 1);
	forward_judge_endpoint(&hedge->second);
	forward_end_call(&hedge->second);
}

/* The second attempt is the one that counts; the first is told of as it was. */
static void use_second(struct hedge *hedge)
{
	struct forward *first = hedge->first;
	struct forward *second = &hedge->second;

	counter_add(&first->e->worker->metrics->upstream_hedges[1], 1);
	forward_judge_endpoint(first);
	forward_end_call(first);
	first->call = second->call;
	first->endpoint = second->endpoint;
	first->index = second->index;
	first->permit = second->permit;
	first->begun_ms = second->begun_ms;
	first->fault = second->fault;
	first->judged = second->judged;
	first->e->endpoint = second->endpoint;
}

enum io_result forward_call_hedged(struct forward *f)
{
	struct hedge *hedge = arena_alloc(&f->e->x->arena, sizeof(*hedge));
	int64_t begun_ns;
	enum io_result result;

	if (!hedge)
		return forward_call(f);
	/* `second`, which is large, and its results are only set when it is asked. */
	hedge->first = f;
	hedge->main = fiber_self();
	hedge->fiber = NULL;
	hedge->asked = false;
	hedge->racing = true;
	hedge->won = false;
	hedge->waiting = false;
	timer_init(&hedge->timer, on_timer);
	timer_set(&hedge->timer, loop_deadline_ms(delay_ms(f)));
	begun_ns = clock_ns();
	result = forward_call(f);
	hedge->racing = false;
	timer_clear(&hedge->timer);
	learn(f->service, &f->config->retry, (clock_ns() - begun_ns) / 1000);
	/* It was only broken off for the other; unless the client has left in the same moment. */
	if (hedge->won)
		fiber_uncancel();
	if (f->e->x->client_gone) {
		drop_second(hedge);
		return IO_CANCELLED;
	}
	if (is_good(result, f) || !hedge->asked) {
		drop_second(hedge);
		return result;
	}
	await_second(hedge);
	if (!is_good(hedge->result, &hedge->second)) {
		drop_second(hedge);
		return result;
	}
	use_second(hedge);
	return hedge->result;
}
