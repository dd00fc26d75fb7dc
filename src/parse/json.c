#include "parse/json.h"

#include <math.h>

#include "base/mem.h"

#define INLINE_MEMBERS 24
/* Up to here each key is compared with each other; beyond, they are sorted. */
#define PAIRWISE_KEYS 12

/* A container that is being read: its members are the stack's top from `start`. */
struct level {
	size_t start;
	struct span key; /* of the container in the one around it */
};

struct builder {
	struct arena *arena;
	struct span text;
	struct json_member *members; /* of all open containers */
	size_t count;
	size_t cap;
	struct level *levels; /* max_depth of them */
	size_t depth;
	struct span key; /* for the next value */
	struct json_member few[INLINE_MEMBERS]; /* before the heap is needed */
};

static bool push(struct builder *b, const struct json *value)
{
	if (b->count == b->cap) {
		struct json_member *old = b->members == b->few ? NULL : b->members;
		size_t bytes = b->cap * 2 * sizeof(*old);
		struct json_member *more = mem_realloc(old, bytes);

		if (!more)
			return false;
		if (!old)
			memcpy(more, b->few, sizeof(b->few));
		b->members = more;
		b->cap *= 2;
	}
	b->members[b->count].key = b->key;
	b->members[b->count++].value = *value;
	return true;
}

static int compare_keys(const void *left, const void *right)
{
	return span_compare(*(const struct span *)left, *(const struct span *)right);
}

static enum json_error check_unique(const struct json_member *members, size_t count)
{
	struct span *keys;
	enum json_error error = JSON_OK;

	if (count <= PAIRWISE_KEYS) {
		for (size_t i = 1; i < count; i++)
			for (size_t k = 0; k < i; k++)
				if (span_eq(members[i].key, members[k].key))
					return JSON_ERROR_DUPLICATE_KEY;
		return JSON_OK;
	}
	keys = mem_zalloc(count, sizeof(*keys));
	if (!keys)
		return JSON_ERROR_MEMORY;
	for (size_t i = 0; i < count; i++)
		keys[i] = members[i].key;
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < count && error == JSON_OK; i++)
		if (span_eq(keys[i], keys[i - 1]))
			error = JSON_ERROR_DUPLICATE_KEY;
	mem_free(keys);
	return error;
}

static enum json_error close_object(struct builder *b, size_t start, struct json *object)
{
	size_t count = b->count - start;
	struct json_member *members = arena_array(b->arena, struct json_member, count);
	enum json_error error = check_unique(b->members + start, count);

	if (!members)
		return JSON_ERROR_MEMORY;
	memcpy(members, b->members + start, count * sizeof(*members));
	*object = (struct json){.type = JSON_OBJECT, .object = {members, count}};
	return error;
}

static enum json_error close_array(struct builder *b, size_t start, struct json *array)
{
	size_t count = b->count - start;
	struct json *items = arena_array(b->arena, struct json, count);

	if (!items)
		return JSON_ERROR_MEMORY;
	for (size_t i = 0; i < count; i++)
		items[i] = b->members[start + i].value;
	*array = (struct json){.type = JSON_ARRAY, .array = {items, count}};
	return JSON_OK;
}

static enum json_error close_container(struct builder *b, bool object)
{
	struct level *level = &b->levels[--b->depth];
	struct json value;
	enum json_error error = object ? close_object(b, level->start, &value)
				       : close_array(b, level->start, &value);

	if (error != JSON_OK)
		return error;
	b->count = level->start;
	b->key = level->key;
	return push(b, &value) ? JSON_OK : JSON_ERROR_MEMORY;
}

static void open_container(struct builder *b)
{
	b->levels[b->depth++] = (struct level){b->count, b->key};
	b->key = SPAN_NONE;
}

/* A string of the text is borrowed; one that was assembled is copied. ptr NULL: out of memory. */
static struct span keep_text(struct builder *b, struct span s)
{
	if (s.ptr >= b->text.ptr && s.ptr < b->text.ptr + b->text.len)
		return s;
	return arena_dup(b->arena, s);
}

static enum json_error build(struct builder *b, enum json_token token, struct span text)
{
	struct json value = {.type = JSON_NULL};

	switch (token) {
	case JSON_TOKEN_OBJECT_BEGIN:
	case JSON_TOKEN_ARRAY_BEGIN: open_container(b); return JSON_OK;
	case JSON_TOKEN_OBJECT_END:
	case JSON_TOKEN_ARRAY_END: return close_container(b, token == JSON_TOKEN_OBJECT_END);
	case JSON_TOKEN_KEY:
		b->key = keep_text(b, text);
		return b->key.ptr ? JSON_OK : JSON_ERROR_MEMORY;
	case JSON_TOKEN_STRING:
	case JSON_TOKEN_NUMBER:
		value.type = token == JSON_TOKEN_STRING ? JSON_STRING : JSON_NUMBER;
		value.text = keep_text(b, text);
		if (!value.text.ptr)
			return JSON_ERROR_MEMORY;
		break;
	case JSON_TOKEN_TRUE:
	case JSON_TOKEN_FALSE:
		value.type = JSON_BOOL;
		value.boolean = token == JSON_TOKEN_TRUE;
		break;
	case JSON_TOKEN_NULL:
	case JSON_TOKEN_MORE:
	case JSON_TOKEN_END:
	case JSON_TOKEN_ERROR: break;
	}
	return push(b, &value) ? JSON_OK : JSON_ERROR_MEMORY;
}

static void locate(struct span text, struct json_problem *problem)
{
	size_t line_start = 0;

	problem->line = 1;
	for (size_t i = 0; i < problem->offset && i < text.len; i++) {
		if (text.ptr[i] == '\n') {
			problem->line++;
			line_start = i + 1;
		}
	}
	problem->column = (unsigned)(problem->offset - line_start) + 1;
}

static enum json_error read_all(struct builder *b, struct json_tokens *t)
{
	json_tokens_feed(t, b->text);
	for (;;) {
		enum json_token token = json_tokens_next(t);
		enum json_error error;

		if (token == JSON_TOKEN_MORE) {
			json_tokens_finish(t);
			continue;
		}
		if (token == JSON_TOKEN_END)
			return JSON_OK;
		if (token == JSON_TOKEN_ERROR)
			return t->error;
		error = build(b, token, t->text);
		if (error != JSON_OK) {
			t->error_offset = t->token_offset;
			return error;
		}
	}
}

const struct json *json_parse_problem(struct arena *a, struct span text,
				      const struct json_limits *limits,
				      struct json_problem *problem)
{
	struct json_limits used = limits ? *limits : JSON_LIMITS_DEFAULT;
	struct json_problem unused = {JSON_OK, 0, 0, 0};
	struct builder b = {.arena = a, .text = text, .cap = INLINE_MEMBERS};
	struct json *root = arena_new(a, struct json);
	struct json_tokens t;
	struct buf scratch;

	problem = problem ? problem : &unused;
	*problem = (struct json_problem){JSON_OK, 0, 0, 0};
	used.max_open_keys = 0;
	b.members = b.few;
	b.levels = arena_alloc(a, used.max_depth * sizeof(*b.levels));
	buf_init(&scratch, used.max_string_bytes > used.max_number_bytes
				   ? used.max_string_bytes
				   : used.max_number_bytes);
	json_tokens_init(&t, &used, &scratch);
	problem->error = root && b.levels ? read_all(&b, &t) : JSON_ERROR_MEMORY;
	problem->offset = t.error_offset;
	if (problem->error == JSON_OK)
		*root = b.members[0].value;
	else
		locate(text, problem);
	if (b.members != b.few)
		mem_free(b.members);
	buf_release(&scratch);
	return problem->error == JSON_OK ? root : NULL;
}

const struct json *json_parse(struct arena *a, struct span text,
			      const struct json_limits *limits, struct err *err)
{
	struct json_problem problem;
	const struct json *root = json_parse_problem(a, text, limits, &problem);
	enum err_code code = ERR_SYNTAX;

	if (root)
		return root;
	if (problem.error == JSON_ERROR_MEMORY)
		code = ERR_MEMORY;
	else if (problem.error >= JSON_ERROR_DEPTH && problem.error <= JSON_ERROR_MANY_KEYS)
		code = ERR_LIMIT;
	err_set(err, code, "line %u, column %u: %s", problem.line, problem.column,
		json_error_text(problem.error));
	return NULL;
}

const struct json *json_get(const struct json *object, struct span key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->object.count; i++)
		if (span_eq(object->object.members[i].key, key))
			return &object->object.members[i].value;
	return NULL;
}

const struct json *json_at(const struct json *array, size_t index)
{
	if (!array || array->type != JSON_ARRAY || index >= array->array.count)
		return NULL;
	return &array->array.items[index];
}

/* Compares a key with a token of a pointer, in which "~1" is "/" and "~0" is "~". */
static bool token_is(struct span token, struct span key)
{
	size_t at = 0;

	for (size_t i = 0; i < token.len; i++, at++) {
		char c = token.ptr[i];

		if (c == '~')
			c = token.ptr[++i] == '1' ? '/' : '~';
		if (at == key.len || key.ptr[at] != c)
			return false;
	}
	return at == key.len;
}

static bool token_valid(struct span token)
{
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] == '~' && (i + 1 == token.len || (token.ptr[i + 1] != '0' &&
								   token.ptr[i + 1] != '1')))
			return false;
	return true;
}

static const struct json *step_down(const struct json *value, struct span token)
{
	uint64_t index;

	if (value->type == JSON_OBJECT) {
		for (size_t i = 0; i < value->object.count; i++)
			if (token_is(token, value->object.members[i].key))
				return &value->object.members[i].value;
		return NULL;
	}
	if ((token.len > 1 && token.ptr[0] == '0') || !span_to_u64(token, &index) ||
	    index > SIZE_MAX)
		return NULL;
	return json_at(value, (size_t)index);
}

const struct json *json_pointer(const struct json *root, struct span pointer)
{
	struct span rest = pointer;

	if (pointer.len == 0)
		return root;
	if (pointer.ptr[0] != '/')
		return NULL;
	rest = span_slice(pointer, 1, pointer.len);
	while (root && rest.ptr) {
		struct span token = span_cut(&rest, '/');

		if (!token_valid(token))
			return NULL;
		root = step_down(root, token);
	}
	return root;
}

bool json_string(const struct json *value, struct span *string)
{
	if (!value || value->type != JSON_STRING)
		return false;
	*string = value->text;
	return true;
}

bool json_bool(const struct json *value, bool *boolean)
{
	if (!value || value->type != JSON_BOOL)
		return false;
	*boolean = value->boolean;
	return true;
}

bool json_int(const struct json *value, int64_t *integer)
{
	return value && value->type == JSON_NUMBER && span_to_i64(value->text, integer);
}

bool json_double(const struct json *value, double *number)
{
	char text[1024];
	double result;

	if (!value || value->type != JSON_NUMBER || value->text.len >= sizeof(text))
		return false;
	/* The grammar was checked, and the process stays in the C locale. */
	memcpy(text, value->text.ptr, value->text.len);
	text[value->text.len] = '\0';
	result = strtod(text, NULL);
	if (!isfinite(result))
		return false;
	*number = result;
	return true;
}

bool json_is(const struct json *value, struct span text)
{
	return value && value->type == JSON_STRING && span_eq(value->text, text);
}
