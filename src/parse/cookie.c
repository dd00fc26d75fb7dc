#include "parse/cookie.h"

#include "parse/http_field.h"

/* RFC 6265 section 4.1.1: cookie-octet. */
static bool is_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\')
			return false;
	}
	return true;
}

enum cookie_result cookie_find(struct span field, struct span name, struct span *value)
{
	enum cookie_result found = COOKIE_ABSENT;
	struct span rest = field;

	while (rest.ptr) {
		struct span content = span_trim(span_cut(&rest, ';'));
		struct span key = span_cut(&content, '=');

		if (!content.ptr || !http_is_token(key) || !span_eq(key, name))
			continue;
		if (content.len >= 2 && content.ptr[0] == '"' &&
		    content.ptr[content.len - 1] == '"')
			content = span_slice(content, 1, content.len - 1);
		if (!is_value(content))
			continue;
		if (found != COOKIE_ABSENT)
			return COOKIE_REPEATED;
		*value = content;
		found = COOKIE_FOUND;
	}
	return found;
}

struct span cookie_without(struct span field, struct span prefix, char *to)
{
	struct span rest = field;
	size_t len = 0;

	while (rest.ptr) {
		struct span pair = span_trim(span_cut(&rest, ';'));

		if (!pair.len || span_starts_with(pair, prefix))
			continue;
		if (len) {
			to[len++] = ';';
			to[len++] = ' ';
		}
		memcpy(to + len, pair.ptr, pair.len);
		len += pair.len;
	}
	return span_of(to, len);
}
