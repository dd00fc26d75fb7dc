#include "config/reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/value.h"
#include "parse/units.h"

#define SECRET_BYTES_MAX 65536

/* Every CONFIG_LIST has this layout. */
struct any_list {
	void *at;
	size_t count;
};

/* ---- messages -------------------------------------------------------------------------------- */

static void path_append(struct buf *out, const struct reader_path *path)
{
	char room[PROBLEM_QUOTE_MAX];

	if (!path || !path->up)
		return;
	path_append(out, path->up);
	if (path->name.len == 0) {
		buf_printf(out, "[%zu]", path->index);
		return;
	}
	if (out->len > 0)
		buf_append_byte(out, '.');
	buf_append_cstr(out, problem_quote(path->name, room));
}

static void report(struct reader *reader, enum config_severity severity,
		   struct config_where where, const char *format, va_list args)
	PRINTF_LIKE(4, 0);
static void report(struct reader *reader, enum config_severity severity,
		   struct config_where where, const char *format, va_list args)
{
	char message[256];
	struct buf path;

	buf_init(&path, 256);
	path_append(&path, reader->path);
	vsnprintf(message, sizeof(message), format, args);
	problem_add(reader->problems, severity, where, "%.*s%s%s", (int)path.len,
		    path.ptr ? path.ptr : "", path.len > 0 ? ": " : "", message);
	buf_release(&path);
}

void reader_error(struct reader *reader, struct config_where where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(reader, CONFIG_ERROR, where, format, args);
	va_end(args);
}

void reader_warn(struct reader *reader, struct config_where where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(reader, CONFIG_WARNING, where, format, args);
	va_end(args);
}

/* "expected <what>, not '<value>'"; a secret or environment value is not quoted. */
static void unexpected(struct reader *reader, const struct tree_node *node, const char *what,
		       bool quote)
{
	char room[PROBLEM_QUOTE_MAX];

	if (node->broken)
		return;
	if (node->kind == TREE_LIST)
		reader_error(reader, node->where, "expected %s, not a list", what);
	else if (node->kind == TREE_MAP)
		reader_error(reader, node->where, "expected %s, not a mapping", what);
	else if (tree_is_null(node))
		reader_error(reader, node->where, "expected %s, but there is no value", what);
	else if (node->tainted)
		reader_error(reader, node->where,
			     "expected %s, and the environment gives something else", what);
	else if (!quote)
		reader_error(reader, node->where, "expected %s", what);
	else
		reader_error(reader, node->where, "expected %s, not '%s'", what,
			     problem_quote(node->text, room));
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *reader_alloc(struct reader *reader, size_t count, size_t size)
{
	void *memory = arena_zalloc(&reader->priv->arena, count ? count : 1, size);

	if (!memory)
		reader->out_of_memory = true;
	return memory;
}

static bool add_mark(struct reader *reader, struct config_mark **list, struct secret *secret,
		     struct span text)
{
	struct config_mark *mark = reader_array(reader, struct config_mark, 1);

	if (!mark)
		return false;
	*mark = (struct config_mark){*list, secret, text.ptr, text.len};
	*list = mark;
	return true;
}

bool reader_own_secret(struct reader *reader, struct secret *secret)
{
	return add_mark(reader, &reader->priv->secrets, secret, SPAN_NONE);
}

static struct span copy(struct reader *reader, struct span text)
{
	struct span own = arena_dup(&reader->priv->arena, text);

	if (!own.ptr)
		reader->out_of_memory = true;
	return own;
}

struct span reader_text(struct reader *reader, const struct tree_node *node)
{
	struct span text = copy(reader, node->text);

	if (text.ptr && node->tainted && !add_mark(reader, &reader->priv->tainted, NULL, text))
		return SPAN_NONE;
	return text;
}

struct span reader_lower(struct reader *reader, struct span text)
{
	char *own = reader_alloc(reader, text.len + 1, 1);

	for (size_t i = 0; own && i < text.len; i++)
		own[i] = ascii_lower(text.ptr[i]);
	return span_of(own, own ? text.len : 0);
}

struct span reader_resolve(struct reader *reader, const struct tree_node *node,
			   struct span path)
{
	const char *slash = strrchr(node->where.file, '/');
	struct span resolved;

	if (!slash || (path.len > 0 && path.ptr[0] == '/'))
		return copy(reader, path);
	resolved =
		arena_printf(&reader->priv->arena, "%.*s/%.*s", (int)(slash - node->where.file),
			     node->where.file, SPAN_ARG(path));
	if (!resolved.ptr)
		reader->out_of_memory = true;
	return resolved;
}

/* ---- scalars --------------------------------------------------------------------------------- */

static bool in_range(const struct schema_key *key, uint64_t value)
{
	return value >= key->min && (key->max == 0 || value <= key->max);
}

static void append_number(struct buf *out, const struct schema_key *key, uint64_t value)
{
	if (key->type == SCHEMA_DURATION)
		units_append_duration(out, value);
	else if (key->type == SCHEMA_SIZE)
		units_append_size(out, value);
	else
		buf_append_u64(out, value);
}

static void out_of_range(struct reader *reader, const struct schema_key *key,
			 const struct tree_node *node)
{
	struct buf range;

	buf_init(&range, 96);
	buf_append_cstr(&range, "at least ");
	append_number(&range, key, key->min);
	if (key->max > 0) {
		buf_append_cstr(&range, " and at most ");
		append_number(&range, key, key->max);
	}
	if (buf_failed(&range))
		reader->out_of_memory = true;
	else
		unexpected(reader, node, buf_cstr(&range), true);
	buf_release(&range);
}

/* A number, duration or size into *value; false when it was reported. */
static bool read_number(struct reader *reader, const struct schema_key *key,
			const struct tree_node *node, uint64_t *value)
{
	const char *what = "a whole number";
	bool good;

	if (key->type == SCHEMA_DURATION) {
		good = units_duration(node->text, value) == UNITS_OK;
		what = "a duration such as 500ms, 3s, 1m, 2h or 1d";
	} else if (key->type == SCHEMA_SIZE) {
		good = units_size(node->text, value) == UNITS_OK;
		what = "a size such as 512, 64k or 10MiB";
	} else {
		good = span_to_u64(node->text, value) && *value <= UINT32_MAX;
	}
	if (!good) {
		unexpected(reader, node, what, true);
		return false;
	}
	if (!in_range(key, *value)) {
		out_of_range(reader, key, node);
		return false;
	}
	return true;
}

static void wrong_name(struct reader *reader, const struct schema_key *key,
		       const struct tree_node *node)
{
	struct buf names;

	buf_init(&names, 256);
	for (const struct schema_name *n = key->names; n->name; n++) {
		if (n > key->names)
			buf_append_cstr(&names, n[1].name ? ", " : " or ");
		buf_append_cstr(&names, n->name);
	}
	if (buf_failed(&names))
		reader->out_of_memory = true;
	else
		unexpected(reader, node, buf_cstr(&names), true);
	buf_release(&names);
}

static bool read_name(struct reader *reader, const struct schema_key *key,
		      const struct tree_node *node, unsigned *value)
{
	for (const struct schema_name *n = key->names; node->kind == TREE_SCALAR && n->name;
	     n++) {
		if (span_eq(node->text, span_cstr(n->name))) {
			*value = n->value;
			return true;
		}
	}
	wrong_name(reader, key, node);
	return false;
}

static void read_text(struct reader *reader, const struct schema_key *key,
		      const struct tree_node *node, struct span *text)
{
	if (node->kind != TREE_SCALAR || tree_is_null(node) ||
	    !key->format->valid(node->text)) {
		unexpected(reader, node, key->format->what, true);
		return;
	}
	*text = reader_text(reader, node);
	if (text->ptr && key->format->lower)
		*text = reader_lower(reader, *text);
}

static void read_file(struct reader *reader, const struct schema_key *key,
		      const struct tree_node *node, struct span *path)
{
	struct err err;

	if (!format_any.valid(node->text)) {
		unexpected(reader, node, "the name of a file", true);
		return;
	}
	*path = reader_resolve(reader, node, node->text);
	if (!path->ptr || key->type == SCHEMA_OUTPUT || !reader->source->check_file)
		return;
	if (reader->source->check_file(reader->source->context, path->ptr, &err) != 0)
		reader_error(reader, node->where, "%s", err.message);
}

/* The secret that a file holds, without the newline at its end. */
static void read_secret_file(struct reader *reader, const struct tree_node *node,
			     struct secret *secret)
{
	struct span path = span_slice(node->text, sizeof("file:") - 1, node->text.len);
	struct buf bytes;
	struct err err;
	struct span text;

	path = reader_resolve(reader, node, path);
	if (!path.ptr)
		return;
	if (!reader->source->read_file) {
		reader_error(reader, node->where, "files cannot be read here");
		return;
	}
	buf_init(&bytes, SECRET_BYTES_MAX);
	if (reader->source->read_file(reader->source->context, path.ptr, SECRET_BYTES_MAX,
				      &bytes, &err) != 0) {
		reader_error(reader, node->where, "%s", err.message);
	} else {
		text = buf_span(&bytes);
		if (text.len > 0 && text.ptr[text.len - 1] == '\n')
			text.len--;
		if (text.len > 0 && text.ptr[text.len - 1] == '\r')
			text.len--;
		if (text.len == 0)
			reader_error(reader, node->where, "the file of the secret is empty");
		else if (secret_set(secret, text) != 0)
			reader->out_of_memory = true;
	}
	if (bytes.ptr)
		secret_wipe(bytes.ptr, bytes.len);
	buf_release(&bytes);
}

static void read_secret(struct reader *reader, const struct tree_node *node,
			struct secret *secret)
{
	if (!reader_own_secret(reader, secret) ||
	    !add_mark(reader, &reader->wipe, NULL, node->text))
		return;
	if (span_starts_with(node->text, SPAN("file:")))
		read_secret_file(reader, node, secret);
	else if (node->text.len == 0)
		unexpected(reader, node, "a secret", false);
	else if (secret_set(secret, node->text) != 0)
		reader->out_of_memory = true;
}

static void read_address(struct reader *reader, const struct tree_node *node,
			 struct config_address *address)
{
	static const struct span prefix = SPAN_INIT("unix:");
	struct span path = span_slice(node->text, prefix.len, node->text.len);
	struct span text = copy(reader, node->text);

	if (!text.ptr)
		return;
	address->text = text;
	if (span_starts_with(text, prefix) && format_any.valid(path)) {
		address->unix_path = reader_resolve(reader, node, path);
		if (address->unix_path.len > 107)
			reader_error(reader, node->where,
				     "the path of a Unix socket has at most 107 bytes");
		return;
	}
	if (!value_host_port(text, &address->host, &address->port)) {
		unexpected(reader, node,
			   "an address such as 0.0.0.0:8443, [::1]:8443 or "
			   "unix:/run/sallyport.sock",
			   true);
		return;
	}
	address->host = copy(reader, address->host);
}

/* ---- lists of scalars ------------------------------------------------------------------------ */

/* The elements of a list, or a scalar as a list of one. */
static size_t elements(const struct tree_node *node, struct tree_node *const **items)
{
	if (node->kind == TREE_LIST) {
		*items = node->items;
		return node->count;
	}
	*items = NULL;
	return 1;
}

static const struct tree_node *element(const struct tree_node *node,
				       struct tree_node *const *items, size_t i)
{
	return items ? items[i] : node;
}

static bool is_scalar(struct reader *reader, const struct tree_node *node, const char *what)
{
	if (node->broken)
		return false;
	if (node->kind == TREE_SCALAR && !tree_is_null(node))
		return true;
	unexpected(reader, node, what, true);
	return false;
}

static void read_flags(struct reader *reader, const struct schema_key *key,
		       const struct tree_node *node, unsigned *flags)
{
	struct tree_node *const *items;
	size_t count = elements(node, &items);

	for (size_t i = 0; i < count; i++) {
		unsigned flag;

		if (read_name(reader, key, element(node, items, i), &flag))
			*flags |= flag;
	}
}

static void read_texts(struct reader *reader, const struct schema_key *key,
		       const struct tree_node *node, struct config_strings *texts)
{
	struct tree_node *const *items;
	size_t count = elements(node, &items);

	texts->at = reader_array(reader, struct span, count);
	for (size_t i = 0; texts->at && i < count; i++)
		read_text(reader, key, element(node, items, i), &texts->at[i]);
	texts->count = texts->at ? count : 0;
}

static void read_counts(struct reader *reader, const struct schema_key *key,
			const struct tree_node *node, struct any_list *list)
{
	struct tree_node *const *items;
	size_t count = elements(node, &items);
	uint32_t *counts = reader_array(reader, uint32_t, count);

	for (size_t i = 0; counts && i < count; i++) {
		const struct tree_node *item = element(node, items, i);
		uint64_t value;

		if (is_scalar(reader, item, "a whole number") &&
		    read_number(reader, key, item, &value))
			counts[i] = (uint32_t)value;
	}
	*list = (struct any_list){counts, counts ? count : 0};
}

static void read_networks(struct reader *reader, const struct tree_node *node,
			  struct any_list *list)
{
	static const char what[] = "a network such as 10.0.0.0/8 or fd00::/8";
	struct tree_node *const *items;
	size_t count = elements(node, &items);
	struct cidr *networks = reader_array(reader, struct cidr, count);

	for (size_t i = 0; networks && i < count; i++) {
		const struct tree_node *item = element(node, items, i);

		if (is_scalar(reader, item, what) && !cidr_parse(item->text, &networks[i]))
			unexpected(reader, item, what, true);
	}
	*list = (struct any_list){networks, networks ? count : 0};
}

/* "a.b.c" split at the dots; a text with "://" is one name; a list is taken as it is. */
static void read_claim(struct reader *reader, const struct tree_node *node,
		       struct config_strings *claim)
{
	static const struct schema_key any = {.format = &format_any};
	struct span rest = node->text;
	size_t count = 1;

	if (node->kind == TREE_LIST) {
		read_texts(reader, &any, node, claim);
		return;
	}
	if (!is_scalar(reader, node, "the name of a claim"))
		return;
	if (span_find(rest, SPAN("://")) == rest.len)
		for (size_t i = 0; i < rest.len; i++)
			count += rest.ptr[i] == '.';
	claim->at = reader_array(reader, struct span, count);
	for (size_t i = 0; claim->at && i < count; i++) {
		struct span name = count > 1 ? span_cut(&rest, '.') : rest;

		if (!format_any.valid(name)) {
			unexpected(reader, node, "the name of a claim", true);
			return;
		}
		claim->at[i] = copy(reader, name);
	}
	claim->count = claim->at ? count : 0;
}

static void read_pairs(struct reader *reader, const struct tree_node *node,
		       struct any_list *list)
{
	static const struct schema_key value_key = {.format = &format_field_value};
	const struct reader_path *up = reader->path;
	struct config_pair *pairs;

	if (node->kind != TREE_MAP) {
		unexpected(reader, node, "a mapping of header fields", true);
		return;
	}
	pairs = reader_array(reader, struct config_pair, node->count);
	for (size_t i = 0; pairs && i < node->count; i++) {
		const struct tree_pair *pair = &node->pairs[i];
		struct reader_path path = {up, pair->key, 0};

		reader->path = &path;
		pairs[i].name = reader_lower(reader, pair->key);
		if (!format_field_name.valid(pair->key))
			reader_error(reader, pair->where, "expected a header field name");
		else if (value_is_framing_field(pairs[i].name))
			reader_error(reader, pair->where, "this field cannot be set");
		for (size_t j = 0; j < i; j++)
			if (span_eq(pairs[i].name, pairs[j].name))
				reader_error(reader, pair->where, "this field is there twice");
		read_text(reader, &value_key, pair->value, &pairs[i].value);
	}
	reader->path = up;
	*list = (struct any_list){pairs, pairs ? node->count : 0};
}

/* ---- objects --------------------------------------------------------------------------------- */

void reader_list(struct reader *reader, const struct schema_object *schema,
		 const struct tree_node *node, bool one_or_list, void *list)
{
	const struct reader_path *up = reader->path;
	struct any_list *any = list;
	struct tree_node *const *items = node->items;
	size_t count = node->count;

	if (node->kind != TREE_LIST) {
		if (!one_or_list) {
			unexpected(reader, node, "a list", true);
			return;
		}
		items = NULL;
		count = 1;
	}
	any->at = reader_alloc(reader, count, schema->size);
	for (size_t i = 0; any->at && i < count; i++) {
		struct reader_path path = {up, SPAN_NONE, i};

		reader->path = items ? &path : up;
		reader_object(reader, schema, element(node, items, i),
			      (char *)any->at + i * schema->size);
	}
	reader->path = up;
	any->count = any->at ? count : 0;
}

static void read_map(struct reader *reader, const struct schema_object *schema,
		     const struct tree_node *node, struct any_list *list)
{
	const struct reader_path *up = reader->path;

	if (node->kind != TREE_MAP) {
		unexpected(reader, node, "a mapping of names", true);
		return;
	}
	list->at = reader_alloc(reader, node->count, schema->size);
	for (size_t i = 0; list->at && i < node->count; i++) {
		const struct tree_pair *pair = &node->pairs[i];
		struct reader_path path = {up, pair->key, 0};
		char *object = (char *)list->at + i * schema->size;
		struct span name = copy(reader, pair->key);

		reader->path = &path;
		if (!format_name.valid(pair->key))
			reader_error(reader, pair->where, "expected %s", format_name.what);
		memcpy(object + schema->name_offset, &name, sizeof(name));
		reader_object(reader, schema, pair->value, object);
		if (schema->has_where)
			memcpy(object, &pair->where, sizeof(pair->where));
	}
	reader->path = up;
	list->count = list->at ? node->count : 0;
}

static void read_optional(struct reader *reader, const struct schema_object *schema,
			  const struct tree_node *node, void **pointer)
{
	*pointer = reader_alloc(reader, 1, schema->size);
	if (*pointer)
		reader_object(reader, schema, node, *pointer);
}

static void read_scalar(struct reader *reader, const struct schema_key *key,
			const struct tree_node *node, void *object)
{
	void *field = (char *)object + key->offset;
	struct config_rate *rate = field;
	uint64_t value = 0;

	switch (key->type) {
	case SCHEMA_BOOL:
		if (!value_bool(node->text, field))
			unexpected(reader, node, "true or false", true);
		break;
	case SCHEMA_COUNT:
		if (read_number(reader, key, node, &value))
			*(uint32_t *)field = (uint32_t)value;
		break;
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		if (read_number(reader, key, node, &value))
			*(uint64_t *)field = value;
		break;
	case SCHEMA_PERCENT:
		if (units_percent(node->text, field) != UNITS_OK)
			unexpected(reader, node, "a percentage such as 50%", true);
		break;
	case SCHEMA_RATE:
		if (units_rate(node->text, &rate->count, &rate->per_ms) != UNITS_OK)
			unexpected(reader, node, "a rate such as 100/s or 5/m", true);
		break;
	case SCHEMA_ENUM: read_name(reader, key, node, field); break;
	case SCHEMA_TEXT: read_text(reader, key, node, field); break;
	case SCHEMA_FILE:
	case SCHEMA_OUTPUT: read_file(reader, key, node, field); break;
	case SCHEMA_SECRET: read_secret(reader, node, field); break;
	case SCHEMA_ADDRESS: read_address(reader, node, field); break;
	case SCHEMA_CUSTOM:
		if (!key->custom->read(reader, node, object))
			unexpected(reader, node, key->custom->what, true);
		break;
	case SCHEMA_COUNTS:
	case SCHEMA_FLAGS:
	case SCHEMA_TEXTS:
	case SCHEMA_NETWORKS:
	case SCHEMA_CLAIM:
	case SCHEMA_PAIRS:
	case SCHEMA_OBJECT:
	case SCHEMA_OPTIONAL:
	case SCHEMA_LIST:
	case SCHEMA_MAP: break;
	}
}

static const char *what_scalar(const struct schema_key *key)
{
	return key->type == SCHEMA_TEXT ? key->format->what : "a single value";
}

static void read_value(struct reader *reader, const struct schema_key *key,
		       const struct tree_node *node, void *object)
{
	void *field = (char *)object + key->offset;

	if (node->broken)
		return;
	switch (key->type) {
	case SCHEMA_BOOL:
	case SCHEMA_COUNT:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
	case SCHEMA_PERCENT:
	case SCHEMA_RATE:
	case SCHEMA_ENUM:
	case SCHEMA_TEXT:
	case SCHEMA_FILE:
	case SCHEMA_OUTPUT:
	case SCHEMA_SECRET:
	case SCHEMA_ADDRESS:
	case SCHEMA_CUSTOM:
		if (is_scalar(reader, node, what_scalar(key)))
			read_scalar(reader, key, node, object);
		break;
	case SCHEMA_COUNTS: read_counts(reader, key, node, field); break;
	case SCHEMA_FLAGS: read_flags(reader, key, node, field); break;
	case SCHEMA_TEXTS: read_texts(reader, key, node, field); break;
	case SCHEMA_NETWORKS: read_networks(reader, node, field); break;
	case SCHEMA_CLAIM: read_claim(reader, node, field); break;
	case SCHEMA_PAIRS: read_pairs(reader, node, field); break;
	case SCHEMA_OBJECT: reader_object(reader, key->object, node, field); break;
	case SCHEMA_OPTIONAL: read_optional(reader, key->object, node, field); break;
	case SCHEMA_LIST:
		reader_list(reader, key->object, node, key->flags & SCHEMA_ONE_OR_LIST, field);
		break;
	case SCHEMA_MAP: read_map(reader, key->object, node, field); break;
	}
}

/* What is read where a key is absent: its default as a scalar, or split at spaces as a list. */
static void read_initial(struct reader *reader, const struct schema_key *key,
			 const struct tree_node *parent, void *object)
{
	struct tree_node words[16] = {0};
	struct tree_node *items[COUNT_OF(words)];
	struct tree_node list = {.kind = TREE_LIST, .where = parent->where, .items = items};
	struct span rest = span_cstr(key->initial);

	if (key->type == SCHEMA_OBJECT) {
		list.kind = TREE_MAP;
		reader_object(reader, key->object, &list, (char *)object + key->offset);
		return;
	}
	if (key->flags & SCHEMA_INHERIT) {
		uint64_t inherit = CONFIG_INHERIT;

		memcpy((char *)object + key->offset, &inherit, sizeof(inherit));
		return;
	}
	if (!key->initial)
		return;
	if (key->type != SCHEMA_FLAGS && key->type != SCHEMA_TEXTS) {
		words[0] = (struct tree_node){.where = parent->where, .text = rest};
		read_value(reader, key, &words[0], object);
		return;
	}
	while (rest.ptr && list.count < COUNT_OF(words)) {
		words[list.count].where = parent->where;
		words[list.count].text = span_cut(&rest, ' ');
		items[list.count] = &words[list.count];
		list.count++;
	}
	read_value(reader, key, &list, object);
}

static void unknown_key(struct reader *reader, const struct schema_object *schema,
			const struct tree_pair *pair)
{
	char room[PROBLEM_QUOTE_MAX], near[PROBLEM_QUOTE_MAX + 24] = "";
	const struct reader_path *at = reader->path;
	unsigned best = pair->key.len < 4 ? 2 : pair->key.len < 8 ? 3 : 4;
	struct buf path;

	for (const struct schema_key *key = schema->keys; key->name; key++) {
		unsigned distance = span_distance(pair->key, span_cstr(key->name));

		if (distance >= best)
			continue;
		best = distance;
		snprintf(near, sizeof(near), " (did you mean '%s'?)", key->name);
	}
	buf_init(&path, 256);
	path_append(&path, at);
	problem_add(reader->problems, CONFIG_ERROR, pair->where, "unknown key '%s'%s%.*s%s",
		    problem_quote(pair->key, room), path.len > 0 ? " in " : "", (int)path.len,
		    path.ptr ? path.ptr : "", near);
	buf_release(&path);
}

static void read_pairs_of(struct reader *reader, const struct schema_object *schema,
			  const struct tree_node *node, void *object)
{
	const struct reader_path *up = reader->path;
	uint64_t seen = 0;
	size_t k;

	for (size_t i = 0; i < node->count; i++) {
		const struct tree_pair *pair = &node->pairs[i];
		struct reader_path path = {up, pair->key, 0};

		for (k = 0; schema->keys[k].name; k++)
			if (span_eq(pair->key, span_cstr(schema->keys[k].name)))
				break;
		if (!schema->keys[k].name) {
			unknown_key(reader, schema, pair);
			continue;
		}
		seen |= (uint64_t)1 << k;
		reader->path = &path;
		read_value(reader, &schema->keys[k], pair->value, object);
		reader->path = up;
	}
	for (k = 0; schema->keys[k].name; k++) {
		if (seen & ((uint64_t)1 << k))
			continue;
		if (schema->keys[k].flags & SCHEMA_REQUIRED)
			reader_error(reader, node->where, "'%s' is missing",
				     schema->keys[k].name);
		else
			read_initial(reader, &schema->keys[k], node, object);
	}
}

void reader_object(struct reader *reader, const struct schema_object *schema,
		   const struct tree_node *node, void *object)
{
	size_t errors = reader->problems->errors;
	struct tree_pair pair;
	struct tree_node map;

	if (node->broken)
		return;
	if (schema->has_where)
		memcpy(object, &node->where, sizeof(node->where));
	if (node->kind == TREE_SCALAR && schema->shorthand && !tree_is_null(node)) {
		/* Only read from here on; a pair of a parsed tree just is not const. */
		pair = (struct tree_pair){span_cstr(schema->shorthand), node->where,
					  (struct tree_node *)(uintptr_t)node};
		map = (struct tree_node){
			.kind = TREE_MAP, .where = node->where, .pairs = &pair, .count = 1};
		node = &map;
	}
	if (node->kind != TREE_MAP) {
		unexpected(reader, node, "a mapping", true);
		return;
	}
	read_pairs_of(reader, schema, node, object);
	if (schema->finish && reader->problems->errors == errors && !reader->out_of_memory)
		schema->finish(reader, node, object);
}
