#include "guard/health.h"

#include <math.h>
#include <stdatomic.h>

#include "base/mem.h"

#define ROUNDING 1e-6
#define ONE_CALL ((uint64_t)1 << 32)
/* The least share of an endpoint that has just come back, in percent. */
#define SHARE_MIN 10

struct health {
	_Atomic uint32_t refs;
	_Atomic bool down; /* by active checks */
	_Atomic bool ejected;
	atomic_flag ejecting; /* one thread at a time */
	_Atomic int64_t ejected_until_ms;
	_Atomic int64_t back_ms; /* when it came back last; 0: was never away */
	_Atomic uint32_t errors; /* in a row */
	_Atomic uint32_t gateway_errors;
	_Atomic uint32_t in_row; /* ejections */
	_Atomic uint64_t checks, failed_checks, ejections;
	_Atomic int64_t checked_ms;
	_Atomic uint64_t calls; /* since the last sweep: all << 32 | failed */
	uint32_t swept_calls, swept_failed; /* the sweep's */
	uint32_t good, bad; /* in a row; the checks' */
};

struct health *health_new(struct err *err)
{
	struct health *health = mem_zalloc(1, sizeof(*health));

	if (!health) {
		err_set(err, ERR_MEMORY, "no memory for an endpoint's health");
		return NULL;
	}
	health->refs = 1;
	atomic_flag_clear(&health->ejecting);
	return health;
}

struct health *health_ref(struct health *health)
{
	atomic_fetch_add_explicit(&health->refs, 1, memory_order_relaxed);
	return health;
}

void health_unref(struct health *health)
{
	if (health && atomic_fetch_sub_explicit(&health->refs, 1, memory_order_acq_rel) == 1)
		mem_free(health);
}

static void note_back(struct health *health, int64_t now_ms)
{
	atomic_store_explicit(&health->back_ms, now_ms > 0 ? now_ms : 1, memory_order_relaxed);
}

bool health_is_well(struct health *health, int64_t now_ms)
{
	bool ejected = true;

	if (atomic_load_explicit(&health->down, memory_order_relaxed))
		return false;
	if (LIKELY(!atomic_load_explicit(&health->ejected, memory_order_acquire)))
		return true;
	if (now_ms < atomic_load_explicit(&health->ejected_until_ms, memory_order_relaxed))
		return false;
	if (atomic_compare_exchange_strong(&health->ejected, &ejected, false))
		note_back(health, now_ms);
	return true;
}

uint32_t health_share_percent(const struct health *health, uint64_t slow_start_ms,
			      int64_t now_ms)
{
	int64_t back_ms = atomic_load_explicit(&health->back_ms, memory_order_relaxed);
	uint64_t percent;

	if (LIKELY(!slow_start_ms || !back_ms))
		return 100;
	if (now_ms - back_ms >= (int64_t)slow_start_ms)
		return 100;
	if (now_ms <= back_ms)
		return SHARE_MIN;
	percent = (uint64_t)(now_ms - back_ms) * 100 / slow_start_ms;
	return percent < SHARE_MIN ? SHARE_MIN : (uint32_t)percent;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

bool health_checked(struct health *health, const struct config_health *config, bool good,
		    int64_t now_ms)
{
	bool down = atomic_load_explicit(&health->down, memory_order_relaxed);

	count(&health->checks);
	atomic_store_explicit(&health->checked_ms, now_ms, memory_order_relaxed);
	if (!good)
		count(&health->failed_checks);
	health->good = good ? health->good + 1 : 0;
	health->bad = good ? 0 : health->bad + 1;
	if (down ? health->good < config->healthy : health->bad < config->unhealthy)
		return false;
	if (down)
		note_back(health, now_ms);
	atomic_store_explicit(&health->down, !down, memory_order_relaxed);
	health->good = 0;
	health->bad = 0;
	return true;
}

int64_t health_checked_ms(const struct health *health)
{
	return atomic_load_explicit(&health->checked_ms, memory_order_relaxed);
}

/* --- outliers --- */

static size_t ejected_count(const struct health_group *group)
{
	size_t n = 0;

	for (size_t i = 0; i < group->count; i++)
		n += atomic_load_explicit(&group->members[i]->ejected, memory_order_relaxed);
	return n;
}

/* At least one of several may go; one alone stays. */
static size_t ejectable(const struct config_outlier *config, const struct health_group *group)
{
	size_t share = group->count * config->max_percent / 100;

	if (group->count < 2 || config->max_percent == 0)
		return 0;
	return share ? share : 1;
}

static bool eject(struct health *health, const struct config_outlier *config,
		  const struct health_group *group, int64_t now_ms)
{
	/* The first member's flag is the group's: others just go on, and count the next error. */
	atomic_flag *busy = &group->members[0]->ejecting;
	int64_t back_ms = atomic_load_explicit(&health->back_ms, memory_order_relaxed);
	uint32_t in_row = atomic_load_explicit(&health->in_row, memory_order_relaxed);
	bool done = false;

	if (atomic_flag_test_and_set_explicit(busy, memory_order_acquire))
		return false;
	if (!health->ejected && ejected_count(group) < ejectable(config, group)) {
		uint64_t calm = in_row && now_ms > back_ms
					? (uint64_t)(now_ms - back_ms) / config->interval_ms
					: 0;
		uint64_t time_ms;

		in_row = calm < in_row ? in_row - (uint32_t)calm + 1 : 1;
		time_ms = config->ejection_ms * in_row;
		if (time_ms > config->ejection_max_ms)
			time_ms = config->ejection_max_ms;
		atomic_store_explicit(&health->in_row, in_row, memory_order_relaxed);
		atomic_store_explicit(&health->errors, 0, memory_order_relaxed);
		atomic_store_explicit(&health->gateway_errors, 0, memory_order_relaxed);
		atomic_store_explicit(&health->ejected_until_ms, now_ms + (int64_t)time_ms,
				      memory_order_relaxed);
		atomic_store_explicit(&health->ejected, true, memory_order_release);
		count(&health->ejections);
		done = true;
	}
	atomic_flag_clear_explicit(busy, memory_order_release);
	return done;
}

/* A run of errors goes on, or ends; true when it has reached its bound. */
static bool run_of(_Atomic uint32_t *errors, bool bad, uint32_t bound)
{
	if (bad)
		return atomic_fetch_add_explicit(errors, 1, memory_order_relaxed) + 1 >=
			       bound &&
		       bound;
	if (UNLIKELY(atomic_load_explicit(errors, memory_order_relaxed)))
		atomic_store_explicit(errors, 0, memory_order_relaxed);
	return false;
}

bool health_note_call(struct health *health, const struct config_outlier *config,
		      const struct health_group *group, unsigned fault, int64_t now_ms)
{
	const unsigned gateway = CONFIG_RETRY_ON_CONNECT | CONFIG_RETRY_ON_RESET |
				 CONFIG_RETRY_ON_TIMEOUT | CONFIG_RETRY_ON_502 |
				 CONFIG_RETRY_ON_503 | CONFIG_RETRY_ON_504;
	bool errors = run_of(&health->errors, fault, config->consecutive_5xx);

	atomic_fetch_add_explicit(&health->calls, ONE_CALL + (fault != 0),
				  memory_order_relaxed);
	bool gateway_errors =
		run_of(&health->gateway_errors, fault & gateway, config->consecutive_gateway);

	return (errors || gateway_errors) && eject(health, config, group, now_ms);
}

/* --- comparing endpoints --- */

static double share_of(const struct health *health)
{
	return (double)(health->swept_calls - health->swept_failed) * 100.0 /
	       (double)health->swept_calls;
}

static void take_calls(const struct health_group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		struct health *health = group->members[i];
		uint64_t calls =
			atomic_exchange_explicit(&health->calls, 0, memory_order_relaxed);

		health->swept_calls = (uint32_t)(calls >> 32);
		health->swept_failed = (uint32_t)calls;
	}
}

/* The share below which an endpoint is far from the others; below 0: nothing is said. */
static double least_share(const struct health_group *group, const struct config_outlier *config)
{
	double sum = 0, squares = 0, mean;
	size_t n = 0;

	if (config->deviation_percent == 0)
		return -1;
	for (size_t i = 0; i < group->count; i++)
		if (group->members[i]->swept_calls >= config->deviation_calls) {
			sum += share_of(group->members[i]);
			n++;
		}
	if (n == 0 || n < config->deviation_endpoints)
		return -1;
	mean = sum / (double)n;
	for (size_t i = 0; i < group->count; i++)
		if (group->members[i]->swept_calls >= config->deviation_calls) {
			double off = share_of(group->members[i]) - mean;

			squares += off * off;
		}
	return mean - sqrt(squares / (double)n) * config->deviation_percent / 100.0;
}

static bool is_outlier(const struct health *health, const struct config_outlier *config,
		       double least)
{
	/* Equal shares differ in their last bits. */
	if (health->swept_calls >= config->deviation_calls &&
	    share_of(health) + ROUNDING < least)
		return true;
	return config->failure_percent && health->swept_calls >= config->failure_calls &&
	       (uint64_t)health->swept_failed * 100 >=
		       (uint64_t)config->failure_percent * health->swept_calls;
}

void health_sweep(const struct health_group *group, const struct config_outlier *config,
		  int64_t now_ms, void (*ejected)(void *context, size_t index), void *context)
{
	double least;

	take_calls(group);
	least = least_share(group, config);
	for (size_t i = 0; i < group->count; i++)
		if (group->members[i]->swept_calls &&
		    is_outlier(group->members[i], config, least) &&
		    eject(group->members[i], config, group, now_ms))
			ejected(context, i);
}

void health_read(const struct health *health, int64_t now_ms, struct health_figures *figures)
{
	int64_t until_ms =
		atomic_load_explicit(&health->ejected_until_ms, memory_order_relaxed);

	*figures = (struct health_figures){
		.up = !atomic_load_explicit(&health->down, memory_order_relaxed),
		.ejected = atomic_load_explicit(&health->ejected, memory_order_acquire) &&
			   until_ms > now_ms,
		.checks = atomic_load_explicit(&health->checks, memory_order_relaxed),
		.failed_checks =
			atomic_load_explicit(&health->failed_checks, memory_order_relaxed),
		.ejections = atomic_load_explicit(&health->ejections, memory_order_relaxed)};
	if (figures->ejected)
		figures->ejected_for_ms = until_ms - now_ms;
}

/* --- gRPC health checking (grpc/doc/health-checking.md), as protocol buffers put it --- */

#define FRAME_BYTES 5

static bool read_varint(struct span *rest, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; rest->len && shift < 64; shift += 7) {
		uint8_t byte = (uint8_t)rest->ptr[0];

		*rest = span_of(rest->ptr + 1, rest->len - 1);
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool skip(struct span *rest, uint64_t bytes)
{
	if (bytes > rest->len)
		return false;
	*rest = span_of(rest->ptr + bytes, rest->len - (size_t)bytes);
	return true;
}

bool health_grpc_serving(struct span body)
{
	uint64_t tag, value, status = 0;
	struct span rest;
	uint32_t length;

	if (body.len < FRAME_BYTES || body.ptr[0] != 0)
		return false; /* nothing, or compressed, which we have not asked for */
	length = (uint32_t)(uint8_t)body.ptr[1] << 24 | (uint32_t)(uint8_t)body.ptr[2] << 16 |
		 (uint32_t)(uint8_t)body.ptr[3] << 8 | (uint32_t)(uint8_t)body.ptr[4];
	if (length != body.len - FRAME_BYTES)
		return false;
	rest = span_of(body.ptr + FRAME_BYTES, length);
	while (rest.len) {
		if (!read_varint(&rest, &tag))
			return false;
		switch (tag & 7) {
		case 0:
			if (!read_varint(&rest, &value))
				return false;
			if (tag >> 3 == 1)
				status = value;
			break;
		case 1:
			if (!skip(&rest, 8))
				return false;
			break;
		case 2:
			if (!read_varint(&rest, &value) || !skip(&rest, value))
				return false;
			break;
		case 5:
			if (!skip(&rest, 4))
				return false;
			break;
		default: return false;
		}
	}
	return status == 1;
}

size_t health_grpc_request(char *to, size_t size, struct span service)
{
	size_t message = service.len ? service.len + 2 : 0;

	if (service.len > 127 || size < FRAME_BYTES + message)
		return 0;
	memset(to, 0, FRAME_BYTES);
	to[4] = (char)message;
	if (message) {
		to[FRAME_BYTES] = 0x0a; /* field 1, of bytes */
		to[FRAME_BYTES + 1] = (char)service.len;
		memcpy(to + FRAME_BYTES + 2, service.ptr, service.len);
	}
	return FRAME_BYTES + message;
}
