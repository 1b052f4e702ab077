/*
 * hooks.c: defaults for what the program did not plug in, and the calls through what it did.
 *
 * May use: the C library. The only file of the library that calls malloc, clock_gettime or
 * getrandom.
 */
#include "base/hooks.h"

#include "base/error.h"
#include "base/u128.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void *default_allocate(void *context, size_t bytes) {
    (void)context;
    return malloc(bytes);
}

static void *default_reallocate(void *context, void *memory, size_t bytes) {
    (void)context;
    return realloc(memory, bytes);
}

static void default_deallocate(void *context, void *memory) {
    (void)context;
    free(memory);
}

static uint64_t clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now); /* cannot fail for these clocks with a valid pointer */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t default_wall_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_REALTIME);
}

static uint64_t default_monotonic_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_MONOTONIC);
}

static uint64_t default_random(void *context) {
    (void)context;
    return 0; /* never called: own_random takes the stripes */
}

static void default_log(void *context, int level, const char *message) {
    (void)context;
    (void)level;
    (void)message;
}

static void seed_stripes(hooks *h) {
    uint64_t seeds[RANDOM_STRIPES];
    if (getrandom(seeds, sizeof seeds, 0) != (ssize_t)sizeof seeds) {
        /* An early boot or a filtered system call: weaker, never a failure. */
        uint64_t weak = clock_ms(CLOCK_REALTIME) ^ (uint64_t)(uintptr_t)h;
        for (int i = 0; i < RANDOM_STRIPES; i++)
            seeds[i] = random_mix(weak += 0x9e3779b97f4a7c15u);
    }
    for (int i = 0; i < RANDOM_STRIPES; i++)
        atomic_word_init(&h->stripes[i].state, seeds[i]);
}

int hooks_init(hooks *out, const ipalloc_hooks *user, ipalloc_error *error) {
    ipalloc_hooks given;
    int status = options_copy(&given, sizeof given, user, "ipalloc_hooks", error);
    if (status != IPALLOC_OK)
        return status;
    int memory_functions = !!given.allocate + !!given.reallocate + !!given.deallocate;
    if (memory_functions != 0 && memory_functions != 3)
        return error_set(error, IPALLOC_E_INVALID,
                         "hooks: allocate, reallocate and deallocate come together or not at all");
    memset(out, 0, sizeof *out);
    out->user = given;
    out->own_random = given.random == NULL;
    if (memory_functions == 0) {
        out->user.allocate = default_allocate;
        out->user.reallocate = default_reallocate;
        out->user.deallocate = default_deallocate;
    }
    if (given.wall_clock_ms == NULL)
        out->user.wall_clock_ms = default_wall_ms;
    if (given.monotonic_ms == NULL)
        out->user.monotonic_ms = default_monotonic_ms;
    if (given.random == NULL)
        out->user.random = default_random;
    if (given.log == NULL)
        out->user.log = default_log;
    seed_stripes(out);
    return IPALLOC_OK;
}

void *hooks_alloc(const hooks *h, size_t bytes) {
    return h->user.allocate(h->user.context, bytes);
}

void *hooks_alloc_zeroed(const hooks *h, size_t bytes) {
    void *memory = hooks_alloc(h, bytes);
    if (memory != NULL)
        memset(memory, 0, bytes);
    return memory;
}

void *hooks_realloc(const hooks *h, void *memory, size_t bytes) {
    return h->user.reallocate(h->user.context, memory, bytes);
}

void hooks_free(const hooks *h, void *memory) {
    h->user.deallocate(h->user.context, memory);
}

char *hooks_strdup(const hooks *h, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = hooks_alloc(h, size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

uint64_t hooks_wall_ms(const hooks *h) {
    return h->user.wall_clock_ms(h->user.context);
}

uint64_t hooks_monotonic_ms(const hooks *h) {
    return h->user.monotonic_ms(h->user.context);
}

uint64_t hooks_pacing_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with a valid pointer */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void hooks_log(const hooks *h, int level, const char *format, ...) {
    char message[IPALLOC_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    h->user.log(h->user.context, level, message);
}

uint64_t hooks_random_hooked(hooks *h) {
    return h->user.random(h->user.context);
}

/* Lemire's multiply-and-reject: the high half of a 128-bit product is uniform once the few low
 * values that would favour some results are drawn again. */
uint64_t hooks_random_below(hooks *h, uint64_t bound) {
    u128 product = (u128)hooks_random(h) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold)
            product = (u128)hooks_random(h) * bound;
    }
    return (uint64_t)(product >> 64);
}

u128 hooks_random_below_u128(hooks *h, u128 bound) {
    if (bound >> 64 == 0)
        return hooks_random_below(h, (uint64_t)bound);
    unsigned bits = 128 - (unsigned)__builtin_clzll((uint64_t)((bound - 1) >> 64) | 1);
    for (;;) { /* half of the draws at least are below the bound */
        u128 drawn = u128_make(hooks_random(h), hooks_random(h));
        drawn &= U128_MAX >> (128 - bits);
        if (drawn < bound)
            return drawn;
    }
}
