#include "support.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "parse/base64.h"

int64_t test_now_unix_s = 1700000000;

int64_t test_clock(void)
{
	return test_now_unix_s;
}

/* --- keys --- */

EVP_PKEY *token_key_new(enum token_key type)
{
	EVP_PKEY *key = NULL;

	switch (type) {
	case TOKEN_KEY_RSA: key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048); break;
	case TOKEN_KEY_EC: key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); break;
	case TOKEN_KEY_ED25519: key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); break;
	}
	assert_non_null(key);
	return key;
}

static void append_base64url(struct buf *to, struct span bytes)
{
	char text[4096];

	assert_true(base64url_encoded_size(bytes.len) <= sizeof(text));
	assert_int_equal(buf_append_bytes(to, text, base64url_encode(text, bytes)), 0);
}

static void append_number(struct buf *to, EVP_PKEY *key, const char *name, size_t size)
{
	BIGNUM *number = NULL;
	unsigned char bytes[1024];
	int len;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
	len = size ? (int)size : BN_num_bytes(number);
	assert_int_equal(BN_bn2binpad(number, bytes, len), len);
	append_base64url(to, span_of(bytes, (size_t)len));
	BN_free(number);
}

void append_jwk(struct buf *to, EVP_PKEY *key, const char *kid)
{
	unsigned char raw[32];
	size_t len = sizeof(raw);

	buf_append_cstr(to, "{\"use\":\"sig\"");
	if (*kid)
		buf_printf(to, ",\"kid\":\"%s\"", kid);
	if (EVP_PKEY_is_a(key, "RSA")) {
		buf_append_cstr(to, ",\"kty\":\"RSA\",\"n\":\"");
		append_number(to, key, OSSL_PKEY_PARAM_RSA_N, 0);
		buf_append_cstr(to, "\",\"e\":\"");
		append_number(to, key, OSSL_PKEY_PARAM_RSA_E, 0);
	} else if (EVP_PKEY_is_a(key, "EC")) {
		buf_append_cstr(to, ",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"");
		append_number(to, key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
		buf_append_cstr(to, "\",\"y\":\"");
		append_number(to, key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
	} else {
		assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
		buf_append_cstr(to, ",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
		append_base64url(to, span_of(raw, len));
	}
	buf_append_cstr(to, "\"}");
}

const char *jwks_of(struct buf *to, EVP_PKEY *key, const char *kid)
{
	buf_clear(to);
	buf_append_cstr(to, "{\"keys\":[");
	append_jwk(to, key, kid);
	buf_append_cstr(to, "]}");
	assert_non_null(buf_cstr(to));
	return buf_cstr(to);
}

const char *key_pem(struct buf *to, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &text);
	buf_clear(to);
	buf_append_bytes(to, text, (size_t)len);
	BIO_free(bio);
	return buf_cstr(to);
}

/* --- tokens --- */

/* RFC 7518 section 3.4: R and S, 32 bytes each. */
static size_t raw_ecdsa(unsigned char *to, const unsigned char *der, size_t der_len)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)der_len);

	assert_non_null(sig);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), to, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), to + 32, 32);
	ECDSA_SIG_free(sig);
	return 64;
}

static size_t sign_hmac(unsigned char *to, EVP_PKEY *key, struct span input)
{
	struct buf pem;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	unsigned len = 0;
	long text_len;

	buf_init(&pem, 16384);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	text_len = BIO_get_mem_data(bio, &text);
	assert_non_null(HMAC(EVP_sha256(), text, (int)text_len,
			     (const unsigned char *)input.ptr, input.len, to, &len));
	BIO_free(bio);
	buf_release(&pem);
	return len;
}

static size_t sign_input(unsigned char *to, EVP_PKEY *key, const char *alg, struct span input)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	const char *md = strcmp(alg, "EdDSA") == 0 ? NULL : "SHA256";
	unsigned char signature[1024];
	size_t len = sizeof(signature);

	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, md, NULL, NULL, key, NULL), 1);
	if (strcmp(alg, "PS256") == 0) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)input.ptr,
					input.len),
			 1);
	EVP_MD_CTX_free(ctx);
	if (strcmp(alg, "ES256") == 0)
		return raw_ecdsa(to, signature, len);
	memcpy(to, signature, len);
	return len;
}

const char *sign_token(struct buf *to, EVP_PKEY *key, const char *alg, const char *kid,
		       const char *header_more, const char *payload)
{
	unsigned char signature[1024];
	size_t len = 0;
	struct buf header;

	buf_init(&header, 8192);
	buf_printf(&header, "{\"alg\":\"%s\"", alg);
	if (*kid)
		buf_printf(&header, ",\"kid\":\"%s\"", kid);
	if (*header_more)
		buf_printf(&header, ",%s", header_more);
	buf_append_byte(&header, '}');
	buf_clear(to);
	append_base64url(to, buf_span(&header));
	buf_append_byte(to, '.');
	append_base64url(to, span_cstr(payload));
	if (strcmp(alg, "HS256") == 0)
		len = sign_hmac(signature, key, buf_span(to));
	else if (strcmp(alg, "none") != 0)
		len = sign_input(signature, key, alg, buf_span(to));
	buf_append_byte(to, '.');
	append_base64url(to, span_of(signature, len));
	buf_release(&header);
	assert_non_null(buf_cstr(to));
	return buf_cstr(to);
}

/* --- configurations and files --- */

struct config *config_of(const char *format, ...)
{
	struct config_problems problems = {.count = 0};
	struct config *cfg = NULL;
	struct buf text;
	struct buf said;
	va_list args;

	buf_init(&text, 65536);
	buf_init(&said, 65536);
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	assert_false(buf_failed(&text));
	if (config_load_text(buf_span(&text), "test.yaml", &config_source_system, &cfg,
			     &problems) < 0) {
		config_problems_print(&problems, &said);
		fail_msg("%s", buf_cstr(&said));
	}
	buf_release(&text);
	buf_release(&said);
	return cfg;
}

static char folder[] = "/tmp/sallyport-identity-XXXXXX";
static bool folder_made;
static struct buf files;

const char *write_file(struct buf *to, const char *name, struct span text)
{
	FILE *file;

	if (!folder_made) {
		assert_non_null(mkdtemp(folder));
		folder_made = true;
		buf_init(&files, 65536);
	}
	buf_clear(to);
	buf_printf(to, "%s/%s", folder, name);
	file = fopen(buf_cstr(to), "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
	assert_int_equal(fclose(file), 0);
	buf_printf(&files, "%s\n", buf_cstr(to));
	return buf_cstr(to);
}

void remove_files(void)
{
	struct span rest;

	if (!folder_made)
		return;
	rest = buf_span(&files);
	while (rest.ptr) {
		char *name = mem_strdup(span_cut(&rest, '\n'));

		/* The same file may have been written more than once. */
		(void)unlink(name);
		mem_free(name);
	}
	assert_int_equal(rmdir(folder), 0);
	buf_release(&files);
	folder_made = false;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
}

/* --- a server --- */

struct held {
	struct list node;
	struct fiber *fiber;
};

static void keep_text(char *to, size_t size, struct span text)
{
	size_t len = text.len < size - 1 ? text.len : size - 1;

	if (len)
		memcpy(to, text.ptr, len);
	to[len] = '\0';
}

static void read_request(struct fake_server *fake, struct http_exchange *x)
{
	struct buf body;
	struct span piece;

	buf_init(&body, 65536);
	while (http_read_body(x, &piece, loop_deadline_ms(5000)) == IO_OK)
		buf_append(&body, piece);
	keep_text(fake->last_body, sizeof(fake->last_body), buf_span(&body));
	buf_release(&body);
	keep_text(fake->last_authorization, sizeof(fake->last_authorization),
		  http1_field(&x->request, HTTP_FIELD_AUTHORIZATION));
}

static void serve(struct http_exchange *x)
{
	struct fake_server *fake = CONTAINER_OF(x->server, struct fake_server, server);
	struct http_field location = {SPAN_INIT("Location"), span_cstr(fake->location),
				      HTTP_FIELD_LOCATION};
	struct http_response response = {.fields = &location,
					 .field_count = fake->location ? 1 : 0};
	struct held held = {.fiber = fiber_self()};

	fake->requests++;
	read_request(fake, x);
	if (fake->silent || fake->hold) {
		list_push_back(&fake->held, &held.node);
		while (fake->silent || fake->hold) {
			if (fiber_park(loop_deadline_ms(15000)) != FIBER_EVENT)
				break;
		}
		list_remove(&held.node);
	}
	response.status = fake->status;
	response.content_length = (int64_t)strlen(fake->body);
	http_respond(x, &response, span_cstr(fake->body), loop_deadline_ms(5000));
}

static void on_accept(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
	struct fake_server *fake = CONTAINER_OF(listener, struct fake_server, listener);

	http_server_accept(&fake->server, fd, peer, NULL, 0, fake, 0);
}

void fake_server_start(struct fake_server *fake)
{
	const struct listener_options options = {.backlog = 64};
	struct net_address address;
	struct err err;
	int fd;

	*fake = (struct fake_server){.status = 200, .body = "{}"};
	list_init(&fake->held);
	http_server_init(&fake->server, serve);
	assert_int_equal(net_address_parse(&address, SPAN("127.0.0.1:1"), &err), 0);
	net_address_set_port(&address, 0);
	fd = listener_open(&address, &options, &err);
	assert_true(fd >= 0);
	assert_int_equal(listener_address(fd, &address, &err), 0);
	fake->port = net_address_port(&address.storage);
	assert_int_equal(listener_start(&fake->listener, fd, on_accept, &err), 0);
}

void fake_server_release_held(struct fake_server *fake)
{
	fake->hold = false;
	fake->silent = false;
	list_for_each (node, &fake->held)
		fiber_wake(list_entry(node, struct held, node)->fiber);
}

void fake_server_stop(struct fake_server *fake)
{
	fake_server_release_held(fake);
	listener_close(&fake->listener);
	http_server_close_all(&fake->server);
	for (int i = 0; i < 1000 && fake->server.connection_count; i++)
		loop_step(loop_current(), 10);
	assert_int_equal(fake->server.connection_count, 0);
}
