/* differences.c - the table of deliberate differences. */
#include "differences.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

bool read_file(const char *path, struct buf *to)
{
	FILE *file = fopen(path, "rb");
	char piece[4096];
	bool failed;
	size_t got;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(to, piece, got);
	failed = ferror(file) || buf_failed(to);
	fclose(file);
	if (failed)
		fprintf(stderr, "%s: cannot be read whole\n", path);
	return !failed;
}

/* "`text`" without its backquotes, or ptr NULL. */
static struct span unquote(struct span cell)
{
	cell = span_trim(cell);
	if (cell.len < 3 || cell.ptr[0] != '`' || cell.ptr[cell.len - 1] != '`')
		return SPAN_NONE;
	return span_slice(cell, 1, cell.len - 1);
}

/* "| `case` | outcome | reason |"; other lines are left alone, also other tables' rows. */
static bool take_row(struct differences *d, struct span line, struct span prefix)
{
	struct span name, outcome, reason;

	if (!span_starts_with(line, SPAN("| `")))
		return true;
	line = span_slice(line, 1, line.len);
	name = unquote(span_cut(&line, '|'));
	if (!name.ptr || !span_starts_with(name, prefix))
		return true;
	outcome = span_trim(span_cut(&line, '|'));
	reason = span_trim(span_cut(&line, '|'));
	if (outcome.len == 0 || reason.len == 0) {
		fprintf(stderr, "%.*s: listed without an outcome or a reason\n",
			SPAN_ARG(name));
		return false;
	}
	if (d->count == DIFFERENCES_MAX) {
		fprintf(stderr, "more than %d differences\n", DIFFERENCES_MAX);
		return false;
	}
	d->list[d->count++] = (struct difference){.name = name, .outcome = outcome};
	return true;
}

bool differences_load(struct differences *d, const char *path, struct span prefix)
{
	struct span rest;

	d->count = 0;
	d->failures = 0;
	buf_init(&d->page, (size_t)1 << 20);
	if (!read_file(path, &d->page))
		return false;
	rest = buf_span(&d->page);
	while (rest.ptr) {
		if (!take_row(d, span_cut(&rest, '\n'), prefix))
			return false;
	}
	return true;
}

static struct difference *find(struct differences *d, struct span name)
{
	for (size_t i = 0; i < d->count; i++) {
		if (span_eq(d->list[i].name, name))
			return &d->list[i];
	}
	return NULL;
}

void differences_check(struct differences *d, struct span name, bool differs,
		       const char *outcome)
{
	struct difference *listed = find(d, name);

	if (listed)
		listed->seen = true;
	if (differs && !listed) {
		fprintf(stderr, "not listed: | `%.*s` | %s | ... |\n", SPAN_ARG(name), outcome);
		d->failures++;
	} else if (differs && !span_eq(listed->outcome, span_cstr(outcome))) {
		fprintf(stderr, "%.*s: listed as \"%.*s\", but is \"%s\"\n", SPAN_ARG(name),
			SPAN_ARG(listed->outcome), outcome);
		d->failures++;
	} else if (!differs && listed) {
		fprintf(stderr, "%.*s: listed, but differs no longer\n", SPAN_ARG(name));
		d->failures++;
	}
}

unsigned differences_end(struct differences *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->list[i].seen)
			continue;
		fprintf(stderr, "%.*s: listed, but there is no such case\n",
			SPAN_ARG(d->list[i].name));
		d->failures++;
	}
	buf_release(&d->page);
	return d->failures;
}

bool data_directory(const char *project, const char *name, char *path, size_t size)
{
	const char *data = getenv("SALLYPORT_TEST_DATA");
	struct stat st;
	int len;

	if (data && data[0])
		len = snprintf(path, size, "%s/%s", data, name);
	else
		len = snprintf(path, size, "%s/../shared/data/%s", project, name);
	if (len > 0 && (size_t)len < size && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	printf("skipped: there is no test data in %s\n", path);
	return false;
}
