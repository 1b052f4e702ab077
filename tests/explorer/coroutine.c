/*
 * coroutine.c: switching stacks: a few instructions on x86-64, ucontext elsewhere.
 *
 * swapcontext() would do everywhere; it asks the kernel for the signal mask each time, which is
 * twenty times slower than all else that a step of the explorer costs.
 */
#include "coroutine.h"

#include <stdint.h>

#ifdef __x86_64__

static void *home;

/* Push what a function must preserve, change stacks, pop the same from there. */
void coroutine_switch(void **save, void *load);
__asm__(".text\n"
        ".globl coroutine_switch\n"
        ".type coroutine_switch, @function\n"
        "coroutine_switch:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size coroutine_switch, .-coroutine_switch\n");

void coroutine_make(coroutine *c, char stack[COROUTINE_STACK_BYTES], void (*entry)(void)) {
    enum { REGISTERS = 6 };
    uintptr_t *top = (uintptr_t *)(((uintptr_t)stack + COROUTINE_STACK_BYTES) & ~(uintptr_t)15);
    *--top = 0; /* as after a call: the stack is off by one word when entry begins */
    *--top = (uintptr_t)entry;
    for (int i = 0; i < REGISTERS; i++)
        *--top = 0;
    c->stack_pointer = top;
}

void coroutine_run(coroutine *c) {
    coroutine_switch(&home, c->stack_pointer);
}

void coroutine_yield(coroutine *c) {
    coroutine_switch(&c->stack_pointer, home);
}

char *coroutine_low(const coroutine *c) {
    return c->stack_pointer;
}

#else

static ucontext_t home;

void coroutine_make(coroutine *c, char stack[COROUTINE_STACK_BYTES], void (*entry)(void)) {
    getcontext(&c->context);
    c->context.uc_stack.ss_sp = stack;
    c->context.uc_stack.ss_size = COROUTINE_STACK_BYTES;
    c->low = stack + COROUTINE_STACK_BYTES;
    makecontext(&c->context, entry, 0);
}

void coroutine_run(coroutine *c) {
    swapcontext(&home, &c->context);
}

void coroutine_yield(coroutine *c) {
    enum { FRAMES_BELOW = 1024 }; /* what swapcontext itself may have on the stack */
    c->low = (char *)__builtin_frame_address(0) - FRAMES_BELOW;
    swapcontext(&c->context, &home);
}

char *coroutine_low(const coroutine *c) {
    return c->low;
}

#endif
