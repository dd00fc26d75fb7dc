/* pass_test.c - the identity passed on to services. */
#include "support.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/mem.h"
#include "identity/pass.h"
#include "parse/jws.h"

#define NOW 1700000000

static struct {
	EVP_PKEY *key;
	EVP_PKEY *signing;
	struct config *cfg;
	struct authenticator *authenticator;
	struct auth_worker *worker;
	struct buf text;
	struct buf path;
	struct buf pem;
	struct buf token;
	struct arena arena;
	struct http_field fields[IDENTITY_PASS_FIELDS_MAX];
	size_t count;
} t;

static int setup(void **state)
{
	const struct auth_worker_options options = {.cache_entries = 64,
						    .now_unix_s = test_clock};
	struct err err;

	loop_setup(state);
	test_now_unix_s = NOW;
	buf_init(&t.text, 65536);
	buf_init(&t.path, 4096);
	buf_init(&t.pem, 4096);
	buf_init(&t.token, 65536);
	arena_init(&t.arena, 1 << 20, 4096);
	t.key = token_key_new(TOKEN_KEY_EC);
	t.signing = token_key_new(TOKEN_KEY_EC);
	jwks_of(&t.text, t.key, "k1");
	write_file(&t.path, "keys.json", buf_span(&t.text));
	key_pem(&t.text, t.signing);
	write_file(&t.pem, "signing.pem", buf_span(&t.text));
	t.cfg = config_of(
		"listen: 127.0.0.1:0\n"
		"services:\n"
		"  none: {endpoints: http://h}\n"
		"  plain: {endpoints: http://h, identity: {as: headers, headers: "
		"{subject: x-user, scopes: x-user-scopes}}}\n"
		"  quiet: {endpoints: http://h, identity: {as: headers, headers: "
		"{subject: x-user, client: '', roles: '', scopes: ''}}}\n"
		"  token: {endpoints: http://h, identity: {as: jwt, jwt: {key: %s, ttl: "
		"60s}}}\n"
		"  named: {endpoints: http://h, identity: {as: jwt, forward_authorization: "
		"true, "
		"jwt: {key: %s, header: x-id-token, key_id: kk, audience: aa, issuer: ii}}}\n"
		"routes: [{path: /, service: none, auth: none}]\n"
		"identity:\n"
		"  api_keys: {header: x-key, keys: []}\n"
		"  providers:\n"
		"    - {name: a, issuer: 'https://a.test/', audience: api, jwks: {file: %s}, "
		"claims: {roles: roles}}\n",
		buf_cstr(&t.pem), buf_cstr(&t.pem), buf_cstr(&t.path));
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
	EVP_PKEY_free(t.signing);
	buf_release(&t.text);
	buf_release(&t.path);
	buf_release(&t.pem);
	buf_release(&t.token);
	arena_release(&t.arena);
	remove_files();
	return loop_teardown(state);
}

static struct identity *identity_with(const char *more)
{
	struct auth_outcome outcome;
	char payload[4096];

	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"https://a.test/\",\"aud\":\"api\",\"exp\":1700000300%s}", more);
	auth_bearer(t.worker, t.authenticator,
		    span_cstr(sign_token(&t.token, t.key, "ES256", "k1", "", payload)), NULL,
		    loop_deadline_ms(1000), &outcome);
	assert_int_equal(outcome.status, AUTH_OK);
	return outcome.identity;
}

static struct identity_pass *pass_of(const char *service)
{
	const struct config_service *found = config_service_find(t.cfg, span_cstr(service));
	struct identity_pass *pass;
	struct err err;

	assert_non_null(found);
	pass = identity_pass_new(t.cfg, found, &err);
	if (!pass)
		fail_msg("%s", err.message);
	return pass;
}

static int add(const struct identity_pass *pass, const struct identity *identity)
{
	struct err err;

	return identity_pass_fields(pass, t.worker, identity, &t.arena, t.fields, &t.count,
				    &err);
}

static bool strips(const struct identity_strip *strip, const char *name)
{
	struct http_field field = {span_cstr(name), SPAN_INIT("v"),
				   http_field_lookup(span_cstr(name))};

	return identity_strip_has(strip, &field);
}

static bool drops(const struct identity_pass *pass, const char *name)
{
	struct http_field field = {span_cstr(name), SPAN_INIT("v"),
				   http_field_lookup(span_cstr(name))};

	return identity_pass_drops(pass, &field);
}

static void fields_of_every_service_are_removed_from_requests(void **state)
{
	struct err err;
	struct identity_strip *strip = identity_strip_new(t.cfg, &err);

	(void)state;
	assert_non_null(strip);
	assert_true(strips(strip, "x-user"));
	assert_true(strips(strip, "X-USER"));
	assert_true(strips(strip, "X_User"));
	assert_true(strips(strip, "x-user_scopes"));
	assert_true(strips(strip, "X.User.Scopes"));
	assert_false(strips(strip, "xx-usr-scopes"));
	assert_true(strips(strip, "x-auth-roles"));
	assert_true(strips(strip, "X-Id-Token"));
	assert_true(strips(strip, "x.auth~roles"));
	assert_true(strips(strip, "X_Original_URL"));
	assert_true(strips(strip, "X-HTTP-Method-Override"));
	assert_false(strips(strip, "x-users"));
	assert_false(strips(strip, "x-http-methods"));
	assert_false(strips(strip, "host"));
	assert_false(strips(strip, "authorization"));
	identity_strip_free(strip);
	assert_true(identity_strip_is_forwarded(SPAN("X-Forwarded-Prefix")));
	assert_true(identity_strip_is_forwarded(SPAN("x_forwarded_client.cert")));
	assert_true(identity_strip_is_forwarded(SPAN("True-Client-IP")));
	assert_true(identity_strip_is_forwarded(SPAN("CF_Connecting_IP")));
	assert_true(identity_strip_is_forwarded(SPAN("client-cert")));
	assert_true(identity_strip_is_forwarded(SPAN("ssl-client-verify")));
	assert_false(identity_strip_is_forwarded(SPAN("client-id")));
	assert_false(identity_strip_is_forwarded(SPAN("true-client-ips")));
	assert_false(identity_strip_is_forwarded(SPAN("ssl-client-")));
	assert_false(identity_strip_is_forwarded(SPAN("x-forwarded-")));
	assert_false(identity_strip_is_forwarded(SPAN("x-forward-to")));
	assert_false(identity_strip_is_forwarded(SPAN("x")));
}

static void credentials_stay_here_unless_they_are_to_go_on(void **state)
{
	struct identity_pass *plain = pass_of("plain");
	struct identity_pass *named = pass_of("named");
	struct identity_pass *none = pass_of("none");

	(void)state;
	assert_true(drops(plain, "Authorization"));
	assert_true(drops(plain, "X-KEY"));
	assert_true(drops(plain, "x_key"));
	assert_false(drops(plain, "accept"));
	assert_false(drops(named, "authorization"));
	assert_false(drops(named, "x-key"));
	assert_false(drops(none, "authorization"));
	identity_pass_free(plain);
	identity_pass_free(named);
	identity_pass_free(none);
}

static void plain_fields_say_who_it_is(void **state)
{
	struct identity *identity =
		identity_with(",\"sub\":\"ann\",\"client_id\":\"web\",\"scope\":\"read write\","
			      "\"roles\":[\"a\",\"b\"]");
	struct identity_pass *pass = pass_of("plain");
	struct identity_pass *quiet = pass_of("quiet");
	struct identity_pass *none = pass_of("none");

	(void)state;
	assert_int_equal(add(pass, identity), 0);
	assert_int_equal(t.count, 4);
	assert_span(t.fields[0].name, "x-user");
	assert_span(t.fields[0].value, "ann");
	assert_span(t.fields[1].name, "x-auth-client");
	assert_span(t.fields[1].value, "web");
	assert_span(t.fields[2].name, "x-auth-roles");
	assert_span(t.fields[2].value, "a,b");
	assert_span(t.fields[3].name, "x-user-scopes");
	assert_span(t.fields[3].value, "read write");
	assert_int_equal(add(quiet, identity), 0);
	assert_int_equal(t.count, 1);
	assert_int_equal(add(none, identity), 0);
	assert_int_equal(t.count, 0);
	assert_int_equal(add(pass, identity_anonymous()), 0);
	assert_int_equal(t.count, 0);
	identity_unref(identity);
	identity_pass_free(pass);
	identity_pass_free(quiet);
	identity_pass_free(none);
}

static void what_would_read_differently_is_not_passed_on(void **state)
{
	static const char *const bad[] = {
		",\"sub\":\"ann\\r\\nx-admin: 1\"",
		",\"sub\":\"ann\\u0000\"",
		",\"sub\":\" admin\"",
		",\"sub\":\"admin\\t\"",
		",\"sub\":\"ann\",\"client_id\":\"a\\nb\"",
		",\"sub\":\"ann\",\"roles\":[\"a,admin\"]",
		",\"sub\":\"ann\",\"roles\":[\"a\\n\"]",
		",\"sub\":\"ann\",\"roles\":[\" admin\"]",
	};
	struct identity_pass *pass = pass_of("plain");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct identity *identity = identity_with(bad[i]);

		if (add(pass, identity) == 0)
			fail_msg("passed on: %s", bad[i]);
		assert_int_equal(t.count, 0);
		identity_unref(identity);
	}
	identity_pass_free(pass);
}

/* The claims of a passed token, verified with the public half of the signing key. */
static const struct json *open_token(struct span token, const char *kid)
{
	const struct jwk_options options = {.algorithms = JWS_ES256};
	const struct jws_policy policy = {.algorithms = JWS_ES256, .typ = JWS_TYP_JWT};
	struct jws_context *context;
	struct jwk_set *keys;
	struct jws jws;
	struct err err;

	context = jws_context_new(&err);
	assert_non_null(context);
	assert_int_equal(jws_parse(&t.arena, token, &jws), JWS_OK);
	if (kid)
		assert_span(jws.kid, kid);
	else
		assert_int_equal(jws.kid.len, JWK_THUMBPRINT_CHARS);
	buf_clear(&t.text);
	append_jwk(&t.text, t.signing, "");
	keys = jwk_set_parse(buf_span(&t.text), &options, &err);
	assert_non_null(keys);
	jws.kid = SPAN_NONE;
	assert_int_equal(jws_verify(context, &jws, keys, &policy), JWS_OK);
	jwk_set_free(keys);
	jws_context_free(context);
	return json_parse(&t.arena, arena_dup(&t.arena, jws.payload), NULL, &err);
}

static void a_signed_token_says_who_it_is(void **state)
{
	struct identity *identity =
		identity_with(",\"sub\":\"a\\\"n\",\"client_id\":\"web\",\"scope\":\"read\","
			      "\"roles\":[\"a,b\",\"c\"]");
	struct identity_pass *pass = pass_of("token");
	const struct json *claims;
	int64_t number;

	(void)state;
	assert_int_equal(add(pass, identity), 0);
	assert_int_equal(t.count, 1);
	assert_span(t.fields[0].name, "authorization");
	assert_int_equal(t.fields[0].id, HTTP_FIELD_AUTHORIZATION);
	assert_true(span_starts_with(t.fields[0].value, SPAN("Bearer ")));
	claims = open_token(span_slice(t.fields[0].value, 7, t.fields[0].value.len), NULL);
	assert_non_null(claims);
	assert_true(json_is(json_get(claims, SPAN("sub")), SPAN("a\"n")));
	assert_true(json_is(json_get(claims, SPAN("client_id")), SPAN("web")));
	assert_true(json_is(json_get(claims, SPAN("iss")), SPAN("sallyport")));
	assert_true(json_is(json_get(claims, SPAN("aud")), SPAN("token")));
	assert_true(json_is(json_get(claims, SPAN("scope")), SPAN("read")));
	assert_true(json_is(json_get(claims, SPAN("provider")), SPAN("a")));
	assert_true(json_is(json_at(json_get(claims, SPAN("roles")), 0), SPAN("a,b")));
	assert_true(json_int(json_get(claims, SPAN("exp")), &number) && number == NOW + 60);
	assert_true(json_int(json_get(claims, SPAN("iat")), &number) && number == NOW);
	identity_unref(identity);
	identity_pass_free(pass);
}

static void key_id_audience_and_field_can_be_chosen(void **state)
{
	struct identity *identity = identity_with(",\"sub\":\"ann\"");
	struct identity_pass *pass = pass_of("named");
	const struct json *claims;

	(void)state;
	assert_int_equal(add(pass, identity), 0);
	assert_span(t.fields[0].name, "x-id-token");
	claims = open_token(t.fields[0].value, "kk");
	assert_true(json_is(json_get(claims, SPAN("iss")), SPAN("ii")));
	assert_true(json_is(json_get(claims, SPAN("aud")), SPAN("aa")));
	assert_int_equal(add(pass, identity_anonymous()), 0);
	assert_int_equal(t.count, 0);
	identity_unref(identity);
	identity_pass_free(pass);
}

static void a_token_is_signed_again_after_half_its_life(void **state)
{
	struct identity *identity = identity_with(",\"sub\":\"ann\"");
	struct identity *other = identity_with(",\"sub\":\"eve\"");
	struct identity_pass *pass = pass_of("token");
	struct span first;
	struct span second;

	(void)state;
	assert_int_equal(add(pass, identity), 0);
	first = t.fields[0].value;
	test_now_unix_s = NOW + 29;
	assert_int_equal(add(pass, identity), 0);
	assert_true(span_eq(t.fields[0].value, first));
	assert_int_equal(add(pass, other), 0);
	assert_false(span_eq(t.fields[0].value, first));
	test_now_unix_s = NOW + 30;
	assert_int_equal(add(pass, identity), 0);
	second = t.fields[0].value;
	assert_false(span_eq(second, first));
	/* Not beyond the end of what it was made from, however long its own life is. */
	test_now_unix_s = NOW + 280;
	auth_worker_flush(t.worker);
	assert_int_equal(add(pass, identity), 0);
	{
		const struct json *claims = open_token(
			span_slice(t.fields[0].value, 7, t.fields[0].value.len), NULL);
		int64_t number = 0;

		assert_true(json_int(json_get(claims, SPAN("exp")), &number));
		assert_int_equal(number, NOW + 300);
	}
	test_now_unix_s = NOW;
	identity_unref(identity);
	identity_unref(other);
	identity_pass_free(pass);
}

static void many_identities_do_not_mix_up_their_tokens(void **state)
{
	struct identity_pass *pass = pass_of("token");
	struct identity *identities[200];
	char more[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(identities); i++) {
		snprintf(more, sizeof(more), ",\"sub\":\"user-%zu\"", i);
		identities[i] = identity_with(more);
	}
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT_OF(identities); i++) {
			struct span token;
			struct jws jws;

			arena_reset(&t.arena);
			assert_int_equal(add(pass, identities[i]), 0);
			token = span_slice(t.fields[0].value, 7, t.fields[0].value.len);
			assert_int_equal(jws_parse(&t.arena, token, &jws), JWS_OK);
			snprintf(more, sizeof(more), "\"sub\":\"user-%zu\"", i);
			assert_true(span_find(jws.payload, span_cstr(more)) < jws.payload.len);
		}
	}
	for (size_t i = 0; i < COUNT_OF(identities); i++)
		identity_unref(identities[i]);
	identity_pass_free(pass);
}

static void a_bad_key_is_refused_with_its_name(void **state)
{
	struct config_service service = *config_service_find(t.cfg, SPAN("token"));
	struct err err;

	(void)state;
	service.identity.jwt.algorithm = CONFIG_JWS_RS256;
	assert_null(identity_pass_new(t.cfg, &service, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "RS256"));
	service.identity.jwt.key = SPAN("/nonexistent/key.pem");
	assert_null(identity_pass_new(t.cfg, &service, &err));
	assert_non_null(strstr(err.message, "/nonexistent/key.pem"));
	service.identity.jwt.key = span_cstr(buf_cstr(&t.path));
	assert_null(identity_pass_new(t.cfg, &service, &err));
	assert_int_equal(err.code, ERR_INVALID);
	service.identity.jwt.key = SPAN_NONE;
	assert_null(identity_pass_new(t.cfg, &service, &err));
	assert_int_equal(err.code, ERR_INVALID);
}

static void passing_on_survives_each_failure(void **state)
{
	struct identity *identity = identity_with(",\"sub\":\"ann\",\"roles\":[\"a\"]");
	static const char *const services[] = {"plain", "token"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(services); i++) {
		struct identity_pass *pass = pass_of(services[i]);

		for (unsigned long n = 1;; n++) {
			struct arena arena;
			bool happened;
			int failed;

			auth_worker_flush(t.worker);
			arena_init(&arena, 1 << 20, 4096);
			mem_fail_at(n);
			failed = identity_pass_fields(pass, t.worker, identity, &arena,
						      t.fields, &t.count, NULL);
			happened = mem_fail_happened();
			mem_fail_at(0);
			assert_int_equal(t.count > 0, failed == 0);
			arena_release(&arena);
			if (!happened)
				break;
		}
		identity_pass_free(pass);
	}
	identity_unref(identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_every_service_are_removed_from_requests),
		cmocka_unit_test(credentials_stay_here_unless_they_are_to_go_on),
		cmocka_unit_test(plain_fields_say_who_it_is),
		cmocka_unit_test(what_would_read_differently_is_not_passed_on),
		cmocka_unit_test(a_signed_token_says_who_it_is),
		cmocka_unit_test(key_id_audience_and_field_can_be_chosen),
		cmocka_unit_test(a_token_is_signed_again_after_half_its_life),
		cmocka_unit_test(many_identities_do_not_mix_up_their_tokens),
		cmocka_unit_test(a_bad_key_is_refused_with_its_name),
		cmocka_unit_test(passing_on_survives_each_failure),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
