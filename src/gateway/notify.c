#include "gateway/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

void notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	/* The abstract name space. */
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
			     (const struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_message(LOG_WARN, "notify.failed", "%s: errno %d", path, errno);
	if (fd >= 0)
		close(fd);
}

void notify_reloading(void)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)(clock_ns() / 1000));
	notify_send(state);
}

int pid_file_write(const char *path, struct err *err)
{
	char aside[4096];
	FILE *file = NULL;
	int fd, written, closed;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.new", path) >= sizeof(aside))
		return err_set(err, ERR_INVALID, "the pid file's name is too long");
	/* Others may have write access to the folder, and we may be root: never through their link. */
	if (unlink(aside) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "%s", aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0)
		file = fdopen(fd, "w");
	if (!file) {
		err_set_errno(err, errno, "%s", aside);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	written = fprintf(file, "%d\n", (int)getpid());
	closed = fclose(file);
	if (written < 0 || closed != 0 || rename(aside, path) < 0)
		return err_set_errno(err, errno, "%s", path);
	return 0;
}

void pid_file_remove(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	long pid = 0;

	if (!file)
		return;
	if (getline(&line, &size, file) > 0)
		pid = strtol(line, NULL, 10);
	free(line);
	fclose(file);
	if (pid == (long)getpid() && unlink(path) < 0)
		log_message(LOG_WARN, "pid_file.not_removed", "%s: errno %d", path, errno);
}
