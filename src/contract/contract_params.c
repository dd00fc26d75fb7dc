#include "contract/contract_check.h"
#include "parse/utf8.h"

static enum contract_where where_of(enum openapi_in in)
{
	switch (in) {
	case OPENAPI_IN_PATH: return CONTRACT_IN_PATH;
	case OPENAPI_IN_QUERY:
	case OPENAPI_IN_QUERYSTRING: return CONTRACT_IN_QUERY;
	case OPENAPI_IN_HEADER: return CONTRACT_IN_HEADER;
	case OPENAPI_IN_COOKIE: return CONTRACT_IN_COOKIE;
	}
	return CONTRACT_IN_QUERY;
}

struct param_reader check_reader(struct contract_check *c)
{
	return (struct param_reader){.run = c->run,
				     .scratch = &c->scratch,
				     .unknown = c->policy.properties == CONTRACT_UNKNOWN_REFUSE
							? SCHEMA_UNKNOWN_REFUSE
							: SCHEMA_UNKNOWN_ALLOW};
}

void check_take(struct contract_check *c, enum contract_where where,
		const struct openapi_parameter *p, enum param_result result,
		const struct param_reader *reader)
{
	switch (result) {
	case PARAM_CHECKED: check_run_problems(c, where, p->name, reader->outcome, 0); return;
	case PARAM_ABSENT:
		if (p->required)
			check_problem(c, where, p->name, SPAN("required"), SPAN_NONE);
		return;
	case PARAM_EMPTY: return;
	case PARAM_ESCAPE:
		check_problem(c, where, p->name, SPAN("encoding"), SPAN_NONE);
		return;
	case PARAM_STYLE: check_problem(c, where, p->name, SPAN("style"), SPAN_NONE); return;
	case PARAM_DUPLICATE:
		check_problem(c, where, p->name, SPAN("duplicate"), SPAN_NONE);
		return;
	case PARAM_MEMORY: (void)check_end(c, CONTRACT_MEMORY); return;
	}
}

static void take(struct contract_check *c, const struct openapi_parameter *p,
		 enum param_result result, const struct param_reader *reader)
{
	check_take(c, where_of(p->in), p, result, reader);
}

/* ---- header fields --------------------------------------------------------------------------- */

/* All fields of the name as one list; ptr NULL: there is none. */
static enum param_result find_field(struct contract_check *c, const struct openapi_parameter *p,
				    const struct http_field *fields, size_t count,
				    struct span *value)
{
	bool joined = false;

	*value = SPAN_NONE;
	for (size_t i = 0; i < count; i++) {
		if (!span_eq_nocase(fields[i].name, p->name))
			continue;
		if (!value->ptr) {
			*value = fields[i].value.ptr ? fields[i].value : SPAN("");
			continue;
		}
		if (!(p->types & (SCHEMA_ARRAY | SCHEMA_OBJECT)) ||
		    (p->types & SCHEMA_STRING && p->types != SCHEMA_ANY_TYPE))
			return PARAM_DUPLICATE;
		/* RFC 9110 section 5.3: lists may be parted. Nothing else uses `kept` yet. */
		if (!joined) {
			buf_clear(&c->kept);
			buf_append(&c->kept, *value);
		}
		joined = true;
		buf_append_byte(&c->kept, ',');
		buf_append(&c->kept, fields[i].value);
	}
	if (!joined)
		return PARAM_CHECKED;
	*value = buf_span(&c->kept);
	return buf_failed(&c->kept) ? PARAM_MEMORY : PARAM_CHECKED;
}

void check_headers(struct contract_check *c, const struct openapi_parameter *headers,
		   size_t count, const struct http_field *fields, size_t field_count)
{
	struct param_reader reader = check_reader(c);

	for (size_t i = 0; i < count; i++) {
		const struct openapi_parameter *p = &headers[i];
		enum param_result result;
		struct span value;

		if (p->in != OPENAPI_IN_HEADER)
			continue;
		result = find_field(c, p, fields, field_count, &value);
		if (result == PARAM_CHECKED)
			result = param_read_text(&reader, p, value);
		take(c, p, result, &reader);
	}
}

/* ---- cookies (RFC 6265 section 4.2.1) -------------------------------------------------------- */

static void add_cookies(struct contract_check *c, struct span list)
{
	struct pairs *cookies = &c->cookies;

	while (list.ptr) {
		struct span value = span_trim(span_cut(&list, ';'));
		struct span name;

		if (value.len == 0)
			continue;
		if (cookies->count == cookies->max) {
			check_problem(c, CONTRACT_IN_COOKIE, SPAN_NONE, SPAN("limit"),
				      SPAN("cookies"));
			return;
		}
		name = span_cut(&value, '=');
		cookies->at[cookies->count++] = (struct pair){.name = name, .value = value};
	}
}

static void read_cookies(struct contract_check *c, const struct contract_request *request)
{
	c->cookies.count = 0;
	for (size_t i = 0; i < request->field_count; i++)
		if (span_eq_nocase(request->fields[i].name, SPAN("cookie")))
			add_cookies(c, request->fields[i].value);
}

/* ---- query ----------------------------------------------------------------------------------- */

static bool read_query(struct contract_check *c, struct span query)
{
	enum pairs_result result;

	c->query.count = 0;
	if (query.len > c->limits.max_query_bytes) {
		check_problem(c, CONTRACT_IN_QUERY, SPAN_NONE, SPAN("limit"), SPAN("bytes"));
		return false;
	}
	result = pairs_parse(&c->query, query);
	switch (result) {
	case PAIRS_OK: return true;
	case PAIRS_BAD_ESCAPE:
		check_problem(c, CONTRACT_IN_QUERY, SPAN_NONE, SPAN("encoding"), SPAN_NONE);
		break;
	case PAIRS_TOO_MANY:
		check_problem(c, CONTRACT_IN_QUERY, SPAN_NONE, SPAN("limit"), SPAN("pairs"));
		break;
	case PAIRS_MEMORY: (void)check_end(c, CONTRACT_MEMORY); break;
	}
	return false;
}

static void refuse_unknown(struct contract_check *c)
{
	for (size_t i = 0; i < c->query.count; i++) {
		struct pair *pair = &c->query.at[i];

		if (pair->used)
			continue;
		if (c->policy.query == CONTRACT_UNKNOWN_STRIP) {
			pair->cut = true;
			continue;
		}
		check_problem(c, CONTRACT_IN_QUERY,
			      utf8_valid(pair->name) ? span_slice(pair->name, 0, 100)
						     : SPAN_NONE,
			      SPAN("unknown"), SPAN_NONE);
	}
}

/* The security schemes' own parameters are known. */
static void use_api_keys(struct contract_check *c, const struct openapi_operation *o)
{
	for (size_t i = 0; i < o->public.security_count; i++) {
		const struct contract_alternative *a = &o->public.security[i];

		for (size_t k = 0; k < a->demand_count; k++) {
			const struct contract_scheme *scheme = a->demands[k].scheme;

			if (scheme->kind != CONTRACT_SCHEME_API_KEY ||
			    !span_eq(scheme->in, SPAN("query")))
				continue;
			for (size_t q = 0; q < c->query.count; q++)
				if (span_eq(c->query.at[q].name, scheme->parameter))
					c->query.at[q].used = true;
		}
	}
}

/* The whole query is one value (3.2). */
static void check_querystring(struct contract_check *c, const struct openapi_parameter *p,
			      struct span query)
{
	struct param_reader reader = check_reader(c);
	struct openapi_parameter as_text = *p;
	struct schema_run_options options = {.unknown = reader.unknown};

	for (size_t i = 0; i < c->query.count; i++)
		c->query.at[i].used = true;
	if (openapi_kind_of(p->content->range) != OPENAPI_KIND_FORM || query.len == 0) {
		as_text.in = OPENAPI_IN_PATH;
		take(c, p, param_read_text(&reader, &as_text, query.len ? query : SPAN_NONE),
		     &reader);
		return;
	}
	for (size_t i = 0; i < c->query.count; i++)
		c->query.at[i].used = false;
	schema_run_start(c->run, p->schema, &options);
	check_feed_pairs(c, p->content, &c->query, CONTRACT_IN_QUERY, c->policy.query);
	check_run_problems(c, CONTRACT_IN_QUERY, p->name, schema_run_finish(c->run), 0);
	for (size_t i = 0; i < c->query.count; i++)
		c->query.at[i].used = true;
}

static void check_pairs(struct contract_check *c, const struct openapi_operation *o,
			bool spread, struct span query)
{
	struct param_reader reader = check_reader(c);

	for (size_t i = 0; i < o->parameter_count && c->result == CONTRACT_MORE; i++) {
		const struct openapi_parameter *p = &o->parameters[i];

		if (p->in == OPENAPI_IN_QUERYSTRING) {
			if (spread)
				check_querystring(c, p, query);
			continue;
		}
		if ((p->in != OPENAPI_IN_QUERY && p->in != OPENAPI_IN_COOKIE) ||
		    param_is_spread(p) != spread)
			continue;
		take(c, p,
		     param_read_pairs(&reader, p,
				      p->in == OPENAPI_IN_QUERY ? &c->query : &c->cookies),
		     &reader);
	}
}

static void check_path(struct contract_check *c, const struct openapi_operation *o,
		       const struct contract_route *route)
{
	struct param_reader reader = check_reader(c);

	for (size_t i = 0; i < o->parameter_count; i++) {
		const struct openapi_parameter *p = &o->parameters[i];
		struct span raw = SPAN_NONE;

		if (p->in != OPENAPI_IN_PATH)
			continue;
		if (p->path_index < route->value_count)
			raw = route->values[p->path_index];
		take(c, p, param_read_text(&reader, p, raw), &reader);
	}
}

void check_parameters(struct contract_check *c, const struct openapi_operation *o,
		      const struct contract_route *route,
		      const struct contract_request *request)
{
	check_path(c, o, route);
	check_headers(c, o->parameters, o->parameter_count, request->fields,
		      request->field_count);
	/* Cookies that no parameter reads are not the contract's matter. */
	if (o->cookies)
		read_cookies(c, request);
	if (!read_query(c, request->query))
		return;
	check_pairs(c, o, false, request->query);
	use_api_keys(c, o);
	check_pairs(c, o, true, request->query);
	if (c->policy.query != CONTRACT_UNKNOWN_ALLOW)
		refuse_unknown(c);
}
