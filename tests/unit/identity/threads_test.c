/* threads_test.c - workers verify while another thread exchanges the key sets. */
#include "support.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "identity/authenticator.h"

#define WORKERS 3
#define ROTATIONS 200
#define ISSUER "https://a.test/"
#define CLAIMS "{\"iss\":\"" ISSUER "\",\"aud\":\"api\",\"sub\":\"ann\",\"exp\":1700000300}"

static struct {
	struct fake_server server;
	struct config *cfg;
	struct authenticator *authenticator;
	EVP_PKEY *keys[2];
	struct buf jwks[2];
	struct buf tokens[2];
	struct buf newcomer;
	atomic_bool stop;
	atomic_uint good;
	atomic_uint refused;
	atomic_uint newcomers;
} t;

struct thread {
	pthread_t id;
	struct auth_worker *worker;
	bool done;
};

static void work(void *arg)
{
	struct thread *self = arg;
	struct auth_outcome outcome;

	for (unsigned n = 0; !atomic_load(&t.stop); n++) {
		auth_bearer(self->worker, t.authenticator, buf_span(&t.tokens[n & 1]), NULL,
			    loop_deadline_ms(5000), &outcome);
		if (outcome.status == AUTH_OK)
			atomic_fetch_add(&t.good, 1);
		else if (outcome.reason == AUTH_REASON_UNKNOWN_KEY)
			atomic_fetch_add(&t.refused, 1);
		identity_unref(outcome.identity);
		if (n % 16 == 0)
			fiber_yield();
	}
	self->done = true;
}

/* Waits in its own thread for a key that the main thread fetches. */
static void newcomer(void *arg)
{
	struct thread *self = arg;
	struct auth_outcome outcome;

	auth_bearer(self->worker, t.authenticator, buf_span(&t.newcomer), NULL,
		    loop_deadline_ms(10000), &outcome);
	if (outcome.status == AUTH_OK)
		atomic_fetch_add(&t.newcomers, 1);
	identity_unref(outcome.identity);
	self->done = true;
}

/* cmocka's assertions are for the main thread: failures here end the process. */
static void must(bool condition)
{
	if (!condition)
		abort();
}

static void run_in_loop(fiber_function *function)
{
	const struct auth_worker_options options = {.cache_entries = 16,
						    .now_unix_s = test_clock};
	struct thread self = {.done = false};
	struct err err;
	struct loop *loop = loop_new(&err);

	must(loop != NULL);
	self.worker = auth_worker_new(&options, &err);
	must(self.worker && fiber_start(function, &self, &err));
	while (!self.done)
		loop_step(loop, 10);
	auth_worker_free(self.worker);
	/* Messages that are on their way belong to this loop. */
	while (fiber_live_count())
		loop_step(loop, 10);
	loop_free(loop);
}

static void *worker_thread(void *unused)
{
	(void)unused;
	run_in_loop(work);
	return NULL;
}

static void *newcomer_thread(void *unused)
{
	(void)unused;
	run_in_loop(newcomer);
	return NULL;
}

static int setup(void **state)
{
	struct err err;

	loop_setup(state);
	fake_server_start(&t.server);
	t.cfg = config_of("listen: 127.0.0.1:0\n"
			  "routes: [{path: /, respond: 200, auth: none}]\n"
			  "identity:\n"
			  "  providers:\n"
			  "    - name: a\n"
			  "      issuer: " ISSUER "\n"
			  "      audience: api\n"
			  "      jwks: {url: 'http://127.0.0.1:%u/keys', refresh: 1h}\n",
			  t.server.port);
	t.authenticator = authenticator_new(t.cfg, &err);
	assert_non_null(t.authenticator);
	for (int i = 0; i < 2; i++) {
		const char *kid = i ? "k1" : "k0";

		buf_init(&t.jwks[i], 65536);
		buf_init(&t.tokens[i], 65536);
		t.keys[i] = token_key_new(TOKEN_KEY_EC);
		jwks_of(&t.jwks[i], t.keys[i], kid);
		sign_token(&t.tokens[i], t.keys[i], "ES256", kid, "", CLAIMS);
	}
	buf_init(&t.newcomer, 65536);
	sign_token(&t.newcomer, t.keys[1], "ES256", "k1", "", CLAIMS);
	return 0;
}

static int teardown(void **state)
{
	fake_server_stop(&t.server);
	authenticator_unref(t.authenticator);
	config_unref(t.cfg);
	for (int i = 0; i < 2; i++) {
		EVP_PKEY_free(t.keys[i]);
		buf_release(&t.jwks[i]);
		buf_release(&t.tokens[i]);
	}
	buf_release(&t.newcomer);
	run_fibers();
	return loop_teardown(state);
}

static void put_keys(int which)
{
	struct key_set *keys;
	struct err err;

	keys = key_set_parse(buf_span(&t.jwks[which]), CONFIG_JWS_ES256, &err);
	assert_non_null(keys);
	authenticator_set_keys(t.authenticator, &t.authenticator->providers[0], keys);
}

static void workers_never_see_half_a_key_set(void **state)
{
	pthread_t threads[WORKERS];
	struct authenticator_stats stats;

	(void)state;
	put_keys(0);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker_thread, NULL), 0);
	for (int i = 1; i <= ROTATIONS; i++) {
		unsigned seen = atomic_load(&t.good);

		put_keys(i & 1);
		/* Each set is in use for a while. */
		while (atomic_load(&t.good) == seen)
			sched_yield();
	}
	atomic_store(&t.stop, true);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(atomic_load(&t.good) >= ROTATIONS);
	assert_true(atomic_load(&t.refused) > 0);
	authenticator_read_stats(t.authenticator, &stats);
	assert_int_equal(stats.rotations, ROTATIONS + 1);
}

static bool refresher_done;

static void refresher_main(void *arg)
{
	authenticator_refresh_main(arg);
	refresher_done = true;
}

static void workers_wait_for_keys_that_another_thread_fetches(void **state)
{
	const struct dns_options options = {.tries = 1};
	struct authenticator_refresh refresh = {.authenticator = t.authenticator};
	struct authenticator_stats stats;
	pthread_t threads[WORKERS];
	struct fiber *refresher;
	struct err err;

	(void)state;
	put_keys(0);
	refresh.dns = dns_new(&options, &err);
	assert_non_null(refresh.dns);
	t.server.body = buf_cstr(&t.jwks[1]);
	refresher = fiber_start(refresher_main, &refresh, &err);
	assert_non_null(refresher);
	loop_step(loop_current(), 0);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, newcomer_thread, NULL), 0);
	for (int i = 0; i < 2000 && atomic_load(&t.newcomers) < WORKERS; i++)
		loop_step(loop_current(), 10);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&t.newcomers), WORKERS);
	assert_int_equal(t.server.requests, 1);
	authenticator_read_stats(t.authenticator, &stats);
	assert_int_equal(stats.unknown_kid_refetches, 1);
	fiber_cancel(refresher);
	run_until(&refresher_done);
	dns_free(refresh.dns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_never_see_half_a_key_set),
		cmocka_unit_test(workers_wait_for_keys_that_another_thread_fetches),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
