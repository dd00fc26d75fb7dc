#include "runner/job_log.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define HELD_BYTES_MAX ((size_t)1 << 20)
#define MASK SPAN("[secret]")

/* Those that are long enough; how many when `to` is NULL. */
static size_t list_lines(struct span secret, struct span *to)
{
	struct span rest = secret;
	size_t count = 0;

	while (rest.ptr) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		if (line.len < JOB_LOG_SECRET_BYTES_MIN || line.len == secret.len)
			continue;
		if (to)
			to[count] = line;
		count++;
	}
	return count;
}

void job_log_init(struct job_log *log)
{
	size_t count = log->secret_count;

	buf_init(&log->held, HELD_BYTES_MAX);
	for (size_t i = 0; i < log->secret_count; i++)
		count += list_lines(log->secrets[i], NULL);
	log->masked_count = 0;
	log->masked = mem_zalloc(count + 1, sizeof(*log->masked));
	if (!log->masked) {
		log->failed = true;
		return;
	}
	for (size_t i = 0; i < log->secret_count; i++) {
		log->masked[log->masked_count++] = log->secrets[i];
		log->masked_count +=
			list_lines(log->secrets[i], log->masked + log->masked_count);
	}
}

static void write_out(struct job_log *log, struct span bytes)
{
	uint64_t room = log->limit_bytes - log->written_bytes;

	if (bytes.len > room) {
		log->dropped_bytes += bytes.len - room;
		bytes.len = (size_t)room;
	}
	log->written_bytes += bytes.len;
	if (log->output && bytes.len)
		log->output(log->context, bytes);
	log->failed = log->failed || fd_write_all(log->fd, bytes) < 0;
}

/* The first secret in it, and where; text.len when there is none. */
static size_t find_secret(const struct job_log *log, struct span text, size_t *len)
{
	size_t first = text.len;

	*len = 0;
	for (size_t i = 0; i < log->masked_count; i++) {
		size_t at = span_find(text, log->masked[i]);

		if (at < first || (at == first && at < text.len && log->masked[i].len > *len)) {
			first = at;
			*len = log->masked[i].len;
		}
	}
	return first;
}

static size_t longest(const struct job_log *log)
{
	size_t most = 1;

	for (size_t i = 0; i < log->masked_count; i++)
		if (log->masked[i].len > most)
			most = log->masked[i].len;
	return most;
}

/* All but the last `keep` bytes. */
static void flush(struct job_log *log, size_t keep)
{
	struct span text = buf_span(&log->held);
	size_t done = 0;

	while (text.len - done > keep) {
		struct span rest = span_slice(text, done, text.len);
		size_t len, at = find_secret(log, rest, &len);

		/* What begins in the part that is kept may still become a longer one. */
		if (at >= rest.len - keep) {
			write_out(log, span_slice(rest, 0, rest.len - keep));
			done = text.len - keep;
		} else {
			write_out(log, span_slice(rest, 0, at));
			write_out(log, MASK);
			done += at + len;
		}
	}
	buf_consume(&log->held, done);
}

void job_log_put(struct job_log *log, struct span bytes)
{
	while (bytes.len && !log->failed) {
		struct span piece = span_slice(bytes, 0, HELD_BYTES_MAX / 4);

		if (buf_append(&log->held, piece) < 0) {
			log->failed = true;
			return;
		}
		flush(log, longest(log) - 1);
		bytes = span_slice(bytes, piece.len, bytes.len);
	}
}

void job_log_end(struct job_log *log)
{
	char text[64];
	int len;

	if (log->masked)
		flush(log, 0);
	if (log->dropped_bytes) {
		len = snprintf(text, sizeof(text), "\n[%llu more bytes were not kept]\n",
			       (unsigned long long)log->dropped_bytes);
		log->limit_bytes += (uint64_t)len;
		write_out(log, span_of(text, (size_t)len));
	}
	buf_release(&log->held);
	mem_free(log->masked);
	log->masked = NULL;
}
