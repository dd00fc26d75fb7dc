/*
 * cache.h - what the registry keeps on disk: indexes as the upstream sent them, by package, and files
 * by the digest that an index promises. A file gets its name when all of it is there and has that
 * digest; it is hashed again whenever it is opened. Blocks: for offload threads.
 *
 *	FOLDER/index/PROTOCOL/ab/cdef...	by SHA-256 of the package's name
 *	FOLDER/file/HASH/ab/cdef...
 */
#ifndef REGISTRY_CACHE_H
#define REGISTRY_CACHE_H

#include "registry/protocol.h"

#define CACHE_ETAG_BYTES 256

/* Makes the folder (0700) where there is none. Returns its descriptor, or -1. */
int cache_open(const char *folder, struct err *err) MUST_CHECK;

struct cached_index {
	int64_t fetched_ms; /* since 1970: when the upstream last said that it is this */
	struct span etag; /* empty: none */
	struct span text;
};

/*
 * 1 with *found in the arena; 0 when there is none that can be used; -1: ERR_IO, ERR_MEMORY, or
 * ERR_LIMIT for one longer than max_bytes.
 */
int cache_read_index(int cache, const struct registry_protocol *protocol, struct span package,
		     size_t max_bytes, struct arena *arena, struct cached_index *found,
		     struct err *err) MUST_CHECK;
/* Replaces it in one step. */
int cache_write_index(int cache, const struct registry_protocol *protocol, struct span package,
		      const struct cached_index *index, struct err *err) MUST_CHECK;

/* The descriptor and the length of a file that has the digest; -1 when there is none. */
int cache_open_file(int cache, const struct registry_digest *digest, uint64_t *size_bytes);

/* A file on its way into the cache. */
struct cache_file;
struct cache_file *cache_file_new(int cache, const struct registry_digest *digest,
				  struct err *err) MUST_CHECK;
/* The next bytes of it: 0, or -1 with ERR_IO. */
int cache_file_write(struct cache_file *file, struct span bytes, struct err *err) MUST_CHECK;
/*
 * With `keep` 0 when it has the digest and is in the cache; -1: ERR_INVALID for another digest, ERR_IO.
 * Without, what was written is removed. Frees it either way.
 */
int cache_file_end(struct cache_file *file, bool keep, struct err *err);

#endif
