/*
 * inventory.h - what a folder, root file system, container image, single file or SBOM holds, as an
 * inventory. Blocking; reads files below the given path only, follows no symbolic links out of it,
 * and never writes.
 */
#ifndef SUPPLY_INVENTORY_H
#define SUPPLY_INVENTORY_H

#include "supply/component.h"

struct inventory_limits {
	uint32_t max_files; /* and folders that a walk looks at, entries of archives */
	size_t max_file_bytes; /* of one file that is parsed; larger ones are a problem */
	unsigned max_depth; /* of folders */
	size_t max_unpacked_bytes; /* of all that archives hold, together */
	unsigned max_archive_depth; /* archives in archives */
};

#define INVENTORY_LIMITS_DEFAULT                                                               \
	((struct inventory_limits){.max_files = 5000000,                                       \
				   .max_file_bytes = (size_t)256 << 20,                        \
				   .max_depth = 64,                                            \
				   .max_unpacked_bytes = (size_t)32 << 30,                     \
				   .max_archive_depth = 4})
/* A good maximum for inventory_init. */
#define INVENTORY_TEXT_BYTES ((size_t)1 << 30)

enum inventory_source {
	INVENTORY_AUTO, /* told by what is there */
	INVENTORY_FOLDER,
	INVENTORY_ROOT, /* a root file system: OS packages and programs too */
	INVENTORY_IMAGE, /* OCI layout, or an archive of one, or of `docker save` */
	INVENTORY_SBOM,
	INVENTORY_FILE,
};

/* A file of an image's layer. */
struct inventory_visit {
	struct span path;
	struct span text; /* during the call */
	uint32_t layer;
	bool hidden; /* a layer above has removed or replaced it */
};

/* Who else looks at what is in images; layers come from the top down. */
struct inventory_visitor {
	bool (*wants)(void *context, struct span path, uint64_t bytes);
	void (*file)(void *context, const struct inventory_visit *visit);
	/* The image's configuration, a JSON document. */
	void (*config)(void *context, struct span path, struct span text);
	void *context;
};

struct inventory_options {
	struct inventory_limits limits;
	enum inventory_source source;
	const struct inventory_visitor *visitor; /* NULL: nobody */
	/* An open, empty file into which a compressed archive is unpacked; 0: one is made. */
	int spool;
	/* Folders named node_modules in a checkout: its lock file tells what is in them. */
	bool node_modules;
};

/*
 * Reads `path` into an initialised inventory and finishes it. What cannot be read in it becomes
 * problems of the inventory; -1 only when `path` itself cannot be read (ERR_NOT_FOUND, ERR_IO,
 * ERR_SYNTAX, ERR_INVALID), or memory ran out (ERR_MEMORY).
 */
int inventory_scan(struct inventory *inv, const char *path,
		   const struct inventory_options *options, struct err *err) MUST_CHECK;

#endif
