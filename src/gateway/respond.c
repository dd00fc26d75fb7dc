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

#define DATE_NAME "date"
#define DATE_BYTES (CLOCK_HTTP_SIZE - 1)

struct date_cache {
	int64_t unix_s;
	char line[sizeof(DATE_NAME ": ") - 1 + DATE_BYTES + sizeof("\r\n")];
};

HOT static struct http_field date_now(void)
{
	static _Thread_local struct date_cache cache = {.line = DATE_NAME ": "};
	char *value = cache.line + sizeof(DATE_NAME ": ") - 1;
	int64_t now = loop_unix_s();

	if (cache.unix_s != now) {
		clock_http(value, now);
		memcpy(value + DATE_BYTES, "\r\n", 2);
		cache.unix_s = now;
	}
	return (struct http_field){.name = span_of(cache.line, sizeof(DATE_NAME) - 1),
				   .value = span_of(value, DATE_BYTES),
				   .id = HTTP_FIELD_DATE};
}

struct out {
	struct http_field *fields;
	size_t count;
	uint64_t seen; /* ids that are in */
	uint64_t drop; /* ids that must not get in */
	struct span drop_name; /* nor what is called so, if not empty */
	bool drop_cors; /* nor what the route's own CORS answers: browsers want each once */
};

static inline void put_field(struct out *out, const struct http_field *field)
{
	out->fields[out->count++] = *field;
	out->seen |= FIELD_BIT(field->id);
}

static void put(struct out *out, struct span name, struct span value, enum http_field_id id)
{
	put_field(out, &(struct http_field){name, value, id});
}

/* Of a service's fields, those that no answer passes on; `own`: our request id's, if renamed. */
static inline bool is_kept_back(const struct http_field *field, uint64_t drop, struct span own,
				const struct config_header_edit *edit)
{
	return drop & FIELD_BIT(field->id) ||
	       (UNLIKELY(own.len) && span_eq_nocase(field->name, own)) ||
	       (edit && fields_edited(edit, field->name));
}

static bool is_cors(const struct http_field *field)
{
	static const struct span prefix = SPAN_INIT("access-control-");

	return field->id == HTTP_FIELD_OTHER && field->name.len > prefix.len &&
	       span_eq_nocase(span_slice(field->name, 0, prefix.len), prefix);
}

HOT static void put_from_service(struct out *out, const struct http_response *response,
				 const struct config_header_edit *edit)
{
	for (size_t i = 0; i < response->field_count; i++) {
		const struct http_field *field = &response->fields[i];

		if (!is_kept_back(field, out->drop, out->drop_name, edit) &&
		    !(UNLIKELY(out->drop_cors) && is_cors(field)))
			put_field(out, field);
	}
	for (size_t i = 0; edit && i < edit->set.count; i++)
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

/* Those that are not in yet; none of them is: then all of them as the block that they are. */
HOT static const struct http_field_block *put_security(struct out *out,
						       const struct exchange *e)
{
	const struct snapshot *s = e->snapshot;
	const struct http_field_block *block = &s->security;

	if (!s->config->headers.enabled)
		return NULL;
	if (e->secure && s->security_tls.field_count)
		block = &s->security_tls;
	if (!(out->seen & s->security_ids))
		return block;
	for (size_t i = 0; i < block->field_count; i++)
		if (!is_in(out, block->fields[i].name, block->fields[i].id))
			put_field(out, &block->fields[i]);
	return NULL;
}

static const struct config_header_edit *edits_of(const struct exchange *e)
{
	return e->route && e->route->flags & SNAPSHOT_ROUTE_EDITS_RESPONSE
		       ? &e->route->config->response_headers
		       : NULL;
}

static uint64_t dropped(const struct exchange *e)
{
	return e->snapshot->config->headers.remove_server ? DROP_ALWAYS | DROP_SERVER
							  : DROP_ALWAYS;
}

enum io_result respond_hints(struct exchange *e, const struct http1_head *from,
			     int64_t deadline_ms)
{
	const struct config_header_edit *edit = edits_of(e);
	struct http_field *fields =
		arena_array(&e->x->arena, struct http_field, from->field_count);
	struct http_response hints = {
		.status = from->status, .fields = fields, .content_length = -1};

	if (from->field_count && !fields)
		return IO_FAILED;
	for (size_t i = 0; i < from->field_count; i++) {
		const struct http_field *field = &from->fields[i];

		if (!is_kept_back(field, dropped(e), e->snapshot->own_request_id, edit) &&
		    !(from->connection_names && fields_is_named(from, field->name)))
			fields[hints.field_count++] = *field;
	}
	return http_send_head(e->x, &hints, HTTP_SEND_NOW, deadline_ms);
}

HOT enum io_result respond_head(struct exchange *e, const struct http_response *response,
				int flags, int64_t deadline_ms)
{
	const struct config *cfg = e->snapshot->config;
	const struct config_header_edit *edit = edits_of(e);
	size_t room = response->field_count + e->extra_count +
		      e->snapshot->security_tls.field_count + 4 + (edit ? edit->set.count : 0);
	struct out out = {.fields = arena_alloc(&e->x->arena, room * sizeof(*out.fields)),
			  .drop = dropped(e),
			  .drop_name = e->snapshot->own_request_id,
			  .drop_cors = e->route && e->route->flags & SNAPSHOT_ROUTE_CORS};
	struct http_response final = *response;

	if (!out.fields)
		return IO_FAILED;
	put_from_service(&out, response, edit);
	for (size_t i = 0; i < e->extra_count; i++)
		if (e->extra[i].value.ptr)
			put(&out, e->extra[i].name, e->extra[i].value, e->extra[i].id);
	final.block = put_security(&out, e);
	if (!(out.seen & FIELD_BIT(HTTP_FIELD_DATE))) {
		struct http_field date = date_now();

		put_field(&out, &date);
	}
	put(&out, cfg->forwarded.request_id_header, e->request_id, HTTP_FIELD_X_REQUEST_ID);
	final.fields = out.fields;
	final.field_count = out.count;
	return http_send_head(e->x, &final, flags, deadline_ms);
}
