/*
 * test_cooldown.c: the queue of released numbers by itself: its rules one by one, then random
 * operations against an unsorted list. The loop index of most tests says how numbers are kept.
 */
#include "resting_world.h"

#include "core/cooldown.h"

#include <stdlib.h>

/* Laid out with and without a line of rested ones; then by hash, small and as large as can be. */
static const cooldown_options SHAPES[] = {
    {.size = 400, .split = 100, .laid_out = true, .keep_rested = true, .rest_ms = REST_MS},
    {.size = 400, .split = 0, .laid_out = true, .rest_ms = REST_MS},
    {.size = 400, .split = 400, .keep_rested = true, .rest_ms = REST_MS},
    {.size = U128_MAX, .split = (u128)1 << 127, .keep_rested = true, .rest_ms = REST_MS},
    {.size = U128_MAX, .split = 256, .rest_ms = REST_MS},
    {.size = U128_MAX, .split = (u128)1 << 64, .keep_rested = true, .rest_ms = 0},
    {.size = 400, .split = 64, .laid_out = true, .keep_rested = true, .rest_ms = 0},
};

static const cooldown_options DENSE = {
    .size = 400, .split = 100, .laid_out = true, .keep_rested = true, .rest_ms = REST_MS};
static const cooldown_options WIDE = {
    .size = U128_MAX, .split = (u128)1 << 127, .keep_rested = true, .rest_ms = REST_MS};

static const cooldown_options *laid_out_or_not(int index) {
    return index == 0 ? &DENSE : &WIDE;
}

static cooldown *make(const cooldown_options *options) {
    cooldown *c = cooldown_create(&h, options);
    ck_assert_ptr_nonnull(c);
    return c;
}

static void put(cooldown *c, u128 number, uint64_t released_at_wall_ms) {
    require(cooldown_put(c, number, released_at_wall_ms) == IPALLOC_OK);
}

static void assert_oldest_resting(const cooldown *c, u128 expected) {
    u128 number;
    require(cooldown_oldest_resting(c, &number));
    require(number == expected);
}

static bool is_due(const cooldown *c, uint64_t now) {
    u128 number;
    return cooldown_due(c, now, &number);
}

static uint64_t count_all(const cooldown *c) {
    uint64_t count = 0;
    for (int side = 0; side < 2; side++)
        count +=
            cooldown_count(c, side, COOLDOWN_RESTING) + cooldown_count(c, side, COOLDOWN_RESTED);
    return count;
}

/* ---- order ---- */

START_TEST(a_number_rests_until_it_is_removed_and_only_once) {
    cooldown *c = make(laid_out_or_not(_i));
    ck_assert_int_eq(cooldown_state_of(c, 7), COOLDOWN_ABSENT);
    ck_assert(!cooldown_remove(c, 7));
    ck_assert_status(cooldown_put(c, 7, world.wall_ms), IPALLOC_OK);
    ck_assert_int_eq(cooldown_state_of(c, 7), COOLDOWN_RESTING);
    ck_assert_int_eq(cooldown_state_of(c, 8), COOLDOWN_ABSENT);
    ck_assert_uint_eq(cooldown_count(c, 0, COOLDOWN_RESTING), 1);
    ck_assert_uint_eq(cooldown_count(c, 1, COOLDOWN_RESTING), 0);
    ck_assert(cooldown_at(c, 0) == 7);
    ck_assert(cooldown_remove(c, 7));
    ck_assert(!cooldown_remove(c, 7));
    ck_assert_int_eq(cooldown_state_of(c, 7), COOLDOWN_ABSENT);
    ck_assert_uint_eq(count_all(c), 0);
    ck_assert(cooldown_validate(c));
    cooldown_destroy(c);
}
END_TEST

START_TEST(a_rest_ends_after_exactly_rest_ms) {
    cooldown *c = make(laid_out_or_not(_i));
    ck_assert(!is_due(c, UINT64_MAX));
    put(c, 7, world.wall_ms);
    uint64_t now = cooldown_now(c);
    ck_assert(!is_due(c, now));
    ck_assert(!is_due(c, now + REST_MS - 1));
    ck_assert(is_due(c, now + REST_MS));
    cooldown_destroy(c);
}
END_TEST

START_TEST(a_rest_without_end_never_ends_early) {
    cooldown_options options = *laid_out_or_not(_i);
    options.rest_ms = UINT64_MAX - 5;
    cooldown *c = make(&options);
    put(c, 7, world.wall_ms);
    ck_assert(!is_due(c, world.wall_ms));
    ck_assert(!is_due(c, UINT64_MAX - 1));
    cooldown_destroy(c);
}
END_TEST

START_TEST(numbers_leave_in_the_order_of_release_and_of_arrival_among_equals) {
    cooldown *c = make(laid_out_or_not(_i));
    const cooldown_options *o = laid_out_or_not(_i);
    /* both sides of the split take part in one order */
    const u128 numbers[] = {o->size - 1, 0, o->split, o->split - 1, 5, o->size - 2};
    for (size_t i = 0; i < 3; i++) { /* equals: the same millisecond */
        put(c, numbers[i], world.wall_ms);
        ck_assert(cooldown_validate(c));
    }
    for (size_t i = 3; i < 6; i++) {
        world.wall_ms++;
        put(c, numbers[i], world.wall_ms);
    }
    for (size_t i = 0; i < 6; i++) {
        u128 number;
        assert_oldest_resting(c, numbers[i]);
        ck_assert(cooldown_due(c, world.wall_ms + REST_MS, &number) && number == numbers[i]);
        ck_assert(cooldown_remove(c, number));
    }
    u128 number;
    ck_assert(!cooldown_oldest_resting(c, &number));
    cooldown_destroy(c);
}
END_TEST

START_TEST(removal_from_the_middle_leaves_the_order_of_the_others) {
    cooldown *c = make(laid_out_or_not(_i));
    enum { COUNT_PUT = 100 }; /* all of the lower side */
    uint64_t released[COUNT_PUT];
    bool gone[COUNT_PUT] = {false};
    for (u128 i = 0; i < COUNT_PUT; i++) { /* 37 and 101 have no common divisor: all differ */
        released[i] = world.wall_ms - (uint64_t)(i + 1) * 37 % 101;
        put(c, i, released[i]);
    }
    for (unsigned i = 0; i < COUNT_PUT; i += 3) {
        ck_assert(cooldown_remove(c, i));
        ck_assert(cooldown_validate(c));
        gone[i] = true;
    }
    uint64_t before = 0;
    u128 number;
    for (int left = COUNT_PUT - 34; left > 0; left--) {
        ck_assert(cooldown_oldest_resting(c, &number));
        ck_assert(!gone[(unsigned)number]);
        ck_assert_uint_gt(released[(unsigned)number], before);
        before = released[(unsigned)number];
        ck_assert(cooldown_remove(c, number));
    }
    ck_assert_uint_eq(count_all(c), 0);
    cooldown_destroy(c);
}
END_TEST

/* ---- rested ---- */

START_TEST(rested_numbers_wait_in_the_order_of_release_on_their_side) {
    cooldown *c = make(laid_out_or_not(_i));
    u128 split = laid_out_or_not(_i)->split, number;
    put(c, 1, world.wall_ms - 1);
    put(c, 2, world.wall_ms - 3);
    put(c, split + 1, world.wall_ms - 2);
    put(c, split, world.wall_ms - 2);
    cooldown_promote(c, 1); /* earlier promoted, but later released */
    cooldown_promote(c, 2);
    ck_assert_int_eq(cooldown_state_of(c, 2), COOLDOWN_RESTED);
    assert_oldest_resting(c, split + 1);
    ck_assert(!cooldown_oldest_rested(c, 1, NULL, NULL, &number));
    cooldown_promote(c, split);
    cooldown_promote(c, split + 1);
    ck_assert(cooldown_oldest_rested(c, 0, NULL, NULL, &number) && number == 2);
    ck_assert(cooldown_oldest_rested(c, 1, NULL, NULL, &number) && number == split + 1);
    ck_assert_uint_eq(cooldown_count(c, 0, COOLDOWN_RESTED), 2);
    ck_assert_uint_eq(cooldown_count(c, 1, COOLDOWN_RESTED), 2);
    ck_assert_uint_eq(cooldown_count(c, 0, COOLDOWN_RESTING), 0);
    ck_assert(cooldown_remove(c, 2));
    ck_assert(cooldown_oldest_rested(c, 0, NULL, NULL, &number) && number == 1);
    ck_assert(cooldown_validate(c));
    cooldown_destroy(c);
}
END_TEST

START_TEST(without_a_rest_a_number_waits_in_line_at_once) {
    cooldown_options options = *laid_out_or_not(_i);
    options.rest_ms = 0;
    cooldown *c = make(&options);
    put(c, 7, world.wall_ms);
    ck_assert_int_eq(cooldown_state_of(c, 7), COOLDOWN_RESTED);
    options.keep_rested = false;
    cooldown *other = make(&options);
    put(other, 7, world.wall_ms);
    ck_assert_int_eq(cooldown_state_of(other, 7), COOLDOWN_RESTING);
    ck_assert(is_due(other, world.wall_ms));
    cooldown_destroy(other);
    cooldown_destroy(c);
}
END_TEST

static bool below(void *context, u128 number) {
    return number < *(u128 *)context;
}

START_TEST(the_oldest_rested_number_that_is_not_skipped_is_found) {
    cooldown *c = make(laid_out_or_not(_i));
    u128 least, number;
    for (u128 i = 0; i < 50; i++) {
        put(c, i, world.wall_ms - 100 + (uint64_t)(i * 7 % 50));
        cooldown_promote(c, i);
    }
    for (least = 0; least < 50; least++) {
        u128 expected = least;
        for (u128 i = least; i < 50; i++)
            if (i * 7 % 50 < expected * 7 % 50)
                expected = i;
        ck_assert(cooldown_oldest_rested(c, 0, below, &least, &number) && number == expected);
    }
    ck_assert(!cooldown_oldest_rested(c, 0, below, &least, &number));
    ck_assert_uint_eq(count_all(c), 50);
    cooldown_destroy(c);
}
END_TEST

/* ---- the clock ---- */

START_TEST(a_clock_that_goes_back_ends_no_rest_earlier) {
    cooldown *c = make(laid_out_or_not(_i));
    put(c, 7, world.wall_ms);
    uint64_t start = cooldown_now(c);
    world.wall_ms += 400;
    ck_assert_uint_eq(cooldown_now(c), start + 400);
    world.wall_ms -= 900000;
    ck_assert_uint_eq(cooldown_now(c), start + 400);
    world.wall_ms += REST_MS - 400 - 1;
    ck_assert(!is_due(c, cooldown_now(c)));
    world.wall_ms += 1;
    ck_assert(is_due(c, cooldown_now(c))); /* and no later: somebody looked before it went back */
    cooldown_destroy(c);
}
END_TEST

START_TEST(a_release_after_the_clock_went_back_rests_its_full_time_and_comes_last) {
    cooldown *c = make(laid_out_or_not(_i));
    put(c, 7, world.wall_ms);
    world.wall_ms -= 500000;
    put(c, 8, world.wall_ms);
    uint64_t now = cooldown_now(c);
    assert_oldest_resting(c, 7);
    ck_assert(cooldown_remove(c, 7));
    ck_assert(!is_due(c, now + REST_MS - 1));
    ck_assert(is_due(c, now + REST_MS));
    ck_assert(cooldown_validate(c));
    cooldown_destroy(c);
}
END_TEST

/* ---- adoption of restored entries ---- */

START_TEST(adopted_entries_keep_their_release_times_whatever_order_they_come_in) {
    cooldown *c = make(laid_out_or_not(_i));
    u128 number;
    put(c, 1, world.wall_ms - 10);
    put(c, 2, world.wall_ms - REST_MS + 1);
    ck_assert(!is_due(c, world.wall_ms));
    put(c, 3, 0); /* long ago: due at once */
    put(c, 4, world.wall_ms - REST_MS);
    ck_assert(cooldown_validate(c));
    ck_assert(cooldown_due(c, world.wall_ms, &number) && number == 3);
    ck_assert(cooldown_remove(c, 3));
    ck_assert(cooldown_due(c, world.wall_ms, &number) && number == 4);
    ck_assert(cooldown_remove(c, 4));
    ck_assert(!is_due(c, world.wall_ms));
    ck_assert(cooldown_due(c, world.wall_ms + 1, &number) && number == 2);
    cooldown_destroy(c);
}
END_TEST

START_TEST(a_release_in_the_future_counts_as_one_of_now) {
    cooldown *c = make(laid_out_or_not(_i));
    put(c, 1, UINT64_MAX);
    put(c, 2, world.wall_ms);
    assert_oldest_resting(c, 1); /* equals: it came first */
    ck_assert(!is_due(c, world.wall_ms + REST_MS - 1));
    ck_assert(is_due(c, world.wall_ms + REST_MS));
    cooldown_destroy(c);
}
END_TEST

/* ---- both ends ---- */

START_TEST(both_ends_of_the_largest_range_are_numbers_like_any_other) {
    const u128 ends[] = {0, WIDE.split - 1, WIDE.split, U128_MAX - 1};
    cooldown *c = make(&WIDE);
    for (int i = 0; i < 4; i++)
        put(c, ends[i], world.wall_ms + (uint64_t)i - 10);
    ck_assert_uint_eq(cooldown_count(c, 0, COOLDOWN_RESTING), 2);
    ck_assert_uint_eq(cooldown_count(c, 1, COOLDOWN_RESTING), 2);
    ck_assert_int_eq(cooldown_state_of(c, ends[3] - 1), COOLDOWN_ABSENT);
    /* the same low or high half is not the same number */
    ck_assert_int_eq(cooldown_state_of(c, (u128)1 << 64), COOLDOWN_ABSENT);
    ck_assert_int_eq(cooldown_state_of(c, UINT64_MAX), COOLDOWN_ABSENT);
    ck_assert(cooldown_validate(c));
    for (int i = 0; i < 4; i++) {
        assert_oldest_resting(c, ends[i]);
        ck_assert(cooldown_remove(c, ends[i]));
    }
    cooldown_destroy(c);
}
END_TEST

/* ---- memory ---- */

START_TEST(every_allocation_of_a_creation_may_fail_and_nothing_leaks) {
    cooldown *c = NULL;
    for (world.memory.fail_once = 1; c == NULL; world.memory.fail_once++) {
        world.memory.calls = 0;
        c = cooldown_create(&h, &SHAPES[_i]);
        if (c == NULL)
            ck_assert_int_eq(world.memory.live, 0);
    }
    ck_assert_int_eq(world.memory.fail_once - 2, world.memory.calls);
    ck_assert(cooldown_validate(c));
    cooldown_destroy(c);
}
END_TEST

START_TEST(laid_out_a_put_needs_no_memory) {
    cooldown *c = make(&DENSE);
    world.memory.fail_from = world.memory.calls + 1;
    for (u128 i = 0; i < DENSE.size; i++)
        put(c, i, world.wall_ms);
    for (u128 i = 0; i < DENSE.size; i++)
        cooldown_promote(c, i);
    ck_assert(cooldown_validate(c));
    ck_assert_uint_eq(count_all(c), 400);
    cooldown_destroy(c);
}
END_TEST

START_TEST(a_put_without_memory_changes_nothing) { /* _i: which of its allocations fails */
    cooldown *c = make(&WIDE);
    int failures = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        world.memory.fail_once = world.memory.calls + _i;
        int status = cooldown_put(c, random_mix(i + 1), world.wall_ms);
        world.memory.fail_once = 0;
        if (status == IPALLOC_OK)
            continue;
        failures++;
        ck_assert_int_eq(status, IPALLOC_E_NOMEM);
        ck_assert_int_eq(cooldown_state_of(c, random_mix(i + 1)), COOLDOWN_ABSENT);
        ck_assert_uint_eq(count_all(c), i);
        ck_assert(cooldown_validate(c));
        for (uint64_t k = 0; k < i; k++)
            require(cooldown_state_of(c, random_mix(k + 1)) == COOLDOWN_RESTING);
        put(c, random_mix(i + 1), world.wall_ms);
        assert_oldest_resting(c, random_mix(1));
    }
    /* Index, numbers, nodes and two heaps start with 16 and double; the index is twice as long. */
    ck_assert_int_eq(failures, _i == 1 ? 8 : 7);
    cooldown_destroy(c);
}
END_TEST

START_TEST(a_promotion_never_needs_memory) {
    cooldown *c = make(&WIDE);
    for (uint64_t i = 0; i < 1000; i++) {
        put(c, random_mix(i), world.wall_ms);
        world.memory.fail_from = world.memory.calls + 1;
        cooldown_promote(c, random_mix(i));
        world.memory.fail_from = 0;
    }
    ck_assert_uint_eq(cooldown_count(c, 0, COOLDOWN_RESTED), 1000);
    ck_assert(cooldown_validate(c));
    cooldown_destroy(c);
}
END_TEST

START_TEST(the_room_of_removed_numbers_is_used_again) {
    cooldown *c = make(&WIDE);
    for (uint64_t i = 0; i < 100; i++)
        put(c, random_mix(i), world.wall_ms);
    long bytes = world.memory.bytes, calls = world.memory.calls;
    for (uint64_t i = 100; i < 10000; i++) {
        ck_assert(cooldown_remove(c, random_mix(i - 100)));
        put(c, random_mix(i), world.wall_ms);
    }
    ck_assert_int_eq(world.memory.bytes, bytes);
    ck_assert_int_eq(world.memory.calls, calls);
    ck_assert(cooldown_validate(c));
    cooldown_destroy(c);
}
END_TEST

START_TEST(memory_stays_within_what_the_header_promises) {
    cooldown_options options = WIDE;
    options.keep_rested = _i == 1;
    long most = options.keep_rested ? 112 : 104;
    cooldown *c = make(&options);
    long empty = world.memory.bytes;
    for (int i = 0; i < 2000; i++) {
        put(c, random_mix((uint64_t)i), world.wall_ms);
        long used = world.memory.bytes - empty;
        require(i < 16 || used <= most * (i + 1) + 5 * 16); /* malloc rounds five blocks */
        require(used >= 52 * (i + 1));
    }
    cooldown_destroy(c);
}
END_TEST

/* ---- random operations against a list ---- */

enum { POOL = 400 };

typedef struct entry {
    u128 number;
    enum cooldown_state state;
    uint64_t since, sequence;
} entry;

typedef struct model {
    cooldown_options options;
    entry pool[POOL];
    uint64_t now, last_wall_ms, arrivals;
} model;

/* All of a small range; of a large one both ends, both sides of the split, and some between. */
static u128 pool_number(const cooldown_options *o, u128 index) {
    if (o->size <= POOL)
        return index;
    if (index < 64)
        return index;
    if (index < 128)
        return o->size - 1 - (index - 64);
    if (index < 192)
        return o->split + index; /* the split is below size - 1000 */
    return u128_make(random_mix((uint64_t)index) >> 2 | 1, random_mix((uint64_t)index + 1000));
}

static model *model_make(const cooldown_options *options) {
    model *m = calloc(1, sizeof *m);
    ck_assert_ptr_nonnull(m);
    m->options = *options;
    for (unsigned i = 0; i < POOL; i++)
        m->pool[i].number = pool_number(options, i);
    m->now = m->last_wall_ms = world.wall_ms;
    return m;
}

/* Time passes with the wall clock and stands still where that goes back. */
static void model_look(model *m) {
    if (world.wall_ms > m->last_wall_ms)
        m->now += world.wall_ms - m->last_wall_ms;
    m->last_wall_ms = world.wall_ms;
}

static int entry_side(const model *m, const entry *e) {
    return e->number >= m->options.split;
}

static bool entry_older(const entry *a, const entry *b) {
    return a->since < b->since || (a->since == b->since && a->sequence < b->sequence);
}

static bool skip_even(void *context, u128 number) {
    (void)context;
    return (number & 1) == 0;
}

/* `side` -1: both. */
static entry *model_oldest(model *m, enum cooldown_state wanted, int side, bool odd) {
    entry *best = NULL;
    for (int i = 0; i < POOL; i++) {
        entry *e = &m->pool[i];
        if (e->state != wanted || (side >= 0 && entry_side(m, e) != side) ||
            (odd && skip_even(NULL, e->number)))
            continue;
        if (best == NULL || entry_older(e, best))
            best = e;
    }
    return best;
}

static uint64_t random_release_time(void) {
    switch (test_random(&state) % 8) {
    case 0:
        return 0;
    case 1:
        return world.wall_ms + test_random(&state) % 5000;
    case 2:
    case 3:
        return world.wall_ms - test_random(&state) % (2 * REST_MS);
    default:
        return world.wall_ms;
    }
}

static void put_one(model *m, cooldown *c, entry *e) {
    uint64_t released = random_release_time();
    bool poor = test_random(&state) % 2;
    if (poor)
        world.memory.fail_once = world.memory.calls + 1 + (long)(test_random(&state) % 4);
    int status = cooldown_put(c, e->number, released);
    world.memory.fail_once = 0;
    model_look(m);
    if (poor && status == IPALLOC_E_NOMEM && !m->options.laid_out)
        return;
    require(status == IPALLOC_OK);
    bool rested = m->options.keep_rested && m->options.rest_ms == 0;
    e->state = rested ? COOLDOWN_RESTED : COOLDOWN_RESTING;
    e->since = m->now - (released < world.wall_ms ? world.wall_ms - released : 0);
    e->sequence = m->arrivals++;
}

/* What the range does before a claim: whoever has rested long enough waits in line or leaves. */
static void let_the_rested_go(model *m, cooldown *c) {
    model_look(m);
    uint64_t now = cooldown_now(c);
    require(now == m->now);
    for (;;) {
        u128 number;
        entry *e = model_oldest(m, COOLDOWN_RESTING, -1, false);
        bool due = cooldown_due(c, now, &number);
        require(due == (e != NULL && e->since + m->options.rest_ms <= now));
        if (!due)
            return;
        require(number == e->number);
        if (m->options.keep_rested)
            cooldown_promote(c, number);
        else
            require(cooldown_remove(c, number));
        e->state = m->options.keep_rested ? COOLDOWN_RESTED : COOLDOWN_ABSENT;
    }
}

static void compare_oldest(model *m, const cooldown *c) {
    u128 number;
    const entry *e = model_oldest(m, COOLDOWN_RESTING, -1, false);
    require(cooldown_oldest_resting(c, &number) == (e != NULL));
    require(e == NULL || number == e->number);
    for (int i = 0; i < 4; i++) {
        int side = i / 2, odd = i % 2;
        e = model_oldest(m, COOLDOWN_RESTED, side, odd);
        require(cooldown_oldest_rested(c, side, odd ? skip_even : NULL, NULL, &number) ==
                (e != NULL));
        require(e == NULL || number == e->number);
    }
}

static void compare_all(const model *m, const cooldown *c) {
    uint64_t counts[2][3] = {{0}};
    u128 sum = 0;
    for (int i = 0; i < POOL; i++) {
        const entry *e = &m->pool[i];
        require(cooldown_state_of(c, e->number) == e->state);
        counts[entry_side(m, e)][e->state]++;
        if (e->state != COOLDOWN_ABSENT)
            sum += e->number * e->number;
    }
    for (int side = 0; side < 2; side++)
        for (int one = COOLDOWN_RESTING; one <= COOLDOWN_RESTED; one++)
            require(cooldown_count(c, side, (enum cooldown_state)one) == counts[side][one]);
    for (uint64_t i = count_all(c); i-- > 0;)
        sum -= cooldown_at(c, i) * cooldown_at(c, i);
    require(sum == 0); /* modulo 2^128: each number once */
    require(cooldown_validate(c));
}

static void move_the_clock(void) {
    uint64_t step = test_random(&state) % 300;
    bool back = test_random(&state) % 4 == 0;
    world.wall_ms += back ? -3 * step : step;
    if (world.wall_ms < 10 * REST_MS || world.wall_ms > UINT64_MAX / 2)
        world.wall_ms = 1000000;
}

START_TEST(random_operations_match_a_list) {
    model *m = model_make(&SHAPES[_i]);
    cooldown *c = make(&SHAPES[_i]);
    for (uint64_t i = test_scaled(60000); i > 0; i--) {
        entry *e = &m->pool[test_random(&state) % POOL];
        require(cooldown_state_of(c, e->number) == e->state);
        bool fill = i % 8000 < 5000;
        if (e->state == COOLDOWN_ABSENT && (fill || i % 8 == 0)) {
            put_one(m, c, e);
        } else if (!fill || i % 8 == 0) {
            require(cooldown_remove(c, e->number) == (e->state != COOLDOWN_ABSENT));
            e->state = COOLDOWN_ABSENT;
        }
        if (i % 16 == 1)
            move_the_clock();
        if (i % 32 == 0)
            let_the_rested_go(m, c);
        if (i % 8 == 3)
            compare_oldest(m, c);
        if (i % 128 == 0)
            compare_all(m, c);
    }
    cooldown_destroy(c);
    free(m);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void) {
    Suite *suite = suite_create("cooldown");
    TCase *tc = tcase_create("cooldown");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, nothing_leaked);
    const TTest *const on_both[] = {
        a_number_rests_until_it_is_removed_and_only_once,
        a_rest_ends_after_exactly_rest_ms,
        a_rest_without_end_never_ends_early,
        numbers_leave_in_the_order_of_release_and_of_arrival_among_equals,
        removal_from_the_middle_leaves_the_order_of_the_others,
        rested_numbers_wait_in_the_order_of_release_on_their_side,
        without_a_rest_a_number_waits_in_line_at_once,
        the_oldest_rested_number_that_is_not_skipped_is_found,
        a_clock_that_goes_back_ends_no_rest_earlier,
        a_release_after_the_clock_went_back_rests_its_full_time_and_comes_last,
        adopted_entries_keep_their_release_times_whatever_order_they_come_in,
        a_release_in_the_future_counts_as_one_of_now,
        memory_stays_within_what_the_header_promises,
    };
    for (int i = 0; i < COUNT(on_both); i++)
        tcase_add_loop_test(tc, on_both[i], 0, 2);
    tcase_add_test(tc, both_ends_of_the_largest_range_are_numbers_like_any_other);
    tcase_add_loop_test(tc, every_allocation_of_a_creation_may_fail_and_nothing_leaks, 0,
                        COUNT(SHAPES));
    tcase_add_test(tc, laid_out_a_put_needs_no_memory);
    tcase_add_loop_test(tc, a_put_without_memory_changes_nothing, 1, 6);
    tcase_add_test(tc, a_promotion_never_needs_memory);
    tcase_add_test(tc, the_room_of_removed_numbers_is_used_again);
    tcase_add_loop_test(tc, random_operations_match_a_list, 0, COUNT(SHAPES));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
