/* Where traffic may not go by an EndpointSlice or Endpoints; see kind_client.h. */
#include "kind_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(void) {
    Suite *suite = suite_create("slices");
    TCase *cases = tcase_create("slices");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, kinds_start, kinds_stop);
    tcase_add_test(cases, endpoint_slices_are_refused);
    tcase_add_test(cases, a_slice_has_limits);
    tcase_add_test(cases, endpoints_are_refused);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
