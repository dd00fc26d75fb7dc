#include "gateway/ban_service.h"

#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/audit.h"
#include "guard/ban_store.h"
#include "guard/ban_who.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"

#define QUEUE_MAX 1024
#define PERIOD_MS 1000
/* Everything is read anew so often, should a change not have been counted. */
#define READ_ALL_PERIODS 60
#define STORE_TIMEOUT_MS 2000
#define PRINT_MAX 1000

struct change {
	struct ban ban;
	bool lift;
};

struct ban_service {
	struct ban_table *table;
	struct store *store; /* NULL: none */
	struct audit_log *audit_log; /* NULL: none */
	uint64_t memory_ms;
	/* the thread's */
	pthread_t thread;
	bool has_thread;
	bool failing; /* the store; said once */
	uint32_t mark; /* of what the last reading has found */
	int64_t changes; /* in the store, when it was read */
	unsigned periods; /* since then */
	/* shared */
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	bool stop;
	struct change *queue; /* QUEUE_MAX */
	size_t queued;
	uint64_t lost; /* changes that found the queue full */
};

/* ---- log and audit --------------------------------------------------------------------------- */

static void put_ban(struct json_writer *w, const struct ban *ban)
{
	char time[CLOCK_RFC3339_SIZE];

	json_member_string(w, SPAN("client"), span_cstr(ban->who));
	json_member_string(w, SPAN("kind"), span_cstr(ban_kind_name(ban->kind)));
	clock_rfc3339(time, ban->since_unix_ms);
	json_member_string(w, SPAN("since"), span_cstr(time));
	json_key(w, SPAN("until"));
	if (ban->until_unix_ms == BAN_FOREVER) {
		json_put_null(w);
	} else {
		clock_rfc3339(time, ban->until_unix_ms);
		json_put_string(w, span_cstr(time));
	}
	json_member_int(w, SPAN("offences"), ban->offences);
}

static void tell(struct ban_service *service, const char *event, const struct ban *ban,
		 const char *detail)
{
	struct buf members;
	struct json_writer w;

	log_message(LOG_WARN, event, "%s for %s (%s)", ban->who, ban_kind_name(ban->kind),
		    detail);
	if (!service->audit_log)
		return;
	buf_init(&members, 4096);
	json_writer_init(&w, &members);
	w.need_comma = true;
	put_ban(&w, ban);
	json_member_string(&w, SPAN("detail"), span_cstr(detail));
	audit_event(service->audit_log, event,
		    buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void store_result(struct ban_service *service, bool ok, const struct err *err)
{
	if (ok == !service->failing)
		return;
	service->failing = !ok;
	if (ok)
		log_message(LOG_INFO, "bans.store", "bans are shared again");
	else
		log_message(LOG_ERROR, "bans.store",
			    "bans hold in this process only, for now: %s", err->message);
}

static int write_change(struct ban_service *service, const struct change *change,
			struct err *err)
{
	if (change->lift)
		return ban_store_remove(service->store, span_cstr(change->ban.who), err) ==
				       STORE_FAILED
			       ? -1
			       : 0;
	if (ban_store_put(service->store, &change->ban, service->memory_ms, err) < 0)
		return -1;
	ban_mark(service->table, &change->ban, service->mark);
	return 0;
}

static bool first_change(struct ban_service *service, struct change *change)
{
	bool there;

	pthread_mutex_lock(&service->lock);
	there = service->queued > 0;
	if (there)
		*change = service->queue[0];
	pthread_mutex_unlock(&service->lock);
	return there;
}

static void drop_first(struct ban_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->queued--;
	memmove(service->queue, service->queue + 1, service->queued * sizeof(*service->queue));
	pthread_mutex_unlock(&service->lock);
}

/* What cannot be written stays in the queue. */
static int write_changes(struct ban_service *service, struct err *err)
{
	struct change change;

	while (first_change(service, &change)) {
		if (write_change(service, &change, err) < 0)
			return -1;
		drop_first(service);
	}
	return 0;
}

static void use_record(void *context, const struct ban *record)
{
	struct ban_service *service = context;
	struct ban ban = *record;

	ban.mark = service->mark;
	if (ban_who_parse(span_cstr(record->who), &ban))
		ban_put(service->table, &ban);
}

static int read_all(struct ban_service *service, struct err *err)
{
	int64_t changes;
	size_t lifted;

	if (ban_store_changes(service->store, &changes, err) < 0)
		return -1;
	if (changes == service->changes && service->periods++ < READ_ALL_PERIODS)
		return 0;
	if (++service->mark == 0)
		service->mark = 1;
	if (ban_store_each(service->store, use_record, service, err) < 0)
		return -1;
	lifted = ban_lift_unmarked(service->table, service->mark, clock_unix_ms());
	if (lifted > 0)
		log_message(LOG_INFO, "ban.lifted", "%zu by another replica or command",
			    lifted);
	service->changes = changes;
	service->periods = 0;
	return 0;
}

static void work(struct ban_service *service)
{
	struct err err = {.code = ERR_NONE};

	if (service->store)
		store_result(service,
			     write_changes(service, &err) == 0 && read_all(service, &err) == 0,
			     &err);
	ban_sweep(service->table, clock_unix_ms() - (int64_t)service->memory_ms);
}

/* False when it is time to end. */
static bool wait_for_work(struct ban_service *service)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PERIOD_MS / 1000;
	pthread_mutex_lock(&service->lock);
	if (!service->stop)
		pthread_cond_timedwait(&service->wanted, &service->lock, &until);
	stop = service->stop;
	pthread_mutex_unlock(&service->lock);
	return !stop;
}

static void *thread_main(void *arg)
{
	struct ban_service *service = arg;

	pthread_setname_np(pthread_self(), "bans");
	while (wait_for_work(service))
		work(service);
	work(service);
	return NULL;
}

/* ---- start and end --------------------------------------------------------------------------- */

static int open_store(struct ban_service *service, const struct config *cfg, struct err *err)
{
	struct store_options options = {.url = secret_span(&cfg->store.shared),
					.timeout_ms = STORE_TIMEOUT_MS,
					.connections_max = 1};

	if (options.url.len == 0)
		options.url = secret_span(&cfg->store.url);
	if (options.url.len == 0)
		return 0;
	service->store = store_open(&options, err);
	return service->store ? 0 : err_wrap(err, "bans");
}

struct ban_service *ban_service_new(const struct config *cfg, struct audit_log *audit_log,
				    struct err *err)
{
	struct ban_service *service = mem_zalloc(1, sizeof(*service));

	if (!service) {
		err_set(err, ERR_MEMORY, "no memory for bans");
		return NULL;
	}
	service->audit_log = audit_log;
	service->memory_ms = cfg->ips->memory_ms;
	service->changes = -1;
	pthread_mutex_init(&service->lock, NULL);
	pthread_cond_init(&service->wanted, NULL);
	service->queue = mem_zalloc(QUEUE_MAX, sizeof(*service->queue));
	if (!service->queue)
		err_set(err, ERR_MEMORY, "no memory for bans");
	else
		service->table = ban_table_new(cfg->ips->bans_max, err);
	if (!service->table || open_store(service, cfg, err) < 0) {
		ban_service_free(service);
		return NULL;
	}
	work(service);
	if (pthread_create(&service->thread, NULL, thread_main, service) != 0) {
		err_set(err, ERR_UNAVAILABLE, "cannot start a thread");
		ban_service_free(service);
		return NULL;
	}
	service->has_thread = true;
	return service;
}

void ban_service_free(struct ban_service *service)
{
	if (!service)
		return;
	if (service->has_thread) {
		pthread_mutex_lock(&service->lock);
		service->stop = true;
		pthread_cond_signal(&service->wanted);
		pthread_mutex_unlock(&service->lock);
		pthread_join(service->thread, NULL);
	}
	store_close(service->store);
	ban_table_free(service->table);
	pthread_cond_destroy(&service->wanted);
	pthread_mutex_destroy(&service->lock);
	mem_free(service->queue);
	mem_free(service);
}

struct ban_table *ban_service_table(struct ban_service *service)
{
	return service->table;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void enqueue(struct ban_service *service, const struct ban *ban, bool lift)
{
	if (!service->store)
		return;
	pthread_mutex_lock(&service->lock);
	if (service->queued < QUEUE_MAX)
		service->queue[service->queued++] = (struct change){*ban, lift};
	else
		service->lost++;
	pthread_cond_signal(&service->wanted);
	pthread_mutex_unlock(&service->lock);
}

void ban_service_added(struct ban_service *service, const struct ban *ban, bool observed)
{
	tell(service, "ban.added", ban, observed ? "observed only" : "enforced");
	if (!observed)
		enqueue(service, ban, false);
}

bool ban_service_lift(struct ban_service *service, uint64_t hash, const char *by)
{
	struct ban was;

	if (!ban_lift(service->table, hash, &was))
		return false;
	tell(service, "ban.lifted", &was, by);
	enqueue(service, &was, true);
	return true;
}

/* ---- what is said of it ---------------------------------------------------------------------- */

void ban_service_print(struct ban_service *service, struct buf *out)
{
	int64_t now_ms = clock_unix_ms();
	struct ban bans[8];
	struct json_writer w;
	size_t cursor = 0, printed = 0, count;

	json_writer_init(&w, out);
	json_begin_object(&w);
	json_key(&w, SPAN("bans"));
	json_begin_array(&w);
	while (printed < PRINT_MAX &&
	       (count = ban_list(service->table, now_ms, &cursor, bans, COUNT_OF(bans))) > 0) {
		for (size_t i = 0; i < count; i++) {
			json_begin_object(&w);
			put_ban(&w, &bans[i]);
			json_end_object(&w);
		}
		printed += count;
	}
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(out, '\n');
}

void ban_service_metrics(struct ban_service *service, struct buf *out)
{
	uint64_t lost;

	pthread_mutex_lock(&service->lock);
	lost = service->lost;
	pthread_mutex_unlock(&service->lock);
	prometheus_number(out, "sallyport_bans_active", "gauge", "Clients that are banned now.",
			  ban_count(service->table, clock_unix_ms()));
	prometheus_number(out, "sallyport_bans_unshared_total", "counter",
			  "Bans that could not be queued for the store.", lost);
}
