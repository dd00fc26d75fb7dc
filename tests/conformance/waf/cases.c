#include "tests/conformance/waf/cases.h"

#include <dirent.h>
#include <errno.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "parse/base64.h"

#define FILE_MAX ((size_t)32 << 20)
#define ARENA_MAX ((size_t)2 << 30)

void case_list_init(struct case_list *list)
{
	*list = (struct case_list){.at = NULL};
	arena_init(&list->arena, ARENA_MAX, (size_t)1 << 20);
}

void case_list_release(struct case_list *list)
{
	mem_free(list->at);
	arena_release(&list->arena);
}

struct request_case *case_list_new(struct case_list *list)
{
	struct request_case *c;

	if (list->count == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 1024;
		struct request_case **grown = mem_realloc(list->at, cap * sizeof(*grown));

		if (!grown)
			return NULL;
		list->at = grown;
		list->cap = cap;
	}
	c = arena_new(&list->arena, struct request_case);
	if (c)
		list->at[list->count++] = c;
	return c;
}

void case_add_header(struct request_case *c, struct span name, struct span value)
{
	if (c->header_count < CASE_HEADERS_MAX)
		c->headers[c->header_count++] = (struct case_header){name, value};
}

struct span case_header(const struct request_case *c, struct span name)
{
	for (size_t i = 0; i < c->header_count; i++)
		if (span_eq_nocase(c->headers[i].name, name))
			return c->headers[i].value;
	return SPAN_NONE;
}

static int read_file(struct arena *arena, const char *path, struct span *content,
		     struct err *err)
{
	FILE *file = fopen(path, "rb");
	struct buf all;
	char piece[65536];
	size_t got;

	if (!file)
		return err_set_errno(err, errno, "cannot open %s", path);
	buf_init(&all, FILE_MAX);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		(void)buf_append_bytes(&all, piece, got);
	(void)fclose(file);
	*content = buf_failed(&all) ? SPAN_NONE : arena_dup(arena, buf_span(&all));
	buf_release(&all);
	return content->ptr ? 0 : err_set(err, ERR_MEMORY, "no memory for %s", path);
}

/* ---- YAML ------------------------------------------------------------------------------------ */

struct reader {
	yaml_document_t document;
	struct case_list *list;
};

static struct span text_of(struct reader *r, const yaml_node_t *node)
{
	if (!node || node->type != YAML_SCALAR_NODE)
		return SPAN_NONE;
	return arena_dup(&r->list->arena,
			 span_of(node->data.scalar.value, node->data.scalar.length));
}

static yaml_node_t *member(struct reader *r, const yaml_node_t *map, const char *name)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);

		if (span_eq(span_of(key->data.scalar.value, key->data.scalar.length),
			    span_cstr(name)))
			return yaml_document_get_node(&r->document, pair->value);
	}
	return NULL;
}

static struct span or_text(struct span text, const char *otherwise)
{
	return text.ptr ? text : span_cstr(otherwise);
}

/* A list of lines is joined with CRLF. */
static struct span data_of(struct reader *r, const yaml_node_t *node)
{
	struct buf all;
	struct span joined;

	if (!node || node->type != YAML_SEQUENCE_NODE)
		return text_of(r, node);
	buf_init(&all, FILE_MAX);
	for (const yaml_node_item_t *item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++) {
		if (item != node->data.sequence.items.start)
			(void)buf_append_cstr(&all, "\r\n");
		(void)buf_append(&all, text_of(r, yaml_document_get_node(&r->document, *item)));
	}
	joined = arena_dup(&r->list->arena, buf_span(&all));
	buf_release(&all);
	return joined;
}

static void read_headers(struct reader *r, const yaml_node_t *map, struct request_case *c)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return;
	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++)
		case_add_header(
			c, text_of(r, yaml_document_get_node(&r->document, pair->key)),
			or_text(text_of(r, yaml_document_get_node(&r->document, pair->value)),
				""));
}

/* "name: value" lines up to an empty one; the rest is the body. */
static void read_raw(struct request_case *c, struct span raw)
{
	struct span rest = raw;
	struct span line = span_cut(&rest, '\n');
	struct span first = span_trim(line);

	c->method = span_cut(&first, ' ');
	c->target = span_cut(&first, ' ');
	c->protocol = first.ptr ? first : SPAN("HTTP/1.0");
	while (rest.ptr) {
		line = span_trim(span_cut(&rest, '\n'));
		if (line.len == 0)
			break;
		case_add_header(
			c, span_slice(line, 0, span_find_byte(line, ':')),
			span_trim(span_slice(line, span_find_byte(line, ':') + 1, line.len)));
	}
	c->body = rest.ptr ? rest : SPAN("");
}

static struct span decode_base64(struct reader *r, struct span text)
{
	char *bytes = arena_alloc(&r->list->arena, base64_decoded_max(text.len) + 1);
	size_t len;

	if (!bytes || !base64_decode(bytes, &len, text))
		return SPAN_NONE;
	return span_of(bytes, len);
}

static uint32_t first_number(struct span text)
{
	uint32_t number = 0;
	size_t i = 0;

	while (i < text.len && (text.ptr[i] < '0' || text.ptr[i] > '9'))
		i++;
	for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
		number = number * 10 + (uint32_t)(text.ptr[i] - '0');
	return number;
}

static void read_expectation(struct reader *r, const yaml_node_t *output,
			     struct request_case *c)
{
	struct span yes = text_of(r, member(r, output, "log_contains"));
	struct span no = text_of(r, member(r, output, "no_log_contains"));

	c->expect = CASE_EXPECTS_REFUSAL;
	if (yes.ptr) {
		c->expect = CASE_EXPECTS_RULE;
		c->rule = first_number(yes);
	} else if (no.ptr) {
		c->expect = CASE_EXPECTS_NO_RULE;
		c->rule = first_number(no);
	}
}

static bool is_true(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE && node->data.scalar.length == 4;
}

/* What the test tool adds to a request, unless stop_magic is set. */
static void add_usual(struct reader *r, struct request_case *c)
{
	if (c->body.len == 0)
		return;
	if (!case_header(c, SPAN("Content-Type")).ptr)
		case_add_header(c, SPAN("Content-Type"),
				SPAN("application/x-www-form-urlencoded"));
	if (!case_header(c, SPAN("Content-Length")).ptr)
		case_add_header(c, SPAN("Content-Length"),
				arena_printf(&r->list->arena, "%zu", c->body.len));
}

static int read_stage(struct reader *r, const yaml_node_t *stage, struct span title)
{
	const yaml_node_t *input = member(r, stage, "input");
	struct request_case *c = case_list_new(r->list);
	struct span encoded = text_of(r, member(r, input, "encoded_request"));
	struct span raw = text_of(r, member(r, input, "raw_request"));

	if (!c)
		return -1;
	c->title = title;
	read_expectation(r, member(r, stage, "output"), c);
	if (encoded.ptr)
		raw = decode_base64(r, encoded);
	if (raw.ptr) {
		read_raw(c, raw);
		return 0;
	}
	c->method = or_text(text_of(r, member(r, input, "method")), "GET");
	c->target = or_text(text_of(r, member(r, input, "uri")), "/");
	c->protocol = or_text(text_of(r, member(r, input, "version")), "HTTP/1.1");
	read_headers(r, member(r, input, "headers"), c);
	c->body = or_text(data_of(r, member(r, input, "data")), "");
	if (!is_true(member(r, input, "stop_magic")))
		add_usual(r, c);
	return 0;
}

static yaml_node_t *item_at(struct reader *r, const yaml_node_t *list, size_t index)
{
	if (!list || list->type != YAML_SEQUENCE_NODE ||
	    index >= (size_t)(list->data.sequence.items.top - list->data.sequence.items.start))
		return NULL;
	return yaml_document_get_node(&r->document, list->data.sequence.items.start[index]);
}

static int read_tests(struct reader *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(&r->document);
	const yaml_node_t *tests = member(r, root, "tests");
	const yaml_node_t *test;

	for (size_t i = 0; (test = item_at(r, tests, i)); i++) {
		struct span title = text_of(r, member(r, test, "test_title"));
		const yaml_node_t *stages = member(r, test, "stages");
		const yaml_node_t *stage;

		for (size_t k = 0; (stage = item_at(r, stages, k)); k++)
			if (read_stage(r, member(r, stage, "stage"), title) != 0)
				return -1;
	}
	return 0;
}

static int read_yaml(struct case_list *list, const char *path, struct err *err)
{
	struct reader reader = {.list = list};
	struct span content;
	yaml_parser_t parser;
	int result = 0;

	if (read_file(&list->arena, path, &content, err) != 0)
		return -1;
	if (!yaml_parser_initialize(&parser))
		return err_set(err, ERR_MEMORY, "no memory for a parser");
	yaml_parser_set_input_string(&parser, (const unsigned char *)content.ptr, content.len);
	if (!yaml_parser_load(&parser, &reader.document)) {
		result = err_set(err, ERR_SYNTAX, "%s: %s", path, parser.problem);
	} else {
		if (read_tests(&reader) != 0)
			result = err_set(err, ERR_MEMORY, "no memory for requests");
		yaml_document_delete(&reader.document);
	}
	yaml_parser_delete(&parser);
	return result;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return span_compare(span_cstr((*a)->d_name), span_cstr((*b)->d_name));
}

static int read_below(struct case_list *list, const char *folder, struct err *err)
{
	struct dirent **names;
	int count = scandir(folder, &names, NULL, by_name);
	int result = 0;

	if (count < 0)
		return err_set_errno(err, errno, "cannot open %s", folder);
	for (int i = 0; i < count; i++) {
		struct span name = span_cstr(names[i]->d_name);
		struct span path =
			arena_printf(&list->arena, "%s/%s", folder, names[i]->d_name);

		if (result == 0 && path.ptr && name.ptr[0] != '.') {
			if (span_ends_with(name, SPAN(".yaml")))
				result = read_yaml(list, path.ptr, err);
			else if (names[i]->d_type == DT_DIR)
				result = read_below(list, path.ptr, err);
		}
		free(names[i]); /* NOLINT: scandir's */
	}
	free(names); /* NOLINT: scandir's */
	return result;
}

int cases_read_crs(struct case_list *list, const char *folder, struct err *err)
{
	return read_below(list, folder, err);
}

/* ---- labelled values -------------------------------------------------------------------------- */

static const char *const label_names[VALUE_LABELS] = {"norm", "sqli", "xss", "cmdi",
						      "path-traversal"};

const char *value_label_name(enum value_label label)
{
	return label_names[label];
}

/* One field of a CSV line: in quotes, with "" for a quote. */
static bool csv_field(struct arena *arena, struct span *rest, struct span *field)
{
	char *out;
	size_t len = 0;
	size_t i = 0;

	if (rest->len == 0)
		return false;
	if (rest->ptr[0] != '"') {
		size_t end = 0;

		while (end < rest->len && rest->ptr[end] != ',' && rest->ptr[end] != '\n')
			end++;
		*field = span_slice(*rest, 0, end);
		*rest = span_slice(*rest, end, rest->len);
		return true;
	}
	for (i = 1; i < rest->len &&
		    (rest->ptr[i] != '"' || (i + 1 < rest->len && rest->ptr[i + 1] == '"'));
	     i++)
		i += rest->ptr[i] == '"';
	out = arena_alloc(arena, i + 1);
	if (!out)
		return false;
	for (size_t k = 1; k < i; k++) {
		out[len++] = rest->ptr[k];
		k += rest->ptr[k] == '"';
	}
	*field = span_of(out, len);
	*rest = span_slice(*rest, i + 1, rest->len);
	return true;
}

static bool csv_record(struct arena *arena, struct span *rest, struct span fields[4])
{
	for (int i = 0; i < 4; i++) {
		if (!csv_field(arena, rest, &fields[i]))
			return false;
		if (rest->len && rest->ptr[0] == ',')
			*rest = span_slice(*rest, 1, rest->len);
	}
	while (rest->len && (rest->ptr[0] == '\n' || rest->ptr[0] == '\r'))
		*rest = span_slice(*rest, 1, rest->len);
	return true;
}

int cases_read_values(struct arena *arena, const char *path, struct labelled_value **values,
		      size_t *count, struct err *err)
{
	struct span content;
	struct span fields[4];
	size_t cap = 0;

	if (read_file(arena, path, &content, err) != 0)
		return -1;
	for (size_t i = 0; i < content.len; i++)
		cap += content.ptr[i] == '\n';
	*values = arena_array(arena, struct labelled_value, cap + 1);
	*count = 0;
	if (!*values)
		return err_set(err, ERR_MEMORY, "no memory for values");
	while (csv_record(arena, &content, fields)) {
		for (unsigned i = 0; i < VALUE_LABELS; i++)
			if (span_eq(fields[2], span_cstr(label_names[i])))
				(*values)[(*count)++] =
					(struct labelled_value){fields[0], (enum value_label)i};
	}
	return 0;
}

/* ---- requests with a value ---------------------------------------------------------------------- */

static struct span percent_encode(struct arena *arena, struct span value)
{
	char *out = arena_alloc(arena, 3 * value.len + 1);
	size_t len = 0;

	if (!out)
		return SPAN_NONE;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if ((c >= '0' && c <= '9') ||
		    (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' || c == '_' ||
		    c == '.') {
			out[len++] = c;
		} else {
			out[len++] = '%';
			hex_encode(out + len, &c, 1);
			len += 2;
		}
	}
	return span_of(out, len);
}

static struct span json_body(struct arena *arena, struct span value)
{
	struct buf text;
	struct span body;

	buf_init(&text, FILE_MAX);
	(void)buf_append_cstr(&text, "{\"id\":7,\"q\":\"");
	(void)buf_append_json(&text, value);
	(void)buf_append_cstr(&text, "\",\"tags\":[\"new\",\"blue\"]}");
	body = arena_dup(arena, buf_span(&text));
	buf_release(&text);
	return body;
}

/* Bytes that cannot be in a field value are left out. */
static struct span field_value(struct arena *arena, struct span value)
{
	char *out = arena_alloc(arena, value.len + 1);
	size_t len = 0;

	if (!out)
		return SPAN_NONE;
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] >= 0x20)
			out[len++] = value.ptr[i];
	return span_trim(span_of(out, len));
}

static void ordinary_headers(struct request_case *c)
{
	case_add_header(c, SPAN("Host"), SPAN("shop.example"));
	case_add_header(c, SPAN("User-Agent"),
			SPAN("Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 "
			     "Firefox/115.0"));
	case_add_header(c, SPAN("Accept"), SPAN("text/html,application/json;q=0.9,*/*;q=0.8"));
	case_add_header(c, SPAN("Accept-Language"), SPAN("en-US,en;q=0.5"));
	case_add_header(c, SPAN("Accept-Encoding"), SPAN("gzip, deflate"));
}

static void set_body(struct arena *arena, struct request_case *c, const char *type,
		     struct span body)
{
	c->method = SPAN("POST");
	c->target = SPAN("/search");
	c->body = body;
	case_add_header(c, SPAN("Content-Type"), span_cstr(type));
	case_add_header(c, SPAN("Content-Length"), arena_printf(arena, "%zu", body.len));
}

struct request_case *case_with_value(struct case_list *list, struct span value,
				     enum value_place place)
{
	struct arena *arena = &list->arena;
	struct request_case *c = case_list_new(list);
	struct span coded = percent_encode(arena, value);

	if (!c || !coded.ptr)
		return NULL;
	c->method = SPAN("GET");
	c->target = SPAN("/search?page=2");
	c->protocol = SPAN("HTTP/1.1");
	c->expect = CASE_EXPECTS_NOTHING;
	c->title = SPAN("value");
	ordinary_headers(c);
	switch (place) {
	case IN_QUERY:
		c->target = arena_printf(arena, "/search?page=2&q=%.*s", SPAN_ARG(coded));
		break;
	case IN_FORM:
		set_body(arena, c, "application/x-www-form-urlencoded",
			 arena_printf(arena, "page=2&q=%.*s", SPAN_ARG(coded)));
		break;
	case IN_JSON: set_body(arena, c, "application/json", json_body(arena, value)); break;
	case IN_HEADER: case_add_header(c, SPAN("Referer"), field_value(arena, value)); break;
	case IN_COOKIE:
		case_add_header(c, SPAN("Cookie"),
				arena_printf(arena, "theme=dark; q=%.*s",
					     SPAN_ARG(field_value(arena, value))));
		break;
	case VALUE_PLACES: break;
	}
	return c;
}
