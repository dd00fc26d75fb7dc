#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lock.h"
#include "supply/licence.h"
#include "supply/sbom.h"

static const char lock_file[] =
	"{\"name\":\"app\",\"version\":\"1.0.0\",\"packages\":{\n"
	"\"\":{\"dependencies\":{\"a\":\"1\"},\"devDependencies\":{\"Dev\":\"1\"},"
	"\"optionalDependencies\":{\"o\":\"1\"}},\n"
	"\"node_modules/a\":{\"version\":\"1.0.0\",\"license\":\"MIT\",\"integrity\":"
	"\"sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"dependencies\":{\"@s/b\":\"2\"}},\n"
	"\"node_modules/@s/b\":{\"version\":\"2.0.0\",\"license\":\"MIT OR Apache-2.0\"},\n"
	"\"node_modules/Dev\":{\"version\":\"3.0.0\",\"dev\":true,\"license\":\"My own\"},\n"
	"\"node_modules/o\":{\"version\":\"4.0.0\",\"optional\":true},\n"
	"\"node_modules/g\":{\"version\":\"5.0.0\",\"resolved\":\"git+https://git.example/g.git"
	"#0123456789abcdef0123456789abcdef01234567\"}}}";

static void write_form(const struct inventory *inv, enum sbom_format format, int64_t time_s,
		       struct buf *text)
{
	const struct sbom_options options = {.format = format, .time_s = time_s};
	struct err err = {0};

	buf_init(text, (size_t)16 << 20);
	assert_int_equal(sbom_write(inv, &options, text, &err), 0);
}

static bool holds(const struct buf *text, const char *part)
{
	return span_find(buf_span(text), span_cstr(part)) < text->len;
}

static void the_same_inventory_gives_the_same_bytes(void **state)
{
	struct lock_run run, again;

	(void)state;
	lock_run_start(&run, lock_npm, span_cstr(lock_file), NULL);
	lock_run_start(&again, lock_npm, span_cstr(lock_file), NULL);
	for (enum sbom_format f = SBOM_CYCLONEDX; f <= SBOM_SPDX3; f++) {
		struct buf a, b;

		write_form(&run.inv, f, -1, &a);
		write_form(&again.inv, f, -1, &b);
		assert_true(span_eq(buf_span(&a), buf_span(&b)));
		assert_false(holds(&a, "2001-09-09"));
		buf_release(&b);
		write_form(&again.inv, f, 1000000000, &b);
		assert_true(holds(&b, "\"2001-09-09T01:46:40Z\""));
		buf_release(&a);
		buf_release(&b);
	}
	lock_run_end(&run);
	lock_run_end(&again);
}

static void expect_same(const struct component *a, const struct component *b)
{
	assert_true(span_eq(a->name, b->name) && span_eq(a->version, b->version));
	assert_true(span_eq(a->purl, b->purl));
	assert_true(span_eq(a->licence, b->licence));
	assert_true(span_eq(a->file, b->file));
	assert_true(span_eq(a->commit, b->commit));
	assert_true(span_eq(a->digest, b->digest));
	assert_true(span_eq(a->digest_algorithm, b->digest_algorithm));
	assert_int_equal(a->ecosystem, b->ecosystem);
	assert_int_equal(a->line, b->line);
	assert_int_equal(a->scope, b->scope);
	assert_int_equal(a->relation, b->relation);
	assert_int_equal(a->requires_count, b->requires_count);
	assert_int_equal(a->required_by_count, b->required_by_count);
}

static void what_is_written_in_any_form_is_read_back(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_npm, span_cstr(lock_file), NULL);
	for (enum sbom_format f = SBOM_CYCLONEDX; f <= SBOM_SPDX3; f++) {
		struct lock_run read = {0};
		struct buf text, again;

		write_form(&run.inv, f, -1, &text);
		inventory_init(&read.inv, (size_t)16 << 20);
		assert_true(sbom_is(buf_span(&text)));
		assert_int_equal(sbom_read(&read.inv, SPAN("sbom"), buf_span(&text), NULL), 0);
		assert_int_equal(inventory_finish(&read.inv, NULL), 0);
		assert_int_equal(read.inv.count, run.inv.count);
		assert_true(span_eq(read.inv.subject_name, SPAN("app")));
		assert_true(span_eq(read.inv.subject_version, SPAN("1.0.0")));
		for (uint32_t i = 0; i < run.inv.count; i++) {
			const struct component *c = lock_run_find(&read, run.inv.at[i].name.ptr,
								  run.inv.at[i].version.ptr);

			assert_non_null(c);
			expect_same(&run.inv.at[i], c);
		}
		write_form(&read.inv, f, -1, &again);
		assert_true(span_eq(buf_span(&text), buf_span(&again)));
		buf_release(&text);
		buf_release(&again);
		inventory_release(&read.inv);
	}
	lock_run_end(&run);
}

static void indenting_changes_white_space_only(void **state)
{
	const struct sbom_options options = {
		.format = SBOM_CYCLONEDX, .time_s = -1, .pretty = true};
	struct lock_run run, read = {0};
	struct buf text;

	(void)state;
	lock_run_start(&run, lock_npm, span_cstr(lock_file), NULL);
	buf_init(&text, (size_t)16 << 20);
	assert_int_equal(sbom_write(&run.inv, &options, &text, NULL), 0);
	assert_true(holds(&text, "\n  \"components\": [\n"));
	inventory_init(&read.inv, (size_t)16 << 20);
	assert_int_equal(sbom_read(&read.inv, SPAN("x"), buf_span(&text), NULL), 0);
	assert_int_equal(read.inv.count, run.inv.count);
	inventory_release(&read.inv);
	buf_release(&text);
	lock_run_end(&run);
}

static void fields_are_where_the_forms_want_them(void **state)
{
	struct lock_run run;
	struct buf text;

	(void)state;
	lock_run_start(&run, lock_npm, span_cstr(lock_file), NULL);
	write_form(&run.inv, SBOM_CYCLONEDX, -1, &text);
	assert_true(holds(&text, "\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\","
				 "\"serialNumber\":\"urn:uuid:"));
	assert_true(holds(&text, "\"group\":\"@s\",\"name\":\"b\",\"version\":\"2.0.0\""));
	assert_true(holds(&text, "{\"license\":{\"id\":\"MIT\"}}"));
	assert_true(holds(&text, "{\"expression\":\"MIT OR Apache-2.0\"}"));
	assert_true(holds(&text, "{\"license\":{\"name\":\"My own\"}}"));
	assert_true(holds(&text, "{\"ref\":\"subject\",\"dependsOn\":[\"pkg:npm/a@1.0.0\","));
	assert_true(holds(&text, "{\"ref\":\"pkg:npm/a@1.0.0\",\"dependsOn\":"
				 "[\"pkg:npm/%40s/b@2.0.0\"]}"));
	buf_release(&text);
	write_form(&run.inv, SBOM_SPDX, -1, &text);
	assert_true(holds(&text, "{\"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\""));
	assert_true(holds(&text, "\"relationshipType\":\"DEV_DEPENDENCY_OF\""));
	assert_true(holds(&text, "\"licenseDeclared\":\"NOASSERTION\",\"licenseComments\":"
				 "\"My own\""));
	buf_release(&text);
	write_form(&run.inv, SBOM_SPDX3, -1, &text);
	assert_true(holds(&text, "\"software_packageUrl\":\"pkg:npm/a@1.0.0\""));
	assert_true(holds(&text, "\"scope\":\"development\""));
	buf_release(&text);
	lock_run_end(&run);
}

static void documents_of_others_are_read(void **state)
{
	static const char cyclonedx[] =
		"{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.4\",\"components\":["
		"{\"type\":\"operating-system\",\"name\":\"debian\"},"
		"{\"type\":\"library\",\"name\":\"outer\",\"version\":\"1\",\"components\":["
		"{\"type\":\"library\",\"name\":\"inner\",\"version\":\"2\","
		"\"purl\":\"pkg:deb/debian/inner@2?distro=debian-11\"}]}]}";
	struct lock_run read = {0};
	struct err err = {0};

	(void)state;
	inventory_init(&read.inv, (size_t)16 << 20);
	assert_int_equal(sbom_read(&read.inv, SPAN("x"), span_cstr(cyclonedx), NULL), 0);
	assert_int_equal(inventory_finish(&read.inv, NULL), 0);
	assert_int_equal(read.inv.count, 2);
	assert_int_equal(lock_run_find(&read, "outer", "1")->ecosystem, ECOSYSTEM_OTHER);
	assert_true(span_eq(lock_run_find(&read, "inner", "2")->distro_version, SPAN("11")));
	inventory_release(&read.inv);
	inventory_init(&read.inv, (size_t)16 << 20);
	assert_int_equal(sbom_read(&read.inv, SPAN("x"), SPAN("{\"a\":\n\"b\"}"), &err), -1);
	assert_string_equal(err.message, "line 1: neither CycloneDX nor SPDX in JSON");
	assert_int_equal(sbom_read(&read.inv, SPAN("x"), SPAN("{\n"), &err), -1);
	assert_true(span_starts_with(span_cstr(err.message), SPAN("line 2: ")));
	assert_false(sbom_is(SPAN("{\"name\": 1}")) || sbom_is(SPAN("")));
	inventory_release(&read.inv);
}

static void licences_get_their_identifiers(void **state)
{
	(void)state;
	assert_true(span_eq(licence_id(SPAN("mit")), SPAN("MIT")));
	assert_true(span_eq(licence_id(SPAN("Apache License 2.0")), SPAN("Apache-2.0")));
	assert_int_equal(licence_id(SPAN("My own")).len, 0);
	assert_true(licence_is_expression(SPAN("MIT OR (Apache-2.0 AND ISC)")));
	assert_true(licence_is_expression(
		SPAN("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT")));
	assert_false(licence_is_expression(SPAN("MIT OR")));
	assert_false(licence_is_expression(SPAN("MIT ISC")));
	assert_false(licence_is_expression(SPAN("(MIT")));
	assert_false(licence_is_expression(SPAN("MIT)")));
	assert_false(licence_is_expression(SPAN("mine AND MIT")));
	assert_false(licence_is_expression(SPAN("")));
}

static void memory_may_run_out_anywhere(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_npm, span_cstr(lock_file), NULL);
	for (enum sbom_format f = SBOM_CYCLONEDX; f <= SBOM_SPDX3; f++) {
		struct buf good;

		write_form(&run.inv, f, -1, &good);
		for (unsigned long n = 1; n < 1000; n++) {
			const struct sbom_options options = {.format = f, .time_s = -1};
			struct inventory read;
			struct buf text;
			bool happened;
			int result;

			buf_init(&text, (size_t)16 << 20);
			inventory_init(&read, (size_t)16 << 20);
			mem_fail_at(n);
			result = sbom_write(&run.inv, &options, &text, NULL);
			if (result == 0 &&
			    sbom_read(&read, SPAN("x"), buf_span(&good), NULL) == 0 &&
			    inventory_finish(&read, NULL) == 0)
				assert_int_equal(read.count, run.inv.count);
			happened = mem_fail_happened();
			mem_fail_at(0);
			if (result == 0)
				assert_true(span_eq(buf_span(&text), buf_span(&good)));
			buf_release(&text);
			inventory_release(&read);
			if (!happened)
				break;
		}
		buf_release(&good);
	}
	lock_run_end(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_inventory_gives_the_same_bytes),
		cmocka_unit_test(what_is_written_in_any_form_is_read_back),
		cmocka_unit_test(indenting_changes_white_space_only),
		cmocka_unit_test(fields_are_where_the_forms_want_them),
		cmocka_unit_test(documents_of_others_are_read),
		cmocka_unit_test(licences_get_their_identifiers),
		cmocka_unit_test(memory_may_run_out_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
