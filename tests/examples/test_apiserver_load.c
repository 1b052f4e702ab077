/* What idle and slow clients may cost the others: nothing that they notice. */
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SERVICES    "/api/v1/namespaces/default/services"
#define IDLE        1000
#define SLOW        50
#define DESCRIPTORS 4096 /* for both ends, with room */
#define ROUNDS      4    /* seconds for which slow clients send */
#define ANSWER_IN_S 1.0

/* Sent one byte at a time; it never ends within this program's life. */
static const char slow_request[] =
    "POST " SERVICES " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Content-Length: 4000\r\n\r\n{\"metadata\":{\"name\":\"slow\"}, \"spec\":{}}";

struct crowd {
    int idle[IDLE];
    int slow[SLOW];
};

static struct server_process server;

static void raise_limit(void) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = DESCRIPTORS;
        limit.rlim_max = limit.rlim_max < DESCRIPTORS ? DESCRIPTORS : limit.rlim_max;
        ck_assert_msg(setrlimit(RLIMIT_NOFILE, &limit) == 0,
                      "this test needs %d open files; raise the hard limit (ulimit -Hn)",
                      DESCRIPTORS);
    }
}

static void wait_until(double moment) {
    double left = moment - seconds_now();
    if (left > 0) {
        struct timespec pause = {.tv_sec = (time_t)left,
                                 .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        nanosleep(&pause, NULL);
    }
}

static double metric(const char *name) {
    struct answer answer = server_get(&server, "/metrics");
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    ck_assert_int_eq(answer.code, 200);
    const char *at = strstr(answer.text, line);
    ck_assert_msg(at != NULL, "no %s in %s", name, answer.text);
    double value = strtod(at + strlen(line), NULL);
    answer_free(&answer);
    return value;
}

static void gather(struct crowd *crowd) {
    for (size_t i = 0; i < IDLE; i++) {
        crowd->idle[i] = server_connect(&server);
    }
    for (size_t i = 0; i < SLOW; i++) {
        /* half of them have come as far as the body, half are still at the first line */
        crowd->slow[i] = server_connect(&server);
        const char *body = strstr(slow_request, "\r\n\r\n") + 4;
        size_t done = i % 2 == 0 ? 0 : (size_t)(body - slow_request);
        ck_assert(socket_write(crowd->slow[i], slow_request, done));
    }
}

static void send_one_byte_each(struct crowd *crowd, size_t round) {
    size_t body = (size_t)(strstr(slow_request, "\r\n\r\n") + 4 - slow_request);
    for (size_t i = 0; i < SLOW; i++) {
        const char *byte = slow_request + round + (i % 2 == 0 ? 0 : body);
        ck_assert_msg(socket_write(crowd->slow[i], byte, 1), "slow client %zu was cut off", i);
    }
}

static void create(unsigned number) {
    char body[256];
    char expected[32];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"load-%u\"},\"spec\":{\"clusterIP\":\"10.96.7.%u\","
             "\"ports\":[{\"port\":80}]}}",
             number, number);
    snprintf(expected, sizeof expected, "10.96.7.%u", number);
    double start = seconds_now();
    struct answer answer = server_post(&server, SERVICES, body);
    double took = seconds_now() - start;
    ck_assert_msg(answer.code == 201, "%ld %s", answer.code, answer.text);
    ck_assert_str_eq(answer_text(&answer, "spec.clusterIP"), expected);
    ck_assert_msg(took < ANSWER_IN_S, "a create took %.3f s", took);
    answer_free(&answer);
}

static void disperse(struct crowd *crowd) {
    for (size_t i = 0; i < IDLE; i++) {
        close(crowd->idle[i]);
    }
    for (size_t i = 0; i < SLOW; i++) {
        close(crowd->slow[i]);
    }
}

/* Connections that were closed are given up, within a few seconds. */
static void expect_room(void) {
    double until = seconds_now() + 10;
    while (metric("ipalloc_apiserver_connections") > 10 && seconds_now() < until) {
        wait_until(seconds_now() + 0.05);
    }
    ck_assert_double_le(metric("ipalloc_apiserver_connections"), 10);
}

START_TEST(a_create_is_answered_within_a_second_among_idle_and_slow_clients) {
    struct crowd crowd;
    char store[512];
    const char *directory = test_directory_make();
    raise_limit();
    snprintf(store, sizeof store, "--store=sqlite:%s/store.db", directory);
    const char *arguments[] = {store, NULL};
    server = server_start(arguments);
    gather(&crowd);
    double start = seconds_now();
    for (unsigned round = 0; round < ROUNDS; round++) {
        wait_until(start + round);
        send_one_byte_each(&crowd, round);
        create(round + 1);
    }
    /* they were all really there, and none was turned away */
    ck_assert_double_ge(metric("ipalloc_apiserver_connections"), IDLE + SLOW);
    disperse(&crowd);
    expect_room();
    create(ROUNDS + 1);
    struct answer answer = server_get(&server, SERVICES "/slow");
    ck_assert_int_eq(answer.code, 404); /* an unfinished request does nothing */
    answer_free(&answer);
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}
END_TEST

START_TEST(a_slow_client_that_finishes_gets_its_answer) {
    char reply[4096];
    static const char request[] = "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const char *arguments[] = {NULL};
    server = server_start(arguments);
    int descriptor = server_connect(&server);
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        ck_assert(socket_write(descriptor, request + i, 1));
        wait_until(seconds_now() + 0.002);
    }
    socket_read_until(descriptor, reply, sizeof reply, "gitVersion");
    ck_assert_ptr_nonnull(strstr(reply, "gitVersion"));
    close(descriptor);
    ck_assert_int_eq(server_stop(&server), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver load");
    TCase *cases = tcase_create("load");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_create_is_answered_within_a_second_among_idle_and_slow_clients);
    tcase_add_test(cases, a_slow_client_that_finishes_gets_its_answer);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
