/*
 * status_view.h - what `sallyport status` shows, made from answers of the admin listener's /status:
 * text in, text out, without a terminal.
 */
#ifndef CLI_STATUS_VIEW_H
#define CLI_STATUS_VIEW_H

#include "base/arena.h"
#include "base/buf.h"
#include "parse/json.h"

struct status_view {
	unsigned width; /* columns; longer lines are cut. 0: any */
	unsigned height; /* lines; what does not fit is counted. 0: any */
	bool coloured;
};

/*
 * Appends the lines of `now`; rates and latencies are those since `before`, or are left out where
 * that is NULL. Control characters of any text are shown as '?'.
 */
void status_view_write(const struct status_view *view, const struct json *now,
		       const struct json *before, struct buf *out);

#endif
