/*
 * registry.h - the firewall before package registries: a client's request is answered from the cache
 * or the upstream, without releases that must not be used. An index leaves them out; a file is judged
 * again, as lock files ask for files without looking at an index.
 *
 * Nothing that could not be judged is let through: without a database or a policy that can be read,
 * and for an index that makes no sense, the answer is 503. No byte of a file is sent before all of it
 * has the digest that its index promises.
 *
 * Blocks: for offload threads; any number may use one registry.
 */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "config/config.h"
#include "registry/protocol.h"
#include "store/store.h"

struct registry;

/*
 * Opens the cache's folder. The configuration must have the section; a reference is kept. `store` may
 * be NULL where no mode needs it, and is borrowed. A database or policy that cannot be read now is
 * tried again for each request: it is no failure here, but *problem (which may be NULL) says so.
 */
struct registry *registry_new(struct config *cfg, struct store *store, struct err *problem,
			      struct err *err) MUST_CHECK;
struct registry *registry_ref(struct registry *registry);
/* NULL is allowed; the last one frees it. Any thread. */
void registry_unref(struct registry *registry);

struct registry_request {
	struct span path; /* behind the mount, normalised: "/npm/lodash" */
	struct span
		base; /* address of the mount, as the client knows it, without '/' at its end */
	struct span accept;
	struct span if_none_match;
};

#define REGISTRY_ETAG_BYTES 48

struct registry_answer {
	unsigned status;
	struct span content; /* in the arena, unless fd is used */
	int fd; /* -1, or a file to be sent, which is the caller's to close */
	uint64_t size_bytes; /* of it */
	struct span type; /* media type */
	struct span etag; /* empty: none */
	bool stale; /* the upstream is away; it is what was so a while ago */
	bool by_accept; /* another Accept may give another answer */
	/* With a status from 400 on: */
	const char *problem; /* a stable word */
	struct span detail; /* for people; one line */
	struct span cause; /* for the log alone; empty: the detail says all */
	struct span component; /* the purl that was refused; empty: none was */
};

/*
 * Fills the answer, whatever happens; its text lives in the arena, which needs eight times
 * registry.max_index and some.
 */
void registry_serve(struct registry *registry, const struct registry_request *request,
		    struct arena *arena, struct registry_answer *answer);

struct registry_counts {
	uint64_t indexes, files; /* answered */
	uint64_t refused; /* of either, for what they are */
	uint64_t failed; /* 5xx */
	uint64_t upstream_requests, upstream_failures;
	uint64_t cache_hits; /* files that were there */
};
void registry_read_counts(const struct registry *registry, struct registry_counts *counts);

#endif
