/* claims.h - reading the claims of a token, a JSON tree. Private to src/identity. */
#ifndef IDENTITY_CLAIMS_H
#define IDENTITY_CLAIMS_H

#include "config/config.h"
#include "parse/json.h"

/* Along a path of member names; NULL when it ends early or is empty. `root` may be NULL. */
const struct json *claim_at(const struct json *root, const struct config_strings *path);
/* The text of a string, else an empty span. `claim` may be NULL. */
struct span claim_text(const struct json *claim);
/* A NumericDate (RFC 7519 section 2), fractions cut off; false when it is none, or negative. */
bool claim_date(const struct json *claim, int64_t *unix_s);
/*
 * The claim as text to compare with: a string, a number as written, "true" or "false". False for
 * null, arrays, objects and NULL.
 */
bool claim_scalar(const struct json *claim, struct span *text);

enum claims_result { CLAIMS_OK, CLAIMS_MALFORMED, CLAIMS_NO_MEMORY };

/*
 * The texts of a claim that is an array of strings, or a string: with `spaced` a space-separated
 * list (RFC 8693 section 4.2), without it one text. Empty texts are left out. NULL and null give
 * none. CLAIMS_MALFORMED: another type, or more than `max` of them.
 */
enum claims_result claim_list(const struct json *claim, bool spaced, size_t max,
			      struct arena *arena, struct config_strings *to);

#endif
