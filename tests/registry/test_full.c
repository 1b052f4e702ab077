/*
 * test_full.c: FULL where others write to the store too: said only if nothing was free at some
 * instant of the call, whatever the memory believed; and said at last, whatever else is written.
 */
#include "servers.h"

#include <stdio.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

enum { A, B };

/* Both addresses of the pool are held; B knows it. */
static void open_full(servers *s, const ipalloc_hooks *hooks) {
    servers_open(s, 2, "10.96.0.0/30", WITH(0), hooks);
    reserve(&s->f[A], s->pools[A], "Service/1", SLOT, "10.96.0.1");
    reserve(&s->f[A], s->pools[A], "Service/2", SLOT, "10.96.0.2");
    servers_tell_all(s, B);
    shared_reset_counts(&s->cluster.servers[B]);
}

static int try_allocate(servers *s, ipalloc_grant *grant) {
    fixture *f = &s->f[B];
    return ipalloc_allocate(f->registry, s->pools[B], "Service/late", SLOT, grant, &f->error);
}

/* What happens when B asks for the head, and how often. */
typedef struct meddler {
    servers *s;
    void (*meddle)(servers *s);
    enum shared_call at;
    int times;
} meddler;

static void meddle(void *context, enum shared_call call) {
    meddler *m = context;
    if (call != m->at || m->times == 0)
        return;
    m->times--;
    m->meddle(m->s);
}

static void meddle_with(servers *s, meddler *m) {
    m->s = s;
    s->cluster.servers[B].before_context = m;
    s->cluster.servers[B].before = meddle;
}

static void free_one(servers *s) {
    OK(&s->f[A], ipalloc_release_owner(s->f[A].registry, "Service/1", NULL, &s->f[A].error));
}

static void take_one(servers *s) {
    reserve(&s->f[A], s->pools[A], "Service/1", SLOT, "10.96.0.1");
}

static void free_and_take_one(servers *s) {
    free_one(s);
    take_one(s);
}

static void write_elsewhere(servers *s) {
    static int number;
    char owner[32];
    snprintf(owner, sizeof owner, "Service/elsewhere-%d", number++);
    shared_foreign_write(&s->cluster);
    allocate(&s->f[A], open_pool(&s->f[A], "other"), owner, SLOT);
}

static void release_and_take_elsewhere(servers *s) {
    write_elsewhere(s);
    shared_foreign_write(&s->cluster);
}

/* --- said ------------------------------------------------------------------------------------- */

START_TEST(full_costs_one_question_where_nothing_has_changed) {
    servers s;
    open_full(&s, NULL);
    IS(&s.f[B], try_allocate(&s, NULL), IPALLOC_E_FULL);
    ck_assert_uint_eq(shared_count(&s.cluster.servers[B], SHARED_REACH), 0);
    ck_assert_uint_eq(shared_count(&s.cluster.servers[B], SHARED_CHANGES), 0);
    ck_assert_uint_eq(shared_count(&s.cluster.servers[B], SHARED_SCAN), 0);
    servers_close(&s);
}
END_TEST

START_TEST(full_is_said_whatever_else_is_written) {
    servers s;
    meddler m = {.meddle = release_and_take_elsewhere, .at = SHARED_INFO, .times = -1};
    servers_open(&s, 2, "10.96.0.0/30", WITH(0), NULL);
    define_pool(&s.f[A], "other", "10.97.0.0/16");
    reserve(&s.f[A], s.pools[A], "Service/1", SLOT, "10.96.0.1");
    reserve(&s.f[A], s.pools[A], "Service/2", SLOT, "10.96.0.2");
    servers_tell_all(&s, B);
    shared_reset_counts(&s.cluster.servers[B]);
    meddle_with(&s, &m);
    IS(&s.f[B], try_allocate(&s, NULL), IPALLOC_E_FULL);
    ck_assert_uint_le(shared_count(&s.cluster.servers[B], SHARED_INFO), 4);
    servers_close(&s);
}
END_TEST

START_TEST(what_comes_and_goes_meanwhile_is_looked_for_again) {
    servers s;
    meddler m = {.meddle = free_and_take_one, .at = SHARED_INFO, .times = 3};
    open_full(&s, NULL);
    meddle_with(&s, &m);
    IS(&s.f[B], try_allocate(&s, NULL), IPALLOC_E_FULL);
    ck_assert_int_eq(m.times, 0); /* each time it was free for a moment */
    servers_close(&s);
}
END_TEST

/* --- not said --------------------------------------------------------------------------------- */

START_TEST(what_was_freed_before_is_found) {
    servers s;
    ipalloc_grant grant = GRANT;
    open_full(&s, NULL);
    free_one(&s);
    OK(&s.f[B], try_allocate(&s, &grant));
    ck_assert_str_eq(addr_text(&grant.address), "10.96.0.1");
    servers_close(&s);
}
END_TEST

START_TEST(what_is_freed_between_the_proof_and_the_question_is_found) {
    servers s;
    ipalloc_grant grant = GRANT;
    meddler m = {.meddle = free_one, .at = SHARED_INFO, .times = 1};
    open_full(&s, NULL);
    meddle_with(&s, &m);
    OK(&s.f[B], try_allocate(&s, &grant));
    ck_assert_str_eq(addr_text(&grant.address), "10.96.0.1");
    servers_close(&s);
}
END_TEST

START_TEST(what_a_change_of_ranges_brings_is_found) {
    servers s;
    ipalloc_grant grant = GRANT;
    ipalloc_cidr more = cidr("10.97.0.0/30");
    open_full(&s, NULL);
    OK(&s.f[A], ipalloc_pool_add_range(s.pools[A], &more, &s.f[A].error));
    OK(&s.f[B], try_allocate(&s, &grant));
    ck_assert_int_eq(grant.address.bytes[1], 97);
    servers_close(&s);
}
END_TEST

/* --- not known -------------------------------------------------------------------------------- */

START_TEST(where_the_store_cannot_be_reached_it_is_unavailable_not_full) {
    servers s;
    fixture *f = &s.f[B];
    open_full(&s, NULL);
    ipalloc_txn *txn = begin(f, "Service/late");
    IS(f, ipalloc_txn_find_slot(txn, s.pools[B], SLOT, NULL, &f->error), IPALLOC_E_NOT_FOUND);
    s.cluster.servers[B].cut = true;
    IS(f, ipalloc_txn_allocate(txn, s.pools[B], SLOT, NULL, &f->error), IPALLOC_E_UNAVAILABLE);
    ipalloc_txn_abort(txn);
    servers_close(&s);
}
END_TEST

static uint64_t clock_ms = 1000;

static uint64_t read_clock(void *context) {
    (void)context;
    return clock_ms;
}

static void free_and_take_slowly(servers *s) {
    clock_ms += 10;
    free_and_take_one(s);
}

START_TEST(a_deadline_ends_the_looking) {
    servers s;
    const ipalloc_hooks hooks = {.size = sizeof hooks, .monotonic_ms = read_clock};
    meddler m = {.meddle = free_and_take_slowly, .at = SHARED_INFO, .times = -1};
    open_full(&s, &hooks);
    fixture *f = &s.f[B];
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = "Service/late", .deadline_ms = 100};
    ipalloc_txn *txn;
    OK(f, ipalloc_begin(f->registry, &options, &txn, &f->error));
    meddle_with(&s, &m);
    IS(f, ipalloc_txn_allocate(txn, s.pools[B], SLOT, NULL, &f->error), IPALLOC_E_UNAVAILABLE);
    ck_assert_message(f, "deadline");
    ipalloc_txn_abort(txn);
    servers_close(&s);
}
END_TEST

/* --- other refusals --------------------------------------------------------------------------- */

START_TEST(a_refused_reserve_is_refused_by_what_is_true_now) {
    servers s;
    fixture *f = &s.f[B];
    ipalloc_cidr more = cidr("10.97.0.0/24");
    ipalloc_addr one = addr("10.96.0.1"), two = addr("10.96.0.2"), out = addr("10.97.0.9");
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    OK(&s.f[A], ipalloc_pool_exclude(s.pools[A], &one, &two, &s.f[A].error));
    servers_tell_all(&s, B);
    OK(&s.f[A], ipalloc_pool_add_range(s.pools[A], &more, &s.f[A].error));
    OK(&s.f[A], ipalloc_pool_include(s.pools[A], &one, &one, &s.f[A].error));
    reserve(f, s.pools[B], "Service/1", SLOT, "10.96.0.1");
    reserve(f, s.pools[B], "Service/2", SLOT, "10.97.0.9");
    IS(f, ipalloc_reserve(f->registry, s.pools[B], "Service/3", SLOT, &two, NULL, &f->error),
       IPALLOC_E_TAKEN);
    ck_assert_message(f, "excluded");
    IS(f, ipalloc_reserve(f->registry, s.pools[B], "Service/3", SLOT, &out, NULL, &f->error),
       IPALLOC_E_TAKEN);
    ipalloc_addr beyond = addr("10.98.0.9");
    meddler m = {.meddle = release_and_take_elsewhere, .at = SHARED_INFO, .times = -1};
    define_pool(&s.f[A], "other", "10.99.0.0/16");
    meddle_with(&s, &m);
    IS(f, ipalloc_reserve(f->registry, s.pools[B], "Service/3", SLOT, &beyond, NULL, &f->error),
       IPALLOC_E_NOT_IN_RANGE);
    servers_close(&s);
}
END_TEST

START_TEST(a_dry_run_picks_by_what_is_true_now) {
    servers s;
    ipalloc_grant grant = GRANT;
    open_full(&s, NULL);
    fixture *f = &s.f[B];
    ipalloc_txn *txn = begin_dry(f, "Service/late");
    IS(f, ipalloc_txn_allocate(txn, s.pools[B], SLOT, &grant, &f->error), IPALLOC_E_FULL);
    ipalloc_txn_abort(txn);
    free_one(&s);
    txn = begin_dry(f, "Service/late");
    OK(f, ipalloc_txn_allocate(txn, s.pools[B], SLOT, &grant, &f->error));
    ck_assert_str_eq(addr_text(&grant.address), "10.96.0.1");
    IS(f, ipalloc_txn_allocate(txn, s.pools[B], "second", &grant, &f->error), IPALLOC_E_FULL);
    ipalloc_txn_abort(txn);
    servers_close(&s);
}
END_TEST

/* --- looking ---------------------------------------------------------------------------------- */

static int count_lease(void *context, const ipalloc_lease *lease) {
    (void)lease;
    ++*(uint64_t *)context;
    return IPALLOC_OK;
}

static int count_change(void *context, const ipalloc_lease *lease, bool deleted) {
    (void)deleted;
    return count_lease(context, lease);
}

static int count_cooling(void *context, const ipalloc_cooling *cooling) {
    (void)cooling;
    ++*(uint64_t *)context;
    return IPALLOC_OK;
}

static void define_another(servers *s) {
    ipalloc_pool *pool =
        define_pool_with(&s->f[A], "another", "10.98.0.0/24", WITH(.cool_down_ms = 3600000));
    allocate(&s->f[A], pool, "Service/3", "x");
    allocate(&s->f[A], pool, "Service/4", "x");
    OK(&s->f[A], ipalloc_release_owner(s->f[A].registry, "Service/4", NULL, &s->f[A].error));
}

START_TEST(a_walk_that_meets_a_pool_defined_just_now_goes_on) {
    enum shared_call calls[] = {SHARED_SCAN, SHARED_CHANGES, SHARED_SCAN, SHARED_SCAN};
    for (int i = 0; i < LENGTH(calls); i++) {
        servers s;
        uint64_t seen = 0, since;
        meddler m = {.meddle = define_another, .at = calls[i], .times = 1};
        open_full(&s, NULL);
        fixture *f = &s.f[B];
        since = servers_head(&s);
        s.cluster.servers[B].lags = false;
        meddle_with(&s, &m);
        if (i == 0)
            OK(f, ipalloc_list(f->registry, NULL, count_lease, &seen, &f->error));
        else if (i == 1)
            OK(f, ipalloc_lease_changes(f->registry, since, NULL, 0, count_change, &seen, NULL,
                                        &f->error));
        else if (i == 2)
            OK(f, ipalloc_list_cooling(f->registry, NULL, count_cooling, &seen, &f->error));
        else
            OK(f, ipalloc_registry_validate(f->registry, &f->error));
        static const uint64_t WANTED[] = {3, 3, 1, 0};
        ck_assert_int_eq(m.times, 0);
        ck_assert_uint_eq(seen, WANTED[i]);
        servers_close(&s);
    }
}
END_TEST

START_TEST(a_lookup_finds_a_range_that_came_just_now) {
    servers s;
    ipalloc_lease lease = LEASE;
    ipalloc_cidr more = cidr("10.97.0.0/24");
    ipalloc_addr at = addr("10.97.0.9"), beyond = addr("10.98.0.9");
    open_full(&s, NULL);
    fixture *f = &s.f[B];
    OK(&s.f[A], ipalloc_pool_add_range(s.pools[A], &more, &s.f[A].error));
    reserve(&s.f[A], s.pools[A], "Service/3", SLOT, "10.97.0.9");
    OK(f, ipalloc_lookup(f->registry, s.pools[B], &at, &lease, &f->error));
    IS(f, ipalloc_lookup(f->registry, s.pools[B], &beyond, &lease, &f->error),
       IPALLOC_E_NOT_IN_RANGE);
    servers_close(&s);
}
END_TEST

START_TEST(validate_tells_damage_from_other_servers_writing) {
    servers s;
    meddler m = {.meddle = free_one, .at = SHARED_SCAN, .times = 1};
    open_full(&s, NULL);
    fixture *f = &s.f[B];
    meddle_with(&s, &m);
    OK(f, ipalloc_registry_validate(f->registry, &f->error));
    m = (meddler){.s = &s, .meddle = free_and_take_one, .at = SHARED_SCAN, .times = -1};
    take_one(&s);
    int status = ipalloc_registry_validate(f->registry, &f->error);
    ck_assert(status == IPALLOC_OK || status == IPALLOC_E_CONFLICT); /* and no damage */
    servers_close(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("full");
    TCase *tc = tcase_create("said");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, full_costs_one_question_where_nothing_has_changed);
    tcase_add_test(tc, full_is_said_whatever_else_is_written);
    tcase_add_test(tc, what_comes_and_goes_meanwhile_is_looked_for_again);
    tcase_add_test(tc, what_was_freed_before_is_found);
    tcase_add_test(tc, what_is_freed_between_the_proof_and_the_question_is_found);
    tcase_add_test(tc, what_a_change_of_ranges_brings_is_found);
    tcase_add_test(tc, where_the_store_cannot_be_reached_it_is_unavailable_not_full);
    tcase_add_test(tc, a_deadline_ends_the_looking);
    suite_add_tcase(suite, tc);
    tc = tcase_create("refusals");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_refused_reserve_is_refused_by_what_is_true_now);
    tcase_add_test(tc, a_dry_run_picks_by_what_is_true_now);
    suite_add_tcase(suite, tc);
    tc = tcase_create("looking");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_walk_that_meets_a_pool_defined_just_now_goes_on);
    tcase_add_test(tc, a_lookup_finds_a_range_that_came_just_now);
    tcase_add_test(tc, validate_tells_damage_from_other_servers_writing);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
