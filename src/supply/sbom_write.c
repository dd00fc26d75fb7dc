#include <openssl/evp.h>

#include "base/hex.h"
#include "base/mem.h"
#include "supply/sbom_internal.h"

#define LIST_BYTES_MAX ((size_t)4 << 30)

/* --- Grouping. */

static int compare_places(const void *a, const void *b, void *context)
{
	const struct inventory *inv = context;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int order = span_compare(inv->at[x].purl, inv->at[y].purl);

	if (order == 0)
		order = span_compare(inv->at[x].file, inv->at[y].file);
	if (order == 0)
		order = (inv->at[x].line > inv->at[y].line) -
			(inv->at[x].line < inv->at[y].line);
	return order ? order : (x > y) - (x < y);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void hash_hex(struct span text, char *digits, size_t bytes)
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	unsigned length;

	(void)EVP_Digest(text.ptr, text.len, digest, &length, EVP_sha256(), NULL);
	hex_encode(digits, digest, bytes);
	digits[2 * bytes] = '\0';
}

static void merge_members(struct sbom_list *list, struct sbom_item *item)
{
	const struct component *first = &list->inv->at[item->members[0]];

	item->first = first;
	item->scope = first->scope;
	item->local = true;
	for (uint32_t i = 0; i < item->member_count; i++) {
		const struct component *c = &list->inv->at[item->members[i]];

		if (c->scope < item->scope)
			item->scope = c->scope;
		if (c->relation == RELATION_DIRECT || item->relation == RELATION_UNKNOWN)
			item->relation = c->relation;
		item->local = item->local && c->local;
		if (!item->licence.len)
			item->licence = c->licence;
	}
	hash_hex(first->purl, item->id, 16);
}

static bool link_item(struct sbom_list *list, struct sbom_item *item, const uint32_t *item_of)
{
	uint32_t self = (uint32_t)(item - list->items), total = 0, count = 0, kept = 0;
	uint32_t *to;

	for (uint32_t i = 0; i < item->member_count; i++)
		total += list->inv->at[item->members[i]].requires_count;
	if (total == 0)
		return true;
	to = arena_array(&list->arena, uint32_t, total);
	if (!to)
		return false;
	for (uint32_t i = 0; i < item->member_count; i++) {
		const struct component *c = &list->inv->at[item->members[i]];

		for (uint32_t k = 0; k < c->requires_count; k++)
			to[count++] = item_of[c->requires[k]];
	}
	qsort(to, count, sizeof(*to), compare_u32);
	for (uint32_t i = 0; i < count; i++) {
		if (to[i] != self && (kept == 0 || to[kept - 1] != to[i]))
			to[kept++] = to[i];
	}
	item->requires = to;
	item->requires_count = kept;
	return true;
}

static bool list_make(struct sbom_list *list)
{
	const struct inventory *inv = list->inv;
	uint32_t *order = arena_array(&list->arena, uint32_t, (size_t)inv->count + 1);
	uint32_t *item_of = arena_array(&list->arena, uint32_t, (size_t)inv->count + 1);

	list->items = arena_array(&list->arena, struct sbom_item, (size_t)inv->count + 1);
	if (!order || !item_of || !list->items)
		return false;
	for (uint32_t i = 0; i < inv->count; i++)
		order[i] = i;
	qsort_r(order, inv->count, sizeof(*order), compare_places, (void *)(uintptr_t)inv);
	for (uint32_t i = 0; i < inv->count; i++) {
		struct sbom_item *item = list->count ? &list->items[list->count - 1] : NULL;

		if (!item || !span_eq(inv->at[item->members[0]].purl, inv->at[order[i]].purl)) {
			item = &list->items[list->count++];
			item->members = order + i;
		}
		item->member_count++;
		item_of[order[i]] = list->count - 1;
	}
	for (uint32_t i = 0; i < list->count; i++)
		merge_members(list, &list->items[i]);
	for (uint32_t i = 0; i < list->count; i++) {
		if (!link_item(list, &list->items[i], item_of))
			return false;
	}
	return true;
}

/* --- What the forms share. */

struct span sbom_subject(const struct inventory *inv)
{
	return inv->subject_name.len ? inv->subject_name : SPAN("unnamed");
}

void sbom_uuid(struct span content, char uuid[37])
{
	char digits[33];
	size_t at = 0;

	hash_hex(content, digits, 16);
	digits[12] = '8';
	digits[16] = "89ab"[(digits[16] <= '9' ? digits[16] - '0' : digits[16] - 'a' + 10) & 3];
	for (size_t i = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			uuid[at++] = '-';
		uuid[at++] = digits[i];
	}
	uuid[at] = '\0';
}

struct span sbom_hash_name(struct span algorithm, bool dash)
{
	static const struct {
		struct span from, with, without;
	} names[] = {
		{SPAN_INIT("sha512"), SPAN_INIT("SHA-512"), SPAN_INIT("SHA512")},
		{SPAN_INIT("sha384"), SPAN_INIT("SHA-384"), SPAN_INIT("SHA384")},
		{SPAN_INIT("sha256"), SPAN_INIT("SHA-256"), SPAN_INIT("SHA256")},
		{SPAN_INIT("sha1"), SPAN_INIT("SHA-1"), SPAN_INIT("SHA1")},
		{SPAN_INIT("md5"), SPAN_INIT("MD5"), SPAN_INIT("MD5")},
	};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (span_eq(algorithm, names[i].from))
			return dash ? names[i].with : names[i].without;
	}
	return SPAN("");
}

const char *sbom_scope_name(enum component_scope scope)
{
	switch (scope) {
	case SCOPE_RUNTIME: return "runtime";
	case SCOPE_OPTIONAL: return "optional";
	case SCOPE_DEV: return "dev";
	}
	return "runtime";
}

const char *sbom_relation_name(enum component_relation relation)
{
	switch (relation) {
	case RELATION_UNKNOWN: return "unknown";
	case RELATION_DIRECT: return "direct";
	case RELATION_TRANSITIVE: return "transitive";
	}
	return "unknown";
}

void sbom_put_comment(const struct sbom_list *list, const struct sbom_item *item,
		      struct buf *to)
{
	const struct component *c = item->first;

	buf_printf(to, "scope=%s; relation=%s", sbom_scope_name(item->scope),
		   sbom_relation_name(item->relation));
	if (item->local)
		buf_append_cstr(to, "; local=true");
	if (c->layer != COMPONENT_NONE && c->layer < list->inv->layer_count)
		buf_printf(to, "; layer=%.*s", SPAN_ARG(list->inv->layers[c->layer].digest));
	if (c->line)
		buf_printf(to, "; line=%u", c->line);
	/* Last: a file's name may hold anything. */
	buf_printf(to, "; file=%.*s", SPAN_ARG(c->file));
}

/* --- Indenting: the writers write compactly, and only strings hold braces otherwise. */

static void new_line(struct buf *to, unsigned depth)
{
	buf_append_byte(to, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_append_cstr(to, "  ");
}

static void indent(struct span json, struct buf *to)
{
	bool quoted = false;
	unsigned depth = 0;

	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];

		if (quoted) {
			buf_append_byte(to, c);
			if (c == '\\' && i + 1 < json.len)
				buf_append_byte(to, json.ptr[++i]);
			quoted = c != '"';
			continue;
		}
		if (c == '}' || c == ']') {
			depth--;
			if (json.ptr[i - 1] != '{' && json.ptr[i - 1] != '[')
				new_line(to, depth);
		}
		buf_append_byte(to, c);
		if (c == '{' || c == '[') {
			depth++;
			if (i + 1 < json.len && json.ptr[i + 1] != '}' &&
			    json.ptr[i + 1] != ']')
				new_line(to, depth);
		} else if (c == ',') {
			new_line(to, depth);
		} else if (c == ':') {
			buf_append_byte(to, ' ');
		}
		quoted = c == '"';
	}
}

static void set_time(struct sbom_list *list)
{
	time_t when = (time_t)list->options->time_s;
	struct tm parts;

	if (list->options->time_s < 0 || !gmtime_r(&when, &parts))
		return;
	if (strftime(list->time, sizeof(list->time), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		list->time[0] = '\0';
}

int sbom_write(const struct inventory *inv, const struct sbom_options *options, struct buf *to,
	       struct err *err)
{
	struct sbom_list list = {.inv = inv, .options = options};
	struct buf compact;
	int result = 0;

	buf_init(&compact, to->max);
	arena_init(&list.arena, LIST_BYTES_MAX, (size_t)256 << 10);
	set_time(&list);
	if (list_make(&list)) {
		switch (options->format) {
		case SBOM_CYCLONEDX: sbom_write_cyclonedx(&list, &compact); break;
		case SBOM_SPDX: sbom_write_spdx(&list, &compact); break;
		case SBOM_SPDX3: sbom_write_spdx3(&list, &compact); break;
		}
		if (options->pretty)
			indent(buf_span(&compact), to);
		else
			buf_append(to, buf_span(&compact));
		buf_append_byte(to, '\n');
	} else {
		result = -1;
	}
	if (result < 0 || buf_failed(&compact) || buf_failed(to))
		result = err_set(err, ERR_MEMORY, "the SBOM does not fit into memory");
	arena_release(&list.arena);
	buf_release(&compact);
	return result;
}
