/*
 * seclang_fuzz.c - text as rules. What is refused names a place; what is taken gives the same rules
 * when it is read again, and answers a request.
 */
#include <assert.h>
#include <stdint.h>

#include "waf/waf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum waf_lookup lookup(void *context, struct span name, uint32_t *address)
{
	(void)context;
	assert(name.len > 0 && name.len <= 253 && name.ptr[name.len] == '\0');
	*address = 0x7f000000 + (uint32_t)name.len;
	return (enum waf_lookup)(name.len % 3);
}

static int inspect(void *context, const struct waf_program_call *call, char *output,
		   size_t size, size_t *len, struct err *err)
{
	(void)context;
	assert(call->content.ptr && size > 0);
	assert(!call->environment.len ||
	       call->environment.ptr[call->environment.len - 1] == '\0');
	if (call->content.len % 3 == 2)
		return err_set(err, ERR_TIMEOUT, "no answer");
	output[0] = call->content.len % 3 ? '1' : '0';
	*len = 1;
	return 0;
}

static void execute(void *context, const struct waf_program_call *call)
{
	(void)context;
	assert(!call->content.ptr);
}

static void ask(struct waf_rules *rules)
{
	static const struct waf_hooks hooks = {
		.lookup = lookup, .inspect = inspect, .execute = execute};
	const struct waf_settings settings = {.mode = WAF_BLOCK};
	struct waf_request request = {SPAN("POST"), SPAN("/a%20b?x=1&y=%27or+1"),
				      SPAN("HTTP/1.1"), SPAN("1")};
	struct waf_policy *policy = waf_policy_new(rules, &settings, NULL);
	struct waf_worker *worker = waf_worker_new(NULL, NULL);
	struct waf_transaction *t;
	struct waf_verdict verdict;

	assert(policy && worker);
	waf_worker_set_hooks(worker, &hooks);
	t = waf_transaction_new(worker, policy);
	assert(t);
	waf_set_request(t, &request);
	waf_add_request_header(t, SPAN("Content-Type"), SPAN("application/json"));
	waf_add_request_header(t, SPAN("Cookie"), SPAN("a=b"));
	if (waf_request_headers(t, &verdict, NULL) == 0 && verdict.action == WAF_PASS) {
		waf_request_body_piece(t, SPAN("{\"a\":[1,\"two\"]}"));
		if (waf_request_body(t, &verdict, NULL) == 0)
			assert(verdict.action == WAF_PASS || verdict.status >= 100);
	}
	(void)waf_finish(t, NULL);
	waf_transaction_free(t);
	waf_worker_free(worker);
	waf_policy_unref(policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct waf_text text = {.name = SPAN("rules"), .text = span_of(data, size)};
	struct waf_sources sources = {
		.texts = &text, .text_count = 1, .no_prefilter = true, .any_program = true};
	struct waf_rules_info first;
	struct waf_rules_info second;
	struct waf_rules *rules;
	struct err err = {0};

	rules = waf_rules_load(&sources, &err);
	if (!rules) {
		assert(err.code != ERR_NONE && err.message[0]);
		return 0;
	}
	waf_rules_info(rules, &first);
	ask(rules);
	waf_rules_unref(rules);
	rules = waf_rules_load(&sources, &err);
	assert(rules);
	waf_rules_info(rules, &second);
	assert(first.rules == second.rules && first.active == second.active);
	waf_rules_unref(rules);
	return 0;
}
