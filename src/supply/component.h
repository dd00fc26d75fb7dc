/*
 * component.h - what something is built of: components, their places and their dependencies, and
 * the inventory that lists them. Plain data: parsers of lock files and package databases fill it,
 * the SBOM writers and the matcher read it.
 *
 * Order of use: inventory_init, parsers add with inventory_add and inventory_edge, then
 * inventory_finish once; after that the inventory does not change.
 */
#ifndef SUPPLY_COMPONENT_H
#define SUPPLY_COMPONENT_H

#include "base/arena.h"
#include "base/err.h"

enum ecosystem {
	ECOSYSTEM_OTHER, /* known by its purl only, e.g. read from an SBOM */
	ECOSYSTEM_DPKG,
	ECOSYSTEM_APK,
	ECOSYSTEM_RPM,
	ECOSYSTEM_NPM,
	ECOSYSTEM_PYPI,
	ECOSYSTEM_GO,
	ECOSYSTEM_CARGO,
	ECOSYSTEM_MAVEN,
	ECOSYSTEM_RUBYGEMS,
	ECOSYSTEM_PACKAGIST,
	ECOSYSTEM_NUGET,
	ECOSYSTEM_CONAN,
	ECOSYSTEM_HEX,
	ECOSYSTEM_PUB,
	ECOSYSTEM_SWIFT,
	ECOSYSTEM_CRAN,
	ECOSYSTEM_BIOCONDUCTOR,
	ECOSYSTEM_HACKAGE,
	ECOSYSTEM_ACTIONS, /* GitHub workflow actions */
	ECOSYSTEM_OCI, /* container images */
};
#define ECOSYSTEM_COUNT 21

enum component_scope {
	SCOPE_RUNTIME, /* also when the source does not tell */
	SCOPE_OPTIONAL,
	SCOPE_DEV, /* development, test or build only */
};

enum component_relation {
	RELATION_UNKNOWN,
	RELATION_DIRECT,
	RELATION_TRANSITIVE,
};

/* In place of an index: none. */
#define COMPONENT_NONE UINT32_MAX

struct component {
	enum ecosystem ecosystem;
	enum component_scope scope;
	enum component_relation relation;
	/*
	 * Part of the project itself, or taken from a path or another place that is not the
	 * ecosystem's registry: advisories for its name do not concern it.
	 */
	bool local;
	/*
	 * As advisories name it: "@scope/name", "group:artifact", "github.com/org/module",
	 * normalised where the ecosystem says how (PyPI: lower case and '-').
	 */
	struct span name;
	/* The purl's namespace, not encoded: "@scope", group, "debian"; empty when none. */
	struct span namespace;
	struct span version; /* with epoch ("1:2.3-4"); empty when the source names none */
	/*
	 * Package URL with qualifiers. inventory_finish makes it where the parser has left it
	 * empty, so it is never empty then.
	 */
	struct span purl;
	/* dpkg, apk, rpm: the source package, which advisories name; else empty. */
	struct span source_name;
	struct span source_version;
	struct span arch;
	/* Os-release's ID and VERSION_ID; empty for language packages. */
	struct span distro;
	struct span distro_version;
	struct span
		licence; /* SPDX expression where possible, else as declared; may be empty */
	struct span commit; /* hex digits of the VCS commit it comes from; mostly empty */
	struct span vcs_url; /* with a commit: of which repository; may be empty */
	/* Digest of the distributed archive: "sha512", hex digits; may be empty. */
	struct span digest_algorithm;
	struct span digest;
	struct span published; /* RFC 3339: when it was released; mostly empty */
	struct span file; /* relative to what was scanned, '/' between, "a.jar!/b.jar" inside */
	uint32_t line; /* in the file, from 1; 0: not known */
	uint32_t layer; /* index in inventory.layers, or COMPONENT_NONE */
	uint32_t owner; /* the OS package that installed its file, or COMPONENT_NONE */
	/* Those that require this one, ascending, without duplicates; set by inventory_finish. */
	const uint32_t *required_by;
	uint32_t required_by_count;
	/* Those that this one requires; likewise. */
	const uint32_t *requires;
	uint32_t requires_count;
};

struct image_layer {
	struct span digest; /* "sha256:..." of the uncompressed layer, when known */
	struct span created_by; /* the command that made it; may be empty */
};

/* Something that could not be read; the scan went on. */
struct inventory_problem {
	struct span file;
	uint32_t line; /* 0: not known */
	struct span message;
};

struct inventory_edge {
	uint32_t from; /* requires ... */
	uint32_t to;
};

struct inventory {
	struct arena arena; /* holds all text */
	struct component *at;
	uint32_t count;
	uint32_t capacity;
	struct inventory_edge *edges;
	size_t edge_count;
	size_t edge_capacity;
	struct inventory_problem *problems;
	size_t problem_count;
	size_t problem_capacity;
	struct image_layer *layers;
	uint32_t layer_count;
	/* Of the root file system or image, by its os-release; empty when there is none. */
	struct span distro;
	struct span distro_version;
	struct span distro_name; /* PRETTY_NAME */
	struct span labels; /* of an image: "name=value" a line, values without line breaks */
	/* What was scanned, as the SBOM's subject. */
	struct span subject_name;
	struct span subject_version;
	bool failed; /* memory or a limit ran out: the list is not complete */
	bool finished;
};

/* Allocates nothing yet. max_bytes limits the text (not the list of components). */
void inventory_init(struct inventory *inv, size_t max_bytes);
void inventory_release(struct inventory *inv);
/*
 * Appends a copy of the struct; its spans must live as long as the inventory (inventory_text
 * copies). Returns the index, or COMPONENT_NONE when memory ran out (and inv->failed is set).
 */
uint32_t inventory_add(struct inventory *inv, const struct component *c);
/* A copy in the arena; an empty span when memory ran out (and inv->failed is set). */
struct span inventory_text(struct inventory *inv, struct span text);
struct span inventory_printf(struct inventory *inv, const char *format, ...) PRINTF_LIKE(2, 3);
/* The three one after another, of any length. */
struct span inventory_join(struct inventory *inv, struct span a, struct span b, struct span c);
/* `from` requires `to`; nothing when either is COMPONENT_NONE. */
void inventory_edge(struct inventory *inv, uint32_t from, uint32_t to);
/* Remembers that a file could not be read, or not all of it. Text is copied. */
void inventory_problem(struct inventory *inv, struct span file, uint32_t line,
		       const char *format, ...) PRINTF_LIKE(4, 5);
/*
 * Once, after all was added: fills in purls, makes one component of those of a file that have the
 * same (indices change), then sets requires and required_by, and RELATION_TRANSITIVE
 * for what only other components of its file require, where the file tells direct ones. -1
 * (ERR_MEMORY) when memory ran out, also earlier.
 */
int inventory_finish(struct inventory *inv, struct err *err) MUST_CHECK;
/*
 * The shortest way from a direct component (or one that nobody requires) to `index`, both
 * included, into `path`; returns its length, at most `max`, 0 when there is none of that length.
 */
size_t inventory_path(const struct inventory *inv, uint32_t index, uint32_t *path, size_t max);

/* "npm", "pypi", "golang", "deb", ...: the purl's type; "generic" for ECOSYSTEM_OTHER. */
struct span ecosystem_purl_type(enum ecosystem e);
/* As OSV names it: "npm", "PyPI", "Go", "Maven", "Debian", ...; empty when OSV has none. */
struct span ecosystem_osv_name(const struct component *c);

#endif
