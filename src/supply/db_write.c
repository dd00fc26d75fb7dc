#include "supply/db_write.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#define PATH_BYTES 4096

static uint64_t aligned(uint64_t n)
{
	return (n + 7) & ~(uint64_t)7;
}

static void lay_out(struct db_header *header,
		    const struct db_column *const sections[DB_SECTIONS])
{
	uint64_t at = sizeof(*header);

	memcpy(header->magic, DB_MAGIC, sizeof(header->magic));
	header->version = DB_VERSION;
	header->byte_order = DB_BYTE_ORDER;
	for (int i = 0; i < DB_SECTIONS; i++) {
		at = aligned(at);
		header->sections[i] = (struct db_extent){at, sections[i]->count};
		at += sections[i]->count * sections[i]->row_bytes;
	}
	header->file_bytes = aligned(at);
}

/* The file is filled through a mapping, so that its hash needs no second copy in memory. */
static int fill(int fd, struct db_header *header,
		const struct db_column *const sections[DB_SECTIONS], struct err *err)
{
	size_t size = (size_t)header->file_bytes;
	char *to;
	int problem = posix_fallocate(fd, 0, (off_t)size);

	if (problem)
		return err_set_errno(err, problem, "cannot make room for %zu bytes", size);
	to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		return err_set_errno(err, errno, "cannot be mapped");
	for (int i = 0; i < DB_SECTIONS; i++)
		if (sections[i]->count)
			memcpy(to + header->sections[i].offset, sections[i]->at,
			       sections[i]->count * sections[i]->row_bytes);
	header->body_hash = db_hash(span_of(to + sizeof(*header), size - sizeof(*header)));
	header->header_hash = db_hash(span_of(header, offsetof(struct db_header, header_hash)));
	memcpy(to, header, sizeof(*header));
	if (munmap(to, size) < 0)
		return err_set_errno(err, errno, "cannot be written");
	return 0;
}

/* So that the rename survives a power cut. */
static void sync_folder(const char *path)
{
	char *copy = mem_strdup(span_cstr(path));
	int fd;

	if (!copy)
		return;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	mem_free(copy);
}

static int fresh_name(const char *path, char *to, size_t size, struct err *err)
{
	if ((size_t)snprintf(to, size, "%s.new", path) >= size)
		return err_set(err, ERR_INVALID, "the path is too long");
	return 0;
}

int db_write_begin(const char *path, struct err *err)
{
	char fresh[PATH_BYTES];
	int fd;

	if (fresh_name(path, fresh, sizeof(fresh), err) < 0)
		return -1;
	/* A file that an earlier run has left behind may be mapped by nobody. */
	(void)unlink(fresh);
	fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 ? err_set_errno(err, errno, "%s", fresh) : fd;
}

int db_write_fill(int fd, struct db_header *header,
		  const struct db_column *const sections[DB_SECTIONS], struct err *err)
{
	lay_out(header, sections);
	return fill(fd, header, sections, err);
}

int db_write_commit(const char *path, int fd, struct err *err)
{
	char fresh[PATH_BYTES];
	int result = fresh_name(path, fresh, sizeof(fresh), err);

	if (result == 0 && fsync(fd) < 0)
		result = err_set_errno(err, errno, "cannot be written");
	if (close(fd) < 0 && result == 0)
		result = err_set_errno(err, errno, "cannot be written");
	if (result == 0 && rename(fresh, path) < 0)
		result = err_set_errno(err, errno, "cannot be renamed to %s", path);
	if (result < 0) {
		(void)unlink(fresh);
		return err_wrap(err, "%s", fresh);
	}
	sync_folder(path);
	return 0;
}

int db_write_abort(const char *path, int fd)
{
	char fresh[PATH_BYTES];

	(void)close(fd);
	if (fresh_name(path, fresh, sizeof(fresh), NULL) == 0)
		(void)unlink(fresh);
	return -1;
}
