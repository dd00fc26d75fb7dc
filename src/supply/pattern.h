/*
 * pattern.h - what policies, exceptions and waivers speak of: paths, package URLs, versions. Pure.
 */
#ifndef SUPPLY_PATTERN_H
#define SUPPLY_PATTERN_H

#include "supply/component.h"

/*
 * Shell patterns on paths: '*' is anything but '/', '**' anything, '?' one character but '/'. A
 * pattern that names a folder ("deploy", "deploy/") fits all below it.
 */
bool pattern_path(struct span pattern, struct span path);

/*
 * A package URL, or a pattern of one: "pkg:npm/lodash" is any version of it, "pkg:npm/lodash@4.17.0"
 * that version, "pkg:npm/@scope/" and '*' all of a scope; qualifiers that the pattern names must be
 * those of the purl. Escapes (%40) are decoded on both sides. Nothing longer than 2048 bytes fits.
 */
bool pattern_purl(struct span pattern, struct span purl);
/* Does it look like one? */
bool pattern_purl_valid(struct span pattern);

/*
 * Ranges of versions: ">=1.2 <2 || 3.0.1": comparisons (=, !=, <, <=, >, >=; none is =) that all
 * hold, and alternatives behind "||". "*" is any version. Compared by the component's ecosystem, or
 * as SemVer where it has no order.
 */
bool pattern_versions(struct span ranges, const struct component *c);
bool pattern_versions_valid(struct span ranges);

#endif
