/*
 * image.h - inside of supply: container images, as an OCI layout (a folder or an archive of one) or
 * an archive of `docker save`; layers may be compressed by gzip or zstd. What an image shows is the
 * topmost copy of each file; whiteouts hide what is below them.
 */
#ifndef SUPPLY_IMAGE_H
#define SUPPLY_IMAGE_H

#include "supply/inventory_scan.h"

/* Is there an OCI layout in the folder? */
bool image_is_layout(int folder);
/* Does the file start like an archive that may hold an image? */
bool image_is_archive(int file);
/* Takes neither descriptor. */
int image_scan_layout(struct scan *s, int folder, struct err *err);
int image_scan_archive(struct scan *s, int file, struct err *err);

#endif
