/*
 * kev.h - CISA's catalogue of vulnerabilities that are known to be exploited, as JSON: an object
 * whose "vulnerabilities" each have cveID, dateAdded, dueDate and knownRansomwareCampaignUse.
 */
#ifndef SUPPLY_KEV_H
#define SUPPLY_KEV_H

#include "supply/db_format.h"

struct json;
/* Is this document such a catalogue? */
bool kev_is_catalogue(const struct json *document);
/* The day of its release, 0 when it does not say. */
int64_t kev_day_s(const struct json *document);
/* The entry with this index; 1 when it was read, 0 past the end, -1 when it is malformed. */
int kev_entry(const struct json *document, size_t index, struct db_kev *entry);

#endif
