#include "gateway/router.h"

#include "base/map.h"
#include "base/mem.h"

#define NONE UINT32_MAX
#define DEPTH_MAX 64
#define HOST_MAX 255

/* A route that a node leads to; the first is in the node itself, others are in the router's array. */
struct entry {
	uint32_t route; /* index; NONE: no entry */
	uint32_t next; /* or NONE */
	uint16_t methods; /* bits of enum http_method; 0: every method but TRACE */
};
_Static_assert(HTTP_METHOD_COUNT <= 16, "a bit for each method");

struct node {
	uint32_t parameter; /* child for any one segment */
	struct entry exact; /* the path ends here */
	struct entry below; /* "**" here */
	bool has_literals; /* children in the table of edges */
};

/*
 * The child of a node for a literal segment; all nodes share one table. With thousands of routes
 * what counts are cache lines: a short segment is in the edge itself, and so is the child, so that
 * one line answers what the segment leads to.
 */
struct edge {
	struct node node; /* as nodes[child] */
	uint32_t parent;
	uint32_t child; /* NONE: empty slot */
	uint32_t len;
	char text
		[20]; /* or, where it does not fit, a pointer to the text in the configuration */
};
_Static_assert(sizeof(struct edge) == CACHE_LINE_BYTES, "an edge is a cache line");

struct host_tree {
	struct span name; /* without the leading "*" for a suffix */
	bool suffix;
	uint32_t root;
};

struct router {
	const struct config_route *routes;
	struct node *nodes;
	uint32_t node_count, node_cap;
	struct entry *entries;
	uint32_t entry_count, entry_cap;
	struct edge *edges;
	size_t edge_count, edge_cap;
	struct host_tree *hosts;
	size_t host_count, host_cap;
	struct map exact_hosts; /* name to host_tree; built last */
	bool has_suffix_hosts;
	uint32_t any_root; /* NONE: every route names hosts */
};

/* The array, moved if it had no room for one more; NULL when out of memory, it is as before then. */
static void *with_room(void *array, uint32_t count, uint32_t *cap, size_t size)
{
	uint32_t grown_cap = *cap ? *cap * 2 : 16;
	void *grown;

	if (count < *cap)
		return array;
	grown = mem_realloc(array, grown_cap * size);
	if (grown)
		*cap = grown_cap;
	return grown;
}

static uint32_t add_node(struct router *r)
{
	struct node *nodes =
		with_room(r->nodes, r->node_count, &r->node_cap, sizeof(*r->nodes));

	if (!nodes)
		return NONE;
	r->nodes = nodes;
	r->nodes[r->node_count] = (struct node){
		.parameter = NONE, .exact = {NONE, NONE, 0}, .below = {NONE, NONE, 0}};
	return r->node_count++;
}

/* The last eight bytes, or all where there are fewer. */
static inline uint64_t last_word(struct span s)
{
	uint64_t word = 0;
	uint32_t low, high;

	if (s.len >= 8) {
		memcpy(&word, s.ptr + s.len - 8, 8);
	} else if (s.len >= 4) {
		memcpy(&low, s.ptr, 4);
		memcpy(&high, s.ptr + s.len - 4, 4);
		word = low | (uint64_t)high << 32;
	} else if (s.len) {
		word = (unsigned char)s.ptr[0] |
		       (uint64_t)(unsigned char)s.ptr[s.len / 2] << 8 |
		       (uint64_t)(unsigned char)s.ptr[s.len - 1] << 16;
	}
	return word;
}

static inline uint64_t stir(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

/*
 * What is in the table comes from the configuration, so nobody can fill it with collisions, and the
 * hash needs no key: one multiplication for each eight bytes.
 */
HOT static size_t edge_home(const struct router *r, uint32_t parent, struct span segment)
{
	uint64_t hash = parent ^ (uint64_t)segment.len << 32;
	uint64_t word;

	for (size_t i = 0; i + 8 < segment.len; i += 8) {
		memcpy(&word, segment.ptr + i, 8);
		hash = stir(hash, word);
	}
	return (size_t)stir(hash, last_word(segment)) & (r->edge_cap - 1);
}

static struct edge edge_of(uint32_t parent, uint32_t child, struct span segment)
{
	struct edge edge = {.parent = parent, .child = child, .len = (uint32_t)segment.len};

	if (segment.len <= sizeof(edge.text))
		memcpy(edge.text, segment.ptr, segment.len);
	else
		memcpy(edge.text, &segment.ptr, sizeof(segment.ptr));
	return edge;
}

static struct span edge_segment(const struct edge *edge)
{
	const char *far;

	if (edge->len <= sizeof(edge->text))
		return span_of(edge->text, edge->len);
	memcpy(&far, edge->text, sizeof(far));
	return span_of(far, edge->len);
}

HOT static const struct edge *find_edge(const struct router *r, uint32_t parent,
					struct span segment)
{
	if (!r->edge_cap)
		return NULL;
	for (size_t i = edge_home(r, parent, segment);; i = (i + 1) & (r->edge_cap - 1)) {
		const struct edge *edge = &r->edges[i];

		if (edge->child == NONE)
			return NULL;
		if (edge->parent == parent && span_eq(edge_segment(edge), segment))
			return edge;
	}
}

static void put_edge(struct router *r, struct edge edge)
{
	size_t i = edge_home(r, edge.parent, edge_segment(&edge));

	while (r->edges[i].child != NONE)
		i = (i + 1) & (r->edge_cap - 1);
	r->edges[i] = edge;
	r->edge_count++;
}

/* Emptied slots, each a cache line by itself. */
static struct edge *new_edges(size_t cap)
{
	struct edge *edges = mem_zalloc_lines(cap, sizeof(*edges));

	for (size_t i = 0; edges && i < cap; i++)
		edges[i].child = NONE;
	return edges;
}

static int grow_edges(struct router *r)
{
	struct edge *old = r->edges;
	size_t old_cap = r->edge_cap;
	size_t cap = old_cap ? old_cap * 2 : 64;
	struct edge *grown;

	if (r->edge_count < old_cap / 2)
		return 0;
	grown = new_edges(cap);
	if (!grown)
		return -1;
	r->edges = grown;
	r->edge_cap = cap;
	r->edge_count = 0;
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].child != NONE)
			put_edge(r, old[i]);
	mem_free(old);
	return 0;
}

static uint32_t literal_child(struct router *r, uint32_t parent, struct span segment)
{
	const struct edge *edge = find_edge(r, parent, segment);
	uint32_t child;

	if (edge)
		return edge->child;
	child = add_node(r);
	if (child == NONE || grow_edges(r) < 0)
		return NONE;
	put_edge(r, edge_of(parent, child, segment));
	r->nodes[parent].has_literals = true;
	return child;
}

static uint32_t parameter_child(struct router *r, uint32_t parent)
{
	uint32_t child = r->nodes[parent].parameter;

	if (child != NONE)
		return child;
	child = add_node(r);
	if (child != NONE)
		r->nodes[parent].parameter = child;
	return child;
}

static bool is_parameter(struct span segment)
{
	return segment.len >= 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

static uint16_t method_bits(const struct config_route *route)
{
	unsigned bits = 0;

	for (size_t i = 0; i < route->methods.count; i++) {
		enum http_method method = http_method_lookup(route->methods.at[i]);

		bits |= 1u << method;
		if (method == HTTP_METHOD_GET)
			bits |= 1u << HTTP_METHOD_HEAD;
	}
	return (uint16_t)bits;
}

/* In front of those that are there: they move to the array. */
static int add_entry(struct router *r, struct entry *first, const struct config_route *route)
{
	struct entry added = {(uint32_t)(route - r->routes), NONE, method_bits(route)};
	struct entry *entries;

	if (first->route != NONE) {
		entries = with_room(r->entries, r->entry_count, &r->entry_cap,
				    sizeof(*r->entries));
		if (!entries)
			return -1;
		r->entries = entries;
		added.next = r->entry_count;
		r->entries[r->entry_count++] = *first;
	}
	*first = added;
	return 0;
}

static int add_path(struct router *r, uint32_t node, const struct config_route *route)
{
	struct span rest = span_slice(route->path, 1, route->path.len);

	while (rest.ptr) {
		struct span segment = span_cut(&rest, '/');

		if (!rest.ptr && span_eq(segment, SPAN("**")))
			return add_entry(r, &r->nodes[node].below, route);
		node = is_parameter(segment) ? parameter_child(r, node)
					     : literal_child(r, node, segment);
		if (node == NONE)
			return -1;
	}
	return add_entry(r, &r->nodes[node].exact, route);
}

static struct host_tree *host_tree_of(struct router *r, struct span host)
{
	bool suffix = span_starts_with(host, SPAN("*."));
	struct span name = suffix ? span_slice(host, 1, host.len) : host;
	struct host_tree *grown;
	size_t cap = r->host_cap ? r->host_cap * 2 : 8;

	for (size_t i = 0; i < r->host_count; i++)
		if (r->hosts[i].suffix == suffix && span_eq(r->hosts[i].name, name))
			return &r->hosts[i];
	if (r->host_count == r->host_cap) {
		grown = mem_realloc(r->hosts, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		r->hosts = grown;
		r->host_cap = cap;
	}
	r->hosts[r->host_count] = (struct host_tree){name, suffix, add_node(r)};
	if (r->hosts[r->host_count].root == NONE)
		return NULL;
	return &r->hosts[r->host_count++];
}

static int add_route(struct router *r, const struct config_route *route)
{
	if (route->hosts.count == 0) {
		if (r->any_root == NONE)
			r->any_root = add_node(r);
		return r->any_root == NONE ? -1 : add_path(r, r->any_root, route);
	}
	for (size_t i = 0; i < route->hosts.count; i++) {
		const struct host_tree *tree = host_tree_of(r, route->hosts.at[i]);

		if (!tree || add_path(r, tree->root, route) < 0)
			return -1;
	}
	return 0;
}

/* Longest first, so that the first suffix that fits is the most specific. */
static int compare_hosts(const void *left, const void *right)
{
	const struct host_tree *a = left, *b = right;

	return (a->name.len < b->name.len) - (a->name.len > b->name.len);
}

static int index_hosts(struct router *r)
{
	if (r->host_count)
		qsort(r->hosts, r->host_count, sizeof(*r->hosts), compare_hosts);
	for (size_t i = 0; i < r->host_count; i++) {
		if (r->hosts[i].suffix)
			r->has_suffix_hosts = true;
		else if (map_put(&r->exact_hosts, r->hosts[i].name, &r->hosts[i]) < 0)
			return -1;
	}
	return 0;
}

/* Nothing is added any more. */
static void copy_nodes_to_edges(struct router *r)
{
	for (size_t i = 0; i < r->edge_cap; i++)
		if (r->edges[i].child != NONE)
			r->edges[i].node = r->nodes[r->edges[i].child];
}

struct router *router_new(const struct config_route *routes, size_t count, struct err *err)
{
	struct router *r = mem_zalloc(1, sizeof(*r));
	int result = r ? 0 : -1;

	if (r) {
		r->any_root = NONE;
		r->routes = routes;
	}
	for (size_t i = 0; i < count && result == 0; i++)
		result = add_route(r, &routes[i]);
	if (result == 0)
		result = index_hosts(r);
	if (result == 0) {
		copy_nodes_to_edges(r);
		return r;
	}
	router_free(r);
	err_set(err, ERR_MEMORY, "no memory for the routes");
	return NULL;
}

void router_free(struct router *r)
{
	if (!r)
		return;
	mem_free(r->nodes);
	mem_free(r->entries);
	mem_free(r->edges);
	mem_free(r->hosts);
	map_release(&r->exact_hosts);
	mem_free(r);
}

bool router_has_hosts(const struct router *r)
{
	return r->host_count != 0;
}

#define METHODS_OF_ANY                                                                         \
	((1u << HTTP_METHOD_COUNT) - 1 - (1u << HTTP_METHOD_OTHER) -                           \
	 (1u << HTTP_METHOD_CONNECT) - (1u << HTTP_METHOD_TRACE))

struct search {
	const struct router *router;
	enum http_method method;
	struct span method_name;
	uint32_t allowed;
	const struct config_route *found;
};

/* With TRACE a service tells whoever asks what the gateway has put into the request. */
static bool takes_method(const struct search *s, const struct entry *entry)
{
	const struct config_route *route = &s->router->routes[entry->route];

	if (entry->methods == 0)
		return s->method != HTTP_METHOD_TRACE;
	if (s->method != HTTP_METHOD_OTHER)
		return entry->methods & 1u << s->method;
	for (size_t i = 0; i < route->methods.count; i++)
		if (span_eq(route->methods.at[i], s->method_name))
			return true;
	return false;
}

static inline bool pick(struct search *s, const struct entry *entry)
{
	if (entry->route == NONE)
		return false;
	for (;;) {
		if (takes_method(s, entry)) {
			s->found = &s->router->routes[entry->route];
			return true;
		}
		s->allowed |= entry->methods ? entry->methods : METHODS_OF_ANY;
		if (entry->next == NONE)
			return false;
		entry = &s->router->entries[entry->next];
	}
}

/* `rest` are the segments after this node; its ptr is NULL at the end of the path. */
HOT static bool walk(struct search *s, uint32_t index, const struct node *node,
		     struct span rest, unsigned depth)
{
	struct span segment, after = rest;
	const struct edge *edge;

	if (!rest.ptr)
		return pick(s, &node->exact) || pick(s, &node->below);
	if (depth < DEPTH_MAX && (node->has_literals || node->parameter != NONE)) {
		segment = span_cut(&after, '/');
		edge = node->has_literals ? find_edge(s->router, index, segment) : NULL;
		if (edge && walk(s, edge->child, &edge->node, after, depth + 1))
			return true;
		if (node->parameter != NONE && segment.len &&
		    walk(s, node->parameter, &s->router->nodes[node->parameter], after,
			 depth + 1))
			return true;
	}
	return pick(s, &node->below);
}

HOT static bool search_tree(struct search *s, uint32_t root, struct span path)
{
	return walk(s, root, &s->router->nodes[root], span_slice(path, 1, path.len), 0);
}

static bool search_hosts(struct search *s, struct span host, struct span path)
{
	const struct router *r = s->router;
	char lower[HOST_MAX];
	const struct host_tree *tree;

	if (host.len > sizeof(lower))
		return false;
	for (size_t i = 0; i < host.len; i++)
		lower[i] = ascii_lower(host.ptr[i]);
	host = span_of(lower, host.len);
	tree = map_get(&r->exact_hosts, host);
	if (tree && search_tree(s, tree->root, path))
		return true;
	if (!r->has_suffix_hosts)
		return false;
	for (size_t i = 0; i < r->host_count; i++)
		if (r->hosts[i].suffix && host.len > r->hosts[i].name.len &&
		    span_ends_with(host, r->hosts[i].name) &&
		    search_tree(s, r->hosts[i].root, path))
			return true;
	return false;
}

HOT enum router_result router_find(const struct router *r, struct span host, struct span path,
				   enum http_method method, struct span method_name,
				   const struct config_route **route, uint32_t *allowed)
{
	struct search s = {.router = r, .method = method, .method_name = method_name};
	bool found = r->host_count && search_hosts(&s, host, path);

	if (!found && r->any_root != NONE)
		found = search_tree(&s, r->any_root, path);
	*allowed = s.allowed;
	if (!found)
		return s.allowed ? ROUTER_NO_METHOD : ROUTER_NO_PATH;
	*route = s.found;
	return ROUTER_FOUND;
}
