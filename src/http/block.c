#include "http/block.h"

#include "base/mem.h"

#define FREE_MAX 1024

struct free_block {
	struct free_block *next;
};

static _Thread_local struct free_block *free_list;
static _Thread_local unsigned free_count;

char *block_take(void)
{
	struct free_block *block = free_list;

	if (!block)
		return mem_alloc(HTTP_BLOCK_BYTES);
	free_list = block->next;
	free_count--;
	return (char *)block;
}

void block_give(char *block)
{
	struct free_block *freed = (struct free_block *)(void *)block;

	if (!block)
		return;
	if (free_count >= FREE_MAX) {
		mem_free(block);
		return;
	}
	freed->next = free_list;
	free_list = freed;
	free_count++;
}

void block_pool_release(void)
{
	while (free_list) {
		struct free_block *next = free_list->next;

		mem_free(free_list);
		free_list = next;
	}
	free_count = 0;
}
