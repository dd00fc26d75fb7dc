/* net.h - what the benchmark's own programs share: loopback sockets and numeric arguments. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stdbool.h>

#include "base/compiler.h"

/* Prints "program: message" with errno's text when `code` is not 0, and exits with status 1. */
NORETURN void net_die(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/* A decimal number from `min` to `max`, or net_die() naming `what`. */
long net_number(const char *text, long min, long max, const char *what);

/* A listening socket at 127.0.0.1:`port`, non-blocking; net_die() on failure. */
int net_listen(unsigned port);

/*
 * A connection to 127.0.0.1:`port` with TCP_NODELAY. A non-blocking one may still be connecting.
 * -1 with errno on failure.
 */
int net_connect(unsigned port, bool nonblocking) MUST_CHECK;

#endif
