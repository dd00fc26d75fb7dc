/* transform.c - names and bounds, the fast ways out, and the call of each transformation. */
#include "waf/transform.h"

#include <openssl/evp.h>

#include "parse/base64.h"
#include "waf/transform_scan.h"

/* The index of the first byte that the transformation may change, or len. */
typedef size_t first_fn(const byte *in, size_t len);
/* Writes the whole result and returns its length. */
typedef size_t apply_fn(const byte *in, size_t len, byte *out);

struct transform_info {
	const char *name;
	apply_fn *apply; /* NULL: transform_apply knows */
	first_fn *first; /* NULL: no look is taken first */
	uint32_t any; /* it may change what has one of these classes */
	uint32_t all; /* or all of these; 0: no */
};

static size_t first_url(const byte *in, size_t len)
{
	return scan_first(in, len, (struct byte_range){'%', '%'},
			  (struct byte_range){'+', '+'});
}

static size_t first_ampersand(const byte *in, size_t len)
{
	return scan_byte(in, len, '&');
}

static size_t first_backslash(const byte *in, size_t len)
{
	return scan_byte(in, len, '\\');
}

static size_t first_nul(const byte *in, size_t len)
{
	return scan_byte(in, len, 0);
}

static size_t first_backslash_or_nul(const byte *in, size_t len)
{
	return scan_first(in, len, (struct byte_range){'\\', '\\'}, (struct byte_range){0, 0});
}

static size_t first_high(const byte *in, size_t len)
{
	return scan_first(in, len, (struct byte_range){0x80, 0xff},
			  (struct byte_range){0x80, 0xff});
}

static size_t first_high_or_nul(const byte *in, size_t len)
{
	return scan_first(in, len, (struct byte_range){0x80, 0xff}, (struct byte_range){0, 0});
}

static size_t first_upper(const byte *in, size_t len)
{
	return scan_first(in, len, (struct byte_range){'A', 'Z'},
			  (struct byte_range){'A', 'Z'});
}

static size_t first_lower(const byte *in, size_t len)
{
	return scan_first(in, len, (struct byte_range){'a', 'z'},
			  (struct byte_range){'a', 'z'});
}

static size_t lowercase(const byte *in, size_t len, byte *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (byte)(in[i] + (in[i] >= 'A' && in[i] <= 'Z' ? 0x20 : 0));
	return len;
}

static size_t uppercase(const byte *in, size_t len, byte *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (byte)(in[i] - (in[i] >= 'a' && in[i] <= 'z' ? 0x20 : 0));
	return len;
}

static size_t replace_nulls(const byte *in, size_t len, byte *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = in[i] ? in[i] : ' ';
	return len;
}

static size_t parity_zero(const byte *in, size_t len, byte *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = in[i] & 0x7f;
	return len;
}

/* The top bit is set where the count of bits, the top bit counted as it was, is odd. */
static size_t parity_even(const byte *in, size_t len, byte *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (byte)(__builtin_parity(in[i]) ? in[i] | 0x80 : in[i] & 0x7f);
	return len;
}

static size_t parity_odd(const byte *in, size_t len, byte *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (byte)(__builtin_parity(in[i]) ? in[i] & 0x7f : in[i] | 0x80);
	return len;
}

static size_t base64_encode_value(const byte *in, size_t len, byte *out)
{
	return base64_encode((char *)out, span_of(in, len));
}

static size_t digest(const EVP_MD *type, const byte *in, size_t len, byte *out)
{
	unsigned size = 0;

	return EVP_Digest(in, len, out, &size, type, NULL) == 1 ? size : 0;
}

static size_t md5(const byte *in, size_t len, byte *out)
{
	return digest(EVP_md5(), in, len, out);
}

static size_t sha1(const byte *in, size_t len, byte *out)
{
	return digest(EVP_sha1(), in, len, out);
}

static size_t length(const byte *in, size_t len, byte *out)
{
	(void)in;
	return transform_length(len, out);
}

static size_t normalise_path(const byte *in, size_t len, byte *out)
{
	if (in != out)
		memcpy(out, in, len);
	return transform_normalise_path(out, len, false);
}

static size_t normalise_path_win(const byte *in, size_t len, byte *out)
{
	if (in != out)
		memcpy(out, in, len);
	return transform_normalise_path(out, len, true);
}

#define COMMENTS (CLASS_COMMENT | CLASS_SLASH | CLASS_STAR)
#define PATH (CLASS_SLASH | CLASS_DOT)
#define ALWAYS UINT32_MAX

static const struct transform_info infos[TRANSFORM_COUNT] = {
	[TRANSFORM_NONE] = {"none", NULL, NULL, 0, 0},
	[TRANSFORM_BASE64_DECODE] = {"base64Decode", transform_base64_decode, NULL, CLASS_ANY,
				     0},
	[TRANSFORM_BASE64_DECODE_EXT] = {"base64DecodeExt", transform_base64_decode_ext, NULL,
					 CLASS_ANY, 0},
	[TRANSFORM_BASE64_ENCODE] = {"base64Encode", base64_encode_value, NULL, CLASS_ANY, 0},
	[TRANSFORM_CMD_LINE] = {"cmdLine", transform_cmd_line, transform_cmd_line_first,
				CLASS_UPPER | CLASS_SPACES | CLASS_SHELL, 0},
	[TRANSFORM_COMPRESS_WHITESPACE] = {"compressWhitespace", transform_compress_whitespace,
					   transform_compress_whitespace_first, CLASS_SPACES,
					   0},
	[TRANSFORM_CSS_DECODE] = {"cssDecode", transform_css_decode, first_backslash_or_nul,
				  CLASS_BACKSLASH | CLASS_NUL, 0},
	[TRANSFORM_ESCAPE_SEQ_DECODE] = {"escapeSeqDecode", transform_escape_seq_decode,
					 first_backslash, CLASS_BACKSLASH, 0},
	[TRANSFORM_HEX_DECODE] = {"hexDecode", transform_hex_decode, NULL, CLASS_ANY, 0},
	[TRANSFORM_HEX_ENCODE] = {"hexEncode", transform_hex_encode, NULL, CLASS_ANY, 0},
	[TRANSFORM_HTML_ENTITY_DECODE] = {"htmlEntityDecode", transform_html_entity_decode,
					  first_ampersand, CLASS_AMPERSAND, 0},
	[TRANSFORM_JS_DECODE] = {"jsDecode", transform_js_decode, first_backslash,
				 CLASS_BACKSLASH, 0},
	[TRANSFORM_LENGTH] = {"length", length, NULL, ALWAYS, 0},
	[TRANSFORM_LOWERCASE] = {"lowercase", lowercase, first_upper, CLASS_UPPER, 0},
	[TRANSFORM_MD5] = {"md5", md5, NULL, ALWAYS, 0},
	[TRANSFORM_NORMALISE_PATH] = {"normalisePath", normalise_path, NULL, PATH, 0},
	[TRANSFORM_NORMALISE_PATH_WIN] = {"normalisePathWin", normalise_path_win, NULL,
					  PATH | CLASS_BACKSLASH, 0},
	[TRANSFORM_PARITY_EVEN_7BIT] = {"parityEven7bit", parity_even, NULL, CLASS_ANY, 0},
	[TRANSFORM_PARITY_ODD_7BIT] = {"parityOdd7bit", parity_odd, NULL, CLASS_ANY, 0},
	[TRANSFORM_PARITY_ZERO_7BIT] = {"parityZero7bit", parity_zero, first_high, CLASS_HIGH,
					0},
	[TRANSFORM_REMOVE_COMMENTS] = {"removeComments", transform_remove_comments, NULL,
				       COMMENTS, 0},
	[TRANSFORM_REMOVE_COMMENTS_CHAR] = {"removeCommentsChar",
					    transform_remove_comments_char, NULL, COMMENTS, 0},
	[TRANSFORM_REMOVE_NULLS] = {"removeNulls", transform_remove_nulls, first_nul, CLASS_NUL,
				    0},
	[TRANSFORM_REMOVE_WHITESPACE] = {"removeWhitespace", transform_remove_whitespace, NULL,
					 CLASS_SPACES | CLASS_HIGH, 0},
	[TRANSFORM_REPLACE_COMMENTS] = {"replaceComments", transform_replace_comments,
					transform_replace_comments_first, 0,
					CLASS_SLASH | CLASS_STAR},
	[TRANSFORM_REPLACE_NULLS] = {"replaceNulls", replace_nulls, first_nul, CLASS_NUL, 0},
	[TRANSFORM_SHA1] = {"sha1", sha1, NULL, ALWAYS, 0},
	[TRANSFORM_SQL_HEX_DECODE] = {"sqlHexDecode", transform_sql_hex_decode, NULL, CLASS_ANY,
				      0},
	[TRANSFORM_TRIM] = {"trim", NULL, NULL, CLASS_SPACES, 0},
	[TRANSFORM_TRIM_LEFT] = {"trimLeft", NULL, NULL, CLASS_SPACES, 0},
	[TRANSFORM_TRIM_RIGHT] = {"trimRight", NULL, NULL, CLASS_SPACES, 0},
	[TRANSFORM_UPPERCASE] = {"uppercase", uppercase, first_lower, CLASS_ANY, 0},
	[TRANSFORM_URL_DECODE] = {"urlDecode", transform_url_decode, first_url, CLASS_URL, 0},
	[TRANSFORM_URL_DECODE_UNI] = {"urlDecodeUni", NULL, first_url, CLASS_URL, 0},
	[TRANSFORM_URL_ENCODE] = {"urlEncode", transform_url_encode, NULL, CLASS_ANY, 0},
	[TRANSFORM_UTF8_TO_UNICODE] = {"utf8toUnicode", transform_utf8_to_unicode,
				       first_high_or_nul, CLASS_HIGH | CLASS_NUL, 0},
};

bool transform_find(struct span name, enum transform *t)
{
	if (span_eq_nocase(name, SPAN("normalizePath")))
		name = SPAN("normalisePath");
	if (span_eq_nocase(name, SPAN("normalizePathWin")))
		name = SPAN("normalisePathWin");
	for (size_t i = 0; i < TRANSFORM_COUNT; i++) {
		if (span_eq_nocase(name, span_cstr(infos[i].name))) {
			*t = (enum transform)i;
			return true;
		}
	}
	return false;
}

const char *transform_name(enum transform t)
{
	return infos[t].name;
}

size_t transform_bound(enum transform t, size_t len)
{
	size_t factor = 1, more = 0;

	if (t == TRANSFORM_UTF8_TO_UNICODE)
		factor = 4;
	else if (t == TRANSFORM_URL_ENCODE)
		factor = 3;
	else if (t == TRANSFORM_HEX_ENCODE)
		factor = 2;
	else if (t == TRANSFORM_BASE64_ENCODE)
		return len > SIZE_MAX / 2 ? SIZE_MAX : base64_encoded_size(len);
	else if (t == TRANSFORM_REMOVE_COMMENTS)
		more = 1;
	else if (t == TRANSFORM_MD5 || t == TRANSFORM_SHA1 || t == TRANSFORM_LENGTH)
		return 20;
	return len > (SIZE_MAX - more) / factor ? SIZE_MAX : len * factor + more;
}

bool transform_in_place(enum transform t)
{
	return t != TRANSFORM_UTF8_TO_UNICODE && t != TRANSFORM_URL_ENCODE &&
	       t != TRANSFORM_HEX_ENCODE && t != TRANSFORM_BASE64_ENCODE &&
	       t != TRANSFORM_MD5 && t != TRANSFORM_SHA1 && t != TRANSFORM_LENGTH &&
	       t != TRANSFORM_REMOVE_COMMENTS;
}

bool transform_may_change(enum transform t, uint32_t classes)
{
	const struct transform_info *info = &infos[t];

	return info->any == ALWAYS || (classes & info->any) != 0 ||
	       (info->all != 0 && (classes & info->all) == info->all);
}

/* ---- applying -------------------------------------------------------------------------------- */

static bool trim(enum transform t, struct span value, struct span *result)
{
	const byte *in = (const byte *)value.ptr;
	size_t from = 0, to = value.len;

	if (t != TRANSFORM_TRIM_LEFT)
		while (to > 0 && is_space(in[to - 1]))
			to--;
	if (t != TRANSFORM_TRIM_RIGHT)
		while (from < to && is_space(in[from]))
			from++;
	*result = span_of(value.ptr + from, to - from);
	return to - from != value.len;
}

bool transform_apply(enum transform t, const struct unicode_map *map, struct span value,
		     char *out, struct span *result)
{
	const struct transform_info *info = &infos[t];
	const byte *in = (const byte *)value.ptr;
	byte *to = (byte *)out;
	size_t first = 0, len;

	*result = value;
	if (t == TRANSFORM_NONE || (value.len == 0 && info->any != ALWAYS))
		return false;
	if (t == TRANSFORM_TRIM || t == TRANSFORM_TRIM_LEFT || t == TRANSFORM_TRIM_RIGHT)
		return trim(t, value, result);
	if (info->first) {
		first = info->first(in, value.len);
		if (first == value.len)
			return false;
		if (in != to)
			memcpy(to, in, first);
	} else if ((t == TRANSFORM_NORMALISE_PATH ||
		    (t == TRANSFORM_NORMALISE_PATH_WIN && !memchr(in, '\\', value.len))) &&
		   transform_path_is_normal(in, value.len)) {
		return false;
	}
	if (t == TRANSFORM_URL_DECODE_UNI)
		len = transform_url_decode_uni(in + first, value.len - first, to + first, map);
	else
		len = info->apply(in + first, value.len - first, to + first);
	*result = span_of(out, first + len);
	return true;
}
