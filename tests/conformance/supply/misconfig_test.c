/*
 * misconfig_test.c - public examples of misconfigurations: a folder an example, whose name says what
 * is wrong, with files that FAIL and files that PASS. A rule of ours stands for each; it must find
 * what fails, and not what passes. Recall and false positives are printed a family of rules.
 * Usage: misconfig_test PROJECT
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "data.h"
#include "supply/check.h"

#include "misconfig_rules.h"

#ifdef HAVE_ASAN
/* libjq 1.6 loses some small texts on a few of these documents. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libjq.so";
}
#endif

enum label { LABEL_NONE, LABEL_FAIL, LABEL_PASS };

struct family {
	const char *name;
	unsigned failures;
	unsigned found;
	unsigned passes;
	unsigned wrong;
};

struct run {
	struct checker *checker;
	struct family families[CHECK_KINDS];
	unsigned examples;
	unsigned unknown; /* examples for which we have no rule */
};

static bool contains(struct span text, const char *word)
{
	return span_find(text, span_cstr(word)) < text.len;
}

/* By the path from the example's folder on; a mixed file has something that fails. */
static enum label label_of(struct span path)
{
	char lower[512];
	size_t len = path.len < sizeof(lower) ? path.len : sizeof(lower);
	struct span text;

	for (size_t i = 0; i < len; i++)
		lower[i] = ascii_lower(path.ptr[i]);
	text = span_of(lower, len);
	if (contains(text, "unknown") || contains(text, "unkown"))
		return LABEL_NONE;
	if (contains(text, "fail"))
		return LABEL_FAIL;
	if (contains(text, "pass") || contains(text, "success"))
		return LABEL_PASS;
	return LABEL_NONE;
}

static bool finds(struct run *run, const char *path, const char *rule, enum check_kind *kind)
{
	struct finding_list list;
	struct arena arena;
	struct buf text;
	struct err err = {0};
	struct span wanted = span_cstr(rule);
	bool found = false;

	arena_init(&arena, (size_t)16 << 20, (size_t)1 << 14);
	finding_list_init(&list, &arena);
	buf_init(&text, (size_t)4 << 20);
	if (data_read(path, &text)) {
		*kind = check_kind_of(span_cstr(path), buf_span(&text));
		if (check_file(run->checker, *kind, span_cstr(path), buf_span(&text), &list,
			       &err) < 0)
			printf("not read: %s: %s\n", path, err.message);
	}
	for (size_t i = 0; i < list.count; i++)
		found = found || span_eq(list.at[i].rule, wanted);
	buf_release(&text);
	arena_release(&arena);
	return found;
}

static void check_one(struct run *run, const struct misconfig_rule *rule, const char *path,
		      struct span label_path)
{
	enum label label = label_of(label_path);
	enum check_kind kind = CHECK_NONE;
	bool found;

	if (label == LABEL_NONE)
		return;
	for (size_t i = 0; i < COUNT_OF(misconfig_ignored); i++)
		if (contains(span_cstr(path), misconfig_ignored[i].path))
			return;
	found = finds(run, path, rule->rule, &kind);
	if (kind == CHECK_NONE)
		return;
	if (label == LABEL_FAIL) {
		run->families[kind].failures++;
		run->families[kind].found += found;
		if (!found)
			printf("missed by %s: %s\n", rule->rule, path);
	} else {
		run->families[kind].passes++;
		run->families[kind].wrong += found;
		if (found)
			printf("wrong by %s: %s\n", rule->rule, path);
	}
}

static void walk_example(struct run *run, const struct misconfig_rule *rule, const char *folder,
			 size_t prefix)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[4096];
		struct stat st;

		if (span_eq(span_cstr(entry->d_name), SPAN(".")) ||
		    span_eq(span_cstr(entry->d_name), SPAN("..")) ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    sizeof(path) ||
		    stat(path, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			walk_example(run, rule, path, prefix);
		else
			check_one(run, rule, path, span_cstr(path + prefix));
	}
	if (dir)
		closedir(dir);
}

static void walk(struct run *run, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[4096];
		struct span name = span_cstr(entry->d_name);
		bool known = false;

		if (span_eq(span_cstr(entry->d_name), SPAN(".")) ||
		    span_eq(span_cstr(entry->d_name), SPAN("..")) ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    sizeof(path))
			continue;
		if (span_starts_with(name, SPAN("example_")))
			name = span_slice(name, 8, name.len);
		for (size_t i = 0; i < COUNT_OF(misconfig_rules); i++)
			if (span_eq(name, span_cstr(misconfig_rules[i].example))) {
				known = true;
				walk_example(run, &misconfig_rules[i], path, strlen(path));
			}
		run->examples++;
		run->unknown += !known;
		if (!known)
			printf("no rule for %s\n", path);
	}
	if (dir)
		closedir(dir);
}

static int report(const struct run *run)
{
	int result = 0;

	for (int kind = CHECK_DOCKERFILE; kind < CHECK_KINDS; kind++) {
		const struct family *f = &run->families[kind];
		double recall = f->failures ? 100.0 * f->found / f->failures : 100;
		double wrong = f->passes ? 100.0 * f->wrong / f->passes : 0;

		if (f->failures + f->passes == 0)
			continue;
		printf("%s: %u of %u failures found (%.1f %%), %u of %u passes reported "
		       "(%.1f %%)\n",
		       check_kind_name((enum check_kind)kind), f->found, f->failures, recall,
		       f->wrong, f->passes, wrong);
		if (recall < 90 || wrong > 5)
			result = 1;
	}
	printf("%u examples, %u of them without a rule; %zu rules\n", run->examples,
	       run->unknown, checker_rule_count(run->checker));
	return result;
}

int main(int argc, char **argv)
{
	static const char *const folders[] = {
		"dockerfile/checks",
		"dockerfile/graph_builder/checks/resources",
		"kubernetes/checks",
		"kubernetes/graph/checks/resources",
		"github_actions/checks/graph_checks/resources",
		"openapi/checks/resource/v2",
		"openapi/checks/resource/generic",
		"openapi/checks/resource/v3",
	};
	char data[3072], path[4096];
	struct run run = {0};
	struct err err = {0};
	struct stat st;
	int result;

	if (argc < 2)
		return 2;
	data_folder(argv[1], data, sizeof(data));
	snprintf(path, sizeof(path), "%s/misconfig/checkov/tests", data);
	if (stat(path, &st) < 0) {
		printf("skipped: no examples in %s/misconfig\n", data);
		return DATA_SKIPPED;
	}
	run.checker = checker_new(&err);
	if (!run.checker) {
		printf("%s\n", err.message);
		return 1;
	}
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		snprintf(path, sizeof(path), "%s/misconfig/checkov/tests/%s", data, folders[i]);
		walk(&run, path);
	}
	result = report(&run);
	checker_free(run.checker);
	return result;
}
