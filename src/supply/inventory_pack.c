#include <assert.h>

#include "base/mem.h"
#include "supply/inventory_child.h"

#define MAGIC 0x32766e69u /* "inv2" */

/* Both ends are the same program on the same machine: numbers are as the machine has them. */

static void put_u32(struct buf *to, uint32_t value)
{
	buf_append_bytes(to, &value, sizeof(value));
}

static void put_span(struct buf *to, struct span s)
{
	put_u32(to, s.len > UINT32_MAX ? UINT32_MAX : (uint32_t)s.len);
	buf_append(to, s);
}

static void put_list(struct buf *to, const uint32_t *at, uint32_t count)
{
	put_u32(to, count);
	if (count)
		buf_append_bytes(to, at, count * sizeof(*at));
}

/* The texts of a component, in one place for both directions. */
#define COMPONENT_TEXTS 16
static void texts_of(struct component *c, struct span *texts[COMPONENT_TEXTS])
{
	struct span *const all[COMPONENT_TEXTS] = {
		&c->name,
		&c->namespace,
		&c->version,
		&c->purl,
		&c->source_name,
		&c->source_version,
		&c->arch,
		&c->distro,
		&c->distro_version,
		&c->licence,
		&c->commit,
		&c->vcs_url,
		&c->digest_algorithm,
		&c->digest,
		&c->file,
		&c->published,
	};

	memcpy(texts, all, sizeof(all));
}

#define SUBJECT_TEXTS 6
static void subject_texts(struct inventory *inv, struct span *texts[SUBJECT_TEXTS])
{
	texts[0] = &inv->distro;
	texts[1] = &inv->distro_version;
	texts[2] = &inv->distro_name;
	texts[3] = &inv->subject_name;
	texts[4] = &inv->subject_version;
	texts[5] = &inv->labels;
}

int inventory_pack(const struct inventory *inv, struct buf *to, struct err *err)
{
	struct inventory head = *inv;
	struct span *texts[COMPONENT_TEXTS];

	assert(inv->finished);
	put_u32(to, MAGIC);
	subject_texts(&head, texts);
	for (size_t i = 0; i < SUBJECT_TEXTS; i++)
		put_span(to, *texts[i]);
	put_u32(to, inv->layer_count);
	for (uint32_t i = 0; i < inv->layer_count; i++) {
		put_span(to, inv->layers[i].digest);
		put_span(to, inv->layers[i].created_by);
	}
	put_u32(to, (uint32_t)inv->problem_count);
	for (size_t i = 0; i < inv->problem_count; i++) {
		put_span(to, inv->problems[i].file);
		put_u32(to, inv->problems[i].line);
		put_span(to, inv->problems[i].message);
	}
	put_u32(to, inv->count);
	for (uint32_t i = 0; i < inv->count; i++) {
		struct component c = inv->at[i];

		put_u32(to, c.ecosystem);
		put_u32(to, c.scope);
		put_u32(to, c.relation);
		put_u32(to, c.local);
		put_u32(to, c.line);
		put_u32(to, c.layer);
		put_u32(to, c.owner);
		texts_of(&c, texts);
		for (size_t k = 0; k < COMPONENT_TEXTS; k++)
			put_span(to, *texts[k]);
		put_list(to, c.requires, c.requires_count);
		put_list(to, c.required_by, c.required_by_count);
	}
	return buf_failed(to)
		       ? err_set(err, ERR_MEMORY, "the inventory does not fit into memory")
		       : 0;
}

/* --- Reading: every number is checked. */

struct reader {
	struct inventory *inv;
	struct span rest;
	bool broken;
};

static uint32_t get_u32(struct reader *r)
{
	uint32_t value = 0;

	if (r->rest.len < sizeof(value)) {
		r->broken = true;
		return 0;
	}
	memcpy(&value, r->rest.ptr, sizeof(value));
	r->rest = span_slice(r->rest, sizeof(value), r->rest.len);
	return value;
}

static uint32_t get_below(struct reader *r, uint32_t bound)
{
	uint32_t value = get_u32(r);

	if (value >= bound) {
		r->broken = true;
		return 0;
	}
	return value;
}

static struct span get_span(struct reader *r)
{
	uint32_t length = get_u32(r);
	struct span s = span_slice(r->rest, 0, length);

	if (s.len != length) {
		r->broken = true;
		return SPAN("");
	}
	r->rest = span_slice(r->rest, length, r->rest.len);
	return s.len ? s : SPAN("");
}

/* A count of things that take at least `size` bytes each. */
static uint32_t get_count(struct reader *r, size_t size)
{
	uint32_t count = get_u32(r);

	if (count > r->rest.len / size) {
		r->broken = true;
		return 0;
	}
	return count;
}

static const uint32_t *get_list(struct reader *r, uint32_t *count, uint32_t bound)
{
	uint32_t *at;

	*count = get_count(r, sizeof(uint32_t));
	at = arena_alloc(&r->inv->arena, (*count + 1) * sizeof(uint32_t));
	if (!at) {
		r->inv->failed = true;
		*count = 0;
		return NULL;
	}
	for (uint32_t i = 0; i < *count; i++)
		at[i] = get_below(r, bound);
	return at;
}

static void get_component(struct reader *r, uint32_t count)
{
	struct span *texts[COMPONENT_TEXTS];
	struct component c = {0};

	c.ecosystem = (enum ecosystem)get_below(r, ECOSYSTEM_COUNT);
	c.scope = (enum component_scope)get_below(r, SCOPE_DEV + 1);
	c.relation = (enum component_relation)get_below(r, RELATION_TRANSITIVE + 1);
	c.local = get_below(r, 2) != 0;
	c.line = get_u32(r);
	c.layer = get_u32(r);
	c.owner = get_u32(r);
	if ((c.layer != COMPONENT_NONE && c.layer >= r->inv->layer_count) ||
	    (c.owner != COMPONENT_NONE && c.owner >= count))
		r->broken = true;
	texts_of(&c, texts);
	for (size_t k = 0; k < COMPONENT_TEXTS; k++)
		*texts[k] = get_span(r);
	c.requires = get_list(r, &c.requires_count, count);
	c.required_by = get_list(r, &c.required_by_count, count);
	if (!r->broken)
		(void)inventory_add(r->inv, &c);
}

static void get_layers(struct reader *r, struct inventory *inv)
{
	uint32_t count = get_count(r, 8);
	struct image_layer *layers = mem_zalloc(count + 1, sizeof(*layers));

	if (!layers) {
		inv->failed = true;
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		layers[i].digest = get_span(r);
		layers[i].created_by = get_span(r);
	}
	inv->layers = layers;
	inv->layer_count = count;
}

int inventory_unpack(struct inventory *inv, struct span bytes, struct err *err)
{
	struct reader r = {inv, inventory_text(inv, bytes), false};
	struct span *texts[SUBJECT_TEXTS];
	uint32_t count;

	if (get_u32(&r) != MAGIC)
		r.broken = true;
	subject_texts(inv, texts);
	for (size_t i = 0; i < SUBJECT_TEXTS; i++)
		*texts[i] = get_span(&r);
	get_layers(&r, inv);
	count = get_count(&r, 12);
	for (uint32_t i = 0; i < count && !r.broken; i++) {
		struct span file = get_span(&r);
		uint32_t line = get_u32(&r);
		struct span message = get_span(&r);

		inventory_problem(inv, file, line, "%.*s", SPAN_ARG(message));
	}
	count = get_count(&r, 48);
	for (uint32_t i = 0; i < count && !r.broken && !inv->failed; i++)
		get_component(&r, count);
	inv->finished = true;
	if (inv->failed)
		return err_set(err, ERR_MEMORY, "the inventory does not fit into memory");
	if (r.broken || r.rest.len)
		return err_set(err, ERR_INVALID, "the scan gave no inventory");
	return 0;
}
