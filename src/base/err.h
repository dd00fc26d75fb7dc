/*
 * err.h - what went wrong, for operations that can fail for operational reasons. Such a function
 * takes `struct err *err` last: untouched on success, a code and one line of text on failure.
 * `err` may be NULL where the caller does not care why.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/compiler.h"

enum err_code {
	ERR_NONE,
	ERR_MEMORY, /* an allocation failed, or a cap was reached */
	ERR_IO, /* a system call failed */
	ERR_TIMEOUT, /* a deadline passed */
	ERR_CANCELLED, /* somebody asked the waiter to give up */
	ERR_CLOSED, /* the other side has ended the connection */
	ERR_LIMIT, /* a configured limit was exceeded */
	ERR_SYNTAX, /* text that does not parse */
	ERR_INVALID, /* parsed, but not acceptable */
	ERR_NOT_FOUND,
	ERR_DENIED,
	ERR_UNAVAILABLE, /* try again later */
	ERR_INTERNAL, /* a bug of ours */
};

struct err {
	enum err_code code;
	char message[508];
};

/* Both return -1, so that a failure path reads `return err_set(err, ...)`. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
	PRINTF_LIKE(3, 4) COLD;
/* As err_set, and appends ": " and the text of `errno_value`. */
int err_set_errno(struct err *err, int errno_value, const char *format, ...)
	PRINTF_LIKE(3, 4) COLD;
/* Puts "context: " before the message; keeps the code. Returns -1. */
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3) COLD;
/* Says to the compiler and to analyzers what they cannot see across files: always -1. */
static inline int err_failure(int result)
{
	(void)result;
	return -1;
}

#define err_set(...) err_failure(err_set(__VA_ARGS__))
#define err_set_errno(...) err_failure(err_set_errno(__VA_ARGS__))
#define err_wrap(...) err_failure(err_wrap(__VA_ARGS__))

/* "memory", "io", ...: a stable word for logs. */
const char *err_code_name(enum err_code code);

#endif
