#include "gateway/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/audit_chain.h"
#include "gateway/exchange.h"

#define ACKNOWLEDGE_MS 2000
#define QUEUE_MAX_BYTES ((size_t)8 << 20)
#define EVENT_MAX_BYTES ((size_t)16 * 1024)
/* Every event grows by its number and two hashes, at most to six times its size. */
#define OUT_MAX_BYTES (6 * QUEUE_MAX_BYTES + 4096)
#define CONFIG_MAX_BYTES ((size_t)64 << 20)
#define EXCHANGES_PER_S 100
#define RETRY_S 1

struct audit_log {
	pthread_t thread;
	pthread_mutex_t lock; /* of all up to `stop` */
	pthread_cond_t wanted;
	struct buf queue; /* events, a line each, for the writer to complete */
	uint64_t lost_since; /* the last "lost" record */
	int64_t window_s;
	unsigned window_count;
	uint64_t suppressed_since;
	struct audit_stats stats;
	uint64_t queued, taken, safe; /* events: put in, given to the writer, on the disk */
	pthread_cond_t saved; /* `safe` has grown */
	int reopened_fd; /* for the writer to take; -1: none */
	bool stop;
	/* the writer's */
	struct buf batch; /* events taken from the queue and not written yet */
	struct buf out;
	struct audit_chain chain;
	uint64_t size; /* of the file after our last write */
	int fd;
	char *path;
};

/* --- the queue --- */

/* With the lock held. `event` is ours and needs no escapes. */
static void enqueue(struct audit_log *log, const char *event, struct span members)
{
	char time[CLOCK_RFC3339_SIZE];
	char start[128];
	size_t before = log->queue.len;
	int len;

	clock_rfc3339(time, clock_unix_ms());
	len = snprintf(start, sizeof(start), "\"time\":\"%s\",\"event\":\"%s\"", time, event);
	if (members.len > EVENT_MAX_BYTES || len >= (int)sizeof(start) ||
	    buf_append_bytes(&log->queue, start, (size_t)len) < 0 ||
	    buf_append(&log->queue, members) < 0 || buf_append_byte(&log->queue, '\n') < 0) {
		log->queue.len = before;
		log->queue.failed = false;
		log->lost_since++;
		log->stats.lost++;
	} else {
		log->queued++;
	}
	pthread_cond_signal(&log->wanted);
}

void audit_event(struct audit_log *log, const char *event, struct span members)
{
	pthread_mutex_lock(&log->lock);
	enqueue(log, event, members);
	pthread_mutex_unlock(&log->lock);
}

/* False when not all that is queued now is on the disk in time. */
static bool wait_until_safe(struct audit_log *log)
{
	int64_t until_ms = clock_ms() + ACKNOWLEDGE_MS;
	struct timespec until = {.tv_sec = until_ms / 1000,
				 .tv_nsec = until_ms % 1000 * 1000000};
	uint64_t target;
	bool safe;

	pthread_mutex_lock(&log->lock);
	target = log->queued;
	while (log->safe < target && clock_ms() < until_ms)
		pthread_cond_timedwait(&log->saved, &log->lock, &until);
	safe = log->safe >= target;
	pthread_mutex_unlock(&log->lock);
	return safe;
}

void audit_acknowledge(struct audit_log *log, const char *event)
{
	if (!wait_until_safe(log))
		log_message(LOG_ERROR, event, "the audit log is not being written");
}

static void put_member(struct buf *to, const char *name, struct span value)
{
	buf_printf(to, ",\"%s\":\"", name);
	buf_append_json(to, span_slice(value, 0, 1024));
	buf_append_byte(to, '"');
}

/* False when the file cannot be read whole. */
static bool hash_file(const char *path, char to[AUDIT_HASH_DIGITS])
{
	FILE *file = fopen(path, "re");
	char chunk[4096];
	struct buf text;
	size_t n;
	bool good = file != NULL;

	buf_init(&text, CONFIG_MAX_BYTES);
	while (good && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		good = buf_append_bytes(&text, chunk, n) == 0;
	good = good && !ferror(file) && audit_hash(buf_span(&text), to);
	buf_release(&text);
	if (file)
		fclose(file);
	return good;
}

void audit_config(struct audit_log *log, const char *event, const char *path)
{
	char hash[AUDIT_HASH_DIGITS];
	struct buf members;

	buf_init(&members, EVENT_MAX_BYTES);
	put_member(&members, "file", span_cstr(path));
	if (hash_file(path, hash))
		put_member(&members, "sha256", span_of(hash, sizeof(hash)));
	audit_event(log, event, buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
}

static bool is_audited(const struct exchange *e)
{
	switch (e->phase) {
	case PHASE_ADMIT:
	case PHASE_AUTHENTICATE:
	case PHASE_AUTHORIZE:
	case PHASE_VALIDATE:
	case PHASE_INSPECT:
	case PHASE_APPROVE:
	case PHASE_LIMIT: return e->reason != NULL;
	case PHASE_ROUTE:
		/* An unknown path is everyday; one that cannot be normalised is an attempt. */
		return e->reason && span_eq(span_cstr(e->reason), SPAN("bad_target"));
	case PHASE_FORWARD:
		/* A component that must not be used. */
		return e->reason && e->x->status == 403 &&
		       e->route->config->internal == CONFIG_INTERNAL_REGISTRY;
	case PHASE_PROTECT:
	case PHASE_COUNT: return false;
	}
	return false;
}

/* With the lock held. */
static void flush_suppressed(struct audit_log *log)
{
	char members[64];
	int len = snprintf(members, sizeof(members), ",\"count\":%llu",
			   (unsigned long long)log->suppressed_since);

	if (!log->suppressed_since)
		return;
	log->suppressed_since = 0;
	enqueue(log, "request.suppressed", span_of(members, (size_t)len));
}

/* With the lock held: whether this second has room for one more. */
static bool take_turn(struct audit_log *log)
{
	int64_t now_s = clock_unix_coarse_s();

	if (now_s != log->window_s) {
		flush_suppressed(log);
		log->window_s = now_s;
		log->window_count = 0;
	}
	if (log->window_count < EXCHANGES_PER_S) {
		log->window_count++;
		return true;
	}
	log->stats.suppressed++;
	/* The writer has to look at the time from now on. */
	if (log->suppressed_since++ == 0)
		pthread_cond_signal(&log->wanted);
	return false;
}

static void put_exchange(struct buf *to, const struct exchange *e)
{
	char client[ADDRESS_TEXT_SIZE];

	put_member(to, "reason", span_cstr(e->reason));
	put_member(to, "phase", span_cstr(phase_name(e->phase)));
	put_member(to, "client", span_of(client, address_format(&e->client, client)));
	put_member(to, "user", e->identity->subject);
	put_member(to, "client_id", e->identity->client);
	put_member(to, "operation", e->route ? e->route->config->operation : SPAN_NONE);
	put_member(to, "method", e->x->request.method_name);
	put_member(to, "host", e->host);
	put_member(to, "path", exchange_log_path(e));
	put_member(to, "request_id", e->request_id);
	buf_printf(to, ",\"status\":%u", e->x->status);
}

void audit_exchange(struct audit_log *log, const struct exchange *e)
{
	struct buf members;
	bool wanted;

	if (!is_audited(e))
		return;
	pthread_mutex_lock(&log->lock);
	wanted = take_turn(log);
	pthread_mutex_unlock(&log->lock);
	if (!wanted)
		return;
	buf_init(&members, EVENT_MAX_BYTES);
	put_exchange(&members, e);
	audit_event(log, "request.refused",
		    buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
}

void audit_read_stats(struct audit_log *log, struct audit_stats *stats)
{
	pthread_mutex_lock(&log->lock);
	*stats = log->stats;
	stats->waiting_bytes += log->queue.len;
	pthread_mutex_unlock(&log->lock);
}

/* --- the writer --- */

/* A record of the log about itself. */
static int put_own(struct audit_log *log, struct audit_chain *chain, struct span members)
{
	char time[CLOCK_RFC3339_SIZE];
	struct buf line;
	int result = -1;

	clock_rfc3339(time, clock_unix_ms());
	buf_init(&line, 1024);
	buf_printf(&line, "\"time\":\"%s\",", time);
	buf_append(&line, members);
	if (!buf_failed(&line))
		result = audit_chain_append(chain, buf_span(&line), &log->out);
	buf_release(&line);
	return result;
}

/*
 * Where the chain stands, with the file's lock held: another process may have written, somebody may
 * have cut the file, our own last write may have failed half way. Puts into log->out what has to be
 * said of it.
 */
static int catch_up(struct audit_log *log, uint64_t size, struct audit_chain *chain,
		    struct err *err)
{
	struct audit_chain ours = log->chain;
	struct audit_tail tail;
	struct buf members;
	int result = 0;

	*chain = ours;
	if (size == log->size && (size || !ours.seq))
		return 0;
	if (audit_tail_read(log->fd, size, &tail, err) < 0)
		return -1;
	*chain = tail.chain;
	buf_init(&members, 1024);
	if (tail.open_line)
		buf_append_byte(&log->out, '\n');
	if (tail.torn) {
		audit_recovered_members(&tail, &members);
		result = put_own(log, chain, buf_span(&members));
		buf_clear(&members);
	}
	if (size < log->size || (size == 0 && ours.seq)) {
		buf_printf(&members,
			   "\"event\":\"%s\",\"previous_seq\":%llu,\"previous_hash\":\"%.*s\"",
			   size < log->size ? "truncated" : "continued",
			   (unsigned long long)ours.seq, AUDIT_HASH_DIGITS, ours.hash);
		result |= put_own(log, chain, buf_span(&members));
	}
	buf_release(&members);
	return result < 0 ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

static int put_batch(struct audit_log *log, uint64_t lost, struct audit_chain *chain,
		     struct err *err)
{
	struct span rest = buf_span(&log->batch);
	char members[64];
	int result = 0;

	if (lost) {
		int len =
			snprintf(members, sizeof(members), "\"event\":\"lost\",\"count\":%llu",
				 (unsigned long long)lost);

		result = put_own(log, chain, span_of(members, (size_t)len));
	}
	while (result == 0 && rest.len)
		result = audit_chain_append(chain, span_cut(&rest, '\n'), &log->out);
	return result < 0 ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

/* All or, as far as the file can be cut again, nothing. */
static int write_out(struct audit_log *log, uint64_t size, struct err *err)
{
	size_t done = 0;

	while (done < log->out.len) {
		ssize_t n = write(log->fd, log->out.ptr + done, log->out.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set_errno(err, errno, "write");
			/* Else catch_up finds the half line, and the rest is written again. */
			if (done && ftruncate(log->fd, (off_t)size) < 0)
				err_wrap(err, "cannot be cut back");
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}

static uint64_t count_records(struct span lines)
{
	uint64_t count = 0;

	while (lines.len)
		count += span_cut(&lines, '\n').len > 0;
	return count;
}

static int write_locked(struct audit_log *log, uint64_t lost, struct err *err)
{
	struct audit_chain chain;
	struct stat status;
	uint64_t size;

	buf_clear(&log->out);
	if (fstat(log->fd, &status) < 0)
		return err_set_errno(err, errno, "fstat");
	size = (uint64_t)status.st_size;
	if (catch_up(log, size, &chain, err) < 0 || put_batch(log, lost, &chain, err) < 0 ||
	    write_out(log, size, err) < 0)
		return -1;
	log->size = size + log->out.len;
	pthread_mutex_lock(&log->lock);
	log->stats.written += count_records(buf_span(&log->out));
	pthread_mutex_unlock(&log->lock);
	log->chain = chain;
	return 0;
}

static void complain(struct audit_log *log, const char *what, const char *why)
{
	pthread_mutex_lock(&log->lock);
	log->stats.failures++;
	pthread_mutex_unlock(&log->lock);
	log_message(LOG_ERROR, "audit.failed", "%s: %s: %s", log->path, what, why);
}

/* Writes the batch; what cannot be written stays in it. */
static bool write_batch(struct audit_log *log, uint64_t lost)
{
	struct err err = {.code = ERR_NONE};
	int result = -1;

	if (flock(log->fd, LOCK_EX) < 0) {
		err_set_errno(&err, errno, "lock");
	} else {
		result = write_locked(log, lost, &err);
		flock(log->fd, LOCK_UN);
	}
	if (result < 0) {
		complain(log, "not written", err.message);
		return false;
	}
	if (fdatasync(log->fd) < 0 && errno != EINVAL)
		complain(log, "not synced", strerror(errno));
	buf_clear(&log->batch);
	return true;
}

static void wait_until(struct audit_log *log, int64_t seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_cond_timedwait(&log->wanted, &log->lock, &until);
}

/* Moves the queue into the batch, behind what a failed write has left there. */
static void take_queue(struct audit_log *log)
{
	struct buf swap = log->queue;

	if (log->batch.len == 0) {
		log->queue = log->batch;
		log->batch = swap;
		log->taken = log->queued;
	}
	log->stats.waiting_bytes = log->batch.len;
}

/* With the lock held; false when it is time to end and nothing is left. */
static bool wait_for_work(struct audit_log *log, bool failed)
{
	if (failed) {
		int64_t until_ms = clock_ms() + RETRY_S * 1000;

		while (!log->stop && clock_ms() < until_ms)
			wait_until(log, RETRY_S);
	}
	while (!log->stop && !log->queue.len && !log->batch.len && !log->lost_since) {
		if (!log->suppressed_since) {
			pthread_cond_wait(&log->wanted, &log->lock);
			continue;
		}
		wait_until(log, 1);
		if (clock_unix_coarse_s() != log->window_s)
			flush_suppressed(log);
	}
	if (log->stop)
		flush_suppressed(log);
	return log->queue.len || log->batch.len || log->lost_since;
}

static void take_reopened(struct audit_log *log, int fd)
{
	if (fd < 0)
		return;
	close(log->fd);
	log->fd = fd;
	/* So that catch_up looks, and an empty file is taken for a new one. */
	log->size = 0;
}

static void *writer_main(void *arg)
{
	struct audit_log *log = arg;
	bool failed = false;
	uint64_t lost;

	pthread_setname_np(pthread_self(), "audit log");
	pthread_mutex_lock(&log->lock);
	while (wait_for_work(log, failed)) {
		int fd = log->reopened_fd;
		bool last = log->stop;

		log->reopened_fd = -1;
		take_queue(log);
		lost = log->lost_since;
		pthread_mutex_unlock(&log->lock);
		take_reopened(log, fd);
		failed = !write_batch(log, lost);
		pthread_mutex_lock(&log->lock);
		if (!failed) {
			log->lost_since -= lost;
			log->safe = log->taken;
			pthread_cond_broadcast(&log->saved);
		} else if (last) {
			break;
		}
		log->stats.waiting_bytes = log->batch.len;
	}
	pthread_mutex_unlock(&log->lock);
	return NULL;
}

/* --- opening and closing --- */

static int open_path(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	return fd < 0 ? err_set_errno(err, errno, "audit log %s", path) : fd;
}

int audit_reopen(struct audit_log *log, struct err *err)
{
	int fd = open_path(log->path, err);

	if (fd < 0)
		return -1;
	pthread_mutex_lock(&log->lock);
	if (log->reopened_fd >= 0)
		close(log->reopened_fd);
	log->reopened_fd = fd;
	enqueue(log, "log.reopened", SPAN_NONE);
	pthread_mutex_unlock(&log->lock);
	return 0;
}

/* The file must be usable now; the writer looks again, under the lock, before it writes. */
static int look(struct audit_log *log, struct err *err)
{
	struct audit_tail tail;
	struct stat status;
	int result;

	log->fd = open_path(log->path, err);
	if (log->fd < 0)
		return -1;
	if (flock(log->fd, LOCK_SH) < 0 || fstat(log->fd, &status) < 0)
		return err_set_errno(err, errno, "audit log %s", log->path);
	result = audit_tail_read(log->fd, (uint64_t)status.st_size, &tail, err);
	flock(log->fd, LOCK_UN);
	if (result < 0)
		return err_wrap(err, "audit log %s", log->path);
	return 0;
}

static void init_lock(struct audit_log *log)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->wanted, &attr);
	pthread_cond_init(&log->saved, &attr);
	pthread_condattr_destroy(&attr);
}

static void release(struct audit_log *log)
{
	if (log->reopened_fd >= 0)
		close(log->reopened_fd);
	if (log->fd >= 0)
		close(log->fd);
	buf_release(&log->queue);
	buf_release(&log->batch);
	buf_release(&log->out);
	pthread_mutex_destroy(&log->lock);
	pthread_cond_destroy(&log->wanted);
	pthread_cond_destroy(&log->saved);
	mem_free(log->path);
	mem_free(log);
}

struct audit_log *audit_open(const char *path, struct err *err)
{
	struct audit_log *log = mem_zalloc(1, sizeof(*log));

	if (!log) {
		err_set(err, ERR_MEMORY, "no memory for the audit log");
		return NULL;
	}
	init_lock(log);
	buf_init(&log->queue, QUEUE_MAX_BYTES);
	buf_init(&log->batch, QUEUE_MAX_BYTES);
	buf_init(&log->out, OUT_MAX_BYTES);
	audit_chain_start(&log->chain);
	log->fd = log->reopened_fd = -1;
	log->path = mem_strdup(span_cstr(path));
	if (!log->path)
		err_set(err, ERR_MEMORY, "no memory for the audit log");
	else if (look(log, err) == 0) {
		if (pthread_create(&log->thread, NULL, writer_main, log) == 0)
			return log;
		err_set(err, ERR_UNAVAILABLE, "cannot start the audit log's thread");
	}
	release(log);
	return NULL;
}

void audit_close(struct audit_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->stop = true;
	pthread_cond_signal(&log->wanted);
	pthread_mutex_unlock(&log->lock);
	pthread_join(log->thread, NULL);
	if (log->batch.len || log->queue.len)
		log_message(LOG_ERROR, "audit.lost", "%s: events could not be written",
			    log->path);
	release(log);
}
