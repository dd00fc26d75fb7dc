#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/workspace.h"

static char top[] = "/tmp/workspace-test-XXXXXX";
static int home;

static int set_up(void **state)
{
	(void)state;
	memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
	home = open(".", O_RDONLY | O_DIRECTORY);
	return home < 0 || !mkdtemp(top) || chdir(top) < 0;
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	if (fchdir(home) < 0)
		return -1;
	close(home);
	return workspace_remove(top, &err);
}

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void a_folder_of_any_depth_is_removed(void **state)
{
	static const char name[] = "a-folder-with-a-name-of-some-length-so-that-paths-get-long";
	struct err err;

	(void)state;
	assert_int_equal(mkdir("work", 0755), 0);
	assert_int_equal(chdir("work"), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(mkdir(".gone-1", 0700), 0);
		put("file");
		assert_int_equal(mkdir(name, 0755), 0);
		assert_int_equal(chdir(name), 0);
	}
	assert_int_equal(chdir(top), 0);
	assert_int_equal(workspace_remove("work", &err), 0);
	assert_int_equal(access("work", F_OK), -1);
}

static void what_cannot_be_entered_is_removed_and_links_are_not_followed(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(mkdir("outside", 0755), 0);
	put("outside/file");
	assert_int_equal(mkdir("work", 0755), 0);
	assert_int_equal(symlink("../outside", "work/link"), 0);
	assert_int_equal(symlink("nowhere", "work/broken"), 0);
	assert_int_equal(mkfifo("work/fifo", 0600), 0);
	assert_int_equal(mkdir("work/closed", 0755), 0);
	assert_int_equal(mkdir("work/closed/within", 0755), 0);
	put("work/closed/within/file");
	assert_int_equal(chmod("work/closed/within", 0), 0);
	assert_int_equal(chmod("work/closed", 0), 0);
	assert_int_equal(chmod("work", 0), 0);
	assert_int_equal(workspace_remove("work", &err), 0);
	assert_int_equal(access("work", F_OK), -1);
	assert_int_equal(access("outside/file", F_OK), 0);
	assert_int_equal(workspace_remove("work", &err), 0);
}

static void links_on_the_way_to_an_artifact_are_not_followed(void **state)
{
	static const char *const bad[] = {
		"link/file",   "folder/link/file",	    "../outside/file",
		"/etc/passwd", "folder/../../outside/file", ""};
	struct err err;

	(void)state;
	assert_int_equal(mkdir("outside", 0755), 0);
	put("outside/file");
	assert_int_equal(mkdir("work", 0755), 0);
	assert_int_equal(mkdir("work/folder", 0755), 0);
	assert_int_equal(mkdir("kept", 0755), 0);
	assert_int_equal(symlink("../outside", "work/link"), 0);
	assert_int_equal(symlink("../../outside", "work/folder/link"), 0);
	put("work/folder/file");
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(workspace_keep("work", "kept", span_cstr(bad[i]), &err), -1);
	assert_int_equal(access("outside/file", F_OK), 0);
	assert_int_equal(workspace_keep("work", "kept", SPAN("folder/file"), &err), 0);
	assert_int_equal(access("kept/folder/file", F_OK), 0);
	assert_int_equal(workspace_keep("work", "kept", SPAN("folder/none"), &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_folder_of_any_depth_is_removed),
		TEST(what_cannot_be_entered_is_removed_and_links_are_not_followed),
		TEST(links_on_the_way_to_an_artifact_are_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
