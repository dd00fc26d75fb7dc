/* SPDX 2.3 JSON, written and read. */
#include "base/map.h"
#include "supply/licence.h"
#include "supply/sbom_internal.h"

#define NO_TIME "1970-01-01T00:00:00Z"
#define ROOT_ID "SPDXRef-Subject"
#define DOCUMENT_ID "SPDXRef-DOCUMENT"
#define COMMENT "sallyport: "

static struct span declared(struct span licence)
{
	struct span id = licence_id(licence);

	if (id.len)
		return id;
	return licence_is_expression(licence) ? licence : SPAN("NOASSERTION");
}

static void put_id(struct json_writer *w, struct span key, const struct sbom_item *item)
{
	char id[64];
	int length = snprintf(id, sizeof(id), "SPDXRef-Package-%s", item->id);

	if (key.len)
		json_key(w, key);
	json_put_string(w, span_of(id, (size_t)length));
}

static void put_common(struct json_writer *w)
{
	json_member_string(w, SPAN("licenseConcluded"), SPAN("NOASSERTION"));
	json_member_string(w, SPAN("copyrightText"), SPAN("NOASSERTION"));
	json_member_bool(w, SPAN("filesAnalyzed"), false);
}

static void put_checksum(struct json_writer *w, const struct component *c)
{
	struct span name = sbom_hash_name(c->digest_algorithm, false);

	if (!name.len || !c->digest.len)
		return;
	json_key(w, SPAN("checksums"));
	json_begin_array(w);
	json_begin_object(w);
	json_member_string(w, SPAN("algorithm"), name);
	json_member_string(w, SPAN("checksumValue"), c->digest);
	json_end_object(w);
	json_end_array(w);
}

static void put_package(struct json_writer *w, const struct sbom_list *list,
			const struct sbom_item *item)
{
	const struct component *c = item->first;
	struct buf comment;

	buf_init(&comment, 1 << 20);
	buf_append_cstr(&comment, COMMENT);
	sbom_put_comment(list, item, &comment);
	json_begin_object(w);
	put_id(w, SPAN("SPDXID"), item);
	json_member_string(w, SPAN("name"), c->name);
	if (c->version.len)
		json_member_string(w, SPAN("versionInfo"), c->version);
	json_member_string(w, SPAN("downloadLocation"), SPAN("NOASSERTION"));
	put_common(w);
	json_member_string(w, SPAN("licenseDeclared"), declared(item->licence));
	if (item->licence.len && !span_eq(declared(item->licence), item->licence))
		json_member_string(w, SPAN("licenseComments"), item->licence);
	put_checksum(w, c);
	json_member_string(w, SPAN("comment"), buf_span(&comment));
	json_key(w, SPAN("externalRefs"));
	json_begin_array(w);
	json_begin_object(w);
	json_member_string(w, SPAN("referenceCategory"), SPAN("PACKAGE-MANAGER"));
	json_member_string(w, SPAN("referenceType"), SPAN("purl"));
	json_member_string(w, SPAN("referenceLocator"), c->purl);
	json_end_object(w);
	json_end_array(w);
	json_end_object(w);
	if (buf_failed(&comment))
		w->to->failed = true;
	buf_release(&comment);
}

static void put_subject(struct json_writer *w, const struct inventory *inv)
{
	json_begin_object(w);
	json_member_string(w, SPAN("SPDXID"), SPAN(ROOT_ID));
	json_member_string(w, SPAN("name"), sbom_subject(inv));
	if (inv->subject_version.len)
		json_member_string(w, SPAN("versionInfo"), inv->subject_version);
	json_member_string(w, SPAN("downloadLocation"), SPAN("NOASSERTION"));
	put_common(w);
	json_member_string(w, SPAN("licenseDeclared"), SPAN("NOASSERTION"));
	json_member_string(w, SPAN("primaryPackagePurpose"),
			   inv->layer_count ? SPAN("CONTAINER") : SPAN("APPLICATION"));
	json_end_object(w);
}

/* The ends are given as items, or NULL for the subject. */
static void put_relationship(struct json_writer *w, const struct sbom_item *from,
			     struct span type, const struct sbom_item *to)
{
	json_begin_object(w);
	if (from)
		put_id(w, SPAN("spdxElementId"), from);
	else
		json_member_string(w, SPAN("spdxElementId"), SPAN(ROOT_ID));
	json_member_string(w, SPAN("relationshipType"), type);
	if (to)
		put_id(w, SPAN("relatedSpdxElement"), to);
	else
		json_member_string(w, SPAN("relatedSpdxElement"), SPAN(ROOT_ID));
	json_end_object(w);
}

static void put_relationships(struct json_writer *w, const struct sbom_list *list)
{
	json_key(w, SPAN("relationships"));
	json_begin_array(w);
	json_begin_object(w);
	json_member_string(w, SPAN("spdxElementId"), SPAN(DOCUMENT_ID));
	json_member_string(w, SPAN("relationshipType"), SPAN("DESCRIBES"));
	json_member_string(w, SPAN("relatedSpdxElement"), SPAN(ROOT_ID));
	json_end_object(w);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct sbom_item *item = &list->items[i];

		if (item->relation != RELATION_DIRECT)
			put_relationship(w, NULL, SPAN("CONTAINS"), item);
		else if (item->scope == SCOPE_DEV)
			put_relationship(w, item, SPAN("DEV_DEPENDENCY_OF"), NULL);
		else if (item->scope == SCOPE_OPTIONAL)
			put_relationship(w, item, SPAN("OPTIONAL_DEPENDENCY_OF"), NULL);
		else
			put_relationship(w, NULL, SPAN("DEPENDS_ON"), item);
		for (uint32_t k = 0; k < item->requires_count; k++)
			put_relationship(w, item, SPAN("DEPENDS_ON"),
					 &list->items[item->requires[k]]);
	}
	json_end_array(w);
}

void sbom_write_spdx(const struct sbom_list *list, struct buf *to)
{
	struct json_writer w;
	struct buf body;
	char uuid[37];

	buf_init(&body, to->max);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_key(&w, SPAN("packages"));
	json_begin_array(&w);
	put_subject(&w, list->inv);
	for (uint32_t i = 0; i < list->count; i++)
		put_package(&w, list, &list->items[i]);
	json_end_array(&w);
	put_relationships(&w, list);
	json_end_object(&w);
	sbom_uuid(buf_span(&body), uuid);
	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("spdxVersion"), SPAN("SPDX-2.3"));
	json_member_string(&w, SPAN("dataLicense"), SPAN("CC0-1.0"));
	json_member_string(&w, SPAN("SPDXID"), SPAN(DOCUMENT_ID));
	json_member_string(&w, SPAN("name"), sbom_subject(list->inv));
	json_key(&w, SPAN("documentNamespace"));
	buf_printf(to, "\"urn:uuid:%s\"", uuid);
	w.need_comma = true;
	json_key(&w, SPAN("creationInfo"));
	json_begin_object(&w);
	json_member_string(&w, SPAN("created"),
			   list->time[0] ? span_cstr(list->time) : SPAN(NO_TIME));
	json_key(&w, SPAN("creators"));
	json_begin_array(&w);
	json_put_string(&w, SPAN("Tool: sallyport-" SALLYPORT_VERSION));
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(to, ',');
	buf_append(to, span_slice(buf_span(&body), 1, body.len));
	if (buf_failed(&body))
		to->failed = true;
	buf_release(&body);
}

/* --- Reading. */

struct reader {
	struct inventory *inv;
	struct span file;
	struct map ids;
	struct span subject;
};

static struct span purl_of(const struct node *package)
{
	node_for_each(reference, node_get(package, SPAN("externalRefs")))
	{
		if (span_eq(node_text_at(reference, SPAN("referenceType")), SPAN("purl")))
			return node_text_at(reference, SPAN("referenceLocator"));
	}
	return SPAN("");
}

static struct span licence_of(struct inventory *inv, const struct node *package)
{
	struct span licence = node_text_at(package, SPAN("licenseDeclared"));
	struct span comments = node_text_at(package, SPAN("licenseComments"));

	if (span_eq(licence, SPAN("NOASSERTION")) || span_eq(licence, SPAN("NONE")))
		licence = comments;
	return inventory_text(inv, comments.len ? comments : licence);
}

static void set_checksum(struct inventory *inv, const struct node *package, struct component *c)
{
	static const struct span known[] = {SPAN_INIT("sha512"), SPAN_INIT("sha384"),
					    SPAN_INIT("sha256"), SPAN_INIT("sha1"),
					    SPAN_INIT("md5")};
	const struct node *sum = node_first(node_get(package, SPAN("checksums")));

	for (size_t i = 0; sum && i < COUNT_OF(known); i++) {
		if (!span_eq(sbom_hash_name(known[i], false),
			     node_text_at(sum, SPAN("algorithm"))))
			continue;
		c->digest_algorithm = known[i];
		c->digest = inventory_text(inv, node_text_at(sum, SPAN("checksumValue")));
	}
}

static void add(struct reader *r, const struct node *package)
{
	struct span id = node_text_at(package, SPAN("SPDXID"));
	struct span comment = node_text_at(package, SPAN("comment"));
	struct component c = {.owner = COMPONENT_NONE, .layer = COMPONENT_NONE};
	uint32_t index;

	if (!sbom_component(r->inv, purl_of(package), node_text_at(package, SPAN("name")),
			    node_text_at(package, SPAN("versionInfo")), &c)) {
		r->inv->failed = true;
		return;
	}
	c.file = r->file;
	c.line = package->line;
	c.licence = licence_of(r->inv, package);
	set_checksum(r->inv, package, &c);
	if (span_starts_with(comment, SPAN(COMMENT)))
		sbom_take_comment(r->inv, span_slice(comment, sizeof(COMMENT) - 1, comment.len),
				  &c);
	index = inventory_add(r->inv, &c);
	if (index != COMPONENT_NONE && id.len && !map_get(&r->ids, id) &&
	    map_put(&r->ids, id, (void *)((uintptr_t)index + 1)) < 0)
		r->inv->failed = true;
}

static uint32_t find(const struct reader *r, struct span id)
{
	uintptr_t value = (uintptr_t)map_get(&r->ids, id);

	return value ? (uint32_t)(value - 1) : COMPONENT_NONE;
}

static void link_one(struct reader *r, struct span from, struct span to,
		     enum component_scope scope)
{
	uint32_t a = find(r, from), b = find(r, to);

	inventory_edge(r->inv, a, b);
	if (b == COMPONENT_NONE || !span_eq(from, r->subject))
		return;
	r->inv->at[b].relation = RELATION_DIRECT;
	if (scope != SCOPE_RUNTIME)
		r->inv->at[b].scope = scope;
}

static void take_relationship(struct reader *r, const struct node *relationship)
{
	static const struct {
		struct span type;
		enum component_scope scope;
		bool reversed;
	} types[] = {
		{SPAN_INIT("DEPENDS_ON"), SCOPE_RUNTIME, false},
		{SPAN_INIT("DEPENDENCY_OF"), SCOPE_RUNTIME, true},
		{SPAN_INIT("RUNTIME_DEPENDENCY_OF"), SCOPE_RUNTIME, true},
		{SPAN_INIT("DEV_DEPENDENCY_OF"), SCOPE_DEV, true},
		{SPAN_INIT("TEST_DEPENDENCY_OF"), SCOPE_DEV, true},
		{SPAN_INIT("BUILD_DEPENDENCY_OF"), SCOPE_DEV, true},
		{SPAN_INIT("OPTIONAL_DEPENDENCY_OF"), SCOPE_OPTIONAL, true},
	};
	struct span type = node_text_at(relationship, SPAN("relationshipType"));
	struct span a = node_text_at(relationship, SPAN("spdxElementId"));
	struct span b = node_text_at(relationship, SPAN("relatedSpdxElement"));

	for (size_t i = 0; i < COUNT_OF(types); i++) {
		if (span_eq(type, types[i].type))
			link_one(r, types[i].reversed ? b : a, types[i].reversed ? a : b,
				 types[i].scope);
	}
}

/* What the document describes, when it has no purl: the thing that was scanned. */
static struct span subject_of(const struct node *root)
{
	const struct node *described = node_first(node_get(root, SPAN("documentDescribes")));

	if (described)
		return node_text(described);
	node_for_each(relationship, node_get(root, SPAN("relationships")))
	{
		if (span_eq(node_text_at(relationship, SPAN("relationshipType")),
			    SPAN("DESCRIBES")))
			return node_text_at(relationship, SPAN("relatedSpdxElement"));
	}
	return SPAN("");
}

int sbom_read_spdx(struct inventory *inv, struct span file, const struct node *root,
		   struct err *err)
{
	const struct node *packages = node_get(root, SPAN("packages"));
	struct reader r = {.inv = inv, .file = file, .ids = MAP_INIT};

	if (packages && packages->kind != NODE_LIST)
		return err_set(err, ERR_INVALID, "line %u: packages is no list",
			       packages->line);
	r.subject = subject_of(root);
	inv->subject_name = inventory_text(inv, node_text_at(root, SPAN("name")));
	node_for_each(package, packages)
	{
		if (span_eq(node_text_at(package, SPAN("SPDXID")), r.subject) &&
		    !purl_of(package).len) {
			inv->subject_name =
				inventory_text(inv, node_text_at(package, SPAN("name")));
			inv->subject_version =
				inventory_text(inv, node_text_at(package, SPAN("versionInfo")));
		} else {
			add(&r, package);
		}
	}
	node_for_each(relationship, node_get(root, SPAN("relationships")))
		take_relationship(&r, relationship);
	map_release(&r.ids);
	return 0;
}
