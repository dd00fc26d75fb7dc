#include "gateway/fields.h"
#include "gateway/forward.h"
#include "gateway/validate.h"

static int64_t deadline_ms(const struct pump *pump)
{
	return pump->idle_ms ? loop_deadline_ms(pump->idle_ms) : FIBER_FOREVER;
}

/* What a service trusts must not come in through the back door of a trailer either. */
static size_t drop_stripped(const struct exchange *e, struct http_field *trailers, size_t count)
{
	bool trusted = forward_trusts_proxy(e);
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!forward_is_forged(e, &trailers[i], trusted))
			trailers[kept++] = trailers[i];
	return fields_drop_edited(&e->route->config->request_headers, trailers, kept);
}

static enum io_result pass_end(struct pump *pump)
{
	const struct http_exchange *x = pump->e->x;
	size_t count = drop_stripped(pump->e, x->trailers, x->trailer_count);

	if (count)
		return http_call_send_trailers(pump->call, x->trailers, count,
					       deadline_ms(pump));
	return http_call_send_body(pump->call, SPAN_NONE, HTTP_SEND_END, deadline_ms(pump));
}

static void pass_body(struct pump *pump)
{
	struct span piece;

	for (;;) {
		pump->result = validate_read_body(pump->e, &piece, deadline_ms(pump));
		if (pump->result == IO_EOF) {
			enum io_result ended = pass_end(pump);

			pump->result = ended == IO_OK ? IO_EOF : ended;
			return;
		}
		if (pump->result != IO_OK) {
			pump->client_failed = pump->result != IO_CANCELLED;
			return;
		}
		pump->result = http_call_send_body(pump->call, piece, HTTP_SEND_NOW,
						   deadline_ms(pump));
		if (pump->result != IO_OK)
			return;
	}
}

static void pump_main(void *arg)
{
	struct pump *pump = arg;

	pass_body(pump);
	pump->fiber = NULL;
	/* Without the rest of the request the service will not answer: stop waiting for it. */
	if (pump->client_failed && !pump->waiter)
		fiber_cancel(pump->e->x->fiber);
	if (pump->waiter)
		fiber_wake(pump->waiter);
}

int pump_start(struct pump *pump)
{
	pump->fiber = fiber_start(pump_main, pump, NULL);
	return pump->fiber ? 0 : -1;
}

HOT void pump_stop(struct pump *pump, bool cancel)
{
	bool cancelled = fiber_uncancel();

	if (pump->fiber && (cancel || cancelled))
		fiber_cancel(pump->fiber);
	pump->waiter = fiber_self();
	while (pump->fiber) {
		/* The pump's own waits have deadlines; a cancelled one ends at its next. */
		if (fiber_park(FIBER_FOREVER) != FIBER_CANCELLED)
			continue;
		cancelled = true;
		fiber_uncancel();
		fiber_cancel(pump->fiber);
	}
	pump->waiter = NULL;
	if (cancelled)
		fiber_cancel(fiber_self());
}
