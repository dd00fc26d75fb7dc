/*
 * block.h - fixed-size blocks for connection buffers, from a free list a thread. An idle
 * connection holds none.
 */
#ifndef HTTP_BLOCK_H
#define HTTP_BLOCK_H

#include "base/compiler.h"

#define HTTP_BLOCK_BYTES ((size_t)16 * 1024)

/* NULL when out of memory. */
char *block_take(void) MUST_CHECK;
/* NULL is allowed. */
void block_give(char *block);
/* Frees the calling thread's list. */
void block_pool_release(void);

#endif
