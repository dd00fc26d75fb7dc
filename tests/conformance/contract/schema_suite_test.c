/*
 * schema_suite_test.c - the JSON Schema test suite: every test must come out as its label says, but
 * for the optional ones listed below, each of which must still differ. Each instance is checked as a
 * text in one piece, byte by byte, and as a tree, with the same result.
 * Usage: schema_suite_test PROJECT
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "contract/schema.h"
#include "parse/json_write.h"

#define SKIPPED 77
#define FILE_MAX_BYTES ((size_t)4 << 20)

#define ALL_DRAFTS NULL

/* Optional tests that we do not follow. `group` and `test` NULL: all of the file or group. */
static const struct {
	const char *draft;
	const char *file;
	const char *group;
	const char *test;
	const char *reason;
} differences[] = {
#include "schema_differences.h"
};

struct totals {
	unsigned passed;
	unsigned failed;
	unsigned differing;
	unsigned used[sizeof(differences) / sizeof(differences[0])];
};

struct suite {
	char root[1024];
	char draft[64];
	char file[128];
	enum schema_dialect dialect;
	bool optional;
	struct schema_run *run;
	struct totals totals;
};

static bool read_file(const char *path, struct buf *to)
{
	FILE *file = fopen(path, "rb");
	char piece[4096];
	size_t got;
	bool failed;

	if (!file)
		return false;
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(to, piece, got);
	failed = ferror(file) || buf_failed(to);
	fclose(file);
	return !failed;
}

/* The remote schemas, which are at http://localhost:1234/. */
static int load_remote(void *context, struct schema_set *set, struct span uri, struct err *err)
{
	static const struct span base = SPAN_INIT("http://localhost:1234/");
	struct suite *suite = context;
	struct schema_source source = {suite->dialect, .is_schema = true};
	char path[2048];
	struct buf text;
	const struct json *root;
	static struct arena arena; /* of all remote documents, until the process ends */

	if (!arena.cap_bytes)
		arena_init(&arena, (size_t)512 << 20, 1 << 20);
	if (!span_starts_with(uri, base))
		return err_set(err, ERR_NOT_FOUND, "only remotes of the suite are there");
	uri = span_slice(uri, base.len, uri.len);
	snprintf(path, sizeof(path), "%s/remotes/%.*s", suite->root, SPAN_ARG(uri));
	buf_init(&text, FILE_MAX_BYTES);
	if (!read_file(path, &text)) {
		buf_release(&text);
		return err_set(err, ERR_NOT_FOUND, "there is no %s", path);
	}
	root = json_parse(&arena, arena_dup(&arena, buf_span(&text)), NULL, err);
	buf_release(&text);
	snprintf(path, sizeof(path), "%.*s%.*s", SPAN_ARG(base), SPAN_ARG(uri));
	return root && schema_set_add(set, span_cstr(path), root, &source, err) ? 0 : -1;
}

static bool matches(const char *pattern, struct span value)
{
	return !pattern || span_eq(span_cstr(pattern), value);
}

static int difference(const struct suite *suite, struct span group, struct span test)
{
	if (!suite->optional)
		return -1;
	for (size_t i = 0; i < COUNT_OF(differences); i++)
		if (matches(differences[i].draft, span_cstr(suite->draft)) &&
		    matches(differences[i].file, span_cstr(suite->file)) &&
		    matches(differences[i].group, group) && matches(differences[i].test, test))
			return (int)i;
	return -1;
}

static enum schema_result byte_by_byte(struct schema_run *run, const struct schema *schema,
				       struct span text)
{
	schema_run_start(run, schema, NULL);
	for (size_t i = 0; i < text.len; i++)
		schema_run_feed(run, span_slice(text, i, i + 1));
	return schema_run_finish(run);
}

/* SCHEMA_VALID or SCHEMA_INVALID, or what else happened. */
static enum schema_result check(struct schema_run *run, const struct schema *schema,
				const struct json *data)
{
	struct json_writer writer;
	enum schema_result result;
	struct buf text;

	buf_init(&text, FILE_MAX_BYTES);
	json_writer_init(&writer, &text);
	json_put_tree(&writer, data);
	result = schema_run_whole(run, schema, NULL, buf_span(&text));
	if (byte_by_byte(run, schema, buf_span(&text)) != result ||
	    schema_run_tree(run, schema, NULL, data) != result) {
		printf("FAIL one text, pieces and tree differ\n");
		result = SCHEMA_MORE;
	}
	buf_release(&text);
	return result;
}

static void run_test(struct suite *suite, const struct schema *schema, struct span group,
		     const struct json *test, const char *compile_error)
{
	const struct json *data = json_get(test, SPAN("data"));
	struct span name = SPAN("?");
	enum schema_result result = SCHEMA_MORE;
	bool valid = false;
	bool agrees;
	int differs;

	json_bool(json_get(test, SPAN("valid")), &valid);
	json_string(json_get(test, SPAN("description")), &name);
	if (schema)
		result = check(suite->run, schema, data);
	agrees = result == (valid ? SCHEMA_VALID : SCHEMA_INVALID);
	differs = difference(suite, group, name);
	if (agrees && differs < 0) {
		suite->totals.passed++;
	} else if (!agrees && differs >= 0) {
		suite->totals.differing++;
		suite->totals.used[differs]++;
	} else if (agrees && differences[differs].test) {
		suite->totals.failed++;
		printf("FAIL %s/%s: %.*s: %.*s: is listed as a difference, but agrees\n",
		       suite->draft, suite->file, SPAN_ARG(group), SPAN_ARG(name));
	} else if (agrees) {
		suite->totals.passed++;
	} else {
		suite->totals.failed++;
		printf("FAIL %s/%s: %.*s: %.*s: expected %s (%d)%s%s\n", suite->draft,
		       suite->file, SPAN_ARG(group), SPAN_ARG(name),
		       valid ? "valid" : "invalid", (int)result, schema ? "" : ": ",
		       schema ? "" : compile_error);
	}
}

static void run_group(struct suite *suite, const struct json *group, size_t number)
{
	const struct json *tests = json_get(group, SPAN("tests"));
	struct schema_set_options options = {.assert_formats =
						     strstr(suite->file, "format/") != NULL,
					     .load = load_remote,
					     .load_context = suite};
	struct schema_source source = {suite->dialect, .is_schema = true};
	struct schema_set *set;
	struct schema_document *document;
	const struct schema *schema = NULL;
	struct span name = SPAN("?");
	struct err err = {0};
	char uri[256];

	json_string(json_get(group, SPAN("description")), &name);
	set = schema_set_new(&options, &err);
	snprintf(uri, sizeof(uri), "https://suite.test/%s/%s/%zu", suite->draft, suite->file,
		 number);
	document = set ? schema_set_add(set, span_cstr(uri), json_get(group, SPAN("schema")),
					&source, &err)
		       : NULL;
	if (document)
		schema = schema_set_compile(set, document, SPAN(""), SCHEMA_EITHER, &err);
	for (size_t i = 0; json_at(tests, i); i++)
		run_test(suite, schema, name, json_at(tests, i), err.message);
	schema_set_free(set);
}

static void run_file(struct suite *suite, const char *path)
{
	struct arena arena;
	struct buf text;
	const struct json *groups = NULL;
	struct err err = {0};

	arena_init(&arena, (size_t)64 << 20, 1 << 16);
	buf_init(&text, FILE_MAX_BYTES);
	if (read_file(path, &text))
		groups = json_parse(&arena, buf_span(&text), NULL, &err);
	if (!groups) {
		suite->totals.failed++;
		printf("FAIL %s: %s\n", path, err.message);
	}
	for (size_t i = 0; json_at(groups, i); i++)
		run_group(suite, json_at(groups, i), i);
	buf_release(&text);
	arena_release(&arena);
}

static int has_name(const struct dirent *entry)
{
	return span_ends_with(span_cstr(entry->d_name), SPAN(".json"));
}

static void run_folder(struct suite *suite, const char *sub)
{
	struct dirent **entries;
	char path[2048];
	int count;

	snprintf(path, sizeof(path), "%s/tests/%s/%s", suite->root, suite->draft, sub);
	count = scandir(path, &entries, has_name, alphasort);
	for (int i = 0; i < count; i++) {
		snprintf(suite->file, sizeof(suite->file), "%s%s", sub, entries[i]->d_name);
		snprintf(path, sizeof(path), "%s/tests/%s/%s", suite->root, suite->draft,
			 suite->file);
		suite->optional = strstr(sub, "optional") != NULL;
		run_file(suite, path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (count <= 0) {
		suite->totals.failed++;
		printf("FAIL there are no tests in %s\n", path);
	}
}

static int report(const struct totals *totals)
{
	unsigned failed = totals->failed;

	for (size_t i = 0; i < COUNT_OF(differences); i++)
		if (!totals->used[i]) {
			failed++;
			printf("FAIL the listed difference %s/%s does not differ any more\n",
			       differences[i].draft ? differences[i].draft : "*",
			       differences[i].file);
		}
	printf("%u passed, %u failed, %u optional ones differ as listed\n", totals->passed,
	       failed, totals->differing);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum schema_dialect dialect;
	} drafts[] = {{"draft4", SCHEMA_DRAFT4},
		      {"draft7", SCHEMA_DRAFT7},
		      {"draft2019-09", SCHEMA_2019_09},
		      {"draft2020-12", SCHEMA_2020_12}};
	static struct suite suite;
	const char *data = getenv("SALLYPORT_TEST_DATA");
	struct stat info;

	if (data)
		snprintf(suite.root, sizeof(suite.root), "%s/json-schema-suite", data);
	else
		snprintf(suite.root, sizeof(suite.root), "%s/../shared/data/json-schema-suite",
			 argc > 1 ? argv[1] : ".");
	if (stat(suite.root, &info) < 0) {
		printf("skipped: there is no %s\n", suite.root);
		return SKIPPED;
	}
	suite.run = schema_run_new(NULL, NULL);
	if (!suite.run)
		return EXIT_FAILURE;
	for (size_t i = 0; i < COUNT_OF(drafts); i++) {
		snprintf(suite.draft, sizeof(suite.draft), "%s", drafts[i].name);
		suite.dialect = drafts[i].dialect;
		run_folder(&suite, "");
		run_folder(&suite, "optional/");
		run_folder(&suite, "optional/format/");
	}
	schema_run_free(suite.run);
	return report(&suite.totals);
}
