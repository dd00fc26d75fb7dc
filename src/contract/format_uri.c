#include "contract/format_uri.h"

#include "parse/address.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* A reference in its five parts (RFC 3986 appendix B); ptr NULL where one is absent. */
struct parts {
	struct span scheme;
	struct span authority;
	struct span path; /* never absent */
	struct span query;
	struct span fragment;
};

/* The length of a scheme at the front, without ':'; 0 when there is none. */
static size_t scheme_length(struct span s)
{
	size_t i = 0;

	if (!s.len || !is_letter(s.ptr[0]))
		return 0;
	while (i < s.len && s.ptr[i] != ':' &&
	       (is_letter(s.ptr[i]) || is_digit(s.ptr[i]) || s.ptr[i] == '+' ||
		s.ptr[i] == '-' || s.ptr[i] == '.'))
		i++;
	return i < s.len && s.ptr[i] == ':' ? i : 0;
}

static struct parts split(struct span s)
{
	struct parts parts = {.scheme = SPAN_NONE};
	size_t scheme = scheme_length(s);
	size_t at = span_find_byte(s, '#');

	if (!s.ptr)
		s.ptr = "";
	if (at < s.len)
		parts.fragment = span_slice(s, at + 1, s.len);
	s = span_slice(s, 0, at);
	at = span_find_byte(s, '?');
	if (at < s.len)
		parts.query = span_slice(s, at + 1, s.len);
	s = span_slice(s, 0, at);
	if (scheme && scheme < s.len) {
		parts.scheme = span_slice(s, 0, scheme);
		s = span_slice(s, scheme + 1, s.len);
	}
	if (span_starts_with(s, SPAN("//"))) {
		s = span_slice(s, 2, s.len);
		at = span_find_byte(s, '/');
		parts.authority = span_slice(s, 0, at);
		s = span_slice(s, at, s.len);
	}
	parts.path = s;
	return parts;
}

/* unreserved and sub-delims (RFC 3986 section 2), and others, each with a bit. */
enum { URI_PLAIN = 1, URI_COLON = 2, URI_SEGMENT = 4, URI_QUESTION = 8 };

static const unsigned char uri_chars[256] = {
	/* clang-format off */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 0, 1, 0, 8,
	4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1,
	0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0,
	/* clang-format on */
};

/* What may stand in a path, and in a query or fragment. */
#define URI_PATH (URI_PLAIN | URI_COLON | URI_SEGMENT)
#define URI_QUERY (URI_PATH | URI_QUESTION)

/* Characters with one of the bits, and escapes. */
static bool only_chars(struct span s, unsigned bits, bool international)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((uri_chars[c] & bits) || (international && c >= 0x80))
			continue;
		if (c != '%' || i + 2 >= s.len || !is_hex(s.ptr[i + 1]) ||
		    !is_hex(s.ptr[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

static bool is_ip_literal(struct span s)
{
	struct address address;
	size_t dot;

	s = span_slice(s, 1, s.len - 1);
	if (s.len && (s.ptr[0] | 0x20) == 'v') {
		dot = span_find_byte(s, '.');
		for (size_t i = 1; i < dot; i++)
			if (!is_hex(s.ptr[i]))
				return false;
		return dot > 1 && dot + 1 < s.len && span_find_byte(s, '%') == s.len &&
		       only_chars(span_slice(s, dot + 1, s.len), URI_PLAIN | URI_COLON, false);
	}
	return span_find_byte(s, ':') < s.len && address_parse(s, &address);
}

static bool is_authority(struct span s, bool international)
{
	size_t at = span_find_byte(s, '@');
	size_t colon;

	if (at < s.len) {
		if (!only_chars(span_slice(s, 0, at), URI_PLAIN | URI_COLON, international))
			return false;
		s = span_slice(s, at + 1, s.len);
	}
	colon = s.len;
	while (colon > 0 && is_digit(s.ptr[colon - 1]))
		colon--;
	if (colon > 0 && s.ptr[colon - 1] == ':')
		s = span_slice(s, 0, colon - 1);
	if (s.len >= 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
		return is_ip_literal(s);
	return only_chars(s, URI_PLAIN, international);
}

bool format_is_uri(struct span text, bool relative, bool international)
{
	struct parts parts = split(text);
	struct span first;

	if (!parts.scheme.ptr && !relative)
		return false;
	if (parts.authority.ptr && !is_authority(parts.authority, international))
		return false;
	/* Without a scheme, a colon in the first segment would make one. */
	first = span_slice(parts.path, 0, span_find_byte(parts.path, '/'));
	if (!parts.scheme.ptr && !parts.authority.ptr && span_find_byte(first, ':') < first.len)
		return false;
	return only_chars(parts.path, URI_PATH, international) &&
	       only_chars(parts.query, URI_QUERY, international) &&
	       only_chars(parts.fragment, URI_QUERY, international);
}

/* -- templates -- */

static bool is_variable(struct span s)
{
	size_t name;
	bool after_dot = true;

	if (s.len && s.ptr[s.len - 1] == '*')
		s = span_slice(s, 0, s.len - 1);
	name = span_find_byte(s, ':');
	if (name < s.len) {
		struct span length = span_slice(s, name + 1, s.len);

		if (!length.len || length.len > 4 || length.ptr[0] == '0')
			return false;
		for (size_t i = 0; i < length.len; i++)
			if (!is_digit(length.ptr[i]))
				return false;
	}
	for (size_t i = 0; i < name; i++) {
		char c = s.ptr[i];

		if (c == '%') {
			if (i + 2 >= name || !is_hex(s.ptr[i + 1]) || !is_hex(s.ptr[i + 2]))
				return false;
			i += 2;
		} else if (c == '.' ? after_dot : !is_letter(c) && !is_digit(c) && c != '_') {
			return false;
		}
		after_dot = c == '.';
	}
	return !after_dot;
}

static bool is_expression(struct span s)
{
	struct span rest;

	if (s.len && s.ptr[0] && strchr("+#./;?&=,!@|", s.ptr[0]))
		s = span_slice(s, 1, s.len);
	if (!s.len)
		return false;
	rest = s;
	while (rest.ptr)
		if (!is_variable(span_cut(&rest, ',')))
			return false;
	return true;
}

bool format_is_uri_template(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '{') {
			size_t end = i + span_find_byte(span_slice(s, i, s.len), '}');

			if (end == s.len || !is_expression(span_slice(s, i + 1, end)))
				return false;
			i = end;
		} else if (c == '%') {
			if (i + 2 >= s.len || !is_hex(s.ptr[i + 1]) || !is_hex(s.ptr[i + 2]))
				return false;
			i += 2;
		} else if ((unsigned char)c <= 0x20 || c == 0x7f || strchr("\"<>\\^`|}", c)) {
			return false;
		}
	}
	return true;
}

/* -- references -- */

/* Removes the last segment of what was written after `start`. */
static void drop_segment(struct buf *to, size_t start)
{
	while (to->len > start && to->ptr[to->len - 1] != '/')
		to->len--;
	if (to->len > start)
		to->len--;
}

/* RFC 3986 section 5.2.4, for a path in one piece, whose output starts at `start` of `to`. */
static void append_path(struct buf *to, struct span path)
{
	size_t start = to->len;

	while (path.len) {
		size_t segment;

		if (span_eq(path, SPAN("/.")) || span_starts_with(path, SPAN("/./"))) {
			path = path.len == 2 ? SPAN("/") : span_slice(path, 2, path.len);
			continue;
		}
		if (span_eq(path, SPAN("/..")) || span_starts_with(path, SPAN("/../"))) {
			path = path.len == 3 ? SPAN("/") : span_slice(path, 3, path.len);
			if (!buf_failed(to))
				drop_segment(to, start);
			continue;
		}
		segment = 1 + span_find_byte(span_slice(path, 1, path.len), '/');
		buf_append(to, span_slice(path, 0, segment));
		path = span_slice(path, segment, path.len);
	}
}

static void append_with(struct buf *to, const char *before, struct span part)
{
	if (!part.ptr)
		return;
	buf_append_cstr(to, before);
	buf_append(to, part);
}

/* A relative path at the place of the base's last segment (RFC 3986 section 5.2.3). */
static void append_merged(struct buf *to, const struct parts *base, struct span path)
{
	size_t last = base->path.len;
	struct buf merged;

	while (last > 0 && base->path.ptr[last - 1] != '/')
		last--;
	buf_init(&merged, base->path.len + path.len + 1);
	if (last == 0 && base->authority.ptr)
		buf_append_byte(&merged, '/');
	buf_append(&merged, span_slice(base->path, 0, last));
	buf_append(&merged, path);
	if (buf_failed(&merged))
		to->failed = true;
	append_path(to, buf_span(&merged));
	buf_release(&merged);
}

void format_uri_resolve(struct buf *to, struct span base, struct span reference,
			struct span *fragment)
{
	struct parts r = split(reference);
	struct parts b = split(base);

	*fragment = r.fragment;
	if (r.scheme.ptr) {
		buf_append(to, r.scheme);
		buf_append_byte(to, ':');
		append_with(to, "//", r.authority);
		append_path(to, r.path);
		append_with(to, "?", r.query);
		return;
	}
	if (b.scheme.ptr) {
		buf_append(to, b.scheme);
		buf_append_byte(to, ':');
	}
	if (r.authority.ptr) {
		append_with(to, "//", r.authority);
		append_path(to, r.path);
		append_with(to, "?", r.query);
		return;
	}
	append_with(to, "//", b.authority);
	if (!r.path.len) {
		buf_append(to, b.path);
		append_with(to, "?", r.query.ptr ? r.query : b.query);
		return;
	}
	if (r.path.ptr[0] == '/')
		append_path(to, r.path);
	else
		append_merged(to, &b, r.path);
	append_with(to, "?", r.query);
}
