/* schema_test_set.h - one schema from its text, for the tests of the schema engine. */
#ifndef TESTS_SCHEMA_TEST_SET_H
#define TESTS_SCHEMA_TEST_SET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "contract/schema.h"

struct fixture {
	struct arena arena;
	struct schema_set *set;
	const struct schema *schema;
	struct schema_run *run;
};

/* 0, or -1 with an error; to be released in either case. */
static inline int fixture_try(struct fixture *f, const char *text,
			      const struct schema_source *source,
			      const struct schema_set_options *options,
			      enum schema_direction direction,
			      const struct schema_run_limits *limits, struct err *err)
{
	struct schema_document *document;
	const struct json *tree;

	*f = (struct fixture){.set = NULL};
	arena_init(&f->arena, (size_t)16 << 20, 4096);
	tree = json_parse(&f->arena, span_cstr(text), NULL, err);
	f->set = tree ? schema_set_new(options, err) : NULL;
	document = f->set ? schema_set_add(f->set, SPAN("file:///t.json"), tree, source, err)
			  : NULL;
	if (document)
		f->schema = schema_set_compile(f->set, document, SPAN(""), direction, err);
	if (f->schema)
		f->run = schema_run_new(limits, err);
	return f->run ? 0 : -1;
}

static inline void fixture_release(struct fixture *f)
{
	schema_run_free(f->run);
	schema_set_free(f->set);
	arena_release(&f->arena);
}

static inline void fixture_init_with(struct fixture *f, const char *text,
				     enum schema_dialect dialect,
				     enum schema_direction direction,
				     const struct schema_run_limits *limits)
{
	struct schema_source source = {dialect, .is_schema = true};
	struct err err = {0};

	if (fixture_try(f, text, &source, NULL, direction, limits, &err) < 0)
		fail_msg("%s", err.message);
}

static inline void fixture_init(struct fixture *f, const char *text)
{
	fixture_init_with(f, text, SCHEMA_2020_12, SCHEMA_EITHER, NULL);
}

static inline enum schema_result fixture_check(struct fixture *f, const char *text)
{
	return schema_run_whole(f->run, f->schema, NULL, span_cstr(text));
}

#endif
