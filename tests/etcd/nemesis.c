/*
 * nemesis.c: the faults. Members are nodes 0 to 2 of the network, workers those behind them.
 */
#include "nemesis.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CLIENT_PORT = 2379,
    ELECTION_SECONDS = 15,
    HEALTHY_SECONDS = 30,
    WORK_SECONDS = 30,
    LAST_MS_MIN = 500,
    LAST_MS_MAX = 2500
};

static uint64_t draw(nemesis *n, uint64_t bound) {
    return test_random(&n->random) % bound;
}

static void pause_ms(uint64_t ms) {
    usleep((useconds_t)(ms * 1000));
}

static void let_it_last(nemesis *n) {
    pause_ms(LAST_MS_MIN + draw(n, LAST_MS_MAX - LAST_MS_MIN));
}

/* ---- seeing that it took effect ---- */

static int leader_now(nemesis *n) {
    uint64_t limit = journal_now() + ELECTION_SECONDS * UINT64_C(1000000000);
    int leader = etcd_leader(n->cluster);
    while (leader < 0) {
        ck_assert_msg(journal_now() < limit, "there is no leader");
        pause_ms(20);
        leader = etcd_leader(n->cluster);
    }
    return leader;
}

static void another_leads(nemesis *n, int before) {
    uint64_t limit = journal_now() + ELECTION_SECONDS * UINT64_C(1000000000);
    for (;;) {
        int leader = etcd_leader(n->cluster);
        if (leader >= 0 && leader != before)
            return;
        ck_assert_msg(journal_now() < limit, "member %d still leads", before);
        pause_ms(20);
    }
}

/* Within a while: a member that has just been cut off answers until its lease of leadership ends.
 */
static void member_does_not_commit(nemesis *n, int member) {
    uint64_t limit = journal_now() + ELECTION_SECONDS * UINT64_C(1000000000);
    while (etcd_is_healthy(n->cluster, member))
        ck_assert_msg(journal_now() < limit, "member %d still commits", member);
}

static void nothing_can_be_written(nemesis *n) {
    for (int i = 0; i < MEMBERS; i++)
        if (etcd_is_running(n->cluster, i) && !etcd_is_paused(n->cluster, i))
            ck_assert_int_ne(etcd_ctl_words(n->cluster, i, 1, NULL,
                                            (const char *const[]){"put", "/probe", "1", NULL}),
                             0);
}

/* ---- members ---- */

typedef void (*harm)(etcd_cluster *cluster, int member);

static void heal_members(nemesis *n) {
    for (int i = 0; i < MEMBERS; i++) {
        if (!etcd_is_running(n->cluster, i))
            etcd_restart(n->cluster, i);
        else if (etcd_is_paused(n->cluster, i))
            etcd_resume(n->cluster, i);
    }
}

static void harm_leader(nemesis *n, harm how) {
    int leader = leader_now(n);
    how(n->cluster, leader);
    member_does_not_commit(n, leader);
    another_leads(n, leader);
    let_it_last(n);
}

static void harm_follower(nemesis *n, harm how) {
    int follower = (leader_now(n) + 1 + (int)draw(n, MEMBERS - 1)) % MEMBERS;
    how(n->cluster, follower);
    member_does_not_commit(n, follower);
    let_it_last(n);
}

static void harm_many(nemesis *n, harm how, int count) {
    int first = (int)draw(n, MEMBERS);
    for (int i = 0; i < count; i++)
        how(n->cluster, (first + i) % MEMBERS);
    nothing_can_be_written(n);
    for (int i = 0; i < count; i++)
        ck_assert(!etcd_is_healthy(n->cluster, (first + i) % MEMBERS));
    let_it_last(n);
}

/* ---- cuts between members ---- */

static void cut_peers(nemesis *n, int member, bool from, bool to) {
    for (int i = 0; i < MEMBERS; i++) {
        if (i != member && from)
            network_cut(n->net, member, i);
        if (i != member && to)
            network_cut(n->net, i, member);
    }
    ck_assert(!network_reaches(n->net, member, (member + 1) % MEMBERS, 2380));
}

static void cut_leader(nemesis *n, bool from, bool to) {
    int leader = leader_now(n);
    cut_peers(n, leader, from, to);
    another_leads(n, leader);
    let_it_last(n);
}

static void cut_follower(nemesis *n) {
    int follower = (leader_now(n) + 1) % MEMBERS;
    cut_peers(n, follower, true, true);
    member_does_not_commit(n, follower);
    let_it_last(n);
}

/* ---- cuts between workers and members ---- */

static int node_of(const nemesis *n, unsigned worker) {
    return n->crew->first_node + (int)worker;
}

static unsigned any_worker(nemesis *n) {
    return (unsigned)draw(n, n->crew->worker_count);
}

static void cut_worker(nemesis *n, unsigned worker, int member, bool both) {
    int node = node_of(n, worker);
    ck_assert(network_reaches(n->net, node, member, CLIENT_PORT));
    network_cut(n->net, member, node);
    if (both)
        network_cut(n->net, node, member);
    ck_assert(!network_reaches(n->net, node, member, CLIENT_PORT));
}

static void cut_worker_from_two(nemesis *n, bool both) {
    unsigned worker = any_worker(n);
    cut_worker(n, worker, leader_now(n), both);
    cut_worker(n, worker, (leader_now(n) + 1) % MEMBERS, both);
    let_it_last(n);
}

static void cut_worker_off(nemesis *n, unsigned worker) {
    for (int i = 0; i < MEMBERS; i++)
        cut_worker(n, worker, i, true);
    let_it_last(n);
}

/* ---- workers ---- */

static void kill_worker(nemesis *n) {
    unsigned worker = any_worker(n);
    crew_kill(n->crew, worker);
    let_it_last(n);
    crew_restart(n->crew, worker);
}

/* Its watch has to begin again from a revision that is gone by then: what it was connected to is
 * cut off or killed. */
static void compact_behind(nemesis *n) {
    unsigned worker = any_worker(n);
    uint64_t began = journal_now();
    char *text = NULL, revision[32];
    if (n->net != NULL) {
        for (int i = 0; i < MEMBERS; i++)
            cut_worker(n, worker, i, true);
    } else {
        crew_stop(n->crew, worker);
        for (int i = 0; i < MEMBERS; i++)
            etcd_restart(n->cluster, i);
        etcd_wait_healthy(n->cluster, HEALTHY_SECONDS);
    }
    if (n->crew->worker_count > 1)
        ck_assert(crew_others_work_since(n->crew, worker, began, WORK_SECONDS));
    let_it_last(n);
    let_it_last(n); /* longer than a connection lives without an answer */
    uint64_t now = etcd_compact(n->cluster);
    snprintf(revision, sizeof revision, "--rev=%llu", (unsigned long long)now - 1);
    ck_assert_int_ne(etcd_ctl(n->cluster, &text, "get", "/", revision), 0);
    ck_assert_ptr_nonnull(strstr(text, "compacted"));
    free(text);
    if (n->net == NULL)
        crew_resume(n->crew, worker);
}

/* ---- one after another ---- */

typedef struct fault {
    const char *name;
    void (*make)(nemesis *n);
    fault_kind without_network; /* what stands for it where there is nothing to cut */
} fault;

static void kill_leader(nemesis *n) {
    harm_leader(n, etcd_kill);
}

static void kill_follower(nemesis *n) {
    harm_follower(n, etcd_kill);
}

static void kill_majority(nemesis *n) {
    harm_many(n, etcd_kill, 2);
}

static void kill_all(nemesis *n) {
    harm_many(n, etcd_kill, MEMBERS);
}

static void stop_leader(nemesis *n) {
    harm_leader(n, etcd_pause);
}

static void stop_follower(nemesis *n) {
    harm_follower(n, etcd_pause);
}

static void stop_majority(nemesis *n) {
    harm_many(n, etcd_pause, 2);
}

static void stop_all(nemesis *n) {
    harm_many(n, etcd_pause, MEMBERS);
}

static void cut_leader_both_ways(nemesis *n) {
    cut_leader(n, true, true);
}

static void mute_leader(nemesis *n) {
    cut_leader(n, true, false);
}

static void deafen_leader(nemesis *n) {
    cut_leader(n, false, true);
}

static void cut_worker_both_ways(nemesis *n) {
    cut_worker_from_two(n, true);
}

static void deafen_worker(nemesis *n) {
    cut_worker_from_two(n, false);
}

static void cut_any_worker_off(nemesis *n) {
    cut_worker_off(n, any_worker(n));
}

static const fault FAULTS[FAULT_KINDS] = {
    [KILL_LEADER] = {"kill -9 the leader", kill_leader, KILL_LEADER},
    [KILL_FOLLOWER] = {"kill -9 a follower", kill_follower, KILL_FOLLOWER},
    [KILL_MAJORITY] = {"kill -9 two of three", kill_majority, KILL_MAJORITY},
    [KILL_ALL] = {"kill -9 all three", kill_all, KILL_ALL},
    [STOP_LEADER] = {"stop the leader", stop_leader, STOP_LEADER},
    [STOP_FOLLOWER] = {"stop a follower", stop_follower, STOP_FOLLOWER},
    [STOP_MAJORITY] = {"stop two of three", stop_majority, STOP_MAJORITY},
    [STOP_ALL] = {"stop all three", stop_all, STOP_ALL},
    [CUT_LEADER] = {"cut the leader off from its peers", cut_leader_both_ways, STOP_LEADER},
    [CUT_FOLLOWER] = {"cut a follower off from its peers", cut_follower, STOP_FOLLOWER},
    [MUTE_LEADER] = {"what the leader sends to its peers is lost", mute_leader, STOP_LEADER},
    [DEAFEN_LEADER] = {"what its peers send to the leader is lost", deafen_leader, STOP_LEADER},
    [CUT_WORKER] = {"cut a worker off from two members", cut_worker_both_ways, STOP_FOLLOWER},
    [DEAFEN_WORKER] = {"what two members answer to a worker is lost", deafen_worker, STOP_FOLLOWER},
    [CUT_WORKER_OFF] = {"cut a worker off from all members", cut_any_worker_off, KILL_WORKER},
    [KILL_WORKER] = {"kill -9 a worker", kill_worker, KILL_WORKER},
    [COMPACT_BEHIND] = {"compact, with a worker that sees nothing", compact_behind, COMPACT_BEHIND},
};

const char *fault_name(fault_kind kind) {
    return FAULTS[kind].name;
}

static void one_fault(nemesis *n, fault_kind kind) {
    if (n->net == NULL)
        kind = FAULTS[kind].without_network;
    fault_record *r = &n->done[n->count++];
    r->kind = kind;
    r->began = journal_now();
    FAULTS[kind].make(n);
    heal_members(n);
    if (n->net != NULL)
        network_heal(n->net);
    r->healed = journal_now();
    etcd_wait_healthy(n->cluster, HEALTHY_SECONDS);
    ck_assert_msg(crew_works_since(n->crew, r->healed, WORK_SECONDS),
                  "a client does not work again %d s after \"%s\"", WORK_SECONDS,
                  FAULTS[kind].name);
    r->recovered = journal_now();
    printf("%6.1f s  %-50s lasted %4.1f s, all work again after %4.1f s\n",
           (double)(r->began - n->done[0].began) / 1e9, FAULTS[kind].name,
           (double)(r->healed - r->began) / 1e9, (double)(r->recovered - r->healed) / 1e9);
    fflush(stdout);
}

static void shuffle(nemesis *n, fault_kind order[FAULT_KINDS]) {
    for (int i = 0; i < FAULT_KINDS; i++)
        order[i] = (fault_kind)i;
    for (int i = FAULT_KINDS - 1; i > 0; i--) {
        int k = (int)draw(n, (uint64_t)i + 1);
        fault_kind moved = order[i];
        order[i] = order[k];
        order[k] = moved;
    }
}

void nemesis_run(nemesis *n, unsigned seconds, unsigned faults_min) {
    uint64_t limit = journal_now() + seconds * UINT64_C(1000000000);
    fault_kind order[FAULT_KINDS];
    if (n->net == NULL)
        printf("no network to cut here: members and workers are stopped instead\n");
    for (size_t i = 0; i < faults_min || journal_now() < limit; i++) {
        if (i % FAULT_KINDS == 0)
            shuffle(n, order);
        ck_assert_uint_lt(n->count, FAULTS_MAX);
        one_fault(n, order[i % FAULT_KINDS]);
    }
}
