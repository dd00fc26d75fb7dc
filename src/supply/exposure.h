/*
 * exposure.h - which services a gateway serves, and to whom: by its configuration file, or by what
 * the admin listener of a running one says (GET /config). What its routes ask for is looked at;
 * operations whose contract asks for less are not told apart.
 */
#ifndef SUPPLY_EXPOSURE_H
#define SUPPLY_EXPOSURE_H

#include "supply/rank.h"

struct exposed_service {
	struct span name;
	enum exposure exposure; /* EXPOSURE_NONE: no route leads to it */
	uint32_t public_routes;
	uint32_t routes;
	struct span route; /* the path of the first one that exposes it so */
};

struct exposure_map {
	struct arena arena;
	struct exposed_service *at;
	size_t count;
};

void exposure_init(struct exposure_map *map);
/* A zeroed map is allowed. */
void exposure_release(struct exposure_map *map);
/* From "http://" or "https://" of an admin listener, or a file. -1 with why in *err. */
int exposure_read(struct exposure_map *map, const char *from, struct err *err) MUST_CHECK;
/* What GET /config answers. */
int exposure_read_json(struct exposure_map *map, struct span text, struct err *err) MUST_CHECK;
/*
 * EXPOSURE_NONE for a service that the gateway does not know or serve; EXPOSURE_UNKNOWN without a
 * name, or when nothing was read.
 */
enum exposure exposure_of(const struct exposure_map *map, struct span service);
/* The path of a route that exposes it so; empty when there is none. Lives as long as the map. */
struct span exposure_route(const struct exposure_map *map, struct span service);

#endif
