/* provider_test.c - key sets behind a URL, and introspection, against a server in the same loop. */
#include "support.h"

#include <openssl/evp.h>

#include "base/mem.h"
#include "parse/base64.h"

#define NOW 1700000000
#define ISSUER "https://a.test/"
#define CLAIMS "{\"iss\":\"" ISSUER "\",\"aud\":\"api\",\"sub\":\"ann\",\"exp\":1700000300}"

static struct {
	struct fake_server server;
	struct dns *dns;
	EVP_PKEY *first;
	EVP_PKEY *second;
	struct config *cfg;
	struct authenticator *authenticator;
	struct auth_worker *worker;
	struct authenticator_refresh refresh;
	struct fiber *refresher;
	bool refresher_done;
	struct buf jwks;
	struct buf token;
	struct buf token2;
} t;

static int setup(void **state)
{
	const struct dns_options options = {.tries = 1};
	struct err err;

	loop_setup(state);
	test_now_unix_s = NOW;
	fake_server_start(&t.server);
	t.dns = dns_new(&options, &err);
	assert_non_null(t.dns);
	t.first = token_key_new(TOKEN_KEY_EC);
	t.second = token_key_new(TOKEN_KEY_EC);
	buf_init(&t.jwks, 65536);
	buf_init(&t.token, 65536);
	buf_init(&t.token2, 65536);
	t.refresher = NULL;
	return 0;
}

static void stop_refresher(void)
{
	if (!t.refresher)
		return;
	fiber_cancel(t.refresher);
	t.refresher = NULL;
	run_until(&t.refresher_done);
}

static int teardown(void **state)
{
	stop_refresher();
	auth_worker_free(t.worker);
	authenticator_unref(t.authenticator);
	config_unref(t.cfg);
	t.worker = NULL;
	t.authenticator = NULL;
	t.cfg = NULL;
	fake_server_stop(&t.server);
	run_fibers();
	dns_free(t.dns);
	EVP_PKEY_free(t.first);
	EVP_PKEY_free(t.second);
	buf_release(&t.jwks);
	buf_release(&t.token);
	buf_release(&t.token2);
	return loop_teardown(state);
}

static void start(struct config *cfg)
{
	const struct auth_worker_options options = {
		.cache_entries = 64, .dns = t.dns, .now_unix_s = test_clock};
	struct err err;

	t.cfg = cfg;
	t.authenticator = authenticator_new(cfg, &err);
	if (!t.authenticator)
		fail_msg("%s", err.message);
	t.worker = auth_worker_new(&options, &err);
	assert_non_null(t.worker);
}

static void refresher_main(void *arg)
{
	authenticator_refresh_main(arg);
	t.refresher_done = true;
}

static void start_refresher(void)
{
	struct err err;

	t.refresh = (struct authenticator_refresh){t.authenticator, t.dns};
	t.refresher_done = false;
	t.refresher = fiber_start(refresher_main, &t.refresh, &err);
	assert_non_null(t.refresher);
}

static struct config *config_with_url(const char *min_refetch)
{
	return config_of("listen: 127.0.0.1:0\n"
			 "routes: [{path: /, respond: 200, auth: none}]\n"
			 "identity:\n"
			 "  providers:\n"
			 "    - name: a\n"
			 "      issuer: " ISSUER "\n"
			 "      audience: api\n"
			 "      jwks: {url: 'http://127.0.0.1:%u/keys', refresh: 1h,"
			 " min_refetch: %s}\n",
			 t.server.port, min_refetch);
}

/* One fiber that brings a token. */
struct request {
	const char *token;
	int64_t wait_ms;
	struct auth_outcome outcome;
	bool done;
	struct fiber *fiber;
};

static void request_main(void *arg)
{
	struct request *r = arg;

	auth_bearer(t.worker, t.authenticator, span_cstr(r->token), NULL,
		    loop_deadline_ms(r->wait_ms), &r->outcome);
	r->done = true;
}

static void begin(struct request *r, const char *token, int64_t wait_ms)
{
	struct err err;

	*r = (struct request){.token = token, .wait_ms = wait_ms};
	r->fiber = fiber_start(request_main, r, &err);
	assert_non_null(r->fiber);
}

static struct auth_outcome present(const char *token)
{
	struct request r;

	begin(&r, token, 10000);
	run_until(&r.done);
	return r.outcome;
}

static void expect(const char *token, enum auth_reason reason)
{
	struct auth_outcome outcome = present(token);

	if (outcome.reason != reason)
		fail_msg("%s, wanted %s", auth_reason_word(outcome.reason),
			 auth_reason_word(reason));
	identity_unref(outcome.identity);
}

static void step_while_not(unsigned requests)
{
	for (int i = 0; i < 1000 && t.server.requests < requests; i++)
		loop_step(loop_current(), 10);
	assert_true(t.server.requests >= requests);
}

/* --- key sets --- */

static void tokens_wait_for_the_first_keys(void **state)
{
	(void)state;
	start(config_with_url("1h"));
	t.server.body = jwks_of(&t.jwks, t.first, "k1");
	sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
	assert_false(authenticator_is_ready(t.authenticator));
	start_refresher();
	expect(buf_cstr(&t.token), AUTH_REASON_NONE);
	assert_true(authenticator_is_ready(t.authenticator));
	assert_int_equal(t.server.requests, 1);
}

static void without_any_keys_the_answer_is_503(void **state)
{
	struct auth_outcome outcome;

	(void)state;
	start(config_with_url("1h"));
	sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
	/* Nobody fetches them. */
	outcome = present(buf_cstr(&t.token));
	assert_int_equal(outcome.status, AUTH_UNAVAILABLE);
	assert_int_equal(outcome.reason, AUTH_REASON_NO_KEYS);
	/* The server has none to give. */
	t.server.status = 500;
	start_refresher();
	outcome = present(buf_cstr(&t.token));
	assert_int_equal(outcome.status, AUTH_UNAVAILABLE);
	assert_int_equal(outcome.reason, AUTH_REASON_NO_KEYS);
	assert_false(authenticator_is_ready(t.authenticator));
}

static void an_unknown_kid_fetches_the_new_key_once(void **state)
{
	struct authenticator_stats stats;
	struct request many[20];

	(void)state;
	start(config_with_url("1h"));
	t.server.body = jwks_of(&t.jwks, t.first, "k1");
	start_refresher();
	sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
	expect(buf_cstr(&t.token), AUTH_REASON_NONE);
	/* The issuer rotates; a crowd comes with the new key. */
	t.server.body = jwks_of(&t.jwks, t.second, "k2");
	sign_token(&t.token2, t.second, "ES256", "k2", "", CLAIMS);
	for (size_t i = 0; i < COUNT_OF(many); i++)
		begin(&many[i], buf_cstr(&t.token2), 10000);
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		run_until(&many[i].done);
		assert_int_equal(many[i].outcome.status, AUTH_OK);
		identity_unref(many[i].outcome.identity);
	}
	assert_int_equal(t.server.requests, 2);
	/* The old key is gone, and with it what it had signed: the cache knows. */
	expect(buf_cstr(&t.token), AUTH_REASON_UNKNOWN_KEY);
	/* No second fetch for this reason within min_refetch. */
	sign_token(&t.token, t.first, "ES256", "k3", "", CLAIMS);
	expect(buf_cstr(&t.token), AUTH_REASON_UNKNOWN_KEY);
	assert_int_equal(t.server.requests, 2);
	authenticator_read_stats(t.authenticator, &stats);
	assert_int_equal(stats.unknown_kid_refetches, 1);
	assert_int_equal(stats.rotations, 2);
	assert_int_equal(stats.refreshes, 2);
	assert_int_equal(stats.refresh_errors, 0);
}

static void keys_stay_when_a_fetch_fails(void **state)
{
	static const struct {
		unsigned status;
		const char *body;
	} bad[] = {
		{500, "{}"},	       {200, "not json"}, {200, "{\"keys\":[]}"},
		{200, "{\"keys\":7}"}, {404, "{}"},
	};
	struct authenticator_stats stats;
	char kid[8];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		start(config_with_url("1h"));
		t.server.status = 200;
		t.server.body = jwks_of(&t.jwks, t.first, "k1");
		start_refresher();
		sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
		expect(buf_cstr(&t.token), AUTH_REASON_NONE);
		t.server.status = bad[i].status;
		t.server.body = bad[i].body;
		snprintf(kid, sizeof(kid), "x%zu", i);
		sign_token(&t.token2, t.second, "ES256", kid, "", CLAIMS);
		expect(buf_cstr(&t.token2), AUTH_REASON_UNKNOWN_KEY);
		authenticator_read_stats(t.authenticator, &stats);
		assert_true(stats.refresh_errors >= 1);
		assert_int_equal(stats.rotations, 1);
		expect(buf_cstr(&t.token), AUTH_REASON_NONE);
		stop_refresher();
		auth_worker_free(t.worker);
		authenticator_unref(t.authenticator);
		config_unref(t.cfg);
	}
	t.worker = NULL;
	t.authenticator = NULL;
	t.cfg = NULL;
}

static void redirects_are_not_followed(void **state)
{
	struct authenticator_stats stats;

	(void)state;
	start(config_with_url("1h"));
	t.server.status = 302;
	t.server.location = "/elsewhere";
	t.server.body = jwks_of(&t.jwks, t.first, "k1");
	start_refresher();
	sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
	expect(buf_cstr(&t.token), AUTH_REASON_NO_KEYS);
	authenticator_read_stats(t.authenticator, &stats);
	assert_true(stats.refresh_errors >= 1);
	assert_int_equal(stats.refreshes, 0);
}

static void a_reload_takes_the_keys_along(void **state)
{
	struct authenticator *next;
	struct auth_outcome outcome;
	struct err err;

	(void)state;
	start(config_with_url("1h"));
	t.server.body = jwks_of(&t.jwks, t.first, "k1");
	start_refresher();
	sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
	expect(buf_cstr(&t.token), AUTH_REASON_NONE);
	stop_refresher();
	next = authenticator_new(t.cfg, &err);
	assert_non_null(next);
	authenticator_adopt(next, t.authenticator);
	authenticator_unref(t.authenticator);
	t.authenticator = next;
	assert_true(authenticator_is_ready(next));
	outcome = present(buf_cstr(&t.token));
	assert_int_equal(outcome.status, AUTH_OK);
	assert_false(outcome.cached);
	identity_unref(outcome.identity);
	assert_int_equal(t.server.requests, 1);
}

static void a_cancelled_wait_for_keys_leaves_nothing_behind(void **state)
{
	struct request cancelled;
	struct request patient;
	struct request hasty;

	(void)state;
	start(config_with_url("1h"));
	t.server.hold = true;
	t.server.body = jwks_of(&t.jwks, t.first, "k1");
	sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
	start_refresher();
	step_while_not(1);
	begin(&cancelled, buf_cstr(&t.token), 10000);
	begin(&patient, buf_cstr(&t.token), 10000);
	begin(&hasty, buf_cstr(&t.token), 1);
	loop_step(loop_current(), 0);
	fiber_cancel(cancelled.fiber);
	run_until(&cancelled.done);
	run_until(&hasty.done);
	assert_int_equal(cancelled.outcome.status, AUTH_CANCELLED);
	assert_int_equal(hasty.outcome.status, AUTH_UNAVAILABLE);
	fake_server_release_held(&t.server);
	run_until(&patient.done);
	assert_int_equal(patient.outcome.status, AUTH_OK);
	identity_unref(patient.outcome.identity);
}

/* Stopped in the middle of a fetch: those that wait for it are told. */
static void a_refresher_that_ends_wakes_those_that_wait(void **state)
{
	struct request r;

	(void)state;
	start(config_with_url("1h"));
	t.server.hold = true;
	sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS);
	start_refresher();
	step_while_not(1);
	begin(&r, buf_cstr(&t.token), 60000);
	loop_step(loop_current(), 0);
	stop_refresher();
	run_until(&r.done);
	assert_int_equal(r.outcome.status, AUTH_UNAVAILABLE);
	assert_int_equal(r.outcome.reason, AUTH_REASON_NO_KEYS);
}

/* --- introspection --- */

static struct config *config_with_introspection(const char *more)
{
	return config_of(
		"listen: 127.0.0.1:0\n"
		"routes: [{path: /, respond: 200, auth: none}]\n"
		"identity:\n"
		"  providers:\n"
		"    - name: a\n"
		"      issuer: " ISSUER "\n"
		"      audience: api\n"
		"      introspection: {url: 'http://127.0.0.1:%u/ask', client_id: 'gate way',"
		" client_secret: 'p:q'%s}\n",
		t.server.port, more);
}

static void an_opaque_token_is_asked_about_once(void **state)
{
	struct auth_outcome outcome;
	char expected[64];
	size_t len;

	(void)state;
	start(config_with_introspection(""));
	t.server.body = "{\"active\":true,\"sub\":\"ann\",\"client_id\":\"web\","
			"\"scope\":\"read write\",\"exp\":1700000020}";
	outcome = present("opaque+/~-1");
	assert_int_equal(outcome.status, AUTH_OK);
	assert_int_equal(outcome.identity->kind, IDENTITY_OPAQUE);
	assert_span(outcome.identity->subject, "ann");
	assert_true(identity_has_scope(outcome.identity, SPAN("write")));
	assert_int_equal(outcome.identity->expires_unix_s, 1700000020);
	identity_unref(outcome.identity);
	assert_string_equal(t.server.last_body,
			    "token=opaque%2B%2F%7E-1&token_type_hint=access_token");
	len = base64_encode(expected, SPAN("gate+way:p%3Aq"));
	assert_span(span_of(expected, len), t.server.last_authorization + 6);
	outcome = present("opaque+/~-1");
	assert_true(outcome.cached);
	identity_unref(outcome.identity);
	assert_int_equal(t.server.requests, 1);
	/* Not beyond its end. */
	test_now_unix_s = 1700000020;
	outcome = present("opaque+/~-1");
	assert_int_equal(outcome.status, AUTH_OK);
	assert_int_equal(t.server.requests, 2);
	identity_unref(outcome.identity);
}

static void with_no_cache_it_is_asked_every_time(void **state)
{
	(void)state;
	start(config_with_introspection(", cache_ttl: 0s"));
	t.server.body = "{\"active\":true,\"sub\":\"ann\"}";
	expect("opaque", AUTH_REASON_NONE);
	expect("opaque", AUTH_REASON_NONE);
	assert_int_equal(t.server.requests, 2);
}

static void a_token_that_is_not_active_is_refused(void **state)
{
	static const struct {
		const char *body;
		enum auth_reason reason;
		enum auth_status status;
	} table[] = {
		{"{\"active\":false}", AUTH_REASON_NOT_ACTIVE, AUTH_INVALID_TOKEN},
		{"{\"active\":true,\"sub\":\"ann\",\"exp\":1600000000}", AUTH_REASON_EXPIRED,
		 AUTH_INVALID_TOKEN},
		{"{\"active\":true,\"sub\":\"ann\",\"aud\":\"other\"}",
		 AUTH_REASON_BAD_AUDIENCE, AUTH_INVALID_TOKEN},
		{"{\"active\":true,\"sub\":\"ann\",\"iss\":\"https://b.test/\"}",
		 AUTH_REASON_UNKNOWN_ISSUER, AUTH_INVALID_TOKEN},
		{"{\"active\":true}", AUTH_REASON_BAD_CLAIMS, AUTH_INVALID_TOKEN},
		{"{\"active\":true,\"sub\":\"ann\",\"cnf\":{\"jkt\":\"x\"}}",
		 AUTH_REASON_NOT_BOUND, AUTH_INVALID_TOKEN},
		/* These say nothing about the token: 503. */
		{"{\"active\":\"true\"}", AUTH_REASON_INTROSPECTION_FAILED, AUTH_UNAVAILABLE},
		{"{}", AUTH_REASON_INTROSPECTION_FAILED, AUTH_UNAVAILABLE},
		{"[true]", AUTH_REASON_INTROSPECTION_FAILED, AUTH_UNAVAILABLE},
		{"oops", AUTH_REASON_INTROSPECTION_FAILED, AUTH_UNAVAILABLE},
	};
	char token[16];

	(void)state;
	start(config_with_introspection(""));
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct auth_outcome outcome;

		t.server.body = table[i].body;
		snprintf(token, sizeof(token), "opaque-%zu", i);
		outcome = present(token);
		if (outcome.reason != table[i].reason)
			fail_msg("%s: %s", table[i].body, auth_reason_word(outcome.reason));
		assert_int_equal(outcome.status, table[i].status);
	}
}

static void a_failing_endpoint_gives_503_and_is_asked_again(void **state)
{
	(void)state;
	start(config_with_introspection(""));
	t.server.status = 401;
	expect("opaque", AUTH_REASON_INTROSPECTION_FAILED);
	t.server.status = 200;
	t.server.body = "{\"active\":true,\"sub\":\"ann\"}";
	expect("opaque", AUTH_REASON_NONE);
	assert_int_equal(t.server.requests, 2);
}

static void a_silent_endpoint_gives_503_in_time(void **state)
{
	struct auth_outcome outcome;

	(void)state;
	start(config_with_introspection(", timeout: 50ms"));
	t.server.silent = true;
	outcome = present("opaque");
	assert_int_equal(outcome.status, AUTH_UNAVAILABLE);
	assert_int_equal(outcome.reason, AUTH_REASON_TIMEOUT);
}

static void an_answer_over_the_limit_is_not_read(void **state)
{
	size_t size = 300 * 1024;
	char *body = mem_alloc(size);

	(void)state;
	start(config_with_introspection(""));
	memset(body, ' ', size);
	memcpy(body, "{\"active\":true,\"sub\":\"ann\"}", 27);
	body[size - 1] = '\0';
	t.server.body = body;
	expect("opaque", AUTH_REASON_INTROSPECTION_FAILED);
	t.server.body = "{}";
	mem_free(body);
}

static void a_crowd_with_one_token_asks_once(void **state)
{
	struct request many[10];
	struct identity *first = NULL;

	(void)state;
	start(config_with_introspection(""));
	t.server.hold = true;
	t.server.body = "{\"active\":true,\"sub\":\"ann\"}";
	for (size_t i = 0; i < COUNT_OF(many); i++)
		begin(&many[i], "opaque", 10000);
	step_while_not(1);
	fake_server_release_held(&t.server);
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		run_until(&many[i].done);
		assert_int_equal(many[i].outcome.status, AUTH_OK);
		if (!first)
			first = many[i].outcome.identity;
		assert_ptr_equal(many[i].outcome.identity, first);
	}
	for (size_t i = 0; i < COUNT_OF(many); i++)
		identity_unref(many[i].outcome.identity);
	assert_int_equal(t.server.requests, 1);
}

static void when_the_one_that_asks_gives_up_another_does(void **state)
{
	struct request many[3];

	(void)state;
	start(config_with_introspection(""));
	t.server.hold = true;
	t.server.body = "{\"active\":true,\"sub\":\"ann\"}";
	for (size_t i = 0; i < COUNT_OF(many); i++)
		begin(&many[i], "opaque", 10000);
	step_while_not(1);
	fiber_cancel(many[0].fiber);
	run_until(&many[0].done);
	assert_int_equal(many[0].outcome.status, AUTH_CANCELLED);
	step_while_not(2);
	fake_server_release_held(&t.server);
	for (size_t i = 1; i < COUNT_OF(many); i++) {
		run_until(&many[i].done);
		assert_int_equal(many[i].outcome.status, AUTH_OK);
		identity_unref(many[i].outcome.identity);
	}
	assert_int_equal(t.server.requests, 2);
}

static void a_jwt_of_a_provider_without_keys_is_asked_about(void **state)
{
	struct auth_outcome outcome;

	(void)state;
	start(config_with_introspection(""));
	t.server.body = "{\"active\":true,\"sub\":\"ann\"}";
	outcome = present(sign_token(&t.token, t.first, "ES256", "k1", "", CLAIMS));
	assert_int_equal(outcome.status, AUTH_OK);
	assert_int_equal(outcome.identity->kind, IDENTITY_OPAQUE);
	identity_unref(outcome.identity);
}

static void introspection_survives_each_failed_allocation(void **state)
{
	(void)state;
	start(config_with_introspection(", cache_ttl: 0s"));
	t.server.body = "{\"active\":true,\"sub\":\"ann\",\"scope\":\"a b\"}";
	for (unsigned long n = 1; n < 200; n++) {
		struct request r;
		bool happened;

		begin(&r, "opaque", 10000);
		mem_fail_at(n);
		run_until(&r.done);
		happened = mem_fail_happened();
		mem_fail_at(0);
		/* The server's allocations fail too: it then says nothing, or 500. */
		if (r.outcome.status == AUTH_OK)
			identity_unref(r.outcome.identity);
		else
			assert_int_equal(r.outcome.status, AUTH_UNAVAILABLE);
		if (!happened)
			break;
	}
	expect("opaque", AUTH_REASON_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tokens_wait_for_the_first_keys),
		TEST(without_any_keys_the_answer_is_503),
		TEST(an_unknown_kid_fetches_the_new_key_once),
		TEST(keys_stay_when_a_fetch_fails),
		TEST(redirects_are_not_followed),
		TEST(a_reload_takes_the_keys_along),
		TEST(a_cancelled_wait_for_keys_leaves_nothing_behind),
		TEST(a_refresher_that_ends_wakes_those_that_wait),
		TEST(an_opaque_token_is_asked_about_once),
		TEST(with_no_cache_it_is_asked_every_time),
		TEST(a_token_that_is_not_active_is_refused),
		TEST(a_failing_endpoint_gives_503_and_is_asked_again),
		TEST(a_silent_endpoint_gives_503_in_time),
		TEST(an_answer_over_the_limit_is_not_read),
		TEST(a_crowd_with_one_token_asks_once),
		TEST(when_the_one_that_asks_gives_up_another_does),
		TEST(a_jwt_of_a_provider_without_keys_is_asked_about),
		TEST(introspection_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
