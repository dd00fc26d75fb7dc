/*
 * lock_parse.h - the parsers of lock files, manifests and package databases: bytes in, components
 * in an inventory out. No input or output.
 *
 * Each parser returns 0, or -1 with "line 3: ..." in *err (ERR_SYNTAX, ERR_INVALID, ERR_LIMIT,
 * ERR_MEMORY) when the text is not what it should be; components found before that place stay. A
 * single entry that cannot be understood, in an otherwise good file, is told by inventory_problem
 * and does not fail it. Running out of memory for components shows in inv->failed.
 */
#ifndef SUPPLY_LOCK_PARSE_H
#define SUPPLY_LOCK_PARSE_H

#include "parse/node.h"
#include "supply/component.h"

struct lock_input {
	struct inventory *inv; /* text of components is copied into its arena */
	struct arena *scratch; /* for what is needed while the file is parsed */
	struct span file; /* its name, in inv's arena (or living as long) */
	struct span text;
	uint32_t layer; /* or COMPONENT_NONE */
	/*
	 * The text of another file, by its path relative to the folder of this one; SPAN_NONE
	 * when it is not there. NULL: nothing is. What it gives lives as long as `text`.
	 */
	struct span (*beside)(void *context, struct span path);
	/* Told of each file that this one includes, by a path as above; may be NULL. */
	void (*include)(void *context, struct span path);
	/*
	 * OS packages' databases tell it each installed file: FOLDER "/" FILE, or FILE alone when
	 * the folder is empty; a leading '/' may be there. May be NULL.
	 */
	void (*owns)(void *context, uint32_t package, struct span folder, struct span file);
	/*
	 * Told what an installed package requires, by a name as components of its ecosystem have
	 * it; other files say whether it is there. May be NULL.
	 */
	void (*requires)(void *context, uint32_t component, struct span name);
	void *context;
};

/* JavaScript */
int lock_npm(const struct lock_input *in, struct err *err); /* package-lock, shrinkwrap 1-3 */
int lock_yarn(const struct lock_input *in, struct err *err); /* 1 and berry */
int lock_pnpm(const struct lock_input *in, struct err *err); /* 5 to 9 */
int lock_bun(const struct lock_input *in, struct err *err); /* bun.lock */
/* bun.lockb, formats 2 and 3; other ones are ERR_INVALID, saying so. */
int lock_bun_binary(const struct lock_input *in, struct err *err);
int lock_package_json(const struct lock_input *in, struct err *err); /* an installed package */
/* Python */
int lock_requirements(const struct lock_input *in, struct err *err);
int lock_poetry(const struct lock_input *in, struct err *err);
int lock_uv(const struct lock_input *in, struct err *err);
int lock_pipfile(const struct lock_input *in, struct err *err);
int lock_pdm(const struct lock_input *in, struct err *err);
int lock_pylock(const struct lock_input *in, struct err *err);
int lock_dist_info(const struct lock_input *in, struct err *err); /* METADATA, PKG-INFO */
/* Go */
int lock_go_mod(const struct lock_input *in, struct err *err);
int lock_go_sum(const struct lock_input *in, struct err *err);
/* Rust */
int lock_cargo(const struct lock_input *in, struct err *err);
/* Programs in ELF: Go's build information, cargo-auditable's list; nothing in others. */
int lock_binary(const struct lock_input *in, struct err *err);
/* Java */
int lock_maven(const struct lock_input *in, struct err *err); /* pom.xml */
int lock_gradle(const struct lock_input *in, struct err *err); /* *.lockfile */
int lock_gradle_verification(const struct lock_input *in, struct err *err);
/* Ruby, PHP, .NET, C++, Elixir, Dart, Swift, R, Haskell */
int lock_bundler(const struct lock_input *in, struct err *err);
int lock_gemspec(const struct lock_input *in, struct err *err); /* an installed gem's */
int lock_composer(const struct lock_input *in, struct err *err);
int lock_nuget(const struct lock_input *in, struct err *err); /* packages.lock.json */
int lock_dotnet_deps(const struct lock_input *in, struct err *err); /* *.deps.json */
int lock_nuget_config(const struct lock_input *in, struct err *err); /* packages.config */
int lock_conan(const struct lock_input *in, struct err *err);
int lock_mix(const struct lock_input *in, struct err *err);
int lock_pub(const struct lock_input *in, struct err *err);
int lock_swift(const struct lock_input *in, struct err *err); /* Package.resolved */
int lock_renv(const struct lock_input *in, struct err *err);
int lock_cabal(const struct lock_input *in, struct err *err); /* cabal.project.freeze */
int lock_stack(const struct lock_input *in, struct err *err); /* stack.yaml.lock */
/* What is not a language's */
int lock_workflow(const struct lock_input *in, struct err *err); /* GitHub workflow, action */
int lock_dockerfile(const struct lock_input *in, struct err *err);

/* --- Packages of operating systems, with inv's distro in each. */

int os_dpkg(const struct lock_input *in, struct err *err); /* status, status.d/NAME */
/* info/NAME.list or status.d/NAME.md5sums: tells what a package owns, which is there already. */
int os_dpkg_list(const struct lock_input *in, struct err *err);
/* usr/share/doc/NAME/copyright: the licence of a package, which is there already. */
int os_dpkg_copyright(const struct lock_input *in, struct err *err);
/*
 * Packages of one source have one copyright file, and folders of documentation are often links:
 * what has no licence then takes that of another package of its source.
 */
void os_dpkg_share_licences(const struct lock_input *in);
int os_apk(const struct lock_input *in, struct err *err); /* installed */
int os_rpm_sqlite(const struct lock_input *in, struct err *err); /* rpmdb.sqlite */
int os_rpm_ndb(const struct lock_input *in, struct err *err); /* Packages.db */
/* Berkeley DB, of systems before 2020: always ERR_INVALID, saying so. */
int os_rpm_bdb(const struct lock_input *in, struct err *err);
/* os-release: sets inv's distro; the first one counts. */
int os_release(const struct lock_input *in, struct err *err);

/* --- What they share. */

/*
 * Adds a component with copies of name and version, and returns it, to be filled in further until
 * the next is added; *index may be NULL. NULL when memory ran out.
 */
struct component *lock_add(const struct lock_input *in, enum ecosystem ecosystem,
			   struct span name, struct span version, uint32_t line,
			   uint32_t *index);
struct span lock_text(const struct lock_input *in, struct span text);
/*
 * "https://example.test/a/b.git#0123…", "git+ssh://…#…", "github:a/b#…": sets commit and vcs_url
 * when the address names a commit (7 to 64 hex digits).
 */
bool lock_vcs(const struct lock_input *in, struct component *c, struct span address);
bool lock_is_commit(struct span s);
/* "sha512-<base64>", "sha256:<hex>", or with another separator: sets the digest. */
void lock_digest(const struct lock_input *in, struct component *c, struct span digest);
/*
 * Of the components from `first` on, whose edges begin at `first_edge`: those that can be reached
 * from a direct one that is not for development, are not either; the others of those that can be
 * reached from one for development, are. For files that mark only direct ones.
 */
void lock_spread_scopes(const struct lock_input *in, uint32_t first, size_t first_edge);

/* Names to indices, in a map of base/map.h. Keys must live until it is released. */
struct map;
/* Nothing when the key is there already. */
void lock_index_put(const struct lock_input *in, struct map *m, struct span key,
		    uint32_t index);
/* COMPONENT_NONE when absent. */
uint32_t lock_index_get(const struct map *m, struct span key);

/*
 * Marks components from `first` on as direct which a manifest beside the lock file names: its text
 * has `before`, the component's name, and then one of the bytes of `after`. The manifest is a program
 * in a language that is not run, so that this is a guess; when it names one, the others become
 * transitive. Nothing when there is no such file.
 */
void lock_mark_named(const struct lock_input *in, struct span manifest, uint32_t first,
		     const char *before, const char *after);

/* PEP 503: lower case, runs of '-', '_' and '.' become one '-'. In the scratch arena. */
struct span lock_python_name(const struct lock_input *in, struct span name);

/* Lines of a text, numbered; without CR. */
struct lock_lines {
	struct span rest;
	uint32_t number;
};
void lock_lines_init(struct lock_lines *l, struct span text);
bool lock_lines_next(struct lock_lines *l, struct span *line);
/* For forms that any text would be: -1 (ERR_SYNTAX) when there is a NUL in it. */
int lock_check_text(const struct lock_input *in, struct err *err) MUST_CHECK;
/* Leading spaces; a tab counts as one. */
size_t lock_indent(struct span line);

/* A YAML document as a tree; aliases share what they stand for. As node_parse_json. */
struct node *lock_parse_yaml(struct arena *a, struct span text, struct err *err);
/*
 * An XML document's root element: a string when it holds only text, else a map from the names of
 * its elements (without prefix) and "@" with those of its attributes, in order, "#text" for text
 * beside them. No entities but the predefined ones, no network.
 */
struct node *lock_parse_xml(struct arena *a, struct span text, struct err *err);

#endif
