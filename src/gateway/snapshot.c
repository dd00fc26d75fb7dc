#include "gateway/snapshot.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "gateway/contract_plan.h"
#include "gateway/fields.h"
#include "gateway/inspect.h"
#include "gateway/pipeline.h"

struct counted_snapshot {
	struct snapshot snapshot; /* first */
	_Atomic uint32_t refs;
};

/* Of a fixed answer's file. */
#define ANSWER_FILE_MAX ((size_t)4 << 20)

static _Atomic uint64_t next_generation = 1;

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for the configuration");
}

static int build_trusted(struct snapshot *s, struct err *err)
{
	cidr_set_init(&s->trusted_proxies);
	for (size_t i = 0; i < s->config->trusted_proxies.count; i++)
		if (cidr_set_add(&s->trusted_proxies, &s->config->trusted_proxies.at[i]) < 0)
			return out_of_memory(err);
	cidr_set_build(&s->trusted_proxies);
	return 0;
}

static int build_ips(struct snapshot *s, struct err *err)
{
	const struct config_ips *config = s->config->ips;

	if (!config || config->mode == CONFIG_IPS_OFF)
		return 0;
	s->ips = mem_zalloc(1, sizeof(*s->ips));
	if (!s->ips)
		return out_of_memory(err);
	s->ips->config = config;
	for (size_t i = 0; i < config->allow.count; i++)
		if (cidr_set_add(&s->ips->allow, &config->allow.at[i]) < 0)
			return out_of_memory(err);
	for (size_t i = 0; i < config->deny.count; i++)
		if (cidr_set_add(&s->ips->deny, &config->deny.at[i]) < 0)
			return out_of_memory(err);
	cidr_set_build(&s->ips->allow);
	cidr_set_build(&s->ips->deny);
	return 0;
}

static void free_ips(struct snapshot_ips *ips)
{
	if (!ips)
		return;
	cidr_set_release(&ips->allow);
	cidr_set_release(&ips->deny);
	mem_free(ips);
}

/* What is limited together has the same seed, also after a reload that leaves it as it is. */
static uint64_t limit_seed(const struct config_route *route, size_t index)
{
	const struct config_limit *limit = &route->limits.at[index];
	uint64_t seed = limit->per == CONFIG_LIMIT_PER_SERVICE && route->service
				? hash_span(route->service->name)
				: hash_mix(hash_span(route->operation), hash_span(route->path));

	seed = hash_mix(seed, (uint64_t)limit->per + 1);
	seed = hash_mix(seed, limit->rate.count);
	seed = hash_mix(seed, limit->rate.per_ms);
	return hash_mix(seed, limit->burst + (index << 32));
}

static int build_limits(struct snapshot_route *route, struct err *err)
{
	const struct config_route *config = route->config;
	struct snapshot_limit *limits = &route->first_limit;

	if (config->limits.count == 0)
		return 0;
	if (config->limits.count > SNAPSHOT_LIMITS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d limits", SNAPSHOT_LIMITS_MAX);
	if (config->limits.count > 1)
		limits = mem_zalloc(config->limits.count, sizeof(*limits));
	if (!limits)
		return out_of_memory(err);
	for (size_t i = 0; i < config->limits.count; i++) {
		const struct config_limit *limit = &config->limits.at[i];

		limits[i].per = limit->per;
		limits[i].rate =
			limiter_rate_of(limit->rate.count, limit->rate.per_ms, limit->burst);
		limits[i].seed = limit_seed(config, i);
	}
	route->limits = limits;
	route->limit_count = (uint16_t)config->limits.count;
	return 0;
}

static uint16_t route_flags(const struct config_route *config)
{
	unsigned flags = 0;

	if (config->challenge != CONFIG_CHALLENGE_OFF)
		flags |= SNAPSHOT_ROUTE_CHALLENGES;
	if (config->cors)
		flags |= SNAPSHOT_ROUTE_CORS;
	if (fields_has_edits(&config->request_headers))
		flags |= SNAPSHOT_ROUTE_EDITS_REQUEST;
	if (fields_has_edits(&config->response_headers))
		flags |= SNAPSHOT_ROUTE_EDITS_RESPONSE;
	if (config->strip_prefix.len || config->add_prefix.len)
		flags |= SNAPSHOT_ROUTE_EDITS_PATH;
	if (config->pool && config->service)
		flags |= SNAPSHOT_ROUTE_OWN_POOL;
	return (uint16_t)flags;
}

static void copy_what_all_need(struct snapshot_route *route)
{
	const struct config_route *config = route->config;
	const struct config_service *service = config->service;

	route->service = service;
	route->timeout = &config->timeout;
	if (service &&
	    memcmp(&service->timeout, &config->timeout, sizeof(config->timeout)) == 0)
		route->timeout = &service->timeout;
	route->body_limit_bytes = config->body_bytes ? config->body_bytes : UINT64_MAX;
	route->flags = route_flags(config);
}

/* Files of fixed answers are held in memory. */
static int read_answer_file(const struct config_answer *answer, struct buf *content,
			    struct err *err)
{
	buf_init(content, ANSWER_FILE_MAX);
	if (!answer->file.len)
		return 0;
	return config_source_system.read_file(NULL, answer->file.ptr, ANSWER_FILE_MAX, content,
					      err);
}

static const struct snapshot_service *find_service(const struct snapshot *snapshot,
						   struct span name)
{
	for (size_t i = 0; snapshot && i < snapshot->config->services.count; i++)
		if (span_eq(snapshot->services[i].config->name, name))
			return &snapshot->services[i];
	return NULL;
}

static bool same_kubernetes(const struct config_kubernetes *a,
			    const struct config_kubernetes *b)
{
	if (!a || !b)
		return a == b;
	return span_eq(a->namespace_name, b->namespace_name) &&
	       span_eq(a->service, b->service) && span_eq(a->port, b->port) &&
	       span_eq(a->server, b->server);
}

/* Whether what was found by one is what the other asks for. */
static bool same_discovery(const struct config_discover *a, const struct config_discover *b)
{
	return a && b && span_eq(a->srv, b->srv) && span_eq(a->dns, b->dns) &&
	       a->scheme == b->scheme && same_kubernetes(a->kubernetes, b->kubernetes);
}

static void set_found(struct snapshot_service *service, struct endpoint_list *found)
{
	service->found = endpoint_list_ref(found);
	service->endpoints = *found;
}

/* Those of the configuration, or those that were known before; it is asked again soon. */
static void take_endpoints(struct snapshot_service *service,
			   const struct snapshot_service *previous)
{
	const struct config_service *config = service->config;

	service->endpoints = (struct endpoint_list){.at = config->endpoints.at,
						    .count = config->endpoints.count};
	if (previous && previous->found &&
	    same_discovery(config->discover, previous->config->discover))
		set_found(service, previous->found);
}

/* Guards are kept under the names of service and operation. */
static int build_service_guard(struct snapshot_service *service,
			       const struct snapshot *previous, struct err *err)
{
	const struct snapshot_service *before = find_service(previous, service->config->name);

	take_endpoints(service, before);
	return guard_service_new(&service->guard, service->config, &service->endpoints,
				 before ? before->guard : NULL, clock_ms(), err);
}

static int build_route_guard(struct snapshot *s, struct snapshot_route *route,
			     const struct snapshot *previous, struct err *err)
{
	struct bulkhead *before = NULL;

	if (route->config->service)
		route->guard = s->services[route->config->service->index].guard;
	if (!route->config->bulkhead)
		return 0;
	for (size_t i = 0; previous && i < previous->config->routes.count; i++)
		if (previous->routes[i].bulkhead &&
		    span_eq(previous->routes[i].config->operation, route->config->operation))
			before = previous->routes[i].bulkhead;
	route->bulkhead = guard_bulkhead_keep(route->config->bulkhead, before, err);
	return route->bulkhead ? 0 : -1;
}

static int build_routes(struct snapshot *s, const struct snapshot *previous, struct err *err)
{
	size_t count = s->config->routes.count;

	s->routes = mem_zalloc_lines(count, sizeof(*s->routes));
	if (!s->routes)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		s->routes[i].config = &s->config->routes.at[i];
		copy_what_all_need(&s->routes[i]);
		s->routes[i].sensitive =
			config_sensitive_find(s->config, s->routes[i].config->operation);
		s->routes[i].access = access_rule_new(s->routes[i].config, err);
		if (!s->routes[i].access || build_limits(&s->routes[i], err) < 0 ||
		    build_route_guard(s, &s->routes[i], previous, err) < 0 ||
		    (s->routes[i].config->respond &&
		     read_answer_file(s->routes[i].config->respond, &s->routes[i].respond_file,
				      err) < 0))
			return err_wrap(err, "%s:%u: route", s->routes[i].config->where.file,
					s->routes[i].config->where.line);
	}
	s->router = router_new(s->config->routes.at, count, err);
	return s->router ? 0 : -1;
}

static bool uses_tls(const struct config_service *service)
{
	if (service->discover)
		return service->discover->scheme == CONFIG_SCHEME_HTTPS;
	for (size_t i = 0; i < service->endpoints.count; i++)
		if (service->endpoints.at[i].scheme == CONFIG_SCHEME_HTTPS)
			return true;
	return false;
}

static const char *path_of(struct span path)
{
	return path.len ? path.ptr : NULL;
}

static enum tls_version tls_version_of(enum config_tls_version version)
{
	return version == CONFIG_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
}

static int build_service_tls(struct snapshot_service *service, struct err *err)
{
	static const struct span h2_first[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
	static const struct span h1_only[] = {SPAN_INIT("http/1.1")};
	const struct config_upstream_tls *tls = &service->config->tls;
	bool h2 = service->config->protocol == CONFIG_PROTOCOL_H2 ||
		  service->config->protocol == CONFIG_PROTOCOL_AUTO;
	struct tls_client_options options = {
		.ca.path = path_of(tls->ca),
		.certificate = {.chain.path = path_of(tls->certificate),
				.key.path = path_of(tls->key)},
		.min_version = tls_version_of(tls->min_version),
		.alpn = tls->alpn.count ? tls->alpn.at
			: h2		? h2_first
					: h1_only,
		.alpn_count = tls->alpn.count ? tls->alpn.count
			      : h2	      ? COUNT_OF(h2_first)
					      : COUNT_OF(h1_only),
		.insecure = !tls->verify,
	};

	service->tls = tls_client_context_new(&options, err);
	return service->tls ? 0 : -1;
}

static int build_services(struct snapshot *s, const struct snapshot *previous, struct err *err)
{
	size_t count = s->config->services.count;

	s->services = mem_zalloc(count, sizeof(*s->services));
	if (!s->services)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		struct snapshot_service *service = &s->services[i];

		service->config = &s->config->services.at[i];
		service->pass = identity_pass_new(s->config, service->config, err);
		if (!service->pass || contract_plan_load(service, s->config, err) < 0 ||
		    build_service_guard(service, previous, err) < 0 ||
		    (service->config->fallback &&
		     read_answer_file(&service->config->fallback->answer,
				      &service->fallback_file, err) < 0) ||
		    (uses_tls(service->config) && build_service_tls(service, err) < 0))
			return err_wrap(err, "%s:%u: service %.*s", service->config->where.file,
					service->config->where.line,
					SPAN_ARG(service->config->name));
		/* Files behind the same paths may have changed: pools start anew. */
		service->tls_key = service->tls ? s->generation : 0;
	}
	return 0;
}

static int build_listen_tls(struct snapshot_listen *listen, struct tls_tickets *tickets,
			    struct err *err)
{
	static const struct span with_h2[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
	const struct config_listen_tls *tls = listen->config->tls;
	bool h2 = listen->config->http2;
	struct tls_certificate *certificates =
		mem_zalloc(tls->certificates.count, sizeof(*certificates));
	struct tls_server_options options = {
		.certificates = certificates,
		.certificate_count = tls->certificates.count,
		.min_version = tls_version_of(tls->min_version),
		.alpn = h2 ? with_h2 : with_h2 + 1,
		.alpn_count = h2 ? 2 : 1,
		.client_auth = (enum tls_client_auth)tls->client_auth,
		.client_ca.path = path_of(tls->client_ca),
		.tickets = tls->session_tickets ? tickets : NULL,
	};

	if (!certificates)
		return out_of_memory(err);
	for (size_t i = 0; i < tls->certificates.count; i++) {
		certificates[i].chain.path = path_of(tls->certificates.at[i].certificate);
		certificates[i].key.path = path_of(tls->certificates.at[i].key);
		certificates[i].ocsp_path = path_of(tls->certificates.at[i].ocsp);
	}
	listen->tls = tls_server_context_new(&options, err);
	mem_free(certificates);
	return listen->tls ? 0 : -1;
}

static int build_listens(struct snapshot *s, struct tls_tickets *tickets, struct err *err)
{
	size_t count = s->config->listen.count;

	s->listens = mem_zalloc(count, sizeof(*s->listens));
	if (!s->listens)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		s->listens[i].config = &s->config->listen.at[i];
		if (s->listens[i].config->tls &&
		    build_listen_tls(&s->listens[i], tickets, err) < 0)
			return err_wrap(err, "%s:%u: listen", s->listens[i].config->where.file,
					s->listens[i].config->where.line);
	}
	return 0;
}

static void add_security(struct snapshot *s, struct span name, struct span value)
{
	struct http_field *field = &s->security_fields[s->security_tls.field_count++];

	*field = (struct http_field){name, value, http_field_lookup(name)};
	s->security_ids |= (uint64_t)1 << field->id;
	buf_append(&s->security_lines, name);
	buf_append_cstr(&s->security_lines, ": ");
	buf_append(&s->security_lines, value);
	buf_append_cstr(&s->security_lines, "\r\n");
}

static bool has_security(const struct snapshot *s, struct span name)
{
	for (size_t i = 0; i < s->security_tls.field_count; i++)
		if (span_eq_nocase(s->security_fields[i].name, name))
			return true;
	return false;
}

static int build_security(struct snapshot *s, struct err *err)
{
	const struct config_security_headers *headers = &s->config->headers;
	struct span hsts = SPAN("strict-transport-security");
	size_t plain_bytes;

	buf_init(&s->security_lines, SIZE_MAX);
	if (!headers->enabled)
		return 0;
	s->security_fields = mem_zalloc(headers->fields.count + 1, sizeof(*s->security_fields));
	if (!s->security_fields)
		return out_of_memory(err);
	for (size_t i = 0; i < headers->fields.count; i++)
		add_security(s, headers->fields.at[i].name, headers->fields.at[i].value);
	s->security = (struct http_field_block){.fields = s->security_fields,
						.field_count = s->security_tls.field_count};
	plain_bytes = buf_span(&s->security_lines).len;
	if (headers->hsts.len && !has_security(s, hsts))
		add_security(s, hsts, headers->hsts);
	if (buf_failed(&s->security_lines))
		return out_of_memory(err);
	s->security_tls.fields = s->security_fields;
	s->security_tls.lines = buf_span(&s->security_lines);
	s->security.lines = span_slice(s->security_tls.lines, 0, plain_bytes);
	return 0;
}

static struct http_field field_in(struct span text, size_t *at, struct span name,
				  size_t value_len)
{
	struct http_field field = {.name = span_slice(text, *at, *at + name.len)};

	*at += name.len + 2;
	field.value = span_slice(text, *at, *at + value_len);
	*at += value_len + 2;
	return field;
}

static int build_via(struct snapshot *s, struct err *err)
{
	static const char *const versions[SNAPSHOT_VIA_COUNT] = {"1.0 ", "1.1 ", "2.0 "};
	static const struct span protos[2] = {SPAN_INIT("http"), SPAN_INIT("https")};
	struct span pseudonym = s->config->forwarded.via;
	struct span text;
	size_t at = 0;

	buf_init(&s->via_text, SIZE_MAX);
	for (size_t i = 0; i < 2 * SNAPSHOT_VIA_COUNT; i++)
		buf_printf(&s->via_text, "x-forwarded-proto: %.*s\r\nvia: %s%.*s\r\n",
			   SPAN_ARG(protos[i / SNAPSHOT_VIA_COUNT]),
			   versions[i % SNAPSHOT_VIA_COUNT], SPAN_ARG(pseudonym));
	if (buf_failed(&s->via_text))
		return out_of_memory(err);
	text = buf_span(&s->via_text);
	for (size_t tls = 0; tls < 2; tls++)
		for (size_t i = 0; i < SNAPSHOT_VIA_COUNT; i++) {
			struct http_field *fields = s->proto_via[tls][i];

			fields[0] =
				field_in(text, &at, SPAN("x-forwarded-proto"), protos[tls].len);
			fields[1] = field_in(text, &at, SPAN("via"), 4 + pseudonym.len);
			if (!pseudonym.len)
				fields[1].name.len = 0;
		}
	return 0;
}

static int build(struct snapshot *s, const struct snapshot *previous,
		 struct tls_tickets *tickets, struct err *err)
{
	if (build_trusted(s, err) < 0 || build_ips(s, err) < 0 ||
	    build_services(s, previous, err) < 0 || build_routes(s, previous, err) < 0 ||
	    build_listens(s, tickets, err) < 0 || build_security(s, err) < 0 ||
	    build_via(s, err) < 0 || contract_plan_check_sensitive(s, err) < 0 ||
	    inspect_load(s, previous, err) < 0)
		return -1;
	s->strip = identity_strip_new(s->config, err);
	if (!s->strip)
		return -1;
	if (http_field_lookup(s->config->forwarded.request_id_header) !=
	    HTTP_FIELD_X_REQUEST_ID)
		s->own_request_id = s->config->forwarded.request_id_header;
	s->authenticator = authenticator_new(s->config, err);
	if (!s->authenticator)
		return -1;
	if (previous)
		authenticator_adopt(s->authenticator, previous->authenticator);
	for (size_t i = 0; i < s->config->routes.count; i++)
		s->routes[i].idle_phases = pipeline_idle_phases(s, &s->routes[i]);
	return 0;
}

struct snapshot *snapshot_new(struct config *cfg, const struct snapshot *previous,
			      struct tls_tickets *tickets, struct err *err)
{
	struct counted_snapshot *counted = mem_zalloc(1, sizeof(*counted));

	if (!counted) {
		out_of_memory(err);
		return NULL;
	}
	counted->refs = 1;
	counted->snapshot.config = config_ref(cfg);
	counted->snapshot.generation = atomic_fetch_add(&next_generation, 1);
	if (build(&counted->snapshot, previous, tickets, err) == 0)
		return &counted->snapshot;
	snapshot_unref(&counted->snapshot);
	return NULL;
}

static int copy_services(struct snapshot *s, const struct snapshot *from,
			 struct endpoint_list *const *found, struct err *err)
{
	size_t count = from->config->services.count;

	s->services = mem_zalloc(count, sizeof(*s->services));
	if (!s->services)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		struct snapshot_service *service = &s->services[i];
		struct endpoint_list *list = found[i] ? found[i] : from->services[i].found;

		*service = from->services[i];
		service->guard = NULL;
		service->found = NULL;
		if (list)
			set_found(service, list);
		if (!found[i])
			service->guard = guard_service_ref(from->services[i].guard);
		else if (guard_service_new(&service->guard, service->config,
					   &service->endpoints, from->services[i].guard,
					   clock_ms(), err) < 0)
			return -1;
	}
	return 0;
}

static int copy_routes(struct snapshot *s, const struct snapshot *from, struct err *err)
{
	size_t count = from->config->routes.count;

	s->routes = mem_zalloc_lines(count, sizeof(*s->routes));
	if (!s->routes)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		s->routes[i] = from->routes[i];
		if (s->routes[i].config->service)
			s->routes[i].guard =
				s->services[s->routes[i].config->service->index].guard;
		s->routes[i].idle_phases = pipeline_idle_phases(s, &s->routes[i]);
	}
	return 0;
}

struct snapshot *snapshot_with_endpoints(const struct snapshot *snapshot,
					 struct endpoint_list *const *found, struct err *err)
{
	struct counted_snapshot *counted = mem_zalloc(1, sizeof(*counted));
	const struct snapshot *base = snapshot->base ? snapshot->base : snapshot;
	struct snapshot *s;

	if (!counted) {
		out_of_memory(err);
		return NULL;
	}
	counted->refs = 1;
	s = &counted->snapshot;
	*s = *snapshot;
	s->base = snapshot_ref((struct snapshot *)(uintptr_t)base);
	s->services = NULL;
	s->routes = NULL;
	if (copy_services(s, snapshot, found, err) == 0 && copy_routes(s, snapshot, err) == 0)
		return s;
	snapshot_unref(s);
	return NULL;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
	struct counted_snapshot *counted =
		CONTAINER_OF(snapshot, struct counted_snapshot, snapshot);

	atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
	return snapshot;
}

static void release_services(struct snapshot *s)
{
	for (size_t i = 0; s->services && i < s->config->services.count; i++) {
		guard_service_unref(s->services[i].guard);
		endpoint_list_unref(s->services[i].found);
	}
}

/* One that differs from its base in endpoints only. */
static void release_derived(struct snapshot *s)
{
	release_services(s);
	mem_free(s->services);
	mem_free(s->routes);
	snapshot_unref(s->base);
}

static void release(struct snapshot *s)
{
	release_services(s);
	for (size_t i = 0; s->routes && i < s->config->routes.count; i++) {
		access_rule_free(s->routes[i].access);
		if (s->routes[i].limit_count > 1)
			mem_free((void *)(uintptr_t)s->routes[i].limits);
		bulkhead_unref(s->routes[i].bulkhead);
		buf_release(&s->routes[i].respond_file);
	}
	for (size_t i = 0; s->services && i < s->config->services.count; i++) {
		identity_pass_free(s->services[i].pass);
		contract_plan_release(&s->services[i]);
		buf_release(&s->services[i].fallback_file);
		tls_context_unref(s->services[i].tls);
	}
	for (size_t i = 0; s->listens && i < s->config->listen.count; i++)
		tls_context_unref(s->listens[i].tls);
	mem_free(s->routes);
	mem_free(s->services);
	mem_free(s->listens);
	mem_free(s->security_fields);
	buf_release(&s->security_lines);
	buf_release(&s->via_text);
	router_free(s->router);
	identity_strip_free(s->strip);
	authenticator_unref(s->authenticator);
	inspect_release(s);
	cidr_set_release(&s->trusted_proxies);
	free_ips(s->ips);
	config_unref(s->config);
}

void snapshot_unref(struct snapshot *snapshot)
{
	struct counted_snapshot *counted;

	if (!snapshot)
		return;
	counted = CONTAINER_OF(snapshot, struct counted_snapshot, snapshot);
	if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (snapshot->base)
		release_derived(snapshot);
	else
		release(snapshot);
	mem_free(counted);
}
