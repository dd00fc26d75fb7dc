/*
 * traceparent.h - the fields that carry a trace from service to service (W3C Trace Context, level
 * 1 of 2021, with the wider tracestate keys of level 2).
 */
#ifndef PARSE_TRACEPARENT_H
#define PARSE_TRACEPARENT_H

#include <stdint.h>

#include "base/span.h"

#define TRACEPARENT_LEN 55 /* of the text, version 00 */
#define TRACEPARENT_FLAG_SAMPLED 1

struct traceparent {
	unsigned char trace_id[16]; /* never all zero */
	unsigned char parent_id[8]; /* never all zero */
	unsigned char flags;
};

/*
 * Reads a traceparent value. A version above 00 is read by what version 00 knows (section 3.2.4).
 * False when malformed: the sender's trace is then to be dropped, tracestate with it.
 */
bool traceparent_parse(struct span value, struct traceparent *trace);
/* Writes version 00, TRACEPARENT_LEN bytes and no NUL. */
void traceparent_format(const struct traceparent *trace, char to[TRACEPARENT_LEN]);
/* A new trace from 24 random bytes. */
void traceparent_start(struct traceparent *trace, const unsigned char random[24], bool sampled);
/* The same trace with this hop as the parent, from 8 random bytes. */
void traceparent_continue(struct traceparent *trace, const unsigned char random[8]);

/*
 * Is it a well-formed tracestate of at most 512 bytes and 32 members, no key twice (section 3.3)?
 * Several fields are to be joined with ',' first. An invalid one must not be passed on.
 */
bool tracestate_is_valid(struct span value);

#endif
