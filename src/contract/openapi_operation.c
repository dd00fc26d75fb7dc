#include "contract/openapi.h"

#define PARAMETERS_MAX 512

/* ---- parameters ------------------------------------------------------------------------------ */

static bool is_reserved_header(const struct openapi_parameter *p)
{
	return p->in == OPENAPI_IN_HEADER && (span_eq_nocase(p->name, SPAN("accept")) ||
					      span_eq_nocase(p->name, SPAN("content-type")) ||
					      span_eq_nocase(p->name, SPAN("authorization")));
}

static struct openapi_parameter *same_parameter(struct openapi_parameter *list, size_t count,
						const struct openapi_parameter *p)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].in == p->in &&
		    (p->in == OPENAPI_IN_HEADER ? span_eq_nocase(list[i].name, p->name)
						: span_eq(list[i].name, p->name)))
			return &list[i];
	return NULL;
}

/* Those of the operation go before those of the path with the same name and place. */
static int add_parameters(struct openapi_builder *b, const struct openapi_node *owner,
			  struct openapi_parameter *list, size_t *count)
{
	size_t before = *count;
	struct openapi_node all, node;

	if (!openapi_get(owner, SPAN("parameters"), &all))
		return 0;
	if (openapi_expect(b, &all, JSON_ARRAY, "parameters") < 0)
		return -1;
	for (size_t i = 0; openapi_item(&all, i, &node); i++) {
		struct openapi_parameter p = {.required = false};

		if (openapi_read_parameter(b, &node, &p) < 0)
			return -1;
		if (same_parameter(list, before, &p) || is_reserved_header(&p))
			continue;
		if (same_parameter(list + before, *count - before, &p))
			return openapi_error(b, &node, ERR_INVALID,
					     "the parameter \"%.*s\" is there twice",
					     SPAN_ARG(p.name));
		list[(*count)++] = p;
	}
	return 0;
}

static size_t item_count(const struct openapi_node *owner)
{
	const struct json *list = json_get(owner->value, SPAN("parameters"));

	return list && list->type == JSON_ARRAY ? list->array.count : 0;
}

/* Each place of the template has its parameter, and the other way round. */
static int match_template(struct openapi_builder *b, const struct openapi_node *where,
			  struct span path, struct openapi_parameter *list, size_t count)
{
	struct span names[CONTRACT_PATH_PARAMETERS_MAX];
	struct openapi_node here;
	size_t places, found = 0;

	if (openapi_path_names(b, where, path, names, &places) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;

		if (list[i].in != OPENAPI_IN_PATH)
			continue;
		while (k < places && !span_eq(names[k], list[i].name))
			k++;
		here = (struct openapi_node){.value = list[i].node};
		if (k == places)
			return openapi_error(b, &here, ERR_INVALID,
					     "the path \"%.*s\" has no place for \"%.*s\"",
					     SPAN_ARG(span_slice(path, 0, 100)),
					     SPAN_ARG(span_slice(list[i].name, 0, 60)));
		list[i].path_index = k;
		found++;
	}
	if (found == places)
		return 0;
	for (size_t k = 0; k < places; k++) {
		bool there = false;

		for (size_t i = 0; i < count; i++)
			there |= list[i].in == OPENAPI_IN_PATH &&
				 span_eq(list[i].name, names[k]);
		if (!there)
			return openapi_error(b, where, ERR_INVALID,
					     "the path's \"{%.*s}\" has no parameter",
					     SPAN_ARG(span_slice(names[k], 0, 60)));
	}
	return 0;
}

static int read_parameters(struct openapi_builder *b, const struct openapi_node *item,
			   const struct openapi_node *node, struct openapi_operation *o)
{
	size_t most = item_count(item) + item_count(node);
	struct openapi_parameter *list;

	if (most > PARAMETERS_MAX)
		return openapi_error(b, node, ERR_LIMIT, "more than %d parameters",
				     PARAMETERS_MAX);
	list = arena_array(&b->contract->arena, struct openapi_parameter, most);
	if (!list)
		return openapi_no_memory(b);
	if (add_parameters(b, node, list, &o->parameter_count) < 0 ||
	    add_parameters(b, item, list, &o->parameter_count) < 0 ||
	    match_template(b, node, o->public.path, list, o->parameter_count) < 0)
		return -1;
	for (size_t i = 0; i < o->parameter_count; i++) {
		o->querystring |= list[i].in == OPENAPI_IN_QUERYSTRING;
		o->cookies |= list[i].in == OPENAPI_IN_COOKIE;
	}
	for (size_t i = 0; o->querystring && i < o->parameter_count; i++)
		if (list[i].in == OPENAPI_IN_QUERY)
			return openapi_error(
				b, node, ERR_INVALID,
				"parameters in query and querystring exclude each other");
	o->parameters = list;
	return 0;
}

/* ---- bodies and responses -------------------------------------------------------------------- */

static int read_body(struct openapi_builder *b, const struct openapi_node *node,
		     struct openapi_operation *o)
{
	struct openapi_node body;

	if (!openapi_get(node, SPAN("requestBody"), &body))
		return 0;
	if (openapi_follow(b, &body) < 0 ||
	    openapi_expect(b, &body, JSON_OBJECT, "requestBody") < 0 ||
	    openapi_bool(b, &body, "required", &o->body_required) < 0 ||
	    openapi_read_content(b, &body, SCHEMA_REQUEST, &o->body) < 0)
		return -1;
	if (!o->body.stated)
		return openapi_error(b, &body, ERR_INVALID,
				     "a requestBody must have \"content\"");
	o->body_stated = true;
	return 0;
}

/* "200", "2XX", "default". */
static bool read_status(struct span text, struct openapi_response *response)
{
	uint64_t number;

	if (span_eq(text, SPAN("default"))) {
		response->low = 0;
		response->high = 999;
		return true;
	}
	if (text.len == 3 && text.ptr[0] >= '1' && text.ptr[0] <= '5' &&
	    span_eq_nocase(span_slice(text, 1, 3), SPAN("xx"))) {
		response->low = (unsigned)(text.ptr[0] - '0') * 100;
		response->high = response->low + 99;
		return true;
	}
	if (text.len != 3 || !span_to_u64(text, &number) || number < 100)
		return false;
	response->low = response->high = (unsigned)number;
	return true;
}

static int compare_responses(const void *left, const void *right)
{
	const struct openapi_response *a = left;
	const struct openapi_response *b = right;
	unsigned width_a = a->high - a->low;
	unsigned width_b = b->high - b->low;

	if (width_a != width_b)
		return width_a < width_b ? -1 : 1;
	return a->low < b->low ? -1 : a->low > b->low;
}

static int read_responses(struct openapi_builder *b, const struct openapi_node *node,
			  struct openapi_operation *o)
{
	struct openapi_response *list;
	struct openapi_node all;

	if (!openapi_get(node, SPAN("responses"), &all)) {
		if (b->contract->version > 30)
			return 0;
		return openapi_error(b, node, ERR_INVALID,
				     "an operation must have \"responses\"");
	}
	if (openapi_expect(b, &all, JSON_OBJECT, "responses") < 0)
		return -1;
	list = arena_array(&b->contract->arena, struct openapi_response,
			   all.value->object.count);
	if (!list)
		return openapi_no_memory(b);
	for (size_t i = 0; i < all.value->object.count; i++) {
		struct openapi_response *r = &list[o->response_count];
		struct openapi_node response;

		openapi_member(&all, i, &response);
		if (span_starts_with(response.key, SPAN("x-")))
			continue;
		if (!read_status(response.key, r))
			return openapi_error(b, &response, ERR_INVALID,
					     "\"%.*s\" is neither a status nor \"default\"",
					     SPAN_ARG(span_slice(response.key, 0, 40)));
		if (openapi_follow(b, &response) < 0 ||
		    openapi_expect(b, &response, JSON_OBJECT, "a response") < 0 ||
		    openapi_read_headers(b, &response, &r->headers, &r->header_count) < 0 ||
		    openapi_read_content(b, &response, SCHEMA_RESPONSE, &r->content) < 0)
			return -1;
		r->node = response.value;
		o->response_count++;
	}
	if (o->response_count)
		qsort(list, o->response_count, sizeof(*list), compare_responses);
	o->responses = list;
	return 0;
}

/* ---- operations ------------------------------------------------------------------------------ */

static int read_names(struct openapi_builder *b, const struct openapi_node *node,
		      struct span method, struct openapi_operation *o)
{
	struct contract *c = b->contract;
	struct span id = SPAN_NONE;

	if (openapi_string(b, node, "operationId", &id) < 0 ||
	    openapi_bool(b, node, "deprecated", &o->public.deprecated) < 0)
		return -1;
	o->public.method = method;
	if (!id.len) {
		o->public.id = arena_printf(&c->arena, "%.*s %.*s", SPAN_ARG(method),
					    SPAN_ARG(o->public.path));
		return o->public.id.ptr ? 0 : openapi_no_memory(b);
	}
	if (map_get(&c->by_id, id))
		return openapi_error(b, node, ERR_INVALID,
				     "the operationId \"%.*s\" is there twice",
				     SPAN_ARG(span_slice(id, 0, 100)));
	o->public.id = id;
	return map_put(&c->by_id, id, o) == 0 ? 0 : openapi_no_memory(b);
}

int openapi_read_operation(struct openapi_builder *b, const struct openapi_node *item,
			   struct openapi_node *node, struct span method, struct span path,
			   struct openapi_operation *o)
{
	bool stated = false;

	if (openapi_expect(b, node, JSON_OBJECT, "an operation") < 0)
		return -1;
	o->public.path = path;
	o->public.extensions = b->extensions;
	o->node = node->value;
	o->path_item = item->value;
	(void)document_place_of(b->contract->documents, node->value, &o->public.place);
	if (read_names(b, node, method, o) < 0 ||
	    openapi_read_extensions(b, item, &o->public.extensions) < 0 ||
	    openapi_read_extensions(b, node, &o->public.extensions) < 0 ||
	    openapi_read_security(b, node, &o->public.security, &o->public.security_count,
				  &stated) < 0)
		return -1;
	o->security_stated = stated || b->security_stated;
	if (!stated) {
		o->public.security = b->security;
		o->public.security_count = b->security_count;
	}
	if (read_parameters(b, item, node, o) < 0 || read_body(b, node, o) < 0 ||
	    read_responses(b, node, o) < 0)
		return -1;
	return 0;
}
