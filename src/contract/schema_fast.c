#include "contract/schema_fast.h"

#include "parse/json_plain.h"
#include "parse/utf8.h"

#define INLINE static inline __attribute__((always_inline))

/* Names of an object that are told apart by bits here. */
#define NAME_WORDS 4
/* Keys without a schema of one object; more are compared by their hashes elsewhere. */
#define KEYS_MAX 16
/* Members that are passed over in the search for the one that tells branches apart. */
#define PICK_MEMBERS 32
#define PENALTY_MAX 128

struct fast {
	struct schema_run *run;
	const char *end;
	uint64_t fuel; /* values that may still be looked at, again and again for branches */
	unsigned depth;
	unsigned frames;
	uint64_t evals; /* what the general functions would have open for branches, at most */
	bool watch; /* unknown properties are looked for */
	bool unsure; /* the answer NULL does not mean "not met" */
	bool cut; /* because the piece ends */
};

static const char *value(struct fast *f, const struct schema *s, const char *p);

static const char *unsure(struct fast *f)
{
	f->unsure = true;
	return NULL;
}

static const char *cut(struct fast *f)
{
	f->cut = true;
	return unsure(f);
}

INLINE const char *space(const struct fast *f, const char *p)
{
	if (LIKELY(p < f->end && (unsigned char)*p > ' '))
		return p;
	return json_skip_space(p, f->end);
}

/* -- strings -- */

/* With escapes, or something wrong. */
static __attribute__((noinline)) const char *read_escaped(struct fast *f, const char *p,
							  struct span *text)
{
	struct fast_memory *m = &f->run->fast;
	struct json_limits limits = {.max_depth = 1,
				     .max_string_bytes = f->run->limits.max_string_bytes,
				     .max_number_bytes = 1};
	const char *q = p + 1;
	bool high = false;

	for (;;) {
		q = json_skip_plain(q, f->end, &high);
		if (q == f->end)
			return cut(f);
		if (*q == '"')
			break;
		if (*q != '\\' || f->end - q < 2)
			return unsure(f);
		q += 2;
	}
	json_tokens_init(&m->tokens, &limits, &m->text);
	json_tokens_feed(&m->tokens, span_of(p, (size_t)(q + 1 - p)));
	if (json_tokens_next(&m->tokens) != JSON_TOKEN_STRING)
		return unsure(f);
	*text = m->tokens.text;
	return q + 1;
}

/* The string that begins at the quote p. */
INLINE const char *read_string(struct fast *f, const char *p, struct span *text)
{
	const char *start = p + 1;
	bool high = false;
	const char *q = json_skip_plain(start, f->end, &high);

	if (UNLIKELY(q == f->end))
		return cut(f);
	if (UNLIKELY(*q != '"'))
		return read_escaped(f, p, text);
	*text = span_of(start, (size_t)(q - start));
	if (UNLIKELY(text->len > f->run->limits.max_string_bytes ||
		     (high && !utf8_valid(*text))))
		return unsure(f);
	return q + 1;
}

static bool listed(const struct schema *s, struct span text)
{
	for (unsigned i = 0; i < COUNT_OF(s->values); i++)
		if (s->values[i] && schema_names_find(&s->values[i]->strings, text,
						      SCHEMA_NAME_NONE) == SCHEMA_NAME_NONE)
			return false;
	return true;
}

INLINE bool string_meets(struct schema_run *run, const struct schema *s, struct span text)
{
	const struct schema_string *string = s->string;

	if (UNLIKELY(!(s->types & SCHEMA_STRING) || s->never))
		return false;
	if ((s->values[0] || s->values[1]) && !listed(s, text))
		return false;
	if (!string)
		return true;
	if (UNLIKELY(!(text.len <= string->max && text.len / 4 >= string->min)) &&
	    !schema_length_fits(string, text))
		return false;
	if (string->pattern && ecma_match(run->matcher, string->pattern, text) != ECMA_MATCH)
		return false;
	return !string->has_format || format_check(string->format, text);
}

/* -- other scalars -- */

/* By the general function, which tells nothing here. */
static const char *scalar_slowly(struct fast *f, const struct schema *s, struct scalar *scalar,
				 const char *end)
{
	scalar->has_hash = false;
	if (!run_check_scalar(f->run, s, scalar, true))
		return NULL;
	return end;
}

INLINE const char *digits(const struct fast *f, const char *p, uint64_t *number)
{
	while (p < f->end && (unsigned char)(*p - '0') <= 9)
		*number = *number * 10 + (unsigned char)(*p++ - '0');
	return p;
}

struct number {
	const char *end;
	uint64_t whole;
	bool small; /* and `whole` is the integer part, for certain */
	bool fraction; /* not 0 */
};

/* By RFC 8259 section 6; false when it is none, or may go on behind the piece. */
INLINE bool read_number(struct fast *f, const char *p, struct number *n)
{
	const char *start = p + (*p == '-');
	uint64_t rest = 0;
	size_t count;

	n->whole = 0;
	n->fraction = false;
	p = digits(f, start, &n->whole);
	count = (size_t)(p - start);
	n->small = count <= 18;
	if (UNLIKELY(count == 0 || (count > 1 && *start == '0') || p == f->end))
		return false;
	if (*p == '.') {
		start = ++p;
		p = digits(f, p, &rest);
		/* More digits than `rest` has room for may look like 0. */
		n->small = n->small && p - start <= 18;
		n->fraction = rest != 0;
		if (UNLIKELY(p == start || p == f->end))
			return false;
	}
	if (UNLIKELY((*p | 0x20) == 'e')) {
		n->small = false;
		if (++p < f->end && (*p == '+' || *p == '-'))
			p++;
		start = p;
		p = digits(f, p, &rest);
		if (p == start || p == f->end)
			return false;
	}
	n->end = p;
	return true;
}

/* True when the schema is met for certain. */
INLINE bool number_meets(const struct schema *s, const struct number *n, bool negative)
{
	unsigned bit = n->fraction ? SCHEMA_NUMBER : SCHEMA_INTEGER;
	int64_t low = (int64_t)n->whole;
	int64_t high = low + n->fraction;

	if (UNLIKELY(!n->small || !s->plain_scalar || !(s->types & bit)))
		return false;
	if (!s->number)
		return true;
	if (negative) {
		int64_t swap = -low;

		low = -high;
		high = swap;
	}
	return low >= s->number->low && high <= s->number->high && !s->number->has_divisor;
}

static const char *number(struct fast *f, const struct schema *s, const char *p)
{
	struct scalar scalar;
	struct number n;
	size_t len;

	if (UNLIKELY(!read_number(f, p, &n)))
		return unsure(f);
	len = (size_t)(n.end - p);
	if (UNLIKELY(len > f->run->limits.max_number_bytes))
		return unsure(f);
	if (LIKELY(s->always || number_meets(s, &n, *p == '-')))
		return n.end;
	scalar_number(&scalar, span_of(p, len));
	return scalar_slowly(f, s, &scalar, n.end);
}

static const char *literal(struct fast *f, const struct schema *s, const char *p)
{
	struct scalar scalar = {.type = JSON_BOOL, .bit = SCHEMA_BOOLEAN};
	size_t left = (size_t)(f->end - p);
	const char *q;

	if (left >= 4 && memcmp(p, "true", 4) == 0) {
		scalar.boolean = true;
		q = p + 4;
	} else if (left >= 5 && memcmp(p, "false", 5) == 0) {
		q = p + 5;
	} else if (left >= 4 && memcmp(p, "null", 4) == 0) {
		scalar.type = JSON_NULL;
		scalar.bit = SCHEMA_NULL;
		q = p + 4;
	} else {
		return left < 5 ? cut(f) : unsure(f);
	}
	if (s->plain_scalar)
		return s->types & scalar.bit ? q : NULL;
	return scalar_slowly(f, s, &scalar, q);
}

/* A scalar for a schema with branches. */
static const char *branched_scalar(struct fast *f, const struct schema *s, const char *p)
{
	struct scalar scalar = {.type = JSON_STRING, .bit = SCHEMA_STRING};
	struct number n;
	const char *q;

	if (*p == '"') {
		q = read_string(f, p, &scalar.text);
		return q ? scalar_slowly(f, s, &scalar, q) : NULL;
	}
	if (*p == 't' || *p == 'f' || *p == 'n')
		return literal(f, s, p);
	if (!read_number(f, p, &n) || (size_t)(n.end - p) > f->run->limits.max_number_bytes)
		return unsure(f);
	scalar_number(&scalar, span_of(p, (size_t)(n.end - p)));
	return scalar_slowly(f, s, &scalar, n.end);
}

/* -- arrays -- */

/* False when the strings so far are not known to differ from this one. */
static bool item_differs(struct fast *f, unsigned seen_before, const char *p, const char *end)
{
	struct fast_memory *m = &f->run->fast;
	struct span text = span_of(p, (size_t)(end - p));

	/* Strings without escapes are equal when their bytes are. */
	if (*p != '"' || memchr(p, '\\', text.len) || m->seen_count == FAST_SEEN)
		return false;
	for (unsigned i = seen_before; i < m->seen_count; i++)
		if (span_eq(m->seen[i], text))
			return false;
	m->seen[m->seen_count++] = text;
	return true;
}

static const char *items(struct fast *f, const struct schema_array *a, const char *p)
{
	const struct schema *anything = schema_anything();
	unsigned seen_before = f->run->fast.seen_count;
	const struct schema *inner = a && a->items ? a->items : anything;
	uint64_t count = 0;

	if (a && (a->contains || a->unevaluated))
		return unsure(f);
	p = space(f, p + 1);
	if (UNLIKELY(p == f->end))
		return cut(f);
	while (*p != ']' || count) {
		const struct schema *item = inner;
		const char *start = p;

		if (a && UNLIKELY(count < a->prefix_count))
			item = a->prefix[count];
		count++;
		p = value(f, item, p);
		if (!p)
			return NULL;
		if (a && UNLIKELY(a->unique) && !item_differs(f, seen_before, start, p))
			return unsure(f);
		p = space(f, p);
		if (UNLIKELY(p == f->end))
			return cut(f);
		if (*p == ']')
			break;
		if (UNLIKELY(*p != ','))
			return unsure(f);
		p = space(f, p + 1);
		if (UNLIKELY(p == f->end))
			return cut(f);
	}
	if (a && (count < a->min || count > a->max))
		return NULL;
	return p + 1;
}

/* -- objects -- */

struct members {
	const struct schema_object *object; /* NULL: nothing is said */
	uint64_t count;
	uint32_t likely; /* the name that may come next */
	unsigned seen_before;
	uint64_t seen[NAME_WORDS];
};

INLINE bool lexeme_at(const struct fast *f, const struct schema_member *member, const char *p)
{
	size_t len = member->lexeme_len;

	return len && (size_t)(f->end - p) >= len && schema_bytes_equal(p, member->lexeme, len);
}

/* Any key, and the colon; *name is its index in the object's names. */
static const char *read_key(struct fast *f, struct members *m, const char *p, struct span *key,
			    uint32_t *name)
{
	if (UNLIKELY(p == f->end))
		return cut(f);
	if (UNLIKELY(*p != '"'))
		return unsure(f);
	p = read_string(f, p, key);
	if (!p)
		return NULL;
	p = space(f, p);
	if (UNLIKELY(p == f->end))
		return cut(f);
	if (UNLIKELY(*p != ':'))
		return unsure(f);
	*name = m->object ? schema_names_find(&m->object->names, *key, m->likely)
			  : SCHEMA_NAME_NONE;
	return p + 1;
}

/* A key that no schema names, for the next ones to differ from. */
static bool keep_key(struct fast *f, const struct members *m, struct span key)
{
	struct fast_memory *memory = &f->run->fast;

	if (memory->seen_count == FAST_SEEN ||
	    memory->seen_count - m->seen_before == KEYS_MAX ||
	    (memory->text.ptr && key.ptr == memory->text.ptr))
		return false;
	for (unsigned i = m->seen_before; i < memory->seen_count; i++)
		if (span_eq(memory->seen[i], key))
			return false;
	memory->seen[memory->seen_count++] = key;
	return true;
}

/* The value of a member that neither properties nor patterns name. */
static const char *additional(struct fast *f, const struct schema_object *o, const char *p)
{
	const struct schema *inner = o ? o->additional : NULL;

	if (inner && inner->never)
		return f->run->options.unknown == SCHEMA_UNKNOWN_STRIP ? unsure(f) : NULL;
	if (inner)
		return value(f, inner, p);
	if (f->watch && o && o->says_names)
		return unsure(f);
	return value(f, schema_anything(), p);
}

/* Where patterns and propertyNames have a say. */
static const char *odd_member(struct fast *f, const struct schema_object *o, struct span key,
			      const struct schema *inner, const char *p)
{
	struct scalar name = {.type = JSON_STRING, .bit = SCHEMA_STRING, .text = key};
	const char *end = NULL;

	if (o->property_names && !run_check_scalar(f->run, o->property_names, &name, true))
		return NULL;
	if (inner) {
		end = value(f, inner, p);
		if (!end)
			return NULL;
	}
	for (size_t i = 0; i < o->pattern_count; i++) {
		enum ecma_result result =
			ecma_match(f->run->matcher, o->patterns[i].expression, key);

		if (result == ECMA_NO_MATCH)
			continue;
		/* With two schemas for a value, who knows what in it is another's work. */
		if (result == ECMA_TOO_HARD || (f->watch && end))
			return unsure(f);
		end = value(f, o->patterns[i].schema, p);
		if (!end)
			return NULL;
	}
	return end ? end : additional(f, o, p);
}

INLINE const char *member(struct fast *f, struct members *m, const char *p)
{
	const struct schema_object *o = m->object;
	const struct schema *inner = NULL;
	uint32_t name = m->likely;
	struct span key = SPAN_NONE;

	if (LIKELY(o && name < o->names.count && lexeme_at(f, &o->members[name], p))) {
		p += o->members[name].lexeme_len;
	} else {
		p = read_key(f, m, p, &key, &name);
		if (!p)
			return NULL;
	}
	p = space(f, p);
	m->count++;
	if (UNLIKELY(++f->run->open_keys > f->run->limits.max_keys))
		return unsure(f);
	if (LIKELY(name != SCHEMA_NAME_NONE)) {
		uint64_t bit = UINT64_C(1) << (name % 64);

		if (UNLIKELY(m->seen[name / 64] & bit))
			return unsure(f);
		m->seen[name / 64] |= bit;
		m->likely = name + 1;
		/* The value may be decoded to where the key has been. */
		key = o->names.entries[name];
		inner = o->members[name].schema;
		if (UNLIKELY(f->watch && inner && o->members[name].hidden))
			return unsure(f);
	} else if (!keep_key(f, m, key)) {
		return unsure(f);
	}
	if (UNLIKELY(o && (o->pattern_count || o->property_names)))
		return odd_member(f, o, key, inner, p);
	return LIKELY(inner) ? value(f, inner, p) : additional(f, o, p);
}

static bool all_seen(const struct members *m, const uint64_t *needed)
{
	for (uint32_t w = 0; w < SCHEMA_WORDS(m->object->names.count); w++)
		if (needed[w] & ~m->seen[w])
			return false;
	return true;
}

INLINE const char *members_end(const struct members *m, const char *p)
{
	const struct schema_object *o = m->object;

	if (!o)
		return p;
	if (o->required && !all_seen(m, o->required))
		return NULL;
	if (m->count < o->min || m->count > o->max)
		return NULL;
	for (size_t i = 0; i < o->dependency_count; i++)
		if (word_bit(m->seen, o->dependencies[i].name) &&
		    !all_seen(m, o->dependencies[i].needs))
			return NULL;
	return p;
}

static const char *members(struct fast *f, const struct schema_object *o, const char *p)
{
	struct members m = {.object = o, .seen_before = f->run->fast.seen_count};

	if (UNLIKELY(o && (o->names.count > NAME_WORDS * 64 || o->unevaluated)))
		return unsure(f);
	p = space(f, p + 1);
	if (UNLIKELY(p == f->end))
		return cut(f);
	if (UNLIKELY(*p == '}'))
		return members_end(&m, p + 1);
	for (;;) {
		p = member(f, &m, p);
		if (!p)
			return NULL;
		p = space(f, p);
		if (UNLIKELY(p == f->end))
			return cut(f);
		if (*p == '}')
			return members_end(&m, p + 1);
		if (UNLIKELY(*p != ','))
			return unsure(f);
		p = space(f, p + 1);
	}
}

/* -- containers, and values of all kinds -- */

static const char **failed_slot(struct fast_memory *m, const char *p)
{
	return &m->failed[(uintptr_t)p % FAST_FAILED];
}

/* What the schema itself says, without its branches. */
static const char *container(struct fast *f, const struct schema *s, const char *p)
{
	bool object = *p == '{';
	unsigned seen_before = f->run->fast.seen_count;
	uint64_t keys_before = f->run->open_keys;
	const char *end;

	if (UNLIKELY(!(s->types & (object ? SCHEMA_OBJECT : SCHEMA_ARRAY)) || s->never))
		return NULL;
	if (UNLIKELY(f->depth >= f->run->limits.max_depth || f->frames >= FAST_FRAMES ||
		     s->values[0] || s->values[1] || s->unevaluated))
		return unsure(f);
	f->depth++;
	f->frames++;
	end = object ? members(f, s->object, p) : items(f, s->array, p);
	f->depth--;
	f->frames--;
	f->run->open_keys = keys_before;
	f->run->fast.seen_count = seen_before;
	if (UNLIKELY(!end)) {
		*failed_slot(&f->run->fast, p) = p;
		f->run->fast.any_failed = true;
	}
	return end;
}

/*
 * The schema of the one branch that the object may meet, by the property that tells them apart.
 * NULL with *known: it meets none of them.
 */
static const struct schema *pick(struct fast *f, const struct schema_pick *pick, const char *p,
				 bool *known)
{
	struct span key;
	struct span text;
	uint32_t index;

	*known = false;
	p = space(f, p + 1);
	for (unsigned i = 0; i < PICK_MEMBERS && p < f->end && *p == '"'; i++) {
		p = read_string(f, p, &key);
		p = p ? space(f, p) : f->end;
		if (p == f->end || *p != ':')
			return NULL;
		p = space(f, p + 1);
		if (p == f->end)
			return NULL;
		if (span_eq(key, pick->name)) {
			if (*p != '"' || !read_string(f, p, &text))
				return NULL;
			*known = true;
			index = schema_names_find(&pick->values, text, SCHEMA_NAME_NONE);
			return index == SCHEMA_NAME_NONE ? NULL : pick->schemas[index];
		}
		p = value(f, schema_anything(), p);
		p = p ? space(f, p) : f->end;
		if (p == f->end || *p != ',')
			return NULL;
		p = space(f, p + 1);
	}
	return NULL;
}

struct outcome {
	const char *end; /* of the value, once it was read */
	bool any;
	bool condition;
	unsigned one;
};

/* False when the schema that has the branch is not met. */
static bool take_branch(struct fast *f, const struct schema_branch *branch, struct outcome *o,
			const char *p)
{
	const char *end;

	if (branch->apply == SCHEMA_APPLY_DEPENDENT) {
		if (*p == '{')
			(void)unsure(f);
		return *p != '{';
	}
	if ((branch->apply == SCHEMA_APPLY_ANY && o->any) ||
	    (branch->apply == SCHEMA_APPLY_THEN && !o->condition) ||
	    (branch->apply == SCHEMA_APPLY_ELSE && o->condition))
		return true;
	end = value(f, branch->schema, p);
	if (f->unsure)
		return false;
	o->end = end ? end : o->end;
	switch (branch->apply) {
	case SCHEMA_APPLY_ANY: o->any = end != NULL; return true;
	case SCHEMA_APPLY_ONE: return (o->one += end != NULL) < 2;
	case SCHEMA_APPLY_IF: o->condition = end != NULL; return true;
	case SCHEMA_APPLY_NOT: return !end;
	case SCHEMA_APPLY_ALL:
	case SCHEMA_APPLY_THEN:
	case SCHEMA_APPLY_ELSE:
	case SCHEMA_APPLY_DEPENDENT: break;
	}
	return end != NULL;
}

/* With unknown properties looked for, only one schema may say what is known. */
static bool may_watch(const struct schema *s, const struct schema_pick *by)
{
	if (s->object || s->array)
		return false;
	for (uint32_t i = 0; i < s->branch_count; i++) {
		enum schema_apply apply = s->branches[i].apply;

		if (by ? apply != by->apply
		       : apply != SCHEMA_APPLY_ONE &&
				    !(apply == SCHEMA_APPLY_ALL && s->branch_count == 1))
			return false;
	}
	return true;
}

/* The branches that are told apart: false when the schema is not met; *by becomes NULL when they are
   not told apart here. */
static bool take_picked(struct fast *f, const struct schema_pick **by, struct outcome *o,
			const char *p)
{
	bool known = false;
	const struct schema *chosen = *by ? pick(f, *by, p, &known) : NULL;

	if (!known) {
		*by = NULL;
		return !f->unsure;
	}
	o->end = chosen ? value(f, chosen, p) : NULL;
	if ((*by)->apply == SCHEMA_APPLY_ANY)
		o->any = o->end != NULL;
	else
		o->one = o->end != NULL;
	return o->end != NULL;
}

static const char *take_branches(struct fast *f, const struct schema *s, const char *p)
{
	bool object = *p == '{';
	const struct schema_pick *by = object ? s->pick : NULL;
	struct outcome o = {.end = NULL};

	if (!take_picked(f, &by, &o, p))
		return NULL;
	if (f->watch && !may_watch(s, by))
		return unsure(f);
	for (uint32_t i = 0; i < s->branch_count; i++) {
		if (by && s->branches[i].apply == by->apply)
			continue;
		if (!take_branch(f, &s->branches[i], &o, p))
			return NULL;
	}
	if ((s->has_any && !o.any) || (s->has_one && o.one != 1))
		return NULL;
	if (!o.end || (object ? s->object != NULL : s->array != NULL))
		return container(f, s, p);
	return o.end;
}

static const char *branched(struct fast *f, const struct schema *s, const char *p)
{
	bool object = *p == '{';
	const char *end;

	if (!object && *p != '[')
		return branched_scalar(f, s, p);
	if (UNLIKELY(!(s->types & (object ? SCHEMA_OBJECT : SCHEMA_ARRAY))))
		return NULL;
	if (UNLIKELY(f->frames >= FAST_FRAMES || s->unevaluated || s->values[0] ||
		     s->values[1] || f->evals + s->width > f->run->limits.max_evaluations))
		return unsure(f);
	f->frames++;
	f->evals += s->width;
	end = take_branches(f, s, p);
	f->frames--;
	f->evals -= s->width;
	return end;
}

static const char *value(struct fast *f, const struct schema *s, const char *p)
{
	struct span text;
	const char *end;

	if (UNLIKELY(p == f->end))
		return cut(f);
	if (UNLIKELY(f->fuel-- == 0)) {
		f->fuel = 0;
		return unsure(f);
	}
	if (UNLIKELY(s->branch_count))
		return branched(f, s, p);
	switch (*p) {
	case '"':
		end = read_string(f, p, &text);
		return end && string_meets(f->run, s, text) ? end : NULL;
	case '{':
	case '[': return container(f, s, p);
	case 't':
	case 'f':
	case 'n': return literal(f, s, p);
	default: return number(f, s, p);
	}
}

const char *run_fast(struct schema_run *run, const struct schema *schema, const char *p,
		     const char *end, unsigned depth)
{
	struct fast f = {.run = run,
			 .end = end,
			 .fuel = (uint64_t)(end - p) * 4 + 64,
			 .depth = depth,
			 .evals = run->eval_count,
			 .watch = run->options.unknown != SCHEMA_UNKNOWN_ALLOW};
	uint64_t steps = run->steps;
	const char *after;

	if (run->fast.skip) {
		run->fast.skip--;
		return NULL;
	}
	if (run->fast.any_failed && *failed_slot(&run->fast, p) == p)
		return NULL;
	run->fast.seen_count = 0;
	if (f.fuel > steps)
		f.fuel = steps;
	after = value(&f, schema, p);
	/* A limit that was met on the way is for the general functions to find. */
	if (UNLIKELY(run_ended(run))) {
		run->result = SCHEMA_MORE;
		run->limit = NULL;
		after = NULL;
	}
	if (after) {
		run->fast.penalty /= 2;
		return after;
	}
	run->steps = steps;
	if (!f.cut) {
		run->fast.penalty = run->fast.penalty * 2 + 1;
		if (run->fast.penalty > PENALTY_MAX)
			run->fast.penalty = PENALTY_MAX;
		run->fast.skip = run->fast.penalty;
	}
	return after;
}
