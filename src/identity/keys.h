/*
 * keys.h - the public keys of one provider: immutable, reference-counted across threads. Private
 * to src/identity.
 */
#ifndef IDENTITY_KEYS_H
#define IDENTITY_KEYS_H

#include "base/err.h"
#include "base/span.h"

struct key_set;
struct jws_context;

/*
 * A JSON Web Key set (RFC 7517). Keys that cannot be used with one of `algorithms` (enum
 * config_jws) are left out (section 5); ERR_INVALID when none is left, ERR_SYNTAX, ERR_MEMORY.
 */
struct key_set *key_set_parse(struct span json, unsigned algorithms,
			      struct err *err) MUST_CHECK;
/* Any thread. */
struct key_set *key_set_ref(struct key_set *keys);
/* NULL is allowed. */
void key_set_unref(struct key_set *keys);
/* Made from the same text. */
bool key_set_eq(const struct key_set *a, const struct key_set *b);

enum key_result {
	KEY_GOOD,
	KEY_BAD_SIGNATURE,
	KEY_UNKNOWN, /* no key has that id, or is for that algorithm */
	KEY_NO_MEMORY,
};
/*
 * `algorithm` is one enum config_jws. Without a kid (ptr NULL) every key for the algorithm is
 * tried. `context` is the thread's.
 */
enum key_result key_set_verify(const struct key_set *keys, struct jws_context *context,
			       unsigned algorithm, struct span kid, struct span signing_input,
			       struct span signature);

#endif
