/* lock.h - running one parser over a text, for tests. */
#ifndef TESTS_SUPPLY_LOCK_H
#define TESTS_SUPPLY_LOCK_H

#include "supply/lock_parse.h"

struct lock_run {
	struct inventory inv;
	struct arena scratch;
	struct err err;
	int result;
	const char *const *beside; /* pairs of path and text; NULL ends */
	struct span included; /* the last one */
	unsigned includes;
	struct span owned; /* "package:folder/file" of the last one */
};

static struct span lock_run_beside(void *context, struct span path)
{
	const struct lock_run *run = context;

	for (const char *const *pair = run->beside; pair && pair[0]; pair += 2) {
		if (span_eq(path, span_cstr(pair[0])))
			return span_cstr(pair[1]);
	}
	return SPAN_NONE;
}

static void lock_run_include(void *context, struct span path)
{
	struct lock_run *run = context;

	run->included = inventory_text(&run->inv, path);
	run->includes++;
}

static void lock_run_owns(void *context, uint32_t package, struct span folder, struct span file)
{
	struct lock_run *run = context;

	run->owned = inventory_printf(&run->inv, "%.*s:%.*s/%.*s",
				      SPAN_ARG(run->inv.at[package].name), SPAN_ARG(folder),
				      SPAN_ARG(file));
}

/* Parses and finishes. `run` must not move afterwards; lock_run_end releases it. */
static void lock_run_start(struct lock_run *run,
			   int (*parse)(const struct lock_input *in, struct err *err),
			   struct span text, const char *const *beside)
{
	*run = (struct lock_run){.beside = beside};
	inventory_init(&run->inv, (size_t)64 << 20);
	arena_init(&run->scratch, (size_t)64 << 20, 4096);
	run->inv.distro = SPAN("debian");
	run->inv.distro_version = SPAN("12");
	run->result = parse(&(struct lock_input){.inv = &run->inv,
						 .scratch = &run->scratch,
						 .file = SPAN("dir/file"),
						 .text = text,
						 .layer = COMPONENT_NONE,
						 .beside = lock_run_beside,
						 .include = lock_run_include,
						 .owns = lock_run_owns,
						 .context = run},
			    &run->err);
	if (inventory_finish(&run->inv, &run->err) < 0)
		run->result = -1;
	arena_release(&run->scratch);
}

static void lock_run_end(struct lock_run *run)
{
	inventory_release(&run->inv);
}

/* The component of that name (and version, unless NULL); NULL when there is none. */
static inline const struct component *lock_run_find(const struct lock_run *run,
						    const char *name, const char *version)
{
	for (uint32_t i = 0; i < run->inv.count; i++) {
		const struct component *c = &run->inv.at[i];

		if (span_eq(c->name, span_cstr(name)) &&
		    (!version || span_eq(c->version, span_cstr(version))))
			return c;
	}
	return NULL;
}

static inline bool lock_run_requires(const struct lock_run *run, const struct component *c,
				     const char *name)
{
	for (uint32_t i = 0; c && i < c->requires_count; i++) {
		if (span_eq(run->inv.at[c->requires[i]].name, span_cstr(name)))
			return true;
	}
	return false;
}

#endif
