/*
 * http_scan.h - finds the first byte that ends a run, sixteen at a time where the processor can.
 * Private to src/parse. Each scan looks at [at, end) and returns the address of the first byte
 * outside its set, or end. `start` ≤ at is where readable memory begins: the last, short block is
 * read as the sixteen bytes before `end`, so nothing outside [start, end) is touched.
 */
#ifndef PARSE_HTTP_SCAN_H
#define PARSE_HTTP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

/* Letters, digits and '-': what nearly every field name consists of. */
static inline bool http_byte_is_plain_name(unsigned char c)
{
	return (unsigned char)((c | 0x20) - 'a') < 26 || (unsigned char)(c - '0') < 10 ||
	       c == '-';
}

/* And '.': what nearly every host name consists of. */
static inline bool http_byte_is_plain_host(unsigned char c)
{
	return http_byte_is_plain_name(c) || c == '.';
}

/* What a field value may hold (RFC 9110 section 5.5): no controls but HTAB, no DEL. */
static inline bool http_byte_is_value(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Visible ASCII: what a request target may hold before it is looked at closely. */
static inline bool http_byte_is_visible(unsigned char c)
{
	return (unsigned char)(c - 0x21) < 0x5e;
}

#if defined(__SSE2__)
#include <emmintrin.h>
#define HTTP_SCAN_BLOCKS 1
#define HTTP_SCAN_MASK_BITS 1 /* bits of the mask a byte takes */
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define HTTP_SCAN_BLOCKS 1
#define HTTP_SCAN_MASK_BITS 4
#endif

#ifdef HTTP_SCAN_BLOCKS
typedef uint8_t http_scan_block __attribute__((vector_size(16)));

static inline http_scan_block http_scan_load(const char *at)
{
	http_scan_block block;

	memcpy(&block, at, sizeof(block));
	return block;
}

static inline uint64_t http_scan_mask(http_scan_block hits)
{
#if defined(__SSE2__)
	return (unsigned)_mm_movemask_epi8((__m128i)hits);
#else
	uint8x8_t narrow = vshrn_n_u16(vreinterpretq_u16_u8((uint8x16_t)hits), 4);

	return vget_lane_u64(vreinterpret_u64_u8(narrow), 0);
#endif
}

/* The index of the first byte that is set in a mask other than 0. */
static inline size_t http_scan_first(uint64_t mask)
{
	return (size_t)__builtin_ctzll(mask) / HTTP_SCAN_MASK_BITS;
}

#define HTTP_SCAN_ALL(byte) ((http_scan_block){0} + (uint8_t)(byte))
#define HTTP_SCAN_NOT_PLAIN_NAME(b)                                                            \
	((http_scan_block)(((b) | HTTP_SCAN_ALL(0x20)) - HTTP_SCAN_ALL('a') >=                 \
			   HTTP_SCAN_ALL(26)) &                                                \
	 (http_scan_block)((b)-HTTP_SCAN_ALL('0') >= HTTP_SCAN_ALL(10)) &                      \
	 (http_scan_block)((b) != HTTP_SCAN_ALL('-')))
#define HTTP_SCAN_NOT_PLAIN_HOST(b)                                                            \
	(HTTP_SCAN_NOT_PLAIN_NAME(b) & (http_scan_block)((b) != HTTP_SCAN_ALL('.')))
/* And bytes above 0x7e and HTAB, which are rare. */
#define HTTP_SCAN_NOT_PLAIN_VALUE(b)                                                           \
	((http_scan_block)((b)-HTTP_SCAN_ALL(0x20) >= HTTP_SCAN_ALL(0x5f)))
#define HTTP_SCAN_NOT_VALUE(b)                                                                 \
	(((http_scan_block)((b) < HTTP_SCAN_ALL(0x20)) &                                       \
	  (http_scan_block)((b) != HTTP_SCAN_ALL('\t'))) |                                     \
	 (http_scan_block)((b) == HTTP_SCAN_ALL(0x7f)))
#define HTTP_SCAN_NOT_VISIBLE(b)                                                               \
	((http_scan_block)((b)-HTTP_SCAN_ALL(0x21) >= HTTP_SCAN_ALL(0x5e)))

#define HTTP_SCAN_WIDE(at, end, start, hits_of)                                                \
	do {                                                                                   \
		while ((end) - (at) >= 16) {                                                   \
			http_scan_block block = http_scan_load(at);                            \
			uint64_t mask = http_scan_mask(hits_of(block));                        \
                                                                                               \
			if (mask)                                                              \
				return (at) + http_scan_first(mask);                           \
			(at) += 16;                                                            \
		}                                                                              \
		if ((at) != (end) && (end) - (start) >= 16) {                                  \
			http_scan_block block = http_scan_load((end)-16);                      \
			int before = 16 - (int)((end) - (at));                                 \
			uint64_t mask = http_scan_mask(hits_of(block)) >>                      \
					(before * HTTP_SCAN_MASK_BITS);                        \
                                                                                               \
			return mask ? (at) + http_scan_first(mask) : (end);                    \
		}                                                                              \
	} while (0)
#else
#define HTTP_SCAN_WIDE(at, end, start, hits_of) ((void)(start))
#endif

static inline const char *http_scan_name(const char *start, const char *at, const char *end)
{
	HTTP_SCAN_WIDE(at, end, start, HTTP_SCAN_NOT_PLAIN_NAME);
	while (at != end && http_byte_is_plain_name((unsigned char)*at))
		at++;
	return at;
}

static inline const char *http_scan_host(const char *start, const char *at, const char *end)
{
	HTTP_SCAN_WIDE(at, end, start, HTTP_SCAN_NOT_PLAIN_HOST);
	while (at != end && http_byte_is_plain_host((unsigned char)*at))
		at++;
	return at;
}

/* The first ':' of the next sixteen bytes; NULL: there is none, or there are no sixteen. */
static inline const char *http_scan_colon(const char *at, const char *end)
{
#ifdef HTTP_SCAN_BLOCKS
	if (LIKELY(end - at >= 16)) {
		http_scan_block block = http_scan_load(at);
		uint64_t mask = http_scan_mask((http_scan_block)(block == HTTP_SCAN_ALL(':')));

		if (LIKELY(mask))
			return at + http_scan_first(mask);
	}
#endif
	(void)at;
	(void)end;
	return NULL;
}

static inline const char *http_scan_value(const char *start, const char *at, const char *end)
{
#ifdef HTTP_SCAN_BLOCKS
	/* As a rule it is CR that the first look finds. */
	while (end - at >= 16) {
		http_scan_block block = http_scan_load(at);
		uint64_t mask = http_scan_mask(HTTP_SCAN_NOT_PLAIN_VALUE(block));

		if (!mask) {
			at += 16;
			continue;
		}
		at += http_scan_first(mask);
		if (LIKELY(*at == '\r') || !http_byte_is_value((unsigned char)*at))
			return at;
		at++;
	}
#endif
	HTTP_SCAN_WIDE(at, end, start, HTTP_SCAN_NOT_VALUE);
	while (at != end && http_byte_is_value((unsigned char)*at))
		at++;
	return at;
}

static inline const char *http_scan_visible(const char *start, const char *at, const char *end)
{
	HTTP_SCAN_WIDE(at, end, start, HTTP_SCAN_NOT_VISIBLE);
	while (at != end && http_byte_is_visible((unsigned char)*at))
		at++;
	return at;
}

/* A byte of a token (RFC 9110 section 5.6.2): one bit of a 128-bit set. */
static inline bool http_byte_is_token(unsigned char c)
{
	/* !#$%&'*+-. 0-9 | A-Z ^_` a-z | ~ */
	static const uint64_t low = 0x03ff6cfa00000000ULL;
	static const uint64_t high = 0x57ffffffc7fffffeULL;

	return c < 0x80 && (((c & 0x40 ? high : low) >> (c & 0x3f)) & 1);
}

#endif
