#include "supply/advisory_db.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct advisory_db {
	const char *base;
	size_t size;
	const struct db_header *header;
	bool mapped;
};

const struct db_header *advisory_db_header(const struct advisory_db *db)
{
	return db->header;
}

uint64_t advisory_db_rows(const struct advisory_db *db, enum db_section section)
{
	return db->header->sections[section].count;
}

static bool section_fits(const struct db_extent *e, size_t row, size_t size)
{
	return e->offset % 8 == 0 && e->offset >= sizeof(struct db_header) &&
	       e->offset <= size && e->count <= (size - e->offset) / row;
}

static int check_header(struct span bytes, struct err *err)
{
	const struct db_header *h = (const void *)bytes.ptr;
	struct span hashed = span_of(h, offsetof(struct db_header, header_hash));
	uint64_t slots;

	if (bytes.len < sizeof(*h) || memcmp(h->magic, DB_MAGIC, sizeof(h->magic)) != 0)
		return err_set(err, ERR_INVALID, "not an advisory database");
	if (h->byte_order != DB_BYTE_ORDER)
		return err_set(err, ERR_INVALID, "built on a machine of another byte order");
	if (h->version != DB_VERSION)
		return err_set(err, ERR_INVALID,
			       "format version %u, this program reads %u: build it again",
			       (unsigned)h->version, (unsigned)DB_VERSION);
	if (h->header_hash != db_hash(hashed))
		return err_set(err, ERR_INVALID, "damaged: the header's hash does not fit");
	if (h->file_bytes != bytes.len)
		return err_set(err, ERR_INVALID, "%s: %zu bytes instead of %llu",
			       bytes.len < h->file_bytes ? "cut short" : "too long", bytes.len,
			       (unsigned long long)h->file_bytes);
	for (int i = 0; i < DB_SECTIONS; i++)
		if (!section_fits(&h->sections[i], db_row_bytes((enum db_section)i), bytes.len))
			return err_set(err, ERR_INVALID, "damaged: section %d lies outside", i);
	slots = h->sections[DB_SLOTS].count;
	if (slots == 0 || (slots & (slots - 1)) != 0)
		return err_set(err, ERR_INVALID, "damaged: an index of impossible size");
	return 0;
}

struct advisory_db *advisory_db_open_bytes(struct span bytes, struct err *err)
{
	struct advisory_db *db;

	if (check_header(bytes, err) < 0)
		return NULL;
	db = mem_zalloc(1, sizeof(*db));
	if (!db) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	db->base = bytes.ptr;
	db->size = bytes.len;
	db->header = (const void *)bytes.ptr;
	return db;
}

static int map_file(int fd, const char *path, struct span *bytes, struct err *err)
{
	struct stat st;
	void *base;

	if (fstat(fd, &st) < 0)
		return err_set_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct db_header))
		return err_set(err, ERR_INVALID, "%s: not an advisory database", path);
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return err_set_errno(err, errno, "%s: cannot be mapped", path);
	*bytes = span_of(base, (size_t)st.st_size);
	return 0;
}

struct advisory_db *advisory_db_open(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct advisory_db *db;
	struct span bytes;
	int mapped;

	if (fd < 0) {
		if (errno == ENOENT)
			(void)err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
		else
			(void)err_set_errno(err, errno, "%s", path);
		return NULL;
	}
	mapped = map_file(fd, path, &bytes, err);
	(void)close(fd);
	if (mapped < 0)
		return NULL;
	/* Lookups touch a page here and there; reading ahead would only cost. */
	(void)madvise((void *)(uintptr_t)bytes.ptr, bytes.len, MADV_RANDOM);
	db = advisory_db_open_bytes(bytes, err);
	if (!db) {
		(void)munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
		(void)err_wrap(err, "%s", path);
		return NULL;
	}
	db->mapped = true;
	return db;
}

void advisory_db_close(struct advisory_db *db)
{
	if (!db)
		return;
	if (db->mapped)
		(void)munmap((void *)(uintptr_t)db->base, db->size);
	mem_free(db);
}

int advisory_db_verify(const struct advisory_db *db, struct err *err)
{
	struct span body = span_of(db->base + sizeof(struct db_header),
				   db->size - sizeof(struct db_header));

	if (db_hash(body) != db->header->body_hash)
		return err_set(err, ERR_INVALID,
			       "damaged: the hash of its content does not fit");
	return 0;
}

static const void *row_at(const struct advisory_db *db, enum db_section section, uint64_t index)
{
	const struct db_extent *e = &db->header->sections[section];

	if (index >= e->count)
		return NULL;
	return db->base + e->offset + index * db_row_bytes(section);
}

const struct db_package *db_package_at(const struct advisory_db *db, uint64_t index)
{
	return row_at(db, DB_PACKAGES, index);
}

const struct db_affected *db_affected_at(const struct advisory_db *db, uint64_t index)
{
	return row_at(db, DB_AFFECTED, index);
}

const struct db_range *db_range_at(const struct advisory_db *db, uint64_t index)
{
	return row_at(db, DB_RANGES, index);
}

const struct db_event *db_event_at(const struct advisory_db *db, uint64_t index)
{
	return row_at(db, DB_EVENTS, index);
}

const struct db_advisory *db_advisory_at(const struct advisory_db *db, uint64_t index)
{
	return row_at(db, DB_ADVISORIES, index);
}

const struct db_epss *db_epss_at(const struct advisory_db *db, uint64_t index)
{
	return row_at(db, DB_EPSS, index);
}

const struct db_kev *db_kev_at(const struct advisory_db *db, uint64_t index)
{
	return row_at(db, DB_KEV, index);
}

struct span db_text_of(const struct advisory_db *db, db_text ref)
{
	const struct db_extent *e = &db->header->sections[DB_STRINGS];
	const char *strings = db->base + e->offset;
	uint32_t len;

	if (ref == 0 || e->count < sizeof(len) || ref > e->count - sizeof(len))
		return SPAN("");
	memcpy(&len, strings + ref, sizeof(len));
	if (len > e->count - sizeof(len) - ref)
		return SPAN("");
	return span_of(strings + ref + sizeof(len), len);
}

struct span db_text_at(const struct advisory_db *db, uint64_t index)
{
	const db_text *ref = row_at(db, DB_TEXTS, index);

	return ref ? db_text_of(db, *ref) : SPAN("");
}

const struct db_package *advisory_db_package(const struct advisory_db *db,
					     struct span ecosystem, struct span name)
{
	char ecosystem_bytes[DB_NAME_MAX], name_bytes[DB_NAME_MAX];
	uint64_t mask = advisory_db_rows(db, DB_SLOTS) - 1;
	struct span e, n;
	uint64_t hash;

	if (!db_normal_ecosystem(ecosystem, ecosystem_bytes, &e) ||
	    !db_normal_name(e, name, name_bytes, &n))
		return NULL;
	hash = db_package_hash(e, n);
	/* At most all slots: a damaged index may have no free one. */
	for (uint64_t i = 0; i <= mask; i++) {
		const uint32_t *slot = row_at(db, DB_SLOTS, (hash + i) & mask);
		const struct db_package *package;

		if (*slot == 0)
			return NULL;
		package = db_package_at(db, (uint64_t)*slot - 1);
		if (package && package->hash == hash &&
		    span_eq(db_text_of(db, package->name), n) &&
		    span_eq(db_text_of(db, package->ecosystem), e))
			return package;
	}
	return NULL;
}

int64_t advisory_db_find(const struct advisory_db *db, struct span id)
{
	uint64_t low = 0, high = advisory_db_rows(db, DB_ADVISORIES);

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int order = span_compare(db_text_of(db, db_advisory_at(db, middle)->id), id);

		if (order == 0)
			return (int64_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* A row of a section that is sorted by the CVE with which each row begins. */
static const void *find_cve(const struct advisory_db *db, enum db_section section, uint64_t cve)
{
	uint64_t low = 0, high = advisory_db_rows(db, section);

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		const uint64_t *key = row_at(db, section, middle);

		if (*key == cve)
			return key;
		if (*key < cve)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct db_epss *advisory_db_epss(const struct advisory_db *db, uint64_t cve)
{
	return find_cve(db, DB_EPSS, cve);
}

const struct db_kev *advisory_db_kev(const struct advisory_db *db, uint64_t cve)
{
	return find_cve(db, DB_KEV, cve);
}
