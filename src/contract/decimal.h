/*
 * decimal.h - numbers as JSON writes them, exactly: compared, hashed and divided by value, however
 * many digits or which exponent they have. 1, 1.0 and 10e-1 are the same number.
 */
#ifndef CONTRACT_DECIMAL_H
#define CONTRACT_DECIMAL_H

#include "base/span.h"

/* (-1)^negative * digits * 10^exponent; the digits neither start nor end with zero. */
struct decimal {
	bool negative; /* never for zero */
	size_t count; /* of digits; 0 for zero */
	/* Of the last digit. Beyond +-10^15 it stays there. */
	int64_t exponent;
	const char *digits; /* in the text; one '.' may stand among them */
};

/* `text` follows the grammar of JSON numbers (RFC 8259 section 6) and must outlive the decimal. */
struct decimal decimal_parse(struct span text);
static inline bool decimal_is_integer(const struct decimal *d)
{
	return d->exponent >= 0;
}
/* <0, 0 or >0. */
int decimal_compare(const struct decimal *a, const struct decimal *b);
/* Equal numbers have equal hashes; keyed by base/hash.h. */
uint64_t decimal_hash(const struct decimal *d);
/* False when it is no integer or does not fit. */
bool decimal_to_i64(const struct decimal *d, int64_t *value);

/* A positive number with at most 19 digits, to divide by. */
struct decimal_divisor {
	uint64_t digits; /* no multiple of 10 */
	int64_t exponent;
};
/* False when the number is not positive or has too many digits. */
bool decimal_divisor(const struct decimal *d, struct decimal_divisor *divisor);
bool decimal_is_multiple(const struct decimal *d, const struct decimal_divisor *divisor);

#endif
