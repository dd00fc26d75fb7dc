/* secret.h - bytes that are wiped when released and compared in constant time. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/compiler.h"
#include "base/span.h"

struct secret {
	char *ptr; /* NUL follows the bytes, for C interfaces */
	size_t len;
};

#define SECRET_NONE ((struct secret){NULL, 0})

/* Copies the bytes into *s, releasing what was there. 0, or -1 when out of memory. */
int secret_set(struct secret *s, struct span bytes) MUST_CHECK;
void secret_release(struct secret *s);
/* Constant time in the contents; the lengths may leak. */
bool secret_eq(struct span a, struct span b);
void secret_wipe(void *ptr, size_t len);

static inline struct span secret_span(const struct secret *s)
{
	return (struct span){s->ptr, s->len};
}

#endif
