#include "parse/json_write.h"

#include <math.h>

#include "parse/json.h"

static void before_value(struct json_writer *w)
{
	if (w->need_comma)
		buf_append_byte(w->to, ',');
	w->need_comma = true;
}

/* In quotes, and a colon behind them: nearly all text is copied at once. */
HOT static void put_quoted(struct json_writer *w, struct span s, bool is_key)
{
	struct buf *to = w->to;
	char *at;

	before_value(w);
	if (buf_reserve(to, s.len + 2 + is_key) < 0)
		return;
	if (UNLIKELY(!buf_json_is_plain(s))) {
		buf_append_byte(to, '"');
		buf_append_json(to, s);
		buf_append(to, is_key ? SPAN("\":") : SPAN("\""));
		return;
	}
	at = to->ptr + to->len;
	*at++ = '"';
	if (s.len)
		memcpy(at, s.ptr, s.len);
	at[s.len] = '"';
	if (is_key)
		at[s.len + 1] = ':';
	to->len += s.len + 2 + is_key;
}

static void begin(struct json_writer *w, char bracket)
{
	before_value(w);
	buf_append_byte(w->to, bracket);
	w->need_comma = false;
}

static void end(struct json_writer *w, char bracket)
{
	buf_append_byte(w->to, bracket);
	w->need_comma = true;
}

void json_begin_object(struct json_writer *w)
{
	begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
	end(w, '}');
}

void json_begin_array(struct json_writer *w)
{
	begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
	end(w, ']');
}

void json_key(struct json_writer *w, struct span key)
{
	put_quoted(w, key, true);
	w->need_comma = false;
}

void json_put_string(struct json_writer *w, struct span value)
{
	put_quoted(w, value, false);
}

void json_put_int(struct json_writer *w, int64_t value)
{
	before_value(w);
	buf_append_i64(w->to, value);
}

void json_put_uint(struct json_writer *w, uint64_t value)
{
	before_value(w);
	buf_append_u64(w->to, value);
}

void json_put_double(struct json_writer *w, double value)
{
	char text[32];
	int len = 0;

	if (!isfinite(value)) {
		json_put_null(w);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		len = snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	before_value(w);
	buf_append_bytes(w->to, text, (size_t)len);
}

void json_put_bool(struct json_writer *w, bool value)
{
	before_value(w);
	buf_append(w->to, value ? SPAN("true") : SPAN("false"));
}

void json_put_null(struct json_writer *w)
{
	before_value(w);
	buf_append(w->to, SPAN("null"));
}

void json_put_raw(struct json_writer *w, struct span json)
{
	before_value(w);
	buf_append(w->to, json);
}

void json_member_string(struct json_writer *w, struct span key, struct span value)
{
	json_key(w, key);
	json_put_string(w, value);
}

void json_member_int(struct json_writer *w, struct span key, int64_t value)
{
	json_key(w, key);
	json_put_int(w, value);
}

void json_member_bool(struct json_writer *w, struct span key, bool value)
{
	json_key(w, key);
	json_put_bool(w, value);
}

/* Recursion is bounded by the depth that the parser allowed, JSON_DEPTH_MAX at most. */
void json_put_tree(struct json_writer *w, const struct json *value)
{
	switch (value->type) {
	case JSON_NULL: json_put_null(w); break;
	case JSON_BOOL: json_put_bool(w, value->boolean); break;
	case JSON_NUMBER: json_put_raw(w, value->text); break;
	case JSON_STRING: json_put_string(w, value->text); break;
	case JSON_ARRAY:
		json_begin_array(w);
		for (size_t i = 0; i < value->array.count; i++)
			json_put_tree(w, &value->array.items[i]);
		json_end_array(w);
		break;
	case JSON_OBJECT:
		json_begin_object(w);
		for (size_t i = 0; i < value->object.count; i++) {
			json_key(w, value->object.members[i].key);
			json_put_tree(w, &value->object.members[i].value);
		}
		json_end_object(w);
		break;
	}
}
