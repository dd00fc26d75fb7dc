/* lsp_check.h - inside of supply: what there is to say about one text that is open in an editor. */
#ifndef SUPPLY_LSP_CHECK_H
#define SUPPLY_LSP_CHECK_H

#include "supply/advisory_db.h"
#include "supply/check.h"
#include "supply/lsp_text.h"

/* A part of the text, and what to put in its place. */
struct lsp_edit {
	size_t start;
	size_t end;
	struct span text;
	struct span title;
};

struct lsp_problem {
	size_t start; /* bytes of the text */
	size_t end;
	enum finding_severity severity;
	struct span code; /* a rule's or an advisory's id */
	struct span message;
	struct span detail; /* Markdown, for a hover: why, and what to do */
	struct span link;
	bool has_edit;
	struct lsp_edit edit;
};

struct lsp_problems {
	struct arena *arena;
	struct lsp_problem *at;
	size_t count;
	size_t capacity;
	struct lsp_lines lines; /* of the text */
	bool failed; /* memory ran out */
};

/*
 * Fills the (zeroed) list, everything in its arena, for a text of this path. A broken document is
 * a problem of its own. `db` may be NULL: then no vulnerabilities are told.
 */
void lsp_check(struct lsp_problems *list, const struct advisory_db *db, struct checker *checker,
	       struct span path, struct span text);

/*
 * A manifest whose dependencies are ranges (package.json, composer.json, Cargo.toml, pyproject.toml):
 * adds each with the lowest version that its range names. False when it is none of these, or broken.
 */
struct lock_input;
bool lsp_manifest(const struct lock_input *in);

#endif
