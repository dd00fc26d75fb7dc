/* respond: what every answer passes, also a refusal or a fallback. */
#include "base/clock.h"
#include "gateway/exchange.h"
#include "gateway/fields.h"

/* The connection's own business, and what would tell about the inside. */
#define DROP_ALWAYS                                                                            \
	(FIELD_BIT(HTTP_FIELD_CONNECTION) | FIELD_BIT(HTTP_FIELD_KEEP_ALIVE) |                 \
	 FIELD_BIT(HTTP_FIELD_PROXY_CONNECTION) | FIELD_BIT(HTTP_FIELD_TRANSFER_ENCODING) |    \
	 FIELD_BIT(HTTP_FIELD_UPGRADE) | FIELD_BIT(HTTP_FIELD_CONTENT_LENGTH) |                \
	 FIELD_BIT(HTTP_FIELD_TRAILER) | FIELD_BIT(HTTP_FIELD_X_REQUEST_ID))
#define DROP_SERVER (FIELD_BIT(HTTP_FIELD_SERVER) | FIELD_BIT(HTTP_FIELD_X_POWERED_BY))

struct date_cache {
	int64_t unix_s;
	char text[CLOCK_HTTP_SIZE];
};

static struct span date_now(void)
{
	static _Thread_local struct date_cache cache;
	int64_t now = loop_unix_s();

	if (cache.unix_s != now) {
		clock_http(cache.text, now);
		cache.unix_s = now;
	}
	return span_of(cache.text, CLOCK_HTTP_SIZE - 1);
}

struct out {
	struct http_field *fields;
	size_t count;
	uint64_t seen; /* ids that are in */
	uint64_t drop; /* ids that must not get in */
};

static void put(struct out *out, struct span name, struct span value, enum http_field_id id)
{
	out->fields[out->count++] = (struct http_field){name, value, id};
	out->seen |= FIELD_BIT(id);
}

static void put_from_service(struct out *out, const struct http_response *response,
			     const struct config_header_edit *edit)
{
	bool edits = edit && fields_has_edits(edit);

	for (size_t i = 0; i < response->field_count; i++) {
		const struct http_field *field = &response->fields[i];

		if (out->drop & FIELD_BIT(field->id) ||
		    (edits && fields_edited(edit, field->name)))
			continue;
		put(out, field->name, field->value, field->id);
	}
	for (size_t i = 0; edits && i < edit->set.count; i++)
		put(out, edit->set.at[i].name, edit->set.at[i].value,
		    http_field_lookup(edit->set.at[i].name));
}

static bool is_in(const struct out *out, struct span name, enum http_field_id id)
{
	if (id != HTTP_FIELD_OTHER)
		return out->seen & FIELD_BIT(id);
	for (size_t i = 0; i < out->count; i++)
		if (out->fields[i].id == HTTP_FIELD_OTHER &&
		    span_eq_nocase(out->fields[i].name, name))
			return true;
	return false;
}

static void put_security(struct out *out, const struct exchange *e)
{
	const struct config_security_headers *headers = &e->snapshot->config->headers;

	if (!headers->enabled)
		return;
	for (size_t i = 0; i < e->snapshot->security_field_count; i++) {
		const struct http_field *field = &e->snapshot->security_fields[i];

		if (!is_in(out, field->name, field->id))
			out->fields[out->count++] = *field;
	}
	if (e->secure && headers->hsts.len &&
	    !(out->seen & FIELD_BIT(HTTP_FIELD_STRICT_TRANSPORT_SECURITY)))
		put(out, SPAN("strict-transport-security"), headers->hsts,
		    HTTP_FIELD_STRICT_TRANSPORT_SECURITY);
}

enum io_result respond_head(struct exchange *e, const struct http_response *response, int flags,
			    int64_t deadline_ms)
{
	const struct config *cfg = e->snapshot->config;
	const struct config_header_edit *edit =
		e->route ? &e->route->config->response_headers : NULL;
	size_t room = response->field_count + e->extra_count + cfg->headers.fields.count + 4 +
		      (edit ? edit->set.count : 0);
	struct out out = {.fields = arena_alloc(&e->x->arena, room * sizeof(*out.fields)),
			  .drop = DROP_ALWAYS};
	struct http_response final = *response;

	if (!out.fields)
		return IO_FAILED;
	if (cfg->headers.remove_server)
		out.drop |= DROP_SERVER;
	put_from_service(&out, response, edit);
	for (size_t i = 0; i < e->extra_count; i++)
		if (e->extra[i].value.ptr)
			put(&out, e->extra[i].name, e->extra[i].value, e->extra[i].id);
	put_security(&out, e);
	if (!(out.seen & FIELD_BIT(HTTP_FIELD_DATE)))
		put(&out, SPAN("date"), date_now(), HTTP_FIELD_DATE);
	put(&out, cfg->forwarded.request_id_header, e->request_id, HTTP_FIELD_X_REQUEST_ID);
	final.fields = out.fields;
	final.field_count = out.count;
	return http_send_head(e->x, &final, flags, deadline_ms);
}
