#include "base/secret.h"

#include "base/mem.h"

/* The compiler must not know the value: else it may end a loop with the first difference. */
#define KEEP(value) __asm__ volatile("" : "+r"(value))

int secret_set(struct secret *s, struct span bytes)
{
	char *copy = mem_strdup(bytes);

	if (!copy)
		return -1;
	secret_release(s);
	s->ptr = copy;
	s->len = bytes.len;
	return 0;
}

void secret_release(struct secret *s)
{
	if (s->ptr)
		explicit_bzero(s->ptr, s->len);
	mem_free(s->ptr);
	*s = SECRET_NONE;
}

bool secret_eq(struct span a, struct span b)
{
	uint64_t difference = 0, x, y;
	size_t i = 0;

	if (a.len != b.len)
		return false;
	for (; a.len - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, a.ptr + i, sizeof(x));
		memcpy(&y, b.ptr + i, sizeof(y));
		difference |= x ^ y;
		KEEP(difference);
	}
	for (; i < a.len; i++) {
		difference |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
		KEEP(difference);
	}
	return difference == 0;
}

void secret_wipe(void *ptr, size_t len)
{
	explicit_bzero(ptr, len);
}
