/*
 * pass.h - the identity passed on to services: as plain fields or as a short-lived signed JWT, by
 * the service's `identity` section. What services trust must never come from outside: such fields
 * of any service are removed from every client request.
 */
#ifndef IDENTITY_PASS_H
#define IDENTITY_PASS_H

#include "identity/identity.h"

struct identity_strip;
struct identity_pass;

/* Names of the fields that clients must not send, of all services together. Borrows cfg. */
struct identity_strip *identity_strip_new(const struct config *cfg, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void identity_strip_free(struct identity_strip *strip);
/*
 * True when the client's field is to be removed, by its name or one that many services cannot tell
 * from it (http_field_names_alike). Authorization and API keys are not among them; see
 * identity_pass_drops.
 */
bool identity_strip_has(const struct identity_strip *strip, const struct http_field *field);
/*
 * X-Forwarded-Prefix, -User and so on, True-Client-IP and the like, Client-Cert (RFC 9440): only a
 * proxy that is trusted may say so. The name is not empty.
 */
bool identity_strip_is_forwarded(struct span name);

/*
 * What a service gets; immutable, for all threads. Reads the private key file (blocking). Borrows
 * the service and the configuration.
 */
struct identity_pass *identity_pass_new(const struct config *cfg,
					const struct config_service *service,
					struct err *err) MUST_CHECK;
/* NULL is allowed. */
void identity_pass_free(struct identity_pass *pass);
/*
 * True when the client's field holds its credentials (Authorization, the API key field), which
 * this service does not get to see.
 */
bool identity_pass_drops(const struct identity_pass *pass, const struct http_field *field);

#define IDENTITY_PASS_FIELDS_MAX 4
/*
 * Sets fields[0 ... *count) to what is to be added; nothing for the anonymous identity. Values
 * live in the arena (or longer). Tokens are kept by the worker and reused until half their life
 * has passed. -1 with *err: out of memory, or a value that cannot be in a field; the request must
 * then be refused.
 */
int identity_pass_fields(const struct identity_pass *pass, struct auth_worker *worker,
			 const struct identity *identity, struct arena *arena,
			 struct http_field fields[IDENTITY_PASS_FIELDS_MAX], size_t *count,
			 struct err *err) MUST_CHECK;

#endif
