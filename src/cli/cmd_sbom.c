#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/command.h"
#include "cli/output.h"
#include "supply/inventory_child.h"
#include "supply/sbom.h"

#define SBOM_BYTES_MAX ((size_t)2 << 30)

static enum exit_status fail(const struct options *given, const struct err *err)
{
	output_error(given, err);
	return EXIT_STATUS_FAILED;
}

static void print_problems(const struct options *given, const struct inventory *inv)
{
	bool coloured = output_is_coloured(given, STDERR_FILENO);

	for (size_t i = 0; i < inv->problem_count; i++) {
		const struct inventory_problem *p = &inv->problems[i];
		char line[16] = "";

		if (p->line)
			snprintf(line, sizeof(line), ":%u", p->line);
		fprintf(stderr, "%.*s%s: %swarning:%s %.*s\n", SPAN_ARG(p->file), line,
			coloured ? OUTPUT_YELLOW : "", coloured ? OUTPUT_PLAIN : "",
			SPAN_ARG(p->message));
	}
}

/* Beside the file first, so that nobody ever sees half of it. */
static int write_file(const char *path, struct span text, struct err *err)
{
	char beside[PATH_MAX];
	int file;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
		return err_set(err, ERR_INVALID, "%.200s: the path is too long", path);
	file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (file < 0)
		return err_set_errno(err, errno, "%.200s", beside);
	if (fd_write_all(file, text) < 0) {
		(void)err_set_errno(err, errno, "cannot write");
		(void)close(file);
		(void)unlink(beside);
		return err_wrap(err, "%.200s", path);
	}
	(void)close(file);
	if (rename(beside, path) < 0)
		return err_set_errno(err, errno, "%.200s", path);
	return 0;
}

static enum sbom_format format_of(const char *word)
{
	if (strcmp(word, "spdx") == 0)
		return SBOM_SPDX;
	return strcmp(word, "spdx3") == 0 ? SBOM_SPDX3 : SBOM_CYCLONEDX;
}

static enum exit_status print(const struct options *given, const struct inventory *inv)
{
	const char *output = options_text(given, "output");
	const struct sbom_options options = {
		.format = format_of(options_text(given, "format")),
		.time_s = options_text(given, "timestamp")
				  ? (int64_t)options_number(given, "timestamp")
				  : -1,
		.pretty = options_flag(given, "pretty"),
	};
	struct err err = {0};
	struct buf text;
	int result;

	buf_init(&text, SBOM_BYTES_MAX);
	if (sbom_write(inv, &options, &text, &err) < 0) {
		buf_release(&text);
		return fail(given, &err);
	}
	if (!output)
		return output_text(&text);
	result = write_file(output, buf_span(&text), &err);
	buf_release(&text);
	return result < 0 ? fail(given, &err) : EXIT_STATUS_OK;
}

static const char *const sources[] = {"auto", "folder", "root", "image", "sbom", "file", NULL};

static enum inventory_source source_of(const char *word)
{
	for (size_t i = 0; sources[i]; i++) {
		if (strcmp(word, sources[i]) == 0)
			return (enum inventory_source)i;
	}
	return INVENTORY_AUTO;
}

static enum exit_status run(const struct options *given)
{
	const struct inventory_options options = {
		.limits = INVENTORY_LIMITS_DEFAULT,
		.source = source_of(options_text(given, "source")),
		.node_modules = options_flag(given, "node-modules"),
	};
	const struct child_limits limits = CHILD_LIMITS_DEFAULT;
	const char *path = options_operand(given, 0);
	struct inventory inv;
	struct err err = {0};
	enum exit_status status;

	inventory_init(&inv, INVENTORY_TEXT_BYTES);
	if (inventory_scan_child(&inv, path ? path : ".", &options, &limits, &err) < 0) {
		status = fail(given, &err);
	} else {
		print_problems(given, &inv);
		status = print(given, &inv);
		if (status == EXIT_STATUS_OK && inv.problem_count &&
		    options_flag(given, "strict"))
			status = EXIT_STATUS_FAILED;
	}
	inventory_release(&inv);
	return status;
}

static const char *const formats[] = {"cyclonedx", "spdx", "spdx3", NULL};

static const struct option_spec options[] = {
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "The form: CycloneDX 1.6, SPDX 2.3 or SPDX 3.0, each in JSON.",
	 .initial = "cyclonedx",
	 .choices = formats},
	{.name = "output",
	 .short_name = 'o',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Write to this file instead of standard output."},
	{.name = "source",
	 .kind = OPTION_CHOICE,
	 .argument = "KIND",
	 .help = "What PATH is: a folder with sources, a root file system, a container image, "
		 "an "
		 "SBOM, or a single file. By default its content tells.",
	 .initial = "auto",
	 .choices = sources},
	{.name = "timestamp",
	 .kind = OPTION_NUMBER,
	 .argument = "SECONDS",
	 .help = "The time to write into the document, in seconds since 1970. Without it there "
		 "is "
		 "none, so that the same input always gives the same bytes.",
	 .environment = "SOURCE_DATE_EPOCH"},
	{.name = "pretty", .help = "Indent the document."},
	{.name = "node-modules",
	 .help = "Look into folders named node_modules of a checkout, too."},
	{.name = "strict", .help = "Exit with 1 when a file could not be read."},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "PATH",
	 .help = "A folder, root file system, OCI layout, image archive, SBOM or lock file; "
		 "the "
		 "current folder when absent.",
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport sbom --output app.cdx.json .",
	 "What the checkout in this folder is built of."},
	{"docker save app:1.2 -o app.tar && sallyport sbom --format spdx app.tar",
	 "What a container image holds, as SPDX 2.3."},
	{"sallyport sbom --format spdx3 app.cdx.json", "Turn one form into another."},
	{NULL, NULL},
};

const struct command cmd_sbom = {
	.name = "sbom",
	.summary = "write a software bill of materials",
	.description =
		"Lists the components of a checkout, root file system or container image, with "
		"their package URLs, versions, licences, places and dependencies: from lock "
		"files "
		"and manifests of all common ecosystems, databases of dpkg, apk and rpm, Java "
		"archives, and what Go and Rust programs tell of themselves.\n\n"
		"Files that cannot be read are named on standard error, and the rest is "
		"listed. The "
		"exit status is 1 when the document could not be made (with --strict: or a "
		"file "
		"could not be read).\n\n"
		"The document is byte for byte the same for the same input.",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run,
};
