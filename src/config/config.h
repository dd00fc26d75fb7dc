/*
 * config.h - the configuration as plain data: what `sallyport.yaml` says, checked, with every
 * default filled in. A `struct config` is immutable after loading, reference-counted, and owns all
 * that it points to; readers need no lock and keep spans for as long as they hold a reference.
 *
 * Conventions:
 * - Every span is followed by a NUL in memory; an absent text has len 0 (ptr may be NULL).
 * - A file name is resolved against the folder of the configuration file that names it.
 * - Times are milliseconds, sizes are bytes. Where 0 has a meaning of its own the field says so.
 * - CONFIG_LIST fields are {at, count}; pointers to a struct are NULL where the key is absent.
 * - Names of enumerators are CONFIG_<KEY>_<VALUE>, in the order in which the file's reference
 *   (docs/configuration.md) lists them.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"
#include "config/config_base.h"
#include "config/config_challenge.h"
#include "config/config_discover.h"
#include "config/config_guard.h"
#include "config/config_mail.h"
#include "config/config_oauth.h"
#include "config/config_patch.h"
#include "config/config_people.h"
#include "config/config_process.h"
#include "config/config_registry.h"
#include "config/config_waf.h"
#include "parse/address.h"

/* ---- identity -------------------------------------------------------------------------------- */

/* JWS algorithms (RFC 7518, RFC 8037) as bits of an allow-list. */
enum config_jws {
	CONFIG_JWS_RS256 = 1 << 0,
	CONFIG_JWS_RS384 = 1 << 1,
	CONFIG_JWS_RS512 = 1 << 2,
	CONFIG_JWS_PS256 = 1 << 3,
	CONFIG_JWS_PS384 = 1 << 4,
	CONFIG_JWS_PS512 = 1 << 5,
	CONFIG_JWS_ES256 = 1 << 6,
	CONFIG_JWS_ES384 = 1 << 7,
	CONFIG_JWS_ES512 = 1 << 8,
	CONFIG_JWS_EDDSA = 1 << 9,
};

/* Where in a token the gateway finds things; each a path of member names, outermost first. */
struct config_claims {
	struct config_strings subject;
	struct config_strings client;
	struct config_strings scope; /* a space-separated string, or an array of strings */
	struct config_strings roles; /* empty: tokens give no roles */
	struct config_strings permissions; /* empty: tokens give no permissions */
};

struct config_introspection {
	struct config_where where;
	struct span url; /* RFC 7662 endpoint */
	struct span client_id;
	struct secret client_secret;
	uint64_t cache_ttl_ms; /* an answer is never kept beyond the token's exp; 0: no cache */
	uint64_t timeout_ms;
	struct span ca; /* file: PEM bundle; empty: the system's */
};

struct config_provider {
	struct config_where where;
	bool built_in; /* our own server: keys come from the store */
	struct span name; /* unique */
	struct span issuer; /* compared with `iss` byte by byte */
	struct config_strings audience; /* one of them must be in `aud`; at least one */
	unsigned algorithms; /* enum config_jws */
	struct span jwks_file; /* exactly one of jwks_file, jwks_url unless introspection */
	struct span jwks_url;
	struct span jwks_ca; /* file: PEM bundle for jwks_url; empty: the system's */
	uint64_t jwks_refresh_ms;
	uint64_t jwks_min_refetch_ms; /* between fetches because of an unknown kid */
	uint64_t clock_skew_ms;
	bool require_typ_at_jwt; /* RFC 9068 section 4 */
	struct config_claims claims;
	struct config_introspection *introspection; /* for tokens that are no JWT */
};

/* One key: the SHA-256 of what the client sends, and whom it stands for. */
struct config_api_key {
	struct config_where where;
	uint8_t sha256[32];
	struct span client; /* the identity */
	struct config_strings roles;
	struct config_strings scopes;
	uint64_t expires_unix_s; /* 0: never */
};

struct config_api_keys {
	struct config_where where;
	struct span header; /* lower case */
	CONFIG_LIST(struct config_api_key) keys; /* those of `keys` and of `file` together */
};

struct config_client_identity {
	struct config_where where;
	struct span
		spiffe; /* "spiffe://domain/path", a trailing "/" + "*" matches below it; or */
	struct span subject; /* an RFC 4514 distinguished name, the whole; or */
	struct span dns; /* a DNS subject alternative name */
	struct span identity; /* empty: the SPIFFE id, name or DNS name itself */
	struct config_strings roles;
	struct config_strings scopes;
};

struct config_role {
	struct config_where where;
	struct span name;
	struct config_strings
		permissions; /* "orders:read"; a last part "*" stands for every one */
	struct config_strings includes; /* names of other roles; never a cycle */
};

struct config_lockout {
	uint32_t failures;
	uint64_t wait_ms;
	uint64_t max_wait_ms;
	uint64_t
		answer_ms; /* failed logins are answered after this, or twice, four times this */
};

/* argon2id (RFC 9106), and what a new password must be like. */
struct config_password {
	uint64_t memory_bytes;
	uint32_t passes;
	uint32_t lanes;
	uint32_t min_chars;
	struct span breached; /* file: passwords that are known, one a line; may be empty */
};

struct config_tokens {
	uint64_t access_ms;
	uint64_t id_ms;
	uint64_t code_ms;
	uint64_t device_ms;
	uint64_t refresh_ms; /* unused */
	uint64_t refresh_absolute_ms; /* since the user logged in */
};

struct config_signing {
	unsigned algorithm; /* one enum config_jws */
	uint64_t rotate_ms;
};

struct config_identity {
	struct config_where where;
	struct span issuer; /* of the built-in server; empty: none */
	struct span
		key_file; /* what seals secrets in the store; empty: beside the SQLite file */
	struct config_lockout lockout;
	struct config_password password;
	struct config_session session;
	struct config_tokens tokens;
	struct config_signing signing;
	struct config_oauth oauth;
	struct config_theme theme;
	struct config_codes codes;
	struct config_sms *sms; /* NULL: none */
	struct config_accounts accounts;
	CONFIG_LIST(struct config_federation) federation;
	CONFIG_LIST(struct config_ldap) ldap;
	CONFIG_LIST(struct config_provider) providers;
	struct config_api_keys *api_keys;
	CONFIG_LIST(struct config_client_identity) client_certificates;
	CONFIG_LIST(struct config_role) roles;
	uint32_t token_cache_size; /* entries a process; 0: no cache */
	uint64_t token_cache_max_age_ms;
	struct span realm; /* of WWW-Authenticate */
};

/* ---- services -------------------------------------------------------------------------------- */

enum config_protocol {
	CONFIG_PROTOCOL_AUTO, /* http: HTTP/1.1; https: what ALPN gives; h2c: HTTP/2 */
	CONFIG_PROTOCOL_HTTP1,
	CONFIG_PROTOCOL_H2,
	CONFIG_PROTOCOL_H2C
};

enum config_balance {
	CONFIG_BALANCE_ROUND_ROBIN,
	CONFIG_BALANCE_LEAST_REQUESTS,
	CONFIG_BALANCE_CONSISTENT_HASH
};
enum config_hash_by {
	CONFIG_HASH_BY_ADDRESS,
	CONFIG_HASH_BY_HEADER,
	CONFIG_HASH_BY_COOKIE,
	CONFIG_HASH_BY_PATH,
	CONFIG_HASH_BY_USER
};

struct config_timeout {
	uint64_t connect_ms; /* name, TCP and TLS together */
	uint64_t dns_ms; /* of that, for the name; 0: no limit of its own */
	uint64_t tls_ms; /* of that, for the TLS handshake; 0: no limit of its own */
	uint64_t request_ms; /* from the end of the request to the first byte of the response */
	uint64_t idle_ms; /* between bytes, either way; 0: no limit */
	uint64_t total_ms; /* the whole exchange; 0: no limit */
};

enum config_retry_on {
	CONFIG_RETRY_ON_CONNECT = 1 << 0, /* no connection */
	CONFIG_RETRY_ON_RESET = 1
				<< 1, /* connection lost before the first byte of the answer */
	CONFIG_RETRY_ON_TIMEOUT = 1 << 2, /* timeout.request passed */
	CONFIG_RETRY_ON_502 = 1 << 3,
	CONFIG_RETRY_ON_503 = 1 << 4,
	CONFIG_RETRY_ON_504 = 1 << 5,
	CONFIG_RETRY_ON_5XX = 1 << 6, /* any 5xx */
};

struct config_retry {
	uint32_t
		attempts; /* after the first; 0: none. Idempotent methods only (RFC 9110 9.2.2) */
	uint32_t budget_percent; /* retries in progress over requests in progress */
	uint32_t budget_min; /* retries a second that are always allowed */
	unsigned on; /* enum config_retry_on */
	uint64_t backoff_ms; /* before the first retry; doubles, with jitter */
	uint64_t max_backoff_ms;
	/* Without an answer's head after so long another endpoint is asked too; 0: never. */
	uint64_t hedge_ms;
	uint32_t hedge_percentile; /* not before so many in a hundred would have answered; 0 */
};

struct config_pool {
	uint32_t size; /* connections an endpoint and worker */
	uint64_t idle_timeout_ms;
	uint32_t requests_per_connection; /* 0: no limit */
	uint64_t ping_interval_ms; /* of an HTTP/2 service's silence; 0: never */
	uint64_t ping_timeout_ms;
};

struct config_upstream_tls {
	struct span ca; /* file: PEM bundle; empty: the system's */
	struct span certificate; /* file: client certificate chain; may be empty */
	struct span key; /* file */
	struct span server_name; /* SNI and the name to verify; empty: the endpoint's host */
	bool verify;
	struct config_strings alpn; /* empty: by protocol */
	enum config_tls_version min_version;
};

enum config_pass_identity {
	CONFIG_PASS_IDENTITY_NONE,
	CONFIG_PASS_IDENTITY_HEADERS,
	CONFIG_PASS_IDENTITY_JWT
};

/* Names are lower case; an empty name is not sent. All are removed from client requests. */
struct config_pass_headers {
	struct span subject;
	struct span client;
	struct span roles; /* comma-separated */
	struct span scopes; /* space-separated */
};

struct config_pass_jwt {
	struct span header; /* lower case; "authorization" is sent as "Bearer ..." */
	struct span key; /* file: PEM private key */
	struct span key_id; /* `kid`; empty: the key's RFC 7638 thumbprint */
	unsigned algorithm; /* one enum config_jws; 0: by the key's type */
	struct span issuer;
	struct span audience; /* empty: the service's name */
	uint64_t ttl_ms;
};

struct config_service_identity {
	struct config_where where;
	enum config_pass_identity as;
	struct config_pass_headers headers;
	struct config_pass_jwt jwt;
	bool forward_authorization; /* leave the client's Authorization and API key in place */
};

struct config_bulkhead {
	uint32_t concurrent;
	uint32_t queue;
	uint64_t wait_ms;
	bool adaptive; /* between least and concurrent, by measured latency */
	uint32_t least;
};

enum config_breaker_scope {
	CONFIG_BREAKER_SCOPE_BOTH,
	CONFIG_BREAKER_SCOPE_SERVICE,
	CONFIG_BREAKER_SCOPE_ENDPOINT
};

struct config_breaker {
	uint32_t window; /* requests */
	uint64_t window_ms; /* not 0: in the place of window */
	uint32_t minimum;
	uint32_t failure_rate_percent;
	uint32_t slow_rate_percent;
	uint64_t slow_ms; /* an answer that takes longer is slow; 0: none is */
	uint64_t open_ms;
	uint32_t growth_percent;
	uint64_t open_max_ms;
	uint32_t probes;
	uint64_t half_open_ms; /* 0: no limit */
	enum config_breaker_scope scope;
	unsigned record; /* enum config_retry_on: failures ... */
	unsigned ignore; /* ... but for these, which count for nothing */
};

enum config_health_type { CONFIG_HEALTH_HTTP, CONFIG_HEALTH_TCP, CONFIG_HEALTH_GRPC };

struct config_health {
	enum config_health_type type;
	struct span path;
	struct span body; /* a good answer of HTTP contains it; empty: any does */
	struct span service; /* of gRPC; empty: the server as a whole */
	uint64_t interval_ms;
	uint64_t timeout_ms;
	uint32_t healthy; /* good answers in a row that bring an endpoint back */
	uint32_t unhealthy; /* bad ones that take it out */
	uint32_t status_from, status_to; /* good answers, both inclusive */
};

/* Endpoints that fail real calls get none for a while. */
struct config_outlier {
	uint32_t consecutive_5xx; /* 0: does not eject */
	uint32_t
		consecutive_gateway; /* 502, 503, 504 and no answer at all; 0: does not eject */
	uint64_t interval_ms;
	uint64_t ejection_ms;
	uint64_t ejection_max_ms;
	uint32_t max_percent;
	/*
	 * Once each interval, of endpoints with enough calls: so many percent of the standard deviation
	 * below the mean share of good calls eject; 0: none do.
	 */
	uint32_t deviation_percent;
	uint32_t deviation_endpoints; /* with enough calls, or nothing is said */
	uint32_t deviation_calls;
	uint32_t failure_percent; /* of an endpoint's calls, that eject it; 0: none do */
	uint32_t failure_calls;
};

/* A fixed answer. */
struct config_answer {
	struct config_where where;
	uint32_t status;
	struct span body; /* or */
	struct span file;
	struct span content_type;
	CONFIG_LIST(struct config_pair) headers;
};

/* What the client gets when the service cannot give an answer; tried in this order. */
struct config_fallback {
	struct config_answer answer; /* first: it has the place; used when has_answer */
	bool has_answer;
	uint64_t stale_ms; /* its last good answer, this old at most; 0: none is kept */
	uint64_t stale_bytes; /* of all that are kept */
	uint64_t stale_answer_bytes; /* of one */
	struct span service_name; /* that other service's answer; empty: none */
	const struct config_service *service; /* NULL: none */
	struct config_degraded *degraded; /* NULL: none */
	unsigned on; /* enum config_retry_on */
};

enum config_check { CONFIG_CHECK_OFF, CONFIG_CHECK_OBSERVE, CONFIG_CHECK_ENFORCE };
enum config_unknown { CONFIG_UNKNOWN_ALLOW, CONFIG_UNKNOWN_STRIP, CONFIG_UNKNOWN_REFUSE };

/* What the service's OpenAPI document has to say. */
struct config_contract {
	struct config_where where;
	struct span file;
	enum config_check mode;
	enum config_check responses;
	enum config_unknown unknown_query;
	enum config_unknown unknown_properties; /* of JSON, and fields of forms */
	enum config_unknown unknown_response_properties;
	enum config_large large; /* bodies over limits.body_buffer */
	struct span base_path; /* in place of the document's; "/" stands for none */
	bool formats; /* `format` is checked where it otherwise only annotates */
	bool security; /* its security requirements hold */
	uint64_t memory_bytes; /* of compiled schemas; of documents twice as much */
	uint64_t pattern_time_ms; /* of patterns in the long values of a request */
};

struct config_service {
	struct config_where where;
	struct span name;
	uint32_t index; /* in config.services */
	CONFIG_LIST(struct config_endpoint) endpoints; /* at least one, or `discover` */
	struct span endpoints_file; /* where they are from; empty: the configuration */
	struct config_discover *discover; /* who is asked for them; NULL: nobody */
	enum config_protocol protocol;
	enum config_balance balance;
	enum config_hash_by hash_by;
	struct span hash_name; /* of the header (lower case) or cookie */
	struct config_timeout timeout;
	struct config_retry retry;
	struct config_pool pool;
	struct config_upstream_tls tls;
	struct config_service_identity identity;
	struct span host; /* Host sent upstream; empty: the client's */
	struct config_contract *contract; /* NULL: none */
	enum config_waf_mode waf;
	struct config_bulkhead *bulkhead;
	struct config_breaker *breaker;
	struct config_health *health;
	struct config_outlier *outlier;
	uint64_t slow_start_ms; /* an endpoint that has come back gets its share by degrees */
	uint32_t panic_percent; /* fewer endpoints are well: all are used */
	struct config_fallback *fallback;
	bool has_procedure; /* what comes of its calls is counted for one */
	struct span
		deadline_field; /* lower case: the milliseconds that are left; empty: none */
};

/* ---- routes ---------------------------------------------------------------------------------- */

enum config_auth {
	CONFIG_AUTH_REQUIRED,
	CONFIG_AUTH_OPTIONAL,
	CONFIG_AUTH_NONE,
	CONFIG_AUTH_SESSION /* a login of the built-in server; browsers are sent to log in */
};

/* Services inside of the program: a route names them as it names others. */
enum config_internal {
	CONFIG_INTERNAL_NONE,
	CONFIG_INTERNAL_IDENTITY,
	CONFIG_INTERNAL_CONSOLE,
	CONFIG_INTERNAL_REGISTRY,
	CONFIG_INTERNAL_APPROVALS,
	CONFIG_INTERNAL_COUNT,
};

enum config_condition_kind {
	CONFIG_CONDITION_EQUALS, /* the claim is, or contains, values.at[0] */
	CONFIG_CONDITION_IN, /* ... one of values */
	CONFIG_CONDITION_MATCHES, /* ... text that the whole pattern matches */
	CONFIG_CONDITION_EXISTS
};

struct config_condition {
	struct config_where where;
	struct config_strings claim; /* path of member names */
	enum config_condition_kind kind;
	struct config_strings values;
	struct span pattern; /* PCRE2, anchored at both ends */
	bool exists; /* for CONFIG_CONDITION_EXISTS */
};

/* Under load, the first is served first and shed last. */
enum config_priority { CONFIG_PRIORITY_CORE, CONFIG_PRIORITY_NORMAL, CONFIG_PRIORITY_LOW };

enum config_limit_per {
	CONFIG_LIMIT_PER_ADDRESS,
	/* the next three: the address where there is none */
	CONFIG_LIMIT_PER_USER,
	CONFIG_LIMIT_PER_CLIENT,
	CONFIG_LIMIT_PER_KEY, /* the API key */
	CONFIG_LIMIT_PER_ROUTE,
	CONFIG_LIMIT_PER_SERVICE
};

struct config_limit {
	struct config_where where;
	enum config_limit_per per;
	struct config_rate rate;
	uint32_t burst; /* at least 1; when absent the rate's count */
};

struct config_header_edit {
	CONFIG_LIST(struct config_pair) set; /* names lower case; replaces what is there */
	struct config_strings remove; /* lower case */
};

struct config_cors {
	struct config_strings origins; /* "*" or whole origins */
	struct config_strings methods;
	struct config_strings headers;
	struct config_strings expose;
	bool credentials; /* never together with "*" */
	uint64_t max_age_ms;
};

struct config_route {
	struct config_where where;
	uint32_t index; /* in config.routes */
	struct config_strings
		hosts; /* lower case; "*.example.com" is one label or more; empty: any */
	struct span
		path; /* "/a/b" exact, "/a/{id}" one segment, "/a/" + "**" all below and itself */
	struct config_strings methods; /* empty: every method */
	struct span service_name; /* empty when `respond` is set */
	const struct config_service *service; /* NULL when `respond` or `internal` is set */
	enum config_internal internal;
	struct config_answer *respond;
	struct span
		operation; /* name for logs, metrics, approvals; never empty after loading */
	enum config_auth auth;
	struct config_strings scopes; /* all of them */
	struct config_strings roles; /* one of them */
	struct config_strings permissions; /* all of them */
	CONFIG_LIST(struct config_condition) claims; /* all of them */
	CONFIG_LIST(struct config_limit) limits; /* all hold */
	struct span strip_prefix; /* removed from the front of the path; empty: nothing */
	struct span add_prefix; /* then put before it */
	struct config_timeout
		timeout; /* the route's, and where it says nothing the service's */
	struct config_header_edit request_headers;
	struct config_header_edit response_headers;
	uint64_t body_bytes; /* the route's or limits.body_bytes; 0: no limit */
	enum config_priority priority;
	struct config_bulkhead *bulkhead; /* of the operation, within the service's */
	struct config_pool *pool; /* of the operation; NULL: the service's */
	bool websocket;
	struct config_cors *cors;
	enum config_challenge_when challenge;
	enum config_waf_mode waf; /* after loading that which holds, never INHERIT */
};

/* ---- response headers, storage, later phases --------------------------------------------------- */

struct config_security_headers {
	bool enabled;
	/* name (lower case) and value of each field that responses get unless the service sent it */
	CONFIG_LIST(struct config_pair) fields;
	struct span hsts; /* value of Strict-Transport-Security on TLS; empty: not sent */
	bool remove_server; /* Server, X-Powered-By and the like of the service are removed */
};

/* "sqlite:path", "postgres://...", "redis://..."; secrets as they may hold passwords. */
struct config_store {
	struct config_where where;
	struct secret url; /* len 0: none given */
	struct secret shared; /* len 0: state is not shared between replicas */
};

struct config_sensitive {
	struct config_where where;
	struct span operation;
	uint32_t approvals;
	struct span by; /* role; empty: no approval is needed, but the following */
	struct config_strings acr; /* one of them is that of the login (RFC 9470); empty: any */
	uint64_t max_age_ms; /* of the login; 0: any */
	uint32_t pending; /* of one requester that may wait at once; 0: any number */
	uint64_t expires_ms;
	uint64_t
		hold_ms; /* how long a request is held for a decision; 0: answered 202 at once */
};

/* Percent of a resource's limit at which each action begins; 0: never. */
struct config_overload {
	uint64_t
		memory_bytes; /* resident, that are 100 %; 0: the cgroup's limit, if it has one */
	uint64_t lag_ms; /* of an event loop, that is 100 % */
	uint32_t queued; /* requests and jobs that wait, that are 100 % */
	uint32_t hysteresis_percent; /* actions end this much below where they begin */
	uint32_t fair_share_percent;
	uint32_t no_keep_alive_percent;
	uint32_t short_timeouts_percent;
	uint32_t shed_low_percent;
	uint32_t shed_normal_percent;
	uint32_t refuse_percent;
};

enum config_ips_mode { CONFIG_IPS_OFF, CONFIG_IPS_OBSERVE, CONFIG_IPS_BLOCK };

/* What a client is banned for, each counted apart. */
enum config_ips_kind {
	CONFIG_IPS_ATTACK, /* refused by the WAF */
	CONFIG_IPS_CONTRACT, /* breaks a service's contract */
	CONFIG_IPS_MALFORMED, /* is no HTTP that we take */
	CONFIG_IPS_SCAN, /* asks for what is not there, or not theirs: 404, 403, 405 */
	CONFIG_IPS_LOGIN, /* credentials that are wrong */
	CONFIG_IPS_LIMIT, /* over a rate limit */
	/* What many do together: bans of clients in one network, or with one fingerprint. */
	CONFIG_IPS_NETWORK,
	CONFIG_IPS_FINGERPRINT,
	CONFIG_IPS_KINDS,
};

/* "attack", "contract" ...: for logs, metrics and records. */
const char *config_ips_kind_name(enum config_ips_kind kind);

struct config_ips_rule {
	uint32_t threshold; /* so many at once, or at this rate, ban; 0: never */
	uint64_t window_ms; /* in which as many are forgotten */
	uint64_t ban_ms; /* the first ban */
	uint32_t growth_percent; /* of that, the next; 100: the same */
	uint64_t ban_max_ms;
};

enum config_ips_by { CONFIG_IPS_BY_ADDRESS = 1 << 0, CONFIG_IPS_BY_IDENTITY = 1 << 1 };

struct config_ips {
	enum config_ips_mode mode;
	CONFIG_LIST(struct cidr) allow; /* never banned */
	CONFIG_LIST(struct cidr) deny; /* always */
	unsigned by; /* of enum config_ips_by */
	struct config_ips_rule rules[CONFIG_IPS_KINDS];
	uint32_t ipv4_prefix; /* of networks that are banned */
	uint32_t ipv6_prefix;
	uint64_t memory_ms; /* after its end, a ban makes the next longer for so long */
	uint32_t bans_max;
};

/* ---- the whole ------------------------------------------------------------------------------- */

struct config_private;

struct config {
	struct config_strings include; /* files whose contents are already part of the rest */
	CONFIG_LIST(struct config_listen) listen; /* at least one */
	uint32_t workers; /* 0: one a core */
	CONFIG_LIST(uint32_t) worker_cpus; /* worker i is pinned to element i modulo count */
	struct span user; /* empty: stay */
	struct span group; /* empty: the user's */
	bool sandbox;
	struct config_limits limits;
	CONFIG_LIST(struct cidr) trusted_proxies;
	struct config_forwarded_headers forwarded;
	struct config_admin admin;
	struct config_log log;
	struct config_identity identity;
	CONFIG_LIST(struct config_service) services;
	CONFIG_LIST(struct config_route) routes;
	struct config_security_headers headers;
	struct config_store store;
	CONFIG_LIST(struct config_sensitive) sensitive;
	struct config_waf *waf;
	CONFIG_LIST(struct config_patch) patches;
	struct config_ips *ips; /* NULL: nobody is banned */
	struct config_challenge challenge;
	struct config_overload *overload; /* NULL: not watched */
	CONFIG_LIST(struct config_webhook) webhooks;
	CONFIG_LIST(struct config_procedure) procedures;
	struct config_mail *mail; /* NULL: none is sent */
	struct config_registry *registry; /* NULL: there is none */
	struct config_private *priv; /* memory, references, what must be masked */
};

/* ---- loading --------------------------------------------------------------------------------- */

enum config_severity { CONFIG_WARNING, CONFIG_ERROR };

#define CONFIG_PROBLEMS_MAX 20

/* Messages never hold a secret, nor a value that came from the environment. */
struct config_problem {
	enum config_severity severity;
	char file[256];
	uint32_t line; /* 0 where there is none (a file that cannot be opened) */
	uint32_t column;
	char message[320];
};

/* The first CONFIG_PROBLEMS_MAX, in the order of the file; zero it before use. */
struct config_problems {
	size_t count;
	size_t errors; /* all that were found, also those not kept */
	size_t warnings;
	struct config_problem at[CONFIG_PROBLEMS_MAX];
};

/* How the loader reaches the outside; NULL members are not available to the file. */
struct config_source {
	/*
	 * The whole of a file of at most `max_bytes` appended to `out`: 0 or -1 with err. For
	 * included files, key files and `file:` secrets.
	 */
	int (*read_file)(void *context, const char *path, size_t max_bytes, struct buf *out,
			 struct err *err);
	/* 0 when the file that the configuration names can be read; -1 with err. */
	int (*check_file)(void *context, const char *path, struct err *err);
	/* The variable's value or NULL. */
	const char *(*variable)(void *context, const char *name);
	void *context;
	/*
	 * The names in a folder, each with a NUL behind it, appended to `out`. 1: there is something
	 * else at `path`, or nothing; -1 with err. For included folders.
	 */
	int (*list_folder)(void *context, const char *path, struct buf *out, struct err *err);
};

/* Files and environment of this process. */
extern const struct config_source config_source_system;
/* As above, but does not look whether named certificates, keys and the like can be read. */
extern const struct config_source config_source_unchecked;

/*
 * Reads and checks a file. 0 with *out holding one reference; or -1 with at least one error in
 * *problems, *out untouched. Warnings may come with success. Not thread-safe against setenv.
 */
int config_load(const char *path, struct config **out,
		struct config_problems *problems) MUST_CHECK;
/* As above from memory; `name` stands for the file and its folder resolves relative paths. */
int config_load_text(struct span text, const char *name, const struct config_source *source,
		     struct config **out, struct config_problems *problems) MUST_CHECK;

struct config *config_ref(struct config *cfg);
/* NULL is allowed; the last one wipes the secrets and frees all. Safe from any thread. */
void config_unref(struct config *cfg);

/* The first error as one line: "file:line:column: message". Always -1, with ERR_INVALID. */
int config_problems_to_err(const struct config_problems *problems, struct err *err);
/* "file:line:column: error: message\n" for each, and how many more there were. */
void config_problems_print(const struct config_problems *problems, struct buf *out);

/* ---- looking things up ----------------------------------------------------------------------- */

/* NULL when there is none of that name. */
const struct config_service *config_service_find(const struct config *cfg, struct span name);
const struct config_role *config_role_find(const struct config *cfg, struct span name);
/* What is said of an operation under `sensitive`. */
const struct config_sensitive *config_sensitive_find(const struct config *cfg,
						     struct span operation);
/* "RS256"; NULL for what is not exactly one bit of enum config_jws. */
const char *config_jws_name(unsigned algorithm);
/* "user". */
const char *config_limit_per_name(enum config_limit_per per);
/* Only this machine reaches it: a Unix socket, localhost, a loopback address. */
bool config_address_is_local(const struct config_address *address);

/* ---- printing -------------------------------------------------------------------------------- */
/* All append to `out`; look at buf_failed() afterwards. */

/*
 * The effective configuration as one JSON object. Secrets, and free texts that came from the
 * environment, are "***"; file names, addresses and endpoints are shown.
 */
void config_print_masked(const struct config *cfg, struct buf *out);
/* What `sallyport check` prints: every route with who may call it and under which limits. */
void config_plan_text(const struct config *cfg, struct buf *out);
void config_plan_json(const struct config *cfg, struct buf *out);

/* The JSON Schema (2020-12) of the file, and the reference table for docs/configuration.md. */
void config_write_json_schema(struct buf *out);
void config_write_reference(struct buf *out);

#endif
