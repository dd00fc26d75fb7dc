#include "io/fiber.h"

#include <pthread.h>
#include <sys/mman.h>

#include "io/fiber_switch.h"
#include "io/loop_internal.h"

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef HAVE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(HAVE_ASAN) || defined(HAVE_TSAN)
#define STACK_BYTES ((size_t)256 * 1024)
#else
#define STACK_BYTES ((size_t)64 * 1024)
#endif
#define POOL_MAX 1024
/* So many fibers wait for each other in fiber_gather: it is their work that the first waits for. */
#define GATHER_MAX 16
/*
 * Wider than any frame (log lines and buffers of some KiB), so that no function steps over it. It
 * takes address space only.
 */
#define GUARD_BYTES ((size_t)64 * 1024)
/* TSan keeps a stack of calls a fiber: a call that switches must not have a frame of its own. */
#define INLINE_FOR_TSAN __attribute__((always_inline)) static inline

struct fiber {
	struct fiber_context context;
	struct list ready_node;
	struct timer timer; /* may stay in the wheel, stopped, while the fiber is pooled */
	fiber_function *function;
	void *arg;
	struct fiber *next_free;
	char *stack; /* lowest usable byte; the guard page is below */
	unsigned gathered_pass; /* the last pass in which it waited for others */
	bool ready; /* in the loop's ready list */
	bool parked;
	bool woken; /* a wake came while not parked */
	bool cancelled;
	bool timed_out;
	bool ended;
#ifdef HAVE_ASAN
	void *fake_stack;
#endif
#ifdef HAVE_TSAN
	void *tsan;
#endif
};

struct fiber_thread {
	struct fiber *running;
	struct fiber_context main;
	struct fiber *free_list;
	unsigned free_count;
	unsigned live_count;
	struct list *batch; /* what is left of this pass */
	struct list gathered; /* initialised while there is a batch */
	unsigned gathered_count;
	unsigned pass;
#ifdef HAVE_ASAN
	void *main_fake_stack;
	const void *main_stack;
	size_t main_stack_bytes;
#endif
#ifdef HAVE_TSAN
	void *main_tsan;
#endif
};

static _Thread_local struct fiber_thread thread;

HOT static void make_ready(struct fiber *fiber)
{
	if (fiber->ready)
		return;
	fiber->ready = true;
	list_push_back(&loop_current()->ready, &fiber->ready_node);
}

/* One that has been left goes on: with what it left behind, which is far away by now. */
HOT static void go_on(struct fiber *fiber)
{
	fiber_context_prefetch(&fiber->context);
	make_ready(fiber);
}

static void on_deadline(struct timer *timer)
{
	struct fiber *fiber = CONTAINER_OF(timer, struct fiber, timer);

	fiber->timed_out = true;
	make_ready(fiber);
}

/* The struct lives at the top of its own stack, so that a fiber is one mapping. */
static NOINLINE struct fiber *map_fiber(struct err *err)
{
	char *base;
	struct fiber *fiber;

	base = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED) {
		err_set(err, ERR_MEMORY, "no memory for a fiber's stack");
		return NULL;
	}
	if (mprotect(base, GUARD_BYTES, PROT_NONE) < 0) {
		munmap(base, GUARD_BYTES + STACK_BYTES);
		err_set(err, ERR_MEMORY, "cannot guard a fiber's stack");
		return NULL;
	}
	fiber = (struct fiber *)(void *)(base + GUARD_BYTES + STACK_BYTES -
					 ((sizeof(*fiber) + 63) & ~(size_t)63));
	fiber->stack = base + GUARD_BYTES;
	timer_init(&fiber->timer, on_deadline);
	return fiber;
}

static void unmap_fiber(struct fiber *fiber)
{
	char *base = fiber->stack - GUARD_BYTES;

	timer_clear(&fiber->timer);
#ifdef HAVE_ASAN
	__asan_unpoison_memory_region(fiber->stack, STACK_BYTES);
#endif
	munmap(base, GUARD_BYTES + STACK_BYTES);
}

static size_t usable_stack(const struct fiber *fiber)
{
	return (size_t)((const char *)fiber - fiber->stack);
}

/* Tells the sanitizers which stack runs next; `dying` frees the fake stack of the one left. */
INLINE_FOR_TSAN void before_switch_to_fiber(struct fiber *fiber)
{
#ifdef HAVE_ASAN
	__sanitizer_start_switch_fiber(&thread.main_fake_stack, fiber->stack,
				       usable_stack(fiber));
#endif
#ifdef HAVE_TSAN
	if (!thread.main_tsan)
		thread.main_tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(fiber->tsan, 0);
#endif
	(void)fiber;
}

INLINE_FOR_TSAN void after_switch_to_main(void)
{
#ifdef HAVE_ASAN
	__sanitizer_finish_switch_fiber(thread.main_fake_stack, NULL, NULL);
#endif
}

INLINE_FOR_TSAN void before_switch_to_main(struct fiber *fiber, bool dying)
{
#ifdef HAVE_ASAN
	__sanitizer_start_switch_fiber(dying ? NULL : &fiber->fake_stack, thread.main_stack,
				       thread.main_stack_bytes);
#endif
#ifdef HAVE_TSAN
	__tsan_switch_to_fiber(thread.main_tsan, 0);
#endif
	(void)fiber;
	(void)dying;
}

INLINE_FOR_TSAN void after_switch_to_fiber(struct fiber *fiber)
{
#ifdef HAVE_ASAN
	__sanitizer_finish_switch_fiber(fiber->fake_stack, &thread.main_stack,
					&thread.main_stack_bytes);
#endif
	(void)fiber;
}

HOT static void fiber_entry(void *arg)
{
	struct fiber *fiber = arg;

	after_switch_to_fiber(fiber);
	fiber->function(fiber->arg);
	fiber->ended = true;
	before_switch_to_main(fiber, true);
	fiber_context_switch(&fiber->context, &thread.main);
	__builtin_unreachable();
}

HOT static void recycle(struct fiber *fiber)
{
	thread.live_count--;
	if (fiber->ready)
		list_remove(&fiber->ready_node);
#ifdef HAVE_TSAN
	__tsan_destroy_fiber(fiber->tsan);
#endif
	if (thread.free_count >= POOL_MAX) {
		unmap_fiber(fiber);
		return;
	}
	fiber->next_free = thread.free_list;
	thread.free_list = fiber;
	thread.free_count++;
}

HOT static void resume(struct fiber *fiber)
{
	struct loop *loop = loop_current();

	loop_step_begin(loop);
	thread.running = fiber;
	before_switch_to_fiber(fiber);
	fiber_context_switch(&thread.main, &fiber->context);
	after_switch_to_main();
	thread.running = NULL;
	loop_step_end(loop);
	if (fiber->ended)
		recycle(fiber);
}

HOT static struct fiber *take_fiber(fiber_function *function, void *arg, struct err *err)
{
	struct fiber *fiber = thread.free_list;
	char *stack;

	if (fiber) {
		thread.free_list = fiber->next_free;
		thread.free_count--;
		/* For the one who takes the next. */
		if (thread.free_list) {
			PREFETCH(thread.free_list);
			prefetch_lines((const char *)thread.free_list - 16 * CACHE_LINE_BYTES,
				       16);
		}
	} else {
		fiber = map_fiber(err);
		if (!fiber)
			return NULL;
	}
	stack = fiber->stack;
#ifdef HAVE_ASAN
	__asan_unpoison_memory_region(stack, usable_stack(fiber));
#endif
	fiber->function = function;
	fiber->arg = arg;
	fiber->ready = fiber->parked = fiber->woken = false;
	fiber->cancelled = fiber->timed_out = fiber->ended = false;
	fiber->gathered_pass = 0;
#ifdef HAVE_ASAN
	fiber->fake_stack = NULL;
#endif
#ifdef HAVE_TSAN
	fiber->tsan = __tsan_create_fiber(0);
#endif
	fiber_context_make(&fiber->context, stack, usable_stack(fiber), fiber_entry, fiber);
	thread.live_count++;
	return fiber;
}

HOT struct fiber *fiber_start(fiber_function *function, void *arg, struct err *err)
{
	struct fiber *fiber = take_fiber(function, arg, err);

	if (fiber)
		make_ready(fiber);
	return fiber;
}

HOT struct fiber *fiber_self(void)
{
	return thread.running;
}

HOT void fiber_run_ready(struct loop *loop)
{
	struct list batch;
	struct list *node;

	if (list_empty(&loop->ready))
		return;
	/* Only those that are ready now: what they make ready waits for the next round. */
	list_replace(&batch, &loop->ready);
	list_init(&thread.gathered);
	thread.batch = &batch;
	thread.pass++;
	while ((node = list_pop_front(&batch))) {
		struct fiber *fiber = list_entry(node, struct fiber, ready_node);

		fiber->ready = false;
		PREFETCH(batch.next);
		resume(fiber);
		if (UNLIKELY(thread.gathered_count) &&
		    (thread.gathered_count == GATHER_MAX || list_empty(&batch))) {
			list_move_to_front(&batch, &thread.gathered);
			thread.gathered_count = 0;
		}
	}
	thread.batch = NULL;
}

static enum fiber_wake wake_reason(struct fiber *fiber)
{
	if (fiber->cancelled)
		return FIBER_CANCELLED;
	if (fiber->woken)
		return FIBER_EVENT;
	return fiber->timed_out ? FIBER_TIMEOUT : FIBER_EVENT;
}

HOT static void leave(struct fiber *fiber)
{
	before_switch_to_main(fiber, false);
	fiber_context_switch(&fiber->context, &thread.main);
	after_switch_to_fiber(fiber);
}

HOT enum fiber_wake fiber_park(int64_t deadline_ms)
{
	struct fiber *fiber = thread.running;
	enum fiber_wake reason;

	if (fiber->cancelled)
		return FIBER_CANCELLED;
	if (fiber->woken) {
		fiber->woken = false;
		return FIBER_EVENT;
	}
	if (deadline_ms != FIBER_FOREVER)
		timer_set(&fiber->timer, deadline_ms);
	fiber->timed_out = false;
	fiber->parked = true;
	leave(fiber);
	fiber->parked = false;
	timer_stop(&fiber->timer);
	reason = wake_reason(fiber);
	fiber->woken = false;
	return reason;
}

HOT void fiber_wake(struct fiber *fiber)
{
	fiber->woken = true;
	if (fiber->parked)
		go_on(fiber);
}

void fiber_cancel(struct fiber *fiber)
{
	fiber->cancelled = true;
	if (fiber->parked)
		make_ready(fiber);
}

bool fiber_uncancel(void)
{
	bool was = thread.running->cancelled;

	thread.running->cancelled = false;
	return was;
}

bool fiber_is_cancelled(void)
{
	return thread.running && thread.running->cancelled;
}

void fiber_yield(void)
{
	/* Not a park: a wake or a cancellation must neither cut it short nor be used up. */
	make_ready(thread.running);
	leave(thread.running);
}

HOT void fiber_gather(void)
{
	struct fiber *fiber = thread.running;

	if (list_empty(thread.batch) || fiber->gathered_pass == thread.pass)
		return;
	fiber->gathered_pass = thread.pass;
	fiber->ready = true;
	list_push_back(&thread.gathered, &fiber->ready_node);
	thread.gathered_count++;
	leave(fiber);
}

enum fiber_wake fiber_sleep_ms(int64_t ms)
{
	int64_t deadline_ms = loop_deadline_ms(ms);
	enum fiber_wake reason;

	do
		reason = fiber_park(deadline_ms);
	while (reason == FIBER_EVENT);
	return reason;
}

void fiber_pool_release(void)
{
	while (thread.free_list) {
		struct fiber *fiber = thread.free_list;

		thread.free_list = fiber->next_free;
		unmap_fiber(fiber);
	}
	thread.free_count = 0;
}

unsigned fiber_live_count(void)
{
	return thread.live_count;
}
