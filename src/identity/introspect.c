/*
 * Token introspection (RFC 7662): the issuer says what a token that is no JWT is worth. Fibers of
 * one worker that bring the same token at the same time ask once.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/fetch.h"
#include "identity/worker.h"

#define ANSWER_BYTES_MAX ((size_t)256 * 1024)
#define CONNECTIONS_MAX 32
#define IDLE_TIMEOUT_MS 30000
/* Questions of one worker at a time, most of them waiting for a connection. */
#define QUESTIONS_MAX 1024
#define LOG_INTERVAL_MS 1000

/* A worker's client of one provider's endpoint. */
struct introspector {
	struct list node; /* in worker->introspectors */
	struct http_fetcher *fetcher;
	struct authenticator *authenticator; /* a reference: it owns the endpoint's settings */
	const struct provider *provider;
	unsigned users;
	int64_t logged_ms;
};

/* One question under way; on the stack of the fiber that asks it. */
struct introspection {
	struct list node; /* in worker->introspections */
	const struct provider *provider;
	struct hash_tag tag; /* of the token */
	struct list followers; /* struct follower */
};

/* A fiber that waits for another one's question. */
struct follower {
	struct list node;
	struct fiber *fiber;
	bool done;
	struct verdict verdict;
};

/* --- clients --- */

static void introspector_free(struct introspector *client)
{
	list_remove(&client->node);
	http_fetcher_close(client->fetcher);
	authenticator_unref(client->authenticator);
	mem_free(client);
}

void introspect_flush(struct auth_worker *worker)
{
	list_for_each (node, &worker->introspectors) {
		struct introspector *client = list_entry(node, struct introspector, node);

		if (!client->users)
			introspector_free(client);
	}
}

static struct introspector *introspector_new(struct auth_worker *worker,
					     struct authenticator *a,
					     const struct provider *provider, struct err *err)
{
	const struct http_fetcher_options options = {
		.url = provider->config->introspection->url,
		.tls = provider->introspection_tls,
		.dns = worker->dns,
		.connections_max = CONNECTIONS_MAX,
		.idle_max = CONNECTIONS_MAX,
		.idle_timeout_ms = IDLE_TIMEOUT_MS,
	};
	struct introspector *client = mem_zalloc(1, sizeof(*client));

	if (!client) {
		err_set(err, ERR_MEMORY, "no memory for an introspection client");
		return NULL;
	}
	client->fetcher = http_fetcher_new(&options, err);
	if (!client->fetcher) {
		mem_free(client);
		return NULL;
	}
	client->authenticator = authenticator_ref(a);
	client->provider = provider;
	client->logged_ms = -LOG_INTERVAL_MS;
	list_push_front(&worker->introspectors, &client->node);
	return client;
}

static struct introspector *introspector_get(struct auth_worker *worker,
					     struct authenticator *a,
					     const struct provider *provider, struct err *err)
{
	list_for_each (node, &worker->introspectors) {
		struct introspector *client = list_entry(node, struct introspector, node);

		if (client->provider == provider)
			return client;
		/* Of a configuration that has been replaced. */
		if (client->authenticator != a && !client->users)
			introspector_free(client);
	}
	return introspector_new(worker, a, provider, err);
}

/* --- asking --- */

static void append_escaped(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_')
			buf_append_byte(to, (char)c);
		else
			buf_printf(to, "%%%02X", c);
	}
}

static int ask(struct introspector *client, struct span token, int64_t deadline_ms,
	       struct buf *answer, struct err *err)
{
	const struct http_field fields[] = {
		{SPAN("Accept"), SPAN("application/json"), HTTP_FIELD_ACCEPT},
		{SPAN("Content-Type"), SPAN("application/x-www-form-urlencoded"),
		 HTTP_FIELD_CONTENT_TYPE},
		{SPAN("Authorization"), secret_span(&client->provider->introspection_auth),
		 HTTP_FIELD_AUTHORIZATION},
	};
	struct http_fetch fetch = {
		.method = SPAN("POST"),
		.fields = fields,
		.field_count = COUNT_OF(fields),
		.repeatable = true,
	};
	unsigned status = 0;
	struct buf form;
	int failed;

	buf_init(&form, 3 * token.len + 64);
	buf_append_cstr(&form, "token=");
	append_escaped(&form, token);
	buf_append_cstr(&form, "&token_type_hint=access_token");
	fetch.body = buf_span(&form);
	if (buf_failed(&form))
		failed = err_set(err, ERR_MEMORY, "no memory for a question");
	else
		failed = http_fetch(client->fetcher, &fetch, deadline_ms, &status, answer, err);
	buf_release(&form);
	if (failed == 0 && status != 200)
		failed = err_set(err, ERR_UNAVAILABLE, "%s: answered %u",
				 client->provider->config->introspection->url.ptr, status);
	return failed;
}

static void log_failure(struct introspector *client, const struct err *err)
{
	struct log_line line;

	if (loop_now_ms() - client->logged_ms < LOG_INTERVAL_MS)
		return;
	client->logged_ms = loop_now_ms();
	log_begin(&line, LOG_WARN, "identity.introspection_failed");
	log_str(&line, "provider", client->provider->config->name);
	log_err(&line, err);
	log_end(&line);
}

static struct verdict verdict_of_failure(const struct err *err)
{
	if (err->code == ERR_CANCELLED)
		return verdict_cancelled();
	if (err->code == ERR_MEMORY)
		return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	return verdict_unavailable(err->code == ERR_TIMEOUT ? AUTH_REASON_TIMEOUT
							    : AUTH_REASON_INTROSPECTION_FAILED);
}

static struct verdict read_answer(struct auth_worker *worker, struct introspector *client,
				  struct span answer, struct err *err)
{
	struct identity_private *p = identity_begin();
	struct span kept = SPAN_NONE;
	const struct json *claims = NULL;
	struct json_problem problem = {.error = JSON_ERROR_MEMORY};
	bool active = false;

	if (p)
		kept = arena_dup(&p->arena, answer);
	if (kept.ptr)
		claims = json_parse_problem(&p->arena, kept, NULL, &problem);
	if (!claims && problem.error == JSON_ERROR_MEMORY) {
		identity_discard(p);
		err_set(err, ERR_MEMORY, "no memory for an answer");
		return verdict_of_failure(err);
	}
	/* RFC 7662 section 2.2: `active` is required. */
	if (!json_bool(json_get(claims, SPAN("active")), &active)) {
		identity_discard(p);
		err_set(err, ERR_SYNTAX, "%s: not an introspection response",
			client->provider->config->introspection->url.ptr);
		return verdict_of_failure(err);
	}
	if (!active) {
		identity_discard(p);
		return verdict_refused(AUTH_REASON_NOT_ACTIVE, true);
	}
	return token_identity(worker, client->authenticator, client->provider, IDENTITY_OPAQUE,
			      claims, p);
}

static struct verdict ask_and_read(struct auth_worker *worker, struct authenticator *a,
				   const struct provider *provider, struct span token,
				   int64_t deadline_ms)
{
	struct introspector *client;
	struct verdict verdict;
	struct buf answer;
	struct err err = {.code = ERR_NONE};

	client = introspector_get(worker, a, provider, &err);
	if (!client)
		return verdict_of_failure(&err);
	client->users++;
	auth_worker_count(&worker->asked);
	buf_init(&answer, ANSWER_BYTES_MAX);
	if (ask(client, token, deadline_ms, &answer, &err) < 0)
		verdict = verdict_of_failure(&err);
	else
		verdict = read_answer(worker, client, buf_span(&answer), &err);
	buf_release(&answer);
	if (verdict.status == AUTH_UNAVAILABLE)
		log_failure(client, &err);
	client->users--;
	return verdict;
}

/* --- sharing questions --- */

static struct introspection *find(struct auth_worker *worker, const struct provider *provider,
				  struct hash_tag tag)
{
	list_for_each (node, &worker->introspections) {
		struct introspection *q = list_entry(node, struct introspection, node);

		if (q->provider == provider && hash_tag_eq(q->tag, tag))
			return q;
	}
	return NULL;
}

/* True with the other fiber's verdict; false when this one must ask itself. */
static bool follow(struct introspection *q, int64_t deadline_ms, struct verdict *verdict)
{
	struct follower self = {.fiber = fiber_self()};
	enum fiber_wake wake = FIBER_EVENT;

	list_push_back(&q->followers, &self.node);
	while (!self.done && wake == FIBER_EVENT)
		wake = fiber_park(deadline_ms);
	list_remove(&self.node);
	if (self.done) {
		*verdict = self.verdict;
		return verdict->status != AUTH_CANCELLED;
	}
	*verdict = wake == FIBER_CANCELLED ? verdict_cancelled()
					   : verdict_unavailable(AUTH_REASON_TIMEOUT);
	return true;
}

static void tell_followers(struct introspection *q, const struct verdict *verdict)
{
	struct list *node;

	while ((node = list_pop_front(&q->followers))) {
		struct follower *follower = list_entry(node, struct follower, node);

		follower->done = true;
		follower->verdict = *verdict;
		if (verdict->identity)
			identity_ref(&verdict->identity->public);
		fiber_wake(follower->fiber);
	}
}

struct verdict introspect(struct auth_worker *worker, struct authenticator *a,
			  struct provider *provider, struct span token, struct hash_tag tag,
			  int64_t deadline_ms)
{
	int64_t own_ms = loop_deadline_ms((int64_t)provider->config->introspection->timeout_ms);
	struct introspection q = {.provider = provider, .tag = tag};
	struct introspection *other;
	struct verdict verdict;

	if (deadline_ms > own_ms)
		deadline_ms = own_ms;
	/* The one that asked may have been cancelled: then somebody else has to. */
	while ((other = find(worker, provider, tag))) {
		if (follow(other, deadline_ms, &verdict))
			return verdict;
	}
	if (worker->introspection_count >= QUESTIONS_MAX)
		return verdict_unavailable(AUTH_REASON_INTROSPECTION_FAILED);
	list_init(&q.followers);
	list_push_back(&worker->introspections, &q.node);
	worker->introspection_count++;
	verdict = ask_and_read(worker, a, provider, token, deadline_ms);
	verdict.max_age_ms = (int64_t)provider->config->introspection->cache_ttl_ms;
	if (!verdict.max_age_ms)
		verdict.keep = false;
	list_remove(&q.node);
	worker->introspection_count--;
	tell_followers(&q, &verdict);
	return verdict;
}
