#include "contract/schema_fast_read.h"

#include "parse/utf8.h"

const uint64_t fast_powers[FAST_DIGITS_MAX + 1] = {UINT64_C(1),
						   UINT64_C(10),
						   UINT64_C(100),
						   UINT64_C(1000),
						   UINT64_C(10000),
						   UINT64_C(100000),
						   UINT64_C(1000000),
						   UINT64_C(10000000),
						   UINT64_C(100000000),
						   UINT64_C(1000000000),
						   UINT64_C(10000000000),
						   UINT64_C(100000000000),
						   UINT64_C(1000000000000),
						   UINT64_C(10000000000000),
						   UINT64_C(100000000000000),
						   UINT64_C(1000000000000000),
						   UINT64_C(10000000000000000),
						   UINT64_C(100000000000000000),
						   UINT64_C(1000000000000000000)};

/* What a letter after a backslash stands for; 0: nothing. */
static const char meaning[256] = {['"'] = '"',	['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
				  ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};

static int hex_digit(char c)
{
	char lower = (char)(c | 0x20);

	if (c >= '0' && c <= '9')
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four digits of the \u at p; -1: there is none. */
static int code_unit(const char *p, const char *end)
{
	int unit = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (unsigned i = 2; i < 6; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit;
}

const char *fast_escape(const char *p, const char *end)
{
	int unit;

	if (end - p < 2)
		return NULL;
	if (meaning[(unsigned char)p[1]])
		return p + 2;
	unit = code_unit(p, end);
	if (unit < 0 || (unit & 0xfc00) == 0xdc00)
		return NULL;
	if ((unit & 0xfc00) != 0xd800)
		return p + 6;
	/* The first half of a pair: the second one must follow (RFC 8259 section 8.2). */
	unit = code_unit(p + 6, end);
	return unit >= 0 && (unit & 0xfc00) == 0xdc00 ? p + 12 : NULL;
}

#ifdef __SSE2__
/*
 * Goes on 16 bytes at a time: to the end of the string, something that is for others, or near the
 * end of the piece. True when that is not the end of the piece.
 */
static bool skip_blocks(const char **from, const char *end, bool *high)
{
	const char *p = *from;

	while (end - p >= 18) {
		unsigned here;
		unsigned special = json_special_bytes(p, &here);
		unsigned step = 16;

		*high |= here != 0;
		while (special) {
			unsigned at = (unsigned)__builtin_ctz(special);

			if (p[at] != '\\' || !meaning[(unsigned char)p[at + 1]]) {
				*from = p + at;
				return true;
			}
			/* Neither the backslash nor what follows it is looked at again. */
			special &= special - 1;
			special &= ~(2u << at);
			step = at == 15 ? 17 : 16;
		}
		p += step;
	}
	*from = p;
	return false;
}
#else
static bool skip_blocks(const char **from, const char *end, bool *high)
{
	(void)from;
	(void)end;
	(void)high;
	return false;
}
#endif

enum fast_read fast_skip_escaped(const char *p, const char *end, bool *high, const char **at)
{
	for (;;) {
		if (!skip_blocks(&p, end, high))
			p = json_skip_plain(p, end, high);
		if (p == end)
			return FAST_CUT;
		if (*p == '"') {
			*at = p;
			return FAST_READ;
		}
		if (*p != '\\')
			return FAST_WRONG;
		p = fast_escape(p, end);
		if (!p)
			return FAST_WRONG;
	}
}

char *fast_decode(struct span raw, char *to)
{
	const char *p = raw.ptr;
	const char *end = p + raw.len;

	while (p < end) {
		bool high = false;
		const char *plain = json_skip_plain(p, end, &high);
		int unit;

		memcpy(to, p, (size_t)(plain - p));
		to += plain - p;
		p = plain;
		if (p == end)
			break;
		if (meaning[(unsigned char)p[1]]) {
			*to++ = meaning[(unsigned char)p[1]];
			p += 2;
			continue;
		}
		unit = code_unit(p, end);
		p += 6;
		if ((unit & 0xfc00) == 0xd800) {
			unit = 0x10000 + ((unit & 0x3ff) << 10) + (code_unit(p, end) & 0x3ff);
			p += 6;
		}
		to += utf8_encode(to, (uint32_t)unit);
	}
	return to;
}
