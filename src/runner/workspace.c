#include "runner/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/backup_manifest.h"

#define OPEN_FOLDERS 32

int workspace_folder(const char *path, struct err *err)
{
	mode_t mode = geteuid() == 0 ? 0711 : 0700;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make %s", path);
	return 0;
}

/* nftw() hands nothing through. */
static uid_t give_uid;
static gid_t give_gid;

static int give_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return lchown(path, give_uid, give_gid);
}

int workspace_give(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	give_uid = uid;
	give_gid = gid;
	if (nftw(path, give_one, OPEN_FOLDERS, FTW_PHYS) != 0)
		return err_set_errno(err, errno, "cannot give %s to the jobs' user", path);
	return 0;
}

static int seal_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	mode_t mode = (st->st_mode & 0555) | 0444;

	(void)at;
	if (kind == FTW_SL)
		return 0;
	return chmod(path, kind == FTW_D || (mode & 0111) ? mode | 0555 : mode);
}

int workspace_seal(const char *path, struct err *err)
{
	if (nftw(path, seal_one, OPEN_FOLDERS, FTW_PHYS) != 0)
		return err_set_errno(err, errno, "cannot seal %s", path);
	return 0;
}

static int open_folder(int above, const char *name)
{
	return openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Into the folder at the top, under a name that is free there. */
static int move_up(int folder, const char *name, int top, uint64_t *number)
{
	char fresh[32];

	do
		(void)snprintf(fresh, sizeof(fresh), ".gone-%llu",
			       (unsigned long long)(*number)++);
	while (renameat2(folder, name, top, fresh, RENAME_NOREPLACE) < 0 && errno == EEXIST);
	return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : -1;
}

static bool is_self(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_folder(int top, const char *name, uint64_t *number);

/*
 * Removes what is in it, and moves its folders to the top; at the top, removes these too. *left: there
 * were any, so that it has to be looked at again. Takes fd.
 */
static int empty(int fd, int top, uint64_t *number, bool *left)
{
	DIR *folder = fdopendir(fd);
	struct dirent *entry;
	struct stat st;
	int result = 0;

	*left = false;
	if (!folder) {
		(void)close(fd);
		return -1;
	}
	while (result == 0 && (entry = readdir(folder))) {
		const char *name = entry->d_name;

		if (is_self(name))
			continue;
		*left = true;
		if (unlinkat(fd, name, 0) == 0)
			continue;
		/* It stays what it is: of those who could change it, none is left. */
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
		    fchmodat(fd, name, 0700, 0) < 0)
			result = -1;
		else if (top < 0)
			result = remove_folder(fd, name, number);
		else
			result = move_up(fd, name, top, number);
	}
	(void)closedir(folder);
	return result;
}

/* However deep it is, no more than two folders are open, and no path is longer than a name. */
static int remove_folder(int top, const char *name, uint64_t *number)
{
	bool left = true;

	while (left) {
		int fd = open_folder(top, name);

		if (fd < 0 || empty(fd, top, number, &left) < 0)
			return -1;
	}
	return unlinkat(top, name, AT_REMOVEDIR);
}

int workspace_remove(const char *path, struct err *err)
{
	uint64_t number = 0;
	bool left = true;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	/* What a job has made so that it cannot be entered, it can also not keep. */
	(void)chmod(path, 0700);
	while (left) {
		int fd = open_folder(AT_FDCWD, path);

		if (fd < 0 || empty(fd, -1, &number, &left) < 0)
			return err_set_errno(err, errno, "cannot remove %s", path);
	}
	if (rmdir(path) < 0)
		return err_set_errno(err, errno, "cannot remove %s", path);
	return 0;
}

/* Goes down one part of the path in both; the folder in `to` is made. */
static int descend(int *from, int *to, const char *name)
{
	int next_from = open_folder(*from, name), next_to = -1;

	if (next_from < 0)
		return -1;
	if (mkdirat(*to, name, 0755) == 0 || errno == EEXIST)
		next_to = open_folder(*to, name);
	if (next_to < 0) {
		close(next_from);
		return -1;
	}
	close(*from);
	close(*to);
	*from = next_from;
	*to = next_to;
	return 0;
}

static int move(int *from, int *to, struct span path, struct err *err)
{
	struct span rest = path;
	char name[NAME_MAX + 1];

	while (rest.ptr) {
		struct span part = span_cut(&rest, '/');

		if (part.len > NAME_MAX)
			return err_set(err, ERR_LIMIT, "a name is too long");
		(void)snprintf(name, sizeof(name), "%.*s", SPAN_ARG(part));
		if (rest.ptr ? descend(from, to, name) < 0
			     : renameat(*from, name, *to, name) < 0)
			return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
				       "cannot keep %.*s: %s", SPAN_ARG(path),
				       strerrordesc_np(errno));
	}
	return 0;
}

int workspace_keep(const char *workspace, const char *kept, struct span path, struct err *err)
{
	int from, to, result;

	while (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	if (!backup_path_is_safe(path))
		return err_set(err, ERR_INVALID, "'%.*s' is no path within the workspace",
			       SPAN_ARG(path));
	from = open_folder(AT_FDCWD, workspace);
	to = open_folder(AT_FDCWD, kept);
	result = from < 0 || to < 0 ? err_set_errno(err, errno, "cannot keep artifacts")
				    : move(&from, &to, path, err);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return result;
}
