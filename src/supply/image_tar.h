/* image_tar.h - inside of supply: where the files of an uncompressed tar archive lie in memory. */
#ifndef SUPPLY_IMAGE_TAR_H
#define SUPPLY_IMAGE_TAR_H

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"

struct tar_file {
	struct span bytes;
	struct span link; /* of a symbolic or hard link: where to; else empty */
};

/*
 * Fills `files` with normalised paths -> struct tar_file, in the arena; POSIX (ustar and pax) and GNU
 * forms. -1 with ERR_SYNTAX when a header is broken, ERR_LIMIT for more than max_files.
 */
int tar_index(struct span tar, uint32_t max_files, struct arena *a, struct map *files,
	      struct err *err);
/* The file at a path, through links; NULL when there is none. */
const struct tar_file *tar_find(const struct map *files, struct span path, struct arena *a);
/*
 * Without "./" and leading or double '/'; empty for the root and for what has "..", which nothing
 * honest has. In the arena when it is changed.
 */
struct span tar_path(struct arena *a, struct span path);

#endif
