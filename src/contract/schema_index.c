/* Where schemas, identifiers and anchors are, and what references lead to. */
#include "base/mem.h"
#include "contract/format_uri.h"
#include "contract/schema_build.h"

#define URI_MAX_BYTES 8192
#define META_DEPTH_MAX 4

/* -- dialects -- */

static bool known_dialect(struct span uri, enum schema_dialect *dialect)
{
	static const struct {
		const char *uri;
		enum schema_dialect dialect;
	} known[] = {
		{"http://json-schema.org/draft-04/schema", SCHEMA_DRAFT4},
		{"http://json-schema.org/draft-06/schema", SCHEMA_DRAFT7},
		{"http://json-schema.org/draft-07/schema", SCHEMA_DRAFT7},
		{"https://json-schema.org/draft/2019-09/schema", SCHEMA_2019_09},
		{"https://json-schema.org/draft/2020-12/schema", SCHEMA_2020_12},
		{"http://json-schema.org/schema", SCHEMA_2020_12},
		{"https://json-schema.org/schema", SCHEMA_2020_12},
	};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (span_eq(uri, span_cstr(known[i].uri))) {
			*dialect = known[i].dialect;
			return true;
		}
	/* OpenAPI 3.1 and 3.2 add annotations to 2020-12; the last part is a date. */
	*dialect = SCHEMA_2020_12;
	return span_starts_with(uri, SPAN("https://spec.openapis.org/oas/3.1/dialect/")) ||
	       span_starts_with(uri, SPAN("https://spec.openapis.org/oas/3.2/dialect/"));
}

static int use_vocabularies(struct schema_set *set, struct schema_resource *resource,
			    const struct json *vocabularies, struct err *err)
{
	resource->validation = false;
	for (size_t i = 0; i < vocabularies->object.count; i++) {
		const struct json_member *member = &vocabularies->object.members[i];
		bool required = false;
		bool ours =
			span_starts_with(
				member->key,
				SPAN("https://json-schema.org/draft/2019-09/vocab/")) ||
			span_starts_with(member->key,
					 SPAN("https://json-schema.org/draft/2020-12/vocab/"));

		if (ours && span_ends_with(member->key, SPAN("/validation")))
			resource->validation = true;
		if (ours && span_ends_with(member->key, SPAN("/format-assertion")))
			resource->assert_formats = true;
		if (!ours && json_bool(&member->value, &required) && required)
			return schema_fail_at(
				set, resource->document, resource->pointer, resource->root, err,
				"the meta-schema requires the unknown vocabulary \"%.*s\"",
				SPAN_ARG(member->key));
	}
	return 0;
}

static int use_dialect(struct schema_set *set, struct schema_resource *resource,
		       struct span uri, unsigned depth, struct err *err)
{
	struct schema_resource *meta;
	const struct json *vocabularies;
	struct span meta_uri;
	struct err inner = {0};

	uri = span_slice(uri, 0, span_find_byte(uri, '#'));
	if (known_dialect(uri, &resource->dialect))
		return 0;
	meta = depth < META_DEPTH_MAX ? schema_resource_find(set, uri, &inner) : NULL;
	if (inner.code == ERR_MEMORY)
		return schema_no_memory(set, err);
	if (inner.code != ERR_NONE)
		return schema_fail_at(set, resource->document, resource->pointer,
				      resource->root, err, "$schema: %s", inner.message);
	if (!meta || !json_string(json_get(meta->root, SPAN("$schema")), &meta_uri))
		return schema_fail_at(set, resource->document, resource->pointer,
				      resource->root, err, "\"%.*s\" is no known dialect",
				      SPAN_ARG(uri));
	if (use_dialect(set, resource, meta_uri, depth + 1, err) < 0)
		return -1;
	vocabularies = json_get(meta->root, SPAN("$vocabulary"));
	if (!vocabularies || vocabularies->type != JSON_OBJECT)
		return 0;
	return use_vocabularies(set, resource, vocabularies, err);
}

int schema_dialect_use(struct schema_set *set, struct schema_resource *resource,
		       struct span uri, struct err *err)
{
	return use_dialect(set, resource, uri, 0, err);
}

/* -- indexing -- */

struct pending {
	const struct json *json;
	struct schema_resource *resource;
	struct span pointer;
};

struct walk {
	struct schema_set *set;
	struct pending *stack;
	size_t count;
	size_t cap;
	struct err *err;
};

static int push(struct walk *w, const struct json *json, struct schema_resource *resource,
		struct span pointer)
{
	if (!pointer.ptr)
		return schema_no_memory(w->set, w->err);
	if (w->count == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;
		struct pending *more = mem_realloc(w->stack, cap * sizeof(*more));

		if (!more)
			return schema_no_memory(w->set, w->err);
		w->stack = more;
		w->cap = cap;
	}
	w->stack[w->count++] = (struct pending){json, resource, pointer};
	return 0;
}

struct schema_place *schema_place_find(const struct schema_set *set, const struct json *json)
{
	return map_get(&set->places, span_of(&json, sizeof(struct json *)));
}

static struct schema_place *add_place(struct walk *w, const struct pending *at)
{
	struct schema_place *place;

	if (w->set->places.live >= w->set->options.max_nodes) {
		schema_fail_at(w->set, at->resource->document, at->pointer, at->json, w->err,
			       "there are more than %zu schemas", w->set->options.max_nodes);
		return NULL;
	}
	place = arena_new(&w->set->arena, struct schema_place);
	if (!place) {
		schema_no_memory(w->set, w->err);
		return NULL;
	}
	*place = (struct schema_place){at->json, at->resource, at->pointer};
	if (map_put(&w->set->places, span_of(&place->json, sizeof(struct json *)), place) < 0) {
		schema_no_memory(w->set, w->err);
		return NULL;
	}
	return place;
}

static int add_anchor(struct walk *w, struct schema_place *place, struct span name,
		      bool dynamic)
{
	struct schema_set *set = w->set;
	struct schema_anchor *anchor = arena_new(&set->arena, struct schema_anchor);
	struct schema_anchor *there;
	struct span key = arena_printf(&set->arena, "%.*s#%.*s", SPAN_ARG(place->resource->uri),
				       SPAN_ARG(name));

	if (!anchor || !key.ptr)
		return schema_no_memory(set, w->err);
	there = map_get(&set->anchors, key);
	if (there && there->place != place)
		return schema_fail(set, place, NULL, w->err,
				   "there are two anchors \"%.*s\" here", SPAN_ARG(name));
	/* A dynamic anchor of the same schema and name takes the plain one's place. */
	*anchor =
		(struct schema_anchor){NULL, name, place, dynamic || (there && there->dynamic)};
	if (dynamic && !(there && there->dynamic)) {
		anchor->next = place->resource->dynamic;
		place->resource->dynamic = anchor;
	}
	return map_put(&set->anchors, key, anchor) < 0 ? schema_no_memory(set, w->err) : 0;
}

/* The identifier of `at`, when it has one. */
static bool identifier(const struct pending *at, struct span *id)
{
	enum schema_dialect dialect = at->resource->dialect;
	const char *keyword = dialect == SCHEMA_DRAFT4 ? "id" : "$id";

	if (dialect == SCHEMA_OPENAPI30)
		return false;
	if (dialect < SCHEMA_2019_09 && json_get(at->json, SPAN("$ref")))
		return false;
	return json_string(json_get(at->json, span_cstr(keyword)), id);
}

/* Makes at->resource that of an embedded schema, when its identifier says so. */
static int enter_resource(struct walk *w, struct pending *at, struct span *anchor)
{
	struct schema_set *set = w->set;
	struct schema_resource *outer = at->resource;
	struct schema_resource *resource;
	struct buf uri;
	struct span id;
	struct span key;

	*anchor = SPAN_NONE;
	if (!identifier(at, &id))
		return 0;
	buf_init(&uri, URI_MAX_BYTES);
	format_uri_resolve(&uri, outer->uri, id, anchor);
	key = buf_failed(&uri) ? SPAN_NONE : arena_dup(&set->arena, buf_span(&uri));
	buf_release(&uri);
	if (!key.ptr)
		return schema_no_memory(set, w->err);
	if (anchor->ptr && !anchor->len)
		*anchor = SPAN_NONE;
	if (span_eq(key, outer->uri))
		return 0;
	if (map_get(&set->resources, key))
		return schema_fail_at(set, outer->document, at->pointer, at->json, w->err,
				      "there are two schemas with the id \"%.*s\"",
				      SPAN_ARG(key));
	resource = arena_new(&set->arena, struct schema_resource);
	if (!resource)
		return schema_no_memory(set, w->err);
	*resource = *outer;
	resource->uri = key;
	resource->root = at->json;
	resource->pointer = at->pointer;
	resource->dynamic = NULL;
	resource->place = NULL;
	resource->recursive_anchor = false;
	at->resource = resource;
	return map_put(&set->resources, key, resource) < 0 ? schema_no_memory(set, w->err) : 0;
}

/* `$schema` counts at the root of a resource, before anything else is understood. */
static int read_dialect(struct walk *w, const struct pending *at)
{
	struct schema_resource *resource = at->resource;
	struct span uri;

	if (resource->dialect == SCHEMA_OPENAPI30 ||
	    !json_string(json_get(at->json, SPAN("$schema")), &uri))
		return 0;
	return schema_dialect_use(w->set, resource, uri, w->err);
}

static int read_anchors(struct walk *w, struct schema_place *place, struct span id_anchor)
{
	static const enum schema_keyword anchors[] = {KW_ANCHOR, KW_DYNAMIC_ANCHOR};
	struct schema_resource *resource = place->resource;
	struct span name;

	if (id_anchor.ptr && resource->dialect < SCHEMA_2019_09 &&
	    add_anchor(w, place, id_anchor, false) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(anchors); i++) {
		const struct schema_keyword_info *info = schema_keyword_info(anchors[i]);
		const struct json *value = json_get(place->json, span_cstr(info->name));

		if (!value || !(info->dialects >> resource->dialect & 1))
			continue;
		if (!json_string(value, &name) || !name.len)
			return schema_fail(w->set, place, info->name, w->err,
					   "\"%s\" must be a name", info->name);
		if (add_anchor(w, place, name, anchors[i] == KW_DYNAMIC_ANCHOR) < 0)
			return -1;
	}
	if (resource->place == place && resource->dialect == SCHEMA_2019_09)
		json_bool(json_get(place->json, SPAN("$recursiveAnchor")),
			  &resource->recursive_anchor);
	return 0;
}

static int push_list(struct walk *w, const struct schema_place *place, const struct json *list,
		     struct span pointer)
{
	for (size_t i = list->array.count; i > 0; i--)
		if (push(w, &list->array.items[i - 1], place->resource,
			 schema_pointer_add_index(w->set, pointer, i - 1)) < 0)
			return -1;
	return 0;
}

static int push_map(struct walk *w, const struct schema_place *place, const struct json *map,
		    struct span pointer)
{
	for (size_t i = map->object.count; i > 0; i--) {
		const struct json_member *member = &map->object.members[i - 1];

		if (member->value.type != JSON_ARRAY &&
		    push(w, &member->value, place->resource,
			 schema_pointer_add(w->set, pointer, member->key)) < 0)
			return -1;
	}
	return 0;
}

/* Schemas in the values of keywords. Values of other types are for the compiler to refuse. */
static int push_children(struct walk *w, const struct schema_place *place)
{
	const struct json *json = place->json;

	for (size_t i = json->object.count; i > 0; i--) {
		const struct json_member *member = &json->object.members[i - 1];
		const struct json *value = &member->value;
		enum schema_keyword keyword;
		enum schema_holds holds;
		struct span pointer;
		int result = 0;

		if (!schema_keyword_find(member->key, place->resource->dialect, &keyword))
			continue;
		holds = schema_keyword_info(keyword)->holds;
		if (holds == HOLDS_NONE)
			continue;
		pointer = schema_pointer_add(w->set, place->pointer, member->key);
		if (!pointer.ptr)
			return schema_no_memory(w->set, w->err);
		if (value->type == JSON_ARRAY &&
		    (holds == HOLDS_LIST || holds == HOLDS_ONE_OR_LIST))
			result = push_list(w, place, value, pointer);
		else if (value->type == JSON_OBJECT &&
			 (holds == HOLDS_MAP || holds == HOLDS_MIXED_MAP))
			result = push_map(w, place, value, pointer);
		else if (holds == HOLDS_ONE || holds == HOLDS_ONE_OR_LIST)
			result = push(w, value, place->resource, pointer);
		if (result < 0)
			return -1;
	}
	return 0;
}

/* One schema; those in it are pushed. */
static int index_one(struct walk *w, struct pending *at)
{
	struct span id_anchor = SPAN_NONE;
	struct schema_place *place;

	if (schema_place_find(w->set, at->json))
		return 0;
	if (at->json->type == JSON_OBJECT) {
		bool at_root = at->json == at->resource->root;
		struct schema_resource *outer = at->resource;

		if (at_root && read_dialect(w, at) < 0)
			return -1;
		if (enter_resource(w, at, &id_anchor) < 0)
			return -1;
		if (at->resource != outer && !at_root && read_dialect(w, at) < 0)
			return -1;
	}
	place = add_place(w, at);
	if (!place)
		return -1;
	if (at->json == at->resource->root)
		at->resource->place = place;
	if (at->json->type != JSON_OBJECT)
		return 0;
	if (read_anchors(w, place, id_anchor) < 0)
		return -1;
	return push_children(w, place);
}

struct schema_place *schema_index(struct schema_set *set, const struct json *json,
				  struct schema_resource *resource, struct span pointer,
				  struct err *err)
{
	struct walk w = {.set = set, .err = err};
	int result = push(&w, json, resource, pointer);

	while (result == 0 && w.count) {
		struct pending at = w.stack[--w.count];

		result = index_one(&w, &at);
	}
	mem_free(w.stack);
	return result < 0 ? NULL : schema_place_find(set, json);
}

/* -- references -- */

/* Whether a token of a pointer, in which ~0 is '~' and ~1 is '/', is this key. */
static bool token_is(struct span token, struct span key)
{
	size_t at = 0;

	for (size_t i = 0; i < token.len; i++) {
		char c = token.ptr[i];

		if (c == '~') {
			char next = i + 1 < token.len ? token.ptr[++i] : '\0';

			if (next != '0' && next != '1')
				return false;
			c = next == '0' ? '~' : '/';
		}
		if (at == key.len || key.ptr[at++] != c)
			return false;
	}
	return at == key.len;
}

static const struct json *step_into(const struct json *json, struct span token)
{
	uint64_t index;

	if (json->type == JSON_ARRAY) {
		if (!span_to_u64(token, &index) || (token.len > 1 && token.ptr[0] == '0'))
			return NULL;
		return index < json->array.count ? &json->array.items[index] : NULL;
	}
	for (size_t i = 0; json->type == JSON_OBJECT && i < json->object.count; i++)
		if (token_is(token, json->object.members[i].key))
			return &json->object.members[i].value;
	return NULL;
}

/* Goes down by a decoded JSON Pointer; *resource becomes that of the last schema on the way. */
static const struct json *walk_pointer(struct schema_set *set,
				       struct schema_resource **resource, struct span pointer)
{
	const struct json *json = (*resource)->root;
	const struct schema_place *root = schema_place_find(set, json);
	struct span rest = pointer;

	/* The root may have an identifier of its own. */
	if (root)
		*resource = root->resource;
	if (!pointer.len)
		return json;
	if (pointer.ptr[0] != '/')
		return NULL;
	rest = span_slice(rest, 1, rest.len);
	while (json && rest.ptr) {
		const struct schema_place *place;

		json = step_into(json, span_cut(&rest, '/'));
		place = json ? schema_place_find(set, json) : NULL;
		if (place)
			*resource = place->resource;
	}
	return json;
}

struct schema_place *schema_place_at(struct schema_set *set, struct schema_resource *resource,
				     struct span pointer, struct err *err)
{
	struct schema_resource *inner = resource;
	const struct json *json = walk_pointer(set, &inner, pointer);
	struct schema_place *place = json ? schema_place_find(set, json) : NULL;
	struct span whole;

	if (place)
		return place;
	whole = arena_printf(&set->arena, "%.*s%.*s", SPAN_ARG(resource->pointer),
			     SPAN_ARG(pointer));
	if (!whole.ptr) {
		schema_no_memory(set, err);
		return NULL;
	}
	if (!json) {
		schema_fail_at(set, resource->document, whole, NULL, err, "nothing is there");
		return NULL;
	}
	return schema_index(set, json, inner, whole, err);
}

static struct schema_resource *load_meta(struct schema_set *set, struct span uri,
					 const char *text, struct err *err)
{
	static const struct schema_source source = {SCHEMA_AUTO, .is_schema = true};
	const struct json *root = json_parse(&set->arena, span_cstr(text), NULL, err);
	struct schema_document *document =
		root ? schema_set_add(set, uri, root, &source, err) : NULL;

	return document ? document->resource : NULL;
}

struct schema_resource *schema_resource_find(struct schema_set *set, struct span uri,
					     struct err *err)
{
	struct schema_resource *resource = map_get(&set->resources, uri);
	const char *meta = resource ? NULL : schema_meta_find(uri);
	struct span copy;

	if (resource)
		return resource;
	if (meta)
		return load_meta(set, uri, meta, err);
	if (!set->options.load || map_get(&set->missing, uri))
		return NULL;
	copy = arena_dup(&set->arena, uri);
	/* Known as missing while it is loaded, so that a loop ends. */
	if (!copy.ptr || map_put(&set->missing, copy, set) < 0) {
		schema_no_memory(set, err);
		return NULL;
	}
	if (set->options.load(set->options.load_context, set, copy, err) < 0)
		return NULL;
	map_remove(&set->missing, copy);
	return map_get(&set->resources, copy);
}

static int hex_value(char c)
{
	char lower = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes %XX; what is malformed stays. */
static struct span decode_fragment(struct schema_set *set, struct span fragment)
{
	char *text = arena_alloc(&set->arena, fragment.len + 1);
	size_t len = 0;

	if (!text)
		return SPAN_NONE;
	for (size_t i = 0; i < fragment.len; i++) {
		char c = fragment.ptr[i];

		if (c == '%' && i + 2 < fragment.len && hex_value(fragment.ptr[i + 1]) >= 0 &&
		    hex_value(fragment.ptr[i + 2]) >= 0) {
			c = (char)(hex_value(fragment.ptr[i + 1]) * 16 +
				   hex_value(fragment.ptr[i + 2]));
			i += 2;
		}
		text[len++] = c;
	}
	return span_of(text, len);
}

/* A fragment in a resource: nothing, a pointer or the name of an anchor. NULL: not there. */
static struct schema_place *in_resource(struct schema_set *set,
					struct schema_resource *resource, struct span fragment,
					const struct schema_anchor **anchor, struct err *err)
{
	struct schema_anchor *found;
	struct span key;

	if (!fragment.len || fragment.ptr[0] == '/') {
		struct schema_resource *inner = resource;

		if (!walk_pointer(set, &inner, fragment))
			return NULL;
		return schema_place_at(set, resource, fragment, err);
	}
	/* A document whose root has an `$id` has its anchors under that. */
	if (resource->place)
		resource = resource->place->resource;
	else if (schema_place_find(set, resource->root))
		resource = schema_place_find(set, resource->root)->resource;
	key = arena_printf(&set->arena, "%.*s#%.*s", SPAN_ARG(resource->uri),
			   SPAN_ARG(fragment));
	found = key.ptr ? map_get(&set->anchors, key) : NULL;
	if (found && found->dynamic)
		*anchor = found;
	return found ? found->place : NULL;
}

struct schema_place *schema_resolve(struct schema_set *set, const struct schema_place *from,
				    const char *keyword, struct span reference,
				    const struct schema_anchor **anchor, struct err *err)
{
	struct schema_resource *resource;
	struct schema_place *place = NULL;
	struct span fragment;
	struct buf uri;
	struct err inner = {0};

	*anchor = NULL;
	buf_init(&uri, URI_MAX_BYTES);
	format_uri_resolve(&uri, from->resource->uri, reference, &fragment);
	if (buf_failed(&uri)) {
		buf_release(&uri);
		if (from->resource->uri.len + reference.len > URI_MAX_BYTES)
			schema_fail(set, from, keyword, err, "the reference is too long");
		else
			schema_no_memory(set, err);
		return NULL;
	}
	resource = schema_resource_find(set, buf_span(&uri), &inner);
	buf_release(&uri);
	fragment = decode_fragment(set, fragment);
	if (resource && fragment.ptr)
		place = in_resource(set, resource, fragment, anchor, &inner);
	if (place)
		return place;
	if (inner.code == ERR_MEMORY || !fragment.ptr)
		schema_no_memory(set, err);
	else if (inner.code != ERR_NONE)
		schema_fail(set, from, keyword, err, "\"%.*s\": %s",
			    reference.len > 150 ? 150 : (int)reference.len, reference.ptr,
			    inner.message);
	else
		schema_fail(set, from, keyword, err, "\"%.*s\" leads to nothing",
			    reference.len > 200 ? 200 : (int)reference.len, reference.ptr);
	return NULL;
}
