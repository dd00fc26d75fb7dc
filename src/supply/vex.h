/*
 * vex.h - OpenVEX documents (specification 0.2.0, and the older form 0.0.1): what makers say about
 * vulnerabilities of their products.
 *
 * A statement is about a result when it names the vulnerability or one of its aliases, and as a
 * product either the component itself, or what was scanned; in that case with the component, or
 * nothing, as subcomponent. Products are package URLs; without a version they are all versions. Of
 * several statements the newest holds, of equally old ones the last. `not_affected` and `fixed`
 * silence a result; `affected` and `under_investigation` do not, and so can take back what was said.
 */
#ifndef SUPPLY_VEX_H
#define SUPPLY_VEX_H

#include "base/buf.h"
#include "supply/result.h"

enum vex_status {
	VEX_UNDER_INVESTIGATION,
	VEX_AFFECTED,
	VEX_FIXED,
	VEX_NOT_AFFECTED,
};

struct vex_statement {
	enum vex_status status;
	struct span *ids; /* of the vulnerability, with its aliases */
	size_t id_count;
	const struct json *products;
	const struct json *subcomponents; /* of all products, in the older form; or NULL */
	struct span justification;
	struct span impact;
	int64_t time_s;
};

struct vex {
	struct arena arena;
	struct vex_statement *at;
	size_t count;
	/* Statements that do not count, as one line each. */
	struct span *problems;
	size_t problem_count;
};

void vex_init(struct vex *vex);
void vex_release(struct vex *vex);
/*
 * Adds a document's statements. -1: ERR_SYNTAX for what is no JSON, ERR_INVALID for what is no
 * OpenVEX document, ERR_MEMORY. A statement without what its status demands is a problem.
 */
int vex_read(struct vex *vex, struct span name, struct span text, struct err *err) MUST_CHECK;
/* `product` is the purl of what was scanned, or empty. -1 when memory ran out. */
int vex_apply(struct vex *vex, struct span product, struct result_list *results) MUST_CHECK;

struct vex_author {
	struct span product; /* purl of what was scanned; empty: components are the products */
	struct span name; /* of who says it */
	int64_t now_s;
};

/*
 * A document with a statement for each vulnerability: what a VEX document said of it; `affected` for
 * what is waived or excepted, with the reason as the action; else `under_investigation`.
 */
void vex_write(const struct result_list *results, const struct vex_author *author,
	       struct buf *to);

#endif
