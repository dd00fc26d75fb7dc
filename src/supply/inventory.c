#include "supply/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "supply/image.h"
#include "supply/sbom.h"

/* The folder and the last part of a path. */
struct place {
	char folder[PATH_MAX];
	const char *name;
};

static int split_path(const char *path, struct place *p, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) + 1 : 0;

	if (length >= sizeof(p->folder))
		return err_set(err, ERR_INVALID, "the path is too long");
	memcpy(p->folder, path, length);
	p->folder[length] = '\0';
	if (length == 0)
		snprintf(p->folder, sizeof(p->folder), ".");
	p->name = slash ? slash + 1 : path;
	return 0;
}

/* The last part of the real path names what was scanned. */
static void name_subject(struct inventory *inv, const char *path)
{
	char real[PATH_MAX];
	struct span text = span_cstr(path);
	size_t cut;

	if (inv->subject_name.len)
		return;
	if (realpath(path, real))
		text = span_cstr(real);
	while (text.len > 1 && text.ptr[text.len - 1] == '/')
		text.len--;
	for (cut = text.len; cut > 0 && text.ptr[cut - 1] != '/'; cut--)
		;
	inv->subject_name = inventory_text(inv, span_slice(text, cut, text.len));
}

static bool is_root(int folder)
{
	struct stat st;

	return fstatat(folder, "etc/os-release", &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       fstatat(folder, "usr/lib/os-release", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int scan_opened_folder(struct scan *s, int folder, struct err *err)
{
	enum inventory_source source = s->options->source;

	if (source == INVENTORY_IMAGE || (source == INVENTORY_AUTO && image_is_layout(folder)))
		return image_scan_layout(s, folder, err);
	if (source == INVENTORY_SBOM || source == INVENTORY_FILE)
		return err_set(err, ERR_INVALID, "is a folder");
	s->is_root = source == INVENTORY_ROOT || (source == INVENTORY_AUTO && is_root(folder));
	return scan_folder(s, folder, err);
}

/* One file: what its name or content says that it is. */
static int scan_text(struct scan *s, const char *name, struct span text, struct err *err)
{
	enum inventory_source source = s->options->source;
	const struct detector *d = detect_file(span_cstr(name), false);

	if (source == INVENTORY_SBOM || (source == INVENTORY_AUTO && sbom_is(text)))
		return sbom_read(s->inv, span_cstr(name), text, err);
	if (!d || (d->kind == DETECT_BINARY && !span_starts_with(text, SPAN("\x7f"
									    "ELF"))))
		return err_set(err, ERR_INVALID,
			       "not a lock file, package database, image, SBOM or program "
			       "that is known by its name or content");
	scan_take(s, d, span_cstr(name), text, COMPONENT_NONE);
	scan_finish(s);
	return 0;
}

static int scan_file(struct scan *s, const char *path, struct err *err)
{
	enum inventory_source source = s->options->source;
	struct place place;
	struct span text;
	int file, result;

	if (split_path(path, &place, err) < 0)
		return -1;
	file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0)
		return err_set_errno(err, errno, "cannot be opened");
	if (source == INVENTORY_IMAGE || (source == INVENTORY_AUTO && image_is_archive(file))) {
		result = image_scan_archive(s, file, err);
		(void)close(file);
		return result;
	}
	(void)close(file);
	s->root = open(place.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0)
		return err_set_errno(err, errno, "cannot open its folder");
	text = scan_read(s->root, span_cstr(place.name), s->options->limits.max_file_bytes,
			 &s->keep, err);
	result = text.ptr ? scan_text(s, place.name, text, err) : -1;
	(void)close(s->root);
	return result;
}

int inventory_scan(struct inventory *inv, const char *path,
		   const struct inventory_options *options, struct err *err)
{
	struct scan *s = mem_alloc(sizeof(*s));
	struct stat st;
	int result = -1, folder;

	if (!s)
		return err_set(err, ERR_MEMORY, "no memory for a scan");
	scan_init(s, inv, options);
	if (stat(path, &st) < 0) {
		(void)err_set_errno(err, errno, "cannot be read");
		if (err && errno == ENOENT)
			err->code = ERR_NOT_FOUND;
	} else if (S_ISDIR(st.st_mode)) {
		folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0) {
			(void)err_set_errno(err, errno, "cannot be opened");
		} else {
			result = scan_opened_folder(s, folder, err);
			(void)close(folder);
		}
	} else {
		result = scan_file(s, path, err);
	}
	scan_release(s);
	mem_free(s);
	if (result == 0)
		name_subject(inv, path);
	return result < 0 ? err_wrap(err, "%.200s", path) : inventory_finish(inv, err);
}
