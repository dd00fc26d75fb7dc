#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/dns.h"

/* --- a name server of a few names, in the loop of the test --- */

struct server {
	struct watch watch;
	int queries; /* for A records */
	bool silent;
	bool failing;
	unsigned ttl_s;
	uint8_t last_byte; /* of the IPv4 address */
};

static struct server server;
static char server_text[NET_ADDRESS_TEXT_MAX];

#define TYPE_A 1
#define TYPE_AAAA 28
#define TYPE_SRV 33
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3

static size_t put_record(uint8_t *at, unsigned type, unsigned ttl_s, const void *data,
			 size_t len)
{
	const uint8_t head[12] = {0xc0,
				  12, /* the name of the question */
				  0,
				  (uint8_t)type,
				  0,
				  1,
				  (uint8_t)(ttl_s >> 24),
				  (uint8_t)(ttl_s >> 16),
				  (uint8_t)(ttl_s >> 8),
				  (uint8_t)ttl_s,
				  0,
				  (uint8_t)len};

	memcpy(at, head, sizeof(head));
	memcpy(at + sizeof(head), data, len);
	return sizeof(head) + len;
}

/* Answers in place; returns the length. The question ends where its name, type and class do. */
static size_t answer(uint8_t *packet, size_t len)
{
	const uint8_t v4[4] = {192, 0, 2, server.last_byte};
	const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	const char *name = (const char *)packet + 12;
	size_t end = 12 + strlen(name) + 1 + 4;
	unsigned type;

	assert_true(end <= len);
	type = packet[end - 3];
	server.queries += type == TYPE_A;
	packet[2] = 0x81; /* response, recursion wanted */
	packet[3] = 0x80;
	memset(packet + 6, 0, 6); /* no records yet; EDNS is left out */
	if (server.failing) {
		packet[3] |= RCODE_SERVFAIL;
	} else if (memcmp(name, "\3two", 4) == 0 && (type == TYPE_A || type == TYPE_AAAA)) {
		packet[7] = 1;
		end += type == TYPE_A ? put_record(packet + end, type, server.ttl_s, v4, 4)
				      : put_record(packet + end, type, server.ttl_s, v6, 16);
	} else if (memcmp(name, "\5_http", 6) == 0 && type == TYPE_SRV) {
		packet[7] = 1;
		end += put_record(packet + end, type, server.ttl_s,
				  "\0\1\0\2\x1f\x90\3two\4test", 16);
	} else if (memcmp(name, "\4only", 5) == 0 || memcmp(name, "\6search\4test", 13) == 0) {
		if (type == TYPE_A) {
			packet[7] = 1;
			end += put_record(packet + end, type, server.ttl_s, v4, 4);
		}
	} else {
		packet[3] |= RCODE_NXDOMAIN;
	}
	return end;
}

static void on_query(struct watch *watch, uint32_t events)
{
	uint8_t packet[1500] = {0};
	struct sockaddr_storage from;
	socklen_t from_len;
	ssize_t n;

	(void)events;
	for (;;) {
		from_len = sizeof(from);
		n = recvfrom(watch->fd, packet, 512, MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len);
		if (n < 17)
			return;
		if (server.silent) {
			server.queries++;
			continue;
		}
		sendto(watch->fd, packet, answer(packet, (size_t)n), MSG_DONTWAIT,
		       (const struct sockaddr *)&from, from_len);
	}
}

static int setup(void **state)
{
	struct net_address address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (loop_setup(state) < 0 || fd < 0)
		return -1;
	assert_int_equal(net_address_parse(&address, SPAN("127.0.0.1:0"), NULL), 0);
	assert_int_equal(bind(fd, net_address_sockaddr(&address), address.len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address.storage, &address.len), 0);
	net_address_format(&address.storage, true, server_text);
	server = (struct server){.ttl_s = 60, .last_byte = 1};
	return watch_add(&server.watch, fd, on_query, NULL);
}

static int teardown(void **state)
{
	int fd = server.watch.fd;

	watch_remove(&server.watch);
	close(fd);
	return loop_teardown(state);
}

static struct dns *new_dns(struct dns_options options)
{
	struct dns *dns;

	options.servers = server_text;
	dns = dns_new(&options, NULL);
	assert_non_null(dns);
	return dns;
}

struct question {
	struct dns *dns;
	const char *host;
	int64_t wait_ms;
	int result;
	struct dns_result answer;
	struct err err;
	struct fiber *fiber;
};

static void ask(void *arg)
{
	struct question *q = arg;

	q->fiber = fiber_self();
	q->result = dns_resolve(q->dns, span_cstr(q->host), 443,
				loop_deadline_ms(q->wait_ms ? q->wait_ms : 10000), &q->answer,
				&q->err);
}

static void ask_one(struct question *q, const char *host)
{
	q->host = host;
	start_fiber(ask, q);
	run_fibers();
}

static void expect_first(const struct question *q, const char *text)
{
	char to[NET_ADDRESS_TEXT_MAX];

	if (q->result < 0)
		print_error("%s: %s\n", q->host, q->err.message);
	assert_int_equal(q->result, 0);
	assert_true(span_eq(net_address_format(&q->answer.addresses[0].storage, true, to),
			    span_cstr(text)));
}

static void wait_ms(int64_t ms)
{
	int64_t until_ms = loop_now_ms() + ms;

	while (loop_now_ms() < until_ms)
		loop_step(loop_current(), until_ms - loop_now_ms());
}

static void test_both_families_are_found(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.tries = 2})};
	char to[NET_ADDRESS_TEXT_MAX];

	(void)state;
	ask_one(&q, "two.test");
	expect_first(&q, "192.0.2.1:443");
	assert_int_equal(q.answer.count, 2);
	assert_true(span_eq(net_address_format(&q.answer.addresses[1].storage, true, to),
			    SPAN("[2001:db8::1]:443")));
	assert_false(q.answer.stale);
	assert_true(q.answer.expires_ms - loop_now_ms() <= 60000);
	assert_true(q.answer.expires_ms - loop_now_ms() > 50000);
	dns_free(q.dns);
}

static void test_one_family_is_enough(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.tries = 2})};

	(void)state;
	ask_one(&q, "only.test.");
	expect_first(&q, "192.0.2.1:443");
	assert_int_equal(q.answer.count, 1);
	dns_free(q.dns);
}

static void test_literals_and_hosts_file_ask_nobody(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.tries = 2})};

	(void)state;
	ask_one(&q, "192.0.2.7");
	expect_first(&q, "192.0.2.7:443");
	assert_true(q.answer.expires_ms == FIBER_FOREVER);
	ask_one(&q, "2001:db8::7");
	expect_first(&q, "[2001:db8::7]:443");
	ask_one(&q, "localhost");
	assert_int_equal(q.result, 0);
	assert_int_equal(server.queries, 0);
	dns_free(q.dns);
}

static void test_cache_keeps_answers_for_their_ttl(void **state)
{
	struct question q = {
		.dns = new_dns((struct dns_options){.min_ttl_ms = 200, .max_ttl_ms = 200})};

	(void)state;
	ask_one(&q, "two.test");
	ask_one(&q, "TWO.test.");
	assert_int_equal(q.result, 0);
	assert_int_equal(server.queries, 1);
	server.last_byte = 2;
	wait_ms(210);
	ask_one(&q, "two.test");
	expect_first(&q, "192.0.2.2:443");
	assert_int_equal(server.queries, 2);
	server.last_byte = 3;
	dns_flush(q.dns);
	ask_one(&q, "two.test");
	expect_first(&q, "192.0.2.3:443");
	dns_free(q.dns);
}

static void test_concurrent_questions_become_one_query(void **state)
{
	struct question q[50];
	struct dns *dns = new_dns((struct dns_options){.tries = 2});

	(void)state;
	for (size_t i = 0; i < COUNT_OF(q); i++) {
		q[i] = (struct question){.dns = dns, .host = "two.test"};
		start_fiber(ask, &q[i]);
	}
	run_fibers();
	for (size_t i = 0; i < COUNT_OF(q); i++)
		expect_first(&q[i], "192.0.2.1:443");
	assert_int_equal(server.queries, 1);
	dns_free(dns);
}

static void test_unknown_name_is_remembered_for_a_while(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.negative_ttl_ms = 200})};

	(void)state;
	ask_one(&q, "none.test");
	assert_int_equal(q.err.code, ERR_NOT_FOUND);
	ask_one(&q, "none.test");
	assert_int_equal(q.err.code, ERR_NOT_FOUND);
	assert_int_equal(server.queries, 1);
	wait_ms(210);
	ask_one(&q, "none.test");
	assert_int_equal(server.queries, 2);
	dns_free(q.dns);
}

static void test_stale_answer_serves_while_servers_fail(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.min_ttl_ms = 20,
								 .max_ttl_ms = 20,
								 .stale_ms = 400,
								 .failure_ttl_ms = 20,
								 .tries = 1})};

	(void)state;
	ask_one(&q, "two.test");
	server.failing = true;
	wait_ms(30);
	ask_one(&q, "two.test");
	expect_first(&q, "192.0.2.1:443");
	assert_true(q.answer.stale);
	wait_ms(450);
	ask_one(&q, "two.test");
	assert_int_equal(q.result, -1);
	assert_int_equal(q.err.code, ERR_UNAVAILABLE);
	server.failing = false;
	wait_ms(30);
	ask_one(&q, "two.test");
	expect_first(&q, "192.0.2.1:443");
	assert_false(q.answer.stale);
	dns_free(q.dns);
}

/* Neither the hosts file nor a search list, and one question a name. */
static void test_whole_names_of_one_family(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){
				     .whole_names = true, .ipv4_only = true, .tries = 2})};
	struct question other;

	(void)state;
	ask_one(&q, "two.test");
	expect_first(&q, "192.0.2.1:443");
	assert_int_equal(q.answer.count, 1);
	ask_one(&q, "localhost.test");
	assert_int_equal(q.err.code, ERR_NOT_FOUND);
	dns_free(q.dns);
	/* With a search list that has the name, only the other finds it. */
	assert_int_equal(setenv("LOCALDOMAIN", "test", 1), 0);
	q.dns = new_dns((struct dns_options){.whole_names = true, .ipv4_only = true});
	other = (struct question){.dns = new_dns((struct dns_options){.tries = 2})};
	assert_int_equal(unsetenv("LOCALDOMAIN"), 0);
	ask_one(&q, "search");
	assert_int_equal(q.err.code, ERR_NOT_FOUND);
	ask_one(&other, "search");
	expect_first(&other, "192.0.2.1:443");
	dns_free(q.dns);
	dns_free(other.dns);
}

static void test_silent_server_times_out(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.try_ms = 30, .tries = 2})};

	(void)state;
	server.silent = true;
	ask_one(&q, "two.test");
	assert_int_equal(q.err.code, ERR_UNAVAILABLE);
	assert_true(server.queries >= 2);
	dns_free(q.dns);
}

static void test_deadline_and_cancel_end_the_wait(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.try_ms = 5000})};

	(void)state;
	server.silent = true;
	q.wait_ms = 20;
	ask_one(&q, "two.test");
	assert_int_equal(q.err.code, ERR_TIMEOUT);
	q.wait_ms = 10000;
	start_fiber(ask, &q);
	wait_ms(10);
	fiber_cancel(q.fiber);
	run_fibers();
	assert_int_equal(q.err.code, ERR_CANCELLED);
	/* The query is still under way. */
	dns_free(q.dns);
}

struct service_question {
	struct dns *dns;
	const char *name;
	int64_t wait_ms;
	int result;
	struct dns_services answer;
	struct err err;
	struct fiber *fiber;
};

static void ask_services(void *arg)
{
	struct service_question *q = arg;

	q->fiber = fiber_self();
	q->result = dns_find_services(q->dns, span_cstr(q->name),
				      loop_deadline_ms(q->wait_ms ? q->wait_ms : 10000),
				      &q->answer, &q->err);
}

static void ask_one_service(struct service_question *q, const char *name)
{
	q->name = name;
	start_fiber(ask_services, q);
	run_fibers();
}

static void test_services_are_found_with_their_time(void **state)
{
	static struct service_question q;

	(void)state;
	q.dns = new_dns((struct dns_options){.tries = 2});
	ask_one_service(&q, "_http._tcp.shop.test");
	assert_int_equal(q.result, 0);
	assert_int_equal(q.answer.count, 1);
	assert_string_equal(q.answer.at[0].target, "two.test");
	assert_int_equal(q.answer.at[0].priority, 1);
	assert_int_equal(q.answer.at[0].weight, 2);
	assert_int_equal(q.answer.at[0].port, 8080);
	assert_true(q.answer.expires_ms - loop_now_ms() <= 60000);
	assert_true(q.answer.expires_ms - loop_now_ms() > 50000);
	/* No such name, and a name without such records, are answers. */
	ask_one_service(&q, "_other._tcp.shop.test");
	assert_int_equal(q.result, 0);
	assert_int_equal(q.answer.count, 0);
	ask_one_service(&q, "only.test");
	assert_int_equal(q.result, 0);
	assert_int_equal(q.answer.count, 0);
	server.failing = true;
	ask_one_service(&q, "_http._tcp.shop.test");
	assert_int_equal(q.err.code, ERR_UNAVAILABLE);
	ask_one_service(&q, "not/a/name");
	assert_int_equal(q.err.code, ERR_INVALID);
	dns_free(q.dns);
}

static void test_waiting_for_services_ends(void **state)
{
	static struct service_question q;

	(void)state;
	q.dns = new_dns((struct dns_options){.try_ms = 5000});
	server.silent = true;
	q.wait_ms = 20;
	ask_one_service(&q, "_http._tcp.shop.test");
	assert_int_equal(q.err.code, ERR_TIMEOUT);
	q.wait_ms = 10000;
	start_fiber(ask_services, &q);
	wait_ms(10);
	fiber_cancel(q.fiber);
	run_fibers();
	assert_int_equal(q.err.code, ERR_CANCELLED);
	/* Both questions are still under way. */
	dns_free(q.dns);
}

static void test_what_is_no_host_name_is_refused(void **state)
{
	static const char *const bad[] = {"",	 ".",	"a..b",		"a b",
					  "a/b", "a:1", "\xc3\xa4.test"};
	struct question q = {.dns = new_dns((struct dns_options){.tries = 1})};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		ask_one(&q, bad[i]);
		assert_int_equal(q.result, -1);
		assert_int_equal(q.err.code, ERR_INVALID);
	}
	assert_int_equal(server.queries, 0);
	dns_free(q.dns);
}

static void test_cache_is_bounded(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){.entries_max = 2})};

	(void)state;
	ask_one(&q, "two.test");
	ask_one(&q, "only.test");
	ask_one(&q, "two.test");
	ask_one(&q, "two.other"); /* pushes only.test out */
	ask_one(&q, "two.test");
	assert_int_equal(server.queries, 3);
	ask_one(&q, "only.test");
	assert_int_equal(server.queries, 4);
	dns_free(q.dns);
}

static void test_bad_server_list_is_an_error(void **state)
{
	struct err err;

	(void)state;
	assert_null(dns_new(&(struct dns_options){.servers = "not an address"}, &err));
	assert_non_null(strstr(err.message, "not an address"));
}

static void ask_without_memory(void *arg)
{
	struct question *q = arg;

	for (unsigned long n = 1;; n++) {
		bool happened;

		dns_flush(q->dns);
		mem_fail_at(n);
		ask(q);
		happened = mem_fail_happened();
		mem_fail_at(0);
		if (!happened)
			return;
		/* Where only a socket's watch failed, the answer is late or missing. */
		assert_int_equal(q->result, -1);
	}
}

/* Only in builds with -Dfaults=true does anything fail here. */
static void test_failing_allocations_are_errors(void **state)
{
	struct question q = {.dns = new_dns((struct dns_options){
				     .try_ms = 30, .tries = 1, .failure_ttl_ms = 1}),
			     .host = "two.test"};

	(void)state;
	start_fiber(ask_without_memory, &q);
	run_fibers();
	expect_first(&q, "192.0.2.1:443");
	dns_free(q.dns);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_both_families_are_found),
		TEST(test_one_family_is_enough),
		TEST(test_literals_and_hosts_file_ask_nobody),
		TEST(test_cache_keeps_answers_for_their_ttl),
		TEST(test_concurrent_questions_become_one_query),
		TEST(test_unknown_name_is_remembered_for_a_while),
		TEST(test_stale_answer_serves_while_servers_fail),
		TEST(test_whole_names_of_one_family),
		TEST(test_silent_server_times_out),
		TEST(test_deadline_and_cancel_end_the_wait),
		TEST(test_services_are_found_with_their_time),
		TEST(test_waiting_for_services_ends),
		TEST(test_what_is_no_host_name_is_refused),
		TEST(test_cache_is_bounded),
		TEST(test_bad_server_list_is_an_error),
		TEST(test_failing_allocations_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
