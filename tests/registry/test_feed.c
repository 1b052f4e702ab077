/*
 * test_feed.c: what other servers did is told late, and our own commits are known at once: in
 * whatever order, no older change undoes a newer state, and in the end memory and store agree.
 */
#include "servers.h"

#include "registry/registry.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";
static const char PLACE[] = "10.96.0.10";

enum { A, B }; /* B is the one that lags */

static void release(servers *s, size_t i, const char *owner, const char *address) {
    ipalloc_addr at = addr(address);
    fixture *f = &s->f[i];
    OK(f, ipalloc_release(f->registry, s->pools[i], owner, &at, 0, &f->error));
}

static ipalloc_txn *claim_place(servers *s, size_t i, const char *owner) {
    ipalloc_addr at = addr(PLACE);
    fixture *f = &s->f[i];
    ipalloc_txn *txn = begin(f, owner);
    OK(f, ipalloc_txn_reserve(txn, s->pools[i], SLOT, &at, NULL, &f->error));
    return txn;
}

static ipalloc_txn *plan_release(servers *s, size_t i, const char *owner) {
    ipalloc_addr at = addr(PLACE);
    fixture *f = &s->f[i];
    ipalloc_txn *txn = begin(f, owner);
    OK(f, ipalloc_txn_release(txn, s->pools[i], &at, 0, &f->error));
    return txn;
}

/* --- own commits and older changes ------------------------------------------------------------ */

START_TEST(an_older_change_does_not_undo_an_own_commit) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    uint64_t start = servers_head(&s);
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    release(&s, A, "Service/a", PLACE);
    reserve(&s.f[B], s.pools[B], "Service/b", SLOT, PLACE);
    for (uint64_t told = start; told <= servers_head(&s); told++) {
        servers_tell(&s, B, told);
        ck_assert_uint_eq(used_of(s.pools[B]), 1);
    }
    release(&s, B, "Service/b", PLACE);
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    ck_assert_uint_eq(used_of(s.pools[B]), 0);
    servers_tell(&s, B, servers_known(&s, B) + 1); /* its own release */
    ck_assert_uint_eq(used_of(s.pools[B]), 0);
    servers_tell_all(&s, B);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

START_TEST(an_older_lease_does_not_come_back_after_an_own_release) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    release(&s, B, "Service/a", PLACE); /* by the owner's record; B's memory never knew of it */
    while (servers_known(&s, B) < servers_head(&s)) {
        servers_tell(&s, B, servers_known(&s, B) + 1);
        ck_assert_uint_eq(used_of(s.pools[B]), 0);
    }
    servers_close(&s);
}
END_TEST

START_TEST(revisions_of_others_between_our_own_do_not_hide_them) {
    servers s;
    uint64_t known_to;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    uint64_t start = cache_seen_revision(f->registry);
    reserve(f, s.pools[B], "Service/1", SLOT, "10.96.0.1");
    reserve(f, s.pools[B], "Service/2", SLOT, "10.96.0.2");
    ck_assert_uint_eq(cache_seen_revision(f->registry), start + 2); /* without a gap */
    shared_foreign_write(&s.cluster);
    reserve(&s.f[A], s.pools[A], "Service/3", SLOT, "10.96.0.3");
    reserve(f, s.pools[B], "Service/4", SLOT, "10.96.0.4");
    ck_assert_uint_eq(cache_seen_revision(f->registry), start + 2);
    servers_tell(&s, B, start + 4);
    ck_assert_uint_eq(cache_seen_revision(f->registry), start + 5); /* over its own fifth */
    OK(f, ipalloc_registry_process(f->registry, &known_to, &f->error));
    ck_assert_uint_eq(known_to, start + 5);
    ck_assert_uint_eq(used_of(s.pools[B]), 4);
    servers_close(&s);
}
END_TEST

/* --- changes of what is in hand --------------------------------------------------------------- */

START_TEST(an_abort_leaves_the_bit_of_the_lease_that_came) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    ipalloc_txn *txn = claim_place(&s, B, "Service/b");
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    servers_tell_all(&s, B);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    txn = claim_place(&s, A, "Service/a"); /* another slot of nobody: it has it */
    ipalloc_txn_abort(txn);
    servers_close(&s);
}
END_TEST

START_TEST(an_abort_frees_what_came_and_went) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    ipalloc_txn *txn = claim_place(&s, B, "Service/b");
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    release(&s, A, "Service/a", PLACE);
    servers_tell_all(&s, B);
    ck_assert_uint_eq(used_of(s.pools[B]), 1); /* in hand */
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(s.pools[B]), 0);
    servers_close(&s);
}
END_TEST

START_TEST(a_conflict_keeps_the_winner_although_nobody_has_told) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    ipalloc_txn *txn = claim_place(&s, B, "Service/b");
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

START_TEST(a_lease_that_is_released_elsewhere_is_free_whoever_plans_to_release_it) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    reserve(f, s.pools[B], "Service/b", SLOT, PLACE);
    ipalloc_txn *txn = plan_release(&s, B, "Service/b");
    release(&s, A, "Service/b", PLACE);
    servers_tell_all(&s, B);
    ck_assert_uint_eq(used_of(s.pools[B]), 0);
    ipalloc_txn *other = claim_place(&s, B, "Service/other");
    IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(s.pools[B]), 1); /* the other's claim */
    OK(f, ipalloc_txn_commit(other, NULL, &f->error));
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

/* The commit happens, its caller does not know; meanwhile the changes tell of it, and of more. */
START_TEST(what_came_behind_an_unknown_commit_counts) {
    for (int released = 0; released < 2; released++) {
        servers s;
        servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
        fixture *f = &s.f[B];
        shared_set_fate(&s.cluster.servers[B], FATE_HAPPENS, 1);
        ipalloc_txn *txn = claim_place(&s, B, "Service/b");
        IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_UNKNOWN_OUTCOME);
        if (released != 0)
            release(&s, A, "Service/b", PLACE);
        servers_tell_all(&s, B);
        ck_assert_uint_eq(used_of(s.pools[B]), 1);
        OK(f, ipalloc_txn_commit(txn, NULL, &f->error));
        ck_assert_uint_eq(used_of(s.pools[B]), released == 0);
        servers_close(&s);
    }
}
END_TEST

START_TEST(an_unknown_release_that_happened_is_free_once_it_is_told) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/30", WITH(0), NULL);
    fixture *f = &s.f[B];
    allocate(f, s.pools[B], "Service/1", SLOT);
    ipalloc_grant one = allocate(f, s.pools[B], "Service/2", SLOT);
    shared_set_fate(&s.cluster.servers[B], FATE_HAPPENS, 1);
    ipalloc_txn *txn = begin(f, "Service/2");
    OK(f, ipalloc_txn_release(txn, s.pools[B], &one.address, 0, &f->error));
    IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_UNKNOWN_OUTCOME);
    /* It is not in the store: FULL would be wrong. */
    ipalloc_grant again = allocate(f, s.pools[B], "Service/3", SLOT);
    ck_assert_int_eq(ipalloc_addr_compare(&again.address, &one.address), 0);
    OK(f, ipalloc_txn_commit(txn, NULL, &f->error));
    ck_assert_uint_eq(used_of(s.pools[B]), 2);
    servers_close(&s);
}
END_TEST

/* --- every order ------------------------------------------------------------------------------ */

/* Two owners on two servers, one address. B is told of one revision at a time. */
typedef struct play {
    servers s;
    ipalloc_txn *open; /* of B */
    bool taking;
} play;

enum move { A_TAKES, A_RELEASES, B_CLAIMS, B_PLANS_RELEASE, B_COMMITS, B_ABORTS, B_IS_TOLD, MOVES };

/* Does the owner hold the address, by the store? */
static bool holds(play *p, const char *owner) {
    ipalloc_lease lease = LEASE;
    ipalloc_addr at = addr(PLACE);
    fixture *f = &p->s.f[A];
    int status = ipalloc_lookup(f->registry, p->s.pools[A], &at, &lease, &f->error);
    return status == IPALLOC_OK && strcmp(lease.owner, owner) == 0;
}

static void open_txn(play *p, bool taking) {
    fixture *f = &p->s.f[B];
    ipalloc_addr at = addr(PLACE);
    if (p->open != NULL)
        return;
    p->open = begin(f, "Service/b");
    p->taking = taking;
    int status = taking ? ipalloc_txn_reserve(p->open, p->s.pools[B], SLOT, &at, NULL, NULL)
                        : ipalloc_txn_release(p->open, p->s.pools[B], &at, 0, NULL);
    if (status == IPALLOC_OK)
        return;
    ipalloc_txn_abort(p->open);
    p->open = NULL;
}

static void make_move(play *p, enum move move) {
    ipalloc_addr at = addr(PLACE);
    fixture *a = &p->s.f[A];
    switch (move) {
    case A_TAKES:
        ipalloc_reserve(a->registry, p->s.pools[A], "Service/a", SLOT, &at, NULL, NULL);
        break;
    case A_RELEASES:
        ipalloc_release_owner(a->registry, "Service/a", NULL, NULL);
        ipalloc_release_owner(a->registry, "Service/b", NULL, NULL);
        break;
    case B_CLAIMS:
        open_txn(p, true);
        break;
    case B_PLANS_RELEASE:
        open_txn(p, false);
        break;
    case B_COMMITS:
        if (p->open != NULL)
            ipalloc_txn_commit(p->open, NULL, NULL);
        p->open = NULL;
        break;
    case B_ABORTS:
        ipalloc_txn_abort(p->open);
        p->open = NULL;
        break;
    case B_IS_TOLD:
        servers_tell(&p->s, B, servers_known(&p->s, B) + 1);
        break;
    default:
        break;
    }
}

/* What B must never forget: its own lease. */
static void make_checked_move(play *p, enum move move) {
    make_move(p, move);
    require(p->open != NULL || !holds(p, "Service/b") || used_of(p->s.pools[B]) == 1);
}

static void end_play(play *p) {
    make_move(p, B_ABORTS);
    servers_tell_all(&p->s, A);
    servers_tell_all(&p->s, B);
    bool held = holds(p, "Service/a") || holds(p, "Service/b");
    require(used_of(p->s.pools[A]) == held);
    require(used_of(p->s.pools[B]) == held);
    require_status(ipalloc_registry_validate(p->s.f[B].registry, NULL), IPALLOC_OK);
    make_move(p, A_RELEASES);
    servers_tell_all(&p->s, B);
    require(used_of(p->s.pools[B]) == 0);
}

enum { DEPTH = 5, LONG = 14 };

START_TEST(in_every_order_memory_and_store_agree_in_the_end) {
    play p = {0};
    uint64_t plays = 1;
    servers_open(&p.s, 2, "10.96.0.8/29", WITH(0), NULL);
    for (int i = 0; i < DEPTH; i++)
        plays *= MOVES;
    for (uint64_t number = 0; number < plays; number++) {
        uint64_t rest = number;
        for (int i = 0; i < DEPTH; i++, rest /= MOVES)
            make_checked_move(&p, (enum move)(rest % MOVES));
        end_play(&p);
    }
    servers_close(&p.s);
}
END_TEST

START_TEST(in_long_orders_too) {
    play p = {0};
    uint64_t state = test_seed();
    servers_open(&p.s, 2, "10.96.0.8/29", WITH(0), NULL);
    for (uint64_t plays = test_scaled(20000); plays > 0; plays--) {
        for (int i = 0; i < LONG; i++)
            make_checked_move(&p, (enum move)(test_random(&state) % MOVES));
        end_play(&p);
    }
    servers_close(&p.s);
}
END_TEST

/* --- beside commits --------------------------------------------------------------------------- */

typedef struct onlooker {
    servers *s;
    uint64_t used; /* by B's memory, while B's commit was on its way */
} onlooker;

static void *process_b(void *context) {
    onlooker *o = context;
    OK(&o->s->f[B], ipalloc_registry_process(o->s->f[B].registry, NULL, NULL));
    o->used = used_of(o->s->pools[B]);
    return NULL;
}

/* While B's commit is with the store. */
static void look_on(void *context, enum shared_call call) {
    onlooker *o = context;
    pthread_t id;
    if (call != SHARED_COMMIT)
        return;
    o->s->cluster.servers[B].before = NULL;
    reserve(&o->s->f[A], o->s->pools[A], "Service/a", SLOT, "10.96.0.20");
    ck_assert_int_eq(pthread_create(&id, NULL, process_b, o), 0);
    pthread_join(id, NULL);
}

START_TEST(what_arrives_is_applied_while_a_commit_is_on_its_way) {
    servers s;
    onlooker o = {.s = &s};
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    s.cluster.servers[B].before_context = &o;
    s.cluster.servers[B].before = look_on;
    reserve(&s.f[B], s.pools[B], "Service/b", SLOT, PLACE); /* hangs where all are drained */
    ck_assert_uint_eq(o.used, 2);
    servers_close(&s);
}
END_TEST

/* B reads a lease because of a conflict; while it does, the lease goes, and another thread of B's
 * is told so: it has seen all the changes, but has not said so yet, when the reader goes on. */
typedef struct crossing {
    servers *s;
    pthread_t walker;
    bool walks;
    _Atomic bool has_walked, may_end;
} crossing;

static void *walk(void *context) {
    crossing *c = context;
    servers_tell_all(c->s, B);
    return NULL;
}

static void add_slot(servers *s, const char *slot) {
    reserve(&s->f[A], s->pools[A], "Service/b", slot, PLACE);
}

static void change_once_more(void *context, enum shared_call call) {
    crossing *c = context;
    if (call != SHARED_GET)
        return;
    c->s->cluster.servers[B].before = NULL;
    add_slot(c->s, "third");
}

static void cross(void *context, enum shared_call call) {
    crossing *c = context;
    if (call == SHARED_CHANGES && c->walks) {
        c->has_walked = true;
        while (!c->may_end)
            sched_yield();
    }
    if (call != SHARED_GET || c->walks)
        return;
    c->walks = true;
    release(c->s, A, "Service/b", PLACE);
    ck_assert_int_eq(pthread_create(&c->walker, NULL, walk, c), 0);
    while (!c->has_walked)
        sched_yield();
}

START_TEST(a_lease_that_was_read_before_it_went_does_not_come_back) {
    servers s;
    crossing c = {.s = &s};
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    shared_server *b = &s.cluster.servers[B];
    reserve(&s.f[B], s.pools[B], "Service/b", SLOT, PLACE);
    ipalloc_txn *txn = plan_release(&s, B, "Service/b");
    add_slot(&s, "second");
    b->before_context = b->behind_context = &c;
    b->before = change_once_more;
    b->behind = cross;
    IS(&s.f[B], ipalloc_txn_commit(txn, NULL, &s.f[B].error), IPALLOC_E_CONFLICT);
    c.may_end = true;
    pthread_join(c.walker, NULL);
    b->behind = NULL;
    ck_assert_uint_eq(used_of(s.pools[B]), 0);
    servers_close(&s);
}
END_TEST

/* --- what cools ------------------------------------------------------------------------------- */

START_TEST(older_changes_do_not_end_the_rest_of_an_own_release) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(.cool_down_ms = 3600000), NULL);
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    release(&s, A, "Service/a", PLACE);
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE); /* out of its rest */
    release(&s, B, "Service/a", PLACE);
    for (;;) {
        ck_assert_uint_eq(used_of(s.pools[B]), 0);
        ck_assert_uint_eq(cooling_of(s.pools[B]), 1);
        if (servers_known(&s, B) == servers_head(&s))
            break;
        servers_tell(&s, B, servers_known(&s, B) + 1);
    }
    servers_close(&s);
}
END_TEST

START_TEST(what_began_to_rest_while_it_was_in_hand_rests_after_an_abort) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(.cool_down_ms = 3600000), NULL);
    ipalloc_txn *txn = claim_place(&s, B, "Service/b");
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    release(&s, A, "Service/a", PLACE);
    servers_tell_all(&s, B);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(cooling_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

START_TEST(what_was_held_and_released_meanwhile_is_not_taken_out_of_its_rest) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(.cool_down_ms = 3600000), NULL);
    fixture *f = &s.f[B];
    ipalloc_txn *txn = claim_place(&s, B, "Service/b"); /* nothing rests then */
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    release(&s, A, "Service/a", PLACE);
    IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_CONFLICT);
    ck_assert_message(f, "cooling/");
    ck_assert_uint_eq(cooling_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

START_TEST(what_we_released_under_a_claim_of_ours_rests_after_its_abort) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(.cool_down_ms = 3600000), NULL);
    ipalloc_txn *txn = claim_place(&s, B, "Service/b"); /* B does not know better */
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    release(&s, B, "Service/a", PLACE);
    ck_assert_uint_eq(used_of(s.pools[B]), 1); /* in hand */
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(cooling_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

/* --- definitions ------------------------------------------------------------------------------ */

START_TEST(definitions_are_followed_by_process) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    ipalloc_cidr more = cidr("10.97.0.0/24");
    ipalloc_pool_stats stats = {.size = sizeof stats};
    allocate(&s.f[A], s.pools[A], "Service/1", SLOT);
    OK(&s.f[A], ipalloc_pool_add_range(s.pools[A], &more, &s.f[A].error));
    reserve(&s.f[A], s.pools[A], "Service/2", SLOT, "10.97.0.9");
    ipalloc_pool *lb = define_pool(&s.f[A], "lb", "10.98.0.0/24");
    allocate(&s.f[A], lb, "Service/1", "lb");
    release(&s, A, "Service/2", "10.97.0.9");
    uint64_t known_to;
    OK(f, ipalloc_registry_process(f->registry, &known_to, &f->error));
    ck_assert_uint_eq(known_to, servers_head(&s));
    OK(f, ipalloc_pool_get_stats(s.pools[B], &stats, &f->error));
    ck_assert_uint_eq(stats.range_count, 2);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    ck_assert_uint_eq(used_of(open_pool(f, "lb")), 1);
    servers_close(&s);
}
END_TEST

/* The ranges are read from the store as it is now, and told of what was before only then. */
START_TEST(ranges_that_were_read_later_are_not_set_back) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    ipalloc_cidr more = cidr("10.97.0.0/24");
    OK(&s.f[A], ipalloc_pool_add_range(s.pools[A], &more, &s.f[A].error));
    uint64_t changed = servers_head(&s);
    reserve(&s.f[A], s.pools[A], "Service/1", SLOT, "10.96.0.9");
    release(&s, A, "Service/1", "10.96.0.9");
    reserve(&s.f[A], s.pools[A], "Service/2", SLOT, "10.96.0.9");
    servers_tell(&s, B, changed);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    while (servers_known(&s, B) < servers_head(&s)) {
        servers_tell(&s, B, servers_known(&s, B) + 1);
        ck_assert_uint_eq(used_of(s.pools[B]), 1);
    }
    servers_close(&s);
}
END_TEST

/* --- read anew -------------------------------------------------------------------------------- */

START_TEST(changes_that_were_forgotten_are_made_up_for_by_reading) {
    servers s;
    uint64_t known_to;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    ipalloc_txn *txn = claim_place(&s, B, "Service/b");
    allocate(f, s.pools[B], "Service/mine", SLOT);
    reserve(&s.f[A], s.pools[A], "Service/1", SLOT, "10.96.0.9");
    reserve(&s.f[A], s.pools[A], "Service/2", SLOT, PLACE);
    s.cluster.servers[B].changes_expired = true;
    OK(f, ipalloc_registry_process(f->registry, &known_to, &f->error));
    ck_assert_uint_eq(known_to, servers_head(&s));
    ck_assert_uint_eq(used_of(s.pools[B]), 3);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(s.pools[B]), 3);
    servers_close(&s);
}
END_TEST

/* A store that has forgotten changes up to now, which were not ours, insists on later ones. */
START_TEST(reading_anew_reaches_over_what_others_wrote) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    for (int i = 0; i < 3; i++)
        shared_foreign_write(&s.cluster);
    cache_ask_for_rebuild(f->registry);
    OK(f, cache_apply(f->registry, &f->error));
    ck_assert_uint_eq(cache_seen_revision(f->registry), servers_head(&s) + 3);
    allocate(&s.f[A], s.pools[A], "Service/a", SLOT);
    servers_tell_all(&s, B);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

START_TEST(reading_that_is_cut_is_begun_again) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    reserve(&s.f[A], s.pools[A], "Service/1", SLOT, PLACE);
    s.cluster.servers[B].changes_expired = true;
    s.cluster.servers[B].scans_expire = 1; /* the next scan is cut */
    OK(f, ipalloc_registry_process(f->registry, NULL, &f->error));
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("feed");
    TCase *tc = tcase_create("order");
    tcase_add_test(tc, an_older_change_does_not_undo_an_own_commit);
    tcase_add_test(tc, an_older_lease_does_not_come_back_after_an_own_release);
    tcase_add_test(tc, revisions_of_others_between_our_own_do_not_hide_them);
    suite_add_tcase(suite, tc);
    tc = tcase_create("in hand");
    tcase_add_test(tc, an_abort_leaves_the_bit_of_the_lease_that_came);
    tcase_add_test(tc, an_abort_frees_what_came_and_went);
    tcase_add_test(tc, a_conflict_keeps_the_winner_although_nobody_has_told);
    tcase_add_test(tc, a_lease_that_is_released_elsewhere_is_free_whoever_plans_to_release_it);
    tcase_add_test(tc, what_came_behind_an_unknown_commit_counts);
    tcase_add_test(tc, an_unknown_release_that_happened_is_free_once_it_is_told);
    suite_add_tcase(suite, tc);
    tc = tcase_create("every order");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, in_every_order_memory_and_store_agree_in_the_end);
    tcase_add_test(tc, in_long_orders_too);
    suite_add_tcase(suite, tc);
    tc = tcase_create("beside commits");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_arrives_is_applied_while_a_commit_is_on_its_way);
    tcase_add_test(tc, a_lease_that_was_read_before_it_went_does_not_come_back);
    suite_add_tcase(suite, tc);
    tc = tcase_create("cooling");
    tcase_add_test(tc, older_changes_do_not_end_the_rest_of_an_own_release);
    tcase_add_test(tc, what_was_held_and_released_meanwhile_is_not_taken_out_of_its_rest);
    tcase_add_test(tc, what_we_released_under_a_claim_of_ours_rests_after_its_abort);
    tcase_add_test(tc, what_began_to_rest_while_it_was_in_hand_rests_after_an_abort);
    suite_add_tcase(suite, tc);
    tc = tcase_create("definitions");
    tcase_add_test(tc, definitions_are_followed_by_process);
    tcase_add_test(tc, ranges_that_were_read_later_are_not_set_back);
    suite_add_tcase(suite, tc);
    tc = tcase_create("anew");
    tcase_add_test(tc, changes_that_were_forgotten_are_made_up_for_by_reading);
    tcase_add_test(tc, reading_anew_reaches_over_what_others_wrote);
    tcase_add_test(tc, reading_that_is_cut_is_begun_again);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
