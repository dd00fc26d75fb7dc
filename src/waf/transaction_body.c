#include "waf/transaction.h"

static void add_pairs(struct waf_transaction *t, uint32_t list, const struct body_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
		value_add(t, list, pairs->items[i].name, pairs->items[i].value);
}

void transaction_add_arguments(struct waf_transaction *t, const struct body_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		value_add(t, VAR_ARGS, pairs->items[i].name, pairs->items[i].value);
		value_add(t, VAR_ARGS_NAMES, pairs->items[i].name, pairs->items[i].name);
		t->arguments_size += pairs->items[i].name.len + pairs->items[i].value.len;
	}
	if (pairs->count)
		value_set_number(t, VAR_ARGS_COMBINED_SIZE, t->arguments_size);
}

static void set_flags(struct waf_transaction *t, const struct body_multipart_flags *flags)
{
	value_set_number(t, VAR_MULTIPART_STRICT_ERROR, flags->strict_error);
	value_set_number(t, VAR_MULTIPART_BOUNDARY_QUOTED, flags->boundary_quoted);
	value_set_number(t, VAR_MULTIPART_BOUNDARY_WHITESPACE, flags->boundary_whitespace);
	value_set_number(t, VAR_MULTIPART_DATA_BEFORE, flags->data_before);
	value_set_number(t, VAR_MULTIPART_DATA_AFTER, flags->data_after);
	value_set_number(t, VAR_MULTIPART_HEADER_FOLDING, flags->header_folding);
	value_set_number(t, VAR_MULTIPART_LF_LINE, flags->lf_line);
	value_set_number(t, VAR_MULTIPART_CRLF_LF_LINES, flags->crlf_lf_lines);
	value_set_number(t, VAR_MULTIPART_MISSING_SEMICOLON, flags->missing_semicolon);
	value_set_number(t, VAR_MULTIPART_INVALID_QUOTING, flags->invalid_quoting);
	value_set_number(t, VAR_MULTIPART_INVALID_PART, flags->invalid_part);
	value_set_number(t, VAR_MULTIPART_INVALID_HEADER_FOLDING,
			 flags->invalid_header_folding);
	value_set_number(t, VAR_MULTIPART_FILE_LIMIT_EXCEEDED, flags->file_limit_exceeded);
	value_set_number(t, VAR_MULTIPART_UNMATCHED_BOUNDARY, flags->unmatched_boundary);
}

/* Uploads are not written to files, but for programs that are to look at them, under these names. */
static void name_upload(struct waf_transaction *t, const struct body_file *file, size_t index)
{
	struct span name = arena_printf(&t->arena, "upload-%zu", index);

	if (!name.ptr) {
		t->failed = true;
		return;
	}
	value_add(t, VAR_FILES_TMPNAMES, file->name, name);
	/* Those over SecUploadFileLimit have not been kept: nobody can look at them. */
	if (file->content.len || file->size == 0)
		list_add(t, &t->uploads, name, file->content.ptr ? file->content : SPAN(""));
}

static void add_files(struct waf_transaction *t, const struct body_multipart *multipart)
{
	for (size_t i = 0; i < multipart->file_count; i++) {
		const struct body_file *file = &multipart->files[i];

		value_add(t, VAR_FILES, file->name, file->filename);
		value_add(t, VAR_FILES_NAMES, file->name, file->name);
		value_add(t, VAR_FILES_SIZES, file->name, value_number(t, (int64_t)file->size));
		if (file->content.ptr)
			value_add(t, VAR_FILES_TMP_CONTENT, file->name, file->content);
		if (t->rules->uses[VAR_FILES_TMPNAMES])
			name_upload(t, file, i);
	}
	if (multipart->file_count)
		value_set_number(t, VAR_FILES_COMBINED_SIZE, multipart->files_combined_size);
}

static void read_multipart(struct waf_transaction *t, struct span body,
			   const struct body_limits *limits, struct body_error *error)
{
	struct body_multipart multipart;

	if (body_multipart(&t->arena, t->content_type, body,
			   t->rules->document.settings.keep_files ||
				   t->rules->uses[VAR_FILES_TMP_CONTENT] ||
				   t->rules->uses[VAR_FILES_TMPNAMES],
			   limits, &multipart, error) != 0) {
		t->failed = true;
		return;
	}
	transaction_add_arguments(t, &multipart.arguments);
	add_files(t, &multipart);
	add_pairs(t, VAR_MULTIPART_NAME, &multipart.names);
	add_pairs(t, VAR_MULTIPART_FILENAME, &multipart.filenames);
	add_pairs(t, VAR_MULTIPART_PART_HEADERS, &multipart.part_headers);
	set_flags(t, &multipart.flags);
}

static void read_xml(struct waf_transaction *t, struct span body,
		     const struct body_limits *limits, struct body_error *error)
{
	struct body_xml_namespace spaces[16];
	size_t count = 0;

	if (body_xml_parse(&t->arena, body, limits, &t->xml, error) != 0) {
		t->failed = true;
		return;
	}
	for (; count < t->rules->xmlns_count && count < COUNT_OF(spaces); count++)
		spaces[count] = (struct body_xml_namespace){t->rules->xmlns[count].prefix.ptr,
							    t->rules->xmlns[count].href.ptr};
	for (uint32_t i = 0; t->xml && i < t->rules->xpath_count; i++) {
		struct span xpath = t->rules->xpaths[i];
		struct span *texts;
		size_t found;

		if (body_xml_select(&t->arena, t->xml, xpath.ptr, spaces, count, limits, &texts,
				    &found) != 0) {
			t->failed = true;
			return;
		}
		for (size_t k = 0; k < found; k++)
			value_add(t, VAR_COUNT + i, xpath, texts[k]);
	}
}

static void read_form(struct waf_transaction *t, struct span body,
		      const struct body_limits *limits, struct body_error *error)
{
	struct body_pairs pairs = {NULL, 0, 0};
	bool invalid = false;

	if (body_urlencoded(&t->arena, body, t->rules->document.settings.argument_separator,
			    limits, &pairs, &invalid, error) != 0) {
		t->failed = true;
		return;
	}
	if (invalid)
		value_set(t, VAR_URLENCODED_ERROR, SPAN("1"));
	transaction_add_arguments(t, &pairs);
}

static void read_json(struct waf_transaction *t, struct span body,
		      const struct body_limits *limits, struct body_error *error)
{
	struct body_pairs pairs = {NULL, 0, 0};

	if (body_json(&t->arena, body, limits, &pairs, error) != 0) {
		t->failed = true;
		return;
	}
	transaction_add_arguments(t, &pairs);
}

static void set_error(struct waf_transaction *t, const char *what,
		      const struct body_error *error)
{
	struct span message;

	value_set_number(t, VAR_REQBODY_ERROR, error->failed);
	value_set_number(t, VAR_REQBODY_PROCESSOR_ERROR,
			 error->failed && !error->no_files_exceeded);
	if (error->no_files_exceeded)
		value_set(t, VAR_INBOUND_DATA_ERROR, SPAN("1"));
	if (!error->failed)
		return;
	message = arena_printf(&t->arena, "%s%.*s", what, SPAN_ARG(error->message));
	if (!message.ptr) {
		t->failed = true;
		return;
	}
	value_set(t, VAR_REQBODY_ERROR_MSG, message);
	if (!error->no_files_exceeded)
		value_set(t, VAR_REQBODY_PROCESSOR_ERROR_MSG, message);
}

static bool has_raw_body(const struct waf_transaction *t)
{
	return t->rules->document.dialect == WAF_MODSECURITY_3 || t->processor.len == 0 ||
	       span_eq(t->processor, SPAN("URLENCODED"));
}

void transaction_read_body(struct waf_transaction *t, struct span body,
			   const struct body_limits *limits)
{
	struct body_error error = {.failed = false};
	const char *what = "";

	if (span_eq(t->processor, SPAN("XML"))) {
		what = "XML parsing error: ";
		read_xml(t, body, limits, &error);
	} else if (span_eq(t->processor, SPAN("JSON"))) {
		what = "JSON parsing error: ";
		/* No body is no document, but no error either. */
		if (body.len)
			read_json(t, body, limits, &error);
	} else if (span_eq(t->processor, SPAN("MULTIPART"))) {
		what = "Multipart parsing error: ";
		read_multipart(t, body, limits, &error);
	} else if (span_eq(t->processor, SPAN("URLENCODED"))) {
		read_form(t, body, limits, &error);
	}
	set_error(t, what, &error);
	if (body.len && has_raw_body(t)) {
		value_set(t, VAR_REQUEST_BODY, body);
		value_set_number(t, VAR_REQUEST_BODY_LENGTH, body.len);
	}
}
