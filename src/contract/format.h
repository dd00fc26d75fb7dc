/*
 * format.h - the values of the keyword `format` for strings, as predicates. Each says by which
 * document; docs/contract.md tells where they stop short (idn-hostname knows the structure of names,
 * not the code point tables of IDNA 2008).
 */
#ifndef CONTRACT_FORMAT_H
#define CONTRACT_FORMAT_H

#include "base/span.h"

enum format {
	FORMAT_DATE_TIME, /* RFC 3339 section 5.6, leap seconds only where UTC may have one */
	FORMAT_DATE,
	FORMAT_TIME, /* full-time, with an offset */
	FORMAT_DURATION, /* RFC 3339 appendix A */
	FORMAT_EMAIL, /* Mailbox of RFC 5321 section 4.1.2 */
	FORMAT_IDN_EMAIL, /* RFC 6531 */
	FORMAT_HOSTNAME, /* RFC 1123 section 2.1 */
	FORMAT_IDN_HOSTNAME,
	FORMAT_IPV4,
	FORMAT_IPV6, /* RFC 4291 section 2.2, without zone */
	FORMAT_URI, /* RFC 3986 */
	FORMAT_URI_REFERENCE,
	FORMAT_IRI, /* RFC 3987 */
	FORMAT_IRI_REFERENCE,
	FORMAT_UUID, /* RFC 9562 section 4, as text */
	FORMAT_URI_TEMPLATE, /* RFC 6570 */
	FORMAT_JSON_POINTER, /* RFC 6901, not as a fragment */
	FORMAT_RELATIVE_JSON_POINTER,
	FORMAT_REGEX, /* ecma.h: syntax only */
	FORMAT_BYTE, /* base64 with padding, RFC 4648 section 4 */
	FORMAT_COUNT,
};

/* False when the name is none of these. */
bool format_find(struct span name, enum format *format);
/* `text` is valid UTF-8. */
bool format_check(enum format format, struct span text);

#endif
