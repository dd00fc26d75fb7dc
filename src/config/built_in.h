/* built_in.h - what the identity server adds to a configuration. Used inside config only. */
#ifndef CONFIG_BUILT_IN_H
#define CONFIG_BUILT_IN_H

#include "config/reader.h"

/* Routes and the provider of the identity server, when there is one; before check_config. */
void built_in_add(struct reader *reader, struct config *cfg);
bool built_in_identity(const struct config *cfg);

#endif
