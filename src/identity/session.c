/*
 * Logins of browsers. The cookie is 256 random bits; the store knows its SHA-256 only, so that who
 * reads the store can use none of them.
 */
#include "base/clock.h"
#include "identity/idp_internal.h"

#define RECORD_BYTES ((size_t)16 * 1024)
#define AGENT_BYTES 200
/* That it was used is written down at most this often, as a part of the idle time. */
#define TOUCH_PARTS 10

static int64_t end_of(const struct config_session *config, const struct idp_session *session)
{
	int64_t idle = session->seen_unix_s + (int64_t)(config->idle_ms / 1000);
	int64_t absolute = session->created_unix_s + (int64_t)(config->absolute_ms / 1000);

	return idle < absolute ? idle : absolute;
}

static enum store_result put(struct idp *idp, const struct idp_session *session,
			     struct err *err)
{
	const struct store_index index = {SPAN("user"), session->user};
	struct store_change change = {.kind = SPAN("session"),
				      .key = session->id,
				      .expect = session->version ? STORE_EXPECT_VERSION
								 : STORE_EXPECT_ABSENT,
				      .version = session->version,
				      .expires_unix_ms = session->expires_unix_s * 1000,
				      .indexes = &index,
				      .index_count = 1};
	struct json_writer w;
	struct buf value;

	buf_init(&value, RECORD_BYTES);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("user"), session->user);
	json_member_string(&w, SPAN("address"), session->address);
	json_member_string(&w, SPAN("agent"), span_slice(session->agent, 0, AGENT_BYTES));
	json_put_texts(&w, "amr", &session->methods);
	json_member_int(&w, SPAN("auth_time"), session->authenticated_unix_s);
	json_member_int(&w, SPAN("created"), session->created_unix_s);
	json_member_int(&w, SPAN("seen"), session->seen_unix_s);
	json_end_object(&w);
	return idp_commit(idp->shared, &change, 1, &value, err);
}

static enum store_result read_session(const struct store_record *record, struct arena *arena,
				      struct idp_session *session, struct err *err)
{
	const struct json *object = idp_parse(record->value, arena, err);

	if (!object)
		return STORE_FAILED;
	*session = (struct idp_session){
		.id = record->key,
		.user = json_text(object, "user"),
		.address = json_text(object, "address"),
		.agent = json_text(object, "agent"),
		.authenticated_unix_s = json_number(object, "auth_time"),
		.created_unix_s = json_number(object, "created"),
		.seen_unix_s = json_number(object, "seen"),
		.expires_unix_s = record->expires_unix_ms / 1000,
		.version = record->version,
	};
	return json_texts(object, "amr", arena, &session->methods) < 0 ? idp_no_memory(err)
								       : STORE_OK;
}

enum store_result session_list(struct idp *idp, struct span user, struct arena *arena,
			       struct idp_session **sessions, size_t *count, struct err *err)
{
	const struct store_index index = {SPAN("user"), user};
	struct store_page page;

	if (user.len ? store_find(idp->shared, SPAN("session"), &index, SPAN_NONE,
				  STORE_PAGE_MAX, arena, &page, err) != STORE_OK
		     : store_list(idp->shared, SPAN("session"), SPAN_NONE, SPAN_NONE,
				  STORE_PAGE_MAX, arena, &page, err) != STORE_OK)
		return STORE_FAILED;
	*sessions = arena_array(arena, struct idp_session, page.count + 1);
	if (!*sessions)
		return idp_no_memory(err);
	for (size_t i = 0; i < page.count; i++)
		if (read_session(&page.records[i], arena, &(*sessions)[i], err) != STORE_OK)
			return STORE_FAILED;
	*count = page.count;
	return STORE_OK;
}

/* Makes room for one more. */
static enum store_result limit_sessions(struct idp *idp, const struct config_session *config,
					struct span user, struct arena *arena, struct err *err)
{
	struct idp_session *all = NULL;
	size_t count = 0;

	if (session_list(idp, user, arena, &all, &count, err) != STORE_OK)
		return STORE_FAILED;
	while (count >= config->per_user) {
		size_t oldest = 0;

		for (size_t i = 1; i < count; i++)
			if (all[i].created_unix_s < all[oldest].created_unix_s)
				oldest = i;
		if (session_end(idp, all[oldest].id, err) == STORE_FAILED)
			return STORE_FAILED;
		all[oldest] = all[--count];
	}
	return STORE_OK;
}

static enum store_result new_id(struct idp_session *session, struct arena *arena,
				struct span *cookie, struct err *err)
{
	char digest[DIGEST_HEX_SIZE];

	*cookie = idp_new_secret(arena);
	if (!cookie->ptr)
		return idp_no_memory(err);
	digest_hex(digest, *cookie);
	session->id = arena_dup(arena, span_cstr(digest));
	session->version = 0;
	return session->id.ptr ? STORE_OK : idp_no_memory(err);
}

enum store_result session_start(struct idp *idp, const struct config_session *config,
				struct idp_session *session, struct arena *arena,
				struct span *cookie, struct err *err)
{
	if (limit_sessions(idp, config, session->user, arena, err) != STORE_OK ||
	    new_id(session, arena, cookie, err) != STORE_OK)
		return STORE_FAILED;
	session->created_unix_s = session->seen_unix_s = clock_unix_s();
	session->expires_unix_s = end_of(config, session);
	return put(idp, session, err);
}

static enum store_result touch(struct idp *idp, const struct config_session *config,
			       struct idp_session *session, struct err *err)
{
	int64_t now = clock_unix_s();
	enum store_result result;

	if (now - session->seen_unix_s < (int64_t)(config->idle_ms / 1000 / TOUCH_PARTS))
		return STORE_OK;
	session->seen_unix_s = now;
	session->expires_unix_s = end_of(config, session);
	result = put(idp, session, err);
	/* Somebody else has just done the same, or has ended it: the next look will tell. */
	return result == STORE_CONFLICT ? STORE_OK : result;
}

enum store_result session_find(struct idp *idp, const struct config_session *config,
			       struct span cookie, struct arena *arena,
			       struct idp_session *session, struct err *err)
{
	char digest[DIGEST_HEX_SIZE];
	struct store_record record;
	enum store_result result;
	struct span id;

	if (!cookie.len)
		return STORE_ABSENT;
	digest_hex(digest, cookie);
	id = arena_dup(arena, span_cstr(digest));
	if (!id.ptr)
		return idp_no_memory(err);
	result = store_get(idp->shared, SPAN("session"), id, arena, &record, err);
	if (result == STORE_OK)
		result = read_session(&record, arena, session, err);
	/* The configuration may have got stricter since. */
	if (result == STORE_OK && end_of(config, session) <= clock_unix_s())
		return STORE_ABSENT;
	return result == STORE_OK ? touch(idp, config, session, err) : result;
}

/* Tokens live on without their session for a day at most: revocations need to be no longer. */
#define REVOKED_MS ((int64_t)24 * 3600 * 1000)

enum store_result session_end(struct idp *idp, struct span id, struct err *err)
{
	const struct store_change change = {.kind = SPAN("session"), .key = id, .remove = true};
	struct store_record record;
	enum store_result result;
	struct arena arena;

	arena_init(&arena, RECORD_BYTES * 2, 4096);
	result = store_get(idp->shared, change.kind, id, &arena, &record, err);
	arena_release(&arena);
	if (result == STORE_OK)
		result = store_commit(idp->shared, &change, 1, err);
	if (result != STORE_OK)
		return result;
	result = idp_revoke(idp, id, clock_unix_ms() + REVOKED_MS, err);
	return result == STORE_OK ? oauth_session_ended(idp, id, err) : result;
}

int session_add_method(struct idp_session *session, const char *method, struct arena *arena)
{
	return texts_add(&session->methods, span_cstr(method), arena);
}

enum store_result session_rotate(struct idp *idp, const struct config_session *config,
				 struct idp_session *session, struct arena *arena,
				 struct span *cookie, struct err *err)
{
	int64_t created = session->created_unix_s;

	/* What was given out before is from before: it ends, and its clients are told. */
	if (session_end(idp, session->id, err) == STORE_FAILED ||
	    new_id(session, arena, cookie, err) != STORE_OK)
		return STORE_FAILED;
	session->seen_unix_s = clock_unix_s();
	session->created_unix_s = created;
	session->expires_unix_s = end_of(config, session);
	return put(idp, session, err);
}

enum store_result session_end_all(struct idp *idp, struct span user, struct span but,
				  struct arena *arena, struct err *err)
{
	struct idp_session *all = NULL;
	size_t count = 0;

	if (session_list(idp, user, arena, &all, &count, err) != STORE_OK)
		return STORE_FAILED;
	for (size_t i = 0; i < count; i++)
		if (!span_eq(all[i].id, but) &&
		    session_end(idp, all[i].id, err) == STORE_FAILED)
			return STORE_FAILED;
	return remember_end_all(idp, "user", user, arena, err);
}
