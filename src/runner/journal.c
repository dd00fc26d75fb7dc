#include "runner/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "parse/json.h"
#include "parse/json_write.h"

#define JOURNAL_BYTES_MAX ((size_t)16 << 20)
#define LINE_BYTES_MAX ((size_t)64 * 1024)

void journal_close(struct journal *journal)
{
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = -1;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool state_of(struct span name, enum run_state *state)
{
	for (unsigned i = 0; i < RUN_STATES; i++)
		if (span_eq(name, span_cstr(run_state_name((enum run_state)i)))) {
			*state = (enum run_state)i;
			return true;
		}
	return false;
}

/* With a NUL behind them, as names of files are. */
static bool read_text(const struct json *line, const char *member, struct arena *arena,
		      struct span *to)
{
	struct span text;

	if (!json_string(json_get(line, span_cstr(member)), &text))
		return false;
	*to = arena_dup(arena, text);
	return to->ptr != NULL;
}

static bool read_started(struct journal *journal, const struct json *line, struct arena *arena)
{
	struct span digest;

	if (!read_text(line, "by", arena, &journal->by) ||
	    !read_text(line, "code", arena, &journal->code) ||
	    !read_text(line, "file", arena, &journal->file) ||
	    !json_string(json_get(line, SPAN("sha256")), &digest) ||
	    digest.len != RUN_DIGEST_BYTES ||
	    !json_int(json_get(line, SPAN("at")), &journal->started_unix_ms))
		return false;
	memcpy(journal->digest, digest.ptr, digest.len);
	journal->digest[digest.len] = '\0';
	return true;
}

static bool read_job(const struct json *line, struct run_job *job)
{
	struct span state;
	int64_t status = 0;

	*job = (struct run_job){.why = SPAN(""), .approval = SPAN(""), .artifacts = SPAN("")};
	if (!json_string(json_get(line, SPAN("state")), &state) ||
	    !state_of(state, &job->state))
		return false;
	(void)json_string(json_get(line, SPAN("why")), &job->why);
	(void)json_string(json_get(line, SPAN("approval")), &job->approval);
	(void)json_string(json_get(line, SPAN("artifacts")), &job->artifacts);
	(void)json_int(json_get(line, SPAN("exit")), &status);
	job->exit_status = (int)status;
	return true;
}

static bool read_line(struct journal *journal, const struct json *line,
		      const struct pipeline *pipeline, struct run_job *jobs,
		      struct arena *arena)
{
	const struct json *event = json_get(line, SPAN("event"));
	struct run_job job;
	struct span name;
	size_t at;

	if (json_is(event, SPAN("started")))
		return read_started(journal, line, arena);
	if (json_is(event, SPAN("finished"))) {
		journal->finished = true;
		return true;
	}
	if (!json_is(event, SPAN("job")) || !json_string(json_get(line, SPAN("job")), &name) ||
	    !read_job(line, &job))
		return false;
	if (!pipeline)
		return true;
	at = pipeline_find(pipeline, name);
	if (at == pipeline->jobs.count)
		return false;
	jobs[at] = job;
	return true;
}

/* The last line counts only with its end: a kill may have cut it, and nothing was done after it. */
static int read_lines(struct journal *journal, struct span text,
		      const struct pipeline *pipeline, struct run_job *jobs,
		      struct arena *arena, struct err *err)
{
	unsigned number = 0;

	while (text.len) {
		size_t end = span_find_byte(text, '\n');
		const struct json *line;

		number++;
		if (end == text.len)
			break;
		line = json_parse(arena, span_slice(text, 0, end), NULL, NULL);
		if (!line || !read_line(journal, line, pipeline, jobs, arena))
			return err_set(err, ERR_SYNTAX, "the journal has no event in line %u",
				       number);
		text = span_slice(text, end + 1, text.len);
	}
	if (text.len && journal->is_ours &&
	    ftruncate(journal->fd, lseek(journal->fd, 0, SEEK_END) - (off_t)text.len) < 0)
		return err_set_errno(err, errno, "cannot mend the journal");
	return 0;
}

static int read_all(struct journal *journal, struct arena *arena, struct span *text,
		    struct err *err)
{
	struct stat st;
	size_t done = 0;
	char *to;

	if (fstat(journal->fd, &st) < 0)
		return err_set_errno(err, errno, "cannot read the journal");
	if ((uint64_t)st.st_size > JOURNAL_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "the journal is too long");
	to = arena_alloc(arena, (size_t)st.st_size + 1);
	if (!to)
		return err_set(err, ERR_MEMORY, "out of memory");
	while (done < (size_t)st.st_size) {
		ssize_t n =
			pread(journal->fd, to + done, (size_t)st.st_size - done, (off_t)done);

		if (n <= 0)
			return err_set_errno(err, errno, "cannot read the journal");
		done += (size_t)n;
	}
	*text = span_of(to, done);
	return 0;
}

static int open_as(struct journal *journal, const char *path, int flags,
		   const struct pipeline *pipeline, struct run_job *jobs, struct arena *arena,
		   struct err *err)
{
	struct span text;

	*journal = (struct journal){.by = SPAN(""),
				    .file = SPAN(""),
				    .code = SPAN(""),
				    .is_ours = flags != O_RDONLY};
	journal->fd = open(path, flags | O_CLOEXEC, 0600);
	if (journal->fd < 0)
		return err_set_errno(err, errno, "%s", path);
	if (journal->is_ours && flock(journal->fd, LOCK_EX | LOCK_NB) < 0)
		(void)err_set(err, ERR_UNAVAILABLE, "another process is at work on this run");
	else if (read_all(journal, arena, &text, err) == 0 &&
		 read_lines(journal, text, pipeline, jobs, arena, err) == 0)
		return 0;
	journal_close(journal);
	return -1;
}

int journal_open(struct journal *journal, const char *path, bool make,
		 const struct pipeline *pipeline, struct run_job *jobs, struct arena *arena,
		 struct err *err)
{
	return open_as(journal, path, O_RDWR | O_APPEND | (make ? O_CREAT | O_EXCL : 0),
		       pipeline, jobs, arena, err);
}

int journal_look(struct journal *journal, const char *path, const struct pipeline *pipeline,
		 struct run_job *jobs, struct arena *arena, struct err *err)
{
	return open_as(journal, path, O_RDONLY, pipeline, jobs, arena, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_line(struct journal *journal, struct buf *line, struct err *err)
{
	ssize_t n;

	buf_append_byte(line, '\n');
	if (buf_failed(line))
		return err_set(err, ERR_MEMORY, "out of memory");
	/* One call: a line is there, or its beginning, never another one in it. */
	n = write(journal->fd, line->ptr, line->len);
	if (n != (ssize_t)line->len || fdatasync(journal->fd) < 0)
		return err_set_errno(err, n < 0 ? errno : ENOSPC, "cannot write the journal");
	return 0;
}

static void begin(struct buf *line, struct json_writer *w, const char *event)
{
	buf_init(line, LINE_BYTES_MAX);
	json_writer_init(w, line);
	json_begin_object(w);
	json_member_string(w, SPAN("event"), span_cstr(event));
	json_member_int(w, SPAN("at"), clock_unix_ms());
}

static int end(struct journal *journal, struct buf *line, struct json_writer *w,
	       struct err *err)
{
	int result;

	json_end_object(w);
	result = write_line(journal, line, err);
	buf_release(line);
	return result;
}

int journal_started(struct journal *journal, const struct pipeline *pipeline, struct err *err)
{
	struct json_writer w;
	struct buf line;

	begin(&line, &w, "started");
	json_member_string(&w, SPAN("pipeline"), pipeline->name);
	json_member_string(&w, SPAN("file"), journal->file);
	json_member_string(&w, SPAN("sha256"), span_cstr(journal->digest));
	json_member_string(&w, SPAN("code"), journal->code);
	json_member_string(&w, SPAN("by"), journal->by);
	return end(journal, &line, &w, err);
}

int journal_job(struct journal *journal, struct span name, const struct run_job *job,
		struct err *err)
{
	struct json_writer w;
	struct buf line;

	begin(&line, &w, "job");
	json_member_string(&w, SPAN("job"), name);
	json_member_string(&w, SPAN("state"), span_cstr(run_state_name(job->state)));
	if (job->state == RUN_FAILED)
		json_member_int(&w, SPAN("exit"), job->exit_status);
	if (job->why.len)
		json_member_string(&w, SPAN("why"), span_slice(job->why, 0, 4096));
	if (job->approval.len)
		json_member_string(&w, SPAN("approval"), job->approval);
	if (job->artifacts.len)
		json_member_string(&w, SPAN("artifacts"), job->artifacts);
	return end(journal, &line, &w, err);
}

int journal_finished(struct journal *journal, bool passed, struct err *err)
{
	struct json_writer w;
	struct buf line;

	begin(&line, &w, "finished");
	json_member_bool(&w, SPAN("passed"), passed);
	return end(journal, &line, &w, err);
}
