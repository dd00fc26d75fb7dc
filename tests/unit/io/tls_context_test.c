/* Making contexts: what is wrong with files, and failing allocations. */
#include "support.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/tls.h"

static struct test_certificate ca, first, second, client;
static char folder[] = "/tmp/sallyport-tls-XXXXXX";

static int make_all(void **state)
{
	(void)state;
	make_certificate(&ca, TEST_KEY_EC, "Test CA", NULL, NULL);
	make_certificate(&first, TEST_KEY_EC, "first", "DNS:first.test", &ca);
	make_certificate(&second, TEST_KEY_EC, "second", "DNS:second.test", &ca);
	make_certificate(&client, TEST_KEY_EC, "client", NULL, &ca);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	free_certificate(&ca);
	free_certificate(&first);
	free_certificate(&second);
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

static void write_file(char path[64], const char *name, const void *bytes, size_t len)
{
	int fd;

	snprintf(path, 64, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void expect_server_error(const struct tls_certificate *certificate, const char *path,
				const char *words)
{
	struct err err = {.message = ""};
	struct tls_context *context =
		tls_server_context_new(&(struct tls_server_options){.certificates = certificate,
								    .certificate_count = 1},
				       &err);

	assert_null(context);
	if (!strstr(err.message, path) || !strstr(err.message, words))
		print_error("message: %s\n", err.message);
	assert_non_null(strstr(err.message, path));
	assert_non_null(strstr(err.message, words));
}

static void test_bad_files_are_named(void **state)
{
	char cert[64], key[64], other_key[64], junk[64], locked[64];
	const struct {
		struct tls_certificate files;
		const char *path, *words;
	} cases[] = {
		{{.chain = {.path = cert}, .key = {.path = other_key}}, other_key, cert},
		{{.chain = {.path = "/nonexistent/c.pem"}, .key = {.path = key}},
		 "/nonexistent/c.pem",
		 "No such file"},
		{{.chain = {.path = junk}, .key = {.path = key}}, junk, "no certificate"},
		{{.chain = {.path = cert}, .key = {.path = junk}}, junk, "no private key"},
		{{.chain = {.path = cert}, .key = {.path = locked}}, locked, "password"},
		{{.chain = {.path = cert}, .key = {.path = key}, .ocsp_path = junk},
		 junk,
		 "OCSP"},
		{{.chain = {.path = cert}}, "", "needs a certificate and a key"},
	};
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file(cert, "cert.pem", first.certificate_pem, strlen(first.certificate_pem));
	write_file(key, "key.pem", first.key_pem, strlen(first.key_pem));
	write_file(other_key, "other.pem", second.key_pem, strlen(second.key_pem));
	write_file(junk, "junk.pem", "junk\n", 5);
	PEM_write_bio_PKCS8PrivateKey(bio, first.key, EVP_aes_256_cbc(), "secret", 6, NULL,
				      NULL);
	len = BIO_get_mem_data(bio, &text);
	write_file(locked, "locked.pem", text, (size_t)len);
	BIO_free(bio);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect_server_error(&cases[i].files, cases[i].path, cases[i].words);
	unlink(cert);
	unlink(key);
	unlink(other_key);
	unlink(junk);
	unlink(locked);
	rmdir(folder);
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
}

static void test_expiry_is_known(void **state)
{
	const struct tls_certificate certificate = in_memory(&first);
	struct tls_context *context = tls_server_context_new(
		&(struct tls_server_options){.certificates = &certificate,
					     .certificate_count = 1},
		NULL);
	int64_t left_s;

	(void)state;
	assert_non_null(context);
	left_s = tls_context_expires_s(context) - (int64_t)time(NULL);
	assert_true(left_s > 80000 && left_s <= 86400);
	tls_context_unref(context);
}

/* Only in builds with -Dfaults=true does anything fail here. */
static void test_failing_allocations_are_errors(void **state)
{
	static const struct span alpn[] = {SPAN_INIT("h2")};
	const struct tls_certificate certificates[] = {in_memory(&first), in_memory(&second)};
	struct tls_tickets *tickets = tls_tickets_new(0, NULL);
	const struct tls_server_options server = {
		.certificates = certificates,
		.certificate_count = 2,
		.alpn = alpn,
		.alpn_count = 1,
		.client_auth = TLS_CLIENT_AUTH_OPTIONAL,
		.client_ca = {.pem = span_cstr(ca.certificate_pem)},
		.tickets = tickets,
	};
	const struct tls_client_options client_options = {
		.ca = {.pem = span_cstr(ca.certificate_pem)},
		.certificate = in_memory(&client),
		.alpn = alpn,
		.alpn_count = 1,
	};

	(void)state;
	for (int side = 0; side < 2; side++) {
		for (unsigned long n = 1;; n++) {
			struct err err = {.code = ERR_NONE};
			struct tls_context *context;
			bool happened;

			mem_fail_at(n);
			context = side == 0 ? tls_server_context_new(&server, &err)
					    : tls_client_context_new(&client_options, &err);
			happened = mem_fail_happened();
			mem_fail_at(0);
			assert_true(happened ? !context && err.code == ERR_MEMORY
					     : context != NULL);
			tls_context_unref(context);
			if (!happened)
				break;
		}
	}
	tls_tickets_unref(tickets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files_are_named),
		cmocka_unit_test(test_expiry_is_known),
		cmocka_unit_test(test_failing_allocations_are_errors),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
