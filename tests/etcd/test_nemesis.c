/*
 * test_nemesis.c: three etcd members, eight clients in two to five processes, and somebody who
 * kills, stops, cuts off and restarts them; then the history and what is in the store are judged.
 *
 * NEMESIS_SECONDS=N: so long (else 80, and each kind of fault at least once; TEST_SCALE shortens
 * it). SEED=N: the same faults and the same clients; what they meet differs.
 * NEMESIS_KEEP=DIRECTORY: where the journals of a bad run go. NO_NETWORK=1: as where there are no
 * network namespaces.
 */
#include "final.h"
#include "nemesis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECONDS = 80, FAULTS_MIN = 3, AROUND_SECONDS = 300, CALL_MS_MAX = 15000 };

static const char PREFIX[] = "/nemesis/one";

static unsigned seconds_wanted(void) {
    const char *given = getenv("NEMESIS_SECONDS");
    return given != NULL ? (unsigned)atoi(given) : (unsigned)test_scaled(SECONDS);
}

static unsigned faults_wanted(void) {
    unsigned wanted = (unsigned)test_scaled(FAULT_KINDS);
    return wanted > FAULTS_MIN ? wanted : FAULTS_MIN;
}

/* ---- setting up ---- */

static void enter(void *context, int member) {
    network_enter(context, member);
}

static etcd_cluster *start_members(network *net) {
    const char *hosts[MEMBERS];
    etcd_options with = {.members = MEMBERS};
    for (int i = 0; i < MEMBERS && net != NULL; i++)
        hosts[i] = network_address(net, i);
    if (net != NULL) {
        with.hosts = hosts;
        with.enter = enter;
        with.context = net;
    }
    return etcd_start(&with);
}

static void set_up(nemesis *n, crew *c) {
    const char *why = NULL;
    n->random = c->seed = test_seed();
    n->net = network_create(MEMBERS + WORKERS_MAX, &why);
    if (n->net == NULL)
        printf("no network of its own: %s\n", why);
    n->cluster = start_members(n->net);
    n->crew = c;
    c->net = n->net;
    c->first_node = MEMBERS;
    snprintf(c->directory, sizeof c->directory, "%s/clients", etcd_directory(n->cluster));
    ck_assert_int_eq(mkdir(c->directory, 0700), 0);
    snprintf(c->url, sizeof c->url, "%s", etcd_url(n->cluster, PREFIX));
    crew_start(c, 2 + (unsigned)(test_random(&n->random) % (WORKERS_MAX - 1)));
    ck_assert_msg(crew_works_since(c, 0, 30), "not every client works at the start");
}

/* ---- the summary ---- */

static int by_end(const void *a, const void *b) {
    const operation *x = a, *y = b;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The longest time without an acknowledged change of anybody, from a fault to its recovery.
 * `all` is in order of end. */
static uint64_t longest_gap(const operation *all, size_t count, const fault_record *fault) {
    uint64_t last = fault->began, longest = 0;
    for (size_t i = 0; i < count && all[i].end <= fault->recovered; i++) {
        if (all[i].outcome != OUTCOME_OK || all[i].kind > OPERATION_TRANSACTION ||
            all[i].end < fault->began)
            continue;
        longest = all[i].end - last > longest ? all[i].end - last : longest;
        last = all[i].end;
    }
    return fault->recovered - last > longest ? fault->recovered - last : longest;
}

static void print_faults(const nemesis *n, const operation *all, size_t count) {
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        uint64_t times = 0, longest = 0;
        for (size_t i = 0; i < n->count; i++) {
            if (n->done[i].kind != (fault_kind)kind)
                continue;
            uint64_t gap = longest_gap(all, count, &n->done[i]);
            longest = gap > longest ? gap : longest;
            times++;
        }
        if (times > 0)
            printf("  %3llu x %-50s longest time without an acknowledgement %5.1f s\n",
                   (unsigned long long)times, fault_name((fault_kind)kind), (double)longest / 1e9);
    }
}

/* ---- how long calls took ---- */

typedef struct call_times {
    char name[16];
    uint64_t longest_ns;
    size_t late; /* took longer than the deadline and half a second */
} call_times;

enum { CALL_NAMES_MAX = 16 };

/* By the longest call of each operation. */
static size_t time_calls(const operation *all, size_t count, call_times out[CALL_NAMES_MAX]) {
    size_t names = 0;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < names && strcmp(out[k].name, all[i].longest_call) != 0)
            k++;
        if (k == CALL_NAMES_MAX)
            continue;
        if (k == names) {
            out[names++] = (call_times){.longest_ns = 0};
            snprintf(out[k].name, sizeof out[k].name, "%s", all[i].longest_call);
        }
        if (all[i].longest_ns > out[k].longest_ns)
            out[k].longest_ns = all[i].longest_ns;
        out[k].late += all[i].longest_ns > (CALL_MS + 500) * UINT64_C(1000000);
    }
    return names;
}

/* Returns the longest of all. */
static uint64_t print_calls(const operation *all, size_t count) {
    call_times times[CALL_NAMES_MAX];
    size_t names = time_calls(all, count, times), late = 0;
    uint64_t longest = 0;
    printf("  longest calls (each may take %.1f s):", (CALL_MS + 500) / 1e3);
    for (size_t i = 0; i < names; i++) {
        if (times[i].name[0] != '\0')
            printf(" %s %.2f s,", times[i].name, (double)times[i].longest_ns / 1e9);
        late += times[i].late;
        longest = times[i].longest_ns > longest ? times[i].longest_ns : longest;
    }
    printf(" %zu calls took longer\n", late);
    return longest;
}

static void print_counts(const operation *all, size_t count) {
    size_t kinds[OPERATION_KINDS] = {0}, acknowledged = 0;
    for (size_t i = 0; i < count; i++) {
        kinds[all[i].kind]++;
        acknowledged += all[i].outcome == OUTCOME_OK && all[i].kind <= OPERATION_TRANSACTION;
    }
    printf("  %zu operations:", count);
    for (int i = 0; i < OPERATION_KINDS; i++)
        printf(" %zu %s%s", kinds[i], OPERATION_NAMES[i], i + 1 < OPERATION_KINDS ? "," : "\n");
    printf("  %zu changes acknowledged\n", acknowledged);
}

/* Returns how long the longest call took. */
static uint64_t print_summary(const nemesis *n, operation *all, size_t count, const judgement *j,
                              const final_state *state) {
    qsort(all, count, sizeof *all, by_end);
    printf("\nnemesis, seed %llu: %u clients in %u processes (%u with those restarted), %d etcd "
           "members%s, %zu faults in %.0f s\n",
           (unsigned long long)n->crew->seed, CREW_CLIENTS, n->crew->worker_count,
           n->crew->next_life, MEMBERS, n->net != NULL ? " in networks of their own" : "", n->count,
           (double)(n->done[n->count - 1].recovered - n->done[0].began) / 1e9);
    print_counts(all, count);
    printf("  %zu outcomes that the caller was not told; %zu leases of them had happened\n",
           j->unknown, j->unknown_happened);
    printf("  %zu answers that nothing is free, %zu of them judged to within %d addresses\n",
           j->full_answers, j->full_sharp, FULL_DOUBT_MAX);
    uint64_t longest = print_calls(all, count);
    print_faults(n, all, count);
    printf("  history of %zu leases: %s\n", j->leases,
           j->wrong[0] != '\0' ? j->wrong : "linearizable");
    printf("  final state: %zu leases, %zu owners, %zu records: %s\n", state->count, state->owners,
           state->records, state->wrong[0] != '\0' ? state->wrong : "no double, no loss, no leak");
    printf("  verdict: %s\n",
           j->wrong[0] == '\0' && state->wrong[0] == '\0' ? "every promise held" : "BROKEN");
    fflush(stdout);
    return longest;
}

/* ---- the run ---- */

static void keep_journals(const crew *c) {
    const char *to = getenv("NEMESIS_KEEP");
    char line[8400];
    if (to == NULL)
        return;
    snprintf(line, sizeof line, "mkdir -p '%s' && cp -r '%s' '%s/'", to, c->directory, to);
    if (system(line) != 0)
        fprintf(stderr, "the journals could not be kept in %s\n", to);
}

START_TEST(no_fault_breaks_a_promise) {
    static nemesis n;
    static crew c;
    final_state state;
    judgement j;
    size_t count = 0;
    set_up(&n, &c);
    nemesis_run(&n, seconds_wanted(), faults_wanted());
    crew_finish(&c);
    final_from_etcd(n.cluster, PREFIX, &state);
    final_registry(c.url, &state);
    operation *all = crew_history(&c, &count);
    judged_history h = {.operations = all,
                        .count = count,
                        .final = state.leases,
                        .final_count = state.count,
                        .final_at = state.at};
    crew_pools(&h);
    judge(&h, &j);
    uint64_t longest = print_summary(&n, all, count, &j, &state);
    if (j.wrong[0] != '\0' || state.wrong[0] != '\0')
        keep_journals(&c);
    ck_assert_str_eq(j.wrong, "");
    ck_assert_str_eq(state.wrong, "");
    ck_assert_uint_gt(j.full_answers, 0);
    ck_assert_uint_gt(state.count, 0);
    ck_assert_uint_lt(longest / 1000000, CALL_MS_MAX);
    free(all);
    final_free(&state);
    etcd_stop(n.cluster);
    network_destroy(n.net);
}
END_TEST

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return worker_main(argc, argv);
    if (!etcd_is_here()) {
        printf("etcd or etcdctl is not in PATH (Debian packages etcd-server, etcd-client)\n");
        return 77;
    }
    Suite *suite = suite_create("nemesis");
    TCase *tc = tcase_create("nemesis");
    tcase_set_timeout(tc, seconds_wanted() + AROUND_SECONDS);
    tcase_add_test(tc, no_fault_breaks_a_promise);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
