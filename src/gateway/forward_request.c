#include "gateway/fields.h"
#include "gateway/forward.h"
#include "gateway/inspect.h"
#include "gateway/validate.h"
#include "parse/cookie.h"
#include "parse/traceparent.h"

/* Of the connection, or set anew by us whatever the client says. */
#define DROP_ALWAYS                                                                            \
	(FIELD_BIT(HTTP_FIELD_HOST) | FIELD_BIT(HTTP_FIELD_CONNECTION) |                       \
	 FIELD_BIT(HTTP_FIELD_KEEP_ALIVE) | FIELD_BIT(HTTP_FIELD_PROXY_CONNECTION) |           \
	 FIELD_BIT(HTTP_FIELD_TRANSFER_ENCODING) | FIELD_BIT(HTTP_FIELD_UPGRADE) |             \
	 FIELD_BIT(HTTP_FIELD_CONTENT_LENGTH) | FIELD_BIT(HTTP_FIELD_EXPECT) |                 \
	 FIELD_BIT(HTTP_FIELD_HTTP2_SETTINGS) | FIELD_BIT(HTTP_FIELD_TE) |                     \
	 FIELD_BIT(HTTP_FIELD_TRAILER) | FIELD_BIT(HTTP_FIELD_PROXY_AUTHORIZATION) |           \
	 FIELD_BIT(HTTP_FIELD_PROXY_AUTHENTICATE) | FIELD_BIT(HTTP_FIELD_FORWARDED) |          \
	 FIELD_BIT(HTTP_FIELD_X_FORWARDED_FOR) | FIELD_BIT(HTTP_FIELD_X_FORWARDED_HOST) |      \
	 FIELD_BIT(HTTP_FIELD_X_FORWARDED_PORT) | FIELD_BIT(HTTP_FIELD_X_FORWARDED_PROTO) |    \
	 FIELD_BIT(HTTP_FIELD_X_REAL_IP) | FIELD_BIT(HTTP_FIELD_X_REQUEST_ID) |                \
	 FIELD_BIT(HTTP_FIELD_TRACEPARENT) | FIELD_BIT(HTTP_FIELD_TRACESTATE))

/* Fields that forward adds itself, at most. */
#define ADDED_MAX (IDENTITY_PASS_FIELDS_MAX + 12)

struct list_out {
	struct http_field *fields;
	size_t count;
};

static void put(struct list_out *out, struct span name, struct span value)
{
	out->fields[out->count++] = (struct http_field){name, value, HTTP_FIELD_OTHER};
}

/* Without memory no cookie is left. */
static void drop_cookies(struct exchange *e, struct http_field *field, struct span prefix)
{
	char *rest;

	if (span_find(field->value, prefix) == field->value.len)
		return;
	rest = arena_alloc(&e->x->arena, 2 * field->value.len);
	field->value = rest ? cookie_without(field->value, prefix, rest) : SPAN_NONE;
}

/* Our cookies open sessions and show who has passed: no service needs to see them. */
static void drop_own_cookies(struct exchange *e, struct list_out *out)
{
	struct http_field *field = &out->fields[out->count - 1];
	bool challenge = e->route->flags & SNAPSHOT_ROUTE_CHALLENGES;

	if (challenge || e->snapshot->config->identity.issuer.len)
		drop_cookies(e, field, SPAN("__Host-sallyport"));
	if (challenge)
		drop_cookies(e, field, SPAN("sallyport-pass"));
	if (!field->value.len)
		out->count--;
}

/* What is to be inspected must be readable. */
static void limit_codings(const struct exchange *e, struct list_out *out)
{
	struct http_field *field = &out->fields[out->count - 1];

	field->value = inspect_accept_encoding(e, field->value);
	if (!field->value.ptr)
		out->count--;
}

HOT static void put_client_fields(struct exchange *e, const struct view_service *service,
				  struct list_out *out)
{
	const struct http1_head *head = &e->x->request;
	const struct config_header_edit *edit = &e->route->config->request_headers;
	const struct identity_pass *pass = service->snapshot->pass;
	bool edits = e->route->flags & SNAPSHOT_ROUTE_EDITS_REQUEST;
	uint64_t drop = DROP_ALWAYS;
	bool trusted = forward_trusts_proxy(e);

	if (validate_wants_plain_response(e))
		drop |= FIELD_BIT(HTTP_FIELD_ACCEPT_ENCODING);
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];

		if (drop & FIELD_BIT(field->id) || forward_is_forged(e, field, trusted) ||
		    identity_pass_drops(pass, field))
			continue;
		if ((head->connection_names && fields_is_named(head, field->name)) ||
		    (edits && fields_edited(edit, field->name)))
			continue;
		out->fields[out->count++] = *field;
		if (field->id == HTTP_FIELD_ACCEPT_ENCODING)
			limit_codings(e, out);
		if (field->id == HTTP_FIELD_COOKIE)
			drop_own_cookies(e, out);
	}
	for (size_t i = 0; edits && i < edit->set.count; i++)
		put(out, edit->set.at[i].name, edit->set.at[i].value);
}

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for the request");
}

static int put_rfc7239(struct exchange *e, struct list_out *out, struct span client,
		       struct span proto, struct err *err)
{
	bool v4 = address_is_ipv4(&e->client);
	struct span value = arena_printf(&e->x->arena, "for=%s%.*s%s;host=\"%.*s\";proto=%.*s",
					 v4 ? "" : "\"[", SPAN_ARG(client), v4 ? "" : "]\"",
					 SPAN_ARG(e->x->request.authority), SPAN_ARG(proto));

	if (!value.ptr)
		return out_of_memory(err);
	put(out, SPAN("forwarded"), value);
	return 0;
}

static enum snapshot_via via_of(const struct exchange *e)
{
	switch (e->x->version) {
	case 10: return SNAPSHOT_VIA_10;
	case 20: return SNAPSHOT_VIA_20;
	default: return SNAPSHOT_VIA_11;
	}
}

/* The chain of addresses: what a trusted proxy sent, and who sent it to us. */
HOT static int put_forwarded(struct exchange *e, struct list_out *out, struct err *err)
{
	const struct config_forwarded_headers *forwarded = &e->snapshot->config->forwarded;
	const struct http_field *proto_via = e->snapshot->proto_via[e->secure][via_of(e)];
	char *text = arena_alloc(&e->x->arena, ADDRESS_TEXT_SIZE);
	struct span client;

	if (!text)
		return out_of_memory(err);
	client = address_text_get(&e->worker->address_texts, &e->client, text);
	if (forwarded->send & CONFIG_FORWARDED_SEND_X) {
		put(out, SPAN("x-forwarded-for"), client);
		put(out, SPAN("x-forwarded-host"), e->x->request.authority);
		out->fields[out->count++] = proto_via[0];
	}
	if (proto_via[1].name.len)
		out->fields[out->count++] = proto_via[1];
	if (forwarded->send & CONFIG_FORWARDED_SEND_RFC7239 &&
	    put_rfc7239(e, out, client, proto_via[0].value, err) < 0)
		return -1;
	put(out, forwarded->request_id_header, e->request_id);
	return 0;
}

/* W3C Trace Context: the client's trace goes on, or one starts here. */
HOT static int put_trace(struct exchange *e, struct list_out *out, struct err *err)
{
	const struct http1_head *head = &e->x->request;
	struct span sent = http1_field(head, HTTP_FIELD_TRACEPARENT);
	struct span state = http1_field(head, HTTP_FIELD_TRACESTATE);
	struct traceparent trace;
	uint64_t random[3] = {worker_random(e->worker), worker_random(e->worker),
			      worker_random(e->worker)};
	char *text = arena_alloc(&e->x->arena, TRACEPARENT_LEN);

	if (!text)
		return out_of_memory(err);
	if (sent.ptr && traceparent_parse(sent, &trace)) {
		traceparent_continue(&trace, (const unsigned char *)random);
		if (state.ptr && tracestate_is_valid(state))
			put(out, SPAN("tracestate"), state);
	} else {
		traceparent_start(&trace, (const unsigned char *)random, false);
	}
	traceparent_format(&trace, text);
	e->traceparent = span_of(text, TRACEPARENT_LEN);
	put(out, SPAN("traceparent"), e->traceparent);
	return 0;
}

HOT static int put_identity(struct exchange *e, const struct view_service *service,
			    struct list_out *out, struct err *err)
{
	size_t count = 0;

	if (identity_pass_fields(service->snapshot->pass, e->worker->auth,
				 e->degraded ? e->reduced : e->identity, &e->x->arena,
				 out->fields + out->count, &count, err) < 0)
		return -1;
	out->count += count;
	return 0;
}

struct span forward_edited_path(const struct exchange *e)
{
	const struct config_route *route = e->route->config;
	struct span path = e->path;

	if (route->strip_prefix.len && span_starts_with(path, route->strip_prefix))
		path = span_slice(path, route->strip_prefix.len, path.len);
	return arena_printf(&e->x->arena, "%.*s%s%.*s", SPAN_ARG(route->add_prefix),
			    path.len && path.ptr[0] == '/' ? "" : "/", SPAN_ARG(path));
}

HOT static void set_framing(const struct http_exchange *x, struct http_request_head *head)
{
	switch (x->request.framing) {
	case HTTP1_NO_BODY: head->no_body = true; break;
	case HTTP1_LENGTH: head->content_length = (int64_t)x->request.content_length; break;
	case HTTP1_CHUNKED:
	case HTTP1_UNTIL_CLOSE: head->content_length = -1; break;
	}
}

HOT int forward_build_request(struct exchange *e, const struct view_service *service,
			      struct http_request_head *head, struct err *err)
{
	struct http_exchange *x = e->x;
	const struct config_route *route = e->route->config;
	const struct config_service *config = service->snapshot->config;
	bool replaced = e->degraded && e->degraded->path.len;
	size_t room = x->request.field_count + ADDED_MAX;
	struct list_out out = {.count = 0};

	if (e->route->flags & SNAPSHOT_ROUTE_EDITS_REQUEST)
		room += route->request_headers.set.count;
	out.fields = arena_alloc(&x->arena, room * sizeof(struct http_field));
	if (!out.fields)
		return out_of_memory(err);
	put_client_fields(e, service, &out);
	if (put_identity(e, service, &out, err) < 0 || put_forwarded(e, &out, err) < 0 ||
	    put_trace(e, &out, err) < 0)
		return -1;
	if (UNLIKELY(x->request.first[HTTP_FIELD_TE]) &&
	    http_list_has(http1_field(&x->request, HTTP_FIELD_TE), SPAN("trailers")))
		put(&out, SPAN("te"), SPAN("trailers"));
	*head = (struct http_request_head){
		.method = x->request.method_name,
		.scheme = e->secure ? SPAN("https") : SPAN("http"),
		.authority = config->host.len ? config->host : x->request.authority,
		.path = replaced ? e->degraded->path : forward_path(e),
		.query = replaced ? SPAN_NONE : e->query,
		.fields = out.fields,
		.field_count = out.count,
	};
	if (!head->path.ptr)
		return out_of_memory(err);
	if (!head->authority.len)
		head->authority = service->snapshot->endpoints.count
					  ? service->snapshot->endpoints.at[0].authority
					  : config->name;
	set_framing(x, head);
	if (UNLIKELY(x->request.upgrade) && route->websocket &&
	    span_eq_nocase(x->protocol, SPAN("websocket")))
		head->upgrade = x->protocol;
	return 0;
}
