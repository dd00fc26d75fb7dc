#include "contract/learn_internal.h"
#include "contract/openapi.h"

struct way {
	const struct place *places[64];
	struct span names[64]; /* of parameters */
	char rooms[64][80]; /* for the names */
	size_t count;
};

/* "orders" names its members orderId, "status" statusId, "" id; a second one gets a number. */
static struct span name_parameter(struct way *w, size_t index, char room[80])
{
	struct span before = index > 0 && !w->places[index - 1]->is_parameter
				     ? w->places[index - 1]->text
				     : SPAN_NONE;
	size_t len = 0;
	unsigned number = 1;

	for (size_t i = 0; i < before.len && len < 40; i++)
		if ((ascii_lower(before.ptr[i]) >= 'a' && ascii_lower(before.ptr[i]) <= 'z') ||
		    (len > 0 && before.ptr[i] >= '0' && before.ptr[i] <= '9'))
			room[len++] = before.ptr[i];
	if (len > 3 && room[len - 1] == 's' && room[len - 2] != 's' && room[len - 2] != 'u')
		len--;
	len += (size_t)snprintf(room + len, 20, "%s", len ? "Id" : "id");
	for (size_t i = 0; i < index; i++)
		number += w->places[i]->is_parameter &&
			  span_starts_with(w->names[i], span_of(room, len));
	if (number > 1)
		len += (size_t)snprintf(room + len, 20, "%u", number);
	return span_of(room, len);
}

static void put_path(struct buf *to, const struct way *w)
{
	buf_append_cstr(to, "  \"");
	for (size_t i = 0; i < w->count; i++) {
		buf_append_byte(to, '/');
		if (w->places[i]->is_parameter)
			buf_printf(to, "{%.*s}", SPAN_ARG(w->names[i]));
		else
			buf_append_json(to, w->places[i]->text);
	}
	buf_append_cstr(to, "\":\n");
}

static void put_path_parameters(struct buf *to, const struct way *w)
{
	bool first = true;

	for (size_t i = 0; i < w->count; i++) {
		if (!w->places[i]->is_parameter)
			continue;
		if (first)
			buf_append_cstr(to, "    parameters:\n");
		first = false;
		buf_printf(to, "      - name: %.*s\n        in: path\n        required: true\n",
			   SPAN_ARG(w->names[i]));
		buf_append_cstr(to, "        schema:\n");
		shape_write(to, w->places[i]->shape, 10, true);
	}
}

static void put_query(struct buf *to, const struct learned *o)
{
	if (o->query)
		buf_append_cstr(to, "      parameters:\n");
	for (const struct seen_parameter *p = o->query; p; p = p->next) {
		buf_append_cstr(to, "        - name: ");
		learn_put_string(to, p->name);
		buf_append_cstr(to, "\n          in: query\n");
		if (p->count == o->count && o->count >= 10)
			buf_append_cstr(to, "          required: true\n");
		buf_append_cstr(to, "          schema:\n");
		if (p->repeated)
			buf_append_cstr(to, "            type: array\n"
					    "            maxItems: 128\n            items:\n");
		shape_write(to, p->shape, p->repeated ? 14 : 12, true);
	}
}

static void put_content(struct buf *to, const struct content_shape *content, unsigned indent,
			bool bounds)
{
	for (; content; content = content->next) {
		learn_put_key(to, indent, content->type);
		if (!content->shape->count) {
			buf_append_cstr(to, " {}\n");
			continue;
		}
		buf_append_byte(to, '\n');
		learn_put_key(to, indent + 2, SPAN("schema"));
		buf_append_byte(to, '\n');
		shape_write(to, content->shape, indent + 4, bounds);
	}
}

static void put_answers(struct buf *to, const struct learned *o)
{
	buf_append_cstr(to, "      responses:\n");
	if (!o->answers)
		buf_append_cstr(to, "        default:\n          description: not seen\n");
	for (const struct answer *a = o->answers; a; a = a->next) {
		buf_printf(to, "        \"%u\":\n          description: seen %llu times\n",
			   a->status, (unsigned long long)a->count);
		if (!a->content)
			continue;
		buf_append_cstr(to, "          content:\n");
		put_content(to, a->content, 12, false);
	}
}

static bool known_method(struct span method)
{
	static const char *const names[] = {"GET",  "PUT",   "POST",  "DELETE", "OPTIONS",
					    "HEAD", "PATCH", "TRACE", NULL};

	for (size_t i = 0; names[i]; i++)
		if (span_eq(method, span_cstr(names[i])))
			return true;
	return false;
}

static void put_operation(struct buf *to, const struct learned *o)
{
	if (!known_method(o->method)) {
		buf_printf(to, "    # %.*s was seen too; OpenAPI 3.1 has no word for it\n",
			   SPAN_ARG(o->method));
		return;
	}
	buf_append_cstr(to, "    ");
	for (size_t i = 0; i < o->method.len; i++)
		buf_append_byte(to, ascii_lower(o->method.ptr[i]));
	buf_printf(to, ": # seen %llu times\n", (unsigned long long)o->count);
	put_query(to, o);
	if (o->bodies) {
		buf_append_cstr(to, "      requestBody:\n");
		if (o->with_body == o->count && o->count >= 3)
			buf_append_cstr(to, "        required: true\n");
		buf_append_cstr(to, "        content:\n");
		put_content(to, o->bodies, 10, true);
	}
	put_answers(to, o);
}

static void put_place(struct buf *to, const struct place *place, struct way *w)
{
	if (place->operations) {
		put_path(to, w);
		put_path_parameters(to, w);
		for (const struct learned *o = place->operations; o; o = o->next)
			put_operation(to, o);
	}
	for (const struct place *p = place->children; p; p = p->next) {
		if (w->count == COUNT_OF(w->places))
			return;
		w->places[w->count] = p;
		w->names[w->count] = p->is_parameter
					     ? name_parameter(w, w->count, w->rooms[w->count])
					     : SPAN_NONE;
		w->count++;
		put_place(to, p, w);
		w->count--;
	}
}

void learner_write(const struct learner *l, struct buf *to)
{
	struct way w = {.count = 0};

	buf_printf(
		to,
		"# Proposed by \"sallyport contract learn\" from %llu exchanges. Read it, add "
		"\"security\",\n# and correct it before it is a contract: what was not seen is "
		"not in it.\n",
		(unsigned long long)l->taken);
	buf_append_cstr(to, "openapi: 3.1.0\ninfo:\n  title: ");
	learn_put_string(to, l->options.title);
	buf_append_cstr(to, "\n  version: \"0\"\n");
	buf_append_cstr(to, l->operation_count ? "paths:\n" : "paths: {}\n");
	put_place(to, &l->root, &w);
}
