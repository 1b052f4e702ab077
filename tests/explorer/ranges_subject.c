/*
 * ranges_subject.c: the real ranges, lock-free ones, and their common proof of FULL under the
 * explorer.
 *
 * Ports, so that an offset is a number and nothing of addresses is in the way. One band each.
 */
#include "explorer.h"

#include "core/range_private.h"

#include <stdlib.h>

enum { RANGES_MAX = 3 };

static ipalloc_range *ranges[RANGES_MAX];
static const program *of;

static ipalloc_range *range_of(uint64_t number, range_offset *offset) {
    offset->value = number % of->size;
    return ranges[number / of->size];
}

static void require_ok(int status) {
    if (status != IPALLOC_OK)
        abort();
}

static ipalloc_range *make_range(const ipalloc_hooks *user) {
    const ipalloc_range_options options = {
        .size = sizeof options, .hooks = user, .static_band_size = IPALLOC_NO_STATIC_BAND};
    ipalloc_range *range;
    uint64_t stamp;
    require_ok(ipalloc_port_range_create(0, (uint16_t)(of->size - 1), &options, &range, NULL));
    require_ok(exclusion_reserve(&range->excluded)); /* no memory is had while exploring */
    for (uint64_t i = 0; i < of->size; i++)
        require_ok(range_claim(range, (range_offset){i}));
    if (of->flags == CLOSED && range_prove_full(range, &stamp) != IPALLOC_E_FULL)
        abort();
    return range;
}

static void prepare(const program *p) {
    const ipalloc_hooks user = scheduler_new_memory();
    range_offset offset;
    of = p;
    if (p->ranges > RANGES_MAX)
        abort();
    for (unsigned i = 0; i < p->ranges; i++)
        ranges[i] = make_range(&user);
    for (int i = 0; i < NAMED_MAX; i++) {
        if (p->free[i] != 0)
            require_ok(range_release(range_of(p->free[i] - 1, &offset), offset, 0));
    }
    if (p->excluded != 0) {
        ipalloc_range *range = range_of(p->excluded - 1, &offset);
        require_ok(range_release(range, offset, 0));
        require_ok(range_exclude(range, offset, offset));
    }
}

/* As the registry does it. */
static bool allocate_all(uint64_t *number) {
    do {
        for (unsigned i = 0; i < of->ranges; i++) {
            range_offset offset;
            if (range_claim_any(ranges[i], RANGE_BAND_DYNAMIC, &offset) == IPALLOC_OK) {
                *number = i * of->size + (uint64_t)offset.value;
                return true;
            }
        }
    } while (range_prove_all_full(ranges, of->ranges) != IPALLOC_E_FULL);
    return false;
}

static unsigned char number_state(enum range_state state) {
    return state == RANGE_FREE ? NUMBER_FREE : state == RANGE_HELD ? NUMBER_HELD : NUMBER_EXCLUDED;
}

static bool perform_kind(outcome *o) {
    range_offset offset, next;
    ipalloc_range *range = range_of(o->number, &offset);
    uint64_t stamp;
    next.value = offset.value + 1;
    switch (o->called.kind) {
    case ALLOCATE:
        if (range_allocate(range, &offset) != IPALLOC_OK)
            return false;
        o->number = o->number / of->size * of->size + (uint64_t)offset.value;
        return true;
    case TAKE:
        return range_claim(range, offset) == IPALLOC_OK;
    case RELEASE:
        return range_release(range, offset, 0) == IPALLOC_OK;
    case LOOKUP:
        o->state = number_state(range_state_of(range, offset));
        return o->state == NUMBER_HELD;
    case PROVE:
        return range_prove_full(range, &stamp) != IPALLOC_E_FULL;
    case ALLOCATE_ALL:
        return allocate_all(&o->number);
    case PROVE_ALL:
        return range_prove_all_full(ranges, of->ranges) != IPALLOC_E_FULL;
    case EXCLUDE:
        return range_exclude(range, offset, offset) == IPALLOC_OK;
    case EXCLUDE_TWO:
        return range_exclude(range, offset, next) == IPALLOC_OK;
    case INCLUDE:
        return range_include(range, offset, offset) == IPALLOC_OK;
    case INCLUDE_TWO:
        return range_include(range, offset, next) == IPALLOC_OK;
    default:
        abort(); /* not for ranges */
    }
}

static void perform(outcome *o, const outcome *before, uint64_t *stamp) {
    (void)before;
    (void)stamp;
    o->ok = perform_kind(o);
    if (!o->ok)
        o->number = o->called.number; /* whatever a search left there */
}

static uint64_t guarded(void) {
    uint64_t hash = 0;
    for (unsigned i = 0; i < of->ranges; i++) {
        const exclusion_set *set = &ranges[i]->excluded;
        hash = random_mix(hash + set->count + 1);
        for (size_t j = 0; j < set->count; j++)
            hash = random_mix(hash + (uint64_t)set->intervals[j].first * of->size +
                              (uint64_t)set->intervals[j].last + 1);
    }
    return hash;
}

static void look(unsigned char *states) {
    for (uint64_t i = 0; i < program_numbers(of); i++) {
        range_offset offset;
        const ipalloc_range *range = range_of(i, &offset);
        states[i] = number_state(range_state_of(range, offset));
    }
}

static const char *check(bool any_free) {
    uint64_t number;
    for (unsigned i = 0; i < of->ranges; i++) {
        if (ipalloc_range_validate(ranges[i], NULL) != IPALLOC_OK)
            return "a range is not valid";
    }
    if (allocate_all(&number) != any_free)
        return "at rest, an allocation does not find what is free";
    return NULL;
}

const subject ranges_subject = {prepare, perform, guarded, look, check};
