/*
 * The first byte chooses: configuration of nginx or sshd, or a shell script. What is read has lines
 * that lie in the text, and names.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "supply/check_nginx.h"
#include "supply/check_shell.h"
#include "supply/check_sshd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct node *n, uint32_t lines)
{
	assert(n->line >= 1 && n->line <= lines);
	node_for_each(child, n) look(child, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data + 1, size ? size - 1 : 0);
	const struct node *root;
	struct err err = {0};
	struct arena arena;
	uint32_t lines = 1;

	if (size < 1 || size > 65536)
		return 0;
	for (size_t i = 0; i < text.len; i++)
		lines += text.ptr[i] == '\n';
	arena_init(&arena, (size_t)256 << 20, 4096);
	root = data[0] % 3 == 0	  ? nginx_read(&arena, text, &err)
	       : data[0] % 3 == 1 ? sshd_read(&arena, text, &err)
				  : shell_read(&arena, text, &err);
	assert(root || (err.code != ERR_NONE && err.message[0]));
	if (root)
		look(root, lines);
	arena_release(&arena);
	return 0;
}
