/*
 * rand.h - random bytes from the kernel (getrandom), with a small buffer a thread, which a child
 * made by fork() starts empty.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Fit for keys. Ends the process when the kernel gives none: there is no safe way on. */
void rand_bytes(void *to, size_t len);
uint64_t rand_u64(void);
/* Uniform in [0, bound), without bias; bound > 0. */
uint64_t rand_below(uint64_t bound);
/* 2 × bytes lower-case hexadecimal digits, no NUL. */
void rand_hex(char *to, size_t bytes);

#endif
