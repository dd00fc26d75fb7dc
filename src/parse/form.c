#include "parse/form.h"

#include "parse/uri.h"
#include "parse/utf8.h"

#define ONES (~(uint64_t)0 / 255)
#define HIGH (ONES << 7)

/* Eight bytes at once: letters, digits and signs as most parameters have, but no '%' and '+'. */
static bool is_plain(struct span s)
{
	uint64_t other = 0, word, x;
	size_t i = 0;

	for (; s.len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s.ptr + i, sizeof(word));
		/* Below 0x20, or above 0x7e; and where a byte is the sign, its difference is 0. */
		other |= (word - ONES * 0x20) | word | (word + ONES);
		x = word ^ ONES * '%';
		other |= (x - ONES) & ~x;
		x = word ^ ONES * '+';
		other |= (x - ONES) & ~x;
	}
	if (other & HIGH)
		return false;
	for (; i < s.len; i++)
		if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e || s.ptr[i] == '%' || s.ptr[i] == '+')
			return false;
	return true;
}

static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
			return false;
	}
	return utf8_valid(s);
}

enum form_result form_decode(struct arena *arena, struct span from, struct span *to)
{
	char *text = arena_alloc(arena, from.len + 1);
	size_t len = 0;

	if (!text)
		return FORM_NO_MEMORY;
	if (is_plain(from)) {
		if (from.len)
			memcpy(text, from.ptr, from.len);
		text[from.len] = '\0';
		*to = span_of(text, from.len);
		return FORM_OK;
	}
	if (from.len && uri_decode(from, true, text, &len) != URI_OK)
		return FORM_BAD_ESCAPE;
	text[len] = '\0';
	*to = span_of(text, len);
	return is_text(*to) ? FORM_OK : FORM_NOT_TEXT;
}

static size_t room_for_pairs(struct span text)
{
	size_t count = 1;

	for (size_t i = 0; i < text.len && count < FORM_PAIRS_MAX; i++)
		count += text.ptr[i] == '&';
	return count;
}

enum form_result form_parse(struct arena *arena, struct span text, struct form *form)
{
	struct span rest = text, name, value;
	enum form_result result;

	*form = (struct form){.repeated = SPAN_NONE};
	form->pairs = arena_array(arena, struct form_pair, room_for_pairs(text));
	if (!form->pairs)
		return FORM_NO_MEMORY;
	while (uri_query_next(&rest, &name, &value)) {
		struct form_pair *pair = &form->pairs[form->count];

		if (form->count == FORM_PAIRS_MAX)
			return FORM_TOO_MANY;
		result = form_decode(arena, name, &pair->name);
		if (result == FORM_OK)
			result = form_decode(arena, value, &pair->value);
		if (result != FORM_OK)
			return result;
		if (!form->repeated.ptr && form_get(form, pair->name).ptr)
			form->repeated = pair->name;
		form->count++;
	}
	return FORM_OK;
}

struct span form_get(const struct form *form, struct span name)
{
	for (size_t i = 0; i < form->count; i++)
		if (span_eq(form->pairs[i].name, name))
			return form->pairs[i].value;
	return SPAN_NONE;
}

void form_append_escaped(struct buf *to, struct span text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		char low = ascii_lower((char)c);

		if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		    c == '.' || c == '_' || c == '~') {
			buf_append_byte(to, (char)c);
		} else {
			buf_append_byte(to, '%');
			buf_append_byte(to, digits[c >> 4]);
			buf_append_byte(to, digits[c & 15]);
		}
	}
}

void form_append(struct buf *to, struct span name, struct span value)
{
	char last = to->len ? to->ptr[to->len - 1] : '?';

	if (last != '?' && last != '&')
		buf_append_byte(to, '&');
	form_append_escaped(to, name);
	buf_append_byte(to, '=');
	form_append_escaped(to, value);
}
