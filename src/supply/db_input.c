#include "supply/db_input.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>

#include "parse/json.h"
#include "supply/epss.h"
#include "supply/kev.h"

static const struct json_limits json_limits = {
	.max_depth = 128, .max_string_bytes = (size_t)64 << 20, .max_number_bytes = 128};

void db_input_init(struct db_input *in, struct db_builder *b,
		   const struct db_input_limits *limits, struct db_input_counts *counts)
{
	*in = (struct db_input){.builder = b, .counts = counts, .limits = *limits};
	arena_init(&in->arena, limits->record_bytes * 4 + ((size_t)1 << 20), (size_t)1 << 18);
	buf_init(&in->record, limits->record_bytes);
}

void db_input_release(struct db_input *in)
{
	arena_release(&in->arena);
	buf_release(&in->record);
}

static int add_catalogue(struct db_input *in, const struct json *document, struct err *err)
{
	struct db_kev entry;
	int got;

	db_builder_begin_kev(in->builder, kev_day_s(document));
	for (size_t i = 0; (got = kev_entry(document, i, &entry)) != 0; i++) {
		if (got < 0)
			return err_set(err, ERR_INVALID, "KEV entry %zu has no CVE", i + 1);
		if (db_builder_put_kev(in->builder, &entry, err) < 0)
			return -1;
		in->counts->exploited++;
	}
	return 0;
}

static int add_document(struct db_input *in, struct err *err)
{
	struct osv_advisory advisory;
	const struct json *document;

	arena_reset(&in->arena);
	document = json_parse(&in->arena, buf_span(&in->record), &json_limits, err);
	if (!document)
		return -1;
	if (kev_is_catalogue(document))
		return add_catalogue(in, document, err);
	if (osv_read_json(&in->arena, document, &advisory, err) < 0 ||
	    db_builder_add(in->builder, &advisory, err) < 0)
		return -1;
	in->counts->advisories++;
	return 0;
}

static int add_line(struct db_input *in, struct err *err)
{
	struct db_epss score;
	int64_t day_s = 0;

	switch (epss_read(buf_span(&in->record), &score, &day_s)) {
	case EPSS_SCORE:
		in->counts->scores++;
		return db_builder_put_epss(in->builder, &score, err);
	case EPSS_OTHER:
		if (day_s)
			db_builder_begin_epss(in->builder, day_s);
		return 0;
	case EPSS_BAD: break;
	}
	return err_set(err, ERR_SYNTAX, "neither JSON nor a line of EPSS scores");
}

static int end_record(struct db_input *in, struct err *err)
{
	int result;

	in->records++;
	result = in->csv ? add_line(in, err) : add_document(in, err);
	buf_clear(&in->record);
	if (result < 0)
		return err_wrap(err, "record %llu", (unsigned long long)in->records);
	return 0;
}

/* How many bytes of the piece belong to the JSON document that is open; *ended at its end. */
static size_t scan_document(struct db_input *in, struct span piece, bool *ended)
{
	*ended = false;
	for (size_t i = 0; i < piece.len; i++) {
		char c = piece.ptr[i];

		if (in->in_string) {
			if (in->escaped)
				in->escaped = false;
			else if (c == '\\')
				in->escaped = true;
			else if (c == '"')
				in->in_string = false;
		} else if (c == '"') {
			in->in_string = true;
		} else if (c == '{' || c == '[') {
			in->depth++;
		} else if ((c == '}' || c == ']') && --in->depth == 0) {
			*ended = true;
			return i + 1;
		}
	}
	return piece.len;
}

static int keep(struct db_input *in, struct span part, struct err *err)
{
	if (buf_append(&in->record, part) == 0)
		return 0;
	return err_set(err, ERR_LIMIT, "record %llu is larger than %zu bytes",
		       (unsigned long long)in->records + 1, in->limits.record_bytes);
}

/* Between documents: space, and the signs of a list around them. */
static bool is_between(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == '[' ||
	       c == ']';
}

static int feed_json(struct db_input *in, struct span piece, struct err *err)
{
	while (piece.len) {
		bool ended;
		size_t n;

		if (in->depth == 0 && is_between(piece.ptr[0])) {
			piece = span_slice(piece, 1, piece.len);
			continue;
		}
		if (in->depth == 0 && piece.ptr[0] != '{')
			return err_set(err, ERR_SYNTAX, "no JSON object behind record %llu",
				       (unsigned long long)in->records);
		n = scan_document(in, piece, &ended);
		if (keep(in, span_slice(piece, 0, n), err) < 0 ||
		    (ended && end_record(in, err) < 0))
			return -1;
		piece = span_slice(piece, n, piece.len);
	}
	return 0;
}

static int feed_csv(struct db_input *in, struct span piece, struct err *err)
{
	while (piece.len) {
		size_t n = span_find_byte(piece, '\n');

		if (keep(in, span_slice(piece, 0, n), err) < 0)
			return -1;
		if (n == piece.len)
			return 0;
		if (end_record(in, err) < 0)
			return -1;
		piece = span_slice(piece, n + 1, piece.len);
	}
	return 0;
}

int db_input_feed(struct db_input *in, struct span piece, struct err *err)
{
	if (!in->started) {
		/* A byte order mark is no part of either. */
		if (span_starts_with(piece, SPAN("\xef\xbb\xbf")))
			piece = span_slice(piece, 3, piece.len);
		while (piece.len && is_between(piece.ptr[0]))
			piece = span_slice(piece, 1, piece.len);
		if (piece.len == 0)
			return 0;
		in->started = true;
		in->csv = piece.ptr[0] != '{';
		if (in->csv)
			db_builder_begin_epss(in->builder, 0);
	}
	return in->csv ? feed_csv(in, piece, err) : feed_json(in, piece, err);
}

int db_input_finish(struct db_input *in, struct err *err)
{
	if (in->csv && in->record.len)
		return end_record(in, err);
	if (in->depth)
		return err_set(err, ERR_SYNTAX, "record %llu is cut short",
			       (unsigned long long)in->records + 1);
	return 0;
}

static int archive_failure(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, ERR_INVALID, "%s", why ? why : "not readable");
}

static int read_member(struct archive *a, struct db_input *in, uint64_t *total, struct err *err)
{
	for (;;) {
		const void *block;
		size_t size;
		la_int64_t offset;
		int got = archive_read_data_block(a, &block, &size, &offset);

		if (got == ARCHIVE_EOF)
			return db_input_finish(in, err);
		if (got < ARCHIVE_WARN)
			return archive_failure(a, err);
		*total += size;
		if (*total > in->limits.total_bytes)
			return err_set(err, ERR_LIMIT, "unpacks to more than %llu bytes",
				       (unsigned long long)in->limits.total_bytes);
		if (db_input_feed(in, span_of(block, size), err) < 0)
			return -1;
	}
}

static int read_archive(struct archive *a, struct db_builder *b,
			const struct db_input_limits *limits, struct db_input_counts *counts,
			struct err *err)
{
	struct archive_entry *entry;
	uint64_t total = 0;
	int got;

	while ((got = archive_read_next_header(a, &entry)) != ARCHIVE_EOF) {
		struct db_input in;
		int result;

		if (got < ARCHIVE_WARN)
			return archive_failure(a, err);
		if (archive_entry_filetype(entry) != AE_IFREG)
			continue;
		db_input_init(&in, b, limits, counts);
		result = read_member(a, &in, &total, err);
		db_input_release(&in);
		if (result < 0) {
			const char *name = archive_entry_pathname(entry);

			if (archive_format(a) == ARCHIVE_FORMAT_RAW || !name)
				return -1;
			return err_wrap(err, "%.200s", name);
		}
	}
	return 0;
}

int db_input_file(struct db_builder *b, const char *path, const struct db_input_limits *limits,
		  struct db_input_counts *counts, struct err *err)
{
	struct archive *a;
	struct stat st;
	int result;

	/* Opening a FIFO would wait for somebody who writes. */
	if (stat(path, &st) < 0)
		return err_set_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "%s: not a regular file", path);
	a = archive_read_new();
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory");
	/* Named one by one: some of libarchive's filters would start other programs. */
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_format_zip(a);
	archive_read_support_format_tar(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_filename(a, path, (size_t)1 << 17) != ARCHIVE_OK)
		result = archive_failure(a, err);
	else
		result = read_archive(a, b, limits, counts, err);
	archive_read_free(a);
	return result < 0 ? err_wrap(err, "%s", path) : 0;
}
