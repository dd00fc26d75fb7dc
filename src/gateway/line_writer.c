#include "gateway/line_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#define PENDING_MAX ((size_t)8 << 20)
#define BATCH_BYTES 65536
#define BATCH_NS 100000000

struct line_writer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct buf pending; /* filled by anybody */
	struct buf writing; /* the thread's */
	int fd;
	bool owns_fd;
	bool stop;
	const char *name;
	char *path;
};

static void write_all(struct line_writer *w)
{
	size_t done = 0;

	while (done < w->writing.len) {
		ssize_t n = write(w->fd, w->writing.ptr + done, w->writing.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_message(LOG_ERROR, "log.write_failed", "%s: errno %d", w->name,
				    errno);
			break;
		}
		done += (size_t)n;
	}
	buf_clear(&w->writing);
}

/* Returns when a batch is full, a tenth of a second has passed, or it is time to end. */
static bool wait_for_batch(struct line_writer *w)
{
	struct timespec until;
	struct buf swap;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += BATCH_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&w->lock);
	while (!w->stop && w->pending.len < BATCH_BYTES &&
	       pthread_cond_timedwait(&w->wanted, &w->lock, &until) == 0)
		continue;
	stop = w->stop;
	swap = w->pending;
	w->pending = w->writing;
	w->writing = swap;
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

static void *writer_main(void *arg)
{
	struct line_writer *w = arg;
	bool more;

	do {
		more = wait_for_batch(w);
		write_all(w);
	} while (more);
	return NULL;
}

static int open_path(const char *path, const char *name, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	return fd < 0 ? err_set_errno(err, errno, "%s %s", name, path) : fd;
}

static int open_target(struct line_writer *w, const struct line_writer_options *options,
		       struct err *err)
{
	w->fd = options->fd;
	if (!options->path)
		return 0;
	w->path = mem_strdup(span_cstr(options->path));
	if (!w->path)
		return err_set(err, ERR_MEMORY, "no memory for the %s", w->name);
	w->fd = open_path(w->path, w->name, err);
	w->owns_fd = w->fd >= 0;
	return w->fd < 0 ? -1 : 0;
}

struct line_writer *line_writer_new(const struct line_writer_options *options, struct err *err)
{
	struct line_writer *w = mem_zalloc(1, sizeof(*w));

	if (!w) {
		err_set(err, ERR_MEMORY, "no memory for the %s", options->name);
		return NULL;
	}
	w->name = options->name;
	buf_init(&w->pending, PENDING_MAX);
	buf_init(&w->writing, PENDING_MAX);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wanted, NULL);
	if (open_target(w, options, err) == 0) {
		if (pthread_create(&w->thread, NULL, writer_main, w) == 0)
			return w;
		err_set(err, ERR_UNAVAILABLE, "cannot start a thread for the %s", w->name);
		if (w->owns_fd)
			close(w->fd);
	}
	mem_free(w->path);
	mem_free(w);
	return NULL;
}

void line_writer_free(struct line_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wanted);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	if (w->owns_fd)
		close(w->fd);
	buf_release(&w->pending);
	buf_release(&w->writing);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wanted);
	mem_free(w->path);
	mem_free(w);
}

bool line_writer_put(struct line_writer *w, struct span lines)
{
	bool taken;

	pthread_mutex_lock(&w->lock);
	taken = buf_append(&w->pending, lines) == 0;
	w->pending.failed = false;
	if (w->pending.len >= BATCH_BYTES)
		pthread_cond_signal(&w->wanted);
	pthread_mutex_unlock(&w->lock);
	return taken;
}

int line_writer_reopen(struct line_writer *w, struct err *err)
{
	int fd, moved;

	if (!w->path)
		return 0;
	fd = open_path(w->path, w->name, err);
	if (fd < 0)
		return -1;
	/* The descriptor's number stays, so that the writing thread needs no lock for it. */
	moved = dup3(fd, w->fd, O_CLOEXEC);
	if (moved < 0)
		err_set_errno(err, errno, "%s %s", w->name, w->path);
	close(fd);
	return moved < 0 ? -1 : 0;
}
