#include "supply/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "supply/image_layer.h"
#include "supply/image_tar.h"

#define LABELS_BYTES_MAX ((size_t)1 << 20)
#define LAYERS_MAX 512
#define DOCUMENT_BYTES_MAX ((size_t)16 << 20)
#define NESTING_MAX 4

/* Where blobs come from: a folder, or an archive in memory. */
struct image {
	struct scan *scan;
	struct arena arena; /* documents, the archive's index */
	int folder; /* or -1 */
	struct span archive;
	struct map files; /* of the archive */
	struct span layers[LAYERS_MAX]; /* paths, from the bottom */
	uint32_t layer_count;
	const struct node *config;
	struct span config_path;
};

static int map_file(int file, struct span *bytes, struct err *err)
{
	struct stat st;
	void *at;

	if (fstat(file, &st) < 0)
		return err_set_errno(err, errno, "cannot be read");
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(err, ERR_INVALID, "not a regular file, or empty");
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (at == MAP_FAILED)
		return err_set_errno(err, errno, "cannot be mapped");
	(void)madvise(at, (size_t)st.st_size, MADV_SEQUENTIAL);
	*bytes = span_of(at, (size_t)st.st_size);
	return 0;
}

static void unmap(struct span bytes)
{
	if (bytes.len)
		(void)munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
}

/* A blob in memory; give it back by blob_close. */
static int blob_open(struct image *image, struct span path, struct span *bytes, struct err *err)
{
	const struct tar_file *f;
	struct span name;
	int file, result;

	*bytes = SPAN_NONE;
	if (image->folder < 0) {
		f = tar_find(&image->files, tar_path(&image->arena, path), &image->arena);
		if (!f)
			return err_set(err, ERR_NOT_FOUND, "%.*s is not in the archive",
				       SPAN_ARG(path));
		*bytes = f->bytes;
		return 0;
	}
	name = arena_dup(&image->arena, path);
	file = name.ptr ? scan_open(image->folder, name.ptr) : -1;
	if (file < 0)
		return err_set_errno(err, errno, "%.*s", SPAN_ARG(path));
	result = map_file(file, bytes, err);
	(void)close(file);
	return result < 0 ? err_wrap(err, "%.*s", SPAN_ARG(path)) : 0;
}

static void blob_close(const struct image *image, struct span bytes)
{
	if (image->folder >= 0)
		unmap(bytes);
}

/* A small document, parsed; it lives in the arena. */
static const struct node *document(struct image *image, struct span path, struct err *err)
{
	const struct node *root = NULL;
	struct span bytes, copy;

	if (blob_open(image, path, &bytes, err) < 0)
		return NULL;
	if (bytes.len > DOCUMENT_BYTES_MAX) {
		(void)err_set(err, ERR_LIMIT, "%.*s is too large", SPAN_ARG(path));
	} else {
		copy = arena_dup(&image->arena, bytes);
		root = copy.ptr ? node_parse_json(&image->arena, copy, err) : NULL;
		if (!root)
			(void)err_wrap(err, "%.*s", SPAN_ARG(path));
	}
	blob_close(image, bytes);
	return root;
}

/* "sha256:0123..." -> "blobs/sha256/0123..."; only hex digits, so that it stays below. */
static struct span blob_path(struct image *image, struct span digest)
{
	size_t colon = span_find_byte(digest, ':');
	struct span algorithm = span_slice(digest, 0, colon);
	struct span hex = span_slice(digest, colon + 1, digest.len);

	if (!span_starts_with(algorithm, SPAN("sha")) ||
	    span_find_byte(algorithm, '/') < algorithm.len || hex.len < 32)
		return SPAN("");
	for (size_t i = 0; i < hex.len; i++) {
		char c = ascii_lower(hex.ptr[i]);

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return SPAN("");
	}
	return arena_printf(&image->arena, "blobs/%.*s/%.*s", SPAN_ARG(algorithm),
			    SPAN_ARG(hex));
}

static int add_layer(struct image *image, struct span path, struct err *err)
{
	if (!path.len)
		return err_set(err, ERR_INVALID, "a layer without its digest");
	if (image->layer_count == LAYERS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d layers", LAYERS_MAX);
	image->layers[image->layer_count++] = path;
	return 0;
}

/* --- Manifests. */

static void name_image(struct image *image, struct span name)
{
	struct inventory *inv = image->scan->inv;
	size_t colon = name.len;

	if (!name.len || inv->subject_name.len)
		return;
	for (size_t i = name.len; i > 0 && name.ptr[i - 1] != '/'; i--) {
		if (name.ptr[i - 1] == ':')
			colon = i - 1;
	}
	inv->subject_name = inventory_text(inv, span_slice(name, 0, colon));
	inv->subject_version = inventory_text(inv, span_slice(name, colon + 1, name.len));
}

/* The manifest for this platform, else the first one. */
static const struct node *choose(const struct node *manifests)
{
	node_for_each(m, manifests)
	{
		const struct node *platform = node_get(m, SPAN("platform"));

		if (span_eq(node_text_at(platform, SPAN("os")), SPAN("linux")) &&
		    span_eq(node_text_at(platform, SPAN("architecture")), SPAN("amd64")))
			return m;
	}
	return node_first(manifests);
}

static int read_oci(struct image *image, struct err *err)
{
	const struct node *index = document(image, SPAN("index.json"), err);
	const struct node *annotations, *chosen;

	for (unsigned i = 0; index && i < NESTING_MAX; i++) {
		const struct node *manifests = node_get(index, SPAN("manifests"));

		if (!manifests)
			break;
		chosen = choose(manifests);
		annotations = node_get(chosen, SPAN("annotations"));
		name_image(image, node_text_at(annotations, SPAN("io.containerd.image.name")));
		index = document(image, blob_path(image, node_text_at(chosen, SPAN("digest"))),
				 err);
	}
	if (!index)
		return -1;
	if (!node_is(node_get(index, SPAN("layers")), NODE_LIST))
		return err_set(err, ERR_INVALID, "a manifest without layers");
	node_for_each(layer, node_get(index, SPAN("layers")))
	{
		if (add_layer(image, blob_path(image, node_text_at(layer, SPAN("digest"))),
			      err) < 0)
			return -1;
	}
	image->config_path =
		blob_path(image, node_text_at(node_get(index, SPAN("config")), SPAN("digest")));
	image->config = document(image, image->config_path, NULL);
	return 0;
}

/* manifest.json of `docker save`. */
static int read_docker(struct image *image, struct err *err)
{
	const struct node *root = document(image, SPAN("manifest.json"), err);
	const struct node *first = node_first(root);

	if (!root)
		return -1;
	if (!node_is(node_get(first, SPAN("Layers")), NODE_LIST))
		return err_set(err, ERR_INVALID, "manifest.json: no list of layers");
	node_for_each(layer, node_get(first, SPAN("Layers")))
	{
		if (add_layer(image, node_text(layer), err) < 0)
			return -1;
	}
	name_image(image, node_text(node_first(node_get(first, SPAN("RepoTags")))));
	image->config_path = node_text_at(first, SPAN("Config"));
	image->config = document(image, image->config_path, NULL);
	return 0;
}

static void describe_labels(struct image *image)
{
	struct inventory *inv = image->scan->inv;
	const struct node *labels =
		node_get(node_get(image->config, SPAN("config")), SPAN("Labels"));
	struct buf lines;

	buf_init(&lines, LABELS_BYTES_MAX);
	node_for_each(label, labels)
	{
		struct span value = node_text(label);

		buf_append(&lines, label->key);
		buf_append_byte(&lines, '=');
		for (size_t i = 0; i < value.len; i++)
			buf_append_byte(&lines, value.ptr[i] == '\n' ? ' ' : value.ptr[i]);
		buf_append_byte(&lines, '\n');
	}
	if (buf_failed(&lines))
		inventory_problem(inv, image->scan->inv->subject_name, 0,
				  "the image has too many labels");
	else
		inv->labels = inventory_text(inv, buf_span(&lines));
	buf_release(&lines);
}

/* Digests of the uncompressed layers, and the commands that made them. */
static int describe_layers(struct image *image, struct err *err)
{
	struct inventory *inv = image->scan->inv;
	const struct node *id =
		node_first(node_get(node_get(image->config, SPAN("rootfs")), SPAN("diff_ids")));
	const struct node *step = node_first(node_get(image->config, SPAN("history")));

	describe_labels(image);
	inv->layers = mem_zalloc(image->layer_count + 1, sizeof(*inv->layers));
	if (!inv->layers)
		return err_set(err, ERR_MEMORY, "no memory for the layers");
	inv->layer_count = image->layer_count;
	for (uint32_t i = 0; i < image->layer_count; i++) {
		while (step && node_true(node_get(step, SPAN("empty_layer"))))
			step = step->next;
		inv->layers[i].digest =
			inventory_text(inv, id ? node_text(id) : image->layers[i]);
		inv->layers[i].created_by =
			inventory_text(inv, node_text_at(step, SPAN("created_by")));
		id = id ? id->next : NULL;
		step = step ? step->next : NULL;
	}
	return 0;
}

static void show_config(struct image *image)
{
	const struct inventory_visitor *v = image->scan->options->visitor;
	struct span bytes;

	if (!v || !image->config || blob_open(image, image->config_path, &bytes, NULL) < 0)
		return;
	v->config(v->context, image->config_path, bytes);
	blob_close(image, bytes);
}

static int scan_layers(struct image *image, struct err *err)
{
	struct scan *s = image->scan;
	struct layers layers;

	if (describe_layers(image, err) < 0)
		return -1;
	show_config(image);
	s->is_root = true;
	layers_init(&layers, s);
	for (uint32_t i = image->layer_count; i > 0; i--) {
		struct span path = image->layers[i - 1], bytes;
		struct err problem = {0};

		if (blob_open(image, path, &bytes, &problem) < 0) {
			scan_problem(s, path, &problem);
			continue;
		}
		layers_read(&layers, bytes, i - 1, path);
		blob_close(image, bytes);
	}
	scan_finish(s);
	layers_attribute(&layers);
	layers_release(&layers);
	return 0;
}

static struct image *image_new(struct scan *s, int folder, struct err *err)
{
	struct image *image = mem_zalloc(1, sizeof(*image));

	if (!image) {
		(void)err_set(err, ERR_MEMORY, "no memory for an image");
		return NULL;
	}
	image->scan = s;
	image->folder = folder;
	arena_init(&image->arena, (size_t)1 << 30, 65536);
	return image;
}

static void image_free(struct image *image)
{
	map_release(&image->files);
	arena_release(&image->arena);
	mem_free(image);
}

bool image_is_layout(int folder)
{
	struct stat st;

	return fstatat(folder, "oci-layout", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(folder, "index.json", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int image_scan_layout(struct scan *s, int folder, struct err *err)
{
	struct image *image = image_new(s, folder, err);
	int result = -1;

	if (!image)
		return -1;
	if (read_oci(image, err) == 0)
		result = scan_layers(image, err);
	image_free(image);
	return result;
}

/* --- Archives. */

bool image_is_archive(int file)
{
	unsigned char start[512];
	ssize_t got = pread(file, start, sizeof(start), 0);

	if (got < 4)
		return false;
	/* gzip, zstd, and "ustar" of tar. */
	return (start[0] == 0x1f && start[1] == 0x8b) ||
	       (start[0] == 0x28 && start[1] == 0xb5 && start[2] == 0x2f && start[3] == 0xfd) ||
	       (got == sizeof(start) && memcmp(start + 257, "ustar", 5) == 0);
}

/* A file that has no name and goes away with its descriptor. */
static int temporary(struct err *err)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fd = memfd_create("image", MFD_CLOEXEC);
	return fd < 0 ? err_set_errno(err, errno, "cannot make a temporary file") : fd;
}

static int dup_spool(int spool, struct err *err)
{
	int fd = fcntl(spool, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? err_set_errno(err, errno, "cannot use the temporary file") : fd;
}

static int copy_unpacked(struct archive *a, int to, size_t max_bytes, struct err *err)
{
	char piece[65536];
	size_t total = 0;
	la_ssize_t got;

	while ((got = archive_read_data(a, piece, sizeof(piece))) > 0) {
		total += (size_t)got;
		if (total > max_bytes)
			return err_set(err, ERR_LIMIT, "unpacks to more than %zu bytes",
				       max_bytes);
		for (size_t done = 0; done < (size_t)got;) {
			ssize_t n = write(to, piece + done, (size_t)got - done);

			if (n < 0)
				return err_set_errno(err, errno, "cannot be unpacked");
			done += (size_t)n;
		}
	}
	return got < 0 ? err_set(err, ERR_SYNTAX, "%s", archive_error_string(a)) : 0;
}

/* The unpacked form of a compressed archive, as a descriptor. */
static int unpack(struct span bytes, const struct inventory_options *how, struct err *err)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int to = -1;

	if (!a || archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
	    archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, bytes.ptr, bytes.len) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK) {
		(void)err_set(err, ERR_SYNTAX, "cannot be unpacked");
	} else {
		to = how->spool > 0 ? dup_spool(how->spool, err) : temporary(err);
		if (to >= 0 && copy_unpacked(a, to, how->limits.max_unpacked_bytes, err) < 0) {
			(void)close(to);
			to = -1;
		}
	}
	(void)archive_read_free(a);
	return to;
}

static int scan_archive(struct image *image, struct err *err)
{
	int result;

	if (tar_index(image->archive, image->scan->options->limits.max_files, &image->arena,
		      &image->files, err) < 0)
		return -1;
	if (map_get(&image->files, SPAN("manifest.json")))
		result = read_docker(image, err);
	else if (map_get(&image->files, SPAN("index.json")))
		result = read_oci(image, err);
	else
		result = err_set(err, ERR_INVALID,
				 "an archive without manifest.json or index.json: no image");
	return result < 0 ? -1 : scan_layers(image, err);
}

int image_scan_archive(struct scan *s, int file, struct err *err)
{
	struct image *image = image_new(s, -1, err);
	struct span packed = SPAN_NONE;
	int unpacked = -1, result = -1;

	if (!image)
		return -1;
	if (map_file(file, &packed, err) < 0)
		goto out;
	image->archive = packed;
	if (packed.len < 512 || memcmp(packed.ptr + 257, "ustar", 5) != 0) {
		unpacked = unpack(packed, s->options, err);
		if (unpacked < 0 || map_file(unpacked, &image->archive, err) < 0)
			goto out;
	}
	result = scan_archive(image, err);
	if (unpacked >= 0)
		unmap(image->archive);
out:
	if (unpacked >= 0)
		(void)close(unpacked);
	unmap(packed);
	image_free(image);
	return result;
}
