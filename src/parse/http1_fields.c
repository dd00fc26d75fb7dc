/* http1_fields.c - field lines of HTTP/1 (RFC 9112 section 5), for heads and trailers. */
#include "base/compiler.h"
#include "parse/http1_internal.h"
#include "parse/http_field_name.h"
#include "parse/http_scan.h"

#define BIT(id) (1ULL << (id))

static bool is_alnum(unsigned char c)
{
	return http_byte_is_plain_name(c) && c != '-';
}

/*
 * Names that some servers map to a framing field (by dropping or replacing odd characters): all
 * that is left when only letters and digits are kept.
 */
static bool resembles_framing(struct span name)
{
	static const struct span framing[] = {
		SPAN_INIT("transferencoding"),
		SPAN_INIT("contentlength"),
		SPAN_INIT("connection"),
		SPAN_INIT("host"),
		SPAN_INIT("te"),
		SPAN_INIT("trailer"),
		SPAN_INIT("upgrade"),
		SPAN_INIT("expect"),
	};
	char kept[16];
	size_t len = 0;

	for (size_t i = 0; i < name.len; i++) {
		if (!is_alnum((unsigned char)name.ptr[i]))
			continue;
		if (len == sizeof(kept))
			return false;
		kept[len++] = ascii_lower(name.ptr[i]);
	}
	for (size_t i = 0; i < COUNT_OF(framing); i++) {
		if (span_eq(span_of(kept, len), framing[i]))
			return true;
	}
	return false;
}

/* Servers that hand fields on as variables (CGI, WSGI) write '_' for '-' and other characters. */
static bool resembles_known(struct span name)
{
	char dashed[32];

	if (name.len > sizeof(dashed))
		return false;
	for (size_t i = 0; i < name.len; i++)
		dashed[i] = is_alnum((unsigned char)name.ptr[i]) ? name.ptr[i] : '-';
	return http_field_lookup_bytes(dashed, name.len) != HTTP_FIELD_OTHER;
}

/*
 * A quick look before resembles_framing: do the first and last byte allow it? `odd`: the name has
 * a character other than letters, digits and '-'.
 */
static inline bool may_resemble_framing(const char *name, size_t len, bool odd)
{
	const uint32_t firsts = 1u << ('t' - 'a') | 1u << ('c' - 'a') | 1u << ('h' - 'a') |
				1u << ('u' - 'a') | 1u << ('e' - 'a');
	const uint32_t lasts = 1u << ('g' - 'a') | 1u << ('h' - 'a') | 1u << ('n' - 'a') |
			       1u << ('t' - 'a') | 1u << ('e' - 'a') | 1u << ('r' - 'a');
	unsigned char first = (unsigned char)((name[0] | 0x20) - 'a');
	unsigned char last = (unsigned char)((name[len - 1] | 0x20) - 'a');

	if (odd || name[0] == '-' || name[len - 1] == '-')
		return true;
	return first < 26 && last < 26 && (firsts >> first & 1) && (lasts >> last & 1);
}

static enum http1_result repeated(enum http_field_id id)
{
	if (id == HTTP_FIELD_HOST)
		return HTTP1_BAD_HOST;
	if (id == HTTP_FIELD_CONTENT_LENGTH)
		return HTTP1_BAD_LENGTH;
	return id == HTTP_FIELD_TRANSFER_ENCODING ? HTTP1_BAD_ENCODING : HTTP1_BAD_FIELD;
}

/* The rest of a name that has other than letters, digits and '-': up to what is no token byte. */
static NOINLINE const char *odd_name_end(const char *at, const char *end)
{
	while (at != end && http_byte_is_token((unsigned char)*at))
		at++;
	return at;
}

/* Up to the colon behind a name that is not known yet, of which each byte is looked at. */
static inline enum http1_result scan_name(const char *start, const char *name, const char *end,
					  const char **colon, bool *odd)
{
	const char *stop = http_scan_name(start, name, end);

	if (UNLIKELY(stop == end))
		return HTTP1_MORE;
	if (UNLIKELY(*stop != ':')) {
		*odd = true;
		stop = odd_name_end(stop, end);
		if (stop == end)
			return HTTP1_MORE;
	}
	*colon = stop;
	return *stop == ':' && stop != name ? HTTP1_DONE : HTTP1_BAD_FIELD;
}

/* Optional white space (RFC 9110 section 5.6.3); one space is the rule. */
static inline const char *after_space(const char *at, const char *end)
{
	if (LIKELY(end - at >= 2 && at[0] == ' ' && (unsigned char)at[1] > ' '))
		return at + 1;
	while (at != end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

/* `at` > `begin`; none at all is the rule. */
static inline const char *before_space(const char *begin, const char *at)
{
	if (LIKELY((unsigned char)at[-1] > ' '))
		return at;
	while (at != begin && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	return at;
}

static inline enum http1_result field_line(struct http1_fields *f, const char *start,
					   const char **at, const char *end)
{
	const char *name = *at;
	const char *colon = http_scan_colon(name, end);
	const char *value, *stop;
	struct http_field *field;
	enum http_field_id id = HTTP_FIELD_OTHER;
	enum http1_result result;
	bool is_near = colon, odd = false;
	size_t len;

	if (LIKELY(is_near))
		id = http_field_lookup_bytes(name, (size_t)(colon - name));
	if (id == HTTP_FIELD_OTHER) {
		result = scan_name(start, name, end, &colon, &odd);
		if (UNLIKELY(result != HTTP1_DONE))
			return result;
		if (!is_near)
			id = http_field_lookup_bytes(name, (size_t)(colon - name));
	}
	len = (size_t)(colon - name);
	value = after_space(colon + 1, end);
	stop = http_scan_value(start, value, end);
	if (UNLIKELY(end - stop < 2)) {
		if (stop == end || *stop == '\r')
			return HTTP1_MORE;
		return HTTP1_BAD_FIELD;
	}
	if (UNLIKELY(stop[0] != '\r' || stop[1] != '\n'))
		return HTTP1_BAD_FIELD;
	*at = stop + 2;
	if (LIKELY(stop != value))
		stop = before_space(value, stop);

	if (id == HTTP_FIELD_OTHER && UNLIKELY(may_resemble_framing(name, len, odd)) &&
	    (resembles_framing(span_of(name, len)) ||
	     (odd && f->request && resembles_known(span_of(name, len)))))
		return HTTP1_BAD_FIELD;
	if (UNLIKELY(f->count == f->max))
		return HTTP1_TOO_LARGE_HEAD;
	field = &f->to[f->count++];
	field->name = span_of(name, len);
	field->value = span_of(value, (size_t)(stop - value));
	field->id = id;
	if (f->first && id != HTTP_FIELD_OTHER) {
		if (LIKELY(f->first[id] == 0))
			f->first[id] = (uint16_t)f->count;
		else if (f->single >> id & 1)
			return repeated(id);
		else
			f->repeated |= BIT(id);
	}
	return HTTP1_DONE;
}

HOT enum http1_result http1_parse_fields(struct http1_fields *f, const char *start,
					 const char **at, const char *end)
{
	/* Copies whose addresses nobody else has, so that they live in registers. */
	struct http1_fields fields = *f;
	const char *p = *at;
	enum http1_result result = HTTP1_MORE;

	while (LIKELY(p != end)) {
		if (UNLIKELY(*p == '\r')) {
			if (end - p < 2)
				break;
			result = p[1] == '\n' ? HTTP1_DONE : HTTP1_BAD_FIELD;
			p += 2;
			break;
		}
		result = field_line(&fields, start, &p, end);
		if (UNLIKELY(result != HTTP1_DONE))
			break;
		result = HTTP1_MORE;
	}
	*at = p;
	f->count = fields.count;
	f->repeated = fields.repeated;
	return result;
}
