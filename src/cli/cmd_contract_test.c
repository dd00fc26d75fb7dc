/* contract test: sends what a contract allows and forbids to a service, and tells what it took. */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "contract/generate.h"
#include "http/fetch.h"
#include "io/loop.h"
#include "io/tls.h"
#include "parse/json_write.h"
#include "parse/uri.h"

#define ANSWER_MAX_BYTES ((size_t)8 << 20)
#define FIELDS_MAX 72

struct tester {
	const struct options *given;
	struct contract *contract;
	struct dns *dns;
	struct tls_context *tls;
	struct buf url;
	struct buf answer;
	struct buf out;
	struct json_writer json;
	bool as_json;
	int64_t next_ms; /* when the next request may be sent */
	uint64_t sent, wrong, accepted, refused, failed;
	struct err err;
	int result;
	bool done;
};

/* ---- requests -------------------------------------------------------------------------------- */

static bool may_send(const struct tester *t, struct span method)
{
	return options_flag(t->given, "unsafe") || span_eq(method, SPAN("GET")) ||
	       span_eq(method, SPAN("HEAD")) || span_eq(method, SPAN("OPTIONS"));
}

static void make_url(struct tester *t, const struct generated *g)
{
	struct span base = span_cstr(options_text(t->given, "url"));

	while (base.len && base.ptr[base.len - 1] == '/')
		base.len--;
	buf_clear(&t->url);
	buf_append(&t->url, base);
	buf_append(&t->url, g->path);
	if (g->query.ptr) {
		buf_append_byte(&t->url, '?');
		buf_append(&t->url, g->query);
	}
}

static int send_one(struct tester *t, const struct generated *g, unsigned *status,
		    struct err *err)
{
	struct http_field fields[FIELDS_MAX];
	struct http_fetcher_options options = {
		.url = buf_span(&t->url), .tls = t->tls, .dns = t->dns, .connections_max = 1};
	struct http_fetch fetch = {.method = g->method,
				   .fields = fields,
				   .field_count = g->field_count,
				   .body = g->body};
	const char *authorization = options_text(t->given, "authorization");
	struct http_fetcher *fetcher;
	int result;

	memcpy(fields, g->fields, g->field_count * sizeof(*fields));
	if (authorization)
		fields[fetch.field_count++] =
			(struct http_field){SPAN("Authorization"), span_cstr(authorization),
					    HTTP_FIELD_AUTHORIZATION};
	fetcher = http_fetcher_new(&options, err);
	if (!fetcher)
		return -1;
	buf_clear(&t->answer);
	result = http_fetch(
		fetcher, &fetch,
		loop_deadline_ms((int64_t)options_number(t->given, "timeout") * 1000), status,
		&t->answer, err);
	http_fetcher_close(fetcher);
	return result;
}

/* ---- what the answers say -------------------------------------------------------------------- */

/* NULL: as it should be. */
static const char *judge(struct tester *t, const struct generated *g, unsigned status)
{
	if (status >= 500) {
		t->failed++;
		return "failed";
	}
	if (!g->valid && status < 400) {
		t->accepted++;
		return "accepted what the contract forbids";
	}
	/* Who asks, for what there is, how often, and in which state, are not the contract's. */
	if (g->valid && (status == 400 || status == 405 || status == 406 || status == 413 ||
			 status == 414 || status == 415 || status == 422)) {
		t->refused++;
		return "refused what the contract allows";
	}
	return NULL;
}

static void report(struct tester *t, const struct generated *g, unsigned status,
		   const char *verdict)
{
	if (t->as_json) {
		json_begin_object(&t->json);
		json_member_string(&t->json, SPAN("operation"), g->operation->id);
		json_member_string(&t->json, SPAN("method"), g->method);
		json_member_string(&t->json, SPAN("path"), g->path);
		json_member_string(&t->json, SPAN("sent"), g->what);
		json_member_bool(&t->json, SPAN("valid"), g->valid);
		json_member_int(&t->json, SPAN("status"), status);
		json_member_string(&t->json, SPAN("verdict"), span_cstr(verdict));
		json_end_object(&t->json);
		return;
	}
	buf_printf(&t->out, "%.*s: %.*s %.*s, %.*s: %u, %s\n", SPAN_ARG(g->operation->id),
		   SPAN_ARG(g->method), SPAN_ARG(g->path), SPAN_ARG(g->what), status, verdict);
}

static void wait_turn(struct tester *t)
{
	int64_t rate = (int64_t)options_number(t->given, "rate");
	int64_t now = clock_ms();

	if (t->next_ms > now)
		(void)fiber_sleep_ms(t->next_ms - now);
	t->next_ms = clock_ms() + 1000 / (rate > 0 ? rate : 1);
}

static int on_generated(void *context, const struct generated *g)
{
	struct tester *t = context;
	const char *verdict;
	unsigned status = 0;
	struct err err = {.code = ERR_NONE};

	if (t->sent >= options_number(t->given, "max"))
		return 2;
	if (!may_send(t, g->method) || g->field_count + 1 >= FIELDS_MAX)
		return 0;
	make_url(t, g);
	if (buf_failed(&t->url))
		return err_set(&t->err, ERR_MEMORY, "a URL is too long");
	wait_turn(t);
	t->sent++;
	if (send_one(t, g, &status, &err) < 0) {
		/* A redirect is an answer, which the fetcher does not follow. */
		if (err.code == ERR_DENIED || err.code == ERR_LIMIT)
			return 0;
		t->err = err;
		return -1;
	}
	verdict = judge(t, g, status);
	if (verdict) {
		t->wrong++;
		report(t, g, status, verdict);
	}
	return 0;
}

/* ---- the run --------------------------------------------------------------------------------- */

static int test_all(struct tester *t)
{
	for (size_t i = 0; i < contract_operation_count(t->contract); i++) {
		const struct contract_operation *o = contract_operation_at(t->contract, i);
		const char *only = options_text(t->given, "operation");
		int result;

		if (only && !span_eq(o->id, span_cstr(only)))
			continue;
		result = contract_generate(t->contract, o, on_generated, t, &t->err);
		if (result < 0)
			return -1;
		if (result > 0)
			break;
	}
	return 0;
}

static void fiber_main(void *arg)
{
	struct tester *t = arg;

	t->result = test_all(t);
	t->done = true;
}

static int with_loop(struct tester *t)
{
	struct dns_options dns = {.servers = NULL};
	struct loop *loop = loop_new(&t->err);

	if (!loop)
		return -1;
	t->result = -1;
	t->dns = dns_new(&dns, &t->err);
	if (t->dns && fiber_start(fiber_main, t, &t->err))
		while (!t->done)
			loop_step(loop, 1000);
	/* Connections close in the rounds after. */
	for (int i = 0; i < 4; i++)
		loop_step(loop, 0);
	if (t->dns)
		dns_free(t->dns);
	loop_free(loop);
	return t->result;
}

static int make_tls(struct tester *t)
{
	struct span url = span_cstr(options_text(t->given, "url"));
	struct tls_client_options options = {.ca = {.path = options_text(t->given, "ca")}};

	if (!span_starts_with(url, SPAN("https://")))
		return 0;
	t->tls = tls_client_context_new(&options, &t->err);
	return t->tls ? 0 : -1;
}

static enum exit_status finish(struct tester *t)
{
	enum exit_status status;

	if (t->as_json) {
		json_end_array(&t->json);
		buf_append_byte(&t->out, '\n');
	}
	status = output_text(&t->out);
	fprintf(stderr,
		"%llu requests: %llu forbidden ones were accepted, %llu allowed ones refused, "
		"%llu "
		"failed\n",
		(unsigned long long)t->sent, (unsigned long long)t->accepted,
		(unsigned long long)t->refused, (unsigned long long)t->failed);
	return t->wrong ? EXIT_STATUS_FAILED : status;
}

static enum exit_status run(const struct options *given)
{
	struct contract_options options = {.assert_formats = options_flag(given, "formats")};
	struct document_limits documents;
	struct tester t = {.given = given};
	enum exit_status status = EXIT_STATUS_USAGE;

	t.as_json = strcmp(options_text(given, "format"), "json") == 0;
	buf_init(&t.url, 1 << 16);
	buf_init(&t.answer, ANSWER_MAX_BYTES);
	buf_init(&t.out, OUTPUT_MAX_BYTES);
	json_writer_init(&t.json, &t.out);
	if (t.as_json)
		json_begin_array(&t.json);
	contract_options_memory(&options, &documents, options_number(given, "memory") << 20);
	t.contract = contract_load(options_operand(given, 0), &options, &t.err);
	if (t.contract && make_tls(&t) == 0 && with_loop(&t) == 0) {
		status = finish(&t);
	} else {
		output_error(given, &t.err);
		buf_release(&t.out);
	}
	if (t.tls)
		tls_context_unref(t.tls);
	contract_unref(t.contract);
	buf_release(&t.url);
	buf_release(&t.answer);
	return status;
}

static const char *const formats[] = {"text", "json", NULL};

static const struct option_spec option_table[] = {
	{.name = "url",
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "Where the service is, without the path of the document's servers.",
	 .initial = "http://127.0.0.1:8080"},
	{.name = "unsafe",
	 .help = "Also send methods that change something: POST, PUT, PATCH, DELETE. Never to "
		 "a "
		 "service whose data matters."},
	{.name = "rate",
	 .kind = OPTION_NUMBER,
	 .argument = "N",
	 .help = "Requests a second, at most.",
	 .initial = "10"},
	{.name = "max",
	 .kind = OPTION_NUMBER,
	 .argument = "N",
	 .help = "Requests altogether, at most.",
	 .initial = "1000"},
	{.name = "memory",
	 .kind = OPTION_NUMBER,
	 .argument = "MIB",
	 .help = "For compiled schemas, at most; for documents twice as much.",
	 .initial = "256"},
	{.name = "timeout",
	 .kind = OPTION_NUMBER,
	 .argument = "SECONDS",
	 .help = "How long to wait for an answer.",
	 .initial = "10"},
	{.name = "operation",
	 .kind = OPTION_TEXT,
	 .argument = "ID",
	 .help = "Only the operation with this operationId."},
	{.name = "authorization",
	 .kind = OPTION_TEXT,
	 .argument = "VALUE",
	 .help = "The Authorization field of all requests; better given by the environment.",
	 .environment = "SALLYPORT_AUTHORIZATION"},
	{.name = "ca",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Certificates to trust, in place of the system's."},
	{.name = "formats", .help = "Take \"format\" for an assertion."},
	{.name = "format",
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print what is wrong: text or json.",
	 .initial = "text",
	 .choices = formats},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "FILE", .help = "An OpenAPI document.", .required = true, .is_file = true},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport contract test orders.openapi.yaml --url http://127.0.0.1:8080",
	 "Ask a service only, with methods that change nothing."},
	{"SALLYPORT_AUTHORIZATION=\"Bearer $TOKEN\" sallyport contract test --unsafe api.yaml",
	 "Send everything to a service made for it."},
	{NULL, NULL},
};

const struct command cmd_contract_test = {
	.name = "contract test",
	.summary = "send valid and invalid requests made from a document to a service",
	.description =
		"Makes requests from an OpenAPI document, for each operation one that it "
		"allows and "
		"many that are wrong in one thing, sends them, and reports which wrong ones "
		"were "
		"accepted, which right ones were refused, and where the service failed.\n\n"
		"The exit status is 0 when the service keeps its contract, 1 when it does not, "
		"and 2 "
		"when it could not be asked.",
	.options = option_table,
	.operands = operands,
	.examples = examples,
	.run = run,
};
