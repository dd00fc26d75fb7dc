#include "cli/output.h"

#include <errno.h>
#include <unistd.h>

static int write_all(int fd, struct span s)
{
	while (s.len) {
		ssize_t n = write(fd, s.ptr, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		s = span_slice(s, (size_t)n, s.len);
	}
	return 0;
}

enum exit_status output_text(struct buf *b)
{
	enum exit_status status = EXIT_STATUS_OK;

	if (buf_failed(b)) {
		fputs("sallyport: out of memory\n", stderr);
		status = EXIT_STATUS_FAILED;
	} else if (write_all(STDOUT_FILENO, buf_span(b)) < 0) {
		fprintf(stderr, "sallyport: standard output: %s\n", strerror(errno));
		status = EXIT_STATUS_FAILED;
	}
	buf_release(b);
	return status;
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
