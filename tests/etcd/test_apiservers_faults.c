/* Several API servers on one etcd, while servers die and etcd stops or starts again: what was
 * acknowledged stays, nothing is given twice or lost, errors come in time and say why, and all is
 * well again by itself. */
#include "apiservers.h"
#include "cidr_client.h"
#include "watch_stream.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ALL_SERVICES "/api/v1/services"
#define PORT         "'ports':[{'port':80}]"
#define IMPATIENT    "--etcd-timeout=1s"
#define SOON_S       8 /* the store's timeout of a second, and whatever a busy machine adds */

/* --- asking what may fail --------------------------------------------------------------------- */

/* As server_ask, but a server may be dead: code 0 then. */
struct asked {
    long code;
    double seconds;
    char text[1024];
};

static struct asked ask(int index, const char *method, const char *path, const char *body) {
    struct asked asked = {0};
    char request[2048];
    double begun = seconds_now();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)servers[index].port)};
    struct timeval patience = {.tv_sec = 60};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int size = snprintf(request, sizeof request,
                        "%s %s HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        method, path, strlen(body), body);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
        socket_write(descriptor, request, (size_t)size)) {
        socket_read_until(descriptor, asked.text, sizeof asked.text, NULL);
        sscanf(asked.text, "HTTP/1.%*c %ld", &asked.code);
    }
    close(descriptor);
    asked.seconds = seconds_now() - begun;
    return asked;
}

static struct asked ask_to_make(int index, const char *name) {
    char body[256];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"ports\":[{\"port\":80}]}}", name);
    return ask(index, "POST", SERVICES, body);
}

static bool is_ready(void *context) {
    return ask(*(int *)context, "GET", "/readyz", "").code == 200;
}

static void wait_until_ready(int index) {
    wait_until(is_ready, &index, 30, "the server is ready");
}

/* --- a server dies ---------------------------------------------------------------------------- */

enum { MAKERS = 6, NAMES_MAX = 4000 };

static atomic_bool stop_making;

struct maker {
    int index, number;
    int count;             /* names tried */
    char codes[NAMES_MAX]; /* 1: acknowledged, 2: gone again, 0: not known */
};

static void name_of(const struct maker *maker, int i, char out[32]) {
    snprintf(out, 32, "web-%d-%d", maker->number, i);
}

/* Makes names, and deletes each third again, until it is told to stop or its server is dead. */
static void *make(void *context) {
    struct maker *maker = context;
    char path[128];
    char name[32];
    while (!stop_making && maker->count < NAMES_MAX) {
        int i = maker->count++;
        name_of(maker, i, name);
        struct asked asked = ask_to_make(maker->index, name);
        if (asked.code == 0) {
            break;
        }
        maker->codes[i] = asked.code == 201;
        if (asked.code == 201 && i % 3 == 2) {
            snprintf(path, sizeof path, SERVICES "/%s", name);
            maker->codes[i] = 0;
            asked = ask(maker->index, "DELETE", path, "");
            maker->codes[i] = asked.code == 200 ? 2 : 0;
        }
    }
    return NULL;
}

static void *wait_and_kill(void *context) {
    const struct timespec while_they_make = {.tv_nsec = 700 * 1000000};
    (void)context;
    nanosleep(&while_they_make, NULL);
    server_kill(&servers[0]);
    nanosleep(&while_they_make, NULL);
    stop_making = true;
    return NULL;
}

struct task {
    void *(*body)(void *context);
    void *context;
};

static void *run_task(void *context) {
    const struct task *task = context;
    return task->body(task->context);
}

static void expect_as_told(const struct maker *maker, int index, struct json_object *there) {
    char name[32];
    for (int i = 0; i < maker->count; i++) {
        name_of(maker, i, name);
        bool is = json_object_object_get_ex(there, name, NULL);
        ck_assert_msg(maker->codes[i] != 1 || is, "%s was acknowledged and is not on %d", name,
                      index);
        ck_assert_msg(maker->codes[i] != 2 || !is, "%s was deleted and is on %d", name, index);
    }
}

/* The names of all Services, as members. */
static struct json_object *names_on(int index) {
    struct json_object *names = json_object_new_object();
    struct json_object *items = NULL;
    struct answer answer = server_get(&servers[index], ALL_SERVICES);
    ck_assert_msg(json_object_object_get_ex(answer.json, "items", &items), "%s", answer.text);
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        json_object_object_add(
            names, json_text_at(json_object_array_get_idx(items, i), "metadata.name"), NULL);
    }
    answer_free(&answer);
    return names;
}

START_TEST(a_server_that_is_killed_among_creates_leaves_nothing_behind) {
    static struct maker makers[MAKERS];
    struct task tasks[MAKERS + 1];
    apiservers_begin(1);
    apiservers_launch(3, NULL);
    stop_making = false;
    memset(makers, 0, sizeof makers);
    for (int i = 0; i < MAKERS; i++) {
        makers[i].index = i % 3;
        makers[i].number = i;
        tasks[i] = (struct task){make, &makers[i]};
    }
    tasks[MAKERS] = (struct task){wait_and_kill, NULL};
    run_together(run_task, tasks, sizeof tasks[0], MAKERS + 1);
    for (int index = 1; index < 3; index++) {
        struct json_object *there = names_on(index);
        for (int i = 0; i < MAKERS; i++) {
            ck_assert_int_gt(makers[i].count, 5);
            expect_as_told(&makers[i], index, there);
        }
        json_object_put(there);
        expect_sound(index);
    }
    ck_assert_int_gt(makers[1].count + makers[2].count, makers[0].count);
    apiserver_add(0, NULL, NULL); /* and another one in its place finds all as it is */
    ck_assert_uint_eq(count_services(0), count_services(1));
    expect_sound(0);
    apiservers_end();
}
END_TEST

/* What a server leaves that stores a ServiceCIDR and dies before its pass: the object alone. */
static void leave_object(const char *name, const char *range) {
    char key[64];
    char value[512];
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_txn *txn;
    ipalloc_error error = {0};
    ipalloc_txn_options options = {.size = sizeof options};
    ck_assert_status_error(
        ipalloc_store_open(apiservers_store() + strlen("--store="), NULL, &store, &error),
        IPALLOC_OK, &error);
    ck_assert_status_error(ipalloc_registry_open(store, NULL, &registry, &error), IPALLOC_OK,
                           &error);
    ck_assert_status(ipalloc_begin(registry, &options, &txn, &error), IPALLOC_OK);
    snprintf(key, sizeof key, "servicecidrs/%s", name);
    snprintf(value, sizeof value,
             "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\",\"metadata\":{"
             "\"finalizers\":[\"networking.k8s.io/service-cidr-finalizer\"],\"name\":\"%s\","
             "\"uid\":\"1\"},\"spec\":{\"cidrs\":[\"%s\"]}}",
             name, range);
    ck_assert_status(
        ipalloc_txn_put(txn, key, value, strlen(value), IPALLOC_REVISION_ABSENT, &error),
        IPALLOC_OK);
    ck_assert_status_error(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK, &error);
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
}

static bool is_given_from(void *context) {
    (void)context;
    return strcmp(pool_ranges("services-v4"), "10.96.0.0/28 10.97.0.0/24") == 0 &&
           strcmp(cidr_ready("more"), "True") == 0;
}

START_TEST(what_a_dead_server_has_left_undone_another_one_does) {
    apiservers_begin(1);
    apiservers_launch(2, "--service-cluster-ip-range=10.96.0.0/28");
    leave_object("more", "10.97.0.0/24");
    cidr_server = servers[1];
    wait_until(is_given_from, NULL, 40, "the range is given from");
    must_create(&servers[0], "web", "'clusterIP':'10.97.0.7'," PORT);
    expect_sound(0);
    apiservers_end();
}
END_TEST

/* --- etcd is started again -------------------------------------------------------------------- */

START_TEST(servers_go_on_when_etcd_is_started_again) {
    apiservers_begin(1);
    apiserver_add(0, IMPATIENT, NULL);
    apiserver_add(1, IMPATIENT, NULL);
    struct stream watch = stream_open(&servers[1], ALL_SERVICES, "", "application/json");
    stream_expect(&watch, "ADDED", "kubernetes");
    must_create(&servers[0], "before", PORT);
    stream_expect(&watch, "ADDED", "before");
    for (int i = 0; i < 3; i++) {
        char name[16];
        etcd_restart(members, 0);
        etcd_wait_healthy(members, 30);
        wait_until_ready(0);
        wait_until_ready(1);
        snprintf(name, sizeof name, "after-%d", i);
        must_create(&servers[0], name, PORT);
        stream_expect(&watch, "ADDED", name); /* the same watch goes on, and misses nothing */
        ck_assert(lists_service(1, name, ""));
    }
    stream_close(&watch);
    expect_sound(1);
    apiservers_end();
}
END_TEST

/* With three members one may be gone. */
START_TEST(one_of_three_members_may_be_gone) {
    char name[16];
    apiservers_begin(3);
    apiservers_launch(2, NULL);
    for (int i = 0; i < 3; i++) {
        int gone = etcd_leader(members);
        etcd_kill(members, gone);
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[i % 2], name, PORT);
        ck_assert(lists_service(1 - i % 2, name, ""));
        etcd_restart(members, gone);
        etcd_wait_healthy(members, 30);
    }
    expect_sound(0);
    apiservers_end();
}
END_TEST

/* What happened while a server could not hear it and etcd has forgotten: a running watch is told
 * 410, lists are right. */
START_TEST(a_server_that_has_missed_what_etcd_forgot_reads_all_anew) {
    char name[16];
    apiservers_begin(1);
    apiservers_launch(2, NULL);
    struct stream watch = stream_open(&servers[1], ALL_SERVICES, "", "application/json");
    stream_expect(&watch, "ADDED", "kubernetes");
    must_create(&servers[1], "gone", PORT);
    stream_expect(&watch, "ADDED", "gone");
    kill(servers[1].pid, SIGSTOP);
    etcd_restart(members, 0); /* its connection is gone */
    etcd_wait_healthy(members, 30);
    wait_until_ready(0);
    must_delete(&servers[0], "gone");
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[0], name, PORT);
    }
    etcd_compact(members);
    kill(servers[1].pid, SIGCONT);
    wait_until_ready(1);
    ck_assert(lists_service(1, "web-9", ""));
    ck_assert(!lists_service(1, "gone", ""));
    ck_assert_uint_eq(count_services(1), 11);
    struct json_object *event = stream_next(&watch);
    ck_assert_str_eq(json_text_at(event, "type"), "ERROR");
    ck_assert_str_eq(json_text_at(event, "object.code"), "410");
    json_object_put(event);
    stream_close(&watch);
    must_create(&servers[1], "after", PORT);
    expect_sound(1);
    apiservers_end();
}
END_TEST

/* --- a foreign hand --------------------------------------------------------------------------- */

static bool lists_again(void *context) {
    return ask(*(int *)context, "GET", ALL_SERVICES, "").code == 200;
}

/* Each server says what is damaged, in each answer that would need it, and goes on by itself when
 * it is mended; a watch is told that it may have missed something. */
START_TEST(damage_is_said_by_name_and_forgotten_when_it_is_mended) {
    const char *key = "/clusters/one/data/lease/services-v4/010.096.000.077/";
    apiservers_begin(1);
    apiservers_launch(2, NULL);
    struct stream watch = stream_open(&servers[1], ALL_SERVICES, "", "application/json");
    stream_expect(&watch, "ADDED", "kubernetes");
    etcd_ctl_ok(members, "put", key, "junk");
    must_create(&servers[0], "behind", PORT);
    for (int i = 0; i < 2; i++) {
        struct asked asked = ask(i, "GET", ALL_SERVICES, "");
        ck_assert_msg(asked.code == 500, "%s", asked.text);
        ck_assert_msg(strstr(asked.text, "010.096.000.077") != NULL, "%s", asked.text);
    }
    etcd_ctl_ok(members, "del", key);
    for (int i = 0; i < 2; i++) {
        wait_until(lists_again, &i, 30, "what is mended is read anew");
        ck_assert(lists_service(i, "behind", ""));
    }
    struct json_object *event = stream_next(&watch);
    ck_assert_str_eq(json_text_at(event, "object.code"), "410");
    json_object_put(event);
    stream_close(&watch);
    must_create(&servers[0], "after", PORT);
    ck_assert(lists_service(1, "after", ""));
    expect_sound(1);
    apiservers_end();
}
END_TEST

/* --- etcd does not answer --------------------------------------------------------------------- */

static void expect_unavailable(int index, const char *method, const char *path, const char *body) {
    struct asked asked = ask(index, method, path, body);
    ck_assert_msg(asked.code == 503 || asked.code == 504, "%s %s: %s", method, path, asked.text);
    ck_assert_msg(strstr(asked.text, "\"kind\":\"Status\"") != NULL, "%s", asked.text);
    ck_assert_msg(asked.code == 504 || strstr(asked.text, "127.0.0.1:") != NULL,
                  "who did not answer? %s", asked.text);
    ck_assert_msg(asked.seconds < SOON_S, "%s %s took %.1f s", method, path, asked.seconds);
}

struct crowd {
    int number;
    struct asked asked;
};

static void *ask_in_a_crowd(void *context) {
    struct crowd *crowd = context;
    char name[32];
    snprintf(name, sizeof name, "crowd-%d", crowd->number);
    crowd->asked =
        crowd->number % 2 != 0 ? ask_to_make(0, name) : ask(0, "GET", SERVICES "/kubernetes", "");
    return NULL;
}

/* Six times as many as there are workers: nobody waits for those in front. */
static void expect_in_time_in_a_crowd(void) {
    enum { MANY = 96 };
    static struct crowd crowd[MANY];
    for (int i = 0; i < MANY; i++) {
        crowd[i].number = i;
    }
    run_together(ask_in_a_crowd, crowd, sizeof crowd[0], MANY);
    for (int i = 0; i < MANY; i++) {
        const char *text = crowd[i].asked.text;
        ck_assert_msg(crowd[i].asked.code == 503 || crowd[i].asked.code == 504, "%s", text);
        ck_assert_msg(crowd[i].asked.code == 504 || strstr(text, "the store was not asked") ||
                          strstr(text, "is not known") == NULL,
                      "in doubt about what stored nothing: %s", text);
        ck_assert_msg(crowd[i].asked.seconds < SOON_S, "it took %.1f s", crowd[i].asked.seconds);
    }
}

static void expect_alive_and_not_ready(int index) {
    struct asked asked = ask(index, "GET", "/readyz", "");
    ck_assert_int_eq(asked.code, 503);
    ck_assert_msg(strstr(asked.text, "127.0.0.1:") != NULL, "%s", asked.text);
    ck_assert_msg(asked.seconds < SOON_S, "it took %.1f s", asked.seconds);
    ck_assert_int_eq(ask(index, "GET", "/healthz", "").code, 200);
    ck_assert_int_eq(ask(index, "GET", "/livez", "").code, 200);
    ck_assert_int_eq(ask(index, "GET", "/metrics", "").code, 200);
}

static void expect_ends_soon(int index) {
    double begun = seconds_now();
    ck_assert_int_eq(server_stop(&servers[index]), 0);
    ck_assert_msg(seconds_now() - begun < 2 * SOON_S, "%.1f s", seconds_now() - begun);
}

/* Where the outcome was not known, the claims stay until it is settled, some at a time. */
static bool is_checked(void *context) {
    (void)context;
    return ask(0, "POST", "/ipalloc/v1/check", "{}").code == 200;
}

START_TEST(an_etcd_that_has_stopped_is_said_in_time_and_forgotten_when_it_goes_on) {
    apiservers_begin(1);
    apiserver_add(0, IMPATIENT, NULL);
    apiserver_add(1, IMPATIENT, NULL);
    must_create(&servers[0], "before", PORT);
    etcd_pause(members, 0);
    expect_in_time_in_a_crowd();
    expect_unavailable(0, "GET", SERVICES "/before", "");
    expect_unavailable(0, "GET", ALL_SERVICES, "");
    expect_unavailable(0, "GET", ALL_SERVICES "?limit=2", "");
    expect_unavailable(0, "GET", ALL_SERVICES "?watch=1", "");
    expect_unavailable(0, "DELETE", SERVICES "/before", "");
    expect_unavailable(0, "POST", SERVICES,
                       "{\"metadata\":{\"name\":\"during\"},\"spec\":{\"ports\":[{\"port\":80}]}}");
    expect_alive_and_not_ready(0);
    expect_ends_soon(1);
    etcd_resume(members, 0);
    wait_until_ready(0);
    must_create(&servers[0], "after", PORT);

    /* Each of the crowd may have been stored or not; asked for again it is there or made, once. */
    for (int i = 1; i < 96; i += 2) {
        char name[32];
        snprintf(name, sizeof name, "crowd-%d", i);
        struct asked asked = ask_to_make(0, name);
        ck_assert_msg(asked.code == 201 || asked.code == 409, "%s", asked.text);
        ck_assert_int_eq(ask_to_make(0, name).code, 409);
    }
    wait_until(is_checked, NULL, 60, "what was not known has been settled");
    ck_assert_uint_eq(count_services(0), 48 + 3 + (size_t)lists_service(0, "during", ""));
    expect_sound(0);
    apiserver_add(1, NULL, NULL);
    expect_sound(1);
    apiservers_end();
}
END_TEST

/* --- starting where something is wrong -------------------------------------------------------- */

static void expect_no_start(const char *const *flags, const char *says) {
    char errors[4096];
    const char *arguments[8] = {"--listen=127.0.0.1:0", "--etcd-timeout=2s"};
    for (size_t i = 0; flags[i] != NULL; i++) {
        arguments[i + 2] = flags[i];
    }
    double begun = seconds_now();
    int code = server_run(arguments, errors, sizeof errors);
    ck_assert_msg(code == 1, "exit %d: %s", code, errors);
    ck_assert_msg(strstr(errors, says) != NULL, "no \"%s\" in: %s", says, errors);
    ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1, "not one line: %s", errors);
    ck_assert_msg(seconds_now() - begun < 10, "it took %.1f s", seconds_now() - begun);
}

START_TEST(what_is_wrong_with_the_store_is_said_at_the_start) {
    char file[512];
    char password[600];
    apiservers_begin(1);
    const char *nobody[] = {"--store=etcd:http://127.0.0.1:1/a", NULL};
    expect_no_start(nobody, "127.0.0.1:1");
    char url[256];
    snprintf(url, sizeof url, "--store=etcd:https://%s/a", etcd_host(members, 0));
    const char *plain[] = {url, NULL};
    expect_no_start(plain, etcd_host(members, 0));
    snprintf(url, sizeof url, "--store=etcd:http://%s/a//b", etcd_host(members, 0));
    const char *prefix[] = {url, NULL};
    expect_no_start(prefix, "prefix");

    etcd_ctl_ok(members, "user", "add", "root:right");
    etcd_ctl_ok(members, "user", "grant-role", "root", "root");
    etcd_ctl_ok(members, "auth", "enable");
    etcd_ctl_user(members, "root:right");
    snprintf(file, sizeof file, "%s/password", etcd_directory(members));
    FILE *out = fopen(file, "w");
    fputs("wrong\n", out);
    fclose(out);
    snprintf(password, sizeof password, "--etcd-password-file=%s", file);
    const char *wrong[] = {apiservers_store(), "--etcd-user=root", password, NULL};
    expect_no_start(wrong, "password");
    const char *nameless[] = {apiservers_store(), NULL};
    expect_no_start(nameless, "user");
    out = fopen(file, "w");
    fputs("right\n", out);
    fclose(out);
    apiserver_add(0, "--etcd-user=root", password);
    must_create(&servers[0], "web", PORT);
    apiservers_end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiservers and faults");
    TCase *cases = tcase_create("faults");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, a_server_that_is_killed_among_creates_leaves_nothing_behind);
    tcase_add_test(cases, what_a_dead_server_has_left_undone_another_one_does);
    tcase_add_test(cases, servers_go_on_when_etcd_is_started_again);
    tcase_add_test(cases, one_of_three_members_may_be_gone);
    tcase_add_test(cases, a_server_that_has_missed_what_etcd_forgot_reads_all_anew);
    tcase_add_test(cases, damage_is_said_by_name_and_forgotten_when_it_is_mended);
    tcase_add_test(cases, an_etcd_that_has_stopped_is_said_in_time_and_forgotten_when_it_goes_on);
    tcase_add_test(cases, what_is_wrong_with_the_store_is_said_at_the_start);
    suite_add_tcase(suite, cases);
    return apiservers_main(suite);
}
