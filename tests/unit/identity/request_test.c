/* request_test.c - which credentials of a request decide, API keys, certificates, access rules. */
#include "support.h"

#include <openssl/evp.h>

#include "base/mem.h"

#define NOW 1700000000

/* SHA-256 of "key-one", "key-two" and "key-old", made by setup. */
static struct {
	EVP_PKEY *key;
	struct config *cfg;
	struct authenticator *authenticator;
	struct auth_worker *worker;
	struct buf text;
	struct buf path;
	struct buf token;
	struct arena arena;
} t;

static void append_sha256(struct buf *to, const char *text)
{
	unsigned char digest[32];

	assert_int_equal(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL), 1);
	for (size_t i = 0; i < sizeof(digest); i++)
		buf_printf(to, "%02x", digest[i]);
}

static struct config *make_config(void)
{
	struct buf hashes[3];
	struct config *cfg;

	for (size_t i = 0; i < 3; i++)
		buf_init(&hashes[i], 128);
	append_sha256(&hashes[0], "key-one");
	append_sha256(&hashes[1], "key-two");
	append_sha256(&hashes[2], "key-old");
	cfg = config_of(
		"listen: 127.0.0.1:0\n"
		"routes:\n"
		"  - {path: /open, respond: 200, auth: none}\n"
		"  - {path: /maybe, respond: 200, auth: optional}\n"
		"  - {path: /any, respond: 200}\n"
		"  - {path: /scopes, respond: 200, scopes: [read, write]}\n"
		"  - {path: /roles, respond: 200, roles: [admin, clerk]}\n"
		"  - {path: /perms, respond: 200, permissions: ['orders:read', "
		"'orders:write:7']}\n"
		"  - {path: /equals, respond: 200, claims: [{claim: tenant, equals: acme}]}\n"
		"  - {path: /in, respond: 200, claims: [{claim: tenant, in: [x, acme]}]}\n"
		"  - {path: /matches, respond: 200, claims: [{claim: mail, matches: "
		"'[a-z]+@acme\\.test'}]}\n"
		"  - {path: /exists, respond: 200, claims: [{claim: a.b, exists: true}]}\n"
		"  - {path: /slow, respond: 200, claims: [{claim: mail, matches: "
		"'(a+)+(a+)+b'}]}\n"
		"identity:\n"
		"  realm: shop\n"
		"  roles:\n"
		"    reader: {permissions: ['orders:read']}\n"
		"    clerk: {permissions: ['orders:write:*'], includes: [reader]}\n"
		"  api_keys:\n"
		"    header: X-Key\n"
		"    keys:\n"
		"      - {sha256: %s, client: one, scopes: [read], roles: [clerk]}\n"
		"      - {sha256: %s, client: two}\n"
		"      - {sha256: %s, client: old, expires: '2020-01-01'}\n"
		"  client_certificates:\n"
		"    - {spiffe: 'spiffe://acme.test/ns/*', scopes: [read]}\n"
		"    - {spiffe: 'spiffe://acme.test/one', identity: first}\n"
		"    - {subject: 'CN=two,O=Acme', roles: [clerk]}\n"
		"    - {dns: three.acme.test, identity: third}\n"
		"  providers:\n"
		"    - {name: a, issuer: 'https://a.test/', audience: api, "
		"jwks: {file: %s}, claims: {roles: roles, permissions: permissions}}\n",
		buf_cstr(&hashes[0]), buf_cstr(&hashes[1]), buf_cstr(&hashes[2]),
		buf_cstr(&t.path));
	for (size_t i = 0; i < 3; i++)
		buf_release(&hashes[i]);
	return cfg;
}

static int setup(void **state)
{
	const struct auth_worker_options options = {.cache_entries = 64,
						    .now_unix_s = test_clock};
	struct err err;

	loop_setup(state);
	test_now_unix_s = NOW;
	buf_init(&t.text, 65536);
	buf_init(&t.path, 4096);
	buf_init(&t.token, 65536);
	arena_init(&t.arena, 1 << 20, 4096);
	t.key = token_key_new(TOKEN_KEY_EC);
	jwks_of(&t.text, t.key, "k1");
	write_file(&t.path, "keys.json", buf_span(&t.text));
	t.cfg = make_config();
	t.authenticator = authenticator_new(t.cfg, &err);
	if (!t.authenticator)
		fail_msg("%s", err.message);
	t.worker = auth_worker_new(&options, &err);
	assert_non_null(t.worker);
	return 0;
}

static int teardown(void **state)
{
	auth_worker_free(t.worker);
	authenticator_unref(t.authenticator);
	config_unref(t.cfg);
	EVP_PKEY_free(t.key);
	buf_release(&t.text);
	buf_release(&t.path);
	buf_release(&t.token);
	arena_release(&t.arena);
	remove_files();
	return loop_teardown(state);
}

/* --- requests --- */

#define FIELDS_MAX 8

/* Name, value, name, value ... NULL. */
static struct auth_outcome request(const char *const *texts,
				   const struct tls_identity *certificate)
{
	struct http_field fields[FIELDS_MAX];
	struct http1_head head = {.fields = fields};
	struct auth_input input = {.head = &head, .certificate = certificate};
	struct auth_outcome outcome;

	for (; *texts; texts += 2) {
		size_t i = head.field_count++;

		assert_true(i < FIELDS_MAX);
		fields[i] = (struct http_field){span_cstr(texts[0]), span_cstr(texts[1]),
						http_field_lookup(span_cstr(texts[0]))};
		if (!head.first[fields[i].id])
			head.first[fields[i].id] = (uint16_t)(i + 1);
	}
	auth_request(t.worker, t.authenticator, &input, loop_deadline_ms(1000), &outcome);
	return outcome;
}

#define REQUEST(...) request((const char *const[]){__VA_ARGS__, NULL}, NULL)
#define NO_FIELDS ((const char *const[]){NULL})

static const char *token_with(const char *more)
{
	char payload[4096];
	struct buf authorization;

	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"https://a.test/\",\"aud\":\"api\",\"sub\":\"ann\","
		 "\"exp\":1700000300%s}",
		 more);
	buf_init(&authorization, 65536);
	buf_printf(&authorization, "Bearer %s",
		   sign_token(&t.token, t.key, "ES256", "k1", "", payload));
	buf_clear(&t.token);
	buf_append(&t.token, buf_span(&authorization));
	buf_release(&authorization);
	return buf_cstr(&t.token);
}

static void expect_status(struct auth_outcome outcome, enum auth_status status,
			  enum auth_reason reason)
{
	if (outcome.status != status || outcome.reason != reason)
		fail_msg("status %d, %s", (int)outcome.status,
			 auth_reason_word(outcome.reason));
	identity_unref(outcome.identity);
}

static void without_credentials_the_caller_is_anonymous(void **state)
{
	struct auth_outcome outcome = request(NO_FIELDS, NULL);

	(void)state;
	assert_int_equal(outcome.status, AUTH_NONE);
	assert_ptr_equal(outcome.identity, identity_anonymous());
	assert_int_equal(outcome.identity->user_hash, 0);
	/* Other schemes are not ours to judge, but no credentials either. */
	expect_status(REQUEST("Authorization", "Basic eDp5"), AUTH_NONE,
		      AUTH_REASON_NO_CREDENTIALS);
	expect_status(REQUEST("Authorization", "Bearerx abc"), AUTH_NONE,
		      AUTH_REASON_NO_CREDENTIALS);
	expect_status(REQUEST("Authorization", ""), AUTH_NONE, AUTH_REASON_NO_CREDENTIALS);
}

static void a_bearer_token_is_taken_from_authorization_only(void **state)
{
	const char *value = token_with("");
	char shouted[8192];

	(void)state;
	expect_status(REQUEST("Authorization", value), AUTH_OK, AUTH_REASON_NONE);
	snprintf(shouted, sizeof(shouted), "bEARER   %s", value + 7);
	expect_status(REQUEST("authorization", shouted), AUTH_OK, AUTH_REASON_NONE);
	expect_status(REQUEST("Authorization", "Bearer"), AUTH_INVALID_REQUEST,
		      AUTH_REASON_MALFORMED);
	expect_status(REQUEST("Authorization", "Bearer "), AUTH_INVALID_REQUEST,
		      AUTH_REASON_MALFORMED);
	expect_status(REQUEST("Authorization", "Bearer a b"), AUTH_INVALID_REQUEST,
		      AUTH_REASON_MALFORMED);
	expect_status(REQUEST("Authorization", "Bearer a,b"), AUTH_INVALID_REQUEST,
		      AUTH_REASON_MALFORMED);
	expect_status(REQUEST("Authorization", "Bearer\tabc"), AUTH_NONE,
		      AUTH_REASON_NO_CREDENTIALS);
}

static void repeated_and_mixed_credentials_are_refused(void **state)
{
	const char *value = token_with("");

	(void)state;
	expect_status(REQUEST("Authorization", value, "Host", "a", "authorization", value),
		      AUTH_INVALID_REQUEST, AUTH_REASON_REPEATED);
	expect_status(REQUEST("Authorization", "Basic x", "Authorization", value),
		      AUTH_INVALID_REQUEST, AUTH_REASON_REPEATED);
	expect_status(REQUEST("X-Key", "key-one", "x-key", "key-two"), AUTH_INVALID_REQUEST,
		      AUTH_REASON_REPEATED);
	expect_status(REQUEST("X-Key", "key-one", "Authorization", value), AUTH_INVALID_REQUEST,
		      AUTH_REASON_MIXED);
	expect_status(REQUEST("X-Key", "key-one", "Authorization", "Basic x"), AUTH_OK,
		      AUTH_REASON_NONE);
}

static void an_api_key_stands_for_its_client(void **state)
{
	struct auth_outcome outcome = REQUEST("x-kEY", "key-one");
	struct auth_outcome other = REQUEST("X-Key", "key-two");
	struct identity *identity = outcome.identity;

	(void)state;
	assert_int_equal(outcome.status, AUTH_OK);
	assert_int_equal(identity->kind, IDENTITY_API_KEY);
	assert_span(identity->client, "one");
	assert_span(identity->subject, "one");
	assert_true(identity_has_scope(identity, SPAN("read")));
	assert_true(identity_has_role(identity, SPAN("reader")));
	assert_true(identity_has_permission(identity, SPAN("orders:write:9")));
	assert_true(identity->key_hash && identity->key_hash != other.identity->key_hash);
	assert_int_equal(other.identity->scope_count, 0);
	identity_unref(outcome.identity);
	identity_unref(other.identity);
	expect_status(REQUEST("X-Key", "key-three"), AUTH_INVALID_TOKEN,
		      AUTH_REASON_UNKNOWN_API_KEY);
	expect_status(REQUEST("X-Key", "key-old"), AUTH_INVALID_TOKEN, AUTH_REASON_EXPIRED);
	expect_status(REQUEST("X-Key", ""), AUTH_INVALID_REQUEST, AUTH_REASON_MALFORMED);
}

static struct tls_identity certificate_of(const char *subject, const char *uri, const char *dns)
{
	struct tls_identity certificate = {.subject = span_cstr(subject),
					   .not_after_s = NOW + 100};

	if (uri)
		certificate.uris[certificate.uri_count++] = span_cstr(uri);
	if (dns)
		certificate.dns_names[certificate.dns_name_count++] = span_cstr(dns);
	return certificate;
}

static void certificates_are_mapped_to_identities(void **state)
{
	static const struct {
		const char *subject;
		const char *uri;
		const char *dns;
		const char *identity; /* NULL: nobody */
	} table[] = {
		{"CN=x", "spiffe://acme.test/one", NULL, "first"},
		{"CN=x", "spiffe://acme.test/ns/a", NULL, "spiffe://acme.test/ns/a"},
		{"CN=x", "spiffe://acme.test/ns/a/b", NULL, "spiffe://acme.test/ns/a/b"},
		{"CN=x", "spiffe://acme.test/ns/", NULL, NULL},
		{"CN=x", "spiffe://acme.test/ns", NULL, NULL},
		{"CN=x", "spiffe://acme.test/ns/../one", NULL, NULL},
		{"CN=x", "spiffe://acme.test/ns/%2e%2e/one", NULL, NULL},
		{"CN=x", "spiffe://acme.test/nsx/a", NULL, NULL},
		{"CN=x", "spiffe://acme.test.evil.test/ns/a", NULL, NULL},
		{"CN=x", "spiffe://acme.test/one/two", NULL, NULL},
		{"CN=x", "https://acme.test/one", NULL, NULL},
		{"CN=two,O=Acme", NULL, NULL, "CN=two,O=Acme"},
		{"CN=two,O=Acme2", NULL, NULL, NULL},
		{"O=Acme,CN=two", NULL, NULL, NULL},
		{"CN=x", NULL, "three.acme.test", "third"},
		{"CN=x", NULL, "*.acme.test", NULL},
		{"CN=three.acme.test", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct tls_identity certificate =
			certificate_of(table[i].subject, table[i].uri, table[i].dns);
		struct auth_outcome outcome = request(NO_FIELDS, &certificate);

		if (!table[i].identity) {
			expect_status(outcome, AUTH_INVALID_TOKEN,
				      AUTH_REASON_UNKNOWN_CERTIFICATE);
			continue;
		}
		assert_int_equal(outcome.status, AUTH_OK);
		assert_int_equal(outcome.identity->kind, IDENTITY_CERTIFICATE);
		assert_span(outcome.identity->subject, table[i].identity);
		identity_unref(outcome.identity);
	}
}

static void two_spiffe_ids_are_none(void **state)
{
	struct tls_identity certificate =
		certificate_of("CN=x", "spiffe://acme.test/one", NULL);

	(void)state;
	certificate.uris[certificate.uri_count++] = SPAN("spiffe://acme.test/ns/a");
	expect_status(request(NO_FIELDS, &certificate), AUTH_INVALID_TOKEN,
		      AUTH_REASON_UNKNOWN_CERTIFICATE);
}

static void a_token_counts_more_than_the_certificate(void **state)
{
	struct tls_identity certificate =
		certificate_of("CN=x", "spiffe://acme.test/one", NULL);
	struct auth_outcome outcome;

	(void)state;
	outcome = request((const char *const[]){"Authorization", token_with(""), NULL},
			  &certificate);
	assert_int_equal(outcome.status, AUTH_OK);
	assert_span(outcome.identity->subject, "ann");
	identity_unref(outcome.identity);
	expect_status(request((const char *const[]){"Authorization", "Bearer abc", NULL},
			      &certificate),
		      AUTH_INVALID_TOKEN, AUTH_REASON_NOT_A_JWT);
}

static void a_known_certificate_identity_is_reused_until_it_ends(void **state)
{
	struct tls_identity certificate =
		certificate_of("CN=x", "spiffe://acme.test/one", NULL);
	struct http1_head head = {.field_count = 0};
	struct auth_input input = {.head = &head, .certificate = &certificate};
	struct auth_outcome first;
	struct auth_outcome second;

	(void)state;
	auth_request(t.worker, t.authenticator, &input, loop_deadline_ms(1000), &first);
	assert_int_equal(first.status, AUTH_OK);
	input.certificate_identity = first.identity;
	auth_request(t.worker, t.authenticator, &input, loop_deadline_ms(1000), &second);
	assert_ptr_equal(second.identity, first.identity);
	assert_true(second.cached);
	identity_unref(second.identity);
	test_now_unix_s = NOW + 101;
	auth_request(t.worker, t.authenticator, &input, loop_deadline_ms(1000), &second);
	assert_int_equal(second.reason, AUTH_REASON_EXPIRED);
	test_now_unix_s = NOW;
	identity_unref(first.identity);
}

/* --- access --- */

static const struct config_route *route_of(const char *path)
{
	for (size_t i = 0; i < t.cfg->routes.count; i++) {
		if (span_eq(t.cfg->routes.at[i].path, span_cstr(path)))
			return &t.cfg->routes.at[i];
	}
	fail_msg("no route %s", path);
	return NULL;
}

/* What a route says to a token with these claims; NULL: to nobody in particular. */
static enum access_result access_of_route(const struct config_route *route, const char *claims)
{
	struct auth_outcome outcome = {.identity = identity_anonymous()};
	struct access_rule *rule;
	enum access_result result;
	struct err err;

	rule = access_rule_new(route, &err);
	if (!rule)
		fail_msg("%s", err.message);
	if (claims) {
		outcome = REQUEST("Authorization", token_with(claims));
		assert_int_equal(outcome.status, AUTH_OK);
	}
	result = access_check(rule, t.worker, outcome.identity);
	identity_unref(outcome.identity);
	access_rule_free(rule);
	return result;
}

static enum access_result access_of(const char *path, const char *claims)
{
	return access_of_route(route_of(path), claims);
}

/* Which the configuration refuses at present. */
static void requirements_ask_for_an_identity_with_optional_too(void **state)
{
	struct config_route route = *route_of("/scopes");

	(void)state;
	route.auth = CONFIG_AUTH_OPTIONAL;
	assert_int_equal(access_of_route(&route, NULL), ACCESS_UNAUTHENTICATED);
	assert_int_equal(access_of_route(&route, ""), ACCESS_INSUFFICIENT_SCOPE);
	assert_int_equal(access_of_route(&route, ",\"scope\":\"read write\""), ACCESS_GRANTED);
}

static void rules_grant_what_they_should_and_nothing_else(void **state)
{
	static const struct {
		const char *path;
		const char *claims;
		enum access_result result;
	} table[] = {
		{"/open", NULL, ACCESS_GRANTED},
		{"/maybe", NULL, ACCESS_GRANTED},
		{"/maybe", "", ACCESS_GRANTED},
		{"/any", NULL, ACCESS_UNAUTHENTICATED},
		{"/any", "", ACCESS_GRANTED},
		{"/scopes", NULL, ACCESS_UNAUTHENTICATED},
		{"/scopes", "", ACCESS_INSUFFICIENT_SCOPE},
		{"/scopes", ",\"scope\":\"read\"", ACCESS_INSUFFICIENT_SCOPE},
		{"/scopes", ",\"scope\":\"read writes\"", ACCESS_INSUFFICIENT_SCOPE},
		{"/scopes", ",\"scope\":\"write other read\"", ACCESS_GRANTED},
		{"/roles", NULL, ACCESS_UNAUTHENTICATED},
		{"/roles", "", ACCESS_FORBIDDEN},
		{"/roles", ",\"roles\":[\"reader\"]", ACCESS_FORBIDDEN},
		{"/roles", ",\"roles\":[\"clerk\"]", ACCESS_GRANTED},
		{"/roles", ",\"roles\":\"admin\"", ACCESS_GRANTED},
		{"/perms", ",\"roles\":[\"reader\"]", ACCESS_FORBIDDEN},
		{"/perms", ",\"roles\":[\"clerk\"]", ACCESS_GRANTED},
		{"/perms", ",\"permissions\":[\"orders\"]", ACCESS_GRANTED},
		{"/perms", ",\"permissions\":[\"orders:read\",\"orders:write:8\"]",
		 ACCESS_FORBIDDEN},
		{"/equals", "", ACCESS_FORBIDDEN},
		{"/equals", ",\"tenant\":\"acme\"", ACCESS_GRANTED},
		{"/equals", ",\"tenant\":\"acme2\"", ACCESS_FORBIDDEN},
		{"/equals", ",\"tenant\":[\"x\",\"acme\"]", ACCESS_GRANTED},
		{"/equals", ",\"tenant\":{\"acme\":1}", ACCESS_FORBIDDEN},
		{"/equals", ",\"tenant\":[[\"acme\"]]", ACCESS_FORBIDDEN},
		{"/in", ",\"tenant\":\"acme\"", ACCESS_GRANTED},
		{"/in", ",\"tenant\":\"y\"", ACCESS_FORBIDDEN},
		{"/matches", ",\"mail\":\"ann@acme.test\"", ACCESS_GRANTED},
		{"/matches", ",\"mail\":\"ann@acme.test.evil\"", ACCESS_FORBIDDEN},
		{"/matches", ",\"mail\":\"x ann@acme.test\"", ACCESS_FORBIDDEN},
		{"/matches", ",\"mail\":\"ann@acme.test\\n\"", ACCESS_FORBIDDEN},
		{"/matches", ",\"mail\":\"ann@acmeXtest\"", ACCESS_FORBIDDEN},
		{"/exists", "", ACCESS_FORBIDDEN},
		{"/exists", ",\"a\":{\"b\":false}", ACCESS_GRANTED},
		{"/exists", ",\"a\":{\"b\":null}", ACCESS_FORBIDDEN},
		{"/exists", ",\"a\":7", ACCESS_FORBIDDEN},
		/* Over its match limit: refused, and soon. */
		{"/slow",
		 ",\"mail\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
		 ACCESS_FORBIDDEN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		enum access_result result = access_of(table[i].path, table[i].claims);

		if (result != table[i].result)
			fail_msg("%s with {%s}: %s", table[i].path,
				 table[i].claims ? table[i].claims : "nobody",
				 access_result_word(result));
	}
}

static void a_rule_that_cannot_be_compiled_says_why(void **state)
{
	struct span bad_permission = SPAN_INIT("orders::read");
	struct config_condition condition = {.kind = CONFIG_CONDITION_MATCHES,
					     .pattern = SPAN_INIT("(")};
	struct config_route route = {.path = SPAN_INIT("/x"),
				     .permissions = {&bad_permission, 1}};
	struct err err;

	(void)state;
	assert_null(access_rule_new(&route, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "orders::read"));
	route.permissions.count = 0;
	route.claims.at = &condition;
	route.claims.count = 1;
	assert_null(access_rule_new(&route, &err));
	assert_int_equal(err.code, ERR_INVALID);
	condition.pattern = SPAN("a");
	route.auth = CONFIG_AUTH_NONE;
	assert_null(access_rule_new(&route, &err));
	assert_int_equal(err.code, ERR_INVALID);
}

static void compiling_a_rule_survives_each_failure(void **state)
{
	static const char *const paths[] = {"/scopes", "/perms", "/matches"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		for (unsigned long n = 1;; n++) {
			struct access_rule *rule;
			struct err err = {.code = ERR_NONE};
			bool happened;

			mem_fail_at(n);
			rule = access_rule_new(route_of(paths[i]), &err);
			happened = mem_fail_happened();
			mem_fail_at(0);
			if (!rule)
				assert_int_equal(err.code, ERR_MEMORY);
			access_rule_free(rule);
			if (!happened)
				break;
		}
	}
}

/* --- challenges --- */

static void challenges_follow_rfc_6750(void **state)
{
	struct auth_outcome outcome = {.status = AUTH_NONE,
				       .reason = AUTH_REASON_NO_CREDENTIALS};
	struct access_rule *rule;
	struct err err;

	(void)state;
	assert_span(auth_challenge(t.authenticator, &outcome, &t.arena),
		    "Bearer realm=\"shop\"");
	outcome.status = AUTH_INVALID_TOKEN;
	outcome.reason = AUTH_REASON_EXPIRED;
	assert_span(auth_challenge(t.authenticator, &outcome, &t.arena),
		    "Bearer realm=\"shop\", error=\"invalid_token\", "
		    "error_description=\"The access token has expired\"");
	outcome.status = AUTH_INVALID_REQUEST;
	outcome.reason = AUTH_REASON_REPEATED;
	assert_span(auth_challenge(t.authenticator, &outcome, &t.arena),
		    "Bearer realm=\"shop\", error=\"invalid_request\", "
		    "error_description=\"Credentials are given more than once\"");
	rule = access_rule_new(route_of("/scopes"), &err);
	assert_non_null(rule);
	assert_span(access_challenge(t.authenticator, rule, ACCESS_UNAUTHENTICATED, &t.arena),
		    "Bearer realm=\"shop\", scope=\"read write\"");
	assert_span(
		access_challenge(t.authenticator, rule, ACCESS_INSUFFICIENT_SCOPE, &t.arena),
		"Bearer realm=\"shop\", error=\"insufficient_scope\", "
		"error_description=\"The access token has not all scopes that are needed\", "
		"scope=\"read write\"");
	access_rule_free(rule);
	rule = access_rule_new(route_of("/any"), &err);
	assert_span(access_challenge(t.authenticator, rule, ACCESS_UNAUTHENTICATED, &t.arena),
		    "Bearer realm=\"shop\"");
	access_rule_free(rule);
}

static void every_reason_has_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < AUTH_REASON_COUNT; i++) {
		const char *text = auth_reason_text((enum auth_reason)i);

		assert_true(*auth_reason_word((enum auth_reason)i));
		assert_non_null(text);
		/* Fit for a quoted string (RFC 6750 section 3). */
		assert_null(strpbrk(text, "\"\\"));
	}
	assert_int_equal(auth_status_code(AUTH_INVALID_REQUEST), 400);
	assert_int_equal(auth_status_code(AUTH_INVALID_TOKEN), 401);
	assert_int_equal(auth_status_code(AUTH_UNAVAILABLE), 503);
	assert_int_equal(auth_status_code(AUTH_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_credentials_the_caller_is_anonymous),
		cmocka_unit_test(a_bearer_token_is_taken_from_authorization_only),
		cmocka_unit_test(repeated_and_mixed_credentials_are_refused),
		cmocka_unit_test(an_api_key_stands_for_its_client),
		cmocka_unit_test(certificates_are_mapped_to_identities),
		cmocka_unit_test(two_spiffe_ids_are_none),
		cmocka_unit_test(a_token_counts_more_than_the_certificate),
		cmocka_unit_test(a_known_certificate_identity_is_reused_until_it_ends),
		cmocka_unit_test(requirements_ask_for_an_identity_with_optional_too),
		cmocka_unit_test(rules_grant_what_they_should_and_nothing_else),
		cmocka_unit_test(a_rule_that_cannot_be_compiled_says_why),
		cmocka_unit_test(compiling_a_rule_survives_each_failure),
		cmocka_unit_test(challenges_follow_rfc_6750),
		cmocka_unit_test(every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
