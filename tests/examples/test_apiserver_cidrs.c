/* ServiceCIDR objects: the ranges of ClusterIPs grow, drain and go while the server runs. */
#include "cidr_client.h"
#include "support.h"
#include "watch_stream.h"

#include <stdio.h>
#include <string.h>

#define JSON "application/json"
#define NOT_YET                                                                           \
    "False Terminating: There are still IPAddresses referencing the ServiceCIDR, please " \
    "remove them or create a new ServiceCIDR: "

static void start_with(const char *cluster) {
    const char *arguments[] = {cluster, "--load-balancer-ip-range=192.0.2.0/24", NULL};
    cidr_server = server_start(arguments);
}

static void start(void) {
    start_with("--service-cluster-ip-range=10.96.0.0/28");
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&cidr_server), 0);
}

static void expect_code(struct answer answer, long code) {
    ck_assert_msg(answer.code == code, "%ld %s", answer.code, answer.text);
    answer_free(&answer);
}

/* --- rules -------------------------------------------------------------------------------------
 */

#define NO_CIDR "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
#define BOTH \
    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"

static const struct {
    const char *cidrs, *field, *message;
} refused[] = {
    {"", "spec.cidrs", "Required value: at least one CIDR required"},
    {"\"10.1.0.0/24\",\"fd00::/64\",\"fd01::/64\"", "spec.cidrs",
     "Invalid value: {\"CIDRs\":[\"10.1.0.0/24\",\"fd00::/64\",\"fd01::/64\"]}: may only hold up "
     "to "
     "2 values"},
    {"\"10.1.0.0/24\",\"10.2.0.0/24\"", "spec.cidrs",
     "Invalid value: {\"CIDRs\":[\"10.1.0.0/24\",\"10.2.0.0/24\"]}: " BOTH},
    {"\"fd00::/64\",\"x\"", "spec.cidrs",
     "Invalid value: {\"CIDRs\":[\"fd00::/64\",\"x\"]}: " BOTH},
    {"\"10.1.0.0\"", "spec.cidrs[0]", "Invalid value: \"10.1.0.0\": " NO_CIDR},
    {"\"10.1.0.0/33\"", "spec.cidrs[0]", "Invalid value: \"10.1.0.0/33\": " NO_CIDR},
    {"\"\"", "spec.cidrs[0]", "Invalid value: \"\": " NO_CIDR},
    {"\"10.1.0.1/24\"", "spec.cidrs[0]",
     "Invalid value: \"10.1.0.1/24\": must not have bits set beyond the prefix length"},
    {"\"10.01.0.0/24\"", "spec.cidrs[0]",
     "Invalid value: \"10.01.0.0/24\": must not have leading 0s in IP or prefix length"},
    {"\"::ffff:10.1.0.0/120\"", "spec.cidrs[0]",
     "Invalid value: \"::ffff:10.1.0.0/120\": must not have an IPv4-mapped IPv6 address"},
    {"\"FD00::/64\"", "spec.cidrs[0]",
     "Invalid value: \"FD00::/64\": must be in canonical form (\"fd00::/64\")"},
    {"\"10.1.0.0/24\",\"fd00:0::/64\"", "spec.cidrs[1]",
     "Invalid value: \"fd00:0::/64\": must be in canonical form (\"fd00::/64\")"},
    {"\"192.0.2.128/25\"", "spec.cidrs[0]",
     "Invalid value: \"192.0.2.128/25\": must not share addresses with 192.0.2.0/24, which "
     "--load-balancer-ip-range gives out"},
    {"\"0.0.0.0/0\"", "spec.cidrs[0]",
     "Invalid value: \"0.0.0.0/0\": must not share addresses with 192.0.2.0/24, which "
     "--load-balancer-ip-range gives out"},
};

START_TEST(a_broken_rule_is_named_with_its_field) {
    char whole[1024];
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct answer answer = cidr_post("bad", refused[i].cidrs);
        snprintf(whole, sizeof whole, "ServiceCIDR.networking.k8s.io \"bad\" is invalid: %s: %s",
                 refused[i].field, refused[i].message);
        ck_assert_msg(answer.code == 422, "%s: %ld %s", refused[i].cidrs, answer.code, answer.text);
        ck_assert_str_eq(answer_text(&answer, "message"), whole);
        ck_assert_str_eq(answer_text(&answer, "reason"), "Invalid");
        ck_assert_str_eq(answer_text(&answer, "details.group"), "networking.k8s.io");
        ck_assert_str_eq(answer_text(&answer, "details.kind"), "ServiceCIDR");
        ck_assert_str_eq(answer_text(&answer, "details.causes.0.field"), refused[i].field);
        answer_free(&answer);
    }
    expect_code(cidr_post("Bad_Name", "\"10.1.0.0/24\""), 422);
    expect_code(cidr_post("kubernetes", "\"10.1.0.0/24\""), 409);
    expect_code(cidr_get("bad"), 404);
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28");
}
END_TEST

START_TEST(cidrs_are_immutable_but_for_a_second_family) {
    static const struct {
        const char *cidrs, *field;
    } changes[] = {
        {"[\"10.1.1.0/24\"]", "spec.cidrs[0]"},
        {"[\"10.1.1.0/24\",\"fd00::/64\"]", "spec.cidrs[0]"},
        {"[]", "spec.cidrs"},
    };
    char patch[128];
    cidr_make("one", "\"10.1.0.0/24\"");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        snprintf(patch, sizeof patch, "{\"spec\":{\"cidrs\":%s}}", changes[i].cidrs);
        struct answer answer = cidr_patch("one", patch);
        ck_assert_msg(answer.code == 422, "%s", answer.text);
        ck_assert_msg(strstr(answer.text, "field is immutable") != NULL, "%s", answer.text);
        ck_assert_msg(strstr(answer.text, changes[i].field) != NULL, "%s", answer.text);
        answer_free(&answer);
    }
    expect_code(cidr_patch("one", "{\"spec\":{\"cidrs\":[\"10.1.0.0/24\",\"fd00::/64\"]}}"), 200);
    ck_assert_str_eq(pool_ranges("services-v6"), "fd00::/64");
    expect_code(cidr_patch("one", "{\"spec\":{\"cidrs\":[\"10.1.0.0/24\"]}}"), 422);
    expect_code(cidr_patch("one", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"), 200);
    ck_assert_str_eq(cidr_ready("one"), "True");
}
END_TEST

START_TEST(a_dry_run_leaves_nothing) {
    static const char body[] =
        "{\"metadata\":{\"name\":\"dry\"},\"spec\":{\"cidrs\":[\"10.1.0.0/24\"]}}";
    expect_code(server_post(&cidr_server, CIDRS "?dryRun=All", body), 201);
    expect_code(cidr_get("dry"), 404);
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28");
    cidr_make("wet", "\"10.1.0.0/24\"");
    expect_code(server_ask(&cidr_server, "DELETE", CIDRS "/wet?dryRun=All", NULL, NULL, NULL, 0),
                200);
    ck_assert_str_eq(cidr_ready("wet"), "True");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.1.0.0/24 10.96.0.0/28");
}
END_TEST

/* --- growing -----------------------------------------------------------------------------------
 */

START_TEST(the_default_object_comes_from_the_flag_and_is_ready) {
    struct answer answer = cidr_get("kubernetes");
    ck_assert_str_eq(answer_text(&answer, "spec.cidrs.0"), "10.96.0.0/28");
    ck_assert_str_eq(answer_text(&answer, "metadata.finalizers.0"),
                     "networking.k8s.io/service-cidr-finalizer");
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.status"), "True");
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.message"),
                     "Kubernetes default Service CIDR is ready");
    answer_free(&answer);
}
END_TEST

START_TEST(a_larger_cidr_extends_the_range_in_place_and_renumbers_nothing) {
    char before[64];
    char after[64];
    char name[16];
    service_make("first", "");
    service_address("first", 0, before);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "s%d", i);
        service_make(name, "");
    }
    ck_assert_int_eq(service_try("late", ""), 500); /* range is full */
    ck_assert_int_eq(service_try("edge", "\"clusterIP\":\"10.96.0.15\","), 422);
    cidr_make("wider", "\"10.96.0.0/24\"");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24");
    service_make("late", "");
    service_make("edge", "\"clusterIP\":\"10.96.0.15\",");
    service_address("first", 0, after);
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(a_second_family_makes_the_cluster_dual_stack_and_the_default_stays) {
    char text[64];
    ck_assert_int_eq(service_try("both", "\"ipFamilyPolicy\":\"RequireDualStack\","), 422);
    cidr_make("six", "\"fd01::/48\"");
    service_make("both", "\"ipFamilyPolicy\":\"RequireDualStack\",");
    service_address("both", 1, text);
    ck_assert_msg(strncmp(text, "fd01:", 5) == 0, "%s", text);
    service_make("four", "");
    service_address("four", 0, text);
    ck_assert_msg(strncmp(text, "10.96.", 6) == 0, "%s", text);
    service_make("far", "\"ipFamilies\":[\"IPv6\"],\"clusterIP\":\"fd01:0:0:ffff::1\",");
    service_remove("both");
    service_remove("far");
    expect_code(cidr_delete("six"), 200);
    cidr_expect_gone("six");
    ck_assert_int_eq(service_try("again", "\"ipFamilyPolicy\":\"RequireDualStack\","), 422);
}
END_TEST

START_TEST(a_cidr_without_a_usable_address_says_so) {
    struct answer answer = cidr_post("tiny", "\"10.1.0.0/31\"");
    ck_assert_int_eq(answer.code, 201);
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.status"), "False");
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.reason"), "NoUsableAddress");
    answer_free(&answer);
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28");
    expect_code(cidr_delete("tiny"), 200);
    cidr_expect_gone("tiny");
}
END_TEST

/* --- going -------------------------------------------------------------------------------------
 */

START_TEST(what_holds_nothing_goes_at_once) {
    cidr_make("idle", "\"10.97.0.0/24\"");
    struct answer answer = cidr_delete("idle");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "status"), "Success");
    ck_assert_str_eq(answer_text(&answer, "details.kind"), "servicecidrs");
    answer_free(&answer);
    expect_code(cidr_get("idle"), 404);
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28");
    cidr_make("idle", "\"10.97.0.0/24\""); /* and may come back */
}
END_TEST

START_TEST(a_deleted_cidr_waits_for_its_addresses_and_says_whose_they_are) {
    cidr_make("more", "\"10.97.0.0/24\"");
    service_make("a", "\"clusterIP\":\"10.97.0.5\",");
    service_make("b", "\"clusterIP\":\"10.97.0.6\",");
    struct answer answer = cidr_delete("more");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "kind"), "ServiceCIDR");
    ck_assert_str_ne(answer_text(&answer, "metadata.deletionTimestamp"), "");
    answer_free(&answer);
    ck_assert_str_eq(cidr_ready("more"), NOT_YET
                     "2 addresses: 10.97.0.5 (Service default/a), 10.97.0.6 (Service default/b)");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28 10.97.0.0/24!");
    ck_assert_int_eq(service_try("c", "\"clusterIP\":\"10.97.0.7\","), 422);
    service_remove("a");
    ck_assert_int_eq(service_try("a", "\"clusterIP\":\"10.97.0.5\","), 422);
    service_remove("b");
    cidr_expect_gone("more");
    pool_expect("services-v4", "10.96.0.0/28");
}
END_TEST

START_TEST(many_holders_are_counted_and_some_are_named) {
    char name[16];
    char spec[64];
    cidr_make("more", "\"10.97.0.0/24\"");
    for (int i = 1; i <= 5; i++) {
        snprintf(name, sizeof name, "s%d", i);
        snprintf(spec, sizeof spec, "\"clusterIP\":\"10.97.0.%d\",", i);
        service_make(name, spec);
    }
    expect_code(cidr_delete("more"), 200);
    ck_assert_str_eq(cidr_ready("more"),
                     NOT_YET "5 addresses: 10.97.0.1 (Service default/s1), 10.97.0.2 (Service "
                             "default/s2), 10.97.0.3 (Service default/s3), ...");
}
END_TEST

START_TEST(becoming_an_external_name_releases_too) {
    cidr_make("more", "\"10.97.0.0/24\"");
    service_make("a", "\"clusterIP\":\"10.97.0.5\",");
    expect_code(cidr_delete("more"), 200);
    static const char patch[] =
        "{\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"example.org\",\"ports\":null,"
        "\"clusterIP\":null,\"clusterIPs\":null,\"ipFamilies\":null,\"ipFamilyPolicy\":null}}";
    expect_code(server_ask(&cidr_server, "PATCH", SERVICES "/a", "application/merge-patch+json",
                           NULL, patch, strlen(patch)),
                200);
    cidr_expect_gone("more");
}
END_TEST

START_TEST(addresses_that_another_cidr_serves_hold_nothing_back) {
    cidr_make("whole", "\"10.97.0.0/24\"");
    cidr_make("twin", "\"10.97.0.0/24\"");
    cidr_make("part", "\"10.97.0.0/28\"");
    service_make("a", "\"clusterIP\":\"10.97.0.5\",");
    service_make("b", "\"clusterIP\":\"10.97.0.99\",");
    expect_code(cidr_delete("twin"), 200);
    expect_code(cidr_get("twin"), 404);
    expect_code(cidr_delete("whole"), 200); /* a is served by part, b by nothing else */
    ck_assert_str_eq(cidr_ready("whole"), NOT_YET "1 address: 10.97.0.99 (Service default/b)");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28 10.97.0.0/28 10.97.0.64/26!");
    service_make("c", "\"clusterIP\":\"10.97.0.6\",");
    cidr_make("rescue", "\"10.97.0.0/16\"");
    cidr_expect_gone("whole");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28 10.97.0.0/16");
}
END_TEST

START_TEST(an_end_of_the_smaller_range_that_is_held_waits_as_well) {
    cidr_make("wider", "\"10.96.0.0/24\"");
    service_make("edge", "\"clusterIP\":\"10.96.0.15\",");
    expect_code(cidr_delete("wider"), 200);
    ck_assert_str_eq(cidr_ready("wider"), NOT_YET "1 address: 10.96.0.15 (Service default/edge)");
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28 10.96.0.15/32!");
    service_remove("edge");
    cidr_expect_gone("wider");
    pool_expect("services-v4", "10.96.0.0/28");
}
END_TEST

static void patch_service(const char *name, const char *patch) {
    char path[128];
    snprintf(path, sizeof path, SERVICES "/%s", name);
    expect_code(server_ask(&cidr_server, "PATCH", path, "application/merge-patch+json", NULL, patch,
                           strlen(patch)),
                200);
}

START_TEST(a_service_keeps_its_draining_addresses_through_changes) {
    char address[64];
    cidr_make("more", "\"10.97.0.0/24\",\"fd01::/64\"");
    service_make("a", "\"ipFamilyPolicy\":\"RequireDualStack\",\"clusterIP\":\"10.97.0.5\","
                      "\"clusterIPs\":[\"10.97.0.5\",\"fd01::5\"],");
    expect_code(cidr_delete("more"), 200);
    expect_code(cidr_patch("more", "{\"metadata\":{\"finalizers\":null}}"), 200);
    expect_code(cidr_get("more"), 404); /* not even an object has the second family now */
    patch_service("a", "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}");
    patch_service("a", "{\"spec\":{\"type\":\"NodePort\"}}");
    service_address("a", 0, address);
    ck_assert_str_eq(address, "10.97.0.5");
    service_address("a", 1, address);
    ck_assert_str_eq(address, "fd01::5");
    patch_service("a", "{\"spec\":{\"ipFamilyPolicy\":\"SingleStack\"}}");
    long answer = service_try("b", "\"ipFamilies\":[\"IPv6\"],");
    for (int i = 0; answer == 500 && i < 1000; i++) { /* full, until its end has been noticed */
        pause_shortly();
        answer = service_try("b", "\"ipFamilies\":[\"IPv6\"],");
    }
    ck_assert_int_eq(answer, 422);
    service_remove("a");
    pool_expect("services-v4", "10.96.0.0/28");
}
END_TEST

START_TEST(without_its_finalizer_it_goes_and_what_is_held_stays_held) {
    cidr_make("more", "\"10.97.0.0/24\"");
    service_make("a", "\"clusterIP\":\"10.97.0.5\",");
    expect_code(cidr_patch("more", "{\"metadata\":{\"finalizers\":null}}"), 200);
    struct answer answer = cidr_get("more"); /* while it lives it gets it back */
    ck_assert_str_ne(answer_text(&answer, "metadata.finalizers.0"), "");
    answer_free(&answer);
    expect_code(cidr_delete("more"), 200);
    answer = cidr_patch("more", "{\"metadata\":{\"finalizers\":null}}");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "kind"), "ServiceCIDR"); /* as it was left */
    answer_free(&answer);
    expect_code(cidr_get("more"), 404);
    ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/28 10.97.0.0/24!");
    expect_code(server_get(&cidr_server, "/apis/networking.k8s.io/v1/ipaddresses/10.97.0.5"), 200);
    service_remove("a");
    pool_expect("services-v4", "10.96.0.0/28");
}
END_TEST

START_TEST(somebody_else_s_finalizer_keeps_it_as_well) {
    static const char body[] =
        "{\"metadata\":{\"name\":\"kept\",\"finalizers\":[\"example.org/x\"]},"
        "\"spec\":{\"cidrs\":[\"10.97.0.0/24\"]}}";
    expect_code(server_post(&cidr_server, CIDRS, body), 201);
    expect_code(cidr_delete("kept"), 200);
    expect_code(cidr_get("kept"), 200);
    ck_assert_int_eq(service_try("a", "\"clusterIP\":\"10.97.0.5\","), 422);
    expect_code(cidr_patch("kept", "{\"metadata\":{\"finalizers\":null}}"), 200);
    expect_code(cidr_get("kept"), 404);
}
END_TEST

START_TEST(the_default_object_comes_back) {
    cidr_make("wider", "\"10.96.0.0/24\"");
    struct answer answer = cidr_get("kubernetes");
    char uid[64];
    snprintf(uid, sizeof uid, "%s", answer_text(&answer, "metadata.uid"));
    answer_free(&answer);
    answer = cidr_delete("kubernetes");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "details.uid"), uid); /* that one is what is gone */
    answer_free(&answer);
    answer = cidr_get("kubernetes");
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_ne(answer_text(&answer, "metadata.uid"), uid);
    ck_assert_str_eq(answer_text(&answer, "metadata.deletionTimestamp"), "");
    answer_free(&answer);
}
END_TEST

START_TEST(a_watch_sees_a_cidr_come_get_ready_drain_and_go) {
    struct stream stream =
        stream_open(&cidr_server, CIDRS, "fieldSelector=metadata.name%3Dmore", JSON);
    cidr_make("more", "\"10.97.0.0/24\"");
    stream_expect(&stream, "ADDED", "more");
    stream_expect(&stream, "MODIFIED", "more"); /* Ready */
    service_make("a", "\"clusterIP\":\"10.97.0.5\",");
    expect_code(cidr_delete("more"), 200);
    stream_expect(&stream, "MODIFIED", "more"); /* to be deleted */
    stream_expect(&stream, "MODIFIED", "more"); /* not Ready */
    service_remove("a");
    stream_expect(&stream, "DELETED", "more");
    stream_close(&stream);
}
END_TEST

START_TEST(the_table_shows_the_cidrs) {
    cidr_make("two", "\"10.1.0.0/24\",\"fd01::/64\"");
    struct answer answer =
        server_ask(&cidr_server, "GET", CIDRS, NULL,
                   "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", NULL, 0);
    ck_assert_str_eq(answer_text(&answer, "columnDefinitions.1.name"), "CIDRs");
    ck_assert_str_eq(answer_text(&answer, "rows.1.cells.0"), "two");
    ck_assert_str_eq(answer_text(&answer, "rows.1.cells.1"), "10.1.0.0/24,fd01::/64");
    answer_free(&answer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("service cidrs");
    TCase *cases = tcase_create("service cidrs");
    tcase_add_checked_fixture(cases, start, stop);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_broken_rule_is_named_with_its_field);
    tcase_add_test(cases, cidrs_are_immutable_but_for_a_second_family);
    tcase_add_test(cases, a_dry_run_leaves_nothing);
    tcase_add_test(cases, the_default_object_comes_from_the_flag_and_is_ready);
    tcase_add_test(cases, a_larger_cidr_extends_the_range_in_place_and_renumbers_nothing);
    tcase_add_test(cases, a_second_family_makes_the_cluster_dual_stack_and_the_default_stays);
    tcase_add_test(cases, a_cidr_without_a_usable_address_says_so);
    tcase_add_test(cases, what_holds_nothing_goes_at_once);
    tcase_add_test(cases, a_deleted_cidr_waits_for_its_addresses_and_says_whose_they_are);
    tcase_add_test(cases, many_holders_are_counted_and_some_are_named);
    tcase_add_test(cases, becoming_an_external_name_releases_too);
    tcase_add_test(cases, addresses_that_another_cidr_serves_hold_nothing_back);
    tcase_add_test(cases, an_end_of_the_smaller_range_that_is_held_waits_as_well);
    tcase_add_test(cases, a_service_keeps_its_draining_addresses_through_changes);
    tcase_add_test(cases, without_its_finalizer_it_goes_and_what_is_held_stays_held);
    tcase_add_test(cases, somebody_else_s_finalizer_keeps_it_as_well);
    tcase_add_test(cases, the_default_object_comes_back);
    tcase_add_test(cases, a_watch_sees_a_cidr_come_get_ready_drain_and_go);
    tcase_add_test(cases, the_table_shows_the_cidrs);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
