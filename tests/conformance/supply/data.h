/* data.h - reading the material that tests find outside of the tree. */
#ifndef CONFORMANCE_SUPPLY_DATA_H
#define CONFORMANCE_SUPPLY_DATA_H

#include "base/buf.h"

#define DATA_SKIPPED 77

/* The folder where test data lies: $SALLYPORT_TEST_DATA, else ../shared/data beside the project. */
void data_folder(const char *project, char *path, size_t size);
/* Appends the whole file; false when it is not there or larger than the buffer's maximum. */
bool data_read(const char *path, struct buf *to);
/* The same of a file compressed by zstd. */
bool data_read_zstd(const char *path, struct buf *to);

#endif
