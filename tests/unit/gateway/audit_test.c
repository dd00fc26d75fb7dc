/* audit_test.c - the chain: what is written, what shows when it is changed, how it goes on. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/audit.h"

#define TEXT_MAX ((size_t)16 << 20)

struct place {
	char folder[64];
	char path[96];
	char moved[96];
};

static int make_place(void **state)
{
	struct place *place = mem_zalloc(1, sizeof(*place));

	assert_non_null(place);
	snprintf(place->folder, sizeof(place->folder), "/tmp/audit-test-XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->path, sizeof(place->path), "%s/log", place->folder);
	snprintf(place->moved, sizeof(place->moved), "%s/log.1", place->folder);
	*state = place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	unlink(place->moved);
	rmdir(place->folder);
	mem_free(place);
	return 0;
}

static struct audit_log *open_log(const struct place *place)
{
	struct err err = {.code = ERR_NONE};
	struct audit_log *log = audit_open(place->path, &err);

	assert_non_null(log);
	return log;
}

static void record(const struct place *place, unsigned count)
{
	struct audit_log *log = open_log(place);

	for (unsigned i = 0; i < count; i++)
		audit_event(log, "test.event", SPAN(",\"user\":\"a \\\"hash\\\":\\\" b\""));
	audit_close(log);
}

static struct audit_report verify(const char *path)
{
	struct audit_report report;
	struct err err = {.code = ERR_NONE};

	assert_int_equal(audit_verify(path, SPAN_NONE, &report, &err), 0);
	return report;
}

static struct buf read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char chunk[4096];
	struct buf text;
	size_t n;

	assert_non_null(file);
	buf_init(&text, TEXT_MAX);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		assert_int_equal(buf_append_bytes(&text, chunk, n), 0);
	fclose(file);
	return text;
}

static void write_file(const char *path, struct span text, const char *mode)
{
	FILE *file = fopen(path, mode);

	assert_non_null(file);
	assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
	fclose(file);
}

static bool has(const char *path, struct span needle)
{
	struct buf text = read_file(path);
	bool found = span_find(buf_span(&text), needle) < text.len;

	buf_release(&text);
	return found;
}

static void assert_whole(const char *path, uint64_t lines, uint64_t recoveries)
{
	struct audit_report report = verify(path);

	assert_int_equal(report.bad_line, 0);
	assert_int_equal(report.lines, lines);
	assert_int_equal(report.recoveries, recoveries);
	assert_int_equal(strlen(report.last_hash), 64);
}

static void what_is_recorded_is_a_whole_chain(void **state)
{
	struct place *place = *state;
	struct stat status;

	record(place, 5);
	assert_whole(place->path, 5, 0);
	assert_true(has(place->path, SPAN("{\"seq\":1,\"time\":\"")));
	assert_int_equal(stat(place->path, &status), 0);
	assert_int_equal(status.st_mode & 07, 0);
}

static void a_chain_goes_on_when_the_log_is_opened_again(void **state)
{
	struct place *place = *state;

	record(place, 3);
	record(place, 0);
	record(place, 4);
	assert_whole(place->path, 7, 0);
	assert_true(has(place->path, SPAN("{\"seq\":7,")));
}

static void a_change_of_any_byte_is_found_in_its_line(void **state)
{
	struct place *place = *state;
	struct buf text;
	uint64_t line = 1;

	record(place, 3);
	text = read_file(place->path);
	for (size_t i = 0; i < text.len; i++) {
		char was = text.ptr[i];

		for (int bit = 0; bit < 8; bit += 3) {
			struct audit_report report;

			text.ptr[i] = (char)(was ^ (1 << bit));
			write_file(place->path, buf_span(&text), "we");
			report = verify(place->path);
			assert_int_equal(report.bad_line, line);
			assert_non_null(report.problem);
		}
		text.ptr[i] = was;
		line += was == '\n';
	}
	buf_release(&text);
}

static void a_cut_at_any_byte_but_a_line_end_is_found(void **state)
{
	struct place *place = *state;
	struct buf text;
	uint64_t lines = 0;

	record(place, 3);
	text = read_file(place->path);
	for (size_t len = 0; len < text.len; len++) {
		bool at_line_end = len == 0 || text.ptr[len - 1] == '\n';

		lines += len > 0 && at_line_end;
		write_file(place->path, span_of(text.ptr, len), "we");
		assert_int_equal(verify(place->path).bad_line, at_line_end ? 0 : lines + 1);
	}
	buf_release(&text);
}

static void removed_doubled_and_swapped_lines_are_found(void **state)
{
	static const struct {
		int order[5]; /* -1 ends */
		uint64_t bad_line;
	} cases[] = {{{1, 2, 3, -1}, 1},   {{0, 2, 3, -1}, 2},	  {{0, 1, 3, -1}, 3},
		     {{0, 0, 1, 2, 3}, 2}, {{0, 2, 1, 3, -1}, 2}, {{0, 1, 2, 3, -1}, 0}};
	struct place *place = *state;
	struct span lines[4], rest;
	struct buf text;

	record(place, 4);
	text = read_file(place->path);
	rest = buf_span(&text);
	for (int i = 0; i < 4; i++) {
		size_t len = span_cut(&rest, '\n').len + 1;

		lines[i] = span_of(rest.ptr - len, len);
	}
	for (size_t c = 0; c < COUNT_OF(cases); c++) {
		write_file(place->path, SPAN_NONE, "we");
		for (int i = 0; i < 5 && cases[c].order[i] >= 0; i++)
			write_file(place->path, lines[cases[c].order[i]], "ae");
		assert_int_equal(verify(place->path).bad_line, cases[c].bad_line);
	}
	buf_release(&text);
}

static void after_a_cut_at_any_byte_the_chain_goes_on(void **state)
{
	struct place *place = *state;
	struct buf text;
	size_t last = 0;

	record(place, 2);
	text = read_file(place->path);
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.ptr[i] == '\n')
			last = i + 1;
	for (size_t len = last + 1; len < text.len; len += len + 5 < text.len ? 5 : 1) {
		bool complete = len == text.len - 1; /* only the line end is missing */

		write_file(place->path, span_of(text.ptr, len), "we");
		record(place, 1);
		assert_whole(place->path, complete ? 3 : 4, complete ? 0 : 1);
		assert_int_equal(has(place->path, SPAN("\"event\":\"recovered\"")), !complete);
	}
	/* Also when not even the first line was completed. */
	write_file(place->path, span_of(text.ptr, 20), "we");
	record(place, 1);
	assert_whole(place->path, 3, 1);
	buf_release(&text);
}

static void what_a_crash_has_left_is_accounted_for_byte_by_byte(void **state)
{
	struct place *place = *state;
	struct buf text;
	size_t torn_at;

	record(place, 1);
	write_file(place->path, SPAN("{\"seq\":2,\"ti\nme\":\"x"), "ae");
	record(place, 1);
	assert_whole(place->path, 5, 1);
	text = read_file(place->path);
	torn_at = span_find(buf_span(&text), SPAN("{\"seq\":2,\"ti\n"));
	for (size_t i = torn_at; i < torn_at + 19; i++) {
		text.ptr[i] ^= 1;
		write_file(place->path, buf_span(&text), "we");
		assert_int_equal(verify(place->path).bad_line, 2);
		text.ptr[i] ^= 1;
	}
	buf_release(&text);
}

static void another_file_is_not_taken_for_an_audit_log(void **state)
{
	struct place *place = *state;
	struct err err = {.code = ERR_NONE};

	for (int i = 0; i < 400; i++) {
		char line[1024];

		memset(line, 'a', sizeof(line));
		line[sizeof(line) - 1] = '\n';
		write_file(place->path, span_of(line, sizeof(line)), "ae");
	}
	assert_null(audit_open(place->path, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(verify(place->path).bad_line, 1);
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
	struct place *place = *state;
	struct audit_report report;
	struct err err = {.code = ERR_NONE};

	assert_int_equal(audit_verify(place->path, SPAN_NONE, &report, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_null(audit_open(place->folder, &err));
}

/* Waits until the log's thread has written so many records. */
static void wait_written(struct audit_log *log, uint64_t count)
{
	struct audit_stats stats;

	for (;;) {
		audit_read_stats(log, &stats);
		if (stats.written >= count)
			return;
		usleep(1000);
	}
}

static void logs_that_share_a_file_share_the_chain(void **state)
{
	struct place *place = *state;
	struct audit_log *first = open_log(place), *second = open_log(place);

	for (unsigned i = 1; i <= 10; i++) {
		audit_event(first, "first", SPAN_NONE);
		wait_written(first, i);
		audit_event(second, "second", SPAN_NONE);
		if (i % 3 == 0)
			wait_written(second, i);
	}
	audit_close(first);
	audit_close(second);
	assert_whole(place->path, 20, 0);
}

static void after_a_rotation_a_new_chain_names_the_last_record_of_the_old(void **state)
{
	struct place *place = *state;
	struct audit_log *log = open_log(place);
	struct err err = {.code = ERR_NONE};
	char previous[96];

	audit_event(log, "one", SPAN_NONE);
	wait_written(log, 1);
	assert_int_equal(rename(place->path, place->moved), 0);
	assert_int_equal(audit_reopen(log, &err), 0);
	audit_event(log, "two", SPAN_NONE);
	audit_close(log);
	assert_whole(place->moved, 1, 0);
	assert_whole(place->path, 3, 0);
	snprintf(previous, sizeof(previous), "\"previous_hash\":\"%s\"",
		 verify(place->moved).last_hash);
	assert_true(has(place->path, span_cstr(previous)));
	assert_true(has(place->path, SPAN("\"event\":\"continued\",\"previous_seq\":1,")));
}

static void a_file_that_gets_shorter_under_the_log_is_told(void **state)
{
	struct place *place = *state;
	struct audit_log *log = open_log(place);

	audit_event(log, "one", SPAN_NONE);
	audit_event(log, "two", SPAN_NONE);
	wait_written(log, 2);
	assert_int_equal(truncate(place->path, 0), 0);
	audit_event(log, "three", SPAN_NONE);
	audit_close(log);
	assert_whole(place->path, 2, 0);
	assert_true(has(place->path, SPAN("\"event\":\"truncated\",\"previous_seq\":2,")));
}

static void a_full_disk_is_counted_and_told(void **state)
{
	struct err err = {.code = ERR_NONE};
	struct audit_log *log;
	struct audit_stats stats = {.failures = 0};

	(void)state;
	if (access("/dev/full", W_OK) < 0)
		skip();
	log_setup(STDERR_FILENO, LOG_OFF, LOG_FORMAT_JSON);
	log = audit_open("/dev/full", &err);
	assert_non_null(log);
	audit_event(log, "one", SPAN_NONE);
	while (stats.failures == 0) {
		usleep(1000);
		audit_read_stats(log, &stats);
	}
	assert_int_equal(stats.written, 0);
	assert_true(stats.waiting_bytes > 0);
	/* The queue holds 8 MiB; what comes then is lost, and nobody waits. */
	for (int i = 0; i < 200000; i++)
		audit_event(log, "two", SPAN_NONE);
	audit_read_stats(log, &stats);
	assert_true(stats.lost > 0 && stats.lost < 200000);
	audit_close(log);
}

static void the_hash_of_a_configuration_file_is_recorded(void **state)
{
	struct place *place = *state;
	struct audit_log *log = open_log(place);

	write_file(place->moved, SPAN("abc"), "we");
	audit_config(log, "config.loaded", place->moved);
	audit_close(log);
	assert_whole(place->path, 1, 0);
	/* FIPS 180-2, appendix B.1 */
	assert_true(has(place->path,
			SPAN("\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb4"
			     "10ff61f20015ad\"")));
}

#define THREADS 4
#define EVENTS 1000

static void *event_main(void *arg)
{
	for (int i = 0; i < EVENTS; i++)
		audit_event(arg, "thread.event", SPAN(",\"n\":1"));
	return NULL;
}

static void events_of_many_threads_are_all_in_one_chain(void **state)
{
	struct place *place = *state;
	struct audit_log *log = open_log(place);
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, event_main, log), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	audit_close(log);
	assert_whole(place->path, (uint64_t)THREADS * EVENTS, 0);
}

#define AUDIT_TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AUDIT_TEST(what_is_recorded_is_a_whole_chain),
		AUDIT_TEST(a_chain_goes_on_when_the_log_is_opened_again),
		AUDIT_TEST(a_change_of_any_byte_is_found_in_its_line),
		AUDIT_TEST(a_cut_at_any_byte_but_a_line_end_is_found),
		AUDIT_TEST(removed_doubled_and_swapped_lines_are_found),
		AUDIT_TEST(after_a_cut_at_any_byte_the_chain_goes_on),
		AUDIT_TEST(what_a_crash_has_left_is_accounted_for_byte_by_byte),
		AUDIT_TEST(another_file_is_not_taken_for_an_audit_log),
		AUDIT_TEST(a_file_that_cannot_be_opened_is_an_error),
		AUDIT_TEST(logs_that_share_a_file_share_the_chain),
		AUDIT_TEST(after_a_rotation_a_new_chain_names_the_last_record_of_the_old),
		AUDIT_TEST(a_file_that_gets_shorter_under_the_log_is_told),
		AUDIT_TEST(the_hash_of_a_configuration_file_is_recorded),
		AUDIT_TEST(events_of_many_threads_are_all_in_one_chain),
		AUDIT_TEST(a_full_disk_is_counted_and_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
