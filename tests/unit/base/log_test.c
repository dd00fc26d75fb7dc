#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static int ends[2];
static char line[2 * LOG_LINE_MAX];

static int open_pipe(void **state)
{
	(void)state;
	return pipe(ends);
}

static int close_pipe(void **state)
{
	(void)state;
	log_setup(STDERR_FILENO, LOG_INFO, LOG_FORMAT_JSON);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void begin(struct log_line *l, enum log_format format)
{
	log_setup(ends[1], LOG_DEBUG, format);
	log_begin(l, LOG_WARN, "test.event");
}

/* What one log_end wrote, as a string: exactly one line. */
static const char *written(void)
{
	ssize_t n = read(ends[0], line, sizeof(line) - 1);

	assert_true(n > 0 && n <= LOG_LINE_MAX);
	line[n] = '\0';
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	return line;
}

static json_t *written_json(void)
{
	json_error_t error;
	json_t *object = json_loads(written(), JSON_REJECT_DUPLICATES, &error);

	if (!object)
		fail_msg("not JSON: %s: %s", error.text, line);
	assert_true(json_is_object(object));
	return object;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

static void a_line_is_one_json_object_with_its_fields(void **state)
{
	struct log_line l;
	struct err err = {ERR_TIMEOUT, "read: too \"slow\""};
	json_t *object;

	(void)state;
	begin(&l, LOG_FORMAT_JSON);
	log_str(&l, "text", SPAN("a\"b\\c\nd"));
	log_str(&l, "nothing", SPAN_NONE);
	log_int(&l, "least", INT64_MIN);
	log_bool(&l, "yes", true);
	log_bool(&l, "no", false);
	log_err(&l, &err);
	log_end(&l);
	object = written_json();
	assert_string_equal(text_of(object, "level"), "warn");
	assert_string_equal(text_of(object, "event"), "test.event");
	assert_int_equal(strlen(text_of(object, "time")), 24);
	assert_string_equal(text_of(object, "text"), "a\"b\\c\nd");
	assert_string_equal(text_of(object, "nothing"), "");
	assert_true(json_integer_value(json_object_get(object, "least")) == INT64_MIN);
	assert_true(json_is_true(json_object_get(object, "yes")));
	assert_true(json_is_false(json_object_get(object, "no")));
	assert_string_equal(text_of(object, "error"), "read: too \"slow\"");
	assert_string_equal(text_of(object, "code"), "timeout");
	json_decref(object);
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
	struct log_line l;
	json_t *object;

	(void)state;
	begin(&l, LOG_FORMAT_JSON);
	log_str(&l, "path", SPAN("/\xff\xc0\xaf\x01"));
	log_end(&l);
	object = written_json();
	assert_string_equal(text_of(object, "path"),
			    "/\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x01");
	json_decref(object);
}

/* Every length around the end of the line, with characters that grow when escaped. */
static void a_line_that_is_too_long_stays_valid_and_says_so(void **state)
{
	static const char fillers[] = {'x', '"', '\x01', '\xff'};
	static char value[LOG_LINE_MAX + 100];
	unsigned truncated = 0, whole = 0;

	(void)state;
	for (unsigned f = 0; f < COUNT_OF(fillers); f++) {
		size_t grown = fillers[f] == '\x01' ? 6 : fillers[f] == '"' ? 2 : 1;
		size_t near_end = (LOG_LINE_MAX - 400) / grown;

		if (fillers[f] == '\xff')
			near_end = (LOG_LINE_MAX - 400) / 3;
		memset(value, fillers[f], sizeof(value));
		for (size_t len = near_end; len < near_end + 300 && len <= sizeof(value);
		     len++) {
			struct log_line l;
			json_t *object;

			begin(&l, LOG_FORMAT_JSON);
			log_str(&l, "first", SPAN("kept"));
			log_str(&l, "value", span_of(value, len));
			log_int(&l, "last", 1);
			log_bool(&l, "very_last", true);
			log_end(&l);
			object = written_json();
			assert_string_equal(text_of(object, "first"), "kept");
			if (json_object_get(object, "very_last")) {
				assert_null(json_object_get(object, "truncated"));
				assert_non_null(json_object_get(object, "value"));
				whole++;
			} else {
				assert_true(json_is_true(json_object_get(object, "truncated")));
				truncated++;
			}
			json_decref(object);
		}
	}
	assert_true(truncated > 100 && whole > 100);
}

static void text_lines_are_readable_and_escape_line_ends(void **state)
{
	struct log_line l;

	(void)state;
	begin(&l, LOG_FORMAT_TEXT);
	log_str(&l, "text", SPAN("a\n\x1b[31m"));
	log_int(&l, "n", -5);
	log_end(&l);
	assert_string_equal(written() + 8, " warn  test.event text=\"a\\n\\u001b[31m\" n=-5\n");
}

static void a_level_below_the_wanted_one_writes_nothing(void **state)
{
	struct log_line l;
	json_t *object;

	(void)state;
	log_setup(ends[1], LOG_WARN, LOG_FORMAT_JSON);
	assert_false(log_wanted(LOG_INFO));
	assert_true(log_wanted(LOG_ERROR));
	log_begin(&l, LOG_INFO, "unwanted");
	log_str(&l, "a", SPAN("b"));
	log_int(&l, "c", 1);
	log_end(&l);
	log_message(LOG_DEBUG, "unwanted", "%d", 1);
	log_message(LOG_ERROR, "wanted", "%s %d", "number", 1);
	object = written_json();
	assert_string_equal(text_of(object, "event"), "wanted");
	assert_string_equal(text_of(object, "message"), "number 1");
	json_decref(object);
	log_setup(ends[1], LOG_OFF, LOG_FORMAT_JSON);
	assert_false(log_wanted(LOG_ERROR));
}

static void a_line_allocates_nothing(void **state)
{
	struct log_line l;
	json_t *object;

	(void)state;
	begin(&l, LOG_FORMAT_JSON);
	mem_fail_at(1);
	log_str(&l, "text", SPAN("\n\xff"));
	log_end(&l);
	assert_false(mem_fail_happened());
	mem_fail_at(0);
	object = written_json();
	assert_string_equal(text_of(object, "text"), "\n\xEF\xBF\xBD");
	json_decref(object);
}

static void level_names_are_known(void **state)
{
	enum log_level level = LOG_OFF;

	(void)state;
	assert_true(log_level_parse(SPAN("debug"), &level) && level == LOG_DEBUG);
	assert_true(log_level_parse(SPAN("info"), &level) && level == LOG_INFO);
	assert_true(log_level_parse(SPAN("warn"), &level) && level == LOG_WARN);
	assert_true(log_level_parse(SPAN("error"), &level) && level == LOG_ERROR);
	assert_true(log_level_parse(SPAN("off"), &level) && level == LOG_OFF);
	assert_false(log_level_parse(SPAN("warning"), &level));
	assert_false(log_level_parse(SPAN_NONE, &level));
}

#define with_pipe(test) cmocka_unit_test_setup_teardown(test, open_pipe, close_pipe)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_pipe(a_line_is_one_json_object_with_its_fields),
		with_pipe(bytes_that_are_not_utf8_are_replaced),
		with_pipe(a_line_that_is_too_long_stays_valid_and_says_so),
		with_pipe(text_lines_are_readable_and_escape_line_ends),
		with_pipe(a_level_below_the_wanted_one_writes_nothing),
		with_pipe(a_line_allocates_nothing),
		cmocka_unit_test(level_names_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
