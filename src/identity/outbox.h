/*
 * outbox.h - mails and SMS on their way: a bounded queue with a thread of its own, so that a request
 * does not wait for other people's servers, and takes as long whether somebody gets a mail or not.
 * Private to src/identity.
 */
#ifndef IDENTITY_OUTBOX_H
#define IDENTITY_OUTBOX_H

#include "config/config.h"

struct outbox;

struct outbox *outbox_new(struct err *err) MUST_CHECK;
/* Gives what is left a few seconds. NULL is allowed. */
void outbox_free(struct outbox *outbox);

/*
 * Copies all; a reference on the configuration is taken. -1: the queue is full, there is no memory,
 * or nothing to send with. Failures to send are tried twice more, then logged.
 */
int outbox_mail(struct outbox *outbox, struct config *cfg, struct span to, struct span subject,
		struct span text) MUST_CHECK;
int outbox_sms(struct outbox *outbox, struct config *cfg, struct span to,
	       struct span text) MUST_CHECK;

/* What {to}, {text} and {secret} in a template stand for. `escape`: by the content type. */
struct outbox_values {
	struct span to;
	struct span text;
	struct span secret;
};
enum outbox_escape { OUTBOX_ESCAPE_NONE, OUTBOX_ESCAPE_JSON, OUTBOX_ESCAPE_FORM };
void outbox_fill(struct buf *out, struct span template, const struct outbox_values *values,
		 enum outbox_escape escape);

struct outbox_stats {
	uint64_t sent;
	uint64_t failed; /* given up, or refused because the queue was full */
	unsigned waiting;
};
void outbox_read_stats(struct outbox *outbox, struct outbox_stats *stats);

#endif
