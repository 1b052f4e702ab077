/* test_ingress_routes.c: what leads where when several Ingresses are put together, and what each is
 * told of that. */
#include "ingress_world.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static bool no_certificate(void *context, const char *name, struct text *path, struct text *why) {
    (void)context;
    (void)name;
    (void)path;
    text_add(why, "does not exist");
    return false;
}

static bool its_certificate(void *context, const char *name, struct text *path, struct text *why) {
    (void)context;
    (void)why;
    text_add(path, name);
    return true;
}

static const struct route_lookup lookup = {world_service, no_certificate, NULL};
static struct ingress *ingresses;

static void begin(void) {
    ingresses = NULL;
}

static void end(void) {
    world_free(ingresses);
}

/* "HOST: =/exact→a /prefix→b [CERTIFICATE]", in the order of the hosts' first mention; of a site
 * nothing is told that has nothing. */
static const char *routes(const struct route_lookup *from) {
    static char out[2000];
    struct site *sites = routes_make(ingresses, from);
    size_t used = 0;
    out[0] = '\0';
    for (const struct site *site = sites; site != NULL; site = site->next) {
        if (site->locations == NULL && site->certificate[0] == '\0') {
            continue;
        }
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s:", used > 0 ? "; " : "",
                                 site->host[0] != '\0' ? site->host : "*");
        for (const struct location *at = site->locations; at != NULL; at = at->next) {
            int code = 0;
            (void)sscanf(at->backend, "10.96.0.%d:80", &code);
            used +=
                (size_t)snprintf(out + used, sizeof out - used, " %s%s>%c", at->exact ? "=" : "",
                                 at->path[0] != '\0' ? at->path : "/", code != 0 ? code : '-');
        }
        if (site->certificate[0] != '\0') {
            used += (size_t)snprintf(out + used, sizeof out - used, " [%s]", site->certificate);
        }
    }
    routes_free(sites);
    return out;
}

static const char *problems_of(const char *name) {
    const struct ingress *at = ingresses;
    while (strcmp(at->name, name) != 0) {
        at = at->next;
    }
    return at->problems.size > 0 ? at->problems.data : "";
}

START_TEST(the_elder_has_its_path_and_the_younger_is_told_whose_it_is) {
    world_add(&ingresses, "default/old",
              "'rules':[" RULE("x.y", PATH("/a/", "Prefix", "a")) "," RULE(
                  "x.y", PATH("/a", "Exact", "b") "," PATH("/a", "Prefix", "c")) "]");
    world_add(&ingresses, "default/new",
              "'rules':[" RULE("x.y", PATH("/a", "Prefix", "d") "," PATH("/n", "Prefix", "e")) "]");
    ck_assert_str_eq(routes(&lookup), "x.y: /n>e =/a>b /a>a");
    ck_assert_str_eq(problems_of("default/new"), "Conflict\tthe prefix path \"/a\" of host \"x.y\" "
                                                 "belongs to the Ingress default/old already\n");
    ck_assert_str_eq(
        problems_of("default/old"),
        "Conflict\tthe prefix path \"/a\" of host \"x.y\" is given twice, and the first counts\n");
}
END_TEST

/* What an Ingress has for all that nobody asks for is no claim on a host's "/". */
START_TEST(a_path_counts_more_than_a_default_backend_also_of_an_elder) {
    world_add(&ingresses, "default/old",
              REST("r") ",'rules':[" RULE("x.y", PATH("/a", "Prefix", "a")) "," RULE(
                  "z.z", PATH("/a", "Prefix", "a")) "]");
    world_add(&ingresses, "default/new", "'rules':[" RULE("x.y", PATH("/", "Prefix", "n")) "]");
    ck_assert_str_eq(routes(&lookup), "x.y: />n /a>a; z.z: />r /a>a");
    ck_assert_str_eq(problems_of("default/new"), "");
    ck_assert_str_eq(problems_of("default/old"), "");
}
END_TEST

START_TEST(of_two_default_backends_the_elder_serves_and_the_younger_is_told) {
    world_add(&ingresses, "default/old", REST("a"));
    world_add(&ingresses, "default/new", REST("b"));
    world_add(&ingresses, "default/rules", "'rules':[" RULE("", PATH("/p", "Prefix", "c")) "]");
    ck_assert_str_eq(routes(&lookup), "*: />a /p>c");
    ck_assert_str_eq(
        problems_of("default/new"),
        "Conflict\tthe default backend of host \"*\" belongs to the Ingress default/old already\n");
    ck_assert_str_eq(problems_of("default/old"), "");
}
END_TEST

/* An API server keeps such things out; another one's mistake must not get into the configuration.
 */
START_TEST(what_would_end_the_quotes_is_left_out) {
    static const char *const hosts[] = {"a;b", "a b", "A.B", "*", "x.*.y", "a$b", "a}", "\\\\"};
    char spec[400];
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        begin();
        snprintf(spec, sizeof spec, "%s,'rules':[" RULE("%s", PATH("/", "Prefix", "a")) "]",
                 REST("r"), hosts[i]);
        world_add(&ingresses, "default/bad", spec);
        ck_assert_str_eq(routes(&lookup), "");
        ck_assert_msg(strncmp(problems_of("default/bad"), "BadHost\t", 8) == 0, "%s: %s", hosts[i],
                      problems_of("default/bad"));
        end();
    }
    begin();
    world_add(
        &ingresses, "default/path",
        "'rules':[" RULE("x.y", PATH("/a;b", "Prefix", "a") "," PATH("/ok", "Exact", "b")) "]");
    ck_assert_str_eq(routes(&lookup), "x.y: =/ok>b");
    ck_assert_ptr_nonnull(strstr(problems_of("default/path"), "the path \"/a;b\" is left out"));
}
END_TEST

START_TEST(a_backend_that_is_not_there_is_told_and_keeps_its_path) {
    world_add(&ingresses, "default/gone",
              "'rules':[" RULE("x.y", PATH("/", "Prefix", "nobody")) "]");
    world_add(&ingresses, "other/late", "'rules':[" RULE("x.y", PATH("/", "Prefix", "a")) "]");
    ck_assert_str_eq(routes(&lookup), "x.y: />-");
    ck_assert_str_eq(problems_of("default/gone"),
                     "BackendNotFound\tthere is no Service default/nobody\n");
    ck_assert_ptr_nonnull(strstr(problems_of("other/late"), "the Ingress default/gone already"));
}
END_TEST

START_TEST(certificates_are_for_the_hosts_they_name) {
    struct route_lookup with = {world_service, its_certificate, NULL};
    world_add(
        &ingresses, "default/i",
        "'tls':[{'hosts':['x.y',null,7],'secretName':'one'},{'secretName':'all'}],'rules':[" RULE(
            "x.y", PATH("/", "Prefix", "a")) "," RULE("z", PATH("/", "Prefix", "b")) "]");
    ck_assert_str_eq(routes(&with), "x.y: />a [default/one]; z: />b [default/all]");
    ck_assert_str_eq(routes(&lookup), "x.y: />a; z: />b");
    ck_assert_ptr_nonnull(strstr(problems_of("default/i"),
                                 "BadCertificate\thost \"x.y\" is served without TLS: the "
                                 "Secret default/one does not exist"));
}
END_TEST

START_TEST(one_that_is_left_out_has_no_part_in_it) {
    world_add(&ingresses, "default/out", "'rules':[" RULE("x.y", PATH("/", "Prefix", "a")) "]");
    world_add(&ingresses, "default/in", "'rules':[" RULE("x.y", PATH("/", "Prefix", "b")) "]");
    ingresses->left_out = true;
    ck_assert_str_eq(routes(&lookup), "x.y: />b");
    ck_assert_str_eq(problems_of("default/in"), "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ingress routes");
    TCase *tests = tcase_create("routes");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, the_elder_has_its_path_and_the_younger_is_told_whose_it_is);
    tcase_add_test(tests, a_path_counts_more_than_a_default_backend_also_of_an_elder);
    tcase_add_test(tests, of_two_default_backends_the_elder_serves_and_the_younger_is_told);
    tcase_add_test(tests, what_would_end_the_quotes_is_left_out);
    tcase_add_test(tests, a_backend_that_is_not_there_is_told_and_keeps_its_path);
    tcase_add_test(tests, certificates_are_for_the_hosts_they_name);
    tcase_add_test(tests, one_that_is_left_out_has_no_part_in_it);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
