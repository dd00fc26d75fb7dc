/*
 * Query strings, cookies and bodies against what libmodsecurity makes of them: each variable with
 * its name and value, and each flag.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "oracle.h"
#include "waf/body.h"
#include "waf_data.h"

/* What is compared: lines "NAME value", sorted. */
struct lines {
	struct arena arena;
	struct span items[4096];
	size_t count;
};

static struct oracle *oracle;
static struct lines ours;
static struct lines theirs;

static void lines_clear(struct lines *l)
{
	arena_reset(&l->arena);
	l->count = 0;
}

static void lines_add(struct lines *l, struct span line)
{
	assert_true(l->count < COUNT_OF(l->items));
	l->items[l->count] = arena_dup(&l->arena, line);
	assert_non_null(l->items[l->count].ptr);
	l->count++;
}

static int compare_spans(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* As libmodsecurity prints it: cut, and with what is not printable, quotes and backslashes in hex. */
static void put_line(const char *collection, bool named, struct span name, struct span value)
{
	struct buf raw, line;

	buf_init(&raw, 1 << 20);
	buf_init(&line, 1 << 20);
	buf_append_cstr(&raw, collection);
	if (named)
		buf_append_byte(&raw, ':');
	buf_append(&raw, name);
	buf_append_byte(&raw, ' ');
	buf_append(&raw, value);
	for (size_t i = 0; i < raw.len && i < 200; i++) {
		unsigned char c = (unsigned char)raw.ptr[i];

		if (c < 32 || c > 126 || c == '"' || c == '\\')
			buf_printf(&line, "\\x%02x", c);
		else
			buf_append_byte(&line, (char)c);
	}
	if (raw.len > 200)
		buf_printf(&line, " (%zu characters omitted)", raw.len - 200);
	lines_add(&ours, buf_span(&line));
	buf_release(&raw);
	buf_release(&line);
}

static void put_pairs(const char *collection, const struct body_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
		put_line(collection, true, pairs->items[i].name, pairs->items[i].value);
}

static void put_flag(const char *name, unsigned value)
{
	char digits[BUF_U64_DIGITS];

	put_line(name, false, SPAN_NONE, buf_u64_digits(digits, value));
}

static void on_match(void *context, unsigned rule_id, struct span data)
{
	struct span name = span_slice(data, 0, span_find_byte(data, ' '));

	(void)context;
	(void)rule_id;
	/* A variable that was never set is there, and empty. */
	if (span_find_byte(name, ':') == name.len && name.len + 1 == data.len)
		return;
	if (!span_eq(data, SPAN("URLENCODED_ERROR 0")))
		lines_add(&theirs, data);
}

/* Fails when the two lists differ; prints what only one of them has. */
static bool same_lines(void)
{
	size_t a = 0, b = 0;
	bool same = true;

	qsort(ours.items, ours.count, sizeof(struct span), compare_spans);
	qsort(theirs.items, theirs.count, sizeof(struct span), compare_spans);
	while (a < ours.count || b < theirs.count) {
		int order = a == ours.count	? 1
			    : b == theirs.count ? -1
						: span_compare(ours.items[a], theirs.items[b]);

		if (order < 0)
			print_message("only here:  %.*s\n", SPAN_ARG(ours.items[a]));
		if (order > 0)
			print_message("only there: %.*s\n", SPAN_ARG(theirs.items[b]));
		same = same && order == 0;
		a += order <= 0;
		b += order >= 0;
	}
	return same;
}

static bool has_line(const struct lines *l, struct span line)
{
	for (size_t i = 0; i < l->count; i++)
		if (span_eq(l->items[i], line))
			return true;
	return false;
}

static void print_request(const struct oracle_request *request)
{
	print_message("target: %s\ntype: %.*s\ncookie: %.*s\nbody:\n", request->target,
		      SPAN_ARG(request->content_type), SPAN_ARG(request->cookie));
	for (size_t i = 0; i < request->body.len; i++) {
		unsigned char c = (unsigned char)request->body.ptr[i];

		print_message(c == '\n' || (c >= 32 && c < 127) ? "%c" : "\\x%02x", c);
	}
	print_message("\n");
}

enum kind { KIND_URLENCODED, KIND_MULTIPART, KIND_JSON, KIND_XML, KIND_NONE };

static void put_error(const struct body_error *error)
{
	put_flag("REQBODY_ERROR", error->failed);
}

static void put_multipart(struct arena *arena, const struct oracle_request *request,
			  const struct body_limits *limits, struct body_error *error)
{
	struct body_multipart m;
	const struct body_multipart_flags *f = &m.flags;

	assert_int_equal(body_multipart(arena, request->content_type, request->body, true,
					limits, &m, error),
			 0);
	put_pairs("ARGS_POST", &m.arguments);
	put_pairs("ARGS", &m.arguments);
	put_pairs("MULTIPART_NAME", &m.names);
	put_pairs("MULTIPART_FILENAME", &m.filenames);
	put_pairs("MULTIPART_PART_HEADERS", &m.part_headers);
	for (size_t i = 0; i < m.file_count; i++) {
		char digits[BUF_U64_DIGITS];
		const struct body_file *file = &m.files[i];

		put_line("FILES", true, file->name, file->filename);
		put_line("FILES_NAMES", true, file->name, file->name);
		put_line("FILES_SIZES", true, file->name, buf_u64_digits(digits, file->size));
		put_line("FILES_TMP_CONTENT", true, file->name, file->content);
	}
	if (m.file_count > 0)
		put_flag("FILES_COMBINED_SIZE", (unsigned)m.files_combined_size);
	put_flag("MULTIPART_STRICT_ERROR", f->strict_error);
	put_flag("MULTIPART_BOUNDARY_QUOTED", f->boundary_quoted);
	put_flag("MULTIPART_BOUNDARY_WHITESPACE", f->boundary_whitespace);
	put_flag("MULTIPART_DATA_BEFORE", f->data_before);
	put_flag("MULTIPART_DATA_AFTER", f->data_after);
	put_flag("MULTIPART_HEADER_FOLDING", f->header_folding);
	put_flag("MULTIPART_LF_LINE", f->lf_line);
	put_flag("MULTIPART_CRLF_LF_LINES", f->crlf_lf_lines);
	put_flag("MULTIPART_MISSING_SEMICOLON", f->missing_semicolon);
	put_flag("MULTIPART_INVALID_QUOTING", f->invalid_quoting);
	put_flag("MULTIPART_INVALID_PART", f->invalid_part);
	put_flag("MULTIPART_INVALID_HEADER_FOLDING", f->invalid_header_folding);
	put_flag("MULTIPART_UNMATCHED_BOUNDARY", f->unmatched_boundary);
}

static void put_xml(struct arena *arena, struct span body, const struct body_limits *limits,
		    struct body_error *error)
{
	static const char *const paths[] = {"/*", "//@*"};
	struct body_xml *xml;
	struct span *texts;
	size_t count;

	assert_int_equal(body_xml_parse(arena, body, limits, &xml, error), 0);
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		assert_int_equal(
			body_xml_select(arena, xml, paths[i], NULL, 0, limits, &texts, &count),
			0);
		for (size_t n = 0; n < count; n++)
			put_line("XML", true, span_cstr(paths[i]), texts[n]);
	}
	body_xml_free(xml);
}

static bool same(enum kind kind, const struct oracle_request *request)
{
	struct body_limits limits = BODY_LIMITS_DEFAULT;
	struct body_pairs get = {0}, post = {0}, cookies = {0};
	struct body_error error = {0};
	bool invalid = false, equal;
	struct arena arena;
	struct span query = span_cstr(request->target);

	limits.max_depth = 256;
	arena_init(&arena, 1 << 24, 16384);
	lines_clear(&ours);
	lines_clear(&theirs);
	oracle_request(oracle, request, on_match, NULL);
	(void)span_cut(&query, '?');
	if (query.ptr)
		assert_int_equal(
			body_query(&arena, query, '&', &limits, &get, &invalid, &error), 0);
	assert_int_equal(body_cookies(&arena, request->cookie, &cookies), 0);
	if (kind == KIND_URLENCODED)
		assert_int_equal(body_urlencoded(&arena, request->body, '&', &limits, &post,
						 &invalid, &error),
				 0);
	if (kind == KIND_JSON)
		assert_int_equal(body_json(&arena, request->body, &limits, &post, &error), 0);
	if (kind == KIND_MULTIPART)
		put_multipart(&arena, request, &limits, &error);
	if (kind == KIND_XML)
		put_xml(&arena, request->body, &limits, &error);
	put_pairs("ARGS_GET", &get);
	put_pairs("ARGS", &get);
	put_pairs("ARGS", &post);
	/* Not those of JSON. */
	if (kind == KIND_URLENCODED)
		put_pairs("ARGS_POST", &post);
	put_pairs("REQUEST_COOKIES", &cookies);
	if (kind != KIND_URLENCODED)
		put_error(&error);
	if (invalid)
		put_flag("URLENCODED_ERROR", 1);
	/* What was read before an error may differ by a scalar: an error it is for both. */
	if (kind == KIND_JSON && error.failed)
		equal = has_line(&theirs, SPAN("REQBODY_ERROR 1"));
	else
		equal = same_lines();
	if (!equal)
		print_request(request);
	arena_release(&arena);
	return equal;
}

/* ---- random requests --------------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static unsigned next_random(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 32) % below;
}

static void append_any(struct buf *to, const struct span *pieces, size_t count, unsigned most)
{
	for (unsigned n = next_random(most + 1); n > 0; n--)
		buf_append(to, pieces[next_random((unsigned)count)]);
}

#define P(literal) SPAN_INIT(literal)
#define ANY(to, pieces, most) append_any(to, pieces, COUNT_OF(pieces), most)

static const struct span form_pieces[] = {
	P("a"),	  P("b"),   P("="), P("="),    P("&"),	   P("&"),    P("%41"),
	P("%4"),  P("%"),   P("+"), P("%zz"),  P("%00"),   P("c[d]"), P(";"),
	P("%26"), P("%3d"), P(" "), P("\xff"), P("value"),
};

static const struct span cookie_pieces[] = {
	P("a"),	  P("b"),   P("="),  P(";"),  P("; "), P(" "),
	P("c=d"), P("%41"), P("\t"), P("=="), P("\""), P(","),
};

static const struct span json_pieces[] = {
	P("{"),
	P("}"),
	P("["),
	P("]"),
	P("\"a\""),
	P("\"b\":"),
	P(":"),
	P(","),
	P("1"),
	P("-2.5e3"),
	P("true"),
	P("null"),
	P("\"x\\u0041y\""),
	P("{\"a\":{\"b\":1}}"),
	P("[1,[2],{\"c\":3}]"),
	P("\"\":1"),
	P(" "),
	P("\"k\":[]"),
	P("\"k\":{}"),
	P("01"),
	P("\"\\q\""),
	P("\"\n\""),
};

static const struct span xml_pieces[] = {
	P("<a>"),
	P("</a>"),
	P("<b x=\"1\" y='2'>"),
	P("</b>"),
	P("text"),
	P("&amp;"),
	P("&#65;"),
	P("<![CDATA[<c>]]>"),
	P("<!-- no -->"),
	P("<?pi x?>"),
	P("<c/>"),
	P("&none;"),
	P(" "),
	P("<d:e xmlns:d=\"urn:d\" d:z=\"3\">"),
	P("</d:e>"),
	P("\xc3\xa9"),
	P("]]>"),
	P("<"),
};

static struct oracle_request random_request(enum kind kind, struct buf *text,
					    struct buf *target, struct buf *cookie)
{
	struct oracle_request request = {.target = "/"};

	buf_clear(text);
	buf_clear(target);
	buf_clear(cookie);
	if (kind == KIND_NONE) {
		buf_append_cstr(target, "/?");
		ANY(target, form_pieces, 12);
		ANY(cookie, cookie_pieces, 12);
		request.target = buf_cstr(target);
		request.cookie = buf_span(cookie);
	} else if (kind == KIND_URLENCODED) {
		ANY(text, form_pieces, 14);
		request.content_type = SPAN("application/x-www-form-urlencoded");
	} else if (kind == KIND_JSON) {
		if (next_random(4) == 0) {
			ANY(text, json_pieces, 12);
		} else {
			buf_append_cstr(text, next_random(2) ? "{\"a\":1" : "{\"r\":[1");
			for (unsigned n = next_random(5); n > 0; n--) {
				buf_append_cstr(text, ",");
				ANY(text, json_pieces, 2);
			}
			buf_append_cstr(text, next_random(2) ? "}" : "]}");
		}
		request.content_type = SPAN("application/json");
	} else if (kind == KIND_XML) {
		buf_append_cstr(text, next_random(3) ? "<r>" : "");
		ANY(text, xml_pieces, 10);
		buf_append_cstr(text, next_random(3) ? "</r>" : "");
		request.content_type = SPAN("application/xml");
	}
	request.body = buf_span(text);
	return request;
}

static void check_random(enum kind kind, unsigned count)
{
	struct buf text, target, cookie;
	unsigned wrong = 0;

	buf_init(&text, 1 << 20);
	buf_init(&target, 1 << 16);
	buf_init(&cookie, 1 << 16);
	for (unsigned i = 0; i < count && wrong < 5; i++) {
		struct oracle_request request = random_request(kind, &text, &target, &cookie);

		wrong += !same(kind, &request);
	}
	buf_release(&text);
	buf_release(&target);
	buf_release(&cookie);
	assert_int_equal(wrong, 0);
}

static void queries_and_cookies_are_taken_apart_alike(void **state)
{
	(void)state;
	check_random(KIND_NONE, 600);
}

static void urlencoded_bodies_are_taken_apart_alike(void **state)
{
	(void)state;
	check_random(KIND_URLENCODED, 600);
}

static void json_bodies_are_taken_apart_alike(void **state)
{
	(void)state;
	check_random(KIND_JSON, 600);
}

static void xml_bodies_are_taken_apart_alike(void **state)
{
	(void)state;
	check_random(KIND_XML, 600);
}

/* ---- multipart --------------------------------------------------------------------------------- */

static const struct span types[] = {
	P("multipart/form-data; boundary=XyZ"),
	P("multipart/form-data; boundary=XyZ"),
	P("multipart/form-data; boundary=XyZ"),
	P("multipart/form-data; boundary=XyZ"),
	P("multipart/form-data; boundary=\"XyZ\""),
	P("multipart/form-data boundary=XyZ"),
	P("multipart/form-data; boundary =XyZ"),
	P("multipart/form-data; boundary= XyZ"),
	P("multipart/form-data; boundary=XyZ; charset=utf-8"),
	P("multipart/form-data; boundary=\"XyZ"),
	P("multipart/form-data; boundary=\"\""),
	P("multipart/form-data; boundary="),
	P("multipart/form-data; Boundary=XyZ"),
	P("multipart/form-data; boundary=XyZ; boundary=abc"),
	P("multipart/form-data; x=1; boundary=XyZ"),
	P("multipart/form-data; boundary=X\xffZ"),
	P("multipart/form-data; boundaryx=XyZ"),
	P("multipart/form-data; boundary"),
	P("multipart/form-data"),
};

static const struct span line_ends[] = {P("\r\n"), P("\r\n"), P("\r\n"), P("\r\n"),
					P("\r\n"), P("\r\n"), P("\r\n"), P("\n")};

static const struct span disposition_pieces[] = {
	P("; name=\"a\""),
	P("; name=\"b\""),
	P("; name=c"),
	P("; name='d'"),
	P("; name=\"e'f\""),
	P("; name=\"g\\\"h\""),
	P("; filename=\"x.txt\""),
	P("; filename=y"),
	P("; filename=\"\""),
	P("; filename*=utf-8''z%20z"),
	P("; filename*=utf-8"),
	P("; other=1"),
	P(";"),
	P(" "),
	P("; name"),
	P("; name = \"i\""),
	P("; name=\"j\" x"),
	P("; name=k'l"),
	P("; name=\"\\m\""),
};

static const struct span data_lines[] = {
	P("data"),     P(""),	     P("more data"), P("--"),	   P("--Xy"),
	P("--XyZ--x"), P("x--XyZ"),  P("-- XyZ"),    P("--other"), P("---"),
	P("a\0b"),     P("--\"XyZ"), P("\xff\x80"),  P("\r"),
};

static const struct span odd_headers[] = {
	P("Content-Type: text/plain"),
	P("content-type:x"),
	P("X-Y:"),
	P(" folded"),
	P("\tfolded"),
	P("\vfolded"),
	P("no colon"),
	P(": no name"),
	P("Content-Disposition: form-data; name=\"z\""),
	P("a\0: b"),
};

#define LINE_END(to) buf_append(to, line_ends[next_random(COUNT_OF(line_ends))])

static void put_part(struct buf *to)
{
	buf_append_cstr(to, "--XyZ");
	LINE_END(to);
	if (next_random(8))
		buf_append_cstr(to, next_random(12) ? "Content-Disposition: form-data"
						    : "content-disposition: form-date");
	else
		buf_append_cstr(to, "X: y");
	if (next_random(5))
		buf_append_cstr(to, next_random(2) ? "; name=\"n\""
						   : "; name=\"o\"; filename=\"f\"");
	if (next_random(3) == 0)
		ANY(to, disposition_pieces, 3);
	LINE_END(to);
	while (next_random(3) == 0) {
		ANY(to, odd_headers, 1);
		LINE_END(to);
	}
	if (next_random(10))
		LINE_END(to);
	for (unsigned n = next_random(4); n > 0; n--) {
		if (next_random(3))
			buf_append_cstr(to, "value");
		else
			ANY(to, data_lines, 1);
		if (next_random(30) == 0)
			for (unsigned i = next_random(3) + 4090; i > 0; i--)
				buf_append_byte(to, next_random(50) ? 'x' : '\r');
		LINE_END(to);
	}
}

static void put_multipart_body(struct buf *to)
{
	if (next_random(12) == 0) {
		ANY(to, data_lines, 2);
		LINE_END(to);
	}
	for (unsigned n = next_random(4); n > 0; n--)
		put_part(to);
	if (next_random(8))
		buf_append_cstr(to, "--XyZ--");
	if (next_random(4))
		LINE_END(to);
	if (next_random(12) == 0)
		ANY(to, data_lines, 2);
}

static void multipart_bodies_are_taken_apart_alike(void **state)
{
	unsigned wrong = 0;
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (unsigned i = 0; i < 2000 && wrong < 5; i++) {
		struct oracle_request request = {.target = "/"};

		buf_clear(&text);
		put_multipart_body(&text);
		request.content_type = types[next_random(COUNT_OF(types))];
		request.body = buf_span(&text);
		wrong += !same(KIND_MULTIPART, &request);
	}
	buf_release(&text);
	assert_int_equal(wrong, 0);
}

/* ---- set-up ------------------------------------------------------------------------------------ */

static const char *const collections[] = {
	"ARGS",
	"ARGS_GET",
	"ARGS_POST",
	"REQUEST_COOKIES",
	"FILES",
	"FILES_NAMES",
	"FILES_SIZES",
	"FILES_TMP_CONTENT",
	"FILES_COMBINED_SIZE",
	"MULTIPART_NAME",
	"MULTIPART_FILENAME",
	"MULTIPART_PART_HEADERS",
	"MULTIPART_STRICT_ERROR",
	"MULTIPART_BOUNDARY_QUOTED",
	"MULTIPART_BOUNDARY_WHITESPACE",
	"MULTIPART_DATA_BEFORE",
	"MULTIPART_DATA_AFTER",
	"MULTIPART_HEADER_FOLDING",
	"MULTIPART_LF_LINE",
	"MULTIPART_CRLF_LF_LINES",
	"MULTIPART_MISSING_SEMICOLON",
	"MULTIPART_INVALID_QUOTING",
	"MULTIPART_INVALID_PART",
	"MULTIPART_INVALID_HEADER_FOLDING",
	"MULTIPART_UNMATCHED_BOUNDARY",
	"REQBODY_ERROR",
	"URLENCODED_ERROR",
	"XML:/*",
	"XML://@*",
};

static int set_up(void **state)
{
	struct buf rules;

	(void)state;
	arena_init(&ours.arena, 1 << 24, 65536);
	arena_init(&theirs.arena, 1 << 24, 65536);
	buf_init(&rules, 1 << 20);
	buf_append_cstr(
		&rules,
		"SecRuleEngine On\nSecRequestBodyAccess On\nSecTmpSaveUploadedFiles On\n"
		"SecUploadDir /tmp\n"
		"SecRule REQUEST_HEADERS:Content-Type \"@contains json\" "
		"\"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n"
		"SecRule REQUEST_HEADERS:Content-Type \"@contains xml\" "
		"\"id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML\"\n");
	for (size_t i = 0; i < COUNT_OF(collections); i++)
		buf_printf(
			&rules,
			"SecRule %s \"@unconditionalMatch\" \"id:%zu,phase:2,pass,log,t:none,"
			"multiMatch,msg:'m',logdata:'%%{MATCHED_VAR_NAME} %%{MATCHED_VAR}'\"\n",
			collections[i], 100 + i);
	oracle = oracle_new(buf_cstr(&rules));
	buf_release(&rules);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	oracle_free(oracle);
	arena_release(&ours.arena);
	arena_release(&theirs.arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_and_cookies_are_taken_apart_alike),
		cmocka_unit_test(urlencoded_bodies_are_taken_apart_alike),
		cmocka_unit_test(json_bodies_are_taken_apart_alike),
		cmocka_unit_test(xml_bodies_are_taken_apart_alike),
		cmocka_unit_test(multipart_bodies_are_taken_apart_alike),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
