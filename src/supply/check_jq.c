#include "supply/check_jq.h"

#include <jq.h>

#include "base/mem.h"

struct check_program {
	jq_state *jq;
	struct err *compiling; /* where jq's first message goes */
};

/* jq tells problems of compiling through this. */
static void on_message(void *context, jv message)
{
	struct check_program *p = context;
	jv text = jq_format_error(message);

	if (p->compiling && p->compiling->code == ERR_NONE &&
	    jv_get_kind(text) == JV_KIND_STRING)
		(void)err_set(p->compiling, ERR_INVALID, "%.300s", jv_string_value(text));
	jv_free(text);
}

struct check_program *check_program_new(struct span text, struct err *err)
{
	struct check_program *p = mem_zalloc(1, sizeof(*p));
	struct err why = {0};
	char *copy = mem_strdup(text);

	if (!p || !copy) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		mem_free(p);
		mem_free(copy);
		return NULL;
	}
	p->jq = jq_init();
	p->compiling = &why;
	if (!p->jq) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		goto failed;
	}
	jq_set_error_cb(p->jq, on_message, p);
	if (!jq_compile(p->jq, copy)) {
		(void)err_set(err, ERR_INVALID, "%s",
			      why.code ? why.message : "jq does not compile it");
		goto failed;
	}
	p->compiling = NULL;
	mem_free(copy);
	return p;
failed:
	p->compiling = NULL;
	mem_free(copy);
	check_program_free(p);
	return NULL;
}

void check_program_free(struct check_program *p)
{
	if (!p)
		return;
	if (p->jq)
		jq_teardown(&p->jq);
	mem_free(p);
}

static jv text_to_jv(struct span text)
{
	return jv_string_sized(text.len ? text.ptr : "",
			       (int)(text.len > 1 << 20 ? 1 << 20 : text.len));
}

/* Numbers as YAML writes them; what is none for JSON stays a text. */
static jv number_to_jv(struct span text)
{
	int64_t integer;
	jv number;
	char copy[64];

	if (span_to_i64(text, &integer) && integer > -((int64_t)1 << 53) &&
	    integer < (int64_t)1 << 53)
		return jv_number((double)integer);
	if (text.len >= sizeof(copy))
		return text_to_jv(text);
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	number = jv_parse(copy);
	if (jv_get_kind(number) == JV_KIND_NUMBER)
		return number;
	jv_free(number);
	return text_to_jv(text);
}

/* Depth is bounded by those who build trees, NODE_DEPTH_MAX. */
static jv to_jv(const struct node *n)
{
	jv value;

	switch (n->kind) {
	case NODE_NULL: return jv_null();
	case NODE_BOOL: return jv_bool(n->boolean);
	case NODE_NUMBER: return number_to_jv(n->text);
	case NODE_STRING: return text_to_jv(n->text);
	case NODE_LIST:
		value = jv_array();
		node_for_each(item, n) value = jv_array_append(value, to_jv(item));
		return value;
	case NODE_MAP:
		value = jv_object();
		node_for_each(member, n) value =
			jv_object_set(value, text_to_jv(member->key), to_jv(member));
		return jv_object_set(value, jv_string("@line"), jv_number(n->line));
	}
	return jv_null();
}

static uint32_t line_of(jv value)
{
	jv line = jv_get_kind(value) == JV_KIND_OBJECT
			  ? jv_object_get(jv_copy(value), jv_string("@line"))
			  : jv_invalid();
	double number = jv_get_kind(line) == JV_KIND_NUMBER ? jv_number_value(line) : 0;

	jv_free(line);
	return number > 0 && number < UINT32_MAX ? (uint32_t)number : 0;
}

static void tell(jv output, const struct node *document,
		 void (*found)(void *context, const struct check_hit *hit), void *context)
{
	jv rule = jv_array_get(jv_copy(output), 0);
	jv value = jv_array_get(jv_copy(output), 1);
	jv message = jv_get_kind(value) == JV_KIND_OBJECT
			     ? jv_object_get(jv_copy(value), jv_string("message"))
			     : jv_invalid();
	struct check_hit hit = {.line = line_of(value)};

	if (jv_get_kind(rule) == JV_KIND_NUMBER) {
		hit.rule = (size_t)jv_number_value(rule);
		if (hit.line == 0)
			hit.line = document->line;
		if (jv_get_kind(message) == JV_KIND_STRING)
			hit.message = span_of(jv_string_value(message),
					      (size_t)jv_string_length_bytes(jv_copy(message)));
		found(context, &hit);
	}
	jv_free(rule);
	jv_free(value);
	jv_free(message);
}

int check_program_run(struct check_program *p, const char *kind, const struct node *document,
		      void (*found)(void *context, const struct check_hit *hit), void *context,
		      struct err *err)
{
	jv input = JV_OBJECT(jv_string("kind"), jv_string(kind), jv_string("document"),
			     to_jv(document));
	jv output;
	int result = 0;

	jq_start(p->jq, input, 0);
	while (jv_is_valid(output = jq_next(p->jq))) {
		if (jv_get_kind(output) == JV_KIND_ARRAY)
			tell(output, document, found, context);
		jv_free(output);
	}
	if (jv_invalid_has_msg(jv_copy(output))) {
		jv why = jv_invalid_get_msg(output);

		result = err_set(err, ERR_INVALID, "rules: %.300s",
				 jv_get_kind(why) == JV_KIND_STRING ? jv_string_value(why)
								    : "an error");
		jv_free(why);
	} else {
		jv_free(output);
	}
	return result;
}
