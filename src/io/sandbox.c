#include "io/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- user and capabilities --- */

static int clear_capabilities(struct err *err)
{
	cap_t none;
	int result;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_set_errno(err, errno, "cannot clear ambient capabilities");
	none = cap_init();
	if (!none)
		return err_set(err, ERR_MEMORY, "no memory for capabilities");
	result = cap_set_proc(none);
	if (result < 0)
		err_set_errno(err, errno, "cannot give up capabilities");
	cap_free(none);
	return result;
}

static int become(uid_t uid, gid_t gid, struct err *err)
{
	if (geteuid() != 0) {
		if (geteuid() != uid || getegid() != gid)
			return err_set(err, ERR_DENIED,
				       "only root can become user %u and group %u",
				       (unsigned)uid, (unsigned)gid);
		return 0;
	}
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return err_set_errno(err, errno, "cannot become user %u and group %u",
				     (unsigned)uid, (unsigned)gid);
	return 0;
}

/* Trust nothing: look whether root is really gone. */
static int check_gone(uid_t uid, gid_t gid, struct err *err)
{
	uid_t uids[3];
	gid_t gids[3];

	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
	    getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return err_set_errno(err, errno, "cannot read user and group");
	for (int i = 0; i < 3; i++)
		if (uids[i] != uid || gids[i] != gid)
			return err_set(err, ERR_INTERNAL, "user or group was not given up");
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return err_set(err, ERR_INTERNAL, "root could be taken back");
	return 0;
}

static int set_no_new_privs(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_errno(err, errno, "no_new_privs");
	return 0;
}

/* While we still may: it takes CAP_SETPCAP, without which nothing can be gained from it either. */
static int drop_bounding_set(struct err *err)
{
	for (int cap = 0; cap <= 63 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return err_set_errno(err, errno, "cannot drop a capability");
	return 0;
}

int sandbox_drop_root(uid_t uid, gid_t gid, struct err *err)
{
	if (uid == 0 || gid == 0)
		return err_set(err, ERR_INVALID, "root cannot be kept as user or group");
	if (drop_bounding_set(err) < 0 || become(uid, gid, err) < 0 ||
	    clear_capabilities(err) < 0 || set_no_new_privs(err) < 0)
		return -1;
	return check_gone(uid, gid, err);
}

int sandbox_hide_memory(struct err *err)
{
#if !defined(HAVE_ASAN) && !defined(HAVE_TSAN)
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set_errno(err, errno, "cannot hide the memory");
#else
	(void)err;
#endif
	return 0;
}

/* --- file system --- */

/* From newer headers than Debian 12 has. */
#define ACCESS_TRUNCATE ((uint64_t)1 << 14) /* version 3 */
#define ACCESS_IOCTL_DEV ((uint64_t)1 << 15) /* version 5 */

#define READ_FILE (uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE)
#define READ_DIR (uint64_t)(LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGE_DIR                                                                             \
	(uint64_t)(LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |            \
		   LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                 \
		   LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |               \
		   LANDLOCK_ACCESS_FS_REFER)
#define CHANGE_FILE ((uint64_t)LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
/* Rights that make no sense for a file, which the kernel refuses there. */
#define ONLY_DIR (READ_DIR | CHANGE_DIR)

static uint64_t handled_rights(int version)
{
	/* All of version 1: execute up to make_sym. */
	uint64_t rights = ((uint64_t)1 << 13) - 1;

	if (version >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		rights |= ACCESS_TRUNCATE;
	if (version >= 5)
		rights |= ACCESS_IOCTL_DEV;
	return rights;
}

static uint64_t rights_of(enum sandbox_access access)
{
	switch (access) {
	case SANDBOX_READ: return READ_FILE | READ_DIR;
	case SANDBOX_WRITE: return READ_FILE | READ_DIR | CHANGE_DIR | CHANGE_FILE;
	case SANDBOX_EXECUTE: return READ_FILE | READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE;
	}
	return 0;
}

static int add_path(int ruleset, const struct sandbox_path *path, uint64_t handled,
		    struct err *err)
{
	struct landlock_path_beneath_attr rule = {.allowed_access =
							  rights_of(path->access) & handled};
	struct stat stat;
	int result = 0;

	rule.parent_fd = open(path->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0) {
		if (path->optional && errno == ENOENT)
			return 0;
		return err_set_errno(err, errno, "%s", path->path);
	}
	if (fstat(rule.parent_fd, &stat) < 0)
		result = err_set_errno(err, errno, "%s", path->path);
	else if (!S_ISDIR(stat.st_mode))
		rule.allowed_access &= ~ONLY_DIR;
	if (result == 0 &&
	    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		result = err_set_errno(err, errno, "Landlock rule for %s", path->path);
	close(rule.parent_fd);
	return result;
}

static int restrict_to(int ruleset, const struct sandbox_path *paths, size_t count,
		       uint64_t handled, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (add_path(ruleset, &paths[i], handled, err) < 0)
			return -1;
	if (set_no_new_privs(err) < 0)
		return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_set_errno(err, errno, "Landlock");
	return 0;
}

int sandbox_paths(const struct sandbox_path *paths, size_t count, int *level, struct err *err)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {.handled_access_fs = 0};
	int ruleset, result;

	*level = 0;
	/* Not built in, or switched off at boot. */
	if (version < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;
	if (version < 0)
		return err_set_errno(err, errno, "Landlock");
	attr.handled_access_fs = handled_rights((int)version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return err_set_errno(err, errno, "Landlock");
	result = restrict_to(ruleset, paths, count, attr.handled_access_fs, err);
	close(ruleset);
	if (result == 0)
		*level = (int)version;
	return result;
}
