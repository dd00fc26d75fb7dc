#include "iast/request.h"

const char *iast_origin_name(enum iast_origin origin)
{
	switch (origin) {
	case IAST_PATH: return "path";
	case IAST_QUERY: return "query";
	case IAST_FORM: return "form";
	case IAST_JSON: return "json";
	case IAST_COOKIE: return "cookie";
	case IAST_HEADER: break;
	}
	return "header";
}

static void add(struct iast_request *r, enum iast_origin origin, struct span name,
		struct span text)
{
	if (r->count < IAST_VALUES_MAX && text.len)
		r->values[r->count++] = (struct iast_value){origin, name, text};
}

/* ---- decoding -------------------------------------------------------------------------------- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent signs, and '+' in forms. What is malformed stays as it is. ptr NULL: no room. */
static struct span decode(struct iast_request *r, struct span s, bool plus)
{
	size_t from = r->decoded_len;

	if (s.len > IAST_DECODED_BYTES - from)
		return SPAN_NONE;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '%' && s.len - i > 2 && digit_of(s.ptr[i + 1]) >= 0 &&
		    digit_of(s.ptr[i + 2]) >= 0) {
			c = (char)(digit_of(s.ptr[i + 1]) * 16 + digit_of(s.ptr[i + 2]));
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		r->decoded[r->decoded_len++] = c;
	}
	return span_of(r->decoded + from, r->decoded_len - from);
}

static void add_pairs(struct iast_request *r, enum iast_origin origin, struct span text,
		      char separator, bool plus)
{
	while (text.ptr) {
		struct span value = span_trim(span_cut(&text, separator));
		struct span name = span_cut(&value, '=');

		if (value.ptr)
			add(r, origin, decode(r, name, plus), decode(r, value, plus));
	}
}

static void add_path(struct iast_request *r, struct span path)
{
	while (path.ptr) {
		struct span segment = span_cut(&path, '/');

		if (segment.len)
			add(r, IAST_PATH, SPAN("segment"), decode(r, segment, false));
	}
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_utf8(struct iast_request *r, unsigned code)
{
	char *to = r->decoded;

	if (code < 0x80) {
		to[r->decoded_len++] = (char)code;
	} else if (code < 0x800) {
		to[r->decoded_len++] = (char)(0xc0 | code >> 6);
		to[r->decoded_len++] = (char)(0x80 | (code & 0x3f));
	} else {
		to[r->decoded_len++] = (char)(0xe0 | code >> 12);
		to[r->decoded_len++] = (char)(0x80 | (code >> 6 & 0x3f));
		to[r->decoded_len++] = (char)(0x80 | (code & 0x3f));
	}
}

static unsigned read_unit(struct span s, size_t at)
{
	unsigned code = 0;

	for (size_t i = at; i < at + 4 && i < s.len; i++)
		code = code << 4 | (unsigned)(digit_of(s.ptr[i]) & 15);
	return code;
}

/* Behind the quote; *end is behind the closing one. Halves of pairs become what each is by itself. */
static struct span read_string(struct iast_request *r, struct span s, size_t at, size_t *end)
{
	static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
	size_t from = r->decoded_len;

	for (; at < s.len && s.ptr[at] != '"'; at++) {
		const char *name;

		if (IAST_DECODED_BYTES - r->decoded_len < 4)
			break;
		if (s.ptr[at] != '\\' || at + 1 == s.len) {
			r->decoded[r->decoded_len++] = s.ptr[at];
			continue;
		}
		at++;
		name = memchr(names, s.ptr[at], sizeof(names) - 1);
		if (s.ptr[at] == 'u') {
			put_utf8(r, read_unit(s, at + 1));
			at = at + 4 < s.len ? at + 4 : s.len - 1;
		} else {
			r->decoded[r->decoded_len++] = name ? values[name - names] : s.ptr[at];
		}
	}
	*end = at < s.len ? at + 1 : s.len;
	return span_of(r->decoded + from, r->decoded_len - from);
}

static size_t skip_space(struct span s, size_t at)
{
	while (at < s.len && (s.ptr[at] == ' ' || s.ptr[at] == '\t' || s.ptr[at] == '\n' ||
			      s.ptr[at] == '\r'))
		at++;
	return at;
}

/* Strings and numbers, each under the key that came last. */
static void add_json(struct iast_request *r, struct span s)
{
	struct span key = SPAN("");
	size_t at = 0;

	while (at < s.len && r->count < IAST_VALUES_MAX) {
		size_t from = at;

		if (s.ptr[at] == '"') {
			struct span text = read_string(r, s, at + 1, &at);
			size_t next = skip_space(s, at);

			if (next < s.len && s.ptr[next] == ':')
				key = text;
			else
				add(r, IAST_JSON, key, text);
		} else if ((s.ptr[at] >= '0' && s.ptr[at] <= '9') || s.ptr[at] == '-') {
			while (at < s.len && memchr("0123456789+-.eE", s.ptr[at], 15))
				at++;
			add(r, IAST_JSON, key, span_slice(s, from, at));
		} else {
			at++;
		}
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct span methods[] = {
	SPAN_INIT("GET "),    SPAN_INIT("POST "), SPAN_INIT("PUT "),	SPAN_INIT("PATCH "),
	SPAN_INIT("DELETE "), SPAN_INIT("HEAD "), SPAN_INIT("OPTIONS ")};

bool iast_request_starts(struct span text)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t len = text.len < methods[i].len ? text.len : methods[i].len;

		if (len >= 3 && memcmp(text.ptr, methods[i].ptr, len) == 0)
			return true;
	}
	return false;
}

/* Of the protocol rather than of the application. */
static bool is_plain_header(struct span name)
{
	static const struct span plain[] = {
		SPAN_INIT("host"),	     SPAN_INIT("connection"),
		SPAN_INIT("accept"),	     SPAN_INIT("accept-encoding"),
		SPAN_INIT("accept-charset"), SPAN_INIT("content-length"),
		SPAN_INIT("content-type"),   SPAN_INIT("transfer-encoding"),
		SPAN_INIT("expect"),	     SPAN_INIT("te"),
		SPAN_INIT("upgrade"),	     SPAN_INIT("keep-alive"),
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (span_eq_nocase(name, plain[i]))
			return true;
	return false;
}

static void add_fields(struct iast_request *r, struct span head, struct span *type)
{
	while (head.ptr) {
		struct span value = span_cut(&head, '\n');
		struct span name = span_cut(&value, ':');

		value = span_trim(value);
		if (span_eq_nocase(name, SPAN("content-type")))
			*type = value;
		else if (span_eq_nocase(name, SPAN("cookie")))
			add_pairs(r, IAST_COOKIE, value, ';', false);
		else if (value.ptr && !is_plain_header(name))
			add(r, IAST_HEADER, name, value);
	}
}

bool iast_request_read(struct iast_request *r, struct span text)
{
	size_t end = span_find(text, SPAN("\r\n\r\n"));
	struct span head, line, target, query, body, type = SPAN("");

	r->count = 0;
	r->decoded_len = 0;
	if (end == text.len || !iast_request_starts(text))
		return false;
	head = span_slice(text, 0, end);
	body = span_slice(text, end + 4, text.len);
	line = span_cut(&head, '\n');
	r->method = span_cut(&line, ' ');
	target = span_cut(&line, ' ');
	if (!line.ptr)
		return false;
	query = target;
	r->path = span_cut(&query, '?');
	add_path(r, r->path);
	if (query.ptr)
		add_pairs(r, IAST_QUERY, query, '&', true);
	add_fields(r, head, &type);
	if (span_find(type, SPAN("json")) < type.len)
		add_json(r, body);
	else if (span_starts_with(type, SPAN("application/x-www-form-urlencoded")))
		add_pairs(r, IAST_FORM, body, '&', true);
	return true;
}
