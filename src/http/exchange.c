#include "http/exchange.h"

#include "base/mem.h"
#include "http/connection.h"

#define FREE_MAX 1024
#define ARENA_CHUNK_BYTES ((size_t)4096)

struct pooled_exchange {
	struct http_exchange x;
	struct pooled_exchange *next_free;
	size_t field_capacity;
	struct http_field fields[];
};

static _Thread_local struct pooled_exchange *free_list;
static _Thread_local unsigned free_count;

static void free_pooled(struct pooled_exchange *pooled)
{
	arena_release(&pooled->x.arena);
	mem_free(pooled);
}

HOT static struct pooled_exchange *take_pooled(size_t field_capacity)
{
	struct pooled_exchange *pooled = free_list;

	if (pooled) {
		free_list = pooled->next_free;
		free_count--;
		/* For the one who takes the next. */
		prefetch_lines(free_list, sizeof(*pooled) / CACHE_LINE_BYTES + 1);
		if (pooled->field_capacity >= field_capacity)
			return pooled;
		free_pooled(pooled);
	}
	pooled = mem_alloc(sizeof(*pooled) + field_capacity * sizeof(pooled->fields[0]));
	if (!pooled)
		return NULL;
	arena_init(&pooled->x.arena, 0, ARENA_CHUNK_BYTES);
	pooled->field_capacity = field_capacity;
	return pooled;
}

HOT struct http_exchange *http_exchange_new(struct http_connection *c,
					    const struct http_exchange_ops *ops)
{
	const struct http_limits *limits = &c->server->limits;
	struct pooled_exchange *pooled = take_pooled(limits->head.field_count);
	struct http_exchange *x;

	if (!pooled)
		return NULL;
	x = &pooled->x;
	x->ops = ops;
	x->server = c->server;
	x->peer = &c->peer;
	x->fiber = NULL;
	x->arena.cap_bytes = limits->exchange_bytes;
	x->request.fields = pooled->fields;
	memset(&x->version, 0, sizeof(*x) - offsetof(struct http_exchange, version));
	x->body_limit_bytes = limits->body_bytes;
	x->start_ns = loop_round_ns();
	c->server->exchange_count++;
	return x;
}

HOT void http_exchange_free(struct http_exchange *x)
{
	struct pooled_exchange *pooled = CONTAINER_OF(x, struct pooled_exchange, x);

	x->server->exchange_count--;
	arena_reset(&x->arena);
	if (free_count >= FREE_MAX) {
		free_pooled(pooled);
		return;
	}
	pooled->next_free = free_list;
	free_list = pooled;
	free_count++;
}

void http_exchange_pool_release(void)
{
	while (free_list) {
		struct pooled_exchange *next = free_list->next_free;

		free_pooled(free_list);
		free_list = next;
	}
	free_count = 0;
}

enum io_result http_respond(struct http_exchange *x, const struct http_response *response,
			    struct span body, int64_t deadline_ms)
{
	enum io_result result;

	if (body.len == 0)
		return http_send_head(x, response, HTTP_SEND_END, deadline_ms);
	result = http_send_head(x, response, HTTP_SEND_MORE, deadline_ms);
	if (result != IO_OK)
		return result;
	return http_send_body(x, body, HTTP_SEND_END, deadline_ms);
}

static void answer_internal_error(struct http_exchange *x)
{
	static const struct http_response response = {.status = 500};

	http_respond(x, &response, SPAN(""),
		     loop_deadline_ms(x->server->limits.write_timeout_ms));
}

HOT void http_exchange_run(struct http_exchange *x)
{
	x->fiber = fiber_self();
	x->server->handler(x);
	if (x->ended || x->client_gone)
		return;
	if (x->head_sent || x->aborted)
		http_abort(x);
	else
		answer_internal_error(x);
}
