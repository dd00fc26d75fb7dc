/* fd.h - writing to descriptors that may block: files, pipes. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include "base/compiler.h"
#include "base/span.h"

/* All of it, however often the kernel takes a part or a signal comes. 0, or -1 with errno. */
int fd_write_all(int fd, struct span bytes) MUST_CHECK;

#endif
