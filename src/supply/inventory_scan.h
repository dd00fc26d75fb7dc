/* inventory_scan.h - inside of supply: what walks of folders, images and archives share. */
#ifndef SUPPLY_INVENTORY_SCAN_H
#define SUPPLY_INVENTORY_SCAN_H

#include "base/map.h"
#include "supply/detect.h"
#include "supply/inventory.h"

/* A file that is parsed later; its text is kept. */
struct scan_later {
	struct scan_later *next;
	const struct detector *detector;
	struct span path;
	struct span text;
	uint32_t layer;
};

struct scan_include {
	struct scan_include *next;
	struct span path;
};

struct scan_wish;

struct scan {
	struct inventory *inv;
	const struct inventory_options *options;
	struct arena scratch; /* emptied after each file */
	struct arena keep; /* until the end: files for later, paths */
	int root; /* the folder's descriptor, or -1 */
	bool is_root; /* file system: OS packages and programs are looked for */
	struct span path; /* of the file that is being parsed */
	struct map included; /* requirements that were read, or wait to be */
	struct scan_include *includes;
	struct scan_wish *wishes; /* of installed packages */
	struct scan_later *later[DETECT_GO_SUM + 1]; /* by kind */
	struct map owned; /* files -> first component of them; made for the end */
	uint32_t files; /* looked at so far */
	size_t unpacked_bytes;
};

void scan_init(struct scan *s, struct inventory *inv, const struct inventory_options *options);
void scan_release(struct scan *s);
/* Parses now, or keeps a copy for scan_finish; problems go to the inventory. */
void scan_take(struct scan *s, const struct detector *detector, struct span path,
	       struct span text, uint32_t layer);
/* Parses what was kept, in the order in which it must be, and finds owners. */
void scan_finish(struct scan *s);
/* Remembers what an installed package requires; of lock_input. */
void scan_wish(void *context, uint32_t component, struct span name);
/* Makes edges of that, once all files were read. */
void scan_link(struct scan *s);
/* Counts one more file; false, with a problem once, when there are too many. */
bool scan_count(struct scan *s);
/* Puts an error of a parser ("line 3: ...") among the problems. */
void scan_problem(struct scan *s, struct span path, const struct err *err);

/* Walks a folder. `name` is for messages. */
int scan_folder(struct scan *s, int folder, struct err *err);
/*
 * The whole file, below `folder` by a relative path, into the arena; SPAN_NONE with *err set.
 * Only regular files, and through no symbolic link that leaves the folder.
 */
struct span scan_read(int folder, struct span path, size_t max_bytes, struct arena *a,
		      struct err *err);

/* Opens below `folder` for reading, whatever links are on the way, or fails (-1, errno). */
int scan_open(int folder, const char *path);

/* A Java archive and those in it. */
void archive_java(struct scan *s, struct span path, struct span bytes, uint32_t layer);

#endif
