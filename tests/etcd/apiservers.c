/* apiservers.c: see apiservers.h. */
#include "apiservers.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALL_SERVICES "/api/v1/services"

etcd_cluster *members;
struct server_process servers[APISERVERS_MAX];

const char *apiservers_store(void) {
    static char flag[512];
    snprintf(flag, sizeof flag, "--store=%s", etcd_url(members, "/clusters/one"));
    return flag;
}

void apiservers_begin(int member_count) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    memset(servers, 0, sizeof servers);
    members = etcd_start(&(etcd_options){.members = member_count});
}

void apiservers_end(void) {
    for (int i = 0; i < APISERVERS_MAX; i++) {
        if (servers[i].pid != 0) {
            ck_assert_int_eq(server_stop(&servers[i]), 0);
        }
    }
    etcd_stop(members);
    members = NULL;
}

static void add_arguments(const char *arguments[4], const char *flag, const char *second_flag) {
    arguments[0] = apiservers_store();
    arguments[1] = flag;
    arguments[2] = second_flag;
    arguments[3] = NULL;
}

void apiserver_add(int index, const char *flag, const char *second_flag) {
    const char *arguments[4];
    add_arguments(arguments, flag, second_flag);
    servers[index] = server_start(arguments);
}

void apiservers_launch(int count, const char *flag) {
    const char *arguments[4];
    add_arguments(arguments, flag, NULL);
    for (int i = 0; i < count; i++) {
        servers[i] = server_launch(arguments);
    }
    for (int i = 0; i < count; i++) {
        ck_assert_msg(server_await(&servers[i]), "server %d did not start", i);
    }
}

void two_servers(const char *flag) {
    apiservers_begin(1);
    apiserver_add(0, flag, NULL);
    apiserver_add(1, flag, NULL);
}

char *text_of(int index, const char *path, const char *member) {
    struct answer answer = server_get(&servers[index], path);
    ck_assert_msg(answer.code == 200, "%s: %ld %s", path, answer.code, answer.text);
    char *text = strdup(answer_text(&answer, member));
    answer_free(&answer);
    return text;
}

void wait_until(bool (*look)(void *context), void *context, unsigned seconds, const char *what) {
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    double end = seconds_now() + seconds;
    while (!look(context)) {
        ck_assert_msg(seconds_now() < end, "not in %u s: %s", seconds, what);
        nanosleep(&pause, NULL);
    }
}

static struct json_object *items_of(const struct answer *answer) {
    struct json_object *items = NULL;
    ck_assert_msg(answer->code == 200, "%ld %s", answer->code, answer->text);
    ck_assert(json_object_object_get_ex(answer->json, "items", &items));
    return items;
}

size_t count_services(int index) {
    struct answer answer = server_get(&servers[index], ALL_SERVICES);
    size_t count = json_object_array_length(items_of(&answer));
    answer_free(&answer);
    return count;
}

bool lists_service(int index, const char *name, const char *parameters) {
    char path[256];
    bool found = false;
    snprintf(path, sizeof path, ALL_SERVICES "%s", parameters);
    struct answer answer = server_get(&servers[index], path);
    struct json_object *items = items_of(&answer);
    for (size_t i = 0; i < json_object_array_length(items) && !found; i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        found = strcmp(json_text_at(item, "metadata.name"), name) == 0;
    }
    answer_free(&answer);
    return found;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void expect_no_doubles(int index) {
    struct answer answer = server_get(&servers[index], ALL_SERVICES);
    struct json_object *items = items_of(&answer);
    size_t count = json_object_array_length(items);
    const char **addresses = calloc(count + 1, sizeof *addresses);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const char *address = json_text_at(json_object_array_get_idx(items, i), "spec.clusterIP");
        if (address[0] != '\0') {
            addresses[used++] = address;
        }
    }
    qsort(addresses, used, sizeof *addresses, compare_texts);
    for (size_t i = 1; i < used; i++) {
        ck_assert_msg(strcmp(addresses[i - 1], addresses[i]) != 0, "%s is given twice",
                      addresses[i]);
    }
    free(addresses);
    answer_free(&answer);
}

void expect_sound(int index) {
    expect_nothing_to_repair(&servers[index]);
    struct answer answer = server_post(&servers[index], "/ipalloc/v1/check", "{}");
    ck_assert_msg(answer.code == 200, "%ld %s", answer.code, answer.text);
    answer_free(&answer);
    expect_no_doubles(index);
}

double metric_of(int index, const char *line_start) {
    struct answer answer = server_get(&servers[index], "/metrics");
    ck_assert_int_eq(answer.code, 200);
    double value = -1;
    size_t length = strlen(line_start);
    for (const char *line = answer.text; line != NULL && value < 0;) {
        if (strncmp(line, line_start, length) == 0) {
            value =
                strtod(strrchr(line_start, '}') != NULL ? line + length : strchr(line, ' '), NULL);
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    answer_free(&answer);
    return value;
}

void run_together(void *(*body)(void *context), void *contexts, size_t size, int count) {
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, body, (char *)contexts + (size_t)i * size), 0);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    free(threads);
}

int apiservers_main(Suite *suite) {
    if (!etcd_is_here()) {
        printf("etcd or etcdctl is not in PATH (Debian packages etcd-server, etcd-client)\n");
        return 77;
    }
    return test_main(suite);
}
