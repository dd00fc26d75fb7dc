#include "contract/param.h"

#include "parse/uri.h"
#include "parse/utf8.h"

enum shape { SHAPE_SCALAR, SHAPE_ARRAY, SHAPE_OBJECT };

#define SCALAR_TYPES (SCHEMA_BOOLEAN | SCHEMA_INTEGER | SCHEMA_NUMBER | SCHEMA_STRING)

/* `many`: the text is what only a list can be. */
static enum shape shape_of(unsigned types, bool many)
{
	if (types == SCHEMA_ANY_TYPE)
		return SHAPE_SCALAR;
	if (types & SCALAR_TYPES)
		return (types & SCHEMA_ARRAY) && many ? SHAPE_ARRAY : SHAPE_SCALAR;
	if (types & SCHEMA_ARRAY)
		return SHAPE_ARRAY;
	return types & SCHEMA_OBJECT ? SHAPE_OBJECT : SHAPE_SCALAR;
}

/* ---- feeding --------------------------------------------------------------------------------- */

static void fault(struct param_reader *r, enum param_result result)
{
	if (r->fault == PARAM_CHECKED)
		r->fault = result;
}

bool param_decode(struct param_reader *r, struct span *raw)
{
	size_t len;

	if (!r->percent || raw->len == 0 ||
	    (!memchr(raw->ptr, '%', raw->len) && !(r->plus && memchr(raw->ptr, '+', raw->len))))
		return true;
	buf_clear(r->scratch);
	if (buf_reserve(r->scratch, raw->len) < 0) {
		fault(r, PARAM_MEMORY);
		return false;
	}
	if (uri_decode(*raw, r->plus, r->scratch->ptr, &len) != URI_OK) {
		fault(r, PARAM_ESCAPE);
		return false;
	}
	*raw = span_of(r->scratch->ptr, len);
	return true;
}

enum param_result param_feed_text(struct param_reader *r, struct span raw)
{
	if (param_decode(r, &raw))
		(void)schema_run_text(r->run, raw);
	return r->fault;
}

enum param_result param_feed_key(struct param_reader *r, struct span raw)
{
	if (!param_decode(r, &raw))
		return r->fault;
	if (utf8_valid(raw))
		(void)schema_run_token(r->run, JSON_TOKEN_KEY, raw);
	else
		fault(r, PARAM_ESCAPE);
	return r->fault;
}

static void token(struct param_reader *r, enum json_token token)
{
	(void)schema_run_token(r->run, token, SPAN_NONE);
}

/* ---- lists in one text ----------------------------------------------------------------------- */

/* The length of the delimiter at the front of s, or 0. */
static size_t delimiter_at(struct span s, char delimiter)
{
	if (s.ptr[0] == delimiter)
		return 1;
	if (delimiter == ' ' && s.ptr[0] == '+')
		return 1;
	/* These two come encoded, because a query cannot hold them otherwise. */
	if (s.len < 3 || s.ptr[0] != '%')
		return 0;
	if (delimiter == ' ' && s.ptr[1] == '2' && s.ptr[2] == '0')
		return 3;
	if (delimiter == '|' && s.ptr[1] == '7' && ascii_lower(s.ptr[2]) == 'c')
		return 3;
	return 0;
}

/* Cuts the next item off; *rest has ptr NULL after the last. */
static struct span next_item(struct span *rest, char delimiter)
{
	struct span item = *rest;

	for (size_t i = 0; i < item.len; i++) {
		size_t len = delimiter_at(span_slice(item, i, item.len), delimiter);

		if (!len)
			continue;
		*rest = span_of(item.ptr + i + len, item.len - i - len);
		return span_slice(item, 0, i);
	}
	*rest = SPAN_NONE;
	return item;
}

static bool has_delimiter(struct span text, char delimiter)
{
	struct span rest = text;

	(void)next_item(&rest, delimiter);
	return rest.ptr != NULL;
}

static struct span trimmed(const struct param_reader *r, struct span item)
{
	/* Header fields: RFC 9110 section 5.6.1. */
	return r->percent ? item : span_trim(item);
}

static void feed_array(struct param_reader *r, struct span rest, char delimiter)
{
	token(r, JSON_TOKEN_ARRAY_BEGIN);
	while (rest.ptr && r->fault == PARAM_CHECKED)
		(void)param_feed_text(r, trimmed(r, next_item(&rest, delimiter)));
	token(r, JSON_TOKEN_ARRAY_END);
}

/* R,100,G,200 */
static void feed_flat_object(struct param_reader *r, struct span rest, char delimiter)
{
	token(r, JSON_TOKEN_OBJECT_BEGIN);
	while (rest.ptr && r->fault == PARAM_CHECKED) {
		struct span key = trimmed(r, next_item(&rest, delimiter));

		if (!rest.ptr) {
			fault(r, PARAM_STYLE);
			break;
		}
		if (param_feed_key(r, key) == PARAM_CHECKED)
			(void)param_feed_text(r, trimmed(r, next_item(&rest, delimiter)));
	}
	token(r, JSON_TOKEN_OBJECT_END);
}

/* R=100,G=200 */
static void feed_paired_object(struct param_reader *r, struct span rest, char delimiter)
{
	token(r, JSON_TOKEN_OBJECT_BEGIN);
	while (rest.ptr && r->fault == PARAM_CHECKED) {
		struct span value = trimmed(r, next_item(&rest, delimiter));
		struct span key = span_cut(&value, '=');

		if (!value.ptr)
			fault(r, PARAM_STYLE);
		else if (param_feed_key(r, key) == PARAM_CHECKED)
			(void)param_feed_text(r, value);
	}
	token(r, JSON_TOKEN_OBJECT_END);
}

static void feed_delimited(struct param_reader *r, unsigned types, struct span text,
			   char delimiter, bool paired)
{
	/* A list of nothing is one empty item; span_cut() needs a pointer to see it. */
	if (!text.ptr)
		text = SPAN("");
	switch (shape_of(types, has_delimiter(text, delimiter))) {
	case SHAPE_SCALAR: (void)param_feed_text(r, text); break;
	case SHAPE_ARRAY: feed_array(r, text, delimiter); break;
	case SHAPE_OBJECT:
		if (paired)
			feed_paired_object(r, text, delimiter);
		else
			feed_flat_object(r, text, delimiter);
		break;
	}
}

/* ---- path and header ------------------------------------------------------------------------- */

static void feed_label(struct param_reader *r, const struct openapi_parameter *p,
		       struct span text)
{
	char delimiter = p->explode ? '.' : ',';

	if (text.len == 0 || text.ptr[0] != '.') {
		fault(r, PARAM_STYLE);
		return;
	}
	text = span_slice(text, 1, text.len);
	/* OpenAPI 3.0 said ".blue.black" until 3.0.4 took it for a mistake. */
	if (p->old_label && !p->explode && !has_delimiter(text, ','))
		delimiter = '.';
	feed_delimited(r, p->types, text, delimiter, p->explode);
}

/* ";color=" off the front of the text; ";color" alone is the empty value. */
static bool cut_matrix_name(struct span *text, struct span name)
{
	if (text->len < 1 + name.len || text->ptr[0] != ';' ||
	    !span_eq(span_slice(*text, 1, 1 + name.len), name))
		return false;
	*text = span_of(text->ptr + 1 + name.len, text->len - 1 - name.len);
	if (text->len == 0)
		return true;
	if (text->ptr[0] != '=')
		return false;
	*text = span_of(text->ptr + 1, text->len - 1);
	return true;
}

/* ;color=blue;color=black */
static void feed_matrix_list(struct param_reader *r, const struct openapi_parameter *p,
			     struct span text)
{
	token(r, JSON_TOKEN_ARRAY_BEGIN);
	while (text.len > 0 && r->fault == PARAM_CHECKED) {
		size_t end = 1 + span_find_byte(span_slice(text, 1, text.len), ';');
		struct span item = span_slice(text, 0, end);

		text = span_slice(text, end, text.len);
		if (cut_matrix_name(&item, p->name))
			(void)param_feed_text(r, item);
		else
			fault(r, PARAM_STYLE);
	}
	token(r, JSON_TOKEN_ARRAY_END);
}

static void feed_matrix(struct param_reader *r, const struct openapi_parameter *p,
			struct span text)
{
	bool many = text.len > 1 && memchr(text.ptr + 1, ';', text.len - 1);
	enum shape shape = shape_of(p->types, many);

	if (text.len == 0 || text.ptr[0] != ';') {
		fault(r, PARAM_STYLE);
	} else if (p->explode && shape == SHAPE_ARRAY) {
		feed_matrix_list(r, p, text);
	} else if (p->explode && shape == SHAPE_OBJECT) {
		feed_paired_object(r, span_slice(text, 1, text.len), ';');
	} else if (cut_matrix_name(&text, p->name)) {
		feed_delimited(r, p->types, text, ',', false);
	} else {
		fault(r, PARAM_STYLE);
	}
}

/* A parameter with `content`: JSON as it is, anything else one text. */
static void feed_content(struct param_reader *r, const struct openapi_parameter *p,
			 struct span raw)
{
	if (openapi_kind_of(p->content->range) != OPENAPI_KIND_JSON)
		(void)param_feed_text(r, raw);
	else if (param_decode(r, &raw))
		(void)schema_run_feed(r->run, raw);
}

static void begin(struct param_reader *r, const struct openapi_parameter *p)
{
	struct schema_run_options options = {.unknown = r->unknown};

	r->fault = PARAM_CHECKED;
	schema_run_start(r->run, p->schema, &options);
}

static enum param_result end(struct param_reader *r)
{
	if (r->fault == PARAM_CHECKED)
		r->outcome = schema_run_finish(r->run);
	return r->fault;
}

enum param_result param_read_text(struct param_reader *r, const struct openapi_parameter *p,
				  struct span raw)
{
	if (!raw.ptr)
		return PARAM_ABSENT;
	r->percent = p->in == OPENAPI_IN_PATH;
	r->plus = false;
	begin(r, p);
	if (p->content)
		feed_content(r, p, raw);
	else if (p->style == OPENAPI_LABEL)
		feed_label(r, p, raw);
	else if (p->style == OPENAPI_MATRIX)
		feed_matrix(r, p, raw);
	else
		feed_delimited(r, p->types, raw, ',', p->explode);
	return end(r);
}

/* ---- query, cookies and forms ---------------------------------------------------------------- */

static struct span value_of(const struct pair *pair)
{
	return pair->value.ptr ? pair->value : SPAN("");
}

static size_t count_named(const struct pairs *pairs, struct span name, size_t from)
{
	size_t count = 0;

	for (size_t i = from; i < pairs->count; i++)
		count += !pairs->at[i].used && span_eq(pairs->at[i].name, name);
	return count;
}

/* All pairs of the name from `from` on are items. */
static void feed_repeated(struct param_reader *r, struct pairs *pairs, struct span name,
			  size_t from)
{
	token(r, JSON_TOKEN_ARRAY_BEGIN);
	for (size_t i = from; i < pairs->count && r->fault == PARAM_CHECKED; i++) {
		struct pair *pair = &pairs->at[i];

		if (pair->used || !span_eq(pair->name, name))
			continue;
		pair->used = true;
		(void)param_feed_text(r, value_of(pair));
	}
	token(r, JSON_TOKEN_ARRAY_END);
}

static char delimiter_of(enum openapi_style style)
{
	switch (style) {
	case OPENAPI_SPACE: return ' ';
	case OPENAPI_PIPE: return '|';
	case OPENAPI_SIMPLE:
	case OPENAPI_LABEL:
	case OPENAPI_MATRIX:
	case OPENAPI_FORM:
	case OPENAPI_DEEP:
	case OPENAPI_COOKIE: break;
	}
	return ',';
}

/* A pair with this name, and maybe its like. */
static void feed_named(struct param_reader *r, unsigned types, enum openapi_style style,
		       bool explode, struct pairs *pairs, size_t index)
{
	struct pair *pair = &pairs->at[index];
	size_t count = count_named(pairs, pair->name, index);

	if (explode && shape_of(types, count > 1) == SHAPE_ARRAY) {
		feed_repeated(r, pairs, pair->name, index);
		return;
	}
	if (count > 1) {
		for (size_t i = index; i < pairs->count; i++)
			pairs->at[i].used |= span_eq(pairs->at[i].name, pair->name);
		fault(r, PARAM_DUPLICATE);
		return;
	}
	pair->used = true;
	if (explode)
		(void)param_feed_text(r, value_of(pair));
	else
		feed_delimited(r, types, value_of(pair), delimiter_of(style), false);
}

/* "name[key]" gives the key; ptr NULL when the pair is not of that name. */
static struct span deep_key(const struct pair *pair, struct span name)
{
	struct span s = pair->name;

	if (s.len < name.len + 2 || !span_starts_with(s, name) || s.ptr[name.len] != '[' ||
	    s.ptr[s.len - 1] != ']')
		return SPAN_NONE;
	return span_slice(s, name.len + 1, s.len - 1);
}

static unsigned property_types(const struct schema *schema, struct span name)
{
	const struct schema *property = schema_property(schema, name);

	return property ? schema_types(property) : SCHEMA_ANY_TYPE;
}

static bool has_bracket(struct span s)
{
	return s.len && (memchr(s.ptr, '[', s.len) || memchr(s.ptr, ']', s.len));
}

/* color[R]=100&color[G]=200; names are decoded already. */
static void feed_deep(struct param_reader *r, const struct schema *schema, struct span name,
		      struct pairs *pairs, size_t from)
{
	token(r, JSON_TOKEN_OBJECT_BEGIN);
	for (size_t i = from; i < pairs->count && r->fault == PARAM_CHECKED; i++) {
		struct span key = deep_key(&pairs->at[i], name);
		bool percent = r->percent;

		if (pairs->at[i].used || !key.ptr)
			continue;
		/* Deeper nesting has no meaning that everybody agrees on. */
		if (key.len == 0 || has_bracket(key)) {
			fault(r, PARAM_STYLE);
			pairs->at[i].used = true;
			continue;
		}
		r->percent = false;
		(void)param_feed_key(r, key);
		r->percent = percent;
		feed_named(r, property_types(schema, key), OPENAPI_FORM, true, pairs, i);
	}
	token(r, JSON_TOKEN_OBJECT_END);
}

/* R=100&G=200: whatever the schema names and nobody else has taken. */
static bool feed_spread(struct param_reader *r, const struct schema *schema,
			struct pairs *pairs)
{
	bool found = false;

	token(r, JSON_TOKEN_OBJECT_BEGIN);
	for (size_t i = 0; i < pairs->count && r->fault == PARAM_CHECKED; i++) {
		struct span name = pairs->at[i].name;
		const struct schema *property;
		bool percent = r->percent;

		if (pairs->at[i].used)
			continue;
		property = schema_property(schema, name);
		if (!property || schema_types(property) == 0)
			continue;
		found = true;
		r->percent = false;
		(void)param_feed_key(r, name);
		r->percent = percent;
		feed_named(r, schema_types(property), OPENAPI_FORM, true, pairs, i);
	}
	token(r, JSON_TOKEN_OBJECT_END);
	return found;
}

bool param_is_spread(const struct openapi_parameter *p)
{
	return !p->content && p->explode && p->style != OPENAPI_DEEP &&
	       (p->in == OPENAPI_IN_QUERY || p->in == OPENAPI_IN_COOKIE) &&
	       shape_of(p->types, false) == SHAPE_OBJECT;
}

static enum param_result read_deep(struct param_reader *r, const struct openapi_parameter *p,
				   struct pairs *pairs)
{
	size_t i = 0;

	while (i < pairs->count && !deep_key(&pairs->at[i], p->name).ptr)
		i++;
	if (i == pairs->count)
		return PARAM_ABSENT;
	begin(r, p);
	feed_deep(r, p->schema, p->name, pairs, i);
	return end(r);
}

static enum param_result read_named(struct param_reader *r, const struct openapi_parameter *p,
				    struct pairs *pairs)
{
	size_t i = 0;

	while (i < pairs->count && (pairs->at[i].used || !span_eq(pairs->at[i].name, p->name)))
		i++;
	if (i == pairs->count)
		return PARAM_ABSENT;
	if (p->allow_empty && pairs->at[i].value.len == 0 &&
	    count_named(pairs, p->name, i) == 1) {
		pairs->at[i].used = true;
		return PARAM_EMPTY;
	}
	begin(r, p);
	if (!p->content) {
		feed_named(r, p->types, p->style, p->explode, pairs, i);
	} else if (count_named(pairs, p->name, i) > 1) {
		fault(r, PARAM_DUPLICATE);
	} else {
		pairs->at[i].used = true;
		feed_content(r, p, value_of(&pairs->at[i]));
	}
	return end(r);
}

enum param_result param_read_pairs(struct param_reader *r, const struct openapi_parameter *p,
				   struct pairs *pairs)
{
	enum param_result result;

	r->percent = p->style != OPENAPI_COOKIE;
	r->plus = p->in == OPENAPI_IN_QUERY;
	if (!p->content && p->style == OPENAPI_DEEP)
		return read_deep(r, p, pairs);
	if (!param_is_spread(p))
		return read_named(r, p, pairs);
	begin(r, p);
	if (!feed_spread(r, p->schema, pairs) && r->fault == PARAM_CHECKED)
		return PARAM_ABSENT;
	result = end(r);
	return result;
}

enum param_result param_feed_field(struct param_reader *r, const struct openapi_field *field,
				   struct pairs *pairs, size_t index)
{
	r->percent = true;
	r->plus = true;
	r->fault = PARAM_CHECKED;
	if (field->style == OPENAPI_DEEP)
		feed_deep(r, field->schema, field->name, pairs, index);
	else
		feed_named(r, field->types, field->style, field->explode, pairs, index);
	return r->fault;
}
