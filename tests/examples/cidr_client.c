/* cidr_client.c: see cidr_client.h. */
#include "cidr_client.h"

#include "support.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define JSON  "application/json"
#define MERGE "application/merge-patch+json"

struct server_process cidr_server;

static struct answer ask(const char *method, const char *list, const char *name, const char *type,
                         const char *body) {
    char path[512];
    snprintf(path, sizeof path, "%s%s%s", list, name[0] != '\0' ? "/" : "", name);
    return server_ask(&cidr_server, method, path, type, NULL, body,
                      body != NULL ? strlen(body) : 0);
}

struct answer cidr_post(const char *name, const char *cidrs) {
    char body[1024];
    snprintf(body, sizeof body,
             "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\",\"metadata\":"
             "{\"name\":\"%s\"},\"spec\":{\"cidrs\":[%s]}}",
             name, cidrs);
    return ask("POST", CIDRS, "", JSON, body);
}

void cidr_make(const char *name, const char *cidrs) {
    struct answer answer = cidr_post(name, cidrs);
    ck_assert_msg(answer.code == 201, "%s: %ld %s", name, answer.code, answer.text);
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.type"), "Ready");
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.status"), "True");
    answer_free(&answer);
}

struct answer cidr_get(const char *name) {
    return ask("GET", CIDRS, name, NULL, NULL);
}

struct answer cidr_delete(const char *name) {
    return ask("DELETE", CIDRS, name, NULL, NULL);
}

struct answer cidr_patch(const char *name, const char *merge_patch) {
    return ask("PATCH", CIDRS, name, MERGE, merge_patch);
}

const char *cidr_ready(const char *name) {
    static char text[1024];
    struct answer answer = cidr_get(name);
    ck_assert_msg(answer.code == 200, "%s: %s", name, answer.text);
    const char *status = answer_text(&answer, "status.conditions.0.status");
    if (strcmp(status, "True") == 0) {
        snprintf(text, sizeof text, "True");
    } else {
        snprintf(text, sizeof text, "%s %s: %s", status,
                 answer_text(&answer, "status.conditions.0.reason"),
                 answer_text(&answer, "status.conditions.0.message"));
    }
    answer_free(&answer);
    return text;
}

void pause_shortly(void) {
    const struct timespec pause = {.tv_nsec = 5000000};
    nanosleep(&pause, NULL);
}

void cidr_expect_gone(const char *name) {
    long code = 200;
    for (int i = 0; code != 404 && i < 2000; i++) {
        struct answer answer = cidr_get(name);
        code = answer.code;
        answer_free(&answer);
        if (code != 404) {
            pause_shortly();
        }
    }
    ck_assert_msg(code == 404, "%s is still there: %s", name, cidr_ready(name));
}

long service_try(const char *name, const char *spec) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"ports\":[{\"port\":80}]}}", name, spec);
    struct answer answer = ask("POST", SERVICES, "", JSON, body);
    long code = answer.code;
    answer_free(&answer);
    return code;
}

void service_make(const char *name, const char *spec) {
    ck_assert_msg(service_try(name, spec) == 201, "%s {%s}", name, spec);
}

void service_remove(const char *name) {
    struct answer answer = ask("DELETE", SERVICES, name, NULL, NULL);
    ck_assert_msg(answer.code == 200, "%s: %s", name, answer.text);
    answer_free(&answer);
}

void service_address(const char *name, unsigned index, char out[64]) {
    char path[32];
    struct answer answer = ask("GET", SERVICES, name, NULL, NULL);
    snprintf(path, sizeof path, "spec.clusterIPs.%u", index);
    snprintf(out, 64, "%s", answer_text(&answer, path));
    answer_free(&answer);
}

const char *pool_ranges(const char *pool) {
    static char text[2048];
    char path[64];
    struct answer answer = server_get(&cidr_server, "/ipalloc/v1/pools");
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    text[0] = '\0';
    for (unsigned i = 0;; i++) {
        snprintf(path, sizeof path, "items.%u.name", i);
        const char *name = answer_text(&answer, path);
        if (name[0] == '\0') {
            break;
        }
        for (unsigned j = 0; strcmp(name, pool) == 0; j++) {
            size_t used = strlen(text);
            snprintf(path, sizeof path, "items.%u.ranges.%u.range", i, j);
            const char *range = answer_text(&answer, path);
            if (range[0] == '\0') {
                break;
            }
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? " " : "",
                                     range);
            snprintf(path, sizeof path, "items.%u.ranges.%u.draining", i, j);
            bool draining = strcmp(answer_text(&answer, path), "true") == 0;
            snprintf(text + used, sizeof text - used, "%s", draining ? "!" : "");
        }
    }
    answer_free(&answer);
    return text;
}

void pool_expect(const char *pool, const char *ranges) {
    const char *now = pool_ranges(pool);
    for (int i = 0; strcmp(now, ranges) != 0 && i < 1000; i++) {
        pause_shortly();
        now = pool_ranges(pool);
    }
    ck_assert_str_eq(now, ranges);
}
