/*
 * mem.h - heap allocation. All code allocates through here, so that tests can make the n-th
 * allocation fail (builds with -Dfaults=true) and count what is live.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/compiler.h"
#include "base/span.h"

/* NULL on failure; the caller owns the memory and gives it back with mem_free. */
void *mem_alloc(size_t size) MUST_CHECK;
/* Zeroed, with the multiplication checked. */
void *mem_zalloc(size_t count, size_t size) MUST_CHECK;
/*
 * The same, beginning with a cache line. Large pages are asked for where it is large, because a table
 * that is looked up here and there costs as much for finding its pages as for reading it.
 */
void *mem_zalloc_lines(size_t count, size_t size) MUST_CHECK;
/* On failure returns NULL and leaves `ptr` valid. */
void *mem_realloc(void *ptr, size_t size) MUST_CHECK;
/* A NUL-terminated copy of the span; NULL on failure. */
char *mem_strdup(struct span s) MUST_CHECK;
/* NULL is allowed. */
void mem_free(void *ptr);

/*
 * For tests, in builds with -Dfaults=true (elsewhere they do nothing): the n-th allocation of
 * this thread from now on fails (1 = the next), then all succeed again; 0 switches it off.
 */
void mem_fail_at(unsigned long n);
/* True when the failure set by mem_fail_at has happened. */
bool mem_fail_happened(void);

#endif
