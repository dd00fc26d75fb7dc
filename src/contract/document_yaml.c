#include <yaml.h>

#include "base/map.h"
#include "contract/document_tree.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

struct yaml_reader {
	struct tree_builder *b;
	yaml_parser_t parser;
	struct map anchors; /* name -> struct tree_slot in the arena */
	struct span text;
	bool started; /* a document has begun */
};

static struct tree_place place_of(yaml_mark_t mark)
{
	return (struct tree_place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static int no_memory(struct yaml_reader *r, struct tree_place place)
{
	return tree_no_memory(r->b, place);
}

/* libyaml says of bytes that are no UTF-8 only how many come before them. */
static struct tree_place place_of_byte(struct span text, size_t offset)
{
	struct tree_place place = {1, 1};

	for (size_t i = 0; i < offset && i < text.len; i++) {
		place.column++;
		if (text.ptr[i] != '\n')
			continue;
		place.line++;
		place.column = 1;
	}
	return place;
}

static int parse_failed(struct yaml_reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "unreadable";

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(r, (struct tree_place){0, 0});
	if (p->error == YAML_READER_ERROR)
		return tree_error(r->b, place_of_byte(r->text, p->problem_offset), ERR_SYNTAX,
				  "%s", problem);
	if (p->context)
		return tree_error(r->b, place_of(p->problem_mark), ERR_SYNTAX, "%s (%s)",
				  problem, p->context);
	return tree_error(r->b, place_of(p->problem_mark), ERR_SYNTAX, "%s", problem);
}

/* ---- scalars: the core schema of YAML 1.2, section 10.3.2 ------------------------------------ */

static bool is_one_of(struct span s, const char *const words[3])
{
	for (size_t i = 0; i < 3; i++)
		if (span_eq(s, span_cstr(words[i])))
			return true;
	return false;
}

static size_t digits_in(struct span s, size_t at)
{
	size_t from = at;

	while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
		at++;
	return at - from;
}

/* "0o17", "0x1F": the value, or false. */
static bool based_number(struct span s, uint64_t *value)
{
	unsigned base = 0;

	if (s.len > 2 && s.ptr[0] == '0')
		base = s.ptr[1] == 'o' ? 8 : s.ptr[1] == 'x' ? 16 : 0;
	if (!base)
		return false;
	*value = 0;
	for (size_t i = 2; i < s.len; i++) {
		char c = ascii_lower(s.ptr[i]);
		unsigned digit = 99;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		if (digit >= base || __builtin_mul_overflow(*value, base, value) ||
		    __builtin_add_overflow(*value, digit, value))
			return false;
	}
	return true;
}

/*
 * A decimal number as JSON writes it, into `out`; false when it is none. YAML allows a plus, leading
 * zeros, and a point without digits on one side.
 */
static bool decimal_number(struct span s, struct buf *out)
{
	size_t at = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
	size_t whole = digits_in(s, at);
	size_t from = at;
	size_t fraction = 0;

	if (at && s.ptr[0] == '-')
		buf_append_byte(out, '-');
	at += whole;
	while (whole > 1 && s.ptr[from] == '0') {
		from++;
		whole--;
	}
	buf_append(out, whole ? span_slice(s, from, at) : SPAN("0"));
	if (at < s.len && s.ptr[at] == '.') {
		fraction = digits_in(s, at + 1);
		if (fraction)
			buf_append(out, span_slice(s, at, at + 1 + fraction));
		at += 1 + fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
		size_t sign = at + 1 < s.len && (s.ptr[at + 1] == '-' || s.ptr[at + 1] == '+');
		size_t exponent = digits_in(s, at + 1 + sign);

		if (!exponent)
			return false;
		buf_append(out, span_slice(s, at, at + 1 + sign + exponent));
		at += 1 + sign + exponent;
	}
	return at == s.len;
}

static bool looks_special(struct span s)
{
	static const char *const infinite[3] = {".inf", ".Inf", ".INF"};
	static const char *const none[3] = {".nan", ".NaN", ".NAN"};

	if (is_one_of(s, none))
		return true;
	if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
		s = span_slice(s, 1, s.len);
	return is_one_of(s, infinite);
}

/* 1: it is a number; 0: it is none; -1: failed. */
static int take_number(struct yaml_reader *r, struct span s, struct json *value,
		       struct tree_place place)
{
	struct buf text;
	uint64_t number;
	bool is_number;

	if (looks_special(s))
		return tree_error(r->b, place, ERR_INVALID,
				  "JSON has no number \"%.*s\"; quote it if it is text",
				  SPAN_ARG(s));
	if (s.len == 0 || s.len > 1024 || !strchr("+-.0123456789", s.ptr[0]))
		return 0;
	buf_init(&text, 2048);
	is_number = based_number(s, &number);
	if (is_number) {
		buf_append_u64(&text, number);
	} else {
		is_number = decimal_number(s, &text);
	}
	if (buf_failed(&text)) {
		buf_release(&text);
		return no_memory(r, place);
	}
	if (is_number) {
		value->type = JSON_NUMBER;
		value->text = arena_dup(r->b->arena, buf_span(&text));
	}
	buf_release(&text);
	if (is_number && !value->text.ptr)
		return no_memory(r, place);
	return is_number;
}

static int take_plain(struct yaml_reader *r, struct span s, struct json *value,
		      struct tree_place place)
{
	static const char *const nulls[3] = {"null", "Null", "NULL"};
	static const char *const trues[3] = {"true", "True", "TRUE"};
	static const char *const falses[3] = {"false", "False", "FALSE"};

	if (s.len == 0 || span_eq(s, SPAN("~")) || is_one_of(s, nulls)) {
		value->type = JSON_NULL;
		return 1;
	}
	if (is_one_of(s, trues) || is_one_of(s, falses)) {
		value->type = JSON_BOOL;
		value->boolean = ascii_lower(s.ptr[0]) == 't';
		return 1;
	}
	return take_number(r, s, value, place);
}

/* The tag without the prefix of the core schema; "str" also for "!". False for other tags. */
static bool core_tag(const yaml_char_t *tag, struct span *name)
{
	struct span whole = span_cstr((const char *)tag);

	*name = SPAN_NONE;
	if (!tag)
		return true;
	if (span_eq(whole, SPAN("!"))) {
		*name = SPAN("str");
		return true;
	}
	if (!span_starts_with(whole, SPAN(TAG_PREFIX)))
		return false;
	*name = span_slice(whole, sizeof(TAG_PREFIX) - 1, whole.len);
	return true;
}

static int scalar_value(struct yaml_reader *r, const yaml_event_t *event, struct json *value)
{
	struct span s = span_of(event->data.scalar.value, event->data.scalar.length);
	struct tree_place place = place_of(event->start_mark);
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct span tag;
	int known = 0;

	*value = (struct json){.type = JSON_STRING};
	if (!core_tag(event->data.scalar.tag, &tag))
		return tree_error(r->b, place, ERR_INVALID, "unknown tag");
	if (tag.ptr ? !span_eq(tag, SPAN("str")) : plain)
		known = take_plain(r, s, value, place);
	if (known < 0)
		return -1;
	if (known)
		return 0;
	if (tag.ptr && !span_eq(tag, SPAN("str")))
		return tree_error(r->b, place, ERR_INVALID, "the value does not fit its tag");
	value->text = arena_dup(r->b->arena, s);
	return value->text.ptr ? 0 : no_memory(r, place);
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct span keep_name(struct yaml_reader *r, const yaml_char_t *name)
{
	return name ? arena_dup(r->b->arena, span_cstr((const char *)name)) : SPAN_NONE;
}

static int remember(struct yaml_reader *r, struct span anchor, const struct tree_slot *slot)
{
	struct tree_slot *copy;

	if (!anchor.ptr)
		return 0;
	copy = arena_new(r->b->arena, struct tree_slot);
	if (!copy || map_put(&r->anchors, anchor, copy) != 0)
		return no_memory(r, slot->place);
	*copy = *slot;
	return 0;
}

static int on_scalar(struct yaml_reader *r, const yaml_event_t *event)
{
	struct tree_place place = place_of(event->start_mark);
	struct tree_slot slot = {.place = place, .weight = 1};
	struct span text = span_of(event->data.scalar.value, event->data.scalar.length);
	struct span anchor = keep_name(r, event->data.scalar.anchor);

	if (event->data.scalar.anchor && !anchor.ptr)
		return no_memory(r, place);
	if (tree_wants_key(r->b)) {
		bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		struct span key = arena_dup(r->b->arena, text);

		if (!key.ptr)
			return no_memory(r, place);
		return tree_key(r->b, key, place, plain && span_eq(key, SPAN("<<")));
	}
	if (scalar_value(r, event, &slot.value) < 0 || remember(r, anchor, &slot) < 0)
		return -1;
	return tree_value(r->b, &slot.value, place, 1, 0);
}

static int on_start(struct yaml_reader *r, bool is_object, const yaml_char_t *anchor,
		    const yaml_char_t *tag, struct tree_place place)
{
	struct span name = keep_name(r, anchor);
	struct span tag_name;

	if (anchor && !name.ptr)
		return no_memory(r, place);
	if (tree_wants_key(r->b))
		return tree_error(r->b, place, ERR_INVALID, "a key must be text");
	if (!core_tag(tag, &tag_name) ||
	    (tag_name.ptr && !span_eq(tag_name, is_object ? SPAN("map") : SPAN("seq"))))
		return tree_error(r->b, place, ERR_INVALID, "unknown tag");
	/* From here on the name means this node, which is not there yet. */
	if (name.ptr)
		map_remove(&r->anchors, name);
	return tree_open(r->b, is_object, place, name);
}

static int on_end(struct yaml_reader *r)
{
	struct span anchor = r->b->levels[r->b->depth].anchor;
	const struct tree_slot *slot = tree_close(r->b);

	return slot ? remember(r, anchor, slot) : -1;
}

static int on_alias(struct yaml_reader *r, const yaml_event_t *event)
{
	struct tree_place place = place_of(event->start_mark);
	const struct tree_slot *slot =
		map_get(&r->anchors, span_cstr((const char *)event->data.alias.anchor));

	if (tree_wants_key(r->b))
		return tree_error(r->b, place, ERR_INVALID, "a key must be text");
	if (!slot)
		return tree_error(r->b, place, ERR_INVALID,
				  "an alias of something that is not there yet");
	return tree_value(r->b, &slot->value, place, slot->weight, slot->height);
}

static int on_event(struct yaml_reader *r, const yaml_event_t *event)
{
	struct tree_place place = place_of(event->start_mark);

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->started)
			return tree_error(r->b, place, ERR_INVALID,
					  "a second document: only one is allowed");
		r->started = true;
		return 0;
	case YAML_SCALAR_EVENT: return on_scalar(r, event);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(r, false, event->data.sequence_start.anchor,
				event->data.sequence_start.tag, place);
	case YAML_MAPPING_START_EVENT:
		return on_start(r, true, event->data.mapping_start.anchor,
				event->data.mapping_start.tag, place);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: return on_end(r);
	case YAML_ALIAS_EVENT: return on_alias(r, event);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT: break;
	}
	return 0;
}

const struct json *document_read_yaml(struct tree_builder *b, struct span text)
{
	struct yaml_reader r = {.b = b, .anchors = MAP_INIT, .text = text};
	bool end = false;
	int result = 0;

	if (!yaml_parser_initialize(&r.parser)) {
		(void)no_memory(&r, (struct tree_place){0, 0});
		return NULL;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&r.parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
	while (!end && result == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(&r.parser, &event)) {
			result = parse_failed(&r);
			break;
		}
		end = event.type == YAML_STREAM_END_EVENT;
		result = on_event(&r, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&r.parser);
	map_release(&r.anchors);
	return result < 0 ? NULL : tree_finish(b);
}
