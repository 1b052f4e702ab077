/* IPAddress objects: which Service has which ClusterIP, as the server shows it; never written. */
#include "server_process.h"
#include "support.h"
#include "watch_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES  "/api/v1/namespaces/default/services"
#define ADDRESSES "/apis/networking.k8s.io/v1/ipaddresses"
#define JSON      "application/json"
#define DUAL \
    "\"ipFamilyPolicy\":\"RequireDualStack\",\"clusterIP\":\"%s\",\"clusterIPs\":[\"%s\",\"%s\"],"
#define CLUSTER "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/108"

static struct server_process server;

static void start(void) {
    const char *arguments[] = {CLUSTER, NULL};
    server = server_start(arguments);
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

static void create(const char *name, const char *spec) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"ports\":[{\"port\":80}]}}", name, spec);
    struct answer answer = server_post(&server, SERVICES, body);
    ck_assert_msg(answer.code == 201, "%s: %ld %s", name, answer.code, answer.text);
    answer_free(&answer);
}

static void create_dual(const char *name, const char *first, const char *second) {
    char spec[256];
    snprintf(spec, sizeof spec, DUAL, first, first, second);
    create(name, spec);
}

static void delete_service(const char *name) {
    char path[128];
    snprintf(path, sizeof path, SERVICES "/%s", name);
    struct answer answer = server_ask(&server, "DELETE", path, NULL, NULL, NULL, 0);
    ck_assert_msg(answer.code == 200, "%s: %s", name, answer.text);
    answer_free(&answer);
}

static struct answer get(const char *name) {
    char path[256];
    snprintf(path, sizeof path, ADDRESSES "/%s", name);
    return server_get(&server, path);
}

/* "name=parent" of each, in order. */
static void expect_list(const char *parameters, const char *expected) {
    char path[256];
    char seen[1024] = "";
    snprintf(path, sizeof path, ADDRESSES "?%s", parameters);
    struct answer list = server_get(&server, path);
    ck_assert_msg(list.code == 200, "%s: %s", path, list.text);
    ck_assert_str_eq(answer_text(&list, "kind"), "IPAddressList");
    ck_assert_str_eq(answer_text(&list, "apiVersion"), "networking.k8s.io/v1");
    for (int i = 0;; i++) {
        char name[64];
        char parent[64];
        snprintf(name, sizeof name, "items.%d.metadata.name", i);
        snprintf(parent, sizeof parent, "items.%d.spec.parentRef.name", i);
        if (answer_text(&list, name)[0] == '\0') {
            break;
        }
        size_t used = strlen(seen);
        snprintf(seen + used, sizeof seen - used, "%s%s=%s", used > 0 ? " " : "",
                 answer_text(&list, name), answer_text(&list, parent));
    }
    ck_assert_str_eq(seen, expected);
    answer_free(&list);
}

START_TEST(each_cluster_ip_is_an_object_with_its_service_as_parent) {
    create_dual("both", "10.96.7.7", "fd00:10:96::7");
    struct answer answer = get("fd00:10:96::7");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "kind"), "IPAddress");
    ck_assert_str_eq(answer_text(&answer, "apiVersion"), "networking.k8s.io/v1");
    ck_assert_str_eq(answer_text(&answer, "metadata.name"), "fd00:10:96::7");
    ck_assert_str_eq(answer_text(&answer, "spec.parentRef.resource"), "services");
    ck_assert_str_eq(answer_text(&answer, "spec.parentRef.namespace"), "default");
    ck_assert_str_eq(answer_text(&answer, "spec.parentRef.name"), "both");
    ck_assert_str_eq(answer_text(&answer, "spec.parentRef.group"), "");
    ck_assert_uint_eq(strlen(answer_text(&answer, "metadata.uid")), 36);
    ck_assert_uint_eq(strlen(answer_text(&answer, "metadata.creationTimestamp")), 20);
    ck_assert_ptr_nonnull(strstr(answer.text,
                                 "\"ipaddress.kubernetes.io/ip-family\":\"IPv6\","
                                 "\"ipaddress.kubernetes.io/managed-by\":\"ipallocator.k8s.io\""));
    answer_free(&answer);
    expect_list("", "10.96.0.1=kubernetes 10.96.7.7=both fd00:10:96::7=both");
}
END_TEST

START_TEST(node_ports_and_headless_services_have_none) {
    create("door", "\"type\":\"NodePort\",\"clusterIP\":\"10.96.0.9\",");
    create("quiet", "\"clusterIP\":\"None\",");
    expect_list("", "10.96.0.1=kubernetes 10.96.0.9=door");
}
END_TEST

static const struct {
    const char *name;
    long code;
} names[] = {
    {"10.96.0.1", 200},     {"10.96.0.2", 404},       {"10.97.0.1", 404},
    {"010.96.0.1", 404},    {"10.96.0.1%2F16", 404},  {"::ffff:10.96.0.1", 404},
    {"kubernetes", 404},    {"fd00:10:96::1", 404},   {"fd00:10:96::c", 200},
    {"FD00:10:96::C", 404}, {"fd00:10:96:0::c", 404},
};

START_TEST(only_the_canonical_text_of_a_held_address_is_a_name) {
    create("six", "\"ipFamilies\":[\"IPv6\"],\"clusterIP\":\"fd00:10:96::c\",");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct answer answer = get(names[i].name);
        ck_assert_msg(answer.code == names[i].code, "%s: %ld %s", names[i].name, answer.code,
                      answer.text);
        answer_free(&answer);
    }
}
END_TEST

START_TEST(selectors_choose_by_family_and_by_parent) {
    create_dual("both", "10.96.7.7", "fd00:10:96::7");
    expect_list("labelSelector=ipaddress.kubernetes.io/ip-family%3DIPv6", "fd00:10:96::7=both");
    expect_list("fieldSelector=spec.parentRef.name%3Dkubernetes", "10.96.0.1=kubernetes");
    expect_list("fieldSelector=metadata.name%3D10.96.7.7", "10.96.7.7=both");
    struct answer answer = server_get(&server, ADDRESSES "?fieldSelector=spec.type%3Dx");
    ck_assert_int_eq(answer.code, 400);
    answer_free(&answer);
}
END_TEST

START_TEST(nobody_writes_one_and_the_answer_says_who_does) {
    static const char *const writes[][2] = {{"POST", ADDRESSES},
                                            {"PUT", ADDRESSES "/10.96.0.1"},
                                            {"PATCH", ADDRESSES "/10.96.0.1"},
                                            {"DELETE", ADDRESSES "/10.96.0.1"}};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        struct answer answer =
            server_ask(&server, writes[i][0], writes[i][1], JSON, NULL, "{}", strlen("{}"));
        ck_assert_int_eq(answer.code, 405);
        ck_assert_str_eq(answer_text(&answer, "reason"), "MethodNotAllowed");
        ck_assert_ptr_nonnull(strstr(answer_text(&answer, "message"), "given with the Service"));
        ck_assert_str_eq(answer.allow, "GET, HEAD");
        answer_free(&answer);
    }
    expect_list("", "10.96.0.1=kubernetes");
}
END_TEST

START_TEST(a_watch_tells_of_each_address_of_one_commit) {
    char parameters[64];
    struct answer list = server_get(&server, ADDRESSES);
    snprintf(parameters, sizeof parameters, "resourceVersion=%s",
             answer_text(&list, "metadata.resourceVersion"));
    answer_free(&list);
    create_dual("both", "10.96.7.7", "fd00:10:96::7");
    struct stream stream = stream_open(&server, ADDRESSES, parameters, JSON);
    unsigned long long first = stream_expect(&stream, "ADDED", "10.96.7.7");
    ck_assert_uint_eq(stream_expect(&stream, "ADDED", "fd00:10:96::7"), first);
    delete_service("both");
    unsigned long long last = stream_expect(&stream, "DELETED", "10.96.7.7");
    ck_assert_uint_eq(stream_expect(&stream, "DELETED", "fd00:10:96::7"), last);
    ck_assert_uint_gt(last, first);
    stream_close(&stream);
    stream = stream_open(&server, ADDRESSES, "", JSON); /* from the beginning: what there is */
    stream_expect(&stream, "ADDED", "10.96.0.1");
    create("late", "\"clusterIP\":\"10.96.0.9\",");
    stream_expect(&stream, "ADDED", "10.96.0.9");
    stream_close(&stream);
}
END_TEST

START_TEST(the_table_shows_name_parent_and_age) {
    struct answer answer =
        server_ask(&server, "GET", ADDRESSES, NULL,
                   "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", NULL, 0);
    ck_assert_str_eq(answer_text(&answer, "kind"), "Table");
    ck_assert_str_eq(answer_text(&answer, "columnDefinitions.1.name"), "ParentRef");
    ck_assert_str_eq(answer_text(&answer, "rows.0.cells.0"), "10.96.0.1");
    ck_assert_str_eq(answer_text(&answer, "rows.0.cells.1"), "services/default/kubernetes");
    answer_free(&answer);
}
END_TEST

static void remember(const char *name, char uid[64], char created[64]) {
    struct answer answer = get(name);
    ck_assert_int_eq(answer.code, 200);
    snprintf(uid, 64, "%s", answer_text(&answer, "metadata.uid"));
    snprintf(created, 64, "%s", answer_text(&answer, "metadata.creationTimestamp"));
    answer_free(&answer);
}

START_TEST(the_uid_stays_with_the_lease_and_never_comes_back) {
    const char *directory = test_directory_make();
    char store[256];
    char uid[3][64];
    char created[3][64];
    snprintf(store, sizeof store, "--store=sqlite:%s/store.db", directory);
    const char *arguments[] = {CLUSTER, store, NULL};
    server = server_start(arguments);
    create("web", "\"clusterIP\":\"10.96.0.9\",");
    remember("10.96.0.9", uid[0], created[0]);
    server_kill(&server);
    server = server_start(arguments);
    remember("10.96.0.9", uid[1], created[1]);
    ck_assert_str_eq(uid[0], uid[1]);
    ck_assert_str_eq(created[0], created[1]);
    delete_service("web");
    create("web", "\"clusterIP\":\"10.96.0.9\",");
    remember("10.96.0.9", uid[2], created[2]);
    ck_assert_str_ne(uid[0], uid[2]);
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("addresses");
    TCase *running = tcase_create("one server");
    TCase *restarting = tcase_create("restarted");
    tcase_add_checked_fixture(running, start, stop);
    tcase_set_timeout(running, 60);
    tcase_set_timeout(restarting, 60);
    tcase_add_test(running, each_cluster_ip_is_an_object_with_its_service_as_parent);
    tcase_add_test(running, node_ports_and_headless_services_have_none);
    tcase_add_test(running, only_the_canonical_text_of_a_held_address_is_a_name);
    tcase_add_test(running, selectors_choose_by_family_and_by_parent);
    tcase_add_test(running, nobody_writes_one_and_the_answer_says_who_does);
    tcase_add_test(running, a_watch_tells_of_each_address_of_one_commit);
    tcase_add_test(running, the_table_shows_name_parent_and_age);
    tcase_add_test(restarting, the_uid_stays_with_the_lease_and_never_comes_back);
    suite_add_tcase(suite, running);
    suite_add_tcase(suite, restarting);
    return test_main(suite);
}
