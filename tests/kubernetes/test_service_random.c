/*
 * test_service_random.c: random creates, updates and deletes of Services against naive bookkeeping.
 *
 * A dozen Services on small pools, so that addresses run out and wishes collide. The book is the
 * Services as they were shown; after every step each holds in the registry exactly what it shows,
 * nothing is shown by two, and the pools count nothing else. A refusal must be justified by the
 * book: full means that a pool is, taken means that somebody shows the value.
 */
#include "service_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICES = 12, STEPS = 3000, VALIDATE_EVERY = 500 };

typedef struct entry {
    bool exists;
    char name[16];
    test_service shown;
} entry;

typedef struct book {
    cluster cluster;
    uint64_t random;
    entry entries[SERVICES];
    unsigned created, updated, deleted, refused[3]; /* invalid, full, taken */
} book;

static uint64_t below(book *b, uint64_t bound) {
    return test_random(&b->random) % bound;
}

static bool chance(book *b, unsigned percent) {
    return below(b, 100) < percent;
}

/* --- a random wish ---------------------------------------------------------------------------- */

static void add(char *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char *line, const char *format, ...) {
    size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, SERVICE_LINE - used, format, arguments);
    va_end(arguments);
}

static const char *one_of(book *b, const char *const *choices, size_t count) {
    return choices[below(b, count)];
}

#define ONE_OF(b, ...)                            \
    one_of(b, (const char *const[]){__VA_ARGS__}, \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void add_random_ips(book *b, char *line) {
    char four[32], six[32];
    snprintf(four, sizeof four, "10.96.0.%u", (unsigned)below(b, 9));
    snprintf(six, sizeof six, "%s::%x", ONE_OF(b, "fd00:10:96", "FD00:0010:96"),
             (unsigned)below(b, 9));
    switch (below(b, 6)) {
    case 0:
        add(line, " ip=%s", four);
        break;
    case 1:
        add(line, " ip=%s", six);
        break;
    case 2:
        add(line, " ip=%s ips=%s,%s", four, four, six);
        break;
    case 3:
        add(line, " ip=%s ips=%s,%s", six, six, four);
        break;
    default:
        add(line, " ip=None");
    }
}

static void add_random_ports(book *b, char *line) {
    static const char *const NAMES[] = {"a", "b", "c", "d"};
    size_t count = 1 + below(b, 4);
    size_t first = below(b, 4); /* names move between ports from one wish to the next */
    for (size_t i = 0; i < count; i++) {
        add(line, "%s%s:%u/%s", i == 0 ? " ports=" : ",", NAMES[(first + i) % 4],
            (unsigned)(80 + below(b, 4)), ONE_OF(b, "TCP", "UDP", "SCTP"));
        if (chance(b, 25))
            add(line, ">%u", (unsigned)(30000 + below(b, 15)));
    }
}

static void make_wish(book *b, const char *name, test_service *out) {
    char line[SERVICE_LINE] = "";
    add(line, "type=%s",
        ONE_OF(b, "ClusterIP", "NodePort", "NodePort", "LoadBalancer", "LoadBalancer",
               "ExternalName"));
    if (chance(b, 25))
        add_random_ips(b, line);
    if (chance(b, 50))
        add(line, " policy=%s", ONE_OF(b, "SingleStack", "PreferDualStack", "RequireDualStack"));
    if (chance(b, 15))
        add(line, " families=%s", ONE_OF(b, "IPv4", "IPv6", "IPv4,IPv6", "IPv6,IPv4"));
    if (chance(b, 40))
        add(line, " etp=%s", ONE_OF(b, "Cluster", "Local"));
    if (chance(b, 10))
        add(line, " hc=%u", (unsigned)(30000 + below(b, 15)));
    if (chance(b, 15))
        add(line, " alloc=%s", ONE_OF(b, "yes", "no"));
    if (chance(b, 20))
        add(line, " lb=192.0.2.%u", (unsigned)below(b, 5));
    if (chance(b, 10))
        add(line, " selector=no");
    add_random_ports(b, line);
    service_read(line, name, out);
}

/* What is stored with some of it changed, as a patch would have it. */
static void make_patch(book *b, const test_service *stored, test_service *out) {
    test_service wish;
    make_wish(b, stored->service.name, &wish);
    service_copy(out, stored);
    ipalloc_service *s = &out->service;
    if (chance(b, 60))
        strcpy(s->type, wish.service.type);
    if (chance(b, 30))
        strcpy(s->ip_family_policy, wish.service.ip_family_policy);
    if (chance(b, 30))
        strcpy(s->external_traffic_policy, wish.service.external_traffic_policy);
    if (chance(b, 20))
        s->cluster_ip_count = 0;
    if (chance(b, 20))
        s->cluster_ip[0] = '\0';
    if (chance(b, 20))
        s->ip_family_count = 0;
    if (chance(b, 40)) {
        memcpy(out->ports, wish.ports, sizeof out->ports);
        s->port_count = wish.service.port_count;
    }
    if (chance(b, 20))
        strcpy(s->load_balancer_ip, wish.service.load_balancer_ip);
}

/* --- the book --------------------------------------------------------------------------------- */

static bool shows(const test_service *s, const char *value) {
    char line[SERVICE_LINE], padded[IPALLOC_SERVICE_TEXT + 2];
    snprintf(line, sizeof line, " %s ", service_shows(s));
    snprintf(padded, sizeof padded, " %s ", value);
    return strstr(line, padded) != NULL;
}

static bool somebody_shows(const book *b, const char *value) {
    for (size_t i = 0; i < SERVICES; i++)
        if (b->entries[i].exists && shows(&b->entries[i].shown, value))
            return true;
    return false;
}

static uint64_t free_in(ipalloc_pool *pool) {
    ipalloc_pool_stats stats = {.size = sizeof stats};
    ck_assert_status(ipalloc_pool_get_stats(pool, &stats, NULL), IPALLOC_OK);
    return stats.total.free.low;
}

/* Some pool has less free than one Service may want of it. */
static bool some_pool_may_be_full(book *b) {
    const ipalloc_service_pools *pools = &b->cluster.pools;
    return free_in(pools->cluster_ips[0]) == 0 || free_in(pools->cluster_ips[1]) == 0 ||
           free_in(pools->node_ports) < 5 || free_in(pools->load_balancer[0]) == 0;
}

static void read_quoted(const char *message, const char *after, char out[64]) {
    const char *at = strstr(message, after);
    ck_assert_msg(at != NULL, "no '%s' in: %s", after, message);
    at += strlen(after);
    size_t length = strcspn(at, ":");
    if (strstr(after, "IP ") != NULL) { /* IPv6 has colons of its own */
        const char *end = strstr(at, ": provided");
        ck_assert_ptr_nonnull(end);
        length = (size_t)(end - at);
    }
    ck_assert_uint_lt(length, 64);
    memcpy(out, at, length);
    out[length] = '\0';
}

/* How often the wish names a node port. */
static unsigned count_wished(const test_service *wish, long number) {
    unsigned count = wish->service.health_check_node_port == number;
    for (size_t i = 0; i < wish->service.port_count; i++)
        count += wish->ports[i].node_port == number;
    return count;
}

/* The value that was refused as taken: somebody shows it, or the wish names it twice. */
static void check_taken(book *b, const test_service *wish) {
    const ipalloc_service_problem *problem = &b->cluster.problems.items[0];
    char value[64];
    if (strstr(problem->message, "failed to allocate IP ") != NULL)
        read_quoted(problem->message, "failed to allocate IP ", value);
    else if (strstr(problem->message, "HealthCheck NodePort ") != NULL)
        read_quoted(problem->message, "HealthCheck NodePort ", value);
    else
        read_quoted(problem->message, "Invalid value: ", value);
    bool twice = count_wished(wish, strtol(value, NULL, 10)) > 1;
    ck_assert_msg(somebody_shows(b, value) || twice, "%s is taken by nobody: %s -> %s", value,
                  service_write(wish), problem->message);
    if (problem->holder[0] != '\0')
        ck_assert_msg(somebody_shows(b, value), "%s is not held by %s", value, problem->holder);
}

static void check_refusal(book *b, int status, const test_service *wish) {
    if (status == IPALLOC_E_TAKEN) {
        check_taken(b, wish);
        b->refused[2]++;
    } else if (status == IPALLOC_E_FULL) {
        ck_assert_msg(some_pool_may_be_full(b), "nothing is full: %s", b->cluster.error.message);
        b->refused[1]++;
    } else {
        ck_assert_msg(status == IPALLOC_E_INVALID || status == IPALLOC_E_NOT_IN_RANGE, "%s: %s",
                      ipalloc_status_name(status), b->cluster.error.message);
        ck_assert_uint_gt(b->cluster.problems.count, 0);
        b->refused[0]++;
    }
}

static void check_nothing_twice(const book *b) {
    for (size_t i = 0; i < SERVICES; i++) {
        if (!b->entries[i].exists)
            continue;
        char line[SERVICE_LINE], *rest = NULL;
        snprintf(line, sizeof line, "%s", service_shows(&b->entries[i].shown));
        for (char *value = strtok_r(line, " ", &rest); value != NULL;
             value = strtok_r(NULL, " ", &rest))
            for (size_t j = i + 1; j < SERVICES; j++)
                ck_assert_msg(!b->entries[j].exists || !shows(&b->entries[j].shown, value),
                              "%s is shown by %s and %s", value, b->entries[i].name,
                              b->entries[j].name);
    }
}

static unsigned count_words(const char *line) {
    unsigned count = line[0] != '\0';
    for (const char *c = line; *c != '\0'; c++)
        count += *c == ' ';
    return count;
}

static unsigned used_in_all(cluster *c) {
    unsigned total = 0;
    for (const char *at = cluster_used(c); (at = strchr(at, '=')) != NULL;)
        total += (unsigned)strtoul(++at, NULL, 10);
    return total;
}

static void check_book(book *b) {
    unsigned shown = 0;
    for (size_t i = 0; i < SERVICES; i++) {
        entry *e = &b->entries[i];
        ck_assert_holds_what_it_shows(&b->cluster, e->name, e->exists ? &e->shown : NULL);
        if (e->exists)
            shown += count_words(service_shows(&e->shown));
    }
    ck_assert_uint_eq(used_in_all(&b->cluster), shown);
    check_nothing_twice(b);
}

/* --- steps ------------------------------------------------------------------------------------ */

static int apply(book *b, ipalloc_txn *txn, const entry *e, test_service *s) {
    cluster *c = &b->cluster;
    if (!e->exists)
        return ipalloc_service_create(txn, &c->pools, &s->service, &c->problems, &c->error);
    return ipalloc_service_update(txn, &c->pools, &e->shown.service, &s->service, &c->problems,
                                  &c->error);
}

static void write_service(book *b, entry *e) {
    test_service wish, s;
    if (e->exists && chance(b, 50))
        make_patch(b, &e->shown, &wish);
    else
        make_wish(b, e->name, &wish);
    service_copy(&s, &wish);
    bool dry_run = chance(b, 10), abort = !dry_run && chance(b, 10);
    ipalloc_txn *txn = cluster_begin(&b->cluster, e->name, dry_run);
    int status = apply(b, txn, e, &s);
    if (status != IPALLOC_OK || abort)
        ipalloc_txn_abort(txn);
    else
        ck_assert_status_error(ipalloc_txn_commit(txn, NULL, &b->cluster.error), IPALLOC_OK,
                               &b->cluster.error);
    if (status != IPALLOC_OK) {
        check_refusal(b, status, &wish);
        return;
    }
    if (dry_run || abort)
        return;
    *(e->exists ? &b->updated : &b->created) += 1;
    e->exists = true;
    service_copy(&e->shown, &s);
}

static void step(book *b) {
    entry *e = &b->entries[below(b, SERVICES)];
    if (e->exists && chance(b, 20)) {
        ck_assert_status_error(cluster_delete(&b->cluster, e->name), IPALLOC_OK, &b->cluster.error);
        e->exists = false;
        b->deleted++;
        return;
    }
    write_service(b, e);
}

static const uint32_t STRATEGIES[] = {IPALLOC_STRATEGY_LOWEST, IPALLOC_STRATEGY_OLDEST_FREED};

START_TEST(services_hold_what_they_show) {
    static book b;
    b = (book){.random = test_seed() + (uint64_t)_i};
    cluster_open(&b.cluster, &(cluster_shape){
                                 .cluster_ips = {"10.96.0.0/29", "fd00:10:96::/125"},
                                 .port_first = 30000,
                                 .port_last = 30013,
                                 .load_balancer = {"192.0.2.0/30"},
                                 .strategy = STRATEGIES[_i],
                             });
    for (size_t i = 0; i < SERVICES; i++)
        snprintf(b.entries[i].name, sizeof b.entries[i].name, "s%zu", i);
    uint64_t steps = test_scaled(STEPS);
    for (uint64_t i = 0; i < steps; i++) {
        step(&b);
        check_book(&b);
        if (i % VALIDATE_EVERY == 0)
            ck_assert_status_error(ipalloc_registry_validate(b.cluster.registry, &b.cluster.error),
                                   IPALLOC_OK, &b.cluster.error);
    }
    fprintf(stderr, "%u created, %u updated, %u deleted; %u invalid, %u full, %u taken\n",
            b.created, b.updated, b.deleted, b.refused[0], b.refused[1], b.refused[2]);
    if (steps >= STEPS) { /* every kind of outcome was seen */
        ck_assert_uint_gt(b.created, 100);
        ck_assert_uint_gt(b.updated, 100);
        ck_assert_uint_gt(b.refused[1], 10);
        ck_assert_uint_gt(b.refused[2], 10);
    }
    cluster_close(&b.cluster);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("service_random");
    TCase *tc = tcase_create("service_random");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, services_hold_what_they_show, 0, 2);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
