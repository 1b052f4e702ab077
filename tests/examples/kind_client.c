/* kind_client.c: see kind_client.h. */
#include "kind_client.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORE       "/api/v1/namespaces/default/"
#define NETWORKING "/apis/networking.k8s.io/v1/"

const struct kind pods = {"Pod", CORE "pods"};
const struct kind nodes = {"Node", "/api/v1/nodes"};
const struct kind endpoints = {"Endpoints", CORE "endpoints"};
const struct kind slices = {"EndpointSlice.discovery.k8s.io",
                            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"};
const struct kind ingresses = {"Ingress.networking.k8s.io",
                               NETWORKING "namespaces/default/ingresses"};
const struct kind classes = {"IngressClass.networking.k8s.io", NETWORKING "ingressclasses"};
const struct kind secrets = {"Secret", CORE "secrets"};
const struct kind config_maps = {"ConfigMap", CORE "configmaps"};
const struct kind events = {"Event", CORE "events"};

static struct server_process server;

void kinds_start(void) {
    server = server_start((const char *const[]){NULL});
}

void kinds_stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

struct answer ask(const char *method, const char *path, const char *type, const char *json) {
    char *body = strdup(json);
    for (char *at = body; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct answer answer = server_ask(&server, method, path, type, NULL, body, strlen(body));
    free(body);
    return answer;
}

struct answer create(const struct kind *kind, const char *fields) {
    char body[8192];
    snprintf(body, sizeof body, "{'metadata':{'name':'x'}%s%s}", fields[0] != '\0' ? "," : "",
             fields);
    return ask("POST", kind->path, "application/json", body);
}

void must_make(const struct kind *kind, const char *fields) {
    struct answer answer = create(kind, fields);
    ck_assert_msg(answer.code == 201, "%s: %ld %s", fields, answer.code, answer.text);
    answer_free(&answer);
}

void must_remove(const struct kind *kind) {
    char path[256];
    snprintf(path, sizeof path, "%s/x", kind->path);
    struct answer answer = server_ask(&server, "DELETE", path, NULL, NULL, NULL, 0);
    ck_assert_msg(answer.code == 200, "%s: %ld %s", path, answer.code, answer.text);
    answer_free(&answer);
}

struct answer change(const struct kind *kind, const char *below, const char *fields) {
    char path[256];
    char body[8192];
    snprintf(path, sizeof path, "%s/x%s", kind->path, below);
    snprintf(body, sizeof body, "{%s}", fields);
    return ask("PATCH", path, "application/merge-patch+json", body);
}

static void expect_causes(const struct answer *answer, const char *reasons) {
    char seen[512] = "";
    for (size_t i = 0;; i++) {
        char path[64];
        snprintf(path, sizeof path, "details.causes.%zu.reason", i);
        const char *reason = answer_text(answer, path);
        if (reason[0] == '\0') {
            break;
        }
        ck_assert_msg(strncmp(reason, "FieldValue", 10) == 0, "%s", reason);
        size_t at = strlen(seen);
        snprintf(seen + at, sizeof seen - at, "%s%s", i > 0 ? " " : "", reason + 10);
    }
    ck_assert_str_eq(seen, reasons);
}

void expect_refusal(struct answer *answer, const struct row *row) {
    char expected[4096];
    ck_assert_msg(answer->code == 422, "%s: %ld %s", row->fields, answer->code, answer->text);
    snprintf(expected, sizeof expected, "%s \"x\" is invalid: %s", row->kind->name, row->message);
    ck_assert_str_eq(answer_text(answer, "message"), expected);
    ck_assert_str_eq(answer_text(answer, "reason"), "Invalid");
    expect_causes(answer, row->reasons);
    answer_free(answer);
}

static void expect_refused(const struct row *row) {
    if (row->before != NULL) {
        must_make(row->kind, row->before);
    }
    struct answer answer =
        row->before == NULL ? create(row->kind, row->fields) : change(row->kind, "", row->fields);
    expect_refusal(&answer, row);
    if (row->before != NULL) {
        must_remove(row->kind);
    }
}

void expect_each(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        expect_refused(&rows[i]);
    }
}

char *repeated(const char *before, const char *element, size_t count, const char *after) {
    size_t size = strlen(before) + count * (strlen(element) + 1) + strlen(after) + 1;
    char *out = malloc(size);
    char *at = out + snprintf(out, size, "%s", before);
    for (size_t i = 0; i < count; i++) {
        at += snprintf(at, size - (size_t)(at - out), "%s%s", i > 0 ? "," : "", element);
    }
    snprintf(at, size - (size_t)(at - out), "%s", after);
    return out;
}

void expect_each_status(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct answer answer = change(rows[i].kind, "/status", rows[i].fields);
        expect_refusal(&answer, &rows[i]);
    }
}
