/* The protocol: requests, notifications and the documents that are open. */
#include <stdio.h>

#include "base/mem.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "supply/lsp.h"
#include "supply/lsp_check.h"
#include "supply/lsp_text.h"

#define ARENA_BYTES_MAX ((size_t)1 << 30)
#define OUTPUT_BYTES_MAX ((size_t)256 << 20)
#define URI_BYTES_MAX 8192
#define CANCELLED_MAX 64
#define ID_BYTES_MAX 128

/* Codes of JSON-RPC and the protocol. */
enum {
	CODE_PARSE = -32700,
	CODE_INVALID_REQUEST = -32600,
	CODE_METHOD = -32601,
	CODE_PARAMS = -32602,
	CODE_NOT_INITIALIZED = -32002,
	CODE_CANCELLED = -32800,
};

struct document {
	struct document *next;
	struct buf uri;
	struct buf text;
	int64_t version;
	int64_t due_ms; /* INT64_MAX: its problems are published */
	bool too_large;
	struct arena arena; /* of its problems */
	struct lsp_problems problems;
};

struct lsp_server {
	struct lsp_options options;
	struct document *documents;
	unsigned document_count;
	struct arena arena; /* of one message */
	struct buf body; /* of the answer that is being written */
	struct buf out;
	struct buf path;
	bool initialized;
	bool shut_down;
	bool utf8;
	bool plain; /* hovers are plain text */
	int exit_status; /* -1: goes on */
	char cancelled[CANCELLED_MAX][ID_BYTES_MAX];
	size_t cancelled_count;
	int64_t now_ms;
};

/* --- Documents. */

static struct document *find(struct lsp_server *s, struct span uri)
{
	for (struct document *d = s->documents; d; d = d->next)
		if (span_eq(buf_span(&d->uri), uri))
			return d;
	return NULL;
}

static void free_document(struct document *d)
{
	buf_release(&d->uri);
	buf_release(&d->text);
	arena_release(&d->arena);
	mem_free(d);
}

static void close_document(struct lsp_server *s, struct span uri)
{
	for (struct document **at = &s->documents; *at; at = &(*at)->next) {
		struct document *d = *at;

		if (!span_eq(buf_span(&d->uri), uri))
			continue;
		*at = d->next;
		s->document_count--;
		free_document(d);
		return;
	}
}

static struct document *open_document(struct lsp_server *s, struct span uri)
{
	struct document *d;

	close_document(s, uri);
	if (s->document_count >= s->options.max_documents)
		return NULL;
	d = mem_zalloc(1, sizeof(*d));
	if (!d)
		return NULL;
	buf_init(&d->uri, URI_BYTES_MAX);
	buf_init(&d->text, s->options.max_text_bytes);
	arena_init(&d->arena, ARENA_BYTES_MAX, (size_t)1 << 14);
	if (buf_append(&d->uri, uri) < 0) {
		free_document(d);
		return NULL;
	}
	d->next = s->documents;
	s->documents = d;
	s->document_count++;
	return d;
}

static void set_text(struct document *d, struct span text)
{
	buf_clear(&d->text);
	d->too_large = buf_append(&d->text, text) < 0;
	if (d->too_large)
		buf_clear(&d->text);
}

/* --- Writing. Each message gets its head when its body is whole. */

static void begin(struct lsp_server *s, struct json_writer *w)
{
	buf_clear(&s->body);
	json_writer_init(w, &s->body);
	json_begin_object(w);
	json_member_string(w, SPAN("jsonrpc"), SPAN("2.0"));
}

static void end(struct lsp_server *s, struct json_writer *w)
{
	json_end_object(w);
	if (buf_failed(&s->body)) {
		s->out.failed = true;
		return;
	}
	buf_printf(&s->out, "Content-Length: %zu\r\n\r\n", s->body.len);
	buf_append(&s->out, buf_span(&s->body));
}

static void put_id(struct json_writer *w, const struct json *id)
{
	json_key(w, SPAN("id"));
	if (id)
		json_put_tree(w, id);
	else
		json_put_null(w);
}

static void fail(struct lsp_server *s, const struct json *id, int code, struct span message)
{
	struct json_writer w;

	begin(s, &w);
	put_id(&w, id);
	json_key(&w, SPAN("error"));
	json_begin_object(&w);
	json_member_int(&w, SPAN("code"), code);
	json_member_string(&w, SPAN("message"), message);
	json_end_object(&w);
	end(s, &w);
}

static void put_position(struct json_writer *w, struct span key, struct lsp_position at)
{
	json_key(w, key);
	json_begin_object(w);
	json_member_int(w, SPAN("line"), at.line);
	json_member_int(w, SPAN("character"), at.character);
	json_end_object(w);
}

/* Problems are of the text as it is: see bring_up_to_date. */
static struct lsp_position place(const struct lsp_server *s, const struct document *d,
				 size_t offset)
{
	return lsp_lines_position(&d->problems.lines, buf_span(&d->text), offset, s->utf8);
}

static void put_range(struct lsp_server *s, struct json_writer *w, const struct document *d,
		      size_t start, size_t stop)
{
	json_key(w, SPAN("range"));
	json_begin_object(w);
	put_position(w, SPAN("start"), place(s, d, start));
	put_position(w, SPAN("end"), place(s, d, stop));
	json_end_object(w);
}

static int severity_number(enum finding_severity severity)
{
	switch (severity) {
	case FINDING_CRITICAL:
	case FINDING_HIGH: return 1;
	case FINDING_MEDIUM: return 2;
	case FINDING_LOW: return 3;
	case FINDING_INFO: break;
	}
	return 4;
}

static void put_diagnostic(struct lsp_server *s, struct json_writer *w,
			   const struct document *d, const struct lsp_problem *p)
{
	json_begin_object(w);
	put_range(s, w, d, p->start, p->end);
	json_member_int(w, SPAN("severity"), severity_number(p->severity));
	json_member_string(w, SPAN("code"), p->code);
	if (p->link.len) {
		json_key(w, SPAN("codeDescription"));
		json_begin_object(w);
		json_member_string(w, SPAN("href"), p->link);
		json_end_object(w);
	}
	json_member_string(w, SPAN("source"), SPAN("sallyport"));
	json_member_string(w, SPAN("message"), p->message);
	json_end_object(w);
}

/* `d` NULL: the document is closed, and its problems go away. */
static void publish(struct lsp_server *s, struct span uri, const struct document *d)
{
	struct json_writer w;

	begin(s, &w);
	json_member_string(&w, SPAN("method"), SPAN("textDocument/publishDiagnostics"));
	json_key(&w, SPAN("params"));
	json_begin_object(&w);
	json_member_string(&w, SPAN("uri"), uri);
	if (d)
		json_member_int(&w, SPAN("version"), d->version);
	json_key(&w, SPAN("diagnostics"));
	json_begin_array(&w);
	for (size_t i = 0; d && i < d->problems.count; i++)
		put_diagnostic(s, &w, d, &d->problems.at[i]);
	json_end_array(&w);
	json_end_object(&w);
	end(s, &w);
}

static void say(struct lsp_server *s, struct span message)
{
	struct json_writer w;

	begin(s, &w);
	json_member_string(&w, SPAN("method"), SPAN("window/logMessage"));
	json_key(&w, SPAN("params"));
	json_begin_object(&w);
	json_member_int(&w, SPAN("type"), 2);
	json_member_string(&w, SPAN("message"), message);
	json_end_object(&w);
	end(s, &w);
}

/* Looks at the text as it is now. */
static void examine(struct lsp_server *s, struct document *d)
{
	d->due_ms = INT64_MAX;
	arena_release(&d->arena);
	arena_init(&d->arena, ARENA_BYTES_MAX, (size_t)1 << 14);
	d->problems = (struct lsp_problems){.arena = &d->arena};
	if (d->too_large)
		say(s, SPAN("a document is too large to be looked at"));
	else if (lsp_uri_path(buf_span(&d->uri), &s->path))
		lsp_check(&d->problems, s->options.db, s->options.checker, buf_span(&s->path),
			  buf_span(&d->text));
	if (d->problems.failed)
		say(s, SPAN("memory ran out: not all problems of a document are told"));
}

/* Requests see the text that they ask about. */
static void bring_up_to_date(struct lsp_server *s, struct document *d)
{
	if (d->due_ms == INT64_MAX)
		return;
	examine(s, d);
	publish(s, buf_span(&d->uri), d);
}

/* --- Reading. */

static struct span text_at(const struct json *object, struct span key)
{
	struct span text = SPAN_NONE;

	(void)json_string(json_get(object, key), &text);
	return text;
}

static const struct json *at_path(const struct json *root, const char *a, const char *b,
				  const char *c)
{
	root = json_get(root, span_cstr(a));
	if (b)
		root = json_get(root, span_cstr(b));
	return c ? json_get(root, span_cstr(c)) : root;
}

static struct document *document_of(struct lsp_server *s, const struct json *params)
{
	return find(s, text_at(json_get(params, SPAN("textDocument")), SPAN("uri")));
}

static bool read_position(const struct json *value, struct lsp_position *at)
{
	int64_t line, character;

	if (!json_int(json_get(value, SPAN("line")), &line) || line < 0 || line > UINT32_MAX ||
	    !json_int(json_get(value, SPAN("character")), &character) || character < 0 ||
	    character > UINT32_MAX)
		return false;
	*at = (struct lsp_position){(uint32_t)line, (uint32_t)character};
	return true;
}

static bool read_range(struct lsp_server *s, const struct document *d, const struct json *value,
		       size_t *start, size_t *stop)
{
	struct lsp_position from, to;

	if (!read_position(json_get(value, SPAN("start")), &from) ||
	    !read_position(json_get(value, SPAN("end")), &to))
		return false;
	*start = lsp_offset(buf_span(&d->text), from, s->utf8);
	*stop = lsp_offset(buf_span(&d->text), to, s->utf8);
	return *start <= *stop;
}

/* --- Notifications about documents. */

static void wait_for_more(struct lsp_server *s, struct document *d)
{
	d->due_ms = s->now_ms + s->options.debounce_ms;
}

static void did_open(struct lsp_server *s, const struct json *params)
{
	const struct json *item = json_get(params, SPAN("textDocument"));
	struct span uri = text_at(item, SPAN("uri")), text = text_at(item, SPAN("text"));
	struct document *d;

	if (!uri.len || !text.ptr)
		return;
	d = open_document(s, uri);
	if (!d) {
		say(s, SPAN("too many documents are open: this one is not looked at"));
		return;
	}
	if (!json_int(json_get(item, SPAN("version")), &d->version))
		d->version = 0;
	set_text(d, text);
	d->due_ms = s->now_ms; /* at once: nobody is typing yet */
}

/* One change: the whole text, or what stands in a range of it. */
static bool change(struct lsp_server *s, struct document *d, const struct json *item)
{
	const struct json *range = json_get(item, SPAN("range"));
	struct span text = text_at(item, SPAN("text"));
	size_t start, stop;
	struct buf changed;

	if (!json_string(json_get(item, SPAN("text")), &text))
		return false;
	if (!range) {
		set_text(d, text);
		return true;
	}
	if (d->too_large || !read_range(s, d, range, &start, &stop))
		return false;
	buf_init(&changed, s->options.max_text_bytes);
	buf_append(&changed, span_slice(buf_span(&d->text), 0, start));
	buf_append(&changed, text);
	buf_append(&changed, span_slice(buf_span(&d->text), stop, d->text.len));
	buf_release(&d->text);
	d->too_large = buf_failed(&changed);
	if (d->too_large)
		buf_release(&changed);
	d->text = changed;
	d->text.failed = false;
	return true;
}

static void did_change(struct lsp_server *s, const struct json *params)
{
	struct document *d = document_of(s, params);
	const struct json *changes = json_get(params, SPAN("contentChanges")), *item;

	if (!d)
		return;
	(void)json_int(at_path(params, "textDocument", "version", NULL), &d->version);
	for (size_t i = 0; (item = json_at(changes, i)); i++)
		if (!change(s, d, item)) {
			say(s, SPAN("a change that cannot be understood"));
			break;
		}
	wait_for_more(s, d);
}

static void did_save(struct lsp_server *s, const struct json *params)
{
	struct document *d = document_of(s, params);
	struct span text = text_at(params, SPAN("text"));

	if (!d)
		return;
	if (text.ptr)
		set_text(d, text);
	d->due_ms = s->now_ms;
}

static void did_close(struct lsp_server *s, const struct json *params)
{
	struct span uri = text_at(json_get(params, SPAN("textDocument")), SPAN("uri"));

	if (!find(s, uri))
		return;
	close_document(s, uri);
	publish(s, uri, NULL);
}

/* --- Requests. */

static bool lists(const struct json *array, const char *word)
{
	for (size_t i = 0; json_at(array, i); i++)
		if (json_is(json_at(array, i), span_cstr(word)))
			return true;
	return false;
}

static void put_capabilities(struct lsp_server *s, struct json_writer *w)
{
	json_key(w, SPAN("capabilities"));
	json_begin_object(w);
	json_member_string(w, SPAN("positionEncoding"),
			   s->utf8 ? SPAN("utf-8") : SPAN("utf-16"));
	json_key(w, SPAN("textDocumentSync"));
	json_begin_object(w);
	json_member_bool(w, SPAN("openClose"), true);
	json_member_int(w, SPAN("change"), 2); /* incremental; whole texts are taken too */
	json_key(w, SPAN("save"));
	json_begin_object(w);
	json_member_bool(w, SPAN("includeText"), false);
	json_end_object(w);
	json_end_object(w);
	json_member_bool(w, SPAN("hoverProvider"), true);
	json_key(w, SPAN("codeActionProvider"));
	json_begin_object(w);
	json_key(w, SPAN("codeActionKinds"));
	json_begin_array(w);
	json_put_string(w, SPAN("quickfix"));
	json_end_array(w);
	json_end_object(w);
	json_end_object(w);
}

static void initialize(struct lsp_server *s, const struct json *id, const struct json *params)
{
	const struct json *client = json_get(params, SPAN("capabilities"));
	const struct json *formats =
		at_path(json_get(client, SPAN("textDocument")), "hover", "contentFormat", NULL);
	struct json_writer w;

	s->utf8 = lists(at_path(client, "general", "positionEncodings", NULL), "utf-8");
	s->plain = formats && !lists(formats, "markdown");
	s->initialized = true;
	begin(s, &w);
	put_id(&w, id);
	json_key(&w, SPAN("result"));
	json_begin_object(&w);
	put_capabilities(s, &w);
	json_key(&w, SPAN("serverInfo"));
	json_begin_object(&w);
	json_member_string(&w, SPAN("name"), SPAN("sallyport"));
	json_member_string(&w, SPAN("version"), s->options.version);
	json_end_object(&w);
	json_end_object(&w);
	end(s, &w);
}

static void hover(struct lsp_server *s, const struct json *id, const struct json *params)
{
	struct document *d = document_of(s, params);
	struct lsp_position at;
	struct json_writer w;
	struct buf text;

	if (!d || !read_position(json_get(params, SPAN("position")), &at)) {
		fail(s, id, CODE_PARAMS, SPAN("no such document or position"));
		return;
	}
	bring_up_to_date(s, d);
	buf_init(&text, OUTPUT_BYTES_MAX);
	for (size_t i = 0; i < d->problems.count; i++) {
		const struct lsp_problem *p = &d->problems.at[i];
		uint32_t line = place(s, d, p->start).line, last = place(s, d, p->end).line;

		if (at.line < line || at.line > last)
			continue;
		if (text.len)
			buf_append_cstr(&text, "\n\n---\n\n");
		buf_append(&text, p->detail);
	}
	begin(s, &w);
	put_id(&w, id);
	json_key(&w, SPAN("result"));
	if (text.len) {
		json_begin_object(&w);
		json_key(&w, SPAN("contents"));
		json_begin_object(&w);
		json_member_string(&w, SPAN("kind"),
				   s->plain ? SPAN("plaintext") : SPAN("markdown"));
		json_member_string(&w, SPAN("value"), buf_span(&text));
		json_end_object(&w);
		json_end_object(&w);
	} else {
		json_put_null(&w);
	}
	end(s, &w);
	buf_release(&text);
}

static void put_action(struct lsp_server *s, struct json_writer *w, const struct document *d,
		       const struct lsp_problem *p)
{
	json_begin_object(w);
	json_member_string(w, SPAN("title"), p->edit.title);
	json_member_string(w, SPAN("kind"), SPAN("quickfix"));
	json_member_bool(w, SPAN("isPreferred"), true);
	json_key(w, SPAN("diagnostics"));
	json_begin_array(w);
	put_diagnostic(s, w, d, p);
	json_end_array(w);
	json_key(w, SPAN("edit"));
	json_begin_object(w);
	json_key(w, SPAN("changes"));
	json_begin_object(w);
	json_key(w, buf_span(&d->uri));
	json_begin_array(w);
	json_begin_object(w);
	put_range(s, w, d, p->edit.start, p->edit.end);
	json_member_string(w, SPAN("newText"), p->edit.text);
	json_end_object(w);
	json_end_array(w);
	json_end_object(w);
	json_end_object(w);
	json_end_object(w);
}

/* Kinds are a hierarchy: "quickfix" is asked for, or "", which has all below it. */
static bool wants_fixes(const struct json *params)
{
	const struct json *only = at_path(params, "context", "only", NULL);

	return !only || lists(only, "quickfix") || lists(only, "");
}

static void code_action(struct lsp_server *s, const struct json *id, const struct json *params)
{
	struct document *d = document_of(s, params);
	struct json_writer w;
	size_t start, stop;

	if (!d || !read_range(s, d, json_get(params, SPAN("range")), &start, &stop)) {
		fail(s, id, CODE_PARAMS, SPAN("no such document or range"));
		return;
	}
	bring_up_to_date(s, d);
	begin(s, &w);
	put_id(&w, id);
	json_key(&w, SPAN("result"));
	json_begin_array(&w);
	for (size_t i = 0; wants_fixes(params) && i < d->problems.count; i++) {
		const struct lsp_problem *p = &d->problems.at[i];
		size_t line = p->start, length;

		/* Anywhere in the line will do. */
		(void)lsp_lines_get(&d->problems.lines, buf_span(&d->text),
				    place(s, d, p->start).line, &line, &length);
		if (p->has_edit && line <= stop && start <= p->end)
			put_action(s, &w, d, p);
	}
	json_end_array(&w);
	end(s, &w);
}

static void shut_down(struct lsp_server *s, const struct json *id)
{
	struct json_writer w;

	s->shut_down = true;
	begin(s, &w);
	put_id(&w, id);
	json_key(&w, SPAN("result"));
	json_put_null(&w);
	end(s, &w);
}

/* --- Which is which. */

static void notification(struct lsp_server *s, struct span method, const struct json *params)
{
	static const struct {
		struct span method;
		void (*take)(struct lsp_server *s, const struct json *params);
	} known[] = {
		{SPAN_INIT("textDocument/didOpen"), did_open},
		{SPAN_INIT("textDocument/didChange"), did_change},
		{SPAN_INIT("textDocument/didSave"), did_save},
		{SPAN_INIT("textDocument/didClose"), did_close},
	};

	if (span_eq(method, SPAN("exit"))) {
		s->exit_status = s->shut_down ? 0 : 1;
		return;
	}
	/* Before "initialize" and after "shutdown" only "exit" is listened to. */
	if (!s->initialized || s->shut_down)
		return;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (span_eq(method, known[i].method))
			known[i].take(s, params);
}

static struct span id_text(struct lsp_server *s, const struct json *id, char to[ID_BYTES_MAX])
{
	struct json_writer w;

	buf_clear(&s->body);
	json_writer_init(&w, &s->body);
	if (id)
		json_put_tree(&w, id);
	if (s->body.len == 0 || s->body.len >= ID_BYTES_MAX)
		return SPAN_NONE;
	memcpy(to, s->body.ptr, s->body.len);
	to[s->body.len] = '\0';
	return span_of(to, s->body.len);
}

static bool is_cancelled(struct lsp_server *s, const struct json *id)
{
	char text[ID_BYTES_MAX];
	struct span wanted = id_text(s, id, text);

	for (size_t i = 0; wanted.ptr && i < s->cancelled_count; i++)
		if (span_eq(span_cstr(s->cancelled[i]), wanted)) {
			s->cancelled_count--;
			memmove(s->cancelled[i], s->cancelled[s->cancelled_count],
				ID_BYTES_MAX);
			return true;
		}
	return false;
}

static void request(struct lsp_server *s, const struct json *id, struct span method,
		    const struct json *params)
{
	if (is_cancelled(s, id))
		fail(s, id, CODE_CANCELLED, SPAN("cancelled"));
	else if (s->shut_down)
		fail(s, id, CODE_INVALID_REQUEST, SPAN("the server is shut down"));
	else if (span_eq(method, SPAN("initialize")) && !s->initialized)
		initialize(s, id, params);
	else if (!s->initialized)
		fail(s, id, CODE_NOT_INITIALIZED, SPAN("\"initialize\" comes first"));
	else if (span_eq(method, SPAN("initialize")))
		fail(s, id, CODE_INVALID_REQUEST, SPAN("\"initialize\" comes once"));
	else if (span_eq(method, SPAN("shutdown")))
		shut_down(s, id);
	else if (span_eq(method, SPAN("textDocument/hover")))
		hover(s, id, params);
	else if (span_eq(method, SPAN("textDocument/codeAction")))
		code_action(s, id, params);
	else
		fail(s, id, CODE_METHOD, SPAN("no such method"));
}

static const struct json *parse(struct lsp_server *s, struct span content)
{
	const struct json_limits limits = {.max_depth = 128,
					   .max_string_bytes = s->options.max_message_bytes,
					   .max_number_bytes = 64};

	return json_parse(&s->arena, content, &limits, NULL);
}

static bool is_id(const struct json *id)
{
	return id && (id->type == JSON_STRING || id->type == JSON_NUMBER);
}

int lsp_server_take(struct lsp_server *s, struct span content, int64_t now_ms, struct err *err)
{
	const struct json *message, *id;
	struct span method;

	s->now_ms = now_ms;
	arena_reset(&s->arena);
	message = parse(s, content);
	id = json_get(message, SPAN("id"));
	method = text_at(message, SPAN("method"));
	if (!message)
		fail(s, NULL, CODE_PARSE, SPAN("not JSON"));
	else if (id && !is_id(id))
		fail(s, NULL, CODE_INVALID_REQUEST, SPAN("an id is a number or a string"));
	else if (!method.ptr && !id)
		fail(s, NULL, CODE_INVALID_REQUEST, SPAN("neither a request nor an answer"));
	else if (method.ptr && id)
		request(s, id, method, json_get(message, SPAN("params")));
	else if (method.ptr)
		notification(s, method, json_get(message, SPAN("params")));
	/* Answers to requests of ours: there are none. */
	return s->out.failed ? err_set(err, ERR_MEMORY, "an answer does not fit into memory")
			     : 0;
}

void lsp_server_cancel(struct lsp_server *s, struct span content)
{
	const struct json *message, *id;

	/* Most messages are none, and texts may be long. */
	if (content.len > 1024 || span_find(content, SPAN("$/cancelRequest")) == content.len)
		return;
	arena_reset(&s->arena);
	message = parse(s, content);
	id = at_path(message, "params", "id", NULL);
	if (!json_is(json_get(message, SPAN("method")), SPAN("$/cancelRequest")) ||
	    !is_id(id) || s->cancelled_count == CANCELLED_MAX)
		return;
	if (id_text(s, id, s->cancelled[s->cancelled_count]).ptr)
		s->cancelled_count++;
}

int64_t lsp_server_tick(struct lsp_server *s, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	for (struct document *d = s->documents; d; d = d->next) {
		if (d->due_ms <= now_ms)
			bring_up_to_date(s, d);
		if (d->due_ms < next)
			next = d->due_ms;
	}
	return next;
}

struct buf *lsp_server_output(struct lsp_server *s)
{
	return &s->out;
}

int lsp_server_exit(const struct lsp_server *s)
{
	return s->exit_status;
}

struct lsp_server *lsp_server_new(const struct lsp_options *options)
{
	struct lsp_server *s = mem_zalloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->options = *options;
	s->exit_status = -1;
	arena_init(&s->arena, ARENA_BYTES_MAX, (size_t)1 << 16);
	buf_init(&s->body, OUTPUT_BYTES_MAX);
	buf_init(&s->out, OUTPUT_BYTES_MAX);
	buf_init(&s->path, URI_BYTES_MAX);
	return s;
}

void lsp_server_free(struct lsp_server *s)
{
	if (!s)
		return;
	while (s->documents) {
		struct document *next = s->documents->next;

		free_document(s->documents);
		s->documents = next;
	}
	arena_release(&s->arena);
	buf_release(&s->body);
	buf_release(&s->out);
	buf_release(&s->path);
	mem_free(s);
}
