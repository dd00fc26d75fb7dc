#include "supply/waiver.h"

#include <openssl/evp.h>

#include "config/schema_parts.h"
#include "parse/base64.h"
#include "supply/osv.h"
#include "supply/waiver_key.h"

#define TEXT_MAX ((size_t)1 << 20)
#define DAY_S 86400

static bool is_signature(struct span text)
{
	unsigned char bytes[WAIVER_SIGNATURE_BYTES + 8];
	size_t len;

	return text.len == 88 && base64_decode(bytes, &len, text) &&
	       len == WAIVER_SIGNATURE_BYTES;
}

static const struct schema_format format_signature = {"64 bytes in base64", is_signature, false,
						      "^[A-Za-z0-9+/]{86}==$"};

static const struct schema_key keys[] = {
	{KEY("id", TEXT, waiver, id), .flags = SCHEMA_REQUIRED, .format = &format_any,
	 .text = "Of an advisory (or one of its aliases) or a rule."},
	{KEY("component", TEXT, waiver, scope.component), .format = &policy_format_purl,
	 .text = "Only of this component."},
	{KEY("versions", TEXT, waiver, scope.versions), .format = &policy_format_versions,
	 .text = "Only of these versions of it."},
	{KEY("path", TEXT, waiver, scope.path), .format = &format_any,
	 .text = "Only in this file, in files below this folder, or of this pattern (*, **, "
		 "?)."},
	{KEY("service", TEXT, waiver, scope.service), .format = &format_name,
	 .text = "Only of this service."},
	{KEY("reason", TEXT, waiver, reason), .flags = SCHEMA_REQUIRED,
	 .format = &policy_format_text, .text = "Why."},
	{KEY("owner", TEXT, waiver, owner), .flags = SCHEMA_REQUIRED,
	 .format = &policy_format_text, .text = "Who answers for it."},
	{KEY("expires", TEXT, waiver, expires), .flags = SCHEMA_REQUIRED,
	 .format = &policy_format_day, .text = "The last day on which it counts."},
	{KEY("champion", TEXT, waiver, champion), .format = &format_name,
	 .text = "Who has signed it."},
	{KEY("signature", TEXT, waiver, signature), .format = &format_signature,
	 .text = "Written by `sallyport waiver sign`."},
	{.name = NULL},
};

static void finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct waiver *w = object;

	if (w->scope.versions.len && !w->scope.component.len)
		reader_error(reader, node->where, "'versions' of what? give 'component'");
}

const struct schema_object waiver_schema = {
	.name = "waiver",
	.size = sizeof(struct waiver),
	.keys = keys,
	.has_where = true,
	.finish = finish,
};

int waiver_list_load(struct waiver_list *list, const char *path,
		     struct config_problems *problems)
{
	*list = (struct waiver_list){0};
	return table_load_list(&waiver_schema, path, &list->all, &list->memory, problems);
}

int waiver_list_load_text(struct waiver_list *list, struct span text, const char *name,
			  struct config_problems *problems)
{
	*list = (struct waiver_list){0};
	return table_load_list_text(&waiver_schema, text, name, &list->all, &list->memory,
				    problems);
}

void waiver_list_release(struct waiver_list *list)
{
	table_release(&list->memory);
	*list = (struct waiver_list){0};
}

/* ---- what is signed -------------------------------------------------------------------------- */

static void put_line(struct buf *to, struct span text)
{
	buf_append_byte(to, '"');
	buf_append_json(to, text);
	buf_append_cstr(to, "\"\n");
}

void waiver_text(const struct waiver *w, struct buf *to)
{
	buf_append_cstr(to, "sallyport waiver 1\n");
	put_line(to, w->id);
	put_line(to, w->scope.component);
	put_line(to, w->scope.versions);
	put_line(to, w->scope.path);
	put_line(to, w->scope.service);
	put_line(to, w->reason);
	put_line(to, w->owner);
	put_line(to, w->expires);
	put_line(to, w->champion);
}

#define ESCAPE_SIZE 8

/* Characters that YAML ends lines at, or takes in no document: to be written as escapes. */
static const struct {
	struct span bytes;
	const char *escape;
} awkward[] = {
	{SPAN_INIT("${"), "$${"}, /* a plain one is written so */
	{SPAN_INIT("\xe2\x80\xa8"), "\\u2028"},
	{SPAN_INIT("\xe2\x80\xa9"), "\\u2029"},
	{SPAN_INIT("\xef\xbb\xbf"), "\\ufeff"},
	{SPAN_INIT("\xef\xbf\xbe"), "\\ufffe"},
	{SPAN_INIT("\xef\xbf\xbf"), "\\uffff"},
};

/* The escape of what text begins with, and how many bytes that is; 0: it needs none. */
static size_t escape_of(struct span text, char escape[ESCAPE_SIZE])
{
	const unsigned char *p = (const unsigned char *)text.ptr;

	if (text.len >= 2 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
		snprintf(escape, ESCAPE_SIZE, "\\u%04x", p[1]);
		return 2;
	}
	for (size_t i = 0; i < COUNT_OF(awkward); i++) {
		if (span_starts_with(text, awkward[i].bytes)) {
			snprintf(escape, ESCAPE_SIZE, "%s", awkward[i].escape);
			return awkward[i].bytes.len;
		}
	}
	return 0;
}

/* So that it is read again as it was. */
static void put_member(struct buf *to, const char *before, struct span value)
{
	size_t plain = 0, at = 0;

	if (value.len == 0)
		return;
	buf_append_cstr(to, before);
	buf_append_byte(to, '"');
	while (at < value.len) {
		char escape[ESCAPE_SIZE];
		size_t len = escape_of(span_slice(value, at, value.len), escape);

		if (len) {
			buf_append_json(to, span_slice(value, plain, at));
			buf_append_cstr(to, escape);
			plain = at + len;
		}
		at += len ? len : 1;
	}
	buf_append_json(to, span_slice(value, plain, value.len));
	buf_append_cstr(to, "\"\n");
}

void waiver_write(const struct waiver *w, struct buf *to)
{
	put_member(to, "- id: ", w->id);
	put_member(to, "  component: ", w->scope.component);
	put_member(to, "  versions: ", w->scope.versions);
	put_member(to, "  path: ", w->scope.path);
	put_member(to, "  service: ", w->scope.service);
	put_member(to, "  reason: ", w->reason);
	put_member(to, "  owner: ", w->owner);
	put_member(to, "  expires: ", w->expires);
	put_member(to, "  champion: ", w->champion);
	put_member(to, "  signature: ", w->signature);
}

/* ---- who has signed -------------------------------------------------------------------------- */

static bool verify(const struct waiver *w, struct span key)
{
	struct buf text;
	bool good;

	buf_init(&text, TEXT_MAX);
	waiver_text(w, &text);
	good = !buf_failed(&text) && waiver_key_verify(key, w->signature, buf_span(&text));
	buf_release(&text);
	return good;
}

static enum waiver_state state_of(const struct waiver *w, const struct policy *policy,
				  int64_t now_s)
{
	struct span key = SPAN_NONE;

	if (w->signature.len == 0 || w->champion.len == 0)
		return WAIVER_UNSIGNED;
	for (size_t i = 0; i < policy->champions.count; i++)
		if (span_eq(policy->champions.at[i].name, w->champion))
			key = policy->champions.at[i].key;
	if (key.len == 0)
		return WAIVER_STRANGER;
	if (!verify(w, key))
		return WAIVER_ALTERED;
	return now_s < osv_time_s(w->expires) + DAY_S ? WAIVER_GOOD : WAIVER_EXPIRED;
}

size_t waiver_list_verify(struct waiver_list *list, const struct policy *policy, int64_t now_s)
{
	size_t bad = 0;

	for (size_t i = 0; i < list->all.count; i++) {
		struct waiver *w = &list->all.at[i];

		w->state = state_of(w, policy, now_s);
		bad += w->state != WAIVER_GOOD;
	}
	return bad;
}

const char *waiver_state_text(enum waiver_state state)
{
	switch (state) {
	case WAIVER_GOOD: return "it counts";
	case WAIVER_UNSIGNED: return "nobody has signed it";
	case WAIVER_STRANGER: return "its champion is not listed in the policy";
	case WAIVER_ALTERED: return "the signature is not its champion's for what it says";
	case WAIVER_EXPIRED: return "it has expired";
	}
	return "unknown";
}

int waiver_apply(struct waiver_list *list, struct result_list *results)
{
	for (size_t i = 0; i < results->count; i++) {
		struct result *r = &results->at[i];

		for (size_t k = 0; k < list->all.count && result_counts(r); k++) {
			struct waiver *w = &list->all.at[k];
			struct span why;

			if (w->state != WAIVER_GOOD || !result_has_id(r, w->id) ||
			    !policy_scope_holds(&w->scope, results->inventory, r))
				continue;
			why = arena_printf(&results->arena,
					   "%.*s (%.*s, until %.*s, signed by %.*s)",
					   SPAN_ARG(w->reason), SPAN_ARG(w->owner),
					   SPAN_ARG(w->expires), SPAN_ARG(w->champion));
			if (!why.ptr)
				return -1;
			result_silence(r, RESULT_WAIVED, why);
			w->used++;
		}
	}
	return 0;
}
