/* sbom_internal.h - inside of supply: what the writers of the three forms share. */
#ifndef SUPPLY_SBOM_INTERNAL_H
#define SUPPLY_SBOM_INTERNAL_H

#include "parse/json_write.h"
#include "parse/node.h"
#include "supply/sbom.h"

/* Components with one purl, as one. */
struct sbom_item {
	const struct component *first; /* the one whose place comes first */
	const uint32_t *members; /* indices of components, by place */
	uint32_t member_count;
	enum component_scope scope;
	enum component_relation relation;
	bool local;
	struct span licence;
	const uint32_t *requires; /* indices of items, ascending, without duplicates */
	uint32_t requires_count;
	char id[33]; /* hex digits of a hash of the purl */
};

struct sbom_list {
	const struct inventory *inv;
	const struct sbom_options *options;
	struct arena arena;
	struct sbom_item *items; /* by purl */
	uint32_t count;
	char time[32]; /* "2024-01-02T03:04:05Z", or empty */
};

void sbom_write_cyclonedx(const struct sbom_list *list, struct buf *to);
void sbom_write_spdx(const struct sbom_list *list, struct buf *to);
void sbom_write_spdx3(const struct sbom_list *list, struct buf *to);

/* The name of what was scanned; "unnamed" when nobody said. */
struct span sbom_subject(const struct inventory *inv);
/* A UUID (version 8, RFC 9562) of the content, with NUL. */
void sbom_uuid(struct span content, char uuid[37]);
/* "SHA-512" or "SHA512" by `dash`, for a component's digest; empty when it has none. */
struct span sbom_hash_name(struct span algorithm, bool dash);
/*
 * One line for what the SPDX forms have no field for, and back: "scope=dev; relation=direct;
 * file=package-lock.json; line=3; layer=sha256:...".
 */
void sbom_put_comment(const struct sbom_list *list, const struct sbom_item *item,
		      struct buf *to);
void sbom_take_comment(struct inventory *inv, struct span comment, struct component *c);
const char *sbom_scope_name(enum component_scope scope);
const char *sbom_relation_name(enum component_relation relation);
/* The index of the layer with this digest, added when it is new. */
uint32_t sbom_layer(struct inventory *inv, struct span digest);

/* A component from the purl, or by its name alone; false when memory ran out. */
bool sbom_component(struct inventory *inv, struct span purl, struct span name,
		    struct span version, struct component *c);

int sbom_read_cyclonedx(struct inventory *inv, struct span file, const struct node *root,
			struct err *err);
int sbom_read_spdx(struct inventory *inv, struct span file, const struct node *root,
		   struct err *err);
int sbom_read_spdx3(struct inventory *inv, struct span file, const struct node *root,
		    struct err *err);

#endif
