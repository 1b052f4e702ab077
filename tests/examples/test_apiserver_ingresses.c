/* What an Ingress and an IngressClass may not say, and what is told of it; see kind_client.h. */
#include "kind_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    expect_each_status(rows, sizeof rows / sizeof rows[0]);
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

int main(void) {
    Suite *suite = suite_create("ingresses");
    TCase *cases = tcase_create("ingresses");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, kinds_start, kinds_stop);
    tcase_add_test(cases, ingresses_are_refused);
    tcase_add_test(cases, where_an_ingress_is_served_is_a_name_or_an_address);
    tcase_add_test(cases, ingress_classes_are_refused);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
