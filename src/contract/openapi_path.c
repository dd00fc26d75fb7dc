#include "contract/openapi.h"
#include "parse/uri.h"

#define SERVER_VARIABLES_MAX 8

/* ---- templates ------------------------------------------------------------------------------- */

int openapi_path_names(struct openapi_builder *b, const struct openapi_node *node,
		       struct span template, struct span *names, size_t *count)
{
	struct span rest = template;

	*count = 0;
	while (rest.len > 0) {
		size_t open = span_find_byte(rest, '{');
		size_t close = span_find_byte(rest, '}');
		struct span name = span_slice(rest, open + 1, close);

		if (open == rest.len && close == rest.len)
			return 0;
		if (close == rest.len || close < open || name.len == 0 ||
		    memchr(name.ptr, '{', name.len) || memchr(name.ptr, '/', name.len))
			return openapi_error(b, node, ERR_INVALID,
					     "the braces of the path are not paired");
		if (*count == CONTRACT_PATH_PARAMETERS_MAX)
			return openapi_error(b, node, ERR_LIMIT,
					     "more than %d parameters in a path",
					     CONTRACT_PATH_PARAMETERS_MAX);
		for (size_t i = 0; i < *count; i++)
			if (span_eq(names[i], name))
				return openapi_error(b, node, ERR_INVALID,
						     "the path has \"%.*s\" twice",
						     SPAN_ARG(name));
		names[(*count)++] = name;
		rest = span_slice(rest, close + 1, rest.len);
	}
	return 0;
}

/* A literal of a template in the form that uri_normalize() gives to paths. ptr NULL: no memory. */
static struct span normal_literal(struct openapi_builder *b, struct span text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
				    "6789-._~!$&'()*+,;=:@";
	static const char unreserved[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	struct span result;
	struct buf out;

	buf_init(&out, 3 * text.len + 3);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		size_t len;

		if (c == '%' &&
		    uri_decode(span_slice(text, i, i + 3), false, &c, &len) == URI_OK) {
			i += 2;
			if (c && strchr(unreserved, c)) {
				buf_append_byte(&out, c);
				continue;
			}
		} else if (c && strchr(plain, c)) {
			buf_append_byte(&out, c);
			continue;
		}
		buf_printf(&out, "%%%02X", (unsigned)(unsigned char)c);
	}
	result = buf_failed(&out) ? SPAN_NONE : arena_dup(&b->contract->arena, buf_span(&out));
	buf_release(&out);
	if (!result.ptr)
		(void)openapi_no_memory(b);
	return result;
}

static struct path_node *static_child(struct openapi_builder *b, struct path_node *node,
				      struct span segment)
{
	struct span text = normal_literal(b, segment);
	struct path_node *to;

	if (!text.ptr)
		return NULL;
	for (size_t i = 0; i < node->edge_count; i++)
		if (span_eq(node->edges[i].text, text))
			return node->edges[i].to;
	node->edges = arena_grow(&b->contract->arena, node->edges, node->edge_count,
				 sizeof(*node->edges));
	to = arena_new(&b->contract->arena, struct path_node);
	if (!node->edges || !to) {
		node->edge_count = 0;
		(void)openapi_no_memory(b);
		return NULL;
	}
	node->edges[node->edge_count++] = (struct path_edge){text, to};
	return to;
}

static bool same_literals(const struct path_pattern *pattern, const struct span *literals,
			  size_t parameters)
{
	if (pattern->parameters != parameters)
		return false;
	for (size_t i = 0; i <= parameters; i++)
		if (!span_eq(pattern->literals[i], literals[i]))
			return false;
	return true;
}

static struct path_node *pattern_child(struct openapi_builder *b,
				       const struct openapi_node *where, struct path_node *node,
				       struct span segment)
{
	struct span literals[CONTRACT_PATH_PARAMETERS_MAX + 1];
	struct span *kept;
	struct path_node *to;
	size_t count = 0;

	for (;;) {
		size_t open = span_find_byte(segment, '{');

		literals[count] = normal_literal(b, span_slice(segment, 0, open));
		if (!literals[count].ptr)
			return NULL;
		if (open == segment.len)
			break;
		if (count > 0 && literals[count].len == 0) {
			(void)openapi_error(
				b, where, ERR_INVALID,
				"two parameters of a path have nothing between them");
			return NULL;
		}
		segment = span_slice(segment, span_find_byte(segment, '}') + 1, segment.len);
		count++;
	}
	for (size_t i = 0; i < node->pattern_count; i++)
		if (same_literals(&node->patterns[i], literals, count))
			return node->patterns[i].to;
	node->patterns = arena_grow(&b->contract->arena, node->patterns, node->pattern_count,
				    sizeof(*node->patterns));
	kept = arena_array(&b->contract->arena, struct span, count + 1);
	to = arena_new(&b->contract->arena, struct path_node);
	if (!node->patterns || !kept || !to) {
		node->pattern_count = 0;
		(void)openapi_no_memory(b);
		return NULL;
	}
	memcpy(kept, literals, (count + 1) * sizeof(*kept));
	node->patterns[node->pattern_count++] = (struct path_pattern){kept, count, to};
	return to;
}

/* The tree's leaf for base and template; segments are parted at '/'. */
static struct path_node *leaf_for(struct openapi_builder *b, const struct openapi_node *where,
				  struct span base, struct span template)
{
	struct path_node *node = b->contract->paths;
	struct span parts[2] = {base, template};
	size_t segments = 0;

	for (size_t i = 0; i < 2; i++) {
		struct span rest = parts[i];

		if (rest.len == 0)
			continue;
		rest = span_slice(rest, 1, rest.len);
		if (rest.len == 0)
			rest = SPAN("");
		while (rest.ptr) {
			struct span segment = span_cut(&rest, '/');

			if (++segments > OPENAPI_SEGMENTS_MAX) {
				(void)openapi_error(b, where, ERR_LIMIT,
						    "a path of more than %d segments",
						    OPENAPI_SEGMENTS_MAX);
				return NULL;
			}
			/* Braces in a base are those of a server's variables that are gone. */
			if (i == 1 && memchr(segment.ptr, '{', segment.len))
				node = pattern_child(b, where, node, segment);
			else
				node = static_child(b, node, segment);
			if (!node)
				return NULL;
		}
	}
	return node;
}

int openapi_path_add(struct openapi_builder *b, const struct openapi_node *where,
		     struct span base, struct span template, struct path_entry *entry)
{
	struct path_node *leaf = leaf_for(b, where, base, template);

	if (!leaf)
		return -1;
	if (leaf->entry == entry)
		return 0;
	if (leaf->entry)
		return openapi_error(
			b, where, ERR_INVALID,
			"the path is the same as \"%.*s\": names do not tell them apart",
			SPAN_ARG(leaf->entry->template));
	leaf->entry = entry;
	return 0;
}

static int compare_edges(const void *left, const void *right)
{
	return span_compare(((const struct path_edge *)left)->text,
			    ((const struct path_edge *)right)->text);
}

static size_t literal_bytes(const struct path_pattern *pattern)
{
	size_t bytes = 0;

	for (size_t i = 0; i <= pattern->parameters; i++)
		bytes += pattern->literals[i].len;
	return bytes;
}

/* More literal text first; among equals in byte order, so that the order is one. */
static int compare_patterns(const void *left, const void *right)
{
	const struct path_pattern *a = left;
	const struct path_pattern *b = right;
	size_t a_bytes = literal_bytes(a);
	size_t b_bytes = literal_bytes(b);

	if (a_bytes != b_bytes)
		return a_bytes > b_bytes ? -1 : 1;
	if (a->parameters != b->parameters)
		return a->parameters < b->parameters ? -1 : 1;
	for (size_t i = 0; i <= a->parameters; i++) {
		int order = span_compare(a->literals[i], b->literals[i]);

		if (order)
			return order;
	}
	return 0;
}

void openapi_paths_sort(struct path_node *node)
{
	if (node->edge_count)
		qsort(node->edges, node->edge_count, sizeof(*node->edges), compare_edges);
	if (node->pattern_count)
		qsort(node->patterns, node->pattern_count, sizeof(*node->patterns),
		      compare_patterns);
	/* As deep as OPENAPI_SEGMENTS_MAX. */
	for (size_t i = 0; i < node->edge_count; i++)
		openapi_paths_sort(node->edges[i].to);
	for (size_t i = 0; i < node->pattern_count; i++)
		openapi_paths_sort(node->patterns[i].to);
}

/* ---- finding --------------------------------------------------------------------------------- */

static const struct path_node *find_edge(const struct path_node *node, struct span text)
{
	size_t low = 0, high = node->edge_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = span_compare(text, node->edges[middle].text);

		if (order == 0)
			return node->edges[middle].to;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Each parameter takes as little as it can and at least one byte; the last literal is the end. */
static bool pattern_matches(const struct path_pattern *pattern, struct span segment,
			    struct span *values)
{
	struct span last = pattern->literals[pattern->parameters];

	if (!span_starts_with(segment, pattern->literals[0]))
		return false;
	segment = span_slice(segment, pattern->literals[0].len, segment.len);
	if (!span_ends_with(segment, last))
		return false;
	segment.len -= last.len;
	for (size_t i = 1; i < pattern->parameters; i++) {
		struct span literal = pattern->literals[i];
		size_t at;

		if (segment.len == 0)
			return false;
		at = 1 + span_find(span_slice(segment, 1, segment.len), literal);
		if (at == segment.len)
			return false;
		values[i - 1] = span_slice(segment, 0, at);
		segment = span_slice(segment, at + literal.len, segment.len);
	}
	values[pattern->parameters - 1] = segment;
	return segment.len > 0;
}

static const struct path_entry *find(const struct path_node *node, struct span rest,
				     struct contract_route *route, size_t count)
{
	const struct path_entry *entry;
	const struct path_node *next;
	struct span segment;

	if (!rest.ptr) {
		route->value_count = count;
		return node->entry;
	}
	segment = span_cut(&rest, '/');
	next = find_edge(node, segment);
	if (next) {
		entry = find(next, rest, route, count);
		if (entry)
			return entry;
	}
	for (size_t i = 0; i < node->pattern_count; i++) {
		const struct path_pattern *pattern = &node->patterns[i];

		if (!pattern_matches(pattern, segment, route->values + count))
			continue;
		entry = find(pattern->to, rest, route, count + pattern->parameters);
		if (entry)
			return entry;
	}
	return NULL;
}

const struct path_entry *openapi_path_find(const struct path_node *root, struct span path,
					   struct contract_route *route)
{
	if (path.len == 0 || path.ptr[0] != '/')
		return NULL;
	return find(root, span_of(path.ptr + 1, path.len - 1), route, 0);
}

/* ---- servers --------------------------------------------------------------------------------- */

/* The path of a URL or of a relative reference, without a slash at its end. */
static struct span path_of_url(struct span url)
{
	size_t scheme = span_find(url, SPAN("://"));
	struct span path = url;

	if (scheme < url.len) {
		path = span_slice(url, scheme + 3, url.len);
		path = span_slice(path, span_find_byte(path, '/'), path.len);
	}
	path = span_slice(path, 0, span_find_byte(path, '?'));
	path = span_slice(path, 0, span_find_byte(path, '#'));
	while (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	return path;
}

static int add_base(struct openapi_builder *b, const struct openapi_node *where,
		    struct span url, struct span *bases, size_t *count)
{
	struct span path = path_of_url(url);
	struct span kept;

	if (path.len && path.ptr[0] != '/')
		path = SPAN("");
	for (size_t i = 0; i < *count; i++)
		if (span_eq(bases[i], path))
			return 0;
	if (*count == OPENAPI_BASES_MAX)
		return openapi_error(b, where, ERR_LIMIT, "more than %d paths of servers",
				     OPENAPI_BASES_MAX);
	kept = arena_dup(&b->contract->arena, path);
	if (!kept.ptr)
		return openapi_no_memory(b);
	bases[(*count)++] = kept;
	return 0;
}

/* Writes out `{variable}`s: each of its `enum`, or its `default`. */
static int add_expanded(struct openapi_builder *b, const struct openapi_node *server,
			struct span url, unsigned depth, struct span *bases, size_t *count)
{
	size_t open = span_find_byte(url, '{');
	size_t close = span_find_byte(url, '}');
	struct openapi_node variables, variable, list;
	struct span value = SPAN_NONE;
	size_t choices;

	if (open == url.len)
		return add_base(b, server, url, bases, count);
	if (depth == SERVER_VARIABLES_MAX)
		return openapi_error(b, server, ERR_LIMIT, "more than %d variables in a server",
				     SERVER_VARIABLES_MAX);
	if (close < open || close == url.len ||
	    !openapi_get(server, SPAN("variables"), &variables) ||
	    !openapi_get(&variables, span_slice(url, open + 1, close), &variable))
		return openapi_error(
			b, server, ERR_INVALID,
			"the server's URL has a variable that \"variables\" has not");
	if (openapi_string(b, &variable, "default", &value) < 0)
		return -1;
	if (!value.ptr)
		return openapi_error(b, &variable, ERR_INVALID,
				     "a variable of a server must have a \"default\"");
	choices = openapi_get(&variable, SPAN("enum"), &list) && list.value->type == JSON_ARRAY
			  ? list.value->array.count
			  : 0;
	for (size_t i = 0; i < (choices ? choices : 1); i++) {
		struct span next;

		if (choices && !json_string(json_at(list.value, i), &value))
			return openapi_error(b, &list, ERR_INVALID,
					     "\"enum\" must hold strings");
		next = arena_printf(&b->contract->arena, "%.*s%.*s%.*s",
				    SPAN_ARG(span_slice(url, 0, open)), SPAN_ARG(value),
				    SPAN_ARG(span_slice(url, close + 1, url.len)));
		if (!next.ptr)
			return openapi_no_memory(b);
		if (add_expanded(b, server, next, depth + 1, bases, count) < 0)
			return -1;
	}
	return 0;
}

int openapi_read_bases(struct openapi_builder *b, const struct openapi_node *owner,
		       struct span *bases, size_t *count)
{
	struct openapi_node servers, server;

	*count = 0;
	if (!openapi_get(owner, SPAN("servers"), &servers))
		return 0;
	if (openapi_expect(b, &servers, JSON_ARRAY, "servers") < 0)
		return -1;
	for (size_t i = 0; openapi_item(&servers, i, &server); i++) {
		struct span url = SPAN_NONE;

		if (openapi_expect(b, &server, JSON_OBJECT, "a server") < 0 ||
		    openapi_string(b, &server, "url", &url) < 0)
			return -1;
		if (!url.ptr)
			return openapi_error(b, &server, ERR_INVALID,
					     "a server must have a \"url\"");
		if (add_expanded(b, &server, url, 0, bases, count) < 0)
			return -1;
	}
	return 0;
}
