/* cmd_db.c - the advisory database: db update, db import, db info. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "supply/db_download.h"
#include "supply/db_import.h"

#define PATH_BYTES 4096

#define OPTION_DATABASE                                                                        \
	{                                                                                      \
		.name = "database", .short_name = 'd', .kind = OPTION_FILE,                    \
		.argument = "FILE", .help = "The compiled database.",                          \
		.initial = "/var/lib/sallyport/advisories.db",                                 \
		.environment = "SALLYPORT_DATABASE"                                            \
	}
#define OPTION_FRESH                                                                           \
	{                                                                                      \
		.name = "fresh",                                                               \
		.help = "Start from nothing instead of adding to what the database holds."     \
	}

static void say_counts(const char *path, uint64_t total, const struct db_input_counts *counts)
{
	printf("%s: %llu advisories; read %llu advisories, %llu EPSS scores, %llu known "
	       "exploited\n",
	       path, (unsigned long long)total, (unsigned long long)counts->advisories,
	       (unsigned long long)counts->scores, (unsigned long long)counts->exploited);
}

static int import_files(const char *path, bool fresh, const char *const *files, size_t count,
			struct err *err)
{
	const struct db_import import = {.path = path,
					 .fresh = fresh,
					 .files = files,
					 .file_count = count,
					 .limits = DB_INPUT_LIMITS_DEFAULT,
					 .child = CHILD_LIMITS_DEFAULT};
	struct db_imported result;

	if (db_import(&import, &result, err) < 0)
		return -1;
	say_counts(path, result.total, &result.counts);
	return 0;
}

static enum exit_status run_import(const struct options *given)
{
	const char *path = options_text(given, "database");
	struct err err = {0};

	if (import_files(path, options_flag(given, "fresh"), given->operands,
			 given->operand_count, &err) < 0) {
		output_error(given, &err);
		return EXIT_STATUS_FAILED;
	}
	return EXIT_STATUS_OK;
}

static const struct option_spec import_options[] = {
	OPTION_DATABASE,
	OPTION_FRESH,
	{.name = NULL},
};

static const struct operand_spec import_operands[] = {
	{.name = "FILE",
	 .help = "OSV records (JSON, JSON lines, zip, tar), EPSS scores (CSV) or the KEV "
		 "catalogue (JSON), each plain or compressed by gzip, zstd, xz or bzip2.",
	 .required = true,
	 .is_file = true,
	 .many = true},
	{.name = NULL},
};

static const struct command_example import_examples[] = {
	{"sallyport db import all.zip epss.csv.gz kev.json",
	 "Add an ecosystem's advisories, scores and the catalogue of exploited ones."},
	{NULL, NULL},
};

const struct command cmd_db_import = {
	.name = "db import",
	.summary = "compile advisories from files into the database",
	.description =
		"Reads files, adds them to what the database holds, and replaces it in one "
		"step: "
		"who has the old one open keeps it. What a file is, is told by its content. An "
		"advisory that is there already is replaced unless the one there is newer; "
		"EPSS "
		"scores and the KEV catalogue are replaced as a whole.",
	.options = import_options,
	.operands = import_operands,
	.examples = import_examples,
	.run = run_import,
};

/* --- db update */

struct progress {
	const char *what;
	int64_t shown_ms;
	bool on_terminal;
};

static void show_progress(void *context, uint64_t bytes, uint64_t total)
{
	struct progress *p = context;
	int64_t now = clock_ms();
	char bar[31];
	unsigned filled = total ? (unsigned)(bytes * 30 / total) : 0;

	if (!p->on_terminal || now - p->shown_ms < 100)
		return;
	p->shown_ms = now;
	for (unsigned i = 0; i < 30; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[30] = '\0';
	if (total)
		fprintf(stderr, "\r%-24.24s [%s] %5.1f of %.1f MB ", p->what, bar,
			(double)bytes / 1e6, (double)total / 1e6);
	else
		fprintf(stderr, "\r%-24.24s %5.1f MB ", p->what, (double)bytes / 1e6);
}

/* The name of a file for an ecosystem or address: letters, digits and dots stay. */
static void plain_name(const char *text, char *to, size_t size)
{
	size_t n = 0;

	for (; text[n] && n + 1 < size; n++) {
		char c = ascii_lower(text[n]);

		to[n] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ? text[n]
										     : '_';
	}
	to[n] = '\0';
}

struct update {
	const char *folder; /* for what is downloaded */
	char files[32][PATH_BYTES];
	size_t count;
	const struct options *given;
};

static int fetch_one(struct update *u, const char *what, const char *url, const char *name,
		     struct err *err)
{
	struct progress progress = {.what = what, .on_terminal = isatty(STDERR_FILENO)};
	struct db_download job = {
		.url = url,
		.max_bytes = (uint64_t)16 << 30,
		.connect_timeout_ms = 15000,
		.stall_timeout_s = 60,
		.progress = show_progress,
		.context = &progress,
	};
	int result;

	if (u->count == COUNT_OF(u->files))
		return err_set(err, ERR_LIMIT, "more than %zu downloads", COUNT_OF(u->files));
	snprintf(u->files[u->count], PATH_BYTES, "%s/%s", u->folder, name);
	job.path = u->files[u->count];
	result = db_download(&job, err);
	if (progress.on_terminal && progress.shown_ms)
		fputc('\n', stderr);
	if (result == 0)
		u->count++;
	return result;
}

/* BASE/NAME/all.zip with the name as OSV has it, spaces written as %20. */
static int fetch_ecosystem(struct update *u, const char *base, struct span ecosystem,
			   struct err *err)
{
	char name[256], file[320], url[PATH_BYTES];
	struct buf encoded;

	snprintf(name, sizeof(name), "%.*s", SPAN_ARG(ecosystem));
	plain_name(name, file, 256);
	memcpy(file + strlen(file), ".zip", 5);
	buf_init(&encoded, sizeof(url) - 64);
	buf_append_cstr(&encoded, base);
	if (!span_ends_with(buf_span(&encoded), SPAN("/")))
		buf_append_byte(&encoded, '/');
	for (size_t i = 0; i < ecosystem.len; i++) {
		if (ecosystem.ptr[i] == ' ')
			buf_append_cstr(&encoded, "%20");
		else
			buf_append_byte(&encoded, ecosystem.ptr[i]);
	}
	buf_append_cstr(&encoded, "/all.zip");
	snprintf(url, sizeof(url), "%.*s", SPAN_ARG(buf_span(&encoded)));
	if (buf_failed(&encoded)) {
		buf_release(&encoded);
		return err_set(err, ERR_INVALID, "the address is too long");
	}
	buf_release(&encoded);
	return fetch_one(u, name, url, file, err);
}

static int fetch_all(struct update *u, struct err *err)
{
	const char *base = options_text(u->given, "url");
	const char *epss = options_text(u->given, "epss-url");
	const char *kev = options_text(u->given, "kev-url");
	struct span rest = span_cstr(options_text(u->given, "ecosystems"));

	if (!base && !epss && !kev)
		return err_set(err, ERR_INVALID,
			       "nothing to fetch: give --url, --epss-url or --kev-url");
	while (base && rest.ptr) {
		struct span ecosystem = span_trim(span_cut(&rest, ','));

		if (ecosystem.len && fetch_ecosystem(u, base, ecosystem, err) < 0)
			return -1;
	}
	if (epss && fetch_one(u, "EPSS", epss, "epss.csv.gz", err) < 0)
		return -1;
	return kev ? fetch_one(u, "KEV", kev, "kev.json", err) : 0;
}

static enum exit_status run_update(const struct options *given)
{
	static struct update u; /* too large for the stack */
	const char *path = options_text(given, "database");
	const char *files[COUNT_OF(u.files)];
	char folder[PATH_BYTES];
	struct err err = {0};
	int result = -1;

	u = (struct update){.given = given, .folder = folder};
	if ((size_t)snprintf(folder, sizeof(folder), "%s.download", path) >= 3072)
		(void)err_set(&err, ERR_INVALID, "the path is too long");
	else if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		(void)err_set_errno(&err, errno, "%s", folder);
	else
		result = fetch_all(&u, &err);
	for (size_t i = 0; i < u.count; i++)
		files[i] = u.files[i];
	if (result == 0)
		result = import_files(path, options_flag(given, "fresh"), files, u.count, &err);
	if (result < 0) {
		output_error(given, &err);
		return EXIT_STATUS_FAILED;
	}
	for (size_t i = 0; i < u.count; i++)
		(void)unlink(files[i]);
	(void)rmdir(folder);
	return EXIT_STATUS_OK;
}

static const struct option_spec update_options[] = {
	OPTION_DATABASE,
	{.name = "url",
	 .short_name = 'u',
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "Where the archives lie: URL/ECOSYSTEM/all.zip is fetched.",
	 .environment = "SALLYPORT_ADVISORIES_URL"},
	{.name = "ecosystems",
	 .short_name = 'e',
	 .kind = OPTION_TEXT,
	 .argument = "LIST",
	 .help = "The ecosystems to fetch, between commas, as OSV names them.",
	 .initial = "npm,PyPI,Go,Maven,crates"
		    ".io,RubyGems,NuGet,Packagist,Debian,Ubuntu,Alpine,"
		    "Hex,Pub,CRAN,SwiftURL,GitHub Actions",
	 .environment = "SALLYPORT_ADVISORIES_ECOSYSTEMS"},
	{.name = "epss-url",
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "The file of EPSS scores.",
	 .environment = "SALLYPORT_EPSS_URL"},
	{.name = "kev-url",
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "The KEV catalogue as JSON.",
	 .environment = "SALLYPORT_KEV_URL"},
	OPTION_FRESH,
	{.name = NULL},
};

static const struct command_example update_examples[] = {
	{"sallyport db update --url https://advisories.example --ecosystems npm,Go",
	 "Fetch the advisories of two ecosystems and compile them."},
	{NULL, NULL},
};

const struct command cmd_db_update = {
	.name = "db update",
	.summary = "fetch advisories and compile them into the database",
	.description = "Fetches an archive an ecosystem, scores and the catalogue of exploited "
		       "vulnerabilities, and imports them. No address is built in. A download "
		       "that was "
		       "cut goes on where it ended; a file for which the server has URL.sha256 "
		       "must have "
		       "that digest. The database is replaced in one step, at the end.",
	.options = update_options,
	.examples = update_examples,
	.run = run_update,
};

/* --- db info */

static void put_time(struct buf *out, const char *label, int64_t time_s)
{
	char time[CLOCK_RFC3339_SIZE];

	if (time_s == 0) {
		buf_printf(out, "%-22s none\n", label);
		return;
	}
	clock_rfc3339(time, time_s * 1000);
	buf_printf(out, "%-22s %.10s, %lld days ago\n", label, time,
		   (long long)((clock_unix_s() - time_s) / 86400));
}

static void print_text(const char *path, const struct advisory_db *db, struct buf *out)
{
	const struct db_header *h = advisory_db_header(db);

	buf_printf(out, "%-22s %s\n", "file", path);
	buf_printf(out, "%-22s %.1f MB, format %u\n", "size", (double)h->file_bytes / 1e6,
		   h->version);
	put_time(out, "built", h->built_s);
	put_time(out, "newest advisory", h->newest_s);
	buf_printf(out, "%-22s %llu of %llu packages\n", "advisories",
		   (unsigned long long)advisory_db_rows(db, DB_ADVISORIES),
		   (unsigned long long)advisory_db_rows(db, DB_PACKAGES));
	put_time(out, "EPSS scores of", h->epss_s);
	buf_printf(out, "%-22s %llu\n", "EPSS scores",
		   (unsigned long long)advisory_db_rows(db, DB_EPSS));
	put_time(out, "KEV catalogue of", h->kev_s);
	buf_printf(out, "%-22s %llu\n", "known exploited",
		   (unsigned long long)advisory_db_rows(db, DB_KEV));
}

static void print_json(const char *path, const struct advisory_db *db, struct buf *out)
{
	const struct db_header *h = advisory_db_header(db);

	buf_append_cstr(out, "{\"file\":\"");
	buf_append_json(out, span_cstr(path));
	buf_printf(out,
		   "\",\"bytes\":%llu,\"format\":%u,\"built\":%lld,\"newest\":%lld,"
		   "\"advisories\":%llu,\"packages\":%llu,\"epss_day\":%lld,"
		   "\"epss\":%llu,\"kev_day\":%lld,\"kev\":%llu}\n",
		   (unsigned long long)h->file_bytes, h->version, (long long)h->built_s,
		   (long long)h->newest_s,
		   (unsigned long long)advisory_db_rows(db, DB_ADVISORIES),
		   (unsigned long long)advisory_db_rows(db, DB_PACKAGES), (long long)h->epss_s,
		   (unsigned long long)advisory_db_rows(db, DB_EPSS), (long long)h->kev_s,
		   (unsigned long long)advisory_db_rows(db, DB_KEV));
}

static enum exit_status run_info(const struct options *given)
{
	const char *path = options_text(given, "database");
	uint64_t max_age_days = options_number(given, "max-age");
	struct err err = {0};
	struct advisory_db *db = advisory_db_open(path, &err);
	enum exit_status status;
	struct buf out;
	int64_t age_days;

	if (!db || advisory_db_verify(db, &err) < 0) {
		output_error(given, &err);
		advisory_db_close(db);
		return EXIT_STATUS_FAILED;
	}
	age_days = (clock_unix_s() - advisory_db_header(db)->built_s) / 86400;
	buf_init(&out, OUTPUT_MAX_BYTES);
	if (strcmp(options_text(given, "format"), "json") == 0)
		print_json(path, db, &out);
	else
		print_text(path, db, &out);
	status = output_text(&out);
	advisory_db_close(db);
	if (age_days > (int64_t)max_age_days) {
		fprintf(stderr,
			"sallyport: warning: the database is %lld days old; run \"sallyport db "
			"update\"\n",
			(long long)age_days);
		return EXIT_STATUS_FAILED;
	}
	return status;
}

static const char *const formats[] = {"text", "json", NULL};

static const struct option_spec info_options[] = {
	OPTION_DATABASE,
	{.name = "format",
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print it: text or json.",
	 .initial = "text",
	 .choices = formats},
	{.name = "max-age",
	 .kind = OPTION_NUMBER,
	 .argument = "DAYS",
	 .help = "Warn, and exit with status 1, when it is older.",
	 .initial = "7"},
	{.name = NULL},
};

static const struct command_example info_examples[] = {
	{"sallyport db info --max-age 2", "Fail when the database is older than two days."},
	{NULL, NULL},
};

const struct command cmd_db_info = {
	.name = "db info",
	.summary = "say what the advisory database holds and how old it is",
	.description =
		"Checks the whole file against its hash and tells its age and counts. The "
		"exit status is 1 when it is damaged or older than --max-age.",
	.options = info_options,
	.examples = info_examples,
	.run = run_info,
};
