/*
 * What a client is told when an object beside Services is refused, over HTTP: code, reason and text
 * to the letter of kube-apiserver 1.36's. Where ours says something else, the row says so.
 */
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORE       "/api/v1/namespaces/default/"
#define NETWORKING "/apis/networking.k8s.io/v1/"

static const struct kind {
    const char *name; /* as messages call it */
    const char *path;
} pods = {"Pod", CORE "pods"}, nodes = {"Node", "/api/v1/nodes"},
  endpoints = {"Endpoints", CORE "endpoints"},
  slices = {"EndpointSlice.discovery.k8s.io",
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"},
  ingresses = {"Ingress.networking.k8s.io", NETWORKING "namespaces/default/ingresses"},
  classes = {"IngressClass.networking.k8s.io", NETWORKING "ingressclasses"},
  secrets = {"Secret", CORE "secrets"}, config_maps = {"ConfigMap", CORE "configmaps"},
  events = {"Event", CORE "events"}, shop_events = {"Event", "/api/v1/namespaces/shop/events"};

static struct server_process server;

static void start(void) {
    server = server_start((const char *const[]){NULL});
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

/* JSON is written with single quotes. */
static struct answer ask(const char *method, const char *path, const char *type, const char *json) {
    char *body = strdup(json);
    for (char *at = body; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct answer answer = server_ask(&server, method, path, type, NULL, body, strlen(body));
    free(body);
    return answer;
}

static struct answer create(const struct kind *kind, const char *fields) {
    char body[8192];
    snprintf(body, sizeof body, "{'metadata':{'name':'x'}%s%s}", fields[0] != '\0' ? "," : "",
             fields);
    return ask("POST", kind->path, "application/json", body);
}

static void must_make(const struct kind *kind, const char *fields) {
    struct answer answer = create(kind, fields);
    ck_assert_msg(answer.code == 201, "%s: %ld %s", fields, answer.code, answer.text);
    answer_free(&answer);
}

static void must_remove(const struct kind *kind) {
    char path[256];
    snprintf(path, sizeof path, "%s/x", kind->path);
    struct answer answer = server_ask(&server, "DELETE", path, NULL, NULL, NULL, 0);
    ck_assert_msg(answer.code == 200, "%s: %ld %s", path, answer.code, answer.text);
    answer_free(&answer);
}

/* A merge patch of /x, or of what is below it ("/status"). */
static struct answer change(const struct kind *kind, const char *below, const char *fields) {
    char path[256];
    char body[8192];
    snprintf(path, sizeof path, "%s/x%s", kind->path, below);
    snprintf(body, sizeof body, "{%s}", fields);
    return ask("PATCH", path, "application/merge-patch+json", body);
}

/* One refusal. */
struct row {
    const struct kind *kind;
    const char *before;  /* what is there, and changed by a merge patch; NULL: nothing, a create */
    const char *fields;  /* beside metadata.name, which is "x"; of a patch: all */
    const char *reasons; /* of each cause, without "FieldValue", joined by a blank */
    const char *message; /* after `KIND "x" is invalid: ` */
};

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

static void expect_refusal(struct answer *answer, const struct row *row) {
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

static void expect_each(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        expect_refused(&rows[i]);
    }
}
#define EXPECT_EACH(rows) expect_each(rows, sizeof(rows) / sizeof(rows)[0])

/* --- texts that many rows share --------------------------------------------------------------- */

#define LABEL                                                                                    \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " \
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "   \
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define SUBDOMAIN                                                                                 \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "  \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used " \
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define WILDCARD                                                                              \
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, " \
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "   \
    "alphanumeric character (e.g. '*.example.com', regex used for validation is "             \
    "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define KEY                                                                              \
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. " \
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
#define SERVICE_NAME                                                                             \
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an " \
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "         \
    "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
#define NO_ADDRESS "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
#define PORT_RANGE "must be between 1 and 65535, inclusive"
#define PROTOCOLS  "supported values: \"SCTP\", \"TCP\", \"UDP\""
#define IMMUTABLE  "Forbidden: field is immutable when `immutable` is set"

/* --- Ingress ---------------------------------------------------------------------------------- */

#define WEB  "'backend':{'service':{'name':'web','port':{'number':80}}}"
#define PATH "spec.rules[0].http.paths[0]"
/* One path of one rule. */
#define RULE(path)       "'spec':{'rules':[{'http':{'paths':[{" path "}]}}]}"
#define BACKEND(backend) RULE("'path':'/','pathType':'Prefix','backend':{" backend "}")
#define PREFIX(path)     RULE("'path':'" path "','pathType':'Prefix'," WEB)
#define HOST(host)                                                      \
    "'spec':{'rules':[{'host':'" host "','http':{'paths':[{'path':'/'," \
    "'pathType':'Prefix'," WEB "}]}}]}"
#define DEFAULT(more) \
    "'spec':{'defaultBackend':{'service':{'name':'web','port':{'number':80}}}" more "}"

static const struct row ingress_rows[] = {
    {&ingresses, NULL, "", "Invalid",
     "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"},
    {&ingresses, NULL, "'spec':{'rules':[]}", "Invalid",
     "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"},
    {&ingresses, NULL, "'spec':{'rules':[{'http':{'paths':[]}}]}", "Required",
     "spec.rules[0].http.paths: Required value"},
    /* hosts */
    {&ingresses, NULL, HOST("192.0.2.1"), "Invalid",
     "spec.rules[0].host: Invalid value: \"192.0.2.1\": must be a DNS name, not an IP address"},
    {&ingresses, NULL, HOST("2001:db8::1"), "Invalid Invalid",
     "[spec.rules[0].host: Invalid value: \"2001:db8::1\": must be a DNS name, not an IP address, "
     "spec.rules[0].host: Invalid value: \"2001:db8::1\": " SUBDOMAIN "]"},
    {&ingresses, NULL, HOST("Shop.example"), "Invalid",
     "spec.rules[0].host: Invalid value: \"Shop.example\": " SUBDOMAIN},
    {&ingresses, NULL, HOST("shop.example:80"), "Invalid",
     "spec.rules[0].host: Invalid value: \"shop.example:80\": " SUBDOMAIN},
    {&ingresses, NULL, HOST("*"), "Invalid", "spec.rules[0].host: Invalid value: \"*\": " WILDCARD},
    {&ingresses, NULL, HOST("*shop.example"), "Invalid",
     "spec.rules[0].host: Invalid value: \"*shop.example\": " WILDCARD},
    {&ingresses, NULL, HOST("a.*.example"), "Invalid",
     "spec.rules[0].host: Invalid value: \"a.*.example\": " WILDCARD},
    {&ingresses, NULL, HOST("*.*.example"), "Invalid",
     "spec.rules[0].host: Invalid value: \"*.*.example\": " WILDCARD},
    /* paths */
    {&ingresses, NULL, RULE("'path':'/'," WEB), "Required",
     PATH ".pathType: Required value: pathType must be specified"},
    {&ingresses, NULL, RULE("'path':'/','pathType':'prefix'," WEB), "NotSupported",
     PATH ".pathType: Unsupported value: \"prefix\": supported values: \"Exact\", "
          "\"ImplementationSpecific\", \"Prefix\""},
    {&ingresses, NULL, PREFIX("shop"), "Invalid",
     PATH ".path: Invalid value: \"shop\": must be an absolute path"},
    {&ingresses, NULL, RULE("'pathType':'Exact'," WEB), "Invalid",
     PATH ".path: Invalid value: \"\": must be an absolute path"},
    {&ingresses, NULL, RULE("'path':'shop','pathType':'ImplementationSpecific'," WEB), "Invalid",
     PATH ".path: Invalid value: \"shop\": must be an absolute path"},
    {&ingresses, NULL, PREFIX("/a//b"), "Invalid",
     PATH ".path: Invalid value: \"/a//b\": must not contain '//'"},
    {&ingresses, NULL, PREFIX("/a/./b/../c%2fd%2Fe"), "Invalid Invalid Invalid Invalid",
     "[" PATH ".path: Invalid value: \"/a/./b/../c%2fd%2Fe\": must not contain '/./', " PATH
     ".path: Invalid value: \"/a/./b/../c%2fd%2Fe\": must not contain '/../', " PATH
     ".path: Invalid value: \"/a/./b/../c%2fd%2Fe\": must not contain '%2f', " PATH
     ".path: Invalid value: \"/a/./b/../c%2fd%2Fe\": must not contain '%2F']"},
    {&ingresses, NULL, PREFIX("/a/.."), "Invalid",
     PATH ".path: Invalid value: \"/a/..\": cannot end with '/..'"},
    {&ingresses, NULL, PREFIX("/a/."), "Invalid",
     PATH ".path: Invalid value: \"/a/.\": cannot end with '/.'"},
    /* backends */
    {&ingresses, NULL, BACKEND(""), "Invalid",
     PATH ".backend: Invalid value: \"\": resource or service backend is required"},
    {&ingresses, NULL,
     BACKEND("'service':{'name':'web','port':{'number':80}},'resource':{'kind':"
             "'a','name':'b'}"),
     "Invalid",
     PATH ".backend: Invalid value: \"\": cannot set both resource and service backends"},
    {&ingresses, NULL, BACKEND("'resource':{'apiGroup':'A','kind':'a/b','name':'..'}"),
     "Invalid Invalid Invalid",
     "[" PATH ".backend.resource.apiGroup: Invalid value: \"A\": " SUBDOMAIN ", " PATH
     ".backend.resource.kind: Invalid value: \"a/b\": may not contain '/', " PATH
     ".backend.resource.name: Invalid value: \"..\": may not be '..']"},
    {&ingresses, NULL, BACKEND("'resource':{}"), "Required Required",
     "[" PATH ".backend.resource.kind: Required value, " PATH
     ".backend.resource.name: Required value]"},
    {&ingresses, NULL, BACKEND("'service':{'port':{'number':80}}"), "Required",
     PATH ".backend.service.name: Required value"},
    {&ingresses, NULL, BACKEND("'service':{'name':'Web','port':{'number':80}}"), "Invalid",
     PATH ".backend.service.name: Invalid value: \"Web\": " SERVICE_NAME},
    {&ingresses, NULL, BACKEND("'service':{'name':'web'}"), "Required",
     PATH ".backend: Required value: port name or number is required"},
    {&ingresses, NULL, BACKEND("'service':{'name':'web','port':{'name':'http','number':80}}"),
     "Invalid", PATH ".backend: Invalid value: \"\": cannot set both port name & port number"},
    {&ingresses, NULL, BACKEND("'service':{'name':'web','port':{'number':65536}}"), "Invalid",
     PATH ".backend.service.port.number: Invalid value: 65536: " PORT_RANGE},
    {&ingresses, NULL, BACKEND("'service':{'name':'web','port':{'number':-1}}"), "Invalid",
     PATH ".backend.service.port.number: Invalid value: -1: " PORT_RANGE},
    {&ingresses, NULL, BACKEND("'service':{'name':'web','port':{'name':'a-name-too-long-by-far'}}"),
     "Invalid",
     PATH ".backend.service.port.name: Invalid value: \"a-name-too-long-by-far\": must be no more "
          "than 15 characters"},
    {&ingresses, NULL, "'spec':{'defaultBackend':{}}", "Invalid",
     "spec.defaultBackend: Invalid value: \"\": resource or service backend is required"},
    /* the class */
    {&ingresses, NULL, DEFAULT(",'ingressClassName':'A_b'"), "Invalid",
     "spec.ingressClassName: Invalid value: \"A_b\": " SUBDOMAIN},
    {&ingresses, NULL, DEFAULT(",'ingressClassName':''"), "Invalid",
     "spec.ingressClassName: Invalid value: \"\": " SUBDOMAIN},
    {&ingresses, NULL,
     "'metadata':{'name':'x','annotations':{'kubernetes.io/ingress.class':'a'}}," DEFAULT(
         ",'ingressClassName':'b'"),
     "Invalid",
     "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match "
     "`ingressClassName` when both are specified"},
    /* TLS */
    {&ingresses, NULL, DEFAULT(",'tls':[{'hosts':['a.example','*a.example','']}]"),
     "Invalid Invalid",
     "[spec.tls[0].hosts[1]: Invalid value: \"*a.example\": " WILDCARD
     ", spec.tls[0].hosts[2]: Invalid value: \"\": " SUBDOMAIN "]"},
    {&ingresses, NULL, DEFAULT(",'tls':[{'secretName':'My_secret'}]"), "Invalid",
     "spec.tls[0].secretName: Invalid value: \"My_secret\": " SUBDOMAIN},
    /* a change is held to the same */
    {&ingresses, DEFAULT(""), HOST("*"), "Invalid",
     "spec.rules[0].host: Invalid value: \"*\": " WILDCARD},
};

START_TEST(ingresses_are_refused) {
    EXPECT_EACH(ingress_rows);
}
END_TEST

START_TEST(where_an_ingress_is_served_is_a_name_or_an_address) {
    static const struct row rows[] = {
        {&ingresses, NULL, "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.256'}]}}",
         "Invalid",
         "status.loadBalancer.ingress[0].ip: Invalid value: \"192.0.2.256\": " NO_ADDRESS},
        {&ingresses, NULL, "'status':{'loadBalancer':{'ingress':[{'hostname':'192.0.2.1'}]}}",
         "Invalid",
         "status.loadBalancer.ingress[0].hostname: Invalid value: \"192.0.2.1\": must be a DNS "
         "name, not an IP address"},
    };
    must_make(&ingresses, DEFAULT(""));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = change(&ingresses, "/status", rows[i].fields);
        expect_refusal(&answer, &rows[i]);
    }
    must_remove(&ingresses);
}
END_TEST

/* --- IngressClass ----------------------------------------------------------------------------- */

#define CLASS_PARAMETERS(more) \
    "'spec':{'controller':'a.example/b','parameters':{'kind':'K','name':'n'" more "}}"

static const struct row class_rows[] = {
    {&classes, NULL, "", "Required", "spec.controller: Required value"},
    {&classes, NULL, "'spec':{'controller':'a.example'}", "Invalid",
     "spec.controller: Invalid value: \"a.example\": must be a domain-prefixed path (such as "
     "\"acme.io/foo\")"},
    {&classes, NULL, "'spec':{'controller':'A.example/b'}", "Invalid",
     "spec.controller: Invalid value: \"A.example\": " SUBDOMAIN},
    {&classes, NULL, "'spec':{'controller':'a.example/b c'}", "Invalid",
     "spec.controller: Invalid value: \"b c\": Invalid path (regex used for validation is "
     "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"},
    {&classes, NULL, CLASS_PARAMETERS(",'scope':'Galaxy'"), "NotSupported",
     "spec.parameters.scope: Unsupported value: \"Galaxy\": supported values: \"Cluster\", "
     "\"Namespace\""},
    {&classes, NULL, CLASS_PARAMETERS(",'scope':'Namespace'"), "Required",
     "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"},
    {&classes, NULL, CLASS_PARAMETERS(",'namespace':'a'"), "Forbidden",
     "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"},
    {&classes, NULL, "'spec':{'controller':'a.example/b','parameters':{}}", "Required Required",
     "[spec.parameters.kind: Required value, spec.parameters.name: Required value]"},
    {&classes, "'spec':{'controller':'a.example/b'}", "'spec':{'controller':'a.example/c'}",
     "Invalid", "spec.controller: Invalid value: \"a.example/c\": field is immutable"},
};

START_TEST(ingress_classes_are_refused) {
    EXPECT_EACH(class_rows);
}
END_TEST

/* --- where traffic goes ----------------------------------------------------------------------- */

#define SLICE(address) \
    "'addressType':'IPv4','endpoints':[{'addresses':['" address "']}],'ports':[{'port':80}]"
#define ADDRESS      "endpoints[0].addresses[0]: Invalid value: "
#define PORTS(ports) "'addressType':'IPv4','endpoints':[],'ports':[" ports "]"

static const struct row slice_rows[] = {
    {&slices, NULL, "'endpoints':[]", "Required", "addressType: Required value"},
    {&slices, NULL, "'addressType':'IP','endpoints':[]", "NotSupported",
     "addressType: Unsupported value: \"IP\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""},
    {&slices, NULL, SLICE("127.0.0.1"), "Invalid",
     ADDRESS "\"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"},
    {&slices, NULL, SLICE("169.254.169.254"), "Invalid",
     ADDRESS "\"169.254.169.254\": may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
    {&slices, NULL, SLICE("0.0.0.0"), "Invalid",
     ADDRESS "\"0.0.0.0\": may not be unspecified (0.0.0.0)"},
    {&slices, NULL, SLICE("224.0.0.1"), "Invalid",
     ADDRESS "\"224.0.0.1\": may not be in the link-local multicast range (224.0.0.0/24, "
             "ff02::/10)"},
    {&slices, NULL, SLICE("10.0.0.01"), "Invalid",
     ADDRESS "\"10.0.0.01\": must not have leading 0s"},
    {&slices, NULL, SLICE("web"), "Invalid Invalid",
     "[" ADDRESS "\"web\": " NO_ADDRESS ", " ADDRESS "\"web\": must be a valid IP address]"},
    {&slices, NULL, SLICE("fd00::1"), "Invalid", ADDRESS "\"fd00::1\": must be an IPv4 address"},
    {&slices, NULL, "'addressType':'IPv6','endpoints':[{'addresses':['10.0.0.1']}]", "Invalid",
     ADDRESS "\"10.0.0.1\": must be an IPv6 address"},
    {&slices, NULL,
     "'addressType':'IPv6','endpoints':[{'addresses':['::1','fe80::1','::','ff02::1'"
     "]}]",
     "Invalid Invalid Invalid Invalid",
     "[" ADDRESS "\"::1\": may not be in the loopback range (127.0.0.0/8, ::1/128), "
     "endpoints[0].addresses[1]: Invalid value: \"fe80::1\": may not be in the link-local range "
     "(169.254.0.0/16, fe80::/10), endpoints[0].addresses[2]: Invalid value: \"::\": may not be "
     "unspecified (::), endpoints[0].addresses[3]: Invalid value: \"ff02::1\": may not be in the "
     "link-local multicast range (224.0.0.0/24, ff02::/10)]"},
    /* Kubernetes takes it, and warns. */
    {&slices, NULL, "'addressType':'IPv6','endpoints':[{'addresses':['FD00::1']}]", "Invalid",
     ADDRESS "\"FD00::1\": must be in canonical form (\"fd00::1\")"},
    {&slices, NULL, "'addressType':'FQDN','endpoints':[{'addresses':['web','Web.example','']}]",
     "Invalid Invalid Required",
     "[" ADDRESS "\"web\": should be a domain with at least two segments separated by dots, "
     "endpoints[0].addresses[1]: Invalid value: \"Web.example\": " SUBDOMAIN
     ", endpoints[0].addresses[2]: Required value]"},
    {&slices, NULL, "'addressType':'IPv4','endpoints':[{'addresses':[]}]", "Required",
     "endpoints[0].addresses: Required value: must contain at least 1 address"},
    {&slices, NULL,
     "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1'],'nodeName':'A','"
     "hostname':'a.b'}]",
     "Invalid Invalid",
     "[endpoints[0].nodeName: Invalid value: \"A\": " SUBDOMAIN
     ", endpoints[0].hostname: Invalid value: \"a.b\": must not contain dots]"},
    {&slices, NULL,
     "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1'],'hints':{'forZones"
     "':[{'name':'a'},{'name':'a'}]}}]",
     "Duplicate", "endpoints[0].hints.forZones[1].name: Duplicate value: \"a\""},
    {&slices, NULL, PORTS("{'name':'a','port':1},{'name':'a','port':2}"), "Duplicate",
     "ports[1].name: Duplicate value: \"a\""},
    {&slices, NULL, PORTS("{'port':1},{'port':2}"), "Duplicate",
     "ports[1].name: Duplicate value: \"\""},
    {&slices, NULL, PORTS("{'name':'A','port':1}"), "Invalid",
     "ports[0].name: Invalid value: \"A\": " LABEL},
    {&slices, NULL, PORTS("{'protocol':'ICMP'}"), "NotSupported",
     "ports[0].protocol: Unsupported value: \"ICMP\": " PROTOCOLS},
    /* Kubernetes takes any number. */
    {&slices, NULL, PORTS("{'port':70000}"), "Invalid",
     "ports[0].port: Invalid value: 70000: " PORT_RANGE},
    {&slices, NULL, PORTS("{'port':1,'appProtocol':'/h2c'}"), "Invalid",
     "ports[0].appProtocol: Invalid value: \"/h2c\": prefix part must be non-empty"},
    {&slices, SLICE("10.0.0.1"), "'addressType':'FQDN','endpoints':[]", "Invalid",
     "addressType: Invalid value: \"FQDN\": field is immutable"},
};

START_TEST(endpoint_slices_are_refused) {
    EXPECT_EACH(slice_rows);
}
END_TEST

/* COUNT elements between the two texts; the caller frees it. */
static char *repeated(const char *before, const char *element, size_t count, const char *after) {
    size_t size = strlen(before) + count * (strlen(element) + 1) + strlen(after) + 1;
    char *out = malloc(size);
    char *at = out + snprintf(out, size, "%s", before);
    for (size_t i = 0; i < count; i++) {
        at += snprintf(at, size - (size_t)(at - out), "%s%s", i > 0 ? "," : "", element);
    }
    snprintf(at, size - (size_t)(at - out), "%s", after);
    return out;
}

START_TEST(a_slice_has_limits) {
    static const struct {
        const char *before, *element;
        size_t most;
        const char *after, *message;
    } rows[] = {
        {"'endpoints':[", "{'addresses':['10.0.0.1']}", 1000, "]",
         "endpoints: Too many: 1001: must have at most 1000 items"},
        {"'endpoints':[{'addresses':[", "'10.0.0.1'", 100, "]}]",
         "endpoints[0].addresses: Too many: 101: must have at most 100 items"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t more = 0; more < 2; more++) {
            char before[128];
            snprintf(before, sizeof before, "{'metadata':{'name':'x'},'addressType':'IPv4',%s",
                     rows[i].before);
            char end[16];
            snprintf(end, sizeof end, "%s}", rows[i].after);
            char *body = repeated(before, rows[i].element, rows[i].most + more, end);
            struct answer answer = ask("POST", slices.path, "application/json", body);
            if (more == 0) {
                ck_assert_msg(answer.code == 201, "%.200s", answer.text);
                answer_free(&answer);
                must_remove(&slices);
            } else {
                expect_refusal(&answer, &(struct row){&slices, NULL, rows[i].before, "TooMany",
                                                      rows[i].message});
            }
            free(body);
        }
    }
}
END_TEST

static const struct row endpoints_rows[] = {
    {&endpoints, NULL, "'subsets':[{'ports':[{'port':80}]}]", "Required",
     "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"},
    {&endpoints, NULL, "'subsets':[{'addresses':[{'ip':'127.0.0.9'}]}]", "Invalid",
     "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.9\": may not be in the loopback range "
     "(127.0.0.0/8, ::1/128)"},
    {&endpoints, NULL, "'subsets':[{'notReadyAddresses':[{'ip':'0.0.0.0'}]}]", "Invalid",
     "subsets[0].notReadyAddresses[0].ip: Invalid value: \"0.0.0.0\": may not be unspecified "
     "(0.0.0.0)"},
    {&endpoints, NULL, "'subsets':[{'addresses':[{'hostname':'a'}]}]", "Invalid Invalid",
     "[subsets[0].addresses[0].ip: Invalid value: \"\": " NO_ADDRESS
     ", subsets[0].addresses[0].ip: Invalid value: \"\": must be a valid IP address]"},
    {&endpoints, NULL, "'subsets':[{'addresses':[{'ip':'10.0.0.1','hostname':'A'}]}]", "Invalid",
     "subsets[0].addresses[0].hostname: Invalid value: \"A\": " LABEL},
    {&endpoints, NULL, "'subsets':[{'addresses':[{'ip':'10.0.0.1','nodeName':'A'}]}]", "Invalid",
     "subsets[0].addresses[0].nodeName: Invalid value: \"A\": " SUBDOMAIN},
    {&endpoints, NULL,
     "'subsets':[{'addresses':[{'ip':'10.0.0.1'}],'ports':[{'port':80},{'name':'b','port':0,"
     "'protocol':'tcp'}]}]",
     "Required Invalid NotSupported",
     "[subsets[0].ports[0].name: Required value, subsets[0].ports[1].port: Invalid value: "
     "0: " PORT_RANGE ", subsets[0].ports[1].protocol: Unsupported value: \"tcp\": " PROTOCOLS "]"},
    /* Kubernetes takes it; its controller could not make a slice of it. */
    {&endpoints, NULL,
     "'subsets':[{'addresses':[{'ip':'10.0.0.1'}],'ports':[{'name':'a','port':80},{'name':'a',"
     "'port':81}]}]",
     "Duplicate", "subsets[0].ports[1].name: Duplicate value: \"a\""},
};

START_TEST(endpoints_are_refused) {
    EXPECT_EACH(endpoints_rows);
}
END_TEST

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
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = change(&pods, "/status", rows[i].fields);
        expect_refusal(&answer, &rows[i]);
    }
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
    tcase_add_checked_fixture(cases, start, stop);
    tcase_add_test(cases, ingresses_are_refused);
    tcase_add_test(cases, where_an_ingress_is_served_is_a_name_or_an_address);
    tcase_add_test(cases, ingress_classes_are_refused);
    tcase_add_test(cases, endpoint_slices_are_refused);
    tcase_add_test(cases, a_slice_has_limits);
    tcase_add_test(cases, endpoints_are_refused);
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
