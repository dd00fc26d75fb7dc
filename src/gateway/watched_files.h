/*
 * watched_files.h - files whose change is a reason to load the configuration again: the lists of
 * endpoints that other programs write. Private to src/gateway.
 */
#ifndef GATEWAY_WATCHED_FILES_H
#define GATEWAY_WATCHED_FILES_H

#include "config/config.h"

#define WATCHED_FILES_EVERY_MS 1000

/*
 * A number that is another one when one of the files has been replaced, changed, made or removed;
 * links are followed, so that exchanging one counts. 0: there is nothing to watch.
 */
uint64_t watched_files_state(const struct config *cfg);

#endif
