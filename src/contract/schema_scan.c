#include "contract/schema_scan.h"

#include "contract/schema_fast.h"
#include "parse/utf8.h"

#define INLINE static inline __attribute__((always_inline))

/* The scanner's registers: p moves ahead of the tokenizer's own place. */
struct scan {
	struct schema_run *run;
	struct json_tokens *t;
	const char *p;
	const char *end;
	uint64_t base; /* offset of the piece, less its address */
	unsigned expect;
};

INLINE uint64_t offset_of(const struct scan *c, const char *p)
{
	return c->base + (uint64_t)(uintptr_t)p;
}

INLINE bool skip_space(struct scan *c)
{
	while (c->p < c->end) {
		char ch = *c->p;

		if (LIKELY((unsigned char)ch > ' '))
			return true;
		if (ch != ' ' && ch != '\n' && ch != '\r' && ch != '\t')
			return true;
		c->p++;
	}
	return false;
}

INLINE struct level *top_level(struct schema_run *run)
{
	return &run->levels[run->level_count - 1];
}

/* The string that starts at the quote p; false when it is cut, has escapes or is no UTF-8. */
INLINE bool take_string(struct scan *c, const char *p, struct span *text)
{
	const char *start = p + 1;
	bool high = false;
	size_t len = json_plain_length(span_of(start, (size_t)(c->end - start)), &high);

	if (UNLIKELY(start + len >= c->end || start[len] != '"' ||
		     len > c->run->limits.max_string_bytes))
		return false;
	*text = span_of(start, len);
	if (UNLIKELY(high) && !utf8_valid(*text))
		return false;
	c->p = start + len + 1;
	return true;
}

INLINE void value_read(struct scan *c)
{
	c->expect = c->t->depth ? JSON_EXPECT_COMMA_OR_END : JSON_EXPECT_NOTHING;
}

/* -- scalars -- */

/* True when the schema is met for certain. */
INLINE bool check_plain_string(struct schema_run *run, const struct schema *schema,
			       struct span text)
{
	const struct schema_string *string = schema->string;

	if (UNLIKELY(schema->branch_count || schema->never || !(schema->types & SCHEMA_STRING)))
		return false;
	for (unsigned i = 0; i < COUNT_OF(schema->values); i++)
		if (schema->values[i] &&
		    schema_names_find(&schema->values[i]->strings, text, SCHEMA_NAME_NONE) ==
			    SCHEMA_NAME_NONE)
			return false;
	if (!string)
		return true;
	if (text.len > string->max || text.len / 4 < string->min || string->has_format)
		return false;
	return !string->pattern ||
	       ecma_match(run->matcher, string->pattern, text) == ECMA_MATCH;
}

/*
 * What the next value must meet: a schema that the solo of the level asks for (NULL: nothing), or
 * whatever the general functions say.
 */
struct due {
	const struct schema *schema;
	uint32_t asker;
	bool plain;
};

static void check_slowly(struct schema_run *run, const struct due *due, struct scalar *s)
{
	bool quiet = run->evals[due->asker].flags & EVAL_QUIET;

	if (!run_check_scalar(run, due->schema, s, quiet))
		run_tell(run, due->asker, ROLE_PART, false);
}

INLINE void take_scalar(struct scan *c, const struct due *due, struct scalar *s)
{
	struct schema_run *run = c->run;

	value_read(c);
	if (LIKELY(due->plain)) {
		if (due->schema)
			check_slowly(run, due, s);
		return;
	}
	run->token_end = offset_of(c, c->p);
	run_scalar(run, s);
}

INLINE bool value_string(struct scan *c, const struct due *due)
{
	struct span text;
	struct scalar s;

	if (!take_string(c, c->p, &text))
		return false;
	if (LIKELY(due->plain) &&
	    (!due->schema || check_plain_string(c->run, due->schema, text))) {
		value_read(c);
		return true;
	}
	s.type = JSON_STRING;
	s.bit = SCHEMA_STRING;
	s.text = text;
	s.has_decimal = false;
	take_scalar(c, due, &s);
	return true;
}

INLINE bool is_digit(char ch)
{
	return (unsigned char)(ch - '0') <= 9;
}

/*
 * A number of at most 18 digits without an exponent: its floor and ceiling, which are the same for
 * integers. False when it is something else or may go on in the next piece.
 */
INLINE bool take_number(struct scan *c, struct scalar *s, int64_t *floor, int64_t *ceiling)
{
	const char *p = c->p;
	bool negative = *p == '-';
	const char *first = p + negative;
	int64_t value = 0;
	bool fraction = false;

	p = first;
	while (p < c->end && is_digit(*p) && p - first < 18)
		value = value * 10 + (*p++ - '0');
	if (UNLIKELY(p == first || p >= c->end || is_digit(*p) ||
		     (*first == '0' && p - first > 1)))
		return false;
	if (*p == '.') {
		const char *point = p++;

		for (; p < c->end && is_digit(*p); p++)
			fraction = fraction || *p != '0';
		if (UNLIKELY(p == point + 1 || p >= c->end))
			return false;
	}
	if (UNLIKELY((*p | 0x20) == 'e' || *p == '+' || *p == '-' || *p == '.'))
		return false;
	s->text = span_of(c->p, (size_t)(p - c->p));
	if (UNLIKELY(s->text.len > c->run->limits.max_number_bytes))
		return false;
	if (negative) {
		*ceiling = -value;
		*floor = -value - fraction;
	} else {
		*floor = value;
		*ceiling = value + fraction;
	}
	s->type = JSON_NUMBER;
	s->bit = fraction ? SCHEMA_NUMBER : SCHEMA_INTEGER;
	c->p = p;
	return true;
}

INLINE bool value_number(struct scan *c, const struct due *due)
{
	const struct schema *schema = due->schema;
	struct scalar s;
	int64_t floor;
	int64_t ceiling;

	if (!take_number(c, &s, &floor, &ceiling))
		return false;
	if (LIKELY(due->plain)) {
		const struct schema_number *n = schema ? schema->number : NULL;

		if (!schema ||
		    (schema->plain_scalar && (schema->types & s.bit) &&
		     (!n || (floor >= n->low && ceiling <= n->high && !n->has_divisor)))) {
			value_read(c);
			return true;
		}
	}
	scalar_number(&s, s.text);
	take_scalar(c, due, &s);
	return true;
}

INLINE bool value_literal(struct scan *c, const struct due *due)
{
	struct scalar s = {.type = JSON_BOOL, .bit = SCHEMA_BOOLEAN};
	size_t left = (size_t)(c->end - c->p);

	if (left >= 4 && memcmp(c->p, "true", 4) == 0) {
		s.boolean = true;
		c->p += 4;
	} else if (left >= 5 && memcmp(c->p, "false", 5) == 0) {
		c->p += 5;
	} else if (left >= 4 && memcmp(c->p, "null", 4) == 0) {
		s.type = JSON_NULL;
		s.bit = SCHEMA_NULL;
		c->p += 4;
	} else {
		return false;
	}
	if (due->plain &&
	    (!due->schema || (due->schema->plain_scalar && (due->schema->types & s.bit)))) {
		value_read(c);
		return true;
	}
	take_scalar(c, due, &s);
	return true;
}

/* -- arrays and objects -- */

INLINE void mark_open(struct scan *c, bool object)
{
	struct json_tokens *t = c->t;
	uint64_t bit = UINT64_C(1) << (t->depth % 64);

	if (object)
		t->is_object[t->depth / 64] |= bit;
	else
		t->is_object[t->depth / 64] &= ~bit;
	t->depth++;
	c->expect = object ? JSON_EXPECT_KEY_OR_END : JSON_EXPECT_VALUE_OR_END;
}

/* A level with one evaluation, of a schema without branches; false when that needs more memory. */
INLINE bool open_plain(struct schema_run *run, const struct schema *schema, uint32_t asker,
		       bool object)
{
	uint32_t words =
		object && schema->object ? SCHEMA_WORDS(schema->object->names.count) : 0;
	struct level *level;
	struct eval *e;

	if (UNLIKELY(run->level_count == run->level_cap || run->eval_count == run->eval_cap ||
		     run->word_count + words > run->word_cap))
		return false;
	level = &run->levels[run->level_count++];
	memset(level, 0, sizeof(*level));
	level->first = run->eval_count;
	level->count = 1;
	level->words_before = run->word_count;
	level->links_before = run->link_count;
	level->records_before = run->record_count;
	level->distinct_before = run->distinct.count;
	level->keys_before = run->keys.len;
	level->object = object;
	level->id = run->next_id++;
	level->solo = run->eval_count;
	level->plain = true;
	e = &run->evals[run->eval_count++];
	memset(e, 0, sizeof(*e));
	e->flags = run->evals[asker].flags & EVAL_QUIET;
	e->schema = schema;
	e->asker = asker;
	e->end = run->eval_count;
	e->words = run->word_count;
	e->role = ROLE_PART;
	for (uint32_t i = 0; i < words; i++)
		run->words[run->word_count + i] = 0;
	run->word_count += words;
	return true;
}

/* All of the container at once, if the schema is met for certain. */
INLINE bool value_at_once(struct scan *c, const struct schema *schema)
{
	const char *end = run_fast(c->run, schema ? schema : schema_anything(), c->p, c->end,
				   c->t->depth);

	if (!end)
		return false;
	c->p = end;
	value_read(c);
	return true;
}

/* The schema that is all that the value at hand must meet, and whose success nobody waits for. */
static const struct schema *only_schema(struct schema_run *run)
{
	const struct child *child = run->children;

	if (run->level_count && (top_level(run)->hashes || top_level(run)->unique))
		return NULL;
	if (run->child_count == 0)
		return schema_anything();
	if (run->child_count > 1 || (child->role != ROLE_PART && child->role != ROLE_ROOT) ||
	    (child->asker != EVAL_NONE && eval_is_dead(&run->evals[child->asker])))
		return NULL;
	return child->schema;
}

/* A container that is not due to a solo: what it must meet is known only now. */
static void open_general(struct scan *c, bool object)
{
	struct schema_run *run = c->run;
	const struct schema *schema;

	if (!run_expect(run))
		return;
	schema = only_schema(run);
	if (schema && value_at_once(c, schema)) {
		run->token_end = offset_of(c, c->p);
		run_member_done(run, 0);
		return;
	}
	run->token_end = offset_of(c, ++c->p);
	mark_open(c, object);
	run_open(run, object);
}

INLINE bool value_open(struct scan *c, const struct due *due, bool object)
{
	struct schema_run *run = c->run;

	if (UNLIKELY(c->t->depth >= run->limits.max_depth))
		return false;
	if (UNLIKELY(!due->plain)) {
		open_general(c, object);
		return true;
	}
	if (LIKELY(value_at_once(c, due->schema)))
		return true;
	run->token_end = offset_of(c, ++c->p);
	mark_open(c, object);
	if (due->schema && due->schema->plain_container &&
	    (due->schema->types & (object ? SCHEMA_OBJECT : SCHEMA_ARRAY)) &&
	    open_plain(run, due->schema, due->asker, object))
		return true;
	/* As run_key() or run_expect() would have left it. */
	run->child_count = 0;
	if (due->schema)
		run_add_part(run, due->schema, due->asker);
	if (!run_ended(run))
		run_open(run, object);
	return true;
}

INLINE bool is_complete(const struct schema_object *object, const uint64_t *seen)
{
	if (!object->required)
		return true;
	for (uint32_t w = 0; w < SCHEMA_WORDS(object->names.count); w++)
		if (object->required[w] & ~seen[w])
			return false;
	return true;
}

/* The end of a plain level where nothing is missing; false leaves it as it is. */
INLINE bool close_plain(struct schema_run *run, const struct level *level)
{
	const struct eval *e = &run->evals[level->first];
	const struct schema *schema = e->schema;

	if (level->object) {
		const struct schema_object *object = schema->object;

		if (object && (!is_complete(object, run->words + e->words) ||
			       level->members < object->min || level->members > object->max ||
			       object->dependency_count))
			return false;
		run->open_keys -= level->members;
	} else if (schema->array && (level->members < schema->array->min ||
				     level->members > schema->array->max)) {
		return false;
	}
	if (UNLIKELY(run->distinct.count != level->distinct_before))
		run_distinct_drop(run, level->distinct_before);
	run->keys.len = level->keys_before;
	run->eval_count = level->first;
	run->word_count = level->words_before;
	run->level_count--;
	return true;
}

INLINE bool take_end(struct scan *c, bool object)
{
	struct schema_run *run = c->run;
	const struct level *level = top_level(run);
	/* With a solo around, nobody but that asked, and it hears of failures only. */
	bool in_plain = run->level_count > 1 && level[-1].solo != EVAL_NONE;

	if (level->object != object)
		return false;
	c->p++;
	c->t->depth--;
	value_read(c);
	if (LIKELY(level->plain && in_plain && !eval_is_dead(&run->evals[level->first]) &&
		   close_plain(run, level)))
		return true;
	run->token_start = offset_of(c, c->p - 1);
	run->token_end = offset_of(c, c->p);
	run_end(run);
	return true;
}

/* -- members and items -- */

/* The name that comes next most likely, with its quotes, at p: SCHEMA_NAME_NONE or its index. */
INLINE uint32_t likely_name(const struct scan *c, const struct schema_object *object,
			    uint32_t likely, const char *p)
{
	const struct span *name = &object->names.entries[likely];

	if (UNLIKELY(likely >= object->names.count))
		return SCHEMA_NAME_NONE;
	if ((size_t)(c->end - p) < name->len + 2 || p[name->len + 1] != '"' ||
	    !object->members[likely].plain_name ||
	    !schema_bytes_equal(p + 1, name->ptr, name->len))
		return SCHEMA_NAME_NONE;
	return likely;
}

/* A key of a plain level that its schema names. False: let others do it; nothing has happened. */
INLINE bool plain_key(struct scan *c, struct level *level, struct due *due)
{
	struct schema_run *run = c->run;
	struct eval *e = &run->evals[level->solo];
	const struct schema_object *object = e->schema->object;
	const char *start = c->p;
	uint32_t name;
	uint64_t *word;
	uint64_t bit;

	if (UNLIKELY(!object))
		return false;
	name = likely_name(c, object, e->likely, start);
	if (LIKELY(name != SCHEMA_NAME_NONE)) {
		c->p = start + object->names.entries[name].len + 2;
	} else {
		struct span key;

		if (!take_string(c, start, &key))
			return false;
		name = schema_names_find(&object->names, key, SCHEMA_NAME_NONE);
		if (name == SCHEMA_NAME_NONE) {
			c->p = start;
			return false;
		}
	}
	word = run->words + e->words + name / 64;
	bit = UINT64_C(1) << (name % 64);
	if (UNLIKELY((*word & bit) || !object->members[name].schema ||
		     run->open_keys >= run->limits.max_keys)) {
		c->p = start;
		return false;
	}
	*word |= bit;
	run->open_keys++;
	e->likely = name + 1;
	level->members++;
	level->key = object->names.entries[name];
	level->key_start = offset_of(c, start);
	due->schema = object->members[name].schema;
	due->asker = level->solo;
	due->plain = true;
	return true;
}

INLINE void plain_item(const struct schema_run *run, struct level *level, struct due *due)
{
	const struct schema_array *array = run->evals[level->solo].schema->array;

	level->members++;
	due->schema = NULL;
	due->asker = level->solo;
	due->plain = true;
	if (!array)
		return;
	due->schema = array->items;
	if (UNLIKELY(level->members <= array->prefix_count))
		due->schema = array->prefix[level->members - 1];
}

INLINE bool take_key(struct scan *c, struct due *due)
{
	struct schema_run *run = c->run;
	struct level *level = top_level(run);
	struct span key;

	if (*c->p != '"')
		return false;
	if (level->solo == EVAL_NONE || !plain_key(c, level, due)) {
		run->token_start = offset_of(c, c->p);
		if (!take_string(c, c->p, &key))
			return false;
		run->token_end = offset_of(c, c->p);
		due->plain = false;
		run_key(run, key);
	}
	c->expect = JSON_EXPECT_COLON;
	if (LIKELY(c->p < c->end && *c->p == ':')) {
		c->p++;
		c->expect = JSON_EXPECT_VALUE;
	}
	return true;
}

INLINE bool take_value(struct scan *c, struct due *due)
{
	struct schema_run *run = c->run;
	struct level *level = run->level_count ? top_level(run) : NULL;
	const char *start = c->p;
	bool item = level && !level->object;
	bool taken;

	run->token_start = offset_of(c, start);
	if (item && level->solo != EVAL_NONE)
		plain_item(run, level, due);
	else if (item || !level)
		due->plain = false;
	switch (*start) {
	case '"': taken = value_string(c, due); break;
	case '{': taken = value_open(c, due, true); break;
	case '[': taken = value_open(c, due, false); break;
	case 't':
	case 'f':
	case 'n': taken = value_literal(c, due); break;
	default: taken = value_number(c, due); break;
	}
	if (UNLIKELY(!taken) && item && due->plain)
		level->members--;
	return taken;
}

/*
 * A plain key was read and its value must be left to the tokenizer: the general functions find what
 * the value must meet where run_key() leaves it.
 */
static void hand_over(struct schema_run *run, const struct due *due)
{
	run->child_count = 0;
	run_add_part(run, due->schema, due->asker);
}

INLINE bool step(struct scan *c, struct due *due)
{
	char ch = *c->p;

	switch ((enum json_expect)c->expect) {
	case JSON_EXPECT_VALUE_OR_END:
		return ch == ']' ? take_end(c, false) : take_value(c, due);
	case JSON_EXPECT_VALUE: return take_value(c, due);
	case JSON_EXPECT_KEY_OR_END: return ch == '}' ? take_end(c, true) : take_key(c, due);
	case JSON_EXPECT_KEY: return take_key(c, due);
	case JSON_EXPECT_COLON:
		if (ch != ':')
			return false;
		c->p++;
		c->expect = JSON_EXPECT_VALUE;
		return true;
	case JSON_EXPECT_COMMA_OR_END:
		if (ch != ',')
			return (ch == '}' || ch == ']') && take_end(c, ch == '}');
		c->p++;
		c->expect = top_level(c->run)->object ? JSON_EXPECT_KEY : JSON_EXPECT_VALUE;
		return true;
	case JSON_EXPECT_NOTHING: break;
	}
	return false;
}

void run_scan(struct schema_run *run)
{
	struct json_tokens *t = &run->tokens;
	struct scan c = {.run = run,
			 .t = t,
			 .p = t->at,
			 .end = t->end,
			 .base = t->piece_offset - (uint64_t)(uintptr_t)t->piece,
			 .expect = t->expect};
	/* A key that was read by others has left its children. */
	struct due due = {.plain = false};

	if (t->lexeme || t->error != JSON_OK)
		return;
	while (!run_ended(run) && skip_space(&c))
		if (!step(&c, &due))
			break;
	t->at = c.p;
	t->expect = (unsigned char)c.expect;
	if (due.plain && run->level_count && top_level(run)->object &&
	    (c.expect == JSON_EXPECT_COLON || c.expect == JSON_EXPECT_VALUE))
		hand_over(run, &due);
}
