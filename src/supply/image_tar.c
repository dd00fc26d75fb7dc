#include "supply/image_tar.h"

#define BLOCK_BYTES 512
#define LINKS_MAX 8

/* Offsets of a header's fields (POSIX.1-2017, pax). */
enum {
	AT_NAME = 0,
	AT_SIZE = 124,
	AT_CHECKSUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	AT_MAGIC = 257,
	AT_PREFIX = 345,
};

static struct span field(const char *header, size_t at, size_t size)
{
	struct span s = span_of(header + at, size);

	return span_slice(s, 0, span_find_byte(s, '\0'));
}

/* Octal digits, or GNU's binary form with the first bit set. */
static bool number(const char *header, size_t at, size_t size, uint64_t *value)
{
	const unsigned char *b = (const unsigned char *)header + at;

	*value = 0;
	if (b[0] & 0x80) {
		for (size_t i = 1; i < size; i++) {
			if (*value >> 55)
				return false;
			*value = *value << 8 | b[i];
		}
		return true;
	}
	for (size_t i = 0; i < size && b[i] && b[i] != ' '; i++) {
		if (b[i] < '0' || b[i] > '7')
			return false;
		*value = *value * 8 + (uint64_t)(b[i] - '0');
	}
	return true;
}

static bool checksum_is_right(const char *header)
{
	uint64_t wanted, sum = 0;

	for (size_t i = 0; i < BLOCK_BYTES; i++)
		sum += i >= AT_CHECKSUM && i < AT_CHECKSUM + 8 ? ' ' : (unsigned char)header[i];
	return number(header, AT_CHECKSUM, 8, &wanted) && wanted == sum;
}

struct span tar_path(struct arena *a, struct span path)
{
	struct span rest = path;
	size_t length = 0;
	bool normal = path.len > 0 && path.ptr[0] != '/' && path.ptr[path.len - 1] != '/';
	char *to;

	for (size_t i = 0; normal && i < path.len; i++)
		normal = !((i == 0 || path.ptr[i - 1] == '/') &&
			   (path.ptr[i] == '.' || path.ptr[i] == '/'));
	if (normal)
		return path;
	to = arena_alloc(a, path.len + 1);
	if (!to)
		return SPAN("");
	while (rest.ptr) {
		struct span part = span_cut(&rest, '/');

		if (span_eq(part, SPAN("..")))
			return SPAN("");
		if (part.len == 0 || span_eq(part, SPAN(".")))
			continue;
		if (length)
			to[length++] = '/';
		memcpy(to + length, part.ptr, part.len);
		length += part.len;
	}
	return span_of(to, length);
}

/* What extended headers say of the next entry. */
struct extended {
	struct span path;
	struct span link;
	bool has_size;
	uint64_t size;
};

/* "27 path=some/name\n" records. */
static void read_pax(struct span records, struct extended *x)
{
	while (records.len) {
		size_t space = span_find_byte(records, ' ');
		uint64_t length;
		struct span record, key;
		size_t equals;

		if (!span_to_u64(span_slice(records, 0, space), &length) ||
		    length <= space + 1 || length > records.len)
			return;
		record = span_slice(records, space + 1, length - 1);
		records = span_slice(records, length, records.len);
		equals = span_find_byte(record, '=');
		key = span_slice(record, 0, equals);
		record = span_slice(record, equals + 1, record.len);
		if (span_eq(key, SPAN("path")))
			x->path = record;
		else if (span_eq(key, SPAN("linkpath")))
			x->link = record;
		else if (span_eq(key, SPAN("size")))
			x->has_size = span_to_u64(record, &x->size);
	}
}

static struct span name_of(struct arena *a, const char *header, const struct extended *x)
{
	struct span name = field(header, AT_NAME, 100);
	struct span prefix = field(header, AT_PREFIX, 155);

	if (x->path.len)
		return x->path;
	if (memcmp(header + AT_MAGIC, "ustar", 6) != 0 || !prefix.len)
		return name;
	name = arena_printf(a, "%.*s/%.*s", SPAN_ARG(prefix), SPAN_ARG(name));
	return name.ptr ? name : SPAN("");
}

static int add(struct arena *a, struct map *files, struct span name, struct tar_file file,
	       struct err *err)
{
	struct tar_file *f;

	name = tar_path(a, name);
	if (!name.len)
		return 0;
	f = arena_new(a, struct tar_file);
	if (!f || map_put(files, name, f) < 0)
		return err_set(err, ERR_MEMORY, "the archive's index does not fit into memory");
	*f = file;
	return 0;
}

int tar_index(struct span tar, uint32_t max_files, struct arena *a, struct map *files,
	      struct err *err)
{
	struct extended x = {0};
	uint32_t count = 0;
	size_t at = 0;

	while (tar.len - at >= BLOCK_BYTES && tar.ptr[at]) {
		const char *header = tar.ptr + at;
		struct tar_file file = {.link = SPAN("")};
		uint64_t size;
		char type = header[AT_TYPE];

		if (!checksum_is_right(header) || !number(header, AT_SIZE, 12, &size))
			return err_set(err, ERR_SYNTAX, "not a tar archive at byte %zu", at);
		if (++count > max_files)
			return err_set(err, ERR_LIMIT, "more than %u entries", max_files);
		if (x.has_size && type != 'x' && type != 'L' && type != 'K')
			size = x.size;
		at += BLOCK_BYTES;
		if (size > tar.len - at)
			return err_set(err, ERR_SYNTAX, "the archive is cut off");
		file.bytes = span_slice(tar, at, at + size);
		if (type == 'x') {
			read_pax(file.bytes, &x);
		} else if (type == 'L') {
			x.path = span_slice(file.bytes, 0, span_find_byte(file.bytes, '\0'));
		} else if (type == 'K') {
			x.link = span_slice(file.bytes, 0, span_find_byte(file.bytes, '\0'));
		} else {
			if (type == '1' || type == '2')
				file.link = x.link.len ? x.link : field(header, AT_LINK, 100);
			if ((type == '0' || type == '\0' || type == '7' || file.link.len) &&
			    add(a, files, name_of(a, header, &x), file, err) < 0)
				return -1;
			x = (struct extended){0};
		}
		size = (size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
		at = size > tar.len - at ? tar.len : at + size;
	}
	return 0;
}

const struct tar_file *tar_find(const struct map *files, struct span path, struct arena *a)
{
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		const struct tar_file *f = map_get(files, path);
		struct span target, folder = path;

		if (!f || !f->link.len)
			return f;
		/* Old archives of docker have "id/layer.tar" -> "../other/layer.tar". */
		target = f->link;
		while (folder.len && folder.ptr[folder.len - 1] != '/')
			folder.len--;
		if (span_starts_with(target, SPAN("../"))) {
			target = span_slice(target, 3, target.len);
			folder.len -= folder.len > 0;
			while (folder.len && folder.ptr[folder.len - 1] != '/')
				folder.len--;
		}
		target = arena_printf(a, "%.*s%.*s", SPAN_ARG(folder), SPAN_ARG(target));
		path = target.ptr ? tar_path(a, target) : SPAN("");
		/* A hard link's target is a path from the root. */
		if (!map_get(files, path))
			path = tar_path(a, f->link);
	}
	return NULL;
}
