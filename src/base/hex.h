/* hex.h - lower-case hexadecimal digits, two at a time. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>

/* 2 × len digits, no NUL. */
void hex_encode(char *to, const void *bytes, size_t len);

#endif
