/*
 * Random strikes, bans and liftings on a table of bans, against a model that keeps a debt for each
 * client and kind, and counts from the beginning whenever it is asked. SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"
#include "guard/ban.h"

#define STEPS 2000
#define ROUNDS 100
#define CLIENTS 12

struct model_client {
	double debt[CONFIG_IPS_KINDS]; /* strikes that are not forgotten yet */
	int64_t seen_ms[CONFIG_IPS_KINDS];
	int64_t until_ms;
	uint32_t offences; /* 0: nothing is known */
};

static uint64_t seed;

static uint64_t next_random(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t *x, uint64_t bound)
{
	return next_random(x) % bound;
}

/* Windows are multiples of the threshold, so that no division is rounded. */
static struct config_ips random_config(uint64_t *x)
{
	struct config_ips config = {.memory_ms = below(x, 200000)};

	for (unsigned k = 0; k < CONFIG_IPS_KINDS; k++) {
		struct config_ips_rule *rule = &config.rules[k];

		rule->threshold = (uint32_t)below(x, 8);
		rule->window_ms =
			(1 + below(x, 20)) * 1000 * (rule->threshold ? rule->threshold : 1);
		rule->ban_ms = 1000 + below(x, 20000);
		rule->growth_percent = (uint32_t)(100 + below(x, 300));
		rule->ban_max_ms = rule->ban_ms + below(x, 100000);
	}
	return config;
}

static uint64_t model_duration(const struct config_ips_rule *rule, uint32_t offences)
{
	uint64_t ms = rule->ban_ms;

	while (--offences > 0) {
		ms = ms * rule->growth_percent / 100;
		if (ms > rule->ban_max_ms)
			return rule->ban_max_ms;
	}
	return ms;
}

static bool model_is_too_much(const struct config_ips_rule *rule, struct model_client *c,
			      unsigned kind, int64_t now_ms)
{
	double forgotten =
		(double)(now_ms - c->seen_ms[kind]) * rule->threshold / (double)rule->window_ms;

	if (rule->threshold == 0)
		return false;
	c->debt[kind] = c->debt[kind] > forgotten ? c->debt[kind] - forgotten : 0;
	c->seen_ms[kind] = now_ms;
	if (c->debt[kind] + 1 > rule->threshold - 1 + 1e-9)
		return true;
	c->debt[kind]++;
	return false;
}

static bool model_strike(const struct config_ips *config, struct model_client *c, unsigned kind,
			 int64_t now_ms)
{
	const struct config_ips_rule *rule = &config->rules[kind];

	if (!model_is_too_much(rule, c, kind, now_ms) || c->until_ms > now_ms)
		return false;
	if (now_ms - c->until_ms >= (int64_t)config->memory_ms)
		c->offences = 0;
	c->offences++;
	c->until_ms = now_ms + (int64_t)model_duration(rule, c->offences);
	return true;
}

static void check_all(struct ban_table *table, const struct model_client *clients,
		      int64_t now_ms)
{
	size_t banned = 0;

	for (uint64_t i = 0; i < CLIENTS; i++) {
		int64_t until = clients[i].until_ms > now_ms ? clients[i].until_ms : 0;

		assert_int_equal(ban_until(table, i + 1, now_ms), until);
		banned += until != 0;
	}
	assert_int_equal(ban_count(table, now_ms), banned);
}

static void run_round(uint64_t *x)
{
	struct model_client clients[CLIENTS] = {0};
	struct config_ips config = random_config(x);
	struct err err = {.code = ERR_NONE};
	/* Room for all wherever they fall: nothing is evicted. */
	struct ban_table *table = ban_table_new(256, &err);
	int64_t now_ms = 1700000000000;

	assert_non_null(table);
	for (int step = 0; step < STEPS; step++) {
		uint64_t i = below(x, CLIENTS);
		struct model_client *c = &clients[i];
		unsigned kind = (unsigned)below(x, CONFIG_IPS_KINDS);
		struct ban ban;

		now_ms += (int64_t)below(x, 300);
		if (below(x, 100) == 0)
			now_ms += (int64_t)below(x, 60000);
		if (below(x, 50) == 0) {
			assert_int_equal(ban_lift(table, i + 1, NULL), c->offences != 0);
			c->until_ms = 0;
			c->offences = 0;
		} else {
			bool expected = model_strike(&config, c, kind, now_ms);
			bool got;

			ban = (struct ban){.hash = i + 1, .who = "x"};
			got = ban_strike(table, &config, kind, now_ms, &ban);

			assert_int_equal(got, expected);
			if (got) {
				assert_int_equal(ban.until_unix_ms, c->until_ms);
				assert_int_equal(ban.offences, c->offences);
			}
		}
		check_all(table, clients, now_ms);
	}
	ban_table_free(table);
}

static void a_table_of_bans_does_what_the_model_does(void **state)
{
	uint64_t x = seed;

	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		run_round(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_of_bans_does_what_the_model_does)};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 10) : rand_u64();
	print_message("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
