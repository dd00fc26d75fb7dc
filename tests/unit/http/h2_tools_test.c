/* Against other implementations: h2load and nghttp as clients, nghttpd as a server. */
#include "h2_support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/net_address.h"
#include "io/tls.h"

static struct test_certificate certificate;
static struct tls_context *server_tls, *client_tls;
static struct world world;
static char directory[] = "/tmp/h2-tools-XXXXXX";

static void handler(struct http_exchange *x)
{
	const struct http_field fields[] = {{SPAN("server"), SPAN("test"), HTTP_FIELD_SERVER}};
	static const char page[600];
	struct http_response response = {.status = 200,
					 .fields = fields,
					 .field_count = 1,
					 .content_length = sizeof(page)};
	struct span piece;

	while (http_read_body(x, &piece, soon_enough()) == IO_OK)
		;
	if (!x->body_ended)
		response.status = 400;
	http_respond(x, &response, span_of(page, sizeof(page)), soon_enough());
}

static void on_accept(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
	(void)listener;
	http_server_accept(&world.server, fd, peer, tls_context_ssl(server_tls), 0, NULL, 0);
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static int make_files(void **state)
{
	static const struct span alpn[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
	static char big[100000];
	struct tls_certificate own;

	(void)state;
	make_certificate(&certificate, TEST_KEY_EC, "localhost", "DNS:localhost", NULL);
	own = (struct tls_certificate){
		.chain = {.pem = span_cstr(certificate.certificate_pem)},
		.key = {.pem = span_cstr(certificate.key_pem)},
	};
	server_tls = tls_server_context_new(&(struct tls_server_options){.certificates = &own,
									 .certificate_count = 1,
									 .alpn = alpn,
									 .alpn_count = 2},
					    NULL);
	client_tls = tls_client_context_new(
		&(struct tls_client_options){.ca = own.chain, .alpn = alpn, .alpn_count = 2},
		NULL);
	if (!server_tls || !client_tls || !mkdtemp(directory))
		return -1;
	memset(big, 'x', sizeof(big));
	write_file("big", big, sizeof(big));
	write_file("cert.pem", certificate.certificate_pem,
		   strlen(certificate.certificate_pem));
	write_file("key.pem", certificate.key_pem, strlen(certificate.key_pem));
	return 0;
}

static int remove_files(void **state)
{
	static const char *const names[] = {"big", "cert.pem", "key.pem"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
	tls_context_unref(server_tls);
	tls_context_unref(client_tls);
	free_certificate(&certificate);
	return 0;
}

static int setup(void **state)
{
	if (loop_setup(state) < 0)
		return -1;
	world_open(&world, handler);
	return 0;
}

static int teardown(void **state)
{
	world_close(&world);
	return h2_teardown(state);
}

/* The output goes to *out; -1: the tool is not installed. */
static pid_t spawn(const char *const *arguments, int *out)
{
	posix_spawn_file_actions_t actions;
	char *const environment[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
				     NULL};
	int pipes[2], error;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 2);
	error = posix_spawnp(&pid, arguments[0], &actions, NULL,
			     (char *const *)(uintptr_t)arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	if (error) {
		assert_int_equal(error, ENOENT);
		close(pipes[0]);
		return -1;
	}
	assert_int_equal(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
	*out = pipes[0];
	return pid;
}

/* Runs a client to its end while the loop serves it; what it prints is left in `output`. */
static void run_client(const char *const *arguments, struct buf *output)
{
	int64_t until_ms = clock_ms() + 30000;
	int fd = -1, status = 0;
	pid_t pid = spawn(arguments, &fd);
	bool ended = false;

	if (pid < 0)
		skip();
	while (!ended) {
		char bytes[4096];
		ssize_t n;

		loop_step(loop_current(), 5);
		ended = waitpid(pid, &status, WNOHANG) == pid;
		while ((n = read(fd, bytes, sizeof(bytes))) > 0)
			assert_int_equal(buf_append_bytes(output, bytes, (size_t)n), 0);
		if (clock_ms() > until_ms)
			kill(pid, SIGKILL);
	}
	close(fd);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("%s: %s", arguments[0], buf_cstr(output));
}

static const char *url(bool tls)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s://127.0.0.1:%u/a", tls ? "https" : "http",
		 net_address_port(&world.address));
	return text;
}

static void expect_in(struct buf *output, const char *text)
{
	if (span_find(buf_span(output), span_cstr(text)) == output->len)
		fail_msg("not in the output: %s\n%s", text, buf_cstr(output));
}

static void serves_h2load(void **state)
{
	char data[128];

	(void)state;
	snprintf(data, sizeof(data), "%s/big", directory);
	for (int round = 0; round < 4; round++) {
		bool tls = round & 1, body = round & 2;
		const char *const arguments[] = {
			"h2load", "-n",	    body ? "60" : "2000", "-c", "4",  "-m",
			"32",	  url(tls), body ? "-d" : NULL,	  data, NULL,
		};
		struct buf output;

		world.listener.on_accept = tls ? on_accept : world.listener.on_accept;
		buf_init(&output, (size_t)1 << 20);
		run_client(arguments, &output);
		expect_in(&output,
			  body ? "60 succeeded, 0 failed" : "2000 succeeded, 0 failed");
		expect_in(&output, body ? "60 2xx" : "2000 2xx");
		buf_release(&output);
		if (tls) {
			world_close(&world);
			world_open(&world, handler);
		}
	}
}

static void serves_nghttp(void **state)
{
	char data[128];
	const char *const arguments[] = {
		"nghttp", "-v", "-d", data, "--trailer=checksum: 1", "-m3", url(false), NULL,
	};
	struct buf output;

	(void)state;
	snprintf(data, sizeof(data), "%s/big", directory);
	buf_init(&output, (size_t)1 << 20);
	run_client(arguments, &output);
	expect_in(&output, ":status: 200");
	expect_in(&output, "server: test");
	assert_true(span_find(buf_span(&output), SPAN(":status: 400")) == output.len);
	buf_release(&output);
}

/* --- nghttpd --- */

static struct http_pool *pool;
static unsigned fetched;

static uint64_t read_all(struct http_call *call)
{
	struct span piece;
	uint64_t len = 0;
	enum io_result result;

	while ((result = http_call_read_body(call, &piece, soon_enough())) == IO_OK)
		len += piece.len;
	assert_int_equal(result, IO_EOF);
	return len;
}

static void fetch(void *arg)
{
	const char *path = arg;
	struct http_request_head head = {
		.method = SPAN("GET"),
		.scheme = SPAN("https"),
		.authority = SPAN("localhost"),
		.path = span_cstr(path),
		.no_body = true,
	};
	struct http_call *call = open_call(pool);

	assert_int_equal(call->version, 20);
	assert_int_equal(http_call_send_head(call, &head, HTTP_SEND_END, soon_enough()), IO_OK);
	assert_int_equal(http_call_read_head(call, soon_enough()), IO_OK);
	if (span_eq(head.path, SPAN("/big"))) {
		assert_int_equal(call->response.status, 200);
		assert_int_equal(read_all(call), 100000);
		assert_int_equal(call->trailer_count, 1);
	} else {
		assert_int_equal(call->response.status, 404);
		assert_true(read_all(call) > 0);
	}
	http_call_release(call);
	fetched++;
}

/* nghttpd echoes what it is sent. */
static void echo(void *arg)
{
	struct http_request_head head = {
		.method = SPAN("POST"),
		.scheme = SPAN("https"),
		.authority = SPAN("localhost"),
		.path = SPAN("/echo"),
		.content_length = 200000,
	};
	struct http_call *call = open_call(pool);
	static const char bytes[20000];

	(void)arg;
	assert_int_equal(http_call_send_head(call, &head, 0, soon_enough()), IO_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(http_call_send_body(call, span_of(bytes, sizeof(bytes)),
						     i == 9 ? HTTP_SEND_END : 0, soon_enough()),
				 IO_OK);
	assert_int_equal(http_call_read_head(call, soon_enough()), IO_OK);
	assert_int_equal(call->response.status, 200);
	assert_int_equal(read_all(call), 200000);
	http_call_release(call);
	fetched++;
}

/* A port that was free a moment ago. */
static unsigned free_port(void)
{
	unsigned port = net_address_port(&world.address);

	listener_close(&world.listener);
	return port;
}

static void wait_for_port(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int64_t until_ms = clock_ms() + 10000;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		assert_true(clock_ms() < until_ms);
		close(fd);
		usleep(20000);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	close(fd);
}

static void calls_nghttpd(void **state)
{
	char port_text[16], key[128], cert[128], root[160];
	const char *const arguments[] = {
		"nghttpd", "-m", "10", "-w16", "--trailer=checksum: 1", "--echo-upload", root,
		port_text, key,	 cert, NULL,
	};
	unsigned port = free_port();
	struct http_pool_options options = {
		.address = world.address,
		.address_len = world.address_len,
		.protocol = HTTP_PROTOCOL_H2,
		.tls = tls_context_ssl(client_tls),
		.server_name = "localhost",
		.idle_timeout_ms = 60000,
		.head = http_limits_default().head,
	};
	int fd = -1;
	pid_t pid;

	(void)state;
	snprintf(port_text, sizeof(port_text), "%u", port);
	snprintf(key, sizeof(key), "%s/key.pem", directory);
	snprintf(cert, sizeof(cert), "%s/cert.pem", directory);
	snprintf(root, sizeof(root), "-d%s", directory);
	pid = spawn(arguments, &fd);
	if (pid < 0)
		skip();
	wait_for_port(port);
	fetched = 0;
	pool = http_pool_new(&options, NULL);
	assert_non_null(pool);
	for (int i = 0; i < 30; i++)
		start_fiber(fetch, (void *)(uintptr_t)(i % 3 ? "/big" : "/none"));
	for (int i = 0; i < 5; i++)
		start_fiber(echo, NULL);
	run_fibers();
	assert_int_equal(fetched, 35);
	http_pool_close(pool);
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(serves_h2load),
		TEST(serves_nghttp),
		TEST(calls_nghttpd),
	};
#undef TEST

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
