/* Endpoints from Kubernetes: a list of EndpointSlices, then a watch of what changes. */
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "gateway/discovery_internal.h"
#include "guard/slices.h"
#include "http/client.h"
#include "io/net_address.h"
#include "io/tls.h"
#include "parse/form.h"

#define TOKEN_MAX 65536
/* One turn of list and watch takes at least so long, whatever the server does. */
#define TURN_LEAST_MS 500

enum turn {
	TURN_OVER, /* the watch has ended as it should */
	TURN_EXPIRED, /* a new list is needed */
	TURN_FAILED
};

struct watcher {
	struct finder *finder;
	const struct config_kubernetes *config;
	struct slices *slices;
	bool listed; /* a watch can go on from slices_version */
	struct tls_context *tls;
	struct http_pool *pool; /* NULL: not open */
	struct buf authorization;
	struct buf query;
	struct buf text; /* of a page, or of events that have not ended */
};

/* --- the server --- */

static void close_server(struct watcher *w)
{
	if (w->pool)
		http_pool_close(w->pool);
	w->pool = NULL;
	tls_context_unref(w->tls);
	w->tls = NULL;
}

/* Anew after each failure: authorities may have been exchanged. */
static int open_tls(struct watcher *w, struct err *err)
{
	static const struct span alpn[] = {SPAN_INIT("http/1.1")};
	struct tls_client_options options = {.ca.path = w->config->ca.len ? w->config->ca.ptr
									  : NULL,
					     .min_version = TLS_VERSION_1_2,
					     .alpn = alpn,
					     .alpn_count = COUNT_OF(alpn)};

	if (w->config->api.scheme != CONFIG_SCHEME_HTTPS)
		return 0;
	w->tls = tls_client_context_new(&options, err);
	return w->tls ? 0 : -1;
}

static int open_server(struct watcher *w, int64_t deadline_ms, struct err *err)
{
	const struct config_address *address = &w->config->api.address;
	struct http_pool_options options = {
		.protocol = HTTP_PROTOCOL_H1,
		.server_name = address->host.ptr,
		.connections_max = 2,
		.idle_max = 1,
		.idle_timeout_ms = 30000,
		.head = {.line_bytes = 8192, .head_bytes = 65536, .field_count = 128}};
	struct dns_result found;
	const struct net_address *chosen;

	if (dns_resolve(w->finder->dns, address->host, address->port, deadline_ms, &found,
			err) < 0)
		return -1;
	if (w->pool) {
		http_pool_set_address(w->pool, &found.addresses[0].storage,
				      found.addresses[0].len);
		return 0;
	}
	if (open_tls(w, err) < 0)
		return -1;
	options.tls = w->tls ? tls_context_ssl(w->tls) : NULL;
	chosen = &found.addresses[rand_below(found.count)];
	options.address = chosen->storage;
	options.address_len = chosen->len;
	w->pool = http_pool_new(&options, err);
	return w->pool ? 0 : -1;
}

static void wipe(struct buf *b)
{
	if (b->ptr)
		secret_wipe(b->ptr, b->cap);
	buf_clear(b);
}

/* From the file each time: tokens are exchanged while we run. */
static int read_token(struct watcher *w, struct err *err)
{
	struct span token;

	wipe(&w->authorization);
	buf_append_cstr(&w->authorization, "Bearer ");
	if (config_source_system.read_file(NULL, w->config->token.ptr, TOKEN_MAX,
					   &w->authorization, err) < 0)
		return -1;
	token = span_trim(buf_span(&w->authorization));
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] < ' ' || token.ptr[i] > '~')
			return err_set(err, ERR_SYNTAX, "%.*s holds no token",
				       SPAN_ARG(w->config->token));
	w->authorization.len = token.len;
	return 0;
}

/* NULL with *err, when there is no answer 200; *status is what it was, 0 for none. */
static struct http_call *ask(struct watcher *w, int64_t deadline_ms, unsigned *status,
			     struct err *err)
{
	const struct http_field fields[] = {
		{SPAN("authorization"), buf_span(&w->authorization), HTTP_FIELD_AUTHORIZATION},
		{SPAN("accept"), SPAN("application/json"), HTTP_FIELD_OTHER},
		{SPAN("user-agent"), SPAN("sallyport-discovery"), HTTP_FIELD_OTHER}};
	char path[256];
	int len = snprintf(path, sizeof(path),
			   "/apis/discovery.k8s.io/v1/namespaces/%.*s/endpointslices",
			   SPAN_ARG(w->config->namespace_name));
	struct http_request_head head = {.method = SPAN("GET"),
					 .scheme = SPAN("https"),
					 .authority = w->config->api.authority,
					 .path = span_of(path, (size_t)len),
					 .query = buf_span(&w->query),
					 .fields = fields,
					 .field_count = COUNT_OF(fields),
					 .no_body = true};
	struct http_call *call;
	enum io_result result;

	*status = 0;
	call = http_call_open(w->pool, false, deadline_ms, &result, err);
	if (!call)
		return NULL;
	result = http_call_send_head(call, &head, HTTP_SEND_END, deadline_ms);
	while (result == IO_OK) {
		result = http_call_read_head(call, deadline_ms);
		if (result == IO_OK && call->response.status >= 200)
			break;
	}
	if (result != IO_OK) {
		err_set(err, ERR_UNAVAILABLE, "the API server gives no answer%s",
			result == IO_TIMEOUT ? " in time" : "");
		http_call_release(call);
		return NULL;
	}
	*status = call->response.status;
	if (*status == 200)
		return call;
	err_set(err, ERR_UNAVAILABLE, "the API server answers %u", *status);
	http_call_release(call);
	return NULL;
}

/* --- what is asked --- */

static void put_selector(struct watcher *w)
{
	buf_clear(&w->query);
	buf_append_cstr(&w->query, "labelSelector=kubernetes.io%2Fservice-name%3D");
	form_append_escaped(&w->query, w->config->service);
}

static int finish_query(struct watcher *w, struct err *err)
{
	if (!buf_failed(&w->query))
		return 0;
	return err_set(err, ERR_MEMORY, "no memory for a question");
}

static void publish(struct watcher *w)
{
	struct err err;
	struct endpoint_list *list = endpoint_list_new(w->finder->config->endpoints_max, &err);

	if (list && slices_endpoints(w->slices, list, &err) == 0) {
		finder_publish(w->finder, list);
		return;
	}
	endpoint_list_unref(list);
	/* Then with the next list. */
	w->listed = false;
	finder_failed(w->finder, &err);
}

/* --- lists --- */

static int read_page(struct watcher *w, struct http_call *call, int64_t deadline_ms,
		     struct err *err)
{
	enum io_result result;
	struct span piece;

	buf_clear(&w->text);
	while ((result = http_call_read_body(call, &piece, deadline_ms)) == IO_OK)
		if (w->text.len + piece.len > SLICES_LIST_MAX ||
		    buf_append(&w->text, piece) < 0)
			return err_set(err, ERR_LIMIT, "the API server's list is too long");
	if (result == IO_EOF)
		return 0;
	return err_set(err, ERR_UNAVAILABLE, "the API server's list ends too early");
}

static int take_page(struct watcher *w, struct span *more, struct err *err)
{
	int64_t deadline_ms = loop_deadline_ms((int64_t)w->finder->config->timeout_ms);
	struct http_call *call;
	unsigned status;
	int result;

	put_selector(w);
	buf_printf(&w->query, "&limit=%d", SLICES_PAGE);
	if (more->len) {
		buf_append_cstr(&w->query, "&continue=");
		form_append_escaped(&w->query, *more);
	}
	if (finish_query(w, err) < 0 || read_token(w, err) < 0)
		return -1;
	call = ask(w, deadline_ms, &status, err);
	if (!call)
		return -1;
	result = read_page(w, call, deadline_ms, err);
	http_call_release(call);
	if (result < 0)
		return -1;
	return slices_take_page(w->slices, buf_span(&w->text), more, err);
}

static int list(struct watcher *w, struct err *err)
{
	struct span more = SPAN_NONE;

	slices_begin_list(w->slices);
	do {
		if (take_page(w, &more, err) < 0)
			return -1;
	} while (more.len);
	w->listed = true;
	buf_release(&w->text);
	buf_init(&w->text, SLICES_LIST_MAX);
	finder_answered(w->finder);
	publish(w);
	return 0;
}

/* --- watches --- */

/* All events that have come whole. */
static enum slices_event take_events(struct watcher *w, struct err *err)
{
	enum slices_event event = SLICES_BOOKMARK;
	struct span rest = buf_span(&w->text);
	bool changed = false;
	const char *end;

	while (event <= SLICES_BOOKMARK &&
	       (end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL) != NULL) {
		struct span line = span_of(rest.ptr, (size_t)(end - rest.ptr));

		rest = span_slice(rest, line.len + 1, rest.len);
		if (span_trim(line).len == 0)
			continue;
		event = slices_take_event(w->slices, line, err);
		changed = changed || event == SLICES_CHANGED;
	}
	buf_consume(&w->text, w->text.len - rest.len);
	if (changed)
		publish(w);
	return event;
}

static enum turn read_events(struct watcher *w, struct http_call *call, int64_t deadline_ms,
			     struct err *err)
{
	enum slices_event event;
	enum io_result result;
	struct span piece;

	buf_clear(&w->text);
	while ((result = http_call_read_body(call, &piece, deadline_ms)) == IO_OK) {
		if (w->text.len + piece.len > SLICES_EVENT_MAX ||
		    buf_append(&w->text, piece) < 0) {
			w->listed = false;
			err_set(err, ERR_LIMIT, "an event of the API server is too long");
			return TURN_FAILED;
		}
		event = take_events(w, err);
		if (event == SLICES_EXPIRED)
			return TURN_EXPIRED;
		if (event == SLICES_FAILED) {
			/* It may be lost. */
			w->listed = false;
			return TURN_FAILED;
		}
	}
	if (result == IO_EOF)
		return TURN_OVER;
	err_set(err, ERR_UNAVAILABLE,
		result == IO_TIMEOUT ? "the API server does not end a watch in time"
				     : "the watch was cut off");
	return TURN_FAILED;
}

static enum turn watch(struct watcher *w, struct err *err)
{
	int64_t timeout_ms = (int64_t)w->finder->config->timeout_ms;
	/* Not all watches at the same moment. */
	int64_t watch_ms = (int64_t)w->config->watch_ms -
			   (int64_t)rand_below((uint64_t)w->config->watch_ms / 4 + 1);
	int64_t watch_s = watch_ms < 1000 ? 1 : watch_ms / 1000;
	struct http_call *call;
	unsigned status;
	enum turn turn;

	put_selector(w);
	buf_printf(&w->query,
		   "&watch=1&allowWatchBookmarks=true&timeoutSeconds=%lld&resourceVersion=",
		   (long long)watch_s);
	form_append_escaped(&w->query, slices_version(w->slices));
	if (finish_query(w, err) < 0 || read_token(w, err) < 0)
		return TURN_FAILED;
	call = ask(w, loop_deadline_ms(timeout_ms), &status, err);
	if (!call)
		return status == 410 ? TURN_EXPIRED : TURN_FAILED;
	finder_answered(w->finder);
	turn = read_events(w, call, loop_deadline_ms(watch_s * 1000 + timeout_ms), err);
	http_call_release(call);
	return turn;
}

/* --- the fiber --- */

static enum turn take_turn(struct watcher *w, struct err *err)
{
	int64_t deadline_ms = loop_deadline_ms((int64_t)w->finder->config->timeout_ms);

	if (open_server(w, deadline_ms, err) < 0)
		return TURN_FAILED;
	if (!w->listed && list(w, err) < 0)
		return TURN_FAILED;
	return w->listed ? watch(w, err) : TURN_EXPIRED;
}

/* A server that answers at once, again and again, is not asked all the time. */
static enum fiber_wake rest_of_turn(int64_t began_ms)
{
	int64_t took_ms = loop_now_ms() - began_ms;

	if (took_ms >= TURN_LEAST_MS)
		return FIBER_EVENT;
	return fiber_sleep_ms(TURN_LEAST_MS - took_ms);
}

static void run(struct watcher *w)
{
	enum fiber_wake wake = FIBER_EVENT;
	struct err err;

	while (wake != FIBER_CANCELLED && !fiber_is_cancelled()) {
		int64_t began_ms = loop_now_ms();
		enum turn turn = take_turn(w, &err);

		if (fiber_is_cancelled())
			break;
		if (turn == TURN_EXPIRED)
			w->listed = false;
		if (turn != TURN_FAILED) {
			wake = rest_of_turn(began_ms);
			continue;
		}
		close_server(w);
		finder_failed(w->finder, &err);
		wake = finder_back_off(w->finder);
		if (wake != FIBER_CANCELLED)
			wake = rest_of_turn(began_ms);
	}
}

void discovery_kubernetes_main(struct finder *finder)
{
	struct watcher w = {.finder = finder, .config = finder->config->kubernetes};
	struct err err;

	buf_init(&w.authorization, TOKEN_MAX + 16);
	buf_init(&w.query, 16384);
	buf_init(&w.text, SLICES_LIST_MAX);
	w.slices = slices_new(finder->config, &err);
	while (!w.slices) {
		finder_failed(finder, &err);
		if (finder_back_off(finder) == FIBER_CANCELLED)
			break;
		w.slices = slices_new(finder->config, &err);
	}
	if (w.slices)
		run(&w);
	close_server(&w);
	wipe(&w.authorization);
	buf_release(&w.authorization);
	buf_release(&w.query);
	buf_release(&w.text);
	slices_free(w.slices);
}
