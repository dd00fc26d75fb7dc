/*
 * outside_test.c - what rules ask of the world outside, with hooks that note what they are asked: block
 * lists, programs, and the environment that programs get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "waf/operator.h"
#include "waf/waf.h"

/* ---- the world outside ----------------------------------------------------------------------- */

static struct {
	enum waf_lookup found;
	uint32_t address;
	char name[RBL_NAME_MAX + 1]; /* the last that was asked for */
	unsigned lookups;
	unsigned refusals; /* lists that do not serve us */
	const char *answer; /* of programs; NULL: they fail */
	struct waf_program_call call; /* the last; its spans point into the texts below */
	char content[256], file_name[64], environment[1024];
	unsigned inspections;
	unsigned executions;
} world;

static enum waf_lookup lookup(void *context, struct span name, uint32_t *address)
{
	assert_ptr_equal(context, &world);
	world.lookups++;
	(void)snprintf(world.name, sizeof(world.name), "%.*s", SPAN_ARG(name));
	*address = world.address;
	return world.found;
}

static void no_list(void *context, struct span list, uint32_t address)
{
	assert_ptr_equal(context, &world);
	assert_true(list.len > 0);
	assert_int_equal(address, world.address);
	world.refusals++;
}

static void keep(char *to, size_t size, struct span *text)
{
	assert_true(text->len <= size);
	if (text->len)
		memcpy(to, text->ptr, text->len);
	if (text->ptr)
		text->ptr = to;
}

static void note(const struct waf_program_call *call)
{
	world.call = *call;
	keep(world.content, sizeof(world.content), &world.call.content);
	keep(world.file_name, sizeof(world.file_name), &world.call.file_name);
	keep(world.environment, sizeof(world.environment), &world.call.environment);
}

static int inspect(void *context, const struct waf_program_call *call, char *output,
		   size_t size, size_t *len, struct err *err)
{
	assert_ptr_equal(context, &world);
	world.inspections++;
	note(call);
	if (!world.answer)
		return err_set(err, ERR_UNAVAILABLE, "it was killed after its time");
	*len = strlen(world.answer);
	assert_true(*len <= size);
	memcpy(output, world.answer, *len);
	return 0;
}

static void execute(void *context, const struct waf_program_call *call)
{
	assert_ptr_equal(context, &world);
	world.executions++;
	note(call);
}

static const struct waf_hooks hooks = {&world, lookup, no_list, inspect, execute};

/* ---- rules at work ----------------------------------------------------------------------------- */

static char program[] = "/tmp/sallyport-program-XXXXXX";

struct fixture {
	struct buf text; /* rules point into it */
	struct waf_rules *rules;
	struct waf_policy *policy;
	struct waf_worker *worker;
	struct waf_transaction *t;
	struct waf_verdict verdict;
	struct err err;
};

static struct waf_rules *load(const char *text, struct err *err)
{
	struct waf_text one = {.name = SPAN("rules"), .text = span_cstr(text)};
	struct span allowed[] = {SPAN("/usr/bin/other"), span_cstr(program)};
	struct waf_sources sources = {.texts = &one,
				      .text_count = 1,
				      .no_prefilter = true,
				      .programs = allowed,
				      .program_count = 2};

	err->code = ERR_NONE;
	return waf_rules_load(&sources, err);
}

/* "PROGRAM" in a rule stands for the program. */
static void set_up(struct fixture *f, const char *text)
{
	static const struct waf_settings settings = {.mode = WAF_BLOCK};

	*f = (struct fixture){.t = NULL};
	buf_init(&f->text, 65536);
	for (const char *at; (at = strstr(text, "PROGRAM")); text = at + strlen("PROGRAM"))
		buf_printf(&f->text, "%.*s%s", (int)(at - text), text, program);
	buf_append_cstr(&f->text, text);
	f->rules = load(buf_cstr(&f->text), &f->err);
	if (!f->rules)
		fail_msg("%s", f->err.message);
	f->policy = waf_policy_new(f->rules, &settings, &f->err);
	f->worker = waf_worker_new(NULL, &f->err);
	assert_true(f->policy && f->worker);
	waf_worker_set_hooks(f->worker, &hooks);
	memset(&world, 0, sizeof(world));
}

static void tear_down(struct fixture *f)
{
	waf_transaction_free(f->t);
	waf_worker_free(f->worker);
	waf_policy_unref(f->policy);
	waf_rules_unref(f->rules);
	buf_release(&f->text);
}

static int ask(struct fixture *f, const char *client, const char *target, const char *type,
	       const char *body)
{
	struct waf_connection connection = {span_cstr(client), 1234, SPAN("192.0.2.1"), 443};
	struct waf_request request = {SPAN("POST"), span_cstr(target), SPAN("HTTP/1.1"),
				      SPAN("r1")};

	waf_transaction_free(f->t);
	f->verdict = (struct waf_verdict){.action = WAF_PASS};
	f->t = waf_transaction_new(f->worker, f->policy);
	if (!f->t)
		return -1;
	waf_set_connection(f->t, &connection);
	waf_set_request(f->t, &request);
	if (type)
		waf_add_request_header(f->t, SPAN("Content-Type"), span_cstr(type));
	if (waf_request_headers(f->t, &f->verdict, &f->err) != 0)
		return -1;
	if (f->verdict.action != WAF_PASS)
		return 0;
	if (body)
		waf_request_body_piece(f->t, span_cstr(body));
	return waf_request_body(f->t, &f->verdict, &f->err);
}

static bool blocks(struct fixture *f, const char *client)
{
	assert_int_equal(ask(f, client, "/", NULL, NULL), 0);
	return f->verdict.action == WAF_BLOCKED;
}

/* ---- block lists ------------------------------------------------------------------------------- */

#define LIST_RULE                                                                              \
	"SecRule REMOTE_ADDR \"@rbl list.example\" "                                           \
	"\"id:1,phase:1,deny,capture,log,msg:'m',logdata:'%{TX.0}'\"\n"

static void an_address_is_asked_for_the_other_way_round(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, LIST_RULE);
	world.found = WAF_LOOKUP_FOUND;
	world.address = 0x7f000002;
	assert_true(blocks(&f, "192.0.2.7"));
	assert_string_equal(world.name, "7.2.0.192.list.example");
	assert_true(span_eq(waf_match_at(f.t, 0)->data, SPAN("192.0.2.7")));
	assert_true(blocks(&f, "2001:db8::1"));
	assert_string_equal(world.name, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b."
					"d.0.1.0.0.2.list.example");
	assert_true(blocks(&f, "bad.example."));
	assert_string_equal(world.name, "bad.example.list.example");
	tear_down(&f);
}

static void what_no_list_can_have_is_not_asked_for(void **state)
{
	char longest[300];
	struct fixture f;

	(void)state;
	set_up(&f, LIST_RULE);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(blocks(&f, "a b"));
	assert_false(blocks(&f, ""));
	assert_false(blocks(&f, "a..b"));
	assert_false(blocks(&f, longest));
	assert_int_equal(world.lookups, 0);
	tear_down(&f);
}

static void a_list_without_an_answer_matches_nothing(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, LIST_RULE);
	world.address = 0x7f000002;
	world.found = WAF_LOOKUP_NONE;
	assert_false(blocks(&f, "192.0.2.7"));
	world.found = WAF_LOOKUP_FAILED;
	assert_false(blocks(&f, "192.0.2.7"));
	assert_int_equal(world.lookups, 2);
	assert_int_equal(world.refusals, 0);
	tear_down(&f);
	/* As in libmodsecurity, it is not on the list then. */
	set_up(&f, "SecRule REMOTE_ADDR \"!@rbl list.example\" \"id:1,phase:1,deny\"\n");
	world.found = WAF_LOOKUP_FAILED;
	assert_true(blocks(&f, "192.0.2.7"));
	tear_down(&f);
}

static void a_list_that_does_not_serve_us_matches_nothing(void **state)
{
	static const struct {
		const char *list;
		uint32_t address;
		bool listed;
	} cases[] = {
		{"list.example", 0x7f000002, true},
		{"list.example", 0x7f0000ff, true},
		{"zen.spamhaus.org", 0x7f00000b, true},
		{"zen.spamhaus.org", 0x7ffffffe, false},
		{"zen.spamhaus.org", 0x7fffff01, false},
		{"list.example", 0xc0000201, false},
		{"multi.uribl.com", 0x7f000002, true},
		{"multi.uribl.com", 0x7f000001, false},
		{"multi.uribl.com", 0x7f0000ff, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;
		char rule[256];

		(void)snprintf(rule, sizeof(rule),
			       "SecRule REMOTE_ADDR \"@rbl %s\" \"id:1,phase:1,deny\"\n",
			       cases[i].list);
		set_up(&f, rule);
		world.found = WAF_LOOKUP_FOUND;
		world.address = cases[i].address;
		assert_int_equal(blocks(&f, "192.0.2.7"), cases[i].listed);
		assert_int_equal(world.refusals, !cases[i].listed);
		tear_down(&f);
	}
}

static void httpbl_is_asked_with_its_key(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "SecHttpBlKey abcdefghijkl\n"
		   "SecRule REMOTE_ADDR \"@rbl dnsbl.httpbl.org\" \"id:1,phase:1,deny\"\n");
	world.found = WAF_LOOKUP_FOUND;
	world.address = 0x7fffff01; /* 255 days, score 255, suspicious */
	assert_true(blocks(&f, "192.0.2.7"));
	assert_string_equal(world.name, "abcdefghijkl.7.2.0.192.dnsbl.httpbl.org");
	/* It has no others. */
	assert_false(blocks(&f, "2001:db8::1"));
	assert_false(blocks(&f, "bad.example"));
	assert_int_equal(world.lookups, 1);
	tear_down(&f);
}

/* ---- programs ---------------------------------------------------------------------------------- */

#define UPLOAD                                                                                 \
	"--x\r\nContent-Disposition: form-data; name=\"f\"; "                                  \
	"filename=\"a.txt\"\r\n\r\nhello\r\n"                                                  \
	"--x\r\nContent-Disposition: form-data; name=\"g\"; filename=\"b.txt\"\r\n\r\n\r\n"    \
	"--x--\r\n"
#define UPLOAD_TYPE "multipart/form-data; boundary=x"

static void a_program_approves_with_a_one(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "SecRule ARGS:q \"@inspectFile PROGRAM\" "
		   "\"id:7,phase:2,deny,capture,log,msg:'m',logdata:'%{TX.0}'\"\n");
	world.answer = "1 clean\n";
	assert_int_equal(ask(&f, "192.0.2.7", "/?q=a%20b", NULL, NULL), 0);
	assert_int_equal(f.verdict.action, WAF_PASS);
	assert_int_equal(world.call.program, 1);
	assert_int_equal(world.call.rule_id, 7);
	assert_true(span_eq(world.call.content, SPAN("a b")));
	assert_int_equal(world.call.file_name.len, 0);
	world.answer = "0 virus X\nmore";
	assert_int_equal(ask(&f, "192.0.2.7", "/?q=a", NULL, NULL), 0);
	assert_int_equal(f.verdict.action, WAF_BLOCKED);
	assert_true(span_eq(waf_match_at(f.t, 0)->data, SPAN("0 virus X")));
	tear_down(&f);
	set_up(&f, "SecRule ARGS:q \"!@inspectFile PROGRAM\" \"id:7,phase:2,deny\"\n");
	world.answer = "1";
	assert_int_equal(ask(&f, "192.0.2.7", "/?q=a", NULL, NULL), 0);
	assert_int_equal(f.verdict.action, WAF_BLOCKED);
	tear_down(&f);
}

static void uploads_and_bodies_are_given_as_files(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "SecRule FILES_TMPNAMES \"@inspectFile PROGRAM\" \"id:7,phase:2,deny\"\n"
		   "SecRule &FILES_TMPNAMES \"!@eq 2\" \"id:8,phase:2,deny\"\n");
	world.answer = "1";
	assert_int_equal(ask(&f, "192.0.2.7", "/", UPLOAD_TYPE, UPLOAD), 0);
	assert_int_equal(f.verdict.action, WAF_PASS);
	assert_int_equal(world.inspections, 2);
	assert_true(span_eq(world.call.file_name, SPAN("upload-1")));
	assert_int_equal(world.call.content.len, 0);
	world.answer = "0";
	assert_int_equal(ask(&f, "192.0.2.7", "/", UPLOAD_TYPE, UPLOAD), 0);
	assert_int_equal(f.verdict.action, WAF_BLOCKED);
	tear_down(&f);
	set_up(&f, "SecRule REQUEST_BODY \"@inspectFile PROGRAM\" \"id:7,phase:2,deny\"\n");
	world.answer = "1";
	assert_int_equal(ask(&f, "192.0.2.7", "/", "text/plain", "the body"), 0);
	assert_true(span_eq(world.call.file_name, SPAN("content")));
	assert_true(span_eq(world.call.content, SPAN("the body")));
	tear_down(&f);
}

/* Nobody can look at what was not kept. */
static void an_upload_beyond_the_limit_fails(void **state)
{
	struct fixture f;
	int asked;

	(void)state;
	set_up(&f, "SecUploadFileLimit 1\nSecRuleRemoveById 200002 200003\n"
		   "SecRule FILES_TMPNAMES \"@inspectFile PROGRAM\" \"id:7,phase:2,deny\"\n");
	world.answer = "1";
	asked = ask(&f, "192.0.2.7", "/", UPLOAD_TYPE,
		    "--x\r\nContent-Disposition: form-data; name=\"f\"; "
		    "filename=\"a\"\r\n\r\nhello\r\n"
		    "--x\r\nContent-Disposition: form-data; name=\"g\"; "
		    "filename=\"b\"\r\n\r\nmore\r\n--x--\r\n");
	if (asked == 0)
		fail_msg("rule %u, %u asked", f.verdict.rule_id, world.inspections);
	assert_int_equal(world.inspections, 1);
	tear_down(&f);
}

static void a_program_without_an_answer_fails_the_transaction(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "\nSecRule ARGS:q \"@inspectFile PROGRAM\" \"id:7,phase:2,deny\"\n");
	assert_int_equal(ask(&f, "192.0.2.7", "/?q=a", NULL, NULL), -1);
	assert_int_equal(f.err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(f.err.message, "rules:2: "));
	assert_non_null(strstr(f.err.message, "killed after its time"));
	world.answer = "";
	assert_int_equal(ask(&f, "192.0.2.7", "/?q=a", NULL, NULL), -1);
	assert_non_null(strstr(f.err.message, "has said nothing"));
	tear_down(&f);
}

/* The value of a variable of the environment that the last program got; NULL: none. */
static const char *variable(const char *name)
{
	struct span rest = world.call.environment;

	while (rest.len) {
		struct span one = span_cut(&rest, '\0');

		if (span_starts_with(one, span_cstr(name)) && one.ptr[strlen(name)] == '=')
			return one.ptr + strlen(name) + 1;
	}
	return NULL;
}

static void exec_tells_a_program_what_has_matched(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "SecRule ARGS:q \"@rx ^(b.*)$\" \"id:7,phase:2,pass,capture,"
		   "setenv:KIND=bad,setenv:'WHAT=%{TX.1}',exec:PROGRAM\"\n");
	assert_int_equal(ask(&f, "192.0.2.7", "/a?q=good", NULL, NULL), 0);
	assert_int_equal(world.executions, 0);
	assert_int_equal(ask(&f, "192.0.2.7", "/a?q=bad%00x", NULL, NULL), 0);
	assert_int_equal(f.verdict.action, WAF_PASS);
	assert_int_equal(world.executions, 1);
	assert_int_equal(world.call.program, 1);
	assert_null(world.call.content.ptr);
	assert_string_equal(variable("KIND"), "bad");
	assert_string_equal(variable("WHAT"), "bad");
	assert_string_equal(variable("REQUEST_METHOD"), "POST");
	assert_string_equal(variable("REQUEST_URI"), "/a?q=bad%00x");
	assert_string_equal(variable("QUERY_STRING"), "q=bad%00x");
	assert_string_equal(variable("REMOTE_ADDR"), "192.0.2.7");
	assert_string_equal(variable("UNIQUE_ID"), "r1");
	assert_string_equal(variable("RULE_ID"), "7");
	assert_null(variable("PATH"));
	tear_down(&f);
}

static void setenv_is_of_one_transaction(void **state)
{
	struct fixture f;

	(void)state;
	setenv("SALLYPORT_OUTSIDE", "process", 1);
	set_up(&f, "SecRule ENV:SALLYPORT_OUTSIDE \"!@streq process\" \"id:1,phase:1,deny\"\n"
		   "SecAction \"id:2,phase:1,pass,setenv:SALLYPORT_OUTSIDE=a,setenv:NEW=1\"\n"
		   "SecRule ENV:SALLYPORT_OUTSIDE \"!@streq a\" \"id:3,phase:1,deny\"\n"
		   "SecRule ENV:NEW \"!@eq 1\" \"id:4,phase:1,deny\"\n"
		   "SecAction \"id:5,phase:1,pass,setenv:NEW=%{ENV.NEW}%{ENV.NEW}\"\n"
		   "SecRule ENV:NEW \"!@eq 11\" \"id:6,phase:1,deny\"\n"
		   "SecAction \"id:7,phase:1,pass,setenv:!SALLYPORT_OUTSIDE\"\n"
		   "SecRule &ENV:SALLYPORT_OUTSIDE \"!@eq 0\" \"id:8,phase:1,deny\"\n");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(&f, "192.0.2.7", "/", NULL, NULL), 0);
		assert_int_equal(f.verdict.rule_id, 0);
		assert_int_equal(f.verdict.action, WAF_PASS);
	}
	assert_string_equal(getenv("SALLYPORT_OUTSIDE"), "process");
	assert_null(getenv("NEW"));
	tear_down(&f);
}

/* ---- without hooks, without memory, without permission ------------------------------------------- */

static const char *noted;

static void on_step(void *context, const struct waf_step *step)
{
	(void)context;
	if (step->note)
		noted = step->note;
	assert_true(!step->matched || step->rule_id == 2);
}

static void without_hooks_nobody_is_asked_and_nothing_matches(void **state)
{
	static const struct {
		const char *rule;
		const char *note;
	} cases[] = {
		{"SecRule REMOTE_ADDR \"!@rbl list.example\" \"id:1,phase:1,deny\"\n",
		 "the block list is not asked here"},
		{"SecRule REMOTE_ADDR \"!@inspectFile PROGRAM\" \"id:1,phase:1,deny\"\n",
		 "the program is not run here"},
		{"SecRule REMOTE_ADDR \"@rx .\" \"id:2,phase:1,pass,exec:PROGRAM\"\n",
		 "the program of exec is not run here"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		static const struct waf_hooks none = {NULL, NULL, NULL, NULL, NULL};
		struct waf_connection connection = {SPAN("192.0.2.7"), 1, SPAN("a"), 2};
		struct fixture f;

		set_up(&f, cases[i].rule);
		waf_worker_set_hooks(f.worker, &none);
		f.t = waf_transaction_new(f.worker, f.policy);
		waf_transaction_trace(f.t, on_step, NULL);
		waf_set_connection(f.t, &connection);
		assert_int_equal(waf_request_headers(f.t, &f.verdict, &f.err), 0);
		assert_int_equal(f.verdict.action, WAF_PASS);
		assert_string_equal(noted, cases[i].note);
		tear_down(&f);
	}
}

/* Either it cannot say, or it says what is true. */
static void fails_closed_when_memory_is_short(void **state)
{
	struct fixture f;
	bool done = false;

	(void)state;
	set_up(&f,
	       "SecAction \"id:1,phase:1,pass,setenv:'A=%{REMOTE_ADDR}',exec:PROGRAM\"\n"
	       "SecRule REMOTE_ADDR \"@rbl list.example\" \"id:2,phase:1,pass,capture,log\"\n"
	       "SecRule FILES_TMPNAMES \"@inspectFile PROGRAM\" "
	       "\"id:7,phase:2,deny,capture,log,msg:'m',logdata:'%{TX.0}'\"\n");
	for (unsigned n = 1; n < 2000 && !done; n++) {
		int asked;

		waf_transaction_free(f.t);
		f.t = NULL;
		waf_worker_free(f.worker);
		f.worker = waf_worker_new(NULL, &f.err);
		assert_non_null(f.worker);
		waf_worker_set_hooks(f.worker, &hooks);
		world.found = WAF_LOOKUP_FOUND;
		world.address = 0x7f000002;
		world.answer = "0 bad";
		mem_fail_at(n);
		asked = ask(&f, "192.0.2.7", "/", UPLOAD_TYPE, UPLOAD);
		done = !mem_fail_happened();
		mem_fail_at(0);
		if (asked == 0)
			assert_int_equal(f.verdict.action, WAF_BLOCKED);
		assert_true(asked == 0 || !done);
	}
	assert_true(done);
	tear_down(&f);
}

static void loading_ends_well_or_with_a_reason_when_memory_is_short(void **state)
{
	bool done = false;
	char text[512];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "SecHttpBlKey abcdefghijkl\n"
		       "SecRule REMOTE_ADDR \"@rbl dnsbl.httpbl.org\" \"id:1\"\n"
		       "SecRule ARGS \"@inspectFile %s\" \"id:2,setenv:A=1,exec:%s\"\n",
		       program, program);
	for (unsigned n = 1; n < 5000 && !done; n++) {
		struct waf_rules *rules;
		struct err err;

		mem_fail_at(n);
		rules = load(text, &err);
		done = !mem_fail_happened();
		mem_fail_at(0);
		assert_true(rules || err.message[0]);
		assert_true(rules || !done);
		waf_rules_unref(rules);
	}
	assert_true(done);
}

static void rules_that_cannot_be_run_are_refused_with_their_place(void **state)
{
	static const char *const bad[][2] = {
		{"SecRule ARGS \"@rbl\" \"id:1\"", "not the name of a block list"},
		{"SecRule ARGS \"@rbl a b\" \"id:1\"", "not the name of a block list"},
		{"SecRule ARGS \"@rbl dnsbl.httpbl.org\" \"id:1\"", "SecHttpBlKey"},
		{"SecRule ARGS \"@inspectFile /bin/sh\" \"id:1\"", "waf.programs.allow"},
		{"SecRule ARGS \"@inspectFile /x/a.lua\" \"id:1\"", "Lua"},
		{"SecRule ARGS \"@inspectFile /usr/bin/other\" \"id:1\"", "cannot run"},
		{"SecAction \"id:1,exec:/bin/sh\"", "waf.programs.allow"},
		{"SecAction \"id:1,exec:/x/a.lua\"", "Lua"},
		{"SecAction \"id:1,exec:\"", "exec needs a program"},
		{"SecAction \"id:1,setenv:a\"", "NAME=value"},
		{"SecAction \"id:1,setenv:=1\"", "NAME=value"},
		{"SecAction \"id:1,setenv:%{ARGS.a}=1\"", "not the name"},
		{"SecAction \"id:1,setenv:1a=1\"", "not the name"},
		{"SecAction \"id:1,setenv:LD_PRELOAD=/a\"", "setenv cannot change"},
		{"SecAction \"id:1,setenv:PATH=/a\"", "setenv cannot change"},
		{"SecRule ARGS \"@rsub s/a/b/\" \"id:1\"", "ModSecurity 3 does not have it"},
		{"SecRule ARGS \"@gsbLookup a\" \"id:1\"", "ModSecurity 3 does not have it"},
		{"SecRule ARGS \"@validateHash a\" \"id:1\"", "ModSecurity 3 does not have it"},
		{"SecAction \"id:1,append:a\"", "ModSecurity 3 does not have it"},
		{"SecAction \"id:1,prepend:a\"", "ModSecurity 3 does not have it"},
		{"SecAction \"id:1,proxy:a\"", "ModSecurity 3 does not have it"},
		{"SecAction \"id:1,pause:1\"", "ModSecurity 3 does not have it"},
		{"SecAction \"id:1,deprecatevar:ip.x=1/2\"", "ModSecurity 3 does not have it"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[256];
		struct err err;
		struct waf_rules *rules;

		(void)snprintf(text, sizeof(text), "\n%s\n", bad[i][0]);
		rules = load(text, &err);
		if (rules || !span_starts_with(span_cstr(err.message), SPAN("rules:2: ")) ||
		    !strstr(err.message, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], rules ? "taken" : err.message);
	}
}

static int make_program(void **state)
{
	int fd = mkstemp(program);

	(void)state;
	return fd < 0 || fchmod(fd, 0700) < 0 || close(fd) < 0 ? -1 : 0;
}

static int remove_program(void **state)
{
	(void)state;
	return unlink(program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_asked_for_the_other_way_round),
		cmocka_unit_test(what_no_list_can_have_is_not_asked_for),
		cmocka_unit_test(a_list_without_an_answer_matches_nothing),
		cmocka_unit_test(a_list_that_does_not_serve_us_matches_nothing),
		cmocka_unit_test(httpbl_is_asked_with_its_key),
		cmocka_unit_test(a_program_approves_with_a_one),
		cmocka_unit_test(uploads_and_bodies_are_given_as_files),
		cmocka_unit_test(an_upload_beyond_the_limit_fails),
		cmocka_unit_test(a_program_without_an_answer_fails_the_transaction),
		cmocka_unit_test(exec_tells_a_program_what_has_matched),
		cmocka_unit_test(setenv_is_of_one_transaction),
		cmocka_unit_test(without_hooks_nobody_is_asked_and_nothing_matches),
		cmocka_unit_test(fails_closed_when_memory_is_short),
		cmocka_unit_test(loading_ends_well_or_with_a_reason_when_memory_is_short),
		cmocka_unit_test(rules_that_cannot_be_run_are_refused_with_their_place),
	};

	return cmocka_run_group_tests(tests, make_program, remove_program);
}
