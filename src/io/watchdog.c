#include "io/watchdog.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define SAMPLE_MS 10
#define DEFAULT_LIMIT_MS 20
#define SIGNAL_OFFSET 3
/* How long a thread may take to answer: one that sleeps in the kernel does not answer at all. */
#define ANSWER_MS 100
#define FRAMES_MAX 48
#define ALT_STACK_BYTES ((size_t)64 * 1024)

struct watched {
	struct loop *loop; /* NULL: free */
	pthread_t thread;
	void *alt_stack; /* the unwinder needs more than a fiber may have left */
	uint64_t step; /* as last seen */
	int64_t since_ms; /* when that step was first seen */
	bool reported;
};

static struct {
	pthread_mutex_t lock; /* guards loops and stop */
	pthread_cond_t wake;
	struct watched loops[WATCHDOG_LOOPS_MAX];
	bool stop;
	bool running;
	pthread_t thread;
	int64_t limit_ms;
	_Atomic uint64_t stuck_count;
	/* Written by the signal handler of the thread in question, between the two semaphores. */
	void *frames[FRAMES_MAX];
	int frame_count;
	_Atomic bool asked;
	sem_t answered;
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

bool watchdog_is_supported(void)
{
#if defined(HAVE_ASAN) || defined(HAVE_TSAN)
	return false;
#else
	return true;
#endif
}

uint64_t watchdog_stuck_count(void)
{
	return atomic_load_explicit(&dog.stuck_count, memory_order_relaxed);
}

static int dog_signal(void)
{
	return SIGRTMIN + SIGNAL_OFFSET;
}

static void on_signal(int signal)
{
	int saved = errno;

	(void)signal;
	/* Only the first answer to a question counts; a late one finds it withdrawn. */
	if (atomic_exchange(&dog.asked, false)) {
		dog.frame_count = backtrace(dog.frames, FRAMES_MAX);
		sem_post(&dog.answered);
	}
	errno = saved;
}

/* The stack of a thread in dog.frames; false when it does not answer. */
static bool ask_for_stack(pthread_t thread)
{
	struct timespec until;

	atomic_store(&dog.asked, true);
	if (pthread_kill(thread, dog_signal()) != 0) {
		atomic_store(&dog.asked, false);
		return false;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ANSWER_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (sem_timedwait(&dog.answered, &until) < 0) {
		if (errno == EINTR)
			continue;
		if (atomic_exchange(&dog.asked, false))
			return false;
		/* It has just begun to answer. */
		while (sem_wait(&dog.answered) < 0)
			continue;
		return true;
	}
	return true;
}

/* "function+0x1f", or "file+0x1234" for addr2line where no symbol is exported. */
static void put_frame(struct buf *text, const void *address)
{
	const char *at = address;
	const char *file;
	Dl_info info;

	if (!dladdr(address, &info)) {
		buf_printf(text, "%p", address);
	} else if (info.dli_sname) {
		buf_printf(text, "%s+0x%zx", info.dli_sname,
			   (size_t)(at - (const char *)info.dli_saddr));
	} else {
		file = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
		buf_printf(text, "%s+0x%zx",
			   file		    ? file + 1
			   : info.dli_fname ? info.dli_fname
					    : "?",
			   (size_t)(at - (const char *)info.dli_fbase));
	}
}

static void report(const struct watched *watched, int64_t now_ms)
{
	struct log_line line;
	struct buf text;
	/* The handler and the kernel's frame for it say nothing. */
	int first = 2;

	buf_init(&text, 3000);
	if (ask_for_stack(watched->thread))
		for (int i = first; i < dog.frame_count; i++) {
			if (i > first)
				buf_append_cstr(&text, " < ");
			put_frame(&text, dog.frames[i]);
		}
	log_begin(&line, LOG_WARN, "loop.stuck");
	log_int(&line, "ms", now_ms - watched->since_ms);
	log_str(&line, "stack", text.len ? buf_span(&text) : SPAN("unknown"));
	log_end(&line);
	buf_release(&text);
	atomic_fetch_add_explicit(&dog.stuck_count, 1, memory_order_relaxed);
}

static void look_at(struct watched *watched, int64_t now_ms)
{
	uint64_t step = loop_step_counter(watched->loop);

	if (step != watched->step) {
		watched->step = step;
		watched->since_ms = now_ms;
		watched->reported = false;
		return;
	}
	/* Even: the loop waits for events, as long as it likes. */
	if (step % 2 == 0 || watched->reported || now_ms - watched->since_ms < dog.limit_ms)
		return;
	watched->reported = true;
	report(watched, now_ms);
}

static void *dog_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&dog.lock);
	while (!dog.stop) {
		struct timespec until;

		for (int i = 0; i < WATCHDOG_LOOPS_MAX; i++)
			if (dog.loops[i].loop)
				look_at(&dog.loops[i], clock_ms());
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += SAMPLE_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&dog.wake, &dog.lock, &until);
	}
	pthread_mutex_unlock(&dog.lock);
	return NULL;
}

static int start_thread(struct err *err)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&dog.thread, NULL, dog_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error)
		return err_set_errno(err, error, "cannot start the watchdog");
	pthread_setname_np(dog.thread, "watchdog");
	return 0;
}

int watchdog_start(int64_t limit_ms, struct err *err)
{
	struct sigaction action = {.sa_handler = on_signal,
				   .sa_flags = SA_RESTART | SA_ONSTACK};
	void *frames[2];

	if (!watchdog_is_supported() || dog.running)
		return 0;
	/* The first call loads the unwinder, which a signal handler must not do. */
	backtrace(frames, 2);
	sem_init(&dog.answered, 0, 0);
	dog.limit_ms = limit_ms > 0 ? limit_ms : DEFAULT_LIMIT_MS;
	dog.stop = false;
	sigemptyset(&action.sa_mask);
	if (sigaction(dog_signal(), &action, NULL) < 0)
		return err_set_errno(err, errno, "sigaction");
	if (start_thread(err) < 0)
		return -1;
	dog.running = true;
	return 0;
}

void watchdog_stop(void)
{
	if (!dog.running)
		return;
	pthread_mutex_lock(&dog.lock);
	dog.stop = true;
	pthread_cond_signal(&dog.wake);
	pthread_mutex_unlock(&dog.lock);
	pthread_join(dog.thread, NULL);
	/* A question that came too late to be answered may still be on its way. */
	signal(dog_signal(), SIG_IGN);
	sem_destroy(&dog.answered);
	dog.running = false;
}

static struct watched *find(const struct loop *loop)
{
	for (int i = 0; i < WATCHDOG_LOOPS_MAX; i++)
		if (dog.loops[i].loop == loop)
			return &dog.loops[i];
	return NULL;
}

static int use_alt_stack(struct watched *watched, struct err *err)
{
	stack_t stack = {.ss_size = ALT_STACK_BYTES};

	watched->alt_stack = mem_alloc(ALT_STACK_BYTES);
	if (!watched->alt_stack)
		return err_set(err, ERR_MEMORY, "no memory for the watchdog");
	stack.ss_sp = watched->alt_stack;
	if (sigaltstack(&stack, NULL) < 0) {
		mem_free(watched->alt_stack);
		return err_set_errno(err, errno, "sigaltstack");
	}
	return 0;
}

int watchdog_add(struct loop *loop, struct err *err)
{
	struct watched *watched;
	int result = 0;

	if (!watchdog_is_supported())
		return 0;
	pthread_mutex_lock(&dog.lock);
	watched = find(NULL);
	if (!watched)
		result = err_set(err, ERR_LIMIT, "the watchdog looks after %d loops at most",
				 WATCHDOG_LOOPS_MAX);
	else
		result = use_alt_stack(watched, err);
	if (result == 0) {
		watched->loop = loop;
		watched->thread = pthread_self();
		watched->step = loop_step_counter(loop);
		watched->since_ms = clock_ms();
		watched->reported = false;
	}
	pthread_mutex_unlock(&dog.lock);
	return result;
}

void watchdog_remove(struct loop *loop)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	struct watched *watched;

	if (!watchdog_is_supported())
		return;
	pthread_mutex_lock(&dog.lock);
	watched = find(loop);
	if (watched) {
		sigaltstack(&none, NULL);
		mem_free(watched->alt_stack);
		*watched = (struct watched){.loop = NULL};
	}
	pthread_mutex_unlock(&dog.lock);
}
