#include "base/secret.h"

#include "base/mem.h"

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
	volatile unsigned char difference = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		difference |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
	return difference == 0;
}

void secret_wipe(void *ptr, size_t len)
{
	explicit_bzero(ptr, len);
}
