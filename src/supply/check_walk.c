#include "supply/check_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supply/detect.h"

/* Of scripts that are shown to other tools. */
#define SCRIPT_BYTES_MAX ((size_t)512 << 10)

struct walker {
	const struct check_walk *job;
	struct buf path; /* relative to what is walked */
	uint32_t files;
	struct err *err;
};

/* 1 when it was read, 0 when it is to be passed over, -1 with errno. */
static int read_file(int fd, size_t max, struct buf *to)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
		return 0;
	if (buf_reserve(to, (size_t)st.st_size) < 0) {
		errno = ENOMEM;
		return -1;
	}
	for (;;) {
		ssize_t got = read(fd, to->ptr + to->len, to->cap - to->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -1 : 1;
		to->len += (size_t)got;
		if (to->len == to->cap && buf_reserve(to, 1) < 0)
			return 0; /* it has grown past the limit */
	}
}

/* A file that is broken is told and passed over; a rule that is, ends it. */
static int judge(const struct check_walk *job, struct span path, int result,
		 const struct err *why, struct err *err)
{
	if (result == 0)
		return 0;
	if (why->code != ERR_SYNTAX && why->code != ERR_LIMIT)
		return err_set(err, why->code, "%s", why->message);
	inventory_problem(job->inventory, path, 0, "%s", why->message);
	return 0;
}

static int name_subjects(struct finding_list *list, size_t first, struct span subject,
			 struct err *err)
{
	struct span copy;

	if (subject.len == 0 || first == list->count)
		return 0;
	copy = arena_dup(list->arena, subject);
	if (!copy.ptr)
		return err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = first; i < list->count; i++)
		if (list->at[i].subject.len == 0)
			list->at[i].subject = copy;
	return 0;
}

int check_walk_text(const struct check_walk *job, const struct check_file_place *place,
		    struct span text, struct err *err)
{
	const struct leak_text leak = {.path = place->path, .text = text};
	enum check_kind kind = place->kind;
	size_t first = job->findings->count;
	struct err why = {0};

	if (kind == CHECK_NONE)
		kind = check_kind_of(place->path, text);
	if (job->misconfigurations &&
	    judge(job, place->path,
		  check_file(job->checker, kind, place->path, text, job->findings, &why), &why,
		  err) < 0)
		return -1;
	/* What we cannot read is too strange for others, too. */
	if (kind == CHECK_SHELL && job->misconfigurations && job->scripts &&
	    why.code == ERR_NONE && text.len <= SCRIPT_BYTES_MAX) {
		buf_append(job->scripts, place->path);
		buf_append_byte(job->scripts, '\0');
	}
	why = (struct err){0};
	if (job->secrets && leak_wants(place->path) && leak_is_text(text) &&
	    judge(job, place->path, check_secrets(job->checker, &leak, job->findings, &why),
		  &why, err) < 0)
		return -1;
	return name_subjects(job->findings, first, place->subject, err);
}

bool check_walk_wants(const struct check_walk *job, struct span path, uint64_t bytes)
{
	return bytes <= job->limits.file_bytes &&
	       ((job->misconfigurations && check_wants(path)) ||
		(job->secrets && leak_wants(path)));
}

static int check_one(struct walker *w, int fd, struct span path)
{
	const struct check_file_place place = {.path = path};
	struct buf text;
	int got;

	buf_init(&text, w->job->limits.file_bytes);
	got = read_file(fd, w->job->limits.file_bytes, &text);
	if (got < 0)
		inventory_problem(w->job->inventory, path, 0, "cannot be read: %s",
				  strerrorname_np(errno));
	got = got <= 0 ? 0 : check_walk_text(w->job, &place, buf_span(&text), w->err);
	buf_release(&text);
	return got;
}

static int walk_folder(struct walker *w, int fd, unsigned depth);

static int walk_entry(struct walker *w, int folder, const struct dirent *entry, unsigned depth)
{
	struct span name = span_cstr(entry->d_name);
	size_t before = w->path.len;
	bool is_folder = entry->d_type == DT_DIR;
	int fd, result = 0;

	if (entry->d_type == DT_UNKNOWN) {
		struct stat st;

		if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return 0;
		is_folder = S_ISDIR(st.st_mode);
		if (!is_folder && !S_ISREG(st.st_mode))
			return 0;
	} else if (!is_folder && entry->d_type != DT_REG) {
		return 0;
	}
	if (is_folder && (detect_skips_folder(name) || span_eq(name, SPAN("node_modules"))))
		return 0;
	if (before)
		buf_append_byte(&w->path, '/');
	buf_append(&w->path, name);
	if (buf_failed(&w->path))
		return err_set(w->err, ERR_LIMIT, "a path is too long");
	if (!is_folder && !check_walk_wants(w->job, buf_span(&w->path), 0)) {
		w->path.len = before;
		return 0;
	}
	if (++w->files > w->job->limits.files)
		return err_set(w->err, ERR_LIMIT, "more than %u files", w->job->limits.files);
	fd = openat(folder, entry->d_name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
			    (is_folder ? O_DIRECTORY : 0));
	if (fd < 0) {
		inventory_problem(w->job->inventory, buf_span(&w->path), 0,
				  "cannot be opened: %s", strerrorname_np(errno));
	} else if (is_folder) {
		result = walk_folder(w, fd, depth + 1); /* closes it */
	} else {
		result = check_one(w, fd, buf_span(&w->path));
		(void)close(fd);
	}
	w->path.len = before;
	return result;
}

static int walk_folder(struct walker *w, int fd, unsigned depth)
{
	DIR *dir;
	struct dirent *entry;
	int result = 0;

	if (depth > w->job->limits.depth) {
		(void)close(fd);
		inventory_problem(w->job->inventory, buf_span(&w->path), 0,
				  "folders are nested too deeply");
		return 0;
	}
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return err_set(w->err, ERR_MEMORY, "out of memory");
	}
	while (result == 0 && (entry = readdir(dir))) {
		struct span name = span_cstr(entry->d_name);

		if (!span_eq(name, SPAN(".")) && !span_eq(name, SPAN("..")))
			result = walk_entry(w, dirfd(dir), entry, depth);
	}
	(void)closedir(dir);
	return result;
}

int check_walk_add_rules(struct checker *checker, const char *path, struct err *err)
{
	size_t first = checker_rule_count(checker);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf text;
	int result;

	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	buf_init(&text, (size_t)4 << 20);
	result = read_file(fd, (size_t)4 << 20, &text);
	(void)close(fd);
	if (result <= 0)
		result = err_set(err, ERR_IO, "%s: cannot be read", path);
	else
		result = checker_add_rules(checker, span_cstr(path), buf_span(&text), err);
	buf_release(&text);
	if (result == 0 && checker_compile(checker, first, err) < 0)
		result = err_wrap(err, "%s", path);
	return result;
}

static int walk_path(struct walker *w, struct err *err)
{
	const char *path = w->job->path;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int result;

	if (fd < 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
			       strerrorname_np(errno));
	if (fstat(fd, &st) < 0) {
		(void)close(fd);
		return err_set_errno(err, errno, "%s", path);
	}
	if (S_ISDIR(st.st_mode))
		return walk_folder(w, fd, 0);
	if (!S_ISREG(st.st_mode)) {
		(void)close(fd);
		return err_set(err, ERR_INVALID, "%s: neither a folder nor a regular file",
			       path);
	}
	if ((uint64_t)st.st_size > w->job->limits.file_bytes)
		inventory_problem(w->job->inventory, span_cstr(path), 0,
				  "larger than %zu bytes", w->job->limits.file_bytes);
	result = check_walk_wants(w->job, span_cstr(path), 0)
			 ? check_one(w, fd, span_cstr(path))
			 : 0;
	(void)close(fd);
	return result;
}

int check_walk(const struct check_walk *job, struct err *err)
{
	struct walker w = {.job = job, .err = err};
	int result;

	buf_init(&w.path, 65536);
	result = walk_path(&w, err);
	buf_release(&w.path);
	return result;
}
