/* Bodies in a content coding are decoded before anything looks at them. */
#include "gateway/exchange.h"
#include "gateway/fields.h"
#include "parse/coding.h"

static enum phase_result refuse_coding(struct exchange *e, const char *accepted)
{
	e->reason = "content_coding";
	/* RFC 9110 section 15.5.16 */
	exchange_add_field(e, SPAN("accept-encoding"), span_cstr(accepted));
	return answer_problem(e, 415, "unsupported-content-coding", NULL);
}

static enum phase_result refuse_large(struct exchange *e)
{
	e->reason = "body_too_large";
	return answer_problem(e, 413, "body-too-large",
			      "a compressed body must fit limits.body_buffer when decoded");
}

/* The lines of Content-Encoding are gone, for those who look and for the service. */
static void remove_coding(struct http1_head *head)
{
	size_t kept = 0;

	memset(head->first, 0, sizeof(head->first));
	for (size_t i = 0; i < head->field_count; i++) {
		enum http_field_id id = head->fields[i].id;

		if (id == HTTP_FIELD_CONTENT_ENCODING)
			continue;
		head->fields[kept++] = head->fields[i];
		if (id != HTTP_FIELD_OTHER && !head->first[id])
			head->first[id] = (uint16_t)kept;
	}
	head->field_count = kept;
}

static bool is_repeated(const struct http1_head *head)
{
	unsigned lines = 0;

	for (size_t i = 0; i < head->field_count; i++)
		lines += head->fields[i].id == HTTP_FIELD_CONTENT_ENCODING;
	return lines > 1;
}

static enum phase_result decode_held(struct exchange *e, enum coding coding)
{
	enum phase_result result = PHASE_NEXT;
	struct buf plain;

	buf_init(&plain, e->snapshot->config->limits.body_buffer_bytes);
	switch (coding_decode(coding, e->spool.held, &plain)) {
	case CODING_OK:
		if (spool_count(e, e->spool.owned.cap + plain.cap)) {
			spool_replace(e, &plain);
			break;
		}
		e->reason = "body_buffers_full";
		result = answer_problem(e, 503, "unavailable", NULL);
		break;
	case CODING_MALFORMED:
		e->reason = "malformed";
		result = answer_problem(e, 400, "malformed-body",
					"the body is not in its content coding");
		break;
	case CODING_TOO_LARGE: result = refuse_large(e); break;
	case CODING_MEMORY:
		e->reason = "out_of_memory";
		result = answer_problem(e, 503, "out-of-memory", NULL);
		break;
	}
	buf_release(&plain);
	return result;
}

static enum phase_result hold_and_decode(struct exchange *e)
{
	struct http1_head *head = &e->x->request;
	enum coding coding = coding_of(http1_field(head, HTTP_FIELD_CONTENT_ENCODING));
	enum phase_result result;
	bool whole;

	if (coding == CODING_UNKNOWN || is_repeated(head))
		return refuse_coding(e, CODING_KNOWN);
	if (coding != CODING_IDENTITY) {
		if (e->snapshot->config->limits.compressed == CONFIG_COMPRESSED_REFUSE)
			return refuse_coding(e, "identity");
		if (spool_cannot_hold(e))
			return refuse_large(e);
		result = spool_hold(e, &whole);
		if (result != PHASE_NEXT)
			return result;
		if (!whole)
			return refuse_large(e);
		result = decode_held(e, coding);
		if (result != PHASE_NEXT)
			return result;
	}
	remove_coding(head);
	return PHASE_NEXT;
}

enum phase_result decode_body(struct exchange *e)
{
	const struct http1_head *head = &e->x->request;

	if (LIKELY(!head->first[HTTP_FIELD_CONTENT_ENCODING]) || !fields_announce_content(head))
		return PHASE_NEXT;
	return hold_and_decode(e);
}
