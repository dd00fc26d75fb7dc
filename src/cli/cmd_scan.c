/* cmd_scan.c - scan: known vulnerabilities and misconfigurations of a folder, image or SBOM. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "supply/report.h"
#include "supply/survey.h"
#include "supply/waiver.h"

/* Findings and vulnerabilities; the inventory has its own limit. */
#define SCAN_MAX_BYTES ((size_t)1 << 30)

struct scan {
	const struct options *given;
	struct inventory inventory;
	struct arena arena;
	struct vulnerability_list vulnerabilities;
	struct finding_list findings;
	struct advisory_db *db;
	struct waiver_list waivers;
};

static bool is(const struct options *given, const char *option, const char *value)
{
	return strcmp(options_text(given, option), value) == 0;
}

static int open_database(struct scan *s, struct err *err)
{
	const char *path = options_text(s->given, "database");
	uint64_t max_age_days = options_number(s->given, "max-age");
	int64_t age_days;

	s->db = advisory_db_open(path, err);
	if (!s->db) {
		(void)err_wrap(err, "no vulnerabilities can be told (see \"sallyport db "
				    "update\", or use --only config or secrets)");
		return -1;
	}
	age_days = (clock_unix_s() - advisory_db_header(s->db)->built_s) / 86400;
	if (age_days > (int64_t)max_age_days)
		fprintf(stderr, "sallyport: warning: the advisory database is %lld days old\n",
			(long long)age_days);
	return 0;
}

static bool looks_for(const struct scan *s, const char *what)
{
	return is(s->given, "only", "all") || is(s->given, "only", what);
}

/* All foreign files are read in a child that can do nothing else. */
static int survey(struct scan *s, const char *path, struct err *err)
{
	struct survey survey = {
		.path = path,
		.components = looks_for(s, "vulnerabilities"),
		.misconfigurations = looks_for(s, "config"),
		.secrets = looks_for(s, "secrets"),
		.shellcheck = !options_flag(s->given, "no-shellcheck"),
		.rules_path = options_text(s->given, "rules"),
		.inventory = {.limits = INVENTORY_LIMITS_DEFAULT, .source = INVENTORY_AUTO},
		.files = CHECK_WALK_LIMITS_DEFAULT,
		.limits = CHILD_LIMITS_DEFAULT,
	};

	survey.limits.seconds = (unsigned)options_number(s->given, "timeout");
	survey.limits.memory_bytes = (size_t)options_number(s->given, "max-memory") << 20;
	survey.files.file_bytes = (size_t)options_number(s->given, "max-file-size") << 10;
	survey.inventory.limits.max_unpacked_bytes =
		(size_t)options_number(s->given, "max-unpacked") << 20;
	return survey_run(&survey, &s->inventory, &s->findings, err);
}

static int find_vulnerabilities(struct scan *s, struct err *err)
{
	struct rank_options rank = {.include_owned = options_flag(s->given, "include-owned")};

	return rank_inventory(s->db, &s->inventory, &rank, &s->vulnerabilities, err);
}

static int apply_waivers(struct scan *s, struct err *err)
{
	const char *path = options_text(s->given, "waivers");
	const char *champions = options_text(s->given, "champions");

	if (!path)
		return 0;
	if (!champions)
		return err_set(err, ERR_INVALID,
			       "--waivers needs --champions: who may sign them");
	waiver_list_init(&s->waivers);
	if (waiver_list_read(&s->waivers, path, champions, err) < 0)
		return -1;
	waiver_apply(&s->waivers, &s->inventory, &s->vulnerabilities, &s->findings,
		     clock_unix_s());
	for (size_t i = 0; i < s->waivers.problem_count; i++)
		fprintf(stderr, "sallyport: warning: %s: %.*s\n", path,
			SPAN_ARG(s->waivers.problems[i]));
	return 0;
}

static enum exit_status print(struct scan *s, const struct report *report)
{
	struct buf out;
	int result = 0;

	buf_init(&out, SCAN_MAX_BYTES);
	if (is(s->given, "format", "json"))
		report_json(report, &out);
	else if (is(s->given, "format", "sarif"))
		result = report_sarif(report, &out);
	else if (is(s->given, "format", "markdown"))
		report_markdown(report, &out);
	else if (is(s->given, "format", "junit"))
		report_junit(report, &out);
	else
		report_table(report, &out);
	if (result < 0)
		out.failed = true;
	return output_text(&out);
}

/* 0 clean, 1 when something at or above --fail-on counts, 2 when it could not be told. */
static enum exit_status judge(const struct scan *s, const struct report *report)
{
	enum finding_severity worst, limit = FINDING_INFO;

	if (is(s->given, "fail-on", "none") || !report_worst(report, &worst))
		return EXIT_STATUS_OK;
	(void)finding_severity_parse(span_cstr(options_text(s->given, "fail-on")), &limit);
	return worst >= limit ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

static enum exit_status scan(struct scan *s, struct err *err)
{
	const char *path = options_operand(s->given, 0);
	struct report report = {
		.inventory = &s->inventory,
		.vulnerabilities = &s->vulnerabilities,
		.version = SPAN(SALLYPORT_VERSION),
		.coloured = output_is_coloured(s->given, STDOUT_FILENO),
		.hide_unfixed = options_flag(s->given, "ignore-unfixed"),
	};

	if (looks_for(s, "vulnerabilities") && open_database(s, err) < 0)
		return EXIT_STATUS_USAGE;
	if (survey(s, path, err) < 0)
		return EXIT_STATUS_USAGE;
	if (s->db && find_vulnerabilities(s, err) < 0)
		return EXIT_STATUS_USAGE;
	if (apply_waivers(s, err) < 0)
		return EXIT_STATUS_USAGE;
	finding_list_sort(&s->findings);
	report.db = s->db;
	report.findings = s->findings.at;
	report.finding_count = s->findings.count;
	if (print(s, &report) != EXIT_STATUS_OK) {
		(void)err_set(err, ERR_IO, "the report could not be written");
		return EXIT_STATUS_USAGE;
	}
	if (options_flag(s->given, "strict") && s->inventory.problem_count) {
		(void)err_set(err, ERR_INVALID,
			      "%zu files could not be read, or not all of them",
			      s->inventory.problem_count);
		return EXIT_STATUS_USAGE;
	}
	return judge(s, &report);
}

static enum exit_status run(const struct options *given)
{
	struct scan s = {.given = given};
	struct err err = {0};
	enum exit_status status;

	inventory_init(&s.inventory, INVENTORY_TEXT_BYTES);
	arena_init(&s.arena, SCAN_MAX_BYTES, (size_t)1 << 16);
	s.vulnerabilities.arena = &s.arena;
	finding_list_init(&s.findings, &s.arena);
	status = scan(&s, &err);
	if (err.code != ERR_NONE)
		output_error(given, &err);
	waiver_list_release(&s.waivers);
	advisory_db_close(s.db);
	inventory_release(&s.inventory);
	arena_release(&s.arena);
	return status;
}

static const char *const formats[] = {"table", "json", "sarif", "markdown", "junit", NULL};
static const char *const limits[] = {"none", "info", "low", "medium", "high", "critical", NULL};
static const char *const kinds[] = {"all", "vulnerabilities", "config", "secrets", NULL};

static const struct option_spec options[] = {
	{.name = "database",
	 .short_name = 'd',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The compiled advisories.",
	 .initial = "/var/lib/sallyport/advisories.db",
	 .environment = "SALLYPORT_DATABASE"},
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print the findings: table, json, sarif, markdown or junit.",
	 .initial = "table",
	 .choices = formats},
	{.name = "fail-on",
	 .kind = OPTION_CHOICE,
	 .argument = "SEVERITY",
	 .help = "Exit with status 1 when something this severe or worse is found; none: "
		 "never.",
	 .initial = "low",
	 .choices = limits},
	{.name = "only",
	 .kind = OPTION_CHOICE,
	 .argument = "WHAT",
	 .help = "What to look for: all, vulnerabilities, config or secrets.",
	 .initial = "all",
	 .choices = kinds},
	{.name = "ignore-unfixed",
	 .help = "Leave out vulnerabilities for which no fixing version is known."},
	{.name = "include-owned",
	 .help = "Also tell language packages that the system's package manager installed, and "
		 "for which its own advisories speak."},
	{.name = "waivers",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "What is accepted for now, by whom and until when."},
	{.name = "champions",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Whose signatures count for waivers, with their keys."},
	{.name = "rules",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Rules of your own, beside the built-in ones."},
	{.name = "max-file-size",
	 .kind = OPTION_NUMBER,
	 .argument = "KIB",
	 .help = "Larger files are not searched for misconfigurations and secrets.",
	 .initial = "4096"},
	{.name = "max-memory",
	 .kind = OPTION_NUMBER,
	 .argument = "MIB",
	 .help = "Memory that reading may take; a scan that needs more fails.",
	 .initial = "16384"},
	{.name = "max-unpacked",
	 .kind = OPTION_NUMBER,
	 .argument = "MIB",
	 .help = "What archives may unpack to, together; the rest is not looked at.",
	 .initial = "32768"},
	{.name = "no-shellcheck",
	 .help = "Do not ask ShellCheck about shell scripts where it is installed."},
	{.name = "strict",
	 .help = "Exit with status 2 when something could not be read, or not all of it."},
	{.name = "timeout",
	 .kind = OPTION_NUMBER,
	 .argument = "SECONDS",
	 .help = "How long reading may take; a scan that takes longer fails.",
	 .initial = "3600"},
	{.name = "max-age",
	 .kind = OPTION_NUMBER,
	 .argument = "DAYS",
	 .help = "Warn when the database is older.",
	 .initial = "7"},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "PATH",
	 .help = "A folder, a container image (OCI layout or archive), a root file system, an "
		 "SBOM "
		 "or a lock file.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport scan --fail-on high .", "Fail a build for what is severe."},
	{"sallyport scan --format sarif . > sallyport.sarif", "Write a log for a code host."},
	{NULL, NULL},
};

const struct command cmd_scan = {
	.name = "scan",
	.summary = "find known vulnerabilities, misconfigurations and secrets",
	.description =
		"Lists the components of a folder, container image, root file system, SBOM or "
		"lock file, matches them with the advisory database, checks Dockerfiles, "
		"Kubernetes manifests, compose files and pipelines, and searches texts for "
		"secrets. Nothing is sent anywhere.\n\n"
		"The exit status is 0 when nothing at or above --fail-on is found, 1 when "
		"there "
		"is, and 2 when the scan could not be done.",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run,
};
