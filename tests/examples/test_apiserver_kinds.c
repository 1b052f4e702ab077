/* What Pods, Nodes, Secrets, ConfigMaps and Events may not say, and what is told of it; see
 * kind_client.h. Ingresses and slices have a program each. */
#include "kind_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Pod -------------------------------------------------------------------------------------- */

#define CONTAINERS(containers) "'spec':{'containers':[" containers "]}"
#define POD_PORTS(ports)       CONTAINERS("{'name':'c','ports':[" ports "]}")
#define FIRST_PORT             "spec.containers[0].ports[0]"
#define NO_OTHER_FIELDS                                                                            \
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"    \
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "        \
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set " \
    "to 1 if it was previously negative)"

static const struct row pod_rows[] = {
    {&pods, NULL, "", "Required", "spec.containers: Required value"},
    {&pods, NULL, CONTAINERS("{'image':'a'}"), "Required",
     "spec.containers[0].name: Required value"},
    {&pods, NULL, CONTAINERS("{'name':'A b'}"), "Invalid",
     "spec.containers[0].name: Invalid value: \"A b\": " LABEL},
    {&pods, NULL, CONTAINERS("{'name':'c'},{'name':'c'}"), "Duplicate",
     "spec.containers[1].name: Duplicate value: \"c\""},
    {&pods, NULL, POD_PORTS("{}"), "Required", FIRST_PORT ".containerPort: Required value"},
    {&pods, NULL, POD_PORTS("{'containerPort':70000}"), "Invalid",
     FIRST_PORT ".containerPort: Invalid value: 70000: " PORT_RANGE},
    {&pods, NULL, POD_PORTS("{'containerPort':1,'hostPort':-1}"), "Invalid",
     FIRST_PORT ".hostPort: Invalid value: -1: " PORT_RANGE},
    {&pods, NULL, POD_PORTS("{'containerPort':1,'protocol':'QUIC'}"), "NotSupported",
     FIRST_PORT ".protocol: Unsupported value: \"QUIC\": " PROTOCOLS},
    {&pods, NULL, POD_PORTS("{'containerPort':1,'name':'80'}"), "Invalid",
     FIRST_PORT ".name: Invalid value: \"80\": must contain at least one letter (a-z)"},
    {&pods, NULL, POD_PORTS("{'containerPort':1,'name':'a'},{'containerPort':2,'name':'a'}"),
     "Duplicate", "spec.containers[0].ports[1].name: Duplicate value: \"a\""},
    {&pods, NULL, "'spec':{'containers':[{'name':'c'}],'restartPolicy':'Sometimes'}",
     "NotSupported",
     "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
     "\"OnFailure\", \"Never\""},
    {&pods, NULL, "'spec':{'containers':[{'name':'c'}],'nodeName':'A'}", "Invalid",
     "spec.nodeName: Invalid value: \"A\": " SUBDOMAIN},
    {&pods, NULL, "'spec':{'containers':[{'name':'c'}],'terminationGracePeriodSeconds':-2}",
     "Invalid",
     "spec.terminationGracePeriodSeconds: Invalid value: -2: must be greater than or equal to 0"},
    /* Kubernetes adds what differs, as Go prints it. */
    {&pods, CONTAINERS("{'name':'c'}"), "'spec':{'nodeName':'n'}", "Forbidden", NO_OTHER_FIELDS},
    {&pods, POD_PORTS("{'containerPort':1}"), POD_PORTS("{'containerPort':2}"), "Forbidden",
     NO_OTHER_FIELDS},
    {&pods, CONTAINERS("{'name':'c'}"), CONTAINERS("{'name':'c'},{'name':'d'}"), "Forbidden",
     "spec.containers: Forbidden: pod updates may not add or remove containers"},
    {&pods, CONTAINERS("{'name':'c'}"), "'metadata':{'labels':{'app':'not valid'}}", "Invalid",
     "metadata.labels: Invalid value: \"not valid\": a valid label must be an empty string or "
     "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
     "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
     "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
};

START_TEST(pods_are_refused) {
    EXPECT_EACH(pod_rows);
}
END_TEST

/* Kubernetes takes addresses that no slice takes: a Service would keep its old endpoints. */
START_TEST(a_pods_addresses_can_be_endpoints) {
    static const struct row rows[] = {
        {&pods, NULL, "'status':{'podIP':'10.1.0.256'}", "Invalid",
         "status.podIP: Invalid value: \"10.1.0.256\": " NO_ADDRESS},
        {&pods, NULL, "'status':{'podIPs':[{'ip':'10.1.0.1'},{'ip':'127.0.0.1'}]}", "Invalid",
         "status.podIPs[1].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range "
         "(127.0.0.0/8, ::1/128)"},
    };
    must_make(&pods, CONTAINERS("{'name':'c'}"));
    expect_each_status(rows, sizeof rows / sizeof rows[0]);
    must_remove(&pods);
}
END_TEST

/* The parts of a Pod that are kept unread may be anything: they were a way to end the server. */
START_TEST(what_a_pod_leaves_open_may_have_any_shape) {
    static const char *const shapes[] = {"1", "'a'", "[]", "[1,'a',null,[]]", "[{'image':1}]"};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        char fields[256];
        snprintf(fields, sizeof fields,
                 "'spec':{'containers':[{'name':'c'}],'initContainers':%s,'volumes':%s}", shapes[i],
                 shapes[i]);
        must_make(&pods, fields);
        struct answer answer = change(&pods, "", "'metadata':{'labels':{'a':'b'}}");
        ck_assert_msg(answer.code == 200, "%s: %s", fields, answer.text);
        answer_free(&answer);
        must_remove(&pods);
    }
}
END_TEST

START_TEST(a_pods_image_may_change) {
    must_make(&pods, CONTAINERS("{'name':'c','image':'a:1'}"));
    struct answer answer = change(&pods, "", CONTAINERS("{'name':'c','image':'a:2'}"));
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    ck_assert_str_eq(answer_text(&answer, "spec.containers.0.image"), "a:2");
    answer_free(&answer);
    must_remove(&pods);
}
END_TEST

/* --- Node ------------------------------------------------------------------------------------- */

static const struct row node_rows[] = {
    {&nodes, NULL, "'spec':{'podCIDRs':['10.0.0.1/24']}", "Invalid",
     "spec.podCIDRs[0]: Invalid value: \"10.0.0.1/24\": must be a valid CIDR value, (e.g. "
     "10.9.8.0/24 or 2001:db8::/64)"},
    {&nodes, NULL, "'spec':{'podCIDRs':['10.0.0.0/24','10.0.1.0/24']}", "Invalid",
     "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than "
     "one CIDR for each IP family"},
    {&nodes, "'spec':{'podCIDRs':['10.0.0.0/24'],'providerID':'a'}",
     "'spec':{'podCIDRs':['10.0.1.0/24'],'providerID':'b'}", "Forbidden Forbidden",
     "[spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid, "
     "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to "
     "valid]"},
};

START_TEST(nodes_are_refused) {
    EXPECT_EACH(node_rows);
}
END_TEST

/* Kubernetes takes any text. */
START_TEST(a_nodes_addresses_are_addresses) {
    static const struct row row = {
        &nodes, NULL, "'status':{'addresses':[{'type':'InternalIP','address':'node'}]}", "Invalid",
        "status.addresses[0].address: Invalid value: \"node\": " NO_ADDRESS};
    must_make(&nodes, "");
    struct answer answer = change(&nodes, "/status", row.fields);
    expect_refusal(&answer, &row);
    must_remove(&nodes);
}
END_TEST

/* --- Secret and ConfigMap --------------------------------------------------------------------- */

#define TYPE(type) "'type':'kubernetes.io/" type "'"

static const struct row data_rows[] = {
    {&secrets, NULL, "'data':{'a/b':''}", "Invalid", "data[a/b]: Invalid value: \"a/b\": " KEY},
    {&secrets, NULL, "'stringData':{'..':'a'}", "Invalid",
     "data[..]: Invalid value: \"..\": must not be '..'"},
    {&secrets, NULL, "'stringData':{'..a':'a'}", "Invalid",
     "data[..a]: Invalid value: \"..a\": must not start with '..'"},
    {&secrets, NULL, TYPE("tls"), "Required Required",
     "[data[tls.crt]: Required value, data[tls.key]: Required value]"},
    {&secrets, NULL, TYPE("tls") ",'data':{'tls.crt':''}", "Required",
     "data[tls.key]: Required value"},
    {&secrets, NULL, TYPE("basic-auth"), "Required Required",
     "[data[username]: Required value, data[password]: Required value]"},
    {&secrets, NULL, TYPE("ssh-auth"), "Required", "data[ssh-privatekey]: Required value"},
    {&secrets, NULL, TYPE("dockerconfigjson"), "Required",
     "data[.dockerconfigjson]: Required value"},
    {&secrets, "'type':'a'", "'type':'b'", "Invalid",
     "type: Invalid value: \"b\": field is immutable"},
    {&secrets, "'immutable':true", "'immutable':false,'stringData':{'a':'b'}",
     "Forbidden Forbidden", "[immutable: " IMMUTABLE ", data: " IMMUTABLE "]"},
    /* what an update may not is told first */
    {&secrets, "'immutable':true", "'stringData':{'a/b':'c'}", "Forbidden Invalid",
     "[data: " IMMUTABLE ", data[a/b]: Invalid value: \"a/b\": " KEY "]"},
    {&config_maps, NULL, "'data':{'':'a'}", "Invalid", "data[]: Invalid value: \"\": " KEY},
    {&config_maps, NULL, "'data':{'a b':'a'},'binaryData':{'c d':''}", "Invalid Invalid",
     "[data[a b]: Invalid value: \"a b\": " KEY ", binaryData[c d]: Invalid value: \"c d\": " KEY
     "]"},
    {&config_maps, NULL, "'data':{'a':'b'},'binaryData':{'a':'YQ=='}", "Invalid",
     "data[a]: Invalid value: \"a\": duplicate of key present in binaryData"},
    {&config_maps, "'immutable':true,'data':{'a':'b'}",
     "'immutable':null,'data':{'a':'c'},'binaryData':{'d':'YQ=='}", "Forbidden Forbidden Forbidden",
     "[immutable: " IMMUTABLE ", data: " IMMUTABLE ", binaryData: " IMMUTABLE "]"},
};

START_TEST(data_is_refused) {
    EXPECT_EACH(data_rows);
}
END_TEST

/* 400, as for any field of a wrong type. */
START_TEST(data_that_is_not_base64_is_refused) {
    static const struct {
        const struct kind *kind;
        const char *fields, *message;
    } rows[] = {
        {&secrets, "'data':{'a':'plain text'}",
         "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input "
         "byte 5"},
        {&config_maps, "'binaryData':{'a':'YWI'}",
         "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: illegal base64 data at "
         "input byte 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = create(rows[i].kind, rows[i].fields);
        ck_assert_int_eq(answer.code, 400);
        ck_assert_str_eq(answer_text(&answer, "reason"), "BadRequest");
        ck_assert_str_eq(answer_text(&answer, "message"), rows[i].message);
        answer_free(&answer);
    }
}
END_TEST

/* As `base64` writes it, in lines. */
START_TEST(base64_may_have_line_ends) {
    struct answer answer = create(&secrets, "'data':{'a':'YWJj\\r\\nZGVm\\n','b':''}");
    ck_assert_msg(answer.code == 201, "%s", answer.text);
    ck_assert_str_eq(answer_text(&answer, "data.a"), "YWJjZGVm");
    answer_free(&answer);
    must_remove(&secrets);
}
END_TEST

/* A text of that many bytes as the one value of the object's data. */
static struct answer create_with_bytes(const struct kind *kind, const char *member, size_t size) {
    char *body = malloc(size + 128);
    int before = snprintf(body, 128, "{'metadata':{'name':'x'},'%s':{'a':'", member);
    memset(body + before, 'a', size);
    snprintf(body + before + size, 8, "'}}");
    struct answer answer = ask("POST", kind->path, "application/json", body);
    free(body);
    return answer;
}

/* What lies between is 413: the store takes one MiB with base64 and all else. */
START_TEST(data_has_at_most_one_mebibyte) {
    static const struct {
        const char *member;
        struct row row;
    } rows[] = {
        {"stringData",
         {&secrets, NULL, "", "TooLong", "data: Too long: may not be more than 1048576 bytes"}},
        {"data",
         {&config_maps, NULL, "", "TooLong", "[]: Too long: may not be more than 1048576 bytes"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = create_with_bytes(rows[i].row.kind, rows[i].member, 700 << 10);
        ck_assert_msg(answer.code == 201, "%.200s", answer.text);
        answer_free(&answer);
        must_remove(rows[i].row.kind);
        answer = create_with_bytes(rows[i].row.kind, rows[i].member, 1 << 20);
        ck_assert_int_eq(answer.code, 413);
        answer_free(&answer);
        answer = create_with_bytes(rows[i].row.kind, rows[i].member, (1 << 20) + 1);
        expect_refusal(&answer, &rows[i].row);
    }
}
END_TEST

/* --- Event ------------------------------------------------------------------------------------ */

static const struct kind shop_events = {"Event", "/api/v1/namespaces/shop/events"};

#define NO_MATCH "does not match event.namespace"

static const struct row event_rows[] = {
    {&events, NULL, "'involvedObject':{'namespace':'shop'}", "Invalid",
     "involvedObject.namespace: Invalid value: \"shop\": " NO_MATCH},
    {&shop_events, NULL, "'involvedObject':{'name':'a'}", "Invalid",
     "involvedObject.namespace: Invalid value: \"\": " NO_MATCH},
    {&events, NULL, "'eventTime':'2024-01-01T00:00:00.000000Z','reportingComponent':'a'",
     "Required Required Required",
     "[reportingInstance: Required value, action: Required value, reason: Required value]"},
    /* Kubernetes asks it of events.k8s.io alone. */
    {&events, NULL, "'type':'Error'", "NotSupported",
     "type: Unsupported value: \"Error\": supported values: \"Normal\", \"Warning\""},
};

START_TEST(events_are_refused) {
    struct answer answer =
        ask("POST", "/api/v1/namespaces", "application/json", "{'metadata':{'name':'shop'}}");
    ck_assert_int_eq(answer.code, 201);
    answer_free(&answer);
    EXPECT_EACH(event_rows);
}
END_TEST

/* --- every kind ------------------------------------------------------------------------------- */

/* As Go reads it: `key:` without a value in a manifest. */
START_TEST(null_is_an_empty_text) {
    struct answer answer = create(&config_maps, "'data':{'a':null},'binaryData':{'b':null}");
    ck_assert_msg(answer.code == 201, "%s", answer.text);
    ck_assert_str_eq(answer_text(&answer, "data"), "{ \"a\": \"\" }");
    answer_free(&answer);
    must_remove(&config_maps);
}
END_TEST

START_TEST(a_wrong_type_is_named_with_its_field) {
    static const struct {
        const struct kind *kind;
        const char *fields, *problem;
    } rows[] = {
        {&config_maps, "'data':{'a':1}", "number into field data of type string"},
        {&config_maps, "'data':[]", "array into field data of type map[string]string"},
        {&config_maps, "'immutable':'yes'", "string into field immutable of type bool"},
        {&secrets, "'data':{'a':true}", "bool into field data of type string"},
        {&pods, "'spec':{'containers':{}}", "object into field spec.containers of type Container"},
        {&pods, "'spec':{'containers':[{'ports':[{'containerPort':'80'}]}]}",
         "string into field spec.containers[0].ports[0].containerPort of type int32"},
        {&ingresses, "'spec':{'rules':[1]}", "number into field spec.rules of type IngressRule"},
        {&classes, "'spec':{'parameters':{'kind':1}}",
         "number into field spec.parameters.kind of type string"},
        {&slices, "'endpoints':[{'addresses':[1]}]",
         "number into field endpoints[0].addresses of type string"},
        {&slices, "'endpoints':[{'hints':{'forZones':'a'}}]",
         "string into field endpoints[0].hints.forZones of type ForZone"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[256];
        struct answer answer = create(rows[i].kind, rows[i].fields);
        snprintf(expected, sizeof expected, "json: cannot unmarshal %s", rows[i].problem);
        ck_assert_msg(answer.code == 400, "%s: %ld", rows[i].fields, answer.code);
        const char *problem = strstr(answer_text(&answer, "message"), "json: ");
        ck_assert_str_eq(problem != NULL ? problem : "", expected);
        answer_free(&answer);
    }
}
END_TEST

/* One Event or Pod with a time that is none would be the end of every Go client's list. */
START_TEST(a_time_that_is_none_is_refused) {
    static const struct {
        const struct kind *kind;
        const char *fields, *problem;
    } rows[] = {
        {&events, "'lastTimestamp':'yesterday'",
         "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\""},
        {&events, "'eventTime':'2024-01-01T00:00:00Z'",
         "parsing time \"2024-01-01T00:00:00Z\" as \"2006-01-02T15:04:05.000000Z07:00\""},
        {&pods,
         "'status':{'conditions':[{'type':'Ready','lastTransitionTime':'2024-02-30T00:00:00Z'"
         "}]}",
         "parsing time \"2024-02-30T00:00:00Z\" as \"2006-01-02T15:04:05Z07:00\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = create(rows[i].kind, rows[i].fields);
        ck_assert_msg(answer.code == 400, "%s: %ld", rows[i].fields, answer.code);
        const char *problem = strstr(answer_text(&answer, "message"), "parsing time");
        ck_assert_str_eq(problem != NULL ? problem : "", rows[i].problem);
        answer_free(&answer);
    }
}
END_TEST

/* Each is told with the whole list: ten thousand took minutes. */
START_TEST(many_owners_that_control_it_are_refused_at_once) {
    char *body = repeated("{'metadata':{'name':'x','ownerReferences':[",
                          "{'apiVersion':'v1','kind':'K','name':'n','uid':'u','controller':true}",
                          10000, "]}}");
    struct answer answer = ask("POST", config_maps.path, "application/json", body);
    ck_assert_int_eq(answer.code, 422);
    ck_assert_str_eq(answer_text(&answer, "details.causes.0.field"), "metadata.ownerReferences");
    ck_assert_str_eq(answer_text(&answer, "details.causes.32.field"), "");
    answer_free(&answer);
    free(body);
}
END_TEST

START_TEST(a_name_is_a_subdomain_in_every_kind) {
    static const struct kind *const kinds[] = {
        &pods, &nodes, &endpoints, &slices, &ingresses, &classes, &secrets, &config_maps, &events};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct answer answer = ask("POST", kinds[i]->path, "application/json",
                                   "{'metadata':{'name':'Upper','generateName':'Base-'}}");
        ck_assert_int_eq(answer.code, 422);
        ck_assert_str_eq(answer_text(&answer, "details.causes.0.field"), "metadata.generateName");
        ck_assert_str_eq(answer_text(&answer, "details.causes.0.message"),
                         "Invalid value: \"Base-\": " SUBDOMAIN);
        ck_assert_str_eq(answer_text(&answer, "details.causes.1.field"), "metadata.name");
        ck_assert_str_eq(answer_text(&answer, "details.causes.1.message"),
                         "Invalid value: \"Upper\": " SUBDOMAIN);
        answer_free(&answer);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kinds");
    TCase *cases = tcase_create("kinds");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, kinds_start, kinds_stop);
    tcase_add_test(cases, pods_are_refused);
    tcase_add_test(cases, a_pods_addresses_can_be_endpoints);
    tcase_add_test(cases, what_a_pod_leaves_open_may_have_any_shape);
    tcase_add_test(cases, a_pods_image_may_change);
    tcase_add_test(cases, nodes_are_refused);
    tcase_add_test(cases, a_nodes_addresses_are_addresses);
    tcase_add_test(cases, data_is_refused);
    tcase_add_test(cases, data_that_is_not_base64_is_refused);
    tcase_add_test(cases, base64_may_have_line_ends);
    tcase_add_test(cases, data_has_at_most_one_mebibyte);
    tcase_add_test(cases, events_are_refused);
    tcase_add_test(cases, null_is_an_empty_text);
    tcase_add_test(cases, a_wrong_type_is_named_with_its_field);
    tcase_add_test(cases, a_time_that_is_none_is_refused);
    tcase_add_test(cases, many_owners_that_control_it_are_refused_at_once);
    tcase_add_test(cases, a_name_is_a_subdomain_in_every_kind);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
