/* version_internal.h - what the files of the version orders share. */
#ifndef PARSE_VERSION_INTERNAL_H
#define PARSE_VERSION_INTERNAL_H

#include "base/span.h"

static inline bool version_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool version_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline int version_sign(int n)
{
	return (n > 0) - (n < 0);
}

/* Compares runs of digits as numbers of any size; an empty one is zero. */
int version_compare_digits(struct span a, struct span b);
/* Of digits and dots alone: numbers between dots; missing ones are zero. */
int version_compare_numbers(struct span a, struct span b);
/* Byte order, letters in lower case. */
int version_compare_nocase(struct span a, struct span b);
/* True for digits only, at least one. */
bool version_all_digits(struct span s);
/* Takes the digits, or the letters, off the front. */
struct span version_take_digits(struct span *rest);
struct span version_take_letters(struct span *rest);
/* Takes the byte off the front if it is there. */
bool version_take_byte(struct span *rest, char byte);

int version_compare_semver(struct span a, struct span b);
int version_compare_go(struct span a, struct span b);
int version_compare_pub(struct span a, struct span b);
int version_compare_nuget(struct span a, struct span b);
int version_compare_pep440(struct span a, struct span b);
int version_compare_maven(struct span a, struct span b);
int version_compare_dpkg(struct span a, struct span b);
int version_compare_apk(struct span a, struct span b);
int version_compare_rpm(struct span a, struct span b);
int version_compare_rubygems(struct span a, struct span b);
int version_compare_packagist(struct span a, struct span b);
int version_compare_cran(struct span a, struct span b);

#endif
