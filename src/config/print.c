#include "config/config.h"

#include "config/reader.h"
#include "config/schema.h"
#include "parse/units.h"
#include "parse/uri.h"

#define MASK "\"***\""

struct printer {
	const struct config_private *priv;
	struct buf *out;
};

struct any_list {
	const void *at;
	size_t count;
};

static void print_object(struct printer *p, const struct schema_object *schema,
			 const void *object);

static void print_plain(struct printer *p, struct span text)
{
	buf_append_byte(p->out, '"');
	buf_append_json(p->out, text);
	buf_append_byte(p->out, '"');
}

static bool is_tainted(const struct printer *p, struct span text)
{
	for (const struct config_mark *mark = p->priv->tainted; mark; mark = mark->next)
		if (mark->text == text.ptr && text.len > 0)
			return true;
	return false;
}

static void print_text(struct printer *p, struct span text)
{
	if (is_tainted(p, text))
		buf_append_cstr(p->out, MASK);
	else
		print_plain(p, text);
}

/* The URL of a webhook is often all that it takes to post there. */
static void print_origin(struct printer *p, struct span url)
{
	struct span origin = uri_origin(url);

	if (is_tainted(p, url) || origin.len + 1 >= url.len) {
		print_text(p, url);
		return;
	}
	buf_append_byte(p->out, '"');
	buf_append_json(p->out, origin);
	buf_append_cstr(p->out, "/***\"");
}

static void print_names(struct printer *p, const struct schema_key *key, unsigned value)
{
	const char *comma = "";

	buf_append_byte(p->out, '[');
	for (const struct schema_name *n = key->names; n->name; n++) {
		if ((value & n->value) == 0)
			continue;
		buf_printf(p->out, "%s\"%s\"", comma, n->name);
		comma = ",";
	}
	buf_append_byte(p->out, ']');
}

static void print_name(struct printer *p, const struct schema_key *key, unsigned value)
{
	for (const struct schema_name *n = key->names; n->name; n++) {
		if (n->value != value)
			continue;
		buf_printf(p->out, "\"%s\"", n->name);
		return;
	}
	buf_append_cstr(p->out, "null");
}

static void print_texts(struct printer *p, const struct config_strings *texts)
{
	buf_append_byte(p->out, '[');
	for (size_t i = 0; i < texts->count; i++) {
		if (i > 0)
			buf_append_byte(p->out, ',');
		print_text(p, texts->at[i]);
	}
	buf_append_byte(p->out, ']');
}

static void print_counts(struct printer *p, const struct any_list *list)
{
	const uint32_t *counts = list->at;

	buf_append_byte(p->out, '[');
	for (size_t i = 0; i < list->count; i++)
		buf_printf(p->out, "%s%u", i > 0 ? "," : "", counts[i]);
	buf_append_byte(p->out, ']');
}

static void print_networks(struct printer *p, const struct any_list *list)
{
	const struct cidr *networks = list->at;
	char text[ADDRESS_TEXT_SIZE];

	buf_append_byte(p->out, '[');
	for (size_t i = 0; i < list->count; i++) {
		buf_append_cstr(p->out, i > 0 ? ",\"" : "\"");
		buf_append_bytes(p->out, text, cidr_format(&networks[i], text));
		buf_append_byte(p->out, '"');
	}
	buf_append_byte(p->out, ']');
}

/* Fields that are made to carry credentials; their values are masked wherever they come from. */
static bool carries_credentials(struct span name)
{
	static const struct span parts[] = {
		SPAN_INIT("auth"),	 SPAN_INIT("cookie"),	SPAN_INIT("token"),
		SPAN_INIT("secret"),	 SPAN_INIT("password"), SPAN_INIT("key"),
		SPAN_INIT("credential"),
	};

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (span_find(name, parts[i]) < name.len)
			return true;
	return false;
}

static void print_pairs(struct printer *p, const struct any_list *list)
{
	const struct config_pair *pairs = list->at;

	buf_append_byte(p->out, '{');
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_append_byte(p->out, ',');
		print_plain(p, pairs[i].name);
		buf_append_byte(p->out, ':');
		if (carries_credentials(pairs[i].name))
			buf_append_cstr(p->out, MASK);
		else
			print_text(p, pairs[i].value);
	}
	buf_append_byte(p->out, '}');
}

static void print_list(struct printer *p, const struct schema_object *schema,
		       const struct any_list *list)
{
	buf_append_byte(p->out, '[');
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_append_byte(p->out, ',');
		print_object(p, schema, (const char *)list->at + i * schema->size);
	}
	buf_append_byte(p->out, ']');
}

static void print_map(struct printer *p, const struct schema_object *schema,
		      const struct any_list *list)
{
	buf_append_byte(p->out, '{');
	for (size_t i = 0; i < list->count; i++) {
		const char *object = (const char *)list->at + i * schema->size;
		struct span name;

		memcpy(&name, object + schema->name_offset, sizeof(name));
		if (i > 0)
			buf_append_byte(p->out, ',');
		print_plain(p, name);
		buf_append_byte(p->out, ':');
		print_object(p, schema, object);
	}
	buf_append_byte(p->out, '}');
}

static void print_units(struct printer *p, const struct schema_key *key, uint64_t value)
{
	buf_append_byte(p->out, '"');
	if (key->type == SCHEMA_DURATION)
		units_append_duration(p->out, value);
	else
		units_append_size(p->out, value);
	buf_append_byte(p->out, '"');
}

static void print_value(struct printer *p, const struct schema_key *key, const void *object)
{
	const void *field = (const char *)object + key->offset;
	const struct config_rate *rate = field;
	const struct secret *secret = field;
	const void *const *pointer = field;

	switch (key->type) {
	case SCHEMA_BOOL:
		buf_append_cstr(p->out, *(const bool *)field ? "true" : "false");
		break;
	case SCHEMA_COUNT: buf_append_u64(p->out, *(const uint32_t *)field); break;
	case SCHEMA_COUNTS: print_counts(p, field); break;
	case SCHEMA_DURATION:
	case SCHEMA_SIZE: print_units(p, key, *(const uint64_t *)field); break;
	case SCHEMA_PERCENT: buf_printf(p->out, "\"%u%%\"", *(const uint32_t *)field); break;
	case SCHEMA_RATE:
		buf_append_byte(p->out, '"');
		units_append_rate(p->out, rate->count, rate->per_ms);
		buf_append_byte(p->out, '"');
		break;
	case SCHEMA_ENUM: print_name(p, key, *(const unsigned *)field); break;
	case SCHEMA_FLAGS: print_names(p, key, *(const unsigned *)field); break;
	case SCHEMA_TEXT:
		if (key->flags & SCHEMA_ORIGIN)
			print_origin(p, *(const struct span *)field);
		else
			print_text(p, *(const struct span *)field);
		break;
	case SCHEMA_TEXTS:
	case SCHEMA_CLAIM: print_texts(p, field); break;
	case SCHEMA_FILE:
	case SCHEMA_OUTPUT: print_plain(p, *(const struct span *)field); break;
	case SCHEMA_SECRET: buf_append_cstr(p->out, secret->len > 0 ? MASK : "\"\""); break;
	case SCHEMA_ADDRESS:
		print_plain(p, ((const struct config_address *)field)->text);
		break;
	case SCHEMA_NETWORKS: print_networks(p, field); break;
	case SCHEMA_PAIRS: print_pairs(p, field); break;
	case SCHEMA_OBJECT: print_object(p, key->object, field); break;
	case SCHEMA_OPTIONAL:
		if (*pointer)
			print_object(p, key->object, *pointer);
		else
			buf_append_cstr(p->out, "null");
		break;
	case SCHEMA_LIST: print_list(p, key->object, field); break;
	case SCHEMA_MAP: print_map(p, key->object, field); break;
	case SCHEMA_CUSTOM: key->custom->print(object, p->out); break;
	}
}

static void print_object(struct printer *p, const struct schema_object *schema,
			 const void *object)
{
	const char *comma = "";

	buf_append_byte(p->out, '{');
	for (const struct schema_key *key = schema->keys; key->name; key++) {
		if (key->flags & SCHEMA_HIDDEN)
			continue;
		buf_printf(p->out, "%s\"%s\":", comma, key->name);
		print_value(p, key, object);
		comma = ",";
	}
	buf_append_byte(p->out, '}');
}

void config_print_masked(const struct config *cfg, struct buf *out)
{
	struct printer p = {cfg->priv, out};

	print_object(&p, &schema_config, cfg);
	buf_append_byte(out, '\n');
}
