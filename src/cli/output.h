/* output.h - what commands print: whole texts to standard output, messages to standard error. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/buf.h"
#include "base/err.h"
#include "cli/options.h"

/* Enough for any text that a command makes in memory. */
#define OUTPUT_MAX_BYTES ((size_t)64 * 1024 * 1024)

/*
 * Writes the whole buffer to standard output and releases it. EXIT_STATUS_OK, or
 * EXIT_STATUS_FAILED, said on standard error, when the buffer has failed or cannot be written.
 */
enum exit_status output_text(struct buf *b);

/*
 * Puts the text in place of a file, in one step, with the rights it had (else 0644). -1: ERR_IO,
 * ERR_MEMORY; the file is as it was. Devices and pipes are written to. The buffer stays.
 */
int output_file(const char *path, const struct buf *b, struct err *err) MUST_CHECK;

/* Must messages to this descriptor be coloured? By --color, NO_COLOR and what it is. */
bool output_is_coloured(const struct options *o, int fd);

/* "sallyport: error: <message>" on standard error. */
void output_error(const struct options *o, const struct err *err);

#define OUTPUT_RED "\x1b[31m"
#define OUTPUT_YELLOW "\x1b[33m"
#define OUTPUT_BOLD "\x1b[1m"
#define OUTPUT_PLAIN "\x1b[0m"

#endif
