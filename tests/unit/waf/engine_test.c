/* engine_test.c - rules at work, through the facade, with and without the pattern databases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "waf/waf.h"

struct fixture {
	struct waf_rules *rules;
	struct waf_policy *policy;
	struct waf_collections *collections;
	struct waf_worker *worker;
	struct waf_transaction *t;
	struct waf_verdict verdict;
};

static struct waf_rules *load(const char *text, bool no_prefilter, struct err *err)
{
	struct waf_text one = {.name = SPAN("rules"), .text = span_cstr(text)};
	struct waf_sources sources = {
		.texts = &one, .text_count = 1, .no_prefilter = no_prefilter};

	return waf_rules_load(&sources, err);
}

static void set_up(struct fixture *f, const char *text, bool no_prefilter,
		   const struct waf_settings *settings)
{
	struct err err = {0};

	*f = (struct fixture){.rules = load(text, no_prefilter, &err)};
	if (!f->rules)
		fail_msg("%s", err.message);
	f->policy = waf_policy_new(f->rules, settings, &err);
	if (!f->policy)
		fail_msg("%s", err.message);
	f->collections = waf_collections_new(100, &err);
	f->worker = waf_worker_new(f->collections, &err);
	assert_non_null(f->worker);
}

static void tear_down(struct fixture *f)
{
	waf_transaction_free(f->t);
	waf_worker_free(f->worker);
	waf_collections_free(f->collections);
	waf_policy_unref(f->policy);
	waf_rules_unref(f->rules);
}

static void send_request(struct fixture *f, const char *method, const char *target,
			 const char *type, const char *body)
{
	struct waf_connection connection = {SPAN("192.0.2.7"), 1234, SPAN("192.0.2.1"), 443};
	struct waf_request request = {span_cstr(method), span_cstr(target), SPAN("HTTP/1.1"),
				      SPAN("r1")};
	struct err err = {0};

	waf_transaction_free(f->t);
	f->t = waf_transaction_new(f->worker, f->policy);
	assert_non_null(f->t);
	waf_set_connection(f->t, &connection);
	waf_set_request(f->t, &request);
	waf_add_request_header(f->t, SPAN("Host"), SPAN("shop.example"));
	waf_add_request_header(f->t, SPAN("X-Kind"), SPAN("Blue"));
	waf_add_request_header(f->t, SPAN("Cookie"), SPAN("a=1; b=Two"));
	if (type)
		waf_add_request_header(f->t, SPAN("Content-Type"), span_cstr(type));
	assert_int_equal(waf_request_headers(f->t, &f->verdict, &err), 0);
	if (f->verdict.action != WAF_PASS)
		return;
	if (body)
		waf_request_body_piece(f->t, span_cstr(body));
	assert_int_equal(waf_request_body(f->t, &f->verdict, &err), 0);
}

/* The ids of all matches, "1 2 2". */
static void assert_matches(const struct fixture *f, const char *expected)
{
	char got[256] = "";
	size_t len = 0;
	const struct waf_match *match;

	for (size_t i = 0; (match = waf_match_at(f->t, i)); i++)
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%u", i ? " " : "",
					match->rule_id);
	assert_string_equal(got, expected);
}

static void assert_tx(const struct fixture *f, const char *name, const char *expected)
{
	struct span value = waf_transaction_tx(f->t, span_cstr(name));

	if (!span_eq(value, span_cstr(expected)) || !value.ptr)
		fail_msg("tx.%s is \"%.*s\", not \"%s\"", name, SPAN_ARG(value), expected);
}

static const struct waf_settings blocking = {.mode = WAF_BLOCK};
static const struct waf_settings observing = {.mode = WAF_OBSERVE};

/* Each case twice: the databases may change nothing but the time it takes. */
#define BOTH_WAYS(f, text, settings)                                                           \
	for (int way = 0; way < 2 && (set_up(f, text, way == 0, settings), true);              \
	     way++, tear_down(f))

static void denies_with_the_status_of_the_rule(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS \"@rx evil\" \"id:1,phase:2,deny,status:406,t:lowercase\"\n",
		  &blocking)
	{
		send_request(&f, "GET", "/a?x=good", NULL, NULL);
		assert_int_equal(f.verdict.action, WAF_PASS);
		assert_matches(&f, "");
		send_request(&f, "GET", "/a?x=EviL", NULL, NULL);
		assert_int_equal(f.verdict.action, WAF_BLOCKED);
		assert_int_equal(f.verdict.status, 406);
		assert_int_equal(f.verdict.rule_id, 1);
		assert_matches(&f, "1");
	}
}

static void fails_rather_than_look_too_long(void **state)
{
	const struct waf_connection connection = {SPAN("192.0.2.7"), 1234, SPAN("192.0.2.1"),
						  443};
	const struct waf_request request = {SPAN("POST"), SPAN("/"), SPAN("HTTP/1.1"),
					    SPAN("r1")};
	static char body[100002];
	struct fixture f;

	(void)state;
	memset(body, 'a', sizeof(body));
	body[1] = '=';
	memcpy(body + sizeof(body) - 4, "1y_x", 4);
	/* The databases would find that there is nothing to look at. */
	for (int blocks = 0; blocks < 2; blocks++) {
		struct err err = {0};

		set_up(&f,
		       "SecRequestBodyAccess On\n"
		       "SecRule ARGS \"@rx (?:a.)*[0-9]x\" \"id:1,phase:2,deny\"\n",
		       true, blocks ? &blocking : &observing);
		f.t = waf_transaction_new(f.worker, f.policy);
		assert_non_null(f.t);
		waf_set_connection(f.t, &connection);
		waf_set_request(f.t, &request);
		waf_add_request_header(f.t, SPAN("Content-Type"),
				       SPAN("application/x-www-form-urlencoded"));
		assert_int_equal(waf_request_headers(f.t, &f.verdict, &err), 0);
		waf_request_body_piece(f.t, span_of(body, sizeof(body)));
		assert_int_equal(waf_request_body(f.t, &f.verdict, &err) != 0, blocks);
		assert_true(!blocks || err.code == ERR_LIMIT);
		/* The next is none the worse for it. */
		send_request(&f, "GET", "/?x=aa1x", NULL, NULL);
		assert_matches(&f, "1");
		tear_down(&f);
	}
}

static void observes_without_blocking(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS \"@contains evil\" \"id:1,phase:1,deny\"\n"
		  "SecRule ARGS \"@contains evil\" \"id:2,phase:2,pass\"\n",
		  &observing)
	{
		send_request(&f, "GET", "/?x=evil", NULL, NULL);
		assert_int_equal(f.verdict.action, WAF_PASS);
		assert_true(f.verdict.would_block);
		assert_int_equal(f.verdict.rule_id, 1);
		assert_matches(&f, "1 2");
	}
}

static void runs_setvar_for_each_matching_value(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS|ARGS_NAMES \"@pm one two\" "
		  "\"id:1,phase:2,pass,nolog,setvar:tx.n=+2\"\n"
		  "SecRule TX:N \"@ge 6\" \"id:2,phase:2,pass\"\n",
		  &blocking)
	{
		send_request(&f, "GET", "/?one=1&b=two&c=blue", NULL, NULL);
		assert_tx(&f, "n", "4");
		assert_matches(&f, "");
		send_request(&f, "GET", "/?one=TWO&b=two", NULL, NULL);
		assert_tx(&f, "n", "6");
		assert_matches(&f, "2");
	}
}

static void matches_a_chain_only_as_a_whole(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule REQUEST_METHOD \"@streq POST\" \"id:1,phase:2,deny,chain\"\n"
		  "SecRule ARGS:a \"@rx ^(\\d+)-(\\w)\" \"capture,chain\"\n"
		  "SecRule TX:2 \"@streq x\" \"setvar:tx.seen=%{TX.1}/%{MATCHED_VAR_NAME}\"\n",
		  &observing)
	{
		send_request(&f, "GET", "/?a=12-x", NULL, NULL);
		assert_matches(&f, "");
		send_request(&f, "POST", "/?a=12-y", NULL, NULL);
		assert_matches(&f, "");
		send_request(&f, "POST", "/?a=12-x", NULL, NULL);
		assert_matches(&f, "1");
		assert_tx(&f, "seen", "12/TX:2");
	}
}

static void skips_to_markers_and_numbers_of_rules(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS:a \"@streq 1\" \"id:1,phase:1,pass,nolog,skipAfter:END\"\n"
		  "SecRule ARGS:a \"@rx .\" \"id:2,phase:1,pass\"\n"
		  "SecMarker END\n"
		  "SecRule ARGS:b \"@streq 1\" \"id:3,phase:1,pass,nolog,skip:1\"\n"
		  "SecRule ARGS:b \"@rx .\" \"id:4,phase:1,pass\"\n"
		  "SecRule ARGS \"@rx .\" \"id:5,phase:1,pass\"\n",
		  &blocking)
	{
		send_request(&f, "GET", "/?a=1&b=1", NULL, NULL);
		assert_matches(&f, "5");
		send_request(&f, "GET", "/?a=2&b=2", NULL, NULL);
		assert_matches(&f, "2 4 5");
	}
}

static void obeys_ctl(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS:off \"@streq rule\" \"id:1,phase:1,pass,nolog,"
		  "ctl:ruleRemoveById=10\"\n"
		  "SecRule ARGS:off \"@streq tag\" \"id:2,phase:1,pass,nolog,"
		  "ctl:ruleRemoveByTag=t1\"\n"
		  "SecRule ARGS:off \"@streq target\" \"id:3,phase:1,pass,nolog,"
		  "ctl:ruleRemoveTargetById=10-11;ARGS:x\"\n"
		  "SecRule ARGS:off \"@streq all\" \"id:4,phase:1,pass,nolog,"
		  "ctl:ruleEngine=Off\"\n"
		  "SecRule ARGS \"@contains evil\" \"id:10,phase:2,pass,tag:t1\"\n"
		  "SecRule ARGS \"@contains vil\" \"id:11,phase:2,pass\"\n",
		  &blocking)
	{
		send_request(&f, "GET", "/?x=evil", NULL, NULL);
		assert_matches(&f, "10 11");
		send_request(&f, "GET", "/?x=evil&off=rule", NULL, NULL);
		assert_matches(&f, "11");
		send_request(&f, "GET", "/?x=evil&off=tag", NULL, NULL);
		assert_matches(&f, "11");
		send_request(&f, "GET", "/?x=evil&off=target", NULL, NULL);
		assert_matches(&f, "");
		send_request(&f, "GET", "/?x=evil&y=evil&off=target", NULL, NULL);
		assert_matches(&f, "10 11");
		send_request(&f, "GET", "/?x=evil&off=all", NULL, NULL);
		assert_matches(&f, "");
	}
}

static void changes_rules_that_stand_elsewhere(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRuleRemoveById 1\n"
		  "SecRuleUpdateTargetById 2 \"!ARGS:x\"\n"
		  "SecRuleUpdateTargetByTag t \"REQUEST_HEADERS:X-Kind\"\n"
		  "SecRuleUpdateActionById 4 \"pass,log\"\n"
		  "SecRule ARGS \"@contains evil\" \"id:1,phase:2,deny\"\n"
		  "SecRule ARGS \"@contains evil\" \"id:2,phase:2,pass\"\n"
		  "SecRule ARGS \"@contains Blue\" \"id:3,phase:2,pass,tag:t\"\n"
		  "SecRule ARGS \"@contains evil\" \"id:4,phase:2,deny\"\n",
		  &blocking)
	{
		send_request(&f, "GET", "/?x=evil", NULL, NULL);
		assert_int_equal(f.verdict.action, WAF_PASS);
		assert_matches(&f, "3 4");
	}
}

static void looks_at_bodies_of_all_kinds(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS:json.a.b|ARGS_POST:q|XML:/*|FILES|ARGS:f \"@contains evil\" "
		  "\"id:1,phase:2,deny\"\n",
		  &blocking)
	{
		send_request(&f, "POST", "/", "application/json",
			     "{\"a\":{\"b\":\"is evil\"}}");
		assert_matches(&f, "1");
		send_request(&f, "POST", "/", "application/x-www-form-urlencoded", "q=%65vil");
		assert_matches(&f, "1");
		send_request(&f, "POST", "/", "text/xml", "<a>e<b>vil</b></a>");
		assert_matches(&f, "1");
		send_request(&f, "POST", "/", "multipart/form-data; boundary=zz",
			     "--zz\r\nContent-Disposition: form-data; name=\"f\"; "
			     "filename=\"evil.txt\"\r\n\r\nx\r\n--zz--\r\n");
		assert_matches(&f, "1");
		send_request(&f, "POST", "/", "application/json", "{\"a\":");
		assert_int_equal(f.verdict.status, 400);
		assert_matches(&f, "200002");
	}
}

static void folds_constants_without_changing_what_they_mean(void **state)
{
	struct waf_rules_info info;
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecAction \"id:1,phase:1,nolog,pass,setvar:tx.level=2,setvar:tx.list=a b\"\n"
		  "SecRule &TX:limit \"@eq 0\" \"id:2,phase:1,nolog,pass,setvar:tx.limit=5\"\n"
		  "SecRule TX:level \"@lt 2\" \"id:3,phase:2,nolog,pass,skipAfter:HIGH\"\n"
		  "SecRule ARGS \"@contains two\" \"id:4,phase:2,pass\"\n"
		  "SecMarker HIGH\n"
		  "SecRule TX:level \"@lt 3\" \"id:5,phase:2,nolog,pass,skipAfter:HIGHER\"\n"
		  "SecRule ARGS \"@contains three\" \"id:6,phase:2,pass\"\n"
		  "SecMarker HIGHER\n"
		  "SecRule ARGS \"@within %{tx.list}\" \"id:7,phase:2,pass\"\n"
		  "SecRule ARGS:set \"@rx .\" \"id:8,phase:1,nolog,pass,setvar:tx.limit=9\"\n",
		  &blocking)
	{
		waf_rules_info(f.rules, &info);
		/* 4, 7, 8, and six of our own */
		assert_int_equal(info.active, 9);
		send_request(&f, "GET", "/?x=two&y=three&z=a", NULL, NULL);
		assert_matches(&f, "4 7");
		assert_tx(&f, "limit", "5");
		send_request(&f, "GET", "/?set=1", NULL, NULL);
		assert_tx(&f, "limit", "9");
	}
}

static void keeps_collections_between_requests(void **state)
{
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},"
		  "setvar:ip.count=+1,expirevar:ip.gone=0\"\n"
		  "SecRule IP:COUNT \"@ge 3\" \"id:2,phase:1,deny,status:429\"\n",
		  &blocking)
	{
		send_request(&f, "GET", "/", NULL, NULL);
		send_request(&f, "GET", "/", NULL, NULL);
		assert_int_equal(f.verdict.action, WAF_PASS);
		send_request(&f, "GET", "/", NULL, NULL);
		assert_int_equal(f.verdict.status, 429);
	}
}

static void excludes_by_policy(void **state)
{
	static const struct waf_exclusion exclusions[] = {
		{.rule_first = 1, .path = SPAN_INIT("/free/*")},
		{.rule_first = 1, .rule_last = 2, .target = SPAN_INIT("ARGS:note")},
		{.tag = SPAN_INIT("t"), .target = SPAN_INIT("ARGS:/^any/")},
	};
	const struct waf_settings settings = {
		.mode = WAF_OBSERVE, .exclusions = exclusions, .exclusion_count = 3};
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS \"@contains evil\" \"id:1,phase:2,deny\"\n"
		  "SecRule ARGS \"@contains evil\" \"id:2,phase:2,deny,tag:t\"\n",
		  &settings)
	{
		send_request(&f, "GET", "/?x=evil", NULL, NULL);
		assert_matches(&f, "1 2");
		send_request(&f, "GET", "/?note=evil", NULL, NULL);
		assert_matches(&f, "");
		send_request(&f, "GET", "/free/a?x=evil", NULL, NULL);
		assert_matches(&f, "2");
		send_request(&f, "GET", "/?anything=evil", NULL, NULL);
		assert_matches(&f, "1");
	}
}

static void tells_of_a_match_without_telling_secrets(void **state)
{
	const struct waf_match *match;
	struct span line;
	struct fixture f;

	(void)state;
	set_up(&f,
	       "SecRule ARGS \"@rx ' or [^ ]+\" \"id:1,phase:2,deny,msg:'SQL in "
	       "%{MATCHED_VAR_NAME}',tag:sql,severity:2\"\n",
	       false, &observing);
	send_request(&f, "GET", "/find?pw=x'+or+hunter2secret", NULL, NULL);
	match = waf_match_at(f.t, 0);
	assert_non_null(match);
	assert_true(span_eq(match->variable, SPAN("ARGS:pw")));
	assert_true(span_eq(match->message, SPAN("SQL in ARGS:pw")));
	assert_true(span_eq(match->piece, SPAN("' or hunt*********")));
	assert_int_equal(match->severity, 2);
	assert_true(match->disruptive);
	assert_int_equal(match->tag_count, 1);
	line = waf_match_exclusion(f.t, match);
	assert_true(span_eq(line, SPAN("{rule: 1, target: \"ARGS:pw\", path: \"/find\"}")));
	tear_down(&f);
}

static void scans_responses(void **state)
{
	struct fixture f;
	struct err err = {0};

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule RESPONSE_STATUS \"@streq 500\" \"id:1,phase:3,pass\"\n"
		  "SecRule STATUS|STATUS_LINE \"!@streq 500\" \"id:4,phase:3,deny\"\n"
		  "SecRule RESPONSE_BODY \"@contains ORA-00942\" \"id:2,phase:4,deny\"\n"
		  "SecRule RESPONSE_HEADERS:X-Leak \"@rx .\" \"id:3,phase:5,pass\"\n",
		  &blocking)
	{
		send_request(&f, "GET", "/", NULL, NULL);
		waf_set_response(f.t, 500, SPAN("HTTP/1.1"));
		waf_add_response_header(f.t, SPAN("Content-Type"),
					SPAN("text/html; charset=utf-8"));
		waf_add_response_header(f.t, SPAN("X-Leak"), SPAN("1"));
		assert_int_equal(waf_response_headers(f.t, &f.verdict, &err), 0);
		assert_int_equal(f.verdict.action, WAF_PASS);
		assert_true(waf_wants_response_body(f.t));
		waf_response_body_piece(f.t, SPAN("error ORA-"));
		waf_response_body_piece(f.t, SPAN("00942: no"));
		assert_int_equal(waf_response_body(f.t, &f.verdict, &err), 0);
		assert_int_equal(f.verdict.action, WAF_BLOCKED);
		assert_int_equal(waf_finish(f.t, &err), 0);
		assert_matches(&f, "1 2 3");
	}
}

static void refuses_bodies_that_are_too_long_to_look_at(void **state)
{
	const struct waf_settings settings = {.mode = WAF_BLOCK,
					      .limits = {.request_body_bytes = 8}};
	struct fixture f;

	(void)state;
	BOTH_WAYS(&f, "SecRule ARGS \"@contains x\" \"id:1,phase:2,pass\"\n", &settings)
	{
		send_request(&f, "POST", "/", "application/x-www-form-urlencoded", "a=1234567");
		assert_int_equal(f.verdict.action, WAF_BLOCKED);
		assert_int_equal(f.verdict.status, 413);
	}
	BOTH_WAYS(&f,
		  "SecRequestBodyLimitAction ProcessPartial\n"
		  "SecRule INBOUND_DATA_ERROR \"@eq 1\" \"id:1,phase:2,pass\"\n",
		  &settings)
	{
		send_request(&f, "POST", "/", "application/x-www-form-urlencoded", "a=1234567");
		assert_int_equal(f.verdict.action, WAF_PASS);
		assert_matches(&f, "1");
	}
}

static void sees_a_value_again_as_it_saw_it_first(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f,
	       "SecRule ARGS|REQUEST_HEADERS:X-Kind \"@rx (?i)blue.*\" \"id:1,phase:1,pass\"\n"
	       "SecRule ARGS \"@detectSQLi\" \"id:2,phase:2,pass\"\n",
	       false, &blocking);
	for (int i = 0; i < 3; i++) {
		send_request(&f, "GET", "/?a=blue&b=1'+or+'1'%3d'1", NULL, NULL);
		assert_matches(&f, "1 2");
		send_request(&f, "GET", "/?a=green", NULL, NULL);
		assert_matches(&f, "1");
	}
	tear_down(&f);
}

/* The worker's second request takes the memory of its first. */
static void allocates_nothing_for_a_request_that_matches_nothing(void **state)
{
	static const char *const targets[] = {"/shop?colour=blue&page=1",
					      "/shop?colour=red&page=22"};
	struct fixture f;
	struct err err = {0};

	(void)state;
	BOTH_WAYS(&f,
		  "SecRule ARGS|REQUEST_HEADERS|REQUEST_COOKIES \"@rx (?i)union\\s+select\" "
		  "\"id:1,phase:2,deny,t:urlDecodeUni,t:lowercase\"\n"
		  "SecRule ARGS \"@pm evil worse\" \"id:2,phase:2,deny\"\n"
		  "SecRule REQUEST_METHOD \"!@within GET POST\" \"id:3,phase:1,deny\"\n"
		  "SecRule RESPONSE_BODY \"@contains ORA-\" \"id:4,phase:4,deny\"\n",
		  &blocking)
	{
		for (size_t i = 0; i < COUNT_OF(targets); i++) {
			/* Without -Dfaults=true this says nothing, and fails nothing. */
			mem_fail_at(i);
			send_request(&f, "GET", targets[i], NULL, NULL);
			waf_set_response(f.t, 200, SPAN("HTTP/1.1"));
			waf_add_response_header(f.t, SPAN("Content-Type"), SPAN("text/html"));
			assert_int_equal(waf_response_headers(f.t, &f.verdict, &err), 0);
			waf_response_body_whole(f.t, SPAN("<p>a lamp</p>"));
			assert_int_equal(waf_response_body(f.t, &f.verdict, &err), 0);
			assert_int_equal(waf_finish(f.t, &err), 0);
			assert_matches(&f, "");
			waf_transaction_free(f.t);
			f.t = NULL;
		}
		assert_false(mem_fail_happened());
		mem_fail_at(0);
	}
}

static void fails_closed_when_memory_is_short(void **state)
{
	static const char text[] =
		"SecRule ARGS|REQUEST_COOKIES \"@rx e(v)il\" \"id:1,phase:2,deny,capture,"
		"msg:'%{TX.1} %{MATCHED_VAR}',setvar:tx.%{MATCHED_VAR_NAME}=1,t:urlDecode\"\n";
	struct waf_request request = {SPAN("GET"), SPAN("/?x=evi%256c"), SPAN("HTTP/1.1"),
				      SPAN("r")};
	struct fixture f;

	(void)state;
	set_up(&f, text, false, &blocking);
	for (unsigned long n = 1; n < 200; n++) {
		struct waf_transaction *t;
		struct waf_verdict verdict = {.action = WAF_PASS};
		struct err err = {0};
		bool failed;
		bool done;

		/* A worker that has seen nothing, so that each allocation comes. */
		waf_worker_free(f.worker);
		f.worker = waf_worker_new(NULL, &err);
		assert_non_null(f.worker);
		mem_fail_at(n);
		t = waf_transaction_new(f.worker, f.policy);
		failed = !t;
		if (t) {
			waf_set_request(t, &request);
			waf_add_request_header(t, SPAN("Cookie"), SPAN("a=b"));
			failed = waf_request_headers(t, &verdict, &err) != 0 ||
				 waf_request_body(t, &verdict, &err) != 0;
		}
		done = !mem_fail_happened();
		mem_fail_at(0);
		/* Either it could not say, or it has said what is true. */
		if (!failed)
			assert_int_equal(verdict.action, WAF_BLOCKED);
		waf_transaction_free(t);
		if (done) {
			assert_false(failed);
			tear_down(&f);
			return;
		}
	}
	fail_msg("allocations never end");
}

static void refuses_rules_that_cannot_work(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{"SecRule ARGS \"@rx a\" \"id:1,skipAfter:NOWHERE\"\n",
		 "rules:1: there is no marker NOWHERE"},
		{"SecRule ARGS a \"id:1\"\nSecRule ARGS b \"id:1\"\n",
		 "rules:2: the id 1 is that of rules:1 too"},
		{"SecRule ARGS \"@rsub s/a/b/\" \"id:1\"\n", NULL},
		{"SecRule ARGS \"@rx (\" \"id:1\"\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};

		assert_null(load(cases[i].text, true, &err));
		if (cases[i].message)
			assert_string_equal(err.message, cases[i].message);
		else
			assert_memory_equal(err.message, "rules:1: ", 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denies_with_the_status_of_the_rule),
		cmocka_unit_test(observes_without_blocking),
		cmocka_unit_test(fails_rather_than_look_too_long),
		cmocka_unit_test(runs_setvar_for_each_matching_value),
		cmocka_unit_test(matches_a_chain_only_as_a_whole),
		cmocka_unit_test(skips_to_markers_and_numbers_of_rules),
		cmocka_unit_test(obeys_ctl),
		cmocka_unit_test(changes_rules_that_stand_elsewhere),
		cmocka_unit_test(looks_at_bodies_of_all_kinds),
		cmocka_unit_test(folds_constants_without_changing_what_they_mean),
		cmocka_unit_test(keeps_collections_between_requests),
		cmocka_unit_test(excludes_by_policy),
		cmocka_unit_test(tells_of_a_match_without_telling_secrets),
		cmocka_unit_test(scans_responses),
		cmocka_unit_test(refuses_bodies_that_are_too_long_to_look_at),
		cmocka_unit_test(sees_a_value_again_as_it_saw_it_first),
		cmocka_unit_test(allocates_nothing_for_a_request_that_matches_nothing),
		cmocka_unit_test(fails_closed_when_memory_is_short),
		cmocka_unit_test(refuses_rules_that_cannot_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
