/*
 * keys.h - the public keys of one provider: immutable, reference-counted across threads. Private
 * to src/identity.
 */
#ifndef IDENTITY_KEYS_H
#define IDENTITY_KEYS_H

#include "config/config.h"
#include "parse/jwk.h"

struct key_set;

/* As jwk_set_parse. `algorithms` is of enum config_jws. */
struct key_set *key_set_parse(struct span json, unsigned algorithms,
			      struct err *err) MUST_CHECK;
/* Any thread. */
struct key_set *key_set_ref(struct key_set *set);
/* NULL is allowed. */
void key_set_unref(struct key_set *set);
/* Made from the same text. */
bool key_set_eq(const struct key_set *a, const struct key_set *b);
const struct jwk_set *key_set_keys(const struct key_set *set);

#endif
