/*
 * test_endpoints.c: EndpointSlices out of Services and Pods, on the real server, seen through the
 * programs' client (examples/client), which so is tested along: both have to hold for any of it.
 */
#include "client.h"
#include "server_process.h"
#include "service_client.h"
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PODS      "/api/v1/namespaces/default/pods"
#define ENDPOINTS "/api/v1/namespaces/default/endpoints"
#define SLICES    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
#define MERGE     "application/merge-patch+json"
#define WAIT_S    20.0

static struct server_process server;
static const char *directory;
static char store[256], listen[64];
static struct client *client;
static struct collection *services, *slices, *pods;
static size_t additions, removals;

/* --- set-up ----------------------------------------------------------------------------------- */

static void count(void *context, const char *name, struct json_object *old,
                  struct json_object *new) {
    (void)context;
    (void)name;
    additions += old == NULL;
    removals += new == NULL;
}

static void start(void) {
    const char *const arguments[] = {"--service-cluster-ip-range=10.96.0.0/16,fd00:10::/108", store,
                                     listen, NULL};
    server = server_start(arguments);
}

static void set_up(void) {
    char url[64];
    struct text problem = {0};
    directory = test_directory_make();
    snprintf(store, sizeof store, "--store=sqlite:%s/store.db", directory);
    snprintf(listen, sizeof listen, "--listen=127.0.0.1:0");
    start();
    snprintf(listen, sizeof listen, "--listen=127.0.0.1:%u", server.port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", server.port);
    struct client_options options = {.server = url, .name = "test"};
    client = client_open(&options, &problem);
    ck_assert_ptr_nonnull(client);
    services = client_follow(client, "/api/v1/services", count, NULL);
    pods = client_follow(client, "/api/v1/pods", NULL, NULL);
    slices = client_follow(client, "/apis/discovery.k8s.io/v1/endpointslices", NULL, NULL);
}

static void tear_down(void) {
    client_close(client);
    server_kill(&server);
    test_directory_remove(directory);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void must(const char *method, const char *path, const char *type, const char *form, ...)
    __attribute__((format(printf, 4, 5)));

/* A request with a body in which ' stands for ". */
static void must(const char *method, const char *path, const char *type, const char *form, ...) {
    char body[2048];
    va_list values;
    va_start(values, form);
    vsnprintf(body, sizeof body, form, values);
    va_end(values);
    for (char *at = body; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct answer answer =
        server_ask(&server, method, path, type, NULL, body[0] ? body : NULL, strlen(body));
    ck_assert_msg(answer.code / 100 == 2, "%s %s: %ld %s", method, path, answer.code, answer.text);
    answer_free(&answer);
}

static void make_pod(const char *name, const char *labels, int port) {
    must("POST", PODS, "application/json",
         "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','labels':{%s}},'spec':{"
         "'nodeName':'n1','containers':[{'name':'c','image':'x','ports':[{'name':'http',"
         "'containerPort':%d}]}]}}",
         name, labels, port);
}

static void set_status(const char *name, const char *address, const char *address6, bool ready) {
    char path[128];
    snprintf(path, sizeof path, PODS "/%s/status", name);
    must("PATCH", path, MERGE,
         "{'status':{'phase':'Running','podIP':'%s','podIPs':[{'ip':'%s'},{'ip':'%s'}],"
         "'conditions':[{'type':'Ready','status':'%s'}]}}",
         address, address, address6, ready ? "True" : "False");
}

/* --- seeing ----------------------------------------------------------------------------------- */

struct found {
    const char *service;
    struct text text;
    int rows;
};

static int compare_lines(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static void add_slice(void *context, const char *name, struct json_object *slice) {
    struct found *found = context;
    struct json_object *endpoints = json_member(slice, "endpoints");
    struct json_object *port_list = json_member(slice, "ports");
    const char *of =
        json_member_text(json_at(slice, "metadata", "labels", NULL), "kubernetes.io/service-name");
    (void)name;
    if (strcmp(of, found->service) != 0) {
        return;
    }
    for (size_t i = 0; i < json_length(endpoints); i++) {
        struct json_object *endpoint = json_object_array_get_idx(endpoints, i);
        struct json_object *conditions = json_member(endpoint, "conditions");
        struct json_object *addresses = json_member(endpoint, "addresses");
        int64_t port = json_length(port_list) > 0
                           ? json_member_number(json_object_array_get_idx(port_list, 0), "port", 0)
                           : 0;
        text_format(&found->text, "%s:%d%s%s%s\n",
                    json_object_get_string(json_object_array_get_idx(addresses, 0)), (int)port,
                    json_member_truth(conditions, "ready", true) ? "" : " not-ready",
                    json_member_truth(conditions, "serving", true) ? "" : " not-serving",
                    json_member_truth(conditions, "terminating", false) ? " ends" : "");
    }
}

/* The endpoints of a Service in the copy, a line each, sorted and joined by "; "; in static memory.
 */
static const char *endpoints_of(const char *service) {
    static char out[8192];
    struct found found = {.service = service};
    char *lines[256];
    size_t line_count = 0;
    out[0] = '\0';
    client_each(slices, add_slice, &found);
    char *rest = found.text.data;
    for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        lines[line_count++] = line;
    }
    qsort(lines, line_count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < line_count; i++) {
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i > 0 ? "; " : "", lines[i]);
    }
    text_clear(&found.text);
    return out;
}

/* The Service's endpoints come to this, and stay so. */
static void expect(const char *service, const char *wanted) {
    double until = seconds_now() + WAIT_S;
    do {
        client_wait(client, NULL, 0, 100);
    } while ((!client_has_synced(client) || strcmp(endpoints_of(service), wanted) != 0) &&
             seconds_now() < until);
    client_wait(client, NULL, 0, 50);
    ck_assert_str_eq(endpoints_of(service), wanted);
}

static size_t slices_of(const char *service) {
    char path[160];
    snprintf(path, sizeof path, SLICES "?labelSelector=kubernetes.io/service-name=%s", service);
    struct answer answer = server_get(&server, path);
    struct json_object *items = NULL;
    json_object_object_get_ex(answer.json, "items", &items);
    size_t length = json_object_array_length(items);
    answer_free(&answer);
    return length;
}

/* --- tests ------------------------------------------------------------------------------------ */

START_TEST(a_selector_becomes_slices_and_follows_its_pods) {
    must_create(&server, "web", "'selector':{'app':'web'},'ports':[{'port':80,'targetPort':8080}]");
    expect("web", "");
    make_pod("a", "'app':'web'", 8080);
    make_pod("b", "'app':'web','tier':'x'", 8080);
    make_pod("c", "'app':'other'", 8080);
    expect("web", ""); /* no addresses yet */
    set_status("a", "10.20.1.2", "fd00:20::2", true);
    set_status("b", "10.20.1.3", "fd00:20::3", false);
    set_status("c", "10.20.1.4", "fd00:20::4", true);
    expect("web", "10.20.1.2:8080; 10.20.1.3:8080 not-ready not-serving");
    set_status("b", "10.20.1.3", "fd00:20::3", true);
    expect("web", "10.20.1.2:8080; 10.20.1.3:8080");
    must("PATCH", PODS "/a", MERGE, "{'metadata':{'labels':{'app':'gone'}}}");
    expect("web", "10.20.1.3:8080");
    must_change(&server, "web", "'selector':{'app':'gone'}");
    expect("web", "10.20.1.2:8080");
    must_change(&server, "web", "'selector':{'app':'web','tier':'x'}");
    expect("web", "10.20.1.3:8080");
    must("PATCH", PODS "/b/status", MERGE, "{'status':{'phase':'Succeeded'}}");
    expect("web", "");
    must_delete(&server, "web");
    expect("web", "");
    ck_assert_uint_eq(slices_of("web"), 0);
}
END_TEST

START_TEST(named_ports_are_looked_up_in_each_pod) {
    make_pod("a", "'app':'web'", 8080);
    make_pod("b", "'app':'web'", 9090);
    set_status("a", "10.20.1.2", "fd00:20::2", true);
    set_status("b", "10.20.1.3", "fd00:20::3", true);
    must_create(&server, "web",
                "'selector':{'app':'web'},'ipFamilyPolicy':'RequireDualStack','ports':[{'port':80,"
                "'targetPort':'http'}]");
    expect("web", "10.20.1.2:8080; 10.20.1.3:9090; fd00:20::2:8080; fd00:20::3:9090");
    ck_assert_uint_eq(slices_of("web"), 4);
    must_change(&server, "web", "'publishNotReadyAddresses':true");
    set_status("a", "10.20.1.2", "fd00:20::2", false);
    expect("web", "10.20.1.2:8080 not-serving; 10.20.1.3:9090; fd00:20::2:8080 not-serving; "
                  "fd00:20::3:9090");
}
END_TEST

START_TEST(a_pod_that_ends_serves_until_its_time_is_over) {
    make_pod("a", "'app':'web'", 8080);
    make_pod("b", "'app':'web'", 8080);
    set_status("a", "10.20.1.2", "fd00:20::2", true);
    set_status("b", "10.20.1.3", "fd00:20::3", true);
    must_create(&server, "web", "'selector':{'app':'web'},'ports':[{'port':80,'targetPort':8080}]");
    expect("web", "10.20.1.2:8080; 10.20.1.3:8080");
    double begun = seconds_now();
    must("DELETE", PODS "/a?gracePeriodSeconds=4", NULL, "%s", "");
    expect("web", "10.20.1.2:8080 not-ready ends; 10.20.1.3:8080");
    set_status("a", "10.20.1.2", "fd00:20::2", false); /* a status does not end it sooner */
    expect("web", "10.20.1.2:8080 not-ready not-serving ends; 10.20.1.3:8080");
    expect("web", "10.20.1.3:8080");
    ck_assert(seconds_now() - begun > 3.9);
    ck_assert_ptr_null(client_find(pods, "default/a"));
    must("DELETE", PODS "/b?gracePeriodSeconds=3000", NULL, "%s", "");
    expect("web", "10.20.1.3:8080 not-ready ends");
    must("DELETE", PODS "/b?gracePeriodSeconds=0", NULL, "%s", "");
    expect("web", "");
}
END_TEST

START_TEST(what_others_do_to_slices_is_mended_and_theirs_are_left_alone) {
    make_pod("a", "'app':'web'", 8080);
    set_status("a", "10.20.1.2", "fd00:20::2", true);
    must("POST", SLICES, "application/json",
         "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'name':'hand',"
         "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4','endpoints':[{"
         "'addresses':['10.9.9.9']}],'ports':[{'port':1}]}");
    must_create(&server, "web", "'selector':{'app':'web'},'ports':[{'port':80,'targetPort':8080}]");
    expect("web", "10.20.1.2:8080; 10.9.9.9:1");
    struct answer answer =
        server_get(&server, SLICES "?labelSelector=endpointslice.kubernetes.io/managed-by");
    char path[200];
    snprintf(path, sizeof path, SLICES "/%s", answer_text(&answer, "items.0.metadata.name"));
    answer_free(&answer);
    must("PATCH", path, MERGE, "{'endpoints':[{'addresses':['10.6.6.6']}]}");
    expect("web", "10.20.1.2:8080; 10.9.9.9:1");
    must("DELETE", path, NULL, "%s", "");
    expect("web", "10.20.1.2:8080; 10.9.9.9:1");
    must_delete(&server, "web");
    expect("web", "10.9.9.9:1");
}
END_TEST

START_TEST(endpoints_of_a_service_without_selector_are_mirrored) {
    must_create(&server, "ext", "'ports':[{'port':80}]");
    must("POST", ENDPOINTS, "application/json",
         "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'ext'},'subsets':[{'addresses':"
         "[{'ip':'192.0.2.1'},{'ip':'2001:db8::1'}],'notReadyAddresses':[{'ip':'192.0.2.2'}],"
         "'ports':[{'port':8080}]}]}");
    expect("ext", "192.0.2.1:8080; 192.0.2.2:8080 not-ready; 2001:db8::1:8080");
    must("DELETE", ENDPOINTS "/ext", NULL, "%s", "");
    expect("ext", "");
}
END_TEST

START_TEST(a_killed_server_s_slices_are_brought_up_to_date) {
    must_create(&server, "web", "'selector':{'app':'web'},'ports':[{'port':80,'targetPort':8080}]");
    char wanted[1024] = "";
    for (int i = 0; i < 20; i++) {
        char name[16], address[24], address6[24];
        snprintf(name, sizeof name, "p%02d", i);
        snprintf(address, sizeof address, "10.20.1.%d", 10 + i);
        snprintf(address6, sizeof address6, "fd00:20::%d", 10 + i);
        make_pod(name, "'app':'web'", 8080);
        set_status(name, address, address6, true);
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s%s:8080",
                 i > 0 ? "; " : "", address);
    }
    client_wait(client, NULL, 0, 1000);
    size_t added = additions, removed = removals;
    server_kill(&server); /* in the middle of it, mostly */
    start();
    expect("web", wanted);
    ck_assert_uint_le(additions - added, 2); /* what was known is not told again */
    ck_assert_uint_eq(removals, removed);
    ck_assert_ptr_nonnull(client_find(services, "default/web"));
}
END_TEST

START_TEST(more_than_a_hundred_endpoints_need_another_slice) {
    must_create(&server, "web", "'selector':{'app':'web'},'ports':[{'port':80,'targetPort':8080}]");
    for (int i = 0; i < 101; i++) {
        char name[16], address[24], address6[24];
        snprintf(name, sizeof name, "p%03d", i);
        snprintf(address, sizeof address, "10.20.2.%d", i);
        snprintf(address6, sizeof address6, "fd00:20::%d", 10 + i);
        make_pod(name, "'app':'web'", 8080);
        set_status(name, address, address6, true);
    }
    double until = seconds_now() + WAIT_S;
    while (slices_of("web") != 2 && seconds_now() < until) {
        client_wait(client, NULL, 0, 100);
    }
    ck_assert_uint_eq(slices_of("web"), 2);
    must("DELETE", PODS "/p050?gracePeriodSeconds=0", NULL, "%s", "");
    while (slices_of("web") != 1 && seconds_now() < until) {
        client_wait(client, NULL, 0, 100);
    }
    ck_assert_uint_eq(slices_of("web"), 1);
}
END_TEST

START_TEST(a_stopped_server_is_waited_for) {
    must_create(&server, "one", "'ports':[{'port':80}]");
    while (client_find(services, "default/one") == NULL) {
        client_wait(client, NULL, 0, 1000);
    }
    kill(server.pid, SIGSTOP);
    client_wait(client, NULL, 0, 300);
    ck_assert_ptr_nonnull(client_find(services, "default/one"));
    struct text problem = {0};
    ck_assert_int_eq(client_send(client, "GET", "/version", NULL, NULL, 200, NULL, &problem), 0);
    ck_assert_uint_gt(problem.size, 0);
    text_clear(&problem);
    kill(server.pid, SIGCONT);
    must_create(&server, "two", "'ports':[{'port':80}]");
    double until = seconds_now() + WAIT_S;
    while (client_find(services, "default/two") == NULL && seconds_now() < until) {
        client_wait(client, NULL, 0, 1000);
    }
    ck_assert_ptr_nonnull(client_find(services, "default/two"));
}
END_TEST

/* Nothing changes by it; but whoever waits to know everything must not wait on. */
START_TEST(waiting_ends_when_all_is_listed_also_if_it_is_nothing) {
    char url[64];
    struct text problem = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%u", server.port);
    struct client_options options = {.server = url, .name = "test"};
    struct client *other = client_open(&options, &problem);
    ck_assert_ptr_nonnull(other);
    client_follow(other, "/api/v1/pods", NULL, NULL);
    ck_assert(!client_has_synced(other));
    ck_assert_uint_eq(client_wait(other, NULL, 0, -1), 0);
    ck_assert(client_has_synced(other));
    client_close(other);
}
END_TEST

/* The text at a path of names of what the server has there; in static memory. */
static const char *text_at(const char *path, const char *member) {
    static char out[2][256];
    static int next;
    char *copy = out[next++ % 2];
    struct answer answer = server_get(&server, path);
    snprintf(copy, sizeof out[0], "%s", answer_text(&answer, member));
    answer_free(&answer);
    return copy;
}

static time_t end_of(const char *path) {
    struct tm parts = {0};
    const char *text = text_at(path, "metadata.deletionTimestamp");
    ck_assert_msg(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) != NULL, "\"%s\"", text);
    return timegm(&parts);
}

START_TEST(a_second_deletion_brings_the_end_nearer_and_never_puts_it_off) {
    make_pod("a", "'app':'web'", 8080);
    must("DELETE", PODS "/a?gracePeriodSeconds=3000", NULL, "%s", "");
    time_t first = end_of(PODS "/a");
    usleep(1100000);
    must("DELETE", PODS "/a?gracePeriodSeconds=2999", NULL, "%s", "");
    ck_assert_int_eq(first - end_of(PODS "/a"), 1); /* both counted from the first deletion */
    must("DELETE", PODS "/a?gracePeriodSeconds=2999", NULL, "%s", "");
    must("DELETE", PODS "/a?gracePeriodSeconds=9999", NULL, "%s", "");
    must("DELETE", PODS "/a", NULL, "%s", ""); /* its own 30 seconds are not asked for */
    ck_assert_int_eq(first - end_of(PODS "/a"), 1);
    ck_assert_str_eq(text_at(PODS "/a", "metadata.deletionGracePeriodSeconds"), "2999");
    must("DELETE", PODS "/a?gracePeriodSeconds=1", NULL, "%s", ""); /* which is over by now */
    double until = seconds_now() + WAIT_S;
    while (text_at(PODS "/a", "metadata.uid")[0] != '\0' && seconds_now() < until) {
        client_wait(client, NULL, 0, 50);
    }
    ck_assert_str_eq(text_at(PODS "/a", "metadata.uid"), "");
}
END_TEST

/* A moment has four digits for the year: kubectl reads no others. */
START_TEST(a_grace_period_without_end_ends_with_the_year_9999) {
    must("POST", PODS, "application/json",
         "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'a'},'spec':{'nodeName':'n1',"
         "'terminationGracePeriodSeconds':9000000000000000,'containers':[{'name':'c','image':'x'}]}"
         "}%s",
         "");
    must("DELETE", PODS "/a", NULL, "%s", "");
    ck_assert_str_eq(text_at(PODS "/a", "metadata.deletionTimestamp"), "9999-12-31T23:59:59Z");
    must("DELETE", PODS "/a?gracePeriodSeconds=3000", NULL, "%s", "");
    ck_assert(end_of(PODS "/a") <= time(NULL) + 3000);
    ck_assert(end_of(PODS "/a") > time(NULL) + 2000);
    must("DELETE", PODS "/a?gracePeriodSeconds=0", NULL, "%s", "");
    ck_assert_str_eq(text_at(PODS "/a", "metadata.uid"), "");
}
END_TEST

START_TEST(what_others_note_on_a_slice_outlives_its_changes) {
    make_pod("a", "'app':'web'", 8080);
    set_status("a", "10.20.1.2", "fd00:20::2", true);
    must_create(&server, "web", "'selector':{'app':'web'},'ports':[{'port':80,'targetPort':8080}]");
    expect("web", "10.20.1.2:8080");
    char path[200];
    snprintf(path, sizeof path, SLICES "/%s", text_at(SLICES, "items.0.metadata.name"));
    char uid[64];
    snprintf(uid, sizeof uid, "%s", text_at(path, "metadata.uid"));
    must("PATCH", path, MERGE,
         "{'metadata':{'annotations':{'theirs':'kept'},'finalizers':['theirs.example/hold'],"
         "'labels':{'%s':null}}}",
         "endpointslice.kubernetes.io/managed-by");
    must("PATCH", SERVICES "/web", MERGE, "{'metadata':{'labels':{'team':'blue'}}}");
    set_status("a", "10.20.1.2", "fd00:20::2", false);
    expect("web", "10.20.1.2:8080 not-ready not-serving");
    ck_assert_str_eq(text_at(path, "metadata.annotations.theirs"), "kept");
    ck_assert_str_eq(text_at(path, "metadata.finalizers.0"), "theirs.example/hold");
    ck_assert_str_eq(text_at(path, "metadata.labels.team"), "blue");
    ck_assert_str_eq(text_at(path, "metadata.uid"), uid);
    ck_assert_uint_eq(slices_of("web"), 1);
    must("PATCH", path, MERGE, "{'metadata':{'finalizers':null}}");
}
END_TEST

/* Endpoints with more ports than a slice may have: nobody else notices, and when they have fewer
 * the slice comes. */
START_TEST(a_slice_that_is_refused_comes_when_it_can) {
    struct text ports = {0};
    for (int i = 0; i < 101; i++) {
        text_format(&ports, "%s{'name':'p%d','port':%d}", i > 0 ? "," : "", i, 8000 + i);
    }
    struct text body = {0};
    text_format(&body,
                "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'bad'},'subsets':[{"
                "'addresses':[{'ip':'192.0.2.1'}],'ports':[%s]}]}",
                ports.data);
    for (size_t i = 0; i < body.size; i++) {
        body.data[i] = body.data[i] == '\'' ? '"' : body.data[i];
    }
    must_create(&server, "bad", "'ports':[{'port':80}]");
    struct answer answer = server_post(&server, ENDPOINTS, body.data);
    ck_assert_int_eq(answer.code, 201);
    answer_free(&answer);
    text_clear(&ports);
    text_clear(&body);
    make_pod("a", "'app':'web'", 8080);
    set_status("a", "10.20.1.2", "fd00:20::2", true);
    must_create(&server, "web", "'selector':{'app':'web'},'ports':[{'port':80,'targetPort':8080}]");
    expect("web", "10.20.1.2:8080");
    ck_assert_uint_eq(slices_of("bad"), 0);
    must("PATCH", ENDPOINTS "/bad", MERGE,
         "{'subsets':[{'addresses':[{'ip':'192.0.2.1'}],'ports':[{'port':8000}]}]}");
    expect("bad", "192.0.2.1:8000");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("endpoints");
    TCase *tests = tcase_create("endpoints");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_selector_becomes_slices_and_follows_its_pods);
    tcase_add_test(tests, named_ports_are_looked_up_in_each_pod);
    tcase_add_test(tests, a_pod_that_ends_serves_until_its_time_is_over);
    tcase_add_test(tests, what_others_do_to_slices_is_mended_and_theirs_are_left_alone);
    tcase_add_test(tests, endpoints_of_a_service_without_selector_are_mirrored);
    tcase_add_test(tests, a_killed_server_s_slices_are_brought_up_to_date);
    tcase_add_test(tests, more_than_a_hundred_endpoints_need_another_slice);
    tcase_add_test(tests, a_second_deletion_brings_the_end_nearer_and_never_puts_it_off);
    tcase_add_test(tests, a_grace_period_without_end_ends_with_the_year_9999);
    tcase_add_test(tests, what_others_note_on_a_slice_outlives_its_changes);
    tcase_add_test(tests, a_slice_that_is_refused_comes_when_it_can);
    tcase_add_test(tests, a_stopped_server_is_waited_for);
    tcase_add_test(tests, waiting_ends_when_all_is_listed_also_if_it_is_nothing);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
