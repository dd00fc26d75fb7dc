#include "registry/decision.h"

#include "parse/json.h"
#include "parse/json_write.h"
#include "supply/pattern.h"
#include "supply/purl.h"

#define KIND SPAN("component-decision")
#define VALUE_BYTES_MAX ((size_t)16 * 1024)
#define PAGE 500

/* In the form in which releases are looked for. */
static struct span canonical(struct arena *arena, struct span text, struct err *err)
{
	struct purl p;
	enum purl_result result = purl_parse(arena, text, &p);
	struct span written = SPAN_NONE;

	if (result == PURL_OK) {
		p.qualifier_count = 0;
		p.subpath = SPAN("");
		written = purl_write(arena, &p);
	}
	if (result == PURL_MEMORY || (result == PURL_OK && !written.len))
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else if (result != PURL_OK)
		(void)err_set(err, ERR_INVALID, "'%.*s' is no package URL: %s", SPAN_ARG(text),
			      purl_result_text(result));
	return written;
}

static void write_value(struct buf *to, const struct decision *d)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_bool(&w, SPAN("approved"), d->approved);
	json_member_string(&w, SPAN("by"), d->by);
	json_member_string(&w, SPAN("reason"), d->reason);
	json_member_string(&w, SPAN("instead"), d->instead);
	json_member_int(&w, SPAN("made"), d->made_unix_ms);
	json_end_object(&w);
}

int decision_put(struct store *store, const struct decision *decision, struct err *err)
{
	struct store_change change = {.kind = KIND, .expires_unix_ms = decision->until_unix_ms};
	struct arena arena;
	struct buf value;
	int result = -1;

	arena_init(&arena, (size_t)64 * 1024, 4096);
	buf_init(&value, VALUE_BYTES_MAX);
	change.key = canonical(&arena, decision->purl, err);
	write_value(&value, decision);
	change.value = buf_span(&value);
	if (change.key.len && buf_failed(&value))
		(void)err_set(err, ERR_LIMIT, "the reason is too long");
	else if (change.key.len)
		result = store_commit(store, &change, 1, err) == STORE_OK ? 0 : -1;
	buf_release(&value);
	arena_release(&arena);
	return result;
}

int decision_remove(struct store *store, struct span purl, struct arena *arena, struct err *err)
{
	struct store_change change = {.kind = KIND, .remove = true};
	struct store_record record;

	change.key = canonical(arena, purl, err);
	if (!change.key.len)
		return -1;
	switch (store_get(store, KIND, change.key, arena, &record, err)) {
	case STORE_OK: break;
	case STORE_ABSENT: return 0;
	case STORE_CONFLICT:
	case STORE_FAILED: return -1;
	}
	return store_commit(store, &change, 1, err) == STORE_OK ? 1 : -1;
}

static bool read_value(struct arena *arena, const struct store_record *record,
		       struct decision *d)
{
	const struct json *value = json_parse(arena, record->value, NULL, NULL);

	*d = (struct decision){.purl = record->key, .until_unix_ms = record->expires_unix_ms};
	return json_bool(json_get(value, SPAN("approved")), &d->approved) &&
	       json_string(json_get(value, SPAN("by")), &d->by) &&
	       json_string(json_get(value, SPAN("reason")), &d->reason) &&
	       json_string(json_get(value, SPAN("instead")), &d->instead) &&
	       json_int(json_get(value, SPAN("made")), &d->made_unix_ms);
}

static int add_page(struct arena *arena, const struct store_page *page,
		    struct decision_list *list, struct err *err)
{
	for (size_t i = 0; i < page->count; i++) {
		struct decision *at =
			arena_grow(arena, list->at, list->count, sizeof(list->at[0]));

		if (!at)
			return err_set(err, ERR_MEMORY, "out of memory");
		list->at = at;
		if (!read_value(arena, &page->records[i], &at[list->count]))
			return err_set(err, ERR_INVALID, "the decision on %.*s cannot be read",
				       SPAN_ARG(page->records[i].key));
		list->count++;
	}
	return 0;
}

int decision_list(struct store *store, struct span prefix, struct arena *arena,
		  struct decision_list *list, struct err *err)
{
	struct span after = SPAN("");
	struct store_page page;

	*list = (struct decision_list){.at = NULL};
	do {
		if (store_list(store, KIND, prefix, after, PAGE, arena, &page, err) !=
			    STORE_OK ||
		    add_page(arena, &page, list, err) < 0)
			return -1;
		if (page.count)
			after = page.records[page.count - 1].key;
	} while (page.more);
	return 0;
}

static unsigned weight(const struct decision *d)
{
	bool is_release = span_find_byte(d->purl, '@') < d->purl.len;

	return (is_release ? 2U : 0U) + (d->approved ? 0U : 1U);
}

const struct decision *decision_for(const struct decision_list *list, struct span purl)
{
	const struct decision *best = NULL;

	for (size_t i = 0; i < list->count; i++)
		if (pattern_purl(list->at[i].purl, purl) &&
		    (!best || weight(&list->at[i]) > weight(best)))
			best = &list->at[i];
	return best;
}

static int deny(const struct decision *d, struct arena *arena, struct judgement *j)
{
	j->refused = true;
	j->why = arena_printf(arena, "denied by %.*s%s%.*s%s%.*s", SPAN_ARG(d->by),
			      d->reason.len ? ": " : "", SPAN_ARG(d->reason),
			      j->why.len ? "; " : "", SPAN_ARG(j->why));
	if (!d->instead.len)
		return j->why.ptr ? 0 : -1;
	j->instead = arena_printf(arena, "Use %.*s.", SPAN_ARG(d->instead));
	return j->why.ptr && j->instead.ptr ? 0 : -1;
}

int decision_apply(const struct decision_list *list, struct span purl, bool needs_approval,
		   struct arena *arena, struct judgement *judgement)
{
	const struct decision *d = decision_for(list, purl);

	if (d && !d->approved)
		return deny(d, arena, judgement);
	if (!d && needs_approval && !judgement->refused) {
		judgement->refused = true;
		judgement->why = SPAN("nobody has approved it");
	}
	return 0;
}
