#include "base/mem.h"

#include <sys/mman.h>

#define LARGE_PAGE_BYTES ((size_t)2 << 20)

#ifdef SALLYPORT_FAULTS
static _Thread_local unsigned long fail_countdown;
static _Thread_local bool fail_happened;

static bool must_fail(void)
{
	if (fail_countdown == 0 || --fail_countdown != 0)
		return false;
	fail_happened = true;
	return true;
}

void mem_fail_at(unsigned long n)
{
	fail_countdown = n;
	fail_happened = false;
}

bool mem_fail_happened(void)
{
	return fail_happened;
}
#else
static inline bool must_fail(void)
{
	return false;
}

void mem_fail_at(unsigned long n)
{
	(void)n;
}

bool mem_fail_happened(void)
{
	return false;
}
#endif

void *mem_alloc(size_t size)
{
	return must_fail() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t count, size_t size)
{
	size_t total;

	/* calloc checks too, but a sanitizer's ends the process. */
	if (must_fail() || __builtin_mul_overflow(count, size, &total))
		return NULL;
	return calloc(1, total ? total : 1);
}

void *mem_zalloc_lines(size_t count, size_t size)
{
	size_t total, large;
	void *ptr;

	if (must_fail() || __builtin_mul_overflow(count, size, &total) || total > SIZE_MAX / 2)
		return NULL;
	large = total & ~(LARGE_PAGE_BYTES - 1);
	total = total ? (total + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1)
		      : CACHE_LINE_BYTES;
	if (posix_memalign(&ptr, large ? LARGE_PAGE_BYTES : CACHE_LINE_BYTES, total) != 0)
		return NULL;
	/* Where the kernel has none, it stays as it is. */
	if (large)
		madvise(ptr, large, MADV_HUGEPAGE);
	return memset(ptr, 0, total);
}

void *mem_realloc(void *ptr, size_t size)
{
	return must_fail() ? NULL : realloc(ptr, size ? size : 1);
}

char *mem_strdup(struct span s)
{
	char *copy = mem_alloc(s.len + 1);

	if (!copy)
		return NULL;
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

void mem_free(void *ptr)
{
	free(ptr);
}
