/*
 * wycheproof_test.c - public signature and key vectors: each must be accepted or refused as its
 * label says, but for the differences listed below, each of which must still differ.
 * Usage: wycheproof_test PROJECT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "parse/jws.h"

#define SKIPPED 77

/*
 * Vectors whose key has an `alg` that contradicts the token and is nevertheless labelled valid:
 * they are read as by an operator who names the algorithm and lets the key's own be ignored.
 */
static const struct {
	int id;
	unsigned algorithm;
} named_algorithm[] = {
	{346, JWS_PS384}, /* RFC 7520 figure 20: the key says PS256 */
	{347, JWS_ES512}, /* figure 27: the key says "ES521", which is no algorithm */
	{350, JWS_PS384}, /* the same two with key_ops */
	{351, JWS_ES512},
};

/* Labels that we do not follow. */
static const struct {
	int id;
	const char *reason;
} differences[] = {
	{367, "is the same bytes as vector 357, which is labelled valid"},
	{370, "is the same bytes as vector 357, which is labelled valid"},
	{372,
	 "has a '?' in its header, outside of the base64url alphabet (RFC 7515 section 2)"},
	{373,
	 "has a '?' in its payload, outside of the base64url alphabet (RFC 7515 section 2)"},
};

struct totals {
	unsigned passed;
	unsigned failed;
	unsigned differing;
	unsigned skipped;
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

static const char *difference(const char *file, int64_t id)
{
	if (!strstr(file, "signature"))
		return NULL;
	for (size_t i = 0; i < COUNT_OF(differences); i++)
		if (differences[i].id == id)
			return differences[i].reason;
	return NULL;
}

static struct jwk_options options_for(const char *file, int64_t id)
{
	struct jwk_options options = {.algorithms = JWS_PUBLIC_ALL | JWS_HMAC_ALL};

	for (size_t i = 0; i < COUNT_OF(named_algorithm); i++) {
		if (named_algorithm[i].id == id && strstr(file, "signature")) {
			options.algorithms = named_algorithm[i].algorithm;
			options.ignore_alg = true;
		}
	}
	return options;
}

/* Would this token be accepted with these keys, and why not? */
static const char *refusal(struct jws_context *c, struct arena *a, struct span keys,
			   struct span token, const struct jwk_options *options,
			   struct err *err)
{
	const struct jws_policy policy = {.algorithms = options->algorithms};
	struct jwk_set *set = jwk_set_parse(keys, options, err);
	enum jws_result result;
	struct jws jws;

	if (!set)
		return err->message;
	result = jws_parse(a, token, &jws);
	if (result == JWS_OK)
		result = jws_verify(c, &jws, set, &policy);
	jwk_set_free(set);
	return result == JWS_OK ? NULL : jws_result_name(result);
}

static void run_vector(struct jws_context *c, struct arena *a, const char *file,
		       struct span keys, const struct json *test, struct totals *totals)
{
	const char *why;
	const char *reason;
	struct jwk_options options;
	struct err err = {0};
	struct span token = SPAN_NONE;
	struct span label = SPAN_NONE;
	int64_t id = 0;
	bool wanted;

	json_int(json_get(test, SPAN("tcId")), &id);
	json_string(json_get(test, SPAN("result")), &label);
	if (!json_string(json_get(test, SPAN("jws")), &token) || !label.len) {
		totals->skipped++;
		return;
	}
	options = options_for(file, id);
	why = refusal(c, a, keys, token, &options, &err);
	reason = difference(file, id);
	wanted = span_eq(label, SPAN("valid"));
	if (span_eq(label, SPAN("acceptable")))
		wanted = !why;
	if ((!why == wanted) != !reason) {
		totals->failed++;
		printf("%s %lld: labelled %.*s, %s%s\n", file, (long long)id, SPAN_ARG(label),
		       why ? "refused: " : "accepted", why ? why : "");
	} else if (reason) {
		totals->differing++;
		printf("%s %lld: labelled %.*s, but %s\n", file, (long long)id, SPAN_ARG(label),
		       reason);
	} else {
		totals->passed++;
	}
}

/* What verifiers are given: the public keys, or for HMAC the only ones. */
static bool write_keys(const struct json *group, struct buf *to)
{
	const struct json *keys = json_get(group, SPAN("public"));
	struct json_writer w;

	if (!keys)
		keys = json_get(group, SPAN("private"));
	if (!keys)
		return false;
	json_writer_init(&w, to);
	json_put_tree(&w, keys);
	return !buf_failed(to);
}

static int run_file(struct jws_context *c, const char *folder, const char *file,
		    struct totals *totals)
{
	const struct json *groups;
	struct arena a;
	struct buf text, keys, path;
	struct err err = {0};
	const char *name;
	bool read;

	buf_init(&text, (size_t)16 << 20);
	buf_init(&keys, (size_t)1 << 20);
	buf_init(&path, 4096);
	arena_init(&a, (size_t)64 << 20, 65536);
	buf_printf(&path, "%s/%s", folder, file);
	name = buf_cstr(&path);
	read = name && read_file(name, &text);
	groups = json_get(json_parse(&a, buf_span(&text), NULL, &err), SPAN("testGroups"));
	if (!read || !groups || groups->type != JSON_ARRAY) {
		printf("%s: cannot be read: %s\n", file, err.message);
		totals->failed++;
	}
	for (size_t g = 0; json_at(groups, g); g++) {
		const struct json *tests = json_get(json_at(groups, g), SPAN("tests"));

		buf_clear(&keys);
		if (!write_keys(json_at(groups, g), &keys)) {
			totals->failed++;
			printf("%s: group %zu has no keys\n", file, g);
			continue;
		}
		for (size_t i = 0; json_at(tests, i); i++)
			run_vector(c, &a, file, buf_span(&keys), json_at(tests, i), totals);
	}
	arena_release(&a);
	buf_release(&path);
	buf_release(&keys);
	buf_release(&text);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const files[] = {
		"json_web_signature_test.json",
		"json_web_key_test.json",
		"json_web_crypto_test.json",
	};
	const char *data = getenv("SALLYPORT_TEST_DATA");
	struct totals totals = {0, 0, 0, 0};
	struct jws_context *c;
	struct stat status;
	struct buf folder;

	buf_init(&folder, 4096);
	if (data)
		buf_printf(&folder, "%s/jose", data);
	else
		buf_printf(&folder, "%s/../shared/data/jose", argc > 1 ? argv[1] : ".");
	if (!buf_cstr(&folder) || stat(buf_cstr(&folder), &status) < 0) {
		printf("skipped: no test data (%s)\n", strerror(errno));
		buf_release(&folder);
		return SKIPPED;
	}
	c = jws_context_new(NULL);
	if (!c)
		return 1;
	for (size_t i = 0; i < COUNT_OF(files); i++)
		run_file(c, buf_cstr(&folder), files[i], &totals);
	printf("%u as labelled, %u deliberate differences, %u encryption vectors skipped, "
	       "%u failed\n",
	       totals.passed, totals.differing, totals.skipped, totals.failed);
	jws_context_free(c);
	buf_release(&folder);
	return totals.failed || !totals.passed ? 1 : 0;
}
