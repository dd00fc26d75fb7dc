#include "supply/check_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supply/detect.h"

struct walker {
	const struct check_walk *job;
	struct checker *checker;
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
	if (buf_reserve(to, (size_t)st.st_size) < 0)
		return 0;
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

static int check_one(struct walker *w, int fd, struct span path)
{
	struct err why = {0};
	struct buf text;
	enum check_kind kind;
	int got;

	buf_init(&text, w->job->limits.file_bytes);
	got = read_file(fd, w->job->limits.file_bytes, &text);
	if (got < 0)
		inventory_problem(w->job->inventory, path, 0, "cannot be read: %s",
				  strerrorname_np(errno));
	if (got <= 0) {
		buf_release(&text);
		return 0;
	}
	kind = check_kind_of(path, buf_span(&text));
	got = check_file(w->checker, kind, path, buf_span(&text), w->job->findings, &why);
	buf_release(&text);
	if (got == 0)
		return 0;
	/* A file that is broken is told and passed over; a rule that is, ends it. */
	if (why.code == ERR_SYNTAX || why.code == ERR_LIMIT) {
		inventory_problem(w->job->inventory, path, 0, "%s", why.message);
		return 0;
	}
	return err_set(w->err, why.code, "%s", why.message);
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
	if (is_folder ? detect_skips_folder(name) || span_eq(name, SPAN("node_modules"))
		      : !check_wants(name))
		return 0;
	if (++w->files > w->job->limits.files)
		return err_set(w->err, ERR_LIMIT, "more than %u files", w->job->limits.files);
	fd = openat(folder, entry->d_name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
			    (is_folder ? O_DIRECTORY : 0));
	if (before)
		buf_append_byte(&w->path, '/');
	buf_append(&w->path, name);
	if (buf_failed(&w->path)) {
		if (fd >= 0)
			(void)close(fd);
		return err_set(w->err, ERR_LIMIT, "a path is too long");
	}
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

static int add_rules(struct checker *checker, const char *path, struct err *err)
{
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
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return walk_folder(w, fd, 0);
	result = check_wants(span_cstr(path)) ? check_one(w, fd, span_cstr(path)) : 0;
	(void)close(fd);
	return result;
}

int check_walk(const struct check_walk *job, struct err *err)
{
	struct walker w = {.job = job, .checker = checker_new(err), .err = err};
	int result = 0;

	if (!w.checker)
		return -1;
	buf_init(&w.path, 65536);
	if (job->rules_path)
		result = add_rules(w.checker, job->rules_path, err);
	if (result == 0)
		result = walk_path(&w, err);
	buf_release(&w.path);
	checker_free(w.checker);
	return result;
}
