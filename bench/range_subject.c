/*
 * range_subject.c: see range_subject.h.
 */
#include "range_subject.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void range_broken(const char *what, int status) {
    fprintf(stderr, "ipalloc-bench: %s answered %s\n", what, ipalloc_status_name(status));
    exit(EXIT_FAILURE);
}

PAIR_STEP uint32_t range_claim_one(void *range, uint64_t *random) {
    (void)random; /* ipalloc draws its own */
    ipalloc_addr address;
    int status = ipalloc_range_allocate(range, &address);
    if (status != IPALLOC_OK)
        range_broken("ipalloc_range_allocate", status);
    return number_of(&address);
}

/* The address is written as one word and in place, as a parser would leave it: had the library to
 * read as a word what was just written as bytes, the processor would wait, and we would measure
 * that.
 */
PAIR_STEP void range_release_one(void *range, uint32_t number) {
    static const ipalloc_addr ipv4 = {.family = 4};
    ipalloc_addr address = ipv4;
    uint32_t big_endian = htobe32(0x0a000000 | number);
    memcpy(address.bytes, &big_endian, sizeof big_endian);
    int status = ipalloc_range_release(range, &address);
    if (status != IPALLOC_OK)
        range_broken("ipalloc_range_release", status);
}

void range_run(void *state, unsigned thread, uint64_t count) {
    range_state *r = state;
    pair_loop(&r->pairs.holders[thread], count, r->pairs.maps[thread], range_claim_one,
              range_release_one);
}

static const pair_way RANGE = {range_run, range_claim_one, range_release_one};

static bool range_take(void *state, unsigned thread, uint32_t number) {
    range_state *r = state;
    ipalloc_addr address = addr_of(number);
    return ipalloc_range_reserve(r->pairs.maps[thread], &address) == IPALLOC_OK;
}

/* --- whatever was timed must have been right -------------------------------------------------- */

static uint64_t validated_use(const ipalloc_range *range) {
    ipalloc_error error;
    ipalloc_range_stats stats = {.size = sizeof stats};
    if (ipalloc_range_validate(range, &error) != IPALLOC_OK ||
        ipalloc_range_get_stats(range, &stats) != IPALLOC_OK)
        range_broken("ipalloc_range_validate", IPALLOC_E_CORRUPT);
    return stats.total.used.low;
}

static void range_check(const range_state *r) {
    uint64_t used = 0, held = r->held_besides;
    for (int i = 0; i < 2 && r->ranges[i] != NULL; i++)
        used += validated_use(r->ranges[i]);
    for (unsigned i = 0; i < r->pairs.thread_count; i++) {
        const holder *h = &r->pairs.holders[i];
        held += h->count;
        for (uint64_t j = 0; j < h->count; j++) {
            ipalloc_addr address = addr_of(h->numbers[j]);
            if (!ipalloc_range_has(r->pairs.maps[i], &address))
                range_broken("ipalloc_range_has of a held address", IPALLOC_E_NOT_FOUND);
        }
    }
    if (used != held)
        range_broken("the count of held addresses", IPALLOC_E_MISMATCH);
}

static void range_free(range_state *r) {
    ipalloc_range_destroy(r->ranges[0]);
    ipalloc_range_destroy(r->ranges[1]);
    pairs_close(&r->pairs);
    free(r);
}

void range_close(void *state) {
    range_check(state);
    range_free(state);
}

/* --- making one ------------------------------------------------------------------------------- */

bool range_make(const workload *work, ipalloc_range **out) {
    ipalloc_cidr cidr = {.base = addr_of(0), .prefix_length = (uint8_t)(32 - work->size_bits)};
    ipalloc_range_options options = {.size = sizeof options,
                                     .use_all_addresses = true,
                                     .strategy = work->strategy,
                                     .cool_down_ms = work->cool_down_ms,
                                     .static_band_size = work->bands ? 0 : IPALLOC_NO_STATIC_BAND};
    ipalloc_error error;
    int status = ipalloc_range_create(&cidr, &options, out, &error);
    if (status != IPALLOC_OK)
        fprintf(stderr, "%s\n", error.message);
    return status == IPALLOC_OK;
}

/* Hold all of the dynamic band, so that every pick comes from the static one. */
static bool fill_dynamic_band(range_state *r, uint64_t size) {
    for (uint64_t i = STATIC_BAND_NUMBERS; i < size; i++)
        if (!range_take(r, 0, (uint32_t)i))
            return false;
    r->held_besides = size - STATIC_BAND_NUMBERS;
    return true;
}

range_state *range_state_make(const workload *work) {
    range_state *r = lines_alloc(sizeof *r);
    if (r == NULL)
        return NULL;
    uint64_t size = (uint64_t)1 << work->size_bits;
    bool made =
        range_make(work, &r->ranges[0]) && (!work->own_ranges || range_make(work, &r->ranges[1]));
    r->pairs.maps[0] = r->ranges[0];
    r->pairs.maps[1] = work->own_ranges ? r->ranges[1] : r->ranges[0];
    if (!made || (work->bands && !fill_dynamic_band(r, size)) ||
        !pairs_open(&r->pairs, &RANGE, work, work->bands ? STATIC_BAND_NUMBERS : size, range_take,
                    r)) {
        range_free(r);
        return NULL;
    }
    return r;
}

void *range_open(const workload *work) {
    range_state *r = range_state_make(work);
    if (r != NULL)
        pairs_warm_up(r, work);
    return r;
}

const subject RANGE_SUBJECT = {"ipalloc", range_open, pairs_measure, range_close, NULL};
