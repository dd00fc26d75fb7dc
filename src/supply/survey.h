/*
 * survey.h - everything that a scan reads, in one sandboxed child: components, misconfigurations
 * and secrets of a folder, image, root file system, SBOM or file.
 */
#ifndef SUPPLY_SURVEY_H
#define SUPPLY_SURVEY_H

#include "base/finding.h"
#include "supply/check_walk.h"
#include "supply/child.h"
#include "supply/inventory.h"

struct survey {
	const char *path;
	bool components;
	bool misconfigurations;
	bool secrets;
	bool shellcheck; /* also what ShellCheck finds, with `misconfigurations` */
	const char *rules_path; /* rules of the user's; NULL: none */
	struct inventory_options inventory;
	struct check_walk_limits files; /* of those that are checked */
	struct child_limits limits;
};

/*
 * Fills an initialised inventory, and the list of findings, which may be NULL when only components
 * are asked for. Files that could not be read are problems of the inventory. -1 as child_run and
 * inventory_scan; ERR_SYNTAX, ERR_INVALID for rules.
 */
int survey_run(const struct survey *survey, struct inventory *inv,
	       struct finding_list *findings, struct err *err) MUST_CHECK;

#endif
