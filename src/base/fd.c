#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

int fd_write_all(int fd, struct span bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes = span_slice(bytes, (size_t)n, bytes.len);
	}
	return 0;
}
