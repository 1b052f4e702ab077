/*
 * recorder.c: random programs, the threads that run them, and their instants.
 *
 * Within a round threads wait for one another without sleeping, so that they start together; it is
 * between rounds, while histories are judged, that they sleep.
 */
#include "recorder.h"

#include "base/atomic.h"
#include "core/range_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_MAX = HISTORY_NUMBERS_MAX, MANY_MAX = 3, HOT = 6 };

typedef struct worker {
    recorder *recorder;
    pthread_t thread;
    unsigned index;
    uint64_t random;
    uint32_t own[OWN_MAX]; /* what it has got and not given back */
    uint32_t own_count;
    call calls[HISTORY_OPERATIONS_MAX / RECORDER_THREADS_MAX];
    size_t call_count;
} worker;

struct recorder {
    const range_shape *shape;
    ipalloc_range *range;
    worker workers[RECORDER_THREADS_MAX];
    pthread_barrier_t round;
    bool over;
    history *out;
    uint32_t hot[HOT]; /* numbers that this history is about */
    const char *wrong; /* an answer that no operation may give */
    atomic_word instant, arrived;
};

/* ---- chance ---- */

static _Thread_local uint64_t *own_random; /* of the thread that the library runs in */

static uint64_t below(worker *w, uint64_t bound) {
    return test_random(&w->random) % bound;
}

/* Once in a while, wait a moment or give way. */
static void disturb(uint64_t random) {
    if (random % 32 == 0)
        sched_yield();
    else if (random % 4 == 1)
        for (volatile unsigned i = 0; i < random / 32 % 64; i++)
            ;
}

/* Called by disturbed_atomic.h; elsewhere by nobody. */
void history_disturb(void);

void history_disturb(void) {
    if (own_random != NULL)
        disturb(test_random(own_random));
}

static uint64_t disturbing_random(void *context) {
    (void)context;
    uint64_t random = test_random(own_random);
    disturb(random >> 32);
    return random;
}

static uint64_t standing_clock(void *context) {
    (void)context;
    return 1000000;
}

/* ---- the range ---- */

static range_offset offset_of(const recorder *r, uint32_t number) {
    return (range_offset){r->shape->base + number};
}

static ipalloc_addr addr_of(const recorder *r, uint32_t number) {
    return range_addr_of(r->range, offset_of(r, number));
}

static number_state state_now(const recorder *r, uint32_t number) {
    switch (range_state_of(r->range, offset_of(r, number))) {
    case RANGE_HELD:
        return STATE_HELD;
    case RANGE_EXCLUDED:
        return STATE_EXCLUDED;
    default: /* what cools is given before FULL is said, see range_shape */
        return STATE_FREE;
    }
}

static void exclude_the_rest(const recorder *r) {
    const range_shape *s = r->shape;
    u128 size = range_usable_size(r->range), end = (u128)s->base + s->numbers;
    if (s->base > 0)
        ck_assert_status(
            range_exclude(r->range, (range_offset){0}, (range_offset){(u128)s->base - 1}),
            IPALLOC_OK);
    if (end < size)
        ck_assert_status(range_exclude(r->range, (range_offset){end}, (range_offset){size - 1}),
                         IPALLOC_OK);
}

static void make_range(recorder *r) {
    const range_shape *s = r->shape;
    const ipalloc_hooks hooks = {.size = sizeof hooks,
                                 .random = disturbing_random,
                                 .wall_clock_ms = standing_clock,
                                 .monotonic_ms = standing_clock};
    const ipalloc_range_options options = {.size = sizeof options,
                                           .hooks = &hooks,
                                           .use_all_addresses = true,
                                           .static_band_size = s->static_band_size,
                                           .strategy = s->strategy,
                                           .cool_down_ms = s->cool_down_ms,
                                           .reuse_cooling_when_full = s->reuse_cooling_when_full};
    ipalloc_cidr block = cidr(s->cidr);
    ipalloc_error error;
    ck_assert_status_error(ipalloc_range_create(&block, &options, &r->range, &error), IPALLOC_OK,
                           &error);
    exclude_the_rest(r);
}

/* ---- one operation each ---- */

static void begin(worker *w, call *c) {
    disturb(test_random(&w->random));
    c->begin = atomic_add_seq(&w->recorder->instant, 1);
}

static void end(worker *w, call *c) {
    c->end = atomic_add_seq(&w->recorder->instant, 1);
    w->calls[w->call_count++] = *c;
}

/* OK is true, the other expected answer false. */
static bool answer(worker *w, int status, int otherwise) {
    if (status != IPALLOC_OK && status != otherwise)
        w->recorder->wrong = ipalloc_status_name(status);
    return status == IPALLOC_OK;
}

static void got(worker *w, uint32_t number) {
    if (w->own_count < OWN_MAX)
        w->own[w->own_count++] = number;
}

static uint32_t number_of(worker *w, const ipalloc_addr *address) {
    range_offset offset;
    const range_shape *s = w->recorder->shape;
    if (range_offset_of(w->recorder->range, address, &offset) == IPALLOC_OK &&
        offset.value >= s->base && offset.value - s->base < s->numbers)
        return (uint32_t)(offset.value - s->base);
    w->recorder->wrong = "an address that is excluded or from elsewhere";
    return 0;
}

static void allocate(worker *w) {
    call c = {.kind = CALL_ALLOCATE};
    ipalloc_addr address;
    begin(w, &c);
    c.ok = answer(w, ipalloc_range_allocate(w->recorder->range, &address), IPALLOC_E_FULL);
    if (c.ok)
        c.number = number_of(w, &address);
    end(w, &c);
    if (c.ok)
        got(w, c.number);
}

/* As the registry does it: band by band, then the proof. */
static void allocate_by_bands(worker *w) {
    ipalloc_range *range = w->recorder->range;
    call c = {.kind = CALL_ALLOCATE};
    range_offset offset;
    uint64_t stamp;
    begin(w, &c);
    do {
        c.ok = answer(w, range_claim_any(range, RANGE_BAND_DYNAMIC, &offset), IPALLOC_E_FULL) ||
               answer(w, range_claim_any(range, RANGE_BAND_STATIC, &offset), IPALLOC_E_FULL);
    } while (!c.ok && range_prove_full(range, &stamp) != IPALLOC_E_FULL);
    if (c.ok)
        c.number = (uint32_t)offset.value - w->recorder->shape->base;
    end(w, &c);
    if (c.ok)
        got(w, c.number);
}

static void prove(worker *w) {
    call c = {.kind = CALL_PROVE};
    uint64_t stamp;
    begin(w, &c);
    c.ok = answer(w, range_prove_full(w->recorder->range, &stamp), IPALLOC_E_FULL);
    end(w, &c);
}

static void reserve(worker *w, uint32_t number) {
    call c = {.kind = CALL_RESERVE, .number = number, .count = 1};
    ipalloc_addr address = addr_of(w->recorder, number);
    begin(w, &c);
    c.ok = answer(w, ipalloc_range_reserve(w->recorder->range, &address), IPALLOC_E_TAKEN);
    end(w, &c);
    if (c.ok)
        got(w, number);
}

static void release(worker *w, uint32_t number) {
    call c = {.kind = CALL_RELEASE, .number = number, .count = 1};
    ipalloc_addr address = addr_of(w->recorder, number);
    begin(w, &c);
    c.ok = answer(w, ipalloc_range_release(w->recorder->range, &address), IPALLOC_E_NOT_FOUND);
    end(w, &c);
}

static uint32_t pop_own(worker *w) {
    uint32_t at = (uint32_t)below(w, w->own_count), number = w->own[at];
    w->own[at] = w->own[--w->own_count];
    return number;
}

static void has(worker *w, uint32_t number) {
    call c = {.kind = CALL_HAS, .number = number, .count = 1};
    ipalloc_addr address = addr_of(w->recorder, number);
    begin(w, &c);
    c.ok = ipalloc_range_has(w->recorder->range, &address);
    end(w, &c);
}

static void exclude_or_include(worker *w, uint32_t number) {
    const range_shape *s = w->recorder->shape;
    call c = {.kind = below(w, 2) == 0 ? CALL_EXCLUDE : CALL_INCLUDE, .number = number};
    c.count = 1 + (uint32_t)below(w, 3);
    if (c.number + c.count > s->numbers)
        c.count = s->numbers - c.number;
    ipalloc_addr first = addr_of(w->recorder, c.number),
                 last = addr_of(w->recorder, c.number + c.count - 1);
    begin(w, &c);
    if (c.kind == CALL_EXCLUDE)
        c.ok = answer(w, ipalloc_range_exclude(w->recorder->range, &first, &last), IPALLOC_E_TAKEN);
    else
        c.ok = answer(w, ipalloc_range_include(w->recorder->range, &first, &last),
                      IPALLOC_E_NOT_FOUND);
    end(w, &c);
}

/* Several at once are as many operations of the same time: which instant each has is left open. */
static void end_many(worker *w, call c, const uint32_t *numbers, size_t count) {
    c.end = atomic_add_seq(&w->recorder->instant, 1);
    c.count = 1;
    for (size_t i = 0; i < count; i++) {
        c.number = numbers[i];
        w->calls[w->call_count++] = c;
    }
}

/* FULL is one more allocation, which got nothing. */
static void allocate_many(worker *w) {
    call c = {.kind = CALL_ALLOCATE, .ok = true};
    ipalloc_addr addresses[MANY_MAX];
    uint32_t numbers[MANY_MAX];
    size_t wanted = 2 + below(w, MANY_MAX - 1), count;
    begin(w, &c);
    bool all = answer(w, ipalloc_range_allocate_many(w->recorder->range, addresses, wanted, &count),
                      IPALLOC_E_FULL);
    for (size_t i = 0; i < count; i++)
        numbers[i] = number_of(w, &addresses[i]);
    end_many(w, c, numbers, count);
    if (!all) {
        c.ok = false;
        end(w, &c);
    }
    for (size_t i = 0; i < count; i++)
        got(w, numbers[i]);
}

/* Only what is one's own, and nobody else releases: so that the answer is known of each. */
static void release_many(worker *w) {
    call c = {.kind = CALL_RELEASE};
    ipalloc_addr addresses[MANY_MAX];
    uint32_t numbers[MANY_MAX], count = 0;
    while (count < MANY_MAX && w->own_count > 0) {
        numbers[count] = pop_own(w);
        addresses[count] = addr_of(w->recorder, numbers[count]);
        count++;
    }
    begin(w, &c);
    c.ok = answer(w, ipalloc_range_release_many(w->recorder->range, addresses, count), IPALLOC_OK);
    end_many(w, c, numbers, count);
}

/* ---- programs ---- */

/* Where what cools is given rather than FULL, only the plain allocation says FULL as a set would.
 */
static void operate_on_any(worker *w, uint64_t chance) {
    if (chance < 60 || w->recorder->shape->reuse_cooling_when_full)
        allocate(w);
    else if (chance < 75)
        allocate_by_bands(w);
    else if (chance < 85)
        allocate_many(w);
    else
        prove(w);
}

static void operate(worker *w) {
    bool excluding = w->recorder->shape->excluding;
    uint32_t hot = w->recorder->hot[below(w, HOT)];
    uint64_t chance = below(w, 100);
    if (chance < 40)
        operate_on_any(w, below(w, 100));
    else if (chance < 60 && w->own_count > 0)
        release(w, pop_own(w));
    else if (chance < 65 && excluding)
        release_many(w);
    else if (chance < 78 && excluding)
        exclude_or_include(w, hot);
    else if (chance < 70 && !excluding)
        release(w, hot);
    else if (chance < 88)
        reserve(w, hot);
    else
        has(w, hot);
}

static void run_program(worker *w) {
    w->call_count = 0;
    for (unsigned i = 0; i < w->recorder->shape->operations; i++)
        operate(w);
}

/* ---- between histories: one thread, the others wait ---- */

/* Nearly full, as few excluded as makes no difference, and everything held belongs to somebody. */
static void make_nearly_full(recorder *r) {
    worker *w = &r->workers[0];
    uint32_t numbers = r->shape->numbers, free_wanted = (uint32_t)below(w, r->shape->free_max + 1);
    uint32_t free_count = 0, hot = 0;
    for (unsigned i = 0; i < r->shape->threads; i++)
        r->workers[i].own_count = 0;
    uint32_t start = (uint32_t)below(w, numbers);
    for (uint32_t i = 0; i < numbers; i++) {
        uint32_t number = (start + i) % numbers;
        range_offset offset = offset_of(r, number);
        number_state state = state_now(r, number);
        if (state == STATE_EXCLUDED && below(w, 4) != 0) {
            range_include(r->range, offset, offset);
            state = STATE_FREE;
        }
        if (state == STATE_FREE && free_count >= free_wanted) {
            range_claim(r->range, offset);
            state = STATE_HELD;
        } else if (state == STATE_HELD && free_count < free_wanted && below(w, 4) == 0) {
            range_release(r->range, offset, standing_clock(NULL));
            state = STATE_FREE;
        }
        free_count += state == STATE_FREE;
        if (state == STATE_HELD)
            got(&r->workers[number % r->shape->threads], number);
        else if (hot < HOT)
            r->hot[hot++] = number;
    }
    while (hot < HOT)
        r->hot[hot++] = (uint32_t)below(w, numbers);
}

static void read_states(const recorder *r, unsigned char *states) {
    for (uint32_t i = 0; i < r->shape->numbers; i++)
        states[i] = (unsigned char)state_now(r, i);
}

static void open_history(recorder *r, history *h) {
    make_nearly_full(r);
    h->numbers = r->shape->numbers;
    h->count = 0;
    read_states(r, h->at_start);
    atomic_word_init(&r->instant, 1);
}

static void close_history(recorder *r, history *h) {
    read_states(r, h->at_end);
    for (unsigned i = 0; i < r->shape->threads; i++) {
        const worker *w = &r->workers[i];
        memcpy(&h->calls[h->count], w->calls, w->call_count * sizeof *w->calls);
        h->count += w->call_count;
    }
}

/* ---- threads ---- */

/* All threads have come here the `meeting`-th time. */
static void meet(recorder *r, uint64_t meeting) {
    enum { PATIENCE = 200 };
    uint64_t all = meeting * r->shape->threads;
    atomic_add_seq(&r->arrived, 1);
    for (unsigned i = 0; atomic_load_seq(&r->arrived) < all; i++) {
        if (i > PATIENCE)
            sched_yield();
    }
}

static void do_round(worker *w) {
    recorder *r = w->recorder;
    uint64_t meeting = 0;
    for (unsigned i = 0; i < ROUND_HISTORIES; i++) {
        if (w->index == 0)
            open_history(r, &r->out[i]);
        meet(r, ++meeting);
        run_program(w);
        meet(r, ++meeting);
        if (w->index == 0)
            close_history(r, &r->out[i]);
    }
}

static void *work(void *context) {
    worker *w = context;
    own_random = &w->random;
    for (;;) {
        pthread_barrier_wait(&w->recorder->round);
        if (w->recorder->over)
            return NULL;
        do_round(w);
        pthread_barrier_wait(&w->recorder->round);
    }
}

void recorder_record(recorder *r, history out[ROUND_HISTORIES]) {
    ipalloc_error error;
    r->out = out;
    atomic_word_init(&r->arrived, 0);
    pthread_barrier_wait(&r->round);
    do_round(&r->workers[0]);
    pthread_barrier_wait(&r->round);
    ck_assert_msg(r->wrong == NULL, "%s: an operation answered %s", r->shape->name, r->wrong);
    ck_assert_status_error(ipalloc_range_validate(r->range, &error), IPALLOC_OK, &error);
}

recorder *recorder_create(const range_shape *shape, uint64_t seed) {
    recorder *r = calloc(1, sizeof *r);
    ck_assert_ptr_nonnull(r);
    r->shape = shape;
    pthread_barrier_init(&r->round, NULL, shape->threads);
    for (unsigned i = 0; i < shape->threads; i++)
        r->workers[i] = (worker){.recorder = r, .index = i, .random = seed + i * 1000003};
    own_random = &r->workers[0].random;
    make_range(r);
    for (unsigned i = 1; i < shape->threads; i++)
        ck_assert_int_eq(pthread_create(&r->workers[i].thread, NULL, work, &r->workers[i]), 0);
    return r;
}

void recorder_destroy(recorder *r) {
    r->over = true;
    pthread_barrier_wait(&r->round);
    for (unsigned i = 1; i < r->shape->threads; i++)
        pthread_join(r->workers[i].thread, NULL);
    pthread_barrier_destroy(&r->round);
    ipalloc_range_destroy(r->range);
    free(r);
}
