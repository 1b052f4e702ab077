/* service_client.c: see service_client.h. */
#include "service_client.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX 8192
#define URL_MAX  512

static void double_quotes(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\'') {
            *at = '"';
        }
    }
}

struct answer service_create(const struct server_process *server, const char *name,
                             const char *spec, const char *parameters) {
    char body[BODY_MAX];
    char path[URL_MAX];
    snprintf(body, sizeof body, "{'metadata':{'name':'%s'},'spec':{%s}}", name, spec);
    snprintf(path, sizeof path, SERVICES "%s", parameters);
    double_quotes(body);
    return server_post(server, path, body);
}

struct answer service_patch(const struct server_process *server, const char *name,
                            const char *patch, const char *parameters) {
    char body[BODY_MAX];
    char path[URL_MAX];
    snprintf(body, sizeof body, "%s", patch);
    snprintf(path, sizeof path, SERVICES "/%s%s", name, parameters);
    double_quotes(body);
    return server_ask(server, "PATCH", path, "application/merge-patch+json", NULL, body,
                      strlen(body));
}

struct answer service_change(const struct server_process *server, const char *name,
                             const char *spec, const char *parameters) {
    char patch[BODY_MAX];
    snprintf(patch, sizeof patch, "{'spec':{%s}}", spec);
    return service_patch(server, name, patch, parameters);
}

struct answer service_delete(const struct server_process *server, const char *name,
                             const char *parameters) {
    char path[URL_MAX];
    snprintf(path, sizeof path, SERVICES "/%s%s", name, parameters);
    return server_ask(server, "DELETE", path, NULL, NULL, NULL, 0);
}

struct answer service_get(const struct server_process *server, const char *name) {
    char path[URL_MAX];
    snprintf(path, sizeof path, SERVICES "/%s", name);
    return server_get(server, path);
}

static void must(struct answer answer, long code, const char *what, const char *name) {
    ck_assert_msg(answer.code == code, "%s %s: %ld %s", what, name, answer.code, answer.text);
    answer_free(&answer);
}

void must_create(const struct server_process *server, const char *name, const char *spec) {
    must(service_create(server, name, spec, ""), 201, "create", name);
}

void must_change(const struct server_process *server, const char *name, const char *spec) {
    must(service_change(server, name, spec, ""), 200, "change", name);
}

void must_delete(const struct server_process *server, const char *name) {
    must(service_delete(server, name, ""), 200, "delete", name);
}

char *leases_now(const struct server_process *server) {
    struct answer answer = server_get(server, "/ipalloc/v1/list");
    ck_assert_msg(answer.code == 200, "%ld %s", answer.code, answer.text);
    char *text = strdup(answer.text);
    ck_assert_ptr_nonnull(text);
    answer_free(&answer);
    return text;
}

void expect_nothing_to_repair(const struct server_process *server) {
    struct answer answer = server_post(server, "/ipalloc/v1/repair", "{}");
    ck_assert_msg(answer.code == 200, "%ld %s", answer.code, answer.text);
    ck_assert_msg(answer_text(&answer, "items.0.kind")[0] == '\0', "%s", answer.text);
    ck_assert_str_eq(answer_text(&answer, "leases"), answer_text(&answer, "live"));
    ck_assert_str_eq(answer_text(&answer, "notJudged"), "0");
    answer_free(&answer);
}
