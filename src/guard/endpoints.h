/*
 * endpoints.h - a list of endpoints that somebody was asked for: immutable once it is sealed,
 * counted, shared by all threads. See config_discover.h for what is asked.
 */
#ifndef GUARD_ENDPOINTS_H
#define GUARD_ENDPOINTS_H

#include "base/compiler.h"
#include "base/err.h"
#include "config/config.h"

struct endpoint_list {
	struct config_endpoint *at; /* by priority, then by URL */
	size_t count;
};

/* An empty list of at most `max`. NULL with ERR_MEMORY. One reference. */
struct endpoint_list *endpoint_list_new(size_t max, struct err *err) MUST_CHECK;
struct endpoint_list *endpoint_list_ref(struct endpoint_list *list);
/* NULL is allowed. */
void endpoint_list_unref(struct endpoint_list *list);

struct endpoint_found {
	enum config_scheme scheme;
	struct span host; /* a name, or an address without brackets */
	uint16_t port;
	uint32_t weight; /* 0 counts as 1 */
	uint32_t priority;
	struct span server_name; /* of its certificate, and of Host; empty: host */
};
/* What is more than `max` is counted and left out. -1 with ERR_MEMORY; before it is sealed only. */
int endpoint_list_add(struct endpoint_list *list, const struct endpoint_found *found,
		      struct err *err) MUST_CHECK;
/* Sorts, and of several with the same URL keeps one, the one of the lowest priority. */
void endpoint_list_seal(struct endpoint_list *list);
/* How many were left out. */
size_t endpoint_list_left_out(const struct endpoint_list *list);
/* Both sealed: whether it makes no difference which one is used. */
bool endpoint_list_same(const struct endpoint_list *a, const struct endpoint_list *b);

#endif
