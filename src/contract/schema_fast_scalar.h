/*
 * schema_fast_scalar.h - what schema_fast.c reads with, and how it checks strings, numbers, literals
 * where they stand. For it only: what is here becomes part of its loops.
 */
#ifndef CONTRACT_SCHEMA_FAST_SCALAR_H
#define CONTRACT_SCHEMA_FAST_SCALAR_H

#include "contract/schema_fast_read.h"
#include "contract/schema_run.h"
#include "parse/utf8.h"

#define INLINE FAST_INLINE
/* Rare enough to be called. */
#define SLOW static __attribute__((noinline, unused))

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

SLOW const char *unsure(struct fast *f)
{
	f->unsure = true;
	return NULL;
}

SLOW const char *cut(struct fast *f)
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

struct text {
	struct span raw;
	bool escaped; /* it stands there with escapes */
};

/* With escapes, or something wrong. */
SLOW const char *read_escaped(struct fast *f, const char *start, const char *p, bool high,
			      struct text *text)
{
	const char *end;

	switch (fast_skip_escaped(p, f->end, &high, &end)) {
	case FAST_READ: break;
	case FAST_CUT: return cut(f);
	case FAST_WRONG: return unsure(f);
	}
	*text = (struct text){span_of(start, (size_t)(end - start)), true};
	if (text->raw.len > f->run->limits.max_string_bytes || (high && !utf8_valid(text->raw)))
		return unsure(f);
	return end + 1;
}

/* The string that begins at the quote p. */
INLINE const char *read_string(struct fast *f, const char *p, struct text *text)
{
	const char *start = p + 1;
	bool high = false;
	const char *q = json_skip_plain(start, f->end, &high);

	if (UNLIKELY(q == f->end))
		return cut(f);
	if (UNLIKELY(*q != '"'))
		return read_escaped(f, start, q, high, text);
	*text = (struct text){span_of(start, (size_t)(q - start)), false};
	if (UNLIKELY(text->raw.len > f->run->limits.max_string_bytes ||
		     (high && !utf8_valid(text->raw))))
		return unsure(f);
	return q + 1;
}

SLOW bool decode_slowly(struct fast *f, struct span raw, struct span *decoded)
{
	struct buf *to = &f->run->fast.text;

	buf_clear(to);
	if (buf_reserve(to, raw.len) < 0) {
		(void)unsure(f);
		return false;
	}
	*decoded = span_of(to->ptr, (size_t)(fast_decode(raw, to->ptr) - to->ptr));
	return true;
}

/* What the text means, until the next one is decoded; false: no memory. */
INLINE bool decode(struct fast *f, const struct text *text, struct span *decoded)
{
	*decoded = text->raw;
	return LIKELY(!text->escaped) || decode_slowly(f, text->raw, decoded);
}

INLINE bool listed(const struct schema *s, struct span text)
{
	for (unsigned i = 0; i < COUNT_OF(s->values); i++)
		if (s->values[i] && schema_names_find(&s->values[i]->strings, text,
						      SCHEMA_NAME_NONE) == SCHEMA_NAME_NONE)
			return false;
	return true;
}

static inline bool text_meets(struct fast *f, const struct schema *s, struct span text)
{
	const struct schema_string *string = s->string;

	if ((s->values[0] || s->values[1]) && !listed(s, text))
		return false;
	if (!string)
		return true;
	if (!schema_length_fits(string, text))
		return false;
	if (string->pattern && ecma_match(f->run->matcher, string->pattern, text) != ECMA_MATCH)
		return false;
	return !string->has_format || format_check(string->format, text);
}

/* When its length alone does not tell. */
SLOW bool escaped_meets(struct fast *f, const struct schema *s, const struct text *text)
{
	const struct schema_string *string = s->string;
	struct span decoded;

	/* A code point takes one to twelve bytes, escaped. */
	if (!s->values[0] && !s->values[1] &&
	    (!string || (!string->pattern && !string->has_format &&
			 text->raw.len <= string->max && text->raw.len / 12 >= string->min)))
		return true;
	return decode(f, text, &decoded) && text_meets(f, s, decoded);
}

INLINE bool string_meets(struct fast *f, const struct schema *s, const struct text *text)
{
	const struct schema_string *string = s->string;

	if (UNLIKELY(!(s->types & SCHEMA_STRING) || s->never))
		return false;
	if (UNLIKELY(text->escaped))
		return escaped_meets(f, s, text);
	if (s->values[0] || s->values[1])
		return text_meets(f, s, text->raw);
	if (!string)
		return true;
	if (UNLIKELY(string->pattern || string->has_format))
		return text_meets(f, s, text->raw);
	return schema_length_fits(string, text->raw);
}

/* -- other scalars -- */

/* By the general function, which tells nothing here. */
SLOW const char *scalar_slowly(struct fast *f, const struct schema *s, struct scalar *scalar,
			       const char *end)
{
	scalar->has_hash = false;
	if (!run_check_scalar(f->run, s, scalar, true))
		return NULL;
	return end;
}

/* Is it a multiple of the divisor? False also when it is too large to tell here. */
INLINE bool divides(const struct schema_number *d, const struct fast_number *n)
{
	uint64_t value;

	if (!d->scaled)
		return false;
	if (LIKELY(d->places == 0 && !n->fraction)) {
		value = n->whole;
	} else if (n->places > d->places ||
		   __builtin_mul_overflow(n->whole, fast_powers[d->places], &value) ||
		   __builtin_add_overflow(value, n->rest * fast_powers[d->places - n->places],
					  &value)) {
		return false;
	}
	/* Where they fit, 32 bits are divided much faster. */
	if (LIKELY((value | d->divisor_scaled) >> 32 == 0))
		return (uint32_t)value % (uint32_t)d->divisor_scaled == 0;
	return value % d->divisor_scaled == 0;
}

/* An integer, for a schema that lists values. */
SLOW bool number_listed(const struct schema *s, const struct fast_number *n, bool negative)
{
	int64_t value = negative ? -(int64_t)n->whole : (int64_t)n->whole;

	if (n->fraction || s->never || s->branch_count || s->strict_integers || s->number ||
	    !(s->types & SCHEMA_INTEGER) || (!s->values[0] && !s->values[1]))
		return false;
	for (unsigned i = 0; i < COUNT_OF(s->values); i++)
		if (s->values[i] && !schema_values_have(s->values[i], value))
			return false;
	return true;
}

/* True when the schema is met for certain. */
INLINE bool number_meets(const struct schema *s, const struct fast_number *n, bool negative)
{
	unsigned bit = n->fraction ? SCHEMA_NUMBER : SCHEMA_INTEGER;
	int64_t low = (int64_t)n->whole;
	int64_t high = low + n->fraction;

	/* Any number, however it is written. */
	if (s->plain_scalar && !s->number &&
	    (s->types & (SCHEMA_INTEGER | SCHEMA_NUMBER)) == (SCHEMA_INTEGER | SCHEMA_NUMBER))
		return true;
	if (UNLIKELY(!n->small))
		return false;
	/* Its branches, if it has any, are others' matter. */
	if (UNLIKELY(!s->plain_scalar) &&
	    (s->values[0] || s->values[1] || s->never || s->strict_integers))
		return number_listed(s, n, negative);
	if (UNLIKELY(!(s->types & bit)))
		return false;
	if (!s->number)
		return true;
	if (negative) {
		int64_t swap = -low;

		low = -high;
		high = swap;
	}
	return low >= s->number->low && high <= s->number->high &&
	       (!s->number->has_divisor || divides(s->number, n));
}

SLOW const char *number_slowly(struct fast *f, const struct schema *s, const char *p,
			       const char *end)
{
	struct scalar scalar;

	scalar_number(&scalar, span_of(p, (size_t)(end - p)));
	return scalar_slowly(f, s, &scalar, end);
}

INLINE const char *number(struct fast *f, const struct schema *s, const char *p)
{
	struct fast_number n;

	if (UNLIKELY(!fast_read_number(p, f->end, &n) ||
		     (size_t)(n.end - p) > f->run->limits.max_number_bytes))
		return unsure(f);
	if (LIKELY(s->always || number_meets(s, &n, *p == '-')))
		return n.end;
	return number_slowly(f, s, p, n.end);
}

INLINE const char *read_literal(struct fast *f, const char *p, struct scalar *scalar)
{
	size_t left = (size_t)(f->end - p);

	*scalar = (struct scalar){.type = JSON_BOOL, .bit = SCHEMA_BOOLEAN};
	if (left >= 4 && schema_bytes_equal(p, "true", 4)) {
		scalar->boolean = true;
		return p + 4;
	}
	if (left >= 5 && schema_bytes_equal(p, "false", 5))
		return p + 5;
	if (left >= 4 && schema_bytes_equal(p, "null", 4)) {
		scalar->type = JSON_NULL;
		scalar->bit = SCHEMA_NULL;
		return p + 4;
	}
	return left < 5 ? cut(f) : unsure(f);
}

INLINE const char *literal(struct fast *f, const struct schema *s, const char *p)
{
	struct scalar scalar;
	const char *end = read_literal(f, p, &scalar);

	if (UNLIKELY(s->values[0] || s->values[1] || s->never))
		return end ? scalar_slowly(f, s, &scalar, end) : NULL;
	return end && (s->types & scalar.bit) ? end : NULL;
}

/* A scalar for a schema with all that it applies to the same value, by the general function. */
SLOW const char *whole_scalar(struct fast *f, const struct schema *s, const char *p)
{
	struct scalar scalar = {.type = JSON_STRING, .bit = SCHEMA_STRING};
	struct fast_number n;
	struct text text;
	const char *q;

	if (*p == '"') {
		q = read_string(f, p, &text);
		return q && decode(f, &text, &scalar.text) ? scalar_slowly(f, s, &scalar, q)
							   : NULL;
	}
	if (*p == 't' || *p == 'f' || *p == 'n') {
		q = read_literal(f, p, &scalar);
		return q ? scalar_slowly(f, s, &scalar, q) : NULL;
	}
	if (!fast_read_number(p, f->end, &n) ||
	    (size_t)(n.end - p) > f->run->limits.max_number_bytes)
		return unsure(f);
	scalar_number(&scalar, span_of(p, (size_t)(n.end - p)));
	return scalar_slowly(f, s, &scalar, n.end);
}

#endif
