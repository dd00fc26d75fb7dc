#include "http/block.h"

#include "base/mem.h"

#define FREE_MAX 1024

/* Not linked through the blocks: those that come back have often left the cache by then. */
static _Thread_local char *free_blocks[FREE_MAX];
static _Thread_local unsigned free_count;

HOT char *block_take(void)
{
	if (UNLIKELY(free_count == 0))
		return mem_alloc(HTTP_BLOCK_BYTES);
	return free_blocks[--free_count];
}

HOT void block_give(char *block)
{
	if (!block)
		return;
	if (UNLIKELY(free_count == FREE_MAX))
		mem_free(block);
	else
		free_blocks[free_count++] = block;
}

void block_pool_release(void)
{
	while (free_count)
		mem_free(free_blocks[--free_count]);
}
