/*
 * test_ctl_etcd.c: ipallocctl on a real etcd, beside the servers that use it; moving a store from a
 * file to etcd and back, with the real server on each; a snapshot that was restored.
 */
#include "cluster.h"

#include "ctl_process.h"
#include "server_process.h"
#include "service_client.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static etcd_cluster *cluster;
static const char *directory;
static char store[512]; /* the etcd one */

static void set_up(void) {
    cluster = etcd_start(NULL);
    directory = test_directory_make();
    snprintf(store, sizeof store, "%s", etcd_url(cluster, "/ctl/test"));
}

static void tear_down(void) {
    etcd_stop(cluster);
    test_directory_remove(directory);
}

static const char *file(const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

/* A pool in the etcd. */
static void define_pool(void) {
    ipalloc_store *opened;
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    ipalloc_cidr range = cidr("10.96.0.0/24");
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    ipalloc_error error = {0};
    ck_assert_status_error(ipalloc_store_open(store, NULL, &opened, &error), IPALLOC_OK, &error);
    ck_assert_status_error(ipalloc_registry_open(opened, NULL, &registry, &error), IPALLOC_OK,
                           &error);
    ck_assert_status_error(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error),
                           IPALLOC_OK, &error);
    ipalloc_registry_close(registry);
    ipalloc_store_close(opened);
}

/* It succeeds, and says this. */
static void says(const char *part, const char *line) {
    struct ran ran = ctl_expect(0, "%s --store=%s", line, store);
    expect_in(ran.out, part);
    ran_free(&ran);
}

static void refuses(const char *part, const char *line) {
    struct ran ran = ctl_expect(1, "%s --store=%s", line, store);
    expect_in(ran.errors, part);
    ran_free(&ran);
}

/* --- every command ------------------------------------------------------------------------------
 */

START_TEST(every_command_looks_and_writes) {
    refuses("", "pools"); /* there is no store yet, and looking makes none */
    ck_assert_uint_eq(etcd_read_all(cluster, "/ctl", NULL, NULL), 0);
    define_pool();
    says("services-v4", "pools");
    says("free (dry run)", "allocate services-v4 --owner=one --slot=s --dry-run");
    says("{\"kind\":\"LeaseList\",\"items\":[\n]", "list -ojson");
    says("given", "allocate services-v4 --owner=one --slot=s");
    says("given", "reserve 10.96.0.9 --owner=two --slot=s");
    refuses("two", "reserve 10.96.0.9 --owner=three --slot=s");
    says("two", "list");
    says("two", "show 10.96.0.9");
    says("10.96.0.0/24", "map services-v4 --ascii");
    /* The static band: what is drawn for others is never there while something else is free. */
    says("10.96.0.10", "exclude 10.96.0.10-10.96.0.15");
    says("excluded", "show 10.96.0.12");
    says("10.96.0.10", "include 10.96.0.10-10.96.0.15");
    says("ok", "check");
    says("10.96.0.9", "export");
    says("released", "release 10.96.0.9 --owner=two");
    says("released", "release --all --owner=one");
    says("nothing to accept", "accept");
    refuses("etcdctl snapshot save", "backup copy.db");
    says("ok", "check");
}
END_TEST

START_TEST(who_must_log_in_can) {
    define_pool();
    etcd_ctl_ok(cluster, "user", "add", "root:deep secret");
    etcd_ctl_ok(cluster, "user", "grant-role", "root", "root");
    etcd_ctl_ok(cluster, "auth", "enable");
    etcd_ctl_user(cluster, "root:deep secret");
    FILE *right = fopen(file("right"), "w"), *wrong = fopen(file("wrong"), "w");
    fputs("deep secret\n", right);
    fputs("shallow\n", wrong);
    fclose(right);
    fclose(wrong);
    struct ran ran =
        ctl_expect(0,
                   "allocate services-v4 --owner=a --slot=s --store=%s --etcd-user=root "
                   "--etcd-password-file=%s",
                   store, file("right"));
    ran_free(&ran);
    ran = ctl_expect(1, "pools --store=%s --etcd-user=root --etcd-password-file=%s", store,
                     file("wrong"));
    expect_in(ran.errors, "password");
    ran_free(&ran);
    ran = ctl_expect(1, "pools --store=%s", store);
    expect_in(ran.errors, "user");
    ran_free(&ran);
    ran = ctl_expect(0, "copy %s sqlite:%s --yes --etcd-user=root --etcd-password-file=%s", store,
                     file("copy.db"), file("right"));
    ran_free(&ran);
    ran = ctl_expect(0, "list --store=sqlite:%s", file("copy.db"));
    expect_in(ran.out, "services-v4");
    ran_free(&ran);
}
END_TEST

/* --- servers ------------------------------------------------------------------------------------
 */

static struct server_process start_on(const char *url) {
    char flag[700];
    snprintf(flag, sizeof flag, "--store=%s", url);
    const char *const arguments[] = {flag, "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
                                     "--load-balancer-ip-range=192.0.2.0/24", NULL};
    return server_start(arguments);
}

START_TEST(beside_servers_at_work_all_of_it_works) {
    struct server_process a = start_on(store), b = start_on(store);
    must_create(&a, "web", "'type':'NodePort','ports':[{'port':80}]");
    must_create(&b, "dns", "'ports':[{'port':53}]");
    says("Service/default/web/", "list");
    says("ok", "check");
    says("given", "reserve 10.96.0.77 --owner=a-router --slot=static");
    /* What another program took, the servers do not give out. */
    struct answer taken =
        service_create(&b, "late", "'clusterIP':'10.96.0.77','ports':[{'port':80}]", "");
    ck_assert_int_eq(taken.code, 422);
    ck_assert_ptr_nonnull(strstr(taken.text, "a-router"));
    answer_free(&taken);
    struct ran ran = ctl_expect(0, "repair --report --store=%s -ojson", store);
    ran_free(&ran);
    says("released", "release 10.96.0.77 --owner=a-router");
    must_create(&a, "late", "'clusterIP':'10.96.0.77','ports':[{'port':80}]");
    ran = ctl_expect(1, "copy %s sqlite:%s", store, file("copy.db"));
    expect_in(ran.errors, "say so with --yes");
    ran_free(&ran);
    expect_nothing_to_repair(&a);
    ck_assert_int_eq(server_stop(&a), 0);
    ck_assert_int_eq(server_stop(&b), 0);
    says("ok", "check");
}
END_TEST

/* --- there and back ------------------------------------------------------------------------------
 */

/* All objects of these paths as one text each, without what has to differ. */
static const char *const PATHS[] = {"/api/v1/services", "/api/v1/namespaces",
                                    "/apis/networking.k8s.io/v1/servicecidrs",
                                    "/apis/networking.k8s.io/v1/ipaddresses"};
enum { PATH_COUNT = sizeof PATHS / sizeof *PATHS };

/* A view of leases lists them in the order of whoever is asked. */
static int by_name(const void *a, const void *b) {
    struct json_object *const *left = a, *const *right = b;
    char one[512];
    snprintf(one, sizeof one, "%s/%s", json_text_at(*left, "metadata.namespace"),
             json_text_at(*left, "metadata.name"));
    char other[512];
    snprintf(other, sizeof other, "%s/%s", json_text_at(*right, "metadata.namespace"),
             json_text_at(*right, "metadata.name"));
    return strcmp(one, other);
}

static char *objects_at(const struct server_process *server, const char *path) {
    struct answer answer = server_get(server, path);
    ck_assert_int_eq(answer.code, 200);
    struct json_object *metadata, *items;
    ck_assert(json_object_object_get_ex(answer.json, "metadata", &metadata));
    ck_assert(json_object_object_get_ex(answer.json, "items", &items));
    json_object_object_del(metadata, "resourceVersion");
    ck_assert_uint_gt(json_object_array_length(items), 0);
    json_object_array_sort(items, by_name);
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        struct json_object *one = json_object_array_get_idx(items, i);
        ck_assert(json_object_object_get_ex(one, "metadata", &metadata));
        ck_assert_ptr_nonnull(json_object_object_get(metadata, "resourceVersion"));
        json_object_object_del(metadata, "resourceVersion");
    }
    char *text = strdup(json_object_to_json_string_ext(answer.json, JSON_C_TO_STRING_PLAIN));
    answer_free(&answer);
    return text;
}

typedef struct state {
    char *objects[PATH_COUNT];
    char *leases;
    char *pools; /* with what is used, cooling, excluded */
} state;

static state state_of(const struct server_process *server, const char *url) {
    state s;
    for (int i = 0; i < PATH_COUNT; i++)
        s.objects[i] = objects_at(server, PATHS[i]);
    s.leases = leases_now(server);
    struct ran ran = ctl_expect(0, "pools -ojson --store=%s", url);
    s.pools = strdup(ran.out);
    ran_free(&ran);
    return s;
}

/* Texts too long to be shown whole: from where they differ. */
static void expect_same_text(const char *what, const char *a, const char *b) {
    size_t same = 0;
    while (a[same] != '\0' && a[same] == b[same])
        same++;
    size_t from = same > 80 ? same - 80 : 0;
    ck_assert_msg(a[same] == b[same], "%s: ...%.200s is now ...%.200s", what, a + from, b + from);
}

static void expect_same_state(const state *a, const state *b) {
    for (int i = 0; i < PATH_COUNT; i++)
        expect_same_text(PATHS[i], a->objects[i], b->objects[i]);
    expect_same_text("leases", a->leases, b->leases);
    expect_same_text("pools", a->pools, b->pools);
}

static void state_free(state *s) {
    for (int i = 0; i < PATH_COUNT; i++)
        free(s->objects[i]);
    free(s->leases);
    free(s->pools);
}

static void make_services(const struct server_process *server) {
    for (int i = 0; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof name, "web-%d", i);
        must_create(server, name,
                    i % 3 == 0   ? "'type':'NodePort','ports':[{'port':80}]"
                    : i % 3 == 1 ? "'type':'LoadBalancer','ports':[{'port':80}]"
                                 : "'ipFamilyPolicy':'PreferDualStack','ports':[{'port':80}]");
    }
    must_delete(server, "web-7");
    must_change(server, "web-2", "'ports':[{'port':81}]");
}

/* A watch from where the other store was is told to list anew. */
static void expect_gone(const struct server_process *server, const char *resource_version) {
    char path[160];
    snprintf(path, sizeof path, "/api/v1/services?watch=1&timeoutSeconds=5&resourceVersion=%s",
             resource_version);
    struct answer answer = server_get(server, path);
    ck_assert_ptr_nonnull(strstr(answer.text, "\"code\":410"));
    answer_free(&answer);
}

static char *version_of_list(const struct server_process *server) {
    struct answer list = server_get(server, "/api/v1/services");
    char *version = strdup(answer_text(&list, "metadata.resourceVersion"));
    answer_free(&list);
    return version;
}

static void copy_store(const char *from, const char *to) {
    struct ran ran = ctl_expect(0, "copy %s %s --yes", from, to);
    expect_in(ran.out, "Copied and compared; the copy opens and is valid.");
    ran_free(&ran);
}

START_TEST(a_store_goes_to_etcd_and_back_and_nothing_changes_for_its_objects) {
    char first[600], last[600];
    snprintf(first, sizeof first, "sqlite:%s", file("first.db"));
    snprintf(last, sizeof last, "sqlite:%s", file("last.db"));
    struct server_process server = start_on(first);
    make_services(&server);
    state on_file = state_of(&server, first);
    char *version_on_file = version_of_list(&server);
    struct ran busy = ctl_expect(1, "copy %s %s", first, store);
    expect_in(busy.errors, "in use by process");
    ran_free(&busy);
    ck_assert_int_eq(server_stop(&server), 0);

    copy_store(first, store);
    server = start_on(store);
    state on_etcd = state_of(&server, store);
    expect_same_state(&on_file, &on_etcd);
    expect_gone(&server, version_on_file);
    expect_nothing_to_repair(&server);
    must_delete(&server, "web-3");
    must_create(&server, "made-on-etcd", "'type':'NodePort','ports':[{'port':80}]");
    state changed = state_of(&server, store);
    char *version_on_etcd = version_of_list(&server);
    ck_assert_int_eq(server_stop(&server), 0);

    copy_store(store, last);
    server = start_on(last);
    state back = state_of(&server, last);
    expect_same_state(&changed, &back);
    expect_gone(&server, version_on_etcd);
    expect_gone(&server, version_on_file);
    expect_nothing_to_repair(&server);
    ck_assert_int_eq(server_stop(&server), 0);
    state_free(&on_file);
    state_free(&on_etcd);
    state_free(&changed);
    state_free(&back);
    free(version_on_file);
    free(version_on_etcd);
}
END_TEST

/* --- a snapshot ---------------------------------------------------------------------------------
 */

static char *peer_url(void) {
    char *out = NULL;
    ck_assert_int_eq(etcd_ctl(cluster, &out, "member", "list", "-w", "json"), 0);
    struct json_object *answer = json_tokener_parse(out), *members;
    ck_assert(json_object_object_get_ex(answer, "members", &members));
    struct json_object *one = json_object_array_get_idx(members, 0);
    char *url = strdup(json_object_get_string(
        json_object_array_get_idx(json_object_object_get(one, "peerURLs"), 0)));
    json_object_put(answer);
    free(out);
    return url;
}

/* As an operator does after a disaster: a new cluster out of a snapshot. */
static void restore(const char *snapshot) {
    char member[512], command[2000];
    char *url = peer_url();
    etcd_kill(cluster, 0);
    snprintf(member, sizeof member, "%s/member-0", etcd_directory(cluster));
    test_directory_remove(strdup(member)); /* which it frees */
    snprintf(command, sizeof command,
             "$(command -v etcdutl || echo etcdctl) snapshot restore '%s' --name=m0"
             " --initial-cluster=m0=%s --initial-advertise-peer-urls=%s --data-dir='%s'"
             " --initial-cluster-token=after-the-disaster",
             snapshot, url, url, member);
    ck_assert_int_eq(system(command), 0); /* etcdutl: since 3.5, and since 3.6 the only one */
    free(url);
    etcd_restart(cluster, 0);
    etcd_wait_healthy(cluster, 30);
}

static int64_t epoch_now(void) {
    struct ran ran = ctl_expect(0, "check -ojson --store=%s", store);
    int64_t epoch = json_object_get_int64(json_object_object_get(ran.json, "epoch"));
    ran_free(&ran);
    return epoch;
}

START_TEST(a_restored_snapshot_gives_nothing_until_it_is_accepted) {
    define_pool();
    says("given", "reserve 10.96.0.9 --owner=before --slot=s");
    int64_t epoch = epoch_now();
    etcd_ctl_ok(cluster, "snapshot", "save", file("snapshot"));
    says("given", "reserve 10.96.0.10 --owner=after --slot=s");
    restore(file("snapshot"));
    says("before", "list");
    refuses("ipallocctl accept", "allocate services-v4 --owner=new --slot=s");
    refuses("ipallocctl accept", "release 10.96.0.9 --owner=before");
    struct ran ran = ctl_expect(1, "copy %s sqlite:%s --yes", store, file("copy.db"));
    expect_in(ran.errors, "nobody has accepted it");
    ran_free(&ran);
    says("accepted (dry run)", "accept --dry-run");
    refuses("ipallocctl accept", "allocate services-v4 --owner=new --slot=s");
    says("accepted", "accept");
    ck_assert_int_gt(epoch_now(), epoch);
    says("given", "reserve 10.96.0.10 --owner=new --slot=s");
    says("nothing to accept", "accept");
    says("ok", "check");
}
END_TEST

int main(void) {
    if (!etcd_is_here()) {
        fputs("there is no etcd to test with\n", stderr);
        return 77;
    }
    Suite *suite = suite_create("ipallocctl on etcd");
    TCase *tests = tcase_create("ctl etcd");
    tcase_set_timeout(tests, 250);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, every_command_looks_and_writes);
    tcase_add_test(tests, who_must_log_in_can);
    tcase_add_test(tests, beside_servers_at_work_all_of_it_works);
    tcase_add_test(tests, a_store_goes_to_etcd_and_back_and_nothing_changes_for_its_objects);
    tcase_add_test(tests, a_restored_snapshot_gives_nothing_until_it_is_accepted);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
