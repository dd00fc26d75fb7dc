/* What the firewall's rules of phases 3 and 4 make of a service's answer. */
#include "gateway/inspect.h"
#include "parse/coding.h"

/* ---- the request for it ---------------------------------------------------------------------- */

/* "gzip;q=0" is a refusal (RFC 9110 section 12.4.2). */
static bool is_accepted(struct span parameters)
{
	while (parameters.ptr) {
		struct span one = span_trim(span_cut(&parameters, ';'));

		if (one.len < 3 || ascii_lower(one.ptr[0]) != 'q' || one.ptr[1] != '=')
			continue;
		for (size_t i = 2; i < one.len; i++)
			if (one.ptr[i] != '0' && one.ptr[i] != '.')
				return true;
		return false;
	}
	return true;
}

struct span inspect_accept_encoding(const struct exchange *e, struct span accepted)
{
	const struct config_waf *config = e->snapshot->config->waf;

	if (!e->inspection)
		return accepted;
	if (!waf_policy_inspects_response_bodies(e->route->waf->policy))
		return accepted;
	while (config->response.coding == CONFIG_WAF_CODING_DECODE && accepted.ptr) {
		struct span parameters = span_cut(&accepted, ',');
		struct span coding = span_trim(span_cut(&parameters, ';'));

		if (span_eq_nocase(coding, SPAN("gzip")) && is_accepted(parameters))
			return SPAN("gzip");
	}
	return SPAN_NONE;
}

/* ---- phase 3 --------------------------------------------------------------------------------- */

static bool passes(const struct inspection *in)
{
	if (in->failed)
		return !in->block;
	return in->verdict.action == WAF_PASS;
}

/* Rules that look for a coding would leave a body alone that they are shown decoded. */
static void describe(struct inspection *in, const struct http1_head *head, bool has_body)
{
	bool decodes;

	in->coding = CODING_IDENTITY;
	if (has_body)
		in->coding = coding_of(http1_field(head, HTTP_FIELD_CONTENT_ENCODING));
	decodes = in->coding == CODING_GZIP || in->coding == CODING_DEFLATE;
	waf_set_response(in->t, head->status, SPAN("HTTP/1.1"));
	for (size_t i = 0; i < head->field_count; i++)
		if (!decodes || head->fields[i].id != HTTP_FIELD_CONTENT_ENCODING)
			waf_add_response_header(in->t, head->fields[i].name,
						head->fields[i].value);
}

static void run_body(struct inspection *in)
{
	in->failed = waf_response_body(in->t, &in->verdict, &in->err) < 0;
}

bool inspect_response_head(struct exchange *e, const struct http1_head *head, bool no_content,
			   uint64_t *hold_bytes)
{
	struct inspection *in = e->inspection;
	bool has_body = !no_content && head->status != 101;

	*hold_bytes = 0;
	if (!in)
		return true;
	in->of_response = true;
	describe(in, head, has_body);
	in->failed = waf_response_headers(in->t, &in->verdict, &in->err) < 0;
	if (inspection_is_decided(in)) {
		/* Left for inspect_end. */
	} else if (!waf_wants_response_body(in->t)) {
		inspect_end(e);
		return true;
	} else if (has_body) {
		*hold_bytes = waf_response_body_limit(in->t);
	} else {
		run_body(in);
	}
	return passes(in);
}

/* ---- phase 4 --------------------------------------------------------------------------------- */

/* A part of a coded body can be decoded only from its beginning. */
static bool decode(struct inspection *in, struct span held, bool whole)
{
	size_t limit = waf_response_body_limit(in->t);
	uint64_t counted = in->e->spool.counted_bytes;
	enum coding_result result;

	if (in->coding == CODING_UNKNOWN)
		return false;
	/* One byte more tells that there is more. */
	buf_init(&in->decoded, limit + 1);
	result = coding_decode(in->coding, held, &in->decoded);
	if (result == CODING_MEMORY || !spool_count(in->e, counted + in->decoded.cap)) {
		in->failed = true;
		err_set(&in->err, ERR_MEMORY, "no memory to decode a response");
		return true;
	}
	return result == CODING_OK || result == CODING_TOO_LARGE || !whole;
}

bool inspect_response_body(struct exchange *e, struct span held, bool whole)
{
	struct inspection *in = e->inspection;

	if (!in)
		return true;
	if (in->coding != CODING_IDENTITY && !decode(in, held, whole)) {
		in->failed = true;
		in->unreadable = true;
		err_set(&in->err, ERR_INVALID,
			"the response's content coding cannot be undone");
	}
	if (in->failed)
		return passes(in);
	if (in->coding != CODING_IDENTITY)
		held = buf_span(&in->decoded);
	waf_response_body_whole(in->t, held);
	run_body(in);
	return passes(in);
}

/* ---- the answer ------------------------------------------------------------------------------ */

enum phase_result inspect_refuse_response(struct exchange *e)
{
	const struct inspection *in = e->inspection;
	struct span redirect = in->verdict.redirect;

	if (in->unreadable) {
		e->reason = "waf_response_coding";
		return answer_problem(e, 502, "upstream-unreadable", NULL);
	}
	if (in->failed) {
		e->reason = "waf_failed";
		return answer_problem(e, 503, "unavailable", NULL);
	}
	e->reason = "waf_response";
	e->x->close_after = in->verdict.action == WAF_DROP;
	if (redirect.len)
		exchange_add_field(e, SPAN("location"), arena_dup(&e->x->arena, redirect));
	return answer_problem(e, in->verdict.status, "blocked", NULL);
}
