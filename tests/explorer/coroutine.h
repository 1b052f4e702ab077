/*
 * coroutine.h: stacks that take turns, and that can be copied aside and put back.
 *
 * A coroutine runs until it yields; what it is then, is its stack from coroutine_low() up to its
 * end, and the struct itself. Both may be copied, and put back at the same place later.
 */
#ifndef IPALLOC_TEST_COROUTINE_H
#define IPALLOC_TEST_COROUTINE_H

#ifndef __x86_64__
#include <ucontext.h>
#endif

enum { COROUTINE_STACK_BYTES = 32 * 1024 };

typedef struct coroutine {
#ifdef __x86_64__
    void *stack_pointer;
#else
    ucontext_t context;
    char *low;
#endif
} coroutine;

/* Get `c` ready to run entry() on the stack; entry must never return. */
void coroutine_make(coroutine *c, char stack[COROUTINE_STACK_BYTES], void (*entry)(void));

/* Run it until it yields. */
void coroutine_run(coroutine *c);

/* Called by `c` itself: go back to where coroutine_run was called. */
void coroutine_yield(coroutine *c);

/* The lowest address of its stack that counts while it does not run. */
char *coroutine_low(const coroutine *c);

#endif
