/* cmd_scan.c - scan: what a folder, image or SBOM has that a policy does not take. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/git_base.h"
#include "cli/output.h"
#include "cli/policy_work.h"
#include "supply/exposure.h"
#include "supply/report.h"
#include "supply/report_import.h"
#include "supply/survey.h"
#include "supply/vex.h"

/* Findings and vulnerabilities; the inventory has its own limit. */
#define SCAN_MAX_BYTES ((size_t)1 << 30)
#define DOCUMENT_MAX_BYTES ((size_t)256 << 20)

/* What a scan goes by; the same for the base that it is compared with. */
struct scan_rules {
	const struct options *given;
	struct policy policy;
	struct exposure_map exposure;
	struct advisory_db *db;
	int64_t now_s;
	bool shows_progress;
};

/* One tree that is looked at. */
struct scan {
	const struct scan_rules *rules;
	struct inventory inventory;
	struct arena arena;
	struct vulnerability_list vulnerabilities;
	struct finding_list findings;
	struct result_list results;
};

static bool is(const struct options *given, const char *option, const char *value)
{
	return strcmp(options_text(given, option), value) == 0;
}

static void progress(const struct scan_rules *rules, const char *what)
{
	if (rules->shows_progress)
		fprintf(stderr, "\r\x1b[K%s%s", what, *what ? " ..." : "");
}

static void warn(const char *what, struct span text)
{
	fprintf(stderr, "sallyport: warning: %s%s%.*s\n", what, *what ? ": " : "",
		SPAN_ARG(text));
}

static int read_file(const char *path, struct buf *to, struct err *err)
{
	return config_source_unchecked.read_file(NULL, path, DOCUMENT_MAX_BYTES, to, err);
}

/* ---- finding --------------------------------------------------------------------------------- */

static void scan_init(struct scan *s, const struct scan_rules *rules)
{
	*s = (struct scan){.rules = rules};
	inventory_init(&s->inventory, INVENTORY_TEXT_BYTES);
	arena_init(&s->arena, SCAN_MAX_BYTES, (size_t)1 << 16);
	s->vulnerabilities.arena = &s->arena;
	finding_list_init(&s->findings, &s->arena);
	result_list_init(&s->results, &s->inventory);
}

static void scan_release(struct scan *s)
{
	result_list_release(&s->results);
	inventory_release(&s->inventory);
	arena_release(&s->arena);
}

static enum exposure exposure_of_component(void *context, const struct component *c,
					   struct span *route)
{
	const struct scan *s = context;
	const char *option = options_text(s->rules->given, "service");
	struct span service =
		option ? span_cstr(option)
		       : policy_service_of(&s->rules->policy, &s->inventory, c->file);

	*route = exposure_route(&s->rules->exposure, service);
	return exposure_of(&s->rules->exposure, service);
}

static bool looks_for(const struct scan_rules *rules, const char *what)
{
	return is(rules->given, "only", "all") || is(rules->given, "only", what);
}

/* All foreign files are read in a child that can do nothing else. */
static int survey(struct scan *s, const char *path, struct err *err)
{
	const struct options *given = s->rules->given;
	struct survey survey = {
		.path = path,
		.components = looks_for(s->rules, "vulnerabilities"),
		.misconfigurations = looks_for(s->rules, "config"),
		.secrets = looks_for(s->rules, "secrets"),
		.shellcheck = !options_flag(given, "no-shellcheck"),
		.rules_path = options_text(given, "rules"),
		.inventory = {.limits = INVENTORY_LIMITS_DEFAULT, .source = INVENTORY_AUTO},
		.files = CHECK_WALK_LIMITS_DEFAULT,
		.limits = CHILD_LIMITS_DEFAULT,
	};

	survey.limits.seconds = (unsigned)options_number(given, "timeout");
	survey.limits.memory_bytes = (size_t)options_number(given, "max-memory") << 20;
	survey.files.file_bytes = (size_t)options_number(given, "max-file-size") << 10;
	survey.inventory.limits.max_unpacked_bytes =
		(size_t)options_number(given, "max-unpacked") << 20;
	progress(s->rules, "Reading");
	return survey_run(&survey, &s->inventory, &s->findings, err);
}

static int find_vulnerabilities(struct scan *s, struct err *err)
{
	struct rank_options rank = {
		.include_owned = options_flag(s->rules->given, "include-owned"),
		.exposure_of = exposure_of_component,
		.context = s,
	};

	progress(s->rules, "Matching advisories");
	return rank_inventory(s->rules->db, &s->inventory, &rank, &s->vulnerabilities, err);
}

static int collect(struct scan *s)
{
	int result = s->findings.failed ? -1 : 0;

	for (size_t i = 0; i < s->vulnerabilities.count && result == 0; i++)
		result = result_add_vulnerability(&s->results, &s->vulnerabilities.at[i]);
	for (size_t i = 0; i < s->findings.count && result == 0; i++)
		result = result_add_finding(&s->results, &s->findings.at[i]);
	if (result < 0)
		return -1;
	return policy_find(&s->rules->policy, s->rules->db, s->rules->now_s, &s->results);
}

static int find(struct scan *s, const char *path, struct err *err)
{
	if (survey(s, path, err) < 0)
		return -1;
	if (s->rules->db && find_vulnerabilities(s, err) < 0)
		return -1;
	return collect(s) < 0 ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

/* ---- what others say ------------------------------------------------------------------------- */

/* Calls `read` with each file of a list "a,b". */
static int for_each_file(const char *list, struct err *err, void *context,
			 int (*read)(void *context, const char *path, struct err *err))
{
	struct span rest = span_cstr(list);
	int result = 0;

	while (list && rest.ptr && result == 0) {
		struct span part = span_cut(&rest, ',');
		struct buf path;

		buf_init(&path, 4096);
		buf_append(&path, part);
		if (part.len)
			result = buf_cstr(&path)
					 ? read(context, buf_cstr(&path), err)
					 : err_set(err, ERR_LIMIT, "a path is too long");
		buf_release(&path);
	}
	return result;
}

static int import_file(void *context, const char *path, struct err *err)
{
	struct scan *s = context;
	struct buf text;
	int result;

	buf_init(&text, DOCUMENT_MAX_BYTES + 8192);
	result = read_file(path, &text, err);
	if (result == 0)
		result =
			report_import_sarif(&s->results, span_cstr(path), buf_span(&text), err);
	buf_release(&text);
	return result;
}

static int vex_file(void *context, const char *path, struct err *err)
{
	struct buf text;
	int result;

	buf_init(&text, DOCUMENT_MAX_BYTES + 8192);
	result = read_file(path, &text, err);
	if (result == 0)
		result = vex_read(context, span_cstr(path), buf_span(&text), err);
	buf_release(&text);
	return result;
}

static int apply_vex(struct scan *s, struct err *err)
{
	const struct policy *policy = &s->rules->policy;
	const char *product = options_text(s->rules->given, "product");
	struct vex vex;
	int result = 0;

	vex_init(&vex);
	for (size_t i = 0; i < policy->vex.count && result == 0; i++)
		result = vex_file(&vex, policy->vex.at[i].file.ptr, err);
	if (result == 0)
		result = for_each_file(options_text(s->rules->given, "vex"), err, &vex,
				       vex_file);
	for (size_t i = 0; i < vex.problem_count; i++)
		warn("", vex.problems[i]);
	if (result == 0 && vex_apply(&vex, span_cstr(product), &s->results) < 0)
		result = err_set(err, ERR_MEMORY, "out of memory");
	/* Justifications are shown by the report, which outlives the documents. */
	for (size_t i = 0; i < s->results.count && result == 0; i++) {
		struct result *r = &s->results.at[i];

		r->vex_justification = arena_dup(&s->results.arena, r->vex_justification);
		r->vex_impact = arena_dup(&s->results.arena, r->vex_impact);
		if (!r->vex_justification.ptr || !r->vex_impact.ptr)
			result = err_set(err, ERR_MEMORY, "out of memory");
	}
	vex_release(&vex);
	return result;
}

static int waiver_file(void *context, const char *path, struct err *err)
{
	struct scan *s = context;

	return policy_work_waive(&s->rules->policy, path, s->rules->now_s, &s->results, err);
}

static int apply_waivers(struct scan *s, struct err *err)
{
	if (policy_work_waive_all(&s->rules->policy, s->rules->now_s, &s->results, err) < 0)
		return -1;
	return for_each_file(options_text(s->rules->given, "waivers"), err, s, waiver_file);
}

/* ---- the base that a change is compared with ------------------------------------------------- */

static int read_base_report(struct baseline *base, const char *path, struct err *err)
{
	struct buf text;
	int result;

	buf_init(&text, DOCUMENT_MAX_BYTES + 8192);
	result = read_file(path, &text, err);
	if (result == 0)
		result = baseline_read(base, span_cstr(path), buf_span(&text), err);
	buf_release(&text);
	return result;
}

static int scan_base(const struct scan *s, struct baseline *base, const char *path,
		     const char *revision, struct err *err)
{
	struct git_base folder;
	struct scan before;
	int result;

	progress(s->rules, "Reading the base from git");
	if (git_base_open(&folder, path, revision, err) < 0)
		return -1;
	scan_init(&before, s->rules);
	result = find(&before, folder.path, err);
	if (result == 0 && baseline_add(base, &before.results) < 0)
		result = err_set(err, ERR_MEMORY, "out of memory");
	scan_release(&before);
	git_base_close(&folder);
	return result;
}

/* A file is an earlier report, anything else names a commit. */
static int apply_diff(struct scan *s, const char *path, struct err *err)
{
	const char *from = options_text(s->rules->given, "diff");
	struct baseline base;
	struct stat st;
	int result;

	if (!from)
		return 0;
	baseline_init(&base);
	if (stat(from, &st) == 0 && S_ISREG(st.st_mode))
		result = read_base_report(&base, from, err);
	else
		result = scan_base(s, &base, path, from, err);
	if (result == 0 && baseline_apply(&base, &s->results) < 0)
		result = err_set(err, ERR_MEMORY, "out of memory");
	baseline_release(&base);
	return result;
}

/* ---- judging and printing -------------------------------------------------------------------- */

static void set_service(struct scan *s)
{
	const char *service = options_text(s->rules->given, "service");

	for (size_t i = 0; service && i < s->results.count; i++)
		s->results.at[i].service = span_cstr(service);
	policy_find_services(&s->rules->policy, &s->results);
}

/* A severity takes the place of what the policy says fails. */
static void apply_fail_on(struct scan *s)
{
	const char *limit = options_text(s->rules->given, "fail-on");
	enum finding_severity severity = FINDING_CRITICAL;
	bool none = strcmp(limit, "none") == 0;

	if (strcmp(limit, "policy") == 0)
		return;
	(void)finding_severity_parse(span_cstr(limit), &severity);
	for (size_t i = 0; i < s->results.count; i++)
		s->results.at[i].fails = !none && s->results.at[i].finding.severity >= severity;
}

static int judge(struct scan *s, const char *path, struct err *err)
{
	bool hide_unfixed = options_flag(s->rules->given, "ignore-unfixed");

	if (for_each_file(options_text(s->rules->given, "import"), err, s, import_file) < 0)
		return -1;
	set_service(s);
	/* The first to speak counts: what was there before is not new, whoever waives it. */
	if (apply_diff(s, path, err) < 0)
		return -1;
	policy_judge(&s->rules->policy, s->rules->db, s->rules->now_s, &s->results);
	if (apply_vex(s, err) < 0 || apply_waivers(s, err) < 0)
		return -1;
	for (size_t i = 0; hide_unfixed && i < s->results.count; i++) {
		struct result *r = &s->results.at[i];

		if (r->vulnerability && r->vulnerability->fix.len == 0)
			result_silence(r, RESULT_UNFIXED, SPAN("no fix is known"));
	}
	apply_fail_on(s);
	result_list_sort(&s->results);
	return 0;
}

static int write_report(const struct scan *s, const struct report *report, struct buf *out)
{
	const struct options *given = s->rules->given;
	static const struct {
		const char *name;
		void (*write)(const struct report *r, struct buf *to);
	} forms[] = {
		{"table", report_table},
		{"json", report_json},
		{"markdown", report_markdown},
		{"junit", report_junit},
		{"html", report_html},
		{"gitlab", report_gitlab},
		{"gitlab-quality", report_gitlab_quality},
	};
	const char *product = options_text(given, "product");
	struct vex_author author = {.product = span_cstr(product),
				    .name = span_cstr(options_text(given, "author")),
				    .now_s = s->rules->now_s};

	if (is(given, "format", "sarif"))
		return report_sarif(report, out);
	if (is(given, "format", "openvex"))
		vex_write(&s->results, &author, out);
	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (is(given, "format", forms[i].name))
			forms[i].write(report, out);
	return 0;
}

/* "./a//b/" -> "a//b"; what leads out of the current folder is not told. */
static struct span below_here(const char *path)
{
	struct span text = span_cstr(path), rest;

	while (span_starts_with(text, SPAN("./")))
		text = span_slice(text, 2, text.len);
	while (text.len > 1 && text.ptr[text.len - 1] == '/')
		text.len--;
	rest = text;
	while (rest.ptr)
		if (span_eq(span_cut(&rest, '/'), SPAN("..")))
			return SPAN("");
	return span_eq(text, SPAN(".")) || span_starts_with(text, SPAN("/")) ? SPAN("") : text;
}

/* Where what was scanned is below the current folder; `to` holds it. Images have no such place. */
static void find_folder(const struct scan *s, const char *path, struct buf *to,
			struct report *report)
{
	struct span text = below_here(path);
	size_t cut = text.len;
	struct stat st;

	if (s->inventory.layer_count || !text.len || stat(path, &st) < 0)
		return;
	if (S_ISREG(st.st_mode)) {
		while (cut > 0 && text.ptr[cut - 1] != '/')
			cut--;
		report->only = span_slice(text, cut, text.len);
		buf_append(to, span_slice(text, 0, cut));
	} else {
		buf_append(to, text);
		buf_append_byte(to, '/');
	}
	report->folder = buf_span(to);
}

static int print(const struct scan *s, const char *path, struct err *err)
{
	const char *to = options_text(s->rules->given, "output");
	struct report report = {
		.inventory = &s->inventory,
		.results = &s->results,
		.db = s->rules->db,
		.version = SPAN(SALLYPORT_VERSION),
		.target = span_cstr(path),
		.now_s = s->rules->now_s,
		.coloured = !to && output_is_coloured(s->rules->given, STDOUT_FILENO),
	};
	struct buf out, folder;
	int result;

	buf_init(&out, SCAN_MAX_BYTES);
	buf_init(&folder, 8192);
	find_folder(s, path, &folder, &report);
	if (write_report(s, &report, &out) < 0 || buf_failed(&folder))
		out.failed = true;
	buf_release(&folder);
	if (!to)
		return output_text(&out) == EXIT_STATUS_OK
			       ? 0
			       : err_set(err, ERR_IO, "the report could not be written");
	result = output_file(to, &out, err);
	buf_release(&out);
	return result;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int load_policy(struct scan_rules *rules, struct err *err)
{
	const char *max_age = options_text(rules->given, "max-age");

	if (policy_work_load(&rules->policy, options_text(rules->given, "policy"), err) < 0)
		return -1;
	if (max_age)
		rules->policy.database.max_age_ms =
			options_number(rules->given, "max-age") * 86400000;
	return 0;
}

static int prepare(struct scan_rules *rules, struct err *err)
{
	const char *gateway = options_text(rules->given, "gateway");
	const char *database = options_text(rules->given, "database");

	exposure_init(&rules->exposure);
	if (load_policy(rules, err) < 0)
		return -1;
	if (gateway && exposure_read(&rules->exposure, gateway, err) < 0)
		return -1;
	if (!looks_for(rules, "vulnerabilities"))
		return 0;
	rules->db = advisory_db_open(database, err);
	return rules->db ? 0
			 : err_wrap(err, "no vulnerabilities can be told (see \"sallyport db "
					 "update\", or use --only config or secrets)");
}

/* With --strict, what could not be read is an error, after all else was told. */
static int check_strict(const struct scan *s, struct err *err)
{
	if (!options_flag(s->rules->given, "strict") || s->inventory.problem_count == 0)
		return 0;
	return err_set(err, ERR_INVALID, "%zu files could not be read, or not all of them",
		       s->inventory.problem_count);
}

/* 0 clean, 1 when something fails, 2 when it could not be told. */
static enum exit_status run(const struct options *given)
{
	const char *path = options_operand(given, 0);
	struct scan_rules rules = {.given = given,
				   .now_s = clock_unix_s(),
				   .shows_progress = isatty(STDERR_FILENO) == 1 &&
						     isatty(STDOUT_FILENO) == 1};
	enum exit_status status = EXIT_STATUS_USAGE;
	struct err err = {0};
	struct scan s;

	scan_init(&s, &rules);
	if (prepare(&rules, &err) == 0 && find(&s, path, &err) == 0 &&
	    judge(&s, path, &err) == 0) {
		progress(&rules, "");
		if (print(&s, path, &err) == 0 && check_strict(&s, &err) == 0)
			status = result_failures(&s.results) ? EXIT_STATUS_FAILED
							     : EXIT_STATUS_OK;
	}
	if (status == EXIT_STATUS_USAGE) {
		progress(&rules, "");
		output_error(given, &err);
	}
	scan_release(&s);
	advisory_db_close(rules.db);
	exposure_release(&rules.exposure);
	policy_release(&rules.policy);
	return status;
}

static const char *const formats[] = {"table", "json",	  "sarif",  "markdown",	      "junit",
				      "html",  "openvex", "gitlab", "gitlab-quality", NULL};
static const char *const limits[] = {"policy", "none", "info",	   "low",
				     "medium", "high", "critical", NULL};
static const char *const kinds[] = {"all", "vulnerabilities", "config", "secrets", NULL};

static const struct option_spec options[] = {
	{.name = "database",
	 .short_name = 'd',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The compiled advisories.",
	 .initial = "/var/lib/sallyport/advisories.db",
	 .environment = "SALLYPORT_DATABASE"},
	{.name = "policy",
	 .short_name = 'p',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "What fails, what warns and what is excepted; without it, all that is low or "
		 "worse fails.",
	 .environment = "SALLYPORT_POLICY"},
	{.name = "fail-on",
	 .kind = OPTION_CHOICE,
	 .argument = "WHAT",
	 .help = "Exit with status 1 for what the policy says, or for all that is this severe "
		 "or "
		 "worse, or never (none).",
	 .initial = "policy",
	 .choices = limits},
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to write the report: table, json, sarif, markdown, junit, html, openvex, "
		 "gitlab (dependency or container scanning) or gitlab-quality.",
	 .initial = "table",
	 .choices = formats},
	{.name = "output",
	 .short_name = 'o',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Write the report to a file."},
	{.name = "diff",
	 .kind = OPTION_TEXT,
	 .argument = "BASE",
	 .help = "Only what was not there before: at a commit of git, or in an earlier report "
		 "(JSON or SARIF of this command)."},
	{.name = "import",
	 .kind = OPTION_FILE,
	 .argument = "FILE,...",
	 .help = "Also what other tools have found, in SARIF."},
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
	 .argument = "FILE,...",
	 .help = "What is accepted for now, by whom and until when; counts when a champion of "
		 "the policy has signed it."},
	{.name = "vex",
	 .kind = OPTION_FILE,
	 .argument = "FILE,...",
	 .help = "OpenVEX documents: which vulnerabilities do not affect what."},
	{.name = "product",
	 .kind = OPTION_TEXT,
	 .argument = "PURL",
	 .help = "What is scanned, as VEX documents call it."},
	{.name = "author",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Who says what --format openvex writes.",
	 .initial = "Unknown Author"},
	{.name = "gateway",
	 .kind = OPTION_TEXT,
	 .argument = "FROM",
	 .help = "A gateway whose services rank higher: the URL of its admin listener, or its "
		 "configuration file.",
	 .environment = "SALLYPORT_GATEWAY"},
	{.name = "service",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Which service this is, where the policy does not tell by path or image."},
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
	 .help = "When the database is stale, in place of what the policy says."},
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
	{"sallyport scan --policy policy.yaml --diff origin/main .",
	 "Look only at what a change brings, by a policy."},
	{"sallyport scan --format sarif -o sallyport.sarif .", "Write a log for a code host."},
	{"sallyport scan --gateway http://127.0.0.1:9901 --service orders orders.tar",
	 "Rank an image's problems by who can reach its service."},
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
		"The exit status is 0 when nothing is found that fails, by the policy or "
		"--fail-on, 1 when there is, and 2 when the scan could not be done.",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run,
};
