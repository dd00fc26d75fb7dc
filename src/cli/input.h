/* input.h - files that commands read as a whole. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file to `to`, up to its maximum; "-" is standard input. 0, or -1 with *err. */
int input_read(const char *name, struct buf *to, struct err *err) MUST_CHECK;

#endif
