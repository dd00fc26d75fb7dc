/* generate_internal.h - what the parts of generating share. Used by generate*.c only. */
#ifndef CONTRACT_GENERATE_INTERNAL_H
#define CONTRACT_GENERATE_INTERNAL_H

#include "contract/generate.h"
#include "contract/openapi.h"

/*
 * A value for the raw schema, in the arena: NULL when none can be made. Properties that are readOnly
 * are left out.
 */
const struct json *generate_value(struct contract *c, struct arena *a,
				  const struct json *schema);
/* `$ref`s followed; NULL when they lead nowhere. */
const struct json *generate_follow(struct contract *c, const struct json *schema);
/* Through allOf: the first place that says anything of the property; NULL when none does. */
const struct json *generate_property(struct contract *c, const struct json *schema,
				     struct span name);
/*
 * A value that the schema most likely does not allow, and in *why what is wrong with it; NULL when
 * it says nothing that this kind of mistake could offend.
 */
#define GENERATE_WRONG_KINDS 5
const struct json *generate_wrong(struct contract *c, struct arena *a,
				  const struct json *schema, unsigned kind, const char **why);

#endif
