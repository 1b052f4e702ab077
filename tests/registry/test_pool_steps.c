/*
 * test_pool_steps.c: what a change of a pool takes away drains first and goes then. Another server
 * allocates at every point in between, whoever makes the change dies at every point, and does not
 * learn what became of every commit: each lease lies in a range of its pool all the same.
 */
#include "registry/registry.h"

#include "fixture.h"
#include "shared_store.h"

#include <stdio.h>
#include <string.h>

enum { SPECS_MAX = 8, NEVER = 1000 };

typedef struct change_case {
    const char *pool, *before, *after; /* "10.96.0.0/28 -10.96.0.16/28": a minus is draining */
    const char *asked;                 /* by the other server; NULL: `port` */
    uint16_t first, last, narrow_last, port;
    bool all_before; /* and no longer after */
    int refused;     /* what the change says while that is held */
    bool either;     /* or OK where it drains by now, or TAKEN where it came within the look */
    int commits;     /* of the change where nobody interferes */
} change_case;

static const change_case CASES[] = {
    {"services", "10.96.0.0/24", "10.96.0.0/28", "10.96.0.200", .refused = IPALLOC_E_TAKEN,
     .commits = 2},
    {"services", "10.96.0.0/24 10.97.0.0/24", "10.97.0.0/24 10.98.0.0/24", "10.96.0.7",
     .refused = IPALLOC_E_TAKEN, .commits = 2},
    {"services", "fd00::/64 -fd01::/64", "fd02::/64", "fd00::7", .refused = IPALLOC_E_TAKEN,
     .commits = 2},
    /* an end that is held is kept by itself */
    {"services", "10.96.0.0/27", "10.96.0.0/28 -10.96.0.16/28", "10.96.0.15", .refused = IPALLOC_OK,
     .either = true, .commits = 2},
    {"services", "10.96.0.0/24", "10.96.0.0/23", "10.96.0.9", .refused = IPALLOC_OK, .commits = 1},
    {"services", "10.96.0.0/24", "-10.96.0.0/24 10.97.0.0/24", "10.96.0.9", .refused = IPALLOC_OK,
     .commits = 1},
    {"services", "10.96.0.0/24", "10.96.0.0/24", "10.96.0.255", .all_before = true,
     .refused = IPALLOC_E_MISMATCH, .either = true, .commits = 2},
    {"ports", .first = 30000, .last = 30031, .narrow_last = 30015, .port = 30020,
     .refused = IPALLOC_E_MISMATCH, .commits = 2},
};

static int define(fixture *f, const change_case *c, bool changed, ipalloc_pool **pool) {
    ipalloc_cidr ranges[SPECS_MAX];
    ipalloc_pool_definition d = {.size = sizeof d,
                                 .kind = IPALLOC_POOL_PORT,
                                 .port_first = c->first,
                                 .port_last = changed ? c->narrow_last : c->last,
                                 .use_all_addresses = c->all_before && !changed,
                                 .change = changed};
    char copy[200], *rest = copy;
    snprintf(copy, sizeof copy, "%s", c->before != NULL ? c->before : "");
    for (char *one; (one = strtok_r(rest, " ", &rest)) != NULL;)
        if (one[0] != '-')
            ranges[d.range_count++] = cidr(one);
    if (d.range_count > 0) {
        d.kind = ranges[0].base.family;
        d.ranges = ranges;
    }
    return ipalloc_pool_define(f->registry, c->pool, &d, pool, &f->error);
}

static int set_ranges(fixture *f, ipalloc_pool *pool, const char *text) {
    ipalloc_pool_range_spec specs[SPECS_MAX];
    char copy[200], *rest = copy;
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *one; (one = strtok_r(rest, " ", &rest)) != NULL; count++) {
        specs[count].draining = one[0] == '-';
        specs[count].cidr = cidr(one + specs[count].draining);
    }
    return ipalloc_pool_set_ranges(pool, specs, count, &f->error);
}

static int make_change(fixture *f, const change_case *c, ipalloc_pool *pool) {
    return c->before == NULL || c->all_before ? define(f, c, true, &pool)
                                              : set_ranges(f, pool, c->after);
}

/* What the store says of the pool. */
static int copy_value(void *context, const ipalloc_entry *entry) {
    snprintf(context, 2000, "%.*s", (int)entry->value.size, (const char *)entry->value.data);
    return IPALLOC_OK;
}

static void read_definition(shared_cluster *cluster, const char *pool, char out[2000]) {
    record_key key = key_of_pool(pool);
    ck_assert_status(ipalloc_store_get(cluster->truth, bytes_of_key(&key), copy_value, out, NULL),
                     IPALLOC_OK);
}

/* --- two servers ------------------------------------------------------------------------------ */

typedef struct steps {
    const change_case *c;
    shared_cluster cluster;
    shared_server *stores[3];
    fixture f[3]; /* who changes, who allocates, and who comes after them */
    ipalloc_pool *pools[3];
    char before[2000];        /* the definition */
    int calls, commits;       /* of the one who changes, up to now */
    int allocate_at, dies_at; /* before which of its calls */
    int fate_at, fate;        /* of which of its commits */
    bool asked, held;
} steps;

static void start(steps *s, size_t i) {
    s->stores[i] = shared_server_open(&s->cluster, i);
    s->f[i] = (fixture){.store = s->stores[i]->handle};
    OK(&s->f[i], ipalloc_registry_open(s->f[i].store, NULL, &s->f[i].registry, &s->f[i].error));
}

static void stop(steps *s, size_t i) {
    ipalloc_registry_close(s->f[i].registry);
    shared_server_close(s->stores[i]);
}

static int ask_for_port(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    steps *s = context;
    ipalloc_pool *pool = s->pools[1];
    return ipalloc_txn_reserve_port(txn, pool, "x", s->c->port, NULL, error);
}

static int ask(steps *s, const char *owner) {
    fixture *f = &s->f[1];
    ipalloc_txn_options options = {.size = sizeof options, .owner = owner};
    if (s->c->asked == NULL)
        return ipalloc_transact(f->registry, &options, ask_for_port, s, NULL, &f->error);
    ipalloc_addr wanted = addr(s->c->asked);
    return ipalloc_reserve(f->registry, s->pools[1], owner, "x", &wanted, NULL, &f->error);
}

/* Between any two calls of the one who changes. */
static void interfere(void *context, enum shared_call call) {
    steps *s = context;
    if (++s->calls == s->allocate_at) {
        int status = ask(s, "Service/fast");
        s->asked = true;
        s->held = status == IPALLOC_OK;
        ck_assert_msg(s->held || status == IPALLOC_E_NOT_IN_RANGE || status == IPALLOC_E_TAKEN,
                      "reserve is %s: %s", ipalloc_status_name(status), s->f[1].error.message);
    }
    if (call == SHARED_COMMIT && ++s->commits == s->fate_at)
        shared_set_fate(s->stores[0], (enum shared_fate)s->fate, 1);
    if (s->calls == s->dies_at)
        s->stores[0]->cut = true;
}

static void open_steps(steps *s, const change_case *c) {
    *s = (steps){.c = c, .allocate_at = NEVER, .dies_at = NEVER, .fate_at = NEVER};
    shared_open(&s->cluster);
    start(s, 0);
    OK(&s->f[0], define(&s->f[0], c, false, &s->pools[0]));
    if (c->before != NULL && strchr(c->before, '-') != NULL)
        OK(&s->f[0], set_ranges(&s->f[0], s->pools[0], c->before));
    start(s, 1);
    s->pools[1] = open_pool(&s->f[1], c->pool);
    read_definition(&s->cluster, c->pool, s->before);
    s->stores[0]->before_context = s;
    s->stores[0]->before = interfere;
}

static int run(steps *s) {
    s->calls = s->commits = 0;
    return make_change(&s->f[0], s->c, s->pools[0]);
}

static bool lease_is_there(steps *s, size_t i) {
    ipalloc_lease lease = LEASE;
    ipalloc_addr wanted = addr(s->c->asked != NULL ? s->c->asked : "::");
    int status = s->c->asked != NULL
                     ? ipalloc_lookup(s->f[i].registry, s->pools[i], &wanted, &lease, NULL)
                     : ipalloc_lookup_port(s->f[i].registry, s->pools[i], s->c->port, &lease, NULL);
    return status == IPALLOC_OK && strcmp(lease.owner, "Service/fast") == 0;
}

static bool may_be_told(const steps *s, int status) {
    if (!s->held)
        return status == IPALLOC_OK;
    return status == s->c->refused ||
           (s->c->either && (status == IPALLOC_OK || status == IPALLOC_E_TAKEN));
}

/* Whoever comes now opens it, finds the lease in a range, and makes the change. */
static void come_after(steps *s) {
    start(s, 2);
    s->pools[2] = open_pool(&s->f[2], s->c->pool);
    assert_sound(&s->f[2]);
    ck_assert_uint_eq(used_of(s->pools[2]), s->held);
    ck_assert(lease_is_there(s, 2) == s->held);
    int status = make_change(&s->f[2], s->c, s->pools[2]);
    ck_assert_msg(may_be_told(s, status), "the change is %s", ipalloc_status_name(status));
    if (status != IPALLOC_OK) {
        OK(&s->f[2], ipalloc_release_owner(s->f[2].registry, "Service/fast", NULL, &s->f[2].error));
    }
    OK(&s->f[2], make_change(&s->f[2], s->c, s->pools[2]));
    assert_sound(&s->f[2]);
    OK(&s->f[1], ipalloc_registry_process(s->f[1].registry, NULL, &s->f[1].error));
    assert_sound(&s->f[1]);
    stop(s, 2);
}

static void close_steps(steps *s) {
    stop(s, 1);
    shared_close(&s->cluster);
}

/* --- undisturbed ------------------------------------------------------------------------------ */

START_TEST(one_commit_where_nothing_goes_and_two_where_something_does) {
    steps s;
    open_steps(&s, &CASES[_i]);
    OK(&s.f[0], run(&s));
    ck_assert_int_eq(s.commits, CASES[_i].commits);
    assert_sound(&s.f[0]);
    stop(&s, 0);
    close_steps(&s);
}
END_TEST

START_TEST(what_the_first_look_refuses_is_not_begun) {
    steps s;
    open_steps(&s, &CASES[_i]);
    if (CASES[_i].refused != IPALLOC_OK) {
        OK(&s.f[1], ask(&s, "Service/fast"));
        IS(&s.f[0], run(&s), CASES[_i].refused);
        ck_assert_int_eq(s.commits, 0);
    }
    stop(&s, 0);
    close_steps(&s);
}
END_TEST

/* --- somebody allocates in between, and whoever changes dies ---------------------------------- */

static void assert_unchanged_or_done(steps *s, int status) {
    char now[2000];
    read_definition(&s->cluster, s->c->pool, now);
    if (status != IPALLOC_OK) {
        ck_assert(may_be_told(s, status));
        ck_assert_str_eq(now, s->before);
        ck_assert(s->held);
    }
}

START_TEST(a_lease_at_any_point_stops_the_change_or_comes_too_late) {
    bool all = false, stopped = false, late = false;
    for (int k = 1; !all; k++) {
        steps s;
        open_steps(&s, &CASES[_i]);
        s.allocate_at = k;
        int status = run(&s);
        all = !s.asked;
        assert_unchanged_or_done(&s, status);
        stopped |= status != IPALLOC_OK;
        late |= s.asked && !s.held;
        assert_sound(&s.f[0]);
        ck_assert(lease_is_there(&s, 0) == s.held);
        stop(&s, 0);
        come_after(&s);
        close_steps(&s);
    }
    ck_assert(stopped == (CASES[_i].refused != IPALLOC_OK) || CASES[_i].either);
    ck_assert(late == (CASES[_i].commits == 2)); /* the first step was met */
}
END_TEST

START_TEST(whoever_dies_at_any_point_leaves_each_lease_in_a_range) {
    bool died = true;
    for (int j = 1; died; j++) {
        for (int k = 1; k <= j; k++) {
            steps s;
            open_steps(&s, &CASES[_i]);
            s.allocate_at = k;
            s.dies_at = j;
            run(&s);
            died = s.stores[0]->cut;
            stop(&s, 0);
            come_after(&s);
            close_steps(&s);
        }
    }
}
END_TEST

/* --- unknown outcomes ------------------------------------------------------------------------- */

static const enum shared_fate FATES[] = {FATE_HAPPENS, FATE_LOST, FATE_LATE};

/* Of every commit, also of that which takes the first step back, with the lease at every point. */
static void run_in_doubt(int row, bool dies, bool settles) {
    bool all_commits = false;
    for (int n = 0; !all_commits; n++) { /* the commit and its fate */
        all_commits = true;
        bool asked = true;
        for (int k = 1; asked; k++) {
            steps s;
            open_steps(&s, &CASES[row]);
            s.allocate_at = k;
            s.fate_at = 1 + n / 3;
            s.fate = FATES[n % 3];
            s.stores[0]->settle_fails = !settles;
            run(&s);
            asked = s.asked;
            all_commits &= s.commits < s.fate_at;
            s.stores[0]->before = NULL;
            s.stores[0]->settle_fails = false;
            if (!dies) {
                int status = make_change(&s.f[0], s.c, s.pools[0]);
                ck_assert(may_be_told(&s, status));
                assert_sound(&s.f[0]);
            }
            stop(&s, 0);
            shared_deliver(&s.cluster);
            come_after(&s);
            close_steps(&s);
        }
    }
}

START_TEST(a_commit_in_doubt_is_settled_on_the_way) {
    run_in_doubt(_i, false, true);
}
END_TEST

START_TEST(a_change_in_doubt_is_made_again) {
    run_in_doubt(_i, false, false);
}
END_TEST

START_TEST(whoever_dies_in_doubt_leaves_each_lease_in_a_range) {
    run_in_doubt(_i, true, false);
}
END_TEST

/* --- others who change too -------------------------------------------------------------------- */

typedef struct meanwhile {
    steps *s;
    int at, commits;
    const char *add; /* a pool; NULL: the same change */
} meanwhile;

static void change_meanwhile(void *context, enum shared_call call) {
    meanwhile *m = context;
    if (call != SHARED_COMMIT || ++m->commits != m->at)
        return;
    if (m->add == NULL)
        OK(&m->s->f[1], make_change(&m->s->f[1], m->s->c, m->s->pools[1]));
    else
        define_pool(&m->s->f[1], m->add, "10.200.0.0/24");
}

START_TEST(who_changes_the_same_or_another_pool_in_between_is_in_nobodys_way) {
    for (int at = 1; at <= 2; at++) {
        for (int other = 0; other < 2; other++) {
            steps s;
            open_steps(&s, &CASES[_i]);
            meanwhile m = {.s = &s, .at = at, .add = other ? "other" : NULL};
            s.stores[0]->before_context = &m;
            s.stores[0]->before = change_meanwhile;
            OK(&s.f[0], make_change(&s.f[0], s.c, s.pools[0]));
            s.stores[0]->before = NULL;
            assert_sound(&s.f[0]);
            assert_sound(&s.f[1]);
            stop(&s, 0);
            come_after(&s);
            close_steps(&s);
        }
    }
}
END_TEST

START_TEST(ports_left_over_by_a_change_that_died_are_given_out_again) {
    steps s;
    ipalloc_pool *pool;
    open_steps(&s, &CASES[sizeof CASES / sizeof CASES[0] - 1]);
    s.fate_at = 2;
    s.fate = FATE_LOST;
    s.stores[0]->settle_fails = true;
    IS(&s.f[0], run(&s), IPALLOC_E_UNKNOWN_OUTCOME);
    stop(&s, 0);
    OK(&s.f[1], define(&s.f[1], s.c, false, &pool)); /* as it is: fine */
    IS(&s.f[1], ask(&s, "Service/fast"), IPALLOC_E_TAKEN);
    ck_assert_message(&s.f[1], "excluded");
    ipalloc_pool_definition wide = {.size = sizeof wide,
                                    .kind = IPALLOC_POOL_PORT,
                                    .port_first = s.c->first,
                                    .port_last = s.c->last,
                                    .change = true};
    OK(&s.f[1], ipalloc_pool_define(s.f[1].registry, s.c->pool, &wide, &pool, &s.f[1].error));
    OK(&s.f[1], ask(&s, "Service/fast"));
    s.held = true;
    come_after(&s);
    close_steps(&s);
}
END_TEST

#define ROWS (int)(sizeof CASES / sizeof CASES[0])

static Suite *suite(void) {
    Suite *s = suite_create("pool_steps");
    TCase *c = tcase_create("steps");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, one_commit_where_nothing_goes_and_two_where_something_does, 0, ROWS);
    tcase_add_loop_test(c, what_the_first_look_refuses_is_not_begun, 0, ROWS);
    tcase_add_loop_test(c, a_lease_at_any_point_stops_the_change_or_comes_too_late, 0, ROWS);
    tcase_add_loop_test(c, whoever_dies_at_any_point_leaves_each_lease_in_a_range, 0, ROWS);
    tcase_add_loop_test(c, a_commit_in_doubt_is_settled_on_the_way, 0, ROWS);
    tcase_add_loop_test(c, a_change_in_doubt_is_made_again, 0, ROWS);
    tcase_add_loop_test(c, whoever_dies_in_doubt_leaves_each_lease_in_a_range, 0, ROWS);
    tcase_add_loop_test(c, who_changes_the_same_or_another_pool_in_between_is_in_nobodys_way, 0,
                        ROWS);
    tcase_add_test(c, ports_left_over_by_a_change_that_died_are_given_out_again);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
