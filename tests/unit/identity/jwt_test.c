/* jwt_test.c - bearer tokens that are verified with the provider's keys. */
#include "support.h"

#include <openssl/evp.h>

#include "base/mem.h"

#define NOW 1700000000

static struct {
	EVP_PKEY *rsa;
	EVP_PKEY *ec;
	EVP_PKEY *ed;
	EVP_PKEY *other;
	struct config *cfg;
	struct authenticator *authenticator;
	struct auth_worker *worker;
	struct buf text;
	struct buf path;
	struct buf token;
} t;

#define PROVIDER_A "https://a.test/"
#define PROVIDER_B "https://b.test/"

static void write_jwks(const char *name, struct buf *path, EVP_PKEY *const *keys,
		       const char *const *kids, size_t count)
{
	buf_clear(&t.text);
	buf_append_cstr(&t.text, "{\"keys\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_append_byte(&t.text, ',');
		append_jwk(&t.text, keys[i], kids[i]);
	}
	buf_append_cstr(&t.text, "]}");
	write_file(path, name, buf_span(&t.text));
}

static void make_worker(size_t entries)
{
	const struct auth_worker_options options = {.cache_entries = entries,
						    .now_unix_s = test_clock};
	struct err err;

	auth_worker_free(t.worker);
	t.worker = auth_worker_new(&options, &err);
	assert_non_null(t.worker);
}

static int setup(void **state)
{
	struct buf path_b;
	struct err err;

	loop_setup(state);
	buf_init(&t.text, 65536);
	buf_init(&t.path, 4096);
	buf_init(&t.token, 65536);
	buf_init(&path_b, 4096);
	t.rsa = token_key_new(TOKEN_KEY_RSA);
	t.ec = token_key_new(TOKEN_KEY_EC);
	t.ed = token_key_new(TOKEN_KEY_ED25519);
	t.other = token_key_new(TOKEN_KEY_EC);
	write_jwks("a.json", &t.path, (EVP_PKEY *const[]){t.rsa, t.ec, t.ed},
		   (const char *const[]){"r1", "e1", "d1"}, 3);
	write_jwks("b.json", &path_b, &t.other, (const char *const[]){"e1"}, 1);
	t.cfg = config_of("listen: 127.0.0.1:0\n"
			  "routes: [{path: /, respond: 200, auth: none}]\n"
			  "identity:\n"
			  "  roles:\n"
			  "    reader: {permissions: ['orders:read']}\n"
			  "    clerk: {permissions: ['orders:write'], includes: [reader]}\n"
			  "  providers:\n"
			  "    - name: a\n"
			  "      issuer: " PROVIDER_A "\n"
			  "      audience: [api, api2]\n"
			  "      algorithms: [RS256, PS256, ES256, EdDSA]\n"
			  "      clock_skew: 30s\n"
			  "      jwks: {file: %s}\n"
			  "      claims: {roles: realm.roles, permissions: permissions}\n"
			  "    - name: b\n"
			  "      issuer: " PROVIDER_B "\n"
			  "      audience: api\n"
			  "      algorithms: ES256\n"
			  "      jwks: {file: %s}\n"
			  "      require_at_jwt: true\n",
			  buf_cstr(&t.path), buf_cstr(&path_b));
	t.authenticator = authenticator_new(t.cfg, &err);
	if (!t.authenticator)
		fail_msg("%s", err.message);
	make_worker(64);
	buf_release(&path_b);
	return 0;
}

static int teardown(void **state)
{
	auth_worker_free(t.worker);
	authenticator_unref(t.authenticator);
	config_unref(t.cfg);
	EVP_PKEY_free(t.rsa);
	EVP_PKEY_free(t.ec);
	EVP_PKEY_free(t.ed);
	EVP_PKEY_free(t.other);
	buf_release(&t.text);
	buf_release(&t.path);
	buf_release(&t.token);
	remove_files();
	return loop_teardown(state);
}

static int before(void **state)
{
	(void)state;
	test_now_unix_s = NOW;
	auth_worker_flush(t.worker);
	return 0;
}

static struct auth_outcome present(const char *token)
{
	struct auth_outcome outcome;

	auth_bearer(t.worker, t.authenticator, span_cstr(token), NULL, loop_deadline_ms(1000),
		    &outcome);
	return outcome;
}

/* Good claims for provider A, and more members. */
#define CLAIMS(more)                                                                           \
	"{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\",\"client_id\":\"web\","   \
	"\"exp\":1700000300,\"iat\":1699999990" more "}"

static void expect_good(const char *token)
{
	struct auth_outcome outcome = present(token);

	if (outcome.status != AUTH_OK)
		fail_msg("refused: %s", auth_reason_word(outcome.reason));
	assert_non_null(outcome.identity);
	identity_unref(outcome.identity);
}

static void expect_refused(const char *token, enum auth_reason reason)
{
	struct auth_outcome outcome = present(token);

	if (outcome.status == AUTH_OK)
		fail_msg("accepted, wanted %s", auth_reason_word(reason));
	assert_null(outcome.identity);
	if (outcome.reason != reason)
		fail_msg("%s, wanted %s", auth_reason_word(outcome.reason),
			 auth_reason_word(reason));
	assert_int_equal(outcome.status, reason == AUTH_REASON_MALFORMED ? AUTH_INVALID_REQUEST
									 : AUTH_INVALID_TOKEN);
}

static void refuse_claims(const char *payload, enum auth_reason reason)
{
	expect_refused(sign_token(&t.token, t.ec, "ES256", "e1", "", payload), reason);
}

static void accept_claims(const char *payload)
{
	expect_good(sign_token(&t.token, t.ec, "ES256", "e1", "", payload));
}

static void every_kind_of_signature_is_verified(void **state)
{
	(void)state;
	expect_good(sign_token(&t.token, t.rsa, "RS256", "r1", "", CLAIMS("")));
	expect_good(sign_token(&t.token, t.rsa, "PS256", "r1", "", CLAIMS("")));
	expect_good(sign_token(&t.token, t.ec, "ES256", "e1", "", CLAIMS("")));
	expect_good(sign_token(&t.token, t.ed, "EdDSA", "d1", "", CLAIMS("")));
}

static void a_token_without_kid_finds_its_key_by_algorithm(void **state)
{
	(void)state;
	expect_good(sign_token(&t.token, t.ec, "ES256", "", "", CLAIMS("")));
	expect_refused(sign_token(&t.token, t.other, "ES256", "", "", CLAIMS("")),
		       AUTH_REASON_BAD_SIGNATURE);
}

static void what_the_token_says_becomes_the_identity(void **state)
{
	struct auth_outcome outcome = present(
		sign_token(&t.token, t.rsa, "RS256", "r1", "\"typ\":\"at+jwt\"",
			   CLAIMS(",\"scope\":\"read  write\",\"realm\":{\"roles\":[\"clerk\","
				  "\"guest\"]},\"permissions\":[\"invoices:*\",\"bad:\"]")));
	struct identity *identity = outcome.identity;

	(void)state;
	assert_int_equal(outcome.status, AUTH_OK);
	assert_false(outcome.cached);
	assert_int_equal(identity->kind, IDENTITY_JWT);
	assert_span(identity->subject, "ann");
	assert_span(identity->client, "web");
	assert_span(identity->provider, "a");
	assert_span(identity->issuer, PROVIDER_A);
	assert_int_equal(identity->expires_unix_s, 1700000300);
	assert_int_equal(identity->scope_count, 2);
	assert_true(identity_has_scope(identity, SPAN("read")));
	assert_true(identity_has_scope(identity, SPAN("write")));
	assert_false(identity_has_scope(identity, SPAN("admin")));
	assert_int_equal(identity->role_count, 3);
	assert_true(identity_has_role(identity, SPAN("clerk")));
	assert_true(identity_has_role(identity, SPAN("reader")));
	assert_true(identity_has_role(identity, SPAN("guest")));
	assert_true(identity_has_permission(identity, SPAN("orders:read")));
	assert_true(identity_has_permission(identity, SPAN("orders:write:7")));
	assert_true(identity_has_permission(identity, SPAN("invoices:delete")));
	assert_false(identity_has_permission(identity, SPAN("orders:delete")));
	assert_false(identity_has_permission(identity, SPAN("bad")));
	assert_true(identity->user_hash && identity->client_hash);
	assert_int_not_equal(identity->user_hash, identity->client_hash);
	assert_int_equal(identity->key_hash, 0);
	identity_unref(identity);
}

static void users_of_two_providers_differ(void **state)
{
	struct auth_outcome a =
		present(sign_token(&t.token, t.ec, "ES256", "e1", "", CLAIMS("")));
	struct auth_outcome b = present(
		sign_token(&t.token, t.other, "ES256", "e1", "\"typ\":\"at+jwt\"",
			   "{\"iss\":\"" PROVIDER_B "\",\"aud\":\"api\",\"sub\":\"ann\","
			   "\"exp\":1700000300}"));

	(void)state;
	assert_int_equal(a.status, AUTH_OK);
	assert_int_equal(b.status, AUTH_OK);
	assert_int_not_equal(a.identity->user_hash, b.identity->user_hash);
	assert_int_equal(b.identity->client_hash, 0);
	identity_unref(a.identity);
	identity_unref(b.identity);
}

static void one_provider_cannot_speak_for_another(void **state)
{
	(void)state;
	/* B's key, A's name; A's key, B's name; the kid is the same in both sets. */
	expect_refused(sign_token(&t.token, t.other, "ES256", "e1", "", CLAIMS("")),
		       AUTH_REASON_BAD_SIGNATURE);
	expect_refused(sign_token(&t.token, t.ec, "ES256", "e1", "\"typ\":\"at+jwt\"",
				  "{\"iss\":\"" PROVIDER_B "\",\"aud\":\"api\","
				  "\"sub\":\"ann\",\"exp\":1700000300}"),
		       AUTH_REASON_BAD_SIGNATURE);
	refuse_claims("{\"iss\":\"https://c.test/\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1700000300}",
		      AUTH_REASON_UNKNOWN_ISSUER);
	/* Byte by byte: no slash more or less. */
	refuse_claims("{\"iss\":\"https://a.test\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1700000300}",
		      AUTH_REASON_UNKNOWN_ISSUER);
	refuse_claims("{\"aud\":\"api\",\"sub\":\"ann\",\"exp\":1700000300}",
		      AUTH_REASON_BAD_CLAIMS);
	refuse_claims("{\"iss\":[\"" PROVIDER_A "\"],\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1700000300}",
		      AUTH_REASON_BAD_CLAIMS);
}

static void algorithms_cannot_be_confused(void **state)
{
	(void)state;
	expect_refused(sign_token(&t.token, t.rsa, "none", "r1", "", CLAIMS("")),
		       AUTH_REASON_BAD_ALGORITHM);
	expect_refused(sign_token(&t.token, t.rsa, "HS256", "r1", "", CLAIMS("")),
		       AUTH_REASON_BAD_ALGORITHM);
	/* An algorithm that the key cannot do, and one that the provider does not allow. */
	expect_refused(sign_token(&t.token, t.rsa, "RS256", "e1", "", CLAIMS("")),
		       AUTH_REASON_UNKNOWN_KEY);
	expect_refused(sign_token(&t.token, t.ed, "EdDSA", "e1", "\"typ\":\"at+jwt\"",
				  "{\"iss\":\"" PROVIDER_B "\",\"aud\":\"api\","
				  "\"sub\":\"ann\",\"exp\":1700000300}"),
		       AUTH_REASON_BAD_ALGORITHM);
}

/* A key that the token brings along is never used. */
static void a_key_in_the_header_is_not_trusted(void **state)
{
	struct buf header;

	(void)state;
	buf_init(&header, 8192);
	buf_append_cstr(&header, "\"jwk\":");
	append_jwk(&header, t.other, "e1");
	expect_refused(
		sign_token(&t.token, t.other, "ES256", "e1", buf_cstr(&header), CLAIMS("")),
		AUTH_REASON_BAD_SIGNATURE);
	buf_release(&header);
}

static void times_are_checked_with_skew(void **state)
{
	(void)state;
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\"}",
		      AUTH_REASON_BAD_CLAIMS);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":\"1700000300\"}",
		      AUTH_REASON_BAD_CLAIMS);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":-1}",
		      AUTH_REASON_BAD_CLAIMS);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1e300}",
		      AUTH_REASON_BAD_CLAIMS);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1699999970}",
		      AUTH_REASON_EXPIRED);
	accept_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1699999971}");
	accept_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1700000300.5}");
	accept_claims(CLAIMS(",\"nbf\":1700000030"));
	refuse_claims(CLAIMS(",\"nbf\":1700000031"), AUTH_REASON_NOT_YET_VALID);
	refuse_claims(CLAIMS(",\"nbf\":null"), AUTH_REASON_BAD_CLAIMS);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":\"ann\","
		      "\"exp\":1700000300,\"iat\":1700000031}",
		      AUTH_REASON_NOT_YET_VALID);
}

static void the_audience_must_be_ours(void **state)
{
	(void)state;
	accept_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":[\"x\",\"api2\"],\"sub\":\"ann\","
		      "\"exp\":1700000300}");
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"other\",\"sub\":\"ann\","
		      "\"exp\":1700000300}",
		      AUTH_REASON_BAD_AUDIENCE);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":[],\"sub\":\"ann\","
		      "\"exp\":1700000300}",
		      AUTH_REASON_BAD_AUDIENCE);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":[[\"api\"]],\"sub\":\"ann\","
		      "\"exp\":1700000300}",
		      AUTH_REASON_BAD_AUDIENCE);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"sub\":\"ann\",\"exp\":1700000300}",
		      AUTH_REASON_BAD_CLAIMS);
}

static void other_kinds_of_tokens_are_refused(void **state)
{
	static const char b[] = "{\"iss\":\"" PROVIDER_B "\",\"aud\":\"api\",\"sub\":\"ann\","
				"\"exp\":1700000300}";

	(void)state;
	expect_good(sign_token(&t.token, t.ec, "ES256", "e1", "\"typ\":\"JWT\"", CLAIMS("")));
	expect_refused(
		sign_token(&t.token, t.ec, "ES256", "e1", "\"typ\":\"logout+jwt\"", CLAIMS("")),
		AUTH_REASON_BAD_TYPE);
	expect_refused(sign_token(&t.token, t.ec, "ES256", "e1", "\"typ\":\"\"", CLAIMS("")),
		       AUTH_REASON_BAD_TYPE);
	expect_good(sign_token(&t.token, t.other, "ES256", "e1",
			       "\"typ\":\"application/AT+JWT\"", b));
	expect_refused(sign_token(&t.token, t.other, "ES256", "e1", "\"typ\":\"JWT\"", b),
		       AUTH_REASON_BAD_TYPE);
	expect_refused(sign_token(&t.token, t.other, "ES256", "e1", "", b),
		       AUTH_REASON_BAD_TYPE);
}

static void malformed_tokens_are_refused(void **state)
{
	char *good = mem_strdup(
		span_cstr(sign_token(&t.token, t.ec, "ES256", "e1", "", CLAIMS(""))));
	size_t len = strlen(good);

	(void)state;
	expect_refused("a b", AUTH_REASON_MALFORMED);
	expect_refused("=", AUTH_REASON_MALFORMED);
	expect_refused("abc\"", AUTH_REASON_MALFORMED);
	expect_refused("abc", AUTH_REASON_NOT_A_JWT);
	expect_refused("..", AUTH_REASON_BAD_HEADER);
	expect_refused("e30.e30.e30", AUTH_REASON_BAD_HEADER);
	expect_refused(sign_token(&t.token, t.ec, "ES256", "e1",
				  "\"crit\":[\"b64\"],\"b64\":false", CLAIMS("")),
		       AUTH_REASON_BAD_HEADER);
	expect_refused(
		sign_token(&t.token, t.ec, "ES256", "e1", "\"alg\":\"ES256\"", CLAIMS("")),
		AUTH_REASON_BAD_HEADER);
	refuse_claims("[]", AUTH_REASON_BAD_HEADER);
	refuse_claims(CLAIMS(",\"sub\":\"eve\""), AUTH_REASON_BAD_HEADER);
	/* Every prefix of a good token, and every changed last character. */
	for (size_t i = 1; i < len; i += 7) {
		char kept = good[i];
		struct auth_outcome outcome;

		good[i] = '\0';
		outcome = present(good);
		assert_int_not_equal(outcome.status, AUTH_OK);
		good[i] = kept == 'A' ? 'B' : 'A';
		outcome = present(good);
		assert_int_not_equal(outcome.status, AUTH_OK);
		good[i] = kept;
	}
	expect_good(good);
	mem_free(good);
}

static void names_must_be_what_they_should_be(void **state)
{
	(void)state;
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"exp\":1700000300}",
		      AUTH_REASON_BAD_CLAIMS);
	refuse_claims("{\"iss\":\"" PROVIDER_A "\",\"aud\":\"api\",\"sub\":7,"
		      "\"exp\":1700000300}",
		      AUTH_REASON_BAD_CLAIMS);
	refuse_claims(CLAIMS(",\"scope\":7"), AUTH_REASON_BAD_CLAIMS);
	refuse_claims(CLAIMS(",\"scope\":[\"read admin\"]"), AUTH_REASON_BAD_CLAIMS);
	refuse_claims(CLAIMS(",\"realm\":{\"roles\":[1]}"), AUTH_REASON_BAD_CLAIMS);
	accept_claims(CLAIMS(",\"scope\":[\"read\",\"write\"],\"realm\":{}"));
	accept_claims(CLAIMS(",\"realm\":7"));
}

static void bound_tokens_need_their_certificate(void **state)
{
	struct tls_identity certificate = {.subject = SPAN_INIT("CN=x")};
	struct auth_outcome outcome;
	const char *token =
		sign_token(&t.token, t.ec, "ES256", "e1", "",
			   CLAIMS(",\"cnf\":{\"x5t#S256\":"
				  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"));

	(void)state;
	/* From verification and from the cache alike. */
	for (int i = 0; i < 2; i++) {
		expect_refused(token, AUTH_REASON_NOT_BOUND);
		auth_bearer(t.worker, t.authenticator, span_cstr(token), &certificate,
			    loop_deadline_ms(1000), &outcome);
		assert_int_equal(outcome.status, AUTH_OK);
		identity_unref(outcome.identity);
		certificate.thumbprint[31] = 1;
		auth_bearer(t.worker, t.authenticator, span_cstr(token), &certificate,
			    loop_deadline_ms(1000), &outcome);
		assert_int_equal(outcome.reason, AUTH_REASON_NOT_BOUND);
		certificate.thumbprint[31] = 0;
	}
	refuse_claims(CLAIMS(",\"cnf\":{\"jkt\":\"abc\"}"), AUTH_REASON_NOT_BOUND);
	refuse_claims(CLAIMS(",\"cnf\":{\"x5t#S256\":\"abc\"}"), AUTH_REASON_BAD_CLAIMS);
	refuse_claims(CLAIMS(",\"cnf\":7"), AUTH_REASON_NOT_BOUND);
}

static void a_verified_token_is_remembered_until_it_ends(void **state)
{
	const char *token = sign_token(&t.token, t.ec, "ES256", "e1", "", CLAIMS(""));
	struct auth_worker_stats stats;
	struct auth_outcome first;
	struct auth_outcome second;

	(void)state;
	first = present(token);
	second = present(token);
	assert_int_equal(first.status, AUTH_OK);
	assert_false(first.cached);
	assert_int_equal(second.status, AUTH_OK);
	assert_true(second.cached);
	assert_ptr_equal(first.identity, second.identity);
	identity_unref(second.identity);
	auth_worker_read_stats(t.worker, &stats);
	assert_int_equal(stats.entries, 1);
	/* The token's end is the entry's end; within the skew it is verified each time. */
	test_now_unix_s = 1700000299;
	second = present(token);
	assert_true(second.cached);
	identity_unref(second.identity);
	test_now_unix_s = 1700000300;
	second = present(token);
	assert_int_equal(second.status, AUTH_OK);
	assert_false(second.cached);
	identity_unref(second.identity);
	test_now_unix_s = 1700000330;
	expect_refused(token, AUTH_REASON_EXPIRED);
	/* Whoever holds a reference keeps the identity. */
	assert_span(first.identity->subject, "ann");
	identity_unref(first.identity);
}

static void a_cached_refusal_says_the_same(void **state)
{
	const char *token = sign_token(&t.token, t.other, "ES256", "e1", "", CLAIMS(""));
	struct auth_outcome first = present(token);
	struct auth_outcome second = present(token);

	(void)state;
	assert_int_equal(first.reason, AUTH_REASON_BAD_SIGNATURE);
	assert_false(first.cached);
	assert_int_equal(second.reason, AUTH_REASON_BAD_SIGNATURE);
	assert_int_equal(second.status, AUTH_INVALID_TOKEN);
	assert_true(second.cached);
}

static void the_cache_is_bounded(void **state)
{
	struct auth_worker_stats stats;
	char payload[512];

	(void)state;
	make_worker(16);
	for (int i = 0; i < 100; i++) {
		snprintf(payload, sizeof(payload), CLAIMS(",\"jti\":\"%d\""), i);
		accept_claims(payload);
	}
	auth_worker_read_stats(t.worker, &stats);
	assert_true(stats.entries > 0 && stats.entries <= 16);
	make_worker(0);
	accept_claims(CLAIMS(""));
	accept_claims(CLAIMS(""));
	auth_worker_read_stats(t.worker, &stats);
	assert_int_equal(stats.entries, 0);
	assert_int_equal(stats.hits, 0);
	make_worker(64);
}

static void another_authenticator_does_not_use_the_same_entries(void **state)
{
	struct authenticator *first = t.authenticator;
	struct auth_outcome outcome;
	struct err err;

	(void)state;
	sign_token(&t.token, t.ec, "ES256", "e1", "", CLAIMS(""));
	expect_good(buf_cstr(&t.token));
	t.authenticator = authenticator_new(t.cfg, &err);
	assert_non_null(t.authenticator);
	outcome = present(buf_cstr(&t.token));
	assert_int_equal(outcome.status, AUTH_OK);
	assert_false(outcome.cached);
	identity_unref(outcome.identity);
	authenticator_unref(t.authenticator);
	t.authenticator = first;
}

static void identities_outlive_worker_and_authenticator(void **state)
{
	const char *token = sign_token(&t.token, t.ec, "ES256", "e1", "",
				       CLAIMS(",\"realm\":{\"roles\":\"clerk\"}"));
	struct auth_outcome outcome = present(token);
	struct err err;

	(void)state;
	assert_int_equal(outcome.status, AUTH_OK);
	make_worker(64);
	authenticator_unref(t.authenticator);
	assert_true(identity_has_permission(outcome.identity, SPAN("orders:read")));
	identity_unref(outcome.identity);
	t.authenticator = authenticator_new(t.cfg, &err);
	assert_non_null(t.authenticator);
}

static void too_long_a_token_is_not_looked_at(void **state)
{
	size_t len = 20000;
	char *token = mem_alloc(len + 1);
	struct auth_outcome outcome;

	(void)state;
	memset(token, 'a', len);
	token[len] = '\0';
	outcome = present(token);
	assert_int_equal(outcome.status, AUTH_INVALID_REQUEST);
	assert_int_equal(outcome.reason, AUTH_REASON_TOO_LONG);
	mem_free(token);
}

/* Each allocation fails in turn: the answer is 503, nothing leaks, and the next try is good. */
static void without_memory_the_answer_is_503(void **state)
{
	const char *token = sign_token(&t.token, t.ec, "ES256", "e1", "",
				       CLAIMS(",\"scope\":\"a b\",\"realm\":{\"roles\":"
					      "[\"clerk\"]},\"permissions\":[\"a:b\"]"));
	unsigned failures = 0;

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct auth_outcome outcome;
		bool happened;

		auth_worker_flush(t.worker);
		mem_fail_at(n);
		outcome = present(token);
		happened = mem_fail_happened();
		mem_fail_at(0);
		if (outcome.status == AUTH_OK) {
			identity_unref(outcome.identity);
		} else {
			assert_int_equal(outcome.status, AUTH_UNAVAILABLE);
			assert_int_equal(outcome.reason, AUTH_REASON_NO_MEMORY);
			failures++;
		}
		if (!happened)
			break;
	}
#ifdef SALLYPORT_FAULTS
	assert_true(failures > 3);
#else
	assert_int_equal(failures, 0);
#endif
}

static void making_an_authenticator_survives_each_failure(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct authenticator *authenticator;
		struct err err = {.code = ERR_NONE};
		bool happened;

		mem_fail_at(n);
		authenticator = authenticator_new(t.cfg, &err);
		happened = mem_fail_happened();
		mem_fail_at(0);
		if (!authenticator)
			assert_int_equal(err.code, ERR_MEMORY);
		authenticator_unref(authenticator);
		if (!happened)
			break;
	}
}

#define TEST(name) cmocka_unit_test_setup(name, before)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_signature_is_verified),
		TEST(a_token_without_kid_finds_its_key_by_algorithm),
		TEST(what_the_token_says_becomes_the_identity),
		TEST(users_of_two_providers_differ),
		TEST(one_provider_cannot_speak_for_another),
		TEST(algorithms_cannot_be_confused),
		TEST(a_key_in_the_header_is_not_trusted),
		TEST(times_are_checked_with_skew),
		TEST(the_audience_must_be_ours),
		TEST(other_kinds_of_tokens_are_refused),
		TEST(malformed_tokens_are_refused),
		TEST(names_must_be_what_they_should_be),
		TEST(bound_tokens_need_their_certificate),
		TEST(a_verified_token_is_remembered_until_it_ends),
		TEST(a_cached_refusal_says_the_same),
		TEST(the_cache_is_bounded),
		TEST(another_authenticator_does_not_use_the_same_entries),
		TEST(identities_outlive_worker_and_authenticator),
		TEST(too_long_a_token_is_not_looked_at),
		TEST(without_memory_the_answer_is_503),
		TEST(making_an_authenticator_survives_each_failure),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
