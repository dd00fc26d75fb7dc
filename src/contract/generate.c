#include "contract/generate.h"

#include "base/mem.h"
#include "contract/generate_internal.h"
#include "parse/json_write.h"

#define ARENA_MAX_BYTES ((size_t)32 << 20)
#define TEXT_MAX_BYTES ((size_t)4 << 20)
#define FIELDS_MAX 64
#define MEMBERS_MAX 200

/* A request under construction; a copy with one thing changed is a wrong one. */
struct draft {
	const struct json
		*values[FIELDS_MAX]; /* of the operation's parameters; NULL: left out */
	const struct json *body;
	struct span raw_body; /* in place of `body` */
	struct span content_type;
	struct span method; /* in place of the operation's */
};

struct generator {
	struct contract *contract;
	const struct openapi_operation *operation;
	struct arena arena;
	struct contract_check *check;
	generated_function *each;
	void *context;
	struct buf path, query, body, cookie;
	struct buf texts[FIELDS_MAX];
	bool no_memory;
};

/* ---- writing --------------------------------------------------------------------------------- */

static void put_escaped(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if ((c >= '0' && c <= '9') ||
		    (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' || c == '_' ||
		    c == '~' || c == '.')
			buf_append_byte(to, c);
		else
			buf_printf(to, "%%%02X", (unsigned)(unsigned char)c);
	}
}

static void put_plain(struct buf *to, struct span s)
{
	buf_append(to, s);
}

typedef void put_function(struct buf *to, struct span s);

static struct span scalar_text(const struct json *value)
{
	switch (value->type) {
	case JSON_NULL: return SPAN("");
	case JSON_BOOL: return value->boolean ? SPAN("true") : SPAN("false");
	case JSON_NUMBER:
	case JSON_STRING: return value->text;
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	return SPAN("");
}

static void put_json(struct buf *to, const struct json *value)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_put_tree(&w, value);
}

/* a,b,c or k,v,k,v or, `paired`, k=v,k=v */
static void put_list(struct buf *to, const struct json *value, const char *separator,
		     bool paired, put_function *put)
{
	size_t count = value->type == JSON_ARRAY ? value->array.count : value->object.count;

	if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
		put(to, scalar_text(value));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_append_cstr(to, separator);
		if (value->type == JSON_ARRAY) {
			put(to, scalar_text(&value->array.items[i]));
			continue;
		}
		put(to, value->object.members[i].key);
		buf_append_cstr(to, paired ? "=" : separator);
		put(to, scalar_text(&value->object.members[i].value));
	}
}

static void put_matrix(struct buf *to, const struct openapi_parameter *p,
		       const struct json *value)
{
	if (p->explode && value->type == JSON_ARRAY) {
		for (size_t i = 0; i < value->array.count; i++) {
			buf_printf(to, ";%.*s=", SPAN_ARG(p->name));
			put_escaped(to, scalar_text(&value->array.items[i]));
		}
		return;
	}
	buf_append_byte(to, ';');
	if (p->explode && value->type == JSON_OBJECT) {
		put_list(to, value, ";", true, put_escaped);
		return;
	}
	buf_printf(to, "%.*s=", SPAN_ARG(p->name));
	put_list(to, value, ",", false, put_escaped);
}

static void put_path_value(struct buf *to, const struct openapi_parameter *p,
			   const struct json *value)
{
	if (p->content) {
		struct buf json;

		buf_init(&json, TEXT_MAX_BYTES);
		put_json(&json, value);
		put_escaped(to, buf_span(&json));
		buf_release(&json);
	} else if (p->style == OPENAPI_MATRIX) {
		put_matrix(to, p, value);
	} else if (p->style == OPENAPI_LABEL) {
		buf_append_byte(to, '.');
		put_list(to, value, p->explode ? "." : ",", p->explode, put_escaped);
	} else {
		put_list(to, value, ",", p->explode, put_escaped);
	}
}

static void put_pair(struct buf *to, const char *separator, struct span name, struct span value)
{
	if (to->len)
		buf_append_cstr(to, separator);
	put_escaped(to, name);
	buf_append_byte(to, '=');
	put_escaped(to, value);
}

static void put_pairs(struct buf *to, const char *separator, const struct openapi_parameter *p,
		      const struct json *value)
{
	const char *delimiter = p->style == OPENAPI_SPACE  ? "%20"
				: p->style == OPENAPI_PIPE ? "%7C"
							   : ",";

	if (p->content || (value->type != JSON_ARRAY && value->type != JSON_OBJECT)) {
		struct buf json;

		buf_init(&json, TEXT_MAX_BYTES);
		if (p->content)
			put_json(&json, value);
		put_pair(to, separator, p->name,
			 p->content ? buf_span(&json) : scalar_text(value));
		buf_release(&json);
		return;
	}
	if (p->style == OPENAPI_DEEP || p->explode) {
		bool array = value->type == JSON_ARRAY;
		size_t count = array ? value->array.count : value->object.count;

		for (size_t i = 0; i < count; i++) {
			struct span key = array ? p->name : value->object.members[i].key;
			char name[300];
			int len;

			if (p->style == OPENAPI_DEEP && !array) {
				len = snprintf(name, sizeof(name), "%.*s[%.*s]",
					       SPAN_ARG(span_slice(p->name, 0, 120)),
					       SPAN_ARG(span_slice(key, 0, 120)));
				key = span_of(name, (size_t)len);
			}
			put_pair(to, separator, key,
				 scalar_text(array ? &value->array.items[i]
						   : &value->object.members[i].value));
		}
		return;
	}
	if (to->len)
		buf_append_cstr(to, separator);
	put_escaped(to, p->name);
	buf_append_byte(to, '=');
	put_list(to, value, delimiter, false, put_escaped);
}

/* ---- checking and giving out ----------------------------------------------------------------- */

static void put_path(struct generator *g, const struct draft *d)
{
	struct span rest = g->operation->public.path;
	size_t index = 0;

	buf_clear(&g->path);
	buf_append(&g->path, contract_base_path(g->contract));
	while (rest.len > 0) {
		size_t open = span_find_byte(rest, '{');
		size_t close = span_find_byte(rest, '}');

		buf_append(&g->path, span_slice(rest, 0, open));
		if (open == rest.len)
			break;
		for (size_t i = 0; i < g->operation->parameter_count; i++) {
			const struct openapi_parameter *p = &g->operation->parameters[i];

			if (p->in == OPENAPI_IN_PATH && p->path_index == index && d->values[i])
				put_path_value(&g->path, p, d->values[i]);
		}
		index++;
		rest = span_slice(rest, close + 1, rest.len);
	}
}

static size_t put_fields(struct generator *g, const struct draft *d, struct http_field *fields)
{
	size_t count = 0;

	buf_clear(&g->query);
	buf_clear(&g->cookie);
	for (size_t i = 0; i < g->operation->parameter_count; i++) {
		const struct openapi_parameter *p = &g->operation->parameters[i];

		if (!d->values[i])
			continue;
		if (p->in == OPENAPI_IN_QUERY) {
			put_pairs(&g->query, "&", p, d->values[i]);
		} else if (p->in == OPENAPI_IN_COOKIE) {
			put_pairs(&g->cookie, "; ", p, d->values[i]);
		} else if (p->in == OPENAPI_IN_HEADER) {
			buf_clear(&g->texts[i]);
			if (p->content)
				put_json(&g->texts[i], d->values[i]);
			else
				put_list(&g->texts[i], d->values[i], ",", p->explode,
					 put_plain);
			fields[count++] = (struct http_field){p->name, buf_span(&g->texts[i]),
							      http_field_lookup(p->name)};
		}
	}
	if (g->cookie.len)
		fields[count++] = (struct http_field){SPAN("Cookie"), buf_span(&g->cookie),
						      HTTP_FIELD_COOKIE};
	if (d->content_type.ptr)
		fields[count++] = (struct http_field){SPAN("Content-Type"), d->content_type,
						      HTTP_FIELD_CONTENT_TYPE};
	return count;
}

static void put_form(struct buf *to, const struct json *object)
{
	for (size_t i = 0; object->type == JSON_OBJECT && i < object->object.count; i++) {
		const struct json_member *m = &object->object.members[i];

		if (m->value.type == JSON_ARRAY) {
			for (size_t k = 0; k < m->value.array.count; k++)
				put_pair(to, "&", m->key,
					 scalar_text(&m->value.array.items[k]));
		} else if (m->value.type == JSON_OBJECT) {
			struct buf json;

			buf_init(&json, TEXT_MAX_BYTES);
			put_json(&json, &m->value);
			put_pair(to, "&", m->key, buf_span(&json));
			buf_release(&json);
		} else {
			put_pair(to, "&", m->key, scalar_text(&m->value));
		}
	}
}

static struct span put_body(struct generator *g, const struct draft *d)
{
	struct span type =
		span_trim(span_slice(d->content_type, 0, span_find_byte(d->content_type, ';')));

	if (d->raw_body.ptr)
		return d->raw_body;
	if (!d->body)
		return SPAN_NONE;
	buf_clear(&g->body);
	if (openapi_kind_of(type) == OPENAPI_KIND_FORM)
		put_form(&g->body, d->body);
	else if (openapi_kind_of(type) == OPENAPI_KIND_JSON)
		put_json(&g->body, d->body);
	else
		buf_append(&g->body, scalar_text(d->body));
	return g->body.len ? buf_span(&g->body) : SPAN("");
}

/* What the contract itself says of it. */
static enum contract_result judge(struct generator *g, const struct generated *request)
{
	static const struct contract_policy refuse = {.query = CONTRACT_UNKNOWN_REFUSE,
						      .properties = CONTRACT_UNKNOWN_REFUSE};
	struct contract_request r = {.query = request->query,
				     .fields = request->fields,
				     .field_count = request->field_count,
				     .has_content = request->body.ptr != NULL};
	struct contract_route route;

	if (contract_match(g->contract, request->method, request->path, &route) !=
		    CONTRACT_FOUND ||
	    route.operation != &g->operation->public)
		return CONTRACT_INVALID;
	(void)contract_check_request(g->check, g->contract, &route, &r, &refuse);
	(void)contract_check_feed(g->check, request->body);
	return contract_check_finish(g->check);
}

/* Gives it out when it is what it should be. 1: it is not; else what `each` returned, or -1. */
static int give(struct generator *g, const struct draft *d, bool valid, const char *what,
		struct span subject)
{
	struct http_field fields[FIELDS_MAX + 2];
	struct generated request = {.operation = &g->operation->public,
				    .valid = valid,
				    .method = d->method.ptr ? d->method
							    : g->operation->public.method,
				    .fields = fields};
	enum contract_result result;
	char text[200];
	int len;

	put_path(g, d);
	request.field_count = put_fields(g, d, fields);
	request.path = buf_span(&g->path);
	request.query = g->query.len ? buf_span(&g->query) : SPAN_NONE;
	request.body = put_body(g, d);
	len = snprintf(text, sizeof(text), "%s%s%.*s", what, subject.len ? ": " : "",
		       SPAN_ARG(span_slice(subject, 0, 100)));
	request.what = span_of(text, (size_t)len);
	if (buf_failed(&g->path) || buf_failed(&g->query) || buf_failed(&g->body)) {
		g->no_memory = true;
		return -1;
	}
	result = judge(g, &request);
	if (result == CONTRACT_MEMORY) {
		g->no_memory = true;
		return -1;
	}
	if ((result == CONTRACT_VALID) != valid)
		return 1;
	return g->each(g->context, &request);
}

/* ---- drafts ---------------------------------------------------------------------------------- */

static const struct json *parameter_schema(const struct openapi_parameter *p)
{
	const struct json *schema = json_get(p->node, SPAN("schema"));

	return schema || !p->content ? schema : json_get(p->content->node, SPAN("schema"));
}

static const struct json *sample_of(struct generator *g, const struct openapi_parameter *p)
{
	static const struct json text = {.type = JSON_STRING, .text = SPAN_INIT("a")};
	const struct json *schema = parameter_schema(p);

	if (json_get(p->node, SPAN("example")))
		return json_get(p->node, SPAN("example"));
	return schema ? generate_value(g->contract, &g->arena, schema) : &text;
}

static const struct openapi_media *choose_media(const struct openapi_operation *o)
{
	for (size_t i = 0; i < o->body.count; i++) {
		enum openapi_kind kind = openapi_kind_of(o->body.at[i].range);

		if (kind == OPENAPI_KIND_JSON || kind == OPENAPI_KIND_FORM ||
		    kind == OPENAPI_KIND_TEXT)
			return &o->body.at[i];
	}
	return NULL;
}

static bool make_draft(struct generator *g, struct draft *d)
{
	const struct openapi_operation *o = g->operation;
	const struct openapi_media *media = choose_media(o);
	static const struct json empty = {.type = JSON_OBJECT};
	const struct json *schema;

	for (size_t i = 0; i < o->parameter_count; i++) {
		const struct openapi_parameter *p = &o->parameters[i];

		if (!p->required && p->in != OPENAPI_IN_QUERY)
			continue;
		d->values[i] = sample_of(g, p);
		if (!d->values[i] && p->required)
			return false;
	}
	if (!media)
		return !o->body_required;
	schema = json_get(media->node, SPAN("schema"));
	d->content_type = media->range;
	d->body = json_get(media->node, SPAN("example"));
	if (!d->body)
		d->body = schema ? generate_value(g->contract, &g->arena, schema) : &empty;
	return d->body != NULL || !o->body_required;
}

/* ---- what must be refused -------------------------------------------------------------------- */

#define STOP(result)                                                                           \
	do {                                                                                   \
		int stop_ = (result);                                                          \
		if (stop_ != 0 && stop_ != 1)                                                  \
			return stop_;                                                          \
	} while (0)

static int wrong_parameters(struct generator *g, const struct draft *right)
{
	for (size_t i = 0; i < g->operation->parameter_count; i++) {
		const struct openapi_parameter *p = &g->operation->parameters[i];
		const char *why;
		char what[120];

		if (p->required && p->in != OPENAPI_IN_PATH) {
			struct draft d = *right;

			d.values[i] = NULL;
			STOP(give(g, &d, false, "without the parameter", p->name));
		}
		for (unsigned kind = 0; parameter_schema(p) && kind < GENERATE_WRONG_KINDS;
		     kind++) {
			struct draft d = *right;

			d.values[i] = generate_wrong(g->contract, &g->arena,
						     parameter_schema(p), kind, &why);
			if (!d.values[i])
				continue;
			snprintf(what, sizeof(what), "a parameter %s", why);
			STOP(give(g, &d, false, what, p->name));
		}
	}
	return 0;
}

/* The object with one member replaced, or, `value` NULL, left out; or added. */
static const struct json *changed(struct generator *g, const struct json *object,
				  struct span name, const struct json *value)
{
	struct json *copy = arena_new(&g->arena, struct json);
	struct json_member *members =
		arena_array(&g->arena, struct json_member, object->object.count + 1);
	size_t count = 0;
	bool done = false;

	if (!copy || !members)
		return NULL;
	for (size_t i = 0; i < object->object.count; i++) {
		struct json_member m = object->object.members[i];

		if (span_eq(m.key, name)) {
			done = true;
			if (!value)
				continue;
			m.value = *value;
		}
		members[count++] = m;
	}
	if (!done && value)
		members[count++] = (struct json_member){name, *value};
	*copy = (struct json){.type = JSON_OBJECT, .object = {members, count}};
	return copy;
}

static int wrong_members(struct generator *g, const struct draft *right,
			 const struct json *schema)
{
	static const struct json text = {.type = JSON_STRING, .text = SPAN_INIT("a")};
	size_t count = right->body->object.count;
	struct draft d = *right;

	d.body = changed(g, right->body, SPAN("sallyport_unknown"), &text);
	if (d.body)
		STOP(give(g, &d, false, "a body with an unknown property", SPAN_NONE));
	for (size_t i = 0; i < count && i < MEMBERS_MAX; i++) {
		struct span name = right->body->object.members[i].key;
		const struct json *property = generate_property(g->contract, schema, name);
		const struct json *value;
		const char *why;
		char what[120];

		d.body = changed(g, right->body, name, NULL);
		if (d.body)
			STOP(give(g, &d, false, "a body without the property", name));
		for (unsigned kind = 0; property && kind < GENERATE_WRONG_KINDS; kind++) {
			value = generate_wrong(g->contract, &g->arena, property, kind, &why);
			if (!value)
				continue;
			d.body = changed(g, right->body, name, value);
			snprintf(what, sizeof(what), "a property %s", why);
			if (d.body)
				STOP(give(g, &d, false, what, name));
		}
	}
	return 0;
}

static int wrong_bodies(struct generator *g, const struct draft *right)
{
	const struct openapi_media *media = choose_media(g->operation);
	struct draft d = *right;

	if (!media || !right->body)
		return 0;
	d.body = NULL;
	d.content_type = SPAN_NONE;
	STOP(give(g, &d, false, "without a body", SPAN_NONE));
	d = *right;
	d.content_type = SPAN("application/x-sallyport-none");
	STOP(give(g, &d, false, "a content type that the contract does not have", SPAN_NONE));
	d = *right;
	d.raw_body = SPAN("{\"a\":");
	STOP(give(g, &d, false, "a body that is cut off", SPAN_NONE));
	if (right->body->type == JSON_OBJECT)
		return wrong_members(g, right, json_get(media->node, SPAN("schema")));
	return 0;
}

static int wrong_methods(struct generator *g, const struct draft *right)
{
	static const char *const names[] = {"PUT", "PATCH", "DELETE", "POST", "GET"};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct contract_route route;
		struct draft d = *right;

		d.method = span_cstr(names[i]);
		put_path(g, &d);
		if (contract_match(g->contract, d.method, buf_span(&g->path), &route) !=
		    CONTRACT_NO_METHOD)
			continue;
		return give(g, &d, false, "a method that the contract does not have", d.method);
	}
	return 0;
}

static int generate_all(struct generator *g)
{
	struct draft right = {.body = NULL};
	int result;

	if (g->operation->parameter_count > FIELDS_MAX || !make_draft(g, &right))
		return 0;
	result = give(g, &right, true, "as the contract says", SPAN_NONE);
	/* An optional parameter or body that could not be made right is left out. */
	if (result == 1) {
		for (size_t i = 0; i < g->operation->parameter_count; i++)
			if (!g->operation->parameters[i].required)
				right.values[i] = NULL;
		if (!g->operation->body_required) {
			right.body = NULL;
			right.content_type = SPAN_NONE;
		}
		result = give(g, &right, true, "as the contract says", SPAN_NONE);
	}
	if (result != 0)
		return result == 1 ? 0 : result;
	STOP(wrong_parameters(g, &right));
	STOP(wrong_bodies(g, &right));
	STOP(wrong_methods(g, &right));
	return 0;
}

int contract_generate(struct contract *contract, const struct contract_operation *operation,
		      generated_function *each, void *context, struct err *err)
{
	struct generator *g = mem_zalloc(1, sizeof(*g));
	int result = -1;

	if (!g)
		return err_set(err, ERR_MEMORY, "no memory to make requests");
	g->contract = contract_ref(contract);
	g->operation = &contract->operations[operation->index];
	g->each = each;
	g->context = context;
	arena_init(&g->arena, ARENA_MAX_BYTES, (size_t)16 << 10);
	buf_init(&g->path, TEXT_MAX_BYTES);
	buf_init(&g->query, TEXT_MAX_BYTES);
	buf_init(&g->body, TEXT_MAX_BYTES);
	buf_init(&g->cookie, TEXT_MAX_BYTES);
	for (size_t i = 0; i < FIELDS_MAX; i++)
		buf_init(&g->texts[i], TEXT_MAX_BYTES);
	g->check = contract_check_new(NULL, err);
	if (g->check)
		result = generate_all(g);
	if (g->no_memory)
		result = err_set(err, ERR_MEMORY, "no memory to make requests");
	contract_check_free(g->check);
	arena_release(&g->arena);
	buf_release(&g->path);
	buf_release(&g->query);
	buf_release(&g->body);
	buf_release(&g->cookie);
	for (size_t i = 0; i < FIELDS_MAX; i++)
		buf_release(&g->texts[i]);
	contract_unref(g->contract);
	mem_free(g);
	return result;
}
