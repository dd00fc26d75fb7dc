#include "supply/inventory_child.h"

#include "supply/survey.h"

int inventory_scan_child(struct inventory *inv, const char *path,
			 const struct inventory_options *options,
			 const struct child_limits *limits, struct err *err)
{
	const struct survey survey = {
		.path = path, .components = true, .inventory = *options, .limits = *limits};

	return survey_run(&survey, inv, NULL, err);
}
