#include "servers.h"

#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/store.h"

#define PATIENCE_MS 30000

static void make_folder(struct test_server *server, uid_t uid)
{
	*server = (struct test_server){.folder = "/tmp/sallyport-store.XXXXXX"};
	assert_non_null(mkdtemp(server->folder));
	if (geteuid() == 0)
		assert_int_equal(chown(server->folder, uid, (gid_t)-1), 0);
}

/* PostgreSQL does not run as root. */
static uid_t unprivileged(void)
{
	const struct passwd *nobody = getpwnam("nobody");

	if (geteuid() != 0)
		return geteuid();
	assert_non_null(nobody);
	return nobody->pw_uid;
}

static pid_t start(const struct test_server *server, const char *const *argv)
{
	char *const *args = (char *const *)(uintptr_t)argv;
	char log[96];
	pid_t pid;
	int fd;

	snprintf(log, sizeof(log), "%s/log", server->folder);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (geteuid() == 0 && setuid(unprivileged()) < 0)
		_exit(126);
	if (chdir(server->folder) < 0)
		_exit(126);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execv(args[0], args);
	_exit(127);
}

static void run(const struct test_server *server, const char *const *argv)
{
	pid_t pid = start(server, argv);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void wait_until_it_answers(const struct test_server *server)
{
	const struct store_options options = {.url = span_cstr(server->url),
					      .timeout_ms = 2000};
	int64_t until_ms = clock_ms() + PATIENCE_MS;
	struct store *store;
	struct err err;

	while (!(store = store_open(&options, &err))) {
		if (clock_ms() > until_ms)
			fail_msg("%s: %s", server->url, err.message);
		usleep(50000);
	}
	store_close(store);
}

static bool find_program(struct test_server *server, const char *pattern)
{
	glob_t found;
	bool is_there = glob(pattern, 0, NULL, &found) == 0;

	if (is_there)
		snprintf(server->program, sizeof(server->program), "%s", found.gl_pathv[0]);
	globfree(&found);
	return is_there;
}

void server_sqlite(struct test_server *server)
{
	make_folder(server, geteuid());
	snprintf(server->url, sizeof(server->url), "sqlite:%s/store.db", server->folder);
}

static void start_postgres(struct test_server *server)
{
	char data[96];

	snprintf(data, sizeof(data), "%s/data", server->folder);
	server->pid = start(server, (const char *const[]){server->program, "-D", data, "-k",
							  server->folder, "-c",
							  "listen_addresses=", NULL});
	wait_until_it_answers(server);
}

bool server_postgres(struct test_server *server)
{
	char data[96], initdb[96];

	make_folder(server, unprivileged());
	if (!find_program(server, "/usr/lib/postgresql/*/bin/postgres")) {
		server_remove(server);
		return false;
	}
	snprintf(data, sizeof(data), "%s/data", server->folder);
	snprintf(initdb, sizeof(initdb), "%.*sinitdb", (int)(strlen(server->program) - 8),
		 server->program);
	run(server, (const char *const[]){initdb, "-D", data, "-U", "sallyport", "-A", "trust",
					  "-E", "UTF8", "--no-locale", "-N", NULL});
	snprintf(server->url, sizeof(server->url), "postgres://sallyport@/postgres?host=%s",
		 server->folder);
	start_postgres(server);
	return true;
}

static void start_redis(struct test_server *server, const char *load_delay_us)
{
	char socket[96];

	snprintf(socket, sizeof(socket), "%s/redis.sock", server->folder);
	server->pid = start(
		server, (const char *const[]){server->program, "--port", "0", "--unixsocket",
					      socket, "--dir", server->folder, "--appendonly",
					      "yes", "--appendfsync", "always",
					      "--key-load-delay", load_delay_us, NULL});
	wait_until_it_answers(server);
}

bool server_redis(struct test_server *server)
{
	make_folder(server, unprivileged());
	if (!find_program(server, "/usr/bin/redis-server")) {
		server_remove(server);
		return false;
	}
	snprintf(server->url, sizeof(server->url), "redis://%s/redis.sock", server->folder);
	start_redis(server, "0");
	return true;
}

void server_kill(struct test_server *server)
{
	if (!server->pid)
		return;
	/* PostgreSQL's children end with their parent, but not at once; SIGQUIT waits for them. */
	kill(server->pid, strstr(server->program, "postgres") ? SIGQUIT : SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

void server_restart(struct test_server *server)
{
	if (strstr(server->program, "postgres"))
		start_postgres(server);
	else if (strstr(server->program, "redis"))
		start_redis(server, "0");
}

void server_restart_slowly(struct test_server *server)
{
	start_redis(server, "1000");
}

void server_remove(struct test_server *server)
{
	server_kill(server);
	if (server->folder[0]) {
		pid_t pid = fork();

		if (pid == 0) {
			execl("/bin/rm", "rm", "-rf", server->folder, (char *)NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
	server->folder[0] = '\0';
}
