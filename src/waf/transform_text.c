/* White space, comments, command lines and paths. */
#include "base/compiler.h"
#include "waf/transform_scan.h"

static bool is_cmd_space(byte c)
{
	return c == ' ' || c == ',' || c == ';' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_cmd_dropped(byte c)
{
	return c == '"' || c == '\'' || c == '\\' || c == '^';
}

size_t transform_cmd_line(const byte *in, size_t len, byte *out)
{
	bool space = false; /* the last byte written is a space */
	size_t o = 0;

	for (size_t i = 0; i < len; i++) {
		byte c = in[i];

		if (is_cmd_dropped(c))
			continue;
		if (is_cmd_space(c)) {
			if (!space)
				out[o++] = ' ';
			space = true;
			continue;
		}
		if (space && (c == '/' || c == '('))
			o--;
		out[o++] = (byte)ascii_lower((char)c);
		space = false;
	}
	return o;
}

size_t transform_cmd_line_first(const byte *in, size_t len)
{
	static const struct byte_range single[] = {{'A', 'Z'}, {'"', '"'},   {'\'', '\''},
						   {',', ','}, {';', ';'},   {'\\', '\\'},
						   {'^', '^'}, {'\t', '\n'}, {'\r', '\r'}};
	static const struct byte_range second[2] = {{'/', '/'}, {'(', '('}};

	return scan_pairs(in, len, single, COUNT_OF(single), second);
}

size_t transform_compress_whitespace(const byte *in, size_t len, byte *out)
{
	bool space = false;
	size_t o = 0;

	for (size_t i = 0; i < len; i++) {
		if (!is_space(in[i]))
			out[o++] = in[i];
		else if (!space)
			out[o++] = ' ';
		space = is_space(in[i]);
	}
	return o;
}

size_t transform_compress_whitespace_first(const byte *in, size_t len)
{
	static const struct byte_range single[] = {{'\t', '\r'}};
	static const struct byte_range second[2] = {{' ', ' '}, {' ', ' '}};

	return scan_pairs(in, len, single, COUNT_OF(single), second);
}

/* A no-break space goes in Latin-1 and in UTF-8: its two bytes go one by one. */
size_t transform_remove_whitespace(const byte *in, size_t len, byte *out)
{
	size_t o = 0;

	for (size_t i = 0; i < len; i++)
		if (!is_space(in[i]) && in[i] != 0xa0 && in[i] != 0xc2)
			out[o++] = in[i];
	return o;
}

size_t transform_remove_nulls(const byte *in, size_t len, byte *out)
{
	size_t o = 0;

	for (size_t i = 0; i < len; i++)
		if (in[i] != 0)
			out[o++] = in[i];
	return o;
}

static bool starts_with(const byte *in, size_t len, size_t i, const char *text)
{
	for (; *text; text++, i++)
		if (i >= len || in[i] != (byte)*text)
			return false;
	return true;
}

/*
 * The byte behind a comment is copied unseen; behind one that ends the value it is a NUL, which
 * makes the result one byte longer than the value can be without it.
 */
size_t transform_remove_comments(const byte *in, size_t len, byte *out)
{
	bool comment = false;
	size_t o = 0, i = 0;

	while (i < len) {
		size_t skip = 0;

		if (!comment) {
			if (in[i] == '#' || starts_with(in, len, i, "--"))
				break;
			skip = starts_with(in, len, i, "/*")	 ? 2
			       : starts_with(in, len, i, "<!--") ? 4
								 : 0;
			if (skip == 0)
				out[o++] = in[i++];
			comment = skip > 0;
		} else {
			size_t close = starts_with(in, len, i, "*/")	? 2
				       : starts_with(in, len, i, "-->") ? 3
									: 0;

			if (close > 0) {
				out[o++] = byte_at(in, len, i + close);
				comment = false;
			}
			skip = close + 1;
		}
		i += skip;
	}
	if (comment)
		out[o++] = ' ';
	return o;
}

/* How long the sign is that starts or ends a comment at in[i]. */
static size_t comment_sign(const byte *in, size_t len, size_t i)
{
	if (starts_with(in, len, i, "/*") || starts_with(in, len, i, "*/"))
		return 2;
	if (starts_with(in, len, i, "<!--"))
		return 4;
	if (starts_with(in, len, i, "-->"))
		return 3;
	if (starts_with(in, len, i, "--"))
		return 2;
	return in[i] == '#';
}

size_t transform_remove_comments_char(const byte *in, size_t len, byte *out)
{
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		size_t skip = comment_sign(in, len, i);

		if (skip == 0)
			out[o++] = in[i++];
		i += skip;
	}
	return o;
}

size_t transform_replace_comments(const byte *in, size_t len, byte *out)
{
	bool comment = false;
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		if (!comment && starts_with(in, len, i, "/*")) {
			comment = true;
			i += 2;
		} else if (!comment) {
			out[o++] = in[i++];
		} else if (starts_with(in, len, i, "*/")) {
			comment = false;
			out[o++] = ' ';
			i += 2;
		} else {
			i++;
		}
	}
	if (comment)
		out[o++] = ' ';
	return o;
}

size_t transform_replace_comments_first(const byte *in, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		i += scan_byte(in + i, len - i, '/');
		if (byte_at(in, len, i + 1) == '*')
			return i;
	}
	return len;
}

/* ---- paths ----------------------------------------------------------------------------------- */

bool transform_path_is_normal(const byte *in, size_t len)
{
	const byte *end = in + len, *slash = in;

	if (len == 0)
		return true;
	if (in[len - 1] == '.')
		return false;
	while ((slash = memchr(slash, '/', (size_t)(end - slash))) != NULL) {
		if (slash > in && (slash[-1] == '/' || slash[-1] == '.'))
			return false;
		slash++;
	}
	return true;
}

/* A path while it is normalised over itself: `to` never passes `from`. */
struct path {
	byte *text;
	size_t last; /* the index of the last byte */
	size_t from;
	size_t to;
	bool windows;
	bool relative;
	bool at_root; /* going up has reached the root, or the start of a relative path */
};

/* What the byte that ends a segment asks for. */
enum path_step { PATH_COPY, PATH_SKIP, PATH_END };

static bool is_slash(const struct path *p, byte c)
{
	return c == '/' || (p->windows && c == '\\');
}

/* Drops ".." of which the second dot has not been copied, and the segment before it. */
static enum path_step path_up(struct path *p)
{
	size_t to;

	if (p->relative && (p->at_root || p->to <= 2)) {
		p->at_root = true;
		return PATH_COPY;
	}
	for (to = p->to > 3 ? p->to - 3 : 0; to > 0 && p->text[to] != '/';)
		to--;
	if (to == 0) {
		p->at_root = true;
		to = !p->relative && p->from == p->last;
	}
	p->to = to;
	return p->from == p->last ? PATH_END : PATH_SKIP;
}

/* At a dot which ends a segment. */
static enum path_step path_dot(struct path *p)
{
	if (p->to > 0 && p->text[p->to - 1] == '.')
		return path_up(p);
	if (p->to > 0 && p->text[p->to - 1] != '/')
		return PATH_COPY;
	if (p->from == p->last)
		return PATH_END;
	if (p->to > 0)
		p->to--;
	return PATH_SKIP;
}

/* Goes to the last of several slashes; false when a slash would start a relative path. */
static bool path_slashes(struct path *p)
{
	while (p->from < p->last && is_slash(p, p->text[p->from + 1]))
		p->from++;
	if (p->relative && p->to == 0) {
		p->from++;
		return false;
	}
	return true;
}

size_t transform_normalise_path(byte *path, size_t len, bool windows)
{
	struct path p = {.text = path, .last = len - 1, .windows = windows};
	bool trailing;

	if (len == 0)
		return 0;
	p.relative = !is_slash(&p, path[0]);
	trailing = is_slash(&p, path[len - 1]);
	while (p.from <= p.last && p.to <= p.last) {
		enum path_step step = PATH_COPY;

		/* Of several backslashes only two are seen here: the last stays what it is. */
		if (windows && path[p.from] == '\\')
			path[p.from] = '/';
		if (windows && p.from < p.last && path[p.from + 1] == '\\')
			path[p.from + 1] = '/';
		if (p.from == p.last || path[p.from + 1] == '/') {
			if (path[p.from] == '.')
				step = path_dot(&p);
			else if (path[p.from] != '/' && p.to > 0)
				p.at_root = false;
		}
		if (step == PATH_END)
			break;
		if (step == PATH_SKIP)
			p.from++;
		if (path[p.from] == '/' && !path_slashes(&p))
			continue;
		path[p.to++] = path[p.from++];
	}
	if (!trailing && p.to > 0 && path[p.to - 1] == '/')
		p.to--;
	return p.to;
}
