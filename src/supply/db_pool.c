#include "supply/db_pool.h"

#include "base/mem.h"

struct db_index_slot {
	uint64_t hash;
	uint32_t value;
	uint32_t used;
};

void db_column_init(struct db_column *c, size_t row_bytes)
{
	*c = (struct db_column){.row_bytes = row_bytes};
}

void db_column_release(struct db_column *c)
{
	mem_free(c->at);
	*c = (struct db_column){.row_bytes = c->row_bytes};
}

int db_column_append(struct db_column *c, const void *rows, size_t count)
{
	if (count > UINT32_MAX - 1 - c->count)
		return -1;
	if (c->count + count > c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : 256;
		char *at;

		while (capacity < c->count + count)
			capacity *= 2;
		at = mem_realloc(c->at, capacity * c->row_bytes);
		if (!at)
			return -1;
		c->at = at;
		c->capacity = capacity;
	}
	if (count)
		memcpy(c->at + c->count * c->row_bytes, rows, count * c->row_bytes);
	c->count += count;
	return 0;
}

void db_index_release(struct db_index *ix)
{
	mem_free(ix->slots);
	*ix = (struct db_index){0};
}

static void place(struct db_index *ix, uint64_t hash, uint32_t value)
{
	size_t at = hash & (ix->capacity - 1);

	while (ix->slots[at].used)
		at = (at + 1) & (ix->capacity - 1);
	ix->slots[at] = (struct db_index_slot){hash, value, 1};
}

int db_index_add(struct db_index *ix, uint64_t hash, uint32_t value)
{
	if (ix->count * 2 >= ix->capacity) {
		struct db_index old = *ix;

		ix->capacity = old.capacity ? old.capacity * 2 : 1024;
		ix->slots = mem_zalloc(ix->capacity, sizeof(*ix->slots));
		if (!ix->slots) {
			*ix = old;
			return -1;
		}
		for (size_t i = 0; i < old.capacity; i++)
			if (old.slots[i].used)
				place(ix, old.slots[i].hash, old.slots[i].value);
		mem_free(old.slots);
	}
	place(ix, hash, value);
	ix->count++;
	return 0;
}

bool db_index_next(const struct db_index *ix, uint64_t hash, size_t *cursor, uint32_t *value)
{
	size_t mask = ix->capacity - 1;

	while (*cursor < ix->capacity) {
		const struct db_index_slot *slot = &ix->slots[(hash + (*cursor)++) & mask];

		if (!slot->used)
			return false;
		if (slot->hash == hash) {
			*value = slot->value;
			return true;
		}
	}
	return false;
}

int db_pool_init(struct db_pool *p)
{
	static const char reserved[8]; /* so that no text has the reference 0 */

	*p = (struct db_pool){0};
	db_column_init(&p->bytes, 1);
	return db_column_append(&p->bytes, reserved, sizeof(reserved));
}

void db_pool_release(struct db_pool *p)
{
	db_column_release(&p->bytes);
	db_index_release(&p->index);
}

struct span db_pool_text(const struct db_pool *p, db_text ref)
{
	uint32_t len;

	if (ref == 0)
		return SPAN("");
	memcpy(&len, p->bytes.at + ref, sizeof(len));
	return span_of(p->bytes.at + ref + sizeof(len), len);
}

int db_pool_put(struct db_pool *p, struct span text, db_text *ref)
{
	uint64_t hash;
	size_t cursor = 0;
	uint32_t found, len = (uint32_t)text.len;
	size_t before = p->bytes.count;

	*ref = 0;
	if (text.len == 0)
		return 0;
	if (text.len > UINT32_MAX / 2)
		return -1;
	hash = db_hash(text);
	while (db_index_next(&p->index, hash, &cursor, &found))
		if (span_eq(db_pool_text(p, found), text)) {
			*ref = found;
			return 0;
		}
	if (db_column_append(&p->bytes, &len, sizeof(len)) < 0 ||
	    db_column_append(&p->bytes, text.ptr, text.len) < 0 ||
	    db_index_add(&p->index, hash, (uint32_t)before) < 0) {
		p->bytes.count = before;
		return -1;
	}
	*ref = (uint32_t)before;
	return 0;
}
