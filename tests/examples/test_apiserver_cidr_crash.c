/* ServiceCIDRs through restarts: whatever was cut off between an object and its pool converges, and
 * nothing that was given is lost. */
#include "cidr_client.h"
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLUSTER "--service-cluster-ip-range=10.96.0.0/24"
#define CIDR_START \
    "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\",\"metadata\":{"

static const char *directory;
static char store_flag[512];

static void start(void) {
    const char *arguments[] = {CLUSTER, store_flag, NULL};
    cidr_server = server_start(arguments);
}

static void begin(void) {
    directory = test_directory_make();
    snprintf(store_flag, sizeof store_flag, "--store=sqlite:%s/store.db", directory);
    start();
}

static void end(void) {
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    test_directory_remove(directory);
}

static void expect_code(struct answer answer, long code) {
    ck_assert_msg(answer.code == code, "%ld %s", answer.code, answer.text);
    answer_free(&answer);
}

/* --- states that a crash can leave -------------------------------------------------------------
 */

/* The registry of the stopped server. */
struct opened {
    ipalloc_store *store;
    ipalloc_registry *registry;
};

static struct opened open_store(void) {
    struct opened opened;
    ipalloc_error error = {0};
    ck_assert_status_error(ipalloc_store_open(server_store_url(store_flag + strlen("--store=")),
                                              NULL, &opened.store, &error),
                           IPALLOC_OK, &error);
    ck_assert_status_error(ipalloc_registry_open(opened.store, NULL, &opened.registry, &error),
                           IPALLOC_OK, &error);
    return opened;
}

static void close_store(struct opened *opened) {
    ipalloc_error error = {0};
    ck_assert_status_error(ipalloc_registry_validate(opened->registry, &error), IPALLOC_OK, &error);
    ipalloc_registry_close(opened->registry);
    ipalloc_store_close(opened->store);
}

/* NULL: take it away. */
static void put_record(const char *key, const char *value) {
    struct opened opened = open_store();
    ipalloc_txn_options options = {.size = sizeof options};
    ipalloc_txn *txn;
    ipalloc_error error = {0};
    ck_assert_status(ipalloc_begin(opened.registry, &options, &txn, &error), IPALLOC_OK);
    int status = value != NULL
                     ? ipalloc_txn_put(txn, key, value, strlen(value), IPALLOC_REVISION_ANY, &error)
                     : ipalloc_txn_delete(txn, key, IPALLOC_REVISION_ANY, &error);
    ck_assert_status_error(status, IPALLOC_OK, &error);
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
    close_store(&opened);
}

/* As many ServiceCIDRs as that, put in at once: fd01:1::/64 and on. */
static void put_many(unsigned count) {
    struct opened opened = open_store();
    ipalloc_txn_options options = {.size = sizeof options};
    ipalloc_txn *txn = NULL;
    ipalloc_error error = {0};
    for (unsigned i = 0; i < count; i++) {
        char key[64];
        char value[512];
        if (i % IPALLOC_TXN_RECORDS_MAX == 0) {
            ck_assert_status(ipalloc_begin(opened.registry, &options, &txn, &error), IPALLOC_OK);
        }
        snprintf(key, sizeof key, "servicecidrs/m%03u", i);
        snprintf(value, sizeof value,
                 CIDR_START
                 "\"name\":\"m%03u\",\"uid\":\"1\"},\"spec\":{\"cidrs\":[\"fd01:%x::/64\"]}}",
                 i, i + 1);
        ck_assert_status(
            ipalloc_txn_put(txn, key, value, strlen(value), IPALLOC_REVISION_ANY, &error),
            IPALLOC_OK);
        if (i % IPALLOC_TXN_RECORDS_MAX == IPALLOC_TXN_RECORDS_MAX - 1 || i == count - 1) {
            ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
        }
    }
    close_store(&opened);
}

static void add_range(const char *range, const char *held_by, const char *address) {
    struct opened opened = open_store();
    ipalloc_pool *pool;
    ipalloc_error error = {0};
    ipalloc_cidr added = cidr(range);
    ck_assert_status(ipalloc_pool_open(opened.registry, "services-v4", &pool, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_pool_add_range(pool, &added, &error), IPALLOC_OK);
    if (held_by != NULL) {
        ipalloc_addr held = addr(address);
        ipalloc_grant grant = {.size = sizeof grant};
        ck_assert_status(ipalloc_reserve(opened.registry, pool, held_by, "clusterIP/IPv4", &held,
                                         &grant, &error),
                         IPALLOC_OK);
    }
    close_store(&opened);
}

START_TEST(an_object_whose_range_was_not_added_yet_gets_it) {
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    put_record("servicecidrs/more",
               CIDR_START "\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"finalizers\":"
                          "[\"networking.k8s.io/service-cidr-finalizer\"],\"name\":\"more\","
                          "\"uid\":\"1-2-3\"},\"spec\":{\"cidrs\":[\"10.97.0.0/24\"]}}");
    start();
    ck_assert_str_eq(cidr_ready("more"), "True");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24 10.97.0.0/24");
}
END_TEST

#define MARKED                                                                             \
    CIDR_START "\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"deletionTimestamp\":"     \
               "\"2026-01-01T00:00:00Z\",\"finalizers\":"                                  \
               "[\"networking.k8s.io/service-cidr-finalizer\"],\"name\":\"more\",\"uid\":" \
               "\"1-2-3\"},\"spec\":{\"cidrs\":[\"10.97.0.0/24\"]}}"

START_TEST(a_marked_object_that_nothing_holds_goes_at_the_start) {
    cidr_make("more", "\"10.97.0.0/24\"");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    put_record("servicecidrs/more", MARKED);
    start();
    expect_code(cidr_get("more"), 404);
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24");
}
END_TEST

START_TEST(a_marked_object_that_is_held_goes_on_draining_after_the_start) {
    cidr_make("more", "\"10.97.0.0/24\"");
    service_make("a", "\"clusterIP\":\"10.97.0.5\",");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    put_record("servicecidrs/more", MARKED);
    start();
    ck_assert_ptr_nonnull(strstr(cidr_ready("more"), "1 address: 10.97.0.5 (Service default/a)"));
    ck_assert_int_eq(service_try("b", "\"clusterIP\":\"10.97.0.6\","), 422);
    service_remove("a");
    cidr_expect_gone("more");
    pool_expect("services-v4", "10.96.0.0/24");
}
END_TEST

/* Kubernetes' way to replace the default range: add the new one, delete ServiceCIDR kubernetes,
 * start with the new flag, and let the Services of the old one go. */
START_TEST(the_default_range_is_replaced_once_its_object_is_deleted) {
    const char *others[] = {"--service-cluster-ip-range=10.97.0.0/24", store_flag, NULL};
    char address[64];
    cidr_make("new", "\"10.97.0.0/24\"");
    service_make("old", "\"clusterIP\":\"10.96.0.9\",");
    expect_code(cidr_delete("kubernetes"), 200);
    service_make("a", "");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    cidr_server = server_start(others);
    ck_assert_ptr_nonnull(strstr(cidr_ready("kubernetes"), "2 addresses: 10.96.0.1 "));
    service_remove("old");
    service_remove("kubernetes");
    pool_expect("services-v4", "10.97.0.0/24");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    cidr_server = server_start(others);
    ck_assert_str_eq(cidr_ready("kubernetes"), "True");
    service_address("kubernetes", 0, address);
    ck_assert_str_eq(address, "10.97.0.1");
    expect_code(cidr_delete("new"), 200); /* the default one is the same */
    cidr_expect_gone("new");
    pool_expect("services-v4", "10.97.0.0/24");
}
END_TEST

START_TEST(a_range_that_no_object_asks_for_goes_when_nothing_is_held) {
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    add_range("10.97.0.0/24", NULL, NULL);
    start();
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    add_range("10.97.0.0/24", "Somebody", "10.97.0.5");
    start();
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24 10.97.0.0/24!");
    cidr_make("rescue", "\"10.97.0.0/16\"");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24 10.97.0.0/16");
    ck_assert_int_eq(service_try("a", "\"clusterIP\":\"10.97.0.5\","), 422); /* still held */
}
END_TEST

START_TEST(a_store_from_before_there_were_objects_opens_with_its_own_flags_only) {
    const char *others[] = {"--service-cluster-ip-range=10.96.0.0/16", store_flag,
                            "--listen=127.0.0.1:0", NULL};
    char errors[4096];
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    put_record("servicecidrs/kubernetes", NULL);
    ck_assert_int_eq(server_run(others, errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "10.96.0.0/16") != NULL, "%s", errors);
    ck_assert_msg(strstr(errors, "10.96.0.0/24") != NULL, "%s", errors);
    start();
    ck_assert_str_eq(cidr_ready("kubernetes"), "True");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24");
}
END_TEST

START_TEST(a_damaged_object_is_named_and_nothing_is_drained_for_it) {
    char errors[4096];
    const char *arguments[] = {CLUSTER, store_flag, "--listen=127.0.0.1:0", NULL};
    cidr_make("more", "\"10.97.0.0/24\"");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    put_record("servicecidrs/more", "{\"apiVersion\":");
    ck_assert_int_eq(server_run(arguments, errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "servicecidrs/more is damaged") != NULL, "%s", errors);
    put_record("servicecidrs/more", CIDR_START
               "\"name\":\"more\",\"uid\":\"1\"},\"spec\":{\"cidrs\":[\"10.97.0.0/24\"]}}");
    start();
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24 10.97.0.0/24");
}
END_TEST

START_TEST(a_store_that_was_extended_opens_with_its_first_flags) {
    const char *dual[] = {CLUSTER ",fd02::/64", store_flag, NULL};
    cidr_make("more", "\"10.97.0.0/24\"");
    cidr_make("wider", "\"10.96.0.0/16\"");
    cidr_make("six", "\"fd01::/48\"");
    service_make("both", "\"ipFamilyPolicy\":\"RequireDualStack\",");
    server_kill(&cidr_server);
    start();
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/16 10.97.0.0/24");
    ck_assert_str_eq(pool_ranges("services-v6"), "fd01::/48");
    service_make("again", "\"ipFamilyPolicy\":\"RequireDualStack\",");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    cidr_server = server_start(dual); /* a second family may be added to the flag */
    ck_assert_str_eq(pool_ranges("services-v6"), "fd01::/48 fd02::/64");
    struct answer answer = cidr_get("kubernetes");
    ck_assert_str_eq(answer_text(&answer, "spec.cidrs.1"), "fd02::/64");
    answer_free(&answer);
}
END_TEST

START_TEST(a_range_too_many_says_so_and_the_others_go_on) {
    cidr_make("six", "\"fd01:1::/64\"");
    ck_assert_int_eq(server_stop(&cidr_server), 0);
    put_many(IPALLOC_POOL_RANGES_MAX + 1);
    start();
    ck_assert_str_eq(cidr_ready("six"), "True"); /* its range was there before */
    ck_assert_str_eq(cidr_ready("kubernetes"), "True");
    ck_assert_str_eq(cidr_ready("m100"), "False NotUsable: an address pool has at most 256 ranges, "
                                         "not 257");
    service_make("a", "\"ipFamilies\":[\"IPv6\"],");
    expect_code(cidr_delete("m200"), 200);
    ck_assert_str_eq(cidr_ready("m100"), "True");
}
END_TEST

/* --- kill -9 at any moment ---------------------------------------------------------------------
 */

#define CLIENTS 3
#define ROUNDS  4

/* Append a line; it is there before the next request. */
static void note(int file, const char *name, const char *address) {
    char line[128];
    int size = snprintf(line, sizeof line, "%s %s\n", name, address);
    ck_assert_int_eq(write(file, line, (size_t)size), size);
}

/* Make and delete CIDRs and Services until this process is killed. */
static void run_client(unsigned round, unsigned number, int file) {
    uint64_t state = test_seed() + round * CLIENTS + number;
    char name[64];
    char spec[64];
    char cidrs[64];
    for (unsigned i = 0;; i++) {
        uint64_t random = test_random(&state);
        unsigned block = (unsigned)(random >> 8 & 3);
        snprintf(name, sizeof name, "c%u-%u", number, block);
        snprintf(cidrs, sizeof cidrs, "\"10.97.%u.0/%u\"", block, random & 0x1000 ? 24u : 28u);
        if (random % 8 < 2) {
            struct answer answer = cidr_post(name, cidrs);
            answer_free(&answer);
        } else if (random % 8 == 2) {
            struct answer answer = cidr_delete(name);
            answer_free(&answer);
        } else {
            snprintf(name, sizeof name, "k%u-%u-%u", round, number, i);
            snprintf(spec, sizeof spec, "\"clusterIP\":\"10.97.%u.%u\",", block,
                     (unsigned)(random >> 16 & 255));
            if (service_try(name, spec) == 201) {
                char address[64];
                service_address(name, 0, address);
                note(file, name, address);
            }
        }
    }
}

static void run_round(unsigned round, int file) {
    pid_t clients[CLIENTS];
    uint64_t state = test_seed() * 31 + round;
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = fork();
        if (clients[i] == 0) {
            freopen("/dev/null", "w", stdout);
            run_client(round, i, file);
            _exit(0);
        }
    }
    struct timespec pause = {.tv_nsec = (long)(60000000 + test_random(&state) % 200000000)};
    nanosleep(&pause, NULL);
    for (unsigned i = 0; i < CLIENTS; i++) { /* what they have asked for is still being done */
        kill(clients[i], SIGSTOP);
        ck_assert_int_eq(waitpid(clients[i], NULL, WUNTRACED), clients[i]);
    }
    server_kill(&cidr_server);
    for (unsigned i = 0; i < CLIENTS; i++) {
        kill(clients[i], SIGKILL);
        waitpid(clients[i], NULL, 0);
    }
}

/* Everything noted is there, with its address and no other's. */
static void check_noted(const char *path) {
    FILE *file = fopen(path, "r");
    char name[64];
    char address[64];
    ck_assert_ptr_nonnull(file);
    while (fscanf(file, "%63s %63s", name, address) == 2) {
        char now[64];
        char object[128];
        service_address(name, 0, now);
        ck_assert_msg(strcmp(now, address) == 0, "%s had %s, has %s", name, address, now);
        snprintf(object, sizeof object, "/apis/networking.k8s.io/v1/ipaddresses/%s", address);
        struct answer answer = server_get(&cidr_server, object);
        ck_assert_msg(answer.code == 200, "%s: %s", address, answer.text);
        ck_assert_str_eq(answer_text(&answer, "spec.parentRef.name"), name);
        answer_free(&answer);
    }
    fclose(file);
}

/* Each object is Ready, or being deleted and held by somebody. */
static void check_objects(void) {
    struct answer list = server_get(&cidr_server, CIDRS);
    ck_assert_int_eq(list.code, 200);
    for (unsigned i = 0;; i++) {
        char path[64];
        snprintf(path, sizeof path, "items.%u.metadata.name", i);
        const char *name = answer_text(&list, path);
        if (name[0] == '\0') {
            break;
        }
        snprintf(path, sizeof path, "items.%u.metadata.deletionTimestamp", i);
        bool deleting = answer_text(&list, path)[0] != '\0';
        const char *ready = cidr_ready(name);
        ck_assert_msg(deleting ? strstr(ready, "(Service default/") != NULL
                               : strcmp(ready, "True") == 0,
                      "%s (deleting: %d): %s", name, deleting, ready);
    }
    answer_free(&list);
}

START_TEST(kill_9_at_any_moment_loses_nothing_and_leaves_nothing_half_done) {
    char path[512];
    snprintf(path, sizeof path, "%s/noted", directory);
    int file = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    for (unsigned round = 0; round < test_scaled(ROUNDS); round++) {
        run_round(round, file);
        struct opened opened = open_store();
        close_store(&opened); /* validates */
        start();
        check_noted(path);
        check_objects();
    }
    close(file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("service cidrs and restarts");
    TCase *cases = tcase_create("service cidrs and restarts");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, an_object_whose_range_was_not_added_yet_gets_it);
    tcase_add_test(cases, a_marked_object_that_nothing_holds_goes_at_the_start);
    tcase_add_test(cases, the_default_range_is_replaced_once_its_object_is_deleted);
    tcase_add_test(cases, a_marked_object_that_is_held_goes_on_draining_after_the_start);
    tcase_add_test(cases, a_range_that_no_object_asks_for_goes_when_nothing_is_held);
    tcase_add_test(cases, a_store_from_before_there_were_objects_opens_with_its_own_flags_only);
    tcase_add_test(cases, a_damaged_object_is_named_and_nothing_is_drained_for_it);
    tcase_add_test(cases, a_store_that_was_extended_opens_with_its_first_flags);
    tcase_add_test(cases, a_range_too_many_says_so_and_the_others_go_on);
    tcase_add_test(cases, kill_9_at_any_moment_loses_nothing_and_leaves_nothing_half_done);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
