/* sandbox_internal.h - what the filters of system calls share. Private to src/io. */
#ifndef IO_SANDBOX_INTERNAL_H
#define IO_SANDBOX_INTERNAL_H

#include <seccomp.h>
#include <stddef.h>

/* What neither a command nor a job may do, whatever it is for. */
extern const int sandbox_forbidden[];
extern const size_t sandbox_forbidden_count;

/* EPERM for each of the calls that this architecture has. 0, or what libseccomp returns. */
int sandbox_forbid(scmp_filter_ctx filter, const int *calls, size_t count);

#endif
