/* router_test.c - which route a request gets, and what is said when it gets none. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/router.h"

#define MANY 10000

static struct config_strings one(struct span *text)
{
	return (struct config_strings){text, text->ptr ? 1 : 0};
}

/* A route's host and method stay in the caller's table. */
struct row {
	const char *path;
	struct span host; /* SPAN_NONE: any */
	struct span method; /* SPAN_NONE: every */
};

#define ROWS_MAX 16

struct table {
	struct row rows[ROWS_MAX];
	struct config_route routes[ROWS_MAX];
	size_t count;
	struct router *router;
};

static void compile(struct table *table)
{
	struct err err = {.code = ERR_NONE};

	for (table->count = 0; table->count < ROWS_MAX && table->rows[table->count].path;
	     table->count++) {
		struct row *row = &table->rows[table->count];

		table->routes[table->count] =
			(struct config_route){.path = span_cstr(row->path),
					      .hosts = one(&row->host),
					      .methods = one(&row->method)};
	}
	table->router = router_new(table->routes, table->count, &err);
	assert_non_null(table->router);
}

static enum router_result ask(const struct table *table, const char *method, const char *host,
			      const char *path, int *row, uint32_t *allowed)
{
	struct span name = span_cstr(method);
	const struct config_route *route = NULL;
	enum router_result result =
		router_find(table->router, span_cstr(host), span_cstr(path),
			    http_method_lookup(name), name, &route, allowed);

	*row = route ? (int)(route - table->routes) : -1;
	return result;
}

/* The row that is found, or -1. */
static int found(const struct table *table, const char *method, const char *host,
		 const char *path)
{
	uint32_t allowed;
	int row;
	enum router_result result = ask(table, method, host, path, &row, &allowed);

	assert_int_equal(result == ROUTER_FOUND, row >= 0);
	return row;
}

static void a_literal_comes_before_a_parameter_and_that_before_all_below(void **state)
{
	struct table t = {.rows = {{"/orders/**", SPAN_NONE, SPAN_NONE},
				   {"/orders/{id}", SPAN_NONE, SPAN_NONE},
				   {"/orders/open", SPAN_NONE, SPAN_NONE},
				   {"/orders/{id}/lines", SPAN_NONE, SPAN_NONE},
				   {"/orders/open/{line}", SPAN_NONE, SPAN_NONE}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "GET", "a", "/orders/open"), 2);
	assert_int_equal(found(&t, "GET", "a", "/orders/17"), 1);
	assert_int_equal(found(&t, "GET", "a", "/orders/17/lines"), 3);
	assert_int_equal(found(&t, "GET", "a", "/orders/17/lines/3"), 0);
	/* The first segment where two templates differ decides, not the number of literals. */
	assert_int_equal(found(&t, "GET", "a", "/orders/open/lines"), 4);
	router_free(t.router);
}

static void a_search_goes_back_when_the_more_literal_way_ends(void **state)
{
	struct table t = {.rows = {{"/a/b/c", SPAN_NONE, SPAN_NONE},
				   {"/a/{x}/d", SPAN_NONE, SPAN_NONE},
				   {"/{y}/b/**", SPAN_NONE, SPAN_NONE}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "GET", "a", "/a/b/c"), 0);
	assert_int_equal(found(&t, "GET", "a", "/a/b/d"), 1);
	assert_int_equal(found(&t, "GET", "a", "/a/b/e"), 2);
	assert_int_equal(found(&t, "GET", "a", "/a/c/e"), -1);
	router_free(t.router);
}

static void all_below_takes_the_path_itself_but_no_sibling(void **state)
{
	struct table t = {.rows = {{"/files/**", SPAN_NONE, SPAN_NONE}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "GET", "a", "/files"), 0);
	assert_int_equal(found(&t, "GET", "a", "/files/"), 0);
	assert_int_equal(found(&t, "GET", "a", "/files/x/y/z"), 0);
	assert_int_equal(found(&t, "GET", "a", "/filesystem"), -1);
	assert_int_equal(found(&t, "GET", "a", "/"), -1);
	router_free(t.router);
}

static void a_parameter_takes_one_segment_that_is_not_empty(void **state)
{
	struct table t = {.rows = {{"/users/{id}", SPAN_NONE, SPAN_NONE}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "GET", "a", "/users/7"), 0);
	assert_int_equal(found(&t, "GET", "a", "/users/"), -1);
	assert_int_equal(found(&t, "GET", "a", "/users"), -1);
	assert_int_equal(found(&t, "GET", "a", "/users/7/"), -1);
	assert_int_equal(found(&t, "GET", "a", "/users/7/x"), -1);
	router_free(t.router);
}

static void paths_are_compared_with_case(void **state)
{
	struct table t = {.rows = {{"/Admin", SPAN_NONE, SPAN_NONE}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "GET", "a", "/Admin"), 0);
	assert_int_equal(found(&t, "GET", "a", "/admin"), -1);
	router_free(t.router);
}

static void segments_of_every_length_are_told_apart(void **state)
{
	enum { LONGEST = 40 };
	char paths[2 * LONGEST][LONGEST + 4];
	struct config_route routes[2 * LONGEST];
	struct err err = {.code = ERR_NONE};
	struct router *router;

	(void)state;
	/* Two of each length, which differ in their last byte. */
	for (int i = 0; i < 2 * LONGEST; i++) {
		int len = snprintf(paths[i], sizeof(paths[i]), "/%0*d%c/z", i / 2, 0,
				   i % 2 ? 'a' : 'b');

		routes[i] = (struct config_route){.path = span_of(paths[i], (size_t)len)};
	}
	router = router_new(routes, COUNT_OF(routes), &err);
	assert_non_null(router);
	for (int i = 0; i < 2 * LONGEST; i++) {
		const struct config_route *route = NULL;
		uint32_t allowed;

		assert_int_equal(router_find(router, SPAN("a"), routes[i].path, HTTP_METHOD_GET,
					     SPAN("GET"), &route, &allowed),
				 ROUTER_FOUND);
		/* With no digits and with one the text is the same: the first of equals counts. */
		assert_true(span_eq(route->path, routes[i].path));
	}
	router_free(router);
}

static void deep_paths_are_matched_only_by_all_below(void **state)
{
	struct table t = {.rows = {{"/**", SPAN_NONE, SPAN_NONE}}};
	char path[2049];

	(void)state;
	compile(&t);
	for (size_t i = 0; i + 1 < sizeof(path); i++)
		path[i] = i % 2 ? 'a' : '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(found(&t, "GET", "a", path), 0);
	router_free(t.router);
}

static void the_exact_host_comes_before_suffixes_and_those_before_any(void **state)
{
	struct table t = {.rows = {{"/x", SPAN_NONE, SPAN_NONE},
				   {"/x", SPAN("*.example.com"), SPAN_NONE},
				   {"/x", SPAN("*.eu.example.com"), SPAN_NONE},
				   {"/x", SPAN("api.example.com"), SPAN_NONE},
				   {"/y", SPAN("*.example.com"), SPAN_NONE}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "GET", "api.example.com", "/x"), 3);
	assert_int_equal(found(&t, "GET", "API.Example.COM", "/x"), 3);
	assert_int_equal(found(&t, "GET", "www.example.com", "/x"), 1);
	assert_int_equal(found(&t, "GET", "a.b.example.com", "/x"), 1);
	assert_int_equal(found(&t, "GET", "a.eu.example.com", "/x"), 2);
	assert_int_equal(found(&t, "GET", "example.com", "/x"), 0);
	assert_int_equal(found(&t, "GET", "notexample.com", "/x"), 0);
	assert_int_equal(found(&t, "GET", "", "/x"), 0);
	/* A host that lacks the path falls back to the less exact ones. */
	assert_int_equal(found(&t, "GET", "api.example.com", "/y"), 4);
	assert_int_equal(found(&t, "GET", "other.org", "/y"), -1);
	router_free(t.router);
}

static void a_host_that_no_route_names_finds_nothing(void **state)
{
	struct table t = {.rows = {{"/x", SPAN("a.example"), SPAN_NONE}}};
	char host[400];

	(void)state;
	compile(&t);
	memset(host, 'a', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	assert_int_equal(found(&t, "GET", "b.example", "/x"), -1);
	assert_int_equal(found(&t, "GET", "a.example.", "/x"), -1);
	assert_int_equal(found(&t, "GET", host, "/x"), -1);
	router_free(t.router);
}

static void a_known_path_with_another_method_tells_what_is_allowed(void **state)
{
	struct table t = {.rows = {{"/x", SPAN_NONE, SPAN("GET")},
				   {"/x", SPAN_NONE, SPAN("POST")},
				   {"/{any}", SPAN_NONE, SPAN("DELETE")}}};
	uint32_t allowed;
	int row;

	(void)state;
	compile(&t);
	assert_int_equal(ask(&t, "PUT", "a", "/x", &row, &allowed), ROUTER_NO_METHOD);
	assert_int_equal(allowed, 1u << HTTP_METHOD_GET | 1u << HTTP_METHOD_HEAD |
					  1u << HTTP_METHOD_POST | 1u << HTTP_METHOD_DELETE);
	assert_int_equal(ask(&t, "PUT", "a", "/y", &row, &allowed), ROUTER_NO_METHOD);
	assert_int_equal(allowed, 1u << HTTP_METHOD_DELETE);
	assert_int_equal(ask(&t, "PUT", "a", "/x/y", &row, &allowed), ROUTER_NO_PATH);
	assert_int_equal(found(&t, "GET", "a", "/x"), 0);
	assert_int_equal(found(&t, "POST", "a", "/x"), 1);
	/* The method decides among templates too. */
	assert_int_equal(found(&t, "DELETE", "a", "/x"), 2);
	router_free(t.router);
}

static void head_goes_where_get_goes_and_not_the_other_way(void **state)
{
	struct table t = {
		.rows = {{"/get", SPAN_NONE, SPAN("GET")}, {"/head", SPAN_NONE, SPAN("HEAD")}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "HEAD", "a", "/get"), 0);
	assert_int_equal(found(&t, "HEAD", "a", "/head"), 1);
	assert_int_equal(found(&t, "GET", "a", "/head"), -1);
	router_free(t.router);
}

static void methods_that_are_not_in_the_list_are_compared_by_name_and_case(void **state)
{
	struct table t = {.rows = {{"/x", SPAN_NONE, SPAN("PURGE")}}};
	uint32_t allowed;
	int row;

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "PURGE", "a", "/x"), 0);
	assert_int_equal(ask(&t, "purge", "a", "/x", &row, &allowed), ROUTER_NO_METHOD);
	assert_int_equal(ask(&t, "LINK", "a", "/x", &row, &allowed), ROUTER_NO_METHOD);
	assert_int_equal(ask(&t, "GET", "a", "/x", &row, &allowed), ROUTER_NO_METHOD);
	router_free(t.router);
}

static void trace_is_only_for_routes_that_name_it(void **state)
{
	struct table t = {
		.rows = {{"/any", SPAN_NONE, SPAN_NONE}, {"/trace", SPAN_NONE, SPAN("TRACE")}}};
	uint32_t allowed = 0;
	int row;

	(void)state;
	compile(&t);
	assert_int_equal(ask(&t, "TRACE", "a", "/any", &row, &allowed), ROUTER_NO_METHOD);
	assert_int_equal(allowed & 1u << HTTP_METHOD_TRACE, 0);
	assert_int_not_equal(allowed & 1u << HTTP_METHOD_PATCH, 0);
	assert_int_equal(found(&t, "PURGE", "a", "/any"), 0);
	assert_int_equal(found(&t, "TRACE", "a", "/trace"), 1);
	router_free(t.router);
}

static void without_routes_nothing_is_found(void **state)
{
	struct table t = {.rows = {{NULL, SPAN_NONE, SPAN_NONE}}};

	(void)state;
	compile(&t);
	assert_int_equal(found(&t, "GET", "a", "/"), -1);
	router_free(t.router);
}

static struct config_route *many_routes(char (*paths)[32])
{
	struct config_route *routes = mem_zalloc(MANY, sizeof(*routes));

	assert_non_null(routes);
	for (int i = 0; i < MANY; i++) {
		int len =
			snprintf(paths[i], sizeof(paths[i]), "/s%d/items/{id}/p%d", i % 100, i);

		routes[i].path = span_of(paths[i], (size_t)len);
	}
	return routes;
}

static void each_of_ten_thousand_routes_is_found(void **state)
{
	char(*paths)[32] = mem_zalloc(MANY, sizeof(*paths));
	struct config_route *routes = many_routes(paths);
	struct err err = {.code = ERR_NONE};
	struct router *router = router_new(routes, MANY, &err);

	(void)state;
	assert_non_null(router);
	for (int i = 0; i < MANY; i++) {
		const struct config_route *route = NULL;
		uint32_t allowed;
		char path[64];
		int len = snprintf(path, sizeof(path), "/s%d/items/%d/p%d", i % 100, i * 7, i);

		assert_int_equal(router_find(router, SPAN("a"), span_of(path, (size_t)len),
					     HTTP_METHOD_GET, SPAN("GET"), &route, &allowed),
				 ROUTER_FOUND);
		assert_ptr_equal(route, &routes[i]);
		/* The same below another prefix is no route. */
		len = snprintf(path, sizeof(path), "/s%d/items/1/p%d", (i + 1) % 100, i);
		assert_int_equal(router_find(router, SPAN("a"), span_of(path, (size_t)len),
					     HTTP_METHOD_GET, SPAN("GET"), &route, &allowed),
				 ROUTER_NO_PATH);
	}
	router_free(router);
	mem_free(routes);
	mem_free(paths);
}

#ifdef SALLYPORT_FAULTS
static void running_out_of_memory_is_an_error_that_leaks_nothing(void **state)
{
	char(*paths)[32] = mem_zalloc(MANY, sizeof(*paths));
	struct config_route *routes = many_routes(paths);
	struct span host = SPAN("a.example");
	struct router *router = NULL;

	(void)state;
	for (int i = 0; i < 100; i += 2)
		routes[i].hosts = one(&host);
	for (unsigned long n = 1; !router; n++) {
		struct err err = {.code = ERR_NONE};

		mem_fail_at(n);
		router = router_new(routes, 100, &err);
		assert_int_equal(router == NULL, mem_fail_happened());
		if (!router)
			assert_int_equal(err.code, ERR_MEMORY);
	}
	mem_fail_at(0);
	router_free(router);
	mem_free(routes);
	mem_free(paths);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_literal_comes_before_a_parameter_and_that_before_all_below),
		cmocka_unit_test(a_search_goes_back_when_the_more_literal_way_ends),
		cmocka_unit_test(all_below_takes_the_path_itself_but_no_sibling),
		cmocka_unit_test(a_parameter_takes_one_segment_that_is_not_empty),
		cmocka_unit_test(paths_are_compared_with_case),
		cmocka_unit_test(segments_of_every_length_are_told_apart),
		cmocka_unit_test(deep_paths_are_matched_only_by_all_below),
		cmocka_unit_test(the_exact_host_comes_before_suffixes_and_those_before_any),
		cmocka_unit_test(a_host_that_no_route_names_finds_nothing),
		cmocka_unit_test(a_known_path_with_another_method_tells_what_is_allowed),
		cmocka_unit_test(head_goes_where_get_goes_and_not_the_other_way),
		cmocka_unit_test(
			methods_that_are_not_in_the_list_are_compared_by_name_and_case),
		cmocka_unit_test(trace_is_only_for_routes_that_name_it),
		cmocka_unit_test(without_routes_nothing_is_found),
		cmocka_unit_test(each_of_ten_thousand_routes_is_found),
#ifdef SALLYPORT_FAULTS
		cmocka_unit_test(running_out_of_memory_is_an_error_that_leaks_nothing),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
