/*
 * A request that is refused leaves nothing and frees nothing, and a dry run is honest: it refuses
 * what the request itself would be refused for, in the same words, and keeps nothing.
 */
#include "service_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS "'ports':[{'port':80}]"
#define DRY   "?dryRun=All"
#define LOCAL "'type':'LoadBalancer','externalTrafficPolicy':'Local',"
#define HOLDER                                                                                 \
    LOCAL                                                                                      \
    "'ipFamilyPolicy':'RequireDualStack','clusterIP':'10.96.0.10','clusterIPs':["              \
    "'10.96.0.10','fd00:10:96::a'],'loadBalancerIP':'192.0.2.10','healthCheckNodePort':30100," \
    "'ports':[{'port':80,'nodePort':30080}]"

static struct server_process server;

static void start(void) {
    const char *arguments[] = {"--service-cluster-ip-range=10.96.0.0/27,fd00:10:96::/120",
                               "--service-node-port-range=30000-30127",
                               "--load-balancer-ip-range=192.0.2.0/27", NULL};
    server = server_start(arguments);
    must_create(&server, "holder", HOLDER);
}

static void stop(void) {
    expect_nothing_to_repair(&server);
    ck_assert_int_eq(server_stop(&server), 0);
}

/* --- dry run ------------------------------------------------------------------------------------
 */

/* What is asked for in one of these is free; in the rest it is not. */
static const char *const creates[] = {
    "'clusterIP':'10.96.0.10'," PORTS,
    "'clusterIP':'fd00:10:96::A'," PORTS,
    "'ipFamilyPolicy':'RequireDualStack','clusterIP':'10.96.0.11','clusterIPs':['10.96.0.11',"
    "'fd00:10:96::a']," PORTS,
    "'clusterIP':'10.96.9.9'," PORTS,
    "'type':'NodePort','ports':[{'port':80,'nodePort':30080}]",
    "'type':'NodePort','clusterIP':'10.96.0.12','ports':[{'name':'a','port':80,'nodePort':30081},"
    "{'name':'b','port':81,'nodePort':30100}]",
    "'type':'NodePort','ports':[{'port':80,'nodePort':29999}]",
    LOCAL "'healthCheckNodePort':30100," PORTS,
    LOCAL "'healthCheckNodePort':30080," PORTS,
    LOCAL "'healthCheckNodePort':29999," PORTS,
    "'type':'LoadBalancer','loadBalancerIP':'192.0.2.10'," PORTS,
    "'type':'LoadBalancer','loadBalancerIP':'198.51.100.1'," PORTS,
    "'type':'NodePort','clusterIP':'None'," PORTS,
    /* good */
    "'type':'LoadBalancer','externalTrafficPolicy':'Local','ipFamilyPolicy':'RequireDualStack',"
    "'clusterIP':'10.96.0.20','clusterIPs':['10.96.0.20','fd00:10:96::20'],'healthCheckNodePort':"
    "30110,'loadBalancerIP':'192.0.2.20','ports':[{'port':80,'nodePort':30090}]",
};

/* As a merge patch of a Service with 10.96.0.30. */
static const char *const changes[] = {
    "'ipFamilyPolicy':'PreferDualStack','clusterIPs':['10.96.0.30','fd00:10:96::a']",
    "'type':'NodePort','ports':[{'port':80,'nodePort':30080}]",
    "'type':'NodePort','ports':[{'port':80,'nodePort':29999}]",
    LOCAL "'healthCheckNodePort':30100",
    "'type':'LoadBalancer','loadBalancerIP':'192.0.2.10'",
    "'clusterIP':'10.96.0.29','clusterIPs':['10.96.0.29']",
    "'type':'Nonsense'",
    /* good */
    "'type':'LoadBalancer','externalTrafficPolicy':'Local','ipFamilyPolicy':'RequireDualStack',"
    "'clusterIPs':['10.96.0.30','fd00:10:96::30'],'healthCheckNodePort':30111,'loadBalancerIP':"
    "'192.0.2.30','ports':[{'port':80,'nodePort':30091}]",
    "'type':'ExternalName','externalName':'a.example','clusterIP':null,'clusterIPs':null",
};

static const char *part(const struct answer *answer, const char *name) {
    struct json_object *value = NULL;
    json_object_object_get_ex(answer->json, name, &value);
    return json_object_to_json_string(value);
}

/* The dry answer is the wet one, and only the wet one leaves anything. */
static void expect_same(struct answer dry, struct answer wet, const char *spec) {
    char dry_part[4096];
    static const char *const parts[] = {"kind", "message", "reason", "details", "spec", "status"};
    ck_assert_msg(dry.code == wet.code, "%s: dry %s wet %s", spec, dry.text, wet.text);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(dry_part, sizeof dry_part, "%s", part(&dry, parts[i]));
        ck_assert_str_eq(dry_part, part(&wet, parts[i]));
    }
    answer_free(&dry);
    answer_free(&wet);
}

static void expect_leases(char *before, const char *after_what) {
    char *after = leases_now(&server);
    ck_assert_msg(strcmp(before, after) == 0, "after %s: %s, before %s", after_what, after, before);
    free(before);
    free(after);
}

START_TEST(a_dry_create_answers_as_a_wet_one) {
    start();
    size_t made = 0;
    for (size_t i = 0; i < sizeof creates / sizeof creates[0]; i++) {
        char *before = leases_now(&server);
        struct answer dry = service_create(&server, "x", creates[i], DRY);
        expect_leases(before, creates[i]);
        before = leases_now(&server);
        struct answer wet = service_create(&server, "x", creates[i], "");
        if (wet.code == 201) {
            made++;
            must_delete(&server, "x");
        }
        expect_leases(before, creates[i]);
        expect_same(dry, wet, creates[i]);
    }
    ck_assert_uint_eq(made, 1);
    stop();
}
END_TEST

START_TEST(a_dry_update_answers_as_a_wet_one) {
    start();
    size_t made = 0;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        must_create(&server, "x", "'clusterIP':'10.96.0.30'," PORTS);
        char *before = leases_now(&server);
        struct answer dry = service_change(&server, "x", changes[i], DRY);
        expect_leases(before, changes[i]);
        before = leases_now(&server);
        struct answer wet = service_change(&server, "x", changes[i], "");
        if (wet.code == 200) {
            made++;
            free(before);
        } else {
            expect_leases(before, changes[i]);
        }
        expect_same(dry, wet, changes[i]);
        must_delete(&server, "x");
    }
    ck_assert_uint_eq(made, 2);
    stop();
}
END_TEST

START_TEST(a_dry_run_on_full_ranges_is_refused_as_a_wet_one) {
    start();
    int filled = 0;
    for (;; filled++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", filled);
        struct answer answer = service_create(&server, name, PORTS, "");
        long code = answer.code;
        answer_free(&answer);
        if (code != 201) {
            break;
        }
    }
    ck_assert_int_eq(filled,
                     28); /* a /27 without its ends, the kubernetes Service's, the holder's */
    expect_same(service_create(&server, "x", PORTS, DRY), service_create(&server, "x", PORTS, ""),
                "a full range");
    stop();
}
END_TEST

START_TEST(a_dry_delete_frees_nothing) {
    start();
    char *before = leases_now(&server);
    struct answer answer = service_delete(&server, "holder", DRY);
    ck_assert_int_eq((int)answer.code, 200);
    answer_free(&answer);
    expect_leases(before, "a dry delete");
    stop();
}
END_TEST

/* --- random faults -------------------------------------------------------------------------------
 */

#define NAMES  6
#define ROUNDS 300

/* What a create or a change asks for: each may be good or not, as the Services stand. */
static const char *const wishes[] = {
    "'clusterIP':'10.96.0.%u'",
    "'clusterIP':'fd00:10:96::%u'",
    "'ipFamilyPolicy':'PreferDualStack','clusterIP':'10.96.0.%u','clusterIPs':['10.96.0.%u',"
    "'fd00:10:96::%u']",
    "'ipFamilyPolicy':'PreferDualStack','clusterIP':'fd00:10:96::%u','clusterIPs':['fd00:10:96::%u'"
    ",'10.96.0.%u']",
    "'ipFamilyPolicy':'RequireDualStack'",
    "'ipFamilyPolicy':'SingleStack'",
    "'ipFamilies':['IPv6']",
    "'type':'NodePort','ports':[{'name':'a','port':80,'nodePort':3000%u},{'name':'b','port':81,"
    "'nodePort':3000%u}]",
    "'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':3000%u",
    "'type':'LoadBalancer','loadBalancerIP':'192.0.2.%u'",
    "'type':'LoadBalancer'",
    "'type':'ClusterIP'",
    "'type':'ExternalName','externalName':'a.example'",
    "'type':'ExternalName','externalName':'a.example','ports':[{'port':80,'nodePort':3000%u}]",
    "'clusterIP':'None'",
};
#define WISHES (sizeof wishes / sizeof wishes[0])

/* Never good, wherever it is said: found after the addresses have been looked at. */
static const char *const faults[] = {
    "",
    "",
    "",
    "",
    "",
    "",
    ",'sessionAffinity':'Sticky'",
    ",'externalIPs':['garbage']",
    ",'ports':[{'port':80,'nodePort':30080}],'type':'NodePort'",
};
#define FAULTS (sizeof faults / sizeof faults[0])

static void write_wish(char *out, size_t capacity, uint64_t *state) {
    const char *wish = wishes[test_random(state) % WISHES];
    const char *fault = faults[test_random(state) % FAULTS];
    unsigned number = (unsigned)(test_random(state) % 9 + 3);
    size_t at = 0;
    for (; *wish != '\0' && at + 16 < capacity; wish++) {
        if (*wish == '%') {
            at += (size_t)snprintf(out + at, capacity - at, "%u", number > 9 ? 9 : number);
            wish++;
        } else {
            out[at++] = *wish;
        }
    }
    out[at] = '\0';
    snprintf(out + at, capacity - at, "%s", fault);
}

static struct answer ask(const char *name, uint64_t *state, char *what, size_t capacity) {
    char wish[512];
    write_wish(wish, sizeof wish, state);
    const char *parameters = test_random(state) % 6 == 0 ? DRY : "";
    switch (test_random(state) % 8) {
    case 0:
        snprintf(what, capacity, "delete %s%s", name, parameters);
        return service_delete(&server, name, parameters);
    case 1:
        snprintf(what, capacity, "stale %s %s", name, wish);
        snprintf(wish, sizeof wish,
                 "{'metadata':{'resourceVersion':'3'},'spec':{'type':'NodePort'}}");
        return service_patch(&server, name, wish, parameters);
    case 2:
    case 3:
    case 4:
        snprintf(what, capacity, "create %s%s %s", name, parameters, wish);
        if (strstr(wish, "'ports'") == NULL) {
            strcat(wish, "," PORTS);
        }
        return service_create(&server, name, wish, parameters);
    default:
        snprintf(what, capacity, "change %s%s %s", name, parameters, wish);
        return service_change(&server, name, wish, parameters);
    }
}

START_TEST(whatever_is_refused_leaves_and_frees_nothing) {
    uint64_t state = test_seed();
    unsigned done = 0;
    unsigned refused = 0;
    start();
    for (uint64_t round = 0; round < test_scaled(ROUNDS); round++) {
        char name[16];
        char what[1024];
        snprintf(name, sizeof name, "s%u", (unsigned)(test_random(&state) % NAMES));
        char *before = leases_now(&server);
        struct answer answer = ask(name, &state, what, sizeof what);
        bool dry = strstr(what, DRY) != NULL;
        ck_assert_msg(answer.code < 600 && answer.code >= 200, "%s: %ld", what, answer.code);
        if (answer.code >= 300 || dry) {
            refused++;
            expect_leases(before, what);
        } else {
            done++;
            free(before);
        }
        answer_free(&answer);
        expect_nothing_to_repair(&server);
    }
    ck_assert(done + refused < 100 || (done > 0 && refused > 0));
    stop();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver faults");
    TCase *tests = tcase_create("faults");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_dry_create_answers_as_a_wet_one);
    tcase_add_test(tests, a_dry_update_answers_as_a_wet_one);
    tcase_add_test(tests, a_dry_run_on_full_ranges_is_refused_as_a_wet_one);
    tcase_add_test(tests, a_dry_delete_frees_nothing);
    tcase_add_test(tests, whatever_is_refused_leaves_and_frees_nothing);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
