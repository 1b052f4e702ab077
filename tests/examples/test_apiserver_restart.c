/* What the server acknowledged is there after kill -9, at the same addresses; other ranges on the
 * same store are refused. */
#include "server_process.h"
#include "support.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVICES     "/api/v1/namespaces/default/services"
#define CLUSTER      "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/108"
#define NODE_PORTS   "--service-node-port-range=20000-60000"
#define BALANCERS    "--load-balancer-ip-range=192.0.2.0/24,198.18.0.0/16"
#define CLIENTS      4
#define KEPT_MAX     4096
#define CREATE_FOR_S 0.15 /* how long clients create before the server is killed */

/* What one client was told: a Service as the 201 had it. */
struct kept {
    char name[64];
    struct json_object *spec;
    struct json_object *status;
};

struct client {
    pthread_t thread;
    unsigned number, round;
    const struct server_process *server;
    struct kept *kept;
    unsigned count;
    char refusal[1024]; /* an answer other than 201; there must be none */
};

/* Each client goes round these; %s is the name. */
static const char *const kinds[] = {
    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"ports\":[{\"port\":80}]}}",
    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"name\":\"a\","
    "\"port\":80},{\"name\":\"b\",\"port\":81}]}}",
    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"ipFamilyPolicy\":\"RequireDualStack\","
    "\"ports\":[{\"port\":80}]}}",
    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":80}]"
    "}}",
    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":80}]}}",
    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"ipFamilies\":[\"IPv6\"],\"ports\":[{\"port\":80}]"
    "}}",
};

#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static char store_flag[512];

static struct server_process start(void) {
    const char *arguments[] = {CLUSTER, NODE_PORTS, BALANCERS, store_flag, NULL};
    return server_start(arguments);
}

static const char *directory_begin(void) {
    const char *directory = test_directory_make();
    snprintf(store_flag, sizeof store_flag, "--store=sqlite:%s/store.db", directory);
    return directory;
}

static struct json_object *part_of(struct json_object *object, const char *name) {
    struct json_object *part = NULL;
    json_object_object_get_ex(object, name, &part);
    return part;
}

static void keep(struct kept *kept, const char *name, struct json_object *object) {
    snprintf(kept->name, sizeof kept->name, "%s", name);
    kept->spec = json_object_get(part_of(object, "spec"));
    kept->status = json_object_get(part_of(object, "status"));
}

/* --- clients over raw sockets, which may be cut off at any moment ------------------------------
 */

/* One POST on a connection of its own: the code of a complete answer, 0 if there came none. */
static long post_until_killed(const struct server_process *server, const char *body,
                              struct json_object **object) {
    char request[2048];
    char reply[16384];
    int size = snprintf(request, sizeof request,
                        "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        strlen(body), body);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    *object = NULL;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
        socket_write(descriptor, request, (size_t)size)) {
        socket_read_until(descriptor, reply, sizeof reply, NULL);
        const char *text = strstr(reply, "\r\n\r\n");
        *object = text != NULL ? json_tokener_parse(text + 4) : NULL;
    }
    close(descriptor);
    return *object != NULL ? strtol(reply + strlen("HTTP/1.1 "), NULL, 10) : 0;
}

static void *create_until_killed(void *context) {
    struct client *client = context;
    long code = 201;
    for (unsigned i = 0; code == 201 && client->count < KEPT_MAX; i++) {
        char name[64];
        char body[512];
        struct json_object *object;
        snprintf(name, sizeof name, "s-%u-%u-%u", client->round, client->number, i);
        /* the kinds are format strings of this file */
        const char *kind = kinds[i % KIND_COUNT];
        const char *hole = strstr(kind, "%s");
        snprintf(body, sizeof body, "%.*s%s%s", (int)(hole - kind), kind, name, hole + 2);
        code = post_until_killed(client->server, body, &object);
        if (code == 201) {
            keep(&client->kept[client->count++], name, object);
        } else if (code != 0) {
            snprintf(client->refusal, sizeof client->refusal, "%s: %ld %s", name, code,
                     json_object_to_json_string(object));
        }
        json_object_put(object);
    }
    return NULL;
}

static void expect_same(const struct server_process *server, const struct kept *kept) {
    char path[256];
    snprintf(path, sizeof path, SERVICES "/%s", kept->name);
    struct answer answer = server_get(server, path);
    ck_assert_msg(answer.code == 200, "%s was acknowledged and is lost: %s", kept->name,
                  answer.text);
    ck_assert_msg(json_object_equal(part_of(answer.json, "spec"), kept->spec) &&
                      json_object_equal(part_of(answer.json, "status"), kept->status),
                  "%s came back as %s, it was %s", kept->name, answer.text,
                  json_object_to_json_string(kept->spec));
    answer_free(&answer);
}

/* --- a list agrees with the leases -------------------------------------------------------------
 */

struct tally {
    const char **addresses;
    size_t count, capacity;
    unsigned node_ports;
};

static int by_text(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void tally_add(struct tally *tally, const char *address) {
    if (address[0] != '\0' && strcmp(address, "None") != 0) {
        if (tally->count == tally->capacity) {
            tally->capacity = tally->capacity == 0 ? 256 : tally->capacity * 2;
            tally->addresses = realloc((void *)(uintptr_t)tally->addresses,
                                       tally->capacity * sizeof *tally->addresses);
        }
        tally->addresses[tally->count++] = address;
    }
}

static void tally_service(struct tally *tally, struct json_object *service) {
    static const char *const paths[] = {"spec.clusterIPs.0", "spec.clusterIPs.1",
                                        "status.loadBalancer.ingress.0.ip",
                                        "status.loadBalancer.ingress.1.ip"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        tally_add(tally, json_text_at(service, paths[i]));
    }
    struct json_object *ports = part_of(part_of(service, "spec"), "ports");
    for (size_t i = 0; i < json_object_array_length(ports); i++) {
        const char *port = json_text_at(json_object_array_get_idx(ports, i), "nodePort");
        tally_add(tally, port); /* no address looks like a port */
    }
}

/* What the pools hold, as the server says when it starts. */
static unsigned long leases_of(const struct server_process *server) {
    const char *at = strstr(server->start_line, "holding ");
    ck_assert_ptr_nonnull(at);
    return strtoul(at + strlen("holding "), NULL, 10);
}

/* Right after a start: every lease is shown by one Service, none by two. */
static void expect_list_agrees(const struct server_process *server) {
    struct tally tally = {0};
    struct answer answer = server_get(server, "/api/v1/services");
    struct json_object *items = part_of(answer.json, "items");
    ck_assert_int_eq(answer.code, 200);
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        tally_service(&tally, json_object_array_get_idx(items, i));
    }
    qsort((void *)(uintptr_t)tally.addresses, tally.count, sizeof *tally.addresses, by_text);
    for (size_t i = 1; i < tally.count; i++) {
        ck_assert_msg(strcmp(tally.addresses[i - 1], tally.addresses[i]) != 0,
                      "two Services have %s", tally.addresses[i]);
    }
    ck_assert_uint_eq(tally.count, leases_of(server));
    free((void *)(uintptr_t)tally.addresses);
    answer_free(&answer);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void pause_for(double seconds) {
    struct timespec pause = {.tv_nsec = (long)(seconds * 1e9)};
    nanosleep(&pause, NULL);
}

/* Four clients create until the server is killed under them. */
static void create_and_kill(struct server_process *server, struct client clients[CLIENTS],
                            unsigned round) {
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        clients[i].round = round;
        clients[i].server = server;
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, create_until_killed, &clients[i]),
                         0);
    }
    pause_for(CREATE_FOR_S);
    server_kill(server);
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        ck_assert_str_eq(clients[i].refusal, "");
    }
}

START_TEST(everything_acknowledged_survives_kill_9) {
    const char *directory = directory_begin();
    struct client clients[CLIENTS] = {0};
    unsigned acknowledged = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].kept = calloc(KEPT_MAX, sizeof *clients[i].kept);
    }
    struct server_process server = start();
    for (unsigned round = 0; round < 5; round++) {
        create_and_kill(&server, clients, round);
        server = start();
        expect_list_agrees(&server);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        ck_assert_uint_gt(clients[i].count, 0);
        acknowledged += clients[i].count;
        for (unsigned j = 0; j < clients[i].count; j++) {
            expect_same(&server, &clients[i].kept[j]);
            json_object_put(clients[i].kept[j].spec);
            json_object_put(clients[i].kept[j].status);
        }
        free(clients[i].kept);
    }
    printf("%u Services acknowledged, all there after 5 kills\n", acknowledged);
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}
END_TEST

static const struct {
    const char *name, *spec, *path, *expected;
} requested[] = {
    {"asked", "\"clusterIP\":\"10.96.200.7\",\"ports\":[{\"port\":80}]", "spec.clusterIP",
     "10.96.200.7"},
    {"port", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":31234}]",
     "spec.ports.0.nodePort", "31234"},
    {"dual",
     "\"ipFamilyPolicy\":\"RequireDualStack\",\"clusterIP\":\"10.96.200.8\",\"clusterIPs\":[\"10."
     "96.200.8\",\"fd00:10:96::77\"],"
     "\"ports\":[{\"port\":80}]",
     "spec.clusterIPs.1", "fd00:10:96::77"},
    {"balanced",
     "\"type\":\"LoadBalancer\",\"loadBalancerIP\":\"192.0.2.44\",\"ports\":[{"
     "\"port\":80}]",
     "status.loadBalancer.ingress.0.ip", "192.0.2.44"},
};

START_TEST(what_was_asked_for_is_kept_and_still_taken_after_a_restart) {
    const char *directory = directory_begin();
    char body[512];
    char path[128];
    for (unsigned stop_cleanly = 0; stop_cleanly < 2; stop_cleanly++) {
        struct server_process server = start();
        for (size_t i = 0; i < sizeof requested / sizeof requested[0]; i++) {
            snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s%s\"},\"spec\":{%s}}",
                     requested[i].name, stop_cleanly == 0 ? "" : "-again", requested[i].spec);
            struct answer answer = server_post(&server, SERVICES, body);
            ck_assert_msg(answer.code == (stop_cleanly == 0 ? 201 : 422), "%ld %s", answer.code,
                          answer.text);
            answer_free(&answer);
            snprintf(path, sizeof path, SERVICES "/%s", requested[i].name);
            answer = server_get(&server, path);
            ck_assert_str_eq(answer_text(&answer, requested[i].path), requested[i].expected);
            answer_free(&answer);
        }
        if (stop_cleanly == 0) {
            server_kill(&server);
        } else {
            ck_assert_int_eq(server_stop(&server), 0);
        }
    }
    struct server_process server = start();
    expect_list_agrees(&server);
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}
END_TEST

static const struct {
    const char *flag, *names;
} other_ranges[] = {
    {"--service-cluster-ip-range=10.97.0.0/16,fd00:10:96::/108", "10.97.0.0/16"},
    {"--service-cluster-ip-range=10.96.0.0/17,fd00:10:96::/108", "10.96.0.0/17"},
    {"--service-cluster-ip-range=10.96.0.0/16", "fd00:10:96::/108"},
    {"--service-node-port-range=30000-30100", "30000-30100"},
};

START_TEST(other_ranges_on_the_same_store_are_a_mismatch) {
    const char *directory = directory_begin();
    struct server_process server = start();
    ck_assert_int_eq(server_stop(&server), 0);
    static const char *const right[] = {CLUSTER, NODE_PORTS, BALANCERS};
    const char *arguments[SERVER_ARGUMENTS_MAX] = {"--listen=127.0.0.1:0", store_flag};
    char errors[2048];
    for (size_t i = 0; i < 3; i++) {
        const char *flag = other_ranges[_i].flag;
        size_t name = strcspn(flag, "=");
        arguments[2 + i] = strncmp(flag, right[i], name) == 0 ? flag : right[i];
    }
    ck_assert_int_eq(server_run(arguments, errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, ipalloc_strerror(IPALLOC_E_MISMATCH)) != NULL, "%s", errors);
    ck_assert_msg(strstr(errors, other_ranges[_i].names) != NULL, "%s", errors);
    server = start(); /* with the right ones it serves again */
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}
END_TEST

START_TEST(sigterm_and_sigint_stop_it_cleanly_also_while_watched) {
    const char *directory = directory_begin();
    char reply[4096];
    int status = -1;
    struct server_process server = start();
    int descriptor = server_connect(&server);
    static const char request[] = "GET " SERVICES "?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n";
    ck_assert(socket_write(descriptor, request, sizeof request - 1));
    socket_read_until(descriptor, reply, sizeof reply, "\"ADDED\"");
    double begin = seconds_now();
    kill(server.pid, _i == 0 ? SIGTERM : SIGINT);
    ck_assert_int_eq(waitpid(server.pid, &status, 0), server.pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    ck_assert_double_lt(seconds_now() - begin, 5);
    socket_read_until(descriptor, reply, sizeof reply, NULL);
    ck_assert_msg(strstr(reply, "0\r\n\r\n") != NULL, "the watch has no end: %s", reply);
    close(descriptor);
    test_directory_remove(directory);
}
END_TEST

START_TEST(a_store_in_use_is_refused) {
    const char *directory = directory_begin();
    char errors[2048];
    struct server_process server = start();
    const char *arguments[] = {
        "--listen=127.0.0.1:0", store_flag, CLUSTER, NODE_PORTS, BALANCERS, NULL};
    ck_assert_int_eq(server_run(arguments, errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, ipalloc_strerror(IPALLOC_E_BUSY)) != NULL, "%s", errors);
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver restart");
    TCase *cases = tcase_create("restart");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, everything_acknowledged_survives_kill_9);
    tcase_add_test(cases, what_was_asked_for_is_kept_and_still_taken_after_a_restart);
    tcase_add_loop_test(cases, other_ranges_on_the_same_store_are_a_mismatch, 0,
                        (int)(sizeof other_ranges / sizeof other_ranges[0]));
    tcase_add_loop_test(cases, sigterm_and_sigint_stop_it_cleanly_also_while_watched, 0, 2);
    tcase_add_test(cases, a_store_in_use_is_refused);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
