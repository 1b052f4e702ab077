/* The rules of a Service: names, labels, ports, policies; what is wrong is told in Kubernetes'
 * order, whether the library or the server found it. */
#include "resource.h"
#include "service_rules.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static struct json_object *parse(const char *text) {
    struct text problem = {0};
    struct json_object *value = json_parse(text, strlen(text), &problem);
    ck_assert_msg(value != NULL, "%s: %s", text, problem.data);
    return value;
}

/* --- validation ---------------------------------------------------------------------------------
 */

#define NAMED "{\"metadata\":{\"name\":\"web\"},\"spec\":"
#define PORTS "\"ports\":[{\"port\":80}]"
#define DNS_1123                                                                                 \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " \
    "must start and end with an alphanumeric character"

/* Each line is one broken rule; the object is defaulted first, as on a create. */
static const struct {
    const char *object, *field, *message; /* field NULL: nothing is wrong */
} rules[] = {
    {NAMED "{" PORTS "}}", NULL, NULL},
    {NAMED "{}}", "spec.ports", "Required value"},
    {NAMED "{\"clusterIP\":\"None\"}}", NULL, NULL},
    {NAMED "{\"type\":\"ExternalName\",\"externalName\":\"db.example.com.\"}}", NULL, NULL},
    {NAMED "{\"type\":\"ExternalName\"}}", "spec.externalName", "Required value"},
    {NAMED "{\"type\":\"ExternalName\",\"externalName\":\"a_b\"}}", "spec.externalName",
     "Invalid value: \"a_b\": a lowercase RFC 1123 subdomain"},
    {NAMED "{\"type\":\"Wrong\"," PORTS "}}", "spec.type",
     "Unsupported value: \"Wrong\": supported values: \"ClusterIP\", \"ExternalName\", "
     "\"LoadBalancer\", \"NodePort\""},
    {NAMED "{\"ports\":[{\"port\":0,\"targetPort\":1}]}}", "spec.ports[0].port",
     "Invalid value: 0: must be between 1 and 65535, inclusive"},
    {NAMED "{\"ports\":[{\"port\":65536,\"targetPort\":1}]}}", "spec.ports[0].port",
     "Invalid value: 65536: must be between 1 and 65535, inclusive"},
    {NAMED "{\"ports\":[{\"port\":-1,\"targetPort\":1}]}}", "spec.ports[0].port",
     "Invalid value: -1: must be between 1 and 65535, inclusive"},
    {NAMED "{\"ports\":[{\"port\":80,\"targetPort\":70000}]}}", "spec.ports[0].targetPort",
     "Invalid value: 70000: must be between 1 and 65535, inclusive"},
    {NAMED "{\"ports\":[{\"port\":80,\"targetPort\":\"Http\"}]}}", "spec.ports[0].targetPort",
     "Invalid value: \"Http\": must contain only alpha-numeric characters"},
    {NAMED "{\"ports\":[{\"port\":80,\"targetPort\":\"80\"}]}}", "spec.ports[0].targetPort",
     "Invalid value: \"80\": must contain at least one letter (a-z)"},
    {NAMED "{\"ports\":[{\"port\":80,\"targetPort\":\"a--b\"}]}}", "spec.ports[0].targetPort",
     "must not contain consecutive hyphens"},
    {NAMED "{\"ports\":[{\"port\":80,\"targetPort\":\"a-\"}]}}", "spec.ports[0].targetPort",
     "must not begin or end with a hyphen"},
    {NAMED "{\"ports\":[{\"port\":80,\"targetPort\":\"abcdefghijklmnop\"}]}}",
     "spec.ports[0].targetPort", "must be no more than 15 characters"},
    {NAMED "{\"ports\":[{\"port\":80,\"protocol\":\"ICMP\"}]}}", "spec.ports[0].protocol",
     "Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\""},
    {NAMED "{\"ports\":[{\"port\":80,\"name\":\"a\"},{\"port\":81}]}}", "spec.ports[1].name",
     "Required value"},
    {NAMED "{\"ports\":[{\"port\":80,\"name\":\"A\"}]}}", "spec.ports[0].name",
     "Invalid value: \"A\": " DNS_1123},
    {NAMED "{\"ports\":[{\"port\":80,\"name\":\"a\"},{\"port\":81,\"name\":\"a\"}]}}",
     "spec.ports[1].name", "Duplicate value: \"a\""},
    {NAMED "{\"ports\":[{\"port\":80,\"name\":\"a\"},{\"port\":80,\"name\":\"b\"}]}}",
     "spec.ports[1]",
     "Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,"
     "\"TargetPort\":0,\"NodePort\":0}"},
    {NAMED "{\"ports\":[{\"port\":80,\"name\":\"a\"},{\"port\":80,\"name\":\"b\",\"protocol\":"
           "\"UDP\"}]}}",
     NULL, NULL},
    {NAMED "{\"sessionAffinity\":\"Cookie\"," PORTS "}}", "spec.sessionAffinity",
     "Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\""},
    {NAMED "{\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":"
           "{\"timeoutSeconds\":86401}}," PORTS "}}",
     "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
     "Invalid value: 86401: must be greater than 0 and less than or equal to 86400"},
    {NAMED "{\"externalTrafficPolicy\":\"Local\"," PORTS "}}", "spec.externalTrafficPolicy",
     "may only be set for externally-accessible services"},
    {NAMED "{\"type\":\"NodePort\",\"externalTrafficPolicy\":\"Near\"," PORTS "}}",
     "spec.externalTrafficPolicy",
     "Unsupported value: \"Near\": supported values: \"Cluster\", \"Local\""},
    {NAMED "{\"internalTrafficPolicy\":\"Near\"," PORTS "}}", "spec.internalTrafficPolicy",
     "Unsupported value: \"Near\""},
    {NAMED "{\"externalIPs\":[\"10.0.0.1\",\"x\"]," PORTS "}}", "spec.externalIPs[1]",
     "must be a valid IP address"},
    {NAMED "{\"loadBalancerClass\":\"a/b\"," PORTS "}}", "spec.loadBalancerClass",
     "Forbidden: may only be used when `type` is 'LoadBalancer'"},
    {NAMED "{\"allocateLoadBalancerNodePorts\":true," PORTS "}}",
     "spec.allocateLoadBalancerNodePorts",
     "Forbidden: may only be used when `type` is 'LoadBalancer'"},
    {NAMED "{\"selector\":{\"a b\":\"c\"}," PORTS "}}", "spec.selector",
     "Invalid value: \"a b\": name part must consist of alphanumeric characters"},
    {"{\"metadata\":{\"name\":\"web\",\"labels\":{\"a\":\"b c\"}},\"spec\":{" PORTS "}}",
     "metadata.labels", "Invalid value: \"b c\": a valid label must be an empty string or consist"},
    {"{\"metadata\":{\"name\":\"web\",\"labels\":{\"Example.com/a\":\"b\"}},\"spec\":{" PORTS "}}",
     "metadata.labels", "prefix part a lowercase RFC 1123 subdomain"},
    {"{\"metadata\":{\"name\":\"web\",\"labels\":{\"/a\":\"b\"}},\"spec\":{" PORTS "}}",
     "metadata.labels", "prefix part must be non-empty"},
    {"{\"metadata\":{\"name\":\"web\",\"annotations\":{\"Example.com/A\":\"b\"}},\"spec\":{" PORTS
     "}}",
     NULL, NULL},
    {"{\"metadata\":{\"name\":\"web\",\"labels\":{\"a/b/c\":\"b\"}},\"spec\":{" PORTS "}}",
     "metadata.labels",
     "Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric characters"},
    {"{\"metadata\":{\"name\":\"web\",\"finalizers\":[\"a.b/c d\"]},\"spec\":{" PORTS "}}",
     "metadata.finalizers", "Invalid value: \"a.b/c d\": name part must consist of"},
    {"{\"metadata\":{\"name\":\"web\",\"finalizers\":[\"a.b/c\",\"orphan\"]},\"spec\":{" PORTS "}}",
     NULL, NULL},
    {"{\"metadata\":{\"name\":\"web\",\"finalizers\":[\"a.b/c\",\"mine\"]},\"spec\":{" PORTS "}}",
     "metadata.finalizers[1]",
     "Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully "
     "qualified"},
    {"{\"metadata\":{\"name\":\"web\",\"finalizers\":[\"foregroundDeletion\",\"orphan\"]},\"spec\":"
     "{" PORTS "}}",
     "metadata.finalizers", "finalizer orphan and foregroundDeletion cannot be both set"},
    {"{\"metadata\":{\"name\":\"web\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"A\","
     "\"name\":"
     "\"a\",\"uid\":\"1\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"B\",\"name\":"
     "\"b\",\"uid\":"
     "\"2\",\"controller\":true}]},\"spec\":{" PORTS "}}",
     "metadata.ownerReferences",
     "Only one reference can have Controller set to true. Found \"true\" in references for A/a and "
     "B/b"},
    {"{\"metadata\":{\"name\":\"web\",\"generateName\":\"we-\"},\"spec\":{" PORTS "}}", NULL, NULL},
    {"{\"metadata\":{\"name\":\"web\",\"generateName\":\"We-\"},\"spec\":{" PORTS "}}",
     "metadata.generateName", "Invalid value: \"We-\": a DNS-1035 label must consist of"},
    {"{\"metadata\":{\"name\":\"web\",\"annotations\":{\"service.kubernetes.io/topology-mode\":"
     "\"Auto\",\"service.kubernetes.io/topology-aware-hints\":\"disabled\"}},\"spec\":{" PORTS "}}",
     "metadata.annotations[service.kubernetes.io/topology-mode]",
     "Invalid value: \"Auto\": must match "
     "annotations[service.kubernetes.io/topology-aware-hints] when both are specified"},
    {NAMED "{\"ports\":[{\"port\":80,\"appProtocol\":\"k8s.io/h2c\"}]}}", NULL, NULL},
    {NAMED "{\"ports\":[{\"port\":80,\"appProtocol\":\"h 2\"}]}}", "spec.ports[0].appProtocol",
     "Invalid value: \"h 2\": name part must consist of"},
    {NAMED "{\"externalIPs\":[\"127.0.0.2\"]," PORTS "}}", "spec.externalIPs[0]",
     "Invalid value: \"127.0.0.2\": may not be in the loopback range (127.0.0.0/8, ::1/128)"},
    {NAMED "{\"externalIPs\":[\"0.0.0.0\"]," PORTS "}}", "spec.externalIPs[0]",
     "Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)"},
    {NAMED "{\"externalIPs\":[\"fe80::1\"]," PORTS "}}", "spec.externalIPs[0]",
     "may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
    {NAMED "{\"externalIPs\":[\"224.0.0.9\"]," PORTS "}}", "spec.externalIPs[0]",
     "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
    {NAMED "{\"externalIPs\":[\"010.0.0.1\"]," PORTS "}}", "spec.externalIPs[0]",
     "Invalid value: \"010.0.0.1\": must not have leading 0s"},
    {NAMED
     "{\"externalIPs\":[\"192.0.2.1\",\"2001:db8::1\"],\"externalTrafficPolicy\":\"Local\"," PORTS
     "}}",
     NULL, NULL},
    {NAMED "{\"type\":\"LoadBalancer\",\"loadBalancerSourceRanges\":[\" 10.0.0.0/8 \"]," PORTS "}}",
     NULL, NULL},
    {NAMED "{\"type\":\"LoadBalancer\",\"loadBalancerSourceRanges\":[\"10.0.0.1/8\"]," PORTS "}}",
     "spec.LoadBalancerSourceRanges[0]",
     "Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length"},
    {NAMED "{\"type\":\"LoadBalancer\",\"loadBalancerSourceRanges\":[\"   \"]," PORTS "}}",
     "spec.LoadBalancerSourceRanges[0]", "Invalid value: \"\": must be a valid CIDR value"},
    {NAMED "{\"type\":\"LoadBalancer\",\"loadBalancerSourceRanges\":[\"1.2.3.4/33\"]," PORTS "}}",
     "spec.LoadBalancerSourceRanges[0]", "must be a valid CIDR value"},
    {NAMED "{\"loadBalancerSourceRanges\":[\"10.0.0.0/8\"]," PORTS "}}",
     "spec.LoadBalancerSourceRanges", "Forbidden: may only be used when `type` is 'LoadBalancer'"},
    {"{\"metadata\":{\"name\":\"web\",\"annotations\":"
     "{\"service.beta.kubernetes.io/load-balancer-source-ranges\":\"1.2.3.0/24,  5.6.0.0/16\"}},"
     "\"spec\":{\"type\":\"LoadBalancer\"," PORTS "}}",
     NULL, NULL},
    {"{\"metadata\":{\"name\":\"web\",\"annotations\":"
     "{\"service.beta.kubernetes.io/load-balancer-source-ranges\":\"1.2.3.0/24,foo.bar\"}},"
     "\"spec\":{\"type\":\"LoadBalancer\"," PORTS "}}",
     "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]",
     "Invalid value: \"foo.bar\": must be a valid CIDR value"},
    {"{\"metadata\":{\"name\":\"web\",\"annotations\":"
     "{\"service.beta.kubernetes.io/load-balancer-source-ranges\":\"\"}},\"spec\":{" PORTS "}}",
     "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]",
     "Forbidden: may only be used when `type` is 'LoadBalancer'"},
    {NAMED "{\"type\":\"LoadBalancer\",\"loadBalancerClass\":\"a b\"," PORTS "}}",
     "spec.loadBalancerClass", "Invalid value: \"a b\": name part must consist of"},
    {NAMED "{\"ipFamilyPolicy\":\"\"," PORTS "}}", "spec.ipFamilyPolicy",
     "Unsupported value: \"\": supported values: \"PreferDualStack\", \"RequireDualStack\", "
     "\"SingleStack\""},
    {NAMED "{\"type\":\"ExternalName\",\"externalName\":\"a\",\"ipFamilyPolicy\":\"\"}}",
     "spec.ipFamilyPolicy", "Forbidden: may not be set for ExternalName services"},
    {NAMED "{\"internalTrafficPolicy\":\"\"," PORTS "}}", "spec.internalTrafficPolicy",
     "Unsupported value: \"\": supported values: \"Cluster\", \"Local\""},
    {NAMED "{\"trafficDistribution\":\"PreferSameZone\"," PORTS "}}", NULL, NULL},
    {NAMED "{\"trafficDistribution\":\"Near\"," PORTS "}}", "spec.trafficDistribution",
     "Unsupported value: \"Near\": supported values: \"PreferClose\", \"PreferSameNode\", "
     "\"PreferSameZone\""},
    {NAMED "{\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":"
           "{\"timeoutSeconds\":0}}," PORTS "}}",
     "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "Invalid value: 0: must be greater"},
    {"{\"metadata\":{\"name\":\"Web\"},\"spec\":{" PORTS "}}", "metadata.name",
     "Invalid value: \"Web\": a DNS-1035 label must consist of"},
};

/* The same where one value breaks several rules: the first, and how many. */
static const struct {
    const char *object, *field, *message;
    size_t count;
} several[] = {
    {"{\"metadata\":{\"name\":\"web\",\"labels\":{\"a/\":\"b\"}},\"spec\":{" PORTS "}}",
     "metadata.labels", "name part must be non-empty", 2},
    {"{\"metadata\":{\"name\":\"web\",\"annotations\":{\"\":\"b\"}},\"spec\":{" PORTS "}}",
     "metadata.annotations", "name part must be non-empty", 2},
    {"{\"metadata\":{\"name\":\"web\",\"ownerReferences\":[{\"kind\":\"Pod\"}]},\"spec\":{" PORTS
     "}}",
     "metadata.ownerReferences[0].apiVersion", "Required value: must not be empty", 3},
    {"{\"metadata\":{\"name\":\"a23456789012345678901234567890123456789012345678901234567890123_\"}"
     ",\"spec\":{" PORTS "}}",
     "metadata.name", "must be no more than 63 characters", 2},
};

/* A cluster with both families, of which the rules need to know no more. */
static struct options options = {.balancer_count = 1};
static struct server server = {.options = &options, .pools = {.size = sizeof server.pools}};

static ipalloc_pool *define(const char *name, const char *range) {
    ipalloc_pool *pool = NULL;
    ipalloc_cidr read = cidr(range);
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = read.base.family, .ranges = &read, .range_count = 1};
    ck_assert_status(ipalloc_pool_define(server.registry, name, &definition, &pool, NULL),
                     IPALLOC_OK);
    return pool;
}

static void open_cluster(void) {
    ck_assert_status(ipalloc_store_open("memory:", NULL, &server.store, NULL), IPALLOC_OK);
    ck_assert_status(ipalloc_registry_open(server.store, NULL, &server.registry, NULL), IPALLOC_OK);
    server.pools.cluster_ips[0] = define("v4", "10.96.0.0/24");
    server.pools.cluster_ips[1] = define("v6", "fd00:10:96::/112");
}

static void close_cluster(void) {
    ipalloc_registry_close(server.registry);
    ipalloc_store_close(server.store);
}

static void judge(struct json_object *object, ipalloc_service_problems *problems) {
    *problems = (ipalloc_service_problems){.size = sizeof *problems};
    service_default(object);
    service_validate_metadata(object, problems);
    resource_services.judge(&server, NULL, object, problems);
}

START_TEST(a_broken_rule_is_named_with_its_field) {
    ipalloc_service_problems problems;
    struct json_object *object = parse(rules[_i].object);
    judge(object, &problems);
    if (rules[_i].field == NULL) {
        ck_assert_msg(problems.count == 0, "%s: %s", problems.items[0].field,
                      problems.items[0].message);
    } else {
        ck_assert_msg(problems.count == 1, "%zu problems: %s", problems.count, rules[_i].object);
        ck_assert_str_eq(problems.items[0].field, rules[_i].field);
        ck_assert_msg(strstr(problems.items[0].message, rules[_i].message) != NULL, "%s",
                      problems.items[0].message);
    }
    json_object_put(object);
}
END_TEST

START_TEST(every_broken_rule_of_a_value_is_told) {
    ipalloc_service_problems problems;
    struct json_object *object = parse(several[_i].object);
    judge(object, &problems);
    ck_assert_uint_eq(problems.count, several[_i].count);
    ck_assert_str_eq(problems.items[0].field, several[_i].field);
    ck_assert_ptr_nonnull(strstr(problems.items[0].message, several[_i].message));
    json_object_put(object);
}
END_TEST

static const struct {
    const char *object;
    const char *lines;
} warnings[] = {
    {"{\"spec\":{\"type\":\"ClusterIP\",\"sessionAffinity\":\"None\"}}", ""},
    {"{\"metadata\":{\"annotations\":{\"service.kubernetes.io/topology-aware-hints\":\"auto\"}}}",
     "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
     "service.kubernetes.io/topology-mode instead\n"},
    {"{\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"None\",\"sessionAffinity\":\"ClientIP\","
     "\"loadBalancerIP\":\"192.0.2.1\",\"externalIPs\":[\"192.0.2.2\"]}}",
     "spec.loadBalancerIP is ignored for headless services\n"
     "spec.externalIPs is ignored for headless services\n"
     "spec.SessionAffinity is ignored for headless services\n"},
    {"{\"spec\":{\"type\":\"ClusterIP\",\"externalIPs\":[\"2001:db8::1\",\"2001:DB8::2\"]}}",
     "spec.externalIPs[1]: IPv6 address \"2001:DB8::2\" should be in RFC 5952 canonical format "
     "(\"2001:db8::2\")\n"},
    {"{\"spec\":{\"type\":\"LoadBalancer\",\"loadBalancerIP\":\"2001:db8::0:1\","
     "\"loadBalancerSourceRanges\":[\"2001:db8:0::/48\",\"10.0.0.0/8\"]}}",
     "spec.loadBalancerIP: IPv6 address \"2001:db8::0:1\" should be in RFC 5952 canonical format "
     "(\"2001:db8::1\")\n"
     "spec.loadBalancerSourceRanges[0]: IPv6 CIDR value \"2001:db8:0::/48\" should be in RFC 5952 "
     "canonical format (\"2001:db8::/48\")\n"},
    {"{\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"a\",\"externalIPs\":[\"192.0.2.2\"]}"
     "}",
     "spec.externalIPs is ignored when spec.type is \"ExternalName\"\n"},
    {"{\"spec\":{\"type\":\"NodePort\",\"externalName\":\"a\",\"trafficDistribution\":"
     "\"PreferClose\"}}",
     "spec.externalName is ignored when spec.type is not \"ExternalName\"\n"
     "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"\n"},
};

START_TEST(what_is_taken_but_unwise_is_warned_of) {
    struct text lines = {0};
    struct json_object *object = parse(warnings[_i].object);
    service_warn(object, &lines);
    ck_assert_str_eq(lines.size > 0 ? lines.data : "", warnings[_i].lines);
    text_clear(&lines);
    json_object_put(object);
}
END_TEST

START_TEST(more_ports_than_a_transaction_takes_are_refused_as_too_many) {
    ipalloc_service_problems problems;
    struct text text = {0};
    text_add(&text, NAMED "{\"ports\":[");
    for (int i = 0; i <= IPALLOC_SERVICE_PORTS_MAX; i++) {
        text_format(&text, "%s{\"name\":\"p%d\",\"port\":%d}", i > 0 ? "," : "", i, i + 1);
    }
    text_add(&text, "]}}");
    struct json_object *object = parse(text.data);
    judge(object, &problems);
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_str_eq(problems.items[0].message, "Too many: 96: must have at most 95 items");
    json_object_put(object);
    text_clear(&text);
}
END_TEST

START_TEST(many_broken_rules_are_kept_up_to_the_limit) {
    ipalloc_service_problems problems;
    struct text text = {0};
    text_add(&text, NAMED "{\"ports\":[");
    for (int i = 0; i < 40; i++) {
        text_format(&text, "%s{\"name\":\"p%d\",\"port\":0,\"targetPort\":1}", i > 0 ? "," : "", i);
    }
    text_add(&text, "]}}");
    struct json_object *object = parse(text.data);
    judge(object, &problems);
    ck_assert_uint_eq(problems.count, IPALLOC_SERVICE_PROBLEMS_MAX);
    json_object_put(object);
    text_clear(&text);
}
END_TEST

static const struct {
    const char *name;
    bool dns1035, dns1123;
} names[] = {
    {"a", true, true},
    {"my-name", true, true},
    {"a1", true, true},
    {"1a", false, true},
    {"", false, false},
    {"-a", false, false},
    {"a-", false, false},
    {"A", false, false},
    {"a.b", false, false},
    {"a_b", false, false},
    {"\xc3\xa4", false, false},
    {"a23456789012345678901234567890123456789012345678901234567890123", true, true},
    {"a234567890123456789012345678901234567890123456789012345678901234", false, false},
};

START_TEST(names_follow_their_rules) {
    ipalloc_service_problems problems = {.size = sizeof problems};
    check_service_name("metadata.name", names[_i].name, &problems);
    ck_assert_int_eq(problems.count == 0, names[_i].dns1035);
    ck_assert_int_eq(name_rule_dns1123(names[_i].name) == NULL, names[_i].dns1123);
}
END_TEST

/* --- order --------------------------------------------------------------------------------------
 */

/* All at once, out of order: they are told in the order of kube-apiserver's function. */
START_TEST(what_is_wrong_is_told_in_kubernetes_order) {
    static const char *const fields[] = {
        "metadata.generateName",
        "metadata.name",
        "metadata.labels",
        "spec.ports[0].name",
        "spec.ports[0].port",
        "spec.ports[0].targetPort",
        "spec.ports[1].protocol",
        "spec.ports[1].appProtocol",
        "spec.selector",
        "spec.sessionAffinity",
        "spec.externalIPs[0]",
        "spec.ports[0].nodePort",
        "spec.ports[2]",
        "spec.LoadBalancerSourceRanges",
        "spec.allocateLoadBalancerNodePorts",
        "spec.loadBalancerClass",
        "spec.externalTrafficPolicy",
        "spec.healthCheckNodePort",
        "spec.internalTrafficPolicy",
        "spec.trafficDistribution",
    };
    ipalloc_service_problems problems;
    struct json_object *object = parse(
        "{\"metadata\":{\"name\":\"A\",\"generateName\":\"B\",\"labels\":{\"a\":\"b "
        "c\"}},\"spec\":{"
        "\"trafficDistribution\":\"Near\",\"internalTrafficPolicy\":\"Near\","
        "\"healthCheckNodePort\":1,"
        "\"externalTrafficPolicy\":\"Near\",\"loadBalancerClass\":\"x\","
        "\"allocateLoadBalancerNodePorts\":false,\"loadBalancerSourceRanges\":[\"10.0.0.0/8\"],"
        "\"externalIPs\":[\"127.0.0.1\"],\"sessionAffinity\":\"X\",\"selector\":{\"a b\":\"c\"},"
        "\"ports\":[{\"name\":\"A\",\"port\":0,\"targetPort\":70000,\"nodePort\":30000},"
        "{\"name\":\"b\",\"port\":80,\"protocol\":\"X\",\"appProtocol\":\"a b\"},"
        "{\"name\":\"c\",\"port\":80,\"protocol\":\"X\"}]}}");
    judge(object, &problems);
    size_t told = 0;
    for (size_t i = 0; i < problems.count; i++) {
        if (told < sizeof fields / sizeof fields[0] &&
            strcmp(problems.items[i].field, fields[told]) == 0) {
            told++;
        } else {
            ck_assert_str_eq(problems.items[i].field, "spec.ports[2].protocol");
        }
    }
    ck_assert_uint_eq(told, sizeof fields / sizeof fields[0]);
    json_object_put(object);
}
END_TEST

/* What Kubernetes finds before it looks at the rest is told alone. */
START_TEST(a_family_that_cannot_be_is_told_alone) {
    ipalloc_service_problems problems;
    struct json_object *object =
        parse(NAMED "{\"ipFamilies\":[\"IPv4\",\"IPv6\"],\"ports\":[{\"port\":0}]}}");
    judge(object, &problems);
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_str_eq(problems.items[0].field, "spec.ipFamilyPolicy");
    json_object_put(object);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver service rules");
    TCase *tcase = tcase_create("rules");
    tcase_add_checked_fixture(tcase, open_cluster, close_cluster);
    tcase_add_loop_test(tcase, a_broken_rule_is_named_with_its_field, 0,
                        (int)(sizeof rules / sizeof rules[0]));
    tcase_add_loop_test(tcase, every_broken_rule_of_a_value_is_told, 0,
                        (int)(sizeof several / sizeof several[0]));
    tcase_add_loop_test(tcase, what_is_taken_but_unwise_is_warned_of, 0,
                        (int)(sizeof warnings / sizeof warnings[0]));
    tcase_add_test(tcase, more_ports_than_a_transaction_takes_are_refused_as_too_many);
    tcase_add_test(tcase, many_broken_rules_are_kept_up_to_the_limit);
    tcase_add_loop_test(tcase, names_follow_their_rules, 0, (int)(sizeof names / sizeof names[0]));
    tcase_add_test(tcase, what_is_wrong_is_told_in_kubernetes_order);
    tcase_add_test(tcase, a_family_that_cannot_be_is_told_alone);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
