/*
 * Telling clients that a session is over (OpenID Connect Back-Channel Logout 1.0). Who ends a session
 * writes down whom to tell; a server tells them afterwards, again and again until they have heard or
 * it is too late. Of several replicas one tells.
 */
#include "base/clock.h"
#include "base/log.h"
#include "http/fetch_once.h"
#include "identity/oauth.h"

#define KIND SPAN("logout")
#define KEPT_MS ((int64_t)24 * 3600 * 1000)
#define FIRST_WAIT_MS ((int64_t)1000)
#define WAIT_DOUBLINGS_MAX 8
#define AT_ONCE 20
#define TOKEN_LIFE_S 120
#define ANSWER_BYTES_MAX ((size_t)16 * 1024)

/* ---- whom to tell ---- */

struct logout {
	struct span client;
	struct span user;
	struct span session;
	int64_t since_ms;
	int64_t next_ms; /* not before this */
	int64_t attempts;
};

static enum store_result put(struct idp *idp, struct store_change *change,
			     const struct logout *logout, struct err *err)
{
	struct json_writer w;
	struct buf value;

	buf_init(&value, 8192);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("client"), logout->client);
	json_member_string(&w, SPAN("user"), logout->user);
	json_member_string(&w, SPAN("sid"), logout->session);
	json_member_int(&w, SPAN("since_ms"), logout->since_ms);
	json_member_int(&w, SPAN("next_ms"), logout->next_ms);
	json_member_int(&w, SPAN("attempts"), logout->attempts);
	json_end_object(&w);
	change->kind = KIND;
	change->expires_unix_ms = logout->since_ms + KEPT_MS;
	return idp_commit(idp->store, change, 1, &value, err);
}

static enum store_result tell_client(struct idp *idp, struct span session,
				     const struct json *grant, struct arena *arena,
				     struct err *err)
{
	struct logout logout = {.client = json_text(grant, "client"),
				.user = json_text(grant, "user"),
				.session = session,
				.since_ms = clock_unix_ms()};
	struct store_change change = {.expect = STORE_EXPECT_ANY};
	struct idp_client client;
	enum store_result result;

	result = client_get(idp, logout.client, arena, &client, err);
	if (result != STORE_OK || !client.logout_uri.len)
		return result == STORE_FAILED ? result : STORE_OK;
	change.key =
		arena_printf(arena, "%.*s/%.*s", SPAN_ARG(session), SPAN_ARG(logout.client));
	return change.key.ptr ? put(idp, &change, &logout, err) : idp_no_memory(err);
}

enum store_result oauth_session_ended(struct idp *idp, struct span session, struct err *err)
{
	const struct store_index index = {SPAN("sid"), session};
	struct store_page page = {.more = true};
	enum store_result result = STORE_OK;
	struct span after = SPAN_NONE;
	struct arena arena;

	arena_init(&arena, SCRATCH_BYTES, 8192);
	while (page.more && result == STORE_OK) {
		result = store_find(idp->store, SPAN("grant"), &index, after, 100, &arena,
				    &page, err);
		for (size_t i = 0; result == STORE_OK && i < page.count; i++) {
			const struct json *grant =
				idp_parse(page.records[i].value, &arena, err);

			result = grant ? tell_client(idp, session, grant, &arena, err)
				       : STORE_FAILED;
		}
		if (result == STORE_OK && page.count)
			after = page.records[page.count - 1].key;
	}
	arena_release(&arena);
	return result;
}

/* ---- telling ---- */

/* Section 2.4. */
static int sign(struct idp *idp, const struct config *cfg, const struct logout *logout,
		struct arena *arena, struct buf *token, struct err *err)
{
	struct span jti = idp_new_id(arena, 't');
	int64_t now = clock_unix_s();
	struct json_writer w;
	struct buf payload;
	int result;

	buf_init(&payload, 8192);
	json_writer_init(&w, &payload);
	json_begin_object(&w);
	json_member_string(&w, SPAN("iss"), cfg->identity.issuer);
	json_member_string(&w, SPAN("aud"), logout->client);
	json_member_string(&w, SPAN("sub"), logout->user);
	json_member_string(&w, SPAN("sid"), logout->session);
	json_member_int(&w, SPAN("iat"), now);
	json_member_int(&w, SPAN("exp"), now + TOKEN_LIFE_S);
	json_member_string(&w, SPAN("jti"), jti);
	json_key(&w, SPAN("events"));
	json_put_raw(&w, SPAN("{\"http://schemas.openid.net/event/backchannel-logout\":{}}"));
	json_end_object(&w);
	result =
		buf_failed(&payload) || !jti.ptr
			? err_set(err, ERR_MEMORY, "no memory for a logout token")
			: signing_sign(idp, SPAN("logout+jwt"), buf_span(&payload), token, err);
	buf_release(&payload);
	return result;
}

static int post(struct idp *idp, const struct config *cfg, struct span url, struct span token,
		struct err *err)
{
	const struct http_field type = {SPAN("Content-Type"),
					SPAN("application/x-www-form-urlencoded"),
					HTTP_FIELD_CONTENT_TYPE};
	struct http_fetch_once fetch = {
		.url = url,
		.tls = idp_client_tls(idp, cfg, err),
		.request = {.method = SPAN("POST"), .fields = &type, .field_count = 1},
		.timeout_ms = (int64_t)cfg->identity.oauth.back_channel_logout.timeout_ms,
	};
	unsigned status = 0;
	struct buf body, answer;
	int result = -1;

	if (!fetch.tls)
		return -1;
	buf_init(&body, token.len + 64);
	buf_init(&answer, ANSWER_BYTES_MAX);
	form_append(&body, SPAN("logout_token"), token);
	fetch.request.body = buf_span(&body);
	if (buf_failed(&body))
		(void)err_set(err, ERR_MEMORY, "no memory for a logout token");
	else
		result = http_fetch_once(&fetch, &status, &answer, err);
	/* Section 2.8: 200; 204 by some frameworks. */
	if (result == 0 && status != 200 && status != 204)
		result = err_set(err, ERR_UNAVAILABLE, "%.*s: answered %u", SPAN_ARG(url),
				 status);
	buf_release(&body);
	buf_release(&answer);
	return result;
}

static int tell(struct idp *idp, const struct config *cfg, const struct logout *logout,
		struct arena *arena, struct err *err)
{
	struct idp_client client;
	struct buf token;
	enum store_result found = client_get(idp, logout->client, arena, &client, err);
	int result;

	/* It has gone, or does not want to know any more. */
	if (found == STORE_ABSENT || (found == STORE_OK && !client.logout_uri.len))
		return 0;
	if (found != STORE_OK)
		return -1;
	buf_init(&token, 16384);
	result = sign(idp, cfg, logout, arena, &token, err);
	if (result == 0)
		result = post(idp, cfg, client.logout_uri, buf_span(&token), err);
	buf_release(&token);
	return result;
}

static void log_untold(const struct logout *logout, bool last, const struct err *err)
{
	struct log_line line;

	log_begin(&line, LOG_WARN,
		  last ? "identity.logout_given_up" : "identity.logout_failed");
	log_str(&line, "client", logout->client);
	log_err(&line, err);
	log_end(&line);
}

static bool is_over(const struct config *cfg, const struct logout *logout, int64_t now_ms)
{
	return now_ms - logout->since_ms >
	       (int64_t)cfg->identity.oauth.back_channel_logout.give_up_ms;
}

/* Takes the turn first: another replica, or this one after a crash, waits for the next. */
static enum store_result attempt(struct idp *idp, const struct config *cfg,
				 const struct store_record *record, struct arena *arena,
				 struct err *err)
{
	const struct json *object = idp_parse(record->value, arena, err);
	struct store_change change = {
		.key = record->key, .expect = STORE_EXPECT_VERSION, .version = record->version};
	const struct store_change done = {.kind = KIND, .key = record->key, .remove = true};
	int64_t now_ms = clock_unix_ms();
	struct logout logout;
	enum store_result result;
	struct err why;

	if (!object)
		return STORE_FAILED;
	logout = (struct logout){.client = json_text(object, "client"),
				 .user = json_text(object, "user"),
				 .session = json_text(object, "sid"),
				 .since_ms = json_number(object, "since_ms"),
				 .next_ms = json_number(object, "next_ms"),
				 .attempts = json_number(object, "attempts")};
	if (logout.next_ms > now_ms)
		return STORE_OK;
	logout.next_ms =
		now_ms + (int64_t)cfg->identity.oauth.back_channel_logout.timeout_ms +
		(FIRST_WAIT_MS << (logout.attempts < WAIT_DOUBLINGS_MAX ? logout.attempts
									: WAIT_DOUBLINGS_MAX));
	logout.attempts++;
	result = put(idp, &change, &logout, err);
	if (result != STORE_OK)
		return result == STORE_CONFLICT ? STORE_OK : result;
	if (tell(idp, cfg, &logout, arena, &why) == 0) {
		idp_audit(idp, "logout.told", "client", logout.client, "user", logout.user);
		return store_commit(idp->store, &done, 1, err);
	}
	log_untold(&logout, is_over(cfg, &logout, now_ms), &why);
	if (!is_over(cfg, &logout, now_ms))
		return STORE_OK;
	idp_audit(idp, "logout.not_told", "client", logout.client, "user", logout.user);
	return store_commit(idp->store, &done, 1, err);
}

int idp_tell_clients(struct idp *idp, const struct config *cfg, struct err *err)
{
	enum store_result result;
	struct store_page page;
	struct arena arena;

	arena_init(&arena, SCRATCH_BYTES, 8192);
	result =
		store_list(idp->store, KIND, SPAN_NONE, SPAN_NONE, AT_ONCE, &arena, &page, err);
	for (size_t i = 0; result == STORE_OK && i < page.count; i++)
		result = attempt(idp, cfg, &page.records[i], &arena, err);
	arena_release(&arena);
	return result == STORE_FAILED ? -1 : 0;
}
