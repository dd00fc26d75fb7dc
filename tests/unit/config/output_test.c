/* output_test.c - what is printed of a configuration, and of its schema. */
#include "support.h"

#include <jansson.h>

#include "full.h"

static struct config *load_full(void)
{
	struct fake_files files = {full_files};
	struct config_source source = fake_source(&files);
	struct buf said;
	struct config *cfg = load(full_config, &source, &said);

	if (said.len > 0)
		fail_msg("%s", buf_cstr(&said));
	buf_release(&said);
	return cfg;
}

static json_t *parse(struct buf *text)
{
	json_error_t error;
	json_t *json;

	assert_false(buf_failed(text));
	json = json_loadb(text->ptr, text->len, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		fail_msg("%d:%d: %s", error.line, error.column, error.text);
	return json;
}

static void the_masked_print_is_json_without_secrets(void **state)
{
	struct config *cfg = load_full();
	json_t *json, *services, *route;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	config_print_masked(cfg, &out);
	json = parse(&out);
	for (unsigned i = 2; i <= 5; i++) {
		char secret[] = "hunter?";

		secret[6] = (char)('0' + i);
		if (span_find(buf_span(&out), span_cstr(secret)) < out.len)
			fail_msg("%s is shown", secret);
	}
	services = json_object_get(json, "services");
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(
				json_object_get(json_object_get(services, "a"), "endpoints"),
				1),
			"url")),
		"http://10.0.0.2");
	assert_non_null(json_object_get(services, "b"));
	route = json_array_get(json_object_get(json, "routes"), 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(route, "timeout"),
							      "request")),
			    "30s");
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(json_object_get(route, "request_headers"), "set"),
			"authorization")),
		"***");
	json_decref(json);
	buf_release(&out);
	config_unref(cfg);
}

static void the_plan_says_who_may_do_what(void **state)
{
	struct config *cfg = load_full();
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	config_plan_text(cfg, &out);
	assert_string_equal(
		buf_cstr(&out),
		"listen\n"
		"  0.0.0.0:8443  TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2, 2 certificates, client "
		"certificates optional\n"
		"  unix:run/sock  plain text, HTTP/1.1 and h2c, PROXY protocol accepted\n"
		"admin\n"
		"  127.0.0.1:9901\n"
		"process\n"
		"  2 workers on cores 0, 1; user nobody; confined\n"
		"  logs: events from 'warn' on, requests to conf/access.log, audit to "
		"conf/audit.log\n"
		"  store: postgres, shared by redis\n"
		"clients\n"
		"  heads: a line of 8KiB, 100 fields of 32KiB, within 10s\n"
		"  bodies: at least 512B/s after 10s; answers are taken at 512B/s; to be "
		"checked, up to 1MiB each, 256MiB together\n"
		"  connections: 16384, 256 of an address; 10000 requests each; idle for 1m; "
		"drained within 30s\n"
		"  HTTP/2: 128 streams, 100 resets within 10s; heads of 32KiB and 8 "
		"continuations; windows of 256KiB and 1MiB; PING after 1m of silence, closed "
		"20s later\n"
		"  address: that of the connection, or what is said by 127.0.0.0/8, ::1/128 in "
		"fields or PROXY protocol\n"
		"  fields that services get: X-Forwarded-*, Forwarded, x-request-id, Via: "
		"sallyport\n"
		"  answers: with x-content-type-options, x-frame-options, referrer-policy, "
		"content-security-policy, cross-origin-opener-policy; on TLS "
		"strict-transport-security; without server\n"
		"identities\n"
		"  tokens of main: https://id.example for shop; RS256, PS256, ES256, EdDSA; "
		"keys at https://id.example/keys every 15m; clocks differ by 30s; others are "
		"asked about at https://id.example/ask, believed for 30s\n"
		"  API keys in x-api-key: 1\n"
		"  certificates with spiffe://shop/ns/*\n"
		"  role admin: orders:*; all of user\n"
		"  role user: no permissions\n"
		"  10000 verified tokens are remembered for 5m\n"
		"services\n"
		"  a: http://10.0.0.1:8080, http://10.0.0.2 (weight 2); timeouts: connect 1s, "
		"request 30s, idle 1m; retries: 1 within 20%\n"
		"    the endpoint by cookie sid; is told who asks by a signed token\n"
		"    breaker at 50% of 100 for 30s; at once 64; checked by http every 5s; "
		"fallback: answers 200\n"
		"  b: https://b; timeouts: connect 1s, request 30s, idle 1m; retries: 1 within "
		"20%\n"
		"    HTTP/2 PING after 6m of silence, closed 20s later\n"
		"routes (all else is refused)\n"
		"  GET shop.example/orders/{id} -> a\n"
		"      operation: readOrder\n"
		"      who: authenticated; scopes orders:read and openid; role admin or user; "
		"permissions orders:read; claim a.b equals c; claim d matches ^e$\n"
		"      limits: 100/s per user, burst 200; 5/m per address, burst 5; body up to "
		"10MiB\n"
		"      also: timeouts: total 9s; request set authorization, x-note\n"
		"  any method /ping -> answers 204\n"
		"      who: everybody\n"
		"      limits: body without limit\n"
		"  any method /login -> answers 200\n"
		"      who: everybody; credentials are checked when there are any\n"
		"      limits: body up to 10MiB\n"
		"  any method /b/** -> b\n"
		"      who: everybody\n"
		"      limits: body up to 10MiB\n"
		"operations that need approval or a better login\n"
		"  readOrder: 1 by admin within 10m\n"
		"firewall\n"
		"  observe; rules owasp-crs at paranoia 1; 100% of the requests, and "
		"responses\n");
	buf_release(&out);
	config_unref(cfg);
}

static void the_plan_says_what_is_done_when_things_go_wrong(void **state)
{
	struct config *cfg = load_good(
		"listen: 127.0.0.1:8080\n"
		"store: \"sqlite:s.db\"\n"
		"mail: {url: \"smtp://mail.test\", from: a@b.test}\n"
		"webhooks: {ops: {url: \"https://hooks.test/\", secret: sixteen bytes or so}}\n"
		"services:\n"
		"  a:\n"
		"    discover: {srv: _http._tcp.a.test}\n"
		"    breaker: {window_time: 10s}\n"
		"    bulkhead: {concurrent: 8, queue: 16, wait: 200ms, adaptive: on}\n"
		"    outlier: {consecutive_5xx: 5}\n"
		"    fallback: {stale: 10m, service: b}\n"
		"  b:\n"
		"    discover: {kubernetes: {namespace: n, service: b}, scheme: https}\n"
		"identity: {providers: [{name: p, issuer: i, audience: c, jwks: {url: "
		"\"https://i.test/\"}}]}\n"
		"routes:\n"
		"  - {path: /a, service: a, operation: one}\n"
		"  - {path: /b, service: b, operation: two}\n"
		"sensitive:\n"
		"  - {operation: one, acr: [mfa, hwk], max_age: 5m}\n"
		"  - {operation: two, acr: mfa, by: boss, approvals: 2, hold: 20s}\n"
		"procedures:\n"
		"  sick:\n"
		"    service: a\n"
		"    when:\n"
		"      - {breaker: open, for: 1m}\n"
		"      - {error_rate: 20%, for: 1m}\n"
		"      - {latency: 2s, percentile: 95, for: 2m}\n"
		"      - {healthy: 50%, for: 30s}\n"
		"    steps:\n"
		"      - {notify: ops}\n"
		"      - {mail: [a@b.test]}\n"
		"      - {shift: b, share: 50%}\n"
		"      - {shed: low}\n"
		"      - {fallback: on}\n"
		"      - {run: [/bin/true, x], after: 1m}\n"
		"      - {page: ops, after: 5m}\n"
		"    recovery: {after: 30s, canary: 5%, hold: 40s, ramp: 1m}\n");
	struct buf out;
	struct span text;

	(void)state;
	buf_init(&out, 1 << 20);
	config_plan_text(cfg, &out);
	text = buf_span(&out);
	text = span_slice(text, span_find(text, SPAN("services\n")),
			  span_find(text, SPAN("routes (")));
	assert_true(span_eq(
		text,
		SPAN("services\n"
		     "  a: endpoints from SRV records of _http._tcp.a.test; timeouts: connect "
		     "1s, "
		     "request 30s, idle 1m; retries: 1 within 20%\n"
		     "    breaker at 50% of 10s for 30s; at once up to 8, 16 wait for 200ms; "
		     "outliers are ejected; fallback: last answers for 10m, b\n"
		     "  b: endpoints from EndpointSlices of n/b at "
		     "https://kubernetes.default.svc "
		     "(https); timeouts: connect 1s, request 30s, idle 1m; retries: 1 within "
		     "20%\n"
		     "    HTTP/2 PING after 6m of silence, closed 20s later\n")));
	text = buf_span(&out);
	text = span_slice(text, span_find(text, SPAN("operations that")), text.len);
	assert_true(span_eq(
		text,
		SPAN("operations that need approval or a better login\n"
		     "  one: a login by mfa or hwk of the last 5m\n"
		     "  two: a login by mfa; 2 by boss within 10m, held for 20s\n"
		     "procedures\n"
		     "  sick: a\n"
		     "    when: breaker open for 1m; or errors at 20% for 1m; or latency of "
		     "95% at "
		     "2s for 2m; or less than 50% healthy for 30s\n"
		     "    then: notify ops; mail 1; shift 50% to b; shed low; fallback for "
		     "100%; "
		     "run /bin/true after 1m; page ops after 5m\n"
		     "    back: well for 30s, 5% of the requests for 40s, all within 1m\n"
		     "webhooks\n"
		     "  ops: https://hooks.test\n"
		     "mail\n"
		     "  smtp://mail.test from a@b.test\n")));
	buf_release(&out);
	config_unref(cfg);
}

static void expect_line(const struct buf *out, const char *line)
{
	if (span_find(buf_span(out), span_cstr(line)) == out->len)
		fail_msg("'%s' is not in\n%.*s", line, SPAN_ARG(buf_span(out)));
}

static void the_plan_says_what_is_unusual(void **state)
{
	static const char *const lines[] = {
		"  127.0.0.1:9901, may change things\n",
		"  a worker for each core; NOT confined\n",
		"  logs: no events, requests not told\n",
		"  store: sqlite\n",
		"  overload: who sends most waits at 70%, no keep-alive at 75%, short timeouts "
		"at 80%, low priority is shed at 85%, connections are refused at 95%\n",
		"  bodies: however slow; answers however slowly; ",
		"  connections: 16384; idle for 1m; drained within 30s\n",
		"heads of 32KiB and 8 continuations; windows of 256KiB and 1MiB; no PING\n",
		"  fields that services get: x-id\n",
		"  tokens of p: i for c or d; EdDSA; keys in conf/there every 15m; clocks "
		"differ by "
		"30s; only at+jwt\n",
		"  certificates of CN=x with the roles r, s, scopes t\n",
		"  certificates for *.x.test\n",
		"  a: https://a; timeouts: connect 1s, request 30s, idle 1m, total 9s\n"
		"    HTTP/2; its certificate is NOT verified; our certificate conf/there; the "
		"endpoint with the least requests; Host: b.test; is told who asks by header "
		"fields; "
		"no HTTP/2 PING\n",
		"  b: h2c://b; timeouts: connect 1s, request 30s, idle 1m; retries: 1 within "
		"20%\n"
		"    is told the time that is left in x-left; HTTP/2 PING after 1m of silence, "
		"closed "
		"5s later\n",
		"      also: path: '/a' at its front becomes '/c'; timeouts: connect 2s, idle "
		"5s; shed "
		"last; at once 7; WebSocket; pages of https://p.test; firewall: off; request "
		"set "
		"x-one, x-two; request without x-three; response without x-four\n",
		"  block; rules owasp-crs at paranoia 2; 50% of the requests; 1 exclusions\n"
		"  patch one: CVE-2026-1, CVE-2026-2; before a; for op; observe; until "
		"2030-01-31\n",
		"  ops: https://hooks.test; approvals; procedures\n",
	};
	struct config_source source = fake_source(NULL);
	struct buf out, warnings;
	struct config *cfg;

	(void)state;
	source.check_file = NULL;
	cfg = load(
		"listen: {address: 127.0.0.1:8080, h2c: on}\n"
		"admin: {actions: on}\n"
		"sandbox: off\n"
		"log: {level: off, access: off}\n"
		"store: \"sqlite:s.db\"\n"
		"overload: {shed_normal: 0%}\n"
		"limits: {body_rate: 0, response_rate: 0, connections_per_address: 0, "
		"requests_per_connection: 0, http2: {ping_interval: 0}}\n"
		"forwarded: {send: [], request_id_header: x-id, via: \"\"}\n"
		"webhooks: {ops: {url: \"https://hooks.test/a/secret\", secret: sixteen bytes "
		"or "
		"so, events: [approvals, procedures]}}\n"
		"waf: {paranoia: 2, sample: 50%, response: off, exclusions: [{rule: 9}]}\n"
		"patches: {one: {vulnerability: [CVE-2026-1, CVE-2026-2], service: a, "
		"operation: op, "
		"template: x, mode: observe, expires: 2030-01-31}}\n"
		"identity:\n"
		"  providers: [{name: p, issuer: i, audience: [c, d], algorithms: EdDSA, jwks: "
		"there, require_at_jwt: on}]\n"
		"  client_certificates:\n"
		"    - {subject: CN=x, roles: [r, s], scopes: t}\n"
		"    - {dns: \"*.x.test\"}\n"
		"  token_cache: 0\n"
		"services:\n"
		"  a:\n"
		"    endpoints: https://a\n"
		"    protocol: h2\n"
		"    balance: least_requests\n"
		"    retry: 0\n"
		"    timeout: {total: 9s}\n"
		"    pool: {ping_interval: 0}\n"
		"    tls: {verify: off, certificate: there, key: there}\n"
		"    identity: headers\n"
		"    host: b.test\n"
		"  b:\n"
		"    endpoints: h2c://b\n"
		"    deadline_field: x-left\n"
		"    pool: {ping_interval: 1m, ping_timeout: 5s}\n"
		"routes:\n"
		"  - path: /a/**\n"
		"    service: a\n"
		"    operation: op\n"
		"    auth: none\n"
		"    strip_prefix: /a\n"
		"    add_prefix: /c\n"
		"    timeout: {connect: 2s, idle: 5s}\n"
		"    priority: core\n"
		"    bulkhead: 7\n"
		"    websocket: on\n"
		"    cors: {origins: \"https://p.test\"}\n"
		"    waf: off\n"
		"    request_headers: {set: {x-one: 1, x-two: 2}, remove: x-three}\n"
		"    response_headers: {remove: x-four}\n"
		"  - {path: /b, service: b, auth: none}\n",
		&source, &warnings);
	assert_non_null(cfg);
	buf_release(&warnings);
	buf_init(&out, 1 << 20);
	config_plan_text(cfg, &out);
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		expect_line(&out, lines[i]);
	buf_release(&out);
	config_unref(cfg);
}

static void the_plan_is_data_too(void **state)
{
	struct config *cfg = load_full();
	struct buf out;
	json_t *json, *routes, *route;

	(void)state;
	buf_init(&out, 1 << 20);
	config_plan_json(cfg, &out);
	json = parse(&out);
	routes = json_object_get(json, "routes");
	assert_int_equal(json_array_size(routes), 4);
	route = json_array_get(routes, 0);
	assert_string_equal(json_string_value(json_object_get(route, "service")), "a");
	assert_string_equal(json_string_value(json_object_get(route, "auth")), "required");
	assert_int_equal(json_array_size(json_object_get(route, "scopes")), 2);
	assert_int_equal(json_array_size(json_object_get(route, "limits")), 2);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(routes, 1), "status")), 204);
	json_decref(json);
	buf_release(&out);
	config_unref(cfg);
}

static void a_full_buffer_is_failed_and_not_overrun(void **state)
{
	struct config *cfg = load_full();
	void (*const prints[])(const struct config *, struct buf *) = {
		config_print_masked, config_plan_text, config_plan_json};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(prints); i++) {
		struct buf out;

		buf_init(&out, 100);
		prints[i](cfg, &out);
		assert_true(buf_failed(&out));
		buf_release(&out);
	}
	config_unref(cfg);
}

static void the_json_schema_in_docs_is_the_schema(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 18);
	config_write_json_schema(&out);
	json_decref(parse(&out));
	expect_file(SOURCE_ROOT "/docs/sallyport.schema.json", buf_span(&out));
	buf_release(&out);
}

static void the_reference_in_docs_is_the_schema(void **state)
{
	static const struct span mark = SPAN_INIT("<!-- made from the schema: -->\n");
	struct buf out;
	FILE *file = fopen(SOURCE_ROOT "/docs/configuration.md", "r");
	size_t at;

	(void)state;
	assert_non_null(file);
	buf_init(&out, 1 << 18);
	assert_int_equal(buf_reserve(&out, 1 << 17), 0);
	out.len = fread(out.ptr, 1, 1 << 17, file);
	fclose(file);
	at = span_find(buf_span(&out), mark);
	assert_true(at < out.len);
	out.len = at + mark.len;
	config_write_reference(&out);
	assert_false(buf_failed(&out));
	expect_file(SOURCE_ROOT "/docs/configuration.md", buf_span(&out));
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_masked_print_is_json_without_secrets),
		cmocka_unit_test(the_plan_says_who_may_do_what),
		cmocka_unit_test(the_plan_says_what_is_done_when_things_go_wrong),
		cmocka_unit_test(the_plan_says_what_is_unusual),
		cmocka_unit_test(the_plan_is_data_too),
		cmocka_unit_test(a_full_buffer_is_failed_and_not_overrun),
		cmocka_unit_test(the_json_schema_in_docs_is_the_schema),
		cmocka_unit_test(the_reference_in_docs_is_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
