#include "guard/ban_store.h"

#include "parse/json.h"
#include "parse/json_write.h"

#define KIND SPAN("ban")
#define CHANGES SPAN("ban.changes")
#define CHANGES_LIFE_MS ((int64_t)7 * 86400 * 1000)
#define PAGE 500
#define PAGE_BYTES_MAX ((size_t)4 << 20)

const char *ban_kind_name(unsigned kind)
{
	return kind == BAN_MANUAL ? "manual" : config_ips_kind_name((enum config_ips_kind)kind);
}

/* A count that fails is made up for: replicas read everything from time to time. */
static void note_change(struct store *store)
{
	struct store_counter counter;
	struct err err;

	(void)store_count(store, CHANGES, 1, CHANGES_LIFE_MS, STORE_COUNT_SLIDING, &counter,
			  &err);
}

static struct span write_record(const struct ban *ban, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("kind"), span_cstr(ban_kind_name(ban->kind)));
	json_member_int(&w, SPAN("since"), ban->since_unix_ms);
	if (ban->until_unix_ms != BAN_FOREVER)
		json_member_int(&w, SPAN("until"), ban->until_unix_ms);
	json_member_int(&w, SPAN("offences"), ban->offences);
	json_end_object(&w);
	return buf_span(to);
}

int ban_store_put(struct store *store, const struct ban *ban, uint64_t memory_ms,
		  struct err *err)
{
	struct store_change change = {.kind = KIND, .key = span_cstr(ban->who)};
	enum store_result result;
	struct buf value;

	buf_init(&value, 1024);
	change.value = write_record(ban, &value);
	if (ban->until_unix_ms < BAN_FOREVER - (int64_t)memory_ms)
		change.expires_unix_ms = ban->until_unix_ms + (int64_t)memory_ms;
	if (buf_failed(&value)) {
		buf_release(&value);
		return err_set(err, ERR_MEMORY, "no memory for a ban");
	}
	result = store_commit(store, &change, 1, err);
	buf_release(&value);
	if (result != STORE_OK)
		return -1;
	note_change(store);
	return 0;
}

enum store_result ban_store_remove(struct store *store, struct span who, struct err *err)
{
	struct store_change change = {
		.kind = KIND, .key = who, .expect = STORE_EXPECT_VERSION, .remove = true};
	enum store_result result = STORE_CONFLICT;

	while (result == STORE_CONFLICT) {
		struct store_record record;
		struct arena arena;

		arena_init(&arena, PAGE_BYTES_MAX, 4096);
		result = store_get(store, KIND, who, &arena, &record, err);
		arena_release(&arena);
		if (result != STORE_OK)
			return result;
		change.version = record.version;
		result = store_commit(store, &change, 1, err);
	}
	if (result == STORE_OK)
		note_change(store);
	return result;
}

int ban_store_changes(struct store *store, int64_t *changes, struct err *err)
{
	struct store_counter counter;

	if (store_count_get(store, CHANGES, &counter, err) != STORE_OK)
		return -1;
	*changes = counter.value;
	return 0;
}

static unsigned kind_of(const struct json *name)
{
	for (unsigned kind = 0; kind < CONFIG_IPS_KINDS; kind++)
		if (json_is(name, span_cstr(ban_kind_name(kind))))
			return kind;
	return BAN_MANUAL;
}

static bool read_record(const struct store_record *record, struct arena *arena, struct ban *ban)
{
	const struct json *json = json_parse(arena, record->value, NULL, NULL);
	int64_t offences;

	*ban = (struct ban){.until_unix_ms = BAN_FOREVER};
	if (record->key.len >= BAN_WHO_SIZE ||
	    !json_int(json_get(json, SPAN("since")), &ban->since_unix_ms) ||
	    !json_int(json_get(json, SPAN("offences")), &offences) || offences < 1 ||
	    offences > UINT32_MAX)
		return false;
	if (json_get(json, SPAN("until")) &&
	    !json_int(json_get(json, SPAN("until")), &ban->until_unix_ms))
		return false;
	memcpy(ban->who, record->key.ptr, record->key.len);
	ban->offences = (uint32_t)offences;
	ban->kind = kind_of(json_get(json, SPAN("kind")));
	return true;
}

static int each_of_page(struct store *store, struct span after, struct arena *arena,
			struct store_page *page,
			void (*each)(void *context, const struct ban *ban), void *context,
			struct err *err)
{
	if (store_list(store, KIND, SPAN(""), after, PAGE, arena, page, err) != STORE_OK)
		return -1;
	for (size_t i = 0; i < page->count; i++) {
		struct ban ban;

		if (read_record(&page->records[i], arena, &ban))
			each(context, &ban);
	}
	return 0;
}

int ban_store_each(struct store *store, void (*each)(void *context, const struct ban *ban),
		   void *context, struct err *err)
{
	char after[STORE_KEY_BYTES_MAX];
	size_t after_len = 0;
	struct store_page page = {.more = true};

	while (page.more) {
		struct arena arena;
		int result;

		arena_init(&arena, PAGE_BYTES_MAX, 65536);
		result = each_of_page(store, span_of(after, after_len), &arena, &page, each,
				      context, err);
		if (result == 0 && page.count > 0) {
			struct span last = page.records[page.count - 1].key;

			after_len = last.len < sizeof(after) ? last.len : sizeof(after);
			memcpy(after, last.ptr, after_len);
		}
		arena_release(&arena);
		if (result < 0)
			return -1;
		if (page.count == 0)
			break;
	}
	return 0;
}
