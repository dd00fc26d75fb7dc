/* body_internal.h - what the files of body*.c share. */
#ifndef WAF_BODY_INTERNAL_H
#define WAF_BODY_INTERNAL_H

#include "base/compiler.h"
#include "waf/body.h"

/* Marks the body as broken. 0, or -1 when the arena is full. */
int body_fail(struct arena *arena, struct body_error *error, const char *format, ...)
	PRINTF_LIKE(3, 4);

static inline bool body_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- body_xml.c --------------------------------------------------------------------------------- */

struct _xmlDoc;

struct body_xml {
	struct _xmlDoc *document;
	bool well_formed; /* and not too deep */
};

/* ---- body_disposition.c ------------------------------------------------------------------------ */

struct disposition {
	struct span name;
	struct span filename;
	bool invalid_quoting;
	/* Each name and filename in the order in which they come, also before an error. */
	struct body_pairs *names;
	struct body_pairs *filenames;
};

/* More headers of one part than this are an error. */
#define PART_HEADERS_MAX 64

enum disposition_result { DISPOSITION_OK, DISPOSITION_BAD, DISPOSITION_MEMORY };

/*
 * Reads the value of a Content-Disposition field into *d, which keeps what earlier calls found. On
 * DISPOSITION_BAD, *code is the number that libmodsecurity gives to the problem.
 */
enum disposition_result disposition_parse(struct arena *arena, struct span value,
					  struct disposition *d, int *code);

/* The boundary of a Content-Type; flags and problems as libmodsecurity sees them. */
struct boundary {
	struct span
		text; /* empty with `problem` NULL: nothing is parsed, and that is no error */
	bool quoted;
	bool white_space;
	bool missing_semicolon;
	bool error; /* MULTIPART_STRICT_ERROR */
	const char *problem;
};

void boundary_find(struct span content_type, struct boundary *b);

#endif
