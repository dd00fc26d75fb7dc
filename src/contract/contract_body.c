#include "contract/contract_check.h"
#include "parse/utf8.h"

/* ---- media types ----------------------------------------------------------------------------- */

static const struct http_field *find(const struct http_field *fields, size_t count,
				     struct span name, size_t *times)
{
	const struct http_field *found = NULL;

	*times = 0;
	for (size_t i = 0; i < count; i++) {
		if (!span_eq_nocase(fields[i].name, name))
			continue;
		found = &fields[i];
		(*times)++;
	}
	return found;
}

/* A parameter of a media type (RFC 9110 section 8.3.1); false when it is malformed or twice. */
static bool media_parameter(struct span rest, struct span wanted, struct span *value)
{
	*value = SPAN_NONE;
	while (rest.len > 0) {
		struct span name, text;
		size_t equals = span_find_byte(rest, '=');
		size_t end;

		if (equals == rest.len)
			return span_trim(rest).len == 0;
		name = span_trim(span_slice(rest, 0, equals));
		rest = span_trim(span_slice(rest, equals + 1, rest.len));
		if (rest.len && rest.ptr[0] == '"') {
			rest = span_slice(rest, 1, rest.len);
			end = span_find_byte(rest, '"');
			text = span_slice(rest, 0, end);
			if (end == rest.len || memchr(text.ptr, '\\', text.len))
				return false;
			rest = span_trim(span_slice(rest, end + 1, rest.len));
		} else {
			end = span_find_byte(rest, ';');
			text = span_trim(span_slice(rest, 0, end));
			rest = span_slice(rest, end, rest.len);
			if (!http_is_token(text))
				return false;
		}
		if (!http_is_token(name) || (rest.len && rest.ptr[0] != ';'))
			return false;
		rest = span_trim(span_slice(rest, 1, rest.len));
		if (!span_eq_nocase(name, wanted))
			continue;
		if (value->ptr)
			return false;
		*value = text;
	}
	return true;
}

static bool is_utf8_charset(struct span charset)
{
	return !charset.ptr || span_eq_nocase(charset, SPAN("utf-8")) ||
	       span_eq_nocase(charset, SPAN("utf8")) ||
	       span_eq_nocase(charset, SPAN("us-ascii"));
}

static void refuse_type(struct contract_check *c, struct span detail)
{
	check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("contentType"), detail);
	(void)check_end(c, c->is_response ? CONTRACT_INVALID : CONTRACT_TYPE);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void start_content(struct contract_check *c, struct span type, struct span parameters)
{
	struct schema_run_options options = {.unknown = check_unknown(c)};
	struct span charset, boundary;
	bool named;

	if (!media_parameter(parameters, SPAN("charset"), &charset) ||
	    !media_parameter(parameters, SPAN("boundary"), &boundary)) {
		refuse_type(c, SPAN("a content type with well-formed parameters"));
		return;
	}
	/* What is read as text must be the text that the service reads. */
	if (!is_utf8_charset(charset)) {
		if (c->kind != OPENAPI_KIND_TEXT && c->kind != OPENAPI_KIND_BINARY) {
			refuse_type(c, SPAN("charset=utf-8"));
			return;
		}
		c->kind = OPENAPI_KIND_BINARY;
	}
	switch (c->kind) {
	case OPENAPI_KIND_JSON: schema_run_start(c->run, c->media->schema, &options); break;
	case OPENAPI_KIND_MULTIPART:
		/* Parts that are told by their position need no names, unless RFC 7578 says so. */
		named = !c->media->part_count ||
			span_eq_nocase(type, SPAN("multipart/form-data"));
		if (!multipart_start(&c->multipart, boundary, named))
			refuse_type(c, SPAN("a boundary"));
		break;
	case OPENAPI_KIND_XML:
		if (!c->xml) {
			struct xml_limits limits = XML_LIMITS_DEFAULT;

			limits.max_depth = c->limits.max_depth;
			c->xml = xml_check_new(&limits, NULL);
		}
		if (!c->xml || !xml_check_start(c->xml))
			(void)check_end(c, CONTRACT_MEMORY);
		break;
	case OPENAPI_KIND_LINES:
	case OPENAPI_KIND_SEQUENCE:
	case OPENAPI_KIND_EVENTS:
	case OPENAPI_KIND_FORM:
	case OPENAPI_KIND_TEXT:
	case OPENAPI_KIND_BINARY: break;
	}
	c->content_expected = c->result == CONTRACT_MORE;
}

void check_begin_content(struct contract_check *c, const struct openapi_content *content,
			 const struct http_field *fields, size_t field_count)
{
	const struct http_field *field;
	struct span parameters, type;
	size_t times;

	buf_clear(&c->kept);
	field = find(fields, field_count, SPAN("content-encoding"), &times);
	if (field && (times > 1 || !span_eq_nocase(field->value, SPAN("identity")))) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("contentEncoding"),
			      SPAN("no content coding"));
		(void)check_end(c, c->is_response ? CONTRACT_INVALID : CONTRACT_TYPE);
		return;
	}
	field = find(fields, field_count, SPAN("content-type"), &times);
	if (times > 1) {
		refuse_type(c, SPAN("one content type"));
		return;
	}
	parameters = field ? field->value : SPAN("application/octet-stream");
	type = span_trim(span_cut(&parameters, ';'));
	for (size_t i = 0; i < content->count && !c->media; i++)
		if (openapi_range_covers(content->at[i].range, type))
			c->media = &content->at[i];
	if (!c->media) {
		refuse_type(c, SPAN("a content type of the contract"));
		return;
	}
	c->kind = openapi_kind_of(type);
	if (c->media->binary && c->kind != OPENAPI_KIND_FORM &&
	    c->kind != OPENAPI_KIND_MULTIPART)
		c->kind = OPENAPI_KIND_BINARY;
	start_content(c, type, parameters);
}

/* ---- feeding --------------------------------------------------------------------------------- */

static void feed_json(struct contract_check *c, struct span piece)
{
	enum schema_result outcome;

	if (c->json_ended)
		return;
	outcome = schema_run_feed(c->run, piece);
	if (outcome == SCHEMA_MORE)
		return;
	c->json_ended = true;
	check_run_problems(c, CONTRACT_IN_BODY, SPAN_NONE, outcome, 0);
	(void)check_end(c, CONTRACT_INVALID);
}

static void keep(struct contract_check *c, struct span piece)
{
	if (piece.len > c->limits.max_buffered_bytes - c->kept.len) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("limit"),
			      SPAN("buffered bytes"));
		(void)check_end(c, CONTRACT_TOO_LARGE);
	} else if (buf_append(&c->kept, piece) < 0) {
		(void)check_end(c, CONTRACT_MEMORY);
	}
}

static void feed_xml(struct contract_check *c, enum xml_result result)
{
	if (result == XML_MORE || result == XML_OK)
		return;
	if (result == XML_MEMORY) {
		(void)check_end(c, CONTRACT_MEMORY);
		return;
	}
	check_problem(c, CONTRACT_IN_BODY, SPAN_NONE,
		      result == XML_LIMIT ? SPAN("limit") : SPAN("syntax"),
		      span_cstr(xml_result_text(result)));
	(void)check_end(c, CONTRACT_INVALID);
}

enum contract_result contract_check_feed(struct contract_check *c, struct span piece)
{
	if (c->result != CONTRACT_MORE || piece.len == 0)
		return c->result;
	if (!c->content_expected) {
		/* Nothing was told of a response's content: it is not checked, only measured. */
		if (!c->is_response)
			return check_end(c, CONTRACT_INVALID);
		c->received += piece.len;
		return c->result;
	}
	if (piece.len > c->max_body_bytes - c->received) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("limit"), SPAN("bytes"));
		return check_end(c, c->is_response ? CONTRACT_INVALID : CONTRACT_TOO_LARGE);
	}
	switch (c->kind) {
	case OPENAPI_KIND_JSON: feed_json(c, piece); break;
	case OPENAPI_KIND_LINES:
	case OPENAPI_KIND_SEQUENCE:
	case OPENAPI_KIND_EVENTS: (void)check_feed_stream(c, piece); break;
	case OPENAPI_KIND_FORM: keep(c, piece); break;
	case OPENAPI_KIND_TEXT:
		if (c->media->schema != schema_anything())
			keep(c, piece);
		break;
	case OPENAPI_KIND_MULTIPART: (void)check_feed_multipart(c, piece); break;
	case OPENAPI_KIND_XML: feed_xml(c, xml_check_feed(c->xml, piece)); break;
	case OPENAPI_KIND_BINARY: break;
	}
	c->received += piece.len;
	return c->result;
}

static void finish_json(struct contract_check *c)
{
	if (c->json_ended)
		return;
	c->json_ended = true;
	check_run_problems(c, CONTRACT_IN_BODY, SPAN_NONE, schema_run_finish(c->run), 0);
}

enum contract_result contract_check_stop(struct contract_check *c)
{
	if (c->result != CONTRACT_MORE)
		return c->result;
	if (c->content_expected && c->kind == OPENAPI_KIND_JSON && !c->json_ended &&
	    schema_run_stop(c->run) == SCHEMA_INVALID) {
		c->json_ended = true;
		check_run_problems(c, CONTRACT_IN_BODY, SPAN_NONE, SCHEMA_INVALID, 0);
	}
	return c->problem_count ? check_end(c, CONTRACT_INVALID) : c->result;
}

static void finish_text(struct contract_check *c)
{
	if (c->media->schema == schema_anything())
		return;
	if (!utf8_valid(buf_span(&c->kept))) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("encoding"), SPAN("UTF-8"));
		return;
	}
	check_run_problems(c, CONTRACT_IN_BODY, SPAN_NONE,
			   schema_run_scalar(c->run, c->media->schema, buf_span(&c->kept)), 0);
}

/* The lengths of a schema for content that nobody reads are in bytes, whatever it says besides. */
static void finish_binary(struct contract_check *c)
{
	const struct openapi_media *media = c->media;

	if (c->received < media->min_bytes)
		check_length_problem(c, SPAN_NONE, media->schema, "minLength",
				     media->min_bytes);
	if (c->received > media->max_bytes)
		check_length_problem(c, SPAN_NONE, media->schema, "maxLength",
				     media->max_bytes);
}

enum contract_result contract_check_finish(struct contract_check *c)
{
	if (c->result != CONTRACT_MORE)
		return c->result;
	/* Content that may be absent, and is empty. */
	if (c->content_expected && (c->received > 0 || c->content_required || c->is_response)) {
		switch (c->kind) {
		case OPENAPI_KIND_JSON: finish_json(c); break;
		case OPENAPI_KIND_LINES:
		case OPENAPI_KIND_SEQUENCE:
		case OPENAPI_KIND_EVENTS: check_finish_stream(c); break;
		case OPENAPI_KIND_FORM: check_finish_form(c); break;
		case OPENAPI_KIND_TEXT: finish_text(c); break;
		case OPENAPI_KIND_MULTIPART: check_finish_multipart(c); break;
		case OPENAPI_KIND_XML: feed_xml(c, xml_check_finish(c->xml)); break;
		case OPENAPI_KIND_BINARY: finish_binary(c); break;
		}
	}
	return check_end(c, c->problem_count ? CONTRACT_INVALID : CONTRACT_VALID);
}
