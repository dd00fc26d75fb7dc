#include "base/hex.h"

#include <string.h>

#include "base/compiler.h"

#define PAIR(high, low) high, low
#define ROW(high)                                                                              \
	PAIR(high, '0'), PAIR(high, '1'), PAIR(high, '2'), PAIR(high, '3'), PAIR(high, '4'),   \
		PAIR(high, '5'), PAIR(high, '6'), PAIR(high, '7'), PAIR(high, '8'),            \
		PAIR(high, '9'), PAIR(high, 'a'), PAIR(high, 'b'), PAIR(high, 'c'),            \
		PAIR(high, 'd'), PAIR(high, 'e'), PAIR(high, 'f')

static const char pairs[512] = {ROW('0'), ROW('1'), ROW('2'), ROW('3'), ROW('4'), ROW('5'),
				ROW('6'), ROW('7'), ROW('8'), ROW('9'), ROW('a'), ROW('b'),
				ROW('c'), ROW('d'), ROW('e'), ROW('f')};

HOT void hex_encode(char *to, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;
	size_t i = 0;

#ifdef __SSE2__
	for (; i + 8 <= len; i += 8)
		hex_encode8(to + 2 * i, from + i);
#endif
	for (; i < len; i++)
		memcpy(to + 2 * i, pairs + 2 * from[i], 2);
}
