/* compiler.h - the few compiler attributes and macros that the project uses. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PRINTF_LIKE(format_index, first_arg)                                                   \
	__attribute__((format(printf, format_index, first_arg)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define NOINLINE __attribute__((noinline))
/*
 * Between two requests the kernel runs through more code than the near caches hold: what every request
 * needs is laid side by side, and what leads to COLD functions out of its way.
 */
#define HOT __attribute__((hot))
#define COLD __attribute__((cold))
/*
 * Asks for memory that will be used soon: with some dozens of exchanges under way, what one of them
 * left behind is out of the near caches when it goes on.
 */
#define PREFETCH(address) __builtin_prefetch(address, 1, 3)
#define CACHE_LINE_BYTES 64
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Harmless for any address, NULL too. */
static inline void prefetch_lines(const void *from, unsigned lines)
{
#ifndef __clang__
#pragma GCC unroll 32
#endif
	for (unsigned i = 0; i < lines; i++)
		PREFETCH((const void *)((uintptr_t)from + (uintptr_t)i * CACHE_LINE_BYTES));
}

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif

#endif
