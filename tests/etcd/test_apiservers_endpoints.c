/* Two API servers on one etcd, each with its keeper of EndpointSlices: Pods and Services that come,
 * change and go by both end in the same slices, each Pod in one of them, and then nobody writes. */
#include "apiservers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PODS   "/api/v1/namespaces/default/pods"
#define SLICES "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
#define MERGE  "application/merge-patch+json"

enum { PODS_MAX = 24, SERVICES_MAX = 4, STEPS = 300 };

static uint64_t dice;
static int app_of[PODS_MAX]; /* -1: there is no such Pod */
static bool exists[SERVICES_MAX];

/* Of server 0 or 1; ' stands for ". */
static void must(const char *method, const char *path, const char *type, const char *body) {
    char text[1024];
    snprintf(text, sizeof text, "%s", body);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct answer answer = server_ask(&servers[test_random(&dice) % 2], method, path, type, NULL,
                                      text[0] != '\0' ? text : NULL, strlen(text));
    ck_assert_msg(answer.code / 100 == 2, "%s %s: %ld %s", method, path, answer.code, answer.text);
    answer_free(&answer);
}

static void make_pod(int number, int app) {
    char body[512];
    snprintf(body, sizeof body,
             "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p%d','labels':{'all':'same','app'"
             ":'%d'}},'spec':{'containers':[{'name':'c','image':'x'}]},'status':{'phase':'Running'"
             ",'podIP':'10.20.0.%d','conditions':[{'type':'Ready','status':'True'}]}}",
             number, app, number + 1);
    must("POST", PODS, "application/json", body);
    snprintf(body, sizeof body,
             "{'status':{'phase':'Running','podIP':'10.20.0.%d','podIPs':[{'ip':'10.20.0.%d'}],"
             "'conditions':[{'type':'Ready','status':'True'}]}}",
             number + 1, number + 1);
    char path[128];
    snprintf(path, sizeof path, PODS "/p%d/status", number);
    must("PATCH", path, MERGE, body);
    app_of[number] = app;
}

static void change_pod(int number) {
    char path[128], body[128];
    int app = (int)(test_random(&dice) % SERVICES_MAX);
    snprintf(path, sizeof path, PODS "/p%d", number);
    if (app_of[number] < 0) {
        make_pod(number, app);
    } else if (test_random(&dice) % 2 == 0) {
        must("DELETE", path, NULL, "");
        app_of[number] = -1;
    } else {
        snprintf(body, sizeof body, "{'metadata':{'labels':{'app':'%d'}}}", app);
        must("PATCH", path, MERGE, body);
        app_of[number] = app;
    }
}

static void change_service(int number) {
    char path[128], body[256];
    snprintf(path, sizeof path, SERVICES "/s%d", number);
    if (exists[number]) {
        must("DELETE", path, NULL, "");
    } else {
        snprintf(body, sizeof body,
                 "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s%d'},'spec':{'selector':"
                 "{'all':'same','app':'%d'},'ports':[{'port':80,'targetPort':8080}]}}",
                 number, number);
        must("POST", SERVICES, "application/json", body);
    }
    exists[number] = !exists[number];
}

/* How many endpoints of that Service have that address. */
static int count_endpoints(struct json_object *slices, const char *service, const char *address) {
    int count = 0;
    for (size_t i = 0; i < json_object_array_length(slices); i++) {
        struct json_object *slice = json_object_array_get_idx(slices, i), *endpoints = NULL;
        char owner[32];
        snprintf(owner, sizeof owner, "%s", json_text_at(slice, "metadata.ownerReferences.0.name"));
        json_object_object_get_ex(slice, "endpoints", &endpoints);
        size_t length = endpoints != NULL ? json_object_array_length(endpoints) : 0;
        for (size_t j = 0; j < length && strcmp(owner, service) == 0; j++) {
            struct json_object *endpoint = json_object_array_get_idx(endpoints, j);
            count += strcmp(json_text_at(endpoint, "addresses.0"), address) == 0;
        }
    }
    return count;
}

/* Are the slices that a server shows those of the Pods and Services that are there? */
static bool are_right(struct json_object *slices) {
    size_t services = 0;
    for (int service = 0; service < SERVICES_MAX; service++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", service);
        services += exists[service];
        for (int pod = 0; pod < PODS_MAX; pod++) {
            char address[32];
            snprintf(address, sizeof address, "10.20.0.%d", pod + 1);
            int wanted = exists[service] && app_of[pod] == service ? 1 : 0;
            if (count_endpoints(slices, name, address) != wanted) {
                return false;
            }
        }
    }
    return json_object_array_length(slices) == services;
}

static bool settled(void *context) {
    (void)context;
    bool right = true;
    for (int i = 0; i < 2 && right; i++) {
        struct json_object *items = NULL;
        struct answer answer = server_get(&servers[i], SLICES);
        json_object_object_get_ex(answer.json, "items", &items);
        right = items != NULL && are_right(items);
        answer_free(&answer);
    }
    return right;
}

/* Nothing was written for half a second; two that undid each other's work would go on for ever. */
static bool is_at_rest(void *context) {
    (void)context;
    char *before = text_of(0, SLICES, "items");
    usleep(500000);
    char *after = text_of(0, SLICES, "items");
    bool same = strcmp(before, after) == 0;
    free(before);
    free(after);
    return same;
}

START_TEST(two_keepers_come_to_the_same_and_then_to_rest) {
    dice = test_seed();
    for (int i = 0; i < PODS_MAX; i++) {
        app_of[i] = -1;
    }
    two_servers(NULL);
    for (int step = 0; step < STEPS; step++) {
        if (test_random(&dice) % 5 == 0) {
            change_service((int)(test_random(&dice) % SERVICES_MAX));
        } else {
            change_pod((int)(test_random(&dice) % PODS_MAX));
        }
    }
    for (int i = 0; i < SERVICES_MAX; i++) {
        if (!exists[i]) {
            change_service(i);
        }
    }
    wait_until(settled, NULL, 60, "the slices are those of the Pods");
    wait_until(is_at_rest, NULL, 30, "nobody writes slices any more");
    apiservers_end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("API servers' endpoints");
    TCase *tests = tcase_create("endpoints");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, two_keepers_come_to_the_same_and_then_to_rest);
    suite_add_tcase(suite, tests);
    return apiservers_main(suite);
}
