/* uri.c - request targets and authorities (RFC 3986), strict and normalised once. */
#include "parse/uri.h"

#include <arpa/inet.h>

#include "base/compiler.h"
#include "parse/http_scan.h"

/* What a byte is in a path and in a query. One table, so that one load answers both. */
enum {
	PATH_PLAIN = 1, /* may stand in a segment as it is */
	QUERY_PLAIN = 2,
	UNRESERVED = 4, /* its escape is decoded */
	HOST_PLAIN =
		8, /* of a registered name; no '%', and no ',' which joins two Host fields */
};

#define UNR (PATH_PLAIN | QUERY_PLAIN | UNRESERVED | HOST_PLAIN)
#define SUB (PATH_PLAIN | QUERY_PLAIN | HOST_PLAIN)

static const unsigned char classes[256] = {
	/* clang-format off */
	['A'] = UNR, ['B'] = UNR, ['C'] = UNR, ['D'] = UNR, ['E'] = UNR,
	['F'] = UNR, ['G'] = UNR, ['H'] = UNR, ['I'] = UNR, ['J'] = UNR,
	['K'] = UNR, ['L'] = UNR, ['M'] = UNR, ['N'] = UNR, ['O'] = UNR,
	['P'] = UNR, ['Q'] = UNR, ['R'] = UNR, ['S'] = UNR, ['T'] = UNR,
	['U'] = UNR, ['V'] = UNR, ['W'] = UNR, ['X'] = UNR, ['Y'] = UNR,
	['Z'] = UNR,
	['a'] = UNR, ['b'] = UNR, ['c'] = UNR, ['d'] = UNR, ['e'] = UNR,
	['f'] = UNR, ['g'] = UNR, ['h'] = UNR, ['i'] = UNR, ['j'] = UNR,
	['k'] = UNR, ['l'] = UNR, ['m'] = UNR, ['n'] = UNR, ['o'] = UNR,
	['p'] = UNR, ['q'] = UNR, ['r'] = UNR, ['s'] = UNR, ['t'] = UNR,
	['u'] = UNR, ['v'] = UNR, ['w'] = UNR, ['x'] = UNR, ['y'] = UNR,
	['z'] = UNR,
	['0'] = UNR, ['1'] = UNR, ['2'] = UNR, ['3'] = UNR, ['4'] = UNR,
	['5'] = UNR, ['6'] = UNR, ['7'] = UNR, ['8'] = UNR, ['9'] = UNR,
	/* clang-format on */
	['-'] = UNR,
	['.'] = UNR,
	['_'] = UNR,
	['~'] = UNR,
	['!'] = SUB,
	['$'] = SUB,
	['&'] = SUB,
	['\''] = SUB,
	['('] = SUB,
	[')'] = SUB,
	['*'] = SUB,
	['+'] = SUB,
	[';'] = SUB,
	['='] = SUB,
	[','] = PATH_PLAIN | QUERY_PLAIN,
	[':'] = PATH_PLAIN | QUERY_PLAIN,
	['@'] = PATH_PLAIN | QUERY_PLAIN,
	['/'] = QUERY_PLAIN,
	['?'] = QUERY_PLAIN,
	/* Not allowed by RFC 3986, but browsers send them so (WHATWG URL); no reader splits there. */
	['['] = QUERY_PLAIN,
	[']'] = QUERY_PLAIN,
	['{'] = QUERY_PLAIN,
	['}'] = QUERY_PLAIN,
	['|'] = QUERY_PLAIN,
	['^'] = QUERY_PLAIN,
	['`'] = QUERY_PLAIN,
};

static inline unsigned class_of(char c)
{
	return classes[(unsigned char)c];
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at p stands for, or -1. */
static int escape_value(const char *p, const char *end)
{
	int high, low;

	if (end - p < 3)
		return -1;
	high = hex_digit(p[1]);
	low = hex_digit(p[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static enum uri_result bad_byte(char c)
{
	return c == '\\' ? URI_BACKSLASH : URI_BAD_BYTE;
}

/* Where the well-formed UTF-8 of a path stands (RFC 3629): bytes to come, and their range. */
struct utf8 {
	unsigned to_come;
	unsigned char low, high; /* of the next byte */
};

static bool utf8_take(struct utf8 *u, unsigned char byte)
{
	if (u->to_come > 0) {
		if (byte < u->low || byte > u->high)
			return false;
		u->to_come--;
		u->low = 0x80;
		u->high = 0xbf;
		return true;
	}
	if (byte < 0x80)
		return true;
	if (byte < 0xc2 || byte > 0xf4)
		return false;
	u->to_come = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
	/* No overlong forms, no surrogates, nothing above U+10FFFF. */
	u->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
	u->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
	return true;
}

/* A path being written; `out` holds "/" or whole segments, and the segment under way. */
struct path_writer {
	char *out;
	size_t len;
	size_t segment; /* where the segment under way begins: after its '/' */
	struct utf8 utf8;
};

/*
 * The segment under way is complete: dot segments are resolved (RFC 3986 section 5.2.4). Some
 * servers take what follows ';' off a segment before they do so: "..;" is refused.
 */
static enum uri_result end_segment(struct path_writer *w)
{
	const char *s = w->out + w->segment;
	size_t len = w->len - w->segment;
	size_t dots = 0;

	if (len == 0 || s[0] != '.')
		return URI_OK;
	dots = len > 1 && s[1] == '.' ? 2 : 1;
	if (len > dots) {
		struct span rest = span_of(s + dots, len - dots);

		if (rest.ptr[0] == ';' || span_starts_with(rest, SPAN("%3B")))
			return URI_BAD_BYTE;
		return URI_OK;
	}
	w->len = w->segment; /* "." leaves nothing */
	if (dots == 1)
		return URI_OK;
	if (w->segment == 1)
		return URI_ABOVE_ROOT;
	w->len--;
	while (w->out[w->len - 1] != '/')
		w->len--;
	w->segment = w->len;
	return URI_OK;
}

static enum uri_result put_escape(struct path_writer *w, const char *p, const char *end)
{
	static const char digits[] = "0123456789ABCDEF";
	int value = escape_value(p, end);

	if (value < 0)
		return URI_BAD_ESCAPE;
	if (value == 0)
		return URI_NUL;
	if (value == '/' || value == '\\')
		return URI_ENCODED_SLASH;
	if (value < 0x20 || value == 0x7f)
		return URI_CONTROL;
	if (!utf8_take(&w->utf8, (unsigned char)value))
		return URI_BAD_UTF8;
	if (class_of((char)value) & UNRESERVED) {
		w->out[w->len++] = (char)value;
		return URI_OK;
	}
	w->out[w->len++] = '%';
	w->out[w->len++] = digits[value >> 4];
	w->out[w->len++] = digits[value & 15];
	return URI_OK;
}

/* Ends at '?' or `end`, which *at then is. The path starts with '/'. */
static NOINLINE enum uri_result rewrite_path(struct path_writer *w, const char **at,
					     const char *end)
{
	const char *p = *at + 1;
	enum uri_result result;

	w->out[w->len++] = '/';
	w->segment = w->len;
	for (; p != end && *p != '?'; p++) {
		if (*p == '%') {
			result = put_escape(w, p, end);
			if (result != URI_OK)
				return result;
			p += 2;
			continue;
		}
		if (w->utf8.to_come > 0)
			return URI_BAD_UTF8;
		if (*p != '/') {
			if (!(class_of(*p) & PATH_PLAIN))
				return bad_byte(*p);
			w->out[w->len++] = *p;
			continue;
		}
		result = end_segment(w);
		if (result != URI_OK)
			return result;
		if (w->out[w->len - 1] != '/')
			w->out[w->len++] = '/';
		w->segment = w->len;
	}
	if (w->utf8.to_come > 0)
		return URI_BAD_UTF8;
	*at = p;
	return end_segment(w);
}

HOT static enum uri_result check_query(const char *p, const char *end)
{
	for (; p != end; p++) {
		if (LIKELY(class_of(*p) & QUERY_PLAIN))
			continue;
		if (*p != '%')
			return bad_byte(*p);
		switch (escape_value(p, end)) {
		case -1: return URI_BAD_ESCAPE;
		case 0: return URI_NUL;
		}
		p += 2;
	}
	return URI_OK;
}

/*
 * The end of the longest start of the path that is normal beyond doubt: at '?', at `end`, or
 * where a closer look is needed. A '.' after '/' always needs one.
 */
HOT static const char *plain_path(const char *p, const char *end)
{
	while (p != end) {
		if (LIKELY(class_of(*p) & PATH_PLAIN)) {
			p++;
		} else if (*p == '/' && (p + 1 == end || (p[1] != '/' && p[1] != '.'))) {
			p++;
		} else {
			break;
		}
	}
	return p;
}

HOT enum uri_result uri_normalize(struct span target, char *scratch, size_t scratch_size,
				  struct span *path, struct span *query)
{
	struct path_writer writer = {.out = scratch};
	const char *p, *end;
	enum uri_result result;

	if (target.len == 0 || target.ptr[0] != '/')
		return URI_BAD_BYTE;
	end = target.ptr + target.len;
	p = plain_path(target.ptr, end);
	if (LIKELY(p == end || *p == '?')) {
		*path = span_of(target.ptr, (size_t)(p - target.ptr));
	} else {
		if (scratch_size < target.len)
			return URI_TOO_LONG;
		p = target.ptr;
		result = rewrite_path(&writer, &p, end);
		if (result != URI_OK)
			return result;
		*path = span_of(scratch, writer.len);
	}
	*query = SPAN_NONE;
	if (p == end)
		return URI_OK;
	*query = span_of(p + 1, (size_t)(end - p - 1));
	return check_query(p + 1, end);
}

const char *uri_result_text(enum uri_result result)
{
	switch (result) {
	case URI_OK: return "well-formed";
	case URI_BAD_BYTE: return "a character that must be escaped";
	case URI_BAD_ESCAPE: return "'%' without two hexadecimal digits";
	case URI_ENCODED_SLASH: return "an encoded slash or backslash in the path";
	case URI_BACKSLASH: return "a backslash";
	case URI_NUL: return "an encoded NUL";
	case URI_CONTROL: return "an encoded control character in the path";
	case URI_ABOVE_ROOT: return "a path that climbs above the root";
	case URI_BAD_UTF8: return "a path that is not UTF-8";
	case URI_TOO_LONG: return "too long";
	}
	return "unknown";
}

enum uri_result uri_decode(struct span s, bool form, char *to, size_t *len)
{
	const char *p = s.ptr;
	const char *end = s.len ? p + s.len : p;
	size_t n = 0;

	for (; p != end; p++) {
		if (*p == '%') {
			int value = escape_value(p, end);

			if (value < 0)
				return URI_BAD_ESCAPE;
			to[n++] = (char)value;
			p += 2;
		} else {
			to[n++] = form && *p == '+' ? ' ' : *p;
		}
	}
	*len = n;
	return URI_OK;
}

bool uri_query_next(struct span *rest, struct span *name, struct span *value)
{
	while (rest->ptr) {
		struct span pair = span_cut(rest, '&');

		if (pair.len == 0)
			continue;
		*value = pair;
		*name = span_cut(value, '=');
		return true;
	}
	return false;
}

/* The length of an IPv6 literal with its brackets at the start of s, or 0 (section 3.2.2). */
static size_t ip_literal_len(struct span s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t close = span_find_byte(s, ']');

	if (close == s.len || close < 2 || close > sizeof(text))
		return 0;
	memcpy(text, s.ptr + 1, close - 1);
	text[close - 1] = '\0';
	if (memchr(text, '\0', close - 1) || inet_pton(AF_INET6, text, &address) != 1)
		return 0;
	return close + 1;
}

/* 1 to 65535, without leading zeros. */
static bool parse_port(const char *p, const char *end, unsigned *port)
{
	unsigned value = 0;

	if (p == end || end - p > 5 || *p == '0')
		return false;
	for (; p != end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		value = value * 10 + (unsigned)(*p - '0');
	}
	*port = value;
	return value <= 65535;
}

HOT bool uri_split_authority(struct span authority, struct span *host, unsigned *port)
{
	const size_t host_max = 255;
	const char *p = authority.ptr, *end;
	size_t len;

	*port = 0;
	if (authority.len == 0)
		return false;
	end = p + authority.len;
	if (*p == '[') {
		p += ip_literal_len(authority);
	} else {
		/* Shorter ones are no work for blocks of sixteen. */
		if (authority.len >= 16)
			p = http_scan_host(p, p, end);
		while (p != end && (class_of(*p) & HOST_PLAIN))
			p++;
	}
	len = (size_t)(p - authority.ptr);
	if (len == 0 || len > host_max)
		return false;
	*host = span_of(authority.ptr, len);
	return p == end || (*p == ':' && parse_port(p + 1, end, port));
}

/* Every byte may stand in a path, escapes are whole; nothing is normalised. */
static bool is_path(struct span s)
{
	const char *end = s.ptr + s.len;

	for (const char *p = s.ptr; p != end; p++) {
		if (*p == '/' || (class_of(*p) & PATH_PLAIN))
			continue;
		if (*p != '%' || escape_value(p, end) < 0)
			return false;
		p += 2;
	}
	return true;
}

bool uri_parse_absolute(struct span text, struct uri_parts *parts)
{
	size_t colon = span_find_byte(text, ':');
	struct span rest = span_slice(text, colon, text.len);
	struct span host;
	size_t len = 0;
	bool tls;

	parts->scheme = span_slice(text, 0, colon);
	tls = span_eq_nocase(parts->scheme, SPAN("https"));
	if (!tls && !span_eq_nocase(parts->scheme, SPAN("http")))
		return false;
	if (!span_starts_with(rest, SPAN("://")))
		return false;
	rest = span_slice(rest, 3, rest.len);
	while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
		len++;
	if (!uri_split_authority(span_slice(rest, 0, len), &host, &parts->port))
		return false;
	parts->host = host.ptr[0] == '[' ? span_slice(host, 1, host.len - 1) : host;
	if (parts->port == 0)
		parts->port = tls ? 443 : 80;
	parts->query = span_slice(rest, len, rest.len);
	parts->path = span_cut(&parts->query, '?');
	if (!is_path(parts->path))
		return false;
	if (parts->path.len == 0)
		parts->path = SPAN("/");
	return !parts->query.ptr ||
	       check_query(parts->query.ptr, parts->query.ptr + parts->query.len) == URI_OK;
}

struct span uri_origin(struct span text)
{
	size_t end = span_find(text, SPAN("://")) + 3;

	if (end > text.len)
		return SPAN_NONE;
	while (end < text.len && text.ptr[end] != '/' && text.ptr[end] != '?' &&
	       text.ptr[end] != '#')
		end++;
	return span_slice(text, 0, end);
}
