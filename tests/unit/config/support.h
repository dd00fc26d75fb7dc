/* support.h - a source of files and variables that are not there. */
#ifndef TEST_CONFIG_SUPPORT_H
#define TEST_CONFIG_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

struct fake_file {
	const char *path;
	const char *text;
};

/* The last has path NULL. */
struct fake_files {
	const struct fake_file *files;
};

/*
 * Files as listed; others cannot be read. Variables: NAME is "value", EMPTY is empty, TOKEN is
 * "hunter2", TEMPLATE is "${NAME}"; others are not set.
 */
struct config_source fake_source(struct fake_files *files);

/* Loads text as conf/sallyport.yaml; what config_problems_print says goes to `said`. */
struct config *load(const char *text, const struct config_source *source, struct buf *said);
/* The same, and fails the test unless it loads without a word. */
struct config *load_good(const char *text);

/* Replaces the file in the source tree when asked to by SALLYPORT_UPDATE, else compares. */
void expect_file(const char *path, struct span text);

#define assert_span(span, text) assert_string_equal((span).ptr, (text))

#endif
