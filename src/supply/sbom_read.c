#include "base/mem.h"
#include "supply/purl.h"
#include "supply/sbom_internal.h"

#define TREE_BYTES_MAX ((size_t)4 << 30)
#define LOOK_BYTES 65536 /* the first keys tell what it is */

bool sbom_is(struct span text)
{
	struct span start = span_slice(text, 0, LOOK_BYTES);

	if (span_starts_with(start, SPAN("\xef\xbb\xbf")))
		start = span_slice(start, 3, start.len);
	start = span_trim(start);
	if (!start.len || start.ptr[0] != '{')
		return false;
	return span_find(start, SPAN("\"CycloneDX\"")) < start.len ||
	       span_find(start, SPAN("\"spdxVersion\"")) < start.len ||
	       (span_find(start, SPAN("\"@context\"")) < start.len &&
		span_find(start, SPAN("spdx.org/rdf/3.")) < start.len);
}

/* Purls of some types fold letters; the name as written is better where only that differs. */
static void restore_case(struct inventory *inv, struct span name, struct component *c)
{
	if (span_eq_nocase(name, c->name) && !span_eq(name, c->name))
		c->name = inventory_text(inv, name);
}

bool sbom_component(struct inventory *inv, struct span purl, struct span name,
		    struct span version, struct component *c)
{
	struct purl parsed;
	struct span copy = inventory_text(inv, purl);

	if (purl.len && purl_parse(&inv->arena, copy, &parsed) == PURL_OK) {
		if (!purl_to_component(&inv->arena, &parsed, c))
			return false;
		restore_case(inv, name, c);
		return !inv->failed;
	}
	c->ecosystem = ECOSYSTEM_OTHER;
	c->name = inventory_text(inv, name);
	c->version = inventory_text(inv, version);
	return !inv->failed;
}

uint32_t sbom_layer(struct inventory *inv, struct span digest)
{
	struct image_layer *more;

	for (uint32_t i = 0; i < inv->layer_count; i++) {
		if (span_eq(inv->layers[i].digest, digest))
			return i;
	}
	more = mem_realloc(inv->layers, (inv->layer_count + 1) * sizeof(*more));
	if (!more) {
		inv->failed = true;
		return COMPONENT_NONE;
	}
	inv->layers = more;
	inv->layers[inv->layer_count] =
		(struct image_layer){inventory_text(inv, digest), SPAN("")};
	return inv->layer_count++;
}

void sbom_take_comment(struct inventory *inv, struct span comment, struct component *c)
{
	struct span rest = comment;

	while (rest.ptr && rest.len) {
		struct span part = span_trim(rest);
		size_t equals = span_find_byte(part, '=');
		struct span key = span_slice(part, 0, equals);
		struct span value;
		uint64_t line;

		if (span_eq(key, SPAN("file"))) {
			c->file = inventory_text(inv, span_slice(part, equals + 1, part.len));
			return;
		}
		part = span_cut(&rest, ';');
		part = span_trim(part);
		value = span_slice(part, equals + 1, part.len);
		if (span_eq(key, SPAN("scope")))
			c->scope = span_eq(value, SPAN("dev"))	      ? SCOPE_DEV
				   : span_eq(value, SPAN("optional")) ? SCOPE_OPTIONAL
								      : SCOPE_RUNTIME;
		else if (span_eq(key, SPAN("relation")))
			c->relation = span_eq(value, SPAN("direct"))	   ? RELATION_DIRECT
				      : span_eq(value, SPAN("transitive")) ? RELATION_TRANSITIVE
									   : RELATION_UNKNOWN;
		else if (span_eq(key, SPAN("local")))
			c->local = span_eq(value, SPAN("true"));
		else if (span_eq(key, SPAN("layer")))
			c->layer = sbom_layer(inv, value);
		else if (span_eq(key, SPAN("line")) && span_to_u64(value, &line) &&
			 line <= UINT32_MAX)
			c->line = (uint32_t)line;
	}
}

int sbom_read(struct inventory *inv, struct span file, struct span text, struct err *err)
{
	struct span name = inventory_text(inv, file);
	const struct node *root;
	struct arena tree;
	int result = -1;

	arena_init(&tree, TREE_BYTES_MAX, (size_t)256 << 10);
	root = node_parse_json(&tree, text, err);
	if (root && span_eq(node_text_at(root, SPAN("bomFormat")), SPAN("CycloneDX")))
		result = sbom_read_cyclonedx(inv, name, root, err);
	else if (root && node_text_at(root, SPAN("spdxVersion")).len)
		result = sbom_read_spdx(inv, name, root, err);
	else if (root && node_get(root, SPAN("@graph")))
		result = sbom_read_spdx3(inv, name, root, err);
	else if (root)
		(void)err_set(err, ERR_INVALID, "line 1: neither CycloneDX nor SPDX in JSON");
	arena_release(&tree);
	return result;
}
