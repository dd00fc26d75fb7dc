#include "gateway/ips.h"

#include "gateway/ban_service.h"
#include "guard/ban_who.h"

#define NO_KIND CONFIG_IPS_KINDS

static int64_t now_unix_ms(void)
{
	return loop_unix_s() * 1000;
}

static bool enforces(const struct snapshot_ips *ips)
{
	return ips->config->mode == CONFIG_IPS_BLOCK;
}

static bool is_banned(struct worker *worker, const struct snapshot_ips *ips,
		      const struct address *address)
{
	struct ban_table *table = ban_service_table(worker->shared->bans);

	if (ips->allow.count && cidr_set_contains(&ips->allow, address))
		return false;
	if (ips->deny.count && cidr_set_contains(&ips->deny, address))
		return true;
	return !ban_table_is_empty(table) &&
	       ban_until_of_address(table, address, now_unix_ms()) != 0;
}

/* Of a TLS client with this fingerprint, wherever it calls from. */
static bool is_banned_fingerprint(struct worker *worker, const struct snapshot_ips *ips,
				  const struct address *address, struct span fingerprint)
{
	struct ban_table *table = ban_service_table(worker->shared->bans);
	struct ban who;

	return !ban_table_is_empty(table) && !cidr_set_contains(&ips->allow, address) &&
	       ban_who_of_fingerprint(fingerprint, &who) &&
	       ban_until(table, who.hash, now_unix_ms()) != 0;
}

/* What a proxy before us starts with says nothing of its clients. */
static struct span fingerprint_of(const struct exchange *e)
{
	const char *fingerprint = e->x->peer->fingerprint;

	return fingerprint && !e->from_trusted_proxy ? span_cstr(fingerprint) : SPAN_NONE;
}

bool ips_refuses_connection(struct worker *worker, const struct address *address)
{
	const struct snapshot_ips *ips = worker->view->snapshot->ips;

	if (!enforces(ips) || !is_banned(worker, ips, address))
		return false;
	counter_add(&worker->metrics->banned_connections, 1);
	return true;
}

bool ips_refuses_hello(struct worker *worker, const struct address *address,
		       struct span fingerprint)
{
	const struct snapshot_ips *ips = worker->view->snapshot->ips;

	if (!ips || !enforces(ips) || !is_banned_fingerprint(worker, ips, address, fingerprint))
		return false;
	counter_add(&worker->metrics->banned_connections, 1);
	return true;
}

/* In mode observe, what would have been refused is only counted. */
static bool refuses(struct exchange *e)
{
	bool enforced = enforces(e->snapshot->ips);

	counter_add(&e->worker->metrics->banned_requests[enforced], 1);
	return enforced;
}

bool ips_refuses_address(struct exchange *e)
{
	const struct snapshot_ips *ips = e->snapshot->ips;
	struct span fingerprint = fingerprint_of(e);

	return (is_banned(e->worker, ips, &e->client) ||
		(fingerprint.ptr &&
		 is_banned_fingerprint(e->worker, ips, &e->client, fingerprint))) &&
	       refuses(e);
}

/* Whom the credentials stand for; false: nobody, or none that is kept. */
static bool identity_who(const struct exchange *e, struct ban *who)
{
	const struct identity *identity = e->identity;

	if (!(e->snapshot->ips->config->by & CONFIG_IPS_BY_IDENTITY) ||
	    identity->kind == IDENTITY_ANONYMOUS)
		return false;
	if (identity->subject.len)
		return ban_who_of_identity("user", identity->provider, identity->subject, who);
	return ban_who_of_identity("client", identity->provider, identity->client, who);
}

bool ips_refuses_identity(struct exchange *e)
{
	struct ban_table *table = ban_service_table(e->worker->shared->bans);
	struct ban who;

	return !ban_table_is_empty(table) &&
	       !cidr_set_contains(&e->snapshot->ips->allow, &e->client) &&
	       identity_who(e, &who) && ban_until(table, who.hash, now_unix_ms()) != 0 &&
	       refuses(e);
}

enum phase_result ips_refuse(struct exchange *e)
{
	e->reason = "banned";
	e->x->close_after = true;
	return answer_problem(e, 403, "banned", NULL);
}

/* ---- what is held against whom --------------------------------------------------------------- */

static bool has_reason(const struct exchange *e, const char *reason)
{
	return e->reason && span_eq(span_cstr(e->reason), span_cstr(reason));
}

/* Credentials that were good once, or were not given, are no attempt to guess them. */
static bool is_honest(const struct exchange *e)
{
	static const char *const honest[] = {"expired", "not_yet_valid", "no_session",
					     "login_needed", "certificate"};

	for (size_t i = 0; i < COUNT_OF(honest); i++)
		if (has_reason(e, honest[i]))
			return true;
	return false;
}

/* A service, the built-in identity server included, has refused what it was given. */
static bool is_failed_login_at_service(const struct exchange *e, unsigned status)
{
	const struct http1_head *request = &e->x->request;

	if (e->reason || !e->route)
		return false;
	if (status == 401)
		return http1_field(request, HTTP_FIELD_AUTHORIZATION).ptr != NULL ||
		       request->method == HTTP_METHOD_POST;
	return status == 403 && !e->route->config->service && !e->route->config->respond &&
	       request->method == HTTP_METHOD_POST;
}

/* Package managers ask for what is not there, and for what other packages name: they do not scan. */
static bool is_of_registry(const struct exchange *e)
{
	return e->phase == PHASE_FORWARD && e->route &&
	       e->route->config->internal == CONFIG_INTERNAL_REGISTRY;
}

static enum config_ips_kind kind_of(const struct exchange *e)
{
	unsigned status = e->x->head_sent ? e->x->status : 0;

	if (has_reason(e, "waf"))
		return CONFIG_IPS_ATTACK;
	if (e->phase == PHASE_ADMIT || has_reason(e, "bad_target") ||
	    has_reason(e, "malformed-body"))
		return has_reason(e, "banned") || has_reason(e, "over_share")
			       ? NO_KIND
			       : CONFIG_IPS_MALFORMED;
	if (e->phase == PHASE_AUTHENTICATE && (status == 401 || status == 400))
		return is_honest(e) ? NO_KIND : CONFIG_IPS_LOGIN;
	if (e->phase == PHASE_LIMIT && status == 429)
		return CONFIG_IPS_LIMIT;
	if (e->phase == PHASE_VALIDATE && has_reason(e, "contract"))
		return CONFIG_IPS_CONTRACT;
	if (is_failed_login_at_service(e, status))
		return CONFIG_IPS_LOGIN;
	if ((status == 403 || status == 404 || status == 405) && !has_reason(e, "banned") &&
	    !has_reason(e, "challenge") && !is_of_registry(e))
		return CONFIG_IPS_SCAN;
	return NO_KIND;
}

/* Who is named by good credentials is struck; an address may be that of many. */
static bool client_of(const struct exchange *e, struct ban *who)
{
	const struct snapshot *snapshot = e->snapshot;

	if (cidr_set_contains(&snapshot->ips->allow, &e->client))
		return false;
	if (identity_who(e, who))
		return true;
	/* The address of a proxy in front of us is that of all its clients. */
	if (!(snapshot->ips->config->by & CONFIG_IPS_BY_ADDRESS) ||
	    cidr_set_contains(&snapshot->trusted_proxies, &e->client))
		return false;
	ban_who_of_address(&e->client, who);
	return true;
}

static bool strike(struct exchange *e, enum config_ips_kind kind, struct ban *who)
{
	const struct snapshot_ips *ips = e->snapshot->ips;
	struct ban_service *bans = e->worker->shared->bans;

	if (ips->config->rules[kind].threshold == 0 ||
	    !ban_strike(ban_service_table(bans), ips->config, kind, now_unix_ms(), who))
		return false;
	ban_service_added(bans, who, !enforces(ips));
	return true;
}

/* A ban is one strike against all that the client has in common with others. */
static void strike_company(struct exchange *e)
{
	const struct config_ips *config = e->snapshot->ips->config;
	struct ban who;

	if (!cidr_set_contains(&e->snapshot->trusted_proxies, &e->client)) {
		ban_who_of_network(&e->client,
				   address_is_ipv4(&e->client) ? 96 + config->ipv4_prefix
							       : config->ipv6_prefix,
				   &who);
		(void)strike(e, CONFIG_IPS_NETWORK, &who);
	}
	if (ban_who_of_fingerprint(fingerprint_of(e), &who))
		(void)strike(e, CONFIG_IPS_FINGERPRINT, &who);
}

void ips_note(struct exchange *e)
{
	enum config_ips_kind kind = kind_of(e);
	struct ban who;

	if (kind == NO_KIND || e->snapshot->ips->config->rules[kind].threshold == 0)
		return;
	if (client_of(e, &who) && strike(e, kind, &who))
		strike_company(e);
}
