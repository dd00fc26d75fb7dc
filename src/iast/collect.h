/*
 * collect.h - from what agents tell to findings. A value that lies within one literal counts once
 * another one was seen in the same place of the same statement: then it is no chance. Paths that differ
 * in numbers alone are one operation.
 */
#ifndef IAST_COLLECT_H
#define IAST_COLLECT_H

#include "base/finding.h"
#include "iast/record.h"

#define IAST_PLACES_MAX 20000

struct iast_place;

struct iast_collection {
	struct arena *arena;
	struct iast_place *places;
	size_t count;
	uint64_t records, unreadable, dropped; /* dropped: there were too many places */
};

void iast_collection_init(struct iast_collection *collection, struct arena *arena);
/* A datagram of an agent. -1 when memory ran out. */
int iast_collection_add(struct iast_collection *collection, struct span datagram) MUST_CHECK;
/* Appends a finding for each operation, parameter and kind, in the order in which they were seen first. */
int iast_collection_find(const struct iast_collection *collection,
			 struct finding_list *findings) MUST_CHECK;

#endif
