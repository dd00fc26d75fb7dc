#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "runner/job_log.h"

/* One is the beginning of another. */
static const struct span secrets[] = {SPAN_INIT("hunter"), SPAN_INIT("hunter-of-bears"),
				      SPAN_INIT("two\nlines-of-it")};
static const struct span text = SPAN_INIT("a hunter-of-bears, a hunter, two\nlines-of-it, "
					  "hunte, hunter-of-bear, no\nlines-of-it.");
static const struct span masked =
	SPAN_INIT("a [secret], a [secret], [secret], hunte, [secret]-of-bear, no\n[secret].");

static FILE *file;

static void log_begin(struct job_log *log, uint64_t limit_bytes)
{
	file = tmpfile();
	assert_non_null(file);
	*log = (struct job_log){.fd = fileno(file),
				.secrets = secrets,
				.secret_count = COUNT_OF(secrets),
				.limit_bytes = limit_bytes};
	job_log_init(log);
}

static void assert_log(struct job_log *log, struct span expected)
{
	char found[1024];
	ssize_t n;

	job_log_end(log);
	n = pread(fileno(file), found, sizeof(found), 0);
	assert_int_equal(n, expected.len);
	assert_memory_equal(found, expected.ptr, expected.len);
	assert_false(log->failed);
	(void)fclose(file);
}

static void secrets_are_masked_wherever_the_output_is_cut(void **state)
{
	(void)state;
	for (size_t first = 0; first <= text.len; first++)
		for (size_t second = first; second <= text.len; second++) {
			struct job_log log;

			log_begin(&log, 1024);
			job_log_put(&log, span_slice(text, 0, first));
			job_log_put(&log, span_slice(text, first, second));
			job_log_put(&log, span_slice(text, second, text.len));
			assert_log(&log, masked);
		}
}

static void a_byte_at_a_time_gives_the_same(void **state)
{
	struct job_log log;

	(void)state;
	log_begin(&log, 1024);
	for (size_t i = 0; i < text.len; i++)
		job_log_put(&log, span_slice(text, i, i + 1));
	assert_log(&log, masked);
}

static void what_is_beyond_the_limit_is_counted(void **state)
{
	struct job_log log;

	(void)state;
	log_begin(&log, 4);
	job_log_put(&log, SPAN("012"));
	job_log_put(&log, SPAN("345"));
	job_log_put(&log, SPAN("6789"));
	assert_log(&log, SPAN("0123\n[6 more bytes were not kept]\n"));
}

static void a_file_that_takes_nothing_is_a_failure(void **state)
{
	struct job_log log;

	(void)state;
	log_begin(&log, 1024);
	log.fd = -1;
	job_log_put(&log, text);
	job_log_end(&log);
	assert_true(log.failed);
	(void)fclose(file);
}

static void without_memory_nothing_is_written_unmasked(void **state)
{
	struct job_log log;
	char found[64];

	(void)state;
	log_begin(&log, 1024);
	mem_fail_at(1);
	job_log_put(&log, text);
	assert_true(mem_fail_happened());
	mem_fail_at(0);
	assert_true(log.failed);
	job_log_end(&log);
	assert_int_equal(pread(fileno(file), found, sizeof(found), 0), 0);
	(void)fclose(file);
}

static void without_memory_for_its_masks_it_takes_nothing(void **state)
{
	struct job_log log = {.fd = -1, .secrets = secrets, .secret_count = COUNT_OF(secrets)};

	(void)state;
	mem_fail_at(1);
	job_log_init(&log);
	assert_true(mem_fail_happened());
	mem_fail_at(0);
	job_log_put(&log, text);
	assert_int_equal(log.written_bytes + log.dropped_bytes, 0);
	job_log_end(&log);
	assert_true(log.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_masked_wherever_the_output_is_cut),
		cmocka_unit_test(a_byte_at_a_time_gives_the_same),
		cmocka_unit_test(what_is_beyond_the_limit_is_counted),
		cmocka_unit_test(a_file_that_takes_nothing_is_a_failure),
		cmocka_unit_test(without_memory_nothing_is_written_unmasked),
		cmocka_unit_test(without_memory_for_its_masks_it_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
