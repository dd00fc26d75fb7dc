/* bun.lockb, written here as bun writes it: the columns of packages, then arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "lock.h"

#define HEADER "#!/usr/bin/env bun\nbun-lockfile-format-v0\n"
#define LONG_NAME "@scope/with-a-long-name"
#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define STRINGS LONG_NAME COMMIT "https://git.example/x.git"

enum { ROOT, A, LONG, GIT, DEV, PACKAGES };

static void put(struct buf *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		buf_append_byte(to, i < 8 ? (char)(value >> 8 * i) : '\0');
}

static void put_short(struct buf *to, const char *text)
{
	char bytes[8] = {0};

	memcpy(bytes, text, strlen(text));
	buf_append_bytes(to, bytes, 8);
}

static void put_long(struct buf *to, const char *text)
{
	size_t at = span_find(SPAN(STRINGS), span_cstr(text));

	put(to, (uint64_t)1 << 63 | (uint64_t)strlen(text) << 32 | at, 8);
}

static void put_npm(struct buf *to, unsigned size, const unsigned version[3], const char *pre)
{
	put(to, 2, 8);
	put_short(to, ""); /* the address */
	for (unsigned i = 0; i < 3; i++)
		put(to, version[i], size);
	put(to, 0, size == 4 ? 4 : 0);
	put_short(to, pre);
	put(to, 7, 8);
	put_short(to, "");
	put(to, 0, 8);
}

static void put_git(struct buf *to, size_t end)
{
	put(to, 32, 8);
	put_short(to, "");
	put_long(to, "https://git.example/x.git");
	put_short(to, "main");
	put_long(to, COMMIT);
	put_short(to, "x");
	while (to->len < end)
		put(to, 0, 8);
}

static void put_origins(struct buf *to, unsigned size)
{
	static const unsigned versions[PACKAGES][3] = {
		[A] = {1, 2, 3}, [LONG] = {2, 0, 0}, [DEV] = {0, 1, 0}};
	size_t bytes = size == 4 ? 64 : 72;

	put(to, 1, 8);
	for (size_t i = 8; i < bytes; i += 8)
		put(to, 0, 8);
	put_npm(to, size, versions[A], "rc.1");
	put_npm(to, size, versions[LONG], "");
	put_git(to, to->len + bytes);
	put_npm(to, size, versions[DEV], "");
}

static void put_meta(struct buf *to, bool digest)
{
	put(to, 0, 8);
	put(to, 0, 4);
	put_short(to, "");
	put(to, digest ? 4 : 0, 1);
	for (unsigned i = 0; i < 64; i++)
		put(to, digest ? 0xab : 0, 1);
	put(to, 1, 3);
}

/* Fills in the place that an array or the columns have. */
static void place(struct buf *to, size_t at, uint64_t begin)
{
	for (unsigned i = 0; i < 8; i++) {
		to->ptr[at + i] = (char)(begin >> 8 * i);
		to->ptr[at + 8 + i] = (char)((uint64_t)to->len >> 8 * i);
	}
}

static size_t begin_array(struct buf *to, const char *type)
{
	size_t at = to->len;

	put(to, 0xdeadbeef, 8);
	put(to, 0xdeadbeef, 8);
	buf_printf(to, "\n<%s> 4 sizeof, 4 alignof\n", type);
	return at;
}

static void put_empty(struct buf *to)
{
	size_t at = begin_array(to, "none");

	place(to, at, to->len);
}

static void put_wish(struct buf *to, const char *name, unsigned behaviour)
{
	put_short(to, name);
	put(to, 0, 8);
	put(to, behaviour, 1);
	put(to, 1, 1);
	put_short(to, "^1");
}

static void put_packages(struct buf *to, unsigned size)
{
	/* Of the root: A, DEV, and an optional one that is of another platform; of A: LONG, GIT. */
	static const unsigned slices[PACKAGES][2] = {[ROOT] = {0, 3}, [A] = {3, 2}};
	size_t at, begin;

	put(to, PACKAGES, 8);
	put(to, 8, 8);
	put(to, 8, 8);
	at = to->len;
	put(to, 0, 16);
	begin = to->len;
	put_short(to, "shop");
	put_short(to, "a");
	put_long(to, LONG_NAME);
	put_short(to, "x");
	put_short(to, "d");
	for (unsigned i = 0; i < PACKAGES; i++)
		put(to, i, 8);
	put_origins(to, size);
	for (unsigned both = 0; both < 2; both++) {
		for (unsigned i = 0; i < PACKAGES; i++) {
			put(to, slices[i][0], 4);
			put(to, slices[i][1], 4);
		}
	}
	for (unsigned i = 0; i < PACKAGES; i++)
		put_meta(to, i == A);
	put(to, 0, 40); /* bin and scripts */
	place(to, at, begin);
}

static void write_lock(struct buf *to, unsigned format)
{
	static const unsigned found[] = {A, DEV, UINT32_MAX, LONG, GIT};
	size_t at, begin;

	buf_init(to, 65536);
	buf_append_cstr(to, HEADER);
	put(to, format, 4);
	for (unsigned i = 0; i < 32; i++)
		put(to, i, 1);
	put(to, 1000, 8);
	put_packages(to, format == 2 ? 4 : 8);
	put_empty(to);
	put_empty(to);
	at = begin_array(to, "u32");
	begin = to->len;
	for (size_t i = 0; i < COUNT_OF(found); i++)
		put(to, found[i], 4);
	place(to, at, begin);
	at = begin_array(to, "dependency");
	begin = to->len;
	put_wish(to, "a", 2);
	put_wish(to, "d", 8);
	put_wish(to, "win", 4);
	put_wish(to, "long", 2);
	put_wish(to, "x", 2);
	place(to, at, begin);
	put_empty(to);
	at = begin_array(to, "u8");
	begin = to->len;
	buf_append_cstr(to, STRINGS);
	place(to, at, begin);
	put(to, 0, 8);
	assert_false(buf_failed(to));
}

static void packages_come_with_versions_digests_and_edges(void **state)
{
	(void)state;
	for (unsigned format = 2; format <= 3; format++) {
		const struct component *c;
		struct lock_run run;
		struct buf file;

		write_lock(&file, format);
		lock_run_start(&run, lock_bun_binary, buf_span(&file), NULL);
		if (run.result < 0)
			fail_msg("%s", run.err.message);
		assert_int_equal(run.inv.count, 4);
		c = lock_run_find(&run, "a", "1.2.3-rc.1");
		assert_non_null(c);
		assert_int_equal(c->relation, RELATION_DIRECT);
		assert_true(span_eq(c->digest_algorithm, SPAN("sha512")));
		assert_true(span_starts_with(c->digest, SPAN("abab")) && c->digest.len == 128);
		assert_true(lock_run_requires(&run, c, LONG_NAME));
		assert_true(lock_run_requires(&run, c, "x"));
		c = lock_run_find(&run, LONG_NAME, "2.0.0");
		assert_int_equal(c->relation, RELATION_TRANSITIVE);
		assert_true(span_eq(c->purl, SPAN("pkg:npm/%40scope/with-a-long-name@2.0.0")));
		c = lock_run_find(&run, "x", NULL);
		assert_true(span_eq(c->commit, SPAN(COMMIT)));
		assert_true(span_eq(c->vcs_url, SPAN("https://git.example/x.git")));
		assert_int_equal(lock_run_find(&run, "d", "0.1.0")->scope, SCOPE_DEV);
		lock_run_end(&run);
		buf_release(&file);
	}
}

static void a_part_of_a_file_is_an_error(void **state)
{
	struct buf file;

	(void)state;
	write_lock(&file, 2);
	/* The eight bytes of the end say nothing. */
	for (size_t length = 0; length < file.len - 8; length++) {
		struct lock_run run;

		lock_run_start(&run, lock_bun_binary, span_of(file.ptr, length), NULL);
		assert_int_equal(run.result, -1);
		assert_true(span_starts_with(span_cstr(run.err.message), SPAN("line 1: ")));
		lock_run_end(&run);
	}
	buf_release(&file);
}

static void changed_bytes_do_no_harm(void **state)
{
	struct buf file;

	(void)state;
	write_lock(&file, 2);
	for (size_t i = sizeof(HEADER) + 3; i < file.len; i++) {
		struct lock_run run;
		char was = file.ptr[i];

		file.ptr[i] = (char)~was;
		lock_run_start(&run, lock_bun_binary, buf_span(&file), NULL);
		assert_true(run.result == 0 || run.err.message[0]);
		lock_run_end(&run);
		file.ptr[i] = was;
	}
	buf_release(&file);
}

static void other_formats_are_said_not_to_be_read(void **state)
{
	struct lock_run run;
	struct buf file;

	(void)state;
	write_lock(&file, 1);
	lock_run_start(&run, lock_bun_binary, buf_span(&file), NULL);
	assert_int_equal(run.result, -1);
	assert_non_null(strstr(run.err.message, "--save-text-lockfile"));
	lock_run_end(&run);
	buf_release(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packages_come_with_versions_digests_and_edges),
		cmocka_unit_test(a_part_of_a_file_is_an_error),
		cmocka_unit_test(changed_bytes_do_no_harm),
		cmocka_unit_test(other_formats_are_said_not_to_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
