#include "support.h"

#include <fcntl.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "base/arena.h"
#include "io/stream.h"
#include "io/tls.h"

static struct test_certificate ca, other_ca, first, second, second_rsa, client;

static int make_all(void **state)
{
	(void)state;
	make_certificate(&ca, TEST_KEY_EC, "Test CA", NULL, NULL);
	make_certificate(&other_ca, TEST_KEY_EC, "Other CA", NULL, NULL);
	make_certificate(&first, TEST_KEY_EC, "first", "DNS:First.test,IP:127.0.0.1", &ca);
	make_certificate(&second, TEST_KEY_EC, "second", "DNS:second.test,DNS:*.wild.test",
			 &ca);
	make_certificate(&second_rsa, TEST_KEY_RSA, "second-rsa",
			 "DNS:second.test,DNS:*.wild.test", &ca);
	make_certificate(&client, TEST_KEY_EC, "orders, \"x\"",
			 "URI:spiffe://example.test/orders,DNS:Orders.test", &ca);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	free_certificate(&ca);
	free_certificate(&other_ca);
	free_certificate(&first);
	free_certificate(&second);
	free_certificate(&second_rsa);
	free_certificate(&client);
	return 0;
}

static struct tls_certificate in_memory(const struct test_certificate *from)
{
	return (struct tls_certificate){
		.chain = {.pem = span_cstr(from->certificate_pem)},
		.key = {.pem = span_cstr(from->key_pem)},
	};
}

static struct tls_context *new_server(const struct tls_server_options *options)
{
	struct err err = {.message = ""};
	struct tls_context *context = tls_server_context_new(options, &err);

	if (!context)
		print_error("%s\n", err.message);
	assert_non_null(context);
	return context;
}

static struct tls_context *new_client(const struct tls_client_options *options)
{
	struct err err = {.message = ""};
	struct tls_context *context = tls_client_context_new(options, &err);

	if (!context)
		print_error("%s\n", err.message);
	assert_non_null(context);
	return context;
}

/* One connection, both ends in this thread; what was seen stays here. */
struct meeting {
	struct tls_context *server;
	struct tls_context *client;
	struct span host;
	struct tls_session_slot *slot;
	int max_version;
	char *sigalgs;
	int fds[2];
	enum io_result server_result, client_result;
	struct err server_err, client_err;
	char server_common_name[64];
	char alpn[16];
	bool resumed;
	bool stapled;
	enum tls_peer peer;
	struct tls_identity identity;
	struct arena arena;
};

static void serve(void *arg)
{
	struct meeting *m = arg;
	struct stream stream;
	char block[64];
	size_t got;

	assert_int_equal(stream_init(&stream, m->fds[0], NULL, NULL), 0);
	assert_int_equal(stream_start_tls(&stream, tls_context_ssl(m->server), true, NULL), 0);
	m->server_result = stream_handshake(&stream, loop_deadline_ms(5000), &m->server_err);
	if (m->server_result == IO_OK) {
		m->peer = tls_peer_identity(stream.ssl, &m->identity, &m->arena);
		stream_write(&stream, "hello", 5, loop_deadline_ms(5000));
		assert_int_equal(stream_read(&stream, block, sizeof(block), &got,
					     loop_deadline_ms(5000)),
				 IO_EOF);
	}
	stream_close(&stream);
}

static void note_server(struct meeting *m, SSL *ssl)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	struct span alpn;
	const unsigned char *name;
	unsigned len;

	assert_non_null(certificate);
	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
				  m->server_common_name, sizeof(m->server_common_name));
	SSL_get0_alpn_selected(ssl, &name, &len);
	alpn = span_of(name, len);
	snprintf(m->alpn, sizeof(m->alpn), "%.*s", SPAN_ARG(alpn));
	m->resumed = tls_resumed(ssl);
	m->stapled = SSL_get_tlsext_status_ocsp_resp(ssl, &name) > 0;
}

static void call(void *arg)
{
	struct meeting *m = arg;
	struct stream stream;
	char block[64];
	size_t got;

	assert_int_equal(stream_init(&stream, m->fds[1], NULL, NULL), 0);
	assert_int_equal(stream_start_tls(&stream, tls_context_ssl(m->client), false, NULL), 0);
	if (m->host.len)
		assert_int_equal(tls_client_setup(stream.ssl, m->host, NULL), 0);
	if (m->slot)
		assert_int_equal(tls_client_resume(stream.ssl, m->slot), 0);
	if (m->max_version)
		SSL_set_max_proto_version(stream.ssl, m->max_version);
	if (m->sigalgs)
		assert_int_equal(SSL_set1_sigalgs_list(stream.ssl, m->sigalgs), 1);
	SSL_set_tlsext_status_type(stream.ssl, TLSEXT_STATUSTYPE_ocsp);
	m->client_result = stream_handshake(&stream, loop_deadline_ms(5000), &m->client_err);
	if (m->client_result == IO_OK) {
		note_server(m, stream.ssl);
		/* In TLS 1.3 a refusal by the server comes only now. */
		m->client_result = stream_read(&stream, block, sizeof(block), &got,
					       loop_deadline_ms(5000));
		stream_shutdown(&stream);
	}
	stream_close(&stream);
}

static void meet(struct meeting *m)
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, m->fds), 0);
	m->server_err.message[0] = m->client_err.message[0] = '\0';
	arena_init(&m->arena, 65536, 4096);
	start_fiber(serve, m);
	start_fiber(call, m);
	run_fibers();
}

static void part(struct meeting *m)
{
	arena_release(&m->arena);
}

static struct tls_context *two_certificates(struct tls_tickets *tickets)
{
	static const struct span alpn[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
	const struct tls_certificate certificates[] = {in_memory(&first), in_memory(&second),
						       in_memory(&second_rsa)};

	return new_server(&(struct tls_server_options){
		.certificates = certificates,
		.certificate_count = 3,
		.alpn = alpn,
		.alpn_count = 2,
		.tickets = tickets,
	});
}

static struct tls_context *trusting_client(void)
{
	return new_client(
		&(struct tls_client_options){.ca = {.pem = span_cstr(ca.certificate_pem)}});
}

static void expect_certificate(struct meeting *m, const char *host, const char *common_name)
{
	m->host = span_cstr(host);
	meet(m);
	if (m->client_result != IO_OK)
		print_error("%s: %s\n", host, m->client_err.message);
	assert_int_equal(m->client_result, IO_OK);
	assert_int_equal(m->server_result, IO_OK);
	assert_string_equal(m->server_common_name, common_name);
	part(m);
}

static void test_server_name_chooses_the_certificate(void **state)
{
	struct meeting m = {.server = two_certificates(NULL), .client = trusting_client()};

	(void)state;
	expect_certificate(&m, "first.test", "first");
	expect_certificate(&m, "second.test", "second");
	expect_certificate(&m, "SECOND.test", "second");
	expect_certificate(&m, "a.wild.test", "second");
	expect_certificate(&m, "127.0.0.1", "first");
	tls_context_unref(m.server);
	tls_context_unref(m.client);
}

static void test_key_type_follows_the_client(void **state)
{
	struct meeting m = {.server = two_certificates(NULL), .client = trusting_client()};

	(void)state;
	m.sigalgs = "RSA-PSS+SHA256";
	expect_certificate(&m, "second.test", "second-rsa");
	m.sigalgs = "RSA-PSS+SHA256:ECDSA+SHA256";
	expect_certificate(&m, "second.test", "second");
	tls_context_unref(m.server);
	tls_context_unref(m.client);
}

static void test_wrong_host_is_refused(void **state)
{
	static const char *const hosts[] = {"b.a.wild.test", "wild.test", "unknown.test",
					    "127.0.0.2", "first"};
	struct meeting m = {.server = two_certificates(NULL), .client = trusting_client()};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(hosts); i++) {
		m.host = span_cstr(hosts[i]);
		meet(&m);
		assert_int_equal(m.client_result, IO_FAILED);
		assert_non_null(strstr(m.client_err.message, "mismatch"));
		assert_int_not_equal(m.server_result, IO_OK);
		part(&m);
	}
	tls_context_unref(m.server);
	tls_context_unref(m.client);
}

static void test_unknown_ca_is_refused_unless_insecure(void **state)
{
	struct meeting m = {.server = two_certificates(NULL), .host = SPAN("first.test")};

	(void)state;
	m.client = new_client(&(struct tls_client_options){
		.ca = {.pem = span_cstr(other_ca.certificate_pem)}});
	meet(&m);
	assert_int_equal(m.client_result, IO_FAILED);
	assert_non_null(strstr(m.client_err.message, "certificate"));
	part(&m);
	tls_context_unref(m.client);
	m.client = new_client(&(struct tls_client_options){.insecure = true});
	expect_certificate(&m, "any.test", "first");
	tls_context_unref(m.client);
	/* The system's store does not hold our CA. */
	m.client = new_client(&(struct tls_client_options){.insecure = false});
	m.host = SPAN("first.test");
	meet(&m);
	assert_int_equal(m.client_result, IO_FAILED);
	part(&m);
	tls_context_unref(m.client);
	tls_context_unref(m.server);
}

static struct tls_context *client_with_alpn(struct span a, struct span b)
{
	const struct span alpn[] = {a, b};

	return new_client(&(struct tls_client_options){
		.insecure = true, .alpn = alpn, .alpn_count = b.len ? 2 : 1});
}

static void test_alpn_follows_the_server(void **state)
{
	struct meeting m = {.server = two_certificates(NULL)};

	(void)state;
	m.client = client_with_alpn(SPAN("http/1.1"), SPAN("h2"));
	expect_certificate(&m, "second.test", "second");
	assert_string_equal(m.alpn, "h2");
	tls_context_unref(m.client);
	m.client = client_with_alpn(SPAN("http/1.1"), SPAN_NONE);
	expect_certificate(&m, "first.test", "first");
	assert_string_equal(m.alpn, "http/1.1");
	tls_context_unref(m.client);
	m.client = client_with_alpn(SPAN("spdy/1"), SPAN_NONE);
	meet(&m);
	assert_int_equal(m.client_result, IO_FAILED);
	part(&m);
	tls_context_unref(m.client);
	tls_context_unref(m.server);
}

static void test_minimum_version_is_kept(void **state)
{
	const struct tls_certificate certificate = in_memory(&first);
	struct meeting m = {.client = trusting_client(), .host = SPAN("first.test")};

	(void)state;
	m.server = new_server(&(struct tls_server_options){.certificates = &certificate,
							   .certificate_count = 1,
							   .min_version = TLS_VERSION_1_3});
	m.max_version = TLS1_2_VERSION;
	meet(&m);
	assert_int_equal(m.client_result, IO_FAILED);
	part(&m);
	m.max_version = 0;
	expect_certificate(&m, "first.test", "first");
	tls_context_unref(m.server);
	tls_context_unref(m.client);
}

static void resumes_with(int max_version)
{
	struct tls_tickets *tickets = tls_tickets_new(0, NULL);
	struct meeting m = {.server = two_certificates(tickets),
			    .client = trusting_client(),
			    .slot = tls_session_slot_new(),
			    .max_version = max_version};

	expect_certificate(&m, "second.test", "second");
	assert_false(m.resumed);
	expect_certificate(&m, "second.test", "second");
	assert_true(m.resumed);
	/* A session of another host is not offered. */
	expect_certificate(&m, "first.test", "first");
	assert_false(m.resumed);
	expect_certificate(&m, "first.test", "first");
	assert_true(m.resumed);
	/* A reload with the same keys keeps sessions. */
	tls_context_unref(m.server);
	m.server = two_certificates(tickets);
	expect_certificate(&m, "first.test", "first");
	assert_true(m.resumed);
	/* Another client context has its own policy. */
	tls_context_unref(m.client);
	m.client = trusting_client();
	expect_certificate(&m, "first.test", "first");
	assert_false(m.resumed);
	tls_context_unref(m.client);
	tls_context_unref(m.server);
	tls_tickets_unref(tickets);
	tls_session_slot_unref(m.slot);
}

static void test_sessions_resume(void **state)
{
	(void)state;
	resumes_with(TLS1_2_VERSION);
	resumes_with(TLS1_3_VERSION);
}

static void test_ticket_keys_move_to_the_next_process(void **state)
{
	struct tls_tickets *old = tls_tickets_new(0, NULL);
	struct tls_tickets *new = tls_tickets_new(0, NULL);
	struct meeting m = {.client = trusting_client(), .slot = tls_session_slot_new()};
	struct secret keys = SECRET_NONE;
	struct err err;

	(void)state;
	m.server = two_certificates(old);
	expect_certificate(&m, "first.test", "first");
	tls_context_unref(m.server);
	m.server = two_certificates(new);
	expect_certificate(&m, "first.test", "first");
	assert_false(m.resumed);
	assert_int_equal(tls_tickets_export(new, &keys), 0);
	assert_int_equal(tls_tickets_import(old, secret_span(&keys), &err), 0);
	tls_context_unref(m.server);
	m.server = two_certificates(old);
	expect_certificate(&m, "first.test", "first");
	assert_true(m.resumed);
	keys.ptr[0] ^= 1;
	assert_int_equal(tls_tickets_import(old, secret_span(&keys), &err), -1);
	assert_int_equal(err.code, ERR_SYNTAX);
	assert_int_equal(tls_tickets_import(old, SPAN("short"), &err), -1);
	secret_release(&keys);
	tls_context_unref(m.server);
	tls_context_unref(m.client);
	tls_tickets_unref(old);
	tls_tickets_unref(new);
	tls_session_slot_unref(m.slot);
}

static void test_rotated_keys_still_decrypt(void **state)
{
	struct tls_tickets *tickets = tls_tickets_new(1, NULL);
	struct meeting m = {.server = two_certificates(tickets),
			    .client = trusting_client(),
			    .slot = tls_session_slot_new()};

	(void)state;
	expect_certificate(&m, "first.test", "first");
	usleep(1100000);
	expect_certificate(&m, "first.test", "first");
	assert_true(m.resumed);
	expect_certificate(&m, "first.test", "first");
	assert_true(m.resumed);
	tls_context_unref(m.server);
	tls_context_unref(m.client);
	tls_tickets_unref(tickets);
	tls_session_slot_unref(m.slot);
}

static struct tls_context *new_mutual_server(enum tls_client_auth auth,
					     struct tls_tickets *tickets)
{
	const struct tls_certificate certificate = in_memory(&first);

	return new_server(&(struct tls_server_options){
		.certificates = &certificate,
		.certificate_count = 1,
		.client_auth = auth,
		.client_ca = {.pem = span_cstr(ca.certificate_pem)},
		.tickets = tickets,
	});
}

static struct tls_context *client_with_certificate(const struct test_certificate *own)
{
	return new_client(&(struct tls_client_options){
		.ca = {.pem = span_cstr(ca.certificate_pem)}, .certificate = in_memory(own)});
}

static void check_identity(const struct tls_identity *identity)
{
	static const unsigned char none[32];

	assert_true(span_eq(identity->subject, SPAN("CN=orders\\, \\\"x\\\",O=Example")));
	assert_true(span_eq(identity->issuer, SPAN("CN=Test CA,O=Example")));
	assert_int_equal(identity->uri_count, 1);
	assert_true(span_eq(identity->uris[0], SPAN("spiffe://example.test/orders")));
	assert_int_equal(identity->dns_name_count, 1);
	assert_true(span_eq(identity->dns_names[0], SPAN("orders.test")));
	assert_true(identity->serial.len > 0);
	assert_memory_not_equal(identity->thumbprint, none, sizeof(none));
	assert_true(identity->not_after_s > 0);
}

static void test_client_certificate_gives_an_identity(void **state)
{
	struct tls_tickets *tickets = tls_tickets_new(0, NULL);
	struct meeting m = {.server = new_mutual_server(TLS_CLIENT_AUTH_REQUIRED, tickets),
			    .client = client_with_certificate(&client),
			    .host = SPAN("first.test"),
			    .slot = tls_session_slot_new()};

	(void)state;
	for (int i = 0; i < 2; i++) {
		meet(&m);
		assert_int_equal(m.client_result, IO_OK);
		assert_int_equal(m.resumed, i == 1);
		assert_int_equal(m.peer, TLS_PEER_VERIFIED);
		check_identity(&m.identity);
		part(&m);
	}
	tls_context_unref(m.server);
	tls_context_unref(m.client);
	tls_tickets_unref(tickets);
	tls_session_slot_unref(m.slot);
}

static void test_client_authentication_modes(void **state)
{
	struct test_certificate stranger;
	struct meeting m = {.host = SPAN("first.test")};

	(void)state;
	make_certificate(&stranger, TEST_KEY_EC, "stranger", NULL, &other_ca);
	m.client = trusting_client();
	m.server = new_mutual_server(TLS_CLIENT_AUTH_REQUIRED, NULL);
	meet(&m);
	assert_int_equal(m.server_result, IO_FAILED);
	assert_int_not_equal(m.client_result, IO_OK);
	part(&m);
	tls_context_unref(m.server);

	m.server = new_mutual_server(TLS_CLIENT_AUTH_OPTIONAL, NULL);
	meet(&m);
	assert_int_equal(m.client_result, IO_OK);
	assert_int_equal(m.peer, TLS_PEER_NONE);
	part(&m);
	tls_context_unref(m.client);

	m.client = client_with_certificate(&stranger);
	meet(&m);
	assert_int_equal(m.server_result, IO_FAILED);
	part(&m);
	tls_context_unref(m.client);
	tls_context_unref(m.server);
	free_certificate(&stranger);
}

/* A session made where no certificate was asked for must not open a listener that asks. */
static void test_session_does_not_cross_client_policies(void **state)
{
	struct tls_tickets *tickets = tls_tickets_new(0, NULL);
	struct meeting m = {.client = trusting_client(),
			    .host = SPAN("first.test"),
			    .slot = tls_session_slot_new()};

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		m.max_version = version;
		m.server = new_mutual_server(TLS_CLIENT_AUTH_NONE, tickets);
		meet(&m);
		assert_int_equal(m.client_result, IO_OK);
		part(&m);
		tls_context_unref(m.server);
		m.server = new_mutual_server(TLS_CLIENT_AUTH_REQUIRED, tickets);
		meet(&m);
		assert_int_not_equal(m.client_result, IO_OK);
		assert_int_not_equal(m.server_result, IO_OK);
		part(&m);
		tls_context_unref(m.server);
	}
	tls_context_unref(m.client);
	tls_tickets_unref(tickets);
	tls_session_slot_unref(m.slot);
}

static struct tls_context *server_of(const struct test_certificate *from,
				     struct tls_tickets *tickets)
{
	const struct tls_certificate certificate = in_memory(from);

	return new_server(&(struct tls_server_options){
		.certificates = &certificate, .certificate_count = 1, .tickets = tickets});
}

/* Nor may a listener for other names be entered with it. */
static void test_session_does_not_cross_names(void **state)
{
	struct tls_tickets *tickets = tls_tickets_new(0, NULL);
	struct meeting m = {.client =
				    new_client(&(struct tls_client_options){.insecure = true}),
			    .slot = tls_session_slot_new()};

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		m.max_version = version;
		m.server = server_of(&first, tickets);
		expect_certificate(&m, "any.test", "first");
		expect_certificate(&m, "any.test", "first");
		assert_true(m.resumed);
		tls_context_unref(m.server);
		m.server = server_of(&second, tickets);
		expect_certificate(&m, "any.test", "second");
		assert_false(m.resumed);
		tls_context_unref(m.server);
	}
	tls_context_unref(m.client);
	tls_tickets_unref(tickets);
	tls_session_slot_unref(m.slot);
}

static void test_hostile_names_are_unusable(void **state)
{
	struct test_certificate odd;
	struct meeting m = {.server = new_mutual_server(TLS_CLIENT_AUTH_REQUIRED, NULL),
			    .host = SPAN("first.test")};

	(void)state;
	make_certificate(&odd, TEST_KEY_EC, "odd", "URI:spiffe://example.test/a\nb", &ca);
	m.client = client_with_certificate(&odd);
	meet(&m);
	assert_int_equal(m.peer, TLS_PEER_UNUSABLE);
	part(&m);
	tls_context_unref(m.client);
	tls_context_unref(m.server);
	free_certificate(&odd);
}

/* --- files --- */

static char folder[] = "/tmp/sallyport-tls-XXXXXX";

static void write_file(char path[64], const char *name, const void *bytes, size_t len)
{
	int fd;

	snprintf(path, 64, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/* A response that the CA signs about the first certificate. */
static size_t make_ocsp(unsigned char **der, long valid_s)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, first.certificate, ca.certificate);
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60);
	ASN1_TIME *next = X509_gmtime_adj(NULL, valid_s);
	OCSP_RESPONSE *response;
	int len;

	assert_non_null(
		OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, next));
	assert_int_equal(OCSP_basic_sign(basic, ca.certificate, ca.key, EVP_sha256(), NULL, 0),
			 1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	*der = NULL;
	len = i2d_OCSP_RESPONSE(response, der);
	assert_true(len > 0);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	return (size_t)len;
}

static void staples(long valid_s, bool expected)
{
	struct tls_certificate certificate = in_memory(&first);
	struct meeting m = {.client = trusting_client()};
	unsigned char *der;
	char path[64];
	size_t len = make_ocsp(&der, valid_s);

	write_file(path, "ocsp.der", der, len);
	OPENSSL_free(der);
	certificate.ocsp_path = path;
	m.server = new_server(&(struct tls_server_options){.certificates = &certificate,
							   .certificate_count = 1});
	expect_certificate(&m, "first.test", "first");
	assert_int_equal(m.stapled, expected);
	tls_context_unref(m.server);
	tls_context_unref(m.client);
	unlink(path);
}

static void test_ocsp_response_is_stapled_while_it_is_valid(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	staples(3600, true);
	staples(-30, false);
	rmdir(folder);
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
}

/* A reload drops the context while a connection still uses it. */
static void test_context_outlives_its_owner(void **state)
{
	struct tls_context *server = two_certificates(NULL);
	struct tls_context *caller = trusting_client();
	struct meeting m = {.server = server, .client = caller, .host = SPAN("second.test")};

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, m.fds), 0);
	arena_init(&m.arena, 65536, 4096);
	start_fiber(serve, &m);
	start_fiber(call, &m);
	loop_step(loop_current(), 0);
	tls_context_unref(server);
	tls_context_unref(caller);
	run_fibers();
	assert_int_equal(m.client_result, IO_OK);
	assert_string_equal(m.server_common_name, "second");
	part(&m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_setup, loop_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_server_name_chooses_the_certificate),
		TEST(test_key_type_follows_the_client),
		TEST(test_wrong_host_is_refused),
		TEST(test_unknown_ca_is_refused_unless_insecure),
		TEST(test_alpn_follows_the_server),
		TEST(test_minimum_version_is_kept),
		TEST(test_sessions_resume),
		TEST(test_ticket_keys_move_to_the_next_process),
		TEST(test_rotated_keys_still_decrypt),
		TEST(test_client_certificate_gives_an_identity),
		TEST(test_client_authentication_modes),
		TEST(test_session_does_not_cross_client_policies),
		TEST(test_session_does_not_cross_names),
		TEST(test_hostile_names_are_unusable),
		TEST(test_ocsp_response_is_stapled_while_it_is_valid),
		TEST(test_context_outlives_its_owner),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
