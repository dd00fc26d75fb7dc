#include "gateway/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/exchange.h"

#define PENDING_MAX ((size_t)8 << 20)
#define LINE_MAX_BYTES ((size_t)16 * 1024)

struct access_log {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct buf pending; /* filled by workers */
	struct buf writing; /* the thread's */
	uint64_t dropped;
	int fd;
	bool owns_fd;
	bool stop;
	char *path;
};

static void write_all(struct access_log *log)
{
	size_t done = 0;

	while (done < log->writing.len) {
		ssize_t n = write(log->fd, log->writing.ptr + done, log->writing.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_message(LOG_ERROR, "access_log.write_failed", "errno %d", errno);
			break;
		}
		done += (size_t)n;
	}
	buf_clear(&log->writing);
}

static void *writer_main(void *arg)
{
	struct access_log *log = arg;
	bool stop = false;

	while (!stop) {
		struct buf swap;
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_mutex_lock(&log->lock);
		while (!log->stop && log->pending.len < 65536 &&
		       pthread_cond_timedwait(&log->wanted, &log->lock, &until) == 0)
			continue;
		stop = log->stop;
		if (log->dropped)
			buf_printf(&log->pending, "{\"dropped\":%llu}\n",
				   (unsigned long long)log->dropped);
		log->dropped = 0;
		swap = log->pending;
		log->pending = log->writing;
		log->writing = swap;
		pthread_mutex_unlock(&log->lock);
		write_all(log);
	}
	return NULL;
}

static int open_target(struct access_log *log, const struct config_log *config, struct err *err)
{
	if (config->access == CONFIG_ACCESS_LOG_STDOUT) {
		log->fd = STDOUT_FILENO;
		return 0;
	}
	if (config->access == CONFIG_ACCESS_LOG_STDERR) {
		log->fd = STDERR_FILENO;
		return 0;
	}
	log->path = mem_strdup(config->access_path);
	if (!log->path)
		return err_set(err, ERR_MEMORY, "no memory for the access log");
	log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (log->fd < 0)
		return err_set_errno(err, errno, "access log %s", log->path);
	log->owns_fd = true;
	return 0;
}

struct access_log *access_log_new(const struct config_log *config, struct err *err)
{
	struct access_log *log = mem_zalloc(1, sizeof(*log));

	if (!log) {
		err_set(err, ERR_MEMORY, "no memory for the access log");
		return NULL;
	}
	buf_init(&log->pending, PENDING_MAX);
	buf_init(&log->writing, PENDING_MAX);
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->wanted, NULL);
	if (open_target(log, config, err) == 0) {
		if (pthread_create(&log->thread, NULL, writer_main, log) == 0)
			return log;
		err_set(err, ERR_IO, "cannot start the access log's thread");
		if (log->owns_fd)
			close(log->fd);
	}
	mem_free(log->path);
	mem_free(log);
	return NULL;
}

void access_log_free(struct access_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->stop = true;
	pthread_cond_signal(&log->wanted);
	pthread_mutex_unlock(&log->lock);
	pthread_join(log->thread, NULL);
	if (log->owns_fd)
		close(log->fd);
	buf_release(&log->pending);
	buf_release(&log->writing);
	pthread_mutex_destroy(&log->lock);
	pthread_cond_destroy(&log->wanted);
	mem_free(log->path);
	mem_free(log);
}

int access_log_reopen(struct access_log *log, struct err *err)
{
	int fd;

	if (!log->path)
		return 0;
	fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_set_errno(err, errno, "access log %s", log->path);
	/* The descriptor stays the same, so that the writing thread needs no lock for it. */
	if (dup3(fd, log->fd, O_CLOEXEC) < 0)
		err_set_errno(err, errno, "access log %s", log->path);
	close(fd);
	return 0;
}

static void put_string(struct buf *line, const char *name, struct span value)
{
	buf_printf(line, ",\"%s\":\"", name);
	buf_append_json(line, span_slice(value, 0, 2048));
	buf_append_byte(line, '"');
}

static void put_phases(struct buf *line, const struct exchange *e, int64_t end_ns)
{
	buf_append_cstr(line, ",\"phases_us\":{");
	for (unsigned i = 0; i <= e->phase && i < PHASE_COUNT; i++) {
		int64_t next_ns = i < e->phase ? e->phase_ns[i + 1] : end_ns;

		buf_printf(line, "%s\"%s\":%lld", i ? "," : "", phase_name((enum phase_id)i),
			   (long long)(next_ns - e->phase_ns[i]) / 1000);
	}
	buf_append_byte(line, '}');
}

static void format_line(struct buf *line, const struct exchange *e, int64_t end_ns)
{
	const struct http_exchange *x = e->x;
	char time[CLOCK_RFC3339_SIZE], client[ADDRESS_TEXT_SIZE];

	clock_rfc3339(time, clock_unix_ms());
	buf_printf(line, "{\"time\":\"%s\"", time);
	put_string(line, "request_id", e->request_id);
	put_string(line, "client", span_of(client, address_format(&e->client, client)));
	put_string(line, "method", x->request.method_name);
	put_string(line, "host", e->host);
	put_string(line, "path", e->path.ptr ? e->path : x->request.target);
	buf_printf(line, ",\"version\":%u,\"tls\":%s,\"status\":%u", x->version,
		   x->peer->ssl ? "true" : "false", x->head_sent ? x->status : 0);
	put_string(line, "operation", e->route ? e->route->config->operation : SPAN_NONE);
	put_string(line, "user", e->identity->subject);
	put_string(line, "client_id", e->identity->client);
	put_string(line, "phase", span_cstr(phase_name(e->phase)));
	if (e->reason)
		put_string(line, "reason", span_cstr(e->reason));
	if (e->endpoint)
		put_string(line, "endpoint", span_cstr(e->endpoint->label));
	put_string(line, "traceparent", e->traceparent);
	buf_printf(
		line, ",\"attempts\":%u,\"received\":%llu,\"sent\":%llu,\"duration_us\":%lld",
		e->attempts, (unsigned long long)x->body_received_bytes,
		(unsigned long long)x->body_sent_bytes, (long long)(end_ns - e->now_ns) / 1000);
	put_phases(line, e, end_ns);
	buf_append_cstr(line, "}\n");
}

void access_log_write(struct access_log *log, const struct exchange *e, int64_t end_ns)
{
	static _Thread_local struct buf line;

	line.max = LINE_MAX_BYTES;
	buf_clear(&line);
	format_line(&line, e, end_ns);
	pthread_mutex_lock(&log->lock);
	if (buf_failed(&line) || buf_append(&log->pending, buf_span(&line)) < 0) {
		log->pending.failed = false;
		log->dropped++;
	}
	if (log->pending.len >= 65536)
		pthread_cond_signal(&log->wanted);
	pthread_mutex_unlock(&log->lock);
}
