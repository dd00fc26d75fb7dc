#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/multipart.h"

#define HEAD "--b\r\nContent-Disposition: form-data; name=\"x\""

/* All events of a text, fed in pieces of `step` bytes, as one line of text. */
static const char *events_of(struct buf *out, struct span text, size_t step)
{
	struct multipart m;
	enum multipart_event event;
	bool in_data = false;

	multipart_init(&m, NULL);
	assert_true(multipart_start(&m, SPAN("b"), true));
	buf_clear(out);
	for (;;) {
		event = multipart_next(&m);
		if (event == MULTIPART_MORE) {
			if (text.len == 0)
				multipart_finish(&m);
			multipart_feed(&m, span_slice(text, 0, step));
			text = span_slice(text, step, text.len);
			continue;
		}
		if (event == MULTIPART_DATA) {
			if (!in_data)
				buf_append_cstr(out, " data:");
			in_data = true;
			buf_append(out, m.data);
			continue;
		}
		in_data = false;
		if (event == MULTIPART_PART)
			buf_printf(out, " part@%d:%.*s/%.*s/%.*s", (int)m.part_start,
				   SPAN_ARG(m.name), SPAN_ARG(m.file_name),
				   SPAN_ARG(m.content_type));
		else if (event == MULTIPART_PART_END)
			buf_append_cstr(out, " end");
		else
			break;
	}
	if (event == MULTIPART_ERROR)
		buf_printf(out, " error:%s", multipart_error_text(m.error));
	else
		buf_printf(out, " done@%d", (int)m.part_start);
	multipart_release(&m);
	return buf_cstr(out);
}

static void reads(const char *text, const char *expected)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	for (size_t step = 1; step < 200; step += step < 20 ? 1 : 60)
		assert_string_equal(events_of(&out, span_cstr(text), step), expected);
	buf_release(&out);
}

static void parts_are_the_same_whatever_the_pieces(void **state)
{
	(void)state;
	reads(HEAD "\r\n\r\none\r\n--b\r\nContent-Disposition: form-data; name=f; "
		   "filename=\"a b.png\"\r\ncontent-type: "
		   "image/png\r\n\r\n\r\n--\r\n-\r\n\r\n--b--\r\n",
	      " part@0:x// data:one end part@54:f/a b.png/image/png data:\r\n--\r\n-\r\n end"
	      " done@157");
	reads("\r\n" HEAD "\r\n\r\n\r\n--b--", " part@2:x// end done@53");
}

static void what_readers_disagree_about_is_refused(void **state)
{
	(void)state;
#define SYNTAX " error:not the form of multipart content"
#define HEADER " error:a part's header is malformed or not allowed"
	reads("preamble\r\n" HEAD "\r\n\r\n\r\n--b--", SYNTAX);
	reads(HEAD "\r\n\r\n\r\n--b--\r\nepilogue", " part@0:x// end" SYNTAX);
	reads(HEAD "\r\n\r\n\r\n--b --", " part@0:x// end" SYNTAX);
	reads(HEAD "\r\n\r\nx\r\n--bc\r\n", " part@0:x// data:x end" SYNTAX);
	reads("--b--", SYNTAX);
	reads("--b\nContent-Disposition: form-data; name=x\n\n\n--b--", SYNTAX);
	reads(HEAD "\r\n folded\r\n\r\n", HEADER);
	reads(HEAD "\r\n"
		   "Content-Disposition: form-data; name=y\r\n\r\n",
	      HEADER);
	reads(HEAD "; name=y\r\n\r\n", HEADER);
	reads(HEAD "; filename*=UTF-8''x\r\n\r\n", HEADER);
	reads(HEAD "\r\nContent-Transfer-Encoding: base64\r\n\r\n", HEADER);
	reads(HEAD "\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n", HEADER);
	reads("--b\r\nContent-Disposition: form-data; name=\"a\\\"b\"\r\n\r\n", HEADER);
	reads("--b\r\nContent-Disposition: attachment; name=x\r\n\r\n", HEADER);
	reads("--b\r\nContent-Disposition: form-data; filename=x\r\n\r\n",
	      " error:a part has no name");
	reads("--b\r\n\r\nx\r\n--b--", " error:a part has no name");
}

static void file_names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const bad[] = {"../x", "a/b", "c:\\d", ".", ".."};
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		snprintf(text, sizeof(text), HEAD "; filename=\"%s\"\r\n\r\n", bad[i]);
		reads(text, " error:a file has an unsafe name");
	}
}

static void what_is_cut_off_is_truncated(void **state)
{
	(void)state;
#define CUT " error:the content ends in the middle"
	reads("", CUT);
	reads("--", CUT);
	reads("--b\r\nContent-Dis", CUT);
	reads(HEAD "\r\n\r\nx", " part@0:x// data:x" CUT);
	reads(HEAD "\r\n\r\nx\r\n--", " part@0:x// data:x" CUT);
	reads(HEAD "\r\n\r\nx\r\n--b", " part@0:x// data:x end" CUT);
}

static void large_content_passes_through_a_small_window(void **state)
{
	struct multipart m;
	struct buf text;
	uint64_t bytes = 0;
	enum multipart_event event;

	(void)state;
	buf_init(&text, 2 << 20);
	buf_append_cstr(&text, HEAD "\r\n\r\n");
	while (text.len < 1 << 20)
		buf_append_cstr(&text, "\r\n--\r\n--c");
	buf_append_cstr(&text, "\r\n--b--");
	multipart_init(&m, NULL);
	assert_true(multipart_start(&m, SPAN("b"), true));
	multipart_feed(&m, buf_span(&text));
	while ((event = multipart_next(&m)) > MULTIPART_END)
		bytes += event == MULTIPART_DATA ? m.data.len : 0;
	assert_int_equal(event, MULTIPART_MORE);
	multipart_finish(&m);
	assert_int_equal(multipart_next(&m), MULTIPART_END);
	assert_int_equal(bytes, text.len - strlen(HEAD "\r\n\r\n") - strlen("\r\n--b--"));
	assert_true(m.window.cap < 32 << 10);
	buf_release(&text);
	multipart_release(&m);
}

static void limits_hold(void **state)
{
	struct multipart_limits limits = {.max_parts = 1, .max_header_bytes = 60};
	static const char two[] = HEAD "\r\n\r\n\r\n" HEAD "\r\n\r\n\r\n--b--";
	static const char longer[] = HEAD "\r\nX-Long: 012345678901234567890123456789\r\n\r\n";
	struct multipart m;

	(void)state;
	multipart_init(&m, &limits);
	assert_true(multipart_start(&m, SPAN("b"), true));
	multipart_feed(&m, span_cstr(two));
	assert_int_equal(multipart_next(&m), MULTIPART_PART);
	assert_int_equal(multipart_next(&m), MULTIPART_PART_END);
	assert_int_equal(multipart_next(&m), MULTIPART_ERROR);
	assert_int_equal(m.error, MULTIPART_MANY_PARTS);
	assert_true(multipart_start(&m, SPAN("b"), true));
	multipart_feed(&m, span_cstr(longer));
	assert_int_equal(multipart_next(&m), MULTIPART_ERROR);
	assert_int_equal(m.error, MULTIPART_HEADER_LONG);
	assert_false(multipart_start(&m, SPAN(""), true));
	assert_false(multipart_start(&m, SPAN("a\r\nb"), true));
	multipart_release(&m);
}

static void a_failing_allocation_is_told(void **state)
{
	struct multipart m;

	(void)state;
	multipart_init(&m, NULL);
	assert_true(multipart_start(&m, SPAN("b"), true));
	multipart_feed(&m, SPAN(HEAD));
	mem_fail_at(1);
	assert_int_equal(multipart_next(&m), MULTIPART_ERROR);
	mem_fail_at(0);
	assert_int_equal(m.error, MULTIPART_MEMORY);
	multipart_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_the_same_whatever_the_pieces),
		cmocka_unit_test(what_readers_disagree_about_is_refused),
		cmocka_unit_test(file_names_that_lead_elsewhere_are_refused),
		cmocka_unit_test(what_is_cut_off_is_truncated),
		cmocka_unit_test(large_content_passes_through_a_small_window),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_failing_allocation_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
