/*
 * fiber_switch.h - switching stacks: a few instructions on x86-64 and aarch64, ucontext elsewhere
 * (or with -DFIBER_UCONTEXT). Private to fiber.c.
 */
#ifndef IO_FIBER_SWITCH_H
#define IO_FIBER_SWITCH_H

#include <stddef.h>

#include "base/compiler.h"

#if !defined(FIBER_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define FIBER_UCONTEXT 1
#endif

#ifdef FIBER_UCONTEXT
#include <ucontext.h>
struct fiber_context {
	ucontext_t ucontext;
};
#else
struct fiber_context {
	void *stack_pointer;
};
#endif

/* Prepares `context` to call entry(arg) on the given stack; entry must not return. */
void fiber_context_make(struct fiber_context *context, void *stack, size_t stack_bytes,
			void (*entry)(void *arg), void *arg);
/* What a context that has been left will touch first when it goes on. */
static inline void fiber_context_prefetch(const struct fiber_context *context)
{
#ifndef FIBER_UCONTEXT
	prefetch_lines(context->stack_pointer, 16);
#endif
	(void)context;
}
/* Saves the running context in `from` and goes on in `to`. */
void fiber_context_switch(struct fiber_context *from, struct fiber_context *to);

#endif
