#include "gateway/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/exchange.h"

#define LINE_MAX_BYTES 16384
#define HASH_DIGITS 64
#define EXCHANGES_PER_S 100

struct audit_log {
	pthread_mutex_t lock;
	int fd;
	off_t size; /* of the file behind our last line; another size: somebody else has written */
	struct buf line;
	uint64_t seq;
	char hash[HASH_DIGITS];
	uint64_t lost;
	int64_t window_s;
	unsigned window_count;
	uint64_t suppressed;
};

static const struct span hash_key = SPAN_INIT(",\"hash\":\"");
static const struct span prev_key = SPAN_INIT(",\"prev\":\"");
static const struct span seq_key = SPAN_INIT("{\"seq\":");

static bool hash_of(struct span bytes, char to[HASH_DIGITS])
{
	unsigned char digest[32];

	if (EVP_Digest(bytes.ptr, bytes.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	hex_encode(to, digest, sizeof(digest));
	return true;
}

/* --- reading --- */

/* The chain so far, while lines are checked. */
struct chain {
	uint64_t seq;
	char hash[HASH_DIGITS];
};

static void chain_start(struct chain *chain)
{
	chain->seq = 0;
	memset(chain->hash, '0', HASH_DIGITS);
}

/* NULL: the line continues the chain. */
static const char *check_line(struct chain *chain, struct span line)
{
	size_t at = span_find(line, hash_key);
	struct span signed_part = span_slice(line, 0, at);
	struct span rest = span_slice(line, at + hash_key.len, line.len);
	struct span digits = span_slice(line, seq_key.len, line.len);
	size_t prev_at = signed_part.len - (prev_key.len + HASH_DIGITS + 1);
	char hash[HASH_DIGITS];
	uint64_t seq;

	if (at == line.len || rest.len != HASH_DIGITS + 2 || !span_ends_with(rest, SPAN("\"}")))
		return "no hash at its end";
	if (signed_part.len < seq_key.len + prev_key.len + HASH_DIGITS + 1 ||
	    !span_starts_with(line, seq_key) ||
	    !span_starts_with(span_slice(line, prev_at, line.len), prev_key))
		return "not a line of an audit log";
	if (!hash_of(signed_part, hash) || memcmp(hash, rest.ptr, HASH_DIGITS) != 0)
		return "the line was changed";
	if (memcmp(signed_part.ptr + prev_at + prev_key.len, chain->hash, HASH_DIGITS) != 0)
		return "it does not follow the line before";
	if (!span_to_u64(span_slice(digits, 0, span_find_byte(digits, ',')), &seq) ||
	    seq != chain->seq + 1)
		return "lines are missing before it";
	chain->seq = seq;
	memcpy(chain->hash, hash, HASH_DIGITS);
	return NULL;
}

int audit_verify(const char *path, struct audit_report *report, struct err *err)
{
	FILE *file = fopen(path, "re");
	struct chain chain;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	*report = (struct audit_report){0};
	if (!file)
		return err_set_errno(err, errno, "%s", path);
	chain_start(&chain);
	while (!report->bad_line && (len = getline(&line, &cap, file)) > 0) {
		report->lines++;
		report->problem = line[len - 1] == '\n'
					  ? check_line(&chain, span_of(line, (size_t)len - 1))
					  : "its end is missing";
		if (report->problem)
			report->bad_line = report->lines;
	}
	if (ferror(file))
		err_set_errno(err, errno, "%s", path);
	len = ferror(file) ? -1 : 0;
	free(line);
	fclose(file);
	memcpy(report->last_hash, chain.hash, HASH_DIGITS);
	report->last_hash[HASH_DIGITS] = '\0';
	return (int)len;
}

/* --- writing --- */

static int continue_chain(struct audit_log *log, const char *path, struct err *err)
{
	struct audit_report report;

	if (audit_verify(path, &report, err) < 0)
		return -1;
	if (report.bad_line)
		return err_set(err, ERR_INVALID,
			       "%s:%llu: %s; keep the file for an inquiry and start a new one",
			       path, (unsigned long long)report.bad_line, report.problem);
	log->seq = report.lines;
	memcpy(log->hash, report.last_hash, HASH_DIGITS);
	return 0;
}

/* The last line of the file, which another process has written: our chain goes on from there. */
static bool follow_file(struct audit_log *log, off_t size)
{
	char tail[LINE_MAX_BYTES];
	size_t want = size < (off_t)sizeof(tail) ? (size_t)size : sizeof(tail);
	ssize_t got = pread(log->fd, tail, want, size - (off_t)want);
	struct span line = span_of(tail, got > 0 ? (size_t)got : 0);
	struct span digits;
	size_t at;

	if (size == 0)
		return true;
	if (line.len < 2 || line.ptr[line.len - 1] != '\n')
		return false;
	line.len--;
	for (at = line.len; at > 0 && line.ptr[at - 1] != '\n'; at--)
		continue;
	line = span_slice(line, at, line.len);
	at = span_find(line, hash_key);
	digits = span_slice(line, seq_key.len, line.len);
	if (line.len - at != hash_key.len + HASH_DIGITS + 2 ||
	    !span_starts_with(line, seq_key) ||
	    !span_to_u64(span_slice(digits, 0, span_find_byte(digits, ',')), &log->seq))
		return false;
	memcpy(log->hash, line.ptr + at + hash_key.len, HASH_DIGITS);
	return true;
}

struct audit_log *audit_open(const char *path, struct err *err)
{
	struct audit_log *log = mem_zalloc(1, sizeof(*log));
	struct stat status;
	int result = -1;

	if (!log) {
		err_set(err, ERR_MEMORY, "no memory for the audit log");
		return NULL;
	}
	buf_init(&log->line, LINE_MAX_BYTES);
	pthread_mutex_init(&log->lock, NULL);
	log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (log->fd >= 0 && flock(log->fd, LOCK_EX) == 0) {
		result = continue_chain(log, path, err);
		log->size = fstat(log->fd, &status) == 0 ? status.st_size : -1;
		flock(log->fd, LOCK_UN);
	} else {
		err_set_errno(err, errno, "%s", path);
	}
	if (result == 0)
		return log;
	err_wrap(err, "audit log");
	audit_close(log);
	return NULL;
}

void audit_close(struct audit_log *log)
{
	if (!log)
		return;
	if (log->fd >= 0) {
		if (fdatasync(log->fd) < 0 && errno != EINVAL)
			log_message(LOG_ERROR, "audit.sync_failed", "errno %d", errno);
		close(log->fd);
	}
	buf_release(&log->line);
	pthread_mutex_destroy(&log->lock);
	mem_free(log);
}

/* The line behind the last one, complete in log->line. False: it does not fit. */
static bool chain_line(struct audit_log *log, const char *event, struct span members,
		       char hash[HASH_DIGITS])
{
	struct buf *line = &log->line;
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(time, clock_unix_ms());
	buf_clear(line);
	buf_printf(line, "{\"seq\":%llu,\"time\":\"%s\",\"event\":\"%s\"",
		   (unsigned long long)log->seq + 1, time, event);
	buf_append(line, members);
	if (log->lost)
		buf_printf(line, ",\"lost\":%llu", (unsigned long long)log->lost);
	buf_append(line, prev_key);
	buf_append_bytes(line, log->hash, HASH_DIGITS);
	buf_append_byte(line, '"');
	if (buf_failed(line) || !hash_of(buf_span(line), hash))
		return false;
	buf_append(line, hash_key);
	buf_append_bytes(line, hash, HASH_DIGITS);
	buf_append_cstr(line, "\"}\n");
	return !buf_failed(line);
}

/* With the file locked. */
static bool append_line(struct audit_log *log, const char *event, struct span members)
{
	struct stat status;
	char hash[HASH_DIGITS];
	ssize_t put;

	if (fstat(log->fd, &status) < 0 ||
	    (status.st_size != log->size && !follow_file(log, status.st_size)) ||
	    !chain_line(log, event, members, hash))
		return false;
	put = write(log->fd, log->line.ptr, log->line.len);
	log->size = put < 0 ? status.st_size : status.st_size + put;
	if (put != (ssize_t)log->line.len) {
		/* Half a line would break the chain for good. */
		if (put > 0 && ftruncate(log->fd, status.st_size) == 0)
			log->size = status.st_size;
		return false;
	}
	log->seq++;
	memcpy(log->hash, hash, HASH_DIGITS);
	return true;
}

/* With the mutex held. What cannot be written is counted, and told by the next line that can. */
static void write_line(struct audit_log *log, const char *event, struct span members)
{
	bool written = flock(log->fd, LOCK_EX) == 0 && append_line(log, event, members);
	int error = errno;

	flock(log->fd, LOCK_UN);
	if (written) {
		log->lost = 0;
		return;
	}
	if (log->lost++ == 0)
		log_message(LOG_ERROR, "audit.write_failed", "errno %d", error);
}

void audit_event(struct audit_log *log, const char *event, struct span members)
{
	pthread_mutex_lock(&log->lock);
	write_line(log, event, members);
	pthread_mutex_unlock(&log->lock);
}

static bool is_audited(const struct exchange *e)
{
	switch (e->phase) {
	case PHASE_ADMIT:
	case PHASE_AUTHENTICATE:
	case PHASE_AUTHORIZE:
	case PHASE_LIMIT: return e->reason != NULL;
	case PHASE_ROUTE:
	case PHASE_FORWARD:
	case PHASE_COUNT: return false;
	}
	return false;
}

/* With the lock held: whether this second has room for one more. */
static bool take_turn(struct audit_log *log)
{
	int64_t now_s = clock_unix_coarse_s();

	if (now_s != log->window_s) {
		log->window_s = now_s;
		log->window_count = 0;
	}
	if (log->window_count++ < EXCHANGES_PER_S)
		return true;
	log->suppressed++;
	return false;
}

static void put_member(struct buf *to, const char *name, struct span value)
{
	buf_printf(to, ",\"%s\":\"", name);
	buf_append_json(to, span_slice(value, 0, 1024));
	buf_append_byte(to, '"');
}

static void put_exchange(struct buf *to, const struct exchange *e)
{
	char client[ADDRESS_TEXT_SIZE];

	put_member(to, "reason", span_cstr(e->reason));
	put_member(to, "phase", span_cstr(phase_name(e->phase)));
	put_member(to, "client", span_of(client, address_format(&e->client, client)));
	put_member(to, "user", e->identity->subject);
	put_member(to, "operation", e->route ? e->route->config->operation : SPAN_NONE);
	put_member(to, "method", e->x->request.method_name);
	put_member(to, "path", e->path);
	put_member(to, "request_id", e->request_id);
	buf_printf(to, ",\"status\":%u", e->x->status);
}

void audit_exchange(struct audit_log *log, const struct exchange *e)
{
	struct buf members;

	if (!is_audited(e))
		return;
	pthread_mutex_lock(&log->lock);
	if (take_turn(log)) {
		buf_init(&members, LINE_MAX_BYTES);
		put_exchange(&members, e);
		if (log->suppressed)
			buf_printf(&members, ",\"suppressed\":%llu",
				   (unsigned long long)log->suppressed);
		log->suppressed = 0;
		write_line(log, "request.refused",
			   buf_failed(&members) ? SPAN_NONE : buf_span(&members));
		buf_release(&members);
	}
	pthread_mutex_unlock(&log->lock);
}
