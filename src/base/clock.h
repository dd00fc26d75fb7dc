/* clock.h - time. Monotonic unless the name says unix; the unit is in the name. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#include "base/buf.h"

/* CLOCK_MONOTONIC. */
int64_t clock_ns(void);
int64_t clock_ms(void);
/* Processor time of this thread: what others do does not count. A system call. */
int64_t clock_thread_ns(void);
/* Wall clock since 1970-01-01T00:00:00Z. */
int64_t clock_unix_ms(void);
int64_t clock_unix_s(void);
/* Up to one kernel tick (a few ms) behind, and several times cheaper. */
int64_t clock_unix_coarse_s(void);
/*
 * RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z": 24 bytes and a NUL. This and
 * clock_http clamp to the years 0000 to 9999.
 */
#define CLOCK_RFC3339_SIZE 25
void clock_rfc3339(char to[CLOCK_RFC3339_SIZE], int64_t unix_ms);
/* IMF-fixdate (RFC 9110 section 5.6.7), "Sun, 06 Nov 1994 08:49:37 GMT": 29 bytes and a NUL. */
#define CLOCK_HTTP_SIZE 30
void clock_http(char to[CLOCK_HTTP_SIZE], int64_t unix_s);

#endif
