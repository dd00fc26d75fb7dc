/*
 * router.h - the whitelist: host, path template and method to a route. Compiled once; a look-up
 * walks the path's segments and costs the same with ten routes or ten thousand.
 *
 * Of several templates that match, the one that is more literal at the first segment where they
 * differ wins: a literal before {parameter} before a final "**". Routes for the exact host come
 * before "*.suffix" hosts (longest first), and those before routes without hosts.
 */
#ifndef GATEWAY_ROUTER_H
#define GATEWAY_ROUTER_H

#include "base/err.h"
#include "config/config.h"
#include "parse/http_field.h"

struct router;

/* Borrows the routes, which must outlive it. */
struct router *router_new(const struct config_route *routes, size_t count,
			  struct err *err) MUST_CHECK;
void router_free(struct router *router);

/* Some route names hosts. */
bool router_has_hosts(const struct router *router);

enum router_result { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

/*
 * `host` without port, any case; `path` normalised, starting with '/'. A route that takes GET takes
 * HEAD too. With ROUTER_NO_METHOD, *allowed gets a bit (1 << enum http_method) for each method that
 * some route takes there.
 */
enum router_result router_find(const struct router *router, struct span host, struct span path,
			       enum http_method method, struct span method_name,
			       const struct config_route **route, uint32_t *allowed);

#endif
