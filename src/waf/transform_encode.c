/* base64, hexadecimal and URL encoding, and decoding of the first two. */
#include "base/hex.h"
#include "waf/transform_internal.h"

/* 0 to 63, or 64 for the padding, or 65. */
static unsigned base64_value(byte c)
{
	if (is_alpha(c))
		return (unsigned)(c & 0x20 ? c - 'a' + 26 : c - 'A');
	if (is_digit(c))
		return (unsigned)(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : c == '=' ? 64 : 65;
}

/* The check that mbed TLS makes first: *end is where trailing spaces start. */
static bool base64_is_strict(const byte *in, size_t len, size_t *end)
{
	unsigned padding = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		size_t spaces = i;
		unsigned value;

		while (i < len && in[i] == ' ')
			i++;
		if (i == len)
			break;
		if (in[i] == '\n' || (in[i] == '\r' && byte_at(in, len, i + 1) == '\n'))
			continue;
		if (spaces != i)
			return false; /* spaces only before the end of a line */
		value = base64_value(in[i]);
		if (value > 64 || (value == 64 && ++padding > 2) || (value < 64 && padding > 0))
			return false;
	}
	*end = i;
	return true;
}

/* A value that is not base64 to its end, or to its first NUL, gives nothing. */
size_t transform_base64_decode(const byte *in, size_t len, byte *out)
{
	uint32_t bits = 0;
	unsigned count = 0, wanted = 3;
	size_t o = 0, end;

	len = strnlen((const char *)in, len);
	if (!base64_is_strict(in, len, &end))
		return 0;
	for (size_t i = 0; i < end; i++) {
		unsigned value;

		if (in[i] == '\r' || in[i] == '\n' || in[i] == ' ')
			continue;
		value = base64_value(in[i]);
		wanted -= value == 64;
		bits = bits << 6 | (value & 0x3f);
		if (++count < 4)
			continue;
		count = 0;
		if (wanted > 0)
			out[o++] = (byte)(bits >> 16);
		if (wanted > 1)
			out[o++] = (byte)(bits >> 8);
		if (wanted > 2)
			out[o++] = (byte)bits;
	}
	return o;
}

/*
 * Skips what is not base64. A single "=" where a group has one character, and a value whose last
 * byte is "=" or "9" (whose value has the code of "=") there, give nothing.
 */
size_t transform_base64_decode_ext(const byte *in, size_t len, byte *out)
{
	uint32_t bits = 0;
	size_t o = 0, count = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned value = base64_value(in[i]);

		if (value == 64 && byte_at(in, len, i + 1) != '=' && count % 4 == 1)
			return 0;
		if (value >= 64)
			continue;
		bits = bits << 6 | value;
		switch (count++ % 4) {
		case 1: out[o++] = (byte)(bits >> 4); break;
		case 2: out[o++] = (byte)(bits >> 2); break;
		case 3: out[o++] = (byte)bits; break;
		default: break;
		}
	}
	if (len > 0 && count % 4 == 1 && (in[len - 1] == '=' || in[len - 1] == '9'))
		return 0;
	return o;
}

size_t transform_hex_decode(const byte *in, size_t len, byte *out)
{
	for (size_t i = 0; i < len / 2; i++)
		out[i] = hex_pair(in + 2 * i);
	return len / 2;
}

size_t transform_hex_encode(const byte *in, size_t len, byte *out)
{
	hex_encode((char *)out, in, len);
	return 2 * len;
}

size_t transform_url_encode(const byte *in, size_t len, byte *out)
{
	size_t o = 0;

	for (size_t i = 0; i < len; i++) {
		if (in[i] == ' ') {
			out[o++] = '+';
		} else if (is_alpha(in[i]) || is_digit(in[i]) || in[i] == '*') {
			out[o++] = in[i];
		} else {
			out[o++] = '%';
			hex_encode((char *)out + o, in + i, 1);
			o += 2;
		}
	}
	return o;
}

size_t transform_length(size_t len, byte *out)
{
	byte digits[20];
	size_t count = 0;

	do {
		digits[count++] = (byte)('0' + len % 10);
		len /= 10;
	} while (len > 0);
	for (size_t i = 0; i < count; i++)
		out[i] = digits[count - 1 - i];
	return count;
}
