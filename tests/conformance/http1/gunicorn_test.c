/*
 * gunicorn_test.c - raw HTTP/1 connections: those in valid/ are accepted and those in invalid/
 * refused, but for the listed differences. Files hold "\r\n" and other escapes as text; their own
 * line ends mean nothing. Usage: gunicorn_test PROJECT
 */
#include <dirent.h>
#include <stdio.h>

#include "base/compiler.h"
#include "differences.h"
#include "drive.h"

/* How some cases are to be driven: what they are about is a limit, and `outcome` its refusal. */
static const struct driven {
	const char *name;
	struct http1_limits limits;
	const char *outcome;
} driven[] = {
	{"gunicorn/invalid/006",
	 {.line_bytes = 4094, .head_bytes = 16384, .field_count = 100},
	 "line too long"},
	{"gunicorn/invalid/007",
	 {.line_bytes = 4094, .head_bytes = 8190, .field_count = 100},
	 "head too large"},
	{"gunicorn/invalid/008",
	 {.line_bytes = 4094, .head_bytes = 8190, .field_count = 100},
	 "head too large"},
	{"gunicorn/invalid/009",
	 {.line_bytes = 4094, .head_bytes = 8190, .field_count = 100},
	 "head too large"},
	{"gunicorn/invalid/010",
	 {.line_bytes = 10, .head_bytes = 8190, .field_count = 100},
	 "line too long"},
	{"gunicorn/invalid/011",
	 {.line_bytes = 4094, .head_bytes = 8190, .field_count = 2},
	 "head too large"},
	{"gunicorn/invalid/012",
	 {.line_bytes = 4094, .head_bytes = 98, .field_count = 100},
	 "head too large"},
	{"gunicorn/invalid/017",
	 {.line_bytes = 4094, .head_bytes = 8190, .field_count = 100},
	 "head too large"},
	{"gunicorn/invalid/limit_header_default_01",
	 {.line_bytes = 4094, .head_bytes = 8190, .field_count = 100},
	 "head too large"},
	{"gunicorn/valid/024",
	 {.line_bytes = 8192, .head_bytes = 32768, .field_count = 100},
	 DRIVE_ACCEPTED},
	{"gunicorn/valid/026",
	 {.line_bytes = 8192, .head_bytes = 32768, .field_count = 100},
	 DRIVE_ACCEPTED},
};

static const struct http1_limits usual_limits = {
	.line_bytes = 4094, .head_bytes = 8190, .field_count = 100};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at text[i] stands for; *used is its length. -1: no escape. */
static int escape(struct span text, size_t i, size_t *used)
{
	if (text.ptr[i] != '\\' || i + 1 >= text.len)
		return -1;
	*used = 2;
	switch (text.ptr[i + 1]) {
	case 'r': return '\r';
	case 'n': return '\n';
	case 't': return '\t';
	case '0': return '\0';
	}
	if (text.ptr[i + 1] != 'x' || i + 3 >= text.len)
		return -1;
	*used = 4;
	if (hex_digit(text.ptr[i + 2]) < 0 || hex_digit(text.ptr[i + 3]) < 0)
		return -1;
	return hex_digit(text.ptr[i + 2]) * 16 + hex_digit(text.ptr[i + 3]);
}

static void unescape(struct span text, struct buf *to)
{
	for (size_t i = 0; i < text.len; i++) {
		size_t used;
		int byte = escape(text, i, &used);

		if (byte >= 0) {
			buf_append_byte(to, (char)byte);
			i += used - 1;
		} else if (text.ptr[i] != '\n') {
			buf_append_byte(to, text.ptr[i]);
		}
	}
}

static void run_case(struct differences *d, const char *path, const char *name, bool valid)
{
	struct drive_options options = {.limits = usual_limits, .add_host = true};
	struct buf file, bytes;
	const char *outcome, *expected = NULL;

	for (size_t i = 0; i < COUNT_OF(driven); i++) {
		if (strcmp(driven[i].name, name) == 0) {
			options.limits = driven[i].limits;
			expected = driven[i].outcome;
		}
	}
	buf_init(&file, (size_t)1 << 20);
	buf_init(&bytes, (size_t)1 << 20);
	if (!read_file(path, &file)) {
		d->failures++;
	} else {
		unescape(buf_span(&file), &bytes);
		outcome = drive_connection(&bytes, &options);
		if (buf_failed(&bytes))
			outcome = "too large for the test";
		if (!valid && strcmp(outcome, DRIVE_NO_HOST) == 0)
			outcome = DRIVE_ACCEPTED;
		if (expected && strcmp(outcome, expected) != 0 &&
		    !(valid && strcmp(outcome, DRIVE_NO_HOST) == 0)) {
			fprintf(stderr, "%s: \"%s\" instead of \"%s\"\n", name, outcome,
				expected);
			d->failures++;
		}
		differences_check(d, span_cstr(name),
				  (strcmp(outcome, DRIVE_ACCEPTED) == 0) != valid, outcome);
	}
	buf_release(&file);
	buf_release(&bytes);
}

static unsigned run_directory(struct differences *d, const char *root, const char *kind)
{
	char path[4096];
	struct dirent *entry;
	unsigned count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/%s", root, kind);
	directory = opendir(path);
	if (!directory) {
		fprintf(stderr, "%s cannot be opened\n", path);
		d->failures++;
		return 0;
	}
	while ((entry = readdir(directory))) {
		struct span file = span_cstr(entry->d_name);
		char name[512];

		if (!span_ends_with(file, SPAN(".http")))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", root, kind, entry->d_name);
		snprintf(name, sizeof(name), "gunicorn/%s/%.*s", kind, (int)file.len - 5,
			 file.ptr);
		run_case(d, path, name, strcmp(kind, "valid") == 0);
		count++;
	}
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	static struct differences d;
	char root[2048], page[2048];
	unsigned valid, invalid, failures;

	if (argc != 2)
		return 2;
	if (!data_directory(argv[1], "http1/gunicorn", root, sizeof(root)))
		return 77;
	snprintf(page, sizeof(page), "%s/docs/http-strictness.md", argv[1]);
	if (!differences_load(&d, page, SPAN("gunicorn/")))
		return 1;
	valid = run_directory(&d, root, "valid");
	invalid = run_directory(&d, root, "invalid");
	if (valid == 0 || invalid == 0) {
		fprintf(stderr, "no cases in %s\n", root);
		d.failures++;
	}
	printf("%u valid, %u invalid, %zu listed differences\n", valid, invalid, d.count);
	failures = differences_end(&d);
	return failures ? 1 : 0;
}
