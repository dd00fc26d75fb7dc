#include "config/value.h"

#include "parse/address.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* Are all bytes letters, digits or one of `others`, and is there at least one? */
static bool all_of(struct span text, const char *others)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_alnum(text.ptr[i]) &&
		    !(text.ptr[i] != '\0' && strchr(others, text.ptr[i])))
			return false;
	return text.len > 0;
}

/* Printable ASCII without space and without any of `others`. */
static bool none_of(struct span text, const char *others)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f || strchr(others, text.ptr[i]))
			return false;
	return text.len > 0;
}

static bool is_any(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return false;
	return text.len > 0;
}

/* The tree has refused NUL; a block of text has newlines. */
static bool is_content(struct span text)
{
	return text.len > 0;
}

static bool is_name(struct span text)
{
	return text.len <= 64 && all_of(text, "._-");
}

static bool is_field_name(struct span text)
{
	return text.len <= 256 && all_of(text, "!#$%&'*+-.^_`|~");
}

static bool is_field_name_or_none(struct span text)
{
	return text.len == 0 || is_field_name(text);
}

static bool is_field_value(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return text.len == 0 || (text.ptr[0] != ' ' && text.ptr[text.len - 1] != ' ');
}

static bool is_method(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] >= 'a' && text.ptr[i] <= 'z')
			return false;
	return text.len <= 32 && all_of(text, "!#$%&'*+-.^_`|~");
}

/* Letters, digits and hyphens in labels; underscores are seen in container networks. */
static bool is_host_name(struct span text)
{
	struct span rest = text;

	if (text.len > 253 || text.len == 0)
		return false;
	while (rest.ptr) {
		struct span label = span_cut(&rest, '.');

		if (label.len > 63 || !all_of(label, "-_") || label.ptr[0] == '-' ||
		    label.ptr[label.len - 1] == '-')
			return false;
	}
	return true;
}

/* A name or IPv4 address; IPv6 only where brackets were. */
static bool is_host(struct span text, bool bracketed)
{
	struct address address;

	if (bracketed)
		return span_find_byte(text, ':') < text.len && address_parse(text, &address);
	if (text.len > 0 && is_digit(text.ptr[text.len - 1]) && all_of(text, ".") &&
	    span_find_byte(text, '.') < text.len) {
		struct span last = text;

		/* A name whose last label is a number can only be an IPv4 address. */
		while (span_find_byte(last, '.') < last.len)
			last = span_slice(last, span_find_byte(last, '.') + 1, last.len);
		for (size_t i = 0; i < last.len; i++)
			if (!is_digit(last.ptr[i]))
				return is_host_name(text);
		return address_parse(text, &address);
	}
	return is_host_name(text);
}

static bool parse_port(struct span text, uint16_t *port)
{
	uint64_t value;

	if (!span_to_u64(text, &value) || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* Splits host and the text of the port; *port has ptr NULL where there is none. */
static bool split_host(struct span text, struct span *host, struct span *port)
{
	size_t end;

	*port = SPAN_NONE;
	if (text.len > 0 && text.ptr[0] == '[') {
		end = span_find_byte(text, ']');
		*host = span_slice(text, 1, end);
		if (end == text.len || !is_host(*host, true))
			return false;
		end++;
	} else {
		end = span_find_byte(text, ':');
		*host = span_slice(text, 0, end);
		if (!is_host(*host, false))
			return false;
	}
	if (end == text.len)
		return true;
	*port = span_slice(text, end + 1, text.len);
	return text.ptr[end] == ':';
}

bool value_host_port(struct span text, struct span *host, uint16_t *port)
{
	struct span number;

	return split_host(text, host, &number) && number.ptr && parse_port(number, port);
}

bool value_endpoint(struct span text, enum config_scheme *scheme, struct span *host,
		    uint16_t *port, struct span *authority)
{
	static const struct {
		struct span text;
		enum config_scheme scheme;
		uint16_t port;
	} schemes[] = {
		{SPAN_INIT("http://"), CONFIG_SCHEME_HTTP, 80},
		{SPAN_INIT("https://"), CONFIG_SCHEME_HTTPS, 443},
		{SPAN_INIT("h2c://"), CONFIG_SCHEME_H2C, 80},
	};
	struct span rest, number;

	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		if (!span_starts_with(text, schemes[i].text))
			continue;
		rest = span_slice(text, schemes[i].text.len, text.len);
		if (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
			rest.len--;
		if (!split_host(rest, host, &number))
			return false;
		*scheme = schemes[i].scheme;
		*port = schemes[i].port;
		*authority = rest;
		if (number.ptr && (!parse_port(number, port) || *port == 0))
			return false;
		if (number.ptr && *port == schemes[i].port)
			authority->len -= number.len + 1;
		return true;
	}
	return false;
}

static bool is_route_host(struct span text)
{
	if (span_starts_with(text, SPAN("*.")))
		return is_host_name(span_slice(text, 2, text.len));
	if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
		return is_host(span_slice(text, 1, text.len - 1), true);
	return is_host(text, false);
}

/* The part after http:// or https://; ptr NULL where it does not start so. */
static struct span after_scheme(struct span text)
{
	if (span_starts_with(text, SPAN("http://")))
		return span_slice(text, 7, text.len);
	if (span_starts_with(text, SPAN("https://")))
		return span_slice(text, 8, text.len);
	return SPAN_NONE;
}

static bool is_authority(struct span text)
{
	struct span host, number;
	uint16_t port;

	return split_host(text, &host, &number) && (!number.ptr || parse_port(number, &port));
}

static bool is_url(struct span text)
{
	struct span rest = after_scheme(text);
	size_t slash = span_find_byte(rest, '/');

	return rest.ptr && none_of(rest, "#\"<>\\^`{|}") &&
	       is_authority(span_slice(rest, 0, slash));
}

static bool is_origin(struct span text)
{
	struct span rest = after_scheme(text);

	return span_eq(text, SPAN("*")) || (rest.ptr && is_authority(rest));
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * One segment of a path as it is after normalisation (RFC 3986 section 6.2.2): pchar, escapes in
 * upper case and only of what needs one. Anything else would never match a request.
 */
static bool is_segment(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		int high, low, byte;

		if (text.ptr[i] != '%')
			continue;
		if (text.len - i < 3)
			return false;
		high = hex_value(text.ptr[i + 1]);
		low = hex_value(text.ptr[i + 2]);
		byte = high * 16 + low;
		if (high < 0 || low < 0 || byte < 0x20 || byte == 0x7f ||
		    is_alnum((char)byte) || (byte < 0x80 && strchr("-._~/\\", byte)))
			return false;
	}
	return all_of(text, "-._~!$&'()*+,;=:@%") && !span_eq(text, SPAN(".")) &&
	       !span_eq(text, SPAN(".."));
}

static bool is_prefix(struct span text)
{
	struct span rest = text;

	if (text.len < 2 || text.ptr[0] != '/' || text.ptr[text.len - 1] == '/')
		return false;
	span_cut(&rest, '/');
	while (rest.ptr) {
		struct span segment = span_cut(&rest, '/');

		if (!is_segment(segment) || span_find_byte(segment, '*') < segment.len)
			return false;
	}
	return true;
}

static bool is_parameter(struct span segment)
{
	return segment.len > 2 && segment.ptr[0] == '{' &&
	       segment.ptr[segment.len - 1] == '}' &&
	       all_of(span_slice(segment, 1, segment.len - 1), "_-");
}

/* Is the same parameter in the segments before? */
static bool is_repeated(struct span path, struct span segment)
{
	struct span before = span_of(path.ptr, (size_t)(segment.ptr - path.ptr));

	return span_find(before, segment) < before.len;
}

static bool is_path(struct span text)
{
	struct span rest = text;

	if (text.len == 0 || text.ptr[0] != '/' || text.len > 2048)
		return false;
	span_cut(&rest, '/');
	while (rest.ptr) {
		struct span segment = span_cut(&rest, '/');

		if (segment.len == 0 && !rest.ptr)
			return true;
		if (span_eq(segment, SPAN("**")))
			return !rest.ptr;
		if (is_parameter(segment)) {
			if (is_repeated(text, segment))
				return false;
		} else if (!is_segment(segment) || span_find_byte(segment, '*') < segment.len) {
			return false;
		}
	}
	return true;
}

static bool is_scope(struct span text)
{
	return none_of(text, "\"\\");
}

static bool is_spiffe(struct span text)
{
	struct span rest;

	if (!span_starts_with(text, SPAN("spiffe://")))
		return false;
	rest = span_slice(text, 9, text.len);
	return span_find_byte(rest, '/') > 0 && all_of(rest, "/._-*") &&
	       (span_find_byte(rest, '*') == rest.len ||
		(span_ends_with(rest, SPAN("/*")) &&
		 span_find_byte(rest, '*') == rest.len - 1));
}

static bool is_colour(struct span text)
{
	if (text.len != 7 || text.ptr[0] != '#')
		return false;
	for (size_t j = 1; j < text.len; j++) {
		char c = ascii_lower(text.ptr[j]);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

const struct schema_format format_any = {"some text", is_any, false, NULL};
const struct schema_format format_name = {"a name of letters, digits, '.', '_' and '-'",
					  is_name, false, "^[A-Za-z0-9._-]{1,64}$"};
const struct schema_format format_field_name = {"a header field name", is_field_name, true,
						"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"};
const struct schema_format format_field_name_or_none = {"a header field name, or \"\" for none",
							is_field_name_or_none, true,
							"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$"};
const struct schema_format format_field_value = {"the value of a header field", is_field_value,
						 false, NULL};
const struct schema_format format_method = {"a method such as GET", is_method, false,
					    "^[A-Z0-9!#$%&'*+.^_`|~-]+$"};
const struct schema_format format_host = {"a host name such as example.com or *.example.com",
					  is_route_host, true, NULL};
const struct schema_format format_colour = {"a colour such as #1f5fa8", is_colour, true,
					    "^#[0-9a-fA-F]{6}$"};
const struct schema_format format_url = {"an http:// or https:// URL without user and fragment",
					 is_url, false, "^https?://"};
const struct schema_format format_origin = {"an origin such as https://example.com, or \"*\"",
					    is_origin, true, "^(\\*|https?://[^/]+)$"};
const struct schema_format format_path = {"a path such as /orders, /orders/{id} or /orders/**",
					  is_path, false, "^/"};
const struct schema_format format_prefix = {"a path such as /api, without a '/' at its end",
					    is_prefix, false, "^/[^*{}]*[^*{}/]$"};
const struct schema_format format_scope = {"a scope without spaces and quotes", is_scope, false,
					   "^[!#-\\[\\]-~]+$"};
const struct schema_format format_spiffe = {"a SPIFFE id such as spiffe://example.org/orders",
					    is_spiffe, false, "^spiffe://"};
const struct schema_format format_authority = {"a host name, with or without port",
					       is_authority, false, NULL};
const struct schema_format format_content = {"some text", is_content, false, NULL};

bool value_bool(struct span text, bool *value)
{
	static const struct span words[] = {
		SPAN_INIT("false"), SPAN_INIT("true"), SPAN_INIT("off"),
		SPAN_INIT("on"),    SPAN_INIT("no"),   SPAN_INIT("yes"),
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (!span_eq(text, words[i]))
			continue;
		*value = i % 2 == 1;
		return true;
	}
	return false;
}

bool value_sha256(struct span text, uint8_t digest[32])
{
	if (text.len != 64)
		return false;
	for (size_t i = 0; i < 64; i++) {
		char c = ascii_lower(text.ptr[i]);
		unsigned digit;

		if (is_digit(c))
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			return false;
		digest[i / 2] = (uint8_t)(i % 2 ? digest[i / 2] | digit : digit << 4);
	}
	return true;
}

/* `len` digits at `at` as a number from `min` to `max`. */
static bool digits(struct span text, size_t at, size_t len, uint64_t min, uint64_t max,
		   int *number)
{
	uint64_t value;

	if (!span_to_u64(span_slice(text, at, at + len), &value) || value < min || value > max)
		return false;
	*number = (int)value;
	return true;
}

bool value_time(struct span text, uint64_t *unix_s)
{
	struct tm tm = {0}, back;
	time_t time;

	if (text.len != 10 && text.len != 20)
		return false;
	if (!digits(text, 0, 4, 1970, 9999, &tm.tm_year) || text.ptr[4] != '-' ||
	    !digits(text, 5, 2, 1, 12, &tm.tm_mon) || text.ptr[7] != '-' ||
	    !digits(text, 8, 2, 1, 31, &tm.tm_mday))
		return false;
	if (text.len == 20 &&
	    (text.ptr[10] != 'T' || !digits(text, 11, 2, 0, 23, &tm.tm_hour) ||
	     text.ptr[13] != ':' || !digits(text, 14, 2, 0, 59, &tm.tm_min) ||
	     text.ptr[16] != ':' || !digits(text, 17, 2, 0, 59, &tm.tm_sec) ||
	     text.ptr[19] != 'Z'))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	time = timegm(&back);
	/* timegm makes March of a 30th of February */
	if (time < 0 || back.tm_mday != tm.tm_mday)
		return false;
	*unix_s = (uint64_t)time;
	return true;
}

bool value_is_framing_field(struct span lower_name)
{
	static const struct span names[] = {
		SPAN_INIT("connection"), SPAN_INIT("content-length"),
		SPAN_INIT("host"),	 SPAN_INIT("keep-alive"),
		SPAN_INIT("te"),	 SPAN_INIT("trailer"),
		SPAN_INIT("upgrade"),	 SPAN_INIT("transfer-encoding"),
		SPAN_INIT("expect"),	 SPAN_INIT("proxy-connection"),
	};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (span_eq(lower_name, names[i]))
			return true;
	return false;
}
