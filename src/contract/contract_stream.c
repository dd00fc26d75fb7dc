/* Content that is a sequence of items: JSON lines, RFC 7464 sequences, server-sent events. */
#include "contract/contract_check.h"
#include "parse/utf8.h"

#define RECORD_SEPARATOR '\x1e'

static const struct schema *item_schema(const struct contract_check *c)
{
	return c->media->item ? c->media->item : schema_anything();
}

static void name_item(struct contract_check *c, char name[24], struct span *span)
{
	int len = snprintf(name, 24, "%zu", c->line_count);

	*span = span_of(name, len > 0 ? (size_t)len : 0);
}

static void end_item(struct contract_check *c, enum schema_result outcome)
{
	char name[24];
	struct span span;

	name_item(c, name, &span);
	c->in_line = false;
	c->line_count++;
	check_run_problems(c, CONTRACT_IN_BODY, span, outcome, 0);
	if (outcome != SCHEMA_VALID)
		(void)check_end(c, CONTRACT_INVALID);
}

static void feed_item(struct contract_check *c, struct span piece)
{
	struct schema_run_options options = {.unknown = check_unknown(c)};
	enum schema_result outcome;

	if (piece.len == 0 || (!c->in_line && span_trim(piece).len == 0))
		return;
	/* What is unknown in one of many items cannot be cut out. */
	if (options.unknown == SCHEMA_UNKNOWN_STRIP)
		options.unknown = SCHEMA_UNKNOWN_ALLOW;
	if (!c->in_line) {
		check_limit_patterns(c);
		schema_run_start(c->run, item_schema(c), &options);
	}
	c->in_line = true;
	outcome = schema_run_feed(c->run, piece);
	if (outcome != SCHEMA_MORE)
		end_item(c, outcome);
}

static void feed_items(struct contract_check *c, struct span piece, char separator)
{
	while (piece.len > 0 && c->result == CONTRACT_MORE) {
		size_t end = span_find_byte(piece, separator);

		feed_item(c, span_slice(piece, 0, end));
		if (end < piece.len && c->in_line && c->result == CONTRACT_MORE)
			end_item(c, schema_run_finish(c->run));
		piece = span_slice(piece, end + 1, piece.len);
	}
}

/* ---- events (HTML, section 9.2.6) ------------------------------------------------------------ */

static void feed_member(struct contract_check *c, struct span name, struct span value)
{
	(void)schema_run_token(c->run, JSON_TOKEN_KEY, name);
	(void)schema_run_text(c->run, value);
}

/* The data lines of an event, joined by line feeds, into `scratch`. */
static bool gather_data(struct contract_check *c, struct span event)
{
	bool found = false;

	buf_clear(&c->scratch);
	while (event.ptr) {
		struct span line = span_cut(&event, '\n');
		struct span name = span_cut(&line, ':');

		if (!span_eq(name, SPAN("data")))
			continue;
		if (found)
			buf_append_byte(&c->scratch, '\n');
		if (line.len && line.ptr[0] == ' ')
			line = span_slice(line, 1, line.len);
		buf_append(&c->scratch, line);
		found = true;
	}
	return found;
}

static void check_event(struct contract_check *c, struct span event)
{
	static const char *const names[] = {"event", "id", "retry"};
	struct span rest;

	if (!utf8_valid(event)) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("encoding"), SPAN("UTF-8"));
		(void)check_end(c, CONTRACT_INVALID);
		return;
	}
	/* Comments that keep a connection alive: without data nobody hears of an event. */
	if (!gather_data(c, event))
		return;
	check_limit_patterns(c);
	schema_run_start(c->run, item_schema(c), NULL);
	(void)schema_run_token(c->run, JSON_TOKEN_OBJECT_BEGIN, SPAN_NONE);
	feed_member(c, SPAN("data"), buf_span(&c->scratch));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct span last = SPAN_NONE;

		for (rest = event; rest.ptr;) {
			struct span line = span_cut(&rest, '\n');
			struct span name = span_cut(&line, ':');

			if (span_eq(name, span_cstr(names[i])))
				last = line.ptr ? line : SPAN("");
		}
		if (last.len && last.ptr[0] == ' ')
			last = span_slice(last, 1, last.len);
		if (last.ptr)
			feed_member(c, span_cstr(names[i]), last);
	}
	(void)schema_run_token(c->run, JSON_TOKEN_OBJECT_END, SPAN_NONE);
	end_item(c, schema_run_finish(c->run));
}

static void feed_event_byte(struct contract_check *c, char byte)
{
	/* Lines end in CR LF, LF or CR; the LF of a CR LF says nothing more. */
	bool second = byte == '\n' && c->after_return;

	c->after_return = byte == '\r';
	if (second)
		return;
	if (byte == '\r')
		byte = '\n';
	if (byte == '\n' && (c->kept.len == 0 || c->kept.ptr[c->kept.len - 1] == '\n')) {
		if (c->kept.len > 0)
			check_event(c, buf_span(&c->kept));
		buf_clear(&c->kept);
	} else if (c->kept.len == c->limits.max_buffered_bytes) {
		check_problem(c, CONTRACT_IN_BODY, SPAN_NONE, SPAN("limit"),
			      SPAN("buffered bytes"));
		(void)check_end(c, CONTRACT_TOO_LARGE);
	} else if (buf_append_byte(&c->kept, byte) < 0) {
		(void)check_end(c, CONTRACT_MEMORY);
	}
}

/* Events end at an empty line; what is there of the next one stays in `kept`. */
static void feed_events(struct contract_check *c, struct span piece)
{
	for (size_t i = 0; i < piece.len && c->result == CONTRACT_MORE; i++)
		feed_event_byte(c, piece.ptr[i]);
}

enum contract_result check_feed_stream(struct contract_check *c, struct span piece)
{
	if (c->kind == OPENAPI_KIND_LINES)
		feed_items(c, piece, '\n');
	else if (c->kind == OPENAPI_KIND_SEQUENCE)
		feed_items(c, piece, RECORD_SEPARATOR);
	else if (c->media->item)
		feed_events(c, piece);
	return c->result;
}

void check_finish_stream(struct contract_check *c)
{
	/* An event that no empty line has ended is dropped by whoever reads it. */
	if (c->kind != OPENAPI_KIND_EVENTS && c->in_line)
		end_item(c, schema_run_finish(c->run));
}
