#include "contract/openapi.h"

static const struct {
	struct span name;
	enum openapi_style style;
	unsigned places; /* bits by enum openapi_in */
} styles[] = {
	{SPAN_INIT("simple"), OPENAPI_SIMPLE, 1U << OPENAPI_IN_PATH | 1U << OPENAPI_IN_HEADER},
	{SPAN_INIT("label"), OPENAPI_LABEL, 1U << OPENAPI_IN_PATH},
	{SPAN_INIT("matrix"), OPENAPI_MATRIX, 1U << OPENAPI_IN_PATH},
	{SPAN_INIT("form"), OPENAPI_FORM, 1U << OPENAPI_IN_QUERY | 1U << OPENAPI_IN_COOKIE},
	{SPAN_INIT("spaceDelimited"), OPENAPI_SPACE, 1U << OPENAPI_IN_QUERY},
	{SPAN_INIT("pipeDelimited"), OPENAPI_PIPE, 1U << OPENAPI_IN_QUERY},
	{SPAN_INIT("deepObject"), OPENAPI_DEEP, 1U << OPENAPI_IN_QUERY},
	{SPAN_INIT("cookie"), OPENAPI_COOKIE, 1U << OPENAPI_IN_COOKIE},
};

static int read_in(struct openapi_builder *b, const struct openapi_node *node,
		   struct openapi_parameter *p)
{
	static const struct {
		struct span name;
		enum openapi_in in;
	} places[] = {
		{SPAN_INIT("path"), OPENAPI_IN_PATH},
		{SPAN_INIT("query"), OPENAPI_IN_QUERY},
		{SPAN_INIT("header"), OPENAPI_IN_HEADER},
		{SPAN_INIT("cookie"), OPENAPI_IN_COOKIE},
		{SPAN_INIT("querystring"), OPENAPI_IN_QUERYSTRING},
	};
	size_t known = b->contract->version >= 32 ? COUNT_OF(places) : COUNT_OF(places) - 1;
	struct span text = SPAN_NONE;

	if (openapi_string(b, node, "in", &text) < 0)
		return -1;
	for (size_t i = 0; i < known; i++) {
		if (span_eq(text, places[i].name)) {
			p->in = places[i].in;
			return 0;
		}
	}
	return openapi_error(b, node, ERR_INVALID,
			     "a parameter must be \"in\" path, query, header or cookie");
}

static int read_style(struct openapi_builder *b, const struct openapi_node *node,
		      struct openapi_parameter *p)
{
	bool form = p->in == OPENAPI_IN_QUERY || p->in == OPENAPI_IN_COOKIE;
	struct span text = SPAN_NONE;

	p->style = form ? OPENAPI_FORM : OPENAPI_SIMPLE;
	if (openapi_string(b, node, "style", &text) < 0)
		return -1;
	if (text.ptr) {
		size_t i = 0;

		while (i < COUNT_OF(styles) && !span_eq(styles[i].name, text))
			i++;
		if (i == COUNT_OF(styles) || !(styles[i].places & 1U << p->in))
			return openapi_error(
				b, node, ERR_INVALID,
				"there is no style \"%.*s\" for a parameter in such a "
				"place",
				SPAN_ARG(span_slice(text, 0, 40)));
		p->style = styles[i].style;
	}
	p->explode = p->style == OPENAPI_FORM || p->style == OPENAPI_COOKIE;
	p->old_label = b->contract->version == 30;
	return openapi_bool(b, node, "explode", &p->explode);
}

/* `schema`, or `content` with one media type. */
static int read_value(struct openapi_builder *b, const struct openapi_node *node,
		      enum schema_direction direction, struct openapi_parameter *p)
{
	struct openapi_content content = {.count = 0};
	struct openapi_node schema;

	if (openapi_get(node, SPAN("schema"), &schema)) {
		if (json_get(node->value, SPAN("content")))
			return openapi_error(b, node, ERR_INVALID,
					     "\"schema\" and \"content\" exclude each other");
		p->schema = openapi_schema(b, &schema, direction);
		if (!p->schema)
			return -1;
		p->types = schema_types(p->schema);
		return 0;
	}
	if (openapi_read_content(b, node, direction, &content) < 0)
		return -1;
	if (content.count > 1)
		return openapi_error(b, node, ERR_INVALID,
				     "the \"content\" of a parameter has one media type");
	if (content.count == 1) {
		p->content = content.at;
		p->schema = content.at->schema;
	} else {
		p->schema = schema_anything();
	}
	p->types = schema_types(p->schema);
	return 0;
}

int openapi_read_parameter(struct openapi_builder *b, struct openapi_node *node,
			   struct openapi_parameter *p)
{
	if (openapi_follow(b, node) < 0 ||
	    openapi_expect(b, node, JSON_OBJECT, "a parameter") < 0)
		return -1;
	p->node = node->value;
	if (openapi_string(b, node, "name", &p->name) < 0 || read_in(b, node, p) < 0 ||
	    openapi_bool(b, node, "required", &p->required) < 0 ||
	    openapi_bool(b, node, "allowEmptyValue", &p->allow_empty) < 0)
		return -1;
	if (p->name.len == 0)
		return openapi_error(b, node, ERR_INVALID, "a parameter must have a \"name\"");
	if (p->in == OPENAPI_IN_PATH && !p->required)
		return openapi_error(b, node, ERR_INVALID,
				     "a parameter in the path must have \"required: true\"");
	if (read_value(b, node, SCHEMA_REQUEST, p) < 0)
		return -1;
	if (p->in == OPENAPI_IN_QUERYSTRING) {
		if (p->content)
			return 0;
		return openapi_error(b, node, ERR_INVALID,
				     "a querystring must have \"content\"");
	}
	return read_style(b, node, p);
}

int openapi_read_headers(struct openapi_builder *b, const struct openapi_node *owner,
			 const struct openapi_parameter **headers, size_t *count)
{
	struct openapi_parameter *list;
	struct openapi_node all;
	size_t kept = 0;

	*count = 0;
	if (!openapi_get(owner, SPAN("headers"), &all))
		return 0;
	if (openapi_expect(b, &all, JSON_OBJECT, "headers") < 0)
		return -1;
	list = arena_array(&b->contract->arena, struct openapi_parameter,
			   all.value->object.count);
	if (!list)
		return openapi_no_memory(b);
	for (size_t i = 0; i < all.value->object.count; i++) {
		struct openapi_parameter *p = &list[kept];
		struct openapi_node node;
		struct span name;

		openapi_member(&all, i, &node);
		name = node.key;
		/* Said elsewhere, and ignored here (section 4.7.17.1). */
		if (span_eq_nocase(name, SPAN("content-type")))
			continue;
		*p = (struct openapi_parameter){.name = name, .in = OPENAPI_IN_HEADER};
		if (openapi_follow(b, &node) < 0 ||
		    openapi_expect(b, &node, JSON_OBJECT, "a header") < 0 ||
		    openapi_bool(b, &node, "required", &p->required) < 0 ||
		    openapi_bool(b, &node, "explode", &p->explode) < 0 ||
		    read_value(b, &node, SCHEMA_RESPONSE, p) < 0)
			return -1;
		p->style = OPENAPI_SIMPLE;
		p->node = node.value;
		kept++;
	}
	*headers = list;
	*count = kept;
	return 0;
}
