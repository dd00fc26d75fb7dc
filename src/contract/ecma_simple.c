#include "contract/ecma_simple.h"

#include "base/mem.h"

#define STEPS_MAX 48
#define REPEAT_MAX 10000

struct reader {
	const char *p;
	const char *end;
	struct ecma_step steps[STEPS_MAX];
	uint32_t count;
};

static bool has(const struct ecma_step *step, char c)
{
	unsigned char byte = (unsigned char)c;

	return step->bytes[byte / 64] >> (byte % 64) & 1;
}

static void add_range(struct ecma_step *step, char from, char to)
{
	for (unsigned c = (unsigned char)from; c <= (unsigned char)to; c++)
		step->bytes[c / 64] |= UINT64_C(1) << (c % 64);
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static bool is_plain(char c)
{
	return c >= ' ' && c <= '~';
}

/*
 * After a backslash: \d, \w, or punctuation, which stands for itself and is left in *single; else
 * that is 0. False for what is not simple.
 */
static bool take_escape(struct reader *r, struct ecma_step *step, char *single)
{
	char c = r->p < r->end ? *r->p++ : '\0';

	*single = '\0';
	if (c != 'd' && c != 'w') {
		*single = c;
		return is_plain(c) && c != ' ' && !is_word(c);
	}
	add_range(step, '0', '9');
	if (c == 'w') {
		add_range(step, 'A', 'Z');
		add_range(step, 'a', 'z');
		add_range(step, '_', '_');
	}
	return true;
}

/* One character of a class, or in *single 0 for an escape that is a class itself. */
static bool class_member(struct reader *r, struct ecma_step *step, char *single)
{
	char c = r->p < r->end ? *r->p++ : '\0';

	if (c == '\\')
		return take_escape(r, step, single);
	*single = c;
	return is_plain(c) && c != '[' && c != '^';
}

/* After "[". */
static bool take_class(struct reader *r, struct ecma_step *step)
{
	bool any = false;

	while (r->p < r->end && *r->p != ']') {
		char from;
		char to;

		if (!class_member(r, step, &from))
			return false;
		to = from;
		if (r->end - r->p >= 2 && r->p[0] == '-' && r->p[1] != ']') {
			r->p++;
			if (!from || !class_member(r, step, &to) || !to || to < from)
				return false;
		}
		if (from)
			add_range(step, from, to);
		any = true;
	}
	return any && r->p < r->end && *r->p++ == ']';
}

static bool take_count(struct reader *r, uint32_t *count)
{
	const char *start = r->p;

	for (*count = 0; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
		*count = *count * 10 + (uint32_t)(*r->p - '0');
		if (*count > REPEAT_MAX)
			return false;
	}
	return r->p > start;
}

/* After "{": n}, n,} or n,m}. */
static bool take_braces(struct reader *r, struct ecma_step *step)
{
	if (!take_count(r, &step->min))
		return false;
	step->max = step->min;
	if (r->p < r->end && *r->p == ',') {
		r->p++;
		step->max = UINT32_MAX;
		if (r->p < r->end && *r->p != '}' && !take_count(r, &step->max))
			return false;
	}
	return step->min <= step->max && r->p < r->end && *r->p++ == '}';
}

static bool take_quantifier(struct reader *r, struct ecma_step *step)
{
	char c = r->p < r->end ? *r->p : '\0';

	step->min = step->max = 1;
	if (c != '{' && c != '?' && c != '*' && c != '+')
		return true;
	r->p++;
	if (c == '{' && !take_braces(r, step))
		return false;
	if (c == '?' || c == '*')
		step->min = 0;
	if (c == '*' || c == '+')
		step->max = UINT32_MAX;
	/* Lazy ones. */
	return r->p == r->end || *r->p != '?';
}

static bool take_step(struct reader *r)
{
	static const char meaning[] = "^$.|?*+(){}[]";
	struct ecma_step *step = &r->steps[r->count];
	char c = *r->p++;
	char single = c;

	if (r->count++ == STEPS_MAX - 1)
		return false;
	memset(step, 0, sizeof(*step));
	if (c == '[') {
		if (!take_class(r, step))
			return false;
		single = '\0';
	} else if (c == '\\') {
		if (!take_escape(r, step, &single))
			return false;
	} else if (!is_plain(c) || strchr(meaning, c)) {
		return false;
	}
	if (single)
		add_range(step, single, single);
	return take_quantifier(r, step);
}

/* Whether a step that may be repeated more or less often is followed by other characters. */
static bool ends_by_itself(const struct reader *r, uint32_t index)
{
	const struct ecma_step *step = &r->steps[index];

	if (step->min == step->max)
		return true;
	for (uint32_t i = index + 1; i < r->count; i++) {
		for (unsigned w = 0; w < COUNT_OF(step->bytes); w++)
			if (step->bytes[w] & r->steps[i].bytes[w])
				return false;
		if (r->steps[i].min)
			break;
	}
	return true;
}

struct ecma_simple *ecma_simple_compile(struct span expression)
{
	struct reader r = {.p = expression.ptr, .end = expression.ptr + expression.len};
	struct ecma_simple *simple;
	bool to_end = false;

	if (!expression.len || *r.p++ != '^')
		return NULL;
	while (r.p < r.end && !to_end) {
		to_end = *r.p == '$' && r.p + 1 == r.end;
		if (!to_end && !take_step(&r))
			return NULL;
	}
	for (uint32_t i = 0; i < r.count; i++)
		if (!ends_by_itself(&r, i))
			return NULL;
	simple = mem_alloc(sizeof(*simple) + r.count * sizeof(r.steps[0]));
	if (!simple)
		return NULL;
	simple->count = r.count;
	simple->to_end = to_end;
	memcpy(simple->steps, r.steps, r.count * sizeof(r.steps[0]));
	return simple;
}

bool ecma_simple_match(const struct ecma_simple *simple, struct span subject)
{
	const char *p = subject.ptr ? subject.ptr : "";
	const char *end = p + subject.len;

	for (uint32_t i = 0; i < simple->count; i++) {
		const struct ecma_step *step = &simple->steps[i];
		size_t room = (size_t)(end - p);
		const char *stop = p + (step->max < room ? step->max : room);
		const char *start = p;

		while (p < stop && has(step, *p))
			p++;
		if ((size_t)(p - start) < step->min)
			return false;
	}
	return !simple->to_end || p == end;
}
