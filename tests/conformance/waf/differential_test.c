/*
 * differential_test.c - a short run of what bench/waf/differential runs at length.
 * Usage: differential_test PROJECT CACHE-FOLDER
 */
#include <sys/stat.h>

#include "tests/conformance/waf/differential.h"

#define SKIPPED 77
#define REQUESTS 3200
#define SEED 20260101

int main(int argc, char **argv)
{
	const char *data = getenv("SALLYPORT_TEST_DATA");
	struct differential d = {.requests = REQUESTS, .seed = SEED, .paranoia = 4};
	struct differential_result result;
	struct err err = {0};
	struct stat status;
	char folder[4096];
	size_t unexplained;

	if (argc != 3)
		return 2;
	(void)snprintf(folder, sizeof(folder), "%s%s", data ? data : argv[1],
		       data ? "" : "/../shared/data");
	if (stat(folder, &status) != 0 ||
	    stat("/usr/share/modsecurity-crs/rules", &status) != 0) {
		printf("skipped: %s or the rules of Debian are not there\n", folder);
		return SKIPPED;
	}
	d.data_folder = folder;
	d.cache_folder = argv[2];
	if (differential_run(&d, stdout, &result, &err) != 0) {
		printf("%s\n", err.message);
		return 1;
	}
	unexplained = result.requests - result.equal - result.explained;
	printf("%zu requests, %zu with equal rules (%.3f %%), %zu explained, %zu not\n",
	       result.requests, result.equal,
	       100.0 * (double)result.equal / (double)result.requests, result.explained,
	       unexplained);
	return result.requests == REQUESTS && unexplained == 0 &&
			       result.equal * 1000 >= result.requests * 995
		       ? 0
		       : 1;
}
