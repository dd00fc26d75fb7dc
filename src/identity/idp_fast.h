/*
 * idp_fast.h - what the server remembers for a second, so that the two questions that services ask
 * again and again (a token for a client, is this token good?) are answered from memory, without the
 * store and without another thread. Private to src/identity.
 */
#ifndef IDENTITY_IDP_FAST_H
#define IDENTITY_IDP_FAST_H

#include "identity/idp_admin.h"

struct idp_memory;

struct idp_memory *idp_memory_new(void) MUST_CHECK;
/* NULL is allowed. */
void idp_memory_free(struct idp_memory *memory);

/* Of a client that has just been read, with what its own tokens may do. Without memory: nothing. */
void idp_remember_client(struct idp *idp, const struct idp_client *client);
/* It has been changed here. */
void idp_forget_client(struct idp *idp, struct span id);
/* Of an access token whose signature was verified: its claims. Without memory: nothing. */
void idp_remember_token(struct idp *idp, struct span token, struct span claims);

#endif
