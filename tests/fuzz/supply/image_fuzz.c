/*
 * The first byte chooses: a layer (tar, perhaps compressed), the index of an archive, or a Java
 * archive. Nothing outside of the input is reached; what a layer holds is relative.
 */
#include <assert.h>

#include "supply/image_layer.h"
#include "supply/image_tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_index(struct span tar)
{
	struct map files = MAP_INIT;
	struct span path;
	size_t cursor = 0;
	const struct tar_file *f;
	struct arena a;

	arena_init(&a, 1 << 24, 4096);
	if (tar_index(tar, 1000, &a, &files, NULL) == 0) {
		while ((f = map_next(&files, &cursor, &path))) {
			assert(path.len > 0 && path.ptr[0] != '/');
			assert(f->bytes.len <= tar.len);
			(void)tar_find(&files, path, &a);
		}
	}
	map_release(&files);
	arena_release(&a);
}

static void check_inventory(const struct inventory *inv)
{
	for (uint32_t i = 0; i < inv->count; i++)
		assert(inv->at[i].file.len > 0 && inv->at[i].file.ptr[0] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inventory_options options = {.limits = INVENTORY_LIMITS_DEFAULT};
	struct span bytes = span_of(data + 1, size ? size - 1 : 0);
	struct inventory inv;
	struct layers layers;
	struct scan scan;

	if (size < 1 || size > 65536)
		return 0;
	if (data[0] % 3 == 0) {
		check_index(bytes);
		return 0;
	}
	options.limits.max_unpacked_bytes = 1 << 22;
	options.limits.max_file_bytes = 1 << 20;
	options.limits.max_files = 1000;
	inventory_init(&inv, (size_t)64 << 20);
	scan_init(&scan, &inv, &options);
	layers_init(&layers, &scan);
	if (data[0] % 3 == 1) {
		layers_read(&layers, bytes, 1, SPAN("layer"));
		layers_read(&layers, bytes, 0, SPAN("layer"));
		scan_finish(&scan);
		layers_attribute(&layers);
	} else {
		archive_java(&scan, SPAN("a.jar"), bytes, COMPONENT_NONE);
	}
	layers_release(&layers);
	scan_release(&scan);
	if (inventory_finish(&inv, NULL) == 0)
		check_inventory(&inv);
	inventory_release(&inv);
	return 0;
}
