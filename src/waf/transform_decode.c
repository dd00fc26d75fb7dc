/*
 * Decoders. Each reads from the front and writes no more than it has read, so that it may work in
 * place, but for utf8toUnicode.
 */
#include "waf/transform_internal.h"

/* Full-width forms of ASCII, U+FF01 to U+FF5E, of which `low` is the low byte. */
static byte full_width(byte low, const byte *high)
{
	bool full =
		low > 0x00 && low < 0x5f && (high[0] | 0x20) == 'f' && (high[1] | 0x20) == 'f';

	return (byte)(full ? low + 0x20 : low);
}

size_t transform_url_decode(const byte *in, size_t len, byte *out)
{
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		byte c = in[i];

		if (c == '%' && i + 2 < len && is_hex(in[i + 1]) && is_hex(in[i + 2])) {
			out[o++] = hex_pair(in + i + 1);
			i += 3;
		} else {
			out[o++] = c == '+' ? ' ' : c;
			i++;
		}
	}
	return o;
}

static bool is_hex4(const byte *four)
{
	return is_hex(four[0]) && is_hex(four[1]) && is_hex(four[2]) && is_hex(four[3]);
}

static byte unicode_byte(const byte *four, const struct unicode_map *map)
{
	if (map) {
		int16_t mapped = map->byte[hex_pair(four) << 8 | hex_pair(four + 2)];

		if (mapped != -1)
			return (byte)mapped;
	}
	return full_width(hex_pair(four + 2), four);
}

size_t transform_url_decode_uni(const byte *in, size_t len, byte *out,
				const struct unicode_map *map)
{
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		byte c = in[i];

		if (c != '%') {
			out[o++] = c == '+' ? ' ' : c;
			i++;
		} else if (i + 1 < len && (in[i + 1] | 0x20) == 'u') {
			if (i + 5 < len && is_hex4(in + i + 2)) {
				out[o++] = unicode_byte(in + i + 2, map);
				i += 6;
			} else {
				out[o++] = in[i++];
				out[o++] = in[i++];
			}
		} else if (i + 2 < len && is_hex(in[i + 1]) && is_hex(in[i + 2])) {
			out[o++] = hex_pair(in + i + 1);
			i += 3;
		} else {
			out[o++] = c;
			i++;
		}
	}
	return o;
}

/* The low byte of a number in digits, which stops growing at LONG_MAX as strtol does. */
static byte number_byte(const byte *digits, size_t count, unsigned base)
{
	uint64_t value = 0;

	for (size_t i = 0; i < count; i++) {
		byte digit = hex_value(digits[i]);

		if (value > ((uint64_t)INT64_MAX - digit) / base)
			return 0xff;
		value = value * base + digit;
	}
	return (byte)value;
}

/* The byte of a named entity, or -1. */
static int named_entity(const byte *name, size_t len)
{
	static const struct {
		struct span name;
		byte value;
	} entities[] = {
		{SPAN_INIT("quot"), '"'}, {SPAN_INIT("amp"), '&'},   {SPAN_INIT("lt"), '<'},
		{SPAN_INIT("gt"), '>'},	  {SPAN_INIT("nbsp"), 0xa0},
	};

	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (span_eq_nocase(span_of(name, len), entities[i].name))
			return entities[i].value;
	return -1;
}

/*
 * Looks at what follows an ampersand at in[i]. Returns the byte that it stands for and sets *used
 * to how many it takes, or returns -1 and sets *used to how many bytes are copied as they are.
 */
static int html_entity(const byte *in, size_t len, size_t i, size_t *used)
{
	size_t at = i + 1, first;
	unsigned base = 10;
	int value = -1;

	*used = 1;
	if (at >= len)
		return -1;
	if (in[at] == '#') {
		*used = 2;
		if (++at >= len)
			return -1;
		if ((in[at] | 0x20) == 'x') {
			*used = 3;
			base = 16;
			if (++at >= len)
				return -1;
		}
		first = at;
		while (at < len && (base == 16 ? is_hex(in[at]) : is_digit(in[at])))
			at++;
		if (at > first)
			value = number_byte(in + first, at - first, base);
	} else {
		first = at;
		while (at < len && (is_alpha(in[at]) || is_digit(in[at])))
			at++;
		value = named_entity(in + first, at - first);
		if (value < 0)
			*used = at - first + 1;
	}
	if (value >= 0)
		*used = at - i + (at < len && in[at] == ';');
	return value;
}

size_t transform_html_entity_decode(const byte *in, size_t len, byte *out)
{
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		size_t used;
		int value;

		if (in[i] != '&') {
			out[o++] = in[i++];
			continue;
		}
		value = html_entity(in, len, i, &used);
		if (value >= 0) {
			out[o++] = (byte)value;
			i += used;
		} else {
			for (size_t end = i + used; i < end; i++)
				out[o++] = in[i];
		}
	}
	return o;
}

/* What stands for a control character behind a backslash; 0: nothing. */
static byte control_escape(byte c)
{
	switch (c) {
	case 'a': return '\a';
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'v': return '\v';
	default: return 0;
	}
}

/* The one to three octal digits at in[i]; *count of them. */
static unsigned octal(const byte *in, size_t len, size_t i, size_t *count)
{
	unsigned value = 0;

	for (*count = 0; *count < 3 && is_octal(byte_at(in, len, i + *count)); (*count)++)
		value = value * 8 + (unsigned)(in[i + *count] - '0');
	return value;
}

size_t transform_js_decode(const byte *in, size_t len, byte *out)
{
	size_t o = 0, count;

	for (size_t i = 0; i < len;) {
		byte next = byte_at(in, len, i + 1);

		if (in[i] != '\\' || i + 1 == len) {
			out[o++] = in[i++];
		} else if (i + 5 < len && next == 'u' && is_hex4(in + i + 2)) {
			out[o++] = full_width(hex_pair(in + i + 4), in + i + 2);
			i += 6;
		} else if (i + 3 < len && next == 'x' && is_hex(in[i + 2]) &&
			   is_hex(in[i + 3])) {
			out[o++] = hex_pair(in + i + 2);
			i += 4;
		} else if (is_octal(next)) {
			unsigned value = octal(in, len, i + 1, &count);

			/* A third digit that would make more than a byte is left. */
			if (value > 0377) {
				value >>= 3;
				count = 2;
			}
			out[o++] = (byte)value;
			i += 1 + count;
		} else {
			byte control = control_escape(next);

			out[o++] = control ? control : next;
			i += 2;
		}
	}
	return o;
}

/* One to six hexadecimal digits at in[i] after a backslash; only the last two count. */
static byte css_escape(const byte *in, size_t i, size_t digits)
{
	byte value = digits == 1 ? hex_value(in[i]) : hex_pair(in + i + digits - 2);
	bool check = digits == 4 || (digits == 5 && in[i] == '0') ||
		     (digits == 6 && in[i] == '0' && in[i + 1] == '0');

	return check ? full_width(value, in + i + digits - 4) : value;
}

/*
 * libmodsecurity takes the result as a C string: a NUL, written or decoded, ends it.
 */
size_t transform_css_decode(const byte *in, size_t len, byte *out)
{
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		size_t digits = 0;
		byte value;

		if (in[i] != '\\') {
			value = in[i++];
		} else if (++i == len) {
			break; /* a backslash at the end goes */
		} else {
			while (digits < 6 && is_hex(byte_at(in, len, i + digits)))
				digits++;
			if (digits == 0 && in[i] == '\n') {
				i++;
				continue;
			}
			value = digits > 0 ? css_escape(in, i, digits) : in[i];
			i += digits > 0 ? digits : 1;
			if (digits > 0 && i < len && is_space(in[i]))
				i++;
		}
		if (value == 0)
			break;
		out[o++] = value;
	}
	return o;
}

size_t transform_escape_seq_decode(const byte *in, size_t len, byte *out)
{
	size_t o = 0, count;

	for (size_t i = 0; i < len;) {
		byte next = byte_at(in, len, i + 1);

		if (in[i] != '\\' || i + 1 == len) {
			out[o++] = in[i++];
		} else if (control_escape(next)) {
			out[o++] = control_escape(next);
			i += 2;
		} else if (i + 3 < len && (next | 0x20) == 'x' && is_hex(in[i + 2]) &&
			   is_hex(in[i + 3])) {
			out[o++] = hex_pair(in + i + 2);
			i += 4;
		} else if (is_octal(next)) {
			out[o++] = (byte)octal(in, len, i + 1, &count);
			i += 1 + count;
		} else {
			out[o++] = next; /* also of escapes that are not known */
			i += 2;
		}
	}
	return o;
}

/* "%u" and at least four digits of a character. */
static size_t put_unicode(byte *out, uint32_t character)
{
	static const char digits[] = "0123456789abcdef";
	unsigned count = character > 0xfffff ? 6 : character > 0xffff ? 5 : 4;

	out[0] = '%';
	out[1] = 'u';
	for (unsigned i = 0; i < count; i++)
		out[2 + i] = (byte)digits[character >> (4 * (count - 1 - i)) & 0xf];
	return 2 + count;
}

static bool is_continued(const byte *in, size_t len, size_t i, size_t count)
{
	for (size_t n = 1; n <= count; n++)
		if ((byte_at(in, len, i + n) & 0xc0) != 0x80)
			return false;
	return true;
}

/* The bytes that a character starting with c has, by its first bits; 0: c cannot be a start. */
static size_t utf8_claimed(byte c)
{
	if ((c & 0xe0) == 0xc0)
		return 2;
	if ((c & 0xf0) == 0xe0)
		return 3;
	return (c & 0xf8) == 0xf0 ? 4 : 0;
}

/*
 * A start without the bytes that it claims is dropped, one above U+10FFFF copied and decoded, and
 * one of a surrogate or an overlong form decoded and copied, in libmodsecurity.
 */
size_t transform_utf8_to_unicode(const byte *in, size_t len, byte *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		byte c = in[i];
		size_t size = utf8_claimed(c);
		uint32_t character;

		if (size == 0) {
			if (c != 0)
				out[o++] = c;
			i++;
			continue;
		}
		if (c >= 0xf5)
			out[o++] = c;
		if (!is_continued(in, len, i, size - 1)) {
			i++;
			continue;
		}
		character = c & (0x7fu >> size);
		for (size_t n = 1; n < size; n++)
			character = character << 6 | (in[i + n] & 0x3fu);
		o += put_unicode(out + o, character);
		if (character >= 0xd800 && character <= 0xdfff)
			out[o++] = c;
		if (character < least[size])
			out[o++] = c;
		i += size;
	}
	return o;
}

/*
 * "0x" and pairs of hexadecimal digits. Ends at a NUL; the last byte of the value is not looked at
 * and goes, and the byte after a decoded run is copied unseen.
 */
size_t transform_sql_hex_decode(const byte *in, size_t len, byte *out)
{
	size_t o = 0, i = 0;

	while (i + 1 < len && in[i] != 0) {
		if (in[i] == '0' && (in[i + 1] | 0x20) == 'x' &&
		    is_hex(byte_at(in, len, i + 2)) && is_hex(byte_at(in, len, i + 3))) {
			i += 2;
			while (is_hex(byte_at(in, len, i)) && is_hex(byte_at(in, len, i + 1))) {
				out[o++] = hex_pair(in + i);
				i += 2;
			}
			out[o++] = byte_at(in, len, i);
			i++;
		} else {
			out[o++] = in[i++];
		}
	}
	return strnlen((const char *)out, o);
}

/* ---- code pages ------------------------------------------------------------------------------ */

/* Up to `most` hexadecimal digits, all of the text; -1 for anything else. */
static int32_t hex_number(struct span text, size_t most)
{
	int32_t value = 0;

	if (text.len == 0 || text.len > most)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_hex((byte)text.ptr[i]))
			return -1;
		value = value * 16 + hex_value((byte)text.ptr[i]);
	}
	return value;
}

/* The next word of a text; an empty one at the end. */
static struct span next_word(struct span *text)
{
	size_t from = 0, to;
	struct span word;

	while (from < text->len && is_space((byte)text->ptr[from]))
		from++;
	for (to = from; to < text->len && !is_space((byte)text->ptr[to]);)
		to++;
	word = span_slice(*text, from, to);
	*text = span_slice(*text, to, text->len);
	return word;
}

int unicode_map_parse(struct unicode_map *map, struct span text, unsigned code_page,
		      struct err *err)
{
	/* Full stops of other scripts (RFC 3490 section 3.1). */
	static const uint16_t full_stops[] = {0x3002, 0xff61, 0xff0e, 0x002e};
	bool found = false;
	struct span word;
	uint64_t number;
	size_t pairs = 0;

	for (size_t i = 0; i < 65536; i++)
		map->byte[i] = -1;
	for (size_t i = 0; i < sizeof(full_stops) / sizeof(full_stops[0]); i++)
		map->byte[full_stops[i]] = '.';
	while ((word = next_word(&text)).len > 0) {
		size_t colon = span_find_byte(word, ':');
		int32_t from = hex_number(span_slice(word, 0, colon), 4);
		int32_t to = hex_number(span_slice(word, colon + 1, word.len), 2);

		if (colon == word.len) {
			if (pairs > 0)
				break; /* the next code page */
			if (span_to_u64(word, &number) && number == code_page)
				found = true;
			continue;
		}
		if (!found)
			continue;
		if (from < 0 || to < 0)
			return err_set(err, ERR_SYNTAX, "unicode map: malformed pair \"%.*s\"",
				       SPAN_ARG(word));
		map->byte[from] = (int16_t)to;
		pairs++;
	}
	if (pairs == 0)
		return err_set(err, ERR_NOT_FOUND, "unicode map: no code page %u", code_page);
	return 0;
}
