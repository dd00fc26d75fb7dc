#include "guard/approval.h"

#include <openssl/evp.h>

#include "base/hex.h"
#include "base/rand.h"
#include "parse/json.h"
#include "parse/json_write.h"

#define KIND SPAN("approval")
#define REQUEST_KIND SPAN("approval-request")
/* One for each that waits, under its requester: to count them. */
#define PENDING_KIND SPAN("approval-pending")
#define PENDING_KEY_MAX (APPROVAL_DIGEST_BYTES + 1 + APPROVAL_ID_BYTES)
/* Tries when others commit at the same time; each of them has got further. */
#define TRIES 32
/* What is over is kept so long, to be looked at. */
#define KEPT_MS ((int64_t)30 * 24 * 3600 * 1000)

static const char *const state_names[] = {
	[APPROVAL_PENDING] = "pending", [APPROVAL_APPROVED] = "approved",
	[APPROVAL_DENIED] = "denied",	[APPROVAL_USED] = "used",
	[APPROVAL_EXPIRED] = "expired",
};

const char *approval_state_name(enum approval_state state)
{
	return state_names[state];
}

bool approval_state_parse(struct span word, enum approval_state *state)
{
	for (unsigned i = 0; i < COUNT_OF(state_names); i++) {
		if (!span_eq(word, span_cstr(state_names[i])))
			continue;
		*state = (enum approval_state)i;
		return true;
	}
	return false;
}

const char *approval_result_text(enum approval_result result)
{
	switch (result) {
	case APPROVAL_OK: return "done";
	case APPROVAL_ABSENT: return "there is no such approval";
	case APPROVAL_OWN: return "who asks for an approval may not decide on it";
	case APPROVAL_TWICE: return "this person has decided already";
	case APPROVAL_CLOSED: return "it was denied, used or has expired";
	case APPROVAL_WAITING: return "it is not approved yet";
	case APPROVAL_TOO_MANY: return "too many of this requester wait already";
	case APPROVAL_OTHER: return "the approval is for another request or requester";
	case APPROVAL_FAILED: return "the store failed";
	}
	return "unknown";
}

/* ---- the digest ------------------------------------------------------------------------------ */

static bool digest_part(EVP_MD_CTX *hash, struct span part)
{
	unsigned char len[8];

	for (unsigned i = 0; i < sizeof(len); i++)
		len[i] = (unsigned char)((uint64_t)part.len >> (8 * i));
	return EVP_DigestUpdate(hash, len, sizeof(len)) == 1 &&
	       EVP_DigestUpdate(hash, part.ptr, part.len) == 1;
}

int approval_digest(struct span method, struct span target, struct span content_type,
		    struct span body, char digest[APPROVAL_DIGEST_BYTES], struct err *err)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	unsigned char sum[32];
	bool done = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
		    digest_part(hash, method) && digest_part(hash, target) &&
		    digest_part(hash, content_type) && digest_part(hash, body) &&
		    EVP_DigestFinal_ex(hash, sum, NULL) == 1;

	EVP_MD_CTX_free(hash);
	if (!done)
		return err_set(err, ERR_MEMORY, "no memory for a digest");
	hex_encode(digest, sum, sizeof(sum));
	return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static void write_vote(struct json_writer *w, const struct approval_vote *vote)
{
	json_begin_object(w);
	json_member_string(w, SPAN("by"), vote->by);
	json_member_bool(w, SPAN("approves"), vote->approves);
	json_member_int(w, SPAN("unix_ms"), vote->unix_ms);
	if (vote->reason.len)
		json_member_string(w, SPAN("reason"), vote->reason);
	json_end_object(w);
}

void approval_write(const struct approval *a, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("id"), a->id);
	json_member_string(&w, SPAN("state"), span_cstr(state_names[a->state]));
	json_member_string(&w, SPAN("operation"), a->operation);
	json_member_string(&w, SPAN("requester"), a->requester);
	json_member_string(&w, SPAN("method"), a->method);
	json_member_string(&w, SPAN("target"), a->target);
	json_member_string(&w, SPAN("sha256"), a->digest);
	json_member_string(&w, SPAN("role"), a->role);
	json_member_int(&w, SPAN("needed"), a->needed);
	json_member_int(&w, SPAN("created_unix_ms"), a->created_unix_ms);
	json_member_int(&w, SPAN("expires_unix_ms"), a->expires_unix_ms);
	if (a->used_unix_ms)
		json_member_int(&w, SPAN("used_unix_ms"), a->used_unix_ms);
	json_key(&w, SPAN("votes"));
	json_begin_array(&w);
	for (size_t i = 0; i < a->vote_count; i++)
		write_vote(&w, &a->votes[i]);
	json_end_array(&w);
	json_end_object(&w);
}

static bool read_text(const struct json *object, const char *name, struct span *to)
{
	return json_string(json_get(object, span_cstr(name)), to);
}

static bool read_number(const struct json *object, const char *name, int64_t *to)
{
	return json_int(json_get(object, span_cstr(name)), to);
}

static bool read_votes(const struct json *votes, struct approval *a)
{
	if (!votes || votes->type != JSON_ARRAY || votes->array.count > APPROVAL_VOTES_MAX)
		return false;
	for (size_t i = 0; i < votes->array.count; i++) {
		const struct json *from = json_at(votes, i);
		struct approval_vote *vote = &a->votes[a->vote_count++];

		*vote = (struct approval_vote){0};
		if (!read_text(from, "by", &vote->by) ||
		    !read_number(from, "unix_ms", &vote->unix_ms) ||
		    !json_bool(json_get(from, SPAN("approves")), &vote->approves))
			return false;
		read_text(from, "reason", &vote->reason);
	}
	return true;
}

static void see_expiry(struct approval *a, int64_t now_unix_ms)
{
	if ((a->state == APPROVAL_PENDING || a->state == APPROVAL_APPROVED) &&
	    now_unix_ms >= a->expires_unix_ms)
		a->state = APPROVAL_EXPIRED;
}

static enum approval_result read_record(const struct store_record *record, int64_t now_unix_ms,
					struct arena *arena, struct approval *a,
					struct err *err)
{
	const struct json *object = json_parse(arena, record->value, NULL, err);
	struct span state;
	int64_t needed = 0;

	*a = (struct approval){.version = record->version};
	if (!object)
		goto damaged;
	if (!read_text(object, "id", &a->id) || !read_text(object, "state", &state) ||
	    !read_text(object, "operation", &a->operation) ||
	    !read_text(object, "requester", &a->requester) ||
	    !read_text(object, "method", &a->method) ||
	    !read_text(object, "target", &a->target) ||
	    !read_text(object, "sha256", &a->digest) || !read_text(object, "role", &a->role) ||
	    !read_number(object, "needed", &needed) || needed < 1 ||
	    needed > APPROVAL_VOTES_MAX ||
	    !read_number(object, "created_unix_ms", &a->created_unix_ms) ||
	    !read_number(object, "expires_unix_ms", &a->expires_unix_ms) ||
	    !approval_state_parse(state, &a->state) ||
	    !read_votes(json_get(object, SPAN("votes")), a)) {
		err_set(err, ERR_INVALID, "not an approval");
		goto damaged;
	}
	read_number(object, "used_unix_ms", &a->used_unix_ms);
	a->needed = (uint32_t)needed;
	see_expiry(a, now_unix_ms);
	return APPROVAL_OK;
damaged:
	err_wrap(err, "the store's record of approval %.*s", SPAN_ARG(record->key));
	return APPROVAL_FAILED;
}

enum approval_result approval_get(struct store *store, struct span id, int64_t now_unix_ms,
				  struct arena *arena, struct approval *approval,
				  struct err *err)
{
	struct store_record record;

	if (id.len != APPROVAL_ID_BYTES)
		return APPROVAL_ABSENT;
	switch (store_get(store, KIND, id, arena, &record, err)) {
	case STORE_OK: return read_record(&record, now_unix_ms, arena, approval, err);
	case STORE_ABSENT: return APPROVAL_ABSENT;
	case STORE_CONFLICT:
	case STORE_FAILED: break;
	}
	return APPROVAL_FAILED;
}

/* The change that writes the approval as it now is; `value` keeps the text. */
static struct store_change change_of(const struct approval *a, struct buf *value,
				     struct store_index *state)
{
	buf_clear(value);
	approval_write(a, value);
	*state = (struct store_index){SPAN("state"), span_cstr(state_names[a->state])};
	return (struct store_change){
		.kind = KIND,
		.key = a->id,
		.expect = a->version ? STORE_EXPECT_VERSION : STORE_EXPECT_ABSENT,
		.version = a->version,
		.value = buf_span(value),
		.expires_unix_ms = a->expires_unix_ms + KEPT_MS,
		.indexes = state,
		.index_count = 1,
	};
}

static enum approval_result no_memory(struct err *err)
{
	err_set(err, ERR_MEMORY, "no memory for an approval");
	return APPROVAL_FAILED;
}

/* Requesters may have names that are no keys. -1: out of memory. */
static int pending_key(struct span requester, struct span id, char key[PENDING_KEY_MAX],
		       struct err *err)
{
	if (approval_digest(requester, SPAN(""), SPAN(""), SPAN(""), key, err) < 0)
		return -1;
	key[APPROVAL_DIGEST_BYTES] = '/';
	if (id.len == APPROVAL_ID_BYTES)
		memcpy(key + APPROVAL_DIGEST_BYTES + 1, id.ptr, id.len);
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Who asks for what: the key under which an approval of it is found again. */
static int request_key(const struct approval_request *request, char key[APPROVAL_DIGEST_BYTES],
		       struct err *err)
{
	return approval_digest(request->operation, request->requester, request->role,
			       request->digest, key, err);
}

static enum store_result create(struct store *store, const struct approval_request *request,
				struct span key, const struct store_record *pointer,
				struct arena *arena, struct approval *a, struct err *err)
{
	char digits[APPROVAL_ID_BYTES - 2], waits[PENDING_KEY_MAX];
	struct store_index state;
	struct store_change changes[3];
	enum store_result result;
	struct buf value;

	rand_hex(digits, sizeof(digits) / 2);
	*a = (struct approval){
		.id = arena_printf(arena, "a_%.*s", (int)sizeof(digits), digits),
		.operation = request->operation,
		.requester = request->requester,
		.method = request->method,
		.target = request->target,
		.digest = request->digest,
		.role = request->role,
		.needed = request->needed,
		.created_unix_ms = request->now_unix_ms,
		.expires_unix_ms = request->expires_unix_ms,
	};
	buf_init(&value, STORE_VALUE_BYTES_MAX);
	if (!a->id.ptr) {
		no_memory(err);
		return STORE_FAILED;
	}
	changes[0] = change_of(a, &value, &state);
	changes[1] = (struct store_change){
		.kind = REQUEST_KIND,
		.key = key,
		.expect = pointer ? STORE_EXPECT_VERSION : STORE_EXPECT_ABSENT,
		.version = pointer ? pointer->version : 0,
		.value = a->id,
		.expires_unix_ms = a->expires_unix_ms,
	};
	changes[2] = (struct store_change){
		.kind = PENDING_KIND,
		.key = span_of(waits, sizeof(waits)),
		.expect = STORE_EXPECT_ANY,
		.value = SPAN("-"),
		.expires_unix_ms = a->expires_unix_ms,
	};
	if (buf_failed(&value)) {
		no_memory(err);
		result = STORE_FAILED;
	} else if (pending_key(a->requester, a->id, waits, err) < 0) {
		result = STORE_FAILED;
	} else {
		result = store_commit(store, changes, 3, err);
	}
	buf_release(&value);
	return result;
}

/* May the requester have one more that waits? */
static enum approval_result has_room(struct store *store,
				     const struct approval_request *request,
				     struct arena *arena, struct err *err)
{
	char key[PENDING_KEY_MAX];
	struct store_page page;

	if (!request->pending_max)
		return APPROVAL_OK;
	if (pending_key(request->requester, SPAN(""), key, err) < 0 ||
	    store_list(store, PENDING_KIND, span_of(key, APPROVAL_DIGEST_BYTES + 1), SPAN(""),
		       request->pending_max, arena, &page, err) != STORE_OK)
		return APPROVAL_FAILED;
	return page.count < request->pending_max ? APPROVAL_OK : APPROVAL_TOO_MANY;
}

/* One that was asked for before and is still of use: APPROVAL_OK; APPROVAL_ABSENT: none. */
static enum approval_result find_open(struct store *store,
				      const struct approval_request *request,
				      const struct store_record *pointer, struct arena *arena,
				      struct approval *a, struct err *err)
{
	enum approval_result result =
		approval_get(store, pointer->value, request->now_unix_ms, arena, a, err);

	/* Since it was asked for, the configuration may have come to ask for more people. */
	if (result == APPROVAL_OK && a->needed != request->needed)
		return APPROVAL_ABSENT;
	if (result == APPROVAL_OK && a->state != APPROVAL_PENDING &&
	    a->state != APPROVAL_APPROVED)
		return APPROVAL_ABSENT;
	return result;
}

enum approval_result approval_ask(struct store *store, const struct approval_request *request,
				  struct arena *arena, struct approval *approval,
				  struct err *err)
{
	char digits[APPROVAL_DIGEST_BYTES];
	struct span key = span_of(digits, sizeof(digits));

	if (request_key(request, digits, err) < 0)
		return APPROVAL_FAILED;
	for (int i = 0; i < TRIES; i++) {
		struct store_record pointer;
		enum approval_result open = APPROVAL_ABSENT;
		enum store_result found =
			store_get(store, REQUEST_KIND, key, arena, &pointer, err);

		if (found == STORE_OK)
			open = find_open(store, request, &pointer, arena, approval, err);
		if (found == STORE_FAILED || open == APPROVAL_FAILED)
			return APPROVAL_FAILED;
		if (open == APPROVAL_OK)
			return APPROVAL_OK;
		open = has_room(store, request, arena, err);
		if (open != APPROVAL_OK)
			return open;
		switch (create(store, request, key, found == STORE_OK ? &pointer : NULL, arena,
			       approval, err)) {
		case STORE_OK:
			return approval_get(store, approval->id, request->now_unix_ms, arena,
					    approval, err);
		case STORE_ABSENT:
		case STORE_CONFLICT: break; /* somebody else was first: look again */
		case STORE_FAILED: return APPROVAL_FAILED;
		}
	}
	err_set(err, ERR_UNAVAILABLE, "too many ask for the same approval at once");
	return APPROVAL_FAILED;
}

/* ---- deciding and using ---------------------------------------------------------------------- */

static enum store_result put(struct store *store, const struct approval *a, struct err *err)
{
	char waits[PENDING_KEY_MAX];
	struct store_index state;
	struct store_change changes[2];
	enum store_result result;
	struct buf value;

	buf_init(&value, STORE_VALUE_BYTES_MAX);
	changes[0] = change_of(a, &value, &state);
	/* Whatever it has become, unless it still waits for more votes, it waits no more. */
	changes[1] = (struct store_change){.kind = PENDING_KIND,
					   .key = span_of(waits, sizeof(waits)),
					   .expect = STORE_EXPECT_ANY,
					   .remove = true};
	if (buf_failed(&value)) {
		no_memory(err);
		result = STORE_FAILED;
	} else if (pending_key(a->requester, a->id, waits, err) < 0) {
		result = STORE_FAILED;
	} else {
		result =
			store_commit(store, changes, a->state == APPROVAL_PENDING ? 1 : 2, err);
	}
	buf_release(&value);
	return result;
}

static unsigned approvals_of(const struct approval *a)
{
	unsigned count = 0;

	for (size_t i = 0; i < a->vote_count; i++)
		count += a->votes[i].approves;
	return count;
}

static enum approval_result add_vote(struct approval *a, const struct approval_vote *vote)
{
	if (span_eq(vote->by, a->requester))
		return APPROVAL_OWN;
	for (size_t i = 0; i < a->vote_count; i++)
		if (span_eq(a->votes[i].by, vote->by))
			return APPROVAL_TWICE;
	if (a->state != APPROVAL_PENDING || a->vote_count == APPROVAL_VOTES_MAX)
		return APPROVAL_CLOSED;
	a->votes[a->vote_count++] = *vote;
	if (!vote->approves)
		a->state = APPROVAL_DENIED;
	else if (approvals_of(a) >= a->needed)
		a->state = APPROVAL_APPROVED;
	return APPROVAL_OK;
}

enum approval_result approval_decide(struct store *store, struct span id,
				     const struct approval_vote *vote, struct arena *arena,
				     struct approval *approval, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		enum approval_result result =
			approval_get(store, id, vote->unix_ms, arena, approval, err);

		if (result == APPROVAL_OK)
			result = add_vote(approval, vote);
		if (result != APPROVAL_OK)
			return result;
		switch (put(store, approval, err)) {
		case STORE_OK: return APPROVAL_OK;
		case STORE_ABSENT:
		case STORE_CONFLICT: break; /* another vote came in between */
		case STORE_FAILED: return APPROVAL_FAILED;
		}
	}
	err_set(err, ERR_UNAVAILABLE, "too many decide on the same approval at once");
	return APPROVAL_FAILED;
}

enum approval_result approval_use(struct store *store, struct span id, struct span requester,
				  struct span digest, int64_t now_unix_ms, struct arena *arena,
				  struct approval *approval, struct err *err)
{
	enum approval_result result =
		approval_get(store, id, now_unix_ms, arena, approval, err);

	if (result != APPROVAL_OK)
		return result;
	if (!span_eq(approval->requester, requester) || !span_eq(approval->digest, digest))
		return APPROVAL_OTHER;
	if (approval->state == APPROVAL_PENDING)
		return APPROVAL_WAITING;
	if (approval->state != APPROVAL_APPROVED)
		return APPROVAL_CLOSED;
	approval->state = APPROVAL_USED;
	approval->used_unix_ms = now_unix_ms;
	switch (put(store, approval, err)) {
	case STORE_OK: return APPROVAL_OK;
	/* Nothing follows an approval but its use: another request was first. */
	case STORE_ABSENT:
	case STORE_CONFLICT: return APPROVAL_CLOSED;
	case STORE_FAILED: break;
	}
	return APPROVAL_FAILED;
}

int approval_list(struct store *store, enum approval_state state, struct span after,
		  size_t limit, int64_t now_unix_ms, struct arena *arena,
		  struct approval_list *list, struct err *err)
{
	struct store_index index = {SPAN("state"), span_cstr(state_names[state])};
	struct store_page page;

	if (store_find(store, KIND, &index, after, limit, arena, &page, err) != STORE_OK)
		return -1;
	*list = (struct approval_list){.more = page.more};
	list->at = arena_array(arena, struct approval, page.count ? page.count : 1);
	if (!list->at)
		return err_set(err, ERR_MEMORY, "no memory for a list of approvals");
	for (; list->count < page.count; list->count++)
		if (read_record(&page.records[list->count], now_unix_ms, arena,
				&list->at[list->count], err) != APPROVAL_OK)
			return -1;
	return 0;
}
