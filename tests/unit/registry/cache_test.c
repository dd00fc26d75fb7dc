#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "registry/cache.h"

static char top[] = "/tmp/registry-cache-test-XXXXXX";
static int cache = -1;

static int drop(const char *path, const struct stat *about, int kind, struct FTW *at)
{
	(void)about, (void)kind, (void)at;
	return remove(path);
}

static int set_up(void **state)
{
	struct err err;

	(void)state;
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	if (!mkdtemp(top))
		return -1;
	cache = cache_open(top, &err);
	return cache < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(cache);
	return nftw(top, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void digest_of(struct span text, struct registry_digest *digest)
{
	*digest = (struct registry_digest){.hash = REGISTRY_SHA256};
	assert_int_equal(
		EVP_Digest(text.ptr, text.len, digest->bytes, NULL, EVP_sha256(), NULL), 1);
}

static int put(const struct registry_digest *digest, struct span text, struct err *err)
{
	struct cache_file *file = cache_file_new(cache, digest, err);
	int result;

	if (!file)
		return -1;
	result = cache_file_write(file, text, err);
	return cache_file_end(file, result == 0, err) < 0 ? -1 : result;
}

static bool has(const struct registry_digest *digest)
{
	uint64_t size_bytes;
	int fd = cache_open_file(cache, digest, &size_bytes);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool leaves_nothing(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/new", top);
	return rmdir(path) == 0 && mkdirat(cache, "new", 0700) == 0;
}

static void a_file_is_there_when_all_of_it_has_the_digest(void **state)
{
	struct registry_digest digest, other;
	struct err err;

	(void)state;
	digest_of(SPAN("hello"), &digest);
	digest_of(SPAN("other"), &other);
	assert_false(has(&digest));
	assert_int_equal(put(&digest, SPAN("hello"), &err), 0);
	assert_true(has(&digest));
	assert_int_equal(put(&digest, SPAN("hello"), &err), 0);
	assert_int_equal(put(&other, SPAN("hello"), &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_false(has(&other));
	assert_true(leaves_nothing());
}

static void an_index_comes_back_as_it_was_kept(void **state)
{
	struct cached_index kept = {1700000000123, SPAN("W/\"a b\""), SPAN("{\n}\n")}, found;
	struct arena arena;
	struct err err;

	(void)state;
	arena_init(&arena, 65536, 4096);
	assert_int_equal(
		cache_read_index(cache, &registry_npm, SPAN("@a/b"), 100, &arena, &found, &err),
		0);
	assert_int_equal(cache_write_index(cache, &registry_npm, SPAN("@a/b"), &kept, &err), 0);
	assert_int_equal(
		cache_read_index(cache, &registry_npm, SPAN("@a/b"), 100, &arena, &found, &err),
		1);
	assert_int_equal(found.fetched_ms, kept.fetched_ms);
	assert_true(span_eq(found.etag, kept.etag) && span_eq(found.text, kept.text));
	kept.etag = SPAN("");
	kept.text = SPAN("");
	assert_int_equal(cache_write_index(cache, &registry_npm, SPAN("@a/b"), &kept, &err), 0);
	assert_int_equal(
		cache_read_index(cache, &registry_npm, SPAN("@a/b"), 100, &arena, &found, &err),
		1);
	assert_true(found.etag.len == 0 && found.text.ptr && found.text.len == 0);
	assert_true(leaves_nothing());
	arena_release(&arena);
}

static void a_full_disk_is_an_error_and_leaves_what_was_there(void **state)
{
	struct cached_index kept = {1, SPAN(""), SPAN("small")}, found;
	struct registry_digest digest;
	struct rlimit before, full;
	char large[8192];
	struct arena arena;
	struct err err = {.code = ERR_NONE};
	int file, index;

	(void)state;
	memset(large, 'x', sizeof(large));
	arena_init(&arena, 65536, 4096);
	digest_of(span_of(large, sizeof(large)), &digest);
	assert_int_equal(cache_write_index(cache, &registry_npm, SPAN("a"), &kept, &err), 0);
	kept.text = span_of(large, sizeof(large));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	full = (struct rlimit){1000, before.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	file = put(&digest, kept.text, &err);
	index = cache_write_index(cache, &registry_npm, SPAN("a"), &kept, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(file, -1);
	assert_int_equal(index, -1);
	assert_int_equal(err.code, ERR_IO);
	assert_false(has(&digest));
	assert_int_equal(
		cache_read_index(cache, &registry_npm, SPAN("a"), 100, &arena, &found, &err),
		1);
	assert_true(span_eq(found.text, SPAN("small")));
	assert_true(leaves_nothing());
	arena_release(&arena);
}

static void without_memory_nothing_is_kept(void **state)
{
	struct registry_digest digest;
	bool failed = true;

	(void)state;
	digest_of(SPAN("hello"), &digest);
	for (unsigned long n = 1; failed; n++) {
		struct err err = {.code = ERR_NONE};
		int result;

		mem_fail_at(n);
		result = put(&digest, SPAN("hello"), &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_int_equal(result, failed ? -1 : 0);
		assert_true(!failed || err.code == ERR_MEMORY);
		assert_int_equal(has(&digest), !failed);
	}
	assert_true(leaves_nothing());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_there_when_all_of_it_has_the_digest),
		TEST(an_index_comes_back_as_it_was_kept),
		TEST(a_full_disk_is_an_error_and_leaves_what_was_there),
		TEST(without_memory_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
