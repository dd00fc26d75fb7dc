#include "guard/endpoints.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"

#define CHUNK_BYTES 4096
/* Of an endpoint: names of 253 bytes in a few texts, and the struct. */
#define ENDPOINT_BYTES 4096

struct counted_list {
	struct endpoint_list list; /* first */
	_Atomic uint32_t refs;
	size_t max;
	size_t left_out;
	struct arena arena;
};

static struct counted_list *counted(const struct endpoint_list *list)
{
	return (struct counted_list *)(uintptr_t)list;
}

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for a list of endpoints");
}

struct endpoint_list *endpoint_list_new(size_t max, struct err *err)
{
	struct counted_list *c = mem_zalloc(1, sizeof(*c));

	if (!c) {
		out_of_memory(err);
		return NULL;
	}
	c->refs = 1;
	c->max = max;
	arena_init(&c->arena, (max + 1) * ENDPOINT_BYTES, CHUNK_BYTES);
	return &c->list;
}

struct endpoint_list *endpoint_list_ref(struct endpoint_list *list)
{
	atomic_fetch_add_explicit(&counted(list)->refs, 1, memory_order_relaxed);
	return list;
}

void endpoint_list_unref(struct endpoint_list *list)
{
	if (!list ||
	    atomic_fetch_sub_explicit(&counted(list)->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_release(&counted(list)->arena);
	mem_free(list);
}

static uint16_t default_port(enum config_scheme scheme)
{
	return scheme == CONFIG_SCHEME_HTTPS ? 443 : 80;
}

static bool fill(struct arena *arena, struct config_endpoint *to,
		 const struct endpoint_found *found)
{
	static const char *const schemes[] = {"http", "https", "h2c"};
	bool v6 = memchr(found->host.ptr, ':', found->host.len) != NULL;
	struct span name = found->server_name.len ? found->server_name : found->host;

	*to = (struct config_endpoint){.scheme = found->scheme,
				       .weight = found->weight ? found->weight : 1,
				       .priority = found->priority};
	to->address.port = found->port;
	to->address.host = arena_dup(arena, found->host);
	to->address.text = arena_printf(arena, v6 ? "[%.*s]:%u" : "%.*s:%u",
					SPAN_ARG(found->host), found->port);
	if (!to->address.host.ptr || !to->address.text.ptr)
		return false;
	to->url = arena_printf(arena, "%s://%.*s", schemes[found->scheme],
			       SPAN_ARG(to->address.text));
	if (found->server_name.len)
		to->server_name = arena_dup(arena, found->server_name);
	v6 = memchr(name.ptr, ':', name.len) != NULL;
	to->authority = found->port == default_port(found->scheme)
				? arena_printf(arena, v6 ? "[%.*s]" : "%.*s", SPAN_ARG(name))
				: arena_printf(arena, v6 ? "[%.*s]:%u" : "%.*s:%u",
					       SPAN_ARG(name), found->port);
	return to->url.ptr && to->authority.ptr &&
	       (!found->server_name.len || to->server_name.ptr);
}

int endpoint_list_add(struct endpoint_list *list, const struct endpoint_found *found,
		      struct err *err)
{
	struct counted_list *c = counted(list);
	struct config_endpoint *array;

	if (list->count == c->max) {
		c->left_out++;
		return 0;
	}
	array = arena_grow(&c->arena, list->at, list->count, sizeof(*array));
	if (!array)
		return out_of_memory(err);
	list->at = array;
	if (!fill(&c->arena, &array[list->count], found))
		return out_of_memory(err);
	list->count++;
	return 0;
}

static int by_url(const void *left, const void *right)
{
	const struct config_endpoint *a = left, *b = right;
	int order = span_compare(a->url, b->url);

	if (order != 0 || a->priority == b->priority)
		return order;
	return a->priority < b->priority ? -1 : 1;
}

static int by_priority(const void *left, const void *right)
{
	const struct config_endpoint *a = left, *b = right;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return span_compare(a->url, b->url);
}

void endpoint_list_seal(struct endpoint_list *list)
{
	size_t kept = 0;

	if (list->count == 0)
		return;
	qsort(list->at, list->count, sizeof(*list->at), by_url);
	for (size_t i = 0; i < list->count; i++)
		if (kept == 0 || !span_eq(list->at[kept - 1].url, list->at[i].url))
			list->at[kept++] = list->at[i];
	list->count = kept;
	qsort(list->at, list->count, sizeof(*list->at), by_priority);
}

size_t endpoint_list_left_out(const struct endpoint_list *list)
{
	return counted(list)->left_out;
}

bool endpoint_list_same(const struct endpoint_list *a, const struct endpoint_list *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++) {
		const struct config_endpoint *x = &a->at[i], *y = &b->at[i];

		same = x->priority == y->priority && x->weight == y->weight &&
		       span_eq(x->url, y->url) && span_eq(x->server_name, y->server_name);
	}
	return same;
}
