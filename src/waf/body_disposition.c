/*
 * body_disposition.c - the two header fields that a multipart body depends on: the boundary in the
 * request's Content-Type, and the Content-Disposition of a part.
 */
#include "waf/body_internal.h"

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

static bool is_one_of(char c, const char *set)
{
	return c != 0 && strchr(set, c) != NULL;
}

/* ---- the boundary ------------------------------------------------------------------------------ */

/* How often the word is there with a "=" somewhere behind it. */
static unsigned count_boundary_words(struct span text)
{
	unsigned count = 0;

	for (size_t i = 0; i + 8 <= text.len; i++) {
		struct span rest = span_slice(text, i + 8, text.len);

		if (!span_eq_nocase(span_slice(text, i, i + 8), SPAN("boundary")))
			continue;
		if (span_find_byte(rest, '=') < rest.len)
			count++;
		i += 7;
	}
	return count;
}

/* RFC 2046 section 5.1.1: a space may not be the last one. */
static bool boundary_is_valid(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!is_alnum(c) && !is_one_of(c, "'()+_,-./:=?") &&
		    !(c == ' ' && i + 1 < text.len))
			return false;
	}
	return true;
}

static void problem(struct boundary *b, const char *text)
{
	b->problem = text;
	b->error = true;
}

/* Between the media type and the parameter one semicolon is allowed. */
static bool check_before(struct boundary *b, struct span text)
{
	bool semicolon = false;

	for (size_t i = 0; i < text.len; i++) {
		if (body_is_space(text.ptr[i]))
			continue;
		if (semicolon || text.ptr[i] != ';')
			return false;
		semicolon = true;
	}
	b->missing_semicolon = !semicolon;
	return true;
}

static void check_value(struct boundary *b, struct span value)
{
	size_t semicolon;

	if (value.len > 0 && body_is_space(value.ptr[0]))
		b->white_space = true;
	if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"') {
		value = span_slice(value, 1, value.len - 1);
		b->quoted = value.len > 0;
	} else if (value.len > 0 && (value.ptr[0] == '"' ||
				     (value.len >= 2 && value.ptr[value.len - 1] == '"'))) {
		problem(b, "Invalid boundary in C-T (quote).");
		return;
	}
	if (value.len == 0)
		return;
	if (count_boundary_words(value) > 0) {
		problem(b, "Invalid boundary in C-T (content).");
		return;
	}
	/* A parameter behind it, such as charset=, is tolerated. */
	semicolon = span_find_byte(value, ';');
	if (!boundary_is_valid(value))
		value = span_slice(value, 0, semicolon);
	if (!boundary_is_valid(value))
		problem(b, "Invalid boundary in C-T (characters).");
	else if (value.len == 0)
		problem(b, "Invalid boundary in C-T (empty).");
	else
		b->text = value;
}

void boundary_find(struct span content_type, struct boundary *b)
{
	static const struct span type = SPAN_INIT("multipart/form-data");
	size_t at, equals;
	struct span rest;

	*b = (struct boundary){0};
	if (content_type.len == 0) {
		problem(b, "Content-Type header not available.");
		return;
	}
	if (content_type.len > 1024) {
		problem(b, "Invalid boundary in C-T (length).");
		return;
	}
	if (!span_eq_nocase(span_slice(content_type, 0, type.len), type)) {
		problem(b, "Invalid MIME type.");
		return;
	}
	if (count_boundary_words(content_type) > 1) {
		problem(b, "Multiple boundary parameters in C-T.");
		return;
	}
	at = span_find(content_type, SPAN("boundary"));
	if (at == content_type.len) {
		problem(b, count_boundary_words(content_type) > 0
				   ? "Invalid boundary in C-T (case sensitivity)."
				   : "Boundary not found in C-T.");
		return;
	}
	rest = span_slice(content_type, at + 8, content_type.len);
	equals = span_find_byte(rest, '=');
	if (!check_before(b, span_slice(content_type, type.len, at)) || equals == rest.len) {
		problem(b, "Invalid boundary in C-T (malformed).");
		return;
	}
	for (size_t i = 0; i < equals; i++) {
		if (!body_is_space(rest.ptr[i])) {
			problem(b, "Invalid boundary in C-T (parameter name).");
			return;
		}
		b->white_space = true;
	}
	check_value(b, span_slice(rest, equals + 1, rest.len));
}

/* ---- Content-Disposition ----------------------------------------------------------------------- */

/* A value while it is read: the byte behind its end is a NUL. */
struct text {
	struct span all;
	size_t at;
};

static char peek(const struct text *t)
{
	return t->at < t->all.len ? t->all.ptr[t->at] : 0;
}

static char peek_at(const struct text *t, size_t more)
{
	return t->at + more < t->all.len ? t->all.ptr[t->at + more] : 0;
}

static void skip_blanks(struct text *t)
{
	while (peek(t) == ' ' || peek(t) == '\t')
		t->at++;
}

/* A token as of RFC 2616. */
static bool is_token(char c)
{
	return c > 32 && c < 127 && !is_one_of(c, "()<>@,;:\\\"/[]?=");
}

/*
 * In double or single quotes, of which the latter are wrong but understood by some. A backslash
 * stays where it escapes neither the quote nor itself. 0, or the code of the problem.
 */
static int read_quoted(struct text *t, char *to, struct span *value)
{
	char quote = peek(t);
	size_t len = 0;

	t->at++;
	if (peek(t) == 0)
		return -7;
	while (peek(t) != 0 && peek(t) != quote) {
		if (peek(t) == '\\') {
			if (peek_at(t, 1) == 0)
				return -8;
			if (peek_at(t, 1) == quote || peek_at(t, 1) == '\\')
				t->at++;
		}
		to[len++] = peek(t);
		t->at++;
	}
	t->at++;
	*value = span_of(to, len);
	return 0;
}

/* charset'language'value (RFC 5987 section 3.2), of which only the value counts. */
static int read_extended(struct text *t, struct span *value)
{
	size_t start = t->at;

	while (is_alnum(peek(t)) || is_one_of(peek(t), "!#$%&+-^_`{}~"))
		t->at++;
	if (peek(t) != '\'' || t->at == start)
		return -16;
	t->at++;
	while (peek(t) != 0 && peek(t) != '\'')
		t->at++;
	if (peek(t) != '\'')
		return -17;
	start = ++t->at;
	while (peek(t) != 0 && peek(t) != ';') {
		if (peek(t) == '%') {
			if (!is_hex(peek_at(t, 1)) || !is_hex(peek_at(t, 2)))
				return -18;
			t->at += 3;
		} else if (is_alnum(peek(t)) || is_one_of(peek(t), "!#$&+-.^_`~")) {
			t->at++;
		} else {
			return -19;
		}
	}
	*value = span_slice(t->all, start, t->at);
	return 0;
}

/* A parameter's name up to its value; 0, or the code of the problem. */
static int read_name(struct text *t, struct span *name)
{
	size_t start;

	skip_blanks(t);
	if (peek(t) == 0)
		return -3;
	for (start = t->at;
	     peek(t) != 0 && peek(t) != '=' && peek(t) != ' ' && peek(t) != '\t';)
		t->at++;
	if (peek(t) == 0)
		return -4;
	*name = span_slice(t->all, start, t->at);
	skip_blanks(t);
	if (peek(t) == 0)
		return -5;
	if (peek(t) != '=')
		return -13;
	t->at++;
	skip_blanks(t);
	return peek(t) == 0 ? -6 : 0;
}

static void check_quotes(struct disposition *d, struct span value, char quote)
{
	if (quote != '"' && span_find_byte(value, '\'') < value.len)
		d->invalid_quoting = true;
}

/* Takes a parameter in; 0, the code of the problem, or 1 when memory is short. */
static int take_parameter(struct arena *arena, struct disposition *d, struct span name,
			  struct span value, char quote, struct span *extended)
{
	if (span_eq(name, SPAN("name"))) {
		check_quotes(d, value, quote);
		if (body_pairs_add(d->names, arena, value, value) < 0)
			return 1;
		if (d->name.len > 0)
			return -14;
		d->name = value;
	} else if (span_eq(name, SPAN("filename"))) {
		check_quotes(d, value, quote);
		if (body_pairs_add(d->filenames, arena, value, value) < 0)
			return 1;
		if (d->filename.len > 0)
			return -15;
		d->filename = value;
	} else if (span_eq(name, SPAN("filename*"))) {
		if (extended->len > 0)
			return -20;
		*extended = value;
	} else {
		return -11;
	}
	return 0;
}

/* One parameter and the semicolon behind it; as take_parameter. */
static int read_parameter(struct arena *arena, struct text *t, struct disposition *d,
			  struct span *extended)
{
	struct span name, value;
	char quote = 0;
	int code = read_name(t, &name);

	if (code != 0)
		return code;
	if (span_eq(name, SPAN("filename*"))) {
		code = read_extended(t, &value);
	} else if (peek(t) == '"' || peek(t) == '\'') {
		char *room = arena_alloc(arena, t->all.len);

		if (!room)
			return 1;
		quote = peek(t);
		if (quote == '\'')
			d->invalid_quoting = true;
		code = read_quoted(t, room, &value);
	} else {
		size_t start = t->at;

		while (is_token(peek(t)))
			t->at++;
		value = span_slice(t->all, start, t->at);
	}
	if (code == 0)
		code = take_parameter(arena, d, name, value, quote, extended);
	if (code != 0 || peek(t) == 0)
		return code;
	skip_blanks(t);
	if (peek(t) == 0)
		return 0;
	if (peek(t) != ';') {
		char before = t->all.ptr[t->at - 1];

		if (before == '\'' || before == '"')
			d->invalid_quoting = true;
		return -12;
	}
	t->at++;
	return 0;
}

enum disposition_result disposition_parse(struct arena *arena, struct span value,
					  struct disposition *d, int *code)
{
	static const struct span type = SPAN_INIT("form-data");
	struct text t = {value, type.len};
	struct span extended = SPAN_NONE;

	*code = 0;
	if (!span_starts_with(value, type)) {
		*code = -1;
		return DISPOSITION_BAD;
	}
	skip_blanks(&t);
	if (peek(&t) == 0)
		return DISPOSITION_OK;
	if (peek(&t) != ';')
		*code = -2;
	t.at++;
	while (*code == 0 && peek(&t) != 0)
		*code = read_parameter(arena, &t, d, &extended);
	if (*code == 0 && extended.len > 0 && d->filename.len == 0)
		*code = -21;
	if (*code > 0)
		return DISPOSITION_MEMORY;
	return *code < 0 ? DISPOSITION_BAD : DISPOSITION_OK;
}
