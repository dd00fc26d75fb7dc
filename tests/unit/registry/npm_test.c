#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "registry/protocol.h"

#define SHA1 "da39a3ee5e6b4b0d3255bfef95601890afd80709"
#define SHA256 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define SHA512                                                                                 \
	"z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"                                                   \
	"SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="

static void expect_target(const char *path, enum registry_kind kind, const char *package,
			  const char *rest)
{
	struct registry_target target;
	struct arena arena;

	arena_init(&arena, 65536, 4096);
	assert_int_equal(registry_npm.read_target(&arena, span_cstr(path), &target), 0);
	if (target.kind != kind)
		fail_msg("%s: %d", path, (int)target.kind);
	if (package)
		assert_true(span_eq(target.package, span_cstr(package)));
	if (rest)
		assert_true(span_eq(kind == REGISTRY_FILE ? target.file : target.version,
				    span_cstr(rest)));
	arena_release(&arena);
}

static void each_path_asks_for_what_it_says_and_all_else_is_unknown(void **state)
{
	(void)state;
	expect_target("/left", REGISTRY_INDEX, "left", NULL);
	expect_target("/JSONStream", REGISTRY_INDEX, "JSONStream", NULL);
	expect_target("/@scope/tool", REGISTRY_INDEX, "@scope/tool", NULL);
	expect_target("/left/1.0.0", REGISTRY_MANIFEST, "left", "1.0.0");
	expect_target("/@scope/tool/latest", REGISTRY_MANIFEST, "@scope/tool", "latest");
	expect_target("/left/-/left-1.0.0.tgz", REGISTRY_FILE, "left", "left-1.0.0.tgz");
	expect_target("/@scope/tool/-/tool-1.0.0.tgz", REGISTRY_FILE, "@scope/tool",
		      "tool-1.0.0.tgz");
	expect_target("/-/ping", REGISTRY_PING, NULL, NULL);
	expect_target("", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/-", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/-/whoami", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/-/v1/search", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/.hidden", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/_private", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/@", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/@scope", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/@/tool", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/@scope/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/left/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/left/-/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/left/-/a/b.tgz", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/left/1.0.0/more", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/le%20ft", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/left/-rev/1-a", REGISTRY_UNKNOWN, NULL, NULL);
}

static void a_scoped_name_is_asked_for_as_npm_does(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536, 4096);
	assert_true(span_eq(registry_npm.index_path(&arena, SPAN("left")), SPAN("/left")));
	assert_true(span_eq(registry_npm.index_path(&arena, SPAN("@scope/tool")),
			    SPAN("/@scope%2ftool")));
	arena_release(&arena);
}

static int read_dist(struct arena *arena, const char *dist, struct registry_index *index)
{
	struct span text = arena_printf(
		arena,
		"{\"name\":\"a\",\"versions\":{\"1.0.0\":{\"version\":\"1.0.0\",\"dist\":%s}}}",
		dist);
	struct err err;

	return registry_npm.read_index(arena, SPAN("a"), text, index, &err);
}

static void expect_digest(const char *dist, enum registry_hash hash, unsigned first)
{
	struct registry_index index;
	struct arena arena;

	arena_init(&arena, 1 << 20, 4096);
	assert_int_equal(read_dist(&arena, dist, &index), 0);
	assert_int_equal(index.count, 1);
	assert_int_equal(index.files[0].digest.hash, hash);
	assert_int_equal(index.files[0].digest.bytes[0], first);
	arena_release(&arena);
}

static void expect_none(const char *dist)
{
	struct registry_index index;
	struct arena arena;

	arena_init(&arena, 1 << 20, 4096);
	assert_int_equal(read_dist(&arena, dist, &index), 0);
	if (index.count)
		fail_msg("%s", dist);
	arena_release(&arena);
}

#define TARBALL "{\"tarball\":\"https://registry.test/a/-/a-1.0.0.tgz\""

static void the_strongest_digest_that_an_index_gives_counts(void **state)
{
	(void)state;
	expect_digest(TARBALL ",\"shasum\":\"" SHA1 "\"}", REGISTRY_SHA1, 0xda);
	expect_digest(TARBALL ",\"integrity\":\"sha512-" SHA512 "\",\"shasum\":\"" SHA1 "\"}",
		      REGISTRY_SHA512, 0xcf);
	expect_digest(TARBALL ",\"integrity\":\"sha256-" SHA256 " sha512-" SHA512 "?x\"}",
		      REGISTRY_SHA512, 0xcf);
	expect_digest(TARBALL ",\"integrity\":\"sha512-" SHA512 " sha256-" SHA256 "\"}",
		      REGISTRY_SHA512, 0xcf);
	expect_digest(TARBALL ",\"integrity\":\"md5-abcd sha256-" SHA256 "\"}", REGISTRY_SHA256,
		      0xe3);
	expect_digest(TARBALL ",\"integrity\":\"sha512-short\",\"shasum\":\"" SHA1 "\"}",
		      REGISTRY_SHA1, 0xda);
}

static void a_release_whose_file_cannot_be_checked_is_left_out(void **state)
{
	(void)state;
	expect_none(TARBALL "}");
	expect_none(TARBALL ",\"integrity\":\"sha512-\"}");
	expect_none(TARBALL ",\"integrity\":\"sha256-" SHA512 "\"}");
	expect_none(TARBALL ",\"shasum\":\"da39\"}");
	expect_none(TARBALL ",\"shasum\":\"zz39a3ee5e6b4b0d3255bfef95601890afd80709\"}");
	expect_none("{\"shasum\":\"" SHA1 "\"}");
	expect_none("{\"tarball\":\"https://registry.test/\",\"shasum\":\"" SHA1 "\"}");
	expect_none("{\"tarball\":7,\"shasum\":\"" SHA1 "\"}");
	expect_none("[]");
}

static const char index_text[] =
	"{\"name\":\"a\",\"dist-tags\":{\"latest\":\"1.1.0\"},\"time\":{\"1.0.0\":\"2020-01-"
	"01T00:00:"
	"00Z\"},\"versions\":{\"1.0.0\":{\"name\":\"a\",\"version\":\"1.0.0\",\"licenses\":[{"
	"\"type\":\"MIT\"},{\"type\":\"ISC\"}],\"dist\":" TARBALL ",\"shasum\":\"" SHA1
	"\"}},\"1.1.0\":{\"name\":\"a\",\"version\":\"1.1.0\",\"license\":{\"type\":\"MIT\"},"
	"\"dist\":" TARBALL ",\"shasum\":\"" SHA1 "\"}}}}";

static void what_rules_ask_for_is_read(void **state)
{
	struct registry_index index;
	struct arena arena;
	struct err err;

	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	assert_int_equal(
		registry_npm.read_index(&arena, SPAN("a"), span_cstr(index_text), &index, &err),
		0);
	assert_int_equal(index.count, 2);
	assert_true(span_eq(index.releases[0].licence, SPAN("MIT OR ISC")));
	assert_true(span_eq(index.releases[0].published, SPAN("2020-01-01T00:00:00Z")));
	assert_true(span_eq(index.releases[1].licence, SPAN("MIT")));
	assert_int_equal(index.releases[1].published.len, 0);
	arena_release(&arena);
}

static void without_memory_reading_and_writing_fail(void **state)
{
	static const struct judgement none[2] = {{.refused = false}};
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		const struct registry_view view = {.judgements = none,
						   .base = SPAN("https://gate.test")};
		struct registry_index index;
		struct arena arena;
		struct err err = {.code = ERR_NONE};
		struct buf out;

		arena_init(&arena, 1 << 20, 256);
		buf_init(&out, 65536);
		mem_fail_at(n);
		if (registry_npm.read_index(&arena, SPAN("a"), span_cstr(index_text), &index,
					    &err) == 0) {
			registry_npm.write_index(&index, &view, &out);
			failed = mem_fail_happened();
			/* Read whole, a lack of memory shows in what is written. */
			assert_true(!failed || buf_failed(&out));
		} else {
			failed = mem_fail_happened();
			assert_int_equal(err.code, ERR_MEMORY);
		}
		mem_fail_at(0);
		buf_release(&out);
		arena_release(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_path_asks_for_what_it_says_and_all_else_is_unknown),
		cmocka_unit_test(a_scoped_name_is_asked_for_as_npm_does),
		cmocka_unit_test(the_strongest_digest_that_an_index_gives_counts),
		cmocka_unit_test(a_release_whose_file_cannot_be_checked_is_left_out),
		cmocka_unit_test(what_rules_ask_for_is_read),
		cmocka_unit_test(without_memory_reading_and_writing_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
