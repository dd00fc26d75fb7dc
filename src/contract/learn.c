#include "contract/learn.h"

#include "base/mem.h"
#include "contract/learn_internal.h"
#include "contract/openapi.h"
#include "parse/uri.h"

#define LINE_MEMORY_BYTES ((size_t)64 << 20)
#define SEGMENTS_MAX 32

struct learner *learner_new(const struct learn_options *options, struct err *err)
{
	struct learner *l = mem_zalloc(1, sizeof(*l));

	if (!l) {
		(void)err_set(err, ERR_MEMORY, "no memory to learn");
		return NULL;
	}
	if (options)
		l->options = *options;
	if (!l->options.max_memory_bytes)
		l->options.max_memory_bytes = (size_t)256 << 20;
	if (!l->options.max_operations)
		l->options.max_operations = 1000;
	if (!l->options.many_children)
		l->options.many_children = 20;
	if (!l->options.title.len)
		l->options.title = SPAN("Learned");
	arena_init(&l->arena, l->options.max_memory_bytes, (size_t)64 << 10);
	arena_init(&l->line, LINE_MEMORY_BYTES, (size_t)64 << 10);
	return l;
}

void learner_free(struct learner *l)
{
	if (!l)
		return;
	arena_release(&l->arena);
	arena_release(&l->line);
	mem_free(l);
}

void learner_counts(const struct learner *l, uint64_t *taken, uint64_t *skipped)
{
	*taken = l->taken;
	*skipped = l->skipped;
}

/* ---- exchanges ------------------------------------------------------------------------------- */

struct exchange_line {
	const struct json *json;
	struct span method;
	struct span path;
	struct span query;
	int64_t status; /* 0: not told */
};

static bool read_line(struct learner *l, struct span line, struct exchange_line *x)
{
	struct json_limits limits = {.max_depth = 128,
				     .max_string_bytes = (size_t)32 << 20,
				     .max_number_bytes = 1024};

	*x = (struct exchange_line){.json = NULL};
	arena_reset(&l->line);
	x->json = json_parse(&l->line, line, &limits, NULL);
	if (!json_string(json_get(x->json, SPAN("method")), &x->method) ||
	    !json_string(json_get(x->json, SPAN("path")), &x->path) ||
	    !http_is_token(x->method) || x->path.len == 0 || x->path.ptr[0] != '/')
		return false;
	x->query = span_slice(x->path, span_find_byte(x->path, '?') + 1, x->path.len);
	x->path = span_slice(x->path, 0, span_find_byte(x->path, '?'));
	(void)json_string(json_get(x->json, SPAN("query")), &x->query);
	(void)json_int(json_get(x->json, SPAN("status")), &x->status);
	return x->status != 404 && x->status != 405 && x->status != 501;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* Is this what names one of many things, whatever else is seen? */
static bool is_variable(struct span s)
{
	size_t digits = 0, letters = 0;

	if (s.len == 0)
		return false;
	if (learn_formats_of(s) & (LEARN_DATE | LEARN_DATE_TIME | LEARN_UUID | LEARN_EMAIL))
		return true;
	for (size_t i = 0; i < s.len; i++) {
		digits += s.ptr[i] >= '0' && s.ptr[i] <= '9';
		letters += ascii_lower(s.ptr[i]) >= 'a' && ascii_lower(s.ptr[i]) <= 'z';
	}
	/* 17; 3f2a9c0b1d4e...; but not v1, utf8, oauth2. */
	return digits == s.len || (s.len >= 12 && digits >= 4 && digits + letters + 4 >= s.len);
}

static struct place *find_child(struct place *parent, struct span segment)
{
	struct place *parameter = NULL;

	for (struct place *p = parent->children; p; p = p->next) {
		if (p->is_parameter)
			parameter = p;
		else if (span_eq(p->text, segment))
			return p;
	}
	return parameter && is_variable(segment) ? parameter : NULL;
}

static struct place *add_child(struct learner *l, struct place *parent, struct span segment)
{
	struct place *child = find_child(parent, segment);

	if (child)
		return child;
	child = arena_new(&l->arena, struct place);
	if (!child)
		return NULL;
	child->is_parameter = is_variable(segment);
	child->text = arena_dup(&l->arena, segment);
	child->shape = arena_new(&l->arena, struct shape);
	if (!child->text.ptr || !child->shape)
		return NULL;
	child->next = parent->children;
	parent->children = child;
	parent->child_count++;
	return child;
}

int learner_path(struct learner *l, struct span line, struct err *err)
{
	struct exchange_line x;
	struct place *place = &l->root;
	struct span rest;
	size_t segments = 0;

	if (!read_line(l, line, &x))
		return 0;
	rest = span_of(x.path.ptr + 1, x.path.len - 1);
	while (rest.ptr && place && segments++ < SEGMENTS_MAX)
		place = add_child(l, place, span_cut(&rest, '/'));
	return place ? 0 : err_set(err, ERR_MEMORY, "no memory to learn more paths");
}

/* Puts what is below `from` below `to`; nothing but paths is known yet. */
static void merge_places(struct place *to, struct place *from)
{
	struct place *child = from->children;

	while (child) {
		struct place *next = child->next;
		struct place *same = to->children;

		while (same &&
		       !(child->is_parameter
				 ? same->is_parameter
				 : !same->is_parameter && span_eq(same->text, child->text)))
			same = same->next;
		if (same) {
			merge_places(same, child);
		} else {
			child->next = to->children;
			to->children = child;
			to->child_count++;
		}
		child = next;
	}
}

static void settle(struct learner *l, struct place *place)
{
	size_t fixed = 0;

	for (const struct place *p = place->children; p; p = p->next)
		fixed += !p->is_parameter;
	if (place->children && fixed >= l->options.many_children) {
		struct place *first = place->children;

		while (first->next) {
			struct place *other = first->next;

			first->next = other->next;
			merge_places(first, other);
		}
		first->is_parameter = true;
		place->child_count = 1;
	}
	for (struct place *p = place->children; p; p = p->next)
		settle(l, p);
}

void learner_settle(struct learner *l)
{
	settle(l, &l->root);
}

/* Finds the place of a path and takes its parameters' values; false: not seen before, or failed. */
static bool walk(struct learner *l, struct span path, struct place **found, bool *no_memory)
{
	struct place *place = &l->root;
	struct span rest = span_of(path.ptr + 1, path.len - 1);

	while (rest.ptr && place) {
		struct span segment = span_cut(&rest, '/');
		struct place *child = NULL, *parameter = NULL;

		for (struct place *p = place->children; p && !child; p = p->next) {
			if (p->is_parameter)
				parameter = p;
			else if (span_eq(p->text, segment))
				child = p;
		}
		place = child ? child : parameter;
		if (place && place->is_parameter &&
		    !shape_take_text(&l->arena, place->shape, segment)) {
			*no_memory = true;
			return false;
		}
	}
	*found = place;
	return place != NULL;
}

/* ---- operations ------------------------------------------------------------------------------ */

static struct learned *operation_at(struct learner *l, struct place *place, struct span method)
{
	struct learned *o = place->operations;

	while (o && !span_eq(o->method, method))
		o = o->next;
	if (o)
		return o;
	o = arena_new(&l->arena, struct learned);
	if (!o)
		return NULL;
	o->method = arena_dup(&l->arena, method);
	o->next = place->operations;
	place->operations = o;
	l->operation_count++;
	return o->method.ptr ? o : NULL;
}

static struct seen_parameter *parameter_of(struct learner *l, struct learned *o,
					   struct span name)
{
	struct seen_parameter **end = &o->query;
	struct seen_parameter *p;

	for (; *end; end = &(*end)->next)
		if (span_eq((*end)->name, name))
			return *end;
	p = arena_new(&l->arena, struct seen_parameter);
	if (!p)
		return NULL;
	*end = p;
	p->name = arena_dup(&l->arena, name);
	p->shape = arena_new(&l->arena, struct shape);
	return p->name.ptr && p->shape ? p : NULL;
}

static struct span decoded(struct learner *l, struct span s)
{
	char *to = arena_alloc(&l->line, s.len + 1);
	size_t len;

	if (!to || uri_decode(s, true, to, &len) != URI_OK)
		return SPAN_NONE;
	return span_of(to, len);
}

static bool take_query(struct learner *l, struct learned *o, struct span query)
{
	struct span rest = query, name, value;

	while (uri_query_next(&rest, &name, &value)) {
		struct seen_parameter *p;
		struct span before = span_of(query.ptr, (size_t)(name.ptr - query.ptr));
		struct span earlier_name, earlier_value;
		bool again = false;

		while (uri_query_next(&before, &earlier_name, &earlier_value))
			again |= span_eq(earlier_name, name);
		name = decoded(l, name);
		value = decoded(l, value);
		if (!name.ptr || !value.ptr)
			continue;
		p = parameter_of(l, o, name);
		if (!p || !shape_take_text(&l->arena, p->shape, value))
			return false;
		p->repeated |= again;
		p->count += !again;
	}
	return true;
}

static struct shape *content_of(struct learner *l, struct content_shape **list,
				struct span type)
{
	while (*list && !span_eq_nocase((*list)->type, type))
		list = &(*list)->next;
	if (*list)
		return (*list)->shape;
	*list = arena_new(&l->arena, struct content_shape);
	if (!*list)
		return NULL;
	(*list)->type = arena_dup(&l->arena, type);
	(*list)->shape = arena_new(&l->arena, struct shape);
	return (*list)->type.ptr ? (*list)->shape : NULL;
}

/* A form as an object whose members are texts. */
static bool take_form(struct learner *l, struct shape *shape, struct span text)
{
	struct span rest = text, name, value;

	shape->count++;
	shape->objects++;
	shape->types |= LEARN_OBJECT;
	while (uri_query_next(&rest, &name, &value)) {
		struct json member = {.type = JSON_STRING, .text = decoded(l, value)};
		struct json_member pair = {decoded(l, name), member};
		struct json object = {.type = JSON_OBJECT, .object = {&pair, 1}};

		if (!pair.key.ptr || !member.text.ptr)
			continue;
		shape->objects--;
		shape->count--;
		if (!shape_take(&l->arena, shape, &object, 0))
			return false;
	}
	return true;
}

/* `value`: JSON, or a text that may hold it. */
static bool take_content(struct learner *l, struct content_shape **list, struct span type,
			 const struct json *value)
{
	bool is_text = value && value->type == JSON_STRING;
	const struct json *inner = NULL;
	enum openapi_kind kind;
	struct shape *shape;

	type = span_trim(span_slice(type, 0, span_find_byte(type, ';')));
	if (type.len == 0)
		type = is_text ? SPAN("text/plain") : SPAN("application/json");
	if (!memchr(type.ptr, '/', type.len))
		return true;
	shape = content_of(l, list, type);
	if (!shape)
		return false;
	kind = openapi_kind_of(type);
	if (kind == OPENAPI_KIND_FORM && is_text)
		return take_form(l, shape, value->text);
	if (kind != OPENAPI_KIND_JSON)
		return true;
	if (is_text)
		inner = json_parse(&l->line, value->text, NULL, NULL);
	return shape_take(&l->arena, shape, inner ? inner : value, 0);
}

static bool take_answer(struct learner *l, struct learned *o, const struct exchange_line *x)
{
	struct span type = SPAN_NONE;
	const struct json *body = json_get(x->json, SPAN("response_body"));
	struct answer **at = &o->answers;

	if (x->status < 100 || x->status > 599)
		return true;
	while (*at && (*at)->status < (unsigned)x->status)
		at = &(*at)->next;
	if (!*at || (*at)->status != (unsigned)x->status) {
		struct answer *answer = arena_new(&l->arena, struct answer);

		if (!answer)
			return false;
		answer->status = (unsigned)x->status;
		answer->next = *at;
		*at = answer;
	}
	(*at)->count++;
	(void)json_string(json_get(x->json, SPAN("response_type")), &type);
	if (!body)
		return true;
	return take_content(l, &(*at)->content, type, body);
}

int learner_exchange(struct learner *l, struct span line, struct err *err)
{
	struct exchange_line x;
	struct span type = SPAN_NONE;
	const struct json *body;
	struct place *place = NULL;
	struct learned *o;
	bool no_memory = false, known, ok;

	known = read_line(l, line, &x) && walk(l, x.path, &place, &no_memory);
	if (no_memory)
		return err_set(err, ERR_MEMORY, "no memory to learn more");
	if (!known || l->operation_count >= l->options.max_operations) {
		l->skipped++;
		return 0;
	}
	o = operation_at(l, place, x.method);
	if (!o)
		return err_set(err, ERR_MEMORY, "no memory to learn more");
	l->taken++;
	o->count++;
	/* What was refused says nothing about what is right, but that it is refused. */
	ok = x.status < 400;
	body = json_get(x.json, SPAN("body"));
	(void)json_string(json_get(x.json, SPAN("content_type")), &type);
	if (ok && body && body->type != JSON_NULL) {
		o->with_body++;
		ok = take_content(l, &o->bodies, type, body);
	} else {
		ok = true;
	}
	if (ok && x.status < 400)
		ok = take_query(l, o, x.query);
	if (!ok || !take_answer(l, o, &x))
		return err_set(err, ERR_MEMORY, "no memory to learn more");
	return 0;
}
