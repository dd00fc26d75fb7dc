/* admit: who is asking (behind trusted proxies), and is the request well formed at all. */
#include <netinet/in.h>

#include "base/hex.h"
#include "gateway/exchange.h"
#include "gateway/fields.h"
#include "gateway/ips.h"
#include "guard/ban_who.h"
#include "parse/forwarded.h"

HOT struct address exchange_peer_address(const struct sockaddr_storage *from)
{
	if (from->ss_family == AF_INET)
		return address_from_ipv4(&((const struct sockaddr_in *)from)->sin_addr);
	if (from->ss_family == AF_INET6)
		return address_from_ipv6(&((const struct sockaddr_in6 *)from)->sin6_addr);
	return address_from_ipv4("\177\0\0\1"); /* a Unix socket is local */
}

/*
 * The client that trusted proxies vouch for in fields of this kind (RFC 7239 section 8.1): walks the
 * lines backwards.
 */
static struct address walk_forwarded(const struct exchange *e, enum http_field_id id)
{
	const struct http1_head *head = &e->x->request;
	struct address client = e->client;
	enum forwarded_result result = FORWARDED_MORE;

	if (!head->first[id])
		return client;
	for (size_t i = head->field_count; i-- > 0 && result == FORWARDED_MORE;) {
		const struct http_field *field = &head->fields[i];

		if (field->id != id)
			continue;
		result = id == HTTP_FIELD_FORWARDED
				 ? forwarded_walk(&e->snapshot->trusted_proxies, field->value,
						  &client)
				 : forwarded_walk_x_forwarded_for(&e->snapshot->trusted_proxies,
								  field->value, &client);
	}
	return client;
}

/*
 * A proxy that writes the one kind may let the other through as its client has written it: where both
 * have come, they must say the same. False: they do not.
 */
static bool find_client(struct exchange *e, enum config_forwarded kind)
{
	const struct http1_head *head = &e->x->request;
	struct address x = e->client, rfc7239 = e->client;

	if (kind != CONFIG_FORWARDED_RFC7239)
		x = walk_forwarded(e, HTTP_FIELD_X_FORWARDED_FOR);
	if (kind != CONFIG_FORWARDED_X)
		rfc7239 = walk_forwarded(e, HTTP_FIELD_FORWARDED);
	if (kind == CONFIG_FORWARDED_TRUSTED && head->first[HTTP_FIELD_X_FORWARDED_FOR] &&
	    head->first[HTTP_FIELD_FORWARDED] &&
	    memcmp(x.bytes, rfc7239.bytes, sizeof(x.bytes)) != 0)
		return false;
	e->client =
		kind != CONFIG_FORWARDED_X && head->first[HTTP_FIELD_FORWARDED] ? rfc7239 : x;
	return true;
}

/* False: what it says of its client cannot be. */
HOT static bool trust_proxy(struct exchange *e)
{
	enum config_forwarded kind = e->snapshot->config->forwarded.client_headers;
	struct span proto;

	if (!e->snapshot->trusted_proxies.count ||
	    !cidr_set_contains(&e->snapshot->trusted_proxies, &e->client))
		return true;
	e->from_trusted_proxy = true;
	if (kind == CONFIG_FORWARDED_DROP)
		return true;
	if (!find_client(e, kind))
		return false;
	proto = http1_field(&e->x->request, HTTP_FIELD_X_FORWARDED_PROTO);
	if (proto.ptr && kind != CONFIG_FORWARDED_RFC7239)
		e->secure = span_eq_nocase(proto, SPAN("https"));
	return true;
}

HOT static void make_request_id(struct exchange *e)
{
	uint64_t random[2] = {worker_random(e->worker), worker_random(e->worker)};

	hex_encode8(e->id, &random[0]);
	hex_encode8(e->id + EXCHANGE_ID_BYTES / 2, &random[1]);
	e->request_id = span_of(e->id, EXCHANGE_ID_BYTES);
}

static bool is_plain_id(struct span id)
{
	if (id.len == 0 || id.len > 128)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] <= ' ' || id.ptr[i] > '~' || id.ptr[i] == '"' ||
		    id.ptr[i] == '\\')
			return false;
	return true;
}

HOT static void choose_request_id(struct exchange *e)
{
	const struct config *cfg = e->snapshot->config;
	struct span sent = SPAN_NONE;

	if (e->from_trusted_proxy && cfg->forwarded.request_id_accept)
		sent = fields_find(&e->x->request, cfg->forwarded.request_id_header);
	if (is_plain_id(sent)) {
		e->request_id = sent;
		return;
	}
	make_request_id(e);
}

/* The address of a proxy in front of us is that of all its clients. */
static bool is_over_share(struct exchange *e)
{
	return !cidr_set_contains(&e->snapshot->trusted_proxies, &e->client) &&
	       !fair_share_takes(&e->worker->shared->fair_share,
				 ban_hash_of_address(&e->client));
}

static enum phase_result refuse_over_share(struct exchange *e)
{
	counter_add(&e->worker->metrics->over_share, 1);
	e->reason = "over_share";
	exchange_add_field(e, SPAN("retry-after"), SPAN("1"));
	return answer_problem(e, 503, "overloaded", NULL);
}

HOT enum phase_result phase_admit(struct exchange *e)
{
	struct http_exchange *x = e->x;
	bool trusted;

	e->client = exchange_peer_address(&x->peer->address);
	e->secure = x->peer->ssl != NULL;
	if (x->malformed_status) {
		make_request_id(e);
		e->reason = "malformed";
		return answer_problem(e, x->malformed_status, "malformed-request",
				      x->malformed);
	}
	trusted = trust_proxy(e);
	choose_request_id(e);
	if (UNLIKELY(!trusted)) {
		e->reason = "forwarded_conflict";
		return answer_problem(e, 400, "malformed-request",
				      "Forwarded and X-Forwarded-For name different clients");
	}
	if (UNLIKELY(fair_share_is_active(&e->worker->shared->fair_share)) && is_over_share(e))
		return refuse_over_share(e);
	if (UNLIKELY(e->snapshot->ips) && ips_refuses_address(e))
		return ips_refuse(e);
	return PHASE_NEXT;
}
