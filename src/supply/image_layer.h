/* image_layer.h - inside of supply: reading layers from the top down. */
#ifndef SUPPLY_IMAGE_LAYER_H
#define SUPPLY_IMAGE_LAYER_H

#include "supply/inventory_scan.h"

/* An OS package database that a layer above has replaced: it tells what came with which layer. */
struct older_database {
	struct older_database *next;
	const struct detector *detector;
	struct span path;
	struct span text;
	uint32_t layer;
};

struct layers {
	struct scan *scan;
	struct map upper; /* what layers above have at a path: struct layer_mark */
	struct older_database *older; /* the lowest first, in the end */
};

void layers_init(struct layers *l, struct scan *scan);
void layers_release(struct layers *l);
/*
 * Reads one layer, a tar archive, perhaps compressed. Layers come from the top down; `index` is its
 * place from the bottom. Problems go to the inventory under `name`.
 */
void layers_read(struct layers *l, struct span bytes, uint32_t index, struct span name);
/* After scan_finish: gives OS packages the lowest layer that has them in the same version. */
void layers_attribute(struct layers *l);

#endif
