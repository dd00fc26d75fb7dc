/* full.h - a configuration with something of everything, for tests of the whole. */
#ifndef TEST_CONFIG_FULL_H
#define TEST_CONFIG_FULL_H

/* Its file names are all "there"; it uses variable TOKEN. */
static const char full_config[] =
	"include: more.yaml\n"
	"listen:\n"
	"  - address: 0.0.0.0:8443\n"
	"    tls:\n"
	"      certificates:\n"
	"        - {certificate: there, key: there, names: [a.example, \"*.b.example\"]}\n"
	"        - {certificate: there, key: there, ocsp: there}\n"
	"      client_ca: there\n"
	"      client_auth: optional\n"
	"  - {address: \"unix:run/sock\", proxy_protocol: accept, h2c: true}\n"
	"workers: 2\n"
	"worker_cpus: [0, 1]\n"
	"user: nobody\n"
	"trusted_proxies: [127.0.0.0/8, \"::1\"]\n"
	"forwarded: {client_headers: trusted, send: [x-forwarded, forwarded]}\n"
	"log: {level: warn, format: text, access: access.log, audit: {path: audit.log}}\n"
	"store: {url: \"postgres://u:hunter3@db/x\", shared: \"redis://:hunter4@cache\"}\n"
	"identity:\n"
	"  providers:\n"
	"    - name: main\n"
	"      issuer: https://id.example\n"
	"      audience: [shop]\n"
	"      jwks: {url: \"https://id.example/keys\"}\n"
	"      introspection:\n"
	"        {url: \"https://id.example/ask\", client_id: us, client_secret: "
	"\"${TOKEN}\"}\n"
	"  api_keys: {file: keys.yaml}\n"
	"  client_certificates: [{spiffe: \"spiffe://shop/ns/*\", identity: \"${TOKEN}\"}]\n"
	"  roles: {admin: {permissions: [\"orders:*\"], includes: [user]}, user: {}}\n"
	"services:\n"
	"  a:\n"
	"    endpoints: [http://10.0.0.1:8080, {url: http://10.0.0.2, weight: 2}]\n"
	"    balance: {policy: consistent_hash, by: cookie, name: sid}\n"
	"    identity: {as: jwt, jwt: {key: there, algorithm: ES256}}\n"
	"    bulkhead: 64\n"
	"    breaker: {slow: 2s}\n"
	"    health: /up\n"
	"    fallback: {status: 200, body: \"{}\", headers: {x-fallback: \"yes\"}}\n"
	"routes:\n"
	"  - path: /orders/{id}\n"
	"    host: shop.example\n"
	"    methods: [GET]\n"
	"    service: a\n"
	"    operation: readOrder\n"
	"    scopes: [\"orders:read\", openid]\n"
	"    roles: [admin, user]\n"
	"    permissions: [\"orders:read\"]\n"
	"    claims: [{claim: a.b, equals: c}, {claim: d, matches: \"^e$\"}]\n"
	"    limit: [{per: user, rate: 100/s, burst: 200}, {per: address, rate: 5/m}]\n"
	"    timeout: {total: 9s}\n"
	"    request_headers: {set: {authorization: Basic hunter5, x-note: \"${TOKEN}\"}}\n"
	"  - {path: /ping, respond: {status: 204}, auth: none, body: 0}\n"
	"  - {path: /login, respond: {status: 200, body: hi}, auth: optional}\n"
	"sensitive: [{operation: readOrder, by: admin}]\n"
	"waf: {mode: observe}\n";

static const struct fake_file full_files[] = {
	{"conf/there", "x"},
	{"conf/more.yaml", "services: {b: {endpoints: https://b}}\n"
			   "routes: [{path: \"/b/**\", service: b, auth: none}]\n"},
	{"conf/keys.yaml", "- sha256: 11112222333344445555666677778888"
			   "11112222333344445555666677778888\n"
			   "  client: batch\n"},
	{NULL, NULL}};

#endif
