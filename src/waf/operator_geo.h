/*
 * operator_geo.h - where addresses are, from a MaxMind database (SecGeoLookupDb). In builds without
 * libmaxminddb geo_open() always fails, saying so.
 */
#ifndef WAF_OPERATOR_GEO_H
#define WAF_OPERATOR_GEO_H

#include "base/err.h"
#include "base/span.h"

struct geo_db;

/* The variables of GEO; those that the database does not have are empty. */
struct geo_record {
	struct span country_code; /* these point into the database */
	struct span country_name;
	struct span country_continent;
	struct span city;
	struct span postal_code;
	struct span latitude; /* these into `digits` */
	struct span longitude;
	char digits[64];
};

/* Maps the file; NULL with a message when it is not such a database. */
struct geo_db *geo_open(const char *path, struct err *err);
void geo_close(struct geo_db *db);
/* Whether the database has the address. Safe from any thread; `record` may be NULL. */
bool geo_lookup(const struct geo_db *db, struct span address, struct geo_record *record);

#endif
