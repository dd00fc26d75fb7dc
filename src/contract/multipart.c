#include "contract/multipart.h"

#include "parse/http_field.h"

#define WINDOW_BYTES ((size_t)16 << 10)

enum state {
	STATE_START, /* before the first delimiter */
	STATE_AFTER_DELIMITER,
	STATE_HEADER,
	STATE_CONTENT,
	STATE_EPILOGUE, /* after the last delimiter: nothing, or one CRLF */
	STATE_FAILED,
};

void multipart_init(struct multipart *m, const struct multipart_limits *limits)
{
	*m = (struct multipart){.limits = limits ? *limits : MULTIPART_LIMITS_DEFAULT};
	buf_init(&m->window,
		 WINDOW_BYTES + m->limits.max_header_bytes + MULTIPART_BOUNDARY_MAX + 8);
}

void multipart_release(struct multipart *m)
{
	buf_release(&m->window);
}

/* bchars of RFC 2046 section 5.1.1; a space cannot be the last. */
static bool is_boundary_byte(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       (c != '\0' && strchr("'()+_,-./:=? ", c));
}

bool multipart_start(struct multipart *m, struct span boundary, bool form_data)
{
	if (boundary.len == 0 || boundary.len > MULTIPART_BOUNDARY_MAX ||
	    boundary.ptr[boundary.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < boundary.len; i++)
		if (!is_boundary_byte(boundary.ptr[i]))
			return false;
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.ptr, boundary.len);
	m->delimiter_len = boundary.len + 4;
	m->form_data = form_data;
	m->error = MULTIPART_OK;
	m->piece = SPAN_NONE;
	m->at = 0;
	m->window_offset = 0;
	m->parts = 0;
	m->part_start = 0;
	m->state = STATE_START;
	m->finished = false;
	buf_clear(&m->window);
	return true;
}

void multipart_feed(struct multipart *m, struct span piece)
{
	m->piece = piece;
}

void multipart_finish(struct multipart *m)
{
	m->finished = true;
}

static enum multipart_event fail(struct multipart *m, enum multipart_error error)
{
	m->error = error;
	m->state = STATE_FAILED;
	return MULTIPART_ERROR;
}

static struct span ahead(const struct multipart *m)
{
	return span_slice(buf_span(&m->window), m->at, m->window.len);
}

/* Moves what is left to the window's start and fills it; false when there is nothing to fill in. */
static bool refill(struct multipart *m)
{
	size_t room;

	if (m->piece.len == 0)
		return false;
	m->window_offset += m->at;
	buf_consume(&m->window, m->at);
	m->at = 0;
	room = m->window.max - m->window.len;
	if (room > m->piece.len)
		room = m->piece.len;
	if (buf_append(&m->window, span_slice(m->piece, 0, room)) < 0) {
		(void)fail(m, MULTIPART_MEMORY);
		return true;
	}
	m->piece = span_slice(m->piece, room, m->piece.len);
	return true;
}

/* Not enough is there to go on. */
static enum multipart_event starve(struct multipart *m)
{
	if (!m->finished)
		return MULTIPART_MORE;
	return fail(m, MULTIPART_TRUNCATED);
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool is_plain_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	return true;
}

static bool is_safe_file_name(struct span s)
{
	return is_plain_text(s) && !memchr(s.ptr, '/', s.len) && !memchr(s.ptr, '\\', s.len) &&
	       !span_eq(s, SPAN(".")) && !span_eq(s, SPAN(".."));
}

/* A token or a quoted string without backslashes at the front of *rest. */
static bool take_value(struct span *rest, struct span *value)
{
	size_t end;

	if (rest->len == 0 || rest->ptr[0] != '"') {
		end = span_find_byte(*rest, ';');
		*value = span_trim(span_slice(*rest, 0, end));
		*rest = span_slice(*rest, end, rest->len);
		return http_is_token(*value);
	}
	*rest = span_slice(*rest, 1, rest->len);
	end = span_find_byte(*rest, '"');
	if (end == rest->len)
		return false;
	*value = span_slice(*rest, 0, end);
	*rest = span_trim(span_slice(*rest, end + 1, rest->len));
	return true;
}

static enum multipart_error take_parameter(struct multipart *m, struct span name,
					   struct span value)
{
	struct span *to = NULL;

	if (span_eq_nocase(name, SPAN("name")))
		to = &m->name;
	else if (span_eq_nocase(name, SPAN("filename")))
		to = &m->file_name;
	else
		return MULTIPART_HEADER;
	if (to->ptr || memchr(value.ptr, '\\', value.len))
		return to == &m->file_name && !to->ptr ? MULTIPART_FILE_NAME : MULTIPART_HEADER;
	if (to == &m->file_name && !is_safe_file_name(value))
		return MULTIPART_FILE_NAME;
	if (to == &m->name && !is_plain_text(value))
		return MULTIPART_HEADER;
	*to = value;
	return MULTIPART_OK;
}

/* form-data; name="..."; filename="..." (RFC 7578 section 4.2). */
static enum multipart_error take_disposition(struct multipart *m, struct span value)
{
	struct span rest = value;
	struct span kind = span_trim(span_cut(&rest, ';'));

	if (m->form_data && !span_eq_nocase(kind, SPAN("form-data")))
		return MULTIPART_HEADER;
	while (rest.ptr) {
		struct span name, text;
		enum multipart_error error;
		size_t equals = span_find_byte(rest, '=');

		if (equals == rest.len)
			return MULTIPART_HEADER;
		name = span_trim(span_slice(rest, 0, equals));
		rest = span_trim(span_slice(rest, equals + 1, rest.len));
		if (!take_value(&rest, &text))
			return MULTIPART_HEADER;
		error = take_parameter(m, name, text);
		if (error != MULTIPART_OK)
			return error;
		rest = span_trim(rest);
		if (rest.len == 0)
			break;
		if (rest.ptr[0] != ';')
			return MULTIPART_HEADER;
		rest = span_trim(span_slice(rest, 1, rest.len));
	}
	return MULTIPART_OK;
}

static enum multipart_error take_header(struct multipart *m, struct span line,
					bool *disposition, bool *encoding)
{
	size_t colon = span_find_byte(line, ':');
	struct span name = span_slice(line, 0, colon);
	struct span value = span_trim(span_slice(line, colon + 1, line.len));

	if (colon == line.len || !http_is_token(name) || !http_is_field_value(value))
		return MULTIPART_HEADER;
	if (span_eq_nocase(name, SPAN("content-disposition"))) {
		if (*disposition)
			return MULTIPART_HEADER;
		*disposition = true;
		return take_disposition(m, value);
	}
	if (span_eq_nocase(name, SPAN("content-type"))) {
		if (m->content_type.ptr)
			return MULTIPART_HEADER;
		m->content_type = value;
	} else if (span_eq_nocase(name, SPAN("content-transfer-encoding"))) {
		if (*encoding || (!span_eq_nocase(value, SPAN("binary")) &&
				  !span_eq_nocase(value, SPAN("7bit")) &&
				  !span_eq_nocase(value, SPAN("8bit"))))
			return MULTIPART_HEADER;
		*encoding = true;
	} else if (span_eq_nocase(name, SPAN("content-encoding"))) {
		return MULTIPART_HEADER;
	}
	return MULTIPART_OK;
}

static enum multipart_error take_headers(struct multipart *m, struct span text)
{
	bool disposition = false, encoding = false;

	m->name = m->file_name = m->content_type = SPAN_NONE;
	m->header = text;
	while (text.len > 0) {
		size_t end = span_find(text, SPAN("\r\n"));
		struct span line = span_slice(text, 0, end);
		enum multipart_error error = take_header(m, line, &disposition, &encoding);

		if (error != MULTIPART_OK)
			return error;
		text = span_slice(text, end + 2, text.len);
	}
	return m->form_data && !m->name.ptr ? MULTIPART_NO_NAME : MULTIPART_OK;
}

static enum multipart_event on_header(struct multipart *m)
{
	struct span text = ahead(m);
	size_t end;
	enum multipart_error error;

	/* No header at all: the empty line comes at once. */
	end = span_starts_with(text, SPAN("\r\n")) ? 0 : span_find(text, SPAN("\r\n\r\n")) + 2;
	if (end > text.len) {
		if (text.len > m->limits.max_header_bytes)
			return fail(m, MULTIPART_HEADER_LONG);
		return starve(m);
	}
	if (end > m->limits.max_header_bytes)
		return fail(m, MULTIPART_HEADER_LONG);
	error = take_headers(m, span_slice(text, 0, end));
	if (error != MULTIPART_OK)
		return fail(m, error);
	if (++m->parts > m->limits.max_parts)
		return fail(m, MULTIPART_MANY_PARTS);
	m->at += end + 2;
	m->state = STATE_CONTENT;
	return MULTIPART_PART;
}

/* ---- content --------------------------------------------------------------------------------- */

static enum multipart_event on_content(struct multipart *m)
{
	struct span text = ahead(m);
	struct span delimiter = span_of(m->delimiter, m->delimiter_len);
	size_t at = span_find(text, delimiter);

	if (at == 0 && text.len >= delimiter.len) {
		m->part_start = m->window_offset + m->at + 2;
		m->at += delimiter.len;
		m->state = STATE_AFTER_DELIMITER;
		return MULTIPART_PART_END;
	}
	if (at == text.len) {
		/* The end may be the start of a delimiter. */
		size_t hold = delimiter.len - 1 < text.len ? delimiter.len - 1 : text.len;

		while (hold > 0 && !span_eq(span_slice(text, text.len - hold, text.len),
					    span_slice(delimiter, 0, hold)))
			hold--;
		at = text.len - hold;
		if (at == 0)
			return starve(m);
	}
	m->data = span_slice(text, 0, at);
	m->at += at;
	return MULTIPART_DATA;
}

/* Sets *stepped when the state has changed without an event. */
static enum multipart_event on_start(struct multipart *m, bool *stepped)
{
	struct span text = ahead(m);
	struct span first = span_of(m->delimiter + 2, m->delimiter_len - 2);
	size_t lead = text.len && text.ptr[0] == '\r' ? 2 : 0;

	if (text.len < lead + first.len)
		return starve(m);
	if (!span_eq(span_slice(text, lead, lead + first.len), first) ||
	    (lead && text.ptr[1] != '\n'))
		return fail(m, MULTIPART_SYNTAX);
	m->part_start = m->window_offset + m->at + lead;
	m->at += lead + first.len;
	m->state = STATE_AFTER_DELIMITER;
	*stepped = true;
	return MULTIPART_MORE;
}

static enum multipart_event after_delimiter(struct multipart *m, bool *stepped)
{
	struct span text = ahead(m);

	if (text.len < 2)
		return starve(m);
	if (span_starts_with(text, SPAN("\r\n")))
		m->state = STATE_HEADER;
	else if (span_starts_with(text, SPAN("--")) && m->parts > 0)
		m->state = STATE_EPILOGUE;
	else
		return fail(m, MULTIPART_SYNTAX);
	m->at += 2;
	*stepped = true;
	return MULTIPART_MORE;
}

static enum multipart_event on_epilogue(struct multipart *m)
{
	struct span text = ahead(m);

	if (text.len > 2 || !span_eq(text, span_slice(SPAN("\r\n"), 0, text.len)))
		return fail(m, MULTIPART_SYNTAX);
	if (!m->finished)
		return MULTIPART_MORE;
	return text.len == 1 ? fail(m, MULTIPART_SYNTAX) : MULTIPART_END;
}

enum multipart_event multipart_next(struct multipart *m)
{
	for (;;) {
		enum multipart_event event = MULTIPART_ERROR;
		bool stepped = false;

		switch ((enum state)m->state) {
		case STATE_START: event = on_start(m, &stepped); break;
		case STATE_AFTER_DELIMITER: event = after_delimiter(m, &stepped); break;
		case STATE_HEADER: event = on_header(m); break;
		case STATE_CONTENT: event = on_content(m); break;
		case STATE_EPILOGUE: event = on_epilogue(m); break;
		case STATE_FAILED: return MULTIPART_ERROR;
		}
		if (stepped)
			continue;
		/* Truncation is known only when all that was fed is in the window. */
		if (event == MULTIPART_MORE && refill(m))
			continue;
		return event;
	}
}

const char *multipart_error_text(enum multipart_error error)
{
	switch (error) {
	case MULTIPART_OK: return "fine";
	case MULTIPART_SYNTAX: return "not the form of multipart content";
	case MULTIPART_TRUNCATED: return "the content ends in the middle";
	case MULTIPART_HEADER: return "a part's header is malformed or not allowed";
	case MULTIPART_NO_NAME: return "a part has no name";
	case MULTIPART_FILE_NAME: return "a file has an unsafe name";
	case MULTIPART_HEADER_LONG: return "a part's header is too long";
	case MULTIPART_MANY_PARTS: return "too many parts";
	case MULTIPART_MEMORY: return "no memory";
	}
	return "unknown";
}
