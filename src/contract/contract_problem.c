#include "contract/contract_check.h"
#include "parse/json_write.h"

static struct span keep(struct contract_check *c, struct span s)
{
	return s.len ? arena_dup(&c->text, s) : SPAN("");
}

static void add(struct contract_check *c, const struct contract_problem *p)
{
	struct contract_problem *to;

	if (c->problem_count == c->limits.max_problems)
		return;
	to = &c->problems[c->problem_count++];
	*to = *p;
	to->name = keep(c, p->name);
	to->pointer = keep(c, p->pointer);
	to->keyword = keep(c, p->keyword);
	to->schema = keep(c, p->schema);
	to->detail = keep(c, p->detail);
}

void check_problem(struct contract_check *c, enum contract_where where, struct span name,
		   struct span keyword, struct span detail)
{
	struct contract_problem p = {.where = where,
				     .name = name,
				     .keyword = keyword,
				     .detail = detail,
				     .offset = c->received};

	add(c, &p);
}

void check_length_problem(struct contract_check *c, struct span name,
			  const struct schema *schema, const char *keyword, size_t bytes)
{
	char text[48];
	int len = snprintf(text, sizeof(text), "%s %zu bytes",
			   keyword[1] == 'i' ? "at least" : "at most", bytes);
	struct contract_problem p = {.where = CONTRACT_IN_BODY,
				     .name = name,
				     .keyword = span_cstr(keyword),
				     .schema = schema_location(schema),
				     .detail = span_of(text, (size_t)len),
				     .offset = c->received};

	add(c, &p);
}

void check_run_problems(struct contract_check *c, enum contract_where where, struct span name,
			enum schema_result outcome, uint64_t offset)
{
	const struct schema_problem *list;
	size_t count;
	uint64_t at = 0;
	struct contract_problem p = {.where = where, .name = name};

	switch (outcome) {
	case SCHEMA_MORE:
	case SCHEMA_VALID: return;
	case SCHEMA_MEMORY: (void)check_end(c, CONTRACT_MEMORY); return;
	case SCHEMA_MALFORMED:
		p.keyword = SPAN("syntax");
		p.detail = span_cstr(json_error_text(schema_run_json_error(c->run, &at)));
		p.offset = offset + at;
		add(c, &p);
		return;
	case SCHEMA_LIMIT:
		p.keyword = SPAN("limit");
		p.detail = schema_run_limit(c->run);
		add(c, &p);
		return;
	case SCHEMA_INVALID: break;
	}
	count = schema_run_problems(c->run, &list);
	for (size_t i = 0; i < count; i++) {
		p.pointer = list[i].instance;
		p.keyword = list[i].keyword;
		p.schema = list[i].schema;
		p.detail = list[i].detail;
		p.offset = offset + list[i].offset;
		add(c, &p);
	}
}

const char *contract_where_name(enum contract_where where)
{
	switch (where) {
	case CONTRACT_IN_PATH: return "path";
	case CONTRACT_IN_QUERY: return "query";
	case CONTRACT_IN_HEADER: return "header";
	case CONTRACT_IN_COOKIE: return "cookie";
	case CONTRACT_IN_BODY: return "body";
	case CONTRACT_IN_STATUS: return "status";
	}
	return "unknown";
}

unsigned contract_result_status(enum contract_result result)
{
	switch (result) {
	case CONTRACT_MORE:
	case CONTRACT_VALID: return 0;
	case CONTRACT_INVALID: return 400;
	case CONTRACT_TYPE: return 415;
	case CONTRACT_TOO_LARGE: return 413;
	case CONTRACT_MEMORY: return 503;
	}
	return 500;
}

static void member(struct json_writer *w, const char *key, struct span value)
{
	if (value.len)
		json_member_string(w, span_cstr(key), value);
}

void contract_check_problems_json(const struct contract_check *c, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_array(&w);
	for (size_t i = 0; i < c->problem_count; i++) {
		const struct contract_problem *p = &c->problems[i];

		json_begin_object(&w);
		member(&w, "in", span_cstr(contract_where_name(p->where)));
		member(&w, "name", p->name);
		if (p->pointer.len || p->where == CONTRACT_IN_BODY)
			json_member_string(&w, SPAN("pointer"), p->pointer);
		member(&w, "keyword", p->keyword);
		member(&w, "schema", p->schema);
		member(&w, "detail", p->detail);
		json_end_object(&w);
	}
	json_end_array(&w);
}
