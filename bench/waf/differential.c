/*
 * differential.c - many requests through our rules and through libmodsecurity; every difference is
 * printed. It fails when fewer than 99.5 % are equal, or one of the others is of no class.
 * Usage: differential DATA-FOLDER [REQUESTS [SEED [PARANOIA [CACHE-FOLDER]]]]
 */
#include "tests/conformance/waf/differential.h"

static uint64_t number(int argc, char **argv, int at, uint64_t otherwise)
{
	uint64_t value;

	return argc > at && span_to_u64(span_cstr(argv[at]), &value) ? value : otherwise;
}

int main(int argc, char **argv)
{
	struct differential d = {
		.requests = number(argc, argv, 2, 50000),
		.seed = number(argc, argv, 3, 1),
		.paranoia = (unsigned)number(argc, argv, 4, 4),
		.cache_folder = argc > 5 ? argv[5] : NULL,
	};
	struct differential_result result;
	struct err err = {0};
	size_t unexplained;

	if (argc < 2) {
		fprintf(stderr,
			"usage: %s DATA-FOLDER [REQUESTS [SEED [PARANOIA [CACHE-FOLDER]]]]\n",
			argv[0]);
		return 2;
	}
	d.data_folder = argv[1];
	if (differential_run(&d, stdout, &result, &err) != 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	unexplained = result.requests - result.equal - result.explained;
	printf("%zu requests, %zu with equal rules (%.3f %%), %zu explained, %zu not\n",
	       result.requests, result.equal,
	       100.0 * (double)result.equal / (double)result.requests, result.explained,
	       unexplained);
	return unexplained == 0 && result.equal * 1000 >= result.requests * 995 ? 0 : 1;
}
