/* Checks of values without parts. */
#include "contract/schema_run.h"

/* Digits that always fit. */
#define SMALL_DIGITS 18

void scalar_number(struct scalar *s, struct span text)
{
	size_t sign = text.len && text.ptr[0] == '-';
	int64_t value = 0;
	size_t i = sign;

	s->type = JSON_NUMBER;
	s->text = text;
	s->has_decimal = s->has_hash = s->is_small = false;
	if (text.len - sign <= SMALL_DIGITS)
		for (; i < text.len; i++) {
			unsigned digit = (unsigned)(text.ptr[i] - '0');

			if (digit > 9)
				break;
			value = value * 10 + (int64_t)digit;
		}
	if (i == text.len) {
		s->is_small = true;
		s->small = sign ? -value : value;
		s->bit = SCHEMA_INTEGER;
		return;
	}
	s->decimal = decimal_parse(text);
	s->has_decimal = true;
	s->bit = decimal_is_integer(&s->decimal) ? SCHEMA_INTEGER : SCHEMA_NUMBER;
}

static const struct decimal *as_decimal(struct scalar *s)
{
	if (!s->has_decimal) {
		s->decimal = decimal_parse(s->text);
		s->has_decimal = true;
	}
	return &s->decimal;
}

uint64_t scalar_hash(struct scalar *s)
{
	if (!s->has_hash) {
		s->hash = schema_hash_scalar(
			s->type, s->type == JSON_BOOL && s->boolean,
			s->type == JSON_STRING || s->type == JSON_NUMBER ? s->text : SPAN(""));
		s->has_hash = true;
	}
	return s->hash;
}

void run_report_type(struct schema_run *run, uint32_t depth, const struct schema *schema)
{
	static const char *const names[] = {"null",   "boolean", "integer", "number",
					    "string", "array",	 "object"};
	char text[80];
	size_t len = 0;

	for (unsigned i = 0; i < COUNT_OF(names); i++) {
		/* "number" says it of integers too. */
		if (!(schema->types >> i & 1) || (i == 2 && (schema->types & SCHEMA_NUMBER)))
			continue;
		if (len) {
			memcpy(text + len, " or ", 4);
			len += 4;
		}
		memcpy(text + len, names[i], strlen(names[i]));
		len += strlen(names[i]);
	}
	run_problem(run, depth, schema, "type", span_of(text, len));
}

/* -- strings -- */

/* Bytes that are no continuation, eight at a time. */
static uint64_t code_points(struct span s)
{
	uint64_t count = 0;
	size_t i = 0;

	for (; s.len - i >= 8; i += 8) {
		uint64_t word = schema_load64(s.ptr + i);
		uint64_t first = (~word >> 7 | word >> 6) & UINT64_C(0x0101010101010101);

		count += first * UINT64_C(0x0101010101010101) >> 56;
	}
	for (; i < s.len; i++)
		count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return count;
}

bool schema_length_fits(const struct schema_string *string, struct span text)
{
	uint64_t count;

	/* A code point takes one to four bytes; mostly that says enough. */
	if (text.len <= string->max && text.len / 4 >= string->min)
		return true;
	count = code_points(text);
	return count >= string->min && count <= string->max;
}

static bool report_length(struct schema_run *run, const struct schema *schema, struct span text)
{
	uint64_t count = code_points(text);

	if (count < schema->string->min)
		run_problem_count(run, RUN_HERE, schema, "minLength", "at least ",
				  schema->string->min);
	else
		run_problem_count(run, RUN_HERE, schema, "maxLength", "at most ",
				  schema->string->max);
	return false;
}

static bool check_string(struct schema_run *run, const struct schema *schema, struct span text,
			 bool quiet)
{
	const struct schema_string *string = schema->string;
	bool met = true;

	if (!schema_length_fits(string, text)) {
		if (quiet)
			return false;
		met = report_length(run, schema, text);
	}
	if (string->pattern) {
		enum ecma_result result = ecma_match(run->matcher, string->pattern, text);

		if (result != ECMA_MATCH) {
			if (quiet)
				return false;
			run_problem(run, RUN_HERE, schema, "pattern",
				    result == ECMA_TOO_HARD ? SPAN("too expensive to match")
							    : SPAN(""));
			met = false;
		}
	}
	if (string->has_format && !format_check(string->format, text)) {
		if (!quiet)
			run_problem(run, RUN_HERE, schema, "format", SPAN(""));
		met = false;
	}
	return met;
}

/* -- numbers -- */

static bool bound_holds(struct schema_run *run, const struct schema *schema,
			const struct schema_bound *bound, bool lower, const struct decimal *d,
			bool quiet)
{
	int order;

	if (!bound->there)
		return true;
	order = decimal_compare(d, &bound->value);
	if (!lower)
		order = -order;
	if (order > 0 || (order == 0 && !bound->exclusive))
		return true;
	if (!quiet)
		run_problem(run, RUN_HERE, schema, bound->keyword, bound->text);
	return false;
}

static bool check_bounds(struct schema_run *run, const struct schema *schema,
			 const struct decimal *d, bool quiet)
{
	const struct schema_number *n = schema->number;
	bool met = true;

	for (size_t i = 0; i < COUNT_OF(n->min); i++) {
		met &= bound_holds(run, schema, &n->min[i], true, d, quiet);
		met &= bound_holds(run, schema, &n->max[i], false, d, quiet);
	}
	if (!bound_holds(run, schema, &n->format_min, true, d, quiet) ||
	    !bound_holds(run, schema, &n->format_max, false, d, quiet))
		return false;
	return met;
}

static bool is_multiple(const struct schema_number *n, struct scalar *s)
{
	if (s->is_small && n->plain_divisor)
		return s->small % n->divisor_integer == 0;
	return decimal_is_multiple(as_decimal(s), &n->divisor);
}

static bool check_number(struct schema_run *run, const struct schema *schema, struct scalar *s,
			 bool quiet)
{
	const struct schema_number *n = schema->number;
	bool met = true;

	if (s->is_small) {
		if (UNLIKELY(s->small < n->low || s->small > n->high)) {
			if (quiet)
				return false;
			met = check_bounds(run, schema, as_decimal(s), false);
		}
	} else if (!check_bounds(run, schema, as_decimal(s), quiet)) {
		if (quiet)
			return false;
		met = false;
	}
	if (n->has_divisor && !is_multiple(n, s)) {
		if (!quiet)
			run_problem(run, RUN_HERE, schema, "multipleOf", SPAN(""));
		return false;
	}
	return met;
}

/* -- enum and const -- */

bool schema_values_have(const struct schema_values *values, int64_t integer)
{
	const int64_t *at = values->integers;
	size_t left = values->integer_count;

	if (!left)
		return false;
	if (values->integer_bits) {
		uint64_t bit = (uint64_t)integer - (uint64_t)*at;

		return bit <= values->integer_range &&
		       (values->integer_bits[bit / 64] >> (bit % 64) & 1);
	}
	/* The last one that is not above it, without a branch that could be guessed wrong. */
	while (left > 1) {
		size_t half = left / 2;

		at += at[half] <= integer ? half : 0;
		left -= half;
	}
	return *at == integer;
}

static bool is_listed(const struct schema_values *values, struct scalar *s)
{
	switch (s->type) {
	case JSON_NULL: return values->has_null;
	case JSON_BOOL: return s->boolean ? values->has_true : values->has_false;
	case JSON_STRING:
		return schema_names_find(&values->strings, s->text, SCHEMA_NAME_NONE) !=
		       SCHEMA_NAME_NONE;
	case JSON_NUMBER:
		if (s->is_small)
			return schema_values_have(values, s->small);
		for (size_t i = 0; i < values->number_count; i++)
			if (decimal_compare(as_decimal(s), &values->numbers[i]) == 0)
				return true;
		return false;
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	return false;
}

static bool check_values(struct schema_run *run, const struct schema *schema, struct scalar *s,
			 bool quiet)
{
	bool met = true;

	for (size_t i = 0; i < COUNT_OF(schema->values); i++) {
		const struct schema_values *values = schema->values[i];

		if (!values || is_listed(values, s))
			continue;
		if (quiet)
			return false;
		run_problem(run, RUN_HERE, schema, values->keyword, SPAN(""));
		met = false;
	}
	return met;
}

/* -- branches -- */

struct outcome {
	bool any;
	bool met;
	bool condition;
	uint32_t one;
};

/* As at the end of a container, run_close_evals(), but at once. */
static void check_branch(struct schema_run *run, const struct schema *schema,
			 const struct schema_branch *branch, struct scalar *s, bool quiet,
			 struct outcome *o)
{
	switch (branch->apply) {
	case SCHEMA_APPLY_ALL: o->met &= run_check_scalar(run, branch->schema, s, quiet); break;
	case SCHEMA_APPLY_ANY:
		o->any = o->any || run_check_scalar(run, branch->schema, s, true);
		break;
	case SCHEMA_APPLY_ONE:
		if (o->one < 2)
			o->one += run_check_scalar(run, branch->schema, s, true);
		break;
	case SCHEMA_APPLY_NOT:
		if (run_check_scalar(run, branch->schema, s, true)) {
			if (!quiet)
				run_problem(run, RUN_HERE, schema, "not", SPAN(""));
			o->met = false;
		}
		break;
	case SCHEMA_APPLY_IF:
		o->condition = run_check_scalar(run, branch->schema, s, true);
		break;
	case SCHEMA_APPLY_THEN:
	case SCHEMA_APPLY_ELSE:
		if (o->condition == (branch->apply == SCHEMA_APPLY_THEN))
			o->met &= run_check_scalar(run, branch->schema, s, quiet);
		break;
	case SCHEMA_APPLY_DEPENDENT: break;
	}
}

static bool check_branches(struct schema_run *run, const struct schema *schema,
			   struct scalar *s, bool quiet)
{
	struct outcome o = {.met = true};

	for (uint32_t i = 0; i < schema->branch_count; i++) {
		check_branch(run, schema, &schema->branches[i], s, quiet, &o);
		if (quiet && !o.met)
			return false;
	}
	if (schema->has_any && !o.any) {
		if (!quiet)
			run_problem(run, RUN_HERE, schema, "anyOf", SPAN(""));
		o.met = false;
	}
	if (schema->has_one && o.one != 1) {
		if (!quiet)
			run_problem(run, RUN_HERE, schema, "oneOf",
				    o.one ? SPAN("more than one is met") : SPAN("none is met"));
		o.met = false;
	}
	return o.met;
}

bool run_check_scalar(struct schema_run *run, const struct schema *schema, struct scalar *s,
		      bool quiet)
{
	unsigned bit = s->bit;
	bool met = true;

	if (schema->always)
		return true;
	if (UNLIKELY(run->steps == 0))
		return run_limit(run, "steps");
	run->steps--;
	if (UNLIKELY(schema->never)) {
		if (!quiet)
			run_problem(run, RUN_HERE, schema, "false", SPAN(""));
		return false;
	}
	/* In draft 4, what is written with a point is no integer. */
	if (UNLIKELY(schema->strict_integers && s->type == JSON_NUMBER && s->has_decimal))
		bit = span_find_byte(s->text, '.') < s->text.len ||
				      span_find_byte(s->text, 'e') < s->text.len ||
				      span_find_byte(s->text, 'E') < s->text.len
			      ? SCHEMA_NUMBER
			      : bit;
	if (UNLIKELY(!(schema->types & bit))) {
		if (!quiet)
			run_report_type(run, RUN_HERE, schema);
		return false;
	}
	if (s->type == JSON_STRING && schema->string)
		met = check_string(run, schema, s->text, quiet);
	else if (s->type == JSON_NUMBER && schema->number)
		met = check_number(run, schema, s, quiet);
	if (quiet && !met)
		return false;
	if (schema->values[0] || schema->values[1])
		met &= check_values(run, schema, s, quiet);
	if (schema->branch_count && (met || !quiet))
		met &= check_branches(run, schema, s, quiet);
	return met;
}
