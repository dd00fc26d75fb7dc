#include "gateway/procedure_timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "parse/json.h"
#include "parse/json_write.h"

#define LINE_TREE_MAX ((size_t)256 << 10)

static void copy(char *to, size_t size, struct span from)
{
	size_t len = from.len < size ? from.len : size - 1;

	/* Not in the middle of a character. */
	while (len < from.len && len > 0 && ((unsigned char)from.ptr[len] & 0xc0) == 0x80)
		len--;
	if (len)
		memcpy(to, from.ptr, len);
	to[len] = '\0';
}

const struct timeline_entry *timeline_add(struct timeline *timeline, struct span time,
					  struct span procedure, struct span service,
					  struct span event, struct span detail)
{
	struct timeline_entry *entry = &timeline->at[timeline->count++ % TIMELINE_MAX];

	copy(entry->time, sizeof(entry->time), time);
	copy(entry->procedure, sizeof(entry->procedure), procedure);
	copy(entry->service, sizeof(entry->service), service);
	copy(entry->event, sizeof(entry->event), event);
	copy(entry->detail, sizeof(entry->detail), detail);
	return entry;
}

/* --- the audit log --- */

static void take_line(struct timeline *timeline, struct span line)
{
	static const struct span prefix = SPAN_INIT("procedure.");
	struct span time, event, procedure, service, detail = SPAN_NONE;
	const struct json *record;
	struct arena arena;

	/* Most lines are about other things. */
	if (span_find(line, SPAN("\"event\":\"procedure.")) == line.len)
		return;
	arena_init(&arena, LINE_TREE_MAX, 4096);
	record = json_parse_problem(&arena, line, NULL, NULL);
	(void)json_string(json_get(record, SPAN("detail")), &detail);
	if (json_string(json_get(record, SPAN("time")), &time) &&
	    json_string(json_get(record, SPAN("event")), &event) &&
	    json_string(json_get(record, SPAN("procedure")), &procedure) &&
	    json_string(json_get(record, SPAN("service")), &service) &&
	    span_starts_with(event, prefix))
		(void)timeline_add(timeline, time, procedure, service,
				   span_slice(event, prefix.len, event.len), detail);
	arena_release(&arena);
}

/* The end of the file, from the first whole line on. */
static int read_end(int fd, struct buf *text, struct err *err)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > (off_t)TIMELINE_READ_BYTES ? size - (off_t)TIMELINE_READ_BYTES : 0;
	ssize_t n = 1;

	if (size < 0 || lseek(fd, from, SEEK_SET) < 0)
		return err_set_errno(err, errno, "the audit log cannot be read");
	/* It may grow meanwhile: what is new is not of interest. */
	if (buf_reserve(text, (size_t)(size - from)) < 0)
		return err_set(err, ERR_MEMORY, "no memory for the time line");
	while (n > 0 && text->len < (size_t)(size - from)) {
		n = read(fd, text->ptr + text->len, (size_t)(size - from) - text->len);
		if (n < 0)
			return err_set_errno(err, errno, "the audit log cannot be read");
		text->len += (size_t)n;
	}
	if (from > 0) {
		const char *end = memchr(text->ptr, '\n', text->len);

		buf_consume(text, end ? (size_t)(end - text->ptr) + 1 : text->len);
	}
	return 0;
}

int timeline_read(struct timeline *timeline, const char *audit_path, struct err *err)
{
	int fd = open(audit_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct span rest;
	struct buf text;
	int result;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_set_errno(err, errno, "%s cannot be read", audit_path);
	buf_init(&text, TIMELINE_READ_BYTES);
	result = read_end(fd, &text, err);
	close(fd);
	rest = buf_span(&text);
	while (result == 0 && rest.len)
		take_line(timeline, span_cut(&rest, '\n'));
	buf_release(&text);
	return result;
}

/* --- what is said of it --- */

void timeline_print(const struct timeline *timeline, struct buf *out)
{
	uint64_t first = timeline->count > TIMELINE_MAX ? timeline->count - TIMELINE_MAX : 0;
	struct json_writer w;

	json_writer_init(&w, out);
	json_begin_object(&w);
	json_key(&w, SPAN("timeline"));
	json_begin_array(&w);
	for (uint64_t i = timeline->count; i > first; i--) {
		const struct timeline_entry *entry = &timeline->at[(i - 1) % TIMELINE_MAX];

		json_begin_object(&w);
		json_member_string(&w, SPAN("time"), span_cstr(entry->time));
		json_member_string(&w, SPAN("procedure"), span_cstr(entry->procedure));
		json_member_string(&w, SPAN("service"), span_cstr(entry->service));
		json_member_string(&w, SPAN("event"), span_cstr(entry->event));
		json_member_string(&w, SPAN("detail"), span_cstr(entry->detail));
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(out, '\n');
}
