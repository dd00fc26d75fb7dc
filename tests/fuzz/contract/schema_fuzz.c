/*
 * A dialect (one byte), a schema, a line with "--", and an instance. Whatever they are, nothing may
 * crash, and a check must come out the same for the text in one piece, for its bytes one by one, and
 * with problems told or not; a stripped text must be valid JSON that needs no stripping any more.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "contract/schema.h"

#define SCHEMA_MAX_BYTES 8192

static void must(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static void check_pieces(struct schema_run *run, const struct schema *schema,
			 const struct schema_run_options *options, struct span text)
{
	const struct schema_problem *problems;
	enum schema_result whole = schema_run_whole(run, schema, options, text);
	size_t count = schema_run_problems(run, &problems);

	must(whole != SCHEMA_MORE);
	must((whole == SCHEMA_INVALID) <= (count > 0));
	must(whole != SCHEMA_VALID || count == 0);
	for (size_t i = 0; i < count; i++)
		must(problems[i].keyword.len > 0 && problems[i].offset <= text.len &&
		     (problems[i].instance.len == 0 || problems[i].instance.ptr[0] == '/'));
	schema_run_start(run, schema, options);
	for (size_t i = 0; i < text.len; i++)
		schema_run_feed(run, span_slice(text, i, i + 1));
	must(schema_run_finish(run) == whole);
	must(schema_run_problems(run, &problems) == count);
}

static void check_strip(struct schema_run *run, const struct schema *schema, struct span text)
{
	struct schema_run_options strip = {.unknown = SCHEMA_UNKNOWN_STRIP};
	const struct schema_cut *cuts;
	struct buf left;
	uint64_t at = 0;
	size_t count;

	if (schema_run_whole(run, schema, &strip, text) != SCHEMA_VALID)
		return;
	count = schema_run_cuts(run, &cuts);
	buf_init(&left, text.len + 1);
	for (size_t i = 0; i < count; i++) {
		must(cuts[i].start >= at && cuts[i].end > cuts[i].start &&
		     cuts[i].end <= text.len);
		buf_append(&left, span_slice(text, at, cuts[i].start));
		at = cuts[i].end;
	}
	buf_append(&left, span_slice(text, at, text.len));
	if (count && !buf_failed(&left))
		must(schema_run_whole(run, schema_anything(), NULL, buf_span(&left)) ==
		     SCHEMA_VALID);
	buf_release(&left);
}

static void check_all(const struct schema *schema, struct span instance)
{
	struct schema_run_limits limits = {
		.max_steps = 200000, .max_evaluations = 2000, .max_problems = 8};
	struct schema_run_options refuse = {.unknown = SCHEMA_UNKNOWN_REFUSE};
	struct schema_run_options twice = {.allow_duplicate_keys = true};
	struct schema_run *run = schema_run_new(&limits, NULL);

	if (!run)
		return;
	check_pieces(run, schema, NULL, instance);
	check_pieces(run, schema, &refuse, instance);
	check_pieces(run, schema, &twice, instance);
	check_strip(run, schema, instance);
	schema_run_scalar(run, schema, instance);
	must(schema_run_bytes(run) < (size_t)8 << 20);
	schema_run_free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct schema_set_options options = {.assert_formats = true,
					     .max_bytes = 4 << 20,
					     .max_nodes = 2000,
					     .max_width = 200,
					     .max_regex_bytes = 200};
	struct span input = span_of(data, size);
	struct schema_source source = {.is_schema = true};
	struct schema_document *document;
	struct schema_set *set;
	struct arena arena;
	struct err err = {0};
	const struct json *tree;
	const struct schema *schema;
	size_t split;

	if (!size)
		return 0;
	source.dialect = (enum schema_dialect)(data[0] % (SCHEMA_2020_12 + 1));
	input = span_slice(input, 1, size);
	split = span_find(input, SPAN("\n--\n"));
	if (split > SCHEMA_MAX_BYTES)
		return 0;
	arena_init(&arena, 4 << 20, 4096);
	tree = json_parse(&arena, span_slice(input, 0, split), NULL, NULL);
	set = tree ? schema_set_new(&options, NULL) : NULL;
	document = set ? schema_set_add(set, SPAN("file:///f"), tree, &source, &err) : NULL;
	schema = document ? schema_set_compile(set, document, SPAN(""),
					       (enum schema_direction)(data[0] / 64 % 3), &err)
			  : NULL;
	if (schema)
		check_all(schema, span_slice(input, split + 4, input.len));
	else
		must(!set || err.code != ERR_NONE);
	schema_set_free(set);
	arena_release(&arena);
	return 0;
}
