/* slices_test.c - lists in pages, changes, conditions and ports of EndpointSlices; lists of endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "guard/slices.h"

#define SLICE(name, version, family, ports, endpoints)                                         \
	"{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"},"           \
	"\"addressType\":\"" family "\",\"ports\":[" ports "],\"endpoints\":[" endpoints "]}"
#define HTTP "{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}"
#define METRICS "{\"name\":\"metrics\",\"port\":9090}"
#define DNS_UDP "{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"}"
#define AT(address, conditions)                                                                \
	"{\"addresses\":[\"" address "\"],\"conditions\":{" conditions "}}"
#define READY "\"ready\":true"
#define ENDING "\"ready\":false,\"serving\":true,\"terminating\":true"
#define GONE "\"ready\":false,\"serving\":false,\"terminating\":true"
#define LIST(version, more, items)                                                             \
	"{\"kind\":\"EndpointSliceList\",\"metadata\":{\"resourceVersion\":\"" version         \
	"\",\"continue\":\"" more "\"},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}"

static struct config_kubernetes kubernetes;
static struct config_discover config;
static struct slices *slices;
static char found_text[512];

static int setup(void **state)
{
	(void)state;
	kubernetes = (struct config_kubernetes){.namespace_name = SPAN("shop"),
						.service = SPAN("orders"),
						.port = SPAN("http")};
	config = (struct config_discover){.kubernetes = &kubernetes};
	slices = slices_new(&config, NULL);
	return slices ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	slices_free(slices);
	return 0;
}

static struct span take_page(const char *json)
{
	struct span more;
	struct err err;

	if (slices_take_page(slices, span_cstr(json), &more, &err) < 0)
		fail_msg("%s", err.message);
	return more;
}

static void take_list(const char *json)
{
	slices_begin_list(slices);
	assert_int_equal(take_page(json).len, 0);
}

static enum slices_event take_event(const char *json)
{
	struct err err;

	return slices_take_event(slices, span_cstr(json), &err);
}

/* URLs with commas between. */
static const char *found(void)
{
	struct endpoint_list *list = endpoint_list_new(100, NULL);
	size_t len = 0;

	assert_non_null(list);
	assert_int_equal(slices_endpoints(slices, list, NULL), 0);
	endpoint_list_seal(list);
	found_text[0] = '\0';
	for (size_t i = 0; i < list->count; i++)
		len += (size_t)snprintf(found_text + len, sizeof(found_text) - len, "%s%.*s",
					i ? "," : "", SPAN_ARG(list->at[i].url));
	endpoint_list_unref(list);
	return found_text;
}

static void ready_endpoints_of_all_slices_are_found(void **state)
{
	(void)state;
	take_list(
		LIST("7", "",
		     SLICE("a", "1", "IPv4", HTTP "," METRICS,
			   AT("10.0.0.2", READY) "," AT(
				   "10.0.0.1", "")) "," SLICE("b", "2", "IPv4", HTTP,
							      AT("10.0.0.3", READY) "," AT(
								      "10.0.0.4",
								      ENDING) "," AT("10.0.0.1",
										     READY))));
	assert_string_equal(found(),
			    "http://10.0.0.1:8080,http://10.0.0.2:8080,http://10.0.0.3:8080");
	assert_true(span_eq(slices_version(slices), SPAN("7")));
}

static void when_none_is_ready_those_that_still_serve_are_found(void **state)
{
	(void)state;
	take_list(LIST("7", "",
		       SLICE("a", "1", "IPv4", HTTP,
			     AT("10.0.0.1", ENDING) "," AT("10.0.0.2", GONE) "," AT(
				     "10.0.0.3", "\"ready\":false"))));
	assert_string_equal(found(), "http://10.0.0.1:8080");
}

static void of_two_families_one_is_taken(void **state)
{
	(void)state;
	take_list(LIST("7", "",
		       SLICE("six", "1", "IPv6", HTTP, AT("2001:db8::1", READY)) "," SLICE(
			       "four", "2", "IPv4", HTTP, AT("10.0.0.1", READY))));
	assert_string_equal(found(), "http://10.0.0.1:8080");
	assert_int_equal(take_event(EVENT("DELETED", SLICE("four", "8", "IPv4", HTTP, ""))),
			 SLICES_CHANGED);
	assert_string_equal(found(), "http://[2001:db8::1]:8080");
}

static void a_port_is_chosen_by_name_by_number_or_because_it_is_the_only_one(void **state)
{
	static const char list[] = LIST(
		"7", "",
		SLICE("a", "1", "IPv4", HTTP "," METRICS "," DNS_UDP, AT("10.0.0.1", READY)));
	static const struct {
		const char *port, *found;
	} cases[] = {{"http", "http://10.0.0.1:8080"},
		     {"9090", "http://10.0.0.1:9090"},
		     {"other", ""},
		     {"", ""}, /* there are two */
		     {"dns", ""}}; /* not TCP */

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		kubernetes.port = span_cstr(cases[i].port);
		take_list(list);
		assert_string_equal(found(), cases[i].found);
	}
	kubernetes.port = SPAN_NONE;
	take_list(LIST("7", "",
		       SLICE("a", "1", "IPv4", HTTP "," DNS_UDP, AT("10.0.0.1", READY))));
	assert_string_equal(found(), "http://10.0.0.1:8080");
}

static void pages_are_one_list_and_what_is_on_none_is_forgotten(void **state)
{
	(void)state;
	take_list(LIST("7", "", SLICE("old", "1", "IPv4", HTTP, AT("10.0.0.9", READY))));
	slices_begin_list(slices);
	assert_true(
		span_eq(take_page(LIST("8", "page/2",
				       SLICE("a", "1", "IPv4", HTTP, AT("10.0.0.1", READY)))),
			SPAN("page/2")));
	/* Not before the last page. */
	assert_string_equal(found(), "http://10.0.0.1:8080,http://10.0.0.9:8080");
	assert_true(span_eq(slices_version(slices), SPAN("7")));
	assert_int_equal(
		take_page(LIST("8", "", SLICE("b", "1", "IPv4", HTTP, AT("10.0.0.2", READY))))
			.len,
		0);
	assert_string_equal(found(), "http://10.0.0.1:8080,http://10.0.0.2:8080");
	assert_true(span_eq(slices_version(slices), SPAN("8")));
}

static void changes_are_followed(void **state)
{
	(void)state;
	take_list(LIST("7", "", ""));
	assert_string_equal(found(), "");
	assert_int_equal(take_event(EVENT("ADDED", SLICE("a", "8", "IPv4", HTTP,
							 AT("10.0.0.1", READY)))),
			 SLICES_CHANGED);
	assert_string_equal(found(), "http://10.0.0.1:8080");
	assert_int_equal(take_event(EVENT("MODIFIED", SLICE("a", "9", "IPv4", HTTP,
							    AT("10.0.0.2", READY)))),
			 SLICES_CHANGED);
	assert_string_equal(found(), "http://10.0.0.2:8080");
	assert_int_equal(
		take_event(EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"12\"}}")),
		SLICES_BOOKMARK);
	assert_true(span_eq(slices_version(slices), SPAN("12")));
	assert_int_equal(take_event(EVENT("DELETED", SLICE("a", "13", "IPv4", HTTP, ""))),
			 SLICES_CHANGED);
	assert_string_equal(found(), "");
	assert_int_equal(take_event(EVENT("DELETED", SLICE("a", "14", "IPv4", HTTP, ""))),
			 SLICES_CHANGED);
}

static void an_expired_version_is_told_apart_from_other_failures(void **state)
{
	struct err err;

	(void)state;
	take_list(LIST("7", "", ""));
	assert_int_equal(take_event(EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410}")),
			 SLICES_EXPIRED);
	assert_int_equal(
		slices_take_event(
			slices,
			SPAN(EVENT("ERROR", "{\"code\":500,\"message\":\"etcd is away\"}")),
			&err),
		SLICES_FAILED);
	assert_non_null(strstr(err.message, "etcd is away"));
}

static void what_cannot_be_understood_fails_and_changes_nothing(void **state)
{
	static const char *const pages[] = {
		"",
		"[]",
		"{}",
		"{\"kind\":\"PodList\"}",
		"{\"kind\":\"EndpointSliceList\",\"items\":[]}", /* no version */
		"{\"kind\":\"EndpointSliceList\",\"items\":[{}],"
		"\"metadata\":{\"resourceVersion\":\"8\"}}", /* no name */
		LIST("8&x=1", "", "")};
	static const char *const events[] = {
		"",
		"{",
		"[]",
		EVENT("ADDED", "{}"),
		EVENT("RENAMED", SLICE("a", "8", "IPv4", HTTP, "")),
		EVENT("ADDED", "{\"metadata\":{\"resourceVersion\":\"8\"}}"),
		EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"a b\"}}")};
	struct span more;
	struct err err;

	(void)state;
	take_list(LIST("7", "", SLICE("a", "1", "IPv4", HTTP, AT("10.0.0.1", READY))));
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		slices_begin_list(slices);
		assert_int_equal(slices_take_page(slices, span_cstr(pages[i]), &more, &err),
				 -1);
		assert_string_equal(found(), "http://10.0.0.1:8080");
		assert_true(span_eq(slices_version(slices), SPAN("7")));
	}
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		assert_int_equal(take_event(events[i]), SLICES_FAILED);
		assert_string_equal(found(), "http://10.0.0.1:8080");
	}
}

static void addresses_that_are_none_are_left_out(void **state)
{
	(void)state;
	take_list(LIST(
		"7", "",
		SLICE("a", "1", "IPv4", HTTP,
		      AT("10.0.0.1/x", READY) "," AT("2001:db8::1", READY) "," AT(
			      "evil.test",
			      READY) ",{\"addresses\":[]},{},7," AT("10.0.0.2",
								    READY)) "," SLICE("b", "1",
										      "Carrier "
										      "pigeon",
										      HTTP,
										      AT("10.0."
											 "0.3",
											 READY))));
	assert_string_equal(found(), "http://10.0.0.2:8080");
	take_list(
		LIST("8", "",
		     SLICE("a", "1", "FQDN", HTTP, AT("a.test", READY) "," AT("a@b", READY))));
	assert_string_equal(found(), "http://a.test:8080");
}

static void certificates_have_the_name_of_the_service(void **state)
{
	struct endpoint_list *list = endpoint_list_new(100, NULL);

	(void)state;
	config.scheme = CONFIG_SCHEME_HTTPS;
	take_list(LIST("7", "", SLICE("a", "1", "IPv4", HTTP, AT("10.0.0.1", READY))));
	assert_int_equal(slices_endpoints(slices, list, NULL), 0);
	assert_true(span_eq(list->at[0].url, SPAN("https://10.0.0.1:8080")));
	assert_true(span_eq(list->at[0].server_name, SPAN("orders.shop.svc")));
	assert_true(span_eq(list->at[0].authority, SPAN("orders.shop.svc:8080")));
	endpoint_list_unref(list);
}

static void lists_are_bounded_sorted_and_compared(void **state)
{
	struct endpoint_list *a = endpoint_list_new(3, NULL), *b = endpoint_list_new(3, NULL);
	struct endpoint_found one = {.host = SPAN("b"), .port = 80, .priority = 2},
			      two = {.host = SPAN("a"), .port = 80, .priority = 2},
			      three = {.host = SPAN("a"), .port = 80, .priority = 1};

	(void)state;
	assert_int_equal(endpoint_list_add(a, &one, NULL), 0);
	assert_int_equal(endpoint_list_add(a, &two, NULL), 0);
	assert_int_equal(endpoint_list_add(a, &three, NULL), 0);
	assert_int_equal(endpoint_list_add(a, &one, NULL), 0);
	assert_int_equal(endpoint_list_left_out(a), 1);
	endpoint_list_seal(a);
	assert_int_equal(a->count, 2);
	assert_true(span_eq(a->at[0].url, SPAN("http://a:80")));
	assert_int_equal(a->at[0].priority, 1);
	assert_true(span_eq(a->at[0].authority, SPAN("a")));
	assert_int_equal(a->at[0].weight, 1);
	assert_int_equal(endpoint_list_add(b, &three, NULL), 0);
	endpoint_list_seal(b);
	assert_false(endpoint_list_same(a, b));
	assert_int_equal(endpoint_list_add(b, &one, NULL), 0);
	endpoint_list_seal(b);
	assert_true(endpoint_list_same(a, b));
	endpoint_list_unref(a);
	endpoint_list_unref(b);
}

/* Only in builds with -Dfaults=true does anything fail here. */
static void each_failing_allocation_is_an_error_and_loses_nothing(void **state)
{
	static const char page[] =
		LIST("8", "", SLICE("b", "1", "IPv4", HTTP, AT("10.0.0.2", READY)));
	struct span more;
	struct err err;
	int result;

	(void)state;
	take_list(LIST("7", "", SLICE("a", "1", "IPv4", HTTP, AT("10.0.0.1", READY))));
	for (unsigned long n = 1;; n++) {
		bool happened;

		slices_begin_list(slices);
		mem_fail_at(n);
		result = slices_take_page(slices, span_cstr(page), &more, &err);
		happened = mem_fail_happened();
		mem_fail_at(0);
		if (!happened)
			break;
		assert_int_equal(result, -1);
		assert_true(span_starts_with(span_cstr(found()), SPAN("http://10.0.0.1:8080")));
	}
	assert_int_equal(result, 0);
	assert_string_equal(found(), "http://10.0.0.2:8080");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(ready_endpoints_of_all_slices_are_found),
		TEST(when_none_is_ready_those_that_still_serve_are_found),
		TEST(of_two_families_one_is_taken),
		TEST(a_port_is_chosen_by_name_by_number_or_because_it_is_the_only_one),
		TEST(pages_are_one_list_and_what_is_on_none_is_forgotten),
		TEST(changes_are_followed),
		TEST(an_expired_version_is_told_apart_from_other_failures),
		TEST(what_cannot_be_understood_fails_and_changes_nothing),
		TEST(addresses_that_are_none_are_left_out),
		TEST(certificates_have_the_name_of_the_service),
		TEST(lists_are_bounded_sorted_and_compared),
		TEST(each_failing_allocation_is_an_error_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
