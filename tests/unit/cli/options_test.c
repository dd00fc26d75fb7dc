#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"
#include "cli/command.h"
#include "cli/options.h"

static const char *const fruits[] = {"apple", "pear", NULL};

static const struct option_spec options[] = {
	{.name = "file",
	 .short_name = 'f',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "A file.",
	 .initial = "default.txt",
	 .environment = "SALLYPORT_TEST_FILE"},
	{.name = "fruit",
	 .kind = OPTION_CHOICE,
	 .argument = "F",
	 .help = ".",
	 .choices = fruits},
	{.name = "count",
	 .short_name = 'n',
	 .kind = OPTION_NUMBER,
	 .argument = "N",
	 .help = ".",
	 .initial = "7",
	 .environment = "SALLYPORT_TEST_COUNT"},
	{.name = "quiet", .short_name = 'q', .help = "."},
	{.name = "loud", .short_name = 'l', .help = "."},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "SHELL", .help = ".", .required = true, .choices = fruits},
	{.name = "REST", .help = "."},
	{.name = NULL},
};

static const struct command with_options = {.name = "t", .options = options};
static const struct operand_spec files[] = {
	{.name = "FILE", .help = "Files.", .required = true, .is_file = true, .many = true},
	{.name = NULL},
};

static const struct command with_files = {.name = "t", .operands = files};
static const struct command with_operands = {.name = "t", .operands = operands};

static struct options given;
static struct err err;

/* The words end with NULL. */
static int read_words(const struct command *command, const char *const *words)
{
	int count = 0;

	while (words[count])
		count++;
	err = (struct err){0};
	return options_read(&given, command, count, words, &err);
}

#define READ(command, ...) read_words((command), (const char *const[]){__VA_ARGS__})

static void refused(int result, const char *message)
{
	assert_int_equal(result, -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.message, message);
}

static int clear_environment(void **state)
{
	(void)state;
	unsetenv("SALLYPORT_TEST_FILE");
	unsetenv("SALLYPORT_TEST_COUNT");
	return 0;
}

static void defaults_hold_where_nothing_is_given(void **state)
{
	(void)state;
	assert_int_equal(READ(&with_options, NULL), 0);
	assert_string_equal(options_text(&given, "file"), "default.txt");
	assert_null(options_text(&given, "fruit"));
	assert_int_equal(options_number(&given, "count"), 7);
	assert_false(options_flag(&given, "quiet"));
	assert_string_equal(options_text(&given, "color"), "auto");
}

static void every_way_to_write_an_option_is_read(void **state)
{
	(void)state;
	assert_int_equal(READ(&with_options, "--file", "a", "--fruit=pear", "-n5", "-ql", NULL),
			 0);
	assert_string_equal(options_text(&given, "file"), "a");
	assert_string_equal(options_text(&given, "fruit"), "pear");
	assert_int_equal(options_number(&given, "count"), 5);
	assert_true(options_flag(&given, "quiet"));
	assert_true(options_flag(&given, "loud"));
	assert_int_equal(READ(&with_options, "-qf", "b", "-n", "0", NULL), 0);
	assert_string_equal(options_text(&given, "file"), "b");
	assert_int_equal(READ(&with_options, "--file=a=b", NULL), 0);
	assert_string_equal(options_text(&given, "file"), "a=b");
}

static void the_command_line_wins_over_the_environment_over_the_default(void **state)
{
	(void)state;
	setenv("SALLYPORT_TEST_FILE", "from-environment", 1);
	assert_int_equal(READ(&with_options, NULL), 0);
	assert_string_equal(options_text(&given, "file"), "from-environment");
	assert_int_equal(READ(&with_options, "-f", "given", NULL), 0);
	assert_string_equal(options_text(&given, "file"), "given");
	setenv("SALLYPORT_TEST_FILE", "", 1);
	assert_int_equal(READ(&with_options, NULL), 0);
	assert_string_equal(options_text(&given, "file"), "default.txt");
}

static void a_bad_value_in_the_environment_is_refused_by_its_name(void **state)
{
	(void)state;
	setenv("SALLYPORT_TEST_COUNT", "many", 1);
	refused(READ(&with_options, NULL), "SALLYPORT_TEST_COUNT: \"many\" is no number");
	assert_int_equal(READ(&with_options, "--count", "1", NULL), 0);
}

static void a_wrong_option_is_answered_with_the_nearest(void **state)
{
	(void)state;
	refused(READ(&with_options, "--flie", "x", NULL),
		"unknown option --flie; did you mean --file?");
	refused(READ(&with_options, "--quite", NULL),
		"unknown option --quite; did you mean --quiet?");
	refused(READ(&with_options, "--colour=x", NULL),
		"unknown option --colour; did you mean --color?");
	refused(READ(&with_options, "--nothing-like-it", NULL),
		"unknown option --nothing-like-it");
	refused(READ(&with_options, "--fil", "x", NULL),
		"unknown option --fil; did you mean --file?");
	refused(READ(&with_options, "-x", NULL), "unknown option -x");
}

static void a_wrong_value_is_refused(void **state)
{
	(void)state;
	refused(READ(&with_options, "--file", NULL), "--file needs a value: FILE");
	refused(READ(&with_options, "--file=", NULL), "--file: empty file name");
	refused(READ(&with_options, "--fruit", "plum", NULL),
		"--fruit: \"plum\" is none of: apple, pear");
	refused(READ(&with_options, "-n", "-5", NULL), "--count: \"-5\" is no number");
	refused(READ(&with_options, "--quiet=yes", NULL), "--quiet takes no value");
	refused(READ(&with_options, "stray", NULL), "unexpected argument \"stray\"");
}

static void the_last_operand_may_be_several(void **state)
{
	const char *argv[OPERANDS_MAX + 1];

	(void)state;
	for (size_t i = 0; i <= OPERANDS_MAX; i++)
		argv[i] = i % 2 ? "odd" : "even";
	assert_int_equal(options_read(&given, &with_files, OPERANDS_MAX, argv, &err), 0);
	assert_int_equal(given.operand_count, OPERANDS_MAX);
	assert_string_equal(options_operand(&given, OPERANDS_MAX - 1), "odd");
	refused(options_read(&given, &with_files, OPERANDS_MAX + 1, argv, &err),
		"unexpected argument \"even\"");
	refused(options_read(&given, &with_files, 0, argv, &err), "FILE is missing");
}

static void operands_come_in_order_and_may_look_like_options(void **state)
{
	(void)state;
	assert_int_equal(READ(&with_operands, "pear", "--color", "never", "--", "--rest", NULL),
			 0);
	assert_string_equal(options_operand(&given, 0), "pear");
	assert_string_equal(options_operand(&given, 1), "--rest");
	assert_null(options_operand(&given, 2));
	assert_int_equal(READ(&with_operands, "pear", "-", NULL), 0);
	assert_string_equal(options_operand(&given, 1), "-");
	refused(READ(&with_operands, NULL), "SHELL is missing");
	refused(READ(&with_operands, "plum", NULL), "SHELL: \"plum\" is none of: apple, pear");
	refused(READ(&with_operands, "pear", "b", "c", NULL), "unexpected argument \"c\"");
}

static void help_needs_no_operands(void **state)
{
	(void)state;
	assert_int_equal(READ(&with_operands, "--help", NULL), 0);
	assert_true(options_flag(&given, "help"));
	assert_int_equal(READ(&with_operands, "-V", NULL), 0);
	assert_true(options_flag(&given, "version"));
}

static void the_nearest_name_is_a_few_edits_away_or_none(void **state)
{
	static const char *const names[] = {"serve", "check", "man", NULL};

	(void)state;
	assert_string_equal(options_nearest("sevre", names), "serve");
	assert_string_equal(options_nearest("chek", names), "check");
	assert_string_equal(options_nearest("men", names), "man");
	assert_null(options_nearest("xyz", names));
	assert_null(options_nearest("", names));
}

static void commands_are_found_or_the_nearest_is_named(void **state)
{
	const char *const check[] = {"check", "x.yaml"};
	const char *const slip[] = {"chekc"};
	int words = 0;

	(void)state;
	err = (struct err){0};
	assert_ptr_equal(command_find(2, check, &words, &err), &cmd_check);
	assert_int_equal(words, 1);
	assert_null(command_find(1, slip, &words, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.message, "unknown command \"chekc\"; did you mean \"check\"?");
}

/* What the tables must hold for the texts made from them to be right. */
static void every_table_is_complete(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		size_t count = 0;

		assert_non_null(c->run);
		assert_non_null(c->summary);
		assert_null(strpbrk(c->summary, "'\"\\[]:"));
		assert_non_null(c->description);
		for (const struct option_spec *o = c->options; o && o->name; o++, count++) {
			assert_int_equal(o->kind == OPTION_FLAG, o->argument == NULL);
			assert_int_equal(o->kind == OPTION_CHOICE, o->choices != NULL);
			assert_int_equal(o->help[strlen(o->help) - 1], '.');
			for (const struct option_spec *b = c->options; b < o; b++) {
				assert_string_not_equal(b->name, o->name);
				assert_true(!o->short_name || b->short_name != o->short_name);
			}
		}
		for (const struct option_spec *o = options_common; o->name; o++)
			count++;
		assert_true(count <= OPTIONS_MAX);
		assert_int_equal(
			options_read(&given, c, 1, (const char *const[]){"--help"}, &err), 0);
	}
}

#define fresh(test) cmocka_unit_test_setup(test, clear_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fresh(defaults_hold_where_nothing_is_given),
		fresh(every_way_to_write_an_option_is_read),
		fresh(the_command_line_wins_over_the_environment_over_the_default),
		fresh(a_bad_value_in_the_environment_is_refused_by_its_name),
		fresh(a_wrong_option_is_answered_with_the_nearest),
		fresh(a_wrong_value_is_refused),
		fresh(the_last_operand_may_be_several),
		fresh(operands_come_in_order_and_may_look_like_options),
		fresh(help_needs_no_operands),
		fresh(the_nearest_name_is_a_few_edits_away_or_none),
		fresh(commands_are_found_or_the_nearest_is_named),
		fresh(every_table_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
