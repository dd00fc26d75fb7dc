/* lsp_text.h - inside of supply: messages of the protocol in a stream, and places in texts. */
#ifndef SUPPLY_LSP_TEXT_H
#define SUPPLY_LSP_TEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum lsp_frame {
	LSP_FRAME_MORE, /* no whole message yet */
	LSP_FRAME_MESSAGE,
	LSP_FRAME_BAD, /* no message can be found behind this */
	LSP_FRAME_LARGE, /* longer than the maximum; likewise */
};

/*
 * The first message in `bytes`: its content, and in *taken how many bytes it is with its head
 * ("Content-Length: 12\r\n\r\n"; other fields are passed over, a head has 4096 bytes at most).
 */
enum lsp_frame lsp_frame(struct span bytes, size_t max_bytes, struct span *content,
			 size_t *taken);

/* Lines count from 0, characters in UTF-16 code units, or bytes with `utf8`. */
struct lsp_position {
	uint32_t line;
	uint32_t character;
};

/* The offset of a place in UTF-8 text; behind the end of a line or the text: the end. */
size_t lsp_offset(struct span text, struct lsp_position at, bool utf8);
/* The place of an offset (clamped to the text). */
struct lsp_position lsp_position(struct span text, size_t offset, bool utf8);
/* Where the lines of a text begin, for many places of it. */
struct lsp_lines {
	uint32_t *at;
	uint32_t count; /* 1 at least, once it is made */
};

/* In the arena. False: no memory, or the text has more than 4 GiB. */
bool lsp_lines_make(struct lsp_lines *lines, struct arena *a, struct span text);
/* The n-th line (from 0) without its end; false when there is none. */
bool lsp_lines_get(const struct lsp_lines *lines, struct span text, uint32_t line,
		   size_t *start, size_t *length);
/* As lsp_position. */
struct lsp_position lsp_lines_position(const struct lsp_lines *lines, struct span text,
				       size_t offset, bool utf8);

/* "file:///a/b%20c" -> "/a/b c" into the buffer; false for what is no such address. */
bool lsp_uri_path(struct span uri, struct buf *to);

#endif
