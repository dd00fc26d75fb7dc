#include "iast/taint.h"

#define VALUE_BYTES_MIN 3
#define HOST_BYTES_MIN 4

uint64_t taint_hash(struct span text, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325 ^ seed;

	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * 0x100000001b3;
	return hash;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' ||
	       (unsigned char)c >= 0x80;
}

static bool has_one_of(struct span text, const char *bytes, size_t count)
{
	for (size_t i = 0; i < text.len; i++)
		if (memchr(bytes, text.ptr[i], count))
			return true;
	return false;
}

/* ---- SQL ------------------------------------------------------------------------------------- */

enum sql_kind { SQL_SPACE, SQL_LITERAL, SQL_WORD, SQL_OTHER };

/* A quoted run; a doubled quote is one within it. */
static size_t quoted_end(struct span s, size_t at, char quote)
{
	for (at++; at < s.len; at++) {
		if (s.ptr[at] != quote)
			continue;
		if (at + 1 == s.len || s.ptr[at + 1] != quote)
			return at + 1;
		at++;
	}
	return s.len;
}

static size_t line_end(struct span s, size_t at)
{
	while (at < s.len && s.ptr[at] != '\n')
		at++;
	return at;
}

static size_t comment_end(struct span s, size_t at)
{
	size_t end = span_find(span_slice(s, at + 2, s.len), SPAN("*/"));

	return end + at + 4 > s.len ? s.len : end + at + 4;
}

/* The token at `at`: its kind, and where it ends. */
static enum sql_kind sql_token(struct span s, size_t at, size_t *end)
{
	char c = s.ptr[at], next = at + 1 < s.len ? s.ptr[at + 1] : '\0';

	*end = at + 1;
	if (is_space(c)) {
		while (*end < s.len && is_space(s.ptr[*end]))
			++*end;
		return SQL_SPACE;
	}
	if (c == '\'' || c == '"' || c == '`') {
		*end = quoted_end(s, at, c);
		return c == '\'' ? SQL_LITERAL : SQL_WORD;
	}
	if ((c == '-' && next == '-') || c == '#') {
		*end = line_end(s, at);
		return SQL_OTHER;
	}
	if (c == '/' && next == '*') {
		*end = comment_end(s, at);
		return SQL_OTHER;
	}
	if (!is_word(c) && !(c == '.' && is_digit(next)))
		return SQL_OTHER;
	while (*end < s.len && (is_word(s.ptr[*end]) || (s.ptr[*end] == '.' && is_digit(c))))
		++*end;
	return is_digit(c) || c == '.' ? SQL_LITERAL : SQL_WORD;
}

/* As the value stands in the text: quotes of it may have been doubled, which is no harm. */
static size_t find_value(struct span text, struct span value, size_t from)
{
	return from + span_find(span_slice(text, from, text.len), value);
}

struct sql_place {
	enum sql_kind kind;
	size_t from, to; /* of the token that the value begins in */
	uint64_t shape;
	bool found;
};

/* Which token a place is in, and the shape of the whole around it. */
static struct sql_place sql_place_of(struct span s, size_t at)
{
	struct sql_place place = {.shape = 1};
	uint64_t number = 0;

	for (size_t i = 0, end; i < s.len; i = end) {
		enum sql_kind kind = sql_token(s, i, &end);

		if (kind == SQL_SPACE) {
			continue;
		}
		number++;
		if (at >= i && at < end) {
			place.kind = kind;
			place.from = i;
			place.to = end;
			place.found = true;
			/* Whatever the word is: where it stands is what counts. */
			place.shape = taint_hash(SPAN("*"), place.shape + number);
		} else if (kind == SQL_LITERAL) {
			place.shape = taint_hash(SPAN("?"), place.shape);
		} else {
			place.shape = taint_hash(span_slice(s, i, end), place.shape);
		}
	}
	return place;
}

static enum taint sql_taint_at(struct span s, struct span value, size_t at,
			       struct sql_place *place)
{
	static const char breaking[] = {'\'', '"', '`', ';', '(', ')', '=', '-', '/', '#'};
	bool breaks = has_one_of(value, breaking, sizeof(breaking));

	*place = sql_place_of(s, at);
	if (!place->found)
		return TAINT_NONE;
	/* Plain words next to each other may be the text's own; a literal is not. */
	if (at + value.len > place->to)
		return breaks || place->kind == SQL_LITERAL ? TAINT_BROKEN : TAINT_NONE;
	if (place->kind == SQL_OTHER)
		return breaks ? TAINT_BROKEN : TAINT_NONE;
	return TAINT_INSIDE;
}

/* The worst of all places where it stands. */
struct taint_result taint_sql(struct span statement, struct span value)
{
	struct taint_result worst = {.taint = TAINT_NONE};

	if (value.len < VALUE_BYTES_MIN)
		return worst;
	for (size_t at = find_value(statement, value, 0); at < statement.len;
	     at = find_value(statement, value, at + 1)) {
		struct sql_place place;
		enum taint taint = sql_taint_at(statement, value, at, &place);

		if (taint > worst.taint)
			worst = (struct taint_result){taint, at, place.shape};
	}
	return worst;
}

size_t taint_sql_masked(struct span s, char *to, size_t size)
{
	size_t len = 0;

	for (size_t i = 0, end; i < s.len && len < size; i = end) {
		enum sql_kind kind = sql_token(s, i, &end);
		struct span text = span_slice(s, i, end);

		if (kind == SQL_SPACE)
			text = SPAN(" ");
		else if (kind == SQL_LITERAL)
			text = SPAN("?");
		if (text.len > size - len)
			text.len = size - len;
		memcpy(to + len, text.ptr, text.len);
		len += text.len;
	}
	return len;
}

/* ---- the shell ------------------------------------------------------------------------------- */

enum quoting { QUOTING_NONE, QUOTING_SINGLE, QUOTING_DOUBLE };

/* How the byte at `at` is quoted. */
static enum quoting quoting_at(struct span line, size_t at)
{
	enum quoting quoting = QUOTING_NONE;

	for (size_t i = 0; i < at; i++) {
		char c = line.ptr[i];

		switch (quoting) {
		case QUOTING_SINGLE:
			if (c == '\'')
				quoting = QUOTING_NONE;
			break;
		case QUOTING_DOUBLE:
			if (c == '\\')
				i++;
			else if (c == '"')
				quoting = QUOTING_NONE;
			break;
		case QUOTING_NONE:
			if (c == '\\')
				i++;
			else if (c == '\'')
				quoting = QUOTING_SINGLE;
			else if (c == '"')
				quoting = QUOTING_DOUBLE;
			break;
		}
	}
	return quoting;
}

struct taint_result taint_shell(struct span line, struct span value)
{
	/* Blanks and patterns make more words of it; these begin or end commands. */
	static const char bare[] = {';', '|', '&',  '$',  '`', '<', '>',
				    '(', ')', '\n', '\'', '"', '\\'};
	static const char in_double[] = {'$', '`', '"'};
	size_t at = find_value(line, value, 0);
	struct taint_result result = {.taint = TAINT_NONE, .at = at};
	uint64_t before;

	if (value.len < VALUE_BYTES_MIN || at == line.len)
		return result;
	before = taint_hash(span_slice(line, 0, at), 2);
	result.shape = taint_hash(span_slice(line, at + value.len, line.len), before);
	switch (quoting_at(line, at)) {
	case QUOTING_NONE:
		result.taint =
			has_one_of(value, bare, sizeof(bare)) ? TAINT_BROKEN : TAINT_INSIDE;
		break;
	case QUOTING_DOUBLE:
		if (has_one_of(value, in_double, sizeof(in_double)))
			result.taint = TAINT_BROKEN;
		break;
	case QUOTING_SINGLE:
		if (span_find_byte(value, '\'') < value.len)
			result.taint = TAINT_BROKEN;
		break;
	}
	return result;
}

/* ---- paths, hosts, pages --------------------------------------------------------------------- */

struct taint_result taint_path(struct span path, struct span value)
{
	size_t at = find_value(path, value, 0);
	struct taint_result result = {.taint = TAINT_NONE, .at = at, .shape = 3};
	bool up = span_find(value, SPAN("../")) < value.len || span_eq(value, SPAN(".."));
	bool whole = value.len && value.ptr[0] == '/' && at == 0 && path.len == value.len;

	if (value.len >= VALUE_BYTES_MIN && at < path.len && (up || whole))
		result.taint = TAINT_BROKEN;
	return result;
}

struct taint_result taint_host(struct span host, struct span value)
{
	struct taint_result result = {.taint = TAINT_NONE, .shape = 4};
	size_t scheme = span_find(value, SPAN("://"));
	struct span rest =
		scheme < value.len ? span_slice(value, scheme + 3, value.len) : value;
	size_t end = 0;

	while (end < rest.len && !memchr("/:?#", rest.ptr[end], 4))
		end++;
	rest.len = end;
	if (host.len >= HOST_BYTES_MIN && span_eq_nocase(rest, host))
		result.taint = TAINT_INSIDE;
	return result;
}

struct taint_result taint_html(struct span page, struct span value)
{
	struct taint_result result = {.taint = TAINT_NONE, .shape = 5};
	size_t opens = span_find_byte(value, '<');

	if (opens + 1 >= value.len || !is_word(value.ptr[opens + 1]))
		return result;
	result.at = find_value(page, value, 0);
	if (result.at < page.len)
		result.taint = TAINT_BROKEN;
	return result;
}
