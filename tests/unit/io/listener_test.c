#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/listener.h"
#include "io/stream.h"

#define MANY 300

static int accepted_count;
static int accepted_fds[MANY];
static struct net_address last_peer;
static bool enough;
static int wanted;
static int pause_after;

static void on_accept(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
	assert_true(accepted_count < MANY);
	accepted_fds[accepted_count++] = fd;
	memcpy(&last_peer.storage, peer, sizeof(*peer));
	enough = accepted_count >= wanted;
	if (accepted_count == pause_after)
		listener_pause(listener);
}

static int setup(void **state)
{
	accepted_count = 0;
	enough = false;
	wanted = 1;
	pause_after = -1;
	return loop_setup(state);
}

static void close_accepted(void)
{
	for (int i = 0; i < accepted_count; i++)
		close(accepted_fds[i]);
	accepted_count = 0;
}

static int open_at(const char *text, const struct listener_options *options)
{
	struct net_address address;
	struct err err = {.message = ""};
	int fd;

	assert_int_equal(net_address_parse(&address, span_cstr(text), NULL), 0);
	fd = listener_open(&address, options, &err);
	if (fd < 0)
		print_error("%s\n", err.message);
	return fd;
}

static int connect_to(const struct net_address *address)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	assert_true(fd >= 0);
	if (connect(fd, net_address_sockaddr(address), address->len) < 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static void start(struct listener *listener, const char *text, struct net_address *address)
{
	int fd = open_at(text, &(struct listener_options){.backlog = 512});

	assert_true(fd >= 0);
	assert_int_equal(listener_start(listener, fd, on_accept, NULL), 0);
	assert_int_equal(listener_address(fd, address, NULL), 0);
}

static void takes_many_at(const char *text)
{
	struct listener listener;
	struct net_address address;
	int fds[MANY];

	start(&listener, text, &address);
	wanted = MANY;
	/* All are in the queue before the loop looks: one edge stands for all of them. */
	for (int i = 0; i < MANY; i++)
		fds[i] = connect_to(&address);
	run_until(&enough);
	assert_int_equal(fcntl(accepted_fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(accepted_fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(last_peer.storage.ss_family, address.storage.ss_family);
	listener_close(&listener);
	close_accepted();
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void test_no_connection_is_lost_behind_one_edge(void **state)
{
	(void)state;
	takes_many_at("127.0.0.1:0");
}

static void test_ipv6(void **state)
{
	int probe = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool have = probe >= 0 && bind(probe, (const struct sockaddr *)&any, sizeof(any)) == 0;

	(void)state;
	if (probe >= 0)
		close(probe);
	if (!have) {
		print_message("no IPv6 on this machine\n");
		skip();
	}
	accepted_count = 0;
	takes_many_at("[::1]:0");
}

static void test_accepted_connections_have_no_delay(void **state)
{
	struct listener listener;
	struct net_address address;
	int value = 0, fd;
	socklen_t len = sizeof(value);

	(void)state;
	start(&listener, "127.0.0.1:0", &address);
	fd = connect_to(&address);
	run_until(&enough);
	assert_int_equal(getsockopt(accepted_fds[0], IPPROTO_TCP, TCP_NODELAY, &value, &len),
			 0);
	assert_int_not_equal(value, 0);
	close(fd);
	close_accepted();
	listener_close(&listener);
}

static void test_pause_leaves_connections_waiting_and_resume_takes_them(void **state)
{
	struct listener listener;
	struct net_address address;
	int fds[10];

	(void)state;
	start(&listener, "127.0.0.1:0", &address);
	pause_after = 4;
	wanted = 4;
	for (int i = 0; i < 10; i++)
		fds[i] = connect_to(&address);
	run_until(&enough);
	for (int i = 0; i < 5; i++)
		loop_step(loop_current(), 2);
	assert_int_equal(accepted_count, 4);
	enough = false;
	wanted = 10;
	listener_resume(&listener);
	run_until(&enough);
	assert_int_equal(accepted_count, 10);
	for (int i = 0; i < 10; i++)
		close(fds[i]);
	close_accepted();
	listener_close(&listener);
}

static void test_running_out_of_descriptors_refuses_and_recovers(void **state)
{
	struct listener listener;
	struct net_address address;
	struct rlimit old, low;
	int fds[3], next;
	char byte;

	(void)state;
	start(&listener, "127.0.0.1:0", &address);
	for (int i = 0; i < 3; i++)
		fds[i] = connect_to(&address);
	next = dup(0);
	close(next);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 3; i++)
		loop_step(loop_current(), 10);
	assert_int_equal(accepted_count, 0);
	/* One was refused, not left hanging. */
	assert_true(recv(fds[0], &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	wanted = 2;
	run_until(&enough);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close_accepted();
	listener_close(&listener);
}

static void test_workers_share_a_port(void **state)
{
	const struct listener_options options = {.reuse_port = true, .defer_accept = true};
	struct net_address address;
	int first = open_at("127.0.0.1:0", &options), second;

	(void)state;
	assert_true(first >= 0);
	assert_int_equal(listener_address(first, &address, NULL), 0);
	second = listener_open(&address, &options, NULL);
	assert_true(second >= 0);
	close(first);
	close(second);
}

static void test_taken_port_is_named(void **state)
{
	struct listener_options options = {.backlog = 1};
	int first = open_at("127.0.0.1:0", &options);
	char text[NET_ADDRESS_TEXT_MAX];
	struct net_address address;
	struct err err;

	(void)state;
	assert_int_equal(listener_address(first, &address, NULL), 0);
	assert_int_equal(listener_open(&address, &options, &err), -1);
	net_address_format(&address.storage, true, text);
	assert_non_null(strstr(err.message, text));
	close(first);
}

static void test_unix_socket_replaces_only_a_dead_one(void **state)
{
	char folder[] = "/tmp/sallyport-listen-XXXXXX";
	char text[64];
	struct listener_options options = {.unix_mode = 0600};
	struct listener listener;
	struct net_address address;
	struct stat stat_of;
	int fd, other;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text), "unix:%s/s", folder);
	fd = open_at(text, &options);
	assert_true(fd >= 0);
	assert_int_equal(stat(text + 5, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 0777, 0600);
	assert_int_equal(net_address_parse(&address, span_cstr(text), NULL), 0);
	assert_int_equal(listener_open(&address, &options, NULL), -1);
	close(fd);
	fd = open_at(text, &options);
	assert_true(fd >= 0);
	assert_int_equal(listener_start(&listener, fd, on_accept, NULL), 0);
	other = connect_to(&address);
	run_until(&enough);
	assert_int_equal(last_peer.storage.ss_family, AF_UNIX);
	close(other);
	close_accepted();
	listener_close(&listener);
	unlink(text + 5);
	/* A file that is no socket is never removed. */
	fd = open(text + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(listener_open(&address, &options, NULL), -1);
	assert_int_equal(access(text + 5, F_OK), 0);
	unlink(text + 5);
	rmdir(folder);
}

static void test_adoption_checks_the_descriptor(void **state)
{
	struct listener listener;
	struct err err;
	int fds[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	small_socketpair(fds);
	assert_int_equal(listener_start(&listener, fds[0], on_accept, &err), -1);
	assert_non_null(strstr(err.message, "not a listening"));
	assert_int_equal(listener_start(&listener, file, on_accept, &err), -1);
	assert_non_null(strstr(err.message, "not a socket"));
	close(fds[0]);
	close(fds[1]);
	close(file);
}

static void test_stop_hands_the_socket_back_with_its_queue(void **state)
{
	struct listener listener;
	struct net_address address;
	int fd, client;

	(void)state;
	start(&listener, "127.0.0.1:0", &address);
	fd = listener_stop(&listener);
	assert_true(fd >= 0);
	assert_int_equal(listener_stop(&listener), -1);
	client = connect_to(&address);
	assert_int_equal(listener_start(&listener, fd, on_accept, NULL), 0);
	run_until(&enough);
	close(client);
	close_accepted();
	listener_close(&listener);
}

/* --- addresses --- */

static void test_addresses_round_trip(void **state)
{
	static const char *const good[] = {"192.0.2.1:80", "[2001:db8::1]:8443", "[::]:0",
					   "unix:/run/x.sock"};
	static const char *const bad[] = {
		"",	   "192.0.2.1", "192.0.2.1:",	 "192.0.2:80", "::1:80",      "[::1]",
		"[::1]80", "[::1:80",	"1.2.3.4:65536", "unix:",      "host.test:1", "[]:80"};
	char text[NET_ADDRESS_TEXT_MAX];
	struct net_address address;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(net_address_parse(&address, span_cstr(good[i]), NULL), 0);
		assert_true(span_eq(net_address_format(&address.storage, true, text),
				    span_cstr(good[i])));
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(net_address_parse(&address, span_cstr(bad[i]), NULL), -1);
	assert_int_equal(net_address_parse(&address, SPAN("[::ffff:192.0.2.9]:1"), NULL), 0);
	assert_true(
		span_eq(net_address_format(&address.storage, false, text), SPAN("192.0.2.9")));
	net_address_set_port(&address, 99);
	assert_int_equal(net_address_port(&address.storage), 99);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, loop_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_no_connection_is_lost_behind_one_edge),
		TEST(test_ipv6),
		TEST(test_accepted_connections_have_no_delay),
		TEST(test_pause_leaves_connections_waiting_and_resume_takes_them),
		TEST(test_running_out_of_descriptors_refuses_and_recovers),
		TEST(test_workers_share_a_port),
		TEST(test_taken_port_is_named),
		TEST(test_unix_socket_replaces_only_a_dead_one),
		TEST(test_adoption_checks_the_descriptor),
		TEST(test_stop_hands_the_socket_back_with_its_queue),
		cmocka_unit_test(test_addresses_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
