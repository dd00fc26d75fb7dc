/*
 * versions_test.c - public lists of lines "A < B", "A = B" and "A > B", a file an ecosystem: every
 * one must hold, and its reverse too.
 * Usage: versions_test PROJECT
 */
#include <stdio.h>

#include "base/compiler.h"
#include "data.h"
#include "parse/version.h"

static const struct {
	const char *file;
	enum version_order order;
} files[] = {
	{"alpine-versions", VERSION_ORDER_APK},
	{"alpine-versions-generated", VERSION_ORDER_APK},
	{"cran-versions", VERSION_ORDER_CRAN},
	{"cran-versions-generated", VERSION_ORDER_CRAN},
	{"debian-versions", VERSION_ORDER_DPKG},
	{"debian-versions-generated", VERSION_ORDER_DPKG},
	{"maven-versions", VERSION_ORDER_MAVEN},
	{"maven-versions-generated", VERSION_ORDER_MAVEN},
	{"nuget-versions", VERSION_ORDER_NUGET},
	{"packagist-versions", VERSION_ORDER_PACKAGIST},
	{"packagist-versions-generated", VERSION_ORDER_PACKAGIST},
	{"pypi-versions", VERSION_ORDER_PEP440},
	{"pypi-versions-generated", VERSION_ORDER_PEP440},
	{"redhat-versions", VERSION_ORDER_RPM},
	{"rubygems-versions", VERSION_ORDER_RUBYGEMS},
	{"rubygems-versions-generated", VERSION_ORDER_RUBYGEMS},
	{"semver-versions", VERSION_ORDER_SEMVER},
};

struct totals {
	unsigned held;
	unsigned failed;
	unsigned unread;
};

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void check_line(const char *file, unsigned number, enum version_order order,
		       struct span line, struct totals *totals)
{
	struct span rest = line;
	struct span a = span_cut(&rest, ' '), operator= span_cut(&rest, ' '), b = rest;
	int expected;

	if (span_eq(operator, SPAN("<")))
		expected = -1;
	else if (span_eq(operator, SPAN("=")))
		expected = 0;
	else if (span_eq(operator, SPAN(">")))
		expected = 1;
	else {
		printf("%s:%u: not understood: %.*s\n", file, number, SPAN_ARG(line));
		totals->unread++;
		return;
	}
	if (sign(version_compare(order, a, b)) == expected &&
	    sign(version_compare(order, b, a)) == -expected) {
		totals->held++;
		return;
	}
	printf("%s:%u: does not hold: %.*s\n", file, number, SPAN_ARG(line));
	totals->failed++;
}

static bool check_file(const char *folder, const char *file, enum version_order order,
		       struct totals *totals)
{
	char path[4096];
	struct buf text;
	struct span rest;
	unsigned number = 0;
	bool read;

	buf_init(&text, (size_t)16 << 20);
	snprintf(path, sizeof(path), "%s/versions/%s.txt", folder, file);
	read = data_read(path, &text);
	rest = buf_span(&text);
	while (read && rest.ptr) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		number++;
		if (line.len == 0 || line.ptr[0] == '#' || span_starts_with(line, SPAN("//")))
			continue;
		check_line(file, number, order, line, totals);
	}
	buf_release(&text);
	return read;
}

int main(int argc, char **argv)
{
	struct totals totals = {0};
	char folder[3072];

	if (argc < 2)
		return 2;
	data_folder(argv[1], folder, sizeof(folder));
	for (size_t i = 0; i < COUNT_OF(files); i++)
		if (!check_file(folder, files[i].file, files[i].order, &totals)) {
			printf("skipped: no lists of versions in %s/versions\n", folder);
			return DATA_SKIPPED;
		}
	printf("%u lines hold, %u do not, %u not understood\n", totals.held, totals.failed,
	       totals.unread);
	return totals.failed || totals.unread ? 1 : 0;
}
