/*
 * span.h - a borrowed run of bytes, passed by value. Never assumed to end in NUL; may hold NUL.
 * A span does not own its bytes: whoever made it says how long they live.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *ptr;
	size_t len;
};

/* A span of a string literal, as an expression and as a static initialiser. */
#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
#define SPAN_INIT(literal)                                                                     \
	{                                                                                      \
		"" literal, sizeof(literal) - 1                                                \
	}
#define SPAN_NONE ((struct span){NULL, 0})
/* printf("%.*s", SPAN_ARG(s)) */
#define SPAN_ARG(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), ((s).len ? (s).ptr : "")

static inline struct span span_of(const void *ptr, size_t len)
{
	return (struct span){ptr, len};
}

/* The bytes of a C string without its NUL; NULL gives an empty span. */
static inline struct span span_cstr(const char *string)
{
	return (struct span){string, string ? strlen(string) : 0};
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char ascii_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c;
}

/* Equal when ASCII letters are compared without case. */
bool span_eq_nocase(struct span a, struct span b);
/* <0, 0, >0 in byte order; a prefix sorts first. */
int span_compare(struct span a, struct span b);
bool span_starts_with(struct span s, struct span prefix);
bool span_ends_with(struct span s, struct span suffix);
/* No byte above 0x7f. */
bool span_is_ascii(struct span s);
/* The index of the first such byte or sequence, or s.len when there is none. */
size_t span_find_byte(struct span s, char byte);
size_t span_find(struct span s, struct span needle);
/* The bytes [from, to), both clamped to the span. */
struct span span_slice(struct span s, size_t from, size_t to);
/* Without leading and trailing space, tab, CR and LF. */
struct span span_trim(struct span s);
/*
 * Cuts the part before the first `separator` off the front of *rest and returns it; *rest then
 * starts after the separator. Without one, returns all and leaves *rest with a NULL ptr.
 * Loop: while (rest.ptr) part = span_cut(&rest, ',');
 */
struct span span_cut(struct span *rest, char separator);
/* The whole span as an unsigned decimal number; false on anything else, or on overflow. */
bool span_to_u64(struct span s, uint64_t *value);
/* As above with an optional leading minus. */
bool span_to_i64(struct span s, int64_t *value);
/* Edit distance (Levenshtein), for "did you mean"; inputs over 64 bytes give 65. */
unsigned span_distance(struct span a, struct span b);

#endif
