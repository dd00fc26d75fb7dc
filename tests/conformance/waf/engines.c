#include "tests/conformance/waf/engines.h"

#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "base/mem.h"
#include "waf/prelude.h"

/* ---- sets of ids ----------------------------------------------------------------------------- */

static void ids_add(struct ids *ids, uint32_t id)
{
	size_t i = ids->count;

	if (ids_have(ids, id) || ids->count == IDS_MAX)
		return;
	while (i > 0 && ids->at[i - 1] > id) {
		ids->at[i] = ids->at[i - 1];
		i--;
	}
	ids->at[i] = id;
	ids->count++;
}

bool ids_have(const struct ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->count; i++)
		if (ids->at[i] == id)
			return true;
	return false;
}

bool ids_equal(const struct ids *a, const struct ids *b)
{
	return a->count == b->count && memcmp(a->at, b->at, a->count * sizeof(a->at[0])) == 0;
}

/* ---- ours ------------------------------------------------------------------------------------ */

int subject_init(struct subject *s, const struct waf_sources *sources, enum waf_mode mode,
		 struct err *err)
{
	struct waf_settings settings = {.mode = mode};

	*s = (struct subject){.rules = waf_rules_load(sources, err)};
	if (!s->rules)
		return -1;
	s->policy = waf_policy_new(s->rules, &settings, err);
	if (s->policy)
		s->worker = waf_worker_new(NULL, err);
	if (s->worker)
		return 0;
	subject_release(s);
	return -1;
}

void subject_release(struct subject *s)
{
	waf_worker_free(s->worker);
	waf_policy_unref(s->policy);
	waf_rules_unref(s->rules);
}

static int run(struct waf_transaction *t, const struct request_case *c, struct ids *ids,
	       struct err *err)
{
	struct waf_connection connection = {SPAN("192.0.2.7"), 40000, SPAN("192.0.2.1"), 80};
	struct waf_request request = {c->method, c->target, c->protocol, SPAN("1")};
	struct waf_verdict verdict;
	const struct waf_match *match;

	waf_set_connection(t, &connection);
	waf_set_request(t, &request);
	for (size_t i = 0; i < c->header_count; i++)
		waf_add_request_header(t, c->headers[i].name, c->headers[i].value);
	if (waf_request_headers(t, &verdict, err) != 0)
		return -1;
	if (verdict.action == WAF_PASS) {
		if (waf_wants_request_body(t))
			waf_request_body_whole(t, c->body);
		if (waf_request_body(t, &verdict, err) != 0)
			return -1;
	}
	if (waf_finish(t, err) != 0)
		return -1;
	ids->blocked = verdict.action != WAF_PASS || verdict.would_block;
	for (size_t i = 0; (match = waf_match_at(t, i)); i++)
		ids_add(ids, match->rule_id);
	return 0;
}

int subject_run(struct subject *s, const struct request_case *c, struct ids *ids,
		struct err *err)
{
	struct waf_transaction *t = waf_transaction_new(s->worker, s->policy);
	int result;

	ids->count = 0;
	if (!t)
		return err_set(err, ERR_MEMORY, "no memory for a transaction");
	result = run(t, c, ids, err);
	waf_transaction_free(t);
	return result;
}

/* ---- libmodsecurity -------------------------------------------------------------------------- */

struct oracle {
	ModSecurity *library;
	RulesSet *rules;
};

/* Its log callback has no context but that of the transaction. */
static void on_log(void *context, const void *line)
{
	struct ids *ids = context;
	struct span text = span_cstr(line);
	size_t at = span_find(text, SPAN("[id \""));
	uint32_t id = 0;

	if (!ids || at == text.len)
		return;
	for (at += 5; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
		id = id * 10 + (uint32_t)(text.ptr[at] - '0');
	ids_add(ids, id);
}

static int add_text(struct oracle *o, struct span text, struct err *err)
{
	const char *why = NULL;
	char *copy = mem_strdup(text);
	int added;

	if (!copy)
		return err_set(err, ERR_MEMORY, "no memory for rules");
	added = msc_rules_add(o->rules, copy, &why);
	mem_free(copy);
	if (added < 0)
		return err_set(err, ERR_INVALID, "libmodsecurity: %s", why ? why : "?");
	return 0;
}

static int load(struct oracle *o, struct span setup, unsigned paranoia, bool blocking,
		struct err *err)
{
	char text[2048];

	if (add_text(o,
		     blocking ? SPAN("SecRuleEngine On\n")
			      : SPAN("SecRuleEngine DetectionOnly\n"),
		     err) != 0 ||
	    add_text(o, waf_prelude(), err) != 0 || add_text(o, setup, err) != 0)
		return -1;
	(void)snprintf(text, sizeof(text),
		       "SecArgumentsLimit 1000\nSecRequestBodyJsonDepthLimit 64\n"
		       "Include /etc/modsecurity/crs/crs-setup.conf\n"
		       "SecAction \"id:199999,phase:1,pass,nolog,t:none,"
		       "setvar:tx.paranoia_level=%u,setvar:tx.executing_paranoia_level=%u\"\n"
		       "Include /usr/share/modsecurity-crs/rules/*.conf\n",
		       paranoia, paranoia);
	return add_text(o, span_cstr(text), err);
}

struct oracle *oracle_new(struct span setup, unsigned paranoia, bool blocking, struct err *err)
{
	struct oracle *o = mem_zalloc(1, sizeof(*o));

	if (!o) {
		err_set(err, ERR_MEMORY, "no memory for libmodsecurity");
		return NULL;
	}
	o->library = msc_init();
	msc_set_connector_info(o->library, "conformance");
	msc_set_log_cb(o->library, on_log);
	o->rules = msc_create_rules_set();
	if (load(o, setup, paranoia, blocking, err) != 0) {
		oracle_free(o);
		return NULL;
	}
	return o;
}

void oracle_free(struct oracle *o)
{
	if (!o)
		return;
	msc_rules_cleanup(o->rules);
	msc_cleanup(o->library);
	mem_free(o);
}

static const unsigned char *bytes(struct span s)
{
	return (const unsigned char *)(s.len ? s.ptr : "");
}

/* It wants C strings here; requests with NUL bytes in these parts are not compared. */
struct line {
	char method[256];
	char target[65536];
	char version[64];
};

static void copy(char *to, size_t size, struct span from)
{
	size_t len = from.len < size - 1 ? from.len : size - 1;

	if (len)
		memcpy(to, from.ptr, len);
	to[len] = '\0';
}

static bool intervened(Transaction *t)
{
	ModSecurityIntervention it = {.status = 200};
	bool disruptive = msc_intervention(t, &it) != 0;

	free(it.log); /* NOLINT: the library's */
	free(it.url); /* NOLINT: the library's */
	return disruptive;
}

void oracle_run(struct oracle *o, const struct request_case *c, struct ids *ids)
{
	static struct line line;
	Transaction *t = msc_new_transaction(o->library, o->rules, ids);
	struct span version = c->protocol;

	ids->count = 0;
	if (span_starts_with(version, SPAN("HTTP/")))
		version = span_slice(version, 5, version.len);
	copy(line.method, sizeof(line.method), c->method);
	copy(line.target, sizeof(line.target), c->target);
	copy(line.version, sizeof(line.version), version);
	msc_process_connection(t, "192.0.2.7", 40000, "192.0.2.1", 80);
	msc_process_uri(t, line.target, line.method, line.version);
	for (size_t i = 0; i < c->header_count; i++)
		msc_add_n_request_header(t, bytes(c->headers[i].name), c->headers[i].name.len,
					 bytes(c->headers[i].value), c->headers[i].value.len);
	msc_process_request_headers(t);
	ids->blocked = intervened(t);
	if (!ids->blocked) {
		if (c->body.len)
			msc_append_request_body(t, bytes(c->body), c->body.len);
		msc_process_request_body(t);
		ids->blocked = intervened(t);
	}
	msc_process_logging(t);
	msc_transaction_cleanup(t);
}
