/*
 * range_subject.h: ipalloc's range as a subject: made, filled, checked. What several case files
 * share.
 *
 * Everything goes through the public calls with whole addresses, so the conversions between
 * addresses and numbers are part of what is measured. At its end the range is validated and
 * compared with what was held: a wrong allocator must not look fast.
 */
#ifndef IPALLOC_BENCH_RANGE_SUBJECT_H
#define IPALLOC_BENCH_RANGE_SUBJECT_H

#include "pair.h"

enum { STATIC_BAND_NUMBERS = 256 /* of a /16 and larger: min(max(16, size/16), 256) */ };

typedef struct range_state {
    pairs pairs;
    ipalloc_range *ranges[2]; /* the second only where every thread has its own */
    uint64_t held_besides;    /* held, but not in any holder */
} range_state;

/* 10.0.0.0 + number: ranges of up to 2^24. */
static inline ipalloc_addr addr_of(uint32_t number) {
    return (ipalloc_addr){
        .family = 4,
        .bytes = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static inline uint32_t number_of(const ipalloc_addr *address) {
    return (uint32_t)address->bytes[1] << 16 | (uint32_t)address->bytes[2] << 8 | address->bytes[3];
}

/* The program ends: this answer was wrong. */
__attribute__((noreturn, cold)) void range_broken(const char *what, int status);

/* An empty range as the workload says. */
bool range_make(const workload *work, ipalloc_range **out);

/* A range that holds what the workload says, not warmed up; and the same warmed up. */
range_state *range_state_make(const workload *work);
void *range_open(const workload *work);

/* Checks, then frees. */
void range_close(void *state);

/* Pairs, as RANGE_SUBJECT does them. */
void range_run(void *state, unsigned thread, uint64_t count);

/* The scenarios of full_case.c at one size, which range_plan puts among its own. */
void full_plan(plan *p, uint32_t bits);

#endif
