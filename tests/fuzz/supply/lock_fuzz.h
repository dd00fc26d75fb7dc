/* lock_fuzz.h - what the fuzz targets of a family of parsers check. */
#ifndef FUZZ_LOCK_FUZZ_H
#define FUZZ_LOCK_FUZZ_H

#include <assert.h>

#include "parse/utf8.h"
#include "supply/lock_parse.h"
#include "supply/purl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct lock_fuzz_parser {
	int (*parse)(const struct lock_input *in, struct err *err);
};

/* Every file beside this one has the same text; that must lead nowhere either. */
static struct span lock_fuzz_beside(void *context, struct span path)
{
	const struct span *text = context;

	(void)path;
	return *text;
}

static void lock_fuzz_owns(void *context, uint32_t package, struct span folder,
			   struct span file)
{
	(void)context;
	(void)package;
	assert(folder.len == 0 || folder.ptr);
	assert(file.len == 0 || file.ptr);
}

static void lock_fuzz_check(const struct inventory *inv, uint32_t lines)
{
	for (uint32_t i = 0; i < inv->count; i++) {
		const struct component *c = &inv->at[i];
		struct purl p;
		struct arena a;

		assert(c->line <= lines);
		assert(c->purl.len > 0);
		for (uint32_t k = 0; k < c->requires_count; k++)
			assert(c->requires[k] < inv -> count && c -> requires[k] != i);
		for (uint32_t k = 0; k < c->required_by_count; k++)
			assert(c->required_by[k] < inv->count);
		if (!utf8_valid(c->name) || !utf8_valid(c->version) ||
		    !utf8_valid(c->namespace) || c->arch.len || c->source_name.len ||
		    c->commit.len)
			continue;
		/* What we write can be read, and is canonical. */
		arena_init(&a, 1 << 22, 4096);
		assert(purl_parse(&a, c->purl, &p) == PURL_OK);
		assert(span_eq(purl_write(&a, &p), c->purl));
		arena_release(&a);
	}
	for (size_t i = 0; i < inv->problem_count; i++)
		assert(inv->problems[i].message.len > 0);
}

/* The first byte chooses the parser. */
static int lock_fuzz(const uint8_t *data, size_t size, const struct lock_fuzz_parser *parsers,
		     size_t count)
{
	struct span text = span_of(data + 1, size ? size - 1 : 0);
	struct inventory inv;
	struct arena scratch;
	struct err err = {0};
	uint32_t lines = 2;
	int result;

	if (size < 1 || size > 65536)
		return 0;
	for (size_t i = 0; i < text.len; i++)
		lines += text.ptr[i] == '\n' || text.ptr[i] == '\r';
	/* YAML counts two line ends that are not ASCII, too. */
	lines += (uint32_t)(text.len / 2);
	inventory_init(&inv, (size_t)256 << 20);
	arena_init(&scratch, (size_t)256 << 20, 4096);
	result = parsers[data[0] % count].parse(&(struct lock_input){.inv = &inv,
								     .scratch = &scratch,
								     .file = SPAN("file"),
								     .text = text,
								     .layer = COMPONENT_NONE,
								     .beside = lock_fuzz_beside,
								     .owns = lock_fuzz_owns,
								     .context = &text},
						&err);
	assert((result < 0) == (err.code != ERR_NONE));
	assert(result == 0 || err.message[0]);
	if (inventory_finish(&inv, NULL) == 0)
		lock_fuzz_check(&inv, lines);
	arena_release(&scratch);
	inventory_release(&inv);
	return 0;
}

#endif
