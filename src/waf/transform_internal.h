/*
 * transform_internal.h - the single transformations, for transform.c alone. Each takes a value and
 * room for the bound of it, and returns how many bytes it wrote; those that transform_in_place
 * names may write over what they have read. Those with a *_first return where the first change may
 * be, or the length: what stands before is copied by the caller.
 */
#ifndef WAF_TRANSFORM_INTERNAL_H
#define WAF_TRANSFORM_INTERNAL_H

#include "waf/transform.h"

typedef unsigned char byte;

/* What isspace() says in the C locale. */
static inline bool is_space(byte c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool is_digit(byte c)
{
	return c >= '0' && c <= '9';
}

static inline bool is_octal(byte c)
{
	return c >= '0' && c <= '7';
}

static inline bool is_hex(byte c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static inline bool is_alpha(byte c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* Of a hexadecimal digit; something defined for any other byte, which hexDecode depends on. */
static inline byte hex_value(byte c)
{
	return (byte)(c >= 'A' ? (c & 0xdf) - 'A' + 10 : c - '0');
}

static inline byte hex_pair(const byte *two)
{
	return (byte)(hex_value(two[0]) * 16 + hex_value(two[1]));
}

/* s[i], or the NUL that libmodsecurity finds behind each value. */
static inline byte byte_at(const byte *s, size_t len, size_t i)
{
	return i < len ? s[i] : 0;
}

/* transform_decode.c */
size_t transform_url_decode(const byte *in, size_t len, byte *out);
size_t transform_url_decode_uni(const byte *in, size_t len, byte *out,
				const struct unicode_map *map);
size_t transform_html_entity_decode(const byte *in, size_t len, byte *out);
size_t transform_js_decode(const byte *in, size_t len, byte *out);
size_t transform_css_decode(const byte *in, size_t len, byte *out);
size_t transform_escape_seq_decode(const byte *in, size_t len, byte *out);
size_t transform_utf8_to_unicode(const byte *in, size_t len, byte *out);
size_t transform_sql_hex_decode(const byte *in, size_t len, byte *out);

/* transform_encode.c */
size_t transform_base64_decode(const byte *in, size_t len, byte *out);
size_t transform_base64_decode_ext(const byte *in, size_t len, byte *out);
size_t transform_hex_decode(const byte *in, size_t len, byte *out);
size_t transform_hex_encode(const byte *in, size_t len, byte *out);
size_t transform_url_encode(const byte *in, size_t len, byte *out);
size_t transform_length(size_t len, byte *out);

/* transform_text.c */
size_t transform_cmd_line(const byte *in, size_t len, byte *out);
size_t transform_cmd_line_first(const byte *in, size_t len);
size_t transform_compress_whitespace(const byte *in, size_t len, byte *out);
size_t transform_compress_whitespace_first(const byte *in, size_t len);
size_t transform_remove_whitespace(const byte *in, size_t len, byte *out);
size_t transform_remove_nulls(const byte *in, size_t len, byte *out);
size_t transform_remove_comments(const byte *in, size_t len, byte *out);
size_t transform_remove_comments_char(const byte *in, size_t len, byte *out);
size_t transform_replace_comments(const byte *in, size_t len, byte *out);
size_t transform_replace_comments_first(const byte *in, size_t len);
/* True when no part of the path needs a change. */
bool transform_path_is_normal(const byte *in, size_t len);
/* In place, over a copy of the value. */
size_t transform_normalise_path(byte *path, size_t len, bool windows);

#endif
