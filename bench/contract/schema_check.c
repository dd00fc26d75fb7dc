/*
 * schema_check.c - reads pairs of lines, a schema and an instance, and prints for each pair whether
 * it is valid ("V"), invalid ("I"), or why there is no answer. Formats are checked.
 * Usage: schema_check FILE
 */
#include <stdio.h>

#include "base/buf.h"
#include "contract/schema.h"

#define FILE_MAX_BYTES ((size_t)1 << 30)

struct program {
	struct arena arena;
	struct schema_set *set;
	const struct schema *schema;
	struct err err;
};

static void compile(struct program *p, struct span text)
{
	struct schema_set_options options = {.assert_formats = true};
	struct schema_document *document;
	const struct json *tree;

	schema_set_free(p->set);
	arena_release(&p->arena);
	p->err = (struct err){.code = ERR_NONE};
	p->schema = NULL;
	tree = json_parse(&p->arena, text, NULL, &p->err);
	p->set = schema_set_new(&options, &p->err);
	document = tree && p->set
			   ? schema_set_add(p->set, SPAN("file:///s"), tree, NULL, &p->err)
			   : NULL;
	if (document)
		p->schema =
			schema_set_compile(p->set, document, SPAN(""), SCHEMA_EITHER, &p->err);
}

static void answer(struct schema_run *run, const struct program *p, struct span instance)
{
	enum schema_result result;

	if (!p->schema) {
		printf("E %s\n", p->err.message);
		return;
	}
	result = schema_run_whole(run, p->schema, NULL, instance);
	if (result == SCHEMA_VALID || result == SCHEMA_INVALID)
		puts(result == SCHEMA_VALID ? "V" : "I");
	else
		printf("R %d\n", (int)result);
}

int main(int argc, char **argv)
{
	struct program program = {.set = NULL};
	struct schema_run *run = schema_run_new(NULL, NULL);
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	char piece[65536];
	struct span rest;
	struct span last = SPAN_NONE;
	struct buf text;
	size_t got;

	buf_init(&text, FILE_MAX_BYTES);
	if (!file || !run) {
		fprintf(stderr, "usage: schema_check FILE\n");
		return EXIT_FAILURE;
	}
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(&text, piece, got);
	fclose(file);
	arena_init(&program.arena, FILE_MAX_BYTES, 1 << 16);
	rest = buf_span(&text);
	while (rest.len) {
		struct span schema = span_cut(&rest, '\n');
		struct span instance = span_cut(&rest, '\n');

		if (!span_eq(schema, last))
			compile(&program, schema);
		last = schema;
		answer(run, &program, instance);
	}
	schema_set_free(program.set);
	arena_release(&program.arena);
	schema_run_free(run);
	buf_release(&text);
	return EXIT_SUCCESS;
}
