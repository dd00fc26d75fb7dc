/*
 * request.h - what a service is given in an HTTP/1 request, value by value, as its code will see it:
 * decoded once. Pure, without allocation, as it is also part of the agent that runs inside of services.
 */
#ifndef IAST_REQUEST_H
#define IAST_REQUEST_H

#include "base/span.h"

#define IAST_TEXT_BYTES ((size_t)32 * 1024) /* of head and body that are looked at */
#define IAST_VALUES_MAX 96
#define IAST_DECODED_BYTES ((size_t)32 * 1024)

enum iast_origin {
	IAST_PATH, /* a segment of it */
	IAST_QUERY,
	IAST_FORM,
	IAST_JSON,
	IAST_COOKIE,
	IAST_HEADER,
};

struct iast_value {
	enum iast_origin origin;
	struct span name; /* in the request's memory */
	struct span text;
};

struct iast_request {
	struct span method;
	struct span path; /* as sent, without query */
	struct iast_value values[IAST_VALUES_MAX];
	size_t count;
	char decoded[IAST_DECODED_BYTES]; /* holds what was decoded */
	size_t decoded_len;
};

/*
 * Reads a request from `text`, which must live as long: the head, and as much of the body as there is.
 * False when it does not start with a request's head, or that has not come whole yet. Values that do
 * not fit are left out.
 */
bool iast_request_read(struct iast_request *request, struct span text);
/* Could `text` be the start of a request? Three bytes are enough to say no. */
bool iast_request_starts(struct span text);

/* "path", "query", "form", "json", "cookie", "header". */
const char *iast_origin_name(enum iast_origin origin);

#endif
