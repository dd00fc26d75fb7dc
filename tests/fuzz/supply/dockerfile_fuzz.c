/* A Dockerfile that is read has instructions, each with a name, and lines that lie in the text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "supply/check_dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	uint32_t lines = 1;
	struct arena arena;
	struct err err = {0};
	const struct node *root;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	arena_init(&arena, (size_t)16 << 20, 4096);
	root = dockerfile_read(&arena, text, &err);
	assert(root || err.code != ERR_NONE);
	node_for_each(instruction, node_get(root, SPAN("instructions")))
	{
		assert(node_text_at(instruction, SPAN("name")).len > 0);
		assert(instruction->line >= 1 && instruction->line <= lines);
	}
	arena_release(&arena);
	return 0;
}
