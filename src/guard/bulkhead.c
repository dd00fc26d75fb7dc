#include "guard/bulkhead.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/mem.h"
#include "guard/gradient.h"
#include "io/loop.h"

#define FLOWS 64
#define ONE_WAITING ((uint64_t)1 << 32)

enum waiter_state { WAITER_WAITING, WAITER_GRANTED, WAITER_PUSHED_OUT };

/* On the stack of a fiber that waits; reached by others under the lock, or through its message. */
struct waiter {
	struct list node;
	struct loop_message message;
	struct loop *loop;
	struct fiber *fiber;
	unsigned class, flow;
	enum waiter_state state; /* under the lock */
	bool arrived; /* its own thread only: what became of it is known, nobody else holds it */
};

struct flow {
	struct list waiters; /* oldest first */
	unsigned count;
};

struct bulkhead {
	struct bulkhead_options options;
	_Atomic uint32_t refs;
	char pad0[64];
	_Atomic uint64_t
		word; /* waiting << 32 | in use; not 0 waiting: changed under the lock */
	_Atomic uint32_t limit;
	char pad1[64];
	_Atomic uint64_t waited, refused, timeouts;
	struct gradient gradient;
	pthread_mutex_t lock; /* of the queue; never held across a wait */
	struct flow flows[GUARD_CLASSES][FLOWS];
	uint64_t filled[GUARD_CLASSES]; /* flows that are not empty */
	unsigned turn[GUARD_CLASSES];
};

static uint32_t in_use(uint64_t word)
{
	return (uint32_t)word;
}

static uint32_t waiting(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

struct bulkhead *bulkhead_new(const struct bulkhead_options *options, struct err *err)
{
	struct bulkhead *bulkhead = mem_zalloc(1, sizeof(*bulkhead));

	if (!bulkhead) {
		err_set(err, ERR_MEMORY, "no memory for a bulkhead");
		return NULL;
	}
	bulkhead->options = *options;
	bulkhead->refs = 1;
	bulkhead->limit = options->concurrent;
	pthread_mutex_init(&bulkhead->lock, NULL);
	for (unsigned class = 0; class < GUARD_CLASSES; class ++)
		for (unsigned flow = 0; flow < FLOWS; flow++)
			list_init(&bulkhead->flows[class][flow].waiters);
	if (options->adaptive) {
		gradient_init(&bulkhead->gradient, options->least, options->concurrent, 0);
		bulkhead->limit = (uint32_t)bulkhead->gradient.limit;
	}
	return bulkhead;
}

struct bulkhead *bulkhead_ref(struct bulkhead *bulkhead)
{
	atomic_fetch_add_explicit(&bulkhead->refs, 1, memory_order_relaxed);
	return bulkhead;
}

void bulkhead_unref(struct bulkhead *bulkhead)
{
	if (!bulkhead ||
	    atomic_fetch_sub_explicit(&bulkhead->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(bulkhead->word == 0);
	pthread_mutex_destroy(&bulkhead->lock);
	mem_free(bulkhead);
}

bool bulkhead_has_options(const struct bulkhead *bulkhead,
			  const struct bulkhead_options *options)
{
	const struct bulkhead_options *own = &bulkhead->options;

	return own->concurrent == options->concurrent && own->queue == options->queue &&
	       own->wait_ms == options->wait_ms && own->adaptive == options->adaptive &&
	       own->least == options->least;
}

bool bulkhead_is_adaptive(const struct bulkhead *bulkhead)
{
	return bulkhead->options.adaptive;
}

static bool swap(struct bulkhead *bulkhead, uint64_t *word, uint64_t next)
{
	return atomic_compare_exchange_weak_explicit(
		&bulkhead->word, word, next, memory_order_acq_rel, memory_order_relaxed);
}

static uint32_t limit_of(const struct bulkhead *bulkhead)
{
	return atomic_load_explicit(&bulkhead->limit, memory_order_relaxed);
}

bool bulkhead_try(struct bulkhead *bulkhead)
{
	uint64_t word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);

	while (!waiting(word) && in_use(word) < limit_of(bulkhead))
		if (swap(bulkhead, &word, word + 1))
			return true;
	return false;
}

/* --- the queue; all of it under the lock --- */

static void add(struct bulkhead *bulkhead, uint64_t delta)
{
	atomic_fetch_add_explicit(&bulkhead->word, delta, memory_order_acq_rel);
}

static void take_out(struct bulkhead *bulkhead, struct waiter *waiter)
{
	struct flow *flow = &bulkhead->flows[waiter->class][waiter->flow];

	list_remove(&waiter->node);
	if (--flow->count == 0)
		bulkhead->filled[waiter->class] &= ~((uint64_t)1 << waiter->flow);
	add(bulkhead, -ONE_WAITING);
}

static void arrive(struct loop_message *message)
{
	struct waiter *waiter = CONTAINER_OF(message, struct waiter, message);

	waiter->arrived = true;
	fiber_wake(waiter->fiber);
}

/* The waiter's fiber goes on, and does not before arrive() has run in its thread. */
static void settle(struct bulkhead *bulkhead, struct waiter *waiter, enum waiter_state state)
{
	take_out(bulkhead, waiter);
	waiter->state = state;
	if (waiter->loop == loop_current())
		arrive(&waiter->message);
	else
		loop_post(waiter->loop, &waiter->message);
}

/* The highest class first; in it, flows in turn. There is a waiter. */
static struct waiter *next_waiter(struct bulkhead *bulkhead)
{
	unsigned class = 0, turn, flow;
	uint64_t filled;

	while (!bulkhead->filled[class])
		class ++;
	turn = bulkhead->turn[class] % FLOWS;
	filled = bulkhead->filled[class];
	filled = filled >> turn | (turn ? filled << (FLOWS - turn) : 0);
	flow = (turn + (unsigned)__builtin_ctzll(filled)) % FLOWS;
	bulkhead->turn[class] = flow + 1;
	return list_entry(bulkhead->flows[class][flow].waiters.next, struct waiter, node);
}

/* Who has to make room for a newcomer of this class and flow; NULL: the newcomer has to go. */
static struct waiter *victim(struct bulkhead *bulkhead, unsigned class, unsigned flow)
{
	unsigned lowest = GUARD_CLASSES - 1, longest = 0, most = 0;

	while (lowest > class && !bulkhead->filled[lowest])
		lowest--;
	for (unsigned i = 0; i < FLOWS; i++)
		if (bulkhead->flows[lowest][i].count > most) {
			most = bulkhead->flows[lowest][i].count;
			longest = i;
		}
	if (most == 0 || (lowest == class && most <= bulkhead->flows[class][flow].count + 1))
		return NULL;
	return list_entry(bulkhead->flows[lowest][longest].waiters.prev, struct waiter, node);
}

static void give_places(struct bulkhead *bulkhead)
{
	uint64_t word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);

	while (waiting(word) && in_use(word) < limit_of(bulkhead)) {
		add(bulkhead, 1);
		settle(bulkhead, next_waiter(bulkhead), WAITER_GRANTED);
		word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);
	}
}

/* Under the lock: a place after all, or one in the queue. */
static enum bulkhead_result line_up(struct bulkhead *bulkhead, struct waiter *waiter)
{
	uint64_t word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);
	struct waiter *out;

	for (;;) {
		if (!waiting(word) && in_use(word) < limit_of(bulkhead)) {
			if (swap(bulkhead, &word, word + 1))
				return BULKHEAD_ENTERED;
			continue;
		}
		if (waiting(word) >= bulkhead->options.queue) {
			out = victim(bulkhead, waiter->class, waiter->flow);
			if (!out)
				return BULKHEAD_FULL;
			settle(bulkhead, out, WAITER_PUSHED_OUT);
			word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);
		}
		if (swap(bulkhead, &word, word + ONE_WAITING))
			break;
	}
	list_push_back(&bulkhead->flows[waiter->class][waiter->flow].waiters, &waiter->node);
	bulkhead->flows[waiter->class][waiter->flow].count++;
	bulkhead->filled[waiter->class] |= (uint64_t)1 << waiter->flow;
	return BULKHEAD_TIMEOUT;
}

/* Takes back a waiter that nobody has settled; false: somebody has, and its message comes. */
static bool withdraw(struct bulkhead *bulkhead, struct waiter *waiter)
{
	bool mine;

	pthread_mutex_lock(&bulkhead->lock);
	mine = waiter->state == WAITER_WAITING;
	if (mine)
		take_out(bulkhead, waiter);
	pthread_mutex_unlock(&bulkhead->lock);
	return mine;
}

static enum bulkhead_result wait_for_place(struct bulkhead *bulkhead, struct waiter *waiter,
					   int64_t deadline_ms)
{
	enum bulkhead_result result = BULKHEAD_ENTERED;
	bool cancelled = false;

	while (!waiter->arrived) {
		enum fiber_wake wake = fiber_park(deadline_ms);

		if (waiter->arrived || wake == FIBER_EVENT)
			continue;
		if (withdraw(bulkhead, waiter))
			return wake == FIBER_TIMEOUT ? BULKHEAD_TIMEOUT : BULKHEAD_CANCELLED;
		/* Settled at this very moment: the message is on its way and must find us here. */
		deadline_ms = FIBER_FOREVER;
		cancelled |= fiber_uncancel();
	}
	cancelled |= fiber_is_cancelled();
	if (waiter->state == WAITER_PUSHED_OUT)
		result = BULKHEAD_FULL;
	if (!cancelled)
		return result;
	fiber_cancel(fiber_self());
	if (result == BULKHEAD_ENTERED)
		bulkhead_leave(bulkhead, -1);
	return BULKHEAD_CANCELLED;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

enum bulkhead_result bulkhead_enter(struct bulkhead *bulkhead, enum guard_class class,
				    uint64_t user, int64_t deadline_ms)
{
	struct waiter waiter = {.message = {.run = arrive},
				.loop = loop_current(),
				.fiber = fiber_self(),
				.class = class,
				.flow = (unsigned)(user % FLOWS)};
	int64_t wait_until_ms = loop_deadline_ms((int64_t)bulkhead->options.wait_ms);
	enum bulkhead_result result = BULKHEAD_FULL;

	if (bulkhead_try(bulkhead))
		return BULKHEAD_ENTERED;
	if (bulkhead->options.queue) {
		pthread_mutex_lock(&bulkhead->lock);
		result = line_up(bulkhead, &waiter);
		pthread_mutex_unlock(&bulkhead->lock);
	}
	if (result == BULKHEAD_TIMEOUT) {
		count(&bulkhead->waited);
		result = wait_for_place(bulkhead, &waiter,
					deadline_ms < wait_until_ms ? deadline_ms
								    : wait_until_ms);
	}
	if (result == BULKHEAD_FULL)
		count(&bulkhead->refused);
	if (result == BULKHEAD_TIMEOUT)
		count(&bulkhead->timeouts);
	return result;
}

static void learn(struct bulkhead *bulkhead, int64_t latency_us)
{
	uint64_t word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);
	uint32_t limit;

	if (latency_us < 0 || !gradient_add(&bulkhead->gradient, loop_now_ms(),
					    (uint64_t)latency_us, in_use(word), &limit))
		return;
	atomic_store_explicit(&bulkhead->limit, limit, memory_order_relaxed);
	if (!waiting(word))
		return;
	pthread_mutex_lock(&bulkhead->lock);
	give_places(bulkhead);
	pthread_mutex_unlock(&bulkhead->lock);
}

void bulkhead_leave(struct bulkhead *bulkhead, int64_t latency_us)
{
	uint64_t word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);

	if (bulkhead->options.adaptive) {
		learn(bulkhead, latency_us);
		word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);
	}
	while (!waiting(word))
		if (swap(bulkhead, &word, word - 1))
			return;
	pthread_mutex_lock(&bulkhead->lock);
	add(bulkhead, (uint64_t)-1);
	give_places(bulkhead);
	pthread_mutex_unlock(&bulkhead->lock);
}

void bulkhead_read(const struct bulkhead *bulkhead, struct bulkhead_figures *figures)
{
	uint64_t word = atomic_load_explicit(&bulkhead->word, memory_order_relaxed);

	*figures = (struct bulkhead_figures){
		.limit = limit_of(bulkhead),
		.in_use = in_use(word),
		.waiting = waiting(word),
		.queue = bulkhead->options.queue,
		.waited = atomic_load_explicit(&bulkhead->waited, memory_order_relaxed),
		.refused = atomic_load_explicit(&bulkhead->refused, memory_order_relaxed),
		.timeouts = atomic_load_explicit(&bulkhead->timeouts, memory_order_relaxed)};
}
