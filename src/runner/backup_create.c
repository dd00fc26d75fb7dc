#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "runner/backup_manifest.h"
#include "runner/backup_object.h"

#define DEPTH_MAX 128
#define NAMES_MAX_BYTES ((size_t)64 * 1024 * 1024)

struct walk {
	int store;
	dev_t store_device;
	ino_t store_inode;
	struct buf manifest;
	struct buf path; /* of the folder being read, "" at the top */
	unsigned depth;
	struct backup_info *made;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names ended by NUL, and where each starts; the caller frees *sorted. */
static int read_names(DIR *folder, struct buf *names, char ***sorted, size_t *count,
		      struct err *err)
{
	struct dirent *entry;
	char *at;

	*count = 0;
	while (errno = 0, (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		buf_append_bytes(names, entry->d_name, strlen(entry->d_name) + 1);
		(*count)++;
	}
	if (errno)
		return err_set_errno(err, errno, "cannot read");
	*sorted = mem_zalloc(*count + 1, sizeof(**sorted));
	if (buf_failed(names) || !*sorted)
		return err_set(err, ERR_MEMORY, "out of memory");
	at = names->ptr;
	for (size_t i = 0; i < *count; i++, at += strlen(at) + 1)
		(*sorted)[i] = at;
	qsort(*sorted, *count, sizeof(**sorted), by_name);
	return 0;
}

static int add(struct walk *w, enum backup_kind kind, const struct stat *about,
	       const char *hash, uint64_t size_bytes, struct err *err)
{
	struct backup_entry entry = {.kind = kind,
				     .mode = kind == BACKUP_LINK ? 0 : about->st_mode & 0777,
				     .size_bytes = size_bytes,
				     .hash = span_cstr(hash),
				     .path = buf_span(&w->path)};

	backup_manifest_add(&w->manifest, &entry);
	if (buf_failed(&w->manifest))
		return err_set(err, ERR_MEMORY, "the list of the backup grew too large");
	w->made->entries++;
	w->made->bytes += kind == BACKUP_FILE ? size_bytes : 0;
	return 0;
}

static int add_file(struct walk *w, int folder, const char *name, struct err *err)
{
	char hash[BACKUP_ID_CHARS + 1];
	uint64_t size_bytes = 0;
	struct stat about;
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int done;

	if (fd < 0)
		return err_set_errno(err, errno, "cannot open");
	if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode))
		done = err_set(err, ERR_INVALID, "changed while it was read");
	else
		done = backup_object_put(w->store, fd, hash, &size_bytes, err);
	close(fd);
	if (done == 0 && size_bytes != (uint64_t)about.st_size)
		done = err_set(err, ERR_INVALID, "changed while it was read");
	return done == 0 ? add(w, BACKUP_FILE, &about, hash, size_bytes, err) : -1;
}

static int add_link(struct walk *w, int folder, const char *name, struct err *err)
{
	char target[BACKUP_LINK_MAX_BYTES + 1], hash[BACKUP_ID_CHARS + 1];
	ssize_t len = readlinkat(folder, name, target, sizeof(target));

	if (len < 0)
		return err_set_errno(err, errno, "cannot read the link");
	if (len > BACKUP_LINK_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "the link is too long");
	if (backup_object_put_bytes(w->store, span_of(target, (size_t)len), hash, err) < 0)
		return -1;
	return add(w, BACKUP_LINK, NULL, hash, (uint64_t)len, err);
}

static int walk_folder(struct walk *w, int fd, struct err *err);

static int add_folder(struct walk *w, int folder, const char *name, const struct stat *about,
		      struct err *err)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(err, errno, "cannot open");
	if (add(w, BACKUP_FOLDER, about, "-", 0, err) < 0) {
		close(fd);
		return -1;
	}
	return walk_folder(w, fd, err);
}

/* With w->path at the entry. */
static int add_entry(struct walk *w, int folder, const char *name, struct err *err)
{
	struct stat about;

	if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set_errno(err, errno, "cannot read");
	if (about.st_dev == w->store_device && about.st_ino == w->store_inode)
		return err_set(err, ERR_INVALID,
			       "is the store: it may not be within the folder");
	if (S_ISREG(about.st_mode))
		return add_file(w, folder, name, err);
	if (S_ISLNK(about.st_mode))
		return add_link(w, folder, name, err);
	if (S_ISDIR(about.st_mode))
		return add_folder(w, folder, name, &about, err);
	return err_set(err, ERR_INVALID, "is neither a file, a folder nor a link");
}

static int walk_names(struct walk *w, DIR *folder, char *const *names, size_t count,
		      struct err *err)
{
	size_t above = w->path.len;

	for (size_t i = 0; i < count; i++) {
		if (above)
			buf_append_byte(&w->path, '/');
		if (buf_append_cstr(&w->path, names[i]) < 0)
			return strlen(names[i]) + above >= BACKUP_PATH_MAX_BYTES
				       ? err_set(err, ERR_LIMIT, "a path is too long")
				       : err_set(err, ERR_MEMORY, "out of memory");
		/* On failure the path stays, for the message. */
		if (add_entry(w, dirfd(folder), names[i], err) < 0)
			return -1;
		w->path.len = above;
	}
	return 0;
}

/* Takes fd. */
static int walk_folder(struct walk *w, int fd, struct err *err)
{
	DIR *folder = fdopendir(fd);
	char **sorted = NULL;
	struct buf names;
	size_t count;
	int done;

	if (!folder) {
		(void)err_set_errno(err, errno, "cannot read");
		close(fd);
		return -1;
	}
	buf_init(&names, NAMES_MAX_BYTES);
	if (++w->depth > DEPTH_MAX)
		done = err_set(err, ERR_LIMIT, "has more than %d folders in each other",
			       DEPTH_MAX);
	else
		done = read_names(folder, &names, &sorted, &count, err);
	if (done == 0)
		done = walk_names(w, folder, sorted, count, err);
	w->depth--;
	mem_free(sorted);
	buf_release(&names);
	closedir(folder);
	return done;
}

/* The contents are on the disk before the list that names them is. */
static int write_snapshot(struct walk *w, struct err *err)
{
	char name[128], temporary[128];
	struct backup_info *made = w->made;
	int fd, done;

	if (backup_hash(buf_span(&w->manifest), made->id, err) < 0)
		return -1;
	if (syncfs(w->store) < 0)
		return err_set_errno(err, errno, "cannot write the store to its disk");
	(void)snprintf(name, sizeof(name), "snapshots/%s", made->id);
	(void)snprintf(temporary, sizeof(temporary), "snapshots/.new-%s-%ld", made->id,
		       (long)getpid());
	fd = openat(w->store, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot write to the store");
	done = backup_write_all(fd, w->manifest.ptr, w->manifest.len, err);
	if (done == 0 && fsync(fd) < 0)
		done = err_set_errno(err, errno, "cannot write to the store");
	close(fd);
	if (done == 0 && renameat(w->store, temporary, w->store, name) < 0)
		done = err_set_errno(err, errno, "cannot make %s", name);
	if (done < 0)
		(void)unlinkat(w->store, temporary, 0);
	else if (syncfs(w->store) < 0)
		done = err_set_errno(err, errno, "cannot write the store to its disk");
	return done;
}

int backup_create(const char *store, const char *folder, int64_t now_s,
		  struct backup_info *made, struct err *err)
{
	struct walk w = {.store = -1, .made = made};
	struct stat about;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int done = -1;

	if (fd < 0)
		return err_set_errno(err, errno, "cannot open %s", folder);
	w.store = backup_store_open(store, true, err);
	if (w.store < 0 || fstat(w.store, &about) < 0) {
		if (w.store >= 0) {
			(void)err_set_errno(err, errno, "cannot read %s", store);
			close(w.store);
		}
		close(fd);
		return -1;
	}
	w.store_device = about.st_dev;
	w.store_inode = about.st_ino;
	*made = (struct backup_info){.made_at_s = now_s};
	buf_init(&w.manifest, BACKUP_MANIFEST_MAX_BYTES);
	buf_init(&w.path, BACKUP_PATH_MAX_BYTES);
	backup_manifest_begin(&w.manifest, now_s);
	if (fstat(fd, &about) == 0 && about.st_dev == w.store_device &&
	    about.st_ino == w.store_inode) {
		close(fd);
		done = err_set(err, ERR_INVALID, "%s is the store itself", folder);
	} else if (walk_folder(&w, fd, err) < 0) {
		done = err_wrap(err, "%s/%.*s", folder, SPAN_ARG(buf_span(&w.path)));
	} else {
		done = write_snapshot(&w, err);
	}
	buf_release(&w.path);
	buf_release(&w.manifest);
	close(w.store);
	return done;
}
