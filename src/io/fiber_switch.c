#include "io/fiber_switch.h"

#include <stdint.h>
#include <string.h>

#if defined(FIBER_UCONTEXT)

static void start(unsigned entry_high, unsigned entry_low, unsigned arg_high, unsigned arg_low)
{
	uintptr_t entry = (uintptr_t)((uint64_t)entry_high << 32 | entry_low);
	uintptr_t arg = (uintptr_t)((uint64_t)arg_high << 32 | arg_low);

	((void (*)(void *))entry)((void *)arg);
}

void fiber_context_make(struct fiber_context *context, void *stack, size_t stack_bytes,
			void (*entry)(void *arg), void *arg)
{
	uint64_t entry_bits = (uintptr_t)entry, arg_bits = (uintptr_t)arg;

	getcontext(&context->ucontext);
	context->ucontext.uc_stack.ss_sp = stack;
	context->ucontext.uc_stack.ss_size = stack_bytes;
	context->ucontext.uc_link = NULL;
	makecontext(&context->ucontext, (void (*)(void))start, 4, (unsigned)(entry_bits >> 32),
		    (unsigned)entry_bits, (unsigned)(arg_bits >> 32), (unsigned)arg_bits);
}

void fiber_context_switch(struct fiber_context *from, struct fiber_context *to)
{
	swapcontext(&from->ucontext, &to->ucontext);
}

#elif defined(__x86_64__)

/*
 * System V ABI: rbx, rbp and r12-r15 survive a call; everything else is the caller's to save, so a
 * switch is an ordinary call that returns on another stack. The x87 control word and mxcsr, which
 * survive too, are the thread's: nothing changes how it rounds between one switch and another.
 */
__asm__(".text\n"
	".p2align 4\n"
	".globl sallyport_fiber_swap\n"
	".hidden sallyport_fiber_swap\n"
	".type sallyport_fiber_swap,@function\n"
	"sallyport_fiber_swap:\n"
	"	endbr64\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size sallyport_fiber_swap,.-sallyport_fiber_swap\n"
	".p2align 4\n"
	".globl sallyport_fiber_enter\n"
	".hidden sallyport_fiber_enter\n"
	".type sallyport_fiber_enter,@function\n"
	"sallyport_fiber_enter:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	endbr64\n"
	"	movq %r12, %rdi\n"
	"	callq *%r13\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size sallyport_fiber_enter,.-sallyport_fiber_enter\n");

void sallyport_fiber_swap(void **from, void *to);
void sallyport_fiber_enter(void);

void fiber_context_make(struct fiber_context *context, void *stack, size_t stack_bytes,
			void (*entry)(void *arg), void *arg)
{
	uintptr_t top = ((uintptr_t)stack + stack_bytes) & ~(uintptr_t)15;
	uint64_t frame[7] = {0};

	frame[2] = (uintptr_t)entry; /* r13 */
	frame[3] = (uintptr_t)arg; /* r12 */
	frame[6] = (uintptr_t)sallyport_fiber_enter; /* return address */
	top -= sizeof(frame);
	memcpy((void *)top, frame, sizeof(frame));
	context->stack_pointer = (void *)top;
}

void fiber_context_switch(struct fiber_context *from, struct fiber_context *to)
{
	sallyport_fiber_swap(&from->stack_pointer, to->stack_pointer);
}

#elif defined(__aarch64__)

/* AAPCS64: x19-x30 and the low halves of v8-v15 survive a call. */
__asm__(".text\n"
	".p2align 4\n"
	".globl sallyport_fiber_swap\n"
	".hidden sallyport_fiber_swap\n"
	".type sallyport_fiber_swap,%function\n"
	"sallyport_fiber_swap:\n"
	"	hint #34\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size sallyport_fiber_swap,.-sallyport_fiber_swap\n"
	".p2align 4\n"
	".globl sallyport_fiber_enter\n"
	".hidden sallyport_fiber_enter\n"
	".type sallyport_fiber_enter,%function\n"
	"sallyport_fiber_enter:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined x30\n"
	"	hint #36\n"
	"	mov x0, x19\n"
	"	blr x20\n"
	"	brk #1\n"
	"	.cfi_endproc\n"
	".size sallyport_fiber_enter,.-sallyport_fiber_enter\n");

void sallyport_fiber_swap(void **from, void *to);
void sallyport_fiber_enter(void);

void fiber_context_make(struct fiber_context *context, void *stack, size_t stack_bytes,
			void (*entry)(void *arg), void *arg)
{
	uintptr_t top = ((uintptr_t)stack + stack_bytes) & ~(uintptr_t)15;
	uint64_t frame[20] = {0};

	frame[0] = (uintptr_t)arg; /* x19 */
	frame[1] = (uintptr_t)entry; /* x20 */
	frame[11] = (uintptr_t)sallyport_fiber_enter; /* x30 */
	top -= sizeof(frame);
	memcpy((void *)top, frame, sizeof(frame));
	context->stack_pointer = (void *)top;
}

void fiber_context_switch(struct fiber_context *from, struct fiber_context *to)
{
	sallyport_fiber_swap(&from->stack_pointer, to->stack_pointer);
}

#endif
