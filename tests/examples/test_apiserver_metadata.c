/* Metadata: names that are made, versions and uids that must fit, finalizers, what cannot change.
 */
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES  "/api/v1/namespaces/default/services"
#define JSON      "application/json"
#define MERGE     "application/merge-patch+json"
#define STRATEGIC "application/strategic-merge-patch+json"
#define PATCH     "application/json-patch+json"
#define PORTS     "\"spec\":{\"ports\":[{\"port\":80}]}"

#define ANNOTATIONS_MAX (256 * 1024) /* bytes of keys and values */

static struct server_process server;

static void start(void) {
    server = server_start((const char *const[]){NULL});
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

static struct answer ask(const char *method, const char *name, const char *type, const char *body) {
    char path[256];
    snprintf(path, sizeof path, SERVICES "/%s", name);
    return server_ask(&server, method, path, type, NULL, body, body != NULL ? strlen(body) : 0);
}

static void expect(struct answer answer, long code, const char *holds) {
    ck_assert_msg(answer.code == code, "%ld, not %ld: %s", answer.code, code, answer.text);
    ck_assert_msg(strstr(answer.text, holds) != NULL, "no %s in: %s", holds, answer.text);
    answer_free(&answer);
}

static void make(const char *name, const char *address) {
    char body[256];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"clusterIP\":\"%s\",\"ports\":[{\"port\":"
             "80}]}}",
             name, address);
    expect(server_post(&server, SERVICES, body), 201, name);
}

/* --- names ------------------------------------------------------------------------------------ */

START_TEST(a_name_is_made_from_generateName) {
    static const char body[] = "{\"metadata\":{\"generateName\":\"web-\"}," PORTS "}";
    char first[64];
    struct answer answer = server_post(&server, SERVICES, body);
    ck_assert_int_eq(answer.code, 201);
    snprintf(first, sizeof first, "%s", answer_text(&answer, "metadata.name"));
    ck_assert_uint_eq(strlen(first), strlen("web-") + 5);
    ck_assert_uint_eq(strspn(first + 4, "bcdfghjklmnpqrstvwxz2456789"), 5);
    ck_assert_str_eq(answer_text(&answer, "metadata.generateName"), "web-");
    answer_free(&answer);
    answer = server_post(&server, SERVICES, body);
    ck_assert_int_eq(answer.code, 201);
    ck_assert_str_ne(answer_text(&answer, "metadata.name"), first);
    answer_free(&answer);
}
END_TEST

START_TEST(a_long_generateName_is_cut_so_that_the_name_fits) {
    char body[256];
    char base[64];
    memset(base, 'a', 63);
    base[63] = '\0';
    snprintf(body, sizeof body, "{\"metadata\":{\"generateName\":\"%s\"}," PORTS "}", base);
    struct answer answer = server_post(&server, SERVICES, body);
    ck_assert_msg(answer.code == 201, "%s", answer.text);
    ck_assert_uint_eq(strlen(answer_text(&answer, "metadata.name")), 63);
    ck_assert_int_eq(strncmp(answer_text(&answer, "metadata.name"), base, 58), 0);
    answer_free(&answer);
}
END_TEST

/* --- what must fit ---------------------------------------------------------------------------- */

static const struct {
    const char *method, *type, *body;
    long code;
    const char *holds;
} stale[] = {
    {"PUT", JSON, "{\"metadata\":{\"name\":\"kubernetes\",\"resourceVersion\":\"7\"}," PORTS "}",
     409, "the object has been modified"},
    {"PATCH", MERGE, "{\"metadata\":{\"resourceVersion\":\"7\"}}", 409,
     "the object has been modified"},
    {"PATCH", STRATEGIC, "{\"metadata\":{\"resourceVersion\":\"7\"}}", 409,
     "the object has been modified"},
    {"PATCH", PATCH,
     "[{\"op\":\"replace\",\"path\":\"/metadata/resourceVersion\",\"value\":\"7\"}]", 409,
     "the object has been modified"},
    {"PUT", JSON, "{\"metadata\":{\"name\":\"kubernetes\",\"uid\":\"u\"}," PORTS "}", 409,
     "Precondition failed: UID in precondition: u, UID in object meta: "},
    {"PATCH", MERGE, "{\"metadata\":{\"uid\":\"u\"}}", 409, "Precondition failed: UID"},
    {"DELETE", JSON, "{\"preconditions\":{\"uid\":\"u\"}}", 409,
     "Operation cannot be fulfilled on Service \\\"kubernetes\\\": the UID in the precondition (u) "
     "does not match the UID in record ("},
    {"DELETE", JSON, "{\"preconditions\":{\"resourceVersion\":\"7\"}}", 409,
     "the ResourceVersion in the precondition (7) does not match the ResourceVersion in record ("},
    {"PUT", JSON, "{" PORTS "}", 400,
     "the name of the object (kubernetes based on URL) was undeterminable: name must be provided"},
    {"PATCH", MERGE, "{\"metadata\":{\"name\":null}}", 400, "name must be provided"},
    {"PUT", JSON, "{\"metadata\":{\"name\":\"other\"}," PORTS "}", 400,
     "does not match the name on the URL"},
    {"PUT", JSON, "{\"metadata\":{\"name\":\"kubernetes\",\"namespace\":\"other\"}," PORTS "}", 400,
     "the namespace of the object (other) does not match the namespace on the request (default)"},
    {"PATCH", MERGE, "{\"metadata\":{\"creationTimestamp\":\"2001-02-03T04:05:06Z\"}}", 422,
     "metadata.creationTimestamp: Invalid value: \\\"2001-02-03T04:05:06Z\\\": field is immutable"},
    {"PATCH", MERGE, "{\"metadata\":{\"deletionTimestamp\":\"2001-02-03T04:05:06Z\"}}", 422,
     "metadata.deletionTimestamp: Invalid value: \\\"2001-02-03T04:05:06Z\\\": field is immutable"},
    {"PATCH", MERGE, "{\"metadata\":{\"deletionGracePeriodSeconds\":5}}", 422,
     "metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable"},
};

START_TEST(what_does_not_fit_is_refused_and_changes_nothing) {
    char version[32];
    struct answer answer = ask("GET", "kubernetes", NULL, NULL);
    snprintf(version, sizeof version, "%s", answer_text(&answer, "metadata.resourceVersion"));
    answer_free(&answer);
    expect(ask(stale[_i].method, "kubernetes", stale[_i].type, stale[_i].body), stale[_i].code,
           stale[_i].holds);
    answer = ask("GET", "kubernetes", NULL, NULL);
    ck_assert_str_eq(answer_text(&answer, "metadata.resourceVersion"), version);
    answer_free(&answer);
}
END_TEST

/* What a client says of these the server does not take over: it is set, or stays as it is. */
START_TEST(what_the_server_sets_is_not_the_clients) {
    struct answer answer =
        server_post(&server, SERVICES,
                    "{\"metadata\":{\"name\":\"own\",\"uid\":\"mine\",\"selfLink\":\"/x\","
                    "\"creationTimestamp\":\"2001-02-03T04:05:06Z\","
                    "\"deletionTimestamp\":\"2001-02-03T04:05:06Z\"}," PORTS "}");
    ck_assert_int_eq(answer.code, 201);
    ck_assert_uint_eq(strlen(answer_text(&answer, "metadata.uid")), 36);
    ck_assert_str_ne(answer_text(&answer, "metadata.creationTimestamp"), "2001-02-03T04:05:06Z");
    ck_assert_str_eq(answer_text(&answer, "metadata.deletionTimestamp"), "");
    ck_assert_str_eq(answer_text(&answer, "metadata.selfLink"), "");
    answer_free(&answer);
    expect(server_post(&server, SERVICES,
                       "{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"1\"}," PORTS "}"),
           400, "resourceVersion should not be set on objects to be created");
}
END_TEST

/* --- finalizers ------------------------------------------------------------------------------- */

static struct answer heir(void) {
    return server_post(&server, SERVICES,
                       "{\"metadata\":{\"name\":\"heir\"},\"spec\":{\"clusterIP\":\"10.96.0.50\","
                       "\"ports\":[{\"port\":80}]}}");
}

START_TEST(nothing_is_freed_until_the_last_finalizer_is_gone) {
    make("held", "10.96.0.50");
    expect(ask("PATCH", "held", MERGE, "{\"metadata\":{\"finalizers\":[\"a.org/a\",\"b.org/b\"]}}"),
           200, "b.org/b");
    expect(ask("DELETE", "held", NULL, NULL), 200, "deletionTimestamp");
    expect(ask("DELETE", "held", NULL, NULL), 200, "deletionTimestamp"); /* again: no harm */
    expect(heir(), 422, "provided IP is already allocated");
    expect(server_post(&server, SERVICES, "{\"metadata\":{\"name\":\"held\"}," PORTS "}"), 409,
           "already exists");
    expect(ask("PATCH", "held", MERGE, "{\"metadata\":{\"labels\":{\"still\":\"here\"}}}"), 200,
           "still");
    expect(ask("PATCH", "held", MERGE, "{\"metadata\":{\"finalizers\":[\"b.org/b\"]}}"), 200,
           "b.org/b");
    expect(heir(), 422, "provided IP is already allocated");
    expect(ask("PATCH", "held", STRATEGIC,
               "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"b.org/b\"]}}"),
           200, "held");
    expect(ask("GET", "held", NULL, NULL), 404, "not found");
    expect(heir(), 201, "10.96.0.50");
}
END_TEST

START_TEST(an_object_that_is_being_deleted_gets_no_new_finalizer) {
    make("dying", "10.96.0.51");
    expect(ask("PATCH", "dying", MERGE, "{\"metadata\":{\"finalizers\":[\"a.org/a\"]}}"), 200,
           "a.org");
    expect(ask("DELETE", "dying", NULL, NULL), 200, "deletionTimestamp");
    expect(
        ask("PATCH", "dying", MERGE, "{\"metadata\":{\"finalizers\":[\"a.org/a\",\"b.org/b\"]}}"),
        422,
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
        "deleted, found new finalizers []string{\\\"b.org/b\\\"}");
    expect(ask("PATCH", "dying", MERGE, "{\"metadata\":{\"deletionTimestamp\":null}}"), 200,
           "deletionTimestamp"); /* there is no way back */
}
END_TEST

/* --- limits ----------------------------------------------------------------------------------- */

START_TEST(annotations_end_at_256_kibibytes) {
    static char body[ANNOTATIONS_MAX + 256];
    for (int over = 0; over < 2; over++) {
        int head = snprintf(body, sizeof body,
                            "{\"metadata\":{\"name\":\"noted%d\",\"annotations\":{\"a\":\"", over);
        int value = ANNOTATIONS_MAX - 1 + over; /* its key is one byte long */
        memset(body + head, 'x', (size_t)value);
        snprintf(body + head + value, sizeof body - (size_t)(head + value), "\"}}," PORTS "}");
        expect(server_post(&server, SERVICES, body), over == 0 ? 201 : 422,
               over == 0 ? "noted0"
                         : "metadata.annotations: Too long: may not be more than 262144");
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("metadata");
    TCase *cases = tcase_create("metadata");
    tcase_set_timeout(cases, 60);
    tcase_add_unchecked_fixture(cases, start, stop);
    tcase_add_test(cases, a_name_is_made_from_generateName);
    tcase_add_test(cases, a_long_generateName_is_cut_so_that_the_name_fits);
    tcase_add_loop_test(cases, what_does_not_fit_is_refused_and_changes_nothing, 0,
                        (int)(sizeof stale / sizeof stale[0]));
    tcase_add_test(cases, what_the_server_sets_is_not_the_clients);
    tcase_add_test(cases, nothing_is_freed_until_the_last_finalizer_is_gone);
    tcase_add_test(cases, an_object_that_is_being_deleted_gets_no_new_finalizer);
    tcase_add_test(cases, annotations_end_at_256_kibibytes);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
