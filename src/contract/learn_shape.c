#include "contract/learn_internal.h"

#define WORD_MAX_BYTES 32

/* ---- forms of texts -------------------------------------------------------------------------- */

/* 'd' stands for a digit, 'x' for a hexadecimal one, all else for itself. */
static bool fits(struct span s, const char *form)
{
	size_t i = 0;

	for (; form[i]; i++) {
		char c = i < s.len ? s.ptr[i] : '\0';
		bool digit = c >= '0' && c <= '9';

		if (form[i] == 'd' ? !digit
		    : form[i] == 'x'
			    ? !(digit || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f'))
			    : form[i] != c)
			return false;
	}
	return i == s.len;
}

static bool is_ipv4(struct span s)
{
	unsigned parts = 0;

	while (s.ptr) {
		struct span part = span_cut(&s, '.');
		uint64_t number;

		if (part.len == 0 || part.len > 3 || !span_to_u64(part, &number) ||
		    number > 255)
			return false;
		parts++;
	}
	return parts == 4;
}

unsigned learn_formats_of(struct span s)
{
	unsigned formats = 0;
	size_t at = span_find_byte(s, '@');

	if (fits(s, "dddd-dd-dd"))
		formats |= LEARN_DATE;
	if (s.len >= 20 && fits(span_slice(s, 0, 10), "dddd-dd-dd") &&
	    (s.ptr[10] == 'T' || s.ptr[10] == 't') && fits(span_slice(s, 11, 19), "dd:dd:dd"))
		formats |= LEARN_DATE_TIME;
	if (fits(s, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"))
		formats |= LEARN_UUID;
	if (at > 0 && at + 3 < s.len && memchr(s.ptr + at, '.', s.len - at) &&
	    !memchr(s.ptr, ' ', s.len))
		formats |= LEARN_EMAIL;
	if (is_ipv4(s))
		formats |= LEARN_IPV4;
	if (span_starts_with(s, SPAN("https://")) || span_starts_with(s, SPAN("http://")))
		formats |= LEARN_URI;
	return formats;
}

static bool is_word(struct span s)
{
	if (s.len == 0 || s.len > WORD_MAX_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!(ascii_lower(s.ptr[i]) >= 'a' && ascii_lower(s.ptr[i]) <= 'z') &&
		    s.ptr[i] != '_' && s.ptr[i] != '-')
			return false;
	return true;
}

/* ---- taking ---------------------------------------------------------------------------------- */

static bool take_word(struct arena *a, struct shape *shape, struct span text)
{
	if (shape->word_count > LEARN_WORDS_MAX)
		return true;
	for (size_t i = 0; i < shape->word_count; i++)
		if (span_eq(shape->words[i], text))
			return true;
	if (!is_word(text) || shape->word_count == LEARN_WORDS_MAX) {
		shape->word_count = LEARN_WORDS_MAX + 1;
		return true;
	}
	shape->words[shape->word_count] = arena_dup(a, text);
	return shape->words[shape->word_count++].ptr != NULL;
}

static bool take_string(struct arena *a, struct shape *shape, struct span text)
{
	if (!(shape->types & LEARN_STRING))
		shape->formats = LEARN_ANY_FORMAT;
	shape->types |= LEARN_STRING;
	shape->strings++;
	shape->formats &= learn_formats_of(text);
	if (text.len > shape->longest)
		shape->longest = text.len;
	return take_word(a, shape, text);
}

static void take_number(struct shape *shape, struct span text)
{
	int64_t number;

	if (!span_to_i64(text, &number)) {
		bool whole = text.len > 0;

		for (size_t i = 0; i < text.len; i++)
			whole &= text.ptr[i] == '-' ||
				 (text.ptr[i] >= '0' && text.ptr[i] <= '9');
		shape->types |= whole ? LEARN_INTEGER : LEARN_NUMBER;
		return;
	}
	if (!(shape->types & LEARN_INTEGER))
		shape->least = shape->most = number;
	shape->types |= LEARN_INTEGER;
	if (number < shape->least)
		shape->least = number;
	if (number > shape->most)
		shape->most = number;
}

static struct shape *member_of(struct arena *a, struct shape *shape, struct span name)
{
	struct shape_member **at = &shape->members;

	while (*at && !span_eq((*at)->name, name))
		at = &(*at)->next;
	if (*at)
		return (*at)->shape;
	if (shape->member_count >= LEARN_MEMBERS_MAX) {
		shape->member_count = LEARN_MEMBERS_MAX + 1;
		if (!shape->others)
			shape->others = arena_new(a, struct shape);
		return shape->others;
	}
	*at = arena_new(a, struct shape_member);
	if (!*at)
		return NULL;
	(*at)->name = arena_dup(a, name);
	(*at)->shape = arena_new(a, struct shape);
	shape->member_count++;
	return (*at)->name.ptr ? (*at)->shape : NULL;
}

static bool take_array(struct arena *a, struct shape *shape, const struct json *value,
		       unsigned depth)
{
	shape->types |= LEARN_ARRAY;
	if (value->array.count > shape->most_items)
		shape->most_items = value->array.count;
	if (!shape->items)
		shape->items = arena_new(a, struct shape);
	if (!shape->items)
		return false;
	for (size_t i = 0; i < value->array.count; i++)
		if (!shape_take(a, shape->items, &value->array.items[i], depth + 1))
			return false;
	return true;
}

static bool take_object(struct arena *a, struct shape *shape, const struct json *value,
			unsigned depth)
{
	shape->types |= LEARN_OBJECT;
	shape->objects++;
	for (size_t i = 0; i < value->object.count; i++) {
		const struct json_member *m = &value->object.members[i];
		struct shape *member = member_of(a, shape, m->key);

		if (!member || !shape_take(a, member, &m->value, depth + 1))
			return false;
	}
	return true;
}

bool shape_take(struct arena *a, struct shape *shape, const struct json *value, unsigned depth)
{
	shape->count++;
	if (depth > LEARN_DEPTH_MAX)
		return true;
	switch (value->type) {
	case JSON_NULL: shape->types |= LEARN_NULL; return true;
	case JSON_BOOL: shape->types |= LEARN_BOOL; return true;
	case JSON_NUMBER: take_number(shape, value->text); return true;
	case JSON_STRING: return take_string(a, shape, value->text);
	case JSON_ARRAY: return take_array(a, shape, value, depth);
	case JSON_OBJECT: return take_object(a, shape, value, depth);
	}
	return true;
}

bool shape_take_text(struct arena *a, struct shape *shape, struct span text)
{
	int64_t number;

	shape->count++;
	if (span_eq(text, SPAN("true")) || span_eq(text, SPAN("false"))) {
		shape->types |= LEARN_BOOL;
		return true;
	}
	/* "007" is a name, not a number. */
	if (span_to_i64(text, &number) && (text.len == 1 || text.ptr[0] != '0')) {
		take_number(shape, text);
		if (text.len > shape->longest)
			shape->longest = text.len;
		shape->word_count = LEARN_WORDS_MAX + 1;
		return true;
	}
	return take_string(a, shape, text);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_indent(struct buf *to, unsigned indent)
{
	for (unsigned i = 0; i < indent; i++)
		buf_append_byte(to, ' ');
}

void learn_put_string(struct buf *to, struct span text)
{
	buf_append_byte(to, '"');
	buf_append_json(to, text);
	buf_append_byte(to, '"');
}

void learn_put_key(struct buf *to, unsigned indent, struct span key)
{
	bool plain =
		key.len > 0 && ascii_lower(key.ptr[0]) >= 'a' && ascii_lower(key.ptr[0]) <= 'z';

	/* Words that YAML readers take for something else are quoted: y, no, on, null ... */
	for (size_t i = 0; i < key.len && plain; i++)
		plain = (ascii_lower(key.ptr[i]) >= 'a' && ascii_lower(key.ptr[i]) <= 'z') ||
			(i > 0 && key.ptr[i] >= '0' && key.ptr[i] <= '9');
	plain = plain && key.len > 3 && !span_eq_nocase(key, SPAN("true")) &&
		!span_eq_nocase(key, SPAN("null")) && !span_eq_nocase(key, SPAN("false"));
	put_indent(to, indent);
	if (plain)
		buf_append(to, key);
	else
		learn_put_string(to, key);
	buf_append_byte(to, ':');
}

static void put_number(struct buf *to, unsigned indent, const char *key, uint64_t value)
{
	put_indent(to, indent);
	buf_printf(to, "%s: %llu\n", key, (unsigned long long)value);
}

static uint64_t rounded_up(size_t seen, uint64_t least)
{
	uint64_t bound = least;

	while (bound < (uint64_t)seen * 4)
		bound *= 2;
	return bound;
}

static void put_type(struct buf *to, const struct shape *shape, unsigned indent)
{
	static const struct {
		enum learn_type type;
		const char *name;
	} names[] = {{LEARN_NULL, "\"null\""},	 {LEARN_BOOL, "boolean"},
		     {LEARN_INTEGER, "integer"}, {LEARN_NUMBER, "number"},
		     {LEARN_STRING, "string"},	 {LEARN_ARRAY, "array"},
		     {LEARN_OBJECT, "object"}};
	unsigned types = shape->types;
	bool first = true;

	if (types & LEARN_NUMBER)
		types &= ~(unsigned)LEARN_INTEGER;
	put_indent(to, indent);
	buf_append_cstr(to, "type: ");
	if (types & (types - 1))
		buf_append_byte(to, '[');
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!(types & names[i].type))
			continue;
		buf_printf(to, "%s%s", first ? "" : ", ", names[i].name);
		first = false;
	}
	if (types & (types - 1))
		buf_append_byte(to, ']');
	buf_append_byte(to, '\n');
}

static const char *format_name(unsigned formats)
{
	static const char *const names[] = {"date",  "date-time", "uuid",
					    "email", "ipv4",	  "uri"};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (formats & 1U << i)
			return names[i];
	return NULL;
}

static void put_string_bounds(struct buf *to, const struct shape *shape, unsigned indent)
{
	const char *format = format_name(shape->formats);
	bool words = shape->types == LEARN_STRING && shape->word_count <= LEARN_WORDS_MAX &&
		     shape->word_count > 1 && shape->strings >= 20 * shape->word_count;

	if (format) {
		put_indent(to, indent);
		buf_printf(to, "format: %s\n", format);
	}
	if (!words) {
		put_number(to, indent, "maxLength", rounded_up(shape->longest, 64));
		return;
	}
	put_indent(to, indent);
	buf_append_cstr(to, "enum: [");
	for (size_t i = 0; i < shape->word_count; i++) {
		if (i)
			buf_append_cstr(to, ", ");
		learn_put_string(to, shape->words[i]);
	}
	buf_append_cstr(to, "]\n");
}

static void put_object(struct buf *to, const struct shape *shape, unsigned indent, bool bounds)
{
	bool any = false;

	if (shape->member_count > LEARN_MEMBERS_MAX) {
		put_indent(to, indent);
		buf_append_cstr(to, "additionalProperties:\n");
		shape_write(to, shape->others, indent + 2, bounds);
		return;
	}
	for (const struct shape_member *m = shape->members; m; m = m->next) {
		if (m->shape->count < shape->objects || shape->objects < 3)
			continue;
		if (!any) {
			put_indent(to, indent);
			buf_append_cstr(to, "required: [");
		} else {
			buf_append_cstr(to, ", ");
		}
		learn_put_string(to, m->name);
		any = true;
	}
	if (any)
		buf_append_cstr(to, "]\n");
	if (!shape->members)
		return;
	put_indent(to, indent);
	buf_append_cstr(to, "properties:\n");
	for (const struct shape_member *m = shape->members; m; m = m->next) {
		learn_put_key(to, indent + 2, m->name);
		buf_append_byte(to, '\n');
		shape_write(to, m->shape, indent + 4, bounds);
	}
}

void shape_write(struct buf *to, const struct shape *shape, unsigned indent, bool bounds)
{
	if (!shape->types) {
		put_indent(to, indent);
		buf_append_cstr(to, "description: never seen with a value\n");
		return;
	}
	put_type(to, shape, indent);
	if (shape->types & LEARN_INTEGER) {
		put_indent(to, indent);
		buf_append_cstr(to, "format: int64\n");
		if (shape->least >= 0 && shape->count >= 10 && bounds)
			put_number(to, indent, "minimum", 0);
	}
	if ((shape->types & LEARN_STRING) && bounds)
		put_string_bounds(to, shape, indent);
	if (shape->types & LEARN_ARRAY) {
		if (bounds)
			put_number(to, indent, "maxItems", rounded_up(shape->most_items, 128));
		put_indent(to, indent);
		buf_append_cstr(to, "items:\n");
		shape_write(to, shape->items, indent + 2, bounds);
	}
	if (shape->types & LEARN_OBJECT)
		put_object(to, shape, indent, bounds);
}
