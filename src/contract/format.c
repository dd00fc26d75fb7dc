#include "contract/format.h"

#include "base/compiler.h"
#include "contract/ecma.h"
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

enum { IS_LABEL = 1, IS_HEX = 2, IS_ATOM = 4 };

/* Of labels of host names, without the hyphen's own rules; hexadecimal digits; atext of RFC 5322. */
static const unsigned char ascii_kinds[256] = {
	/* clang-format off */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 4, 0, 4, 4, 4, 4, 4, 0, 0, 4, 4, 0, 5, 0, 4,
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 4, 0, 4,
	0, 7, 7, 7, 7, 7, 7, 5, 5, 5, 5, 5, 5, 5, 5, 5,
	5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 0, 0, 0, 4, 4,
	4, 7, 7, 7, 7, 7, 7, 5, 5, 5, 5, 5, 5, 5, 5, 5,
	5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4, 0,
	/* clang-format on */
};

/* How many characters at the front are of a kind. */
static size_t count_kind(struct span s, unsigned kind)
{
	size_t i = 0;

	while (i < s.len && (ascii_kinds[(unsigned char)s.ptr[i]] & kind))
		i++;
	return i;
}

/* -- dates and times -- */

/* Takes exactly `count` digits off the front; -1 when they are not there. */
static int take_digits(struct span *s, size_t count)
{
	int value = 0;

	if (s->len < count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!is_digit(s->ptr[i]))
			return -1;
		value = value * 10 + (s->ptr[i] - '0');
	}
	*s = span_slice(*s, count, s->len);
	return value;
}

static bool take_char(struct span *s, char c)
{
	if (!s->len || s->ptr[0] != c)
		return false;
	*s = span_slice(*s, 1, s->len);
	return true;
}

static bool take_date(struct span *s)
{
	static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = take_digits(s, 4);
	int month = year >= 0 && take_char(s, '-') ? take_digits(s, 2) : -1;
	int day = month >= 0 && take_char(s, '-') ? take_digits(s, 2) : -1;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month < 1 || month > 12 || day < 1 || day > days[month - 1])
		return false;
	return month != 2 || day < 29 || leap;
}

/* The offset in minutes; false when malformed. */
static bool take_offset(struct span *s, int *minutes)
{
	int sign = 1;
	int hour;
	int minute;

	*minutes = 0;
	if (take_char(s, 'Z') || take_char(s, 'z'))
		return true;
	if (take_char(s, '-'))
		sign = -1;
	else if (!take_char(s, '+'))
		return false;
	hour = take_digits(s, 2);
	minute = hour >= 0 && take_char(s, ':') ? take_digits(s, 2) : -1;
	*minutes = sign * (hour * 60 + minute);
	return hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
}

static bool is_time(struct span s)
{
	int hour = take_digits(&s, 2);
	int minute = hour >= 0 && take_char(&s, ':') ? take_digits(&s, 2) : -1;
	int second = minute >= 0 && take_char(&s, ':') ? take_digits(&s, 2) : -1;
	int offset;

	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	if (take_char(&s, '.')) {
		if (take_digits(&s, 1) < 0)
			return false;
		while (take_digits(&s, 1) >= 0)
			;
	}
	if (!take_offset(&s, &offset) || s.len)
		return false;
	/* A leap second is the last one of a day in UTC. */
	return second < 60 || (hour * 60 + minute - offset + 2 * 1440) % 1440 == 1439;
}

static bool is_date(struct span s)
{
	return take_date(&s) && s.len == 0;
}

static bool is_date_time(struct span s)
{
	return take_date(&s) && (take_char(&s, 'T') || take_char(&s, 't')) && is_time(s);
}

/* Components of one part in order and without a gap; true when there was at least one. */
static bool take_components(struct span *s, const char *units)
{
	size_t previous = 0;
	bool any = false;

	while (s->len && is_digit(s->ptr[0])) {
		size_t n = 1;
		const char *unit;
		size_t index;

		while (n < s->len && is_digit(s->ptr[n]))
			n++;
		if (n == s->len || !s->ptr[n] || !(unit = strchr(units, s->ptr[n])))
			return false;
		index = (size_t)(unit - units);
		if (any && index != previous + 1)
			return false;
		previous = index;
		any = true;
		*s = span_slice(*s, n + 1, s->len);
	}
	return any;
}

static bool is_duration(struct span s)
{
	struct span weeks;

	if (!take_char(&s, 'P'))
		return false;
	weeks = s;
	if (take_components(&weeks, "W") && weeks.len == 0)
		return true;
	if (s.len && s.ptr[0] != 'T' && !take_components(&s, "YMD"))
		return false;
	if (take_char(&s, 'T'))
		return take_components(&s, "HMS") && s.len == 0;
	/* "P" alone has nothing before it. */
	return s.len == 0 && weeks.len > 0;
}

/* -- names and addresses -- */

static bool is_wide_label(struct span label)
{
	if (!label.len || label.len > 63 || label.ptr[0] == '-' ||
	    label.ptr[label.len - 1] == '-')
		return false;
	/* "--" there says how the label is encoded (RFC 5891 section 4.2.3.1). */
	if (label.len >= 4 && label.ptr[2] == '-' && label.ptr[3] == '-' &&
	    !span_eq_nocase(span_slice(label, 0, 2), SPAN("xn")))
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.ptr[i];

		if (!is_letter(c) && !is_digit(c) && c != '-' && (unsigned char)c < 0x80)
			return false;
	}
	return true;
}

/* The bytes of a label separator at the front (RFC 3490 section 3.1), or 0. */
static size_t separator_length(struct span s)
{
	static const char *const wide[] = {"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1"};

	if (s.len && s.ptr[0] == '.')
		return 1;
	for (size_t i = 0; i < COUNT_OF(wide); i++)
		if (span_starts_with(s, span_cstr(wide[i])))
			return 3;
	return 0;
}

static bool is_ascii_hostname(struct span s)
{
	if (s.len > 253)
		return false;
	for (;;) {
		size_t len = count_kind(s, IS_LABEL);

		if (len == 0 || len > 63 || s.ptr[0] == '-' || s.ptr[len - 1] == '-')
			return false;
		if (len == s.len)
			return true;
		if (s.ptr[len] != '.')
			return false;
		s = span_slice(s, len + 1, s.len);
	}
}

static bool is_hostname(struct span s, bool international)
{
	size_t start = 0;

	if (!international)
		return is_ascii_hostname(s);
	if (s.len > 253)
		return false;
	for (size_t at = 0; at < s.len;) {
		size_t separator = separator_length(span_slice(s, at, s.len));

		if (!separator) {
			at++;
			continue;
		}
		if (!is_wide_label(span_slice(s, start, at)))
			return false;
		at += separator;
		start = at;
	}
	return is_wide_label(span_slice(s, start, s.len));
}

static bool is_dot_atom(struct span s, bool international)
{
	for (;;) {
		size_t len = count_kind(s, IS_ATOM);

		while (international && len < s.len && (unsigned char)s.ptr[len] >= 0x80)
			len += 1 + count_kind(span_slice(s, len + 1, s.len), IS_ATOM);
		if (len == 0)
			return false;
		if (len == s.len)
			return true;
		if (s.ptr[len] != '.')
			return false;
		s = span_slice(s, len + 1, s.len);
	}
}

/* With its quotes (RFC 5321 section 4.1.2). */
static bool is_quoted(struct span s, bool international)
{
	if (s.len < 2 || s.ptr[s.len - 1] != '"')
		return false;
	for (size_t i = 1; i < s.len - 1; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c == '\\')
			c = ++i < s.len - 1 ? (unsigned char)s.ptr[i] : 0;
		else if (c == '"')
			return false;
		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !international))
			return false;
	}
	return true;
}

static bool is_ipv4(struct span s)
{
	struct address address;

	return span_find_byte(s, ':') == s.len && address_parse(s, &address);
}

static bool is_ipv6(struct span s)
{
	struct address address;

	return span_find_byte(s, ':') < s.len && address_parse(s, &address);
}

static bool is_email(struct span s, bool international)
{
	size_t at = s.len;
	struct span local;
	struct span domain;

	while (at > 0 && s.ptr[at - 1] != '@')
		at--;
	if (at < 2)
		return false;
	local = span_slice(s, 0, at - 1);
	domain = span_slice(s, at, s.len);
	if (local.ptr[0] == '"' ? !is_quoted(local, international)
				: !is_dot_atom(local, international))
		return false;
	if (domain.len < 2 || domain.ptr[0] != '[')
		return is_hostname(domain, international);
	if (domain.ptr[domain.len - 1] != ']')
		return false;
	domain = span_slice(domain, 1, domain.len - 1);
	if (span_starts_with(domain, SPAN("IPv6:")))
		return is_ipv6(span_slice(domain, 5, domain.len));
	return is_ipv4(domain);
}

/* Eight hexadecimal digits at once. */
static bool is_hex_word(uint64_t word)
{
	const uint64_t high = UINT64_C(0x8080808080808080);
	uint64_t no_digit =
		(word ^ UINT64_C(0x3030303030303030)) + UINT64_C(0x7676767676767676);
	/* "a" to "f" become 1 to 6. */
	uint64_t letter = (word | UINT64_C(0x2020202020202020)) ^ UINT64_C(0x6060606060606060);
	uint64_t no_letter = ~(letter + UINT64_C(0x7f7f7f7f7f7f7f7f)) |
			     (letter + UINT64_C(0x7979797979797979));

	/* Bytes from 0x80 on may carry into others, and are wrong themselves. */
	return ((word | (no_digit & no_letter)) & high) == 0;
}

static bool is_uuid(struct span s)
{
	uint32_t middle[4];
	uint64_t words[4];

	if (s.len != 36 || s.ptr[8] != '-' || s.ptr[13] != '-' || s.ptr[18] != '-' ||
	    s.ptr[23] != '-')
		return false;
	memcpy(&words[0], s.ptr, 8);
	memcpy(&middle[0], s.ptr + 9, 4);
	memcpy(&middle[1], s.ptr + 14, 4);
	memcpy(&middle[2], s.ptr + 19, 4);
	memcpy(&middle[3], s.ptr + 24, 4);
	memcpy(&words[1], middle, sizeof(middle));
	memcpy(&words[3], s.ptr + 28, 8);
	return is_hex_word(words[0]) && is_hex_word(words[1]) && is_hex_word(words[2]) &&
	       is_hex_word(words[3]);
}

/* -- pointers and the rest -- */

static bool is_json_pointer(struct span s)
{
	if (s.len && s.ptr[0] != '/')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '~' &&
		    (i + 1 == s.len || (s.ptr[i + 1] != '0' && s.ptr[i + 1] != '1')))
			return false;
	return true;
}

static bool is_relative_json_pointer(struct span s)
{
	size_t digits = 0;

	while (digits < s.len && is_digit(s.ptr[digits]))
		digits++;
	if (!digits || (s.ptr[0] == '0' && digits > 1))
		return false;
	s = span_slice(s, digits, s.len);
	return span_eq(s, SPAN("#")) || is_json_pointer(s);
}

/* Base64 with padding and without unused bits set, looked at and not decoded. */
static bool is_base64(struct span s)
{
	size_t padding = 0;
	unsigned last = 0;

	if (s.len % 4)
		return false;
	while (padding < 2 && padding < s.len && s.ptr[s.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < s.len - padding; i++) {
		char c = s.ptr[i];

		if (c >= 'A' && c <= 'Z')
			last = (unsigned)(c - 'A');
		else if (c >= 'a' && c <= 'z')
			last = (unsigned)(c - 'a') + 26;
		else if (is_digit(c))
			last = (unsigned)(c - '0') + 52;
		else if (c == '+' || c == '/')
			last = c == '+' ? 62 : 63;
		else
			return false;
	}
	return (last & (padding == 1 ? 3u : padding == 2 ? 15u : 0u)) == 0;
}

bool format_find(struct span name, enum format *format)
{
	static const char *const names[FORMAT_COUNT] = {
		[FORMAT_DATE_TIME] = "date-time",
		[FORMAT_DATE] = "date",
		[FORMAT_TIME] = "time",
		[FORMAT_DURATION] = "duration",
		[FORMAT_EMAIL] = "email",
		[FORMAT_IDN_EMAIL] = "idn-email",
		[FORMAT_HOSTNAME] = "hostname",
		[FORMAT_IDN_HOSTNAME] = "idn-hostname",
		[FORMAT_IPV4] = "ipv4",
		[FORMAT_IPV6] = "ipv6",
		[FORMAT_URI] = "uri",
		[FORMAT_URI_REFERENCE] = "uri-reference",
		[FORMAT_IRI] = "iri",
		[FORMAT_IRI_REFERENCE] = "iri-reference",
		[FORMAT_UUID] = "uuid",
		[FORMAT_URI_TEMPLATE] = "uri-template",
		[FORMAT_JSON_POINTER] = "json-pointer",
		[FORMAT_RELATIVE_JSON_POINTER] = "relative-json-pointer",
		[FORMAT_REGEX] = "regex",
		[FORMAT_BYTE] = "byte",
	};

	for (unsigned i = 0; i < FORMAT_COUNT; i++)
		if (span_eq(name, span_cstr(names[i]))) {
			*format = (enum format)i;
			return true;
		}
	return false;
}

bool format_check(enum format format, struct span text)
{
	switch (format) {
	case FORMAT_DATE_TIME: return is_date_time(text);
	case FORMAT_DATE: return is_date(text);
	case FORMAT_TIME: return is_time(text);
	case FORMAT_DURATION: return is_duration(text);
	case FORMAT_EMAIL: return is_email(text, false);
	case FORMAT_IDN_EMAIL: return is_email(text, true);
	case FORMAT_HOSTNAME: return is_hostname(text, false);
	case FORMAT_IDN_HOSTNAME: return is_hostname(text, true);
	case FORMAT_IPV4: return is_ipv4(text);
	case FORMAT_IPV6: return is_ipv6(text);
	case FORMAT_URI: return format_is_uri(text, false, false);
	case FORMAT_URI_REFERENCE: return format_is_uri(text, true, false);
	case FORMAT_IRI: return format_is_uri(text, false, true);
	case FORMAT_IRI_REFERENCE: return format_is_uri(text, true, true);
	case FORMAT_UUID: return is_uuid(text);
	case FORMAT_URI_TEMPLATE: return format_is_uri_template(text);
	case FORMAT_JSON_POINTER: return is_json_pointer(text);
	case FORMAT_RELATIVE_JSON_POINTER: return is_relative_json_pointer(text);
	case FORMAT_REGEX: return ecma_translate(text, NULL, NULL) == 0;
	case FORMAT_BYTE: return is_base64(text);
	case FORMAT_COUNT: break;
	}
	return true;
}
