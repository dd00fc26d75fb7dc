#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/listener.h"
#include "io/stream.h"
#include "io/tls.h"

static struct test_certificate certificate;
static struct tls_context *server_tls, *client_tls;

static int make_contexts(void **state)
{
	struct tls_certificate own;

	(void)state;
	make_certificate(&certificate, TEST_KEY_EC, "stream", "DNS:stream.test", NULL);
	own = (struct tls_certificate){
		.chain = {.pem = span_cstr(certificate.certificate_pem)},
		.key = {.pem = span_cstr(certificate.key_pem)},
	};
	server_tls = tls_server_context_new(
		&(struct tls_server_options){.certificates = &own, .certificate_count = 1},
		NULL);
	client_tls =
		tls_client_context_new(&(struct tls_client_options){.insecure = true}, NULL);
	return server_tls && client_tls ? 0 : -1;
}

static int free_contexts(void **state)
{
	(void)state;
	tls_context_unref(server_tls);
	tls_context_unref(client_tls);
	free_certificate(&certificate);
	return 0;
}

/* --- pairs of streams --- */

enum transport { OVER_UNIX, OVER_TCP };

struct pair {
	struct stream server, client;
	int shaken;
};

static void tcp_pair(int fds[2])
{
	struct net_address address;
	int small = 4096, fd;

	assert_int_equal(net_address_parse(&address, SPAN("127.0.0.1:0"), NULL), 0);
	fd = listener_open(&address, &(struct listener_options){.backlog = 1}, NULL);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(listener_address(fd, &address, NULL), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (connect(fds[1], net_address_sockaddr(&address), address.len) < 0)
		assert_int_equal(errno, EINPROGRESS);
	do
		fds[0] = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fds[0] < 0 && errno == EAGAIN);
	assert_true(fds[0] >= 0);
	close(fd);
}

static void shake_server(void *arg)
{
	struct pair *pair = arg;

	assert_int_equal(stream_handshake(&pair->server, loop_deadline_ms(10000), NULL), IO_OK);
	pair->shaken++;
}

static void shake_client(void *arg)
{
	struct pair *pair = arg;

	assert_int_equal(stream_handshake(&pair->client, loop_deadline_ms(10000), NULL), IO_OK);
	pair->shaken++;
}

static void open_pair(struct pair *pair, enum transport transport, bool tls)
{
	int fds[2];

	if (transport == OVER_UNIX)
		small_socketpair(fds);
	else
		tcp_pair(fds);
	pair->shaken = 0;
	assert_int_equal(stream_init(&pair->server, fds[0], NULL, NULL), 0);
	assert_int_equal(stream_init(&pair->client, fds[1], NULL, NULL), 0);
	if (!tls)
		return;
	assert_int_equal(
		stream_start_tls(&pair->server, tls_context_ssl(server_tls), true, NULL), 0);
	assert_int_equal(
		stream_start_tls(&pair->client, tls_context_ssl(client_tls), false, NULL), 0);
	start_fiber(shake_server, pair);
	start_fiber(shake_client, pair);
	run_fibers();
	assert_int_equal(pair->shaken, 2);
}

static void close_pair(struct pair *pair)
{
	stream_close(&pair->server);
	stream_close(&pair->client);
}

/* --- large transfers, both ways at once --- */

#define TRANSFER_BYTES ((size_t)3 * 1024 * 1024)

struct flow {
	struct stream *stream;
	unsigned seed;
	size_t done;
	enum io_result result;
};

static char byte_at(unsigned seed, size_t i)
{
	return (char)((i * 31 + (i >> 11) + seed) & 0xff);
}

static void send_flow(void *arg)
{
	struct flow *flow = arg;
	char block[30000];
	size_t size = 1;

	while (flow->done < TRANSFER_BYTES) {
		struct iovec iov[2];

		size = size * 7 % sizeof(block) + 1;
		if (size > TRANSFER_BYTES - flow->done)
			size = TRANSFER_BYTES - flow->done;
		for (size_t i = 0; i < size; i++)
			block[i] = byte_at(flow->seed, flow->done + i);
		iov[0] = (struct iovec){block, size / 3};
		iov[1] = (struct iovec){block + size / 3, size - size / 3};
		flow->result = stream_writev(flow->stream, iov, 2, loop_deadline_ms(10000));
		assert_int_equal(flow->result, IO_OK);
		flow->done += size;
	}
	assert_int_equal(stream_finish(flow->stream, loop_deadline_ms(10000)), IO_OK);
}

static void receive_flow(void *arg)
{
	struct flow *flow = arg;
	char block[20000];
	size_t got;

	for (;;) {
		flow->result = stream_read(flow->stream, block, 1 + flow->done % sizeof(block),
					   &got, loop_deadline_ms(10000));
		if (flow->result != IO_OK)
			return;
		assert_true(got > 0);
		for (size_t i = 0; i < got; i++)
			assert_int_equal(block[i], byte_at(flow->seed, flow->done + i));
		flow->done += got;
	}
}

static void transfers(enum transport transport, bool tls)
{
	struct pair pair;
	struct flow flows[4];

	open_pair(&pair, transport, tls);
	for (unsigned i = 0; i < 4; i++)
		flows[i] = (struct flow){.seed = i / 2};
	flows[0].stream = flows[3].stream = &pair.server;
	flows[1].stream = flows[2].stream = &pair.client;
	start_fiber(send_flow, &flows[0]);
	start_fiber(receive_flow, &flows[1]);
	start_fiber(send_flow, &flows[2]);
	start_fiber(receive_flow, &flows[3]);
	run_fibers();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flows[i].done, TRANSFER_BYTES);
	assert_int_equal(flows[1].result, IO_EOF);
	assert_int_equal(flows[3].result, IO_EOF);
	close_pair(&pair);
}

static void test_plain_transfers_both_ways(void **state)
{
	(void)state;
	transfers(OVER_UNIX, false);
	transfers(OVER_TCP, false);
}

static void test_tls_transfers_both_ways(void **state)
{
	(void)state;
	transfers(OVER_UNIX, true);
	transfers(OVER_TCP, true);
}

/* Key updates make the reading side write, and the writing side's buffer is full. */
static void update_keys(void *arg)
{
	struct pair *pair = arg;

	for (int i = 0; i < 30; i++) {
		SSL_key_update(pair->client.ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_key_update(pair->server.ssl, SSL_KEY_UPDATE_REQUESTED);
		fiber_sleep_ms(1);
	}
}

static void test_key_updates_in_the_middle_of_transfers(void **state)
{
	struct pair pair;
	struct flow flows[4];

	(void)state;
	open_pair(&pair, OVER_UNIX, true);
	for (unsigned i = 0; i < 4; i++)
		flows[i] = (struct flow){.seed = i / 2};
	flows[0].stream = flows[3].stream = &pair.server;
	flows[1].stream = flows[2].stream = &pair.client;
	start_fiber(update_keys, &pair);
	start_fiber(send_flow, &flows[0]);
	start_fiber(receive_flow, &flows[1]);
	start_fiber(send_flow, &flows[2]);
	start_fiber(receive_flow, &flows[3]);
	run_fibers();
	assert_int_equal(flows[1].done, TRANSFER_BYTES);
	assert_int_equal(flows[3].done, TRANSFER_BYTES);
	close_pair(&pair);
}

/* --- waits that end --- */

struct attempt {
	struct stream *stream;
	int64_t wait_ms;
	struct fiber *fiber;
	bool started;
	enum io_result result;
	size_t got;
	char block[64];
};

static void try_reading(void *arg)
{
	struct attempt *a = arg;

	a->fiber = fiber_self();
	a->started = true;
	a->result = stream_read(a->stream, a->block, sizeof(a->block), &a->got,
				loop_deadline_ms(a->wait_ms));
}

static void fill_up(void *arg)
{
	struct attempt *a = arg;
	static const char zeros[65536];

	a->fiber = fiber_self();
	a->started = true;
	do
		a->result = stream_write(a->stream, zeros, sizeof(zeros),
					 loop_deadline_ms(a->wait_ms));
	while (a->result == IO_OK);
}

static void waits_end(bool tls)
{
	struct pair pair;
	struct attempt a = {.stream = &pair.server, .wait_ms = 10};

	open_pair(&pair, OVER_UNIX, tls);
	start_fiber(try_reading, &a);
	run_fibers();
	assert_int_equal(a.result, IO_TIMEOUT);
	a.wait_ms = 10000;
	a.started = false;
	start_fiber(try_reading, &a);
	run_until(&a.started);
	fiber_cancel(a.fiber);
	run_fibers();
	assert_int_equal(a.result, IO_CANCELLED);
	/* Closed under the reader. */
	a.started = false;
	start_fiber(try_reading, &a);
	run_until(&a.started);
	stream_close(&pair.server);
	run_fibers();
	assert_int_equal(a.result, IO_CLOSED);
	assert_int_equal(stream_try_read(&pair.server, a.block, 1, &a.got), IO_CLOSED);
	close_pair(&pair);

	open_pair(&pair, OVER_UNIX, tls);
	a.wait_ms = 10;
	start_fiber(fill_up, &a);
	run_fibers();
	assert_int_equal(a.result, IO_TIMEOUT);
	close_pair(&pair);
}

static void test_deadline_cancel_and_close_end_waits(void **state)
{
	(void)state;
	waits_end(false);
	waits_end(true);
}

static void shake_alone(void *arg)
{
	struct attempt *a = arg;
	struct err err;

	a->fiber = fiber_self();
	a->started = true;
	a->result = stream_handshake(a->stream, loop_deadline_ms(a->wait_ms), &err);
}

static void test_handshake_ends_by_deadline_and_by_close(void **state)
{
	struct pair pair;
	struct attempt a = {.stream = &pair.server, .wait_ms = 10};

	(void)state;
	open_pair(&pair, OVER_UNIX, false);
	assert_int_equal(
		stream_start_tls(&pair.server, tls_context_ssl(server_tls), true, NULL), 0);
	start_fiber(shake_alone, &a);
	run_fibers();
	assert_int_equal(a.result, IO_TIMEOUT);
	a.wait_ms = 10000;
	a.started = false;
	start_fiber(shake_alone, &a);
	run_until(&a.started);
	stream_close(&pair.server);
	run_fibers();
	assert_int_equal(a.result, IO_CLOSED);
	close_pair(&pair);
}

static void test_handshake_with_nonsense_fails(void **state)
{
	struct pair pair;
	struct attempt a = {.stream = &pair.server, .wait_ms = 10000};

	(void)state;
	open_pair(&pair, OVER_UNIX, false);
	assert_int_equal(
		stream_start_tls(&pair.server, tls_context_ssl(server_tls), true, NULL), 0);
	assert_int_equal(write(pair.client.watch.fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	start_fiber(shake_alone, &a);
	run_fibers();
	assert_int_equal(a.result, IO_FAILED);
	assert_string_equal(pair.server.tls_error, "http request");
	close_pair(&pair);
}

struct judge {
	bool accepts;
	unsigned asked;
};

static bool judge_hello(void *arg, struct span hello)
{
	struct judge *judge = arg;

	judge->asked++;
	assert_true(hello.len > 40 && hello.ptr[0] == 1);
	assert_int_equal(hello.len,
			 4 + ((unsigned char)hello.ptr[2] << 8 | (unsigned char)hello.ptr[3]));
	return judge->accepts;
}

static void test_a_hello_that_is_not_accepted_ends_the_handshake(void **state)
{
	for (int accepts = 0; accepts < 2; accepts++) {
		struct judge judge = {.accepts = accepts};
		struct pair pair;
		struct attempt server = {.stream = &pair.server, .wait_ms = 10000};
		struct attempt client = {.stream = &pair.client, .wait_ms = 10000};

		(void)state;
		open_pair(&pair, OVER_UNIX, false);
		assert_int_equal(
			stream_start_tls(&pair.server, tls_context_ssl(server_tls), true, NULL),
			0);
		assert_int_equal(stream_start_tls(&pair.client, tls_context_ssl(client_tls),
						  false, NULL),
				 0);
		assert_int_equal(tls_hello_watch(pair.server.ssl, judge_hello, &judge), 0);
		start_fiber(shake_alone, &server);
		start_fiber(shake_alone, &client);
		run_fibers();
		assert_int_equal(judge.asked, 1);
		assert_int_equal(server.result, accepts ? IO_OK : IO_FAILED);
		assert_int_equal(client.result, accepts ? IO_OK : IO_FAILED);
		if (!accepts)
			assert_string_equal(pair.client.tls_error, "tlsv1 alert access denied");
		close_pair(&pair);
	}
}

static void test_watching_a_hello_survives_a_failed_allocation(void **state)
{
	struct judge judge = {.accepts = true};
	struct pair pair;
	int result;

	(void)state;
	open_pair(&pair, OVER_UNIX, false);
	assert_int_equal(
		stream_start_tls(&pair.server, tls_context_ssl(server_tls), true, NULL), 0);
	mem_fail_at(1);
	result = tls_hello_watch(pair.server.ssl, judge_hello, &judge);
	assert_int_equal(result, mem_fail_happened() ? -1 : 0);
	mem_fail_at(0);
	close_pair(&pair);
}

/* --- the peer ends --- */

static enum io_result read_after(struct pair *pair)
{
	struct attempt a = {.stream = &pair->server, .wait_ms = 10000};

	start_fiber(try_reading, &a);
	run_fibers();
	return a.result;
}

static void test_orderly_and_torn_ends_differ(void **state)
{
	struct pair pair;

	(void)state;
	open_pair(&pair, OVER_TCP, false);
	stream_close(&pair.client);
	assert_int_equal(read_after(&pair), IO_EOF);
	assert_true(stream_peer_gone(&pair.server));
	close_pair(&pair);

	open_pair(&pair, OVER_TCP, true);
	stream_shutdown(&pair.client);
	assert_int_equal(read_after(&pair), IO_EOF);
	close_pair(&pair);

	open_pair(&pair, OVER_TCP, true);
	stream_close(&pair.client); /* no close_notify: truncation cannot be excluded */
	assert_int_equal(read_after(&pair), IO_CLOSED);
	close_pair(&pair);
}

static void test_reset_is_seen(void **state)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct pair pair;

	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct attempt a = {.stream = &pair.server, .wait_ms = 10000};

		open_pair(&pair, OVER_TCP, tls);
		setsockopt(pair.client.watch.fd, SOL_SOCKET, SO_LINGER, &linger,
			   sizeof(linger));
		stream_close(&pair.client);
		assert_int_equal(read_after(&pair), IO_CLOSED);
		start_fiber(fill_up, &a);
		run_fibers();
		assert_int_equal(a.result, IO_CLOSED);
		close_pair(&pair);
	}
}

/* --- what is readable --- */

static void settle(void)
{
	for (int i = 0; i < 3; i++)
		loop_step(loop_current(), 0);
}

static void test_part_of_a_record_is_not_readable(void **state)
{
	static const char zeros[16384];
	struct pair pair;
	size_t put, got, sum = 0;
	char block[16384];

	(void)state;
	open_pair(&pair, OVER_UNIX, true);
	settle();
	/* The ticketless handshake leaves nothing to read. */
	assert_int_equal(stream_try_read(&pair.server, block, sizeof(block), &got), IO_AGAIN);
	assert_false(stream_maybe_readable(&pair.server));
	/* One record, of which the socket takes only a part. */
	assert_int_equal(stream_try_write(&pair.client, zeros, sizeof(zeros), &put), IO_AGAIN);
	settle();
	assert_true(stream_maybe_readable(&pair.server));
	assert_int_equal(stream_try_read(&pair.server, block, sizeof(block), &got), IO_AGAIN);
	assert_false(stream_maybe_readable(&pair.server));
	while (stream_try_write(&pair.client, zeros, sizeof(zeros), &put) == IO_AGAIN) {
		settle();
		assert_int_not_equal(stream_try_read(&pair.server, block, 100, &got),
				     IO_FAILED);
		sum += got;
	}
	/* The rest of the record has been decrypted and waits. */
	settle();
	while (sum < sizeof(zeros)) {
		assert_true(stream_maybe_readable(&pair.server));
		assert_int_equal(stream_try_read(&pair.server, block, 1000, &got), IO_OK);
		sum += got;
	}
	assert_int_equal(sum, sizeof(zeros));
	assert_int_equal(stream_try_read(&pair.server, block, 1000, &got), IO_AGAIN);
	assert_false(stream_maybe_readable(&pair.server));
	close_pair(&pair);
}

/* --- records --- */

struct message {
	struct stream *stream;
	enum io_result result;
};

static void write_message(void *arg)
{
	struct message *message = arg;
	char head[] = "head ", body[] = "body ", tail[] = "tail";
	struct iovec iov[] = {{head, 5}, {NULL, 0}, {body, 5}, {tail, 4}};

	message->result = stream_writev(message->stream, iov, 4, loop_deadline_ms(5000));
}

static void test_parts_of_a_message_share_a_record(void **state)
{
	struct pair pair;
	struct message message;
	char block[64];
	size_t got;

	(void)state;
	open_pair(&pair, OVER_UNIX, true);
	message.stream = &pair.client;
	start_fiber(write_message, &message);
	run_fibers();
	assert_int_equal(message.result, IO_OK);
	settle();
	/* A read never joins two records. */
	assert_int_equal(stream_try_read(&pair.server, block, sizeof(block), &got), IO_OK);
	assert_int_equal(got, 14);
	assert_memory_equal(block, "head body tail", 14);
	close_pair(&pair);
}

/* --- connecting --- */

struct connection_attempt {
	struct net_address address;
	enum io_result result;
	struct err err;
};

static void connect_once(void *arg)
{
	struct connection_attempt *c = arg;
	struct stream stream;

	c->result = stream_connect(&stream, net_address_sockaddr(&c->address), c->address.len,
				   NULL, loop_deadline_ms(5000), &c->err);
	if (c->result == IO_OK)
		stream_close(&stream);
	else
		assert_false(stream_is_open(&stream));
}

static void connects_at(const char *text)
{
	struct connection_attempt c;
	int fd;

	assert_int_equal(net_address_parse(&c.address, span_cstr(text), NULL), 0);
	fd = listener_open(&c.address, &(struct listener_options){.backlog = 10}, NULL);
	assert_true(fd >= 0);
	if (c.address.storage.ss_family != AF_UNIX)
		assert_int_equal(listener_address(fd, &c.address, NULL), 0);
	start_fiber(connect_once, &c);
	run_fibers();
	assert_int_equal(c.result, IO_OK);
	close(fd);
	start_fiber(connect_once, &c);
	run_fibers();
	assert_int_equal(c.result, IO_FAILED);
	assert_non_null(strstr(c.err.message, "refused"));
}

static void test_connect_succeeds_or_says_why(void **state)
{
	char path[64];

	(void)state;
	connects_at("127.0.0.1:0");
	snprintf(path, sizeof(path), "unix:/tmp/sallyport-stream-%d", (int)getpid());
	connects_at(path);
	unlink(path + 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_setup, loop_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_plain_transfers_both_ways),
		TEST(test_tls_transfers_both_ways),
		TEST(test_key_updates_in_the_middle_of_transfers),
		TEST(test_deadline_cancel_and_close_end_waits),
		TEST(test_handshake_ends_by_deadline_and_by_close),
		TEST(test_handshake_with_nonsense_fails),
		TEST(test_a_hello_that_is_not_accepted_ends_the_handshake),
		TEST(test_watching_a_hello_survives_a_failed_allocation),
		TEST(test_orderly_and_torn_ends_differ),
		TEST(test_reset_is_seen),
		TEST(test_part_of_a_record_is_not_readable),
		TEST(test_parts_of_a_message_share_a_record),
		TEST(test_connect_succeeds_or_says_why),
	};

	return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
