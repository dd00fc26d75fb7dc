#include "io/http_call.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/secret.h"

#define TIMEOUT_MS 10000
#define ANSWER_MAX ((size_t)1024 * 1024)

int curl_start(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool started;
	bool ok;

	pthread_mutex_lock(&lock);
	if (!started)
		started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	ok = started;
	pthread_mutex_unlock(&lock);
	return ok ? 0 : -1;
}

void curl_protect(void *curl, const char *ca)
{
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
}

static size_t on_write(char *from, size_t size, size_t count, void *context)
{
	struct buf *answer = context;

	return buf_append(answer, span_of(from, size * count)) == 0 ? size * count : 0;
}

static bool is_line(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return text.len > 0;
}

static int add_headers(struct curl_slist **list, const struct http_call *call, struct err *err)
{
	/* Else curl asks first whether it may send a body. */
	struct curl_slist *next = curl_slist_append(NULL, "Expect:");

	for (size_t i = 0; next && i < call->header_count; i++) {
		struct secret line = SECRET_NONE;

		*list = next;
		if (!is_line(call->headers[i]))
			return err_set(err, ERR_INVALID, "a header field cannot be sent");
		next = secret_set(&line, call->headers[i]) == 0
			       ? curl_slist_append(*list, line.ptr)
			       : NULL;
		secret_release(&line);
	}
	if (!next)
		return err_set(err, ERR_MEMORY, "out of memory");
	*list = next;
	return 0;
}

static void set_options(CURL *curl, const struct http_call *call, const char *url,
			const char *ca, struct buf *answer)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_protect(curl, ca);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
			 (long)(call->timeout_ms ? call->timeout_ms : TIMEOUT_MS));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (!call->post)
		return;
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.len ? call->body.ptr : "");
}

static int fail(CURLcode code, const struct buf *answer, const char *text, struct err *err)
{
	enum err_code kind = ERR_UNAVAILABLE;

	if (code == CURLE_OPERATION_TIMEDOUT)
		kind = ERR_TIMEOUT;
	else if (code == CURLE_WRITE_ERROR && buf_failed(answer))
		kind = ERR_LIMIT;
	return err_set(err, kind, "%s", text[0] ? text : curl_easy_strerror(code));
}

int http_call(const struct http_call *call, struct arena *arena, unsigned *status,
	      struct span *answer, struct err *err)
{
	struct span url = arena_dup(arena, call->url), ca = SPAN_NONE;
	char text[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	struct buf body;
	CURL *curl = NULL;
	CURLcode code;
	long reply = 0;
	int result;

	if (call->ca.len)
		ca = arena_dup(arena, call->ca);
	if (!url.ptr || (call->ca.len && !ca.ptr) || curl_start() < 0 ||
	    !(curl = curl_easy_init()))
		return err_set(err, ERR_MEMORY, "out of memory");
	buf_init(&body, call->answer_max ? call->answer_max : ANSWER_MAX);
	result = is_line(url) ? add_headers(&headers, call, err)
			      : err_set(err, ERR_INVALID, "the URL cannot be used");
	if (result == 0) {
		set_options(curl, call, url.ptr, ca.ptr, &body);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
		code = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply);
		result = code == CURLE_OK ? 0 : fail(code, &body, text, err);
	}
	if (result == 0) {
		*status = (unsigned)reply;
		*answer = body.len ? arena_dup(arena, buf_span(&body)) : SPAN("");
		if (!answer->ptr)
			result = err_set(err, ERR_MEMORY, "out of memory");
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	buf_release(&body);
	return result;
}
