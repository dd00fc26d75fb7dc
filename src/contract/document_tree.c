#include "contract/document_tree.h"

#include <stdarg.h>

#include "base/mem.h"

#define SLOTS_FIRST 256

int tree_error(struct tree_builder *b, struct tree_place place, enum err_code code,
	       const char *format, ...)
{
	char text[320];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (place.line == 0)
		return err_set(b->err, code, "%.*s: %s", SPAN_ARG(b->document->display), text);
	return err_set(b->err, code, "%.*s:%u:%u: %s", SPAN_ARG(b->document->display),
		       place.line, place.column, text);
}

void tree_memory_words(const struct arena *arena, char words[TREE_MEMORY_WORDS],
		       enum err_code *code)
{
	*code = ERR_MEMORY;
	snprintf(words, TREE_MEMORY_WORDS, "no memory for the document");
	/* Nearly: what was asked for is not known here. */
	if (arena->used_bytes + arena->chunk_bytes <= arena->cap_bytes)
		return;
	*code = ERR_LIMIT;
	snprintf(words, TREE_MEMORY_WORDS,
		 "documents take more than %zu MiB: raise 'memory' of the contract",
		 arena->cap_bytes >> 20);
}

int tree_no_memory(struct tree_builder *b, struct tree_place place)
{
	char words[TREE_MEMORY_WORDS];
	enum err_code code;

	tree_memory_words(b->arena, words, &code);
	return tree_error(b, place, code, "%s", words);
}

int tree_builder_init(struct tree_builder *b)
{
	b->levels = mem_zalloc(b->limits->max_depth + 1, sizeof(*b->levels));
	b->slots = mem_zalloc(SLOTS_FIRST, sizeof(*b->slots));
	b->cap = SLOTS_FIRST;
	if (!b->levels || !b->slots)
		return tree_no_memory(b, (struct tree_place){0, 0});
	return 0;
}

void tree_builder_release(struct tree_builder *b)
{
	mem_free(b->levels);
	mem_free(b->slots);
	b->levels = NULL;
	b->slots = NULL;
}

bool tree_wants_key(const struct tree_builder *b)
{
	const struct tree_level *level = &b->levels[b->depth];

	return b->depth > 0 && level->is_object && !level->has_key;
}

static int push(struct tree_builder *b, const struct tree_slot *slot)
{
	if (b->count == b->cap) {
		struct tree_slot *more = mem_realloc(b->slots, b->cap * 2 * sizeof(*more));

		if (!more)
			return tree_no_memory(b, slot->place);
		b->slots = more;
		b->cap *= 2;
	}
	b->slots[b->count++] = *slot;
	b->levels[b->depth].has_key = false;
	b->next = (struct tree_slot){.weight = 0};
	return 0;
}

static int count_nodes(struct tree_builder *b, size_t weight, struct tree_place place)
{
	*b->nodes += weight;
	if (*b->nodes <= b->limits->max_nodes)
		return 0;
	return tree_error(b, place, ERR_LIMIT,
			  "more than %zu nodes with all aliases written out",
			  b->limits->max_nodes);
}

int tree_open(struct tree_builder *b, bool is_object, struct tree_place place,
	      struct span anchor)
{
	struct tree_level *level;

	if (b->depth == b->limits->max_depth)
		return tree_error(b, place, ERR_LIMIT, "nested more than %u levels deep",
				  b->limits->max_depth);
	if (count_nodes(b, 1, place) < 0)
		return -1;
	level = &b->levels[++b->depth];
	*level = (struct tree_level){
		.start = b->count, .own = b->next, .anchor = anchor, .is_object = is_object};
	if (!level->own.place.line)
		level->own.place = place;
	b->next = (struct tree_slot){.weight = 0};
	return 0;
}

int tree_key(struct tree_builder *b, struct span key, struct tree_place place, bool merge)
{
	b->next = (struct tree_slot){.key = key, .place = place, .merge = merge};
	b->levels[b->depth].has_key = true;
	return 0;
}

int tree_value(struct tree_builder *b, const struct json *value, struct tree_place place,
	       size_t weight, unsigned height)
{
	struct tree_slot slot = b->next;

	slot.value = *value;
	slot.weight = weight;
	slot.height = height;
	if (!slot.place.line)
		slot.place = place;
	if (b->depth + height > b->limits->max_depth)
		return tree_error(b, place, ERR_LIMIT, "nested more than %u levels deep",
				  b->limits->max_depth);
	if (count_nodes(b, weight, place) < 0)
		return -1;
	return push(b, &slot);
}

/* ---- closing --------------------------------------------------------------------------------- */

static int compare_slots(const void *left, const void *right)
{
	const struct tree_slot *a = *(const struct tree_slot *const *)left;
	const struct tree_slot *b = *(const struct tree_slot *const *)right;
	int order = span_compare(a->key, b->key);

	if (order)
		return order;
	return a < b ? -1 : a > b;
}

static int check_unique(struct tree_builder *b, struct tree_slot *slots, size_t count)
{
	const struct tree_slot **sorted;
	const struct tree_slot *twice = NULL;

	if (count < 2)
		return 0;
	sorted = mem_alloc(count * sizeof(*sorted));
	if (!sorted)
		return tree_no_memory(b, slots->place);
	for (size_t i = 0; i < count; i++)
		sorted[i] = &slots[i];
	qsort(sorted, count, sizeof(*sorted), compare_slots);
	for (size_t i = 1; i < count; i++)
		if (span_eq(sorted[i]->key, sorted[i - 1]->key) &&
		    (!twice || sorted[i] < twice))
			twice = sorted[i];
	mem_free(sorted);
	if (!twice)
		return 0;
	return tree_error(b, twice->place, ERR_INVALID, "key \"%.*s\" is there twice",
			  SPAN_ARG(span_slice(twice->key, 0, 100)));
}

/* Appends the members of a merged object that are not there yet; the first one wins. */
static int merge_object(struct tree_builder *b, size_t start, const struct json *object,
			struct tree_place place)
{
	if (object->type != JSON_OBJECT)
		return tree_error(b, place, ERR_INVALID, "\"<<\" takes objects only");
	for (size_t i = 0; i < object->object.count; i++) {
		const struct json_member *member = &object->object.members[i];
		struct tree_slot slot = {.key = member->key,
					 .value = member->value,
					 .place = place,
					 .weight = 1};
		bool there = false;

		for (size_t k = start; k < b->count && !there; k++)
			there = !b->slots[k].merge && span_eq(b->slots[k].key, member->key);
		if (!there && (count_nodes(b, 1, place) < 0 || push(b, &slot) < 0))
			return -1;
	}
	return 0;
}

static int merge(struct tree_builder *b, size_t start)
{
	size_t end = b->count;
	size_t kept = start;

	for (size_t i = start; i < end; i++) {
		struct tree_slot slot = b->slots[i];
		const struct json *value = &slot.value;

		if (!slot.merge)
			continue;
		if (value->type != JSON_ARRAY && merge_object(b, start, value, slot.place) < 0)
			return -1;
		for (size_t k = 0; value->type == JSON_ARRAY && k < value->array.count; k++)
			if (merge_object(b, start, &value->array.items[k], slot.place) < 0)
				return -1;
	}
	for (size_t i = start; i < b->count; i++)
		if (!b->slots[i].merge)
			b->slots[kept++] = b->slots[i];
	b->count = kept;
	return 0;
}

static int add_region(struct tree_builder *b, const void *first, size_t stride_bytes,
		      const struct tree_slot *slots, size_t count)
{
	struct tree_regions *r = b->regions;
	struct tree_place *places;

	if (count == 0)
		return 0;
	if (r->count == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		struct tree_region *more = mem_realloc(r->at, cap * sizeof(*more));

		if (!more)
			return -1;
		r->at = more;
		r->cap = cap;
	}
	places = arena_array(b->arena, struct tree_place, count);
	if (!places)
		return -1;
	for (size_t i = 0; i < count; i++)
		places[i] = slots[i].place;
	r->at[r->count++] = (struct tree_region){.first = first,
						 .document = b->document,
						 .places = places,
						 .count = (uint32_t)count,
						 .stride_bytes = (uint32_t)stride_bytes};
	r->sorted = false;
	return 0;
}

/* The slots from `start` become the members or items of *value. */
static int gather(struct tree_builder *b, bool is_object, size_t start, struct json *value)
{
	size_t count = b->count - start;
	const struct tree_slot *slots = b->slots + start;

	if (is_object) {
		struct json_member *members = arena_array(b->arena, struct json_member, count);

		if (!members)
			return -1;
		for (size_t i = 0; i < count; i++)
			members[i] = (struct json_member){slots[i].key, slots[i].value};
		*value = (struct json){.type = JSON_OBJECT, .object = {members, count}};
		return add_region(b, members, sizeof(*members), slots, count);
	}
	struct json *items = arena_array(b->arena, struct json, count);

	if (!items)
		return -1;
	for (size_t i = 0; i < count; i++)
		items[i] = slots[i].value;
	*value = (struct json){.type = JSON_ARRAY, .array = {items, count}};
	return add_region(b, items, sizeof(*items), slots, count);
}

const struct tree_slot *tree_close(struct tree_builder *b)
{
	struct tree_level *level = &b->levels[b->depth];
	struct tree_slot own = level->own;
	bool merging = false;

	own.weight = 1;
	for (size_t i = level->start; i < b->count; i++)
		merging |= b->slots[i].merge;
	if (merging && merge(b, level->start) < 0)
		return NULL;
	for (size_t i = level->start; i < b->count; i++) {
		own.weight += b->slots[i].weight;
		if (b->slots[i].height > own.height)
			own.height = b->slots[i].height;
	}
	own.height++;
	if (level->is_object &&
	    check_unique(b, b->slots + level->start, b->count - level->start) < 0)
		return NULL;
	if (gather(b, level->is_object, level->start, &own.value) < 0) {
		(void)tree_no_memory(b, own.place);
		return NULL;
	}
	b->count = level->start;
	b->depth--;
	return push(b, &own) < 0 ? NULL : &b->slots[b->count - 1];
}

const struct json *tree_finish(struct tree_builder *b)
{
	struct tree_place start = {1, 1};
	struct json *root;

	if (b->count == 0) {
		(void)tree_error(b, start, ERR_SYNTAX, "the file is empty");
		return NULL;
	}
	root = arena_new(b->arena, struct json);
	if (!root || add_region(b, root, sizeof(*root), b->slots, 1) < 0) {
		(void)tree_no_memory(b, start);
		return NULL;
	}
	*root = b->slots[0].value;
	return root;
}

/* ---- places ---------------------------------------------------------------------------------- */

static int compare_regions(const void *left, const void *right)
{
	const struct tree_region *a = left;
	const struct tree_region *b = right;

	return a->first < b->first ? -1 : a->first > b->first;
}

const struct tree_region *tree_regions_find(struct tree_regions *regions, const void *node)
{
	const char *address = node;
	size_t low = 0;
	size_t high = regions->count;

	if (!regions->sorted && regions->count)
		qsort(regions->at, regions->count, sizeof(*regions->at), compare_regions);
	regions->sorted = true;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct tree_region *r = &regions->at[middle];

		if (address < r->first)
			high = middle;
		else if (address >= r->first + (size_t)r->count * r->stride_bytes)
			low = middle + 1;
		else
			return r;
	}
	return NULL;
}
