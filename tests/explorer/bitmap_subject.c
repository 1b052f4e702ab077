/*
 * bitmap_subject.c: the real bitmap.c under the explorer.
 */
#include "explorer.h"

#include "core/bitmap.h"

#include <stdlib.h>

static hooks h;
static bitmap *map;
static uint64_t map_size;

static void prepare(const program *p) {
    const ipalloc_hooks user = scheduler_new_memory();
    uint64_t stamp, number;
    map_size = p->size;
    if (hooks_init(&h, &user, NULL) != IPALLOC_OK || (map = bitmap_create(&h, p->size)) == NULL)
        abort();
    for (uint64_t i = 0; i < p->size; i++)
        bitmap_take(map, i);
    if (p->flags == CLOSED)
        bitmap_prove_full(map, &stamp, &number);
    if (p->retaken != 0) {
        bitmap_release(map, p->retaken - 1);
        bitmap_take(map, p->retaken - 1);
    }
    for (int i = 0; i < NAMED_MAX; i++) {
        if (p->free[i] != 0)
            bitmap_release(map, p->free[i] - 1);
    }
}

static bool allocate_number(enum bitmap_choice chosen, uint64_t *stamp, uint64_t *number) {
    for (;;) {
        if (bitmap_claim_any(map, &h, chosen, 0, map_size, number))
            return true;
        if (bitmap_prove_full(map, stamp, number))
            return false;
        if (bitmap_take(map, *number))
            return true;
    }
}

static bool perform_kind(outcome *o, const outcome *before, uint64_t *stamp) {
    switch (o->called.kind) {
    case TAKE:
        return bitmap_take(map, o->number);
    case RELEASE:
        return bitmap_release(map, o->number);
    case LOOKUP:
        o->state = bitmap_is_taken(map, o->number) ? NUMBER_HELD : NUMBER_FREE;
        return o->state == NUMBER_HELD;
    case CLAIM:
        return bitmap_claim_any(map, &h, BITMAP_LOWEST, 0, map_size, &o->number);
    case PROVE:
        return !bitmap_prove_full(map, stamp, &o->number);
    case DRY_RUN:
        return bitmap_find_any(map, &h, BITMAP_LOWEST, 0, map_size, NULL, NULL, &o->number) ||
               !bitmap_prove_full(map, stamp, &o->number);
    case AGAIN:
        if (before != NULL && !before->ok && bitmap_still_full(map, *stamp))
            return false;
        break;
    case ALLOCATE:
    case LOWEST:
        break;
    default:
        abort(); /* not for a bitmap */
    }
    return allocate_number(o->called.kind == LOWEST ? BITMAP_LOWEST : BITMAP_RANDOM, stamp,
                           &o->number);
}

static void perform(outcome *o, const outcome *before, uint64_t *stamp) {
    o->ok = perform_kind(o, before, stamp);
    if (!o->ok)
        o->number = o->called.number; /* whatever a search left there */
}

static uint64_t guarded(void) {
    return 0;
}

static void look(unsigned char *states) {
    for (uint64_t i = 0; i < map_size; i++) {
        bool taken = (bitmap_taken_word(map, i / 64) >> i % 64 & 1) != 0;
        states[i] = taken ? NUMBER_HELD : NUMBER_FREE;
    }
}

static const char *check(bool any_free) {
    uint64_t number;
    if (!bitmap_validate(map))
        return "a free number without its flags is left";
    if (bitmap_claim_any(map, &h, BITMAP_RANDOM, 0, map_size, &number) != any_free)
        return "at rest, a claim does not find what is free";
    return NULL;
}

const subject bitmap_subject = {prepare, perform, guarded, look, check};
