#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "runner/backup_manifest.h"
#include "runner/backup_object.h"

#define READ_BYTES ((size_t)64 * 1024)

/* Appends the list to `to`, once it is known to be the one that the id stands for. */
static int read_snapshot(int store, const char *id, struct buf *to, struct err *err)
{
	char name[128], found[BACKUP_ID_CHARS + 1];
	ssize_t n;
	int fd;

	if (!backup_is_hash(span_cstr(id)))
		return err_set(err, ERR_INVALID, "%s is not the id of a backup", id);
	(void)snprintf(name, sizeof(name), "snapshots/%s", id);
	fd = openat(store, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT
			       ? err_set(err, ERR_NOT_FOUND, "there is no backup %s", id)
			       : err_set_errno(err, errno, "cannot read the backup %s", id);
	do {
		n = buf_reserve(to, READ_BYTES) < 0 ? -2
						    : read(fd, to->ptr + to->len, READ_BYTES);
		to->len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n == -1 && errno == EINTR));
	if (n == -1)
		(void)err_set_errno(err, errno, "cannot read the backup %s", id);
	close(fd);
	if (n == -2)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (n < 0 || backup_hash(buf_span(to), found, err) < 0)
		return -1;
	if (!span_eq(span_cstr(found), span_cstr(id)))
		return err_set(err, ERR_INVALID, "the list of the backup %s was changed", id);
	return 0;
}

static int check_link(int store, const struct backup_entry *entry, struct buf *target,
		      struct err *err)
{
	buf_clear(target);
	if (backup_object_get(store, entry->hash, entry->size_bytes, -1, target, err) < 0)
		return -1;
	if (span_find_byte(buf_span(target), '\0') < target->len || !target->len)
		return err_set(err, ERR_INVALID, "is a link without a target");
	return 0;
}

/* A folder opened by its path below root, no link followed; the caller closes it. */
static int open_parent(int root, struct span path, struct span *name, struct err *err)
{
	struct span rest = path;
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);

	for (;;) {
		struct span part = span_cut(&rest, '/');
		char word[BACKUP_PATH_MAX_BYTES + 1];
		int next;

		if (fd < 0)
			return err_set_errno(err, errno, "cannot open its folder");
		if (!rest.ptr) {
			*name = part;
			return fd;
		}
		(void)snprintf(word, sizeof(word), "%.*s", SPAN_ARG(part));
		next = openat(fd, word, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
}

static int make_file(int store, int folder, const char *name, const struct backup_entry *entry,
		     struct err *err)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	int done;

	if (fd < 0)
		return err_set_errno(err, errno, "cannot make it");
	done = backup_object_get(store, entry->hash, entry->size_bytes, fd, NULL, err);
	if (done == 0 && fchmod(fd, entry->mode) < 0)
		done = err_set_errno(err, errno, "cannot set its rights");
	close(fd);
	if (done < 0)
		(void)unlinkat(folder, name, 0);
	return done;
}

static int make_link(int store, int folder, const char *name, const struct backup_entry *entry,
		     struct err *err)
{
	struct buf target;
	int done;

	buf_init(&target, BACKUP_LINK_MAX_BYTES);
	done = check_link(store, entry, &target, err);
	if (done == 0 && !backup_link_is_safe(entry->path, buf_span(&target)))
		done = err_set(err, ERR_DENIED, "is a link out of the folder");
	if (done == 0 && !buf_cstr(&target))
		done = err_set(err, ERR_MEMORY, "out of memory");
	if (done == 0 && symlinkat(target.ptr, folder, name) < 0)
		done = err_set_errno(err, errno, "cannot make it");
	buf_release(&target);
	return done;
}

static int make_folder(int folder, const char *name, unsigned mode, struct err *err)
{
	/* The owner can always enter and write: what is within comes next. */
	if (mkdirat(folder, name, 0700) < 0 || fchmodat(folder, name, mode | 0700, 0) < 0)
		return err_set_errno(err, errno, "cannot make it");
	return 0;
}

static int restore_entry(int store, int root, const struct backup_entry *entry, struct err *err)
{
	char word[BACKUP_PATH_MAX_BYTES + 1];
	struct span name;
	int folder = open_parent(root, entry->path, &name, err), done = -1;

	if (folder < 0)
		return -1;
	(void)snprintf(word, sizeof(word), "%.*s", SPAN_ARG(name));
	switch (entry->kind) {
	case BACKUP_FOLDER: done = make_folder(folder, word, entry->mode, err); break;
	case BACKUP_FILE: done = make_file(store, folder, word, entry, err); break;
	case BACKUP_LINK: done = make_link(store, folder, word, entry, err); break;
	}
	close(folder);
	return done;
}

static int verify_entry(int store, const struct backup_entry *entry, struct err *err)
{
	struct buf target;
	int done = 0;

	if (entry->kind == BACKUP_FILE)
		return backup_object_get(store, entry->hash, entry->size_bytes, -1, NULL, err);
	buf_init(&target, BACKUP_LINK_MAX_BYTES);
	if (entry->kind == BACKUP_LINK)
		done = check_link(store, entry, &target, err);
	buf_release(&target);
	return done;
}

/* `root` -1: only looks. `contents`: also reads what the list names. */
static int go_through(int store, struct span rest, int root, bool contents,
		      struct backup_info *found, struct err *err)
{
	struct backup_entry entry;
	int more, done = 0;

	if (backup_manifest_open(&rest, &found->made_at_s, err) < 0)
		return -1;
	while ((more = backup_manifest_next(&rest, &entry, err)) > 0) {
		if (root >= 0)
			done = restore_entry(store, root, &entry, err);
		else if (contents)
			done = verify_entry(store, &entry, err);
		if (done < 0)
			return err_wrap(err, "%.*s", SPAN_ARG(entry.path));
		found->entries++;
		found->bytes += entry.kind == BACKUP_FILE ? entry.size_bytes : 0;
	}
	return more;
}

static int visit(int store, const char *id, const char *folder, bool contents,
		 struct backup_info *found, struct err *err)
{
	struct buf list;
	int root = -1, done;

	*found = (struct backup_info){0};
	buf_init(&list, BACKUP_MANIFEST_MAX_BYTES + READ_BYTES);
	done = read_snapshot(store, id, &list, err);
	if (done == 0)
		(void)snprintf(found->id, sizeof(found->id), "%s", id);
	if (done == 0 && folder) {
		if (mkdir(folder, 0700) < 0 ||
		    (root = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
			done = err_set_errno(err, errno, "cannot make %s", folder);
	}
	if (done == 0)
		done = go_through(store, buf_span(&list), root, contents, found, err);
	if (root >= 0)
		close(root);
	buf_release(&list);
	return done;
}

static int with_store(const char *store, const char *id, const char *folder,
		      struct backup_info *found, struct err *err)
{
	int fd = backup_store_open(store, false, err), done;

	if (fd < 0)
		return -1;
	done = visit(fd, id, folder, true, found, err);
	close(fd);
	return done;
}

int backup_verify(const char *store, const char *id, struct backup_info *found, struct err *err)
{
	return with_store(store, id, NULL, found, err);
}

int backup_restore(const char *store, const char *id, const char *folder,
		   struct backup_info *found, struct err *err)
{
	return with_store(store, id, folder, found, err);
}

static int is_snapshot(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int backup_list(const char *store, void (*each)(void *context, const struct backup_info *info),
		void *context, struct err *err)
{
	struct dirent **names;
	int fd = backup_store_open(store, false, err), count, done = 0;

	if (fd < 0)
		return -1;
	count = scandirat(fd, "snapshots", &names, is_snapshot, alphasort);
	if (count < 0) {
		(void)err_set_errno(err, errno, "%s is not a backup store", store);
		close(fd);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		struct backup_info info;

		if (done == 0)
			done = visit(fd, names[i]->d_name, NULL, false, &info, err);
		if (done == 0)
			each(context, &info);
		free(names[i]);
	}
	free(names);
	close(fd);
	return done;
}
