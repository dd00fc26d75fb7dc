#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "waf/seclang.h"

#define ARGUMENTS_MAX 64

void sec_document_init(struct sec_document *document, enum waf_dialect dialect)
{
	*document = (struct sec_document){
		.dialect = dialect,
		.settings =
			{
				.engine = SEC_ENGINE_ON,
				.request_body = true,
				.reject_large_request = true,
				.argument_separator = '&',
				.collection_timeout_s = 3600,
			},
	};
	arena_init(&document->arena, 4 * SEC_TEXT_MAX, (size_t)256 << 10);
	document->rules_end = &document->rules;
	document->changes_end = &document->changes;
	document->ignored_end = &document->ignored;
	for (unsigned phase = 0; phase <= SEC_PHASES; phase++)
		sec_actions_init(&document->defaults[phase]);
}

void sec_document_release(struct sec_document *document)
{
	arena_release(&document->arena);
}

static int read_all(int fd, char *to, size_t size, size_t *got, struct err *err)
{
	*got = 0;
	while (*got < size) {
		ssize_t n = read(fd, to + *got, size - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "cannot read");
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return 0;
}

static int load_open(int fd, struct arena *arena, struct span *content, struct err *err)
{
	struct stat status;
	size_t got;
	char *bytes;

	if (fstat(fd, &status) != 0)
		return err_set_errno(err, errno, "cannot look at it");
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_INVALID, "not a regular file");
	if ((uint64_t)status.st_size > SEC_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "larger than %zu bytes", SEC_TEXT_MAX);
	bytes = arena_alloc(arena, (size_t)status.st_size + 1);
	if (!bytes)
		return err_set(err, ERR_MEMORY, "no memory for its content");
	if (read_all(fd, bytes, (size_t)status.st_size, &got, err) != 0)
		return -1;
	bytes[got] = '\0';
	*content = span_of(bytes, got);
	return 0;
}

int sec_load_file(struct arena *arena, struct span path, struct span *content, struct err *err)
{
	struct span name = arena_dup(arena, path);
	int result;
	int fd;

	if (!name.ptr)
		return err_set(err, ERR_MEMORY, "no memory for a file name");
	fd = open(name.ptr, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot open %.*s", SPAN_ARG(path));
	result = load_open(fd, arena, content, err);
	(void)close(fd);
	return result == 0 ? 0 : err_wrap(err, "%.*s", SPAN_ARG(path));
}

struct span sec_resolve_path(struct arena *arena, struct span file, struct span name)
{
	size_t folder = file.len;

	if (name.len > 0 && name.ptr[0] == '/')
		return arena_dup(arena, name);
	while (folder > 0 && file.ptr[folder - 1] != '/')
		folder--;
	return arena_printf(arena, "%.*s%.*s", (int)folder, folder ? file.ptr : "",
			    SPAN_ARG(name));
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct lines {
	struct span rest;
	uint32_t next_line;
};

/*
 * The next line with those that continue it (a backslash before the end of the line) joined in
 * `joined`. False at the end of the text.
 */
static bool next_line(struct lines *lines, struct buf *joined, uint32_t *number)
{
	buf_clear(joined);
	*number = lines->next_line;
	if (lines->rest.len == 0)
		return false;
	while (lines->rest.len > 0) {
		size_t end = span_find_byte(lines->rest, '\n');
		struct span line = span_slice(lines->rest, 0, end);
		bool goes_on;

		lines->rest = span_slice(lines->rest, end + 1, lines->rest.len);
		lines->next_line++;
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		goes_on = line.len > 0 && line.ptr[line.len - 1] == '\\';
		if (goes_on)
			line.len--;
		(void)buf_append(joined, line);
		if (!goes_on)
			break;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A word in quotes: up to the next quote of the kind that no backslash precedes. */
static int quoted_word(struct sec_document *document, struct span *line, struct span *word,
		       struct err *err)
{
	char quote = line->ptr[0];
	char *out = arena_alloc(&document->arena, line->len);
	bool joins = document->dialect == WAF_MODSECURITY_2;
	size_t len = 0;
	size_t i = 1;

	if (!out)
		return err_set(err, ERR_MEMORY, "no memory for an argument");
	for (; i < line->len && line->ptr[i] != quote; i++) {
		if (line->ptr[i] == '\\' && i + 1 < line->len && line->ptr[i + 1] == quote)
			i++;
		else if (line->ptr[i] == '\\' && i + 1 < line->len &&
			 line->ptr[i + 1] == '\\') {
			if (!joins)
				out[len++] = line->ptr[i];
			i++;
		}
		out[len++] = line->ptr[i];
	}
	if (i >= line->len)
		return err_set(err, ERR_SYNTAX, "a quote (%c) that is not closed", quote);
	*line = span_slice(*line, i + 1, line->len);
	*word = span_of(out, len);
	return 0;
}

static int next_word(struct sec_document *document, struct span *line, struct span *word,
		     struct err *err)
{
	size_t end = 0;

	if (line->ptr[0] == '"' || line->ptr[0] == '\'')
		return quoted_word(document, line, word, err);
	while (end < line->len && !is_blank(line->ptr[end]))
		end++;
	*word = span_slice(*line, 0, end);
	*line = span_slice(*line, end, line->len);
	return 0;
}

static struct span skip_blanks(struct span line)
{
	size_t start = 0;

	while (start < line.len && is_blank(line.ptr[start]))
		start++;
	return span_slice(line, start, line.len);
}

static int read_include(struct sec_document *document, struct sec_place place,
			struct span pattern, bool optional, struct err *err);

static int read_directive(struct sec_document *document, struct sec_place place,
			  struct span line, struct err *err)
{
	struct span words[ARGUMENTS_MAX];
	size_t count = 0;

	for (line = skip_blanks(line); line.len > 0; line = skip_blanks(line)) {
		if (count == ARGUMENTS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d arguments", ARGUMENTS_MAX);
		if (next_word(document, &line, &words[count++], err) != 0)
			return -1;
	}
	if (count == 0)
		return 0;
	if (span_eq_nocase(words[0], SPAN("Include")) ||
	    span_eq_nocase(words[0], SPAN("IncludeOptional"))) {
		if (count != 2)
			return err_set(err, ERR_SYNTAX, "%.*s takes one path",
				       SPAN_ARG(words[0]));
		return read_include(document, place, words[1], words[0].len > 7, err);
	}
	return sec_directive(document, place, words[0], words + 1, count - 1, err);
}

static int read_lines(struct sec_document *document, struct span name, struct span text,
		      struct err *err)
{
	struct lines lines = {text, 1};
	struct buf joined;
	uint32_t number;
	int result = 0;

	buf_init(&joined, SEC_TEXT_MAX);
	while (result == 0 && next_line(&lines, &joined, &number)) {
		struct span line = skip_blanks(buf_span(&joined));

		if (buf_failed(&joined)) {
			result = err_set(err, ERR_MEMORY, "no memory for a line");
		} else if (line.len > 0 && line.ptr[0] != '#') {
			struct span kept = arena_dup(&document->arena, line);

			result = kept.ptr ? read_directive(document,
							   (struct sec_place){name, number},
							   kept, err)
					  : err_set(err, ERR_MEMORY, "no memory for a line");
		}
		if (result != 0)
			(void)err_wrap(err, "%.*s:%u", SPAN_ARG(name), number);
	}
	buf_release(&joined);
	return result;
}

int sec_read_text(struct sec_document *document, struct span name, struct span text,
		  struct err *err)
{
	struct span kept = arena_dup(&document->arena, name);

	if (!kept.ptr)
		return err_set(err, ERR_MEMORY, "no memory for rules");
	document->file_count++;
	return read_lines(document, kept, text, err);
}

int sec_read_file(struct sec_document *document, struct span path, struct err *err)
{
	struct span content;
	int result;

	if (document->include_depth == SEC_INCLUDE_MAX)
		return err_set(err, ERR_LIMIT, "more than %d files deep", SEC_INCLUDE_MAX);
	if (sec_load_file(&document->arena, path, &content, err) != 0)
		return -1;
	document->include_depth++;
	result = sec_read_text(document, path, content, err);
	document->include_depth--;
	return result;
}

/* ---- Include --------------------------------------------------------------------------------- */

static int read_matches(struct sec_document *document, const glob_t *found, struct err *err)
{
	for (size_t i = 0; i < found->gl_pathc; i++)
		if (sec_read_file(document, span_cstr(found->gl_pathv[i]), err) != 0)
			return -1;
	return 0;
}

/* A folder that is not there has no files; one that cannot be read may have some. */
static int on_glob_error(const char *path, int error)
{
	(void)path;
	return error != ENOENT && error != ENOTDIR;
}

static int read_include(struct sec_document *document, struct sec_place place,
			struct span pattern, bool optional, struct err *err)
{
	struct span path = sec_resolve_path(&document->arena, place.file, pattern);
	glob_t found;
	int status;
	int result;

	if (!path.ptr)
		return err_set(err, ERR_MEMORY, "no memory for a path");
	status = glob(path.ptr, GLOB_BRACE, on_glob_error, &found);
	if (status == GLOB_NOMATCH) {
		globfree(&found);
		if (optional)
			return 0;
		return err_set(err, ERR_NOT_FOUND, "no file is called %s", path.ptr);
	}
	if (status != 0) {
		globfree(&found);
		return err_set(err, status == GLOB_NOSPACE ? ERR_MEMORY : ERR_IO,
			       "cannot look for %s", path.ptr);
	}
	result = read_matches(document, &found, err);
	globfree(&found);
	return result;
}
