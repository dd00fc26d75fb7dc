/*
 * body_multipart.c - multipart/form-data (RFC 7578), with the flags and in the steps of
 * libmodsecurity: it looks at lines, and at pieces of lines that are longer than its buffer.
 */
#include "waf/body_internal.h"

/* libmodsecurity's MULTIPART_BUF_SIZE: what a flag looks at depends on where it cuts. */
#define PIECE_MAX 4096

/* Text in the arena that grows. */
struct text {
	char *ptr;
	size_t len;
	size_t cap;
};

struct part {
	struct disposition disposition;
	struct body_pairs headers;
	struct body_pairs lines; /* values only: the fields as they were */
	struct span last_name; /* of the field that may be continued */
	struct span last_line; /* not yet in `lines` */
	struct text folded; /* the value of a field that is continued */
	size_t folded_line; /* how much of it goes into the line; 0: last_line is the line */
	struct text value;
	size_t size;
	bool is_file;
	bool counted; /* among the files */
};

struct reader {
	struct arena *arena;
	const struct body_limits *limits;
	struct body_multipart *out;
	struct body_error *error;
	struct span boundary;
	bool keep_files;
	struct part *part; /* under way, or NULL */
	struct part **parts;
	size_t part_count;
	size_t part_cap;
	size_t kept_files;
	bool in_data; /* behind the empty line of the part */
	bool data_seen; /* since that line */
	size_t held; /* bytes of the line end before the piece, which are data if more follows */
	unsigned boundaries;
	bool after_lf; /* the last piece ended in LF without CR */
	bool crlf_seen;
	bool complete;
	bool broken; /* MULTIPART_STRICT_ERROR, for what has no flag */
	size_t no_files_bytes;
};

/* A line, or a piece of one. */
struct piece {
	struct span all;
	struct span text; /* up to its first NUL */
	bool starts_line;
	bool ends_line;
};

/* What became of a piece; STEP_STOP ends the body. */
enum step { STEP_NEXT, STEP_STOP, STEP_MEMORY };

static enum step fail(struct reader *r, const char *text)
{
	if (body_fail(r->arena, r->error, "Multipart parsing error: Multipart: %s", text) < 0)
		return STEP_MEMORY;
	return STEP_NEXT;
}

static enum step fail_and_stop(struct reader *r, const char *text)
{
	r->broken = true;
	return fail(r, text) == STEP_MEMORY ? STEP_MEMORY : STEP_STOP;
}

static int text_append(struct arena *arena, struct text *t, struct span more)
{
	if (more.len > t->cap - t->len) {
		size_t cap = 2 * (t->len + more.len);
		char *ptr = arena_alloc(arena, cap);

		if (!ptr)
			return -1;
		if (t->len > 0)
			memcpy(ptr, t->ptr, t->len);
		t->ptr = ptr;
		t->cap = cap;
	}
	if (more.len > 0)
		memcpy(t->ptr + t->len, more.ptr, more.len);
	t->len += more.len;
	return 0;
}

static struct span text_span(const struct text *t)
{
	return span_of(t->ptr ? t->ptr : "", t->len);
}

/* ---- fields of a part --------------------------------------------------------------------------- */

static struct body_pair *find_header(struct part *part, struct span name)
{
	for (size_t i = 0; i < part->headers.count; i++)
		if (span_eq_nocase(part->headers.items[i].name, name))
			return &part->headers.items[i];
	return NULL;
}

/* Without the line end, unless there is nothing else. */
static struct span chomp(struct span text)
{
	size_t len = text.len;

	while (len > 0 && (text.ptr[len - 1] == '\n' || text.ptr[len - 1] == '\r'))
		len--;
	return len > 0 ? span_slice(text, 0, len) : text;
}

static int keep_last_line(struct reader *r, struct part *part)
{
	struct span line = part->last_line;

	if (part->folded_line > 0) {
		line = span_slice(text_span(&part->folded), 0, part->folded_line);
		line = arena_printf(r->arena, "%.*s: %.*s", SPAN_ARG(part->last_name),
				    SPAN_ARG(line));
		if (!line.ptr)
			return -1;
	}
	part->last_line = SPAN_NONE;
	part->folded = (struct text){0};
	part->folded_line = 0;
	return line.len == 0 ? 0 : body_pairs_add(&part->lines, r->arena, SPAN_NONE, line);
}

/* The empty line: what the part is, by its Content-Disposition. */
static enum step end_headers(struct reader *r, struct part *part)
{
	struct disposition *d = &part->disposition;
	const struct body_pair *header = find_header(part, SPAN("Content-Disposition"));
	enum disposition_result result;
	int code;

	if (!header)
		return fail(r, "Part missing Content-Disposition header.");
	result = disposition_parse(r->arena, header->value, d, &code);
	if (d->invalid_quoting)
		r->out->flags.invalid_quoting = 1;
	if (result == DISPOSITION_MEMORY)
		return STEP_MEMORY;
	if (result == DISPOSITION_BAD) {
		int done = body_fail(r->arena, r->error,
				     "Multipart parsing error: Multipart: Invalid "
				     "Content-Disposition header (%d).",
				     code);

		return done < 0 ? STEP_MEMORY : STEP_NEXT;
	}
	if (d->name.len == 0)
		return fail(r, "Content-Disposition header missing name field.");
	/* Simple parsers look for just this. */
	if (d->filename.len > 0 &&
	    span_find(header->value, SPAN("filename=")) == header->value.len)
		return fail(r, "Invalid Content-Disposition header (filename).");
	part->is_file = d->filename.len > 0;
	r->in_data = true;
	r->data_seen = false;
	part->last_name = SPAN_NONE;
	return STEP_NEXT;
}

static enum step fold_header(struct reader *r, struct part *part, struct span line)
{
	struct body_pair *header;
	size_t at = 0;

	r->out->flags.header_folding = 1;
	if (line.ptr[0] != '\t' && line.ptr[0] != ' ')
		r->out->flags.invalid_header_folding = 1;
	if (part->last_name.len == 0)
		return fail(r, "Invalid part header (folding error).");
	for (; at < line.len && body_is_space(line.ptr[at]); at++)
		if (line.ptr[at] != '\t' && line.ptr[at] != ' ')
			r->out->flags.invalid_header_folding = 1;
	header = find_header(part, part->last_name);
	line = chomp(span_slice(line, at, line.len));
	if ((part->folded.len == 0 &&
	     text_append(r->arena, &part->folded, header->value) < 0) ||
	    text_append(r->arena, &part->folded, SPAN(" ")) < 0 ||
	    text_append(r->arena, &part->folded, line) < 0)
		return STEP_MEMORY;
	header->value = text_span(&part->folded);
	if (header->value.len > PIECE_MAX)
		return fail(r, "Part header too long.");
	part->folded_line = part->folded.len;
	return STEP_NEXT;
}

static enum step new_header(struct reader *r, struct part *part, struct span line)
{
	struct span value = line, name;

	if (keep_last_line(r, part) < 0)
		return STEP_MEMORY;
	name = span_cut(&value, ':');
	if (!value.ptr)
		return fail(r, "Invalid part header (colon missing).");
	if (name.len == 0)
		return fail(r, "Invalid part header (header name missing).");
	while (value.len > 0 && (value.ptr[0] == '\t' || value.ptr[0] == ' '))
		value = span_slice(value, 1, value.len);
	if (find_header(part, name))
		return STEP_NEXT; /* a second one is left out, without an error */
	if (part->headers.count == PART_HEADERS_MAX)
		return fail_and_stop(r, "Too many headers in a part.");
	part->last_name = name;
	part->last_line = line;
	return body_pairs_add(&part->headers, r->arena, name, chomp(value)) < 0 ? STEP_MEMORY
										: STEP_NEXT;
}

static enum step take_header_line(struct reader *r, struct part *part, const struct piece *p)
{
	struct span line = p->all;

	if (!p->ends_line || line.len == PIECE_MAX)
		return fail_and_stop(r, "Part header line over 4096 bytes long");
	if (p->text.len < line.len)
		return fail(r, "Nul byte in part headers.");
	r->no_files_bytes += line.len;
	if (line.len > 1 && line.ptr[line.len - 2] == '\r')
		r->crlf_seen = true;
	else
		r->out->flags.lf_line = 1;
	if (span_eq(line, SPAN("\r\n")) || span_eq(line, SPAN("\n")))
		return keep_last_line(r, part) < 0 ? STEP_MEMORY : end_headers(r, part);
	if (body_is_space(line.ptr[0]))
		return fold_header(r, part, line);
	return new_header(r, part, line);
}

/* ---- data of a part ----------------------------------------------------------------------------- */

/* True when the content of this file is kept. */
static bool keeps_content(struct reader *r, struct part *part)
{
	if (!r->keep_files)
		return false;
	if (part->counted)
		return true;
	if (r->kept_files >= r->limits->max_files)
		return false;
	part->counted = true;
	r->kept_files++;
	return true;
}

static enum step take_data(struct reader *r, struct part *part, const struct piece *p)
{
	struct span data = p->all;
	size_t line_end = 0;
	bool keep = true;

	r->data_seen = true;
	if (p->ends_line)
		line_end = data.len > 1 && data.ptr[data.len - 2] == '\r' ? 2 : 1;
	data.len -= line_end;
	part->size += data.len + r->held;
	if (part->is_file) {
		keep = keeps_content(r, part);
		if (!keep && r->keep_files && !r->out->flags.file_limit_exceeded) {
			r->out->flags.file_limit_exceeded = 1;
			if (fail(r, "Upload file limit exceeded.") == STEP_MEMORY)
				return STEP_MEMORY;
		}
	} else {
		r->no_files_bytes += data.len + r->held;
	}
	r->held = line_end;
	if (keep && text_append(r->arena, &part->value, data) < 0)
		return STEP_MEMORY;
	return STEP_NEXT;
}

/* ---- boundaries --------------------------------------------------------------------------------- */

static int keep_part(struct reader *r, struct part *part)
{
	if (r->part_count == r->part_cap) {
		size_t cap = r->part_cap ? 2 * r->part_cap : 16;
		struct part **parts = arena_array(r->arena, struct part *, cap);

		if (!parts)
			return -1;
		if (r->part_count > 0)
			memcpy(parts, r->parts, r->part_count * sizeof(struct part *));
		r->parts = parts;
		r->part_cap = cap;
	}
	r->parts[r->part_count++] = part;
	return 0;
}

static int end_part(struct reader *r)
{
	struct part *part = r->part;

	r->part = NULL;
	if (!part)
		return 0;
	for (size_t i = 0; i < part->lines.count; i++)
		if (body_pairs_add(&r->out->part_headers, r->arena, part->disposition.name,
				   part->lines.items[i].value) < 0)
			return -1;
	if (part->disposition.name.len > 0)
		return keep_part(r, part);
	r->out->flags.invalid_part = 1;
	return 0;
}

static enum step begin_part(struct reader *r)
{
	if (r->part_count >= r->limits->max_parts)
		return fail_and_stop(r, "Too many parts.");
	r->part = arena_new(r->arena, struct part);
	if (!r->part)
		return STEP_MEMORY;
	r->part->disposition.names = &r->out->names;
	r->part->disposition.filenames = &r->out->filenames;
	r->in_data = false;
	r->data_seen = false;
	r->held = 0;
	return STEP_NEXT;
}

/* A line that starts with the boundary. *done: it is one. */
static enum step take_boundary(struct reader *r, const struct piece *p, bool *done)
{
	struct span rest = span_slice(p->text, 2 + r->boundary.len, p->text.len);
	bool final;

	if (r->after_lf)
		r->out->flags.lf_line = 1;
	if (!r->data_seen && r->boundaries > 0) {
		r->out->flags.invalid_part = 1; /* it stands where data should begin */
		return STEP_NEXT;
	}
	if (r->boundaries > 0)
		r->out->flags.unmatched_boundary = 2;
	final = span_starts_with(rest, SPAN("--"));
	if (final)
		rest = span_slice(rest, 2, rest.len);
	if (span_eq(rest, SPAN("\r\n")))
		r->crlf_seen = true;
	else if (span_eq(rest, SPAN("\n")))
		r->out->flags.lf_line = 1;
	else
		return fail_and_stop(r, "Invalid boundary.");
	if (end_part(r) < 0)
		return STEP_MEMORY;
	r->boundaries++;
	r->complete = final;
	*done = true;
	return final ? STEP_NEXT : begin_part(r);
}

/* A line that starts like a boundary, and is not ours. */
static enum step take_other_boundary(struct reader *r, struct span text)
{
	struct span rest = span_slice(text, 2, text.len);
	size_t spaces = 0;

	if (r->out->flags.boundary_quoted && rest.len > 0 && rest.ptr[0] == '"' &&
	    span_starts_with(span_slice(rest, 1, rest.len), r->boundary))
		return fail_and_stop(r, "Invalid boundary (quotes).");
	while (spaces < rest.len && body_is_space(rest.ptr[spaces]))
		spaces++;
	if (spaces > 0 && span_starts_with(span_slice(rest, spaces, rest.len), r->boundary))
		return fail_and_stop(r, "Invalid boundary (whitespace).");
	r->out->flags.unmatched_boundary = 1;
	return STEP_NEXT;
}

/* The boundary, with its dashes, in the middle of a line. */
static bool holds_boundary(const struct reader *r, struct span text)
{
	for (size_t i = 0; i + 2 <= text.len; i++) {
		i += span_find(span_slice(text, i, text.len), SPAN("--"));
		if (i + 2 <= text.len &&
		    span_starts_with(span_slice(text, i + 2, text.len), r->boundary))
			return true;
	}
	return false;
}

static enum step take_piece(struct reader *r, const struct piece *p)
{
	enum step step = STEP_NEXT;
	bool done = false;

	if (p->starts_line && p->text.len > 3 && span_starts_with(p->text, SPAN("--"))) {
		if (span_starts_with(span_slice(p->text, 2, p->text.len), r->boundary))
			step = take_boundary(r, p, &done);
		else
			step = take_other_boundary(r, p->text);
	} else if (p->starts_line && holds_boundary(r, p->all)) {
		r->out->flags.unmatched_boundary = 1;
	}
	if (step != STEP_NEXT || done)
		return step;
	if (!r->part) {
		r->out->flags.data_before = 1;
		return STEP_NEXT;
	}
	return r->in_data ? take_data(r, r->part, p) : take_header_line(r, r->part, p);
}

/* Up to and with the next LF, or as much of a line as fits; a CR is never the last that fits. */
static struct span next_piece(struct span body, size_t at, bool *ends_line)
{
	struct span window = span_slice(body, at, at + PIECE_MAX);
	size_t lf = span_find_byte(window, '\n');

	*ends_line = lf < window.len;
	if (*ends_line)
		return span_slice(window, 0, lf + 1);
	if (window.len == PIECE_MAX && window.ptr[PIECE_MAX - 1] == '\r')
		window.len--;
	return window;
}

/* Takes all whole pieces; *rest is what is left, in which no line ends. */
static enum step take_pieces(struct reader *r, struct span body, struct span *rest,
			     bool *rest_starts_line)
{
	bool starts_line = true;
	size_t at = 0;

	for (;;) {
		struct piece p = {.starts_line = starts_line};
		enum step step;

		p.all = next_piece(body, at, &p.ends_line);
		*rest = p.all;
		*rest_starts_line = starts_line;
		if (!p.ends_line && at + PIECE_MAX > body.len)
			return STEP_NEXT;
		p.text = span_slice(p.all, 0, span_find_byte(p.all, '\0'));
		step = take_piece(r, &p);
		at += p.all.len;
		*rest = SPAN_NONE;
		if (step != STEP_NEXT)
			return step;
		starts_line = p.ends_line;
		r->after_lf = p.ends_line && !(at >= 2 && body.ptr[at - 2] == '\r');
		if (r->complete) {
			r->out->flags.data_after = at < body.len;
			return STEP_NEXT;
		}
	}
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void set_flags(struct reader *r)
{
	struct body_multipart_flags *f = &r->out->flags;

	f->crlf_lf_lines = r->crlf_seen && f->lf_line;
	f->strict_error = r->broken || f->boundary_quoted || f->boundary_whitespace ||
			  f->data_before || f->data_after || f->header_folding || f->lf_line ||
			  f->missing_semicolon || f->invalid_quoting || f->invalid_part ||
			  f->invalid_header_folding || f->file_limit_exceeded;
}

/* The final boundary need not end its line. What it brings to light shows in some flags only. */
static int take_last_boundary(struct reader *r, struct span rest)
{
	struct body_multipart_flags *f = &r->out->flags;
	unsigned char invalid_part = f->invalid_part;

	if (rest.len != r->boundary.len + 4 || !span_starts_with(rest, SPAN("--")) ||
	    !span_starts_with(span_slice(rest, 2, rest.len), r->boundary) ||
	    !span_ends_with(rest, SPAN("--")))
		return 0;
	if (r->after_lf && !f->lf_line) {
		f->lf_line = 1;
		f->crlf_lf_lines = r->crlf_seen;
		f->strict_error = 1;
	}
	if (!r->data_seen && !f->invalid_part) {
		invalid_part = 1;
		f->strict_error = 1;
	}
	r->complete = true;
	if (end_part(r) < 0)
		return -1;
	f->invalid_part = invalid_part;
	return 0;
}

static int give_parts(struct reader *r)
{
	struct body_multipart *out = r->out;

	out->files = arena_array(r->arena, struct body_file, r->part_count ? r->part_count : 1);
	if (!out->files)
		return -1;
	for (size_t i = 0; i < r->part_count; i++) {
		const struct part *part = r->parts[i];
		struct span name = part->disposition.name;

		if (part->is_file) {
			out->files[out->file_count++] =
				(struct body_file){name, part->disposition.filename,
						   text_span(&part->value), part->size};
			out->files_combined_size += part->size;
		} else if (body_pairs_add(&out->arguments, r->arena, name,
					  text_span(&part->value)) < 0) {
			return -1;
		}
	}
	return 0;
}

static int finish(struct reader *r, struct span rest, bool rest_starts_line)
{
	set_flags(r);
	if (!r->complete && r->boundaries > 0 && rest_starts_line &&
	    take_last_boundary(r, rest) < 0)
		return -1;
	if (!r->complete)
		return fail(r, r->boundaries > 0
				       ? "Final boundary missing."
				       : "No boundaries found in payload.") == STEP_MEMORY
			       ? -1
			       : 0;
	if (!r->error->failed && r->no_files_bytes > r->limits->max_no_files_bytes) {
		r->error->no_files_exceeded = true;
		if (body_fail(r->arena, r->error,
			      "Request body without files is longer than %zu bytes",
			      r->limits->max_no_files_bytes) < 0)
			return -1;
	}
	return give_parts(r);
}

int body_multipart(struct arena *arena, struct span content_type, struct span body,
		   bool keep_files, const struct body_limits *limits,
		   struct body_multipart *multipart, struct body_error *error)
{
	struct reader r = {.arena = arena,
			   .limits = limits,
			   .out = multipart,
			   .error = error,
			   .keep_files = keep_files};
	bool rest_starts_line = false;
	struct span rest = SPAN_NONE;
	struct boundary boundary;

	*multipart = (struct body_multipart){0};
	boundary_find(content_type, &boundary);
	r.boundary = boundary.text;
	r.broken = boundary.error;
	multipart->flags.boundary_quoted = boundary.quoted;
	multipart->flags.boundary_whitespace = boundary.white_space;
	multipart->flags.missing_semicolon = boundary.missing_semicolon;
	if (boundary.problem && fail(&r, boundary.problem) == STEP_MEMORY)
		return -1;
	if (r.boundary.len == 0 || body.len == 0) {
		set_flags(&r);
		return 0;
	}
	if (take_pieces(&r, body, &rest, &rest_starts_line) == STEP_MEMORY)
		return -1;
	return finish(&r, rest, rest_starts_line);
}
