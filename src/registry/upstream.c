#include "registry/upstream.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/mem.h"
#include "io/http_call.h"
#include "parse/uri.h"

#define REDIRECTS_MAX 3
#define IDLE_MAX 16
#define URL_BYTES_MAX 4096
#define HEADER_BYTES_MAX 8192

struct upstream {
	char *url;
	char *ca; /* NULL: the system's */
	struct secret authorization; /* the whole field; len 0: none */
	char **origins;
	size_t origin_count;
	int64_t connect_ms, stall_ms, timeout_ms;
	/* Handles that are not in use, each with the connections it has kept. */
	pthread_mutex_t lock;
	CURL *idle[IDLE_MAX];
	size_t idle_count;
};

void upstream_free(struct upstream *upstream)
{
	if (!upstream)
		return;
	for (size_t i = 0; i < upstream->idle_count; i++)
		curl_easy_cleanup(upstream->idle[i]);
	for (size_t i = 0; i < upstream->origin_count; i++)
		mem_free(upstream->origins[i]);
	mem_free(upstream->origins);
	secret_release(&upstream->authorization);
	pthread_mutex_destroy(&upstream->lock);
	mem_free(upstream->url);
	mem_free(upstream->ca);
	mem_free(upstream);
}

static int set_authorization(struct upstream *upstream, struct span token)
{
	struct buf field;
	int result;

	buf_init(&field, token.len + 64);
	buf_append_cstr(&field, "Authorization: Bearer ");
	buf_append(&field, token);
	result = buf_failed(&field) ? -1
				    : secret_set(&upstream->authorization, buf_span(&field));
	if (field.ptr)
		secret_wipe(field.ptr, field.len);
	buf_release(&field);
	return result;
}

static int copy_options(struct upstream *upstream, const struct upstream_options *options)
{
	struct span url = options->url;

	while (url.len && url.ptr[url.len - 1] == '/')
		url.len--;
	upstream->url = mem_strdup(url);
	upstream->origins = mem_zalloc(options->origins->count + 1, sizeof(char *));
	if (!upstream->url || !upstream->origins)
		return -1;
	for (size_t i = 0; i < options->origins->count; i++) {
		upstream->origins[i] = mem_strdup(options->origins->at[i]);
		if (!upstream->origins[i])
			return -1;
		upstream->origin_count++;
	}
	if (options->ca.len && !(upstream->ca = mem_strdup(options->ca)))
		return -1;
	return options->token.len ? set_authorization(upstream, options->token) : 0;
}

struct upstream *upstream_new(const struct upstream_options *options, struct err *err)
{
	struct upstream *upstream = mem_zalloc(1, sizeof(*upstream));

	if (!upstream || pthread_mutex_init(&upstream->lock, NULL) != 0) {
		mem_free(upstream);
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	upstream->connect_ms = options->connect_ms;
	upstream->stall_ms = options->stall_ms;
	upstream->timeout_ms = options->timeout_ms;
	if (curl_start() < 0 || copy_options(upstream, options) < 0) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		upstream_free(upstream);
		return NULL;
	}
	return upstream;
}

/* ---- handles --------------------------------------------------------------------------------- */

static CURL *take_handle(struct upstream *upstream)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&upstream->lock);
	if (upstream->idle_count)
		curl = upstream->idle[--upstream->idle_count];
	pthread_mutex_unlock(&upstream->lock);
	if (!curl)
		return curl_easy_init();
	curl_easy_reset(curl); /* its connections stay */
	return curl;
}

static void put_handle(struct upstream *upstream, CURL *curl)
{
	bool kept = false;

	pthread_mutex_lock(&upstream->lock);
	if (upstream->idle_count < IDLE_MAX) {
		upstream->idle[upstream->idle_count++] = curl;
		kept = true;
	}
	pthread_mutex_unlock(&upstream->lock);
	if (!kept)
		curl_easy_cleanup(curl);
}

/* ---- a request ------------------------------------------------------------------------------- */

struct request {
	CURL *curl;
	uint64_t max_bytes, got;
	int (*take)(void *context, struct span bytes, struct err *err);
	void *context;
	bool too_large, refused; /* by `take`, which has set *err */
	char *etag;
	size_t etag_size;
	struct err *err;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct request *r = context;
	size_t len = size * count;
	long status = 0;

	/* What comes with another status is not what was asked for. */
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return len;
	r->got += len;
	r->too_large = r->got > r->max_bytes;
	if (r->too_large)
		return 0;
	r->refused = r->take(r->context, span_of(bytes, len), r->err) < 0;
	return r->refused ? 0 : len;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct request *r = context;
	struct span line = span_of(bytes, size * count), value = line;
	struct span name = span_cut(&value, ':');

	value = span_trim(value);
	if (r->etag && span_eq_nocase(name, SPAN("etag")) && value.len < r->etag_size) {
		memcpy(r->etag, value.ptr, value.len);
		r->etag[value.len] = '\0';
	}
	return line.len;
}

static bool is_own(const struct upstream *upstream, struct span url)
{
	return span_eq_nocase(uri_origin(url), uri_origin(span_cstr(upstream->url)));
}

static bool is_allowed(const struct upstream *upstream, struct span url)
{
	if (is_own(upstream, url))
		return true;
	for (size_t i = 0; i < upstream->origin_count; i++)
		if (span_eq_nocase(uri_origin(url),
				   uri_origin(span_cstr(upstream->origins[i]))))
			return true;
	return false;
}

static void set_options(const struct upstream *upstream, struct request *r, const char *url)
{
	CURL *curl = r->curl;
	int64_t stall_s = upstream->stall_ms / 1000;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_protect(curl, upstream->ca);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)upstream->connect_ms);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(stall_s ? stall_s : 1));
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)upstream->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "sallyport/" SALLYPORT_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, r);
}

static enum upstream_result failed(const struct upstream *upstream, const struct request *r,
				   CURLcode code, struct err *err)
{
	if (r->refused)
		return UPSTREAM_FAILED;
	if (r->too_large)
		(void)err_set(err, ERR_LIMIT, "the upstream sends more than %llu bytes",
			      (unsigned long long)r->max_bytes);
	else
		(void)err_set(err,
			      code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE,
			      "%.*s: %s", SPAN_ARG(uri_origin(span_cstr(upstream->url))),
			      curl_easy_strerror(code));
	return UPSTREAM_FAILED;
}

static struct curl_slist *fields_for(const struct upstream *upstream, struct span url,
				     struct curl_slist *common)
{
	/* Never empty: then curl would send its own. */
	struct curl_slist *fields = curl_slist_append(NULL, "Expect:"), *next;

	for (const struct curl_slist *field = common; field; field = field->next) {
		next = curl_slist_append(fields, field->data);
		if (!next)
			goto fail;
		fields = next;
	}
	if (!upstream->authorization.len || !is_own(upstream, url))
		return fields;
	next = curl_slist_append(fields, upstream->authorization.ptr);
	if (next)
		return next;
fail:
	curl_slist_free_all(fields);
	return NULL;
}

/* One call. False: to be asked again at `next`. */
static bool call(const struct upstream *upstream, struct request *r, struct curl_slist *common,
		 const char *url, char next[URL_BYTES_MAX], enum upstream_result *result,
		 struct err *err)
{
	struct curl_slist *fields = fields_for(upstream, span_cstr(url), common);
	char *location = NULL;
	long status = 0;
	CURLcode code;

	*result = UPSTREAM_FAILED;
	if (!fields) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return true;
	}
	set_options(upstream, r, url);
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, fields);
	code = curl_easy_perform(r->curl);
	curl_slist_free_all(fields);
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(r->curl, CURLINFO_REDIRECT_URL, &location);
	if (code != CURLE_OK) {
		*result = failed(upstream, r, code, err);
	} else if (location) {
		(void)snprintf(next, URL_BYTES_MAX, "%s", location);
		return false;
	} else if (status == 200) {
		*result = UPSTREAM_OK;
	} else if (status == 304) {
		*result = UPSTREAM_SAME;
	} else if (status == 404 || status == 410) {
		*result = UPSTREAM_ABSENT;
	} else {
		(void)err_set(err, ERR_IO, "the upstream answers with status %ld", status);
	}
	return true;
}

static enum upstream_result perform(struct upstream *upstream, struct request *r,
				    struct curl_slist *common, struct span first,
				    struct err *err)
{
	char url[URL_BYTES_MAX], next[URL_BYTES_MAX] = "";
	enum upstream_result result = UPSTREAM_FAILED;

	if (first.len >= sizeof(url)) {
		(void)err_set(err, ERR_LIMIT, "an address is too long");
		return UPSTREAM_FAILED;
	}
	(void)snprintf(url, sizeof(url), "%.*s", SPAN_ARG(first));
	for (int i = 0; i <= REDIRECTS_MAX; i++) {
		if (!is_allowed(upstream, span_cstr(url))) {
			(void)err_set(err, ERR_DENIED,
				      "%.*s is not the upstream's, nor one of its 'origins'",
				      SPAN_ARG(uri_origin(span_cstr(url))));
			return UPSTREAM_FAILED;
		}
		if (call(upstream, r, common, url, next, &result, err))
			return result;
		memcpy(url, next, sizeof(url));
	}
	(void)err_set(err, ERR_UNAVAILABLE, "the upstream redirects too often");
	return UPSTREAM_FAILED;
}

static enum upstream_result run(struct upstream *upstream, struct request *r,
				struct curl_slist *common, struct span url, struct err *err)
{
	enum upstream_result result = UPSTREAM_FAILED;

	r->curl = take_handle(upstream);
	r->err = err;
	if (!r->curl)
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else
		result = perform(upstream, r, common, url, err);
	if (r->curl)
		put_handle(upstream, r->curl);
	return result;
}

static int take_text(void *context, struct span bytes, struct err *err)
{
	return buf_append(context, bytes) < 0 ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

static int add_field(struct curl_slist **fields, const char *name, struct span value)
{
	char line[HEADER_BYTES_MAX];
	struct curl_slist *next;

	if (!value.len || value.len > sizeof(line) - 64)
		return 0;
	(void)snprintf(line, sizeof(line), "%s: %.*s", name, SPAN_ARG(value));
	next = curl_slist_append(*fields, line);
	if (!next)
		return -1;
	*fields = next;
	return 0;
}

enum upstream_result upstream_text(struct upstream *upstream, struct span path,
				   struct span accept, struct span known, struct buf *to,
				   char *etag, size_t etag_size, struct err *err)
{
	struct request r = {.max_bytes = to->max,
			    .take = take_text,
			    .context = to,
			    .etag = etag,
			    .etag_size = etag_size};
	enum upstream_result result = UPSTREAM_FAILED;
	struct curl_slist *fields = NULL;
	struct buf url;

	etag[0] = '\0';
	buf_init(&url, URL_BYTES_MAX);
	buf_append_cstr(&url, upstream->url);
	buf_append(&url, path);
	if (buf_failed(&url) || add_field(&fields, "Accept", accept) < 0 ||
	    add_field(&fields, "If-None-Match", known) < 0)
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else
		result = run(upstream, &r, fields, buf_span(&url), err);
	curl_slist_free_all(fields);
	buf_release(&url);
	return result;
}

enum upstream_result
upstream_file(struct upstream *upstream, struct span url, uint64_t max_bytes,
	      int (*take)(void *context, struct span bytes, struct err *err), void *context,
	      struct err *err)
{
	struct request r = {.max_bytes = max_bytes, .take = take, .context = context};

	return run(upstream, &r, NULL, url, err);
}
