/*
 * sbom.h - software bills of materials: CycloneDX 1.6 JSON (ECMA-424), SPDX 2.3 JSON
 * (ISO/IEC 5962 and its successor), SPDX 3.0.1 JSON-LD; written from an inventory and read into one.
 *
 * The same inventory always gives the same bytes: identifiers are derived from content, components
 * are in the order of their purls, and there is no time but the one given. Components of several
 * files with the same purl become one, with each place as an occurrence.
 */
#ifndef SUPPLY_SBOM_H
#define SUPPLY_SBOM_H

#include "base/buf.h"
#include "supply/component.h"

enum sbom_format { SBOM_CYCLONEDX, SBOM_SPDX, SBOM_SPDX3 };

struct sbom_options {
	enum sbom_format format;
	/*
	 * Seconds since 1970, or negative: none. SPDX demands a time; without one it is the start
	 * of 1970, which says that it is not known.
	 */
	int64_t time_s;
	bool pretty; /* indented, for people and for diffs */
};

/* A finished inventory. -1 (ERR_MEMORY) when the buffer's maximum is reached. */
int sbom_write(const struct inventory *inv, const struct sbom_options *options, struct buf *to,
	       struct err *err) MUST_CHECK;

/* Does it look like one of the three? */
bool sbom_is(struct span text);
/*
 * Adds the components of a document in any of the three forms, also of other versions of
 * CycloneDX JSON from 1.2 on, and SPDX 2.2. -1 when it is none (ERR_SYNTAX, ERR_INVALID,
 * ERR_MEMORY). `file` names it in the inventory.
 */
int sbom_read(struct inventory *inv, struct span file, struct span text,
	      struct err *err) MUST_CHECK;

#endif
