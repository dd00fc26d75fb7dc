#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static const char *find(const struct fake_files *files, const char *path)
{
	for (const struct fake_file *f = files ? files->files : NULL; f && f->path; f++)
		if (strcmp(f->path, path) == 0)
			return f->text;
	return NULL;
}

static int fake_read(void *context, const char *path, size_t max_bytes, struct buf *out,
		     struct err *err)
{
	const char *text = find(context, path);

	if (!text)
		return err_set(err, ERR_NOT_FOUND, "cannot read '%s': no such file", path);
	if (strlen(text) > max_bytes)
		return err_set(err, ERR_LIMIT, "'%s' is too large", path);
	if (buf_append_cstr(out, text) != 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	return 0;
}

static int fake_check(void *context, const char *path, struct err *err)
{
	if (find(context, path))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "cannot read '%s': no such file", path);
}

static const char *fake_variable(void *context, const char *name)
{
	static const char *const variables[][2] = {{"NAME", "value"},
						   {"EMPTY", ""},
						   {"TOKEN", "hunter2"},
						   {"TEMPLATE", "${NAME}"}};

	(void)context;
	for (size_t i = 0; i < COUNT_OF(variables); i++)
		if (strcmp(variables[i][0], name) == 0)
			return variables[i][1];
	return NULL;
}

/* A folder is there when a file is in it. */
static int fake_list(void *context, const char *path, struct buf *out, struct err *err)
{
	const struct fake_files *files = context;
	size_t len = strlen(path);
	int result = 1;

	while (len > 0 && path[len - 1] == '/')
		len--;
	for (const struct fake_file *f = files ? files->files : NULL; f && f->path; f++) {
		const char *name = f->path + len + 1;

		if (strncmp(f->path, path, len) != 0 || f->path[len] != '/')
			continue;
		result = 0;
		if (!strchr(name, '/') && buf_append(out, span_of(name, strlen(name) + 1)) != 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	}
	return result;
}

struct config_source fake_source(struct fake_files *files)
{
	return (struct config_source){.read_file = fake_read,
				      .check_file = fake_check,
				      .variable = fake_variable,
				      .context = files,
				      .list_folder = fake_list};
}

struct config *load(const char *text, const struct config_source *source, struct buf *said)
{
	struct config_problems problems = {0};
	struct config *cfg = NULL;
	int result = config_load_text(span_cstr(text), "conf/sallyport.yaml", source, &cfg,
				      &problems);

	buf_init(said, 1 << 16);
	config_problems_print(&problems, said);
	assert_int_equal(result, problems.errors > 0 ? -1 : 0);
	assert_true((cfg != NULL) == (result == 0));
	return cfg;
}

struct config *load_good(const char *text)
{
	struct config_source source = fake_source(NULL);
	struct buf said;
	struct config *cfg;

	source.check_file = NULL;
	cfg = load(text, &source, &said);
	if (said.len > 0)
		fail_msg("%s", buf_cstr(&said));
	buf_release(&said);
	return cfg;
}

static void write_file(const char *path, struct span text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
	assert_int_equal(fclose(file), 0);
}

void expect_file(const char *path, struct span text)
{
	static char there[1 << 18];
	FILE *file;
	size_t len;

	if (getenv("SALLYPORT_UPDATE"))
		write_file(path, text);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s is missing; run this test with SALLYPORT_UPDATE=1", path);
	len = fread(there, 1, sizeof(there), file);
	fclose(file);
	if (!span_eq(span_of(there, len), text))
		fail_msg("%s is not what the schema says; run this test with "
			 "SALLYPORT_UPDATE=1",
			 path);
}
