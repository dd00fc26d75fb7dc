#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "supply/inventory_child.h"
#include "supply/sbom.h"

static struct inventory_options options;
static struct child_limits limits;

static char folder[64];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/sallyport-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	write_file("package-lock.json",
		   "{\"packages\":{\"\":{\"dependencies\":{\"a\":\"1\"}},"
		   "\"node_modules/a\":{\"version\":\"1.0.0\",\"dependencies\":{\"b\":\"1\"}},"
		   "\"node_modules/b\":{\"version\":\"2.0.0\",\"license\":\"MIT\"}}}");
	write_file("poetry.lock", "no = [");
	return 0;
}

static int drop_folder(void **state)
{
	static const char *const names[] = {"package-lock.json", "poetry.lock"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	return rmdir(folder);
}

static void write_sbom(const struct inventory *inv, struct buf *text)
{
	const struct sbom_options how = {.format = SBOM_CYCLONEDX, .time_s = -1};

	buf_init(text, 1 << 20);
	assert_int_equal(sbom_write(inv, &how, text, NULL), 0);
}

static void a_child_finds_what_the_parent_would(void **state)
{
	struct inventory here, there;
	struct buf a, b;

	(void)state;
	inventory_init(&here, 1 << 24);
	inventory_init(&there, 1 << 24);
	assert_int_equal(inventory_scan(&here, folder, &options, NULL), 0);
	assert_int_equal(inventory_scan_child(&there, folder, &options, &limits, NULL), 0);
	assert_int_equal(there.count, 2);
	assert_int_equal(there.problem_count, 1);
	assert_true(span_eq(there.problems[0].file, SPAN("poetry.lock")));
	assert_int_equal(there.problems[0].line, 1);
	write_sbom(&here, &a);
	write_sbom(&there, &b);
	assert_true(span_eq(buf_span(&a), buf_span(&b)));
	buf_release(&a);
	buf_release(&b);
	inventory_release(&here);
	inventory_release(&there);
}

static void errors_of_the_child_come_back(void **state)
{
	struct inventory inv;
	struct err err = {0};

	(void)state;
	inventory_init(&inv, 1 << 24);
	assert_int_equal(inventory_scan_child(&inv, "/nonexistent", &options, &limits, &err),
			 -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_true(span_find(span_cstr(err.message), SPAN("/nonexistent")) == 0);
	inventory_release(&inv);
}

static void pack_scanned(struct buf *packed)
{
	struct inventory inv;

	inventory_init(&inv, 1 << 24);
	assert_int_equal(inventory_scan(&inv, folder, &options, NULL), 0);
	buf_init(packed, 1 << 20);
	assert_int_equal(inventory_pack(&inv, packed, NULL), 0);
	inventory_release(&inv);
}

static void a_part_of_the_bytes_is_refused(void **state)
{
	struct buf packed;

	(void)state;
	pack_scanned(&packed);
	for (size_t length = 0; length < packed.len; length++) {
		struct inventory inv;

		inventory_init(&inv, 1 << 24);
		assert_int_equal(
			inventory_unpack(&inv, span_slice(buf_span(&packed), 0, length), NULL),
			-1);
		inventory_release(&inv);
	}
	buf_release(&packed);
}

/* Whatever a byte is changed to: it is refused, or every number in it can be used. */
static void changed_bytes_are_refused_or_harmless(void **state)
{
	struct buf packed;

	(void)state;
	pack_scanned(&packed);
	for (size_t at = 0; at < packed.len; at++) {
		char old = packed.ptr[at];
		struct inventory inv;

		packed.ptr[at] = (char)(old ^ 0x81);
		inventory_init(&inv, 1 << 24);
		if (inventory_unpack(&inv, buf_span(&packed), NULL) == 0) {
			struct buf text;

			write_sbom(&inv, &text);
			buf_release(&text);
		}
		inventory_release(&inv);
		packed.ptr[at] = old;
	}
	buf_release(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_child_finds_what_the_parent_would,
						make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(errors_of_the_child_come_back, make_folder,
						drop_folder),
		cmocka_unit_test_setup_teardown(a_part_of_the_bytes_is_refused, make_folder,
						drop_folder),
		cmocka_unit_test_setup_teardown(changed_bytes_are_refused_or_harmless,
						make_folder, drop_folder),
	};

	options.limits = INVENTORY_LIMITS_DEFAULT;
	limits = CHILD_LIMITS_DEFAULT;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
