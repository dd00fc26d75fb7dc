#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop_internal.h"

_Thread_local struct loop_clock loop_clock;
static _Thread_local struct loop *current;

HOT static void read_clocks(void)
{
	loop_clock.round_ns = clock_ns();
	loop_clock.now_ms = loop_clock.round_ns / 1000000;
	loop_clock.unix_s = clock_unix_coarse_s();
}

static int open_descriptors(struct loop *loop, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return err_set_errno(err, errno, "epoll_create1");
	loop->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->event_fd < 0) {
		err_set_errno(err, errno, "eventfd");
		close(loop->epoll_fd);
		return -1;
	}
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->event_fd, &event) < 0) {
		err_set_errno(err, errno, "epoll_ctl");
		close(loop->event_fd);
		close(loop->epoll_fd);
		return -1;
	}
	return 0;
}

struct loop *loop_new(struct err *err)
{
	struct loop *loop = mem_zalloc(1, sizeof(*loop));

	if (!loop) {
		err_set(err, ERR_MEMORY, "no memory for an event loop");
		return NULL;
	}
	if (open_descriptors(loop, err) < 0) {
		mem_free(loop);
		return NULL;
	}
	read_clocks();
	wheel_init(&loop->wheel, loop_clock.now_ms);
	list_init(&loop->ready);
	list_init(&loop->deferred);
	list_init(&loop->deferred_next);
	pthread_mutex_init(&loop->mailbox_lock, NULL);
	loop->mailbox_tail = &loop->mailbox;
	current = loop;
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->event_fd);
	close(loop->epoll_fd);
	pthread_mutex_destroy(&loop->mailbox_lock);
	fiber_pool_release();
	if (current == loop)
		current = NULL;
	mem_free(loop);
}

struct loop *loop_current(void)
{
	return current;
}

uint64_t loop_step_counter(const struct loop *loop)
{
	return atomic_load_explicit(&loop->step, memory_order_relaxed);
}

int64_t loop_lag_us(const struct loop *loop)
{
	return atomic_load_explicit(&loop->lag_us, memory_order_relaxed);
}

static void signal_loop(struct loop *loop)
{
	uint64_t one = 1;

	/* A full counter means that the loop has been signalled already. */
	if (write(loop->event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_message(LOG_ERROR, "loop.signal_failed", "errno %d", errno);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	signal_loop(loop);
}

void loop_post(struct loop *loop, struct loop_message *message)
{
	bool signal;

	message->next = NULL;
	pthread_mutex_lock(&loop->mailbox_lock);
	*loop->mailbox_tail = message;
	loop->mailbox_tail = &message->next;
	signal = !loop->mailbox_signalled;
	loop->mailbox_signalled = true;
	pthread_mutex_unlock(&loop->mailbox_lock);
	if (signal)
		signal_loop(loop);
}

static void run_mailbox(struct loop *loop)
{
	struct loop_message *message;
	uint64_t count;

	if (read(loop->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_message(LOG_ERROR, "loop.mailbox_failed", "errno %d", errno);
	pthread_mutex_lock(&loop->mailbox_lock);
	message = loop->mailbox;
	loop->mailbox = NULL;
	loop->mailbox_tail = &loop->mailbox;
	loop->mailbox_signalled = false;
	pthread_mutex_unlock(&loop->mailbox_lock);
	while (message) {
		struct loop_message *next = message->next;

		loop_step_begin(loop);
		message->run(message);
		loop_step_end(loop);
		message = next;
	}
}

void loop_defer(struct deferred *deferred)
{
	if (deferred->queued)
		return;
	deferred->queued = true;
	list_push_back(&current->deferred, &deferred->node);
}

void loop_defer_next(struct deferred *deferred)
{
	if (deferred->queued)
		return;
	deferred->queued = true;
	list_push_back(&current->deferred_next, &deferred->node);
}

void loop_undefer(struct deferred *deferred)
{
	if (!deferred->queued)
		return;
	deferred->queued = false;
	list_remove(&deferred->node);
}

HOT static void run_deferred(struct loop *loop, struct list *from)
{
	struct list *node;

	while ((node = list_pop_front(from))) {
		struct deferred *deferred = list_entry(node, struct deferred, node);

		deferred->queued = false;
		loop_step_begin(loop);
		deferred->run(deferred);
		loop_step_end(loop);
	}
}

/* Only what was there at the start: what it queues again is for the round after. */
static void run_deferred_next(struct loop *loop)
{
	struct list batch;

	if (list_empty(&loop->deferred_next))
		return;
	list_replace(&batch, &loop->deferred_next);
	run_deferred(loop, &batch);
}

int watch_add(struct watch *watch, int fd, watch_function *on_event, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.ptr = watch};

	*watch = (struct watch){.fd = fd, .on_event = on_event};
	if (epoll_ctl(current->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		watch->fd = -1;
		return err_set_errno(err, errno, "epoll_ctl");
	}
	return 0;
}

void watch_remove(struct watch *watch)
{
	if (watch->fd < 0)
		return;
	epoll_ctl(current->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
	/* Events of this round that have not been handled must not reach freed memory. */
	for (int i = current->event_next; i < current->event_count; i++)
		if (current->events[i].data.ptr == watch)
			current->events[i].events = 0;
	if (current->dispatched == watch)
		current->dispatched = NULL;
	if (watch->reader)
		fiber_wake(watch->reader);
	if (watch->writer)
		fiber_wake(watch->writer);
	if (watch->other)
		fiber_wake(watch->other);
}

HOT enum fiber_wake watch_wait(struct watch *watch, uint32_t events, int64_t deadline_ms)
{
	uint32_t wanted = events | EPOLLHUP | EPOLLERR;
	struct fiber **waiter = events & EPOLLIN ? &watch->reader : &watch->writer;

	if (events & EPOLLIN)
		wanted |= EPOLLRDHUP;
	if (*waiter)
		waiter = &watch->other;
	assert(!*waiter);
	*waiter = fiber_self();
	while (!(watch->ready & wanted) && watch->fd >= 0) {
		enum fiber_wake reason = fiber_park(deadline_ms);

		if (reason != FIBER_EVENT) {
			*waiter = NULL;
			return reason;
		}
	}
	*waiter = NULL;
	return FIBER_EVENT;
}

HOT static void dispatch(struct loop *loop, struct watch *watch, uint32_t events)
{
	watch->ready |= events;
	if (watch->on_event) {
		loop->dispatched = watch;
		loop_step_begin(loop);
		watch->on_event(watch, events);
		loop_step_end(loop);
		/* The callback may have removed the watch, which is then no longer ours to touch. */
		if (!loop->dispatched)
			return;
		loop->dispatched = NULL;
	}
	if (watch->reader && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		fiber_wake(watch->reader);
	if (watch->writer && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		fiber_wake(watch->writer);
	if (watch->other)
		fiber_wake(watch->other);
}

/* How many events ahead. */
#define PREFETCH_EVENTS 4

HOT static void dispatch_all(struct loop *loop)
{
	bool mailbox = false;

	for (loop->event_next = 0; loop->event_next < loop->event_count;) {
		const struct epoll_event *event = &loop->events[loop->event_next++];

		/* Beyond the last there are old ones, at worst of what has been freed: only a hint. */
		PREFETCH(event[PREFETCH_EVENTS].data.ptr);
		if (!event->data.ptr)
			mailbox = true;
		else if (event->events)
			dispatch(loop, event->data.ptr, event->events);
	}
	loop->event_count = 0;
	if (mailbox)
		run_mailbox(loop);
}

HOT static int wait_for_events(struct loop *loop, int64_t max_wait_ms)
{
	int64_t next_ms = wheel_next_ms(&loop->wheel);
	int64_t wait_ms = max_wait_ms;

	if (next_ms != INT64_MAX && next_ms - loop_clock.now_ms < wait_ms)
		wait_ms = next_ms > loop_clock.now_ms ? next_ms - loop_clock.now_ms : 0;
	if (!list_empty(&loop->ready) || !list_empty(&loop->deferred) ||
	    !list_empty(&loop->deferred_next))
		wait_ms = 0;
	return epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, (int)wait_ms);
}

/*
 * How long what became ready during this round will have waited for it to end. Where few events come
 * in each round the clock would cost more than it tells, so only some of those are looked at.
 */
#define LAG_EVENTS 8
#define LAG_ROUNDS 16

static void note_lag(struct loop *loop, int events)
{
	int64_t round_us;

	if (events < LAG_EVENTS && ++loop->lag_skipped < LAG_ROUNDS)
		return;
	loop->lag_skipped = 0;
	round_us = (clock_ns() - loop_clock.round_ns) / 1000;
	if (round_us > loop->lag_peak_us)
		loop->lag_peak_us = round_us;
	if (loop_clock.now_ms < loop->lag_until_ms)
		return;
	atomic_store_explicit(&loop->lag_us, loop->lag_peak_us, memory_order_relaxed);
	loop->lag_peak_us = 0;
	loop->lag_until_ms = loop_clock.now_ms + 1000;
}

/* Passes over the ready fibers in one round, before new events are looked at. */
#define READY_PASSES 4

HOT void loop_step(struct loop *loop, int64_t max_wait_ms)
{
	int count = wait_for_events(loop, max_wait_ms);

	read_clocks();
	if (count < 0 && errno != EINTR)
		log_message(LOG_ERROR, "loop.epoll_failed", "errno %d", errno);
	loop->event_count = count > 0 ? count : 0;
	dispatch_all(loop);
	run_deferred_next(loop);
	wheel_advance(&loop->wheel, loop_clock.now_ms);
	for (int pass = 0; pass < READY_PASSES && !list_empty(&loop->ready); pass++)
		fiber_run_ready(loop);
	/* Work that defers more work is run now too; it is meant for flushing, which ends. */
	run_deferred(loop, &loop->deferred);
	note_lag(loop, count);
}

void loop_run(struct loop *loop)
{
	while (!atomic_load_explicit(&loop->stop, memory_order_relaxed))
		loop_step(loop, 60 * 1000);
}
