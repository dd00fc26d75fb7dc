/* Endpoints from DNS: SRV records, or all addresses of one name. */
#include "base/mem.h"
#include "gateway/discovery_internal.h"

/* Answers are asked for again at most so often, whatever their time is. */
#define ASK_LEAST_MS 1000
/* Weights above are scaled down, so that sums of them stay small. */
#define WEIGHT_MAX 1000
/* That there is nothing is asked for again soon. */
#define ASK_EMPTY_MS 5000

struct question {
	struct finder *finder;
	struct endpoint_list *list;
	int64_t deadline_ms;
	int64_t expires_ms; /* of what was answered first */
};

/* Adds each address of a host. "No such name" adds none. */
static int add_host(struct question *q, struct endpoint_found *found, struct span host,
		    struct err *err)
{
	char text[NET_ADDRESS_TEXT_MAX];
	struct dns_result result;

	if (dns_resolve(q->finder->dns, host, found->port, q->deadline_ms, &result, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		return 0;
	}
	if (result.expires_ms < q->expires_ms)
		q->expires_ms = result.expires_ms;
	if (found->scheme == CONFIG_SCHEME_HTTPS)
		found->server_name = host;
	for (size_t i = 0; i < result.count; i++) {
		found->host = net_address_format(&result.addresses[i].storage, false, text);
		if (endpoint_list_add(q->list, found, err) < 0)
			return -1;
	}
	return 0;
}

static uint32_t largest_weight(const struct dns_services *services)
{
	uint32_t largest = 1;

	for (size_t i = 0; i < services->count; i++)
		if (services->at[i].weight > largest)
			largest = services->at[i].weight;
	return largest;
}

static int add_services(struct question *q, const struct dns_services *services,
			struct err *err)
{
	uint32_t largest = largest_weight(services);

	q->expires_ms = services->expires_ms;
	for (size_t i = 0; i < services->count; i++) {
		const struct dns_service *service = &services->at[i];
		struct endpoint_found found = {.scheme = q->finder->config->scheme,
					       .port = service->port,
					       .weight = service->weight,
					       .priority = service->priority};

		if (largest > WEIGHT_MAX)
			found.weight = found.weight * WEIGHT_MAX / largest;
		if (add_host(q, &found, span_cstr(service->target), err) < 0)
			return -1;
	}
	return 0;
}

static int ask_srv(struct question *q, struct err *err)
{
	/* Too large for the stack of a fiber. */
	struct dns_services *services = mem_alloc(sizeof(*services));
	int result;

	if (!services)
		return err_set(err, ERR_MEMORY, "no memory for SRV records");
	result = dns_find_services(q->finder->dns, q->finder->config->srv, q->deadline_ms,
				   services, err);
	if (result == 0)
		result = add_services(q, services, err);
	mem_free(services);
	return result;
}

static int ask_addresses(struct question *q, struct err *err)
{
	const struct config_discover *config = q->finder->config;
	struct endpoint_found found = {.scheme = config->scheme, .port = config->port};

	q->expires_ms = FIBER_FOREVER;
	return add_host(q, &found, config->host, err);
}

/*
 * That there is nothing is an answer too, but more often a mistake than the truth: what was there
 * stays for a while.
 */
static bool is_held(struct finder *finder, const struct endpoint_list *list)
{
	int64_t now_ms = loop_now_ms();

	if (list->count) {
		finder->empty_since_ms = 0;
		return false;
	}
	if (!finder->found || !finder->found->count)
		return false;
	if (!finder->empty_since_ms)
		finder->empty_since_ms = now_ms > 0 ? now_ms : 1;
	return now_ms - finder->empty_since_ms < (int64_t)finder->config->hold_ms;
}

static int64_t wait_of(const struct question *q, bool empty)
{
	int64_t wait_ms = q->expires_ms - loop_now_ms();
	int64_t most_ms = (int64_t)q->finder->config->refresh_ms;

	if (empty && most_ms > ASK_EMPTY_MS)
		most_ms = ASK_EMPTY_MS;
	if (wait_ms > most_ms)
		wait_ms = most_ms;
	return wait_ms < ASK_LEAST_MS ? ASK_LEAST_MS : wait_ms;
}

/* How long to wait before the next question; -1: there was no answer. */
static int64_t ask(struct finder *finder, struct err *err)
{
	struct question q = {.finder = finder,
			     .list = endpoint_list_new(finder->config->endpoints_max, err),
			     .deadline_ms =
				     loop_deadline_ms((int64_t)finder->config->timeout_ms)};
	bool empty;

	if (!q.list)
		return -1;
	if ((finder->config->srv.len ? ask_srv(&q, err) : ask_addresses(&q, err)) < 0) {
		endpoint_list_unref(q.list);
		return -1;
	}
	empty = q.list->count == 0;
	if (is_held(finder, q.list))
		endpoint_list_unref(q.list);
	else
		finder_publish(finder, q.list);
	finder_answered(finder);
	return wait_of(&q, empty);
}

void discovery_dns_main(struct finder *finder)
{
	enum fiber_wake wake = FIBER_EVENT;
	struct err err;

	while (wake != FIBER_CANCELLED && !fiber_is_cancelled()) {
		int64_t wait_ms = ask(finder, &err);

		if (fiber_is_cancelled())
			return;
		if (wait_ms < 0) {
			finder_failed(finder, &err);
			wake = finder_back_off(finder);
		} else {
			wake = fiber_sleep_ms(wait_ms);
		}
	}
}
