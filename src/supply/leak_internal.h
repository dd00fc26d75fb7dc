/* leak_internal.h - inside of supply: what the files of leak.h share. */
#ifndef SUPPLY_LEAK_INTERNAL_H
#define SUPPLY_LEAK_INTERNAL_H

#include "base/span.h"

/* The checksum at the end of tokens of GitHub and npm, and of how many characters it is. */
#define LEAK_CRC_DIGITS 6
#define LEAK_CRC_BODY 30

void leak_crc_digits(struct span body, char to[LEAK_CRC_DIGITS]);

/* Does a comment in the line (or alone in the line before) of this place allow the rule? */
bool leak_is_allowed(struct span text, size_t at, struct span rule);

/* The last part of a path. */
struct span leak_base_name(struct span path);

#endif
