#include "oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "base/mem.h"

struct oracle {
	ModSecurity *library;
	RulesSet *rules;
	oracle_fn *tell;
	void *context;
};

/* The text between `before` and `after` in a line; no span when there is none. */
static struct span between(struct span line, struct span before, struct span after)
{
	size_t at = span_find(line, before);
	struct span rest;

	if (at == line.len)
		return SPAN_NONE;
	rest = span_slice(line, at + before.len, line.len);
	return span_slice(rest, 0, span_find(rest, after));
}

static void on_log(void *context, const void *text)
{
	struct oracle *o = context;
	struct span line = span_cstr(text);
	struct span id = between(line, SPAN(" [id \""), SPAN("\"]"));
	struct span data = between(line, SPAN(" [data \""), SPAN("\"] ["));
	uint64_t number;

	assert_true(span_to_u64(id, &number));
	o->tell(o->context, (unsigned)number, data);
}

struct oracle *oracle_try(const char *rules)
{
	struct oracle *o = mem_zalloc(1, sizeof(*o));
	const char *error = NULL;

	assert_non_null(o);
	o->library = msc_init();
	assert_non_null(o->library);
	msc_set_log_cb(o->library, on_log);
	o->rules = msc_create_rules_set();
	assert_non_null(o->rules);
	if (msc_rules_add(o->rules, rules, &error) < 0) {
		print_message("libmodsecurity: %s\n", error ? error : "?");
		free((char *)(uintptr_t)error); /* by strdup, there */
		oracle_free(o);
		return NULL;
	}
	return o;
}

struct oracle *oracle_new(const char *rules)
{
	struct oracle *o = oracle_try(rules);

	assert_non_null(o);
	return o;
}

void oracle_free(struct oracle *o)
{
	msc_rules_cleanup(o->rules);
	msc_cleanup(o->library);
	mem_free(o);
}

static void add_header(Transaction *t, struct span name, struct span value)
{
	msc_add_n_request_header(t, (const unsigned char *)name.ptr, name.len,
				 (const unsigned char *)(value.ptr ? value.ptr : ""),
				 value.len);
}

static Transaction *begin(struct oracle *o, oracle_fn *tell, void *context, const char *target)
{
	Transaction *t = msc_new_transaction(o->library, o->rules, o);

	assert_non_null(t);
	o->tell = tell;
	o->context = context;
	msc_process_connection(t, "127.0.0.1", 1234, "127.0.0.1", 80);
	msc_process_uri(t, target, "POST", "1.1");
	return t;
}

void oracle_header(struct oracle *o, struct span value, oracle_fn *tell, void *context)
{
	Transaction *t = begin(o, tell, context, "/");

	add_header(t, SPAN("x"), value);
	msc_process_request_headers(t);
	msc_transaction_cleanup(t);
}

void oracle_request(struct oracle *o, const struct oracle_request *request, oracle_fn *tell,
		    void *context)
{
	Transaction *t = begin(o, tell, context, request->target);

	if (request->cookie.len > 0)
		add_header(t, SPAN("Cookie"), request->cookie);
	if (request->content_type.len > 0)
		add_header(t, SPAN("Content-Type"), request->content_type);
	msc_process_request_headers(t);
	if (request->body.len > 0)
		msc_append_request_body(t, (const unsigned char *)request->body.ptr,
					request->body.len);
	msc_process_request_body(t);
	msc_transaction_cleanup(t);
}
