#include "guard/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/secret.h"
#include "parse/base64.h"
#include "parse/json.h"
#include "parse/json_write.h"

#define KIND SPAN("webhook")
#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define PAGE 100
#define PAGES_BYTES_MAX ((size_t)64 << 20)
#define SECRET_PREFIX SPAN("whsec_")
#define SECRET_BYTES_MAX 512

static const char *const state_names[] = {
	[WEBHOOK_PENDING] = "pending",
	[WEBHOOK_DELIVERED] = "delivered",
	[WEBHOOK_DEAD] = "dead",
};

const char *webhook_state_name(enum webhook_state state)
{
	return state_names[state];
}

bool webhook_state_parse(struct span word, enum webhook_state *state)
{
	for (unsigned i = 0; i < COUNT_OF(state_names); i++) {
		if (!span_eq(word, span_cstr(state_names[i])))
			continue;
		*state = (enum webhook_state)i;
		return true;
	}
	return false;
}

/* ---- records --------------------------------------------------------------------------------- */

void webhook_write(const struct webhook_delivery *d, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("id"), d->id);
	json_member_string(&w, SPAN("state"), span_cstr(state_names[d->state]));
	json_member_string(&w, SPAN("webhook"), d->hook);
	json_member_string(&w, SPAN("event"), d->event);
	json_member_int(&w, SPAN("created_unix_ms"), d->created_unix_ms);
	json_member_int(&w, SPAN("since_unix_ms"), d->since_unix_ms);
	json_member_int(&w, SPAN("due_unix_ms"), d->due_unix_ms);
	json_member_int(&w, SPAN("attempts"), d->attempts);
	if (d->problem.len)
		json_member_string(&w, SPAN("problem"), d->problem);
	json_member_string(&w, SPAN("body"), d->body);
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

static enum store_result read_record(const struct store_record *record, struct arena *arena,
				     struct webhook_delivery *d, struct err *err)
{
	const struct json *object = json_parse(arena, record->value, NULL, err);
	struct span state = SPAN_NONE;
	int64_t attempts = 0;

	*d = (struct webhook_delivery){.version = record->version};
	if (!object)
		goto damaged;
	if (!read_text(object, "id", &d->id) || !read_text(object, "state", &state) ||
	    !webhook_state_parse(state, &d->state) || !read_text(object, "webhook", &d->hook) ||
	    !read_text(object, "event", &d->event) || !read_text(object, "body", &d->body) ||
	    !read_number(object, "created_unix_ms", &d->created_unix_ms) ||
	    !read_number(object, "since_unix_ms", &d->since_unix_ms) ||
	    !read_number(object, "due_unix_ms", &d->due_unix_ms) ||
	    !read_number(object, "attempts", &attempts) || attempts < 0 ||
	    attempts > UINT32_MAX) {
		err_set(err, ERR_INVALID, "not a delivery");
		goto damaged;
	}
	read_text(object, "problem", &d->problem);
	d->attempts = (uint32_t)attempts;
	return STORE_OK;
damaged:
	err_wrap(err, "the store's record of webhook delivery %.*s", SPAN_ARG(record->key));
	return STORE_FAILED;
}

static int64_t expiry(const struct webhook_delivery *d, int64_t now_unix_ms)
{
	switch (d->state) {
	case WEBHOOK_PENDING: break;
	case WEBHOOK_DELIVERED: return now_unix_ms + DAY_MS;
	case WEBHOOK_DEAD: return now_unix_ms + 30 * DAY_MS;
	}
	return 0;
}

static enum store_result put(struct store *store, struct webhook_delivery *d,
			     int64_t now_unix_ms, struct err *err)
{
	struct store_index indexes[2] = {
		{SPAN("state"), span_cstr(state_names[d->state])},
		{SPAN("queue"), d->hook},
	};
	struct store_change change = {
		.kind = KIND,
		.key = d->id,
		.expect = d->version ? STORE_EXPECT_VERSION : STORE_EXPECT_ABSENT,
		.version = d->version,
		.expires_unix_ms = expiry(d, now_unix_ms),
		.indexes = indexes,
		.index_count = d->state == WEBHOOK_PENDING ? 2 : 1,
	};
	enum store_result result = STORE_FAILED;
	struct buf value;

	buf_init(&value, STORE_VALUE_BYTES_MAX);
	webhook_write(d, &value);
	change.value = buf_span(&value);
	if (buf_failed(&value))
		err_set(err, ERR_MEMORY, "no memory for a webhook delivery");
	else
		result = store_commit(store, &change, 1, err);
	buf_release(&value);
	return result;
}

int webhook_put(struct store *store, struct span hook, struct span event, struct span data,
		int64_t now_unix_ms, char id[WEBHOOK_ID_BYTES], struct err *err)
{
	char time[CLOCK_RFC3339_SIZE], digits[13];
	struct webhook_delivery d = {.hook = hook,
				     .event = event,
				     .created_unix_ms = now_unix_ms,
				     .since_unix_ms = now_unix_ms,
				     .due_unix_ms = now_unix_ms};
	enum store_result result;
	struct json_writer w;
	struct buf body;

	snprintf(digits, sizeof(digits), "%012llx",
		 (unsigned long long)now_unix_ms & 0xffffffffffff);
	memcpy(id, "wh_", 3);
	memcpy(id + 3, digits, 12);
	rand_hex(id + 15, 8);
	d.id = span_of(id, WEBHOOK_ID_BYTES);
	clock_rfc3339(time, now_unix_ms);
	buf_init(&body, WEBHOOK_BODY_BYTES_MAX);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("type"), event);
	json_member_string(&w, SPAN("timestamp"), span_cstr(time));
	json_key(&w, SPAN("data"));
	json_put_raw(&w, data);
	json_end_object(&w);
	d.body = buf_span(&body);
	if (buf_failed(&body)) {
		buf_release(&body);
		return err_set(err, ERR_LIMIT, "the event is too long for a webhook");
	}
	result = put(store, &d, now_unix_ms, err);
	buf_release(&body);
	if (result == STORE_OK)
		return 0;
	if (result != STORE_FAILED)
		err_set(err, ERR_INTERNAL, "two deliveries have the same id");
	return -1;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* The first of a page that is due; otherwise the earliest time of the others. */
static enum store_result find_due(const struct store_page *page, int64_t now_unix_ms,
				  struct arena *arena, struct webhook_delivery *found,
				  int64_t *next_unix_ms, struct err *err)
{
	for (size_t i = 0; i < page->count; i++) {
		struct webhook_delivery d;

		if (read_record(&page->records[i], arena, &d, err) != STORE_OK)
			return STORE_FAILED;
		if (d.state != WEBHOOK_PENDING)
			continue;
		if (d.due_unix_ms <= now_unix_ms) {
			*found = d;
			return STORE_OK;
		}
		if (d.due_unix_ms < *next_unix_ms)
			*next_unix_ms = d.due_unix_ms;
	}
	return STORE_ABSENT;
}

static enum store_result take(struct store *store, struct webhook_delivery *d,
			      int64_t now_unix_ms, int64_t lease_ms, struct arena *arena,
			      struct err *err)
{
	enum store_result result;

	d->attempts++;
	d->due_unix_ms = now_unix_ms + lease_ms;
	result = put(store, d, now_unix_ms, err);
	/* For the version that settling it expects. */
	return result == STORE_OK ? webhook_get(store, d->id, arena, d, err) : result;
}

enum store_result webhook_take(struct store *store, struct span hook, int64_t now_unix_ms,
			       int64_t lease_ms, struct arena *arena,
			       struct webhook_delivery *delivery, int64_t *next_unix_ms,
			       size_t *waiting, struct err *err)
{
	struct store_index index = {SPAN("queue"), hook};
	enum store_result result = STORE_ABSENT;
	char last[STORE_KEY_BYTES_MAX];
	struct span after = SPAN("");
	struct store_page page;
	struct arena pages;

	*next_unix_ms = INT64_MAX;
	*waiting = 0;
	arena_init(&pages, PAGES_BYTES_MAX, 65536);
	do {
		enum store_result found = STORE_ABSENT;

		if (store_find(store, KIND, &index, after, PAGE, &pages, &page, err) !=
		    STORE_OK)
			result = STORE_FAILED;
		else if (result == STORE_ABSENT)
			found = find_due(&page, now_unix_ms, &pages, delivery, next_unix_ms,
					 err);
		if (found == STORE_OK)
			found = take(store, delivery, now_unix_ms, lease_ms, arena, err);
		/* Another sender was first: there may be more that are due. */
		if (found == STORE_CONFLICT)
			*next_unix_ms = now_unix_ms;
		else if (found != STORE_ABSENT)
			result = found;
		if (result == STORE_FAILED)
			break;
		*waiting += page.count;
		if (page.count) {
			after = page.records[page.count - 1].key;
			memcpy(last, after.ptr, after.len);
			after.ptr = last;
		}
		arena_reset(&pages);
	} while (page.more);
	arena_release(&pages);
	return result;
}

uint64_t webhook_backoff_ms(const struct webhook_policy *policy, uint32_t attempts,
			    uint64_t random)
{
	uint64_t wait_ms = policy->backoff_ms;

	for (uint32_t i = 1; i < attempts && wait_ms < policy->max_backoff_ms; i++)
		wait_ms *= 2;
	if (wait_ms > policy->max_backoff_ms)
		wait_ms = policy->max_backoff_ms;
	return wait_ms - random % (wait_ms / 2 + 1);
}

enum store_result webhook_settle(struct store *store, struct webhook_delivery *d,
				 enum webhook_outcome outcome, struct span problem,
				 const struct webhook_policy *policy, int64_t now_unix_ms,
				 uint64_t random, struct err *err)
{
	d->problem = span_slice(problem, 0, WEBHOOK_PROBLEM_BYTES_MAX);
	switch (outcome) {
	case WEBHOOK_TAKEN_OVER: d->state = WEBHOOK_DELIVERED; break;
	case WEBHOOK_REFUSED: d->state = WEBHOOK_DEAD; break;
	case WEBHOOK_FAILED:
		d->due_unix_ms =
			now_unix_ms + (int64_t)webhook_backoff_ms(policy, d->attempts, random);
		if (d->due_unix_ms - d->since_unix_ms > (int64_t)policy->max_age_ms)
			d->state = WEBHOOK_DEAD;
		break;
	}
	return put(store, d, now_unix_ms, err);
}

/* ---- looking, and by hand -------------------------------------------------------------------- */

enum store_result webhook_get(struct store *store, struct span id, struct arena *arena,
			      struct webhook_delivery *delivery, struct err *err)
{
	struct store_record record;
	enum store_result result;

	if (id.len != WEBHOOK_ID_BYTES)
		return STORE_ABSENT;
	result = store_get(store, KIND, id, arena, &record, err);
	return result == STORE_OK ? read_record(&record, arena, delivery, err) : result;
}

int webhook_list(struct store *store, enum webhook_state state, struct span after, size_t limit,
		 struct arena *arena, struct webhook_list *list, struct err *err)
{
	struct store_index index = {SPAN("state"), span_cstr(state_names[state])};
	struct store_page page;

	if (store_find(store, KIND, &index, after, limit, arena, &page, err) != STORE_OK)
		return -1;
	*list = (struct webhook_list){
		.at = arena_zalloc(arena, page.count + 1, sizeof(*list->at)),
		.more = page.more};
	if (!list->at)
		return err_set(err, ERR_MEMORY, "no memory for webhook deliveries");
	for (; list->count < page.count; list->count++)
		if (read_record(&page.records[list->count], arena, &list->at[list->count],
				err) != STORE_OK)
			return -1;
	return 0;
}

enum store_result webhook_retry(struct store *store, struct span id, int64_t now_unix_ms,
				struct arena *arena, struct webhook_delivery *d,
				struct err *err)
{
	enum store_result result = webhook_get(store, id, arena, d, err);

	if (result != STORE_OK)
		return result;
	if (d->state == WEBHOOK_DELIVERED)
		return STORE_ABSENT;
	d->state = WEBHOOK_PENDING;
	d->since_unix_ms = d->due_unix_ms = now_unix_ms;
	d->attempts = 0;
	return put(store, d, now_unix_ms, err);
}

enum store_result webhook_discard(struct store *store, struct span id, struct arena *arena,
				  struct err *err)
{
	struct webhook_delivery d;
	enum store_result result = webhook_get(store, id, arena, &d, err);
	struct store_change change = {
		.kind = KIND, .key = id, .expect = STORE_EXPECT_VERSION, .remove = true};

	if (result != STORE_OK)
		return result;
	change.version = d.version;
	return store_commit(store, &change, 1, err);
}

/* ---- the signature --------------------------------------------------------------------------- */

static bool sign(struct span key, struct span text, char signature[WEBHOOK_SIGNATURE_BYTES])
{
	unsigned char mac[32];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)text.ptr,
		  text.len, mac, &len) ||
	    len != sizeof(mac))
		return false;
	memcpy(signature, "v1,", 3);
	base64_encode(signature + 3, span_of(mac, len));
	return true;
}

int webhook_sign(struct span secret, struct span id, int64_t unix_s, struct span body,
		 char signature[WEBHOOK_SIGNATURE_BYTES], struct err *err)
{
	char decoded[SECRET_BYTES_MAX];
	struct span key = secret;
	struct buf text;
	size_t len = 0;
	bool done;

	if (span_starts_with(secret, SECRET_PREFIX)) {
		struct span digits = span_slice(secret, SECRET_PREFIX.len, secret.len);

		if (base64_decoded_max(digits.len) > sizeof(decoded) ||
		    !base64_decode(decoded, &len, digits))
			return err_set(err, ERR_INVALID, "the webhook's secret is no base64");
		key = span_of(decoded, len);
	}
	buf_init(&text, body.len + 128);
	buf_printf(&text, "%.*s.%lld.", SPAN_ARG(id), (long long)unix_s);
	buf_append(&text, body);
	done = !buf_failed(&text) && sign(key, buf_span(&text), signature);
	secret_wipe(decoded, sizeof(decoded));
	buf_release(&text);
	return done ? 0 : err_set(err, ERR_MEMORY, "no memory for a signature");
}
