/*
 * What a write makes of an object that is not there, is going, or is another controller's: PUT,
 * DELETE and status of Services over HTTP, as kube-apiserver does it.
 */
#include "service_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct server_process server;

static void start(void) {
    const char *arguments[] = {"--load-balancer-ip-range=192.0.2.0/28", NULL};
    server = server_start(arguments);
}

static void stop(void) {
    expect_nothing_to_repair(&server);
    ck_assert_int_eq(server_stop(&server), 0);
}

static struct answer put(const char *name, const char *metadata, const char *parameters) {
    char path[128];
    char body[512];
    snprintf(path, sizeof path, SERVICES "/%s%s", name, parameters);
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"%s},\"spec\":{\"clusterIP\":\"10.96.0.9\",\"ports\":["
             "{\"port\":80}]}}",
             name, metadata);
    return server_ask(&server, "PUT", path, "application/json", NULL, body, strlen(body));
}

static void expect(struct answer answer, long code, const char *holds) {
    ck_assert_msg(answer.code == code, "%ld, not %ld: %s", answer.code, code, answer.text);
    ck_assert_msg(strstr(answer.text, holds) != NULL, "no %s in: %s", holds, answer.text);
    answer_free(&answer);
}

/* --- PUT -------------------------------------------------------------------------------------- */

START_TEST(a_put_of_a_service_that_is_not_there_makes_it) {
    expect(put("new", "", "?dryRun=All"), 201, "10.96.0.9");
    expect(service_get(&server, "new"), 404, "not found");
    expect(put("new", "", ""), 201, "10.96.0.9");
    expect(put("new", "", ""), 200, "10.96.0.9");
    must_delete(&server, "new");
    expect(put("new", ",\"resourceVersion\":\"0\"", ""), 201, "10.96.0.9");
    expect(put("other", "", ""), 422,
           "provided IP is already allocated (held by Service/default/new/");
    must_delete(&server, "new");
}
END_TEST

/* Who writes at a version or a uid means what was there, and would make it anew unawares. */
START_TEST(a_put_that_means_an_object_that_is_gone_does_not_make_it) {
    expect(put("new", ",\"resourceVersion\":\"5\"", ""), 404, "services \\\"new\\\" not found");
    expect(put("new", ",\"uid\":\"5\"", ""), 404, "services \\\"new\\\" not found");
    expect(service_get(&server, "new"), 404, "not found");
}
END_TEST

START_TEST(version_0_is_any) {
    must_create(&server, "x", "'clusterIP':'10.96.0.9','ports':[{'port':81}]");
    expect(put("x", ",\"resourceVersion\":\"0\"", ""), 200, "\"port\":80");
    expect(put("x", ",\"resourceVersion\":\"1\"", ""), 409, "the object has been modified");
    must_delete(&server, "x");
}
END_TEST

/* Or a diff would show that the version goes. */
START_TEST(a_dry_update_shows_the_version_that_is_stored) {
    char version[32];
    must_create(&server, "x", "'ports':[{'port':80}]");
    struct answer answer = service_get(&server, "x");
    snprintf(version, sizeof version, "%s", answer_text(&answer, "metadata.resourceVersion"));
    answer_free(&answer);
    answer = service_change(&server, "x", "'ports':[{'port':81}]", "?dryRun=All");
    ck_assert_str_eq(answer_text(&answer, "metadata.resourceVersion"), version);
    answer_free(&answer);
    answer = service_delete(&server, "x", "?dryRun=All");
    ck_assert_str_eq(answer_text(&answer, "metadata.resourceVersion"), version);
    answer_free(&answer);
    must_delete(&server, "x");
}
END_TEST

/* --- DELETE ----------------------------------------------------------------------------------- */

START_TEST(a_deletion_is_answered_with_the_service_as_it_was) {
    char version[32];
    must_create(&server, "x", "'clusterIP':'10.96.0.9','ports':[{'port':80}]");
    struct answer answer = service_delete(&server, "x", "?dryRun=All");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "spec.clusterIP"), "10.96.0.9");
    snprintf(version, sizeof version, "%s", answer_text(&answer, "metadata.resourceVersion"));
    answer_free(&answer);
    answer = service_delete(&server, "x", "");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "kind"), "Service");
    ck_assert_str_eq(answer_text(&answer, "spec.clusterIP"), "10.96.0.9");
    ck_assert_str_ne(answer_text(&answer, "metadata.resourceVersion"), version);
    answer_free(&answer);
    expect(service_get(&server, "x"), 404, "not found");
}
END_TEST

START_TEST(the_name_of_a_service_that_is_going_is_taken_and_says_so) {
    static const char body[] = "{\"metadata\":{\"name\":\"x\",\"finalizers\":[\"a.example/b\"]},"
                               "\"spec\":{\"ports\":[{\"port\":80}]}}";
    expect(server_post(&server, SERVICES, body), 201, "a.example/b");
    expect(server_post(&server, SERVICES, body), 409, "\"services \\\"x\\\" already exists\"");
    must_delete(&server, "x");
    expect(server_post(&server, SERVICES, body), 409,
           "\"object is being deleted: services \\\"x\\\" already exists\"");
    expect(service_patch(&server, "x", "{'metadata':{'finalizers':null}}", ""), 200, "");
    expect(server_post(&server, SERVICES, body), 201, "a.example/b");
    expect(service_patch(&server, "x", "{'metadata':{'finalizers':null}}", ""), 200, "");
    must_delete(&server, "x");
}
END_TEST

START_TEST(the_service_of_the_api_server_comes_back) {
    char uid[64];
    struct answer answer = service_get(&server, "kubernetes");
    snprintf(uid, sizeof uid, "%s", answer_text(&answer, "metadata.uid"));
    answer_free(&answer);
    expect(service_delete(&server, "kubernetes", "?dryRun=All"), 200, uid);
    expect(service_get(&server, "kubernetes"), 200, uid);
    expect(service_delete(&server, "kubernetes", ""), 200, uid);
    answer = service_get(&server, "kubernetes");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "spec.clusterIP"), "10.96.0.1");
    ck_assert_str_ne(answer_text(&answer, "metadata.uid"), uid);
    answer_free(&answer);
}
END_TEST

/* As typed clients send them: an envelope of {apiVersion, kind} and the bytes of DeleteOptions. */
START_TEST(delete_options_are_read_in_protobuf_too) {
    static const char envelope[] = "k8s\0\x0a\x13\x0a\x02v1\x12\x0d"
                                   "DeleteOptions";
    static const char dry_run[] = "\x12\x05\x2a\x03"
                                  "All";
    static const char another[] = "\x12\x06\x12\x04\x0a\x02"
                                  "no";
    char body[64];
    must_create(&server, "x", "'ports':[{'port':80}]");
    memcpy(body, envelope, sizeof envelope - 1);
    char *raw = body + sizeof envelope - 1;
    memcpy(raw, dry_run, sizeof dry_run - 1);
    expect(server_ask(&server, "DELETE", SERVICES "/x", "application/vnd.kubernetes.protobuf", NULL,
                      body, sizeof envelope - 1 + sizeof dry_run - 1),
           200, "\"clusterIP\"");
    memcpy(raw, another, sizeof another - 1);
    expect(server_ask(&server, "DELETE", SERVICES "/x", "application/vnd.kubernetes.protobuf", NULL,
                      body, sizeof envelope - 1 + sizeof another - 1),
           409, "the UID in the precondition (no) does not match");
    must_delete(&server, "x");
}
END_TEST

/* --- status ----------------------------------------------------------------------------------- */

static struct answer set_ingress(const char *name, const char *ip) {
    char path[64];
    char patch[128];
    snprintf(path, sizeof path, "%s/status", name);
    snprintf(patch, sizeof patch, "{'status':{'loadBalancer':{'ingress':[{'ip':'%s'}]}}}", ip);
    return service_patch(&server, path, patch, "");
}

/* Where this server has load-balancer addresses it writes the status of its own Services alone. */
START_TEST(the_controller_of_another_class_writes_its_status) {
    must_create(&server, "x",
                "'type':'LoadBalancer','loadBalancerClass':'a.example/b','ports':[{'port':80}]");
    expect(set_ingress("x", "garbage"), 422, "status.loadBalancer.ingress[0].ip: Invalid value");
    expect(set_ingress("x", "192.0.2.5"), 200, "\"ip\":\"192.0.2.5\"");
    expect(service_change(&server, "x", "'ports':[{'port':81}]", ""), 200, "\"ip\":\"192.0.2.5\"");
    must_create(&server, "y",
                "'type':'LoadBalancer','loadBalancerIP':'192.0.2.5','ports':[{'port':80}]");
    struct answer answer = set_ingress("y", "192.0.2.6");
    ck_assert_str_eq(answer_text(&answer, "status.loadBalancer.ingress.0.ip"), "192.0.2.5");
    answer_free(&answer);
    expect(set_ingress("kubernetes", "192.0.2.6"), 422,
           "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is "
           "LoadBalancer");
    answer = service_change(&server, "x", "'type':'ClusterIP'", "");
    ck_assert_str_eq(answer_text(&answer, "status.loadBalancer.ingress.0.ip"), "");
    answer_free(&answer);
    expect_nothing_to_repair(&server);
    must_delete(&server, "x");
    must_delete(&server, "y");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("writes");
    TCase *cases = tcase_create("writes");
    tcase_add_unchecked_fixture(cases, start, stop);
    tcase_add_test(cases, a_put_of_a_service_that_is_not_there_makes_it);
    tcase_add_test(cases, a_put_that_means_an_object_that_is_gone_does_not_make_it);
    tcase_add_test(cases, version_0_is_any);
    tcase_add_test(cases, a_dry_update_shows_the_version_that_is_stored);
    tcase_add_test(cases, a_deletion_is_answered_with_the_service_as_it_was);
    tcase_add_test(cases, the_name_of_a_service_that_is_going_is_taken_and_says_so);
    tcase_add_test(cases, the_service_of_the_api_server_comes_back);
    tcase_add_test(cases, delete_options_are_read_in_protobuf_too);
    tcase_add_test(cases, the_controller_of_another_class_writes_its_status);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
