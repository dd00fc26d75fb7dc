/*
 * Records that are read go through a database: what comes out matches the same versions as what
 * was built from it again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "supply/db_build.h"
#include "supply/db_input.h"
#include "supply/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_matches(const struct advisory_db *db, struct span version)
{
	struct match_list list = {0};
	struct arena arena;
	size_t total = 0;

	arena_init(&arena, (size_t)16 << 20, 4096);
	list.arena = &arena;
	for (uint64_t i = 0; i < advisory_db_rows(db, DB_PACKAGES); i++) {
		const struct db_package *p = db_package_at(db, i);

		list.count = 0;
		if (match_package(db, db_text_of(db, p->ecosystem), db_text_of(db, p->name),
				  version, &list) < 0)
			break;
		total += list.count;
	}
	arena_release(&arena);
	return total;
}

static struct advisory_db *write_and_open(struct db_builder *b, const char *path)
{
	struct err err = {0};

	if (db_builder_write(b, path, &err) < 0)
		return NULL;
	return advisory_db_open(path, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first_path[64], second_path[64];
	struct db_input_limits limits = {.record_bytes = 1 << 20, .total_bytes = 1 << 24};
	struct db_input_counts counts = {0};
	struct db_builder *builder = db_builder_new(), *again = db_builder_new();
	struct advisory_db *db = NULL, *copy = NULL;
	struct db_input in;
	struct err err = {0};
	bool good;

	if (!first_path[0]) {
		snprintf(first_path, sizeof(first_path), "/tmp/osv-fuzz-%d-a", (int)getpid());
		snprintf(second_path, sizeof(second_path), "/tmp/osv-fuzz-%d-b", (int)getpid());
	}
	if (!builder || !again)
		goto out;
	db_input_init(&in, builder, &limits, &counts);
	/* In two pieces: cuts must not matter. */
	good = db_input_feed(&in, span_of(data, size / 2), &err) == 0 &&
	       db_input_feed(&in, span_of(data + size / 2, size - size / 2), &err) == 0 &&
	       db_input_finish(&in, &err) == 0;
	db_input_release(&in);
	assert(good || err.code != ERR_NONE);
	if (!good)
		goto out;
	db = write_and_open(builder, first_path);
	if (!db)
		goto out;
	assert(advisory_db_verify(db, &err) == 0);
	assert(db_builder_add_all(again, db, &err) == 0);
	copy = write_and_open(again, second_path);
	assert(copy);
	assert(advisory_db_rows(db, DB_ADVISORIES) == advisory_db_rows(copy, DB_ADVISORIES));
	assert(count_matches(db, SPAN("1.2.3")) == count_matches(copy, SPAN("1.2.3")));
out:
	advisory_db_close(db);
	advisory_db_close(copy);
	db_builder_free(builder);
	db_builder_free(again);
	return 0;
}
