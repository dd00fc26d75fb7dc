/* detect.h - which parser reads a file, told by its path alone. */
#ifndef SUPPLY_DETECT_H
#define SUPPLY_DETECT_H

#include "supply/lock_parse.h"

enum detect_kind {
	DETECT_FILE, /* a lock file, manifest or installed package */
	DETECT_SYSTEM, /* what comes first: os-release */
	DETECT_PACKAGES, /* OS packages: read after all other files, whose owners they tell */
	DETECT_OWNERS, /* lists of installed files: read last */
	DETECT_ARCHIVE, /* holds other files: Java archives */
	DETECT_BINARY, /* perhaps a program: its first bytes tell */
	DETECT_GO_SUM, /* only where go.mod beside it does not tell all */
};

struct detector {
	enum detect_kind kind;
	int (*parse)(const struct lock_input *in, struct err *err); /* NULL for archives */
};

/*
 * `path` is relative to what is scanned. `root`: it is a root file system, so that OS packages are
 * at their places and programs are looked at. NULL for a file that is of no interest.
 */
const struct detector *detect_file(struct span path, bool root);
/* "Dockerfile", "Dockerfile.prod", "app.dockerfile", "Containerfile", in letters of any case. */
bool detect_is_dockerfile(struct span name);
/* Folders that are never looked into: ".git" and the like. */
bool detect_skips_folder(struct span name);

#endif
