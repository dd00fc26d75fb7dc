/*
 * A bill of materials that is read is written in each form, read again, and written again: it does
 * not change any more.
 */
#include <assert.h>

#include "supply/sbom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const struct inventory *from, enum sbom_format format,
			   struct inventory *to, struct buf *text)
{
	const struct sbom_options options = {.format = format, .time_s = -1};

	buf_init(text, (size_t)64 << 20);
	assert(sbom_write(from, &options, text, NULL) == 0);
	inventory_init(to, (size_t)64 << 20);
	assert(sbom_is(buf_span(text)));
	assert(sbom_read(to, SPAN("x"), buf_span(text), NULL) == 0);
	assert(inventory_finish(to, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inventory inv, once, twice;
	struct buf first, second;
	struct err err = {0};
	int result;

	if (size > 16384)
		return 0;
	inventory_init(&inv, (size_t)64 << 20);
	result = sbom_read(&inv, SPAN("x"), span_of(data, size), &err);
	assert((result < 0) == (err.code != ERR_NONE));
	if (inventory_finish(&inv, NULL) == 0 && result == 0) {
		for (enum sbom_format f = SBOM_CYCLONEDX; f <= SBOM_SPDX3; f++) {
			write_and_read(&inv, f, &once, &first);
			write_and_read(&once, f, &twice, &second);
			assert(once.count == twice.count && once.count <= inv.count);
			buf_release(&first);
			buf_release(&second);
			inventory_release(&once);
			inventory_release(&twice);
		}
	}
	inventory_release(&inv);
	return 0;
}
