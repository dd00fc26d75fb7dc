/* health_test.c - checks in a row, ejections and their growth, shares, and gRPC's messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "guard/health.h"

#define NOW_MS 1000000
#define COUNT 10

static const struct config_outlier envoy = {.consecutive_5xx = 5,
					    .consecutive_gateway = 0,
					    .interval_ms = 10000,
					    .ejection_ms = 30000,
					    .ejection_max_ms = 300000,
					    .max_percent = 10,
					    .deviation_percent = 190,
					    .deviation_endpoints = 5,
					    .deviation_calls = 100,
					    .failure_calls = 50};

struct service {
	struct health *members[COUNT];
	struct health_group group;
};

static void service_init(struct service *service, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		service->members[i] = health_new(NULL);
		assert_non_null(service->members[i]);
	}
	service->group = (struct health_group){service->members, count};
}

static void service_release(struct service *service)
{
	for (size_t i = 0; i < service->group.count; i++)
		health_unref(service->members[i]);
}

/* `count` calls to one endpoint; whether one of them ejected it. */
static bool fail_calls(struct service *service, size_t i, const struct config_outlier *config,
		       unsigned fault, unsigned count, int64_t now_ms)
{
	bool ejected = false;

	while (count--)
		ejected |= health_note_call(service->members[i], config, &service->group, fault,
					    now_ms);
	return ejected;
}

static void checks_in_a_row_take_an_endpoint_out_and_bring_it_back(void **state)
{
	struct config_health config = {.healthy = 2, .unhealthy = 3};
	struct health *health = health_new(NULL);
	struct health_figures figures;

	(void)state;
	assert_false(health_checked(health, &config, false, NOW_MS));
	assert_false(health_checked(health, &config, false, NOW_MS));
	assert_false(health_checked(health, &config, true, NOW_MS));
	assert_false(health_checked(health, &config, false, NOW_MS));
	assert_false(health_checked(health, &config, false, NOW_MS));
	assert_true(health_is_well(health, NOW_MS));
	assert_true(health_checked(health, &config, false, NOW_MS));
	assert_false(health_is_well(health, NOW_MS));
	assert_false(health_checked(health, &config, true, NOW_MS));
	assert_false(health_is_well(health, NOW_MS));
	assert_true(health_checked(health, &config, true, NOW_MS));
	assert_true(health_is_well(health, NOW_MS));
	health_read(health, NOW_MS, &figures);
	assert_int_equal(figures.checks, 8);
	assert_int_equal(figures.failed_checks, 5);
	health_unref(health);
}

static void failures_in_a_row_eject_and_a_success_between_does_not(void **state)
{
	struct service service;

	(void)state;
	service_init(&service, COUNT);
	assert_false(fail_calls(&service, 0, &envoy, CONFIG_RETRY_ON_5XX, 4, NOW_MS));
	assert_false(fail_calls(&service, 0, &envoy, 0, 1, NOW_MS));
	assert_false(fail_calls(&service, 0, &envoy, CONFIG_RETRY_ON_CONNECT, 4, NOW_MS));
	assert_true(health_is_well(service.members[0], NOW_MS));
	assert_true(fail_calls(&service, 0, &envoy, CONFIG_RETRY_ON_RESET, 1, NOW_MS));
	assert_false(health_is_well(service.members[0], NOW_MS));
	assert_false(health_is_well(service.members[0], NOW_MS + 29999));
	assert_true(health_is_well(service.members[0], NOW_MS + 30000));
	service_release(&service);
}

static void only_errors_of_gateways_count_as_such(void **state)
{
	struct config_outlier config = envoy;
	struct service service;

	(void)state;
	config.consecutive_5xx = 0;
	config.consecutive_gateway = 3;
	service_init(&service, COUNT);
	assert_false(fail_calls(&service, 0, &config, CONFIG_RETRY_ON_5XX, 50, NOW_MS));
	assert_true(fail_calls(&service, 0, &config, CONFIG_RETRY_ON_5XX | CONFIG_RETRY_ON_503,
			       3, NOW_MS));
	service_release(&service);
}

static void ejections_grow_and_shrink_with_calm(void **state)
{
	static const int64_t times_ms[] = {30000, 60000, 90000};
	struct health_figures figures;
	struct service service;
	int64_t now_ms = NOW_MS;

	(void)state;
	service_init(&service, COUNT);
	for (size_t i = 0; i < COUNT_OF(times_ms); i++) {
		assert_true(fail_calls(&service, 0, &envoy, CONFIG_RETRY_ON_5XX, 5, now_ms));
		health_read(service.members[0], now_ms, &figures);
		assert_true(figures.ejected);
		assert_int_equal(figures.ejected_for_ms, times_ms[i]);
		now_ms += times_ms[i];
		assert_true(health_is_well(service.members[0], now_ms));
	}
	now_ms += 20000; /* two intervals of calm */
	assert_true(fail_calls(&service, 0, &envoy, CONFIG_RETRY_ON_5XX, 5, now_ms));
	health_read(service.members[0], now_ms, &figures);
	assert_int_equal(figures.ejected_for_ms, 60000);
	assert_int_equal(figures.ejections, 4);
	service_release(&service);
}

static void ejections_are_bounded_in_time_and_number(void **state)
{
	struct config_outlier config = envoy;
	struct health_figures figures;
	struct service service;

	(void)state;
	config.ejection_max_ms = 40000;
	config.max_percent = 20;
	service_init(&service, COUNT);
	assert_true(fail_calls(&service, 0, &config, CONFIG_RETRY_ON_5XX, 5, NOW_MS));
	assert_true(fail_calls(&service, 1, &config, CONFIG_RETRY_ON_5XX, 5, NOW_MS));
	assert_false(fail_calls(&service, 2, &config, CONFIG_RETRY_ON_5XX, 50, NOW_MS));
	assert_true(health_is_well(service.members[2], NOW_MS));
	assert_true(health_is_well(service.members[0], NOW_MS + 30000));
	assert_true(fail_calls(&service, 0, &config, CONFIG_RETRY_ON_5XX, 5, NOW_MS + 30000));
	health_read(service.members[0], NOW_MS + 30000, &figures);
	assert_int_equal(figures.ejected_for_ms, 40000);
	service_release(&service);
}

static void one_of_two_may_go_and_one_alone_stays(void **state)
{
	struct service two, one;

	(void)state;
	service_init(&two, 2);
	assert_true(fail_calls(&two, 0, &envoy, CONFIG_RETRY_ON_5XX, 5, NOW_MS));
	assert_false(fail_calls(&two, 1, &envoy, CONFIG_RETRY_ON_5XX, 50, NOW_MS));
	service_release(&two);
	service_init(&one, 1);
	assert_false(fail_calls(&one, 0, &envoy, CONFIG_RETRY_ON_5XX, 50, NOW_MS));
	service_release(&one);
}

/* Where bad ones in a row do not count. */
static void mix_calls(struct service *service, size_t i, unsigned good, unsigned bad)
{
	static const struct config_outlier patient = {.interval_ms = 10000};

	assert_false(fail_calls(service, i, &patient, CONFIG_RETRY_ON_5XX, bad, NOW_MS));
	assert_false(fail_calls(service, i, &patient, 0, good, NOW_MS));
}

static void note_ejected(void *context, size_t index)
{
	*(uint32_t *)context |= 1u << index;
}

static uint32_t sweep(struct service *service, const struct config_outlier *config)
{
	uint32_t ejected = 0;

	health_sweep(&service->group, config, NOW_MS, note_ejected, &ejected);
	return ejected;
}

static void who_fails_far_more_than_the_others_is_ejected(void **state)
{
	struct service service;

	(void)state;
	service_init(&service, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		mix_calls(&service, i, i == 3 ? 60 : 97, i == 3 ? 40 : 3);
	assert_int_equal(sweep(&service, &envoy), 1u << 3);
	assert_false(health_is_well(service.members[3], NOW_MS));
	/* Counting begins anew. */
	assert_int_equal(sweep(&service, &envoy), 0);
	service_release(&service);
}

static void too_few_calls_or_endpoints_say_nothing(void **state)
{
	struct config_outlier off = envoy;
	struct service service;

	(void)state;
	service_init(&service, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		mix_calls(&service, i, i == 3 ? 59 : 99, i == 3 ? 40 : 0);
	assert_int_equal(sweep(&service, &envoy), 0);
	for (size_t i = 0; i < 4; i++)
		mix_calls(&service, i, i == 3 ? 60 : 100, i == 3 ? 40 : 0);
	assert_int_equal(sweep(&service, &envoy), 0);
	/* All the same: nobody is far from the others, however bad that is. */
	for (size_t i = 0; i < COUNT; i++)
		mix_calls(&service, i, 33, 67);
	assert_int_equal(sweep(&service, &envoy), 0);
	off.deviation_percent = 0;
	for (size_t i = 0; i < COUNT; i++)
		mix_calls(&service, i, i == 3 ? 60 : 100, i == 3 ? 40 : 0);
	assert_int_equal(sweep(&service, &off), 0);
	service_release(&service);
}

static void a_share_of_failures_ejects_if_it_is_asked_for(void **state)
{
	struct config_outlier config = envoy;
	struct service service;

	(void)state;
	config.deviation_percent = 0;
	config.failure_percent = 85;
	service_init(&service, 2);
	mix_calls(&service, 0, 8, 41);
	mix_calls(&service, 1, 50, 50);
	assert_int_equal(sweep(&service, &config), 0);
	mix_calls(&service, 1, 15, 85);
	assert_int_equal(sweep(&service, &config), 1u << 1);
	/* Not both of them. */
	mix_calls(&service, 0, 10, 90);
	assert_int_equal(sweep(&service, &config), 0);
	service_release(&service);
}

static void who_comes_back_gets_its_share_by_degrees(void **state)
{
	struct service service;

	(void)state;
	service_init(&service, 2);
	assert_int_equal(health_share_percent(service.members[0], 10000, NOW_MS), 100);
	assert_true(fail_calls(&service, 0, &envoy, CONFIG_RETRY_ON_5XX, 5, NOW_MS));
	assert_true(health_is_well(service.members[0], NOW_MS + 30000));
	assert_int_equal(health_share_percent(service.members[0], 10000, NOW_MS + 30000), 10);
	assert_int_equal(health_share_percent(service.members[0], 10000, NOW_MS + 35000), 50);
	assert_int_equal(health_share_percent(service.members[0], 10000, NOW_MS + 40000), 100);
	assert_int_equal(health_share_percent(service.members[0], 0, NOW_MS + 30000), 100);
	service_release(&service);
}

static void only_serving_is_serving(void **state)
{
	static const struct {
		struct span body;
		bool serving;
	} cases[] = {
		{SPAN_INIT("\0\0\0\0\2\x08\1"), true},
		{SPAN_INIT("\0\0\0\0\2\x08\2"), false}, /* NOT_SERVING */
		{SPAN_INIT("\0\0\0\0\0"), false}, /* UNKNOWN */
		{SPAN_INIT("\0\0\0\0\4\x08\1\x08\2"), false}, /* the last counts */
		{SPAN_INIT("\0\0\0\0\6\x12\2hi\x08\1"),
		 true}, /* unknown fields are passed over */
		{SPAN_INIT("\0\0\0\0\7\x1d"
			   "abcd\x08\1"),
		 true},
		{SPAN_INIT("\1\0\0\0\2\x08\1"), false}, /* compressed */
		{SPAN_INIT("\0\0\0\0\3\x08\1"), false}, /* cut short */
		{SPAN_INIT("\0\0\0\0\2\x08\x81"), false},
		{SPAN_INIT("\0\0\0\0\3\x12\7a"), false},
		{SPAN_INIT("\0\0\0\0\1\x0b"), false},
		{SPAN_INIT("\0\0"), false},
		{SPAN_INIT(""), false},
	};
	char request[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(health_grpc_serving(cases[i].body), cases[i].serving);
	assert_int_equal(health_grpc_request(request, sizeof(request), SPAN("shop")), 11);
	assert_memory_equal(request, "\0\0\0\0\6\x0a\4shop", 11);
	assert_int_equal(health_grpc_request(request, sizeof(request), SPAN_NONE), 5);
	assert_int_equal(health_grpc_request(request, 10, SPAN("shop")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_in_a_row_take_an_endpoint_out_and_bring_it_back),
		cmocka_unit_test(failures_in_a_row_eject_and_a_success_between_does_not),
		cmocka_unit_test(only_errors_of_gateways_count_as_such),
		cmocka_unit_test(ejections_grow_and_shrink_with_calm),
		cmocka_unit_test(ejections_are_bounded_in_time_and_number),
		cmocka_unit_test(one_of_two_may_go_and_one_alone_stays),
		cmocka_unit_test(who_fails_far_more_than_the_others_is_ejected),
		cmocka_unit_test(too_few_calls_or_endpoints_say_nothing),
		cmocka_unit_test(a_share_of_failures_ejects_if_it_is_asked_for),
		cmocka_unit_test(who_comes_back_gets_its_share_by_degrees),
		cmocka_unit_test(only_serving_is_serving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
