/*
 * line_writer.h - lines gathered in memory and written to a file by a thread of its own, so that no
 * worker waits for a disk.
 */
#ifndef GATEWAY_LINE_WRITER_H
#define GATEWAY_LINE_WRITER_H

#include "base/err.h"
#include "base/span.h"

struct line_writer;

struct line_writer_options {
	const char *path; /* appended to, made with mode 0640; NULL: write to `fd` */
	int fd; /* stays the caller's */
	const char *name; /* for messages: "access log" */
};

/* NULL with *err, which names the file. */
struct line_writer *line_writer_new(const struct line_writer_options *options,
				    struct err *err) MUST_CHECK;
/* Writes what is left. NULL is allowed. */
void line_writer_free(struct line_writer *writer);
/* Whole lines, with their ends; any thread. False: memory for 8 MiB of waiting lines is used up. */
bool line_writer_put(struct line_writer *writer, struct span lines);
/* After a rotation: opens the path anew. On failure goes on with the old file. */
int line_writer_reopen(struct line_writer *writer, struct err *err) MUST_CHECK;

#endif
