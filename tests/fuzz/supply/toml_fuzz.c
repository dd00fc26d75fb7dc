/* TOML: lines are in the document, text is UTF-8, keys of a table are different. */
#include <assert.h>

#include "parse/toml.h"
#include "parse/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct node *n, uint32_t lines, unsigned depth)
{
	uint32_t count = 0;

	assert(depth <= 2 * NODE_DEPTH_MAX + 2 && n->line >= 1 && n->line <= lines);
	assert(utf8_valid(n->key));
	if (n->kind != NODE_LIST && n->kind != NODE_MAP) {
		assert(utf8_valid(node_text(n)));
		return;
	}
	node_for_each(child, n)
	{
		count++;
		if (n->kind == NODE_MAP && n->count < 64)
			assert(node_get(n, child->key) == child);
		check(child, lines, depth + 1);
	}
	assert(count == n->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct err err = {0};
	uint32_t lines = 1;
	struct node *root;
	struct arena a;

	if (size > 65536)
		return 0;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	arena_init(&a, (size_t)256 << 20, 4096);
	root = toml_parse(&a, text, &err);
	assert((root == NULL) == (err.code != ERR_NONE));
	if (root)
		check(root, lines, 0);
	arena_release(&a);
	return 0;
}
