/* threat_test.c - which threats a configuration leaves open. */
#include "support.h"

#include <jansson.h>

#include "base/mem.h"
#include "config/threat.h"

#define IDENTITY                                                                               \
	"identity: {providers: [{name: p, issuer: \"https://id.example\", audience: a, "       \
	"algorithms: [ES256], jwks: jwks.json}]}\n"

#define BARE                                                                                   \
	"listen: 0.0.0.0:80\nsandbox: false\n"                                                 \
	"services: {a: {endpoints: \"http://10.0.0.1\"}}\n"                                    \
	"routes: [{path: \"/a/**\", service: a, auth: none, operation: call}]\n"

#define GUARDED                                                                                \
	"listen: 127.0.0.1:80\nstore: \"sqlite:state.db\"\n" IDENTITY                          \
	"log: {audit: {path: audit.log}}\nips: {mode: block}\noverload: {}\n"                  \
	"waf: {rules: owasp-crs, mode: block}\n"                                               \
	"services:\n  a:\n    endpoints: \"https://10.0.0.1\"\n"                               \
	"    contract: {file: a.yaml, responses: enforce}\n"                                   \
	"    identity: {as: jwt, jwt: {key: key.pem, issuer: \"https://g.example\"},"          \
	" forward_authorization: false}\n"                                                     \
	"    bulkhead: {concurrent: 8}\n    breaker: {window: 10}\n"                           \
	"routes: [{path: \"/a/**\", methods: [GET, DELETE], service: a, operation: call,"      \
	" roles: [clerk], limit: {per: user, rate: 5/s}}]\n"                                   \
	"sensitive: [{operation: call, approvals: 1, by: clerk}]\n"

struct model {
	struct config *cfg;
	struct arena arena;
	struct threat_list list;
};

/* Warnings are no hindrance: they speak of the same things. */
static void model_of(struct model *m, const char *text)
{
	static const struct fake_file files[] = {{"conf/a.yaml", ""},
						 {"conf/key.pem", ""},
						 {"conf/jwks.json", ""},
						 {NULL, NULL}};
	struct fake_files list = {files};
	struct config_source source = fake_source(&list);
	struct buf said;

	m->cfg = load(text, &source, &said);
	if (!m->cfg)
		fail_msg("%s", buf_cstr(&said));
	buf_release(&said);
	arena_init(&m->arena, 1 << 20, 4096);
	m->list = (struct threat_list){.arena = &m->arena};
	assert_int_equal(threat_find(m->cfg, &m->list), 0);
}

static void release(struct model *m)
{
	arena_release(&m->arena);
	config_unref(m->cfg);
}

static const struct threat *threat_of(const struct model *m, const char *id)
{
	const struct threat *found = NULL;

	for (size_t i = 0; i < m->list.count; i++) {
		if (strcmp(m->list.at[i].kind->id, id) != 0)
			continue;
		assert_null(found);
		found = &m->list.at[i];
	}
	if (!found)
		fail_msg("there is no %s", id);
	return found;
}

static void expect(const struct model *m, const char *id, enum threat_state state)
{
	const struct threat *t = threat_of(m, id);

	if (t->state != state)
		fail_msg("%s is %s: %.*s", id, threat_state_name(t->state),
			 SPAN_ARG(t->because));
}

static void expect_of(const char *text, const char *id, enum threat_state state)
{
	struct model m;

	model_of(&m, text);
	expect(&m, id, state);
	release(&m);
}

static void what_a_bare_gateway_leaves_is_open(void **state)
{
	static const char *const open[] = {
		"threat-plain-text",	     "threat-anybody",	  "threat-unchecked-request",
		"threat-uninspected",	     "threat-no-limit",	  "threat-service-plain-text",
		"threat-gateway-unknown",    "threat-no-sandbox", "threat-no-audit",
		"threat-unchecked-response", "threat-no-bans",	  "threat-overload",
	};
	struct model m;

	(void)state;
	model_of(&m, BARE);
	for (size_t i = 0; i < COUNT_OF(open); i++)
		expect(&m, open[i], THREAT_OPEN);
	expect(&m, "threat-stuck-service", THREAT_PARTLY);
	expect(&m, "threat-slow-clients", THREAT_MITIGATED);
	assert_span(threat_of(&m, "threat-anybody")->element, "operation call");
	assert_int_equal(threat_of(&m, "threat-anybody")->where.line, 4);
	assert_int_equal(threat_of(&m, "threat-service-plain-text")->where.line, 3);
	release(&m);
}

static void a_guarded_gateway_leaves_nothing_open(void **state)
{
	struct model m;

	(void)state;
	model_of(&m, GUARDED);
	assert_true(m.list.count >= 18);
	for (size_t i = 0; i < m.list.count; i++)
		if (m.list.at[i].state != THREAT_MITIGATED)
			fail_msg("%s: %.*s", m.list.at[i].kind->id,
				 SPAN_ARG(m.list.at[i].because));
	release(&m);
}

static void what_only_observes_mitigates_in_part(void **state)
{
	static const char text[] =
		"listen: 0.0.0.0:80\ntrusted_proxies: [10.0.0.0/8]\nips: {mode: observe}\n"
		"waf: {rules: owasp-crs, mode: observe}\n"
		"services: {a: {endpoints: \"http://127.0.0.1\", contract: {file: a.yaml, "
		"mode: "
		"observe, responses: observe}}}\n"
		"routes: [{path: /a, methods: [GET], service: a, auth: none}]\n";
	static const char *const partly[] = {
		"threat-plain-text",	     "threat-no-bans",
		"threat-uninspected",	     "threat-unchecked-request",
		"threat-unchecked-response", "threat-gateway-unknown",
	};
	struct model m;

	(void)state;
	model_of(&m, text);
	for (size_t i = 0; i < COUNT_OF(partly); i++)
		expect(&m, partly[i], THREAT_PARTLY);
	expect(&m, "threat-forged-address", THREAT_MITIGATED);
	expect(&m, "threat-anybody-reads", THREAT_OPEN);
	expect(&m, "threat-service-plain-text", THREAT_MITIGATED);
	assert_int_equal(threat_severity(threat_of(&m, "threat-plain-text")), FINDING_MEDIUM);
	release(&m);
}

static void switches_that_weaken_are_found(void **state)
{
#define ROUTE "routes: [{path: /a, service: a, roles: [x]}]\n"
	(void)state;
	expect_of("listen: 127.0.0.1:80\ntrusted_proxies: [0.0.0.0/0]\n" IDENTITY
		  "services: {a: {endpoints: \"http://127.0.0.1\"}}\n" ROUTE,
		  "threat-forged-address", THREAT_OPEN);
	expect_of("listen: 127.0.0.1:80\nadmin: {address: \"0.0.0.0:9901\"}\n" IDENTITY
		  "services: {a: {endpoints: \"http://127.0.0.1\"}}\n" ROUTE,
		  "threat-open-admin", THREAT_OPEN);
	expect_of("listen: 127.0.0.1:80\nlimits: {body_rate: 0, connections_per_address: "
		  "0}\n" IDENTITY "services: {a: {endpoints: \"http://127.0.0.1\"}}\n" ROUTE,
		  "threat-slow-clients", THREAT_OPEN);
	expect_of("listen: 127.0.0.1:80\nlimits: {connections_per_address: 0}\n" IDENTITY
		  "services: {a: {endpoints: \"http://127.0.0.1\"}}\n" ROUTE,
		  "threat-many-connections", THREAT_OPEN);
	expect_of("listen: 127.0.0.1:80\n" IDENTITY
		  "services: {a: {endpoints: \"http://127.0.0.1\"}}\n"
		  "routes: [{path: /a, service: a}]\n",
		  "threat-no-authorisation", THREAT_OPEN);
	expect_of("listen: 127.0.0.1:80\n" IDENTITY
		  "services: {a: {endpoints: \"http://127.0.0.1\"}}\n"
		  "routes: [{path: /a, service: a, cors: {origins: [\"*\"]}}]\n",
		  "threat-any-origin", THREAT_OPEN);
	expect_of("listen: 127.0.0.1:80\n" IDENTITY
		  "services: {a: {endpoints: \"http://127.0.0.1\"}}\n"
		  "routes: [{path: /a, methods: [DELETE], service: a}]\n",
		  "threat-unapproved", THREAT_OPEN);
#undef ROUTE
}

static void findings_are_what_is_not_mitigated(void **state)
{
	struct finding_list findings;
	size_t left = 0;
	struct model m;

	(void)state;
	model_of(&m, BARE);
	finding_list_init(&findings, &m.arena);
	assert_int_equal(threat_to_findings(&m.list, &findings), 0);
	for (size_t i = 0; i < m.list.count; i++)
		left += m.list.at[i].state != THREAT_MITIGATED;
	assert_int_equal(findings.count, left);
	assert_span(findings.at[0].rule, "threat-plain-text");
	assert_int_equal(findings.at[0].severity, FINDING_HIGH);
	assert_span(findings.at[0].place.file, "conf/sallyport.yaml");
	assert_int_equal(findings.at[0].place.line, 1);
	release(&m);
}

static void the_json_form_counts_what_it_holds(void **state)
{
	json_error_t error;
	json_t *json;
	struct buf out;
	struct model m;

	(void)state;
	model_of(&m, BARE);
	buf_init(&out, 1 << 20);
	threat_json(m.cfg, &m.list, &out);
	json = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, &error);
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "model")), m.list.count);
	assert_int_equal(json_integer_value(json_object_get(json, "threats")), m.list.count);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(json, "flows"), 0), "operation")),
		"call");
	json_decref(json);
	buf_release(&out);
	release(&m);
}

static void markdown_keeps_names_out_of_its_own_grammar(void **state)
{
	struct buf out;
	struct model m;

	(void)state;
	model_of(&m, "listen: 127.0.0.1:80\nservices: {a: {endpoints: \"http://127.0.0.1\"}}\n"
		     "routes: [{path: /a, service: a, auth: none, operation: \"x|<b>`\"}]\n");
	buf_init(&out, 1 << 20);
	threat_markdown(m.cfg, &m.list, &out);
	assert_false(buf_failed(&out));
	assert_true(span_find(buf_span(&out), SPAN("operation x&#124;&#60;b&#62;&#96;")) <
		    out.len);
	assert_true(span_find(buf_span(&out), SPAN("<b>")) == out.len);
	assert_true(span_find(buf_span(&out), SPAN("flowchart LR")) < out.len);
	buf_release(&out);
	release(&m);
}

static void text_shows_what_is_mitigated_when_asked(void **state)
{
	struct buf brief, whole;
	struct model m;

	(void)state;
	model_of(&m, GUARDED);
	buf_init(&brief, 1 << 20);
	buf_init(&whole, 1 << 20);
	threat_text(&m.list, false, false, &brief);
	threat_text(&m.list, true, false, &whole);
	assert_true(span_find(buf_span(&brief), SPAN(" threats: 0 open, 0 partly")) < 5);
	assert_true(span_find(buf_span(&whole), SPAN("mitigated  spoofing")) < whole.len);
	buf_release(&brief);
	buf_release(&whole);
	release(&m);
}

static void each_allocation_may_fail(void **state)
{
	unsigned long n = 1;
	struct model m;

	(void)state;
	model_of(&m, BARE);
	for (;; n++) {
		struct arena arena;
		struct threat_list list = {.arena = &arena};
		struct finding_list findings;
		int result;

		arena_init(&arena, 1 << 20, 256);
		finding_list_init(&findings, &arena);
		mem_fail_at(n);
		result = threat_find(m.cfg, &list);
		if (result == 0)
			result = threat_to_findings(&list, &findings);
		/* What an arena gets on a second try is no loss. */
		if (result == 0)
			assert_int_equal(list.count, m.list.count);
		result = mem_fail_happened();
		mem_fail_at(0);
		arena_release(&arena);
		if (!result)
			break;
	}
	release(&m);
	if (n == 1)
		skip(); /* not a build with -Dfaults=true */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_bare_gateway_leaves_is_open),
		cmocka_unit_test(a_guarded_gateway_leaves_nothing_open),
		cmocka_unit_test(what_only_observes_mitigates_in_part),
		cmocka_unit_test(switches_that_weaken_are_found),
		cmocka_unit_test(findings_are_what_is_not_mitigated),
		cmocka_unit_test(the_json_form_counts_what_it_holds),
		cmocka_unit_test(markdown_keeps_names_out_of_its_own_grammar),
		cmocka_unit_test(text_shows_what_is_mitigated_when_asked),
		cmocka_unit_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
