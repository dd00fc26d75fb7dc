/*
 * schema_scan.h - reads whole tokens of a piece without the tokenizer, and checks what most bodies
 * are made of as it goes: objects and arrays with one schema that has no branches, plain strings,
 * short numbers. It stops before anything else, which the tokenizer and the general functions of
 * schema_level.c then do, and may go on after that. For the files of the engine only.
 */
#ifndef CONTRACT_SCHEMA_SCAN_H
#define CONTRACT_SCHEMA_SCAN_H

#include "contract/schema_run.h"

void run_scan(struct schema_run *run);

#endif
