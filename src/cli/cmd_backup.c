#include <inttypes.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "runner/backup.h"

#define STORE_OPERAND                                                                          \
	{                                                                                      \
		.name = "STORE", .help = "The folder of the store.", .required = true,         \
		.is_file = true                                                                \
	}
#define ID_OPERAND                                                                             \
	{                                                                                      \
		.name = "ID", .help = "As `backup create` printed it.", .required = true       \
	}

static const struct operand_spec create_operands[] = {
	STORE_OPERAND,
	{.name = "FOLDER", .help = "What to store.", .required = true, .is_file = true},
	{.name = NULL},
};

static const struct operand_spec list_operands[] = {
	STORE_OPERAND,
	{.name = NULL},
};

static const struct operand_spec verify_operands[] = {
	STORE_OPERAND,
	ID_OPERAND,
	{.name = NULL},
};

static const struct operand_spec restore_operands[] = {
	STORE_OPERAND,
	ID_OPERAND,
	{.name = "FOLDER",
	 .help = "Where to; it must not exist yet.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example create_examples[] = {
	{"sallyport backup create /srv/backup ./build/release", "Store a build's artifacts."},
	{NULL, NULL},
};

static const struct command_example restore_examples[] = {
	{"sallyport backup restore /srv/backup 593a7f22a90c... ./again",
	 "Make the folder again, each file compared with its hash."},
	{NULL, NULL},
};

static void print(void *context, const struct backup_info *info)
{
	buf_printf(context,
		   "{\"id\":\"%s\",\"made_at\":%" PRId64 ",\"entries\":%" PRIu64
		   ",\"bytes\":%" PRIu64 "}\n",
		   info->id, info->made_at_s, info->entries, info->bytes);
}

static enum exit_status finish(const struct options *given, int done,
			       const struct backup_info *info, const struct err *err)
{
	struct buf out;

	if (done < 0) {
		output_error(given, err);
		return EXIT_STATUS_FAILED;
	}
	buf_init(&out, OUTPUT_MAX_BYTES);
	print(&out, info);
	return output_text(&out);
}

static enum exit_status run_create(const struct options *given)
{
	struct backup_info info;
	struct err err;
	int done = backup_create(options_operand(given, 0), options_operand(given, 1),
				 clock_unix_s(), &info, &err);

	return finish(given, done, &info, &err);
}

static enum exit_status run_list(const struct options *given)
{
	struct err err;
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (backup_list(options_operand(given, 0), print, &out, &err) < 0) {
		buf_release(&out);
		output_error(given, &err);
		return EXIT_STATUS_FAILED;
	}
	return output_text(&out);
}

static enum exit_status run_verify(const struct options *given)
{
	struct backup_info info;
	struct err err;
	int done = backup_verify(options_operand(given, 0), options_operand(given, 1), &info,
				 &err);

	return finish(given, done, &info, &err);
}

static enum exit_status run_restore(const struct options *given)
{
	struct backup_info info;
	struct err err;
	int done = backup_restore(options_operand(given, 0), options_operand(given, 1),
				  options_operand(given, 2), &info, &err);

	return finish(given, done, &info, &err);
}

const struct command cmd_backup_create = {
	.name = "backup create",
	.summary = "store a copy of a folder, named by what it holds",
	.description = "Files are compressed and stored once, whatever number of backups have "
		       "them. The id "
		       "that is printed is a SHA-256 over all of it: kept elsewhere, it "
		       "vouches for every "
		       "byte. Kept are names, contents, links and permission bits; not owners "
		       "and times.",
	.operands = create_operands,
	.examples = create_examples,
	.run = run_create};

const struct command cmd_backup_list = {.name = "backup list",
					.summary = "print the backups of a store, one a line",
					.description = "JSON: id, time, entries, bytes.",
					.operands = list_operands,
					.run = run_list};

const struct command cmd_backup_verify = {
	.name = "backup verify",
	.summary = "say whether a backup is whole",
	.description =
		"Reads every content and compares it with its hash. The exit status is 1, and "
		"the first bad file is named, when one is missing or was changed.",
	.operands = verify_operands,
	.run = run_verify};

const struct command cmd_backup_restore = {
	.name = "backup restore",
	.summary = "make the folder of a backup again",
	.description =
		"Into a folder that does not exist yet. Nothing is written outside it: paths "
		"and links that lead out of it are refused. What was written before a failure "
		"stays.",
	.operands = restore_operands,
	.examples = restore_examples,
	.run = run_restore};
