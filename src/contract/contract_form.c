/* Bodies that are objects of fields: application/x-www-form-urlencoded and multipart content. */
#include "contract/contract_check.h"
#include "parse/utf8.h"

#define PLACEHOLDER_MAX ((size_t)64 << 10)

static const struct openapi_field *find_field(const struct openapi_media *media,
					      struct span name)
{
	for (size_t i = 0; i < media->field_count; i++)
		if (span_eq(media->fields[i].name, name))
			return &media->fields[i];
	return NULL;
}

/* Does no schema say anything about which fields there are? */
static bool is_open(const struct openapi_media *media)
{
	return media->field_count == 0 && !schema_additional(media->schema);
}

static bool is_known(const struct openapi_media *media, struct span name)
{
	const struct schema *property;

	if (is_open(media))
		return true;
	property = schema_property(media->schema, name);
	return property && schema_types(property) != 0;
}

/* ---- JSON within a form ---------------------------------------------------------------------- */

/* Feeds one JSON value to the run, which waits for a value. False when it is no JSON. */
static bool feed_json(struct contract_check *c, struct span text)
{
	struct json_limits limits = {.max_depth = c->limits.max_depth,
				     .max_string_bytes = c->limits.max_string_bytes,
				     .max_number_bytes = 128};
	bool finished = false;

	buf_clear(&c->token_scratch);
	json_tokens_init(&c->tokens, &limits, &c->token_scratch);
	json_tokens_feed(&c->tokens, text);
	for (;;) {
		enum json_token token = json_tokens_next(&c->tokens);

		if (token == JSON_TOKEN_END)
			return true;
		if (token == JSON_TOKEN_ERROR)
			return false;
		if (token != JSON_TOKEN_MORE) {
			(void)schema_run_token(c->run, token, c->tokens.text);
		} else if (!finished) {
			json_tokens_finish(&c->tokens);
			finished = true;
		}
	}
}

static bool is_json_type(struct span type)
{
	return openapi_kind_of(span_trim(span_slice(type, 0, span_find_byte(type, ';')))) ==
	       OPENAPI_KIND_JSON;
}

static bool is_object_only(const struct openapi_field *field)
{
	return field && (field->types & ~(unsigned)SCHEMA_NULL) == SCHEMA_OBJECT;
}

/* ---- urlencoded ------------------------------------------------------------------------------ */

static void report(struct contract_check *c, enum contract_where where, struct span name,
		   enum param_result result)
{
	name = utf8_valid(name) ? span_slice(name, 0, 100) : SPAN_NONE;
	switch (result) {
	case PARAM_CHECKED:
	case PARAM_ABSENT:
	case PARAM_EMPTY: break;
	case PARAM_ESCAPE: check_problem(c, where, name, SPAN("encoding"), SPAN_NONE); break;
	case PARAM_STYLE: check_problem(c, where, name, SPAN("style"), SPAN_NONE); break;
	case PARAM_DUPLICATE:
		check_problem(c, where, name, SPAN("duplicate"), SPAN_NONE);
		break;
	case PARAM_MEMORY: (void)check_end(c, CONTRACT_MEMORY); break;
	}
}

/* "name" of "name[key]" when a field of that name is written so. */
static const struct openapi_field *find_deep_field(const struct openapi_media *media,
						   struct span name)
{
	size_t bracket = span_find_byte(name, '[');
	const struct openapi_field *field = NULL;

	if (bracket < name.len)
		field = find_field(media, span_slice(name, 0, bracket));
	return field && field->style == OPENAPI_DEEP ? field : NULL;
}

static enum param_result feed_json_pair(struct contract_check *c, struct param_reader *reader,
					const struct openapi_field *field, struct pairs *pairs,
					size_t index)
{
	struct pair *pair = &pairs->at[index];
	struct span value = pair->value;

	for (size_t i = index + 1; i < pairs->count; i++)
		if (span_eq(pairs->at[i].name, pair->name))
			return PARAM_DUPLICATE;
	pair->used = true;
	reader->percent = reader->plus = true;
	if (!param_decode(reader, &value))
		return reader->fault;
	/* A query is not ours to change, and is parted only for a while. */
	if (pairs == &c->form)
		check_cut_pair(c, field, pair, &value);
	return feed_json(c, value) ? PARAM_CHECKED : PARAM_STYLE;
}

static bool looks_like_object(struct span value)
{
	return span_starts_with(value, SPAN("{")) || span_starts_with(value, SPAN("%7B")) ||
	       span_starts_with(value, SPAN("%7b"));
}

/* A key and the value that belongs to it. */
static enum param_result feed_field(struct contract_check *c, struct param_reader *reader,
				    const struct openapi_field *field, struct pairs *pairs,
				    size_t index)
{
	struct pair *pair = &pairs->at[index];
	enum param_result result;

	reader->percent = false;
	reader->fault = PARAM_CHECKED;
	result = param_feed_key(reader, field->name);
	if (result != PARAM_CHECKED)
		return result;
	if (field->style != OPENAPI_DEEP &&
	    (is_json_type(field->content_type) ||
	     (is_object_only(field) && looks_like_object(pair->value))))
		return feed_json_pair(c, reader, field, pairs, index);
	return param_feed_field(reader, field, pairs, index);
}

void check_feed_pairs(struct contract_check *c, const struct openapi_media *media,
		      struct pairs *pairs, enum contract_where where,
		      enum contract_unknown unknown)
{
	struct param_reader reader = {.run = c->run, .scratch = &c->scratch};

	(void)schema_run_token(c->run, JSON_TOKEN_OBJECT_BEGIN, SPAN_NONE);
	for (size_t i = 0; i < pairs->count && c->result == CONTRACT_MORE; i++) {
		struct pair *pair = &pairs->at[i];
		const struct openapi_field *field = find_field(media, pair->name);
		struct openapi_field other = {.name = pair->name, .explode = true};
		enum param_result result;

		if (pair->used)
			continue;
		if (!field)
			field = find_deep_field(media, pair->name);
		if (!field) {
			if (unknown == CONTRACT_UNKNOWN_STRIP && !is_known(media, pair->name)) {
				pair->used = pair->cut = true;
				continue;
			}
			other.style = OPENAPI_FORM;
			other.schema = schema_property(media->schema, pair->name);
			if (!other.schema)
				other.schema = schema_anything();
			other.types = schema_types(other.schema);
			field = &other;
		}
		result = feed_field(c, &reader, field, pairs, i);
		if (result != PARAM_CHECKED) {
			report(c, where, field->name, result);
			/* The run waits for a value that does not come: no more can be said. */
			(void)check_end(c, CONTRACT_INVALID);
			return;
		}
	}
	(void)schema_run_token(c->run, JSON_TOKEN_OBJECT_END, SPAN_NONE);
}

static void start_run(struct contract_check *c, const struct schema *schema)
{
	struct schema_run_options options = {.unknown = check_unknown(c)};

	/* What is unknown was cut before it could be fed, or cannot be. */
	if (options.unknown == SCHEMA_UNKNOWN_STRIP)
		options.unknown = SCHEMA_UNKNOWN_ALLOW;
	schema_run_start(c->run, schema, &options);
}

void check_finish_form(struct contract_check *c)
{
	enum pairs_result result = pairs_parse(&c->form, buf_span(&c->kept));

	switch (result) {
	case PAIRS_OK: break;
	case PAIRS_BAD_ESCAPE:
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("encoding"), SPAN_NONE);
		return;
	case PAIRS_TOO_MANY:
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("limit"), SPAN("pairs"));
		return;
	case PAIRS_MEMORY: (void)check_end(c, CONTRACT_MEMORY); return;
	}
	start_run(c, c->media->schema);
	check_feed_pairs(c, c->media, &c->form, CONTRACT_IN_BODY, c->policy.properties);
	if (c->result == CONTRACT_MORE)
		check_run_problems(c, CONTRACT_IN_BODY, SPAN_NONE, schema_run_finish(c->run),
				   0);
}

/* ---- multipart: while it streams in ---------------------------------------------------------- */

static struct span kept(const struct contract_check *c, size_t at, size_t len)
{
	return span_slice(buf_span(&c->kept), at, at + len);
}

static bool hold(struct contract_check *c, struct span s, size_t *at, size_t *len)
{
	*at = c->kept.len;
	*len = s.len;
	if (s.len > c->limits.max_buffered_bytes - c->kept.len) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("limit"),
			      SPAN("buffered bytes"));
		(void)check_end(c, CONTRACT_TOO_LARGE);
		return false;
	}
	if (buf_append(&c->kept, s) < 0) {
		(void)check_end(c, CONTRACT_MEMORY);
		return false;
	}
	return true;
}

/* Anything but text and JSON has bytes that nobody looks at. */
static bool is_file(const struct openapi_field *field, const struct multipart *m)
{
	enum openapi_kind kind;

	if (field && field->types != SCHEMA_ANY_TYPE)
		return field->binary;
	if (m->file_name.ptr)
		return true;
	if (!m->content_type.ptr)
		return false;
	kind = openapi_kind_of(span_trim(
		span_slice(m->content_type, 0, span_find_byte(m->content_type, ';'))));
	return kind != OPENAPI_KIND_TEXT && kind != OPENAPI_KIND_JSON;
}

/* encoding.contentType: a list of types and ranges. */
static bool type_fits(struct span list, struct span type)
{
	type = span_trim(span_slice(type, 0, span_find_byte(type, ';')));
	while (list.ptr) {
		struct span range = span_trim(span_cut(&list, ','));

		range = span_trim(span_slice(range, 0, span_find_byte(range, ';')));
		if (openapi_range_covers(range, type))
			return true;
	}
	return false;
}

/* The value of a part's header; ptr NULL: there is none. */
static enum param_result find_header(struct span header, struct span name, struct span *value)
{
	*value = SPAN_NONE;
	while (header.len > 0) {
		size_t end = span_find(header, SPAN("\r\n"));
		struct span line = span_slice(header, 0, end);
		size_t colon = span_find_byte(line, ':');

		header = span_slice(header, end + 2, header.len);
		if (!span_eq_nocase(span_slice(line, 0, colon), name))
			continue;
		if (value->ptr)
			return PARAM_DUPLICATE;
		*value = span_trim(span_slice(line, colon + 1, line.len));
	}
	return PARAM_CHECKED;
}

/* encoding.headers; the run waits for the parts to be whole, and can be used meanwhile. */
static void check_part_headers(struct contract_check *c, const struct openapi_field *field,
			       struct span header)
{
	struct param_reader reader = check_reader(c);

	for (size_t i = 0; i < field->header_count; i++) {
		const struct openapi_parameter *p = &field->headers[i];
		struct span value;
		enum param_result result = find_header(header, p->name, &value);

		if (result == PARAM_CHECKED)
			result = param_read_text(&reader, p, value);
		check_take(c, CONTRACT_IN_BODY, p, result, &reader);
	}
}

/* Parts by position are called by their index. */
static const struct openapi_field *field_at(const struct openapi_media *media, size_t index)
{
	return &media->parts[index < media->part_count ? index : media->part_count - 1];
}

static void begin_part(struct contract_check *c)
{
	const struct multipart *m = &c->multipart;
	size_t index = c->part_count++;
	struct check_part *part = &c->parts[index];
	struct span type = m->content_type.ptr ? m->content_type : SPAN("text/plain");
	struct span name = m->name;
	bool ordered = c->media->part_count > 0;
	char digits[24];

	*part = (struct check_part){.start = m->part_start};
	if (ordered) {
		int len = snprintf(digits, sizeof(digits), "%zu", index);

		name = span_of(digits, (size_t)len);
		part->field = field_at(c->media, index);
	} else {
		part->field = find_field(c->media, name);
	}
	if (!utf8_valid(name)) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("encoding"), SPAN_NONE);
		(void)check_end(c, CONTRACT_INVALID);
		return;
	}
	if (!hold(c, name, &part->name, &part->name_len) ||
	    !hold(c, m->content_type, &part->type, &part->type_len))
		return;
	part->is_file = is_file(part->field, m);
	part->cut = !part->field && c->policy.properties == CONTRACT_UNKNOWN_STRIP &&
		    !is_known(c->media, name);
	part->held = !part->is_file && !part->cut;
	part->text = c->kept.len;
	if (part->field)
		check_part_headers(c, part->field, m->header);
	if (part->field && part->field->content_type.len &&
	    !type_fits(part->field->content_type, type))
		check_problem(c, CONTRACT_IN_BODY, name, SPAN("contentType"),
			      part->field->content_type);
}

static void end_part(struct contract_check *c)
{
	struct check_part *part = &c->parts[c->part_count - 1];
	const struct openapi_field *field = part->field;

	part->end = c->multipart.part_start;
	if (part->held)
		part->text_len = c->kept.len - part->text;
	if (!part->is_file || !field)
		return;
	/* minLength is seen by the schema: see feed_file(). */
	if (part->bytes > field->max_bytes)
		check_length_problem(c, kept(c, part->name, part->name_len), field->schema,
				     "maxLength", field->max_bytes);
}

static void take_event(struct contract_check *c, enum multipart_event event)
{
	struct check_part *part;
	size_t at, len;

	switch (event) {
	case MULTIPART_PART: begin_part(c); break;
	case MULTIPART_DATA:
		part = &c->parts[c->part_count - 1];
		part->bytes += c->multipart.data.len;
		if (part->held)
			(void)hold(c, c->multipart.data, &at, &len);
		break;
	case MULTIPART_PART_END: end_part(c); break;
	case MULTIPART_ERROR:
		if (c->multipart.error == MULTIPART_MEMORY) {
			(void)check_end(c, CONTRACT_MEMORY);
			break;
		}
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE,
			      c->multipart.error >= MULTIPART_HEADER_LONG ? SPAN("limit")
									  : SPAN("syntax"),
			      span_cstr(multipart_error_text(c->multipart.error)));
		(void)check_end(c, CONTRACT_INVALID);
		break;
	case MULTIPART_MORE:
	case MULTIPART_END: break;
	}
}

static void drain(struct contract_check *c)
{
	enum multipart_event event = MULTIPART_PART;

	while (c->result == CONTRACT_MORE && event != MULTIPART_MORE &&
	       event != MULTIPART_END) {
		event = multipart_next(&c->multipart);
		take_event(c, event);
	}
}

enum contract_result check_feed_multipart(struct contract_check *c, struct span piece)
{
	multipart_feed(&c->multipart, piece);
	drain(c);
	return c->result;
}

/* ---- multipart: once it is whole ------------------------------------------------------------- */

/*
 * A string in place of bytes that were not kept: as long as the schema demands, or as short as the
 * file is. The upper bound was checked when the part ended.
 */
static void feed_file(struct contract_check *c, const struct check_part *part)
{
	size_t len = part->field ? part->field->min_bytes : 0;

	if (len > part->bytes)
		len = (size_t)part->bytes;
	if (len > PLACEHOLDER_MAX)
		len = PLACEHOLDER_MAX;
	buf_clear(&c->scratch);
	if (buf_reserve(&c->scratch, len + 1) < 0) {
		(void)check_end(c, CONTRACT_MEMORY);
		return;
	}
	memset(c->scratch.ptr, 'x', len);
	(void)schema_run_token(c->run, JSON_TOKEN_STRING, span_of(c->scratch.ptr, len));
}

static void feed_part(struct contract_check *c, struct check_part *part, bool item)
{
	struct span type = kept(c, part->type, part->type_len);
	struct span text = kept(c, part->text, part->text_len);

	part->used = true;
	if (part->is_file) {
		feed_file(c, part);
	} else if (is_json_type(type) ||
		   (part->field && is_json_type(part->field->content_type)) ||
		   (is_object_only(part->field) && span_starts_with(text, SPAN("{")))) {
		if (!c->media->part_count)
			check_cut_part(c, part, item);
		if (feed_json(c, kept(c, part->text, part->text_len)))
			return;
		check_problem(c, CONTRACT_IN_BODY, kept(c, part->name, part->name_len),
			      SPAN("syntax"), SPAN("JSON"));
		(void)check_end(c, CONTRACT_INVALID);
	} else {
		(void)schema_run_text(c->run, text);
	}
}

static bool same_name(struct contract_check *c, const struct check_part *a,
		      const struct check_part *b)
{
	return span_eq(kept(c, a->name, a->name_len), kept(c, b->name, b->name_len));
}

static void feed_parts(struct contract_check *c, size_t first)
{
	struct check_part *part = &c->parts[first];
	struct span name = kept(c, part->name, part->name_len);
	unsigned types = SCHEMA_ANY_TYPE;
	bool array, many = false;

	if (is_known(c->media, name) && schema_property(c->media->schema, name))
		types = schema_types(schema_property(c->media->schema, name));
	for (size_t i = first + 1; i < c->part_count; i++)
		many |= same_name(c, part, &c->parts[i]);
	array = (types & ~(unsigned)SCHEMA_NULL) == SCHEMA_ARRAY ||
		((types & SCHEMA_ARRAY) && many);
	/* A list may also come as one part of JSON. */
	if (array && !many && is_json_type(kept(c, part->type, part->type_len)))
		array = false;
	if (many && !array) {
		check_problem(c, CONTRACT_IN_BODY, name, SPAN("duplicate"), SPAN_NONE);
		(void)check_end(c, CONTRACT_INVALID);
		return;
	}
	(void)schema_run_token(c->run, JSON_TOKEN_KEY, name);
	if (array)
		(void)schema_run_token(c->run, JSON_TOKEN_ARRAY_BEGIN, SPAN_NONE);
	for (size_t i = first; i < c->part_count && c->result == CONTRACT_MORE; i++)
		if (i == first || same_name(c, part, &c->parts[i]))
			feed_part(c, &c->parts[i], array);
	if (array)
		(void)schema_run_token(c->run, JSON_TOKEN_ARRAY_END, SPAN_NONE);
}

static void finish_run(struct contract_check *c, struct span name)
{
	if (c->result == CONTRACT_MORE)
		check_run_problems(c, CONTRACT_IN_BODY, name, schema_run_finish(c->run), 0);
}

/* The parts are the items of an array, and each of them one that itemSchema describes. */
static void check_ordered(struct contract_check *c)
{
	start_run(c, c->media->schema);
	(void)schema_run_token(c->run, JSON_TOKEN_ARRAY_BEGIN, SPAN_NONE);
	for (size_t i = 0; i < c->part_count && c->result == CONTRACT_MORE; i++)
		feed_part(c, &c->parts[i], true);
	(void)schema_run_token(c->run, JSON_TOKEN_ARRAY_END, SPAN_NONE);
	finish_run(c, SPAN_NONE);
	for (size_t i = 0; c->media->item && i < c->part_count && c->result == CONTRACT_MORE;
	     i++) {
		struct check_part *part = &c->parts[i];

		start_run(c, c->media->item);
		feed_part(c, part, true);
		finish_run(c, kept(c, part->name, part->name_len));
	}
}

static void check_named(struct contract_check *c)
{
	start_run(c, c->media->schema);
	(void)schema_run_token(c->run, JSON_TOKEN_OBJECT_BEGIN, SPAN_NONE);
	for (size_t i = 0; i < c->part_count && c->result == CONTRACT_MORE; i++)
		if (!c->parts[i].used && !c->parts[i].cut)
			feed_parts(c, i);
	(void)schema_run_token(c->run, JSON_TOKEN_OBJECT_END, SPAN_NONE);
	finish_run(c, SPAN_NONE);
}

void check_finish_multipart(struct contract_check *c)
{
	multipart_finish(&c->multipart);
	drain(c);
	if (c->result != CONTRACT_MORE)
		return;
	if (c->media->part_count)
		check_ordered(c);
	else
		check_named(c);
}
