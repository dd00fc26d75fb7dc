#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "runner/backup_manifest.h"
#include "runner/backup_object.h"

static char top[] = "/tmp/backup-test-XXXXXX";

static void write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void assert_file(const char *path, const char *text, mode_t mode)
{
	char found[256];
	struct stat about;
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	ssize_t n = read(fd, found, sizeof(found));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(found, text, strlen(text));
	assert_int_equal(fstat(fd, &about), 0);
	assert_int_equal(about.st_mode & 07777, mode);
	close(fd);
}

static int drop(const char *path, const struct stat *about, int kind, struct FTW *at)
{
	(void)about, (void)kind, (void)at;
	return remove(path);
}

static void drop_tree(const char *path)
{
	(void)nftw(path, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static int set_up(void **state)
{
	(void)state;
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	if (!mkdtemp(top) || chdir(top) < 0 || mkdir("code", 0755) < 0 ||
	    mkdir("code/sub", 0750) < 0)
		return -1;
	write_file("code/a.txt", "alpha", 5, 0644);
	write_file("code/sub/run", "#!/bin/sh\n", 10, 0755);
	write_file("code/sub/twin", "alpha", 5, 0600);
	write_file("code/empty", "", 0, 0644);
	return symlink("../a.txt", "code/sub/link");
}

static int tear_down(void **state)
{
	(void)state;
	if (chdir("/") < 0)
		return -1;
	drop_tree(top);
	return 0;
}

static void create(struct backup_info *made)
{
	struct err err;

	if (backup_create("store", "code", 1700000000, made, &err) < 0)
		fail_msg("%s", err.message);
}

static void a_restored_folder_is_the_one_that_was_stored(void **state)
{
	struct backup_info made, found;
	char target[64] = "";

	(void)state;
	create(&made);
	assert_int_equal(made.entries, 6);
	assert_int_equal(made.bytes, 20);
	assert_int_equal(backup_restore("store", made.id, "again", &found, NULL), 0);
	assert_int_equal(found.entries, 6);
	assert_int_equal(found.made_at_s, 1700000000);
	assert_file("again/a.txt", "alpha", 0644);
	assert_file("again/sub/run", "#!/bin/sh\n", 0755);
	assert_file("again/sub/twin", "alpha", 0600);
	assert_file("again/empty", "", 0644);
	assert_int_equal(readlink("again/sub/link", target, sizeof(target)), 8);
	assert_string_equal(target, "../a.txt");
	/* It exists now. */
	assert_int_equal(backup_restore("store", made.id, "again", &found, NULL), -1);
}

static void count(void *context, const struct backup_info *info)
{
	(void)info;
	++*(int *)context;
}

static void the_same_folder_at_the_same_time_is_the_same_backup(void **state)
{
	struct backup_info one, two;
	int seen = 0;

	(void)state;
	create(&one);
	create(&two);
	assert_string_equal(one.id, two.id);
	assert_int_equal(backup_list("store", count, &seen, NULL), 0);
	assert_int_equal(seen, 1);
	write_file("code/a.txt", "beta", 4, 0644);
	create(&two);
	assert_string_not_equal(one.id, two.id);
	seen = 0;
	assert_int_equal(backup_list("store", count, &seen, NULL), 0);
	assert_int_equal(seen, 2);
}

static void flip_last_byte(const char *path)
{
	int fd = open(path, O_RDWR);
	struct stat about;
	char byte;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &about), 0);
	assert_int_equal(pread(fd, &byte, 1, about.st_size - 1), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, about.st_size - 1), 1);
	close(fd);
}

static void a_flipped_bit_is_found(void **state)
{
	char hash[BACKUP_ID_CHARS + 1], path[256];
	struct backup_info made, found;
	struct err err;

	(void)state;
	create(&made);
	assert_int_equal(backup_verify("store", made.id, &found, NULL), 0);
	assert_int_equal(backup_hash(SPAN("alpha"), hash, NULL), 0);
	(void)snprintf(path, sizeof(path), "store/objects/%.2s/%s", hash, hash);
	flip_last_byte(path);
	assert_int_equal(backup_verify("store", made.id, &found, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "a.txt"));
	assert_int_equal(backup_restore("store", made.id, "again", &found, &err), -1);
	assert_int_equal(access("again/a.txt", F_OK), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(backup_verify("store", made.id, &found, &err), -1);
	(void)snprintf(path, sizeof(path), "store/snapshots/%s", made.id);
	flip_last_byte(path);
	assert_int_equal(backup_verify("store", made.id, &found, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

/* Puts a list into the store as somebody would who may write there; says its id. */
static void forge(const struct backup_entry *entries, size_t n, char id[BACKUP_ID_CHARS + 1])
{
	char path[256];
	struct buf list;

	buf_init(&list, 1 << 16);
	backup_manifest_begin(&list, 0);
	for (size_t i = 0; i < n; i++)
		backup_manifest_add(&list, &entries[i]);
	assert_int_equal(backup_hash(buf_span(&list), id, NULL), 0);
	(void)snprintf(path, sizeof(path), "store/snapshots/%s", id);
	write_file(path, list.ptr, list.len, 0600);
	buf_release(&list);
}

static void nothing_is_restored_outside_the_folder(void **state)
{
	char hash[BACKUP_ID_CHARS + 1], link_hash[BACKUP_ID_CHARS + 1], id[BACKUP_ID_CHARS + 1];
	struct backup_info made;
	struct err err;
	int store;

	(void)state;
	create(&made);
	assert_int_equal(backup_hash(SPAN("alpha"), hash, NULL), 0);
	store = backup_store_open("store", false, NULL);
	assert_int_equal(backup_object_put_bytes(store, SPAN(".."), link_hash, NULL), 0);
	close(store);

	struct backup_entry file = {BACKUP_FILE, 0644, 5, span_cstr(hash), SPAN("../escaped")};
	struct backup_entry leave = {BACKUP_LINK, 0, 2, span_cstr(link_hash), SPAN("x")};
	struct backup_entry through[] = {
		{BACKUP_FOLDER, 0755, 0, SPAN("-"), SPAN("sub")},
		{BACKUP_LINK, 0, 2, span_cstr(link_hash), SPAN("sub/up")},
		{BACKUP_FILE, 0644, 5, span_cstr(hash), SPAN("sub/up/escaped")},
	};

	forge(&file, 1, id);
	assert_int_equal(backup_restore("store", id, "r1", &made, &err), -1);
	assert_int_equal(err.code, ERR_SYNTAX);
	assert_int_equal(access("escaped", F_OK), -1);
	forge(&leave, 1, id);
	assert_int_equal(backup_restore("store", id, "r2", &made, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	forge(through, 3, id);
	assert_int_equal(backup_restore("store", id, "r3", &made, &err), -1);
	assert_int_equal(access("r3/escaped", F_OK), -1);
	assert_int_equal(backup_restore("store", "../x", "r4", &made, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

static void a_link_may_lead_up_only_at_its_beginning(void **state)
{
	(void)state;
	assert_true(backup_link_is_safe(SPAN("a/b"), SPAN("../c")));
	assert_true(backup_link_is_safe(SPAN("a"), SPAN("b/c")));
	assert_false(backup_link_is_safe(SPAN("a"), SPAN("../c")));
	assert_false(backup_link_is_safe(SPAN("a/b"), SPAN("../../c")));
	assert_false(backup_link_is_safe(SPAN("a/b"), SPAN("c/../d")));
	assert_false(backup_link_is_safe(SPAN("a"), SPAN("/etc/passwd")));
	assert_false(backup_path_is_safe(SPAN("/a")));
	assert_false(backup_path_is_safe(SPAN("a//b")));
	assert_false(backup_path_is_safe(SPAN("a/..")));
	assert_true(backup_path_is_safe(SPAN("a/..b")));
}

static void what_cannot_be_stored_is_refused(void **state)
{
	struct backup_info made;
	struct err err;

	(void)state;
	assert_int_equal(backup_create("code/store", "code", 0, &made, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	drop_tree("code/store");
	assert_int_equal(mkfifo("code/sub/pipe", 0600), 0);
	assert_int_equal(backup_create("store", "code", 0, &made, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "code/sub/pipe"));
	assert_int_equal(backup_create("store", "missing", 0, &made, &err), -1);
}

/* Of a small file, all is written at its end. */
static void a_full_disk_is_an_error_for_a_small_file_too(void **state)
{
	struct rlimit before, full;
	struct backup_info made;
	unsigned char noise[4096];
	struct err err = {.code = ERR_NONE};
	int done;

	(void)state;
	rand_bytes(noise, sizeof(noise));
	write_file("code/noise", noise, sizeof(noise), 0644);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	full = (struct rlimit){2000, before.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	done = backup_create("store", "code", 1700000000, &made, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(done, -1);
	assert_int_equal(err.code, ERR_IO);
	done = 0;
	assert_int_equal(backup_list("store", count, &done, &err), 0);
	assert_int_equal(done, 0);
}

static void each_failing_allocation_is_an_error(void **state)
{
	struct backup_info made, found;
	struct err err;
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		mem_fail_at(n);
		if (backup_create("store", "code", 1, &made, &err) == 0)
			assert_false(mem_fail_happened());
		else
			assert_int_equal(err.code, ERR_MEMORY);
		failed = mem_fail_happened();
		mem_fail_at(0);
	}
	failed = true;
	for (unsigned long n = 1; failed; n++) {
		mem_fail_at(n);
		drop_tree("again");
		if (backup_restore("store", made.id, "again", &found, &err) == 0)
			assert_false(mem_fail_happened());
		else
			assert_int_equal(err.code, ERR_MEMORY);
		failed = mem_fail_happened();
		mem_fail_at(0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_restored_folder_is_the_one_that_was_stored),
		TEST(the_same_folder_at_the_same_time_is_the_same_backup),
		TEST(a_flipped_bit_is_found),
		TEST(nothing_is_restored_outside_the_folder),
		TEST(a_link_may_lead_up_only_at_its_beginning),
		TEST(what_cannot_be_stored_is_refused),
		TEST(a_full_disk_is_an_error_for_a_small_file_too),
		TEST(each_failing_allocation_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
