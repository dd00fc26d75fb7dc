/*
 * Key sets kept fresh: one fiber a provider in the maintenance loop, and worker fibers of other
 * threads that wait for what it fetches.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/fetch.h"
#include "identity/authenticator.h"

#define KEY_SET_BYTES_MAX ((size_t)1024 * 1024)
#define FETCH_TIMEOUT_MS 10000
#define RETRY_FIRST_MS 1000
/* Fibers that wait for one provider; more are refused at once, so that a flood of tokens with
 * made-up key ids holds no more memory than this while the issuer is slow. */
#define WAITERS_MAX 1024

/* A fiber of a worker that waits. Belongs to its thread; listed and posted by others. */
struct key_waiter {
	struct list node; /* in provider->waiters; behind the lock */
	uint64_t fetch; /* the end of this one or a later one is waited for */
	struct loop_message message;
	struct loop *loop;
	struct fiber *fiber;
	bool posted; /* behind the lock: the message is on its way, or has come */
	bool come; /* the waiter's thread only, as the rest */
	bool abandoned;
};

/* Keeps one provider fresh. Freed by its fiber, or by its message if that is still on its way. */
struct key_refresher {
	struct loop_message kick;
	struct authenticator *authenticator;
	struct provider *provider;
	struct dns *dns;
	struct loop *loop;
	struct fiber *fiber; /* the loop's thread only; NULL: ended */
	/* Behind the lock. */
	uint64_t started; /* fetches */
	bool fetching;
	bool wanted; /* a fetch is asked for that has not started */
	bool kick_posted; /* the message is on its way */
};

/* --- the waiting side --- */

static void on_keys(struct loop_message *message)
{
	struct key_waiter *waiter = CONTAINER_OF(message, struct key_waiter, message);

	if (waiter->abandoned) {
		mem_free(waiter);
		return;
	}
	waiter->come = true;
	fiber_wake(waiter->fiber);
}

/* Takes the waiter back after a wait that ended by itself. */
static void give_up(struct authenticator *a, struct provider *provider,
		    struct key_waiter *waiter)
{
	bool posted;

	pthread_mutex_lock(&a->lock);
	posted = waiter->posted;
	if (!posted) {
		list_remove(&waiter->node);
		provider->waiter_count--;
	}
	pthread_mutex_unlock(&a->lock);
	if (posted && !waiter->come)
		waiter->abandoned = true;
	else
		mem_free(waiter);
}

/* With the lock held. */
static void want_fetch(struct authenticator *a, struct provider *provider, int64_t now_ms)
{
	struct key_refresher *refresher = provider->refresher;

	provider->refetched_once = true;
	provider->refetched_ms = now_ms;
	atomic_fetch_add_explicit(&a->refetches, 1, memory_order_relaxed);
	refresher->wanted = true;
	if (refresher->kick_posted)
		return;
	refresher->kick_posted = true;
	loop_post(refresher->loop, &refresher->kick);
}

/*
 * With the lock held. True when a fetch is coming that is worth waiting for; *fetch is its number.
 * For an unknown kid that is one that starts from now on: what a running one brings may be from
 * before the key. When none may start, a running one has to do.
 */
static bool ask_for_keys(struct authenticator *a, struct provider *provider, bool unknown_kid,
			 uint64_t *fetch)
{
	struct key_refresher *refresher = provider->refresher;
	int64_t now_ms = clock_ms();
	bool limited = provider->refetched_once &&
		       now_ms - provider->refetched_ms <
			       (int64_t)provider->config->jwks_min_refetch_ms;

	if (!refresher || provider->waiter_count >= WAITERS_MAX)
		return false;
	*fetch = unknown_kid ? refresher->started + 1 : 0;
	if (!unknown_kid || refresher->wanted)
		return true;
	if (limited) {
		*fetch = refresher->started;
		return refresher->fetching;
	}
	want_fetch(a, provider, now_ms);
	return true;
}

enum key_wait provider_wait_keys(struct authenticator *a, struct provider *provider,
				 bool unknown_kid, int64_t deadline_ms)
{
	struct key_waiter *waiter = mem_zalloc(1, sizeof(*waiter));
	enum fiber_wake wake = FIBER_EVENT;
	bool coming;

	if (!waiter)
		return KEY_WAIT_NO_MEMORY;
	waiter->message.run = on_keys;
	waiter->loop = loop_current();
	waiter->fiber = fiber_self();
	pthread_mutex_lock(&a->lock);
	coming = ask_for_keys(a, provider, unknown_kid, &waiter->fetch);
	if (coming) {
		list_push_back(&provider->waiters, &waiter->node);
		provider->waiter_count++;
	}
	pthread_mutex_unlock(&a->lock);
	if (!coming) {
		mem_free(waiter);
		return KEY_WAIT_REFUSED;
	}
	while (!waiter->come && wake == FIBER_EVENT)
		wake = fiber_park(deadline_ms);
	if (waiter->come) {
		mem_free(waiter);
		return KEY_WAIT_DONE;
	}
	give_up(a, provider, waiter);
	return wake == FIBER_CANCELLED ? KEY_WAIT_CANCELLED : KEY_WAIT_TIMEOUT;
}

/* With the lock held: those that wait for this fetch or an earlier one. */
static void wake_waiters(struct provider *provider, uint64_t fetch)
{
	list_for_each (node, &provider->waiters) {
		struct key_waiter *waiter = list_entry(node, struct key_waiter, node);

		if (waiter->fetch > fetch)
			continue;
		list_remove(&waiter->node);
		provider->waiter_count--;
		waiter->posted = true;
		loop_post(waiter->loop, &waiter->message);
	}
}

/* --- the fetching side --- */

static struct key_set *fetch_keys(struct key_refresher *r, struct err *err)
{
	static const struct http_field fields[] = {
		{SPAN_INIT("Accept"), SPAN_INIT("application/jwk-set+json, application/json"),
		 HTTP_FIELD_ACCEPT},
	};
	const struct config_provider *config = r->provider->config;
	const struct http_fetcher_options options = {
		.url = config->jwks_url,
		.tls = r->provider->jwks_tls,
		.dns = r->dns,
	};
	const struct http_fetch fetch = {
		.fields = fields, .field_count = COUNT_OF(fields), .repeatable = true};
	struct http_fetcher *fetcher = http_fetcher_new(&options, err);
	struct key_set *keys = NULL;
	struct buf body;
	unsigned status = 0;

	if (!fetcher)
		return NULL;
	buf_init(&body, KEY_SET_BYTES_MAX);
	if (http_fetch(fetcher, &fetch, loop_deadline_ms(FETCH_TIMEOUT_MS), &status, &body,
		       err) < 0)
		goto out;
	if (status != 200) {
		err_set(err, ERR_UNAVAILABLE, "%s: answered %u", config->jwks_url.ptr, status);
		goto out;
	}
	keys = key_set_parse(buf_span(&body), config->algorithms, err);
	if (!keys)
		err_wrap(err, "%s", config->jwks_url.ptr);
out:
	buf_release(&body);
	http_fetcher_close(fetcher);
	return keys;
}

static bool refresh(struct key_refresher *r)
{
	struct authenticator *a = r->authenticator;
	struct provider *provider = r->provider;
	struct key_set *keys;
	struct log_line line;
	struct err err;

	keys = provider->config->jwks_url.len
		       ? fetch_keys(r, &err)
		       : authenticator_read_key_file(provider->config, &err);
	if (keys) {
		authenticator_set_keys(a, provider, keys);
		atomic_fetch_add_explicit(&a->refreshes, 1, memory_order_relaxed);
		return true;
	}
	if (fiber_is_cancelled())
		return false;
	atomic_fetch_add_explicit(&a->refresh_errors, 1, memory_order_relaxed);
	log_begin(&line, LOG_WARN, "identity.keys_not_refreshed");
	log_str(&line, "provider", provider->config->name);
	log_err(&line, &err);
	log_end(&line);
	return false;
}

static void on_kick(struct loop_message *message)
{
	struct key_refresher *r = CONTAINER_OF(message, struct key_refresher, kick);

	if (!r->fiber) {
		mem_free(r);
		return;
	}
	pthread_mutex_lock(&r->authenticator->lock);
	r->kick_posted = false;
	pthread_mutex_unlock(&r->authenticator->lock);
	fiber_wake(r->fiber);
}

/* Waits for the next attempt, or until somebody has seen an unknown kid. False: cancelled. */
static bool wait_for_turn(struct key_refresher *r, int64_t ms)
{
	int64_t at_ms = loop_deadline_ms(ms);

	for (;;) {
		bool wanted;
		enum fiber_wake wake;

		pthread_mutex_lock(&r->authenticator->lock);
		wanted = r->wanted;
		pthread_mutex_unlock(&r->authenticator->lock);
		if (wanted)
			return true;
		wake = fiber_park(at_ms);
		if (wake != FIBER_EVENT)
			return wake == FIBER_TIMEOUT;
	}
}

static bool refresh_once(struct key_refresher *r)
{
	pthread_mutex_t *lock = &r->authenticator->lock;
	bool done;

	pthread_mutex_lock(lock);
	r->started++;
	r->fetching = true;
	r->wanted = false;
	pthread_mutex_unlock(lock);
	done = refresh(r);
	pthread_mutex_lock(lock);
	r->fetching = false;
	wake_waiters(r->provider, r->started);
	pthread_mutex_unlock(lock);
	return done;
}

static void keep_fresh(struct key_refresher *r)
{
	int64_t usual_ms = (int64_t)r->provider->config->jwks_refresh_ms;
	int64_t retry_ms = RETRY_FIRST_MS;
	bool fresh;

	/* What the file held, or was adopted, is fresh. */
	pthread_mutex_lock(&r->authenticator->lock);
	fresh = r->provider->keys != NULL;
	pthread_mutex_unlock(&r->authenticator->lock);
	if (fresh && !wait_for_turn(r, usual_ms))
		return;
	for (;;) {
		int64_t wait_ms = usual_ms;

		if (refresh_once(r)) {
			retry_ms = RETRY_FIRST_MS;
		} else {
			wait_ms = retry_ms < usual_ms ? retry_ms : usual_ms;
			retry_ms = wait_ms * 2;
		}
		if (!wait_for_turn(r, wait_ms))
			return;
	}
}

/* --- the fibers --- */

struct child {
	struct key_refresher *refresher;
	struct fiber *fiber; /* NULL: ended, or never started */
	struct fiber *parent;
};

static void refresher_main(void *arg)
{
	struct child *child = arg;
	struct key_refresher *r = child->refresher;
	bool posted;

	r->fiber = fiber_self();
	keep_fresh(r);
	pthread_mutex_lock(&r->authenticator->lock);
	r->provider->refresher = NULL;
	wake_waiters(r->provider, UINT64_MAX);
	posted = r->kick_posted;
	pthread_mutex_unlock(&r->authenticator->lock);
	r->fiber = NULL;
	if (!posted)
		mem_free(r);
	child->fiber = NULL;
	fiber_wake(child->parent);
}

static int start_child(struct child *child, struct authenticator_refresh *refresh,
		       struct provider *provider, struct err *err)
{
	struct authenticator *a = refresh->authenticator;
	struct key_refresher *r = mem_zalloc(1, sizeof(*r));

	if (!r)
		return err_set(err, ERR_MEMORY, "no memory for a fiber");
	*r = (struct key_refresher){
		.kick = {.run = on_kick},
		.authenticator = a,
		.provider = provider,
		.dns = refresh->dns,
		.loop = loop_current(),
	};
	child->refresher = r;
	child->parent = fiber_self();
	child->fiber = fiber_start(refresher_main, child, err);
	if (!child->fiber) {
		mem_free(r);
		return -1;
	}
	r->fiber = child->fiber;
	pthread_mutex_lock(&a->lock);
	provider->refresher = r;
	pthread_mutex_unlock(&a->lock);
	return 0;
}

static bool any_runs(const struct child *children, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (children[i].fiber)
			return true;
	}
	return false;
}

static void log_not_started(const struct provider *provider, const struct err *err)
{
	struct log_line line;

	log_begin(&line, LOG_ERROR, "identity.keys_not_refreshed");
	log_str(&line, "provider", provider->config->name);
	log_err(&line, err);
	log_end(&line);
}

/* Tries again later to start what could not be started. False: cancelled. */
static bool start_children(struct child *children, struct authenticator_refresh *refresh)
{
	struct authenticator *a = refresh->authenticator;

	for (size_t i = 0; i < authenticator_provider_count(a); i++) {
		const struct config_provider *config = a->providers[i].config;
		struct err err;

		if (!config->jwks_file.len && !config->jwks_url.len)
			continue;
		while (start_child(&children[i], refresh, &a->providers[i], &err) < 0) {
			log_not_started(&a->providers[i], &err);
			if (fiber_sleep_ms(RETRY_FIRST_MS) == FIBER_CANCELLED)
				return false;
		}
	}
	return true;
}

void authenticator_refresh_main(void *arg)
{
	struct authenticator_refresh *refresh = arg;
	struct authenticator *a = authenticator_ref(refresh->authenticator);
	size_t count = authenticator_provider_count(a);
	struct child *children;

	while (!(children = mem_zalloc(count + 1, sizeof(*children)))) {
		log_message(LOG_ERROR, "identity.keys_not_refreshed", "out of memory");
		if (fiber_sleep_ms(RETRY_FIRST_MS) == FIBER_CANCELLED)
			goto out;
	}
	if (start_children(children, refresh)) {
		while (fiber_park(FIBER_FOREVER) != FIBER_CANCELLED)
			continue;
	}
	for (size_t i = 0; i < count; i++) {
		if (children[i].fiber)
			fiber_cancel(children[i].fiber);
	}
	fiber_uncancel();
	while (any_runs(children, count))
		(void)fiber_park(FIBER_FOREVER);
	mem_free(children);
out:
	authenticator_unref(a);
}
