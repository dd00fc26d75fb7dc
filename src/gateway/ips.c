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
	       ban_until(table, ban_hash_of_address(address), now_unix_ms()) != 0;
}

bool ips_refuses_connection(struct worker *worker, const struct address *address)
{
	const struct snapshot_ips *ips = worker->view->snapshot->ips;

	if (!enforces(ips) || !is_banned(worker, ips, address))
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
	return is_banned(e->worker, e->snapshot->ips, &e->client) && refuses(e);
}

/* The name of whom the credentials stand for; SPAN_NONE: nobody, or none that is kept. */
static struct span identity_name(const struct exchange *e, char to[BAN_WHO_SIZE])
{
	const struct identity *identity = e->identity;

	if (!(e->snapshot->ips->config->by & CONFIG_IPS_BY_IDENTITY) ||
	    identity->kind == IDENTITY_ANONYMOUS)
		return SPAN_NONE;
	if (identity->subject.len)
		return ban_who_of_identity("user", identity->provider, identity->subject, to);
	return ban_who_of_identity("client", identity->provider, identity->client, to);
}

bool ips_refuses_identity(struct exchange *e)
{
	struct ban_table *table = ban_service_table(e->worker->shared->bans);
	char name[BAN_WHO_SIZE];
	struct span who;

	if (ban_table_is_empty(table) ||
	    cidr_set_contains(&e->snapshot->ips->allow, &e->client))
		return false;
	who = identity_name(e, name);
	return who.ptr && ban_until(table, ban_hash_of_name(who), now_unix_ms()) != 0 &&
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
	    !has_reason(e, "challenge"))
		return CONFIG_IPS_SCAN;
	return NO_KIND;
}

/* Who is named by good credentials is struck; an address may be that of many. */
static uint64_t client_of(const struct exchange *e, char name[BAN_WHO_SIZE], struct span *who)
{
	const struct snapshot *snapshot = e->snapshot;

	if (cidr_set_contains(&snapshot->ips->allow, &e->client))
		return 0;
	*who = identity_name(e, name);
	if (who->ptr)
		return ban_hash_of_name(*who);
	/* The address of a proxy in front of us is that of all its clients. */
	if (!(snapshot->ips->config->by & CONFIG_IPS_BY_ADDRESS) ||
	    cidr_set_contains(&snapshot->trusted_proxies, &e->client))
		return 0;
	*who = ban_who_of_address(&e->client, name);
	return ban_hash_of_address(&e->client);
}

void ips_note(struct exchange *e)
{
	const struct snapshot_ips *ips = e->snapshot->ips;
	enum config_ips_kind kind = kind_of(e);
	char name[BAN_WHO_SIZE];
	struct span who;
	struct ban ban;
	uint64_t hash;

	if (kind == NO_KIND || ips->config->rules[kind].threshold == 0)
		return;
	hash = client_of(e, name, &who);
	if (hash && ban_strike(ban_service_table(e->worker->shared->bans), ips->config, kind,
			       hash, who, now_unix_ms(), &ban))
		ban_service_added(e->worker->shared->bans, &ban, !enforces(ips));
}
