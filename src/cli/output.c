#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

enum exit_status output_text(struct buf *b)
{
	enum exit_status status = EXIT_STATUS_OK;

	if (buf_failed(b)) {
		fputs("sallyport: out of memory\n", stderr);
		status = EXIT_STATUS_FAILED;
	} else if (fd_write_all(STDOUT_FILENO, buf_span(b)) < 0) {
		fprintf(stderr, "sallyport: standard output: %s\n", strerror(errno));
		status = EXIT_STATUS_FAILED;
	}
	buf_release(b);
	return status;
}

static int write_beside(const char *path, const char *beside, int fd, mode_t mode,
			struct span text, struct err *err)
{
	bool good = fchmod(fd, mode) == 0 && fd_write_all(fd, text) == 0 && fsync(fd) == 0;
	int why = errno;

	if (close(fd) < 0 && good) {
		good = false;
		why = errno;
	}
	if (good && rename(beside, path) == 0)
		return 0;
	why = good ? errno : why;
	(void)unlink(beside);
	return err_set_errno(err, why, "%s", path);
}

int output_file(const char *path, const struct buf *b, struct err *err)
{
	char beside[PATH_MAX];
	struct stat st;
	bool exists = stat(path, &st) == 0;
	int fd;

	if (buf_failed(b))
		return err_set(err, ERR_MEMORY, "%s: out of memory", path);
	if (exists && !S_ISREG(st.st_mode)) {
		int result;

		fd = open(path, O_WRONLY | O_CLOEXEC);
		result = fd < 0 ? -1 : fd_write_all(fd, buf_span(b));
		if (result < 0)
			(void)err_set_errno(err, errno, "%s", path);
		if (fd >= 0)
			(void)close(fd);
		return result;
	}
	if (snprintf(beside, sizeof(beside), "%s.XXXXXX", path) >= (int)sizeof(beside))
		return err_set(err, ERR_LIMIT, "%s: the name is too long", path);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	return write_beside(path, beside, fd, exists ? st.st_mode & 07777 : 0644, buf_span(b),
			    err);
}

bool output_is_coloured(const struct options *o, int fd)
{
	const char *when = o ? options_text(o, "color") : "auto";
	const char *no_color = getenv("NO_COLOR");

	if (strcmp(when, "auto") != 0)
		return strcmp(when, "always") == 0;
	return isatty(fd) && !(no_color && no_color[0]);
}

void output_error(const struct options *o, const struct err *err)
{
	bool coloured = output_is_coloured(o, STDERR_FILENO);

	fprintf(stderr, "sallyport: %serror:%s %s\n", coloured ? OUTPUT_RED : "",
		coloured ? OUTPUT_PLAIN : "", err->message);
}
