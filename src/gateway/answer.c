#include "base/buf.h"
#include "gateway/exchange.h"

#define PROBLEM_MAX 2048
#define ANSWER_TIMEOUT_MS 10000

static struct span problem_body(struct exchange *e, unsigned status, const char *type,
				const char *detail, struct span name, struct span json)
{
	struct buf body;
	struct span copy;

	buf_init(&body, PROBLEM_MAX + json.len);
	buf_printf(&body, "{\"type\":\"urn:sallyport:problem:%s\",\"title\":\"", type);
	buf_append_json(&body, http_reason_phrase(status));
	buf_printf(&body, "\",\"status\":%u", status);
	if (detail) {
		buf_append_cstr(&body, ",\"detail\":\"");
		buf_append_json(&body, span_cstr(detail));
		buf_append_byte(&body, '"');
	}
	buf_append_cstr(&body, ",\"request_id\":\"");
	buf_append_json(&body, e->request_id);
	buf_append_byte(&body, '"');
	if (json.ptr) {
		buf_printf(&body, ",\"%.*s\":", SPAN_ARG(name));
		buf_append(&body, json);
	}
	buf_append_cstr(&body, "}\n");
	copy = buf_failed(&body) ? SPAN_NONE : arena_dup(&e->x->arena, buf_span(&body));
	buf_release(&body);
	return copy;
}

enum phase_result answer_with(struct exchange *e, unsigned status,
			      const struct http_field *fields, size_t count, struct span body)
{
	struct http_response response = {.status = status,
					 .fields = fields,
					 .field_count = count,
					 .content_length = (int64_t)body.len};
	int64_t deadline_ms = loop_deadline_ms(ANSWER_TIMEOUT_MS);
	enum io_result result;

	if (e->x->client_gone)
		return PHASE_GONE;
	result = respond_head(e, &response, body.len ? HTTP_SEND_MORE : HTTP_SEND_END,
			      deadline_ms);
	if (result == IO_OK && body.len)
		result = http_send_body(e->x, body, HTTP_SEND_END, deadline_ms);
	return result == IO_OK ? PHASE_ANSWERED : PHASE_GONE;
}

enum phase_result answer_problem(struct exchange *e, unsigned status, const char *type,
				 const char *detail)
{
	return answer_problem_with(e, status, type, detail, SPAN_NONE, SPAN_NONE);
}

enum phase_result answer_problem_with(struct exchange *e, unsigned status, const char *type,
				      const char *detail, struct span name, struct span json)
{
	static const struct http_field fields[] = {
		{SPAN_INIT("content-type"), SPAN_INIT("application/problem+json"),
		 HTTP_FIELD_CONTENT_TYPE},
		{SPAN_INIT("cache-control"), SPAN_INIT("no-store"), HTTP_FIELD_CACHE_CONTROL}};

	if (!e->reason)
		e->reason = type;
	return answer_with(e, status, fields, COUNT_OF(fields),
			   problem_body(e, status, type, detail, name, json));
}

enum phase_result answer_fixed(struct exchange *e, const struct config_answer *answer,
			       const struct buf *file)
{
	struct http_field *fields =
		arena_array(&e->x->arena, struct http_field, answer->headers.count + 1);
	size_t count = 0;

	if (!fields)
		return answer_problem(e, 503, "out-of-memory", NULL);
	if (answer->content_type.len)
		fields[count++] = (struct http_field){
			SPAN("content-type"), answer->content_type, HTTP_FIELD_CONTENT_TYPE};
	for (size_t i = 0; i < answer->headers.count; i++)
		fields[count++] = (struct http_field){
			answer->headers.at[i].name, answer->headers.at[i].value,
			http_field_lookup(answer->headers.at[i].name)};
	return answer_with(e, answer->status, fields, count,
			   answer->file.len ? buf_span(file) : answer->body);
}
