#include "config/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/map.h"
#include "config/schema_parts.h"

static void report(struct reader *reader, enum config_severity severity, const char *list,
		   struct span name, size_t index, struct config_where where,
		   const char *format, ...) PRINTF_LIKE(7, 8);

/* A problem with one element of a list or mapping at the top: "routes[3]: <message>". */
static void report(struct reader *reader, enum config_severity severity, const char *list,
		   struct span name, size_t index, struct config_where where,
		   const char *format, ...)
{
	const struct reader_path *root = reader->path;
	struct reader_path outer = {root, span_cstr(list), 0};
	struct reader_path inner = {&outer, name, index};
	char message[256];
	va_list args;

	/* Where something could not be read, what seems unused or missing may be there. */
	if (severity == CONFIG_WARNING && reader->problems->errors > 0)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	reader->path = &inner;
	if (severity == CONFIG_ERROR)
		reader_error(reader, where, "%s", message);
	else
		reader_warn(reader, where, "%s", message);
	reader->path = root;
}

struct span check_nearest(struct span wrong, struct span (*name)(const void *context, size_t i),
			  const void *context, size_t count)
{
	unsigned best = wrong.len < 4 ? 2 : wrong.len < 8 ? 3 : 4;
	struct span nearest = SPAN_NONE;

	for (size_t i = 0; i < count; i++) {
		unsigned distance = span_distance(wrong, name(context, i));

		if (distance >= best)
			continue;
		best = distance;
		nearest = name(context, i);
	}
	return nearest;
}

/* Is the key new? It must live as long as the map. */
static bool is_new(struct reader *reader, struct map *seen, struct span key, void *value,
		   void **before)
{
	*before = map_get(seen, key);
	if (*before)
		return false;
	if (map_put(seen, key, value) != 0)
		reader->out_of_memory = true;
	return true;
}

/* ---- listeners, limits ----------------------------------------------------------------------- */

static void check_listen(struct reader *reader, struct config *cfg)
{
	for (size_t i = 0; i < cfg->listen.count; i++) {
		struct config_listen *listen = &cfg->listen.at[i];
		const struct config_address *address = &listen->address;

		for (size_t j = 0; j < i; j++)
			if (address->text.len > 0 &&
			    span_eq(address->text, cfg->listen.at[j].address.text) &&
			    (address->port != 0 || address->unix_path.len > 0))
				report(reader, CONFIG_ERROR, "listen", SPAN_NONE, i,
				       listen->where, "this address is there twice (line %u)",
				       cfg->listen.at[j].where.line);
		if (listen->proxy_protocol == CONFIG_PROXY_PROTOCOL_REQUIRE &&
		    cfg->trusted_proxies.count == 0)
			report(reader, CONFIG_ERROR, "listen", SPAN_NONE, i, listen->where,
			       "proxy_protocol: require closes every connection unless "
			       "'trusted_proxies' is given");
		if (listen->proxy_protocol == CONFIG_PROXY_PROTOCOL_ACCEPT &&
		    cfg->trusted_proxies.count == 0)
			report(reader, CONFIG_WARNING, "listen", SPAN_NONE, i, listen->where,
			       "proxy_protocol has no effect without 'trusted_proxies'");
	}
}

/* ---- identity -------------------------------------------------------------------------------- */

static void check_providers(struct reader *reader, const struct config_identity *identity)
{
	struct span what = SPAN("providers");

	for (size_t i = 0; i < identity->providers.count; i++) {
		const struct config_provider *p = &identity->providers.at[i];

		for (size_t j = 0; j < i; j++) {
			const struct config_provider *q = &identity->providers.at[j];

			if (p->name.len > 0 && span_eq(p->name, q->name))
				report(reader, CONFIG_ERROR, "identity", what, 0, p->where,
				       "this name is there twice (line %u)", q->where.line);
			if (p->issuer.len > 0 && span_eq(p->issuer, q->issuer))
				report(reader, CONFIG_ERROR, "identity", what, 0, p->where,
				       "this issuer is there twice (line %u)", q->where.line);
		}
	}
}

static void check_api_keys(struct reader *reader, const struct config_api_keys *keys)
{
	struct map seen = MAP_INIT;

	for (size_t i = 0; i < keys->keys.count && !reader->out_of_memory; i++) {
		struct config_api_key *key = &keys->keys.at[i];
		struct config_api_key *first;
		void *before;

		if (is_new(reader, &seen, span_of(key->sha256, sizeof(key->sha256)), key,
			   &before))
			continue;
		first = before;
		report(reader, CONFIG_ERROR, "identity", SPAN("api_keys"), 0, key->where,
		       "this key is there twice (%s:%u)", first->where.file, first->where.line);
	}
	map_release(&seen);
}

static struct span role_name(const void *context, size_t i)
{
	const struct config_identity *identity = context;

	return identity->roles.at[i].name;
}

static size_t role_index(const struct config_identity *identity, struct span name)
{
	size_t i = 0;

	while (i < identity->roles.count && !span_eq(identity->roles.at[i].name, name))
		i++;
	return i;
}

static void check_role_names(struct reader *reader, const struct config_identity *identity)
{
	for (size_t i = 0; i < identity->roles.count; i++) {
		const struct config_role *role = &identity->roles.at[i];

		for (size_t j = 0; j < role->includes.count; j++) {
			struct span name = role->includes.at[j], near;

			if (role_index(identity, name) < identity->roles.count)
				continue;
			near = check_nearest(name, role_name, identity, identity->roles.count);
			report(reader, CONFIG_ERROR, "identity.roles", role->name, 0,
			       role->where, "includes '%.*s', which is no role%s%.*s%s",
			       SPAN_ARG(name), near.ptr ? " (did you mean '" : "",
			       SPAN_ARG(near), near.ptr ? "'?)" : "");
		}
	}
}

/*
 * Takes away roles whose includes are all done, again and again; what is left is in a cycle or
 * leads to one. A role that is not there counts as done: it was reported.
 */
static void check_role_cycles(struct reader *reader, const struct config_identity *identity)
{
	size_t count = identity->roles.count;
	bool *done = arena_zalloc(reader->trees, count ? count : 1, sizeof(*done));
	bool progress = done != NULL;

	if (!done)
		reader->out_of_memory = true;
	while (progress) {
		progress = false;
		for (size_t i = 0; i < count; i++) {
			const struct config_strings *includes = &identity->roles.at[i].includes;
			bool all = !done[i];

			for (size_t j = 0; all && j < includes->count; j++) {
				size_t other = role_index(identity, includes->at[j]);

				all = other == count || done[other];
			}
			done[i] = done[i] || all;
			progress = progress || all;
		}
	}
	for (size_t i = 0; done && i < count; i++) {
		if (done[i])
			continue;
		report(reader, CONFIG_ERROR, "identity.roles", identity->roles.at[i].name, 0,
		       identity->roles.at[i].where, "includes itself by way of others");
		return;
	}
}

static void check_federation(struct reader *reader, const struct config_identity *identity)
{
	for (size_t i = 0; i < identity->federation.count; i++) {
		const struct config_federation *f = &identity->federation.at[i];

		if (!identity->issuer.len)
			report(reader, CONFIG_ERROR, "identity", SPAN("federation"), i,
			       f->where, "it needs the built-in server: set 'issuer'");
		for (size_t j = 0; j < i; j++)
			if (span_eq(f->name, identity->federation.at[j].name))
				report(reader, CONFIG_ERROR, "identity", SPAN("federation"), i,
				       f->where, "'%.*s' is there twice (line %u)",
				       SPAN_ARG(f->name),
				       identity->federation.at[j].where.line);
	}
}

static void check_ldap(struct reader *reader, const struct config_identity *identity)
{
	if (identity->ldap.count > CONFIG_LDAP_MAX)
		report(reader, CONFIG_ERROR, "identity", SPAN("ldap"), 0,
		       identity->ldap.at[0].where, "there are more than %d", CONFIG_LDAP_MAX);
	for (size_t i = 0; i < identity->ldap.count; i++) {
		const struct config_ldap *l = &identity->ldap.at[i];

		if (!identity->issuer.len)
			report(reader, CONFIG_ERROR, "identity", SPAN("ldap"), i, l->where,
			       "it needs the built-in server: set 'issuer'");
		for (size_t j = 0; j < i; j++)
			if (span_eq(l->name, identity->ldap.at[j].name))
				report(reader, CONFIG_ERROR, "identity", SPAN("ldap"), i,
				       l->where, "'%.*s' is there twice (line %u)",
				       SPAN_ARG(l->name), identity->ldap.at[j].where.line);
	}
}

static void check_identity(struct reader *reader, const struct config *cfg)
{
	const struct config_identity *identity = &cfg->identity;
	bool asked = false;

	check_providers(reader, identity);
	check_federation(reader, identity);
	check_ldap(reader, identity);
	if (!cfg->mail && (identity->codes.email || identity->accounts.registration))
		report(reader, CONFIG_ERROR, "identity",
		       identity->codes.email ? SPAN("codes") : SPAN("accounts"), 0,
		       identity->where, "needs 'mail'");
	if (identity->api_keys && reader->problems->errors == 0)
		check_api_keys(reader, identity->api_keys);
	check_role_names(reader, identity);
	check_role_cycles(reader, identity);
	for (size_t i = 0; i < cfg->listen.count; i++)
		asked = asked ||
			(cfg->listen.at[i].tls && cfg->listen.at[i].tls->client_ca.len);
	if (identity->client_certificates.count > 0 && !asked)
		report(reader, CONFIG_WARNING, "identity", SPAN("client_certificates"), 0,
		       identity->client_certificates.at[0].where,
		       "no listener asks clients for certificates (client_auth)");
}

/* ---- routes ---------------------------------------------------------------------------------- */

static struct span service_name(const void *context, size_t i)
{
	const struct config *cfg = context;

	return cfg->services.at[i].name;
}

/* What the caller sent must not tell that service more than it is meant to know. */
static void check_degraded(struct reader *reader, const struct config *cfg,
			   const struct config_service *service,
			   struct config_degraded *degraded)
{
	degraded->service = config_service_find(cfg, degraded->service_name);
	if (!degraded->service)
		report(reader, CONFIG_ERROR, "services", service->name, 0, degraded->where,
		       "there is no service '%.*s'", SPAN_ARG(degraded->service_name));
	else if (degraded->service->identity.forward_authorization)
		report(reader, CONFIG_ERROR, "services", service->name, 0, degraded->where,
		       "'%.*s' gets the caller's own credentials (forward_authorization)",
		       SPAN_ARG(degraded->service_name));
}

/* Another service's fallback is not asked in turn, so that there is no way around in a circle. */
static void check_fallbacks(struct reader *reader, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->services.count; i++) {
		const struct config_service *service = &cfg->services.at[i];
		struct config_fallback *fallback = service->fallback;

		if (fallback && fallback->degraded)
			check_degraded(reader, cfg, service, fallback->degraded);
		if (!fallback || !fallback->service_name.len)
			continue;
		fallback->service = config_service_find(cfg, fallback->service_name);
		if (!fallback->service)
			report(reader, CONFIG_ERROR, "services", service->name, i,
			       fallback->answer.where, "there is no service '%.*s'",
			       SPAN_ARG(fallback->service_name));
		else if (fallback->service == service)
			report(reader, CONFIG_ERROR, "services", service->name, i,
			       fallback->answer.where, "a service is no fallback of its own");
	}
}

static uint64_t inherited(uint64_t own, uint64_t from)
{
	return own == CONFIG_INHERIT ? from : own;
}

/* A service of the program itself; one of that name in the file goes before. */
static enum config_internal internal_named(const struct config *cfg, struct span name)
{
	if (span_eq(name, SPAN("identity")) && cfg->identity.issuer.len > 0)
		return CONFIG_INTERNAL_IDENTITY;
	if (span_eq(name, SPAN("approvals")) && cfg->store.url.len > 0)
		return CONFIG_INTERNAL_APPROVALS;
	if (span_eq(name, SPAN("registry")) && cfg->registry)
		return CONFIG_INTERNAL_REGISTRY;
	return CONFIG_INTERNAL_NONE;
}

static void resolve_route(struct reader *reader, const struct config *cfg,
			  struct config_route *route, bool *used)
{
	static const struct config_timeout none = {0};
	const struct config_timeout *timeout = &none;
	struct span near;

	if (route->service_name.len > 0)
		route->service = config_service_find(cfg, route->service_name);
	if (!route->service)
		route->internal = internal_named(cfg, route->service_name);
	if (route->service) {
		used[route->service->index] = true;
		timeout = &route->service->timeout;
	} else if (route->service_name.len > 0 && route->internal == CONFIG_INTERNAL_NONE) {
		near = check_nearest(route->service_name, service_name, cfg,
				     cfg->services.count);
		report(reader, CONFIG_ERROR, "routes", SPAN_NONE, route->index, route->where,
		       "there is no service '%.*s'%s%.*s%s", SPAN_ARG(route->service_name),
		       near.ptr ? " (did you mean '" : "", SPAN_ARG(near),
		       near.ptr ? "'?)" : "");
	}
	route->timeout.connect_ms = inherited(route->timeout.connect_ms, timeout->connect_ms);
	route->timeout.dns_ms = inherited(route->timeout.dns_ms, timeout->dns_ms);
	route->timeout.tls_ms = inherited(route->timeout.tls_ms, timeout->tls_ms);
	route->timeout.request_ms = inherited(route->timeout.request_ms, timeout->request_ms);
	route->timeout.idle_ms = inherited(route->timeout.idle_ms, timeout->idle_ms);
	route->timeout.total_ms = inherited(route->timeout.total_ms, timeout->total_ms);
	route->body_bytes = inherited(route->body_bytes, cfg->limits.body_bytes);
	if (route->waf == CONFIG_WAF_MODE_INHERIT && route->service)
		route->waf = route->service->waf;
	if (route->waf == CONFIG_WAF_MODE_INHERIT || !cfg->waf)
		route->waf = cfg->waf ? cfg->waf->mode : CONFIG_WAF_MODE_OFF;
}

/* The path with the names of its parameters left out: what tells two routes apart. */
static void append_shape(struct buf *out, struct span path)
{
	struct span rest = path;

	span_cut(&rest, '/');
	while (rest.ptr) {
		struct span segment = span_cut(&rest, '/');

		buf_append_byte(out, '/');
		buf_append(out,
			   segment.len > 0 && segment.ptr[0] == '{' ? SPAN("{}") : segment);
	}
}

/* What routes have taken so far: from host, shape of the path and method to the route. */
struct targets {
	struct reader *reader;
	struct map seen;
	struct buf key;
};

/* The route that took this target before, or NULL; then it is the given one's. */
static struct config_route *take_target(struct targets *targets, struct span host,
					struct config_route *route, struct span method)
{
	void *before = NULL;
	struct span own;

	buf_clear(&targets->key);
	buf_append(&targets->key, host);
	append_shape(&targets->key, route->path);
	buf_append_byte(&targets->key, ' ');
	buf_append(&targets->key, method);
	own = arena_dup(targets->reader->trees, buf_span(&targets->key));
	if (buf_failed(&targets->key) || !own.ptr)
		targets->reader->out_of_memory = true;
	else
		is_new(targets->reader, &targets->seen, own, route, &before);
	return before == route ? NULL : before;
}

/*
 * Takes what the route is for at one host, and returns a route that took some of it before. A route
 * for every method and another at the same path overlap, and so do GET, which is also for HEAD, and
 * HEAD: which of the two serves a request must not depend on their order.
 */
static struct config_route *take_targets(struct targets *targets, struct span host,
					 struct config_route *route)
{
	struct config_route *before = take_target(targets, host, route, SPAN_NONE);
	bool head = false;

	if (before && before->methods.count > 0 && route->methods.count > 0)
		before = NULL;
	for (size_t i = 0; i < route->methods.count; i++)
		head = head || span_eq(route->methods.at[i], SPAN("HEAD"));
	for (size_t i = 0; i < route->methods.count && !before; i++) {
		before = take_target(targets, host, route, route->methods.at[i]);
		if (!before && !head && span_eq(route->methods.at[i], SPAN("GET")))
			before = take_target(targets, host, route, SPAN("HEAD"));
	}
	return before;
}

static void check_overlaps(struct reader *reader, const struct config *cfg)
{
	struct targets targets = {reader, MAP_INIT, {.max = 4096}};

	for (size_t i = 0; i < cfg->routes.count && !reader->out_of_memory; i++) {
		struct config_route *route = &cfg->routes.at[i], *before = NULL;
		size_t hosts = route->hosts.count;

		if (route->path.len == 0)
			continue;
		for (size_t h = 0; h < (hosts ? hosts : 1) && !before; h++)
			before = take_targets(&targets, hosts ? route->hosts.at[h] : SPAN_NONE,
					      route);
		if (before)
			report(reader, CONFIG_ERROR, "routes", SPAN_NONE, i, route->where,
			       "another route has this path and method already (%s:%u)",
			       before->where.file, before->where.line);
	}
	buf_release(&targets.key);
	map_release(&targets.seen);
}

/* Can anybody be known at all? */
static bool knows_anybody(const struct config_identity *identity)
{
	return identity->issuer.len > 0 || identity->providers.count > 0 ||
	       (identity->api_keys && identity->api_keys->keys.count > 0) ||
	       identity->client_certificates.count > 0;
}

static void check_routes(struct reader *reader, struct config *cfg)
{
	bool *used = arena_zalloc(reader->trees, cfg->services.count + 1, sizeof(*used));
	const struct config_route *closed = NULL;

	if (!used) {
		reader->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < cfg->routes.count; i++) {
		struct config_route *route = &cfg->routes.at[i];

		route->index = (uint32_t)i;
		resolve_route(reader, cfg, route, used);
		if (route->auth == CONFIG_AUTH_SESSION && cfg->identity.issuer.len == 0)
			report(reader, CONFIG_ERROR, "routes", SPAN_NONE, i, route->where,
			       "'auth: session' needs 'identity.issuer'");
		if (route->auth == CONFIG_AUTH_REQUIRED && !closed)
			closed = route;
	}
	check_overlaps(reader, cfg);
	if (closed && !knows_anybody(&cfg->identity))
		report(reader, CONFIG_WARNING, "routes", SPAN_NONE, closed->index,
		       closed->where,
		       "'identity' knows nobody: every request will be refused here (auth: "
		       "none lets everybody in)");
	for (size_t i = 0; i < cfg->services.count; i++) {
		const struct config_fallback *fallback = cfg->services.at[i].fallback;

		if (fallback && fallback->service)
			used[fallback->service->index] = true;
		if (fallback && fallback->degraded && fallback->degraded->service)
			used[fallback->degraded->service->index] = true;
	}
	for (size_t i = 0; i < cfg->procedures.count; i++)
		for (size_t j = 0; j < cfg->procedures.at[i].steps.count; j++)
			if (cfg->procedures.at[i].steps.at[j].shift)
				used[cfg->procedures.at[i].steps.at[j].shift->index] = true;
	for (size_t i = 0; i < cfg->services.count; i++)
		if (!used[i])
			report(reader, CONFIG_WARNING, "services", cfg->services.at[i].name, 0,
			       cfg->services.at[i].where, "no route leads to this service");
}

/* Approvals are for people who are known, and are kept in the store. */
static void check_sensitive_route(struct reader *reader, const struct config *cfg, size_t i,
				  const struct config_route *route)
{
	const struct config_sensitive *s = &cfg->sensitive.at[i];

	if (route->auth == CONFIG_AUTH_NONE)
		report(reader, CONFIG_ERROR, "sensitive", SPAN_NONE, i, s->where,
		       "the route of '%.*s' (line %u) lets everybody in: who asks must be "
		       "known",
		       SPAN_ARG(s->operation), route->where.line);
	if (route->internal != CONFIG_INTERNAL_NONE)
		report(reader, CONFIG_ERROR, "sensitive", SPAN_NONE, i, s->where,
		       "'%.*s' is a service of the program itself", SPAN_ARG(s->operation));
}

static void check_sensitive(struct reader *reader, const struct config *cfg)
{
	bool contracts = false;

	for (size_t i = 0; i < cfg->sensitive.count && cfg->store.url.len == 0; i++)
		if (cfg->sensitive.at[i].by.len)
			report(reader, CONFIG_ERROR, "sensitive", SPAN_NONE, i,
			       cfg->sensitive.at[i].where,
			       "approvals are kept in a 'store': name one");
	for (size_t i = 0; i < cfg->services.count; i++)
		contracts = contracts || cfg->services.at[i].contract;
	for (size_t i = 0; i < cfg->sensitive.count; i++) {
		const struct config_sensitive *s = &cfg->sensitive.at[i];
		bool found = contracts || s->operation.len == 0;

		for (size_t j = 0; j < cfg->routes.count; j++) {
			if (s->operation.len == 0 ||
			    !span_eq(cfg->routes.at[j].operation, s->operation))
				continue;
			found = true;
			check_sensitive_route(reader, cfg, i, &cfg->routes.at[j]);
		}
		if (!found)
			report(reader, CONFIG_ERROR, "sensitive", SPAN_NONE, i, s->where,
			       "no route has the operation '%.*s'", SPAN_ARG(s->operation));
		for (size_t j = 0; j < i; j++)
			if (s->operation.len > 0 &&
			    span_eq(s->operation, cfg->sensitive.at[j].operation))
				report(reader, CONFIG_ERROR, "sensitive", SPAN_NONE, i,
				       s->where, "this operation is there twice (line %u)",
				       cfg->sensitive.at[j].where.line);
	}
}

static void check_patches(struct reader *reader, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->patches.count; i++) {
		const struct config_patch *patch = &cfg->patches.at[i];

		if (!cfg->waf)
			report(reader, CONFIG_ERROR, "patches", patch->name, i, patch->where,
			       "patches are rules of the firewall: there is no 'waf'");
		for (size_t k = 0; k < patch->services.count; k++)
			if (!config_service_find(cfg, patch->services.at[k]))
				report(reader, CONFIG_ERROR, "patches", patch->name, i,
				       patch->where, "there is no service '%.*s'",
				       SPAN_ARG(patch->services.at[k]));
	}
}

/* Addresses of files are made of the path that leads to the registry. */
static void check_registry(struct reader *reader, struct config *cfg)
{
	for (size_t i = 0; i < cfg->routes.count; i++) {
		const struct config_route *route = &cfg->routes.at[i];

		if (route->internal != CONFIG_INTERNAL_REGISTRY)
			continue;
		if (!span_ends_with(route->path, SPAN("/**")) ||
		    span_find_byte(route->path, '{') < route->path.len)
			report(reader, CONFIG_ERROR, "routes", SPAN_NONE, i, route->where,
			       "a route to the registry ends in /** and has no parameters");
		else if (cfg->registry->mount.ptr)
			report(reader, CONFIG_ERROR, "routes", SPAN_NONE, i, route->where,
			       "another route leads to the registry already");
		else
			cfg->registry->mount = span_slice(route->path, 0, route->path.len - 3);
	}
	if (cfg->registry && cfg->registry->mode == CONFIG_REGISTRY_APPROVED &&
	    cfg->store.url.len == 0)
		reader_error(reader, cfg->registry->where,
			     "approvals are kept in a 'store': name one");
}

void check_config(struct reader *reader, struct config *cfg)
{
	struct config_where top = {cfg->listen.count > 0 ? cfg->listen.at[0].where.file : NULL,
				   1, 1};

	for (size_t i = 0; i < cfg->services.count; i++)
		cfg->services.at[i].index = (uint32_t)i;
	check_listen(reader, cfg);
	check_identity(reader, cfg);
	check_fallbacks(reader, cfg);
	check_procedures(reader, cfg);
	check_routes(reader, cfg);
	check_sensitive(reader, cfg);
	check_patches(reader, cfg);
	check_registry(reader, cfg);
	if (reader->problems->errors > 0)
		return;
	if (cfg->routes.count == 0)
		reader_warn(reader, top, "there are no routes: every request will be refused");
	if (cfg->registry && !cfg->registry->mount.ptr)
		reader_warn(reader, cfg->registry->where,
			    "no route leads here: give one 'service: registry'");
	if (cfg->forwarded.client_headers != CONFIG_FORWARDED_DROP &&
	    cfg->trusted_proxies.count == 0)
		reader_warn(reader, top,
			    "forwarded.client_headers has no effect without 'trusted_proxies'");
}
