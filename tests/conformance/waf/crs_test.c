/*
 * crs_test.c - the regression tests of the Core Rule Set against the rules that Debian has: each
 * request logs the rule that it should, or does not log the one that it should not, but for the
 * differences listed below, each of which must still differ.
 * Usage: crs_test PROJECT CACHE-FOLDER
 *
 * The tests were written for ModSecurity 2 on Apache; the rules are read in its dialect.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "parse/http1.h"
#include "tests/conformance/waf/engines.h"

#define SKIPPED 77
#define RULES_FOLDER "/usr/share/modsecurity-crs/rules"

/* The limits that the tests expect to be set; the set-up file has them as examples. */
static const char setup[] =
	"SecAction \"id:900110,phase:1,nolog,pass,t:none,setvar:tx.max_num_args=255,"
	"setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,"
	"setvar:tx.total_arg_length=64000,setvar:tx.max_file_size=1048576,"
	"setvar:tx.combined_file_sizes=1048576,setvar:tx.crs_validate_utf8_encoding=1\"\n";

static const struct {
	const char *title;
	const char *reason;
} differences[] = {
	{"920181-1", "expects that the server drops Content-Length beside Transfer-Encoding "
		     "before rules run; ours refuses such a request (RFC 9112 section 6.1)"},
};

static const char *difference(struct span title)
{
	for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++)
		if (span_eq(title, span_cstr(differences[i].title)))
			return differences[i].reason;
	return NULL;
}

/* Whether the strict parser of the gateway refuses the head, so that no rule sees it. */
static bool is_refused(const struct request_case *c)
{
	struct http_field fields[CASE_HEADERS_MAX];
	struct http1_limits limits = {
		.line_bytes = 8192, .head_bytes = 65536, .field_count = CASE_HEADERS_MAX};
	struct http1_head head = {.fields = fields};
	struct buf text;
	size_t consumed;
	bool refused;

	buf_init(&text, 1 << 20);
	(void)buf_printf(&text, "%.*s %.*s %.*s\r\n", SPAN_ARG(c->method), SPAN_ARG(c->target),
			 SPAN_ARG(c->protocol));
	for (size_t i = 0; i < c->header_count; i++)
		(void)buf_printf(&text, "%.*s: %.*s\r\n", SPAN_ARG(c->headers[i].name),
				 SPAN_ARG(c->headers[i].value));
	(void)buf_append_cstr(&text, "\r\n");
	refused = http1_parse_request(&head, buf_span(&text), &limits, &consumed) != HTTP1_DONE;
	if (!refused && head.framing == HTTP1_LENGTH && head.content_length > c->body.len)
		refused = true; /* the client never finishes: a time-out */
	buf_release(&text);
	return refused;
}

static bool is_expected(const struct request_case *c, const struct ids *ids)
{
	switch (c->expect) {
	case CASE_EXPECTS_RULE: return ids_have(ids, c->rule);
	case CASE_EXPECTS_NO_RULE: return !ids_have(ids, c->rule);
	case CASE_EXPECTS_REFUSAL: return ids->count > 0 || is_refused(c);
	case CASE_EXPECTS_NOTHING: return true;
	}
	return false;
}

static int run_all(struct subject *subject, const struct case_list *list)
{
	size_t expected = 0;
	size_t listed = 0;
	size_t failed = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct request_case *c = list->at[i];
		const char *reason = difference(c->title);
		struct err err = {0};
		static struct ids ids;
		bool ok;

		if (subject_run(subject, c, &ids, &err) != 0) {
			printf("%.*s: %s\n", SPAN_ARG(c->title), err.message);
			failed++;
			continue;
		}
		ok = is_expected(c, &ids);
		expected += ok;
		listed += !ok && reason;
		if (ok && reason)
			failed++;
		if (ok == !reason && ok)
			continue;
		printf("%.*s: %s\n", SPAN_ARG(c->title),
		       ok	? "does not differ any more"
		       : reason ? reason
				: "not as expected");
	}
	printf("%zu requests, %zu as expected (%.2f %%), %zu listed differences, %zu others\n",
	       list->count, expected, 100.0 * (double)expected / (double)list->count, listed,
	       list->count - expected - listed);
	return failed == 0 && list->count > 2000 && expected + listed == list->count ? 0 : 1;
}

static int load_and_run(const struct case_list *list, const char *cache_folder)
{
	char path[] = "/tmp/sallyport-crs-setup-XXXXXX";
	struct span paths[2] = {span_cstr(path), SPAN("owasp-crs")};
	struct waf_sources sources = {.paths = paths,
				      .path_count = 2,
				      .paranoia = 4,
				      .dialect = WAF_MODSECURITY_2,
				      .cache_folder = cache_folder};
	struct subject subject;
	struct err err = {0};
	int fd = mkstemp(path);
	int status = 1;

	if (fd < 0 || write(fd, setup, sizeof(setup) - 1) != (ssize_t)sizeof(setup) - 1) {
		perror(path);
		return 1;
	}
	(void)close(fd);
	if (subject_init(&subject, &sources, WAF_OBSERVE, &err) != 0) {
		printf("%s\n", err.message);
	} else {
		status = run_all(&subject, list);
		subject_release(&subject);
	}
	(void)unlink(path);
	return status;
}

int main(int argc, char **argv)
{
	const char *data = getenv("SALLYPORT_TEST_DATA");
	struct case_list list;
	struct err err = {0};
	char folder[4096];
	struct stat status;
	int result;

	if (argc != 3)
		return 2;
	if (data)
		(void)snprintf(folder, sizeof(folder), "%s/crs-tests", data);
	else
		(void)snprintf(folder, sizeof(folder), "%s/../shared/data/crs-tests", argv[1]);
	if (stat(folder, &status) != 0 || stat(RULES_FOLDER, &status) != 0) {
		printf("skipped: %s or " RULES_FOLDER " is not there\n", folder);
		return SKIPPED;
	}
	case_list_init(&list);
	if (cases_read_crs(&list, folder, &err) != 0) {
		printf("%s\n", err.message);
		return 1;
	}
	result = load_and_run(&list, argv[2]);
	case_list_release(&list);
	return result;
}
