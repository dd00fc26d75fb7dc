/*
 * toml.h - TOML 1.0 documents (lock files, manifests) as a tree of node.h. Strict: keys and tables
 * that come twice are refused, strings are valid UTF-8 without control characters. Numbers, dates
 * and times keep their text and are checked for their characters only.
 */
#ifndef PARSE_TOML_H
#define PARSE_TOML_H

#include "parse/node.h"

/*
 * The root table, or NULL with "line 3: ..." in *err (ERR_SYNTAX, ERR_LIMIT for nesting deeper
 * than NODE_DEPTH_MAX, ERR_MEMORY).
 */
struct node *toml_parse(struct arena *a, struct span text, struct err *err);

#endif
