/* Lists in pages and at versions: limit and continue, resourceVersion, and what is refused. */
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES "/api/v1/namespaces/default/services"
#define JSON     "application/json"
#define TABLE    "application/json;as=Table;v=v1;g=meta.k8s.io"

static struct server_process server;
static const char *directory;
static char store_flag[256];

static void start_again(void) {
    server = server_start((const char *const[]){store_flag, NULL});
}

static void start_in_memory(void) {
    server = server_start((const char *const[]){NULL});
}

static void stop_in_memory(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

static void start(void) {
    directory = test_directory_make();
    snprintf(store_flag, sizeof store_flag, "--store=sqlite:%s/store.db", directory);
    start_again();
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}

static void make(const char *name, const char *label) {
    char body[256];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"a\":\"%s\"}},\"spec\":{\"ports\":[{"
             "\"port\":80}]}}",
             name, label);
    struct answer answer = server_post(&server, SERVICES, body);
    ck_assert_int_eq(answer.code, 201);
    answer_free(&answer);
}

/* s0 to s5, and "kubernetes", which comes first. */
static void make_six(void) {
    for (int i = 0; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        make(name, i % 2 == 0 ? "even" : "odd");
    }
}

static void unmake(const char *name) {
    char path[128];
    snprintf(path, sizeof path, SERVICES "/%s", name);
    struct answer answer = server_ask(&server, "DELETE", path, NULL, NULL, NULL, 0);
    ck_assert_int_eq(answer.code, 200);
    answer_free(&answer);
}

static struct answer list(const char *parameters, const char *token) {
    char path[4096];
    snprintf(path, sizeof path, SERVICES "?%s%s%s", parameters, token != NULL ? "&continue=" : "",
             token != NULL ? token : "");
    return server_get(&server, path);
}

/* The names of a list, each followed by a blank. */
static const char *names(const struct answer *answer) {
    static char out[512];
    size_t size = 0;
    struct json_object *items = NULL;
    out[0] = '\0';
    json_object_object_get_ex(answer->json, "items", &items);
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        size +=
            (size_t)snprintf(out + size, sizeof out - size, "%s ",
                             json_text_at(json_object_array_get_idx(items, i), "metadata.name"));
    }
    return out;
}

static void keep(char *out, size_t capacity, const struct answer *answer, const char *path) {
    snprintf(out, capacity, "%s", answer_text(answer, path));
}

/* --- pages ------------------------------------------------------------------------------------ */

START_TEST(every_page_shows_the_state_of_the_first) {
    char token[1024];
    char version[32];
    make_six();
    struct answer answer = list("limit=2", NULL);
    ck_assert_str_eq(names(&answer), "kubernetes s0 ");
    ck_assert_str_eq(answer_text(&answer, "metadata.remainingItemCount"), "5");
    keep(token, sizeof token, &answer, "metadata.continue");
    keep(version, sizeof version, &answer, "metadata.resourceVersion");
    answer_free(&answer);
    unmake("s2");
    unmake("s4");
    make("s2", "again"); /* another s2 */
    make("s20", "new");
    answer = list("limit=3", token);
    ck_assert_str_eq(names(&answer), "s1 s2 s3 ");
    ck_assert_str_eq(answer_text(&answer, "items.1.metadata.labels.a"), "even");
    ck_assert_str_eq(answer_text(&answer, "metadata.resourceVersion"), version);
    ck_assert_str_eq(answer_text(&answer, "metadata.remainingItemCount"), "2");
    keep(token, sizeof token, &answer, "metadata.continue");
    answer_free(&answer);
    answer = list("limit=3", token);
    ck_assert_str_eq(names(&answer), "s4 s5 ");
    ck_assert_str_eq(answer_text(&answer, "metadata.resourceVersion"), version);
    ck_assert_str_eq(answer_text(&answer, "metadata.continue"), "");
    ck_assert_str_eq(answer_text(&answer, "metadata.remainingItemCount"), "");
    answer_free(&answer);
    answer = list("", NULL);
    ck_assert_str_eq(names(&answer), "kubernetes s0 s1 s2 s20 s3 s5 ");
    answer_free(&answer);
}
END_TEST

START_TEST(selected_pages_are_full_and_do_not_count_the_rest) {
    char token[1024];
    make_six();
    struct answer answer = list("limit=2&labelSelector=a%3Deven", NULL);
    ck_assert_str_eq(names(&answer), "s0 s2 ");
    ck_assert_str_eq(answer_text(&answer, "metadata.remainingItemCount"), "");
    keep(token, sizeof token, &answer, "metadata.continue");
    answer_free(&answer);
    answer = list("limit=2&labelSelector=a%3Deven", token);
    ck_assert_str_eq(names(&answer), "s4 ");
    answer_free(&answer);
}
END_TEST

START_TEST(tables_come_in_pages_too) {
    make_six();
    struct answer answer = server_ask(&server, "GET", SERVICES "?limit=3", NULL, TABLE, NULL, 0);
    ck_assert_str_eq(answer_text(&answer, "kind"), "Table");
    ck_assert_str_eq(answer_text(&answer, "rows.2.cells.0"), "s1");
    ck_assert_str_eq(answer_text(&answer, "rows.3.cells.0"), "");
    ck_assert_str_eq(answer_text(&answer, "metadata.remainingItemCount"), "4");
    ck_assert_str_ne(answer_text(&answer, "metadata.continue"), "");
    answer_free(&answer);
}
END_TEST

START_TEST(a_limit_that_is_not_reached_says_so_by_saying_nothing) {
    make_six();
    struct answer answer = list("limit=7", NULL);
    ck_assert_str_eq(answer_text(&answer, "items.6.metadata.name"), "s5");
    ck_assert_str_eq(answer_text(&answer, "metadata.continue"), "");
    answer_free(&answer);
    answer = list("limit=2&resourceVersion=0", NULL); /* any state will do: in one piece */
    ck_assert_str_eq(answer_text(&answer, "items.6.metadata.name"), "s5");
    answer_free(&answer);
}
END_TEST

/* A server that was started again does not know the past: 410 with a token that goes on. */
START_TEST(an_expired_token_is_410_with_a_token_that_goes_on) {
    char token[1024];
    make_six();
    struct answer answer = list("limit=3", NULL);
    keep(token, sizeof token, &answer, "metadata.continue");
    answer_free(&answer);
    unmake("s3");
    ck_assert_int_eq(server_stop(&server), 0);
    start_again();
    answer = list("limit=3", token);
    ck_assert_int_eq(answer.code, 410);
    ck_assert_str_eq(answer_text(&answer, "reason"), "Expired");
    ck_assert(strstr(answer_text(&answer, "message"),
                     "The provided continue parameter is too old") != NULL);
    keep(token, sizeof token, &answer, "metadata.continue");
    answer_free(&answer);
    answer = list("limit=3", token);
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(names(&answer), "s2 s4 s5 ");
    answer_free(&answer);
}
END_TEST

START_TEST(the_pages_of_all_namespaces_follow_their_keys) {
    char path[1200];
    struct answer answer =
        server_post(&server, "/api/v1/namespaces/kube-system/services",
                    "{\"metadata\":{\"name\":\"dns\"},\"spec\":{\"ports\":[{\"port\":53}]}}");
    ck_assert_int_eq(answer.code, 201);
    answer_free(&answer);
    make("web", "x");
    answer = server_get(&server, "/api/v1/services?limit=2");
    ck_assert_str_eq(names(&answer), "kubernetes web ");
    snprintf(path, sizeof path, "/api/v1/services?limit=2&continue=%s",
             answer_text(&answer, "metadata.continue"));
    answer_free(&answer);
    answer = server_get(&server, path);
    ck_assert_str_eq(names(&answer), "dns ");
    answer_free(&answer);
}
END_TEST

/* --- versions --------------------------------------------------------------------------------- */

START_TEST(an_exact_version_shows_the_past_while_it_is_known) {
    char parameters[128];
    char version[32];
    make_six();
    struct answer answer = list("", NULL);
    keep(version, sizeof version, &answer, "metadata.resourceVersion");
    answer_free(&answer);
    unmake("s0");
    snprintf(parameters, sizeof parameters, "resourceVersion=%s&resourceVersionMatch=Exact",
             version);
    answer = list(parameters, NULL);
    ck_assert_str_eq(names(&answer), "kubernetes s0 s1 s2 s3 s4 s5 ");
    ck_assert_str_eq(answer_text(&answer, "metadata.resourceVersion"), version);
    answer_free(&answer);
    snprintf(parameters, sizeof parameters, "resourceVersion=%s&limit=2", version);
    answer = list(parameters, NULL); /* with a limit a version is exact without being said so */
    ck_assert_str_eq(names(&answer), "kubernetes s0 ");
    answer_free(&answer);
    snprintf(parameters, sizeof parameters, "resourceVersion=%s&resourceVersionMatch=NotOlderThan",
             version);
    answer = list(parameters, NULL);
    ck_assert_str_eq(names(&answer), "kubernetes s1 s2 s3 s4 s5 ");
    answer_free(&answer);
    ck_assert_int_eq(server_stop(&server), 0);
    start_again();
    snprintf(parameters, sizeof parameters, "resourceVersion=%s&resourceVersionMatch=Exact",
             version);
    answer = list(parameters, NULL);
    ck_assert_int_eq(answer.code, 410);
    answer_free(&answer);
}
END_TEST

START_TEST(a_version_to_come_is_504_and_says_when_to_ask_again) {
    static const char *const matches[] = {"", "&resourceVersionMatch=NotOlderThan",
                                          "&resourceVersionMatch=Exact", "&limit=1"};
    char parameters[128];
    struct answer answer = list("", NULL);
    unsigned long long version =
        strtoull(answer_text(&answer, "metadata.resourceVersion"), NULL, 10);
    answer_free(&answer);
    snprintf(parameters, sizeof parameters, "resourceVersion=%llu%s", version + 100, matches[_i]);
    answer = list(parameters, NULL);
    ck_assert_int_eq(answer.code, 504);
    ck_assert_str_eq(answer_text(&answer, "details.causes.0.reason"), "ResourceVersionTooLarge");
    ck_assert_str_eq(answer_text(&answer, "details.retryAfterSeconds"), "1");
    answer_free(&answer);
}
END_TEST

/* Upstream's rules, and its words. */
static const struct {
    const char *parameters;
    long code;
    const char *holds;
} refused[] = {
    {"resourceVersionMatch=Exact", 422,
     "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is "
     "provided"},
    {"resourceVersionMatch=Some&resourceVersion=0", 422,
     "resourceVersionMatch: Unsupported value: \"Some\": supported values: \"Exact\", "
     "\"NotOlderThan\", \"\""},
    {"resourceVersionMatch=Exact&resourceVersion=0", 422,
     "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""},
    {"resourceVersionMatch=Exact&resourceVersion=1&continue=x", 422,
     "resourceVersionMatch is forbidden when continue is provided"},
    {"sendInitialEvents=true", 422,
     "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"},
    {"watch=true&sendInitialEvents=true", 422,
     "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
    {"watch=true&resourceVersionMatch=NotOlderThan", 422,
     "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"},
    {"watch=true&sendInitialEvents=true&resourceVersionMatch=Exact", 422,
     "Unsupported value: \"Exact\": supported values: \"NotOlderThan\""},
    {"resourceVersion=1000000000001&continue=x", 400,
     "specifying resource version is not allowed when using continue"},
    {"resourceVersion=abc", 400, "resourceVersion: Invalid value: \"abc\""},
    {"limit=many", 400, "limit: Invalid value: \"many\""},
    {"limit=99999999999999999999", 400, "limit: Invalid value"},
    {"continue=!!!", 400, "invalid continue token: continue key is not valid"},
    {"continue=AAAA", 400, "invalid continue token"},
    {"continue=e30", 400, "invalid continue token"}, /* {} */
    /* a token for namespace "other": {"v":"ipalloc/v1","rv":-1,"start":"other/a"} */
    {"continue=eyJ2IjoiaXBhbGxvYy92MSIsInJ2IjotMSwic3RhcnQiOiJvdGhlci9hIn0", 400,
     "was not given by a list of this kind and namespace"},
    /* {"v":"ipalloc/v1","rv":-5,"start":"default/a"} */
    {"continue=eyJ2IjoiaXBhbGxvYy92MSIsInJ2IjotNSwic3RhcnQiOiJkZWZhdWx0L2EifQ", 400,
     "invalid continue token"},
};

START_TEST(what_contradicts_itself_is_refused) {
    struct answer answer = list(refused[_i].parameters, NULL);
    ck_assert_msg(answer.code == refused[_i].code, "%s: %ld %s", refused[_i].parameters,
                  answer.code, answer.text);
    ck_assert_msg(strstr(answer_text(&answer, "message"), refused[_i].holds) != NULL, "%s: %s",
                  refused[_i].parameters, answer.text);
    answer_free(&answer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lists");
    TCase *cases = tcase_create("lists");
    TCase *restarts = tcase_create("restarts");
    TCase *refusals = tcase_create("refusals");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, start_in_memory, stop_in_memory);
    tcase_add_test(cases, every_page_shows_the_state_of_the_first);
    tcase_add_test(cases, selected_pages_are_full_and_do_not_count_the_rest);
    tcase_add_test(cases, tables_come_in_pages_too);
    tcase_add_test(cases, a_limit_that_is_not_reached_says_so_by_saying_nothing);
    tcase_add_test(cases, the_pages_of_all_namespaces_follow_their_keys);
    suite_add_tcase(suite, cases);
    tcase_set_timeout(restarts, 60);
    tcase_add_checked_fixture(restarts, start, stop);
    tcase_add_test(restarts, an_expired_token_is_410_with_a_token_that_goes_on);
    tcase_add_test(restarts, an_exact_version_shows_the_past_while_it_is_known);
    suite_add_tcase(suite, restarts);
    tcase_set_timeout(refusals, 60);
    tcase_add_unchecked_fixture(refusals, start_in_memory, stop_in_memory);
    tcase_add_loop_test(refusals, a_version_to_come_is_504_and_says_when_to_ask_again, 0, 4);
    tcase_add_loop_test(refusals, what_contradicts_itself_is_refused, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    suite_add_tcase(suite, refusals);
    return test_main(suite);
}
