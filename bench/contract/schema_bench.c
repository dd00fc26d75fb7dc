/*
 * schema_bench.c - what a check takes: for each line "NAME SIZE SCHEMA DOCUMENT" of FOLDER/cases,
 * the best of some rounds, and how many allocations there were after the first checks.
 * Usage: schema_bench FOLDER
 */
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "contract/schema.h"

#define FILE_MAX_BYTES ((size_t)64 << 20)
#define ROUND_NS 30e6
#define ROUNDS 9
#define WARM_UP 3

/* Processor time: others may be at work on this machine. */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static bool read_file(const char *folder, struct span name, struct buf *to)
{
	char path[1024];
	char piece[65536];
	size_t got;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%.*s", folder, SPAN_ARG(name));
	file = fopen(path, "rb");
	if (!file)
		return false;
	buf_init(to, FILE_MAX_BYTES);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(to, piece, got);
	fclose(file);
	return !buf_failed(to);
}

static bool valid(struct schema_run *run, const struct schema *schema, struct span text)
{
	return schema_run_whole(run, schema, NULL, text) == SCHEMA_VALID;
}

/* Nanoseconds a check. */
static double measure(struct schema_run *run, const struct schema *schema, struct span text)
{
	unsigned long calls = 1;
	double best = 1e18;

	for (unsigned round = 0; round < ROUNDS;) {
		double started = now_ns();
		double took;

		for (unsigned long i = 0; i < calls; i++)
			if (!valid(run, schema, text))
				return -1;
		took = now_ns() - started;
		if (took < ROUND_NS) {
			calls *= 2;
			continue;
		}
		if (took / (double)calls < best)
			best = took / (double)calls;
		round++;
	}
	return best;
}

static int bench_case(const char *folder, struct span name, struct span size,
		      struct span schema_text, struct span document_text)
{
	struct arena arena;
	struct err err = {0};
	struct schema_run *run = schema_run_new(NULL, &err);
	struct schema_set_options options = {.assert_formats = true};
	struct schema_set *set = schema_set_new(&options, &err);
	const struct json *tree;
	const struct schema *schema = NULL;
	struct schema_document *document;
	size_t before;
	double ns;

	arena_init(&arena, FILE_MAX_BYTES, 1 << 16);
	tree = json_parse(&arena, schema_text, NULL, &err);
	document = tree && set ? schema_set_add(set, SPAN("file:///schema"), tree, NULL, &err)
			       : NULL;
	if (document)
		schema = schema_set_compile(set, document, SPAN(""), SCHEMA_EITHER, &err);
	if (!schema || !run) {
		fprintf(stderr, "%s: %.*s: %s\n", folder, SPAN_ARG(name), err.message);
		return -1;
	}
	for (unsigned i = 0; i < WARM_UP; i++)
		valid(run, schema, document_text);
	before = mallinfo2().uordblks;
	ns = measure(run, schema, document_text);
	printf("%.*s %.*s %zu %.1f %zu %zu\n", SPAN_ARG(name), SPAN_ARG(size),
	       document_text.len, ns, mallinfo2().uordblks - before, schema_run_bytes(run));
	schema_run_free(run);
	schema_set_free(set);
	arena_release(&arena);
	return ns < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct buf cases;
	struct span rest;
	int result = 0;

	if (argc != 2 || !read_file(argv[1], SPAN("cases"), &cases)) {
		fprintf(stderr, "usage: schema_bench FOLDER\n");
		return EXIT_FAILURE;
	}
	rest = buf_span(&cases);
	while (rest.len) {
		struct span line = span_cut(&rest, '\n');
		struct span name = span_cut(&line, ' ');
		struct span size = span_cut(&line, ' ');
		struct buf schema;
		struct buf document;

		if (!read_file(argv[1], span_cut(&line, ' '), &schema) ||
		    !read_file(argv[1], line, &document))
			return EXIT_FAILURE;
		if (bench_case(argv[1], name, size, buf_span(&schema), buf_span(&document)) < 0)
			result = EXIT_FAILURE;
		buf_release(&schema);
		buf_release(&document);
	}
	buf_release(&cases);
	return result;
}
