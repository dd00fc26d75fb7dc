/* Where values come from: text in pieces, tokens, trees, and scalars as text. */
#include "contract/schema_scan.h"
#include "parse/utf8.h"

/* -- tokens -- */

static void literal(struct schema_run *run, enum json_type type, bool value)
{
	struct scalar s = {.type = type,
			   .bit = type == JSON_NULL ? SCHEMA_NULL : SCHEMA_BOOLEAN,
			   .boolean = value};

	run_scalar(run, &s);
}

static void string(struct schema_run *run, struct span text)
{
	struct scalar s = {.type = JSON_STRING, .bit = SCHEMA_STRING, .text = text};

	run_scalar(run, &s);
}

static void number(struct schema_run *run, struct span text)
{
	struct scalar s;

	scalar_number(&s, text);
	run_scalar(run, &s);
}

static void take_token(struct schema_run *run, enum json_token token, struct span text)
{
	switch (token) {
	case JSON_TOKEN_OBJECT_BEGIN: run_begin(run, true); break;
	case JSON_TOKEN_ARRAY_BEGIN: run_begin(run, false); break;
	case JSON_TOKEN_OBJECT_END:
	case JSON_TOKEN_ARRAY_END: run_end(run); break;
	case JSON_TOKEN_KEY: run_key(run, text); break;
	case JSON_TOKEN_STRING: string(run, text); break;
	case JSON_TOKEN_NUMBER: number(run, text); break;
	case JSON_TOKEN_TRUE:
	case JSON_TOKEN_FALSE: literal(run, JSON_BOOL, token == JSON_TOKEN_TRUE); break;
	case JSON_TOKEN_NULL: literal(run, JSON_NULL, false); break;
	case JSON_TOKEN_MORE:
	case JSON_TOKEN_END:
	case JSON_TOKEN_ERROR: break;
	}
}

/* The text is at its end and was one value. */
static void complete(struct schema_run *run)
{
	run->result = run->failed ? SCHEMA_INVALID : SCHEMA_VALID;
}

/* -- text -- */

static void token_error(struct schema_run *run)
{
	const struct json_tokens *t = &run->tokens;

	switch (t->error) {
	case JSON_ERROR_DEPTH: run_limit(run, "depth"); break;
	case JSON_ERROR_STRING_LONG: run_limit(run, "string_bytes"); break;
	case JSON_ERROR_NUMBER_LONG: run_limit(run, "number_bytes"); break;
	case JSON_ERROR_MANY_KEYS: run_limit(run, "keys"); break;
	case JSON_ERROR_MEMORY: run_no_memory(run); break;
	case JSON_OK:
	case JSON_ERROR_SYNTAX:
	case JSON_ERROR_TRUNCATED:
	case JSON_ERROR_CONTROL:
	case JSON_ERROR_ESCAPE:
	case JSON_ERROR_SURROGATE:
	case JSON_ERROR_UTF8:
	case JSON_ERROR_NUMBER:
	case JSON_ERROR_DUPLICATE_KEY: run_malformed(run, t->error, t->error_offset); break;
	}
}

static void read_tokens(struct schema_run *run)
{
	struct json_tokens *t = &run->tokens;

	while (!run_ended(run)) {
		enum json_token token;

		run_scan(run);
		if (run_ended(run))
			return;
		token = json_tokens_next(t);
		if (token == JSON_TOKEN_MORE)
			return;
		if (token == JSON_TOKEN_END) {
			complete(run);
			return;
		}
		if (token == JSON_TOKEN_ERROR) {
			token_error(run);
			return;
		}
		run->token_start = t->token_offset;
		run->token_end = json_tokens_offset(t);
		take_token(run, token, t->text);
	}
}

static void begin_text(struct schema_run *run)
{
	struct json_limits limits = {.max_depth = run->limits.max_depth,
				     .max_string_bytes = run->limits.max_string_bytes,
				     .max_number_bytes = run->limits.max_number_bytes};

	json_tokens_init(&run->tokens, &limits, &run->scratch);
	run->tokens_used = true;
}

enum schema_result schema_run_feed(struct schema_run *run, struct span piece)
{
	if (run_ended(run))
		return run->result;
	if (!run->tokens_used)
		begin_text(run);
	json_tokens_feed(&run->tokens, piece);
	if (run->fast.any_failed) {
		memset(run->fast.failed, 0, sizeof(run->fast.failed));
		run->fast.any_failed = false;
	}
	read_tokens(run);
	return run->result;
}

enum schema_result schema_run_finish(struct schema_run *run)
{
	if (run_ended(run))
		return run->result;
	if (!run->tokens_used && run->root_read && run->level_count == 0) {
		complete(run);
		return run->result;
	}
	if (!run->tokens_used)
		begin_text(run);
	json_tokens_finish(&run->tokens);
	read_tokens(run);
	return run->result;
}

enum schema_result schema_run_stop(struct schema_run *run)
{
	if (!run_ended(run) && run->failed)
		run->result = SCHEMA_INVALID;
	return run->result;
}

enum schema_result schema_run_whole(struct schema_run *run, const struct schema *schema,
				    const struct schema_run_options *options, struct span text)
{
	schema_run_start(run, schema, options);
	schema_run_feed(run, text);
	return schema_run_finish(run);
}

enum schema_result schema_run_token(struct schema_run *run, enum json_token token,
				    struct span text)
{
	if (!run_ended(run) && run->root_read)
		run_malformed(run, JSON_ERROR_SYNTAX, 0);
	if (!run_ended(run))
		take_token(run, token, text);
	return run->result;
}

/* -- trees -- */

/* As deep as the limit of depth, which run_begin() keeps. */
static void take_tree(struct schema_run *run, const struct json *value)
{
	bool object = value->type == JSON_OBJECT;

	switch (value->type) {
	case JSON_NULL: literal(run, JSON_NULL, false); return;
	case JSON_BOOL: literal(run, JSON_BOOL, value->boolean); return;
	case JSON_NUMBER: number(run, value->text); return;
	case JSON_STRING: string(run, value->text); return;
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	run_begin(run, object);
	for (size_t i = 0; !object && i < value->array.count && !run_ended(run); i++)
		take_tree(run, &value->array.items[i]);
	for (size_t i = 0; object && i < value->object.count && !run_ended(run); i++) {
		run_key(run, value->object.members[i].key);
		if (!run_ended(run))
			take_tree(run, &value->object.members[i].value);
	}
	if (!run_ended(run))
		run_end(run);
}

enum schema_result schema_run_tree(struct schema_run *run, const struct schema *schema,
				   const struct schema_run_options *options,
				   const struct json *value)
{
	schema_run_start(run, schema, options);
	take_tree(run, value);
	return schema_run_finish(run);
}

/* -- scalars as text -- */

/* A number as JSON writes it (RFC 8259 section 6). */
static bool is_number(struct span s, size_t max)
{
	size_t i = s.len && s.ptr[0] == '-';
	size_t start = i;

	while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
		i++;
	if (i == start || (s.ptr[start] == '0' && i > start + 1) || s.len > max)
		return false;
	if (i < s.len && s.ptr[i] == '.') {
		start = ++i;
		while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
			i++;
		if (i == start)
			return false;
	}
	if (i < s.len && (s.ptr[i] | 0x20) == 'e') {
		i++;
		i += i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-');
		start = i;
		while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
			i++;
		if (i == start)
			return false;
	}
	return i == s.len;
}

/* What all schemas allow that the value that comes next must meet. */
static unsigned allowed_types(struct schema_run *run)
{
	const struct level *level =
		run->level_count ? &run->levels[run->level_count - 1] : NULL;
	unsigned types = SCHEMA_ANY_TYPE;

	if (!level)
		return run->root->reach;
	/* For items, as run_expect() will find them. */
	for (uint32_t i = level->first; !level->object && i < level->first + level->count;
	     i++) {
		const struct schema_array *array = run->evals[i].schema->array;
		const struct schema *inner = array ? array->items : NULL;

		if (array && level->members < array->prefix_count)
			inner = array->prefix[level->members];
		if (inner && !(run->evals[i].flags & EVAL_QUIET))
			types &= inner->reach;
	}
	for (uint32_t i = 0; level->object && i < run->child_count; i++)
		if (run->children[i].role == ROLE_PART &&
		    !(run->evals[run->children[i].asker].flags & EVAL_QUIET))
			types &= run->children[i].schema->reach;
	return types;
}

/* The value is there, and is none that a schema could be asked about. */
static void skip_unreadable(struct schema_run *run)
{
	run_problem(run, RUN_HERE, run->root, "encoding", SPAN(""));
	if (run_expect(run))
		run_member_done(run, 0);
}

static void take_text(struct schema_run *run, struct span text, unsigned types)
{
	/* A schema that allows everything says nothing about how to read it. */
	if (types == SCHEMA_ANY_TYPE)
		types = SCHEMA_STRING;
	if (!utf8_valid(text))
		skip_unreadable(run);
	else if ((types & (SCHEMA_INTEGER | SCHEMA_NUMBER)) &&
		 is_number(text, run->limits.max_number_bytes))
		number(run, text);
	else if ((types & SCHEMA_BOOLEAN) && span_eq(text, SPAN("true")))
		literal(run, JSON_BOOL, true);
	else if ((types & SCHEMA_BOOLEAN) && span_eq(text, SPAN("false")))
		literal(run, JSON_BOOL, false);
	else if ((types & SCHEMA_NULL) && !(types & SCHEMA_STRING) && !text.len)
		literal(run, JSON_NULL, false);
	else if (text.len > run->limits.max_string_bytes)
		run_limit(run, "string_bytes");
	else
		string(run, text);
}

enum schema_result schema_run_text(struct schema_run *run, struct span text)
{
	if (!run_ended(run) && run->root_read)
		run_malformed(run, JSON_ERROR_SYNTAX, 0);
	if (!run_ended(run))
		take_text(run, text, allowed_types(run));
	return run->result;
}

enum schema_result schema_run_scalar(struct schema_run *run, const struct schema *schema,
				     struct span text)
{
	unsigned types = schema->reach;

	schema_run_start(run, schema, NULL);
	take_text(run, text, types);
	schema_run_finish(run);
	/* "12" may be meant as a string where both are allowed. */
	if (run->result == SCHEMA_INVALID && types != SCHEMA_ANY_TYPE &&
	    (types & SCHEMA_STRING) && utf8_valid(text)) {
		schema_run_start(run, schema, NULL);
		take_text(run, text, SCHEMA_STRING);
		schema_run_finish(run);
	}
	return run->result;
}
