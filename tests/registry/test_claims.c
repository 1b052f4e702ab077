/*
 * test_claims.c: what is known of single places beyond what was told, and up to where all is known.
 */
#include "counted_memory.h"

#include "registry/registry.h"

#include <pthread.h>
#include <string.h>

static struct ipalloc_pool pool, other;

static place place_number(uint32_t number) {
    ipalloc_addr address = {
        .family = 4,
        .bytes = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
    return place_of_addr(&address);
}

typedef struct table {
    counted_memory memory;
    hooks hooks;
    claim_table claims;
} table;

static void table_open(table *t) {
    *t = (table){0};
    const ipalloc_hooks given = {.size = sizeof given,
                                 .context = &t->memory,
                                 .allocate = counted_allocate,
                                 .reallocate = counted_reallocate,
                                 .deallocate = counted_deallocate};
    ck_assert_status(hooks_init(&t->hooks, &given, NULL), IPALLOC_OK);
    ck_assert(claims_init(&t->claims, &t->hooks));
}

static void table_close(table *t) {
    claims_destroy(&t->claims);
    ck_assert_int_eq(t->memory.live, 0);
}

static bool known(table *t, uint32_t number, uint64_t revision) {
    place p = place_number(number);
    return claims_know_better(&t->claims, &pool, &p, revision);
}

static bool remember(table *t, uint32_t number, uint64_t revision, uint64_t told) {
    place p = place_number(number);
    return claims_remember(&t->claims, &pool, &p, revision, told);
}

/* --- own commits ahead ------------------------------------------------------------------------ */

START_TEST(the_latest_own_commit_of_a_place_is_remembered) {
    table t;
    place p = place_number(1);
    table_open(&t);
    ck_assert(!known(&t, 1, 1));
    ck_assert(remember(&t, 1, 10, 5));
    ck_assert(known(&t, 1, 9));
    ck_assert(known(&t, 1, 10));
    ck_assert(!known(&t, 1, 11));
    ck_assert(!known(&t, 2, 9));
    ck_assert(!claims_know_better(&t.claims, &other, &p, 9));
    ck_assert(remember(&t, 1, 8, 5)); /* an earlier one changes nothing */
    ck_assert(known(&t, 1, 10));
    ck_assert(remember(&t, 2, 5, 5)); /* told already */
    ck_assert(!known(&t, 2, 5));
    table_close(&t);
}
END_TEST

START_TEST(what_was_told_makes_room) {
    table t;
    table_open(&t);
    for (uint32_t i = 1; i <= 100000; i++)
        ck_assert(remember(&t, i, i, i - 1));
    ck_assert_uint_le(t.claims.ahead_capacity, 256);
    ck_assert_uint_eq(atomic_load_relaxed(&t.claims.crowded), 0);
    table_close(&t);
}
END_TEST

START_TEST(what_was_not_told_is_kept_and_said_to_be_much) {
    table t;
    table_open(&t);
    for (uint32_t i = 1; i <= 20000; i++)
        require(remember(&t, i, i, 0));
    for (uint32_t i = 1; i <= 20000; i++)
        require(known(&t, i, i) && !known(&t, i, i + 1));
    ck_assert_uint_eq(atomic_load_relaxed(&t.claims.crowded), 1);
    table_close(&t);
}
END_TEST

START_TEST(where_there_is_no_room_it_is_said_and_all_is_forgotten) {
    table t;
    table_open(&t);
    t.memory.fail_from = 1;
    ck_assert(!remember(&t, 1, 10, 5));
    t.memory.fail_from = 0;
    uint32_t count = 0;
    while (remember(&t, count, 10, 5))
        count++;
    ck_assert_uint_gt(count, 500000);
    ck_assert(!known(&t, 1, 9));
    ck_assert(remember(&t, 1, 10, 5));
    ck_assert(known(&t, 1, 9));
    table_close(&t);
}
END_TEST

/* --- what a claim sees ------------------------------------------------------------------------ */

START_TEST(a_claim_keeps_the_newest_that_was_seen) {
    table t;
    place p = place_number(1), q = place_number(2);
    claim take = {.pool = &pool, .place = p, .owner = "a", .kind = CLAIM_TAKE};
    claim release = {.pool = &pool, .place = p, .owner = "b", .kind = CLAIM_RELEASE};
    table_open(&t);
    claims_list(&t.claims, &release);
    ck_assert(!claims_note_lease(&t.claims, &pool, &p, false, 5)); /* holds no bit */
    claims_list(&t.claims, &take);
    ck_assert(claims_note_lease(&t.claims, &pool, &p, true, 7));
    ck_assert(claims_note_lease(&t.claims, &pool, &p, false, 6)); /* older */
    ck_assert(!claims_note_lease(&t.claims, &pool, &q, false, 9));
    ck_assert(!claims_note_lease(&t.claims, &other, &p, false, 9));
    ck_assert(take.present && release.present);
    ck_assert_uint_eq(take.seen_revision, 7);
    claims_unlist(&t.claims, &take);
    ck_assert(!claims_note_lease(&t.claims, &pool, &p, false, 8));
    ck_assert(!release.present && take.present);
    claims_list(&t.claims, &take); /* anew: nothing is seen yet */
    ck_assert(!take.present && take.seen_revision == 0);
    claims_unlist(&t.claims, &take);
    claims_unlist(&t.claims, &release);
    table_close(&t);
}
END_TEST

/* --- up to where ------------------------------------------------------------------------------ */

/* A naive model: the set of revisions that are known. */
enum { REVISIONS = 3000 };

START_TEST(what_is_seen_is_all_that_is_known_without_a_gap) {
    uint64_t state = test_seed();
    static bool is_known[REVISIONS + 2];
    for (int round = 0; round < 50; round++) {
        static _Alignas(64) ipalloc_registry r;
        memset(&r, 0, sizeof r);
        memset(is_known, 0, sizeof is_known);
        pthread_mutex_init(&r.seen_mutex, NULL);
        uint64_t seen = 0, last = 0;
        while (last < REVISIONS) {
            uint64_t draw = test_random(&state);
            last++;
            if (draw % 4 != 0) { /* ours; some come late, or twice */
                is_known[last] = true;
                cache_note_own_commit(&r, last);
                cache_note_own_commit(&r, last - draw / 4 % (last < 5 ? last : 5));
                is_known[last - draw / 4 % (last < 5 ? last : 5)] = true;
            }
            if (draw / 64 % 16 == 0) { /* told up to somewhere */
                uint64_t up_to = seen + draw / 1024 % (last - seen + 1);
                for (uint64_t i = 1; i <= up_to; i++)
                    is_known[i] = true;
                cache_set_seen(&r, up_to);
            }
            while (is_known[seen + 1])
                seen++;
            uint64_t told = cache_seen_revision(&r);
            require(told <= seen);                      /* never more than is known */
            require(last - told > 200 || told == seen); /* and no less, but of very many */
            require(cache_has_seen(&r, told) && !cache_has_seen(&r, told + 1));
        }
        pthread_mutex_destroy(&r.seen_mutex);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("claims");
    TCase *tc = tcase_create("ahead");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_latest_own_commit_of_a_place_is_remembered);
    tcase_add_test(tc, what_was_told_makes_room);
    tcase_add_test(tc, what_was_not_told_is_kept_and_said_to_be_much);
    tcase_add_test(tc, where_there_is_no_room_it_is_said_and_all_is_forgotten);
    suite_add_tcase(suite, tc);
    tc = tcase_create("claims");
    tcase_add_test(tc, a_claim_keeps_the_newest_that_was_seen);
    suite_add_tcase(suite, tc);
    tc = tcase_create("seen");
    tcase_add_test(tc, what_is_seen_is_all_that_is_known_without_a_gap);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
