/* workspace.h - the folders of a run: what jobs get, and what is kept of them. Private to src/runner. */
#ifndef RUNNER_WORKSPACE_H
#define RUNNER_WORKSPACE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"

/* Makes a folder where there is none; of root, so that a job's user can pass through it. */
int workspace_folder(const char *path, struct err *err) MUST_CHECK;
/* Gives all below it, and it, to a user; links are not followed. */
int workspace_give(const char *path, uid_t uid, gid_t gid, struct err *err) MUST_CHECK;
/*
 * Moves workspace/PATH to kept/PATH: no link on the way is followed. ERR_NOT_FOUND when it is not there.
 */
int workspace_keep(const char *workspace, const char *kept, struct span path,
		   struct err *err) MUST_CHECK;
/*
 * Everybody may read what is in a folder, and nobody but root write to it: for what root keeps for jobs.
 * Links are left alone.
 */
int workspace_seal(const char *path, struct err *err) MUST_CHECK;
/* Removes a folder with all that is in it; one that is not there is no error. */
int workspace_remove(const char *path, struct err *err) MUST_CHECK;

#endif
