/* threat.c - what can go wrong with a configuration, element by element. */
#include "config/threat.h"

/* ---- what is looked for ---------------------------------------------------------------------- */

static const struct threat_kind plain_text = {
	"threat-plain-text",
	THREAT_DISCLOSURE,
	FINDING_HIGH,
	"Traffic of clients can be read and changed on its way.",
	"Give the listener tls, or bind it to a loopback address or a Unix socket.",
	"CWE-319, API8:2023"};
static const struct threat_kind forged_address = {
	"threat-forged-address",
	THREAT_SPOOFING,
	FINDING_MEDIUM,
	"Clients can choose the address that limits, bans and logs go by.",
	"Name only your own proxies in trusted_proxies.",
	"CWE-290"};
static const struct threat_kind slow_clients = {
	"threat-slow-clients",
	THREAT_DENIAL,
	FINDING_MEDIUM,
	"Clients that send or take bytes slowly hold connections for as long as they like.",
	"Keep limits.headers_timeout and limits.body_rate above 0.",
	"CWE-400, API4:2023"};
static const struct threat_kind many_connections = {"threat-many-connections",
						    THREAT_DENIAL,
						    FINDING_MEDIUM,
						    "One address can take all connections.",
						    "Set limits.connections_per_address.",
						    "CWE-770, API4:2023"};
static const struct threat_kind open_admin = {
	"threat-open-admin",
	THREAT_ELEVATION,
	FINDING_HIGH,
	"Who reaches the admin listener reads metrics and configuration, and may change "
	"things.",
	"Bind admin to a loopback address or a Unix socket.",
	"CWE-306, API8:2023"};
static const struct threat_kind anybody = {
	"threat-anybody",
	THREAT_SPOOFING,
	FINDING_HIGH,
	"Anybody can call an operation that may change something.",
	"Require a login (auth: required or session), or name only methods that read.",
	"CWE-306, API2:2023"};
static const struct threat_kind anybody_reads = {
	"threat-anybody-reads",
	THREAT_SPOOFING,
	FINDING_LOW,
	"Anybody can read what an operation answers.",
	"Require a login (auth: required or session) unless it is public.",
	"CWE-306, API2:2023"};
static const struct threat_kind no_authorisation = {
	"threat-no-authorisation",
	THREAT_ELEVATION,
	FINDING_MEDIUM,
	"Whoever is logged in can call the operation.",
	"Name scopes, roles, permissions or claims that callers must have.",
	"CWE-862, API5:2023"};
static const struct threat_kind any_origin = {
	"threat-any-origin",
	THREAT_DISCLOSURE,
	FINDING_LOW,
	"Pages of any site can read the answers in their visitors' browsers.",
	"Name the origins in cors.origins.",
	"CWE-942"};
static const struct threat_kind no_limit = {"threat-no-limit",
					    THREAT_DENIAL,
					    FINDING_MEDIUM,
					    "One caller can call the operation without end.",
					    "Give the route a limit per user or address.",
					    "CWE-770, API4:2023"};
static const struct threat_kind endless_body = {"threat-endless-body",
						THREAT_DENIAL,
						FINDING_MEDIUM,
						"Requests of any size reach the service.",
						"Set the route's body, or limits.body.",
						"CWE-770, API4:2023"};
static const struct threat_kind unchecked_request = {
	"threat-unchecked-request",
	THREAT_TAMPERING,
	FINDING_MEDIUM,
	"Requests reach the service without being held against a contract.",
	"Give the service its OpenAPI document as contract, in mode enforce.",
	"CWE-20, API8:2023"};
static const struct threat_kind uninspected = {
	"threat-uninspected",
	THREAT_TAMPERING,
	FINDING_MEDIUM,
	"Attacks in requests (injection, cross-site scripting) reach the service.",
	"Add waf: {rules: owasp-crs, mode: block}, and do not switch it off for the route.",
	"CWE-74, CWE-79"};
static const struct threat_kind unapproved = {
	"threat-unapproved",
	THREAT_REPUDIATION,
	FINDING_LOW,
	"One person alone can delete, and nobody else has seen it.",
	"Name the operation under sensitive, with approvals or a recent login.",
	"CWE-654"};
static const struct threat_kind service_plain = {
	"threat-service-plain-text",
	THREAT_DISCLOSURE,
	FINDING_HIGH,
	"What passes between the gateway and the service can be read and changed.",
	"Use https:// endpoints, with a CA of your own in tls.ca.",
	"CWE-319"};
static const struct threat_kind service_unverified = {
	"threat-service-unverified",
	THREAT_SPOOFING,
	FINDING_HIGH,
	"Anybody on the network can stand in for the service.",
	"Remove verify: false, and give the CA in tls.ca.",
	"CWE-295"};
static const struct threat_kind gateway_unknown = {
	"threat-gateway-unknown",
	THREAT_SPOOFING,
	FINDING_MEDIUM,
	"The service cannot tell requests of the gateway from those of others in its network.",
	"Give the gateway a client certificate (tls.certificate), or pass identities as jwt.",
	"CWE-346"};
static const struct threat_kind token_passed = {
	"threat-token-passed",
	THREAT_DISCLOSURE,
	FINDING_LOW,
	"The service gets callers' tokens and can use them elsewhere.",
	"Remove forward_authorization and pass the identity as jwt.",
	"CWE-522, API2:2023"};
static const struct threat_kind stuck_service = {
	"threat-stuck-service",
	THREAT_DENIAL,
	FINDING_MEDIUM,
	"A service that does not answer holds requests and connections.",
	"Set timeout.request, a bulkhead and a breaker.",
	"CWE-400, API4:2023"};
static const struct threat_kind unchecked_response = {
	"threat-unchecked-response",
	THREAT_DISCLOSURE,
	FINDING_LOW,
	"Answers may show more than the service's contract says.",
	"Set contract.responses: enforce.",
	"CWE-200, API3:2023"};
static const struct threat_kind guessed_login = {
	"threat-guessed-login",
	THREAT_SPOOFING,
	FINDING_HIGH,
	"Passwords can be guessed for as long as one likes.",
	"Keep identity.lockout.failures above 0, and ban who guesses (ips).",
	"CWE-307, API2:2023"};
static const struct threat_kind old_grant = {
	"threat-old-grant",
	THREAT_SPOOFING,
	FINDING_MEDIUM,
	"Applications see passwords, or tokens pass through browsers' addresses.",
	"Switch the password and implicit grants off; use authorization codes with PKCE.",
	"CWE-522, RFC 9700"};
static const struct threat_kind open_registration = {
	"threat-open-registration",
	THREAT_SPOOFING,
	FINDING_MEDIUM,
	"Anybody can register an application that asks users for their consent.",
	"Set oauth.registration.token.",
	"CWE-306"};
static const struct threat_kind forged_keys = {
	"threat-forged-keys",
	THREAT_SPOOFING,
	FINDING_CRITICAL,
	"Who can change traffic to the issuer can forge tokens.",
	"Use https:// for jwks and introspection.",
	"CWE-345, CWE-319"};
static const struct threat_kind lasting_keys = {"threat-lasting-keys",
						THREAT_SPOOFING,
						FINDING_LOW,
						"API keys that have leaked are good for ever.",
						"Give each key an expires.",
						"CWE-613, API2:2023"};
static const struct threat_kind directory_plain = {
	"threat-directory-plain-text",
	THREAT_DISCLOSURE,
	FINDING_HIGH,
	"Passwords that are checked by the directory can be read on their way.",
	"Use ldaps:// or start_tls, with verify.",
	"CWE-319, CWE-295"};
static const struct threat_kind no_sandbox = {
	"threat-no-sandbox",
	THREAT_ELEVATION,
	FINDING_HIGH,
	"A defect in the gateway gives its attacker the whole system.",
	"Remove sandbox: false.",
	"CWE-250, CWE-693"};
static const struct threat_kind no_audit = {
	"threat-no-audit",     THREAT_REPUDIATION,
	FINDING_MEDIUM,	       "Nobody can show afterwards who did what.",
	"Set log.audit.path.", "CWE-778"};
static const struct threat_kind no_bans = {"threat-no-bans",
					   THREAT_DENIAL,
					   FINDING_MEDIUM,
					   "Who attacks can go on trying.",
					   "Add ips: {mode: block}.",
					   "CWE-307, CWE-799"};
static const struct threat_kind overload = {
	"threat-overload",
	THREAT_DENIAL,
	FINDING_LOW,
	"Under more load than it can bear the gateway fails for everybody alike.",
	"Add overload.",
	"CWE-400, API4:2023"};

/* ---- saying it ------------------------------------------------------------------------------- */

/* Of one element. */
struct model {
	const struct config *cfg;
	struct threat_list *list;
	struct span element;
	struct config_where where;
};

static void element(struct model *m, const char *what, struct span name,
		    struct config_where where)
{
	m->element = arena_printf(m->list->arena, "%s%s%.*s", what, name.len ? " " : "",
				  SPAN_ARG(name));
	m->where = where;
	if (!m->element.ptr)
		m->list->failed = true;
}

static void say_text(struct model *m, const struct threat_kind *kind, enum threat_state state,
		     struct span because)
{
	struct threat_list *list = m->list;
	struct threat *at = list->failed || !because.ptr ? NULL
							 : arena_grow(list->arena, list->at,
								      list->count, sizeof(*at));

	if (!at) {
		list->failed = true;
		return;
	}
	list->at = at;
	list->at[list->count++] = (struct threat){.kind = kind,
						  .state = state,
						  .element = m->element,
						  .because = because,
						  .where = m->where};
}

#define say(m, kind, state, ...)                                                               \
	say_text(m, kind, state, arena_printf((m)->list->arena, __VA_ARGS__))

/* Mitigated or open, and why in either case. */
static void decide(struct model *m, const struct threat_kind *kind, bool is_mitigated,
		   const char *why, const char *why_not)
{
	say_text(m, kind, is_mitigated ? THREAT_MITIGATED : THREAT_OPEN,
		 span_cstr(is_mitigated ? why : why_not));
}

/* ---- where clients come in ------------------------------------------------------------------- */

static void listener(struct model *m, const struct config_listen *listen)
{
	const struct config_limits *limits = &m->cfg->limits;
	bool proxied = m->cfg->trusted_proxies.count > 0;

	element(m, "listener", listen->address.text, listen->where);
	if (listen->tls)
		say(m, &plain_text, THREAT_MITIGATED, "TLS %s",
		    listen->tls->min_version == CONFIG_TLS_1_3 ? "1.3" : "1.2 and 1.3");
	else if (config_address_is_local(&listen->address))
		say(m, &plain_text, THREAT_MITIGATED, "only this machine reaches it");
	else
		say(m, &plain_text, proxied ? THREAT_PARTLY : THREAT_OPEN, "no tls%s",
		    proxied ? "; trusted_proxies may end it" : "");
	decide(m, &slow_clients, limits->headers_timeout_ms && limits->body_rate_bytes,
	       "heads have a deadline, bodies a least rate",
	       "limits without headers_timeout or body_rate");
	if (limits->connections_per_address)
		say(m, &many_connections, THREAT_MITIGATED, "%u connections an address",
		    limits->connections_per_address);
	else
		say(m, &many_connections, THREAT_OPEN, "connections_per_address is 0");
}

/* A network of which everybody may be part. */
static bool is_everybody(const struct cidr *cidr)
{
	return cidr->prefix <= (address_is_ipv4(&cidr->base) ? 96 + 7 : 7);
}

static void proxies(struct model *m)
{
	bool wide = false;

	if (m->cfg->trusted_proxies.count == 0)
		return;
	for (size_t i = 0; i < m->cfg->trusted_proxies.count; i++)
		wide |= is_everybody(&m->cfg->trusted_proxies.at[i]);
	element(m, "trusted proxies", SPAN(""), (struct config_where){0});
	decide(m, &forged_address, !wide, "others' Forwarded and X-Forwarded-For are dropped",
	       "a network of trusted_proxies holds everybody");
}

static void admin(struct model *m)
{
	const struct config_admin *a = &m->cfg->admin;

	if (!a->enabled)
		return;
	element(m, "admin listener", a->address.text, a->where);
	decide(m, &open_admin, config_address_is_local(&a->address),
	       "only this machine reaches it",
	       a->actions ? "it has no login, and may change things" : "it has no login");
}

/* ---- operations ------------------------------------------------------------------------------ */

static bool only_reads(const struct config_route *route)
{
	for (size_t i = 0; i < route->methods.count; i++)
		if (!span_eq(route->methods.at[i], SPAN("GET")) &&
		    !span_eq(route->methods.at[i], SPAN("HEAD")) &&
		    !span_eq(route->methods.at[i], SPAN("OPTIONS")))
			return false;
	return route->methods.count > 0;
}

static bool deletes(const struct config_route *route)
{
	for (size_t i = 0; i < route->methods.count; i++)
		if (span_eq(route->methods.at[i], SPAN("DELETE")))
			return true;
	return false;
}

static bool by_contract(const struct config_service *service)
{
	return service->contract && service->contract->mode == CONFIG_CHECK_ENFORCE;
}

static void who(struct model *m, const struct config_route *route)
{
	const struct threat_kind *kind = only_reads(route) ? &anybody_reads : &anybody;
	bool named = route->scopes.count || route->roles.count || route->permissions.count ||
		     route->claims.count;

	if (route->auth == CONFIG_AUTH_NONE || route->auth == CONFIG_AUTH_OPTIONAL) {
		bool secured =
			by_contract(route->service) && route->service->contract->security;

		say(m, kind, secured ? THREAT_PARTLY : THREAT_OPEN, "auth: %s%s",
		    route->auth == CONFIG_AUTH_NONE ? "none" : "optional",
		    secured ? "; the contract's security requirements hold" : "");
		return;
	}
	say(m, kind, THREAT_MITIGATED, "callers are authenticated");
	if (named)
		say(m, &no_authorisation, THREAT_MITIGATED,
		    "scopes, roles, permissions or claims are asked for");
	else if (by_contract(route->service) && route->service->contract->security)
		say(m, &no_authorisation, THREAT_PARTLY,
		    "only what the contract's security requirements name");
	else
		say(m, &no_authorisation, THREAT_OPEN,
		    "no scopes, roles, permissions or claims");
}

static void how_much(struct model *m, const struct config_route *route)
{
	if (route->limits.count)
		say(m, &no_limit, THREAT_MITIGATED, "%zu limit%s", route->limits.count,
		    route->limits.count > 1 ? "s" : "");
	else
		say(m, &no_limit, THREAT_OPEN, "no limit");
	if (only_reads(route))
		return;
	decide(m, &endless_body, route->body_bytes > 0, "bodies have a limit",
	       "bodies have no limit");
}

static void what(struct model *m, const struct config_route *route)
{
	const struct config_contract *contract = route->service->contract;

	if (!contract || contract->mode == CONFIG_CHECK_OFF)
		say(m, &unchecked_request, THREAT_OPEN,
		    contract ? "contract.mode: off" : "no contract");
	else if (contract->mode == CONFIG_CHECK_OBSERVE)
		say(m, &unchecked_request, THREAT_PARTLY, "contract.mode: observe");
	else
		say(m, &unchecked_request, THREAT_MITIGATED, "contract %.*s",
		    SPAN_ARG(contract->file));
	if (m->cfg->waf && route->waf == CONFIG_WAF_MODE_BLOCK)
		say(m, &uninspected, THREAT_MITIGATED, "the firewall blocks");
	else if (m->cfg->waf && route->waf == CONFIG_WAF_MODE_OBSERVE)
		say(m, &uninspected, THREAT_PARTLY, "the firewall only observes");
	else
		say(m, &uninspected, THREAT_OPEN,
		    m->cfg->waf ? "the firewall is off here" : "no waf");
}

static bool has_any_origin(const struct config_cors *cors)
{
	for (size_t i = 0; i < cors->origins.count; i++)
		if (span_eq(cors->origins.at[i], SPAN("*")))
			return true;
	return false;
}

static void operation(struct model *m, const struct config_route *route)
{
	if (!route->service)
		return;
	element(m, "operation", route->operation, route->where);
	who(m, route);
	what(m, route);
	how_much(m, route);
	if (route->cors)
		decide(m, &any_origin, !has_any_origin(route->cors), "origins are named",
		       "cors.origins: \"*\"");
	if (deletes(route))
		decide(m, &unapproved, config_sensitive_find(m->cfg, route->operation) != NULL,
		       "it is sensitive", "it is not sensitive");
}

/* ---- services -------------------------------------------------------------------------------- */

enum wire { WIRE_LOCAL, WIRE_TLS, WIRE_PLAIN };

static enum wire wire_of(const struct config_service *service)
{
	enum wire worst = WIRE_LOCAL;

	if (service->discover)
		worst = service->discover->scheme == CONFIG_SCHEME_HTTPS ? WIRE_TLS
									 : WIRE_PLAIN;
	for (size_t i = 0; i < service->endpoints.count; i++) {
		const struct config_endpoint *e = &service->endpoints.at[i];
		enum wire wire = e->scheme == CONFIG_SCHEME_HTTPS	? WIRE_TLS
				 : config_address_is_local(&e->address) ? WIRE_LOCAL
									: WIRE_PLAIN;

		if (wire > worst)
			worst = wire;
	}
	return worst;
}

static void service_wire(struct model *m, const struct config_service *service)
{
	enum wire wire = wire_of(service);
	bool known = service->tls.certificate.len ||
		     service->identity.as == CONFIG_PASS_IDENTITY_JWT;

	decide(m, &service_plain, wire != WIRE_PLAIN,
	       wire == WIRE_TLS ? "TLS" : "it is on this machine",
	       "an endpoint in plain text that is not on this machine");
	if (wire == WIRE_TLS)
		decide(m, &service_unverified, service->tls.verify,
		       "its certificate is verified", "tls.verify: false");
	if (service->tls.certificate.len)
		say(m, &gateway_unknown, THREAT_MITIGATED, "a client certificate");
	else if (known)
		say(m, &gateway_unknown, THREAT_MITIGATED, "identities are passed as jwt");
	else
		say(m, &gateway_unknown, wire == WIRE_LOCAL ? THREAT_PARTLY : THREAT_OPEN,
		    "no client certificate, no jwt%s",
		    wire == WIRE_LOCAL ? "; only this machine reaches it" : "");
}

static void service(struct model *m, const struct config_service *service)
{
	bool guarded = service->bulkhead && service->breaker;
	bool shown = service->contract && service->contract->responses == CONFIG_CHECK_ENFORCE;
	bool seen = service->contract && service->contract->responses == CONFIG_CHECK_OBSERVE;

	element(m, "service", service->name, service->where);
	service_wire(m, service);
	if (service->identity.forward_authorization)
		say(m, &token_passed, THREAT_OPEN, "forward_authorization is on");
	else
		say(m, &token_passed, THREAT_MITIGATED, "callers' credentials stay here");
	say(m, &stuck_service,
	    !service->timeout.request_ms ? THREAT_OPEN
	    : guarded			 ? THREAT_MITIGATED
					 : THREAT_PARTLY,
	    "%s%s%s", service->timeout.request_ms ? "a timeout" : "no timeout.request",
	    service->bulkhead ? ", a bulkhead" : ", no bulkhead",
	    service->breaker ? ", a breaker" : ", no breaker");
	say(m, &unchecked_response,
	    shown  ? THREAT_MITIGATED
	    : seen ? THREAT_PARTLY
		   : THREAT_OPEN,
	    "%s",
	    shown  ? "answers are held against the contract"
	    : seen ? "contract.responses: observe"
		   : "answers are not held against a contract");
}

/* ---- who is who ------------------------------------------------------------------------------ */

static void identity_server(struct model *m, const struct config_identity *identity)
{
	const struct config_oauth *oauth = &identity->oauth;
	bool old = oauth->password_grant || oauth->implicit_grant;

	if (!identity->issuer.len)
		return;
	element(m, "identity server", identity->issuer, identity->where);
	decide(m, &guessed_login, identity->lockout.failures > 0, "who fails often must wait",
	       "no lockout");
	say(m, &old_grant, old ? THREAT_OPEN : THREAT_MITIGATED, "%s%s%s",
	    oauth->password_grant ? "the password grant is on" : "",
	    oauth->password_grant && oauth->implicit_grant ? ", " : "",
	    oauth->implicit_grant ? "the implicit grant is on"
	    : old		  ? ""
				  : "neither the password nor the implicit grant is on");
	if (oauth->registration.enabled)
		decide(m, &open_registration, oauth->registration.token.len > 0,
		       "registering needs a token", "registering needs no token");
}

static bool is_plain_url(struct span url)
{
	return span_starts_with(url, SPAN("http://"));
}

static void provider(struct model *m, const struct config_provider *p)
{
	bool plain = is_plain_url(p->jwks_url) ||
		     (p->introspection && is_plain_url(p->introspection->url));

	if (p->built_in)
		return;
	element(m, "provider", p->name, p->where);
	decide(m, &forged_keys, !plain, "keys come from a file or by https",
	       "an http:// address");
}

static void api_keys(struct model *m, const struct config_api_keys *keys)
{
	size_t lasting = 0;

	if (!keys)
		return;
	for (size_t i = 0; i < keys->keys.count; i++)
		lasting += keys->keys.at[i].expires_unix_s == 0;
	element(m, "API keys", SPAN(""), keys->where);
	say(m, &lasting_keys, lasting ? THREAT_OPEN : THREAT_MITIGATED,
	    "%zu of %zu without expires", lasting, keys->keys.count);
}

static void directory(struct model *m, const struct config_ldap *ldap)
{
	bool local = span_starts_with(ldap->url, SPAN("ldapi://"));
	bool tls = ldap->start_tls || span_starts_with(ldap->url, SPAN("ldaps://"));

	element(m, "directory", ldap->name, ldap->where);
	decide(m, &directory_plain, local || (tls && ldap->verify),
	       local ? "a socket of this machine" : "TLS", tls ? "verify: false" : "no TLS");
}

/* ---- the process itself ---------------------------------------------------------------------- */

static void process(struct model *m)
{
	const struct config *cfg = m->cfg;
	bool blocks = cfg->ips && cfg->ips->mode == CONFIG_IPS_BLOCK;

	element(m, "process", SPAN(""), (struct config_where){0});
	decide(m, &no_sandbox, cfg->sandbox, "seccomp and Landlock confine it",
	       "sandbox: false");
	decide(m, &no_audit, cfg->log.audit_path.len > 0, "an audit log with a hash chain",
	       "no audit log");
	say(m, &no_bans,
	    blocks					   ? THREAT_MITIGATED
	    : cfg->ips && cfg->ips->mode != CONFIG_IPS_OFF ? THREAT_PARTLY
							   : THREAT_OPEN,
	    "%s",
	    blocks     ? "who attacks is banned"
	    : cfg->ips ? "ips only observes, or is off"
		       : "no ips");
	decide(m, &overload, cfg->overload != NULL, "load is shed by priority", "no overload");
}

int threat_find(const struct config *cfg, struct threat_list *list)
{
	struct model m = {.cfg = cfg, .list = list};

	for (size_t i = 0; i < cfg->listen.count; i++)
		listener(&m, &cfg->listen.at[i]);
	proxies(&m);
	admin(&m);
	for (size_t i = 0; i < cfg->routes.count; i++)
		operation(&m, &cfg->routes.at[i]);
	for (size_t i = 0; i < cfg->services.count; i++)
		service(&m, &cfg->services.at[i]);
	identity_server(&m, &cfg->identity);
	for (size_t i = 0; i < cfg->identity.providers.count; i++)
		provider(&m, &cfg->identity.providers.at[i]);
	api_keys(&m, cfg->identity.api_keys);
	for (size_t i = 0; i < cfg->identity.ldap.count; i++)
		directory(&m, &cfg->identity.ldap.at[i]);
	process(&m);
	return list->failed ? -1 : 0;
}
