#include "config/table.h"

#include "config/value.h"

#define MEMORY_MAX ((size_t)256 << 20)
#define CHUNK 16384

void table_release(struct table_memory *memory)
{
	for (struct config_mark *mark = memory->priv.secrets; mark; mark = mark->next)
		secret_release(mark->secret);
	arena_release(&memory->priv.arena);
	*memory = (struct table_memory){0};
}

struct job {
	const struct schema_object *schema;
	bool is_list;
	void *object;
};

static void read_root(struct reader *reader, const struct job *job, struct span text,
		      const char *file)
{
	struct tree_node *root =
		tree_parse(text, file, reader->source, reader->trees, reader->problems);

	if (!root)
		return;
	/* An empty list needs no brackets. */
	if (job->is_list && tree_is_null(root))
		return;
	if (job->is_list)
		reader_list(reader, job->schema, root, false, job->object);
	else
		reader_object(reader, job->schema, root, job->object);
}

static int load_text(const struct job *job, struct span text, const char *name,
		     struct table_memory *memory, struct config_problems *problems)
{
	static const struct reader_path root = {NULL, SPAN_INIT(""), 0};
	/* Nothing of the environment: it is not for those who run a scan to say. */
	static const struct config_source source = {0};
	struct config_where nowhere = {name, 0, 0};
	struct arena trees;
	struct reader reader = {.source = &source,
				.problems = problems,
				.trees = &trees,
				.path = &root,
				.priv = &memory->priv};
	struct span file;

	arena_init(&memory->priv.arena, MEMORY_MAX, CHUNK);
	arena_init(&trees, MEMORY_MAX, CHUNK);
	file = arena_dup(&memory->priv.arena, span_cstr(name));
	if (file.ptr)
		read_root(&reader, job, text, file.ptr);
	if (!file.ptr || reader.out_of_memory)
		problem_add(problems, CONFIG_ERROR, nowhere, "out of memory");
	for (struct config_mark *mark = reader.wipe; mark; mark = mark->next)
		secret_wipe((void *)(uintptr_t)mark->text, mark->len);
	arena_release(&trees);
	problems_sort(problems);
	return problems->errors > 0 ? -1 : 0;
}

static int load_file(const struct job *job, const char *path, struct table_memory *memory,
		     struct config_problems *problems)
{
	struct config_where nowhere = {path, 0, 0};
	struct err err;
	struct buf bytes;
	int result = -1;

	buf_init(&bytes, TREE_BYTES_MAX + CHUNK);
	if (config_source_unchecked.read_file(NULL, path, TREE_BYTES_MAX, &bytes, &err) != 0)
		problem_add(problems, CONFIG_ERROR, nowhere, "%s", err.message);
	else
		result = load_text(job, buf_span(&bytes), path, memory, problems);
	buf_release(&bytes);
	return result;
}

int table_load(const struct schema_object *schema, const char *path, void *object,
	       struct table_memory *memory, struct config_problems *problems)
{
	struct job job = {schema, false, object};

	return load_file(&job, path, memory, problems);
}

int table_load_list(const struct schema_object *schema, const char *path, void *list,
		    struct table_memory *memory, struct config_problems *problems)
{
	struct job job = {schema, true, list};

	return load_file(&job, path, memory, problems);
}

int table_load_text(const struct schema_object *schema, struct span text, const char *name,
		    void *object, struct table_memory *memory, struct config_problems *problems)
{
	struct job job = {schema, false, object};

	return load_text(&job, text, name, memory, problems);
}

int table_load_list_text(const struct schema_object *schema, struct span text, const char *name,
			 void *list, struct table_memory *memory,
			 struct config_problems *problems)
{
	struct job job = {schema, true, list};

	return load_text(&job, text, name, memory, problems);
}
