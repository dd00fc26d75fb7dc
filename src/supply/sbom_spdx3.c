/* SPDX 3.0.1 as JSON-LD: a graph of elements, in the form of the official context. */
#include "base/map.h"
#include "supply/licence.h"
#include "supply/sbom_internal.h"

#define CONTEXT "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
#define NO_TIME "1970-01-01T00:00:00Z"
#define CREATION "_:creationinfo"
#define COMMENT "sallyport: "

struct writer {
	struct json_writer w;
	const struct sbom_list *list;
	char base[64]; /* "urn:uuid:...#" */
};

static void put_ref(struct writer *s, const char *kind, const char *id)
{
	char text[160];
	int length = snprintf(text, sizeof(text), "%s%s%s", s->base, kind, id);

	json_put_string(&s->w, span_of(text, (size_t)length));
}

/* Begins an element of the graph. */
static void begin(struct writer *s, struct span type, const char *kind, const char *id)
{
	json_begin_object(&s->w);
	json_member_string(&s->w, SPAN("type"), type);
	json_key(&s->w, SPAN("spdxId"));
	put_ref(s, kind, id);
	json_member_string(&s->w, SPAN("creationInfo"), SPAN(CREATION));
}

static void put_creation(struct writer *s)
{
	json_begin_object(&s->w);
	json_member_string(&s->w, SPAN("type"), SPAN("CreationInfo"));
	json_member_string(&s->w, SPAN("@id"), SPAN(CREATION));
	json_member_string(&s->w, SPAN("specVersion"), SPAN("3.0.1"));
	json_member_string(&s->w, SPAN("created"),
			   s->list->time[0] ? span_cstr(s->list->time) : SPAN(NO_TIME));
	json_key(&s->w, SPAN("createdBy"));
	json_begin_array(&s->w);
	put_ref(s, "agent", "");
	json_end_array(&s->w);
	json_key(&s->w, SPAN("createdUsing"));
	json_begin_array(&s->w);
	put_ref(s, "tool", "");
	json_end_array(&s->w);
	json_end_object(&s->w);
	begin(s, SPAN("SoftwareAgent"), "agent", "");
	json_member_string(&s->w, SPAN("name"), SPAN("sallyport"));
	json_end_object(&s->w);
	begin(s, SPAN("Tool"), "tool", "");
	json_member_string(&s->w, SPAN("name"), SPAN("sallyport-" SALLYPORT_VERSION));
	json_end_object(&s->w);
}

static void put_document(struct writer *s)
{
	struct json_writer *w = &s->w;

	begin(s, SPAN("SpdxDocument"), "document", "");
	json_member_string(w, SPAN("name"), sbom_subject(s->list->inv));
	json_key(w, SPAN("profileConformance"));
	json_begin_array(w);
	json_put_string(w, SPAN("core"));
	json_put_string(w, SPAN("software"));
	json_put_string(w, SPAN("simpleLicensing"));
	json_end_array(w);
	json_key(w, SPAN("rootElement"));
	json_begin_array(w);
	put_ref(s, "sbom", "");
	json_end_array(w);
	json_end_object(w);
	begin(s, SPAN("software_Sbom"), "sbom", "");
	json_key(w, SPAN("rootElement"));
	json_begin_array(w);
	put_ref(s, "subject", "");
	json_end_array(w);
	json_key(w, SPAN("element"));
	json_begin_array(w);
	put_ref(s, "subject", "");
	for (uint32_t i = 0; i < s->list->count; i++)
		put_ref(s, "package-", s->list->items[i].id);
	json_end_array(w);
	json_end_object(w);
}

static void put_subject(struct writer *s)
{
	const struct inventory *inv = s->list->inv;

	begin(s, SPAN("software_Package"), "subject", "");
	json_member_string(&s->w, SPAN("name"), sbom_subject(inv));
	json_member_string(&s->w, SPAN("software_primaryPurpose"),
			   inv->layer_count ? SPAN("container") : SPAN("application"));
	if (inv->subject_version.len)
		json_member_string(&s->w, SPAN("software_packageVersion"),
				   inv->subject_version);
	json_end_object(&s->w);
}

static void put_package(struct writer *s, const struct sbom_item *item)
{
	const struct component *c = item->first;
	struct span hash = c->digest_algorithm;
	struct buf comment;

	buf_init(&comment, 1 << 20);
	buf_append_cstr(&comment, COMMENT);
	sbom_put_comment(s->list, item, &comment);
	begin(s, SPAN("software_Package"), "package-", item->id);
	json_member_string(&s->w, SPAN("name"), c->name);
	json_member_string(&s->w, SPAN("comment"), buf_span(&comment));
	json_member_string(&s->w, SPAN("software_primaryPurpose"),
			   c->ecosystem == ECOSYSTEM_OCI ? SPAN("container") : SPAN("library"));
	if (c->version.len)
		json_member_string(&s->w, SPAN("software_packageVersion"), c->version);
	json_member_string(&s->w, SPAN("software_packageUrl"), c->purl);
	if (hash.len && c->digest.len) {
		json_key(&s->w, SPAN("verifiedUsing"));
		json_begin_array(&s->w);
		json_begin_object(&s->w);
		json_member_string(&s->w, SPAN("type"), SPAN("Hash"));
		json_member_string(&s->w, SPAN("algorithm"), hash);
		json_member_string(&s->w, SPAN("hashValue"), c->digest);
		json_end_object(&s->w);
		json_end_array(&s->w);
	}
	json_end_object(&s->w);
	if (buf_failed(&comment))
		s->w.to->failed = true;
	buf_release(&comment);
}

static void put_licence(struct writer *s, const struct sbom_item *item)
{
	struct span id = licence_id(item->licence);

	if (!id.len && licence_is_expression(item->licence))
		id = item->licence;
	if (!id.len && !item->licence.len)
		return;
	if (id.len) {
		begin(s, SPAN("simplelicensing_LicenseExpression"), "licence-", item->id);
		json_member_string(&s->w, SPAN("simplelicensing_licenseExpression"), id);
	} else {
		begin(s, SPAN("simplelicensing_SimpleLicensingText"), "licence-", item->id);
		json_member_string(&s->w, SPAN("simplelicensing_licenseText"), item->licence);
	}
	json_end_object(&s->w);
	begin(s, SPAN("Relationship"), "declares-", item->id);
	json_key(&s->w, SPAN("from"));
	put_ref(s, "package-", item->id);
	json_member_string(&s->w, SPAN("relationshipType"), SPAN("hasDeclaredLicense"));
	json_key(&s->w, SPAN("to"));
	json_begin_array(&s->w);
	put_ref(s, "licence-", item->id);
	json_end_array(&s->w);
	json_end_object(&s->w);
}

/* What the subject requires directly, of one scope. */
static void put_direct(struct writer *s, enum component_scope scope)
{
	bool dev = scope == SCOPE_DEV, begun = false;

	for (uint32_t i = 0; i < s->list->count; i++) {
		const struct sbom_item *item = &s->list->items[i];

		if (item->relation != RELATION_DIRECT || item->scope != scope)
			continue;
		if (!begun) {
			begin(s, SPAN("LifecycleScopedRelationship"), "requires-",
			      sbom_scope_name(scope));
			json_key(&s->w, SPAN("from"));
			put_ref(s, "subject", "");
			json_member_string(&s->w, SPAN("relationshipType"),
					   scope == SCOPE_OPTIONAL
						   ? SPAN("hasOptionalDependency")
						   : SPAN("dependsOn"));
			json_member_string(&s->w, SPAN("scope"),
					   dev ? SPAN("development") : SPAN("runtime"));
			json_key(&s->w, SPAN("to"));
			json_begin_array(&s->w);
			begun = true;
		}
		put_ref(s, "package-", item->id);
	}
	if (begun) {
		json_end_array(&s->w);
		json_end_object(&s->w);
	}
}

static void put_requires(struct writer *s, const struct sbom_item *item)
{
	if (!item->requires_count)
		return;
	begin(s, SPAN("Relationship"), "requires-", item->id);
	json_key(&s->w, SPAN("from"));
	put_ref(s, "package-", item->id);
	json_member_string(&s->w, SPAN("relationshipType"), SPAN("dependsOn"));
	json_key(&s->w, SPAN("to"));
	json_begin_array(&s->w);
	for (uint32_t k = 0; k < item->requires_count; k++)
		put_ref(s, "package-", s->list->items[item->requires[k]].id);
	json_end_array(&s->w);
	json_end_object(&s->w);
}

/* The name of the document comes from what it lists. */
static void make_base(struct writer *s, const struct sbom_list *list, size_t max_bytes)
{
	struct buf content;
	char uuid[37];

	buf_init(&content, max_bytes);
	buf_append(&content, sbom_subject(list->inv));
	for (uint32_t i = 0; i < list->count; i++) {
		buf_append(&content, list->items[i].first->purl);
		sbom_put_comment(list, &list->items[i], &content);
	}
	sbom_uuid(buf_span(&content), uuid);
	snprintf(s->base, sizeof(s->base), "urn:uuid:%s#", uuid);
	if (buf_failed(&content))
		s->w.to->failed = true;
	buf_release(&content);
}

void sbom_write_spdx3(const struct sbom_list *list, struct buf *to)
{
	struct writer s = {.list = list};

	json_writer_init(&s.w, to);
	make_base(&s, list, to->max);
	json_begin_object(&s.w);
	json_member_string(&s.w, SPAN("@context"), SPAN(CONTEXT));
	json_key(&s.w, SPAN("@graph"));
	json_begin_array(&s.w);
	put_creation(&s);
	put_document(&s);
	put_subject(&s);
	for (uint32_t i = 0; i < list->count; i++)
		put_package(&s, &list->items[i]);
	for (uint32_t i = 0; i < list->count; i++)
		put_licence(&s, &list->items[i]);
	put_direct(&s, SCOPE_RUNTIME);
	put_direct(&s, SCOPE_OPTIONAL);
	put_direct(&s, SCOPE_DEV);
	for (uint32_t i = 0; i < list->count; i++)
		put_requires(&s, &list->items[i]);
	json_end_array(&s.w);
	json_end_object(&s.w);
}

/* --- Reading. */

struct reader {
	struct inventory *inv;
	struct span file;
	struct map elements; /* spdxId -> node */
	struct map packages; /* spdxId -> one more than the component's index */
	struct span subject;
};

static struct span id_of(const struct node *element)
{
	struct span id = node_text_at(element, SPAN("spdxId"));

	return id.len ? id : node_text_at(element, SPAN("@id"));
}

static bool is_type(const struct node *element, struct span type)
{
	return span_eq(node_text_at(element, SPAN("type")), type) ||
	       span_eq(node_text_at(element, SPAN("@type")), type);
}

static void add(struct reader *r, const struct node *element)
{
	struct span comment = node_text_at(element, SPAN("comment"));
	const struct node *hash = node_first(node_get(element, SPAN("verifiedUsing")));
	struct component c = {.owner = COMPONENT_NONE, .layer = COMPONENT_NONE};
	struct span id = id_of(element), purl;
	uint32_t index;

	purl = node_text_at(element, SPAN("software_packageUrl"));
	if (!purl.len)
		node_for_each(e, node_get(element, SPAN("externalIdentifier")))
		{
			if (span_eq(node_text_at(e, SPAN("externalIdentifierType")),
				    SPAN("packageUrl")))
				purl = node_text_at(e, SPAN("identifier"));
		}
	if (!sbom_component(r->inv, purl, node_text_at(element, SPAN("name")),
			    node_text_at(element, SPAN("software_packageVersion")), &c)) {
		r->inv->failed = true;
		return;
	}
	c.file = r->file;
	c.line = element->line;
	if (hash && sbom_hash_name(node_text_at(hash, SPAN("algorithm")), true).len) {
		c.digest_algorithm =
			inventory_text(r->inv, node_text_at(hash, SPAN("algorithm")));
		c.digest = inventory_text(r->inv, node_text_at(hash, SPAN("hashValue")));
	}
	if (span_starts_with(comment, SPAN(COMMENT)))
		sbom_take_comment(r->inv, span_slice(comment, sizeof(COMMENT) - 1, comment.len),
				  &c);
	index = inventory_add(r->inv, &c);
	if (index != COMPONENT_NONE && id.len && !map_get(&r->packages, id) &&
	    map_put(&r->packages, id, (void *)((uintptr_t)index + 1)) < 0)
		r->inv->failed = true;
}

static uint32_t find(const struct reader *r, struct span id)
{
	uintptr_t value = (uintptr_t)map_get(&r->packages, id);

	return value ? (uint32_t)(value - 1) : COMPONENT_NONE;
}

static void declare(struct reader *r, uint32_t from, struct span licence)
{
	const struct node *element = map_get(&r->elements, licence);
	struct span text = node_text_at(element, SPAN("simplelicensing_licenseExpression"));

	if (!text.len)
		text = node_text_at(element, SPAN("simplelicensing_licenseText"));
	if (from != COMPONENT_NONE && text.len)
		r->inv->at[from].licence = inventory_text(r->inv, text);
}

static void take_target(struct reader *r, const struct node *element, struct span to)
{
	struct span type = node_text_at(element, SPAN("relationshipType"));
	struct span scope = node_text_at(element, SPAN("scope"));
	struct span from = node_text_at(element, SPAN("from"));
	uint32_t a = find(r, from), b = find(r, to);

	if (span_eq(type, SPAN("hasDeclaredLicense"))) {
		declare(r, a, to);
		return;
	}
	if (!span_eq(type, SPAN("dependsOn")) && !span_eq(type, SPAN("hasOptionalDependency")))
		return;
	inventory_edge(r->inv, a, b);
	if (b == COMPONENT_NONE || !span_eq(from, r->subject))
		return;
	r->inv->at[b].relation = RELATION_DIRECT;
	if (span_eq(scope, SPAN("development")) || span_eq(scope, SPAN("test")))
		r->inv->at[b].scope = SCOPE_DEV;
	else if (span_eq(type, SPAN("hasOptionalDependency")))
		r->inv->at[b].scope = SCOPE_OPTIONAL;
}

static void take_relationship(struct reader *r, const struct node *element)
{
	const struct node *to = node_get(element, SPAN("to"));

	if (node_is(to, NODE_STRING))
		take_target(r, element, node_text(to));
	node_for_each(one, to) take_target(r, element, node_text(one));
}

static void index_elements(struct reader *r, const struct node *graph)
{
	const struct node *sbom = NULL;

	for (const struct node *e = node_first(graph); e; e = e->next) {
		union {
			const struct node *in;
			void *out;
		} value = {e}; /* the map holds what it is given, without const */

		if (is_type(e, SPAN("software_Sbom")))
			sbom = e;
		if (id_of(e).len && map_put(&r->elements, id_of(e), value.out) < 0)
			r->inv->failed = true;
	}
	r->subject = node_text(node_first(node_get(sbom, SPAN("rootElement"))));
}

int sbom_read_spdx3(struct inventory *inv, struct span file, const struct node *root,
		    struct err *err)
{
	const struct node *graph = node_get(root, SPAN("@graph"));
	struct reader r = {
		.inv = inv, .file = file, .elements = MAP_INIT, .packages = MAP_INIT};

	if (!node_is(graph, NODE_LIST))
		return err_set(err, ERR_INVALID, "line 1: no list of elements (@graph)");
	index_elements(&r, graph);
	node_for_each(element, graph)
	{
		if (!is_type(element, SPAN("software_Package")))
			continue;
		if (span_eq(id_of(element), r.subject) &&
		    !node_text_at(element, SPAN("software_packageUrl")).len) {
			inv->subject_name =
				inventory_text(inv, node_text_at(element, SPAN("name")));
			inv->subject_version = inventory_text(
				inv, node_text_at(element, SPAN("software_packageVersion")));
		} else {
			add(&r, element);
		}
	}
	node_for_each(element, graph)
	{
		if (is_type(element, SPAN("Relationship")) ||
		    is_type(element, SPAN("LifecycleScopedRelationship")))
			take_relationship(&r, element);
	}
	map_release(&r.elements);
	map_release(&r.packages);
	return 0;
}
