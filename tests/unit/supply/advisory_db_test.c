#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "supply/db_build.h"
#include "supply/db_input.h"
#include "supply/match.h"
#include "supply/rank.h"

static char path[64];

static const char records[] =
	"{\"id\":\"GHSA-1\",\"modified\":\"2024-01-01T00:00:00Z\",\"summary\":\"one\","
	"\"aliases\":[\"CVE-2020-1\"],\"severity\":[{\"type\":\"CVSS_V3\",\"score\":"
	"\"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"}],\"affected\":[{\"package\":"
	"{\"ecosystem\":\"npm\",\"name\":\"a\"},\"ranges\":[{\"type\":\"SEMVER\",\"events\":"
	"[{\"introduced\":\"2.0.0\"},{\"fixed\":\"2.5.0\"},{\"introduced\":\"0\"},"
	"{\"fixed\":\"1.2.4\"}]}]}]}\n"
	"{\"id\":\"OSV-2\",\"aliases\":[\"CVE-2020-1\"],\"affected\":[{\"package\":"
	"{\"ecosystem\":\"npm\",\"name\":\"a\"},\"versions\":[\"1.2.3\"]}]}\n"
	"{\"id\":\"OSV-3\",\"withdrawn\":\"2024-01-01T00:00:00Z\",\"affected\":[{\"package\":"
	"{\"ecosystem\":\"npm\",\"name\":\"a\"},\"versions\":[\"1.2.3\"]}]}\n"
	"{\"id\":\"DSA-4\",\"affected\":[{\"package\":{\"ecosystem\":\"Debian:12\",\"name\":"
	"\"b\"},\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":\"0\"},"
	"{\"last_affected\":\"1.0-2\"}]}]}]}\n"
	"{\"id\":\"PYSEC-5\",\"affected\":[{\"package\":{\"ecosystem\":\"PyPI\",\"name\":"
	"\"Foo.Bar_baz\"},\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":[{\"introduced\":"
	"\"0\"}]}]}]}\n"
	"{\"id\":\"OSV-6\",\"affected\":[{\"package\":{\"ecosystem\":\"npm\",\"name\":\"l\"},"
	"\"ranges\":[{\"type\":\"SEMVER\",\"events\":[{\"introduced\":\"1.0.0\"},"
	"{\"limit\":\"2.0.0\"}]}]}]}\n";
static const char epss[] = "#model_version:v1,score_date:2026-01-02T00:00:00+0000\n"
			   "cve,epss,percentile\nCVE-2020-1,0.25,0.9\nCVE-2020-2,1e-05,0.1\n";
static const char kev[] = "{\"catalogVersion\":\"1\",\"vulnerabilities\":[{\"cveID\":"
			  "\"CVE-2020-1\",\"dateAdded\":\"2024-02-03\"}]}";

static int feed(struct db_builder *b, const char *text, size_t cut, struct err *err)
{
	struct db_input_counts counts = {0};
	struct db_input_limits limits = DB_INPUT_LIMITS_DEFAULT;
	struct span all = span_cstr(text);
	struct db_input in;
	int result;

	db_input_init(&in, b, &limits, &counts);
	result = db_input_feed(&in, span_slice(all, 0, cut), err);
	if (result == 0)
		result = db_input_feed(&in, span_slice(all, cut, all.len), err);
	if (result == 0)
		result = db_input_finish(&in, err);
	db_input_release(&in);
	return result;
}

static struct advisory_db *build(struct err *err)
{
	struct db_builder *b = db_builder_new();
	struct advisory_db *db = NULL;

	if (!b)
		(void)err_set(err, ERR_MEMORY, "out of memory");
	if (b && feed(b, records, 100, err) == 0 && feed(b, epss, 60, err) == 0 &&
	    feed(b, kev, 10, err) == 0 && db_builder_write(b, path, err) == 0)
		db = advisory_db_open(path, err);
	db_builder_free(b);
	return db;
}

static struct advisory_db *build_good(void)
{
	struct err err = {0};
	struct advisory_db *db = build(&err);

	if (!db)
		fail_msg("%s", err.message);
	return db;
}

/* The ids that match, one behind the other, and the fix of the first. */
static const char *match(const struct advisory_db *db, const char *ecosystem, const char *name,
			 const char *version, char *fix)
{
	static char ids[256];
	struct match_list list = {0};
	struct arena arena;

	arena_init(&arena, 1 << 20, 4096);
	list.arena = &arena;
	ids[0] = '\0';
	assert_int_equal(match_package(db, span_cstr(ecosystem), span_cstr(name),
				       span_cstr(version), &list),
			 0);
	for (size_t i = 0; i < list.count; i++) {
		struct span id = db_text_of(db, db_advisory_at(db, list.at[i].advisory)->id);
		size_t len = strlen(ids);

		snprintf(ids + len, sizeof(ids) - len, "%s%.*s", i ? " " : "", SPAN_ARG(id));
	}
	if (fix)
		snprintf(fix, 32, "%.*s", SPAN_ARG(list.count ? list.at[0].fix : SPAN("")));
	arena_release(&arena);
	return ids;
}

static void ranges_versions_and_limits_are_evaluated(void **state)
{
	struct advisory_db *db = build_good();
	char fix[32];

	(void)state;
	assert_string_equal(match(db, "npm", "a", "1.2.3", fix), "GHSA-1 OSV-2");
	assert_string_equal(fix, "1.2.4");
	assert_string_equal(match(db, "npm", "a", "1.2.4", NULL), "");
	assert_string_equal(match(db, "npm", "a", "2.0.0", fix), "GHSA-1");
	assert_string_equal(fix, "2.5.0");
	assert_string_equal(match(db, "npm", "a", "2.5.0", NULL), "");
	assert_string_equal(match(db, "npm", "A", "1.2.3", NULL), "");
	assert_string_equal(match(db, "npm", "l", "0.9.0", NULL), "");
	assert_string_equal(match(db, "npm", "l", "1.9.0", NULL), "OSV-6");
	assert_string_equal(match(db, "npm", "l", "2.0.0", NULL), "");
	advisory_db_close(db);
}

static void releases_of_distributions_are_kept_apart(void **state)
{
	struct advisory_db *db = build_good();

	(void)state;
	assert_string_equal(match(db, "Debian:12", "b", "1.0-2", NULL), "DSA-4");
	assert_string_equal(match(db, "Debian:12", "b", "1.0-2+deb12u1", NULL), "");
	assert_string_equal(match(db, "Debian:11", "b", "1.0-2", NULL), "");
	assert_string_equal(match(db, "Debian", "b", "1.0-2", NULL), "DSA-4");
	assert_true(match_ecosystem(SPAN("Ubuntu:22.04:LTS"), SPAN("Ubuntu:22.04")));
	assert_false(match_ecosystem(SPAN("Ubuntu:Pro:22.04:LTS"), SPAN("Ubuntu:22.04")));
	advisory_db_close(db);
}

static void names_are_compared_as_the_ecosystem_does(void **state)
{
	struct advisory_db *db = build_good();

	(void)state;
	assert_string_equal(match(db, "PyPI", "foo-bar-baz", "1", NULL), "PYSEC-5");
	assert_string_equal(match(db, "pypi", "FOO__bar.baz", "1", NULL), "PYSEC-5");
	advisory_db_close(db);
}

static void aliases_are_one_vulnerability_with_its_scores(void **state)
{
	struct advisory_db *db = build_good();
	struct component c = {.ecosystem = ECOSYSTEM_NPM,
			      .relation = RELATION_DIRECT,
			      .name = SPAN("a"),
			      .version = SPAN("1.2.3"),
			      .layer = COMPONENT_NONE,
			      .owner = COMPONENT_NONE};
	struct vulnerability_list list = {0};
	struct rank_options options = {0};
	struct inventory inv;
	struct arena arena;
	struct err err = {0};
	const struct vulnerability *v;

	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	list.arena = &arena;
	inventory_init(&inv, 1 << 20);
	(void)inventory_add(&inv, &c);
	assert_int_equal(rank_inventory(db, &inv, &options, &list, &err), 0);
	assert_int_equal(list.count, 1);
	v = &list.at[0];
	assert_true(span_eq(v->id, SPAN("GHSA-1")));
	assert_int_equal(v->other_count, 2);
	assert_int_equal(v->score_tenths, 98);
	assert_int_equal(v->severity, FINDING_CRITICAL);
	assert_int_equal(v->epss_ppm, 250000);
	assert_non_null(v->kev);
	assert_true(span_eq(v->fix, SPAN("1.2.4")));
	assert_int_equal(v->priority, 98 * 4 + 225 + 200 + 50);
	inventory_release(&inv);
	arena_release(&arena);
	advisory_db_close(db);
}

static void a_newer_record_replaces_an_older_one(void **state)
{
	static const char older[] = "{\"id\":\"GHSA-1\",\"modified\":\"2023-01-01T00:00:00Z\"}";
	static const char newer[] = "{\"id\":\"GHSA-1\",\"modified\":\"2025-01-01T00:00:00Z\"}";
	struct advisory_db *db = build_good();
	struct db_builder *b = db_builder_new();
	struct err err = {0};
	uint32_t count;

	(void)state;
	assert_int_equal(db_builder_add_all(b, db, &err), 0);
	count = db_builder_count(b);
	assert_int_equal(count, advisory_db_rows(db, DB_ADVISORIES));
	advisory_db_close(db);
	assert_int_equal(feed(b, older, 5, &err), 0);
	assert_int_equal(feed(b, newer, 5, &err), 0);
	assert_int_equal(db_builder_count(b), count);
	assert_int_equal(db_builder_write(b, path, &err), 0);
	db_builder_free(b);
	db = advisory_db_open(path, &err);
	assert_non_null(db);
	assert_int_equal(advisory_db_verify(db, &err), 0);
	assert_string_equal(match(db, "npm", "a", "1.2.3", NULL), "OSV-2");
	/* What was not touched is as it was. */
	assert_string_equal(match(db, "Debian:12", "b", "1.0-2", NULL), "DSA-4");
	assert_non_null(advisory_db_epss(db, db_cve(SPAN("CVE-2020-2"))));
	assert_int_equal(advisory_db_epss(db, db_cve(SPAN("CVE-2020-2")))->probability_ppm, 10);
	advisory_db_close(db);
}

static void damaged_files_are_refused(void **state)
{
	struct advisory_db *db = build_good();
	struct err err = {0};
	uint64_t size = advisory_db_header(db)->file_bytes;

	(void)state;
	advisory_db_close(db);
	assert_int_equal(truncate(path, (off_t)size - 8), 0);
	assert_null(advisory_db_open(path, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "cut short"));
	assert_int_equal(truncate(path, 10), 0);
	assert_null(advisory_db_open(path, &err));
	unlink(path);
	assert_null(advisory_db_open(path, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void broken_records_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{"{\"id\":\"A\"} {\"id\":", "record 2 is cut short"},
		{"{\"id\":\"A\"} x", "behind record 1"},
		{"{\"id\":\"A\",\"affected\":1}", "affected is no list"},
		{"{\"affected\":[]}", "it has no id"},
		{"{\"id\":\"A\",\"affected\":[{\"ranges\":[{\"type\":\"X\"}]}]}", "type"},
		{"hello", "neither JSON nor"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct db_builder *b = db_builder_new();
		struct err err = {0};

		assert_int_equal(feed(b, cases[i].text, 3, &err), -1);
		if (!strstr(err.message, cases[i].message))
			fail_msg("\"%s\" instead of \"%s\"", err.message, cases[i].message);
		db_builder_free(b);
	}
}

static void each_failing_allocation_is_an_error(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct err err = {0};
		struct advisory_db *db;
		bool happened;

		mem_fail_at(n);
		db = build(&err);
		happened = mem_fail_happened();
		mem_fail_at(0);
		if (!happened) {
			assert_non_null(db);
			advisory_db_close(db);
			return;
		}
		if (!db)
			assert_int_not_equal(err.code, ERR_NONE);
		advisory_db_close(db);
	}
}

static int make_path(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/advisory-db-test-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_versions_and_limits_are_evaluated),
		cmocka_unit_test(releases_of_distributions_are_kept_apart),
		cmocka_unit_test(names_are_compared_as_the_ecosystem_does),
		cmocka_unit_test(aliases_are_one_vulnerability_with_its_scores),
		cmocka_unit_test(a_newer_record_replaces_an_older_one),
		cmocka_unit_test(damaged_files_are_refused),
		cmocka_unit_test(broken_records_are_refused_with_their_place),
		cmocka_unit_test(each_failing_allocation_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
