/* git_base.h - a folder as it was at a commit, for comparing. */
#ifndef CLI_GIT_BASE_H
#define CLI_GIT_BASE_H

#include <limits.h>

#include "base/err.h"

struct git_base {
	char folder[64]; /* temporary; empty: there is none */
	char path[PATH_MAX]; /* in it: what `path` was */
};

/*
 * Writes the files of a commit, branch or tag to a temporary folder, without hooks and without
 * touching the repository. The blobs only: no submodules. -1: ERR_NOT_FOUND when `path` is in no
 * repository or there is no such commit, ERR_UNAVAILABLE without git, ERR_TIMEOUT, ERR_IO.
 */
int git_base_open(struct git_base *base, const char *path, const char *revision,
		  struct err *err) MUST_CHECK;
/* Removes the folder. */
void git_base_close(struct git_base *base);

#endif
