/* load_test.c - what a good file becomes, and what is said of a bad one. */
#include "support.h"

#define LISTEN "listen: 127.0.0.1:8080\n"
#define OPEN "routes: [{path: /, respond: 200, auth: none}]\n"
#define SERVICE "services: {a: {endpoints: http://a}}\n"
#define ROUTED "routes: [{path: /, service: a, auth: none}]\n"

/* ---- good ------------------------------------------------------------------------------------ */

static void everything_optional_has_its_default(void **state)
{
	struct config *cfg = load_good(LISTEN SERVICE ROUTED);
	const struct config_service *service = &cfg->services.at[0];
	const struct config_route *route = &cfg->routes.at[0];

	(void)state;
	assert_int_equal(cfg->listen.count, 1);
	assert_span(cfg->listen.at[0].address.host, "127.0.0.1");
	assert_int_equal(cfg->listen.at[0].address.port, 8080);
	assert_null(cfg->listen.at[0].tls);
	assert_true(cfg->listen.at[0].http2 && cfg->listen.at[0].reuse_port);
	assert_int_equal(cfg->listen.at[0].backlog, 1024);
	assert_true(cfg->sandbox);
	assert_int_equal(cfg->limits.request_line_bytes, 8192);
	assert_int_equal(cfg->limits.headers_timeout_ms, 10000);
	assert_int_equal(cfg->limits.http2.window_bytes, 262144);
	assert_true(cfg->admin.enabled);
	assert_span(cfg->admin.address.text, "127.0.0.1:9901");
	assert_int_equal(cfg->log.level, LOG_INFO);
	assert_int_equal(cfg->log.access, CONFIG_ACCESS_LOG_STDOUT);
	assert_int_equal(cfg->forwarded.send, CONFIG_FORWARDED_SEND_X);
	assert_span(cfg->forwarded.request_id_header, "x-request-id");
	assert_int_equal(cfg->headers.fields.count, 5);
	assert_int_equal(service->timeout.connect_ms, 1000);
	assert_int_equal(service->retry.on, CONFIG_RETRY_ON_CONNECT | CONFIG_RETRY_ON_RESET);
	assert_int_equal(service->retry.budget_percent, 20);
	assert_true(service->tls.verify && service->identity.forward_authorization);
	assert_null(service->bulkhead);
	assert_null(service->breaker);
	assert_null(service->health);
	assert_null(service->fallback);
	assert_null(cfg->waf);
	assert_ptr_equal(route->service, service);
	assert_span(route->operation, "/");
	assert_int_equal(route->timeout.request_ms, 30000);
	assert_int_equal(route->body_bytes, 10 << 20);
	config_unref(cfg);
}

static void the_shape_that_users_meet_is_read(void **state)
{
	struct config *cfg = load_good(
		"listen:\n"
		"  - {address: \"0.0.0.0:8443\", tls: {certificate: tls/cert.pem, key: "
		"tls/key.pem}}\n"
		"store: sqlite:state/sallyport.db\n"
		"identity: {issuer: \"https://localhost:8443\", lockout: {failures: 4, wait: "
		"1m}}\n"
		"services:\n"
		"  orders:\n"
		"    endpoints: [\"http://10.0.0.11:8080\", {url: \"https://[::1]\", weight: "
		"3}]\n"
		"    contract: orders.openapi.yaml\n"
		"    timeout: {connect: 500ms, request: 3s}\n"
		"    bulkhead: {concurrent: 64, queue: 128, wait: 200ms}\n"
		"    breaker: {window: 10, failure_rate: 51%, slow: 2s, open: 30s, probes: 5}\n"
		"    health: {path: /healthy, interval: 6s, status: 200-204}\n"
		"    fallback: {status: 203, file: fallback/orders.json}\n"
		"routes:\n"
		"  - {path: \"/orders/**\", service: orders,\n"
		"     limit: {per: user, rate: 100/s, burst: 200}, timeout: {total: 9s}}\n"
		"sensitive:\n"
		"  - {operation: deleteOrder, approvals: 2, by: supervisor, expires: 10m}\n"
		"waf: {rules: owasp-crs, paranoia: 3, mode: observe}\n");
	const struct config_service *s = config_service_find(cfg, SPAN("orders"));
	const struct config_route *r = &cfg->routes.at[0];

	(void)state;
	assert_int_equal(cfg->listen.at[0].tls->certificates.count, 1);
	assert_span(cfg->listen.at[0].tls->certificates.at[0].certificate, "conf/tls/cert.pem");
	assert_span(cfg->listen.at[0].tls->certificates.at[0].key, "conf/tls/key.pem");
	assert_string_equal(cfg->store.url.ptr, "sqlite:conf/state/sallyport.db");
	assert_int_equal(cfg->identity.lockout.failures, 4);
	assert_int_equal(cfg->identity.lockout.max_wait_ms, 900000);
	assert_int_equal(s->endpoints.count, 2);
	assert_span(s->endpoints.at[0].address.host, "10.0.0.11");
	assert_span(s->endpoints.at[0].authority, "10.0.0.11:8080");
	assert_int_equal(s->endpoints.at[1].scheme, CONFIG_SCHEME_HTTPS);
	assert_span(s->endpoints.at[1].address.host, "::1");
	assert_span(s->endpoints.at[1].address.text, "[::1]:443");
	assert_span(s->endpoints.at[1].authority, "[::1]");
	assert_int_equal(s->endpoints.at[1].weight, 3);
	assert_int_equal(s->endpoints.at[1].where.line, 7);
	assert_span(s->contract->file, "conf/orders.openapi.yaml");
	assert_int_equal(s->bulkhead->queue, 128);
	assert_int_equal(s->breaker->failure_rate_percent, 51);
	assert_int_equal(s->health->status_to, 204);
	assert_span(s->fallback->answer.content_type, "application/json");
	assert_int_equal(r->limits.count, 1);
	assert_int_equal(r->limits.at[0].rate.count, 100);
	assert_int_equal(r->limits.at[0].burst, 200);
	assert_int_equal(r->timeout.connect_ms, 500);
	assert_int_equal(r->timeout.total_ms, 9000);
	assert_int_equal(r->auth, CONFIG_AUTH_REQUIRED);
	assert_int_equal(cfg->sensitive.at[0].expires_ms, 600000);
	assert_int_equal(cfg->waf->mode, CONFIG_WAF_MODE_OBSERVE);
	config_unref(cfg);
}

static void identity_is_read(void **state)
{
	struct config *cfg = load_good(
		"listen: {address: 127.0.0.1:8443, tls: {certificate: c, key: k, client_ca: "
		"a,\n"
		"         client_auth: optional}}\n"
		"identity:\n"
		"  providers:\n"
		"    - name: keycloak\n"
		"      issuer: https://id.example.com/realms/shop\n"
		"      audience: shop\n"
		"      algorithms: [RS256, EdDSA]\n"
		"      jwks: {url: \"https://id.example.com/certs\", refresh: 5m}\n"
		"      require_at_jwt: true\n"
		"      claims: {roles: realm_access.roles, permissions: [\"https://a.b/p\"],\n"
		"               client: \"https://a.b/c\"}\n"
		"    - {name: file, issuer: local, audience: [a, b], jwks: keys.json}\n"
		"  api_keys:\n"
		"    header: X-Key\n"
		"    keys:\n"
		"      - sha256: "
		"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n"
		"        client: batch\n"
		"        scopes: [\"orders:read\"]\n"
		"        expires: 2030-01-02\n"
		"  client_certificates:\n"
		"    - {spiffe: \"spiffe://shop/ns/*\", roles: [user]}\n"
		"  roles: {admin: {permissions: [\"orders:*\"], includes: [user]}, user: {}}\n"
		"  token_cache: {size: 5, max_age: 1m}\n"
		"routes:\n"
		"  - path: /orders/{id}\n"
		"    host: [Shop.Example.com, \"*.example.org\"]\n"
		"    methods: [GET, HEAD]\n"
		"    respond: {status: 418, body: short}\n"
		"    scopes: [\"orders:read\"]\n"
		"    roles: [admin, user]\n"
		"    claims: [{claim: a.b, equals: c}, {claim: d, matches: \"^e$\"},\n"
		"             {claim: f, in: [g, h]}, {claim: i, exists: true}]\n"
		"    limit: [{per: key, rate: 5/m}, {per: address, rate: 1/s}]\n");
	const struct config_provider *p = cfg->identity.providers.at;
	const struct config_api_key *key = cfg->identity.api_keys->keys.at;
	const struct config_route *r = cfg->routes.at;

	(void)state;
	assert_int_equal(p[0].algorithms, CONFIG_JWS_RS256 | CONFIG_JWS_EDDSA);
	assert_int_equal(p[0].jwks_refresh_ms, 300000);
	assert_true(p[0].require_typ_at_jwt);
	assert_int_equal(p[0].claims.roles.count, 2);
	assert_span(p[0].claims.roles.at[0], "realm_access");
	assert_span(p[0].claims.permissions.at[0], "https://a.b/p");
	assert_int_equal(p[0].claims.client.count, 1);
	assert_span(p[0].claims.subject.at[0], "sub");
	assert_span(p[1].jwks_file, "conf/keys.json");
	assert_int_equal(p[1].audience.count, 2);
	assert_span(cfg->identity.api_keys->header, "x-key");
	assert_int_equal(key->sha256[1], 0x11);
	assert_int_equal(key->sha256[31], 0xff);
	assert_true(key->expires_unix_s == 1893542400);
	assert_int_equal(cfg->identity.token_cache_size, 5);
	assert_non_null(config_role_find(cfg, SPAN("admin")));
	assert_span(r->hosts.at[0], "shop.example.com");
	assert_int_equal(r->claims.at[0].kind, CONFIG_CONDITION_EQUALS);
	assert_int_equal(r->claims.at[0].claim.count, 2);
	assert_int_equal(r->claims.at[1].kind, CONFIG_CONDITION_MATCHES);
	assert_int_equal(r->claims.at[2].values.count, 2);
	assert_int_equal(r->claims.at[3].kind, CONFIG_CONDITION_EXISTS);
	assert_int_equal(r->limits.at[0].burst, 5);
	assert_int_equal(r->limits.at[0].rate.per_ms, 60000);
	assert_int_equal(r->respond->status, 418);
	assert_span(r->respond->content_type, "text/plain; charset=utf-8");
	config_unref(cfg);
}

static void networks_are_read(void **state)
{
	struct config *cfg =
		load_good(LISTEN OPEN "trusted_proxies: [10.0.0.0/8, \"fd00::/9\", "
				      "192.168.1.1]\n");
	const struct cidr *n = cfg->trusted_proxies.at;
	struct address ten, eleven;

	(void)state;
	assert_int_equal(cfg->trusted_proxies.count, 3);
	assert_true(address_parse(SPAN("10.200.0.1"), &ten));
	assert_true(address_parse(SPAN("11.0.0.1"), &eleven));
	assert_true(cidr_contains(&n[0], &ten));
	assert_false(cidr_contains(&n[0], &eleven));
	assert_int_equal(n[1].prefix, 9);
	assert_int_equal(n[2].prefix, 128);
	config_unref(cfg);
}

static void header_defaults_can_be_changed(void **state)
{
	struct config *cfg = load_good(
		LISTEN OPEN "headers: {hsts: \"\", set: {X-Frame-Options: SAMEORIGIN, "
			    "Referrer-Policy: \"\", x-own: \"1\"}}\n");
	bool frame = false, own = false;

	(void)state;
	assert_int_equal(cfg->headers.hsts.len, 0);
	assert_int_equal(cfg->headers.fields.count, 5);
	for (size_t i = 0; i < cfg->headers.fields.count; i++) {
		const struct config_pair *f = &cfg->headers.fields.at[i];

		assert_string_not_equal(f->name.ptr, "referrer-policy");
		if (span_eq(f->name, SPAN("x-frame-options")))
			frame = span_eq(f->value, SPAN("SAMEORIGIN"));
		if (span_eq(f->name, SPAN("x-own")))
			own = true;
	}
	assert_true(frame && own);
	config_unref(cfg);
	cfg = load_good(LISTEN OPEN "headers: off\n");
	assert_int_equal(cfg->headers.fields.count, 0);
	config_unref(cfg);
}

static void switches_stand_for_sections(void **state)
{
	struct config *cfg = load_good(LISTEN OPEN "admin: off\nsandbox: no\n"
						   "log: {access: off, audit: audit.log}\n");

	(void)state;
	assert_false(cfg->admin.enabled);
	assert_false(cfg->sandbox);
	assert_int_equal(cfg->log.access, CONFIG_ACCESS_LOG_OFF);
	assert_span(cfg->log.audit_path, "conf/audit.log");
	config_unref(cfg);
	cfg = load_good(LISTEN OPEN "log: {access: /var/log/access.log}\n");
	assert_int_equal(cfg->log.access, CONFIG_ACCESS_LOG_FILE);
	assert_span(cfg->log.access_path, "/var/log/access.log");
	config_unref(cfg);
}

static void references_keep_it_alive(void **state)
{
	struct config *cfg = load_good(LISTEN OPEN);
	struct config *second = config_ref(cfg);

	(void)state;
	config_unref(cfg);
	assert_span(second->routes.at[0].path, "/");
	config_unref(second);
	config_unref(NULL);
}

/* ---- files and variables --------------------------------------------------------------------- */

static void included_files_are_put_together(void **state)
{
	static const struct fake_file list[] = {
		{"conf/orders.yaml", "services: {b: {endpoints: http://b, contract: b.yaml}}\n"
				     "routes: [{path: /b, service: b, auth: none}]\n"},
		{"conf/b.yaml", ""},
		{NULL, NULL}};
	struct fake_files files = {list};
	struct config_source source = fake_source(&files);
	struct buf said;
	struct config *cfg =
		load("include: orders.yaml\n" LISTEN SERVICE ROUTED, &source, &said);

	(void)state;
	assert_int_equal(said.len, 0);
	assert_int_equal(cfg->services.count, 2);
	assert_int_equal(cfg->routes.count, 2);
	assert_string_equal(cfg->routes.at[1].where.file, "conf/orders.yaml");
	assert_span(cfg->services.at[1].contract->file, "conf/b.yaml");
	assert_span(cfg->include.at[0], "orders.yaml");
	config_unref(cfg);
	buf_release(&said);
}

#define PATCH(name)                                                                            \
	"patches: {" name ": {vulnerability: CVE-2021-44228, service: a, expires: "            \
	"2099-01-31}}\n"

static void files_of_included_folders_are_put_together_by_name(void **state)
{
	static const struct fake_file list[] = {
		{"conf/patches/z.yml", PATCH("second")},
		{"conf/patches/m.yaml", PATCH("first")},
		{"conf/patches/.hidden.yaml", "no: yes\n"},
		{"conf/patches/m.conf", "SecAction \"id:1,pass\"\n"},
		{"conf/patches/deep/er.yaml", "no: yes\n"},
		{NULL, NULL}};
	static const char *const whole[] = {"patches", "patches/", "[patches/]"};
	struct fake_files files = {list};
	struct config_source source = fake_source(&files);
	struct config *cfg;
	struct buf said;
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(whole); i++) {
		(void)snprintf(text, sizeof(text), "include: %s\nwaf: {rules: []}\n%s",
			       whole[i], LISTEN SERVICE ROUTED);
		cfg = load(text, &source, &said);
		if (!cfg)
			fail_msg("%s: %s", whole[i], buf_cstr(&said));
		assert_int_equal(cfg->patches.count, 2);
		assert_span(cfg->patches.at[0].name, "first");
		assert_span(cfg->patches.at[1].name, "second");
		config_unref(cfg);
		buf_release(&said);
	}
	cfg = load("include: patches/*.yml\nwaf: {rules: []}\n" LISTEN SERVICE ROUTED, &source,
		   &said);
	assert_int_equal(cfg->patches.count, 1);
	assert_span(cfg->patches.at[0].name, "second");
	config_unref(cfg);
	buf_release(&said);
}

static void endpoints_come_from_a_file(void **state)
{
	static const struct fake_file list[] = {
		{"conf/list.yaml",
		 "- http://10.0.0.1\n- {url: \"https://b:8443\", weight: 3}\n"},
		{"conf/list.json", "[\"h2c://10.0.0.2:50051\"]"},
		{NULL, NULL}};
	struct fake_files files = {list};
	struct config_source source = fake_source(&files);
	struct buf said;
	struct config *cfg = load(LISTEN "services: {a: {endpoints_file: list.yaml}, "
					 "b: {endpoints_file: list.json}}\n"
					 "routes: [{path: /a, service: a, auth: none}, {path: "
					 "/b, service: b, auth: none}]\n",
				  &source, &said);

	(void)state;
	assert_int_equal(said.len, 0);
	assert_int_equal(cfg->services.at[0].endpoints.count, 2);
	assert_int_equal(cfg->services.at[0].endpoints.at[1].weight, 3);
	assert_span(cfg->services.at[0].endpoints_file, "conf/list.yaml");
	assert_string_equal(cfg->services.at[0].endpoints.at[1].where.file, "conf/list.yaml");
	assert_span(cfg->services.at[1].endpoints.at[0].url, "h2c://10.0.0.2:50051");
	config_unref(cfg);
	buf_release(&said);
}

static void secrets_come_from_files_and_variables(void **state)
{
	static const struct fake_file list[] = {{"conf/secret", "from a file\r\n"},
						{NULL, NULL}};
	static const char before[] =
		LISTEN OPEN "identity: {providers: [{name: a, issuer: b, audience: c,\n"
			    " introspection: {url: \"https://a\", client_id: d,\n"
			    "  client_secret: \"";
	static const char *const cases[][2] = {
		{"file:secret", "from a file"}, {"${TOKEN}", "hunter2"}, {"plain", "plain"}};
	struct fake_files files = {list};
	struct config_source source = fake_source(&files);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf said, text;
		struct config *cfg;

		buf_init(&text, 4096);
		buf_append_cstr(&text, before);
		buf_append_cstr(&text, cases[i][0]);
		buf_append_cstr(&text, "\"}}]}\n");
		cfg = load(buf_cstr(&text), &source, &said);
		assert_int_equal(said.len, 0);
		assert_string_equal(
			cfg->identity.providers.at[0].introspection->client_secret.ptr,
			cases[i][1]);
		config_unref(cfg);
		buf_release(&said);
		buf_release(&text);
	}
}

static void api_keys_come_from_a_file_too(void **state)
{
	static const struct fake_file list[] = {{"conf/keys.yaml",
						 "- sha256: 11112222333344445555666677778888"
						 "11112222333344445555666677778888\n"
						 "  client: one\n"},
						{NULL, NULL}};
	struct fake_files files = {list};
	struct config_source source = fake_source(&files);
	struct buf said;
	struct config *cfg =
		load(LISTEN OPEN "identity: {api_keys: {file: keys.yaml}}\n", &source, &said);

	(void)state;
	assert_int_equal(said.len, 0);
	assert_int_equal(cfg->identity.api_keys->keys.count, 1);
	assert_span(cfg->identity.api_keys->keys.at[0].client, "one");
	assert_string_equal(cfg->identity.api_keys->keys.at[0].where.file, "conf/keys.yaml");
	config_unref(cfg);
	buf_release(&said);
}

static void variables_are_put_in_once(void **state)
{
	struct config *cfg = load_good(
		LISTEN
		"routes:\n"
		"  - {path: /, auth: none, operation: \"a ${NAME} b\", respond: 200}\n"
		"  - {path: /b, auth: none, operation: \"${EMPTY:-c d}\", respond: 200}\n"
		"  - {path: /c, auth: none, operation: \"${NONE:-}x\", respond: 200}\n"
		"  - {path: /d, auth: none, operation: \"$${NAME} $5\", respond: 200}\n"
		"  - {path: /e, auth: none, operation: \"${TEMPLATE}\", respond: 200}\n");

	(void)state;
	assert_span(cfg->routes.at[0].operation, "a value b");
	assert_span(cfg->routes.at[1].operation, "c d");
	assert_span(cfg->routes.at[2].operation, "x");
	assert_span(cfg->routes.at[3].operation, "${NAME} $5");
	assert_span(cfg->routes.at[4].operation, "${NAME}");
	config_unref(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_optional_has_its_default),
		cmocka_unit_test(the_shape_that_users_meet_is_read),
		cmocka_unit_test(identity_is_read),
		cmocka_unit_test(networks_are_read),
		cmocka_unit_test(header_defaults_can_be_changed),
		cmocka_unit_test(switches_stand_for_sections),
		cmocka_unit_test(references_keep_it_alive),
		cmocka_unit_test(included_files_are_put_together),
		cmocka_unit_test(files_of_included_folders_are_put_together_by_name),
		cmocka_unit_test(endpoints_come_from_a_file),
		cmocka_unit_test(secrets_come_from_files_and_variables),
		cmocka_unit_test(api_keys_come_from_a_file_too),
		cmocka_unit_test(variables_are_put_in_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
