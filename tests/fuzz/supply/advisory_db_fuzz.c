/*
 * A small valid database with bytes changed: each three bytes of input are a place and a value. The
 * header's hash is mended, so that what lies behind it is reached. Nothing may read outside.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "supply/db_build.h"
#include "supply/db_input.h"
#include "supply/match.h"
#include "supply/rank.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char records[] =
	"{\"id\":\"A-1\",\"aliases\":[\"CVE-2020-1\"],\"affected\":[{\"package\":{"
	"\"ecosystem\":"
	"\"npm\",\"name\":\"a\"},\"ranges\":[{\"type\":\"SEMVER\",\"events\":[{\"introduced\":"
	"\"0\"},{\"fixed\":\"1.2.4\"}]}],\"versions\":[\"1.0.0\",\"1.1.0\"]}]}"
	"{\"id\":\"A-2\",\"aliases\":[\"CVE-2020-1\"],\"affected\":[{\"package\":{"
	"\"ecosystem\":"
	"\"npm\",\"name\":\"a\"},\"versions\":[\"1.2.3\"]},{\"package\":{\"ecosystem\":"
	"\"Debian:12\",\"name\":\"b\"},\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":"
	"[{\"introduced\":\"0\"},{\"last_affected\":\"2\"}]}]}]}";

static struct buf pristine;

static void build(void)
{
	char path[64];
	struct db_builder *b = db_builder_new();
	struct db_input_counts counts = {0};
	struct db_input_limits limits = DB_INPUT_LIMITS_DEFAULT;
	struct db_input in;
	struct err err = {0};
	FILE *file;
	char piece[4096];
	size_t got;

	assert(b);
	snprintf(path, sizeof(path), "/tmp/advisory-db-fuzz-%d", (int)getpid());
	db_input_init(&in, b, &limits, &counts);
	assert(db_input_feed(&in, span_cstr(records), &err) == 0);
	assert(db_input_finish(&in, &err) == 0);
	db_input_release(&in);
	assert(db_builder_write(b, path, &err) == 0);
	db_builder_free(b);
	file = fopen(path, "rb");
	assert(file);
	buf_init(&pristine, 1 << 20);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(&pristine, piece, got);
	fclose(file);
	unlink(path);
}

static void use(const struct advisory_db *db)
{
	static const struct span ecosystems[] = {SPAN_INIT("npm"), SPAN_INIT("Debian:12")};
	static const struct span names[] = {SPAN_INIT("a"), SPAN_INIT("b")};
	struct db_builder *b = db_builder_new();
	struct match_list list = {0};
	struct inventory inv;
	struct vulnerability_list vulnerabilities = {0};
	struct rank_options options = {0};
	struct component c = {.ecosystem = ECOSYSTEM_NPM,
			      .name = SPAN("a"),
			      .version = SPAN("1.2.3"),
			      .layer = COMPONENT_NONE,
			      .owner = COMPONENT_NONE};
	struct arena arena;
	struct err err = {0};

	arena_init(&arena, (size_t)16 << 20, 4096);
	list.arena = &arena;
	for (int i = 0; i < 2; i++)
		(void)!match_package(db, ecosystems[i], names[i], SPAN("1.2.3"), &list);
	(void)advisory_db_find(db, SPAN("A-2"));
	(void)advisory_db_epss(db, db_cve(SPAN("CVE-2020-1")));
	vulnerabilities.arena = &arena;
	inventory_init(&inv, 1 << 20);
	(void)inventory_add(&inv, &c);
	(void)!rank_inventory(db, &inv, &options, &vulnerabilities, &err);
	inventory_release(&inv);
	if (b)
		(void)!db_builder_add_all(b, db, &err);
	db_builder_free(b);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct db_header *header;
	struct advisory_db *db;
	struct err err = {0};
	char *bytes;

	if (pristine.len == 0)
		build();
	bytes = aligned_alloc(8, (pristine.len + 7) & ~(size_t)7);
	assert(bytes);
	memcpy(bytes, pristine.ptr, pristine.len);
	for (size_t i = 0; i + 2 < size; i += 3)
		bytes[((size_t)data[i] << 8 | data[i + 1]) % pristine.len] ^= (char)data[i + 2];
	header = (void *)bytes;
	header->header_hash = db_hash(span_of(bytes, offsetof(struct db_header, header_hash)));
	db = advisory_db_open_bytes(span_of(bytes, pristine.len), &err);
	assert(db || err.code != ERR_NONE);
	if (db)
		use(db);
	advisory_db_close(db);
	free(bytes);
	return 0;
}
