#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/status_view.h"

static const char before_text[] =
	"{\"version\":\"1\",\"time_unix_ms\":100000,\"started_unix_s\":1,\"bucket_us\":[1000,"
	"10000],"
	"\"operations\":[{\"operation\":\"-\",\"requests\":[0,5,0,0,0,0],\"buckets\":[5,0,0]},"
	"{\"operation\":\"getOrder\",\"requests\":[0,100,0,0,0,0],\"buckets\":[100,0,0]}]}";
static const char now_text[] =
	"{\"version\":\"1\",\"time_unix_ms\":102000,\"started_unix_s\":1,\"generation\":7,"
	"\"memory_bytes\":1048576,\"connections\":3,\"bucket_us\":[1000,10000],"
	"\"operations\":[{\"operation\":\"-\",\"requests\":[0,5,0,0,0,0],\"buckets\":[5,0,0]},"
	"{\"operation\":\"getOrder\",\"requests\":[0,190,0,0,10,0],\"buckets\":[150,40,10]}],"
	"\"guard\":{\"services\":[{\"name\":\"orders\",\"breaker\":{\"state\":\"open\","
	"\"calls\":10,"
	"\"failed\":9,\"slow\":0,\"refused\":4},\"bulkhead\":{\"limit\":64,\"in_use\":5,"
	"\"waiting\":2,\"refused\":1},\"endpoints\":[{\"url\":\"http://"
	"10.0.0.1:80\",\"health\":"
	"{\"up\":false,\"ejected\":false}},{\"url\":\"http://\\u001b[31m\\u009b2J\",\"health\":"
	"{\"up\":true,\"ejected\":true}}]}],\"overload\":{\"memory\":12,\"actions\":[\"shed_"
	"low\"]}},"
	"\"discovery\":{\"discovery\":[{\"service\":\"billing\",\"kind\":\"srv\",\"state\":"
	"\"failing\",\"endpoints\":3,\"changes\":2,\"problem\":\"nobody \\u001b[31m "
	"answers\"}]},"
	"\"procedures\":{\"procedures\":[{\"name\":\"sick\",\"service\":\"orders\",\"state\":"
	"\"canary\",\"for_ms\":5000,\"withheld_percent\":95,\"episodes\":2}]}}";

struct shown {
	struct arena arena;
	struct buf out;
	const char *text;
};

static void show(struct shown *s, unsigned width, unsigned height, bool coloured, bool rates)
{
	struct status_view view = {width, height, coloured};
	const struct json *now, *before;

	arena_init(&s->arena, (size_t)1 << 20, 65536);
	buf_init(&s->out, (size_t)1 << 20);
	now = json_parse(&s->arena, span_cstr(now_text), NULL, NULL);
	before = json_parse(&s->arena, span_cstr(before_text), NULL, NULL);
	assert_non_null(now);
	assert_non_null(before);
	status_view_write(&view, now, rates ? before : NULL, &s->out);
	s->text = buf_cstr(&s->out);
	assert_non_null(s->text);
}

static void hide(struct shown *s)
{
	arena_release(&s->arena);
	buf_release(&s->out);
}

static void everything_is_in_its_line(void **state)
{
	struct shown s;
	const char *line;

	(void)state;
	show(&s, 0, 0, false, true);
	assert_non_null(
		strstr(s.text, "requests: 50.0/s, errors 10.0%; connections 3; memory 1.0"));
	assert_non_null(strstr(s.text, "memory 12%"));
	assert_non_null(strstr(s.text, "actions: shed_low"));
	line = strstr(s.text, "orders ");
	assert_non_null(line);
	assert_non_null(strstr(line, "open          10/9/0           5/64 +2               5"));
	assert_non_null(strstr(s.text, "http://10.0.0.1:80             down"));
	assert_non_null(strstr(s.text, "ejected"));
	line = strstr(s.text, "getOrder");
	assert_non_null(line);
	/* 100 in two seconds, ten of them bad; half within a millisecond, the last above all. */
	assert_non_null(strstr(line, "50.0     10.0"));
	assert_non_null(strstr(line, "<1        >10"));
	assert_non_null(strstr(s.text, "canary"));
	assert_non_null(strstr(s.text,
			       "billing                          srv          failing          "
			       "3         2  nobody ?[31m answers"));
	assert_null(strstr(s.text, "\x1b"));
	hide(&s);
}

static void what_services_are_called_cannot_command_a_terminal(void **state)
{
	struct shown s;

	(void)state;
	show(&s, 0, 0, true, true);
	assert_null(strstr(s.text, "\x1b[31m\x1b"));
	assert_null(strstr(s.text, "//\x1b"));
	assert_null(strstr(s.text, "\xc2\x9b"));
	assert_non_null(strstr(s.text, "//?[31m"));
	assert_non_null(strstr(s.text, "\x1b[31morders"));
	hide(&s);
}

static void a_small_terminal_gets_what_fits(void **state)
{
	struct shown s;
	unsigned lines = 0, widest = 0, at = 0;

	(void)state;
	show(&s, 20, 6, false, true);
	for (const char *c = s.text; *c; c++) {
		at = *c == '\n' ? 0 : at + 1;
		lines += *c == '\n';
		widest = at > widest ? at : widest;
	}
	assert_int_equal(lines, 6);
	assert_true(widest <= 20);
	assert_non_null(strstr(s.text, "more lines"));
	hide(&s);
}

static void without_a_look_before_there_are_no_rates(void **state)
{
	struct shown s;

	(void)state;
	show(&s, 0, 0, false, false);
	assert_non_null(strstr(s.text, "requests: 0.0/s"));
	hide(&s);
}

static void an_answer_without_anything_is_shown_too(void **state)
{
	struct status_view view = {80, 24, false};
	struct arena arena;
	struct buf out;

	(void)state;
	arena_init(&arena, (size_t)1 << 20, 65536);
	buf_init(&out, (size_t)1 << 20);
	status_view_write(&view, json_parse(&arena, SPAN("{}"), NULL, NULL),
			  json_parse(&arena, SPAN("[1,{}]"), NULL, NULL), &out);
	assert_false(buf_failed(&out));
	assert_true(out.len > 0);
	buf_release(&out);
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_in_its_line),
		cmocka_unit_test(what_services_are_called_cannot_command_a_terminal),
		cmocka_unit_test(a_small_terminal_gets_what_fits),
		cmocka_unit_test(without_a_look_before_there_are_no_rates),
		cmocka_unit_test(an_answer_without_anything_is_shown_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
