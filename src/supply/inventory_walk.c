/* Walking a folder by descriptors, so that nothing outside of it can be reached. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "supply/inventory_scan.h"

#define BINARY_BYTES_MIN 65536

int scan_open(int folder, const char *path)
{
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	long fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));

	/* Without openat2 (Linux before 5.6, some sandboxes): no links in the last part. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(folder, path,
			    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	return (int)fd;
}

/* Reads a regular file to its end; SPAN_NONE with *err set. Takes the descriptor. */
static struct span read_all(int fd, size_t max_bytes, struct arena *a, struct err *err)
{
	struct span text = SPAN_NONE;
	struct stat st;
	size_t length = 0;
	char *to;

	if (fstat(fd, &st) < 0) {
		(void)err_set_errno(err, errno, "cannot be read");
	} else if (!S_ISREG(st.st_mode)) {
		(void)err_set(err, ERR_INVALID, "not a regular file");
	} else if ((uint64_t)st.st_size > max_bytes) {
		(void)err_set(err, ERR_LIMIT, "larger than %zu bytes", max_bytes);
	} else if (!(to = arena_alloc(a, (size_t)st.st_size + 1))) {
		(void)err_set(err, ERR_MEMORY, "does not fit into memory");
	} else {
		ssize_t got = 1;

		while (length < (size_t)st.st_size && got > 0) {
			got = read(fd, to + length, (size_t)st.st_size - length);
			if (got > 0)
				length += (size_t)got;
		}
		if (got < 0)
			(void)err_set_errno(err, errno, "cannot be read");
		else
			text = span_of(to, length);
	}
	(void)close(fd);
	return text;
}

struct span scan_read(int folder, struct span path, size_t max_bytes, struct arena *a,
		      struct err *err)
{
	struct span name = arena_dup(a, path);
	int fd;

	if (!name.ptr || memchr(name.ptr, '\0', name.len)) {
		(void)err_set(err, ERR_INVALID, "not a file name");
		return SPAN_NONE;
	}
	fd = scan_open(folder, name.ptr);
	if (fd < 0) {
		(void)err_set_errno(err, errno, "cannot be opened");
		return SPAN_NONE;
	}
	return read_all(fd, max_bytes, a, err);
}

struct walk {
	struct scan *scan;
	struct buf path; /* of the folder, with '/' at the end but for the root */
};

struct item {
	const char *name;
	bool folder;
};

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* A program is worth a look when it may be executed, and is not tiny. */
static bool may_be_program(int folder, const char *name)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 0111) && st.st_size >= BINARY_BYTES_MIN;
}

static bool is_elf(int fd)
{
	char start[4];

	return pread(fd, start, sizeof(start), 0) == 4 && memcmp(start,
								 "\x7f"
								 "ELF",
								 4) == 0;
}

static void take_file(struct walk *w, int folder, const char *name)
{
	struct scan *s = w->scan;
	const struct detector *d;
	struct err err = {0};
	struct span path, text = SPAN_NONE;
	size_t length = w->path.len;
	int fd;

	if (buf_append_cstr(&w->path, name) < 0) {
		s->inv->failed = true;
		return;
	}
	path = buf_span(&w->path);
	d = detect_file(path, s->is_root);
	if (d && (d->kind != DETECT_BINARY || may_be_program(folder, name))) {
		fd = openat(folder, name,
			    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
		if (fd < 0)
			(void)err_set_errno(&err, errno, "cannot be opened");
		else if (d->kind != DETECT_BINARY || is_elf(fd))
			text = read_all(fd, s->options->limits.max_file_bytes, &s->scratch,
					&err);
		else
			(void)close(fd);
		if (text.ptr)
			scan_take(s, d, path, text, COMPONENT_NONE);
		else if (err.code != ERR_NONE)
			scan_problem(s, path, &err);
		arena_reset(&s->scratch);
	}
	w->path.len = length;
}

static void walk_folder(struct walk *w, int fd, unsigned depth);

static void enter(struct walk *w, int folder, const char *name, unsigned depth)
{
	struct scan *s = w->scan;
	size_t length = w->path.len;
	struct err err = {0};
	int fd;

	buf_append_cstr(&w->path, name);
	if (depth >= s->options->limits.max_depth) {
		inventory_problem(s->inv, buf_span(&w->path), 0, "folders nested too deeply");
	} else {
		fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0) {
			(void)err_set_errno(&err, errno, "cannot be opened");
			scan_problem(s, buf_span(&w->path), &err);
		} else {
			buf_append_byte(&w->path, '/');
			walk_folder(w, fd, depth + 1);
		}
	}
	w->path.len = length;
}

static bool wanted_folder(const struct scan *s, const char *name)
{
	struct span n = span_cstr(name);

	if (detect_skips_folder(n))
		return false;
	return s->options->node_modules || s->is_root || !span_eq(n, SPAN("node_modules"));
}

/* Names in order, so that the same folder always gives the same list; NULL when out of memory. */
static struct item *read_names(struct walk *w, DIR *dir, struct arena *a, size_t *count)
{
	struct item *items = NULL;
	size_t capacity = 0;
	const struct dirent *entry;

	*count = 0;
	while ((entry = readdir(dir))) {
		struct span name = span_cstr(entry->d_name);
		unsigned char type = entry->d_type;
		struct stat st;

		if (span_eq(name, SPAN(".")) || span_eq(name, SPAN("..")))
			continue;
		if (type == DT_UNKNOWN &&
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : 0;
		if ((type != DT_DIR && type != DT_REG) || !scan_count(w->scan))
			continue;
		if (*count == capacity) {
			struct item *more = mem_realloc(items, (capacity ? capacity * 2 : 64) *
								       sizeof(*items));

			if (!more) {
				w->scan->inv->failed = true;
				break;
			}
			items = more;
			capacity = capacity ? capacity * 2 : 64;
		}
		name = arena_dup(a, name);
		if (!name.ptr) {
			w->scan->inv->failed = true;
			break;
		}
		items[(*count)++] = (struct item){name.ptr, type == DT_DIR};
	}
	if (*count)
		qsort(items, *count, sizeof(*items), compare_items);
	return items;
}

/* Takes the descriptor. */
static void walk_folder(struct walk *w, int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct arena names;
	struct item *items;
	size_t count;

	if (!dir) {
		(void)close(fd);
		w->scan->inv->failed = true;
		return;
	}
	arena_init(&names, (size_t)1 << 30, 8192);
	items = read_names(w, dir, &names, &count);
	for (size_t i = 0; i < count; i++) {
		if (!items[i].folder)
			take_file(w, fd, items[i].name);
		else if (wanted_folder(w->scan, items[i].name))
			enter(w, fd, items[i].name, depth);
	}
	mem_free(items);
	arena_release(&names);
	(void)closedir(dir);
}

int scan_folder(struct scan *s, int folder, struct err *err)
{
	struct walk w = {.scan = s};
	int fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_set_errno(err, errno, "cannot open the folder");
	s->root = folder;
	buf_init(&w.path, 65536);
	walk_folder(&w, fd, 0);
	buf_release(&w.path);
	scan_finish(s);
	return 0;
}
