/*
 * schema_fast_read.h - strings and numbers of one piece of JSON text, read without a state and
 * without copying. For schema_fast.c only.
 */
#ifndef CONTRACT_SCHEMA_FAST_READ_H
#define CONTRACT_SCHEMA_FAST_READ_H

#include "base/compiler.h"
#include "contract/schema_names.h"
#include "parse/json_plain.h"

#define FAST_INLINE static inline __attribute__((always_inline))

/* -- strings -- */

enum fast_read {
	FAST_READ,
	FAST_CUT, /* the piece ends before it does */
	FAST_WRONG, /* it is none, or nothing that is known here */
};

/* The end of an escape that begins at the backslash p: NULL when it is none or cut. */
const char *fast_escape(const char *p, const char *end);

/*
 * The quote that ends the string of which p is somewhere inside, in *at; its escapes are right.
 * *high as for json_skip_plain(), though it may also become true for bytes behind the quote.
 */
enum fast_read fast_skip_escaped(const char *p, const char *end, bool *high, const char **at);

/* Decodes what fast_skip_escaped() has passed over to `to`, which has room for as many bytes; its new
   end. */
char *fast_decode(struct span raw, char *to);

/* -- numbers -- */

/* By RFC 8259 section 6. */
struct fast_number {
	const char *end;
	uint64_t whole;
	uint64_t rest; /* the digits after the point as an integer */
	size_t places; /* how many digits that are */
	bool small; /* and `whole` and `rest` are so, for certain */
	bool fraction; /* not 0 */
};

/* Digits of which each of the two parts of a small number has at most so many. */
#define FAST_DIGITS_MAX 18

extern const uint64_t fast_powers[FAST_DIGITS_MAX + 1]; /* of ten */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* Up to 8 digits at p, where 8 bytes are: how many, and *number continued by them. */
FAST_INLINE unsigned fast_eight_digits(const char *p, uint64_t *number)
{
	uint64_t word = schema_load64(p) ^ UINT64_C(0x3030303030303030);
	/* Bytes that are no digits get their first bit; a carry goes to later ones only. */
	uint64_t stop =
		((word + UINT64_C(0x7676767676767676)) | word) & UINT64_C(0x8080808080808080);
	unsigned count = stop ? (unsigned)__builtin_ctzll(stop) / 8 : 8;

	if (count == 0)
		return 0;
	/* As if zeros stood before them; then pairs, fours and all are joined. */
	word <<= 64 - 8 * count;
	word = (word * 10 + (word >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
	word = (word * 100 + (word >> 16)) & UINT64_C(0x0000ffff0000ffff);
	word = (word * 10000 + (word >> 32)) & UINT64_C(0xffffffff);
	*number = *number * fast_powers[count] + word;
	return count;
}
#endif

FAST_INLINE const char *fast_digits(const char *p, const char *end, uint64_t *number)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	while (end - p >= 8) {
		unsigned count = fast_eight_digits(p, number);

		p += count;
		if (count < 8)
			return p;
	}
#endif
	while (p < end && (unsigned char)(*p - '0') <= 9)
		*number = *number * 10 + (unsigned char)(*p++ - '0');
	return p;
}

/* False when it is none, or may go on behind the piece. */
FAST_INLINE bool fast_read_number(const char *p, const char *end, struct fast_number *n)
{
	const char *start = p + (*p == '-');
	uint64_t exponent = 0;
	size_t count;

	n->whole = n->rest = 0;
	n->places = 0;
	n->fraction = false;
	p = fast_digits(start, end, &n->whole);
	count = (size_t)(p - start);
	n->small = count <= FAST_DIGITS_MAX;
	if (UNLIKELY(count == 0 || (count > 1 && *start == '0') || p == end))
		return false;
	if (*p == '.') {
		start = ++p;
		p = fast_digits(p, end, &n->rest);
		n->places = (size_t)(p - start);
		/* More digits than `rest` has room for may look like 0. */
		n->small = n->small && n->places <= FAST_DIGITS_MAX;
		n->fraction = n->rest != 0;
		if (UNLIKELY(p == start || p == end))
			return false;
	}
	if (UNLIKELY((*p | 0x20) == 'e')) {
		n->small = false;
		if (++p < end && (*p == '+' || *p == '-'))
			p++;
		start = p;
		p = fast_digits(p, end, &exponent);
		if (p == start || p == end)
			return false;
	}
	n->end = p;
	return true;
}

#endif
