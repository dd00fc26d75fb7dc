/* problem_test.c - every message with its place. */
#include "support.h"

#define LISTEN "listen: 127.0.0.1:8080\n"
#define OPEN "routes: [{path: /, respond: 200, auth: none}]\n"
#define SERVICE "services: {a: {endpoints: http://a}}\n"

struct bad {
	const char *text;
	const char *said;
};

static void expect(const struct bad *cases, size_t count)
{
	static const struct fake_file list[] = {{"conf/there", "x"},
						{"conf/empty", "\n"},
						{"conf/nested.yaml", "include: [there]\n"},
						{"conf/again.yaml", "\nsandbox: off\n"},
						{"conf/broken.yaml", "a: b: c\n"},
						{"conf/keys.yaml", "- {client: x}\n"},
						{"conf/d/good.yaml", "sandbox: off\n"},
						{"conf/d/worse.yaml", "a: b: c\n"},
						{NULL, NULL}};
	struct fake_files files = {list};
	struct config_source source = fake_source(&files);

	for (size_t i = 0; i < count; i++) {
		struct buf said;
		struct config *cfg = load(cases[i].text, &source, &said);

		if (!span_eq(buf_span(&said), span_cstr(cases[i].said)))
			fail_msg("file:\n%s\nexpected:\n%s\nsaid:\n%s", cases[i].text,
				 cases[i].said, buf_cstr(&said));
		buf_release(&said);
		config_unref(cfg);
	}
}

#define AT(place) "conf/sallyport.yaml:" place ": error: "
#define WARNED(place) "conf/sallyport.yaml:" place ": warning: "

static void yaml_that_is_none_is_placed(void **state)
{
	static const struct bad cases[] = {
		{"", AT("1:1") "the file is empty\n"},
		{"# nothing\n", AT("1:1") "the file is empty\n"},
		{"listen:\n\t- a\n", AT("2:1") "found character that cannot start any token "
					       "(while scanning for the "
					       "next token)\n"},
		{"listen: [a\n", AT("2:1") "did not find expected ',' or ']' (while parsing a "
					   "flow sequence)\n"},
		{"a: b: c\n", AT("1:5") "mapping values are not allowed in this context\n"},
		{"- a\n", AT("1:1") "expected a mapping, not a list\n"},
		{"hello\n", AT("1:1") "expected a mapping, not 'hello'\n"},
		{LISTEN "---\n" OPEN, AT("2:1") "a second document: only one is allowed\n"},
		{LISTEN "routes: !!seq []\n", AT("2:9") "tags are not supported\n"},
		{LISTEN OPEN LISTEN,
		 AT("3:1") "key 'listen' is there twice (first in line 1)\n"},
		{LISTEN "? [a]\n: b\n", AT("2:3") "a key must be plain text\n"},
		{LISTEN "routes: *nowhere\n",
		 AT("2:9") "alias of something that is not there yet\n"},
		{LISTEN "routes: &a [*a]\n",
		 AT("2:13") "alias of something that is not there yet\n"},
		{"a: b\nc: \xff\n", AT("2:4") "invalid leading UTF-8 octet\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void unknown_keys_get_the_nearest_known_name(void **state)
{
	static const struct bad cases[] = {
		{LISTEN OPEN "services:\n  orders: {endpoinst: [], endpoints: http://a}\n",
		 AT("4:12") "unknown key 'endpoinst' in services.orders (did you mean "
			    "'endpoints'?)\n"},
		{LISTEN OPEN "limit: {}\n",
		 AT("3:1") "unknown key 'limit' (did you mean 'limits'?)\n"},
		{LISTEN OPEN "zzz: 1\n", AT("3:1") "unknown key 'zzz'\n"},
		{LISTEN OPEN "limits: {http2: {stream: 5}}\n",
		 AT("3:18") "unknown key 'stream' in limits.http2 (did you mean 'streams'?)\n"},
		{LISTEN "routes:\n  - {path: /, respond: 200, auth: none}\n"
			"  - {path: /b, respond: 200, auth: none, x: 1}\n",
		 AT("4:42") "unknown key 'x' in routes[1]\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void values_must_be_what_their_key_takes(void **state)
{
	static const struct bad cases[] = {
		{LISTEN OPEN "workers: many\n",
		 AT("3:10") "workers: expected a whole number, not 'many'\n"},
		{LISTEN OPEN "workers: 5000\n",
		 AT("3:10") "workers: expected at least 0 and at most 1024, not '5000'\n"},
		{LISTEN OPEN "workers: [1]\n",
		 AT("3:10") "workers: expected a single value, not a list\n"},
		{LISTEN OPEN "workers:\n",
		 AT("3:9") "workers: expected a single value, but there is no value\n"},
		{LISTEN OPEN "limits: {body: 10KB}\n",
		 AT("3:16") "limits.body: expected a size such as 512, 64k or 10MiB, not "
			    "'10KB'\n"},
		{LISTEN OPEN "limits: {drain: 5}\n",
		 AT("3:17") "limits.drain: expected a duration such as 500ms, 3s, 1m, 2h or "
			    "1d, "
			    "not '5'\n"},
		{LISTEN OPEN "limits: {body_buffer: 1k}\n",
		 AT("3:23") "limits.body_buffer: expected at least 16KiB and at most 1GiB, not "
			    "'1k'\n"},
		{LISTEN OPEN "sandbox: maybe\n",
		 AT("3:10") "sandbox: expected true or false, not 'maybe'\n"},
		{LISTEN OPEN "log: {level: loud}\n",
		 AT("3:14") "log.level: expected debug, info, warn, error or off, not "
			    "'loud'\n"},
		{LISTEN OPEN "trusted_proxies: [10.0.0.1/8]\n",
		 AT("3:19") "trusted_proxies: expected a network such as 10.0.0.0/8 or "
			    "fd00::/8, "
			    "not '10.0.0.1/8'\n"},
		{"listen: 8443\n" OPEN,
		 AT("1:9") "listen.address: expected an address such as 0.0.0.0:8443, "
			   "[::1]:8443 or unix:/run/sallyport.sock, not '8443'\n"},
		{"listen: 256.0.0.1:1\n" OPEN,
		 AT("1:9") "listen.address: expected an address such as 0.0.0.0:8443, "
			   "[::1]:8443 or unix:/run/sallyport.sock, not '256.0.0.1:1'\n"},
		{LISTEN OPEN "headers: {set: {content-length: 5}}\n",
		 AT("3:17") "headers.set.content-length: this field cannot be set\n"},
		{LISTEN OPEN "headers: {set: {x-a: \"b\\r\\nc: d\"}}\n",
		 AT("3:22") "headers.set.x-a: expected the value of a header field, not "
			    "'b??c: d'\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void listeners_are_checked(void **state)
{
	static const struct bad cases[] = {
		{OPEN, AT("1:1") "'listen' is missing\n"},
		{"listen: {address: a:1, tls: {certificate: there}}\n" OPEN,
		 AT("1:29") "listen.tls: 'certificate' is given without its 'key'\n"},
		{"listen: {address: a:1, tls: {key: there}}\n" OPEN,
		 AT("1:29") "listen.tls: 'certificate' is missing\n"},
		{"listen: {address: a:1, tls: {certificate: gone, key: there}}\n" OPEN,
		 AT("1:43") "listen.tls.certificate: cannot read 'conf/gone': no such file\n"},
		{"listen: {address: a:1, tls: {certificate: there, key: there, client_auth: "
		 "required}}\n" OPEN,
		 AT("1:29") "listen.tls: client_auth needs 'client_ca'\n"},
		{"listen: [a:1, a:1]\n" OPEN,
		 AT("1:15") "listen[1]: this address is there twice (line 1)\n"},
		{"listen: {address: a:1, proxy_protocol: require}\n" OPEN,
		 AT("1:9") "listen[0]: proxy_protocol: require closes every connection unless "
			   "'trusted_proxies' is given\n"},
		{LISTEN OPEN "admin: {address: \"0.0.0.0:9901\"}\n",
		 WARNED("3:8") "admin: the admin listener can be reached from other machines, "
			       "and asks nobody who they are\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void services_are_checked(void **state)
{
	static const struct bad cases[] = {
		{LISTEN OPEN "services: {a: {endpoints: []}}\n",
		 AT("3:15") "services.a: 'endpoints' is empty\n"},
		{LISTEN OPEN "services: {a: {}}\n",
		 AT("3:15") "services.a: 'endpoints' is missing\n"},
		{LISTEN OPEN "services: {a: {endpoints: ftp://a}}\n",
		 AT("3:27") "services.a.endpoints.url: expected an endpoint such as "
			    "http://10.0.0.1:8080, https://orders or h2c://orders:50051, not "
			    "'ftp://a'\n"},
		{LISTEN OPEN "services: {a: {endpoints: http://a/b}}\n",
		 AT("3:27") "services.a.endpoints.url: expected an endpoint such as "
			    "http://10.0.0.1:8080, https://orders or h2c://orders:50051, not "
			    "'http://a/b'\n"},
		{LISTEN OPEN "services: {a: {endpoints: http://a, retry: {budget: 0%, "
			     "budget_min: 0}}}\n",
		 AT("3:44") "services.a.retry: retries without a budget: set 'budget' or "
			    "'attempts: 0'\n"},
		{LISTEN OPEN "services: {a: {endpoints: http://a, protocol: h2}}\n",
		 AT("3:27") "services.a: protocol h2 needs https:// endpoints\n"},
		{LISTEN OPEN "services: {a: {endpoints: http://a, identity: jwt}}\n",
		 AT("3:47") "services.a.identity: identity as jwt needs 'jwt' with a 'key'\n"},
		{LISTEN OPEN "services: {a: {endpoints: http://a, tls: {key: there}}}\n",
		 AT("3:42") "services.a.tls: 'key' is given without its 'certificate'\n"},
		{LISTEN OPEN "services: {a: {endpoints: http://a, balance: {policy: "
			     "consistent_hash, by: header}}}\n",
		 AT("3:46") "services.a.balance: 'name' is missing\n"},
		{LISTEN OPEN "services: {a b: {endpoints: http://a}}\n",
		 AT("3:12") "services.a b: expected a name of letters, digits, '.', '_' and "
			    "'-'\n"},
		{LISTEN OPEN SERVICE,
		 WARNED("3:12") "services.a: no route leads to this service\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void routes_are_checked(void **state)
{
	static const struct bad cases[] = {
		{LISTEN, WARNED("1:1") "there are no routes: every request will be refused\n"},
		{LISTEN SERVICE "routes: [{path: /, service: b}]\n",
		 AT("3:10") "routes[0]: there is no service 'b' (did you mean 'a'?)\n"},
		{LISTEN "routes: [{path: /}]\n",
		 AT("2:10") "routes[0]: give either 'service' or 'respond'\n"},
		{LISTEN "routes: [{path: orders, respond: 200}]\n",
		 AT("2:17") "routes[0].path: expected a path such as /orders, /orders/{id} or "
			    "/orders/**, not 'orders'\n"},
		{LISTEN "routes: [{path: \"/a/**/b\", respond: 200}]\n",
		 AT("2:17") "routes[0].path: expected a path such as /orders, /orders/{id} or "
			    "/orders/**, not '/a/**/b'\n"},
		{LISTEN "routes: [{path: \"/{a}/{a}\", respond: 200}]\n",
		 AT("2:17") "routes[0].path: expected a path such as /orders, /orders/{id} or "
			    "/orders/**, not '/{a}/{a}'\n"},
		{LISTEN "routes: [{path: /a/../b, respond: 200}]\n",
		 AT("2:17") "routes[0].path: expected a path such as /orders, /orders/{id} or "
			    "/orders/**, not '/a/../b'\n"},
		{LISTEN "routes: [{path: /a%2fb, respond: 200}]\n",
		 AT("2:17") "routes[0].path: expected a path such as /orders, /orders/{id} or "
			    "/orders/**, not '/a%2fb'\n"},
		{LISTEN "routes: [{path: /a%41, respond: 200}]\n",
		 AT("2:17") "routes[0].path: expected a path such as /orders, /orders/{id} or "
			    "/orders/**, not '/a%41'\n"},
		{LISTEN "routes:\n  - {path: \"/{a}\", respond: 200, auth: none}\n"
			"  - {path: \"/{b}\", respond: 200, auth: none}\n",
		 AT("4:5") "routes[1]: another route has this path and method already "
			   "(conf/sallyport.yaml:3)\n"},
		{LISTEN
		 "routes:\n  - {path: /a, methods: [GET, PUT], respond: 200, auth: none}\n"
		 "  - {path: /a, methods: [POST], respond: 200, auth: none}\n"
		 "  - {path: /a, methods: [HEAD], respond: 200, auth: none}\n",
		 AT("5:5") "routes[2]: another route has this path and method already "
			   "(conf/sallyport.yaml:3)\n"},
		{LISTEN "routes:\n  - {path: /a, methods: [GET], respond: 200, auth: none}\n"
			"  - {path: /a, host: b, respond: 200, auth: none}\n"
			"  - {path: /a, respond: 200, auth: none}\n",
		 AT("5:5") "routes[2]: another route has this path and method already "
			   "(conf/sallyport.yaml:3)\n"},
		{LISTEN "routes: [{path: /, respond: 200, auth: none, scopes: [a]}]\n",
		 AT("2:10") "routes[0]: scopes, roles, permissions and claims need 'auth: "
			    "required'\n"},
		{LISTEN "routes: [{path: /, respond: 200}]\n",
		 WARNED("2:10") "routes[0]: 'identity' knows nobody: every request will be "
				"refused here (auth: none lets everybody in)\n"},
		{LISTEN SERVICE "routes: [{path: /ab/c, service: a, auth: none, strip_prefix: "
				"/a}]\n",
		 AT("3:10") "routes[0]: the path does not start with strip_prefix\n"},
		{LISTEN "routes: [{path: /, respond: 200, auth: none, limit: {per: user}}]\n",
		 AT("2:53") "routes[0].limit: 'rate' is missing\n"},
		{LISTEN "routes: [{path: /, respond: 200, auth: none, cors: {origins: \"*\", "
			"credentials: true}}]\n",
		 AT("2:52") "routes[0].cors: credentials cannot go with origin \"*\"\n"},
		{LISTEN OPEN "sensitive: [{operation: x, by: y}]\nstore: \"sqlite:s.db\"\n",
		 AT("3:13") "sensitive[0]: no route has the operation 'x'\n"},
		{LISTEN SERVICE
		 "routes: [{path: /, service: a, auth: optional, operation: x}]\n"
		 "sensitive: [{operation: x, by: y}]\n",
		 AT("4:13") "sensitive[0]: approvals are kept in a 'store': name one\n"},
		{LISTEN SERVICE "routes: [{path: /, service: a, auth: none, operation: x}]\n"
				"sensitive: [{operation: x, by: y}]\nstore: \"sqlite:s.db\"\n",
		 AT("4:13") "sensitive[0]: the route of 'x' (line 3) lets everybody in: who "
			    "asks must be known\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void identity_is_checked(void **state)
{
	static const struct bad cases[] = {
		{LISTEN OPEN "identity: {providers: [{name: a, issuer: b, audience: c}]}\n",
		 AT("3:24") "identity.providers[0]: 'jwks' or 'introspection' is missing\n"},
		{LISTEN OPEN "identity: {providers: [{name: a, issuer: b, audience: c, jwks: "
			     "{refresh: 5m}}]}\n",
		 AT("3:64") "identity.providers[0].jwks: give either 'file' or 'url'\n"},
		{LISTEN OPEN "identity: {providers: [{name: a, issuer: b, audience: c, jwks: "
			     "there, algorithms: [none]}]}\n",
		 AT("3:84") "identity.providers[0].algorithms: expected RS256, RS384, RS512, "
			    "PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA, not 'none'\n"},
		{LISTEN OPEN "identity: {roles: {a: {includes: b}, b: {includes: [a]}}}\n",
		 AT("3:20") "identity.roles.a: includes itself by way of others\n"},
		{LISTEN OPEN "identity: {roles: {admin: {includes: usr}, user: {}}}\n",
		 AT("3:20") "identity.roles.admin: includes 'usr', which is no role (did you "
			    "mean 'user'?)\n"},
		{LISTEN OPEN "identity: {client_certificates: [{identity: a}]}\n",
		 AT("3:34") "identity.client_certificates[0]: give one of 'spiffe', 'subject' "
			    "and 'dns'\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void discovery_is_checked(void **state)
{
	static const struct bad cases[] = {
		{LISTEN OPEN "services: {a: {endpoints: http://a, discover: {srv: a.b}}}\n",
		 AT("3:47") "services.a: give either 'endpoints' or 'discover'\n"},
		{LISTEN OPEN "services: {a: {discover: {scheme: http}}}\n",
		 AT("3:26") "services.a.discover: give one of 'srv', 'dns' and 'kubernetes'\n"},
		{LISTEN OPEN "services: {a: {discover: {srv: a.b, dns: \"a:80\"}}}\n",
		 AT("3:26") "services.a.discover: give one of 'srv', 'dns' and 'kubernetes'\n"},
		{LISTEN OPEN "services: {a: {discover: {srv: a/b}}}\n",
		 AT("3:32") "services.a.discover.srv: expected a name such as "
			    "_http._tcp.orders.example.test, not 'a/b'\n"},
		{LISTEN OPEN "services: {a: {discover: {dns: a}}}\n",
		 AT("3:32") "services.a.discover.dns: expected a name and a port, such as "
			    "orders.example.test:8080, not 'a'\n"},
		{LISTEN OPEN "services: {a: {discover: {srv: a.b, resolver: ns.test}}}\n",
		 AT("3:47") "services.a.discover.resolver: expected address:port of a name "
			    "server, not 'ns.test'\n"},
		{LISTEN OPEN "services: {a: {discover: {kubernetes: {namespace: n, service: s},"
			     " hold: 1s}}}\n",
		 AT("3:26") "services.a.discover: 'resolver', 'refresh' and 'hold' are for "
			    "'srv' and 'dns'\n"},
		{LISTEN OPEN "services: {a: {discover: {kubernetes: {namespace: n, service: "
			     "s, server: \"http://a\"}}}}\n",
		 WARNED("3:12") "services.a: no route leads to this service\n" WARNED(
			 "3:39") "services.a.discover.kubernetes: the API server is asked "
				 "without TLS: anybody on the way can read the token and "
				 "choose "
				 "the endpoints\n"},
		{LISTEN OPEN "services: {a: {protocol: h2, discover: {srv: a.b}}}\n",
		 AT("3:40") "services.a: protocol h2 needs https:// endpoints\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void the_registry_is_checked(void **state)
{
#define UPSTREAM "upstreams: {npm: {url: \"https://r.test\"}}"
#define TO_REGISTRY "routes: [{path: \"/r/**\", service: registry, auth: none}]\n"
	static const struct bad cases[] = {
		{LISTEN TO_REGISTRY "registry: {cache: c, " UPSTREAM "}\n", ""},
		{LISTEN TO_REGISTRY, AT("2:10") "routes[0]: there is no service 'registry'\n"},
		{LISTEN OPEN "registry: {cache: c, " UPSTREAM "}\n",
		 WARNED("3:11") "no route leads here: give one 'service: registry'\n"},
		{LISTEN "routes: [{path: /r, service: registry, auth: none}]\n"
			"registry: {cache: c, " UPSTREAM "}\n",
		 AT("2:10") "routes[0]: a route to the registry ends in /** and has no "
			    "parameters\n"},
		{LISTEN "routes: [{path: \"/r/**\", service: registry, auth: none},\n"
			"  {path: \"/s/**\", service: registry, auth: none}]\n"
			"registry: {cache: c, " UPSTREAM "}\n",
		 AT("3:3") "routes[1]: another route leads to the registry already\n"},
		{LISTEN TO_REGISTRY "registry: {cache: c, mode: approved, " UPSTREAM "}\n",
		 AT("3:11") "approvals are kept in a 'store': name one\n"},
		{LISTEN TO_REGISTRY "registry: {cache: c, upstreams: {nmp: {url: "
				    "\"https://r.test\"}}}\n",
		 AT("3:39") "registry.upstreams.nmp: there is no registry protocol 'nmp': "
			    "npm, pypi\n"},
		{LISTEN TO_REGISTRY "registry: {cache: c, upstreams: {npm: {url: "
				    "\"http://r.test\", token: t}}}\n",
		 WARNED("3:39") "registry.upstreams.npm: the token travels in the clear "
				"(http://)\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void other_files_are_placed_too(void **state)
{
	static const struct bad cases[] = {
		{"include: gone.yaml\n" LISTEN OPEN,
		 AT("1:10") "cannot read 'conf/gone.yaml': no such file\n"},
		{"include: d/\n" LISTEN OPEN,
		 "conf/d/worse.yaml:1:5: error: mapping values are not allowed in this "
		 "context\n"},
		{"include: e/\n" LISTEN OPEN,
		 AT("1:10") "cannot read 'conf/e/': no such file\n"},
		{"include: e/*.yaml\n" LISTEN OPEN,
		 AT("1:10") "include: there is no folder 'e/'\n"},
		{"include: e*/a.yaml\n" LISTEN OPEN,
		 AT("1:10") "include: patterns are for names of files\n"},
		{"include: nested.yaml\n" LISTEN OPEN,
		 "conf/nested.yaml:1:1: error: an included file cannot include others\n"},
		{"include: [again.yaml]\nsandbox: on\n" LISTEN OPEN,
		 "conf/again.yaml:2:1: error: key 'sandbox' is there already "
		 "(conf/sallyport.yaml:2)\n"},
		{"include: broken.yaml\n" LISTEN OPEN,
		 "conf/broken.yaml:1:5: error: mapping values are not allowed in this "
		 "context\n"},
		{LISTEN OPEN "services: {a: {endpoints_file: gone.yaml}}\n",
		 AT("3:32") "cannot read 'conf/gone.yaml': no such file\n"},
		{LISTEN OPEN "services: {a: {endpoints_file: keys.yaml}}\n",
		 "conf/keys.yaml:1:3: error: services.a.endpoints[0]: 'url' is missing\n"
		 "conf/keys.yaml:1:4: error: unknown key 'client' in "
		 "services.a.endpoints[0]\n"},
		{LISTEN OPEN "services: {a: {endpoints_file: again.yaml}}\n",
		 "conf/again.yaml:2:1: error: expected a list of endpoints\n"},
		{LISTEN OPEN "services: {a: {endpoints_file: there, endpoints: http://a}}\n",
		 AT("3:32") "give either 'endpoints' or 'endpoints_file'\n"},
		{LISTEN OPEN "services: {a: {endpoints_file: there, discover: {srv: a.b}}}\n",
		 "conf/there:1:1: error: expected a list of endpoints\n"},
		{LISTEN OPEN "identity: {api_keys: {file: keys.yaml}}\n",
		 "conf/keys.yaml:1:3: error: identity.api_keys[0]: 'sha256' is missing\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

#define SECRET(value)                                                                          \
	LISTEN OPEN "identity: {providers: [{name: a, issuer: b, audience: c,\n"               \
		    " introspection: {url: \"https://a\", client_id: d,\n"                     \
		    "  client_secret: " value "}}]}\n"

static void secrets_are_never_quoted(void **state)
{
	static const struct bad cases[] = {
		{LISTEN OPEN "workers: ${TOKEN}\n",
		 AT("3:10") "workers: expected a whole number, and the environment gives "
			    "something else\n"},
		{LISTEN OPEN "workers: ${GONE}\n",
		 AT("3:10") "environment variable GONE is not set\n"},
		{LISTEN OPEN "workers: \"${GO NE}\"\n",
		 AT("3:10") "'${GO NE}' is neither ${NAME} nor ${NAME:-default}\n"},
		{LISTEN OPEN "workers: \"${GONE\"\n",
		 AT("3:10") "'${' without '}' (write '$${' for a plain '${')\n"},
		{SECRET("file:gone"),
		 AT("5:18") "identity.providers[0].introspection.client_secret: cannot read "
			    "'conf/gone': no such file\n"},
		{SECRET("file:empty"), AT("5:18") "identity.providers[0].introspection.client_"
						  "secret: the file of the "
						  "secret is empty\n"},
		{SECRET("[hunter2]"),
		 AT("5:18") "identity.providers[0].introspection.client_secret: expected a "
			    "single value, not a list\n"},
		{LISTEN OPEN "store: mysql://root:hunter2@db/x\n",
		 AT("3:8") "store: expected sqlite:file or postgres://... as the store\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void all_problems_come_at_once_in_order(void **state)
{
	static const struct bad cases[] = {
		{"routes:\n  - {path: /, service: ordres, auth: none}\n"
		 "services:\n  orders: {endpoints: http://a, timeout: {connect: 5}}\n"
		 "listen: 1\nworkers: -1\n",
		 AT("2:5") "routes[0]: there is no service 'ordres' (did you mean "
			   "'orders'?)\n" AT(
				   "4:52") "services.orders.timeout.connect: expected a "
					   "duration such as 500ms, "
					   "3s, 1m, 2h or 1d, not '5'\n" AT(
						   "5:9") "listen.address: expected an address "
							  "such as 0.0.0.0:8443, "
							  "[::1]:8443 or "
							  "unix:/run/sallyport.sock, not "
							  "'1'\n" AT(
								  "6:10") "workers: expected a "
									  "whole number, not "
									  "'-1'\n"},
	};

	(void)state;
	expect(cases, COUNT_OF(cases));
}

static void only_the_first_twenty_are_kept(void **state)
{
	struct config_problems problems = {0};
	struct config_source source = fake_source(NULL);
	struct config *cfg = NULL;
	struct buf text, said;

	(void)state;
	buf_init(&text, 4096);
	buf_init(&said, 8192);
	buf_append_cstr(&text, LISTEN OPEN);
	for (unsigned i = 0; i < 25; i++)
		buf_printf(&text, "zzz%u: 1\n", i);
	assert_int_equal(config_load_text(buf_span(&text), "a", &source, &cfg, &problems), -1);
	assert_null(cfg);
	assert_int_equal(problems.count, CONFIG_PROBLEMS_MAX);
	assert_int_equal(problems.errors, 25);
	config_problems_print(&problems, &said);
	assert_true(span_ends_with(buf_span(&said), SPAN("\n... and 5 more\n")));
	buf_release(&said);
	buf_release(&text);
}

static void one_line_tells_the_first_error_and_no_warning(void **state)
{
	struct config_problems problems = {0};
	struct config_source source = fake_source(NULL);
	struct config *cfg = NULL;
	struct err err;

	(void)state;
	assert_int_equal(config_load_text(SPAN("admin: {address: \"0.0.0.0:9901\"}\n" OPEN
					       "listen: 127.0.0.1:8080\nworkers: -1\n"),
					  "a", &source, &cfg, &problems),
			 -1);
	assert_int_equal(problems.at[0].severity, CONFIG_WARNING);
	assert_int_equal(config_problems_to_err(&problems, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.message, "a:4:10: workers: expected a whole number, not '-1'");
	problems = (struct config_problems){0};
	assert_int_equal(config_load("/", &cfg, &problems), -1);
	assert_int_equal(config_problems_to_err(&problems, &err), -1);
	assert_string_equal(err.message, "/: '/' is not a file");
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct config_problems problems = {0};
	struct config *cfg = NULL;

	(void)state;
	assert_int_equal(config_load("/nonexistent/a.yaml", &cfg, &problems), -1);
	assert_int_equal(problems.errors, 1);
	assert_string_equal(problems.at[0].message,
			    "cannot read '/nonexistent/a.yaml': No such file or directory");
	problems = (struct config_problems){0};
	assert_int_equal(config_load("/", &cfg, &problems), -1);
	assert_string_equal(problems.at[0].message, "'/' is not a file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_that_is_none_is_placed),
		cmocka_unit_test(unknown_keys_get_the_nearest_known_name),
		cmocka_unit_test(values_must_be_what_their_key_takes),
		cmocka_unit_test(listeners_are_checked),
		cmocka_unit_test(services_are_checked),
		cmocka_unit_test(routes_are_checked),
		cmocka_unit_test(identity_is_checked),
		cmocka_unit_test(discovery_is_checked),
		cmocka_unit_test(the_registry_is_checked),
		cmocka_unit_test(other_files_are_placed_too),
		cmocka_unit_test(secrets_are_never_quoted),
		cmocka_unit_test(all_problems_come_at_once_in_order),
		cmocka_unit_test(only_the_first_twenty_are_kept),
		cmocka_unit_test(one_line_tells_the_first_error_and_no_warning),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
