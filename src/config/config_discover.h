/*
 * config_discover.h - where a service is: its endpoints, or who is asked for them. Included by
 * config.h.
 */
#ifndef CONFIG_CONFIG_DISCOVER_H
#define CONFIG_CONFIG_DISCOVER_H

#include <stdbool.h>

#include "config/config_base.h"

enum config_scheme { CONFIG_SCHEME_HTTP, CONFIG_SCHEME_HTTPS, CONFIG_SCHEME_H2C };

struct config_endpoint {
	struct config_where where;
	struct span url; /* as written; has no path, query or userinfo */
	enum config_scheme scheme;
	struct config_address address; /* port filled in from the scheme */
	struct span authority; /* host[:port] for a Host field; port left out when default */
	uint32_t weight; /* 1 or more */
	/* Of discovered ones; otherwise 0 and empty. */
	uint32_t priority; /* those of the lowest are asked as long as one of them is well */
	struct span server_name; /* that its certificate must have; empty: address.host */
};

/* EndpointSlices of one service, as the API server of a Kubernetes cluster tells them. */
struct config_kubernetes {
	struct config_where where;
	struct span namespace_name;
	struct span service;
	struct span port; /* name or number; empty: the only one */
	struct span server; /* scheme://host[:port] */
	struct config_endpoint api; /* the same, taken apart */
	struct span token; /* file; empty: none is sent */
	struct span ca; /* file: PEM bundle; empty: the system's */
	uint64_t watch_ms; /* how long a watch lasts before it is renewed */
};

/* One of srv, dns and kubernetes is set. */
struct config_discover {
	struct config_where where;
	struct span srv; /* name of SRV records */
	struct span dns; /* host:port, each address of the host is an endpoint */
	struct span host; /* of `dns` */
	uint16_t port;
	struct config_kubernetes *kubernetes;
	enum config_scheme scheme;
	struct config_strings resolvers; /* "address:port"; empty: the system's */
	uint64_t timeout_ms; /* of one question */
	uint64_t refresh_ms; /* answers of DNS are used so long at most */
	uint64_t hold_ms; /* DNS says that there is nothing: the last endpoints stay so long */
	uint32_t endpoints_max;
};

#endif
