#include "contract/decimal.h"

#include "base/hash.h"

#define EXPONENT_MAX INT64_C(1000000000000000)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits of an exponent with its sign; stops growing at the limit. */
static int64_t parse_exponent(const char *p, const char *end)
{
	bool negative = p < end && *p == '-';
	int64_t value = 0;

	if (p < end && (*p == '-' || *p == '+'))
		p++;
	for (; p < end && value < EXPONENT_MAX; p++)
		value = value * 10 + (*p - '0');
	if (value > EXPONENT_MAX)
		value = EXPONENT_MAX;
	return negative ? -value : value;
}

struct decimal decimal_parse(struct span text)
{
	const char *p = text.ptr;
	const char *end = p + text.len;
	const char *first = NULL;
	const char *last = NULL; /* of the digits that are not zero */
	int64_t after_point = 0; /* digits from the point to the last one */
	size_t count = 0;
	size_t pending = 0; /* zeros since `last` */
	bool point = false;
	struct decimal d = {.negative = p < end && *p == '-'};

	if (d.negative)
		p++;
	for (; p < end && (is_digit(*p) || *p == '.'); p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		after_point += point;
		if (*p == '0') {
			pending += first != NULL;
			continue;
		}
		if (!first)
			first = p;
		last = p;
		count += pending + 1;
		pending = 0;
	}
	if (!last)
		return (struct decimal){.digits = text.ptr};
	/* Zeros after the last digit were counted after the point, or stand before it. */
	d.exponent = (int64_t)pending - after_point;
	if (p < end)
		d.exponent += parse_exponent(p + 1, end);
	d.count = count;
	d.digits = first;
	return d;
}

/* The digit at *p, which moves on to the next one. */
static inline char take_digit(const char **p)
{
	if (**p == '.')
		++*p;
	return *(*p)++;
}

static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
	int64_t top_a = a->exponent + (int64_t)a->count;
	int64_t top_b = b->exponent + (int64_t)b->count;
	const char *at_a = a->digits;
	const char *at_b = b->digits;

	if (a->count == 0 || b->count == 0)
		return (a->count != 0) - (b->count != 0);
	if (top_a != top_b)
		return top_a < top_b ? -1 : 1;
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		int difference = take_digit(&at_a) - take_digit(&at_b);

		if (difference)
			return difference;
	}
	return a->count < b->count ? -1 : a->count > b->count;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	return a->negative ? compare_magnitude(b, a) : compare_magnitude(a, b);
}

uint64_t decimal_hash(const struct decimal *d)
{
	struct {
		uint64_t so_far;
		int64_t exponent;
		char digits[48];
	} block = {d->negative, d->exponent, {0}};
	const char *at = d->digits;
	size_t left = d->count;

	do {
		size_t take = left < sizeof(block.digits) ? left : sizeof(block.digits);

		for (size_t i = 0; i < take; i++)
			block.digits[i] = take_digit(&at);
		left -= take;
		block.so_far =
			hash_span(span_of(&block, sizeof(block) - sizeof(block.digits) + take));
	} while (left);
	return block.so_far;
}

bool decimal_to_i64(const struct decimal *d, int64_t *value)
{
	const char *at = d->digits;
	int64_t sum = 0;

	if (d->count == 0) {
		*value = 0;
		return true;
	}
	if (d->exponent < 0 || d->exponent > 18 || d->count + (size_t)d->exponent > 19)
		return false;
	/* Downwards, because there is one more negative number. */
	for (size_t i = 0; i < d->count + (size_t)d->exponent; i++) {
		int digit = i < d->count ? take_digit(&at) - '0' : 0;

		if (__builtin_mul_overflow(sum, INT64_C(10), &sum) ||
		    __builtin_sub_overflow(sum, (int64_t)digit, &sum))
			return false;
	}
	if (!d->negative && sum == INT64_MIN)
		return false;
	*value = d->negative ? sum : -sum;
	return true;
}

bool decimal_divisor(const struct decimal *d, struct decimal_divisor *divisor)
{
	const char *at = d->digits;

	if (d->negative || d->count == 0 || d->count > 19)
		return false;
	divisor->digits = 0;
	for (size_t i = 0; i < d->count; i++)
		divisor->digits = divisor->digits * 10 + (uint64_t)(take_digit(&at) - '0');
	divisor->exponent = d->exponent;
	return true;
}

static uint64_t multiply_modulo(uint64_t a, uint64_t b, uint64_t modulus)
{
	return (uint64_t)((__uint128_t)a * b % modulus);
}

static uint64_t power_of_ten_modulo(int64_t exponent, uint64_t modulus)
{
	uint64_t result = 1 % modulus;
	uint64_t square = 10 % modulus;

	for (; exponent; exponent >>= 1) {
		if (exponent & 1)
			result = multiply_modulo(result, square, modulus);
		square = multiply_modulo(square, square, modulus);
	}
	return result;
}

bool decimal_is_multiple(const struct decimal *d, const struct decimal_divisor *divisor)
{
	const char *at = d->digits;
	uint64_t rest = 0;

	if (d->count == 0)
		return true;
	/* Neither has trailing zeros: one with more places after the point is no multiple. */
	if (d->exponent < divisor->exponent)
		return false;
	for (size_t i = 0; i < d->count; i++)
		rest = (uint64_t)(((__uint128_t)rest * 10 + (unsigned)(take_digit(&at) - '0')) %
				  divisor->digits);
	return multiply_modulo(
		       rest,
		       power_of_ten_modulo(d->exponent - divisor->exponent, divisor->digits),
		       divisor->digits) == 0;
}
