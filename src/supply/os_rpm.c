/*
 * RPM's databases: headers (as in a package file, without lead and signature) in a table of SQLite,
 * or in blobs of rpm's own "ndb".
 */
#include <sqlite3.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "supply/lock_parse.h"

#define ENTRIES_MAX 65536
#define STEPS_MAX 200000000 /* of SQLite's machine: a hostile database ends some time */
#define STEPS_AT_ONCE 100000

enum {
	TAG_NAME = 1000,
	TAG_VERSION = 1001,
	TAG_RELEASE = 1002,
	TAG_EPOCH = 1003,
	TAG_LICENCE = 1014,
	TAG_ARCH = 1022,
	TAG_SOURCERPM = 1044,
	TAG_PROVIDENAME = 1047,
	TAG_REQUIRENAME = 1049,
	TAG_DIRINDEXES = 1116,
	TAG_BASENAMES = 1117,
	TAG_DIRNAMES = 1118,
};
enum { TYPE_INT32 = 4, TYPE_STRING = 6, TYPE_STRINGS = 8, TYPE_I18N = 9 };

struct header {
	struct span index; /* 16 bytes an entry */
	struct span data;
};

/* Strings of an entry, one after another. */
struct strings {
	struct span rest;
	uint32_t count;
};

struct wish {
	struct wish *next;
	struct strings names;
	uint32_t from;
};

struct reader {
	const struct lock_input *in;
	struct map names;
	struct wish *wishes;
	uint32_t number; /* of the header, from 1 */
};

static uint32_t big32(const char *at)
{
	const unsigned char *b = (const unsigned char *)at;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t little32(const char *at)
{
	const unsigned char *b = (const unsigned char *)at;

	return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static bool header_open(struct header *h, struct span blob)
{
	uint32_t entries, bytes;

	if (blob.len < 8)
		return false;
	entries = big32(blob.ptr);
	bytes = big32(blob.ptr + 4);
	if (entries == 0 || entries > ENTRIES_MAX ||
	    blob.len - 8 < (uint64_t)entries * 16 + bytes)
		return false;
	h->index = span_slice(blob, 8, 8 + (size_t)entries * 16);
	h->data = span_slice(blob, 8 + (size_t)entries * 16, 8 + (size_t)entries * 16 + bytes);
	return true;
}

/* The bytes from an entry's start on; empty when there is no such entry. */
static struct span entry(const struct header *h, uint32_t tag, uint32_t *type, uint32_t *count)
{
	for (size_t at = 0; at + 16 <= h->index.len; at += 16) {
		const char *e = h->index.ptr + at;
		uint32_t offset = big32(e + 8);

		if (big32(e) != tag)
			continue;
		*type = big32(e + 4);
		*count = big32(e + 12);
		return span_slice(h->data, offset, h->data.len);
	}
	*type = *count = 0;
	return SPAN("");
}

static struct span next_string(struct strings *s)
{
	size_t end = span_find_byte(s->rest, '\0');
	struct span one = span_slice(s->rest, 0, end);

	if (s->count == 0 || end == s->rest.len) {
		s->count = 0;
		return SPAN_NONE;
	}
	s->count--;
	s->rest = span_slice(s->rest, end + 1, s->rest.len);
	return one;
}

static struct strings strings_of(const struct header *h, uint32_t tag)
{
	uint32_t type, count;
	struct span bytes = entry(h, tag, &type, &count);

	if (type != TYPE_STRING && type != TYPE_STRINGS && type != TYPE_I18N)
		count = 0;
	return (struct strings){bytes, count};
}

static struct span string_of(const struct header *h, uint32_t tag)
{
	struct strings s = strings_of(h, tag);
	struct span one = next_string(&s);

	return one.ptr ? one : SPAN("");
}

static void tell_files(const struct lock_input *in, const struct header *h, uint32_t package)
{
	struct strings names = strings_of(h, TAG_BASENAMES);
	struct strings folders = strings_of(h, TAG_DIRNAMES);
	uint32_t type, count, folder_count = 0;
	struct span indexes = entry(h, TAG_DIRINDEXES, &type, &count);
	struct span *folder;
	struct span one;

	if (!in->owns || type != TYPE_INT32 || folders.count > folders.rest.len)
		return;
	folder = arena_array(in->scratch, struct span, folders.count + 1);
	if (!folder) {
		in->inv->failed = true;
		return;
	}
	while ((one = next_string(&folders)).ptr)
		folder[folder_count++] = one;
	for (uint32_t i = 0; i < count && (size_t)i * 4 + 4 <= indexes.len; i++) {
		uint32_t at = big32(indexes.ptr + (size_t)i * 4);

		one = next_string(&names);
		if (!one.ptr)
			break;
		if (at < folder_count) {
			struct span place = folder[at];

			if (place.len && place.ptr[place.len - 1] == '/')
				place.len--;
			in->owns(in->context, package, place, one);
		}
	}
}

/* "openssl-3.0.7-1.el9.src.rpm" -> "openssl" and "3.0.7-1.el9" */
static void set_source(const struct lock_input *in, struct component *c, struct span file)
{
	size_t dash[2] = {0, 0};
	size_t found = 0;

	if (file.len < 8 || !span_ends_with(file, SPAN(".src.rpm"))) {
		c->source_name = c->name;
		c->source_version = c->version;
		return;
	}
	file = span_slice(file, 0, file.len - 8);
	for (size_t i = file.len; i > 0 && found < 2; i--) {
		if (file.ptr[i - 1] == '-')
			dash[found++] = i - 1;
	}
	if (found < 2)
		return;
	c->source_name = lock_text(in, span_slice(file, 0, dash[1]));
	c->source_version = lock_text(in, span_slice(file, dash[1] + 1, file.len));
}

static void take_header(struct reader *r, struct span blob)
{
	const struct lock_input *in = r->in;
	struct inventory *inv = in->inv;
	struct header h;
	struct span name, version, release, epoch;
	struct strings provided;
	struct component *c;
	struct wish *w;
	uint32_t index, type, count;
	char digits[BUF_U64_DIGITS];

	r->number++;
	if (!header_open(&h, blob)) {
		inventory_problem(inv, in->file, 0, "header %u is broken", r->number);
		return;
	}
	name = string_of(&h, TAG_NAME);
	version = string_of(&h, TAG_VERSION);
	release = string_of(&h, TAG_RELEASE);
	/* Keys of signatures are kept as packages too. */
	if (span_eq(name, SPAN("gpg-pubkey")))
		return;
	if (!name.len || !version.len) {
		inventory_problem(inv, in->file, 0, "header %u has no name or version",
				  r->number);
		return;
	}
	version = inventory_join(inv, version, SPAN("-"), release);
	epoch = entry(&h, TAG_EPOCH, &type, &count);
	if (type == TYPE_INT32 && count && epoch.len >= 4 && big32(epoch.ptr))
		version = inventory_join(inv, buf_u64_digits(digits, big32(epoch.ptr)),
					 SPAN(":"), version);
	c = lock_add(in, ECOSYSTEM_RPM, name, version, 0, &index);
	w = arena_new(in->scratch, struct wish);
	if (!c || !w) {
		inv->failed = true;
		return;
	}
	c->licence = lock_text(in, string_of(&h, TAG_LICENCE));
	c->arch = lock_text(in, string_of(&h, TAG_ARCH));
	c->distro = inv->distro;
	c->distro_version = inv->distro_version;
	set_source(in, c, string_of(&h, TAG_SOURCERPM));
	lock_index_put(in, &r->names, c->name, index);
	provided = strings_of(&h, TAG_PROVIDENAME);
	for (struct span one; (one = next_string(&provided)).ptr;)
		lock_index_put(in, &r->names, lock_text(in, one), index);
	/* The blob goes away, names are few. */
	*w = (struct wish){r->wishes, strings_of(&h, TAG_REQUIRENAME), index};
	r->wishes = w;
	tell_files(in, &h, index);
}

static void finish(struct reader *r)
{
	for (struct wish *w = r->wishes; w; w = w->next) {
		for (struct span one; (one = next_string(&w->names)).ptr;)
			inventory_edge(r->in->inv, w->from, lock_index_get(&r->names, one));
	}
	map_release(&r->names);
}

/* --- SQLite. */

static int count_steps(void *context)
{
	unsigned *rounds = context;

	return ++*rounds > STEPS_MAX / STEPS_AT_ONCE;
}

static int read_rows(struct reader *r, sqlite3 *db, struct err *err)
{
	sqlite3_stmt *rows = NULL;
	int result = sqlite3_prepare_v2(db, "SELECT blob FROM Packages", -1, &rows, NULL);

	while (result == SQLITE_OK && (result = sqlite3_step(rows)) == SQLITE_ROW) {
		const void *bytes = sqlite3_column_blob(rows, 0);
		int length = sqlite3_column_bytes(rows, 0);
		struct span blob =
			arena_dup(r->in->scratch, span_of(bytes, bytes ? (size_t)length : 0));

		if (!blob.ptr) {
			r->in->inv->failed = true;
			break;
		}
		take_header(r, blob);
		result = SQLITE_OK;
	}
	if (result != SQLITE_DONE && result != SQLITE_OK)
		(void)err_set(err, ERR_SYNTAX, "not an rpm database: %s", sqlite3_errmsg(db));
	sqlite3_finalize(rows);
	return result == SQLITE_DONE || result == SQLITE_OK ? 0 : -1;
}

int os_rpm_sqlite(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	unsigned char *copy = mem_alloc(in->text.len + 1);
	unsigned rounds = 0;
	sqlite3 *db = NULL;
	int result = -1;

	if (!copy) {
		return err_set(err, ERR_MEMORY, "no memory for the database");
	}
	if (in->text.len)
		memcpy(copy, in->text.ptr, in->text.len);
	/* Marked for a write-ahead log, it could not be opened from memory. */
	if (in->text.len > 20 && copy[18] == 2 && copy[19] == 2)
		copy[18] = copy[19] = 1;
	if (in->text.len < 512 || memcmp(copy, "SQLite format 3", 16) != 0)
		(void)err_set(err, ERR_SYNTAX, "not an SQLite database");
	else if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
		 sqlite3_deserialize(db, "main", copy, (sqlite3_int64)in->text.len,
				     (sqlite3_int64)in->text.len,
				     SQLITE_DESERIALIZE_READONLY) != SQLITE_OK)
		(void)err_set(err, ERR_SYNTAX, "not an rpm database: %s",
			      db ? sqlite3_errmsg(db) : "no memory");
	else {
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		sqlite3_progress_handler(db, STEPS_AT_ONCE, count_steps, &rounds);
		result = read_rows(&r, db, err);
	}
	sqlite3_close(db);
	mem_free(copy);
	finish(&r);
	return result;
}

/* --- ndb: pages of slots that point to blobs, all in units of 16 bytes. */

#define NDB_HEADER_MAGIC 0x506d7052 /* "RpmP" */
#define NDB_SLOT_MAGIC 0x746f6c53 /* "Slot" */
#define NDB_BLOB_MAGIC 0x53626c42 /* "BlbS" */
#define NDB_PAGE_BYTES 4096
#define NDB_UNIT_BYTES 16

static void take_slot(struct reader *r, const char *slot)
{
	struct span text = r->in->text;
	uint32_t package = little32(slot + 4);
	uint64_t at = (uint64_t)little32(slot + 8) * NDB_UNIT_BYTES;
	uint32_t length;

	if (at == 0)
		return; /* free */
	if (at + NDB_UNIT_BYTES > text.len || little32(text.ptr + at) != NDB_BLOB_MAGIC ||
	    little32(text.ptr + at + 4) != package) {
		inventory_problem(r->in->inv, r->in->file, 0,
				  "the blob of package %u is broken", package);
		return;
	}
	length = little32(text.ptr + at + 12);
	take_header(r, span_slice(text, at + NDB_UNIT_BYTES, at + NDB_UNIT_BYTES + length));
}

int os_rpm_ndb(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	uint64_t end;

	if (in->text.len < 2 * NDB_UNIT_BYTES || little32(in->text.ptr) != NDB_HEADER_MAGIC)
		return err_set(err, ERR_SYNTAX, "not an rpm database");
	end = (uint64_t)little32(in->text.ptr + 12) * NDB_PAGE_BYTES;
	if (end > in->text.len)
		return err_set(err, ERR_SYNTAX, "the rpm database is cut off");
	for (size_t at = 2 * NDB_UNIT_BYTES; at + NDB_UNIT_BYTES <= end; at += NDB_UNIT_BYTES) {
		if (little32(in->text.ptr + at) != NDB_SLOT_MAGIC) {
			inventory_problem(in->inv, in->file, 0, "a broken slot");
			break;
		}
		take_slot(&r, in->text.ptr + at);
	}
	finish(&r);
	return 0;
}

int os_rpm_bdb(const struct lock_input *in, struct err *err)
{
	(void)in;
	return err_set(err, ERR_INVALID,
		       "Berkeley DB databases of rpm before 4.16 are not supported; convert it "
		       "with rpmdb --rebuilddb");
}
