/* What is read from a list names nothing outside its folder, and is written the same again. */
#include <assert.h>

#include "runner/backup_manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	struct backup_entry entry, again;
	int64_t made_at_s;
	struct err err;

	if (backup_manifest_open(&rest, &made_at_s, &err) < 0)
		return 0;
	while (backup_manifest_next(&rest, &entry, &err) > 0) {
		struct buf b;
		struct span text;

		assert(entry.path.ptr[0] != '/' && span_find(entry.path, SPAN("../")) != 0);
		buf_init(&b, 1 << 16);
		backup_manifest_add(&b, &entry);
		text = buf_span(&b);
		assert(backup_manifest_next(&text, &again, &err) == 1 && text.len == 0);
		assert(again.kind == entry.kind && again.mode == entry.mode &&
		       again.size_bytes == entry.size_bytes &&
		       span_eq(again.path, entry.path) && span_eq(again.hash, entry.hash));
		buf_release(&b);
	}
	return 0;
}
