/* What schemas say of strings, numbers and listed values, and types. */
#include "base/mem.h"
#include "contract/schema_compile.h"

#define HASH_DEPTH_MAX 100
/* Listed integers that are no further apart than this are also kept as bits. */
#define INTEGER_BITS_MAX 2048
/* Places after the point of a divisor that numbers are scaled by. */
#define SCALE_MAX 18

static int bad(struct schema_compile *c, enum schema_keyword keyword, const char *what)
{
	const char *name = schema_keyword_info(keyword)->name;

	return schema_fail(c->set, c->place, name, c->err, "\"%s\" must be %s", name, what);
}

int schema_compile_count(struct schema_compile *c, enum schema_keyword keyword,
			 uint64_t otherwise, uint64_t *count)
{
	const struct json *value = c->keywords[keyword];
	struct decimal number;
	int64_t integer;

	*count = otherwise;
	if (!value)
		return 0;
	if (value->type != JSON_NUMBER)
		return bad(c, keyword, "a whole number");
	number = decimal_parse(value->text);
	if (number.negative || !decimal_is_integer(&number))
		return bad(c, keyword, "a whole number");
	/* More than fits is more than there can be. */
	*count = decimal_to_i64(&number, &integer) ? (uint64_t)integer : UINT64_MAX;
	return 0;
}

int schema_compile_flag(struct schema_compile *c, enum schema_keyword keyword, bool *flag)
{
	const struct json *value = c->keywords[keyword];

	*flag = false;
	if (value && !json_bool(value, flag))
		return bad(c, keyword, "true or false");
	return 0;
}

/* -- types -- */

static int add_type(struct schema_compile *c, const struct json *name, unsigned *types)
{
	static const struct {
		const char *name;
		unsigned types;
	} known[] = {
		{"null", SCHEMA_NULL},	     {"boolean", SCHEMA_BOOLEAN},
		{"integer", SCHEMA_INTEGER}, {"number", SCHEMA_INTEGER | SCHEMA_NUMBER},
		{"string", SCHEMA_STRING},   {"array", SCHEMA_ARRAY},
		{"object", SCHEMA_OBJECT},
	};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (json_is(name, span_cstr(known[i].name))) {
			*types |= known[i].types;
			return 0;
		}
	return bad(c, KW_TYPE,
		   "one of null, boolean, integer, number, string, array and object");
}

int schema_compile_types(struct schema_compile *c, struct schema *schema)
{
	const struct json *value = c->keywords[KW_TYPE];
	unsigned types = 0;
	bool nullable;

	if (schema_compile_flag(c, KW_NULLABLE, &nullable) < 0)
		return -1;
	if (!value)
		return 0;
	if (value->type == JSON_ARRAY && c->dialect != SCHEMA_OPENAPI30) {
		for (size_t i = 0; i < value->array.count; i++)
			if (add_type(c, &value->array.items[i], &types) < 0)
				return -1;
		if (!value->array.count)
			return bad(c, KW_TYPE, "at least one type");
	} else if (add_type(c, value, &types) < 0) {
		return -1;
	}
	if (nullable)
		types |= SCHEMA_NULL;
	schema->types = (unsigned char)types;
	schema->strict_integers = c->dialect == SCHEMA_DRAFT4;
	return 0;
}

/* -- enum and const -- */

static int hash_tree(const struct json *value, unsigned depth, uint64_t *hash)
{
	uint64_t inner = 0;
	size_t count = 0;

	if (depth > HASH_DEPTH_MAX)
		return -1;
	if (value->type == JSON_ARRAY) {
		count = value->array.count;
		for (size_t i = 0; i < count; i++) {
			if (hash_tree(&value->array.items[i], depth + 1, hash) < 0)
				return -1;
			inner = schema_hash_pair(inner, *hash);
		}
	} else if (value->type == JSON_OBJECT) {
		count = value->object.count;
		for (size_t i = 0; i < count; i++) {
			const struct json_member *member = &value->object.members[i];

			if (hash_tree(&member->value, depth + 1, hash) < 0)
				return -1;
			inner += schema_hash_pair(schema_hash_key(member->key), *hash);
		}
	} else {
		*hash = schema_hash_scalar(
			value->type, value->type == JSON_BOOL && value->boolean,
			value->type == JSON_BOOL || value->type == JSON_NULL ? SPAN("")
									     : value->text);
		return 0;
	}
	*hash = schema_hash_container(value->type == JSON_OBJECT, inner, count);
	return 0;
}

struct listed {
	struct span *strings;
	uint32_t string_count;
	struct decimal *numbers;
	uint64_t *hashes;
	struct map seen; /* strings */
};

static int compare_integers(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left;
	int64_t b = *(const int64_t *)right;

	return a < b ? -1 : a > b;
}

static int list_integer_bits(struct schema_compile *c, struct schema_values *values)
{
	const int64_t *integers = values->integers;
	size_t count = values->integer_count;
	uint64_t *bits;

	if (!count)
		return 0;
	values->integer_range = (uint64_t)integers[count - 1] - (uint64_t)integers[0];
	if (values->integer_range >= INTEGER_BITS_MAX)
		return 0;
	bits = arena_array(&c->set->arena, uint64_t, values->integer_range / 64 + 1);
	if (!bits)
		return schema_no_memory(c->set, c->err);
	for (size_t i = 0; i < count; i++) {
		uint64_t bit = (uint64_t)integers[i] - (uint64_t)integers[0];

		bits[bit / 64] |= UINT64_C(1) << (bit % 64);
	}
	values->integer_bits = bits;
	return 0;
}

/* Those of the numbers that are integers, in order. */
static int list_integers(struct schema_compile *c, struct schema_values *values)
{
	int64_t *integers;

	if (!values->number_count)
		return 0;
	integers = arena_array(&c->set->arena, int64_t, values->number_count);
	if (!integers)
		return schema_no_memory(c->set, c->err);
	for (size_t i = 0; i < values->number_count; i++)
		values->integer_count +=
			decimal_to_i64(&values->numbers[i], &integers[values->integer_count]);
	qsort(integers, values->integer_count, sizeof(*integers), compare_integers);
	values->integers = integers;
	return list_integer_bits(c, values);
}

static int list_value(struct schema_compile *c, struct listed *listed,
		      struct schema_values *values, const struct json *value)
{
	uint64_t hash;

	switch (value->type) {
	case JSON_NULL: values->has_null = true; return 0;
	case JSON_BOOL:
		if (value->boolean)
			values->has_true = true;
		else
			values->has_false = true;
		return 0;
	case JSON_NUMBER:
		listed->numbers[values->number_count++] = decimal_parse(value->text);
		return 0;
	case JSON_STRING:
		if (map_get(&listed->seen, value->text))
			return 0;
		if (map_put(&listed->seen, value->text, listed) < 0)
			return schema_no_memory(c->set, c->err);
		listed->strings[listed->string_count++] = value->text;
		return 0;
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	if (hash_tree(value, 0, &hash) < 0)
		return schema_fail(c->set, c->place, values->keyword, c->err,
				   "a value is nested too deep");
	listed->hashes[values->hash_count++] = hash;
	return 0;
}

static struct schema_values *compile_list(struct schema_compile *c, const char *keyword,
					  const struct json *items, size_t count)
{
	struct arena *arena = &c->set->arena;
	struct schema_values *values = arena_new(arena, struct schema_values);
	struct listed listed = {.strings = arena_array(arena, struct span, count),
				.numbers = arena_array(arena, struct decimal, count),
				.hashes = arena_array(arena, uint64_t, count),
				.seen = MAP_INIT};
	int result = 0;

	if (!values || !listed.strings || !listed.numbers || !listed.hashes) {
		schema_no_memory(c->set, c->err);
		return NULL;
	}
	values->keyword = keyword;
	for (size_t i = 0; i < count && result == 0; i++)
		result = list_value(c, &listed, values, &items[i]);
	map_release(&listed.seen);
	if (result < 0)
		return NULL;
	values->numbers = listed.numbers;
	values->hashes = listed.hashes;
	if (list_integers(c, values) < 0)
		return NULL;
	if (schema_names_build(&values->strings, arena, listed.strings, listed.string_count) <
	    0) {
		schema_no_memory(c->set, c->err);
		return NULL;
	}
	return values;
}

int schema_compile_values(struct schema_compile *c, struct schema *schema)
{
	const struct json *list = c->keywords[KW_ENUM];
	const struct json *one = c->keywords[KW_CONST];

	if (list) {
		if (list->type != JSON_ARRAY)
			return bad(c, KW_ENUM, "a list of values");
		schema->values[0] =
			compile_list(c, "enum", list->array.items, list->array.count);
		if (!schema->values[0])
			return -1;
	}
	if (one) {
		schema->values[1] = compile_list(c, "const", one, 1);
		if (!schema->values[1])
			return -1;
	}
	for (size_t i = 0; i < COUNT_OF(schema->values); i++)
		if (schema->values[i] && schema->values[i]->hash_count)
			schema->needs_hash = true;
	return 0;
}

/* -- strings -- */

const struct ecma *schema_compile_regex(struct schema_compile *c, struct span expression,
					const char *keyword)
{
	struct schema_set *set = c->set;
	struct schema_regex *regex = map_get(&set->regexes, expression);
	struct err inner = {0};

	if (regex)
		return regex->ecma;
	regex = arena_new(&set->arena, struct schema_regex);
	if (!regex) {
		schema_no_memory(set, c->err);
		return NULL;
	}
	regex->expression = expression;
	regex->ecma = ecma_compile(expression, set->options.max_regex_bytes, &inner);
	if (!regex->ecma) {
		if (inner.code == ERR_MEMORY)
			schema_no_memory(set, c->err);
		else
			schema_fail(set, c->place, keyword, c->err, "%s", inner.message);
		return NULL;
	}
	regex->next = set->regex_list;
	set->regex_list = regex;
	set->regex_bytes += ecma_bytes(regex->ecma);
	if (set->regex_bytes > set->options.max_bytes) {
		schema_fail(set, c->place, keyword, c->err,
			    "regular expressions take more than %zu MiB: raise 'memory' of the "
			    "contract",
			    set->options.max_bytes >> 20);
		return NULL;
	}
	if (map_put(&set->regexes, regex->expression, regex) < 0) {
		schema_no_memory(set, c->err);
		return NULL;
	}
	return regex->ecma;
}

int schema_compile_string(struct schema_compile *c, struct schema *schema)
{
	const struct json *pattern = c->keywords[KW_PATTERN];
	const struct json *format = c->keywords[KW_FORMAT];
	struct schema_string string = {.max = UINT64_MAX};
	struct schema_string *copy;
	struct span text;

	if (schema_compile_count(c, KW_MIN_LENGTH, 0, &string.min) < 0 ||
	    schema_compile_count(c, KW_MAX_LENGTH, UINT64_MAX, &string.max) < 0)
		return -1;
	if (pattern) {
		if (!json_string(pattern, &text))
			return bad(c, KW_PATTERN, "a string");
		string.pattern = schema_compile_regex(c, text, "pattern");
		if (!string.pattern)
			return -1;
	}
	if (format && !json_string(format, &text))
		return bad(c, KW_FORMAT, "a string");
	if (format && c->place->resource->assert_formats)
		string.has_format = format_find(text, &string.format);
	if (!string.min && string.max == UINT64_MAX && !pattern && !string.has_format)
		return 0;
	copy = arena_new(&c->set->arena, struct schema_string);
	if (!copy)
		return schema_no_memory(c->set, c->err);
	*copy = string;
	schema->string = copy;
	return 0;
}

/* -- numbers -- */

/* The integer below: 0, or the side on which it does not fit. */
static int floor_i64(const struct decimal *d, int64_t *value)
{
	int64_t whole = (int64_t)d->count + d->exponent;
	struct decimal integer = *d;

	if (d->exponent < 0 && whole <= 0) {
		*value = d->negative ? -1 : 0;
		return 0;
	}
	if (d->exponent < 0) {
		integer.count = (size_t)whole;
		integer.exponent = 0;
	}
	if (!decimal_to_i64(&integer, value))
		return d->negative ? -1 : 1;
	if (d->exponent < 0 && d->negative) {
		if (*value == INT64_MIN)
			return -1;
		--*value;
	}
	return 0;
}

/* Narrows low by a lower bound. */
static void raise_low(struct schema_number *n, const struct schema_bound *bound)
{
	int64_t value = 0;
	int side = bound->there ? floor_i64(&bound->value, &value) : -1;
	bool next = bound->exclusive || bound->value.exponent < 0;

	if (side > 0 || (side == 0 && next && value == INT64_MAX)) {
		n->low = 0;
		n->high = -1;
	} else if (side == 0 && value + next > n->low) {
		n->low = value + next;
	}
}

static void lower_high(struct schema_number *n, const struct schema_bound *bound)
{
	int64_t value = 0;
	int side = bound->there ? floor_i64(&bound->value, &value) : 1;
	bool before = bound->exclusive && bound->value.exponent >= 0;

	if (side < 0 || (side == 0 && before && value == INT64_MIN)) {
		n->low = 0;
		n->high = -1;
	} else if (side == 0 && value - before < n->high) {
		n->high = value - before;
	}
}

static int bound(struct schema_compile *c, enum schema_keyword keyword, bool exclusive,
		 struct schema_bound *to)
{
	const struct json *value = c->keywords[keyword];

	if (!value)
		return 0;
	if (value->type != JSON_NUMBER)
		return bad(c, keyword, "a number");
	*to = (struct schema_bound){true, exclusive, decimal_parse(value->text), value->text,
				    schema_keyword_info(keyword)->name};
	return 0;
}

/* In draft 4 the exclusive ones are flags of the others. */
static int bounds(struct schema_compile *c, struct schema_number *n)
{
	bool flags = c->dialect == SCHEMA_DRAFT4 || c->dialect == SCHEMA_OPENAPI30;
	bool exclusive_min = false;
	bool exclusive_max = false;

	if (flags && (schema_compile_flag(c, KW_EXCLUSIVE_MINIMUM, &exclusive_min) < 0 ||
		      schema_compile_flag(c, KW_EXCLUSIVE_MAXIMUM, &exclusive_max) < 0))
		return -1;
	if (bound(c, KW_MINIMUM, exclusive_min, &n->min[0]) < 0 ||
	    bound(c, KW_MAXIMUM, exclusive_max, &n->max[0]) < 0)
		return -1;
	if (!flags && (bound(c, KW_EXCLUSIVE_MINIMUM, true, &n->min[1]) < 0 ||
		       bound(c, KW_EXCLUSIVE_MAXIMUM, true, &n->max[1]) < 0))
		return -1;
	return 0;
}

/* The formats of the OpenAPI format registry that bound numbers. */
static void number_format(struct schema_number *n, struct span format)
{
	static const struct {
		const char *name;
		const char *min;
		const char *max;
	} formats[] = {
		{"int8", "-128", "127"},
		{"uint8", "0", "255"},
		{"int16", "-32768", "32767"},
		{"uint16", "0", "65535"},
		{"int32", "-2147483648", "2147483647"},
		{"uint32", "0", "4294967295"},
		{"int64", "-9223372036854775808", "9223372036854775807"},
		{"uint64", "0", "18446744073709551615"},
		{"float", "-3.4028234663852886e38", "3.4028234663852886e38"},
		{"double", "-1.7976931348623157e308", "1.7976931348623157e308"},
	};

	for (size_t i = 0; i < COUNT_OF(formats); i++)
		if (span_eq(format, span_cstr(formats[i].name))) {
			n->format_min = (struct schema_bound){
				true, false, decimal_parse(span_cstr(formats[i].min)),
				span_cstr(formats[i].name), "format"};
			n->format_max = (struct schema_bound){
				true, false, decimal_parse(span_cstr(formats[i].max)),
				span_cstr(formats[i].name), "format"};
		}
}

static int divisor(struct schema_compile *c, struct schema_number *n)
{
	const struct json *value = c->keywords[KW_MULTIPLE_OF];
	struct decimal number;

	if (!value)
		return 0;
	if (value->type != JSON_NUMBER)
		return bad(c, KW_MULTIPLE_OF, "a number");
	number = decimal_parse(value->text);
	if (!decimal_divisor(&number, &n->divisor))
		return bad(c, KW_MULTIPLE_OF,
			   "a number above 0 with at most 19 significant digits");
	n->has_divisor = true;
	n->plain_divisor = decimal_to_i64(&number, &n->divisor_integer);
	n->scaled = n->plain_divisor ||
		    (n->divisor.exponent < 0 && n->divisor.exponent >= -SCALE_MAX);
	n->places = n->plain_divisor ? 0 : (unsigned)-n->divisor.exponent;
	n->divisor_scaled = n->plain_divisor ? (uint64_t)n->divisor_integer : n->divisor.digits;
	return 0;
}

int schema_compile_number(struct schema_compile *c, struct schema *schema)
{
	struct schema_number n = {.low = INT64_MIN, .high = INT64_MAX};
	struct schema_number *copy;
	struct span format = SPAN_NONE;

	if (bounds(c, &n) < 0 || divisor(c, &n) < 0)
		return -1;
	if (json_string(c->keywords[KW_FORMAT], &format))
		number_format(&n, format);
	if (!n.has_divisor && !n.min[0].there && !n.min[1].there && !n.max[0].there &&
	    !n.max[1].there && !n.format_min.there)
		return 0;
	for (size_t i = 0; i < COUNT_OF(n.min); i++) {
		raise_low(&n, &n.min[i]);
		lower_high(&n, &n.max[i]);
	}
	raise_low(&n, &n.format_min);
	lower_high(&n, &n.format_max);
	copy = arena_new(&c->set->arena, struct schema_number);
	if (!copy)
		return schema_no_memory(c->set, c->err);
	*copy = n;
	schema->number = copy;
	return 0;
}
