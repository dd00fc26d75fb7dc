/* ban_test.c - strikes, bans that grow, lifting, a full table, and many threads on one table. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "guard/ban_who.h"

#define NOW_MS 1700000000000LL

static const struct config_ips config = {.rules = {[CONFIG_IPS_ATTACK] = {.threshold = 3,
									  .window_ms = 30000,
									  .ban_ms = 60000,
									  .growth_percent = 200,
									  .ban_max_ms = 200000},
						   [CONFIG_IPS_SCAN] = {.threshold = 1,
									.window_ms = 1000,
									.ban_ms = 5000,
									.growth_percent = 100,
									.ban_max_ms = 5000},
						   [CONFIG_IPS_LOGIN] = {.threshold = 0}},
					 .memory_ms = 3600000};

static struct ban_table *make(size_t bans)
{
	struct err err = {.code = ERR_NONE};
	struct ban_table *table = ban_table_new(bans, &err);

	assert_non_null(table);
	return table;
}

static bool strike_once(struct ban_table *table, enum config_ips_kind kind, uint64_t hash,
			int64_t now_ms, struct ban *ban)
{
	*ban = (struct ban){.hash = hash, .who = "address:192.0.2.1"};
	return ban_strike(table, &config, kind, now_ms, ban);
}

/* Strikes until there is a ban; how many it took, 0 for more than 100. */
static unsigned strike(struct ban_table *table, enum config_ips_kind kind, uint64_t hash,
		       int64_t now_ms, struct ban *ban)
{
	for (unsigned i = 1; i <= 100; i++)
		if (strike_once(table, kind, hash, now_ms, ban))
			return i;
	return 0;
}

static void the_threshold_bans_and_not_one_less(void **state)
{
	struct ban_table *table = make(1024);
	struct ban ban;

	(void)state;
	assert_true(ban_table_is_empty(table));
	for (int i = 0; i < 2; i++)
		assert_false(strike_once(table, CONFIG_IPS_ATTACK, 7, NOW_MS, &ban));
	assert_true(ban_table_is_empty(table));
	assert_int_equal(ban_until(table, 7, NOW_MS), 0);
	assert_true(strike_once(table, CONFIG_IPS_ATTACK, 7, NOW_MS, &ban));
	assert_false(ban_table_is_empty(table));
	assert_string_equal(ban.who, "address:192.0.2.1");
	assert_int_equal(ban.offences, 1);
	assert_int_equal(ban_until(table, 7, NOW_MS), NOW_MS + 60000);
	assert_int_equal(ban_until(table, 7, NOW_MS + 59999), NOW_MS + 60000);
	assert_int_equal(ban_until(table, 7, NOW_MS + 60000), 0);
	assert_int_equal(ban_until(table, 8, NOW_MS), 0);
	ban_table_free(table);
}

static void strikes_are_forgotten_evenly(void **state)
{
	struct ban_table *table = make(1024);
	struct ban ban;

	(void)state;
	/* One in ten seconds is a third of the threshold in a third of the window. */
	for (int i = 0; i < 1000; i++)
		assert_false(
			strike_once(table, CONFIG_IPS_ATTACK, 7, NOW_MS + i * 10000, &ban));
	ban_table_free(table);
}

static void kinds_are_counted_apart_and_zero_never_bans(void **state)
{
	struct ban_table *table = make(1024);
	struct ban ban;

	(void)state;
	assert_int_equal(strike(table, CONFIG_IPS_LOGIN, 7, NOW_MS, &ban), 0);
	assert_false(strike_once(table, CONFIG_IPS_ATTACK, 7, NOW_MS, &ban));
	assert_true(strike_once(table, CONFIG_IPS_SCAN, 7, NOW_MS, &ban));
	assert_int_equal(ban.kind, CONFIG_IPS_SCAN);
	ban_table_free(table);
}

static void each_further_ban_is_longer_up_to_the_most(void **state)
{
	static const int64_t expected[] = {60000, 120000, 200000, 200000};
	struct ban_table *table = make(1024);
	int64_t now_ms = NOW_MS;
	struct ban ban;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		assert_true(strike(table, CONFIG_IPS_ATTACK, 7, now_ms, &ban) > 0);
		assert_int_equal(ban.until_unix_ms - now_ms, expected[i]);
		assert_int_equal(ban.offences, i + 1);
		now_ms = ban.until_unix_ms + 30000;
	}
	now_ms = ban.until_unix_ms + (int64_t)config.memory_ms;
	assert_true(strike(table, CONFIG_IPS_ATTACK, 7, now_ms, &ban) > 0);
	assert_int_equal(ban.offences, 1);
	assert_int_equal(ban_duration_ms(&config.rules[CONFIG_IPS_ATTACK], UINT32_MAX), 200000);
	assert_int_equal(ban_duration_ms(&config.rules[CONFIG_IPS_SCAN], UINT32_MAX), 5000);
	ban_table_free(table);
}

static void who_is_banned_already_is_not_banned_again(void **state)
{
	struct ban_table *table = make(1024);
	struct ban ban;

	(void)state;
	assert_int_equal(strike(table, CONFIG_IPS_ATTACK, 7, NOW_MS, &ban), 3);
	assert_int_equal(strike(table, CONFIG_IPS_ATTACK, 7, NOW_MS + 1, &ban), 0);
	assert_int_equal(ban_until(table, 7, NOW_MS), NOW_MS + 60000);
	ban_table_free(table);
}

static struct ban ban_of(uint64_t hash, int64_t until_ms, uint32_t mark)
{
	return (struct ban){.who = "someone",
			    .hash = hash,
			    .since_unix_ms = NOW_MS,
			    .until_unix_ms = until_ms,
			    .offences = 1,
			    .kind = BAN_MANUAL,
			    .mark = mark};
}

static void a_ban_can_be_put_listed_and_lifted(void **state)
{
	struct ban_table *table = make(1024);
	struct ban put = ban_of(9, BAN_FOREVER, 0), found[4];
	size_t cursor = 0;

	(void)state;
	ban_put(table, &put);
	assert_int_equal(ban_until(table, 9, NOW_MS), BAN_FOREVER);
	assert_int_equal(ban_count(table, NOW_MS), 1);
	assert_int_equal(ban_list(table, NOW_MS, &cursor, found, 4), 1);
	assert_int_equal(found[0].hash, 9);
	assert_string_equal(found[0].who, "someone");
	assert_int_equal(ban_list(table, NOW_MS, &cursor, found, 4), 0);
	assert_true(ban_lift(table, 9, &found[1]));
	assert_int_equal(found[1].until_unix_ms, BAN_FOREVER);
	assert_false(ban_lift(table, 9, NULL));
	assert_int_equal(ban_until(table, 9, NOW_MS), 0);
	assert_true(ban_table_is_empty(table));
	ban_table_free(table);
}

static void what_the_store_has_lost_is_lifted_and_what_it_never_had_is_not(void **state)
{
	struct ban_table *table = make(1024);
	struct ban local = ban_of(1, NOW_MS + 1000, 0), old = ban_of(2, NOW_MS + 1000, 5);
	struct ban fresh = ban_of(3, NOW_MS + 1000, 6), shorter = ban_of(1, NOW_MS + 10, 6);

	(void)state;
	ban_put(table, &local);
	ban_put(table, &old);
	ban_put(table, &fresh);
	ban_put(table, &shorter); /* older than ours, which is not in the store yet */
	assert_int_equal(ban_until(table, 1, NOW_MS), NOW_MS + 1000);
	assert_int_equal(ban_lift_unmarked(table, 6, NOW_MS), 1);
	assert_int_equal(ban_until(table, 1, NOW_MS), NOW_MS + 1000);
	assert_int_equal(ban_until(table, 2, NOW_MS), 0);
	assert_int_equal(ban_until(table, 3, NOW_MS), NOW_MS + 1000);
	ban_mark(table, &local, 6);
	assert_int_equal(ban_lift_unmarked(table, 7, NOW_MS), 2);
	ban_table_free(table);
}

static void a_full_set_forgets_the_ban_that_ends_first(void **state)
{
	struct ban_table *table = make(1); /* one set of four */

	(void)state;
	for (uint64_t i = 1; i <= 5; i++) {
		struct ban ban = ban_of(i, NOW_MS + 1000 * (int64_t)(i == 3 ? 1 : 10 + i), 0);

		ban_put(table, &ban);
	}
	assert_int_equal(ban_count(table, NOW_MS), 4);
	assert_int_equal(ban_until(table, 3, NOW_MS), 0);
	assert_int_equal(ban_until(table, 5, NOW_MS), NOW_MS + 15000);
	ban_sweep(table, NOW_MS + 13000);
	assert_int_equal(ban_count(table, NOW_MS), 2);
	ban_table_free(table);
}

static void failing_allocations_are_errors(void **state)
{
	struct err err = {.code = ERR_NONE};
	struct ban_table *table = NULL;

	(void)state;
	for (uint64_t n = 1; !table && n < 20; n++) {
		mem_fail_at(n);
		err.code = ERR_NONE;
		table = ban_table_new(64, &err);
		mem_fail_at(0);
		if (!table)
			assert_int_equal(err.code, ERR_MEMORY);
	}
	assert_non_null(table);
	ban_table_free(table);
}

#define THREADS 4
#define ROUNDS 20000

static _Atomic unsigned wrong;

/* Hash i may only ever be seen with an end that is i milliseconds off: slots are shared by all. */
static void *hammer(void *arg)
{
	struct ban_table *table = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t hash = 1 + i % 13;
		struct ban ban = ban_of(hash, NOW_MS + 1000 * (1 + (int64_t)hash), 0), found[8];
		size_t cursor = 0;
		int64_t until;

		if (i % 3 == 0)
			ban_put(table, &ban);
		else if (i % 7 == 0)
			ban_lift(table, hash, NULL);
		else if (i % 101 == 0)
			(void)ban_list(table, NOW_MS, &cursor, found, 8);
		until = ban_until(table, hash, NOW_MS);
		if (until && until != ban.until_unix_ms)
			atomic_fetch_add(&wrong, 1);
	}
	return NULL;
}

static void a_ban_is_never_taken_for_that_of_another(void **state)
{
	struct ban_table *table = make(4);
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, table), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	ban_table_free(table);
}

/* ---- names ----------------------------------------------------------------------------------- */

#define JA4 "t13d1516h2_8daaf6152771_e5627efa2ab1"

static void who_is_banned_has_one_name_however_it_is_written(void **state)
{
	static const char *const names[][2] = {
		{"192.0.2.1", "address:192.0.2.1"},
		{"address:192.0.2.1", "address:192.0.2.1"},
		{"192.0.2.1/32", "address:192.0.2.1"},
		{"2001:db8::17", "address:2001:db8::/64"},
		{"2001:db8::/64", "address:2001:db8::/64"},
		{"203.0.113.0/24", "network:203.0.113.0/24"},
		{"network:203.0.113.0/24", "network:203.0.113.0/24"},
		{"2001:db8::/48", "network:2001:db8::/48"},
		{"user:idp/alice", "user:idp/alice"},
		{"client:/key-1", "client:/key-1"},
		{"fingerprint:" JA4, "fingerprint:" JA4},
	};
	static const char *const none[] = {
		"",	      "nobody",	   "user:alice", "0.0.0.0/0",	    "::/0",
		"1.2.3.4/24", "user:a/\n", "network:",	 "fingerprint:t13", "address:x",
		"alice/b",
	};
	struct ban ban, again;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		assert_true(ban_who_parse(span_cstr(names[i][0]), &ban));
		assert_string_equal(ban.who, names[i][1]);
		assert_true(ban_who_parse(span_cstr(ban.who), &again));
		assert_string_equal(again.who, ban.who);
		assert_true(again.hash == ban.hash && ban.hash != 0);
		assert_int_equal(again.network_bits, ban.network_bits);
	}
	for (size_t i = 0; i < COUNT_OF(none); i++)
		if (ban_who_parse(span_cstr(none[i]), &ban))
			fail_msg("%s is taken", none[i]);
}

static struct address address_of(const char *text)
{
	struct cidr one;

	assert_true(cidr_parse(span_cstr(text), &one));
	return one.base;
}

static void put_network(struct ban_table *table, const char *text)
{
	struct ban ban = {.since_unix_ms = NOW_MS,
			  .until_unix_ms = NOW_MS + 1000,
			  .offences = 1,
			  .kind = BAN_MANUAL};

	assert_true(ban_who_parse(span_cstr(text), &ban));
	ban_put(table, &ban);
}

static bool is_banned(const struct ban_table *table, const char *text, int64_t now_ms)
{
	struct address address = address_of(text);

	return ban_until_of_address(table, &address, now_ms) != 0;
}

static void a_banned_network_holds_its_addresses_and_no_other(void **state)
{
	struct ban_table *table = make(1024);
	struct ban ban;

	(void)state;
	put_network(table, "203.0.113.0/24");
	put_network(table, "198.51.100.128/25");
	put_network(table, "2001:db8:7::/48");
	assert_true(is_banned(table, "203.0.113.0", NOW_MS));
	assert_true(is_banned(table, "203.0.113.255", NOW_MS));
	assert_false(is_banned(table, "203.0.112.255", NOW_MS));
	assert_false(is_banned(table, "203.0.114.0", NOW_MS));
	assert_true(is_banned(table, "198.51.100.128", NOW_MS));
	assert_false(is_banned(table, "198.51.100.127", NOW_MS));
	assert_true(is_banned(table, "2001:db8:7:ffff::1", NOW_MS));
	assert_false(is_banned(table, "2001:db8:8::1", NOW_MS));
	assert_false(is_banned(table, "203.0.113.7", NOW_MS + 1000));
	/* What was swept and is remembered holds again when it is banned again. */
	ban_sweep(table, NOW_MS);
	assert_true(is_banned(table, "203.0.113.7", NOW_MS));
	assert_true(ban_who_parse(SPAN("203.0.113.0/24"), &ban));
	assert_true(ban_lift(table, ban.hash, NULL));
	assert_false(is_banned(table, "203.0.113.7", NOW_MS));
	ban_sweep(table, NOW_MS + 2000);
	assert_true(ban_table_is_empty(table));
	assert_int_equal(ban_prefixes(table).bits[1], 0);
	ban_table_free(table);
}

static void addresses_of_a_network_have_one_name_for_it(void **state)
{
	struct address a = address_of("203.0.113.7"), b = address_of("203.0.113.200");
	struct ban one, other;

	(void)state;
	ban_who_of_network(&a, 96 + 24, &one);
	ban_who_of_network(&b, 96 + 24, &other);
	assert_string_equal(one.who, "network:203.0.113.0/24");
	assert_string_equal(other.who, one.who);
	assert_true(one.hash == other.hash && one.network_bits == 120);
	ban_who_of_network(&b, 96 + 25, &other);
	assert_true(one.hash != other.hash);
}

struct racer {
	struct ban_table *table;
	unsigned bans;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct ban ban;

	for (int i = 0; i < 1000; i++)
		racer->bans += strike_once(racer->table, CONFIG_IPS_ATTACK, 7, NOW_MS, &ban);
	return NULL;
}

static void many_threads_together_ban_a_client_once(void **state)
{
	struct racer racers[THREADS];
	struct ban_table *table = make(64);
	pthread_t threads[THREADS];
	unsigned bans = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){.table = table};
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		bans += racers[i].bans;
	}
	assert_int_equal(bans, 1);
	ban_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_threshold_bans_and_not_one_less),
		cmocka_unit_test(strikes_are_forgotten_evenly),
		cmocka_unit_test(kinds_are_counted_apart_and_zero_never_bans),
		cmocka_unit_test(each_further_ban_is_longer_up_to_the_most),
		cmocka_unit_test(who_is_banned_already_is_not_banned_again),
		cmocka_unit_test(a_ban_can_be_put_listed_and_lifted),
		cmocka_unit_test(
			what_the_store_has_lost_is_lifted_and_what_it_never_had_is_not),
		cmocka_unit_test(a_full_set_forgets_the_ban_that_ends_first),
		cmocka_unit_test(failing_allocations_are_errors),
		cmocka_unit_test(a_ban_is_never_taken_for_that_of_another),
		cmocka_unit_test(who_is_banned_has_one_name_however_it_is_written),
		cmocka_unit_test(a_banned_network_holds_its_addresses_and_no_other),
		cmocka_unit_test(addresses_of_a_network_have_one_name_for_it),
		cmocka_unit_test(many_threads_together_ban_a_client_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
