/*
 * units.h - durations, sizes, rates and percentages as people write them, and back. Pure
 * functions; nothing is copied.
 */
#ifndef PARSE_UNITS_H
#define PARSE_UNITS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum units_result {
	UNITS_OK,
	UNITS_BAD, /* not of that form */
	UNITS_TOO_LARGE, /* of that form, but does not fit 64 bits */
};

/* A whole number and one of ms, s, m, h, d ("500ms", "3s", "1d"), or "0". */
enum units_result units_duration(struct span text, uint64_t *ms);
/*
 * A whole number, alone or with B, or with k, M, G (also lower or upper case, also as KiB, MiB,
 * GiB): powers of 1024. "KB" and the like are refused because readers disagree on them.
 */
enum units_result units_size(struct span text, uint64_t *bytes);
/* "100/s", "5/m", "1000/h", "10/d", or over several of the unit: "30/10s". Never 0 of either. */
enum units_result units_rate(struct span text, uint64_t *count, uint64_t *per_ms);
/* "50%", from 0 to 100. */
enum units_result units_percent(struct span text, uint32_t *percent);

/* The shortest text that the function above reads back as the same value. */
void units_append_duration(struct buf *out, uint64_t ms);
void units_append_size(struct buf *out, uint64_t bytes);
void units_append_rate(struct buf *out, uint64_t count, uint64_t per_ms);

#endif
