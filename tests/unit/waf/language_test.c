/*
 * language_test.c - the language as ModSecurity 3 documents it: GEO with a database, collections by
 * session, user and address, XML against schemas.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "waf/waf.h"

static struct waf_rules *load(const char *text, struct err *err)
{
	struct waf_text one = {.name = SPAN("rules"), .text = span_cstr(text)};
	struct waf_sources sources = {.texts = &one, .text_count = 1, .no_prefilter = true};

	err->code = ERR_NONE;
	return waf_rules_load(&sources, err);
}

/* ---- requests -------------------------------------------------------------------------------- */

struct fixture {
	struct waf_rules *rules;
	struct waf_policy *policy;
	struct waf_collections *collections;
	struct waf_worker *worker;
};

static void set_up(struct fixture *f, const char *text)
{
	const struct waf_settings settings = {.mode = WAF_BLOCK};
	struct err err = {.code = ERR_NONE};

	f->rules = load(text, &err);
	if (!f->rules)
		fail_msg("%s", err.message);
	f->policy = waf_policy_new(f->rules, &settings, &err);
	f->collections = waf_collections_new(100, &err);
	f->worker = waf_worker_new(f->collections, &err);
	assert_true(f->policy && f->collections && f->worker);
}

static void tear_down(struct fixture *f)
{
	waf_worker_free(f->worker);
	waf_collections_free(f->collections);
	waf_policy_unref(f->policy);
	waf_rules_unref(f->rules);
}

/* The status of the answer; 0 when it passes. */
static unsigned ask(struct fixture *f, const char *address, const char *target)
{
	struct waf_connection connection = {.client_address = span_cstr(address)};
	struct waf_request request = {.method = SPAN("GET"),
				      .target = span_cstr(target),
				      .protocol = SPAN("HTTP/1.1"),
				      .unique_id = SPAN("1")};
	struct waf_transaction *t = waf_transaction_new(f->worker, f->policy);
	struct waf_verdict verdict;
	struct err err;

	waf_set_connection(t, &connection);
	waf_set_request(t, &request);
	assert_int_equal(waf_request_headers(t, &verdict, &err), 0);
	if (verdict.action == WAF_PASS)
		assert_int_equal(waf_request_body(t, &verdict, &err), 0);
	assert_int_equal(waf_finish(t, &err), 0);
	waf_transaction_free(t);
	return verdict.action == WAF_PASS ? 0 : verdict.status;
}

static void collections_of_sessions_users_and_addresses_are_kept_apart(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "SecRule ARGS:s \"@rx .\" \"id:1,phase:1,pass,nolog,setsid:%{ARGS.s},"
		   "setvar:session.n=+1\"\n"
		   "SecRule ARGS:u \"@rx .\" \"id:2,phase:1,pass,nolog,setuid:%{ARGS.u},"
		   "setvar:user.n=+1\"\n"
		   "SecAction \"id:3,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR},"
		   "setvar:ip.n=+1\"\n"
		   "SecRule SESSION:n \"@ge 3\" \"id:4,phase:1,deny,status:401\"\n"
		   "SecRule USER:n \"@ge 2\" \"id:5,phase:1,deny,status:402\"\n"
		   "SecRule IP:n \"@ge 5\" \"id:6,phase:1,deny,status:429\"\n");
	assert_int_equal(ask(&f, "192.0.2.1", "/?s=a&u=x"), 0);
	assert_int_equal(ask(&f, "192.0.2.2", "/?s=b&u=y"), 0);
	assert_int_equal(ask(&f, "192.0.2.2", "/?s=a"), 0);
	assert_int_equal(ask(&f, "192.0.2.3", "/?s=a"), 401);
	assert_int_equal(ask(&f, "192.0.2.3", "/?s=b"), 0);
	assert_int_equal(ask(&f, "192.0.2.3", "/?u=x"), 402);
	assert_int_equal(ask(&f, "192.0.2.4", "/?u=z"), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask(&f, "192.0.2.9", "/"), 0);
	assert_int_equal(ask(&f, "192.0.2.9", "/"), 429);
	assert_int_equal(ask(&f, "192.0.2.8", "/"), 0);
	tear_down(&f);
}

static struct waf_transaction *begin(struct fixture *f, const char *address)
{
	struct waf_connection connection = {.client_address = span_cstr(address)};
	struct waf_request request = {.method = SPAN("GET"),
				      .target = SPAN("/"),
				      .protocol = SPAN("HTTP/1.1"),
				      .unique_id = SPAN("1")};
	struct waf_transaction *t = waf_transaction_new(f->worker, f->policy);
	struct waf_verdict verdict;
	struct err err;

	waf_set_connection(t, &connection);
	waf_set_request(t, &request);
	assert_int_equal(waf_request_headers(t, &verdict, &err), 0);
	assert_int_equal(verdict.action, WAF_PASS);
	return t;
}

static void counts_of_requests_that_are_under_way_together_add_up(void **state)
{
	struct waf_transaction *together[3];
	struct fixture f;
	struct err err;

	(void)state;
	set_up(&f, "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR}\"\n"
		   "SecRule IP:n \"@ge 4\" \"id:2,phase:1,deny,status:429\"\n"
		   "SecRule IP:m \"@le -6\" \"id:3,phase:1,deny,status:430\"\n"
		   "SecAction \"id:4,phase:5,pass,nolog,setvar:ip.n=+1,setvar:ip.m=-2\"\n");
	for (size_t i = 0; i < COUNT_OF(together); i++)
		together[i] = begin(&f, "192.0.2.1");
	for (size_t i = 0; i < COUNT_OF(together); i++) {
		assert_int_equal(waf_finish(together[i], &err), 0);
		waf_transaction_free(together[i]);
	}
	assert_int_equal(ask(&f, "192.0.2.1", "/"), 430);
	assert_int_equal(ask(&f, "192.0.2.1", "/"), 429);
	assert_int_equal(ask(&f, "192.0.2.2", "/"), 0);
	tear_down(&f);
}

/* ---- GEO: the smallest database in MaxMind's format 2.0 that says something ------------------- */

static void put_head(struct buf *to, unsigned type, size_t size)
{
	assert_true(size < 29);
	if (type > 7) {
		buf_append_byte(to, (char)size);
		buf_append_byte(to, (char)(type - 7));
	} else {
		buf_append_byte(to, (char)(type << 5 | size));
	}
}

static void put_text(struct buf *to, const char *text)
{
	put_head(to, 2, strlen(text));
	buf_append_cstr(to, text);
}

static void put_number(struct buf *to, const char *key, unsigned type, size_t bytes,
		       uint32_t value)
{
	put_text(to, key);
	put_head(to, type, bytes);
	for (size_t i = bytes; i-- > 0;)
		buf_append_byte(to, (char)(value >> (8 * i)));
}

static void put_double(struct buf *to, const char *key, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	put_text(to, key);
	put_head(to, 3, 8);
	for (unsigned i = 8; i-- > 0;)
		buf_append_byte(to, (char)(bits >> (8 * i)));
}

static void put_names(struct buf *to, const char *key, const char *english)
{
	put_text(to, key);
	put_head(to, 7, 1);
	put_text(to, "names");
	put_head(to, 7, 1);
	put_text(to, "en");
	put_text(to, english);
}

static void put_record(struct buf *to)
{
	put_head(to, 7, 5);
	put_text(to, "country");
	put_head(to, 7, 2);
	put_text(to, "iso_code");
	put_text(to, "NZ");
	put_text(to, "names");
	put_head(to, 7, 1);
	put_text(to, "en");
	put_text(to, "New Zealand");
	put_names(to, "continent", "Oceania");
	put_names(to, "city", "Wellington");
	put_text(to, "postal");
	put_head(to, 7, 1);
	put_text(to, "code");
	put_text(to, "6011");
	put_text(to, "location");
	put_head(to, 7, 2);
	put_double(to, "latitude", -41.5);
	put_double(to, "longitude", 174.25);
}

static void put_metadata(struct buf *to, uint32_t nodes)
{
	buf_append_cstr(to, "\xab\xcd\xefMaxMind.com");
	put_head(to, 7, 9);
	put_number(to, "binary_format_major_version", 5, 2, 2);
	put_number(to, "binary_format_minor_version", 5, 2, 0);
	put_number(to, "build_epoch", 9, 4, 1700000000);
	put_text(to, "database_type");
	put_text(to, "Test-City");
	put_text(to, "description");
	put_head(to, 7, 0);
	put_number(to, "ip_version", 5, 2, 4);
	put_text(to, "languages");
	put_head(to, 11, 1);
	put_text(to, "en");
	put_number(to, "node_count", 6, 4, nodes);
	put_number(to, "record_size", 5, 2, 24);
}

/* 203.0.113.0/24 is in it, and nothing else. */
static void put_database(struct buf *to)
{
	const uint32_t network = 203U << 24 | 0U << 16 | 113U << 8, nodes = 24;

	for (uint32_t i = 0; i < nodes; i++) {
		unsigned bit = network >> (31 - i) & 1;
		uint32_t records[2] = {nodes, nodes};

		records[bit] = i + 1 < nodes ? i + 1 : nodes + 16;
		for (unsigned k = 0; k < 2; k++)
			for (unsigned b = 3; b-- > 0;)
				buf_append_byte(to, (char)(records[k] >> (8 * b)));
	}
	for (unsigned i = 0; i < 16; i++)
		buf_append_byte(to, '\0');
	put_record(to);
	put_metadata(to, nodes);
}

static void places_of_addresses_come_from_the_database(void **state)
{
	char file[] = "/tmp/sallyport-geo-XXXXXX";
	int fd = mkstemp(file);
	struct buf database;
	struct fixture f;
	char text[2048];

	(void)state;
	assert_true(fd >= 0);
	buf_init(&database, 65536);
	put_database(&database);
	assert_false(buf_failed(&database));
	assert_int_equal(write(fd, database.ptr, database.len), (ssize_t)database.len);
	close(fd);
	buf_release(&database);
	(void)snprintf(
		text, sizeof(text),
		"SecGeoLookupDb %s\n"
		"SecRule REMOTE_ADDR \"!@geoLookup\" \"id:1,phase:1,deny,status:404\"\n"
		"SecRule REMOTE_ADDR \"@geoLookup\" \"id:2,phase:1,deny,status:451,chain\"\n"
		"\tSecRule GEO:COUNTRY_CODE \"@streq NZ\" \"chain\"\n"
		"\tSecRule GEO:COUNTRY_NAME \"@streq New Zealand\" \"chain\"\n"
		"\tSecRule GEO:COUNTRY_CONTINENT \"@streq Oceania\" \"chain\"\n"
		"\tSecRule GEO:CITY \"@streq Wellington\" \"chain\"\n"
		"\tSecRule GEO:POSTAL_CODE \"@streq 6011\" \"chain\"\n"
		"\tSecRule GEO:LATITUDE \"@rx ^-41\\.5\" \"chain\"\n"
		"\tSecRule GEO:LONGITUDE \"@rx ^174\\.25\" \"\"\n",
		file);
	set_up(&f, text);
	assert_int_equal(ask(&f, "203.0.113.77", "/"), 451);
	assert_int_equal(ask(&f, "203.0.114.1", "/"), 404);
	assert_int_equal(ask(&f, "2001:db8::1", "/"), 404);
	tear_down(&f);
	unlink(file);
}

static void targets_of_rules_can_be_changed_by_id_tag_and_message(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "SecRule ARGS \"@streq x\" \"id:1,phase:2,deny,status:401,tag:'t'\"\n"
		   "SecRule ARGS:z \"@streq y\" \"id:2,phase:2,deny,status:402,msg:'m'\"\n"
		   "SecRuleUpdateTargetById 1-1 \"!ARGS:a\"\n"
		   "SecRuleUpdateTargetByTag t \"!ARGS:b\"\n"
		   "SecRuleUpdateTargetByMsg m \"ARGS:c\"\n");
	assert_int_equal(ask(&f, "192.0.2.1", "/?q=x"), 401);
	assert_int_equal(ask(&f, "192.0.2.1", "/?a=x"), 0);
	assert_int_equal(ask(&f, "192.0.2.1", "/?b=x"), 0);
	assert_int_equal(ask(&f, "192.0.2.1", "/?z=y"), 402);
	assert_int_equal(ask(&f, "192.0.2.1", "/?c=y"), 402);
	assert_int_equal(ask(&f, "192.0.2.1", "/?q=y"), 0);
	tear_down(&f);
}

/* ---- documents ------------------------------------------------------------------------------- */

/* The status for a POST with this body. */
static unsigned post(struct fixture *f, const char *type, const char *body)
{
	struct waf_request request = {.method = SPAN("POST"),
				      .target = SPAN("/"),
				      .protocol = SPAN("HTTP/1.1"),
				      .unique_id = SPAN("1")};
	struct waf_transaction *t = waf_transaction_new(f->worker, f->policy);
	struct waf_verdict verdict;
	struct err err;

	waf_set_request(t, &request);
	waf_add_request_header(t, SPAN("Content-Type"), span_cstr(type));
	assert_int_equal(waf_request_headers(t, &verdict, &err), 0);
	if (verdict.action == WAF_PASS) {
		waf_request_body_piece(t, span_cstr(body));
		assert_int_equal(waf_request_body(t, &verdict, &err), 0);
	}
	assert_int_equal(waf_finish(t, &err), 0);
	waf_transaction_free(t);
	return verdict.action == WAF_PASS ? 0 : verdict.status;
}

struct file {
	char path[64];
};

static struct file written(const char *text)
{
	struct file file = {"/tmp/sallyport-waf-XXXXXX"};
	int fd = mkstemp(file.path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return file;
}

#define TYPE                                                                                   \
	"<xs:complexType name=\"item\"><xs:sequence><xs:element name=\"price\" "               \
	"type=\"xs:decimal\"/></xs:sequence></xs:complexType>"
#define SCHEMA(more)                                                                           \
	"<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">" more "</xs:schema>"
static void check_documents(const char *op, const struct file *schema)
{
	struct fixture f;
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "SecRule REQUEST_HEADERS:Content-Type xml "
		       "\"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=XML,"
		       "ctl:ruleRemoveById=200002\"\n"
		       "SecRule REQBODY_PROCESSOR \"@streq XML\" "
		       "\"id:2,phase:2,deny,status:422,chain\"\n"
		       "\tSecRule XML \"@%s %s\" \"t:none\"\n",
		       op, schema->path);
	set_up(&f, text);
	assert_int_equal(post(&f, "text/xml", "<item><price>1.50</price></item>"), 0);
	assert_int_equal(post(&f, "text/xml", "<item><price>1</price><more/></item>"), 422);
	assert_int_equal(post(&f, "text/xml", "<other><price>1</price></other>"), 422);
	assert_int_equal(post(&f, "text/xml", "<item><price>1</price>"), 422);
	assert_int_equal(post(&f, "text/xml", ""), 422);
	assert_int_equal(post(&f, "text/plain", "<other/>"), 0);
	tear_down(&f);
}

static void xml_is_held_against_a_schema(void **state)
{
	struct file types = written(SCHEMA(TYPE));
	struct file schema;
	struct fixture f;
	char text[1024];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       SCHEMA("<xs:include schemaLocation=\"%s\"/>"
			      "<xs:element name=\"item\" type=\"item\"/>"),
		       types.path);
	schema = written(text);
	check_documents("validateSchema", &schema);
	(void)snprintf(text, sizeof(text),
		       "SecAction \"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=XML\"\n"
		       "SecRule XML \"!@validateSchema %s\" \"id:2,phase:2,deny,status:418\"\n",
		       schema.path);
	set_up(&f, text);
	assert_int_equal(post(&f, "text/xml", "<item><price>1.50</price></item>"), 418);
	assert_int_equal(post(&f, "text/xml", "<item><price>one</price></item>"), 0);
	/* Where a document says that its schema is does not count. */
	assert_int_equal(post(&f, "text/xml",
			      "<item xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
			      "xsi:noNamespaceSchemaLocation=\"/nowhere.xsd\"><price>1</price>"
			      "</item>"),
			 418);
	tear_down(&f);
	unlink(types.path);
	unlink(schema.path);
}

static void xml_is_held_against_a_dtd(void **state)
{
	struct file dtd = written("<!ELEMENT item (price)>\n<!ELEMENT price (#PCDATA)>\n");

	(void)state;
	check_documents("validateDTD", &dtd);
	unlink(dtd.path);
}

static void schemas_that_cannot_be_read_are_errors_with_their_place(void **state)
{
	static const char *const texts[] = {
		SCHEMA("<xs:element name=\"a\" type=\"nowhere\"/>"), "<xs:schema", "",
		SCHEMA("<xs:include schemaLocation=\"/nowhere.xsd\"/>")};
	char text[1024];
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct file file = written(texts[i]);

		(void)snprintf(text, sizeof(text),
			       "\nSecRule XML \"@validateSchema %s\" \"id:1,phase:2,deny\"\n",
			       file.path);
		if (load(text, &err) || !strstr(err.message, "rules:2"))
			fail_msg("%s: %s", texts[i], err.message);
		unlink(file.path);
	}
	assert_null(load("SecRule XML \"@validateDTD /nowhere.dtd\" \"id:1,phase:2,deny\"\n",
			 &err));
	assert_non_null(strstr(err.message, "rules:1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xml_is_held_against_a_schema),
		cmocka_unit_test(xml_is_held_against_a_dtd),
		cmocka_unit_test(schemas_that_cannot_be_read_are_errors_with_their_place),
		cmocka_unit_test(collections_of_sessions_users_and_addresses_are_kept_apart),
		cmocka_unit_test(counts_of_requests_that_are_under_way_together_add_up),
		cmocka_unit_test(places_of_addresses_come_from_the_database),
		cmocka_unit_test(targets_of_rules_can_be_changed_by_id_tag_and_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
