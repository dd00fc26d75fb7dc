#include "gateway/challenge.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/secret.h"
#include "gateway/fields.h"
#include "guard/challenge.h"
#include "parse/base64.h"
#include "parse/cookie.h"

#define KEY_BYTES 32
#define DIGEST_BYTES 32
#define DIGEST_TEXT_BYTES 44
#define PAGE_BYTES_MAX 32768

/* Made from challenge.js. */
extern const char challenge_script[];
extern const size_t challenge_script_len;

struct challenge_maker {
	unsigned char key[KEY_BYTES];
	char policy[160]; /* Content-Security-Policy of the page */
};

static int make_policy(struct challenge_maker *maker, struct err *err)
{
	unsigned char digest[DIGEST_BYTES];
	char text[DIGEST_TEXT_BYTES + 1];

	if (EVP_Digest(challenge_script, challenge_script_len, digest, NULL, EVP_sha256(),
		       NULL) != 1)
		return err_set(err, ERR_MEMORY, "no memory for the challenge");
	text[EVP_EncodeBlock((unsigned char *)text, digest, sizeof(digest))] = '\0';
	snprintf(maker->policy, sizeof(maker->policy),
		 "default-src 'none'; script-src 'sha256-%s'; base-uri 'none'; "
		 "form-action 'none'; frame-ancestors 'none'",
		 text);
	return 0;
}

struct challenge_maker *challenge_maker_new(struct err *err)
{
	struct challenge_maker *maker = mem_zalloc(1, sizeof(*maker));

	if (!maker) {
		err_set(err, ERR_MEMORY, "no memory for the challenge");
		return NULL;
	}
	if (RAND_bytes(maker->key, sizeof(maker->key)) != 1)
		err_set(err, ERR_IO, "there are no random bytes");
	else if (make_policy(maker, err) == 0)
		return maker;
	challenge_maker_free(maker);
	return NULL;
}

void challenge_maker_free(struct challenge_maker *maker)
{
	if (!maker)
		return;
	secret_wipe(maker->key, sizeof(maker->key));
	mem_free(maker);
}

/* ---- who may go on --------------------------------------------------------------------------- */

/* A cookie with this prefix cannot be set by other hosts, nor without TLS (RFC 6265bis). */
static struct span cookie_name(const struct exchange *e)
{
	return e->secure ? SPAN("__Host-sallyport-pass") : SPAN("sallyport-pass");
}

static struct challenge challenge_of(const struct exchange *e)
{
	const struct config_challenge *config = &e->snapshot->config->challenge;
	const unsigned char *own = e->worker->shared->challenge->key;

	return (struct challenge){
		.key = config->key.len ? secret_span(&config->key) : span_of(own, KEY_BYTES),
		.bits = config->kind == CONFIG_CHALLENGE_WORK ? config->bits : 0,
	};
}

static bool is_wanted(const struct exchange *e)
{
	switch (e->route->config->challenge) {
	case CONFIG_CHALLENGE_OFF: return false;
	case CONFIG_CHALLENGE_OVERLOAD: return e->overload != 0;
	case CONFIG_CHALLENGE_ALWAYS: break;
	}
	return true;
}

static bool has_passed(const struct exchange *e, const struct challenge *challenge)
{
	struct span field = http1_field(&e->x->request, HTTP_FIELD_COOKIE), pass;

	return field.ptr && cookie_find(field, cookie_name(e), &pass) == COOKIE_FOUND &&
	       challenge_passes(challenge, &e->client, loop_unix_s(), pass);
}

/* ---- the challenge --------------------------------------------------------------------------- */

static enum phase_result out_of_memory(struct exchange *e)
{
	e->reason = "out_of_memory";
	return answer_problem(e, 503, "out-of-memory", NULL);
}

static uint64_t valid_s(const struct exchange *e)
{
	return e->snapshot->config->challenge.valid_ms / 1000;
}

/* To the same place, in a form that cannot lead to another host. */
static enum phase_result send_back(struct exchange *e, const char *text)
{
	static const struct http_response response = {.status = 307, .content_length = 0};
	struct arena *arena = &e->x->arena;
	struct span query = e->query;
	struct span location = arena_printf(arena, "%.*s%s%.*s", SPAN_ARG(e->path),
					    query.ptr ? "?" : "", SPAN_ARG(query));
	struct span cookie =
		arena_printf(arena, "%.*s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%llu%s",
			     SPAN_ARG(cookie_name(e)), text, (unsigned long long)valid_s(e),
			     e->secure ? "; Secure" : "");

	if (!location.ptr || !cookie.ptr)
		return out_of_memory(e);
	exchange_add_field(e, SPAN("location"), location);
	exchange_add_field(e, SPAN("set-cookie"), cookie);
	exchange_add_field(e, SPAN("cache-control"), SPAN("no-store"));
	return respond_head(e, &response, HTTP_SEND_END, loop_deadline_ms(10000)) == IO_OK
		       ? PHASE_ANSWERED
		       : PHASE_GONE;
}

static enum phase_result answer_page(struct exchange *e, const char *text, uint32_t bits)
{
	struct span policy = span_cstr(e->worker->shared->challenge->policy);
	const struct http_field fields[] = {
		{SPAN("content-type"), SPAN("text/html; charset=utf-8"),
		 HTTP_FIELD_CONTENT_TYPE},
		{SPAN("cache-control"), SPAN("no-store"), HTTP_FIELD_CACHE_CONTROL},
		{SPAN("content-security-policy"), policy,
		 http_field_lookup(SPAN("content-security-policy"))},
	};
	struct buf page;
	enum phase_result result;

	buf_init(&page, PAGE_BYTES_MAX);
	buf_printf(
		&page,
		"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		"<meta name=\"viewport\" content=\"width=device-width\">"
		"<title>One moment</title></head><body data-text=\"%s\" data-bits=\"%u\" "
		"data-cookie=\"%.*s\" data-seconds=\"%llu\"><main><h1>One moment</h1>"
		"<p id=\"status\" role=\"status\">Your browser is being checked; the page "
		"opens by itself.</p><noscript><p>This needs JavaScript.</p></noscript></main>"
		"<script>",
		text, bits, SPAN_ARG(cookie_name(e)), (unsigned long long)valid_s(e));
	buf_append(&page, span_of(challenge_script, challenge_script_len));
	buf_append_cstr(&page, "</script></body></html>\n");
	result = buf_failed(&page)
			 ? out_of_memory(e)
			 : answer_with(e, 403, fields, COUNT_OF(fields), buf_span(&page));
	buf_release(&page);
	return result;
}

static enum phase_result pose(struct exchange *e, const struct challenge *challenge)
{
	const struct http1_head *head = &e->x->request;
	int64_t until_unix_s = loop_unix_s() + (int64_t)valid_s(e);
	char text[CHALLENGE_TEXT_SIZE];

	e->reason = "challenge";
	counter_add(&e->worker->metrics->challenges, 1);
	if (!fields_want_page(head))
		return answer_problem(e, 403, "challenge",
				      "open the page in a browser, which is checked first");
	if (!challenge_make(challenge, &e->client, until_unix_s, text))
		return out_of_memory(e);
	return challenge->bits ? answer_page(e, text, challenge->bits) : send_back(e, text);
}

enum phase_result challenge_enter(struct exchange *e)
{
	struct challenge challenge;

	if (!is_wanted(e))
		return PHASE_NEXT;
	challenge = challenge_of(e);
	return has_passed(e, &challenge) ? PHASE_NEXT : pose(e, &challenge);
}
