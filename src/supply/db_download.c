#include "supply/db_download.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"

#define PATH_BYTES 4096
#define ETAG_BYTES 512

struct transfer {
	const struct db_download *job;
	CURL *curl;
	int fd;
	uint64_t have; /* bytes in the file before this transfer */
	uint64_t got;
	char etag[ETAG_BYTES];
	const char *etag_path; /* where it is kept for the next time */
	bool too_large;
	bool write_failed;
	bool started;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool path_with(char to[PATH_BYTES], const char *path, const char *suffix)
{
	int len = snprintf(to, PATH_BYTES, "%s%s", path, suffix);

	return len > 0 && len < PATH_BYTES;
}

static void write_etag(const char *path, const char *etag)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return; /* then the next download begins anew */
	if (write(fd, etag, strlen(etag)) < 0)
		(void)unlink(path);
	(void)close(fd);
}

/* A 200 where a part was asked for means that the file is another one: from the start. */
static bool begin_body(struct transfer *t)
{
	long status = 0;

	t->started = true;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 206)
		return true;
	t->have = 0;
	if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) != 0)
		return false;
	/* At once, so that a download goes on even if this program is killed. */
	if (t->etag[0])
		write_etag(t->etag_path, t->etag);
	else
		(void)unlink(t->etag_path);
	return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t len = size * count;

	if (!t->started && !begin_body(t)) {
		t->write_failed = true;
		return 0;
	}
	if (t->have + t->got + len > t->job->max_bytes) {
		t->too_large = true;
		return 0;
	}
	for (size_t done = 0; done < len;) {
		ssize_t wrote = write(t->fd, bytes + done, len - done);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			t->write_failed = true;
			return 0;
		}
		done += (size_t)wrote;
	}
	t->got += len;
	return len;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	struct span line = span_of(bytes, size * count), value = line;
	struct span name = span_cut(&value, ':');

	value = span_trim(value);
	/* Of several answers (redirections come first) the last one counts. */
	if (span_starts_with(line, SPAN("HTTP/")))
		t->etag[0] = '\0';
	/* Weak tags do not tell that bytes are the same. */
	if (span_eq_nocase(name, SPAN("etag")) && value.len < ETAG_BYTES &&
	    !span_starts_with(value, SPAN("W/")))
		snprintf(t->etag, sizeof(t->etag), "%.*s", SPAN_ARG(value));
	return line.len;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
		       curl_off_t up_now)
{
	const struct transfer *t = context;

	(void)up_total;
	(void)up_now;
	if (t->job->progress)
		t->job->progress(t->job->context, t->have + (uint64_t)now,
				 total > 0 ? t->have + (uint64_t)total : 0);
	return 0;
}

static void read_etag(const char *path, char *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, to, ETAG_BYTES - 1) : 0;

	if (fd >= 0)
		(void)close(fd);
	to[len > 0 ? len : 0] = '\0';
}

static CURL *new_request(const char *url, const struct db_download *job)
{
	CURL *curl;

	pthread_once(&curl_once, start_curl);
	curl = curl_easy_init();
	if (!curl)
		return NULL;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
			 span_starts_with(span_cstr(url), SPAN("https:")) ? "https"
									  : "http,https");
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)job->connect_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)job->stall_timeout_s);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "sallyport/" SALLYPORT_VERSION);
	return curl;
}

static int failure(const struct transfer *t, CURLcode code, struct err *err)
{
	long status = 0;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (t->too_large)
		return err_set(err, ERR_LIMIT, "larger than %llu bytes",
			       (unsigned long long)t->job->max_bytes);
	if (t->write_failed)
		return err_set(err, ERR_IO, "the file cannot be written");
	if (status == 404 || status == 410)
		return err_set(err, ERR_NOT_FOUND, "the server has no such file");
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "the server does not answer in time");
	if (status >= 400)
		return err_set(err, ERR_UNAVAILABLE, "the server answers with status %ld",
			       status);
	return err_set(err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(code));
}

/* 0; 1 when the part there is must be thrown away first; -1. */
static int perform(struct transfer *t, struct err *err)
{
	struct curl_slist *headers = NULL;
	char old_etag[ETAG_BYTES], condition[ETAG_BYTES + 16];
	long status = 0;
	CURLcode code;

	read_etag(t->etag_path, old_etag);
	if (t->have && old_etag[0]) {
		snprintf(condition, sizeof(condition), "If-Range: %s", old_etag);
		headers = curl_slist_append(NULL, condition);
		curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(t->curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->have);
	} else if (t->have) {
		t->have = 0; /* nothing tells that it is the same file */
	}
	curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(t->curl, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(t->curl, CURLOPT_NOPROGRESS, 0L);
	code = curl_easy_perform(t->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	/*
	 * The part is as long as the file, or longer, or the server takes no ranges. For libcurl
	 * 416 is no error: it says that there is nothing left to fetch.
	 */
	if (t->have && (status == 416 || code == CURLE_RANGE_ERROR))
		return 1;
	/* Of an empty file no piece comes. */
	if (code == CURLE_OK && !t->started && !begin_body(t))
		t->write_failed = true;
	if (code == CURLE_OK && !t->write_failed)
		return 0;
	return failure(t, code, err);
}

static size_t on_sidecar(char *bytes, size_t size, size_t count, void *context)
{
	return buf_append_bytes(context, bytes, size * count) < 0 ? 0 : size * count;
}

static int hash_file(const char *path, char hex[65], struct err *err)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char digest[32], piece[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;
	bool good = context && fd >= 0 && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

	while (good && (got = read(fd, piece, sizeof(piece))) > 0)
		good = EVP_DigestUpdate(context, piece, (size_t)got) == 1;
	good = good && got == 0 && EVP_DigestFinal_ex(context, digest, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (fd >= 0)
		(void)close(fd);
	if (!good)
		return err_set(err, ERR_IO, "%s cannot be read back", path);
	hex_encode(hex, digest, sizeof(digest));
	hex[64] = '\0';
	return 0;
}

/* Compares with URL.sha256, if the server has it. */
static int check_digest(const struct db_download *job, const char *path, struct err *err)
{
	char url[PATH_BYTES], hex[65];
	struct buf sidecar;
	CURL *curl;
	CURLcode code;
	long status = 0;
	int result = 0;

	if (!path_with(url, job->url, ".sha256"))
		return 0;
	curl = new_request(url, job);
	if (!curl)
		return err_set(err, ERR_MEMORY, "out of memory");
	buf_init(&sidecar, 4096);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_sidecar);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sidecar);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	/* Object stores answer 403 for what is not there. Whatever else: it may be there. */
	if (code != CURLE_OK && status != 404 && status != 410 && status != 403)
		result = err_set(err, ERR_UNAVAILABLE, "its SHA-256 cannot be fetched: %s",
				 curl_easy_strerror(code));
	/* Anything but a digest, a page that says "not found" for one, is none offered. */
	if (code == CURLE_OK && sidecar.len >= 64) {
		struct span digest = span_slice(span_trim(buf_span(&sidecar)), 0, 64);

		result = hash_file(path, hex, err);
		if (result == 0 && !span_eq_nocase(digest, span_of(hex, 64)))
			result = err_set(err, ERR_INVALID,
					 "its SHA-256 is not the one that the server names");
	}
	buf_release(&sidecar);
	return result;
}

static int fetch(const struct db_download *job, const char *part, const char *etag_path,
		 struct err *err)
{
	int flags = O_RDWR | O_CREAT | O_CLOEXEC;
	int result = 1;

	while (result == 1) {
		struct transfer t = {
			.job = job, .fd = open(part, flags, 0644), .etag_path = etag_path};
		struct stat st;

		if (t.fd < 0 || fstat(t.fd, &st) < 0) {
			result = err_set_errno(err, errno, "%s", part);
			if (t.fd >= 0)
				(void)close(t.fd);
			return result;
		}
		t.have = (uint64_t)st.st_size;
		(void)lseek(t.fd, 0, SEEK_END);
		t.curl = new_request(job->url, job);
		result = t.curl ? perform(&t, err) : err_set(err, ERR_MEMORY, "out of memory");
		curl_easy_cleanup(t.curl);
		if (close(t.fd) < 0 && result == 0)
			result = err_set_errno(err, errno, "%s", part);
		flags |= O_TRUNC;
	}
	return result;
}

int db_download(const struct db_download *job, struct err *err)
{
	char part[PATH_BYTES], etag_path[PATH_BYTES];

	if (!path_with(part, job->path, ".part") || !path_with(etag_path, job->path, ".etag"))
		return err_set(err, ERR_INVALID, "the path is too long");
	if (fetch(job, part, etag_path, err) < 0)
		return err_wrap(err, "%s", job->url);
	if (check_digest(job, part, err) < 0) {
		(void)unlink(part);
		(void)unlink(etag_path);
		return err_wrap(err, "%s", job->url);
	}
	if (rename(part, job->path) < 0)
		return err_set_errno(err, errno, "%s", job->path);
	(void)unlink(etag_path);
	return 0;
}

int db_download_text(const struct db_download *job, struct buf *to, struct err *err)
{
	struct transfer t = {.job = job, .curl = new_request(job->url, job), .fd = -1};
	CURLcode code;
	int result = 0;

	if (!t.curl)
		return err_set(err, ERR_MEMORY, "out of memory");
	curl_easy_setopt(t.curl, CURLOPT_TIMEOUT, (long)job->stall_timeout_s);
	curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, on_sidecar);
	curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, to);
	code = curl_easy_perform(t.curl);
	if (code != CURLE_OK)
		result = failure(&t, code, err);
	curl_easy_cleanup(t.curl);
	return result;
}
