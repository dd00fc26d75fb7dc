#include "http/fetch.h"

#include "base/mem.h"
#include "parse/uri.h"

#define HEAD_LINE_BYTES ((size_t)8 * 1024)
#define HEAD_BYTES ((size_t)32 * 1024)
#define HEAD_FIELDS 128
/* Addresses of one name that are tried in turn. */
#define ADDRESSES_TRIED 4

struct http_fetcher {
	struct http_pool *pool;
	struct dns *dns;
	struct tls_context *tls;
	char *url; /* what the spans point into */
	struct span shown; /* of it, what errors name */
	char *host; /* NUL-terminated, for the pool */
	char *authority;
	struct uri_parts parts;
	struct net_address connected; /* the last address that was given to the pool */
};

/* A Host field's value: brackets around IPv6 literals, the port unless it is the default. */
static char *make_authority(const struct uri_parts *parts)
{
	bool literal6 = span_find_byte(parts->host, ':') < parts->host.len;
	bool https = span_eq(parts->scheme, SPAN("https"));
	struct buf text;
	char *copy;

	buf_init(&text, parts->host.len + 16);
	if (literal6)
		buf_append_byte(&text, '[');
	buf_append(&text, parts->host);
	if (literal6)
		buf_append_byte(&text, ']');
	if (parts->port != (https ? 443u : 80u))
		buf_printf(&text, ":%u", parts->port);
	copy = buf_failed(&text) ? NULL : mem_strdup(buf_span(&text));
	buf_release(&text);
	return copy;
}

static int read_url(struct http_fetcher *fetcher, const struct http_fetcher_options *options,
		    struct err *err)
{
	struct span url = options->url;

	fetcher->url = mem_strdup(url);
	if (!fetcher->url)
		return err_set(err, ERR_MEMORY, "no memory for a URL");
	fetcher->shown = span_of(fetcher->url, url.len);
	if (options->secret_path)
		fetcher->shown = uri_origin(fetcher->shown);
	if (!uri_parse_absolute(span_of(fetcher->url, url.len), &fetcher->parts))
		return err_set(err, ERR_INVALID, "\"%.*s\" is not a http or https URL",
			       SPAN_ARG(fetcher->shown));
	fetcher->host = mem_strdup(fetcher->parts.host);
	fetcher->authority = make_authority(&fetcher->parts);
	if (!fetcher->host || !fetcher->authority)
		return err_set(err, ERR_MEMORY, "no memory for a URL");
	return 0;
}

static int make_pool(struct http_fetcher *fetcher, const struct http_fetcher_options *options,
		     struct err *err)
{
	bool https = span_eq(fetcher->parts.scheme, SPAN("https"));
	struct http_pool_options pool = {
		.protocol = HTTP_PROTOCOL_H1,
		.server_name = fetcher->host,
		.connections_max = options->connections_max,
		.idle_max = options->idle_max,
		.idle_timeout_ms = options->idle_timeout_ms,
		.head = {.line_bytes = HEAD_LINE_BYTES,
			 .head_bytes = HEAD_BYTES,
			 .field_count = HEAD_FIELDS},
	};

	if (https && !options->tls)
		return err_set(err, ERR_INVALID, "%.*s needs TLS settings",
			       SPAN_ARG(fetcher->shown));
	if (https) {
		fetcher->tls = tls_context_ref(options->tls);
		pool.tls = tls_context_ssl(fetcher->tls);
	}
	fetcher->pool = http_pool_new(&pool, err);
	return fetcher->pool ? 0 : -1;
}

struct http_fetcher *http_fetcher_new(const struct http_fetcher_options *options,
				      struct err *err)
{
	struct http_fetcher *fetcher = mem_zalloc(1, sizeof(*fetcher));

	if (!fetcher) {
		err_set(err, ERR_MEMORY, "no memory for an HTTP client");
		return NULL;
	}
	fetcher->dns = options->dns;
	if (read_url(fetcher, options, err) < 0 || make_pool(fetcher, options, err) < 0) {
		http_fetcher_close(fetcher);
		return NULL;
	}
	return fetcher;
}

void http_fetcher_close(struct http_fetcher *fetcher)
{
	if (!fetcher)
		return;
	if (fetcher->pool)
		http_pool_close(fetcher->pool);
	tls_context_unref(fetcher->tls);
	mem_free(fetcher->authority);
	mem_free(fetcher->host);
	mem_free(fetcher->url);
	mem_free(fetcher);
}

static int io_failure(struct err *err, enum io_result result, const struct http_fetcher *f,
		      const char *what)
{
	enum err_code code = ERR_IO;

	if (result == IO_TIMEOUT)
		code = ERR_TIMEOUT;
	else if (result == IO_CANCELLED)
		code = ERR_CANCELLED;
	return err_set(err, code, "%.*s: %s", SPAN_ARG(f->shown),
		       what ? what : io_result_text(result));
}

/* Tries the name's addresses in turn; the one that works is the pool's from then on. */
static struct http_call *open_call(struct http_fetcher *f, bool fresh, int64_t deadline_ms,
				   struct err *err)
{
	struct dns_result names;
	struct err why = {.code = ERR_NONE};
	struct http_call *call = NULL;
	enum io_result result = IO_FAILED;

	if (dns_resolve(f->dns, f->parts.host, f->parts.port, deadline_ms, &names, err) < 0) {
		err_wrap(err, "%.*s", SPAN_ARG(f->shown));
		return NULL;
	}
	for (size_t i = 0; i < names.count && i < ADDRESSES_TRIED && !call; i++) {
		if (!net_address_eq(&f->connected, &names.addresses[i])) {
			f->connected = names.addresses[i];
			http_pool_set_address(f->pool, &f->connected.storage, f->connected.len);
		}
		call = http_call_open(f->pool, fresh, deadline_ms, &result, &why);
		if (!call && (result == IO_TIMEOUT || result == IO_CANCELLED))
			break;
	}
	if (call)
		return call;
	if (result != IO_TIMEOUT && result != IO_CANCELLED)
		err_set(err, why.code == ERR_MEMORY ? ERR_MEMORY : ERR_UNAVAILABLE, "%.*s: %s",
			SPAN_ARG(f->shown),
			why.code != ERR_NONE ? why.message : io_result_text(result));
	else
		io_failure(err, result, f, NULL);
	return NULL;
}

static enum io_result send_request(struct http_fetcher *f, struct http_call *call,
				   const struct http_fetch *fetch, int64_t deadline_ms)
{
	const struct http_request_head head = {
		.method = fetch->method.len ? fetch->method : SPAN("GET"),
		.scheme = f->parts.scheme,
		.authority = span_cstr(f->authority),
		.path = f->parts.path,
		.query = f->parts.query,
		.fields = fetch->fields,
		.field_count = fetch->field_count,
		.content_length = (int64_t)fetch->body.len,
		.no_body = !fetch->body.ptr,
	};
	enum io_result result;

	if (!fetch->body.ptr)
		return http_call_send_head(call, &head, HTTP_SEND_END, deadline_ms);
	result = http_call_send_head(call, &head, HTTP_SEND_MORE, deadline_ms);
	if (result != IO_OK)
		return result;
	return http_call_send_body(call, fetch->body, HTTP_SEND_END, deadline_ms);
}

static enum io_result read_final_head(struct http_call *call, int64_t deadline_ms)
{
	enum io_result result;

	do {
		result = http_call_read_head(call, deadline_ms);
		if (result == IO_OK && call->tunnel)
			return IO_FAILED; /* a 101 that nobody asked for */
	} while (result == IO_OK && call->response.status < 200);
	return result;
}

static int check_head(const struct http_fetcher *f, const struct http_call *call,
		      const struct buf *body, struct err *err)
{
	const struct http1_head *head = &call->response;

	if (head->status >= 300 && head->status < 400)
		return err_set(err, ERR_DENIED, "%.*s: answered %u; redirects are not followed",
			       SPAN_ARG(f->shown), head->status);
	if (head->first[HTTP_FIELD_CONTENT_ENCODING])
		return err_set(err, ERR_IO, "%.*s: answered in a content coding",
			       SPAN_ARG(f->shown));
	if (head->framing == HTTP1_LENGTH && head->content_length > body->max - body->len)
		return err_set(err, ERR_LIMIT, "%.*s: answer is larger than %zu bytes",
			       SPAN_ARG(f->shown), body->max);
	return 0;
}

static int read_body(const struct http_fetcher *f, struct http_call *call, int64_t deadline_ms,
		     struct buf *body, struct err *err)
{
	for (;;) {
		struct span piece = SPAN_NONE;
		enum io_result result = http_call_read_body(call, &piece, deadline_ms);

		if (result == IO_EOF)
			return 0;
		if (result != IO_OK)
			return io_failure(err, result, f, call->failure);
		if (piece.len > body->max - body->len)
			return err_set(err, ERR_LIMIT, "%.*s: answer is larger than %zu bytes",
				       SPAN_ARG(f->shown), body->max);
		if (buf_append(body, piece) < 0)
			return err_set(err, ERR_MEMORY, "%.*s: no memory for the answer",
				       SPAN_ARG(f->shown));
	}
}

/* One try on one connection. *stale: the connection was a kept one and had died. */
static int try_fetch(struct http_fetcher *f, const struct http_fetch *fetch, bool fresh,
		     int64_t deadline_ms, unsigned *status, struct buf *body, bool *stale,
		     struct err *err)
{
	struct http_call *call = open_call(f, fresh, deadline_ms, err);
	enum io_result result;
	int failed = -1;

	if (!call)
		return -1;
	result = send_request(f, call, fetch, deadline_ms);
	if (result == IO_OK)
		result = read_final_head(call, deadline_ms);
	if (result != IO_OK) {
		*stale = call->reused && !call->response_started && result != IO_TIMEOUT &&
			 result != IO_CANCELLED;
		io_failure(err, result, f, call->failure);
	} else if (check_head(f, call, body, err) == 0) {
		*status = call->response.status;
		failed = read_body(f, call, deadline_ms, body, err);
	}
	http_call_release(call);
	return failed;
}

int http_fetch(struct http_fetcher *fetcher, const struct http_fetch *fetch,
	       int64_t deadline_ms, unsigned *status, struct buf *body, struct err *err)
{
	bool stale = false;
	struct err why;

	if (try_fetch(fetcher, fetch, false, deadline_ms, status, body, &stale, &why) == 0)
		return 0;
	if (stale && fetch->repeatable)
		return try_fetch(fetcher, fetch, true, deadline_ms, status, body, &stale, err);
	return err_set(err, why.code, "%s", why.message);
}
