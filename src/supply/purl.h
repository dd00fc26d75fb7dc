/*
 * purl.h - package URLs (ECMA-427, "purl"): scheme:type/namespace/name@version?qualifiers#subpath,
 * written in canonical form, and read back.
 */
#ifndef SUPPLY_PURL_H
#define SUPPLY_PURL_H

#include "supply/component.h"

/*
 * The component's purl by the rules of its type: names folded where the type says so, distro,
 * arch, epoch and upstream as qualifiers for OS packages, vcs_url for what comes from a
 * repository. In the arena; empty when memory ran out.
 */
struct span purl_make(struct arena *a, const struct component *c);

/* The component's name as namespace (maybe empty) and name of its purl. */
void purl_split(const struct component *c, struct span *namespace, struct span *name);

enum purl_result {
	PURL_OK,
	PURL_NO_SCHEME,
	PURL_BAD_TYPE,
	PURL_NO_NAME,
	PURL_BAD_ESCAPE, /* '%' without two digits, or not UTF-8 after decoding */
	PURL_BAD_QUALIFIER, /* a key that is not allowed, or twice */
	PURL_MEMORY,
};

#define PURL_QUALIFIERS_MAX 32

struct purl {
	struct span type; /* lower case */
	struct span namespace; /* decoded; empty when none */
	struct span name;
	struct span version;
	struct {
		struct span key;
		struct span value;
	} qualifiers[PURL_QUALIFIERS_MAX]; /* in the order of the text, without empty ones */
	size_t qualifier_count;
	struct span subpath;
};

/* Parts are decoded into the arena and normalised by the type's rules. */
enum purl_result purl_parse(struct arena *a, struct span text, struct purl *p);
/* The value of a qualifier; empty when there is none. */
struct span purl_qualifier(const struct purl *p, struct span key);
/* The canonical text; empty when memory ran out. */
struct span purl_write(struct arena *a, const struct purl *p);
/* A few words, for a message. */
const char *purl_result_text(enum purl_result result);

/*
 * Fills ecosystem, name, namespace, version, arch, distro, source and purl of a component from a
 * parsed purl, as the parser of its own lock file would have. False when memory ran out.
 */
bool purl_to_component(struct arena *a, const struct purl *p, struct component *c);

#endif
