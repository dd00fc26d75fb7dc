#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/dns.h"
#include "io/offload.h"
#include "io/sandbox.h"
#include "io/stream.h"
#include "io/tls.h"

/* What cannot be undone happens in a child, which ends with the line that went wrong, or 0. */
#define REQUIRE(condition)                                                                     \
	do {                                                                                   \
		if (!(condition))                                                              \
			return __LINE__;                                                       \
	} while (0)
#define SKIPPED 100000

static int in_child(int (*function)(void), int *by_signal)
{
	int fds[2], result = 0, status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		result = function();
		if (write(fds[1], &result, sizeof(result)) != sizeof(result))
			_exit(2);
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &result, sizeof(result)) != sizeof(result))
		result = -1;
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	*by_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return result;
}

static void expect_success(int (*function)(void))
{
	int by_signal;
	int line = in_child(function, &by_signal);

	assert_int_equal(by_signal, 0);
	if (line == SKIPPED)
		skip();
	if (line != 0)
		print_error("line %d\n", line);
	assert_int_equal(line, 0);
}

/* --- root --- */

#define NOBODY 65534

static bool has_no_capabilities(void)
{
	cap_t caps = cap_get_proc();
	cap_t none = cap_init();
	bool result = caps && none && cap_compare(caps, none) == 0;

	cap_free(caps);
	cap_free(none);
	return result;
}

static int drop(void)
{
	struct err err;

	REQUIRE(sandbox_drop_root(NOBODY, NOBODY, &err) == 0);
	REQUIRE(getuid() == NOBODY && geteuid() == NOBODY);
	REQUIRE(getgid() == NOBODY && getegid() == NOBODY);
	REQUIRE(getgroups(0, NULL) == 0);
	REQUIRE(setuid(0) == -1 && setgid(0) == -1);
	REQUIRE(has_no_capabilities());
	REQUIRE(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0);
	REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* Once more is harmless, another user is refused. */
	REQUIRE(sandbox_drop_root(NOBODY, NOBODY, &err) == 0);
	REQUIRE(sandbox_drop_root(NOBODY - 1, NOBODY, &err) == -1);
	REQUIRE(err.code == ERR_DENIED);
	return 0;
}

static void test_root_is_given_up_for_good(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give up root\n");
		skip();
	}
	expect_success(drop);
}

static void test_root_is_no_user_to_become(void **state)
{
	(void)state;
	assert_int_equal(sandbox_drop_root(0, NOBODY, NULL), -1);
	assert_int_equal(sandbox_drop_root(NOBODY, 0, NULL), -1);
}

/* --- paths --- */

static char folder[] = "/tmp/sallyport-sandbox-XXXXXX";
static char inner[4][64]; /* readable/, readable/file, writable/, outside */

static int make_folder(void **state)
{
	static const char *const names[] = {"readable", "readable/file", "writable", "outside"};

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	for (int i = 0; i < 4; i++) {
		snprintf(inner[i], sizeof(inner[i]), "%s/%s", folder, names[i]);
		if (i % 2 == 0)
			mkdir(inner[i], 0700);
		else
			close(open(inner[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(inner[1]);
	unlink(inner[3]);
	rmdir(inner[0]);
	rmdir(inner[2]);
	return rmdir(folder);
}

static int can_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 1;
}

static int restrict_paths(void)
{
	const struct sandbox_path paths[] = {
		{inner[0], SANDBOX_READ, false},
		{inner[2], SANDBOX_WRITE, false},
		{"/nonexistent/folder", SANDBOX_READ, true},
	};
	char made[80], moved[80];
	int before = open(inner[3], O_WRONLY | O_CLOEXEC);
	int level;
	struct err err;

	REQUIRE(sandbox_paths(paths, COUNT_OF(paths), &level, &err) == 0);
	if (level == 0)
		return SKIPPED;
	snprintf(made, sizeof(made), "%s/made", inner[2]);
	snprintf(moved, sizeof(moved), "%s/moved", inner[2]);
	REQUIRE(can_open(inner[1], O_RDONLY) == 1);
	REQUIRE(can_open(inner[1], O_WRONLY) == -EACCES);
	REQUIRE(can_open(inner[3], O_RDONLY) == -EACCES);
	REQUIRE(can_open("/etc/passwd", O_RDONLY) == -EACCES);
	REQUIRE(can_open(made, O_WRONLY | O_CREAT) == 1);
	REQUIRE(rename(made, moved) == 0);
	REQUIRE(can_open(moved, O_WRONLY | O_TRUNC) == 1);
	REQUIRE(unlink(moved) == 0);
	REQUIRE(unlink(inner[1]) == -1);
	/* What is open stays so. */
	REQUIRE(write(before, "x", 1) == 1);
	return 0;
}

static void test_paths_are_restricted(void **state)
{
	(void)state;
	expect_success(restrict_paths);
}

static int ask_for_missing_path(void)
{
	const struct sandbox_path path = {"/nonexistent/folder", SANDBOX_READ, false};
	int level;
	struct err err;
	int result = sandbox_paths(&path, 1, &level, &err);

	if (result == 0 && level == 0)
		return SKIPPED;
	REQUIRE(result == -1);
	REQUIRE(strstr(err.message, path.path));
	/* Nothing is restricted. */
	REQUIRE(can_open("/etc/passwd", O_RDONLY) == 1);
	return 0;
}

static void test_missing_path_is_an_error(void **state)
{
	(void)state;
	expect_success(ask_for_missing_path);
}

/* --- system calls --- */

static int forbid_much(void)
{
	const char *const argv[] = {"true", NULL};
	struct rlimit limit = {100, 100};

	REQUIRE(sandbox_syscalls(SANDBOX_SERVER, SANDBOX_DENIAL_ERROR, NULL) == 0);
	execv("/bin/true", (char *const *)(uintptr_t)argv);
	REQUIRE(errno == EPERM);
	REQUIRE(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == -1 && errno == EPERM);
	REQUIRE(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
	REQUIRE(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) == -1 && errno == EPERM);
	REQUIRE(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM);
	REQUIRE(mount("none", "/tmp", "tmpfs", 0, NULL) == -1 && errno == EPERM);
	REQUIRE(unshare(CLONE_NEWUSER) == -1 && errno == EPERM);
	REQUIRE(setuid(0) == -1 && errno == EPERM);
	REQUIRE(kill(getppid(), 0) == -1 && errno == EPERM);
	REQUIRE(syscall(SYS_tgkill, getppid(), getppid(), 0) == -1 && errno == EPERM);
	REQUIRE(setrlimit(RLIMIT_CORE, &limit) == -1 && errno == EPERM);
	REQUIRE(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 && errno == EPERM);
	REQUIRE(syscall(SYS_bpf, 0, NULL, 0) == -1 && errno == EPERM);
	REQUIRE(syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == EPERM);
	return 0;
}

static void test_server_profile_forbids(void **state)
{
	(void)state;
	expect_success(forbid_much);
}

static int is_killed(void)
{
	REQUIRE(sandbox_syscalls(SANDBOX_SERVER, SANDBOX_DENIAL_KILL, NULL) == 0);
	REQUIRE(getppid() > 0);
	mount("none", "/tmp", "tmpfs", 0, NULL);
	return __LINE__;
}

static void test_denial_may_kill(void **state)
{
	int by_signal;

	(void)state;
	assert_int_equal(in_child(is_killed, &by_signal), -1);
	assert_int_equal(by_signal, SIGSYS);
}

static int parse_only(void)
{
	char byte;
	void *memory;

	REQUIRE(sandbox_syscalls(SANDBOX_PARSER, SANDBOX_DENIAL_ERROR, NULL) == 0);
	memory = mem_alloc((size_t)4 << 20);
	REQUIRE(memory);
	mem_free(memory);
	REQUIRE(can_open("/etc/passwd", O_RDONLY) == -EPERM);
	REQUIRE(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EPERM);
	REQUIRE(syscall(SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0, 0) == -1 &&
		errno == EPERM);
	REQUIRE(kill(getpid(), 0) == -1 && errno == EPERM);
	REQUIRE(read(-1, &byte, 1) == -1 && errno == EBADF);
	return 0;
}

static void test_parser_profile_leaves_little(void **state)
{
	(void)state;
	expect_success(parse_only);
}

#ifndef HAVE_TSAN /* which cannot start threads in a forked child */

/* --- what a server does still works --- */

static struct test_certificate certificate;

struct talk {
	struct stream server, client;
	int done;
};

static void talk_server(void *arg)
{
	struct talk *talk = arg;

	if (stream_handshake(&talk->server, loop_deadline_ms(5000), NULL) == IO_OK &&
	    stream_write(&talk->server, "hello", 5, loop_deadline_ms(5000)) == IO_OK)
		talk->done++;
}

static void talk_client(void *arg)
{
	struct talk *talk = arg;
	char block[8];
	size_t got;

	if (stream_handshake(&talk->client, loop_deadline_ms(5000), NULL) == IO_OK &&
	    stream_read(&talk->client, block, sizeof(block), &got, loop_deadline_ms(5000)) ==
		    IO_OK)
		talk->done++;
}

static int talk_tls(void)
{
	const struct tls_certificate own = {
		.chain = {.pem = span_cstr(certificate.certificate_pem)},
		.key = {.pem = span_cstr(certificate.key_pem)}};
	struct tls_tickets *tickets = tls_tickets_new(0, NULL);
	struct tls_context *server, *client;
	struct talk talk = {.done = 0};
	int fds[2];

	server = tls_server_context_new(&(struct tls_server_options){.certificates = &own,
								     .certificate_count = 1,
								     .tickets = tickets},
					NULL);
	client = tls_client_context_new(&(struct tls_client_options){.insecure = true}, NULL);
	REQUIRE(server && client);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	REQUIRE(stream_init(&talk.server, fds[0], NULL, NULL) == 0);
	REQUIRE(stream_init(&talk.client, fds[1], NULL, NULL) == 0);
	REQUIRE(stream_start_tls(&talk.server, tls_context_ssl(server), true, NULL) == 0);
	REQUIRE(stream_start_tls(&talk.client, tls_context_ssl(client), false, NULL) == 0);
	REQUIRE(fiber_start(talk_server, &talk, NULL) && fiber_start(talk_client, &talk, NULL));
	while (fiber_live_count())
		loop_step(loop_current(), 100);
	REQUIRE(talk.done == 2);
	stream_close(&talk.server);
	stream_close(&talk.client);
	tls_context_unref(server);
	tls_context_unref(client);
	tls_tickets_unref(tickets);
	return 0;
}

struct lookup {
	struct dns *dns;
	struct offload *pool;
	int name_result, job_result;
	enum err_code name_code;
};

static void touch_file(struct offload_job *job)
{
	char path[80];

	(void)job;
	snprintf(path, sizeof(path), "%s/offload", inner[2]);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	unlink(path);
}

static void free_job(struct offload_job *job)
{
	mem_free(job);
}

static void look_up(void *arg)
{
	struct lookup *l = arg;
	struct offload_job *job = mem_alloc(sizeof(*job));
	struct dns_result answer;
	struct err err = {.code = ERR_NONE};

	l->name_result = dns_resolve(l->dns, SPAN("name.test"), 80, loop_deadline_ms(2000),
				     &answer, &err);
	l->name_code = err.code;
	if (!job)
		return;
	offload_job_init(job, touch_file, free_job);
	l->job_result = offload_call(l->pool, job, loop_deadline_ms(5000), NULL);
	if (l->job_result == 0)
		free_job(job);
}

static int look_up_and_offload(void)
{
	struct lookup l = {.name_result = 0, .job_result = -1};

	/* Nobody listens there: the answer is "unavailable", not "denied". */
	l.dns = dns_new(
		&(struct dns_options){.servers = "127.0.0.1:9", .try_ms = 50, .tries = 1},
		NULL);
	l.pool = offload_new("test", 2, 10, NULL);
	REQUIRE(l.dns && l.pool);
	REQUIRE(fiber_start(look_up, &l, NULL));
	while (fiber_live_count())
		loop_step(loop_current(), 100);
	REQUIRE(l.name_result == -1 && l.name_code == ERR_UNAVAILABLE);
	REQUIRE(l.job_result == 0);
	offload_free(l.pool);
	dns_free(l.dns);
	return 0;
}

static int serve_in_sandbox(void)
{
	struct loop *loop;
	int line;

	/* Killed at the first call that is not allowed: none may be needed. */
	REQUIRE(sandbox_syscalls(SANDBOX_SERVER, SANDBOX_DENIAL_KILL, NULL) == 0);
	loop = loop_new(NULL);
	REQUIRE(loop);
	line = talk_tls();
	if (line == 0)
		line = look_up_and_offload();
	loop_free(loop);
	return line;
}

static void test_server_works_in_its_profile(void **state)
{
	(void)state;
	make_certificate(&certificate, TEST_KEY_EC, "x", "DNS:x.test", NULL);
	expect_success(serve_in_sandbox);
	free_certificate(&certificate);
}

static pthread_barrier_t filtered;
static int error_in_thread;

static void *try_in_thread(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&filtered);
	error_in_thread = mount("none", "/tmp", "tmpfs", 0, NULL) == -1 ? errno : 0;
	return NULL;
}

static int filter_after_threads(void)
{
	pthread_t thread;

	pthread_barrier_init(&filtered, NULL, 2);
	REQUIRE(pthread_create(&thread, NULL, try_in_thread, NULL) == 0);
	/* As root too: it is the filter that says no. */
	REQUIRE(sandbox_syscalls(SANDBOX_SERVER, SANDBOX_DENIAL_ERROR, NULL) == 0);
	pthread_barrier_wait(&filtered);
	pthread_join(thread, NULL);
	REQUIRE(error_in_thread == EPERM);
	return 0;
}

static void test_filter_covers_running_threads(void **state)
{
	(void)state;
	expect_success(filter_after_threads);
}

#endif

static int memory_is_hidden(void)
{
	pid_t child;
	int status;

	REQUIRE(sandbox_hide_memory(NULL) == 0);
#if !defined(HAVE_ASAN) && !defined(HAVE_TSAN)
	REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	child = fork();
	if (child == 0)
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
#else
	(void)child;
	(void)status;
#endif
	return 0;
}

static void test_nobody_reads_the_memory(void **state)
{
	(void)state;
	expect_success(memory_is_hidden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_is_given_up_for_good),
		cmocka_unit_test(test_root_is_no_user_to_become),
		cmocka_unit_test(test_paths_are_restricted),
		cmocka_unit_test(test_missing_path_is_an_error),
		cmocka_unit_test(test_server_profile_forbids),
		cmocka_unit_test(test_denial_may_kill),
		cmocka_unit_test(test_parser_profile_leaves_little),
		cmocka_unit_test(test_nobody_reads_the_memory),
#ifndef HAVE_TSAN
		cmocka_unit_test(test_server_works_in_its_profile),
		cmocka_unit_test(test_filter_covers_running_threads),
#endif
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
