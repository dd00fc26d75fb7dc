/*
 * rank.h - the known vulnerabilities of an inventory: matches of each component, those that are
 * aliases of each other as one, each with what is known of its severity and use, ordered by how
 * soon it should be looked at.
 */
#ifndef SUPPLY_RANK_H
#define SUPPLY_RANK_H

#include "base/finding.h"
#include "supply/component.h"
#include "supply/match.h"

/* Can what contains it be reached through the gateway? In ascending order. */
enum exposure {
	EXPOSURE_UNKNOWN,
	EXPOSURE_NONE, /* the gateway does not serve it */
	EXPOSURE_AUTHENTICATED, /* to those who have credentials */
	EXPOSURE_PUBLIC, /* to everybody, at least in part */
};

struct vulnerability {
	uint32_t component; /* index in the inventory */
	struct match match; /* the one that speaks for all its aliases */
	struct span id; /* of that match's advisory */
	struct span *others; /* ids and aliases beside it, each once */
	uint32_t other_count;
	struct span summary;
	struct span link;
	struct span fix; /* the version to go to; empty: none is known */
	struct span vector; /* CVSS; may be empty */
	unsigned score_tenths; /* computed from the vector, 0 without one */
	bool malicious; /* an advisory of OSV's MAL- series: it is an attack, not a defect */
	bool severity_known; /* else `severity` is FINDING_MEDIUM, for want of a better guess */
	enum finding_severity severity;
	uint32_t epss_ppm; /* probability of exploitation within 30 days; 0: not known */
	uint32_t epss_percentile_ppm;
	const struct db_kev *kev; /* known to be exploited; NULL: not known */
	enum exposure exposure;
	struct span route; /* the path of a route that exposes it so; may be empty */
	unsigned priority; /* 0 to 1000, see rank_priority */
};

struct vulnerability_list {
	struct arena *arena;
	struct vulnerability *at;
	size_t count;
	size_t capacity;
};

struct rank_options {
	/* NULL: nothing is known of a gateway. */
	enum exposure (*exposure_of)(void *context, const struct component *c,
				     struct span *route);
	void *context;
	bool include_owned; /* also language packages that the OS's package manager installed */
};

/*
 * Fills the list, the most urgent first. Components without version or ecosystem are passed over.
 * -1 (ERR_MEMORY).
 */
int rank_inventory(const struct advisory_db *db, const struct inventory *inv,
		   const struct rank_options *options, struct vulnerability_list *list,
		   struct err *err) MUST_CHECK;

/*
 * How urgent: up to 400 by score, up to 250 by EPSS percentile, 200 when it is known to be
 * exploited, 100 when it is exposed to everybody and 60 when to some, 50 when the component is
 * direct; half of all that for what is only used in development.
 */
unsigned rank_priority(const struct vulnerability *v, const struct component *c);

/* "public", "authenticated", "none", "unknown". */
const char *exposure_name(enum exposure exposure);

/* The OSV ecosystem with the distribution's release, in `to`; empty when there is none. */
struct span rank_ecosystem(const struct component *c, char to[DB_NAME_MAX]);

#endif
