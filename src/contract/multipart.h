/*
 * multipart.h - multipart content (RFC 2046 section 5.1, RFC 7578) as a stream of events: pulled
 * like the tokens of parse/json_token.h, the same whatever the pieces are. Memory is one window of
 * some KiB; the content of parts passes through.
 *
 * Strict where readers disagree, because a service may read what we do not: no preamble or epilogue
 * but a line's end, lines end in CRLF, no transport padding, no folded header lines, no header
 * twice, no backslash in quoted strings, no filename*, no transfer encoding but 7bit, 8bit, binary,
 * no line that begins like a delimiter and is none.
 *
 *	multipart_start(&m, boundary);
 *	multipart_feed(&m, piece);                      // again after each MULTIPART_MORE
 *	multipart_finish(&m);                           // instead, when there is no more
 *	while ((event = multipart_next(&m)) > MULTIPART_END)
 *		consume(event, &m);
 */
#ifndef CONTRACT_MULTIPART_H
#define CONTRACT_MULTIPART_H

#include "base/buf.h"

/* RFC 2046 section 5.1.1. */
#define MULTIPART_BOUNDARY_MAX 70

enum multipart_event {
	MULTIPART_ERROR, /* m->error says why; comes again */
	MULTIPART_MORE, /* feed the next piece, or finish */
	MULTIPART_END, /* all was read */
	MULTIPART_PART, /* a part begins: its header is in m */
	MULTIPART_DATA, /* m->data: some of its content */
	MULTIPART_PART_END,
};

enum multipart_error {
	MULTIPART_OK,
	MULTIPART_SYNTAX, /* not the form of RFC 2046, or not as strict as above */
	MULTIPART_TRUNCATED,
	MULTIPART_HEADER, /* a header that is malformed, there twice, or not allowed */
	MULTIPART_NO_NAME, /* form-data: a part without a name */
	MULTIPART_FILE_NAME, /* a file's name with '/', '\', NUL, control bytes, or "." or ".." */
	MULTIPART_HEADER_LONG, /* limits from here on */
	MULTIPART_MANY_PARTS,
	MULTIPART_MEMORY,
};

struct multipart_limits {
	size_t max_parts;
	size_t max_header_bytes; /* of one part */
};

/* 128 parts, 4 KiB of header. */
#define MULTIPART_LIMITS_DEFAULT                                                               \
	((struct multipart_limits){.max_parts = 128, .max_header_bytes = 4096})

struct multipart {
	/* Of the part; valid until the next call after MULTIPART_PART. */
	struct span name;
	struct span file_name; /* ptr NULL: none */
	struct span content_type; /* ptr NULL: none */
	struct span header; /* all of its lines, each with CRLF but for the last */
	struct span data;
	/* From the start of the content: of the part's delimiter line, or of the last one. */
	uint64_t part_start;
	enum multipart_error error;

	struct multipart_limits limits;
	bool form_data; /* each part needs a name */
	char delimiter[MULTIPART_BOUNDARY_MAX + 4]; /* CRLF -- boundary */
	size_t delimiter_len;
	struct span piece;
	struct buf window;
	size_t at; /* in the window */
	uint64_t window_offset; /* of the window's first byte in the content */
	size_t parts;
	unsigned state;
	bool finished;
};

/* limits NULL: the default. Allocates nothing yet. */
void multipart_init(struct multipart *m, const struct multipart_limits *limits);
void multipart_release(struct multipart *m);
/* Begins a content; false when no boundary can look so. */
bool multipart_start(struct multipart *m, struct span boundary, bool form_data) MUST_CHECK;
/* The next piece, to live until MULTIPART_MORE is returned. */
void multipart_feed(struct multipart *m, struct span piece);
void multipart_finish(struct multipart *m);
enum multipart_event multipart_next(struct multipart *m);
const char *multipart_error_text(enum multipart_error error);

#endif
