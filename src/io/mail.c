#include "io/mail.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/rand.h"
#include "base/secret.h"
#include "io/http_call.h"

#define CONNECT_TIMEOUT_MS 10000
#define TIMEOUT_MS 30000
#define LINE_CHARS 76
#define ADDRESS_BYTES_MAX 254
#define URL_BYTES_MAX 1024
/* Bytes that an encoded word holds, so that it has at most 75 characters (RFC 2047 section 2). */
#define WORD_BYTES 45

/* ---- what can be sent ---- */

static bool is_line(struct span text, size_t max)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return text.len <= max;
}

/* Callers check addresses (parse/mail_address.h); here what could become a line or a second one. */
static bool is_address(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f ||
		    strchr("<>,;:\"\\()[]", text.ptr[i]))
			return false;
	return text.len <= ADDRESS_BYTES_MAX && span_find_byte(text, '@') < text.len;
}

/* ---- the message (RFC 5322) ---- */

/* `to` has room for the encoded text and a NUL. */
static size_t encode(char *to, struct span from)
{
	return (size_t)EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)from.ptr,
				       (int)from.len);
}

/* Encoded words, which hold whole characters each (RFC 2047 section 5). */
static void put_words(struct buf *to, struct span text)
{
	char encoded[WORD_BYTES / 3 * 4 + 4];

	while (text.len) {
		size_t len = text.len < WORD_BYTES ? text.len : WORD_BYTES;

		/* A character has at most three bytes more; what has not is no UTF-8. */
		for (int i = 0;
		     i < 3 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80;
		     i++)
			len--;
		buf_printf(to,
			   "=?utf-8?B?%.*s?=", (int)encode(encoded, span_slice(text, 0, len)),
			   encoded);
		text = span_slice(text, len, text.len);
		if (text.len)
			buf_append_cstr(to, "\r\n ");
	}
}

/* "=?" would be read as the start of an encoded word, and a long line must not be. */
static void put_text(struct buf *to, struct span text)
{
	if (span_is_ascii(text) && text.len <= 60 && span_find(text, SPAN("=?")) == text.len)
		buf_append(to, text);
	else
		put_words(to, text);
}

static void put_from(struct buf *to, const struct mail_options *options)
{
	buf_append_cstr(to, "From: ");
	if (options->from_name.len) {
		put_words(to, options->from_name);
		buf_append_cstr(to, "\r\n ");
	}
	buf_printf(to, "<%.*s>\r\n", SPAN_ARG(options->from));
}

/* The text in base64, with CRLF at the ends of lines (RFC 2046 section 4.1.1). */
static void put_body(struct buf *to, struct span text)
{
	struct buf lines, encoded;

	buf_init(&lines, MAIL_TEXT_BYTES_MAX * 2 + 4);
	buf_init(&encoded, MAIL_TEXT_BYTES_MAX * 3 + 16);
	while (text.ptr) {
		struct span line = span_cut(&text, '\n');

		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		buf_append(&lines, line);
		if (text.ptr)
			buf_append_cstr(&lines, "\r\n");
	}
	if (buf_failed(&lines) || buf_reserve(&encoded, lines.len / 3 * 4 + 5) < 0) {
		to->failed = true;
	} else {
		encoded.len = lines.len ? encode(encoded.ptr, buf_span(&lines)) : 0;
		for (size_t i = 0; i < encoded.len; i += LINE_CHARS) {
			buf_append(to, span_slice(buf_span(&encoded), i, i + LINE_CHARS));
			buf_append_cstr(to, "\r\n");
		}
	}
	/* One-time codes and links go through here. */
	if (lines.ptr)
		secret_wipe(lines.ptr, lines.len);
	if (encoded.ptr)
		secret_wipe(encoded.ptr, encoded.len);
	buf_release(&lines);
	buf_release(&encoded);
}

static void put_message(struct buf *to, const struct mail_options *options,
			const struct mail *mail)
{
	char date[CLOCK_HTTP_SIZE], id[33];
	struct span domain = options->from;

	(void)span_cut(&domain, '@');
	rand_hex(id, 16);
	id[32] = '\0';
	clock_http(date, clock_unix_s());
	put_from(to, options);
	buf_printf(to, "To: <%.*s>\r\nSubject: ", SPAN_ARG(mail->to));
	put_text(to, mail->subject);
	/* HTTP's form of a date is one of RFC 5322's, but for the zone's name. */
	buf_printf(to, "\r\nDate: %.*s +0000\r\n", (int)strlen(date) - 4, date);
	buf_printf(to, "Message-ID: <%s@%.*s>\r\n", id, SPAN_ARG(domain));
	buf_append_cstr(to, "MIME-Version: 1.0\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: base64\r\n"
			    "Auto-Submitted: auto-generated\r\n\r\n");
	put_body(to, mail->text);
}

/* ---- sending ---- */

struct upload {
	struct span rest;
};

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
	struct upload *upload = context;
	size_t len = size * count < upload->rest.len ? size * count : upload->rest.len;

	memcpy(to, upload->rest.ptr, len);
	upload->rest = span_slice(upload->rest, len, upload->rest.len);
	return len;
}

static size_t on_write(char *from, size_t size, size_t count, void *context)
{
	(void)from;
	(void)context;
	return size * count;
}

static enum err_code code_of(CURL *curl, CURLcode code)
{
	long reply = 0;

	if (code == CURLE_OPERATION_TIMEDOUT)
		return ERR_TIMEOUT;
	if (code == CURLE_OUT_OF_MEMORY)
		return ERR_MEMORY;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply);
	/* 4yz is a state that passes (RFC 5321 section 4.2.1). */
	return reply >= 500 && reply < 600 ? ERR_DENIED : ERR_UNAVAILABLE;
}

struct texts {
	struct secret url, user, password, from, to, ca;
};

static int copy_texts(struct texts *t, const struct mail_options *o, const struct mail *mail)
{
	return secret_set(&t->url, o->url) < 0 || secret_set(&t->user, o->user) < 0 ||
			       secret_set(&t->password, o->password) < 0 ||
			       secret_set(&t->from, o->from) < 0 ||
			       secret_set(&t->to, mail->to) < 0 || secret_set(&t->ca, o->ca) < 0
		       ? -1
		       : 0;
}

static void release_texts(struct texts *t)
{
	secret_release(&t->url);
	secret_release(&t->user);
	secret_release(&t->password);
	secret_release(&t->from);
	secret_release(&t->to);
	secret_release(&t->ca);
}

static void set_options(CURL *curl, const struct mail_options *o, const struct texts *t,
			struct upload *upload)
{
	static const long use[] = {[MAIL_TLS_REQUIRED] = CURLUSESSL_ALL,
				   [MAIL_TLS_OPTIONAL] = CURLUSESSL_TRY,
				   [MAIL_TLS_OFF] = CURLUSESSL_NONE};

	curl_easy_setopt(curl, CURLOPT_URL, t->url.ptr);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_protect(curl, t->ca.len ? t->ca.ptr : NULL);
	curl_easy_setopt(curl, CURLOPT_USE_SSL, use[o->tls]);
	if (t->user.len) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, t->user.ptr);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, t->password.ptr);
	}
	curl_easy_setopt(
		curl, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(o->connect_timeout_ms ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS));
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
			 (long)(o->timeout_ms ? o->timeout_ms : TIMEOUT_MS));
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, t->from.ptr);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(curl, CURLOPT_READDATA, upload);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
}

static int transfer(const struct mail_options *o, const struct texts *t, struct span message,
		    struct err *err)
{
	struct upload upload = {message};
	char text[CURL_ERROR_SIZE] = "";
	struct curl_slist *to = NULL;
	CURLcode code;
	CURL *curl;

	if (curl_start() < 0)
		return err_set(err, ERR_MEMORY, "mail: libcurl cannot start");
	curl = curl_easy_init();
	to = curl_slist_append(NULL, t->to.ptr);
	if (!curl || !to) {
		curl_slist_free_all(to);
		curl_easy_cleanup(curl);
		return err_set(err, ERR_MEMORY, "mail: out of memory");
	}
	set_options(curl, o, t, &upload);
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		err_set(err, code_of(curl, code), "mail: %s",
			text[0] ? text : curl_easy_strerror(code));
	curl_easy_cleanup(curl);
	curl_slist_free_all(to);
	return code == CURLE_OK ? 0 : -1;
}

int mail_send(const struct mail_options *options, const struct mail *mail, struct err *err)
{
	struct texts texts = {.url = SECRET_NONE};
	struct buf message;
	int result;

	if (!is_line(options->url, URL_BYTES_MAX) || !is_address(options->from) ||
	    !is_address(mail->to))
		return err_set(err, ERR_INVALID, "mail: an address is malformed");
	if (!is_line(options->from_name, MAIL_SUBJECT_BYTES_MAX) ||
	    !is_line(mail->subject, MAIL_SUBJECT_BYTES_MAX) ||
	    mail->text.len > MAIL_TEXT_BYTES_MAX)
		return err_set(err, ERR_INVALID, "mail: the text cannot be sent");
	buf_init(&message, MAIL_TEXT_BYTES_MAX * 4);
	put_message(&message, options, mail);
	if (buf_failed(&message) || copy_texts(&texts, options, mail) < 0)
		result = err_set(err, ERR_MEMORY, "mail: out of memory");
	else
		result = transfer(options, &texts, buf_span(&message), err);
	release_texts(&texts);
	if (message.ptr)
		secret_wipe(message.ptr, message.len);
	buf_release(&message);
	return result;
}
