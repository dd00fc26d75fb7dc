/*
 * judge.h - may these releases of a package be used? Decided by the advisories, the policy, its
 * exceptions and its signed waivers, as `sallyport scan` decides on what is there already: a release
 * is refused when a scan of it would fail.
 *
 * Blocks (files, signatures): for offload threads and commands. Any number of threads may use one
 * judge.
 */
#ifndef REGISTRY_JUDGE_H
#define REGISTRY_JUDGE_H

#include "base/finding.h"
#include "supply/component.h"

struct judge;

struct judge_files {
	const char *database; /* compiled advisories */
	const char *policy; /* NULL: what holds without one */
};

/*
 * NULL with *err, which names the file: the database or the policy cannot be read. Copies what it needs
 * of the paths.
 */
struct judge *judge_open(const struct judge_files *files, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void judge_close(struct judge *judge);
/* Another number when one of the files it was made of has been replaced, changed or removed. */
uint64_t judge_files_state(const struct judge *judge);

/* What an index tells of a release; what it does not tell is empty. */
struct release {
	struct span version;
	struct span published; /* RFC 3339 */
	struct span licence; /* SPDX, or as declared */
};

struct judgement {
	bool refused;
	bool malicious;
	enum finding_severity severity; /* of the gravest reason */
	struct span why; /* one line; empty when it is allowed */
	struct span instead; /* another component that the policy names; else empty */
};

/*
 * Fills judgements[count], whose text lives in the arena. -1: ERR_UNAVAILABLE when the policy takes no
 * database as old as this one, ERR_MEMORY. Then nothing may be let through.
 */
int judge_releases(struct judge *judge, enum ecosystem ecosystem, struct span name,
		   const struct release *releases, size_t count, int64_t now_s,
		   struct arena *arena, struct judgement *judgements,
		   struct err *err) MUST_CHECK;

/*
 * The release to use in the place of releases[at]: the newest allowed one above it within its major
 * version, else the newest allowed of all; one before a final release only where releases[at] is so,
 * too. `count` when there is none.
 */
size_t judge_instead(enum ecosystem ecosystem, const struct release *releases,
		     const struct judgement *judgements, size_t count, size_t at);
/*
 * The newest allowed release, final if there is a final one; `count` when none is allowed. Without
 * judgements (NULL) the newest of all.
 */
size_t judge_newest(enum ecosystem ecosystem, const struct release *releases,
		    const struct judgement *judgements, size_t count);

#endif
