#include "config/tree.h"

#include <yaml.h>

#include "base/map.h"
#include "config/problem.h"

struct tree_parser {
	yaml_parser_t yaml;
	struct arena *arena;
	struct span text;
	const char *file;
	const struct config_source *source;
	struct config_problems *problems;
	struct map anchors;
	size_t weight;
};

static struct config_where where_of(const struct tree_parser *p, yaml_mark_t mark)
{
	return (struct config_where){p->file, (uint32_t)mark.line + 1,
				     (uint32_t)mark.column + 1};
}

/* Reports and returns NULL, so that a failure path reads `return refuse(...)`. */
static void *refuse(struct tree_parser *p, yaml_mark_t mark, const char *message)
{
	problem_add(p->problems, CONFIG_ERROR, where_of(p, mark), "%s", message);
	return NULL;
}

/* libyaml says of bytes that are no UTF-8 only how many come before them. */
static struct config_where where_of_byte(const struct tree_parser *p, size_t offset)
{
	struct config_where where = {p->file, 1, 1};

	for (size_t i = 0; i < offset && i < p->text.len; i++) {
		where.column++;
		if (p->text.ptr[i] != '\n')
			continue;
		where.line++;
		where.column = 1;
	}
	return where;
}

static bool next_event(struct tree_parser *p, yaml_event_t *event)
{
	yaml_mark_t mark;
	const char *problem;

	if (yaml_parser_parse(&p->yaml, event))
		return true;
	problem = p->yaml.problem ? p->yaml.problem : "unreadable";
	switch (p->yaml.error) {
	case YAML_MEMORY_ERROR: refuse(p, (yaml_mark_t){0, 0, 0}, "out of memory"); break;
	case YAML_READER_ERROR:
		problem_add(p->problems, CONFIG_ERROR, where_of_byte(p, p->yaml.problem_offset),
			    "%s", problem);
		break;
	case YAML_NO_ERROR:
	case YAML_SCANNER_ERROR:
	case YAML_PARSER_ERROR:
	case YAML_COMPOSER_ERROR:
	case YAML_WRITER_ERROR:
	case YAML_EMITTER_ERROR:
		mark = p->yaml.problem_mark;
		if (p->yaml.context)
			problem_add(p->problems, CONFIG_ERROR, where_of(p, mark), "%s (%s)",
				    problem, p->yaml.context);
		else
			refuse(p, mark, problem);
		break;
	}
	return false;
}

/* ---- environment variables ------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* One `${...}` whose inside is `inside`, appended to `out`; a problem marks the node broken. */
static void expand_one(struct tree_parser *p, struct tree_node *node, struct span inside,
		       struct buf *out)
{
	struct config_problems *problems = p->problems;
	char name[PROBLEM_QUOTE_MAX];
	struct span fallback = SPAN_NONE;
	const char *value;
	size_t len = 0;

	while (len < inside.len && is_name_byte(inside.ptr[len]))
		len++;
	if (len < inside.len)
		fallback = span_slice(inside, len, inside.len);
	node->broken = true;
	if (len == 0 || len > PROBLEM_QUOTE_MAX - 4 ||
	    (fallback.ptr && !span_starts_with(fallback, SPAN(":-")))) {
		problem_add(problems, CONFIG_ERROR, node->where,
			    "'${%s}' is neither ${NAME} nor ${NAME:-default}",
			    problem_quote(inside, name));
		return;
	}
	problem_quote(span_slice(inside, 0, len), name);
	value = p->source->variable ? p->source->variable(p->source->context, name) : NULL;
	if (value && (*value || !fallback.ptr)) {
		node->tainted = true;
		buf_append_cstr(out, value);
	} else if (fallback.ptr) {
		buf_append(out, span_slice(fallback, 2, fallback.len));
	} else {
		problem_add(problems, CONFIG_ERROR, node->where,
			    "environment variable %s is not set", name);
		return;
	}
	node->broken = false;
}

/* False when out of memory. A variable that is not set is reported and marks the node broken. */
static bool expand(struct tree_parser *p, struct tree_node *node)
{
	struct span rest = node->text;
	struct buf out;
	bool ok = false;

	if (span_find(rest, SPAN("${")) == rest.len)
		return true;
	buf_init(&out, TREE_BYTES_MAX);
	while (rest.len > 0) {
		size_t at = span_find(rest, SPAN("${"));
		size_t end = span_find_byte(span_slice(rest, at, rest.len), '}') + at;

		if (at > 0 && at < rest.len && rest.ptr[at - 1] == '$') {
			buf_append(&out, span_slice(rest, 0, at - 1));
			buf_append(&out, SPAN("${"));
			rest = span_slice(rest, at + 2, rest.len);
			continue;
		}
		buf_append(&out, span_slice(rest, 0, at));
		if (at == rest.len)
			break;
		if (end == rest.len) {
			problem_add(p->problems, CONFIG_ERROR, node->where,
				    "'${' without '}' (write '$${' for a plain '${')");
			node->broken = true;
			break;
		}
		expand_one(p, node, span_slice(rest, at + 2, end), &out);
		if (node->broken)
			break;
		rest = span_slice(rest, end + 1, rest.len);
	}
	if (!buf_failed(&out)) {
		node->text = arena_dup(p->arena, buf_span(&out));
		ok = node->text.ptr != NULL;
	}
	if (out.ptr)
		secret_wipe(out.ptr, out.len);
	buf_release(&out);
	return ok;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static struct tree_node *parse_node(struct tree_parser *p, yaml_event_t *event, unsigned depth);

static void *out_of_memory(struct tree_parser *p, yaml_mark_t mark)
{
	return refuse(p, mark, "out of memory");
}

static struct tree_node *node_new(struct tree_parser *p, enum tree_kind kind, yaml_mark_t mark)
{
	struct tree_node *node = arena_new(p->arena, struct tree_node);

	if (!node)
		return out_of_memory(p, mark);
	node->kind = kind;
	node->where = where_of(p, mark);
	node->weight = 1;
	if (++p->weight > TREE_NODES_MAX)
		return refuse(p, mark, "the document is too large");
	return node;
}

static struct tree_node *parse_scalar(struct tree_parser *p, const yaml_event_t *event)
{
	struct tree_node *node = node_new(p, TREE_SCALAR, event->start_mark);

	if (!node)
		return NULL;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->text = arena_dup(p->arena,
			       span_of(event->data.scalar.value, event->data.scalar.length));
	if (!node->text.ptr || !expand(p, node))
		return out_of_memory(p, event->start_mark);
	if (!node->broken && memchr(node->text.ptr, 0, node->text.len)) {
		problem_add(p->problems, CONFIG_ERROR, node->where,
			    "a value must not hold NUL");
		node->broken = true;
	}
	return node;
}

static struct tree_node *parse_alias(struct tree_parser *p, const yaml_event_t *event)
{
	struct tree_node *node =
		map_get(&p->anchors, span_cstr((const char *)event->data.alias.anchor));

	if (!node)
		return refuse(p, event->start_mark, "alias of something that is not there yet");
	p->weight += node->weight;
	if (p->weight > TREE_NODES_MAX)
		return refuse(p, event->start_mark,
			      "the document is too large with its aliases written out");
	return node;
}

static struct tree_node *parse_list(struct tree_parser *p, const yaml_event_t *start,
				    unsigned depth)
{
	struct tree_node *list = node_new(p, TREE_LIST, start->start_mark);
	yaml_event_t event;

	while (list) {
		struct tree_node *item;

		if (!next_event(p, &event))
			return NULL;
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return list;
		}
		item = parse_node(p, &event, depth);
		yaml_event_delete(&event);
		if (!item)
			return NULL;
		list->items = arena_grow(p->arena, list->items, list->count, sizeof(item));
		if (!list->items)
			return out_of_memory(p, start->start_mark);
		list->items[list->count++] = item;
		list->weight += item->weight;
	}
	return NULL;
}

static struct span parse_key(struct tree_parser *p, const yaml_event_t *event)
{
	struct span key = SPAN_NONE;

	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.tag ||
	    event->data.scalar.anchor ||
	    memchr(event->data.scalar.value, 0, event->data.scalar.length)) {
		refuse(p, event->start_mark, "a key must be plain text");
		return key;
	}
	key = arena_dup(p->arena, span_of(event->data.scalar.value, event->data.scalar.length));
	if (!key.ptr)
		out_of_memory(p, event->start_mark);
	return key;
}

/* One key and value into `map`; `event` holds the key. False when parsing cannot go on. */
static bool parse_pair(struct tree_parser *p, struct tree_node *map, struct map *seen,
		       yaml_event_t *event, unsigned depth)
{
	char room[PROBLEM_QUOTE_MAX];
	yaml_mark_t mark = event->start_mark;
	struct tree_pair pair = {parse_key(p, event), where_of(p, mark), NULL};
	const struct tree_node *before;
	yaml_event_t value;

	if (!pair.key.ptr || !next_event(p, &value))
		return false;
	pair.value = parse_node(p, &value, depth);
	yaml_event_delete(&value);
	if (!pair.value)
		return false;
	before = map_get(seen, pair.key);
	if (before) {
		problem_add(p->problems, CONFIG_ERROR, pair.where,
			    "key '%s' is there twice (first in line %u)",
			    problem_quote(pair.key, room), before->where.line);
		return true;
	}
	map->pairs = arena_grow(p->arena, map->pairs, map->count, sizeof(pair));
	if (!map->pairs || map_put(seen, pair.key, pair.value) != 0)
		return out_of_memory(p, mark) != NULL;
	map->pairs[map->count++] = pair;
	map->weight += 1 + pair.value->weight;
	return true;
}

static struct tree_node *parse_map(struct tree_parser *p, const yaml_event_t *start,
				   unsigned depth)
{
	struct tree_node *map = node_new(p, TREE_MAP, start->start_mark);
	struct map seen = MAP_INIT;
	yaml_event_t event;
	bool more = map != NULL;

	while (more) {
		if (!next_event(p, &event)) {
			map = NULL;
			break;
		}
		if (event.type == YAML_MAPPING_END_EVENT) {
			more = false;
		} else if (!parse_pair(p, map, &seen, &event, depth)) {
			map = NULL;
			more = false;
		}
		yaml_event_delete(&event);
	}
	map_release(&seen);
	return map;
}

/* Remembers an anchored node under its name; NULL when that fails. */
static struct tree_node *anchor(struct tree_parser *p, const yaml_char_t *name,
				struct tree_node *node, yaml_mark_t mark)
{
	struct span key;

	if (!node || !name)
		return node;
	key = arena_dup(p->arena, span_cstr((const char *)name));
	if (!key.ptr || map_put(&p->anchors, key, node) != 0)
		return out_of_memory(p, mark);
	return node;
}

static struct tree_node *parse_node(struct tree_parser *p, yaml_event_t *event, unsigned depth)
{
	yaml_mark_t mark = event->start_mark;

	if (depth >= TREE_DEPTH_MAX)
		return refuse(p, mark, "nested too deeply");
	if (event->type == YAML_ALIAS_EVENT)
		return parse_alias(p, event);
	if (event->type == YAML_SCALAR_EVENT) {
		if (event->data.scalar.tag)
			return refuse(p, mark, "tags are not supported");
		return anchor(p, event->data.scalar.anchor, parse_scalar(p, event), mark);
	}
	if (event->type == YAML_SEQUENCE_START_EVENT) {
		if (event->data.sequence_start.tag)
			return refuse(p, mark, "tags are not supported");
		return anchor(p, event->data.sequence_start.anchor,
			      parse_list(p, event, depth + 1), mark);
	}
	if (event->type == YAML_MAPPING_START_EVENT) {
		if (event->data.mapping_start.tag)
			return refuse(p, mark, "tags are not supported");
		return anchor(p, event->data.mapping_start.anchor,
			      parse_map(p, event, depth + 1), mark);
	}
	return refuse(p, mark, "a value is missing here");
}

/* ---- documents ------------------------------------------------------------------------------- */

/* Everything between the start of the stream and its end. */
static struct tree_node *parse_stream(struct tree_parser *p)
{
	struct tree_node *root = NULL;
	yaml_event_t event;
	bool end = false, started = false;

	while (!end) {
		bool ok = true;

		if (!next_event(p, &event))
			return NULL;
		if (event.type == YAML_STREAM_END_EVENT) {
			end = true;
		} else if (event.type == YAML_DOCUMENT_START_EVENT) {
			if (started)
				ok = refuse(p, event.start_mark,
					    "a second document: only one is allowed") != NULL;
			started = true;
		} else if (event.type != YAML_STREAM_START_EVENT &&
			   event.type != YAML_DOCUMENT_END_EVENT) {
			root = parse_node(p, &event, 0);
			ok = root != NULL;
		}
		yaml_event_delete(&event);
		if (!ok)
			return NULL;
	}
	if (!root)
		refuse(p, (yaml_mark_t){0, 0, 0}, "the file is empty");
	return root;
}

struct tree_node *tree_parse(struct span text, const char *file,
			     const struct config_source *source, struct arena *arena,
			     struct config_problems *problems)
{
	struct tree_parser p = {.arena = arena,
				.text = text,
				.file = file,
				.source = source,
				.problems = problems,
				.anchors = MAP_INIT};
	struct tree_node *root;

	if (text.len > TREE_BYTES_MAX)
		return refuse(&p, (yaml_mark_t){0, 0, 0}, "the file is larger than 8 MiB");
	if (!yaml_parser_initialize(&p.yaml))
		return out_of_memory(&p, (yaml_mark_t){0, 0, 0});
	yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)(text.ptr ? text.ptr : ""),
				     text.len);
	root = parse_stream(&p);
	yaml_parser_delete(&p.yaml);
	map_release(&p.anchors);
	return root;
}

struct tree_node *tree_get(const struct tree_node *map, const char *key)
{
	struct span name = span_cstr(key);

	for (size_t i = 0; i < map->count && map->kind == TREE_MAP; i++)
		if (span_eq(map->pairs[i].key, name))
			return map->pairs[i].value;
	return NULL;
}

bool tree_is_null(const struct tree_node *node)
{
	return node->kind == TREE_SCALAR && !node->quoted &&
	       (node->text.len == 0 || span_eq(node->text, SPAN("~")) ||
		span_eq(node->text, SPAN("null")));
}
