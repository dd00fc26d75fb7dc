/*
 * transform.h - the transformation functions of SecLang (`t:lowercase`), byte for byte as
 * libmodsecurity 3.0.9 does them, its peculiarities included: verdicts of published rules depend
 * on them. docs/waf.md lists the peculiarities.
 *
 * Most values change by nothing. transform_classes() looks at each byte of a value once and tells
 * which kinds of bytes it has; transform_may_change() then rules out nearly all transformations
 * without a further look:
 *
 *	classes = transform_classes(value);
 *	for each t of the chain:
 *		if (!transform_may_change(t, classes))
 *			continue;
 *		if (!transform_room(&room, transform_bound(t, value.len)))	// the caller's
 *			fail;
 *		if (transform_apply(t, map, value, room, &value))
 *			classes = transform_classes(value);
 */
#ifndef WAF_TRANSFORM_H
#define WAF_TRANSFORM_H

#include "base/err.h"
#include "base/span.h"

enum transform {
	TRANSFORM_NONE, /* as a step it changes nothing; the reader uses it to drop inherited ones */
	TRANSFORM_BASE64_DECODE,
	TRANSFORM_BASE64_DECODE_EXT,
	TRANSFORM_BASE64_ENCODE,
	TRANSFORM_CMD_LINE,
	TRANSFORM_COMPRESS_WHITESPACE,
	TRANSFORM_CSS_DECODE,
	TRANSFORM_ESCAPE_SEQ_DECODE,
	TRANSFORM_HEX_DECODE,
	TRANSFORM_HEX_ENCODE,
	TRANSFORM_HTML_ENTITY_DECODE,
	TRANSFORM_JS_DECODE,
	TRANSFORM_LENGTH,
	TRANSFORM_LOWERCASE,
	TRANSFORM_MD5, /* 16 raw bytes */
	TRANSFORM_NORMALISE_PATH,
	TRANSFORM_NORMALISE_PATH_WIN,
	TRANSFORM_PARITY_EVEN_7BIT,
	TRANSFORM_PARITY_ODD_7BIT,
	TRANSFORM_PARITY_ZERO_7BIT,
	TRANSFORM_REMOVE_COMMENTS,
	TRANSFORM_REMOVE_COMMENTS_CHAR,
	TRANSFORM_REMOVE_NULLS,
	TRANSFORM_REMOVE_WHITESPACE,
	TRANSFORM_REPLACE_COMMENTS,
	TRANSFORM_REPLACE_NULLS,
	TRANSFORM_SHA1, /* 20 raw bytes */
	TRANSFORM_SQL_HEX_DECODE,
	TRANSFORM_TRIM,
	TRANSFORM_TRIM_LEFT,
	TRANSFORM_TRIM_RIGHT,
	TRANSFORM_UPPERCASE,
	TRANSFORM_URL_DECODE,
	TRANSFORM_URL_DECODE_UNI,
	TRANSFORM_URL_ENCODE,
	TRANSFORM_UTF8_TO_UNICODE,
	TRANSFORM_COUNT,
};

/* What %uHHHH stands for in one code page (SecUnicodeMapFile): a byte, or -1 for no entry. */
struct unicode_map {
	int16_t byte[65536];
};

/*
 * Reads the text of a unicode.mapping file: the line that is the number of the code page, and the
 * "HHHH:HH" pairs of the line after it. 0, or -1 when there is no such code page or a pair is
 * malformed.
 */
int unicode_map_parse(struct unicode_map *map, struct span text, unsigned code_page,
		      struct err *err);

/* By its name in SecLang without "t:", in any case, either spelling of normalise; false: none. */
bool transform_find(struct span name, enum transform *t);
/* As documented, "urlDecodeUni". */
const char *transform_name(enum transform t);

/*
 * The most bytes that transform_apply writes for a value of `len` bytes: len for most, len + 1
 * for removeComments, 4 × len for utf8toUnicode, 3 × len for urlEncode, 2 × len for hexEncode,
 * four thirds for base64Encode, 16 and 20 for the digests, 20 for length.
 */
size_t transform_bound(enum transform t, size_t len);
/* True when `out` may be the value's own memory, which has room for the bound. */
bool transform_in_place(enum transform t);

/* Bits for the kinds of bytes in the value; what they mean is the module's own. */
uint32_t transform_classes(struct span value);
/* False: the transformation gives the value as it is. True: it may not, apply it. */
bool transform_may_change(enum transform t, uint32_t classes);

/*
 * Applies one transformation. False: the value stays as it is, nothing was written, and *result
 * is the value. True: *result lies in `out` or, for the trims, is a part of `value`; it may equal
 * the value all the same. `out` has room for the bound, does not overlap the value, or is its
 * memory when transform_in_place says so. `map` is for urlDecodeUni; NULL: none is configured.
 * Cannot fail: the work is linear in value.len and nothing is allocated.
 */
bool transform_apply(enum transform t, const struct unicode_map *map, struct span value,
		     char *out, struct span *result);

#endif
