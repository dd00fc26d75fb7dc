#include "supply/db_import.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "supply/db_write.h"

#define PATH_BYTES 4096

/* Released when it is closed. */
static int lock_database(const char *path, struct err *err)
{
	char name[PATH_BYTES];
	int fd;

	if ((size_t)snprintf(name, sizeof(name), "%s.lock", path) >= sizeof(name))
		return err_set(err, ERR_INVALID, "the path is too long");
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set_errno(err, errno, "%s", name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		return err_set(err, ERR_UNAVAILABLE, "%s: another update is running", path);
	}
	return fd;
}

/* --- In the child. */

struct job {
	const struct db_import *import;
	struct db_builder *builder;
	int to;
};

static int add_old(struct db_builder *builder, const char *path, struct err *err)
{
	struct err why = {0};
	struct advisory_db *db = advisory_db_open(path, &why);
	int result;

	if (!db)
		return err_set(err, why.code, "cannot add to it (--fresh builds a new one): %s",
			       why.message);
	result = advisory_db_verify(db, err);
	if (result == 0)
		result = db_builder_add_all(builder, db, err);
	advisory_db_close(db);
	return result < 0 ? err_wrap(err, "%s", path) : 0;
}

/* The old database is ours: it is read before rights are given up. */
static int prepare(void *context, struct err *err)
{
	struct job *j = context;

	j->builder = db_builder_new();
	if (!j->builder)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (j->import->fresh || access(j->import->path, F_OK) < 0)
		return 0;
	return add_old(j->builder, j->import->path, err);
}

static int work(void *context, struct buf *to, struct err *err)
{
	struct job *j = context;
	struct db_imported made = {0};

	for (size_t i = 0; i < j->import->file_count; i++)
		if (db_input_file(j->builder, j->import->files[i], &j->import->limits,
				  &made.counts, err) < 0)
			return -1;
	made.total = db_builder_count(j->builder);
	if (db_builder_write_to(j->builder, j->to, err) < 0)
		return -1;
	buf_append_bytes(to, &made, sizeof(made));
	return 0;
}

static int run(const struct db_import *import, int to, struct db_imported *result,
	       struct err *err)
{
	struct job j = {.import = import, .to = to};
	struct child_job job = {.prepare = prepare, .work = work, .context = &j};
	struct buf made;
	int done;

	for (size_t i = 0; i < import->file_count; i++)
		job.paths[i] = import->files[i];
	buf_init(&made, 65536 + (size_t)(1 << 18));
	done = child_run(&job, &import->child, &made, err);
	if (done == 0 && made.len != sizeof(*result))
		done = err_set(err, ERR_INTERNAL, "the import told nothing");
	if (done == 0)
		memcpy(result, made.ptr, sizeof(*result));
	buf_release(&made);
	return done;
}

int db_import(const struct db_import *import, struct db_imported *result, struct err *err)
{
	int lock, to, done;

	if (import->file_count > CHILD_PATHS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d files", CHILD_PATHS_MAX);
	lock = lock_database(import->path, err);
	if (lock < 0)
		return -1;
	to = db_write_begin(import->path, err);
	done = to < 0 ? -1 : run(import, to, result, err);
	if (to >= 0)
		done = done == 0 ? db_write_commit(import->path, to, err)
				 : db_write_abort(import->path, to);
	(void)close(lock);
	return done;
}
