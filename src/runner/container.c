#include "runner/container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/sandbox.h"
#include "runner/cgroup.h"

#define BWRAP "/usr/bin/bwrap"
#define WORDS_MAX 512
#define FDS_MAX 80
#define OPEN_FILES_MAX 4096
/* bwrap, which is two here, and the first process of the job's namespace. */
#define OWN_PROCESSES 3
#define CHUNK_BYTES ((size_t)64 * 1024)
#define TRY_TIMEOUT_MS 10000

/* ---- arguments ------------------------------------------------------------------------------- */

struct arguments {
	const char *at[WORDS_MAX];
	size_t count;
	struct arena arena;
	int fds[FDS_MAX]; /* that the child needs; to be closed */
	size_t fd_count;
	bool failed;
};

static void add(struct arguments *a, const char *word)
{
	if (!word || a->count == WORDS_MAX - 1)
		a->failed = true;
	else
		a->at[a->count++] = word;
}

static void add_all(struct arguments *a, const char *const *words)
{
	while (*words)
		add(a, *words++);
}

static void add_number(struct arguments *a, uint64_t number)
{
	add(a, arena_printf(&a->arena, "%llu", (unsigned long long)number).ptr);
}

static void add_fd(struct arguments *a, int fd)
{
	if (fd < 0 || a->fd_count == FDS_MAX) {
		a->failed = true;
		if (fd >= 0)
			close(fd);
		return;
	}
	a->fds[a->fd_count++] = fd;
	add_number(a, (uint64_t)fd);
}

static void release(struct arguments *a)
{
	for (size_t i = 0; i < a->fd_count; i++)
		close(a->fds[i]);
	arena_release(&a->arena);
}

/* In the memory of this process: no file that others could read. */
static int memory_file(struct span bytes)
{
	int fd = memfd_create("secret", 0);

	if (fd < 0)
		return -1;
	if (write(fd, bytes.len ? bytes.ptr : "", bytes.len) == (ssize_t)bytes.len &&
	    lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Who the job is: programs look it up. */
static void add_users(struct arguments *a)
{
	add_all(a, (const char *const[]){"--perms", "0444", "--ro-bind-data", NULL});
	add_fd(a, memory_file(SPAN("root:x:0:0::/:/bin/false\njob:x:1000:1000::/tmp:/bin/sh\n"
				   "nobody:x:65534:65534::/:/bin/false\n")));
	add_all(a, (const char *const[]){"/etc/passwd", "--perms", "0444", "--ro-bind-data",
					 NULL});
	add_fd(a, memory_file(SPAN("root:x:0:\njob:x:1000:\nnogroup:x:65534:\n")));
	add(a, "/etc/group");
}

/*
 * The words so far go to bwrap by a descriptor: the job sees its own command line in /proc, and not where
 * things are outside.
 */
static void hide(struct arguments *a)
{
	struct buf words;

	buf_init(&words, (size_t)1 << 20);
	for (size_t i = 1; i < a->count; i++)
		buf_append_bytes(&words, a->at[i], strlen(a->at[i]) + 1);
	a->count = 1;
	add(a, "--args");
	add_fd(a, buf_failed(&words) ? -1 : memory_file(buf_span(&words)));
	buf_release(&words);
}

/* Programs and libraries, what they need to find each other, and certificates. */
static void add_host(struct arguments *a)
{
	static const char *const words[] = {"--ro-bind",
					    "/usr",
					    "/usr",
					    "--ro-bind-try",
					    "/etc/alternatives",
					    "/etc/alternatives",
					    "--ro-bind-try",
					    "/etc/ld.so.cache",
					    "/etc/ld.so.cache",
					    "--ro-bind-try",
					    "/etc/ssl/certs",
					    "/etc/ssl/certs",
					    "--ro-bind-try",
					    "/etc/ca-certificates",
					    "/etc/ca-certificates",
					    "--ro-bind-try",
					    "/etc/localtime",
					    "/etc/localtime",
					    NULL};
	static const char *const folders[] = {"/bin",	"/sbin",  "/lib",
					      "/lib32", "/lib64", "/libx32"};

	add_all(a, words);
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		char target[256];
		ssize_t len = readlink(folders[i], target, sizeof(target) - 1);

		if (len > 0) {
			target[len] = '\0';
			add(a, "--symlink");
			add(a, arena_dup(&a->arena, span_of(target, (size_t)len)).ptr);
			add(a, folders[i]);
		} else if (access(folders[i], F_OK) == 0) {
			add(a, "--ro-bind");
			add(a, folders[i]);
			add(a, folders[i]);
		}
	}
}

/* What we make ourselves is not taken from an image. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {".",	  "..",	 "proc",    "dev",	 "sys",
					   "run", "tmp", "secrets", "artifacts", "workspace"};

	for (size_t i = 0; i < COUNT_OF(ours); i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	return false;
}

static void add_entry(struct arguments *a, int image, struct span path, const char *name)
{
	const char *to = arena_printf(&a->arena, "/%s", name).ptr;
	char target[PATH_MAX];
	struct stat st;
	ssize_t len;

	if (fstatat(image, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		a->failed = true;
	} else if (S_ISLNK(st.st_mode)) {
		len = readlinkat(image, name, target, sizeof(target));
		add(a, "--symlink");
		add(a, len < 0 ? NULL : arena_dup(&a->arena, span_of(target, (size_t)len)).ptr);
		add(a, to);
	} else if (S_ISDIR(st.st_mode)) {
		add(a, "--ro-bind");
		add(a, arena_printf(&a->arena, "%.*s/%s", SPAN_ARG(path), name).ptr);
		add(a, to);
	}
}

/*
 * The folders and links at its top, each for itself: it need not have the places in it where we put the
 * workspace and the rest. One that cannot be read leaves nothing to run.
 */
static void add_image(struct arguments *a, struct span path)
{
	const char *name = arena_dup(&a->arena, path).ptr;
	DIR *folder = name ? opendir(name) : NULL;
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (!is_ours(entry->d_name))
			add_entry(a, dirfd(folder), path, entry->d_name);
	if (folder)
		(void)closedir(folder);
}

static void add_system(struct arguments *a, const struct pipeline_job *job)
{
	if (span_eq(job->image, SPAN("host"))) {
		add_all(a, (const char *const[]){"--perms", "0755", "--dir", "/etc", NULL});
		add_host(a);
		add_users(a);
		return;
	}
	add_image(a, job->image);
}

/* How names are found; an image that has such a file is given ours. */
static void add_network(struct arguments *a, const struct pipeline_job *job)
{
	static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts"};
	bool host = span_eq(job->image, SPAN("host"));

	if (job->network != PIPELINE_NETWORK_HOST)
		return;
	add(a, "--share-net");
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		const char *there =
			arena_printf(&a->arena, "%.*s%s", SPAN_ARG(job->image), files[i]).ptr;
		struct stat st;

		if (!host && (!there || lstat(there, &st) < 0 || !S_ISREG(st.st_mode)))
			continue;
		add(a, "--ro-bind-try");
		add(a, files[i]);
		add(a, files[i]);
	}
}

static void add_secrets(struct arguments *a, const struct container *c)
{
	if (!c->job->secrets.count)
		return;
	add_all(a, (const char *const[]){"--perms", "0700", "--tmpfs", "/secrets", NULL});
	for (size_t i = 0; i < c->job->secrets.count; i++) {
		add_all(a, (const char *const[]){"--perms", "0400", "--file", NULL});
		add_fd(a, memory_file(c->secrets[i]));
		add(a, arena_printf(&a->arena, "/secrets/%.*s", SPAN_ARG(c->job->secrets.at[i]))
			       .ptr);
	}
	add_all(a, (const char *const[]){"--remount-ro", "/secrets", NULL});
}

static void add_environment(struct arguments *a, const struct pipeline_job *job)
{
	static const char *const words[] = {
		"--clearenv", "--setenv", "PATH",     "/usr/local/bin:/usr/bin:/bin",
		"--setenv",   "HOME",	  "/tmp",     "--setenv",
		"LANG",	      "C.UTF-8",  "--setenv", "CI",
		"true",	      NULL};

	add_all(a, words);
	for (size_t i = 0; i < job->env.count; i++) {
		struct span value = job->env.at[i];
		struct span name = span_cut(&value, '=');

		add(a, "--setenv");
		add(a, arena_dup(&a->arena, name).ptr);
		add(a, arena_dup(&a->arena, value).ptr);
	}
}

/* `set -e` of all lines as one script: the first that fails ends it. */
static void add_script(struct arguments *a, const struct pipeline_job *job)
{
	struct span script = SPAN("set -e\n");

	for (size_t i = 0; i < job->run.count && script.ptr; i++)
		script = arena_printf(&a->arena, "%.*s%.*s\n", SPAN_ARG(script),
				      SPAN_ARG(job->run.at[i]));
	add_all(a, (const char *const[]){"--", "/bin/sh", "-c", NULL});
	add(a, script.ptr);
}

static void fill(struct arguments *a, const struct container *c)
{
	static const char *const apart[] = {BWRAP,
					    "--unshare-all",
					    "--unshare-user",
					    "--die-with-parent",
					    "--new-session",
					    "--cap-drop",
					    "ALL",
					    "--hostname",
					    "job",
					    "--uid",
					    "1000",
					    "--gid",
					    "1000",
					    "--disable-userns",
					    NULL};
	static const char *const places[] = {"--proc", "/proc", "--dev", "/dev", NULL};
	static const char *const scratch[] = {"/tmp", "/dev/shm"};
	/* All that bwrap makes is in memory, and would take as much of it as is written there. */
	static const char *const closed[] = {"--remount-ro", "/dev", "--remount-ro", "/", NULL};

	add_all(a, apart);
	add_system(a, c->job);
	add_network(a, c->job);
	add_all(a, places);
	for (size_t i = 0; i < COUNT_OF(scratch); i++) {
		add(a, "--size");
		add_number(a, c->job->limits.scratch_bytes);
		add_all(a, (const char *const[]){"--perms", "1777", "--tmpfs", NULL});
		add(a, scratch[i]);
	}
	for (size_t i = 0; i < c->mount_count; i++) {
		add(a, "--ro-bind");
		add(a, c->mounts[i].from);
		add(a, c->mounts[i].to);
	}
	add_secrets(a, c);
	if (c->workspace) {
		add(a, "--bind");
		add(a, c->workspace);
		add_all(a, (const char *const[]){"/workspace", "--chdir", "/workspace", NULL});
	}
	add_all(a, closed);
	add_environment(a, c->job);
	add(a, "--seccomp");
	add_fd(a, sandbox_job_filter(NULL));
	if (!a->failed)
		hide(a);
	add_script(a, c->job);
	a->at[a->count] = NULL;
}

/* ---- the child ------------------------------------------------------------------------------- */

/* What is less already, stays. */
static bool set_limit(int what, uint64_t most)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)what, &limit) < 0)
		return false;
	if (limit.rlim_max > most)
		limit.rlim_max = most;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &limit) == 0;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		(void)close(fd);
	return good;
}

/*
 * We are in a namespace of users that is around bwrap's. The kernel counts processes for a user and each
 * namespace, so the limit that is set in here is the job's alone, whatever else runs as the same user.
 */
static bool be_ourselves(uid_t uid, gid_t gid)
{
	char map[64];

	if (!write_file("/proc/self/setgroups", "deny"))
		return false;
	(void)snprintf(map, sizeof(map), "%u %u 1", (unsigned)uid, (unsigned)uid);
	if (!write_file("/proc/self/uid_map", map))
		return false;
	(void)snprintf(map, sizeof(map), "%u %u 1", (unsigned)gid, (unsigned)gid);
	return write_file("/proc/self/gid_map", map);
}

static bool set_limits(const struct pipeline_limits *limits)
{
	return set_limit(RLIMIT_NPROC, (uint64_t)limits->processes + OWN_PROCESSES) &&
	       set_limit(RLIMIT_DATA, limits->memory_bytes) &&
	       set_limit(RLIMIT_FSIZE, limits->file_bytes) && set_limit(RLIMIT_CORE, 0) &&
	       set_limit(RLIMIT_NOFILE, OPEN_FILES_MAX);
}

struct child {
	const char *const *argv;
	const struct container *container; /* NULL: outside of any */
	const struct cgroup *group;
	const int *fds; /* kept open beside 0, 1 and 2 */
	size_t fd_count;
	int output;
	uid_t uid; /* who we are */
	gid_t gid;
};

/* Root gives up root before all else. */
static bool become(const struct child *child)
{
	uid_t uid = child->container->uid;
	gid_t gid = child->container->gid;

	if (uid == (uid_t)-1)
		return be_ourselves(child->uid, child->gid);
	/* Changing the user hides /proc/self from ourselves. */
	return setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 &&
	       setresuid(uid, uid, uid) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 &&
	       unshare(CLONE_NEWUSER) == 0 && be_ourselves(uid, gid);
}

static bool is_kept(const struct child *child, int fd)
{
	for (size_t i = 0; i < child->fd_count; i++)
		if (child->fds[i] == fd)
			return true;
	return false;
}

/* Everything that is open above 2 and not meant for it. */
static void close_others(const struct child *child)
{
	int highest = 2;

	for (size_t i = 0; i < child->fd_count; i++)
		if (child->fds[i] > highest)
			highest = child->fds[i];
	for (int fd = 3; fd < highest; fd++)
		if (!is_kept(child, fd))
			(void)close(fd);
	(void)syscall(SYS_close_range, (unsigned)highest + 1, ~0U, 0);
}

static void be_child(const struct child *child)
{
	static const char *const none[] = {NULL};
	sigset_t signals;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&signals);
	(void)sigprocmask(SIG_SETMASK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(child->output, 1) < 0 ||
	    dup2(child->output, 2) < 0)
		_exit(126);
	close_others(child);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(126);
	if (child->container && (!cgroup_enter(child->group) || !become(child) ||
				 prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
				 !set_limits(&child->container->job->limits))) {
		(void)dprintf(2, "no container for the job: %s\n", strerrordesc_np(errno));
		_exit(126);
	}
	/* The one who reads our output may have ended before we asked to end with it. */
	if (poll(&(struct pollfd){.fd = 1}, 1, 0) != 0)
		_exit(126);
	execve(child->argv[0], (char *const *)(uintptr_t)child->argv,
	       (char *const *)(uintptr_t)(child->container ? (char *const *)(uintptr_t)none
							   : environ));
	_exit(127);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* False at the end of what is printed. */
static bool read_piece(int from, char *chunk, container_output *output, void *context)
{
	ssize_t n = read(from, chunk, CHUNK_BYTES);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n > 0)
		output(context, span_of(chunk, (size_t)n));
	return n > 0;
}

/*
 * Until the child has ended or time is up. Who holds its output open after that is outside of our
 * reach only when it was run outside of a container: its output is not waited for.
 */
static bool watch(int pid_fd, int from, int64_t until_ms, container_output *output,
		  void *context)
{
	char *chunk = mem_alloc(CHUNK_BYTES);
	bool ended = false, open = true;

	while (chunk && !ended) {
		struct pollfd waits[2] = {{.fd = pid_fd, .events = POLLIN},
					  {.fd = open ? from : -1, .events = POLLIN}};
		int64_t left_ms = until_ms - clock_ms();

		if (left_ms <= 0)
			break;
		if (poll(waits, 2, left_ms > 1000 ? 1000 : (int)left_ms) < 0)
			continue;
		if (waits[1].revents)
			open = read_piece(from, chunk, output, context);
		else
			ended = waits[0].revents != 0;
	}
	/* What is in the pipe still. */
	(void)fcntl(from, F_SETFL, O_NONBLOCK);
	while (chunk && open) {
		ssize_t n = read(from, chunk, CHUNK_BYTES);

		open = n > 0;
		if (open)
			output(context, span_of(chunk, (size_t)n));
	}
	mem_free(chunk);
	return ended;
}

static void reap(pid_t pid, bool ended, struct container_exit *how)
{
	int status = 0;

	if (!ended)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*how = (struct container_exit){.status = -1, .timed_out = !ended};
	if (ended && WIFEXITED(status))
		how->status = WEXITSTATUS(status);
	else if (ended && WIFSIGNALED(status))
		how->status = 128 + WTERMSIG(status);
}

/*
 * bwrap is the first process of a namespace of processes: when it has ended, by itself or killed, the
 * kernel has ended all the others before we hear of it. Root need not have a namespace of users for
 * that, and gives up root first; the others get it here.
 */
static pid_t start(struct child *child)
{
	long flags = SIGCHLD;

	child->uid = geteuid();
	child->gid = getegid();
	if (child->container)
		flags |= CLONE_NEWPID;
	if (child->container && child->container->uid == (uid_t)-1)
		flags |= CLONE_NEWUSER;
	/* As fork() does it, which has no flags; there are no other threads. */
	return (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
}

static int run(struct child *child, int64_t timeout_ms, container_output *output, void *context,
	       struct container_exit *how, struct err *err)
{
	int64_t until_ms = clock_ms() + timeout_ms;
	int ends[2], pid_fd;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "cannot run %s", child->argv[0]);
	child->output = ends[1];
	pid = start(child);
	if (pid == 0)
		be_child(child);
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return err_set_errno(err, errno,
				     child->container ? "this system makes no containers"
						      : "cannot run a program");
	}
	pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	reap(pid, pid_fd >= 0 && watch(pid_fd, ends[0], until_ms, output, context), how);
	if (pid_fd >= 0)
		(void)close(pid_fd);
	(void)close(ends[0]);
	return 0;
}

int container_run(const struct container *container, container_output *output, void *context,
		  struct container_exit *how, struct err *err)
{
	struct arguments *a = mem_zalloc(1, sizeof(*a));
	uint64_t total_bytes = container->job->limits.total_bytes;
	struct cgroup group = {.folder = ""};
	struct child child = {.container = container, .group = &group};
	int result;

	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory");
	arena_init(&a->arena, (size_t)16 << 20, 16384);
	fill(a, container);
	child.argv = a->at;
	child.fds = a->fds;
	child.fd_count = a->fd_count;
	if (access(BWRAP, X_OK) < 0)
		result = err_set(err, ERR_NOT_FOUND,
				 "bubblewrap (%s) is needed to run jobs, and is not there",
				 BWRAP);
	else if (a->failed)
		result = err_set(err, ERR_MEMORY, "out of memory, or of descriptors");
	else if (total_bytes > 0 && cgroup_make(&group, total_bytes, err) < 0)
		result = -1;
	else
		result = run(&child, (int64_t)container->job->limits.timeout_ms, output,
			     context, how, err);
	cgroup_remove(&group);
	release(a);
	mem_free(a);
	return result;
}

int container_run_outside(const char *const *argv, int64_t timeout_ms, container_output *output,
			  void *context, struct container_exit *how, struct err *err)
{
	struct child child = {.argv = argv};

	return run(&child, timeout_ms, output, context, how, err);
}

/* ---- is it possible? ------------------------------------------------------------------------- */

static void keep_text(void *context, struct span bytes)
{
	(void)buf_append(context, bytes);
}

int container_try(uid_t uid, gid_t gid, struct err *err)
{
	struct span line = SPAN("exit 0");
	struct pipeline_job job = {.run = {&line, 1},
				   .image = SPAN("host"),
				   .limits = {.timeout_ms = TRY_TIMEOUT_MS,
					      .memory_bytes = (uint64_t)1 << 30,
					      .file_bytes = (uint64_t)1 << 20,
					      .scratch_bytes = (uint64_t)1 << 20,
					      .processes = 64}};
	const struct container container = {.job = &job, .uid = uid, .gid = gid};
	struct container_exit how;
	struct buf said;
	int result;

	buf_init(&said, 65536);
	result = container_run(&container, keep_text, &said, &how, err);
	if (result == 0 && (how.timed_out || how.status != 0))
		result = err_set(err, ERR_UNAVAILABLE, "this system makes no containers: %.*s",
				 SPAN_ARG(span_trim(buf_span(&said))));
	buf_release(&said);
	return result;
}
