#include <yaml.h>

#include "base/map.h"
#include "supply/lock_parse.h"

/* With every alias written out: what "billion laughs" would grow to. */
#define NODES_MAX ((size_t)8 << 20)

struct frame {
	struct node *node;
	size_t weight_before; /* of all, when it began */
	struct span key; /* the one that waits for its value */
	uint32_t key_line;
	bool has_key;
	bool anchored;
	struct span anchor;
};

struct anchor {
	const struct node *node;
	size_t weight;
};

struct reader {
	struct arena *arena;
	struct err *err;
	struct map anchors;
	struct node *root;
	size_t weight;
	unsigned depth;
	struct frame open[NODE_DEPTH_MAX];
};

static int out_of_memory(struct reader *r)
{
	return err_set(r->err, ERR_MEMORY, "the document does not fit into memory");
}

/* The innermost map or list that is open, when it is a map; else NULL. */
static struct frame *open_map(struct reader *r)
{
	struct frame *top = r->depth ? &r->open[r->depth - 1] : NULL;

	return top && node_is(top->node, NODE_MAP) ? top : NULL;
}

/* Adds a node where the grammar is; NULL with the error set. */
static struct node *add(struct reader *r, enum node_kind kind, uint32_t line)
{
	struct frame *map = open_map(r);
	struct node *n = node_add(r->arena, r->depth ? r->open[r->depth - 1].node : NULL, kind,
				  map ? map->key : SPAN(""), map ? map->key_line : line);

	if (!n) {
		(void)out_of_memory(r);
		return NULL;
	}
	if (!r->root)
		r->root = n;
	if (map)
		map->has_key = false;
	r->weight++;
	return n;
}

static int remember(struct reader *r, struct span anchor, const struct node *n, size_t weight)
{
	struct anchor *a = arena_new(r->arena, struct anchor);

	if (!a || !anchor.ptr)
		return out_of_memory(r);
	*a = (struct anchor){n, weight};
	return map_put(&r->anchors, anchor, a) < 0 ? out_of_memory(r) : 0;
}

static bool is_any(struct span s, const char *const *words)
{
	for (; *words; words++) {
		if (span_eq(s, span_cstr(*words)))
			return true;
	}
	return false;
}

/* YAML 1.2's core schema, as far as lock files need it: versions stay text. */
static enum node_kind plain_kind(struct span text, bool *boolean)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};

	*boolean = is_any(text, trues);
	if (*boolean || is_any(text, falses))
		return NODE_BOOL;
	if (is_any(text, nulls))
		return NODE_NULL;
	return NODE_STRING;
}

static int take_scalar(struct reader *r, const yaml_event_t *e)
{
	struct frame *map = open_map(r);
	struct span text = span_of(e->data.scalar.value, e->data.scalar.length);
	uint32_t line = (uint32_t)e->start_mark.line + 1;
	enum node_kind kind = NODE_STRING;
	bool boolean = false;
	struct node *n;

	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		kind = plain_kind(text, &boolean);
	if (map && !map->has_key) {
		map->key = text.len ? arena_dup(r->arena, text) : SPAN("");
		map->key_line = line;
		map->has_key = true;
		return map->key.ptr ? 0 : out_of_memory(r);
	}
	n = add(r, kind, line);
	if (!n)
		return -1;
	if (kind == NODE_BOOL)
		n->boolean = boolean;
	if (kind == NODE_STRING) {
		n->text = text.len ? arena_dup(r->arena, text) : SPAN("");
		if (!n->text.ptr)
			return out_of_memory(r);
	}
	if (e->data.scalar.anchor)
		return remember(
			r, arena_dup(r->arena, span_cstr((const char *)e->data.scalar.anchor)),
			n, 1);
	return 0;
}

static int take_begin(struct reader *r, const yaml_event_t *e, enum node_kind kind,
		      const yaml_char_t *anchor)
{
	const struct frame *map = open_map(r);
	uint32_t line = (uint32_t)e->start_mark.line + 1;
	size_t before = r->weight;
	struct frame *f;
	struct node *n;

	if (map && !map->has_key)
		return err_set(r->err, ERR_SYNTAX, "line %u: a key that is not text", line);
	if (r->depth == NODE_DEPTH_MAX)
		return err_set(r->err, ERR_LIMIT, "line %u: nested too deeply", line);
	n = add(r, kind, line);
	if (!n)
		return -1;
	f = &r->open[r->depth++];
	*f = (struct frame){.node = n, .weight_before = before, .anchored = anchor != NULL};
	if (anchor)
		f->anchor = arena_dup(r->arena, span_cstr((const char *)anchor));
	return 0;
}

static int take_end(struct reader *r)
{
	struct frame *f = &r->open[--r->depth];

	if (f->anchored)
		return remember(r, f->anchor, f->node, r->weight - f->weight_before);
	return 0;
}

static int take_alias(struct reader *r, const yaml_event_t *e)
{
	const struct frame *map = open_map(r);
	struct span name = span_cstr((const char *)e->data.alias.anchor);
	const struct anchor *a = map_get(&r->anchors, name);
	uint32_t line = (uint32_t)e->start_mark.line + 1;
	struct node *n;

	if (!a)
		return err_set(r->err, ERR_SYNTAX, "line %u: an alias without its anchor",
			       line);
	if (map && !map->has_key)
		return err_set(r->err, ERR_SYNTAX, "line %u: an alias as a key", line);
	r->weight += a->weight;
	if (r->weight > NODES_MAX)
		return err_set(r->err, ERR_LIMIT, "line %u: aliases make it too large", line);
	n = add(r, a->node->kind, line);
	if (!n)
		return -1;
	n->boolean = a->node->boolean;
	n->count = a->node->count;
	if (node_is(n, NODE_LIST) || node_is(n, NODE_MAP)) {
		n->first = a->node->first;
		n->last = a->node->last;
	} else {
		n->text = a->node->text;
	}
	return 0;
}

static int take(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT: return take_scalar(r, e);
	case YAML_MAPPING_START_EVENT:
		return take_begin(r, e, NODE_MAP, e->data.mapping_start.anchor);
	case YAML_SEQUENCE_START_EVENT:
		return take_begin(r, e, NODE_LIST, e->data.sequence_start.anchor);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT: return take_end(r);
	case YAML_ALIAS_EVENT: return take_alias(r, e);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT: break;
	}
	return 0;
}

static int read_events(struct reader *r, yaml_parser_t *parser)
{
	for (;;) {
		yaml_event_type_t type;
		yaml_event_t e;
		int result;

		if (!yaml_parser_parse(parser, &e)) {
			if (parser->error == YAML_MEMORY_ERROR)
				return out_of_memory(r);
			return err_set(r->err, ERR_SYNTAX, "line %zu: not YAML: %s",
				       parser->problem_mark.line + 1,
				       parser->problem ? parser->problem : "unreadable");
		}
		result = take(r, &e);
		type = e.type;
		yaml_event_delete(&e);
		if (result < 0)
			return -1;
		/* Of several documents, the first is the one that counts. */
		if (type == YAML_STREAM_END_EVENT || type == YAML_DOCUMENT_END_EVENT)
			return 0;
	}
}

struct node *lock_parse_yaml(struct arena *a, struct span text, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .anchors = MAP_INIT};
	yaml_parser_t parser;
	int result;

	if (!yaml_parser_initialize(&parser)) {
		(void)out_of_memory(&r);
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.len ? text.ptr : ""),
				     text.len);
	result = read_events(&r, &parser);
	yaml_parser_delete(&parser);
	map_release(&r.anchors);
	if (result < 0)
		return NULL;
	if (!r.root)
		r.root = node_add(a, NULL, NODE_NULL, SPAN(""), 1);
	if (!r.root)
		(void)out_of_memory(&r);
	return r.root;
}
