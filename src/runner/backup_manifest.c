#include "runner/backup_manifest.h"

#define MAGIC "sallyport-backup 1 "

void backup_manifest_begin(struct buf *to, int64_t made_at_s)
{
	buf_append_cstr(to, MAGIC);
	buf_append_i64(to, made_at_s);
	buf_append_byte(to, '\0');
}

void backup_manifest_add(struct buf *to, const struct backup_entry *entry)
{
	buf_append_byte(to, (char)entry->kind);
	buf_append_byte(to, ' ');
	buf_append_u64(to, entry->mode);
	buf_append_byte(to, ' ');
	buf_append_u64(to, entry->size_bytes);
	buf_append_byte(to, ' ');
	buf_append(to, entry->hash);
	buf_append_byte(to, ' ');
	buf_append(to, entry->path);
	buf_append_byte(to, '\0');
}

bool backup_is_hash(struct span s)
{
	if (s.len != BACKUP_ID_CHARS)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
	}
	return true;
}

bool backup_path_is_safe(struct span path)
{
	struct span rest = path;

	if (!path.len || path.len > BACKUP_PATH_MAX_BYTES ||
	    span_find_byte(path, '\0') < path.len)
		return false;
	while (rest.ptr) {
		struct span part = span_cut(&rest, '/');

		if (!part.len || span_eq(part, SPAN(".")) || span_eq(part, SPAN("..")))
			return false;
	}
	return true;
}

bool backup_link_is_safe(struct span path, struct span target)
{
	struct span rest = target;
	size_t above = 0;
	bool named = false;

	if (!target.len || target.ptr[0] == '/' || span_find_byte(target, '\0') < target.len)
		return false;
	for (size_t i = 0; i < path.len; i++)
		above += path.ptr[i] == '/';
	while (rest.ptr) {
		struct span part = span_cut(&rest, '/');

		if (!part.len || span_eq(part, SPAN(".")))
			continue;
		if (!span_eq(part, SPAN("..")))
			named = true;
		else if (named || above-- == 0)
			return false;
	}
	return true;
}

/* Takes a record off *rest; false when its end is missing. */
static bool take(struct span *rest, struct span *record)
{
	size_t end = span_find_byte(*rest, '\0');

	if (end == rest->len)
		return false;
	*record = span_slice(*rest, 0, end);
	*rest = span_slice(*rest, end + 1, rest->len);
	return true;
}

int backup_manifest_open(struct span *rest, int64_t *made_at_s, struct err *err)
{
	struct span record;

	if (!take(rest, &record) || !span_starts_with(record, SPAN(MAGIC)) ||
	    !span_to_i64(span_slice(record, sizeof(MAGIC) - 1, record.len), made_at_s))
		return err_set(err, ERR_SYNTAX, "not the list of a backup");
	return 0;
}

static bool read_kind(struct span word, struct backup_entry *entry)
{
	if (word.len != 1 || !strchr("dfl", word.ptr[0]) || word.ptr[0] == '\0')
		return false;
	entry->kind = (enum backup_kind)word.ptr[0];
	return true;
}

int backup_manifest_next(struct span *rest, struct backup_entry *entry, struct err *err)
{
	struct span record;
	uint64_t mode = 0;
	bool good;

	if (!rest->len)
		return 0;
	if (!take(rest, &record))
		return err_set(err, ERR_SYNTAX, "the list of the backup is cut off");
	good = read_kind(span_cut(&record, ' '), entry) &&
	       span_to_u64(span_cut(&record, ' '), &mode) && mode <= 0777 &&
	       span_to_u64(span_cut(&record, ' '), &entry->size_bytes);
	entry->hash = good ? span_cut(&record, ' ') : SPAN_NONE;
	entry->path = record;
	entry->mode = (unsigned)mode;
	if (!good || !(entry->kind == BACKUP_FOLDER
			       ? span_eq(entry->hash, SPAN("-")) && entry->size_bytes == 0
			       : backup_is_hash(entry->hash)))
		return err_set(err, ERR_SYNTAX, "the list of the backup has a bad record");
	if (!backup_path_is_safe(entry->path))
		return err_set(err, ERR_SYNTAX,
			       "the backup names a path outside its folder: %.*s",
			       SPAN_ARG(entry->path));
	if (entry->kind == BACKUP_LINK && entry->size_bytes > BACKUP_LINK_MAX_BYTES)
		return err_set(err, ERR_SYNTAX, "the backup has a link that is too long: %.*s",
			       SPAN_ARG(entry->path));
	return 1;
}
