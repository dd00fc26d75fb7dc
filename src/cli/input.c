#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)64 << 10)

static int read_all(int file, const char *name, struct buf *to, struct err *err)
{
	for (;;) {
		ssize_t n;

		if (buf_reserve(to, PIECE_BYTES) < 0)
			return err_set(err, ERR_LIMIT, "'%.200s' is too large", name);
		n = read(file, to->ptr + to->len, PIECE_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "cannot read '%.200s'", name);
		if (n == 0)
			return 0;
		to->len += (size_t)n;
	}
}

int input_read(const char *name, struct buf *to, struct err *err)
{
	bool standard = strcmp(name, "-") == 0;
	int file = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int result;

	if (file < 0)
		return err_set_errno(err, errno, "cannot read '%.200s'", name);
	result = read_all(file, name, to, err);
	if (!standard)
		close(file);
	return result;
}
