/*
 * overload.h - measures four times a second how much of its resources the process uses, and puts the
 * actions for it in gateway_shared.overload, where workers look. In the maintenance thread.
 */
#ifndef GATEWAY_OVERLOAD_H
#define GATEWAY_OVERLOAD_H

#include "gateway/worker.h"
#include "guard/overload.h"

struct overload_watch;

/*
 * Opens what is to be read later: before the process gives up its rights. The watch is then asleep.
 * NULL with ERR_MEMORY; what cannot be opened is not watched.
 */
struct overload_watch *overload_watch_new(struct gateway_shared *shared,
					  struct err *err) MUST_CHECK;
/* In the loop's thread; the loops are those of the workers and must outlive the watch's work. */
void overload_watch_start(struct overload_watch *watch, const struct config *cfg,
			  struct loop *const *loops, size_t loop_count);
/* After a reload. */
void overload_watch_use(struct overload_watch *watch, const struct config *cfg);
/* What the process uses, in the loop's thread; 0: not known. */
struct overload_usage {
	uint64_t resident_bytes;
	uint64_t descriptors;
};
void overload_watch_read(struct overload_watch *watch, struct overload_usage *usage);
void overload_watch_stop(struct overload_watch *watch);
/* NULL is allowed. */
void overload_watch_free(struct overload_watch *watch);

#endif
