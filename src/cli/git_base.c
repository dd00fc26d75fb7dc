#include "cli/git_base.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define GIT_DEADLINE_MS 300000
#define OUTPUT_MAX_BYTES 65536

struct git {
	const char *folder; /* the repository, or a folder in it */
	char index[PATH_MAX + 16]; /* GIT_INDEX_FILE=... */
};

static int spawn_git(const struct git *git, char *const *argv, int out, pid_t *pid)
{
	char *path = getenv("PATH"), *home = getenv("HOME");
	char path_variable[PATH_MAX + 8], home_variable[PATH_MAX + 8];
	char *env[] = {(char *)(uintptr_t)git->index,
		       path_variable,
		       home_variable,
		       (char *)(uintptr_t) "LC_ALL=C",
		       (char *)(uintptr_t) "GIT_OPTIONAL_LOCKS=0",
		       (char *)(uintptr_t) "GIT_TERMINAL_PROMPT=0",
		       (char *)(uintptr_t) "GIT_LFS_SKIP_SMUDGE=1",
		       NULL};
	posix_spawn_file_actions_t actions;
	int result;

	snprintf(path_variable, sizeof(path_variable), "PATH=%s",
		 path ? path : "/usr/bin:/bin");
	snprintf(home_variable, sizeof(home_variable), "HOME=%s", home ? home : "/");
	if (posix_spawn_file_actions_init(&actions) != 0)
		return ENOMEM;
	result = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (result == 0)
		result = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (result == 0)
		result =
			posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (result == 0)
		result = posix_spawnp(pid, "git", &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	return result;
}

/* What comes until the end, which a child of git's can put off. False when time was up. */
static bool read_all(int fd, struct buf *to)
{
	int64_t deadline = clock_ms() + GIT_DEADLINE_MS;
	char piece[4096];

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - clock_ms();
		ssize_t got;

		if (left <= 0)
			return false;
		if (poll(&wait, 1, (int)left) <= 0)
			continue;
		got = read(fd, piece, sizeof(piece));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return true;
		buf_append_bytes(to, piece, (size_t)got);
	}
}

#define ARGUMENTS_MAX 16

/* The first line of its output, without its end, is appended to `to`. */
static int run(const struct git *git, const char *const *arguments, struct buf *to,
	       struct err *err)
{
	const char *argv[ARGUMENTS_MAX] = {
		"git", "-c",	   "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
		"-C",  git->folder};
	size_t count = 7;
	int pipe_fds[2], status = 0, result;
	pid_t pid;
	bool ended;

	while (*arguments && count < ARGUMENTS_MAX - 1)
		argv[count++] = *arguments++;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "cannot run git");
	result = spawn_git(git, (char *const *)(uintptr_t)argv, pipe_fds[1], &pid);
	(void)close(pipe_fds[1]);
	if (result != 0) {
		(void)close(pipe_fds[0]);
		return err_set(err, ERR_UNAVAILABLE, "cannot run git: %s",
			       strerrorname_np(result));
	}
	ended = read_all(pipe_fds[0], to);
	(void)close(pipe_fds[0]);
	if (!ended)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended)
		return err_set(err, ERR_TIMEOUT, "git does not end");
	if (buf_failed(to))
		return err_set(err, ERR_LIMIT, "git has too much to say");
	while (to->len && to->ptr[to->len - 1] == '\n')
		to->len--;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : err_set(err, ERR_NOT_FOUND, "git %s has failed", argv[7]);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	(void)remove(path);
	return 0;
}

void git_base_close(struct git_base *base)
{
	if (base->folder[0])
		(void)nftw(base->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	base->folder[0] = '\0';
}

/* The top of the work tree, and where in it `path` is ("" or "a/b/"). */
static int find_top(const struct git *git, struct buf *top, struct buf *prefix, struct err *err)
{
	const char *const ask_top[] = {"rev-parse", "--show-toplevel", NULL};
	const char *const ask_prefix[] = {"rev-parse", "--show-prefix", NULL};

	if (run(git, ask_top, top, err) < 0 || run(git, ask_prefix, prefix, err) < 0)
		return err_set(err, ERR_NOT_FOUND,
			       "%s is in no git repository that can be used", git->folder);
	return buf_cstr(top) && (prefix->len == 0 || buf_cstr(prefix))
		       ? 0
		       : err_set(err, ERR_MEMORY, "out of memory");
}

static int check_out(struct git *git, const struct git_base *base, const char *revision,
		     struct err *err)
{
	char tree[512], to[sizeof(base->folder) + 32];
	const char *const resolve[] = {"rev-parse",	   "--verify", "--quiet",
				       "--end-of-options", tree,       NULL};
	const char *const write_out[] = {"checkout-index", "--all", "--force", to, NULL};
	struct buf id, nothing;
	int result = -1;

	buf_init(&id, OUTPUT_MAX_BYTES);
	buf_init(&nothing, OUTPUT_MAX_BYTES);
	snprintf(tree, sizeof(tree), "%s^{tree}", revision);
	snprintf(to, sizeof(to), "--prefix=%s/tree/", base->folder);
	if (run(git, resolve, &id, err) < 0 || !buf_cstr(&id)) {
		(void)err_set(err, ERR_NOT_FOUND, "git knows no commit \"%s\"", revision);
	} else {
		const char *const read_tree[] = {"read-tree", buf_cstr(&id), NULL};

		if (run(git, read_tree, &nothing, err) == 0)
			result = run(git, write_out, &nothing, err);
	}
	buf_release(&id);
	buf_release(&nothing);
	return result;
}

int git_base_open(struct git_base *base, const char *path, const char *revision,
		  struct err *err)
{
	struct git git = {.folder = path, .index = "GIT_INDEX_FILE="};
	struct buf top, prefix;
	int result;

	*base = (struct git_base){.folder = "/tmp/sallyport-base-XXXXXX"};
	if (strlen(revision) > 256)
		return err_set(err, ERR_INVALID, "the name of the commit is too long");
	if (!mkdtemp(base->folder)) {
		base->folder[0] = '\0';
		return err_set_errno(err, errno, "cannot make a temporary folder");
	}
	snprintf(git.index, sizeof(git.index), "GIT_INDEX_FILE=%s/index", base->folder);
	buf_init(&top, PATH_MAX);
	buf_init(&prefix, PATH_MAX);
	result = find_top(&git, &top, &prefix, err);
	if (result == 0) {
		git.folder = buf_cstr(&top);
		result = check_out(&git, base, revision, err);
	}
	if (result == 0 &&
	    snprintf(base->path, sizeof(base->path), "%s/tree/%.*s", base->folder,
		     (int)prefix.len, prefix.len ? prefix.ptr : "") >= (int)sizeof(base->path))
		result = err_set(err, ERR_LIMIT, "the path is too long");
	buf_release(&top);
	buf_release(&prefix);
	if (result < 0)
		git_base_close(base);
	return result;
}
