/* What the API server does with objects itself: defaults, selectors, cells. */
#include "selector.h"
#include "service_rules.h"
#include "support.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

static struct json_object *parse(const char *text) {
    struct text problem = {0};
    struct json_object *value = json_parse(text, strlen(text), &problem);
    ck_assert_msg(value != NULL, "%s: %s", text, problem.data);
    return value;
}

/* --- defaults -----------------------------------------------------------------------------------
 */

static const struct {
    const char *spec, *defaulted;
} defaults[] = {
    {"{\"ports\":[{\"port\":80}]}",
     "{\"type\":\"ClusterIP\",\"sessionAffinity\":\"None\",\"internalTrafficPolicy\":\"Cluster\","
     "\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"targetPort\":80}]}"},
    {"{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"targetPort\":0}]}",
     "{\"type\":\"NodePort\",\"sessionAffinity\":\"None\",\"internalTrafficPolicy\":\"Cluster\","
     "\"externalTrafficPolicy\":\"Cluster\","
     "\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"targetPort\":80}]}"},
    {"{\"type\":\"LoadBalancer\"}",
     "{\"type\":\"LoadBalancer\",\"sessionAffinity\":\"None\",\"internalTrafficPolicy\":"
     "\"Cluster\",\"externalTrafficPolicy\":\"Cluster\",\"allocateLoadBalancerNodePorts\":true}"},
    {"{\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":false}",
     "{\"type\":\"LoadBalancer\",\"sessionAffinity\":\"None\",\"internalTrafficPolicy\":"
     "\"Cluster\",\"externalTrafficPolicy\":\"Cluster\",\"allocateLoadBalancerNodePorts\":false}"},
    {"{\"type\":\"ExternalName\",\"externalName\":\"x\"}",
     "{\"type\":\"ExternalName\",\"externalName\":\"x\",\"sessionAffinity\":\"None\"}"},
    {"{\"sessionAffinity\":\"ClientIP\"}",
     "{\"type\":\"ClusterIP\",\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":"
     "{\"clientIP\":{\"timeoutSeconds\":10800}},\"internalTrafficPolicy\":\"Cluster\"}"},
    {"{\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":5}}}",
     "{\"type\":\"ClusterIP\",\"sessionAffinity\":\"None\",\"internalTrafficPolicy\":"
     "\"Cluster\"}"},
};

START_TEST(what_is_left_out_gets_kubernetes_default) {
    struct json_object *object = json_object_new_object();
    struct json_object *expected = parse(defaults[_i].defaulted);
    json_set(object, "spec", parse(defaults[_i].spec));
    service_default(object);
    ck_assert_msg(json_object_equal(json_member(object, "spec"), expected), "%s",
                  json_line(object, NULL));
    json_object_put(expected);
    json_object_put(object);
}
END_TEST

START_TEST(a_change_of_type_drops_what_was_carried_over_but_not_what_was_asked_for) {
    struct json_object *old =
        parse("{\"spec\":{\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":true,"
              "\"externalTrafficPolicy\":\"Local\",\"loadBalancerClass\":\"a/b\"}}");
    struct json_object *object = json_copy(old);
    struct json_object *spec = json_member(object, "spec");
    json_set_text(spec, "type", "ClusterIP");
    json_set_text(spec, "loadBalancerClass", "c/d");
    service_drop_unneeded(old, object);
    ck_assert_str_eq(json_line(spec, NULL),
                     "{\"type\":\"ClusterIP\",\"loadBalancerClass\":\"c/d\"}");
    json_object_put(old);
    json_object_put(object);
}
END_TEST

/* --- selectors ----------------------------------------------------------------------------------
 */

static const char selected[] =
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"labels\":{\"app\":\"web\",\"tier\":"
    "\"front\",\"empty\":\"\",\"number\":\"4\"}},\"spec\":{\"type\":\"NodePort\",\"clusterIP\":"
    "\"10.96.0.9\"}}";

static const struct {
    const char *namespace, *labels, *fields;
    int matches; /* -1: refused */
} selectors[] = {
    {"", "", "", 1},
    {"shop", NULL, NULL, 1},
    {"sho", NULL, NULL, 0},
    {"", "app=web", NULL, 1},
    {"", "app==web", NULL, 1},
    {"", " app = web , tier = front ", NULL, 1},
    {"", "app=db", NULL, 0},
    {"", "app!=db", NULL, 1},
    {"", "app!=web", NULL, 0},
    {"", "missing!=x", NULL, 1},
    {"", "app in (db,web)", NULL, 1},
    {"", "app in ( web )", NULL, 1},
    {"", "app in (db)", NULL, 0},
    {"", "app notin (db)", NULL, 1},
    {"", "missing notin (db)", NULL, 1},
    {"", "app notin (db,web)", NULL, 0},
    {"", "app", NULL, 1},
    {"", "missing", NULL, 0},
    {"", "!missing", NULL, 1},
    {"", "!app", NULL, 0},
    {"", "empty=", NULL, 1},
    {"", "app=", NULL, 0},
    {"", "app=web,missing", NULL, 0},
    {"", NULL, "metadata.name=web", 1},
    {"", NULL, "metadata.name=web,metadata.namespace=shop", 1},
    {"", NULL, "metadata.name!=web", 0},
    {"", NULL, "spec.type=NodePort,spec.clusterIP=10.96.0.9", 1},
    {"", NULL, "spec.clusterIP=None", 0},
    {"", "app in web", NULL, -1},
    {"", "app in (web", NULL, -1},
    {"", "app=web,,tier", NULL, -1},
    {"", "=web", NULL, -1},
    {"", "number>3", NULL, 1},
    {"", "number>4", NULL, 0},
    {"", "number < 5,number>-1", NULL, 1},
    {"", "number<4", NULL, 0},
    {"", "app>3", NULL, 0},
    {"", "missing<3", NULL, 0},
    {"", "app>web", NULL, -1},
    {"", "app>", NULL, -1},
    {"", NULL, "spec.type>3", -1},
    {"", "app,", NULL, -1},
    {"", ",app", NULL, -1},
    {"", "app=web extra", NULL, -1},
    {"", NULL, "spec.bogus=1", -1},
    {"", NULL, "metadata.name", -1},
    {"", NULL, "metadata.name in (a,b)", -1},
};

START_TEST(selectors_match_as_kubernetes_do) {
    struct text problem = {0};
    struct json_object *object = parse(selected);
    struct selector *selector =
        selector_parse(&resource_services, selectors[_i].namespace, selectors[_i].labels,
                       selectors[_i].fields, &problem);
    if (selectors[_i].matches < 0) {
        ck_assert_ptr_null(selector);
        ck_assert_uint_gt(problem.size, 0);
    } else {
        ck_assert_msg(selector != NULL, "%s", problem.data);
        ck_assert_int_eq(selector_matches(selector, object), selectors[_i].matches);
    }
    selector_free(selector);
    json_object_put(object);
    text_clear(&problem);
}
END_TEST

START_TEST(a_selector_of_too_many_requirements_is_refused) {
    struct text labels = {0};
    struct text problem = {0};
    for (int i = 0; i < 65; i++) {
        text_format(&labels, "%sa%d", i > 0 ? "," : "", i);
    }
    ck_assert_ptr_null(selector_parse(&resource_services, "", labels.data, NULL, &problem));
    ck_assert_ptr_nonnull(strstr(problem.data, "at most 64"));
    text_clear(&labels);
    text_clear(&problem);
}
END_TEST

/* --- tables -------------------------------------------------------------------------------------
 */

static const struct {
    int64_t seconds;
    const char *age;
} ages[] = {
    {-5, "0s"},        {0, "0s"},          {119, "119s"},      {120, "2m"},      {185, "3m5s"},
    {599, "9m59s"},    {600, "10m"},       {10799, "179m"},    {10800, "3h"},    {11100, "3h5m"},
    {28799, "7h59m"},  {28800, "8h"},      {172799, "47h"},    {172800, "2d"},   {176400, "2d1h"},
    {691199, "7d23h"}, {691200, "8d"},     {63071999, "729d"}, {63072000, "2y"}, {63158400, "2y1d"},
    {252288000, "8y"}, {315360000, "10y"},
};

START_TEST(ages_are_written_as_kubectl_does) {
    struct text text = {0};
    table_add_age(&text, ages[_i].seconds);
    ck_assert_str_eq(text.data, ages[_i].age);
    text_clear(&text);
}
END_TEST

static const struct {
    const char *spec, *status;
    const char *type, *cluster_ip, *external_ip, *ports, *selector;
} cells[] = {
    {"{\"type\":\"ClusterIP\",\"clusterIP\":\"10.0.0.1\",\"ports\":[{\"port\":80,\"protocol\":"
     "\"TCP\"},{\"port\":53,\"protocol\":\"UDP\"}],\"selector\":{\"b\":\"2\",\"a\":\"1\"}}",
     "{}", "ClusterIP", "10.0.0.1", "<none>", "80/TCP,53/UDP", "a=1,b=2"},
    {"{\"type\":\"NodePort\",\"clusterIP\":\"10.0.0.1\",\"externalIPs\":[\"1.1.1.1\",\"2.2.2.2\"],"
     "\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"nodePort\":30080}]}",
     "{}", "NodePort", "10.0.0.1", "1.1.1.1,2.2.2.2", "80:30080/TCP", "<none>"},
    {"{\"type\":\"ClusterIP\",\"clusterIP\":\"None\"}", "{}", "ClusterIP", "None", "<none>",
     "<none>", "<none>"},
    {"{\"type\":\"ExternalName\",\"externalName\":\"a.example\"}", "{}", "ExternalName", "<none>",
     "a.example", "<none>", "<none>"},
    {"{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.0.0.1\"}", "{}", "LoadBalancer", "10.0.0.1",
     "<pending>", "<none>", "<none>"},
    {"{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.0.0.1\",\"externalIPs\":[\"1.1.1.1\"]}",
     "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"9.9.9.9\"},{\"hostname\":\"h.example\"}]}}",
     "LoadBalancer", "10.0.0.1", "9.9.9.9,h.example,1.1.1.1", "<none>", "<none>"},
};

START_TEST(cells_say_what_kubectl_prints) {
    struct json_object *object = parse("{\"metadata\":{\"name\":\"web\"}}");
    struct json_object *table = table_new(&resource_services, true, "7");
    json_set(object, "spec", parse(cells[_i].spec));
    json_set(object, "status", parse(cells[_i].status));
    table_add(table, &resource_services, object, TABLE_OBJECT_METADATA);
    struct json_object *row = json_object_array_get_idx(json_member(table, "rows"), 0);
    struct json_object *list = json_member(row, "cells");
    const char *expected[] = {
        "web",           cells[_i].type, cells[_i].cluster_ip, cells[_i].external_ip,
        cells[_i].ports, "<unknown>",    cells[_i].selector};
    ck_assert_uint_eq(json_length(list), 7);
    ck_assert_uint_eq(json_length(json_member(table, "columnDefinitions")), 7);
    for (size_t i = 0; i < 7; i++) {
        ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(list, i)), expected[i]);
    }
    json_object_put(table);
    json_object_put(object);
}
END_TEST

/* --- schema -------------------------------------------------------------------------------------
 */

START_TEST(null_is_as_good_as_left_out_and_order_is_the_tables) {
    struct text unknown = {0};
    struct text problem = {0};
    struct json_object *value =
        parse("{\"spec\":{\"type\":null,\"selector\":{\"z\":\"1\"},\"clusterIP\":\"\"},"
              "\"metadata\":{\"name\":\"a\",\"creationTimestamp\":null,\"selfLink\":\"/x\"},"
              "\"kind\":\"Service\"}");
    struct json_object *object = schema_decode(resource_services.schema, value, &unknown, &problem);
    ck_assert_msg(object != NULL, "%s", problem.data);
    ck_assert_str_eq(json_line(object, NULL),
                     "{\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"clusterIP\":"
                     "\"\",\"selector\":{\"z\":\"1\"}}}");
    ck_assert_uint_eq(unknown.size, 0);
    json_object_put(object);
    json_object_put(value);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver rules");
    TCase *cases_ = tcase_create("rules");
    tcase_add_loop_test(cases_, what_is_left_out_gets_kubernetes_default, 0,
                        (int)(sizeof defaults / sizeof defaults[0]));
    tcase_add_test(cases_, a_change_of_type_drops_what_was_carried_over_but_not_what_was_asked_for);
    tcase_add_loop_test(cases_, selectors_match_as_kubernetes_do, 0,
                        (int)(sizeof selectors / sizeof selectors[0]));
    tcase_add_test(cases_, a_selector_of_too_many_requirements_is_refused);
    tcase_add_loop_test(cases_, ages_are_written_as_kubectl_does, 0,
                        (int)(sizeof ages / sizeof ages[0]));
    tcase_add_loop_test(cases_, cells_say_what_kubectl_prints, 0,
                        (int)(sizeof cells / sizeof cells[0]));
    tcase_add_test(cases_, null_is_as_good_as_left_out_and_order_is_the_tables);
    suite_add_tcase(suite, cases_);
    return test_main(suite);
}
