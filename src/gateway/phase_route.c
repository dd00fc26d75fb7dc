/* route: the whitelist. What no route names is 404, or 405 where the path is known. */
#include "gateway/challenge.h"
#include "gateway/exchange.h"
#include "gateway/fields.h"
#include "gateway/validate.h"
#include "parse/uri.h"

static enum phase_result refuse_method(struct exchange *e, uint32_t allowed)
{
	char *list = arena_alloc(&e->x->arena, 128);
	size_t len = 0;

	if (!list)
		return answer_problem(e, 503, "out-of-memory", NULL);
	for (unsigned m = 1; m < HTTP_METHOD_COUNT; m++) {
		struct span name = http_method_name((enum http_method)m);

		if (!(allowed & 1u << m))
			continue;
		if (len) {
			memcpy(list + len, ", ", 2);
			len += 2;
		}
		memcpy(list + len, name.ptr, name.len);
		len += name.len;
	}
	exchange_add_field(e, SPAN("allow"), span_of(list, len));
	e->reason = "method_not_allowed";
	return answer_problem(e, 405, "method-not-allowed", NULL);
}

static bool origin_allowed(const struct config_cors *cors, struct span origin)
{
	for (size_t i = 0; i < cors->origins.count; i++)
		if (span_eq(cors->origins.at[i], SPAN("*")) ||
		    span_eq_nocase(cors->origins.at[i], origin))
			return true;
	return false;
}

static struct span join(struct exchange *e, const struct config_strings *strings)
{
	size_t len = 0;
	char *text;

	for (size_t i = 0; i < strings->count; i++)
		len += strings->at[i].len + 2;
	text = arena_alloc(&e->x->arena, len);
	if (!text)
		return SPAN_NONE;
	len = 0;
	for (size_t i = 0; i < strings->count; i++) {
		if (i) {
			memcpy(text + len, ", ", 2);
			len += 2;
		}
		memcpy(text + len, strings->at[i].ptr, strings->at[i].len);
		len += strings->at[i].len;
	}
	return span_of(text, len);
}

/* Fetch standard, "CORS protocol": fields for answers to an origin that is allowed. */
static bool add_cors(struct exchange *e, const struct config_cors *cors)
{
	struct span origin = http1_field(&e->x->request, HTTP_FIELD_ORIGIN);

	if (!origin.ptr || !origin_allowed(cors, origin))
		return false;
	exchange_add_field(e, SPAN("access-control-allow-origin"), origin);
	exchange_add_field(e, SPAN("vary"), SPAN("Origin"));
	if (cors->credentials)
		exchange_add_field(e, SPAN("access-control-allow-credentials"), SPAN("true"));
	if (cors->expose.count)
		exchange_add_field(e, SPAN("access-control-expose-headers"),
				   join(e, &cors->expose));
	return true;
}

/* A preflight asks what the request that it announces may do: it is answered for that route. */
static bool answer_preflight(struct exchange *e, struct span asked, enum phase_result *result)
{
	static const struct http_response response = {.status = 204, .content_length = 0};
	const struct config_route *route;
	uint32_t allowed;

	if (router_find(e->snapshot->router, e->host, e->path, http_method_lookup(asked), asked,
			&route, &allowed) != ROUTER_FOUND ||
	    !route->cors || !add_cors(e, route->cors))
		return false;
	e->route = &e->snapshot->routes[route->index];
	e->metrics = e->view->route_metrics[route->index];
	exchange_add_field(e, SPAN("access-control-allow-methods"),
			   join(e, &route->cors->methods));
	exchange_add_field(e, SPAN("access-control-allow-headers"),
			   join(e, &route->cors->headers));
	exchange_add_field(e, SPAN("access-control-max-age"),
			   arena_printf(&e->x->arena, "%llu",
					(unsigned long long)route->cors->max_age_ms / 1000));
	e->reason = "preflight";
	*result = respond_head(e, &response, HTTP_SEND_END, loop_deadline_ms(10000)) == IO_OK
			  ? PHASE_ANSWERED
			  : PHASE_GONE;
	return true;
}

static enum phase_result refuse_unknown(struct exchange *e, enum router_result result,
					uint32_t allowed)
{
	struct span asked;
	enum phase_result answered;

	if (e->x->request.method == HTTP_METHOD_OPTIONS) {
		asked = fields_find(&e->x->request, SPAN("access-control-request-method"));
		if (asked.ptr && answer_preflight(e, asked, &answered))
			return answered;
	}
	if (result == ROUTER_NO_METHOD)
		return refuse_method(e, allowed);
	e->reason = "unknown_path";
	return answer_problem(e, 404, "not-found", NULL);
}

static enum phase_result refuse_target(struct exchange *e, enum uri_result result)
{
	e->reason = "bad_target";
	return answer_problem(e, 400, "bad-target", uri_result_text(result));
}

HOT static void apply_route(struct exchange *e, const struct config_route *route)
{
	size_t index = (size_t)(route - e->snapshot->config->routes.at);

	/* Of thousands of routes few are in the near caches: all that is needed comes at once. */
	e->route = &e->snapshot->routes[index];
	prefetch_lines(e->route, 2);
	e->metrics = e->view->route_metrics[index];
	prefetch_lines(e->metrics, 2);
	e->x->body_limit_bytes = e->route->body_limit_bytes;
	if (e->route->timeout->total_ms)
		e->deadline_ms = loop_deadline_ms((int64_t)e->route->timeout->total_ms);
	if (UNLIKELY(e->route->flags & SNAPSHOT_ROUTE_CORS))
		add_cors(e, route->cors);
}

/*
 * Clients of npm write the '/' of a scoped name as %2f. To the registry, which is ours, both mean the
 * same; nobody behind us sees either.
 */
static enum uri_result normalize_for_registry(struct exchange *e, char *scratch)
{
	const struct config_registry *registry = e->snapshot->config->registry;
	struct span target = e->x->request.target;
	size_t query = span_find_byte(target, '?'), len = 0;
	char *plain;

	if (!registry || !registry->mount.len || !span_starts_with(target, registry->mount))
		return URI_ENCODED_SLASH;
	plain = arena_alloc(&e->x->arena, target.len);
	if (!plain)
		return URI_TOO_LONG;
	for (size_t i = 0; i < target.len; i++) {
		if (i < query && span_eq_nocase(span_slice(target, i, i + 3), SPAN("%2f"))) {
			plain[len++] = '/';
			i += 2;
		} else {
			plain[len++] = target.ptr[i];
		}
	}
	return uri_normalize(span_of(plain, len), scratch, target.len, &e->path, &e->query);
}

HOT enum phase_result phase_route(struct exchange *e)
{
	const struct http1_head *head = &e->x->request;
	const struct config_route *route;
	enum uri_result normal;
	enum router_result result;
	enum phase_result answered;
	uint32_t allowed;
	unsigned port;
	char *scratch;

	if (head->form == HTTP1_AUTHORITY || head->form == HTTP1_ASTERISK)
		return refuse_unknown(e, ROUTER_NO_PATH, 0);
	scratch = arena_alloc(&e->x->arena, head->target.len);
	if (!scratch)
		return answer_problem(e, 503, "out-of-memory", NULL);
	normal = uri_normalize(head->target, scratch, head->target.len, &e->path, &e->query);
	if (UNLIKELY(normal == URI_ENCODED_SLASH))
		normal = normalize_for_registry(e, scratch);
	if (normal != URI_OK)
		return refuse_target(e, normal);
	/* The parser has checked the authority; without routes for hosts nobody asks for the name. */
	e->host = head->authority;
	if (router_has_hosts(e->snapshot->router) &&
	    !uri_split_authority(head->authority, &e->host, &port))
		e->host = SPAN("");
	result = router_find(e->snapshot->router, e->host, e->path, head->method,
			     head->method_name, &route, &allowed);
	if (result != ROUTER_FOUND)
		return refuse_unknown(e, result, allowed);
	apply_route(e, route);
	if (UNLIKELY(e->route->flags & SNAPSHOT_ROUTE_CHALLENGES)) {
		answered = challenge_enter(e);
		if (answered != PHASE_NEXT)
			return answered;
	}
	return validate_route(e);
}
