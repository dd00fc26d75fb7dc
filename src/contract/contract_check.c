#include "contract/contract_check.h"

#include "base/mem.h"

/* The line's end between a part and the delimiter after it. */
#define PART_TAIL_BYTES 2
#define PROBLEM_TEXT_BYTES ((size_t)64 << 10)

static void set_defaults(struct contract_check_limits *l)
{
	if (!l->max_body_bytes)
		l->max_body_bytes = (uint64_t)10 << 20;
	if (!l->max_buffered_bytes)
		l->max_buffered_bytes = (size_t)1 << 20;
	if (!l->max_query_pairs)
		l->max_query_pairs = 256;
	if (!l->max_query_bytes)
		l->max_query_bytes = (size_t)16 << 10;
	if (!l->max_parts)
		l->max_parts = 128;
	if (!l->max_cookies)
		l->max_cookies = 64;
	if (!l->max_depth || l->max_depth > JSON_DEPTH_MAX)
		l->max_depth = l->max_depth ? JSON_DEPTH_MAX : 64;
	if (!l->max_string_bytes)
		l->max_string_bytes = (size_t)1 << 20;
	if (!l->max_problems)
		l->max_problems = 32;
	if (!l->max_unknown)
		l->max_unknown = 1000;
}

static int make(struct contract_check *c, struct err *err)
{
	const struct contract_check_limits *l = &c->limits;
	struct schema_run_limits run = {.max_depth = l->max_depth,
					.max_string_bytes = l->max_string_bytes,
					.max_problems = l->max_problems,
					.max_unknown = l->max_unknown};
	struct multipart_limits multipart = {.max_parts = l->max_parts,
					     .max_header_bytes = 4096};
	size_t longest = l->max_query_bytes > l->max_buffered_bytes ? l->max_query_bytes
								    : l->max_buffered_bytes;

	buf_init(&c->scratch, longest + 1);
	buf_init(&c->kept, l->max_buffered_bytes + l->max_query_bytes);
	buf_init(&c->token_scratch, l->max_buffered_bytes + 1);
	multipart_init(&c->multipart, &multipart);
	arena_init(&c->text, PROBLEM_TEXT_BYTES, PROBLEM_TEXT_BYTES);
	c->run = schema_run_new(&run, err);
	if (!c->run)
		return -1;
	c->problems = mem_zalloc(l->max_problems, sizeof(*c->problems));
	c->parts = mem_zalloc(l->max_parts, sizeof(*c->parts));
	if (!c->problems || !c->parts ||
	    pairs_init(&c->query, l->max_query_pairs, l->max_query_bytes) < 0 ||
	    pairs_init(&c->form, l->max_query_pairs, l->max_buffered_bytes) < 0 ||
	    pairs_init(&c->cookies, l->max_cookies, 0) < 0)
		return err_set(err, ERR_MEMORY, "no memory for a check");
	return 0;
}

struct contract_check *contract_check_new(const struct contract_check_limits *limits,
					  struct err *err)
{
	struct contract_check *c = mem_zalloc(1, sizeof(*c));

	if (!c) {
		(void)err_set(err, ERR_MEMORY, "no memory for a check");
		return NULL;
	}
	if (limits)
		c->limits = *limits;
	set_defaults(&c->limits);
	c->result = CONTRACT_VALID;
	if (make(c, err) < 0) {
		contract_check_free(c);
		return NULL;
	}
	return c;
}

void contract_check_free(struct contract_check *c)
{
	if (!c)
		return;
	schema_run_free(c->run);
	schema_run_free(c->inner);
	pairs_release(&c->query);
	pairs_release(&c->cookies);
	pairs_release(&c->form);
	buf_release(&c->scratch);
	buf_release(&c->kept);
	buf_release(&c->token_scratch);
	multipart_release(&c->multipart);
	xml_check_free(c->xml);
	arena_release(&c->text);
	mem_free(c->problems);
	mem_free(c->parts);
	mem_free(c);
}

enum contract_result check_end(struct contract_check *c, enum contract_result result)
{
	if (c->result == CONTRACT_MORE)
		c->result = result;
	return c->result;
}

enum schema_unknown check_unknown(const struct contract_check *c)
{
	switch (c->policy.properties) {
	case CONTRACT_UNKNOWN_ALLOW: break;
	case CONTRACT_UNKNOWN_STRIP: return SCHEMA_UNKNOWN_STRIP;
	case CONTRACT_UNKNOWN_REFUSE: return SCHEMA_UNKNOWN_REFUSE;
	}
	return SCHEMA_UNKNOWN_ALLOW;
}

void check_limit_patterns(struct contract_check *c)
{
	schema_run_limit_patterns(c->run, c->policy.pattern_time_ms);
	if (c->inner)
		schema_run_limit_patterns(c->inner, c->policy.pattern_time_ms);
}

static void begin(struct contract_check *c, const struct contract *contract,
		  const struct contract_policy *policy, bool is_response)
{
	c->result = CONTRACT_MORE;
	c->contract = contract;
	c->policy = *policy;
	c->is_response = is_response;
	c->content_expected = false;
	c->content_required = false;
	c->media = NULL;
	c->kind = OPENAPI_KIND_BINARY;
	c->max_body_bytes = c->limits.max_body_bytes;
	c->received = 0;
	c->json_ended = false;
	c->line_count = 0;
	c->in_line = false;
	c->after_return = false;
	c->problem_count = 0;
	c->part_count = 0;
	c->query.count = 0;
	c->form.count = 0;
	arena_reset(&c->text);
	buf_clear(&c->kept);
	check_limit_patterns(c);
}

static const struct openapi_operation *inside(const struct contract_operation *operation)
{
	return (const struct openapi_operation
			*)(const void *)((const char *)operation -
					 offsetof(struct openapi_operation, public));
}

enum contract_result contract_check_request(struct contract_check *c,
					    const struct contract *contract,
					    const struct contract_route *route,
					    const struct contract_request *request,
					    const struct contract_policy *policy)
{
	const struct openapi_operation *o = inside(route->operation);

	begin(c, contract, policy, false);
	if (o->public.extensions.max_body_bytes)
		c->max_body_bytes = o->public.extensions.max_body_bytes;
	check_parameters(c, o, route, request);
	c->content_required = o->body_required;
	if (!request->has_content) {
		if (o->body_required)
			check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("required"),
				      SPAN_NONE);
		return c->result;
	}
	if (o->body_stated)
		check_begin_content(c, &o->body, request->fields, request->field_count);
	else
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("content"),
			      SPAN("no content"));
	return c->result;
}

enum contract_result contract_check_response(struct contract_check *c,
					     const struct contract *contract,
					     const struct contract_operation *operation,
					     const struct contract_response *response,
					     const struct contract_policy *policy)
{
	const struct openapi_operation *o = inside(operation);
	const struct openapi_response *r = NULL;

	begin(c, contract, policy, true);
	for (size_t i = 0; i < o->response_count && !r; i++)
		if (response->status >= o->responses[i].low &&
		    response->status <= o->responses[i].high)
			r = &o->responses[i];
	if (!r) {
		check_problem(c, CONTRACT_IN_STATUS, SPAN_NONE, SPAN("status"),
			      SPAN("a status of the contract"));
		return check_end(c, CONTRACT_INVALID);
	}
	check_headers(c, r->headers, r->header_count, response->fields, response->field_count);
	if (!response->no_content && r->content.count)
		check_begin_content(c, &r->content, response->fields, response->field_count);
	return c->result;
}

bool contract_check_failed(const struct contract_check *c)
{
	return c->problem_count > 0 ||
	       (c->result != CONTRACT_MORE && c->result != CONTRACT_VALID);
}

size_t contract_check_problems(const struct contract_check *c,
			       const struct contract_problem **problems)
{
	*problems = c->problems;
	return c->problem_count;
}

/* ---- cutting --------------------------------------------------------------------------------- */

bool contract_check_cuts_query(const struct contract_check *c)
{
	return (c->result == CONTRACT_VALID || c->result == CONTRACT_MORE) &&
	       pairs_is_cut(&c->query);
}

int contract_check_write_query(struct contract_check *c, struct buf *to)
{
	return pairs_write(&c->query, to);
}

static size_t json_cuts(const struct contract_check *c, const struct schema_cut **cuts)
{
	if (!c->media || c->kind != OPENAPI_KIND_JSON || c->received == 0 ||
	    c->policy.properties != CONTRACT_UNKNOWN_STRIP)
		return 0;
	return schema_run_cuts(c->run, cuts);
}

bool contract_check_cuts_body(const struct contract_check *c)
{
	const struct schema_cut *cuts;

	if (c->result != CONTRACT_VALID)
		return false;
	for (size_t i = 0; i < c->part_count; i++)
		if (c->parts[i].cut || c->parts[i].squeezed)
			return true;
	return pairs_is_cut(&c->form) || json_cuts(c, &cuts) > 0;
}

static void write_without(struct span body, uint64_t *from, uint64_t start, uint64_t end,
			  struct buf *to)
{
	buf_append(to, span_slice(body, (size_t)*from, (size_t)start));
	*from = end;
}

int contract_check_write_body(struct contract_check *c, struct span body, struct buf *to)
{
	const struct schema_cut *cuts = NULL;
	size_t count = json_cuts(c, &cuts);
	uint64_t from = 0;

	if (pairs_is_cut(&c->form))
		return pairs_write(&c->form, to);
	for (size_t i = 0; i < count; i++)
		write_without(body, &from, cuts[i].start, cuts[i].end, to);
	for (size_t i = 0; i < c->part_count; i++) {
		const struct check_part *part = &c->parts[i];
		uint64_t end = part->end - PART_TAIL_BYTES;

		if (part->cut)
			write_without(body, &from, part->start, part->end, to);
		if (!part->squeezed)
			continue;
		write_without(body, &from, end - part->bytes, end, to);
		buf_append(to, span_slice(buf_span(&c->kept), part->text,
					  part->text + part->text_len));
	}
	write_without(body, &from, body.len, body.len, to);
	return buf_failed(to) ? -1 : 0;
}
