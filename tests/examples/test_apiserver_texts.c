/*
 * What a client is told when a Service is refused, over HTTP: the whole Status, to the letter of
 * kube-apiserver 1.36's. Where ours says more ("held by ...") or something clearer, the row says
 * so.
 */
#include "service_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INVALID "FieldValueInvalid "
#define PORTS   "'ports':[{'port':80}]"
#define BOTH    "'ipFamilyPolicy':'RequireDualStack',"
#define LOCAL   "'type':'LoadBalancer','externalTrafficPolicy':'Local',"

static struct server_process server;

static void start(const char *range, const char *ports) {
    char range_flag[128];
    char ports_flag[128];
    snprintf(range_flag, sizeof range_flag, "--service-cluster-ip-range=%s", range);
    snprintf(ports_flag, sizeof ports_flag, "--service-node-port-range=%s", ports);
    const char *arguments[] = {range_flag, ports_flag, NULL};
    server = server_start(arguments);
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

/* One refusal. */
struct row {
    const char *before; /* the Service that the change is a merge patch of; NULL: a create */
    const char *spec;
    const char *causes;  /* "reason field" of each, joined by "; " */
    const char *message; /* after `Service "x" is invalid: ` */
};

/* The causes as the row writes them, and their texts as the message joins them. */
static void read_causes(const struct answer *answer, char *causes, char *joined, size_t capacity) {
    size_t count = 0;
    causes[0] = '\0';
    joined[0] = '\0';
    for (;; count++) {
        char path[64];
        snprintf(path, sizeof path, "details.causes.%zu.reason", count);
        const char *reason = answer_text(answer, path);
        if (reason[0] == '\0') {
            break;
        }
        size_t at = strlen(causes);
        snprintf(path, sizeof path, "details.causes.%zu.field", count);
        const char *field = answer_text(answer, path);
        snprintf(causes + at, capacity - at, "%s%s %s", count > 0 ? "; " : "", reason, field);
        at = strlen(joined);
        snprintf(path, sizeof path, "details.causes.%zu.message", count);
        snprintf(joined + at, capacity - at, "%s%s: %s", count > 0 ? ", " : "", field,
                 answer_text(answer, path));
    }
    if (count > 1) {
        char list[4096];
        snprintf(list, sizeof list, "[%s]", joined);
        snprintf(joined, capacity, "%s", list);
    }
}

/* The holder's UID is not the same twice: cut it. */
static char *without_uid(const char *text, char *out, size_t capacity) {
    snprintf(out, capacity, "%s", text);
    char *holder = strstr(out, "(held by Service/");
    char *end = holder == NULL ? NULL : strchr(holder, ')');
    if (end != NULL) {
        char *uid = end;
        while (*uid != '/') {
            uid--;
        }
        ck_assert_int_eq(end - uid, 1 + 36);
        memmove(uid, end, strlen(end) + 1);
    }
    return out;
}

static void expect_refused(const struct row *row) {
    char expected[4096];
    char causes[4096];
    char joined[4096];
    char seen[4096];
    if (row->before != NULL) {
        must_create(&server, "x", row->before);
    }
    struct answer answer = row->before == NULL ? service_create(&server, "x", row->spec, "")
                                               : service_change(&server, "x", row->spec, "");
    snprintf(expected, sizeof expected, "Service \"x\" is invalid: %s", row->message);
    ck_assert_msg(answer.code == 422, "%s: %ld %s", row->spec, answer.code, answer.text);
    ck_assert_str_eq(without_uid(answer_text(&answer, "message"), seen, sizeof seen), expected);
    read_causes(&answer, causes, joined, sizeof causes);
    ck_assert_str_eq(causes, row->causes);
    ck_assert_str_eq(without_uid(joined, seen, sizeof seen), row->message);
    ck_assert_str_eq(answer_text(&answer, "kind"), "Status");
    ck_assert_str_eq(answer_text(&answer, "status"), "Failure");
    ck_assert_str_eq(answer_text(&answer, "reason"), "Invalid");
    ck_assert_str_eq(answer_text(&answer, "code"), "422");
    ck_assert_str_eq(answer_text(&answer, "details.kind"), "Service");
    ck_assert_str_eq(answer_text(&answer, "details.name"), "x");
    answer_free(&answer);
    if (row->before != NULL) {
        must_delete(&server, "x");
    }
}

static void expect_each(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        expect_refused(&rows[i]);
    }
}
#define EXPECT_EACH(rows) expect_each(rows, sizeof(rows) / sizeof(rows)[0])

/* A 500 as Kubernetes words an allocation that ran dry: the cause is the text without the prefix.
 */
static void expect_internal(const char *spec, const char *text) {
    char expected[1024];
    char seen[1024];
    struct answer answer = service_create(&server, "x", spec, "");
    snprintf(expected, sizeof expected, "Internal error occurred: %s", text);
    ck_assert_msg(answer.code == 500, "%s: %ld %s", spec, answer.code, answer.text);
    ck_assert_str_eq(without_uid(answer_text(&answer, "message"), seen, sizeof seen), expected);
    ck_assert_str_eq(answer_text(&answer, "reason"), "InternalError");
    ck_assert_str_eq(answer_text(&answer, "code"), "500");
    const char *cause = answer_text(&answer, "details.causes.0.message");
    ck_assert_str_eq(without_uid(cause, seen, sizeof seen), text);
    answer_free(&answer);
}

/* --- addresses -------------------------------------------------------------------------------- */

static const struct row single_rows[] = {
    /* The holder is ours. */
    {NULL, "'clusterIP':'10.96.0.10'," PORTS, INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: "
     "provided IP is already allocated (held by Service/default/holder)"},
    /* Kubernetes' IPAddress allocator: "the provided network does not match the current range"; its
     * dry run and the bitmap allocator say this, which names the range. */
    {NULL, "'clusterIP':'10.97.0.1'," PORTS, INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.97.0.1\"]: failed to allocate IP 10.97.0.1: the "
     "provided IP (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/24"},
    {NULL, "'clusterIP':'10.96.0.0'," PORTS, INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.0\"]: failed to allocate IP 10.96.0.0: the "
     "provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/24"},
    {NULL, "'clusterIP':'10.96.0.255'," PORTS, INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.255\"]: failed to allocate IP 10.96.0.255: the "
     "provided IP (10.96.0.255) is not in the valid range. The range of valid IPs is "
     "10.96.0.0/24"},
    {NULL, "'clusterIP':'fd00::1'," PORTS, INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"},
    {NULL, "'ipFamilies':['IPv6']," PORTS, INVALID "spec.ipFamilies[0]",
     "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"},
    {NULL, BOTH PORTS, INVALID "spec.ipFamilyPolicy",
     "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for "
     "dual-stack services"},
    {PORTS, BOTH PORTS, INVALID "spec.ipFamilyPolicy",
     "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for "
     "dual-stack services"},
};

START_TEST(a_single_stack_cluster_answers) {
    start("10.96.0.0/24", "30000-32767");
    must_create(&server, "holder", "'clusterIP':'10.96.0.10'," PORTS);
    EXPECT_EACH(single_rows);
    stop();
}
END_TEST

#define TWO     "'clusterIP':'10.96.0.31','clusterIPs':['10.96.0.31','fd00:10:96::31'],"
#define SINGLE  "'ipFamilyPolicy':'SingleStack',"
#define PREFER  "'ipFamilyPolicy':'PreferDualStack',"
#define POLICY  "spec.ipFamilyPolicy"
#define NO_MORE "may specify no more than one IP for each IP family"

static const struct row dual_create_rows[] = {
    {NULL, SINGLE TWO PORTS, INVALID POLICY,
     "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or "
     "'PreferDualStack' when multiple cluster IPs are specified"},
    {NULL, TWO PORTS, INVALID POLICY,
     "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or "
     "'PreferDualStack' when multiple cluster IPs are specified"},
    {NULL, SINGLE "'ipFamilies':['IPv4','IPv6']," PORTS, INVALID POLICY,
     "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or "
     "'PreferDualStack' when multiple IP families are specified"},
    {NULL, "'ipFamilies':['IPv4','IPv6']," PORTS, INVALID POLICY,
     "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or "
     "'PreferDualStack' when multiple IP families are specified"},
    {NULL, "'ipFamilies':['IPv6'],'clusterIP':'10.96.0.61'," PORTS, INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: \"10.96.0.61\": expected an IPv6 value as indicated by "
     "`ipFamilies[0]`"},
    {NULL, "'clusterIP':'garbage'," PORTS, INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: \"garbage\": must be a valid IP address, (e.g. 10.9.8.7 "
     "or 2001:db8::ffff)"},
    {NULL, "'clusterIP':'10.96.0.010'," PORTS, INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: \"10.96.0.010\": must not have leading 0s"},
    {NULL, "'clusterIP':'::ffff:10.96.0.9'," PORTS, INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: \"::ffff:10.96.0.9\": must not be an IPv4-mapped IPv6 "
     "address"},
    {NULL, BOTH "'clusterIP':'10.96.0.31','clusterIPs':['10.96.0.31','10.96.0.32']," PORTS,
     INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.31\",\"10.96.0.32\"]: " NO_MORE},
    {NULL, BOTH "'clusterIP':'10.96.0.31','clusterIPs':['10.96.0.31','fd00::1','10.96.0.3']," PORTS,
     INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.31\",\"fd00::1\",\"10.96.0.3\"]: may only hold up "
     "to 2 values"},
    {NULL, "'clusterIP':'10.96.0.31','clusterIPs':['10.96.0.32']," PORTS, INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.32\"]: first value must match `clusterIP`"},
    {NULL, "'clusterIPs':['10.96.0.32']," PORTS, INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.32\"]: must be empty when `clusterIP` is not "
     "specified"},
    {NULL, BOTH "'clusterIP':'None','clusterIPs':['None','10.96.0.9']," PORTS,
     INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"None\",\"10.96.0.9\"]: 'None' must be the first and only "
     "value"},
    {NULL, "'type':'NodePort','clusterIP':'None'," PORTS, INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"},
    {NULL, "'type':'LoadBalancer','clusterIP':'None'," PORTS, INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer "
     "services"},
    {NULL, "'type':'ExternalName','externalName':'a.example','clusterIP':'10.96.0.9'",
     "FieldValueForbidden spec.clusterIPs",
     "spec.clusterIPs: Forbidden: may not be set for ExternalName services"},
    {NULL, "'type':'ExternalName','externalName':'a.example','ipFamilies':['IPv4']",
     "FieldValueForbidden spec.ipFamilies",
     "spec.ipFamilies: Forbidden: may not be set for ExternalName services"},
    {NULL, "'type':'ExternalName','externalName':'a.example'," SINGLE "'ports':[]",
     "FieldValueForbidden spec.ipFamilyPolicy",
     "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services"},
    {NULL, PREFER "'ipFamilies':['IPv4','IPv4']," PORTS, "FieldValueDuplicate spec.ipFamilies[1]",
     "spec.ipFamilies[1]: Duplicate value: \"IPv4\""},
    {NULL, "'ipFamilies':['IPv5']," PORTS, "FieldValueNotSupported spec.ipFamilies[0]",
     "spec.ipFamilies[0]: Unsupported value: \"IPv5\": supported values: \"IPv4\", \"IPv6\""},
    {NULL, "'ipFamilyPolicy':'Foo'," PORTS, "FieldValueNotSupported " POLICY,
     "spec.ipFamilyPolicy: Unsupported value: \"Foo\": supported values: \"PreferDualStack\", "
     "\"RequireDualStack\", \"SingleStack\""},
    /* The second address of a pair is refused: nothing of the first stays (see _defects). */
    {NULL, BOTH "'clusterIP':'10.96.0.11','clusterIPs':['10.96.0.11','fd00::b']," PORTS,
     INVALID "spec.clusterIPs",
     "spec.clusterIPs: Invalid value: [\"10.96.0.11\",\"fd00::b\"]: failed to allocate IP fd00::b: "
     "the provided IP (fd00::b) is not in the valid range. The range of valid IPs is "
     "fd00:10:96::/120"},
};

static const struct row dual_update_rows[] = {
    {PREFER TWO PORTS, "'clusterIPs':['10.96.0.31']", INVALID POLICY,
     "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be 'SingleStack' to release "
     "the secondary cluster IP"},
    {PREFER TWO PORTS, "'ipFamilies':['IPv4']", INVALID POLICY,
     "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be 'SingleStack' to release "
     "the secondary IP family"},
    {"'clusterIP':'10.96.0.31'," PORTS, "'clusterIP':'10.96.0.11','clusterIPs':['10.96.0.11']",
     INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: [\"10.96.0.11\"]: may not change once set"},
    {"'clusterIP':'10.96.0.31'," PORTS, "'clusterIP':'None','clusterIPs':['None']",
     INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"},
    {"'clusterIP':'None'," PORTS, "'clusterIP':'10.96.0.31','clusterIPs':['10.96.0.31']",
     INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: [\"10.96.0.31\"]: may not change once set"},
    {"'clusterIP':'10.96.0.31'," PORTS, "'ipFamilies':['IPv6']", INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: \"10.96.0.31\": expected an IPv6 value as indicated by "
     "`ipFamilies[0]`"},
    {"'clusterIP':'None'," PORTS, "'ipFamilies':['IPv6']", INVALID POLICY,
     "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release "
     "the secondary IP family"},
    {PREFER TWO PORTS,
     SINGLE "'clusterIP':'10.96.0.32','clusterIPs':['10.96.0.32'],'ipFamilies':['IPv4']",
     INVALID "spec.clusterIPs[0]",
     "spec.clusterIPs[0]: Invalid value: [\"10.96.0.32\"]: may not change once set"},
    {PREFER TWO PORTS, "'clusterIPs':['10.96.0.31','fd00:10:96::32']", INVALID "spec.clusterIPs[1]",
     "spec.clusterIPs[1]: Invalid value: [\"10.96.0.31\",\"fd00:10:96::32\"]: may not change once "
     "set"},
};

START_TEST(a_dual_stack_cluster_answers) {
    start("10.96.0.0/24,fd00:10:96::/120", "30000-32767");
    EXPECT_EACH(dual_create_rows);
    EXPECT_EACH(dual_update_rows);
    stop();
}
END_TEST

/* --- ports ------------------------------------------------------------------------------------ */

#define NODE_PORT(port) "'type':'NodePort','ports':[{'port':80,'nodePort':" #port "}]"
#define RANGE           "provided port is not in the valid range. The range of valid ports is 30000-32767"

static const struct row port_rows[] = {
    {NULL, NODE_PORT(30080), INVALID "spec.ports[0].nodePort",
     "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated (held by "
     "Service/default/holder)"},
    {NULL, NODE_PORT(20000), INVALID "spec.ports[0].nodePort",
     "spec.ports[0].nodePort: Invalid value: 20000: " RANGE},
    {NULL, NODE_PORT(-1), INVALID "spec.ports[0].nodePort",
     "spec.ports[0].nodePort: Invalid value: -1: " RANGE},
    {NULL, NODE_PORT(70000), INVALID "spec.ports[0].nodePort",
     "spec.ports[0].nodePort: Invalid value: 70000: " RANGE},
    {NULL, "'ports':[{'port':80,'nodePort':30081}]", "FieldValueForbidden spec.ports[0].nodePort",
     "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
    {NULL, "'healthCheckNodePort':30101," PORTS, INVALID "spec.healthCheckNodePort",
     "spec.healthCheckNodePort: Invalid value: 30101: may only be set when `type` is "
     "'LoadBalancer' and `externalTrafficPolicy` is 'Local'"},
    {LOCAL "'healthCheckNodePort':30102," PORTS, "'healthCheckNodePort':30103",
     "FieldValueForbidden spec.healthCheckNodePort",
     "spec.healthCheckNodePort: Forbidden: field is immutable"},
    /* Kubernetes says 500 "duplicate nodePort: 30080" of an update; a client can mend it, so 422.
     */
    {"'type':'NodePort','ports':[{'name':'a','port':80},{'name':'b','port':81}]",
     "'ports':[{'name':'a','port':80,'nodePort':30090},{'name':'b','port':81,'nodePort':30090}]",
     "FieldValueDuplicate spec.ports[1].nodePort",
     "spec.ports[1].nodePort: Duplicate value: 30090"},
};

START_TEST(ports_answer) {
    start("10.96.0.0/24", "30000-32767");
    must_create(&server, "holder",
                LOCAL "'healthCheckNodePort':30100,'ports':[{'port':80,'nodePort':30080}]");
    EXPECT_EACH(port_rows);
    expect_internal(LOCAL "'healthCheckNodePort':30100," PORTS,
                    "failed to allocate requested HealthCheck NodePort 30100: provided port is "
                    "already allocated (held by Service/default/holder)");
    expect_internal(LOCAL "'healthCheckNodePort':20000," PORTS,
                    "failed to allocate requested HealthCheck NodePort 20000: " RANGE);
    stop();
}
END_TEST

/* --- ranges run dry --------------------------------------------------------------------------- */

#define FIVE 5 /* addresses of a /29, without network, broadcast and the kubernetes Service's */

START_TEST(full_ranges_answer_500) {
    start("10.96.0.0/29", "30000-30001");
    for (int i = 0; i < FIVE; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        must_create(&server, name, PORTS);
    }
    expect_internal(PORTS, "failed to allocate a serviceIP for Service \"x\": range is full");
    stop();

    start("10.96.0.0/24", "30000-30001");
    must_create(&server, "holder",
                "'type':'NodePort','ports':[{'name':'a','port':80},{'name':'b','port':81}]");
    expect_internal("'type':'NodePort'," PORTS, "failed to allocate a nodePort: range is full");
    expect_internal(LOCAL "'allocateLoadBalancerNodePorts':false," PORTS,
                    "failed to allocate a HealthCheck NodePort 0: range is full");
    stop();
}
END_TEST

/* --- several at once -------------------------------------------------------------------------- */

static const struct row several_rows[] = {
    {NULL,
     "'type':'Foo','sessionAffinity':'Sticky','externalTrafficPolicy':'Near','ports':[{'port':0,"
     "'protocol':'ICMP'}]",
     INVALID "spec.ports[0].port; FieldValueNotSupported spec.ports[0].protocol; " INVALID
             "spec.ports[0].targetPort; FieldValueNotSupported spec.sessionAffinity; "
             "FieldValueNotSupported spec.type; " INVALID "spec.externalTrafficPolicy",
     "[spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, "
     "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", "
     "\"UDP\", spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive, "
     "spec.sessionAffinity: Unsupported value: \"Sticky\": supported values: \"ClientIP\", "
     "\"None\", spec.type: Unsupported value: \"Foo\": supported values: \"ClusterIP\", "
     "\"ExternalName\", \"LoadBalancer\", \"NodePort\", spec.externalTrafficPolicy: Invalid value: "
     "\"Near\": may only be set for externally-accessible services]"},
    {NULL, "'ports':[{'name':'a','port':80},{'name':'a','port':80},{'port':81}]",
     "FieldValueDuplicate spec.ports[1].name; FieldValueRequired spec.ports[2].name; "
     "FieldValueDuplicate spec.ports[1]",
     "[spec.ports[1].name: Duplicate value: \"a\", spec.ports[2].name: Required value, "
     "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,"
     "\"Port\":80,\"TargetPort\":0,\"NodePort\":0}]"},
    {NULL, "'type':'NodePort','clusterIP':'None'," SINGLE "'sessionAffinity':'Sticky'," PORTS,
     INVALID "spec.clusterIPs[0]; FieldValueNotSupported spec.sessionAffinity",
     "[spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort "
     "services, "
     "spec.sessionAffinity: Unsupported value: \"Sticky\": supported values: \"ClientIP\", "
     "\"None\"]"},
    /* Kubernetes claims first and tells of this and nothing else; ours reads the fields first. */
    {NULL, "'type':'NodePort','sessionAffinity':'Sticky','ports':[{'port':80,'nodePort':30080}]",
     "FieldValueNotSupported spec.sessionAffinity",
     "spec.sessionAffinity: Unsupported value: \"Sticky\": supported values: \"ClientIP\", "
     "\"None\""},
};

START_TEST(several_problems_are_told_in_kubernetes_order) {
    start("10.96.0.0/24", "30000-32767");
    must_create(&server, "holder", NODE_PORT(30080));
    EXPECT_EACH(several_rows);
    stop();
}
END_TEST

/* --- not about a field ------------------------------------------------------------------------ */

static void expect_status(struct answer answer, long code, const char *reason,
                          const char *message) {
    ck_assert_msg(answer.code == code, "%ld %s", answer.code, answer.text);
    ck_assert_str_eq(answer_text(&answer, "message"), message);
    ck_assert_str_eq(answer_text(&answer, "reason"), reason);
    answer_free(&answer);
}

START_TEST(a_taken_name_answers_409_and_its_address_stays_free) {
    start("10.96.0.0/24", "30000-32767");
    must_create(&server, "a", PORTS);
    expect_status(service_create(&server, "a", "'clusterIP':'10.96.0.77'," PORTS, ""), 409,
                  "AlreadyExists", "services \"a\" already exists");
    must_create(&server, "b", "'clusterIP':'10.96.0.77'," PORTS);
    stop();
}
END_TEST

static void expect_warning(struct answer answer, const char *warning) {
    ck_assert_msg(answer.code / 100 == 2, "%ld %s", answer.code, answer.text);
    ck_assert_str_eq(answer.warning, warning);
    answer_free(&answer);
}

START_TEST(what_is_taken_but_ignored_comes_with_a_warning) {
    static const char ignored[] =
        "299 - \"spec.externalName is ignored when spec.type is not \\\"ExternalName\\\"\"";
    start("10.96.0.0/24", "30000-32767");
    expect_warning(service_create(&server, "x", PORTS, ""), "");
    expect_warning(service_create(&server, "y", "'externalName':'a.example'," PORTS, ""), ignored);
    expect_warning(service_change(&server, "x", "'externalName':'a.example'", ""), ignored);
    expect_warning(service_change(&server, "x", "'externalName':null", ""), "");
    stop();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver texts");
    TCase *tests = tcase_create("texts");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_single_stack_cluster_answers);
    tcase_add_test(tests, a_dual_stack_cluster_answers);
    tcase_add_test(tests, ports_answer);
    tcase_add_test(tests, full_ranges_answer_500);
    tcase_add_test(tests, several_problems_are_told_in_kubernetes_order);
    tcase_add_test(tests, a_taken_name_answers_409_and_its_address_stays_free);
    tcase_add_test(tests, what_is_taken_but_ignored_comes_with_a_warning);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
