#include "gateway/access_log.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/exchange.h"
#include "gateway/line_writer.h"

#define LINE_MAX_BYTES ((size_t)16 * 1024)

struct access_log {
	struct line_writer *writer;
	_Atomic uint64_t dropped;
};

struct access_log *access_log_new(const struct config_log *config, struct err *err)
{
	struct access_log *log = mem_zalloc(1, sizeof(*log));
	struct line_writer_options options = {
		.name = "access log",
		.path = config->access == CONFIG_ACCESS_LOG_FILE ? config->access_path.ptr
								 : NULL,
		.fd = config->access == CONFIG_ACCESS_LOG_STDERR ? STDERR_FILENO
								 : STDOUT_FILENO,
	};

	if (!log) {
		err_set(err, ERR_MEMORY, "no memory for the access log");
		return NULL;
	}
	log->writer = line_writer_new(&options, err);
	if (log->writer)
		return log;
	mem_free(log);
	return NULL;
}

void access_log_free(struct access_log *log)
{
	if (!log)
		return;
	line_writer_free(log->writer);
	mem_free(log);
}

int access_log_reopen(struct access_log *log, struct err *err)
{
	return line_writer_reopen(log->writer, err);
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
	put_string(line, "path", exchange_log_path(e));
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

/* Says how many lines are missing as soon as there is room for it. */
static void report_dropped(struct access_log *log)
{
	uint64_t dropped = atomic_exchange(&log->dropped, 0);
	char line[64];
	int len = snprintf(line, sizeof(line), "{\"dropped\":%llu}\n",
			   (unsigned long long)dropped);

	if (dropped && !line_writer_put(log->writer, span_of(line, (size_t)len)))
		atomic_fetch_add(&log->dropped, dropped);
}

void access_log_write(struct access_log *log, const struct exchange *e, int64_t end_ns)
{
	static _Thread_local struct buf line;

	line.max = LINE_MAX_BYTES;
	buf_clear(&line);
	format_line(&line, e, end_ns);
	if (buf_failed(&line) || !line_writer_put(log->writer, buf_span(&line)))
		atomic_fetch_add(&log->dropped, 1);
	else if (atomic_load_explicit(&log->dropped, memory_order_relaxed))
		report_dropped(log);
}
