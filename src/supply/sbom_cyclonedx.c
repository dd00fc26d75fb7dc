/* CycloneDX 1.6 JSON, written and read. */
#include "base/map.h"
#include "supply/licence.h"
#include "supply/purl.h"
#include "supply/sbom_internal.h"

#define SUBJECT_REF "subject"

static void put_property(struct json_writer *w, const char *name, struct span value)
{
	json_begin_object(w);
	json_member_string(w, SPAN("name"), span_cstr(name));
	json_member_string(w, SPAN("value"), value);
	json_end_object(w);
}

static struct span scope_word(enum component_scope scope)
{
	switch (scope) {
	case SCOPE_RUNTIME: return SPAN("required");
	case SCOPE_OPTIONAL: return SPAN("optional");
	case SCOPE_DEV: return SPAN("excluded");
	}
	return SPAN("required");
}

static void put_licence(struct json_writer *w, struct span licence)
{
	struct span id = licence_id(licence);

	if (!licence.len)
		return;
	json_key(w, SPAN("licenses"));
	json_begin_array(w);
	json_begin_object(w);
	if (!id.len && licence_is_expression(licence)) {
		json_member_string(w, SPAN("expression"), licence);
	} else {
		json_key(w, SPAN("license"));
		json_begin_object(w);
		if (id.len)
			json_member_string(w, SPAN("id"), id);
		else
			json_member_string(w, SPAN("name"), licence);
		json_end_object(w);
	}
	json_end_object(w);
	json_end_array(w);
}

static void put_hash(struct json_writer *w, const struct component *c)
{
	struct span name = sbom_hash_name(c->digest_algorithm, true);

	if (!name.len || !c->digest.len)
		return;
	json_key(w, SPAN("hashes"));
	json_begin_array(w);
	json_begin_object(w);
	json_member_string(w, SPAN("alg"), name);
	json_member_string(w, SPAN("content"), c->digest);
	json_end_object(w);
	json_end_array(w);
}

static void put_properties(struct json_writer *w, const struct sbom_list *list,
			   const struct sbom_item *item)
{
	const struct component *c = item->first;
	bool layered = c->layer != COMPONENT_NONE && c->layer < list->inv->layer_count;
	bool owned = c->owner != COMPONENT_NONE;

	if (item->relation == RELATION_UNKNOWN && !item->local && !layered && !owned)
		return;
	json_key(w, SPAN("properties"));
	json_begin_array(w);
	if (layered)
		put_property(w, "sallyport:layer", list->inv->layers[c->layer].digest);
	if (item->local)
		put_property(w, "sallyport:local", SPAN("true"));
	if (owned)
		put_property(w, "sallyport:owner", list->inv->at[c->owner].purl);
	if (item->relation != RELATION_UNKNOWN)
		put_property(w, "sallyport:relation",
			     span_cstr(sbom_relation_name(item->relation)));
	json_end_array(w);
}

static void put_occurrences(struct json_writer *w, const struct sbom_list *list,
			    const struct sbom_item *item)
{
	json_key(w, SPAN("evidence"));
	json_begin_object(w);
	json_key(w, SPAN("occurrences"));
	json_begin_array(w);
	for (uint32_t i = 0; i < item->member_count; i++) {
		const struct component *c = &list->inv->at[item->members[i]];

		json_begin_object(w);
		json_member_string(w, SPAN("location"), c->file);
		if (c->line)
			json_member_int(w, SPAN("line"), c->line);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
}

static void put_component(struct json_writer *w, const struct sbom_list *list,
			  const struct sbom_item *item)
{
	const struct component *c = item->first;
	struct span group, name;

	purl_split(c, &group, &name);
	/* Where the two are one name for people, as in "github.com/org/module", it stays one. */
	if (c->ecosystem != ECOSYSTEM_NPM && c->ecosystem != ECOSYSTEM_MAVEN &&
	    c->ecosystem != ECOSYSTEM_PACKAGIST) {
		group = SPAN("");
		name = c->name;
	}
	json_begin_object(w);
	json_member_string(w, SPAN("type"),
			   c->ecosystem == ECOSYSTEM_OCI ? SPAN("container") : SPAN("library"));
	json_member_string(w, SPAN("bom-ref"), c->purl);
	if (group.len)
		json_member_string(w, SPAN("group"), group);
	json_member_string(w, SPAN("name"), name);
	if (c->version.len)
		json_member_string(w, SPAN("version"), c->version);
	json_member_string(w, SPAN("scope"), scope_word(item->scope));
	put_hash(w, c);
	put_licence(w, item->licence);
	json_member_string(w, SPAN("purl"), c->purl);
	put_properties(w, list, item);
	put_occurrences(w, list, item);
	json_end_object(w);
}

static void put_tools(struct json_writer *w)
{
	json_key(w, SPAN("tools"));
	json_begin_object(w);
	json_key(w, SPAN("components"));
	json_begin_array(w);
	json_begin_object(w);
	json_member_string(w, SPAN("type"), SPAN("application"));
	json_member_string(w, SPAN("name"), SPAN("sallyport"));
	json_member_string(w, SPAN("version"), SPAN(SALLYPORT_VERSION));
	json_end_object(w);
	json_end_array(w);
	json_end_object(w);
}

static void put_metadata(struct json_writer *w, const struct sbom_list *list)
{
	const struct inventory *inv = list->inv;

	json_key(w, SPAN("metadata"));
	json_begin_object(w);
	if (list->time[0])
		json_member_string(w, SPAN("timestamp"), span_cstr(list->time));
	put_tools(w);
	json_key(w, SPAN("component"));
	json_begin_object(w);
	json_member_string(w, SPAN("type"),
			   inv->layer_count ? SPAN("container") : SPAN("application"));
	json_member_string(w, SPAN("bom-ref"), SPAN(SUBJECT_REF));
	json_member_string(w, SPAN("name"), sbom_subject(inv));
	if (inv->subject_version.len)
		json_member_string(w, SPAN("version"), inv->subject_version);
	if (inv->distro.len) {
		json_key(w, SPAN("properties"));
		json_begin_array(w);
		put_property(w, "sallyport:distro", inv->distro);
		put_property(w, "sallyport:distro_version", inv->distro_version);
		json_end_array(w);
	}
	json_end_object(w);
	json_end_object(w);
}

static void put_dependencies(struct json_writer *w, const struct sbom_list *list)
{
	json_key(w, SPAN("dependencies"));
	json_begin_array(w);
	json_begin_object(w);
	json_member_string(w, SPAN("ref"), SPAN(SUBJECT_REF));
	json_key(w, SPAN("dependsOn"));
	json_begin_array(w);
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->items[i].relation == RELATION_DIRECT)
			json_put_string(w, list->items[i].first->purl);
	}
	json_end_array(w);
	json_end_object(w);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct sbom_item *item = &list->items[i];

		json_begin_object(w);
		json_member_string(w, SPAN("ref"), item->first->purl);
		if (item->requires_count) {
			json_key(w, SPAN("dependsOn"));
			json_begin_array(w);
			for (uint32_t k = 0; k < item->requires_count; k++)
				json_put_string(w, list->items[item->requires[k]].first->purl);
			json_end_array(w);
		}
		json_end_object(w);
	}
	json_end_array(w);
}

void sbom_write_cyclonedx(const struct sbom_list *list, struct buf *to)
{
	struct json_writer w;
	struct buf body;
	char uuid[37];

	buf_init(&body, to->max);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	put_metadata(&w, list);
	json_key(&w, SPAN("components"));
	json_begin_array(&w);
	for (uint32_t i = 0; i < list->count; i++)
		put_component(&w, list, &list->items[i]);
	json_end_array(&w);
	put_dependencies(&w, list);
	json_end_object(&w);
	/* The serial number comes from the rest, so it goes in front of it. */
	sbom_uuid(buf_span(&body), uuid);
	buf_printf(to,
		   "{\"$schema\":\"http://cyclonedx.org/schema/bom-1.6.schema.json\","
		   "\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\","
		   "\"serialNumber\":\"urn:uuid:%s\",\"version\":1,",
		   uuid);
	buf_append(to, span_slice(buf_span(&body), 1, body.len));
	if (buf_failed(&body))
		to->failed = true;
	buf_release(&body);
}

/* --- Reading. */

struct reader {
	struct inventory *inv;
	struct span file;
	struct map refs; /* "bom-ref" -> one more than the component's index */
};

static struct span property(const struct node *component, struct span name)
{
	node_for_each(p, node_get(component, SPAN("properties")))
	{
		if (span_eq(node_text_at(p, SPAN("name")), name))
			return node_text_at(p, SPAN("value"));
	}
	return SPAN("");
}

static struct span licence_of(struct inventory *inv, const struct node *component)
{
	struct span all = SPAN("");

	node_for_each(choice, node_get(component, SPAN("licenses")))
	{
		const struct node *licence = node_get(choice, SPAN("license"));
		struct span one = node_text_at(choice, SPAN("expression"));

		if (!one.len)
			one = node_text_at(licence, SPAN("id"));
		if (!one.len)
			one = node_text_at(licence, SPAN("name"));
		if (one.len)
			all = all.len ? inventory_join(inv, all, SPAN(" AND "), one)
				      : inventory_text(inv, one);
	}
	return all;
}

static void set_hash(struct inventory *inv, const struct node *component, struct component *c)
{
	static const struct span known[] = {SPAN_INIT("sha512"), SPAN_INIT("sha384"),
					    SPAN_INIT("sha256"), SPAN_INIT("sha1"),
					    SPAN_INIT("md5")};
	const struct node *hash = node_first(node_get(component, SPAN("hashes")));

	for (size_t i = 0; hash && i < COUNT_OF(known); i++) {
		if (!span_eq(sbom_hash_name(known[i], true), node_text_at(hash, SPAN("alg"))))
			continue;
		c->digest_algorithm = known[i];
		c->digest = inventory_text(inv, node_text_at(hash, SPAN("content")));
	}
}

static void set_place(struct reader *r, const struct node *component, struct component *c)
{
	const struct node *occurrences =
		node_get(node_get(component, SPAN("evidence")), SPAN("occurrences"));
	const struct node *first = node_first(occurrences);
	uint64_t line;

	if (!node_text_at(first, SPAN("location")).len)
		return;
	c->file = inventory_text(r->inv, node_text_at(first, SPAN("location")));
	c->line = 0;
	if (span_to_u64(node_text_at(first, SPAN("line")), &line) && line <= UINT32_MAX)
		c->line = (uint32_t)line;
}

static enum component_scope scope_of(struct span word)
{
	if (span_eq(word, SPAN("excluded")))
		return SCOPE_DEV;
	return span_eq(word, SPAN("optional")) ? SCOPE_OPTIONAL : SCOPE_RUNTIME;
}

static enum component_relation relation_of(struct span word)
{
	if (span_eq(word, SPAN("direct")))
		return RELATION_DIRECT;
	return span_eq(word, SPAN("transitive")) ? RELATION_TRANSITIVE : RELATION_UNKNOWN;
}

static void add(struct reader *r, const struct node *component)
{
	struct span group = node_text_at(component, SPAN("group"));
	struct span name = node_text_at(component, SPAN("name"));
	struct span purl = node_text_at(component, SPAN("purl"));
	struct span ref = node_text_at(component, SPAN("bom-ref"));
	struct span layer = property(component, SPAN("sallyport:layer"));
	struct component c = {.owner = COMPONENT_NONE, .layer = COMPONENT_NONE};
	uint32_t index;

	if (group.len)
		name = inventory_join(r->inv, group,
				      span_starts_with(purl, SPAN("pkg:maven/")) ? SPAN(":")
										 : SPAN("/"),
				      name);
	if (!sbom_component(r->inv, purl, name, node_text_at(component, SPAN("version")), &c)) {
		r->inv->failed = true;
		return;
	}
	c.file = r->file;
	c.line = component->line;
	c.scope = scope_of(node_text_at(component, SPAN("scope")));
	c.relation = relation_of(property(component, SPAN("sallyport:relation")));
	c.local = span_eq(property(component, SPAN("sallyport:local")), SPAN("true"));
	if (layer.len)
		c.layer = sbom_layer(r->inv, layer);
	c.licence = licence_of(r->inv, component);
	set_hash(r->inv, component, &c);
	set_place(r, component, &c);
	index = inventory_add(r->inv, &c);
	if (index != COMPONENT_NONE && ref.len && !map_get(&r->refs, ref) &&
	    map_put(&r->refs, ref, (void *)((uintptr_t)index + 1)) < 0)
		r->inv->failed = true;
}

/* Files, and the operating system itself, are no packages. */
static bool is_package(const struct node *component)
{
	struct span type = node_text_at(component, SPAN("type"));

	return node_text_at(component, SPAN("purl")).len > 0 ||
	       (!span_eq(type, SPAN("file")) && !span_eq(type, SPAN("operating-system")));
}

static void add_all(struct reader *r, const struct node *list, unsigned depth)
{
	node_for_each(component, list)
	{
		if (is_package(component))
			add(r, component);
		if (depth < NODE_DEPTH_MAX)
			add_all(r, node_get(component, SPAN("components")), depth + 1);
	}
}

static uint32_t find(const struct reader *r, struct span ref)
{
	uintptr_t value = (uintptr_t)map_get(&r->refs, ref);

	return value ? (uint32_t)(value - 1) : COMPONENT_NONE;
}

static void link_all(struct reader *r, const struct node *root, struct span subject)
{
	node_for_each(entry, node_get(root, SPAN("dependencies")))
	{
		struct span ref = node_text_at(entry, SPAN("ref"));
		uint32_t from = find(r, ref);

		node_for_each(on, node_get(entry, SPAN("dependsOn")))
		{
			uint32_t to = find(r, node_text(on));

			inventory_edge(r->inv, from, to);
			if (to != COMPONENT_NONE && from == COMPONENT_NONE &&
			    span_eq(ref, subject))
				r->inv->at[to].relation = RELATION_DIRECT;
		}
	}
}

int sbom_read_cyclonedx(struct inventory *inv, struct span file, const struct node *root,
			struct err *err)
{
	const struct node *subject =
		node_get(node_get(root, SPAN("metadata")), SPAN("component"));
	const struct node *list = node_get(root, SPAN("components"));
	struct reader r = {.inv = inv, .file = file, .refs = MAP_INIT};

	if (list && list->kind != NODE_LIST)
		return err_set(err, ERR_INVALID, "line %u: components is no list", list->line);
	inv->subject_name = inventory_text(inv, node_text_at(subject, SPAN("name")));
	inv->subject_version = inventory_text(inv, node_text_at(subject, SPAN("version")));
	inv->distro = inventory_text(inv, property(subject, SPAN("sallyport:distro")));
	inv->distro_version =
		inventory_text(inv, property(subject, SPAN("sallyport:distro_version")));
	add_all(&r, list, 0);
	link_all(&r, root, node_text_at(subject, SPAN("bom-ref")));
	map_release(&r.refs);
	return 0;
}
