/* A copyright file of a package: what comes out is an expression, or words of the file. */
#include <assert.h>

#include "supply/licence.h"
#include "supply/lock_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inventory inv;
	struct arena scratch;
	struct lock_input in = {.inv = &inv,
				.scratch = &scratch,
				.file = SPAN("usr/share/doc/a/copyright"),
				.text = span_of(data, size),
				.layer = COMPONENT_NONE};
	struct span licence;

	if (size > 65536)
		return 0;
	inventory_init(&inv, (size_t)64 << 20);
	arena_init(&scratch, (size_t)64 << 20, 4096);
	assert(lock_add(&in, ECOSYSTEM_DPKG, SPAN("a"), SPAN("1"), 1, NULL));
	assert(os_dpkg_copyright(&in, NULL) == 0);
	assert(!inv.failed);
	licence = inv.at[0].licence;
	if (!licence_is_expression(licence)) {
		struct span first = span_slice(licence, 0, span_find(licence, SPAN(", ")));

		assert(span_find(in.text, first) <= size - first.len);
	}
	arena_release(&scratch);
	inventory_release(&inv);
	return 0;
}
