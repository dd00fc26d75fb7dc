/* format_uri.h - the grammars of URIs and URI templates, for `format`, and references. */
#ifndef CONTRACT_FORMAT_URI_H
#define CONTRACT_FORMAT_URI_H

#include "base/buf.h"

/* RFC 3986; RFC 3987 with `international`. Without `relative` there must be a scheme. */
bool format_is_uri(struct span text, bool relative, bool international);
/* RFC 6570 section 2. */
bool format_is_uri_template(struct span text);

/*
 * Appends the URI that `reference` is at `base` (RFC 3986 section 5.2), without its fragment, which
 * goes to *fragment (still encoded, without '#'; ptr NULL when there is none). Failures show in
 * buf_failed().
 */
void format_uri_resolve(struct buf *to, struct span base, struct span reference,
			struct span *fragment);

#endif
