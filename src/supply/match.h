/*
 * match.h - which advisories a version of a package has, by the evaluation that the OSV schema
 * defines: a version is affected when it is one of `versions`, or lies in one of the ranges; each
 * comparison is by the ecosystem's own order. Withdrawn advisories match nothing.
 */
#ifndef SUPPLY_MATCH_H
#define SUPPLY_MATCH_H

#include "parse/version.h"
#include "supply/advisory_db.h"

enum match_reason {
	MATCH_RANGE, /* the version lies between two events */
	MATCH_VERSION, /* it is listed */
};

struct match {
	uint32_t advisory; /* index in the database */
	uint32_t affected;
	enum match_reason reason;
	/* With MATCH_RANGE. */
	struct span introduced; /* "0": from the first version on */
	struct span end; /* of `fixed`, `limit` or `last_affected`; empty: open */
	bool end_included; /* it is a last_affected */
	/*
	 * The smallest version above this one that the advisory does not affect, of those that it
	 * names; within the same major version if there is one. Empty when none is known.
	 */
	struct span fix;
};

struct match_list {
	struct arena *arena;
	struct match *at;
	size_t count;
	size_t capacity;
};

/*
 * Appends the matches of a package to the list, each advisory once, in the order of their ids.
 * `ecosystem` is OSV's, with the release where there is one ("Debian:12"): records of other
 * releases are passed over; without one, those of every release match. `name` is what advisories
 * name: for packages of distributions, the source package. -1 when memory ran out.
 */
int match_package(const struct advisory_db *db, struct span ecosystem, struct span name,
		  struct span version, struct match_list *list) MUST_CHECK;

/* Do records of `recorded` say something about `asked`? Both with their suffixes. */
bool match_ecosystem(struct span recorded, struct span asked);

#endif
