/*
 * check_dockerfile.h - a Dockerfile as a tree for rules: a map with
 *   instructions: a list of {name, value, words, flags, stage} in the order of the file, and
 *   stages: a list of {image, alias, platform, index, instructions} of their own.
 * `name` is in upper case; `value` is the text behind it and its flags, lines joined by spaces,
 * comments between them and continuation signs left out, here-documents at its end; `words` are
 * its words as a shell would part them, or the strings of the JSON form, which has `json` true.
 * RUN in the form of a shell's script has `commands` too: {name, words, assigned} of each command
 * between operators, with assignments before its name apart.
 */
#ifndef SUPPLY_CHECK_DOCKERFILE_H
#define SUPPLY_CHECK_DOCKERFILE_H

#include "parse/node.h"

/*
 * NULL with "line 3: ..." in *err: ERR_SYNTAX when there is no instruction at all, ERR_MEMORY. Instructions
 * that Docker does not know are kept. The tree lives in the arena and may point into the text.
 */
struct node *dockerfile_read(struct arena *a, struct span text, struct err *err) MUST_CHECK;

#endif
