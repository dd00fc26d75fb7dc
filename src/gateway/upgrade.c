#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/channel.h"
#include "gateway/notify.h"
#include "gateway/supervisor.h"
#include "guard/limiter.h"

#define TICKETS_VARIABLE "SALLYPORT_TICKETS_FD"
#define LIMITS_VARIABLE "SALLYPORT_LIMITS_FD"
#define TELL_VARIABLE "SALLYPORT_TELL_FD"
#define READY_BYTE 'R'
#define LIMITER_KEYS ((size_t)1 << 20)
#define READY_WITHIN_MS 60000
#define ARGUMENTS_MAX 256
#define COMMAND_LINE_MAX ((size_t)1 << 20)
#define DESCRIPTION_MAX ((size_t)4 << 20)

/* --- the new supervisor --- */

/* The descriptor that the variable names, or -1. */
static int inherited_fd(const char *variable)
{
	uint64_t fd;

	if (!span_to_u64(span_cstr(getenv(variable)), &fd) || fd > INT32_MAX)
		return -1;
	unsetenv(variable);
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	return (int)fd;
}

static void read_tickets(struct supervisor *s, int fd)
{
	char bytes[CHANNEL_BYTES_MAX];
	ssize_t got = pread(fd, bytes, sizeof(bytes), 0);

	if (got < 0 || secret_set(&s->tickets, span_of(bytes, (size_t)got)) < 0)
		log_message(LOG_WARN, "upgrade.tickets", "session ticket keys are lost");
	secret_wipe(bytes, sizeof(bytes));
	close(fd);
}

/* Those that the older program has counted are limited on; one of another version begins anew. */
static int take_limits(struct supervisor *s, int inherited, struct err *err)
{
	struct err why;

	s->limits = inherited;
	if (inherited >= 0 && limiter_file_adopt(inherited, &why) == 0)
		return 0;
	if (inherited >= 0) {
		log_message(LOG_WARN, "upgrade.limits", "rate limits begin anew: %s",
			    why.message);
		close(inherited);
	}
	s->limits = limiter_file_new(LIMITER_KEYS, err);
	return s->limits < 0 ? -1 : 0;
}

int upgrade_inherit(struct supervisor *s, struct err *err)
{
	int tickets = inherited_fd(TICKETS_VARIABLE);

	s->tell_fd = inherited_fd(TELL_VARIABLE);
	if (tickets >= 0)
		read_tickets(s, tickets);
	if (take_limits(s, inherited_fd(LIMITS_VARIABLE), err) < 0)
		return -1;
	return sockets_inherit(&s->sockets, err);
}

void upgrade_tell(struct supervisor *s)
{
	const char byte = READY_BYTE;

	if (s->tell_fd < 0)
		return;
	if (write(s->tell_fd, &byte, 1) != 1)
		log_message(LOG_WARN, "upgrade.not_told", "the older supervisor is gone");
	close(s->tell_fd);
	s->tell_fd = -1;
}

/* --- the old supervisor --- */

/*
 * A name with a folder in it is what the operator wrote, and may be a link that now points to the
 * new program; otherwise the file that is running.
 */
char *upgrade_program(struct err *err)
{
	char path[PATH_MAX];
	char *name = NULL;
	ssize_t len;

	if (strchr(program_invocation_name, '/'))
		name = mem_strdup(span_cstr(program_invocation_name));
	else {
		len = readlink("/proc/self/exe", path, sizeof(path));
		if (len < 0) {
			err_set_errno(err, errno, "/proc/self/exe");
			return NULL;
		}
		name = mem_strdup(span_of(path, (size_t)len));
	}
	if (!name)
		err_set(err, ERR_MEMORY, "no memory for a name");
	return name;
}

static int read_command_line(struct buf *out, struct err *err)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;

	if (fd < 0)
		return err_set_errno(err, errno, "/proc/self/cmdline");
	while (got > 0 && buf_reserve(out, 4096) == 0) {
		got = read(fd, out->ptr + out->len, 4096);
		if (got > 0)
			out->len += (size_t)got;
	}
	close(fd);
	if (got < 0 || buf_failed(out) || out->len == 0 || out->ptr[out->len - 1] != '\0')
		return err_set(err, ERR_IO, "cannot read the command line");
	return 0;
}

static void set_fd_variable(const char *variable, int fd)
{
	char text[16];

	if (fd < 0 || fcntl(fd, F_SETFD, 0) < 0)
		return;
	snprintf(text, sizeof(text), "%d", fd);
	if (setenv(variable, text, 1) < 0)
		_exit(127);
}

/* In the child: does not return. */
static void execute(const struct supervisor *s, struct buf *line, const char *description,
		    int tickets, int tell)
{
	char *argv[ARGUMENTS_MAX + 1];
	size_t count = 0;

	for (size_t at = 0; at < line->len && count < ARGUMENTS_MAX;
	     at += strlen(line->ptr + at) + 1)
		argv[count++] = line->ptr + at;
	argv[count] = NULL;
	sockets_keep_on_exec(&s->sockets);
	set_fd_variable(TICKETS_VARIABLE, tickets);
	set_fd_variable(LIMITS_VARIABLE, s->limits);
	set_fd_variable(TELL_VARIABLE, tell);
	if (setenv(SOCKETS_VARIABLE, description + sizeof(SOCKETS_VARIABLE), 1) == 0)
		execv(s->program, argv);
	log_message(LOG_ERROR, "upgrade.exec_failed", "%s: errno %d", s->program, errno);
	_exit(127);
}

/* Keys are never on disk: in a file in memory, for whoever has the descriptor. */
static int tickets_file(const struct supervisor *s)
{
	int fd;

	if (!s->tickets.len)
		return -1;
	fd = memfd_create("tickets", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, s->tickets.ptr, s->tickets.len) == (ssize_t)s->tickets.len)
		return fd;
	if (fd >= 0)
		close(fd);
	log_message(LOG_WARN, "upgrade.tickets", "session ticket keys cannot be passed on");
	return -1;
}

static int start_program(struct supervisor *s, struct buf *line, struct buf *description,
			 struct err *err)
{
	int ends[2];
	int tickets;
	pid_t pid;

	if (read_command_line(line, err) < 0)
		return -1;
	if (sockets_describe(&s->sockets, description) < 0 || !buf_cstr(description))
		return err_set(err, ERR_MEMORY, "no memory for the list of sockets");
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_set_errno(err, errno, "pipe");
	tickets = tickets_file(s);
	pid = fork();
	if (pid == 0)
		execute(s, line, buf_cstr(description), tickets, ends[1]);
	close(ends[1]);
	if (tickets >= 0)
		close(tickets);
	if (pid < 0) {
		close(ends[0]);
		return err_set_errno(err, errno, "fork");
	}
	s->successor = (struct successor){
		.pid = pid, .ready_fd = ends[0], .kill_at_ms = clock_ms() + READY_WITHIN_MS};
	return 0;
}

void upgrade_start(struct supervisor *s)
{
	struct buf line, description;
	struct err err;

	if (getpid() == 1) {
		log_message(LOG_ERROR, "upgrade.failed",
			    "as first process of a container this one cannot be followed by "
			    "another");
		return;
	}
	supervisor_fetch_tickets(s);
	buf_init(&line, COMMAND_LINE_MAX);
	buf_init(&description, DESCRIPTION_MAX);
	if (start_program(s, &line, &description, &err) < 0)
		log_message(LOG_ERROR, "upgrade.failed", "%s", err.message);
	else
		log_message(LOG_INFO, "upgrade.started", "%s is process %d", s->program,
			    (int)s->successor.pid);
	buf_release(&line);
	buf_release(&description);
}

static void hand_over(struct supervisor *s)
{
	char state[32];

	log_message(LOG_INFO, "upgrade.handed_over", "process %d serves now",
		    (int)s->successor.pid);
	snprintf(state, sizeof(state), "MAINPID=%d\nREADY=1", (int)s->successor.pid);
	notify_send(state);
	s->successor.pid = 0;
	s->handed_over = true;
	s->stopping = true;
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		supervisor_drain(s, &s->children[i]);
}

void upgrade_on_ready(struct supervisor *s)
{
	char byte;
	ssize_t got = read(s->successor.ready_fd, &byte, 1);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(s->successor.ready_fd);
	s->successor.ready_fd = -1;
	if (got == 1 && byte == READY_BYTE && !s->stopping)
		hand_over(s);
	else if (s->successor.pid)
		/* It has ended, or is of no use: its exit is reported when it comes. */
		(void)kill(s->successor.pid, SIGTERM);
}

bool upgrade_on_exit(struct supervisor *s, pid_t pid)
{
	if (pid != s->successor.pid)
		return false;
	log_message(LOG_ERROR, "upgrade.failed",
		    "the new program ended before it was ready; this one goes on");
	if (s->successor.ready_fd >= 0)
		close(s->successor.ready_fd);
	s->successor = (struct successor){.ready_fd = -1};
	return true;
}
