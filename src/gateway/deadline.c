#include "gateway/deadline.h"

#include "gateway/fields.h"

static const struct span grpc_timeout = SPAN_INIT("grpc-timeout");

static bool is_grpc(const struct exchange *e)
{
	return span_starts_with(http1_field(&e->x->request, HTTP_FIELD_CONTENT_TYPE),
				SPAN("application/grpc"));
}

/* TimeoutValue TimeoutUnit: at most eight digits and one of HMSmun (gRPC over HTTP/2). */
static bool read_grpc(struct span value, int64_t *ms)
{
	uint64_t number;
	char unit;

	if (value.len < 2 || value.len > 9)
		return false;
	unit = value.ptr[value.len - 1];
	if (!span_to_u64(span_slice(value, 0, value.len - 1), &number))
		return false;
	switch (unit) {
	case 'H': *ms = (int64_t)number * 3600000; return true;
	case 'M': *ms = (int64_t)number * 60000; return true;
	case 'S': *ms = (int64_t)number * 1000; return true;
	case 'm': *ms = (int64_t)number; return true;
	case 'u': *ms = (int64_t)number / 1000; return true;
	case 'n': *ms = (int64_t)number / 1000000; return true;
	default: return false;
	}
}

static bool read_milliseconds(struct span value, int64_t *ms)
{
	uint64_t number;

	if (!value.len || value.len > 12 || !span_to_u64(value, &number))
		return false;
	*ms = (int64_t)number;
	return true;
}

static bool shorten(struct exchange *e, int64_t ms)
{
	int64_t deadline_ms = loop_deadline_ms(ms);

	if (deadline_ms >= e->deadline_ms)
		return false;
	e->deadline_ms = deadline_ms;
	return true;
}

HOT bool deadline_read(struct exchange *e, const struct config_service *service)
{
	const struct http1_head *request = &e->x->request;
	bool shortened = false;
	int64_t ms;

	if (is_grpc(e) && read_grpc(fields_find(request, grpc_timeout), &ms))
		shortened = shorten(e, ms);
	if (service->deadline_field.len &&
	    read_milliseconds(fields_find(request, service->deadline_field), &ms))
		shortened |= shorten(e, ms);
	return shortened;
}

/* The value in the field's place, or in a new one behind the others. */
static void set(struct http_field *fields, size_t *count, struct span name, struct span value)
{
	for (size_t i = 0; i < *count; i++)
		if (span_eq_nocase(fields[i].name, name)) {
			fields[i].value = value;
			return;
		}
	fields[(*count)++] = (struct http_field){name, value, HTTP_FIELD_OTHER};
}

bool deadline_write(struct exchange *e, const struct config_service *service,
		    struct http_request_head *head)
{
	struct arena *arena = &e->x->arena;
	bool grpc = is_grpc(e);
	int64_t left_ms = e->deadline_ms - loop_now_ms();
	struct http_field *fields;
	struct span value;

	if (e->deadline_ms == FIBER_FOREVER || (!grpc && !service->deadline_field.len))
		return true;
	fields = arena_array(arena, struct http_field, head->field_count + 2);
	/* Eight digits are all that grpc-timeout has room for: more than a day. */
	if (left_ms > 99999999)
		left_ms = 99999999;
	value = arena_printf(arena, "%lldm", (long long)(left_ms > 0 ? left_ms : 0));
	if (!fields || !value.ptr)
		return false;
	memcpy(fields, head->fields, head->field_count * sizeof(*fields));
	if (grpc)
		set(fields, &head->field_count, grpc_timeout, value);
	if (service->deadline_field.len)
		set(fields, &head->field_count, service->deadline_field,
		    span_slice(value, 0, value.len - 1));
	head->fields = fields;
	return true;
}
